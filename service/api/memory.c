/* memory.c owns the operation memory: what a model takes on each GPU, and whether it fits. */
#include "api/quantisation.h"
#include "sizing/recommend.h"

struct memory_request {
    struct replica_request replica; /* first: REPLICA_FIELDS */
    int64_t estimator;
};

static const struct field fields[] = {
    REPLICA_FIELDS,
    {.name = "estimator",
     .group = "",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct memory_request, estimator),
     .names = estimator_names,
     .preset = "roofline",
     .help = "article reproduces the arithmetic of the article that the service grew out of."},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

static void put_answer(struct call *call, const struct memory_request *request, const struct replica *replica)
{
    const struct memory *memory = &replica->memory;
    const struct replica_request *asked = &request->replica;
    double sequences = ceil(asked->concurrency / replica->replicas);
    double needed = sequences * memory_sequence_bytes(&replica->deployment, asked->input_tokens + asked->output_tokens);
    struct out *out = call->out;
    api_put_head(call, call->snapshot->as_of);
    api_put_model(out, &replica->model);
    replica_put(out, replica, NULL, 0);
    out_bool(out, "fits", memory->fits && needed <= memory->kv_pool_bytes);
    api_put_memory(out, "memory", memory, needed);
    api_put_number(out, "kv_bytes_per_token", memory->kv_bytes_per_token);
    api_put_number(out, "draft_kv_bytes_per_token", memory->draft_kv_bytes_per_token);
    api_put_number(out, "state_bytes_per_sequence", memory->state_bytes_per_sequence);
    out_integer(out, "kv_pool_tokens", (int64_t)memory->kv_pool_tokens);
    api_put_gib(out, "physical_gib", memory->physical_bytes);
    api_put_number(out, "max_concurrency", memory->max_concurrency);
    out_integer(out, "max_context_tokens", memory->max_context_tokens);
    out_integer(out, "min_gpu_count", replica->smallest_gpus ? (int64_t)replica->smallest_gpus : VALUE_ABSENT);
    quantisation_put(call, asked, replica);
}

/* The article's arithmetic: parameters × bits / 8 / 2^30, with the nominal bits of the format, to two decimals. */
static double article_gib(double parameters, enum dtype dtype)
{
    return nearbyint(parameters * floor(dtype_bits(dtype)) / 8 / GIB * 100) / 100;
}

/* The article's FourBitLinear, two weights a byte, with the scale and the zero point in fp32 that it keeps of each
 * output: of a square layer of this model by its calculate_memory_savings. (As written it keeps a whole int64 for two
 * weights, and PyTorch refuses such a parameter.) */
static void put_four_bit_linear(struct out *out, const struct model *model)
{
    double inputs = model->hidden_size, output_bytes = inputs / 2 + 2 * sizeof(float);
    out_object(out, "four_bit_linear");
    out_number(out, "in_features", inputs);
    quantisation_put_savings(out, output_bytes, 2 * inputs);
    out_object_end(out);
}

static const char *const article_assumptions[] = {
    "The article's arithmetic, kept for comparison: of the question only the model and weight_dtype are read.",
};

static void put_article(struct call *call, const struct api_model *model, enum dtype asked)
{
    static const enum dtype shown[] = {DTYPE_FP32, DTYPE_FP16, DTYPE_INT8, DTYPE_INT4};
    struct out *out = call->out;
    double parameters = model->facts.parameters;
    api_put_head(call, call->snapshot->as_of);
    api_put_model(out, model);
    out_text(out, "estimator", estimator_names[ESTIMATOR_ARTICLE]);
    out_text(out, "weight_dtype", dtype_name(asked));
    out_number(out, "weights_gib", article_gib(parameters, asked));
    out_array(out, "by_dtype");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        out_object(out, NULL);
        out_text(out, "weight_dtype", dtype_name(shown[i]));
        out_number(out, "weights_total_gib", article_gib(parameters, shown[i]));
        quantisation_put_savings(out, floor(dtype_bits(shown[i])), dtype_bits(DTYPE_FP16));
        out_object_end(out);
    }
    out_array_end(out);
    put_four_bit_linear(out, &model->facts);
    api_put_texts(out, "assumptions", article_assumptions, sizeof article_assumptions / sizeof *article_assumptions);
}

static enum status run_article(struct call *call, struct memory_request *request)
{
    struct api_model model;
    enum dtype dtype = DTYPE_UNKNOWN;
    enum status model_status = api_model_resolve(call, &request->replica.model, &model);
    enum status dtype_status = api_dtype_resolve(call, "serving.weight_dtype", request->replica.weight_dtype, &dtype);
    if (model_status != STATUS_OK || dtype_status != STATUS_OK) return problems_status(call->problems);
    if (dtype == DTYPE_UNKNOWN) dtype = DTYPE_FP16; /* the article's default of 16 bits */
    if (request->replica.model.name && !model.assumed) request->replica.model.name = model.facts.id;
    request->replica.weight_dtype = dtype_name(dtype);
    enum status status = api_answer_id(call, &operation_memory, request);
    if (status == STATUS_OK) put_article(call, &model, dtype);
    return status;
}

static enum status run_roofline(struct call *call, struct memory_request *request)
{
    struct replica replica;
    if (isnan(request->replica.concurrency)) request->replica.concurrency = 1;
    enum status status = replica_resolve(call, &request->replica, &replica);
    if (status == STATUS_OK) status = api_answer_id(call, &operation_memory, request);
    if (status == STATUS_OK) put_answer(call, request, &replica);
    return status;
}

static enum status run(struct call *call)
{
    struct memory_request request;
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    if (status != STATUS_OK) return replica_refuse(call, &request.replica, status);
    if (request.estimator == VALUE_ABSENT) request.estimator = ESTIMATOR_ROOFLINE;
    out_object(call->out, NULL);
    status = request.estimator == ESTIMATOR_ARTICLE ? run_article(call, &request) : run_roofline(call, &request);
    input_encode(call->out, "request", fields, FIELD_COUNT, &request);
    out_object_end(call->out);
    return status;
}

static const char *const examples[] = {
    "gpusize memory --model meta-llama/Llama-3.1-8B-Instruct --gpu l40s",
    "gpusize memory --model 70B --gpu h100-sxm --weight-dtype fp8 --max-model-len-tokens 32768",
    "gpusize memory --model llama-3.1-8b --gpu l40s --max-loras 8 --max-lora-rank 64",
    "gpusize memory --model llama-3.1-8b --gpu h100-sxm --mig-profile 3g.40gb",
    "gpusize memory --model llama-3.1-8b --gpu b200-sxm --concurrency 16 --format csv --rows by_dtype",
    "gpusize memory --model 7B --estimator article",
    NULL,
};

const struct operation operation_memory = {
    .id = "memory",
    .command = "memory",
    .summary = "Sizes the memory of a model on a GPU as the serving engine allocates it.",
    .fields = fields,
    .field_count = FIELD_COUNT,
    .computes = true,
    .recorded = true,
    .rows = "",
    .tables = "by_dtype",
    .examples = examples,
    .run = run,
};
