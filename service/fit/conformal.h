/* conformal.h owns the width of intervals: a factor such that value ×/÷ factor covers the next measurement with the
 * stated probability, from residuals of rows that were not in their own fit. */
#pragma once
#include "fit/residuals.h"

enum {
    CONFORMAL_ROWS_MIN = 20, /* of fewer, the largest error would be the width */
    GROUP_ROWS_MIN = 10,     /* fewer say little of their group */
};
#define WORST_GROUP_RATIO (2.0 / 3) /* how much of the oddest group an interval of what was not seen is to hold */

/* Split conformal prediction: exp of the ceil((count + 1)·coverage)-th smallest |error|, which a further exchangeable
 * row does not exceed with at least that probability (Vovk, Gammerman, Shafer: Algorithmic Learning in a Random World,
 * 2005). Sorts the absolute errors in place. UNKNOWN where there are too few. */
double conformal_factor(double *errors, size_t count, double coverage_ratio);

/* The width of what no row of a fit shows: from the residuals of groups that were left out (docs/fit.md). */
struct conformal_rule {
    const char *name;
    size_t offset; /* in struct engine_coefs */
    enum fit_kind kind;
    bool calibrated; /* of GPUs that are, and models that rows of other GPUs tell of */
};
extern const struct conformal_rule conformal_rules[];
extern const size_t conformal_rule_count;
