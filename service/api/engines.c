/* engines.c owns the operation engines: serving engines, their fitted coefficients, and what runs on what. */
#include "api/page.h"

#include <string.h>

struct engines_request {
    const char *id;
};

static const struct field fields[] = {LIST_FIELD_ID(struct engines_request)};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

static void put_coefficients(struct out *out, const struct engine_coefs *coefs)
{
    out_object(out, "coefficients");
    for (size_t i = 0; i < coef_count; i++) {
        double value = 0;
        memcpy(&value, (const char *)coefs + coef_infos[i].offset, sizeof value);
        out_number(out, coef_infos[i].name, value);
    }
    out_object_end(out);
}

static void put_profile(struct out *out, const struct engine_profile *profile)
{
    out_object(out, NULL);
    out_text(out, "engine", profile->engine);
    out_text(out, "version_from", profile->version_from);
    out_text(out, "version_to", *profile->version_to ? profile->version_to : NULL);
    put_coefficients(out, &profile->coef);
    out_text(out, "source", profile->source);
    out_date(out, "as_of", profile->as_of);
    out_object_end(out);
}

static void put_support(struct out *out, const struct engine_support *support)
{
    out_object(out, NULL);
    out_text(out, "engine", support->engine);
    out_text(out, "architecture", support->architecture);
    out_array(out, "weight_dtypes");
    for (enum dtype dtype = DTYPE_UNKNOWN + 1; dtype < DTYPE_COUNT; dtype++) {
        if (support->weight_dtypes & (1U << dtype)) out_text(out, NULL, dtype_name(dtype));
    }
    out_array_end(out);
    out_bool(out, "fp8_kv", support->fp8_kv);
    out_text(out, "source", support->source);
    out_date(out, "as_of", support->as_of);
    out_object_end(out);
}

static void put_meanings(struct out *out)
{
    out_array(out, "coefficients");
    for (size_t i = 0; i < coef_count; i++) {
        out_object(out, NULL);
        out_text(out, "name", coef_infos[i].name);
        out_text(out, "unit", coef_infos[i].unit);
        out_text(out, "meaning", coef_infos[i].meaning);
        out_object_end(out);
    }
    out_array_end(out);
}

static void put_answer(struct call *call, const char *engine)
{
    const struct snapshot *snapshot = call->snapshot;
    struct out *out = call->out;
    out_object(out, NULL);
    api_put_head(call, snapshot->as_of);
    out_array(out, "profiles");
    for (size_t i = 0; i < snapshot->profile_count; i++) {
        const struct engine_profile *profile = &snapshot->profiles[i];
        if (!engine || strcmp(profile->engine, engine) == 0) put_profile(out, profile);
    }
    out_array_end(out);
    out_array(out, "supports");
    for (size_t i = 0; i < snapshot->support_count; i++) {
        const struct engine_support *support = &snapshot->supports[i];
        if (!engine || strcmp(support->engine, engine) == 0) put_support(out, support);
    }
    out_array_end(out);
    put_meanings(out);
    out_object_end(out);
}

static enum status run(struct call *call)
{
    struct engines_request request;
    const struct engine_profile *profile = NULL;
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    if (status == STATUS_OK && request.id) {
        status = snapshot_find_profile(call->snapshot, request.id, NULL, "id", call->problems, &profile);
    }
    if (profile) request.id = profile->engine;
    if (status == STATUS_OK) status = api_answer_id(call, &operation_engines, &request);
    if (status == STATUS_OK) put_answer(call, request.id);
    return status;
}

static const char *const examples[] = {
    "gpusize engines",
    "gpusize engines --id tensorrt-llm --json",
    NULL,
};

const struct operation operation_engines = {
    .id = "engines",
    .command = "engines",
    .summary = "Lists serving engines: coefficients per version, and which GPUs and number formats they run.",
    .fields = fields,
    .field_count = FIELD_COUNT,
    .computes = true, /* a long list takes milliseconds to write */
    .rows = "profiles",
    .examples = examples,
    .run = run,
};
