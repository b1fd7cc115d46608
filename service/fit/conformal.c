/* conformal.c owns the quantile behind intervals and the table of factors. */
#include "fit/conformal.h"

#include <stdlib.h>
#include <string.h>

const struct conformal_rule conformal_rules[] = {
#define RULE(name, kind, calibrated)                                                                                   \
    {                                                                                                                  \
#name, offsetof(struct engine_coefs, name), kind, calibrated                                                   \
    }
    RULE(tpot_extrapolated_factor, FIT_TPOT, false),
    RULE(ttft_extrapolated_factor, FIT_TTFT, false),
    RULE(saturated_extrapolated_factor, FIT_SATURATED, false),
    RULE(static_extrapolated_factor, FIT_STATIC, false),
    RULE(tpot_calibrated_factor, FIT_TPOT, true),
    RULE(ttft_calibrated_factor, FIT_TTFT, true),
    RULE(saturated_calibrated_factor, FIT_SATURATED, true),
    RULE(static_calibrated_factor, FIT_STATIC, true),
#undef RULE
};
const size_t conformal_rule_count = sizeof conformal_rules / sizeof *conformal_rules;

double conformal_factor(double *errors, size_t count, double coverage_ratio)
{
    double rank = ceil(((double)count + 1) * coverage_ratio - 1e-9); /* 0.9·10 is 9, whatever doubles make of it */
    if (!(rank >= 1) || rank > (double)count) return UNKNOWN;
    for (size_t i = 0; i < count; i++)
        errors[i] = fabs(errors[i]);
    qsort(errors, count, sizeof *errors, double_compare);
    return exp(errors[(size_t)rank - 1]);
}
