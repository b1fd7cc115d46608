/* batch_speed.c owns the speed of batches: the curve of equal requests over their number, and the time of a plan. */
#include "sizing/batching.h"

static const char *const bound_names[BATCH_BOUND_COUNT] = {
    [BATCH_BOUND_KV_MEMORY] = "kv_memory",
    [BATCH_BOUND_MAX_SEQUENCES] = "max_sequences",
    [BATCH_BOUND_LATENCY] = "latency",
    [BATCH_BOUND_THROUGHPUT] = "throughput",
};

const char *batch_bound_name(enum batch_bound bound)
{
    return bound_names[bound];
}

/* --- equal requests ----------------------------------------------------------------------------------------------- */

static struct batch_point point_at(const struct roofline *roofline, const struct slo *slo, double batch_size)
{
    const struct load_point load = {.load = LOAD_CONCURRENCY, .concurrency = batch_size, .percentile = slo->percentile};
    struct batch_point point = {.batch_size = batch_size};
    performance_predict(roofline, &load, &point.performance);
    point.meets_slo_probability_ratio =
        slo_limits(slo) ? round6(performance_slo_probability(&point.performance, slo)) : UNKNOWN;
    point.meets_slo = !slo_limits(slo) || point.meets_slo_probability_ratio >= slo->min_probability_ratio;
    return point;
}

/* Keeps the points in the order of their size, each once. */
static void add_point(struct batch_curve *curve, const struct roofline *roofline, const struct slo *slo,
                      double batch_size)
{
    size_t at = curve->count;
    while (at > 0 && curve->points[at - 1].batch_size >= batch_size)
        at--;
    if (at < curve->count && curve->points[at].batch_size == batch_size) return;
    for (size_t i = curve->count++; i > at; i--)
        curve->points[i] = curve->points[i - 1];
    curve->points[at] = point_at(roofline, slo, batch_size);
}

/* The largest batch that meets the limits: latencies grow with the batch. 0 if not even one request does. */
static double largest_within(const struct roofline *roofline, const struct slo *slo, double largest)
{
    double within = 0, beyond = largest + 1;
    while (beyond - within > 1) {
        double middle = floor((within + beyond) / 2);
        if (point_at(roofline, slo, middle).meets_slo)
            within = middle;
        else
            beyond = middle;
    }
    return within;
}

static double output_rate(const struct batch_point *point)
{
    return point->performance.output_tokens_per_second.value;
}

static void choose_best(struct batch_curve *curve, double within)
{
    curve->best = curve->count;
    for (size_t i = 0; i < curve->count; i++) {
        const struct batch_point *point = &curve->points[i];
        if (!point->meets_slo) continue;
        if (curve->best == curve->count || output_rate(point) > output_rate(&curve->points[curve->best]))
            curve->best = i;
    }
    double best = curve->best < curve->count ? curve->points[curve->best].batch_size : 0;
    curve->best_bound = best == curve->largest        ? curve->largest_bound
                        : best == within || best == 0 ? BATCH_BOUND_LATENCY
                                                      : BATCH_BOUND_THROUGHPUT;
}

void batch_curve_make(const struct roofline *roofline, const struct slo *slo, struct batch_curve *ret_curve)
{
    struct batch_curve *curve = ret_curve;
    double tokens = roofline->input_tokens + roofline->output_tokens;
    double held = floor(memory_sequences_at(roofline->deployment, roofline->memory, tokens));
    double sequences = roofline->deployment->max_sequences;
    *curve =
        (struct batch_curve){.largest_by_kv = held,
                             .largest = fmin(held, sequences),
                             .largest_bound = held < sequences ? BATCH_BOUND_KV_MEMORY : BATCH_BOUND_MAX_SEQUENCES};
    if (!(curve->largest >= 1)) return;
    double within = largest_within(roofline, slo, curve->largest);
    for (uint32_t size = 1; size < curve->largest; size *= 2)
        add_point(curve, roofline, slo, size);
    add_point(curve, roofline, slo, curve->largest);
    if (within > 0) add_point(curve, roofline, slo, within);
    choose_best(curve, within);
}

/* --- plans -------------------------------------------------------------------------------------------------------- */

/* Neighbours in a plan are alike: no more predictions than this, each for as many batches at their mean. */
enum { TIME_GROUPS_MAX = 256 };

/* What the batches of a group are like on average. */
struct group {
    double batches, requests, input_tokens, output_tokens, longest_input_tokens, longest_output_tokens;
};

static struct group group_of(const struct batch *batches, size_t from, size_t to)
{
    struct group sum = {.batches = (double)(to - from)};
    for (size_t i = from; i < to; i++) {
        sum.requests += batches[i].requests;
        sum.input_tokens += batches[i].input_tokens;
        sum.output_tokens += batches[i].output_tokens;
        sum.longest_input_tokens += batches[i].longest_input_tokens;
        sum.longest_output_tokens += batches[i].longest_output_tokens;
    }
    return (struct group){.batches = sum.batches,
                          .requests = sum.requests / sum.batches,
                          .input_tokens = sum.input_tokens / sum.requests,
                          .output_tokens = sum.output_tokens / sum.requests,
                          .longest_input_tokens = sum.longest_input_tokens / sum.batches,
                          .longest_output_tokens = sum.longest_output_tokens / sum.batches};
}

/* All requests of a batch start together. Padded ones are all as long as the longest. Of others those of mean length
 * take as long as a batch of them; with t(n) = a + b n ms of a step of n in flight, the longest goes on for the steps
 * that it has more, at the price a of a step that has hardly anybody else in it. */
static struct predicted batch_ms(const struct batch_limits *limits, const struct memory *memory, enum batch_kind kind,
                                 const struct group *group)
{
    bool padded = kind == BATCH_PADDED;
    double input_tokens = padded ? group->longest_input_tokens : group->input_tokens;
    double output_tokens = fmax(padded ? group->longest_output_tokens : group->output_tokens, 1);
    struct roofline roofline;
    struct performance performance;
    roofline_init(&roofline, limits->deployment, memory, input_tokens, output_tokens);
    roofline.max_batch = fmax(roofline.max_batch, ceil(group->requests)); /* packed by what each really takes */
    const struct load_point load = {.load = LOAD_STATIC_BATCH, .batch_size = group->requests};
    performance_predict(&roofline, &load, &performance);
    double tail_ms = (fmax(group->longest_output_tokens, 1) - output_tokens) * roofline_tpot_ms(&roofline, 1, NULL);
    struct predicted ms = performance.e2e_ms;
    return is_known(ms.value) && tail_ms > 0 ? predicted_scale(ms, 1 + tail_ms / ms.value) : ms;
}

/* Errors of the formula go the same way in all batches: intervals add up. */
static struct predicted sum_predicted(struct predicted sum, struct predicted part, double times)
{
    sum.value += part.value * times;
    sum.low += part.low * times;
    sum.high += part.high * times;
    sum.coverage_ratio = part.coverage_ratio;
    if (part.basis > sum.basis) sum.basis = part.basis;
    return sum;
}

/* No replica ends before its share, nor before the longest batch. */
static struct predicted plan_seconds(const struct batch_plan *plan, const struct batch_limits *limits,
                                     const struct memory *memory, enum batch_kind kind, uint32_t replicas)
{
    struct predicted sum = {.basis = BASIS_MEASURED};
    double longest_ms = 0;
    size_t groups = plan->count < TIME_GROUPS_MAX ? plan->count : TIME_GROUPS_MAX;
    for (size_t i = 0; i < groups; i++) {
        const struct group group =
            group_of(plan->batches + 1, i * plan->count / groups, (i + 1) * plan->count / groups);
        struct predicted ms = batch_ms(limits, memory, kind, &group);
        sum = sum_predicted(sum, ms, group.batches);
        longest_ms = fmax(longest_ms, ms.value);
    }
    if (!(sum.value > 0)) return PREDICTED_UNKNOWN;
    return predicted_scale(sum, fmax(1.0 / replicas, longest_ms / sum.value) / MS_PER_S);
}

void batch_plan_total(const struct batch_plan *plan, const struct batch_limits *limits, const struct memory *memory,
                      enum batch_kind kind, uint32_t replicas, struct batch_totals *ret_totals)
{
    struct batch_totals totals = {0};
    double units = 0;
    for (size_t i = 1; i <= plan->count; i++) {
        const struct batch *batch = &plan->batches[i];
        totals.requests += batch->requests;
        totals.largest_requests = fmax(totals.largest_requests, batch->requests);
        totals.tokens += batch->input_tokens + batch->output_tokens;
        totals.padded_tokens += batch->requests * (batch->longest_input_tokens + batch->longest_output_tokens);
        units += batch->kv_units;
    }
    totals.kv_utilization_ratio = plan->count ? units / (limits->kv_units * (double)plan->count) : UNKNOWN;
    totals.padding_ratio = totals.padded_tokens > 0 ? 1 - totals.tokens / totals.padded_tokens : UNKNOWN;
    totals.seconds = plan_seconds(plan, limits, memory, kind, replicas);
    *ret_totals = totals;
}
