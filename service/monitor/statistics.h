/* statistics.h owns the figures of a window of samples: of the host's memory and of each GPU.
 *
 *   {"host": "node7", "window_minutes": 10, "sample_count": 120, "from": TIME, "to": TIME,
 *    "system_memory": MEMORY,
 *    "gpus": [{"index": 0, "uuid": "GPU-…", "name": "…", "lost": null, "memory": MEMORY, "busy_percent": SERIES,
 *              "power_watts": SERIES, "temperature_c": SERIES, "energy_joules": 123.4}]}
 *
 *   MEMORY = {"avg_usage_ratio": …, "max_usage_ratio": …, "min_usage_ratio": …, "p95_usage_ratio": …,
 *             "current_usage_ratio": …, "current_bytes": …, "total_bytes": …,
 *             "full_in_minutes": {"value": …, "low": …, "high": …, "coverage_ratio": 0.9} or null}
 *   SERIES = {"avg": …, "max": …, "min": …, "p95": …, "current": …} */
#pragma once
#include "catalog/status.h"
#include "monitor/history.h"
#include "monitor/trend.h"

#define WINDOW_MINUTES_DEFAULT 10.0 /* the article's */
#define WINDOW_MINUTES_MAX (7 * 24 * 60.0)

struct series { /* NaN where the window knows nothing */
    size_t count;
    double avg, max, min, p95; /* p95: nearest rank */
    double current;            /* of the newest sample: NaN if that does not tell */
};

struct memory_statistics {
    struct series usage_ratio;
    double current_bytes, total_bytes; /* used and reserved, of the newest sample that tells */
    struct forecast full_in_minutes;
};

struct gpu_statistics {
    const struct gpu_reading *gpu; /* as it was read last; borrowed from the history */
    struct memory_statistics memory;
    struct series busy_percent, power_watts, temperature_c;
    double energy_joules; /* over the window; the counter may begin anew within */
};

struct statistics {
    const char *host; /* borrowed from the history */
    double window_minutes;
    size_t sample_count;
    int64_t from_unix_ms, to_unix_ms; /* of the oldest and the newest sample */
    struct memory_statistics system_memory;
    const struct gpu_statistics *gpus; /* in the arena: every GPU of the window, by index */
    size_t gpu_count;
};

/* Without a sample sample_count is 0 and figures are NaN. */
enum status statistics_compute(const struct history *history, double window_minutes, struct arena *arena,
                               struct statistics *ret_statistics) MUST_CHECK;

struct out;
void statistics_write(struct out *out, const char *key, const struct statistics *statistics);
/* What the article's get_statistics gives for one GPU, in GB of 2^30 bytes; {} without a sample. */
void statistics_write_article(struct out *out, const char *key, const struct statistics *statistics);
