/* collector.h owns the last samples of many hosts, and their alerts, in the memory of one process. Any thread. */
#pragma once
#include "monitor/alert.h"
#include "monitor/sample_json.h"

struct collector_settings {
    size_t hosts_max;               /* one more takes the place of a host that was silent for a day, if there is one */
    size_t samples_max;             /* of each host */
    size_t max_bytes;               /* of all samples; beyond it the oldest go, whosever they are, but a host's last */
    const struct alert_rule *rules; /* borrowed */
    size_t rule_count;
    /* An alert has begun to fire, or is resolved; must return at once. */
    void (*alert)(void *data, const struct alert *alert);
    void *data;
};

struct collector;
struct collector *collector_new(const struct collector_settings *settings); /* NULL when out of memory */
void collector_free(struct collector *collector);                           /* accepts NULL */
/* Samples of one host, sorted by time; late ones go to their place, and one of a time that it has changes nothing.
 * Alerts follow those that are newer than all before. `ret_added`: how many were new. STATUS_OUT_OF_RANGE: there are
 * too many hosts, or max_bytes are full of the last samples of each. */
enum status collector_add(struct collector *collector, const struct sample_batch *batch, struct problems *problems,
                          size_t *ret_added) MUST_CHECK;

struct collector_host {
    const char *name;
    const struct sample *const *samples; /* oldest first; at least one */
    size_t sample_count;
    const struct alert_set *alerts;
};
/* Each host, in the order of their names; what `look` is given holds until it returns, and adding waits for it. */
void collector_look(struct collector *collector, void (*look)(void *data, const struct collector_host *host),
                    void *data);
