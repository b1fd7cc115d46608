/* calibrate.c owns the comparison of calibrated kernels with those that a fit knew. */
#include "sizing/calibrate.h"

/* What the coefficients take a figure to be: on a GPU whose rows were in the fit, what is usual of that part; else what
 * kernels reach on the GPUs of the fit. Links differ in kind (NCCL's ring over PCIe says nothing of NVLink), and 4-bit
 * products hardly show in rows: those are compared within the same part alone. */
static double expected(const struct deployment *deployment, enum kernel_figure figure)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    const struct calibration *usual = deployment->calibration->usual;
    const double means[KERNEL_FIGURE_COUNT] = {[KERNEL_MEMORY] = coef->kernel_memory_ratio,
                                               [KERNEL_KV] = coef->kernel_kv_ratio,
                                               [KERNEL_16BIT] = coef->kernel_16bit_ratio,
                                               [KERNEL_8BIT] = coef->kernel_8bit_ratio};
    bool seen = figure == KERNEL_LINK || figure == KERNEL_ALLREDUCE;
    for (enum fit_load load = 0; load < FIT_LOAD_COUNT; load++)
        seen = seen || deployment->fits[load];
    return !seen ? means[figure] : usual ? calibration_figure(usual, figure) : UNKNOWN;
}

/* Engines follow their kernels most of the way: of saturated GPUs that a fit had not seen, all of it halves the bias
 * again, but spreads the errors (docs/fit.md, "Kernels"). */
#define FOLLOWED 0.8

/* UNKNOWN where either is. */
static double ratio_of(const struct deployment *deployment, enum kernel_figure figure)
{
    double value = calibration_figure(deployment->calibration, figure), usual = expected(deployment, figure);
    return value > 0 && usual > 0 ? pow(value / usual, FOLLOWED) : UNKNOWN;
}

static double ratio_or(double ratio, double otherwise)
{
    return is_known(ratio) ? ratio : otherwise;
}

static enum kernel_figure product_figure(enum peak peak)
{
    if (peak == PEAK_FP4) return KERNEL_4BIT;
    return peak == PEAK_FP8 || peak == PEAK_INT8 ? KERNEL_8BIT : KERNEL_16BIT;
}

/* Rows hardly tell the coefficient of 4-bit products from its start: the engine's share is that of 8 bits. */
static double narrow_ratio(const struct deployment *deployment, double ratio_8bit, double ratio_4bit)
{
    double value = calibration_figure(deployment->calibration, KERNEL_4BIT), usual = expected(deployment, KERNEL_8BIT);
    return value > 0 && usual > 0 ? pow(value * ratio_8bit / usual / ratio_4bit, FOLLOWED) : UNKNOWN;
}

struct kernel_ratios calibrate_ratios(const struct deployment *deployment, enum peak peak)
{
    struct kernel_ratios ratios = {1, 1, 1, 1, 1, 1, 1};
    if (!deployment->calibration) return ratios;
    const struct engine_coefs *coef = &deployment->engine->coef;
    enum kernel_figure product = product_figure(peak);
    double decode = ratio_of(deployment, product), prefill = decode;
    if (product == KERNEL_4BIT && !is_known(decode)) {
        decode = narrow_ratio(deployment, coef->decode_8bit_ratio, coef->decode_4bit_ratio);
        prefill = narrow_ratio(deployment, coef->prefill_8bit_ratio, coef->prefill_4bit_ratio);
    }
    ratios.memory = ratio_or(ratio_of(deployment, KERNEL_MEMORY), 1);
    ratios.kv = ratio_or(ratio_of(deployment, KERNEL_KV), ratios.memory);
    ratios.decode = ratio_or(decode, 1);
    ratios.prefill = ratio_or(prefill, 1);
    ratios.attention = ratio_or(ratio_of(deployment, KERNEL_16BIT), 1);
    ratios.link = ratio_or(ratio_of(deployment, KERNEL_LINK), 1);
    ratios.allreduce_us = ratio_or(ratio_of(deployment, KERNEL_ALLREDUCE), 1);
    return ratios;
}

bool calibrate_counts(const struct deployment *deployment)
{
    if (!deployment->calibration) return false;
    for (enum kernel_figure figure = 0; figure < KERNEL_FIGURE_COUNT; figure++) {
        if (is_known(ratio_of(deployment, figure))) return true;
    }
    return false;
}
