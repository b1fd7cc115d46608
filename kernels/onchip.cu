/* onchip.cu owns what lies nearest to the arithmetic: registers, shared memory, L1; and how long one access takes. */
#include "kernels/device.cuh"

#include <stdio.h>
#include <stdlib.h>

static constexpr uint32_t THREADS = 1024, FMA_THREADS = 256;
static constexpr uint32_t SHARED_VECTORS = 2048; /* 32 KiB */
static constexpr uint32_t L1_VECTORS = 1024;     /* 16 KiB: less than any L1 since compute capability 7.5 */
static constexpr uint32_t UNROLL = 8, READ_LOOPS = 512, FMA_LOOPS = 512, FMA_UNROLL = 16, CHAINS = 8;
static constexpr float FMA_FACTOR = 1.0f - 1.0f / (1 << 20), FMA_TERM = 3.0f / (1 << 20);
enum { SEED_SHARED = 5, SEED_L1 = 6, STREAM_CHASE = 7 };

/* --- bandwidth. A warp's 32 lanes read 32 vectors in a row, and step by 32: after `vectors` / 32 steps each warp has
 * read everything once, so the sum is known. --- */

__device__ __forceinline__ uint32_t vector_at(uint32_t read, uint32_t vectors)
{
    return (threadIdx.x + read * 32u) & (vectors - 1u);
}

__global__ void __launch_bounds__(THREADS) shared_kernel(uint32_t *total)
{
    __shared__ uint4 tile[SHARED_VECTORS];
    for (uint32_t i = threadIdx.x; i < SHARED_VECTORS; i += THREADS)
        tile[i] = make_uint4(pattern_word(4 * i, SEED_SHARED), pattern_word(4 * i + 1, SEED_SHARED),
                             pattern_word(4 * i + 2, SEED_SHARED), pattern_word(4 * i + 3, SEED_SHARED));
    __syncthreads();
    uint32_t base = (uint32_t)__cvta_generic_to_shared(tile), sum = 0;
    for (uint32_t loop = 0; loop < READ_LOOPS; loop++)
#pragma unroll
        for (uint32_t u = 0; u < UNROLL; u++) {
            uint4 v;
            asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];"
                         : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                         : "r"(base + 16u * vector_at(loop * UNROLL + u, SHARED_VECTORS)));
            sum = add_words(sum, v);
        }
    add_to_sum(sum, total);
}

__global__ void __launch_bounds__(THREADS) l1_kernel(const uint4 *from, uint32_t *total)
{
    const uint4 *own = from + (uint64_t)blockIdx.x * L1_VECTORS; /* no block shares a line with another */
    uint32_t sum = 0;
    for (uint32_t loop = 0; loop < READ_LOOPS; loop++)
#pragma unroll
        for (uint32_t u = 0; u < UNROLL; u++) {
            uint4 v;
            asm volatile("ld.global.ca.v4.u32 {%0,%1,%2,%3}, [%4];"
                         : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                         : "l"(own + vector_at(loop * UNROLL + u, L1_VECTORS)));
            sum = add_words(sum, v);
        }
    add_to_sum(sum, total);
}

/* Independent chains of fused multiply-adds on registers alone; each thread hands on what it ended with. */
__global__ void __launch_bounds__(FMA_THREADS) fma_kernel(float factor, float term, float *ends)
{
    float chain[CHAINS];
#pragma unroll
    for (uint32_t c = 0; c < CHAINS; c++)
        chain[c] = (float)(threadIdx.x + c);
    for (uint32_t loop = 0; loop < FMA_LOOPS; loop++)
#pragma unroll
        for (uint32_t u = 0; u < FMA_UNROLL; u++)
#pragma unroll
            for (uint32_t c = 0; c < CHAINS; c++)
                chain[c] = __fmaf_rn(chain[c], factor, term);
    float sum = 0;
#pragma unroll
    for (uint32_t c = 0; c < CHAINS; c++)
        sum = __fadd_rn(sum, chain[c]);
    ends[grid_index()] = sum;
}

static float fma_reference(uint32_t thread)
{
    float sum = 0;
    for (uint32_t c = 0; c < CHAINS; c++) {
        float chain = (float)(thread + c);
        for (uint32_t i = 0; i < FMA_LOOPS * FMA_UNROLL; i++)
            chain = fmaf(chain, FMA_FACTOR, FMA_TERM);
        sum += chain;
    }
    return sum;
}

struct onchip_job {
    const struct probe_device *device;
    const struct probe_budget *budget;
    struct device_buffer l1, total, ends;
    uint32_t fma_blocks;
};

static void launch_shared(void *job, uint32_t, cudaStream_t stream)
{
    const struct onchip_job *o = (const struct onchip_job *)job;
    shared_kernel<<<o->device->sm_count, THREADS, 0, stream>>>(o->total.as<uint32_t>());
}

static void launch_l1(void *job, uint32_t, cudaStream_t stream)
{
    const struct onchip_job *o = (const struct onchip_job *)job;
    l1_kernel<<<o->device->sm_count, THREADS, 0, stream>>>(o->l1.as<uint4>(), o->total.as<uint32_t>());
}

static void launch_fma(void *job, uint32_t, cudaStream_t stream)
{
    const struct onchip_job *o = (const struct onchip_job *)job;
    fma_kernel<<<o->fma_blocks, FMA_THREADS, 0, stream>>>(FMA_FACTOR, FMA_TERM, o->ends.as<float>());
}

static bool check_total(const struct onchip_job *job, uint32_t expected, struct probe_result *result)
{
    uint32_t total = 0;
    if (!probe_ok(cudaMemcpy(&total, job->total.data, sizeof total, cudaMemcpyDeviceToHost), result)) return false;
    if (total == expected) return true;
    probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "read %08x instead of %08x", total, expected);
    return false;
}

static bool clear_total(const struct onchip_job *job, struct probe_result *result)
{
    return probe_ok(cudaMemset(job->total.data, 0, sizeof(uint32_t)), result) &&
           probe_ok(cudaDeviceSynchronize(), result);
}

/* `once`: what all warps of one launch add. */
static void probe_reads(struct onchip_job *job, const char *name, launch_function *launch, uint32_t once,
                        probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin(name, "GB/s");
    double bytes = 16.0 * UNROLL * READ_LOOPS * THREADS * job->device->sm_count;
    result.impl = own_impl(job->device);
    result.verified = "checksum";
    bool good = clear_total(job, &result);
    if (good) launch(job, 0, 0);
    good = good && probe_ok(cudaGetLastError(), &result) && check_total(job, once, &result) &&
           clear_total(job, &result) && measure_held(&result, job->budget, launch, job) &&
           check_total(job, once * result.launches, &result);
    if (good) probe_set_rate(&result, bytes, 1e9);
    emit(&result, sink);
}

static bool check_ends(const struct onchip_job *job, struct probe_result *result)
{
    for (uint32_t i = 0; i < 8; i++) {
        uint32_t block = random_below(1, i, job->fma_blocks), thread = random_below(2, i, FMA_THREADS);
        const float *from = job->ends.as<float>() + (uint64_t)block * FMA_THREADS + thread;
        float end = 0, expected = fma_reference(thread);
        if (!probe_ok(cudaMemcpy(&end, from, sizeof end, cudaMemcpyDeviceToHost), result)) return false;
        if (end == expected) continue;
        probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "a chain ended at %.9g instead of %.9g", end, expected);
        return false;
    }
    return true;
}

/* The same samples twice: as operations, and as what the operands are, three of 4 bytes for each multiply-add. Some
 * come from the operand cache instead of a register bank: it is the rate at which arithmetic is fed. */
static void probe_registers(struct onchip_job *job, probe_emit *emit, void *sink)
{
    double fmas = (double)CHAINS * FMA_UNROLL * FMA_LOOPS * FMA_THREADS * job->fma_blocks;
    struct probe_result result = probe_result_begin("fma_fp32", "TFLOP/s");
    snprintf(result.shape.dtype, sizeof result.shape.dtype, "fp32");
    result.impl = own_impl(job->device);
    result.verified = "reference";
    launch_fma(job, 0, 0);
    bool good = probe_ok(cudaGetLastError(), &result) && check_ends(job, &result) &&
                measure_held(&result, job->budget, launch_fma, job);
    struct probe_result operands = result;
    snprintf(operands.name, sizeof operands.name, "register_read");
    snprintf(operands.unit, sizeof operands.unit, "GB/s");
    if (good) {
        probe_set_rate(&result, 2 * fmas, 1e12);
        probe_set_rate(&operands, 12 * fmas, 1e9);
    }
    emit(&result, sink);
    emit(&operands, sink);
}

/* --- latency: each hop needs the one before --- */

static constexpr uint32_t LINE_WORDS = 32; /* 128 bytes: each hop is a line of its own */

__global__ void fill_chase_kernel(uint32_t *lines, const uint32_t *next, uint32_t count)
{
    for (uint64_t i = grid_index(); i < count; i += grid_step())
        lines[i * LINE_WORDS] = next[i];
}

/* Goes on where the last launch ended: a walk that began anew would find its first lines in a cache. */
template <bool through_l1> __global__ void chase_kernel(const uint32_t *lines, uint32_t hops, uint32_t *place)
{
    uint32_t at = *place;
    for (uint32_t i = 0; i < hops; i++) {
        const uint32_t *line = lines + (uint64_t)at * LINE_WORDS;
        if (through_l1)
            asm volatile("ld.global.ca.u32 %0, [%1];" : "=r"(at) : "l"(line));
        else
            asm volatile("ld.global.cg.u32 %0, [%1];" : "=r"(at) : "l"(line));
    }
    *place = at;
}

struct chase_job {
    struct device_buffer lines, next, place;
    uint32_t *host_next;
    uint32_t count, hops;
    bool through_l1;
};

static void launch_chase(void *job, uint32_t, cudaStream_t stream)
{
    const struct chase_job *c = (const struct chase_job *)job;
    if (c->through_l1)
        chase_kernel<true><<<1, 1, 0, stream>>>(c->lines.as<uint32_t>(), c->hops, c->place.as<uint32_t>());
    else
        chase_kernel<false><<<1, 1, 0, stream>>>(c->lines.as<uint32_t>(), c->hops, c->place.as<uint32_t>());
}

static bool prepare_chase(struct chase_job *job, struct probe_result *result)
{
    uint64_t bytes = (uint64_t)job->count * sizeof(uint32_t);
    job->host_next = (uint32_t *)malloc(bytes);
    if (!job->host_next) {
        probe_fail(result, PROBE_WAIVED, REASON_NOT_ENOUGH_MEMORY, "%llu bytes of host memory",
                   (unsigned long long)bytes);
        return false;
    }
    chase_build(job->host_next, job->count, STREAM_CHASE);
    if (!job->next.take(bytes, result) || !job->lines.take(bytes * LINE_WORDS, result) ||
        !job->place.take(sizeof(uint32_t), result) ||
        !probe_ok(cudaMemcpy(job->next.data, job->host_next, bytes, cudaMemcpyHostToDevice), result) ||
        !probe_ok(cudaMemset(job->place.data, 0, sizeof(uint32_t)), result))
        return false;
    fill_chase_kernel<<<256, 256>>>(job->lines.as<uint32_t>(), job->next.as<uint32_t>(), job->count);
    return probe_ok(cudaGetLastError(), result) && probe_ok(cudaDeviceSynchronize(), result);
}

/* The host walks the same way. */
static bool check_chase(const struct chase_job *job, uint64_t launches, struct probe_result *result)
{
    uint32_t place = 0, expected = chase_walk(job->host_next, 0, launches * job->hops % job->count);
    if (!probe_ok(cudaMemcpy(&place, job->place.data, sizeof place, cudaMemcpyDeviceToHost), result)) return false;
    if (place == expected) return true;
    probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "the walk ended at line %u instead of %u", place, expected);
    return false;
}

static void probe_latency(struct onchip_job *onchip, const char *name, uint64_t bytes, uint32_t hops, bool through_l1,
                          probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin(name, "ns");
    struct chase_job job = {};
    job.count = (uint32_t)(bytes / (LINE_WORDS * sizeof(uint32_t)));
    job.hops = hops;
    job.through_l1 = through_l1;
    result.shape.bytes = bytes;
    result.impl = own_impl(onchip->device);
    result.verified = "walked";
    bool good = prepare_chase(&job, &result);
    if (good) launch_chase(&job, 0, 0);
    good = good && probe_ok(cudaGetLastError(), &result) && check_chase(&job, 1, &result) &&
           measure_held(&result, onchip->budget, launch_chase, &job) &&
           check_chase(&job, 1 + (uint64_t)result.launches, &result);
    for (uint32_t i = 0; i < result.samples; i++)
        result.seconds[i] /= hops;
    if (good) probe_set_time(&result, 1e-9);
    emit(&result, sink);
    free(job.host_next);
}

static void probe_latencies(struct onchip_job *job, probe_emit *emit, void *sink)
{
    uint64_t l2 = job->device->l2_bytes / 4, dram = CACHE_MULTIPLE * job->device->l2_bytes;
    if (l2 > 16 << 20) l2 = 16 << 20; /* so few lines that the warm-up walks them all */
    if (dram < 64 << 20) dram = 64 << 20;
    probe_latency(job, "l1_latency", 16 << 10, 1 << 18, true, emit, sink);
    if (l2 >= 64 << 10)
        probe_latency(job, "l2_latency", l2, 1 << 15, false, emit, sink);
    else
        waive("l2_latency", "ns", NULL, REASON_NOT_ENOUGH_MEMORY, "the driver tells no size of L2", emit, sink);
    probe_latency(job, "dram_latency", dram, 1 << 13, false, emit, sink);
}

static bool prepare(struct onchip_job *job, struct probe_result *result)
{
    uint32_t blocks = (uint32_t)job->device->sm_count;
    job->fma_blocks = full_wave(job->device, (const void *)fma_kernel, FMA_THREADS, 0);
    if (!job->l1.take((uint64_t)blocks * L1_VECTORS * 16, result) || !job->total.take(sizeof(uint32_t), result) ||
        !job->ends.take((uint64_t)job->fma_blocks * FMA_THREADS * sizeof(float), result))
        return false;
    for (uint32_t block = 0; block < blocks; block++)
        fill_pattern(job->l1.as<uint4>() + (uint64_t)block * L1_VECTORS, L1_VECTORS * 4, SEED_L1);
    return probe_ok(cudaGetLastError(), result) && probe_ok(cudaDeviceSynchronize(), result);
}

extern "C" void probe_onchip(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                             void *sink)
{
    static const uint32_t warps = THREADS / 32, reads = READ_LOOPS * UNROLL * 32;
    struct onchip_job job = {};
    struct probe_result why = probe_result_begin("onchip", "");
    uint32_t blocks = (uint32_t)device->sm_count;
    job.device = device;
    job.budget = budget;
    if (prepare(&job, &why)) {
        uint32_t shared_sum = pattern_sum(SHARED_VECTORS * 4, SEED_SHARED) * (reads / SHARED_VECTORS) * warps * blocks;
        uint32_t l1_sum = pattern_sum(L1_VECTORS * 4, SEED_L1) * (reads / L1_VECTORS) * warps * blocks;
        probe_registers(&job, emit, sink);
        probe_reads(&job, "shared_read", launch_shared, shared_sum, emit, sink);
        probe_reads(&job, "l1_read", launch_l1, l1_sum, emit, sink);
        probe_latencies(&job, emit, sink);
    } else {
        static const char *const names[] = {"fma_fp32",   "register_read", "shared_read", "l1_read",
                                            "l1_latency", "l2_latency",    "dram_latency"};
        for (const char *name : names)
            report_failure(name, "", NULL, &why, emit, sink);
    }
    group_check("onchip", emit, sink);
}
