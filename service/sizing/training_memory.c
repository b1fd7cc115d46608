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
    struct parts parts; /* of the whole model */
    double ends;        /* embedding and head, of the stage that has more of them */
    double dense, experts;
    double dense_copies, expert_copies;
};

static struct slice slice_of(const struct training_setup *setup)
{
    struct parts parts = parts_of(setup->model);
    double ends = setup->pipeline_parallel > 1 ? larger(parts.embedding, parts.head) : parts.embedding + parts.head;
    double ranks = setup->gpus / ((double)setup->pipeline_parallel * expert_ranks(setup));
    return (struct slice){
        .parts = parts,
        .ends = ends,
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

/* --- activations ------------------------------------------------------------------------------------------------ */

/* Layers by what is in them. A model of which each layer is one thing only (Nemotron-H) has FFNs in those that neither
 * attend nor keep a state. */
struct kinds {
    double attending, linear, dense, moe;
};

static struct kinds kinds_of(const struct model *model)
{
    struct kinds kinds = {.attending = (double)model->full_attention_layers + model->sliding_layers,
                          .linear = model->linear_layers};
    double mixers = kinds.attending + kinds.linear;
    double ffns = mixers > 0 && mixers < model->layers ? model->layers - mixers : model->layers;
    if (mixers == 0) kinds.attending = model->layers;
    kinds.moe = model->experts ? larger(ffns - model->dense_layers, 0) : 0;
    kinds.dense = ffns - kinds.moe;
    return kinds;
}

/* Bytes that all layers keep for each token in 16 bits: of norms and sums, which tensor parallelism alone does not
 * divide; of attention or what is in its place; of the FFN. Recomputing selectively keeps the inputs of the products
 * alone, not what norms and the FFN's activation made of them (Megatron Core's recompute modules layernorm and
 * mlp_act), nor the scores. */
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

/* A layer with a state keeps what goes through its convolution of width 4, before and after, and at most as much of
 * each of gate, result and gated result (Mamba 2, gated delta net). */
static double linear_bytes(const struct model *model)
{
    enum { CONVOLUTION_WIDTH = 4 };
    if (!model->linear_layers) return 0;
    double channels = model->conv_state_elements / (CONVOLUTION_WIDTH - 1) / model->linear_layers;
    return 2 * 5 * channels;
}

static struct kept kept_of(const struct training_setup *setup, bool selective)
{
    const struct model *model = setup->model;
    struct kinds kinds = kinds_of(model);
    double scores = setup->flash_attention || selective ? 0 : 5.0 * model->attention_heads * setup->sequence_tokens;
    double routed = (double)model->experts_per_token * model->moe_intermediate_size;
    double shared = model->shared_experts ? model->shared_expert_intermediate_size : 0;
    double elements = kinds.dense * model->intermediate_size + kinds.moe * (routed + shared);
    double copies = 4.0 * model->experts_per_token * model->hidden_size; /* of a token, to its experts and back */
    return (struct kept){
        .sums = (selective ? 2 : 4) * (kinds.attending + kinds.linear + kinds.dense + kinds.moe) * model->hidden_size,
        .attention = kinds.attending * attention_bytes(model) + kinds.linear * linear_bytes(model),
        .ffn = (selective ? 4 : 8) * elements + kinds.moe * copies, /* gate, up, activation, product */
        .scores = kinds.attending * scores,
    };
}

/* Of the mean layer. */
static double layer_bytes_per_token(const struct training_setup *setup, bool selective)
{
    struct kept kept = kept_of(setup, selective);
    double tp = setup->tensor_parallel, sums_over = setup->sequence_parallel ? tp : 1;
    double frozen_ratio = training_has_adapters(setup->method) ? setup->profile->coef.frozen_activation_ratio : 1;
    double width_ratio = setup->precision == PRECISION_FP32 ? 2 : 1;
    double all = kept.sums / sums_over + (kept.attention + kept.ffn + kept.scores) / tp;
    return frozen_ratio * width_ratio * all / setup->model->layers;
}

static double tokens_of_rank(const struct training_setup *setup)
{
    return setup->sequence_tokens * setup->micro_batch_sequences / setup->context_parallel;
}

/* The first stage of 1F1B has a micro-batch in flight for each stage; interleaving adds (p - 1) / (p v) (Korthikanti
 * et al. 2022). */
static double in_flight(const struct training_setup *setup)
{
    double stages = setup->pipeline_parallel, chunks = setup->virtual_stages;
    double most = smaller(stages, setup->micro_batches);
    return most * (chunks > 1 ? 1 + (stages - 1) / (stages * chunks) : 1);
}

/* What is kept from the forward pass; of full recompute the input of every layer. */
static double activations_bytes(const struct training_setup *setup, double flight)
{
    double width_ratio = setup->precision == PRECISION_FP32 ? 2 : 1;
    double over = setup->sequence_parallel ? setup->tensor_parallel : 1;
    double each = setup->recompute == RECOMPUTE_FULL
                      ? 2 * width_ratio * setup->model->hidden_size / over
                      : layer_bytes_per_token(setup, setup->recompute == RECOMPUTE_SELECTIVE);
    return setup->model->layers * share_of_stage(setup) * flight * each * tokens_of_rank(setup);
}

/* One layer as if nothing was recomputed: what the backward pass makes again. */
static double recomputed_bytes(const struct training_setup *setup)
{
    return setup->recompute == RECOMPUTE_FULL ? layer_bytes_per_token(setup, false) * tokens_of_rank(setup) : 0;
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
    if (training_has_adapters(setup->method)) plain = smaller(plain, setup->precision == PRECISION_FP32 ? 4 : 2);
    return setup->method == TRAINING_QLORA ? coef->frozen_weight_bits / 8 : plain;
}

/* Frozen weights in 4 bits leave the embedding and the head in 16. */
static double plain_ends_bytes(const struct training_setup *setup, const struct slice *slice, double held_ratio)
{
    if (setup->method != TRAINING_QLORA) return 0;
    return slice->ends / setup->tensor_parallel * held_ratio * (2 - weight_bytes_each(setup));
}

/* Adapters, which are small, are held whole on every rank unless everything is sharded. */
static double trained_held(const struct training_setup *setup, const struct slice *slice, bool sharded)
{
    if (!training_has_adapters(setup->method)) return held(setup, slice, sharded);
    double rank_share = share_of_stage(setup) / setup->tensor_parallel;
    return training_trained_parameters(setup) * rank_share / (sharded ? larger(slice->dense_copies, 1) : 1);
}

static void size_states(const struct training_setup *setup, const struct slice *slice, struct training_memory *memory)
{
    const struct sharded *sharded = &shardings[setup->sharding];
    struct training_bytes each = training_parameter_bytes(setup->precision, setup->optimizer);
    double weights = held(setup, slice, sharded->weights);
    memory->weights_bytes =
        weights * weight_bytes_each(setup) + plain_ends_bytes(setup, slice, weights / (slice->dense + slice->experts));
    if (training_has_adapters(setup->method))
        memory->weights_bytes += trained_held(setup, slice, sharded->weights) * each.weights;
    if (!setup->fused_backward)
        memory->gradients_bytes = trained_held(setup, slice, sharded->gradients) * each.gradients;
    memory->optimizer_bytes = trained_held(setup, slice, sharded->optimizer) * (each.master + each.moments);
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

/* --- the fullest moment ----------------------------------------------------------------------------------------- */

/* What is there for a while only: weights that sharded or offloaded ranks gather in order to compute with them, and
 * gradients that are not kept whole, until they are reduced or used. The embedding and the head (of which one is there
 * at a time) are gathered as they are, layers in as many bits as they are held in. */
struct passing {
    double end_weights, layer_weights, end_gradients, layer_gradients;
};

static struct passing passing_of(const struct training_setup *setup, const struct slice *slice)
{
    const struct sharded *sharded = &shardings[setup->sharding];
    const struct training_coefs *coef = &setup->profile->coef;
    const struct parts *parts = &slice->parts;
    double layer =
        (parts->layers / setup->tensor_parallel + parts->experts / expert_ranks(setup)) / setup->model->layers;
    double end = parts->embedding / setup->tensor_parallel, wide = setup->precision == PRECISION_FP32 ? 4 : 2;
    double copies = larger(slice->dense_copies, slice->expert_copies);
    double bytes = setup->method == TRAINING_QLORA ? coef->frozen_weight_bits / 8 : wide;
    struct passing passing = {0};
    if (places[setup->offload].weights || (sharded->weights && copies > 1)) {
        passing.end_weights = wide * end;
        passing.layer_weights = bytes * coef->gathered_layers * layer;
    }
    bool kept = !(sharded->gradients && copies > 1) && !places[setup->offload].optimizer && !setup->fused_backward;
    if (kept || training_has_adapters(setup->method)) return passing;
    passing.end_gradients = wide * end;
    passing.layer_gradients = wide * layer;
    return passing;
}

static double states_bytes(const struct training_memory *memory)
{
    return memory->weights_bytes + memory->gradients_bytes + memory->optimizer_bytes;
}

static double working_bytes(const struct training_memory *memory)
{
    return memory->gathered_bytes + memory->activations_bytes + memory->logits_bytes + memory->overhead_bytes;
}

/* The states are counted; only what works with them is uncertain. Buckets that DeepSpeed's ZeRO-2 fills with gradients
 * are as large as it was told, whatever the model: its default may come on top. */
static struct predicted total_of(const struct training_setup *setup, const struct training_memory *memory)
{
    double states = states_bytes(memory), working = working_bytes(memory);
    const struct training_coefs *coef = &setup->profile->coef;
    bool buckets = setup->sharding == SHARDING_ZERO2 && training_data_parallel(setup) > 1;
    double high = states + working * coef->memory_factor + (buckets ? coef->zero2_bucket_gib * GIB : 0);
    return (struct predicted){round6(states + working), round6(states + working / coef->memory_factor), round6(high),
                              COVERAGE_RATIO, BASIS_FITTED};
}

/* The fullest of two moments: when the loss is there, on the last stage of a pipeline, with one micro-batch and the
 * logits; and when the backward pass begins its first layer, on the first stage, with one for each stage. */
static void size_working(const struct training_setup *setup, const struct slice *slice, struct training_memory *memory)
{
    struct passing passing = passing_of(setup, slice);
    double logits = logits_bytes(setup), at_loss = activations_bytes(setup, 1);
    double in_layer = activations_bytes(setup, in_flight(setup)) + recomputed_bytes(setup);
    double loss_passing = passing.end_weights + passing.end_gradients;
    double layer_passing = passing.end_weights + passing.layer_weights + passing.layer_gradients;
    bool loss = at_loss + logits + loss_passing > in_layer + layer_passing;
    memory->activations_bytes = loss ? at_loss : in_layer;
    memory->logits_bytes = loss ? logits : 0;
    memory->gathered_bytes = loss ? loss_passing : layer_passing;
}

double training_states_bytes(const struct training_setup *setup)
{
    struct training_memory memory = {.gathered_bytes = 0};
    struct slice slice = slice_of(setup);
    size_states(setup, &slice, &memory);
    move_states(setup, &memory);
    return states_bytes(&memory);
}

void training_memory_size(const struct training_setup *setup, struct training_memory *ret_memory)
{
    struct training_memory memory = {.overhead_bytes = setup->profile->coef.base_gib * GIB};
    struct slice slice = slice_of(setup);
    size_states(setup, &slice, &memory);
    size_working(setup, &slice, &memory);
    move_states(setup, &memory);
    memory.total_bytes = total_of(setup, &memory);
    memory.available_bytes = setup->gpu->memory_cuda_mib * MIB;
    memory.fits = memory.total_bytes.value <= memory.available_bytes;
    memory.fits_safely = memory.total_bytes.high <= memory.available_bytes;
    *ret_memory = memory;
}
