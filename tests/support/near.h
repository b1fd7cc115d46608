/* near.h owns the comparison of doubles by a tolerance that is a share of what is expected. */
#pragma once
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline void assert_near(const char *what, double value, double expected, double tolerance_ratio)
{
    if (fabs(value - expected) <= tolerance_ratio * fabs(expected)) return;
    fail_msg("%s: %.9g, expected %.9g within %g", what, value, expected, tolerance_ratio);
}
