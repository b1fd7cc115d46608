/* pool.c owns the bookkeeping behind pool.h. */
#include "kernels/pool.h"

static const uint64_t SMALL_UNIT_BYTES = 512, LARGE_UNIT_BYTES = 2 << 20, LARGE_BYTES = 1 << 20;

void pool_init(struct pool *pool, const struct pool_source *source)
{
    *pool = (struct pool){.source = *source};
}

uint64_t pool_block_bytes(uint64_t bytes)
{
    uint64_t unit = bytes < LARGE_BYTES ? SMALL_UNIT_BYTES : LARGE_UNIT_BYTES;
    if (bytes > UINT64_MAX - unit) return 0;
    return (bytes + unit - 1) / unit * unit;
}

static void count_in_use(struct pool *pool, uint64_t bytes)
{
    struct pool_statistics *statistics = &pool->statistics;
    statistics->in_use_bytes += bytes;
    if (statistics->in_use_bytes > statistics->peak_bytes) statistics->peak_bytes = statistics->in_use_bytes;
}

static void count_allocated(struct pool *pool, uint64_t bytes)
{
    struct pool_statistics *statistics = &pool->statistics;
    statistics->allocations++;
    statistics->allocated_bytes += bytes;
    if (statistics->allocated_bytes > statistics->maximum_bytes)
        statistics->maximum_bytes = statistics->allocated_bytes;
}

static void *reuse_block(struct pool *pool, uint64_t bytes)
{
    for (uint32_t i = 0; i < pool->block_count; i++) {
        struct pool_block *block = &pool->blocks[i];
        if (block->in_use || block->bytes != bytes) continue;
        block->in_use = true;
        pool->statistics.reuses++;
        pool->statistics.free_blocks--;
        pool->statistics.free_bytes -= bytes;
        count_in_use(pool, bytes);
        return block->memory;
    }
    return NULL;
}

static void *allocate_block(struct pool *pool, uint64_t bytes)
{
    if (pool->block_count == POOL_BLOCKS_MAX) pool_trim(pool);
    if (pool->block_count == POOL_BLOCKS_MAX) return NULL;
    void *memory = pool->source.alloc(pool->source.context, bytes);
    if (!memory && pool->statistics.free_blocks) {
        pool_trim(pool);
        memory = pool->source.alloc(pool->source.context, bytes);
    }
    if (!memory) return NULL;
    pool->blocks[pool->block_count++] = (struct pool_block){.memory = memory, .bytes = bytes, .in_use = true};
    count_allocated(pool, bytes);
    count_in_use(pool, bytes);
    return memory;
}

void *pool_alloc(struct pool *pool, uint64_t bytes)
{
    uint64_t block_bytes = pool_block_bytes(bytes);
    if (block_bytes == 0) return NULL;
    void *memory = reuse_block(pool, block_bytes);
    return memory ? memory : allocate_block(pool, block_bytes);
}

void pool_free(struct pool *pool, void *memory)
{
    for (uint32_t i = 0; i < pool->block_count; i++) {
        struct pool_block *block = &pool->blocks[i];
        if (!block->in_use || block->memory != memory) continue;
        block->in_use = false;
        pool->statistics.in_use_bytes -= block->bytes;
        pool->statistics.free_blocks++;
        pool->statistics.free_bytes += block->bytes;
        return;
    }
}

static void give_back(struct pool *pool, bool those_in_use)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < pool->block_count; i++) {
        struct pool_block block = pool->blocks[i];
        if (block.in_use && !those_in_use) {
            pool->blocks[kept++] = block;
            continue;
        }
        pool->source.free(pool->source.context, block.memory);
        pool->statistics.allocated_bytes -= block.bytes;
    }
    pool->block_count = kept;
    pool->statistics.free_blocks = 0;
    pool->statistics.free_bytes = 0;
}

void pool_trim(struct pool *pool)
{
    give_back(pool, false);
}

void pool_done(struct pool *pool)
{
    give_back(pool, true);
    pool->statistics.in_use_bytes = 0;
}

static uint64_t next_larger_free(const struct pool *pool, uint64_t bytes)
{
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < pool->block_count; i++) {
        const struct pool_block *block = &pool->blocks[i];
        if (!block->in_use && block->bytes > bytes && block->bytes < next) next = block->bytes;
    }
    return next;
}

static uint32_t free_blocks_of(const struct pool *pool, uint64_t bytes)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < pool->block_count; i++)
        count += !pool->blocks[i].in_use && pool->blocks[i].bytes == bytes;
    return count;
}

uint32_t pool_free_sizes(const struct pool *pool, uint32_t max, struct pool_size ret_sizes[])
{
    uint32_t sizes = 0;
    uint64_t bytes = next_larger_free(pool, 0);
    for (; bytes != UINT64_MAX; bytes = next_larger_free(pool, bytes)) {
        if (sizes < max) ret_sizes[sizes] = (struct pool_size){bytes, free_blocks_of(pool, bytes)};
        sizes++;
    }
    return sizes;
}
