/* calibrate_table.c owns the layout of a calibration: a line for each figure with its spread and a bar of what the part
 * can do, the coefficients, and sentences for what could not be measured. */
#include "cli/calibrate_table.h"

#include "cli/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BAR_CELLS = 20, LABEL_BYTES = 80, LABEL_WIDTH = 34 };

/* What a reason means and what would help. */
static const struct {
    const char *reason, *sentence;
} sentences[] = {
    {"no_driver", "there is no NVIDIA driver on this machine"},
    {"driver_too_old", "the NVIDIA driver is too old for this program: update it to 580 or newer"},
    {"driver_library_mismatch",
     "the driver's library and its kernel module differ, as after an update: restart the host"},
    {"fabric_not_ready", "the GPUs wait for their switches: is nvidia-fabricmanager running?"},
    {"no_device", "the driver knows of no such GPU; in a container, is one passed in?"},
    {"device_in_use", "somebody has the GPU for himself: wait, or change its compute mode"},
    {"unsupported_compute_capability", "this program has no code for that GPU"},
    {"ptx_newer_than_driver", "the driver is too old to compile this program's code for that GPU: update it"},
    {"compat_not_supported", "CUDA's compatibility package does not work on this GPU: update the driver instead"},
    {"not_enough_memory", "too little memory of the GPU is free"},
    {"built_without_cuda", "gpusize-probe was built without nvcc: build it where CUDA's compiler is"},
    {"timeout", "the driver did not answer in time"},
    {"group_died", "the process that asked the driver died"},
    {"cuda_error", "CUDA failed"},
};

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_of(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : UNKNOWN;
}

static const char *sentence_of(const char *reason)
{
    for (size_t i = 0; i < sizeof sentences / sizeof sentences[0]; i++) {
        if (strcmp(sentences[i].reason, reason) == 0) return sentences[i].sentence;
    }
    return reason;
}

/* "there is no NVIDIA driver on this machine (no_driver: …)" */
static void print_why(const char *before, json_t *object)
{
    const char *reason = text_of(object, "reason"), *detail = text_of(object, "detail");
    (void)printf("%s%s (%s%s%s).\n", before, sentence_of(reason), reason, *detail ? ": " : "", detail);
}

/* --- what the part can do --- */

struct peaks {
    const struct gpu *gpu; /* NULL: the catalog does not know it */
    double dram_gb_per_s;
};

static struct peaks find_peaks(json_t *device, const struct snapshot *snapshot)
{
    struct arena arena;
    struct problems ignored; /* a part that the catalog does not have is no problem */
    struct peaks peaks = {.dram_gb_per_s = number_of(device, "peak_dram_gb_per_s")};
    const char *model = text_of(device, "model");
    if (!snapshot || !*model || strstr(model, "MIG")) return peaks;
    arena_init(&arena, 0);
    problems_init(&ignored, &arena);
    if (snapshot_find_gpu(snapshot, ALIAS_NVIDIA_SMI, model, "", &ignored, &peaks.gpu) != STATUS_OK) peaks.gpu = NULL;
    arena_done(&arena);
    if (peaks.gpu && is_known(peaks.gpu->memory_bandwidth_gb_per_s))
        peaks.dram_gb_per_s = peaks.gpu->memory_bandwidth_gb_per_s;
    return peaks;
}

/* "fp8_e4m3" is fp8; "tf32" is no format of weights, and has a peak of its own. */
static double peak_of_dtype(const struct gpu *gpu, const char *dtype)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(dtype, "_"), dtype);
    if (!gpu) return UNKNOWN;
    if (strcmp(name, "tf32") == 0) return gpu->peak_tflops[PEAK_TF32];
    if (strcmp(name, "fp32") == 0) return gpu->peak_tflops[PEAK_FP32];
    enum dtype parsed = dtype_parse(name);
    return parsed == DTYPE_UNKNOWN ? UNKNOWN : gpu->peak_tflops[dtype_peak(parsed)];
}

/* Of a weight: int4_bf16 is int4 until it is multiplied. */
static double bytes_of_dtype(const char *dtype)
{
    static const struct {
        const char *begins;
        double bytes;
    } sizes[] = {{"fp8", 1}, {"int8", 1}, {"int4", 0.5}, {"fp4", 0.5}, {"nvfp4", 0.5}, {"bf16", 2}, {"fp16", 2}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (strncmp(dtype, sizes[i].begins, strlen(sizes[i].begins)) == 0) return sizes[i].bytes;
    }
    return 4;
}

/* A product with few rows waits for its weights: each is read once, for two operations a row. */
static double peak_of_product(json_t *shape, const struct peaks *peaks)
{
    const char *dtype = text_of(shape, "dtype");
    double peak = peak_of_dtype(peaks->gpu, dtype), m = number_of(shape, "m");
    double bytes = bytes_of_dtype(dtype);
    double fed = 2 * m / bytes * peaks->dram_gb_per_s * 1e-3;
    return fed < peak ? fed : peak;
}

static double peak_of(json_t *result, const struct peaks *peaks)
{
    const char *name = text_of(result, "name"), *unit = text_of(result, "unit");
    json_t *shape = json_object_get(result, "shape");
    if (strcmp(unit, "TFLOP/s") == 0 && *text_of(shape, "dtype")) return peak_of_product(shape, peaks);
    bool dram = strncmp(name, "dram_", 5) == 0 || strncmp(name, "decode", 6) == 0;
    return dram && strcmp(unit, "GB/s") == 0 ? peaks->dram_gb_per_s : UNKNOWN;
}

/* --- lines --- */

static void print_bar(double ratio)
{
    bool utf8 = terminal_is_utf8();
    int full = (int)(fmin(fmax(ratio, 0), 1) * BAR_CELLS + 0.5);
    for (int i = 0; i < BAR_CELLS; i++)
        (void)fputs(i < full ? utf8 ? "█" : "#" : utf8 ? "░" : ".", stdout);
}

/* "64 KiB"; "" for none. */
static void describe_bytes(double bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit < 3; unit++)
        bytes /= 1024;
    text[0] = '\0';
    if (bytes > 0) (void)snprintf(text, size, " %.4g %s", bytes, units[unit]);
}

/* "gemm bf16 m=4096", "decode_attention 32 x 4096", "all_reduce 8 KiB" */
static void describe(json_t *result, char label[LABEL_BYTES])
{
    json_t *shape = json_object_get(result, "shape");
    const char *name = text_of(result, "name"), *dtype = text_of(shape, "dtype");
    double m = number_of(shape, "m"), batch = number_of(shape, "batch"), tokens = number_of(shape, "context_tokens");
    char bytes[24];
    describe_bytes(strcmp(name, "all_reduce") == 0 ? number_of(shape, "bytes") : UNKNOWN, bytes, sizeof bytes);
    if (is_known(m))
        (void)snprintf(label, LABEL_BYTES, "%s %s m=%.0f", name, dtype, m);
    else if (is_known(batch) && is_known(tokens))
        (void)snprintf(label, LABEL_BYTES, "%s %.0f x %.0f, %.0f heads", name, batch, tokens,
                       number_of(shape, "group"));
    else
        (void)snprintf(label, LABEL_BYTES, "%s%s", name, bytes);
}

static void print_suspect(json_t *result)
{
    json_t *suspect = json_object_get(result, "suspect"), *word = NULL;
    size_t i = 0;
    json_array_foreach(suspect, i, word)(void) printf("%s%s", i ? ", " : "  doubtful: ", json_string_value(word));
}

static void print_passed(json_t *result, const struct peaks *peaks)
{
    double value = number_of(result, "value"), peak = peak_of(result, peaks);
    double off = fmax(number_of(result, "p90") / value - 1, 1 - number_of(result, "p10") / value);
    bool bytes = strcmp(text_of(result, "unit"), "bytes") == 0;
    double shown = bytes ? value / GIB : value;
    int digits = shown >= 100 ? 0 : shown >= 10 ? 1 : shown >= 1 ? 2 : 3;
    (void)printf("%10.*f %-8s", digits, shown, bytes ? "GiB" : text_of(result, "unit"));
    if (is_known(off))
        (void)printf(" ±%4.1f %%", off * 100);
    else
        (void)printf("%8s", "");
    if (is_known(peak) && peak > 0) {
        (void)printf("  ");
        print_bar(value / peak);
        (void)printf(" %3.0f %% of %.4g", 100 * value / peak, peak);
    }
    print_suspect(result);
}

static void print_result(json_t *result, const struct peaks *peaks)
{
    char label[LABEL_BYTES];
    const char *status = text_of(result, "status"), *detail = text_of(result, "detail");
    describe(result, label);
    (void)printf("  %-*s", LABEL_WIDTH, label);
    if (strcmp(status, "passed") == 0)
        print_passed(result, peaks);
    else
        (void)printf("%10s %s%s%s", strcmp(status, "waived") == 0 ? "-" : "failed", text_of(result, "reason"),
                     *detail ? ": " : "", detail);
    (void)printf("\n");
}

static void print_results(json_t *results, const struct peaks *peaks)
{
    size_t i = 0;
    json_t *result = NULL;
    json_array_foreach(results, i, result) print_result(result, peaks);
}

/* --- coefficients --- */

static void print_figure(const char *format, json_t *object, const char *key)
{
    double value = number_of(object, key);
    const char *at = strstr(format, "%g");
    if (is_known(value) && at) (void)printf("%.*s%.4g%s", (int)(at - format), format, value, at + 2);
}

static void print_fit(json_t *fit)
{
    json_t *kv = json_object_get(fit, "kv_read"), *value = NULL;
    const char *name = NULL;
    print_figure("  memory read %g GB/s\n", fit, "dram_read_gb_per_s");
    print_figure("  KV cache read: %g us", kv, "t0_us");
    print_figure(" and %g GB/s\n", kv, "gb_per_s");
    json_object_foreach(json_object_get(fit, "gemm"), name, value)
    {
        (void)printf("  products of %s:", name);
        print_figure(" peak %g TFLOP/s", value, "peak_tflops");
        print_figure(", %g for each row up to it", value, "slope_tflops_per_m");
        print_figure(", corner %g", value, "p");
        (void)printf("\n");
    }
    print_figure("  one more kernel in a graph: %g us\n", json_object_get(fit, "launch"), "graph_node_us");
    json_object_foreach(json_object_get(fit, "all_reduce"), name, value)
    {
        (void)printf("  all-reduce over %s GPUs:", name);
        print_figure(" %g us", value, "alpha_us");
        print_figure(" and %g GB/s\n", value, "busbw_gb_per_s");
    }
}

/* --- a GPU, the host --- */

static void print_heading(json_t *device, const struct peaks *peaks)
{
    (void)printf("GPU %.0f: %s", number_of(device, "ordinal"),
                 *text_of(device, "model") ? text_of(device, "model") : "?");
    print_figure(", %g SMs", device, "sm_count");
    double bytes = number_of(device, "memory_total_bytes");
    if (is_known(bytes)) (void)printf(", %.1f GiB", bytes / GIB);
    if (*text_of(device, "driver")) (void)printf(", driver %s", text_of(device, "driver"));
    if (peaks->gpu) (void)printf("; peaks of %s in the catalog", peaks->gpu->id);
    (void)printf("\n");
}

static void print_device(json_t *entry, const struct snapshot *snapshot)
{
    json_t *device = json_object_get(entry, "device");
    json_t *conditions = json_object_get(entry, "conditions");
    const struct peaks peaks = find_peaks(device, snapshot);
    print_heading(device, &peaks);
    if (*text_of(entry, "reason")) print_why("  Not measured: ", entry);
    print_results(json_object_get(entry, "results"), &peaks);
    if (json_is_true(json_object_get(conditions, "shared"))) {
        (void)printf("  Somebody else uses this GPU: the figures are what was left, and no coefficients follow.\n");
        return;
    }
    (void)printf("Coefficients:\n");
    print_fit(json_object_get(entry, "fit"));
}

static void print_host(json_t *host)
{
    const struct peaks none = {.dram_gb_per_s = UNKNOWN};
    json_t *results = json_object_get(host, "results");
    if (!json_array_size(results)) return;
    (void)printf("Host: %s, %.0f CPUs\n", text_of(host, "cpu"), number_of(host, "cpus"));
    print_results(results, &none);
}

bool calibrate_table_print(json_t *report, const struct snapshot *snapshot)
{
    size_t i = 0;
    json_t *entry = NULL;
    if (*text_of(report, "reason")) print_why("No GPU was measured: ", report);
    json_array_foreach(json_object_get(report, "devices"), i, entry) print_device(entry, snapshot);
    print_host(json_object_get(report, "host"));
    (void)printf("%.1f s\n", number_of(report, "wall_seconds"));
    return fflush(stdout) == 0 && !ferror(stdout);
}
