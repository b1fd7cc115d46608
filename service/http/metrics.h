/* metrics.h owns the counters of the server: requests by operation and status, how long they took, and how long it took
 * to compute what was asked. */
#pragma once
#include "http/server.h"

#include <stdio.h>

struct metrics;
struct metrics *metrics_new(const struct route *routes); /* NULL when out of memory */
void metrics_free(struct metrics *metrics);
/* `route` NULL = no operation; `http_status` 0 = libmicrohttpd refused it, or the client went away. */
void metrics_add(struct metrics *metrics, const struct route *route, unsigned http_status, uint64_t duration_us);
/* An answer was computed by a handler of ROUTE_COMPUTES. */
void metrics_add_computing(struct metrics *metrics, const struct route *route, uint64_t duration_us);
void metrics_write(const struct metrics *metrics, FILE *text);
