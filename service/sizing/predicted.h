/* predicted.h owns the shape of every predicted quantity: a value, its interval, and what it rests on. */
#pragma once
#include "catalog/units.h"

/* Ordered from best to worst: `min_basis` compares them. */
enum basis { BASIS_MEASURED, BASIS_CALIBRATED, BASIS_FITTED, BASIS_EXTRAPOLATED, BASIS_COUNT };
const char *basis_name(enum basis basis);

struct predicted {
    double value;          /* NaN = unknown */
    double low, high;      /* NaN without a known distribution */
    double coverage_ratio; /* of [low, high]; NaN without one */
    enum basis basis;
};

#define PREDICTED_UNKNOWN ((struct predicted){UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, BASIS_EXTRAPOLATED})

#define COVERAGE_RATIO 0.9 /* of the factors in the engine profiles, and of the intervals of answers */

/* value ×/÷ factor at coverage_ratio; factor NaN: no interval. All figures are rounded by round6. */
struct predicted predicted_make(double value, double factor, double coverage_ratio, enum basis basis);
/* The same quantity in other units (throughput per GPU, USD per token): scale > 0. */
struct predicted predicted_scale(struct predicted quantity, double scale);
/* scale / quantity: low and high change places. */
struct predicted predicted_invert(struct predicted quantity, double scale);
/* P(true value ≤ limit) for a log-normal whose central interval at coverage_ratio is [value/factor, value·factor];
 * 0 or 1 without an interval. */
double predicted_probability_below(struct predicted quantity, double limit);

/* The normal deviate z with P(|Z| ≤ z) = coverage_ratio, 0 < coverage_ratio < 1. */
double predicted_deviate(double coverage_ratio);
