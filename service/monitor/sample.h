/* sample.h owns one look at a machine: when it was, its memory, its GPUs; and the time between two. */
#pragma once
#include "hw/reading.h"

#include <stdint.h>

struct sample {
    const char *host;     /* whose it is: a name of 1 to HOST_NAME_MAX_BYTES printable bytes */
    int64_t unix_ms;      /* for people and tables; may jump */
    int64_t monotonic_ms; /* since that host was started, for intervals; goes back only when it is started again */
    double took_ms;       /* how long the libraries needed for it */
    struct memory_reading memory;
    const struct gpu_reading *gpus;
    size_t gpu_count;
    const char *reason; /* why there are no GPUs, or not those that were there; "" */
};

enum { HOST_NAME_MAX_BYTES = 253 };

/* Time along a series of samples of one host, that only goes forward: by the monotonic clock; over a restart of the
 * host by the other one, if that goes forward. Begins zeroed. */
struct sample_clock {
    int64_t elapsed_ms, unix_ms, monotonic_ms;
    bool started;
};
/* Milliseconds from the first sample to this one. */
int64_t sample_clock_add(struct sample_clock *clock, const struct sample *sample);

/* The same in one block of memory, with all that it points to; free() it. NULL when out of memory. */
struct sample *sample_copy(const struct sample *sample);
size_t sample_bytes(const struct sample *sample); /* of a copy */

const struct gpu_reading *sample_find_gpu(const struct sample *sample, const char *uuid); /* NULL if it is not in it */

enum { SAMPLE_TIME_BYTES = 32 };
/* "2026-11-29T03:04:05.123Z". */
const char *sample_time_format(int64_t unix_ms, char text[SAMPLE_TIME_BYTES]);
/* The same form, with or without a fraction of a second; UTC only. */
bool sample_time_parse(const char *text, int64_t *ret_unix_ms);
