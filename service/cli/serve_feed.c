/* serve_feed.c owns the way from settings to a feed with its rules and sinks, and their metrics. */
#include "cli/serve_feed.h"

#include "cli/monitor_options.h"

#include <inttypes.h>
#include <stdio.h>

enum { ALERTS_WAITING_MAX = 1024 /* for a sink, of all hosts */ };

static void pass_on(void *data, const struct alert *alert)
{
    sinks_alert(data, alert);
}

static enum status open_sinks(const struct settings *settings, void (*report)(const char *line), struct arena *arena,
                              struct problems *problems, struct sinks **ret_sinks)
{
    const struct sink_settings wanted = {
        .host = "",
        .log = settings->alert_log,
        .webhook = settings->alert_webhook,
        .webhook_secret =
            monitor_options_secret(settings->alert_webhook_secret_file, "alert_webhook_secret_file", arena, problems),
        .exec = monitor_options_words(settings->alert_exec, "alert_exec", arena, problems),
        .report_to = "",
        .report_key = "",
        .timeout_s = (double)settings->sink_timeout,
        .queue_max = ALERTS_WAITING_MAX,
        .report = report,
    };
    enum status status = problems_status(problems);
    return status == STATUS_OK ? sinks_new(&wanted, problems, ret_sinks) : status;
}

enum status serve_feed_open(const struct settings *settings, struct store *store, void (*report)(const char *line),
                            struct arena *arena, struct problems *problems, struct serve_feed *ret_feed)
{
    struct serve_feed opened = {0};
    struct alert_rule rules[ALERT_RULES];
    alert_rules(settings->alert_threshold, settings->alert_hysteresis, settings->alert_temperature, settings->alert_for,
                rules);
    (void)!alert_check_ratio(settings->alert_threshold, "alert_threshold", problems);
    (void)!alert_check_hysteresis(settings->alert_hysteresis, settings->alert_threshold, problems);
    enum status status = open_sinks(settings, report, arena, problems, &opened.sinks);
    if (status != STATUS_OK) return status;
    const struct feed_settings wanted = {.store = store,
                                         .hosts_max = settings->monitor_hosts_max,
                                         .samples_max = settings->monitor_samples_max,
                                         .memory_max_mib = settings->monitor_memory_max_mib,
                                         .keep_days = settings->monitor_keep_days,
                                         .rules = rules,
                                         .rule_count = ALERT_RULES,
                                         .alert = pass_on,
                                         .data = opened.sinks,
                                         .report = report};
    opened.feed = feed_new(&wanted);
    if (opened.feed) {
        *ret_feed = opened;
        return STATUS_OK;
    }
    serve_feed_close(&opened);
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the reports of hosts");
}

void serve_feed_close(struct serve_feed *feed)
{
    feed_free(feed->feed);
    sinks_free(feed->sinks);
}

/* --- metrics --- */

static void append_sinks(struct sinks *sinks, void (*append)(void *sink, const char *text), void *data)
{
    char text[256];
    struct outbox_counts counts;
    append(data, "# HELP gpusize_alert_notifications_total Alerts for a sink: sent, or given up.\n"
                 "# TYPE gpusize_alert_notifications_total counter\n");
    for (enum sink sink = 0; sink < SINK_REPORT; sink++) {
        if (!sinks_count(sinks, sink, &counts)) continue;
        (void)snprintf(text, sizeof text,
                       "gpusize_alert_notifications_total{sink=\"%s\",result=\"sent\"} %ju\n"
                       "gpusize_alert_notifications_total{sink=\"%s\",result=\"dropped\"} %ju\n",
                       sink_name(sink), (uintmax_t)counts.sent, sink_name(sink), (uintmax_t)counts.dropped);
        append(data, text);
    }
}

void serve_feed_metrics(const struct serve_feed *feed, void (*append)(void *sink, const char *text), void *sink)
{
    char text[1024];
    const struct feed_counts counts = feed_count(feed->feed);
    (void)snprintf(text, sizeof text,
                   "# HELP gpusize_monitor_samples_total Samples that hosts reported: stored, known before, too old.\n"
                   "# TYPE gpusize_monitor_samples_total counter\n"
                   "gpusize_monitor_samples_total{result=\"stored\"} %ju\n"
                   "gpusize_monitor_samples_total{result=\"repeated\"} %ju\n"
                   "gpusize_monitor_samples_total{result=\"too_old\"} %ju\n"
                   "# HELP gpusize_alerts_total Alerts of hosts that began to fire or were resolved.\n"
                   "# TYPE gpusize_alerts_total counter\ngpusize_alerts_total %ju\n",
                   (uintmax_t)counts.stored, (uintmax_t)counts.repeated, (uintmax_t)counts.too_old,
                   (uintmax_t)counts.alerts);
    append(sink, text);
    append_sinks(feed->sinks, append, sink);
}
