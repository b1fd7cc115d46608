/* text_test.c owns the proof that numbers are read strictly, printed shortest, and names compared as meant. */
#include "catalog/text.h"
#include "catalog/units.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void test_parse_double_accepts(void **state)
{
    static const struct {
        const char *text;
        double value;
    } rows[] = {{"0", 0},
                {"-0.0", 0},
                {"1", 1},
                {"007", 7},
                {".5", 0.5},
                {"-12.25", -12.25},
                {"1e3", 1000},
                {"1E+3", 1000},
                {"1e-3", 0.001},
                {"0.1", 0.1},
                {"0.30000000000000004", 0.1 + 0.2},
                {"9007199254740993", 9007199254740992.0},
                {"123456789012345678901234567890", 123456789012345678901234567890.0},
                {"0e99999999999", 0},
                {"1.7976931348623157e308", 1.7976931348623157e308},
                {"5e-324", 0x1p-1074},
                {"1.000000000000000000000000000000000", 1},
                {"0.00000000000000000000000000000000001e35", 1},
                {"1e23", 1e23}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        double value = NAN;
        if (!text_parse_double(rows[i].text, &value) || value != rows[i].value)
            fail_msg("\"%s\" read as %.17g", rows[i].text, value);
        assert_true(text_is_decimal(rows[i].text));
    }
}

static void test_parse_double_refuses(void **state)
{
    static const char *const rows[] = {"",    "-",     "+1",  "--1", ".",     "5.",       "1.2.3",  "1e", "1e+",
                                       "e5",  "0x10",  "nan", "NaN", "inf",   "Infinity", " 1",     "1 ", "\t1",
                                       "1,5", "1_000", "1f",  "٣",   "1e400", "-1e400",   "1e-400", "70B"};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        double value = 42;
        if (text_parse_double(rows[i], &value)) fail_msg("\"%s\" accepted as %g", rows[i], value);
        assert_true(value == 42); /* untouched */
    }
    assert_true(text_is_decimal("1e400"));
    assert_false(text_is_decimal("0x10"));
}

static void test_parse_int64(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } rows[] = {{"0", true, 0},
                {"-1", true, -1},
                {"9223372036854775807", true, INT64_MAX},
                {"-9223372036854775808", true, INT64_MIN},
                {"9223372036854775808", false, 0},
                {"-9223372036854775809", false, 0},
                {"", false, 0},
                {"-", false, 0},
                {"1.0", false, 0},
                {"1e3", false, 0},
                {" 1", false, 0},
                {"0x1", false, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t value = 0;
        assert_int_equal(text_parse_int64(rows[i].text, &value), rows[i].good);
        assert_true(value == rows[i].value);
    }
}

static void test_parse_count(void **state)
{
    static const struct {
        const char *text;
        double value; /* NaN: refused */
    } rows[] = {{"70B", 70e9}, {"70b", 70e9}, {"1.5T", 1.5e12}, {"350M", 350e6}, {"8k", 8e3},
                {"7e9", 7e9},  {"12", 12},    {"70BB", NAN},    {"B", NAN},      {"", NAN},
                {"70 B", NAN}, {"70G", NAN},  {"1e308T", NAN},  {"0x7B", NAN}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        double value = NAN;
        assert_int_equal(text_parse_count(rows[i].text, &value), !isnan(rows[i].value));
        if (!isnan(rows[i].value)) assert_true(value == rows[i].value);
    }
}

static void test_format_known(void **state)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0, "0"},
                {-0.0, "0"},
                {1, "1"},
                {-1234.5, "-1234.5"},
                {100000, "100000"},
                {0.1, "0.1"},
                {9.64, "9.64"},
                {0.000025, "0.000025"},
                {1e-7, "1e-7"},
                {1.5e-8, "1.5e-8"},
                {1e20, "100000000000000000000"},
                {1e21, "1e+21"},
                {123456789012345680.0, "123456789012345680"},
                {70553706496.0, "70553706496"},
                {9007199254740991.0, "9007199254740991"},
                {1.0 / 3, "0.3333333333333333"},
                {0.1 + 0.2, "0.30000000000000004"},
                {0x1p-1074, "5e-324"},
                {1.7976931348623157e308, "1.7976931348623157e+308"},
                {NAN, "null"},
                {INFINITY, "null"},
                {-INFINITY, "null"}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[NUMBER_TEXT_BYTES];
        assert_int_equal(text_format_double(rows[i].value, text), strlen(rows[i].text));
        assert_string_equal(text, rows[i].text);
    }
}

/* Any double, any bits: reads back the same, and no shorter decimal would. */
static void check_round_trip(double value)
{
    char text[NUMBER_TEXT_BYTES], other[64];
    double back = 0, shorter = 0;
    size_t length = text_format_double(value, text), digits = 0;
    assert_int_equal(length, strlen(text));
    if (!text_parse_double(text, &back) || back != value) fail_msg("%a prints as %s", value, text);
    int precision = 1;
    for (; precision <= 17; precision++) {
        (void)snprintf(other, sizeof other, "%.*e", precision - 1, value);
        if (text_parse_double(other, &shorter) && shorter == value) break;
    }
    for (const char *c = text; *c && *c != 'e'; c++)
        digits += *c >= '0' && *c <= '9' && (digits || *c != '0');
    bool whole = strcspn(text, ".e") == length; /* zeros at the end of an integer are no digits */
    if (!whole && digits > (size_t)precision) fail_msg("%s is longer than %s", text, other);
}

static void test_format_random(void **state)
{
    const char *given = getenv("TEST_SEED");
    int64_t seed = 20261123;
    (void)state;
    if (given) assert_true(text_parse_int64(given, &seed));
    print_message("seed %lld\n", (long long)seed);
    srand48(seed);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t)mrand48() << 32 ^ (uint64_t)mrand48();
        double value = 0;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value) || value == 0) continue;
        check_round_trip(value);
        check_round_trip(round6(value));
        check_round_trip(round6(exp(drand48() * 60 - 30))); /* the magnitudes of answers */
    }
}

static void test_distance(void **state)
{
    static const struct {
        const char *a, *b;
        size_t limit, distance;
    } rows[] = {{"", "", 3, 0},
                {"h100", "H100", 3, 0},
                {"h100", "h200", 3, 1},
                {"kitten", "sitting", 3, 3},
                {"kitten", "sitting", 2, 3},
                {"abc", "", 3, 3},
                {"abc", "abcdefgh", 3, 4},
                {"ab", "ba", 3, 2},
                {"input_tokens", "inputtokens", 3, 1}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(text_distance(rows[i].a, rows[i].b, rows[i].limit), rows[i].distance);
        assert_int_equal(text_distance(rows[i].b, rows[i].a, rows[i].limit), rows[i].distance);
    }
    char name[1000];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(text_distance(name, name, 3), 4); /* too long to be a name: never a suggestion */
}

static void test_utf8(void **state)
{
    static const struct {
        const char *text;
        size_t length, valid;
    } rows[] = {{"", 0, 0},
                {"abc", 3, 3},
                {"a\0b", 3, 3},
                {"Größe €", 11, 11},
                {"\xF0\x9F\x98\x80", 4, 4},
                {"\xED\x9F\xBF", 3, 3},
                {"\xF4\x8F\xBF\xBF", 4, 4},
                {"a\x80", 2, 1},
                {"\xC0\xAF", 2, 0},
                {"\xC1\xBF", 2, 0},
                {"\xE0\x80\x80", 3, 0},
                {"\xED\xA0\x80", 3, 0},
                {"\xF0\x80\x80\x80", 4, 0},
                {"\xF4\x90\x80\x80", 4, 0},
                {"\xF8\x88\x80\x80\x80", 5, 0},
                {"\xE2\x82", 2, 0},
                {"ab\xC3", 3, 2},
                {"\xE2\x28\xA1", 3, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(text_utf8_prefix(rows[i].text, rows[i].length), rows[i].valid);
        assert_int_equal(text_valid_utf8(rows[i].text, rows[i].length), rows[i].valid == rows[i].length);
    }
}

static void test_hash(void **state)
{
    char empty[HASH_TEXT_BYTES], one[HASH_TEXT_BYTES], two[HASH_TEXT_BYTES];
    (void)state;
    text_hash("", 0, empty);
    text_hash("{\"a\":1}", 7, one);
    text_hash("{\"a\":2}", 7, two);
    assert_string_equal(empty, "cae66941d9efbd404e4d88758ea67670"); /* BLAKE2b-128 of nothing */
    assert_string_not_equal(one, two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_double_accepts),
        cmocka_unit_test(test_parse_double_refuses),
        cmocka_unit_test(test_parse_int64),
        cmocka_unit_test(test_parse_count),
        cmocka_unit_test(test_format_known),
        cmocka_unit_test(test_format_random),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
