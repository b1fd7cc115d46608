/* result.c owns the filling of results: statistics of the samples, reasons and their names, lists of results. */
#include "kernels/results.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RESULTS_MAX = 2048 };

static const struct {
    const char *name;
    bool is_error;
} reasons[REASON_COUNT] = {
    [REASON_NONE] = {"", true},
    [REASON_NO_DRIVER] = {"no_driver", false},
    [REASON_DRIVER_TOO_OLD] = {"driver_too_old", false},
    [REASON_DRIVER_LIBRARY_MISMATCH] = {"driver_library_mismatch", false},
    [REASON_FABRIC_NOT_READY] = {"fabric_not_ready", false},
    [REASON_NO_DEVICE] = {"no_device", false},
    [REASON_DEVICE_IN_USE] = {"device_in_use", false},
    [REASON_UNSUPPORTED_COMPUTE_CAPABILITY] = {"unsupported_compute_capability", false},
    [REASON_PTX_NEWER_THAN_DRIVER] = {"ptx_newer_than_driver", false},
    [REASON_COMPAT_NOT_SUPPORTED] = {"compat_not_supported", false},
    [REASON_NOT_ENOUGH_MEMORY] = {"not_enough_memory", false},
    [REASON_DTYPE_NOT_IN_HARDWARE] = {"dtype_not_in_hardware", false},
    [REASON_NO_LIBRARY] = {"no_library", false},
    [REASON_ONE_DEVICE] = {"one_device", false},
    [REASON_NO_TIME_LEFT] = {"no_time_left", false},
    [REASON_BUILT_WITHOUT_CUDA] = {"built_without_cuda", false},
    [REASON_VERIFICATION] = {"verification", true},
    [REASON_GROUP_DIED] = {"group_died", true},
    [REASON_TIMEOUT] = {"timeout", true},
    [REASON_CUDA_ERROR] = {"cuda_error", true},
};

const char *probe_reason_name(enum probe_reason reason)
{
    return (unsigned)reason < REASON_COUNT ? reasons[reason].name : "";
}

bool probe_reason_is_error(enum probe_reason reason)
{
    return (unsigned)reason >= REASON_COUNT || reasons[reason].is_error;
}

enum probe_reason probe_reason_named(const char *name, size_t length)
{
    for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
        if (strlen(reasons[i].name) == length && strncmp(reasons[i].name, name, length) == 0)
            return (enum probe_reason)i;
    }
    return REASON_NONE;
}

const char *probe_status_name(enum probe_status status)
{
    static const char *const names[] = {[PROBE_PASSED] = "passed", [PROBE_WAIVED] = "waived", [PROBE_ERROR] = "error"};
    return (unsigned)status < sizeof names / sizeof names[0] ? names[status] : "error";
}

const char *probe_doubt_name(unsigned bit)
{
    static const char *const names[DOUBT_BIT_COUNT] = {"spread", "drift", "above_peak", "under_half_of_peak"};
    return bit < DOUBT_BIT_COUNT ? names[bit] : "";
}

struct probe_result probe_result_begin(const char *name, const char *unit)
{
    struct probe_result result = {
        .status = PROBE_ERROR, .impl = "own", .verified = "", .value = NAN, .p10 = NAN, .p90 = NAN};
    (void)snprintf(result.name, sizeof result.name, "%s", name);
    (void)snprintf(result.unit, sizeof result.unit, "%s", unit);
    return result;
}

void probe_fail(struct probe_result *result, enum probe_status status, enum probe_reason reason, const char *format,
                ...)
{
    va_list args;
    va_start(args, format);
    result->status = status;
    result->reason = reason;
    (void)vsnprintf(result->detail, sizeof result->detail, format, args);
    va_end(args);
}

/* --- statistics --- */

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between the two nearest of sorted values. */
static double quantile(const double *sorted, size_t count, double ratio)
{
    double at = ratio * (double)(count - 1);
    size_t below = (size_t)at;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

static size_t sample_count(const struct probe_result *result)
{
    return result->samples < PROBE_SAMPLES_MAX ? result->samples : PROBE_SAMPLES_MAX;
}

/* Sorts the values and takes the figures from them. */
static void set_figures(struct probe_result *result, double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    bool good = count && isfinite(values[0]) && values[0] > 0 && isfinite(values[count - 1]);
    if (!good) {
        probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "%zu samples, and not all took a time above 0", count);
        return;
    }
    result->value = quantile(values, count, 0.5);
    result->p10 = quantile(values, count, 0.1);
    result->p90 = quantile(values, count, 0.9);
    result->status = PROBE_PASSED;
    result->reason = REASON_NONE;
    result->detail[0] = '\0';
}

void probe_set_rate(struct probe_result *result, double counted, double per_unit)
{
    double values[PROBE_SAMPLES_MAX];
    size_t count = sample_count(result);
    for (size_t i = 0; i < count; i++)
        values[i] = result->seconds[i] > 0 ? counted / result->seconds[i] / per_unit : 0;
    result->counted = counted;
    set_figures(result, values, count);
}

void probe_set_time(struct probe_result *result, double per_unit)
{
    double values[PROBE_SAMPLES_MAX];
    size_t count = sample_count(result);
    for (size_t i = 0; i < count; i++)
        values[i] = result->seconds[i] / per_unit;
    set_figures(result, values, count);
}

double probe_median_s(const struct probe_result *result)
{
    double values[PROBE_SAMPLES_MAX];
    size_t count = sample_count(result);
    if (!count) return NAN;
    memcpy(values, result->seconds, count * sizeof values[0]);
    qsort(values, count, sizeof values[0], compare_doubles);
    return quantile(values, count, 0.5);
}

/* --- lists --- */

void results_add(struct results *results, const struct kept_result *kept)
{
    if (results->count == results->capacity) {
        size_t capacity = results->capacity ? results->capacity * 2 : 16;
        struct kept_result *items = capacity <= RESULTS_MAX ? realloc(results->items, capacity * sizeof *items) : NULL;
        if (!items) {
            results->lost++;
            return;
        }
        results->items = items;
        results->capacity = capacity;
    }
    results->items[results->count++] = *kept;
}

const struct probe_result *results_at(const struct results *results, size_t i)
{
    struct kept_result *kept = &results->items[i];
    kept->result.impl = kept->impl;
    kept->result.verified = kept->verified;
    return &kept->result;
}

void results_free(struct results *results)
{
    free(results->items);
    *results = (struct results){0};
}
