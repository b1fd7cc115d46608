/* hf_plan.c owns which kind each layer is: its mixer (attention or state) and its feed-forward part. */
#include "hf/hf_shape.h"

#include <math.h>
#include <string.h>

enum outcome { NOT_STATED, PLANNED, REFUSED };

static size_t layer_count(const struct hf_shape *shape)
{
    return (size_t)shape->keys[KEY_LAYERS];
}

/* Names of layer kinds in layer_types, layers_block_type, and letters of hybrid_override_pattern. */
struct kind_name {
    const char *name;
    enum hf_mixer mixer;
    enum hf_ffn ffn;
};
static const struct kind_name type_names[] = {
    {"full_attention", MIXER_FULL, FFN_DENSE},       {"attention", MIXER_FULL, FFN_DENSE},
    {"sliding_attention", MIXER_SLIDING, FFN_DENSE}, {"chunked_attention", MIXER_SLIDING, FFN_DENSE},
    {"linear_attention", MIXER_DELTA, FFN_DENSE},    {"mamba", MIXER_MAMBA2, FFN_DENSE},
    {"conv", MIXER_CONVOLUTION, FFN_DENSE},          {NULL, MIXER_NONE, FFN_NONE},
};
static const struct kind_name block_names[] = {
    {"M", MIXER_MAMBA2, FFN_NONE},  {"*", MIXER_FULL, FFN_NONE},       {"-", MIXER_NONE, FFN_DENSE},
    {"E", MIXER_NONE, FFN_MOE},     {"mamba", MIXER_MAMBA2, FFN_NONE}, {"attention", MIXER_FULL, FFN_NONE},
    {"mlp", MIXER_NONE, FFN_DENSE}, {"moe", MIXER_NONE, FFN_MOE},      {NULL, MIXER_NONE, FFN_NONE},
};

static const struct kind_name *find_kind(const struct kind_name *names, const char *name, size_t length)
{
    for (; names->name; names++) {
        if (strlen(names->name) == length && memcmp(names->name, name, length) == 0) return names;
    }
    return NULL;
}

static enum outcome too_short(struct hf_shape *shape, const char *name, size_t count)
{
    if (count >= layer_count(shape)) return PLANNED; /* more: prediction layers that are not served */
    (void)hf_source_problem(&shape->source, name, "has %zu entries for %zu layers; give one for each layer", count,
                            layer_count(shape));
    return REFUSED;
}

static enum outcome place(struct hf_shape *shape, const char *list, size_t i, const struct kind_name *kind)
{
    if (!kind) {
        (void)hf_source_problem(&shape->source, list, "entry %zu is of no known kind of layer", i);
        return REFUSED;
    }
    shape->layers[i].mixer = kind->mixer;
    shape->layers[i].ffn = kind->ffn;
    return PLANNED;
}

static enum outcome by_list(struct hf_shape *shape, const char *name, const struct kind_name *names)
{
    const json_t *list = hf_source_find(&shape->source, name);
    if (!json_is_array(list) || json_array_size(list) == 0) return NOT_STATED;
    enum outcome outcome = too_short(shape, name, json_array_size(list));
    for (size_t i = 0; i < layer_count(shape) && outcome == PLANNED; i++) {
        const json_t *item = json_array_get(list, i);
        const char *text = json_is_string(item) ? json_string_value(item) : "";
        outcome = place(shape, name, i, find_kind(names, text, strlen(text)));
    }
    return outcome;
}

static enum outcome by_letters(struct hf_shape *shape)
{
    static const char name[] = "hybrid_override_pattern";
    enum outcome outcome = by_list(shape, "layers_block_type", block_names);
    if (outcome != NOT_STATED) return outcome;
    const char *letters = hf_source_text(&shape->source, name);
    outcome = too_short(shape, name, strlen(letters));
    for (size_t i = 0; i < layer_count(shape) && outcome == PLANNED; i++) {
        outcome = place(shape, name, i, find_kind(block_names, letters + i, 1));
    }
    return outcome;
}

static enum outcome every(struct hf_shape *shape, int64_t period, enum hf_mixer others)
{
    for (size_t i = 0; i < layer_count(shape); i++) {
        shape->layers[i].mixer = (int64_t)(i + 1) % period == 0 ? MIXER_FULL : others;
    }
    return PLANNED;
}

/* sliding_window_pattern: a number n makes every n-th layer full; a text such as "LLLG" repeats, G is full. */
static enum outcome by_pattern(struct hf_shape *shape)
{
    if (shape->keys[KEY_WINDOW] == 0) return NOT_STATED;
    if (shape->keys[KEY_WINDOW_PATTERN] > 0) return every(shape, shape->keys[KEY_WINDOW_PATTERN], MIXER_SLIDING);
    const char *letters = hf_source_text(&shape->source, "sliding_window_pattern");
    size_t length = strlen(letters);
    if (length == 0) return NOT_STATED;
    for (size_t i = 0; i < layer_count(shape); i++) {
        shape->layers[i].mixer = letters[i % length] == 'G' ? MIXER_FULL : MIXER_SLIDING;
    }
    return PLANNED;
}

/* A window without a pattern: all layers (Mistral), every other (Gemma 2), or those from max_window_layers on, which
 * only use_sliding_window: true switches on (Qwen). */
static enum outcome by_window(struct hf_shape *shape)
{
    const struct hf_class *class = shape->class;
    bool stated = shape->flags[FLAG_USE_WINDOW] == 1 && shape->keys[KEY_MAX_WINDOW_LAYERS] > 0;
    if (shape->keys[KEY_WINDOW] == 0 || !hf_flag(shape, FLAG_USE_WINDOW, FLAG_NEVER)) return NOT_STATED;
    if (!class->alternates && !class->window_everywhere && !stated) return NOT_STATED;
    size_t first = stated && !class->window_everywhere ? (size_t)shape->keys[KEY_MAX_WINDOW_LAYERS] : 0;
    for (size_t i = first; i < layer_count(shape); i++) {
        if (!class->alternates || i % 2 == 0) shape->layers[i].mixer = MIXER_SLIDING;
    }
    return PLANNED;
}

/* LFM2: the layers of full_attn_idxs attend, the others convolve. */
static enum outcome by_indices(struct hf_shape *shape)
{
    static const char name[] = "full_attn_idxs";
    const json_t *list = hf_source_find(&shape->source, name);
    if (!json_is_array(list)) return NOT_STATED;
    for (size_t i = 0; i < layer_count(shape); i++)
        shape->layers[i].mixer = MIXER_CONVOLUTION;
    for (size_t i = 0; i < json_array_size(list); i++) {
        double at = json_number_value(json_array_get(list, i));
        if (!(at >= 0 && at < (double)layer_count(shape))) {
            (void)hf_source_problem(&shape->source, name, "entry %zu is no layer's number", i);
            return REFUSED;
        }
        shape->layers[(size_t)at].mixer = MIXER_FULL;
    }
    return PLANNED;
}

/* Llama 4: chunks except in the layers without rotary positions, by default every 4th; 1 in no_rope_layers is rotary.
 */
static enum outcome by_chunks(struct hf_shape *shape)
{
    static const char name[] = "no_rope_layers";
    const json_t *list = hf_source_find(&shape->source, name);
    shape->window_tokens = shape->keys[KEY_CHUNK];
    if (json_array_size(list) == 0) return every(shape, 4, MIXER_SLIDING);
    if (too_short(shape, name, json_array_size(list)) == REFUSED) return REFUSED;
    for (size_t i = 0; i < layer_count(shape); i++) {
        bool rotary = json_number_value(json_array_get(list, i)) != 0.0;
        shape->layers[i].mixer = rotary ? MIXER_SLIDING : MIXER_FULL;
    }
    return PLANNED;
}

/* Jamba: one layer of each period attends, the others keep a state; likewise experts. */
static enum outcome by_period(struct hf_shape *shape)
{
    const int64_t *keys = shape->keys;
    for (size_t i = 0; i < layer_count(shape); i++) {
        int64_t at = (int64_t)i;
        bool attends = at % keys[KEY_ATTENTION_PERIOD] == keys[KEY_ATTENTION_OFFSET];
        bool expert = keys[KEY_EXPERTS] > 1 && at % keys[KEY_EXPERT_PERIOD] == keys[KEY_EXPERT_OFFSET];
        shape->layers[i].mixer = attends ? MIXER_FULL : MIXER_MAMBA1;
        shape->layers[i].ffn = expert ? FFN_MOE : FFN_DENSE;
    }
    return PLANNED;
}

static enum outcome by_mamba(struct hf_shape *shape)
{
    for (size_t i = 0; i < layer_count(shape); i++)
        shape->layers[i] = (struct hf_layer){.mixer = MIXER_MAMBA1};
    return PLANNED;
}

/* Mllama: these layers attend to the image, not to the text; their cache is the image's. */
static enum outcome by_cross(struct hf_shape *shape)
{
    static const char name[] = "cross_attention_layers";
    const json_t *list = hf_source_find(&shape->source, name);
    for (size_t i = 0; i < json_array_size(list); i++) {
        double at = json_is_number(json_array_get(list, i)) ? json_number_value(json_array_get(list, i)) : -1.0;
        if (!(at >= 0 && at < (double)layer_count(shape))) {
            (void)hf_source_problem(&shape->source, name, "entry %zu is no layer's number", i);
            return REFUSED;
        }
        shape->layers[(size_t)at].mixer = MIXER_CROSS;
    }
    return PLANNED;
}

/* One part of a layer found by architecture search: NULL members mean that it is as usual. */
static bool block_number(const json_t *part, const char *name, double most, double *ret_value)
{
    const json_t *value = json_object_get(part, name);
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number > 0 && number <= most)) return false;
    *ret_value = number;
    return true;
}

/* Nemotron-NAS rounds a third of twice the width up to 256. */
static int64_t block_width(double multiplier, int64_t hidden)
{
    int64_t width = (int64_t)(2.0 * multiplier * (double)hidden / 3.0);
    return (width + 255) / 256 * 256;
}

static bool place_block(struct hf_shape *shape, const json_t *block, struct hf_layer *layer)
{
    const json_t *attention = json_object_get(block, "attention"), *ffn = json_object_get(block, "ffn");
    double group = 0.0, multiplier = 0.0;
    *layer = (struct hf_layer){0};
    if (json_is_true(json_object_get(attention, "replace_with_linear"))) return false;
    if (json_is_true(json_object_get(ffn, "replace_with_linear"))) return false;
    if (!json_is_true(json_object_get(attention, "no_op"))) {
        int64_t heads = shape->keys[KEY_HEADS];
        if (!block_number(attention, "n_heads_in_group", (double)heads, &group)) return false;
        if (group != floor(group) || heads % (int64_t)group != 0) return false;
        layer->mixer = MIXER_FULL;
        layer->kv_heads = heads / (int64_t)group;
    }
    if (!json_is_true(json_object_get(ffn, "no_op"))) {
        if (!block_number(ffn, "ffn_mult", 64.0, &multiplier)) return false;
        layer->ffn = FFN_DENSE;
        layer->ffn_width = block_width(multiplier, shape->keys[KEY_HIDDEN]);
    }
    return true;
}

static enum outcome by_blocks(struct hf_shape *shape)
{
    static const char name[] = "block_configs";
    const json_t *list = hf_source_find(&shape->source, name);
    enum outcome outcome = too_short(shape, name, json_array_size(list));
    for (size_t i = 0; i < layer_count(shape) && outcome == PLANNED; i++) {
        if (place_block(shape, json_array_get(list, i), &shape->layers[i])) continue;
        (void)hf_source_problem(&shape->source, name,
                                "entry %zu: give attention.n_heads_in_group (a divisor of num_attention_heads) and "
                                "ffn.ffn_mult (above 0, at most 64), or no_op",
                                i);
        outcome = REFUSED;
    }
    return outcome;
}

static enum outcome by_statement(struct hf_shape *shape)
{
    enum outcome outcome = by_list(shape, "layer_types", type_names);
    if (outcome == NOT_STATED) outcome = by_indices(shape);
    if (outcome == NOT_STATED && shape->keys[KEY_FULL_INTERVAL] > 0) {
        return every(shape, shape->keys[KEY_FULL_INTERVAL], MIXER_DELTA);
    }
    if (outcome == NOT_STATED) outcome = by_pattern(shape);
    if (outcome == NOT_STATED) outcome = by_window(shape);
    return outcome;
}

static bool is_moe_layer(const struct hf_shape *shape, size_t i, const json_t *frequencies, const json_t *types)
{
    const int64_t *keys = shape->keys;
    if (json_is_array(frequencies)) return json_number_value(json_array_get(frequencies, i)) != 0.0;
    if (json_is_array(types)) {
        const char *text = json_string_value(json_array_get(types, i));
        return text && strcmp(text, "sparse") == 0;
    }
    int64_t step = keys[KEY_SPARSE_STEP] > 0 ? keys[KEY_SPARSE_STEP] : 1;
    int64_t frequency = keys[KEY_MOE_FREQUENCY] > 0 ? keys[KEY_MOE_FREQUENCY] : 1;
    return (int64_t)i >= keys[KEY_FIRST_DENSE] && ((int64_t)i + 1) % step == 0 && (int64_t)i % frequency == 0;
}

/* mlp_only_layers holds the numbers of dense layers; those beyond the last are harmless. */
static void place_dense(struct hf_shape *shape)
{
    const json_t *list = hf_source_find(&shape->source, "mlp_only_layers");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        double at = json_is_number(item) ? json_number_value(item) : -1.0;
        if (at >= 0 && at < (double)layer_count(shape)) shape->layers[(size_t)at].ffn = FFN_DENSE;
    }
}

static enum outcome place_experts(struct hf_shape *shape)
{
    static const char *const lists[] = {"moe_layer_freq", "mlp_layer_types"};
    const json_t *found[] = {NULL, NULL};
    for (size_t i = 0; i < 2; i++) {
        found[i] = hf_source_find(&shape->source, lists[i]);
        if (json_is_array(found[i]) && too_short(shape, lists[i], json_array_size(found[i])) == REFUSED) return REFUSED;
    }
    for (size_t i = 0; i < layer_count(shape); i++) {
        if (is_moe_layer(shape, i, found[0], found[1])) shape->layers[i].ffn = FFN_MOE;
    }
    place_dense(shape);
    return PLANNED;
}

/* Granite 4's dense models keep only the shared expert. */
static void place_shared(struct hf_shape *shape)
{
    if (shape->keys[KEY_SHARED_ALL] == 0 || strcmp(shape->model_type, "granitemoehybrid") != 0) return;
    for (size_t i = 0; i < layer_count(shape); i++)
        shape->layers[i].ffn = FFN_SHARED;
}

static bool uses(const struct hf_shape *shape, enum hf_mixer mixer)
{
    for (size_t i = 0; i < layer_count(shape); i++) {
        if (shape->layers[i].mixer == mixer) return true;
    }
    return false;
}

/* A window that no context can exceed is none (Phi-3.5-mini). */
static bool settle_window(struct hf_shape *shape)
{
    if (shape->window_tokens == 0) shape->window_tokens = shape->keys[KEY_WINDOW];
    int64_t context = shape->keys[KEY_MAX_POSITION];
    bool sliding = uses(shape, MIXER_SLIDING);
    if (sliding && context > 0 && shape->window_tokens >= context) {
        for (size_t i = 0; i < layer_count(shape); i++) {
            if (shape->layers[i].mixer == MIXER_SLIDING) shape->layers[i].mixer = MIXER_FULL;
        }
        sliding = false;
    }
    if (sliding && shape->window_tokens == 0) {
        (void)hf_source_problem(&shape->source, hf_key_name(KEY_WINDOW), "missing: some layers slide; in tokens");
        return false;
    }
    if (!sliding) shape->window_tokens = 0;
    return true;
}

bool hf_plan(struct hf_shape *shape)
{
    static enum outcome (*const plans[])(struct hf_shape *) = {
        [PLAN_STATED] = by_statement, [PLAN_LETTERS] = by_letters, [PLAN_MAMBA] = by_mamba, [PLAN_JAMBA] = by_period,
        [PLAN_BLOCKS] = by_blocks,    [PLAN_CHUNKED] = by_chunks,  [PLAN_CROSS] = by_cross,
    };
    enum hf_plan plan = shape->class->plan;
    for (size_t i = 0; i < layer_count(shape); i++) {
        shape->layers[i] = (struct hf_layer){MIXER_FULL, FFN_DENSE, shape->keys[KEY_KV_HEADS], shape->dense_width};
    }
    if (plans[plan](shape) == REFUSED) return false;
    bool own_experts = plan == PLAN_LETTERS || plan == PLAN_MAMBA || plan == PLAN_JAMBA || plan == PLAN_BLOCKS;
    if (!own_experts) {
        if (shape->keys[KEY_EXPERTS] == 0) place_shared(shape);
        if (shape->keys[KEY_EXPERTS] > 0 && place_experts(shape) == REFUSED) return false;
    }
    return settle_window(shape);
}
