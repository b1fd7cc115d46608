/* result_test.c owns the proof of kernels/results.h and kernels/probe.h: statistics, reasons, lists. */
#include "kernels/results.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct probe_result with_samples(const double *seconds, uint32_t count)
{
    struct probe_result result = probe_result_begin("dram_read", "GB/s");
    memcpy(result.seconds, seconds, count * sizeof *seconds);
    result.samples = count;
    return result;
}

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-9 * fabs(expected))) fail_msg("%.12g, not %.12g", value, expected);
}

static void test_begins_as_an_error(void **state)
{
    (void)state;
    struct probe_result result = probe_result_begin("a_name_that_is_longer_than_forty_seven_characters_is_cut", "GB/s");
    assert_int_equal(strlen(result.name), PROBE_NAME_BYTES - 1);
    assert_int_equal(result.status, PROBE_ERROR);
    assert_true(isnan(result.value) && isnan(result.p10) && isnan(result.p90));
    assert_int_equal(result.samples, 0);
}

static void test_rate(void **state)
{
    (void)state;
    static const double seconds[] = {0.5, 0.25, 1.0}; /* 2, 4, 1 GB/s */
    struct probe_result result = with_samples(seconds, 3);
    probe_set_rate(&result, 1e9, 1e9);
    assert_int_equal(result.status, PROBE_PASSED);
    assert_near(result.value, 2);
    assert_near(result.p10, 1.2);
    assert_near(result.p90, 3.6);
    assert_near(result.counted, 1e9);
}

static void test_time(void **state)
{
    (void)state;
    static const double seconds[] = {4e-6, 1e-6, 3e-6, 2e-6};
    struct probe_result result = with_samples(seconds, 4);
    probe_set_time(&result, 1e-6);
    assert_near(result.value, 2.5);
    assert_near(result.p10, 1.3);
    assert_near(result.p90, 3.7);
    assert_near(result.counted + 1, 1);
    assert_near(probe_median_s(&result), 2.5e-6);
}

static void test_one_sample_is_its_own_median(void **state)
{
    (void)state;
    static const double seconds[] = {2};
    struct probe_result result = with_samples(seconds, 1);
    probe_set_rate(&result, 8, 1);
    assert_near(result.value, 4);
    assert_near(result.p10, 4);
    assert_near(result.p90, 4);
}

static void test_no_time_is_no_figure(void **state)
{
    (void)state;
    static const double bad[][2] = {{0, 1}, {-1, 1}, {NAN, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct probe_result result = with_samples(bad[i], 2);
        probe_set_rate(&result, 1e9, 1e9);
        assert_int_equal(result.status, PROBE_ERROR);
        assert_int_equal(result.reason, REASON_VERIFICATION);
        assert_true(isnan(result.value));
    }
    struct probe_result none = probe_result_begin("dram_read", "GB/s");
    probe_set_rate(&none, 1e9, 1e9);
    assert_int_equal(none.status, PROBE_ERROR);
    assert_true(isnan(probe_median_s(&none)));
}

static void test_too_many_samples_are_those_that_there_are(void **state)
{
    (void)state;
    struct probe_result result = probe_result_begin("dram_read", "GB/s");
    for (size_t i = 0; i < PROBE_SAMPLES_MAX; i++)
        result.seconds[i] = 2;
    result.samples = 4 * PROBE_SAMPLES_MAX;
    probe_set_time(&result, 1);
    assert_near(result.value, 2);
}

static void test_a_failure_is_told_and_forgotten(void **state)
{
    (void)state;
    static const double seconds[] = {1};
    struct probe_result result = with_samples(seconds, 1);
    probe_fail(&result, PROBE_WAIVED, REASON_NOT_ENOUGH_MEMORY, "%d MiB", 12);
    assert_int_equal(result.status, PROBE_WAIVED);
    assert_string_equal(probe_reason_name(result.reason), "not_enough_memory");
    assert_string_equal(result.detail, "12 MiB");
    probe_set_time(&result, 1);
    assert_int_equal(result.status, PROBE_PASSED);
    assert_int_equal(result.reason, REASON_NONE);
    assert_string_equal(result.detail, "");
}

/* The list is closed: a name is added, never changed. */
static void test_reasons(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "no_driver",
                                        "driver_too_old",
                                        "driver_library_mismatch",
                                        "fabric_not_ready",
                                        "no_device",
                                        "device_in_use",
                                        "unsupported_compute_capability",
                                        "ptx_newer_than_driver",
                                        "compat_not_supported",
                                        "not_enough_memory",
                                        "dtype_not_in_hardware",
                                        "no_library",
                                        "one_device",
                                        "no_time_left",
                                        "built_without_cuda",
                                        "verification",
                                        "group_died",
                                        "timeout",
                                        "cuda_error"};
    assert_int_equal(sizeof names / sizeof names[0], REASON_COUNT);
    for (unsigned i = 0; i < REASON_COUNT; i++) {
        enum probe_reason reason = (enum probe_reason)i;
        assert_string_equal(probe_reason_name(reason), names[i]);
        assert_int_equal(probe_reason_named(names[i], strlen(names[i])), reason);
        if (i) assert_int_equal(probe_reason_is_error(reason), i >= REASON_VERIFICATION);
    }
    assert_int_equal(probe_reason_named("no_driver_", 9), REASON_NO_DRIVER);
    assert_int_equal(probe_reason_named("no_drive", 8), REASON_NONE);
    assert_string_equal(probe_reason_name(REASON_COUNT), "");
    assert_string_equal(probe_status_name(PROBE_WAIVED), "waived");
    assert_string_equal(probe_status_name((enum probe_status)7), "error");
    assert_string_equal(probe_doubt_name(1), "drift");
    assert_string_equal(probe_doubt_name(DOUBT_BIT_COUNT), "");
}

static void test_lists_keep_texts(void **state)
{
    (void)state;
    struct results results = {0};
    for (unsigned i = 0; i < 100; i++) {
        struct kept_result kept = {
            .result = probe_result_begin("dram_read", "GB/s"), .impl = "nccl", .verified = "walked"};
        kept.result.shape.m = i;
        results_add(&results, &kept);
    }
    assert_int_equal(results.count, 100);
    assert_int_equal(results.lost, 0);
    assert_int_equal(results_at(&results, 99)->shape.m, 99);
    assert_string_equal(results_at(&results, 99)->impl, "nccl");
    assert_string_equal(results_at(&results, 99)->verified, "walked");
    results_free(&results);
    assert_null(results.items);
}

static void test_lists_end(void **state)
{
    (void)state;
    struct results results = {0};
    const struct kept_result kept = {.result = probe_result_begin("dram_read", "GB/s")};
    for (unsigned i = 0; i < 5000; i++)
        results_add(&results, &kept);
    assert_int_equal(results.count + results.lost, 5000);
    assert_true(results.lost > 0);
    results_free(&results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begins_as_an_error),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_one_sample_is_its_own_median),
        cmocka_unit_test(test_no_time_is_no_figure),
        cmocka_unit_test(test_too_many_samples_are_those_that_there_are),
        cmocka_unit_test(test_a_failure_is_told_and_forgotten),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_lists_keep_texts),
        cmocka_unit_test(test_lists_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
