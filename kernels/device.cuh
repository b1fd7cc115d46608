/* device.cuh owns what all CUDA probes share: errors that become reasons, memory, data, and timing.
 * No CUDA type leaves the *.cu files: outside, probe.h is all there is. */
#pragma once
#include "kernels/pattern.h"
#include "kernels/pool.h"
#include "kernels/probe.h"

#include <cuda_runtime.h>

enum { DEVICES_MAX = 16 };

/* --- errors --- */

/* True of cudaSuccess; else the result says why it has no value. Call it as well after a launch, with
 * cudaGetLastError(). */
bool probe_ok(cudaError_t error, struct probe_result *result);
/* Reports an error that a group left behind, which no result of its own has named. */
void group_check(const char *group, probe_emit *emit, void *sink);
/* "own", or "ptx_jit" where the driver compiled the kernel. */
const char *own_impl(const struct probe_device *device);
/* A result that has no value for the reason that `why` has one; `shape` may be NULL. */
void report_failure(const char *name, const char *unit, const struct probe_shape *shape, const struct probe_result *why,
                    probe_emit *emit, void *sink);
void waive(const char *name, const char *unit, const struct probe_shape *shape, enum probe_reason reason,
           const char *detail, probe_emit *emit, void *sink);

/* --- memory: everything that kernels touch comes from the pool of its device --- */

struct pool *device_pool(int ordinal);

/* Memory of one device until the end of a scope. */
struct device_buffer {
    void *data = NULL;
    int ordinal = -1;

    device_buffer() = default;
    device_buffer(const device_buffer &) = delete;
    device_buffer &operator=(const device_buffer &) = delete;
    ~device_buffer()
    {
        release();
    }

    bool take(uint64_t bytes, struct probe_result *result); /* of the current device; false: the result says why */
    void release();
    template <typename type> type *as() const
    {
        return (type *)data;
    }
};

/* --- data --- */

void fill_pattern(void *data, uint64_t words, uint32_t seed);   /* pattern_word */
void fill_bf16(void *data, uint64_t elements, uint32_t stream); /* bf16_element */
bool sum_words(const void *data, uint64_t words, uint32_t *ret_sum, struct probe_result *result);
/* Whether the buffer holds the pattern; false: the result says so. */
bool check_pattern(const void *data, uint64_t words, uint32_t seed, struct probe_result *result);

__device__ __forceinline__ uint64_t grid_index(void)
{
    return (uint64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ uint64_t grid_step(void)
{
    return (uint64_t)gridDim.x * blockDim.x;
}

__device__ __forceinline__ uint32_t add_words(uint32_t sum, uint4 vector)
{
    return sum + vector.x + vector.y + vector.z + vector.w;
}

/* One atomic for a warp. All lanes call it. */
__device__ __forceinline__ void add_to_sum(uint32_t sum, uint32_t *total)
{
    for (int apart = 16; apart; apart /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, apart);
    if (threadIdx.x % 32 == 0) atomicAdd(total, sum);
}

/* As many blocks as run at once: no second, half-empty wave. 1 for each multiprocessor if the runtime cannot tell. */
uint32_t full_wave(const struct probe_device *device, const void *kernel, int threads, size_t shared_bytes);

/* --- timing: fills seconds[], samples, discarded, launches, sm_clock_mhz; a rate or a time is set from them --- */

/* Enqueues one sample's work. It may neither allocate nor wait; `index` counts up, for buffers taken in turn. */
typedef void launch_function(void *job, uint32_t index, cudaStream_t stream);

/* Events around each launch, all enqueued behind a kernel that holds the stream: launching is not in the samples. */
bool measure_held(struct probe_result *result, const struct probe_budget *budget, launch_function *launch, void *job);
/* Without holding, for what itself waits for the stream: copies that the driver stages through the host. */
bool measure_open(struct probe_result *result, const struct probe_budget *budget, launch_function *launch, void *job);
/* For what is shorter than a launch: `per_graph` launches are one graph, and a sample is its time over their number. */
bool measure_graph(struct probe_result *result, const struct probe_budget *budget, launch_function *launch, void *job,
                   uint32_t per_graph);
/* Where the host's clock decides: `act` runs and waits for one sample; seconds are its time over `per_sample`. */
typedef bool host_function(void *job, struct probe_result *result);
bool measure_host(struct probe_result *result, const struct probe_budget *budget, host_function *act, void *job,
                  uint32_t per_sample);
double host_seconds(void);
