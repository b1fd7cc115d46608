/* kv_cache.c owns the shape of the KV cache: what a token, a window and a state cost in the engine's allocator. */
#include "sizing/stage.h"

enum { STATE_CONVOLUTION_BYTES = 2, DEFAULT_STATE_BYTES = 2, INDEX_BLOCK = 128, SCALE_BYTES = 4 };

static double with_scales(double elements)
{
    return elements + elements / INDEX_BLOCK * SCALE_BYTES;
}

double kv_index_token_bytes(const struct model *model)
{
    return with_scales(model->index_head_dim);
}

/* Sparse MLA keeps the keys of its indexer in fp8 beside the latent; its fp8 latent has scales, and the rotary part
 * stays in 16 bits (vLLM deepseek_v2.py: 132 bytes for DeepSeek-V3.2; fp8_ds_mla: 656). */
static double sparse_token_bytes(const struct model *model, double element_bytes)
{
    double latent = model->kv_lora_rank, rotary = model->qk_rope_head_dim;
    double cache = element_bytes < 2 ? with_scales(latent) + 2 * rotary : (latent + rotary) * element_bytes;
    return cache + kv_index_token_bytes(model);
}

double kv_token_layer_bytes(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    double bytes = dtype_bits(deployment->kv_dtype) / 8;
    if (model->kv_lora_rank && model->index_head_dim) return sparse_token_bytes(model, bytes);
    if (model->kv_lora_rank) return ((double)model->kv_lora_rank + model->qk_rope_head_dim) * bytes;
    return 2 * ceil((double)model->kv_heads / deployment->tensor_parallel) * model->head_dim * bytes;
}

/* Bytes of one sequence's state in one linear layer of one rank. */
static double state_layer_bytes(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    if (!model->linear_layers) return 0;
    double element = model->ssm_state_element_bytes ? model->ssm_state_element_bytes : DEFAULT_STATE_BYTES;
    return (model->ssm_state_elements * element + model->conv_state_elements * STATE_CONVOLUTION_BYTES) /
           model->linear_layers / deployment->tensor_parallel;
}

/* Layers of one group: those of the rarest kind, or of the commonest when they are nearly as many (vLLM
 * v1/core/kv_cache_utils.py). */
static double group_layers(double full, double sliding, double linear)
{
    const double kinds[] = {full, sliding, linear};
    double least = INFINITY, most = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i] <= 0) continue;
        least = fmin(least, kinds[i]);
        most = fmax(most, kinds[i]);
    }
    return most < 1.25 * least ? most : least;
}

/* vLLM: layers of one kind form groups of equal size, the last one padded; a block belongs to one group. The page of
 * an attention layer grows until it holds the state of a linear layer. */
static void share_pool(struct kv_layout *layout, const struct stage *stage, double full, double sliding, double linear,
                       double token_bytes, double state_bytes)
{
    double group = group_layers(full, sliding, linear);
    if (linear > 0 && token_bytes > 0)
        layout->block_tokens *= fmax(1, ceil(state_bytes / (layout->block_tokens * token_bytes)));
    double page = token_bytes > 0 ? layout->block_tokens * token_bytes : state_bytes;
    layout->unit_bytes = page * ceil(group * stage->layer_ratio);
    layout->full_units = ceil(full / group);
    layout->sliding_units = ceil(sliding / group);
    layout->state_units = ceil(linear / group);
    layout->token_units = layout->full_units + layout->sliding_units + layout->state_units;
}

/* The other engines: a pool per kind of layer, so that nothing is padded; a unit is a block of one average layer. */
static void separate_pools(struct kv_layout *layout, const struct stage *stage, double full, double sliding,
                           double linear, double token_bytes, double state_bytes)
{
    double page = token_bytes > 0 ? layout->block_tokens * token_bytes : state_bytes;
    layout->unit_bytes = page * stage->layer_ratio;
    layout->full_units = full;
    layout->sliding_units = sliding;
    layout->state_units = page > 0 ? linear * state_bytes / page : 0;
    layout->token_units = token_bytes > 0 ? full + sliding : linear;
}

/* A file that states neither KV heads nor a state: the pool limits nothing. */
static struct kv_layout no_cache(const struct engine_coefs *coef)
{
    return (struct kv_layout){
        .unit_bytes = 1, .block_tokens = coef->kv_block_tokens, .state_units = 1, .token_units = 1};
}

/* The draft's layers cache every token of the context in blocks of the same pool. */
static void add_draft(struct kv_layout *layout, double token_bytes)
{
    double units = token_bytes * layout->block_tokens / layout->unit_bytes;
    layout->full_units += units;
    layout->token_units += units;
    layout->bytes_per_token += token_bytes;
}

struct kv_layout kv_layout_make(const struct deployment *deployment, const struct stage *stage)
{
    const struct model *model = deployment->model;
    const struct engine_coefs *coef = &deployment->engine->coef;
    double full = model->full_attention_layers, sliding = model->sliding_layers, linear = model->linear_layers;
    if (full + sliding + linear == 0) full = model->layers;
    if (!(coef->kv_windows_kept > 0)) {
        full += sliding;
        sliding = 0;
    }
    double window = (double)model->sliding_window_tokens + deployment->max_batched_tokens;
    double token_bytes = full + sliding > 0 ? kv_token_layer_bytes(deployment) : 0;
    double state_bytes = state_layer_bytes(deployment);
    bool shared = coef->kv_shared_groups > 0;
    struct kv_layout layout = {
        .block_tokens = coef->kv_block_tokens,
        .window_tokens = shared && !model->chunked ? window - 1 : window,
        .window_extra_blocks = shared && !model->chunked ? 1 : 0,
        .bytes_per_token = token_bytes * (full + sliding) * stage->layer_ratio,
        .state_bytes = state_bytes * linear * stage->layer_ratio,
    };
    (shared ? share_pool : separate_pools)(&layout, stage, full, sliding, linear, token_bytes, state_bytes);
    if (!(layout.unit_bytes > 0)) layout = no_cache(coef);
    add_draft(&layout, draft_token_bytes(deployment));
    return layout;
}

double kv_replica_token_bytes(const struct deployment *deployment)
{
    const struct stage whole = {.layers = deployment->model->layers, .layer_ratio = 1, .first = true, .last = true};
    return deployment->tensor_parallel * kv_layout_make(deployment, &whole).bytes_per_token;
}

double kv_layout_units(const struct kv_layout *layout, double tokens)
{
    double units = layout->full_units * ceil(tokens / layout->block_tokens) + layout->state_units;
    if (layout->sliding_units > 0)
        units += layout->sliding_units *
                 (ceil(fmin(layout->window_tokens, tokens) / layout->block_tokens) + layout->window_extra_blocks);
    return units;
}

double kv_layout_longest(const struct kv_layout *layout, double units, double limit_tokens)
{
    if (kv_layout_units(layout, limit_tokens) <= units) return limit_tokens;
    if (!(kv_layout_units(layout, 1) <= units)) return 0;
    double fits = 1, too_long = ceil(limit_tokens / layout->block_tokens); /* blocks */
    while (too_long - fits > 1) {
        double middle = floor((fits + too_long) / 2);
        if (kv_layout_units(layout, middle * layout->block_tokens) <= units)
            fits = middle;
        else
            too_long = middle;
    }
    return fits * layout->block_tokens;
}
