/* training_time.c owns the time of a training step: seconds of one GPU for each token, term by term. */
#include "sizing/roofline.h"
#include "sizing/training.h"

#include <string.h>

#define TERA 1e12
#define US 1e-6
/* Of parts whose sustained rate nobody published: the lowest of A100 (0.86 of the datasheet's), H100 (0.80), B200
 * (0.69), L40S (0.64 of its), RTX PRO 6000 (0.8), as in catalog/data/calibrations.csv. */
#define SUSTAINED_RATIO 0.7
/* Of AMD's: 8B in bf16 takes 1.32 to 1.40 times as long on MI300X as on H200, which sustains 790 TFLOP/s: 581 of 1307
 * (alpharomercoma/MI300X-vs-H200, REPORT.md, 6077fdc7). */
#define SUSTAINED_RATIO_AMD 0.44
/* What of published rates lies around those: 0.64 to 0.86. On top of an interval. */
#define UNMEASURED_FACTOR 1.23

/* What is computed and sent for one token, whatever the GPU. */
struct work {
    struct workload of_model;
    double attention_flops, product_ratio, attention_ratio; /* ratios: against forward and full backward */
    bool frozen;
};

/* --- rates ------------------------------------------------------------------------------------------------------ */

static double published_tflops(const struct snapshot *snapshot, const struct gpu *gpu)
{
    const struct calibration *pool = snapshot_find_pool(snapshot, gpu, CALIBRATION_PUBLISHED);
    return pool ? pool->product_tflops[PEAK_FP16] : UNKNOWN;
}

double training_sustained_tflops(const struct snapshot *snapshot, const struct gpu *gpu, bool *ret_measured)
{
    double peak = gpu->peak_tflops[PEAK_FP16], sustained = published_tflops(snapshot, gpu);
    for (size_t i = 0; !is_known(sustained) && i < snapshot->gpu_count; i++) {
        const struct gpu *like = &snapshot->gpus[i];
        if (like->peak_tflops[PEAK_FP16] == peak && strcmp(like->family, gpu->family) == 0)
            sustained = published_tflops(snapshot, like);
    }
    *ret_measured = is_known(sustained);
    double ratio = gpu->vendor == VENDOR_AMD ? SUSTAINED_RATIO_AMD : SUSTAINED_RATIO;
    return *ret_measured ? sustained : peak * ratio;
}

bool training_knows_part(const struct gpu *gpu)
{
    bool cdna = strncmp(gpu->architecture, "CDNA", 4) == 0;
    return (gpu->vendor == VENDOR_NVIDIA || cdna) && is_known(gpu->memory_bandwidth_gb_per_s);
}

/* Before Ampere there is no bf16; the catalog's 16-bit rate is then of fp16. */
static bool multiplies_bf16(const struct gpu *gpu)
{
    static const char *const without[] = {"Pascal", "Volta", "Turing"};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        if (strcmp(gpu->architecture, without[i]) == 0) return false;
    }
    return is_known(gpu->peak_tflops[PEAK_FP16]);
}

bool training_has_precision(const struct gpu *gpu, enum training_precision precision)
{
    switch (precision) {
    case PRECISION_FP32: return is_known(gpu->peak_tflops[PEAK_FP16]) && is_known(gpu->peak_tflops[PEAK_FP32]);
    case PRECISION_FP8: return multiplies_bf16(gpu) && is_known(gpu->peak_tflops[PEAK_FP8]);
    case PRECISION_NVFP4:
        return multiplies_bf16(gpu) && gpu->vendor == VENDOR_NVIDIA && is_known(gpu->peak_tflops[PEAK_FP4]);
    case PRECISION_BF16_MIXED:
    case PRECISION_BF16:
    case PRECISION_COUNT: break;
    }
    return multiplies_bf16(gpu);
}

/* Parts whose runs the profile was fitted to; H200 is the same chip as H100. */
static bool was_fitted(const struct training_setup *setup)
{
    static const char *const families[][2] = {
        {"fsdp", "a100"},     {"fsdp", "h100"},     {"fsdp", "h200"},      {"megatron", "h100"},  {"megatron", "h200"},
        {"megatron", "b200"}, {"megatron", "b300"}, {"megatron", "gb200"}, {"megatron", "gb300"},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        if (strcmp(setup->profile->name, families[i][0]) == 0 && strcmp(setup->gpu->family, families[i][1]) == 0)
            return true;
    }
    return false;
}

/* Operations per second of products in the precision; NaN where the part cannot. */
static double product_rate(const struct training_setup *setup, double sustained)
{
    const struct training_coefs *coef = &setup->profile->coef;
    const double *peak = setup->gpu->peak_tflops;
    switch (setup->precision) {
    case PRECISION_FP32: /* in TF32, where there is one */
        return sustained * coef->product_16bit_ratio * (is_known(peak[PEAK_TF32]) ? peak[PEAK_TF32] : peak[PEAK_FP32]) /
               peak[PEAK_FP16];
    case PRECISION_FP8: return 2 * sustained * coef->product_8bit_ratio * (is_known(peak[PEAK_FP8]) ? 1 : UNKNOWN);
    case PRECISION_NVFP4: return sustained * coef->product_4bit_ratio * peak[PEAK_FP4] / peak[PEAK_FP16];
    case PRECISION_BF16_MIXED:
    case PRECISION_BF16:
    case PRECISION_COUNT: break;
    }
    return sustained * coef->product_16bit_ratio;
}

static double peak_of(const struct training_setup *setup)
{
    static const enum peak peaks[PRECISION_COUNT] = {
        [PRECISION_BF16_MIXED] = PEAK_FP16, [PRECISION_BF16] = PEAK_FP16, [PRECISION_FP32] = PEAK_TF32,
        [PRECISION_FP8] = PEAK_FP8,         [PRECISION_NVFP4] = PEAK_FP4,
    };
    double peak = setup->gpu->peak_tflops[peaks[setup->precision]];
    return is_known(peak) ? peak : setup->gpu->peak_tflops[PEAK_FP32];
}

/* One direction, inside a domain of fast links and beyond it. */
struct links {
    double inside, between, domain_gpus;
};

static struct links links_of(const struct training_setup *setup)
{
    const struct gpu *gpu = setup->gpu;
    const struct training_coefs *coef = &setup->profile->coef;
    bool fast = gpu->link_gb_per_s > 0;
    struct links links = {
        .inside = (fast ? gpu->link_gb_per_s / 2 : gpu->pcie_gb_per_s) * GB,
        .domain_gpus = larger(fast ? gpu->link_domain_gpus : 1, setup->host_gpus),
    };
    if (fast && gpu->link_domain_gpus < setup->host_gpus && setup->gpus > gpu->link_domain_gpus)
        links.inside = gpu->pcie_gb_per_s * GB; /* bridges join pairs only */
    if (!(links.inside > 0)) links.inside = coef->network_gb_per_s * GB;
    links.between = is_known(setup->network_gb_per_s) ? setup->network_gb_per_s * GB
                    : fast                            ? links.inside * coef->network_link_ratio
                                                      : coef->network_gb_per_s * GB;
    return links;
}

double training_network_gb_per_s(const struct training_setup *setup)
{
    return links_of(setup).between / GB;
}

static double link_for(const struct links *links, double gpus)
{
    return gpus <= links->domain_gpus ? links->inside : links->between;
}

/* --- terms ------------------------------------------------------------------------------------------------------ */

/* Of a causal token: half of the sequence on average, or the window. Forward and backward: 12 flops per element. */
static double attention_flops(const struct training_setup *setup)
{
    const struct model *model = setup->model;
    double keys = model->kv_lora_rank ? (double)model->qk_nope_head_dim + model->qk_rope_head_dim : model->head_dim;
    double values = model->kv_lora_rank ? model->v_head_dim : model->head_dim;
    double width = model->attention_heads * (keys + values) / 2, half = setup->sequence_tokens / 2;
    double window = model->sliding_window_tokens ? smaller(model->sliding_window_tokens, half) : half;
    return 12 * width * (model->full_attention_layers * half + model->sliding_layers * window);
}

/* Frozen weights have no gradient of their own: 4 of 6 flops. Full recompute is the forward pass again. */
static struct work work_of(const struct training_setup *setup)
{
    const struct deployment deployment = {.model = setup->model, .kv_dtype = DTYPE_BF16};
    bool again = setup->recompute == RECOMPUTE_FULL;
    bool scores_again = setup->recompute == RECOMPUTE_SELECTIVE && !setup->flash_attention;
    struct work work = {.frozen = training_has_adapters(setup->method)};
    workload_init(&deployment, 1, &work.of_model);
    work.attention_flops = attention_flops(setup);
    work.product_ratio = (work.frozen ? 4.0 / 6 : 1) + (again ? 2.0 / 6 : 0);
    work.attention_ratio = 1 + (again || scores_again ? 1.0 / 3 : 0);
    return work;
}

static double micro_batch_tokens(const struct training_setup *setup)
{
    return setup->sequence_tokens * setup->micro_batch_sequences;
}

/* Fused kernels keep the tensor cores of Hopper and later less busy than those before. */
static double attention_ratio(const struct training_setup *setup)
{
    static const char *const before[] = {"Volta", "Turing", "Ampere", "Ada"};
    const struct training_coefs *coef = &setup->profile->coef;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        if (strcmp(setup->gpu->architecture, before[i]) == 0)
            return coef->attention_ratio * coef->attention_before_hopper;
    }
    return coef->attention_ratio;
}

/* Attention that is not fused writes and reads its scores: 5 bytes per score and head, as many times as kept. */
static double score_bytes(const struct training_setup *setup)
{
    const struct model *model = setup->model;
    double layers = (double)model->full_attention_layers + model->sliding_layers;
    return setup->flash_attention ? 0 : 2 * 5.0 * model->attention_heads * setup->sequence_tokens * layers;
}

static void add_compute(const struct training_setup *setup, const struct work *work, double sustained,
                        struct training_terms *terms)
{
    const struct training_coefs *coef = &setup->profile->coef;
    const struct workload *of = &work->of_model;
    double rate = product_rate(setup, sustained) * TERA, bandwidth = setup->gpu->memory_bandwidth_gb_per_s * GB;
    double moe = setup->older_software ? coef->older_moe_ratio : 1;
    double dense = 6 * of->dense_active / rate, experts = moe * 6 * of->expert_active / (rate * coef->expert_ratio);
    double attention = work->attention_flops / (attention_ratio(setup) * sustained * TERA);
    double passes = (68 * coef->layer_passes * of->layers * of->hidden +
                     68 * moe * coef->expert_passes * of->moe_layers * setup->model->experts_per_token * of->hidden +
                     score_bytes(setup)) /
                    bandwidth;
    double frozen = work->frozen ? 4.0 / 6 : 1, again = setup->recompute == RECOMPUTE_FULL ? 1.0 / 3 : 0;
    terms->products = dense * frozen;
    terms->experts = experts * frozen;
    terms->attention = attention;
    terms->passes = passes;
    terms->recompute =
        (dense + experts) * (work->product_ratio - frozen) + attention * (work->attention_ratio - 1) + passes * again;
    if (setup->recompute == RECOMPUTE_SELECTIVE) /* norms and the FFN's activation read and write once more */
        terms->recompute += of->layers * 2.0 * (4.0 * of->hidden + 3.0 * setup->model->intermediate_size) / bandwidth;
    if (setup->method == TRAINING_QLORA) {
        terms->products *= coef->quantized_time_ratio;
        terms->recompute *= coef->quantized_time_ratio;
    }
}

/* Per micro-batch 2 bytes of each parameter: gathered for the forward and the backward pass, and the gradient
 * scattered. Kept weights: the gradient is reduced once a step, or (ZeRO-2) scattered in every micro-batch. */
static double shard_seconds(const struct training_setup *setup, const struct work *work, const struct links *links)
{
    double ranks = training_data_parallel(setup) * setup->context_parallel, host = setup->host_gpus;
    double all = 2 * setup->model->parameters, trained = 2 * training_trained_parameters(setup);
    if (ranks <= 1) return 0;
    double far = link_for(links, setup->gpus), steps = setup->micro_batches;
    double gathered = (work->frozen ? 2 * all + trained : 3 * all);
    switch (setup->sharding) {
    case SHARDING_ZERO3:
    case SHARDING_FSDP: return gathered / far;
    case SHARDING_FSDP_HYBRID:
        return gathered / links->inside + (setup->gpus > host ? 2 * trained / host / links->between / steps : 0);
    case SHARDING_ZERO2: return (trained + trained / steps) / far;
    case SHARDING_DDP:
    case SHARDING_ZERO1:
    case SHARDING_COUNT: break;
    }
    return 2 * trained / far / steps;
}

static void add_communication(const struct training_setup *setup, const struct work *work, const struct links *links,
                              struct training_terms *terms)
{
    const struct training_coefs *coef = &setup->profile->coef;
    const struct workload *of = &work->of_model;
    double tp = setup->tensor_parallel, ep = setup->expert_parallel, tokens = micro_batch_tokens(setup);
    double row = 2 * of->hidden, passes = setup->recompute == RECOMPUTE_FULL ? 3.0 / 2 : 1;
    /* Two all-reduces forward and two backward in each layer, 2 (t - 1) / t of the row each; every rank waits. */
    terms->tensor_comm = coef->tensor_link_share * passes * of->layers * 8 * (tp - 1) * row / link_for(links, tp);
    double near = smaller(1, links->domain_gpus / ep);
    if (ep > 1)
        terms->expert_comm = (setup->older_software ? coef->older_moe_ratio : 1) * coef->expert_link_share * passes *
                             of->moe_layers * 6 * setup->model->experts_per_token * row * (ep - 1) / ep *
                             (near / links->inside + (1 - near) / links->between);
    terms->shard_comm = coef->shard_link_share * shard_seconds(setup, work, links) * setup->context_parallel / tokens;
}

/* The optimizer goes through its state once a step: on the GPU at its bandwidth, on the host or the NVMe at theirs,
 * with gradients and weights through PCIe. Offloaded weights come through PCIe in both passes of each micro-batch. */
static double update_seconds(const struct training_setup *setup)
{
    const struct training_coefs *coef = &setup->profile->coef;
    struct training_bytes each = training_parameter_bytes(setup->precision, setup->optimizer);
    double trained = training_trained_parameters(setup), pcie = setup->gpu->pcie_gb_per_s;
    double over = setup->sharding == SHARDING_DDP ? (double)setup->tensor_parallel * setup->pipeline_parallel
                                                  : (double)setup->gpus;
    double state = 2 * trained * (each.master + each.moments + each.gradients) / over;
    bool all = setup->offload == OFFLOAD_CPU_ALL || setup->offload == OFFLOAD_NVME_ALL;
    if (setup->offload == OFFLOAD_NONE) return state / (setup->gpu->memory_bandwidth_gb_per_s * GB);
    bool nvme = setup->offload == OFFLOAD_NVME_OPTIMIZER || setup->offload == OFFLOAD_NVME_ALL;
    double rate = nvme ? smaller(coef->nvme_gb_per_s, coef->host_update_gb_per_s) : coef->host_update_gb_per_s;
    if (!(pcie > 0)) pcie = coef->host_update_gb_per_s;
    double crossing = trained * (each.gradients + each.weights) / over;
    double weights = all ? 2 * 2 * setup->model->parameters / setup->gpus * setup->micro_batches : 0;
    return state / (rate * GB) + crossing / (pcie * GB) + weights / (smaller(pcie, nvme ? rate : pcie) * GB);
}

static bool terms_of(const struct training_setup *setup, const struct work *work, double sustained,
                     struct training_terms *ret_terms)
{
    const struct training_coefs *coef = &setup->profile->coef;
    struct training_terms terms = {0};
    struct links links = links_of(setup);
    add_compute(setup, work, sustained, &terms);
    add_communication(setup, work, &links, &terms);
    double stages = setup->pipeline_parallel;
    terms.launch = coef->layer_us * US * setup->model->layers * setup->tensor_parallel * setup->context_parallel /
                   micro_batch_tokens(setup);
    terms.bubble =
        training_terms_sum(&terms) * coef->bubble_ratio * (stages - 1) / (setup->virtual_stages * setup->micro_batches);
    terms.update = update_seconds(setup) * setup->gpus / training_step_tokens(setup);
    *ret_terms = terms;
    return isfinite(training_terms_sum(&terms));
}

double training_terms_sum(const struct training_terms *terms)
{
    return terms->products + terms->experts + terms->attention + terms->passes + terms->recompute + terms->tensor_comm +
           terms->expert_comm + terms->shard_comm + terms->launch + terms->update + terms->bubble;
}

bool training_time_predict(const struct training_setup *setup, struct training_time *ret_time)
{
    const struct training_coefs *coef = &setup->profile->coef;
    struct training_time time;
    bool measured = false;
    double sustained = training_sustained_tflops(setup->snapshot, setup->gpu, &measured);
    struct work work = work_of(setup);
    if (!terms_of(setup, &work, sustained, &time.terms)) return false;
    double seconds = training_terms_sum(&time.terms);
    bool plain = setup->offload == OFFLOAD_NONE && setup->flash_attention && !work.frozen; /* as all rows of the fit */
    bool fitted = measured && plain && was_fitted(setup);
    double factor = (fitted ? coef->fitted_time_factor : coef->time_factor) * (measured ? 1 : UNMEASURED_FACTOR);
    enum basis basis = fitted ? BASIS_FITTED : BASIS_EXTRAPOLATED;
    time.step_tokens = training_step_tokens(setup);
    time.tokens_per_second = predicted_make(setup->gpus / seconds, factor, COVERAGE_RATIO, basis);
    time.step_seconds = predicted_make(time.step_tokens * seconds / setup->gpus, factor, COVERAGE_RATIO, basis);
    double active = work.of_model.dense_active + work.of_model.expert_active;
    time.flops_per_token = (work.frozen ? 4 : 6) * active + 2 * work.attention_flops;
    time.mfu_ratio = time.flops_per_token / seconds / (peak_of(setup) * TERA);
    time.compute_share =
        (time.terms.products + time.terms.experts + time.terms.attention + time.terms.recompute) / seconds;
    *ret_time = time;
    return true;
}
