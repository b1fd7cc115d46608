/* deployment.c owns the defaults of an engine on a GPU, and which layouts are possible. */
#include "sizing/deployment.h"

#include <string.h>

static const char *const draft_kind_names[] = {
    [DRAFT_NGRAM] = "ngram", [DRAFT_MTP] = "mtp", [DRAFT_EAGLE] = "eagle", [DRAFT_MODEL] = NULL};

const char *draft_kind_name(enum draft_kind kind)
{
    return draft_kind_names[kind];
}

const char *const lora_target_names[] = {"all_linear", "attention", NULL};

/* SGLang's tiers (server_args.py): chunk of a prefill and largest captured batch by GPU memory. */
static const struct memory_tier {
    double below_gib;
    uint32_t chunk_tokens, graph_sequences;
} memory_tiers[] = {
    {20, 2048, 8}, {35, 2048, 24}, {60, 4096, 32}, {160, 8192, 256}, {INFINITY, 16384, 512},
};

static const struct memory_tier *find_tier(double gpu_gib)
{
    const struct memory_tier *tier = memory_tiers;
    while (gpu_gib >= tier->below_gib)
        tier++;
    return tier;
}

static double gpu_gib(const struct gpu *gpu)
{
    return gpu->memory_cuda_mib * MIB / GIB;
}

/* vLLM's larger defaults are for GPUs from large_gpu_gib on, but not for the A100 (EngineArgs). */
static bool has_large_defaults(const struct deployment *deployment)
{
    return gpu_gib(deployment->gpu) >= deployment->engine->coef.large_gpu_gib &&
           strncmp(deployment->gpu->family, "a100", 4) != 0;
}

static bool has_tiers(const struct engine_coefs *coef)
{
    return coef->static_reserve_mib > 0;
}

/* 16 bit as the GPU has it: bf16 came with Ampere (compute capability 8.0). */
static enum dtype half_dtype(const struct deployment *deployment)
{
    const struct gpu *gpu = deployment->gpu;
    bool no_bf16 = gpu->vendor == VENDOR_NVIDIA && gpu->cuda_cc < 8.0;
    return no_bf16 || deployment->model->native_dtype == DTYPE_FP16 ? DTYPE_FP16 : DTYPE_BF16;
}

/* Published weights, where 16 bit and wider means what the engine loads them as. */
static enum dtype native_dtype(const struct deployment *deployment)
{
    enum dtype native = deployment->model->native_dtype;
    bool unquantised = native == DTYPE_UNKNOWN || dtype_bits(native) >= 16;
    return unquantised ? half_dtype(deployment) : native;
}

/* SGLang leaves what chunks, ranks and graphs will need, and takes the rest. */
static double utilization_ratio(const struct deployment *deployment)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    if (!has_tiers(coef)) return coef->gpu_memory_utilization_ratio;
    double gib = gpu_gib(deployment->gpu);
    double reserve_mib = coef->static_reserve_mib +
                         coef->static_reserve_per_token_mib * deployment->max_batched_tokens +
                         coef->static_reserve_per_gpu_mib * deployment_gpus(deployment) +
                         coef->static_reserve_per_graph_mib * find_tier(gib)->graph_sequences;
    if (gib > coef->static_reserve_floor_gib) reserve_mib = fmax(reserve_mib, coef->static_reserve_floor_mib);
    double ratio = 1 - reserve_mib * MIB / (gib * GIB);
    return ratio > 0 ? ratio : coef->gpu_memory_utilization_ratio;
}

static uint32_t step_tokens(const struct deployment *deployment)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    if (has_tiers(coef)) return find_tier(gpu_gib(deployment->gpu))->chunk_tokens;
    return (uint32_t)(has_large_defaults(deployment) ? coef->max_batched_tokens : coef->max_batched_tokens_small);
}

enum { UNSTATED_MODEL_LEN_TOKENS = 8192 }; /* where the model's file states no limit */

static void default_parallelism(struct deployment *deployment)
{
    if (!deployment->tensor_parallel) deployment->tensor_parallel = 1;
    if (!deployment->pipeline_parallel) deployment->pipeline_parallel = 1;
    if (!deployment->expert_parallel) deployment->expert_parallel = 1;
    const struct gpu *gpu = deployment->gpu;
    bool linked = gpu->link_gb_per_s > 0 && gpu->link_domain_gpus > 1;
    if (!deployment->link_gpus) deployment->link_gpus = linked ? gpu->link_domain_gpus : 1;
}

static void default_fits(struct deployment *deployment)
{
    const struct gpu *gpu = deployment->gpu;
    const char *family = deployment->model->sized_family ? deployment->model->sized_family : ""; /* of no row */
    for (enum fit_load load = 0; load < FIT_LOAD_COUNT; load++) {
        deployment->fits[load] = engine_find_fit(deployment->engine, load, gpu->id, family, deployment->weight_dtype);
        deployment->kin[load] =
            engine_find_kin(deployment->engine, load, gpu->architecture, family, deployment->weight_dtype);
    }
}

void deployment_default(struct deployment *deployment)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    const struct model *model = deployment->model;
    default_parallelism(deployment);
    if (deployment->weight_dtype == DTYPE_UNKNOWN) deployment->weight_dtype = native_dtype(deployment);
    if (deployment->kv_dtype == DTYPE_UNKNOWN) /* the type of the activations */
        deployment->kv_dtype = deployment->weight_dtype == DTYPE_FP32 ? DTYPE_FP32 : half_dtype(deployment);
    if (!deployment->max_model_len_tokens)
        deployment->max_model_len_tokens =
            model->max_position_tokens ? model->max_position_tokens : UNSTATED_MODEL_LEN_TOKENS;
    if (!deployment->max_batched_tokens) deployment->max_batched_tokens = step_tokens(deployment);
    if (!deployment->max_sequences)
        deployment->max_sequences =
            (uint32_t)(has_large_defaults(deployment) ? coef->max_sequences : coef->max_sequences_small);
    if (!(deployment->gpu_memory_utilization_ratio > 0)) {
        deployment->utilization_by_layout = has_tiers(coef);
        deployment->gpu_memory_utilization_ratio = utilization_ratio(deployment);
    }
    if (!(deployment->weights_bytes > 0)) deployment->weights_bytes = UNKNOWN;
    if (!is_known(deployment->gpu_used_gib)) deployment->gpu_used_gib = 0;
    default_fits(deployment);
    if (!is_known(deployment->cpu_offload_gib)) deployment->cpu_offload_gib = 0;
    if (!is_known(deployment->kv_offload_gib)) deployment->kv_offload_gib = 0;
}

double deployment_time_ratio(const struct deployment *deployment, enum fit_load load)
{
    const struct engine_fit *fit = deployment->fits[load];
    double kin = deployment->kin[load].time_ratio;
    if (fit) return fit->time_ratio;
    if (kin > 0 && kin != 1) return kin;
    return load == FIT_LOAD_SERVED ? 1 : deployment_time_ratio(deployment, FIT_LOAD_SERVED);
}

double deployment_ttft_ratio(const struct deployment *deployment)
{
    const struct engine_fit *fit = deployment->fits[FIT_LOAD_SERVED];
    double kin = deployment->kin[FIT_LOAD_SERVED].ttft_ratio;
    if (!(deployment->engine->coef.ttft_engine_ratio > 0)) return deployment_time_ratio(deployment, FIT_LOAD_SERVED);
    return fit && is_known(fit->ttft_ratio) ? fit->ttft_ratio : kin > 0 ? kin : 1;
}

void deployment_set_layout(struct deployment *deployment, uint32_t tensor_parallel, uint32_t pipeline_parallel)
{
    deployment->tensor_parallel = tensor_parallel;
    deployment->pipeline_parallel = pipeline_parallel;
    if (deployment->utilization_by_layout) deployment->gpu_memory_utilization_ratio = utilization_ratio(deployment);
}

bool deployment_embeds_on_host(const struct deployment *deployment)
{
    return strcmp(deployment->engine->engine, "llama.cpp") == 0;
}

bool deployment_lacks_host(const struct deployment *deployment)
{
    const struct host_memory *host = &deployment->gpu->host;
    double gib = deployment->cpu_offload_gib + deployment->kv_offload_gib / deployment_gpus(deployment);
    return gib > 0 && (host->unified || (host->capacity_gb > 0 && gib * GIB > host->capacity_gb * GB));
}

/* KV heads are split evenly or replicated evenly; MLA has no heads in its cache. */
static bool heads_divide(const struct model *model, uint32_t tp)
{
    if (model->attention_heads % tp != 0) return false;
    if (model->kv_lora_rank || !model->kv_heads) return true;
    return model->kv_heads % tp == 0 || tp % model->kv_heads == 0;
}

bool deployment_layout_valid(const struct deployment *deployment)
{
    const struct model *model = deployment->model;
    uint32_t tp = deployment->tensor_parallel, pp = deployment->pipeline_parallel, ep = deployment->expert_parallel;
    if (tp == 0 || pp == 0 || ep == 0) return false;
    if (deployment->draft_kind > DRAFT_NGRAM && pp > 1) return false; /* engines draft with one stage */
    if (ep > 1 && (ep != tp || !model->experts)) return false;
    return heads_divide(model, tp) && model->hidden_size % tp == 0 && pp <= model->layers;
}
