/* draft.c owns what drafts tokens: how the engine runs its model, its weights, and what they keep in the KV cache. */
#include "sizing/stage.h"

struct deployment draft_deployment(const struct deployment *target)
{
    struct deployment draft = {
        .model = target->draft_model,
        .gpu = target->gpu,
        .engine = target->engine,
        .kv_dtype = target->kv_dtype,
        .link_gpus = target->link_gpus,
        .max_batched_tokens = target->max_batched_tokens,
        .max_sequences = target->max_sequences,
        .tensor_parallel = target->tensor_parallel,
        .pipeline_parallel = 1,
        .expert_parallel = 1,
    };
    if (!deployment_layout_valid(&draft)) draft.tensor_parallel = 1;
    deployment_default(&draft);
    return draft;
}

/* One dense decoder layer of the model's shape, 16 bit, and the projection of embedding and hidden state into its
 * width (EAGLE, arXiv 2401.15077); embedding and head are the model's own. */
static double eagle_bytes(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    double hidden = model->hidden_size, heads = model->attention_heads, head = model->head_dim;
    double width = model->intermediate_size ? model->intermediate_size
                                            : (double)model->moe_intermediate_size * model->experts_per_token;
    double attention = 2 * hidden * heads * head + 2 * hidden * model->kv_heads * head;
    return 2 * ((attention + 3 * hidden * width) / deployment->tensor_parallel + 2 * hidden * hidden + 4 * hidden);
}

/* The layers, and for each the projection of two hidden states into one with two norms (vLLM deepseek_mtp.py);
 * embedding and head are the model's own. */
static double mtp_bytes(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    double hidden = model->hidden_size;
    return weights_prediction_layers_bytes(deployment, model->mtp_layers) +
           model->mtp_layers * 2 * (2 * hidden * hidden + 3 * hidden);
}

double draft_weights_bytes(const struct deployment *deployment)
{
    static const struct stage whole = {.layer_ratio = 1, .first = true, .last = true};
    if (deployment->draft_kind == DRAFT_MTP) return mtp_bytes(deployment);
    if (deployment->draft_kind == DRAFT_EAGLE) return eagle_bytes(deployment);
    if (deployment->draft_kind != DRAFT_MODEL) return 0;
    struct deployment draft = draft_deployment(deployment);
    return stage_weights_bytes(&draft, &whole);
}

double draft_token_bytes(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    if (deployment->draft_kind == DRAFT_MTP) return model->mtp_layers * kv_token_layer_bytes(deployment);
    if (deployment->draft_kind == DRAFT_EAGLE) return kv_token_layer_bytes(deployment);
    if (deployment->draft_kind != DRAFT_MODEL) return 0;
    struct deployment draft = draft_deployment(deployment);
    double attending = (double)draft.model->full_attention_layers + draft.model->sliding_layers;
    return (attending > 0 ? attending : draft.model->layers) * kv_token_layer_bytes(&draft);
}
