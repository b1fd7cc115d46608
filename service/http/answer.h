/* answer.h owns a finished answer: its bytes, its headers, and one shared libmicrohttpd response per encoding, made
 * when it is first asked for. Any number of connections send it at once. */
#pragma once
#include "http/compress.h"
#include "http/request.h"

#include <stdatomic.h>

struct MHD_Response;

struct part {                      /* one encoding of an answer */
    struct MHD_Response *response; /* owns the bytes */
    const void *bytes;
    size_t length;
};

struct answer {
    atomic_uint references;
    const struct route *route;
    struct reply reply; /* all texts are copies behind the struct, the body belongs to parts[identity] */
    const char *cors_origin;
    struct compressors *compressors;
    _Atomic(struct part *) parts[ENCODING_COUNT];
};

/* What one request adds to the headers of its answer; such a response is not shared. */
struct reply_extra {
    const char *request_id, *traceparent, *allow, *retry_after, *authenticate; /* NULL = none */
    bool preflight, close;
};

/* Copies the reply. NULL when out of memory. The route, CORS origin and compressors are borrowed. */
struct answer *answer_new(const struct route *route, const struct reply *reply, const char *cors_origin,
                          struct compressors *compressors);
struct answer *answer_hold(struct answer *answer);
void answer_release(struct answer *answer); /* accepts NULL */
/* Bytes that one answer may ever take, all encodings included. */
size_t answer_cost(const struct answer *answer);
/* The part for that encoding, or the plain one where compressing does not pay. */
const struct part *answer_part(struct answer *answer, enum encoding wanted, enum encoding *ret_encoding);

/* New responses for one request; the bytes are copied. NULL when out of memory. */
struct MHD_Response *answer_private(const struct answer *answer, const struct part *part, enum encoding encoding,
                                    const struct reply_extra *extra);
struct MHD_Response *answer_not_modified(const struct answer *answer, enum encoding encoding,
                                         const struct reply_extra *extra);
struct MHD_Response *reply_private(const struct reply *reply, const char *cors_origin, const struct reply_extra *extra);
