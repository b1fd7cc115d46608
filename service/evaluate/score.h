/* score.h owns the comparison of one measured figure with its prediction. */
#pragma once
#include "evaluate/run.h"

struct score {
    const struct run *run;
    enum metric metric; /* METRIC_COUNT: the row measured nothing at all */
    double measured;
    struct predicted predicted;
    double error_ratio; /* |predicted / measured - 1|, of METRIC_FITS |predicted - measured| */
    const char *reason; /* why it is not compared; NULL: it is */
};

struct scores {
    struct score *items; /* in the order of the runs, then of the metrics */
    size_t count;
};

/* Between the two nearest of `values`, which are sorted here; NaN of none. */
double score_quantile(double *values, size_t count, double share);
/* One for each figure that a run has, at least one for each run. */
enum status scores_make(const struct runs *runs, struct arena *arena, struct problems *problems,
                        struct scores *ret_scores) MUST_CHECK;
