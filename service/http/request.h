/* request.h owns one request as a handler sees it: parsed by the server, answered by filling the reply. */
#pragma once
#include "catalog/access.h"
#include "catalog/status.h"

#include <stdbool.h>
#include <stddef.h>

struct route;

struct query_pair { /* percent-decoded, valid UTF-8 */
    const char *name, *value;
    const char *raw; /* both as they stand in the query: raw_length bytes */
    size_t raw_length;
};

/* Whether an answer is recorded somewhere, as those of callers with keys are to be. */
enum recording {
    RECORDING_SETTLED, /* it is; or there is nothing to record, whoever asks */
    RECORDING_OPEN,    /* it is not, and this caller did not want it */
    RECORDING_FAILED,  /* it is not, and this request said that it should be */
};

struct reply {
    unsigned http_status;
    const char *content_type;
    const char *body; /* in the request's arena, or static */
    size_t body_length;
    const char *etag_id;       /* answer id: becomes a weak ETag per encoding; NULL = none */
    const char *cache_control; /* NULL = no-cache */
    const char *csp;           /* Content-Security-Policy of pages; NULL = none */
    const char *etag;          /* a strong one, as it is sent: "\"17\""; NULL = none */
    enum recording recording;
};

/* A handler of ROUTE_COMPUTES that finds, on reading the question, that it has to wait for something outside asks for a
 * thread that may: it sets `defer` and returns STATUS_OK without a reply. Nothing of that try is kept, and the handler
 * is called once more, from its beginning, with `may_wait` set. */
struct request {
    const struct route *route;
    struct arena arena;       /* dies with the request */
    struct problems problems; /* in the arena: filled by the handler when it fails */
    const char *method;       /* "GET", "POST", "PATCH" or "DELETE"; HEAD comes as GET */
    const char *path;         /* without the format suffix */
    const char *path_id;      /* what stands there for {…} in the route's path, decoded; "" where it has none */
    const char *format;       /* suffix without the dot: "csv"; NULL = none given */
    const struct query_pair *query;
    size_t query_count;
    const char *body; /* NUL-terminated too */
    size_t body_length;
    bool body_json; /* by its Content-Type, or because none says otherwise */
    const char *request_id;
    const char *if_match, *idempotency_key; /* headers; NULL = absent */
    struct caller caller;
    const void *snapshot; /* held for this request: what `acquire` of the server gave */
    void *data;           /* server_settings.data */
    bool may_wait;        /* this thread is one of ROUTE_STORES */
    bool defer;           /* set by the handler, only if !may_wait */
    struct reply reply;
};
