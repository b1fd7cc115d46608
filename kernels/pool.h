/* pool.h owns the memory that probes work in: freed blocks are kept by size and handed out again.
 * Plain C: where memory comes from is a pair of functions, so that tests give malloc and harness.cu gives cudaMalloc.
 * One pool belongs to one thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pool_source {
    void *(*alloc)(void *context, uint64_t bytes); /* NULL: there is not enough */
    void (*free)(void *context, void *memory);
    void *context;
};

enum { POOL_BLOCKS_MAX = 256 };

struct pool_statistics {
    uint64_t allocated_bytes; /* taken from the source and not given back, in use or not */
    uint64_t in_use_bytes;    /* handed out */
    uint64_t peak_bytes;      /* the most that ever was in use */
    uint64_t maximum_bytes;   /* the most that ever was allocated */
    uint32_t allocations;     /* how often the source was asked with success */
    uint32_t reuses;          /* how often a kept block served instead */
    uint32_t free_blocks;
    uint64_t free_bytes;
};

struct pool_block {
    void *memory;
    uint64_t bytes;
    bool in_use;
};

struct pool {
    struct pool_source source;
    struct pool_statistics statistics;
    struct pool_block blocks[POOL_BLOCKS_MAX];
    uint32_t block_count;
};

/* How many free blocks of one size a pool keeps. */
struct pool_size {
    uint64_t bytes;
    uint32_t free_blocks;
};

void pool_init(struct pool *pool, const struct pool_source *source);
/* What a request takes: whole 2 MiB from 1 MiB on, else whole 512 bytes, so that like sizes share blocks. */
uint64_t pool_block_bytes(uint64_t bytes);
/* NULL if `bytes` is 0 or the source has not enough, even with all that the pool kept given back. */
void *pool_alloc(struct pool *pool, uint64_t bytes);
void pool_free(struct pool *pool, void *memory); /* keeps it; NULL is fine, and so is what the pool does not own */
void pool_trim(struct pool *pool);               /* gives all free blocks back to the source */
void pool_done(struct pool *pool);               /* gives back everything */
/* Free blocks by size, the smallest first; returns how many sizes there are, of which it writes up to `max`. */
uint32_t pool_free_sizes(const struct pool *pool, uint32_t max, struct pool_size ret_sizes[]);

#ifdef __cplusplus
}
#endif
