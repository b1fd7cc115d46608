/* relax.c owns the search for single relaxations. Each row of its tables loosens one constraint: the search finds the
 * option that needs least of it where an objective measures the need, lists are left out as a whole, and the rest is
 * bisected. */
#include "sizing/relax.h"

#include "sizing/question.h"

#include <stdlib.h>
#include <string.h>

/* A constraint whose need an objective measures: one search finds the option that needs least of it. */
struct relaxer {
    const char *constraint;
    double (*from)(const struct question *, const struct recommend_request *); /* NaN = not set */
    void (*loosen)(struct question *);
    double (*needs)(const struct question *, const struct recommend_request *,
                    const struct option *); /* in the unit of from */
};

/* A list of names: it is left out as a whole. */
struct names_relaxer {
    const char *constraint;
    size_t offset; /* of the list in the request */
    enum status (*allow)(struct question *, const struct recommend_request *, struct arena *);
};

/* Another constraint without a figure: it is left out as a whole. */
struct list_relaxer {
    const char *constraint;
    bool (*is_set)(const struct question *, const struct recommend_request *);
    enum status (*loosen)(struct question *, const struct recommend_request *, struct arena *);
};

/* A constraint whose need no objective measures: bisected between what was asked and the loosest value. */
struct bisected {
    const char *constraint;
    double (*from)(const struct question *, const struct recommend_request *); /* NaN = not set */
    double (*loosest)(const struct question *, double from);
    void (*apply)(struct question *, const struct recommend_request *, double value);
    double (*tidy)(double value); /* a value fit to be told, no stricter */
    bool geometric;               /* the change counts in ratios, else in steps */
    int halvings;                 /* each is a search: as many as the figure deserves */
};

double relax_outwards(double from, double to)
{
    double rounded = round6(to);
    if (to == from || (to > from ? rounded >= to : rounded <= to)) return rounded;
    double digit = pow(10, floor(log10(fabs(to))) - 5);
    return round6(to > from ? to + digit : to - digit);
}

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
    question->objective = OBJECTIVE_ENERGY;
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
static void loosen_demand(struct question *question)
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

static const struct relaxer relaxers[] = {
    {"budget_usd", from_budget, loosen_budget, needs_budget},
    {"budget_usd_per_hour", from_budget_per_hour, loosen_budget_per_hour, needs_budget_per_hour},
    {"max_gpus", from_max_gpus, loosen_max_gpus, needs_max_gpus},
    {"max_power_watts", from_power, loosen_power, needs_power},
    {"duration_hours", from_hourly_duration, loosen_budget, needs_hourly_duration},
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

static const struct names_relaxer names_relaxers[] = {
    {"gpus", offsetof(struct recommend_request, gpus), allow_gpus},
    {"exclude_gpus", offsetof(struct recommend_request, exclude_gpus), allow_gpus},
    {"providers", offsetof(struct recommend_request, providers), allow_offers},
    {"exclude_providers", offsetof(struct recommend_request, exclude_providers), allow_offers},
    {"regions", offsetof(struct recommend_request, regions), allow_offers},
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

static const struct list_relaxer list_relaxers[] = {
    {"purchase", set_purchases, loosen_purchases},
    {"quota", set_quota, loosen_quota},
    {"weight_dtype", set_dtype, loosen_dtype},
    {"min_basis", set_basis, loosen_basis},
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

static void apply_duration(struct question *question, const struct recommend_request *request, double value)
{
    question->terms.duration_hours = value;
    question->terms.used_hours = value * request->hours_per_day / 24.0;
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

static const struct bisected bisected[] = {
    {"ttft_ms", from_ttft, loosest_latency, apply_ttft, four_digits_up, true, 8},
    {"tpot_ms", from_tpot, loosest_latency, apply_tpot, four_digits_up, true, 8},
    {"e2e_ms", from_e2e, loosest_latency, apply_e2e, four_digits_up, true, 8},
    {"min_probability_ratio", from_probability, even_odds, apply_probability, thousandths_down, false, 8},
    {"duration_hours", from_other_duration, one_hour, apply_duration, floor, true, 10},
    {"spare_replicas", from_spares, none, apply_spares, floor, false, 10},
    {"max_price_age_days", from_price_age, oldest_price, apply_price_age, ceil, false, 12},
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
        .to = relax_outwards(from, to),
        .relative_change = round6(fabs(to - from) / from),
        .option = option,
    };
}

static enum status run_relaxer(const struct relaxing *relaxing, const struct relaxer *relaxer)
{
    const struct recommend_request *request = relaxing->request;
    struct question loosened = *relaxing->question;
    double from = relaxer->from(&loosened, request);
    if (!is_known(from)) return STATUS_OK;
    relaxer->loosen(&loosened);
    const struct option *best = NULL;
    enum status status = best_option(relaxing, &loosened, &best);
    if (status != STATUS_OK || !best) return status;
    double to = relaxer->needs(relaxing->question, request, best);
    if (!is_known(to) || to == from) return STATUS_OK;
    add_relaxation(relaxing, relaxer->constraint, from, to, best);
    return STATUS_OK;
}

static enum status add_if_feasible(const struct relaxing *relaxing, const char *constraint, struct question *loosened)
{
    const struct option *best = NULL;
    enum status status = best_option(relaxing, loosened, &best);
    if (status == STATUS_OK && best) add_relaxation(relaxing, constraint, UNKNOWN, UNKNOWN, best);
    return status;
}

static enum status run_names(const struct relaxing *relaxing, const struct names_relaxer *relaxer)
{
    static const struct text_list no_names = {0};
    struct question loosened = *relaxing->question;
    struct recommend_request request = *relaxing->request;
    struct text_list names;
    memcpy(&names, (const char *)&request + relaxer->offset, sizeof names);
    if (!names.count) return STATUS_OK;
    memcpy((char *)&request + relaxer->offset, &no_names, sizeof no_names);
    enum status status = relaxer->allow(&loosened, &request, relaxing->arena);
    return status == STATUS_OK ? add_if_feasible(relaxing, relaxer->constraint, &loosened) : status;
}

static enum status run_list(const struct relaxing *relaxing, const struct list_relaxer *relaxer)
{
    struct question loosened = *relaxing->question;
    if (!relaxer->is_set(&loosened, relaxing->request)) return STATUS_OK;
    enum status status = relaxer->loosen(&loosened, relaxing->request, relaxing->arena);
    return status == STATUS_OK ? add_if_feasible(relaxing, relaxer->constraint, &loosened) : status;
}

/* Every value told was asked itself: `low` fails, `high` works. */
static enum status run_bisected(const struct relaxing *relaxing, const struct bisected *row)
{
    double from = row->from(relaxing->question, relaxing->request), low = from;
    if (!is_known(from)) return STATUS_OK;
    double high = row->loosest(relaxing->question, from), value = high;
    const struct option *best = NULL;
    for (int step = 0; step <= row->halvings; step++) {
        struct question loosened = *relaxing->question;
        const struct option *tried = NULL;
        row->apply(&loosened, relaxing->request, value);
        enum status status = best_option(relaxing, &loosened, &tried);
        if (status != STATUS_OK) return status;
        if (tried)
            high = value, best = tried;
        else
            low = value;
        if (!best) return STATUS_OK; /* not even the loosest value helps */
        value = row->tidy(row->geometric ? sqrt(low * high) : (low + high) / 2);
        if (value == low || value == high) break;
    }
    if (high != from) add_relaxation(relaxing, row->constraint, from, high, best);
    return STATUS_OK;
}

/* The option for this much of the demand; NULL if there is none. */
static enum status ask_demand(const struct relaxing *relaxing, double value, const struct option **ret_best)
{
    struct question loosened = *relaxing->question;
    apply_demand(&loosened, relaxing->request, value);
    return best_option(relaxing, &loosened, ret_best);
}

/* The safe rate of the fleet with most throughput is the answer if it works: a bound that the arrivals themselves, or
 * what the prediction at them rests on, may still miss. Then it is bisected. */
static enum status run_demand(const struct relaxing *relaxing)
{
    const struct demand_field *field = demand_field(relaxing->request);
    if (!field) return STATUS_OK;
    struct question loosened = *relaxing->question;
    double asked_rps = loosened.demand.requests_per_second, from = from_demand(&loosened, relaxing->request);
    const struct option *most = NULL, *best = NULL;
    loosen_demand(&loosened);
    enum status status = best_option(relaxing, &loosened, &most);
    if (status != STATUS_OK || !most) return status;
    double to = relax_outwards(from, from * most->safe_requests_per_second / asked_rps);
    if (to < from) status = ask_demand(relaxing, to, &best);
    if (status == STATUS_OK && best) add_relaxation(relaxing, field->name, from, to, best);
    if (status != STATUS_OK || best) return status;
    const struct bisected row = {field->name, from_demand, a_millionth, apply_demand, four_digits_down, true, 12};
    return run_bisected(relaxing, &row);
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
    enum {
        RELAXERS = sizeof relaxers / sizeof relaxers[0],
        NAMES = sizeof names_relaxers / sizeof names_relaxers[0],
        LISTS = sizeof list_relaxers / sizeof list_relaxers[0],
        BISECTED = sizeof bisected / sizeof bisected[0]
    };
    const struct relaxing relaxing = {question, request, arena, answer};
    answer->relaxations = ARENA_ARRAY(arena, RELAXERS + NAMES + LISTS + BISECTED + 1, struct relaxation);
    if (!answer->relaxations) return STATUS_OUT_OF_MEMORY;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < RELAXERS && status == STATUS_OK; i++)
        status = run_relaxer(&relaxing, &relaxers[i]);
    for (size_t i = 0; i < NAMES && status == STATUS_OK; i++)
        status = run_names(&relaxing, &names_relaxers[i]);
    for (size_t i = 0; i < LISTS && status == STATUS_OK; i++)
        status = run_list(&relaxing, &list_relaxers[i]);
    for (size_t i = 0; i < BISECTED && status == STATUS_OK; i++)
        status = run_bisected(&relaxing, &bisected[i]);
    if (status == STATUS_OK) status = run_demand(&relaxing);
    if (status != STATUS_OK) return status;
    qsort(answer->relaxations, answer->relaxation_count, sizeof answer->relaxations[0], compare_relaxations);
    return STATUS_OK;
}
