/* serve_metrics.h owns what a service tells Prometheus besides its requests: catalog, prices, database, stored answers,
 * hosts. */
#pragma once

/* server_settings.metrics; `data` is the struct service. */
void serve_metrics(void *data, void (*append)(void *sink, const char *text), void *sink);
