/* feed.h owns where the samples of hosts lie: in the memory of this process, or in the database of all of them. Who
 * asks sees no difference, but that memory is gone with the process. */
#pragma once
#include "catalog/status.h"
#include "monitor/alert.h"
#include "monitor/history.h"
#include "monitor/sample_json.h"

#include <stdint.h>

struct store;

struct feed_settings {
    struct store *store;            /* NULL: in memory */
    int64_t hosts_max;              /* one more takes the place of a host that was silent for a day, if there is one */
    int64_t samples_max;            /* of each host, in memory */
    int64_t memory_max_mib;         /* of all samples in memory */
    int64_t keep_days;              /* older samples are not taken, and dropped from the database */
    const struct alert_rule *rules; /* copied */
    size_t rule_count;
    /* An alert has begun to fire, or is resolved, and that is stored. Must return at once; any thread. */
    void (*alert)(void *data, const struct alert *alert);
    void *data;
    void (*report)(const char *line); /* for the log: old days could not be dropped; NULL: nobody wants it */
};

/* A clock that is further ahead of ours is wrong. */
#define FEED_AHEAD_MINUTES 5

struct feed;
struct feed *feed_new(const struct feed_settings *settings); /* NULL when out of memory */
void feed_free(struct feed *feed);                           /* accepts NULL */

struct feed_added {
    size_t stored, repeated, too_old; /* repeated: known before, or older than all that memory has room for */
};
/* Any order of time. The same again does no harm. STATUS_OUT_OF_RANGE: a time is too far ahead, or there are too many
 * hosts. */
enum status feed_add(struct feed *feed, const struct sample_batch *batch, int64_t now_unix_ms, struct arena *arena,
                     struct problems *problems, struct feed_added *ret_added) MUST_CHECK;

struct feed_host {
    const char *name;
    const struct sample *newest;
    const struct alert_set *alerts;
};
struct feed_hosts {
    const char *host; /* NULL: every */
    bool alerting;    /* only those with alerts that are not ok */
    size_t first, limit;
};
/* Hosts in the order of their names; what `look` is given holds until it returns. `ret_count`: of all that match. */
enum status feed_look(struct feed *feed, const struct feed_hosts *hosts,
                      void (*look)(void *data, const struct feed_host *host), void *data, struct problems *problems,
                      size_t *ret_count) MUST_CHECK;

struct feed_window {
    const char *host, *gpu; /* by its UUID or its number; NULL: all */
    double minutes;
    int64_t until_unix_ms; /* INT64_MAX: up to the newest sample */
    size_t limit;          /* the newest so many; 0: all, or STATUS_OUT_OF_RANGE if they are too many */
};
/* `ret_more`: there are older ones in the window. STATUS_NOT_FOUND: no such host, or no such GPU in the window. The
 * history is the caller's to free. */
enum status feed_window(struct feed *feed, const struct feed_window *window, struct problems *problems,
                        struct history **ret_history, bool *ret_more) MUST_CHECK;

struct feed_counts {
    uint64_t stored, repeated, too_old, alerts;
};
struct feed_counts feed_count(const struct feed *feed);
