/* serve_metrics.c owns the Prometheus text about the catalog that answers and what keeps it. */
#include "cli/serve_metrics.h"

#include "cli/cli.h"
#include "cli/import_ages.h"
#include "cli/serve_feed.h"
#include "cli/serve_watch.h"
#include "live/live.h"
#include "record/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void append_catalog(const struct snapshot *snapshot, void (*append)(void *sink, const char *text), void *sink)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "# HELP gpusize_catalog_info Version of the catalog that answers.\n"
                   "# TYPE gpusize_catalog_info gauge\ngpusize_catalog_info{version=\"%s\"} 1\n"
                   "# HELP gpusize_catalog_age_days Days since the newest price.\n"
                   "# TYPE gpusize_catalog_age_days gauge\ngpusize_catalog_age_days %d\n"
                   "# HELP gpusize_catalog_offers Offers in the catalog.\n"
                   "# TYPE gpusize_catalog_offers gauge\ngpusize_catalog_offers %zu\n",
                   snapshot->version, cli_today().days - snapshot->as_of.days, snapshot->offer_count);
    append(sink, text);
}

static void append_providers(const struct snapshot *snapshot, void (*append)(void *sink, const char *text), void *sink)
{
    char text[512]; /* a name has up to 200 bytes, none of which needs an escape */
    append(sink, "# HELP gpusize_provider_price_age_days Days since the newest price of a provider.\n"
                 "# TYPE gpusize_provider_price_age_days gauge\n");
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct provider *provider = &snapshot->providers[i];
        (void)snprintf(text, sizeof text, "gpusize_provider_price_age_days{provider=\"%s\"} %d\n", provider->name,
                       cli_today().days - provider->as_of.days);
        append(sink, text);
    }
    append(sink, "# HELP gpusize_provider_offers Offers of a provider.\n# TYPE gpusize_provider_offers gauge\n");
    for (size_t i = 0; i < snapshot->provider_count; i++) {
        const struct provider *provider = &snapshot->providers[i];
        (void)snprintf(text, sizeof text, "gpusize_provider_offers{provider=\"%s\"} %zu\n", provider->name,
                       provider->offer_count);
        append(sink, text);
    }
}

/* --- calibrations --- */

/* Each pool of each GPU is a series for each figure: the first ones, by the ids of their GPUs. */
enum { CALIBRATION_POOLS_MAX = 64, CALIBRATION_TEXT_BYTES = 1024 };

static bool is_own(const struct calibration *pool)
{
    return strcmp(pool->pool, CALIBRATION_PUBLISHED) != 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The newest of a pool's calibrations over the median of those before it, or over what is usual of the part. */
static double drift_of(const struct snapshot *snapshot, const struct calibration *pool, enum kernel_figure figure)
{
    enum { EARLIER_MAX = 1000 };
    double earlier[EARLIER_MAX];
    size_t count = 0;
    const struct calibration *newest = NULL;
    for (size_t i = 0; i < snapshot->calibration_count; i++) {
        const struct calibration *item = &snapshot->calibrations[i];
        double value = calibration_figure(item, figure);
        if (item->gpu != pool->gpu || strcmp(item->pool, pool->pool) != 0 || !is_known(value)) continue;
        if (item->state != CALIBRATION_USED) continue;
        const struct calibration *older = newest && calibration_compare_age(item, newest) > 0 ? newest : item;
        if (newest && count < EARLIER_MAX) earlier[count++] = calibration_figure(older, figure);
        if (!newest || older == newest) newest = item;
    }
    if (!newest) return UNKNOWN;
    qsort(earlier, count, sizeof *earlier, compare_doubles);
    double before = count           ? (earlier[(count - 1) / 2] + earlier[count / 2]) / 2
                    : newest->usual ? calibration_figure(newest->usual, figure)
                                    : UNKNOWN;
    return calibration_figure(newest, figure) / before;
}

static void append_ratio(const char *name, const struct calibration *pool, enum kernel_figure figure, double value,
                         void (*append)(void *sink, const char *text), void *sink)
{
    char text[CALIBRATION_TEXT_BYTES]; /* names have up to 200 bytes, none of which needs an escape */
    if (!is_known(value)) return;
    (void)snprintf(text, sizeof text, "gpusize_calibration_%s_ratio{gpu=\"%s\",pool=\"%s\",figure=\"%s\"} %g\n", name,
                   pool->gpu->id, pool->pool, kernel_figure_name(figure), round6(value));
    append(sink, text);
}

static void append_pools(const struct snapshot *snapshot, bool drift, void (*append)(void *sink, const char *text),
                         void *sink)
{
    size_t shown = 0;
    for (size_t i = 0; i < snapshot->calibration_pool_count; i++) {
        const struct calibration *pool = &snapshot->calibration_pools[i];
        if (!is_own(pool) || shown++ >= CALIBRATION_POOLS_MAX) continue;
        for (enum kernel_figure figure = 0; figure < KERNEL_FIGURE_COUNT; figure++) {
            if (drift)
                append_ratio("drift", pool, figure, drift_of(snapshot, pool, figure), append, sink);
            else if (figure != KERNEL_ALLREDUCE) /* which is no share */
                append_ratio("share", pool, figure, calibration_figure(pool, figure), append, sink);
        }
    }
}

static void append_states(const struct snapshot *snapshot, void (*append)(void *sink, const char *text), void *sink)
{
    char text[256];
    size_t counts[CALIBRATION_STATE_COUNT] = {0};
    for (size_t i = 0; i < snapshot->calibration_count; i++) {
        if (is_own(&snapshot->calibrations[i])) counts[snapshot->calibrations[i].state]++;
    }
    append(sink, "# HELP gpusize_calibrations Calibrations of pools of machines, without the published ones.\n"
                 "# TYPE gpusize_calibrations gauge\n");
    for (enum calibration_state state = 0; state < CALIBRATION_STATE_COUNT; state++) {
        (void)snprintf(text, sizeof text, "gpusize_calibrations{state=\"%s\"} %zu\n", calibration_state_name(state),
                       counts[state]);
        append(sink, text);
    }
}

static void append_calibrations(const struct snapshot *snapshot, void (*append)(void *sink, const char *text),
                                void *sink)
{
    append_states(snapshot, append, sink);
    append(sink, "# HELP gpusize_calibration_share_ratio What a pool's GPUs reach of what the part can do.\n"
                 "# TYPE gpusize_calibration_share_ratio gauge\n");
    append_pools(snapshot, false, append, sink);
    append(sink, "# HELP gpusize_calibration_drift_ratio The newest figure of a pool over those before, or over the "
                 "published one.\n# TYPE gpusize_calibration_drift_ratio gauge\n");
    append_pools(snapshot, true, append, sink);
}

static void append_health(const struct live_health *health, void (*append)(void *sink, const char *text), void *sink)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "# HELP gpusize_database_up Whether the database answered when it was last asked for the catalog.\n"
                   "# TYPE gpusize_database_up gauge\ngpusize_database_up %d\n"
                   "# HELP gpusize_snapshot_reloads_total Catalogs loaded from the database.\n"
                   "# TYPE gpusize_snapshot_reloads_total counter\ngpusize_snapshot_reloads_total %ju\n"
                   "# HELP gpusize_snapshot_load_failures_total Looks for a new catalog that failed.\n"
                   "# TYPE gpusize_snapshot_load_failures_total counter\ngpusize_snapshot_load_failures_total %ju\n",
                   !health->degraded, (uintmax_t)health->reloads, (uintmax_t)health->load_failures);
    append(sink, text);
    if (health->current_unix_s == 0) return;
    (void)snprintf(text, sizeof text,
                   "# HELP gpusize_snapshot_age_seconds Since the catalog was last known to be the database's newest.\n"
                   "# TYPE gpusize_snapshot_age_seconds gauge\ngpusize_snapshot_age_seconds %lld\n",
                   (long long)health->age_s);
    append(sink, text);
}

static void append_imports(struct import_ages *imports, void (*append)(void *sink, const char *text), void *sink)
{
    char text[256];
    struct import_age ages[IMPORT_KINDS_MAX];
    size_t count = import_ages_copy(imports, ages);
    long long now = (long long)time(NULL);
    append(sink, "# HELP gpusize_import_age_seconds Since prices of a kind were last imported.\n"
                 "# TYPE gpusize_import_age_seconds gauge\n");
    for (size_t i = 0; i < count; i++) {
        long long age_s = now - (long long)ages[i].unix_s;
        (void)snprintf(text, sizeof text, "gpusize_import_age_seconds{kind=\"%s\"} %lld\n", ages[i].kind,
                       age_s > 0 ? age_s : 0);
        append(sink, text);
    }
}

static void append_records(struct recorder *recorder, void (*append)(void *sink, const char *text), void *sink)
{
    char text[1024];
    struct record_counts counts = recorder_count(recorder);
    (void)snprintf(text, sizeof text,
                   "# HELP gpusize_recommendations_stored_total Answers stored in the database.\n"
                   "# TYPE gpusize_recommendations_stored_total counter\ngpusize_recommendations_stored_total %ju\n"
                   "# HELP gpusize_recommendations_dropped_total Answers that were to be stored and are lost.\n"
                   "# TYPE gpusize_recommendations_dropped_total counter\ngpusize_recommendations_dropped_total %ju\n"
                   "# HELP gpusize_recommendation_queue_bytes Of answers that wait to be stored.\n"
                   "# TYPE gpusize_recommendation_queue_bytes gauge\ngpusize_recommendation_queue_bytes %zu\n",
                   (uintmax_t)counts.stored, (uintmax_t)counts.dropped, counts.queue_bytes);
    append(sink, text);
}

void serve_metrics(void *data, void (*append)(void *sink, const char *text), void *sink)
{
    struct live_health health;
    const struct serving *serving = data;
    const struct service *service = &serving->service;
    struct live *live = service->live;
    const struct live_view *view = live_acquire(live);
    if (view->snapshot) append_catalog(view->snapshot, append, sink);
    if (view->snapshot) append_providers(view->snapshot, append, sink);
    if (view->snapshot) append_calibrations(view->snapshot, append, sink);
    live_release(view);
    live_health(live, &health);
    if (health.sourced) append_health(&health, append, sink);
    if (health.sourced) append_imports(serving->imports, append, sink);
    serve_feed_metrics(&serving->feed, append, sink);
    serve_watch_metrics(serving->watch, append, sink);
    if (service->recorder) append_records(service->recorder, append, sink);
}
