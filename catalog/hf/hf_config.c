/* hf_config.c owns the model that the numbers of a config.json make, and the order: text, numbers, counts, model. */
#include "hf/hf_config.h"
#include "hf/hf_shape.h"

#include <string.h>

static const double PARAMETERS_MAX = 1e15; /* doubles count exactly to 9e15 */

struct tally {
    uint32_t full, sliding, state, experts, dense;
    int64_t most_kv_heads;
};

static struct tally tally_layers(const struct hf_shape *shape)
{
    struct tally tally = {0};
    for (int64_t i = 0; i < shape->keys[KEY_LAYERS]; i++) {
        const struct hf_layer *layer = &shape->layers[i];
        tally.full += layer->mixer == MIXER_FULL;
        tally.sliding += layer->mixer == MIXER_SLIDING;
        tally.state += layer->mixer == MIXER_MAMBA1 || layer->mixer == MIXER_MAMBA2 || layer->mixer == MIXER_DELTA ||
                       layer->mixer == MIXER_CONVOLUTION;
        tally.experts += layer->ffn == FFN_MOE;
        tally.dense += layer->ffn == FFN_DENSE;
        bool attends = layer->mixer == MIXER_FULL || layer->mixer == MIXER_SLIDING;
        if (attends && layer->kv_heads > tally.most_kv_heads) tally.most_kv_heads = layer->kv_heads;
    }
    return tally;
}

static enum attention_kind kind_of(const struct hf_shape *shape, const struct tally *tally)
{
    if (tally->state > 0) return tally->full + tally->sliding == 0 ? ATTENTION_MAMBA : ATTENTION_HYBRID_LINEAR;
    if (shape->keys[KEY_KV_LORA] > 0) return ATTENTION_MLA;
    if (tally->sliding > 0) return ATTENTION_HYBRID_SWA;
    if (tally->most_kv_heads == 1 && shape->keys[KEY_HEADS] > 1) return ATTENTION_MQA;
    return tally->most_kv_heads == shape->keys[KEY_HEADS] ? ATTENTION_MHA : ATTENTION_GQA;
}

static uint32_t u32(int64_t value)
{
    return (uint32_t)value; /* every maximum of hf_keys.def fits */
}

static void fill_attention(const struct hf_shape *shape, const struct tally *tally, struct model *model)
{
    const int64_t *keys = shape->keys;
    model->attention_kind = kind_of(shape, tally);
    model->full_attention_layers = tally->full;
    model->sliding_layers = tally->sliding;
    model->linear_layers = tally->state;
    model->sliding_window_tokens = u32(shape->window_tokens);
    model->chunked = tally->sliding > 0 && shape->class->plan == PLAN_CHUNKED;
    if (model->attention_kind == ATTENTION_MAMBA) return;
    model->attention_heads = u32(keys[KEY_HEADS]);
    model->kv_heads = u32(tally->most_kv_heads);
    model->head_dim = u32(keys[KEY_HEAD_DIM]);
    if (keys[KEY_KV_LORA] == 0) return;
    model->kv_lora_rank = u32(keys[KEY_KV_LORA]);
    model->q_lora_rank = u32(keys[KEY_Q_LORA]);
    if (keys[KEY_INDEX_HEADS] > 0) {
        model->index_heads = u32(keys[KEY_INDEX_HEADS]);
        model->index_head_dim = u32(keys[KEY_INDEX_DIM]);
        model->index_topk = u32(keys[KEY_INDEX_TOPK]);
    }
    model->qk_rope_head_dim = u32(keys[KEY_ROPE_DIM]);
    model->qk_nope_head_dim = u32(keys[KEY_NOPE_DIM]);
    model->v_head_dim = u32(keys[KEY_V_DIM]);
}

static void fill_experts(const struct hf_shape *shape, const struct tally *tally, struct model *model)
{
    if (tally->experts == 0) return;
    bool counted = shape->keys[KEY_SHARED_EXPERTS] > 0;
    model->experts = u32(shape->keys[KEY_EXPERTS]);
    model->experts_per_token = u32(shape->keys[KEY_TOP_K]);
    model->shared_experts = counted ? u32(shape->keys[KEY_SHARED_EXPERTS]) : shape->shared_width > 0;
    model->moe_intermediate_size = u32(shape->expert_width);
    model->shared_expert_intermediate_size = u32(shape->shared_width);
    model->dense_layers = tally->dense;
}

static void fill_state(const struct hf_shape *shape, struct model *model)
{
    struct hf_state state = hf_count_state(shape);
    const char *stated = hf_source_text(&shape->source, "mamba_ssm_cache_dtype");
    if (!*stated) stated = hf_source_text(&shape->source, "mamba_ssm_dtype");
    model->ssm_state_elements = state.ssm_elements;
    model->conv_state_elements = state.convolution_elements;
    if (state.ssm_elements > 0) model->ssm_state_element_bytes = strcmp(stated, "float32") == 0 ? 4 : 2;
}

/* The width of a dense FFN; what the file says where all layers have experts; none where each layer has its own. */
static uint32_t stated_width(const struct hf_shape *shape, const struct tally *tally)
{
    enum hf_plan plan = shape->class->plan;
    bool none = plan == PLAN_MAMBA || plan == PLAN_BLOCKS;
    if (none || (tally->dense == 0 && shape->keys[KEY_INTERMEDIATE] == 0)) return 0;
    return u32(tally->dense > 0 || shape->class->encoder ? shape->dense_width : shape->keys[KEY_INTERMEDIATE]);
}

static const char *note_of(const struct hf_shape *shape, const char *dtype_note)
{
    const char *unchecked = shape->class->checked || shape->class->encoder
                                ? ""
                                : "parameters counted from the shapes, not compared with a published total";
    if (!*unchecked || !*dtype_note) return *unchecked ? unchecked : dtype_note;
    return arena_printf(shape->source.arena, "%s; %s", unchecked, dtype_note);
}

static void fill_sizes(const struct hf_shape *shape, struct model *model)
{
    struct tally tally = tally_layers(shape);
    model->parameters = hf_count(shape, false);
    model->active_parameters = hf_count(shape, true);
    model->vision_parameters = hf_vision_count(shape);
    model->native_multimodal = hf_vision_profiled(shape);
    model->encoder_only = shape->class->encoder;
    model->layers = u32(shape->keys[KEY_LAYERS]);
    model->hidden_size = u32(shape->keys[KEY_HIDDEN]);
    model->intermediate_size = stated_width(shape, &tally);
    model->vocabulary_size = u32(shape->keys[KEY_VOCABULARY]);
    model->max_position_tokens = u32(shape->keys[KEY_MAX_POSITION]);
    model->tied_embeddings = shape->tied || shape->headless;
    model->mtp_layers = u32(shape->keys[KEY_PREDICTION_LAYERS]);
    fill_attention(shape, &tally, model);
    fill_experts(shape, &tally, model);
    fill_state(shape, model);
}

static enum status fill_texts(const struct hf_shape *shape, const char *id, struct model *model)
{
    struct arena *arena = shape->source.arena;
    const char *dtype_note = "";
    model->native_dtype = hf_dtype(&shape->source, &dtype_note, &model->weight_bits);
    model->id = arena_strdup(arena, id && *id ? id : "config.json");
    model->family = arena_strdup(arena, shape->model_type);
    model->architecture = arena_strdup(arena, shape->architecture);
    model->note = note_of(shape, dtype_note);
    model->source = "config.json";
    model->license = "";
    model->as_of = DATE_UNKNOWN;
    if (model->id && model->family && model->architecture && model->note) return STATUS_OK;
    return problems_add(shape->source.problems, STATUS_OUT_OF_MEMORY, shape->source.field, "no memory");
}

static enum status make_model(const json_t *top, const char *id, struct arena *arena, struct problems *problems,
                              const char *field, struct model *ret_model)
{
    struct hf_shape shape = {.source = {.field = field, .arena = arena, .problems = problems}};
    struct model model = {0};
    enum status status = hf_shape_read(&shape, top);
    if (status != STATUS_OK) return status;
    fill_sizes(&shape, &model);
    if (model.parameters > PARAMETERS_MAX) {
        return problems_add(problems, STATUS_MALFORMED_CONFIG, field,
                            "these sizes make %.3g parameters; at most %.0e are believed", model.parameters,
                            PARAMETERS_MAX);
    }
    status = fill_texts(&shape, id, &model);
    if (status == STATUS_OK) *ret_model = model;
    return status;
}

enum status hf_config_parse(const char *json, size_t length, const char *id, struct arena *arena,
                            struct problems *problems, const char *field, struct model *ret_model)
{
    json_t *top = NULL;
    enum status status = hf_text_load(json, length, problems, field, &top);
    if (status != STATUS_OK) return status;
    status = make_model(top, id, arena, problems, field, ret_model);
    json_decref(top);
    return status;
}
