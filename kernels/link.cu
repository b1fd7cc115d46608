/* link.cu owns the ways into a GPU: from the host's memory, pinned or not, by page faults, and from other GPUs. */
#include "kernels/device.cuh"

#include <stdio.h>
#include <stdlib.h>

static constexpr uint64_t PINNED_BYTES = 256 << 20, PAGEABLE_BYTES = 64 << 20, PEER_BYTES = 256 << 20;
static constexpr double PEER_SECONDS = 3; /* for all pairs: eight GPUs have 28 */
enum { SEED_UP = 11, SEED_DOWN = 12, SEED_PEER = 13, SEED_UNIFIED = 14 };

static void fill_host(uint32_t *data, uint64_t words, uint32_t seed)
{
    for (uint64_t i = 0; i < words; i++)
        data[i] = pattern_word(i, seed);
}

static bool check_host(const uint32_t *data, uint64_t words, uint32_t seed, struct probe_result *result)
{
    uint32_t sum = 0, expected = pattern_sum(words, seed);
    for (uint64_t i = 0; i < words; i++)
        sum += data[i];
    if (sum == expected) return true;
    probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "what came back adds up to %08x instead of %08x", sum,
               expected);
    return false;
}

/* --- host copies --- */

struct copy_job {
    const char *name;
    uint32_t *host;
    struct device_buffer *device;
    uint64_t bytes;
    bool up, pinned; /* up: to the device */
};

static cudaError_t enqueue_copy(const struct copy_job *job, cudaStream_t stream)
{
    if (job->up) return cudaMemcpyAsync(job->device->data, job->host, job->bytes, cudaMemcpyHostToDevice, stream);
    return cudaMemcpyAsync(job->host, job->device->data, job->bytes, cudaMemcpyDeviceToHost, stream);
}

static void launch_copy(void *job, uint32_t, cudaStream_t stream)
{
    enqueue_copy((const struct copy_job *)job, stream);
}

/* The driver stages pageable memory itself, and the host waits: its clock counts. */
static bool copy_and_wait(void *job, struct probe_result *result)
{
    return probe_ok(enqueue_copy((const struct copy_job *)job, 0), result) &&
           probe_ok(cudaStreamSynchronize(0), result);
}

static bool check_copy(struct copy_job *job, struct probe_result *result)
{
    uint64_t words = job->bytes / 4;
    if (job->up) {
        fill_host(job->host, words, SEED_UP);
        return copy_and_wait(job, result) && check_pattern(job->device->data, words, SEED_UP, result);
    }
    memset(job->host, 0, job->bytes);
    fill_pattern(job->device->data, words, SEED_DOWN);
    return probe_ok(cudaGetLastError(), result) && copy_and_wait(job, result) &&
           check_host(job->host, words, SEED_DOWN, result);
}

static void probe_copy(struct copy_job *job, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin(job->name, "GB/s");
    result.shape.bytes = job->bytes;
    result.impl = "copy_engine";
    result.verified = "checksum";
    bool good = check_copy(job, &result);
    if (good)
        good = job->pinned ? measure_held(&result, budget, launch_copy, job)
                           : measure_host(&result, budget, copy_and_wait, job, 1);
    if (good) probe_set_rate(&result, (double)job->bytes, 1e9);
    emit(&result, sink);
}

/* One kind of host memory, both ways. */
static void probe_host(bool pinned, const char *const names[2], const struct probe_budget *budget, probe_emit *emit,
                       void *sink)
{
    uint64_t bytes = pinned ? PINNED_BYTES : PAGEABLE_BYTES;
    struct probe_result why = probe_result_begin(names[0], "GB/s");
    struct device_buffer device;
    void *host = NULL;
    bool ready = device.take(bytes, &why);
    if (ready && pinned) ready = probe_ok(cudaHostAlloc(&host, bytes, cudaHostAllocDefault), &why);
    if (ready && !pinned) {
        host = malloc(bytes);
        ready = host != NULL;
        if (!ready) probe_fail(&why, PROBE_WAIVED, REASON_NOT_ENOUGH_MEMORY, "of the host");
    }
    for (int down = 0; down < 2; down++) {
        struct copy_job job = {names[down], (uint32_t *)host, &device, bytes, !down, pinned};
        if (ready)
            probe_copy(&job, budget, emit, sink);
        else
            report_failure(names[down], "GB/s", NULL, &why, emit, sink);
    }
    if (pinned)
        cudaFreeHost(host);
    else
        free(host);
}

/* --- unified memory: pages that the host wrote last come over as kernels touch them --- */

__global__ void touch_kernel(const uint32_t *data, uint64_t words, uint32_t *total)
{
    uint32_t sum = 0;
    for (uint64_t i = grid_index(); i < words; i += grid_step())
        sum += data[i];
    add_to_sum(sum, total);
}

/* One sample: the host writes everything, then the device reads it, and only that is timed. */
static bool fault_in(const struct probe_device *device, uint32_t *data, uint32_t *total, struct probe_result *result)
{
    uint64_t words = PINNED_BYTES / 4;
    uint32_t sum = 0, seed = SEED_UNIFIED + result->samples, expected = pattern_sum(words, seed);
    fill_host(data, words, seed);
    if (!probe_ok(cudaMemset(total, 0, sizeof sum), result) || !probe_ok(cudaDeviceSynchronize(), result)) return false;
    double start = host_seconds();
    touch_kernel<<<(uint32_t)device->sm_count * 8, 256>>>(data, words, total);
    if (!probe_ok(cudaGetLastError(), result) || !probe_ok(cudaDeviceSynchronize(), result)) return false;
    result->seconds[result->samples++] = host_seconds() - start;
    result->launches++;
    if (!probe_ok(cudaMemcpy(&sum, total, sizeof sum, cudaMemcpyDeviceToHost), result)) return false;
    if (sum == expected) return true;
    probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "read %08x instead of %08x", sum, expected);
    return false;
}

static void probe_unified(const struct probe_device *device, probe_emit *emit, void *sink)
{
    enum { SAMPLES = 3 };
    struct probe_result result = probe_result_begin("unified_fault_in", "GB/s");
    struct device_buffer total;
    void *data = NULL;
    int concurrent = 0;
    cudaDeviceGetAttribute(&concurrent, cudaDevAttrConcurrentManagedAccess, device->ordinal);
    result.shape.bytes = PINNED_BYTES;
    result.impl = own_impl(device);
    result.verified = "checksum";
    if (!concurrent) {
        probe_fail(&result, PROBE_WAIVED, REASON_UNSUPPORTED_COMPUTE_CAPABILITY,
                   "this platform does not page managed memory on demand");
    } else if (total.take(sizeof(uint32_t), &result) && probe_ok(cudaMallocManaged(&data, PINNED_BYTES), &result)) {
        bool good = true;
        while (good && result.samples < SAMPLES)
            good = fault_in(device, (uint32_t *)data, total.as<uint32_t>(), &result);
        if (good) probe_set_rate(&result, (double)PINNED_BYTES, 1e9);
    }
    emit(&result, sink);
    cudaFree(data);
}

/* --- peers --- */

struct peer_job {
    int from, to;
    struct device_buffer source, target;
};

static void launch_peer(void *job, uint32_t, cudaStream_t stream)
{
    const struct peer_job *p = (const struct peer_job *)job;
    cudaMemcpyPeerAsync(p->target.data, p->to, p->source.data, p->from, PEER_BYTES, stream);
}

/* Leaves the target's device current. */
static bool prepare_peers(struct peer_job *job, bool *ret_direct, struct probe_result *result)
{
    int direct = 0;
    if (!probe_ok(cudaSetDevice(job->from), result) || !job->source.take(PEER_BYTES, result)) return false;
    fill_pattern(job->source.data, PEER_BYTES / 4, SEED_PEER);
    if (!probe_ok(cudaGetLastError(), result) || !probe_ok(cudaDeviceSynchronize(), result) ||
        !probe_ok(cudaSetDevice(job->to), result) || !job->target.take(PEER_BYTES, result) ||
        !probe_ok(cudaMemset(job->target.data, 0, PEER_BYTES), result) ||
        !probe_ok(cudaDeviceCanAccessPeer(&direct, job->to, job->from), result))
        return false;
    cudaError_t error = direct ? cudaDeviceEnablePeerAccess(job->from, 0) : cudaSuccess;
    if (error == cudaErrorPeerAccessAlreadyEnabled) error = cudaSuccess;
    cudaGetLastError();
    *ret_direct = direct && error == cudaSuccess;
    return true;
}

static bool check_peers(struct peer_job *job, struct probe_result *result)
{
    launch_peer(job, 0, 0);
    return probe_ok(cudaGetLastError(), result) && probe_ok(cudaDeviceSynchronize(), result) &&
           check_pattern(job->target.data, PEER_BYTES / 4, SEED_PEER, result);
}

/* "peer_copy" goes from GPU to GPU, "peer_copy_staged" through the host: there a held stream might block the driver. */
static void probe_pair(int from, int to, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin("peer_copy", "GB/s");
    struct peer_job job;
    bool direct = false;
    job.from = from;
    job.to = to;
    bool good = prepare_peers(&job, &direct, &result);
    if (good && !direct) result = probe_result_begin("peer_copy_staged", "GB/s");
    result.shape.bytes = PEER_BYTES;
    result.shape.gpus = 2;
    result.impl = "copy_engine";
    result.verified = "checksum";
    good =
        good && check_peers(&job, &result) &&
        (direct ? measure_held(&result, budget, launch_peer, &job) : measure_open(&result, budget, launch_peer, &job));
    if (good) {
        probe_set_rate(&result, (double)PEER_BYTES, 1e9);
        snprintf(result.detail, sizeof result.detail, "from device %d to %d, %s", from, to,
                 direct ? "directly" : "staged through the host");
    }
    emit(&result, sink);
}

static void probe_peers(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                        void *sink)
{
    struct probe_shape shape = {};
    int count = 0;
    double start = host_seconds();
    shape.bytes = PEER_BYTES;
    shape.gpus = 2;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count < 2) {
        waive("peer_copy", "GB/s", &shape, REASON_ONE_DEVICE, "there is no second GPU to copy from", emit, sink);
        return;
    }
    if (count > DEVICES_MAX) count = DEVICES_MAX;
    for (int to = 0; to < count; to++)
        for (int from = to + 1; from < count; from++) {
            char pair[PROBE_DETAIL_BYTES];
            snprintf(pair, sizeof pair, "from device %d to %d", from, to);
            if (host_seconds() - start > PEER_SECONDS)
                waive("peer_copy", "GB/s", &shape, REASON_NO_TIME_LEFT, pair, emit, sink);
            else
                probe_pair(from, to, budget, emit, sink);
        }
    cudaSetDevice(device->ordinal);
}

extern "C" void probe_link(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                           void *sink)
{
    static const char *const pinned[] = {"h2d_pinned", "d2h_pinned"}, *const pageable[] = {"h2d_pageable",
                                                                                           "d2h_pageable"};
    probe_host(true, pinned, budget, emit, sink);
    probe_host(false, pageable, budget, emit, sink);
    probe_unified(device, emit, sink);
    probe_peers(device, budget, emit, sink);
    group_check("link", emit, sink);
}
