/* judge_test.c owns the proof of kernels/judge.h and of the keys of devices. */
#include "kernels/device_key.h"
#include "kernels/judge.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static unsigned doubts_of(const char *name, double value, double spread_ratio, double again, double peak)
{
    struct kept_result kept = {.result = probe_result_begin(name, "GB/s"), .again = again};
    struct results results = {.items = &kept, .count = 1};
    kept.result.status = PROBE_PASSED;
    kept.result.value = kept.result.p10 = value;
    kept.result.p90 = value * spread_ratio;
    judge_results(&results, peak);
    return kept.doubts;
}

static void test_doubts(void **state)
{
    (void)state;
    assert_int_equal(doubts_of("dram_read", 3000, 1.09, NAN, 3350), 0);
    assert_int_equal(doubts_of("dram_read", 3000, 1.11, NAN, 3350), DOUBT_SPREAD);
    assert_int_equal(doubts_of("dram_read", 3000, 1, 2880, 3350), 0);
    assert_int_equal(doubts_of("dram_read", 3000, 1, 2840, 3350), DOUBT_DRIFT);
    assert_int_equal(doubts_of("dram_read", 3000, 1, 3160, 3350), DOUBT_DRIFT);
    assert_int_equal(doubts_of("dram_read", 3440, 1, NAN, 3350), 0);
    assert_int_equal(doubts_of("dram_read", 3460, 1, NAN, 3350), DOUBT_ABOVE_PEAK);
    assert_int_equal(doubts_of("dram_memcpy", 1670, 1, NAN, 3350), DOUBT_UNDER_HALF);
    assert_int_equal(doubts_of("l2_read", 9000, 1, NAN, 3350), 0);  /* another memory */
    assert_int_equal(doubts_of("dram_read", 9000, 1, NAN, NAN), 0); /* nobody knows the peak */
    assert_int_equal(doubts_of("dram_read", 9000, 1, NAN, 0), 0);
    assert_int_equal(doubts_of("dram_read", 9000, 2, 4000, 3350), DOUBT_SPREAD | DOUBT_DRIFT | DOUBT_ABOVE_PEAK);
}

static void test_a_failure_is_not_doubted(void **state)
{
    (void)state;
    struct kept_result kept = {.result = probe_result_begin("dram_read", "GB/s"), .again = NAN};
    struct results results = {.items = &kept, .count = 1};
    judge_results(&results, 3350);
    assert_int_equal(kept.doubts, 0);
}

static void test_again_is_the_same_question(void **state)
{
    (void)state;
    struct kept_result first[3], second[2];
    struct results results = {.items = first, .count = 3}, again = {.items = second, .count = 2};
    static const char *const names[] = {"dram_read", "dram_copy", "l2_read"};
    for (size_t i = 0; i < 3; i++)
        first[i] = (struct kept_result){.result = probe_result_begin(names[i], "GB/s"), .again = NAN};
    for (size_t i = 0; i < 2; i++) {
        second[i] = first[i];
        second[i].result.status = i ? PROBE_ERROR : PROBE_PASSED;
        second[i].result.value = 7;
    }
    judge_note_again(&results, &again);
    assert_true(first[0].again == 7);
    assert_true(isnan(first[1].again) && isnan(first[2].again));
}

static struct nvml_facts quiet(void)
{
    struct nvml_facts facts = {.known = true};
    facts.busy_percent = facts.process_count = 0;
    facts.mps_process_count = facts.used_bytes = NAN;
    return facts;
}

static void test_signs_of_others(void **state)
{
    (void)state;
    const struct nvml_facts unknown = {0}, none = quiet();
    struct nvml_facts busy = quiet(), crowded = quiet(), full = quiet(), mps = quiet();
    busy.busy_percent = 6;
    crowded.process_count = 1;
    full.used_bytes = 1.1e9;
    mps.mps_process_count = 2;
    assert_false(judge_is_shared(&none, &none, false));
    assert_false(judge_is_shared(&unknown, &unknown, false));
    assert_false(judge_is_shared(&none, &busy, false)); /* by us */
    assert_true(judge_is_shared(&busy, &none, false));
    assert_true(judge_is_shared(&crowded, &none, false));
    assert_true(judge_is_shared(&none, &crowded, false));
    assert_true(judge_is_shared(&none, &full, false));
    assert_true(judge_is_shared(&mps, &none, false));
    assert_true(judge_is_shared(&none, &none, true));
}

static void test_names_of_throttling(void **state)
{
    (void)state;
    assert_string_equal(nvml_throttle_name(2), "sw_power_cap");
    assert_string_equal(nvml_throttle_name(6), "hw_thermal_slowdown");
    assert_null(nvml_throttle_name(40));
}

/* RFC 4231, test case 2: the first 8 bytes. */
static void test_device_key(void **state)
{
    (void)state;
    char key[DEVICE_KEY_BYTES];
    device_key("Jefe", 4, "what do ya want for nothing?", key);
    assert_string_equal(key, "5bdcc146bf60754e");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubts),
        cmocka_unit_test(test_a_failure_is_not_doubted),
        cmocka_unit_test(test_again_is_the_same_question),
        cmocka_unit_test(test_signs_of_others),
        cmocka_unit_test(test_names_of_throttling),
        cmocka_unit_test(test_device_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
