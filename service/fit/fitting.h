/* fitting.h owns what the parts of a fit share: its rows, its parameters, and solving them with some rows left out. */
#pragma once
#include "fit/fit.h"

struct fitting {
    const struct fit_options *options;
    struct workspace workspace;
    struct parameters parameters;
    struct residuals residuals;
    struct residual *chosen; /* what one stage of a solution sees of the residuals */
    double *weights;         /* of those */
    struct parameter *free;  /* and of the parameters */
    double *stage_values;    /* of those */
    double *logs;            /* of each parameter: the solution */
    double *deviation, *information;
    unsigned steps; /* of all solutions */
    struct arena *arena;
    struct problems *problems;
};

/* The minimum over the residuals that are not left out (NULL: over all), in the workspace and in logs. Starts from the
 * priors, never from another solution, which would know what is left out. */
enum status fitting_solve(struct fitting *fitting, const bool *left_out, bool curvature) MUST_CHECK;
/* Errors of all residuals with what is in the workspace. */
static inline void fitting_errors(const struct fitting *fitting, double *ret_errors)
{
    residuals_evaluate(fitting->residuals.items, fitting->residuals.count, OWNER_ALL, fitting->options->threads,
                       ret_errors);
}
