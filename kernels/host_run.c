/* host_run.c owns the order and the time of groups. The most telling ones run first; what does not fit before the
 * deadline is waived, never squeezed. This process makes no call of CUDA or NVML: children do. */
#include "kernels/host_run.h"

#include "kernels/child.h"
#include "kernels/device_key.h"
#include "kernels/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEVICE_S 29.0   /* of one GPU, all together */
#define CPU_S 3.5       /* of it, with the last GPU, kept for the CPU */
#define AGAIN_S 1.5     /* kept for the first group, which runs again at the end */
#define QUESTION_S 20.0 /* what is there: large hosts, and drivers that compile our code first, take their time */
#define NVML_S 4.0
enum { STREAM = 0, CPU = 8 };

static const struct probe_budget usual = {.seconds_max = 0.08, .samples_min = 8, .samples_max = 64, .warmups = 4};
static const struct probe_budget quick = {.seconds_max = 0.03, .samples_min = 4, .samples_max = 16, .warmups = 2};
static const struct probe_budget usual_cpu = {.seconds_max = 0.45, .samples_min = 5, .samples_max = 40, .warmups = 1};
static const struct probe_budget quick_cpu = {.seconds_max = 0.15, .samples_min = 3, .samples_max = 12, .warmups = 1};

/* least_s: with less than this left it is not begun; most_s: then it is killed. */
static const struct group {
    const char *name, *about;
    probe_group *run;
    double least_s, most_s;
    bool in_quick, once; /* once: with the first GPU, for all of them */
} groups[] = {
    [STREAM] = {"stream", "memory: read, copy, triad; the second-level cache", probe_stream, 0.8, 5, true, false},
    {"capacity", "memory that can be had", probe_capacity, 0.4, 4, true, false},
    {"decode", "attention over a paged KV cache, products with a vector", probe_decode, 1.2, 6, true, false},
    {"gemm", "products of matrices by data type and M", probe_gemm, 2.5, 11, true, false},
    {"launch", "what one more kernel costs", probe_launch, 0.4, 3, true, false},
    {"collective", "all-reduce over all GPUs", probe_collective, 1.5, 7, false, true},
    {"link", "copies from and to the host, peers", probe_link, 1.5, 8, false, false},
    {"onchip", "caches, shared memory, latencies, arithmetic", probe_onchip, 0.8, 5, false, false},
    [CPU] = {"cpu", "the host's memory and arithmetic", probe_cpu, 0.8, DEVICE_S, true, false},
};
enum { GROUP_COUNT = sizeof groups / sizeof groups[0] };

int host_run_group(const char *name, size_t length)
{
    for (int i = 0; i < GROUP_COUNT; i++) {
        if (strlen(groups[i].name) == length && strncmp(groups[i].name, name, length) == 0) return i;
    }
    return -1;
}

const char *host_run_group_name(int group)
{
    return group >= 0 && group < GROUP_COUNT ? groups[group].name : NULL;
}

const char *host_run_group_about(int group)
{
    return group >= 0 && group < GROUP_COUNT ? groups[group].about : NULL;
}

/* --- what children do --- */

struct task {
    const struct group *group;
    struct probe_budget budget;
    int ordinal;
    const char *pci_bus_id;
};

static void send_why_not(struct record_pipe *pipe, const struct probe_result *why_not)
{
    record_send_result(why_not, pipe);
}

static void count_devices(struct record_pipe *pipe, void *arg)
{
    struct probe_result why_not = probe_result_begin("device", "");
    (void)arg;
    const struct record record = {.kind = RECORD_COUNT, .count = probe_count(&why_not)};
    if (record.count < 0) send_why_not(pipe, &why_not);
    record_send(pipe, &record);
}

static void describe_device(struct record_pipe *pipe, void *arg)
{
    const struct task *task = arg;
    struct record record = {.kind = RECORD_DEVICE};
    struct probe_result why_not = probe_result_begin("device", "");
    if (!probe_open(task->ordinal, &record.device, &why_not)) {
        send_why_not(pipe, &why_not);
        return;
    }
    record_send(pipe, &record);
    const struct record now = {.kind = RECORD_NVML, .nvml = nvml_read(record.device.pci_bus_id)};
    record_send(pipe, &now);
}

static void read_conditions(struct record_pipe *pipe, void *arg)
{
    const struct task *task = arg;
    const struct record record = {.kind = RECORD_NVML, .nvml = nvml_read(task->pci_bus_id)};
    record_send(pipe, &record);
}

static void run_probes(struct record_pipe *pipe, void *arg)
{
    const struct task *task = arg;
    struct probe_device device = {0};
    struct probe_result why_not = probe_result_begin(task->group->name, "");
    if (probe_open(task->ordinal, &device, &why_not))
        task->group->run(&device, &task->budget, record_send_result, pipe);
    else
        send_why_not(pipe, &why_not);
}

static void run_cpu(struct record_pipe *pipe, void *arg)
{
    const struct task *task = arg;
    task->group->run(NULL, &task->budget, record_send_result, pipe);
}

/* --- what the parent takes --- */

struct taken {
    struct results *results; /* NULL: none are expected but why not */
    struct probe_result why_not;
    struct probe_device device;
    struct nvml_facts nvml;
    int count;
    bool has_device, has_why_not;
};

static void take(const struct record *record, void *sink)
{
    struct taken *taken = sink;
    switch (record->kind) {
    case RECORD_RESULT:
        if (taken->results) results_add(taken->results, &record->result);
        if (!taken->results) taken->why_not = record->result.result;
        if (!taken->results) taken->has_why_not = true;
        break;
    case RECORD_DEVICE:
        taken->device = record->device;
        taken->has_device = true;
        break;
    case RECORD_COUNT: taken->count = record->count; break;
    case RECORD_NVML: taken->nvml = record->nvml; break;
    case RECORD_KINDS: break;
    }
}

static struct probe_result failure_of(const struct child_outcome *outcome, const char *name)
{
    struct probe_result result = probe_result_begin(name, "");
    probe_fail(&result, PROBE_ERROR, outcome->end == CHILD_LATE ? REASON_TIMEOUT : REASON_GROUP_DIED, "%s",
               outcome->detail);
    return result;
}

/* Why a question that only has one answer has none. */
static struct probe_result why_none(const struct taken *taken, const struct child_outcome *outcome)
{
    struct child_outcome silent = {.end = CHILD_DIED, .detail = "it said nothing"};
    if (taken->has_why_not) return taken->why_not;
    return failure_of(outcome->end == CHILD_DONE ? &silent : outcome, "device");
}

static void add_failure(struct results *results, const struct probe_result *result)
{
    const struct kept_result kept = {.result = *result, .again = (double)NAN};
    results_add(results, &kept);
}

/* --- groups --- */

struct run {
    const struct host_run_options *options;
    struct host_run *host;
};

static bool is_chosen(const struct run *run, const struct group *group)
{
    if (run->options->groups) return run->options->groups & 1U << (group - groups);
    return group->in_quick || !run->options->quick;
}

static void tell(const struct run *run, const char *name, const char *about)
{
    char line[128];
    if (!run->options->progress) return;
    (void)snprintf(line, sizeof line, "%s: %s", name, about);
    run->options->progress(line, run->options->sink);
}

/* Runs the group in at most left_s; what it had reported before it failed stays. */
static void run_group(const struct run *run, const struct group *group, int ordinal, double left_s,
                      struct results *results)
{
    bool on_cpu = group == &groups[CPU], in_short = run->options->quick;
    double scale = run->options->time_scale, limit_s = fmin(left_s, group->most_s * scale);
    struct task task = {.group = group, .ordinal = ordinal};
    task.budget = on_cpu ? in_short ? quick_cpu : usual_cpu : in_short ? quick : usual;
    if (left_s < group->least_s * scale) {
        struct probe_result result = probe_result_begin(group->name, "");
        probe_fail(&result, PROBE_WAIVED, REASON_NO_TIME_LEFT, "%.3g s are left, and it takes %.3g s or more",
                   fmax(left_s, 0), group->least_s);
        add_failure(results, &result);
        return;
    }
    struct taken taken = {.results = results};
    struct child_outcome outcome = child_run(on_cpu ? run_cpu : run_probes, &task, limit_s, take, &taken);
    if (outcome.end == CHILD_DONE) return;
    struct probe_result failure = failure_of(&outcome, group->name);
    add_failure(results, &failure);
}

/* The first group once more: a figure that has moved meanwhile is doubted. */
static void run_again(const struct run *run, struct measured_device *device, double left_s)
{
    struct results again = {0};
    if (left_s < groups[STREAM].least_s * run->options->time_scale) return;
    tell(run, device->facts.name, "memory again");
    run_group(run, &groups[STREAM], device->facts.ordinal, left_s, &again);
    judge_note_again(&device->results, &again);
    results_free(&again);
}

static void run_groups(const struct run *run, struct measured_device *device, double ends_s, bool first)
{
    bool with_stream = is_chosen(run, &groups[STREAM]);
    double reserve_s = with_stream ? AGAIN_S * run->options->time_scale : 0;
    for (const struct group *group = groups; group < groups + GROUP_COUNT; group++) {
        if (group == &groups[CPU] || !is_chosen(run, group) || (group->once && !first)) continue;
        tell(run, device->facts.name, group->about);
        run_group(run, group, device->facts.ordinal, ends_s - monotonic_s() - reserve_s, &device->results);
    }
    if (with_stream) run_again(run, device, ends_s - monotonic_s());
}

/* --- devices --- */

static struct nvml_facts conditions_of(const struct run *run, const char *pci_bus_id)
{
    struct task task = {.pci_bus_id = pci_bus_id};
    struct taken taken = {.count = 0};
    (void)child_run(read_conditions, &task, NVML_S * run->options->time_scale, take, &taken);
    return taken.nvml;
}

/* The driver tells what a context takes only beside what was in use before it. */
static double context_bytes(const struct nvml_facts *before, const struct nvml_facts *within)
{
    double bytes = before->known && within->known ? within->used_bytes - before->used_bytes : (double)NAN;
    return bytes > 0 ? bytes : (double)NAN;
}

static bool under_mps(void)
{
    return getenv("CUDA_MPS_PIPE_DIRECTORY") || getenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE");
}

static void judge_device(struct measured_device *device)
{
    bool whole = !(device->before.mig > 0) && !strstr(device->facts.name, "MIG");
    device->shared = judge_is_shared(&device->before, &device->after, under_mps());
    judge_results(&device->results, whole && !device->shared ? device->facts.peak_dram_gb_per_s : (double)NAN);
    struct results none = {0};
    device->summary = summary_of(device->shared ? &none : &device->results);
}

static void measure_device(const struct run *run, int ordinal, double ends_s, bool first,
                           struct measured_device *device)
{
    struct task task = {.ordinal = ordinal};
    struct taken taken = {.count = 0};
    device->facts.ordinal = ordinal;
    device->context_bytes = (double)NAN;
    device->why_not = probe_result_begin("device", "");
    device->why_not.status = PROBE_PASSED;
    struct child_outcome outcome =
        child_run(describe_device, &task, QUESTION_S * run->options->time_scale, take, &taken);
    if (taken.has_device) {
        device->facts = taken.device;
        device->facts.ordinal = ordinal;
        device->before = conditions_of(run, device->facts.pci_bus_id);
        device->context_bytes = context_bytes(&device->before, &taken.nvml);
        run_groups(run, device, ends_s, first);
        device->after = conditions_of(run, device->facts.pci_bus_id);
    } else {
        device->why_not = why_none(&taken, &outcome);
    }
    if (run->options->secret && *device->before.uuid)
        device_key(run->options->secret, run->options->secret_length, device->before.uuid, device->key);
    judge_device(device);
}

/* How many GPUs there are; 0 with why not in the run. */
static int count_all(const struct run *run)
{
    struct taken taken = {.count = -1};
    struct child_outcome outcome = child_run(count_devices, NULL, QUESTION_S * run->options->time_scale, take, &taken);
    struct probe_result *why_not = &run->host->why_not;
    if (taken.count > 0) return taken.count < DEVICES_MAX ? taken.count : DEVICES_MAX;
    if (taken.count < 0) *why_not = why_none(&taken, &outcome);
    if (taken.count == 0) probe_fail(why_not, PROBE_WAIVED, REASON_NO_DEVICE, "the driver knows of no GPU");
    return 0;
}

static void measure_gpus(const struct run *run)
{
    struct host_run *host = run->host;
    int there = count_all(run), first = 0;
    if (run->options->choice == DEVICE_ONE && there > 0) {
        first = run->options->ordinal;
        if (first >= there)
            probe_fail(&host->why_not, PROBE_WAIVED, REASON_NO_DEVICE, "there is no GPU %d: there are %d, from 0",
                       first, there);
        there = first < there ? first + 1 : 0;
    }
    if (there <= first) return;
    struct measured_device *devices = calloc((size_t)(there - first), sizeof *devices);
    if (!devices) {
        probe_fail(&host->why_not, PROBE_ERROR, REASON_NOT_ENOUGH_MEMORY, "the host has no memory left");
        return;
    }
    host->devices = devices;
    host->why_not.status = PROBE_PASSED;
    for (int i = first; i < there; i++) {
        double cpu_s = i + 1 == there && is_chosen(run, &groups[CPU]) ? CPU_S : 0;
        double ends_s = monotonic_s() + (DEVICE_S - cpu_s) * run->options->time_scale;
        measure_device(run, i, ends_s, i == first, &devices[host->device_count++]);
    }
}

/* --- the run --- */

static void note_start(struct host_run *host)
{
    time_t now = time(NULL);
    struct tm utc;
    double load[1];
    (void)gmtime_r(&now, &utc);
    (void)strftime(host->started_at, sizeof host->started_at, "%Y-%m-%dT%H:%M:%SZ", &utc);
    host->load1 = getloadavg(load, 1) == 1 ? load[0] : (double)NAN;
}

/* The CPU has what the GPUs have left of their time: on a busy host it needs that. */
static double cpu_left_s(const struct host_run *host, double spent_s)
{
    double all_s = DEVICE_S * fmax(1, (double)host->device_count);
    return fmax(CPU_S, all_s - spent_s);
}

void host_run_do(const struct host_run_options *options, struct host_run *ret_host)
{
    struct host_run *host = ret_host;
    const struct run run = {.options = options, .host = host};
    double began_s = monotonic_s();
    bool only_cpu = options->choice == DEVICE_CPU || options->groups == 1U << CPU;
    *host = (struct host_run){.choice = only_cpu ? DEVICE_CPU : options->choice};
    host->why_not = probe_result_begin("device", "");
    note_start(host);
    if (only_cpu)
        probe_fail(&host->why_not, PROBE_WAIVED, REASON_NONE, "no GPU was asked for");
    else
        measure_gpus(&run);
    if (is_chosen(&run, &groups[CPU]) && (host->device_count || host->choice == DEVICE_ALL || only_cpu)) {
        tell(&run, "host", groups[CPU].about);
        run_group(&run, &groups[CPU], 0, cpu_left_s(host, monotonic_s() - began_s) * options->time_scale, &host->cpu);
        judge_results(&host->cpu, (double)NAN);
    }
    host->wall_s = monotonic_s() - began_s;
}

void host_run_free(struct host_run *host)
{
    for (size_t i = 0; i < host->device_count; i++)
        results_free(&host->devices[i].results);
    free(host->devices);
    results_free(&host->cpu);
}

/* --- verdicts --- */

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {
        [VERDICT_PASSED] = "passed",
        [VERDICT_PARTIAL] = "partial",
        [VERDICT_WAIVED] = "waived",
        [VERDICT_ERROR] = "error",
    };
    return names[verdict];
}

struct tally {
    size_t count[PROBE_ERROR + 1];
};

static void tally_results(struct tally *tally, const struct results *results)
{
    for (size_t i = 0; i < results->count; i++)
        tally->count[results->items[i].result.status]++;
    tally->count[PROBE_ERROR] += results->lost;
}

static void tally_device(struct tally *tally, const struct measured_device *device)
{
    tally_results(tally, &device->results);
    if (device->why_not.status != PROBE_PASSED) tally->count[device->why_not.status]++;
}

static enum verdict verdict_of(const struct tally *tally)
{
    if (tally->count[PROBE_PASSED]) return tally->count[PROBE_ERROR] ? VERDICT_PARTIAL : VERDICT_PASSED;
    return tally->count[PROBE_ERROR] ? VERDICT_ERROR : VERDICT_WAIVED;
}

enum verdict host_run_device_verdict(const struct measured_device *device)
{
    struct tally tally = {{0}};
    tally_device(&tally, device);
    return verdict_of(&tally);
}

enum verdict host_run_cpu_verdict(const struct host_run *host)
{
    struct tally tally = {{0}};
    tally_results(&tally, &host->cpu);
    return verdict_of(&tally);
}

/* A CPU stands in where there is no GPU, but not where one fails. */
enum verdict host_run_verdict(const struct host_run *host)
{
    struct tally tally = {{0}};
    bool no_gpu = host->why_not.status == PROBE_WAIVED;
    for (size_t i = 0; i < host->device_count; i++)
        tally_device(&tally, &host->devices[i]);
    if (host->choice == DEVICE_CPU || (host->choice == DEVICE_ALL && no_gpu))
        tally_results(&tally, &host->cpu);
    else if (host->why_not.status != PROBE_PASSED)
        tally.count[host->why_not.status]++;
    return verdict_of(&tally);
}

const char *host_run_device_kind(const struct host_run *host)
{
    bool cpu = host->choice == DEVICE_CPU || (host->choice == DEVICE_ALL && !host->device_count);
    return cpu ? "cpu" : "cuda";
}
