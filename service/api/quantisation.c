/* quantisation.c owns the comparison of number formats: what each takes, how fast it is here, what it costs in quality
 * by those who measured it. */
#include "api/quantisation.h"

#include <string.h>
#include <strings.h>

/* The replica with its weights in another format. */
struct variant {
    enum dtype dtype;
    struct deployment deployment;
    struct memory memory;
    bool sized, supported;
    uint32_t smallest_gpus; /* 0: no layout fits */
};

void quantisation_put_savings(struct out *out, double bytes, double plain_bytes)
{
    api_put_number(out, "savings_ratio", 1 - bytes / plain_bytes);
    api_put_number(out, "compression_ratio", plain_bytes / bytes);
}

static bool runs_dtype(const struct call *call, const struct deployment *deployment)
{
    const struct engine_support *support =
        snapshot_find_support(call->snapshot, deployment->engine->engine, deployment->gpu->architecture);
    return support && (support->weight_dtypes & (1U << deployment->weight_dtype));
}

static struct variant variant_of(const struct call *call, const struct replica *replica, enum dtype dtype)
{
    struct variant variant = {.dtype = dtype, .deployment = replica->deployment};
    struct deployment *deployment = &variant.deployment;
    if (dtype != deployment->weight_dtype) deployment->weights_bytes = UNKNOWN;
    deployment->weight_dtype = dtype;
    deployment_default(deployment); /* what was fitted is of a format */
    struct deployment smallest = *deployment;
    variant.sized = memory_size(deployment, &variant.memory) == STATUS_OK;
    if (replica_smallest_layout(&smallest, 0, 0)) variant.smallest_gpus = deployment_gpus(&smallest);
    variant.supported = runs_dtype(call, deployment);
    return variant;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

/* The parts of a size that the caller knows are in the proportions of the counted ones. */
static void put_bytes(struct out *out, const struct variant *variant)
{
    const struct model *model = variant->deployment.model;
    struct weights_split split = memory_weights_split(model, variant->dtype);
    double counted = memory_weights_total_bytes(model, variant->dtype);
    double bytes = is_known(variant->deployment.weights_bytes) ? variant->deployment.weights_bytes : counted;
    api_put_gib(out, "weights_total_gib", bytes);
    api_put_gib(out, "quantised_gib", split.quantised_bytes * bytes / counted);
    api_put_gib(out, "scales_gib", split.scales_bytes * bytes / counted);
    api_put_gib(out, "unquantised_gib", split.unquantised_bytes * bytes / counted);
    api_put_number(out, "bits_per_weight", 8 * bytes / (model->parameters + model->vision_parameters));
    quantisation_put_savings(out, bytes, memory_weights_total_bytes(model, DTYPE_BF16));
}

/* --- speed -------------------------------------------------------------------------------------------------------- */

/* NULL: nothing stands against a prediction. */
static const char *why_not_run(struct call *call, const struct variant *variant)
{
    const struct deployment *deployment = &variant->deployment;
    if (!variant->supported) {
        return arena_printf(call->arena, "%s does not run %s weights on %s", deployment->engine->engine,
                            dtype_name(variant->dtype), deployment->gpu->architecture);
    }
    if (!variant->sized || !variant->memory.fits) return "does not fit this layout";
    if (deployment->gpu_layers && deployment->gpu_layers <= deployment->model->layers)
        return "the speed of layers on a CPU is not known";
    if (deployment->draft_tokens) return "drafts: /v1/throughput tells, by draft_acceptance_ratio";
    return NULL;
}

/* As /v1/throughput answers for these GPUs at this concurrency. */
static void predict(const struct call *call, const struct replica_request *request, const struct replica *replica,
                    const struct variant *variant, struct performance *ret_performance)
{
    struct traffic traffic = traffic_of_means(request->input_tokens, request->output_tokens);
    const struct load_point load = {.load = LOAD_CONCURRENCY, .concurrency = request->concurrency / replica->replicas};
    struct roofline roofline;
    struct evidence evidence;
    roofline_init_traffic(&roofline, &variant->deployment, &variant->memory, &traffic);
    replica_find_evidence(call, request, replica, &roofline, &evidence);
    performance_predict(&roofline, &load, ret_performance);
}

static void put_speed(struct call *call, const struct replica_request *request, const struct replica *replica,
                      const struct variant *variant)
{
    struct performance performance = {0};
    const char *why_not = why_not_run(call, variant);
    if (!why_not) predict(call, request, replica, variant, &performance);
    if (!why_not && !is_known(performance.output_tokens_per_second.value))
        why_not = "no source states the memory bandwidth or the 16-bit peak of this GPU";
    if (why_not) performance.output_tokens_per_second = performance.tpot_ms = PREDICTED_UNKNOWN;
    api_put_predicted(call->out, "output_tokens_per_second",
                      predicted_scale(performance.output_tokens_per_second, replica->replicas));
    api_put_predicted(call->out, "tpot_ms", performance.tpot_ms);
    out_text(call->out, "speed_unknown_because", why_not);
}

/* --- quality ------------------------------------------------------------------------------------------------------ */

static bool is_of(const struct quality *quality, const struct replica *replica)
{
    return replica->model.id && strcasecmp(quality->model, replica->model.id) == 0;
}

static void put_quality(struct out *out, const struct quality *quality, bool of_this_model)
{
    out_object(out, NULL);
    out_text(out, "model", quality->model);
    out_bool(out, "of_this_model", of_this_model);
    out_text(out, "recipe", quality->recipe);
    out_text(out, "metric", quality_metric_name(quality->metric));
    out_number(out, "value", quality->value);
    out_number(out, "baseline", quality->baseline);
    out_text(out, "source", quality->source);
    out_date(out, "as_of", quality->as_of);
    out_object_end(out);
}

/* `first` NULL: nothing to tell. */
static const char *quality_note(const struct call *call, const struct replica *replica, const struct quality *first,
                                bool published)
{
    if (!first) return published ? "as published" : NULL;
    const char *other = is_of(first, replica) ? "" : "another model: ";
    return arena_printf(call->arena, "%s %.6g, 16 bit %.6g (%s%s)", quality_metric_name(first->metric), first->value,
                        first->baseline, other, first->model);
}

/* Figures of this model first. Figures of another one are told as such, and not of a format that the model is made for:
 * none is carried over. */
static void put_qualities(struct call *call, const struct replica *replica, enum dtype dtype)
{
    bool published = dtype == replica->model.facts.native_dtype;
    size_t count = 0;
    const struct quality *qualities = snapshot_qualities(call->snapshot, dtype, &count), *first = NULL;
    out_array(call->out, "quality");
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            bool own = is_of(&qualities[i], replica);
            if (own != (pass == 0) || (published && !own)) continue;
            if (!first) first = &qualities[i];
            put_quality(call->out, &qualities[i], own);
        }
    }
    out_array_end(call->out);
    out_text(call->out, "quality_note", quality_note(call, replica, first, published));
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static void put_row(struct call *call, const struct replica_request *request, const struct replica *replica,
                    enum dtype dtype)
{
    struct variant variant = variant_of(call, replica, dtype);
    const struct memory *memory = &variant.memory;
    struct out *out = call->out;
    out_object(out, NULL);
    out_text(out, "weight_dtype", dtype_name(dtype));
    out_bool(out, "published", dtype == variant.deployment.model->native_dtype);
    put_bytes(out, &variant);
    out_bool(out, "supported", variant.supported);
    out_bool(out, "fits", variant.sized && memory->fits);
    api_put_number(out, "max_concurrency", variant.sized ? memory->max_concurrency : UNKNOWN);
    out_integer(out, "max_context_tokens", variant.sized ? (int64_t)memory->max_context_tokens : VALUE_ABSENT);
    out_integer(out, "min_gpu_count", variant.smallest_gpus ? (int64_t)variant.smallest_gpus : VALUE_ABSENT);
    put_speed(call, request, replica, &variant);
    put_qualities(call, replica, dtype);
    out_object_end(out);
}

void quantisation_put(struct call *call, const struct replica_request *request, const struct replica *replica)
{
    out_array(call->out, "by_dtype");
    for (enum dtype dtype = DTYPE_UNKNOWN + 1; dtype < DTYPE_COUNT; dtype++)
        put_row(call, request, replica, dtype);
    out_array_end(call->out);
}
