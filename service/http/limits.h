/* limits.h owns how many requests a caller may make: a rate, and a burst of BURST_S seconds' worth of it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { BURST_S = 10 };

/* Of bounded size: with more callers at once than it has room for, those that were idle longest start afresh. */
struct limits;
struct limits *limits_new(void);         /* NULL when out of memory */
void limits_free(struct limits *limits); /* accepts NULL */
/* Counts one request of the caller with that name. True if it may go on; otherwise in how many seconds, at least 1. */
bool limits_take(struct limits *limits, const char *name, double requests_per_second, uint64_t now_us,
                 unsigned *ret_retry_s);
