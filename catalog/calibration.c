/* calibration.c owns how measured rates become shares of what a part can do. */
#include "catalog/calibration.h"

#include <string.h>

static const char *const state_names[CALIBRATION_STATE_COUNT] = {
    [CALIBRATION_USED] = "used", [CALIBRATION_SUSPECT] = "suspect", [CALIBRATION_RETIRED] = "retired"};

const char *calibration_state_name(enum calibration_state state)
{
    return state_names[state];
}

static const char *const figure_names[KERNEL_FIGURE_COUNT] = {
    [KERNEL_MEMORY] = "memory",          [KERNEL_KV] = "kv",
    [KERNEL_16BIT] = "product_16bit",    [KERNEL_8BIT] = "product_8bit",
    [KERNEL_4BIT] = "product_4bit",      [KERNEL_LINK] = "link",
    [KERNEL_ALLREDUCE] = "allreduce_us",
};

const char *kernel_figure_name(enum kernel_figure figure)
{
    return figure_names[figure];
}

static double share(double value, double peak)
{
    return peak > 0 ? value / peak : UNKNOWN;
}

double calibration_figure(const struct calibration *calibration, enum kernel_figure figure)
{
    const struct gpu *gpu = calibration->gpu;
    const double *product = calibration->product_tflops, *peak = gpu->peak_tflops;
    double link = gpu->link_gb_per_s > 0 ? gpu->link_gb_per_s / 2 : gpu->pcie_gb_per_s;
    switch (figure) {
    case KERNEL_MEMORY: return share(calibration->memory_gb_per_s, gpu->memory_bandwidth_gb_per_s);
    case KERNEL_KV: return share(calibration->kv_gb_per_s, gpu->memory_bandwidth_gb_per_s);
    case KERNEL_16BIT: return share(product[PEAK_FP16], peak[PEAK_FP16]);
    case KERNEL_8BIT:
        return is_known(product[PEAK_FP8]) ? share(product[PEAK_FP8], peak[PEAK_FP8])
                                           : share(product[PEAK_INT8], peak[PEAK_INT8]);
    case KERNEL_4BIT: return share(product[PEAK_FP4], peak[PEAK_FP4]);
    case KERNEL_LINK: return share(calibration->allreduce_gb_per_s, link);
    case KERNEL_ALLREDUCE: return calibration->allreduce_us;
    case KERNEL_FIGURE_COUNT: break;
    }
    return UNKNOWN;
}

int calibration_compare(const void *a, const void *b)
{
    const struct calibration *x = a, *y = b;
    int order = strcmp(x->gpu->id, y->gpu->id);
    if (order == 0) order = strcmp(x->pool, y->pool);
    return order ? order : strcmp(x->id, y->id);
}

int calibration_compare_age(const struct calibration *a, const struct calibration *b)
{
    int order = (a->as_of.days > b->as_of.days) - (a->as_of.days < b->as_of.days);
    return order ? order : strcmp(a->started_at, b->started_at);
}
