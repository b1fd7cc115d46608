/* training.c owns the fit of a training profile: its coefficients, their weak priors, and runs that are left out. */
#include "fit/training.h"

#include "fit/minimize.h"

#include <string.h>

#define LOSS_SCALE 0.1 /* below it residuals count as squares, above it as distances */

const char *training_holdout_name(enum training_holdout holdout)
{
    static const char *const names[TRAINING_HOLDOUT_COUNT] = {"in fit", "without its GPU", "without its model"};
    return names[holdout];
}

/* Bounds keep what rows cannot tell within what hardware can do; the priors are a factor of e wide. */
static const struct parameter parameters[] = {
#define PARAMETER(coefficient, start_value, least, most)                                                               \
    {                                                                                                                  \
        .name = #coefficient, .owner = OWNER_ALL, .start = start_value, .width = 1, .low = least, .high = most         \
    }
    PARAMETER(product_16bit_ratio, 0.75, 0.3, 1), PARAMETER(product_8bit_ratio, 0.7, 0.2, 1),
    PARAMETER(product_4bit_ratio, 0.5, 0.1, 1),   PARAMETER(expert_ratio, 0.6, 0.15, 1),
    PARAMETER(attention_ratio, 0.35, 0.1, 0.42),  PARAMETER(older_moe_ratio, 1.2, 1, 3),
    PARAMETER(layer_passes, 3, 0.2, 30),          PARAMETER(expert_passes, 3, 0.05, 60),
    PARAMETER(tensor_link_share, 0.3, 0.05, 1.5), PARAMETER(expert_link_share, 0.7, 0.1, 3),
    PARAMETER(shard_link_share, 0.15, 0.01, 1),   PARAMETER(layer_us, 1000, 10, 8000),
    PARAMETER(bubble_ratio, 1, 0.3, 3),
#undef PARAMETER
};
enum { PARAMETER_COUNT = sizeof parameters / sizeof *parameters };

static double *coefficient_of(struct training_profile *profile, const char *name)
{
    for (size_t i = 0; i < training_coef_count; i++) {
        if (strcmp(training_coef_infos[i].name, name) == 0) return training_coef_at(profile, i);
    }
    return NULL;
}

bool training_fit_changes(size_t coefficient)
{
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        if (strcmp(parameters[i].name, training_coef_infos[coefficient].name) == 0) return true;
    }
    return false;
}

/* The runs of a fit, and the profile that it changes. A weight is 1, or 0 of what is left out. */
struct fitting {
    const struct training_error *errors;
    const double *weights;
    struct training_profile profile;
};

static void evaluate_runs(const void *items, size_t count, int owner, unsigned threads, double *ret_errors)
{
    const struct fitting *fitting = items;
    (void)owner;
    (void)threads;
    for (size_t i = 0; i < count; i++)
        ret_errors[i] = fitting->weights[i] > 0 ? training_run_error(fitting->errors[i].run, &fitting->profile) : 0;
}

/* The profile at the minimum. */
static enum status minimize(const struct training_fit *fit, const double *weights, struct training_profile *ret_profile)
{
    struct fitting fitting = {fit->errors, weights, *fit->profile};
    struct parameter fitted[PARAMETER_COUNT];
    double *targets[PARAMETER_COUNT], logs[PARAMETER_COUNT];
    unsigned steps = 0;
    const struct fit_problem problem = {.rows = {&fitting, fit->error_count, weights, evaluate_runs},
                                        .parameters = fitted,
                                        .parameter_count = PARAMETER_COUNT,
                                        .scale = LOSS_SCALE};
    for (size_t p = 0; p < PARAMETER_COUNT; p++) {
        fitted[p] = parameters[p];
        targets[p] = coefficient_of(&fitting.profile, parameters[p].name);
        fitted[p].targets = &targets[p];
        fitted[p].target_count = 1;
    }
    enum status status = fit_minimize(&problem, logs, NULL, &steps);
    if (status == STATUS_OK) *ret_profile = fitting.profile;
    return status;
}

const char *training_group_of(const struct training_run *run, enum training_holdout holdout)
{
    return holdout == TRAINING_WITHOUT_GPU ? run->setup.gpu->family : run->model_name;
}

/* Fits without each group in turn; its runs are then predicted by what the others say. */
static enum status hold_out(struct training_fit *fit, enum training_holdout holdout, double *weights)
{
    for (size_t i = 0; i < fit->error_count; i++) {
        if (is_known(fit->errors[i].fitted[holdout])) continue;
        struct training_profile profile;
        const char *group = training_group_of(fit->errors[i].run, holdout);
        for (size_t j = 0; j < fit->error_count; j++)
            weights[j] = strcmp(training_group_of(fit->errors[j].run, holdout), group) != 0;
        enum status status = minimize(fit, weights, &profile);
        if (status != STATUS_OK) return status;
        for (size_t j = 0; j < fit->error_count; j++) {
            if (weights[j] == 0) fit->errors[j].fitted[holdout] = training_run_error(fit->errors[j].run, &profile);
        }
    }
    return STATUS_OK;
}

enum status training_fit_runs(const struct training_runs *runs, const struct training_profile *profile,
                              struct arena *arena, struct training_fit *ret_fit)
{
    struct training_fit fit = {.profile = profile,
                               .errors = ARENA_ARRAY(arena, runs->count + 1, struct training_error)};
    double *weights = ARENA_ARRAY(arena, runs->count + 1, double);
    if (!fit.errors || !weights) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < runs->count; i++) {
        const struct training_run *run = &runs->items[i];
        if (!run->in_fit || run->setup.profile != profile) continue;
        double bundled = training_run_error(run, profile);
        if (!is_known(bundled)) continue;
        weights[fit.error_count] = 1;
        fit.errors[fit.error_count++] = (struct training_error){run, bundled, {UNKNOWN, UNKNOWN, UNKNOWN}};
    }
    fit.fitted = *profile;
    enum status status = fit.error_count ? minimize(&fit, weights, &fit.fitted) : STATUS_OK;
    for (size_t i = 0; i < fit.error_count; i++)
        fit.errors[i].fitted[TRAINING_IN_FIT] = training_run_error(fit.errors[i].run, &fit.fitted);
    for (int key = TRAINING_WITHOUT_GPU; key < TRAINING_HOLDOUT_COUNT && status == STATUS_OK; key++)
        status = hold_out(&fit, (enum training_holdout)key, weights);
    if (status == STATUS_OK) *ret_fit = fit;
    return status;
}
