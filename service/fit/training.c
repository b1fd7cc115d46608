/* training.c owns the fit of a training profile: damped least squares (Levenberg 1944, Marquardt 1963) on
 * ln(predicted / measured), with a soft-L1 loss and weak priors around the values that the profile has. */
#include "fit/training.h"

#include <string.h>

enum { PARAMETERS_MAX = 16, STEPS_MAX = 60, TRIES_MAX = 10 };
#define DIFFERENCE 1e-3  /* of ln x */
#define LOSS_SCALE 0.1   /* below it residuals count as squares, above it as distances */
#define PRIOR_WEIGHT 0.1 /* of ln(x / start), against residuals */
#define ENOUGH 1e-7      /* relative fall of the objective at which the search ends */

const char *training_holdout_name(enum training_holdout holdout)
{
    static const char *const names[TRAINING_HOLDOUT_COUNT] = {"in fit", "without its GPU", "without its model"};
    return names[holdout];
}

/* Bounds keep what rows cannot tell within what hardware can do. */
static const struct parameter {
    const char *name;
    double start, low, high;
} parameters[] = {
    {"product_16bit_ratio", 0.75, 0.3, 1}, {"product_8bit_ratio", 0.7, 0.2, 1},  {"product_4bit_ratio", 0.5, 0.1, 1},
    {"expert_ratio", 0.6, 0.15, 1},        {"attention_ratio", 0.35, 0.1, 0.42}, {"older_moe_ratio", 1.2, 1, 3},
    {"layer_passes", 3, 0.2, 30},          {"expert_passes", 3, 0.05, 60},       {"tensor_link_share", 0.3, 0.05, 1.5},
    {"expert_link_share", 0.7, 0.1, 3},    {"shard_link_share", 0.15, 0.01, 1},  {"layer_us", 1000, 10, 8000},
    {"bubble_ratio", 1, 0.3, 3},
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

struct fitting {
    const struct training_error *errors;
    size_t count;
    const bool *left_out;
    struct training_profile profile;
    double *targets[PARAMETER_COUNT];
    double at[PARAMETER_COUNT]; /* ln */
    double *residuals, *slopes; /* slopes: parameter after parameter */
};

static void set_all(struct fitting *fitting, const double *logs)
{
    for (size_t i = 0; i < PARAMETER_COUNT; i++)
        *fitting->targets[i] = exp(logs[i]);
}

/* Soft L1 of the residuals and squares of the priors; leaves the residuals. */
static double objective(struct fitting *fitting, const double *logs, double *residuals)
{
    double sum = 0;
    set_all(fitting, logs);
    for (size_t i = 0; i < fitting->count; i++) {
        residuals[i] = fitting->left_out[i] ? 0 : training_run_error(fitting->errors[i].run, &fitting->profile);
        double ratio = residuals[i] / LOSS_SCALE;
        sum += LOSS_SCALE * LOSS_SCALE * (sqrt(1 + ratio * ratio) - 1);
    }
    for (size_t p = 0; p < PARAMETER_COUNT; p++) {
        double pull = PRIOR_WEIGHT * (logs[p] - log(parameters[p].start));
        sum += pull * pull / 2;
    }
    return sum;
}

static void find_slopes(struct fitting *fitting)
{
    double logs[PARAMETER_COUNT];
    memcpy(logs, fitting->at, sizeof logs);
    for (size_t p = 0; p < PARAMETER_COUNT; p++) {
        double *slopes = fitting->slopes + p * fitting->count;
        logs[p] += DIFFERENCE;
        (void)objective(fitting, logs, slopes);
        for (size_t i = 0; i < fitting->count; i++)
            slopes[i] = (slopes[i] - fitting->residuals[i]) / DIFFERENCE;
        logs[p] = fitting->at[p];
    }
}

/* Normal equations, weighted for the loss. */
static void find_normal(const struct fitting *fitting, double curvature[PARAMETER_COUNT][PARAMETER_COUNT],
                        double gradient[PARAMETER_COUNT])
{
    memset(curvature, 0, sizeof(double[PARAMETER_COUNT][PARAMETER_COUNT]));
    for (size_t p = 0; p < PARAMETER_COUNT; p++) {
        const double *mine = fitting->slopes + p * fitting->count;
        gradient[p] = PRIOR_WEIGHT * PRIOR_WEIGHT * (fitting->at[p] - log(parameters[p].start));
        curvature[p][p] = PRIOR_WEIGHT * PRIOR_WEIGHT;
        for (size_t i = 0; i < fitting->count; i++) {
            double ratio = fitting->residuals[i] / LOSS_SCALE, weight = 1 / sqrt(1 + ratio * ratio);
            gradient[p] += weight * mine[i] * fitting->residuals[i];
            for (size_t q = 0; q < PARAMETER_COUNT; q++)
                curvature[p][q] += weight * mine[i] * fitting->slopes[q * fitting->count + i];
        }
    }
}

/* Solves a positive definite system by elimination; the matrix and the right side are used up. */
static void solve(double matrix[PARAMETER_COUNT][PARAMETER_COUNT], double right[PARAMETER_COUNT],
                  double ret_step[PARAMETER_COUNT])
{
    for (size_t p = 0; p < PARAMETER_COUNT; p++) {
        for (size_t row = p + 1; row < PARAMETER_COUNT; row++) {
            double factor = matrix[row][p] / matrix[p][p];
            for (size_t column = p; column < PARAMETER_COUNT; column++)
                matrix[row][column] -= factor * matrix[p][column];
            right[row] -= factor * right[p];
        }
    }
    for (size_t p = PARAMETER_COUNT; p-- > 0;) {
        double sum = right[p];
        for (size_t column = p + 1; column < PARAMETER_COUNT; column++)
            sum -= matrix[p][column] * ret_step[column];
        ret_step[p] = sum / matrix[p][p];
    }
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* One damped step; false if none lowers the objective. */
static bool take_step(struct fitting *fitting, double *damping, double *least, double *scratch)
{
    double curvature[PARAMETER_COUNT][PARAMETER_COUNT], gradient[PARAMETER_COUNT];
    find_slopes(fitting);
    find_normal(fitting, curvature, gradient);
    for (int attempt = 0; attempt < TRIES_MAX; attempt++) {
        double matrix[PARAMETER_COUNT][PARAMETER_COUNT], right[PARAMETER_COUNT], step[PARAMETER_COUNT];
        double next[PARAMETER_COUNT];
        memcpy(matrix, curvature, sizeof matrix);
        for (size_t p = 0; p < PARAMETER_COUNT; p++) {
            matrix[p][p] *= 1 + *damping;
            right[p] = -gradient[p];
        }
        solve(matrix, right, step);
        for (size_t p = 0; p < PARAMETER_COUNT; p++)
            next[p] = clamp(fitting->at[p] + clamp(step[p], -1, 1), log(parameters[p].low), log(parameters[p].high));
        double now = objective(fitting, next, scratch);
        if (now < *least * (1 - ENOUGH)) {
            memcpy(fitting->at, next, sizeof next);
            memcpy(fitting->residuals, scratch, fitting->count * sizeof *scratch);
            *least = now;
            *damping /= 5;
            return true;
        }
        *damping *= 4;
    }
    return false;
}

/* The profile at the minimum over the runs that are not left out. */
static enum status minimize(const struct training_fit *fit, const bool *left_out, struct training_profile *ret_profile)
{
    struct arena scratch;
    struct fitting fitting = {fit->errors, fit->error_count, left_out, *fit->profile, {0}, {0}, NULL, NULL};
    arena_init(&scratch, 0);
    fitting.residuals = ARENA_ARRAY(&scratch, fit->error_count + 1, double);
    fitting.slopes = ARENA_ARRAY(&scratch, (fit->error_count + 1) * PARAMETER_COUNT, double);
    double *spare = ARENA_ARRAY(&scratch, fit->error_count + 1, double), damping = 1e-2;
    bool room = fitting.residuals && fitting.slopes && spare;
    for (size_t p = 0; p < PARAMETER_COUNT; p++) {
        fitting.targets[p] = coefficient_of(&fitting.profile, parameters[p].name);
        fitting.at[p] = log(parameters[p].start);
    }
    if (room) {
        double least = objective(&fitting, fitting.at, fitting.residuals);
        for (int step = 0; step < STEPS_MAX; step++) {
            if (!take_step(&fitting, &damping, &least, spare)) break;
        }
        set_all(&fitting, fitting.at);
        *ret_profile = fitting.profile;
    }
    arena_done(&scratch);
    return room ? STATUS_OK : STATUS_OUT_OF_MEMORY;
}

const char *training_group_of(const struct training_run *run, enum training_holdout holdout)
{
    return holdout == TRAINING_WITHOUT_GPU ? run->setup.gpu->family : run->model_name;
}

/* Fits without each group in turn; its runs are then predicted by what the others say. */
static enum status hold_out(struct training_fit *fit, enum training_holdout holdout, struct arena *arena)
{
    bool *left_out = ARENA_ARRAY(arena, fit->error_count + 1, bool);
    if (!left_out) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < fit->error_count; i++) {
        if (is_known(fit->errors[i].fitted[holdout])) continue;
        struct training_profile profile;
        const char *group = training_group_of(fit->errors[i].run, holdout);
        for (size_t j = 0; j < fit->error_count; j++)
            left_out[j] = strcmp(training_group_of(fit->errors[j].run, holdout), group) == 0;
        enum status status = minimize(fit, left_out, &profile);
        if (status != STATUS_OK) return status;
        for (size_t j = 0; j < fit->error_count; j++) {
            if (left_out[j]) fit->errors[j].fitted[holdout] = training_run_error(fit->errors[j].run, &profile);
        }
    }
    return STATUS_OK;
}

enum status training_fit_runs(const struct training_runs *runs, const struct training_profile *profile,
                              struct arena *arena, struct training_fit *ret_fit)
{
    struct training_fit fit = {.profile = profile,
                               .errors = ARENA_ARRAY(arena, runs->count + 1, struct training_error)};
    bool *none = ARENA_ARRAY(arena, runs->count + 1, bool);
    if (!fit.errors || !none) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < runs->count; i++) {
        const struct training_run *run = &runs->items[i];
        if (!run->in_fit || run->setup.profile != profile) continue;
        double bundled = training_run_error(run, profile);
        if (!is_known(bundled)) continue;
        fit.errors[fit.error_count++] = (struct training_error){run, bundled, {UNKNOWN, UNKNOWN, UNKNOWN}};
    }
    fit.fitted = *profile;
    enum status status = fit.error_count ? minimize(&fit, none, &fit.fitted) : STATUS_OK;
    for (size_t i = 0; i < fit.error_count; i++)
        fit.errors[i].fitted[TRAINING_IN_FIT] = training_run_error(fit.errors[i].run, &fit.fitted);
    for (int key = TRAINING_WITHOUT_GPU; key < TRAINING_HOLDOUT_COUNT && status == STATUS_OK; key++)
        status = hold_out(&fit, (enum training_holdout)key, arena);
    if (status == STATUS_OK) *ret_fit = fit;
    return status;
}
