/* exchange.h owns one request and its answer on a connection, from the request line to the last byte sent. */
#pragma once
#include "http/answer.h"
#include "http/cache.h"
#include "http/client.h"
#include "http/compress.h"
#include "http/connection.h"
#include "http/guard.h"
#include "http/limits.h"
#include "http/log.h"
#include "http/metrics.h"
#include "http/pool.h"
#include "http/server.h"

struct MHD_Connection;
struct MHD_Daemon;

enum {
    BODY_SWALLOW_MAX_BYTES = 16 << 20, /* of a body that is refused: read and thrown away, so that the client gets
                                          its answer and may go on using the connection */
    ARENA_MAX_BYTES = 32 << 20,        /* of one request */
    URI_INLINE_BYTES = 256,
    REQUEST_ID_BYTES = 65,
    TRACE_ID_BYTES = 33,
    SPAN_ID_BYTES = 17,
    TRACEPARENT_BYTES = 56,
};

struct server {
    struct server_settings settings;
    struct MHD_Daemon *daemon;
    int listen_fd; /* ours only between quiesce and close; -1 otherwise */
    uint16_t port;
    struct connections connections;
    struct cache *cache;
    struct limits *limits;
    struct pool *computing, *waiting, *writing; /* threads of ROUTE_COMPUTES, of ROUTE_STORES, of those that write */
    struct log *log;                            /* NULL without access log */
    struct metrics *metrics;
    struct compressors *compressors;
    uint64_t id_seed;
    atomic_uint_fast64_t ids;
    atomic_bool draining;
    bool watching; /* connections_start succeeded */
    int64_t started_unix_s;
};

enum stage {
    STAGE_IDLE,
    STAGE_HEAD,      /* request line seen */
    STAGE_BODY,      /* header seen; the body comes, or there is none */
    STAGE_COMPUTING, /* suspended, belongs to a thread of a pool */
    STAGE_READY,     /* answered by it */
    STAGE_SENDING,
};

struct exchange {
    struct connection connection; /* first: what the list of connections sees */
    struct server *server;
    struct MHD_Connection *mhd;
    struct job job;
    enum stage stage;
    uint64_t started_us;
    struct head head;
    const struct route *route;
    const char *format;
    unsigned methods;           /* of the path, for Allow */
    enum status refusal;        /* decided before the handler could run */
    const char *refusal_detail; /* constant sentence; NULL = the status's hint */
    unsigned retry_s;           /* for Retry-After; 0: 1 */
    struct caller caller;
    enum status caller_status; /* of its key, if there is one */
    bool admitted;             /* has the right and keeps the limits */
    char address[CLIENT_ADDRESS_BYTES];
    char query_key[CLIENT_KEY_BYTES]; /* taken out of the URI; "" = none */
    size_t query_keys;
    bool close; /* the connection cannot be used again */
    char *body;
    size_t body_length, body_capacity, body_seen;
    const void *snapshot;
    bool acquired, may_wait;
    struct answer *answer;         /* of the cache or of the handler */
    struct MHD_Response *response; /* else */
    unsigned http_status;          /* as sent */
    size_t sent_bytes;
    const char *cache; /* for the log */
    char *uri;         /* raw */
    size_t uri_length, path_length;
    bool prepared; /* request is set up and must be released */
    struct request request;
    char request_id[REQUEST_ID_BYTES], trace_id[TRACE_ID_BYTES];
    char span_id[SPAN_ID_BYTES], parent_id[SPAN_ID_BYTES]; /* of this request in the trace, of who made it */
    char traceparent[TRACEPARENT_BYTES];                   /* as answered; "" = the request has no trace */
    bool request_id_given;
    char uri_inline[URI_INLINE_BYTES];
};

/* A request line has come. false when out of memory. */
bool exchange_begin(struct exchange *x, const char *uri);
/* The header is complete: decides whether the request goes on. false: close the connection. */
bool exchange_head(struct exchange *x, const char *method, const char *version);
/* Takes a piece of the body. false: close the connection. */
bool exchange_body(struct exchange *x, const char *bytes, size_t length);
/* The request is complete, or computed: answers, or hands it to a thread of a pool. false: close. */
bool exchange_answer(struct exchange *x);
/* Answers with this instead; the first reason stays. detail: a constant sentence; NULL = the status's hint. */
void exchange_refuse(struct exchange *x, enum status status, const char *detail);
/* Logs, counts and frees. `complete`: the whole answer was sent. */
void exchange_end(struct exchange *x, bool complete);
