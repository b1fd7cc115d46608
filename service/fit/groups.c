/* groups.c owns the ratios and the widths of groups of rows. */
#include "fit/groups.h"

#include <stdlib.h>
#include <string.h>

/* As many configurations without an error, and as many rows with the usual one, stand beside a group's own: so much do
 * the rows of a group say that is not true of further ones (docs/fit.md, "Groups"). */
#define SHRINK_CONFIGURATIONS 5.0
#define SHRINK_ROWS 10.0
#define LEAST_FACTOR 1.05 /* what is measured twice differs by 2.6 % (median; docs/accuracy.md) */

/* Rows of the same key; those of the first token apart from the others. */
struct group {
    struct engine_fit key;
    int owner;
    bool first_token;
    enum fit_kind kind;
    size_t rows;
    bool tells;        /* a ratio, too */
    double log_former; /* before the fit; 0 where former fits do not count */
    double log_ratio;  /* measured over computed; UNKNOWN if no row tells one */
    double spread;     /* usual error beside it */
    double factor;
};

struct weighted {
    double value, weight;
};

struct grouping {
    const struct fitting *fitting;
    struct group *groups;
    size_t count;
    uint32_t *of;            /* each residual */
    double *values;          /* room for all of them */
    struct weighted *ratios; /* the same */
};

/* Whether its error is one of step times, or of first tokens. A prompt alone tells the width of first tokens, but no
 * ratio: nothing waits for it. */
static bool tells_ratio(const struct residual *residual)
{
    return residual->run->kind != RUN_PREFILL;
}

/* Errors of rates and errors of times have opposite signs; this turns the ones into the others. */
static void turn_rates(const struct residuals *residuals, double *errors)
{
    for (size_t i = 0; i < residuals->count; i++) {
        if (residuals->items[i].metric <= METRIC_PREFILL_TOKENS_PER_SECOND) errors[i] = -errors[i];
    }
}

static struct group group_of(const struct residual *residual)
{
    const struct deployment *deployment = &residual->run->deployment;
    return (struct group){
        .key = {.load = residual->load,
                .gpu = deployment->gpu->id,
                .architecture = deployment->gpu->architecture,
                .family = deployment->model->sized_family ? deployment->model->sized_family : "",
                .weight_dtype = deployment->weight_dtype},
        .owner = residual->owner,
        .first_token = residual->kind == FIT_TTFT,
        .kind = residual->kind,
    };
}

static bool same_group(const struct group *a, const struct group *b)
{
    return a->owner == b->owner && a->first_token == b->first_token && engine_fit_compare(&a->key, &b->key) == 0;
}

static enum status make_groups(struct grouping *grouping)
{
    const struct residuals *residuals = &grouping->fitting->residuals;
    struct arena *arena = grouping->fitting->arena;
    grouping->groups = ARENA_ARRAY(arena, residuals->count + 1, struct group);
    grouping->of = ARENA_ARRAY(arena, residuals->count + 1, uint32_t);
    grouping->values = ARENA_ARRAY(arena, residuals->count + 1, double);
    grouping->ratios = ARENA_ARRAY(arena, residuals->count + 1, struct weighted);
    if (!grouping->groups || !grouping->of || !grouping->values || !grouping->ratios)
        return problems_add(grouping->fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for groups");
    for (size_t i = 0; i < residuals->count; i++) {
        struct group group = group_of(&residuals->items[i]);
        size_t at = 0;
        while (at < grouping->count && !same_group(&grouping->groups[at], &group))
            at++;
        if (at == grouping->count) grouping->groups[grouping->count++] = group;
        grouping->groups[at].rows++;
        grouping->groups[at].tells |= tells_ratio(&residuals->items[i]);
        if (!grouping->fitting->options->prior.physical)
            grouping->groups[at].log_former = residuals->items[i].log_former;
        grouping->of[i] = (uint32_t)at;
    }
    return STATUS_OK;
}

/* The group whose ratio is applied to a row: prompts alone have that of steps. grouping->count: none. */
static size_t applied_group(const struct grouping *grouping, size_t row)
{
    const struct group *own = &grouping->groups[grouping->of[row]];
    struct group steps = *own;
    size_t g = 0;
    if (tells_ratio(&grouping->fitting->residuals.items[row])) return grouping->of[row];
    steps.first_token = false;
    while (g < grouping->count && !same_group(&grouping->groups[g], &steps))
        g++;
    return g;
}

static int compare_weighted(const void *a, const void *b)
{
    double x = ((const struct weighted *)a)->value, y = ((const struct weighted *)b)->value;
    return (x > y) - (x < y);
}

/* Median of what the group's rows say, without those of one fold, near what was known before; UNKNOWN without rows. */
static double log_ratio_without(const struct grouping *grouping, size_t group, const double *errors,
                                const struct partition *folds, uint32_t fold)
{
    const struct residuals *residuals = &grouping->fitting->residuals;
    struct weighted *ratios = grouping->ratios;
    double all = 0, below = 0;
    size_t count = 0, middle = 0;
    for (size_t i = 0; i < residuals->count; i++) {
        const struct residual *residual = &residuals->items[i];
        if (grouping->of[i] != group || !tells_ratio(residual) || (folds && folds->of[i] == fold)) continue;
        ratios[count++] = (struct weighted){-errors[i], residual->weight};
        all += residual->weight;
    }
    if (count == 0) return UNKNOWN;
    qsort(ratios, count, sizeof *ratios, compare_weighted);
    while (middle + 1 < count && (below += ratios[middle].weight) < all / 2)
        middle++;
    double former = grouping->groups[group].log_former;
    return (ratios[middle].value * all + former * SHRINK_CONFIGURATIONS) / (all + SHRINK_CONFIGURATIONS);
}

/* Takes off each fold's errors what the other folds say of their groups. */
static void take_off_folds(const struct grouping *grouping, const struct partition *folds, const size_t *applied,
                           double *errors)
{
    size_t rows = grouping->fitting->residuals.count;
    double *adjusted = grouping->values;
    memcpy(adjusted, errors, rows * sizeof *errors);
    for (size_t group = 0; group < grouping->count; group++) {
        for (uint32_t fold = 0; fold < folds->count; fold++) {
            double log_ratio = log_ratio_without(grouping, group, errors, folds, fold);
            if (!is_known(log_ratio)) log_ratio = grouping->groups[group].log_former;
            for (size_t i = 0; i < rows; i++) {
                if (applied[i] == group && folds->of[i] == fold) adjusted[i] = errors[i] + log_ratio;
            }
        }
    }
    memcpy(errors, adjusted, rows * sizeof *errors);
}

/* The usual error of each group, near that of all groups of its profile and kind. */
static void set_spreads(struct grouping *grouping, const double *errors)
{
    const struct residuals *residuals = &grouping->fitting->residuals;
    for (size_t g = 0; g < grouping->count; g++) {
        struct group *group = &grouping->groups[g];
        double own = 0, pool = 0;
        size_t pooled = 0;
        for (size_t i = 0; i < residuals->count; i++) {
            const struct group *other = &grouping->groups[grouping->of[i]];
            if (other->owner != group->owner || other->kind != group->kind) continue;
            pool += fabs(errors[i]);
            pooled++;
            if (other == group) own += fabs(errors[i]);
        }
        double usual = pool / (double)pooled;
        group->spread = fmax((own + SHRINK_ROWS * usual) / ((double)group->rows + SHRINK_ROWS), 1e-6);
    }
}

/* Errors in units of their groups' spreads have one quantile, whose multiple each group's width is (normalized split
 * conformal prediction; Papadopoulos, Vovk, Gammerman 2011). */
static void set_factors(struct grouping *grouping, const double *errors)
{
    const struct residuals *residuals = &grouping->fitting->residuals;
    for (size_t g = 0; g < grouping->count; g++) {
        struct group *group = &grouping->groups[g];
        size_t count = 0;
        for (size_t i = 0; i < residuals->count; i++) {
            const struct group *other = &grouping->groups[grouping->of[i]];
            if (other->owner == group->owner && other->kind == group->kind)
                grouping->values[count++] = errors[i] / other->spread;
        }
        double quantile =
            count < CONFORMAL_ROWS_MIN ? UNKNOWN : conformal_factor(grouping->values, count, COVERAGE_RATIO);
        group->factor = exp(log(quantile) * group->spread);
    }
}

/* Where rows are too few for a width, that of the profile stays. */
static double factor_of(const struct grouping *grouping, const struct group *group)
{
    const struct fit_options *options = grouping->fitting->options;
    const struct engine_profile *profile = options->profiles[group->owner];
    const struct engine_fit *former =
        options->prior.physical
            ? NULL
            : engine_find_fit(profile, group->key.load, group->key.gpu, group->key.family, group->key.weight_dtype);
    if (is_known(group->factor)) return fmax(group->factor, LEAST_FACTOR);
    if (!group->first_token) return former ? former->time_factor : engine_extrapolated_factor(profile, group->key.load);
    return former && is_known(former->ttft_factor) ? former->ttft_factor : profile->coef.ttft_extrapolated_factor;
}

/* Groups of step times, with what their first tokens say beside it. Those of first tokens alone have no row. */
static enum status write_groups(const struct grouping *grouping, struct fit *fit)
{
    fit->groups = ARENA_ARRAY(grouping->fitting->arena, grouping->count + 1, struct fitted_group);
    if (!fit->groups)
        return problems_add(grouping->fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for groups");
    for (size_t g = 0; g < grouping->count; g++) {
        const struct group *group = &grouping->groups[g];
        if (group->first_token) continue;
        struct fitted_group *written = &fit->groups[fit->group_count++];
        *written = (struct fitted_group){.owner = group->owner, .fit = group->key};
        written->fit.rows = (double)group->rows;
        written->fit.time_ratio = round6(exp(group->log_ratio));
        written->fit.time_factor = round6(factor_of(grouping, group));
        written->fit.ttft_ratio = written->fit.ttft_factor = UNKNOWN;
        struct group wanted = *group;
        wanted.first_token = true;
        for (size_t i = 0; i < grouping->count; i++) {
            const struct group *first = &grouping->groups[i];
            if (!same_group(first, &wanted)) continue;
            if (first->tells) written->fit.ttft_ratio = round6(exp(first->log_ratio));
            written->fit.ttft_factor = round6(factor_of(grouping, first));
        }
    }
    return STATUS_OK;
}

/* The same model and format on another GPU of the architecture. */
static bool is_kin(const struct group *a, const struct group *b)
{
    return a->owner == b->owner && a->first_token == b->first_token && a->key.load == b->key.load &&
           a->key.weight_dtype == b->key.weight_dtype && strcmp(a->key.family, b->key.family) == 0 &&
           strcmp(a->key.architecture, b->key.architecture) == 0;
}

static double kin_log_ratio(const struct grouping *grouping, const struct group *group)
{
    double sum = 0, count = 0;
    for (size_t g = 0; g < grouping->count; g++) {
        const struct group *other = &grouping->groups[g];
        if (!is_known(other->log_ratio) || !is_kin(other, group)) continue;
        sum += other->log_ratio;
        count++;
    }
    return count > 0 ? ENGINE_KIN_WEIGHT * sum / count : 0;
}

enum status groups_take_off(const struct fitting *fitting, const bool *left_out, double *errors)
{
    struct grouping grouping = {.fitting = fitting};
    size_t rows = fitting->residuals.count;
    uint32_t *part = ARENA_ARRAY(fitting->arena, rows + 1, uint32_t);
    enum status status = make_groups(&grouping);
    if (status != STATUS_OK) return status;
    if (!part) return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for groups");
    for (size_t i = 0; i < rows; i++)
        part[i] = left_out[i];
    const struct partition parts = {NULL, 2, part};
    turn_rates(&fitting->residuals, errors);
    for (size_t g = 0; g < grouping.count; g++)
        grouping.groups[g].log_ratio = log_ratio_without(&grouping, g, errors, &parts, 1);
    for (size_t i = 0; i < rows; i++) {
        const struct group *own = &grouping.groups[grouping.of[i]];
        if (left_out[i] && tells_ratio(&fitting->residuals.items[i]))
            errors[i] += is_known(own->log_ratio) ? own->log_ratio : kin_log_ratio(&grouping, own);
    }
    turn_rates(&fitting->residuals, errors);
    return STATUS_OK;
}

enum status groups_set(const struct fitting *fitting, const struct partition *folds, double *errors,
                       double *fold_errors, struct fit *fit)
{
    struct grouping grouping = {.fitting = fitting};
    size_t rows = fitting->residuals.count;
    size_t *applied = ARENA_ARRAY(fitting->arena, rows + 1, size_t);
    enum status status = make_groups(&grouping);
    if (status != STATUS_OK) return status;
    if (!applied) return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for groups");
    turn_rates(&fitting->residuals, errors);
    turn_rates(&fitting->residuals, fold_errors);
    for (size_t g = 0; g < grouping.count; g++) {
        double log_ratio = log_ratio_without(&grouping, g, errors, NULL, 0);
        grouping.groups[g].log_ratio = is_known(log_ratio) ? log_ratio : 0; /* prompts alone */
    }
    for (size_t i = 0; i < rows; i++) {
        applied[i] = applied_group(&grouping, i);
        if (applied[i] < grouping.count) errors[i] += grouping.groups[applied[i]].log_ratio;
    }
    take_off_folds(&grouping, folds, applied, fold_errors);
    set_spreads(&grouping, fold_errors);
    set_factors(&grouping, fold_errors);
    turn_rates(&fitting->residuals, errors);
    turn_rates(&fitting->residuals, fold_errors);
    return write_groups(&grouping, fit);
}
