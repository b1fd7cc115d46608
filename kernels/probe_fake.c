/* probe_fake.c owns a backend that measures nothing: figures of parts as they are published, the same at every run, and
 * every way to fail. Sources of the figures: docs/calibrate.md. */
#include "kernels/probe_fake.h"

#include "kernels/results.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char probe_fake_names[] = "h100 h200 l40s b200 2xh100";

struct corner {
    const char *dtype;
    double peak_tflops, ridge_m, p;
};

struct part {
    const char *fake, *name;
    int count, cc_major, cc_minor, sm_count;
    double memory_gib, l2_mib, peak_dram_gb_per_s, sm_clock_max_mhz;
    double read_gb_per_s, copy_gb_per_s, triad_gb_per_s, l2_gb_per_s;
    double kv_gb_per_s, kv_t0_us, graph_node_us, h2d_gb_per_s;
    double alpha_us, busbw_gb_per_s;
    struct corner gemm[2];
};
static const struct part parts[] = {
    {"h100",
     "NVIDIA H100 80GB HBM3",
     1,
     9,
     0,
     132,
     79.1,
     50,
     3352,
     1980,
     3060,
     2959,
     2990,
     7100,
     3026,
     3.0,
     1.3,
     55,
     15.6,
     430,
     {{"bf16", 794.5, 335, 2.5}, {"fp8_e4m3", 1402.6, 414, 1.4}}},
    {"h200", "NVIDIA H200", 1,    9,    0,    132,  139.8,
     50,     4800,          1980, 4410, 4300, 4330, 9500,
     4374,   3.1,           1.3,  55,   16.8, 446,  {{"bf16", 794.5, 249, 2.1}, {"fp8_e4m3", 1453.4, 414, 1.4}}},
    {"l40s", "NVIDIA L40S", 1,    8,   9,    142,  44.5,
     96,     864,           2520, 845, 790,  830,  5200,
     704,    2.6,           1.0,  24,  22.4, 1.45, {{"bf16", 227, 330, 2.0}, {"fp8_e4m3", 360, 288, 1.7}}},
    {"b200", "NVIDIA B200", 1,    10,   0,    148,  178.4,
     126,    8000,          1965, 6692, 6500, 6600, 12000,
     7242,   3.3,           1.3,  55,   25.2, 657,  {{"bf16", 1745, 351, 2.0}, {"fp8_e4m3", 3432.5, 663, 1.3}}},
    {"2xh100",
     "NVIDIA H100 80GB HBM3",
     2,
     9,
     0,
     132,
     79.1,
     50,
     3352,
     1980,
     3060,
     2959,
     2990,
     7100,
     3026,
     3.0,
     1.3,
     55,
     15.6,
     430,
     {{"bf16", 794.5, 335, 2.5}, {"fp8_e4m3", 1402.6, 414, 1.4}}},
};

/* How often each group has run, over all children: shared memory. */
enum { FAKE_GROUPS = 10 };
static const char *const group_names[FAKE_GROUPS] = {"count", "open",   "capacity", "stream", "decode",
                                                     "gemm",  "launch", "onchip",   "link",   "collective"};
static const struct part *part = &parts[0];
static const char *faults = "";
static unsigned *runs;

bool probe_fake_choose(const char *name)
{
    size_t length = strcspn(name, "+");
    const char *given = getenv("GPUSIZE_PROBE_FAULT");
    faults = name[length] ? name + length + 1 : given ? given : "";
    void *shared = mmap(NULL, FAKE_GROUPS * sizeof *runs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    runs = shared == MAP_FAILED ? NULL : shared;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        part = &parts[i];
        if (strlen(part->fake) == length && strncmp(part->fake, name, length) == 0) return runs != NULL;
    }
    return false;
}

/* --- faults: "GROUP:WHAT", separated by commas. WHAT is a reason, or one of
 * hang, segv, exit: the child ends badly after its first result
 * throttled: samples were thrown away       noisy: they differ widely       drift: the second run is 10 % slower
 * sticky: all results but the first fail    above: over the peak            chatty: it prints --- */

static bool fault_of(const char *group, const char **ret_what, size_t *ret_length)
{
    for (const char *at = faults; *at;) {
        size_t length = strcspn(at, ","), name = strcspn(at, ":");
        if (name < length && strlen(group) == name && strncmp(at, group, name) == 0) {
            *ret_what = at + name + 1;
            *ret_length = length - name - 1;
            return true;
        }
        at += length + (at[length] == ',');
    }
    return false;
}

static bool has_fault(const char *group, const char *what)
{
    const char *found = NULL;
    size_t length = 0;
    return fault_of(group, &found, &length) && strlen(what) == length && strncmp(found, what, length) == 0;
}

static enum probe_reason reason_of(const char *group)
{
    const char *found = NULL;
    size_t length = 0;
    return fault_of(group, &found, &length) ? probe_reason_named(found, length) : REASON_NONE;
}

static void fail_for(struct probe_result *result, enum probe_reason reason)
{
    probe_fail(result, probe_reason_is_error(reason) ? PROBE_ERROR : PROBE_WAIVED, reason, "the stand-in was told to");
}

/* --- a group while it runs --- */

struct stage {
    const char *group;
    const struct probe_budget *budget;
    probe_emit *emit;
    void *sink;
    unsigned emitted, run; /* results so far; runs of the group before this one */
};

static struct stage stage_begin(const char *group, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct stage stage = {.group = group, .budget = budget, .emit = emit, .sink = sink};
    for (size_t i = 0; i < FAKE_GROUPS; i++) {
        if (strcmp(group_names[i], group) == 0) stage.run = runs[i]++;
    }
    if (has_fault(group, "chatty")) (void)puts("a library says hello");
    return stage;
}

static void misbehave(const struct stage *stage)
{
    if (has_fault(stage->group, "segv")) {
        (void)signal(SIGSEGV, SIG_DFL); /* or a sanitizer makes an exit of it */
        (void)raise(SIGSEGV);
    }
    if (has_fault(stage->group, "exit")) _exit(9);
    while (has_fault(stage->group, "hang"))
        (void)pause();
}

/* Samples of what takes `seconds`: within 0.4 %, the same at every run. */
static void fill_samples(const struct stage *stage, struct probe_result *result, double seconds)
{
    double spread = has_fault(stage->group, "noisy") ? 0.3 : 0.004;
    if (has_fault(stage->group, "drift") && stage->run) seconds *= 1.1;
    if (has_fault(stage->group, "above")) seconds *= 0.8;
    result->samples = stage->budget->samples_max;
    result->launches = result->samples + stage->budget->warmups;
    for (uint32_t i = 0; i < result->samples; i++)
        result->seconds[i] = seconds * (1 + spread * sin(2.4 * i));
    result->sm_clock_mhz = part->sm_clock_max_mhz - 15;
    if (!has_fault(stage->group, "throttled")) return;
    result->discarded = 3;
    result->samples -= result->discarded;
}

/* counted 0: it is a time. */
static void stage_emit(struct stage *stage, struct probe_result *result, double seconds, double counted,
                       double per_unit)
{
    enum probe_reason reason = reason_of(stage->group);
    if (stage->emitted && has_fault(stage->group, "sticky")) reason = REASON_CUDA_ERROR;
    fill_samples(stage, result, seconds);
    if (counted > 0)
        probe_set_rate(result, counted, per_unit);
    else
        probe_set_time(result, per_unit);
    if (reason != REASON_NONE) fail_for(result, reason);
    stage->emit(result, stage->sink);
    if (!stage->emitted++) misbehave(stage);
}

static void emit_rate(struct stage *stage, const char *name, double gb_per_s, double bytes)
{
    struct probe_result result = probe_result_begin(name, "GB/s");
    result.shape.bytes = (uint64_t)bytes;
    result.verified = "checksum";
    stage_emit(stage, &result, bytes / gb_per_s * 1e-9, bytes, 1e9);
}

static void emit_time(struct stage *stage, const char *name, const char *unit, double seconds, double per_unit)
{
    struct probe_result result = probe_result_begin(name, unit);
    stage_emit(stage, &result, seconds, 0, per_unit);
}

/* --- the backend --- */

int probe_count(struct probe_result *why_not)
{
    enum probe_reason reason = reason_of("count");
    struct stage stage = stage_begin("count", NULL, NULL, NULL);
    misbehave(&stage);
    if (reason == REASON_NONE) return part->count;
    fail_for(why_not, reason);
    return -1;
}

bool probe_open(int ordinal, struct probe_device *ret_device, struct probe_result *why_not)
{
    enum probe_reason reason = reason_of("open");
    struct stage stage = stage_begin("open", NULL, NULL, NULL);
    misbehave(&stage);
    if (reason != REASON_NONE) {
        fail_for(why_not, reason);
        return false;
    }
    uint64_t bytes = (uint64_t)(part->memory_gib * 1024) << 20;
    *ret_device = (struct probe_device){
        .ordinal = ordinal,
        .cc_major = part->cc_major,
        .cc_minor = part->cc_minor,
        .sm_count = part->sm_count,
        .ecc = true,
        .driver_version = 13000,
        .runtime_version = 13000,
        .total_bytes = bytes,
        .free_bytes = bytes - (512U << 20),
        .l2_bytes = (uint64_t)part->l2_mib << 20,
        .shared_optin_bytes = 227 << 10,
        .peak_dram_gb_per_s = part->peak_dram_gb_per_s,
        .sm_clock_max_mhz = part->sm_clock_max_mhz,
    };
    (void)snprintf(ret_device->name, sizeof ret_device->name, "%s", part->name);
    (void)snprintf(ret_device->pci_bus_id, sizeof ret_device->pci_bus_id, "00000000:%02X:00.0", 24 + ordinal);
    return true;
}

void probe_capacity(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct stage stage = stage_begin("capacity", budget, emit, sink);
    struct probe_result result = probe_result_begin("allocatable", "bytes");
    stage_emit(&stage, &result, (double)(device->free_bytes - (64U << 20)), 0, 1);
}

void probe_stream(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct stage stage = stage_begin("stream", budget, emit, sink);
    (void)device;
    emit_rate(&stage, "dram_read", part->read_gb_per_s, 0x1p30);
    emit_rate(&stage, "dram_copy", part->copy_gb_per_s, 0x1p30);
    emit_rate(&stage, "dram_memcpy", part->copy_gb_per_s, 0x1p30);
    emit_rate(&stage, "dram_triad", part->triad_gb_per_s, 0x1p30);
    emit_rate(&stage, "l2_read", part->l2_gb_per_s, part->l2_mib * 0x1p18);
}

void probe_decode(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    static const uint32_t cases[][3] = {{1, 8192, 4}, {32, 4096, 4}, {32, 4096, 8}, {128, 1024, 4}};
    struct stage stage = stage_begin("decode", budget, emit, sink);
    (void)device;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe_result result = probe_result_begin("decode_attention", "GB/s");
        double bytes = (double)cases[i][0] * cases[i][1] * 2 * 8 * 128 * 2;
        result.shape = (struct probe_shape){
            .dtype = "bf16", .batch = cases[i][0], .context_tokens = cases[i][1], .group = cases[i][2]};
        result.shape.bytes = (uint64_t)bytes;
        result.verified = "reference";
        stage_emit(&stage, &result, part->kv_t0_us * 1e-6 + bytes / part->kv_gb_per_s * 1e-9, bytes, 1e9);
    }
}

static void emit_gemm(struct stage *stage, const struct corner *corner, uint32_t m)
{
    struct probe_result result = probe_result_begin("gemm", "TFLOP/s");
    double slope = corner->peak_tflops / corner->ridge_m, operations = 2.0 * m * 8192 * 8192;
    double tflops = pow(pow(slope * m, -corner->p) + pow(corner->peak_tflops, -corner->p), -1 / corner->p);
    result.shape.m = m;
    result.shape.n = result.shape.k = 8192;
    result.impl = "cublaslt";
    result.verified = "reference";
    (void)snprintf(result.shape.dtype, sizeof result.shape.dtype, "%s", corner->dtype);
    stage_emit(stage, &result, operations / tflops * 1e-12, operations, 1e12);
}

void probe_gemm(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    static const uint32_t sizes[] = {1, 8, 32, 128, 512, 4096};
    struct stage stage = stage_begin("gemm", budget, emit, sink);
    (void)device;
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++)
        emit_gemm(&stage, &part->gemm[i % 2], sizes[i / 2]);
}

void probe_launch(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct stage stage = stage_begin("launch", budget, emit, sink);
    (void)device;
    emit_time(&stage, "graph_node", "us", part->graph_node_us * 1e-6, 1e-6);
    emit_time(&stage, "launch_wait", "us", 7.5e-6, 1e-6);
}

void probe_onchip(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct stage stage = stage_begin("onchip", budget, emit, sink);
    (void)device;
    emit_time(&stage, "l2_latency", "ns", 151e-9, 1e-9);
    emit_time(&stage, "dram_latency", "ns", 321e-9, 1e-9);
}

void probe_link(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct stage stage = stage_begin("link", budget, emit, sink);
    (void)device;
    emit_rate(&stage, "h2d_pinned", part->h2d_gb_per_s, 0x1p28);
    emit_rate(&stage, "d2h_pinned", part->h2d_gb_per_s, 0x1p28);
}

void probe_collective(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                      void *sink)
{
    struct stage stage = stage_begin("collective", budget, emit, sink);
    (void)device;
    for (uint64_t bytes = 8192; bytes <= 128U << 20; bytes *= 16) {
        struct probe_result result = probe_result_begin("all_reduce", "us");
        double crossing = 2.0 * (part->count - 1) / part->count * (double)bytes;
        result.impl = "nccl";
        result.shape.bytes = bytes;
        result.shape.gpus = (uint32_t)part->count;
        if (part->count > 1) {
            stage_emit(&stage, &result, part->alpha_us * 1e-6 + crossing / part->busbw_gb_per_s * 1e-9, 0, 1e-6);
        } else {
            probe_fail(&result, PROBE_WAIVED, REASON_ONE_DEVICE, "an all-reduce needs two");
            emit(&result, sink);
            return;
        }
    }
}
