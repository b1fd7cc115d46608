/* power.h owns the electric power of GPUs at work. Formula and measurements: docs/estimator.md, "Power". */
#pragma once
#include "catalog/gpu.h"
#include "sizing/predicted.h"

/* Watts of one GPU that is busy for this share of the time, and then fills its arithmetic units for this share of it.
 * Unknown where its TDP is. */
double power_gpu_watts(const struct gpu *gpu, double busy_ratio, double compute_share);
/* Watts of several GPUs as a quantity: more than their TDP they do not draw for long. */
struct predicted power_predict(double watts, double tdp_watts);
/* Output tokens for each joule. */
struct predicted power_tokens_per_joule(struct predicted output_tokens_per_second, double watts);
