/* metrics_page.c owns the operation behind /metrics: counters, gauges and build information as Prometheus text. */
#include "http/exchange.h"

#include <stdlib.h>

static void append_text(void *sink, const char *text)
{
    fputs(text, sink);
}

static void write_row(FILE *text, const char *name, const char *type, const char *help, uint64_t value)
{
    fprintf(text, "# HELP gpusize_%s %s\n# TYPE gpusize_%s %s\ngpusize_%s %ju\n", name, help, name, type, name,
            (uintmax_t)value);
}

static void write_cache(struct cache *cache, FILE *text)
{
    struct cache_counts counts = cache_count(cache);
    write_row(text, "cache_hits_total", "counter", "Questions answered from the answer cache.", counts.hits);
    write_row(text, "cache_misses_total", "counter", "Questions looked for in vain in the answer cache.",
              counts.misses);
    write_row(text, "cache_evictions_total", "counter", "Answers that made room for others.", counts.evictions);
    write_row(text, "cache_entries", "gauge", "Answers in the cache.", counts.entries);
    write_row(text, "cache_bytes", "gauge", "Bytes charged for them, all encodings included.", counts.bytes);
}

static void write_page(struct server *server, FILE *text)
{
    fputs("# HELP gpusize_build_info The version that runs.\n# TYPE gpusize_build_info gauge\n"
          "gpusize_build_info{version=\"" GPUSIZE_VERSION "\"} 1\n",
          text);
    metrics_write(server->metrics, text);
    write_cache(server->cache, text);
    write_row(text, "queue_depth", "gauge", "Computations that wait for a thread.", pool_waiting(server->computing));
    write_row(text, "waiting_requests", "gauge", "Requests that wait for a thread that may block.",
              pool_waiting(server->waiting) + pool_waiting(server->writing));
    write_row(text, "connections", "gauge", "Open connections.", connections_count(&server->connections));
    write_row(text, "connections_cut_total", "counter", "Connections whose request was incomplete at its deadline.",
              connections_cut(&server->connections));
    if (server->log)
        write_row(text, "log_lines_dropped_total", "counter", "Access log lines lost because the reader was slow.",
                  log_dropped(server->log));
    if (server->settings.metrics) server->settings.metrics(server->settings.data, append_text, text);
}

enum status server_metrics_handle(struct request *request)
{
    struct exchange *x = (struct exchange *)(void *)((char *)request - offsetof(struct exchange, request));
    char *bytes = NULL;
    size_t length = 0;
    FILE *text = open_memstream(&bytes, &length);
    if (text) {
        write_page(x->server, text);
        if (fclose(text) != 0) length = 0;
    }
    const char *page = length ? arena_strndup(&request->arena, bytes, length) : NULL;
    free(bytes);
    if (!page) return problems_add(&request->problems, STATUS_OUT_OF_MEMORY, "", "out of memory");
    request->reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
    request->reply.body = page;
    request->reply.body_length = length;
    return STATUS_OK;
}
