/* workload.c owns what one step of a model reads and computes, whatever the GPU. */
#include "sizing/roofline.h"
#include "sizing/stage.h"

/* Sparse attention reads the keys of its indexer for all of the context, and of the cache what those choose. */
static double attended_tokens(const struct model *model)
{
    return model->index_topk ? (double)model->index_topk : INFINITY;
}

/* Bytes of cache that one decode step reads for one request of `context` tokens. */
static double kv_read_bytes(const struct model *model, enum dtype kv_dtype, double context)
{
    double element_bytes = dtype_bits(kv_dtype) / 8;
    if (model->attention_kind == ATTENTION_MLA) {
        double latent_bytes = (model->kv_lora_rank + model->qk_rope_head_dim) * element_bytes;
        return model->layers *
               (smaller(context, attended_tokens(model)) * latent_bytes + context * kv_index_token_bytes(model));
    }
    double layer_bytes = 2.0 * model->kv_heads * model->head_dim * element_bytes;
    double window = smaller(context, larger(model->sliding_window_tokens, 1));
    return layer_bytes * (context * model->full_attention_layers + window * model->sliding_layers);
}

/* A state is read and written by every step; the convolution's is held in 16 bits. */
static double state_read_bytes(const struct model *model)
{
    return 2 * (model->ssm_state_elements * model->ssm_state_element_bytes + model->conv_state_elements * 2);
}

void workload_init(const struct deployment *deployment, double context, struct workload *ret_work)
{
    const struct model *model = deployment->model;
    bool moe = model_is_moe(model) && model->experts > model->experts_per_token;
    double active = moe ? model->active_parameters : model->parameters;
    double looked_up = model->tied_embeddings ? 0 : (double)model->vocabulary_size * model->hidden_size;
    double share = moe ? (double)model->experts_per_token / model->experts : 0;
    double experts = moe ? (model->parameters - active) / (1 - share) : 0;
    *ret_work = (struct workload){
        .layers = model->layers,
        .moe_layers = moe ? (double)model->layers - model->dense_layers : 0,
        .linear_layers = model->linear_layers,
        .latent_layers = model->attention_kind == ATTENTION_MLA ? model->layers : 0,
        .hidden = model->hidden_size,
        .dense_parameters = larger(model->parameters - experts - looked_up, 1e6),
        .expert_parameters = experts,
        .dense_active = larger(active - experts * share - looked_up, 1e6),
        .expert_active = experts * share,
        .expert_share = share,
        .attention_flops_per_token2 = 2.0 * model->full_attention_layers * model->attention_heads * model->head_dim,
        /* in 8 bits, at twice the rate of attention's */
        .index_flops_per_token2 = 0.5 * model->layers * model->index_heads * model->index_head_dim,
        .attended_tokens = attended_tokens(model),
        .scores_per_token2 = (double)model->full_attention_layers * model->attention_heads,
        .kv_read_bytes = kv_read_bytes(model, deployment->kv_dtype, context),
        .state_read_bytes = state_read_bytes(model),
    };
}

struct workload workload_head(const struct model *model, const struct workload *work)
{
    double output_head = (double)model->vocabulary_size * model->hidden_size;
    struct workload head = *work;
    head.layers = 1;
    head.moe_layers = smaller(1, work->moe_layers);
    head.linear_layers = 0;
    head.latent_layers = smaller(1, work->latent_layers);
    head.dense_parameters = larger(work->dense_parameters - output_head, 0) / work->layers + output_head;
    head.dense_active = larger(work->dense_active - output_head, 0) / work->layers + output_head;
    if (work->moe_layers > 0) {
        head.expert_parameters = work->expert_parameters / work->moe_layers;
        head.expert_active = work->expert_active / work->moe_layers;
    }
    head.attention_flops_per_token2 = work->attention_flops_per_token2 / work->layers;
    head.index_flops_per_token2 = work->index_flops_per_token2 / work->layers;
    head.scores_per_token2 = work->scores_per_token2 / work->layers;
    head.kv_read_bytes = work->kv_read_bytes / work->layers;
    head.state_read_bytes = 0;
    return head;
}
