/* gemm.cu owns the sweep of matrix products over types and rows: where weights limit, where arithmetic does, and
 * between. */
#include "kernels/gemm.cuh"

#include <stdio.h>

static constexpr uint32_t N = 8192, K = 8192;
static const uint32_t row_counts[] = {1, 8, 32, 128, 512, 4096};
static constexpr uint32_t GRAPH_ROWS_MAX = 512; /* above, a launch is so long that launching does not show */
static constexpr uint32_t LT_E4M3_ROWS = 16;    /* of which cuBLASLt wants multiples; engines pad alike */
static constexpr uint32_t CHECKED_OUTPUTS = 64;

/* Weights of one type, in as many copies as exceed L2 five times; all alike, so that one reference serves all. */
struct weight_set {
    struct device_buffer data;
    uint64_t bytes; /* of a copy */
    uint32_t copies;
};

struct gemm_job {
    struct gemm_problem problem; /* with padded rows */
    const struct weight_set *weights;
    struct device_buffer activations, outputs;
    struct lt_plan *plan; /* NULL: our own kernel */
    enum gemm_output output;
    int sm_count, launch_status;
};

static void launch_product(void *job, uint32_t index, cudaStream_t stream)
{
    struct gemm_job *g = (struct gemm_job *)job;
    const char *weights = g->weights->data.as<char>() + index % g->weights->copies * g->weights->bytes;
    struct gemm_buffers buffers = {g->activations.data, weights, g->outputs.data};
    int status = g->plan ? lt_plan_launch(g->plan, &buffers, stream)
                         : (int)gemm_own_launch(&g->problem, &buffers, g->sm_count, stream);
    if (status) g->launch_status = status;
}

static uint64_t output_bytes(enum gemm_output output)
{
    return output == OUTPUT_BF16 || output == OUTPUT_FP16 ? 2 : 4;
}

static double output_value(enum gemm_output output, const void *bytes)
{
    uint16_t half;
    int32_t integer;
    float number;
    memcpy(&half, bytes, sizeof half);
    memcpy(&integer, bytes, sizeof integer);
    memcpy(&number, bytes, sizeof number);
    switch (output) {
    case OUTPUT_BF16: return (double)float_of_bf16(half);
    case OUTPUT_FP16: return (double)float_of_fp16(half);
    case OUTPUT_INT32: return integer;
    case OUTPUT_FP32: break;
    }
    return (double)number;
}

/* --- verification: sampled outputs, corners among them, against double --- */

static bool check_output(const struct gemm_job *job, uint32_t row, uint32_t column, struct probe_result *result)
{
    const struct gemm_format *format = gemm_format_of(job->problem.dtype);
    char bytes[4] = {};
    uint64_t size = output_bytes(job->output), at = ((uint64_t)row * job->problem.n + column) * size;
    if (!probe_ok(cudaMemcpy(bytes, job->outputs.as<char>() + at, size, cudaMemcpyDeviceToHost), result)) return false;
    double value = output_value(job->output, bytes);
    double expected = gemm_reference(job->problem.dtype, row, column, job->problem.k);
    double error = fabs(value - expected) / (format->scale * sqrt((double)job->problem.k));
    if (error <= format->tolerance) return true;
    probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "output [%u][%u] is %.6g instead of %.6g: %.2g of a deviation",
               row, column, value, expected, error);
    return false;
}

static bool check_launch(const struct gemm_job *job, struct probe_result *result)
{
    if (!job->launch_status) return true;
    probe_fail(result, PROBE_ERROR, REASON_CUDA_ERROR, "%s gave status %d", job->plan ? "cublasLtMatmul" : "a launch",
               job->launch_status);
    return false;
}

static bool check_product(struct gemm_job *job, struct probe_result *result)
{
    const struct gemm_problem *problem = &job->problem;
    launch_product(job, job->weights->copies - 1, 0);
    if (!check_launch(job, result) || !probe_ok(cudaGetLastError(), result) ||
        !probe_ok(cudaDeviceSynchronize(), result))
        return false;
    bool good = check_output(job, 0, 0, result) && check_output(job, problem->m - 1, problem->n - 1, result);
    for (uint32_t i = 2; good && i < CHECKED_OUTPUTS; i++)
        good = check_output(job, random_below(11, i, problem->m), random_below(12, i, problem->n), result);
    return good;
}

/* --- one product --- */

static bool prepare_buffers(struct gemm_job *job, struct probe_result *result)
{
    const struct gemm_problem *problem = &job->problem;
    uint64_t bytes = (uint64_t)problem->m * problem->n * output_bytes(job->output);
    if (!job->plan && !probe_ok(gemm_own_prepare(problem), result)) return false;
    if (!job->activations.take(gemm_activation_bytes(problem), result) || !job->outputs.take(bytes, result) ||
        !probe_ok(cudaMemset(job->outputs.data, 0xff, bytes), result))
        return false;
    gemm_fill(problem, GEMM_ACTIVATIONS, 0, job->activations.data);
    return probe_ok(cudaGetLastError(), result);
}

/* cuBLASLt if it is there and takes the problem, else our own kernel. */
static bool choose_product(struct gemm_job *job, int capability, struct probe_result *result)
{
    const char *why = "";
    struct gemm_problem padded = job->problem;
    if (padded.dtype == GEMM_E4M3 && padded.m < LT_E4M3_ROWS) padded.m = LT_E4M3_ROWS;
    job->plan = lt_plan_make(&padded, &job->output, &why);
    if (job->plan) {
        job->problem = padded;
        return true;
    }
    job->output = job->problem.dtype == GEMM_INT8 ? OUTPUT_INT32 : OUTPUT_FP32;
    if (gemm_own_takes(job->problem.dtype, capability)) return true;
    probe_fail(result, PROBE_WAIVED, REASON_NO_LIBRARY, "%s", why);
    return false;
}

static void measure_product(const struct probe_device *device, const struct probe_budget *budget, enum gemm_dtype dtype,
                            const struct weight_set *weights, struct probe_result *result)
{
    struct gemm_job job = {};
    job.problem = {dtype, result->shape.m, N, K};
    job.weights = weights;
    job.sm_count = device->sm_count;
    bool good = choose_product(&job, 10 * device->cc_major + device->cc_minor, result);
    result->impl = job.plan ? "cublaslt" : own_impl(device);
    result->verified = "reference";
    good = good && prepare_buffers(&job, result) && check_product(&job, result);
    if (good)
        good = result->shape.m <= GRAPH_ROWS_MAX
                   ? measure_graph(result, budget, launch_product, &job, 4 * weights->copies)
                   : measure_held(result, budget, launch_product, &job);
    /* Padding is not work: the rows that were asked for count. */
    if (good && check_launch(&job, result)) probe_set_rate(result, 2.0 * result->shape.m * N * K, 1e12);
    lt_plan_free(job.plan);
}

/* --- the sweep --- */

static struct probe_shape shape_of(enum gemm_dtype dtype, uint32_t m)
{
    struct probe_shape shape = {};
    snprintf(shape.dtype, sizeof shape.dtype, "%s", gemm_format_of(dtype)->name);
    shape.m = m;
    shape.n = N;
    shape.k = K;
    return shape;
}

static bool prepare_weights(const struct probe_device *device, enum gemm_dtype dtype, struct weight_set *weights,
                            struct probe_result *why)
{
    const struct gemm_format *format = gemm_format_of(dtype);
    struct gemm_problem problem = {dtype, 1, N, K};
    if (10 * device->cc_major + device->cc_minor < format->capability) {
        probe_fail(why, PROBE_WAIVED, REASON_DTYPE_NOT_IN_HARDWARE, "%s needs compute capability %d.%d", format->name,
                   format->capability / 10, format->capability % 10);
        return false;
    }
    weights->bytes = gemm_weight_bytes(&problem);
    weights->copies = rotation_count(weights->bytes, device->l2_bytes);
    if (weights->bytes * weights->copies > device->free_bytes / 2) {
        probe_fail(why, PROBE_WAIVED, REASON_NOT_ENOUGH_MEMORY, "%u times %llu bytes of weights", weights->copies,
                   (unsigned long long)weights->bytes);
        return false;
    }
    if (!weights->data.take(weights->bytes * weights->copies, why)) return false;
    for (uint32_t i = 0; i < weights->copies; i++)
        gemm_fill(&problem, GEMM_WEIGHTS, 0, weights->data.as<char>() + i * weights->bytes);
    return probe_ok(cudaGetLastError(), why) && probe_ok(cudaDeviceSynchronize(), why);
}

static void probe_dtype(const struct probe_device *device, const struct probe_budget *budget, enum gemm_dtype dtype,
                        probe_emit *emit, void *sink)
{
    struct weight_set weights = {};
    struct probe_result why = probe_result_begin("gemm", "TFLOP/s");
    bool ready = prepare_weights(device, dtype, &weights, &why);
    for (uint32_t m : row_counts) {
        struct probe_result result = ready ? probe_result_begin("gemm", "TFLOP/s") : why;
        result.shape = shape_of(dtype, m);
        if (ready) measure_product(device, budget, dtype, &weights, &result);
        emit(&result, sink);
    }
}

extern "C" void probe_gemm(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                           void *sink)
{
    /* What serving uses most comes first: time may run out. */
    static const enum gemm_dtype order[] = {GEMM_BF16, GEMM_E4M3, GEMM_INT4_BF16, GEMM_INT8,
                                            GEMM_FP16, GEMM_TF32, GEMM_FP32};
    for (enum gemm_dtype dtype : order) {
        probe_dtype(device, budget, dtype, emit, sink);
        pool_trim(device_pool(device->ordinal)); /* the next type has other sizes */
    }
    group_check("gemm", emit, sink);
}
