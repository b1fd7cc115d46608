/* weights.c owns the bytes of the weights on one rank. */
#include "sizing/memory.h"
#include "sizing/stage.h"

#include <string.h>

enum { EMBEDDING_ROW_MULTIPLE = 64 }; /* vLLM pads the vocabulary so that kernels and ranks divide it */

/* Parameters by how engines place and store them. */
struct parts {
    double embedding;     /* one vocabulary × hidden matrix */
    double norms;         /* replicated, never quantised: norms and routers */
    double latent;        /* replicated: the MLA projections into the latent */
    double kv_projection; /* split by KV heads, replicated beyond them */
    double experts;       /* routed */
    double sharded;       /* everything else */
};

static double round_up(double value, double multiple)
{
    return ceil(value / multiple) * multiple;
}

static double routed_expert_parameters(const struct model *model)
{
    double idle = (double)model->experts - model->experts_per_token;
    double unread = model->parameters - model->active_parameters;
    return idle > 0 && unread > 0 && model->active_parameters > 0 ? unread * model->experts / idle : 0;
}

static struct parts split(const struct model *model)
{
    double layers = model->layers, hidden = model->hidden_size;
    double attention_layers = (double)model->full_attention_layers + model->sliding_layers;
    double moe_layers = model->experts ? layers - model->dense_layers : 0;
    bool mla = model->kv_lora_rank > 0;
    struct parts parts = {
        .embedding = (double)model->vocabulary_size * hidden,
        .norms = (2 * layers + 1) * hidden + moe_layers * hidden * model->experts,
        .latent =
            mla ? layers * hidden * ((double)model->q_lora_rank + model->kv_lora_rank + model->qk_rope_head_dim) : 0,
        .kv_projection = mla ? 0 : 2 * attention_layers * hidden * model->kv_heads * model->head_dim,
        .experts = routed_expert_parameters(model),
    };
    double placed = parts.embedding * (model->tied_embeddings ? 1 : 2) + parts.norms + parts.latent +
                    parts.kv_projection + parts.experts;
    parts.sharded = fmax(0, model->parameters - placed);
    return parts;
}

/* MXFP4 checkpoints of MoE models quantise the experts alone (gpt-oss); other formats every product. */
static double dense_bits(const struct model *model, enum dtype dtype)
{
    return dtype == DTYPE_MXFP4 && model->experts ? dtype_plain_bits(dtype) : dtype_bits(dtype);
}

double memory_weights_total_bytes(const struct model *model, enum dtype dtype)
{
    struct parts parts = split(model);
    double plain = parts.embedding * (model->tied_embeddings ? 1 : 2) + parts.norms + model->vision_parameters;
    return (plain * dtype_plain_bits(dtype) + parts.experts * dtype_bits(dtype) +
            (parts.latent + parts.kv_projection + parts.sharded) * dense_bits(model, dtype)) /
           8;
}

/* Share of the routed experts on one rank: sliced by tp, or whole ones spread by ep. Kernels for MXFP4 want padded
 * shapes: gpt-oss-20b takes 9 % more than its file at TP1, 12 % at TP2 (vLLM 0.19). */
static double expert_rank_ratio(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    const struct engine_coefs *coef = &deployment->engine->coef;
    bool whole = deployment->expert_parallel > 1;
    double ratio = whole ? ceil((double)model->experts / deployment->expert_parallel) / model->experts
                         : 1.0 / deployment->tensor_parallel;
    if (deployment->weight_dtype != DTYPE_MXFP4 || !model->moe_intermediate_size) return ratio;
    double slice = model->moe_intermediate_size / (whole ? 1.0 : deployment->tensor_parallel);
    return ratio * round_up(model->hidden_size, coef->expert_pad_hidden) / model->hidden_size *
           round_up(slice, coef->expert_pad_intermediate) / slice;
}

/* Tables of sines and cosines, 16 bit, for every position and each rope type, on every rank. Gemma 3 above 1B scales
 * positions of its full layers by 8 and keeps a second table for the sliding ones (its config.json: rope_scaling
 * linear 8, rope_local_base_freq). */
static double rotary_bytes(const struct model *model)
{
    if (!model->attention_heads) return 0;
    double dim = model->kv_lora_rank ? model->qk_rope_head_dim : model->head_dim;
    const char *architecture = model->architecture ? model->architecture : "";
    double tables = strcmp(architecture, "Gemma3ForConditionalGeneration") == 0 ? 8 + 1 : 1;
    return tables * model->max_position_tokens * dim * 2;
}

/* 16-bit copies of the up-projections that MLA decoding keeps in absorbed form. */
static double absorbed_bytes(const struct model *model)
{
    return 2.0 * model->layers * model->attention_heads * model->kv_lora_rank *
           ((double)model->qk_nope_head_dim + model->v_head_dim);
}

static double embedding_matrices(const struct model *model, const struct stage *stage)
{
    if (stage->first && stage->last) return model->tied_embeddings ? 1 : 2;
    return stage->first || stage->last ? 1 : 0;
}

double stage_weights_bytes(const struct deployment *deployment, const struct stage *stage)
{
    const struct model *model = deployment->model;
    enum dtype dtype = deployment->weight_dtype;
    double tp = deployment->tensor_parallel, plain = dtype_plain_bits(dtype) / 8, dense = dense_bits(model, dtype) / 8;
    struct parts parts = split(model);
    double kv_heads = model->kv_heads ? model->kv_heads : 1;
    double layers = parts.norms * plain + parts.latent * dense + parts.sharded * dense / tp +
                    parts.kv_projection * dense * ceil(kv_heads / tp) / kv_heads +
                    parts.experts * dtype_bits(dtype) / 8 * (model->experts ? expert_rank_ratio(deployment) : 0);
    double rows = round_up(model->vocabulary_size, EMBEDDING_ROW_MULTIPLE) / tp;
    double bytes = layers * stage->layer_ratio + embedding_matrices(model, stage) * rows * model->hidden_size * plain +
                   (stage->first ? model->vision_parameters * plain / tp : 0);
    if (is_known(deployment->weights_bytes))
        bytes *= deployment->weights_bytes / memory_weights_total_bytes(model, dtype);
    return bytes + absorbed_bytes(model) / tp * stage->layer_ratio + rotary_bytes(model);
}
