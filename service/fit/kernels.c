/* kernels.c owns means of published calibrations over the rows of a fit. */
#include "fit/kernels.h"

static const struct kernel_coef {
    const char *name;
    size_t offset; /* in struct engine_coefs */
    enum kernel_figure figure;
} kernel_coefs[] = {
#define KERNEL(name, figure)                                                                                           \
    {                                                                                                                  \
#name, offsetof(struct engine_coefs, name), figure                                                             \
    }
    KERNEL(kernel_memory_ratio, KERNEL_MEMORY),
    KERNEL(kernel_kv_ratio, KERNEL_KV),
    KERNEL(kernel_16bit_ratio, KERNEL_16BIT),
    KERNEL(kernel_8bit_ratio, KERNEL_8BIT),
#undef KERNEL
};
enum { KERNEL_COEFS = sizeof kernel_coefs / sizeof *kernel_coefs };

static const struct calibration *published(const struct fitting *fitting, const struct residual *residual)
{
    return snapshot_find_pool(fitting->options->snapshot, residual->run->deployment.gpu, CALIBRATION_PUBLISHED);
}

/* Whether a row's time depends on the figure: products by the format of its weights. */
static bool depends_on(const struct residual *residual, enum kernel_figure figure)
{
    double bits = dtype_bits(residual->run->deployment.weight_dtype);
    if (figure == KERNEL_16BIT) return bits >= 16;
    return figure != KERNEL_8BIT || (bits >= 8 && bits < 16);
}

/* The geometric mean over rows of an owner, each by its weight; 0: no calibration tells. */
static double mean_of(const struct fitting *fitting, const bool *left_out, int owner, enum kernel_figure figure)
{
    double sum = 0, weights = 0;
    for (size_t i = 0; i < fitting->residuals.count; i++) {
        const struct residual *residual = &fitting->residuals.items[i];
        if (residual->owner != owner || residual->stage != FIT_STEP || (left_out && left_out[i])) continue;
        const struct calibration *calibration = published(fitting, residual);
        double value = calibration ? calibration_figure(calibration, figure) : UNKNOWN;
        if (!(value > 0) || !depends_on(residual, figure)) continue;
        sum += residual->weight * log(value);
        weights += residual->weight;
    }
    return weights > 0 ? exp(sum / weights) : 0;
}

void kernels_set_reference(const struct fitting *fitting, const bool *left_out)
{
    const struct workspace *workspace = &fitting->workspace;
    for (int owner = 0; owner < workspace->owner_count; owner++) {
        for (size_t k = 0; k < KERNEL_COEFS; k++) {
            double mean = mean_of(fitting, left_out, owner, kernel_coefs[k].figure);
            for (size_t p = 0; p < workspace->count; p++) {
                char *coefs = (char *)&workspace->profiles[p].coef;
                if (workspace->owners[p] == owner) *(double *)(void *)(coefs + kernel_coefs[k].offset) = mean;
            }
        }
    }
}

void kernels_calibrate(const struct fitting *fitting, const bool *left_out, bool *ret_told)
{
    for (size_t i = 0; i < fitting->residuals.count; i++) {
        const struct residual *residual = &fitting->residuals.items[i];
        if (!left_out[i]) continue;
        residual->run->deployment.calibration = published(fitting, residual);
        ret_told[i] = residual->run->deployment.calibration != NULL;
    }
}

void kernels_forget(const struct fitting *fitting)
{
    for (size_t i = 0; i < fitting->residuals.count; i++)
        fitting->residuals.items[i].run->deployment.calibration = NULL;
}

enum status kernels_keep(const struct fitting *fitting, struct fit *fit)
{
    size_t owners = fitting->options->profile_count;
    fit->kernels = ARENA_ARRAY(fitting->arena, owners * KERNEL_COEFS, struct fitted_kernel);
    if (!fit->kernels) return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for kernels");
    kernels_set_reference(fitting, NULL);
    for (size_t p = 0; p < fitting->workspace.count; p++) {
        int owner = fitting->workspace.owners[p];
        if (fitting->workspace.originals[p] != fitting->options->profiles[owner]) continue;
        const char *coefs = (const char *)&fitting->workspace.profiles[p].coef;
        for (size_t k = 0; k < KERNEL_COEFS; k++)
            fit->kernels[fit->kernel_count++] = (struct fitted_kernel){
                kernel_coefs[k].name, owner, round6(*(const double *)(const void *)(coefs + kernel_coefs[k].offset))};
    }
    return STATUS_OK;
}
