/* out_test.c owns the proof that the streaming writer writes JSON, exactly, and fails softly. */
#include "wire/out.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_text(struct out *out, const char *expected)
{
    assert_false(out->failed);
    assert_int_equal(out->length, strlen(expected));
    assert_memory_equal(out->data, expected, out->length);
    out_done(out);
    assert_null(out->data);
}

static void write_everything(struct out *out)
{
    date_t date = {0};
    assert_true(date_parse("2026-11-23", &date));
    out_object(out, NULL);
    out_text(out, "text", "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f – €😀");
    out_text(out, "none", NULL);
    out_text(out, "", "empty key");
    out_number(out, "number", 9.64);
    out_number(out, "nan", NAN);
    out_number(out, "infinite", -INFINITY);
    out_integer(out, "integer", -9223372036854775807);
    out_integer(out, "zero", 0);
    out_integer(out, "absent", INT64_MIN);
    out_usd(out, "usd", (usd_t){1234560000});
    out_usd(out, "least", (usd_t){-1});
    out_usd(out, "million", (usd_t){1000000000000});
    out_usd(out, "most", (usd_t){INT64_MAX});
    out_usd(out, "unknown", USD_UNKNOWN);
    out_bool(out, "yes", true);
    out_bool(out, "no", false);
    out_date(out, "date", date);
    out_date(out, "never", DATE_UNKNOWN);
    out_array(out, "list");
    out_object(out, NULL);
    out_object_end(out);
    out_array(out, NULL);
    out_array_end(out);
    out_integer(out, NULL, 1);
    out_null(out, NULL);
    out_array_end(out);
    out_object(out, "object");
    out_null(out, "a\nb");
    out_object_end(out);
    out_object_end(out);
}

static const char everything[] =
    "{\"text\":\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f – €😀\",\"none\":null,\"\":\"empty key\","
    "\"number\":9.64,\"nan\":null,\"infinite\":null,\"integer\":-9223372036854775807,\"zero\":0,\"absent\":null,"
    "\"usd\":1234.56,\"least\":-0.000001,\"million\":1000000,\"most\":9223372036854.775807,\"unknown\":null,"
    "\"yes\":true,\"no\":false,\"date\":\"2026-11-23\",\"never\":null,\"list\":[{},[],1,null],"
    "\"object\":{\"a\\nb\":null}}";

static void test_everything(void **state)
{
    struct out out;
    (void)state;
    out_init(&out, 0);
    write_everything(&out);
    json_error_t error;
    json_t *root = json_loadb(out.data, out.length, JSON_REJECT_DUPLICATES, &error);
    if (!root) fail_msg("%s", error.text);
    assert_string_equal(json_string_value(json_object_get(root, "text")), "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f – €😀");
    json_decref(root);
    check_text(&out, everything);
}

/* Every limit below the length fails, every other one does not; a failed writer stays failed and never overruns. */
static void test_limits(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < sizeof everything + 64; limit++) {
        struct out out;
        out_init(&out, limit);
        write_everything(&out);
        assert_true(out.length <= limit && out.capacity <= limit);
        if (limit < sizeof everything - 1) assert_true(out.failed);
        if (limit >= sizeof everything + 40) assert_false(out.failed);
        out_done(&out);
    }
}

static void test_growth(void **state)
{
    struct out out;
    (void)state;
    out_init(&out, 0);
    out_array(&out, NULL);
    for (int i = 0; i < 100000; i++)
        out_integer(&out, NULL, i);
    out_array_end(&out);
    json_t *root = json_loadb(out.data, out.length, 0, NULL);
    assert_int_equal(json_array_size(root), 100000);
    assert_int_equal(json_integer_value(json_array_get(root, 99999)), 99999);
    json_decref(root);
    out_done(&out);
}

static void test_raw(void **state)
{
    struct out out;
    (void)state;
    out_init(&out, 0);
    out_raw(&out, "", 0);
    assert_null(out.data);
    out_raw(&out, "a\0b", 3);
    assert_int_equal(out.length, 3);
    volatile size_t too_much = SIZE_MAX; /* unknown to the compiler, which would warn */
    out_raw(&out, "x", too_much);
    assert_true(out.failed);
    out_raw(&out, "x", 1);
    assert_int_equal(out.length, 3);
    out_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_raw),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
