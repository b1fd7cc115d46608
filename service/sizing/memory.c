/* memory.c owns the sum: what a rank's memory holds, and what is left for the KV cache. */
#include "sizing/memory.h"

#include "sizing/stage.h"

/* Where the file states no limit: longer than any context in use. */
enum { UNSTATED_CONTEXT_TOKENS = 1 << 20 };

/* The first layers stay with the CPU, and the head unless one layer more than there are is asked for (llama.cpp). */
static void keep_on_host(const struct deployment *deployment, struct stage *stages, uint32_t count)
{
    double layers = deployment->model->layers, on_gpu = deployment->gpu_layers;
    if (on_gpu == 0 || on_gpu > layers) return;
    for (uint32_t i = 0; i < count; i++) {
        stages[i].layer_ratio *= on_gpu / layers;
        stages[i].layers *= on_gpu / layers;
        stages[i].last = false;
    }
}

/* vLLM's division: what does not divide goes to the stages before the last, from the back. */
static uint32_t make_stages(const struct deployment *deployment, struct stage ret_stages[3])
{
    uint32_t layers = deployment->model->layers, pp = deployment->pipeline_parallel;
    uint32_t least = layers / pp, rest = layers % pp, count = pp > 2 ? 3 : pp;
    for (uint32_t i = 0; i < count; i++) {
        bool first = i == 0, last = i == count - 1;
        uint32_t extra = last ? 0 : first ? rest == pp - 1 : rest > 0;
        double own = least + (pp > 1 ? extra : 0);
        ret_stages[i] = (struct stage){.layers = own, .layer_ratio = own / layers, .first = first, .last = last};
    }
    keep_on_host(deployment, ret_stages, count);
    return count;
}

/* Of an element of the residual stream. */
static double activation_element_bytes(const struct deployment *deployment)
{
    return deployment->weight_dtype == DTYPE_FP32 ? 4 : 2;
}

/* Peak of the forward pass: gate, up and down of a SwiGLU beside four rows of the residual stream. */
static double forward_bytes(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    return activation_element_bytes(deployment) * deployment->max_batched_tokens *
           (3.0 * model->intermediate_size / deployment->tensor_parallel + 4.0 * model->hidden_size);
}

/* Buffers of the fused expert kernels; MXFP4 kernels have none. */
static double moe_workspace_bytes(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    if (!model->experts || deployment->weight_dtype == DTYPE_MXFP4) return 0;
    double width = (double)model->moe_intermediate_size / deployment->tensor_parallel;
    return 2.0 * deployment->max_batched_tokens * model->experts_per_token *
           (fmax(2 * width, model->hidden_size) + width);
}

/* Copies of the fp32 logits on top of the usual ones: those of the model itself in twice the bytes (the fp32 log of
 * Llama-3.1-8B), and the rejection sampler's rows, two of a sequence in 16 bits and one in 32 (vLLM
 * v1/worker/gpu_model_runner.py, _dummy_sampler_run: not checked against a log). */
static double wide_copies(const struct deployment *deployment)
{
    return (deployment->weight_dtype == DTYPE_FP32 ? 0.5 : 0) + (deployment->draft_tokens > 0 ? 2 : 0);
}

/* The larger of the forward pass and the sampler, whose fp32 logits are not sharded. */
static double activation_bytes(const struct deployment *deployment, const struct stage *stage)
{
    const struct model *model = deployment->model;
    const struct engine_coefs *coef = &deployment->engine->coef;
    double forward = forward_bytes(deployment);
    if (!stage->last) return forward + coef->act_pp_other_gib * GIB;
    double step_tokens = deployment->max_batched_tokens, vocabulary = model->vocabulary_size;
    double copies = coef->act_sampler > 0 ? coef->act_sampler + wide_copies(deployment) : 0;
    double peak = copies * 4 * deployment->max_sequences * vocabulary +
                  coef->act_logits * 4 * step_tokens * vocabulary +
                  coef->act_hidden * activation_element_bytes(deployment) * step_tokens * model->hidden_size +
                  coef->act_moe * moe_workspace_bytes(deployment) +
                  (model->native_multimodal ? coef->act_multimodal_gib * GIB : 0);
    return fmax(forward + coef->act_forward_gib * GIB, peak) + (stage->first ? 0 : coef->act_pp_last_gib * GIB);
}

/* NCCL's buffers where GPUs talk over PCIe (ai-dynamo/aiconfigurator, systems): without those for NVLink's multicast,
 * which the coefficients of vLLM hold. A log of two RTX 4090 (vllm#13061) shows no more than at TP 1. */
static double pcie_group_gib(uint32_t tensor_parallel)
{
    return tensor_parallel >= 4 ? 392.0 / 1024 : 342.0 / 1024;
}

static double non_torch_bytes(const struct deployment *deployment)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    uint32_t tp = deployment->tensor_parallel;
    double linked_gib = tp >= 4 ? coef->non_torch_tp4_gib : coef->non_torch_tp2_gib;
    double pcie_gib = coef->non_torch_tp1_gib + pcie_group_gib(tp);
    if (tp >= 2) return (tp <= deployment->link_gpus ? linked_gib : fmin(linked_gib, pcie_gib)) * GIB;
    return (deployment->pipeline_parallel > 1 ? coef->non_torch_pp_gib : coef->non_torch_tp1_gib) * GIB;
}

/* One stage's sum and how many units its pool holds. */
struct rank {
    double weights_bytes, offloaded_bytes, lora_bytes, draft_bytes, activations_bytes, overhead_bytes, kv_pool_bytes;
    struct kv_layout kv;
    double units;
};

static struct rank size_rank(const struct deployment *deployment, const struct stage *stage, double physical_bytes,
                             double available_bytes)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    double graphs = coef->graphs_gib * GIB, reserve = coef->reserve_ratio * physical_bytes;
    double outside = non_torch_bytes(deployment);
    struct stage_weights weights = stage_weights_make(deployment, stage);
    struct rank rank = {
        .weights_bytes = stage_weights_resident(&weights),
        .offloaded_bytes = weights.offloaded_bytes,
        .lora_bytes = stage_lora_bytes(deployment, stage),
        .draft_bytes = stage->last ? draft_weights_bytes(deployment) : 0,
        .activations_bytes = activation_bytes(deployment, stage),
        .overhead_bytes = outside + graphs + reserve,
        .kv = kv_layout_make(deployment, stage),
    };
    double resident = rank.weights_bytes + rank.lora_bytes + rank.draft_bytes;
    rank.kv_pool_bytes = (available_bytes - resident - rank.activations_bytes * coef->act_in_pool_ratio - outside -
                          reserve - graphs * coef->graphs_in_pool_ratio) *
                         coef->kv_pool_ratio;
    rank.units = rank.kv_pool_bytes > 0 ? floor(rank.kv_pool_bytes / rank.kv.unit_bytes) : 0;
    return rank;
}

/* The rank whose pool limits the engine: all stages allocate as many units as the poorest has. */
static struct rank size_fullest(const struct deployment *deployment, double physical_bytes, double available_bytes)
{
    struct stage stages[3];
    uint32_t count = make_stages(deployment, stages);
    struct rank fullest = size_rank(deployment, &stages[count - 1], physical_bytes, available_bytes);
    for (uint32_t i = 0; i + 1 < count; i++) {
        struct rank rank = size_rank(deployment, &stages[i], physical_bytes, available_bytes);
        if (rank.units < fullest.units || (rank.units == 0 && rank.kv_pool_bytes < fullest.kv_pool_bytes))
            fullest = rank;
    }
    return fullest;
}

static double context_limit(const struct model *model)
{
    return model->max_position_tokens ? model->max_position_tokens : UNSTATED_CONTEXT_TOKENS;
}

static double slot_tokens(const struct deployment *deployment, double tokens)
{
    return deployment->engine->coef.kv_slots_preallocated > 0 ? fmax(tokens, deployment->max_model_len_tokens) : tokens;
}

static double physical_bytes_of(const struct deployment *deployment)
{
    return deployment->gpu->memory_cuda_mib * MIB;
}

static double available_bytes_of(const struct deployment *deployment)
{
    return deployment->gpu_memory_utilization_ratio * physical_bytes_of(deployment) - deployment->gpu_used_gib * GIB;
}

/* A part whose memory is the host's has no other to keep caches in. */
static double host_tokens(const struct deployment *deployment)
{
    if (!(deployment->kv_offload_gib > 0) || deployment->gpu->host.unified) return 0;
    double token_bytes = kv_replica_token_bytes(deployment);
    return token_bytes > 0 ? floor(deployment->kv_offload_gib * GIB / token_bytes) : 0;
}

enum status memory_size(const struct deployment *deployment, struct memory *ret_memory)
{
    const struct model *model = deployment->model;
    if (model->encoder_only || model_size_only(model)) return STATUS_UNSUPPORTED_MODEL_KIND;
    double physical = physical_bytes_of(deployment), available = available_bytes_of(deployment);
    struct rank rank = size_fullest(deployment, physical, available);
    double longest_units = kv_layout_units(&rank.kv, deployment->max_model_len_tokens);
    double concurrency = rank.units / longest_units;
    *ret_memory = (struct memory){
        .weights_bytes = rank.weights_bytes,
        .offloaded_bytes = rank.offloaded_bytes,
        .lora_bytes = rank.lora_bytes,
        .draft_bytes = rank.draft_bytes,
        .activations_bytes = rank.activations_bytes,
        .overhead_bytes = rank.overhead_bytes,
        .kv_pool_bytes = rank.kv_pool_bytes,
        .available_bytes = available,
        .physical_bytes = physical,
        .kv_bytes_per_token = rank.kv.bytes_per_token,
        .draft_kv_bytes_per_token = draft_token_bytes(deployment),
        .longest_sequence_bytes = longest_units * rank.kv.unit_bytes,
        .state_bytes_per_sequence = rank.kv.state_bytes,
        .kv_block_tokens = rank.kv.block_tokens,
        .kv_units = rank.units,
        .kv_pool_tokens = (uint64_t)(floor(rank.units / rank.kv.token_units) * rank.kv.block_tokens),
        .kv_host_tokens = host_tokens(deployment),
        .max_concurrency = concurrency,
        .max_context_tokens = (uint32_t)kv_layout_longest(&rank.kv, rank.units, context_limit(model)),
        .fits = concurrency >= 1,
    };
    return STATUS_OK;
}

double memory_sequence_bytes(const struct deployment *deployment, double tokens)
{
    struct rank rank = size_fullest(deployment, physical_bytes_of(deployment), available_bytes_of(deployment));
    return kv_layout_units(&rank.kv, slot_tokens(deployment, tokens)) * rank.kv.unit_bytes;
}

struct kv_layout kv_layout_first(const struct deployment *deployment)
{
    struct stage stages[3];
    make_stages(deployment, stages);
    return kv_layout_make(deployment, &stages[0]);
}

double kv_layout_sequence_units(const struct kv_layout *layout, const struct deployment *deployment, double tokens)
{
    return kv_layout_units(layout, slot_tokens(deployment, tokens));
}

double memory_sequences_at(const struct deployment *deployment, const struct memory *memory, double tokens)
{
    return memory_sequences_sharing(deployment, memory, tokens, 0);
}

/* Windows and states are each sequence's own. */
double memory_sequences_sharing(const struct deployment *deployment, const struct memory *memory, double tokens,
                                double shared_tokens)
{
    struct kv_layout layout = kv_layout_first(deployment);
    bool slots = deployment->engine->coef.kv_slots_preallocated > 0;
    double shared = slots ? 0 : layout.full_units * floor(shared_tokens / layout.block_tokens);
    double own = kv_layout_sequence_units(&layout, deployment, tokens) - shared;
    return (memory->kv_units - shared) / own;
}
