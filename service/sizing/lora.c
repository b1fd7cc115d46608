/* lora.c owns the slots for LoRA adapters: an engine that serves them reserves max_loras times the largest rank on
 * every module that an adapter may target, whatever is loaded. Which factor is split over the ranks: vLLM lora/layers
 * (A of a row-parallel matrix, B of a column-parallel one; the other whole). */
#include "sizing/stage.h"

#include <string.h>

enum { ELEMENT_BYTES = 2 }; /* lora_dtype auto: the activations' 16 bits */

/* Elements per rank of the adapter: A reads the input, B writes the output. */
static double column_parallel(double in, double out, double tp)
{
    return in + out / tp;
}

static double row_parallel(double in, double out, double tp)
{
    return in / tp + out;
}

/* Queries, keys, values and output; MLA: both latents whole, their expansions split. */
static double attention_elements(const struct model *model, double tp)
{
    double hidden = model->hidden_size, heads = model->attention_heads;
    if (!model->kv_lora_rank) {
        double kv_heads = model->kv_heads ? model->kv_heads : 1;
        double kv_rows = ceil(kv_heads / tp) * model->head_dim, query_rows = heads * model->head_dim;
        return column_parallel(hidden, query_rows, tp) + 2 * (hidden + kv_rows) + row_parallel(query_rows, hidden, tp);
    }
    double query_rows = heads * ((double)model->qk_nope_head_dim + model->qk_rope_head_dim);
    double query = model->q_lora_rank
                       ? hidden + model->q_lora_rank + column_parallel(model->q_lora_rank, query_rows, tp)
                       : column_parallel(hidden, query_rows, tp);
    double latent = (double)model->kv_lora_rank + model->qk_rope_head_dim;
    double expanded = heads * ((double)model->qk_nope_head_dim + model->v_head_dim);
    return query + hidden + latent + column_parallel(model->kv_lora_rank, expanded, tp) +
           row_parallel(heads * model->v_head_dim, hidden, tp);
}

/* Gate, up and down of a SwiGLU. */
static double ffn_elements(const struct model *model, double width, double tp)
{
    return 2 * column_parallel(model->hidden_size, width, tp) + row_parallel(width, model->hidden_size, tp);
}

/* Every expert has its own; experts that are not sliced are spread over the ranks. */
static double experts_elements(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    bool whole = deployment->expert_parallel > 1;
    double count = whole ? ceil((double)model->experts / deployment->expert_parallel) : model->experts;
    return count * ffn_elements(model, model->moe_intermediate_size, whole ? 1 : deployment->tensor_parallel);
}

/* Of all layers. The projections of linear layers are not counted: their shapes are not kept here. */
static double layers_elements(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    double tp = deployment->tensor_parallel;
    double attending = (double)model->full_attention_layers + model->sliding_layers;
    double attention = (attending > 0 ? attending : model->layers) * attention_elements(model, tp);
    if (deployment->lora_targets == LORA_ATTENTION) return attention;
    double moe_layers = model->experts ? (double)model->layers - model->dense_layers : 0;
    double shared = model->shared_experts ? ffn_elements(model, model->shared_expert_intermediate_size, tp) : 0;
    return attention + (model->layers - moe_layers) * ffn_elements(model, model->intermediate_size, tp) +
           moe_layers * (shared + experts_elements(deployment));
}

/* Classes of vLLM that declare embedding_modules: embedding and head have slots too, both factors whole. */
static bool targets_embeddings(const struct deployment *deployment)
{
    static const char *const classes[] = {"LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM"};
    const char *architecture = deployment->model->architecture;
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (architecture && strcmp(architecture, classes[i]) == 0) return deployment->lora_targets == LORA_ALL_LINEAR;
    }
    return false;
}

double lora_rank_parameters(const struct model *model, enum lora_targets targets)
{
    const struct deployment whole = {.model = model, .tensor_parallel = 1, .lora_targets = targets};
    return layers_elements(&whole);
}

double stage_lora_bytes(const struct deployment *deployment, const struct stage *stage)
{
    if (!deployment->max_loras) return 0;
    const struct model *model = deployment->model;
    double elements = layers_elements(deployment) * stage->layer_ratio;
    if (targets_embeddings(deployment))
        elements += ((double)stage->first + stage->last) * ((double)model->vocabulary_size + model->hidden_size);
    return (double)deployment->max_loras * deployment->max_lora_rank * elements * ELEMENT_BYTES;
}
