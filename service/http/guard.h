/* guard.h owns the first look at a request: what its header section says, and whether it may go any further.
 * libmicrohttpd 0.9.75 lets several request-smuggling shapes through; they are refused here, before any handler.
 * Pure: no libmicrohttpd, so that a test can feed it any header list. */
#pragma once
#include "catalog/status.h"

#include <stdint.h>

enum {
    URI_MAX_BYTES = 8 * 1024, /* path and query; beyond what fits its buffer libmicrohttpd says 414 itself */
    HEADER_LINES_MAX = 100,
};

/* All texts are borrowed from the request; NULL = the header is absent. */
struct head {
    const char *method, *version, *uri;
    size_t uri_length;
    unsigned lines;
    bool bad_line;        /* a name that is no token, a control character */
    const char *repeated; /* a header came more than once that must not: the sentence that says so; NULL = none */
    const char *host, *content_length, *transfer_encoding, *content_type, *content_encoding, *expect;
    const char *accept_encoding, *if_none_match, *request_id, *traceparent;
    const char *authorization, *api_key, *forwarded_for, *if_match, *idempotency_key;
    int64_t body_bytes; /* by Content-Length; 0 without one, -1 when it is no number */
};

void head_init(struct head *head, const char *method, const char *version, const char *uri, size_t uri_length);
void head_add(struct head *head, const char *name, size_t name_length, const char *value, size_t value_length);
bool head_has_body(const struct head *head);

/* STATUS_OK, or why the connection must be closed after the refusal: nobody knows where the next request starts.
 * The detail is a constant sentence. */
enum status guard_check(const struct head *head, const char **ret_detail) MUST_CHECK;

/* Loopback names and addresses, the listen address and the allowed names ("*" = any), with or without a port. A
 * page of another site must not reach a local service by DNS rebinding. */
bool guard_host_allowed(const char *host, const char *listen_address, const char *const *allowed);
