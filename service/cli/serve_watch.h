/* serve_watch.h owns the watching of the host that a service runs on: its samples go where those of every host go, and
 * /metrics shows the newest. */
#pragma once
#include "cli/settings.h"

struct feed;

struct serve_watch;
/* Starts threads: block signals before. Leaves NULL where monitor_interval_s is 0. `feed` is borrowed. */
enum status serve_watch_start(const struct settings *settings, struct feed *feed, void (*report)(const char *line),
                              struct problems *problems, struct serve_watch **ret_watch) MUST_CHECK;
/* Nothing goes to the feed any more. false: the driver hangs, and that is reported; its thread is left to the end of
 * the process, which must not be exit(). Accepts NULL. */
bool serve_watch_stop(struct serve_watch *watch, void (*report)(const char *line));
/* Prometheus text about them. Accepts NULL. */
void serve_watch_metrics(struct serve_watch *watch, void (*append)(void *sink, const char *text), void *sink);
