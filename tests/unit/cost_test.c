/* cost_test.c owns the proof of sizing/cost.h by examples computed by hand. */
#include "sizing/cost.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct operating_rates rates = {
    .electricity_usd_per_kwh = 0.10, .pue_ratio = 1.25, .utilization_ratio = 0.8};
static const struct gpu gpu = {.tdp_watts = 700, .memory_nominal_gb = 80, .memory_bandwidth_gb_per_s = 3350};

static struct cost_terms terms_of(double duration_hours, double hours_per_day)
{
    return (struct cost_terms){.duration_hours = duration_hours,
                               .used_hours = duration_hours * hours_per_day / 24,
                               .host_cost_ratio = 0.35,
                               .residual_value_ratio = 0,
                               .rates = rates};
}

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-5 * fabs(expected))) fail_msg("%.9g, not %.9g", value, expected);
}

static void test_money(void **state)
{
    (void)state;
    assert_int_equal(usd_from_double(1.30).micro, 1300000);
    assert_int_equal(usd_from_double(0.0000005).micro, 0); /* half to even */
    assert_int_equal(usd_from_double(0.0000015).micro, 2);
    assert_int_equal(usd_add(USD(1.5), USD(2.25)).micro, 3750000);
    assert_int_equal(usd_sub(USD(1.5), USD(2.25)).micro, -750000);
    assert_int_equal(usd_times(USD(98.32), 8760).micro, INT64_C(861283200000));
    assert_false(usd_known(usd_from_double(NAN)));
    assert_false(usd_known(usd_add(USD_UNKNOWN, USD(1))));
    assert_false(usd_known(usd_sub(USD(1), USD_UNKNOWN)));
    assert_false(usd_known(usd_times(USD_UNKNOWN, 2)));
    assert_false(usd_known(usd_from_double(1e19)));
    assert_false(usd_known(usd_add((usd_t){INT64_MAX}, USD(1))));
    assert_true(usd_compare(USD(1), USD(2)) < 0 && usd_compare(USD(2), USD(1)) > 0);
    assert_int_equal(usd_compare(USD(1), USD(1)), 0);
    assert_true(usd_compare(USD_UNKNOWN, USD(1000)) > 0);
    assert_true(isnan(usd_to_double(USD_UNKNOWN)));
}

/* 2 instances at 12.50 USD/h for 1,000 hours, 10 hours a day. */
static void test_rent_on_demand(void **state)
{
    (void)state;
    struct cost_terms terms = terms_of(1000, 10);
    struct cost cost;
    cost_rent(USD(12.50), 2, PURCHASE_ON_DEMAND, 0, &terms, &cost);
    assert_int_equal(cost.per_hour_usd.micro, USD(25).micro);
    assert_int_equal(cost.total_usd.micro, usd_from_double(25 * 1000.0 * 10 / 24).micro);
    assert_false(usd_known(cost.hardware_usd));
    assert_false(usd_known(cost.operating_usd));
}

/* Whole terms that cover the duration, day and night: a year is 8,760 hours, 12 months of 730. */
static void test_rent_reserved(void **state)
{
    (void)state;
    static const struct {
        double duration_hours;
        uint32_t term_months;
        double billed_hours;
    } cases[] = {{1, 12, 8760},      {8760, 12, 8760}, {8761, 12, 17520}, {8760, 36, 26280},
                 {20000, 12, 26280}, {730, 1, 730},    {731, 1, 1460}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cost_terms terms = terms_of(cases[i].duration_hours, 8);
        assert_near(cost_billed_hours(PURCHASE_RESERVED, cases[i].term_months, &terms), cases[i].billed_hours);
        struct cost cost;
        cost_rent(USD(2), 3, PURCHASE_RESERVED, cases[i].term_months, &terms, &cost);
        assert_int_equal(cost.total_usd.micro, usd_from_double(6 * cases[i].billed_hours).micro);
        assert_int_equal(cost.per_hour_usd.micro, USD(6).micro);
    }
    struct cost_terms terms = terms_of(1000, 12);
    assert_near(cost_billed_hours(PURCHASE_SPOT, 0, &terms), 500);
}

/* 0.7 kW × 0.8 × 1.25 × 0.10 USD/kWh = 0.07 USD/h. 8 GPUs at 30,000 with a host of 35 %: 324,000; a year of power:
 * 8 × 0.07 × 8,760 = 4,905.60. */
static void test_own(void **state)
{
    (void)state;
    assert_near(cost_operating_usd_per_gpu_hour(&gpu, &rates), 0.07);
    struct cost_terms terms = terms_of(8760, 24);
    struct cost cost;
    cost_own(&gpu, USD(30000.0), 8, 0, &terms, &cost);
    assert_int_equal(cost.hardware_usd.micro, USD(324000.0).micro);
    assert_int_equal(cost.operating_usd.micro, USD(4905.6).micro);
    assert_int_equal(cost.total_usd.micro, USD(328905.6).micro);
    assert_near(usd_to_double(cost.per_hour_usd), 328905.6 / 8760);
}

static void test_own_inventory_and_residual(void **state)
{
    (void)state;
    struct cost_terms terms = terms_of(8760, 24);
    struct cost cost;
    terms.residual_value_ratio = 0.25;
    cost_own(&gpu, USD(30000.0), 8, 6, &terms, &cost); /* two are bought: 81,000, of which a quarter is left */
    assert_int_equal(cost.hardware_usd.micro, USD(81000.0).micro);
    assert_int_equal(cost.operating_usd.micro, USD(4905.6).micro);
    assert_int_equal(cost.total_usd.micro, USD(81000 + 4905.6 - 20250).micro);
    cost_own(&gpu, USD_UNKNOWN, 8, 8, &terms, &cost); /* nothing to buy: no price needed */
    assert_int_equal(cost.hardware_usd.micro, 0);
    assert_int_equal(cost.total_usd.micro, USD(4905.6).micro);
    cost_own(&gpu, USD_UNKNOWN, 9, 8, &terms, &cost); /* one more cannot be had */
    assert_false(usd_known(cost.total_usd));
    terms = terms_of(8760, 6); /* runs a quarter of the day */
    cost_own(&gpu, USD(30000.0), 8, 8, &terms, &cost);
    assert_int_equal(cost.total_usd.micro, USD(1226.4).micro);
}

static struct predicted known(double value)
{
    return predicted_make(value, UNKNOWN, UNKNOWN, BASIS_FITTED);
}

/* 1.30 USD/h at 1,000 tokens/s: 1.30 / 3.6 million tokens. */
static void test_usd_per_million(void **state)
{
    (void)state;
    struct cost_terms terms = terms_of(100, 24);
    struct cost cost;
    cost_rent(USD(1.30), 1, PURCHASE_ON_DEMAND, 0, &terms, &cost);
    cost_ratios(&cost, &gpu, 1, terms.used_hours, known(1000), known(250), 0.75, known(500), UNKNOWN);
    assert_near(cost.per_million_tokens_usd.value, 0.361111);
    assert_near(cost.per_million_output_tokens_usd.value, 4 * 0.361111);
    assert_near(cost.per_million_input_tokens_usd.value, 0.361111 / 0.75);
    assert_near(cost.per_throughput_usd.value, 130.0 / 500);
    assert_near(cost.per_gb_vram_usd, 130.0 / 80);
    assert_near(cost.per_gb_per_s_bandwidth_usd, 130.0 / 3350);
}

/* The tighter of capacity and demand divides; without a demand the capacity. Hardware counts where it is bought. */
static void test_usd_per_throughput(void **state)
{
    (void)state;
    struct cost_terms terms = terms_of(100, 24);
    struct cost cost;
    cost_rent(USD(1), 1, PURCHASE_ON_DEMAND, 0, &terms, &cost);
    cost_ratios(&cost, &gpu, 1, terms.used_hours, known(1000), known(250), 0.75, known(500), 200);
    assert_near(cost.per_throughput_usd.value, 100.0 / 200);
    cost_ratios(&cost, &gpu, 1, terms.used_hours, known(1000), known(250), 0.75, known(500), 800);
    assert_near(cost.per_throughput_usd.value, 100.0 / 500);
    cost_own(&gpu, USD(1000.0), 2, 0, &terms, &cost);
    cost_ratios(&cost, &gpu, 2, terms.used_hours, known(1000), known(250), 0.75, known(500), UNKNOWN);
    assert_near(cost.per_gb_vram_usd, 2700.0 / 160);
    cost_own(&gpu, USD(1000.0), 2, 2, &terms, &cost);
    cost_ratios(&cost, &gpu, 2, terms.used_hours, known(1000), known(250), 0.75, known(500), UNKNOWN);
    assert_near(cost.per_gb_vram_usd, 14.0 / 160); /* nothing bought: the total */
}

/* A price per token has the interval of the speed, the other way round. */
static void test_intervals(void **state)
{
    (void)state;
    struct cost_terms terms = terms_of(100, 24);
    struct cost cost;
    struct predicted speed = predicted_make(1000, 2, 0.9, BASIS_FITTED);
    cost_rent(USD(3.6), 1, PURCHASE_ON_DEMAND, 0, &terms, &cost);
    cost_ratios(&cost, &gpu, 1, terms.used_hours, speed, speed, 0.5, speed, UNKNOWN);
    assert_near(cost.per_million_tokens_usd.value, 1);
    assert_near(cost.per_million_tokens_usd.low, 0.5);
    assert_near(cost.per_million_tokens_usd.high, 2);
    assert_near(cost.per_million_tokens_usd.coverage_ratio, 0.9);
    cost_ratios(&cost, &gpu, 1, terms.used_hours, PREDICTED_UNKNOWN, PREDICTED_UNKNOWN, 0.5, PREDICTED_UNKNOWN,
                UNKNOWN);
    assert_true(isnan(cost.per_million_tokens_usd.value) && isnan(cost.per_throughput_usd.value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_money),
        cmocka_unit_test(test_rent_on_demand),
        cmocka_unit_test(test_rent_reserved),
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_own_inventory_and_residual),
        cmocka_unit_test(test_usd_per_million),
        cmocka_unit_test(test_usd_per_throughput),
        cmocka_unit_test(test_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
