/* metrics.c owns the Prometheus text of the counters. */
#include "http/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>

static const unsigned statuses[] = {0,   200, 201, 204, 304, 400, 401, 403, 404, 405, 406, 408,
                                    409, 412, 413, 414, 415, 421, 422, 428, 429, 500, 503, 999 /* any other */};
static const uint64_t bounds_us[] = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 100000, 250000, 1000000, 10000000};
enum { STATUSES = sizeof statuses / sizeof *statuses, BOUNDS = sizeof bounds_us / sizeof *bounds_us };

struct operation_counts {
    atomic_uint_fast64_t by_status[STATUSES], by_bound[BOUNDS + 1], duration_us;
};
struct metrics {
    const struct route *routes;
    size_t count; /* of routes; one more row counts what matched none */
    struct operation_counts rows[];
};

struct metrics *metrics_new(const struct route *routes)
{
    size_t count = 0;
    while (routes[count].path)
        count++;
    struct metrics *metrics = calloc(1, sizeof *metrics + (count + 1) * sizeof *metrics->rows);
    if (!metrics) return NULL;
    metrics->routes = routes;
    metrics->count = count;
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    free(metrics);
}

static void increase(atomic_uint_fast64_t *counter, uint64_t by)
{
    atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static uint64_t count_of(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_add(struct metrics *metrics, const struct route *route, unsigned http_status, uint64_t duration_us)
{
    struct operation_counts *row = &metrics->rows[route ? (size_t)(route - metrics->routes) : metrics->count];
    size_t status = 0, bound = 0;
    while (status < STATUSES - 1 && statuses[status] != http_status)
        status++;
    while (bound < BOUNDS && bounds_us[bound] < duration_us)
        bound++;
    increase(&row->by_status[status], 1);
    increase(&row->by_bound[bound], 1);
    increase(&row->duration_us, duration_us);
}

static const char *operation_of(const struct metrics *metrics, size_t row)
{
    return row < metrics->count ? metrics->routes[row].operation_id : "none";
}

/* Rows of one operation (its path may be in the table more than once) are told apart by path. */
static const char *path_of(const struct metrics *metrics, size_t row)
{
    return row < metrics->count ? metrics->routes[row].path : "";
}

static void write_requests(const struct metrics *metrics, FILE *text)
{
    fputs("# HELP gpusize_http_requests_total Requests by operation and status; 0: no answer of ours was sent.\n"
          "# TYPE gpusize_http_requests_total counter\n",
          text);
    for (size_t row = 0; row <= metrics->count; row++)
        for (size_t i = 0; i < STATUSES; i++) {
            uint64_t count = count_of(&metrics->rows[row].by_status[i]);
            if (count == 0) continue;
            fprintf(text, "gpusize_http_requests_total{operation=\"%s\",path=\"%s\",status=\"%u\"} %ju\n",
                    operation_of(metrics, row), path_of(metrics, row), statuses[i], (uintmax_t)count);
        }
}

static void write_histogram(const struct metrics *metrics, size_t row, FILE *text)
{
    const struct operation_counts *counts = &metrics->rows[row];
    uint64_t sum[BOUNDS + 1], total = 0;
    for (size_t i = 0; i <= BOUNDS; i++)
        sum[i] = total += count_of(&counts->by_bound[i]);
    if (total == 0) return;
    const char *operation = operation_of(metrics, row), *path = path_of(metrics, row);
    for (size_t i = 0; i < BOUNDS; i++)
        fprintf(text, "gpusize_http_request_duration_seconds_bucket{operation=\"%s\",path=\"%s\",le=\"%g\"} %ju\n",
                operation, path, (double)bounds_us[i] / 1e6, (uintmax_t)sum[i]);
    fprintf(text, "gpusize_http_request_duration_seconds_bucket{operation=\"%s\",path=\"%s\",le=\"+Inf\"} %ju\n",
            operation, path, (uintmax_t)total);
    fprintf(text, "gpusize_http_request_duration_seconds_sum{operation=\"%s\",path=\"%s\"} %.6f\n", operation, path,
            (double)count_of(&counts->duration_us) / 1e6);
    fprintf(text, "gpusize_http_request_duration_seconds_count{operation=\"%s\",path=\"%s\"} %ju\n", operation, path,
            (uintmax_t)total);
}

void metrics_write(const struct metrics *metrics, FILE *text)
{
    write_requests(metrics, text);
    fputs("# HELP gpusize_http_request_duration_seconds From the request line to the last byte of the answer.\n"
          "# TYPE gpusize_http_request_duration_seconds histogram\n",
          text);
    for (size_t row = 0; row <= metrics->count; row++)
        write_histogram(metrics, row, text);
}
