/* harness.cu owns opening a device, its memory pool, and the errors of CUDA as reasons. */
#include "kernels/device.cuh"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* --- errors --- */

static const struct {
    cudaError_t error;
    enum probe_reason reason;
} waived_errors[] = {
    {cudaErrorNoDevice, REASON_NO_DEVICE},
    {cudaErrorInvalidDevice, REASON_NO_DEVICE},
    {cudaErrorStubLibrary, REASON_NO_DRIVER}, /* the toolkit's library to link with was found first */
    {cudaErrorCallRequiresNewerDriver, REASON_DRIVER_TOO_OLD},
    {cudaErrorSystemDriverMismatch, REASON_DRIVER_LIBRARY_MISMATCH},
    {cudaErrorCompatNotSupportedOnDevice, REASON_COMPAT_NOT_SUPPORTED},
    {cudaErrorSystemNotReady, REASON_FABRIC_NOT_READY},
    {cudaErrorDevicesUnavailable, REASON_DEVICE_IN_USE},
    {cudaErrorMpsConnectionFailed, REASON_DEVICE_IN_USE},
    {cudaErrorMpsServerNotReady, REASON_DEVICE_IN_USE},
    {cudaErrorMpsMaxClientsReached, REASON_DEVICE_IN_USE},
    {cudaErrorMpsMaxConnectionsReached, REASON_DEVICE_IN_USE},
    {cudaErrorNoKernelImageForDevice, REASON_UNSUPPORTED_COMPUTE_CAPABILITY},
    {cudaErrorJitCompilerNotFound, REASON_UNSUPPORTED_COMPUTE_CAPABILITY},
    {cudaErrorJitCompilationDisabled, REASON_UNSUPPORTED_COMPUTE_CAPABILITY},
    {cudaErrorUnsupportedPtxVersion, REASON_PTX_NEWER_THAN_DRIVER},
    {cudaErrorMemoryAllocation, REASON_NOT_ENOUGH_MEMORY},
};

/* CUDA says the same of no driver and of an old one; only its version tells them apart. */
static void fail_for_driver(struct probe_result *result)
{
    int version = 0;
    cudaDriverGetVersion(&version);
    enum probe_reason reason = version ? REASON_DRIVER_TOO_OLD : REASON_NO_DRIVER;
    probe_fail(result, PROBE_WAIVED, reason, "the driver supports CUDA %d.%d, this build needs %d.%d", version / 1000,
               version % 1000 / 10, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
}

bool probe_ok(cudaError_t error, struct probe_result *result)
{
    if (error == cudaSuccess) return true;
    cudaGetLastError(); /* what is not sticky must not show up at the next check */
    if (error == cudaErrorInsufficientDriver) {
        fail_for_driver(result);
        return false;
    }
    enum probe_status status = PROBE_ERROR;
    enum probe_reason reason = error == cudaErrorLaunchTimeout ? REASON_TIMEOUT : REASON_CUDA_ERROR;
    for (size_t i = 0; i < sizeof waived_errors / sizeof *waived_errors; i++) {
        if (waived_errors[i].error != error) continue;
        status = PROBE_WAIVED;
        reason = waived_errors[i].reason;
    }
    probe_fail(result, status, reason, "%s: %s", cudaGetErrorName(error), cudaGetErrorString(error));
    return false;
}

void group_check(const char *group, probe_emit *emit, void *sink)
{
    char name[PROBE_NAME_BYTES];
    snprintf(name, sizeof name, "%s_end", group);
    struct probe_result result = probe_result_begin(name, "");
    if (!probe_ok(cudaGetLastError(), &result) || !probe_ok(cudaDeviceSynchronize(), &result)) emit(&result, sink);
}

const char *own_impl(const struct probe_device *device)
{
    return device->jit ? "ptx_jit" : "own";
}

void report_failure(const char *name, const char *unit, const struct probe_shape *shape, const struct probe_result *why,
                    probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin(name, unit);
    if (shape) result.shape = *shape;
    probe_fail(&result, why->status, why->reason, "%s", why->detail);
    emit(&result, sink);
}

void waive(const char *name, const char *unit, const struct probe_shape *shape, enum probe_reason reason,
           const char *detail, probe_emit *emit, void *sink)
{
    struct probe_result why = probe_result_begin(name, unit);
    probe_fail(&why, PROBE_WAIVED, reason, "%s", detail);
    report_failure(name, unit, shape, &why, emit, sink);
}

/* --- memory --- */

static cudaError_t last_alloc_error;

static void *source_alloc(void *context, uint64_t bytes)
{
    int current = 0;
    void *memory = NULL;
    cudaGetDevice(&current);
    last_alloc_error = cudaSetDevice((int)(intptr_t)context);
    if (last_alloc_error == cudaSuccess) last_alloc_error = cudaMalloc(&memory, bytes);
    if (last_alloc_error != cudaSuccess) cudaGetLastError();
    cudaSetDevice(current);
    return memory;
}

static void source_free(void *, void *memory)
{
    cudaFree(memory);
}

struct pool *device_pool(int ordinal)
{
    static struct pool pools[DEVICES_MAX];
    struct pool *pool = &pools[ordinal];
    struct pool_source source = {source_alloc, source_free, (void *)(intptr_t)ordinal};
    if (!pool->source.alloc) pool_init(pool, &source);
    return pool;
}

bool device_buffer::take(uint64_t bytes, struct probe_result *result)
{
    release();
    if (!probe_ok(cudaGetDevice(&ordinal), result)) return false;
    if (ordinal >= DEVICES_MAX) {
        probe_fail(result, PROBE_WAIVED, REASON_NO_DEVICE, "device %d is past the first %d", ordinal, DEVICES_MAX);
        return false;
    }
    last_alloc_error = cudaErrorMemoryAllocation;
    data = pool_alloc(device_pool(ordinal), bytes);
    return data || probe_ok(last_alloc_error, result);
}

void device_buffer::release()
{
    if (data) pool_free(device_pool(ordinal), data);
    data = NULL;
}

uint32_t full_wave(const struct probe_device *device, const void *kernel, int threads, size_t shared_bytes)
{
    int per_sm = 0;
    cudaError_t error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&per_sm, kernel, threads, shared_bytes);
    if (error != cudaSuccess) cudaGetLastError();
    return (uint32_t)(device->sm_count * (error == cudaSuccess && per_sm > 0 ? per_sm : 1));
}

double host_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* --- opening a device --- */

/* Before the first call of CUDA. Kernels load when they first run, for cuBLASLt has thousands that nobody asks for.
 * Loading one inside a held stream would wait until the hold runs out: timing.cu runs everything before it holds
 * anything. */
static void set_environment(void)
{
    setenv("CUDA_MODULE_LOADING", "LAZY", 1);
    setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 0);
}

int probe_count(struct probe_result *why_not)
{
    int count = 0;
    *why_not = probe_result_begin("device", "");
    set_environment();
    if (!probe_ok(cudaGetDeviceCount(&count), why_not)) return -1;
    if (count > 0) return count;
    probe_fail(why_not, PROBE_WAIVED, REASON_NO_DEVICE, "CUDA counts no device");
    return -1;
}

static double attribute(enum cudaDeviceAttr which, int ordinal)
{
    int value = 0;
    if (cudaDeviceGetAttribute(&value, which, ordinal) == cudaSuccess) return value;
    cudaGetLastError();
    return 0;
}

static bool read_facts(struct probe_device *device, struct probe_result *why_not)
{
    cudaDeviceProp properties;
    size_t free_bytes = 0, total_bytes = 0;
    int ordinal = device->ordinal;
    if (!probe_ok(cudaGetDeviceProperties(&properties, ordinal), why_not) ||
        !probe_ok(cudaDeviceGetPCIBusId(device->pci_bus_id, sizeof device->pci_bus_id, ordinal), why_not) ||
        !probe_ok(cudaDriverGetVersion(&device->driver_version), why_not) ||
        !probe_ok(cudaRuntimeGetVersion(&device->runtime_version), why_not) ||
        !probe_ok(cudaMemGetInfo(&free_bytes, &total_bytes), why_not))
        return false;
    snprintf(device->name, sizeof device->name, "%.*s", (int)sizeof device->name - 1, properties.name);
    device->cc_major = properties.major;
    device->cc_minor = properties.minor;
    device->sm_count = properties.multiProcessorCount;
    device->ecc = properties.ECCEnabled;
    device->integrated = properties.integrated;
    device->shared_optin_bytes = properties.sharedMemPerBlockOptin;
    device->l2_bytes = (uint64_t)properties.l2CacheSize;
    device->free_bytes = free_bytes;
    device->total_bytes = total_bytes;
    device->sm_clock_max_mhz = attribute(cudaDevAttrClockRate, ordinal) * 1e-3;
    double bus_bytes = attribute(cudaDevAttrGlobalMemoryBusWidth, ordinal) / 8;
    device->peak_dram_gb_per_s = 2 * attribute(cudaDevAttrMemoryClockRate, ordinal) * 1e3 * bus_bytes * 1e-9;
    return true;
}

enum { ALIVE = 42 };

__global__ void alive_kernel(int *word)
{
    *word = ALIVE;
}

/* The image that runs is not one that was built in: the driver compiled it from PTX. */
static bool is_jit(int binary_version)
{
    static const int built[] = {__CUDA_ARCH_LIST__};
    for (size_t i = 0; i < sizeof built / sizeof *built; i++)
        if (built[i] / 10 == binary_version) return false;
    return true;
}

static bool check_alive(struct probe_device *device, struct probe_result *why_not)
{
    struct cudaFuncAttributes image;
    struct device_buffer word;
    int seen = 0;
    if (!probe_ok(cudaFuncGetAttributes(&image, alive_kernel), why_not) || !word.take(sizeof seen, why_not))
        return false;
    alive_kernel<<<1, 1>>>(word.as<int>());
    if (!probe_ok(cudaGetLastError(), why_not) ||
        !probe_ok(cudaMemcpy(&seen, word.data, sizeof seen, cudaMemcpyDeviceToHost), why_not))
        return false;
    device->jit = is_jit(image.binaryVersion);
    if (seen == ALIVE) return true;
    probe_fail(why_not, PROBE_ERROR, REASON_VERIFICATION, "the first kernel wrote %d instead of %d", seen, ALIVE);
    return false;
}

bool probe_open(int ordinal, struct probe_device *ret_device, struct probe_result *why_not)
{
    struct probe_device device = {};
    int count = probe_count(why_not);
    if (count < 0) return false;
    if (ordinal < 0 || ordinal >= count || ordinal >= DEVICES_MAX) {
        probe_fail(why_not, PROBE_WAIVED, REASON_NO_DEVICE, "device %d of %d", ordinal, count);
        return false;
    }
    device.ordinal = ordinal;
    if (!probe_ok(cudaSetDevice(ordinal), why_not) || !probe_ok(cudaFree(NULL), why_not) || /* makes the context */
        !read_facts(&device, why_not) || !check_alive(&device, why_not))
        return false;
    *ret_device = device;
    return true;
}
