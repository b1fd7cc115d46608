/* minimize.c owns damped Gauss-Newton steps: the rows are evaluated for a quadratic model of the objective, which NLopt
 * solves within the bounds. Levenberg, Quart. Appl. Math. 2 (1944); Marquardt, J. SIAM 11 (1963). */
#include "fit/minimize.h"

#include <nlopt.h>
#include <string.h>

enum { STEPS_MAX = 80, TRIES_MAX = 12, MODEL_EVALUATIONS_MAX = 2000 };
#define DIFFERENCE 2e-3 /* of ln x: predictions are rounded to six digits */
#define ENOUGH 1e-6     /* relative fall of the objective at which the search ends */
#define STEP_MAX 1.0    /* of ln x in one step */
#define DAMPING_START 1e-3
#define DAMPING_MAX 1e6
#define MODEL_ENOUGH 1e-7

/* Everything is in logarithms. The model is curvature and gradient of F around `at`. */
struct search {
    const struct fit_problem *problem;
    size_t n;
    double *at, *next, *low, *high, *start; /* n each */
    double *errors, *next_errors, *slopes;  /* count; slopes: parameter after parameter */
    double *curvature, *gradient;           /* n·n, n */
    double *row, *step, *units;             /* n each */
    double damping, objective;
};

static bool search_init(struct search *search, const struct fit_problem *problem, struct arena *arena)
{
    size_t n = problem->parameter_count, m = problem->rows.count;
    *search = (struct search){.problem = problem, .n = n, .damping = DAMPING_START};
    double **const vectors[] = {&search->at,       &search->next, &search->low,  &search->high, &search->start,
                                &search->gradient, &search->row,  &search->step, &search->units};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        *vectors[i] = ARENA_ARRAY(arena, n + 1, double);
        if (!*vectors[i]) return false;
    }
    search->errors = ARENA_ARRAY(arena, m + 1, double);
    search->next_errors = ARENA_ARRAY(arena, m + 1, double);
    search->slopes = ARENA_ARRAY(arena, (n + 1) * (m + 1), double);
    search->curvature = ARENA_ARRAY(arena, (n + 1) * (n + 1), double);
    for (size_t i = 0; i < n; i++) {
        search->at[i] = search->start[i] = log(problem->parameters[i].start);
        search->low[i] = log(problem->parameters[i].low);
        search->high[i] = log(problem->parameters[i].high);
    }
    return search->errors && search->next_errors && search->slopes && search->curvature;
}

static void set_all(const struct search *search, const double *logs)
{
    for (size_t i = 0; i < search->n; i++)
        parameter_set(&search->problem->parameters[i], logs[i]);
}

static double prior_pull(const struct search *search, const double *logs, size_t i)
{
    return (logs[i] - search->start[i]) * search->problem->scale / search->problem->parameters[i].width;
}

static double objective_of(const struct search *search, const double *logs, double *ret_errors)
{
    const struct fit_problem *problem = search->problem;
    double sum = 0, square = problem->scale * problem->scale;
    set_all(search, logs);
    problem->rows.evaluate(problem->rows.items, problem->rows.count, OWNER_ALL, problem->threads, ret_errors);
    for (size_t i = 0; i < problem->rows.count; i++) {
        double part = ret_errors[i] / problem->scale;
        sum += problem->rows.weights[i] * square * (sqrt(1 + part * part) - 1);
    }
    for (size_t i = 0; i < search->n; i++)
        sum += prior_pull(search, logs, i) * prior_pull(search, logs, i) / 2;
    return sum;
}

/* Slopes of all errors along each parameter. */
static void find_slopes(struct search *search)
{
    const struct fit_problem *problem = search->problem;
    set_all(search, search->at);
    for (size_t p = 0; p < search->n; p++) {
        const struct parameter *parameter = &problem->parameters[p];
        double *slopes = search->slopes + p * problem->rows.count;
        memcpy(slopes, search->errors, problem->rows.count * sizeof *slopes);
        parameter_set(parameter, search->at[p] + DIFFERENCE);
        problem->rows.evaluate(problem->rows.items, problem->rows.count, parameter->owner, problem->threads, slopes);
        parameter_set(parameter, search->at[p]);
        for (size_t i = 0; i < problem->rows.count; i++)
            slopes[i] = (slopes[i] - search->errors[i]) / DIFFERENCE;
    }
}

/* What a residual weighs in the squares whose gradient is that of its loss. */
static double square_weight(const struct fit_problem *problem, const double *errors, size_t i)
{
    double part = errors[i] / problem->scale;
    return problem->rows.weights[i] / sqrt(1 + part * part);
}

static void make_model(struct search *search)
{
    const struct fit_problem *problem = search->problem;
    size_t n = search->n, m = problem->rows.count;
    find_slopes(search);
    memset(search->curvature, 0, n * n * sizeof(double));
    memset(search->gradient, 0, n * sizeof(double));
    for (size_t i = 0; i < m; i++) {
        double weight = square_weight(problem, search->errors, i);
        for (size_t p = 0; p < n; p++) {
            double slope = weight * search->slopes[p * m + i];
            if (slope == 0) continue;
            search->gradient[p] += slope * search->errors[i];
            for (size_t q = 0; q <= p; q++)
                search->curvature[p * n + q] += slope * search->slopes[q * m + i];
        }
    }
    for (size_t p = 0; p < n; p++) {
        double stiffness = problem->scale / problem->parameters[p].width;
        search->gradient[p] += prior_pull(search, search->at, p) * stiffness;
        search->curvature[p * n + p] += stiffness * stiffness;
        for (size_t q = 0; q < p; q++)
            search->curvature[q * n + p] = search->curvature[p * n + q];
    }
}

/* The damped model of a step in units in which its diagonal is 1: g·d + 1/2 d·A·d. */
static double model_value(unsigned n, const double *step, double *ret_gradient, void *data)
{
    const struct search *search = data;
    double value = 0;
    for (unsigned p = 0; p < n; p++) {
        double product = search->damping * step[p];
        for (unsigned q = 0; q < n; q++)
            product += search->curvature[p * n + q] * search->units[p] * search->units[q] * step[q];
        double gradient = search->gradient[p] * search->units[p];
        value += step[p] * (gradient + product / 2);
        if (ret_gradient) ret_gradient[p] = gradient + product;
    }
    return value;
}

/* Leaves the step in search->step and returns the model's fall; 0 if there is none. */
static double solve_model(struct search *search)
{
    unsigned n = (unsigned)search->n;
    double value = 0;
    nlopt_opt solver = nlopt_create(NLOPT_LD_SLSQP, n);
    if (!solver) return 0;
    for (unsigned p = 0; p < n; p++) {
        double unit = search->units[p] = 1 / sqrt(search->curvature[p * n + p]);
        (void)nlopt_set_lower_bound(solver, (int)p, fmax(search->low[p] - search->at[p], -STEP_MAX) / unit);
        (void)nlopt_set_upper_bound(solver, (int)p, fmin(search->high[p] - search->at[p], STEP_MAX) / unit);
        search->step[p] = 0;
    }
    (void)nlopt_set_min_objective(solver, model_value, search);
    (void)nlopt_set_ftol_rel(solver, MODEL_ENOUGH);
    (void)nlopt_set_maxeval(solver, MODEL_EVALUATIONS_MAX);
    (void)nlopt_optimize(solver, search->step, &value); /* any point below 0 will do; at 0 the damping grows */
    nlopt_destroy(solver);
    value = model_value(n, search->step, NULL, search);
    for (unsigned p = 0; p < n; p++) {
        search->step[p] *= search->units[p];
        search->next[p] = fmin(fmax(search->at[p] + search->step[p], search->low[p]), search->high[p]);
    }
    return value < 0 ? -value : 0;
}

static void swap(double **a, double **b)
{
    double *kept = *a;
    *a = *b;
    *b = kept;
}

/* One step that lowers the objective; false when there is none that is worth it. */
static bool descend(struct search *search)
{
    make_model(search);
    for (unsigned tries = 0; tries < TRIES_MAX && search->damping < DAMPING_MAX; tries++) {
        double promised = solve_model(search), objective = objective_of(search, search->next, search->next_errors);
        double fall = search->objective - objective;
        if (promised > 0 && fall > 0) {
            bool worth = fall > ENOUGH * search->objective;
            search->damping *= fall > promised / 2 ? 0.1 : 1;
            search->objective = objective;
            swap(&search->at, &search->next);
            swap(&search->errors, &search->next_errors);
            return worth;
        }
        if (promised <= ENOUGH * search->objective) return false;
        search->damping *= 10;
    }
    return false;
}

/* Cholesky's factor of the curvature, in its lower half; false if it is not positive. */
static bool factorize(double *matrix, size_t n)
{
    for (size_t p = 0; p < n; p++) {
        for (size_t q = 0; q <= p; q++) {
            double sum = matrix[p * n + q];
            for (size_t k = 0; k < q; k++)
                sum -= matrix[p * n + k] * matrix[q * n + k];
            if (p == q && !(sum > 0)) return false;
            matrix[p * n + q] = p == q ? sqrt(sum) : sum / matrix[q * n + q];
        }
    }
    return true;
}

/* The diagonal of the inverse of L·L': squared length of each column of the inverse of L. */
static double inverse_diagonal(const double *factor, size_t n, size_t at, double *column)
{
    double sum = 0;
    for (size_t p = at; p < n; p++) {
        double value = p == at;
        for (size_t k = at; k < p; k++)
            value -= factor[p * n + k] * column[k];
        column[p] = value / factor[p * n + p];
        sum += column[p] * column[p];
    }
    return sum;
}

/* Variance of a residual of full weight, from those that remain. */
static double error_variance(const struct search *search)
{
    const struct fit_problem *problem = search->problem;
    double sum = 0, rows = 0;
    for (size_t i = 0; i < problem->rows.count; i++) {
        sum += square_weight(problem, search->errors, i) * search->errors[i] * search->errors[i];
        rows += problem->rows.weights[i];
    }
    return rows > 0 ? sum / rows : 0;
}

static void find_curvature(struct search *search, struct fit_curvature *ret_curvature)
{
    size_t n = search->n;
    make_model(search);
    for (size_t p = 0; p < n; p++) {
        double stiffness = search->problem->scale / search->problem->parameters[p].width;
        ret_curvature->information[p] = search->curvature[p * n + p] / (stiffness * stiffness) - 1;
    }
    bool positive = factorize(search->curvature, n); /* always, because of the priors */
    double variance = error_variance(search);
    for (size_t p = 0; p < n; p++)
        ret_curvature->deviation[p] =
            positive ? sqrt(variance * inverse_diagonal(search->curvature, n, p, search->row)) : UNKNOWN;
}

enum status fit_minimize(const struct fit_problem *problem, double *ret_logs, struct fit_curvature *ret_curvature,
                         unsigned *steps)
{
    struct arena arena;
    struct search search;
    unsigned taken = 0;
    arena_init(&arena, 0);
    bool ready = search_init(&search, problem, &arena);
    if (ready) {
        search.objective = objective_of(&search, search.at, search.errors);
        while (problem->rows.count > 0 && taken < STEPS_MAX && descend(&search))
            taken++;
        set_all(&search, search.at);
        if (ret_curvature) find_curvature(&search, ret_curvature);
        memcpy(ret_logs, search.at, search.n * sizeof(double));
        *steps += taken;
    }
    arena_done(&arena);
    return ready ? STATUS_OK : STATUS_OUT_OF_MEMORY;
}
