/* hf_count.c owns the weights and the states that follow from the shapes: one small function for each kind of part.
 * Sources of the formulas: the parameter lists of the classes in Hugging Face transformers. */
#include "hf/hf_shape.h"

#include <math.h>

static double key(const struct hf_shape *shape, enum hf_key name)
{
    return (double)shape->keys[name];
}

static double linear(double rows, double columns, bool bias)
{
    return rows * columns + (bias ? rows : 0.0);
}

/* Multi-head latent attention: queries, keys and values through low ranks, and the sparse indexer of V3.2. */
static double latent_attention(const struct hf_shape *shape)
{
    double hidden = key(shape, KEY_HIDDEN), heads = key(shape, KEY_HEADS);
    double rank = key(shape, KEY_KV_LORA), rope = key(shape, KEY_ROPE_DIM), nope = key(shape, KEY_NOPE_DIM);
    double value = key(shape, KEY_V_DIM), query_rank = key(shape, KEY_Q_LORA);
    double query_rows = heads * (nope + rope);
    double query = query_rank > 0 ? query_rank * hidden + query_rank + query_rows * query_rank : query_rows * hidden;
    double total = query + (rank + rope) * hidden + rank + heads * (nope + value) * rank + hidden * heads * value;
    if (shape->keys[KEY_INDEX_HEADS] > 0) {
        double index_heads = key(shape, KEY_INDEX_HEADS), index_dim = key(shape, KEY_INDEX_DIM);
        total += index_heads * index_dim * query_rank + index_dim * hidden + 2.0 * index_dim + index_heads * hidden;
    }
    return total;
}

static double query_key_norm(const struct hf_shape *shape, double kv_heads)
{
    const struct hf_class *class = shape->class;
    double head = key(shape, KEY_HEAD_DIM);
    if (class->qk_norm_if != FLAG_UNSET && !hf_flag(shape, class->qk_norm_if, FLAG_NEVER)) return 0.0;
    if (class->qk_norm == QK_NORM_HEAD) return 2.0 * head;
    return class->qk_norm == QK_NORM_WIDTH ? (key(shape, KEY_HEADS) + kv_heads) * head : 0.0;
}

static double attention(const struct hf_shape *shape, const struct hf_layer *layer)
{
    if (shape->keys[KEY_KV_LORA] > 0) return latent_attention(shape);
    const struct hf_class *class = shape->class;
    double hidden = key(shape, KEY_HIDDEN), heads = key(shape, KEY_HEADS), head = key(shape, KEY_HEAD_DIM);
    double kv_heads = (double)layer->kv_heads, value = key(shape, KEY_V_DIM);
    bool gate = class->output_gate || hf_flag(shape, FLAG_OUTPUT_GATE, FLAG_NEVER);
    bool bias = hf_flag(shape, class->qkv_bias, FLAG_ATTENTION_BIAS);
    bool out_bias = hf_flag(shape, class->out_bias, FLAG_ATTENTION_BIAS);
    double total = linear(heads * head * (gate ? 2.0 : 1.0), hidden, bias) + linear(kv_heads * head, hidden, bias) +
                   linear(kv_heads * value, hidden, bias) + linear(hidden, heads * value, out_bias);
    return total + query_key_norm(shape, kv_heads) + (class->sinks ? heads : 0.0);
}

/* Mllama's attention to the image: norms of q and k, and two gates. */
static double cross_attention(const struct hf_shape *shape, const struct hf_layer *layer)
{
    return attention(shape, layer) + 2.0 * key(shape, KEY_HEAD_DIM) + 2.0;
}

struct part {
    double weights;
    struct hf_state state;
};

/* The width of a Mamba-1 layer: stated (falcon-mamba, whose expand is inert), else expand times hidden. */
static double mamba1_width(const struct hf_shape *shape)
{
    bool stated = shape->class->plan == PLAN_MAMBA && shape->keys[KEY_INTERMEDIATE] > 0;
    return stated ? key(shape, KEY_INTERMEDIATE) : key(shape, KEY_SSM_EXPAND) * key(shape, KEY_HIDDEN);
}

static struct part mamba1(const struct hf_shape *shape)
{
    double hidden = key(shape, KEY_HIDDEN), width = mamba1_width(shape), state = key(shape, KEY_SSM_STATE);
    double kernel = key(shape, KEY_SSM_CONVOLUTION);
    double rank = shape->keys[KEY_SSM_RANK] > 0 ? key(shape, KEY_SSM_RANK) : ceil(hidden / 16.0);
    double weights = 2.0 * width * hidden + width * kernel + width + width * (rank + 2.0 * state) + rank * width +
                     width + width * state + width + hidden * width;
    if (shape->class->plan == PLAN_JAMBA) weights += rank + 2.0 * state; /* norms of dt, B and C */
    return (struct part){weights, {width * state, width * (kernel - 1.0)}};
}

static struct part mamba2(const struct hf_shape *shape)
{
    double hidden = key(shape, KEY_HIDDEN), heads = key(shape, KEY_SSM_HEADS), head = key(shape, KEY_SSM_HEAD_DIM);
    double groups = key(shape, KEY_SSM_GROUPS), state = key(shape, KEY_SSM_STATE);
    double kernel = key(shape, KEY_SSM_CONVOLUTION), width = heads * head;
    double convolved = width + 2.0 * groups * state;
    double weights =
        (width + convolved + heads) * hidden + convolved * kernel + convolved + 3.0 * heads + width + hidden * width;
    return (struct part){weights, {width * state, convolved * (kernel - 1.0)}};
}

/* Gated delta rule of Qwen3-Next and Qwen3.5. */
static struct part delta(const struct hf_shape *shape)
{
    double hidden = key(shape, KEY_HIDDEN), key_heads = key(shape, KEY_DELTA_KEY_HEADS);
    double value_heads = key(shape, KEY_DELTA_VALUE_HEADS), key_dim = key(shape, KEY_DELTA_KEY_DIM);
    double value_dim = key(shape, KEY_DELTA_VALUE_DIM), kernel = key(shape, KEY_DELTA_CONVOLUTION);
    double width = value_heads * value_dim, convolved = 2.0 * key_heads * key_dim + width;
    double weights = (convolved + width) * hidden + 2.0 * value_heads * hidden + convolved * kernel +
                     2.0 * value_heads + value_dim + hidden * width;
    return (struct part){weights, {width * key_dim, convolved * (kernel - 1.0)}};
}

static struct part convolution(const struct hf_shape *shape)
{
    double hidden = key(shape, KEY_HIDDEN), kernel = key(shape, KEY_SHORT_CONVOLUTION);
    return (struct part){4.0 * hidden * hidden + hidden * kernel, {0.0, hidden * (kernel - 1.0)}};
}

static struct part mixer(const struct hf_shape *shape, const struct hf_layer *layer)
{
    switch (layer->mixer) {
    case MIXER_FULL:
    case MIXER_SLIDING: return (struct part){.weights = attention(shape, layer)};
    case MIXER_CROSS: return (struct part){.weights = cross_attention(shape, layer)};
    case MIXER_MAMBA1: return mamba1(shape);
    case MIXER_MAMBA2: return mamba2(shape);
    case MIXER_DELTA: return delta(shape);
    case MIXER_CONVOLUTION: return convolution(shape);
    case MIXER_NONE:
    case MIXER_COUNT: break;
    }
    return (struct part){0};
}

static double feed_forward(const struct hf_shape *shape, double width, double hidden, bool bias)
{
    double up_count = shape->class->plain_ffn ? 1.0 : 2.0;
    return up_count * linear(width, hidden, bias) + linear(hidden, width, bias);
}

/* Experts (in a latent width if there is one), their router, and the shared expert. */
static double experts(const struct hf_shape *shape, bool active)
{
    const struct hf_class *class = shape->class;
    double hidden = key(shape, KEY_HIDDEN), latent = key(shape, KEY_LATENT), count = key(shape, KEY_EXPERTS);
    double width = (double)shape->expert_width, inner = latent > 0 ? latent : hidden;
    double one = feed_forward(shape, width, inner, class->expert_bias);
    double total = (active ? key(shape, KEY_TOP_K) : count) * one + count * hidden + 2.0 * latent * hidden;
    if (shape->router_bias) total += count;
    if (shape->shared_width == 0) return total;
    total += feed_forward(shape, (double)shape->shared_width, hidden, false);
    return total + (class->shared_gate ? hidden : 0.0);
}

static double norms(const struct hf_shape *shape, const struct hf_layer *layer)
{
    bool parallel = hf_flag(shape, FLAG_PARALLEL_ATTENTION, FLAG_NEVER);
    bool new_decoder = hf_flag(shape, FLAG_NEW_DECODER, FLAG_NEVER);
    switch (shape->class->norms) {
    case NORMS_TWO: return 2.0;
    case NORMS_NONE: return 0.0;
    case NORMS_ONE: return 1.0;
    case NORMS_FOUR: return 4.0;
    case NORMS_PRESENT: return (layer->mixer != MIXER_NONE) + (layer->ffn != FFN_NONE);
    case NORMS_FALCON: return new_decoder || !parallel ? 2.0 : 1.0;
    }
    return 2.0;
}

static double norm_width(const struct hf_shape *shape)
{
    return key(shape, KEY_HIDDEN) * (shape->class->norm_bias ? 2.0 : 1.0);
}

static double layer_count(const struct hf_shape *shape, const struct hf_layer *layer, bool active)
{
    bool bias = hf_flag(shape, shape->class->ffn_bias, FLAG_FFN_BIAS);
    double hidden = key(shape, KEY_HIDDEN), total = mixer(shape, layer).weights;
    if (layer->ffn == FFN_DENSE) total += feed_forward(shape, (double)layer->ffn_width, hidden, bias);
    if (layer->ffn == FFN_MOE) total += experts(shape, active);
    if (layer->ffn == FFN_SHARED) total += feed_forward(shape, (double)shape->shared_width, hidden, false);
    return total + norms(shape, layer) * norm_width(shape);
}

static double embeddings(const struct hf_shape *shape)
{
    const struct hf_class *class = shape->class;
    double hidden = key(shape, KEY_HIDDEN), vocabulary = key(shape, KEY_VOCABULARY);
    double total = vocabulary * hidden * (shape->tied || shape->headless ? 1.0 : 2.0);
    if (class->positions == POSITIONS_LEARNED) total += key(shape, KEY_MAX_POSITION) * hidden;
    if (class->positions == POSITIONS_LEARNED_2) total += (key(shape, KEY_MAX_POSITION) + 2.0) * hidden;
    if (class->embedding_norm) total += norm_width(shape);
    if (class->head_bias || hf_flag(shape, FLAG_HEAD_BIAS, FLAG_NEVER)) total += vocabulary;
    if (class->plan == PLAN_CROSS) total += 8.0 * hidden; /* the image token's rows, in the input table only */
    return total;
}

/* BERT: absolute positions, types, post-norms and a pooler. */
static double encoder_count(const struct hf_shape *shape)
{
    double hidden = key(shape, KEY_HIDDEN), width = (double)shape->dense_width;
    double tables = key(shape, KEY_VOCABULARY) + key(shape, KEY_MAX_POSITION) + key(shape, KEY_TYPE_VOCABULARY);
    double layer =
        4.0 * linear(hidden, hidden, true) + linear(width, hidden, true) + linear(hidden, width, true) + 4.0 * hidden;
    return tables * hidden + 2.0 * hidden + key(shape, KEY_LAYERS) * layer + linear(hidden, hidden, true);
}

double hf_count(const struct hf_shape *shape, bool active)
{
    if (shape->class->encoder) return encoder_count(shape);
    double total = embeddings(shape);
    for (int64_t i = 0; i < shape->keys[KEY_LAYERS]; i++)
        total += layer_count(shape, &shape->layers[i], active);
    return total + (shape->class->norms == NORMS_NONE ? 0.0 : norm_width(shape));
}

struct hf_state hf_count_state(const struct hf_shape *shape)
{
    struct hf_state total = {0};
    for (int64_t i = 0; i < shape->keys[KEY_LAYERS]; i++) {
        struct part part = mixer(shape, &shape->layers[i]);
        total.ssm_elements += part.state.ssm_elements;
        total.convolution_elements += part.state.convolution_elements;
    }
    return total;
}
