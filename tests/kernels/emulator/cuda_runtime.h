/* cuda_runtime.h owns the part of the CUDA runtime that the probes use, on a CPU: see run.sh. A block's threads are
 * fibers of one thread; streams are queues that run when somebody waits; two devices are one heap. */
#pragma once

#define NCCL_FILE "none" /* a real one wants a real device */
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <time.h>
#include <ucontext.h>
#include <vector>
#define __host__
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__
#define __CUDACC__ 1
#define __CUDA_ARCH__ 900
#define __CUDA_ARCH_LIST__ 900
#define CUDART_VERSION 13000
struct uint4 {
    uint32_t x, y, z, w;
};
struct float4 {
    float x, y, z, w;
};
static inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w)
{
    return {x, y, z, w};
}
static inline float4 make_float4(float x, float y, float z, float w)
{
    return {x, y, z, w};
}
struct dim3 {
    uint32_t x, y, z;
    dim3(uint32_t a = 1, uint32_t b = 1, uint32_t c = 1) : x(a), y(b), z(c)
    {
    }
};
enum cudaError_t {
    cudaSuccess,
    cudaErrorMemoryAllocation = 2,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101,
    cudaErrorStubLibrary = 34,
    cudaErrorInsufficientDriver = 35,
    cudaErrorCallRequiresNewerDriver = 36,
    cudaErrorDevicesUnavailable = 46,
    cudaErrorNoKernelImageForDevice = 209,
    cudaErrorJitCompilerNotFound = 221,
    cudaErrorUnsupportedPtxVersion = 222,
    cudaErrorJitCompilationDisabled = 223,
    cudaErrorLaunchTimeout = 702,
    cudaErrorPeerAccessAlreadyEnabled = 704,
    cudaErrorNotSupported = 801,
    cudaErrorSystemNotReady = 802,
    cudaErrorSystemDriverMismatch = 803,
    cudaErrorCompatNotSupportedOnDevice = 804,
    cudaErrorMpsConnectionFailed = 805,
    cudaErrorMpsServerNotReady = 807,
    cudaErrorMpsMaxClientsReached = 808,
    cudaErrorMpsMaxConnectionsReached = 809
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaDeviceAttr {
    cudaDevAttrClockRate,
    cudaDevAttrMemoryClockRate,
    cudaDevAttrGlobalMemoryBusWidth,
    cudaDevAttrConcurrentManagedAccess,
    cudaDevAttrIntegrated
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum {
    cudaStreamNonBlocking = 1,
    cudaHostAllocMapped = 1,
    cudaHostAllocDefault = 0,
    cudaStreamCaptureModeThreadLocal = 1,
    cudaEventDisableTiming = 2
};
struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount, ECCEnabled, integrated, l2CacheSize;
    size_t sharedMemPerBlockOptin;
};
struct cudaFuncAttributes {
    int binaryVersion;
};
struct emu_stream {
    std::vector<std::function<void()>> q;
    struct emu_graph *capture = nullptr;
};
struct emu_graph {
    std::vector<std::function<void()>> ops;
};
struct emu_event {
    double t = 0;
};
typedef emu_stream *cudaStream_t;
typedef emu_graph *cudaGraph_t;
typedef emu_graph *cudaGraphExec_t;
typedef emu_event *cudaEvent_t;
struct cudaPitchedPtr {
    void *ptr;
    size_t pitch, xsize, ysize;
};
struct cudaPos {
    size_t x, y, z;
};
struct cudaExtent {
    size_t width, height, depth;
};
static inline cudaPitchedPtr make_cudaPitchedPtr(void *p, size_t a, size_t b, size_t c)
{
    return {p, a, b, c};
}
static inline cudaPos make_cudaPos(size_t a, size_t b, size_t c)
{
    return {a, b, c};
}
static inline cudaExtent make_cudaExtent(size_t a, size_t b, size_t c)
{
    return {a, b, c};
}
struct cudaMemcpy3DPeerParms {
    int srcDevice, dstDevice;
    cudaPitchedPtr srcPtr, dstPtr;
    cudaPos srcPos, dstPos;
    cudaExtent extent;
};

namespace emu
{
struct fiber {
    ucontext_t c;
    bool done;
    dim3 tid;
    uint32_t linear;
};
extern dim3 g_tid, g_bid, g_bdim, g_gdim;
extern uint32_t g_linear;
extern unsigned char *dynamic_shared;
void run_grid(dim3 g, dim3 b, size_t shared, const std::function<void()> &f);
void enqueue(cudaStream_t s, std::function<void()> f);
void warp_barrier();
void block_barrier();
extern uint32_t slot[32][32][16];
extern int devices, current;
template <typename T> T shfl_xor(T v, int m)
{
    uint32_t w = g_linear / 32, l = g_linear % 32;
    memcpy(&slot[w][l][0], &v, sizeof v);
    warp_barrier();
    T r;
    memcpy(&r, &slot[w][l ^ m][0], sizeof r);
    warp_barrier();
    return r;
}
struct launch {
    dim3 g, b;
    size_t sh;
    cudaStream_t s;
    launch(dim3 g, dim3 b, size_t sh = 0, cudaStream_t s = nullptr) : g(g), b(b), sh(sh), s(s)
    {
    }
    template <typename... P, typename... A> void run(void (*k)(P...), A... a) const
    {
        auto c = *this;
        enqueue(s, [=] { run_grid(c.g, c.b, c.sh, [=] { k((P)a...); }); });
    }
};
template <typename T> T atomic_add(T *p, T v)
{
    T o = *p;
    *p = o + v;
    return o;
}
uint64_t nanoseconds();
} // namespace emu
#define threadIdx emu::g_tid
#define blockIdx emu::g_bid
#define blockDim emu::g_bdim
#define gridDim emu::g_gdim
#define __syncthreads emu::block_barrier
static inline void __syncwarp()
{
    emu::warp_barrier();
}
#define __shfl_xor_sync(m, v, x) emu::shfl_xor(v, x)
template <typename T, typename U> T atomicAdd(T *p, U v)
{
    return emu::atomic_add<T>(p, (T)v);
}
static inline uint32_t min(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}
#define __fmaf_rn fmaf
static inline float __fadd_rn(float a, float b)
{
    return a + b;
}
static inline float __uint_as_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}
template <typename T> T __ldcs(const T *p)
{
    return *p;
}
template <typename T> void __stcs(T *p, T v)
{
    *p = v;
}
static inline uintptr_t __cvta_generic_to_shared(const void *p)
{
    return (uintptr_t)p;
}
static inline long long clock64()
{
    return (long long)emu::nanoseconds();
}
#define __trap abort
cudaError_t cudaGetLastError();
const char *cudaGetErrorName(cudaError_t);
const char *cudaGetErrorString(cudaError_t);
cudaError_t cudaMalloc_(void **, size_t);
template <typename T> cudaError_t cudaMalloc(T **p, size_t n)
{
    return cudaMalloc_((void **)p, n);
}
template <typename T> cudaError_t cudaMallocManaged(T **p, size_t n)
{
    return cudaMalloc_((void **)p, n);
}
cudaError_t cudaFree(void *), cudaFreeHost(void *), cudaHostAlloc(void **, size_t, unsigned),
    cudaHostGetDevicePointer(void **, void *, unsigned);
cudaError_t cudaMemset(void *, int, size_t), cudaMemsetAsync(void *, int, size_t, cudaStream_t),
    cudaMemcpy(void *, const void *, size_t, cudaMemcpyKind),
    cudaMemcpyAsync(void *, const void *, size_t, cudaMemcpyKind, cudaStream_t),
    cudaMemcpyPeerAsync(void *, int, const void *, int, size_t, cudaStream_t),
    cudaMemcpy3DPeerAsync(const cudaMemcpy3DPeerParms *, cudaStream_t);
cudaError_t cudaDeviceSynchronize(), cudaStreamSynchronize(cudaStream_t),
    cudaStreamCreateWithFlags(cudaStream_t *, unsigned), cudaStreamDestroy(cudaStream_t),
    cudaStreamBeginCapture(cudaStream_t, int), cudaStreamEndCapture(cudaStream_t, cudaGraph_t *),
    cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *, cudaGraph_t, unsigned long long),
    cudaGraphLaunch(cudaGraphExec_t, cudaStream_t), cudaGraphDestroy(cudaGraph_t),
    cudaGraphExecDestroy(cudaGraphExec_t);
cudaError_t cudaEventCreate(cudaEvent_t *), cudaEventCreateWithFlags(cudaEvent_t *, unsigned),
    cudaEventDestroy(cudaEvent_t), cudaEventRecord(cudaEvent_t, cudaStream_t),
    cudaEventElapsedTime(float *, cudaEvent_t, cudaEvent_t);
cudaError_t cudaGetDevice(int *), cudaSetDevice(int), cudaGetDeviceCount(int *), cudaDriverGetVersion(int *),
    cudaRuntimeGetVersion(int *), cudaMemGetInfo(size_t *, size_t *), cudaGetDeviceProperties(cudaDeviceProp *, int),
    cudaDeviceGetPCIBusId(char *, int, int), cudaDeviceGetAttribute(int *, cudaDeviceAttr, int),
    cudaDeviceCanAccessPeer(int *, int, int), cudaDeviceEnablePeerAccess(int, unsigned);
template <typename F> cudaError_t cudaFuncSetAttribute(F, cudaFuncAttribute, int)
{
    return cudaSuccess;
}
template <typename F> cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *a, F)
{
    a->binaryVersion = 90;
    return cudaSuccess;
}
template <typename F> cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *n, F, int, size_t)
{
    *n = 1;
    return cudaSuccess;
}
