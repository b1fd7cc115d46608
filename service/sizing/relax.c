/* relax.c owns the search for single relaxations. Each row of the table loosens one constraint and asks the search
 * for the option that needs least of it; latency limits, whose need no objective measures, are bisected. */
#include "sizing/relax.h"

#include <stdlib.h>
#include <string.h>

struct relaxer {
    const char *constraint;
    double (*from)(const struct question *, const struct recommend_request *); /* NaN = not set; NULL = a list */
    bool (*is_set)(const struct question *, const struct recommend_request *); /* lists */
    bool (*loosen)(struct question *, struct arena *);                         /* false: cannot help */
    double (*needs)(const struct question *, const struct recommend_request *,
                    const struct option *); /* in the unit of from */
};

/* --- what is set, and what an option needs of it ------------------------------------------------------------- */

static double from_budget(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->budget_usd;
}

static bool loosen_budget(struct question *question, struct arena *arena)
{
    (void)arena;
    question->budget_usd = USD_UNKNOWN;
    question->objective = OBJECTIVE_COST;
    return true;
}

static double needs_budget(const struct question *question, const struct recommend_request *request,
                           const struct option *option)
{
    (void)question, (void)request;
    return usd_to_double(option->cost.total_usd);
}

static double from_budget_per_hour(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->budget_usd_per_hour;
}

static bool loosen_budget_per_hour(struct question *question, struct arena *arena)
{
    (void)arena;
    question->budget_usd_per_hour = USD_UNKNOWN;
    question->objective = OBJECTIVE_COST;
    return true;
}

static double needs_budget_per_hour(const struct question *question, const struct recommend_request *request,
                                    const struct option *option)
{
    (void)question, (void)request;
    return usd_to_double(option->cost.per_hour_usd);
}

static double from_max_gpus(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->max_gpus;
}

static bool loosen_max_gpus(struct question *question, struct arena *arena)
{
    (void)arena;
    question->max_gpus = 100000;
    question->fewest_gpus = true;
    return true;
}

static double needs_max_gpus(const struct question *question, const struct recommend_request *request,
                             const struct option *option)
{
    (void)question, (void)request;
    return option->gpu_count;
}

static double from_power(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->max_power_watts;
}

static bool loosen_power(struct question *question, struct arena *arena)
{
    (void)arena;
    question->max_power_watts = INFINITY;
    question->objective = OBJECTIVE_ENERGY;
    return true;
}

static double needs_power(const struct question *question, const struct recommend_request *request,
                          const struct option *option)
{
    (void)question, (void)request;
    return option->power_watts;
}

/* Less time costs less, where money is paid by the hour. */
static double from_duration(const struct question *question, const struct recommend_request *request)
{
    return usd_known(question->budget_usd) ? request->duration_hours : UNKNOWN;
}

static double needs_duration(const struct question *question, const struct recommend_request *request,
                             const struct option *option)
{
    if (option->purchase != PURCHASE_ON_DEMAND && option->purchase != PURCHASE_SPOT) return UNKNOWN;
    return floor(request->duration_hours * usd_to_double(question->budget_usd) / usd_to_double(option->cost.total_usd));
}

static double from_probability(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->min_probability_ratio > 0.5 ? request->min_probability_ratio : UNKNOWN;
}

static bool loosen_probability(struct question *question, struct arena *arena)
{
    (void)arena;
    question->probability = question->slo.min_probability_ratio = 0.5;
    question->deviate = 0;
    return true;
}

static double needs_probability(const struct question *question, const struct recommend_request *request,
                                const struct option *option)
{
    (void)question, (void)request;
    return option->meets_slo_probability_ratio;
}

static double from_spares(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->spare_replicas ? question->spare_replicas : UNKNOWN;
}

static bool loosen_spares(struct question *question, struct arena *arena)
{
    (void)arena;
    question->spare_replicas = 0;
    return true;
}

static double needs_spares(const struct question *question, const struct recommend_request *request,
                           const struct option *option)
{
    (void)question, (void)request;
    return option->spare_replicas;
}

static double from_price_age(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->max_price_age_days == VALUE_ABSENT ? UNKNOWN : (double)request->max_price_age_days;
}

static bool loosen_price_age(struct question *question, struct arena *arena)
{
    (void)arena;
    question->oldest_price = DATE_UNKNOWN;
    return true;
}

static double needs_price_age(const struct question *question, const struct recommend_request *request,
                              const struct option *option)
{
    (void)request;
    return option->offer ? question->as_of.days - option->offer->as_of.days : UNKNOWN;
}

/* --- lists ---------------------------------------------------------------------------------------------------- */

static bool all_true(const struct question *question, struct arena *arena, size_t count, const bool **member)
{
    (void)question;
    bool *all = ARENA_ARRAY(arena, count, bool);
    if (!all) return false;
    memset(all, true, count * sizeof *all);
    *member = all;
    return true;
}

static bool set_gpus(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->gpus.count || request->exclude_gpus.count;
}

static bool loosen_gpus(struct question *question, struct arena *arena)
{
    return all_true(question, arena, question->snapshot->gpu_count, &question->gpu_allowed);
}

static bool set_offers(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->providers.count || request->exclude_providers.count || request->regions.count;
}

/* Every offer of the purchases asked for, wherever it is. */
static bool loosen_offers(struct question *question, struct arena *arena)
{
    const struct snapshot *snapshot = question->snapshot;
    bool *allowed = ARENA_ARRAY(arena, snapshot->offer_count, bool);
    for (size_t i = 0; allowed && i < snapshot->offer_count; i++) {
        allowed[i] = (question->purchases & (1u << snapshot->offers[i].purchase)) != 0;
    }
    question->offer_allowed = allowed;
    return allowed != NULL;
}

static bool set_purchases(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->purchases != (1u << PURCHASE_COUNT) - 1;
}

static bool loosen_purchases(struct question *question, struct arena *arena)
{
    question->purchases = (1u << PURCHASE_COUNT) - 1;
    return all_true(question, arena, question->snapshot->offer_count, &question->offer_allowed);
}

static bool set_quota(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->quota.count > 0;
}

static bool loosen_quota(struct question *question, struct arena *arena)
{
    uint32_t *quota = ARENA_ARRAY(arena, question->snapshot->gpu_count, uint32_t);
    for (size_t i = 0; quota && i < question->snapshot->gpu_count; i++)
        quota[i] = UINT32_MAX;
    question->quota = quota;
    return quota != NULL;
}

static bool set_dtype(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->weight_dtype_count == 1 && dtype_bits(question->weight_dtypes[0]) > 8;
}

static bool loosen_dtype(struct question *question, struct arena *arena)
{
    (void)arena;
    static const enum dtype smaller[] = {DTYPE_FP8, DTYPE_INT8, DTYPE_INT4, DTYPE_NVFP4, DTYPE_MXFP4, DTYPE_Q4_K_M};
    for (size_t i = 0; i < sizeof smaller / sizeof smaller[0]; i++) {
        question->weight_dtypes[question->weight_dtype_count++] = smaller[i];
    }
    return true;
}

/* --- demand --------------------------------------------------------------------------------------------------- */

struct demand_field {
    const char *name;
    size_t offset;
};
static const struct demand_field demand_fields[] = {
    {"requests_per_second", offsetof(struct recommend_request, requests_per_second)},
    {"output_tokens_per_second", offsetof(struct recommend_request, output_tokens_per_second)},
    {"throughput_tokens_per_second", offsetof(struct recommend_request, throughput_tokens_per_second)},
    {"users", offsetof(struct recommend_request, users)},
    {"total_tokens", offsetof(struct recommend_request, total_tokens)},
};

static const struct demand_field *demand_field(const struct recommend_request *request)
{
    for (size_t i = 0; i < sizeof demand_fields / sizeof demand_fields[0]; i++) {
        double value = UNKNOWN;
        memcpy(&value, (const char *)request + demand_fields[i].offset, sizeof value);
        if (is_known(value)) return &demand_fields[i];
    }
    return NULL;
}

static double from_demand(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    const struct demand_field *field = demand_field(request);
    double value = UNKNOWN;
    if (field) memcpy(&value, (const char *)request + field->offset, sizeof value);
    return value;
}

/* The most that the money carries: the figure is the fleet's safe rate. */
static bool loosen_demand(struct question *question, struct arena *arena)
{
    (void)arena;
    question->demand.kind = DEMAND_NONE;
    question->demand.requests_per_second = UNKNOWN;
    question->objective = OBJECTIVE_THROUGHPUT;
    return usd_known(question->budget_usd) || usd_known(question->budget_usd_per_hour);
}

static double needs_demand(const struct question *question, const struct recommend_request *request,
                           const struct option *option)
{
    return from_demand(question, request) * option->safe_requests_per_second / question->demand.requests_per_second;
}

static const struct relaxer relaxers[] = {
    {"budget_usd", from_budget, NULL, loosen_budget, needs_budget},
    {"budget_usd_per_hour", from_budget_per_hour, NULL, loosen_budget_per_hour, needs_budget_per_hour},
    {"max_gpus", from_max_gpus, NULL, loosen_max_gpus, needs_max_gpus},
    {"max_power_watts", from_power, NULL, loosen_power, needs_power},
    {"duration_hours", from_duration, NULL, loosen_budget, needs_duration},
    {NULL, from_demand, NULL, loosen_demand, needs_demand}, /* named as the request names it */
    {"min_probability_ratio", from_probability, NULL, loosen_probability, needs_probability},
    {"spare_replicas", from_spares, NULL, loosen_spares, needs_spares},
    {"max_price_age_days", from_price_age, NULL, loosen_price_age, needs_price_age},
    {"gpus", NULL, set_gpus, loosen_gpus, NULL},
    {"providers", NULL, set_offers, loosen_offers, NULL},
    {"purchase", NULL, set_purchases, loosen_purchases, NULL},
    {"quota", NULL, set_quota, loosen_quota, NULL},
    {"weight_dtype", NULL, set_dtype, loosen_dtype, NULL},
};

/* --- running a relaxation ------------------------------------------------------------------------------------- */

struct relaxing {
    const struct question *question;
    const struct recommend_request *request;
    struct arena *arena;
    struct recommendation *answer;
};

/* The best option of a loosened question; NULL if there is none. */
static enum status best_option(const struct relaxing *relaxing, struct question *loosened,
                               const struct option **ret_best)
{
    struct search_result result;
    loosened->options_max = 1;
    *ret_best = NULL;
    enum status status = search_run(loosened, relaxing->arena, &result);
    if (status != STATUS_OK) return status;
    if (result.option_count && result.options[0].excluded_by == REJECT_NONE) *ret_best = &result.options[0];
    return STATUS_OK;
}

static void add_relaxation(const struct relaxing *relaxing, const char *constraint, double from, double to,
                           const struct option *option)
{
    struct recommendation *answer = relaxing->answer;
    answer->relaxations[answer->relaxation_count++] = (struct relaxation){
        .constraint = constraint,
        .from = round6(from),
        .to = round6(to),
        .relative_change = round6(fabs(to - from) / from),
        .option = option,
    };
}

static enum status run_relaxer(const struct relaxing *relaxing, const struct relaxer *relaxer)
{
    const struct recommend_request *request = relaxing->request;
    struct question loosened = *relaxing->question;
    double from = relaxer->from ? relaxer->from(&loosened, request) : UNKNOWN;
    if (relaxer->from ? !is_known(from) : !relaxer->is_set(&loosened, request)) return STATUS_OK;
    if (!relaxer->loosen(&loosened, relaxing->arena)) return STATUS_OK;
    const struct option *best = NULL;
    enum status status = best_option(relaxing, &loosened, &best);
    if (status != STATUS_OK || !best) return status;
    double to = relaxer->needs ? relaxer->needs(relaxing->question, request, best) : UNKNOWN;
    if (relaxer->needs && (!is_known(to) || to == from || to < 0)) return STATUS_OK;
    const struct demand_field *field = relaxer->constraint ? NULL : demand_field(request);
    add_relaxation(relaxing, field ? field->name : relaxer->constraint, from, to, best);
    return STATUS_OK;
}

enum { DOUBLINGS_MAX = 6, BISECTIONS = 6 };

/* Doubles a latency limit until something meets it, then halves the bracket. */
static enum status relax_limit(const struct relaxing *relaxing, const char *constraint, double slo_limit,
                               size_t slo_offset)
{
    if (!is_known(slo_limit)) return STATUS_OK;
    struct question loosened = *relaxing->question;
    const struct option *best = NULL, *tried = NULL;
    double low = slo_limit, high = slo_limit, limit = slo_limit;
    for (int step = 0; step < DOUBLINGS_MAX + BISECTIONS; step++) {
        if (step < DOUBLINGS_MAX && !best)
            limit = high = 2 * high;
        else if (best)
            limit = (low + high) / 2;
        else
            return STATUS_OK;
        memcpy((char *)&loosened.slo + slo_offset, &limit, sizeof limit);
        enum status status = best_option(relaxing, &loosened, &tried);
        if (status != STATUS_OK) return status;
        if (tried)
            high = limit, best = tried;
        else
            low = limit;
    }
    if (best) add_relaxation(relaxing, constraint, slo_limit, ceil(high), best);
    return STATUS_OK;
}

static int compare_relaxations(const void *left, const void *right)
{
    const struct relaxation *a = left, *b = right;
    if (is_known(a->relative_change) != is_known(b->relative_change)) return is_known(a->relative_change) ? -1 : 1;
    if (a->relative_change < b->relative_change) return -1;
    if (a->relative_change > b->relative_change) return 1;
    return strcmp(a->constraint, b->constraint);
}

enum status relax(const struct question *question, const struct recommend_request *request, struct arena *arena,
                  struct recommendation *answer)
{
    const size_t rows = sizeof relaxers / sizeof relaxers[0];
    const struct relaxing relaxing = {question, request, arena, answer};
    answer->relaxations = ARENA_ARRAY(arena, rows + 3, struct relaxation);
    if (!answer->relaxations) return STATUS_OUT_OF_MEMORY;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < rows && status == STATUS_OK; i++)
        status = run_relaxer(&relaxing, &relaxers[i]);
    const struct slo *slo = &question->slo;
    if (status == STATUS_OK) status = relax_limit(&relaxing, "ttft_ms", slo->ttft_ms, offsetof(struct slo, ttft_ms));
    if (status == STATUS_OK) status = relax_limit(&relaxing, "tpot_ms", slo->tpot_ms, offsetof(struct slo, tpot_ms));
    if (status == STATUS_OK) status = relax_limit(&relaxing, "e2e_ms", slo->e2e_ms, offsetof(struct slo, e2e_ms));
    if (status != STATUS_OK) return status;
    qsort(answer->relaxations, answer->relaxation_count, sizeof answer->relaxations[0], compare_relaxations);
    return STATUS_OK;
}
