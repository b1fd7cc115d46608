/* metrics_page.c owns the operation behind /metrics: counters, gauges and build information as Prometheus text. */
#include "http/exchange.h"

#include "catalog/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

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

/* The second figure of the file; 0: not known. */
static int64_t resident_pages(void)
{
    int64_t pages = 0;
    char line[128] = "", *rest = line;
    FILE *file = fopen("/proc/self/statm", "re");
    bool known = file && fgets(line, sizeof line, file) && strsep(&rest, " ") && rest;
    if (known && !text_parse_int64(strsep(&rest, " "), &pages)) pages = 0;
    if (file) (void)fclose(file);
    return pages;
}

/* As every exporter calls them. What cannot be found out is left out. */
static void write_process(const struct server *server, FILE *text)
{
    struct rusage used;
    int64_t pages = resident_pages();
    if (pages > 0)
        fprintf(text,
                "# HELP process_resident_memory_bytes Memory in use.\n# TYPE process_resident_memory_bytes gauge\n"
                "process_resident_memory_bytes %lld\n",
                (long long)pages * sysconf(_SC_PAGESIZE));
    if (getrusage(RUSAGE_SELF, &used) == 0)
        fprintf(text,
                "# HELP process_cpu_seconds_total Processor time.\n# TYPE process_cpu_seconds_total counter\n"
                "process_cpu_seconds_total %.6f\n",
                (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                    (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    fprintf(text,
            "# HELP process_start_time_seconds Start, in Unix time.\n# TYPE process_start_time_seconds gauge\n"
            "process_start_time_seconds %lld\n",
            (long long)server->started_unix_s);
}

static void write_page(struct server *server, FILE *text)
{
    fputs("# HELP gpusize_build_info The version that runs.\n# TYPE gpusize_build_info gauge\n"
          "gpusize_build_info{version=\"" GPUSIZE_VERSION "\"} 1\n",
          text);
    write_process(server, text);
    metrics_write(server->metrics, text);
    write_cache(server->cache, text);
    write_row(text, "queue_depth", "gauge", "Computations that wait for a thread.", pool_waiting(server->computing));
    write_row(text, "queue_max", "gauge", "Computations that may wait.", server->settings.queue_max);
    write_row(text, "waiting_requests", "gauge", "Requests that wait for a thread that may block.",
              pool_waiting(server->waiting) + pool_waiting(server->writing));
    write_row(text, "waiting_writes", "gauge", "Changes among them.", pool_waiting(server->writing));
    write_row(text, "connections", "gauge", "Open connections.", connections_count(&server->connections));
    write_row(text, "connections_max", "gauge", "Connections that may be open.", server->settings.connections_max);
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
