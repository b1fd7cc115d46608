/* monitor.c owns the thread that takes samples, and what others may see of it. */
#include "monitor/monitor.h"

#include "hw/devices.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MS = 1000, NS_PER_MS = 1000000, OVERDUE_INTERVALS = 2, OVERDUE_MIN_MS = 2000 };

struct monitor {
    struct monitor_settings settings;
    char host[HOST_NAME_MAX_BYTES + 1];
    struct devices *devices;
    struct sinks *sinks;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running, stop, over; /* the thread was started and not joined; it has to end; it takes no more samples */
    struct history *history;
    struct alert_set *alerts;
    uint64_t taken, late;
    bool ended;
    int64_t reading_since_ms; /* 0: it is not asking the libraries */
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * MS + now.tv_nsec / NS_PER_MS;
}

/* --- one sample --- */

static void set_reading(struct monitor *monitor, int64_t since_ms)
{
    pthread_mutex_lock(&monitor->lock);
    monitor->reading_since_ms = since_ms;
    pthread_mutex_unlock(&monitor->lock);
}

/* The only one that is wanted, if it is there. */
static void choose(const char *wanted, struct arena *arena, struct sample *sample)
{
    char index[16];
    if (!*wanted) return;
    for (size_t i = 0; i < sample->gpu_count; i++) {
        (void)snprintf(index, sizeof index, "%d", sample->gpus[i].index);
        if (strcmp(wanted, index) != 0 && strcmp(wanted, sample->gpus[i].uuid) != 0) continue;
        sample->gpus = &sample->gpus[i];
        sample->gpu_count = 1;
        return;
    }
    const char *reason =
        arena_printf(arena, "there is no GPU %s%s%s", wanted, *sample->reason ? ": " : "", sample->reason);
    sample->gpu_count = 0;
    if (reason) sample->reason = reason;
}

static bool take(struct monitor *monitor, struct arena *arena, struct sample *ret_sample)
{
    struct devices_reading reading;
    const int64_t since_ms = clock_ms(CLOCK_MONOTONIC);
    struct sample sample = {
        .host = monitor->host, .unix_ms = clock_ms(CLOCK_REALTIME), .monotonic_ms = clock_ms(CLOCK_BOOTTIME)};
    set_reading(monitor, since_ms);
    const enum status status = devices_read(monitor->devices, arena, &reading);
    set_reading(monitor, 0);
    if (status != STATUS_OK) return false;
    sample.took_ms = (double)(clock_ms(CLOCK_MONOTONIC) - since_ms);
    sample.memory = reading.memory;
    sample.gpus = reading.gpus;
    sample.gpu_count = reading.gpu_count;
    sample.reason = reading.reason;
    choose(monitor->settings.gpu, arena, &sample);
    *ret_sample = sample;
    return true;
}

static void keep(struct monitor *monitor, const struct sample *sample, struct alert_changes *changes)
{
    const int64_t limit = monitor->settings.count;
    pthread_mutex_lock(&monitor->lock);
    (void)history_add(monitor->history, sample);
    (void)alert_set_update(monitor->alerts, sample, alert_note_change, changes);
    monitor->taken++;
    monitor->ended = limit > 0 && monitor->taken >= (uint64_t)limit;
    pthread_mutex_unlock(&monitor->lock);
}

static void take_and_tell(struct monitor *monitor)
{
    const struct monitor_settings *settings = &monitor->settings;
    struct arena arena;
    struct sample sample;
    struct alert_changes changes = {.arena = &arena};
    arena_init(&arena, 0);
    if (take(monitor, &arena, &sample)) {
        keep(monitor, &sample, &changes);
        for (size_t i = 0; i < changes.count; i++) {
            sinks_alert(monitor->sinks, &changes.items[i]);
            if (settings->alert) settings->alert(settings->data, &changes.items[i]);
        }
        sinks_sample(monitor->sinks, &sample);
        if (settings->taken) settings->taken(settings->data, &sample);
    }
    arena_done(&arena);
}

/* --- the thread --- */

/* Whether it was not told to stop before. */
static bool wait_until(struct monitor *monitor, int64_t due_ms)
{
    const struct timespec due = {.tv_sec = due_ms / MS, .tv_nsec = due_ms % MS * NS_PER_MS};
    pthread_mutex_lock(&monitor->lock);
    while (!monitor->stop && pthread_cond_timedwait(&monitor->changed, &monitor->lock, &due) != ETIMEDOUT)
        continue;
    const bool go_on = !monitor->stop;
    pthread_mutex_unlock(&monitor->lock);
    return go_on;
}

/* Times stay at whole intervals from the start: what took too long leaves some out, instead of shifting all. */
static void *run(void *data)
{
    struct monitor *monitor = data;
    const int64_t interval_ms = (int64_t)(monitor->settings.interval_s * MS);
    int64_t due_ms = clock_ms(CLOCK_MONOTONIC);
    do {
        take_and_tell(monitor);
        if (monitor->ended) break;
        const int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
        due_ms += interval_ms;
        if (due_ms < now_ms) {
            const int64_t skipped = (now_ms - due_ms) / interval_ms + 1;
            due_ms += skipped * interval_ms;
            pthread_mutex_lock(&monitor->lock);
            monitor->late += (uint64_t)skipped;
            pthread_mutex_unlock(&monitor->lock);
        }
    } while (wait_until(monitor, due_ms));
    pthread_mutex_lock(&monitor->lock);
    monitor->over = true;
    pthread_cond_broadcast(&monitor->changed);
    pthread_mutex_unlock(&monitor->lock);
    return NULL;
}

/* --- others --- */

static void init_locks(struct monitor *monitor)
{
    pthread_condattr_t clock;
    (void)pthread_mutex_init(&monitor->lock, NULL);
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&monitor->changed, &clock);
    (void)pthread_condattr_destroy(&clock);
}

static void set_host(struct monitor *monitor, const char *host)
{
    if (*host)
        (void)strncpy(monitor->host, host, sizeof monitor->host - 1);
    else if (gethostname(monitor->host, sizeof monitor->host - 1) != 0 || !*monitor->host)
        (void)strncpy(monitor->host, "localhost", sizeof monitor->host - 1);
}

enum status monitor_new(const struct monitor_settings *settings, struct problems *problems,
                        struct monitor **ret_monitor)
{
    struct monitor *monitor = calloc(1, sizeof *monitor);
    if (!monitor) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the monitor");
    init_locks(monitor);
    monitor->settings = *settings;
    set_host(monitor, settings->host);
    monitor->settings.sinks.host = monitor->host;
    monitor->history = history_new(settings->history_max);
    monitor->alerts = alert_set_new(settings->rules, settings->rule_count);
    enum status status = STATUS_OK;
    if (!monitor->history || !monitor->alerts)
        status = problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the monitor");
    if (status == STATUS_OK)
        status = devices_open(*settings->proc ? settings->proc : "/proc", problems, &monitor->devices);
    if (status == STATUS_OK) status = sinks_new(&monitor->settings.sinks, problems, &monitor->sinks);
    if (status == STATUS_OK) {
        monitor->running = pthread_create(&monitor->thread, NULL, run, monitor) == 0;
        if (!monitor->running) status = problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no thread for the monitor");
    }
    if (status == STATUS_OK)
        *ret_monitor = monitor;
    else
        (void)monitor_free(monitor);
    return status;
}

bool monitor_stop(struct monitor *monitor)
{
    struct timespec until;
    if (!monitor->running) return true;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += MONITOR_STOP_MS / MS;
    pthread_mutex_lock(&monitor->lock);
    monitor->stop = true;
    pthread_cond_broadcast(&monitor->changed);
    while (!monitor->over && pthread_cond_timedwait(&monitor->changed, &monitor->lock, &until) == 0)
        continue;
    const bool over = monitor->over;
    pthread_mutex_unlock(&monitor->lock);
    if (over) (void)pthread_join(monitor->thread, NULL);
    monitor->running = !over;
    return over;
}

bool monitor_free(struct monitor *monitor)
{
    if (!monitor) return true;
    if (!monitor_stop(monitor)) return false;
    sinks_free(monitor->sinks);
    devices_close(monitor->devices);
    alert_set_free(monitor->alerts);
    history_free(monitor->history);
    (void)pthread_cond_destroy(&monitor->changed);
    (void)pthread_mutex_destroy(&monitor->lock);
    free(monitor);
    return true;
}

void monitor_look(struct monitor *monitor, void (*look)(void *data, const struct monitor_view *view), void *data)
{
    pthread_mutex_lock(&monitor->lock);
    const struct monitor_view view = {monitor->history, monitor->alerts, monitor->taken, monitor->late, monitor->ended};
    look(data, &view);
    pthread_mutex_unlock(&monitor->lock);
}

bool monitor_sink_count(struct monitor *monitor, enum sink sink, struct outbox_counts *ret_counts)
{
    return sinks_count(monitor->sinks, sink, ret_counts);
}

double monitor_overdue_s(struct monitor *monitor)
{
    pthread_mutex_lock(&monitor->lock);
    const int64_t since_ms = monitor->reading_since_ms;
    pthread_mutex_unlock(&monitor->lock);
    const double ms = since_ms ? (double)(clock_ms(CLOCK_MONOTONIC) - since_ms) : 0;
    return ms > OVERDUE_MIN_MS && ms > OVERDUE_INTERVALS * MS * monitor->settings.interval_s ? ms / MS : 0;
}
