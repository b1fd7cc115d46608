/* stream.cu owns the bandwidth of device memory and of the L2 cache: read, copy, triad, the driver's own copy.
 * All accesses are of 16 bytes, and every byte that is counted is moved. */
#include "kernels/device.cuh"

static constexpr int THREADS = 512;
static constexpr uint32_t READ_BATCH = 8; /* x 16 bytes in flight for each thread: over 128 KiB for a multiprocessor */
static constexpr uint32_t L2_PASSES = 4, L2_BATCH = 4;
static constexpr float TRIAD_FACTOR = 0.4f;
enum { SEED_A = 1, SEED_L2 = 3 };

__device__ __forceinline__ uint4 load_once(const uint4 *from) /* is not read again: L1 need not keep it */
{
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(from));
    return v;
}

__device__ __forceinline__ uint4 load_from_l2(const uint4 *from) /* never from L1 */
{
    uint4 v;
    asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
    return v;
}

__global__ void __launch_bounds__(THREADS) read_kernel(const uint4 *from, uint64_t vectors, uint32_t *total)
{
    uint64_t step = grid_step(), i = grid_index();
    uint32_t sum = 0;
    for (; i + (READ_BATCH - 1) * step < vectors; i += READ_BATCH * step) {
        uint4 batch[READ_BATCH];
#pragma unroll
        for (uint32_t b = 0; b < READ_BATCH; b++)
            batch[b] = load_once(from + i + b * step);
#pragma unroll
        for (uint32_t b = 0; b < READ_BATCH; b++)
            sum = add_words(sum, batch[b]);
    }
    for (; i < vectors; i += step)
        sum = add_words(sum, load_once(from + i));
    add_to_sum(sum, total);
}

__global__ void __launch_bounds__(THREADS) copy_kernel(uint4 *to, const uint4 *from, uint64_t vectors)
{
    uint64_t step = grid_step(), i = grid_index();
    for (; i + 3 * step < vectors; i += 4 * step) {
        uint4 batch[4];
#pragma unroll
        for (uint32_t b = 0; b < 4; b++)
            batch[b] = load_once(from + i + b * step);
#pragma unroll
        for (uint32_t b = 0; b < 4; b++)
            __stcs(to + i + b * step, batch[b]);
    }
    for (; i < vectors; i += step)
        __stcs(to + i, load_once(from + i));
}

__device__ __forceinline__ float4 triad(float4 b, float4 c)
{
    return make_float4(__fmaf_rn(TRIAD_FACTOR, c.x, b.x), __fmaf_rn(TRIAD_FACTOR, c.y, b.y),
                       __fmaf_rn(TRIAD_FACTOR, c.z, b.z), __fmaf_rn(TRIAD_FACTOR, c.w, b.w));
}

/* a = b + factor * c, as STREAM has it. */
__global__ void __launch_bounds__(THREADS) triad_kernel(float4 *a, const float4 *b, const float4 *c, uint64_t vectors)
{
    uint64_t step = grid_step(), i = grid_index();
    for (; i + step < vectors; i += 2 * step) {
        float4 b0 = __ldcs(b + i), b1 = __ldcs(b + i + step), c0 = __ldcs(c + i), c1 = __ldcs(c + i + step);
        __stcs(a + i, triad(b0, c0));
        __stcs(a + i + step, triad(b1, c1));
    }
    for (; i < vectors; i += step)
        __stcs(a + i, triad(__ldcs(b + i), __ldcs(c + i)));
}

/* Multiples of 2^-10 in [0, 1): sums and products with the factor differ from word to word. */
__host__ __device__ inline float triad_operand(uint64_t index, uint32_t seed)
{
    return (float)(pattern_word(index, seed) >> 22) * (1.0f / 1024.0f);
}

__global__ void fill_operand_kernel(float *data, uint64_t words, uint32_t seed)
{
    for (uint64_t i = grid_index(); i < words; i += grid_step())
        data[i] = triad_operand(i, seed);
}

__global__ void count_wrong_kernel(const float *a, uint64_t words, uint32_t *wrong)
{
    uint32_t count = 0;
    for (uint64_t i = grid_index(); i < words; i += grid_step())
        count += a[i] != __fmaf_rn(TRIAD_FACTOR, triad_operand(i, 2), triad_operand(i, 1));
    add_to_sum(count, wrong);
}

/* Each block reads all of a buffer that fits the cache, beginning at a place of its own: blocks do not crowd one slice.
 * `vectors` is a multiple of THREADS * L2_BATCH. */
__global__ void __launch_bounds__(THREADS) l2_kernel(const uint4 *from, uint32_t vectors, uint32_t *total)
{
    uint32_t start = (uint32_t)((uint64_t)blockIdx.x * vectors / gridDim.x) / THREADS * THREADS, sum = 0;
    for (uint32_t pass = 0; pass < L2_PASSES; pass++)
        for (uint32_t i = 0; i < vectors; i += L2_BATCH * THREADS) {
            uint4 batch[L2_BATCH];
#pragma unroll
            for (uint32_t b = 0; b < L2_BATCH; b++) {
                uint32_t at = start + i + b * THREADS;
                batch[b] = load_from_l2(from + (at < vectors ? at : at - vectors) + threadIdx.x);
            }
#pragma unroll
            for (uint32_t b = 0; b < L2_BATCH; b++)
                sum = add_words(sum, batch[b]);
        }
    add_to_sum(sum, total);
}

/* --- what the host does with them --- */

struct stream_job {
    const struct probe_device *device;
    const struct probe_budget *budget;
    struct device_buffer a, b, c, total;
    uint64_t bytes;      /* of each array */
    uint32_t l2_vectors; /* of the part that the cache holds */
    uint32_t read_blocks, copy_blocks, triad_blocks, l2_blocks;
};

static void launch_read(void *job, uint32_t, cudaStream_t stream)
{
    const struct stream_job *s = (const struct stream_job *)job;
    read_kernel<<<s->read_blocks, THREADS, 0, stream>>>(s->b.as<uint4>(), s->bytes / 16, s->total.as<uint32_t>());
}

static void launch_copy(void *job, uint32_t, cudaStream_t stream)
{
    const struct stream_job *s = (const struct stream_job *)job;
    copy_kernel<<<s->copy_blocks, THREADS, 0, stream>>>(s->a.as<uint4>(), s->b.as<uint4>(), s->bytes / 16);
}

static void launch_memcpy(void *job, uint32_t, cudaStream_t stream)
{
    const struct stream_job *s = (const struct stream_job *)job;
    cudaMemcpyAsync(s->a.data, s->b.data, s->bytes, cudaMemcpyDeviceToDevice, stream);
}

static void launch_triad(void *job, uint32_t, cudaStream_t stream)
{
    const struct stream_job *s = (const struct stream_job *)job;
    triad_kernel<<<s->triad_blocks, THREADS, 0, stream>>>(s->a.as<float4>(), s->b.as<float4>(), s->c.as<float4>(),
                                                          s->bytes / 16);
}

static void launch_l2(void *job, uint32_t, cudaStream_t stream)
{
    const struct stream_job *s = (const struct stream_job *)job;
    l2_kernel<<<s->l2_blocks, THREADS, 0, stream>>>(s->b.as<uint4>(), s->l2_vectors, s->total.as<uint32_t>());
}

static bool clear_total(const struct stream_job *job, struct probe_result *result)
{
    return probe_ok(cudaMemset(job->total.data, 0, sizeof(uint32_t)), result) &&
           probe_ok(cudaDeviceSynchronize(), result);
}

/* Each launch adds `once` to the total: whatever was launched must have read everything. */
static bool check_total(const struct stream_job *job, uint32_t once, uint32_t launches, struct probe_result *result)
{
    uint32_t total = 0, expected = once * launches;
    if (!probe_ok(cudaMemcpy(&total, job->total.data, sizeof total, cudaMemcpyDeviceToHost), result)) return false;
    if (total == expected) return true;
    probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "%u launches read %08x instead of %08x", launches, total,
               expected);
    return false;
}

/* First one launch alone, then all that were timed. */
static bool measure_reads(struct stream_job *job, launch_function *launch, uint32_t once, struct probe_result *result)
{
    if (!clear_total(job, result)) return false;
    launch(job, 0, 0);
    return probe_ok(cudaGetLastError(), result) && check_total(job, once, 1, result) && clear_total(job, result) &&
           measure_held(result, job->budget, launch, job) && check_total(job, once, result->launches, result);
}

static struct probe_result begin(const struct stream_job *job, const char *name, uint64_t bytes)
{
    struct probe_result result = probe_result_begin(name, "GB/s");
    result.shape.bytes = bytes;
    result.impl = own_impl(job->device);
    result.verified = "checksum";
    return result;
}

static void probe_read(struct stream_job *job, probe_emit *emit, void *sink)
{
    struct probe_result result = begin(job, "dram_read", job->bytes);
    if (measure_reads(job, launch_read, pattern_sum(job->bytes / 4, SEED_A), &result))
        probe_set_rate(&result, (double)job->bytes, 1e9);
    emit(&result, sink);
}

/* A copy leaves the pattern in the other array; it was cleared before. */
static void probe_copy(struct stream_job *job, const char *name, launch_function *launch, const char *impl,
                       probe_emit *emit, void *sink)
{
    struct probe_result result = begin(job, name, job->bytes);
    result.impl = impl;
    bool good = probe_ok(cudaMemset(job->a.data, 0, job->bytes), &result) && probe_ok(cudaDeviceSynchronize(), &result);
    if (good) launch(job, 0, 0);
    good = good && probe_ok(cudaGetLastError(), &result) &&
           check_pattern(job->a.data, job->bytes / 4, SEED_A, &result) &&
           measure_held(&result, job->budget, launch, job);
    if (good) probe_set_rate(&result, 2.0 * (double)job->bytes, 1e9);
    emit(&result, sink);
}

static bool check_triad(struct stream_job *job, struct probe_result *result)
{
    if (!clear_total(job, result)) return false;
    fill_operand_kernel<<<job->triad_blocks, THREADS>>>(job->b.as<float>(), job->bytes / 4, 1);
    fill_operand_kernel<<<job->triad_blocks, THREADS>>>(job->c.as<float>(), job->bytes / 4, 2);
    launch_triad(job, 0, 0);
    count_wrong_kernel<<<job->triad_blocks, THREADS>>>(job->a.as<float>(), job->bytes / 4, job->total.as<uint32_t>());
    return probe_ok(cudaGetLastError(), result) && check_total(job, 0, 1, result);
}

static void probe_triad(struct stream_job *job, probe_emit *emit, void *sink)
{
    struct probe_result result = begin(job, "dram_triad", job->bytes);
    result.verified = "reference";
    bool good = probe_ok(cudaMemset(job->a.data, 0xff, job->bytes), &result) && check_triad(job, &result) &&
                measure_held(&result, job->budget, launch_triad, job);
    if (good) probe_set_rate(&result, 3.0 * (double)job->bytes, 1e9);
    emit(&result, sink);
}

static void probe_l2(struct stream_job *job, probe_emit *emit, void *sink)
{
    uint64_t bytes = (uint64_t)job->l2_vectors * 16;
    struct probe_result result = begin(job, "l2_read", bytes);
    uint32_t once = pattern_sum(bytes / 4, SEED_L2) * L2_PASSES * job->l2_blocks;
    fill_pattern(job->b.data, bytes / 4, SEED_L2);
    if (job->l2_vectors == 0)
        probe_fail(&result, PROBE_WAIVED, REASON_NOT_ENOUGH_MEMORY, "an L2 of %llu bytes",
                   (unsigned long long)job->device->l2_bytes);
    else if (measure_reads(job, launch_l2, once, &result))
        probe_set_rate(&result, (double)bytes * L2_PASSES * job->l2_blocks, 1e9);
    emit(&result, sink);
}

/* 1 GiB, or 8 times L2 if that is more; a fourth of what is free at most, of which there are three. */
static uint64_t array_bytes(const struct probe_device *device)
{
    uint64_t bytes = 8 * device->l2_bytes > 1ull << 30 ? 8 * device->l2_bytes : 1ull << 30;
    if (bytes > device->free_bytes / 4) bytes = device->free_bytes / 4;
    return bytes / (16 * THREADS) * (16 * THREADS);
}

static bool prepare(struct stream_job *job, struct probe_result *result)
{
    const struct probe_device *device = job->device;
    job->bytes = array_bytes(device);
    if (job->bytes == 0 || job->bytes < CACHE_MULTIPLE * device->l2_bytes) {
        probe_fail(result, PROBE_WAIVED, REASON_NOT_ENOUGH_MEMORY, "%llu bytes free, L2 is %llu",
                   (unsigned long long)device->free_bytes, (unsigned long long)device->l2_bytes);
        return false;
    }
    /* A fourth: on chips whose L2 has two halves it fits into one with room to spare. */
    job->l2_vectors = (uint32_t)(device->l2_bytes / 4 / (16 * THREADS * L2_BATCH) * THREADS * L2_BATCH);
    job->read_blocks = full_wave(device, (const void *)read_kernel, THREADS, 0);
    job->copy_blocks = full_wave(device, (const void *)copy_kernel, THREADS, 0);
    job->triad_blocks = full_wave(device, (const void *)triad_kernel, THREADS, 0);
    job->l2_blocks = full_wave(device, (const void *)l2_kernel, THREADS, 0);
    if (!job->a.take(job->bytes, result) || !job->b.take(job->bytes, result) || !job->c.take(job->bytes, result) ||
        !job->total.take(sizeof(uint32_t), result))
        return false;
    fill_pattern(job->b.data, job->bytes / 4, SEED_A);
    return probe_ok(cudaGetLastError(), result) && probe_ok(cudaDeviceSynchronize(), result);
}

extern "C" void probe_stream(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                             void *sink)
{
    struct stream_job job = {};
    struct probe_result why = probe_result_begin("stream", "");
    job.device = device;
    job.budget = budget;
    if (prepare(&job, &why)) {
        probe_read(&job, emit, sink);
        probe_copy(&job, "dram_copy", launch_copy, own_impl(device), emit, sink);
        probe_copy(&job, "dram_memcpy", launch_memcpy, "copy_engine", emit, sink);
        probe_triad(&job, emit, sink); /* overwrites the pattern */
        probe_l2(&job, emit, sink);
    } else {
        static const char *const names[] = {"dram_read", "dram_copy", "dram_memcpy", "dram_triad", "l2_read"};
        for (const char *name : names)
            report_failure(name, "GB/s", NULL, &why, emit, sink);
    }
    group_check("stream", emit, sink);
}
