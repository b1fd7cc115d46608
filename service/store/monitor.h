/* monitor.h owns what hosts report, in the database: samples by day, and of each host the newest one and its alerts.
 * What samples and alerts are is not known here: they are JSON. */
#pragma once
#include "store/store.h"

struct store_host {
    const char *host;
    int64_t newest_unix_ms;
    const char *sample, *alerts; /* of that time; NULL: nothing has changed */
    int64_t alert_count;         /* those that are not ok */
};

struct store_samples {
    const char *host;
    const char *samples; /* a list of objects that have a `time` */
    int64_t first_unix_ms, last_unix_ms, hosts_max;
    /* What the host has come to, from what it was (newest_unix_ms INT64_MIN, alerts "": it is new). Called in the
     * transaction, which no other of this host is beside; and again if that has to be repeated. */
    enum status (*judge)(void *data, const struct store_host *before, struct problems *problems,
                         struct store_host *ret_after);
    void *data;
};
/* `ret_stored`: how many were not there yet. STATUS_OUT_OF_RANGE: too many hosts, none of them silent for a day. */
enum status store_samples_add(struct store *store, const struct store_samples *samples, struct problems *problems,
                              size_t *ret_stored) MUST_CHECK;

/* Hosts in the order of their names, from the first (0) one; `host` NULL: every. `ret_count`: of all that match. */
enum status store_hosts_read(struct store *store, const char *host, bool alerting, size_t first, size_t limit,
                             void (*take)(void *data, const struct store_host *host), void *data,
                             struct problems *problems, size_t *ret_count) MUST_CHECK;

/* The samples between two times, both included, newest first, until `take` says false. */
enum status store_samples_read(struct store *store, const char *host, int64_t from_unix_ms, int64_t until_unix_ms,
                               bool (*take)(void *data, const char *sample), void *data,
                               struct problems *problems) MUST_CHECK;

/* Drops days that ended longer ago, and hosts that were silent for as long; nothing while another does. */
enum status store_samples_keep(struct store *store, int64_t days, struct problems *problems) MUST_CHECK;
