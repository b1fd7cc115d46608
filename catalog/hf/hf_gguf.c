/* hf_gguf.c owns the model that the metadata and tensors of a GGUF file make. Keys: llama.cpp, gguf-py constants.py. */
#include "hf/hf_shape.h"
#include "hf/hf_tensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double PARAMETERS_MAX = 1e15;

/* Blocks of a tensor's type (ggml-common.h) by its number (ggml.h, enum ggml_type), and the format of a file that is
 * mostly of a plain one. */
static const struct ggml_type {
    const char *name;
    double block_elements, block_bytes;
    enum dtype dtype;
} ggml_types[] = {
    [0] = {"F32", 1, 4, DTYPE_FP32},
    [1] = {"F16", 1, 2, DTYPE_FP16},
    [2] = {"Q4_0", 32, 18, DTYPE_Q4_0},
    [3] = {"Q4_1", 32, 20, DTYPE_UNKNOWN},
    [6] = {"Q5_0", 32, 22, DTYPE_Q5_0},
    [7] = {"Q5_1", 32, 24, DTYPE_UNKNOWN},
    [8] = {"Q8_0", 32, 34, DTYPE_Q8_0},
    [9] = {"Q8_1", 32, 36, DTYPE_UNKNOWN},
    [10] = {"Q2_K", 256, 84, DTYPE_UNKNOWN},
    [11] = {"Q3_K", 256, 110, DTYPE_UNKNOWN},
    [12] = {"Q4_K", 256, 144, DTYPE_UNKNOWN},
    [13] = {"Q5_K", 256, 176, DTYPE_UNKNOWN},
    [14] = {"Q6_K", 256, 210, DTYPE_Q6_K},
    [15] = {"Q8_K", 256, 292, DTYPE_UNKNOWN},
    [16] = {"IQ2_XXS", 256, 66, DTYPE_UNKNOWN},
    [17] = {"IQ2_XS", 256, 74, DTYPE_UNKNOWN},
    [18] = {"IQ3_XXS", 256, 98, DTYPE_UNKNOWN},
    [19] = {"IQ1_S", 256, 50, DTYPE_UNKNOWN},
    [20] = {"IQ4_NL", 32, 18, DTYPE_IQ4_NL},
    [21] = {"IQ3_S", 256, 110, DTYPE_UNKNOWN},
    [22] = {"IQ2_S", 256, 82, DTYPE_UNKNOWN},
    [23] = {"IQ4_XS", 256, 136, DTYPE_IQ4_XS},
    [24] = {"I8", 1, 1, DTYPE_UNKNOWN},
    [25] = {"I16", 1, 2, DTYPE_UNKNOWN},
    [26] = {"I32", 1, 4, DTYPE_UNKNOWN},
    [27] = {"I64", 1, 8, DTYPE_UNKNOWN},
    [28] = {"F64", 1, 8, DTYPE_UNKNOWN},
    [29] = {"IQ1_M", 256, 56, DTYPE_UNKNOWN},
    [30] = {"BF16", 1, 2, DTYPE_BF16},
    [34] = {"TQ1_0", 256, 54, DTYPE_UNKNOWN},
    [35] = {"TQ2_0", 256, 66, DTYPE_UNKNOWN},
    [39] = {"MXFP4", 32, 17, DTYPE_MXFP4},
};
enum { TYPE_COUNT = sizeof ggml_types / sizeof *ggml_types };

const char *hf_ggml_type_name(uint64_t number)
{
    return number < TYPE_COUNT ? ggml_types[number].name : NULL;
}

struct gguf {
    json_t *metadata, *tensors; /* borrowed */
    const char *architecture;
    struct arena *arena;
    struct problems *problems;
    const char *field;
};

static enum status refuse(const struct gguf *gguf, const char *key, const char *detail)
{
    const char *path = arena_printf(gguf->arena, "%s.metadata.%s", gguf->field, key);
    if (!path || !detail) return problems_add(gguf->problems, STATUS_OUT_OF_MEMORY, gguf->field, "no memory");
    return problems_add(gguf->problems, STATUS_MALFORMED_CONFIG, path, "%s", detail);
}

enum { ARCHITECTURE_MAX_BYTES = 64, KEY_BYTES = 128 };

/* A key of the architecture; NULL if the file does not have it. */
static const json_t *value_of(const struct gguf *gguf, const char *key)
{
    char name[KEY_BYTES];
    (void)snprintf(name, sizeof name, "%s.%s", gguf->architecture, key);
    return json_object_get(gguf->metadata, name);
}

/* A list for each layer gives its largest entry. 0: not stated. */
static double number(const struct gguf *gguf, const char *key)
{
    const json_t *value = value_of(gguf, key);
    double most = json_is_number(value) ? json_number_value(value) : 0;
    for (size_t i = 0; i < json_array_size(value); i++)
        most = fmax(most, json_number_value(json_array_get(value, i)));
    return most;
}

static const json_t *list(const struct gguf *gguf, const char *key)
{
    const json_t *value = value_of(gguf, key);
    return json_is_array(value) ? value : NULL;
}

/* Every number that is read, with what is believed; those at the top must be there. */
#define SIZE(key, member, least, most)                                                                                 \
    {                                                                                                                  \
        key, offsetof(struct model, member), least, most                                                               \
    }
static const struct size_rule {
    const char *key;
    size_t member; /* uint32_t */
    double least, most;
} size_rules[] = {
    SIZE("block_count", layers, 1, HF_LAYERS_MAX),
    SIZE("embedding_length", hidden_size, 1, 1 << 20),
    SIZE("attention.head_count", attention_heads, 0, 1 << 14),
    SIZE("attention.head_count_kv", kv_heads, 0, 1 << 14),
    SIZE("attention.key_length", head_dim, 0, 1 << 14),
    SIZE("feed_forward_length", intermediate_size, 0, 1 << 24),
    SIZE("context_length", max_position_tokens, 0, INT32_MAX),
    SIZE("attention.sliding_window", sliding_window_tokens, 0, INT32_MAX),
    SIZE("attention.kv_lora_rank", kv_lora_rank, 0, 1 << 20),
    SIZE("attention.q_lora_rank", q_lora_rank, 0, 1 << 20),
    SIZE("expert_count", experts, 0, 1 << 16),
    SIZE("expert_used_count", experts_per_token, 0, 1 << 16),
    SIZE("expert_shared_count", shared_experts, 0, 1 << 12),
    SIZE("expert_feed_forward_length", moe_intermediate_size, 0, 1 << 24),
    SIZE("expert_shared_feed_forward_length", shared_expert_intermediate_size, 0, 1 << 24),
    SIZE("leading_dense_block_count", dense_layers, 0, HF_LAYERS_MAX),
    SIZE("nextn_predict_layers", mtp_layers, 0, 16),
    SIZE("attention.indexer.key_length", index_head_dim, 0, 1 << 14),
    SIZE("attention.indexer.head_count", index_heads, 0, 1 << 14),
    SIZE("attention.indexer.top_k", index_topk, 0, INT32_MAX),
};

static enum status read_sizes(const struct gguf *gguf, struct model *model)
{
    for (size_t i = 0; i < sizeof size_rules / sizeof *size_rules; i++) {
        const struct size_rule *rule = &size_rules[i];
        double value = number(gguf, rule->key);
        const char *key = arena_printf(gguf->arena, "%s.%s", gguf->architecture, rule->key);
        if (!(value >= rule->least && value <= rule->most) || value != floor(value)) {
            return refuse(
                gguf, key ? key : rule->key,
                arena_printf(gguf->arena, "must be a whole number from %.0f to %.0f", rule->least, rule->most));
        }
        *(uint32_t *)(void *)((char *)model + rule->member) = (uint32_t)value;
    }
    if (model->mtp_layers >= model->layers) return refuse(gguf, "block_count", "no layer besides those that predict");
    model->layers -= model->mtp_layers; /* block_count holds them too */
    if (model->dense_layers > model->layers) model->dense_layers = model->layers;
    if (model->experts_per_token > model->experts) return refuse(gguf, "expert_used_count", "more than expert_count");
    return STATUS_OK;
}

/* Heads that the file leaves out: as many as there are, of equal parts of the width. */
static enum status settle_heads(const struct gguf *gguf, struct model *model)
{
    if (model->attention_heads == 0) return STATUS_OK;
    if (model->kv_heads == 0) model->kv_heads = model->attention_heads;
    if (model->head_dim == 0) model->head_dim = model->hidden_size / model->attention_heads;
    if (model->attention_heads % model->kv_heads != 0)
        return refuse(gguf, "attention.head_count_kv", "does not divide attention.head_count");
    if (!model->kv_lora_rank) return STATUS_OK;
    double rotary = number(gguf, "rope.dimension_count"), whole = number(gguf, "attention.key_length_mla");
    double value = number(gguf, "attention.value_length_mla");
    if (!(whole > 0)) whole = number(gguf, "attention.key_length"); /* of files before the latent was cached */
    if (!(value > 0)) value = number(gguf, "attention.value_length");
    if (!(rotary >= 1 && whole > rotary && whole <= 1 << 14 && value >= 1 && value <= 1 << 14))
        return refuse(gguf, "attention.key_length_mla",
                      "latent attention needs its key and value lengths and the "
                      "rotary part of them, rope.dimension_count");
    model->qk_rope_head_dim = (uint32_t)rotary;
    model->qk_nope_head_dim = (uint32_t)(whole - rotary);
    model->v_head_dim = (uint32_t)value;
    model->head_dim = (uint32_t)whole;
    model->kv_heads = model->attention_heads; /* the file counts the latent as one head */
    return STATUS_OK;
}

/* Every n-th layer is full where the file has only the window or the state (llama.cpp src/llama-model.cpp). */
static const struct period {
    const char *architecture;
    uint32_t sliding, linear, window_tokens; /* 0: none; window 0: the file states it */
} periods[] = {
    {"gemma2", 2, 0, 0},    {"gemma3", 6, 0, 0},    {"gpt-oss", 2, 0, 0}, {"cohere2", 4, 0, 0},
    {"llama4", 4, 0, 8192}, {"qwen3next", 0, 4, 0}, {"qwen35", 0, 4, 0},  {"qwen35moe", 0, 4, 0},
};

static const struct period *period_of(const char *architecture)
{
    static const struct period none = {"", 0, 0, 0};
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++) {
        if (strcmp(periods[i].architecture, architecture) == 0) return &periods[i];
    }
    return &none;
}

static bool is_true(const json_t *value)
{
    return json_is_true(value) || (json_is_number(value) && json_number_value(value) != 0);
}

/* What no rule limits, and is no size of its own: what is negative counts as not stated. */
static double amount(const struct gguf *gguf, const char *key)
{
    return fmax(number(gguf, key), 0);
}

/* Layers by what they cache: a list of KV heads has 0 where a state is kept; windows by a list or a period. */
static void count_layers(const struct gguf *gguf, struct model *model)
{
    const struct period *period = period_of(gguf->architecture);
    const json_t *kv_heads = list(gguf, "attention.head_count_kv");
    const json_t *windows = list(gguf, "attention.sliding_window_pattern");
    uint32_t interval = (uint32_t)fmin(amount(gguf, "full_attention_interval"), HF_LAYERS_MAX);
    uint32_t linear_period = interval ? interval : period->linear;
    bool states = model->attention_heads == 0;
    if (period->window_tokens) model->sliding_window_tokens = period->window_tokens;
    for (uint32_t i = 0; i < model->layers; i++) {
        bool linear = states || (linear_period && (i + 1) % linear_period != 0) ||
                      (kv_heads && json_number_value(json_array_get(kv_heads, i)) == 0);
        bool sliding =
            windows ? is_true(json_array_get(windows, i)) : period->sliding && (i + 1) % period->sliding != 0;
        model->linear_layers += linear;
        model->sliding_layers += !linear && sliding && model->sliding_window_tokens > 0;
    }
    model->chunked = model->sliding_layers > 0 && period->window_tokens > 0;
    model->full_attention_layers = model->layers - model->linear_layers - model->sliding_layers;
    if (model->sliding_layers == 0) model->sliding_window_tokens = 0;
    if (model->linear_layers == 0) return;
    double inner = amount(gguf, "ssm.inner_size"), state = amount(gguf, "ssm.state_size");
    double groups = amount(gguf, "ssm.group_count"), kernel = amount(gguf, "ssm.conv_kernel");
    model->ssm_state_elements = fmin(inner * state, 1e12) * model->linear_layers;
    model->conv_state_elements = fmin(fmax(kernel - 1, 0) * (inner + 2 * groups * state), 1e12) * model->linear_layers;
    model->ssm_state_element_bytes = 4; /* llama.cpp keeps states in 32 bits */
}

static enum attention_kind kind_of(const struct model *model)
{
    if (model->linear_layers == model->layers) return ATTENTION_MAMBA;
    if (model->linear_layers > 0) return ATTENTION_HYBRID_LINEAR;
    if (model->kv_lora_rank > 0) return ATTENTION_MLA;
    if (model->sliding_layers > 0) return ATTENTION_HYBRID_SWA;
    if (model->kv_heads == 1 && model->attention_heads > 1) return ATTENTION_MQA;
    return model->kv_heads == model->attention_heads ? ATTENTION_MHA : ATTENTION_GQA;
}

static const struct ggml_type *find_type(const char *name)
{
    for (size_t i = 0; i < TYPE_COUNT && name; i++) {
        if (ggml_types[i].name && strcmp(ggml_types[i].name, name) == 0) return &ggml_types[i];
    }
    return NULL;
}

/* The format of the whole: the type that most bytes are of if that names one, else the nearest by its bits. */
static enum dtype nearest_dtype(const double type_bytes[TYPE_COUNT], double bits)
{
    size_t most = 0;
    for (size_t i = 1; i < TYPE_COUNT; i++) {
        if (type_bytes[i] > type_bytes[most]) most = i;
    }
    if (ggml_types[most].dtype != DTYPE_UNKNOWN) return ggml_types[most].dtype;
    enum dtype nearest = DTYPE_Q8_0;
    for (enum dtype dtype = DTYPE_Q8_0; dtype < DTYPE_COUNT; dtype++) {
        if (fabs(dtype_bits(dtype) - bits) < fabs(dtype_bits(nearest) - bits)) nearest = dtype;
    }
    return nearest;
}

static enum status sum_tensors(const struct gguf *gguf, struct model *model)
{
    struct stored_weights elements = {0};
    double type_bytes[TYPE_COUNT] = {0};
    const char *name;
    json_t *entry;
    json_object_foreach(gguf->tensors, name, entry)
    {
        const struct ggml_type *type = find_type(json_string_value(json_object_get(entry, "type")));
        const json_t *shape = json_object_get(entry, "shape");
        double count = hf_tensors_elements(shape);
        if (!type || count < 0) {
            return problems_add(gguf->problems, STATUS_MALFORMED_CONFIG, gguf->field,
                                "tensors: \"%.60s\" needs a type of ggml and a shape", name);
        }
        const struct tensor tensor = {name, count, ceil(count / type->block_elements) * type->block_bytes};
        if (strcmp(name, "token_embd.weight") == 0)
            model->vocabulary_size = (uint32_t)fmin(json_number_value(json_array_get(shape, 1)), 1 << 24);
        if (hf_tensors_add(&tensor, model, &model->stored, &elements)) type_bytes[type - ggml_types] += tensor.bytes;
    }
    double total = stored_weights_sum(&elements);
    model->parameters = total - elements.vision;
    model->vision_parameters = elements.vision;
    model->tied_embeddings = elements.head == 0;
    double idle = model->experts > 0 ? 1 - (double)model->experts_per_token / model->experts : 0;
    model->active_parameters = model->parameters - elements.experts * idle;
    if (!(model->parameters >= 1 && total <= PARAMETERS_MAX) || model->vocabulary_size == 0) {
        return problems_add(gguf->problems, STATUS_MALFORMED_CONFIG, gguf->field,
                            "tensors: no token_embd.weight, or no sensible number of weights");
    }
    model->native_dtype = nearest_dtype(type_bytes, 8 * stored_weights_sum(&model->stored) / total);
    return STATUS_OK;
}

/* One file of several holds a part of the tensors. */
static enum status check_whole(const struct gguf *gguf)
{
    if (!(json_number_value(json_object_get(gguf->metadata, "split.count")) > 1)) return STATUS_OK;
    return refuse(gguf, "split.count", "the file is one of several: join them with llama-gguf-split --merge");
}

static enum status name_model(const struct gguf *gguf, struct model *model)
{
    const char *name = json_string_value(json_object_get(gguf->metadata, "general.name"));
    model->id = arena_strdup(gguf->arena, name && *name ? name : "gguf");
    model->family = arena_strdup(gguf->arena, gguf->architecture);
    model->architecture = model->family;
    model->license = model->note = "";
    model->source = "GGUF header";
    model->as_of = DATE_UNKNOWN;
    if (model->id && model->family) return STATUS_OK;
    return problems_add(gguf->problems, STATUS_OUT_OF_MEMORY, gguf->field, "no memory");
}

static enum status make_model(struct gguf *gguf, const json_t *top, struct model *ret_model)
{
    struct model model = {0};
    gguf->metadata = json_object_get(top, "metadata");
    gguf->tensors = json_object_get(top, "tensors");
    if (!json_is_object(gguf->metadata) || !json_is_object(gguf->tensors)) {
        return problems_add(gguf->problems, STATUS_MALFORMED_CONFIG, gguf->field,
                            "must be {\"metadata\": {…}, \"tensors\": {…}}");
    }
    gguf->architecture = json_string_value(json_object_get(gguf->metadata, "general.architecture"));
    if (!gguf->architecture || strlen(gguf->architecture) > ARCHITECTURE_MAX_BYTES)
        return refuse(gguf, "general.architecture", "missing: the name of the architecture");
    enum status status = check_whole(gguf);
    if (status == STATUS_OK) status = read_sizes(gguf, &model);
    if (status == STATUS_OK) status = settle_heads(gguf, &model);
    if (status != STATUS_OK) return status;
    count_layers(gguf, &model);
    model.attention_kind = kind_of(&model);
    status = sum_tensors(gguf, &model);
    if (status == STATUS_OK) status = name_model(gguf, &model);
    if (status == STATUS_OK) *ret_model = model;
    return status;
}

enum status hf_gguf_parse(const char *json, size_t length, struct arena *arena, struct problems *problems,
                          const char *field, struct model *ret_model)
{
    struct gguf gguf = {.arena = arena, .problems = problems, .field = field};
    json_t *top = NULL;
    enum status status = hf_text_load(json, length, problems, field, &top);
    if (status != STATUS_OK) return status;
    status = make_model(&gguf, top, ret_model);
    json_decref(top);
    return status;
}
