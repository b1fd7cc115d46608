/* serve_watch.c owns the thread that watches the service's own host, and the way of its samples to the feed: as agents
 * send them, but without a connection. */
#include "cli/serve_watch.h"

#include "api/feed.h"
#include "cli/serve_sample_metrics.h"
#include "monitor/monitor.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    SAMPLES_WAITING_MAX = 3600, /* as an agent's --report-buffer; about 1 KiB for each GPU of each */
    STALE_INTERVALS = 3,        /* a newest sample that is older is not shown */
    HTTP_SERVER_ERROR = 500,    /* of a status: it may go better later */
    MS = 1000,
    NS_PER_MS = 1000000,
};

struct serve_watch {
    struct feed *feed;
    struct monitor *monitor;
    int64_t interval_ms;
    pthread_mutex_t lock;
    bool closed; /* the feed may be gone */
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * MS + now.tv_nsec / NS_PER_MS;
}

/* --- samples --- */

static enum status add(struct feed *feed, const char *text, size_t length, struct arena *arena,
                       struct problems *problems)
{
    struct sample_batch batch;
    struct feed_added added;
    enum status status = sample_batch_read(text, length, arena, problems, &batch);
    return status == STATUS_OK ? feed_add(feed, &batch, clock_ms(CLOCK_REALTIME), arena, problems, &added) : status;
}

static enum outbox_result take(void *data, const char *batch, size_t length, char why[], size_t why_bytes)
{
    struct serve_watch *watch = data;
    struct arena arena;
    struct problems problems;
    enum outbox_result result = OUTBOX_REFUSED;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    pthread_mutex_lock(&watch->lock);
    if (watch->closed) {
        (void)snprintf(why, why_bytes, "the service ends");
    } else {
        const enum status status = add(watch->feed, batch, length, &arena, &problems);
        if (status != STATUS_OK)
            (void)snprintf(why, why_bytes, "%s", problems.count ? problems.items[0].detail : status_hint(status));
        result = status == STATUS_OK                        ? OUTBOX_SENT
                 : status_http(status) >= HTTP_SERVER_ERROR ? OUTBOX_AGAIN
                                                            : OUTBOX_REFUSED;
    }
    pthread_mutex_unlock(&watch->lock);
    arena_done(&arena);
    return result;
}

/* --- the life --- */

enum status serve_watch_start(const struct settings *settings, struct feed *feed, void (*report)(const char *line),
                              struct problems *problems, struct serve_watch **ret_watch)
{
    if (!settings->monitor_interval_s) return STATUS_OK;
    struct serve_watch *watch = calloc(1, sizeof *watch);
    if (!watch) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the monitor");
    watch->feed = feed;
    watch->interval_ms = settings->monitor_interval_s * MS;
    (void)pthread_mutex_init(&watch->lock, NULL);
    /* Alerts are the feed's, which has the rules for all hosts. */
    const struct monitor_settings wanted = {.interval_s = (double)settings->monitor_interval_s,
                                            .history_max = 1,
                                            .sinks = {.webhook = "",
                                                      .webhook_secret = "",
                                                      .report_to = "",
                                                      .report_key = "",
                                                      .take = take,
                                                      .data = watch,
                                                      .samples_max = SAMPLES_WAITING_MAX,
                                                      .report = report},
                                            .host = "",
                                            .proc = "",
                                            .gpu = ""};
    const enum status status = monitor_new(&wanted, problems, &watch->monitor);
    if (status == STATUS_OK) {
        *ret_watch = watch;
        return STATUS_OK;
    }
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
    return status;
}

/* What it left behind may come back at any time, and finds a closed feed. */
static void leave_behind(struct serve_watch *watch, void (*report)(const char *line))
{
    struct outbox_counts counts = {0};
    char line[128];
    pthread_mutex_lock(&watch->lock);
    watch->closed = true;
    pthread_mutex_unlock(&watch->lock);
    (void)monitor_sink_count(watch->monitor, SINK_REPORT, &counts);
    (void)snprintf(line, sizeof line, "{\"event\":\"driver_left_behind\",\"samples_lost\":%zu}", counts.waiting);
    report(line);
}

bool serve_watch_stop(struct serve_watch *watch, void (*report)(const char *line))
{
    if (!watch) return true;
    if (!monitor_free(watch->monitor)) {
        leave_behind(watch, report);
        return false;
    }
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
    return true;
}

/* --- metrics --- */

struct page {
    const struct serve_watch *watch;
    void (*append)(void *sink, const char *text);
    void *sink;
};

/* The next one is there an interval and its reading after this one was read: a slow driver's are older. */
static bool is_stale(const struct serve_watch *watch, const struct sample *sample)
{
    const double age_ms = (double)(clock_ms(CLOCK_BOOTTIME) - sample->monotonic_ms);
    return age_ms > (double)(STALE_INTERVALS * watch->interval_ms) + 2 * sample->took_ms;
}

static void append_newest(void *data, const struct monitor_view *view)
{
    const struct page *page = data;
    const struct sample *sample = history_last(view->history);
    if (sample && !is_stale(page->watch, sample)) serve_sample_metrics(sample, page->append, page->sink);
}

void serve_watch_metrics(struct serve_watch *watch, void (*append)(void *sink, const char *text), void *sink)
{
    char text[1024];
    struct outbox_counts counts = {0};
    if (!watch) return;
    (void)monitor_sink_count(watch->monitor, SINK_REPORT, &counts);
    (void)snprintf(text, sizeof text,
                   "# HELP gpusize_monitor_own_samples_total Samples of this host: stored, or lost on the way.\n"
                   "# TYPE gpusize_monitor_own_samples_total counter\n"
                   "gpusize_monitor_own_samples_total{result=\"stored\"} %ju\n"
                   "gpusize_monitor_own_samples_total{result=\"dropped\"} %ju\n"
                   "# HELP gpusize_monitor_own_samples_waiting Samples of this host that are to be stored.\n"
                   "# TYPE gpusize_monitor_own_samples_waiting gauge\ngpusize_monitor_own_samples_waiting %zu\n"
                   "# HELP gpusize_monitor_overdue_seconds For how long a driver has not answered; 0: it does.\n"
                   "# TYPE gpusize_monitor_overdue_seconds gauge\ngpusize_monitor_overdue_seconds %.3f\n",
                   (uintmax_t)counts.sent, (uintmax_t)counts.dropped, counts.waiting,
                   monitor_overdue_s(watch->monitor));
    append(sink, text);
    monitor_look(watch->monitor, append_newest, &(struct page){watch, append, sink});
}
