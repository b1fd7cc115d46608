/* report_test.c owns the proof of kernels/report.h and of the verdicts: what nobody knows is null, and never 0. */
#include "kernels/report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct probe_build build = {.version = "1.2.3", .cuda = "", .sass = "", .ptx = ""};

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("no %s in %s", part, text);
}

static struct kept_result passed(const char *name)
{
    struct kept_result kept = {
        .result = probe_result_begin(name, "GB/s"), .impl = "own", .verified = "checksum", .again = NAN};
    kept.result.samples = 2;
    kept.result.seconds[0] = kept.result.seconds[1] = 0.25;
    kept.result.shape.bytes = 1 << 20;
    probe_set_rate(&kept.result, 1e9, 1e9);
    return kept;
}

static void assert_report(const struct host_run *host, bool with_samples, const char *const *parts)
{
    char *text = report_make(host, &build, with_samples);
    assert_non_null(text);
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
    for (; *parts; parts++)
        assert_has(text, *parts);
    free(text);
}

static struct host_run of_cpu(void)
{
    struct host_run host = {.choice = DEVICE_ALL, .started_at = "2026-11-29T12:00:00Z", .wall_s = 2.5};
    struct kept_result kept = passed("cpu_triad");
    host.load1 = NAN;
    host.why_not = probe_result_begin("device", "");
    probe_fail(&host.why_not, PROBE_WAIVED, REASON_NO_DRIVER, "none");
    results_add(&host.cpu, &kept);
    return host;
}

static void test_the_cpu_stands_in(void **state)
{
    (void)state;
    struct host_run host = of_cpu();
    static const char *const parts[] = {
        "{\"schema\":\"calibration/"
        "1\",\"status\":\"passed\",\"device_kind\":\"cpu\",\"reason\":\"no_driver\",\"detail\":\"none\"",
        "\"started_at\":\"2026-11-29T12:00:00Z\",\"wall_seconds\":2.5",
        "\"probe\":{\"version\":\"1.2.3\",\"build\":{\"cuda\":null,\"sass\":[],\"ptx\":[]}},\"devices\":[]",
        "\"load1\":null",
        "\"name\":\"cpu_triad\",\"status\":\"passed\",\"reason\":null,\"detail\":null,\"unit\":\"GB/s\",\"value\":4",
        "\"again\":null,\"samples\":2,\"discarded\":0,\"launches\":0,\"counted\":{\"bytes\":1000000000}",
        "\"fraction_of_peak\":null,\"sm_clock_mhz\":null,\"impl\":\"own\",\"shape\":{\"bytes\":1048576}",
        "\"suspect\":[],\"seconds\":0.5}",
        NULL,
    };
    assert_report(&host, false, parts);
    static const char *const samples[] = {"\"samples_seconds\":[0.25,0.25]", NULL};
    assert_report(&host, true, samples);
    host_run_free(&host);
}

static void test_a_failure_has_no_value(void **state)
{
    (void)state;
    struct host_run host = of_cpu();
    probe_fail(&host.cpu.items[0].result, PROBE_ERROR, REASON_VERIFICATION, "the sum is \"wrong\"");
    static const char *const parts[] = {
        "\"status\":\"error\",\"device_kind\":\"cpu\"",
        "\"reason\":\"verification\",\"detail\":\"the sum is "
        "\\\"wrong\\\"\",\"unit\":\"GB/s\",\"value\":null,\"p10\":null,\"p90\":null",
        NULL,
    };
    assert_report(&host, false, parts);
    host_run_free(&host);
}

static struct host_run of_gpu(void)
{
    struct host_run host = {.choice = DEVICE_CUDA};
    struct kept_result kept = passed("dram_read");
    host.why_not.status = PROBE_PASSED;
    host.device_count = 1;
    host.devices = calloc(1, sizeof *host.devices);
    assert_non_null(host.devices);
    struct measured_device *device = host.devices;
    device->why_not.status = PROBE_PASSED;
    device->context_bytes = NAN;
    device->facts = (struct probe_device){.cc_major = 9, .peak_dram_gb_per_s = 5};
    (void)snprintf(device->facts.name, sizeof device->facts.name, "NVIDIA H200");
    (void)snprintf(device->facts.pci_bus_id, sizeof device->facts.pci_bus_id, "00000000:1A:00.0");
    results_add(&device->results, &kept);
    device->summary = summary_of(&device->results);
    return host;
}

static void test_a_gpu_of_which_little_is_known(void **state)
{
    (void)state;
    struct host_run host = of_gpu();
    static const char *const parts[] = {
        "\"status\":\"passed\",\"device_kind\":\"cuda\",\"reason\":null",
        "\"key\":null,\"ordinal\":0,\"model\":\"NVIDIA "
        "H200\",\"pci\":{\"domain\":0,\"bus\":26,\"device\":0,\"vendor_device\":null}",
        "\"compute_capability\":\"9.0\",\"sm_count\":null,\"l2_bytes\":null,\"memory_total_bytes\":null",
        "\"mig\":null,\"mps\":null,\"virtual\":null,\"driver\":null",
        "\"peak_dram_gb_per_s\":5,\"peak_source\":\"driver\"",
        "\"conditions\":{\"before\":null,\"after\":null,\"shared\":false}",
        "\"fraction_of_peak\":0.8",
        "\"fit\":{\"dram_read_gb_per_s\":4,\"kv_read\":null,\"gemm\":{},\"launch\":null,\"all_reduce\":{}}",
        NULL,
    };
    assert_report(&host, false, parts);
    host_run_free(&host);
}

static void test_conditions(void **state)
{
    (void)state;
    struct host_run host = of_gpu();
    struct nvml_facts *before = &host.devices->before;
    *before = (struct nvml_facts){.known = true, .driver = "580.95", .throttle_bits = 4 + 1024, .power_watts = 75.25};
    before->mig = 1;
    before->temperature_c = before->pcie_gen = NAN;
    host.devices->shared = true;
    static const char *const parts[] = {
        "\"mig\":true",
        "\"driver\":\"580.95\"",
        "\"power_watts\":75.25,\"temperature_c\":null",
        "\"throttle\":[\"sw_power_cap\",\"bit_10\"]",
        "\"shared\":true",
        "\"fraction_of_peak\":null",
        "\"pcie\":{\"gen\":null,\"width\":0}",
        NULL,
    };
    assert_report(&host, false, parts);
    host_run_free(&host);
}

static void test_text_that_is_no_utf8_is_null(void **state)
{
    (void)state;
    struct host_run host = of_gpu();
    memcpy(host.devices->facts.name, "\xff\xfe", 3);
    static const char *const parts[] = {"\"model\":null", NULL};
    assert_report(&host, false, parts);
    host_run_free(&host);
}

/* passed, waived, errors of a GPU; whether there is one; passed results of the CPU: the verdict of all */
static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        enum device_choice choice;
        enum probe_status gpu, cpu, why_not;
        enum verdict verdict;
    } rows[] = {
        {DEVICE_ALL, PROBE_PASSED, PROBE_ERROR, PROBE_PASSED, VERDICT_PASSED},
        {DEVICE_ALL, PROBE_WAIVED, PROBE_PASSED, PROBE_PASSED, VERDICT_WAIVED},
        {DEVICE_ALL, PROBE_ERROR, PROBE_PASSED, PROBE_PASSED, VERDICT_ERROR},
        {DEVICE_CUDA, PROBE_WAIVED, PROBE_PASSED, PROBE_PASSED, VERDICT_WAIVED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct host_run host = of_gpu();
        struct kept_result cpu = passed("cpu_triad");
        host.choice = rows[i].choice;
        host.why_not.status = rows[i].why_not;
        host.devices->results.items[0].result.status = rows[i].gpu;
        cpu.result.status = rows[i].cpu;
        results_add(&host.cpu, &cpu);
        assert_int_equal(host_run_verdict(&host), rows[i].verdict);
        host_run_free(&host);
    }
    struct host_run alone = of_cpu();
    assert_int_equal(host_run_verdict(&alone), VERDICT_PASSED);
    alone.choice = DEVICE_CUDA;
    assert_int_equal(host_run_verdict(&alone), VERDICT_WAIVED);
    assert_string_equal(host_run_device_kind(&alone), "cuda");
    alone.choice = DEVICE_ALL;
    alone.why_not.status = PROBE_ERROR;
    assert_int_equal(host_run_verdict(&alone), VERDICT_ERROR);
    host_run_free(&alone);
}

static void test_names_of_groups(void **state)
{
    (void)state;
    assert_int_equal(host_run_group("stream", 6), 0);
    assert_int_equal(host_run_group("streams", 7), -1);
    assert_int_equal(host_run_group("", 0), -1);
    assert_null(host_run_group_name(-1));
    int count = 0;
    for (; host_run_group_name(count); count++) {
        const char *name = host_run_group_name(count);
        assert_int_equal(host_run_group(name, strlen(name)), count);
        assert_non_null(host_run_group_about(count));
    }
    assert_string_equal(host_run_group_name(count - 1), "cpu");
    assert_null(host_run_group_about(count));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_cpu_stands_in),
        cmocka_unit_test(test_a_failure_has_no_value),
        cmocka_unit_test(test_a_gpu_of_which_little_is_known),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_text_that_is_no_utf8_is_null),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_names_of_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
