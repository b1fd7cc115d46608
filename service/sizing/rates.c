/* rates.c owns what the GPUs of a replica reach: peaks, bandwidths and links, with the efficiencies of the engine. */
#include "sizing/calibrate.h"
#include "sizing/roofline.h"

#include <string.h>

/* The peak that prices products of this weight format here. Formats that the GPU does not compute in, and those that
 * only store weights, compute in the next wider one. A model published in MXFP4 has 8-bit activations where the GPU
 * computes in 4 bits, else 16-bit ones. */
static enum peak compute_peak(const struct deployment *deployment)
{
    const double *peak_tflops = deployment->gpu->peak_tflops;
    enum peak peak = dtype_peak(deployment->weight_dtype);
    if (deployment->weight_dtype == DTYPE_MXFP4 && deployment->model->native_dtype == DTYPE_MXFP4)
        peak = is_known(peak_tflops[PEAK_FP4]) ? PEAK_FP8 : PEAK_FP16;
    if (peak == PEAK_FP4 && !is_known(peak_tflops[PEAK_FP4])) peak = PEAK_FP8;
    if ((peak == PEAK_FP8 || peak == PEAK_INT8) && !is_known(peak_tflops[peak])) peak = PEAK_FP16;
    if (peak == PEAK_FP32 && !is_known(peak_tflops[PEAK_FP32])) peak = PEAK_FP16;
    return peak;
}

static double link_gb_per_s(const struct deployment *deployment)
{
    const struct gpu *gpu = deployment->gpu;
    bool linked = deployment->tensor_parallel <= deployment->link_gpus && gpu->link_gb_per_s > 0;
    if (linked) return gpu->link_gb_per_s / 2; /* one direction */
    return gpu_pcie_gb_per_s(gpu);
}

/* The catalog states 16-bit rates with 32-bit accumulation, of which GeForce does half, but not of 8-bit integers: who
 * accumulates in 16 bits gets half of those. */
static double product_tflops(const struct deployment *deployment)
{
    const double *peak_tflops = deployment->gpu->peak_tflops;
    enum peak peak = compute_peak(deployment);
    double half_tflops = peak_tflops[PEAK_INT8] / 2;
    bool half = peak == PEAK_FP16 && deployment->engine->coef.half_accumulation > 0;
    return half && half_tflops > peak_tflops[peak] ? half_tflops : peak_tflops[peak];
}

/* Formats that only store weights, which are unpacked to 16 bits while they are read. */
static bool is_packed(enum dtype dtype)
{
    return dtype_peak(dtype) == PEAK_FP16 && dtype_bits(dtype) < 16;
}

/* Two levels of scales in superblocks of 256 weights. */
static bool is_k_quant(enum dtype dtype)
{
    return strstr(dtype_name(dtype), "_k") != NULL;
}

/* However fast the memory, the multiprocessors limit how fast weights are read: each keeps only so many bytes in
 * flight, which goes with their number, and works on every weight, which goes with their rate; the root of the product
 * stands for both. */
static double read_gb_per_s(const struct deployment *deployment)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    const struct gpu *gpu = deployment->gpu;
    enum dtype dtype = deployment->weight_dtype;
    double gb_per_s = is_packed(dtype) ? coef->packed_read_gb_per_s : coef->plain_read_gb_per_s;
    double size = sqrt(gpu->sm_count * gpu->peak_tflops[PEAK_FP32]);
    if (gpu->vendor == VENDOR_APPLE && is_k_quant(dtype)) gb_per_s *= ratio_or_1(coef->apple_k_quant_ratio);
    return gb_per_s > 0 && size > 0 ? gb_per_s * size : INFINITY; /* also where a fact is not known */
}

/* Of all ranks, with products at `flops_per_ms`: a long prompt takes power, of which the GPU has so much. */
static double prefill_flops_per_ms(const struct deployment *deployment, double flops_per_ms)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    double watts = deployment->gpu->tdp_watts * deployment->tensor_parallel;
    double power_flops_per_ms = coef->prefill_gflops_per_watt * watts * 1e9 / MS_PER_S;
    if (power_flops_per_ms > 0) flops_per_ms = 1 / norm(1 / flops_per_ms, 1 / power_flops_per_ms, coef->norm_exponent);
    bool narrow = dtype_bits(deployment->weight_dtype) < 16;
    return narrow ? flops_per_ms * ratio_or_1(coef->prefill_narrow_ratio) : flops_per_ms;
}

/* What a vendor's GPUs reach of the shares that the coefficients give. */
struct vendor_shares {
    double bandwidth, compute;
};

/* One that shows as two devices (CDNA2) is apart: kernels of its time use its memory less, its products more. */
static struct vendor_shares vendor_shares(const struct deployment *deployment)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    struct vendor_shares shares = {1, 1};
    if (deployment->gpu->vendor != VENDOR_AMD) return shares;
    shares = (struct vendor_shares){coef->amd_bandwidth_ratio, coef->amd_compute_ratio};
    if (strcmp(deployment->gpu->architecture, "CDNA2") != 0) return shares;
    shares.bandwidth = smaller(1, shares.bandwidth * ratio_or_1(coef->cdna2_memory_ratio));
    shares.compute = smaller(1, shares.compute * ratio_or_1(coef->cdna2_compute_ratio));
    return shares;
}

/* A calibration makes nothing faster than the hardware is. */
static double calibrated(double share, double ratio)
{
    return ratio > 1 ? larger(share, smaller(1, share * ratio)) : share * ratio;
}

void rates_init(const struct deployment *deployment, struct rates *ret_rates)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    const struct gpu *gpu = deployment->gpu;
    bool amd = gpu->vendor == VENDOR_AMD;
    double ranks = deployment->tensor_parallel;
    struct vendor_shares shares = vendor_shares(deployment);
    double bytes_per_ms = gpu->memory_bandwidth_gb_per_s * GB / MS_PER_S * ranks;
    double flops_per_tflops = ranks * 1e12 / MS_PER_S;
    enum peak peak = compute_peak(deployment);
    struct kernel_ratios kernels = calibrate_ratios(deployment, peak);
    const double decode[PEAK_COUNT] = {coef->decode_16bit_ratio, coef->decode_16bit_ratio, coef->decode_16bit_ratio,
                                       coef->decode_8bit_ratio,  coef->decode_8bit_ratio,  coef->decode_4bit_ratio};
    const double prefill[PEAK_COUNT] = {coef->prefill_16bit_ratio, coef->prefill_16bit_ratio, coef->prefill_16bit_ratio,
                                        coef->prefill_8bit_ratio,  coef->prefill_8bit_ratio,  coef->prefill_4bit_ratio};
    double dense = calibrated(coef->dense_bandwidth_ratio * shares.bandwidth, kernels.memory);
    double expert = calibrated(coef->expert_bandwidth_ratio * shares.bandwidth, kernels.memory);
    double kv = calibrated(coef->kv_bandwidth_ratio * shares.bandwidth, kernels.kv);
    double step = calibrated(decode[peak] * shares.compute, kernels.decode);
    double prompt = calibrated(prefill[peak] * shares.compute, kernels.prefill);
    double attention = calibrated(coef->prefill_attention_ratio * shares.compute, kernels.attention);
    double peak_flops = product_tflops(deployment) * flops_per_tflops;
    *ret_rates = (struct rates){
        .memory_bytes_per_ms = bytes_per_ms * calibrated(shares.bandwidth, kernels.memory),
        .dense_bytes_per_ms = bytes_per_ms * dense,
        .expert_bytes_per_ms = bytes_per_ms * expert,
        .kv_bytes_per_ms =
            bytes_per_ms / ranks * kv * (gpu->vendor == VENDOR_APPLE ? ratio_or_1(coef->apple_kv_ratio) : 1),
        .read_bytes_per_ms = read_gb_per_s(deployment) * GB / MS_PER_S * ranks,
        .decode_flops_per_ms = peak_flops * step,
        .prefill_flops_per_ms = prefill_flops_per_ms(deployment, peak_flops * prompt),
        .prefill_attention_flops_per_ms = gpu->peak_tflops[PEAK_FP16] * flops_per_tflops * attention,
        .attention_half_tokens =
            coef->attention_half_tokens + coef->attention_half_tokens_per_tflops * gpu->peak_tflops[PEAK_FP16],
        .dense_read_share = dense,
        .expert_read_share = expert,
        .kv_read_share = kv,
        .decode_share = step,
        .prefill_share = prompt,
        .overhead_ratio = amd ? coef->amd_overhead_ratio : 1,
        .launch_ratio = amd ? coef->ttft_amd_ratio : 1,
        .link_bytes_per_ms = link_gb_per_s(deployment) * GB / MS_PER_S * coef->link_ratio * kernels.link,
        .allreduce_ratio = kernels.allreduce_us,
    };
}

/* Bytes that a rank sends for each row of a step. Two all-reduces a layer send 2(n-1)/n of the 16-bit hidden state
 * each. Where requests are divided over the ranks attention needs none, and a layer with experts sends the rows of a
 * rank, 1/n, to those that have their experts (of k drawn from n, n(1 - (1 - 1/n)^k) different ones on average) in 8
 * bits and back in 16. */
static double link_row_bytes(const struct deployment *deployment, const struct workload *work)
{
    double ranks = deployment->tensor_parallel, others = (ranks - 1) / ranks;
    double allreduce = 2 * others * work->hidden * 2;
    if (!divides_requests(deployment)) return 2 * work->layers * allreduce;
    double reached = ranks * (1 - pow(1 - 1 / ranks, deployment->model->experts_per_token));
    double there_and_back = reached * others * work->hidden * (1 + 2) / ranks;
    return work->moe_layers * there_and_back + (work->layers - work->moe_layers) * allreduce;
}

double link_row_ms(const struct deployment *deployment, const struct workload *work, const struct rates *rates)
{
    return link_row_bytes(deployment, work) / rates->link_bytes_per_ms;
}

double host_ms(const struct deployment *deployment, double bytes)
{
    return bytes > 0 ? bytes / (gpu_host_gb_per_s(deployment->gpu) * GB / MS_PER_S) : 0;
}

/* Weights in host memory are read in every step, beside everything else. */
double offload_step_ms(const struct roofline *roofline)
{
    return host_ms(roofline->deployment, roofline->memory->offloaded_bytes);
}
