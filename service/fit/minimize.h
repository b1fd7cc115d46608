/* minimize.h owns the search for the parameters at which residuals and priors together are least. */
#pragma once
#include "fit/parameters.h"

/* Rows of measurements, of whatever kind. */
struct fit_rows {
    const void *items;
    size_t count;
    const double *weights;
    /* ln(predicted / measured) of each, with what the parameters' targets say now; rows of other owners than `owner`
     * stay as they are. */
    void (*evaluate)(const void *items, size_t count, int owner, unsigned threads, double *ret_errors);
};

/* Least squares on ln(predicted / measured) with a soft-L1 loss, so that outliers pull with a constant force, and the
 * priors: F = sum w·s²·(sqrt(1 + (r/s)²) - 1) + 1/2 sum s²·((ln x - ln start)/width)²: a residual of s weighs as
 * much as a parameter that is one width off. */
struct fit_problem {
    struct fit_rows rows;
    const struct parameter *parameters; /* of one stage */
    size_t parameter_count;
    double scale; /* s: below it residuals count as squares, above it as distances */
    unsigned threads;
};

/* How well the minimum is known, from the curvature there; NULL members are not wanted. */
struct fit_curvature {
    double *deviation;   /* of ln x: one standard deviation */
    double *information; /* what the rows say of each, in units of what its prior says */
};

/* Starts at the priors, leaves the minimum in the targets and in ret_logs; adds its steps to *steps. Out of memory:
 * STATUS_OUT_OF_MEMORY, without a problem. */
enum status fit_minimize(const struct fit_problem *problem, double *ret_logs, struct fit_curvature *ret_curvature,
                         unsigned *steps) MUST_CHECK;
