/* relaxers.c owns the rows of the tables behind relaxers.h. */
#include "sizing/relaxers.h"

#include <string.h>

/* --- measured by an objective --------------------------------------------------------------------------------- */

static double from_budget(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->budget_usd;
}

static void loosen_budget(struct question *question)
{
    question->budget_usd = USD_UNKNOWN;
    question->objective = OBJECTIVE_COST;
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

static void loosen_budget_per_hour(struct question *question)
{
    question->budget_usd_per_hour = USD_UNKNOWN;
    question->least = LEAST_USD_PER_HOUR;
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

static void loosen_max_gpus(struct question *question)
{
    question->max_gpus = 100000;
    question->least = LEAST_GPUS;
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

static void loosen_power(struct question *question)
{
    question->max_power_watts = INFINITY;
    question->least = LEAST_WATTS;
}

static double needs_power(const struct question *question, const struct recommend_request *request,
                          const struct option *option)
{
    (void)question, (void)request;
    return option->power_watts;
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

const char *relaxers_demand_name(const struct recommend_request *request)
{
    const struct demand_field *field = demand_field(request);
    return field ? field->name : NULL;
}

static double from_demand(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    const struct demand_field *field = demand_field(request);
    double value = UNKNOWN;
    if (field) memcpy(&value, (const char *)request + field->offset, sizeof value);
    return value;
}

static void apply_demand(struct question *question, const struct recommend_request *request, double value)
{
    question->demand.requests_per_second *= value / from_demand(question, request);
}

/* The most that the limits carry. */
void relaxers_loosen_demand(struct question *question)
{
    question->demand.kind = DEMAND_NONE;
    question->demand.requests_per_second = UNKNOWN;
    question->objective = OBJECTIVE_THROUGHPUT;
}

static double a_millionth(const struct question *question, double from)
{
    (void)question;
    return from / 1e6;
}

/* Less time costs less; without a budget nobody would notice. */
static double from_duration(const struct question *question, const struct recommend_request *request)
{
    return usd_known(question->budget_usd) ? request->duration_hours : UNKNOWN;
}

static bool pays_by_the_hour(const struct question *question, const struct recommend_request *request)
{
    return !(question->purchases & (1u << PURCHASE_RESERVED | 1u << PURCHASE_OWNED)) && !request->inventory.count;
}

/* Then the cheapest fleet is the one that lasts longest; terms and bought parts are bisected below. */
static double from_hourly_duration(const struct question *question, const struct recommend_request *request)
{
    return pays_by_the_hour(question, request) ? from_duration(question, request) : UNKNOWN;
}

static double needs_hourly_duration(const struct question *question, const struct recommend_request *request,
                                    const struct option *option)
{
    double share = usd_to_double(question->budget_usd) / usd_to_double(option->cost.total_usd);
    double hours = floor(request->duration_hours * share);
    return hours >= 1 ? hours : UNKNOWN;
}

static void apply_duration(struct question *question, const struct recommend_request *request, double value)
{
    question->terms.duration_hours = value;
    question->terms.used_hours = value * request->hours_per_day / 24.0;
}

const struct relaxer relaxers[] = {
    {"budget_usd", from_budget, loosen_budget, needs_budget, NULL},
    {"budget_usd_per_hour", from_budget_per_hour, loosen_budget_per_hour, needs_budget_per_hour, NULL},
    {"max_gpus", from_max_gpus, loosen_max_gpus, needs_max_gpus, NULL},
    {"max_power_watts", from_power, loosen_power, needs_power, NULL},
    {"duration_hours", from_hourly_duration, loosen_budget, needs_hourly_duration, apply_duration},
    {0},
};

/* --- left out ---------------------------------------------------------------------------------------------------- */

static enum status allow_gpus(struct question *question, const struct recommend_request *request, struct arena *arena)
{
    struct problems problems; /* stays empty: the names were read before */
    problems_init(&problems, arena);
    question->gpu_allowed = question_gpus(question->snapshot, request, arena, &problems);
    return question->gpu_allowed ? STATUS_OK : STATUS_OUT_OF_MEMORY;
}

static enum status allow_offers(struct question *question, const struct recommend_request *request, struct arena *arena)
{
    question->purchases = request->purchases;
    question->offer_allowed = question_offers(question->snapshot, request, arena);
    return question->offer_allowed ? STATUS_OK : STATUS_OUT_OF_MEMORY;
}

const struct names_relaxer names_relaxers[] = {
    {"gpus", offsetof(struct recommend_request, gpus), allow_gpus},
    {"exclude_gpus", offsetof(struct recommend_request, exclude_gpus), allow_gpus},
    {"providers", offsetof(struct recommend_request, providers), allow_offers},
    {"exclude_providers", offsetof(struct recommend_request, exclude_providers), allow_offers},
    {"regions", offsetof(struct recommend_request, regions), allow_offers},
    {0},
};

static bool set_purchases(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->purchases != (1u << PURCHASE_COUNT) - 1;
}

static enum status loosen_purchases(struct question *question, const struct recommend_request *request,
                                    struct arena *arena)
{
    struct recommend_request loosened = *request;
    loosened.purchases = (1u << PURCHASE_COUNT) - 1;
    return allow_offers(question, &loosened, arena);
}

static bool set_quota(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->quota.count > 0;
}

static enum status loosen_quota(struct question *question, const struct recommend_request *request, struct arena *arena)
{
    (void)request;
    uint32_t *quota = ARENA_ARRAY(arena, question->snapshot->gpu_count, uint32_t);
    if (!quota) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < question->snapshot->gpu_count; i++)
        quota[i] = UINT32_MAX;
    question->quota = quota;
    return STATUS_OK;
}

static bool set_dtype(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->weight_dtype_count == 1 && dtype_bits(question->weight_dtypes[0]) > 8;
}

static enum status loosen_dtype(struct question *question, const struct recommend_request *request, struct arena *arena)
{
    (void)arena;
    static const enum dtype smaller[] = {DTYPE_FP8, DTYPE_INT8, DTYPE_INT4, DTYPE_NVFP4, DTYPE_MXFP4, DTYPE_Q4_K_M};
    double least_bits = request->min_weight_bits == VALUE_ABSENT ? 0 : (double)request->min_weight_bits;
    for (size_t i = 0; i < sizeof smaller / sizeof smaller[0]; i++) {
        if (floor(dtype_bits(smaller[i])) < least_bits) continue;
        question->weight_dtypes[question->weight_dtype_count++] = smaller[i];
    }
    return STATUS_OK;
}

static bool set_basis(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->worst_basis < BASIS_EXTRAPOLATED;
}

static enum status loosen_basis(struct question *question, const struct recommend_request *request, struct arena *arena)
{
    (void)request, (void)arena;
    question->worst_basis = BASIS_EXTRAPOLATED;
    return STATUS_OK;
}

const struct list_relaxer list_relaxers[] = {
    {"purchase", set_purchases, loosen_purchases},
    {"quota", set_quota, loosen_quota},
    {"weight_dtype", set_dtype, loosen_dtype},
    {"min_basis", set_basis, loosen_basis},
    {0},
};

/* --- bisected --------------------------------------------------------------------------------------------------- */

static double four_digits_up(double value)
{
    double digit = pow(10, floor(log10(value)) - 3);
    return round6(ceil(round6(value / digit)) * digit);
}

static double four_digits_down(double value)
{
    double digit = pow(10, floor(log10(value)) - 3);
    return round6(floor(round6(value / digit)) * digit);
}

static double thousandths_down(double value)
{
    return round6(floor(value * 1000) / 1000);
}

enum { LATENCY_GROWTH_MAX = 64 };
static double loosest_latency(const struct question *question, double from)
{
    (void)question;
    return from * LATENCY_GROWTH_MAX;
}

static double from_ttft(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->has_slo ? question->slo.ttft_ms : UNKNOWN;
}

static void apply_ttft(struct question *question, const struct recommend_request *request, double value)
{
    (void)request;
    question->slo.ttft_ms = value;
}

static double from_tpot(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->has_slo ? question->slo.tpot_ms : UNKNOWN;
}

static void apply_tpot(struct question *question, const struct recommend_request *request, double value)
{
    (void)request;
    question->slo.tpot_ms = value;
}

static double from_e2e(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->has_slo ? question->slo.e2e_ms : UNKNOWN;
}

static void apply_e2e(struct question *question, const struct recommend_request *request, double value)
{
    (void)request;
    question->slo.e2e_ms = value;
}

static double from_probability(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->min_probability_ratio > 0.5 ? request->min_probability_ratio : UNKNOWN;
}

static double even_odds(const struct question *question, double from)
{
    (void)question, (void)from;
    return 0.5;
}

static void apply_probability(struct question *question, const struct recommend_request *request, double value)
{
    (void)request;
    question->probability = question->slo.min_probability_ratio = value;
    question->deviate = demand_deviate(value);
}

static double from_other_duration(const struct question *question, const struct recommend_request *request)
{
    return pays_by_the_hour(question, request) ? UNKNOWN : from_duration(question, request);
}

static double one_hour(const struct question *question, double from)
{
    (void)question, (void)from;
    return 1;
}

static double from_spares(const struct question *question, const struct recommend_request *request)
{
    (void)request;
    return question->spare_replicas ? question->spare_replicas : UNKNOWN;
}

static double none(const struct question *question, double from)
{
    (void)question, (void)from;
    return 0;
}

static void apply_spares(struct question *question, const struct recommend_request *request, double value)
{
    (void)request;
    question->spare_replicas = (uint32_t)value;
}

static double from_price_age(const struct question *question, const struct recommend_request *request)
{
    (void)question;
    return request->max_price_age_days == VALUE_ABSENT ? UNKNOWN : (double)request->max_price_age_days;
}

static double oldest_price(const struct question *question, double from)
{
    const struct snapshot *snapshot = question->snapshot;
    double oldest = from;
    for (size_t i = 0; i < snapshot->offer_count; i++)
        oldest = fmax(oldest, question->as_of.days - snapshot->offers[i].as_of.days);
    for (size_t i = 0; i < snapshot->purchase_price_count; i++)
        oldest = fmax(oldest, question->as_of.days - snapshot->purchase_prices[i].as_of.days);
    return oldest;
}

static void apply_price_age(struct question *question, const struct recommend_request *request, double value)
{
    (void)request;
    question->oldest_price = (date_t){question->as_of.days - (int32_t)value};
}

const struct bisected bisected_relaxers[] = {
    {"ttft_ms", from_ttft, loosest_latency, apply_ttft, four_digits_up, true, 8},
    {"tpot_ms", from_tpot, loosest_latency, apply_tpot, four_digits_up, true, 8},
    {"e2e_ms", from_e2e, loosest_latency, apply_e2e, four_digits_up, true, 8},
    {"min_probability_ratio", from_probability, even_odds, apply_probability, thousandths_down, false, 8},
    {"duration_hours", from_other_duration, one_hour, apply_duration, floor, true, 10},
    {"spare_replicas", from_spares, none, apply_spares, floor, false, 10},
    {"max_price_age_days", from_price_age, oldest_price, apply_price_age, ceil, false, 12},
    {0},
};

const struct bisected demand_relaxer = {NULL, from_demand, a_millionth, apply_demand, four_digits_down, true, 12};
