/* batch_plan.c owns the operation batch_plan: the best batch size for a model on a GPU, and how the requests of a trace
 * are packed into batches. */
#include "api/replica.h"
#include "sizing/article.h"
#include "sizing/batching.h"
#include "wire/trace.h"

#include <string.h>

struct batch_plan_request {
    struct replica_request replica; /* first: REPLICA_FIELDS */
    double ttft_ms, tpot_ms, e2e_ms, percentile, min_probability_ratio;
    int64_t estimator;
    struct request_list requests;
    int64_t batch_kind, assignments, hidden_size;
};

static const struct field fields[] = {
    REPLICA_FIELDS,
    API_FIELDS_SLO(struct batch_plan_request),
    {.name = "requests",
     .group = "workload",
     .kind = FIELD_REQUESTS,
     .offset = offsetof(struct batch_plan_request, requests),
     .help = "A few requests to pack into batches, as 1024:256,900:64; many come as a trace, one a line."},
    {.name = "batch_kind",
     .group = "workload",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct batch_plan_request, batch_kind),
     .names = batch_kind_names,
     .preset = "paged",
     .help = "Whose assignments are listed. paged: each request takes memory at its own length; padded: at the longest "
             "lengths of its batch."},
    {.name = "assignments",
     .group = "",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct batch_plan_request, assignments),
     .preset = "false",
     .help = "Lists the batch of each request."},
    {.name = "estimator",
     .group = "",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct batch_plan_request, estimator),
     .names = estimator_names,
     .preset = "roofline",
     .help = "article reproduces the arithmetic of the article that the service grew out of."},
    {.name = "hidden_size",
     .group = "",
     .kind = FIELD_INTEGER,
     .offset = offsetof(struct batch_plan_request, hidden_size),
     .min = 1,
     .max = 1e6,
     .preset = "4096",
     .help = "With estimator article: width of the model for the optimal batch size."},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields, UNPLACED_SHOWN_MAX = 100 };

/* --- the requests ------------------------------------------------------------------------------------------------- */

/* A trace beside the fields, or the requests among them. */
static enum status read_requests(struct call *call, struct batch_plan_request *request)
{
    if (!call->body) return STATUS_OK;
    if (request->requests.items)
        return problems_add(call->problems, STATUS_CONTRADICTION, "workload.requests",
                            "the trace has the requests: give them once");
    return trace_read(call->arena, call->body, call->body_length, call->problems, &request->requests);
}

/* Answers of unstated length are as long as the question says, or the default. */
static enum status fill_lengths(struct call *call, struct request_list *requests, double output_tokens)
{
    struct request_lengths *items = ARENA_ARRAY(call->arena, requests->count, struct request_lengths);
    if (!items) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the trace");
    for (size_t i = 0; i < requests->count; i++) {
        items[i] = requests->items[i];
        if (!is_known(items[i].output_tokens)) items[i].output_tokens = output_tokens;
    }
    requests->items = items;
    return STATUS_OK;
}

static double longest_tokens(const struct request_list *requests)
{
    double longest = 0;
    for (size_t i = 0; i < requests->count; i++)
        longest = fmax(longest, requests->items[i].input_tokens + requests->items[i].output_tokens);
    return longest;
}

/* Bytes that a row of the assignments takes beside its id, and what an answer may have beside them. */
enum { ROW_BYTES = sizeof "{\"line\":100000,\"id\":\"\",\"batch\":100000}," - 1, REST_BYTES = 64 * 1024 };

/* Better said before than found out when the answer is too long to be sent. */
static enum status check_assignments(struct call *call, const struct request_list *requests)
{
    size_t bytes = requests->count * ROW_BYTES + REST_BYTES;
    for (size_t i = 0; i < requests->count; i++) {
        for (const char *c = requests->items[i].id; c && *c; c++)
            bytes += *c == '"' || *c == '\\' ? 2 : 1;
    }
    if (call->out->max_bytes == 0 || bytes <= call->out->max_bytes) return STATUS_OK;
    return problems_add(call->problems, STATUS_TOO_COMPLEX, "assignments",
                        "%zu rows with their ids are %zu bytes of an answer of at most %zu: shorten the ids, split the "
                        "trace, or ask by command line",
                        requests->count, bytes, call->out->max_bytes);
}

static void put_assignments(struct out *out, const struct request_list *requests, const uint32_t *batch_of)
{
    out_array(out, "assignments");
    for (size_t i = 0; i < requests->count; i++) {
        out_object(out, NULL);
        out_integer(out, "line", requests->items[i].line);
        out_text(out, "id", requests->items[i].id);
        out_integer(out, "batch", batch_of[i] ? (int64_t)batch_of[i] : VALUE_ABSENT);
        out_object_end(out);
    }
    out_array_end(out);
}

/* --- equal requests ----------------------------------------------------------------------------------------------- */

static void put_point(struct out *out, const struct replica *replica, const struct batch_point *point,
                      double sequence_bytes)
{
    const struct performance *performance = &point->performance;
    const struct memory *memory = &replica->memory;
    double resident = memory->weights_bytes + memory->lora_bytes + memory->draft_bytes + memory->activations_bytes +
                      memory->overhead_bytes;
    out_object(out, NULL);
    out_integer(out, "batch_size", (int64_t)point->batch_size);
    api_put_gib(out, "kv_cache_gib", point->batch_size * sequence_bytes);
    api_put_gib(out, "memory_gib", resident + point->batch_size * sequence_bytes);
    api_put_predicted(out, "output_tokens_per_second", performance->output_tokens_per_second);
    api_put_predicted(out, "total_tokens_per_second", performance->total_tokens_per_second);
    api_put_predicted(out, "ttft_ms", performance->ttft_ms);
    api_put_predicted(out, "tpot_ms", performance->tpot_ms);
    api_put_predicted(out, "e2e_ms", performance->e2e_ms);
    api_put_number(out, "meets_slo_probability_ratio", point->meets_slo_probability_ratio);
    out_bool(out, "meets_slo", point->meets_slo);
    out_text(out, "bound_by", bound_name(performance->bound_by));
    out_object_end(out);
}

static void put_curve(struct call *call, const struct batch_plan_request *request, const struct replica *replica)
{
    const struct replica_request *asked = &request->replica;
    const struct slo slo = {request->ttft_ms, request->tpot_ms, request->e2e_ms, request->percentile,
                            request->min_probability_ratio};
    struct out *out = call->out;
    struct roofline roofline;
    struct batch_curve curve;
    struct evidence evidence;
    roofline_init(&roofline, &replica->deployment, &replica->memory, asked->input_tokens, asked->output_tokens);
    replica_find_evidence(call, asked, replica, &roofline, &evidence);
    batch_curve_make(&roofline, &slo, &curve);
    bool met = curve.best < curve.count;
    out_object(out, "batch");
    out_integer(out, "largest_by_kv", (int64_t)curve.largest_by_kv);
    out_integer(out, "largest_batch_size", (int64_t)curve.largest);
    out_text(out, "largest_bound", batch_bound_name(curve.largest_bound));
    out_integer(out, "best_batch_size", met ? (int64_t)curve.points[curve.best].batch_size : VALUE_ABSENT);
    out_text(out, "best_bound", batch_bound_name(curve.best_bound));
    out_object_end(out);
    out_array(out, "curve");
    double sequence_bytes = memory_sequence_bytes(&replica->deployment, asked->input_tokens + asked->output_tokens);
    for (size_t i = 0; i < curve.count; i++)
        put_point(out, replica, &curve.points[i], sequence_bytes);
    out_array_end(out);
}

/* --- a trace ------------------------------------------------------------------------------------------------------ */

static void put_counts(struct out *out, const struct request_list *requests, size_t placed)
{
    double input_tokens = 0, output_tokens = 0;
    for (size_t i = 0; i < requests->count; i++) {
        input_tokens += requests->items[i].input_tokens;
        output_tokens += requests->items[i].output_tokens;
    }
    out_integer(out, "request_count", (int64_t)requests->count);
    out_integer(out, "placed_count", (int64_t)placed);
    out_number(out, "prompt_tokens", input_tokens);
    out_number(out, "answer_tokens", output_tokens);
    out_number(out, "longest_tokens", longest_tokens(requests));
}

static void put_unplaced(struct out *out, const struct request_list *requests, const struct batch_limits *limits)
{
    size_t count = 0;
    out_array(out, "unplaceable");
    for (size_t i = 0; i < requests->count; i++) {
        const struct request_lengths *request = &requests->items[i];
        enum batch_fit fit = batch_judge(limits, request);
        if (fit == BATCH_FITS || count++ >= UNPLACED_SHOWN_MAX) continue;
        out_object(out, NULL);
        out_integer(out, "line", request->line);
        out_text(out, "id", request->id);
        out_number(out, "tokens", request->input_tokens + request->output_tokens);
        out_text(out, "reason", batch_fit_name(fit));
        out_object_end(out);
    }
    out_array_end(out);
    out_integer(out, "unplaceable_count", (int64_t)count);
}

static void put_plan(struct out *out, enum batch_kind kind, enum batch_order order, const struct batch_plan *plan,
                     const struct batch_totals *totals)
{
    out_object(out, NULL);
    out_text(out, "batch_kind", batch_kind_names[kind]);
    out_text(out, "order", batch_order_name(order));
    out_integer(out, "batch_count", (int64_t)plan->count);
    out_number(out, "largest_batch_size", totals->largest_requests);
    api_put_number(out, "kv_utilization_ratio", totals->kv_utilization_ratio);
    out_number(out, "padding_tokens", totals->padded_tokens - totals->tokens);
    api_put_number(out, "padding_ratio", totals->padding_ratio);
    api_put_predicted(out, "total_seconds", totals->seconds);
    out_object_end(out);
}

struct packed {
    uint32_t *sorted;
    size_t count;
    struct batch_plan plan;
};

static enum status prepare(struct call *call, const struct request_list *requests, const struct batch_limits *limits,
                           struct packed *packed)
{
    packed->sorted = batch_sort(requests, limits, call->arena, &packed->count);
    if (packed->sorted && batch_plan_init(&packed->plan, call->arena, requests->count)) return STATUS_OK;
    return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the plan");
}

/* The plan that is asked for comes last, so that its assignments stay. */
static void put_plans(struct out *out, const struct request_list *requests, const struct batch_limits *limits,
                      const struct replica *replica, struct packed *packed)
{
    out_array(out, "plans");
    for (enum batch_kind kind = 0; kind < BATCH_KIND_COUNT; kind++) {
        for (enum batch_order order = 0; order < BATCH_ORDER_COUNT; order++) {
            struct batch_totals totals;
            batch_pack(requests, packed->sorted, packed->count, limits, kind, order, &packed->plan);
            batch_plan_total(&packed->plan, limits, &replica->memory, kind, replica->replicas, &totals);
            put_plan(out, kind, order, &packed->plan, &totals);
        }
    }
    out_array_end(out);
}

static void put_trace(struct call *call, const struct batch_plan_request *request, const struct replica *replica,
                      const struct batch_limits *limits, struct packed *packed)
{
    const struct request_list *requests = &request->requests;
    struct out *out = call->out;
    out_object(out, "trace");
    put_counts(out, requests, packed->count);
    put_unplaced(out, requests, limits);
    put_plans(out, requests, limits, replica, packed);
    out_object_end(out);
    if (request->assignments != 1) {
        out_null(out, "assignments");
        return;
    }
    batch_pack(requests, packed->sorted, packed->count, limits, (enum batch_kind)request->batch_kind,
               BATCH_BEST_FIT_DECREASING, &packed->plan);
    put_assignments(out, requests, packed->plan.batch_of);
}

/* --- the article's arithmetic ------------------------------------------------------------------------------------- */

/* What its DynamicBatchManager is made for: the GPU's nominal gigabytes, and the model's as the question or its
 * calculate_model_memory has them, to two decimals. */
struct article_manager {
    struct api_model model;
    const struct gpu *gpu;
    enum dtype dtype;
    double vram_gb, model_gb;
};

static enum status resolve_article(struct call *call, struct batch_plan_request *request,
                                   struct article_manager *manager)
{
    struct replica_request *asked = &request->replica;
    enum status statuses[] = {
        api_model_resolve(call, &asked->model, &manager->model),
        api_dtype_resolve(call, "serving.weight_dtype", asked->weight_dtype, &manager->dtype),
        asked->gpu ? snapshot_find_gpu(call->snapshot, ALIAS_USER, asked->gpu, "gpu", call->problems, &manager->gpu)
                   : problems_add(call->problems, STATUS_MISSING_FIELD, "gpu",
                                  "say which GPU, such as h100-sxm; see /v1/gpus"),
    };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (statuses[i] != STATUS_OK) return problems_status(call->problems);
    }
    if (manager->dtype == DTYPE_UNKNOWN) manager->dtype = DTYPE_FP16; /* the article's default of 16 bits */
    double gib = article_memory_gib(manager->model.facts.parameters, floor(dtype_bits(manager->dtype)));
    manager->vram_gb = manager->gpu->memory_nominal_gb;
    manager->model_gb = is_known(asked->model.weights_gb) ? asked->model.weights_gb : nearbyint(gib * 100) / 100;
    if (asked->model.name && !manager->model.assumed) asked->model.name = manager->model.facts.id;
    asked->gpu = manager->gpu->id;
    asked->weight_dtype = dtype_name(manager->dtype);
    if (isnan(asked->input_tokens)) asked->input_tokens = DEFAULT_INPUT_TOKENS;
    if (request->hidden_size == VALUE_ABSENT) request->hidden_size = ARTICLE_HIDDEN_SIZE;
    return STATUS_OK;
}

/* It knows neither a pool nor padding nor speed. */
static void put_article_plan(struct out *out, const struct batch_plan_request *request, const struct batch_plan *plan)
{
    struct batch_totals totals = {
        .kv_utilization_ratio = UNKNOWN, .tokens = UNKNOWN, .padding_ratio = UNKNOWN, .seconds = PREDICTED_UNKNOWN};
    for (size_t i = 1; i <= plan->count; i++)
        totals.largest_requests = fmax(totals.largest_requests, plan->batches[i].requests);
    out_object(out, "trace");
    put_counts(out, &request->requests, request->requests.count);
    out_array(out, "unplaceable");
    out_array_end(out);
    out_integer(out, "unplaceable_count", 0);
    out_array(out, "plans");
    put_plan(out, BATCH_KIND_COUNT, BATCH_GREEDY_ASCENDING, plan, &totals);
    out_array_end(out);
    out_object_end(out);
    if (request->assignments == 1)
        put_assignments(out, &request->requests, plan->batch_of);
    else
        out_null(out, "assignments");
}

static void put_article(struct call *call, const struct batch_plan_request *request,
                        const struct article_manager *manager, const struct batch_plan *plan)
{
    const struct replica_request *asked = &request->replica;
    struct out *out = call->out;
    double answer_tokens = is_known(asked->output_tokens) ? asked->output_tokens : 0;
    int64_t tokens = (int64_t)(asked->input_tokens + answer_tokens);
    double size = article_batch_size(manager->vram_gb, manager->model_gb, tokens, request->hidden_size);
    api_put_head(call, call->snapshot->as_of);
    api_put_model(out, &manager->model);
    out_text(out, "estimator", estimator_names[ESTIMATOR_ARTICLE]);
    out_text(out, "gpu", manager->gpu->id);
    out_number(out, "vram_gib", manager->vram_gb);
    out_number(out, "weights_gib", manager->model_gb);
    out_object(out, "batch");
    out_integer(out, "sequence_tokens", tokens);
    out_number(out, "best_batch_size", size);
    out_object_end(out);
    if (plan->batches) {
        put_article_plan(out, request, plan);
    } else {
        out_null(out, "trace");
        out_null(out, "assignments");
    }
}

static enum status run_article(struct call *call, struct batch_plan_request *request)
{
    struct article_manager manager = {0};
    struct batch_plan plan = {0};
    enum status status = resolve_article(call, request, &manager);
    size_t count = request->requests.count;
    if (status == STATUS_OK && count) {
        uint32_t *sorted = ARENA_ARRAY(call->arena, count, uint32_t);
        status = fill_lengths(call, &request->requests, 0);
        if (status == STATUS_OK && (!sorted || !batch_plan_init(&plan, call->arena, count)))
            status = problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the plan");
        if (status == STATUS_OK) article_batches(manager.vram_gb, manager.model_gb, &request->requests, sorted, &plan);
    }
    if (status == STATUS_OK) status = api_answer_id(call, &operation_batch_plan, request);
    if (status == STATUS_OK) put_article(call, request, &manager, &plan);
    return status;
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

static void fill_defaults(struct batch_plan_request *request)
{
    if (isnan(request->percentile)) request->percentile = 95;
    if (isnan(request->min_probability_ratio)) request->min_probability_ratio = 0.9;
    if (request->batch_kind == VALUE_ABSENT) request->batch_kind = BATCH_PAGED;
}

/* What the curve is of, if the question does not say: requests of the mean lengths of those that fit. */
static void take_means(const struct request_list *requests, const struct packed *packed, double *input_tokens,
                       double *output_tokens)
{
    double inputs = 0, outputs = 0;
    for (size_t i = 0; i < packed->count; i++) {
        inputs += requests->items[packed->sorted[i]].input_tokens;
        outputs += requests->items[packed->sorted[i]].output_tokens;
    }
    if (packed->count == 0) return;
    if (input_tokens) *input_tokens = fmax(1, floor(inputs / (double)packed->count));
    if (output_tokens) *output_tokens = fmax(1, floor(outputs / (double)packed->count));
}

/* NULL: the engine takes the longest request, or was asked to be started for less. */
static const char *length_note(const struct call *call, const struct request_list *requests, uint32_t limit_tokens,
                               bool asked)
{
    double longest = longest_tokens(requests);
    if (asked || longest <= limit_tokens) return NULL;
    return arena_printf(call->arena,
                        "The engine is started for %u tokens, and the longest request has %.0f: max_model_len_tokens "
                        "says otherwise.",
                        (unsigned)limit_tokens, longest);
}

static enum status run_roofline(struct call *call, struct batch_plan_request *request)
{
    struct replica_request *asked = &request->replica;
    const bool length = asked->max_model_len_tokens != VALUE_ABSENT;
    bool prompts = isnan(asked->input_tokens), answers = isnan(asked->output_tokens);
    struct replica replica;
    struct packed packed = {0};
    struct batch_limits limits;
    fill_defaults(request);
    enum status status = replica_resolve(call, asked, &replica);
    if (status == STATUS_OK) status = replica_check_runs(call, &replica);
    if (status == STATUS_OK && request->requests.count) {
        limits = batch_limits_make(&replica.deployment, &replica.memory);
        status = fill_lengths(call, &request->requests, asked->output_tokens);
        if (status == STATUS_OK) status = prepare(call, &request->requests, &limits, &packed);
        take_means(&request->requests, &packed, prompts ? &asked->input_tokens : NULL,
                   answers ? &asked->output_tokens : NULL);
    }
    if (status == STATUS_OK) status = api_answer_id(call, &operation_batch_plan, request);
    if (status != STATUS_OK) return status;
    api_put_head(call, call->snapshot->as_of);
    api_put_model(call->out, &replica.model);
    const char *note = length_note(call, &request->requests, replica.deployment.max_model_len_tokens, length);
    replica_put(call->out, &replica, &note, note ? 1 : 0);
    api_put_memory(call->out, "memory", &replica.memory, UNKNOWN);
    put_curve(call, request, &replica);
    if (request->requests.count) {
        put_trace(call, request, &replica, &limits, &packed);
    } else {
        out_null(call->out, "trace");
        out_null(call->out, "assignments");
    }
    return STATUS_OK;
}

static enum status run(struct call *call)
{
    struct batch_plan_request request;
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    if (status == STATUS_OUT_OF_MEMORY) return status;
    enum status trace_status = read_requests(call, &request);
    if (status != STATUS_OK) return replica_refuse(call, &request.replica, status);
    if (trace_status == STATUS_OK && request.assignments == 1)
        trace_status = check_assignments(call, &request.requests);
    if (trace_status != STATUS_OK) return problems_status(call->problems);
    if (request.estimator == VALUE_ABSENT) request.estimator = ESTIMATOR_ROOFLINE;
    if (request.estimator != ESTIMATOR_ARTICLE && request.hidden_size != VALUE_ABSENT)
        return problems_add(call->problems, STATUS_CONTRADICTION, "hidden_size", "belongs to the estimator article");
    call->rows = request.assignments == 1 ? "assignments" : request.requests.count ? "trace.plans" : NULL;
    out_object(call->out, NULL);
    status = request.estimator == ESTIMATOR_ARTICLE ? run_article(call, &request) : run_roofline(call, &request);
    input_encode(call->out, "request", fields, FIELD_COUNT, &request);
    out_object_end(call->out);
    return status;
}

static const char *const examples[] = {
    "gpusize batch-plan --model meta-llama/Llama-3.1-8B-Instruct --gpu l40s --in 1024 --out 256 --tpot-ms 50",
    "gpusize batch-plan --model llama-3.1-8b --gpu l40s --requests 1024:256,3000:500,120:40",
    "gpusize batch-plan --model llama-3.1-8b --gpu l40s --trace requests.jsonl",
    "gpusize batch-plan --model llama-3.1-8b --gpu l40s --trace - --assignments true --format csv",
    "gpusize batch-plan --weights-gb 14 --gpu h100-sxm --in 2048 --estimator article",
    NULL,
};

const struct operation operation_batch_plan = {
    .id = "batch_plan",
    .command = "batch-plan",
    .summary = "Finds the best batch size for a model on a GPU, and packs the requests of a trace into batches.",
    .fields = fields,
    .field_count = FIELD_COUNT,
    .computes = true,
    .lines = "trace",
    .rows = "curve",
    .examples = examples,
    .run = run,
};
