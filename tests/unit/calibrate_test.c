/* calibrate_test.c owns checks of what a calibration changes: rates, basis, intervals, and whose machines it is about.
 */
#include "sizing/calibrate.h"
#include "sizing/performance.h"
#include "sizing/recommend.h"
#include "support/fixture.h"
#include "support/fleet_ask.h"
#include "support/near.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLLOWED 0.8 /* of docs/fit.md, "Kernels" */

static struct deployment deployment_of(const char *model, const char *gpu, const char *engine, enum dtype dtype)
{
    struct deployment deployment = {.weight_dtype = dtype, .tensor_parallel = 2, .max_model_len_tokens = 4096};
    assert_int_equal(snapshot_find_model(snapshot, ALIAS_USER, model, "", &problems, &deployment.model), STATUS_OK);
    assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_USER, gpu, "", &problems, &deployment.gpu), STATUS_OK);
    assert_int_equal(snapshot_find_profile(snapshot, engine, "", "", &problems, &deployment.engine), STATUS_OK);
    deployment_default(&deployment);
    return deployment;
}

/* The published figures of its GPU, as if measured on this host. */
static struct calibration like_published(const struct deployment *deployment)
{
    const struct calibration *published = snapshot_find_pool(snapshot, deployment->gpu, CALIBRATION_PUBLISHED);
    assert_non_null(published);
    struct calibration own = *published;
    own.id = own.pool = CALIBRATION_OWN;
    return own;
}

static void assert_ratios(const struct deployment *deployment, enum peak peak, struct kernel_ratios expected)
{
    struct kernel_ratios found = calibrate_ratios(deployment, peak);
    assert_near("memory", found.memory, expected.memory, 1e-9);
    assert_near("kv", found.kv, expected.kv, 1e-9);
    assert_near("decode", found.decode, expected.decode, 1e-9);
    assert_near("prefill", found.prefill, expected.prefill, 1e-9);
    assert_near("attention", found.attention, expected.attention, 1e-9);
    assert_near("link", found.link, expected.link, 1e-9);
    assert_near("allreduce_us", found.allreduce_us, expected.allreduce_us, 1e-9);
}

static const struct kernel_ratios as_without = {1, 1, 1, 1, 1, 1, 1};

static void test_the_usual_changes_nothing(void **state)
{
    (void)state;
    struct deployment deployment = deployment_of("llama-3.3-70b", "h200-sxm", "sglang", DTYPE_FP8);
    assert_ratios(&deployment, PEAK_FP8, as_without);
    assert_false(calibrate_counts(&deployment));
    deployment = deployment_of("llama-3.3-70b", "h200-sxm", "vllm", DTYPE_FP8);
    assert_non_null(deployment.fits[FIT_LOAD_SERVED]); /* its rows were in the fit */
    struct calibration own = like_published(&deployment);
    deployment.calibration = &own;
    assert_ratios(&deployment, PEAK_FP8, as_without);
    assert_true(calibrate_counts(&deployment)); /* that it is as usual is known now */
}

static void test_a_slow_host_is_slow_by_as_much(void **state)
{
    (void)state;
    struct deployment deployment = deployment_of("llama-3.3-70b", "h200-sxm", "vllm", DTYPE_FP8);
    struct calibration own = like_published(&deployment);
    own.memory_gb_per_s *= 0.9;
    own.kv_gb_per_s *= 0.8;
    own.product_tflops[PEAK_FP8] *= 0.7;
    own.product_tflops[PEAK_FP16] *= 0.6;
    own.allreduce_gb_per_s *= 0.5;
    own.allreduce_us *= 2;
    deployment.calibration = &own;
    double product = pow(0.7, FOLLOWED);
    assert_ratios(&deployment, PEAK_FP8,
                  (struct kernel_ratios){pow(0.9, FOLLOWED), pow(0.8, FOLLOWED), product, product, pow(0.6, FOLLOWED),
                                         pow(0.5, FOLLOWED), pow(2, FOLLOWED)});
}

/* Of a GPU that no row was of, kernels compare with those of the GPUs of the fit; links and 4-bit products do not. */
static void test_a_gpu_outside_the_fit(void **state)
{
    (void)state;
    struct deployment deployment = deployment_of("llama-3.3-70b", "gb200", "vllm", DTYPE_NVFP4);
    const struct engine_coefs *coef = &deployment.engine->coef;
    struct calibration own = like_published(&deployment);
    assert_null(deployment.fits[FIT_LOAD_SERVED]);
    deployment.calibration = &own;
    struct kernel_ratios found = calibrate_ratios(&deployment, PEAK_FP8);
    double share = own.product_tflops[PEAK_FP8] / deployment.gpu->peak_tflops[PEAK_FP8];
    assert_near("decode", found.decode, pow(share / coef->kernel_8bit_ratio, FOLLOWED), 1e-9);
    assert_true(found.link == 1 && found.allreduce_us == 1);
    assert_true(found.memory == 1); /* was not measured */
    found = calibrate_ratios(&deployment, PEAK_FP4);
    share = own.product_tflops[PEAK_FP4] / deployment.gpu->peak_tflops[PEAK_FP4];
    assert_near("decode", found.decode,
                pow(share * coef->decode_8bit_ratio / coef->kernel_8bit_ratio / coef->decode_4bit_ratio, FOLLOWED),
                1e-9);
    assert_near("prefill", found.prefill,
                pow(share * coef->prefill_8bit_ratio / coef->kernel_8bit_ratio / coef->prefill_4bit_ratio, FOLLOWED),
                1e-9);
}

static struct performance predict(const struct deployment *deployment)
{
    struct memory memory;
    struct roofline roofline;
    struct performance performance;
    const struct load_point load = {.load = LOAD_SATURATED, .arrival_cv2 = 1, .percentile = 95};
    assert_int_equal(memory_size(deployment, &memory), STATUS_OK);
    roofline_init(&roofline, deployment, &memory, 1000, 500);
    performance_predict(&roofline, &load, &performance);
    return performance;
}

static double factor_of(struct predicted quantity)
{
    return sqrt(quantity.high / quantity.low);
}

static void test_basis_and_interval(void **state)
{
    (void)state;
    struct deployment deployment = deployment_of("llama-3.3-70b", "gb200", "tensorrt-llm", DTYPE_FP8);
    struct performance before = predict(&deployment);
    struct calibration own = like_published(&deployment);
    deployment.calibration = &own;
    struct performance after = predict(&deployment);
    assert_int_equal(before.basis, BASIS_EXTRAPOLATED);
    assert_int_equal(after.basis, BASIS_CALIBRATED);
    assert_int_equal(after.output_tokens_per_second.basis, BASIS_CALIBRATED);
    assert_true(factor_of(after.output_tokens_per_second) < 0.9 * factor_of(before.output_tokens_per_second));
    own.product_tflops[PEAK_FP8] *= 0.8;
    own.memory_gb_per_s = 0.6 * deployment.gpu->memory_bandwidth_gb_per_s;
    assert_true(predict(&deployment).output_tokens_per_second.value < after.output_tokens_per_second.value);
    deployment.pipeline_parallel = 2; /* no row had stages: a calibration does not tell of them */
    assert_int_equal(predict(&deployment).basis, BASIS_EXTRAPOLATED);
    /* A model of a family that no row tells of has the interval of those. */
    deployment = deployment_of("qwen2.5-32b", "gb200", "tensorrt-llm", DTYPE_FP8);
    before = predict(&deployment);
    deployment.calibration = &own;
    assert_near("factor", factor_of(predict(&deployment).output_tokens_per_second),
                factor_of(before.output_tokens_per_second), 1e-4);
}

/* Half the speed of what is owned; what is rented stays as it was. */
static void test_rented_machines_are_none_of_ours(void **state)
{
    (void)state;
    static char rows[2048];
    struct catalog_text files[CATALOG_FILE_COUNT];
    struct snapshot *slow = NULL;
    memcpy(files, catalog_bundled(), sizeof files);
    const struct catalog_text *published = &files[FILE_CALIBRATIONS];
    size_t header = (size_t)(strchr(published->text, '\n') - published->text) + 1;
    int length = snprintf(rows, sizeof rows,
                          "%.*spublished-l40s,published,l40s,800,700,,,230,360,,,,,,,used,,test,2026-11-28\n"
                          "slow,own,l40s,450,400,,,120,190,,,,,,,used,,test,2026-11-28\n",
                          (int)header, published->text);
    files[FILE_CALIBRATIONS].text = rows;
    files[FILE_CALIBRATIONS].length = (size_t)length;
    assert_int_equal(catalog_load(files, &problems, &slow), STATUS_OK);
    static const char *const questions[] = {"own", "none"};
    double owned[2] = {0}, rented[2] = {0};
    for (size_t q = 0; q < 2; q++) {
        struct asked *asked = fleet_ask(
            slow,
            "{'model':'meta-llama/Llama-3.1-8B-Instruct','serving':{'calibration':'%s'},'workload':{'concurrency':8},"
            "'constraints':{'gpus':['l40s'],'inventory':{'l40s':4},'purchase':['owned','on_demand']},'alternatives':"
            "20}",
            questions[q]);
        assert_int_equal(asked->status, STATUS_OK);
        const struct recommendation *answer = &asked->answer.recommendation;
        for (size_t i = 0; i < answer->option_count; i++) {
            const struct option *option = &answer->options[i];
            double *best = option->offer ? &rented[q] : &owned[q];
            if (*best == 0) *best = option->performance.tpot_ms.value;
            assert_true((option->deployment.calibration != NULL) == (!option->offer && q == 0));
        }
        fleet_done(asked);
    }
    assert_true(owned[0] > 1.2 * owned[1] && owned[1] > 0);
    assert_true(rented[0] == rented[1] && rented[0] > 0);
    snapshot_free(slow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_usual_changes_nothing),
        cmocka_unit_test(test_a_slow_host_is_slow_by_as_much),
        cmocka_unit_test(test_a_gpu_outside_the_fit),
        cmocka_unit_test(test_basis_and_interval),
        cmocka_unit_test(test_rented_machines_are_none_of_ours),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
