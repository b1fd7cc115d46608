/* hf_shape.c owns the numbers of one config.json: which class runs it, what must be there and fit together. */
#include "hf/hf_shape.h"

#include <string.h>

enum { NAME_BYTES_MAX = 128 };

static bool is_name(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++) {
        if (text[i] < ' ' || text[i] > '~') return false;
    }
    return length <= NAME_BYTES_MAX;
}

static const char *text_member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static const char *first_architecture(const json_t *object)
{
    const char *text = json_string_value(json_array_get(json_object_get(object, "architectures"), 0));
    return text ? text : "";
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* Embedding checkpoints such as MistralModel are a decoder without an output head; two names only sound like it. */
static bool is_headless(const char *architecture)
{
    return ends_with(architecture, "Model") && !ends_with(architecture, "LMHeadModel") &&
           !ends_with(architecture, "ChatGLMModel");
}

static bool names_are_right(const struct hf_shape *shape)
{
    if (!is_name(shape->model_type) || !is_name(shape->top_type)) {
        (void)hf_source_problem(&shape->source, "model_type", "must be a name of at most %d ASCII characters",
                                NAME_BYTES_MAX);
        return false;
    }
    if (!is_name(shape->architecture)) {
        (void)hf_source_problem(&shape->source, "architectures", "must hold a name of at most %d ASCII characters",
                                NAME_BYTES_MAX);
        return false;
    }
    return true;
}

static enum status name_model(struct hf_shape *shape)
{
    const json_t *top = shape->source.top, *text = shape->source.scopes[0].object;
    const char *own = text_member(text, "model_type");
    shape->top_type = text_member(top, "model_type");
    shape->model_type = *own ? own : shape->top_type;
    const char *architecture = first_architecture(top);
    shape->architecture = *architecture ? architecture : first_architecture(text);
    shape->headless = is_headless(shape->architecture);
    shape->class = hf_class_find(shape->model_type);
    if (!names_are_right(shape)) return STATUS_MALFORMED_CONFIG;
    const char *reason = hf_class_refusal(shape->top_type);
    if (!reason) reason = hf_class_refusal(shape->model_type);
    if (!reason) return STATUS_OK;
    return problems_add(shape->source.problems, STATUS_UNSUPPORTED_MODEL_KIND, shape->source.field, "%s is %s",
                        shape->top_type, reason);
}

/* Layers that are only listed (Nemotron-3-Ultra states no number). */
static void count_listed_layers(struct hf_shape *shape)
{
    static const char *const lists[] = {"layers_block_type", "layer_types", "block_configs"};
    size_t count = strlen(hf_source_text(&shape->source, "hybrid_override_pattern"));
    for (size_t i = 0; i < sizeof lists / sizeof *lists && count == 0; i++) {
        count = json_array_size(hf_source_find(&shape->source, lists[i]));
    }
    if (count <= HF_LAYERS_MAX) shape->keys[KEY_LAYERS] = (int64_t)count;
}

#define REQUIRE(shape, keys, why) hf_source_require((shape), (keys), sizeof(keys) / sizeof *(keys), (why))

static bool has_sizes(struct hf_shape *shape)
{
    static const enum hf_key sizes[] = {KEY_LAYERS, KEY_HIDDEN, KEY_VOCABULARY};
    if (shape->keys[KEY_LAYERS] == 0) count_listed_layers(shape);
    bool only_quantisation = json_object_get(shape->source.top, "quantization") && shape->keys[KEY_HIDDEN] == 0;
    if (only_quantisation) {
        (void)problems_add(shape->source.problems, STATUS_MALFORMED_CONFIG, shape->source.field,
                           "this is hf_quant_config.json: send config.json, with its \"quantization\" copied in");
        return false;
    }
    return REQUIRE(shape, sizes, "no model can be sized without it");
}

static int64_t stated_kv_heads(const struct hf_shape *shape)
{
    bool one = hf_flag(shape, FLAG_MULTI_QUERY, FLAG_NEVER);
    int64_t stated = shape->keys[KEY_KV_HEADS];
    switch (shape->class->kv_rule) {
    case KV_MULTI_QUERY: return one ? 1 : 0;
    case KV_FALCON: return hf_flag(shape, FLAG_NEW_DECODER, FLAG_NEVER) ? stated : one;
    case KV_GROUPED: return hf_flag(shape, FLAG_GROUPED_QUERY, FLAG_NEVER) ? stated : 0;
    case KV_STATED: return stated;
    }
    return stated;
}

static bool settle_latent_heads(struct hf_shape *shape)
{
    static const enum hf_key dims[] = {KEY_ROPE_DIM, KEY_NOPE_DIM};
    static const enum hf_key indexer[] = {KEY_INDEX_DIM, KEY_Q_LORA};
    int64_t *keys = shape->keys;
    if (!REQUIRE(shape, dims, "kv_lora_rank makes it latent attention")) return false;
    if (keys[KEY_INDEX_HEADS] > 0 && !REQUIRE(shape, indexer, "index_n_heads needs it")) return false;
    if (keys[KEY_V_DIM] == 0) keys[KEY_V_DIM] = keys[KEY_HIDDEN] / keys[KEY_HEADS]; /* MiniCPM3 leaves it out */
    keys[KEY_HEAD_DIM] = keys[KEY_ROPE_DIM] + keys[KEY_NOPE_DIM];
    return true;
}

/* Heads, KV heads and their widths. A model without attention has none. */
static bool settle_heads(struct hf_shape *shape)
{
    static const enum hf_key heads[] = {KEY_HEADS};
    int64_t *keys = shape->keys;
    if (shape->class->plan == PLAN_MAMBA) return true;
    if (!REQUIRE(shape, heads, "the layers attend")) return false;
    int64_t kv_heads = stated_kv_heads(shape);
    keys[KEY_KV_HEADS] = kv_heads > 0 ? kv_heads : keys[KEY_HEADS];
    if (keys[KEY_HEADS] % keys[KEY_KV_HEADS] != 0) {
        (void)hf_source_problem(&shape->source, hf_key_name(KEY_KV_HEADS),
                                "%lld does not divide num_attention_heads, which is %lld",
                                (long long)keys[KEY_KV_HEADS], (long long)keys[KEY_HEADS]);
        return false;
    }
    if (keys[KEY_KV_LORA] > 0) return settle_latent_heads(shape);
    if (keys[KEY_HEAD_DIM] == 0 && keys[KEY_HIDDEN] % keys[KEY_HEADS] != 0) {
        (void)hf_source_problem(&shape->source, hf_key_name(KEY_HEAD_DIM),
                                "missing, and hidden_size %lld is no multiple of num_attention_heads %lld",
                                (long long)keys[KEY_HIDDEN], (long long)keys[KEY_HEADS]);
        return false;
    }
    if (keys[KEY_HEAD_DIM] == 0) keys[KEY_HEAD_DIM] = keys[KEY_HIDDEN] / keys[KEY_HEADS];
    if (keys[KEY_V_DIM] == 0) keys[KEY_V_DIM] = keys[KEY_HEAD_DIM];
    return true;
}

/* LFM2 shrinks the stated width to two thirds and rounds up; the multiplier is a fraction. */
static int64_t block_width(const struct hf_shape *shape, int64_t width)
{
    if (!hf_flag(shape, FLAG_ADJUST_WIDTH, FLAG_NEVER)) return width;
    const json_t *value = hf_source_find(&shape->source, "block_ffn_dim_multiplier");
    double multiplier = json_is_number(value) ? json_number_value(value) : 1.0;
    if (!(multiplier > 0.0 && multiplier <= 64.0)) multiplier = 1.0;
    int64_t stated = shape->keys[KEY_BLOCK_WIDTH] > 0 ? shape->keys[KEY_BLOCK_WIDTH] : width;
    int64_t multiple = shape->keys[KEY_BLOCK_MULTIPLE] > 0 ? shape->keys[KEY_BLOCK_MULTIPLE] : 256;
    int64_t two_thirds = 2 * stated / 3, shrunk = (int64_t)(multiplier * (double)two_thirds);
    return (shrunk + multiple - 1) / multiple * multiple;
}

static int64_t dense_width(const struct hf_shape *shape)
{
    int64_t stated = shape->keys[KEY_INTERMEDIATE], width = stated > 0 ? stated : 4 * shape->keys[KEY_HIDDEN];
    switch (shape->class->width) {
    case WIDTH_STATED: return width;
    case WIDTH_HALF: return width / 2; /* Qwen 1 states gate and up together */
    case WIDTH_LLAMA4: return shape->keys[KEY_DENSE_INTERMEDIATE] > 0 ? shape->keys[KEY_DENSE_INTERMEDIATE] : width;
    case WIDTH_BLOCK: return block_width(shape, width);
    }
    return width;
}

static int64_t shared_width(const struct hf_shape *shape)
{
    const int64_t *keys = shape->keys;
    int64_t count = keys[KEY_SHARED_EXPERTS] > 0 ? keys[KEY_SHARED_EXPERTS] : 1;
    if (shape->class->width == WIDTH_LLAMA4) return keys[KEY_INTERMEDIATE];
    if (keys[KEY_SHARED_EACH] > 0) return keys[KEY_SHARED_EACH] * count;
    if (keys[KEY_SHARED_ALL] > 0) return keys[KEY_SHARED_ALL];
    return keys[KEY_SHARED_EXPERTS] * shape->expert_width;
}

static bool settle_experts(struct hf_shape *shape)
{
    static const enum hf_key routing[] = {KEY_TOP_K};
    int64_t *keys = shape->keys;
    shape->expert_width = keys[KEY_EXPERT_INTERMEDIATE] > 0 ? keys[KEY_EXPERT_INTERMEDIATE] : keys[KEY_INTERMEDIATE];
    shape->shared_width = shared_width(shape);
    if (keys[KEY_EXPERTS] == 0) return true;
    if (!REQUIRE(shape, routing, "the model has experts")) return false;
    if (keys[KEY_TOP_K] < 1 || keys[KEY_TOP_K] > keys[KEY_EXPERTS]) {
        (void)hf_source_problem(&shape->source, hf_key_name(KEY_TOP_K), "%lld of %lld experts; give 1 to %lld",
                                (long long)keys[KEY_TOP_K], (long long)keys[KEY_EXPERTS], (long long)keys[KEY_EXPERTS]);
        return false;
    }
    if (shape->expert_width > 0) return true;
    (void)hf_source_problem(&shape->source, hf_key_name(KEY_EXPERT_INTERMEDIATE), "missing: the width of an expert");
    return false;
}

/* What the layers turned out to need. */
static bool has_parts(const struct hf_shape *shape)
{
    static const enum hf_key mamba1[] = {KEY_SSM_STATE, KEY_SSM_CONVOLUTION};
    static const enum hf_key mamba2[] = {KEY_SSM_HEADS, KEY_SSM_HEAD_DIM, KEY_SSM_GROUPS, KEY_SSM_STATE,
                                         KEY_SSM_CONVOLUTION};
    static const enum hf_key delta[] = {KEY_DELTA_KEY_HEADS, KEY_DELTA_VALUE_HEADS, KEY_DELTA_KEY_DIM,
                                        KEY_DELTA_VALUE_DIM, KEY_DELTA_CONVOLUTION};
    static const enum hf_key convolution[] = {KEY_SHORT_CONVOLUTION};
    static const struct {
        const enum hf_key *keys;
        size_t count;
    } needs[MIXER_COUNT] = {
        [MIXER_MAMBA1] = {mamba1, 2},
        [MIXER_MAMBA2] = {mamba2, 5},
        [MIXER_DELTA] = {delta, 5},
        [MIXER_CONVOLUTION] = {convolution, 1},
    };
    bool used[MIXER_COUNT] = {false}, uses_experts = false, complete = true;
    for (int64_t i = 0; i < shape->keys[KEY_LAYERS]; i++) {
        used[shape->layers[i].mixer] = true;
        uses_experts |= shape->layers[i].ffn == FFN_MOE;
    }
    for (enum hf_mixer mixer = 0; mixer < MIXER_COUNT; mixer++) {
        if (!used[mixer]) continue;
        complete &= hf_source_require(shape, needs[mixer].keys, needs[mixer].count, "some layers keep a state");
    }
    if (!uses_experts || shape->keys[KEY_EXPERTS] > 0) return complete;
    (void)hf_source_problem(&shape->source, hf_key_name(KEY_EXPERTS), "no experts, but some layers are of experts");
    return false;
}

/* A model_type that is not listed is taken for a Llama, which it cannot be if it keeps a state. */
static bool is_guessable(const struct hf_shape *shape)
{
    if (*shape->class->model_type || shape->keys[KEY_SSM_STATE] == 0) return true;
    (void)problems_add(shape->source.problems, STATUS_UNSUPPORTED_MODEL_KIND, shape->source.field,
                       "the state-space layers of model_type \"%s\" are not known; give the model by its parameters",
                       shape->model_type);
    return false;
}

static void settle_switches(struct hf_shape *shape)
{
    bool no_aux = strcmp(hf_source_text(&shape->source, "topk_method"), "noaux_tc") == 0;
    shape->router_bias = shape->class->router_bias || no_aux || hf_flag(shape, FLAG_ROUTING_BIAS, FLAG_NEVER);
    shape->tied = shape->flags[FLAG_TIED] < 0 ? shape->class->tied : shape->flags[FLAG_TIED];
}

enum status hf_shape_read(struct hf_shape *shape, const json_t *top)
{
    struct problems *problems = shape->source.problems;
    enum status status = hf_source_init(&shape->source, top);
    if (status == STATUS_OK) status = name_model(shape);
    if (status != STATUS_OK) return status;
    size_t before = problems->count + problems->dropped;
    hf_source_read(shape);
    if (hf_flag(shape, FLAG_ENCODER_DECODER, FLAG_NEVER)) {
        return problems_add(problems, STATUS_UNSUPPORTED_MODEL_KIND, shape->source.field,
                            "an encoder-decoder; sizes are known for decoders that generate text");
    }
    settle_switches(shape);
    bool sized = has_sizes(shape);
    if (!sized || problems->count + problems->dropped > before) return STATUS_MALFORMED_CONFIG;
    if (!is_guessable(shape)) return STATUS_UNSUPPORTED_MODEL_KIND;
    shape->dense_width = dense_width(shape);
    if (!settle_heads(shape) || !settle_experts(shape)) return STATUS_MALFORMED_CONFIG;
    shape->layers = ARENA_ARRAY(shape->source.arena, (size_t)shape->keys[KEY_LAYERS], struct hf_layer);
    if (!shape->layers) return problems_add(problems, STATUS_OUT_OF_MEMORY, shape->source.field, "no memory");
    return hf_plan(shape) && has_parts(shape) ? STATUS_OK : STATUS_MALFORMED_CONFIG;
}
