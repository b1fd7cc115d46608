/* conformal.c owns the quantile behind intervals and the table of factors. */
#include "fit/conformal.h"

#include <stdlib.h>
#include <string.h>

const struct conformal_rule conformal_rules[] = {
#define RULE(name, kind, extrapolated, architecture)                                                                   \
    {                                                                                                                  \
#name, offsetof(struct engine_coefs, name), kind, extrapolated, architecture                                   \
    }
    RULE(tpot_fitted_factor, FIT_TPOT, false, NULL),
    RULE(tpot_fitted_cdna4_factor, FIT_TPOT, false, "CDNA4"),
    RULE(tpot_extrapolated_factor, FIT_TPOT, true, NULL),
    RULE(ttft_fitted_factor, FIT_TTFT, false, NULL),
    RULE(ttft_extrapolated_factor, FIT_TTFT, true, NULL),
    RULE(saturated_fitted_factor, FIT_SATURATED, false, NULL),
    RULE(saturated_extrapolated_factor, FIT_SATURATED, true, NULL),
    RULE(static_fitted_factor, FIT_STATIC, false, NULL),
    RULE(static_extrapolated_factor, FIT_STATIC, true, NULL),
#undef RULE
};
const size_t conformal_rule_count = sizeof conformal_rules / sizeof *conformal_rules;

static bool names(const struct conformal_rule *rule, const struct residual *residual)
{
    return rule->architecture && strcmp(rule->architecture, residual->run->deployment.gpu->architecture) == 0;
}

bool conformal_uses(const struct conformal_rule *rule, const struct residual *residual)
{
    if (rule->kind != residual->kind) return false;
    if (rule->architecture) return names(rule, residual);
    for (size_t i = 0; i < conformal_rule_count; i++) {
        const struct conformal_rule *other = &conformal_rules[i];
        if (other->kind == rule->kind && other->extrapolated == rule->extrapolated && names(other, residual))
            return false;
    }
    return true;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double conformal_factor(double *errors, size_t count, double coverage_ratio)
{
    double rank = ceil(((double)count + 1) * coverage_ratio - 1e-9); /* 0.9·10 is 9, whatever doubles make of it */
    if (!(rank >= 1) || rank > (double)count) return UNKNOWN;
    for (size_t i = 0; i < count; i++)
        errors[i] = fabs(errors[i]);
    qsort(errors, count, sizeof *errors, compare_doubles);
    return exp(errors[(size_t)rank - 1]);
}
