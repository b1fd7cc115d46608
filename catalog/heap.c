/* heap.c owns the memory of whether memory ran out. */
#include "catalog/heap.h"

#include <stdlib.h>

static _Thread_local bool ran_out;

void heap_watch(void)
{
    ran_out = false;
}

bool heap_ran_out(void)
{
    return ran_out;
}

void *heap_alloc(size_t size_bytes)
{
    void *memory = malloc(size_bytes);
    ran_out |= !memory;
    return memory;
}

void heap_free(void *memory)
{
    free(memory);
}
