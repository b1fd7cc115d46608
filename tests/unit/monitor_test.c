/* monitor_test.c owns the proof of service/monitor without threads: time, the ring, windows with the article's
 * arithmetic, alerts, trends, and that a batch is read back as it was written. */
#include "monitor/alert.h"
#include "monitor/sample_json.h"
#include "monitor/statistics.h"

#include "support/fixture.h"
#include "wire/out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START_MS 1790000000000LL

static struct gpu_reading gpu_of(double used_gib, double total_gib)
{
    struct gpu_reading gpu = {.uuid = "GPU-1",
                              .name = "NVIDIA H200",
                              .memory_total_bytes = total_gib * GIB,
                              .memory_used_bytes = used_gib * GIB,
                              .memory_reserved_bytes = UNKNOWN,
                              .busy_percent = UNKNOWN,
                              .memory_busy_percent = UNKNOWN,
                              .power_watts = UNKNOWN,
                              .power_limit_watts = UNKNOWN,
                              .temperature_c = UNKNOWN,
                              .sm_clock_mhz = UNKNOWN,
                              .memory_clock_mhz = UNKNOWN,
                              .throttle_bits = UNKNOWN,
                              .energy_joules = UNKNOWN,
                              .ecc_corrected = UNKNOWN,
                              .ecc_uncorrected = UNKNOWN,
                              .mig = UNKNOWN};
    return gpu;
}

static struct sample sample_at(double second, const struct gpu_reading *gpu)
{
    return (struct sample){.host = "node7",
                           .reason = "",
                           .unix_ms = START_MS + (int64_t)(second * 1000),
                           .monotonic_ms = (int64_t)(second * 1000),
                           .memory = {64 * GIB, 48 * GIB, 0, 0, UNKNOWN, UNKNOWN},
                           .gpus = gpu,
                           .gpu_count = gpu ? 1 : 0};
}

static void add(struct history *history, double second, double used_gib)
{
    const struct gpu_reading gpu = gpu_of(used_gib, 80);
    const struct sample sample = sample_at(second, &gpu);
    assert_true(history_add(history, &sample));
}

static struct statistics figures(const struct history *history, double minutes)
{
    struct statistics statistics;
    assert_int_equal(statistics_compute(history, minutes, NULL, &arena, &statistics), STATUS_OK);
    return statistics;
}

/* --- time --- */

static void time_is_read_as_it_is_written(void **state)
{
    static const char *const bad[] = {"",
                                      "2026-11-29",
                                      "2026-02-30T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-11-29T24:00:00Z",
                                      "2026-11-29T00:00:00",
                                      "2026-11-29T00:00:00.Z",
                                      "2026-11-29T00:00:00+01:00",
                                      "2026-11-29T00:00:00Zx"};
    char text[SAMPLE_TIME_BYTES];
    int64_t ms = 0;
    (void)state;
    for (int64_t at = 0; at < 4000000000000LL; at += 98765432101LL) {
        assert_true(sample_time_parse(sample_time_format(at, text), &ms));
        assert_int_equal(ms, at);
    }
    assert_true(sample_time_parse("2026-11-29T03:04:05.1239Z", &ms));
    assert_string_equal(sample_time_format(ms, text), "2026-11-29T03:04:05.123Z");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(sample_time_parse(bad[i], &ms));
}

static void clocks_may_jump(void **state)
{
    struct sample_clock clock = {0};
    struct sample sample = sample_at(100, NULL);
    (void)state;
    assert_int_equal(sample_clock_add(&clock, &sample), 0);
    sample = sample_at(101, NULL);
    sample.unix_ms -= 3600000; /* set back an hour: no matter */
    assert_int_equal(sample_clock_add(&clock, &sample), 1000);
    sample.monotonic_ms = 5000; /* started again, ten seconds later */
    sample.unix_ms += 10000;
    assert_int_equal(sample_clock_add(&clock, &sample), 11000);
    sample.monotonic_ms = 1000; /* and once more, with both going back */
    sample.unix_ms -= 10000;
    assert_int_equal(sample_clock_add(&clock, &sample), 11000);
}

/* --- the ring and windows --- */

static void the_ring_keeps_the_newest(void **state)
{
    struct history *history = history_new(1000);
    (void)state;
    assert_null(history_last(history));
    for (int i = 0; i < 2500; i++)
        add(history, i, 1);
    assert_int_equal(history_count(history), 1000);
    assert_int_equal(history_at(history, 0)->monotonic_ms, 1500000);
    assert_int_equal(history_last(history)->monotonic_ms, 2499000);
    assert_int_equal(history_count(history) - history_window(history, 10), 601); /* the article's >= */
    assert_int_equal(history_window(history, 1e6), 0);
    history_free(history);
}

/* The article's get_statistics, computed here as it stands there. */
static void statistics_are_the_articles(void **state)
{
    static const double used[] = {10, 72.5, 40.25, 61, 20};
    struct history *history = history_new(10);
    double sum = 0;
    struct out out;
    (void)state;
    for (int i = 0; i < 5; i++) {
        add(history, i * 5, used[i]);
        sum += used[i] / 80;
    }
    const struct statistics statistics = figures(history, 10);
    const struct memory_statistics *memory = &statistics.gpus[0].memory;
    assert_int_equal(statistics.sample_count, 5);
    assert_true(memory->usage_ratio.avg == sum / 5 && memory->usage_ratio.max == 72.5 / 80);
    assert_true(memory->usage_ratio.min == 10.0 / 80 && memory->usage_ratio.current == 20.0 / 80);
    assert_true(memory->usage_ratio.p95 == 72.5 / 80 && statistics.system_memory.usage_ratio.avg == 0.25);
    out_init(&out, 0);
    statistics_write_article(&out, NULL, &statistics);
    out_raw(&out, "", 1);
    assert_string_equal(out.data,
                        "{\"window_minutes\":10,\"sample_count\":5,\"gpu_memory\":{\"avg_usage_ratio\":0.509375,"
                        "\"max_usage_ratio\":0.90625,\"min_usage_ratio\":0.125,\"current_usage_gb\":20,"
                        "\"total_gb\":80},\"system_memory\":{\"avg_usage_ratio\":0.25,\"max_usage_ratio\":0.25,"
                        "\"min_usage_ratio\":0.25,\"current_usage_gb\":16,\"total_gb\":64}}");
    out_done(&out);
    assert_int_equal(figures(history, 0.1).sample_count, 2);
    history_free(history);
}

static void empty_windows_know_nothing(void **state)
{
    struct history *history = history_new(3);
    struct out out;
    (void)state;
    const struct statistics statistics = figures(history, 10);
    assert_int_equal(statistics.sample_count, 0);
    assert_true(isnan(statistics.system_memory.usage_ratio.avg));
    out_init(&out, 0);
    statistics_write_article(&out, NULL, &statistics);
    out_raw(&out, "", 1);
    assert_string_equal(out.data, "{}");
    out_done(&out);
    history_free(history);
}

static void counters_may_begin_anew(void **state)
{
    static const double joules[] = {1000, 1300, 50, 250, 250};
    struct history *history = history_new(10);
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct gpu_reading gpu = gpu_of(1, 80);
        gpu.energy_joules = joules[i];
        const struct sample sample = sample_at(i, &gpu);
        assert_true(history_add(history, &sample));
    }
    assert_true(figures(history, 10).gpus[0].energy_joules == 300 + 50 + 200);
    history_free(history);
}

/* --- alerts --- */

struct told {
    size_t count;
    enum alert_state last;
};

static void take_note(void *data, const struct alert *alert)
{
    struct told *told = data;
    told->count++;
    told->last = alert->state;
}

static struct alert_set *alerts_for(double for_s)
{
    const struct alert_rule rule = {ALERT_GPU_MEMORY, 0.85, 0.05, for_s};
    struct alert_set *set = alert_set_new(&rule, 1);
    assert_non_null(set);
    return set;
}

static enum alert_state step(struct alert_set *set, double second, double used_gib, struct told *told)
{
    const struct gpu_reading gpu = gpu_of(used_gib, 80);
    const struct sample sample = sample_at(second, &gpu);
    assert_true(alert_set_update(set, &sample, take_note, told));
    return alert_set_at(set, 0)->state;
}

static void alerts_have_hysteresis(void **state)
{
    struct alert_set *set = alerts_for(0);
    struct told told = {0};
    (void)state;
    assert_int_equal(step(set, 0, 68, &told), ALERT_OK); /* 0.85 is not over it */
    assert_int_equal(step(set, 1, 68.1, &told), ALERT_FIRING);
    for (int i = 2; i < 50; i++) /* to and fro at the threshold: nobody is told again */
        assert_int_equal(step(set, i, i % 2 ? 69 : 66, &told), ALERT_FIRING);
    assert_int_equal(told.count, 1);
    assert_int_equal(step(set, 50, 64, &told), ALERT_RESOLVED); /* 0.80 */
    assert_int_equal(step(set, 51, 67, &told), ALERT_RESOLVED);
    assert_int_equal(step(set, 52, 70, &told), ALERT_FIRING);
    assert_int_equal(told.count, 3);
    assert_int_equal(step(set, 53, UNKNOWN, &told), ALERT_FIRING); /* what is not known changes nothing */
    alert_set_free(set);
}

static void alerts_wait_for_their_time(void **state)
{
    struct alert_set *set = alerts_for(30);
    struct told told = {0};
    (void)state;
    assert_int_equal(step(set, 0, 70, &told), ALERT_PENDING);
    assert_int_equal(step(set, 29, 70, &told), ALERT_PENDING);
    assert_int_equal(step(set, 29.5, 60, &told), ALERT_OK); /* and begins anew */
    assert_int_equal(step(set, 30, 70, &told), ALERT_PENDING);
    assert_int_equal(step(set, 59.9, 75, &told), ALERT_PENDING);
    assert_int_equal(told.count, 0);
    assert_int_equal(step(set, 60, 70, &told), ALERT_FIRING);
    assert_true(alert_set_at(set, 0)->peak == 75.0 / 80);
    assert_int_equal(told.count, 1);
    alert_set_free(set);
}

static void thresholds_are_ratios(void **state)
{
    (void)state;
    assert_int_equal(alert_check_ratio(0.85, "t", &problems), STATUS_OK);
    assert_int_equal(alert_check_ratio(1, "t", &problems), STATUS_OK);
    assert_int_equal(alert_check_ratio(85, "t", &problems), STATUS_OUT_OF_RANGE);
    assert_string_equal(problems.items[0].detail, "a ratio is wanted: 0.85");
    assert_int_equal(alert_check_ratio(0, "t", &problems), STATUS_OUT_OF_RANGE);
    assert_int_equal(alert_check_ratio(-1, "t", &problems), STATUS_OUT_OF_RANGE);
    assert_int_equal(alert_check_ratio(101, "t", &problems), STATUS_OUT_OF_RANGE);
}

/* --- trends --- */

enum { POINTS = 600 };
static struct trend_point points[POINTS];

/* Uniform in -1 … 1, from a fixed seed: Numerical Recipes' linear congruence. */
static double noise(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (double)*seed / 2147483648.0 - 1;
}

static void lines_are_found_exactly(void **state)
{
    (void)state;
    for (int scale = 1; scale <= 1000; scale *= 10) {
        for (int i = 0; i < POINTS; i++)
            points[i] = (struct trend_point){i / 60.0, scale * (10 + i / 60.0)};
        const struct forecast full = trend_full_in(points, POINTS, scale * 80.0);
        assert_true(fabs(full.value - (70 - (POINTS - 1) / 60.0)) < 0.1);
        assert_true(full.low <= full.value && full.value <= full.high);
    }
    for (int i = 0; i < POINTS; i++)
        points[i].value = 1000 - points[i].value / 100;
    assert_true(isnan(trend_full_in(points, POINTS, 2000).value)); /* it falls */
    assert_true(isnan(trend_full_in(points, 7, 2000).value));      /* too few to tell */
    assert_true(isnan(trend_full_in(points, 0, 2000).value));
}

static void outliers_turn_nothing(void **state)
{
    uint32_t seed = 7;
    (void)state;
    for (int i = 0; i < POINTS; i++)
        points[i] = (struct trend_point){i / 60.0, i % 10 == 3 ? 0 : 10 + i / 60.0 + noise(&seed) / 10};
    const struct slope slope = trend_slope(points, POINTS);
    assert_true(fabs(slope.value - 1) < 0.02 && slope.low <= 1 && slope.high >= 1);
}

static void steps_are_no_trend(void **state)
{
    (void)state;
    for (int at = 60; at < POINTS; at += 60) { /* a model was loaded */
        for (int i = 0; i < POINTS; i++)
            points[i] = (struct trend_point){i / 60.0, i < at ? 5 : 60};
        assert_true(isnan(trend_full_in(points, POINTS, 80).value));
    }
}

/* What has no direction is seldom taken to have one. */
static void noise_and_walks_seldom_rise(void **state)
{
    enum { SERIES = 200 };
    uint32_t seed = 12345;
    int of_noise = 0, of_walks = 0;
    (void)state;
    for (int n = 0; n < SERIES; n++) {
        double walk = 40;
        for (int i = 0; i < POINTS; i++)
            points[i] = (struct trend_point){i / 60.0, 40 + noise(&seed)};
        of_noise += trend_slope(points, POINTS).low > 0;
        for (int i = 0; i < POINTS; i++)
            points[i].value = walk += noise(&seed) / 10;
        of_walks += trend_slope(points, POINTS).low > 0;
    }
    print_message("rises seen in %d series: %d of noise, %d of walks\n", SERIES, of_noise, of_walks);
    assert_in_range(of_noise, 0, SERIES / 10); /* a twentieth is expected of an interval of 0.9 */
    assert_in_range(of_walks, 0, SERIES / 5);
}

/* --- JSON --- */

static char *batch_text(const struct sample *sample)
{
    struct out out;
    out_init(&out, 0);
    out_object(&out, NULL);
    out_text(&out, "schema", SAMPLE_SCHEMA);
    out_text(&out, "host", sample->host);
    out_array(&out, "samples");
    sample_write(&out, NULL, sample, true);
    out_array_end(&out);
    out_object_end(&out);
    out_raw(&out, "", 1);
    assert_false(out.failed);
    return out.data; /* to be freed */
}

static void batches_are_read_as_they_were_written(void **state)
{
    const struct gpu_process processes[] = {{4711, "python3", 70 * GIB}, {42, "", UNKNOWN}};
    const struct gpu_instance instances[] = {{"MIG-1", 20 * GIB, 3 * GIB}};
    struct gpu_reading gpu = gpu_of(70.123, 80);
    struct sample_batch batch;
    (void)state;
    gpu.processes = processes;
    gpu.process_count = 2;
    gpu.instances = instances;
    gpu.instance_count = 1;
    gpu.throttle_bits = 4;
    gpu.mig = 1;
    const struct sample sample = sample_at(1.5, &gpu);
    char *text = batch_text(&sample);
    assert_int_equal(sample_batch_read(text, strlen(text), &arena, &problems, &batch), STATUS_OK);
    assert_int_equal(batch.count, 1);
    char *again = batch_text(&batch.samples[0]);
    assert_string_equal(text, again);
    struct sample *copy = sample_copy(&batch.samples[0]);
    char *copied = batch_text(copy);
    assert_string_equal(text, copied);
    free(text);
    free(again);
    free(copied);
    free(copy);
}

static void bad_members_are_named(void **state)
{
    static const char text[] =
        "{\"schema\":\"monitor/2\",\"samples\":[{\"time\":\"yesterday\",\"monotonic_ms\":1.5,\"gpus\":["
        "{\"index\":0,\"memory_used_bytes\":-1},{\"uuid\":\"a\",\"index\":0,\"mig\":3},{\"uuid\":\"a\",\"index\":1}]},"
        "7]}";
    static const char *const fields[] = {"schema",
                                         "host",
                                         "samples[0].time",
                                         "samples[0].monotonic_ms",
                                         "samples[0].gpus[0].uuid",
                                         "samples[0].gpus[0].memory_used_bytes",
                                         "samples[0].gpus[1].mig",
                                         "samples[0].gpus[2].uuid",
                                         "samples[1]"};
    struct sample_batch batch;
    (void)state;
    assert_int_not_equal(sample_batch_read(text, strlen(text), &arena, &problems, &batch), STATUS_OK);
    assert_int_equal(problems.count, sizeof fields / sizeof *fields);
    for (size_t i = 0; i < problems.count; i++) {
        bool listed = false;
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
            listed = listed || strcmp(fields[f], problems.items[i].field) == 0;
        if (!listed) fail_msg("%s: %s", problems.items[i].field, problems.items[i].detail);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(time_is_read_as_it_is_written, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(clocks_may_jump, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(the_ring_keeps_the_newest, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(statistics_are_the_articles, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(empty_windows_know_nothing, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(counters_may_begin_anew, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(alerts_have_hysteresis, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(alerts_wait_for_their_time, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(thresholds_are_ratios, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(lines_are_found_exactly, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(outliers_turn_nothing, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(steps_are_no_trend, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(noise_and_walks_seldom_rise, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(batches_are_read_as_they_were_written, fixture_setup_empty, fixture_teardown),
        cmocka_unit_test_setup_teardown(bad_members_are_named, fixture_setup_empty, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
