/* collective.cu owns what GPUs do together: all-reduce as tensor parallelism needs it, and a linear layer whose outputs
 * are split over them. By the host's clock: the slowest GPU counts, for a step waits for it. */
#include "kernels/gemm.cuh"
#include "kernels/nccl.cuh"

#include <stdio.h>

/* One stream on each GPU. The device that is probed is current again at the end. */
struct ranks {
    int count, home;
    cudaStream_t streams[DEVICES_MAX];
};

static bool ranks_begin(struct ranks *ranks, const struct probe_device *device, int count, struct probe_result *result)
{
    *ranks = {};
    ranks->count = count;
    ranks->home = device->ordinal;
    for (int i = 0; i < count; i++)
        if (!probe_ok(cudaSetDevice(i), result) ||
            !probe_ok(cudaStreamCreateWithFlags(&ranks->streams[i], cudaStreamNonBlocking), result))
            return false;
    return true;
}

static void ranks_end(struct ranks *ranks)
{
    for (int i = 0; i < ranks->count; i++)
        if (ranks->streams[i]) cudaStreamDestroy(ranks->streams[i]);
    cudaSetDevice(ranks->home);
}

static bool ranks_wait(const struct ranks *ranks, struct probe_result *result)
{
    for (int i = 0; i < ranks->count; i++)
        if (!probe_ok(cudaSetDevice(i), result) || !probe_ok(cudaGetLastError(), result) ||
            !probe_ok(cudaStreamSynchronize(ranks->streams[i]), result))
            return false;
    return true;
}

/* --- all-reduce --- */

static const uint64_t message_bytes[] = {8 << 10, 64 << 10, 1 << 20, 16 << 20, 128 << 20};
static constexpr uint64_t MESSAGE_BYTES_MAX = 128 << 20;

struct reduce_job {
    struct ranks *ranks;
    struct nccl_library nccl;
    nccl_comm comms[DEVICES_MAX];
    struct device_buffer send[DEVICES_MAX], receive[DEVICES_MAX], wrong[DEVICES_MAX];
    uint64_t bytes;
    uint32_t per_sample;
};

/* Small whole numbers: their sum over ranks is exact in any order. */
__global__ void fill_rank_kernel(float *data, uint64_t count, uint32_t rank)
{
    for (uint64_t i = grid_index(); i < count; i += grid_step())
        data[i] = (float)(rank + 1 + i % 16);
}

__global__ void check_reduced_kernel(const float *data, uint64_t count, uint32_t ranks, uint32_t *wrong)
{
    uint32_t found = 0;
    for (uint64_t i = grid_index(); i < count; i += grid_step())
        found += data[i] != (float)(ranks * (ranks + 1) / 2 + ranks * (uint32_t)(i % 16));
    add_to_sum(found, wrong);
}

static bool nccl_ok(const struct reduce_job *job, int status, struct probe_result *result)
{
    if (status == NCCL_SUCCESS) return true;
    probe_fail(result, PROBE_ERROR, REASON_CUDA_ERROR, "NCCL: %s", job->nccl.error_string(status));
    return false;
}

static bool enqueue_reduce(struct reduce_job *job, struct probe_result *result)
{
    if (!nccl_ok(job, job->nccl.group_start(), result)) return false;
    int status = NCCL_SUCCESS;
    for (int i = 0; i < job->ranks->count; i++) {
        int own = job->nccl.all_reduce(job->send[i].data, job->receive[i].data, job->bytes / sizeof(float),
                                       NCCL_FLOAT32, NCCL_SUM, job->comms[i], job->ranks->streams[i]);
        if (own != NCCL_SUCCESS) status = own;
    }
    int end = job->nccl.group_end();
    return nccl_ok(job, status, result) && nccl_ok(job, end, result);
}

static bool reduce_and_wait(void *context, struct probe_result *result)
{
    struct reduce_job *job = (struct reduce_job *)context;
    for (uint32_t i = 0; i < job->per_sample; i++)
        if (!enqueue_reduce(job, result)) return false;
    return ranks_wait(job->ranks, result);
}

/* Every element on every GPU. */
static bool check_reduced(struct reduce_job *job, struct probe_result *result)
{
    for (int i = 0; i < job->ranks->count; i++) {
        cudaStream_t stream = job->ranks->streams[i];
        uint32_t wrong = 0;
        if (!probe_ok(cudaSetDevice(i), result) ||
            !probe_ok(cudaMemsetAsync(job->wrong[i].data, 0, sizeof wrong, stream), result))
            return false;
        check_reduced_kernel<<<256, 256, 0, stream>>>(job->receive[i].as<float>(), job->bytes / sizeof(float),
                                                      (uint32_t)job->ranks->count, job->wrong[i].as<uint32_t>());
        if (!probe_ok(cudaGetLastError(), result) || !probe_ok(cudaStreamSynchronize(stream), result) ||
            !probe_ok(cudaMemcpy(&wrong, job->wrong[i].data, sizeof wrong, cudaMemcpyDeviceToHost), result))
            return false;
        if (wrong == 0) continue;
        probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "%u elements are wrong on device %d", wrong, i);
        return false;
    }
    return true;
}

static bool prepare_reduce(struct reduce_job *job, struct probe_result *why)
{
    const char *text = "";
    int devices[DEVICES_MAX];
    if (!nccl_load(&job->nccl, &text)) {
        probe_fail(why, PROBE_WAIVED, REASON_NO_LIBRARY, "%s", text);
        return false;
    }
    for (int i = 0; i < job->ranks->count; i++) {
        devices[i] = i;
        if (!probe_ok(cudaSetDevice(i), why) || !job->send[i].take(MESSAGE_BYTES_MAX, why) ||
            !job->receive[i].take(MESSAGE_BYTES_MAX, why) || !job->wrong[i].take(sizeof(uint32_t), why) ||
            !probe_ok(cudaMemset(job->receive[i].data, 0xff, MESSAGE_BYTES_MAX), why))
            return false;
        fill_rank_kernel<<<256, 256>>>(job->send[i].as<float>(), MESSAGE_BYTES_MAX / sizeof(float), (uint32_t)i);
        if (!probe_ok(cudaGetLastError(), why) || !probe_ok(cudaDeviceSynchronize(), why)) return false;
    }
    return nccl_ok(job, job->nccl.comm_init_all(job->comms, job->ranks->count, devices), why);
}

static struct probe_shape message_shape(uint64_t bytes, int gpus)
{
    struct probe_shape shape = {};
    shape.bytes = bytes;
    shape.gpus = (uint32_t)gpus;
    return shape;
}

static void probe_all_reduce(struct ranks *ranks, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct probe_result why = probe_result_begin("all_reduce", "us");
    struct reduce_job job = {};
    job.ranks = ranks;
    bool ready = prepare_reduce(&job, &why);
    for (uint64_t bytes : message_bytes) {
        struct probe_result result = ready ? probe_result_begin("all_reduce", "us") : why;
        result.shape = message_shape(bytes, ranks->count);
        result.impl = "nccl";
        result.verified = "reference";
        job.bytes = bytes;
        job.per_sample = bytes <= 1 << 20 ? 20 : 2; /* waiting must not be what is measured */
        if (ready && reduce_and_wait(&job, &result) && check_reduced(&job, &result) &&
            measure_host(&result, budget, reduce_and_wait, &job, job.per_sample))
            probe_set_time(&result, 1e-6);
        emit(&result, sink);
    }
    for (int i = 0; i < ranks->count; i++)
        if (job.comms[i]) job.nccl.comm_destroy(job.comms[i]);
}

/* --- a linear layer split by outputs: each GPU computes its columns, then all get all --- */

static constexpr uint32_t LINEAR_N = 8192, LINEAR_K = 8192, SHARD_UNIT = 128;
static const uint32_t linear_rows[] = {8, 512};

struct linear_job {
    struct ranks *ranks;
    struct gemm_problem shard; /* n: of one GPU */
    uint32_t n;                /* of all */
    int sm_count;
    struct device_buffer activations[DEVICES_MAX], weights[DEVICES_MAX], parts[DEVICES_MAX], outputs[DEVICES_MAX];
    cudaEvent_t computed[DEVICES_MAX];
};

/* The part of GPU `from` goes into its columns of the outputs on GPU `to`. */
static cudaError_t enqueue_gather(const struct linear_job *job, int from, int to)
{
    uint64_t part_pitch = job->shard.n * sizeof(float), pitch = job->n * sizeof(float);
    struct cudaMemcpy3DPeerParms copy = {};
    copy.srcDevice = from;
    copy.srcPtr = make_cudaPitchedPtr(job->parts[from].data, part_pitch, part_pitch, job->shard.m);
    copy.dstDevice = to;
    copy.dstPtr = make_cudaPitchedPtr(job->outputs[to].data, pitch, pitch, job->shard.m);
    copy.dstPos = make_cudaPos((uint64_t)from * part_pitch, 0, 0);
    copy.extent = make_cudaExtent(part_pitch, job->shard.m, 1);
    return cudaMemcpy3DPeerAsync(&copy, job->ranks->streams[to]);
}

static bool linear_and_wait(void *context, struct probe_result *result)
{
    struct linear_job *job = (struct linear_job *)context;
    int count = job->ranks->count;
    for (int i = 0; i < count; i++) {
        struct gemm_buffers buffers = {job->activations[i].data, job->weights[i].data, job->parts[i].data};
        cudaStream_t stream = job->ranks->streams[i];
        if (!probe_ok(cudaSetDevice(i), result) ||
            !probe_ok(gemm_own_launch(&job->shard, &buffers, job->sm_count, stream), result) ||
            !probe_ok(cudaEventRecord(job->computed[i], stream), result))
            return false;
    }
    for (int to = 0; to < count; to++) {
        if (!probe_ok(cudaSetDevice(to), result)) return false;
        for (int i = 0; i < count; i++) {
            int from = (to + i) % count; /* its own first; no two GPUs begin with the same source */
            if (!probe_ok(cudaStreamWaitEvent(job->ranks->streams[to], job->computed[from], 0), result) ||
                !probe_ok(enqueue_gather(job, from, to), result))
                return false;
        }
    }
    return ranks_wait(job->ranks, result);
}

static bool prepare_linear(struct linear_job *job, int rank, struct probe_result *result)
{
    uint64_t part_bytes = (uint64_t)job->shard.m * job->shard.n * sizeof(float);
    uint64_t output_bytes = (uint64_t)job->shard.m * job->n * sizeof(float);
    if (!probe_ok(cudaSetDevice(rank), result) || !probe_ok(gemm_own_prepare(&job->shard), result) ||
        !job->activations[rank].take(gemm_activation_bytes(&job->shard), result) ||
        !job->weights[rank].take(gemm_weight_bytes(&job->shard), result) ||
        !job->parts[rank].take(part_bytes, result) || !job->outputs[rank].take(output_bytes, result) ||
        !probe_ok(cudaMemset(job->outputs[rank].data, 0xff, output_bytes), result) ||
        !probe_ok(cudaEventCreateWithFlags(&job->computed[rank], cudaEventDisableTiming), result))
        return false;
    for (int other = 0; other < job->ranks->count; other++) { /* without it copies are staged, and right all the same */
        int direct = 0;
        if (other == rank || cudaDeviceCanAccessPeer(&direct, rank, other) != cudaSuccess || !direct) continue;
        cudaDeviceEnablePeerAccess(other, 0);
        cudaGetLastError();
    }
    gemm_fill(&job->shard, GEMM_ACTIVATIONS, 0, job->activations[rank].data);
    gemm_fill(&job->shard, GEMM_WEIGHTS, (uint64_t)rank * job->shard.n, job->weights[rank].data);
    return probe_ok(cudaGetLastError(), result) && probe_ok(cudaDeviceSynchronize(), result);
}

/* Sampled outputs on every GPU: among them the first column of each part. */
static bool check_linear(const struct linear_job *job, struct probe_result *result)
{
    double deviation = gemm_format_of(job->shard.dtype)->scale * sqrt((double)job->shard.k);
    for (int rank = 0; rank < job->ranks->count; rank++)
        for (uint32_t i = 0; i < 32; i++) {
            uint32_t row = random_below(51, i, job->shard.m), column = random_below(52, i, job->n);
            if (i < (uint32_t)job->ranks->count) column = i * job->shard.n;
            const float *from = job->outputs[rank].as<float>() + (uint64_t)row * job->n + column;
            float value = 0;
            if (!probe_ok(cudaMemcpy(&value, from, sizeof value, cudaMemcpyDeviceToHost), result)) return false;
            double expected = gemm_reference(job->shard.dtype, row, column, job->shard.k);
            if (fabs((double)value - expected) <= 1e-3 * deviation) continue;
            probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "[%u][%u] on device %d is %.6g instead of %.6g", row,
                       column, rank, (double)value, expected);
            return false;
        }
    return true;
}

static struct probe_shape linear_shape(const struct linear_job *job)
{
    struct probe_shape shape = {};
    snprintf(shape.dtype, sizeof shape.dtype, "%s", gemm_format_of(job->shard.dtype)->name);
    shape.m = job->shard.m;
    shape.n = job->n;
    shape.k = job->shard.k;
    shape.gpus = (uint32_t)job->ranks->count;
    return shape;
}

static void probe_linear(struct ranks *ranks, const struct probe_device *device, const struct probe_budget *budget,
                         uint32_t m, probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin("sharded_linear", "us");
    struct linear_job job = {};
    uint32_t shard_n = LINEAR_N / (uint32_t)ranks->count / SHARD_UNIT * SHARD_UNIT;
    job.ranks = ranks;
    job.shard = {device->cc_major >= 8 ? GEMM_BF16 : GEMM_FP16, m, shard_n, LINEAR_K};
    job.n = shard_n * (uint32_t)ranks->count;
    job.sm_count = device->sm_count;
    result.shape = linear_shape(&job);
    result.impl = own_impl(device);
    result.verified = "reference";
    bool good = true;
    for (int i = 0; good && i < ranks->count; i++)
        good = prepare_linear(&job, i, &result);
    if (good && linear_and_wait(&job, &result) && check_linear(&job, &result) &&
        measure_host(&result, budget, linear_and_wait, &job, 1))
        probe_set_time(&result, 1e-6);
    emit(&result, sink);
    for (int i = 0; i < ranks->count; i++)
        if (job.computed[i]) cudaEventDestroy(job.computed[i]);
}

/* --- the group --- */

static void waive_alone(probe_emit *emit, void *sink)
{
    static const char *const why = "there is no second GPU to work with";
    for (uint64_t bytes : message_bytes) {
        struct probe_shape shape = message_shape(bytes, 1);
        waive("all_reduce", "us", &shape, REASON_ONE_DEVICE, why, emit, sink);
    }
    for (uint32_t m : linear_rows) {
        struct probe_shape shape = {};
        snprintf(shape.dtype, sizeof shape.dtype, "bf16");
        shape.m = m;
        shape.n = LINEAR_N;
        shape.k = LINEAR_K;
        shape.gpus = 1;
        waive("sharded_linear", "us", &shape, REASON_ONE_DEVICE, why, emit, sink);
    }
}

extern "C" void probe_collective(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                                 void *sink)
{
    struct probe_result why = probe_result_begin("all_reduce", "us");
    struct ranks ranks;
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count < 2) {
        waive_alone(emit, sink);
        group_check("collective", emit, sink);
        return;
    }
    if (ranks_begin(&ranks, device, count < DEVICES_MAX ? count : DEVICES_MAX, &why)) {
        probe_all_reduce(&ranks, budget, emit, sink);
        for (uint32_t m : linear_rows)
            probe_linear(&ranks, device, budget, m, emit, sink);
    } else {
        emit(&why, sink);
        report_failure("sharded_linear", "us", NULL, &why, emit, sink);
    }
    ranks_end(&ranks);
    group_check("collective", emit, sink);
}
