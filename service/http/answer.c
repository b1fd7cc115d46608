/* answer.c owns the building of responses and their headers. */
#include "http/answer.h"

#include "http/server.h"

#include <microhttpd.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMPRESS_MIN_BYTES = 256, /* below this the headers outweigh the gain */
    NAME_BYTES = 16,          /* of a hash: the shortest that crypto_generichash gives */
    NAME_TEXT_BYTES = 2 * NAME_BYTES + 1,
    RESPONSE_BYTES = 1536, /* what libmicrohttpd allocates for a response and its dozen headers */
};

struct header {
    const char *name, *value; /* value NULL = left out */
};

static bool add_headers(struct MHD_Response *response, const struct header *headers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (headers[i].value && MHD_add_response_header(response, headers[i].name, headers[i].value) != MHD_YES)
            return false;
    return true;
}

static bool is_compressible(const struct reply *reply)
{
    return reply->body_length > COMPRESS_MIN_BYTES &&
           (!reply->content_type || !strstr(reply->content_type, "openxmlformats"));
}

/* Headers that depend on the answer alone. */
static bool describe(struct MHD_Response *response, const struct reply *reply, enum encoding encoding,
                     const char *cors_origin)
{
    char etag[ETAG_BYTES];
    if (reply->etag_id) negotiate_etag(reply->etag_id, encoding, etag);
    bool cors = cors_origin && *cors_origin;
    bool any_origin = cors && strcmp(cors_origin, "*") == 0;
    bool varies = is_compressible(reply);
    const struct header headers[] = {
        {MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type},
        {MHD_HTTP_HEADER_CONTENT_ENCODING, encoding_name(encoding)},
        {MHD_HTTP_HEADER_ETAG, reply->etag      ? reply->etag
                               : reply->etag_id ? etag
                                                : NULL},
        {MHD_HTTP_HEADER_CACHE_CONTROL, reply->cache_control ? reply->cache_control : "no-cache"},
        {MHD_HTTP_HEADER_VARY, varies ? "Accept-Encoding" : NULL},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Content-Security-Policy", reply->csp},
        {"Access-Control-Allow-Origin", cors ? cors_origin : NULL},
        {"Access-Control-Expose-Headers", cors ? "ETag, Retry-After, X-Request-Id, traceparent" : NULL},
        {"Cross-Origin-Resource-Policy", any_origin ? "cross-origin" : NULL},
    };
    return add_headers(response, headers, sizeof headers / sizeof *headers);
}

static bool add_extra(struct MHD_Response *response, const struct reply_extra *extra)
{
    const struct header headers[] = {
        {"X-Request-Id", extra->request_id},
        {"traceparent", extra->traceparent},
        {MHD_HTTP_HEADER_ALLOW, extra->allow},
        {MHD_HTTP_HEADER_RETRY_AFTER, extra->retry_after},
        {MHD_HTTP_HEADER_WWW_AUTHENTICATE, extra->authenticate},
        {"Access-Control-Allow-Methods", extra->preflight ? extra->allow : NULL},
        {"Access-Control-Allow-Headers",
         extra->preflight ? "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Api-Key, "
                            "X-Request-Id, traceparent"
                          : NULL},
        {"Access-Control-Max-Age", extra->preflight ? "86400" : NULL},
        {MHD_HTTP_HEADER_CONNECTION, extra->close ? "close" : NULL},
    };
    return add_headers(response, headers, sizeof headers / sizeof *headers);
}

/* MUST_FREE bytes are freed on failure too. */
static struct MHD_Response *build(const struct reply *reply, enum encoding encoding, const char *cors_origin,
                                  const struct reply_extra *extra, void *bytes, size_t length,
                                  enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(length, bytes, mode);
    if (!response) {
        if (mode == MHD_RESPMEM_MUST_FREE) free(bytes);
        return NULL;
    }
    if (describe(response, reply, encoding, cors_origin) && (!extra || add_extra(response, extra))) return response;
    MHD_destroy_response(response);
    return NULL;
}

struct MHD_Response *reply_private(const struct reply *reply, const char *cors_origin, const struct reply_extra *extra)
{
    void *bytes = (void *)(uintptr_t)(reply->body ? reply->body : ""); /* copied by the library, not written to */
    return build(reply, ENCODING_IDENTITY, cors_origin, extra, bytes, reply->body_length, MHD_RESPMEM_MUST_COPY);
}

struct MHD_Response *answer_private(const struct answer *answer, const struct part *part, enum encoding encoding,
                                    const struct reply_extra *extra)
{
    return build(&answer->reply, encoding, answer->cors_origin, extra, (void *)(uintptr_t)part->bytes, part->length,
                 MHD_RESPMEM_MUST_COPY);
}

struct MHD_Response *answer_not_modified(const struct answer *answer, enum encoding encoding,
                                         const struct reply_extra *extra)
{
    struct reply reply = answer->reply;
    reply.content_type = NULL;
    struct MHD_Response *response = MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    if (!response) return NULL;
    bool done = describe(response, &reply, encoding, answer->cors_origin) && add_extra(response, extra);
    if (done && encoding != ENCODING_IDENTITY)
        (void)MHD_del_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, encoding_name(encoding));
    if (done) return response;
    MHD_destroy_response(response);
    return NULL;
}

/* Takes the bytes over. */
static struct part *part_new(const struct answer *answer, enum encoding encoding, void *bytes, size_t length)
{
    struct part *part = malloc(sizeof *part);
    struct MHD_Response *response =
        part ? build(&answer->reply, encoding, answer->cors_origin, NULL, bytes, length, MHD_RESPMEM_MUST_FREE) : NULL;
    if (response) {
        *part = (struct part){response, bytes, length};
        return part;
    }
    if (!part) free(bytes);
    free(part);
    return NULL;
}

static void part_free(struct part *part)
{
    if (!part) return;
    MHD_destroy_response(part->response);
    free(part);
}

static const char *copy_text(char **end, const char *text)
{
    if (!text) return NULL;
    char *copy = *end;
    *end = stpcpy(copy, text) + 1;
    return copy;
}

/* An answer that names itself keeps its name; another one that is kept is named by its bytes. */
static const char *name_of(const struct route *route, const struct reply *reply, char name[NAME_TEXT_BYTES])
{
    if (reply->etag_id || !route || !route->cacheable) return reply->etag_id;
    unsigned char hash[NAME_BYTES];
    crypto_generichash(hash, sizeof hash, (const unsigned char *)reply->body, reply->body_length, NULL, 0);
    return sodium_bin2hex(name, NAME_TEXT_BYTES, hash, sizeof hash);
}

static size_t text_bytes(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

struct answer *answer_new(const struct route *route, const struct reply *reply, const char *cors_origin,
                          struct compressors *compressors)
{
    char name_text[NAME_TEXT_BYTES];
    const char *name = name_of(route, reply, name_text);
    size_t texts = text_bytes(reply->content_type) + text_bytes(name) + text_bytes(reply->cache_control) +
                   text_bytes(reply->csp) + text_bytes(reply->etag);
    struct answer *answer = calloc(1, sizeof *answer + texts);
    void *bytes = malloc(reply->body_length + 1);
    if (!answer || !bytes) {
        free(bytes);
        free(answer);
        return NULL;
    }
    if (reply->body_length) memcpy(bytes, reply->body, reply->body_length);
    char *end = (char *)(answer + 1);
    answer->route = route;
    answer->cors_origin = cors_origin;
    answer->compressors = compressors;
    answer->reply = (struct reply){
        .http_status = reply->http_status,
        .content_type = copy_text(&end, reply->content_type),
        .body = bytes,
        .body_length = reply->body_length,
        .etag_id = copy_text(&end, name),
        .cache_control = copy_text(&end, reply->cache_control),
        .csp = copy_text(&end, reply->csp),
        .recording = reply->recording,
        .etag = copy_text(&end, reply->etag),
    };
    atomic_init(&answer->references, 1);
    struct part *plain = part_new(answer, ENCODING_IDENTITY, bytes, reply->body_length);
    if (!plain) {
        free(answer);
        return NULL;
    }
    atomic_init(&answer->parts[ENCODING_IDENTITY], plain);
    return answer;
}

struct answer *answer_hold(struct answer *answer)
{
    atomic_fetch_add_explicit(&answer->references, 1, memory_order_relaxed);
    return answer;
}

void answer_release(struct answer *answer)
{
    if (!answer || atomic_fetch_sub_explicit(&answer->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < ENCODING_COUNT; i++)
        part_free(atomic_load(&answer->parts[i]));
    free(answer);
}

size_t answer_cost(const struct answer *answer)
{
    return sizeof *answer + (size_t)ENCODING_COUNT * RESPONSE_BYTES + 2 * answer->reply.body_length;
}

/* Two threads may compress at once; the second result is thrown away. */
static const struct part *make_part(struct answer *answer, enum encoding encoding)
{
    size_t length = 0;
    void *bytes = compress_bytes(answer->compressors, encoding, answer->reply.body, answer->reply.body_length, &length);
    if (!bytes) return NULL;
    struct part *part = part_new(answer, encoding, bytes, length), *first = NULL;
    if (!part || atomic_compare_exchange_strong(&answer->parts[encoding], &first, part)) return part;
    part_free(part);
    return first;
}

const struct part *answer_part(struct answer *answer, enum encoding wanted, enum encoding *ret_encoding)
{
    *ret_encoding = ENCODING_IDENTITY;
    const struct part *plain = atomic_load_explicit(&answer->parts[ENCODING_IDENTITY], memory_order_acquire);
    if (wanted == ENCODING_IDENTITY || !is_compressible(&answer->reply)) return plain;
    const struct part *part = atomic_load_explicit(&answer->parts[wanted], memory_order_acquire);
    if (!part) part = make_part(answer, wanted);
    if (!part) return plain;
    *ret_encoding = wanted;
    return part;
}
