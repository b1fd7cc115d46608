/* trend.h owns the prediction of when something is full: a robust line through a window, and how sure it is. */
#pragma once
#include "catalog/units.h"

#include <stddef.h>

/* Minutes from the last point; coverage 0.9. All NaN: it does not rise, as far as can be told. */
struct forecast {
    double value, low, high;
};
#define FORECAST_COVERAGE_RATIO 0.9

/* What is used over time: minutes that only go forward, values NaN where unknown. */
struct trend_point {
    double minute, value;
};
/* Where the line through the points reaches `full`. Method and its sources: trend.c. */
struct forecast trend_full_in(const struct trend_point *points, size_t count, double full);

/* The slope by itself, per minute, with its interval at FORECAST_COVERAGE_RATIO; NaN if there are too few points. */
struct slope {
    double value, low, high;
};
struct slope trend_slope(const struct trend_point *points, size_t count);
