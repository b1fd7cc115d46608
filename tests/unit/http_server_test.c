/* http_server_test.c owns the tests of the server over real sockets: a route table of its own, raw requests. Nothing
 * is timed: slow work is held at a gate, and time limits are met by loops that are much longer than the limit. */
#include "http/server.h"
#include "support/raw_http.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

enum { BIG_BYTES = 100000, PAGE_BYTES = 6000, ECHO_MAX_BYTES = 4096 };

/* --- the service under test ------------------------------------------------------------------------------- */

static struct gate { /* holds handlers until it is opened */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    unsigned entered;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void gate_set(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    if (!open) gate.entered = 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_pass(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.entered++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void gate_await(unsigned entered)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.entered < entered)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static atomic_uint calls; /* of handlers that count */
static char big[BIG_BYTES], page[PAGE_BYTES];

static enum status answer_text(struct request *request, const char *text, size_t length)
{
    if (!text) return problems_add(&request->problems, STATUS_OUT_OF_MEMORY, "", "out of memory");
    request->reply.content_type = "text/plain; charset=utf-8";
    request->reply.body = text;
    request->reply.body_length = length;
    return STATUS_OK;
}

static enum status echo(struct request *request)
{
    char *text = arena_printf(&request->arena, "%s %s format=%s pairs=%zu%s%s body=%.*s", request->method,
                              request->path, request->format ? request->format : "-", request->query_count,
                              request->query_count ? " last=" : "",
                              request->query_count ? request->query[request->query_count - 1].value : "",
                              (int)request->body_length, request->body);
    return answer_text(request, text, text ? strlen(text) : 0);
}

static enum status slow(struct request *request)
{
    gate_pass();
    return answer_text(request, "slow", 4);
}

/* What the query says decides whether it waits. */
static enum status slow_if_asked(struct request *request)
{
    bool waits = request->query_count > 0;
    if (!waits) return answer_text(request, "quick", 5);
    if (!request->may_wait) {
        (void)answer_text(request, "too early", 9);
        request->defer = true;
        return STATUS_OK;
    }
    return slow(request);
}

static enum status data_of(struct request *request)
{
    return answer_text(request, request->data, strlen(request->data));
}

static enum status answer_big(struct request *request)
{
    atomic_fetch_add(&calls, 1);
    request->reply.etag_id = "0123abcd";
    return answer_text(request, big, sizeof big);
}

static enum status answer_page(struct request *request)
{
    atomic_fetch_add(&calls, 1);
    request->reply.csp = "default-src 'none'";
    request->reply.cache_control = "public, max-age=300";
    return answer_text(request, page, sizeof page);
}

static enum status version_of(struct request *request)
{
    atomic_fetch_add(&calls, 1);
    const char *version = request->snapshot;
    return answer_text(request, version, strlen(version));
}

static enum status refuse(struct request *request)
{
    (void)problems_add(&request->problems, STATUS_UNKNOWN_GPU, "gpu", "there is no GPU x");
    return problems_status(&request->problems);
}

enum { GET_POST = ROUTE_GET | ROUTE_POST };
static const struct route routes[] = {
    {.operation_id = "echo",
     .path = "/echo",
     .methods = GET_POST,
     .body_max_bytes = ECHO_MAX_BYTES,
     .formats = true,
     .handle = echo},
    {.operation_id = "slow", .path = "/slow", .methods = ROUTE_GET, .work = ROUTE_COMPUTES, .handle = slow},
    {.operation_id = "wait", .path = "/wait", .methods = ROUTE_GET, .work = ROUTE_STORES, .handle = slow},
    {.operation_id = "maybe",
     .path = "/maybe",
     .methods = ROUTE_GET,
     .work = ROUTE_COMPUTES,
     .cacheable = true,
     .handle = slow_if_asked},
    {.operation_id = "data", .path = "/data", .methods = ROUTE_GET, .work = ROUTE_STORES, .handle = data_of},
    {.operation_id = "block", .path = "/block", .methods = ROUTE_GET, .handle = slow}, /* in the HTTP thread */
    {.operation_id = "big",
     .path = "/big",
     .methods = GET_POST,
     .body_max_bytes = ECHO_MAX_BYTES,
     .work = ROUTE_COMPUTES,
     .cacheable = true,
     .handle = answer_big},
    {.operation_id = "page", .path = "/page", .methods = ROUTE_GET, .cacheable = true, .handle = answer_page},
    {.operation_id = "version", .path = "/version", .methods = ROUTE_GET, .cacheable = true, .handle = version_of},
    {.operation_id = "refuse", .path = "/refuse", .methods = GET_POST, .cacheable = true, .handle = refuse},
    {.operation_id = "metrics", .path = "/metrics", .methods = ROUTE_GET, .handle = server_metrics_handle},
    {0},
};

static _Atomic(const char *) current_version = "v1";
static atomic_int held; /* snapshots acquired and not released */

static const void *acquire(void *data)
{
    (void)data;
    atomic_fetch_add(&held, 1);
    return atomic_load(&current_version);
}

static void release(void *data, const void *snapshot)
{
    (void)data, (void)snapshot;
    atomic_fetch_sub(&held, 1);
}

static const char *version(const void *snapshot)
{
    return snapshot;
}

static void encode_failure(struct request *request, enum status status)
{
    const struct problem *first = request->problems.items;
    char *text = arena_printf(&request->arena, "{\"status\":%u,\"code\":\"%s\",\"field\":\"%s\",\"count\":%zu}",
                              status_http(status), status_code(status), first->field, request->problems.count);
    request->reply = (struct reply){
        .http_status = status_http(status),
        .content_type = "application/problem+json",
        .body = text,
        .body_length = text ? strlen(text) : 0,
    };
}

static const char *const allowed_hosts[] = {"gpu.example", NULL};
static const struct server_settings usual = {
    .listen_address = "127.0.0.1",
    .threads = 2,
    .workers = 1,
    .queue_max = 1,
    .connections_max = 1200,
    .idle_timeout_s = 60,
    .request_deadline_s = 30,
    .cache_max_bytes = 4 << 20,
    .cors_origin = "https://page.example",
    .allowed_hosts = allowed_hosts,
    .routes = routes,
    .acquire = acquire,
    .release = release,
    .version = version,
    .data = (char[]){"the data"},
    .fail = encode_failure,
};

static struct server *start(const struct server_settings *settings)
{
    struct arena arena;
    struct problems problems;
    struct server *server = NULL;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = server_start(settings, &problems, &server);
    if (status != STATUS_OK) fail_msg("%s: %s", problems.items[0].field, problems.items[0].detail);
    arena_done(&arena);
    return server;
}

static int start_usual(void **state)
{
    *state = start(&usual);
    gate_set(false);
    return 0;
}

static int stop_usual(void **state)
{
    gate_set(true);
    server_free(*state);
    return atomic_load(&held); /* every snapshot was given back */
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define HEADED(path, headers) "GET " path " HTTP/1.1\r\nHost: localhost\r\n" headers "\r\n"
#define POSTED(path, length, body)                                                                                     \
    "POST " path " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " length           \
    "\r\n\r\n" body
#define SMUGGLED GET("/smuggled")

/* --- malformed requests -------------------------------------------------------------------------------------- */

enum after { OPEN, CLOSED };
enum by { OURS, LIBRARY }; /* who writes the error: a problem+json, or a page of the library */

/* The rows of the malformed shapes that libmicrohttpd 0.9.75 was measured with. */
static const struct malformed {
    int row;
    const char *label;
    const char *bytes;
    size_t length;
    int status; /* 0 = closed without an answer */
    enum after after;
    enum by by;
} malformed[] = {
#define ROW(number, label, text, status, after, by)                                                                    \
    {                                                                                                                  \
        number, label, text, sizeof(text) - 1, status, after, by                                                       \
    }
#define HOSTED(rest) "GET /echo HTTP/1.1\r\nHost: localhost\r\n" rest
#define POST(rest) "POST /echo HTTP/1.1\r\nHost: localhost\r\n" rest
    ROW(1, "no Host", "GET /echo HTTP/1.1\r\n\r\n" SMUGGLED, 400, CLOSED, OURS),
    ROW(2, "two Hosts", HOSTED("Host: b\r\n\r\n") SMUGGLED, 400, CLOSED, OURS),
    ROW(3, "HTTP/9.9", "GET /echo HTTP/9.9\r\nHost: localhost\r\n\r\n", 505, CLOSED, LIBRARY),
    ROW(4, "no version", "GET /echo\r\n\r\n", 400, CLOSED, LIBRARY),
    ROW(4, "no path", "GET HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, CLOSED, LIBRARY),
    ROW(5, "garbage", "\x80\x81\x82\x83\x84\x85\r\n\r\n", 0, CLOSED, LIBRARY),
    ROW(6, "bare LF", "GET /echo HTTP/1.1\nHost: localhost\n\n", 200, OPEN, OURS),
    ROW(7, "blank before the colon", "GET /echo HTTP/1.1\r\nHost : localhost\r\n\r\n", 400, CLOSED, OURS),
    ROW(8, "no colon", HOSTED("Broken\r\n\r\n"), 400, CLOSED, LIBRARY),
    ROW(9, "folded header", HOSTED("X: a\r\n b\r\n\r\n"), 200, OPEN, OURS),
    ROW(10, "NUL in a value", HOSTED("X: a\0b\r\n\r\n"), 200, OPEN, OURS), /* the library hides what follows it */
    ROW(11, "Content-Length abc", POST("Content-Length: abc\r\n\r\n"), 400, CLOSED, LIBRARY),
    ROW(11, "Content-Length -1", POST("Content-Length: -1\r\n\r\n"), 400, CLOSED, LIBRARY),
    ROW(11, "Content-Length +4", POST("Content-Length: +4\r\n\r\nabcd") SMUGGLED, 400, CLOSED, LIBRARY),
    ROW(12, "length twice", POST("Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd") SMUGGLED, 400, CLOSED, OURS),
    ROW(13, "lengths 4, 0", POST("Content-Length: 4\r\nContent-Length: 0\r\n\r\nabcd") SMUGGLED, 400, CLOSED, OURS),
    ROW(13, "lengths 0, 36", POST("Content-Length: 0\r\nContent-Length: 36\r\n\r\n") SMUGGLED, 400, CLOSED, OURS),
    ROW(14, "length and chunked", POST("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") SMUGGLED,
        400, CLOSED, OURS),
    ROW(15, "xchunked", POST("Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\nabcd") SMUGGLED, 400, CLOSED,
        OURS),
    ROW(15, "identity, chunked", POST("Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n") SMUGGLED, 400, CLOSED,
        OURS),
    ROW(16, "blank before the colon of chunked",
        POST("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n") SMUGGLED, 400, CLOSED, OURS),
    ROW(17, "chunk size zz", POST("Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n"), 400, CLOSED, LIBRARY),
    ROW(17, "chunk longer than its size", POST("Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n") SMUGGLED, 400,
        CLOSED, LIBRARY),
    ROW(18, "chunk size 2^64 + 1", POST("Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n") SMUGGLED, 413,
        CLOSED, LIBRARY),
    ROW(18, "Content-Length 2^64", POST("Content-Length: 18446744073709551616\r\n\r\n"), 413, CLOSED, LIBRARY),
    /* 19 needs 40 KB each: see refuses_what_is_too_long */
    ROW(20, "NUL in the path", GET("/echo%00x") SMUGGLED, 400, CLOSED, OURS),
    ROW(21, "absolute path", GET("http://evil/echo") SMUGGLED, 400, CLOSED, OURS),
    ROW(21, "dots", GET("/../../etc/passwd"), 404, OPEN, OURS),
    ROW(22, "method FOO", "FOO /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, OPEN, OURS),
    ROW(23, "GET with a body", HOSTED("Content-Length: 4\r\n\r\nabcd"), 200, OPEN, OURS),
    /* 24 talks twice: see asks_for_the_body_only_if_it_wants_it */
    ROW(0, "blank in the path", GET("/ec ho"), 400, CLOSED, OURS),
    ROW(0, "bad escape in the path", GET("/echo%zz"), 400, OPEN, OURS),
    ROW(0, "foreign Host", "GET /echo HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, OPEN, OURS),
    ROW(0, "bad escape in the query", GET("/echo?a=%zz"), 400, OPEN, OURS),
    ROW(0, "form body", POST("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\na=b"), 415,
        OPEN, OURS),
    ROW(0, "compressed body",
        POST("Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"), 415, OPEN,
        OURS),
    ROW(0, "body for a path that takes none", POSTED("/page", "2", "{}"), 405, OPEN, OURS),
    ROW(0, "unknown path with a body", POSTED("/nothing", "2", "{}"), 404, OPEN, OURS),
    ROW(0, "unknown suffix", GET("/echo.pdf"), 406, OPEN, OURS),
};

static bool still_serves(struct raw *raw)
{
    struct raw_answer answer = raw_ask(raw, GET("/echo?still"));
    return answer.status == 200 && strstr(answer.body, "pairs=1") != NULL;
}

static void check_malformed(uint16_t port, const struct malformed *row)
{
    struct raw raw = raw_open(port);
    assert_true(raw_send(&raw, row->bytes, row->length));
    struct raw_answer answer = raw_take(&raw, false);
    if (answer.status != row->status) fail_msg("row %d, %s: %d", row->row, row->label, answer.status);
    char type[256] = "";
    bool problem = raw_header(&answer, "Content-Type", type) && strcmp(type, "application/problem+json") == 0;
    if (row->status >= 400 && problem != (row->by == OURS)) fail_msg("row %d, %s: type %s", row->row, row->label, type);
    if (row->by == OURS && row->after == CLOSED) { /* and nothing that follows was taken for a request */
        struct raw_answer next = raw_take(&raw, false);
        if (next.status != 0) fail_msg("row %d, %s: answered again, %d", row->row, row->label, next.status);
    }
    bool fine = row->after == OPEN ? still_serves(&raw) : raw_ends(&raw);
    if (!fine) fail_msg("row %d, %s: should be %s", row->row, row->label, row->after == OPEN ? "open" : "closed");
    raw_close(&raw);
}

static void refuses_malformed_requests(void **state)
{
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++)
        check_malformed(server_port(*state), &malformed[i]);
}

static struct raw_answer ask_long(uint16_t port, const char *before, const char *filler, size_t times,
                                  const char *after, struct raw *ret_raw)
{
    size_t length = strlen(filler);
    char *text = malloc(strlen(before) + times * length + strlen(after) + 1);
    assert_non_null(text);
    char *end = stpcpy(text, before);
    for (size_t i = 0; i < times; i++)
        end = stpcpy(end, filler);
    (void)stpcpy(end, after);
    *ret_raw = raw_open(port);
    struct raw_answer answer = raw_ask(ret_raw, text);
    free(text);
    return answer;
}

/* Row 19, and the query of 64 KiB. */
static void refuses_what_is_too_long(void **state)
{
    static const char end[] = " HTTP/1.1\r\nHost: localhost\r\n\r\n",
                      host[] = "GET /echo HTTP/1.1\r\nHost: localhost\r\n";
    static const struct {
        const char *before, *filler;
        size_t times;
        const char *after;
        int status;
    } rows[] = {
        {"GET /", "a", 40000, end, 414},
        {"GET /echo?a=", "b", 64 << 10, end, 414},
        {"GET /echo?a=", "b", 9 << 10, end, 414},
        {"GET /echo?a=", "b", 8000, end, 200},
        {"GET /echo?", "a=b&", 255, end, 200},
        {"GET /echo?", "a=b&", 300, end, 400},
        {"GET /echo?", "&", 8000, end, 400},
        {host, "X-Header: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n", 480, "\r\n",
         431},
        {host, "a:b\r\n", 3000, "\r\n", 431},
        {host, "a:b\r\n", 200, "\r\n", 400},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct raw raw;
        struct raw_answer answer =
            ask_long(server_port(*state), rows[i].before, rows[i].filler, rows[i].times, rows[i].after, &raw);
        if (answer.status != rows[i].status) fail_msg("row %zu: %d", i, answer.status);
        if (answer.status >= 414) assert_true(raw_ends(&raw));
        raw_close(&raw);
    }
}

/* Row 24. */
static void asks_for_the_body_only_if_it_wants_it(void **state)
{
    struct raw raw = raw_open(server_port(*state));
    static const char want[] = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                               "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    assert_int_equal(raw_ask(&raw, want).status, 100);
    struct raw_answer answer = raw_ask(&raw, "abcd");
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "body=abcd"));
    static const char too_large[] = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n"
                                    "Expect: 100-continue\r\n\r\n";
    assert_int_equal(raw_ask(&raw, too_large).status, 413);
    assert_true(raw_ends(&raw));
    raw_close(&raw);
}

/* --- bodies and deadlines ------------------------------------------------------------------------------------ */

static void send_zeros(struct raw *raw, size_t length)
{
    static const char zeros[1 << 16];
    for (size_t sent = 0; sent < length; sent += sizeof zeros)
        assert_true(raw_send(raw, zeros, length - sent < sizeof zeros ? length - sent : sizeof zeros));
}

static void reads_a_body_that_is_too_large_and_goes_on(void **state)
{
    struct raw raw = raw_open(server_port(*state));
    assert_true(raw_send_text(&raw, POSTED("/echo", "10485760", "")));
    send_zeros(&raw, 10 << 20);
    assert_int_equal(raw_take(&raw, false).status, 413);
    assert_true(still_serves(&raw));
    assert_true(
        raw_send_text(&raw, "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n"));
    send_zeros(&raw, 5000);
    assert_int_equal(raw_ask(&raw, "\r\n0\r\n\r\n").status, 413);
    assert_true(still_serves(&raw));
    assert_int_equal(raw_ask(&raw, POSTED("/echo", "17000000", "")).status, 413);
    assert_true(raw_ends(&raw));
    raw_close(&raw);
}

static void joins_the_pieces_of_a_body(void **state)
{
    struct raw raw = raw_open(server_port(*state));
    assert_true(raw_send_text(&raw, POSTED("/echo", "6", "ab")));
    assert_true(raw_send_text(&raw, "cd"));
    struct raw_answer answer = raw_ask(&raw, "ef");
    assert_non_null(strstr(answer.body, "body=abcdef"));
    answer = raw_ask(&raw, "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_non_null(strstr(answer.body, "body=abcde"));
    answer = raw_ask(&raw, POSTED("/echo", "0", ""));
    assert_int_equal(answer.status, 200);
    assert_true(still_serves(&raw));
    raw_close(&raw);
}

static void survives_a_body_that_ends_early(void **state)
{
    struct raw raw = raw_open(server_port(*state));
    assert_true(raw_send_text(&raw, POSTED("/echo", "100", "short")));
    assert_int_equal(shutdown(raw.fd, SHUT_WR), 0);
    assert_int_equal(raw_take(&raw, false).status, 0);
    assert_true(raw_ends(&raw));
    raw_close(&raw);
    raw = raw_open(server_port(*state));
    assert_true(still_serves(&raw));
    raw_close(&raw);
}

enum { DRIPS_MAX = 600, DRIP_US = 50 * 1000 }; /* half a minute: a deadline of 1 s is met long before */

/* Sends one byte after the other; true if the server cuts the connection before they end. */
static bool is_cut(struct raw *raw, const char *start, const char *drip)
{
    if (!raw_send_text(raw, start)) return false;
    for (int i = 0; i < DRIPS_MAX; i++) {
        char byte;
        if (recv(raw->fd, &byte, 1, MSG_DONTWAIT) == 0) return true;
        if (!raw_send(raw, &drip[(size_t)i % strlen(drip)], 1)) return true;
        usleep(DRIP_US);
    }
    return false;
}

static void cuts_requests_that_drip(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "G",                                                 /* within the request line */
        "GET /echo HTTP/1.1\r\nHost: localhost\r\nX-Drip: ", /* within the header */
        POSTED("/echo", "4000", ""),                         /* within the body */
        GET("/echo") "GET /ec",                              /* after a request that was served */
    };
    struct server_settings settings = usual;
    settings.request_deadline_s = 1;
    struct server *server = start(&settings);
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct raw raw = raw_open(server_port(server));
        if (i == 3) {
            assert_int_equal(raw_ask(&raw, GET("/echo")).status, 200);
            assert_true(is_cut(&raw, "GE", "T"));
        } else if (!is_cut(&raw, starts[i], "x")) {
            fail_msg("%s", starts[i]);
        }
        raw_close(&raw);
    }
    server_free(server);
}

static void keeps_an_idle_connection_beyond_the_deadline(void **state)
{
    (void)state;
    struct server_settings settings = usual;
    settings.request_deadline_s = 1;
    struct server *server = start(&settings);
    struct raw raw = raw_open(server_port(server)), drip = raw_open(server_port(server));
    assert_true(still_serves(&raw));
    assert_true(is_cut(&drip, "G", "E")); /* the deadline has passed for both, but one of them was idle */
    assert_true(still_serves(&raw));
    raw_close(&raw);
    raw_close(&drip);
    server_free(server);
}

static void closes_an_idle_connection(void **state)
{
    (void)state;
    struct server_settings settings = usual;
    settings.idle_timeout_s = 1;
    struct server *server = start(&settings);
    struct raw raw = raw_open(server_port(server));
    assert_true(still_serves(&raw));
    assert_true(raw_ends(&raw));
    raw_close(&raw);
    server_free(server);
}

/* --- answers ------------------------------------------------------------------------------------------------- */

static const struct exchange_row {
    const char *request;
    int status;
    const char *body;    /* part of it; NULL = not looked at */
    const char *headers; /* "Name: value" lines that must be there, "\n" between; "-Name" must not */
} exchange_rows[] = {
    {GET("/echo"), 200, "GET /echo format=- pairs=0 body=", "Cache-Control: no-cache\nReferrer-Policy: no-referrer"},
    {GET("/echo.csv?a=b+c%2C"), 200, "format=csv pairs=1 last=b c,", "X-Content-Type-Options: nosniff"},
    {GET("/%65cho"), 200, "GET /echo", ""},
    {POSTED("/echo?x=y", "2", "{}"), 200, "POST /echo format=- pairs=1 last=y body={}", ""},
    {"HEAD /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "", "Content-Length: 32"},
    {"HEAD /page HTTP/1.1\r\nHost: localhost\r\n\r\n", 200, "", "Content-Length: 6000"},
    {"GET /echo HTTP/1.0\r\n\r\n", 200, "GET /echo", ""},
    {GET("/nothing"), 404, "not_found", "Cache-Control: no-cache\n-ETag"},
    {"PUT /echo HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method", "Allow: GET, HEAD, POST, OPTIONS"},
    {POSTED("/page", "0", ""), 405, "method", "Allow: GET, HEAD, OPTIONS"},
    {GET("/refuse"), 422, "\"field\":\"gpu\"", "Content-Type: application/problem+json"},
    {"OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: https://page.example\r\n\r\n", 204, "",
     "Allow: GET, HEAD, POST, OPTIONS\nAccess-Control-Allow-Origin: https://page.example\n"
     "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS"},
    {"OPTIONS /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404, NULL, ""},
    {"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 204, "", "Allow: GET, HEAD, POST, PATCH, DELETE, OPTIONS"},
    {GET("/page"), 200, NULL,
     "Content-Security-Policy: default-src 'none'\nCache-Control: public, max-age=300\nVary: Accept-Encoding"},
    {GET("/big"), 200, NULL, "ETag: W/\"0123abcd\"\nAccess-Control-Allow-Origin: https://page.example"},
    {HEADED("/big", "If-None-Match: W/\"0123abcd\"\r\n"), 304, "", "ETag: W/\"0123abcd\"\nVary: Accept-Encoding"},
    {HEADED("/big", "If-None-Match: \"x\", \"0123abcd\"\r\n"), 304, "", "-Content-Type"},
    {HEADED("/big", "If-None-Match: W/\"0123abcd\"\r\nAccept-Encoding: gzip\r\n"), 200, NULL,
     "ETag: W/\"0123abcd-gzip\"\nContent-Encoding: gzip\nVary: Accept-Encoding"},
    {HEADED("/big", "If-None-Match: W/\"0123abcd-br\"\r\nAccept-Encoding: br\r\n"), 304, "", "-Content-Encoding"},
    {HEADED("/big", "Accept-Encoding: br\r\n"), 200, NULL, "ETag: W/\"0123abcd-br\"\nContent-Encoding: br"},
    {HEADED("/echo", "Accept-Encoding: gzip\r\n"), 200, "GET /echo", "-Content-Encoding\n-Vary"},
    {HEADED("/echo", "X-Request-Id: abc-1.2_3\r\n"), 200, NULL, ""},
    {HEADED("/page", "X-Request-Id: abc-1.2_3\r\n"), 200, NULL, "X-Request-Id: abc-1.2_3"},
    {"GET /echo HTTP/1.1\r\nHost: GPU.example:8080\r\n\r\n", 200, NULL, ""},
    {"GET /echo HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 200, NULL, ""},
    {HEADED("/echo", "Connection: close\r\n"), 200, NULL, "Connection: close"},
};

static void check_headers(const struct exchange_row *row, const struct raw_answer *answer)
{
    char wanted[512], value[256], *rest = NULL;
    (void)snprintf(wanted, sizeof wanted, "%s", row->headers);
    for (char *line = strtok_r(wanted, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *colon = strstr(line, ": ");
        if (*line == '-') {
            if (raw_header(answer, line + 1, value)) fail_msg("%s answered with %s", row->request, line + 1);
            continue;
        }
        *colon = '\0';
        const char *got = raw_header(answer, line, value);
        if (!got || strcmp(got, colon + 2) != 0) fail_msg("%s: %s: %s", row->request, line, got ? got : "absent");
    }
}

static void answers_with_the_right_headers(void **state)
{
    for (size_t i = 0; i < sizeof exchange_rows / sizeof *exchange_rows; i++) {
        const struct exchange_row *row = &exchange_rows[i];
        struct raw raw = raw_open(server_port(*state));
        struct raw_answer answer = raw_ask(&raw, row->request);
        if (answer.status != row->status) fail_msg("%s: %d", row->request, answer.status);
        if (row->body && !strstr(answer.body, row->body)) fail_msg("%s: %s", row->request, answer.body);
        check_headers(row, &answer);
        raw_close(&raw);
    }
}

static void packs_what_it_says(void **state)
{
    struct raw raw = raw_open(server_port(*state));
    static char unpacked[BIG_BYTES + 1];
    for (int round = 0; round < 2; round++) { /* computed, then from the cache */
        struct raw_answer answer = raw_ask(&raw, HEADED("/big", "Accept-Encoding: gzip\r\n"));
        assert_in_range(answer.body_length, 1, BIG_BYTES / 2);
        z_stream z = {.next_in = (Bytef *)answer.body,
                      .avail_in = (uInt)answer.body_length,
                      .next_out = (Bytef *)unpacked,
                      .avail_out = sizeof unpacked};
        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(z.total_out, BIG_BYTES);
        assert_int_equal(inflateEnd(&z), Z_OK);
        assert_memory_equal(unpacked, big, BIG_BYTES);
        answer = raw_ask(&raw, GET("/big"));
        assert_int_equal(answer.body_length, BIG_BYTES);
        assert_memory_equal(answer.body, big, BIG_BYTES);
    }
    raw_close(&raw);
}

static void answers_pipelined_requests_in_order(void **state)
{
    struct raw raw = raw_open(server_port(*state));
    assert_true(
        raw_send_text(&raw, GET("/echo?a=1") POSTED("/echo", "3", "two") GET("/page") GET("/big") GET("/echo?a=5")));
    assert_non_null(strstr(raw_take(&raw, false).body, "last=1"));
    assert_non_null(strstr(raw_take(&raw, false).body, "body=two"));
    assert_int_equal(raw_take(&raw, false).body_length, PAGE_BYTES);
    assert_int_equal(raw_take(&raw, false).body_length, BIG_BYTES);
    assert_non_null(strstr(raw_take(&raw, false).body, "last=5"));
    raw_close(&raw);
}

/* --- cache --------------------------------------------------------------------------------------------------- */

static unsigned calls_of(struct raw *raw, const char *request)
{
    unsigned before = atomic_load(&calls);
    assert_int_equal(raw_ask(raw, request).status, 200);
    return atomic_load(&calls) - before;
}

static void computes_a_question_once(void **state)
{
    struct raw raw = raw_open(server_port(*state));
    assert_int_equal(calls_of(&raw, GET("/big?q=1")), 1);
    assert_int_equal(calls_of(&raw, GET("/big?q=1")), 0);
    assert_int_equal(calls_of(&raw, HEADED("/big?q=1", "Accept-Encoding: gzip\r\n")), 0);
    assert_int_equal(calls_of(&raw, "HEAD /big?q=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"), 0);
    assert_int_equal(calls_of(&raw, GET("/big?q=2")), 1);
    assert_int_equal(calls_of(&raw, "HEAD /big?q=3 HTTP/1.1\r\nHost: localhost\r\n\r\n"), 1); /* fills it for GET */
    assert_int_equal(calls_of(&raw, GET("/big?q=3")), 0);
    assert_int_equal(calls_of(&raw, POSTED("/big", "3", "{1}")), 1);
    assert_int_equal(calls_of(&raw, POSTED("/big", "3", "{1}")), 0);
    assert_int_equal(calls_of(&raw, POSTED("/big", "3", "{2}")), 1);
    assert_int_equal(calls_of(&raw, POSTED("/big?q=1", "3", "{2}")), 1);
    struct raw_answer metrics = raw_ask(&raw, GET("/metrics"));
    assert_non_null(strstr(metrics.body, "gpusize_cache_hits_total 5\n"));
    assert_non_null(strstr(metrics.body, "{operation=\"big\",path=\"/big\",status=\"200\"} 11\n"));
    assert_non_null(strstr(metrics.body, "gpusize_connections 1\n"));
    raw_close(&raw);
}

static void forgets_with_a_new_catalog(void **state)
{
    struct raw raw = raw_open(server_port(*state));
    assert_string_equal(raw_ask(&raw, GET("/version")).body, "v1");
    atomic_store(&current_version, "v2");
    assert_string_equal(raw_ask(&raw, GET("/version")).body, "v2");
    assert_int_equal(calls_of(&raw, GET("/version")), 0);
    atomic_store(&current_version, "v1");
    raw_close(&raw);
}

/* --- load ---------------------------------------------------------------------------------------------------- */

static void refuses_what_the_queue_cannot_hold(void **state)
{
    struct raw raws[3];
    for (size_t i = 0; i < 3; i++)
        raws[i] = raw_open(server_port(*state));
    assert_true(raw_send_text(&raws[0], GET("/slow")));
    gate_await(1); /* the only worker has it */
    assert_true(raw_send_text(&raws[1], GET("/slow")));
    struct raw_answer metrics = {0};
    for (int i = 0; i < 1000 && !(metrics.body && strstr(metrics.body, "queue_depth 1\n")); i++)
        metrics = raw_ask(&raws[2], GET("/metrics")); /* HTTP threads answer meanwhile */
    assert_non_null(strstr(metrics.body, "queue_depth 1\n"));
    struct raw_answer answer = raw_ask(&raws[2], GET("/slow"));
    char value[256];
    assert_int_equal(answer.status, 503);
    assert_string_equal(raw_header(&answer, "Retry-After", value), "1");
    assert_non_null(strstr(answer.body, "overloaded"));
    assert_true(still_serves(&raws[2]));
    gate_set(true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(raw_take(&raws[i], false).status, 200);
    assert_int_equal(raw_ask(&raws[2], GET("/slow")).status, 200);
    for (size_t i = 0; i < 3; i++)
        raw_close(&raws[i]);
}

/* The only worker is held while the same new question comes on many connections. */
static void computes_once_what_many_ask_at_once(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    struct server_settings settings = usual;
    settings.queue_max = COUNT;
    struct server *server = start(&settings);
    struct raw blocker = raw_open(server_port(server)), raws[COUNT], watcher = raw_open(server_port(server));
    gate_set(false);
    assert_true(raw_send_text(&blocker, GET("/slow")));
    gate_await(1);
    unsigned before = atomic_load(&calls);
    for (size_t i = 0; i < COUNT; i++) {
        raws[i] = raw_open(server_port(server));
        assert_true(raw_send_text(&raws[i], GET("/big?many")));
    }
    struct raw_answer metrics = {0};
    for (int i = 0; i < 10000 && !(metrics.body && strstr(metrics.body, "queue_depth 20\n")); i++)
        metrics = raw_ask(&watcher, GET("/metrics"));
    gate_set(true);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(raw_take(&raws[i], false).body_length, BIG_BYTES);
        raw_close(&raws[i]);
    }
    assert_int_equal(atomic_load(&calls) - before, 1);
    raw_close(&blocker);
    raw_close(&watcher);
    server_free(server);
}

/* Both pools have one thread: what waits holds up nobody who computes, and the other way round. */
static void computes_while_others_wait(void **state)
{
    static const char *const waiting[] = {GET("/wait"), GET("/maybe?slow")};
    for (size_t i = 0; i < 2; i++) {
        struct raw waiter = raw_open(server_port(*state)), other = raw_open(server_port(*state));
        gate_set(false);
        assert_true(raw_send_text(&waiter, waiting[i]));
        gate_await(1);
        assert_string_equal(raw_ask(&other, GET("/maybe")).body, "quick");
        assert_int_equal(raw_ask(&other, GET("/big?i")).status, 200);
        gate_set(true);
        assert_string_equal(raw_take(&waiter, false).body, "slow");
        assert_string_equal(raw_ask(&waiter, GET("/data")).body, "the data");
        raw_close(&waiter);
        raw_close(&other);
    }
}

/* One has the thread, one waits for it; the next is refused, whether its route says that it waits or its question. */
static void refuses_what_cannot_wait(void **state)
{
    static const char *const more[] = {GET("/wait"), GET("/maybe?refused")};
    struct raw raws[2], other = raw_open(server_port(*state));
    for (size_t i = 0; i < 2; i++) {
        raws[i] = raw_open(server_port(*state));
        assert_true(raw_send_text(&raws[i], GET("/maybe?slow&held")));
        if (i == 0) gate_await(1);
    }
    struct raw_answer metrics = {0};
    for (int i = 0; i < 1000 && !(metrics.body && strstr(metrics.body, "waiting_requests 1\n")); i++)
        metrics = raw_ask(&other, GET("/metrics"));
    for (size_t i = 0; i < 2; i++) {
        struct raw_answer answer = raw_ask(&other, more[i]);
        assert_int_equal(answer.status, 503);
        assert_non_null(strstr(answer.body, "overloaded"));
    }
    gate_set(true);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(raw_take(&raws[i], false).body, "slow");
        raw_close(&raws[i]);
    }
    assert_string_equal(raw_ask(&other, GET("/maybe?refused")).body, "slow");
    raw_close(&other);
}

static void survives_a_client_that_leaves_while_it_computes(void **state)
{
    struct raw raw = raw_open(server_port(*state));
    assert_true(raw_send_text(&raw, GET("/slow")));
    gate_await(1);
    raw_close(&raw);
    gate_set(true);
    raw = raw_open(server_port(*state));
    assert_int_equal(raw_ask(&raw, GET("/slow")).status, 200);
    raw_close(&raw);
}

/* The one HTTP thread is held while requests come in on all connections: it then finds them readable at once. */
static void serves_many_connections_readable_at_once(void **state)
{
    (void)state;
    static const size_t counts[] = {127, 128, 129, 256, 300};
    enum { MOST = 300 };
    struct server_settings settings = usual;
    settings.threads = 1;
    struct server *server = start(&settings);
    static struct raw raws[MOST];
    struct raw blocker = raw_open(server_port(server));
    for (size_t i = 0; i < MOST; i++) {
        raws[i] = raw_open(server_port(server));
        assert_true(still_serves(&raws[i]));
    }
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        gate_set(false);
        assert_true(raw_send_text(&blocker, GET("/block")));
        gate_await(1);
        for (size_t i = 0; i < counts[c]; i++)
            assert_true(raw_send_text(&raws[i], GET("/echo")));
        gate_set(true);
        assert_int_equal(raw_take(&blocker, false).status, 200);
        for (size_t i = 0; i < counts[c]; i++)
            assert_int_equal(raw_take(&raws[i], false).status, 200);
    }
    for (size_t i = 0; i < MOST; i++)
        raw_close(&raws[i]);
    raw_close(&blocker);
    server_free(server);
}

static void serves_a_thousand_connections(void **state)
{
    enum { COUNT = 1000 };
    static int fds[COUNT];
    char text[1024];
    struct raw raw = {.buffer = malloc(RAW_BUFFER_BYTES)}; /* one buffer for all */
    for (size_t i = 0; i < COUNT; i++) {
        struct raw opened = raw_open(server_port(*state));
        assert_false(opened.closed);
        free(opened.buffer);
        fds[i] = opened.fd;
    }
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            (void)snprintf(text, sizeof text, HEADED("/echo?i=%zu", ""), i);
            raw.fd = fds[i];
            assert_true(raw_send_text(&raw, text));
        }
        for (size_t i = 0; i < COUNT; i++) {
            (void)snprintf(text, sizeof text, "last=%zu ", i);
            raw.fd = fds[i];
            struct raw_answer answer = raw_take(&raw, false);
            assert_int_equal(answer.status, 200);
            assert_non_null(strstr(answer.body, text));
        }
    }
    for (size_t i = 0; i < COUNT; i++)
        close(fds[i]);
    free(raw.buffer);
}

/* --- drain --------------------------------------------------------------------------------------------------- */

struct load {
    uint16_t port;
    unsigned sent;
    atomic_uint answered;
    bool told; /* Connection: close came before the end */
};
enum { LOAD_MAX = 200000, LOAD_THREADS = 6 };

static void *ask_until_told(void *data)
{
    struct load *load = data;
    struct raw raw = raw_open(load->port);
    for (unsigned i = 0; i < LOAD_MAX && !load->told; i++) {
        char value[256];
        load->sent++;
        struct raw_answer answer = raw_ask(&raw, i % 3 ? GET("/page") : GET("/big?drain"));
        if (answer.status != 200) break;
        atomic_fetch_add(&load->answered, 1);
        load->told = raw_header(&answer, "Connection", value) && strcmp(value, "close") == 0;
    }
    raw_close(&raw);
    return NULL;
}

static void drains_without_losing_a_request(void **state)
{
    (void)state;
    struct server_settings settings = usual;
    settings.queue_max = LOAD_THREADS; /* all may ask what is not computed yet */
    struct server *server = start(&settings);
    struct load loads[LOAD_THREADS];
    pthread_t threads[LOAD_THREADS];
    for (size_t i = 0; i < LOAD_THREADS; i++) {
        loads[i] = (struct load){.port = server_port(server)};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_until_told, &loads[i]), 0);
    }
    for (size_t i = 0; i < LOAD_THREADS; i++) /* all of them are under way */
        for (int ms = 0; ms < RAW_WAIT_MS && atomic_load(&loads[i].answered) < 50; ms++)
            usleep(1000);
    assert_true(server_drain(server, 60));
    struct raw late = raw_open(server_port(server));
    assert_true(late.closed); /* refused */
    raw_close(&late);
    server_free(server);
    for (size_t i = 0; i < LOAD_THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(loads[i].sent, atomic_load(&loads[i].answered));
        assert_true(loads[i].told);
    }
}

struct drain {
    struct server *server;
    bool finished;
};

static void *drain(void *data)
{
    struct drain *drain = data;
    drain->finished = server_drain(drain->server, 60);
    return NULL;
}

static void finishes_what_it_computes_before_it_stops(void **state)
{
    (void)state;
    struct drain work = {.server = start(&usual)};
    pthread_t thread;
    char value[256];
    struct raw computing = raw_open(server_port(work.server)), waiting = raw_open(server_port(work.server));
    gate_set(false);
    assert_true(raw_send_text(&computing, GET("/slow")));
    gate_await(1);
    assert_true(raw_send_text(&waiting, GET("/slow")));
    assert_int_equal(pthread_create(&thread, NULL, drain, &work), 0);
    for (int i = 0; i < 10000; i++) { /* until new connections are refused */
        struct raw raw = raw_open(server_port(work.server));
        bool refused = raw.closed;
        raw_close(&raw);
        if (refused) break;
        usleep(1000);
    }
    gate_set(true);
    struct raw *raws[] = {&computing, &waiting};
    for (size_t i = 0; i < 2; i++) {
        struct raw_answer answer = raw_take(raws[i], false);
        assert_int_equal(answer.status, 200);
        assert_string_equal(raw_header(&answer, "Connection", value), "close");
        assert_true(raw_ends(raws[i]));
        raw_close(raws[i]);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(work.finished);
    server_free(work.server);
}

static void gives_up_a_drain_that_takes_too_long(void **state)
{
    struct raw raw = raw_open(server_port(*state));
    assert_true(raw_send_text(&raw, "GET /echo HT")); /* never finished */
    assert_true(raw_send_text(&raw, "TP"));
    struct raw computing = raw_open(server_port(*state));
    assert_true(raw_send_text(&computing, GET("/slow")));
    gate_await(1);
    assert_false(server_drain(*state, 1));
    raw_close(&raw);
    raw_close(&computing);
}

/* --- start --------------------------------------------------------------------------------------------------- */

static void says_why_it_does_not_start(void **state)
{
    const struct {
        const char *address;
        uint16_t port;
        unsigned connections_max;
        const char *field;
    } rows[] = {
        {"127.0.0.1", server_port(*state), 10, "port"},
        {"no address", 0, 10, "listen"},
        {"127.0.0.1", 0, 2000000000, "connections_max"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct server_settings settings = usual;
        struct server *server = NULL;
        struct arena arena;
        struct problems problems;
        arena_init(&arena, 0);
        problems_init(&problems, &arena);
        settings.listen_address = rows[i].address;
        settings.port = rows[i].port;
        settings.connections_max = rows[i].connections_max;
        assert_int_equal(server_start(&settings, &problems, &server), STATUS_IO);
        assert_null(server);
        assert_string_equal(problems.items[0].field, rows[i].field);
        arena_done(&arena);
    }
}

/* The access log goes to standard error: a pipe for this test. */
static void logs_a_line_per_request_without_the_query(void **state)
{
    (void)state;
    int pipe_fds[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(dup2(pipe_fds[1], STDERR_FILENO), STDERR_FILENO);
    struct server_settings settings = usual;
    settings.access_log = true;
    struct server *server = start(&settings);
    struct raw raw = raw_open(server_port(server));
    (void)raw_ask(&raw, HEADED("/page?key=secret", "X-Request-Id: mine\r\ntraceparent: "
                                                   "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"));
    (void)raw_ask(&raw, GET("/page?key=secret"));
    (void)raw_ask(&raw, HEADED("/a\"b", "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01\r\n"));
    raw_close(&raw);
    server_free(server); /* writes what is left */
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    close(pipe_fds[1]);
    char text[4096] = "";
    ssize_t length = read(pipe_fds[0], text, sizeof text - 1);
    close(pipe_fds[0]);
    assert_true(length > 0);
    assert_non_null(
        strstr(text, "\"request_id\":\"mine\",\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"span_id\":\""));
    assert_non_null(strstr(
        text,
        "\"parent_id\":\"b7ad6b7169203331\",\"method\":\"GET\",\"path\":\"/page\",\"status\":200,\"bytes\":6000,"));
    assert_non_null(strstr(text, "\"cache\":\"miss\",\"remote\":\"127.0.0.1\"}\n"));
    assert_non_null(strstr(text, "\"cache\":\"hit\",\"remote\":\"127.0.0.1\"}\n"));
    assert_non_null(strstr(text, "\"method\":\"GET\",\"path\":\"/a\\u0022b\",\"status\":404,"));
    assert_null(strstr(text, "secret"));
    assert_null(strstr(text, "00000000000000000000000000000000"));
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start_usual, stop_usual)

int main(void)
{
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = "the quick brown fox "[(i * i / 7 + i) % 20];
    memcpy(page, big, sizeof page);
    const struct CMUnitTest tests[] = {
        WITH_SERVER(refuses_malformed_requests),
        WITH_SERVER(refuses_what_is_too_long),
        WITH_SERVER(asks_for_the_body_only_if_it_wants_it),
        WITH_SERVER(reads_a_body_that_is_too_large_and_goes_on),
        WITH_SERVER(joins_the_pieces_of_a_body),
        WITH_SERVER(survives_a_body_that_ends_early),
        cmocka_unit_test(cuts_requests_that_drip),
        cmocka_unit_test(keeps_an_idle_connection_beyond_the_deadline),
        cmocka_unit_test(closes_an_idle_connection),
        WITH_SERVER(answers_with_the_right_headers),
        WITH_SERVER(packs_what_it_says),
        WITH_SERVER(answers_pipelined_requests_in_order),
        WITH_SERVER(computes_a_question_once),
        WITH_SERVER(forgets_with_a_new_catalog),
        WITH_SERVER(refuses_what_the_queue_cannot_hold),
        cmocka_unit_test(computes_once_what_many_ask_at_once),
        WITH_SERVER(computes_while_others_wait),
        WITH_SERVER(refuses_what_cannot_wait),
        WITH_SERVER(survives_a_client_that_leaves_while_it_computes),
        cmocka_unit_test(serves_many_connections_readable_at_once),
        WITH_SERVER(serves_a_thousand_connections),
        cmocka_unit_test(drains_without_losing_a_request),
        cmocka_unit_test(finishes_what_it_computes_before_it_stops),
        WITH_SERVER(gives_up_a_drain_that_takes_too_long),
        WITH_SERVER(says_why_it_does_not_start),
        cmocka_unit_test(logs_a_line_per_request_without_the_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
