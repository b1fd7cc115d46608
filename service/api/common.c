/* common.c owns the resolution of shared fields and the shared parts of answers. */
#include "api/common.h"
#include "catalog/text.h"
#include "hf/hf_config.h"
#include "hf/hf_weights.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* "70B" where a name could stand is a size: no model has a bare number for an id. */
static bool name_is_size(const char *name, double *ret_parameters)
{
    enum { LEAST_PARAMETERS = 1000000 };
    double parameters = 0;
    if (!text_parse_count(name, &parameters) || parameters < LEAST_PARAMETERS || parameters > 1e15) return false;
    *ret_parameters = parameters;
    return true;
}

static enum status resolve_named(struct call *call, const char *name, struct model *ret_model)
{
    const struct model *found = NULL;
    enum status status = snapshot_find_model(call->snapshot, ALIAS_USER, name, "model", call->problems, &found);
    if (status == STATUS_OK) *ret_model = *found;
    return status;
}

/* Only a size is known: 16-bit weights, and the shape that models of this size usually have. */
static void resolve_size(double parameters, struct model *ret_model)
{
    *ret_model = (struct model){.id = "",
                                .family = "",
                                .architecture = "",
                                .parameters = parameters,
                                .active_parameters = parameters,
                                .native_dtype = DTYPE_BF16,
                                .license = "",
                                .source = "",
                                .note = "",
                                .as_of = DATE_UNKNOWN};
    model_assume_architecture(ret_model);
}

/* Of ternary weights, and of 32 bits with something beside them. */
#define WEIGHT_BITS_MIN 1.5
#define WEIGHT_BITS_MAX 40.0

/* What the tensors say replaces what the shapes do. */
static enum status resolve_weights(struct call *call, const struct model_ref *ref, struct api_model *model)
{
    struct hf_weights weights;
    enum status status = hf_safetensors_parse(ref->safetensors_json, strlen(ref->safetensors_json), &model->facts,
                                              call->problems, "model.safetensors_index", &weights);
    if (status != STATUS_OK) return status;
    double bits = weights.total_bytes * 8 / (model->facts.parameters + model->facts.vision_parameters);
    if (bits < WEIGHT_BITS_MIN || bits > WEIGHT_BITS_MAX) {
        return problems_add(
            call->problems, STATUS_CONTRADICTION, "model.safetensors_index",
            "%.3g bits for each weight of the config: the tensors are of another model, or a part of them", bits);
    }
    model->weights_bytes = weights.total_bytes;
    model->facts.stored = weights.stored;
    return STATUS_OK;
}

bool api_model_given(const struct model_ref *ref)
{
    return ref->name || ref->config_json || ref->gguf_json || is_known(ref->parameters) || is_known(ref->weights_gb);
}

enum status api_model_resolve(struct call *call, const struct model_ref *ref, struct api_model *ret_model)
{
    double parameters = ref->parameters;
    bool sized = !ref->name && !ref->config_json && !ref->gguf_json;
    if (ref->name) sized = name_is_size(ref->name, &parameters);
    struct api_model resolved = {.assumed = sized, .weights_bytes = ref->weights_bytes};
    enum status status = STATUS_OK;
    if (sized) {
        if (is_known(ref->weights_gb)) {
            resolved.weights_bytes = ref->weights_gb * GB;
            parameters = resolved.weights_bytes * 8 / dtype_bits(DTYPE_BF16);
        }
        resolve_size(parameters, &resolved.facts);
    } else if (ref->name) {
        status = resolve_named(call, ref->name, &resolved.facts);
        resolved.id = resolved.facts.id;
    } else if (ref->gguf_json) {
        status = hf_gguf_parse(ref->gguf_json, strlen(ref->gguf_json), call->arena, call->problems, "model.gguf_header",
                               &resolved.facts);
    } else {
        status = hf_config_parse(ref->config_json, strlen(ref->config_json), "", call->arena, call->problems,
                                 "model.config", &resolved.facts);
    }
    if (status == STATUS_OK && ref->safetensors_json) status = resolve_weights(call, ref, &resolved);
    if (status == STATUS_OK && resolved.facts.encoder_only) {
        status = problems_add(call->problems, STATUS_UNSUPPORTED_MODEL_KIND, "model",
                              "%s is an encoder: it generates no text", ref->name ? ref->name : "this model");
    }
    if (status == STATUS_OK) *ret_model = resolved;
    return status;
}

enum status api_engine_resolve(struct call *call, const char *engine, const char *version,
                               const struct engine_profile **ret_profile)
{
    const char *name = engine ? engine : "vllm";
    enum status status =
        snapshot_find_profile(call->snapshot, name, NULL, "serving.engine", call->problems, ret_profile);
    if (status != STATUS_OK || !version) return status;
    return snapshot_find_profile(call->snapshot, name, version, "serving.engine_version", call->problems, ret_profile);
}

static const char *dtype_list(struct arena *arena, uint32_t dtypes)
{
    const char *list = "";
    for (enum dtype dtype = DTYPE_UNKNOWN + 1; dtype < DTYPE_COUNT && list; dtype++) {
        if (!(dtypes & (1U << dtype))) continue;
        list = arena_printf(arena, "%s%s%s", list, *list ? ", " : "", dtype_name(dtype));
    }
    return list ? list : "";
}

enum status api_dtype_resolve(struct call *call, const char *field, const char *name, enum dtype *ret_dtype)
{
    enum dtype dtype = DTYPE_UNKNOWN;
    if (name && strcmp(name, "native") != 0 && strcmp(name, "auto") != 0) {
        dtype = dtype_parse(name);
        if (dtype == DTYPE_UNKNOWN) {
            bool method = strcasecmp(name, "awq") == 0 || strcasecmp(name, "gptq") == 0;
            return problems_add(call->problems, STATUS_INVALID_VALUE, field,
                                "there is no number format \"%s\"%s; known: %s", name,
                                method ? ": AWQ and GPTQ are int4" : "", dtype_list(call->arena, UINT32_MAX));
        }
    }
    *ret_dtype = dtype;
    return STATUS_OK;
}

enum status api_lengths_resolve(struct call *call, const struct model *model, double input_tokens, double output_tokens,
                                int64_t *max_model_len_tokens)
{
    const double need = ceil(input_tokens + output_tokens), limit = model->max_position_tokens;
    int64_t length = *max_model_len_tokens;
    if (limit > 0 && need > limit) {
        return problems_add(call->problems, STATUS_CONTEXT_TOO_LONG, "workload.input_tokens",
                            "input plus output is %.0f tokens, and the model's context ends at %.0f", need, limit);
    }
    if (length == VALUE_ABSENT) {
        double usual = limit > 0 && limit < DEFAULT_MODEL_LEN_TOKENS ? limit : DEFAULT_MODEL_LEN_TOKENS;
        length = (int64_t)(need > usual ? need : usual);
    } else if (limit > 0 && (double)length > limit) {
        return problems_add(call->problems, STATUS_CONTEXT_TOO_LONG, "serving.max_model_len_tokens",
                            "the model's context ends at %.0f tokens", limit);
    } else if (need > (double)length) {
        return problems_add(call->problems, STATUS_CONTEXT_TOO_LONG, "workload.input_tokens",
                            "input plus output is %.0f tokens, and the engine is started for %.0f", need,
                            (double)length);
    }
    *max_model_len_tokens = length;
    return STATUS_OK;
}

enum status api_support_check(struct call *call, const struct deployment *deployment)
{
    const char *engine = deployment->engine->engine, *architecture = deployment->gpu->architecture;
    const struct engine_support *support = snapshot_find_support(call->snapshot, engine, architecture);
    if (!support) {
        return problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "gpu", "%s does not run on %s (%s)", engine,
                            deployment->gpu->id, architecture);
    }
    enum status status = STATUS_OK;
    if (!(support->weight_dtypes & (1U << deployment->weight_dtype))) {
        status =
            problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "serving.weight_dtype",
                         "%s does not run %s weights on %s; it runs %s", engine, dtype_name(deployment->weight_dtype),
                         architecture, dtype_list(call->arena, support->weight_dtypes));
    }
    if (!engine_keeps_kv(support, deployment->kv_dtype)) {
        status = problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "serving.kv_dtype",
                              "%s does not keep a KV cache in %s on %s", engine, dtype_name(deployment->kv_dtype),
                              architecture);
    }
    return status;
}

enum status api_version_number(struct call *call, int64_t *ret_number)
{
    const char *version = call->snapshot->version, *colon = strrchr(version, ':');
    if (colon && text_parse_int64(colon + 1, ret_number)) return STATUS_OK;
    return problems_add(call->problems, STATUS_INTERNAL, "", "version %s is no version of a database", version);
}

enum status api_answer_id(struct call *call, const struct operation *operation, const void *request)
{
    struct out canonical;
    out_init(&canonical, 0);
    out_object(&canonical, NULL);
    out_text(&canonical, "operation", operation->id);
    out_text(&canonical, "catalog_version", call->snapshot->version);
    out_text(&canonical, "estimator_version", ESTIMATOR_VERSION);
    input_encode(&canonical, "request", operation->fields, operation->field_count, request);
    out_object_end(&canonical);
    bool failed = canonical.failed;
    if (!failed) {
        unsigned char hash[(sizeof call->id - 1) / 2];
        (void)crypto_generichash(hash, sizeof hash, (const unsigned char *)canonical.data, canonical.length, NULL, 0);
        (void)sodium_bin2hex(call->id, sizeof call->id, hash, sizeof hash);
    }
    out_done(&canonical);
    return failed ? problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the request") : STATUS_OK;
}

void api_put_head(struct call *call, date_t as_of)
{
    out_text(call->out, "id", call->id);
    out_text(call->out, "catalog_version", call->snapshot->version);
    out_text(call->out, "estimator_version", ESTIMATOR_VERSION);
    out_date(call->out, "as_of", as_of);
}

void api_put_number(struct out *out, const char *key, double value)
{
    out_number(out, key, round6(value));
}

void api_put_gib(struct out *out, const char *key, double bytes)
{
    api_put_number(out, key, bytes / GIB);
}

void api_put_model(struct out *out, const struct api_model *model)
{
    const struct model *facts = &model->facts;
    out_object(out, "model");
    out_text(out, "id", model->id);
    out_number(out, "parameters", facts->parameters);
    out_number(out, "active_parameters", facts->active_parameters);
    out_integer(out, "layers", facts->layers);
    out_text(out, "attention_kind", attention_kind_name(facts->attention_kind));
    out_text(out, "native_dtype", facts->native_dtype == DTYPE_UNKNOWN ? NULL : dtype_name(facts->native_dtype));
    out_bool(out, "architecture_assumed", model->assumed);
    out_object_end(out);
}

void api_put_predicted(struct out *out, const char *key, struct predicted quantity)
{
    bool distributed = is_known(quantity.low) && is_known(quantity.high);
    out_object(out, key);
    api_put_number(out, "value", quantity.value);
    api_put_number(out, "low", quantity.low);
    api_put_number(out, "high", quantity.high);
    api_put_number(out, "coverage_ratio", quantity.coverage_ratio);
    out_text(out, "basis", distributed ? basis_name(quantity.basis) : NULL);
    out_object_end(out);
}

static void put_measurement(struct out *out, const struct provenance_row *row)
{
    const struct measurement *measurement = row->measurement;
    out_object(out, NULL);
    out_text(out, "source", measurement->source);
    out_text(out, "uid", measurement->uid);
    out_date(out, "as_of", measurement->as_of);
    out_text(out, "engine_version", *measurement->engine_version ? measurement->engine_version : NULL);
    out_bool(out, "own", measurement->own);
    out_text(out, "load", measured_load_name(measurement->load));
    out_number(out, "concurrency", measurement->load == MEASURED_SATURATED ? UNKNOWN : measurement->concurrency);
    out_number(out, "input_tokens", measurement->input_tokens);
    out_number(out, "output_tokens", measurement->output_tokens);
    out_integer(out, "repeats", row->repeats);
    api_put_number(out, "weight_ratio", row->weight);
    api_put_number(out, "measured_ratio", row->ratio);
    out_object_end(out);
}

static void put_fit(struct out *out, const struct engine_fit *fit)
{
    if (!fit) {
        out_null(out, "fit");
        return;
    }
    out_object(out, "fit");
    out_text(out, "load", fit_load_name(fit->load));
    out_text(out, "gpu", fit->gpu);
    out_text(out, "family", fit->family);
    out_text(out, "weight_dtype", dtype_name(fit->weight_dtype));
    out_integer(out, "rows", (int64_t)fit->rows);
    out_number(out, "time_ratio", fit->time_ratio);
    out_object_end(out);
}

static void put_kin(struct out *out, const struct engine_kin *kin, const char *architecture)
{
    if (!(kin->rows > 0)) {
        out_null(out, "kin");
        return;
    }
    out_object(out, "kin");
    out_text(out, "architecture", architecture);
    out_integer(out, "rows", (int64_t)kin->rows);
    api_put_number(out, "time_ratio", kin->time_ratio);
    out_object_end(out);
}

static void put_calibration(struct out *out, const struct calibration *calibration)
{
    static const char *const names[KERNEL_FIGURE_COUNT] = {
        "memory_ratio",       "kv_ratio",   "product_16bit_ratio", "product_8bit_ratio",
        "product_4bit_ratio", "link_ratio", "allreduce_us"};
    if (!calibration) {
        out_null(out, "calibration");
        return;
    }
    out_object(out, "calibration");
    out_text(out, "id", calibration->id);
    out_text(out, "pool", calibration->pool);
    out_text(out, "driver", *calibration->driver ? calibration->driver : NULL);
    out_date(out, "as_of", calibration->as_of);
    out_text(out, "source", calibration->source);
    for (enum kernel_figure figure = 0; figure < KERNEL_FIGURE_COUNT; figure++)
        api_put_number(out, names[figure], calibration_figure(calibration, figure));
    out_object_end(out);
}

void api_put_provenance(struct out *out, const struct deployment *deployment, const struct performance *performance,
                        const struct provenance *provenance)
{
    const struct engine_profile *profile = deployment->engine;
    out_object(out, "provenance");
    out_object(out, "engine_profile");
    out_text(out, "engine", profile->engine);
    out_text(out, "version_from", profile->version_from);
    out_text(out, "version_to", *profile->version_to ? profile->version_to : NULL);
    out_date(out, "as_of", profile->as_of);
    out_text(out, "source", profile->source);
    out_object_end(out);
    put_fit(out, performance->fit);
    put_kin(out, &performance->kin, deployment->gpu->architecture);
    put_calibration(out, deployment->calibration);
    out_integer(out, "measurements_used", provenance ? (int64_t)provenance->measurements : 0);
    out_integer(out, "measurements_implausible", provenance ? (int64_t)provenance->implausible : 0);
    out_array(out, "measurements");
    for (size_t i = 0; provenance && i < provenance->row_count; i++)
        put_measurement(out, &provenance->rows[i]);
    out_array_end(out);
    out_object_end(out);
}

void api_put_percentiles(struct out *out, const struct performance *performance)
{
    if (!performance->has_percentiles) {
        out_null(out, "percentiles");
        return;
    }
    out_object(out, "percentiles");
    for (int i = 0; i < PERCENTILE_COUNT; i++) {
        const struct latencies *latencies = &performance->percentiles[i];
        out_object(out, percentile_names[i]);
        api_put_predicted(out, "ttft_ms", latencies->ttft_ms);
        api_put_predicted(out, "tpot_ms", latencies->tpot_ms);
        api_put_predicted(out, "e2e_ms", latencies->e2e_ms);
        out_object_end(out);
    }
    out_object_end(out);
}

void api_put_energy(struct out *out, const struct performance *performance)
{
    struct predicted tokens_per_joule = performance_tokens_per_joule(performance);
    api_put_predicted(out, "power_watts", performance_power_watts(performance));
    api_put_predicted(out, "tokens_per_joule", tokens_per_joule);
    api_put_predicted(out, "joules_per_token", predicted_invert(tokens_per_joule, 1));
}

void api_put_memory(struct out *out, const char *key, const struct memory *memory, double kv_needed_bytes)
{
    out_object(out, key);
    api_put_gib(out, "weights_gib", memory->weights_bytes);
    api_put_gib(out, "lora_gib", memory->lora_bytes);
    api_put_gib(out, "draft_gib", memory->draft_bytes);
    api_put_gib(out, "activations_gib", memory->activations_bytes);
    api_put_gib(out, "overhead_gib", memory->overhead_bytes);
    api_put_gib(out, "kv_cache_gib", kv_needed_bytes);
    api_put_gib(out, "kv_pool_gib", memory->kv_pool_bytes);
    api_put_gib(out, "available_gib", memory->available_bytes);
    api_put_gib(out, "headroom_gib", memory->kv_pool_bytes - kv_needed_bytes);
    api_put_gib(out, "offloaded_gib", memory->offloaded_bytes);
    api_put_number(out, "max_concurrency", memory->max_concurrency);
    out_integer(out, "max_context_tokens", memory->max_context_tokens);
    out_object_end(out);
}

void api_put_texts(struct out *out, const char *key, const char *const *texts, size_t count)
{
    out_array(out, key);
    for (size_t i = 0; i < count; i++)
        out_text(out, NULL, texts[i]);
    out_array_end(out);
}
