/* residuals.h owns what a measured run says about coefficients: which of its figures, how much they weigh, and how far
 * a prediction is from them. */
#pragma once
#include "evaluate/run.h"
#include "fit/parameters.h"

/* By whose width an interval is made: one pair of factors in a profile each. */
enum fit_kind { FIT_TPOT, FIT_TTFT, FIT_SATURATED, FIT_STATIC, FIT_KIND_COUNT };
const char *fit_kind_name(enum fit_kind kind);

/* One figure of one run. */
struct residual {
    struct run *run; /* a copy whose profile is the workspace's */
    int owner;
    enum metric metric;
    enum fit_kind kind;
    enum fit_stage stage;
    double log_measured;
    enum fit_load load;
    double log_former;       /* ln of the ratio that the run's profile had for it before the fit */
    const uint32_t *repeats; /* how many runs of the same configuration say it */
    double weight;           /* 1 / those */
    uint32_t configuration;  /* runs that differ in nothing that is stated have the same */
};

struct residuals {
    struct residual *items;
    size_t count, configuration_count;
    size_t refused, unanswered; /* runs left out: cannot be compared; nothing is predicted for them */
};

/* The figures of all runs whose profile is in the workspace. */
enum status residuals_of(const struct runs *runs, const struct workspace *workspace, struct arena *arena,
                         struct problems *problems, struct residuals *ret_residuals) MUST_CHECK;

/* ln(predicted / measured) of each, with what the workspace says now; 0 where nothing is predicted any more. Residuals
 * of other owners than `owner` stay as they are. Threads share the rows in fixed parts: any number gives the same. */
void residuals_evaluate(const struct residual *items, size_t count, int owner, unsigned threads, double *ret_errors);
