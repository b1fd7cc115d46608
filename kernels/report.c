/* report.c owns what the JSON of a report looks like: units in the names, null for what nobody knows. */
#include "kernels/report.h"

#include "kernels/judge.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIGITS = 6 }; /* more than was measured */

/* --- values --- */

/* Whole numbers are told whole. */
static json_t *number(double value)
{
    if (!isfinite(value)) return json_null();
    return value == floor(value) && fabs(value) < 9e15 ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *number_if(double value, bool known)
{
    return known ? number(value) : json_null();
}

/* 0 stands for unknown where the driver tells it. */
static json_t *positive(double value)
{
    return number_if(value, value > 0);
}

static json_t *flag(double value)
{
    return isnan(value) ? json_null() : json_boolean(value > 0);
}

/* null if it is empty, or no UTF-8. */
static json_t *text(const char *value)
{
    json_t *string = *value ? json_string(value) : NULL;
    return string ? string : json_null();
}

static json_t *words(const char *list)
{
    json_t *array = json_array();
    while (*list) {
        size_t length = strcspn(list, " ");
        (void)json_array_append_new(array, json_stringn(list, length));
        list += length + (list[length] == ' ');
    }
    return array;
}

struct member {
    const char *key;
    json_t *value;
};

static json_t *object(const struct member *members)
{
    json_t *made = json_object();
    for (; members->key; members++)
        (void)json_object_set_new(made, members->key, members->value);
    return made;
}
#define OBJECT(...) object((const struct member[]){__VA_ARGS__, {NULL, NULL}})

/* --- a result --- */

/* Only what applies. */
static json_t *shape_of(const struct probe_shape *shape)
{
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {
        {"m", shape->m},         {"n", shape->n},
        {"k", shape->k},         {"bytes", shape->bytes},
        {"gpus", shape->gpus},   {"batch", shape->batch},
        {"group", shape->group}, {"context_tokens", shape->context_tokens},
    };
    json_t *made = json_object();
    if (*shape->dtype) (void)json_object_set_new(made, "dtype", text(shape->dtype));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].value) (void)json_object_set_new(made, rows[i].key, json_integer((json_int_t)rows[i].value));
    }
    return made;
}

static json_t *counted_of(const struct probe_result *result)
{
    bool operations = strstr(result->unit, "FLOP") || strstr(result->unit, "OP/s");
    if (!(result->counted > 0)) return json_null();
    return OBJECT({operations ? "operations" : "bytes", number(result->counted)});
}

static json_t *doubts_of(unsigned doubts)
{
    json_t *array = json_array();
    for (unsigned bit = 0; bit < DOUBT_BIT_COUNT; bit++) {
        if (doubts & 1U << bit) (void)json_array_append_new(array, json_string(probe_doubt_name(bit)));
    }
    return array;
}

static json_t *samples_of(const struct probe_result *result)
{
    json_t *array = json_array();
    for (size_t i = 0; i < result->samples && i < PROBE_SAMPLES_MAX; i++)
        (void)json_array_append_new(array, number(result->seconds[i]));
    return array;
}

static double seconds_of(const struct probe_result *result)
{
    double sum = 0;
    for (size_t i = 0; i < result->samples && i < PROBE_SAMPLES_MAX; i++)
        sum += result->seconds[i];
    return sum;
}

static json_t *result_of(const struct kept_result *kept, double peak_dram_gb_per_s, bool with_samples)
{
    const struct probe_result *result = &kept->result;
    bool passed = result->status == PROBE_PASSED;
    bool has_peak = passed && peak_dram_gb_per_s > 0 && judge_is_dram(result);
    json_t *made = OBJECT({"name", text(result->name)}, {"status", json_string(probe_status_name(result->status))},
                          {"reason", text(passed ? "" : probe_reason_name(result->reason))},
                          {"detail", text(result->detail)}, {"unit", text(result->unit)},
                          {"value", number_if(result->value, passed)}, {"p10", number_if(result->p10, passed)},
                          {"p90", number_if(result->p90, passed)}, {"again", number(kept->again)},
                          {"samples", json_integer(result->samples)}, {"discarded", json_integer(result->discarded)},
                          {"launches", json_integer(result->launches)}, {"counted", counted_of(result)},
                          {"fraction_of_peak", number_if(result->value / peak_dram_gb_per_s, has_peak)},
                          {"sm_clock_mhz", positive(result->sm_clock_mhz)}, {"impl", text(kept->impl)},
                          {"shape", shape_of(&result->shape)}, {"verified", text(kept->verified)},
                          {"suspect", doubts_of(kept->doubts)}, {"seconds", number(seconds_of(result))});
    if (with_samples) (void)json_object_set_new(made, "samples_seconds", samples_of(result));
    return made;
}

static json_t *results_of(const struct results *results, double peak_dram_gb_per_s, bool with_samples)
{
    json_t *array = json_array();
    for (size_t i = 0; i < results->count; i++)
        (void)json_array_append_new(array, result_of(&results->items[i], peak_dram_gb_per_s, with_samples));
    return array;
}

/* --- a device --- */

/* "00000000:1A:00.0": domain, bus, device, which are hexadecimal. */
static bool read_pci(const char *id, uint32_t ret_fields[3])
{
    for (int i = 0; i < 3; i++) {
        size_t length = strspn(id, "0123456789ABCDEFabcdef");
        if (!length || length > 8 || !id[length]) return false;
        for (ret_fields[i] = 0; length; length--, id++)
            ret_fields[i] = ret_fields[i] << 4 | (uint32_t)(*id <= '9' ? *id - '0' : (*id | 0x20) - 'a' + 10);
        id++;
    }
    return true;
}

static json_t *pci_of(const struct probe_device *facts, const struct nvml_facts *nvml)
{
    uint32_t fields[3];
    char vendor_device[16] = "";
    if (!read_pci(facts->pci_bus_id, fields)) return json_null();
    if (nvml->known && nvml->pci_vendor_device > 0) {
        uint32_t both = (uint32_t)nvml->pci_vendor_device;
        (void)snprintf(vendor_device, sizeof vendor_device, "%04x:%04x", both & 0xFFFFU, both >> 16);
    }
    return OBJECT({"domain", json_integer(fields[0])}, {"bus", json_integer(fields[1])},
                  {"device", json_integer(fields[2])}, {"vendor_device", text(vendor_device)});
}

static json_t *device_of(const struct measured_device *device)
{
    const struct probe_device *facts = &device->facts;
    const struct nvml_facts *nvml = &device->before;
    char capability[32] = "";
    bool under_mps = nvml->known && nvml->mps_process_count > 0;
    if (facts->cc_major) (void)snprintf(capability, sizeof capability, "%d.%d", facts->cc_major, facts->cc_minor);
    return OBJECT(
        {"key", text(device->key)}, {"ordinal", json_integer(facts->ordinal)}, {"model", text(facts->name)},
        {"pci", pci_of(facts, nvml)}, {"compute_capability", text(capability)}, {"sm_count", positive(facts->sm_count)},
        {"l2_bytes", positive((double)facts->l2_bytes)}, {"memory_total_bytes", positive((double)facts->total_bytes)},
        {"memory_free_bytes", positive((double)facts->free_bytes)}, {"context_bytes", number(device->context_bytes)},
        {"ecc", json_boolean(facts->ecc)}, {"integrated", json_boolean(facts->integrated)},
        {"jit", json_boolean(facts->jit)}, {"mig", nvml->known ? flag(nvml->mig) : json_null()},
        {"mps", nvml->known ? json_boolean(under_mps) : json_null()},
        {"virtual", nvml->known ? flag(nvml->virtual_gpu) : json_null()}, {"driver", text(nvml->driver)},
        {"cuda_driver", positive(facts->driver_version)}, {"cuda_runtime", positive(facts->runtime_version)},
        {"peak_dram_gb_per_s", positive(facts->peak_dram_gb_per_s)},
        {"peak_source", json_string(facts->peak_dram_gb_per_s > 0 ? "driver" : "unknown")},
        {"sm_clock_max_mhz", positive(facts->sm_clock_max_mhz)},
        {"power_limit_watts", number_if(nvml->power_limit_watts, nvml->known)},
        {"pcie",
         nvml->known ? OBJECT({"gen", number(nvml->pcie_gen)}, {"width", number(nvml->pcie_width)}) : json_null()});
}

static json_t *throttle_of(double bits)
{
    json_t *array = json_array();
    char unnamed[24];
    for (unsigned bit = 0; bit < 53 && bits > 0; bit++) {
        const char *name = nvml_throttle_name(bit);
        if (!((uint64_t)bits >> bit & 1)) continue;
        (void)snprintf(unnamed, sizeof unnamed, "bit_%u", bit);
        (void)json_array_append_new(array, json_string(name ? name : unnamed));
    }
    return array;
}

static json_t *conditions_of(const struct nvml_facts *nvml)
{
    if (!nvml->known) return json_null();
    return OBJECT({"sm_clock_mhz", number(nvml->sm_clock_mhz)}, {"memory_clock_mhz", number(nvml->memory_clock_mhz)},
                  {"power_watts", number(nvml->power_watts)}, {"temperature_c", number(nvml->temperature_c)},
                  {"throttle", isnan(nvml->throttle_bits) ? json_null() : throttle_of(nvml->throttle_bits)},
                  {"busy_percent", number(nvml->busy_percent)}, {"other_processes", number(nvml->process_count)},
                  {"foreign_bytes", number(nvml->used_bytes)});
}

/* --- the coefficients --- */

static json_t *gemm_of(const struct summary *summary)
{
    json_t *made = json_object();
    for (size_t i = 0; i < summary->gemm_count; i++) {
        const struct gemm_fit *fit = &summary->gemm[i];
        (void)json_object_set_new(made, fit->dtype,
                                  OBJECT({"peak_tflops", number(fit->peak_tflops)}, {"p", number(fit->p)},
                                         {"slope_tflops_per_m", number(fit->slope_tflops_per_m)},
                                         {"impl", text(fit->impl)}));
    }
    return made;
}

static json_t *all_reduce_of(const struct summary *summary)
{
    json_t *made = json_object();
    char gpus[16];
    for (size_t i = 0; i < summary->all_reduce_count; i++) {
        const struct all_reduce_fit *fit = &summary->all_reduce[i];
        (void)snprintf(gpus, sizeof gpus, "%u", fit->gpus);
        (void)json_object_set_new(
            made, gpus, OBJECT({"alpha_us", number(fit->alpha_us)}, {"busbw_gb_per_s", number(fit->busbw_gb_per_s)}));
    }
    return made;
}

static json_t *fit_of(const struct summary *summary)
{
    bool has_kv = !isnan(summary->kv_gb_per_s), has_launch = !isnan(summary->graph_node_us);
    return OBJECT(
        {"dram_read_gb_per_s", number(summary->dram_read_gb_per_s)},
        {"kv_read", has_kv ? OBJECT({"t0_us", number(summary->kv_t0_us)}, {"gb_per_s", number(summary->kv_gb_per_s)})
                           : json_null()},
        {"gemm", gemm_of(summary)},
        {"launch", has_launch ? OBJECT({"graph_node_us", number(summary->graph_node_us)}) : json_null()},
        {"all_reduce", all_reduce_of(summary)});
}

/* --- the whole --- */

static json_t *measured_of(const struct measured_device *device, bool with_samples)
{
    bool opened = device->why_not.status == PROBE_PASSED;
    double peak = device->shared || device->before.mig > 0 ? (double)NAN : device->facts.peak_dram_gb_per_s;
    return OBJECT(
        {"device", device_of(device)},
        {"conditions", OBJECT({"before", conditions_of(&device->before)}, {"after", conditions_of(&device->after)},
                              {"shared", json_boolean(device->shared)})},
        {"results", results_of(&device->results, peak, with_samples)}, {"fit", fit_of(&device->summary)},
        {"status", json_string(verdict_name(host_run_device_verdict(device)))},
        {"reason", text(opened ? "" : probe_reason_name(device->why_not.reason))},
        {"detail", text(opened ? "" : device->why_not.detail)});
}

static json_t *devices_of(const struct host_run *host, bool with_samples)
{
    json_t *array = json_array();
    for (size_t i = 0; i < host->device_count; i++)
        (void)json_array_append_new(array, measured_of(&host->devices[i], with_samples));
    return array;
}

/* "Intel(R) Xeon(R) Processor"; "" where the kernel does not say. */
static void read_cpu_name(char *name, size_t size)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    name[0] = '\0';
    while (file && !*name && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (colon && colon[1] == ' ' && strncmp(line, "model name", 10) == 0)
            (void)snprintf(name, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    }
    if (file) (void)fclose(file);
}

static json_t *host_of(const struct host_run *host, bool with_samples)
{
    char name[128];
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE), cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    read_cpu_name(name, sizeof name);
    return OBJECT({"cpu", text(name)}, {"cpus", positive((double)sysconf(_SC_NPROCESSORS_ONLN))},
                  {"memory_total_bytes", positive((double)pages * (double)page)}, {"l3_bytes", positive((double)cache)},
                  {"load1", number(host->load1)}, {"results", results_of(&host->cpu, (double)NAN, with_samples)},
                  {"status", host->cpu.count ? json_string(verdict_name(host_run_cpu_verdict(host))) : json_null()});
}

static json_t *probe_of(const struct probe_build *build)
{
    return OBJECT(
        {"version", json_string(build->version)},
        {"build", OBJECT({"cuda", text(build->cuda)}, {"sass", words(build->sass)}, {"ptx", words(build->ptx)})});
}

char *report_make(const struct host_run *host, const struct probe_build *build, bool with_samples)
{
    bool has_gpu = host->why_not.status == PROBE_PASSED;
    json_t *report =
        OBJECT({"schema", json_string("calibration/1")}, {"status", json_string(verdict_name(host_run_verdict(host)))},
               {"device_kind", json_string(host_run_device_kind(host))},
               {"reason", text(has_gpu ? "" : probe_reason_name(host->why_not.reason))},
               {"detail", text(has_gpu ? "" : host->why_not.detail)}, {"started_at", json_string(host->started_at)},
               {"wall_seconds", number(host->wall_s)}, {"probe", probe_of(build)},
               {"devices", devices_of(host, with_samples)}, {"host", host_of(host, with_samples)});
    char *line = json_dumps(report, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS)), *ended = NULL;
    json_decref(report);
    if (line && asprintf(&ended, "%s\n", line) < 0) ended = NULL;
    free(line);
    return ended;
}
