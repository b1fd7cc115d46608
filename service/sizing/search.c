/* search.c owns the best-first search. Every layout enters a queue under a bound of its objective that the full
 * prediction cannot beat; the best entry is taken out, predicted in full if it was not yet, and put back under its
 * true figure. What comes out with a true figure is the best of all that remain. */
#include "sizing/search.h"

#include "sizing/pack.h"
#include "sizing/plan.h"
#include "sizing/power.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t tensor_degrees[] = {1, 2, 4, 8, 16};
enum { TENSOR_DEGREES = sizeof tensor_degrees / sizeof tensor_degrees[0] };

struct entry {
    double key; /* of the objective, lower is better, rounded */
    struct layout layout;
    struct option *option; /* NULL = the key is a bound */
};

struct search {
    const struct question *question;
    struct arena *arena;
    struct search_result *result;
    struct packs *packs; /* per GPU */
    struct entry *heap;
    size_t heap_count, heap_capacity;
    struct evidence evidence; /* of the layout that is looked at */
    uint32_t *emitted;        /* per GPU: bits of (purchase, gated) that are among the options */
};

/* --- reasons ------------------------------------------------------------------------------------------------ */

/* Keeps the candidate that came furthest; of those, the one that missed least. */
static void note_rejection(struct search *search, uint32_t gpu, struct shortfall shortfall)
{
    struct rejection *kept = &search->result->rejections[gpu];
    bool nearer = shortfall.reason == kept->reason && is_known(shortfall.needed) &&
                  !(fabs(shortfall.needed - shortfall.available) >= fabs(kept->needed - kept->available));
    if (shortfall.reason > kept->reason || nearer) {
        kept->reason = shortfall.reason;
        kept->needed = round6(shortfall.needed);
        kept->available = round6(shortfall.available);
        kept->unit = shortfall.unit;
    }
}

/* --- objectives --------------------------------------------------------------------------------------------- */

static double fleet_watts(const struct question *question, uint32_t gpu, const struct fleet *fleet)
{
    return fleet->gpus_paid * question->snapshot->gpus[gpu].tdp_watts;
}

/* The most replicas of a pack that every limit allows; 0 if none. */
static uint32_t most_replicas(const struct question *question, const struct plan *plan, uint32_t gpu,
                              const struct pack *pack)
{
    uint32_t least = 0, most = question->max_gpus / deployment_gpus(&plan->deployment);
    while (least < most) {
        uint32_t middle = least + (most - least + 1) / 2;
        struct fleet fleet;
        struct cost cost;
        bool fits = fleet_place(pack, plan->deployment.tensor_parallel, plan->deployment.pipeline_parallel,
                                middle + question->spare_replicas, &fleet);
        if (fits) {
            fleet_cost(question, gpu, pack, &fleet, &cost);
            fits = fleet_check(question, gpu, &fleet, &cost).reason == REJECT_NONE;
        }
        if (fits)
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

/* Figures of a fleet that objectives read: true ones, or bounds that are never worse than the truth. */
struct figures {
    usd_t total_usd, per_hour_usd;
    double gpus, watts, joules_per_token, capacity_output_tokens_per_second, latency_ms;
};

static double objective_key(const struct question *question, const struct figures *figures)
{
    if (question->least == LEAST_GPUS) return figures->gpus;
    if (question->least == LEAST_USD_PER_HOUR) return (double)figures->per_hour_usd.micro;
    if (question->least == LEAST_WATTS) return round6(figures->watts);
    double useful = figures->capacity_output_tokens_per_second;
    double demand = question->demand.requests_per_second * question->demand.output_tokens;
    switch (question->objective) {
    case OBJECTIVE_COST: return (double)figures->total_usd.micro;
    case OBJECTIVE_THROUGHPUT: return -round6(useful);
    case OBJECTIVE_COST_PER_THROUGHPUT:
        return round6(usd_to_double(figures->total_usd) / (useful > demand ? demand : useful));
    case OBJECTIVE_LATENCY: return round6(figures->latency_ms);
    case OBJECTIVE_ENERGY: return round6(figures->joules_per_token);
    }
    return 0;
}

/* --- the queue ---------------------------------------------------------------------------------------------- */

static int compare_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "");
}

static int compare_numbers(double a, double b)
{
    return (a > b) - (a < b);
}

/* Ties of the objective: total cost, GPU count, gpu id, provider, instance, region; of the layouts on one offer the one
 * with fewest pipeline stages (the others are extrapolated), then the fastest. */
static int compare_options(const struct option *a, const struct option *b)
{
    int order = usd_compare(a->cost.total_usd, b->cost.total_usd);
    if (order == 0) order = (a->gpu_count > b->gpu_count) - (a->gpu_count < b->gpu_count);
    if (order == 0) order = strcmp(a->deployment.gpu->id, b->deployment.gpu->id);
    if (order == 0) order = compare_text(a->offer ? a->offer->provider : NULL, b->offer ? b->offer->provider : NULL);
    if (order == 0)
        order = compare_text(a->offer ? a->offer->instance_type : NULL, b->offer ? b->offer->instance_type : NULL);
    if (order == 0) order = compare_text(a->offer ? a->offer->region : NULL, b->offer ? b->offer->region : NULL);
    if (order == 0) order = (int)a->purchase - (int)b->purchase;
    if (order == 0) order = (int)a->deployment.pipeline_parallel - (int)b->deployment.pipeline_parallel;
    if (order == 0) order = compare_numbers(a->performance.e2e_ms.value, b->performance.e2e_ms.value);
    if (order == 0) order = (int)a->deployment.weight_dtype - (int)b->deployment.weight_dtype;
    if (order == 0) order = (int)a->deployment.tensor_parallel - (int)b->deployment.tensor_parallel;
    return order;
}

static int compare_entries(const struct entry *a, const struct entry *b)
{
    if (a->key < b->key) return -1;
    if (a->key > b->key) return 1;
    if (!a->option != !b->option) return a->option ? 1 : -1; /* bounds first: one of them may still tie */
    if (a->option) return compare_options(a->option, b->option);
    const struct layout *x = &a->layout, *y = &b->layout;
    const uint32_t left[] = {x->gpu, (uint32_t)x->weight_dtype, x->tensor_parallel, x->pipeline_parallel,
                             x->calibrated};
    const uint32_t right[] = {y->gpu, (uint32_t)y->weight_dtype, y->tensor_parallel, y->pipeline_parallel,
                              y->calibrated};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
    }
    return 0;
}

static enum status heap_push(struct search *search, struct entry entry)
{
    if (search->heap_count == search->heap_capacity) {
        size_t capacity = search->heap_capacity ? search->heap_capacity * 2 : 512;
        struct entry *grown = ARENA_ARRAY(search->arena, capacity, struct entry);
        if (!grown) return STATUS_OUT_OF_MEMORY;
        if (search->heap_count) memcpy(grown, search->heap, search->heap_count * sizeof *grown);
        search->heap = grown;
        search->heap_capacity = capacity;
    }
    size_t at = search->heap_count++;
    while (at > 0 && compare_entries(&entry, &search->heap[(at - 1) / 2]) < 0) {
        search->heap[at] = search->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    search->heap[at] = entry;
    return STATUS_OK;
}

static struct entry heap_pop(struct search *search)
{
    struct entry top = search->heap[0], last = search->heap[--search->heap_count];
    size_t at = 0;
    for (size_t child = 1; child < search->heap_count; child = 2 * at + 1) {
        if (child + 1 < search->heap_count && compare_entries(&search->heap[child + 1], &search->heap[child]) < 0) {
            child++;
        }
        if (compare_entries(&last, &search->heap[child]) <= 0) break;
        search->heap[at] = search->heap[child];
        at = child;
    }
    search->heap[at] = last;
    return top;
}

/* --- bounds ------------------------------------------------------------------------------------------------- */

static struct shortfall too_many_gpus(const struct question *question, const struct plan *plan, double replicas)
{
    return (struct shortfall){REJECT_MAX_GPUS, replicas * deployment_gpus(&plan->deployment), question->max_gpus,
                              "GPUs"};
}

/* Whether more replicas than the fewest can better the objective: their number is the objective's, or it is divided by
 * a capacity that no demand caps. */
static bool counts_all_capacity(const struct question *question)
{
    return question->objective == OBJECTIVE_THROUGHPUT ||
           (question->objective == OBJECTIVE_COST_PER_THROUGHPUT && question->demand.kind == DEMAND_CONCURRENCY);
}

/* A percentile may be that of the shortest prompts and answers. */
static double least_latency_ms(const struct question *question, const struct plan *plan)
{
    const struct traffic *traffic = &question->demand.traffic;
    double ttft_ms = roofline_ttft_ms(&plan->roofline, 1), ratio = 1;
    if (traffic->input.count > 1)
        ratio = roofline_first_token_ratio(&plan->roofline, traffic->input.classes[0].tokens,
                                           roofline_first_token_mean_ms(&plan->roofline));
    return (ttft_ms * fmin(ratio, 1) +
            roofline_tpot_ms(&plan->roofline, 1, NULL) * (traffic->output.classes[0].tokens - 1)) /
           evidence_speedup(&plan->roofline) * roofline_least_load_ratio(&plan->roofline);
}

/* Energy of one output token at least: a GPU that has just enough to do at its best speed, bound by memory; those that
 * have nothing to do idle, which counts when the demand says how many tokens share it. */
static double least_joules(const struct question *question, const struct plan *plan, const struct fleet *fleet)
{
    const struct gpu *gpu = plan->deployment.gpu;
    double idle_watts = power_gpu_watts(gpu, 0, 0), gpus = deployment_gpus(&plan->deployment);
    double tokens_per_second = roofline_output_bound(&plan->roofline);
    double joules = (power_gpu_watts(gpu, 1, 0) - idle_watts) * gpus / tokens_per_second;
    double demand = question->demand.requests_per_second * question->demand.output_tokens;
    bool served = question->demand.kind == DEMAND_RATE;
    return joules + (served ? idle_watts * fleet->gpus_paid / demand : idle_watts * gpus / tokens_per_second);
}

/* The best that a pack can do for a layout if it is as fast as its bound. False: a limit rules it out already. */
static bool bound_of_pack(struct search *search, const struct plan *plan, uint32_t gpu, const struct pack *pack,
                          double *ret_key)
{
    const struct question *question = search->question;
    double replicas = plan_least_replicas(question, plan);
    struct fleet fleet;
    struct cost cost;
    if (replicas > question->max_gpus) {
        note_rejection(search, gpu, too_many_gpus(question, plan, replicas));
        return false;
    }
    if (!fleet_place(pack, plan->deployment.tensor_parallel, plan->deployment.pipeline_parallel,
                     replicas + question->spare_replicas, &fleet)) {
        return false;
    }
    fleet_cost(question, gpu, pack, &fleet, &cost);
    struct shortfall shortfall = fleet_check(question, gpu, &fleet, &cost);
    if (shortfall.reason != REJECT_NONE) {
        note_rejection(search, gpu, shortfall);
        return false;
    }
    if (counts_all_capacity(question)) replicas = most_replicas(question, plan, gpu, pack);
    double output_tokens = question->demand.output_tokens;
    struct figures figures = {
        .total_usd = cost.total_usd,
        .per_hour_usd = cost.per_hour_usd,
        .gpus = fleet.gpus_paid,
        .watts = fleet_watts(question, gpu, &fleet),
        .capacity_output_tokens_per_second = plan->bound_requests_per_second * output_tokens * replicas,
    };
    if (question->objective == OBJECTIVE_LATENCY) figures.latency_ms = least_latency_ms(question, plan);
    if (question->objective == OBJECTIVE_ENERGY) figures.joules_per_token = least_joules(question, plan, &fleet);
    *ret_key = objective_key(question, &figures);
    return true;
}

/* A calibration is of owned machines: it tells nothing of those that a provider rents out. */
static bool belongs(const struct question *question, const struct layout *layout, const struct pack *pack)
{
    bool owned = pack->offer == NULL && question->calibrations[layout->gpu];
    return owned == layout->calibrated;
}

/* Returns false when a deeper pipeline may still help: the layout does not fit. */
static enum status push_layout(struct search *search, const struct layout *layout, bool *ret_fits)
{
    const struct question *question = search->question;
    const struct packs *packs = &search->packs[layout->gpu];
    struct plan plan;
    struct shortfall shortfall = plan_prepare(question, layout, &search->evidence, &plan);
    *ret_fits = shortfall.reason != REJECT_MEMORY;
    if (shortfall.reason != REJECT_NONE) {
        note_rejection(search, layout->gpu, shortfall);
        return STATUS_OK;
    }
    struct entry entry = {INFINITY, *layout, NULL};
    bool possible = false;
    for (size_t i = 0; i < packs->count; i++) {
        double key = 0;
        if (!belongs(question, layout, &packs->items[i]) ||
            !bound_of_pack(search, &plan, layout->gpu, &packs->items[i], &key))
            continue;
        possible = true;
        if (key < entry.key) entry.key = key;
    }
    return possible ? heap_push(search, entry) : STATUS_OK;
}

/* The format that a GPU runs weights in: 16-bit brain floats become 16-bit floats where only those exist (as the
 * engines' "half" setting does); DTYPE_UNKNOWN if it cannot. */
static enum dtype usable_dtype(const struct question *question, uint32_t gpu, enum dtype dtype)
{
    const struct engine_support *support =
        snapshot_find_support(question->snapshot, question->engine->engine, question->snapshot->gpus[gpu].architecture);
    if (!support || !engine_keeps_kv(support, question->kv_dtype)) return DTYPE_UNKNOWN;
    if (support->weight_dtypes & (1u << dtype)) return dtype;
    return dtype == DTYPE_BF16 && support->weight_dtypes & (1u << DTYPE_FP16) ? DTYPE_FP16 : DTYPE_UNKNOWN;
}

static enum status push_gpu(struct search *search, uint32_t gpu)
{
    const struct question *question = search->question;
    double engine_limit = question->engine->coef.max_tensor_parallel;
    uint32_t largest = search->packs[gpu].largest_instance;
    if (largest > engine_limit) largest = (uint32_t)engine_limit;
    for (size_t d = 0; d < question->weight_dtype_count; d++) {
        enum dtype dtype = usable_dtype(question, gpu, question->weight_dtypes[d]);
        if (dtype == DTYPE_UNKNOWN) continue;
        for (size_t t = 0; t < TENSOR_DEGREES && tensor_degrees[t] <= largest; t++) {
            bool fits = false;
            for (uint32_t stages = 1; stages <= PIPELINE_MAX && !fits; stages++) {
                struct layout layout = {gpu, dtype, tensor_degrees[t], stages, false};
                enum status status = push_layout(search, &layout, &fits);
                layout.calibrated = question->calibrations[gpu] != NULL;
                if (status == STATUS_OK && layout.calibrated) status = push_layout(search, &layout, &fits);
                if (status != STATUS_OK) return status;
            }
        }
    }
    return STATUS_OK;
}

/* What can be said of a GPU before any layout is looked at. */
static enum reject_reason gpu_reason(const struct search *search, uint32_t gpu)
{
    const struct question *question = search->question;
    const struct gpu *part = &question->snapshot->gpus[gpu];
    bool runs = false;
    for (size_t d = 0; d < question->weight_dtype_count; d++) {
        runs = runs || usable_dtype(question, gpu, question->weight_dtypes[d]) != DTYPE_UNKNOWN;
    }
    if (!question->gpu_allowed[gpu]) return REJECT_EXCLUDED;
    if (!runs) return REJECT_UNSUPPORTED;
    bool watts = is_known(part->tdp_watts) || question->objective != OBJECTIVE_ENERGY;
    if (!is_known(part->memory_bandwidth_gb_per_s) || !is_known(part->peak_tflops[PEAK_FP16]) || !watts) {
        return REJECT_UNKNOWN_FACTS;
    }
    return search->packs[gpu].count ? REJECT_NONE : REJECT_NO_PRICE;
}

static enum status push_all(struct search *search)
{
    const struct question *question = search->question;
    for (uint32_t gpu = 0; gpu < question->snapshot->gpu_count; gpu++) {
        struct rejection *rejection = &search->result->rejections[gpu];
        *rejection = (struct rejection){.gpu = gpu, .needed = UNKNOWN, .available = UNKNOWN};
        enum status status = STATUS_OK;
        if (question->gpu_allowed[gpu]) status = packs_collect(question, gpu, search->arena, &search->packs[gpu]);
        if (status != STATUS_OK) return status;
        rejection->reason = gpu_reason(search, gpu);
        if (rejection->reason == REJECT_NONE) status = push_gpu(search, gpu);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

/* --- full predictions --------------------------------------------------------------------------------------- */

static void fill_rates(const struct question *question, const struct plan *plan, double replicas, struct option *option)
{
    const struct performance *one = &plan->performance;
    struct performance *fleet = &option->performance;
    *fleet = *one;
    fleet->requests_per_second = predicted_scale(one->requests_per_second, replicas);
    fleet->output_tokens_per_second = predicted_scale(one->output_tokens_per_second, replicas);
    fleet->total_tokens_per_second = predicted_scale(one->total_tokens_per_second, replicas);
    fleet->prefill_tokens_per_second = predicted_scale(one->prefill_tokens_per_second, replicas);
    fleet->in_flight = round6(one->in_flight * replicas);
    double idle = option->gpu_count - replicas * deployment_gpus(&plan->deployment);
    fleet->watts = one->watts * replicas + idle * power_gpu_watts(option->deployment.gpu, 0, 0);
    fleet->tdp_watts = option->power_watts;
    double share = plan->safe_requests_per_second / plan->saturated.requests_per_second.value;
    struct predicted capacity = question->has_slo
                                    ? predicted_scale(plan->saturated.requests_per_second, share * replicas)
                                    : predicted_scale(plan->saturated.requests_per_second, replicas);
    option->capacity_requests_per_second = capacity;
    option->safe_requests_per_second = round6(plan->safe_requests_per_second * replicas);
    option->capacity_output_tokens_per_second = predicted_scale(capacity, question->demand.output_tokens);
}

static void fill_cost(const struct question *question, struct option *option)
{
    const struct demand *demand = &question->demand;
    double share = demand->input_tokens / (demand->input_tokens + demand->output_tokens);
    cost_ratios(&option->cost, option->deployment.gpu, option->gpu_count, question->terms.used_hours,
                option->performance.total_tokens_per_second, option->performance.output_tokens_per_second, share,
                option->capacity_output_tokens_per_second, demand->requests_per_second * demand->output_tokens);
}

static enum reject_reason gate_of(const struct question *question, const struct plan *plan, const struct pack *pack)
{
    if (pack->stale) return REJECT_PRICE_AGE;
    return plan->performance.basis > question->worst_basis ? REJECT_BASIS : REJECT_NONE;
}

/* The most throughput for the money: all replicas that it buys share the demand. */
static void take_most_replicas(const struct question *question, struct plan *plan, uint32_t gpu,
                               const struct pack *pack)
{
    uint32_t most = most_replicas(question, plan, gpu, pack);
    if (most > plan->replicas) plan_share(question, plan, most);
}

/* The true fleet of a sized plan on one pack; false and a reason if a limit rules it out. */
static bool make_option(struct search *search, const struct plan *sized, uint32_t gpu, const struct pack *pack,
                        struct option *option)
{
    const struct question *question = search->question;
    struct plan copy = *sized;
    const struct plan *plan = &copy;
    if (question->objective == OBJECTIVE_THROUGHPUT && question->least == LEAST_BY_OBJECTIVE)
        take_most_replicas(question, &copy, gpu, pack);
    uint32_t replicas = plan->replicas;
    struct fleet fleet;
    struct cost cost;
    if (!fleet_place(pack, plan->deployment.tensor_parallel, plan->deployment.pipeline_parallel,
                     replicas + question->spare_replicas, &fleet)) {
        return false;
    }
    fleet_cost(question, gpu, pack, &fleet, &cost);
    struct shortfall shortfall = fleet_check(question, gpu, &fleet, &cost);
    if (shortfall.reason != REJECT_NONE) {
        note_rejection(search, gpu, shortfall);
        return false;
    }
    double context = question->demand.input_tokens + question->demand.output_tokens / 2;
    *option = (struct option){
        .deployment = plan->deployment,
        .memory = plan->memory,
        .gpu = gpu,
        .offer = pack->offer,
        .purchase = pack->purchase,
        .instance_count = fleet.instances,
        .gpus_per_instance = fleet.instance_gpus,
        .gpu_count = fleet.gpus_paid,
        .gpus_used = fleet.gpus_used,
        .gpus_idle = fleet.gpus_paid - fleet.gpus_used,
        .replicas = replicas,
        .spare_replicas = question->spare_replicas,
        .kv_needed_bytes = plan->performance.in_flight * memory_sequence_bytes(&plan->deployment, context),
        .meets_slo_probability_ratio = round6(plan->probability),
        .cost = cost,
        .power_watts = round6(fleet_watts(question, gpu, &fleet)),
        .excluded_by = gate_of(question, plan, pack),
    };
    fill_rates(question, plan, replicas, option);
    fill_cost(question, option);
    return true;
}

static double option_key(const struct question *question, const struct option *option)
{
    struct figures figures = {
        .total_usd = option->cost.total_usd,
        .per_hour_usd = option->cost.per_hour_usd,
        .gpus = option->gpu_count,
        .watts = option->power_watts,
        .joules_per_token = option->performance.watts / option->performance.output_tokens_per_second.value,
        .capacity_output_tokens_per_second = option->capacity_output_tokens_per_second.value,
        .latency_ms = option->performance.e2e_ms.value,
    };
    return objective_key(question, &figures);
}

static uint32_t group_bit(const struct option *option)
{
    return 1u << ((unsigned)option->purchase * 2 + (option->excluded_by != REJECT_NONE));
}

static enum status add_provenance(struct search *search, const struct plan *plan, struct option *option)
{
    if (!plan->roofline.evidence) return STATUS_OK;
    struct provenance *provenance = ARENA_NEW(search->arena, struct provenance);
    if (!provenance) return STATUS_OUT_OF_MEMORY;
    *provenance = plan_provenance(search->question, plan, option->performance.in_flight / option->replicas);
    option->provenance = provenance;
    return STATUS_OK;
}

/* Predicts a layout in full and puts its best option of each group back into the queue. */
static enum status expand(struct search *search, const struct entry *entry)
{
    const struct question *question = search->question;
    const bool measured = question->measurements.count > 0;
    struct plan *plan = ARENA_NEW(search->arena, struct plan);
    struct evidence *evidence = measured ? ARENA_NEW(search->arena, struct evidence) : NULL;
    if (!plan || (measured && !evidence)) return STATUS_OUT_OF_MEMORY;
    struct shortfall shortfall = plan_prepare(question, &entry->layout, evidence, plan);
    if (shortfall.reason == REJECT_NONE) shortfall = plan_size(question, plan);
    search->result->evaluated++;
    if (shortfall.reason != REJECT_NONE) {
        note_rejection(search, entry->layout.gpu, shortfall);
        return STATUS_OK;
    }
    struct entry best[PURCHASE_COUNT * 2] = {0};
    const struct packs *packs = &search->packs[entry->layout.gpu];
    for (size_t i = 0; i < packs->count; i++) {
        struct option option;
        if (!belongs(question, &entry->layout, &packs->items[i]) ||
            !make_option(search, plan, entry->layout.gpu, &packs->items[i], &option))
            continue;
        struct entry found = *entry;
        found.key = option_key(question, &option);
        found.option = &option;
        struct entry *kept = &best[__builtin_ctz(group_bit(&option))];
        if (kept->option && compare_entries(kept, &found) <= 0) continue;
        struct option *copy = kept->option ? kept->option : ARENA_NEW(search->arena, struct option);
        if (!copy) return STATUS_OUT_OF_MEMORY;
        *copy = option;
        *kept = found;
        kept->option = copy;
    }
    for (size_t i = 0; i < sizeof best / sizeof best[0]; i++) {
        enum status status = best[i].option ? add_provenance(search, plan, best[i].option) : STATUS_OK;
        if (status == STATUS_OK && best[i].option) status = heap_push(search, best[i]);
        if (status != STATUS_OK) return status;
    }
    return STATUS_OK;
}

/* The count at even odds and the percentiles are shown beside the safe count: the layout is sized once more for the few
 * that are shown. */
static void fill_details(struct search *search, struct option *option)
{
    const struct question *question = search->question;
    const struct deployment *deployment = &option->deployment;
    struct plan plan;
    option->replicas_at_half_probability = option->replicas;
    const struct layout layout = {option->gpu, deployment->weight_dtype, deployment->tensor_parallel,
                                  deployment->pipeline_parallel, deployment->calibration != NULL};
    struct shortfall shortfall = plan_prepare(question, &layout, &search->evidence, &plan);
    if (shortfall.reason != REJECT_NONE) return;
    plan_percentiles(question, &plan, option->replicas, option->safe_requests_per_second, &option->performance);
    if (question->demand.kind == DEMAND_NONE || option->replicas == 1) return;
    if (plan_size(question, &plan).reason != REJECT_NONE) return;
    double replicas = plan_replicas_at_half(question, &plan);
    if (replicas < option->replicas) option->replicas_at_half_probability = (uint32_t)replicas;
}

/* A gated option that is not shown: what gates it is why. */
static void note_gated(struct search *search, const struct option *option)
{
    note_rejection(search, option->gpu, (struct shortfall){option->excluded_by, UNKNOWN, UNKNOWN, ""});
}

/* Options come out best first. A gated one cannot be recommended: the last place is kept for one that can. */
static void emit(struct search *search, const struct option *option)
{
    struct search_result *result = search->result;
    search->emitted[option->gpu] |= group_bit(option);
    bool recommendable = option->excluded_by == REJECT_NONE;
    size_t limit = search->question->options_max;
    if (result->option_count == limit) {
        if (!recommendable) {
            note_gated(search, option);
            return;
        }
        note_gated(search, &result->options[--result->option_count]); /* the worst gated one gives way */
    }
    struct option *kept = &result->options[result->option_count++];
    *kept = *option;
    fill_details(search, kept);
}

static bool has_recommendable(const struct search_result *result)
{
    for (size_t i = 0; i < result->option_count; i++) {
        if (result->options[i].excluded_by == REJECT_NONE) return true;
    }
    return false;
}

static enum status drain_queue(struct search *search)
{
    struct search_result *result = search->result;
    while (search->heap_count > 0) {
        if (result->option_count == search->question->options_max && has_recommendable(result)) return STATUS_OK;
        struct entry entry = heap_pop(search);
        if (!entry.option) {
            enum status status = expand(search, &entry);
            if (status != STATUS_OK) return status;
        } else if (!(search->emitted[entry.layout.gpu] & group_bit(entry.option))) {
            emit(search, entry.option);
        }
    }
    return STATUS_OK;
}

/* A GPU whose candidates were still waiting when the options were full cannot beat them. */
static void close_rejections(struct search *search)
{
    struct search_result *result = search->result;
    for (size_t i = 0; i < search->heap_count; i++) {
        const struct entry *entry = &search->heap[i];
        note_rejection(search, entry->layout.gpu, (struct shortfall){REJECT_OUTRANKED, UNKNOWN, UNKNOWN, ""});
    }
    for (size_t i = 0; i < result->option_count; i++) {
        struct rejection *rejection = &result->rejections[result->options[i].gpu];
        rejection->reason = result->options[i].excluded_by;
    }
}

enum status search_run(const struct question *question, struct arena *arena, struct search_result *ret_result)
{
    size_t gpus = question->snapshot->gpu_count;
    struct search_result result = {
        .options = ARENA_ARRAY(arena, question->options_max, struct option),
        .rejections = ARENA_ARRAY(arena, gpus, struct rejection),
    };
    struct search search = {
        .question = question,
        .arena = arena,
        .result = &result,
        .packs = ARENA_ARRAY(arena, gpus, struct packs),
        .emitted = ARENA_ARRAY(arena, gpus, uint32_t),
    };
    if (!result.options || !result.rejections || !search.packs || !search.emitted) return STATUS_OUT_OF_MEMORY;
    enum status status = push_all(&search);
    if (status == STATUS_OK) status = drain_queue(&search);
    if (status != STATUS_OK) return status;
    close_rejections(&search);
    *ret_result = result;
    return STATUS_OK;
}
