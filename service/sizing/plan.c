/* plan.c owns the sizing of one layout. */
#include "sizing/plan.h"

#include <string.h>

static const struct shortfall no_shortfall = {REJECT_NONE, UNKNOWN, UNKNOWN, ""};

/* What one request needs on the fullest rank, against what the engine may use; GiB. */
static struct shortfall memory_shortfall(const struct plan *plan)
{
    const struct memory *memory = &plan->memory;
    double one = memory_sequence_bytes(&plan->deployment, plan->deployment.max_model_len_tokens);
    double needed =
        memory->weights_bytes + memory->activations_bytes + memory->overhead_bytes + (is_known(one) ? one : 0);
    return (struct shortfall){REJECT_MEMORY, round6(needed / GIB), round6(memory->available_bytes / GIB), "GiB"};
}

/* Speed alone, with nobody else on the replica: if that misses a limit, no load meets it. */
static struct shortfall latency_shortfall(const struct question *question, const struct plan *plan)
{
    const struct slo *slo = &question->slo;
    double tpot_ms = roofline_tpot_ms(&plan->roofline, 1, NULL);
    double ttft_ms = roofline_ttft_ms(&plan->roofline, 1);
    double e2e_ms = ttft_ms + tpot_ms * (question->demand.output_tokens - 1);
    const struct shortfall limits[] = {
        {REJECT_SLO, tpot_ms, slo->tpot_ms, "ms TPOT"},
        {REJECT_SLO, ttft_ms, slo->ttft_ms, "ms TTFT"},
        {REJECT_SLO, e2e_ms, slo->e2e_ms, "ms end to end"},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].needed > limits[i].available) return limits[i];
    }
    return no_shortfall;
}

struct shortfall plan_prepare(const struct question *question, uint32_t gpu, enum dtype weight_dtype,
                              uint32_t tensor_parallel, uint32_t pipeline_parallel, struct plan *ret_plan)
{
    ret_plan->deployment = (struct deployment){
        .model = question->model,
        .gpu = &question->snapshot->gpus[gpu],
        .engine = question->engine,
        .weight_dtype = weight_dtype,
        .kv_dtype = question->kv_dtype,
        .tensor_parallel = tensor_parallel,
        .pipeline_parallel = pipeline_parallel,
        .expert_parallel = 1,
        .max_model_len_tokens = question->max_model_len_tokens,
        .gpu_memory_utilization_ratio = question->gpu_memory_utilization_ratio,
        .weights_bytes = question->weights_bytes,
    };
    deployment_default(&ret_plan->deployment);
    if (!deployment_layout_valid(&ret_plan->deployment) ||
        memory_size(&ret_plan->deployment, &ret_plan->memory) != STATUS_OK) {
        return (struct shortfall){REJECT_UNSUPPORTED, UNKNOWN, UNKNOWN, ""};
    }
    if (!ret_plan->memory.fits) return memory_shortfall(ret_plan);
    const struct demand *demand = &question->demand;
    roofline_init(&ret_plan->roofline, &ret_plan->deployment, &ret_plan->memory, demand->input_tokens,
                  demand->output_tokens);
    ret_plan->bound_requests_per_second = roofline_output_bound(&ret_plan->roofline) / demand->output_tokens;
    if (!(ret_plan->bound_requests_per_second > 0))
        return (struct shortfall){REJECT_UNKNOWN_FACTS, UNKNOWN, UNKNOWN, ""};
    return question->has_slo ? latency_shortfall(question, ret_plan) : no_shortfall;
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

/* Speed errors move capacity and latency together, so the joint probability is that of the worse of the two:
 * a replica's capacity is the smaller of its rate under the SLO and its saturated rate at the safe end. */
double plan_capacity_rps(const struct question *question, const struct plan *plan, double probability)
{
    struct predicted rate = plan->saturated.requests_per_second;
    double capacity = rate.value * demand_safe_ratio(rate, probability);
    if (!question->has_slo || question->demand.kind == DEMAND_JOB) return capacity;
    return fmin(capacity,
                performance_capacity_rps(&plan->roofline, &question->slo, question->demand.arrival_cv2, probability));
}

/* Replicas for requests in flight: latency falls with the share of each replica, so bisect on the number. */
static double replicas_for_concurrency(const struct question *question, const struct plan *plan, double probability)
{
    double least = plan_least_replicas(question, plan), most = question->demand.concurrency;
    if (!question->has_slo) return least;
    struct performance performance;
    predict_at(question, plan, LOAD_CONCURRENCY, 1, &performance);
    if (performance_slo_probability(&performance, &question->slo) < probability) return INFINITY;
    while (least < most) {
        double middle = floor((least + most) / 2);
        predict_at(question, plan, LOAD_CONCURRENCY, fmax(1, question->demand.concurrency / middle), &performance);
        if (performance_slo_probability(&performance, &question->slo) >= probability)
            most = middle;
        else
            least = middle + 1;
    }
    return least;
}

double plan_replicas_at(const struct question *question, const struct plan *plan, double probability)
{
    if (question->demand.kind == DEMAND_CONCURRENCY) return replicas_for_concurrency(question, plan, probability);
    double capacity = plan_capacity_rps(question, plan, probability);
    if (!(capacity > 0)) return INFINITY;
    if (question->demand.kind == DEMAND_NONE) return 1;
    return fmax(1, ceil(round6(question->demand.requests_per_second / capacity)));
}

void plan_predict(const struct question *question, const struct plan *plan, double replicas,
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
    predict_at(question, plan, LOAD_SATURATED, UNKNOWN, ret_performance);
}

/* How far the limits are missed at one request in flight. */
static struct shortfall slo_shortfall(const struct question *question, const struct plan *plan)
{
    struct performance performance;
    predict_at(question, plan, LOAD_CONCURRENCY, 1, &performance);
    double probability = performance_slo_probability(&performance, &question->slo);
    return (struct shortfall){REJECT_SLO, question->probability, round6(probability), "probability"};
}

struct shortfall plan_size(const struct question *question, struct plan *plan)
{
    predict_at(question, plan, LOAD_SATURATED, UNKNOWN, &plan->saturated);
    plan->safe_requests_per_second = plan_capacity_rps(question, plan, question->probability);
    double replicas = plan_replicas_at(question, plan, question->probability);
    if (!(plan->safe_requests_per_second > 0) || !isfinite(replicas)) return slo_shortfall(question, plan);
    if (replicas > question->max_gpus) {
        return (struct shortfall){REJECT_MAX_GPUS, replicas * deployment_gpus(&plan->deployment), question->max_gpus,
                                  "GPUs"};
    }
    plan->replicas = (uint32_t)replicas;
    plan_predict(question, plan, replicas, &plan->performance);
    double stable = 1.0, needed = question->demand.requests_per_second / replicas;
    if (is_known(needed)) stable = 1.0 - predicted_probability_below(plan->saturated.requests_per_second, needed);
    plan->probability =
        question->has_slo ? fmin(stable, performance_slo_probability(&plan->performance, &question->slo)) : stable;
    return no_shortfall;
}
