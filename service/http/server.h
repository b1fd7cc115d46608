/* server.h owns the HTTP server: libmicrohttpd in poll mode, guard, router, limits, worker pools, answer cache,
 * access log, metrics. It knows no handler: routes come as a table.
 *
 * Not every refusal is ours. libmicrohttpd answers some requests before any code of ours sees them, with a status, a
 * short HTML page without Content-Type, and a close: 400 (request line, header line or chunk that it cannot parse, bad
 * Content-Length: then status line and headers come twice), 413 (a length beyond 2^64), 414 and 431 (request line or
 * headers beyond its 16 KiB buffer), 505. Closed without any answer: bytes that are no HTTP, a request that is not
 * complete at its deadline, an idle connection at its time limit, a chunked body beyond 16 MiB. */
#pragma once
#include "http/request.h"

#include <stdint.h>

/* HEAD follows GET; OPTIONS is answered from the table. */
enum route_method { ROUTE_GET = 1, ROUTE_POST = 2, ROUTE_PATCH = 4, ROUTE_DELETE = 8 };

enum route_access {
    ROUTE_OPEN,   /* anybody, at any rate: probes, metrics, documentation */
    ROUTE_READ,   /* anybody, or a reader where reading needs a key */
    ROUTE_OWN,    /* a reader, where there are keys: what is told about one's own machines */
    ROUTE_REPORT, /* a writer, unless reports_need_key is off: what machines tell of themselves */
    ROUTE_WRITE,  /* a writer */
    ROUTE_ADMIN,  /* an admin */
};

/* Writes change one thing after another: one works, the next waits for it. Threads of their own, since one that waits
 * for a long import must not keep those who only read from the database. */
enum { SERVER_WRITERS = 2, SERVER_WRITES_WAITING_MAX = 16 }; /* beyond that 503 with Retry-After */

enum route_work {                 /* which thread runs the handler */
                  ROUTE_INLINE,   /* the HTTP thread: microseconds, and never waits */
                  ROUTE_COMPUTES, /* a computing thread: as long as it likes, and never waits */
                  ROUTE_STORES,   /* a thread that may wait for something outside, such as a database; one of the
                                     writers if its access is that of a write */
};

struct route {
    const char *operation_id; /* as in openapi.yaml */
    const char *path; /* exact: "/v1/recommend"; or the last segment is {…}, which takes any: "/v1/things/{id}" */
    unsigned methods; /* enum route_method bits */
    enum route_access access;
    size_t body_max_bytes;   /* 0 = no body */
    const char *media_types; /* that a body may have, with commas; NULL = JSON */
    bool formats;            /* .json, .csv, .xml, .txt suffixes and format= are understood */
    enum route_work work;
    bool cacheable; /* same question and same catalog version: same answer */
    /* Fills request->reply, or adds problems and returns their status. On failure the server calls
     * server_settings.fail, which encodes the problems. */
    enum status (*handle)(struct request *request);
    const void *context; /* for the handler */
};

struct server_settings {
    const char *listen_address;                            /* "127.0.0.1", "::1", "0.0.0.0" */
    uint16_t port;                                         /* 0 = any free one, see server_port */
    unsigned threads;                                      /* HTTP threads; 0 = cores */
    unsigned workers;                                      /* computing threads; 0 = cores - 1, at least 1 */
    unsigned waiters;                                      /* threads of ROUTE_STORES; 0 = 1 */
    unsigned queue_max;                                    /* requests that wait for a thread of either kind; more are
                                                              503 with Retry-After */
    unsigned connections_max, connections_per_address_max; /* the second: 0 = no limit */
    unsigned idle_timeout_s;                               /* of a connection */
    unsigned request_deadline_s;                           /* total time to receive one request */
    size_t cache_max_bytes;                                /* finished answers in all encodings */
    const char *cors_origin;                               /* "*" or one origin; "" = no CORS */
    const char *const *trusted_proxies; /* addresses and networks whose X-Forwarded-For is believed; NULL-terminated */
    bool reading_needs_key, reports_need_key;
    double address_requests_per_second, key_requests_per_second; /* limits; 0 = none */
    const char *const *allowed_hosts; /* Host names besides loopback names and addresses; NULL-terminated; "*" = any */
    bool access_log;
    const struct route *routes; /* ended by a NULL path */
    /* The immutable thing that handlers read: acquire before the handler, release after it. Its version is part
     * of every cache key. */
    const void *(*acquire)(void *data);
    void (*release)(void *data, const void *snapshot);
    /* Whose key it is: STATUS_OK, STATUS_UNAUTHORIZED, STATUS_NOT_FOUND for what does not look like one, or
     * STATUS_DATABASE_AWAY while nobody can tell. NULL: there are no keys, and nothing that needs one can be done. */
    enum status (*authenticate)(void *data, const char *key, struct caller *ret_caller);
    const char *(*version)(const void *snapshot);
    void *data; /* for these, for metrics, and for handlers: request->data */
    /* Encodes request->problems into request->reply (problem+json, or text). Also used for the server's own refusals.
     */
    void (*fail)(struct request *request, enum status status);
    /* Appends lines to /metrics after the server's own; may be NULL. */
    void (*metrics)(void *data, void (*append)(void *sink, const char *text), void *sink);
};

struct server;
/* Starts listening. On failure adds a problem that names the setting and the reason. */
enum status server_start(const struct server_settings *settings, struct problems *problems,
                         struct server **ret_server) MUST_CHECK;
uint16_t server_port(const struct server *server);
/* Stops accepting, finishes every open request, then stops. At most drain_s seconds. Returns true if all finished. */
bool server_drain(struct server *server, unsigned drain_s);
void server_free(struct server *server); /* accepts NULL */
/* Handler of the route /metrics (Prometheus text format). */
enum status server_metrics_handle(struct request *request);
