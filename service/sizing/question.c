/* question.c owns the defaults of a recommendation and the reading of its constraints. */
#include "sizing/question.h"

#include "catalog/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *const objective_names[] = {"cost", "throughput", "cost_per_throughput", "latency", "energy", NULL};
const char *const estimator_names[] = {"roofline", "article", NULL};
const char *const purchase_names[] = {"on_demand", "spot", "reserved", "owned", NULL};
const char *const basis_names[] = {"measured", "calibrated", "fitted", "extrapolated", NULL};

struct reader {
    const struct recommend_context *context;
    const struct recommend_request *request;
    struct arena *arena;
    struct problems *problems;
};

static void preset(double *value, double otherwise)
{
    if (!is_known(*value)) *value = otherwise;
}

static void preset_integer(int64_t *value, int64_t otherwise)
{
    if (*value == VALUE_ABSENT) *value = otherwise;
}

static double operating_fact(const struct snapshot *snapshot, const char *key, double otherwise)
{
    const struct operating_cost *fact = snapshot_operating_cost(snapshot, key, "all");
    return fact ? fact->value : otherwise;
}

static bool has_demand(const struct recommend_request *request)
{
    return is_known(request->requests_per_second) || is_known(request->concurrency) || is_known(request->users) ||
           is_known(request->output_tokens_per_second) || is_known(request->throughput_tokens_per_second) ||
           is_known(request->total_tokens);
}

static const char *const native_only[] = {"native"};

/* The defaults of api.md section 5. Lengths and the engine were filled in before. */
static void fill_defaults(const struct recommend_context *context, struct recommend_request *request)
{
    if (!request->weight_dtypes.count) request->weight_dtypes = (struct text_list){native_only, 1};
    const struct engine_coefs *coef = &context->engine->coef;
    if (!(coef->static_reserve_mib > 0)) /* else each GPU and layout has its own: deployment_default() */
        preset(&request->gpu_memory_utilization_ratio, coef->gpu_memory_utilization_ratio);
    preset(&request->arrival_cv2, 1.0);
    preset(&request->percentile, 95.0);
    preset(&request->min_probability_ratio, 0.9);
    preset(&request->duration_hours, HOURS_PER_YEAR);
    preset(&request->hours_per_day, 24.0);
    preset(&request->host_cost_ratio, 0.35);
    preset(&request->residual_value_ratio, 0.0);
    preset(&request->electricity_usd_per_kwh, operating_fact(context->snapshot, "electricity_usd_per_kwh", 0.08));
    if (!request->purchases) request->purchases = 1u << PURCHASE_ON_DEMAND;
    if (!request->calibration) request->calibration = CALIBRATION_OWN;
    preset_integer(&request->max_gpus, 64);
    preset_integer(&request->spare_replicas, 0);
    preset_integer(&request->min_basis, BASIS_EXTRAPOLATED);
    preset_integer(&request->estimator, ESTIMATOR_ROOFLINE);
    preset_integer(&request->alternatives, 5);
    bool budget = is_known(request->budget_usd) || is_known(request->budget_usd_per_hour);
    preset_integer(&request->objective, has_demand(request) || !budget ? OBJECTIVE_COST : OBJECTIVE_THROUGHPUT);
    if (!date_known(request->as_of)) request->as_of = context->today;
}

static void add_dtype(struct question *question, enum dtype dtype)
{
    for (size_t i = 0; i < question->weight_dtype_count; i++) {
        if (question->weight_dtypes[i] == dtype) return;
    }
    question->weight_dtypes[question->weight_dtype_count++] = dtype;
}

#define DTYPE(symbol, name, ...) " " name
static const char dtype_names[] =
#include "catalog/dtype.def"
    ;
#undef DTYPE

/* "native" is the published format, "any" every format that the catalog knows. */
static void read_dtypes(const struct reader *reader, struct question *question)
{
    const struct text_list *names = &reader->request->weight_dtypes;
    enum dtype native = reader->context->model->native_dtype;
    if (native == DTYPE_UNKNOWN) native = DTYPE_BF16;
    double least_bits = reader->request->min_weight_bits == VALUE_ABSENT ? 0 : (double)reader->request->min_weight_bits;
    bool known = true;
    for (size_t i = 0; i < names->count; i++) {
        bool any = strcasecmp(names->items[i], "any") == 0, own = strcasecmp(names->items[i], "native") == 0;
        enum dtype named = own || any ? native : dtype_parse(names->items[i]);
        if (named == DTYPE_UNKNOWN) {
            known = false;
            (void)problems_add(reader->problems, STATUS_INVALID_VALUE, "serving.weight_dtype",
                               "%s is no weight format: give native, any, or one of%s", names->items[i], dtype_names);
            continue;
        }
        for (enum dtype dtype = DTYPE_UNKNOWN + 1; dtype < DTYPE_COUNT; dtype++) {
            bool wanted = dtype == named || (any && dtype_bits(dtype) <= dtype_bits(native));
            if (wanted && floor(dtype_bits(dtype)) >= least_bits) add_dtype(question, dtype);
        }
    }
    if (known && !question->weight_dtype_count) {
        (void)problems_add(reader->problems, STATUS_CONTRADICTION, "constraints.min_weight_bits",
                           "no weight format asked for has %.0f bits or more", least_bits);
    }
}

static void mark_gpus(const struct snapshot *snapshot, const struct text_list *names, const char *field,
                      struct problems *problems, bool *member)
{
    char path[64];
    for (size_t i = 0; i < names->count; i++) {
        (void)snprintf(path, sizeof path, "constraints.%s[%zu]", field, i);
        if (snapshot_match_gpus(snapshot, names->items[i], path, problems, member) != STATUS_OK) {
            continue; /* the problem is recorded */
        }
    }
}

/* A list that names nothing allows all. */
const bool *question_gpus(const struct snapshot *snapshot, const struct recommend_request *request, struct arena *arena,
                          struct problems *problems)
{
    size_t count = snapshot->gpu_count;
    bool *allowed = ARENA_ARRAY(arena, count, bool), *excluded = ARENA_ARRAY(arena, count, bool);
    if (!allowed || !excluded) return NULL;
    mark_gpus(snapshot, &request->gpus, "gpus", problems, allowed);
    mark_gpus(snapshot, &request->exclude_gpus, "exclude_gpus", problems, excluded);
    for (size_t i = 0; i < count; i++)
        allowed[i] = (allowed[i] || !request->gpus.count) && !excluded[i];
    return allowed;
}

static const uint32_t *read_counts(const struct reader *reader, const struct count_map *map, const char *field,
                                   uint32_t otherwise)
{
    const struct snapshot *snapshot = reader->context->snapshot;
    uint32_t *counts = ARENA_ARRAY(reader->arena, snapshot->gpu_count, uint32_t);
    if (!counts) return NULL;
    for (size_t i = 0; i < snapshot->gpu_count; i++)
        counts[i] = otherwise;
    bool *named = ARENA_ARRAY(reader->arena, snapshot->gpu_count, bool);
    if (!named) return NULL;
    char path[256];
    for (size_t i = 0; i < map->count; i++) {
        const struct gpu *gpu = NULL;
        (void)snprintf(path, sizeof path, "constraints.%s.%s", field, map->items[i].name);
        if (snapshot_find_gpu(snapshot, ALIAS_USER, map->items[i].name, path, reader->problems, &gpu) != STATUS_OK)
            continue;
        size_t index = (size_t)(gpu - snapshot->gpus);
        if (named[index]) {
            (void)problems_add(reader->problems, STATUS_CONTRADICTION, path, "another name of %s, which has a number",
                               gpu->id);
        }
        named[index] = true;
        counts[index] = (uint32_t)map->items[i].count;
    }
    return counts;
}

static bool listed(const struct text_list *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcasecmp(names->items[i], name) == 0) return true;
    }
    return false;
}

static bool in_region(const struct text_list *names, const struct offer *offer)
{
    return !names->count || listed(names, offer->region) || listed(names, offer->country) ||
           listed(names, offer->continent);
}

/* The nearest name that the catalog has, for a suggestion. */
static const char *nearest_provider(const struct snapshot *snapshot, const char *name)
{
    const char *best = NULL;
    size_t best_distance = 3;
    for (size_t i = 0; i < snapshot->offer_count; i++) {
        size_t distance = text_distance(name, snapshot->offers[i].provider, best_distance);
        if (distance >= best_distance) continue;
        best = snapshot->offers[i].provider;
        best_distance = distance;
    }
    return best;
}

static void check_provider(const struct reader *reader, const char *name, const char *path)
{
    const struct snapshot *snapshot = reader->context->snapshot;
    for (size_t i = 0; i < snapshot->offer_count; i++) {
        if (strcasecmp(name, snapshot->offers[i].provider) == 0) return;
    }
    const char *near = nearest_provider(snapshot, name);
    (void)problems_add(reader->problems, STATUS_UNKNOWN_PROVIDER, path, "no provider %s%s%s; see /v1/offers", name,
                       near ? "; did you mean " : "", near ? near : "");
}

static void check_providers(const struct reader *reader, const struct text_list *names, const char *field)
{
    char path[64];
    for (size_t i = 0; i < names->count; i++) {
        (void)snprintf(path, sizeof path, "constraints.%s[%zu]", field, i);
        check_provider(reader, names->items[i], path);
    }
}

static void check_contracts(const struct reader *reader)
{
    const struct price_adjustments *contracts = &reader->request->price_adjustments;
    char path[64];
    for (size_t i = 0; i < contracts->count; i++) {
        (void)snprintf(path, sizeof path, "constraints.price_adjustments[%zu].provider", i);
        if (contracts->items[i].provider) check_provider(reader, contracts->items[i].provider, path);
    }
}

static void check_regions(const struct reader *reader)
{
    const struct snapshot *snapshot = reader->context->snapshot;
    const struct text_list *names = &reader->request->regions;
    char path[64];
    for (size_t n = 0; n < names->count; n++) {
        const struct text_list one = {names->items + n, 1};
        bool known = false;
        for (size_t i = 0; i < snapshot->offer_count && !known; i++)
            known = in_region(&one, &snapshot->offers[i]);
        if (known) continue;
        (void)snprintf(path, sizeof path, "constraints.regions[%zu]", n);
        (void)problems_add(
            reader->problems, STATUS_UNKNOWN_REGION, path,
            "no offer is in %s: give a provider's region, a country (de) or a continent (eu, na, sa, as, "
            "oc, af, me)",
            names->items[n]);
    }
}

static usd_t contract_price(const struct price_adjustments *contracts, const struct offer *offer)
{
    usd_t price = offer->usd_per_hour;
    for (size_t i = 0; i < contracts->count; i++) {
        const struct price_adjustment *contract = &contracts->items[i];
        if (!contract->provider || strcasecmp(contract->provider, offer->provider) != 0) continue;
        if (is_known(contract->discount_ratio)) price = usd_times(price, 1.0 - contract->discount_ratio);
        if (is_known(contract->usd_per_hour)) price = usd_add(price, usd_from_double(contract->usd_per_hour));
    }
    return price;
}

const bool *question_offers(const struct snapshot *snapshot, const struct recommend_request *request,
                            struct arena *arena)
{
    bool *allowed = ARENA_ARRAY(arena, snapshot->offer_count, bool);
    bool filtered = request->providers.count || request->exclude_providers.count || request->regions.count;
    for (size_t i = 0; allowed && i < snapshot->offer_count; i++) {
        const struct offer *offer = &snapshot->offers[i];
        allowed[i] = (request->purchases & (1u << offer->purchase)) && offer->as_of.days <= request->as_of.days;
        if (!allowed[i] || !filtered) continue;
        allowed[i] = (!request->providers.count || listed(&request->providers, offer->provider)) &&
                     !listed(&request->exclude_providers, offer->provider) && in_region(&request->regions, offer);
    }
    return allowed;
}

static const usd_t *read_prices(const struct reader *reader)
{
    const struct snapshot *snapshot = reader->context->snapshot;
    const struct price_adjustments *contracts = &reader->request->price_adjustments;
    usd_t *prices = ARENA_ARRAY(reader->arena, snapshot->offer_count, usd_t);
    for (size_t i = 0; prices && i < snapshot->offer_count; i++) {
        const struct offer *offer = &snapshot->offers[i];
        prices[i] = contracts->count ? contract_price(contracts, offer) : offer->usd_per_hour;
    }
    return prices;
}

static void check_places(const struct reader *reader)
{
    const struct recommend_request *request = reader->request;
    check_providers(reader, &request->providers, "providers");
    check_providers(reader, &request->exclude_providers, "exclude_providers");
    check_contracts(reader);
    check_regions(reader);
}

static void check_objective(const struct reader *reader)
{
    const struct recommend_request *request = reader->request;
    bool budget = is_known(request->budget_usd) || is_known(request->budget_usd_per_hour);
    if (request->objective == OBJECTIVE_THROUGHPUT && !budget) {
        (void)problems_add(reader->problems, STATUS_MISSING_FIELD, "constraints.budget_usd",
                           "the most throughput for the money needs budget_usd or budget_usd_per_hour");
    }
}

/* Of GPUs that are owned: nobody knows the machines of a provider. */
static const struct calibration *const *read_calibrations(const struct reader *reader)
{
    const struct snapshot *snapshot = reader->context->snapshot;
    const struct recommend_request *request = reader->request;
    const struct calibration **calibrations =
        ARENA_ARRAY(reader->arena, snapshot->gpu_count + 1, const struct calibration *);
    const struct calibration *any = NULL;
    enum status status = snapshot_choose_calibration(snapshot, NULL, request->calibration, "serving.calibration",
                                                     reader->problems, &any);
    bool none = strcmp(request->calibration, CALIBRATION_NONE) == 0;
    for (size_t i = 0; calibrations && status == STATUS_OK && !none && i < snapshot->gpu_count; i++)
        calibrations[i] = snapshot_find_calibration(snapshot, &snapshot->gpus[i], request->calibration);
    return calibrations;
}

enum status question_read(const struct recommend_context *context, struct recommend_request *request,
                          struct arena *arena, struct problems *problems, struct question *ret_question)
{
    fill_defaults(context, request);
    const struct reader reader = {context, request, arena, problems};
    struct question question = {
        .snapshot = context->snapshot,
        .model = context->model,
        .engine = context->engine,
        .measurements = snapshot_measurements(context->snapshot, context->model->id),
        .slo = {request->ttft_ms, request->tpot_ms, request->e2e_ms, request->percentile,
                request->min_probability_ratio},
        .has_slo = is_known(request->ttft_ms) || is_known(request->tpot_ms) || is_known(request->e2e_ms),
        .objective = (enum objective)request->objective,
        .kv_dtype = context->kv_dtype,
        .max_model_len_tokens = (uint32_t)request->max_model_len_tokens,
        .gpu_memory_utilization_ratio = request->gpu_memory_utilization_ratio,
        .extras = context->extras,
        .weights_bytes = context->weights_bytes,
        .probability = request->min_probability_ratio,
        .deviate = demand_deviate(request->min_probability_ratio),
        .budget_usd = usd_from_double(request->budget_usd),
        .budget_usd_per_hour = usd_from_double(request->budget_usd_per_hour),
        .terms = {.duration_hours = request->duration_hours,
                  .used_hours = request->duration_hours * request->hours_per_day / 24.0,
                  .host_cost_ratio = request->host_cost_ratio,
                  .residual_value_ratio = request->residual_value_ratio,
                  .rates = {request->electricity_usd_per_kwh, operating_fact(context->snapshot, "pue_ratio", 1.2),
                            operating_fact(context->snapshot, "power_utilization_ratio", 0.7)}},
        .purchases = request->purchases,
        .gpu_allowed = question_gpus(context->snapshot, request, arena, problems),
        .offer_allowed = question_offers(context->snapshot, request, arena),
        .offer_usd_per_hour = read_prices(&reader),
        .calibrations = read_calibrations(&reader),
        .inventory = read_counts(&reader, &request->inventory, "inventory", 0),
        .quota = read_counts(&reader, &request->quota, "quota", UINT32_MAX),
        .max_gpus = (uint32_t)request->max_gpus,
        .max_power_watts = is_known(request->max_power_watts) ? request->max_power_watts : INFINITY,
        .spare_replicas = (uint32_t)request->spare_replicas,
        .as_of = request->as_of,
        .oldest_price = request->max_price_age_days == VALUE_ABSENT
                            ? DATE_UNKNOWN
                            : (date_t){request->as_of.days - (int32_t)request->max_price_age_days},
        .worst_basis = (enum basis)request->min_basis,
        .options_max = (size_t)request->alternatives + 1,
    };
    if (!question.gpu_allowed || !question.offer_allowed || !question.offer_usd_per_hour || !question.calibrations ||
        !question.inventory || !question.quota) {
        return STATUS_OUT_OF_MEMORY;
    }
    read_dtypes(&reader, &question);
    check_objective(&reader);
    check_places(&reader);
    if (request->explain_gpu && snapshot_find_gpu(context->snapshot, ALIAS_USER, request->explain_gpu, "explain_gpu",
                                                  problems, &question.explained) != STATUS_OK) {
        question.explained = NULL; /* the problem is recorded */
    }
    enum status demand_status = demand_read(request, problems, &question.demand);
    if (question.demand.kind == DEMAND_JOB) question.has_slo = false; /* saturated: nobody waits for an answer */
    enum status status = problems_status(problems);
    if (status != STATUS_OK || demand_status != STATUS_OK) return status != STATUS_OK ? status : demand_status;
    *ret_question = question;
    return STATUS_OK;
}
