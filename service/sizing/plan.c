/* plan.c owns the sizing of one layout. */
#include "sizing/plan.h"

#include <string.h>

static const struct shortfall no_shortfall = {REJECT_NONE, UNKNOWN, UNKNOWN, ""};

/* What the fullest rank needs for one request of the longest length, against what the engine may use; GiB. */
static struct shortfall memory_shortfall(const struct plan *plan)
{
    const struct memory *memory = &plan->memory;
    double one = memory->longest_sequence_bytes;
    double needed = memory->available_bytes + fmax(0, is_known(one) ? one : 0) - memory->kv_pool_bytes;
    return (struct shortfall){REJECT_MEMORY, round6(needed / GIB), round6(memory->available_bytes / GIB), "GiB"};
}

static void predict_at(const struct question *question, const struct plan *plan, enum load load, double amount,
                       struct performance *ret_performance)
{
    struct load_point point = {
        .load = load,
        .concurrency = amount,
        .requests_per_second = amount,
        .arrival_cv2 = question->demand.arrival_cv2,
        .percentile = question->slo.percentile,
    };
    performance_predict(&plan->roofline, &point, ret_performance);
}

/* Requests in flight at which the token rate still meets its limit with the asked probability, or a little more:
 * halving finds it, since a step takes longer the more requests share it. Six times, to within a tenth: the rate is
 * bounded, and what passes is predicted in full. */
static double most_in_flight(const struct plan *plan, double tpot_limit_ms)
{
    double low = 1, high = plan->roofline.max_batch;
    if (roofline_tpot_ms(&plan->roofline, high, NULL) <= tpot_limit_ms) return high;
    for (int step = 0; step < 6; step++) {
        double middle = sqrt(low * high);
        if (roofline_tpot_ms(&plan->roofline, middle, NULL) <= tpot_limit_ms)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* If the p-th percentile of TPOT meets its limit, the replica has more requests in flight than the limit allows for at
 * most 1 - p of the time: a rate that no load under the SLO exceeds. */
static double rate_bound_under_slo(const struct question *question, const struct plan *plan, double tpot_limit_ms)
{
    double share = question->slo.percentile / 100, saturated = plan->bound_requests_per_second;
    if (share < 0.5) return saturated;
    double in_flight = most_in_flight(plan, tpot_limit_ms);
    double request_ms = roofline_tpot_ms(&plan->roofline, in_flight, NULL) * (question->demand.output_tokens - 1) +
                        roofline_ttft_ms(&plan->roofline, 1);
    double limited = in_flight / request_ms * 1000 * evidence_speedup(&plan->roofline);
    return limited < saturated ? share * limited + (1 - share) * saturated : saturated;
}

/* What a limit must be at least. Measurements may make other loads faster than the formula's request alone, and their
 * intervals narrower. */
static double least_limit_ms(const struct question *question, const struct plan *plan, struct predicted alone)
{
    double safe = demand_safe_ratio(alone, question->deviate);
    if (!plan->roofline.evidence) return alone.value / safe;
    return alone.value / fmax(safe, 1) / evidence_speedup(&plan->roofline);
}

/* With nobody else on the replica: if that misses a limit, no load meets it. Else the bound of the rate is lowered to
 * what the limits leave. */
static struct shortfall apply_slo(const struct question *question, struct plan *plan)
{
    const struct slo *slo = &question->slo;
    struct latencies alone;
    performance_alone(&plan->roofline, &alone);
    const struct {
        struct predicted quantity;
        double limit_ms;
        const char *unit;
    } limits[] = {
        {alone.tpot_ms, slo->tpot_ms, "ms TPOT"},
        {alone.ttft_ms, slo->ttft_ms, "ms TTFT"},
        {alone.e2e_ms, slo->e2e_ms, "ms end to end"},
    };
    const struct traffic *traffic = &question->demand.traffic;
    bool prompts_vary = traffic->input.count > 1, answers_vary = traffic->output.count > 1;
    const bool varies[] = {false, prompts_vary, prompts_vary || answers_vary}; /* the percentile may be a short one's */
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (!is_known(limits[i].limit_ms) || varies[i]) continue;
        double needed_ms = least_limit_ms(question, plan, limits[i].quantity);
        if (needed_ms > limits[i].limit_ms) {
            return (struct shortfall){REJECT_SLO, round6(needed_ms), limits[i].limit_ms, limits[i].unit};
        }
    }
    if (is_known(slo->tpot_ms) && question->demand.kind == DEMAND_RATE && question->deviate >= 0) {
        double limit_ms =
            slo->tpot_ms * demand_safe_ratio(alone.tpot_ms, question->deviate) * evidence_speedup(&plan->roofline);
        plan->bound_requests_per_second = rate_bound_under_slo(question, plan, limit_ms);
    }
    return no_shortfall;
}

/* Who asks for less than even odds counts on more than the predicted rate: the bound must allow for it. */
static void widen_bound(const struct question *question, struct plan *plan)
{
    struct performance saturated;
    predict_at(question, plan, LOAD_SATURATED, UNKNOWN, &saturated);
    plan->bound_requests_per_second *= demand_safe_ratio(saturated.requests_per_second, question->deviate);
}

struct shortfall plan_prepare(const struct question *question, const struct layout *layout, struct evidence *evidence,
                              struct plan *ret_plan)
{
    struct deployment *deployment = &ret_plan->deployment;
    *deployment = question->extras;
    deployment->model = question->model;
    deployment->gpu = &question->snapshot->gpus[layout->gpu];
    deployment->calibration = layout->calibrated ? question->calibrations[layout->gpu] : NULL;
    deployment->engine = question->engine;
    deployment->weight_dtype = layout->weight_dtype;
    deployment->kv_dtype = question->kv_dtype;
    deployment->tensor_parallel = layout->tensor_parallel;
    deployment->pipeline_parallel = layout->pipeline_parallel;
    deployment->expert_parallel = 1;
    deployment->max_model_len_tokens = question->max_model_len_tokens;
    deployment->gpu_memory_utilization_ratio = question->gpu_memory_utilization_ratio;
    /* The stated size is of the published checkpoint: another format has another one. */
    bool published = dtype_bits(layout->weight_dtype) == dtype_bits(question->model->native_dtype);
    deployment->weights_bytes = published ? question->weights_bytes : UNKNOWN;
    deployment_default(deployment);
    if (!deployment_layout_valid(&ret_plan->deployment) || deployment_lacks_host(&ret_plan->deployment) ||
        memory_size(&ret_plan->deployment, &ret_plan->memory) != STATUS_OK) {
        return (struct shortfall){REJECT_UNSUPPORTED, UNKNOWN, UNKNOWN, ""};
    }
    if (!ret_plan->memory.fits) return memory_shortfall(ret_plan);
    const struct demand *demand = &question->demand;
    roofline_init_traffic(&ret_plan->roofline, &ret_plan->deployment, &ret_plan->memory, &demand->traffic);
    evidence_find(&question->measurements, &ret_plan->roofline, evidence);
    ret_plan->bound_requests_per_second = roofline_output_bound(&ret_plan->roofline) / demand->output_tokens;
    if (!(ret_plan->bound_requests_per_second > 0))
        return (struct shortfall){REJECT_UNKNOWN_FACTS, UNKNOWN, UNKNOWN, ""};
    struct shortfall shortfall = question->has_slo ? apply_slo(question, ret_plan) : no_shortfall;
    if (question->deviate < 0) widen_bound(question, ret_plan);
    return shortfall;
}

double plan_least_replicas(const struct question *question, const struct plan *plan)
{
    const struct demand *demand = &question->demand;
    switch (demand->kind) {
    case DEMAND_NONE: return 1;
    case DEMAND_CONCURRENCY: return fmax(1, ceil(demand->concurrency / plan->roofline.max_batch));
    case DEMAND_RATE:
    case DEMAND_JOB: return fmax(1, ceil(demand->requests_per_second / plan->bound_requests_per_second));
    }
    return 1;
}

static const struct slo *limits_of(const struct question *question)
{
    static const struct slo none = {UNKNOWN, UNKNOWN, UNKNOWN, 0, 0};
    return question->has_slo ? &question->slo : &none;
}

static double capacity_rps(const struct question *question, const struct plan *plan, double probability)
{
    return demand_capacity_rps(&plan->roofline, &plan->saturated, limits_of(question), question->demand.arrival_cv2,
                               probability);
}

static bool share_meets(const struct question *question, const struct plan *plan, double replicas, double probability)
{
    struct performance performance;
    predict_at(question, plan, LOAD_CONCURRENCY, fmax(1, question->demand.concurrency / replicas), &performance);
    return performance_slo_probability(&performance, &question->slo) >= probability;
}

/* The fewest replicas in [least, most] whose share was measured and meets the limits; INFINITY: none. */
static double replicas_as_measured(const struct question *question, const struct plan *plan, double least, double most,
                                   double probability)
{
    const struct evidence *evidence = plan->roofline.evidence;
    double fewest = INFINITY;
    for (size_t i = 0; evidence && i < evidence->count; i++) {
        double replicas = ceil(question->demand.concurrency / exp2(evidence->points[i].log2_concurrency));
        if (replicas < least || replicas > fmin(most, fewest)) continue;
        if (share_meets(question, plan, replicas, probability)) fewest = replicas;
    }
    return fewest;
}

/* Replicas for requests in flight: latency falls with the share of each replica, so bisect on the number; what was
 * measured may meet limits that fewer requests, which nobody measured, miss. */
static double replicas_for_concurrency(const struct question *question, const struct plan *plan, double probability)
{
    double least = plan_least_replicas(question, plan), most = ceil(question->demand.concurrency);
    if (!question->has_slo || most < least) return least;
    if (!share_meets(question, plan, most, probability))
        most = replicas_as_measured(question, plan, least, most, probability);
    if (!isfinite(most)) return INFINITY;
    while (least < most) {
        double middle = floor((least + most) / 2);
        if (share_meets(question, plan, middle, probability))
            most = middle;
        else
            least = middle + 1;
    }
    return least;
}

/* Requests in flight that were measured may meet limits that no rate meets: few at a time were not measured. */
static bool may_meet_as_measured(const struct question *question, const struct plan *plan)
{
    return question->demand.kind == DEMAND_CONCURRENCY && question->has_slo && plan->roofline.evidence;
}

static double replicas_at(const struct question *question, const struct plan *plan, double capacity, double probability)
{
    if (!(capacity > 0) && !may_meet_as_measured(question, plan)) return INFINITY;
    switch (question->demand.kind) {
    case DEMAND_NONE: return 1;
    case DEMAND_CONCURRENCY: return replicas_for_concurrency(question, plan, probability);
    case DEMAND_RATE:
    case DEMAND_JOB: return fmax(1, ceil(round6(question->demand.requests_per_second / capacity)));
    }
    return 1;
}

double plan_replicas_at_half(const struct question *question, const struct plan *plan)
{
    return replicas_at(question, plan, capacity_rps(question, plan, 0.5), 0.5);
}

/* One replica when the fleet has this many. */
static void predict_share(const struct question *question, const struct plan *plan, double replicas,
                          struct performance *ret_performance)
{
    const struct demand *demand = &question->demand;
    switch (demand->kind) {
    case DEMAND_RATE:
        predict_at(question, plan, LOAD_RATE, demand->requests_per_second / replicas, ret_performance);
        return;
    case DEMAND_CONCURRENCY:
        predict_at(question, plan, LOAD_CONCURRENCY, fmax(1, demand->concurrency / replicas), ret_performance);
        return;
    case DEMAND_NONE:
        if (question->has_slo) { /* the load at which the limits still hold */
            predict_at(question, plan, LOAD_RATE, plan->safe_requests_per_second, ret_performance);
            return;
        }
        break;
    case DEMAND_JOB: break;
    }
    *ret_performance = plan->saturated;
}

void plan_percentiles(const struct question *question, const struct plan *plan, uint32_t replicas,
                      double safe_requests_per_second, struct performance *performance)
{
    const struct demand *demand = &question->demand;
    bool arrivals = demand->kind == DEMAND_RATE || (demand->kind == DEMAND_NONE && question->has_slo);
    if (!arrivals) return;
    double rate = demand->kind == DEMAND_RATE ? demand->requests_per_second : safe_requests_per_second;
    struct load_point point = {
        .load = LOAD_RATE,
        .requests_per_second = rate / replicas,
        .arrival_cv2 = demand->arrival_cv2,
        .percentile = question->slo.percentile,
        .all_percentiles = true,
    };
    struct performance one;
    performance_predict(&plan->roofline, &point, &one);
    performance->has_percentiles = true;
    memcpy(performance->percentiles, one.percentiles, sizeof one.percentiles);
}

void plan_share(const struct question *question, struct plan *plan, uint32_t replicas)
{
    plan->replicas = replicas;
    predict_share(question, plan, replicas, &plan->performance);
    plan->probability = demand_probability(&plan->performance, &plan->saturated, limits_of(question),
                                           question->demand.requests_per_second / replicas);
}

struct provenance plan_provenance(const struct question *question, const struct plan *plan, double in_flight)
{
    enum demand_kind kind = question->demand.kind;
    bool served = kind == DEMAND_RATE || kind == DEMAND_CONCURRENCY || (kind == DEMAND_NONE && question->has_slo);
    const struct load_point loads[] = {{.load = LOAD_SATURATED},
                                       {.load = LOAD_CONCURRENCY, .concurrency = fmax(in_flight, 1)}};
    return evidence_provenance(&plan->roofline, loads, served ? 2 : 1);
}

struct shortfall plan_size(const struct question *question, struct plan *plan)
{
    predict_at(question, plan, LOAD_SATURATED, UNKNOWN, &plan->saturated);
    plan->safe_requests_per_second = capacity_rps(question, plan, question->probability);
    double replicas = replicas_at(question, plan, plan->safe_requests_per_second, question->probability);
    if (!isfinite(replicas)) return (struct shortfall){REJECT_SLO, UNKNOWN, UNKNOWN, ""};
    if (replicas > question->max_gpus) {
        return (struct shortfall){REJECT_MAX_GPUS, replicas * deployment_gpus(&plan->deployment), question->max_gpus,
                                  "GPUs"};
    }
    plan_share(question, plan, (uint32_t)replicas);
    if (!(plan->safe_requests_per_second > 0)) { /* what is in flight meets the limits: its rate does */
        struct predicted rate = plan->performance.requests_per_second;
        plan->safe_requests_per_second = round6(rate.value * demand_safe_ratio(rate, question->deviate));
    }
    return no_shortfall;
}
