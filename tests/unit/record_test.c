/* record_test.c owns the tests of the queue of answers that are to be stored: nothing waits for it, nothing that it
 * took is lost, and it stays within its bound. The store is a table in this file; the real one is tested in
 * tests/store. */
#include "record/record.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STORED_MAX = 20000, ANSWER_BYTES = 4000, NUMBER_BYTES = 16, LONG_MS = 60 * 1000 };

/* What the recorder writes to. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed;       /* a write waits until it is open */
    bool inside;       /* one waits now */
    unsigned failures; /* so many writes fail, as if the database were away */
    int refused;       /* the number of a record that is never taken; -1: none */
    int stored[STORED_MAX];
    size_t count, writes;
    char lines[4][256];
    size_t line_count;
} store = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int empty_store(void **state)
{
    (void)state;
    store.closed = store.inside = false;
    store.failures = 0;
    store.refused = -1;
    store.count = store.writes = store.line_count = 0;
    return 0;
}

static const char *answer_of(int number, char text[ANSWER_BYTES])
{
    memset(text, 'a' + number % 26, ANSWER_BYTES);
    (void)snprintf(text, NUMBER_BYTES, "%d", number);
    return text;
}

/* The number of a record that is as it was when it was added. */
static int checked_number(const struct record *record, struct arena *arena, struct problems *problems)
{
    char answer[ANSWER_BYTES], hash[HASH_TEXT_BYTES];
    struct record_text text;
    int number = -1;
    assert_int_equal(sscanf(record->id, "id %d", &number), 1);
    assert_string_equal(record->operation, "recommend");
    assert_string_equal(record->question_form, "json");
    assert_string_equal(record->catalog_version, "test:7");
    assert_string_equal(record->estimator_version, "1");
    assert_string_equal(record->created_by, "");
    assert_int_equal(record->asked_on.days, number);
    assert_int_equal(record_inflate(record->question, 100, arena, problems, &text), STATUS_OK);
    assert_string_equal(text.bytes, "{}");
    assert_in_range(record->answer.length, 1, ANSWER_BYTES / 10);
    assert_int_equal(record_inflate(record->answer, ANSWER_BYTES, arena, problems, &text), STATUS_OK);
    assert_int_equal(text.length, ANSWER_BYTES);
    assert_memory_equal(text.bytes, answer_of(number, answer), ANSWER_BYTES);
    text_hash(answer, ANSWER_BYTES, hash);
    assert_string_equal(record->answer_hash, hash);
    return number;
}

static enum status write_records(void *data, const struct record *records, size_t count, struct problems *problems)
{
    struct arena arena;
    enum status status = STATUS_OK;
    assert_ptr_equal(data, &store);
    assert_in_range(count, 1, STORED_MAX);
    arena_init(&arena, 0);
    pthread_mutex_lock(&store.lock);
    store.inside = true;
    pthread_cond_broadcast(&store.changed);
    while (store.closed)
        pthread_cond_wait(&store.changed, &store.lock);
    store.inside = false;
    store.writes++;
    if (store.failures > 0) {
        store.failures--;
        status = problems_add(problems, STATUS_DATABASE_AWAY, "", "the connection was refused");
    }
    size_t before = store.count;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        int number = checked_number(&records[i], &arena, problems);
        if (number == store.refused)
            status = problems_add(problems, STATUS_INVALID_VALUE, "", "number %d is refused", number);
        else
            store.stored[store.count++] = number;
    }
    if (status != STATUS_OK) store.count = before;
    pthread_mutex_unlock(&store.lock);
    arena_done(&arena);
    return status;
}

static void keep_line(const char *line)
{
    pthread_mutex_lock(&store.lock);
    assert_in_range(store.line_count, 0, 3);
    (void)snprintf(store.lines[store.line_count++], sizeof store.lines[0], "%s", line);
    pthread_mutex_unlock(&store.lock);
}

static struct recorder *start(size_t queue_max_bytes, unsigned drain_ms)
{
    struct arena arena;
    struct problems problems;
    struct recorder *recorder = NULL;
    const struct recorder_settings settings = {queue_max_bytes, drain_ms, write_records, &store, keep_line};
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    assert_int_equal(recorder_new(&settings, &problems, &recorder), STATUS_OK);
    arena_done(&arena);
    return recorder;
}

/* From memory that is gone when it returns. */
static bool add(struct recorder *recorder, int number)
{
    char id[NUMBER_BYTES], answer[ANSWER_BYTES];
    (void)snprintf(id, sizeof id, "id %d", number);
    return record_add(recorder, &(struct record){
                                    .id = id,
                                    .operation = "recommend",
                                    .question_form = "json",
                                    .catalog_version = "test:7",
                                    .estimator_version = "1",
                                    .created_by = "",
                                    .asked_on = {number},
                                    .question = {"{}", 2},
                                    .answer = {answer_of(number, answer), ANSWER_BYTES},
                                });
}

static void set_closed(bool closed)
{
    pthread_mutex_lock(&store.lock);
    store.closed = closed;
    pthread_cond_broadcast(&store.changed);
    pthread_mutex_unlock(&store.lock);
}

static void await_inside(void)
{
    pthread_mutex_lock(&store.lock);
    while (!store.inside)
        pthread_cond_wait(&store.changed, &store.lock);
    pthread_mutex_unlock(&store.lock);
}

static void assert_stored(int count)
{
    assert_int_equal(store.count, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(store.stored[i], i);
}

static void packs_and_unpacks(void **state)
{
    (void)state;
    struct arena arena;
    struct problems problems;
    struct record_text packed, text = {"untouched", 9};
    char answer[ANSWER_BYTES];
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    assert_true(record_deflate((struct record_text){answer_of(1, answer), ANSWER_BYTES}, &packed));
    char *bytes = (char *)(uintptr_t)packed.bytes;
    const struct {
        size_t length, max_bytes;
        enum status status;
        const char *detail;
    } rows[] = {
        {packed.length, ANSWER_BYTES - 1, STATUS_DATABASE, "more than any answer has"},
        {packed.length - 1, 2 * ANSWER_BYTES, STATUS_DATABASE, "damaged"},
        {0, ANSWER_BYTES, STATUS_DATABASE, "damaged"},
        {packed.length, ANSWER_BYTES, STATUS_OK, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct record_text given = {bytes, rows[i].length};
        assert_string_equal(text.bytes, "untouched");
        assert_int_equal(record_inflate(given, rows[i].max_bytes, &arena, &problems, &text), rows[i].status);
        if (rows[i].detail) assert_non_null(strstr(problems.items[i].detail, rows[i].detail));
    }
    assert_int_equal(text.length, ANSWER_BYTES);
    assert_memory_equal(text.bytes, answer, ANSWER_BYTES);
    bytes[packed.length / 2] ^= 1;
    assert_int_equal(record_inflate(packed, ANSWER_BYTES, &arena, &problems, &text), STATUS_DATABASE);
    free(bytes);
    arena_done(&arena);
}

static void writes_everything_before_it_ends(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct recorder *recorder = start(64 << 20, LONG_MS);
    for (int i = 0; i < COUNT; i++)
        assert_true(add(recorder, i));
    recorder_free(recorder);
    assert_stored(COUNT);
    assert_in_range(store.writes, COUNT / 64, COUNT);
    assert_int_equal(store.line_count, 0);
    recorder_free(NULL);
}

static void never_waits_and_counts_what_it_drops(void **state)
{
    (void)state;
    enum { LIMIT = 100 * 1000, MORE = 200 };
    struct recorder *recorder = start(LIMIT, LONG_MS);
    int accepted = 0;
    set_closed(true);
    assert_true(add(recorder, accepted++));
    await_inside(); /* the thread hangs in a write from now on */
    while (add(recorder, accepted))
        accepted++;
    assert_in_range(accepted, LIMIT / ANSWER_BYTES / 2, LIMIT / ANSWER_BYTES);
    for (int i = 1; i < MORE; i++)
        assert_false(add(recorder, accepted));
    struct record_counts counts = recorder_count(recorder);
    assert_int_equal(counts.stored, 0);
    assert_int_equal(counts.dropped, MORE);
    assert_in_range(counts.queue_bytes, LIMIT - 2 * ANSWER_BYTES, LIMIT);
    set_closed(false);
    recorder_free(recorder);
    assert_stored(accepted);
}

static void keeps_what_it_took_while_the_store_is_away(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    struct recorder *recorder = start(64 << 20, LONG_MS);
    store.failures = 3;
    for (int i = 0; i < COUNT; i++)
        assert_true(add(recorder, i));
    recorder_free(recorder);
    assert_stored(COUNT);
    assert_int_equal(store.failures, 0);
    assert_int_equal(store.line_count, 2);
    assert_string_equal(store.lines[0], "answers: cannot be stored: the connection was refused");
    assert_string_equal(store.lines[1], "answers: can be stored again");
}

static void holds_more_once_it_is_packed(void **state)
{
    (void)state;
    enum { LIMIT = 100 * 1000 };
    struct recorder *recorder = start(LIMIT, 0);
    int accepted = 0;
    store.failures = UINT32_MAX;
    while (accepted < 4 * LIMIT / ANSWER_BYTES) {
        if (add(recorder, accepted))
            accepted++;
        else
            (void)sched_yield(); /* the thread has not packed those before */
    }
    assert_in_range(recorder_count(recorder).queue_bytes, 1, LIMIT);
    recorder_free(recorder);
    assert_int_equal(store.count, 0);
    assert_int_equal(store.line_count, 2);
    assert_string_equal(store.lines[1], "answers: 100 were not stored before the end");
}

static void drops_only_what_is_refused(void **state)
{
    (void)state;
    enum { COUNT = 100, BAD = 17 };
    struct recorder *recorder = start(64 << 20, LONG_MS);
    store.refused = BAD;
    set_closed(true);
    for (int i = 0; i < COUNT; i++)
        assert_true(add(recorder, i));
    set_closed(false);
    for (struct record_counts counts = {0}; counts.stored + counts.dropped < COUNT;)
        counts = recorder_count(recorder);
    assert_int_equal(recorder_count(recorder).dropped, 1);
    assert_int_equal(recorder_count(recorder).stored, COUNT - 1);
    assert_int_equal(recorder_count(recorder).queue_bytes, 0);
    recorder_free(recorder);
    assert_int_equal(store.count, COUNT - 1);
    for (int i = 0; i < COUNT - 1; i++)
        assert_int_equal(store.stored[i], i + (i >= BAD));
    assert_string_equal(store.lines[0], "answers: cannot be stored: number 17 is refused");
}

static void *add_many(void *data)
{
    uintptr_t accepted = 0;
    for (int i = 0; i < 1000; i++)
        accepted += add(data, i);
    return (void *)accepted;
}

static void takes_from_many_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    size_t accepted = 0;
    struct recorder *recorder = start(50 * ANSWER_BYTES, LONG_MS);
    store.failures = 1;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, recorder), 0);
    for (size_t i = 0; i < 4; i++) {
        void *count = NULL;
        assert_int_equal(pthread_join(threads[i], &count), 0);
        accepted += (uintptr_t)count;
    }
    assert_int_equal(recorder_count(recorder).dropped, 4000 - accepted);
    recorder_free(recorder);
    assert_int_equal(store.count, accepted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(packs_and_unpacks, empty_store),
        cmocka_unit_test_setup(writes_everything_before_it_ends, empty_store),
        cmocka_unit_test_setup(never_waits_and_counts_what_it_drops, empty_store),
        cmocka_unit_test_setup(keeps_what_it_took_while_the_store_is_away, empty_store),
        cmocka_unit_test_setup(holds_more_once_it_is_packed, empty_store),
        cmocka_unit_test_setup(drops_only_what_is_refused, empty_store),
        cmocka_unit_test_setup(takes_from_many_threads, empty_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
