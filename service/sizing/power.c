/* power.c owns the arithmetic of power and energy. */
#include "sizing/power.h"

/* Shares of TDP. Idle: nvidia-smi shows 64 to 73 of 700 W on H100 SXM; runs of chuyishang/inference-energy 59 to 62 of
 * 400 W on A100 80GB, 25 to 29 of 300 W on RTX 6000 Ada. Busy and bound by memory: the same runs, with vLLM and models
 * of 3 to 20 B, 0.73 to 0.91 on A100 and 0.87 to 0.94 on RTX 6000 Ada; Llama-3.3-70B in fp8 on 4 H100 0.69 at 64 and
 * 0.74 at 128 requests in flight (gist of lhl, 2025-01). A GPU that only computes draws its TDP. */
#define IDLE_RATIO 0.1
#define MEMORY_BOUND_RATIO 0.75
#define COMPUTE_BOUND_RATIO 1.0
#define FACTOR 1.35 /* x and / at 90 %: holds the shares above */

double power_gpu_watts(const struct gpu *gpu, double busy_ratio, double compute_share)
{
    double working = MEMORY_BOUND_RATIO + (COMPUTE_BOUND_RATIO - MEMORY_BOUND_RATIO) * compute_share;
    return gpu->tdp_watts * (IDLE_RATIO + (working - IDLE_RATIO) * busy_ratio);
}

struct predicted power_predict(double watts, double tdp_watts)
{
    struct predicted power = predicted_make(watts, FACTOR, COVERAGE_RATIO, BASIS_EXTRAPOLATED);
    power.high = fmin(power.high, fmax(round6(tdp_watts), power.value));
    return power;
}

/* The errors of speed and of power have nothing to do with each other: their logarithms add as squares do. */
struct predicted power_tokens_per_joule(struct predicted output_tokens_per_second, double watts)
{
    double speed = log(output_tokens_per_second.high / output_tokens_per_second.low) / 2, power = log(FACTOR);
    return predicted_make(output_tokens_per_second.value / watts, exp(hypot(speed, power)), COVERAGE_RATIO,
                          BASIS_EXTRAPOLATED);
}
