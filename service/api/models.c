/* models.c owns the operation models: the models that the catalog knows. */
#include "api/page.h"

struct models_request {
    const char *id, *q;
    struct page_request page;
};

static const struct field fields[] = {
    LIST_FIELD_ID(struct models_request),
    LIST_FIELD_SEARCH(struct models_request),
    PAGE_FIELDS(struct models_request),
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

/* 0 in the catalog means that the architecture has no such thing. */
static void put_count(struct out *out, const char *key, uint32_t count)
{
    out_integer(out, key, count ? (int64_t)count : VALUE_ABSENT);
}

static void put_shape(struct out *out, const struct model *model)
{
    put_count(out, "layers", model->layers);
    put_count(out, "hidden_size", model->hidden_size);
    put_count(out, "attention_heads", model->attention_heads);
    put_count(out, "kv_heads", model->kv_heads);
    put_count(out, "head_dim", model->head_dim);
    put_count(out, "vocabulary_size", model->vocabulary_size);
    put_count(out, "max_position_tokens", model->max_position_tokens);
    out_text(out, "attention_kind", attention_kind_name(model->attention_kind));
    put_count(out, "sliding_window_tokens", model->sliding_window_tokens);
    put_count(out, "kv_lora_rank", model->kv_lora_rank);
    put_count(out, "experts", model->experts);
    put_count(out, "experts_per_token", model->experts_per_token);
}

static void put_model(struct out *out, const struct model *model)
{
    out_object(out, NULL);
    out_text(out, "id", model->id);
    out_text(out, "family", model->family);
    out_text(out, "architecture", model->architecture);
    out_number(out, "parameters", model->parameters);
    out_number(out, "active_parameters", model->active_parameters);
    out_number(out, "vision_parameters", model->vision_parameters > 0 ? model->vision_parameters : UNKNOWN);
    put_shape(out, model);
    out_text(out, "native_dtype", model->native_dtype == DTYPE_UNKNOWN ? NULL : dtype_name(model->native_dtype));
    out_bool(out, "native_multimodal", model->native_multimodal);
    out_bool(out, "encoder_only", model->encoder_only);
    out_text(out, "license", *model->license ? model->license : NULL);
    out_text(out, "source", model->source);
    out_text(out, "note", *model->note ? model->note : NULL);
    out_date(out, "as_of", model->as_of);
    out_number(out, "version", model->version);
    out_object_end(out);
}

static bool matches(const struct models_request *request, const struct model *model, const struct model *wanted)
{
    const char *const texts[] = {model->id, model->family, model->architecture};
    return (!wanted || model == wanted) && page_found(request->q, texts, sizeof texts / sizeof *texts);
}

static enum status answer(struct call *call, struct models_request *request)
{
    const struct snapshot *snapshot = call->snapshot;
    const struct model *wanted = NULL;
    struct page page;
    enum status status = STATUS_OK;
    if (request->id) {
        status = snapshot_find_model(snapshot, ALIAS_USER, request->id, "id", call->problems, &wanted);
    }
    if (status == STATUS_OK) status = page_open(call, &operation_models, request, &request->page, &page);
    if (status != STATUS_OK) return status;
    out_object(call->out, NULL);
    api_put_head(call, snapshot->as_of);
    out_array(call->out, "models");
    for (size_t i = 0; i < snapshot->model_count; i++) {
        const struct model *model = &snapshot->models[i];
        if (matches(request, model, wanted) && page_shows(&page)) put_model(call->out, model);
    }
    out_array_end(call->out);
    page_put_end(call->out, &page);
    out_object_end(call->out);
    return STATUS_OK;
}

static enum status run(struct call *call)
{
    struct models_request request;
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    return status == STATUS_OK ? answer(call, &request) : status;
}

static const char *const examples[] = {
    "gpusize models",
    "gpusize models --q qwen",
    "gpusize models --id meta-llama/Llama-3.1-70B-Instruct --json",
    NULL,
};

const struct operation operation_models = {
    .id = "models",
    .command = "models",
    .summary = "Lists models with their architectures.",
    .fields = fields,
    .field_count = FIELD_COUNT,
    .computes = true, /* a long list takes milliseconds to write */
    .rows = "models",
    .examples = examples,
    .run = run,
};
