/* hf_shape.h owns what the parts of this box share: the numbers of one config.json and what they mean. Private. */
#pragma once
#include "catalog/arena.h"
#include "catalog/model.h"
#include "catalog/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { HF_LAYERS_MAX = 4096, HF_SCOPES_MAX = 8, HF_NAMES_MAX = 6 };

enum hf_key {
#define KEY(symbol, ...) KEY_##symbol,
#include "hf/hf_keys.def"
#undef KEY
    KEY_COUNT
};

enum hf_flag {
    FLAG_UNSET,  /* in a class: as most models have it */
    FLAG_NEVER,  /* always false */
    FLAG_ALWAYS, /* always true */
#define FLAG(symbol, fallback, name) FLAG_##symbol,
#include "hf/hf_flags.def"
#undef FLAG
    FLAG_COUNT
};

/* Where a field is looked for: the language model's object, what nests in it, then the top of the file. */
struct hf_scope {
    const json_t *object;
    const char *path; /* "", ".text_config", … */
};
struct hf_source {
    struct hf_scope scopes[HF_SCOPES_MAX];
    size_t scope_count;
    const json_t *top;
    const char *field;
    struct arena *arena;
    struct problems *problems;
};

enum hf_mixer {
    MIXER_NONE,
    MIXER_FULL,
    MIXER_SLIDING,
    MIXER_CROSS,
    MIXER_MAMBA1,
    MIXER_MAMBA2,
    MIXER_DELTA,
    MIXER_CONVOLUTION,
    MIXER_COUNT
};
enum hf_ffn { FFN_NONE, FFN_DENSE, FFN_MOE, FFN_SHARED };

struct hf_layer {
    enum hf_mixer mixer;
    enum hf_ffn ffn;
    int64_t kv_heads, ffn_width;
};

struct hf_class;
struct hf_shape {
    struct hf_source source;
    const char *model_type, *top_type, *architecture;
    const struct hf_class *class;
    int64_t keys[KEY_COUNT];  /* 0: absent, and the class has no default */
    int8_t flags[FLAG_COUNT]; /* -1: absent */
    bool router_bias, tied, headless;
    int64_t dense_width, expert_width, shared_width;
    int64_t window_tokens;
    struct hf_layer *layers;
};

/* How the q and k vectors are normalised: what the weights of that are. */
enum hf_qk_norm { QK_NORM_NONE, QK_NORM_HEAD, QK_NORM_WIDTH };
/* Normalisations of the width of the model in a layer; the first is what most models have. */
enum hf_norms { NORMS_TWO, NORMS_NONE, NORMS_ONE, NORMS_FOUR, NORMS_PRESENT, NORMS_FALCON };
enum hf_positions { POSITIONS_NONE, POSITIONS_LEARNED, POSITIONS_LEARNED_2 };
enum hf_kv_rule { KV_STATED, KV_MULTI_QUERY, KV_FALCON, KV_GROUPED };
enum hf_plan { PLAN_STATED, PLAN_LETTERS, PLAN_MAMBA, PLAN_JAMBA, PLAN_BLOCKS, PLAN_CHUNKED, PLAN_CROSS };
enum hf_width { WIDTH_STATED, WIDTH_HALF, WIDTH_LLAMA4, WIDTH_BLOCK };

enum { HF_DEFAULTS_MAX = 7 };
struct hf_default {
    enum hf_key key;
    int64_t value;
};

/* What the class that runs a model_type adds to the file. All zero is a Llama: gated FFN, two RMS norms a layer,
 * rotary positions, biases as the file says, untied. */
struct hf_class {
    const char *model_type;
    bool checked; /* its count was compared with a published total */
    bool encoder, tied, plain_ffn, norm_bias, embedding_norm, head_bias, sinks, expert_bias, router_bias, shared_gate,
        output_gate, alternates, window_everywhere;
    enum hf_flag qkv_bias, out_bias, ffn_bias, qk_norm_if;
    enum hf_qk_norm qk_norm;
    enum hf_norms norms;
    enum hf_positions positions;
    enum hf_kv_rule kv_rule;
    enum hf_plan plan;
    enum hf_width width;
    struct hf_default defaults[HF_DEFAULTS_MAX];
};

/* hf_text.c: the text, guarded, as one JSON object. A new reference. */
enum status hf_text_load(const char *text, size_t length, struct problems *problems, const char *field,
                         json_t **ret_json) MUST_CHECK;

/* hf_source.c: fields with their synonyms and limits. */
enum status hf_source_init(struct hf_source *source, const json_t *top) MUST_CHECK;
const json_t *hf_source_find(const struct hf_source *source, const char *name); /* borrowed; NULL if absent or null */
const char *hf_source_text(const struct hf_source *source, const char *name);   /* borrowed; "" if it is no string */
void hf_source_read(struct hf_shape *shape);
enum status hf_source_problem(const struct hf_source *source, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool hf_source_require(const struct hf_shape *shape, const enum hf_key *keys, size_t count, const char *why);
const char *hf_key_name(enum hf_key key);
bool hf_flag(const struct hf_shape *shape, enum hf_flag flag, enum hf_flag fallback);

/* hf_shape.c: everything that is read from the file, checked; problems say what is wrong. `shape` comes with its
 * source's field, arena and problems; it borrows `top`. */
enum status hf_shape_read(struct hf_shape *shape, const json_t *top) MUST_CHECK;

/* hf_class.c */
const struct hf_class *hf_class_find(const char *model_type); /* the Llama-like class if it is unknown */
const char *hf_class_refusal(const char *model_type);         /* why it is no language model; NULL if it may be one */

/* hf_plan.c: fills shape->layers; problems if it cannot. */
bool hf_plan(struct hf_shape *shape);

/* hf_count.c: weights and states from the shapes. */
struct hf_state {
    double ssm_elements, convolution_elements; /* per sequence */
};
double hf_count(const struct hf_shape *shape, bool active);
struct hf_state hf_count_state(const struct hf_shape *shape);

/* hf_vision.c */
double hf_vision_count(const struct hf_shape *shape); /* 0 if there is no tower or its counting is not known */
bool hf_vision_profiled(const struct hf_shape *shape);

/* hf_dtype.c */
/* Note: "" or what it leaves open. Bits of a quantised weight with its scales and zero points where the file states
 * their groups, else 0. */
enum dtype hf_dtype(const struct hf_source *source, const char **ret_note, double *ret_weight_bits);
