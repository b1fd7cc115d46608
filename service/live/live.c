/* live.c owns the slots that hold snapshots, the word that says which one answers, and the refreshing thread.
 *
 * `current` is one 64-bit word: the slot in the top byte, below it how often that slot was acquired since it answers.
 * Acquiring is one addition, which chooses the slot and counts in the same instant, so that no moment exists in which a
 * slot is chosen but not counted. Releasing subtracts 1 from the slot's `balance`; taking a slot out of `current` adds
 * the acquisitions. The balance meets 0 once: when the slot answers no more and its last view is released. */
#include "live/live.h"

#include "live/cache_file.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    SLOTS = 64, /* snapshots that requests may hold at once, the newest included */
    SLOT_SHIFT = 56,
    NICENESS = 5, /* of refreshing: requests go first where processors are short */
    LISTEN_RETRY_MS = 5000,
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 2000, /* also how long it may take to see that the database is back */
    PROBLEM_ARENA_BYTES = 1 << 20,
    TEXTS_MAX_BYTES = 512 << 20,
};
#define ACQUIRED_MASK ((UINT64_C(1) << SLOT_SHIFT) - 1)

struct slot {
    struct live_view view; /* first: what callers hold */
    struct snapshot *owned;
    atomic_int_fast64_t balance;
    atomic_bool used;
};

struct live {
    struct live_settings settings;
    atomic_uint_fast64_t current;
    struct slot slots[SLOTS];
    int wake_fd;
    atomic_bool stop;
    bool running; /* the thread was started */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows; no request takes it but /readyz and /metrics */
    pthread_cond_t tried;
    struct live_health health;
    bool was_tried;
};

const struct live_view *live_acquire(struct live *live)
{
    uint64_t word = atomic_fetch_add_explicit(&live->current, 1, memory_order_acquire);
    return &live->slots[word >> SLOT_SHIFT].view;
}

/* The one that meets 0 frees: nobody else can reach the slot any more. */
static void settle(struct slot *slot, int64_t change)
{
    if (atomic_fetch_add_explicit(&slot->balance, change, memory_order_acq_rel) + change != 0) return;
    snapshot_free(slot->owned);
    slot->owned = NULL;
    atomic_store_explicit(&slot->used, false, memory_order_release);
}

void live_release(const struct live_view *view)
{
    size_t index = (size_t)((const struct slot *)(const void *)view - view->live->slots);
    settle(&view->live->slots[index], -1);
}

static struct slot *free_slot(struct live *live)
{
    for (size_t i = 0; i < SLOTS; i++) {
        if (!atomic_load_explicit(&live->slots[i].used, memory_order_acquire)) return &live->slots[i];
    }
    return NULL;
}

/* Takes the snapshot. Only one thread does this at a time. */
static void fill_slot(struct live *live, struct slot *slot, struct snapshot *snapshot)
{
    slot->view = (struct live_view){.snapshot = snapshot, .live = live};
    slot->owned = snapshot;
    atomic_store_explicit(&slot->balance, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->used, true, memory_order_relaxed);
}

static void swap(struct live *live, struct slot *slot, struct snapshot *snapshot)
{
    fill_slot(live, slot, snapshot);
    uint64_t word = (uint64_t)(slot - live->slots) << SLOT_SHIFT;
    uint64_t old = atomic_exchange_explicit(&live->current, word, memory_order_acq_rel);
    settle(&live->slots[old >> SLOT_SHIFT], (int64_t)(old & ACQUIRED_MASK));
}

static int64_t now_unix_s(void)
{
    return (int64_t)time(NULL);
}

static void report(const struct live *live, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void report(const struct live *live, const char *format, ...)
{
    char line[512];
    if (!live->settings.report) return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ') *c = ' ';
    live->settings.report(line);
}

static const char *first_detail(const struct problems *problems, enum status status)
{
    return problems->count ? problems->items[0].detail : status_hint(status);
}

static void keep_texts(struct live *live, const struct live_texts *texts, struct problems *problems)
{
    enum status status = STATUS_OK;
    if (live->settings.cache_path) status = cache_file_write(live->settings.cache_path, texts, now_unix_s(), problems);
    if (status != STATUS_OK) report(live, "catalog: %s", first_detail(problems, status));
}

/* Once. STATUS_OK: the snapshot that answers is the newest. */
static enum status refresh(struct live *live, struct arena *arena, struct problems *problems)
{
    const struct live_source *source = &live->settings.source;
    struct slot *now = &live->slots[atomic_load_explicit(&live->current, memory_order_relaxed) >> SLOT_SHIFT];
    /* It stays: only this thread swaps. One of the cache file is loaded again: an older program may have written it. */
    const char *known = now->owned && live->health.reloads > 0 ? now->owned->version : NULL;
    struct live_texts texts = {0};
    enum status status = source->load(source->data, known, arena, problems, &texts);
    if (status != STATUS_OK || (known && strcmp(known, texts.version) == 0)) return status;
    struct slot *slot = free_slot(live);
    if (!slot) return problems_add(problems, STATUS_OVERLOADED, "", "requests hold %d older catalogs", SLOTS - 1);
    struct snapshot *snapshot = NULL;
    status = catalog_load_version(texts.files, texts.version, problems, &snapshot);
    if (status != STATUS_OK) return status;
    report(live, "catalog %s: %zu GPUs, %zu models, %zu offers", snapshot->version, snapshot->gpu_count,
           snapshot->model_count, snapshot->offer_count);
    pthread_mutex_lock(&live->lock);
    live->health.reloads++; /* before anybody can see the new one */
    pthread_mutex_unlock(&live->lock);
    swap(live, slot, snapshot);
    keep_texts(live, &texts, problems);
    return STATUS_OK;
}

static void record(struct live *live, enum status status, const char *reason)
{
    pthread_mutex_lock(&live->lock);
    struct live_health *health = &live->health;
    bool was_degraded = health->degraded && live->was_tried, degraded = status != STATUS_OK;
    int64_t now = now_unix_s();
    if (degraded && !health->degraded) health->since_unix_s = now;
    if (!degraded) health->current_unix_s = now;
    health->degraded = degraded;
    health->load_failures += degraded;
    (void)snprintf(health->reason, sizeof health->reason, "%s", degraded ? reason : "");
    bool changed = was_degraded != degraded;
    live->was_tried = true;
    pthread_cond_broadcast(&live->tried);
    pthread_mutex_unlock(&live->lock);
    if (changed && degraded) report(live, "catalog: cannot be refreshed: %s", reason);
    if (changed && !degraded) report(live, "catalog: can be refreshed again");
}

static enum status try_once(struct live *live)
{
    struct arena arena;
    struct problems problems;
    arena_init(&arena, TEXTS_MAX_BYTES);
    problems_init(&problems, &arena);
    enum status status = refresh(live, &arena, &problems);
    record(live, status, first_detail(&problems, status));
    arena_done(&arena);
    return status;
}

static void sleep_ms(const struct live *live, unsigned ms)
{
    struct pollfd wake = {.fd = live->wake_fd, .events = POLLIN};
    (void)poll(&wake, 1, (int)ms);
}

/* Half of the time to all of it: replicas that lost the same database do not come back in the same instant. */
static unsigned with_jitter(unsigned ms)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random) random = 0;
    return ms / 2 + random % (ms - ms / 2 + 1);
}

static void wait_for_change(struct live *live)
{
    const struct live_source *source = &live->settings.source;
    bool listening = source->wait && source->wait(source->data, live->wake_fd, live->settings.listening_poll_ms);
    /* Whoever could be told, but is not now, tries again soon, however seldom it would ask otherwise. */
    unsigned poll_ms = live->settings.poll_ms;
    if (!listening) sleep_ms(live, source->wait && poll_ms > LISTEN_RETRY_MS ? LISTEN_RETRY_MS : poll_ms);
}

static void *keep_fresh(void *data)
{
    struct live *live = data;
    unsigned backoff_ms = BACKOFF_MIN_MS;
    (void)setpriority(PRIO_PROCESS, 0, NICENESS); /* in Linux of this thread only */
    while (!atomic_load(&live->stop)) {
        if (try_once(live) == STATUS_OK) {
            backoff_ms = BACKOFF_MIN_MS;
            wait_for_change(live);
        } else {
            sleep_ms(live, with_jitter(backoff_ms));
            backoff_ms = 2 * backoff_ms < BACKOFF_MAX_MS ? 2 * backoff_ms : BACKOFF_MAX_MS;
        }
    }
    return NULL;
}

/* NULL if there is no file, or none that can be used. */
static struct snapshot *read_cache(struct live *live)
{
    struct arena arena;
    struct problems problems;
    struct live_texts texts;
    struct snapshot *snapshot = NULL;
    arena_init(&arena, 2 * (size_t)TEXTS_MAX_BYTES);
    problems_init(&problems, &arena);
    int64_t current_unix_s = 0;
    enum status status = cache_file_read(live->settings.cache_path, &arena, &problems, &texts, &current_unix_s);
    if (status == STATUS_OK) status = catalog_load_version(texts.files, texts.version, &problems, &snapshot);
    if (status == STATUS_OK) live->health.current_unix_s = current_unix_s;
    if (status == STATUS_OK)
        report(live, "catalog %s: %zu GPUs, %zu models, %zu offers, from %s", snapshot->version, snapshot->gpu_count,
               snapshot->model_count, snapshot->offer_count, live->settings.cache_path);
    else if (status != STATUS_NOT_FOUND)
        report(live, "catalog: the cache file is not used: %s", first_detail(&problems, status));
    arena_done(&arena);
    return snapshot;
}

static enum status start(struct live *live, struct problems *problems)
{
    live->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (live->wake_fd < 0) return problems_add(problems, STATUS_IO, "", "no file descriptor: %s", strerror(errno));
    live->running = pthread_create(&live->thread, NULL, keep_fresh, live) == 0;
    return live->running ? STATUS_OK : problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no thread can be started");
}

enum status live_new(const struct live_settings *settings, struct snapshot *first, struct problems *problems,
                     struct live **ret_live)
{
    struct live *live = calloc(1, sizeof *live);
    if (!live) {
        snapshot_free(first);
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "out of memory");
    }
    live->settings = *settings;
    live->wake_fd = -1;
    pthread_mutex_init(&live->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&live->tried, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    bool sourced = settings->source.load != NULL;
    if (!first && settings->cache_path) first = read_cache(live);
    fill_slot(live, &live->slots[0], first);
    if (sourced) {
        live->health.sourced = live->health.degraded = true;
        live->health.since_unix_s = now_unix_s();
        (void)snprintf(live->health.reason, sizeof live->health.reason, "the database has not answered yet");
    }
    enum status status = sourced ? start(live, problems) : STATUS_OK;
    if (status == STATUS_OK)
        *ret_live = live;
    else
        live_free(live);
    return status;
}

void live_settle(struct live *live, unsigned timeout_ms)
{
    struct timespec until;
    if (!live->settings.source.load) return;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&live->lock);
    while (!live->was_tried && pthread_cond_timedwait(&live->tried, &live->lock, &until) == 0) {
    }
    pthread_mutex_unlock(&live->lock);
}

void live_free(struct live *live)
{
    if (!live) return;
    atomic_store(&live->stop, true);
    if (live->running) {
        (void)eventfd_write(live->wake_fd, 1);
        pthread_join(live->thread, NULL);
    }
    if (live->wake_fd >= 0) close(live->wake_fd);
    for (size_t i = 0; i < SLOTS; i++)
        snapshot_free(live->slots[i].owned);
    pthread_cond_destroy(&live->tried);
    pthread_mutex_destroy(&live->lock);
    free(live);
}

void live_health(struct live *live, struct live_health *ret_health)
{
    pthread_mutex_lock(&live->lock);
    *ret_health = live->health;
    pthread_mutex_unlock(&live->lock);
    int64_t age_s = now_unix_s() - ret_health->current_unix_s;
    ret_health->age_s = age_s > 0 ? age_s : 0;
}
