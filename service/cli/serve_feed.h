/* serve_feed.h owns what a service does with the reports of hosts: where samples lie, which alerts there are, who is
 * told of them. */
#pragma once
#include "api/feed.h"
#include "cli/settings.h"
#include "monitor/sinks.h"

struct serve_feed {
    struct feed *feed;
    struct sinks *sinks;
};

/* Starts threads: block signals before. `store` NULL: in memory. Texts of the settings and of the arena are borrowed.
 */
enum status serve_feed_open(const struct settings *settings, struct store *store, void (*report)(const char *line),
                            struct arena *arena, struct problems *problems, struct serve_feed *ret_feed) MUST_CHECK;
/* Lets the sinks send what waits. Accepts a zeroed one. */
void serve_feed_close(struct serve_feed *feed);
/* Prometheus text about them. */
void serve_feed_metrics(const struct serve_feed *feed, void (*append)(void *sink, const char *text), void *sink);
