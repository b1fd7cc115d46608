/* summary_test.c owns the proof of kernels/summary.h: fits find again what the figures were made from. */
#include "kernels/summary.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double value, double expected, double ratio)
{
    if (!(fabs(value - expected) <= ratio * fabs(expected))) fail_msg("%.9g, not %.9g", value, expected);
}

/* --- a line --- */

static void test_line(void **state)
{
    (void)state;
    static const double amounts[] = {1e6, 1e7, 1e8, 1e9};
    double seconds[4];
    for (size_t i = 0; i < 4; i++)
        seconds[i] = 3e-6 + amounts[i] / 4e12;
    struct line_fit line = summary_fit_line(amounts, seconds, 4);
    assert_near(line.start_s, 3e-6, 1e-9);
    assert_near(line.rate_per_s, 4e12, 1e-9);
}

/* Every size counts the same: 1 % more of the largest does not hide the start. */
static void test_line_of_relative_errors(void **state)
{
    (void)state;
    static const double amounts[] = {1e6, 2e6, 1e9, 2e9};
    double seconds[4];
    for (size_t i = 0; i < 4; i++)
        seconds[i] = (3e-6 + amounts[i] / 4e12) * (i == 3 ? 1.01 : 1);
    struct line_fit line = summary_fit_line(amounts, seconds, 4);
    assert_near(line.start_s, 3e-6, 0.02);
    assert_near(line.rate_per_s, 4e12, 0.01);
}

static void test_line_starts_at_zero_at_the_earliest(void **state)
{
    (void)state;
    static const double amounts[] = {1e6, 1e9}, seconds[] = {1e-7, 1e-3};
    struct line_fit line = summary_fit_line(amounts, seconds, 2);
    assert_true(line.start_s == 0);
    assert_true(line.rate_per_s > 1e12 && line.rate_per_s < 1e13);
}

static void test_no_line(void **state)
{
    (void)state;
    static const double one_size[] = {1e6, 1e6}, seconds[] = {1e-6, 2e-6}, sizes[] = {1e6, 2e6},
                        falling[] = {2e-6, 1e-7};
    assert_true(isnan(summary_fit_line(one_size, seconds, 0).start_s));
    assert_true(isnan(summary_fit_line(one_size, seconds, 1).rate_per_s));
    assert_true(isnan(summary_fit_line(one_size, seconds, 2).rate_per_s));
    assert_true(isnan(summary_fit_line(sizes, falling, 2).rate_per_s));
}

/* --- a corner --- */

static const double sizes[] = {1, 8, 32, 128, 512, 4096};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

/* The parts of the published table: peak, ridge, p. */
static const double parts[][3] = {
    {271.2, 191, 1.3}, {794.5, 335, 2.5}, {794.5, 249, 2.1},  {227, 330, 2.0},
    {1745, 351, 2.0},  {360, 288, 1.7},   {1402.6, 414, 1.4}, {3432.5, 663, 1.3},
};

static void make_curve(const double part[3], double noise, double ret_tflops[SIZES])
{
    for (size_t i = 0; i < SIZES; i++) {
        double fed = part[0] / part[1] * sizes[i];
        ret_tflops[i] = pow(pow(fed, -part[2]) + pow(part[0], -part[2]), -1 / part[2]) * (1 + (i % 2 ? noise : -noise));
    }
}

static void test_corner_of_published_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct gemm_fit fit = {.dtype = "bf16"};
        double tflops[SIZES];
        make_curve(parts[i], 0, tflops);
        summary_fit_corner(sizes, tflops, SIZES, &fit);
        assert_near(fit.peak_tflops, parts[i][0], 1e-4);
        assert_near(fit.p, parts[i][2], 1e-3);
        assert_near(fit.slope_tflops_per_m, parts[i][0] / parts[i][1], 1e-4);
        assert_near(summary_corner_at(&fit, 512), tflops[4], 1e-4);
    }
}

static void test_corner_of_noisy_figures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct gemm_fit fit = {.dtype = "bf16"};
        double tflops[SIZES];
        make_curve(parts[i], 0.01, tflops);
        summary_fit_corner(sizes, tflops, SIZES, &fit);
        for (size_t m = 1; m < SIZES; m++)
            assert_near(summary_corner_at(&fit, sizes[m]), tflops[m], 0.03);
    }
}

/* A product with a vector is another kernel: however slow it is, it bends nothing. */
static void test_corner_without_the_vector(void **state)
{
    (void)state;
    struct gemm_fit fit = {.dtype = "bf16"};
    double tflops[SIZES];
    make_curve(parts[1], 0, tflops);
    tflops[0] /= 3;
    summary_fit_corner(sizes, tflops, SIZES, &fit);
    assert_near(fit.p, 2.5, 1e-3);
}

static void test_too_few_points_have_a_peak_only(void **state)
{
    (void)state;
    struct gemm_fit fit = {.dtype = "bf16"};
    static const double m[] = {1, 8, 4096}, tflops[] = {2, 18, 790};
    summary_fit_corner(m, tflops, 3, &fit);
    assert_near(fit.peak_tflops, 790, 0);
    assert_true(isnan(fit.p) && isnan(fit.slope_tflops_per_m));
    summary_fit_corner(m, tflops, 0, &fit);
    assert_true(isnan(fit.peak_tflops));
}

/* --- of results --- */

static struct kept_result *add(struct results *results, const char *name, double seconds, double counted)
{
    struct kept_result kept = {.result = probe_result_begin(name, "GB/s"), .impl = "own", .again = NAN};
    kept.result.samples = 3;
    for (size_t i = 0; i < 3; i++)
        kept.result.seconds[i] = seconds;
    if (counted > 0)
        probe_set_rate(&kept.result, counted, 1e9);
    else
        probe_set_time(&kept.result, 1e-6);
    results_add(results, &kept);
    return &results->items[results->count - 1];
}

static void add_gemm(struct results *results, const char *impl, const char *dtype, double part_peak)
{
    for (size_t i = 0; i < SIZES; i++) {
        const double part[] = {part_peak, 300, 2};
        double tflops[SIZES];
        make_curve(part, 0, tflops);
        struct kept_result *kept = add(results, "gemm", 1, 1);
        kept->result.value = tflops[i];
        kept->result.shape.m = (uint32_t)sizes[i];
        (void)snprintf(kept->result.shape.dtype, sizeof kept->result.shape.dtype, "%s", dtype);
        (void)snprintf(kept->impl, sizeof kept->impl, "%s", impl);
    }
}

static void test_nothing_follows_from_nothing(void **state)
{
    (void)state;
    struct results results = {0};
    struct summary summary = summary_of(&results);
    assert_true(isnan(summary.dram_read_gb_per_s) && isnan(summary.graph_node_us));
    assert_true(isnan(summary.kv_gb_per_s) && isnan(summary.kv_t0_us));
    assert_int_equal(summary.gemm_count + summary.all_reduce_count, 0);
}

static void test_the_figures(void **state)
{
    (void)state;
    struct results results = {0};
    (void)add(&results, "dram_read", 0.25, 1e9);
    (void)add(&results, "graph_node", 1.25e-6, 0);
    for (double bytes = 1e7; bytes < 1e10; bytes *= 10) {
        struct kept_result *kept = add(&results, "decode_attention", 3e-6 + bytes / 4e12, bytes);
        kept->result.shape.context_tokens = 1024;
    }
    (void)add(&results, "decode_gemv", 1, 1e9); /* reads no cache */
    struct summary summary = summary_of(&results);
    assert_near(summary.dram_read_gb_per_s, 4, 1e-9);
    assert_near(summary.graph_node_us, 1.25, 1e-9);
    assert_near(summary.kv_t0_us, 3, 1e-6);
    assert_near(summary.kv_gb_per_s, 4000, 1e-6);
    results_free(&results);
}

static void test_what_is_doubted_counts_for_nothing(void **state)
{
    (void)state;
    struct results results = {0};
    add(&results, "dram_read", 0.25, 1e9)->doubts = DOUBT_SPREAD;
    struct kept_result *failed = add(&results, "dram_read", 0.25, 1e9);
    probe_fail(&failed->result, PROBE_ERROR, REASON_VERIFICATION, "wrong");
    assert_true(isnan(summary_of(&results).dram_read_gb_per_s));
    (void)add(&results, "dram_read", 0.5, 1e9);
    assert_near(summary_of(&results).dram_read_gb_per_s, 2, 1e-9);
    results_free(&results);
}

static void test_the_library_stands_for_the_chip(void **state)
{
    (void)state;
    struct results results = {0};
    add_gemm(&results, "own", "bf16", 400);
    add_gemm(&results, "cublaslt", "bf16", 800);
    add_gemm(&results, "own", "int8", 900);
    struct summary summary = summary_of(&results);
    assert_int_equal(summary.gemm_count, 2);
    assert_string_equal(summary.gemm[0].dtype, "bf16");
    assert_string_equal(summary.gemm[0].impl, "cublaslt");
    assert_near(summary.gemm[0].peak_tflops, 800, 1e-3);
    assert_string_equal(summary.gemm[1].impl, "own");
    assert_near(summary.gemm[1].peak_tflops, 900, 1e-3);
    assert_near(summary.gemm[1].slope_tflops_per_m, 3, 1e-3);
    results_free(&results);
}

static void test_all_reduce_by_size_of_the_ring(void **state)
{
    (void)state;
    struct results results = {0};
    for (uint32_t gpus = 2; gpus <= 8; gpus *= 2) {
        for (double bytes = 8192; bytes < 2e8; bytes *= 16) {
            double crossing = 2.0 * (gpus - 1) / gpus * bytes;
            struct kept_result *kept = add(&results, "all_reduce", 16e-6 + crossing / 430e9, 0);
            kept->result.shape.bytes = (uint64_t)bytes;
            kept->result.shape.gpus = gpus;
        }
    }
    struct summary summary = summary_of(&results);
    assert_int_equal(summary.all_reduce_count, 3);
    assert_int_equal(summary.all_reduce[2].gpus, 8);
    for (size_t i = 0; i < 3; i++) {
        assert_near(summary.all_reduce[i].alpha_us, 16, 1e-3);
        assert_near(summary.all_reduce[i].busbw_gb_per_s, 430, 1e-3);
    }
    results_free(&results);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_line_of_relative_errors),
        cmocka_unit_test(test_line_starts_at_zero_at_the_earliest),
        cmocka_unit_test(test_no_line),
        cmocka_unit_test(test_corner_of_published_parts),
        cmocka_unit_test(test_corner_of_noisy_figures),
        cmocka_unit_test(test_corner_without_the_vector),
        cmocka_unit_test(test_too_few_points_have_a_peak_only),
        cmocka_unit_test(test_nothing_follows_from_nothing),
        cmocka_unit_test(test_the_figures),
        cmocka_unit_test(test_what_is_doubted_counts_for_nothing),
        cmocka_unit_test(test_the_library_stands_for_the_chip),
        cmocka_unit_test(test_all_reduce_by_size_of_the_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
