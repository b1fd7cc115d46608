/* trace_test.c owns the proof of wire/trace.h: what lines mean, and what is said of those that mean nothing. */
#include "wire/trace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct reading {
    struct arena arena;
    struct problems problems;
    struct request_list requests;
    enum status status;
};

static void read_text(struct reading *reading, const char *text, size_t length)
{
    *reading = (struct reading){0};
    arena_init(&reading->arena, 0);
    problems_init(&reading->problems, &reading->arena);
    reading->status = trace_read(&reading->arena, text, length, &reading->problems, &reading->requests);
    assert_int_equal(reading->status == STATUS_OK, reading->problems.count == 0);
}

static void test_lines(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF{\"id\":\"a\",\"input_tokens\":1024,\"output_tokens\":256}\r\n"
                               "\n \t\n"
                               "{\"input_tokens\":7}\n"
                               "{\"sequence_length\":300,\"output_tokens\":100,\"id\":null}\n"
                               "{\"sequence_length\":2048}\n"
                               "{\"id\":\"\xC3\xA9 \\u00e9 [{\",\"input_tokens\":5.0,\"output_tokens\":1e2}";
    static const struct request_lengths expected[] = {
        {"a", 1024, 256, 1},
        {NULL, 7, NAN, 4},
        {NULL, 200, 100, 5},
        {NULL, 2048, 0, 6},
        {"\xC3\xA9 \xC3\xA9 [{", 5, 100, 7},
    };
    enum { COUNT = sizeof expected / sizeof *expected };
    struct reading reading;
    read_text(&reading, text, sizeof text - 1);
    assert_int_equal(reading.status, STATUS_OK);
    assert_int_equal(reading.requests.count, COUNT);
    assert_true(reading.requests.traced);
    for (size_t i = 0; i < COUNT; i++) {
        const struct request_lengths *request = &reading.requests.items[i];
        assert_true(!request->id == !expected[i].id && (!request->id || strcmp(request->id, expected[i].id) == 0));
        assert_true(request->input_tokens == expected[i].input_tokens && request->line == expected[i].line);
        assert_true(request->output_tokens == expected[i].output_tokens ||
                    (isnan(request->output_tokens) && isnan(expected[i].output_tokens)));
    }
    arena_done(&reading.arena);
}

#define LONG_ID "12345678901234567890123456789012345678901"
#define GOOD "{\"input_tokens\":1}\n"

static void test_bad_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text, *field, *detail;
        enum status status;
    } cases[] = {
        {"", "trace", "the trace is empty", STATUS_MISSING_FIELD},
        {" \n\n\t\n", "trace", "the trace is empty", STATUS_MISSING_FIELD},
        {GOOD "{\"input_tokens\":0}", "line 2.input_tokens", "0 is out of range: give 1 to 100000000 tokens",
         STATUS_OUT_OF_RANGE},
        {"{\"input_tokens\":-3}", "line 1.input_tokens", "-3 is out of range", STATUS_OUT_OF_RANGE},
        {"{\"input_tokens\":3,\"output_tokens\":0}", "line 1.output_tokens", "0 is out of range", STATUS_OUT_OF_RANGE},
        {"{\"input_tokens\":1.5}", "line 1.input_tokens", "expected a whole number", STATUS_WRONG_TYPE},
        {"{\"input_tokens\":\"9\"}", "line 1.input_tokens", "expected a number, found a text", STATUS_WRONG_TYPE},
        {"{\"input_tokens\":100000001}", "line 1.input_tokens", "100000001 is out of range", STATUS_OUT_OF_RANGE},
        {"{\"input_tokens\":99999999999999999999}", "line 1", "too big integer", STATUS_MALFORMED_JSON},
        {"{}", "line 1.input_tokens", "required", STATUS_MISSING_FIELD},
        {"{\"id\":\"a\",\"output_tokens\":5}", "line 1.input_tokens", "required", STATUS_MISSING_FIELD},
        {"{\"input_tokens\":5,\"sequence_length\":9}", "line 1.sequence_length", "give it, or input_tokens",
         STATUS_CONTRADICTION},
        {"{\"sequence_length\":9,\"output_tokens\":9}", "line 1.output_tokens", "fewer than sequence_length",
         STATUS_CONTRADICTION},
        {"{\"id\":5,\"input_tokens\":1}", "line 1.id", "expected a text", STATUS_WRONG_TYPE},
        {"{\"id\":\"" LONG_ID "\",\"input_tokens\":1}", "line 1.id", "more than 40 bytes", STATUS_INVALID_VALUE},
        {"{\"id\":\"a\\u0007\",\"input_tokens\":1}", "line 1.id", "control characters", STATUS_INVALID_VALUE},
        {"{\"tokens\":5}", "line 1.tokens", "here there are: id, input_tokens, output_tokens, sequence_length",
         STATUS_UNKNOWN_FIELD},
        {"{\"input_tokens\":5,\"input_tokens\":5}", "line 1", "duplicate object key", STATUS_DUPLICATE_FIELD},
        {"\n\n[5]", "line 3", "one flat object a line", STATUS_WRONG_TYPE},
        {"{\"input_tokens\":{\"a\":1}}", "line 1", "one flat object a line", STATUS_WRONG_TYPE},
        {GOOD "5\n", "line 2", "expected an object, found a number", STATUS_WRONG_TYPE},
        {"{\"input_tokens\":5}{\"input_tokens\":5}\n", "line 1", "one flat object a line", STATUS_WRONG_TYPE},
        {"\xFF\n", "line 1", "(column", STATUS_MALFORMED_JSON},
        {GOOD "{\"input_tokens\":5,\n" GOOD, "line 2", "(column", STATUS_MALFORMED_JSON},
        {GOOD "{\"input_tok", "line 2", "the trace ends here", STATUS_MALFORMED_JSON},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reading reading;
        read_text(&reading, cases[i].text, strlen(cases[i].text));
        const struct problem *problem = &reading.problems.items[0];
        assert_int_equal(reading.problems.count, 1);
        assert_string_equal(problem->field, cases[i].field);
        if (!strstr(problem->detail, cases[i].detail)) fail_msg("%s: %s", cases[i].text, problem->detail);
        assert_int_equal(problem->status, cases[i].status);
        arena_done(&reading.arena);
    }
}

/* `lines` good lines, with `bad` every `step` lines from `first` on. */
static char *make_text(size_t lines, size_t first, size_t step, const char *bad, size_t *ret_length)
{
    char *text = malloc(lines * 32 + 1), *at = text;
    assert_non_null(text);
    for (size_t i = 1; i <= lines; i++) {
        bool is_bad = i >= first && (i - first) % step == 0;
        at += snprintf(at, 32, "%s\n", is_bad ? bad : "{\"input_tokens\":12}");
    }
    *ret_length = (size_t)(at - text);
    return text;
}

static void test_many_lines(void **state)
{
    (void)state;
    static const struct {
        size_t lines, first, step, count, dropped;
        const char *field;
    } cases[] = {
        {TRACE_REQUESTS_MAX, SIZE_MAX, 1, 0, 0, NULL},
        {TRACE_REQUESTS_MAX + 1, SIZE_MAX, 1, 1, 0, "trace"},
        {TRACE_REQUESTS_MAX, 57381, TRACE_REQUESTS_MAX, 1, 0, "line 57381.input_tokens"},
        {1000, 10, 10, PROBLEMS_MAX, 100 - PROBLEMS_MAX, "line 10.input_tokens"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reading reading;
        size_t length = 0;
        char *text = make_text(cases[i].lines, cases[i].first, cases[i].step, "{\"input_tokens\":0}", &length);
        read_text(&reading, text, length);
        assert_int_equal(reading.problems.count, cases[i].count);
        assert_int_equal(reading.problems.dropped, cases[i].dropped);
        if (cases[i].field) assert_string_equal(reading.problems.items[0].field, cases[i].field);
        if (!cases[i].field) assert_int_equal(reading.requests.count, cases[i].lines);
        arena_done(&reading.arena);
        free(text);
    }
}

/* A line of more bytes than a request has is not parsed. */
static void test_long_line(void **state)
{
    (void)state;
    struct reading reading;
    char text[TRACE_LINE_MAX_BYTES + 32];
    memset(text, ' ', sizeof text);
    memcpy(text, "{\"input_tokens\":1}", 18);
    read_text(&reading, text, TRACE_LINE_MAX_BYTES);
    assert_int_equal(reading.status, STATUS_OK);
    arena_done(&reading.arena);
    read_text(&reading, text, TRACE_LINE_MAX_BYTES + 1);
    assert_int_equal(reading.status, STATUS_TOO_COMPLEX);
    arena_done(&reading.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_many_lines),
        cmocka_unit_test(test_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
