/* http_guard_test.c owns the tests of what the guard reads and refuses, without a server. */
#include "http/guard.h"
#include "http/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct line {
    const char *name, *value;
};
struct guard_row {
    const char *label, *method, *version, *uri;
    struct line lines[4];
    enum status expected;
};

#define HOST                                                                                                           \
    {                                                                                                                  \
        "Host", "localhost"                                                                                            \
    }
static const struct guard_row guard_rows[] = {
    {"plain", "GET", "HTTP/1.1", "/a?b=c", {HOST}, STATUS_OK},
    {"no Host", "GET", "HTTP/1.1", "/a", {{0}}, STATUS_MALFORMED_REQUEST},
    {"no Host in 1.0", "GET", "HTTP/1.0", "/a", {{0}}, STATUS_OK},
    {"two Hosts", "GET", "HTTP/1.1", "/a", {HOST, {"host", "b"}}, STATUS_MALFORMED_REQUEST},
    {"empty Host", "GET", "HTTP/1.1", "/a", {{"Host", ""}}, STATUS_MALFORMED_REQUEST},
    {"a list as Host", "GET", "HTTP/1.1", "/a", {{"Host", "a,b"}}, STATUS_MALFORMED_REQUEST},
    {"a user in Host", "GET", "HTTP/1.1", "/a", {{"Host", "localhost@evil"}}, STATUS_MALFORMED_REQUEST},
    {"blank before the colon", "GET", "HTTP/1.1", "/a", {HOST, {"X ", "b"}}, STATUS_MALFORMED_REQUEST},
    {"empty name", "GET", "HTTP/1.1", "/a", {HOST, {"", "b"}}, STATUS_MALFORMED_REQUEST},
    {"control character", "GET", "HTTP/1.1", "/a", {HOST, {"X", "a\rb"}}, STATUS_MALFORMED_REQUEST},
    {"tab in a value", "GET", "HTTP/1.1", "/a", {HOST, {"X", "a\tb"}}, STATUS_OK},
    {"length", "POST", "HTTP/1.1", "/a", {HOST, {"Content-Length", "4"}}, STATUS_OK},
    {"length twice",
     "POST",
     "HTTP/1.1",
     "/a",
     {HOST, {"Content-Length", "4"}, {"Content-Length", "4"}},
     STATUS_MALFORMED_REQUEST},
    {"lengths differ",
     "POST",
     "HTTP/1.1",
     "/a",
     {HOST, {"Content-Length", "0"}, {"Content-Length", "36"}},
     STATUS_MALFORMED_REQUEST},
    {"length is no number", "POST", "HTTP/1.1", "/a", {HOST, {"Content-Length", "0x4"}}, STATUS_MALFORMED_REQUEST},
    {"length is negative", "POST", "HTTP/1.1", "/a", {HOST, {"Content-Length", "-4"}}, STATUS_MALFORMED_REQUEST},
    {"chunked", "POST", "HTTP/1.1", "/a", {HOST, {"Transfer-Encoding", "chunked"}}, STATUS_OK},
    {"chunked in 1.0", "POST", "HTTP/1.0", "/a", {{"Transfer-Encoding", "chunked"}}, STATUS_MALFORMED_REQUEST},
    {"length and chunked",
     "POST",
     "HTTP/1.1",
     "/a",
     {HOST, {"Content-Length", "4"}, {"Transfer-Encoding", "chunked"}},
     STATUS_MALFORMED_REQUEST},
    {"xchunked", "POST", "HTTP/1.1", "/a", {HOST, {"Transfer-Encoding", "xchunked"}}, STATUS_MALFORMED_REQUEST},
    {"identity, chunked",
     "POST",
     "HTTP/1.1",
     "/a",
     {HOST, {"Transfer-Encoding", "identity, chunked"}},
     STATUS_MALFORMED_REQUEST},
    {"chunked twice",
     "POST",
     "HTTP/1.1",
     "/a",
     {HOST, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}},
     STATUS_MALFORMED_REQUEST},
    {"blank after the name", "POST", "HTTP/1.1", "/a", {HOST, {"Transfer-Encoding ", "x"}}, STATUS_MALFORMED_REQUEST},
    {"keys twice", "GET", "HTTP/1.1", "/a", {HOST, {"X-Api-Key", "a"}, {"x-api-key", "b"}}, STATUS_MALFORMED_REQUEST},
    {"tokens twice",
     "GET",
     "HTTP/1.1",
     "/a",
     {HOST, {"Authorization", "Bearer a"}, {"Authorization", "Bearer a"}},
     STATUS_MALFORMED_REQUEST},
    {"versions twice",
     "PATCH",
     "HTTP/1.1",
     "/a",
     {HOST, {"If-Match", "1"}, {"If-Match", "*"}},
     STATUS_MALFORMED_REQUEST},
    {"repeats twice",
     "POST",
     "HTTP/1.1",
     "/a",
     {HOST, {"Idempotency-Key", "a"}, {"Idempotency-Key", "b"}},
     STATUS_MALFORMED_REQUEST},
    {"lists in two lines", "GET", "HTTP/1.1", "/a", {HOST, {"If-None-Match", "a"}, {"If-None-Match", "b"}}, STATUS_OK},
    {"two proxies", "GET", "HTTP/1.1", "/a", {HOST, {"X-Forwarded-For", "a"}, {"X-Forwarded-For", "b"}}, STATUS_OK},
    {"NUL in the path", "GET", "HTTP/1.1", "/a%00b", {HOST}, STATUS_MALFORMED_REQUEST},
    {"NUL in the query", "GET", "HTTP/1.1", "/a?b=%00", {HOST}, STATUS_MALFORMED_REQUEST},
    {"absolute", "GET", "HTTP/1.1", "http://evil/a", {HOST}, STATUS_MALFORMED_REQUEST},
    {"dots", "GET", "HTTP/1.1", "/../../etc/passwd", {HOST}, STATUS_OK},
    {"blank in the path", "GET", "HTTP/1.1", "/a b", {HOST}, STATUS_MALFORMED_REQUEST},
    {"raw UTF-8", "GET", "HTTP/1.1", "/\xc3\xa4", {HOST}, STATUS_MALFORMED_REQUEST},
    {"no path", "GET", "HTTP/1.1", "", {HOST}, STATUS_MALFORMED_REQUEST},
    {"OPTIONS *", "OPTIONS", "HTTP/1.1", "*", {HOST}, STATUS_OK},
    {"GET *", "GET", "HTTP/1.1", "*", {HOST}, STATUS_MALFORMED_REQUEST},
    {"method is no token", "G(T", "HTTP/1.1", "/a", {HOST}, STATUS_MALFORMED_REQUEST},
    {"unknown method", "FOO", "HTTP/1.1", "/a", {HOST}, STATUS_OK},
};

static void refuses_every_ambiguous_request(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof guard_rows / sizeof *guard_rows; i++) {
        const struct guard_row *row = &guard_rows[i];
        struct head head;
        const char *detail = NULL;
        head_init(&head, row->method, row->version, row->uri, strlen(row->uri));
        for (size_t k = 0; k < 4 && row->lines[k].name; k++) {
            const struct line *line = &row->lines[k];
            head_add(&head, line->name, strlen(line->name), line->value, strlen(line->value));
        }
        enum status status = guard_check(&head, &detail);
        if (status != row->expected) fail_msg("%s: %s (%s)", row->label, status_code(status), detail ? detail : "");
        assert_true((status == STATUS_OK) == (detail == NULL));
    }
}

static void limits_the_uri_and_the_lines(void **state)
{
    (void)state;
    static char uri[URI_MAX_BYTES + 2];
    const char *detail = NULL;
    struct head head;
    memset(uri, 'a', sizeof uri - 1);
    uri[0] = '/';
    head_init(&head, "GET", "HTTP/1.0", uri, URI_MAX_BYTES + 1);
    assert_int_equal(guard_check(&head, &detail), STATUS_URI_TOO_LONG);
    uri[URI_MAX_BYTES] = '\0';
    head_init(&head, "GET", "HTTP/1.0", uri, URI_MAX_BYTES);
    assert_int_equal(guard_check(&head, &detail), STATUS_OK);
    for (int i = 0; i < HEADER_LINES_MAX; i++)
        head_add(&head, "X", 1, "y", 1);
    assert_int_equal(guard_check(&head, &detail), STATUS_OK);
    head_add(&head, "X", 1, "y", 1);
    assert_int_equal(guard_check(&head, &detail), STATUS_MALFORMED_REQUEST);
}

static void reads_headers_in_any_case(void **state)
{
    (void)state;
    struct head head;
    head_init(&head, "POST", "HTTP/1.1", "/", 1);
    assert_false(head_has_body(&head));
    head_add(&head, "HOST", 4, "localhost:80", 12);
    head_add(&head, "content-LENGTH", 14, "17", 2);
    head_add(&head, "accept-encoding", 15, "br", 2);
    assert_null(head.repeated);
    assert_string_equal(head.host, "localhost:80");
    assert_string_equal(head.accept_encoding, "br");
    assert_int_equal(head.body_bytes, 17);
    assert_true(head_has_body(&head));
}

static void allows_only_hosts_that_are_its_own(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        bool allowed;
    } rows[] = {
        {"localhost", true},
        {"LOCALHOST:8080", true},
        {"127.0.0.1", true},
        {"127.8.9.10:1", true},
        {"[::1]", true},
        {"[::1]:8080", true},
        {"10.1.2.3:8080", true},
        {"gpu.example", true},
        {"GPU.example:443", true},
        {"evil.example", false},
        {"localhost.evil", false},
        {"127.0.0.1.evil", false},
        {"127.0.0.999", false},
        {"10.1.2.4", false},
        {"gpu.example.", false},
        {"x.gpu.example", false},
        {"[::2]", false},
        {"127.0.0", false},
        {"", false},
    };
    static const char *const allowed[] = {"other.example", "gpu.example", NULL};
    static const char *const any[] = {"*", NULL};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (guard_host_allowed(rows[i].host, "10.1.2.3", allowed) != rows[i].allowed) fail_msg("%s", rows[i].host);
        assert_true(guard_host_allowed(rows[i].host, "10.1.2.3", any));
    }
    assert_true(guard_host_allowed("[fe80::1]:80", "fe80::1", NULL));
}

struct query_row {
    const char *query;
    size_t count;             /* of pairs */
    const char *name, *value; /* of the last */
    enum status expected;
};
static const struct query_row query_rows[] = {
    {"", 0, NULL, NULL, STATUS_OK},
    {"a=b", 1, "a", "b", STATUS_OK},
    {"a=b&c=d", 2, "c", "d", STATUS_OK},
    {"&&a=b&", 1, "a", "b", STATUS_OK},
    {"a", 1, "a", "", STATUS_OK},
    {"a=b=c", 1, "a", "b=c", STATUS_OK},
    {"a+b=c%2Bd+e", 1, "a b", "c+d e", STATUS_OK},
    {"a=%c3%A4", 1, "a", "\xc3\xa4", STATUS_OK},
    {"a=%", 0, NULL, NULL, STATUS_MALFORMED_REQUEST},
    {"a=%4", 0, NULL, NULL, STATUS_MALFORMED_REQUEST},
    {"a=%4g", 0, NULL, NULL, STATUS_MALFORMED_REQUEST},
    {"a=%00", 0, NULL, NULL, STATUS_MALFORMED_REQUEST},
    {"a=%c3", 0, NULL, NULL, STATUS_MALFORMED_REQUEST},
    {"a=%ed%a0%80", 0, NULL, NULL, STATUS_MALFORMED_REQUEST}, /* a lone surrogate */
    {"=b", 0, NULL, NULL, STATUS_MALFORMED_REQUEST},
};

static void decodes_queries_strictly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof query_rows / sizeof *query_rows; i++) {
        const struct query_row *row = &query_rows[i];
        struct arena arena;
        struct problems problems;
        const struct query_pair *pairs = NULL;
        size_t count = 0;
        arena_init(&arena, 0);
        problems_init(&problems, &arena);
        enum status status = query_parse(&arena, row->query, strlen(row->query), &problems, &pairs, &count);
        if (status != row->expected || count != row->count) fail_msg("%s: %s", row->query, status_code(status));
        if (count) assert_string_equal(pairs[count - 1].name, row->name);
        if (count) assert_string_equal(pairs[count - 1].value, row->value);
        arena_done(&arena);
    }
}

static void names_every_bad_pair_and_limits_their_number(void **state)
{
    (void)state;
    static const char query[] = "good=1&one=%zz&two=%00";
    struct arena arena;
    struct problems problems;
    const struct query_pair *pairs = NULL;
    size_t count = 0;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    assert_int_equal(query_parse(&arena, query, strlen(query), &problems, &pairs, &count), STATUS_MALFORMED_REQUEST);
    assert_int_equal(problems.count, 2);
    assert_string_equal(problems.items[0].field, "one");
    assert_string_equal(problems.items[1].field, "two");
    char many[2 * QUERY_PAIRS_MAX + 2];
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = i % 2 ? '&' : 'a';
    problems_init(&problems, &arena);
    assert_int_equal(query_parse(&arena, many, sizeof many, &problems, &pairs, &count), STATUS_TOO_COMPLEX);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_every_ambiguous_request),
        cmocka_unit_test(limits_the_uri_and_the_lines),
        cmocka_unit_test(reads_headers_in_any_case),
        cmocka_unit_test(allows_only_hosts_that_are_its_own),
        cmocka_unit_test(decodes_queries_strictly),
        cmocka_unit_test(names_every_bad_pair_and_limits_their_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
