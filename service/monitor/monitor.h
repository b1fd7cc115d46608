/* monitor.h owns the watching of this machine: a thread that takes samples, keeps them, finds alerts and hands both to
 * the sinks. Others look at what it has. Not pure: it reads devices and starts threads. */
#pragma once
#include "monitor/alert.h"
#include "monitor/history.h"
#include "monitor/sinks.h"
#include "monitor/statistics.h"

struct monitor_settings {
    double interval_s;
    size_t history_max;
    const struct alert_rule *rules; /* borrowed */
    size_t rule_count;
    struct sink_settings sinks; /* its texts are borrowed */
    const char *host;           /* "" = this machine's name */
    const char *proc;           /* "" = "/proc" */
    const char *gpu;            /* this one only, by its index or its UUID; "" = all */
    int64_t count;              /* samples to take; 0 = without an end */
    /* By the monitor's thread after each sample, and after its alerts, without a lock; NULL = nobody wants it. */
    void (*taken)(void *data, const struct sample *sample);
    void (*alert)(void *data, const struct alert *alert); /* begun to fire, or resolved */
    void *data;
};

enum { MONITOR_STOP_MS = 3000, MONITOR_ALERTS_WAITING = 256 /* a good queue_max of sinks */ };

struct monitor;
/* Starts the thread: block signals before. */
enum status monitor_new(const struct monitor_settings *settings, struct problems *problems,
                        struct monitor **ret_monitor) MUST_CHECK;
/* No sample is taken any more; what there is can be looked at. A driver that hangs is waited for no longer than
 * MONITOR_STOP_MS; then false. */
bool monitor_stop(struct monitor *monitor);
/* Stops if it has not been, and lets the sinks send what waits. false: it does not stop; the thread and what it uses
 * are left to the end of the process. Accepts NULL. */
bool monitor_free(struct monitor *monitor);

/* Looks: any thread. What `look` is given holds until it returns; sampling waits for it. */
struct monitor_view {
    const struct history *history;
    const struct alert_set *alerts;
    uint64_t taken, late; /* samples; times that the last one took so long that the next was left out */
    bool ended;           /* `count` samples were taken */
};
void monitor_look(struct monitor *monitor, void (*look)(void *data, const struct monitor_view *view), void *data);
/* Counts of a sink, for /metrics. false: there is no such sink. */
bool monitor_sink_count(struct monitor *monitor, enum sink sink, struct outbox_counts *ret_counts);
/* The newest sample is so much older than one is due: the driver hangs. 0 = it does not. */
double monitor_overdue_s(struct monitor *monitor);
