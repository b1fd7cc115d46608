/* trend.c owns the robust line through a window of readings.
 *
 * The slope is the median of the slopes of all pairs of points (Theil 1950, Sen 1968): a process that comes or goes
 * does not turn it. Its interval is Sen's, from the variance of Kendall's S. Readings of memory hang together in time,
 * so that this variance is too small: it is widened by (1 + r) / (1 - r) with r the correlation of neighbouring
 * residuals (Yue and Wang 2004, after Hamed and Rao 1998), from which (2 + 4 r) / n are missing where a line was taken
 * out before (Kendall 1954). A step, or a walk without direction, has an r near 1 and so nearly always an interval that
 * holds 0: no prediction is made from it. */
#include "monitor/trend.h"

#include <stdlib.h>

enum {
    POINTS_MIN = 8,
    POINTS_MAX = 120, /* longer windows are cut into so many groups: pairs grow with the square */
    PAIRS_MAX = POINTS_MAX * (POINTS_MAX - 1) / 2,
};
#define DEVIATE 1.6448536269514722 /* of the normal distribution, at FORECAST_COVERAGE_RATIO */
#define CORRELATION_MAX 0.98
#define HORIZON_SPANS 100.0 /* further than so many times what was seen nothing is predicted */

static double median_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, double_compare);
    return count % 2 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

/* The known points in at most POINTS_MAX groups of neighbours: mean of the time, median of the value. */
static size_t group(const struct trend_point *points, size_t count, struct trend_point ret_groups[POINTS_MAX])
{
    size_t known = 0, groups = 0, taken = 0, used = 0;
    for (size_t i = 0; i < count; i++)
        known += is_known(points[i].value);
    const size_t wanted = known < POINTS_MAX ? known : POINTS_MAX;
    double *values = calloc(known ? known : 1, sizeof *values), minutes = 0;
    for (size_t i = 0; values && i < count && groups < wanted; i++) {
        if (!is_known(points[i].value)) continue;
        values[used++] = points[i].value;
        minutes += points[i].minute;
        if (++taken < known * (groups + 1) / wanted) continue;
        ret_groups[groups++] = (struct trend_point){minutes / (double)used, median_of(values, used)};
        used = 0;
        minutes = 0;
    }
    free(values);
    return groups;
}

/* Of neighbouring residuals, 0 … CORRELATION_MAX. */
static double correlation(const struct trend_point *points, size_t count, double slope)
{
    double residuals[POINTS_MAX], sorted[POINTS_MAX], along = 0, whole = 0;
    for (size_t i = 0; i < count; i++)
        sorted[i] = residuals[i] = points[i].value - slope * points[i].minute;
    const double level = median_of(sorted, count);
    for (size_t i = 0; i < count; i++) {
        whole += (residuals[i] - level) * (residuals[i] - level);
        if (i + 1 < count) along += (residuals[i] - level) * (residuals[i + 1] - level);
    }
    if (!(whole > 0)) return 0; /* on a line exactly */
    const double seen = along / whole, r = seen + (2 + 4 * seen) / (double)count;
    return r < 0 ? 0 : r < CORRELATION_MAX ? r : CORRELATION_MAX;
}

static struct slope slope_of(const struct trend_point *points, size_t count)
{
    static const struct slope unknown = {UNKNOWN, UNKNOWN, UNKNOWN};
    double *slopes = count >= POINTS_MIN ? calloc(PAIRS_MAX, sizeof *slopes) : NULL;
    size_t pairs = 0;
    for (size_t i = 0; slopes && i < count; i++) {
        for (size_t j = i + 1; j < count; j++) {
            const double minutes = points[j].minute - points[i].minute;
            if (minutes > 0) slopes[pairs++] = (points[j].value - points[i].value) / minutes;
        }
    }
    struct slope slope = unknown;
    if (pairs > 0) {
        slope.value = median_of(slopes, pairs); /* and sorts them */
        const double n = (double)count, r = correlation(points, count, slope.value);
        const double reach = DEVIATE * sqrt(n * (n - 1) * (2 * n + 5) / 18 * (1 + r) / (1 - r));
        const double low = ((double)pairs - reach) / 2, high = ((double)pairs + reach) / 2;
        slope.low = slopes[low > 0 ? (size_t)low : 0];
        slope.high = slopes[high < (double)pairs ? (size_t)high : pairs - 1];
        if (low < 0) slope.low = -INFINITY; /* the window is too short to tell */
        if (high > (double)pairs) slope.high = INFINITY;
    }
    free(slopes);
    return slope;
}

struct slope trend_slope(const struct trend_point *points, size_t count)
{
    struct trend_point groups[POINTS_MAX];
    return slope_of(groups, group(points, count, groups));
}

/* Where the line is at its end. */
static double level_now(const struct trend_point *points, size_t count, double slope)
{
    double levels[POINTS_MAX];
    for (size_t i = 0; i < count; i++)
        levels[i] = points[i].value + slope * (points[count - 1].minute - points[i].minute);
    return median_of(levels, count);
}

struct forecast trend_full_in(const struct trend_point *points, size_t count, double full)
{
    static const struct forecast none = {UNKNOWN, UNKNOWN, UNKNOWN};
    struct trend_point groups[POINTS_MAX];
    const size_t used = group(points, count, groups);
    const struct slope slope = slope_of(groups, used);
    if (!is_known(full) || used < POINTS_MIN || !(slope.low > 0)) return none;
    const double left = fmax(full - level_now(groups, used, slope.value), 0);
    const double span = groups[used - 1].minute - groups[0].minute;
    if (left / slope.value > HORIZON_SPANS * span) return none;
    return (struct forecast){left / slope.value, left / slope.high, left / slope.low};
}
