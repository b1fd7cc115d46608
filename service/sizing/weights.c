/* weights.c owns the bytes of the weights on one rank. */
#include "sizing/memory.h"
#include "sizing/stage.h"

#include <string.h>

enum { EMBEDDING_ROW_MULTIPLE = 64 }; /* vLLM pads the vocabulary so that kernels and ranks divide it */

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

/* Parameters by how engines place and store them. */
static struct stored_weights count_parts(const struct model *model)
{
    double layers = model->layers, hidden = model->hidden_size;
    double attention_layers = (double)model->full_attention_layers + model->sliding_layers;
    double moe_layers = model->experts ? layers - model->dense_layers : 0;
    bool mla = model->kv_lora_rank > 0;
    struct stored_weights parts = {
        .embedding = (double)model->vocabulary_size * hidden,
        .head = model->tied_embeddings ? 0 : (double)model->vocabulary_size * hidden,
        .norms = (2 * layers + 1) * hidden + moe_layers * hidden * model->experts,
        .latent =
            mla ? layers * hidden * ((double)model->q_lora_rank + model->kv_lora_rank + model->qk_rope_head_dim) : 0,
        .kv_projection = mla ? 0 : 2 * attention_layers * hidden * model->kv_heads * model->head_dim,
        .experts = routed_expert_parameters(model),
        .vision = model->vision_parameters,
    };
    double placed = parts.embedding + parts.head + parts.norms + parts.latent + parts.kv_projection + parts.experts;
    parts.sharded = fmax(0, model->parameters - placed);
    return parts;
}

/* The published format, or another 16-bit one: what the checkpoint says about its tensors holds. */
static bool is_published(const struct model *model, enum dtype dtype)
{
    return dtype_bits(dtype) == dtype_bits(model->native_dtype);
}

/* Bits of a quantised weight, and of the layers outside the experts: MXFP4 checkpoints of MoE models quantise the
 * experts alone (gpt-oss), other formats every product. */
static double weight_bits(const struct model *model, enum dtype dtype)
{
    return model->weight_bits > 0 && is_published(model, dtype) ? model->weight_bits : dtype_layer_bits(dtype);
}

static double dense_bits(const struct model *model, enum dtype dtype)
{
    return dtype == DTYPE_MXFP4 && model->experts ? dtype_plain_bits(dtype) : weight_bits(model, dtype);
}

/* Bytes of each part: as the tensors say, else counted. A tied embedding is stored as the head. */
static struct stored_weights part_bytes(const struct model *model, enum dtype dtype)
{
    if (stored_weights_sum(&model->stored) > 0 && is_published(model, dtype)) return model->stored;
    struct stored_weights parts = count_parts(model);
    double dense = dense_bits(model, dtype) / 8, plain = dtype_plain_bits(dtype) / 8;
    return (struct stored_weights){
        .embedding =
            parts.embedding * (model->tied_embeddings ? dtype_head_bits(dtype) : dtype_embedding_bits(dtype)) / 8,
        .head = parts.head * dtype_head_bits(dtype) / 8,
        .norms = parts.norms * plain,
        .latent = parts.latent * dense,
        .kv_projection = parts.kv_projection * dense,
        .experts = parts.experts * weight_bits(model, dtype) / 8,
        .sharded = parts.sharded * dense,
        .vision = parts.vision * fmin(plain, 2), /* a tower is a file of its own beside GGUF, in 16 bits */
    };
}

double memory_weights_total_bytes(const struct model *model, enum dtype dtype)
{
    struct stored_weights parts = part_bytes(model, dtype);
    return stored_weights_sum(&parts);
}

/* Parts in fewer than 16 bits count as quantised, and the format's scales are a share of them; in a checkpoint whose
 * own bits are known it is these that hold the scales. */
static void split_part(struct weights_split *split, const struct model *model, enum dtype dtype, double bytes,
                       double bits)
{
    if (bits >= 16) {
        split->unquantised_bytes += bytes;
        return;
    }
    double payload_bits = dtype_layer_bits(dtype) - dtype_scale_bits(dtype);
    bool stated = model->weight_bits > 0 && is_published(model, dtype);
    double scale_bits = stated ? fmax(0, bits - payload_bits) : dtype_scale_bits(dtype);
    split->scales_bytes += bytes * scale_bits / bits;
    split->quantised_bytes += bytes * (1 - scale_bits / bits);
}

struct weights_split memory_weights_split(const struct model *model, enum dtype dtype)
{
    struct stored_weights parts = part_bytes(model, dtype);
    struct weights_split split = {0, 0, 0};
    double plain = dtype_plain_bits(dtype), dense = dense_bits(model, dtype);
    double embedding = model->tied_embeddings ? dtype_head_bits(dtype) : dtype_embedding_bits(dtype);
    split_part(&split, model, dtype, parts.norms + parts.vision, plain);
    split_part(&split, model, dtype, parts.embedding, embedding);
    split_part(&split, model, dtype, parts.head, dtype_head_bits(dtype));
    split_part(&split, model, dtype, parts.latent + parts.kv_projection + parts.sharded, dense);
    split_part(&split, model, dtype, parts.experts, weight_bits(model, dtype));
    return split;
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

/* Elements of the tables of sines and cosines for every position and each rope type, on every rank. Gemma 3 above 1B
 * scales positions of its full layers by 8 and keeps a second table for the sliding ones (its config.json: rope_scaling
 * linear 8, rope_local_base_freq). */
static double rotary_elements(const struct model *model)
{
    if (!model->attention_heads) return 0;
    double dim = model->kv_lora_rank ? model->qk_rope_head_dim : model->head_dim;
    const char *architecture = model->architecture ? model->architecture : "";
    double tables = strcmp(architecture, "Gemma3ForConditionalGeneration") == 0 ? 8 + 1 : 1;
    return tables * model->max_position_tokens * dim;
}

/* 16-bit copies of the up-projections that MLA decoding keeps in absorbed form. */
static double absorbed_bytes(const struct model *model)
{
    return 2.0 * model->layers * model->attention_heads * model->kv_lora_rank *
           ((double)model->qk_nope_head_dim + model->v_head_dim);
}

/* llama.cpp looks tokens up in host memory; a tied matrix is copied to the GPU as the head. */
static double end_bytes(const struct deployment *deployment, const struct stage *stage,
                        const struct stored_weights *parts)
{
    bool untied = parts->head > 0;
    double embedding = stage->first && !deployment_embeds_on_host(deployment) ? parts->embedding : 0;
    double head = stage->last ? untied ? parts->head : embedding > 0 ? 0 : parts->embedding : 0;
    return embedding + head;
}

static double layers_bytes(const struct deployment *deployment, const struct stored_weights *parts)
{
    const struct model *model = deployment->model;
    double kv_heads = model->kv_heads ? model->kv_heads : 1, tp = deployment->tensor_parallel;
    return parts->norms + parts->latent + parts->sharded / tp + parts->kv_projection * ceil(kv_heads / tp) / kv_heads +
           (model->experts ? parts->experts * expert_rank_ratio(deployment) : 0);
}

struct stage_weights stage_weights_make(const struct deployment *deployment, const struct stage *stage)
{
    const struct model *model = deployment->model;
    double tp = deployment->tensor_parallel, known_ratio = 1;
    struct stored_weights parts = part_bytes(model, deployment->weight_dtype);
    if (is_known(deployment->weights_bytes)) known_ratio = deployment->weights_bytes / stored_weights_sum(&parts);
    double rows = round_up(model->vocabulary_size, EMBEDDING_ROW_MULTIPLE) / model->vocabulary_size;
    double element_bytes = deployment->weight_dtype == DTYPE_FP32 ? 4 : 2;
    struct stage_weights weights = {
        .layers_bytes = known_ratio * layers_bytes(deployment, &parts) * stage->layer_ratio,
        .ends_bytes =
            known_ratio * (end_bytes(deployment, stage, &parts) * rows + (stage->first ? parts.vision : 0)) / tp,
        .buffers_bytes = absorbed_bytes(model) / tp * stage->layer_ratio + rotary_elements(model) * element_bytes,
    };
    double host_bytes = deployment->gpu->host.unified ? 0 : deployment->cpu_offload_gib * GIB;
    weights.offloaded_bytes = fmin(host_bytes, weights.layers_bytes);
    return weights;
}

double stage_weights_bytes(const struct deployment *deployment, const struct stage *stage)
{
    struct stage_weights weights = stage_weights_make(deployment, stage);
    return stage_weights_resident(&weights);
}

double weights_prediction_layers_bytes(const struct deployment *deployment, double layers)
{
    const struct model *model = deployment->model;
    struct stored_weights parts = part_bytes(model, deployment->weight_dtype);
    double experts = parts.experts, moe_layers = fmax(1, (double)model->layers - model->dense_layers);
    parts.experts = 0;
    double dense = layers_bytes(deployment, &parts) / model->layers;
    double routed = model->experts ? experts * expert_rank_ratio(deployment) / moe_layers : 0;
    return layers * (dense + routed);
}
