/* factors.c owns how the errors of left-out groups become factors, and the scores of a fit. */
#include "fit/factors.h"

#include <stdlib.h>
#include <string.h>

/* --- factors --- */

/* Rows of one group of a key; FIT_KEY_COUNT: none. */
struct group {
    enum fit_key key;
    size_t number;
};
static const struct group no_group = {FIT_KEY_COUNT, 0};

static bool is_in(const struct held_out *held, struct group group, size_t row)
{
    return group.key != FIT_KEY_COUNT && held->partitions[group.key].of[row] == group.number;
}

/* Collects in `chosen` the errors of one profile and kind where a key was left out, without the rows of a group. */
static size_t choose(const struct fitting *fitting, const struct held_out *held, const struct fitted_factor *factor,
                     enum fit_key key, const size_t *group, struct group without, size_t count, double *chosen)
{
    for (size_t i = 0; i < fitting->residuals.count; i++) {
        const struct residual *residual = &fitting->residuals.items[i];
        if (residual->owner != factor->owner || residual->kind != factor->kind) continue;
        if ((group && held->partitions[key].of[i] != *group) || is_in(held, without, i)) continue;
        double error = factor->calibrated ? held->calibrated[i] : held->errors[key][i];
        if (is_known(error)) chosen[count++] = error;
    }
    return count;
}

/* Which keys tell of a factor: a model that was left out says nothing of a calibrated GPU and models that are told. */
static bool tells(const struct held_out *held, const struct fitted_factor *factor, enum fit_key key)
{
    return factor->calibrated ? key == FIT_BY_GPU && held->calibrated : held->errors[key] != NULL;
}

/* Wide enough for all rows together, and for most rows of every group: the next unseen GPU may be as odd as the oddest
 * of those that were left out. UNKNOWN: too few rows. */
static double factor_of(const struct fitting *fitting, const struct held_out *held, const struct fitted_factor *factor,
                        struct group without, double *chosen)
{
    size_t count = 0, rows = 0;
    for (enum fit_key key = 0; key < FIT_BY_VERSION; key++) {
        if (!tells(held, factor, key)) continue;
        rows = count;
        count = choose(fitting, held, factor, key, NULL, without, count, chosen);
        rows = count - rows;
    }
    if (rows < CONFORMAL_ROWS_MIN) return UNKNOWN;
    double value = conformal_factor(chosen, count, COVERAGE_RATIO);
    for (enum fit_key key = 0; key < FIT_BY_VERSION; key++) {
        for (size_t group = 0; tells(held, factor, key) && group < held->partitions[key].count; group++) {
            count = choose(fitting, held, factor, key, &group, without, 0, chosen);
            if (count >= GROUP_ROWS_MIN) value = fmax(value, conformal_factor(chosen, count, WORST_GROUP_RATIO));
        }
    }
    return value;
}

static size_t count_rows(const struct fitting *fitting, int owner, enum fit_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < fitting->residuals.count; i++)
        count += fitting->residuals.items[i].owner == owner && fitting->residuals.items[i].kind == kind;
    return count;
}

enum status factors_set(const struct fitting *fitting, const struct held_out *held, struct fit *fit)
{
    size_t owners = fitting->options->profile_count;
    double *chosen = ARENA_ARRAY(fitting->arena, fitting->residuals.count * FIT_KEY_COUNT + 1, double);
    fit->factors = ARENA_ARRAY(fitting->arena, conformal_rule_count * owners, struct fitted_factor);
    if (!chosen || !fit->factors)
        return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for factors");
    for (size_t f = 0; f < conformal_rule_count * owners; f++) {
        const struct conformal_rule *rule = &conformal_rules[f % conformal_rule_count];
        int owner = (int)(f / conformal_rule_count);
        const char *coefs = (const char *)&fitting->options->profiles[owner]->coef;
        struct fitted_factor factor = {.name = rule->name,
                                       .kind = rule->kind,
                                       .calibrated = rule->calibrated,
                                       .owner = owner,
                                       .start = *(const double *)(const void *)(coefs + rule->offset),
                                       .rows = count_rows(fitting, owner, rule->kind)};
        factor.value = round6(factor_of(fitting, held, &factor, no_group, chosen));
        if (is_known(factor.value)) fit->factors[fit->factor_count++] = factor;
    }
    return STATUS_OK;
}

/* --- scores --- */

/* Room for the errors of one group. */
struct scoring {
    const struct fitting *fitting;
    const struct held_out *held; /* NULL: nothing was left out */
    enum fit_key key;
    const double *errors;
    bool calibrated;
    double *chosen, *others;
    struct fit *fit;
};

static const struct fitted_factor *factor_for(const struct fit *fit, const struct residual *residual, bool calibrated)
{
    size_t i = 0;
    while (i < fit->factor_count &&
           (fit->factors[i].owner != residual->owner || fit->factors[i].kind != residual->kind ||
            fit->factors[i].calibrated != calibrated))
        i++;
    return i < fit->factor_count ? &fit->factors[i] : NULL;
}

/* Shares of a group's rows, or of all, that the intervals of answers hold: as the fit writes them, and as a fit
 * without the group would. */
static void set_coverage(const struct scoring *scoring, const size_t *group, struct fit_score *score)
{
    const struct residuals *residuals = &scoring->fitting->residuals;
    struct group without = {scoring->key, group ? *group : 0};
    const struct fitted_factor *last = NULL;
    size_t rows = 0, inside = 0, foreign_rows = 0, foreign_inside = 0;
    double foreign = UNKNOWN;
    for (size_t i = 0; scoring->held && i < residuals->count; i++) {
        const struct fitted_factor *factor = factor_for(scoring->fit, &residuals->items[i], scoring->calibrated);
        if (!factor || !is_known(scoring->errors[i]) || factor->kind != score->kind ||
            (group && !is_in(scoring->held, without, i)))
            continue;
        rows++;
        inside += fabs(scoring->errors[i]) <= log(factor->value);
        if (!group) continue;
        if (factor != last) foreign = factor_of(scoring->fitting, scoring->held, factor, without, scoring->others);
        last = factor;
        foreign_rows += is_known(foreign);
        foreign_inside += fabs(scoring->errors[i]) <= log(foreign);
    }
    score->coverage = rows ? (double)inside / (double)rows : UNKNOWN;
    score->foreign_coverage = foreign_rows ? (double)foreign_inside / (double)foreign_rows : UNKNOWN;
}

static void add_score(const struct scoring *scoring, enum fit_kind kind, const size_t *group)
{
    const struct residuals *residuals = &scoring->fitting->residuals;
    double *chosen = scoring->chosen;
    size_t count = 0;
    for (size_t i = 0; i < residuals->count; i++) {
        bool in = !group || is_in(scoring->held, (struct group){scoring->key, *group}, i);
        if (in && residuals->items[i].kind == kind && is_known(scoring->errors[i]))
            chosen[count++] = scoring->errors[i];
    }
    if (count == 0) return;
    struct fit_score score = {.key = scoring->key, .calibrated = scoring->calibrated, .kind = kind, .rows = count};
    if (group) score.group = scoring->held->partitions[scoring->key].names[*group];
    set_coverage(scoring, group, &score);
    qsort(chosen, count, sizeof *chosen, double_compare);
    score.bias = expm1(chosen[count / 2]);
    for (size_t i = 0; i < count; i++)
        chosen[i] = fabs(expm1(chosen[i]));
    qsort(chosen, count, sizeof *chosen, double_compare);
    score.median = chosen[count / 2];
    score.p90 = chosen[count * 9 / 10];
    scoring->fit->scores[scoring->fit->score_count++] = score;
}

enum status scores_add(const struct fitting *fitting, const struct held_out *held, enum fit_key key,
                       const double *errors, struct fit *fit)
{
    size_t groups = held ? held->partitions[key].count : 0, rows = fitting->residuals.count;
    double *room = ARENA_ARRAY(fitting->arena, rows * (FIT_KEY_COUNT + 1) + 1, double);
    struct fit_score *scores =
        ARENA_ARRAY(fitting->arena, fit->score_count + FIT_KIND_COUNT * (groups + 1), struct fit_score);
    if (!room || !scores) return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for scores");
    if (fit->score_count > 0) memcpy(scores, fit->scores, fit->score_count * sizeof *scores);
    fit->scores = scores;
    bool calibrated = held && errors == held->calibrated;
    struct scoring scoring = {fitting, held, key, errors, calibrated, room, room + rows, fit};
    for (enum fit_kind kind = 0; kind < FIT_KIND_COUNT; kind++) {
        add_score(&scoring, kind, NULL);
        for (size_t group = 0; group < groups; group++)
            add_score(&scoring, kind, &group);
    }
    return STATUS_OK;
}
