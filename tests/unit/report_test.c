/* report_test.c owns the proof of calibrate/report.h: what of a report becomes a calibration, what is doubted, what is
 * refused, and what retires what. */
#include "calibrate/report.h"

#include "catalog/load.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct snapshot *catalog;
static struct arena arena;
static struct problems problems;
static const date_t today = {20786}; /* 2026-11-29 */

static int setup_catalog(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    assert_int_equal(catalog_load(catalog_bundled(), &problems, &catalog), STATUS_OK);
    arena_done(&arena);
    return 0;
}

static int teardown_catalog(void **state)
{
    (void)state;
    snapshot_free(catalog);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

#define H200 "\"model\":\"NVIDIA H200\",\"compute_capability\":\"9.0\",\"driver\":\"580.95\",\"sm_clock_max_mhz\":1980"
#define READ_OF(value) "\"fit\":{\"dram_read_gb_per_s\":" #value "}"

/* A report of one device: the members of its `device`, and those beside it. */
static const char *report_of(const char *device, const char *more)
{
    return arena_printf(
        &arena,
        "{\"schema\":\"calibration/1\",\"device_kind\":\"cuda\",\"started_at\":\"2026-11-20T18:00:00Z\","
        "\"wall_seconds\":18.4,\"probe\":{\"version\":\"0.1\"},\"devices\":[{\"device\":{%s},%s}]}",
        device, more);
}

static enum status read_text(const char *text, struct report *ret_report)
{
    problems.count = 0;
    return report_read(catalog, text, strlen(text), "own", today, &arena, &problems, ret_report);
}

static struct report_entry read_one(const char *device, const char *more)
{
    struct report report;
    enum status status = read_text(report_of(device, more), &report);
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s %s\n", problems.items[i].field, problems.items[i].detail);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(report.entry_count, 1);
    return report.entries[0];
}

static void assert_used(struct report_entry entry)
{
    assert_string_equal(entry.calibration.reason, "");
    assert_int_equal(entry.calibration.state, CALIBRATION_USED);
}

static void assert_suspect(struct report_entry entry, const char *reason)
{
    assert_int_equal(entry.calibration.state, CALIBRATION_SUSPECT);
    if (!strstr(entry.calibration.reason, reason)) fail_msg("%s", entry.calibration.reason);
    assert_non_null(strstr(entry.calibration.source, entry.calibration.reason));
}

static void refuse(const char *device, const char *more, enum status wanted, const char *field, const char *detail)
{
    struct report report;
    assert_int_equal(read_text(report_of(device, more), &report), wanted);
    assert_true(problems.count > 0);
    assert_string_equal(problems.items[0].field, field);
    if (!strstr(problems.items[0].detail, detail)) fail_msg("%s", problems.items[0].detail);
}

static void test_every_figure(void **state)
{
    (void)state;
    struct report_entry entry = read_one(
        H200,
        "\"fit\":{\"dram_read_gb_per_s\":4300.00049,\"kv_read\":{\"gb_per_s\":4100},\"gemm\":{\"bf16\":{"
        "\"peak_tflops\":790},\"fp16\":{\"peak_tflops\":700},\"fp8_e4m3\":{\"peak_tflops\":1400},\"int8\":{"
        "\"peak_tflops\":1300},\"tf32\":{\"peak_tflops\":400},\"fp32\":{\"peak_tflops\":50}},\"launch\":{"
        "\"graph_node_us\":1.2},\"all_reduce\":{\"2\":{\"alpha_us\":9,\"busbw_gb_per_s\":300},\"8\":{\"alpha_us\":16,"
        "\"busbw_gb_per_s\":446}}}");
    const struct calibration *calibration = &entry.calibration;
    assert_used(entry);
    assert_string_equal(calibration->gpu->id, "h200-sxm");
    assert_true(calibration->memory_gb_per_s == 4300 && calibration->kv_gb_per_s == 4100);
    assert_true(calibration->product_tflops[PEAK_FP16] == 790 && calibration->product_tflops[PEAK_FP8] == 1400);
    assert_true(calibration->product_tflops[PEAK_INT8] == 1300 && calibration->product_tflops[PEAK_TF32] == 400);
    assert_true(calibration->product_tflops[PEAK_FP32] == 50 && !is_known(calibration->product_tflops[PEAK_FP4]));
    assert_true(calibration->launch_us == 1.2 && calibration->allreduce_gpus == 8);
    assert_true(calibration->allreduce_us == 16 && calibration->allreduce_gb_per_s == 446);
    assert_string_equal(calibration->source, "gpusize-probe 0.1, 18.4 s");
    assert_string_equal(calibration->driver, "580.95");
    assert_true(entry.sm_clock_max_mhz == 1980);
    assert_int_equal(strlen(calibration->id), REPORT_ID_DIGITS);
}

static void test_ids_are_of_the_figures(void **state)
{
    (void)state;
    const char *first = read_one(H200, READ_OF(4300)).calibration.id;
    assert_string_equal(read_one(H200 ",\"later\":1", READ_OF(4300.0) ",\"later\":[]").calibration.id, first);
    assert_string_not_equal(read_one(H200, READ_OF(4301)).calibration.id, first);
    assert_string_not_equal(read_one(H200 ",\"key\":\"0123456789abcdef\"", READ_OF(4300)).calibration.id, first);
    assert_string_not_equal(read_one(H200 ",\"pci_bus_id\":\"0000:18:00.0\"", READ_OF(4300)).calibration.id, first);
}

static void test_results_stand_in_for_a_fit(void **state)
{
    (void)state;
    struct report_entry entry = read_one(
        H200,
        "\"results\":[{\"name\":\"dram_read\",\"status\":\"passed\",\"unit\":\"GB/s\",\"value\":4200},"
        "{\"name\":\"gemm\",\"status\":\"passed\",\"unit\":\"TFLOP/s\",\"value\":300,\"shape\":{\"dtype\":\"fp16\"}},"
        "{\"name\":\"gemm\",\"status\":\"passed\",\"unit\":\"TFLOP/s\",\"value\":700,\"shape\":{\"dtype\":\"fp16\"}},"
        "{\"name\":\"gemm\",\"status\":\"error\",\"unit\":\"TFLOP/s\",\"value\":900,\"shape\":{\"dtype\":\"fp16\"}}]");
    assert_used(entry);
    assert_true(entry.calibration.memory_gb_per_s == 4200 && entry.calibration.product_tflops[PEAK_FP16] == 700);
}

static void test_the_limits_of_a_peak(void **state)
{
    (void)state;
    assert_used(read_one(H200, READ_OF(4944)));
    refuse(H200, READ_OF(4945), STATUS_OUT_OF_RANGE, "devices[0].fit.dram_read_gb_per_s",
           "4945 GB/s is 1.03 times what h200-sxm can do (4800)");
    assert_used(read_one(H200, READ_OF(2400)));
    assert_suspect(read_one(H200, READ_OF(2399)), "dram_read_gb_per_s of 2399 GB/s is 0.50 of the peak, under half");
    assert_suspect(read_one(H200, "\"fit\":{\"gemm\":{\"bf16\":{\"peak_tflops\":400}}}"),
                   "gemm.bf16.peak_tflops of 400");
    static const char l40s[] = "\"fit\":{\"gemm\":{\"fp8_e4m3\":{\"peak_tflops\":%d}}}"; /* published: 360 of 733 */
    assert_used(read_one("\"model\":\"NVIDIA L40S\"", arena_printf(&arena, l40s, 300)));
    assert_suspect(read_one("\"model\":\"NVIDIA L40S\"", arena_printf(&arena, l40s, 280)), "under half");
    assert_used(read_one(H200, "\"fit\":{\"all_reduce\":{\"8\":{\"busbw_gb_per_s\":700}}}")); /* switches add up */
    refuse(H200, "\"fit\":{\"all_reduce\":{\"8\":{\"busbw_gb_per_s\":950}}}", STATUS_OUT_OF_RANGE,
           "devices[0].fit.all_reduce", "2.11 times");
}

static void test_what_is_scattered_or_shared(void **state)
{
    (void)state;
    static const char read[] = "\"fit\":{\"dram_read_gb_per_s\":4300},\"results\":[{\"name\":\"dram_read\",\"status\":"
                               "\"passed\",\"unit\":\"GB/s\",\"value\":4300,\"p10\":%d,\"p90\":%d}%s]";
    assert_used(read_one(H200, arena_printf(&arena, read, 4100, 4500, "")));
    assert_suspect(read_one(H200, arena_printf(&arena, read, 4000, 4401, "")), "dram_read_gb_per_s is scattered");
    static const char later[] = ",{\"name\":\"dram_read\",\"status\":\"passed\",\"unit\":\"GB/s\",\"value\":%d}";
    assert_used(read_one(H200, arena_printf(&arena, read, 4200, 4400, arena_printf(&arena, later, 4100))));
    assert_suspect(read_one(H200, arena_printf(&arena, read, 4200, 4400, arena_printf(&arena, later, 3900))),
                   "9 % off at the end of the run");
    assert_suspect(read_one(H200, READ_OF(4300) ",\"conditions\":{\"shared\":true}"), "others used the GPU");
    assert_used(read_one(H200, READ_OF(4300) ",\"conditions\":{\"shared\":null}"));
    struct report_entry slice = read_one("\"model\":\"NVIDIA H100 80GB HBM3 MIG 1g.10gb\"", READ_OF(300));
    assert_suspect(slice, "a slice of a multi-instance GPU");
    assert_string_equal(slice.calibration.gpu->id, "h100-sxm");
    assert_suspect(read_one(H200 ",\"mig\":\"1g.18gb\"", READ_OF(4300)), "MIG");
    assert_suspect(read_one(H200 ",\"memory_total_bytes\":85899345920", READ_OF(4300)), "its memory is not that of");
}

static void test_own_kernels_are_no_rate_of_hopper(void **state)
{
    (void)state;
    static const char own[] =
        "\"fit\":{\"dram_read_gb_per_s\":%d,\"gemm\":{\"bf16\":{\"peak_tflops\":%d,\"impl\":\"own\"}}}";
    struct report_entry hopper = read_one(H200, arena_printf(&arena, own, 4300, 80));
    assert_used(hopper);
    assert_false(is_known(hopper.calibration.product_tflops[PEAK_FP16]));
    struct report_entry ampere = read_one("\"model\":\"NVIDIA A100-SXM4-80GB\",\"compute_capability\":\"8.0\"",
                                          arena_printf(&arena, own, 1800, 240));
    assert_true(ampere.calibration.product_tflops[PEAK_FP16] == 240);
}

static void test_several_devices(void **state)
{
    (void)state;
    struct report report;
    const char *text = "{\"schema\":\"calibration/1\",\"device_kind\":\"cuda\",\"started_at\":\"2026-11-20T18:00:00Z\","
                       "\"devices\":[{\"device\":{" H200 "}," READ_OF(4300) "},{\"device\":{" H200 "}," READ_OF(
                           4300) "},{\"device\":{\"model\":\"Tesla K80\"},\"results\":[{\"name\":\"dram_read\","
                                 "\"status\":\"waived\",\"reason\":\"unsupported_compute_capability\"}]}]}";
    assert_int_equal(read_text(text, &report), STATUS_OK);
    assert_int_equal(report.entry_count, 2);
    assert_string_not_equal(report.entries[0].calibration.id, report.entries[1].calibration.id);
    assert_int_equal(report.left_out_count, 1);
    assert_string_equal(report.left_out[0].device, "Tesla K80");
    assert_string_equal(report.left_out[0].reason, "unsupported_compute_capability");
    const char *csv = report_csv(report.entries, report.entry_count, &arena);
    struct catalog_text files[CATALOG_FILE_COUNT], beside = {.name = "r.json", .text = csv, .length = strlen(csv)};
    struct snapshot *snapshot = NULL;
    memcpy(files, catalog_bundled(), sizeof files);
    files[FILE_CALIBRATIONS].over = &beside;
    assert_int_equal(catalog_load(files, &problems, &snapshot), STATUS_OK);
    assert_int_equal(snapshot->calibration_count, catalog->calibration_count + 2);
    assert_string_not_equal(snapshot->version, catalog->version);
    const struct gpu *gpu = NULL;
    assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_USER, "h200-sxm", "gpu", &problems, &gpu), STATUS_OK);
    const struct calibration *pool = snapshot_find_pool(snapshot, gpu, "own");
    assert_non_null(pool);
    assert_true(pool->memory_gb_per_s == 4300 && pool->usual);
    snapshot_free(snapshot);
}

static struct report_entry changed(struct report_entry entry, const char *started_at, const char *driver, double clock,
                                   const char *key)
{
    entry.calibration.started_at = started_at;
    entry.calibration.driver = driver;
    entry.sm_clock_max_mhz = clock;
    entry.device_key = key;
    return entry;
}

static void test_what_retires_what(void **state)
{
    (void)state;
    struct report_entry base = read_one(H200, READ_OF(4300));
    static const char first[] = "2026-11-01T00:00:00Z", second[] = "2026-11-02T00:00:00Z";
    static const struct {
        const char *driver, *key;
        double clock;
        bool retires;
    } cases[] = {
        {"580", "", 1980, false}, {"590", "", 1980, true},     {"580", "", 1700, true},   {"590", "a", 1980, true},
        {"", "", 1980, false},    {"580", "", UNKNOWN, false}, {"590", "b", 1980, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *key = *cases[i].key == 'b' ? "a" : "";
        struct report_entry pair[] = {changed(base, first, "580", 1980, key),
                                      changed(base, second, cases[i].driver, cases[i].clock, cases[i].key)};
        report_retire(pair, 2);
        assert_int_equal(pair[0].calibration.state, cases[i].retires ? CALIBRATION_RETIRED : CALIBRATION_USED);
        assert_int_equal(pair[1].calibration.state, CALIBRATION_USED);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("\"model\":\"NVIDIA H201\"", READ_OF(4300), STATUS_UNKNOWN_GPU, "devices[0].device.model",
           "there is no GPU");
    refuse(H200, "\"fit\":null", STATUS_INVALID_VALUE, "devices", "not one figure that answers use");
    refuse(H200, "\"fit\":{\"dram_read_gb_per_s\":-1}", STATUS_OUT_OF_RANGE, "devices[0].fit.dram_read_gb_per_s",
           "null");
    refuse(H200, "\"fit\":{\"gemm\":{\"int8\":7}}", STATUS_WRONG_TYPE, "devices[0].fit.gemm.int8", "must be an object");
    struct report report;
    assert_int_equal(read_text("{\"schema\":\"calibration/1\",\"device_kind\":\"cpu\",\"devices\":[]}", &report),
                     STATUS_MISSING_FIELD); /* of when it is, as well */
    assert_string_equal(problems.items[0].detail, "this report is of a CPU: nothing that answers use");
    assert_int_equal(read_text("{}", &report), STATUS_MISSING_FIELD);
    assert_int_equal(report_check_pool("published", "pool", &problems), STATUS_INVALID_VALUE);
    assert_int_equal(report_check_pool("lab/rack-7", "pool", &problems), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_figure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids_are_of_the_figures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_results_stand_in_for_a_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_limits_of_a_peak, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_scattered_or_shared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_kernels_are_no_rate_of_hopper, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_devices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_retires_what, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, setup_catalog, teardown_catalog);
}
