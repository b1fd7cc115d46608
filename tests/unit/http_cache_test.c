/* http_cache_test.c owns the tests of the answer cache: what is a repeat, what is kept, what goes first. */
#include "http/cache.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct compressors *compressors;

static int make_compressors(void **state)
{
    (void)state;
    compressors = compressors_new();
    return compressors ? 0 : -1;
}

static int free_compressors(void **state)
{
    (void)state;
    compressors_free(compressors);
    return 0;
}

static struct question ask(const char *version, char kind, const char *uri, const char *body)
{
    return (struct question){version, kind, uri, strlen(uri), body, body ? strlen(body) : 0, false};
}

static void put(struct cache *cache, const struct question *question, const char *text, size_t length)
{
    const struct reply reply = {.http_status = 200, .content_type = "text/plain", .body = text, .body_length = length};
    struct answer *answer = answer_new(NULL, &reply, "", compressors);
    assert_non_null(answer);
    cache_put(cache, question, answer);
    answer_release(answer);
}

static bool holds(struct cache *cache, const struct question *question, const char *text)
{
    struct answer *answer = cache_get(cache, question);
    if (!answer) return false;
    assert_int_equal(answer->reply.body_length, strlen(text));
    assert_memory_equal(answer->reply.body, text, strlen(text));
    answer_release(answer);
    return true;
}

static void finds_exact_repeats_only(void **state)
{
    (void)state;
    struct cache *cache = cache_new(1 << 20);
    assert_non_null(cache);
    const struct question get = ask("v1", 'G', "/a?b=1", NULL), post = ask("v1", 'P', "/a", "{\"b\":1}");
    put(cache, &get, "one", 3);
    put(cache, &post, "two", 3);
    assert_true(holds(cache, &get, "one"));
    assert_true(holds(cache, &post, "two"));
    const struct question others[] = {
        ask("v2", 'G', "/a?b=1", NULL),        ask("v1", 'P', "/a?b=1", NULL),    ask("v1", 'G', "/a?b=2", NULL),
        ask("v2", 'P', "/a", "{\"b\":1}"),     ask("v1", 'P', "/a", "{\"b\":2}"), ask("v1", 'P', "/a{", "\"b\":1}"),
        ask("v1", 'P', "/a.csv", "{\"b\":1}"), ask("v1", 'G', "/a", NULL),
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_null(cache_get(cache, &others[i]));
    struct cache_counts counts = cache_count(cache);
    assert_int_equal(counts.entries, 2);
    assert_int_equal(counts.hits, 2);
    assert_int_equal(counts.misses, sizeof others / sizeof *others);
    put(cache, &get, "three", 5);
    assert_true(holds(cache, &get, "three"));
    assert_int_equal(cache_count(cache).entries, 2);
    cache_free(cache);
}

static void stays_under_its_limit_and_drops_the_oldest(void **state)
{
    (void)state;
    enum { LIMIT = 1 << 20, COUNT = 2000, BODY = 2000 };
    static char body[BODY];
    memset(body, 'x', sizeof body);
    struct cache *cache = cache_new(LIMIT);
    const struct question favourite = ask("v1", 'G', "/favourite", NULL);
    put(cache, &favourite, "kept", 4);
    for (int i = 0; i < COUNT; i++) {
        char uri[32];
        (void)snprintf(uri, sizeof uri, "/a?i=%d", i);
        const struct question question = ask("v1", 'G', uri, NULL);
        put(cache, &question, body, sizeof body);
        assert_true(holds(cache, &favourite, "kept")); /* used all the time */
        assert_in_range(cache_count(cache).bytes, 1, LIMIT);
    }
    struct cache_counts counts = cache_count(cache);
    assert_int_equal(counts.entries + counts.evictions, COUNT + 1);
    assert_in_range(counts.evictions, 1, COUNT);
    const struct question first = ask("v1", 'G', "/a?i=0", NULL);
    assert_null(cache_get(cache, &first));
    static char huge[LIMIT];
    const struct question too_large = ask("v1", 'G', "/huge", NULL);
    put(cache, &too_large, huge, sizeof huge);
    assert_null(cache_get(cache, &too_large));
    cache_free(cache);
}

static void keeps_nothing_without_room(void **state)
{
    (void)state;
    struct cache *cache = cache_new(0);
    const struct question question = ask("v1", 'G', "/", NULL);
    put(cache, &question, "x", 1);
    assert_null(cache_get(cache, &question));
    cache_free(cache);
}

/* For whom an answer is to be recorded, one that is not does not do. */
static void tells_recorded_answers_apart(void **state)
{
    (void)state;
    static const enum recording states[] = {RECORDING_OPEN, RECORDING_FAILED, RECORDING_SETTLED};
    struct cache *cache = cache_new(1 << 20);
    struct question question = ask("v1", 'G', "/", NULL);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        const struct reply reply = {.http_status = 200, .body = "text", .body_length = 4, .recording = states[i]};
        struct answer *answer = answer_new(NULL, &reply, "", compressors);
        assert_non_null(answer);
        cache_put(cache, &question, answer);
        answer_release(answer);
        question.to_be_recorded = true;
        assert_int_equal(holds(cache, &question, "text"), states[i] == RECORDING_SETTLED);
        question.to_be_recorded = false;
        assert_true(holds(cache, &question, "text"));
    }
    struct cache_counts counts = cache_count(cache);
    assert_int_equal(counts.hits, 4);
    assert_int_equal(counts.misses, 2);
    cache_free(cache);
}

static void *use(void *data)
{
    struct cache *cache = data;
    for (int i = 0; i < 2000; i++) {
        char uri[32], text[32];
        (void)snprintf(uri, sizeof uri, "/q%d", i % 37);
        (void)snprintf(text, sizeof text, "answer to /q%d", i % 37);
        const struct question question = ask("v1", 'G', uri, NULL);
        struct answer *answer = cache_get(cache, &question);
        if (answer && memcmp(answer->reply.body, text, strlen(text)) != 0) return cache;
        answer_release(answer);
        const struct reply reply = {.http_status = 200, .body = text, .body_length = strlen(text)};
        struct answer *fresh = answer ? NULL : answer_new(NULL, &reply, "", compressors);
        if (fresh) cache_put(cache, &question, fresh);
        answer_release(fresh);
    }
    return NULL;
}

static void serves_many_threads(void **state)
{
    (void)state;
    struct cache *cache = cache_new(100000); /* so small that it evicts all the time */
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, cache), 0);
    for (size_t i = 0; i < 4; i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_exact_repeats_only),   cmocka_unit_test(stays_under_its_limit_and_drops_the_oldest),
        cmocka_unit_test(keeps_nothing_without_room), cmocka_unit_test(tells_recorded_answers_apart),
        cmocka_unit_test(serves_many_threads),
    };
    return cmocka_run_group_tests(tests, make_compressors, free_compressors);
}
