/* serve_metrics.h owns what a service tells Prometheus besides its requests: catalog, prices, database, stored answers,
 * hosts. */
#pragma once
#include "api/service.h"
#include "cli/serve_feed.h"

struct import_ages;
struct serve_watch;

/* What answers, and what only the metrics tell of. */
struct serving {
    struct service service; /* first: server_settings.data is the address of both */
    struct serve_feed feed;
    struct serve_watch *watch;   /* of this host; NULL: it is not watched */
    struct import_ages *imports; /* of the database's catalog */
};

/* server_settings.metrics. */
void serve_metrics(void *data, void (*append)(void *sink, const char *text), void *sink);
