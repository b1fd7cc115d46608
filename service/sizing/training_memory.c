/* training_memory.c owns the memory of the fullest rank of a training run. */
#include "sizing/roofline.h"
#include "sizing/training.h"

/* Parameters of the model by how they are divided. */
struct parts {
    double experts, layers; /* layers: the other parameters of all layers */
    double embedding, head; /* head: 0 if tied */
};

static struct parts parts_of(const struct model *model)
{
    const struct deployment deployment = {.model = model, .kv_dtype = DTYPE_BF16};
    struct workload work;
    workload_init(&deployment, 1, &work);
    double embedding = (double)model->vocabulary_size * model->hidden_size;
    struct parts parts = {.experts = work.expert_parameters, .embedding = embedding};
    parts.head = model->tied_embeddings ? 0 : embedding;
    parts.layers = larger(model->parameters - parts.experts - parts.embedding - parts.head, 0);
    return parts;
}

static double share_of_stage(const struct training_setup *setup)
{
    double layers = setup->model->layers;
    return ceil(layers / setup->pipeline_parallel) / layers;
}

/* Experts are spread over the ranks of expert parallelism, or sliced as everything else is. */
static double expert_ranks(const struct training_setup *setup)
{
    return setup->expert_parallel > 1 ? setup->expert_parallel : setup->tensor_parallel;
}

/* What one rank has of the model before anything is sharded: dense parameters and experts apart, since the ranks that
 * hold copies of them differ in number. */
struct slice {
    double dense, experts;
    double dense_copies, expert_copies;
};

static struct slice slice_of(const struct training_setup *setup)
{
    struct parts parts = parts_of(setup->model);
    double ends = setup->pipeline_parallel > 1 ? larger(parts.embedding, parts.head) : parts.embedding + parts.head;
    double ranks = setup->gpus / ((double)setup->pipeline_parallel * expert_ranks(setup));
    return (struct slice){
        .dense = (parts.layers * share_of_stage(setup) + ends) / setup->tensor_parallel,
        .experts = parts.experts * share_of_stage(setup) / expert_ranks(setup),
        .dense_copies = training_data_parallel(setup) * setup->context_parallel,
        .expert_copies = larger(ranks, 1),
    };
}

/* What each kind of sharding divides; hybrid shards inside a host. */
struct sharded {
    bool optimizer, gradients, weights;
};
static const struct sharded shardings[SHARDING_COUNT] = {
    [SHARDING_DDP] = {false, false, false}, [SHARDING_ZERO1] = {true, false, false},
    [SHARDING_ZERO2] = {true, true, false}, [SHARDING_ZERO3] = {true, true, true},
    [SHARDING_FSDP] = {true, true, true},   [SHARDING_FSDP_HYBRID] = {true, true, true},
};

/* Parameters of the slice that stay on one rank. */
static double held(const struct training_setup *setup, const struct slice *slice, bool sharded)
{
    if (!sharded) return slice->dense + slice->experts;
    double most = setup->sharding == SHARDING_FSDP_HYBRID ? (double)setup->host_gpus : INFINITY;
    return slice->dense / smaller(slice->dense_copies, most) + slice->experts / smaller(slice->expert_copies, most);
}

static bool is_frozen(const struct training_setup *setup)
{
    return setup->method == TRAINING_LORA || setup->method == TRAINING_QLORA;
}

/* --- activations ------------------------------------------------------------------------------------------------ */

/* Bytes that one layer keeps for each token in 16 bits: of its norms and sums, which tensor parallelism alone does not
 * divide; of attention; of the FFN. Recomputing selectively keeps the inputs of the products alone, not what norms and
 * the FFN's activation made of them (Megatron Core's recompute modules layernorm and mlp_act), nor the scores. */
struct kept {
    double sums, attention, ffn, scores;
};

/* Queries and the output, keys and values; of latent attention, with both latents. */
static double attention_bytes(const struct model *model)
{
    double heads = model->attention_heads;
    if (!model->kv_lora_rank) return 4 * heads * model->head_dim + 4.0 * model->kv_heads * model->head_dim;
    double keys = (double)model->qk_nope_head_dim + model->qk_rope_head_dim;
    double latents = (double)model->kv_lora_rank + model->qk_rope_head_dim + model->q_lora_rank;
    return 2 * (heads * (2 * keys + 2.0 * model->v_head_dim) + latents);
}

/* Gate, up, activation and product of the FFNs that a token goes through, averaged over the layers; tokens are copied
 * once for each of their experts, on the way there and back. */
static double ffn_elements(const struct model *model)
{
    double moe_layers = model->experts ? (double)model->layers - model->dense_layers : 0;
    double routed = (double)model->experts_per_token * model->moe_intermediate_size;
    double shared = model->shared_experts ? model->shared_expert_intermediate_size : 0;
    double dense = ((double)model->layers - moe_layers) * model->intermediate_size;
    return (dense + moe_layers * (routed + shared)) / model->layers;
}

static double copied_bytes(const struct model *model)
{
    double moe_layers = model->experts ? (double)model->layers - model->dense_layers : 0;
    return 4.0 * model->experts_per_token * model->hidden_size * moe_layers / model->layers;
}

static struct kept kept_of(const struct training_setup *setup, bool selective)
{
    const struct model *model = setup->model;
    double scores = setup->flash_attention || selective ? 0 : 5.0 * model->attention_heads * setup->sequence_tokens;
    return (struct kept){
        .sums = (selective ? 4.0 : 8.0) * model->hidden_size,
        .attention = attention_bytes(model),
        .ffn = (selective ? 4 : 8) * ffn_elements(model) + copied_bytes(model),
        .scores = scores,
    };
}

static double layer_bytes_per_token(const struct training_setup *setup, bool selective)
{
    struct kept kept = kept_of(setup, selective);
    double tp = setup->tensor_parallel, sums_over = setup->sequence_parallel ? tp : 1;
    double frozen_ratio = is_frozen(setup) ? setup->profile->coef.frozen_activation_ratio : 1;
    double width_ratio = setup->precision == PRECISION_FP32 ? 2 : 1;
    return frozen_ratio * width_ratio * (kept.sums / sums_over + (kept.attention + kept.ffn + kept.scores) / tp);
}

static double tokens_of_rank(const struct training_setup *setup)
{
    return setup->sequence_tokens * setup->micro_batch_sequences / setup->context_parallel;
}

/* The input of every layer, and one layer as if nothing was recomputed: what the backward pass makes again. */
static double recomputed_bytes(const struct training_setup *setup, double layers)
{
    double width_ratio = setup->precision == PRECISION_FP32 ? 2 : 1;
    double over = setup->sequence_parallel ? setup->tensor_parallel : 1;
    return 2 * width_ratio * setup->model->hidden_size / over * layers + layer_bytes_per_token(setup, false);
}

/* The first stage of 1F1B has a micro-batch in flight for each stage; interleaving adds (p - 1) / (p v) (Korthikanti
 * et al. 2022). */
static double in_flight(const struct training_setup *setup)
{
    double stages = setup->pipeline_parallel, chunks = setup->virtual_stages;
    double most = smaller(stages, setup->micro_batches);
    return most * (chunks > 1 ? 1 + (stages - 1) / (stages * chunks) : 1);
}

static double activations_bytes(const struct training_setup *setup, double flight)
{
    double layers = setup->model->layers * share_of_stage(setup), per_token;
    if (setup->recompute == RECOMPUTE_FULL)
        per_token = recomputed_bytes(setup, layers * flight);
    else
        per_token = layers * flight * layer_bytes_per_token(setup, setup->recompute == RECOMPUTE_SELECTIVE);
    return per_token * tokens_of_rank(setup);
}

static double logits_bytes(const struct training_setup *setup)
{
    const struct training_coefs *coef = &setup->profile->coef;
    double bytes = setup->fused_loss ? coef->fused_logit_bytes : coef->full_logit_bytes;
    return bytes * tokens_of_rank(setup) * setup->model->vocabulary_size / setup->tensor_parallel;
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

struct places {
    bool weights, optimizer, nvme;
};
static const struct places places[] = {
    [OFFLOAD_NONE] = {false, false, false},  [OFFLOAD_CPU_OPTIMIZER] = {false, true, false},
    [OFFLOAD_CPU_ALL] = {true, true, false}, [OFFLOAD_NVME_OPTIMIZER] = {false, true, true},
    [OFFLOAD_NVME_ALL] = {true, true, true},
};

static double weight_bytes_each(const struct training_setup *setup)
{
    const struct training_coefs *coef = &setup->profile->coef;
    double plain = training_parameter_bytes(setup->precision, setup->optimizer).weights;
    if (is_frozen(setup)) plain = smaller(plain, setup->precision == PRECISION_FP32 ? 4 : 2);
    return setup->method == TRAINING_QLORA ? coef->frozen_weight_bits / 8 : plain;
}

/* Frozen weights in 4 bits leave the embedding and the head in 16. */
static double plain_ends_bytes(const struct training_setup *setup, double held_ratio)
{
    if (setup->method != TRAINING_QLORA) return 0;
    struct parts parts = parts_of(setup->model);
    double ends = setup->pipeline_parallel > 1 ? larger(parts.embedding, parts.head) : parts.embedding + parts.head;
    return ends / setup->tensor_parallel * held_ratio * (2 - weight_bytes_each(setup));
}

/* Sharded or offloaded weights are brought back layer by layer, in 16 bits (or 32); the embedding with them. */
static double gathered_bytes(const struct training_setup *setup, const struct slice *slice, double dense_held)
{
    const struct model *model = setup->model;
    bool away = places[setup->offload].weights;
    if (!away && !(shardings[setup->sharding].weights && dense_held < slice->dense)) return 0;
    struct parts parts = parts_of(model);
    double layer = (parts.layers / setup->tensor_parallel + parts.experts / expert_ranks(setup)) / model->layers;
    double element_bytes = setup->precision == PRECISION_FP32 ? 4 : 2;
    return element_bytes * (setup->profile->coef.gathered_layers * layer + parts.embedding / setup->tensor_parallel);
}

/* Adapters, which are small, are held whole on every rank unless everything is sharded. */
static double trained_held(const struct training_setup *setup, const struct slice *slice, bool sharded)
{
    if (!is_frozen(setup)) return held(setup, slice, sharded);
    double rank_share = share_of_stage(setup) / setup->tensor_parallel;
    return training_trained_parameters(setup) * rank_share / (sharded ? larger(slice->dense_copies, 1) : 1);
}

static void size_states(const struct training_setup *setup, struct training_memory *memory)
{
    struct slice slice = slice_of(setup);
    const struct sharded *sharded = &shardings[setup->sharding];
    struct training_bytes each = training_parameter_bytes(setup->precision, setup->optimizer);
    double weights = held(setup, &slice, sharded->weights);
    memory->weights_bytes =
        weights * weight_bytes_each(setup) + plain_ends_bytes(setup, weights / (slice.dense + slice.experts));
    if (is_frozen(setup)) memory->weights_bytes += trained_held(setup, &slice, sharded->weights) * each.weights;
    memory->gradients_bytes = trained_held(setup, &slice, sharded->gradients) * each.gradients;
    memory->optimizer_bytes = trained_held(setup, &slice, sharded->optimizer) * (each.master + each.moments);
    memory->gathered_bytes = gathered_bytes(setup, &slice, held(setup, &slice, sharded->weights) - slice.experts);
}

/* What is offloaded goes to the host, gradients with the optimizer; buffers there are half as much again (DeepSpeed's
 * estimator). */
static void move_states(const struct training_setup *setup, struct training_memory *memory)
{
    const struct places *place = &places[setup->offload];
    if (!place->optimizer) return;
    double moved = memory->optimizer_bytes + memory->gradients_bytes;
    memory->optimizer_bytes = memory->gradients_bytes = 0;
    if (place->weights) {
        moved += memory->weights_bytes;
        memory->weights_bytes = 0;
    }
    double ranks = smaller(setup->host_gpus, setup->gpus);
    if (place->nvme) memory->nvme_bytes = moved * ranks;
    memory->host_bytes =
        (place->nvme ? memory->gathered_bytes : moved * setup->profile->coef.host_memory_ratio) * ranks;
}

static double states_bytes(const struct training_memory *memory)
{
    return memory->weights_bytes + memory->gradients_bytes + memory->optimizer_bytes;
}

static double working_bytes(const struct training_memory *memory)
{
    return memory->gathered_bytes + memory->activations_bytes + memory->logits_bytes + memory->overhead_bytes;
}

/* The states are counted; only what works with them is uncertain. */
static struct predicted total_of(const struct training_setup *setup, const struct training_memory *memory)
{
    double states = states_bytes(memory), working = working_bytes(memory);
    double factor = setup->profile->coef.memory_factor;
    return (struct predicted){round6(states + working), round6(states + working / factor),
                              round6(states + working * factor), COVERAGE_RATIO, BASIS_FITTED};
}

void training_memory_size(const struct training_setup *setup, struct training_memory *ret_memory)
{
    struct training_memory memory = {.overhead_bytes = setup->profile->coef.base_gib * GIB};
    size_states(setup, &memory);
    move_states(setup, &memory);
    /* The first stage of a pipeline holds the most activations, the last one the logits and one micro-batch. */
    double first = activations_bytes(setup, in_flight(setup));
    double last = activations_bytes(setup, 1), logits = logits_bytes(setup);
    bool single = setup->pipeline_parallel == 1;
    bool last_is_fullest = single || last + logits > first;
    memory.activations_bytes = last_is_fullest ? last : first;
    memory.logits_bytes = last_is_fullest ? logits : 0;
    memory.total_bytes = total_of(setup, &memory);
    memory.available_bytes = setup->gpu->memory_cuda_mib * MIB;
    memory.fits = memory.total_bytes.value <= memory.available_bytes;
    memory.fits_safely = memory.total_bytes.high <= memory.available_bytes;
    *ret_memory = memory;
}
