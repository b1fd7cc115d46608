/* holdout.c owns groups, folds, and the errors of what was left out. */
#include "fit/holdout.h"

#include "fit/groups.h"
#include "fit/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const key_names[FIT_KEY_COUNT] = {[FIT_BY_GPU] = "gpu",
                                                     [FIT_BY_MODEL] = "model",
                                                     [FIT_BY_VERSION] = "version",
                                                     [FIT_BY_CONFIGURATION] = "configuration"};

const char *fit_key_name(enum fit_key key)
{
    return key_names[key];
}

static enum status no_memory(const struct fitting *fitting)
{
    return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for groups");
}

/* --- groups --- */

const char *fit_version_name(const struct run *run, char text[FIT_VERSION_BYTES])
{
    size_t length;
    const char *number = engine_version_find(run->engine_version ? run->engine_version : "", &length);
    (void)snprintf(text, FIT_VERSION_BYTES, "%s %.*s", run->deployment.engine->engine,
                   length ? (int)length : FIT_VERSION_BYTES, length ? number : "unknown");
    return text;
}

static const char *group_name(const struct run *run, enum fit_key key, char text[FIT_VERSION_BYTES])
{
    switch (key) {
    case FIT_BY_GPU: return run->deployment.gpu->id;
    case FIT_BY_MODEL: return run->deployment.model->id;
    case FIT_BY_VERSION:
    case FIT_BY_CONFIGURATION:
    case FIT_KEY_COUNT: break;
    }
    return fit_version_name(run, text);
}

enum status partition_by_key(const struct fitting *fitting, enum fit_key key, struct partition *ret_partition)
{
    const struct residuals *residuals = &fitting->residuals;
    const char **names = ARENA_ARRAY(fitting->arena, residuals->count + 1, const char *);
    uint32_t *of = ARENA_ARRAY(fitting->arena, residuals->count + 1, uint32_t);
    size_t count = 0;
    if (!names || !of) return no_memory(fitting);
    for (size_t i = 0; i < residuals->count; i++) {
        char text[FIT_VERSION_BYTES];
        const char *name = group_name(residuals->items[i].run, key, text);
        size_t group = 0;
        while (group < count && strcmp(names[group], name) != 0)
            group++;
        if (group == count) names[count++] = arena_strdup(fitting->arena, name);
        if (!names[group]) return no_memory(fitting);
        of[i] = (uint32_t)group;
    }
    *ret_partition = (struct partition){names, count, of};
    return STATUS_OK;
}

/* SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the same numbers on every machine. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t value = *state += 0x9E3779B97F4A7C15u;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9u;
    value = (value ^ value >> 27) * 0x94D049BB133111EBu;
    return value ^ value >> 31;
}

enum status partition_by_fold(const struct fitting *fitting, size_t folds, struct partition *ret_partition)
{
    const struct residuals *residuals = &fitting->residuals;
    size_t configurations = residuals->configuration_count;
    uint32_t *order = ARENA_ARRAY(fitting->arena, configurations + 1, uint32_t);
    uint32_t *fold = ARENA_ARRAY(fitting->arena, configurations + 1, uint32_t);
    uint32_t *of = ARENA_ARRAY(fitting->arena, residuals->count + 1, uint32_t);
    uint64_t random = fitting->options->seed;
    if (!order || !fold || !of) return no_memory(fitting);
    for (size_t i = 0; i < configurations; i++) { /* Fisher and Yates, inside out */
        size_t at = (size_t)(next_random(&random) % (i + 1));
        order[i] = order[at];
        order[at] = (uint32_t)i;
    }
    for (size_t i = 0; i < configurations; i++)
        fold[order[i]] = (uint32_t)(i % folds);
    for (size_t i = 0; i < residuals->count; i++)
        of[i] = fold[residuals->items[i].configuration];
    *ret_partition = (struct partition){NULL, folds, of};
    return STATUS_OK;
}

/* --- errors --- */

/* Solves without a group; its rows' errors as answers would have them. */
struct holdout {
    struct fitting *fitting;
    bool *left_out, *told;
    double *errors;
};

static enum status predict(const struct holdout *holdout, bool groups, double *ret_errors)
{
    fitting_errors(holdout->fitting, holdout->errors);
    enum status status = groups ? groups_take_off(holdout->fitting, holdout->left_out, holdout->errors) : STATUS_OK;
    for (size_t i = 0; i < holdout->fitting->residuals.count; i++) {
        if (holdout->left_out[i]) ret_errors[i] = holdout->errors[i];
    }
    return status;
}

static enum status predict_calibrated(const struct holdout *holdout, double *ret_errors)
{
    kernels_set_reference(holdout->fitting, holdout->left_out);
    kernels_calibrate(holdout->fitting, holdout->left_out, holdout->told);
    enum status status = predict(holdout, true, ret_errors);
    kernels_forget(holdout->fitting);
    for (size_t i = 0; i < holdout->fitting->residuals.count; i++) {
        if (holdout->left_out[i] && !holdout->told[i]) ret_errors[i] = UNKNOWN;
    }
    return status;
}

enum status holdout_errors(struct fitting *fitting, const struct partition *partition, const char *what,
                           double *ret_errors, double *ret_calibrated)
{
    size_t count = fitting->residuals.count;
    struct holdout holdout = {fitting, ARENA_ARRAY(fitting->arena, count + 1, bool),
                              ARENA_ARRAY(fitting->arena, count + 1, bool),
                              ARENA_ARRAY(fitting->arena, count + 1, double)};
    enum status status = STATUS_OK;
    if (!holdout.left_out || !holdout.told || !holdout.errors) return no_memory(fitting);
    for (size_t group = 0; group < partition->count && status == STATUS_OK; group++) {
        if (fitting->options->progress)
            fitting->options->progress(fitting->options->data, what, group + 1, partition->count);
        for (size_t i = 0; i < count; i++)
            holdout.left_out[i] = partition->of[i] == group;
        status = fitting_solve(fitting, holdout.left_out, false);
        if (status == STATUS_OK) status = predict(&holdout, partition->names != NULL, ret_errors);
        if (status == STATUS_OK && ret_calibrated) status = predict_calibrated(&holdout, ret_calibrated);
    }
    return status;
}
