/* launch.cu owns what one more kernel costs, by the host's clock: launched, waited for, replayed from a graph. */
#include "kernels/device.cuh"

static constexpr uint32_t NODES = 1000;

/* Counts how often it ran where it is given a counter, else does nothing: what is timed is what was checked. */
__global__ void count_kernel(uint32_t *counter)
{
    if (counter && threadIdx.x == 0) atomicAdd(counter, 1u);
}

struct launch_job {
    cudaStream_t stream;
    cudaGraphExec_t many, one;
    uint32_t *counter; /* NULL while it is timed */
};

static bool wait_for(const struct launch_job *job, struct probe_result *result)
{
    return probe_ok(cudaGetLastError(), result) && probe_ok(cudaStreamSynchronize(job->stream), result);
}

/* The host is slower than the device: its time is what a launch takes. */
static bool launch_many(void *context, struct probe_result *result)
{
    const struct launch_job *job = (const struct launch_job *)context;
    for (uint32_t i = 0; i < NODES; i++)
        count_kernel<<<1, 32, 0, job->stream>>>(job->counter);
    return wait_for(job, result);
}

static bool launch_one(void *context, struct probe_result *result)
{
    const struct launch_job *job = (const struct launch_job *)context;
    count_kernel<<<1, 32, 0, job->stream>>>(job->counter);
    return wait_for(job, result);
}

static bool replay_many(void *context, struct probe_result *result)
{
    const struct launch_job *job = (const struct launch_job *)context;
    return probe_ok(cudaGraphLaunch(job->many, job->stream), result) && wait_for(job, result);
}

static bool replay_one(void *context, struct probe_result *result)
{
    const struct launch_job *job = (const struct launch_job *)context;
    return probe_ok(cudaGraphLaunch(job->one, job->stream), result) && wait_for(job, result);
}

static bool capture(const struct launch_job *job, uint32_t nodes, cudaGraphExec_t *ret_exec,
                    struct probe_result *result)
{
    cudaGraph_t graph = NULL;
    if (!probe_ok(cudaStreamBeginCapture(job->stream, cudaStreamCaptureModeThreadLocal), result)) return false;
    for (uint32_t i = 0; i < nodes; i++)
        count_kernel<<<1, 32, 0, job->stream>>>(job->counter);
    bool done = probe_ok(cudaStreamEndCapture(job->stream, &graph), result) &&
                probe_ok(cudaGraphInstantiate(ret_exec, graph, 0), result);
    if (graph) cudaGraphDestroy(graph);
    return done;
}

static bool capture_both(struct launch_job *job, struct probe_result *result)
{
    return capture(job, NODES, &job->many, result) && capture(job, 1, &job->one, result);
}

static void destroy_graphs(struct launch_job *job)
{
    if (job->many) cudaGraphExecDestroy(job->many);
    if (job->one) cudaGraphExecDestroy(job->one);
    job->many = job->one = NULL;
}

/* Every way to launch, once, with a counter: each kernel ran exactly once. */
static bool check_launches(struct launch_job *job, struct probe_result *result)
{
    struct device_buffer counter;
    uint32_t count = 0, expected = 2 * (NODES + 1);
    if (!counter.take(sizeof count, result) || !probe_ok(cudaMemset(counter.data, 0, sizeof count), result) ||
        !probe_ok(cudaDeviceSynchronize(), result))
        return false;
    job->counter = counter.as<uint32_t>();
    bool done = capture_both(job, result) && launch_many(job, result) && launch_one(job, result) &&
                replay_many(job, result) && replay_one(job, result) &&
                probe_ok(cudaMemcpy(&count, counter.data, sizeof count, cudaMemcpyDeviceToHost), result);
    destroy_graphs(job);
    job->counter = NULL;
    if (!done || count == expected) return done;
    probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "%u kernels ran instead of %u", count, expected);
    return false;
}

static const struct {
    const char *name;
    host_function *act;
    uint32_t per_sample;
} ways[] = {
    {"graph_node", replay_many, NODES}, /* of a graph of 1,000 empty nodes */
    {"graph_launch", replay_one, 1},    /* of a graph of one node, until it has ended */
    {"launch_async", launch_many, NODES},
    {"launch_wait", launch_one, 1},
};

extern "C" void probe_launch(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                             void *sink)
{
    struct launch_job job = {};
    struct probe_result why = probe_result_begin("launch", "us");
    bool ready = probe_ok(cudaStreamCreateWithFlags(&job.stream, cudaStreamNonBlocking), &why) &&
                 check_launches(&job, &why) && capture_both(&job, &why);
    for (const auto &way : ways) {
        if (!ready) {
            report_failure(way.name, "us", NULL, &why, emit, sink);
            continue;
        }
        struct probe_result result = probe_result_begin(way.name, "us");
        result.impl = own_impl(device);
        result.verified = "reference";
        if (measure_host(&result, budget, way.act, &job, way.per_sample)) probe_set_time(&result, 1e-6);
        emit(&result, sink);
    }
    destroy_graphs(&job);
    if (job.stream) cudaStreamDestroy(job.stream);
    group_check("launch", emit, sink);
}
