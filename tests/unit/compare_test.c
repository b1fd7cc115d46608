/* compare_test.c owns the tests of telling where two answers differ. */
#include "wire/compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *a, *b, *lines;
    size_t lines_max, count;
} rows[] = {
    {"{\"a\":1,\"b\":2}", "{ \"b\": 2, \"a\": 1 }", "", 9, 0},
    {"{\"a\":1}", "{\"a\":2}", "a: 1, 2\n", 9, 1},
    {"{\"a\":{\"b\":[1,{\"c\":1.5}]}}", "{\"a\":{\"b\":[1,{\"c\":2.5}]}}", "a.b[1].c: 1.5, 2.5\n", 9, 1},
    {"{\"a\":[1,2,3],\"z\":0}", "{\"a\":[1],\"z\":1}", "a[1]: 2, nothing\na[2]: 3, nothing\nz: 0, 1\n", 9, 3},
    {"{\"a\":null,\"b\":1}", "{\"b\":1,\"c\":false}", "a: null, nothing\nc: nothing, false\n", 9, 2},
    {"{\"a\":{\"b\":1}}", "{\"a\":[1]}", "a: {…}, […]\n", 9, 1},
    {"{\"a\":\"\"}", "{\"a\":null}", "a: , null\n", 9, 1},
    {"{\"a\":1,\"b\":1,\"c\":1}", "{\"a\":2,\"b\":2,\"c\":2}", "a: 1, 2\nb: 1, 2\n", 2, 3},
    {"{\"a\":\"0123456789012345678901234567890123456789012345678901234567890\"}", "{\"a\":\"größe\"}",
     "a: 012345678901234567890123456789012345678901234567890123456789…, größe\n", 9, 1},
};

static void names_what_differs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena;
        struct problems problems;
        struct out out;
        size_t count = 99;
        arena_init(&arena, 0);
        problems_init(&problems, &arena);
        out_init(&out, 0);
        assert_int_equal(compare_answers((struct compare_text){rows[i].a, strlen(rows[i].a)},
                                         (struct compare_text){rows[i].b, strlen(rows[i].b)}, rows[i].lines_max,
                                         &problems, &out, &count),
                         STATUS_OK);
        out_raw(&out, "", 1);
        assert_string_equal(out.data, rows[i].lines);
        assert_int_equal(count, rows[i].count);
        out_done(&out);
        arena_done(&arena);
    }
}

static void refuses_what_is_no_json(void **state)
{
    (void)state;
    struct arena arena;
    struct problems problems;
    struct out out;
    size_t count = 99;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    out_init(&out, 0);
    assert_int_equal(
        compare_answers((struct compare_text){"{}", 2}, (struct compare_text){"{", 1}, 9, &problems, &out, &count),
        STATUS_MALFORMED_JSON);
    assert_int_equal(count, 99);
    out_done(&out);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_differs),
        cmocka_unit_test(refuses_what_is_no_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
