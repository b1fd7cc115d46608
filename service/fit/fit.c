/* fit.c owns the order of a fit: the rows, the minimum of both stages, what is left out in turn, the widths. */
#include "fit/fit.h"

#include "fit/factors.h"
#include "fit/groups.h"
#include "fit/kernels.h"
#include "fit/minimize.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FOLDS = 5, SOURCES_BYTES = 400 };
#define STEADY_ROWS 2580.0 /* of the fit at fixed concurrency, whose widths those of the parameters are */
#define WIDTH_RATIO_MAX 5.0
#define INFORMED 0.01 /* less than a hundredth of what its prior says tells nothing of a parameter */

/* Beyond it, residuals count by their distance: about the error of the fits (docs/estimator.md). */
static const double stage_scales[FIT_STAGE_COUNT] = {[FIT_STEP] = 0.1, [FIT_FIRST_TOKEN] = 0.2};

/* --- profiles --- */

static const struct engine_profile *parent_of(const struct snapshot *snapshot, const struct engine_profile *profile)
{
    for (size_t i = 0; profile->inherits && i < snapshot->profile_count; i++) {
        const struct engine_profile *parent = &snapshot->profiles[i];
        size_t length = strlen(parent->engine);
        if (strncasecmp(profile->inherits, parent->engine, length) == 0 && profile->inherits[length] == ' ' &&
            strcasecmp(profile->inherits + length + 1, parent->version_from) == 0)
            return parent;
    }
    return NULL;
}

static const struct engine_profile *next_root(const struct snapshot *snapshot, const struct engine_profile *profile)
{
    const struct engine_profile *parent = parent_of(snapshot, profile);
    return parent && parameters_same_coefs(parent, profile) ? parent : NULL;
}

const struct engine_profile *fit_root(const struct snapshot *snapshot, const struct engine_profile *profile)
{
    const struct engine_profile *root = profile;
    for (const struct engine_profile *next = root; next; next = next_root(snapshot, next))
        root = next;
    return root;
}

/* Which profile of the fit a run's profile follows: itself, or one that it takes all of its coefficients from. */
static int owner_of(const struct fit_options *options, const struct engine_profile *profile)
{
    for (; profile; profile = next_root(options->snapshot, profile)) {
        for (size_t i = 0; i < options->profile_count; i++) {
            if (options->profiles[i] == profile) return (int)i;
        }
    }
    return OWNER_ALL;
}

static enum status make_workspace(struct fitting *fitting)
{
    const struct fit_options *options = fitting->options;
    const struct snapshot *snapshot = options->snapshot;
    struct workspace *workspace = &fitting->workspace;
    size_t most = snapshot->profile_count + 1;
    workspace->profiles = ARENA_ARRAY(fitting->arena, most, struct engine_profile);
    workspace->originals = ARENA_ARRAY(fitting->arena, most, const struct engine_profile *);
    workspace->owners = ARENA_ARRAY(fitting->arena, most, int);
    workspace->owner_count = (int)options->profile_count;
    if (!workspace->profiles || !workspace->originals || !workspace->owners)
        return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for profiles");
    for (size_t i = 0; i < snapshot->profile_count; i++) {
        int owner = owner_of(options, &snapshot->profiles[i]);
        if (owner == OWNER_ALL) continue;
        workspace->originals[workspace->count] = &snapshot->profiles[i];
        workspace->profiles[workspace->count] = snapshot->profiles[i];
        workspace->owners[workspace->count++] = owner;
    }
    return STATUS_OK;
}

/* --- one solution --- */

static void evaluate_residuals(const void *items, size_t count, int owner, unsigned threads, double *ret_errors)
{
    residuals_evaluate(items, count, owner, threads, ret_errors);
}

/* What one stage sees; returns its problem. */
static struct fit_problem stage_problem(struct fitting *fitting, enum fit_stage stage, const bool *left_out)
{
    struct fit_problem problem = {.rows = {fitting->chosen, 0, fitting->weights, evaluate_residuals},
                                  .parameters = fitting->free,
                                  .scale = stage_scales[stage],
                                  .threads = fitting->options->threads};
    for (size_t i = 0; i < fitting->residuals.count; i++) {
        if (fitting->residuals.items[i].stage != stage || (left_out && left_out[i])) continue;
        fitting->weights[problem.rows.count] = fitting->residuals.items[i].weight;
        fitting->chosen[problem.rows.count++] = fitting->residuals.items[i];
    }
    for (size_t i = 0; i < fitting->parameters.count; i++) {
        if (fitting->parameters.items[i].stage == stage)
            fitting->free[problem.parameter_count++] = fitting->parameters.items[i];
    }
    return problem;
}

/* Values of a stage go to their parameters. */
static void spread(const struct fitting *fitting, enum fit_stage stage, double *to)
{
    for (size_t i = 0, next = 0; i < fitting->parameters.count; i++) {
        if (fitting->parameters.items[i].stage == stage) to[i] = fitting->stage_values[next++];
    }
}

static enum status solve_stage(struct fitting *fitting, enum fit_stage stage, const bool *left_out, bool curvature)
{
    struct fit_problem problem = stage_problem(fitting, stage, left_out);
    size_t n = problem.parameter_count;
    double *logs = fitting->stage_values, *deviation = logs + n, *information = deviation + n;
    struct fit_curvature known = {deviation, information};
    enum status status = fit_minimize(&problem, logs, curvature ? &known : NULL, &fitting->steps);
    if (status != STATUS_OK) return problems_add(fitting->problems, status, "", "no memory for a fit");
    spread(fitting, stage, fitting->logs);
    if (!curvature) return STATUS_OK;
    memcpy(logs, deviation, n * sizeof *logs);
    spread(fitting, stage, fitting->deviation);
    memcpy(logs, information, n * sizeof *logs);
    spread(fitting, stage, fitting->information);
    return STATUS_OK;
}

enum status fitting_solve(struct fitting *fitting, const bool *left_out, bool curvature)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < fitting->workspace.count; i++)
        fitting->workspace.profiles[i] = *fitting->workspace.originals[i];
    for (size_t i = 0; i < fitting->parameters.count; i++)
        parameter_set(&fitting->parameters.items[i], log(fitting->parameters.items[i].start));
    for (enum fit_stage stage = 0; stage < FIT_STAGE_COUNT && status == STATUS_OK; stage++)
        status = solve_stage(fitting, stage, left_out, curvature);
    return status;
}

static size_t count_runs(const struct residuals *residuals)
{
    size_t count = 0;
    for (size_t i = 0; i < residuals->count; i++)
        count += i == 0 || residuals->items[i].run != residuals->items[i - 1].run;
    return count;
}

/* What is left over in a fit is mostly what the formulas leave out, not noise: it does not average out over more rows
 * of the same machines. So priors keep the same share of the whole: their widths go with the root of the rows, within
 * what left-out GPUs and models have shown to be good (docs/fit.md, "Priors"). */
static double width_ratio(const struct fitting *fitting)
{
    double given = fitting->options->prior.width_ratio;
    double rows = (double)count_runs(&fitting->residuals);
    return is_known(given) ? given : fmin(fmax(sqrt(STEADY_ROWS / rows), 1), WIDTH_RATIO_MAX);
}

static enum status prepare(struct fitting *fitting, const struct runs *runs)
{
    enum status status = make_workspace(fitting);
    if (status == STATUS_OK)
        status = residuals_of(runs, &fitting->workspace, fitting->arena, fitting->problems, &fitting->residuals);
    struct prior prior = {fitting->options->prior.physical, width_ratio(fitting)};
    if (status == STATUS_OK)
        status =
            parameters_add_coefs(&fitting->parameters, &fitting->workspace, &prior, fitting->arena, fitting->problems);
    if (status != STATUS_OK) return status;
    size_t count = fitting->parameters.count;
    fitting->chosen = ARENA_ARRAY(fitting->arena, fitting->residuals.count + 1, struct residual);
    fitting->weights = ARENA_ARRAY(fitting->arena, fitting->residuals.count + 1, double);
    fitting->free = ARENA_ARRAY(fitting->arena, count + 1, struct parameter);
    fitting->stage_values = ARENA_ARRAY(fitting->arena, 3 * count + 1, double);
    fitting->logs = ARENA_ARRAY(fitting->arena, count + 1, double);
    fitting->deviation = ARENA_ARRAY(fitting->arena, count + 1, double);
    fitting->information = ARENA_ARRAY(fitting->arena, count + 1, double);
    return fitting->chosen && fitting->weights && fitting->free && fitting->stage_values && fitting->logs &&
                   fitting->deviation && fitting->information
               ? STATUS_OK
               : problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for a fit");
}

/* --- what comes out --- */

static enum status set_parameters(const struct fitting *fitting, struct fit *fit)
{
    fit->parameter_count = fitting->parameters.count;
    fit->parameters = ARENA_ARRAY(fitting->arena, fit->parameter_count + 1, struct fitted_parameter);
    if (!fit->parameters) return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for a fit");
    for (size_t i = 0; i < fit->parameter_count; i++) {
        const struct parameter *parameter = &fitting->parameters.items[i];
        double value = exp(fitting->logs[i]);
        fit->parameters[i] = (struct fitted_parameter){
            .name = parameter->name,
            .owner = parameter->owner,
            .stage = parameter->stage,
            .start = round6(parameter->start),
            .value = round6(value),
            .deviation_ratio = round6(expm1(fitting->deviation[i])),
            .at_bound = value >= parameter->high * (1 - 1e-6) || value <= parameter->low * (1 + 1e-6),
            .informed = fitting->information[i] > INFORMED,
        };
    }
    return STATUS_OK;
}

/* Leaves out each group of each key that is wanted; keys of one group are no groups. */
static enum status hold_out(struct fitting *fitting, struct held_out *ret_held)
{
    for (enum fit_key key = 0; key < FIT_BY_CONFIGURATION; key++) {
        struct partition partition;
        if (!(fitting->options->keys >> key & 1)) continue;
        enum status status = partition_by_key(fitting, key, &partition);
        if (status != STATUS_OK) return status;
        if (partition.count < 2) continue;
        ret_held->errors[key] = ARENA_ARRAY(fitting->arena, fitting->residuals.count + 1, double);
        if (!ret_held->errors[key])
            return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for errors");
        if (key == FIT_BY_GPU) {
            ret_held->calibrated = ARENA_ARRAY(fitting->arena, fitting->residuals.count + 1, double);
            if (!ret_held->calibrated)
                return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for errors");
        }
        status = holdout_errors(fitting, &partition, fit_key_name(key), ret_held->errors[key],
                                key == FIT_BY_GPU ? ret_held->calibrated : NULL);
        if (status != STATUS_OK) return status;
        ret_held->partitions[key] = partition;
    }
    return STATUS_OK;
}

/* Leaves out configurations, in folds, then groups: what is beside the coefficients, widths, and scores. */
static enum status validate(struct fitting *fitting, double *fit_errors, struct fit *fit)
{
    struct held_out held = {0};
    struct partition folds;
    double *fold_errors = ARENA_ARRAY(fitting->arena, fitting->residuals.count + 1, double);
    if (!fold_errors) return problems_add(fitting->problems, STATUS_OUT_OF_MEMORY, "", "no memory for errors");
    enum status status = partition_by_fold(fitting, FOLDS, &folds);
    if (status == STATUS_OK) status = holdout_errors(fitting, &folds, "fold", fold_errors, NULL);
    if (status == STATUS_OK) status = groups_set(fitting, &folds, fit_errors, fold_errors, fit);
    if (status == STATUS_OK) status = hold_out(fitting, &held);
    if (status == STATUS_OK) status = factors_set(fitting, &held, fit);
    if (status == STATUS_OK) status = scores_add(fitting, NULL, FIT_KEY_COUNT, fit_errors, fit);
    if (status == STATUS_OK) status = scores_add(fitting, NULL, FIT_BY_CONFIGURATION, fold_errors, fit);
    for (enum fit_key key = 0; key < FIT_BY_CONFIGURATION && status == STATUS_OK; key++) {
        if (held.errors[key]) status = scores_add(fitting, &held, key, held.errors[key], fit);
    }
    if (status == STATUS_OK && held.calibrated) status = scores_add(fitting, &held, FIT_BY_GPU, held.calibrated, fit);
    return status;
}

/* "a; b": the sources of the rows, as many as there is room for. */
static const char *sources_of(const struct fitting *fitting)
{
    const struct residuals *residuals = &fitting->residuals;
    char text[SOURCES_BYTES] = "";
    const char *last = NULL;
    for (size_t i = 0; i < residuals->count; i++) {
        const char *source = residuals->items[i].run->source;
        size_t used = strlen(text);
        if (!source || !*source || source == last || strstr(text, source)) continue;
        if (used + strlen(source) + 6 > sizeof text) {
            memcpy(text + used, " ...", 5);
            break;
        }
        (void)snprintf(text + used, sizeof text - used, "%s%s", used ? "; " : "", source);
        last = source;
    }
    return arena_strdup(fitting->arena, text);
}

/* Of the runs that are used. */
static size_t count_configurations(const struct fitting *fitting)
{
    const struct residuals *residuals = &fitting->residuals;
    bool *used = ARENA_ARRAY(fitting->arena, residuals->configuration_count + 1, bool);
    size_t count = 0;
    for (size_t i = 0; used && i < residuals->count; i++) {
        count += !used[residuals->items[i].configuration];
        used[residuals->items[i].configuration] = true;
    }
    return count;
}

enum status fit_runs(const struct runs *runs, const struct fit_options *options, struct arena *arena,
                     struct problems *problems, struct fit *ret_fit)
{
    struct fitting fitting = {.options = options, .arena = arena, .problems = problems};
    struct fit fit = {.profiles = options->profiles, .profile_count = options->profile_count};
    enum status status = prepare(&fitting, runs);
    if (status != STATUS_OK) return status;
    const struct residuals *residuals = &fitting.residuals;
    fit.runs = count_runs(residuals);
    fit.configurations = count_configurations(&fitting);
    fit.refused = residuals->refused;
    fit.unanswered = residuals->unanswered;
    if (fit.runs < FIT_RUNS_MIN)
        return problems_add(problems, STATUS_OUT_OF_RANGE, "",
                            "%zu usable rows of %s %s, %zu left out: a fit needs at least %d", fit.runs,
                            options->profiles[0]->engine, options->profiles[0]->version_from,
                            fit.refused + fit.unanswered, FIT_RUNS_MIN);
    double *errors = ARENA_ARRAY(arena, residuals->count, double);
    fit.sources = sources_of(&fitting);
    if (!errors || !fit.sources) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a fit");
    if (options->progress) options->progress(options->data, "all rows", 1, 1);
    status = fitting_solve(&fitting, NULL, true);
    if (status == STATUS_OK) status = set_parameters(&fitting, &fit);
    if (status == STATUS_OK) status = kernels_keep(&fitting, &fit);
    fit.steps = fitting.steps;
    if (status == STATUS_OK) fitting_errors(&fitting, errors);
    if (status == STATUS_OK) status = validate(&fitting, errors, &fit);
    if (status == STATUS_OK) *ret_fit = fit;
    return status;
}
