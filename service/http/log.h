/* log.h owns the access log: one JSON line per request. A thread of its own writes it, so that a full pipe holds up
 * no answer; lines that do not fit meanwhile are dropped and counted. */
#pragma once
#include "http/request.h"

#include <stdint.h>

struct log_entry {
    const char *request_id;
    const char *trace_id, *span_id, *parent_id; /* of the trace that it is a part of; "" = none */
    const char *method, *path;                  /* raw path, without the query: keys in it never reach the log */
    size_t path_length;
    unsigned http_status; /* 0 = no answer of ours was sent: null in the log */
    size_t bytes;         /* of the body as sent */
    uint64_t duration_us;
    const char *cache;  /* "hit", "miss", "" = not cacheable */
    const char *remote; /* address of the client, as far as proxies are trusted */
    const char *key_id; /* of the caller's key; "" = none */
    bool complete;      /* false: the client went away, or the connection was cut */
};

struct log;
struct log *log_new(int fd); /* NULL if the thread cannot be started */
void log_write(struct log *log, const struct log_entry *entry);
uint64_t log_dropped(struct log *log);
void log_free(struct log *log); /* writes what is left; accepts NULL */
