/* metrics.h owns the counters of the server: requests by operation and status, and how long they took. */
#pragma once
#include "http/server.h"

#include <stdio.h>

struct metrics;
struct metrics *metrics_new(const struct route *routes); /* NULL when out of memory */
void metrics_free(struct metrics *metrics);
/* `route` NULL = no operation; `http_status` 0 = libmicrohttpd refused it, or the client went away. */
void metrics_add(struct metrics *metrics, const struct route *route, unsigned http_status, uint64_t duration_us);
void metrics_write(const struct metrics *metrics, FILE *text);
