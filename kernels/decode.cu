/* decode.cu owns what a decode step does to memory: attention over a paged KV cache, and a product with a vector. */
#include "kernels/attention.cuh"
#include "kernels/device.cuh"

#include <stdio.h>
#include <stdlib.h>

/* --- attention --- */

static constexpr uint32_t KV_HEADS = 8;
static constexpr double GRAPH_BYTES_MAX = 2e8; /* above, a launch is so long that launching does not show */

struct attention_case {
    uint32_t batch, tokens, group;
};

static const struct attention_case cases[] = {
    {1, 8192, 4},  /* one long sequence: split, or seven of eight multiprocessors idle */
    {32, 4096, 4}, /* 537 MB of cache, beyond any L2 */
    {32, 4096, 8}, /* the group of Llama 3 70B */
    {128, 1024, 4},
};

struct attention_job {
    const struct probe_device *device;
    struct attention_case shape;
    struct attention_view view; /* of the first rotation */
    struct device_buffer kv, queries, tables, partials, outputs;
    uint32_t *host_tables = NULL; /* [rotation][sequence][page] */
    uint32_t rotation = 1;        /* caches taken in turn, until they exceed L2 five times */
    uint32_t pool_pages;          /* of all rotations, a power of two */
};

static void launch_attention(void *job, uint32_t index, cudaStream_t stream)
{
    const struct attention_job *a = (const struct attention_job *)job;
    struct attention_view view = a->view;
    view.table += (uint64_t)(index % a->rotation) * a->shape.batch * view.pages;
    attention_kernel<<<dim3(a->shape.batch, KV_HEADS, view.splits), ATTENTION_WARPS * 32, RING_BYTES, stream>>>(
        view, a->queries.as<uint16_t>(), a->partials.as<float>());
    combine_kernel<<<a->shape.batch * KV_HEADS, KV_DIMENSIONS, 0, stream>>>(view, a->partials.as<float>(),
                                                                            a->outputs.as<uint16_t>());
}

/* Keys and values, each once. */
static double cache_bytes(const struct attention_case *shape)
{
    return 2.0 * 2.0 * shape->batch * shape->tokens * KV_HEADS * KV_DIMENSIONS;
}

static bool prepare_tables(struct attention_job *job, struct probe_result *result)
{
    uint64_t entries = (uint64_t)job->rotation * job->shape.batch * job->view.pages, bytes = entries * sizeof(uint32_t);
    job->host_tables = (uint32_t *)malloc(bytes);
    if (!job->host_tables) {
        probe_fail(result, PROBE_WAIVED, REASON_NOT_ENOUGH_MEMORY, "%llu bytes of host memory",
                   (unsigned long long)bytes);
        return false;
    }
    for (uint64_t i = 0; i < entries; i++)
        job->host_tables[i] = kv_page((uint32_t)i, job->pool_pages);
    return job->tables.take(bytes, result) &&
           probe_ok(cudaMemcpy(job->tables.data, job->host_tables, bytes, cudaMemcpyHostToDevice), result);
}

static bool choose_splits(struct attention_job *job, struct probe_result *result)
{
    cudaFuncAttribute dynamic = cudaFuncAttributeMaxDynamicSharedMemorySize;
    if (!probe_ok(cudaFuncSetAttribute(attention_kernel, dynamic, RING_BYTES), result)) return false;
    uint32_t slots = full_wave(job->device, (const void *)attention_kernel, ATTENTION_WARPS * 32, RING_BYTES);
    job->view.splits = decode_splits(job->shape.batch * KV_HEADS, slots, job->view.pages, ATTENTION_WARPS);
    return true;
}

static bool prepare_attention(struct attention_job *job, struct probe_result *result)
{
    const struct attention_case *shape = &job->shape;
    uint64_t rows = (uint64_t)shape->batch * KV_HEADS * shape->group;
    job->view = {NULL, NULL, KV_HEADS, shape->tokens / KV_PAGE_TOKENS, shape->tokens, shape->group, 1};
    job->rotation = rotation_count((uint64_t)cache_bytes(shape), job->device->l2_bytes);
    job->pool_pages = round_up_to_power_of_2(job->rotation * shape->batch * job->view.pages);
    uint64_t kv_elements = (uint64_t)job->pool_pages * 2 * KV_HEADS * KV_PAGE_TOKENS * KV_DIMENSIONS;
    if (kv_elements * 2 > job->device->free_bytes / 4 * 3) {
        probe_fail(result, PROBE_WAIVED, REASON_NOT_ENOUGH_MEMORY, "%llu bytes of cache",
                   (unsigned long long)kv_elements * 2);
        return false;
    }
    if (!choose_splits(job, result) || !prepare_tables(job, result) || !job->kv.take(kv_elements * 2, result) ||
        !job->queries.take(rows * KV_DIMENSIONS * 2, result) || !job->outputs.take(rows * KV_DIMENSIONS * 2, result) ||
        !job->partials.take(rows * job->view.splits * PARTIAL_FLOATS * sizeof(float), result))
        return false;
    fill_bf16(job->kv.data, kv_elements, STREAM_KV);
    fill_bf16(job->queries.data, rows * KV_DIMENSIONS, STREAM_QUERY);
    job->view.kv = job->kv.as<uint16_t>();
    job->view.table = job->tables.as<uint32_t>();
    return probe_ok(cudaGetLastError(), result) &&
           probe_ok(cudaMemset(job->outputs.data, 0xff, rows * KV_DIMENSIONS * 2), result);
}

/* All 128 outputs of a query head, against double. */
static bool check_head(const struct attention_job *job, uint32_t sequence, uint32_t head, struct probe_result *result)
{
    uint32_t heads = KV_HEADS * job->shape.group;
    uint16_t outputs[KV_DIMENSIONS];
    double expected[KV_DIMENSIONS], worst = 0;
    struct attention_query query = {job->host_tables + (uint64_t)sequence * job->view.pages,
                                    (uint64_t)sequence * heads + head, head / job->shape.group, KV_HEADS,
                                    job->shape.tokens};
    const uint16_t *from = job->outputs.as<uint16_t>() + query.query_row * KV_DIMENSIONS;
    if (!probe_ok(cudaMemcpy(outputs, from, sizeof outputs, cudaMemcpyDeviceToHost), result)) return false;
    attention_reference(&query, expected);
    for (uint32_t d = 0; d < KV_DIMENSIONS; d++) {
        double error = fabs((double)float_of_bf16(outputs[d]) - expected[d]) * sqrt((double)job->shape.tokens);
        if (!(error <= worst)) worst = error; /* keeps a NaN */
    }
    if (worst <= ATTENTION_TOLERANCE) return true;
    probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "head %u of sequence %u is off by %.3g of its deviation", head,
               sequence, worst);
    return false;
}

static bool check_attention(struct attention_job *job, struct probe_result *result)
{
    launch_attention(job, 0, 0);
    if (!probe_ok(cudaGetLastError(), result) || !probe_ok(cudaDeviceSynchronize(), result)) return false;
    uint32_t last = job->shape.batch - 1, heads = KV_HEADS * job->shape.group;
    return check_head(job, random_below(31, 0, job->shape.batch), random_below(32, 0, heads), result) &&
           check_head(job, last, heads - 1, result);
}

static struct probe_shape attention_shape(const struct attention_case *shape)
{
    struct probe_shape described = {};
    snprintf(described.dtype, sizeof described.dtype, "bf16");
    described.batch = shape->batch;
    described.context_tokens = shape->tokens;
    described.group = shape->group;
    described.bytes = (uint64_t)cache_bytes(shape);
    return described;
}

static void probe_attention(const struct probe_device *device, const struct probe_budget *budget,
                            const struct attention_case *shape, probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin("decode_attention", "GB/s");
    struct attention_job job;
    job.device = device;
    job.shape = *shape;
    result.shape = attention_shape(shape);
    result.impl = own_impl(device);
    result.verified = "reference";
    bool good = prepare_attention(&job, &result) && check_attention(&job, &result);
    bool brief = cache_bytes(shape) < GRAPH_BYTES_MAX;
    uint32_t per_graph = (uint32_t)divide_up(32, job.rotation) * job.rotation; /* whole rounds of all caches */
    good = good && (brief ? measure_graph(&result, budget, launch_attention, &job, per_graph)
                          : measure_held(&result, budget, launch_attention, &job));
    if (good) probe_set_rate(&result, cache_bytes(shape), 1e9);
    emit(&result, sink);
    free(job.host_tables);
}

/* --- the product of a weight matrix with one vector --- */

static constexpr uint32_t GEMV_THREADS = 256, GEMV_WARPS = GEMV_THREADS / 32, GEMV_N = 8192, GEMV_K = 8192;
static constexpr uint32_t GEMV_BATCH = 4; /* x 16 bytes in flight for each lane */
static constexpr uint32_t ROW_VECTORS = GEMV_K / 8;
static_assert(ROW_VECTORS % (32 * GEMV_BATCH) == 0, "a warp reads whole batches");

__device__ __forceinline__ uint4 load_weights(const uint4 *from)
{
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(from));
    return v;
}

__device__ __forceinline__ float add_pair(float sum, uint32_t a, uint32_t b)
{
    sum = __fmaf_rn(__uint_as_float(a << 16), __uint_as_float(b << 16), sum);
    return __fmaf_rn(__uint_as_float(a & 0xffff0000u), __uint_as_float(b & 0xffff0000u), sum);
}

__device__ __forceinline__ float add_vectors(float sum, uint4 a, uint4 b)
{
    return add_pair(add_pair(add_pair(add_pair(sum, a.x, b.x), a.y, b.y), a.z, b.z), a.w, b.w);
}

/* A warp for each row at a time; x waits in shared memory, as wide as the weights and free of bank conflicts. */
__global__ void __launch_bounds__(GEMV_THREADS)
    gemv_kernel(const uint4 *__restrict__ weights, const uint4 *__restrict__ x, float *__restrict__ y)
{
    __shared__ uint4 shared_x[ROW_VECTORS];
    for (uint32_t i = threadIdx.x; i < ROW_VECTORS; i += GEMV_THREADS)
        shared_x[i] = x[i];
    __syncthreads();
    uint32_t lane = threadIdx.x % 32;
    for (uint32_t row = blockIdx.x * GEMV_WARPS + threadIdx.x / 32; row < GEMV_N; row += gridDim.x * GEMV_WARPS) {
        const uint4 *own = weights + (uint64_t)row * ROW_VECTORS;
        float sum = 0;
        for (uint32_t i = lane; i < ROW_VECTORS; i += 32 * GEMV_BATCH) {
            uint4 batch[GEMV_BATCH];
#pragma unroll
            for (uint32_t b = 0; b < GEMV_BATCH; b++)
                batch[b] = load_weights(own + i + 32 * b);
#pragma unroll
            for (uint32_t b = 0; b < GEMV_BATCH; b++)
                sum = add_vectors(sum, batch[b], shared_x[i + 32 * b]);
        }
        for (int apart = 16; apart; apart /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, apart);
        if (lane == 0) y[row] = sum;
    }
}

struct gemv_job {
    struct device_buffer weights, x, y;
    uint32_t rotation, blocks;
};

static constexpr uint64_t GEMV_BYTES = (uint64_t)GEMV_N * GEMV_K * 2;

static void launch_gemv(void *job, uint32_t index, cudaStream_t stream)
{
    const struct gemv_job *g = (const struct gemv_job *)job;
    const uint4 *weights = g->weights.as<uint4>() + index % g->rotation * (GEMV_BYTES / 16);
    gemv_kernel<<<g->blocks, GEMV_THREADS, 0, stream>>>(weights, g->x.as<uint4>(), g->y.as<float>());
}

static bool prepare_gemv(const struct probe_device *device, struct gemv_job *job, struct probe_result *result)
{
    job->rotation = rotation_count(GEMV_BYTES, device->l2_bytes);
    job->blocks = full_wave(device, (const void *)gemv_kernel, GEMV_THREADS, 0);
    if (!job->weights.take(GEMV_BYTES * job->rotation, result) || !job->x.take(GEMV_K * 2, result) ||
        !job->y.take(GEMV_N * sizeof(float), result))
        return false;
    for (uint32_t i = 0; i < job->rotation; i++) /* the same in each: one reference serves all */
        fill_bf16(job->weights.as<char>() + i * GEMV_BYTES, GEMV_BYTES / 2, STREAM_WEIGHTS);
    fill_bf16(job->x.data, GEMV_K, STREAM_ACTIVATIONS);
    return probe_ok(cudaGetLastError(), result);
}

static bool check_gemv(struct gemv_job *job, struct probe_result *result)
{
    const struct gemm_format *format = gemm_format_of(GEMM_BF16);
    double tolerance = 1e-3 * format->scale * sqrt((double)GEMV_K); /* outputs are float: nothing is rounded to bf16 */
    launch_gemv(job, 0, 0);
    if (!probe_ok(cudaGetLastError(), result)) return false;
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t row = random_below(33, i, GEMV_N);
        float y = 0;
        if (!probe_ok(cudaMemcpy(&y, job->y.as<float>() + row, sizeof y, cudaMemcpyDeviceToHost), result)) return false;
        double expected = gemm_reference(GEMM_BF16, 0, row, GEMV_K);
        if (fabs((double)y - expected) <= tolerance) continue;
        probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "output %u is %.6g instead of %.6g", row, (double)y,
                   expected);
        return false;
    }
    return true;
}

static void probe_gemv(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                       void *sink)
{
    struct probe_result result = probe_result_begin("decode_gemv", "GB/s");
    struct gemv_job job = {};
    snprintf(result.shape.dtype, sizeof result.shape.dtype, "bf16");
    result.shape.m = 1;
    result.shape.n = GEMV_N;
    result.shape.k = GEMV_K;
    result.shape.bytes = GEMV_BYTES;
    result.impl = own_impl(device);
    result.verified = "reference";
    if (prepare_gemv(device, &job, &result) && check_gemv(&job, &result) &&
        measure_graph(&result, budget, launch_gemv, &job, 4 * job.rotation))
        probe_set_rate(&result, (double)GEMV_BYTES, 1e9);
    emit(&result, sink);
}

extern "C" void probe_decode(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                             void *sink)
{
    for (const struct attention_case &shape : cases) {
        struct probe_shape described = attention_shape(&shape);
        if (device->cc_major >= 8)
            probe_attention(device, budget, &shape, emit, sink);
        else
            waive("decode_attention", "GB/s", &described, REASON_DTYPE_NOT_IN_HARDWARE,
                  "tensor cores take bf16 from compute capability 8.0 on", emit, sink);
    }
    probe_gemv(device, budget, emit, sink);
    group_check("decode", emit, sink);
}
