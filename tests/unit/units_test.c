/* units_test.c owns the proof of money, days and the one rounding: known values and properties with a printed seed. */
#include "catalog/text.h"
#include "catalog/units.h"

#include <float.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROUNDS = 20000 };
static uint64_t random_state;

static uint64_t next_random(void) /* splitmix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static int set_seed(void **state)
{
    (void)state;
    const char *seed = getenv("GPUSIZE_TEST_SEED");
    int64_t number = 20261123;
    assert_true(!seed || text_parse_int64(seed, &number));
    random_state = (uint64_t)number;
    print_message("GPUSIZE_TEST_SEED=%" PRId64 "\n", number);
    return 0;
}

/* A finite double of any size, from its bits. */
static double random_double(void)
{
    for (;;) {
        uint64_t bits = next_random();
        double value = 0;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value) && fabs(value) >= DBL_MIN && fabs(value) < 1e300) return value;
    }
}

static const struct {
    double value, rounded;
} roundings[] = {
    {0, 0},
    {1, 1},
    {-1, -1},
    {999999, 999999},
    {1000001, 1000000},
    {1000003, 1000000},
    {1234565, 1234560}, /* half to even */
    {1234575, 1234580},
    {0.1 + 0.2, 0.3},
    {999999.5, 1000000},
    {123456.5, 123456},
    {1.5e-15, 1.5e-15},
    {7850.4, 7850.4},
    {1.0 / 3.0, 0.333333},
    {2e15 / 3.0, 666667e9},
};

static void test_round6_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof roundings / sizeof *roundings; i++) {
        double rounded = round6(roundings[i].value);
        if (rounded != roundings[i].rounded)
            fail_msg("%.17g gives %.17g, not %.17g", roundings[i].value, rounded, roundings[i].rounded);
    }
    assert_true(isnan(round6(UNKNOWN)));
    assert_true(isinf(round6((double)INFINITY)));
}

/* Six digits, no more: close to the value, stable, odd, in order. */
static void test_round6_properties(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        double value = random_double(), rounded = round6(value);
        if (!(fabs(rounded - value) <= 5.0000001e-6 * fabs(value))) fail_msg("%.17g gives %.17g", value, rounded);
        if (round6(rounded) != rounded) fail_msg("%.17g is not stable: %.17g", rounded, round6(rounded));
        assert_true(round6(-value) == -rounded);
        double larger = value * (1 + 1e-9);
        assert_true(value > 0 ? round6(larger) >= rounded : round6(larger) <= rounded);
        char text[40], back[40];
        (void)snprintf(text, sizeof text, "%.5e", value);
        (void)snprintf(back, sizeof back, "%.5e", rounded);
        if (strcmp(text, back) != 0 && fabs(value) < 1e22 && fabs(value) > 1e-17) {
            double other = 0; /* a half in binary that is none in decimal may go either way */
            assert_true(text_parse_double(text, &other));
            assert_true(fabs(other - rounded) <= 1.01e-5 * fabs(value));
        }
    }
}

static void test_usd_values(void **state)
{
    (void)state;
    assert_int_equal(usd_from_double(20.5).micro, 20500000);
    assert_int_equal(usd_from_double(0.0000005).micro, 0); /* half to even */
    assert_int_equal(usd_from_double(0.0000015).micro, 2);
    assert_int_equal(USD(1.25).micro, 1250000);
    assert_false(usd_known(usd_from_double(UNKNOWN)));
    assert_false(usd_known(usd_from_double(1e13)));
    assert_false(usd_known(usd_add(USD(1), USD_UNKNOWN)));
    assert_false(usd_known(usd_sub(USD_UNKNOWN, USD(1))));
    assert_false(usd_known(usd_sub(USD(1), USD_UNKNOWN)));
    assert_false(usd_known(usd_add((usd_t){INT64_MAX}, USD(1))));
    assert_false(usd_known(usd_times(USD(1e6), 1e12)));
    assert_false(usd_known(usd_times(USD_UNKNOWN, 2)));
    assert_true(isnan(usd_to_double(USD_UNKNOWN)));
    assert_int_equal(usd_times(USD(1), 0.0000005).micro, 0);
    assert_true(usd_compare(USD(1), USD_UNKNOWN) < 0);
    assert_true(usd_compare(USD_UNKNOWN, USD(1)) > 0);
    assert_int_equal(usd_compare(USD_UNKNOWN, USD_UNKNOWN), 0);
}

static usd_t random_usd(void)
{
    return (usd_t){(int64_t)(next_random() >> 12) - (INT64_C(1) << 51)};
}

static void test_usd_properties(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        usd_t a = random_usd(), b = random_usd();
        assert_int_equal(usd_sub(usd_add(a, b), b).micro, a.micro);
        assert_int_equal(usd_add(a, b).micro, usd_add(b, a).micro);
        assert_int_equal(usd_compare(a, b), -usd_compare(b, a));
        assert_int_equal(usd_times(a, 1).micro, a.micro);
        assert_int_equal(usd_times(a, -1).micro, -a.micro);
        assert_int_equal(usd_from_double(usd_to_double(a)).micro, a.micro);
    }
}

static const struct {
    const char *text;
    int32_t days;
} days[] = {
    {"1970-01-01", 0},     {"1970", 0},           {"1970-02", 31}, {"2000-02-29", 11016},
    {"2000-03-01", 11017}, {"2026-11-23", 20780}, {"2026", 20454},
};

static const char *const no_days[] = {
    "",           "2026-2-3",   "2026-13-01", "2026-00-10", "2026-02-29", "2026-02-30",  "1969-12-31",
    "2201-01-01", "2026-11-2x", "2026/11/23", "20261123",   " 2026",      "2026-11-23 ", "2100-02-29",
};

static void test_day_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof days / sizeof *days; i++) {
        date_t day = DATE_UNKNOWN;
        assert_true(date_parse(days[i].text, &day));
        assert_int_equal(day.days, days[i].days);
    }
    for (size_t i = 0; i < sizeof no_days / sizeof *no_days; i++) {
        date_t day = {42};
        if (date_parse(no_days[i], &day)) fail_msg("\"%s\" is no day", no_days[i]);
        assert_int_equal(day.days, 42); /* untouched */
    }
    char text[DATE_TEXT_BYTES];
    assert_string_equal(date_format(DATE_UNKNOWN, text), "");
    assert_false(date_known(DATE_UNKNOWN));
}

/* Every day from 1970 to 2200: text and back, one after the other. */
static void test_all_days(void **state)
{
    (void)state;
    char text[DATE_TEXT_BYTES], before[DATE_TEXT_BYTES] = "";
    for (int32_t day = 0; day <= 84370; day++) {
        date_t back = DATE_UNKNOWN;
        date_format((date_t){day}, text);
        assert_true(date_parse(text, &back));
        assert_int_equal(back.days, day);
        assert_true(strcmp(before, text) < 0);
        memcpy(before, text, sizeof before);
    }
    assert_string_equal(text, "2200-12-31");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round6_values), cmocka_unit_test(test_round6_properties),
        cmocka_unit_test(test_usd_values),    cmocka_unit_test(test_usd_properties),
        cmocka_unit_test(test_day_values),    cmocka_unit_test(test_all_days),
    };
    return cmocka_run_group_tests(tests, set_seed, NULL);
}
