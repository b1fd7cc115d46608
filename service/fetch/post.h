/* post.h owns one POST over http or https: a body, headers, what the server answers. Trying again is the caller's. */
#pragma once
#include "catalog/status.h"

#include <stdatomic.h>
#include <stdint.h>

struct post {
    const char *url, *content_type;
    const char *const *headers; /* "Name: value", ended by NULL */
    const char *body;
    size_t length;
    double timeout_s;        /* of all of it */
    const atomic_bool *stop; /* given up soon after it is set; may be NULL */
};

/* STATUS_OK if it is a URL that fetch and post may be given: http or https, a host, no user. */
enum status post_check_url(const char *url, const char *field, struct problems *problems) MUST_CHECK;
/* The HTTP status of the answer, whose body is passed over; 0: there was none, and `ret_why` says why. Redirects are
 * not followed. Any thread. */
int post_send(const struct post *post, char ret_why[], size_t why_bytes);
