/* timing.cu owns how long something takes: warm-up, held streams, graphs, and the clock of the chip meanwhile. */
#include "kernels/device.cuh"

#include <string.h>

static constexpr uint32_t BATCH = 16;      /* launches behind one hold: far below what a stream queues */
static const double WARMUP_SECONDS = 0.05; /* clocks ramp within that */
static const double BATCH_SECONDS = 0.1;   /* the clock is read once a batch */
static const double THROTTLED_RATIO = 0.9; /* of the best clock seen: slower samples are dropped */
static const unsigned long long HOLD_NS_MAX = 2000000000ull;
static const uint64_t CLOCK_NS_MIN = 200000; /* globaltimer ticks in up to 1 us; below, a clock would be a guess */

struct clock_stamp {
    uint64_t nanoseconds, cycles;
    uint32_t sm; /* cycle counters of two multiprocessors do not compare */
};

/* In host memory that the device sees. */
struct rig {
    volatile int go, expired;
    struct clock_stamp before, after;
};

__device__ __forceinline__ uint64_t global_nanoseconds(void)
{
    uint64_t now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    return now;
}

/* Keeps the stream busy until the host has enqueued everything, so that no launch is waited for in between. */
__global__ void hold_kernel(struct rig *rig, unsigned long long limit_ns)
{
    uint64_t start = global_nanoseconds();
    while (!rig->go) {
        if (global_nanoseconds() - start < limit_ns) continue;
        rig->expired = 1;
        return;
    }
}

__global__ void clock_kernel(struct clock_stamp *stamp)
{
    uint32_t sm;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
    stamp->nanoseconds = global_nanoseconds();
    stamp->cycles = (uint64_t)clock64();
    stamp->sm = sm;
}

struct stopwatch {
    cudaStream_t stream;
    cudaEvent_t events[BATCH + 1];
    struct rig *rig, *device_rig;
    bool hold;
};

static bool stopwatch_begin(struct stopwatch *watch, cudaStream_t stream, bool hold, struct probe_result *result)
{
    memset(watch, 0, sizeof *watch);
    watch->stream = stream;
    watch->hold = hold;
    for (uint32_t i = 0; i <= BATCH; i++)
        if (!probe_ok(cudaEventCreate(&watch->events[i]), result)) return false;
    if (!probe_ok(cudaHostAlloc((void **)&watch->rig, sizeof *watch->rig, cudaHostAllocMapped), result) ||
        !probe_ok(cudaHostGetDevicePointer((void **)&watch->device_rig, watch->rig, 0), result))
        return false;
    memset(watch->rig, 0, sizeof *watch->rig);
    watch->rig->go = 1; /* both kernels run once before a stream is held: should they load late, nothing waits */
    hold_kernel<<<1, 1, 0, stream>>>(watch->device_rig, 0);
    clock_kernel<<<1, 1, 0, stream>>>(&watch->device_rig->before);
    return probe_ok(cudaGetLastError(), result) && probe_ok(cudaStreamSynchronize(stream), result);
}

static void stopwatch_end(struct stopwatch *watch)
{
    for (uint32_t i = 0; i <= BATCH; i++)
        if (watch->events[i]) cudaEventDestroy(watch->events[i]);
    if (watch->rig) cudaFreeHost(watch->rig);
}

/* What is timed, and what came of it. */
struct series {
    struct probe_result *result;
    const struct probe_budget *budget;
    launch_function *launch;
    void *job;
    uint32_t per_launch;       /* a sample's time is divided by it */
    uint32_t next_index = 0;   /* of the next launch */
    double launch_seconds = 0; /* of one launch, from the warm-up */
    double clocks_mhz[PROBE_SAMPLES_MAX] = {};
};

static void enqueue_batch(struct stopwatch *watch, struct series *series, uint32_t launches, bool hold)
{
    watch->rig->go = !hold;
    watch->rig->expired = 0;
    __sync_synchronize();
    if (hold) hold_kernel<<<1, 1, 0, watch->stream>>>(watch->device_rig, HOLD_NS_MAX);
    clock_kernel<<<1, 1, 0, watch->stream>>>(&watch->device_rig->before);
    cudaEventRecord(watch->events[0], watch->stream);
    for (uint32_t i = 0; i < launches; i++) {
        series->launch(series->job, series->next_index++, watch->stream);
        cudaEventRecord(watch->events[i + 1], watch->stream);
    }
    clock_kernel<<<1, 1, 0, watch->stream>>>(&watch->device_rig->after);
    watch->rig->go = 1;
    __sync_synchronize();
    series->result->launches += launches;
}

static bool run_batch(struct stopwatch *watch, struct series *series, uint32_t launches, bool hold,
                      double ret_seconds[])
{
    enqueue_batch(watch, series, launches, hold);
    if (!probe_ok(cudaGetLastError(), series->result) ||
        !probe_ok(cudaStreamSynchronize(watch->stream), series->result))
        return false;
    for (uint32_t i = 0; i < launches; i++) {
        float ms = 0;
        cudaError_t error = cudaEventElapsedTime(&ms, watch->events[i], watch->events[i + 1]);
        if (!probe_ok(error, series->result)) return false;
        ret_seconds[i] = (double)ms * 1e-3;
    }
    return true;
}

static double batch_clock_mhz(const struct rig *rig) /* 0: unknown */
{
    uint64_t ns = rig->after.nanoseconds - rig->before.nanoseconds;
    if (rig->before.sm != rig->after.sm || ns < CLOCK_NS_MIN) return 0;
    return (double)(rig->after.cycles - rig->before.cycles) * 1e3 / (double)ns;
}

static bool warm_up(struct stopwatch *watch, struct series *series)
{
    double spent_seconds = 0, seconds[4], start = host_seconds();
    uint32_t launches = 0;
    while (launches < series->budget->warmups || (spent_seconds < WARMUP_SECONDS && host_seconds() - start < 1)) {
        if (!run_batch(watch, series, 4, false, seconds)) return false;
        launches += 4;
        for (int i = 0; i < 4; i++)
            spent_seconds += seconds[i];
    }
    series->launch_seconds = spent_seconds / (launches ? launches : 1);
    return true;
}

/* A batch is short enough that one clock speaks for all of it. */
static uint32_t batch_size(const struct series *series, uint32_t left)
{
    uint32_t size = left < BATCH ? left : BATCH;
    double fit = series->launch_seconds > 0 ? BATCH_SECONDS / series->launch_seconds : BATCH;
    if (fit < size) size = (uint32_t)fit;
    return size > 0 ? size : 1;
}

/* Adds a batch's samples. Of a hold that ran out they hold the host's launching: those are thrown away. */
static bool sample_batch(struct stopwatch *watch, struct series *series, uint32_t launches, double *spent_seconds)
{
    struct probe_result *result = series->result;
    double seconds[BATCH];
    if (!run_batch(watch, series, launches, watch->hold, seconds)) return false;
    double clock_mhz = batch_clock_mhz(watch->rig);
    for (uint32_t i = 0; i < launches; i++) {
        *spent_seconds += seconds[i];
        if (watch->rig->expired) {
            result->discarded++;
            continue;
        }
        series->clocks_mhz[result->samples] = clock_mhz;
        result->seconds[result->samples++] = seconds[i] / series->per_launch;
    }
    return true;
}

static void drop_throttled(struct series *series, uint32_t enough)
{
    struct probe_result *result = series->result;
    double best_mhz = 0;
    uint32_t good = 0, kept = 0;
    for (uint32_t i = 0; i < result->samples; i++)
        best_mhz = fmax(best_mhz, series->clocks_mhz[i]);
    result->sm_clock_mhz = best_mhz;
    for (uint32_t i = 0; i < result->samples; i++)
        good += series->clocks_mhz[i] == 0 || series->clocks_mhz[i] >= THROTTLED_RATIO * best_mhz;
    if (good < enough) return; /* a device that throttles all the time is one that serves so */
    for (uint32_t i = 0; i < result->samples; i++)
        if (series->clocks_mhz[i] == 0 || series->clocks_mhz[i] >= THROTTLED_RATIO * best_mhz)
            result->seconds[kept++] = result->seconds[i];
    result->discarded += result->samples - kept;
    result->samples = kept;
}

static uint32_t samples_max(const struct probe_budget *budget)
{
    return budget->samples_max < PROBE_SAMPLES_MAX ? budget->samples_max : (uint32_t)PROBE_SAMPLES_MAX;
}

/* Where a launch is so long that the budget is far exceeded, three samples must do. */
static uint32_t samples_enough(const struct probe_budget *budget, double sample_seconds)
{
    bool slow = sample_seconds * budget->samples_min > 4 * budget->seconds_max;
    return slow && budget->samples_min > 3 ? 3 : budget->samples_min;
}

static bool take_samples(struct stopwatch *watch, struct series *series)
{
    struct probe_result *result = series->result;
    uint32_t most = samples_max(series->budget), enough = samples_enough(series->budget, series->launch_seconds);
    double spent_seconds = 0;
    while (result->samples < most) {
        uint32_t launches = batch_size(series, most - result->samples);
        if (!sample_batch(watch, series, launches, &spent_seconds)) return false;
        if (spent_seconds > series->budget->seconds_max && result->samples >= enough) break;
        if (spent_seconds > 10 * series->budget->seconds_max + 1) break;
    }
    drop_throttled(series, enough);
    if (result->samples) return true;
    probe_fail(result, PROBE_ERROR, REASON_TIMEOUT, "launching took longer than the device was held");
    return false;
}

static bool measure_on(cudaStream_t stream, struct series *series, bool hold)
{
    struct stopwatch watch;
    bool done = stopwatch_begin(&watch, stream, hold, series->result) && warm_up(&watch, series) &&
                take_samples(&watch, series);
    stopwatch_end(&watch);
    return done;
}

static bool measure_stream(struct series *series, bool hold)
{
    cudaStream_t stream;
    if (!probe_ok(cudaDeviceSynchronize(), series->result) ||
        !probe_ok(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), series->result))
        return false;
    bool done = measure_on(stream, series, hold);
    cudaStreamDestroy(stream);
    return done;
}

bool measure_held(struct probe_result *result, const struct probe_budget *budget, launch_function *launch, void *job)
{
    struct series series = {result, budget, launch, job, 1};
    return measure_stream(&series, true);
}

bool measure_open(struct probe_result *result, const struct probe_budget *budget, launch_function *launch, void *job)
{
    struct series series = {result, budget, launch, job, 1};
    return measure_stream(&series, false);
}

/* --- graphs --- */

static void launch_graph(void *job, uint32_t, cudaStream_t stream)
{
    cudaGraphLaunch((cudaGraphExec_t)job, stream);
}

static bool capture(cudaStream_t stream, launch_function *launch, void *job, uint32_t launches,
                    struct probe_result *result, cudaGraphExec_t *ret_exec)
{
    cudaGraph_t graph = NULL;
    if (!probe_ok(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), result)) return false;
    for (uint32_t i = 0; i < launches; i++)
        launch(job, i, stream);
    bool done = probe_ok(cudaStreamEndCapture(stream, &graph), result) &&
                probe_ok(cudaGraphInstantiate(ret_exec, graph, 0), result);
    if (graph) cudaGraphDestroy(graph);
    return done;
}

bool measure_graph(struct probe_result *result, const struct probe_budget *budget, launch_function *launch, void *job,
                   uint32_t per_graph)
{
    cudaStream_t stream;
    cudaGraphExec_t exec = NULL;
    if (!probe_ok(cudaDeviceSynchronize(), result) ||
        !probe_ok(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), result))
        return false;
    launch(job, 0, stream); /* a library that prepares itself at its first call must not do so inside the capture */
    bool done =
        probe_ok(cudaStreamSynchronize(stream), result) && capture(stream, launch, job, per_graph, result, &exec);
    struct series series = {result, budget, launch_graph, exec, per_graph};
    done = done && measure_on(stream, &series, true);
    if (exec) cudaGraphExecDestroy(exec);
    cudaStreamDestroy(stream);
    return done;
}

/* --- the host's clock --- */

bool measure_host(struct probe_result *result, const struct probe_budget *budget, host_function *act, void *job,
                  uint32_t per_sample)
{
    double spent_seconds = 0;
    for (uint32_t i = 0; i < budget->warmups; i++)
        if (!act(job, result)) return false;
    while (result->samples < samples_max(budget)) {
        double start = host_seconds();
        if (!act(job, result)) return false;
        double seconds = host_seconds() - start;
        spent_seconds += seconds;
        result->seconds[result->samples++] = seconds / per_sample;
        result->launches += per_sample;
        if (spent_seconds > budget->seconds_max && result->samples >= samples_enough(budget, seconds)) break;
    }
    return true;
}
