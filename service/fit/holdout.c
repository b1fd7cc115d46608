/* holdout.c owns groups, folds, and the errors of what was left out. */
#include "fit/holdout.h"

#include "evaluate/score.h"
#include "fit/groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION_BYTES = 64 };

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

/* The engine and the first "1.2" of the row's spelling of its version: builds of one release are one version. */
static const char *version_name(const struct run *run, char text[VERSION_BYTES])
{
    size_t length;
    const char *number = engine_version_find(run->engine_version ? run->engine_version : "", &length);
    (void)snprintf(text, VERSION_BYTES, "%s %.*s", run->deployment.engine->engine, length ? (int)length : VERSION_BYTES,
                   length ? number : "unknown");
    return text;
}

static const char *group_name(const struct run *run, enum fit_key key, char text[VERSION_BYTES])
{
    switch (key) {
    case FIT_BY_GPU: return run->deployment.gpu->id;
    case FIT_BY_MODEL: return run->deployment.model->id;
    case FIT_BY_VERSION:
    case FIT_BY_CONFIGURATION:
    case FIT_KEY_COUNT: break;
    }
    return version_name(run, text);
}

enum status partition_by_key(const struct fitting *fitting, enum fit_key key, struct partition *ret_partition)
{
    const struct residuals *residuals = &fitting->residuals;
    const char **names = ARENA_ARRAY(fitting->arena, residuals->count + 1, const char *);
    uint32_t *of = ARENA_ARRAY(fitting->arena, residuals->count + 1, uint32_t);
    size_t count = 0;
    if (!names || !of) return no_memory(fitting);
    for (size_t i = 0; i < residuals->count; i++) {
        char text[VERSION_BYTES];
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

enum status holdout_errors(struct fitting *fitting, const struct partition *partition, const char *what,
                           double *ret_errors)
{
    size_t count = fitting->residuals.count;
    bool *left_out = ARENA_ARRAY(fitting->arena, count + 1, bool);
    double *errors = ARENA_ARRAY(fitting->arena, count + 1, double);
    enum status status = left_out && errors ? STATUS_OK : no_memory(fitting);
    for (size_t group = 0; group < partition->count && status == STATUS_OK; group++) {
        if (fitting->options->progress)
            fitting->options->progress(fitting->options->data, what, group + 1, partition->count);
        for (size_t i = 0; i < count; i++)
            left_out[i] = partition->of[i] == group;
        status = fitting_solve(fitting, left_out, false);
        if (status == STATUS_OK) fitting_errors(fitting, errors);
        if (status == STATUS_OK && partition->names) status = groups_take_off(fitting, left_out, errors);
        for (size_t i = 0; i < count; i++) {
            if (left_out[i]) ret_errors[i] = errors[i];
        }
    }
    return status;
}

/* --- scores --- */

/* Collects in `values` the errors of a kind that are in the group, or in all others. */
static size_t collect(const struct fitting *fitting, const struct partition *partition, size_t group, bool inside,
                      enum fit_kind kind, const double *errors, double *values)
{
    size_t count = 0;
    for (size_t i = 0; i < fitting->residuals.count; i++) {
        bool in = !partition || partition->of[i] == group;
        if (fitting->residuals.items[i].kind == kind && in == inside) values[count++] = errors[i];
    }
    return count;
}

static double share_within(const double *errors, size_t count, double factor)
{
    size_t within = 0;
    for (size_t i = 0; i < count; i++)
        within += fabs(errors[i]) <= log(factor);
    return is_known(factor) ? (double)within / (double)count : UNKNOWN;
}

static struct fit_score score_of(enum fit_key key, const char *group, enum fit_kind kind, double *errors, size_t count,
                                 double factor)
{
    struct fit_score score = {.key = key, .group = group, .kind = kind, .rows = count};
    score.coverage = share_within(errors, count, factor);
    qsort(errors, count, sizeof *errors, score_compare_errors);
    score.bias = expm1(errors[count / 2]);
    for (size_t i = 0; i < count; i++)
        errors[i] = fabs(expm1(errors[i]));
    qsort(errors, count, sizeof *errors, score_compare_errors);
    score.median = errors[count / 2];
    score.p90 = errors[count * 9 / 10];
    return score;
}

enum status holdout_score(const struct fitting *fitting, const struct partition *partition, enum fit_key key,
                          const double *errors, struct fit *fit)
{
    size_t groups = partition ? partition->count : 0, rows = fitting->residuals.count;
    double *inside = ARENA_ARRAY(fitting->arena, rows + 1, double);
    double *outside = ARENA_ARRAY(fitting->arena, rows + 1, double);
    struct fit_score *scores =
        ARENA_ARRAY(fitting->arena, fit->score_count + FIT_KIND_COUNT * (groups + 1), struct fit_score);
    if (!inside || !outside || !scores) return no_memory(fitting);
    if (fit->score_count > 0) memcpy(scores, fit->scores, fit->score_count * sizeof *scores);
    fit->scores = scores;
    for (enum fit_kind kind = 0; kind < FIT_KIND_COUNT; kind++) {
        size_t count = collect(fitting, NULL, 0, true, kind, errors, inside);
        if (count == 0) continue;
        memcpy(outside, inside, count * sizeof *inside);
        double factor = conformal_factor(outside, count, COVERAGE_RATIO);
        scores[fit->score_count++] = score_of(key, NULL, kind, inside, count, factor);
        for (size_t group = 0; group < groups; group++) {
            size_t others = collect(fitting, partition, group, false, kind, errors, outside);
            factor = conformal_factor(outside, others, COVERAGE_RATIO);
            count = collect(fitting, partition, group, true, kind, errors, inside);
            if (count > 0)
                scores[fit->score_count++] = score_of(key, partition->names[group], kind, inside, count, factor);
        }
    }
    return STATUS_OK;
}
