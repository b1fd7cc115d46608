/* capacity.cu owns how much memory a process gets: in one piece, in what units, and what the context leaves of it. */
#include "kernels/device.cuh"

static constexpr uint64_t RESOLUTION_BYTES = 64ull << 20;

static void emit_bytes(const char *name, uint64_t bytes, const char *verified, probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin(name, "bytes");
    result.status = PROBE_PASSED;
    result.reason = REASON_NONE;
    result.value = result.p10 = result.p90 = (double)bytes;
    result.samples = 1;
    result.impl = "own";
    result.verified = verified;
    emit(&result, sink);
}

static bool free_now(uint64_t *ret_bytes, struct probe_result *result)
{
    size_t free_bytes = 0, total_bytes = 0;
    if (!probe_ok(cudaMemGetInfo(&free_bytes, &total_bytes), result)) return false;
    *ret_bytes = free_bytes;
    return true;
}

/* False only of an error other than too little memory. */
static bool try_block(uint64_t bytes, bool *ret_fits, struct probe_result *result)
{
    void *block = NULL;
    cudaError_t error = cudaMalloc(&block, bytes);
    *ret_fits = error == cudaSuccess;
    if (*ret_fits) return probe_ok(cudaFree(block), result);
    if (error != cudaErrorMemoryAllocation) return probe_ok(error, result);
    cudaGetLastError();
    return true;
}

/* The largest block up to a limit that one cudaMalloc gives, to 64 MiB: asked of the driver itself, since a pool would
 * keep it. */
static bool largest_block(uint64_t limit_bytes, uint64_t *ret_bytes, struct probe_result *result)
{
    uint64_t fits = 0, fails = limit_bytes + RESOLUTION_BYTES;
    while (fits + RESOLUTION_BYTES < fails) {
        uint64_t middle = fits + (fails - fits) / 2;
        bool middle_fits = false;
        if (!try_block(middle, &middle_fits, result)) return false;
        *(middle_fits ? &fits : &fails) = middle;
    }
    *ret_bytes = fits;
    return true;
}

/* By how much free memory sinks when one byte is taken: what the driver gives at least. The first blocks may come out
 * of memory that the context has already; the largest step of a few is the unit. */
static bool smallest_step(uint64_t *ret_bytes, struct probe_result *result)
{
    enum { TRIES = 8 };
    void *blocks[TRIES] = {};
    uint64_t before = 0, after = 0, step = 0, bytes = (1ull << 20) + 1; /* too large for what serves small requests */
    bool good = free_now(&before, result);
    for (int i = 0; good && i < TRIES; i++) {
        good = probe_ok(cudaMalloc(&blocks[i], bytes), result) && free_now(&after, result);
        if (good && before > after && before - after > step) step = before - after;
        before = after;
    }
    for (int i = 0; i < TRIES; i++)
        cudaFree(blocks[i]);
    *ret_bytes = step;
    return good;
}

/* The pool's own test on the device: what was freed is handed out again, and holds what is written to it. */
static bool exercise_pool(struct probe_result *result)
{
    static const uint64_t sizes[] = {1 << 12, 1 << 20, 32 << 20, 1 << 20};
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct device_buffer first, second;
            if (!first.take(sizes[i], result) || !second.take(sizes[i], result)) return false;
            fill_pattern(first.data, sizes[i] / 4, 1);
            fill_pattern(second.data, sizes[i] / 4, 2);
            if (!check_pattern(first.data, sizes[i] / 4, 1, result) ||
                !check_pattern(second.data, sizes[i] / 4, 2, result))
                return false;
        }
    return true;
}

static void emit_count(const char *name, uint32_t count, probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin(name, "count");
    result.status = PROBE_PASSED;
    result.reason = REASON_NONE;
    result.value = result.p10 = result.p90 = count;
    result.samples = 1;
    result.impl = "own";
    result.verified = "checksum";
    emit(&result, sink);
}

static void emit_pool(const struct probe_device *device, probe_emit *emit, void *sink)
{
    struct probe_result why = probe_result_begin("pool_peak", "bytes");
    struct pool *pool = device_pool(device->ordinal);
    if (!exercise_pool(&why)) {
        emit(&why, sink);
        return;
    }
    const struct pool_statistics *statistics = &pool->statistics;
    emit_bytes("pool_allocated", statistics->allocated_bytes, "checksum", emit, sink);
    emit_bytes("pool_peak", statistics->peak_bytes, "checksum", emit, sink);
    emit_bytes("pool_maximum", statistics->maximum_bytes, "checksum", emit, sink);
    emit_bytes("pool_free", statistics->free_bytes, "checksum", emit, sink);
    emit_count("pool_allocations", statistics->allocations, emit, sink);
    emit_count("pool_reuses", statistics->reuses, emit, sink);
    pool_trim(pool);
}

typedef bool measure_bytes(uint64_t *ret_bytes, struct probe_result *result);

static void emit_measured(const char *name, measure_bytes *measure, probe_emit *emit, void *sink)
{
    struct probe_result why = probe_result_begin(name, "bytes");
    uint64_t bytes = 0;
    if (!measure(&bytes, &why)) {
        emit(&why, sink);
        return;
    }
    emit_bytes(name, bytes, "", emit, sink);
}

static bool allocatable(uint64_t *ret_bytes, struct probe_result *result)
{
    uint64_t free_bytes = 0;
    int ordinal = 0, integrated = 0;
    if (!free_now(&free_bytes, result) || !probe_ok(cudaGetDevice(&ordinal), result) ||
        !probe_ok(cudaDeviceGetAttribute(&integrated, cudaDevAttrIntegrated, ordinal), result))
        return false;
    /* Where the host lives in the same memory, taking all of it would make the kernel end processes. */
    return largest_block(integrated ? free_bytes / 4 * 3 : free_bytes, ret_bytes, result);
}

/* What is taken once this context exists, by it and by whoever else: inside a process nobody sees the state before, for
 * asking makes the context. The parent's reading of NVML before and after tells the context's own share. */
static bool taken_with_context(uint64_t *ret_bytes, struct probe_result *result)
{
    size_t free_bytes = 0, total_bytes = 0;
    if (!probe_ok(cudaMemGetInfo(&free_bytes, &total_bytes), result)) return false;
    *ret_bytes = total_bytes - free_bytes;
    return true;
}

extern "C" void probe_capacity(const struct probe_device *device, const struct probe_budget *, probe_emit *emit,
                               void *sink)
{
    pool_trim(device_pool(device->ordinal));
    emit_measured("taken_with_context", taken_with_context, emit, sink);
    emit_measured("allocatable", allocatable, emit, sink);
    emit_measured("allocation_unit", smallest_step, emit, sink);
    emit_pool(device, emit, sink);
    group_check("capacity", emit, sink);
}
