/* monitor.c owns the operations that tell what hosts have reported: the newest samples, former ones, figures of a
 * window, alerts. */
#include "api/feed.h"
#include "api/page.h"
#include "monitor/statistics.h"

struct request {
    const char *host, *gpu, *until;
    double window_minutes;
    int64_t state, limit;
    struct page_request page;
};

#define FIELD_HOST(needed, text)                                                                                       \
    {                                                                                                                  \
        .name = "host", .group = "", .kind = FIELD_LINE, .offset = offsetof(struct request, host), .required = needed, \
        .help = text                                                                                                   \
    }
#define FIELDS_WINDOW                                                                                                  \
    FIELD_HOST(true, "Which host."),                                                                                   \
        {.name = "gpu",                                                                                                \
         .group = "",                                                                                                  \
         .kind = FIELD_TEXT,                                                                                           \
         .offset = offsetof(struct request, gpu),                                                                      \
         .preset = "all",                                                                                              \
         .help = "One GPU, by its UUID or its number."},                                                               \
        {.name = "window_minutes",                                                                                     \
         .group = "",                                                                                                  \
         .kind = FIELD_NUMBER,                                                                                         \
         .offset = offsetof(struct request, window_minutes),                                                           \
         .min = 0.01,                                                                                                  \
         .max = WINDOW_MINUTES_MAX,                                                                                    \
         .unit = "minutes",                                                                                            \
         .preset = "10",                                                                                               \
         .help = "How far the window reaches back."},                                                                  \
    {                                                                                                                  \
        .name = "until", .group = "", .kind = FIELD_LINE, .offset = offsetof(struct request, until),                   \
        .preset = "the newest sample", .help = "Its end, a time in UTC such as 2026-11-29T03:04:05.123Z."              \
    }

static enum status too_long(struct call *call)
{
    return call->out->failed ? problems_add(call->problems, STATUS_OUT_OF_RANGE, "limit",
                                            "the answer would be too long: ask for fewer at a time")
                             : STATUS_OK;
}

/* --- hosts --- */

static const struct field gpus_fields[] = {
    FIELD_HOST(false, "Only this host."),
    PAGE_FIELDS(struct request),
};

static void put_alerts(struct out *out, const struct alert_set *alerts)
{
    out_array(out, "alerts");
    for (size_t i = 0; i < alert_set_count(alerts); i++)
        if (alert_set_at(alerts, i)->state != ALERT_OK) alert_write(out, NULL, alert_set_at(alerts, i));
    out_array_end(out);
}

static void put_host(void *data, const struct feed_host *host)
{
    const struct call *call = data;
    out_object(call->out, NULL);
    out_text(call->out, "host", host->name);
    out_number(call->out, "seconds_ago", (double)(call->now_unix_ms - host->newest->unix_ms) / 1000);
    sample_write(call->out, "sample", host->newest, true);
    put_alerts(call->out, host->alerts);
    out_object_end(call->out);
}

static enum status run_gpus(struct call *call)
{
    struct request request = {0};
    struct page page;
    enum status status = input_decode(call->input, call->arena, gpus_fields, sizeof gpus_fields / sizeof *gpus_fields,
                                      &request, call->problems);
    if (status == STATUS_OK) status = page_open(call, call->operation, &request, &request.page, &page);
    if (status != STATUS_OK) return status;
    call->id[0] = '\0'; /* the same question has another answer soon */
    const struct feed_hosts hosts = {.host = request.host, .first = page.first, .limit = page.limit};
    out_object(call->out, NULL);
    out_array(call->out, "hosts");
    status = feed_look(call->feed, &hosts, put_host, call, call->problems, &page.matched);
    if (status != STATUS_OK) return status;
    out_array_end(call->out);
    page_put_end(call->out, &page);
    out_object_end(call->out);
    return too_long(call);
}

const struct operation operation_monitor_gpus = {
    .id = "monitor_gpus",
    .summary = "Lists hosts that report, each with its newest sample and its alerts.",
    .fields = gpus_fields,
    .field_count = sizeof gpus_fields / sizeof *gpus_fields,
    .stores = true,
    .rows = "hosts",
    .run = run_gpus,
};

/* --- alerts --- */

static const struct field alerts_fields[] = {
    FIELD_HOST(false, "Only this host."),
    {.name = "state",
     .group = "",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct request, state),
     .names = alert_states + ALERT_PENDING,
     .preset = "all of them",
     .help = "Only alerts that wait for their time, that fire, or that are over."},
    PAGE_FIELDS(struct request),
};

struct listing {
    struct call *call;
    const struct request *request;
    struct page page;
};

static void put_host_alerts(void *data, const struct feed_host *host)
{
    struct listing *listing = data;
    for (size_t i = 0; i < alert_set_count(host->alerts); i++) {
        const struct alert *alert = alert_set_at(host->alerts, i);
        const bool wanted = listing->request->state == VALUE_ABSENT
                                ? alert->state != ALERT_OK
                                : (int64_t)alert->state == listing->request->state + ALERT_PENDING;
        if (wanted && page_shows(&listing->page)) alert_write(listing->call->out, NULL, alert);
    }
}

static enum status run_alerts(struct call *call)
{
    struct request request = {0};
    struct listing listing = {.call = call, .request = &request};
    size_t host_count = 0;
    enum status status = input_decode(call->input, call->arena, alerts_fields,
                                      sizeof alerts_fields / sizeof *alerts_fields, &request, call->problems);
    if (status == STATUS_OK) status = page_open(call, call->operation, &request, &request.page, &listing.page);
    if (status != STATUS_OK) return status;
    call->id[0] = '\0';
    const struct feed_hosts hosts = {.host = request.host, .alerting = true, .limit = INT32_MAX};
    out_object(call->out, NULL);
    out_array(call->out, "alerts");
    status = feed_look(call->feed, &hosts, put_host_alerts, &listing, call->problems, &host_count);
    if (status != STATUS_OK) return status;
    out_array_end(call->out);
    page_put_end(call->out, &listing.page);
    out_object_end(call->out);
    return too_long(call);
}

const struct operation operation_monitor_alerts = {
    .id = "monitor_alerts",
    .summary = "Lists the alerts of all hosts that report.",
    .fields = alerts_fields,
    .field_count = sizeof alerts_fields / sizeof *alerts_fields,
    .stores = true,
    .rows = "alerts",
    .run = run_alerts,
};

/* --- windows --- */

static enum status read_window(struct call *call, struct request *request, size_t limit, struct history **ret_history,
                               bool *ret_more)
{
    if (!is_known(request->window_minutes)) request->window_minutes = WINDOW_MINUTES_DEFAULT;
    struct feed_window window = {.host = request->host,
                                 .gpu = request->gpu,
                                 .minutes = request->window_minutes,
                                 .until_unix_ms = INT64_MAX,
                                 .limit = limit};
    if (request->until && !sample_time_parse(request->until, &window.until_unix_ms))
        return problems_add(call->problems, STATUS_INVALID_VALUE, "until",
                            "is no time in UTC such as 2026-11-29T03:04:05.123Z");
    return feed_window(call->feed, &window, call->problems, ret_history, ret_more);
}

static const struct field statistics_fields[] = {FIELDS_WINDOW};

static enum status run_statistics(struct call *call)
{
    struct request request = {0};
    struct statistics statistics;
    struct history *history = NULL;
    bool more = false;
    enum status status = input_decode(call->input, call->arena, statistics_fields,
                                      sizeof statistics_fields / sizeof *statistics_fields, &request, call->problems);
    if (status == STATUS_OK) status = read_window(call, &request, 0, &history, &more);
    if (status != STATUS_OK) return status;
    status = statistics_compute(history, request.window_minutes, call->arena, &statistics);
    if (status == STATUS_OK)
        statistics_write(call->out, NULL, &statistics);
    else
        status = problems_add(call->problems, status, "", "no memory for the figures of so long a window");
    history_free(history);
    return status;
}

const struct operation operation_monitor_statistics = {
    .id = "monitor_statistics",
    .summary = "Tells figures of a window of a host's samples, and when memory will be full.",
    .fields = statistics_fields,
    .field_count = sizeof statistics_fields / sizeof *statistics_fields,
    .stores = true,
    .rows = "gpus",
    .run = run_statistics,
};

static const struct field history_fields[] = {
    FIELDS_WINDOW,
    {.name = "limit",
     .group = "",
     .kind = FIELD_INTEGER,
     .offset = offsetof(struct request, limit),
     .min = 1,
     .max = 1000,
     .preset = "100",
     .help = "Most entries of one answer."},
};
enum { SAMPLES_DEFAULT = 100 };

static void put_samples(struct call *call, const struct request *request, const struct history *history, bool more)
{
    char time[SAMPLE_TIME_BYTES];
    const size_t count = history_count(history);
    out_object(call->out, NULL);
    out_text(call->out, "host", request->host);
    out_array(call->out, "samples");
    for (size_t i = count; i > 0; i--)
        sample_write(call->out, NULL, history_at(history, i - 1), false);
    out_array_end(call->out);
    out_text(call->out, "next_until",
             more && count ? sample_time_format(history_at(history, 0)->unix_ms - 1, time) : NULL);
    out_object_end(call->out);
}

static enum status run_history(struct call *call)
{
    struct request request = {0};
    struct history *history = NULL;
    bool more = false;
    enum status status = input_decode(call->input, call->arena, history_fields,
                                      sizeof history_fields / sizeof *history_fields, &request, call->problems);
    if (status == STATUS_OK && request.limit == VALUE_ABSENT) request.limit = SAMPLES_DEFAULT;
    if (status == STATUS_OK) status = read_window(call, &request, (size_t)request.limit, &history, &more);
    if (status != STATUS_OK) return status;
    put_samples(call, &request, history, more);
    history_free(history);
    return too_long(call);
}

const struct operation operation_monitor_history = {
    .id = "monitor_history",
    .summary = "Lists the samples of a host, newest first.",
    .fields = history_fields,
    .field_count = sizeof history_fields / sizeof *history_fields,
    .stores = true,
    .rows = "samples",
    .run = run_history,
};
