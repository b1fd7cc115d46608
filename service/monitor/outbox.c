/* outbox.c owns the queue of texts and the thread that sends them. What is being sent is out of the queue: others only
 * append, and drop the oldest that waits. */
#include "monitor/outbox.h"

#include "wire/out.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WHY_BYTES = 200, MS = 1000, NS_PER_MS = 1000000, LINE_MAX_BYTES = 4096 };

struct text {
    struct text *next;
    size_t length;
    char bytes[];
};

struct outbox {
    struct outbox_settings settings;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct text *first, **last;
    struct outbox_counts counts;
    atomic_bool stop;   /* what is sent now is given up, nothing is tried again */
    bool ending;        /* what waits is sent for a while yet */
    bool idle, failing; /* nothing is being sent; the log was told of a failure */
};

static void wake_at(int64_t ms_from_now, struct timespec *ret_time)
{
    (void)clock_gettime(CLOCK_MONOTONIC, ret_time);
    const int64_t ns = ret_time->tv_nsec + ms_from_now % MS * NS_PER_MS;
    ret_time->tv_sec += (time_t)(ms_from_now / MS + ns / (MS * (int64_t)NS_PER_MS));
    ret_time->tv_nsec = (long)(ns % (MS * (int64_t)NS_PER_MS));
}

/* --- what the log is told --- */

static void tell(struct outbox *outbox, const char *event, const char *why)
{
    struct out line;
    if (!outbox->settings.report) return;
    out_init(&line, LINE_MAX_BYTES);
    out_object(&line, NULL);
    out_text(&line, "event", event);
    out_text(&line, "sink", outbox->settings.name);
    out_text(&line, "reason", why);
    out_integer(&line, "waiting", (int64_t)outbox->counts.waiting);
    out_integer(&line, "dropped", (int64_t)outbox->counts.dropped);
    out_object_end(&line);
    out_raw(&line, "", 1);
    if (!line.failed) outbox->settings.report(line.data);
    out_done(&line);
}

/* --- the thread: with the lock held, which sending lets go --- */

static struct text *take_first(struct outbox *outbox)
{
    struct text *text = outbox->first;
    outbox->first = text->next;
    if (!outbox->first) outbox->last = &outbox->first;
    outbox->counts.waiting--;
    return text;
}

/* Waits for so long, or until it has to stop; `hurry`: or to end. */
static void pause_for(struct outbox *outbox, unsigned ms, bool hurry)
{
    struct timespec until;
    wake_at(ms, &until);
    while (!atomic_load(&outbox->stop) && !(hurry && outbox->ending)) {
        if (pthread_cond_timedwait(&outbox->changed, &outbox->lock, &until) != 0) return;
    }
}

static enum outbox_result try_once(struct outbox *outbox, const struct outbox_text *texts, size_t count,
                                   char why[WHY_BYTES])
{
    const struct outbox_settings *settings = &outbox->settings;
    pthread_mutex_unlock(&outbox->lock);
    enum outbox_result result = settings->send(settings->data, texts, count, &outbox->stop, why, WHY_BYTES);
    pthread_mutex_lock(&outbox->lock);
    if (result != OUTBOX_SENT) outbox->counts.failed_tries++;
    return result;
}

static void deliver(struct outbox *outbox, const struct outbox_text *texts, size_t count)
{
    const struct outbox_settings *settings = &outbox->settings;
    char why[WHY_BYTES] = "";
    unsigned pause_ms = settings->pause_min_ms;
    enum outbox_result result = OUTBOX_AGAIN;
    for (unsigned tries = 1;; tries++) {
        result = try_once(outbox, texts, count, why);
        if (result != OUTBOX_AGAIN || atomic_load(&outbox->stop) || tries == settings->tries_max) break;
        if (!outbox->failing) tell(outbox, "sink_fails", why);
        outbox->failing = true;
        pause_for(outbox, pause_ms, false);
        if (atomic_load(&outbox->stop)) break;
        pause_ms = pause_ms < settings->pause_max_ms / 2 ? pause_ms * 2 : settings->pause_max_ms;
    }
    if (result == OUTBOX_SENT) {
        outbox->counts.sent += count;
        if (outbox->failing) tell(outbox, "sink_works_again", NULL);
        outbox->failing = false;
    } else {
        outbox->counts.dropped += count;
        tell(outbox, "sink_gave_up", why);
        outbox->failing = true;
    }
}

static void deliver_some(struct outbox *outbox)
{
    struct text *taken[OUTBOX_BATCH_MAX];
    struct outbox_text texts[OUTBOX_BATCH_MAX];
    size_t count = 0;
    if (outbox->settings.gather_ms) pause_for(outbox, outbox->settings.gather_ms, true);
    while (outbox->first && count < outbox->settings.batch_max) {
        taken[count] = take_first(outbox);
        texts[count] = (struct outbox_text){taken[count]->bytes, taken[count]->length};
        count++;
    }
    outbox->idle = false;
    deliver(outbox, texts, count);
    outbox->idle = true;
    for (size_t i = 0; i < count; i++)
        free(taken[i]);
}

static void *run(void *data)
{
    struct outbox *outbox = data;
    pthread_mutex_lock(&outbox->lock);
    while (!atomic_load(&outbox->stop)) {
        if (outbox->first)
            deliver_some(outbox);
        else if (outbox->ending)
            break;
        else
            pthread_cond_wait(&outbox->changed, &outbox->lock);
        pthread_cond_broadcast(&outbox->changed);
    }
    pthread_mutex_unlock(&outbox->lock);
    return NULL;
}

/* --- others --- */

enum status outbox_new(const struct outbox_settings *settings, struct problems *problems, struct outbox **ret_outbox)
{
    pthread_condattr_t clock;
    struct outbox *outbox = calloc(1, sizeof *outbox);
    if (!outbox) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a sink");
    outbox->settings = *settings;
    outbox->last = &outbox->first;
    outbox->idle = true;
    atomic_init(&outbox->stop, false);
    (void)pthread_mutex_init(&outbox->lock, NULL);
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&outbox->changed, &clock);
    (void)pthread_condattr_destroy(&clock);
    if (pthread_create(&outbox->thread, NULL, run, outbox) == 0) {
        *ret_outbox = outbox;
        return STATUS_OK;
    }
    (void)pthread_cond_destroy(&outbox->changed);
    (void)pthread_mutex_destroy(&outbox->lock);
    free(outbox);
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no thread for a sink");
}

void outbox_add(struct outbox *outbox, const char *bytes, size_t length)
{
    struct text *text = malloc(sizeof *text + length + 1);
    if (text) {
        text->next = NULL;
        text->length = length;
        memcpy(text->bytes, bytes, length);
        text->bytes[length] = '\0';
    }
    pthread_mutex_lock(&outbox->lock);
    if (text && outbox->counts.waiting == outbox->settings.queue_max) {
        free(take_first(outbox));
        outbox->counts.dropped++;
    }
    if (text) {
        *outbox->last = text;
        outbox->last = &text->next;
        outbox->counts.waiting++;
    } else {
        outbox->counts.dropped++;
    }
    pthread_cond_broadcast(&outbox->changed);
    pthread_mutex_unlock(&outbox->lock);
}

struct outbox_counts outbox_count(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->lock);
    const struct outbox_counts counts = outbox->counts;
    pthread_mutex_unlock(&outbox->lock);
    return counts;
}

void outbox_free(struct outbox *outbox)
{
    struct timespec until;
    if (!outbox) return;
    wake_at(outbox->settings.drain_ms, &until);
    pthread_mutex_lock(&outbox->lock);
    outbox->ending = true;
    pthread_cond_broadcast(&outbox->changed);
    while (outbox->first || !outbox->idle) {
        if (pthread_cond_timedwait(&outbox->changed, &outbox->lock, &until) != 0) break;
    }
    atomic_store(&outbox->stop, true);
    pthread_cond_broadcast(&outbox->changed);
    pthread_mutex_unlock(&outbox->lock);
    (void)pthread_join(outbox->thread, NULL);
    const bool lost = outbox->first;
    outbox->counts.dropped += outbox->counts.waiting;
    while (outbox->first)
        free(take_first(outbox));
    if (lost) tell(outbox, "sink_lost_at_end", NULL);
    (void)pthread_cond_destroy(&outbox->changed);
    (void)pthread_mutex_destroy(&outbox->lock);
    free(outbox);
}
