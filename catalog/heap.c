/* heap.c owns the list of what a guarded parse has allocated, and the way out of it. */
#include "catalog/heap.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>

/* Before each allocation; as aligned as any type, so that what follows is too. */
struct block {
    _Alignas(max_align_t) struct block *previous; /* a ring; alone once the parse is over */
    struct block *next;
};

struct guard {
    struct block ring; /* the blocks of this parse */
    jmp_buf way_out;
};
static _Thread_local struct guard *guard; /* NULL: no parse is running */

static void unlink_block(struct block *block)
{
    block->previous->next = block->next;
    block->next->previous = block->previous;
    block->previous = block->next = block;
}

static void link_block(struct block *block, struct block *ring)
{
    block->next = ring->next;
    block->previous = ring;
    ring->next->previous = block;
    ring->next = block;
}

void *heap_alloc(size_t size_bytes)
{
    struct block *block = size_bytes <= SIZE_MAX / 2 ? malloc(sizeof *block + size_bytes) : NULL;
    if (!block && guard) longjmp(guard->way_out, 1);
    if (!block) return NULL;
    block->previous = block->next = block;
    if (guard) link_block(block, &guard->ring);
    return block + 1;
}

void heap_free(void *memory)
{
    if (!memory) return;
    struct block *block = (struct block *)memory - 1;
    unlink_block(block);
    free(block);
}

/* What is kept may be freed by another thread, so that no block may touch another. */
static void keep_blocks(struct block *ring)
{
    while (ring->next != ring)
        unlink_block(ring->next);
}

static void free_blocks(struct block *ring)
{
    for (struct block *block = ring->next, *next = NULL; block != ring; block = next) {
        next = block->next;
        free(block);
    }
}

bool heap_guard(void (*work)(void *context), void *context)
{
    struct guard own;
    own.ring.previous = own.ring.next = &own.ring;
    guard = &own;
    bool complete = setjmp(own.way_out) == 0;
    if (complete) {
        work(context);
        keep_blocks(&own.ring);
    } else {
        free_blocks(&own.ring);
    }
    guard = NULL;
    return complete;
}
