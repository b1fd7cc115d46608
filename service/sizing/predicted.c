/* predicted.c owns the arithmetic of intervals: factors, changes of unit, probabilities. */
#include "sizing/predicted.h"

static const char *const names[BASIS_COUNT] = {
    [BASIS_MEASURED] = "measured",
    [BASIS_CALIBRATED] = "calibrated",
    [BASIS_FITTED] = "fitted",
    [BASIS_EXTRAPOLATED] = "extrapolated",
};

const char *basis_name(enum basis basis)
{
    return names[basis];
}

struct predicted predicted_make(double value, double factor, double coverage_ratio, enum basis basis)
{
    double known_coverage_ratio = is_known(factor) ? coverage_ratio : UNKNOWN;
    return (struct predicted){round6(value), round6(value / factor), round6(value * factor), known_coverage_ratio,
                              basis};
}

struct predicted predicted_scale(struct predicted quantity, double scale)
{
    quantity.value = round6(quantity.value * scale);
    quantity.low = round6(quantity.low * scale);
    quantity.high = round6(quantity.high * scale);
    return quantity;
}

struct predicted predicted_invert(struct predicted quantity, double scale)
{
    struct predicted inverse = quantity;
    inverse.value = round6(scale / quantity.value);
    inverse.low = round6(scale / quantity.high);
    inverse.high = round6(scale / quantity.low);
    return inverse;
}

/* Newton's steps on erf(z / sqrt 2) = coverage from below the root, where erf is concave: they converge upwards. */
double predicted_deviate(double coverage_ratio)
{
    if (coverage_ratio == 0.9) return 1.6448536269514722; /* every interval of the bundled profiles */
    double deviate = 0;
    for (int step = 0; step < 60; step++) {
        double density = sqrt(2 / M_PI) * exp(-deviate * deviate / 2);
        double next = deviate + (coverage_ratio - erf(deviate * M_SQRT1_2)) / density;
        if (!(next > deviate)) break;
        deviate = next;
    }
    return deviate;
}

double predicted_probability_below(struct predicted quantity, double limit)
{
    if (!is_known(quantity.value)) return 0;
    if (!(quantity.high > quantity.low) || !(quantity.low > 0)) return quantity.value <= limit ? 1 : 0;
    if (!(limit > 0)) return 0;
    double sigma = log(quantity.high / quantity.low) / 2 / predicted_deviate(quantity.coverage_ratio);
    return erfc(-log(limit / quantity.value) / sigma * M_SQRT1_2) / 2;
}
