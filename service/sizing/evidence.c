/* evidence.c owns the correction of predictions by measurements of the same setup nearby. */
#include "sizing/evidence.h"

#include <assert.h>
#include <string.h>

#define EXACT_RATIO 0.01   /* lengths and requests within 1 % are the same configuration */
#define SHRINK_ROWS 5.0    /* n rows of a user count n/(n + 5): one alone made the median error worse */
#define CLOSE_EXPONENT 4.0 /* how fast a lone row and its interval lose their weight beside their configuration */
enum { REPEATS_MAX = 16 };

static_assert((int)LOAD_SATURATED == MEASURED_SATURATED && (int)LOAD_CONCURRENCY == MEASURED_CONCURRENCY &&
                  (int)LOAD_STATIC_BATCH == MEASURED_STATIC_BATCH && (int)LOAD_RATE == MEASURED_LOAD_COUNT,
              "a measurement's load is a load");

/* × or ÷ at 90 % of a repeat of what was measured: pairs of rows of one source that agree in all they tell, 1,956 of
 * the same version (closed loop), and 522 of two versions that follow each other (docs/estimator.md). */
static const double repeat_factors[2][EVIDENCE_METRICS] = {
    /* another version */ {[EVIDENCE_TTFT] = 1.70, [EVIDENCE_TPOT] = 1.34, [EVIDENCE_RATE] = 1.41},
    /* the same */ {[EVIDENCE_TTFT] = 1.33, [EVIDENCE_TPOT] = 1.28, [EVIDENCE_RATE] = 1.29},
};

/* --- the formula where something was measured ------------------------------------------------------------------- */

/* The asked deployment with the settings that a row does not tell: the engine's own. */
struct twin {
    struct deployment deployment;
    struct memory memory;
    struct roofline roofline; /* at the lengths of the last row */
    double max_batch;         /* with the engine's own settings, at the asked lengths; 0: they leave no room */
    bool own_settings;        /* those are the asked ones */
    bool ready;
};

static bool same(double ratio)
{
    return fabs(ratio - 1) <= EXACT_RATIO;
}

/* What a row ran with: nobody else on the GPU, and caches no longer than its requests. */
static void reset_settings(struct deployment *own)
{
    own->max_batched_tokens = own->max_sequences = 0;
    own->gpu_memory_utilization_ratio = UNKNOWN;
    own->gpu_used_gib = 0;
    own->max_model_len_tokens = 1; /* a cache holds at least the request */
    deployment_default(own);
}

static void twin_init(const struct roofline *roofline, struct twin *ret_twin)
{
    const struct deployment *asked = roofline->deployment;
    struct deployment *own = &ret_twin->deployment;
    *own = *asked;
    reset_settings(own);
    bool pool =
        same(own->gpu_memory_utilization_ratio / asked->gpu_memory_utilization_ratio) && !(asked->gpu_used_gib > 0);
    ret_twin->own_settings =
        pool && own->max_batched_tokens == asked->max_batched_tokens && own->max_sequences == asked->max_sequences;
    ret_twin->ready = true;
    ret_twin->max_batch = 0;
    ret_twin->memory = *roofline->memory;
    if (!ret_twin->own_settings && memory_size(own, &ret_twin->memory) != STATUS_OK) return;
    roofline_init(&ret_twin->roofline, own, &ret_twin->memory, roofline->input_tokens, roofline->output_tokens);
    ret_twin->max_batch = ret_twin->roofline.max_batch;
}

/* The batch that the row's load makes as asked over that of the engine's own settings. */
static double settings_ratio(const struct roofline *roofline, const struct twin *twin, const struct measurement *row)
{
    double most = row->load == MEASURED_SATURATED ? INFINITY : row->concurrency;
    return fmin(most, roofline->max_batch) / fmin(most, twin->max_batch);
}

/* False if the engine's own settings leave no room. */
static bool twin_ready(const struct roofline *roofline, struct twin *twin)
{
    if (!twin->ready) twin_init(roofline, twin);
    return twin->max_batch >= 1;
}

static void predict_twin(struct twin *twin, const struct measurement *measured, struct performance *ret_performance)
{
    struct roofline *roofline = &twin->roofline;
    if (roofline->input_tokens != measured->input_tokens || roofline->output_tokens != measured->output_tokens)
        roofline_init(roofline, &twin->deployment, &twin->memory, measured->input_tokens, measured->output_tokens);
    struct load_point load = {
        .load = (enum load)measured->load, .concurrency = measured->concurrency, .batch_size = measured->concurrency};
    performance_predict(roofline, &load, ret_performance);
}

/* What the figures of a row make of the formula's: what it does not tell follows from what it tells, so that the whole
 * stays TTFT + (o - 1)·TPOT. At a fixed concurrency the whole tells throughput and throughput the whole. */
static void fill_ratios(const struct measurement *measured, const struct performance *formula,
                        struct evidence_point *point)
{
    const double steps = measured->output_tokens - 1, e2e = measured->e2e_ms;
    const double rate = measured->output_tokens_per_second / formula->output_tokens_per_second.value;
    double ttft = measured->ttft_ms / formula->ttft_ms.value, tpot = measured->tpot_ms / formula->tpot_ms.value;
    const bool first_told = is_known(ttft), each_told = is_known(tpot), rate_told = is_known(rate);
    const bool all_told = is_known(e2e) || (first_told && each_told), closed = measured->load == MEASURED_CONCURRENCY;
    double slower = is_known(e2e) ? e2e / formula->e2e_ms.value : rate_told ? 1 / rate : each_told ? tpot : ttft;
    double rest = (e2e - measured->ttft_ms) / steps, first = e2e - steps * measured->tpot_ms;
    if (!each_told) tpot = steps > 0 && rest > 0 ? rest / formula->tpot_ms.value : slower;
    if (!first_told) ttft = first > 0 ? first / formula->ttft_ms.value : slower;
    double whole = (ttft * formula->ttft_ms.value + steps * tpot * formula->tpot_ms.value) / formula->e2e_ms.value;
    *point = (struct evidence_point){
        .told = {[EVIDENCE_TTFT] = first_told,
                 [EVIDENCE_TPOT] = each_told,
                 [EVIDENCE_RATE] = rate_told || (closed && all_told)},
        .whole_told = all_told || (closed && rate_told),
        .log_ratio = {[EVIDENCE_TTFT] = log(ttft),
                      [EVIDENCE_TPOT] = log(tpot),
                      [EVIDENCE_RATE] = log(rate_told ? rate : 1 / whole)},
    };
}

/* --- what cannot be ---------------------------------------------------------------------------------------------- */

/* No step is faster than reading what it multiplies with, and no request takes fewer products than its tokens times
 * the active parameters, both at the GPU's full rates, in its fastest format. */
static bool plausible(const struct deployment *deployment, const struct measurement *measured)
{
    const struct model *model = deployment->model;
    const struct gpu *gpu = deployment->gpu;
    double gpus = deployment_gpus(deployment), peak_tflops = 0;
    for (size_t peak = 0; peak < PEAK_COUNT; peak++)
        peak_tflops = fmax(peak_tflops, gpu->peak_tflops[peak]); /* fmax passes over what is not known */
    double embedding = (double)model->vocabulary_size * model->hidden_size;
    double active = fmax(model->active_parameters - embedding * (model->tied_embeddings ? 1 : 2), 0);
    double step_ms =
        active * dtype_bits(deployment->weight_dtype) / 8 / (gpu->memory_bandwidth_gb_per_s * GB * gpus) * MS_PER_S;
    double request_ms =
        2 * active * (measured->input_tokens + measured->output_tokens) / (peak_tflops * 1e12 * gpus) * MS_PER_S;
    double per_request_ms = MS_PER_S * measured->output_tokens / measured->output_tokens_per_second;
    bool batched = measured->load != MEASURED_SATURATED;
    return !(measured->tpot_ms < step_ms) && !(per_request_ms < request_ms) &&
           !(batched && per_request_ms * measured->concurrency < step_ms * (measured->output_tokens - 1));
}

/* --- points ------------------------------------------------------------------------------------------------------ */

static double closeness(double log2_ratio)
{
    return fmax(0, 1 - fabs(log2_ratio));
}

static double median(double values[], size_t count)
{
    assert(count > 0);
    for (size_t i = 1; i < count; i++) {
        double value = values[i];
        size_t at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

/* Of repeats a user's own count before others, those of the asked version before the newest. */
static bool counts_with(const struct measurement *first, const struct measurement *other)
{
    return other->own == first->own && engine_version_compare(other->engine_version, first->engine_version) == 0;
}

static const struct measurement *leading(const struct measurement *begin, const struct measurement *end,
                                         const char *version)
{
    for (const struct measurement *at = begin; at < end && *version && at->own == begin->own; at++) {
        if (*at->engine_version && engine_version_compare(at->engine_version, version) == 0) return at;
    }
    return begin;
}

/* One point of the repeats from `begin` on; false if none of them can be compared. */
static bool make_point(struct evidence *evidence, struct twin *twin, const struct measurement *begin,
                       const struct measurement *end, const char *version, struct evidence_point *point)
{
    double logs[EVIDENCE_METRICS][REPEATS_MAX];
    size_t counts[EVIDENCE_METRICS] = {0};
    const struct measurement *first = leading(begin, end, version);
    struct performance formula;
    predict_twin(twin, begin, &formula);
    *point = (struct evidence_point){.measurement = first};
    for (const struct measurement *at = first; at < end && point->repeats < REPEATS_MAX; at++) {
        if (!counts_with(first, at)) continue;
        if (!plausible(&twin->deployment, at)) {
            evidence->implausible++;
            continue;
        }
        struct evidence_point one;
        fill_ratios(at, &formula, &one);
        if (point->repeats++ == 0) point->measurement = at;
        point->whole_told = point->whole_told || one.whole_told;
        for (size_t metric = 0; metric < EVIDENCE_METRICS; metric++) {
            if (point->told[metric] && !one.told[metric]) continue;
            if (one.told[metric] && !point->told[metric]) counts[metric] = 0; /* what was measured counts alone */
            point->told[metric] = one.told[metric];
            logs[metric][counts[metric]++] = one.log_ratio[metric];
        }
    }
    bool known = point->repeats > 0;
    for (size_t metric = 0; known && metric < EVIDENCE_METRICS; metric++) {
        point->log_ratio[metric] = median(logs[metric], counts[metric]);
        known = isfinite(point->log_ratio[metric]);
    }
    point->shrunk = first->own || !first->trusted;
    point->same_version = *version && engine_version_compare(first->engine_version, version) == 0;
    return known;
}

/* Keeps the closest when there are too many. */
static void add_point(struct evidence *evidence, const struct evidence_point *point)
{
    size_t at = evidence->count;
    if (at == EVIDENCE_POINTS_MAX) {
        at = 0;
        for (size_t i = 1; i < evidence->count; i++) {
            if (evidence->points[i].closeness < evidence->points[at].closeness) at = i;
        }
        if (evidence->points[at].closeness >= point->closeness) return;
    } else {
        evidence->count++;
    }
    evidence->points[at] = *point;
    evidence->speedup =
        fmax(evidence->speedup, exp(fmax(point->log_ratio[EVIDENCE_RATE],
                                         fmax(-point->log_ratio[EVIDENCE_TTFT], -point->log_ratio[EVIDENCE_TPOT]))));
}

static void take_repeats(struct evidence *evidence, const struct roofline *roofline, struct twin *twin,
                         const struct measurement *begin, const struct measurement *end, const char *version)
{
    double input = roofline->input_tokens / begin->input_tokens;
    double output = roofline->output_tokens / begin->output_tokens;
    bool near = input > 0.5 && input < 2 && output > 0.5 && output < 2;
    if (!near || !twin_ready(roofline, twin)) return;
    double settings = settings_ratio(roofline, twin, begin);
    struct evidence_point point;
    double close = closeness(log2(input)) * closeness(log2(output)) * closeness(log2(settings));
    if (!(close > 0) || !make_point(evidence, twin, begin, end, version, &point)) return;
    point.closeness = close;
    point.exact =
        *point.measurement->engine_version && same(input) && same(output) && same(settings) && twin->own_settings;
    point.log2_concurrency = begin->load == MEASURED_SATURATED ? 0 : log2(begin->concurrency);
    add_point(evidence, &point);
}

/* Measured runs have neither drafts nor adapters nor cached prompts, weights in host memory or lengths that spread as
 * told. */
static bool is_plain(const struct roofline *roofline)
{
    const struct traffic *traffic = roofline->traffic;
    const struct deployment *deployment = roofline->deployment;
    bool spread = traffic && (traffic->input.count > 1 || traffic->output.count > 1);
    return roofline->verified_rows <= 1 && roofline->computed_tokens >= roofline->input_tokens && !spread &&
           !(deployment->cpu_offload_gib > 0) && !(deployment->gpu_layers > 0) && !deployment->max_loras;
}

static bool holds(const struct snapshot *snapshot, const struct gpu *gpu)
{
    uintptr_t first = (uintptr_t)snapshot->gpus, at = (uintptr_t)gpu;
    return at >= first && at < first + snapshot->gpu_count * sizeof *gpu;
}

void evidence_find(const struct measurements *measurements, struct roofline *roofline, struct evidence *ret_evidence)
{
    const struct deployment *deployment = roofline->deployment;
    if (measurements->count == 0 || !(roofline->max_batch >= 1) || !is_plain(roofline)) return;
    const struct snapshot *snapshot = measurements->snapshot;
    if (!holds(snapshot, deployment->gpu)) return; /* a slice of a GPU */
    struct measured_setup setup = {
        .model = measurements->items[0].setup.model,
        .gpu = (uint32_t)(deployment->gpu - snapshot->gpus),
        .profile = (uint32_t)(deployment->engine - snapshot->profiles),
        .weight_dtype = measured_dtype(deployment->weight_dtype),
        .kv_dtype = measured_dtype(deployment->kv_dtype),
        .tensor_parallel = deployment->tensor_parallel,
        .pipeline_parallel = deployment->pipeline_parallel,
        .expert_parallel = deployment->expert_parallel,
    };
    struct measurements found = measurements_of(measurements, &setup);
    if (found.count == 0) return;
    struct twin twin = {.ready = false};
    ret_evidence->count = ret_evidence->implausible = 0;
    ret_evidence->speedup = 1;
    const struct measurement *end = found.items + found.count;
    for (const struct measurement *at = found.items, *next = at; at < end; at = next) {
        while (next < end && measurement_repeats(at, next))
            next++;
        take_repeats(ret_evidence, roofline, &twin, at, next, found.engine_version);
    }
    if (ret_evidence->count + ret_evidence->implausible > 0) roofline->evidence = ret_evidence;
}

/* --- corrections ------------------------------------------------------------------------------------------------- */

/* What all points together make of one load. */
struct correction {
    double log_ratio[EVIDENCE_METRICS];
    double weight;                        /* of the nearest: 1 where it is the asked configuration */
    const struct evidence_point *nearest; /* NULL: none within a factor of two */
    bool exact;
};

/* Of one point at this concurrency. */
static double closeness_at(const struct evidence_point *point, enum load load, double log2_concurrency)
{
    if ((enum load)point->measurement->load != load) return 0;
    if (load == LOAD_SATURATED) return point->closeness;
    return point->closeness * closeness(log2_concurrency - point->log2_concurrency);
}

/* n/(n + 5) of the rows that are believed with care, each counted by its closeness, so that nothing jumps. */
static double shrinkage(const struct evidence *evidence, enum load load, double log2_concurrency)
{
    double rows = 0;
    for (size_t i = 0; i < evidence->count; i++) {
        const struct evidence_point *point = &evidence->points[i];
        if (point->shrunk) rows += point->repeats * closeness_at(point, load, log2_concurrency);
    }
    return rows / (rows + SHRINK_ROWS);
}

/* 1 at the point's own configuration and 0 a factor of two away, for what is shrunk falling faster. */
static double weight_at(const struct evidence_point *point, double close, double shrink)
{
    return point->shrunk ? close * (shrink + (1 - shrink) * pow(close, CLOSE_EXPONENT)) : close;
}

/* The mean of the points' ratios, each by w/(1 - w), so that near its own configuration a point counts alone; as far
 * as the nearest is believed. */
static struct correction correct(const struct evidence *evidence, enum load load, double concurrency)
{
    struct correction correction = {.nearest = NULL};
    double log2_concurrency = load == LOAD_SATURATED ? 0 : log2(concurrency), shares = 0;
    double shrink = shrinkage(evidence, load, log2_concurrency);
    for (size_t i = 0; i < evidence->count; i++) {
        const struct evidence_point *point = &evidence->points[i];
        double close = closeness_at(point, load, log2_concurrency);
        if (!(close > 0)) continue;
        double weight = weight_at(point, close, shrink), share = weight / fmax(1 - weight, 1e-12);
        shares += share;
        for (size_t metric = 0; metric < EVIDENCE_METRICS; metric++)
            correction.log_ratio[metric] += share * point->log_ratio[metric];
        if (weight <= correction.weight) continue;
        correction.weight = weight;
        correction.nearest = point;
        correction.exact = point->exact && same(exp2(log2_concurrency - point->log2_concurrency));
    }
    for (size_t metric = 0; correction.nearest && metric < EVIDENCE_METRICS; metric++)
        correction.log_ratio[metric] *= correction.weight / shares;
    return correction;
}

void evidence_correct_times(const struct roofline *roofline, double in_flight, double *ttft_ms, double *tpot_ms)
{
    if (!roofline->evidence) return;
    struct correction correction = correct(roofline->evidence, LOAD_CONCURRENCY, in_flight);
    *ttft_ms *= exp(correction.log_ratio[EVIDENCE_TTFT]);
    *tpot_ms *= exp(correction.log_ratio[EVIDENCE_TPOT]);
}

/* One side of an interval, as a factor: near a measurement that of a repeat, if it is narrower. */
static double narrowed(const struct correction *correction, enum evidence_metric metric, double factor)
{
    const struct evidence_point *nearest = correction->nearest;
    if (!nearest->told[metric] || !is_known(factor)) return factor;
    double repeat = fmin(factor, repeat_factors[nearest->same_version][metric]);
    double share = pow(correction->weight, CLOSE_EXPONENT);
    return exp((1 - share) * log(factor) + share * log(repeat));
}

static struct predicted corrected(const struct correction *correction, enum evidence_metric metric,
                                  struct predicted quantity)
{
    double value = quantity.value * exp(correction->log_ratio[metric]);
    double low = narrowed(correction, metric, quantity.value / quantity.low);
    double high = narrowed(correction, metric, quantity.high / quantity.value);
    bool measured = correction->exact && correction->nearest->told[metric];
    return (struct predicted){round6(value), round6(value / low), round6(value * high), quantity.coverage_ratio,
                              measured ? BASIS_MEASURED : quantity.basis};
}

/* The whole from its parts: the same sum, and each part's error by its share. */
static struct predicted sum_latencies(struct predicted ttft, struct predicted tpot, double steps)
{
    double value = ttft.value + steps * tpot.value, share = ttft.value / value;
    double low = pow(ttft.value / ttft.low, share) * pow(tpot.value / tpot.low, 1 - share);
    double high = pow(ttft.high / ttft.value, share) * pow(tpot.high / tpot.value, 1 - share);
    return (struct predicted){round6(value), round6(value / low), round6(value * high), ttft.coverage_ratio,
                              ttft.basis > tpot.basis ? ttft.basis : tpot.basis};
}

/* Requests in flight of one replica, as a measurement of that load counts them. */
static double amount_of(const struct load_point *load)
{
    return load->load == LOAD_STATIC_BATCH ? load->batch_size : load->concurrency;
}

void evidence_correct(const struct roofline *roofline, const struct load_point *load, struct performance *performance)
{
    if (!roofline->evidence || load->load == LOAD_RATE) return;
    struct correction correction = correct(roofline->evidence, load->load, amount_of(load));
    if (!correction.nearest) return;
    double later = exp(correction.log_ratio[EVIDENCE_TTFT]);
    performance->waiting_ms = round6(performance->waiting_ms * later);
    performance->ttft_ms = corrected(&correction, EVIDENCE_TTFT, performance->ttft_ms);
    performance->tpot_ms = corrected(&correction, EVIDENCE_TPOT, performance->tpot_ms);
    performance->e2e_ms = sum_latencies(performance->ttft_ms, performance->tpot_ms, roofline->output_tokens - 1);
    if (correction.exact && correction.nearest->whole_told) performance->e2e_ms.basis = BASIS_MEASURED;
    performance->requests_per_second = corrected(&correction, EVIDENCE_RATE, performance->requests_per_second);
    performance->output_tokens_per_second =
        corrected(&correction, EVIDENCE_RATE, performance->output_tokens_per_second);
    performance->total_tokens_per_second = corrected(&correction, EVIDENCE_RATE, performance->total_tokens_per_second);
    performance->basis = performance->output_tokens_per_second.basis;
}

/* --- what is told ------------------------------------------------------------------------------------------------ */

static void show(struct provenance *provenance, const struct evidence_point *point, double weight)
{
    bool rate = point->told[EVIDENCE_RATE];
    enum evidence_metric metric = rate || !point->told[EVIDENCE_TPOT] ? EVIDENCE_RATE : EVIDENCE_TPOT;
    struct provenance_row row = {point->measurement, point->repeats, round6(weight),
                                 round6(exp(point->log_ratio[metric]))};
    size_t at = provenance->row_count;
    while (at > 0 && provenance->rows[at - 1].weight < row.weight)
        at--;
    if (at == EVIDENCE_SHOWN_MAX) return;
    if (provenance->row_count < EVIDENCE_SHOWN_MAX) provenance->row_count++;
    memmove(&provenance->rows[at + 1], &provenance->rows[at], (provenance->row_count - 1 - at) * sizeof row);
    provenance->rows[at] = row;
}

struct load_point evidence_load(const struct load_point *load, const struct performance *performance)
{
    if (load->load != LOAD_RATE) return *load;
    return (struct load_point){.load = LOAD_CONCURRENCY, .concurrency = fmax(performance->in_flight, 1)};
}

struct provenance evidence_provenance(const struct roofline *roofline, const struct load_point *loads, size_t count)
{
    const struct evidence *evidence = roofline->evidence;
    struct provenance provenance = {.implausible = evidence ? evidence->implausible : 0};
    for (size_t l = 0; evidence && l < count; l++) {
        enum load load = loads[l].load;
        double log2_concurrency = load == LOAD_SATURATED ? 0 : log2(amount_of(&loads[l]));
        double shrink = shrinkage(evidence, load, log2_concurrency);
        for (size_t i = 0; i < evidence->count; i++) {
            const struct evidence_point *point = &evidence->points[i];
            double close = closeness_at(point, load, log2_concurrency);
            if (!(close > 0)) continue;
            provenance.measurements += point->repeats;
            show(&provenance, point, weight_at(point, close, shrink));
        }
    }
    return provenance;
}
