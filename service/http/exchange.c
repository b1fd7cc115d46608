/* exchange.c owns the course of a request: guard, body, cache, handler, answer. */
#include "http/exchange.h"

#include "http/admission.h"
#include "http/clock.h"
#include "http/query.h"
#include "http/router.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool exchange_begin(struct exchange *x, const char *uri)
{
    x->head.method = NULL;  /* of an earlier request */
    exchange_end(x, false); /* what the library left unfinished */
    size_t length = uri ? strlen(uri) : 0;
    x->uri = length < sizeof x->uri_inline ? x->uri_inline : malloc(length + 1);
    if (!x->uri) return false;
    memcpy(x->uri, uri ? uri : "", length + 1);
    x->query_keys = client_take_key(x->uri, &length, x->query_key);
    x->uri_length = length;
    x->path_length = strcspn(x->uri, "?");
    x->started_us = clock_now_us();
    x->stage = STAGE_HEAD;
    x->request_id[0] = x->trace_id[0] = x->span_id[0] = x->parent_id[0] = x->traceparent[0] = '\0';
    x->cache = "";
    connection_receiving(&x->connection);
    return true;
}

void exchange_refuse(struct exchange *x, enum status status, const char *detail)
{
    if (x->refusal != STATUS_OK) return; /* the first reason stays */
    x->refusal = status;
    x->refusal_detail = detail;
}

static enum MHD_Result add_header(void *data, enum MHD_ValueKind kind, const char *name, size_t name_length,
                                  const char *value, size_t value_length)
{
    (void)kind;
    head_add(data, name, name_length, value ? value : "", value ? value_length : 0);
    return MHD_YES;
}

static bool is_hex(const char *text, size_t length)
{
    return strspn(text, "0123456789abcdef") >= length;
}

/* splitmix64 over a counter that starts at a random number: unique in the process, unlikely to repeat elsewhere. */
static void make_id(struct exchange *x, char text[17])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t id = x->server->id_seed +
                  atomic_fetch_add_explicit(&x->server->ids, 1, memory_order_relaxed) * UINT64_C(0x9e3779b97f4a7c15);
    id = (id ^ (id >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    id = (id ^ (id >> 27)) * UINT64_C(0x94d049bb133111eb);
    id ^= id >> 31;
    for (size_t i = 0; i < 16; i++, id >>= 4)
        text[i] = digits[id & 15];
    text[16] = '\0';
}

static void copy_text(char *to, const char *from, size_t length)
{
    memcpy(to, from, length);
    to[length] = '\0';
}

/* W3C trace context: 00-<32 hex: trace>-<16 hex: span>-<2 hex: flags>; a trace or span of zeros is invalid. Versions
 * after 00 may go on behind that. The request is a span of its own within the trace. */
static void take_trace(struct exchange *x)
{
    const char *text = x->head.traceparent;
    size_t length = text ? strlen(text) : 0;
    if (length < TRACEPARENT_BYTES - 1 || text[2] != '-' || text[35] != '-' || text[52] != '-') return;
    if (!is_hex(text, 2) || !is_hex(text + 3, 32) || !is_hex(text + 36, 16) || !is_hex(text + 53, 2)) return;
    bool first = memcmp(text, "00", 2) == 0, unknown = memcmp(text, "ff", 2) == 0;
    if (unknown || (length > 55 && (first || text[55] != '-'))) return;
    if (strspn(text + 3, "0") >= 32 || strspn(text + 36, "0") >= 16) return;
    copy_text(x->trace_id, text + 3, TRACE_ID_BYTES - 1);
    copy_text(x->parent_id, text + 36, SPAN_ID_BYTES - 1);
    make_id(x, x->span_id);
    (void)snprintf(x->traceparent, sizeof x->traceparent, "00-%s-%s-%.2s", x->trace_id, x->span_id, text + 53);
}

static void take_request_id(struct exchange *x)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const char *given = x->head.request_id;
    size_t length = given ? strlen(given) : 0;
    x->request_id_given = length > 0 && length < REQUEST_ID_BYTES && strspn(given, allowed) == length;
    if (x->request_id_given)
        memcpy(x->request_id, given, length + 1);
    else
        make_id(x, x->request_id);
}

/* Whether the list names the type, its parameters aside. */
static bool is_listed(const char *types, const char *content_type)
{
    size_t length = strcspn(content_type, "; \t");
    for (const char *type = types; *type; type += strspn(type, ", ")) {
        size_t end = strcspn(type, ",");
        if (end == length && strncasecmp(type, content_type, length) == 0) return true;
        type += end;
    }
    return false;
}

static bool is_json(const char *content_type)
{
    if (!content_type) return true;
    size_t length = strcspn(content_type, "; \t");
    bool plain = length == 16 && strncasecmp(content_type, "application/json", 16) == 0;
    bool derived = length > 5 && strncasecmp(content_type + length - 5, "+json", 5) == 0;
    return plain || derived;
}

/* The route decides how much of a body may come, and from whom, so all but GET are matched before their bodies. */
static void find_route(struct exchange *x, unsigned method)
{
    const char *path = x->uri;
    size_t length = x->path_length;
    char decoded[URI_INLINE_BYTES];
    if (memchr(path, '%', length) && length < sizeof decoded) {
        if (!query_decode(path, length, false, decoded, &length)) {
            exchange_refuse(x, STATUS_MALFORMED_REQUEST, "the path is no percent-encoded UTF-8");
            return;
        }
        path = decoded;
    }
    struct match match = router_match(x->server->settings.routes, method, path, length);
    x->route = match.route;
    x->format = match.format;
    x->methods = match.methods;
    bool options = method == 0 && strcmp(x->head.method, "OPTIONS") == 0;
    if (match.status == STATUS_METHOD_NOT_ALLOWED && options) return;
    if (match.status != STATUS_OK) exchange_refuse(x, match.status, NULL);
}

static void check_body(struct exchange *x)
{
    if (!x->route || !head_has_body(&x->head)) return;
    if (x->head.content_encoding && strcasecmp(x->head.content_encoding, "identity") != 0)
        exchange_refuse(x, STATUS_UNSUPPORTED_MEDIA_TYPE, "a request body may not be compressed");
    const char *types = x->route->media_types, *type = x->head.content_type;
    if (type && !(types ? is_listed(types, type) : is_json(type)))
        exchange_refuse(x, STATUS_UNSUPPORTED_MEDIA_TYPE, NULL);
    if (x->head.body_bytes > (int64_t)x->route->body_max_bytes) exchange_refuse(x, STATUS_BODY_TOO_LARGE, NULL);
}

static bool send_answer(struct exchange *x);
static bool send_refusal(struct exchange *x);

bool exchange_head(struct exchange *x, const char *method, const char *version)
{
    const struct server_settings *settings = &x->server->settings;
    head_init(&x->head, method, version, x->uri, x->uri_length);
    MHD_get_connection_values_n(x->mhd, MHD_HEADER_KIND, add_header, &x->head);
    take_trace(x);
    take_request_id(x);
    enum status status = guard_check(&x->head, &x->refusal_detail);
    if (status != STATUS_OK) {
        x->refusal = status;
        x->close = true;
        return send_refusal(x);
    }
    if (x->head.host && !guard_host_allowed(x->head.host, settings->listen_address, settings->allowed_hosts))
        exchange_refuse(x, STATUS_MISDIRECTED, NULL);
    admission_identify(x);
    unsigned known = router_method(method);
    if (known > ROUTE_GET) {
        find_route(x, known);
        if (x->route && admission_check(x, x->route)) check_body(x);
    }
    bool waits = x->head.expect && strcasecmp(x->head.expect, "100-continue") == 0;
    x->stage = STAGE_BODY;
    /* Answering now makes the library close the connection; a body that is small enough is read first. */
    x->close = x->refusal != STATUS_OK && (waits || x->head.body_bytes > BODY_SWALLOW_MAX_BYTES);
    return !x->close || send_refusal(x);
}

static bool body_grow(struct exchange *x, size_t needed)
{
    size_t capacity = x->head.body_bytes > 0 ? (size_t)x->head.body_bytes : 2 * needed; /* within body_max_bytes */
    if (capacity < needed) capacity = needed;
    char *body = realloc(x->body, capacity + 1);
    if (!body) return false;
    x->body = body;
    x->body_capacity = capacity;
    return true;
}

bool exchange_body(struct exchange *x, const char *bytes, size_t length)
{
    x->body_seen += length;
    size_t most = x->route && x->refusal == STATUS_OK ? x->route->body_max_bytes : 0;
    if (x->body_seen > most && x->body_seen > BODY_SWALLOW_MAX_BYTES) return false; /* only chunked bodies get here */
    if (x->refusal != STATUS_OK || !x->route) return true;
    if (x->body_length + length > x->route->body_max_bytes) {
        exchange_refuse(x, STATUS_BODY_TOO_LARGE, NULL);
        return true;
    }
    size_t needed = x->body_length + length;
    if (needed > x->body_capacity && !body_grow(x, needed)) {
        exchange_refuse(x, STATUS_OUT_OF_MEMORY, NULL);
        return true;
    }
    memcpy(x->body + x->body_length, bytes, length);
    x->body_length = needed;
    x->body[needed] = '\0';
    return true;
}

static void acquire(struct exchange *x)
{
    const struct server_settings *settings = &x->server->settings;
    if (x->acquired) return;
    x->snapshot = settings->acquire(settings->data);
    x->acquired = true;
}

static void release(struct exchange *x)
{
    const struct server_settings *settings = &x->server->settings;
    if (x->acquired) settings->release(settings->data, x->snapshot);
    x->acquired = false;
}

static struct question question_of(const struct exchange *x)
{
    return (struct question){
        .version = x->server->settings.version(x->snapshot),
        .kind = router_method(x->head.method) != ROUTE_POST ? 'G'
                : is_json(x->head.content_type)             ? 'P'
                                                            : 'L',
        .uri = x->uri,
        .uri_length = x->uri_length,
        .body = x->body,
        .body_length = x->body_length,
        .to_be_recorded = x->caller.role != ROLE_NONE,
    };
}

/* The raw path as problems name it, in plain ASCII. */
static const char *shown_path(struct exchange *x)
{
    char *path = arena_strndup(&x->request.arena, x->uri, x->path_length);
    for (char *c = path; c && *c; c++)
        if (*c < 0x20 || *c > 0x7e) *c = '?';
    return path ? path : "";
}

/* The last segment of the path, where the route takes any. */
static const char *path_id(struct exchange *x)
{
    size_t fixed = x->route ? router_fixed_length(x->route) : 0, length = 0;
    if (!x->route || !x->route->path[fixed]) return "";
    char *path = arena_alloc(&x->request.arena, x->path_length + 1);
    return path && query_decode(x->uri, x->path_length, false, path, &length) ? path + fixed : "";
}

static void prepare_request(struct exchange *x)
{
    struct request *request = &x->request;
    *request = (struct request){
        .route = x->route,
        .method = router_method(x->head.method) == ROUTE_GET ? "GET" : x->head.method,
        .format = x->format,
        .body = x->body ? x->body : "",
        .body_length = x->body_length,
        .body_json = is_json(x->head.content_type),
        .request_id = x->request_id,
        .if_match = x->head.if_match,
        .idempotency_key = x->head.idempotency_key,
        .caller = x->caller,
        .snapshot = x->acquired ? x->snapshot : NULL,
        .data = x->server->settings.data,
        .may_wait = x->may_wait,
    };
    arena_init(&request->arena, ARENA_MAX_BYTES);
    problems_init(&request->problems, &request->arena);
    request->path_id = path_id(x);
    request->path = x->route && !*request->path_id ? x->route->path : shown_path(x);
    x->prepared = true;
}

static void forget_request(struct exchange *x)
{
    if (x->prepared) arena_done(&x->request.arena);
    x->prepared = x->request.defer = false;
}

static void fail_request(struct exchange *x, enum status status)
{
    static const char last_words[] = "{\"type\":\"about:blank\",\"title\":\"out of memory\",\"status\":503}";
    struct request *request = &x->request;
    request->reply = (struct reply){.http_status = status_http(status)};
    x->server->settings.fail(request, status);
    if (request->reply.body) return;
    request->reply.http_status = 503;
    request->reply.content_type = "application/problem+json";
    request->reply.body = last_words;
    request->reply.body_length = sizeof last_words - 1;
}

static enum status parse_query(struct exchange *x)
{
    if (x->uri_length <= x->path_length + 1) return STATUS_OK;
    const char *query = x->uri + x->path_length + 1;
    return query_parse(&x->request.arena, query, x->uri_length - x->path_length - 1, &x->request.problems,
                       &x->request.query, &x->request.query_count);
}

/* Not if the version has changed meanwhile: nobody knows which one the handler saw (the day is part of it).
 *
 * An answer that is kept is not computed again, and so not recorded either. Where the request itself asked for that in
 * vain, it is not kept, so that a repeat tries again. Where nobody asked, it is kept for those who do not ask either:
 * for a caller with a key it counts as a miss (cache.c), and the recorded answer then takes its place for everybody. */
static void keep_answer(struct exchange *x, const char *version)
{
    struct question question = question_of(x);
    bool same = strcmp(version, question.version) == 0 && x->request.reply.recording != RECORDING_FAILED;
    if (same && x->route->cacheable && x->request.reply.http_status == 200)
        cache_put(x->server->cache, &question, x->answer);
}

/* Runs the handler; in an HTTP thread or in one of a pool. Leaves an answer in x->answer, or a reply of an error in
 * x->request, or neither where x->request.defer is set. */
static void run_handler(struct exchange *x)
{
    prepare_request(x);
    struct request *request = &x->request;
    const char *version = arena_strdup(&request->arena, x->server->settings.version(x->snapshot));
    enum status status = parse_query(x);
    if (status == STATUS_OK) {
        uint64_t begun_us = clock_now_us();
        request->reply.http_status = 200;
        status = x->route->handle(request);
        if (x->route->work == ROUTE_COMPUTES && !request->defer)
            metrics_add_computing(x->server->metrics, x->route, clock_now_us() - begun_us);
    }
    if (status != STATUS_OK) {
        request->defer = false;
        fail_request(x, status);
        return;
    }
    if (request->defer) return;
    x->answer = answer_new(x->route, &request->reply, x->server->settings.cors_origin, x->server->compressors);
    if (!x->answer) {
        fail_request(x, problems_add(&request->problems, STATUS_OUT_OF_MEMORY, "", "out of memory"));
        return;
    }
    if (version) keep_answer(x, version);
    enum encoding encoding;
    (void)answer_part(x->answer, negotiate_encoding(x->head.accept_encoding), &encoding); /* compressed here already */
}

/* Handed over before it can be refused: a job that has been taken may be finished at any moment. */
static void hand_over(struct exchange *x, bool may_wait)
{
    x->may_wait = may_wait;
    struct pool *may = x->route->access >= ROUTE_WRITE ? x->server->writing : x->server->waiting;
    if (pool_submit(may_wait ? may : x->server->computing, &x->job)) return;
    exchange_refuse(x, STATUS_OVERLOADED, "all threads are busy and enough questions wait already");
    x->stage = STAGE_BODY;
    MHD_resume_connection(x->mhd);
}

/* When many ask a new question at once, the first computes it while the others wait in the queue. */
static void compute(struct job *job)
{
    struct exchange *x = (struct exchange *)(void *)((char *)job - offsetof(struct exchange, job));
    struct question question = question_of(x);
    if (x->route->cacheable) x->answer = cache_look_again(x->server->cache, &question);
    if (!x->answer) run_handler(x);
    if (x->request.defer && !x->may_wait) {
        forget_request(x);
        hand_over(x, true);
        return;
    }
    x->stage = STAGE_READY;
    MHD_resume_connection(x->mhd);
}

static bool queue(struct exchange *x, unsigned http_status, struct MHD_Response *response)
{
    x->http_status = http_status;
    x->stage = STAGE_SENDING;
    return response && MHD_queue_response(x->mhd, http_status, response) == MHD_YES;
}

static struct reply_extra extra_of(const struct exchange *x)
{
    return (struct reply_extra){
        .request_id = x->request_id,
        .traceparent = *x->traceparent ? x->traceparent : NULL,
        .close = x->close || atomic_load_explicit(&x->server->draining, memory_order_relaxed),
    };
}

static bool send_private(struct exchange *x, unsigned http_status, struct MHD_Response *response)
{
    bool sent = queue(x, http_status, response);
    if (response) MHD_destroy_response(response);
    return sent;
}

static bool send_answer(struct exchange *x)
{
    struct answer *answer = x->answer;
    struct reply_extra extra = extra_of(x);
    enum encoding encoding = ENCODING_IDENTITY;
    const struct part *part = answer_part(answer, negotiate_encoding(x->head.accept_encoding), &encoding);
    x->route = answer->route;
    char etag[ETAG_BYTES] = "\"";
    if (answer->reply.etag_id && x->head.if_none_match) negotiate_etag(answer->reply.etag_id, encoding, etag);
    if (etag[1] == '/' && negotiate_matches(x->head.if_none_match, etag))
        return send_private(x, 304, answer_not_modified(answer, encoding, &extra));
    x->sent_bytes = strcmp(x->head.method, "HEAD") == 0 ? 0 : part->length;
    if (!x->request_id_given && !extra.traceparent && !extra.close)
        return queue(x, answer->reply.http_status, part->response);
    return send_private(x, answer->reply.http_status, answer_private(answer, part, encoding, &extra));
}

static bool send_failure(struct exchange *x)
{
    const struct reply *reply = &x->request.reply;
    struct reply_extra extra = extra_of(x);
    char allow[ALLOW_BYTES], retry[16];
    (void)snprintf(retry, sizeof retry, "%u", x->retry_s ? x->retry_s : 1);
    if (reply->http_status == 503 || reply->http_status == 429) extra.retry_after = retry;
    if (reply->http_status == 405) extra.allow = router_allow(x->methods, allow);
    if (reply->http_status == 401) extra.authenticate = "Bearer realm=\"gpusize\"";
    x->sent_bytes = strcmp(x->head.method, "HEAD") == 0 ? 0 : reply->body_length;
    return send_private(x, reply->http_status, reply_private(reply, x->server->settings.cors_origin, &extra));
}

static bool send_refusal(struct exchange *x)
{
    connection_answering(&x->connection);
    prepare_request(x);
    const char *detail = x->refusal_detail ? x->refusal_detail : status_hint(x->refusal);
    const char *types = x->route && x->route->media_types ? x->route->media_types : "application/json";
    bool typed = x->refusal == STATUS_UNSUPPORTED_MEDIA_TYPE && !x->refusal_detail;
    (void)problems_add(&x->request.problems, x->refusal, "", "%s%s", typed ? "send the body as Content-Type: " : detail,
                       typed ? types : "");
    if (!x->close) (void)(parse_query(x) == STATUS_OK); /* how the caller wants errors; bad pairs are reported too */
    fail_request(x, x->refusal);
    return send_failure(x);
}

static bool send_options(struct exchange *x)
{
    struct reply_extra extra = extra_of(x);
    char allow[ALLOW_BYTES];
    bool all = strcmp(x->uri, "*") == 0;
    extra.allow = router_allow(all ? ROUTE_GET | ROUTE_POST | ROUTE_PATCH | ROUTE_DELETE : x->methods, allow);
    extra.preflight = *x->server->settings.cors_origin != '\0';
    struct reply reply = {.body = ""};
    return send_private(x, 204, reply_private(&reply, x->server->settings.cors_origin, &extra));
}

static bool start_computing(struct exchange *x)
{
    x->stage = STAGE_COMPUTING;
    x->job.run = compute;
    MHD_suspend_connection(x->mhd);
    hand_over(x, x->route->work == ROUTE_STORES);
    return true;
}

static bool answer_from_cache(struct exchange *x)
{
    acquire(x);
    struct question question = question_of(x);
    x->answer = cache_get(x->server->cache, &question);
    if (x->answer) x->cache = "hit";
    return x->answer != NULL;
}

bool exchange_answer(struct exchange *x)
{
    if (x->stage == STAGE_READY) return x->answer ? send_answer(x) : send_failure(x);
    connection_answering(&x->connection);
    unsigned method = router_method(x->head.method);
    if (x->refusal == STATUS_OK && method == ROUTE_GET && answer_from_cache(x))
        return admission_check(x, x->answer->route) ? send_answer(x) : send_refusal(x);
    if (x->refusal == STATUS_OK && !x->route && strcmp(x->uri, "*") != 0) find_route(x, method);
    if (x->route) (void)admission_check(x, x->route);
    if (x->refusal != STATUS_OK) return send_refusal(x);
    if (method == 0) return send_options(x);
    assert(x->route); /* the guard lets "*" through for OPTIONS only */
    if (x->route->cacheable && method == ROUTE_POST && answer_from_cache(x)) return send_answer(x);
    if (x->route->cacheable) x->cache = "miss";
    acquire(x);
    if (x->route->work != ROUTE_INLINE) return start_computing(x);
    run_handler(x);
    return x->answer ? send_answer(x) : send_failure(x);
}

static void log_exchange(const struct exchange *x, uint64_t duration_us, bool complete)
{
    log_write(x->server->log, &(struct log_entry){
                                  .request_id = x->request_id,
                                  .trace_id = x->trace_id,
                                  .span_id = x->span_id,
                                  .parent_id = x->parent_id,
                                  .method = x->head.method ? x->head.method : "",
                                  .path = x->uri,
                                  .path_length = x->path_length,
                                  .http_status = x->http_status,
                                  .bytes = x->sent_bytes,
                                  .duration_us = duration_us,
                                  .cache = x->cache,
                                  .remote = *x->address ? x->address : x->connection.remote,
                                  .key_id = x->caller.key_id,
                                  .complete = complete,
                              });
}

void exchange_end(struct exchange *x, bool complete)
{
    if (x->stage == STAGE_IDLE) return;
    uint64_t duration_us = clock_now_us() - x->started_us;
    metrics_add(x->server->metrics, x->route, x->http_status, duration_us);
    if (x->server->log) log_exchange(x, duration_us, complete);
    release(x);
    answer_release(x->answer);
    forget_request(x);
    if (x->uri != x->uri_inline) free(x->uri);
    free(x->body);
    x->answer = NULL;
    x->body = NULL;
    x->route = NULL;
    x->format = NULL;
    x->close = x->may_wait = x->admitted = false;
    x->caller = (struct caller){.role = ROLE_NONE};
    x->caller_status = STATUS_OK;
    x->retry_s = 0;
    x->address[0] = '\0';
    x->body_length = x->body_capacity = x->body_seen = x->sent_bytes = 0;
    x->http_status = x->methods = 0;
    x->refusal = STATUS_OK;
    x->refusal_detail = NULL;
    x->stage = STAGE_IDLE;
    connection_waiting(&x->connection);
}
