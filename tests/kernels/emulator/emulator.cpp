/* emulator.cpp owns how blocks run, a fiber for each thread, and what the runtime's functions do. */
#include "cuda_runtime.h"
#undef threadIdx
namespace emu
{
dim3 g_tid, g_bid, g_bdim, g_gdim;
uint32_t g_linear;
unsigned char *dynamic_shared;
uint32_t slot[32][32][16];
int devices = 2, current = 0;
static unsigned char dynmem[256 << 10] __attribute__((aligned(1024)));
static std::vector<fiber> fibers;
static ucontext_t sched;
static int cur;
static const std::function<void()> *body;
static uint32_t warp_n[32], warp_gen[32], blk_n, blk_gen, nthreads;
static std::vector<char *> stacks;
static const size_t STK = 128 << 10;
uint64_t nanoseconds()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}
static void yield()
{
    int me = cur;
    swapcontext(&fibers[me].c, &sched);
}
static void entry()
{
    (*body)();
    fibers[cur].done = true;
    swapcontext(&fibers[cur].c, &sched);
}
void warp_barrier()
{
    uint32_t w = g_linear / 32;
    uint32_t size = nthreads - w * 32 < 32 ? nthreads - w * 32 : 32;
    uint32_t gen = warp_gen[w];
    if (++warp_n[w] == size) {
        warp_n[w] = 0;
        warp_gen[w]++;
        return;
    }
    while (warp_gen[w] == gen)
        yield();
}
void block_barrier()
{
    uint32_t gen = blk_gen;
    if (++blk_n == nthreads) {
        blk_n = 0;
        blk_gen++;
        return;
    }
    while (blk_gen == gen)
        yield();
}
void run_grid(dim3 g, dim3 b, size_t shared, const std::function<void()> &f)
{
    nthreads = b.x * b.y * b.z;
    body = &f;
    g_bdim = b;
    g_gdim = g;
    dynamic_shared = dynmem;
    if (shared > sizeof dynmem) abort();
    while (stacks.size() < nthreads)
        stacks.push_back((char *)malloc(STK));
    for (uint32_t z = 0; z < g.z; z++)
        for (uint32_t y = 0; y < g.y; y++)
            for (uint32_t x = 0; x < g.x; x++) {
                g_bid = dim3(x, y, z);
                memset(dynmem, 0xcd, shared);
                blk_n = 0;
                memset(warp_n, 0, sizeof warp_n);
                fibers.resize(nthreads);
                for (uint32_t t = 0; t < nthreads; t++) {
                    fiber &f2 = fibers[t];
                    f2.done = false;
                    f2.linear = t;
                    f2.tid = dim3(t % b.x, t / b.x, 0);
                    getcontext(&f2.c);
                    f2.c.uc_stack.ss_sp = stacks[t];
                    f2.c.uc_stack.ss_size = STK;
                    f2.c.uc_link = nullptr;
                    makecontext(&f2.c, entry, 0);
                }
                uint32_t left = nthreads;
                uint32_t order = 0;
                while (left) {
                    for (uint32_t i = 0; i < nthreads; i++) {
                        uint32_t t = (order & 1) ? nthreads - 1 - i : i;
                        fiber &f2 = fibers[t];
                        if (f2.done) continue;
                        cur = t;
                        g_tid = f2.tid;
                        g_linear = t;
                        swapcontext(&sched, &f2.c);
                        if (f2.done) left--;
                    }
                    order++;
                }
            }
}
static emu_stream dflt;
static std::vector<emu_stream *> all;
static bool draining;
static void drain(emu_stream *s)
{
    auto q = std::move(s->q);
    s->q.clear();
    for (auto &f : q)
        f();
}
void enqueue(cudaStream_t s, std::function<void()> f)
{
    if (!s) s = &dflt;
    if (s->capture)
        s->capture->ops.push_back(f);
    else
        s->q.push_back(f);
}
void sync_all()
{
    drain(&dflt);
    for (auto s : all)
        drain(s);
}
void sync(cudaStream_t s)
{
    drain(s ? s : &dflt);
}
} // namespace emu
using namespace emu;
cudaError_t last;
cudaError_t cudaGetLastError()
{
    auto e = last;
    last = cudaSuccess;
    return e;
}
const char *cudaGetErrorName(cudaError_t)
{
    return "emu";
}
const char *cudaGetErrorString(cudaError_t)
{
    return "emu";
}
static size_t total = 3ull << 30, used;
static std::map<void *, size_t> sizes;
cudaError_t cudaMalloc_(void **p, size_t n)
{
    if (used + n > total) {
        *p = nullptr;
        return last = cudaErrorMemoryAllocation;
    }
    *p = malloc(n);
    used += n;
    sizes[*p] = n;
    return cudaSuccess;
}
cudaError_t cudaFree(void *p)
{
    if (p) {
        used -= sizes[p];
        sizes.erase(p);
    }
    free(p);
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void *p)
{
    free(p);
    return cudaSuccess;
}
cudaError_t cudaHostAlloc(void **p, size_t n, unsigned)
{
    *p = malloc(n);
    return cudaSuccess;
}
cudaError_t cudaHostGetDevicePointer(void **d, void *h, unsigned)
{
    *d = h;
    return cudaSuccess;
}
cudaError_t cudaMemset(void *p, int v, size_t n)
{
    sync(nullptr);
    memset(p, v, n);
    return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void *p, int v, size_t n, cudaStream_t s)
{
    enqueue(s, [=] { memset(p, v, n); });
    return cudaSuccess;
}
cudaError_t cudaMemcpy(void *d, const void *s, size_t n, cudaMemcpyKind)
{
    sync(nullptr);
    memcpy(d, s, n);
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *d, const void *s, size_t n, cudaMemcpyKind, cudaStream_t st)
{
    enqueue(st, [=] { memcpy(d, s, n); });
    return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void *d, int, const void *s, int, size_t n, cudaStream_t st)
{
    enqueue(st, [=] { memcpy(d, s, n); });
    return cudaSuccess;
}
cudaError_t cudaMemcpy3DPeerAsync(const cudaMemcpy3DPeerParms *pp, cudaStream_t st)
{
    auto p = *pp;
    enqueue(st, [=] {
        for (size_t y = 0; y < p.extent.height; y++)
            memcpy((char *)p.dstPtr.ptr + (p.dstPos.y + y) * p.dstPtr.pitch + p.dstPos.x,
                   (char *)p.srcPtr.ptr + (p.srcPos.y + y) * p.srcPtr.pitch + p.srcPos.x, p.extent.width);
    });
    return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize()
{
    sync_all();
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    sync(s);
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    *s = new emu_stream;
    all.push_back(*s);
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    for (auto &x : all)
        if (x == s) {
            x = all.back();
            all.pop_back();
            break;
        }
    delete s;
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t s, int)
{
    s->capture = new emu_graph;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g)
{
    *g = s->capture;
    s->capture = nullptr;
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned)
{
    for (auto x : all)
        (void)x;
    sync_all();
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *e, cudaGraph_t g, unsigned long long)
{
    *e = new emu_graph(*g);
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t g, cudaStream_t s)
{
    for (auto &f : g->ops)
        enqueue(s, f);
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    delete g;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t g)
{
    delete g;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    *e = new emu_event;
    return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    *e = new emu_event;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    delete e;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    enqueue(s, [=] { e->t = nanoseconds() * 1e-6; });
    return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b)
{
    *ms = (float)(b->t - a->t);
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int *d)
{
    *d = current;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int d)
{
    current = d;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int *n)
{
    *n = devices;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *v)
{
    *v = 13000;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *v)
{
    *v = 13000;
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *f, size_t *t)
{
    *f = total - used;
    *t = total;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    memset(p, 0, sizeof *p);
    strcpy(p->name, "emulated");
    p->major = 9;
    p->multiProcessorCount = 3;
    p->l2CacheSize = 256 << 10;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char *s, int n, int d)
{
    snprintf(s, n, "0000:%02x:00.0", d);
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *v, cudaDeviceAttr a, int)
{
    *v = a == cudaDevAttrConcurrentManagedAccess ? 1 : a == cudaDevAttrIntegrated ? 0 : 1000;
    return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int *c, int a, int)
{
    *c = a == 0;
    return cudaSuccess;
}
cudaError_t cudaDeviceEnablePeerAccess(int, unsigned)
{
    return cudaSuccess;
}
