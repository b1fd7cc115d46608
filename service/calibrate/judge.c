/* judge.c owns the limits beyond which a report's figures are refused or doubted. */
#include "calibrate/judge.h"

#include "catalog/text.h"

#include <stdio.h>
#include <string.h>

#define PEAK_MAX_RATIO 1.03  /* clocks are rounded where peaks are stated */
#define PEAK_MIN_RATIO 0.5   /* the lowest published read is 0.73 of the bandwidth */
#define USUAL_MIN_RATIO 0.8  /* of what others published of the part: products in 8 bits of an L40S reach 0.49 */
#define SPREAD_MAX_RATIO 1.1 /* p90 over p10: more is a clock that changes, or somebody else */
#define DRIFT_MAX_RATIO 0.05 /* the same figure at the end of the run */
#define MEMORY_MAX_DISTANCE 0.15
/* Switches that add up what they pass on halve what crosses a link, so that a ring's figure may be twice the link's. */
#define LINK_MAX_RATIO (2 * PEAK_MAX_RATIO)
enum { REASONS_BYTES = 1200, OWN_KERNELS_MAX_CC = 9, STREAM_RESULTS_MAX = 32 };

/* What the figures are in a report. */
static const struct figure {
    const char *fit;          /* path below fit */
    size_t offset;            /* in struct calibration */
    const char *result;       /* what names of the results begin with that it rests on, */
    const char *dtypes[2];    /* and their formats; NULL: any */
    enum kernel_figure share; /* memory, or KERNEL_16BIT: a peak */
    enum peak peak;
} figures[] = {
    {"dram_read_gb_per_s",
     offsetof(struct calibration, memory_gb_per_s),
     "dram_read",
     {NULL},
     KERNEL_MEMORY,
     PEAK_FP32},
    {"kv_read.gb_per_s", offsetof(struct calibration, kv_gb_per_s), "decode", {NULL}, KERNEL_KV, PEAK_FP32},
#define PRODUCT(dtype, peak)                                                                                           \
    {                                                                                                                  \
        "gemm." dtype ".peak_tflops", offsetof(struct calibration, product_tflops[peak]), "gemm", {dtype},             \
            KERNEL_16BIT, peak                                                                                         \
    }
    PRODUCT("fp32", PEAK_FP32),
    PRODUCT("tf32", PEAK_TF32),
    PRODUCT("bf16", PEAK_FP16),
    PRODUCT("fp16", PEAK_FP16), /* where there is none in bf16 */
    PRODUCT("fp8_e4m3", PEAK_FP8),
    PRODUCT("fp8", PEAK_FP8),
    PRODUCT("int8", PEAK_INT8),
    PRODUCT("nvfp4", PEAK_FP4),
#undef PRODUCT
};
enum { FIGURES = sizeof figures / sizeof *figures };

struct calibration calibration_empty(void)
{
    struct calibration empty = {
        .id = "", .pool = "", .source = "", .driver = "", .reason = "", .started_at = "", .state = CALIBRATION_USED};
    empty.memory_gb_per_s = empty.kv_gb_per_s = empty.launch_us = UNKNOWN;
    empty.allreduce_us = empty.allreduce_gb_per_s = UNKNOWN;
    for (size_t i = 0; i < PEAK_COUNT; i++)
        empty.product_tflops[i] = UNKNOWN;
    empty.as_of = DATE_UNKNOWN;
    return empty;
}

static double *slot(struct calibration *calibration, const struct figure *figure)
{
    return (double *)(void *)((char *)calibration + figure->offset);
}

/* --- results --- */

static double number(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    return json_is_number(member) ? json_number_value(member) : UNKNOWN;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

static bool passed(const json_t *result)
{
    return strcmp(text_of(result, "status"), "passed") == 0 && number(result, "value") > 0;
}

static bool informs(const json_t *result, const struct figure *figure)
{
    const char *dtype = text_of(json_object_get(result, "shape"), "dtype");
    return passed(result) && strncmp(text_of(result, "name"), figure->result, strlen(figure->result)) == 0 &&
           (!figure->dtypes[0] || strcmp(dtype, figure->dtypes[0]) == 0);
}

/* The best of the results, which the unit of the figure must be. */
static double best_result(const json_t *item, const struct figure *figure)
{
    const char *unit = figure->dtypes[0] ? "TFLOP/s" : "GB/s", *other = figure->dtypes[0] ? "TOP/s" : unit;
    const json_t *results = json_object_get(item, "results");
    double best = UNKNOWN;
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i);
        bool same = strcmp(text_of(result, "unit"), unit) == 0 || strcmp(text_of(result, "unit"), other) == 0;
        double value = number(result, "value");
        if (same && informs(result, figure) && !(value <= best)) best = value;
    }
    return best;
}

/* At least half of the results that the figure rests on are scattered. */
static bool is_scattered(const json_t *item, const struct figure *figure)
{
    const json_t *results = json_object_get(item, "results");
    size_t count = 0, scattered = 0;
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i);
        if (!informs(result, figure)) continue;
        count++;
        scattered += number(result, "p90") > SPREAD_MAX_RATIO * number(result, "p10");
    }
    return count > 0 && 2 * scattered >= count;
}

static bool same_shape(const json_t *a, const json_t *b)
{
    const json_t *x = json_object_get(a, "shape"), *y = json_object_get(b, "shape");
    return strcmp(text_of(a, "name"), text_of(b, "name")) == 0 && (x == y || (x && y && json_equal(x, y)));
}

/* How far the reads of memory at the end of the run are from those at its beginning: the worst ratio less 1. */
static double stream_drift(const json_t *item)
{
    const json_t *results = json_object_get(item, "results"), *reads[STREAM_RESULTS_MAX];
    size_t count = 0;
    double drift = 0;
    for (size_t i = 0; i < json_array_size(results) && count < STREAM_RESULTS_MAX; i++) {
        const json_t *result = json_array_get(results, i);
        if (strncmp(text_of(result, "name"), "dram_", 5) == 0 && passed(result)) reads[count++] = result;
    }
    for (size_t i = 0; i < count; i++) {
        double value = number(reads[i], "value"), again = number(reads[i], "again");
        if (again > 0) drift = fmax(drift, fabs(again / value - 1));
        for (size_t k = i + 1; k < count; k++) {
            if (same_shape(reads[i], reads[k])) drift = fmax(drift, fabs(number(reads[k], "value") / value - 1));
        }
    }
    return drift;
}

/* --- figures --- */

/* A number below fit, such as "gemm.bf16.peak_tflops". */
static double read_figure(struct reading *reading, const char *path, const json_t *fit, const char *figure)
{
    for (const char *dot = strchr(figure, '.'); dot; figure = dot + 1, dot = strchr(figure, '.')) {
        const char *name = arena_strndup(reading->arena, figure, (size_t)(dot - figure));
        fit = name ? read_object(reading, fit, path, name) : NULL;
        path = name ? path_of(reading, path, name) : path;
        if (!fit) return UNKNOWN;
    }
    return read_number(reading, fit, path, figure, 1e-3, 1e9);
}

/* Kernels of our own do not reach what tensor cores of Hopper and later can do: their rate is none of the part's. */
static bool is_own_kernel(const json_t *item, const json_t *fit, const struct figure *figure)
{
    const json_t *gemm = json_object_get(fit, "gemm");
    const char *capability = text_of(json_object_get(item, "device"), "compute_capability");
    char major[8];
    double value = UNKNOWN;
    (void)snprintf(major, sizeof major, "%.*s", (int)strcspn(capability, "."), capability);
    return figure->dtypes[0] && text_parse_double(major, &value) && value >= OWN_KERNELS_MAX_CC &&
           strcmp(text_of(json_object_get(gemm, figure->dtypes[0]), "impl"), "own") == 0;
}

/* Of the most GPUs: that is the host as it serves. */
static void read_ring(struct reading *reading, const char *path, const json_t *fit, struct calibration *calibration)
{
    const json_t *rings = read_object(reading, fit, path, "all_reduce"), *ring = NULL;
    const char *name = NULL, *rings_path = path_of(reading, path, "all_reduce");
    json_object_foreach((json_t *)(uintptr_t)rings, name, ring)
    {
        int64_t gpus = 0;
        if (!text_parse_int64(name, &gpus) || gpus < 2 || gpus > 1024) {
            (void)problems_add(reading->problems, STATUS_INVALID_VALUE, rings_path,
                               "\"%.40s\" is no number of GPUs from 2 to 1024", name);
            continue;
        }
        const json_t *object = read_object(reading, rings, rings_path, name);
        const char *ring_path = path_of(reading, rings_path, name);
        double start = read_number(reading, object, ring_path, "alpha_us", 1e-3, 1e9);
        double rate = read_number(reading, object, ring_path, "busbw_gb_per_s", 1e-3, 1e9);
        if ((!is_known(start) && !is_known(rate)) || gpus <= calibration->allreduce_gpus) continue;
        calibration->allreduce_gpus = (uint32_t)gpus;
        calibration->allreduce_us = round6(start);
        calibration->allreduce_gb_per_s = round6(rate);
    }
}

uint32_t figures_read(struct reading *reading, const char *path, const json_t *item, struct calibration *calibration)
{
    const json_t *fit = read_object(reading, item, path, "fit"), *results = json_object_get(item, "results");
    const char *fit_path = path_of(reading, path, "fit");
    uint32_t found = 0;
    if (results && !json_is_null(results) && !json_is_array(results))
        (void)problems_add(reading->problems, STATUS_WRONG_TYPE, path_of(reading, path, "results"), "must be a list");
    for (size_t i = 0; i < FIGURES; i++) {
        double value = read_figure(reading, fit_path, fit, figures[i].fit);
        if (!is_known(value)) value = best_result(item, &figures[i]);
        if (is_known(*slot(calibration, &figures[i])) || is_own_kernel(item, fit, &figures[i])) continue;
        if (!(value >= 1e-3 && value <= 1e9)) continue;
        *slot(calibration, &figures[i]) = round6(value);
        found |= 1U << i;
    }
    calibration->launch_us = round6(read_figure(reading, fit_path, fit, "launch.graph_node_us"));
    read_ring(reading, fit_path, fit, calibration);
    if (is_known(calibration->launch_us) || calibration->allreduce_gpus > 0) found |= 1U << FIGURES;
    return found;
}

const char *figures_why_none(const json_t *item)
{
    /* The closed list of docs/calibrate.md: what the report says is shown only if it is one of these. */
    static const char *const known[] = {
        "no_driver",
        "driver_too_old",
        "driver_library_mismatch",
        "fabric_not_ready",
        "no_device",
        "device_in_use",
        "no_time_left",
        "unsupported_compute_capability",
        "verification",
        "group_died",
        "timeout",
        "ptx_newer_than_driver",
        "no_library",
        "not_enough_memory",
        "compat_not_supported",
        "built_without_cuda",
        "cuda_error",
    };
    const json_t *results = json_object_get(item, "results");
    for (size_t i = 0; i <= json_array_size(results); i++) { /* its own reason, then those of the results */
        const char *reason = text_of(i ? json_array_get(results, i - 1) : item, "reason");
        for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
            if (strcmp(reason, known[k]) == 0) return known[k];
        }
    }
    return "nothing was measured";
}

/* --- judgement --- */

static double peak_of(const struct gpu *gpu, const struct figure *figure)
{
    return figure->share == KERNEL_16BIT ? gpu->peak_tflops[figure->peak] : gpu->memory_bandwidth_gb_per_s;
}

static void refuse_excess(const struct judging *judging, const struct gpu *gpu, const char *figure, double value,
                          double limit, double ratio, const char *unit)
{
    char path[160], shown[NUMBER_TEXT_BYTES], peak[NUMBER_TEXT_BYTES];
    if (!(value > limit * ratio)) return; /* false if either is not known */
    (void)snprintf(path, sizeof path, "%s.fit.%s", judging->path, figure);
    (void)text_format_double(value, shown), (void)text_format_double(limit, peak);
    (void)problems_add(judging->reading->problems, STATUS_OUT_OF_RANGE, path,
                       "%s %s is %.2f times what %s can do (%s): above %.2f something is wrong with the measurement",
                       shown, unit, value / limit, gpu->id, peak, ratio);
}

struct reasons {
    char text[REASONS_BYTES];
    size_t length;
};

static void doubt(struct reasons *reasons, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void doubt(struct reasons *reasons, const char *format, ...)
{
    va_list args;
    if (reasons->length + 200 > sizeof reasons->text) return;
    if (reasons->length) reasons->length += (size_t)snprintf(reasons->text + reasons->length, 3, "; ");
    va_start(args, format);
    int added = vsnprintf(reasons->text + reasons->length, 190, format, args);
    va_end(args);
    if (added > 0) reasons->length += added < 190 ? (size_t)added : 189;
}

/* Whether others have measured no more of the part. */
static bool is_usual(const struct judging *judging, const struct figure *figure, double value)
{
    struct calibration usual = judging->usual ? *judging->usual : calibration_empty();
    return value >= USUAL_MIN_RATIO * *slot(&usual, figure); /* false if it is not known */
}

static void judge_figure(const struct judging *judging, struct calibration *calibration, const struct figure *figure,
                         struct reasons *reasons)
{
    double value = *slot(calibration, figure), peak = peak_of(calibration->gpu, figure);
    const char *unit = figure->share == KERNEL_16BIT ? "TFLOP/s" : "GB/s";
    char shown[NUMBER_TEXT_BYTES];
    if (!is_known(value)) return;
    (void)text_format_double(value, shown);
    refuse_excess(judging, calibration->gpu, figure->fit, value, peak, PEAK_MAX_RATIO, unit);
    if (value < PEAK_MIN_RATIO * peak && !is_usual(judging, figure, value))
        doubt(reasons, "%s of %s %s is %.2f of the peak, under half", figure->fit, shown, unit, value / peak);
    if (is_scattered(judging->item, figure))
        doubt(reasons, "%s is scattered: p90 is over 10 %% above p10", figure->fit);
}

const char *judge_calibration(const struct judging *judging, struct calibration *calibration)
{
    struct reasons reasons = {.length = 0};
    const struct gpu *gpu = calibration->gpu;
    double link = gpu->link_gb_per_s > 0 ? gpu->link_gb_per_s / 2 : gpu->pcie_gb_per_s;
    for (size_t i = 0; i < FIGURES; i++) {
        if (judging->figures & 1U << i) judge_figure(judging, calibration, &figures[i], &reasons);
    }
    refuse_excess(judging, gpu, "all_reduce", calibration->allreduce_gb_per_s, link, LINK_MAX_RATIO, "GB/s");
    if (json_is_true(json_object_get(json_object_get(judging->item, "conditions"), "shared")))
        doubt(&reasons, "others used the GPU meanwhile");
    if (judging->slice) doubt(&reasons, "it is of a slice of a multi-instance GPU (MIG), not of a whole one");
    if (judging->memory_distance > MEMORY_MAX_DISTANCE)
        doubt(&reasons, "its memory is not that of %s: another part of the same name?", gpu->id);
    double drift = stream_drift(judging->item);
    if (drift > DRIFT_MAX_RATIO) doubt(&reasons, "reading memory was %.0f %% off at the end of the run", 100 * drift);
    const char *text = reasons.length ? arena_strdup(judging->reading->arena, reasons.text) : "";
    if (text) return text;
    (void)problems_add(judging->reading->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the report");
    return "";
}
