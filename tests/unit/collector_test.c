/* collector_test.c owns the tests of samples of many hosts in memory: their order, and every limit. */
#include "monitor/collector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { HOSTS_MAX = 5, SAMPLES_MAX_HERE = 4, DAY_MS = 86400000 };

struct world {
    struct arena arena;
    struct problems problems;
    struct collector *collector;
    struct alert_rule rules[ALERT_RULES];
    size_t alerts;
};

static void count_alert(void *data, const struct alert *alert)
{
    struct world *world = data;
    assert_true(alert->state == ALERT_FIRING || alert->state == ALERT_RESOLVED);
    world->alerts++;
}

static void open_world(struct world *world, size_t max_bytes)
{
    *world = (struct world){0};
    alert_rules(0.85, 0.05, 90, 0, world->rules);
    arena_init(&world->arena, 0);
    problems_init(&world->problems, &world->arena);
    const struct collector_settings settings = {.hosts_max = HOSTS_MAX,
                                                .samples_max = SAMPLES_MAX_HERE,
                                                .max_bytes = max_bytes,
                                                .rules = world->rules,
                                                .rule_count = ALERT_RULES,
                                                .alert = count_alert,
                                                .data = world};
    world->collector = collector_new(&settings);
    assert_non_null(world->collector);
}

static void close_world(struct world *world)
{
    collector_free(world->collector);
    arena_done(&world->arena);
}

/* Adds one sample of a host without GPUs; how many were new. */
static size_t add(struct world *world, const char *host, int64_t unix_ms, double used_ratio, enum status wanted)
{
    size_t added = 0;
    const struct sample sample = {.host = host,
                                  .unix_ms = unix_ms,
                                  .monotonic_ms = unix_ms,
                                  .reason = "",
                                  .memory = {.total_bytes = 100, .available_bytes = 100 * (1 - used_ratio)}};
    const struct sample_batch batch = {.host = host, .samples = &sample, .count = 1};
    world->problems.count = 0;
    assert_int_equal(collector_add(world->collector, &batch, &world->problems, &added), wanted);
    return added;
}

enum { TEXT_BYTES = 1000 };

/* "a:3,4 b:7": names with the times of their samples. */
static void describe(void *data, const struct collector_host *host)
{
    char *text = data;
    size_t length = strlen(text);
    (void)snprintf(text + length, TEXT_BYTES - length, "%s%s:", length ? " " : "", host->name);
    for (size_t i = 0; i < host->sample_count; i++) {
        length = strlen(text);
        (void)snprintf(text + length, TEXT_BYTES - length, "%s%lld", i ? "," : "",
                       (long long)host->samples[i]->unix_ms);
    }
}

static void assert_world(struct world *world, const char *wanted)
{
    char text[TEXT_BYTES] = "";
    collector_look(world->collector, describe, text);
    assert_string_equal(text, wanted);
}

static void samples_are_sorted_and_come_once(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1 << 20);
    const int64_t times[] = {5, 3, 5, 4, 9, 3};
    size_t added = 0;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        added += add(&world, "b", times[i], 0.5, STATUS_OK);
    assert_int_equal(add(&world, "a", 1, 0.5, STATUS_OK), 1);
    assert_int_equal(added, 4);
    assert_world(&world, "a:1 b:3,4,5,9");
    assert_int_equal(add(&world, "b", 10, 0.5, STATUS_OK), 1); /* the ring is full: the oldest goes */
    assert_int_equal(add(&world, "b", 2, 0.5, STATUS_OK), 0);  /* and stays away */
    assert_world(&world, "a:1 b:4,5,9,10");
    close_world(&world);
}

static void late_samples_raise_no_alert(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1 << 20);
    assert_int_equal(add(&world, "a", 10, 0.5, STATUS_OK), 1);
    assert_int_equal(add(&world, "a", 5, 0.99, STATUS_OK), 1);
    assert_int_equal(world.alerts, 0);
    assert_int_equal(add(&world, "a", 11, 0.99, STATUS_OK), 1);
    assert_int_equal(add(&world, "a", 11, 0.99, STATUS_OK), 0);
    assert_int_equal(world.alerts, 1);
    close_world(&world);
}

static void silent_hosts_make_room(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 1 << 20);
    char name[] = "h0";
    for (int i = 0; i < HOSTS_MAX; i++, name[1]++)
        (void)add(&world, name, i + 1, 0.5, STATUS_OK);
    assert_int_equal(add(&world, "x", DAY_MS, 0.5, STATUS_OUT_OF_RANGE), 0);
    assert_string_equal(world.problems.items[0].field, "host");
    assert_int_equal(add(&world, "x", DAY_MS + 1, 0.5, STATUS_OK), 1);
    assert_world(&world, "h1:2 h2:3 h3:4 h4:5 x:86400001");
    close_world(&world);
}

static void memory_has_an_end(void **state)
{
    (void)state;
    struct world world;
    const size_t one = sample_bytes(&(struct sample){.host = "a", .reason = ""});
    open_world(&world, 3 * one);
    for (int64_t time = 1; time <= 3; time++)
        (void)add(&world, "a", time, 0.5, STATUS_OK);
    assert_int_equal(add(&world, "a", 2, 0.5, STATUS_OK), 0); /* known: nothing goes for it */
    assert_world(&world, "a:1,2,3");
    (void)add(&world, "b", 9, 0.5, STATUS_OK);
    (void)add(&world, "c", 4, 0.5, STATUS_OK);
    assert_world(&world, "a:3 b:9 c:4");
    (void)add(&world, "d", 8, 0.5, STATUS_OUT_OF_RANGE);
    (void)add(&world, "b", 8, 0.5, STATUS_OUT_OF_RANGE); /* late: not in the place of a newer one */
    assert_int_equal(add(&world, "b", 10, 0.5, STATUS_OK), 1);
    assert_world(&world, "a:3 b:10 c:4");
    close_world(&world);
}

static void the_oldest_goes_whosever_it_is(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, 4 * sample_bytes(&(struct sample){.host = "a", .reason = ""}));
    for (int64_t time = 1; time <= 2; time++) {
        (void)add(&world, "a", time + 4, 0.5, STATUS_OK);
        (void)add(&world, "b", time, 0.5, STATUS_OK);
    }
    (void)add(&world, "a", 7, 0.5, STATUS_OK);
    assert_world(&world, "a:5,6,7 b:2");
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_sorted_and_come_once), cmocka_unit_test(late_samples_raise_no_alert),
        cmocka_unit_test(silent_hosts_make_room),           cmocka_unit_test(memory_has_an_end),
        cmocka_unit_test(the_oldest_goes_whosever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
