/* alert.h owns when something is wrong: thresholds with hysteresis and a time for which they must be passed. Pure.
 *
 * Of each rule and each thing that it watches there is one alert: ok → pending (over the threshold, not for long enough
 * yet) → firing → resolved (below threshold - hysteresis again) → ok, or over again. What is not known for a while
 * changes nothing.
 *
 *   {"type": "gpu_memory_high", "state": "firing", "host": "node7", "since": TIME, "value": 0.91, "peak": 0.93,
 *    "threshold": 0.85, "hysteresis": 0.05, "for_seconds": 30,
 *    "gpu": {"index": 0, "uuid": "GPU-…", "name": "…"} or null,
 *    "usage_ratio": 0.91, "current_usage_gb": 72.8, "total_gb": 80}
 *
 * The last three, with GB of 2^30 bytes, are the article's and null but for memory. */
#pragma once
#include "catalog/status.h"
#include "monitor/sample.h"

enum alert_measure {
    ALERT_GPU_MEMORY,      /* "gpu_memory_high": usage ratio */
    ALERT_SYSTEM_MEMORY,   /* "system_memory_high": usage ratio */
    ALERT_GPU_TEMPERATURE, /* "gpu_temperature_high": degrees Celsius */
    ALERT_GPU_LOST,        /* "gpu_lost": 1 when lost, else 0 */
    ALERT_MEASURES
};
extern const char *const alert_types[ALERT_MEASURES + 1]; /* ended by NULL */

struct alert_rule {
    enum alert_measure measure;
    double threshold, hysteresis; /* fires above the one, is resolved at or below the one less the other */
    double for_s;
};

#define ALERT_RATIO_DEFAULT 0.85 /* the article's */
#define ALERT_HYSTERESIS_DEFAULT 0.05
#define ALERT_TEMPERATURE_DEFAULT_C 90.0

/* "a ratio is wanted: 0.85" for 85. `field` is named in problems. */
enum status alert_check_ratio(double threshold, const char *field, struct problems *problems) MUST_CHECK;
/* "alert_hysteresis", as the setting is called. */
enum status alert_check_hysteresis(double hysteresis, double threshold, struct problems *problems) MUST_CHECK;
/* The rules that most want: both memories at a ratio, temperature, lost GPUs. */
enum { ALERT_RULES = ALERT_MEASURES };
void alert_rules(double ratio, double hysteresis, double temperature_c, double for_s,
                 struct alert_rule ret_rules[ALERT_RULES]);

enum alert_state { ALERT_OK, ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED, ALERT_STATES };
extern const char *const alert_states[ALERT_STATES + 1]; /* ended by NULL */

struct alert {
    const struct alert_rule *rule;
    enum alert_state state;
    int64_t since_unix_ms; /* when the state began */
    double value, peak;    /* as read last; the highest since it became pending */
    double current_bytes, total_bytes;
    char host[HOST_NAME_MAX_BYTES + 1];
    int gpu_index; /* -1: the host's */
    char gpu_uuid[GPU_TEXT_BYTES], gpu_name[GPU_TEXT_BYTES];
    /* private */
    int64_t over_since_ms;
};

/* The alerts of one host. */
struct alert_set;
struct alert_set *alert_set_new(const struct alert_rule *rules, size_t count); /* borrowed; NULL: no memory */
void alert_set_free(struct alert_set *set);                                    /* accepts NULL */
/* Takes the next sample of the host. `changed` is called for each alert that has begun to fire or is resolved.
 * false: no memory for a new GPU's alerts; the others are up to date. */
bool alert_set_update(struct alert_set *set, const struct sample *sample,
                      void (*changed)(void *data, const struct alert *alert), void *data);
/* Copies of alerts that have changed, for who tells of them later. */
struct alert_changes {
    struct arena *arena;
    struct alert *items;
    size_t count, room;
    bool failed; /* no memory for some */
};
void alert_note_change(void *data, const struct alert *alert); /* a `changed`, whose data are alert_changes */
size_t alert_set_count(const struct alert_set *set);
const struct alert *alert_set_at(const struct alert_set *set, size_t index);

/* What a set has come to, so that it can go on elsewhere: see alert_state.h. */
struct sample_clock alert_set_clock(const struct alert_set *set);
/* Takes them over into an empty set, with its own rule for each; those of which it has none are left out. */
bool alert_set_restore(struct alert_set *set, struct sample_clock clock, const struct alert *alerts, size_t count);

struct out;
void alert_write(struct out *out, const char *key, const struct alert *alert);
