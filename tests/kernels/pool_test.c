/* pool_test.c owns the proof of kernels/pool.h: reuse by size, statistics, trimming, running out. */
#include "kernels/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

/* Memory of a device that has so much and no more; it counts what is out. */
struct fake_device {
    uint64_t limit_bytes, out_bytes;
    uint32_t out_blocks;
    struct {
        void *memory;
        uint64_t bytes;
    } blocks[POOL_BLOCKS_MAX];
};

static void *fake_alloc(void *context, uint64_t bytes)
{
    struct fake_device *device = context;
    if (bytes > device->limit_bytes - device->out_bytes) return NULL;
    void *memory = malloc(16);
    assert_non_null(memory);
    assert_true(device->out_blocks < POOL_BLOCKS_MAX);
    device->blocks[device->out_blocks].memory = memory;
    device->blocks[device->out_blocks++].bytes = bytes;
    device->out_bytes += bytes;
    return memory;
}

static void fake_free(void *context, void *memory)
{
    struct fake_device *device = context;
    for (uint32_t i = 0; i < device->out_blocks; i++) {
        if (device->blocks[i].memory != memory) continue;
        device->out_bytes -= device->blocks[i].bytes;
        device->blocks[i] = device->blocks[--device->out_blocks];
        free(memory);
        return;
    }
    fail_msg("freed what was never given");
}

static struct fake_device device;
static struct pool pool;

static int set_up(void **state)
{
    (void)state;
    device = (struct fake_device){.limit_bytes = 64 * MIB};
    pool_init(&pool, &(struct pool_source){fake_alloc, fake_free, &device});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pool_done(&pool);
    assert_int_equal(device.out_blocks, 0);
    assert_int_equal(device.out_bytes, 0);
    assert_int_equal(pool.statistics.allocated_bytes, 0);
    return 0;
}

static void test_sizes_of_blocks(void **state)
{
    (void)state;
    assert_int_equal(pool_block_bytes(1), 512);
    assert_int_equal(pool_block_bytes(512), 512);
    assert_int_equal(pool_block_bytes(513), 1024);
    assert_int_equal(pool_block_bytes(MIB), 2 * MIB);
    assert_int_equal(pool_block_bytes(2 * MIB + 1), 4 * MIB);
    assert_int_equal(pool_block_bytes(0), 0);
    assert_int_equal(pool_block_bytes(UINT64_MAX), 0);
    assert_null(pool_alloc(&pool, 0));
    assert_null(pool_alloc(&pool, UINT64_MAX));
}

static void test_reuse(void **state)
{
    (void)state;
    void *first = pool_alloc(&pool, 3 * MIB);
    void *small = pool_alloc(&pool, 100);
    assert_non_null(first);
    pool_free(&pool, first);
    assert_ptr_not_equal(pool_alloc(&pool, 5 * MIB), first); /* another size: a block of its own */
    assert_ptr_equal(pool_alloc(&pool, 4 * MIB), first);     /* the same size, rounded */
    assert_ptr_not_equal(pool_alloc(&pool, 4 * MIB), first); /* which is in use now */
    assert_ptr_not_equal(pool_alloc(&pool, 100), small);
    assert_int_equal(pool.statistics.reuses, 1);
    assert_int_equal(pool.statistics.allocations, 5);
}

static void test_statistics(void **state)
{
    (void)state;
    void *a = pool_alloc(&pool, 4 * MIB);
    void *b = pool_alloc(&pool, 8 * MIB);
    pool_free(&pool, a);
    const struct pool_statistics *now = &pool.statistics;
    assert_int_equal(now->allocated_bytes, 12 * MIB);
    assert_int_equal(now->in_use_bytes, 8 * MIB);
    assert_int_equal(now->peak_bytes, 12 * MIB);
    assert_int_equal(now->free_blocks, 1);
    assert_int_equal(now->free_bytes, 4 * MIB);
    void *c = pool_alloc(&pool, 2 * MIB); /* 10 MiB in use, 14 MiB allocated */
    assert_int_equal(now->peak_bytes, 12 * MIB);
    assert_int_equal(now->maximum_bytes, 14 * MIB);
    pool_free(&pool, b);
    pool_free(&pool, c);
    pool_trim(&pool);
    assert_int_equal(now->allocated_bytes, 0);
    assert_int_equal(now->in_use_bytes, 0);
    assert_int_equal(now->maximum_bytes, 14 * MIB);
    assert_int_equal(now->free_blocks, 0);
    assert_int_equal(device.out_bytes, 0);
}

static void test_free_sizes(void **state)
{
    (void)state;
    void *blocks[] = {pool_alloc(&pool, 4 * MIB), pool_alloc(&pool, 512), pool_alloc(&pool, 4 * MIB),
                      pool_alloc(&pool, 8 * MIB)};
    for (size_t i = 0; i < 3; i++)
        pool_free(&pool, blocks[i]);
    struct pool_size sizes[4];
    assert_int_equal(pool_free_sizes(&pool, 4, sizes), 2);
    assert_int_equal(sizes[0].bytes, 512);
    assert_int_equal(sizes[0].free_blocks, 1);
    assert_int_equal(sizes[1].bytes, 4 * MIB);
    assert_int_equal(sizes[1].free_blocks, 2);
    assert_int_equal(pool_free_sizes(&pool, 0, NULL), 2);
}

/* What is kept must not stand in the way of what is asked for. */
static void test_kept_blocks_give_way(void **state)
{
    (void)state;
    void *kept = pool_alloc(&pool, 40 * MIB);
    void *used = pool_alloc(&pool, 10 * MIB);
    pool_free(&pool, kept);
    assert_non_null(pool_alloc(&pool, 50 * MIB));
    assert_int_equal(pool.statistics.allocated_bytes, 60 * MIB);
    assert_int_equal(pool.statistics.maximum_bytes, 60 * MIB);
    assert_null(pool_alloc(&pool, 6 * MIB)); /* nothing left to give back */
    assert_int_equal(pool.statistics.in_use_bytes, 60 * MIB);
    pool_free(&pool, used);
}

static void test_freeing_twice_is_nothing(void **state)
{
    (void)state;
    int foreign = 0;
    void *memory = pool_alloc(&pool, 512);
    pool_free(&pool, memory);
    pool_free(&pool, memory);
    pool_free(&pool, NULL);
    pool_free(&pool, &foreign);
    assert_int_equal(pool.statistics.free_blocks, 1);
    assert_int_equal(pool.statistics.in_use_bytes, 0);
}

static void test_full_table(void **state)
{
    (void)state;
    void *memory = NULL;
    for (uint32_t i = 0; i < POOL_BLOCKS_MAX; i++)
        assert_non_null(memory = pool_alloc(&pool, 512));
    assert_null(pool_alloc(&pool, 512));
    pool_free(&pool, memory);
    assert_non_null(pool_alloc(&pool, 1024)); /* of another size: the free block makes room */
    assert_int_equal(pool.block_count, POOL_BLOCKS_MAX);
}

/* Against a model that adds up anew what the pool counts as it goes. */
static void test_any_order(void **state)
{
    (void)state;
    void *held[32] = {0};
    uint64_t bytes_of[32] = {0}, random = 88172645463325252ull;
    for (int step = 0; step < 20000; step++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint32_t slot = (uint32_t)(random % 32);
        if (held[slot]) {
            pool_free(&pool, held[slot]);
            held[slot] = NULL;
            bytes_of[slot] = 0;
        } else {
            uint64_t bytes = 1 + (random >> 8) % (random & 1024 ? 4 * MIB : 4096);
            held[slot] = pool_alloc(&pool, bytes);
            bytes_of[slot] = held[slot] ? pool_block_bytes(bytes) : 0;
        }
        if (random % 997 == 0) pool_trim(&pool);
        uint64_t in_use = 0;
        for (uint32_t i = 0; i < 32; i++)
            in_use += bytes_of[i];
        assert_int_equal(pool.statistics.in_use_bytes, in_use);
        assert_int_equal(pool.statistics.allocated_bytes, device.out_bytes);
        assert_int_equal(pool.statistics.free_bytes, device.out_bytes - in_use);
        assert_true(pool.statistics.maximum_bytes <= device.limit_bytes);
    }
}

#define POOL_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_sizes_of_blocks),      POOL_TEST(test_reuse),
        POOL_TEST(test_statistics),           POOL_TEST(test_free_sizes),
        POOL_TEST(test_kept_blocks_give_way), POOL_TEST(test_freeing_twice_is_nothing),
        POOL_TEST(test_full_table),           POOL_TEST(test_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
