/* throughput.c owns the operation throughput: how fast a model is on given GPUs under a given load. */
#include "api/replica.h"

struct throughput_request {
    struct replica_request replica; /* first: REPLICA_FIELDS */
    int64_t load;
    double batch_size, requests_per_second, arrival_cv2, percentile;
};

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
    API_FIELD_REQUESTS_PER_SECOND(struct throughput_request),
    API_FIELD_ARRIVAL_CV2(struct throughput_request),
    API_FIELD_PERCENTILE(struct throughput_request),
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

static void put_performance(struct out *out, const struct performance *performance, uint32_t replicas)
{
    double fleet = replicas;
    api_put_predicted(out, "output_tokens_per_second", predicted_scale(performance->output_tokens_per_second, fleet));
    api_put_predicted(out, "total_tokens_per_second", predicted_scale(performance->total_tokens_per_second, fleet));
    api_put_predicted(out, "requests_per_second", predicted_scale(performance->requests_per_second, fleet));
    api_put_predicted(out, "prefill_tokens_per_second", predicted_scale(performance->prefill_tokens_per_second, fleet));
    api_put_predicted(out, "ttft_ms", performance->ttft_ms);
    api_put_predicted(out, "tpot_ms", performance->tpot_ms);
    api_put_predicted(out, "e2e_ms", performance->e2e_ms);
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
    out_object_end(out);
    out_text(out, "basis", basis_name(performance->basis));
}

static void predict(const struct call *call, const struct throughput_request *request, const struct replica *replica,
                    struct performance *ret_performance, struct provenance *ret_provenance)
{
    struct roofline roofline;
    struct evidence evidence;
    struct measurements measurements = snapshot_measurements(call->snapshot, replica->model.id);
    const char *version = request->replica.engine_version;
    if (version) measurements.engine_version = version + (*version == 'v' || *version == 'V');
    double fleet = replica->replicas;
    struct load_point point = {
        .load = (enum load)request->load,
        .concurrency = request->replica.concurrency / fleet,
        .batch_size = request->batch_size,
        .requests_per_second = request->requests_per_second / fleet,
        .arrival_cv2 = request->arrival_cv2,
        .percentile = request->percentile,
    };
    roofline_init(&roofline, &replica->deployment, &replica->memory, request->replica.input_tokens,
                  request->replica.output_tokens);
    evidence_find(&measurements, &roofline, &evidence);
    performance_predict(&roofline, &point, ret_performance);
    point = evidence_load(&point, ret_performance);
    *ret_provenance = evidence_provenance(&roofline, &point, 1);
}

static enum status check_runs(struct call *call, const struct replica *replica)
{
    if (replica->deployment.gpu_layers && replica->deployment.gpu_layers <= replica->deployment.model->layers) {
        return problems_add(
            call->problems, STATUS_UNSUPPORTED_COMBINATION, "serving.gpu_layers",
            "the speed of layers on a CPU is not known here: leave it out, or ask for the memory alone");
    }
    if (replica->memory.fits) return STATUS_OK;
    if (replica->smallest_gpus == 0) {
        return problems_add(call->problems, STATUS_NOT_FEASIBLE, "gpu", "no layout of up to %d %s holds this model",
                            (int)LAYOUT_GPUS_MAX, replica->deployment.gpu->id);
    }
    return problems_add(call->problems, STATUS_NOT_FEASIBLE, "layout.gpu_count",
                        "the model does not fit this layout; the smallest that fits has %u GPUs",
                        replica->smallest_gpus);
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
    struct performance performance;
    struct provenance provenance;
    enum status load_status = resolve_load(call, request);
    enum status status = replica_resolve(call, &request->replica, &replica);
    if (status != STATUS_OK || load_status != STATUS_OK) return problems_status(call->problems);
    status = check_runs(call, &replica);
    if (status != STATUS_OK) return status;
    predict(call, request, &replica, &performance, &provenance);
    status = check_predicted(call, replica.deployment.gpu, &performance);
    if (status == STATUS_OK) status = api_answer_id(call, &operation_throughput, request);
    if (status != STATUS_OK) return status;
    api_put_head(call, call->snapshot->as_of);
    api_put_model(call->out, &replica.model);
    replica_put(call->out, &replica);
    put_performance(call->out, &performance, replica.replicas);
    api_put_provenance(call->out, replica.deployment.engine, &provenance);
    return STATUS_OK;
}

static enum status run(struct call *call)
{
    struct throughput_request request;
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    if (status != STATUS_OK) return replica_refuse(call, &request.replica, status);
    if (isnan(request.arrival_cv2)) request.arrival_cv2 = 1;
    if (isnan(request.percentile)) request.percentile = 95;
    out_object(call->out, NULL);
    status = answer(call, &request);
    input_encode(call->out, "request", fields, FIELD_COUNT, &request);
    out_object_end(call->out);
    return status;
}

static const char *const examples[] = {
    "gpusize throughput --model meta-llama/Llama-3.1-70B-Instruct --gpu h100-sxm --tensor-parallel 4",
    "gpusize throughput --model meta-llama/Llama-3.1-8B-Instruct --gpu l40s --concurrency 32",
    "gpusize throughput --model 70B --gpu mi300x --requests-per-second 2 --percentile 99",
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
