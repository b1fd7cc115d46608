/* predicted_test.c owns the proof of sizing/predicted.h: intervals, changes of unit, probabilities. */
#include "sizing/predicted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance)) fail_msg("%.9g, expected %.9g within %g", value, expected, tolerance);
}

static void test_interval_is_a_factor_and_rounded(void **state)
{
    (void)state;
    struct predicted third = predicted_make(100.0 / 3, 2, 0.9, BASIS_FITTED);
    assert_near(third.value, 33.3333, 0);
    assert_near(third.low, 16.6667, 0);
    assert_near(third.high, 66.6667, 0);
    assert_near(third.coverage_ratio, 0.9, 0);
    assert_int_equal(third.basis, BASIS_FITTED);
}

static void test_no_factor_means_no_interval(void **state)
{
    (void)state;
    struct predicted plain = predicted_make(5, UNKNOWN, 0.9, BASIS_EXTRAPOLATED);
    assert_near(plain.value, 5, 0);
    assert_true(isnan(plain.low) && isnan(plain.high) && isnan(plain.coverage_ratio));
    assert_near(predicted_probability_below(plain, 4.9), 0, 0);
    assert_near(predicted_probability_below(plain, 5), 1, 0);
    assert_near(predicted_probability_below(PREDICTED_UNKNOWN, 1e9), 0, 0);
}

static void test_units_change(void **state)
{
    (void)state;
    struct predicted speed = predicted_make(8, 2, 0.9, BASIS_FITTED);
    struct predicted doubled = predicted_scale(speed, 2);
    assert_near(doubled.low, 8, 0);
    assert_near(doubled.value, 16, 0);
    assert_near(doubled.high, 32, 0);
    struct predicted price = predicted_invert(speed, 100);
    assert_near(price.low, 6.25, 0);
    assert_near(price.value, 12.5, 0);
    assert_near(price.high, 25, 0);
}

static void test_deviates(void **state)
{
    (void)state;
    static const double table[][2] = {
        {0.5, 0.674489750}, {0.9, 1.644853627}, {0.95, 1.959963985}, {0.99, 2.575829304}, {0.999, 3.290526731}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_near(predicted_deviate(table[i][0]), table[i][1], 1e-8);
}

static void test_probability_of_the_interval(void **state)
{
    (void)state;
    struct predicted latency = predicted_make(100, 1.5, 0.9, BASIS_FITTED);
    assert_near(predicted_probability_below(latency, 100), 0.5, 1e-6);
    assert_near(predicted_probability_below(latency, latency.low), 0.05, 1e-5);
    assert_near(predicted_probability_below(latency, latency.high), 0.95, 1e-5);
    assert_near(predicted_probability_below(latency, 0), 0, 0);
    struct predicted wide = predicted_make(100, 1.5, 0.5, BASIS_FITTED);
    assert_near(predicted_probability_below(wide, 150), 0.75, 1e-5);
    double before = 0;
    for (int step = 0; step < 50; step++) {
        double probability = predicted_probability_below(latency, 10 * pow(1.1, step));
        assert_true(probability >= before && probability <= 1);
        before = probability;
    }
}

static void test_every_basis_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(basis_name(BASIS_MEASURED), "measured");
    assert_string_equal(basis_name(BASIS_CALIBRATED), "calibrated");
    assert_string_equal(basis_name(BASIS_FITTED), "fitted");
    assert_string_equal(basis_name(BASIS_EXTRAPOLATED), "extrapolated");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interval_is_a_factor_and_rounded),
        cmocka_unit_test(test_no_factor_means_no_interval),
        cmocka_unit_test(test_units_change),
        cmocka_unit_test(test_deviates),
        cmocka_unit_test(test_probability_of_the_interval),
        cmocka_unit_test(test_every_basis_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
