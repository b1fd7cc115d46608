/* throughput.c owns the operation throughput: how fast a model is on given GPUs under a given load. */
#include "api/replica.h"
#include "api/traffic.h"
#include "sizing/demand.h"
#include "sizing/disaggregation.h"
#include "sizing/evidence.h"

#include <string.h>

struct throughput_request {
    struct replica_request replica; /* first: REPLICA_FIELDS */
    struct length_histogram input_tokens_histogram, output_tokens_histogram;
    double shared_prefix_tokens, prefix_cache_hit_ratio, draft_acceptance_ratio;
    int64_t load;
    double batch_size, requests_per_second, arrival_cv2;
    double ttft_ms, tpot_ms, e2e_ms, percentile, min_probability_ratio;
    int64_t disaggregated, prefill_replicas, decode_replicas;
    double transfer_gb_per_s;
};

/* Between the hosts of a cluster: one 400 Gb/s port for each GPU, as in DGX H100 and its like. */
#define TRANSFER_GB_PER_S 50

#define SIDE(field, text)                                                                                              \
    {                                                                                                                  \
        .name = #field, .group = "layout", .kind = FIELD_INTEGER,                                                      \
        .offset = offsetof(struct throughput_request, field), .min = 1, .max = 4096, .unit = "replicas", .help = text  \
    }

static const char *const load_names[LOAD_COUNT + 1] = {"saturated", "concurrency", "static_batch", "rate", NULL};

static const struct field fields[] = {
    REPLICA_FIELDS,
    {.name = "load",
     .group = "workload",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct throughput_request, load),
     .names = load_names,
     .preset = "by the figure that is given, else saturated",
     .help = "saturated: as many requests as fit; concurrency: so many in flight; static_batch: one batch after the "
             "other; rate: arrivals."},
    {.name = "batch_size",
     .group = "workload",
     .kind = FIELD_NUMBER,
     .offset = offsetof(struct throughput_request, batch_size),
     .min = 1,
     .max = 1e6,
     .unit = "requests",
     .help = "Requests of one batch of each replica, for load static_batch."},
    API_FIELDS_TRAFFIC(struct throughput_request),
    API_FIELD_REQUESTS_PER_SECOND(struct throughput_request),
    API_FIELD_ARRIVAL_CV2(struct throughput_request),
    API_FIELDS_SLO(struct throughput_request),
    {.name = "disaggregated",
     .group = "layout",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct throughput_request, disaggregated),
     .preset = "true with prefill_replicas or decode_replicas, else false",
     .help = "Some replicas only read prompts, the others only make tokens; split as it serves most if not given."},
    SIDE(prefill_replicas, "Replicas that only read prompts."),
    SIDE(decode_replicas, "Replicas that only make tokens."),
    {.name = "transfer_gb_per_s",
     .group = "layout",
     .kind = FIELD_NUMBER,
     .offset = offsetof(struct throughput_request, transfer_gb_per_s),
     .min = 1e-3,
     .max = 1e5,
     .unit = "GB/s",
     .preset = "50, one 400 Gb/s port for each GPU",
     .help = "Rate at which a GPU sends a prompt's cache to a replica that makes tokens."},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

/* The one figure that each load needs; saturated needs none. */
struct load_figure {
    const char *field;
    double value;
};

static void load_figures(const struct throughput_request *request, struct load_figure figures[LOAD_COUNT])
{
    figures[LOAD_SATURATED] = (struct load_figure){"", UNKNOWN};
    figures[LOAD_CONCURRENCY] = (struct load_figure){"workload.concurrency", request->replica.concurrency};
    figures[LOAD_STATIC_BATCH] = (struct load_figure){"workload.batch_size", request->batch_size};
    figures[LOAD_RATE] = (struct load_figure){"workload.requests_per_second", request->requests_per_second};
}

/* `load` may be left out: the figure says it. A figure of another load contradicts. */
static enum status resolve_load(struct call *call, struct throughput_request *request)
{
    struct load_figure figures[LOAD_COUNT];
    load_figures(request, figures);
    for (int64_t load = 0; load < LOAD_COUNT && request->load == VALUE_ABSENT; load++) {
        if (is_known(figures[load].value)) request->load = load;
    }
    if (request->load == VALUE_ABSENT) request->load = LOAD_SATURATED;
    for (int64_t load = 0; load < LOAD_COUNT; load++) {
        if (load != request->load && is_known(figures[load].value)) {
            (void)problems_add(call->problems, STATUS_CONTRADICTION, figures[load].field,
                               "does not belong to the load %s", load_names[request->load]);
        }
    }
    if (request->load != LOAD_SATURATED && !is_known(figures[request->load].value)) {
        (void)problems_add(call->problems, STATUS_MISSING_FIELD, figures[request->load].field,
                           "the load %s needs this figure", load_names[request->load]);
    }
    return problems_status(call->problems);
}

/* --- the question ----------------------------------------------------------------------------------------------- */

static struct asked_traffic asked_traffic_of(const struct throughput_request *request)
{
    return (struct asked_traffic){
        .input_tokens = request->replica.input_tokens,
        .output_tokens = request->replica.output_tokens,
        .input_histogram = &request->input_tokens_histogram,
        .output_histogram = &request->output_tokens_histogram,
        .shared_prefix_tokens = request->shared_prefix_tokens,
        .prefix_cache_hit_ratio = request->prefix_cache_hit_ratio,
        .draft_acceptance_ratio = request->draft_acceptance_ratio,
        .draft_tokens = request->replica.extras.draft_tokens,
    };
}

static enum status check_traffic(struct call *call, const struct throughput_request *request)
{
    const struct asked_traffic asked = asked_traffic_of(request);
    return api_traffic_check(call, &asked);
}

/* The longest lengths must fit; the means that stand for a histogram meanwhile are taken out again. */
static enum status resolve_replica(struct call *call, struct throughput_request *request, struct replica *replica)
{
    struct replica_request *asked = &request->replica;
    bool prompts = request->input_tokens_histogram.count, answers = request->output_tokens_histogram.count;
    asked->input_tokens = traffic_longest_tokens(asked->input_tokens, &request->input_tokens_histogram);
    asked->output_tokens = traffic_longest_tokens(asked->output_tokens, &request->output_tokens_histogram);
    enum status status = replica_resolve(call, asked, replica);
    if (prompts) asked->input_tokens = UNKNOWN;
    if (answers) asked->output_tokens = UNKNOWN;
    return status;
}

static bool is_disaggregated(const struct throughput_request *request)
{
    return request->disaggregated == 1 || request->prefill_replicas != VALUE_ABSENT ||
           request->decode_replicas != VALUE_ABSENT;
}

static enum status check_split(struct call *call, const struct throughput_request *request)
{
    struct problems *problems = call->problems;
    bool halves = request->prefill_replicas != VALUE_ABSENT || request->decode_replicas != VALUE_ABSENT;
    if (request->disaggregated == 0 && halves) {
        (void)problems_add(problems, STATUS_CONTRADICTION, "layout.disaggregated",
                           "prefill_replicas and decode_replicas are of disaggregated fleets");
    }
    if (!is_disaggregated(request)) return problems_status(problems);
    if ((request->prefill_replicas == VALUE_ABSENT) != (request->decode_replicas == VALUE_ABSENT)) {
        bool prefill = request->prefill_replicas == VALUE_ABSENT;
        (void)problems_add(problems, STATUS_MISSING_FIELD,
                           prefill ? "layout.prefill_replicas" : "layout.decode_replicas",
                           "give both sides, or disaggregated alone");
    }
    if (request->load == LOAD_STATIC_BATCH) {
        (void)problems_add(problems, STATUS_CONTRADICTION, "workload.load",
                           "a static batch is not passed from replica to replica: give saturated, concurrency or rate");
    }
    return problems_status(problems);
}

/* How many replicas do what; gpu_count follows if it is not given. */
static enum status resolve_split(struct call *call, struct throughput_request *request, bool counted,
                                 const struct roofline *roofline, struct replica *replica,
                                 struct disaggregation *ret_split)
{
    bool given = request->prefill_replicas != VALUE_ABSENT;
    int64_t replicas = given ? request->prefill_replicas + request->decode_replicas : counted ? replica->replicas : 2;
    if (strcmp(replica->deployment.engine->engine, "llama.cpp") == 0) {
        return problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "layout.disaggregated",
                            "llama.cpp reads prompts where it makes tokens");
    }
    if (!(roofline->output_tokens > 1)) {
        return problems_add(call->problems, STATUS_CONTRADICTION, "workload.output_tokens",
                            "replicas that only make tokens have nothing to do after the first one");
    }
    if (counted && (replicas != replica->replicas || replicas < 2)) {
        return problems_add(call->problems, STATUS_CONTRADICTION, "layout.gpu_count",
                            "%lld GPUs are %u replicas, and %lld are asked for", (long long)request->replica.gpu_count,
                            replica->replicas, (long long)(given ? replicas : 2));
    }
    replica->replicas = (uint32_t)replicas;
    request->replica.gpu_count = replicas * deployment_gpus(&replica->deployment);
    if (isnan(request->transfer_gb_per_s)) request->transfer_gb_per_s = TRANSFER_GB_PER_S;
    *ret_split = disaggregation_best(roofline, replica->replicas, request->transfer_gb_per_s);
    if (given) {
        ret_split->prefill_replicas = (uint32_t)request->prefill_replicas;
        ret_split->decode_replicas = (uint32_t)request->decode_replicas;
    }
    request->disaggregated = 1;
    request->prefill_replicas = ret_split->prefill_replicas;
    request->decode_replicas = ret_split->decode_replicas;
    return STATUS_OK;
}

/* --- the answer ------------------------------------------------------------------------------------------------- */

/* The speed of a fleet, and what it was computed from. */
struct speed {
    struct traffic traffic;
    struct roofline roofline;
    struct load_point load;         /* of one replica, or of a disaggregated fleet */
    struct performance performance; /* the same */
    double parts;                   /* that share the load: replicas, or 1 */
    bool split;
    struct disaggregation sides;
    struct disaggregated disaggregated;
    struct evidence evidence;
    struct provenance provenance;
    double probability, replicas_needed, replicas_at_half; /* NaN: no such question */
};

static void put_performance(struct out *out, const struct performance *performance, double fleet)
{
    struct performance whole = *performance;
    whole.output_tokens_per_second = predicted_scale(performance->output_tokens_per_second, fleet);
    whole.watts *= fleet;
    whole.tdp_watts *= fleet;
    api_put_predicted(out, "output_tokens_per_second", whole.output_tokens_per_second);
    api_put_predicted(out, "total_tokens_per_second", predicted_scale(performance->total_tokens_per_second, fleet));
    api_put_predicted(out, "requests_per_second", predicted_scale(performance->requests_per_second, fleet));
    api_put_predicted(out, "prefill_tokens_per_second", predicted_scale(performance->prefill_tokens_per_second, fleet));
    api_put_predicted(out, "ttft_ms", performance->ttft_ms);
    api_put_predicted(out, "tpot_ms", performance->tpot_ms);
    api_put_predicted(out, "e2e_ms", performance->e2e_ms);
    api_put_percentiles(out, performance);
    api_put_number(out, "in_flight", performance->in_flight * fleet);
    api_put_number(out, "waiting_ms", performance->waiting_ms);
    api_put_number(out, "utilization_ratio", performance->utilization_ratio);
    out_bool(out, "stable", performance->stable);
    out_text(out, "bound_by", bound_name(performance->bound_by));
    out_object(out, "breakdown_ms");
    api_put_number(out, "weights", performance->breakdown.weights_ms);
    api_put_number(out, "attention", performance->breakdown.attention_ms);
    api_put_number(out, "communication", performance->breakdown.communication_ms);
    api_put_number(out, "prefill", performance->breakdown.prefill_ms);
    api_put_number(out, "overhead", performance->breakdown.overhead_ms);
    api_put_number(out, "draft", performance->breakdown.draft_ms);
    out_object_end(out);
    api_put_energy(out, &whole);
    out_text(out, "basis", basis_name(performance->basis));
}

static void put_split(struct out *out, const struct speed *speed, uint32_t replicas)
{
    if (!speed->split) {
        out_null(out, "disaggregation");
        return;
    }
    struct disaggregation best = disaggregation_best(&speed->roofline, replicas, speed->sides.transfer_gb_per_s);
    out_object(out, "disaggregation");
    out_integer(out, "prefill_replicas", speed->sides.prefill_replicas);
    out_integer(out, "decode_replicas", speed->sides.decode_replicas);
    out_integer(out, "best_prefill_replicas", best.prefill_replicas);
    out_integer(out, "best_decode_replicas", best.decode_replicas);
    api_put_number(out, "balance_ratio", speed->disaggregated.balance_ratio);
    api_put_number(out, "prefill_utilization_ratio", speed->disaggregated.prefill_utilization_ratio);
    api_put_number(out, "decode_utilization_ratio", speed->disaggregated.decode_utilization_ratio);
    api_put_number(out, "transfer_ms", speed->disaggregated.transfer_ms);
    api_put_number(out, "transfer_gb_per_s", speed->sides.transfer_gb_per_s);
    out_object_end(out);
}

static void put_objective(struct out *out, const struct speed *speed)
{
    bool counted = isfinite(speed->replicas_needed), halved = isfinite(speed->replicas_at_half);
    api_put_number(out, "meets_slo_probability_ratio", speed->probability);
    out_integer(out, "replicas_needed", counted ? (int64_t)speed->replicas_needed : VALUE_ABSENT);
    out_integer(out, "replicas_needed_at_half_probability", halved ? (int64_t)speed->replicas_at_half : VALUE_ABSENT);
}

static void predict(const struct throughput_request *request, const struct replica *replica, struct speed *speed)
{
    double parts = speed->parts = speed->split ? 1 : replica->replicas;
    speed->load = (struct load_point){
        .load = (enum load)request->load,
        .concurrency = request->replica.concurrency / parts,
        .batch_size = request->batch_size,
        .requests_per_second = request->requests_per_second / parts,
        .arrival_cv2 = request->arrival_cv2,
        .percentile = request->percentile,
        .all_percentiles = true,
    };
    if (speed->split) {
        disaggregation_predict(&speed->roofline, &speed->sides, &speed->load, &speed->disaggregated);
        speed->performance = speed->disaggregated.performance;
    } else {
        performance_predict(&speed->roofline, &speed->load, &speed->performance);
    }
    struct load_point load = evidence_load(&speed->load, &speed->performance);
    speed->provenance = evidence_provenance(&speed->roofline, &load, speed->split ? 0 : 1);
}

static double replicas_for(const struct speed *speed, const struct performance *saturated, const struct slo *slo,
                           double probability)
{
    double capacity = demand_capacity_rps(&speed->roofline, saturated, slo, speed->load.arrival_cv2, probability);
    double arrivals = speed->load.requests_per_second * speed->parts;
    return capacity > 0 ? fmax(1, ceil(round6(arrivals / capacity))) : INFINITY;
}

/* The probability of the limits under any load, and of the arrivals too where requests arrive; then the count that
 * meets both as often as asked. A disaggregated fleet has no count: its sides grow by themselves. */
static void judge(const struct throughput_request *request, struct speed *speed)
{
    const struct slo slo = {request->ttft_ms, request->tpot_ms, request->e2e_ms, request->percentile,
                            request->min_probability_ratio};
    bool arrivals = request->load == LOAD_RATE, limits = slo_limits(&slo);
    const struct load_point full = {.load = LOAD_SATURATED};
    struct performance saturated;
    speed->probability = speed->replicas_needed = speed->replicas_at_half = UNKNOWN;
    if (!limits && !arrivals) return;
    if (!arrivals || speed->split) {
        speed->probability = round6(performance_slo_probability(&speed->performance, &slo));
        return;
    }
    performance_predict(&speed->roofline, &full, &saturated);
    speed->probability =
        round6(demand_probability(&speed->performance, &saturated, &slo, speed->load.requests_per_second));
    speed->replicas_needed = replicas_for(speed, &saturated, &slo, slo.min_probability_ratio);
    speed->replicas_at_half = replicas_for(speed, &saturated, &slo, 0.5);
}

static void put_notes(struct call *call, const struct throughput_request *request, const struct replica *replica,
                      const struct speed *speed)
{
    const char *notes[TRAFFIC_NOTES_MAX + 2];
    size_t count = traffic_notes(&speed->traffic, replica->deployment.draft_tokens, replica->deployment.max_loras > 0,
                                 request->load == LOAD_RATE, call->arena, notes);
    if (speed->split) {
        notes[count++] = arena_printf(call->arena,
                                      "A prompt's cache is sent at %.6g GB/s by each GPU once the prompt is read. No "
                                      "measured row is disaggregated.",
                                      speed->sides.transfer_gb_per_s);
    }
    if (!speed->performance.stable) {
        notes[count++] =
            "More requests arrive than these GPUs serve: throughput is what they serve, and waits are those "
            "of a full queue, which without a limit grow without end.";
    }
    replica_put(call->out, replica, notes, count);
}

/* Without bandwidth and peak there is nothing to predict from. */
static enum status check_predicted(struct call *call, const struct gpu *gpu, const struct performance *performance)
{
    if (is_known(performance->output_tokens_per_second.value)) return STATUS_OK;
    return problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "gpu",
                        "no source states the memory bandwidth or the 16-bit peak of %s: its speed is not known",
                        gpu->id);
}

static enum status answer(struct call *call, struct throughput_request *request)
{
    struct replica replica;
    struct speed *speed = ARENA_NEW(call->arena, struct speed);
    if (!speed) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the answer");
    bool counted = request->replica.gpu_count != VALUE_ABSENT;
    enum status load_status = resolve_load(call, request), traffic_status = check_traffic(call, request);
    enum status split_status = check_split(call, request), status = resolve_replica(call, request, &replica);
    if (status != STATUS_OK || load_status != STATUS_OK || traffic_status != STATUS_OK || split_status != STATUS_OK)
        return problems_status(call->problems);
    status = replica_check_runs(call, &replica);
    if (status != STATUS_OK) return status;
    const struct asked_traffic asked = asked_traffic_of(request);
    speed->traffic = traffic_of_asked(&asked);
    roofline_init_traffic(&speed->roofline, &replica.deployment, &replica.memory, &speed->traffic);
    speed->split = is_disaggregated(request);
    if (!speed->split) replica_find_evidence(call, &request->replica, &replica, &speed->roofline, &speed->evidence);
    if (speed->split) status = resolve_split(call, request, counted, &speed->roofline, &replica, &speed->sides);
    if (status != STATUS_OK) return status;
    predict(request, &replica, speed);
    status = check_predicted(call, replica.deployment.gpu, &speed->performance);
    if (status == STATUS_OK) status = api_answer_id(call, &operation_throughput, request);
    if (status != STATUS_OK) return status;
    judge(request, speed);
    api_put_head(call, call->snapshot->as_of);
    api_put_model(call->out, &replica.model);
    put_notes(call, request, &replica, speed);
    put_performance(call->out, &speed->performance, speed->parts);
    put_objective(call->out, speed);
    put_split(call->out, speed, replica.replicas);
    api_put_provenance(call->out, &replica.deployment, &speed->performance, &speed->provenance);
    return STATUS_OK;
}

static enum status run(struct call *call)
{
    struct throughput_request request;
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    if (status != STATUS_OK) return replica_refuse(call, &request.replica, status);
    if (isnan(request.arrival_cv2)) request.arrival_cv2 = 1;
    if (isnan(request.percentile)) request.percentile = 95;
    if (isnan(request.min_probability_ratio)) request.min_probability_ratio = 0.9;
    out_object(call->out, NULL);
    status = answer(call, &request);
    input_encode(call->out, "request", fields, FIELD_COUNT, &request);
    out_object_end(call->out);
    return status;
}

static const char *const examples[] = {
    "gpusize throughput --model meta-llama/Llama-3.1-70B-Instruct --gpu h100-sxm --tensor-parallel 4",
    "gpusize throughput --model meta-llama/Llama-3.1-8B-Instruct --gpu l40s --concurrency 32",
    "gpusize throughput --model 70B --gpu mi300x --requests-per-second 2 --ttft-ms 2000 --percentile 99",
    "gpusize throughput --model Qwen/Qwen3-32B --gpu h100-sxm --rps 3 --shared-prefix-tokens 512 --in 1500",
    ("gpusize throughput --model Qwen/Qwen3-32B --gpu h100-sxm --draft-model eagle --draft-tokens 3 "
     "--draft-acceptance-ratio 0.7"),
    "gpusize throughput --model Qwen/Qwen3-32B --gpu h100-sxm --gpus-total 8 --disaggregated true",
    NULL,
};

const struct operation operation_throughput = {
    .id = "throughput",
    .command = "throughput",
    .summary = "Predicts throughput and latency of a model on given GPUs under a given load.",
    .fields = fields,
    .field_count = FIELD_COUNT,
    .computes = true,
    .recorded = true,
    .rows = "",
    .examples = examples,
    .run = run,
};
