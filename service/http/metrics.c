/* metrics.c owns the Prometheus text of the counters. */
#include "http/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>

static const unsigned statuses[] = {0,   200, 201, 204, 304, 400, 401, 403, 404, 405, 406, 408,
                                    409, 412, 413, 414, 415, 421, 422, 428, 429, 500, 503, 999 /* any other */};
static const uint64_t bounds_us[] = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 100000, 250000, 1000000, 10000000};
enum {
    STATUSES = sizeof statuses / sizeof *statuses,
    BOUNDS = sizeof bounds_us / sizeof *bounds_us,
    LABELS_BYTES = 256, /* names and paths of the table of routes, which has no quotes */
};

struct histogram {
    atomic_uint_fast64_t by_bound[BOUNDS + 1], duration_us;
};
struct operation_counts {
    struct histogram by_status[STATUSES], computing;
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

static struct operation_counts *row_of(struct metrics *metrics, const struct route *route)
{
    return &metrics->rows[route ? (size_t)(route - metrics->routes) : metrics->count];
}

static void observe(struct histogram *histogram, uint64_t duration_us)
{
    size_t bound = 0;
    while (bound < BOUNDS && bounds_us[bound] < duration_us)
        bound++;
    increase(&histogram->by_bound[bound], 1);
    increase(&histogram->duration_us, duration_us);
}

void metrics_add(struct metrics *metrics, const struct route *route, unsigned http_status, uint64_t duration_us)
{
    size_t status = 0;
    while (status < STATUSES - 1 && statuses[status] != http_status)
        status++;
    observe(&row_of(metrics, route)->by_status[status], duration_us);
}

void metrics_add_computing(struct metrics *metrics, const struct route *route, uint64_t duration_us)
{
    observe(&row_of(metrics, route)->computing, duration_us);
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

/* Counts up to each bound; returns how many there are. */
static uint64_t sums_of(const struct histogram *histogram, uint64_t sums[BOUNDS + 1])
{
    uint64_t total = 0;
    for (size_t i = 0; i <= BOUNDS; i++)
        sums[i] = total += count_of(&histogram->by_bound[i]);
    return total;
}

static void write_requests(const struct metrics *metrics, FILE *text)
{
    uint64_t sums[BOUNDS + 1];
    fputs("# HELP gpusize_http_requests_total Requests by operation and status; 0: no answer of ours was sent.\n"
          "# TYPE gpusize_http_requests_total counter\n",
          text);
    for (size_t row = 0; row <= metrics->count; row++)
        for (size_t i = 0; i < STATUSES; i++) {
            uint64_t count = sums_of(&metrics->rows[row].by_status[i], sums);
            if (count == 0) continue;
            fprintf(text, "gpusize_http_requests_total{operation=\"%s\",path=\"%s\",status=\"%u\"} %ju\n",
                    operation_of(metrics, row), path_of(metrics, row), statuses[i], (uintmax_t)count);
        }
}

/* Nothing where nothing was counted. */
static void write_histogram(const struct histogram *histogram, const char *name, const char *labels, FILE *text)
{
    uint64_t sums[BOUNDS + 1], total = sums_of(histogram, sums);
    if (total == 0) return;
    for (size_t i = 0; i < BOUNDS; i++)
        fprintf(text, "gpusize_%s_bucket{%s,le=\"%g\"} %ju\n", name, labels, (double)bounds_us[i] / 1e6,
                (uintmax_t)sums[i]);
    fprintf(text, "gpusize_%s_bucket{%s,le=\"+Inf\"} %ju\n", name, labels, (uintmax_t)total);
    fprintf(text, "gpusize_%s_sum{%s} %.6f\n", name, labels, (double)count_of(&histogram->duration_us) / 1e6);
    fprintf(text, "gpusize_%s_count{%s} %ju\n", name, labels, (uintmax_t)total);
}

static void write_durations(const struct metrics *metrics, FILE *text)
{
    char labels[LABELS_BYTES];
    fputs("# HELP gpusize_http_request_duration_seconds From the request line to the last byte of the answer.\n"
          "# TYPE gpusize_http_request_duration_seconds histogram\n",
          text);
    for (size_t row = 0; row <= metrics->count; row++)
        for (size_t i = 0; i < STATUSES; i++) {
            (void)snprintf(labels, sizeof labels, "operation=\"%s\",path=\"%s\",status=\"%u\"",
                           operation_of(metrics, row), path_of(metrics, row), statuses[i]);
            write_histogram(&metrics->rows[row].by_status[i], "http_request_duration_seconds", labels, text);
        }
}

static void write_computing(const struct metrics *metrics, FILE *text)
{
    char labels[LABELS_BYTES];
    fputs("# HELP gpusize_estimator_duration_seconds Computing an answer that no cache had, without the wait for a "
          "thread.\n# TYPE gpusize_estimator_duration_seconds histogram\n",
          text);
    for (size_t row = 0; row < metrics->count; row++) {
        (void)snprintf(labels, sizeof labels, "operation=\"%s\",path=\"%s\"", operation_of(metrics, row),
                       path_of(metrics, row));
        write_histogram(&metrics->rows[row].computing, "estimator_duration_seconds", labels, text);
    }
}

void metrics_write(const struct metrics *metrics, FILE *text)
{
    write_requests(metrics, text);
    write_durations(metrics, text);
    write_computing(metrics, text);
}
