/* recorder.c owns the queue of answers that are to be stored, and the thread that packs and writes them.
 *
 * The records before `unpacked` are packed. Others only append; the thread alone replaces records and takes them out,
 * so that it may work on them without the lock. */
#include "record/record.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BATCH = 64, /* records of one transaction */
    BACKOFF_MIN_MS = 100,
    BACKOFF_MAX_MS = 2000, /* also how long it may take to see that the database is back */
    PROBLEM_ARENA_BYTES = 1 << 20,
    LINE_BYTES = 512,
};

struct entry {
    struct entry *next;
    size_t cost_bytes;
    struct record record; /* its texts stand in texts[] */
    char texts[];
};

struct recorder {
    struct recorder_settings settings;
    pthread_t thread;
    bool running; /* the thread was started */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct entry *first, **last; /* last: where the next one is appended */
    struct entry **unpacked;     /* where the first one that is not packed stands */
    size_t packed_count;
    struct record_counts counts;
    bool stop;
    int64_t end_ms; /* when stopping: until when to try */
    /* Of the thread, which needs no lock for them. */
    int64_t retry_ms;    /* when to write again after a failure */
    unsigned backoff_ms; /* 0: the last write succeeded */
    size_t singly;       /* so many records are written one by one: one of them was refused */
    bool failing;        /* which the log was told */
};

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *copy_bytes(char **end, const char *bytes, size_t length)
{
    char *copy = *end;
    if (length) memcpy(copy, bytes, length);
    copy[length] = '\0';
    *end = copy + length + 1;
    return copy;
}

/* The texts of a record that end with a NUL. */
static const size_t text_offsets[] = {
    offsetof(struct record, id),
    offsetof(struct record, operation),
    offsetof(struct record, question_form),
    offsetof(struct record, catalog_version),
    offsetof(struct record, estimator_version),
    offsetof(struct record, created_by),
};
enum { TEXTS = sizeof text_offsets / sizeof *text_offsets };

static const char **text_of(struct record *record, size_t index)
{
    return (const char **)(void *)((char *)record + text_offsets[index]);
}

/* A copy of everything; NULL when out of memory. */
static struct entry *entry_new(struct record record)
{
    size_t bytes = record.question.length + record.answer.length + 2;
    for (size_t i = 0; i < TEXTS; i++)
        bytes += strlen(*text_of(&record, i)) + 1;
    struct entry *entry = malloc(sizeof *entry + bytes);
    if (!entry) return NULL;
    char *end = entry->texts;
    for (size_t i = 0; i < TEXTS; i++)
        *text_of(&record, i) = copy_bytes(&end, *text_of(&record, i), strlen(*text_of(&record, i)));
    record.question.bytes = copy_bytes(&end, record.question.bytes, record.question.length);
    record.answer.bytes = copy_bytes(&end, record.answer.bytes, record.answer.length);
    entry->next = NULL;
    entry->cost_bytes = sizeof *entry + bytes;
    entry->record = record;
    return entry;
}

/* With the lock held: takes the first `count` records out; all of them are packed. */
static void take_out(struct recorder *recorder, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct entry *entry = recorder->first;
        recorder->first = entry->next;
        if (recorder->last == &entry->next) recorder->last = &recorder->first;
        if (recorder->unpacked == &entry->next) recorder->unpacked = &recorder->first;
        recorder->counts.queue_bytes -= entry->cost_bytes;
        recorder->packed_count--;
        free(entry);
    }
}

/* --- the thread: with the lock held, which packing and writing let go --- */

static struct entry *pack(const struct entry *entry)
{
    struct record packed = entry->record;
    struct record_text question = {0}, answer = {0};
    text_hash(packed.answer.bytes, packed.answer.length, packed.answer_hash);
    struct entry *fresh = NULL;
    if (record_deflate(packed.question, &question) && record_deflate(packed.answer, &answer)) {
        packed.question = question;
        packed.answer = answer;
        fresh = entry_new(packed);
    }
    free((char *)(uintptr_t)question.bytes);
    free((char *)(uintptr_t)answer.bytes);
    return fresh;
}

/* Puts a packed copy in the record's place; without memory for one the record is dropped. */
static void pack_one(struct recorder *recorder)
{
    struct entry **slot = recorder->unpacked, *raw = *slot;
    pthread_mutex_unlock(&recorder->lock);
    struct entry *packed = pack(raw);
    pthread_mutex_lock(&recorder->lock);
    *slot = packed ? packed : raw->next;
    if (packed) packed->next = raw->next;
    struct entry **next = packed ? &packed->next : slot;
    if (recorder->last == &raw->next) recorder->last = next;
    recorder->unpacked = next;
    recorder->packed_count += packed != NULL;
    recorder->counts.dropped += packed == NULL;
    recorder->counts.queue_bytes -= raw->cost_bytes - (packed ? packed->cost_bytes : 0);
    free(raw);
}

static void report(const struct recorder *recorder, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void report(const struct recorder *recorder, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (recorder->settings.report) recorder->settings.report(line);
}

/* The log has one line when storing begins to fail and one when it is over. */
static void tell(struct recorder *recorder, enum status status, const struct problems *problems)
{
    bool failing = status != STATUS_OK;
    if (failing == recorder->failing || (!failing && recorder->singly > 0)) return;
    recorder->failing = failing;
    if (failing)
        report(recorder, "answers: cannot be stored: %s",
               problems->count ? problems->items[0].detail : status_hint(status));
    else
        report(recorder, "answers: can be stored again");
}

/* What became of the first `count` records. */
static void settle(struct recorder *recorder, size_t count, enum status status)
{
    bool stored = status == STATUS_OK, refused = !stored && !status_retryable(status);
    recorder->counts.stored += stored ? count : 0;
    recorder->counts.dropped += refused && count == 1;
    if (stored || (refused && count == 1)) {
        recorder->singly -= recorder->singly > 0;
        take_out(recorder, count);
    } else if (refused) {
        recorder->singly = count;
    }
    unsigned longer_ms = 2 * recorder->backoff_ms < BACKOFF_MAX_MS ? 2 * recorder->backoff_ms : BACKOFF_MAX_MS;
    recorder->backoff_ms = stored || refused ? 0 : longer_ms > BACKOFF_MIN_MS ? longer_ms : BACKOFF_MIN_MS;
    recorder->retry_ms = now_ms() + recorder->backoff_ms;
}

static void write_batch(struct recorder *recorder)
{
    struct record batch[BATCH];
    size_t most = recorder->singly ? 1 : BATCH, count = 0;
    for (struct entry *entry = recorder->first; entry != *recorder->unpacked && count < most; entry = entry->next)
        batch[count++] = entry->record;
    struct arena arena;
    struct problems problems;
    arena_init(&arena, PROBLEM_ARENA_BYTES);
    problems_init(&problems, &arena);
    pthread_mutex_unlock(&recorder->lock);
    enum status status = recorder->settings.write(recorder->settings.data, batch, count, &problems);
    pthread_mutex_lock(&recorder->lock);
    settle(recorder, count, status);
    tell(recorder, status, &problems);
    arena_done(&arena);
}

static void wait_until(struct recorder *recorder, int64_t until_ms)
{
    const struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    (void)pthread_cond_timedwait(&recorder->changed, &recorder->lock, &until);
}

/* Waits until there is something to pack or to write; false: the end. */
static bool await_work(struct recorder *recorder)
{
    for (;;) {
        int64_t now = now_ms(), end_ms = recorder->stop ? recorder->end_ms : INT64_MAX;
        if (now >= end_ms || (recorder->stop && !recorder->first)) return false;
        if (*recorder->unpacked || (recorder->first && now >= recorder->retry_ms)) return true;
        if (recorder->first)
            wait_until(recorder, recorder->retry_ms < end_ms ? recorder->retry_ms : end_ms);
        else
            (void)pthread_cond_wait(&recorder->changed, &recorder->lock);
    }
}

/* Records are packed ahead of their writing only as far as one batch, or as there is time before the next try. */
static void *keep_writing(void *data)
{
    struct recorder *recorder = data;
    pthread_mutex_lock(&recorder->lock);
    while (await_work(recorder)) {
        bool may_write = recorder->packed_count > 0 && now_ms() >= recorder->retry_ms;
        if (*recorder->unpacked && !(may_write && recorder->packed_count >= BATCH))
            pack_one(recorder);
        else
            write_batch(recorder);
    }
    pthread_mutex_unlock(&recorder->lock);
    return NULL;
}

/* --- for everybody else --- */

bool record_add(struct recorder *recorder, const struct record *record)
{
    struct entry *entry = entry_new(*record);
    pthread_mutex_lock(&recorder->lock);
    bool room = entry && recorder->counts.queue_bytes + entry->cost_bytes <= recorder->settings.queue_max_bytes;
    if (room) {
        *recorder->last = entry;
        recorder->last = &entry->next;
        recorder->counts.queue_bytes += entry->cost_bytes;
        pthread_cond_signal(&recorder->changed);
    } else {
        recorder->counts.dropped++;
    }
    pthread_mutex_unlock(&recorder->lock);
    if (!room) free(entry);
    return room;
}

struct record_counts recorder_count(struct recorder *recorder)
{
    pthread_mutex_lock(&recorder->lock);
    struct record_counts counts = recorder->counts;
    pthread_mutex_unlock(&recorder->lock);
    return counts;
}

enum status recorder_new(const struct recorder_settings *settings, struct problems *problems,
                         struct recorder **ret_recorder)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "out of memory");
    recorder->settings = *settings;
    recorder->last = recorder->unpacked = &recorder->first;
    pthread_condattr_t by_uptime;
    pthread_condattr_init(&by_uptime);
    pthread_condattr_setclock(&by_uptime, CLOCK_MONOTONIC);
    pthread_mutex_init(&recorder->lock, NULL);
    pthread_cond_init(&recorder->changed, &by_uptime);
    pthread_condattr_destroy(&by_uptime);
    recorder->running = pthread_create(&recorder->thread, NULL, keep_writing, recorder) == 0;
    if (recorder->running) {
        *ret_recorder = recorder;
        return STATUS_OK;
    }
    recorder_free(recorder);
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no thread can be started");
}

static void drop_rest(struct recorder *recorder)
{
    size_t count = 0;
    for (struct entry *entry = recorder->first; entry; count++) {
        struct entry *next = entry->next;
        free(entry);
        entry = next;
    }
    if (count > 0) report(recorder, "answers: %zu were not stored before the end", count);
}

void recorder_free(struct recorder *recorder)
{
    if (!recorder) return;
    pthread_mutex_lock(&recorder->lock);
    recorder->stop = true;
    recorder->end_ms = now_ms() + recorder->settings.drain_ms;
    pthread_cond_signal(&recorder->changed);
    pthread_mutex_unlock(&recorder->lock);
    if (recorder->running) pthread_join(recorder->thread, NULL);
    drop_rest(recorder);
    pthread_cond_destroy(&recorder->changed);
    pthread_mutex_destroy(&recorder->lock);
    free(recorder);
}
