/* fetch.h owns downloads: what a URL of http or https holds, into a file, whole or not at all. */
#pragma once
#include "catalog/status.h"

#include <stdint.h>
#include <stdio.h>

struct fetch_options {
    int64_t size_max_bytes; /* of everything that one fetch brings, unpacked */
    int64_t timeout_s;      /* of one transfer; connecting has a limit of its own */
    int64_t stall_s;        /* slower than 1 KiB/s for so long is given up */
    /* Bytes of the present transfer; `total` 0: not known. May be NULL. */
    void (*progress)(void *context, int64_t bytes, int64_t total);
    void *context;
};

/* Transfers one after another, by one thread. */
struct fetch;

enum status fetch_open(const struct fetch_options *options, struct problems *problems,
                       struct fetch **ret_fetch) MUST_CHECK;
void fetch_close(struct fetch *fetch); /* accepts NULL */

/* Appends what the URL holds to the file. Tries again, later and later, when the server is busy or fails or the
 * connection does, and waits for as long as it is asked to within limits. STATUS_INVALID_VALUE for a URL that cannot be
 * meant, STATUS_IO for what went wrong: not there, too large, too slow, cut off, a web page instead of a file. The file
 * may then hold a part. */
enum status fetch_append(struct fetch *fetch, const char *url, FILE *file, struct problems *problems) MUST_CHECK;

/* Whether both are of one scheme, host and port. */
bool fetch_same_origin(const char *a, const char *b);
/* The URL as it may be shown and kept: without its query, which may hold a secret. NULL: out of memory. */
const char *fetch_shown_url(struct arena *arena, const char *url);
