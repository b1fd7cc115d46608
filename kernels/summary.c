/* summary.c owns the fits: a line through times over sizes, and a roofline with a round corner through rates over M. */
#include "kernels/summary.h"

#include <math.h>
#include <string.h>

enum {
    POINTS_MAX = 64,
    CORNER_POINTS_MIN = 4, /* three coefficients, and one to contradict them */
    CORNER_M_MIN = 8,      /* below it the kernel is another one: a product with a vector */
    SLOPE_M_MAX = 64,      /* up to it the weights are what takes time */
    STEPS = 60,
};
#define P_MIN 0.5
#define P_MAX 8.0
#define GOLDEN 0.6180339887498949

/* --- a line --- */

static struct line_fit line_through_origin(const double *amounts, const double *seconds, size_t count)
{
    double sum_xx = 0, sum_x = 0; /* of x = amount / time, whose product with 1 / rate should be 1 */
    for (size_t i = 0; i < count; i++) {
        double x = amounts[i] / seconds[i];
        sum_xx += x * x;
        sum_x += x;
    }
    return (struct line_fit){.start_s = 0, .rate_per_s = sum_x > 0 ? sum_xx / sum_x : (double)NAN};
}

struct line_fit summary_fit_line(const double *amounts, const double *seconds, size_t count)
{
    double ww = 0, wx = 0, xx = 0, w1 = 0, x1 = 0; /* w = 1 / time, x = amount / time: w start + x / rate = 1 */
    for (size_t i = 0; i < count; i++) {
        double w = 1 / seconds[i], x = amounts[i] / seconds[i];
        ww += w * w;
        wx += w * x;
        xx += x * x;
        w1 += w;
        x1 += x;
    }
    double determinant = ww * xx - wx * wx;
    if (!count) return (struct line_fit){(double)NAN, (double)NAN};
    if (!(determinant > 1e-9 * ww * xx)) return (struct line_fit){(double)NAN, (double)NAN}; /* of one size only */
    double start = (w1 * xx - x1 * wx) / determinant, slowness = (ww * x1 - wx * w1) / determinant;
    if (!(slowness > 0)) return (struct line_fit){(double)NAN, (double)NAN};
    if (start < 0) return line_through_origin(amounts, seconds, count);
    return (struct line_fit){.start_s = start, .rate_per_s = 1 / slowness};
}

/* --- a corner --- */

/* log perf at log slope + log m = a and log peak = b: a soft minimum, without overflow. */
static double log_corner(double a, double b, double p)
{
    double low = fmin(a, b), high = fmax(a, b);
    return low - log1p(exp(-p * (high - low))) / p;
}

double summary_corner_at(const struct gemm_fit *fit, double m)
{
    return exp(log_corner(log(fit->slope_tflops_per_m * m), log(fit->peak_tflops), fit->p));
}

struct corner {
    const double *m, *tflops;
    size_t count;
    double log_slope, log_peak;
};

/* Gauss-Newton for the two logarithms at one p. Returns the sum of squared log errors. */
static double settle(struct corner *corner, double p)
{
    double error = 0;
    for (int step = 0; step < STEPS; step++) {
        double ss = 0, sp = 0, pp = 0, se = 0, pe = 0;
        error = 0;
        for (size_t i = 0; i < corner->count; i++) {
            double a = corner->log_slope + log(corner->m[i]), b = corner->log_peak;
            double share = 1 / (1 + exp(-p * (b - a))); /* of the slope in the derivative */
            double off = log(corner->tflops[i]) - log_corner(a, b, p);
            ss += share * share;
            sp += share * (1 - share);
            pp += (1 - share) * (1 - share);
            se += share * off;
            pe += (1 - share) * off;
            error += off * off;
        }
        double determinant = ss * pp - sp * sp;
        if (!(determinant > 1e-12)) break;
        corner->log_slope += (se * pp - pe * sp) / determinant;
        corner->log_peak += (ss * pe - sp * se) / determinant;
    }
    return error;
}

static double error_at(const struct corner *start, double p, struct corner *ret_settled)
{
    *ret_settled = *start;
    double error = settle(ret_settled, p);
    return isfinite(error) ? error : (double)INFINITY;
}

/* The p of the least error, by golden section: the error has one valley in all that was measured so far. */
static double best_p(const struct corner *start, struct corner *ret_settled)
{
    double low = P_MIN, high = P_MAX;
    for (int step = 0; step < STEPS; step++) {
        double left = high - GOLDEN * (high - low), right = low + GOLDEN * (high - low);
        if (error_at(start, left, ret_settled) < error_at(start, right, ret_settled))
            high = right;
        else
            low = left;
    }
    double p = (low + high) / 2;
    (void)error_at(start, p, ret_settled);
    return p;
}

void summary_fit_corner(const double *m, const double *tflops, size_t count, struct gemm_fit *fit)
{
    double kept_m[POINTS_MAX], kept_tflops[POINTS_MAX], slope = 0, peak = 0;
    struct corner start = {.m = kept_m, .tflops = kept_tflops}, settled;
    fit->peak_tflops = fit->p = fit->slope_tflops_per_m = (double)NAN;
    for (size_t i = 0; i < count && start.count < POINTS_MAX; i++) {
        peak = fmax(peak, tflops[i]);
        if (m[i] < CORNER_M_MIN) continue;
        if (m[i] <= SLOPE_M_MAX) slope = fmax(slope, tflops[i] / m[i]);
        kept_m[start.count] = m[i];
        kept_tflops[start.count++] = tflops[i];
    }
    if (peak > 0) fit->peak_tflops = peak; /* the best seen, if there is no curve */
    if (start.count < CORNER_POINTS_MIN || !(slope > 0)) return;
    start.log_slope = log(slope);
    start.log_peak = log(peak);
    double p = best_p(&start, &settled);
    if (!isfinite(settled.log_slope) || !isfinite(settled.log_peak)) return;
    fit->p = p;
    fit->slope_tflops_per_m = exp(settled.log_slope);
    fit->peak_tflops = exp(settled.log_peak);
}

/* --- from results --- */

static bool counts(const struct kept_result *kept)
{
    return kept->result.status == PROBE_PASSED && !kept->doubts;
}

/* The value of the first result of one of the names (NULL ends them). */
static double value_of(const struct results *results, const char *const *names)
{
    for (; *names; names++) {
        for (size_t i = 0; i < results->count; i++) {
            const struct kept_result *kept = &results->items[i];
            if (counts(kept) && strcmp(kept->result.name, *names) == 0) return kept->result.value;
        }
    }
    return (double)NAN;
}

struct points {
    double x[POINTS_MAX], y[POINTS_MAX];
    size_t count;
};

static void add_point(struct points *points, double x, double y)
{
    if (points->count == POINTS_MAX || !(x > 0) || !(y > 0)) return;
    points->x[points->count] = x;
    points->y[points->count++] = y;
}

static void set_kv_read(const struct results *results, struct summary *summary)
{
    struct points points = {.count = 0};
    for (size_t i = 0; i < results->count; i++) {
        const struct probe_result *result = &results->items[i].result;
        bool decode = strncmp(result->name, "decode", 6) == 0 && result->shape.context_tokens > 0;
        if (decode && counts(&results->items[i])) add_point(&points, result->counted, probe_median_s(result));
    }
    struct line_fit line = summary_fit_line(points.x, points.y, points.count);
    summary->kv_t0_us = line.start_s * 1e6;
    summary->kv_gb_per_s = line.rate_per_s * 1e-9;
}

static bool is_gemm(const struct kept_result *kept, const char *dtype)
{
    return counts(kept) && strcmp(kept->result.name, "gemm") == 0 && kept->result.shape.m > 0 &&
           (!dtype || strcmp(kept->result.shape.dtype, dtype) == 0);
}

/* A vendor's library stands for the chip; a kernel of our own is a floor, and counts where there is nothing else. */
static const char *best_impl(const struct results *results, const char *dtype)
{
    const char *best = "";
    for (size_t i = 0; i < results->count; i++) {
        const struct kept_result *kept = &results->items[i];
        if (is_gemm(kept, dtype) && (!*best || strcmp(best, "own") == 0)) best = kept->impl;
    }
    return best;
}

static void fit_dtype(const struct results *results, const char *dtype, struct summary *summary)
{
    struct points points = {.count = 0};
    struct gemm_fit *fit = &summary->gemm[summary->gemm_count];
    for (size_t i = 0; i < summary->gemm_count; i++) {
        if (strcmp(summary->gemm[i].dtype, dtype) == 0) return;
    }
    if (summary->gemm_count == SUMMARY_DTYPES_MAX) return;
    fit->impl = best_impl(results, dtype);
    memcpy(fit->dtype, dtype, sizeof fit->dtype);
    for (size_t i = 0; i < results->count; i++) {
        const struct kept_result *kept = &results->items[i];
        if (is_gemm(kept, dtype) && strcmp(kept->impl, fit->impl) == 0)
            add_point(&points, kept->result.shape.m, kept->result.value);
    }
    summary_fit_corner(points.x, points.y, points.count, fit);
    summary->gemm_count++;
}

/* Bytes that cross each link: a ring moves 2 (n - 1) / n of the message. */
static void fit_ring(const struct results *results, unsigned gpus, struct summary *summary)
{
    struct points points = {.count = 0};
    for (size_t i = 0; i < summary->all_reduce_count; i++) {
        if (summary->all_reduce[i].gpus == gpus) return;
    }
    if (summary->all_reduce_count == SUMMARY_RINGS_MAX) return;
    for (size_t i = 0; i < results->count; i++) {
        const struct probe_result *result = &results->items[i].result;
        if (!counts(&results->items[i]) || strcmp(result->name, "all_reduce") != 0 || result->shape.gpus != gpus)
            continue;
        add_point(&points, 2.0 * (gpus - 1) / gpus * (double)result->shape.bytes, probe_median_s(result));
    }
    struct line_fit line = summary_fit_line(points.x, points.y, points.count);
    summary->all_reduce[summary->all_reduce_count++] =
        (struct all_reduce_fit){.gpus = gpus, .alpha_us = line.start_s * 1e6, .busbw_gb_per_s = line.rate_per_s * 1e-9};
}

struct summary summary_of(const struct results *results)
{
    static const char *const reads[] = {"dram_read", NULL};
    static const char *const nodes[] = {"graph_node", "graph_per_node", NULL};
    struct summary summary = {
        .dram_read_gb_per_s = value_of(results, reads),
        .graph_node_us = value_of(results, nodes),
    };
    set_kv_read(results, &summary);
    for (size_t i = 0; i < results->count; i++) {
        const struct kept_result *kept = &results->items[i];
        if (is_gemm(kept, NULL)) fit_dtype(results, kept->result.shape.dtype, &summary);
        if (counts(kept) && strcmp(kept->result.name, "all_reduce") == 0 && kept->result.shape.gpus > 1)
            fit_ring(results, kept->result.shape.gpus, &summary);
    }
    return summary;
}
