/* fleet.c owns the fields of fleet questions and the writing of options. */
#include "api/fleet.h"
#include "api/constraints.h"
#include "api/traffic.h"
#include "sizing/demand.h"

#include <assert.h>
#include <string.h>

#define REQUEST struct recommend_request
#define NUMBER(member, in, low, high, in_unit, default_text, sentence)                                                 \
    {                                                                                                                  \
        .name = #member, .group = in, .kind = FIELD_NUMBER, .offset = offsetof(REQUEST, member), .min = low,           \
        .max = high, .unit = in_unit, .preset = default_text, .help = sentence                                         \
    }
#define INTEGER(member, in, low, high, in_unit, default_text, sentence)                                                \
    {                                                                                                                  \
        .name = #member, .group = in, .kind = FIELD_INTEGER, .offset = offsetof(REQUEST, member), .min = low,          \
        .max = high, .unit = in_unit, .preset = default_text, .help = sentence                                         \
    }
#define CHOICE(member, in, list, default_text, sentence)                                                               \
    {                                                                                                                  \
        .name = #member, .group = in, .kind = FIELD_CHOICE, .offset = offsetof(REQUEST, member), .names = list,        \
        .preset = default_text, .help = sentence                                                                       \
    }
const struct field fleet_fields[] = {
    API_FIELD_MODEL(REQUEST),
    API_FIELDS_SERVING(REQUEST),
    API_FIELD_CALIBRATION(REQUEST),
    {.name = "weight_dtype",
     .group = "serving",
     .kind = FIELD_TEXTS,
     .offset = offsetof(REQUEST, weight_dtypes),
     .preset = "native",
     .help = "Weight formats to consider: native is as published, any opts in to all others."},
    API_FIELDS_EXTRAS(REQUEST),
    API_FIELDS_LENGTHS(REQUEST),
    API_FIELDS_TRAFFIC(REQUEST),
    API_FIELD_REQUESTS_PER_SECOND(REQUEST),
    API_FIELD_CONCURRENCY(REQUEST),
    NUMBER(output_tokens_per_second, "workload", 1e-6, 1e12, "tokens/s", NULL, "Sustained output of the whole fleet."),
    NUMBER(throughput_tokens_per_second, "workload", 1e-6, 1e12, "tokens/s", NULL,
           "The article's name for output_tokens_per_second."),
    NUMBER(users, "workload", 1e-6, 1e12, "people", NULL, "People who ask; needs requests_per_user_hour."),
    NUMBER(requests_per_user_hour, "workload", 1e-6, 1e6, "requests/h", NULL, "Questions of one person in an hour."),
    NUMBER(total_tokens, "workload", 1, 1e18, "tokens", NULL,
           "A job: input and output tokens together; needs deadline_hours."),
    NUMBER(deadline_hours, "workload", 1e-3, 1e6, "h", NULL, "Time for the job."),
    API_FIELD_ARRIVAL_CV2(REQUEST),
    API_FIELDS_SLO(REQUEST),
    CONSTRAINT_BUDGET(0),
    NUMBER(budget_usd_per_hour, "constraints", 1e-4, 1e9, "USD/h", NULL, "Most to spend per hour in use."),
    NUMBER(duration_hours, "constraints", 1, 876000, "h", "8760", "How long the fleet is needed."),
    NUMBER(hours_per_day, "constraints", 0.1, 24, "h", "24", "Hours of a day in which it runs."),
    CONSTRAINTS_OFFERS(0),
    CONSTRAINT_MAX_GPUS(0, "64"),
    CONSTRAINTS_HELD(0),
    INTEGER(spare_replicas, "constraints", 0, 1000, "replicas", "0", "Replicas beyond the demand."),
    CONSTRAINT_PRICE_AGE(0),
    INTEGER(min_weight_bits, "constraints", 1, 32, "bits", NULL, "Fewest bits per weight."),
    CHOICE(min_basis, "constraints", basis_names, "extrapolated", "Worse-founded predictions cannot be recommended."),
    CONSTRAINTS_MONEY(0),
    CHOICE(objective, "", objective_names, "cost with a demand, throughput with only a budget", "What is best."),
    CHOICE(estimator, "", estimator_names, "roofline",
           "article reproduces the arithmetic of the article that the service grew out of."),
    INTEGER(alternatives, "", 0, 50, "options", "5", "Options to show beside the recommended one."),
    {.name = "explain_gpu",
     .group = "",
     .kind = FIELD_TEXT,
     .offset = offsetof(REQUEST, explain_gpu),
     .help = "One GPU to be told about in any case."},
    API_FIELD_AS_OF(REQUEST),
};
static_assert(sizeof fleet_fields / sizeof *fleet_fields == FLEET_FIELD_COUNT, "the header tells the count");

/* --- resolution ------------------------------------------------------------------------------------------------- */

static bool check_traffic(struct call *call, const struct recommend_request *request)
{
    const struct asked_traffic asked = demand_traffic(request);
    return api_traffic_check(call, &asked) == STATUS_OK;
}

/* Nobody asks for no GPU at all: a list that came out empty is a mistake on the caller's side. */
static bool check_gpus_listed(struct call *call, const struct recommend_request *request)
{
    bool empty = request->gpus.items && !request->gpus.count;
    if (empty) {
        (void)problems_add(call->problems, STATUS_INVALID_VALUE, "constraints.gpus",
                           "an empty list allows no GPU: name some, or leave the field out");
    }
    return !empty;
}

static enum status resolve_lengths(struct call *call, struct recommend_request *request, const struct model *model)
{
    if (request->estimator == ESTIMATOR_ARTICLE) return STATUS_OK; /* knows no context */
    return api_lengths_resolve(call, model,
                               traffic_longest_tokens(request->input_tokens, &request->input_tokens_histogram),
                               traffic_longest_tokens(request->output_tokens, &request->output_tokens_histogram),
                               &request->max_model_len_tokens);
}

/* Names into catalog rows, lengths into tokens. What cannot be resolved is a problem, and an empty model or the first
 * engine stands for it, so that the rest of the question can be checked too. Returns whether all could be. */
static bool resolve(struct call *call, struct recommend_request *request, struct fleet_answer *answer,
                    struct recommend_context *ret_context)
{
    struct recommend_context context = {
        .snapshot = call->snapshot,
        .model = &answer->model.facts,
        .engine = &call->snapshot->profiles[0],
        .today = call->today,
    };
    bool model =
        api_model_given(&request->model) && api_model_resolve(call, &request->model, &answer->model) == STATUS_OK;
    bool engine = api_engine_resolve(call, request->engine, request->engine_version, &context.engine) == STATUS_OK;
    bool kv = api_dtype_resolve(call, "serving.kv_dtype", request->kv_dtype, &context.kv_dtype) == STATUS_OK;
    bool lengths = check_traffic(call, request), gpus = check_gpus_listed(call, request);
    bool extras = api_extras_resolve(call, &request->extras, model ? &answer->model.facts : NULL, context.engine,
                                     &context.extras) == STATUS_OK;
    if (!is_known(request->input_tokens) && !request->input_tokens_histogram.count)
        request->input_tokens = DEFAULT_INPUT_TOKENS;
    if (!is_known(request->output_tokens) && !request->output_tokens_histogram.count)
        request->output_tokens = DEFAULT_OUTPUT_TOKENS;
    lengths = lengths && (!model || resolve_lengths(call, request, &answer->model.facts) == STATUS_OK);
    request->engine = context.engine->engine;
    request->engine_version = context.engine->version_from;
    request->kv_dtype = context.kv_dtype == DTYPE_UNKNOWN ? "auto" : dtype_name(context.kv_dtype);
    if (model && request->model.name && !answer->model.assumed) request->model.name = answer->model.facts.id;
    context.weights_bytes = answer->model.weights_bytes;
    context.model_assumed = answer->model.assumed;
    *ret_context = context;
    return gpus && model && engine && kv && lengths && extras;
}

enum status fleet_answer(struct call *call, const struct operation *operation, int64_t alternatives,
                         struct fleet_answer *ret_answer)
{
    struct recommend_request *request = &ret_answer->request;
    enum status status =
        input_decode(call->input, call->arena, fleet_fields, FLEET_FIELD_COUNT, request, call->problems);
    if (status == STATUS_OUT_OF_MEMORY) return status; /* the request was not written */
    if (request->alternatives == VALUE_ABSENT) request->alternatives = alternatives;
    if (request->max_price_age_days == VALUE_ABSENT && call->price_age_max_days > 0)
        request->max_price_age_days = call->price_age_max_days;
    struct recommend_context context;
    bool resolved = resolve(call, request, ret_answer, &context);
    if (status != STATUS_OK || !resolved) {
        status = recommend_check(&context, request, call->arena, call->problems);
        return status == STATUS_OK ? problems_status(call->problems) : status;
    }
    status = recommend(&context, request, call->arena, call->problems, &ret_answer->recommendation);
    if (status == STATUS_OK) status = api_answer_id(call, operation, request);
    return status;
}

/* --- options ---------------------------------------------------------------------------------------------------- */

static void put_place(struct out *out, const struct option *option)
{
    const struct offer *offer = option->offer;
    out_text(out, "provider", offer ? offer->provider : NULL);
    out_text(out, "instance_type", offer && *offer->instance_type ? offer->instance_type : NULL);
    out_text(out, "region", offer && *offer->region ? offer->region : NULL);
    out_text(out, "purchase", purchase_name(option->purchase));
    out_integer(out, "term_months", offer && offer->term_months ? (int64_t)offer->term_months : VALUE_ABSENT);
    out_text(out, "availability", offer ? "unknown" : NULL);
}

static void put_counts(struct out *out, const struct option *option)
{
    out_integer(out, "instance_count", option->instance_count);
    out_integer(out, "gpus_per_instance", option->gpus_per_instance);
    out_integer(out, "gpu_count", option->gpu_count);
    out_integer(out, "gpus_used", option->gpus_used);
    out_integer(out, "gpus_idle", option->gpus_idle);
    out_integer(out, "replicas", option->replicas);
    out_integer(out, "replicas_at_half_probability",
                option->replicas_at_half_probability ? (int64_t)option->replicas_at_half_probability : VALUE_ABSENT);
    out_integer(out, "spare_replicas", option->spare_replicas);
    out_integer(out, "tensor_parallel", option->deployment.tensor_parallel);
    out_integer(out, "pipeline_parallel", option->deployment.pipeline_parallel);
    out_text(out, "weight_dtype", dtype_name(option->deployment.weight_dtype));
    out_bool(out, "quality_unverified", option->quality_unverified);
}

static void put_performance(struct out *out, const struct option *option, bool article)
{
    const struct performance *performance = &option->performance;
    out_object(out, "performance");
    api_put_predicted(out, "requests_per_second", performance->requests_per_second);
    api_put_predicted(out, "output_tokens_per_second", performance->output_tokens_per_second);
    api_put_predicted(out, "total_tokens_per_second", performance->total_tokens_per_second);
    api_put_predicted(out, "ttft_ms", performance->ttft_ms);
    api_put_predicted(out, "tpot_ms", performance->tpot_ms);
    api_put_predicted(out, "e2e_ms", performance->e2e_ms);
    api_put_number(out, "meets_slo_probability_ratio", option->meets_slo_probability_ratio);
    out_text(out, "bound_by", article ? NULL : bound_name(performance->bound_by));
    api_put_percentiles(out, performance);
    api_put_energy(out, performance);
    out_object_end(out);
    out_object(out, "capacity");
    api_put_predicted(out, "requests_per_second", option->capacity_requests_per_second);
    api_put_predicted(out, "output_tokens_per_second", option->capacity_output_tokens_per_second);
    api_put_number(out, "safe_requests_per_second", article ? UNKNOWN : option->safe_requests_per_second);
    out_object_end(out);
}

static void put_cost(struct out *out, const struct cost *cost)
{
    out_object(out, "cost");
    out_usd(out, "hardware_cost_usd", cost->hardware_usd);
    out_usd(out, "operating_cost_usd", cost->operating_usd);
    out_usd(out, "total_cost_usd", cost->total_usd);
    out_usd(out, "cost_per_hour_usd", cost->per_hour_usd);
    api_put_predicted(out, "cost_per_million_tokens_usd", cost->per_million_tokens_usd);
    api_put_predicted(out, "cost_per_million_input_tokens_usd", cost->per_million_input_tokens_usd);
    api_put_predicted(out, "cost_per_million_output_tokens_usd", cost->per_million_output_tokens_usd);
    api_put_number(out, "cost_per_gb_vram_usd", cost->per_gb_vram_usd);
    api_put_number(out, "cost_per_gb_per_s_bandwidth_usd", cost->per_gb_per_s_bandwidth_usd);
    api_put_predicted(out, "cost_per_throughput_usd", cost->per_throughput_usd);
    out_object_end(out);
}

/* Where the price comes from: the offer, or the purchase price that is believed. */
static void put_price(struct out *out, const struct call *call, const struct option *option, date_t as_of, bool article)
{
    const struct purchase_price *bought =
        option->offer || article ? NULL : snapshot_purchase_price_on(call->snapshot, option->gpu, as_of);
    const char *source = option->offer ? option->offer->source : bought ? bought->source : NULL;
    const char *url = option->offer && *option->offer->url ? option->offer->url : NULL;
    date_t dated = option->offer ? option->offer->as_of : bought ? bought->as_of : DATE_UNKNOWN;
    out_object(out, "price");
    out_text(out, "source", article ? "the article, 2024" : source);
    out_date(out, "as_of", dated);
    out_integer(out, "age_days", date_known(dated) && date_known(as_of) ? as_of.days - dated.days : VALUE_ABSENT);
    out_text(out, "url", url);
    out_object_end(out);
}

void fleet_put_option(struct out *out, const char *key, const struct call *call, const struct fleet_answer *answer,
                      const struct option *option)
{
    bool article = answer->request.estimator == ESTIMATOR_ARTICLE;
    out_object(out, key);
    out_integer(out, "rank", option->rank);
    out_text(out, "gpu", option->deployment.gpu->id);
    put_place(out, option);
    put_counts(out, option);
    out_text(out, "excluded_by", option->excluded_by == REJECT_NONE ? NULL : reject_reason_name(option->excluded_by));
    api_put_memory(out, "memory", &option->memory, option->kv_needed_bytes);
    put_performance(out, option, article);
    put_cost(out, &option->cost);
    api_put_number(out, "power_watts", option->power_watts);
    put_price(out, call, option, answer->request.as_of, article);
    if (article)
        out_null(out, "provenance");
    else
        api_put_provenance(out, &option->deployment, &option->performance, option->provenance);
    out_text(out, "launch_command", option->launch_command);
    out_text(out, "verify_command", option->verify_command);
    out_text(out, "explanation", option->explanation);
    out_object_end(out);
}

void fleet_put_rejections(struct out *out, const struct call *call, const struct recommendation *recommendation)
{
    out_array(out, "rejected");
    for (size_t i = 0; i < recommendation->rejected_count; i++) {
        const struct rejection *rejection = &recommendation->rejected[i];
        out_object(out, NULL);
        out_text(out, "gpu", call->snapshot->gpus[rejection->gpu].id);
        out_text(out, "reason", reject_reason_name(rejection->reason));
        api_put_number(out, "needed", rejection->needed);
        api_put_number(out, "available", rejection->available);
        out_text(out, "unit", is_known(rejection->needed) ? rejection->unit : NULL);
        out_text(out, "detail", rejection->detail);
        out_object_end(out);
    }
    out_array_end(out);
}

void fleet_put_relaxations(struct out *out, const struct recommendation *recommendation)
{
    out_array(out, "relaxations");
    for (size_t i = 0; i < recommendation->relaxation_count; i++) {
        const struct relaxation *relaxation = &recommendation->relaxations[i];
        const struct option *option = relaxation->option;
        out_object(out, NULL);
        out_text(out, "constraint", relaxation->constraint);
        api_put_number(out, "from", relaxation->from);
        api_put_number(out, "to", relaxation->to);
        api_put_number(out, "relative_change", relaxation->relative_change);
        out_text(out, "gpu", option->deployment.gpu->id);
        out_integer(out, "gpu_count", option->gpu_count);
        out_usd(out, "total_cost_usd", option->cost.total_usd);
        out_text(out, "detail", relaxation->detail);
        out_object_end(out);
    }
    out_array_end(out);
}
