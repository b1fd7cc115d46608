/* evidence_test.c owns the proof of sizing/evidence.h: what was measured is the answer where it was measured, fades
 * beside it without a step, and never breaks what holds of the formula. */
#include "sizing/evidence.h"

#include "catalog/load.h"
#include "support/near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER                                                                                                         \
    "own,source,uid,engine,engine_version,model_id,gpu_id,gpu_count,tensor_parallel,pipeline_parallel,"                \
    "expert_parallel,weight_dtype,kv_dtype,load,concurrency,input_tokens,output_tokens,output_tokens_per_second,"      \
    "total_tokens_per_second,ttft_ms,tpot_ms,e2e_ms,trust,as_of\n"

/* The formula of Llama-3.1-8B in bf16 on one H100 with vLLM, and what was measured of it. */
struct asked {
    struct snapshot *snapshot;
    struct measurements measurements;
    struct deployment deployment;
    struct memory memory;
    struct roofline formula, roofline;
    struct evidence evidence;
};
static struct asked asked;
static struct arena arena;
static struct problems problems;

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
    snapshot_free(asked.snapshot);
    asked.snapshot = NULL;
    arena_done(&arena);
    return 0;
}

static void find(double input_tokens, double output_tokens)
{
    roofline_init(&asked.formula, &asked.deployment, &asked.memory, input_tokens, output_tokens);
    asked.roofline = asked.formula;
    evidence_find(&asked.measurements, &asked.roofline, &asked.evidence);
}

static void deploy(void)
{
    deployment_default(&asked.deployment);
    assert_int_equal(memory_size(&asked.deployment, &asked.memory), STATUS_OK);
}

/* A catalog with these measurements; one more row, of another model, never counts. */
static void measure(const char *rows)
{
    struct catalog_text files[CATALOG_FILE_COUNT];
    memcpy(files, catalog_bundled(), sizeof files);
    files[FILE_MEASURED].text = arena_printf(
        &arena, HEADER "%sfalse,s,x,vllm,,Qwen/Qwen3-8B,h100-sxm,1,1,,,,,concurrency,32,1000,500,1,,,,,A,2026\n", rows);
    files[FILE_MEASURED].length = strlen(files[FILE_MEASURED].text);
    snapshot_free(asked.snapshot);
    asked = (struct asked){0};
    enum status status = catalog_load(files, &problems, &asked.snapshot);
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s %s\n", problems.items[i].field, problems.items[i].detail);
    assert_int_equal(status, STATUS_OK);
    struct deployment *deployment = &asked.deployment;
    assert_int_equal(snapshot_find_model(asked.snapshot, ALIAS_USER, "llama-3.1-8b", "", &problems, &deployment->model),
                     STATUS_OK);
    assert_int_equal(snapshot_find_gpu(asked.snapshot, ALIAS_USER, "h100-sxm", "", &problems, &deployment->gpu),
                     STATUS_OK);
    assert_int_equal(snapshot_find_profile(asked.snapshot, "vllm", "0.19", "", &problems, &deployment->engine),
                     STATUS_OK);
    deployment->max_model_len_tokens = 8192;
    deploy();
    asked.measurements = snapshot_measurements(asked.snapshot, deployment->model->id);
    find(1000, 500);
}

/* A row of that deployment: `figures` are concurrency,in,out,rate,total,ttft,tpot,e2e. */
static const char *row(const char *uid, const char *version, const char *load, const char *figures)
{
    return arena_printf(&arena,
                        "false,bench,%s,vllm,%s,meta-llama/Llama-3.1-8B-Instruct,h100-sxm,1,1,,,bf16,,%s,%s,A,2026\n",
                        uid, version, load, figures);
}

static const char *own(const char *text)
{
    return arena_printf(&arena, "true%s", text + strlen("false"));
}

static struct performance predict(const struct roofline *roofline, struct load_point load)
{
    struct performance performance;
    performance_predict(roofline, &load, &performance);
    return performance;
}

static struct performance at(const struct roofline *roofline, double concurrency)
{
    return predict(roofline, (struct load_point){.load = LOAD_CONCURRENCY, .concurrency = concurrency});
}

static void test_exact_configuration_is_the_measurement(void **state)
{
    (void)state;
    measure(row("1", "0.19.1", "concurrency", "32,1000,500,2500,,150,12.5,"));
    struct performance performance = at(&asked.roofline, 32);
    assert_near("rate", performance.output_tokens_per_second.value, 2500, 0);
    assert_near("total", performance.total_tokens_per_second.value, 7500, 1e-5);
    assert_near("requests", performance.requests_per_second.value, 5, 1e-5);
    assert_near("ttft", performance.ttft_ms.value, 150, 0);
    assert_near("tpot", performance.tpot_ms.value, 12.5, 0);
    assert_near("e2e", performance.e2e_ms.value, 150 + 499 * 12.5, 1e-5);
    assert_int_equal(performance.basis, BASIS_MEASURED);
    assert_int_equal(performance.ttft_ms.basis, BASIS_MEASURED);
    assert_int_equal(performance.e2e_ms.basis, BASIS_MEASURED);
    struct performance formula = at(&asked.formula, 32);
    assert_int_equal(performance.prefill_tokens_per_second.basis, formula.basis);
    assert_true(performance.ttft_ms.high / performance.ttft_ms.value < formula.ttft_ms.high / formula.ttft_ms.value);
    find(1005, 498); /* within 1 % */
    assert_int_equal(at(&asked.roofline, 32).basis, BASIS_MEASURED);
    find(1020, 500);
    assert_int_equal(at(&asked.roofline, 32).basis, at(&asked.formula, 32).basis);
    measure(row("1", "", "concurrency", "32,1000,500,2500,,150,12.5,"));
    assert_int_equal(snapshot_find_profile(asked.snapshot, "vllm", "", "", &problems, &asked.deployment.engine),
                     STATUS_OK);
    deploy();
    find(1000, 500); /* of which version, it does not tell: the newest profile, but not this very configuration */
    assert_near("rate", at(&asked.roofline, 32).output_tokens_per_second.value, 2500, 0);
    assert_int_equal(at(&asked.roofline, 32).basis, at(&asked.formula, 32).basis);
}

/* What was not measured follows: requests in flight stay what they are, and its basis does not change. */
static void test_throughput_alone(void **state)
{
    (void)state;
    measure(row("1", "0.19", "concurrency", "32,1000,500,,6000,,,"));
    struct performance performance = at(&asked.roofline, 32), formula = at(&asked.formula, 32);
    assert_near("rate", performance.output_tokens_per_second.value, 2000, 1e-9);
    assert_near("Little", performance.requests_per_second.value * performance.e2e_ms.value / 1000, 32, 1e-5);
    assert_near("both latencies alike", performance.ttft_ms.value / formula.ttft_ms.value,
                performance.tpot_ms.value / formula.tpot_ms.value, 1e-5);
    assert_int_equal(performance.output_tokens_per_second.basis, BASIS_MEASURED);
    assert_int_equal(performance.tpot_ms.basis, formula.basis);
    measure(row("1", "0.19", "concurrency", "32,1000,500,,,,,8000"));
    performance = at(&asked.roofline, 32);
    assert_near("e2e", performance.e2e_ms.value, 8000, 1e-5);
    assert_int_equal(performance.e2e_ms.basis, BASIS_MEASURED);
    assert_near("Little", performance.requests_per_second.value * 8, 32, 1e-5);
}

static double log_ratio(double concurrency)
{
    return log(at(&asked.roofline, concurrency).output_tokens_per_second.value /
               at(&asked.formula, concurrency).output_tokens_per_second.value);
}

/* Twice as slow as predicted: one percent of concurrency or length changes the correction by a few percent of it at
 * most, also of a lone row of a user, and a factor of two away nothing is left of it. */
static void sweep(double most_change)
{
    double before = 0, least = 0;
    for (int i = 0; i < 280; i++) {
        double concurrency = 8 * pow(1.01, i), now = log_ratio(concurrency);
        assert_true(fabs(now - before) <= most_change * M_LN2);
        if (concurrency < 16 || concurrency > 64) assert_true(fabs(now) < 1e-5);
        least = fmin(least, now);
        before = now;
    }
    assert_near("the dip", least, -M_LN2, 0.03);
    for (int i = 0; i < 170; i++) {
        double tokens = 400 * pow(1.01, i);
        find(tokens, 500);
        double now = log_ratio(32);
        if (i > 0) assert_true(fabs(now - before) <= most_change * M_LN2);
        if (tokens < 500 || tokens > 2000) assert_true(fabs(now) < 1e-5);
        before = now;
    }
}

static const char *slow_row(double ratio)
{
    measure("");
    return row(
        "1", "0.19", "concurrency",
        arena_printf(&arena, "32,1000,500,%.9g,,,,", at(&asked.formula, 32).output_tokens_per_second.value * ratio));
}

static void test_fades_without_a_step(void **state)
{
    (void)state;
    const char *slow = slow_row(0.5);
    measure(slow);
    sweep(0.02);
    measure(own(slow));
    sweep(0.07);
}

static void test_repeats_count_as_their_median(void **state)
{
    (void)state;
    measure(arena_printf(&arena, "%s%s%s%s", row("1", "0.19", "concurrency", "32,1000,500,2000,,,,"),
                         row("2", "0.19", "concurrency", "32,1000,500,2600,,,11,"),
                         row("3", "0.19", "concurrency", "32,1000,500,2400,,,12,"),
                         row("4", "0.18", "concurrency", "32,1000,500,900,,,30,")));
    struct performance performance = at(&asked.roofline, 32);
    assert_near("of the newest version", performance.output_tokens_per_second.value, 2400, 1e-5);
    assert_near("of those that were measured", performance.tpot_ms.value, sqrt(11 * 12), 1e-5);
    double other = performance.output_tokens_per_second.high / 2400;
    asked.measurements.engine_version = "0.18";
    find(1000, 500);
    performance = at(&asked.roofline, 32);
    assert_near("of the asked version", performance.output_tokens_per_second.value, 900, 1e-5);
    assert_true(performance.output_tokens_per_second.high / 900 < other); /* which says more */
    struct load_point load = {.load = LOAD_CONCURRENCY, .concurrency = 32};
    struct provenance provenance = evidence_provenance(&asked.roofline, &load, 1);
    assert_int_equal(provenance.row_count, 1);
    assert_string_equal(provenance.rows[0].measurement->uid, "4");
}

/* Between two points both count, and each is itself. */
static void test_several_points(void **state)
{
    (void)state;
    measure(arena_printf(&arena, "%s%s%s", row("1", "0.19", "concurrency", "16,1000,500,1000,,,,"),
                         row("2", "0.19", "concurrency", "20,1000,500,1900,,,,"),
                         row("3", "0.19", "concurrency", "64,1000,500,3000,,,,")));
    assert_near("first", at(&asked.roofline, 16).output_tokens_per_second.value, 1000, 1e-5);
    assert_near("second", at(&asked.roofline, 20).output_tokens_per_second.value, 1900, 1e-5);
    assert_near("third", at(&asked.roofline, 64).output_tokens_per_second.value, 3000, 1e-5);
    double between = log_ratio(18);
    assert_true(between > log_ratio(16) && between < log_ratio(20));
    struct load_point load = {.load = LOAD_CONCURRENCY, .concurrency = 20};
    struct provenance provenance = evidence_provenance(&asked.roofline, &load, 1);
    assert_int_equal(provenance.row_count, 2); /* 64 is more than a factor of two away */
    assert_int_equal(provenance.measurements, 2);
    assert_string_equal(provenance.rows[0].measurement->uid, "2");
    assert_near("weight", provenance.rows[0].weight, 1, 1e-6);
    assert_near("second weight", provenance.rows[1].weight, 1 - log2(20.0 / 16), 1e-5);
}

/* One measurement of a user moves its surroundings less than one of the catalog's, ten of them nearly as much; where it
 * was made it is the answer all the same. */
static void test_own_measurements_are_shrunk(void **state)
{
    (void)state;
    const char *slow = slow_row(0.5), *many = own(slow);
    measure(slow);
    double catalogued = log_ratio(44);
    measure(own(slow));
    double one = log_ratio(44);
    assert_near("exact", log_ratio(32), -M_LN2, 1e-5);
    for (int i = 2; i <= 10; i++) {
        const char *uid = strstr(own(slow), "bench,1");
        many = arena_printf(&arena, "%strue,bench,n%d%s", many, i, uid + strlen("bench,1"));
    }
    measure(many);
    double ten = log_ratio(44);
    assert_true(catalogued < ten && ten < one && one < 0);
    double close = 1 - log2(44.0 / 32), shrink = close / (close + 5);
    assert_near("lone", one, -M_LN2 * close * (shrink + (1 - shrink) * pow(close, 4)), 1e-4);
    assert_near("catalogued", catalogued, -M_LN2 * close, 1e-4);
}

/* More than the GPU can do is no measurement, however slow one is it may be true. */
static void test_absurd_rows(void **state)
{
    (void)state;
    measure(slow_row(100));
    assert_int_equal(asked.evidence.implausible, 1);
    assert_near("ignored", log_ratio(32), 0, 1e-12);
    struct load_point load = {.load = LOAD_CONCURRENCY, .concurrency = 32};
    struct provenance provenance = evidence_provenance(&asked.roofline, &load, 1);
    assert_int_equal(provenance.implausible, 1);
    assert_int_equal(provenance.row_count, 0);
    measure(slow_row(0.01));
    assert_near("slow", log_ratio(32), log(0.01), 1e-5);
    static const char *const impossible[] = {"1,1000,500,,,100,1,", "1,1000,500,900,,,,"};
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        measure(row("1", "0.19", "concurrency", impossible[i])); /* 15 GB cannot be read in 1 ms */
        assert_int_equal(asked.evidence.implausible, 1);
        assert_int_equal(asked.evidence.count, 0);
    }
    measure(row("1", "0.19", "saturated", ",1000,500,500000,,,,")); /* 1.5 million tokens of 16 TFLOP a second */
    assert_int_equal(asked.evidence.implausible, 1);
}

/* Saturated rows are of the engine's own settings: of others they say the less, the more the batch differs. */
static void test_saturated(void **state)
{
    (void)state;
    measure(row("1", "0.19", "saturated", ",1000,500,5000,,,,"));
    const struct load_point load = {.load = LOAD_SATURATED};
    assert_near("rate", predict(&asked.roofline, load).output_tokens_per_second.value, 5000, 1e-9);
    assert_int_equal(predict(&asked.roofline, load).basis, BASIS_MEASURED);
    assert_near("other loads", log_ratio(32), 0, 1e-12);
    asked.deployment.max_sequences = (uint32_t)(asked.roofline.max_batch / 1.5);
    deploy();
    find(1000, 500);
    double ratio = predict(&asked.roofline, load).output_tokens_per_second.value /
                   predict(&asked.formula, load).output_tokens_per_second.value;
    asked.deployment.max_sequences = (uint32_t)(asked.roofline.max_batch / 4);
    deploy();
    find(1000, 500);
    assert_true(ratio < 1 - 1e-3 && predict(&asked.roofline, load).basis == predict(&asked.formula, load).basis);
    assert_near("a quarter", predict(&asked.roofline, load).output_tokens_per_second.value,
                predict(&asked.formula, load).output_tokens_per_second.value, 1e-12);
}

static void assert_basis(double concurrency, enum basis basis)
{
    deploy();
    find(1000, 500);
    assert_int_equal(at(&asked.roofline, concurrency).basis, basis);
    assert_int_equal(predict(&asked.roofline, (struct load_point){.load = LOAD_SATURATED}).basis, basis);
}

/* A row tells nothing of settings, so that it ran with the engine's own: with others nothing was measured. */
static void test_other_settings_were_not_measured(void **state)
{
    (void)state;
    measure(arena_printf(&arena, "%s%s", row("1", "0.19", "concurrency", "64,1000,500,3000,,,,"),
                         row("2", "0.19", "saturated", ",1000,500,5000,,,,")));
    const struct deployment plain = asked.deployment;
    const enum basis formula = at(&asked.formula, 64).basis;
    assert_basis(64, BASIS_MEASURED);
    struct deployment others[] = {plain, plain, plain, plain, plain};
    others[0].max_sequences = 8;
    others[1].gpu_used_gib = 5;
    others[2].max_batched_tokens = 512;
    others[3].max_loras = 8, others[3].max_lora_rank = 64;
    others[4].gpu_memory_utilization_ratio = 0.7;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        asked.deployment = others[i];
        assert_basis(64, formula);
    }
    asked.deployment = others[0]; /* of eight at a time the 64 say nothing */
    deploy();
    find(1000, 500);
    assert_near("eight", at(&asked.roofline, 64).output_tokens_per_second.value,
                at(&asked.formula, 64).output_tokens_per_second.value, 1e-12);
    asked.deployment = plain; /* what a shorter limit takes no memory from is the same */
    asked.deployment.max_model_len_tokens = 2048;
    assert_basis(64, BASIS_MEASURED);
}

/* Slots of llama.cpp are of the longest request: with such that leave room for fewer, that was not measured. */
static void test_longer_slots_were_not_measured(void **state)
{
    (void)state;
    measure("false,bench,1,llama.cpp,0.1,meta-llama/Llama-3.1-8B-Instruct,h100-sxm,1,1,,,bf16,,saturated,,1000,500,"
            "400,,,,,A,2026\n");
    assert_int_equal(snapshot_find_profile(asked.snapshot, "llama.cpp", "", "", &problems, &asked.deployment.engine),
                     STATUS_OK);
    asked.deployment.max_sequences = asked.deployment.max_batched_tokens = 0;
    asked.deployment.gpu_memory_utilization_ratio = UNKNOWN;
    asked.deployment.max_model_len_tokens = 1500;
    deploy();
    find(1000, 500);
    const struct load_point load = {.load = LOAD_SATURATED};
    assert_int_equal(predict(&asked.roofline, load).basis, BASIS_MEASURED);
    double most = asked.roofline.max_batch;
    asked.deployment.max_model_len_tokens = 262144;
    deploy();
    find(1000, 500);
    assert_true(asked.roofline.max_batch < most);
    assert_int_equal(predict(&asked.roofline, load).basis, predict(&asked.formula, load).basis);
}

/* Arrivals see the step times that were measured at a concurrency; the setup must be the same. */
static void test_rates_and_other_setups(void **state)
{
    (void)state;
    measure(row("1", "0.19", "concurrency", "1,1000,500,,,90,20,"));
    const struct load_point light = {.load = LOAD_RATE, .requests_per_second = 1e-4, .arrival_cv2 = 1, .percentile = 0};
    struct performance performance = predict(&asked.roofline, light);
    assert_near("ttft", performance.ttft_ms.value, 90, 1e-3);
    assert_near("tpot", performance.tpot_ms.value, 20, 1e-3);
    assert_int_equal(performance.basis, predict(&asked.formula, light).basis);
    assert_near("off", predict(&asked.formula, light).tpot_ms.value, at(&asked.formula, 1).tpot_ms.value, 1e-2);
    asked.deployment.weight_dtype = DTYPE_FP8;
    find(1000, 500);
    assert_null(asked.roofline.evidence);
    asked.deployment.weight_dtype = DTYPE_FP16; /* as many bytes */
    find(1000, 500);
    assert_non_null(asked.roofline.evidence);
    asked.deployment.kv_dtype = DTYPE_FP8;
    find(1000, 500);
    assert_null(asked.roofline.evidence);
}

static double uniform(double low, double high)
{
    return low + (high - low) * rand() / RAND_MAX; /* NOLINT(cert-msc30-c,cert-msc50-cpp): reproducible on purpose */
}

static const char *random_rows(size_t count)
{
    static const char *const loads[] = {"concurrency", "static_batch", "saturated"};
    const char *rows = "";
    for (size_t i = 0; i < count; i++) {
        const char *load = loads[i % 3];
        double concurrency = exp2(uniform(0, 8)), tpot = uniform(8, 40);
        const char *figures = arena_printf(&arena, "%.6g,%.0f,%.0f,%.6g,,%.6g,%s,", concurrency, uniform(600, 1600),
                                           uniform(300, 800), fmax(concurrency / tpot * 1000 * uniform(0.2, 1.5), 1),
                                           uniform(20, 900), i % 2 ? arena_printf(&arena, "%.6g", tpot) : "");
        const char *line = row(arena_printf(&arena, "%zu", i), i % 5 ? "0.19" : "", load, figures);
        rows = arena_printf(&arena, "%s%s", rows, i % 4 ? line : own(line));
    }
    return rows;
}

/* Whatever was measured: no load beats the bound, the whole is the sum of its parts, intervals hold their value. */
static void test_holds_of_any_measurements(void **state)
{
    (void)state;
    srand(7); /* NOLINT(cert-msc32-c,cert-msc51-cpp) */
    for (int round = 0; round < 60; round++) {
        measure(random_rows((size_t)round * 2));
        find(uniform(500, 2000), uniform(200, 1000));
        double bound = roofline_output_bound(&asked.roofline);
        for (int i = 0; i < 20; i++) {
            struct load_point load = {.load = (enum load)(i % LOAD_COUNT),
                                      .concurrency = exp2(uniform(0, 9)),
                                      .batch_size = ceil(exp2(uniform(0, 9))),
                                      .requests_per_second = uniform(0.01, 20),
                                      .arrival_cv2 = 1,
                                      .percentile = 95};
            struct performance performance = predict(&asked.roofline, load);
            assert_true(performance.output_tokens_per_second.value <= bound * (1 + 1e-5));
            assert_true(performance.waiting_ms <= performance.ttft_ms.value * (1 + 1e-5) || load.load == LOAD_RATE);
            assert_near("sum", performance.e2e_ms.value,
                        performance.ttft_ms.value + (asked.roofline.output_tokens - 1) * performance.tpot_ms.value,
                        1e-5);
            const struct predicted all[] = {performance.output_tokens_per_second, performance.ttft_ms,
                                            performance.tpot_ms, performance.e2e_ms};
            for (size_t q = 0; q < sizeof all / sizeof *all; q++)
                assert_true(all[q].low <= all[q].value && all[q].value <= all[q].high && all[q].low > 0);
        }
    }
}

/* More points than are kept: those near the asked lengths stay. */
static void test_many_points(void **state)
{
    (void)state;
    const char *rows = row("near", "0.19", "concurrency", "32,1000,500,2345,,,,");
    for (int i = 0; i < 3 * EVIDENCE_POINTS_MAX; i++) {
        const char *figures = arena_printf(&arena, "32,%d,500,1500,,,,", i % 2 ? 1100 + i : 900 - i);
        rows = arena_printf(&arena, "%s%s", rows, row(arena_printf(&arena, "%d", i), "0.19", "concurrency", figures));
    }
    measure(rows);
    assert_int_equal(asked.evidence.count, EVIDENCE_POINTS_MAX);
    assert_near("rate", at(&asked.roofline, 32).output_tokens_per_second.value, 2345, 1e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exact_configuration_is_the_measurement, setup, teardown),
        cmocka_unit_test_setup_teardown(test_throughput_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fades_without_a_step, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repeats_count_as_their_median, setup, teardown),
        cmocka_unit_test_setup_teardown(test_several_points, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_measurements_are_shrunk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_absurd_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_saturated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_settings_were_not_measured, setup, teardown),
        cmocka_unit_test_setup_teardown(test_longer_slots_were_not_measured, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rates_and_other_setups, setup, teardown),
        cmocka_unit_test_setup_teardown(test_holds_of_any_measurements, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_points, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
