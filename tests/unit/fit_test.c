/* fit_test.c owns checks of fits on runs that are made by the predictions themselves, so that the truth is known. */
#include "catalog/load.h"
#include "fit/fit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RUNS_MOST = 1024 };

static struct arena arena;
static struct problems problems;
static struct snapshot *snapshot;
static const struct engine_profile *start;
static struct engine_profile truth;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    if (catalog_load(catalog_bundled(), &problems, &snapshot) != STATUS_OK) return -1;
    return snapshot_find_profile(snapshot, "vllm", "0.17", "engine", &problems, &start) == STATUS_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    snapshot_free(snapshot);
    arena_done(&arena);
    return 0;
}

/* --- runs --- */

static uint64_t random_state;

static double uniform(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (double)(random_state >> 11) / 9007199254740992.0;
}

static double normal(void)
{
    double radius = sqrt(-2 * log(1 - uniform())); /* Box and Muller */
    return radius * cos(2 * M_PI * uniform());
}

struct made {
    struct run items[RUNS_MOST];
    struct runs runs;
};

static void add_run(struct made *made, const char *model, const char *gpu, uint32_t tensor, enum load load, double size,
                    double input)
{
    assert_true(made->runs.count < RUNS_MOST);
    struct run *run = &made->items[made->runs.count++];
    made->runs.items = made->items;
    *run = (struct run){
        .uid = "made",
        .source = "made up",
        .engine_version = input > 1500 ? "0.17.1" : "0.18.0",
        .load = {.load = load, .concurrency = size, .batch_size = size, .arrival_cv2 = 1},
        .input_tokens = input,
        .output_tokens = 500,
        .replicas = 1,
    };
    struct deployment *deployment = &run->deployment;
    assert_int_equal(snapshot_find_model(snapshot, ALIAS_USER, model, "model", &problems, &deployment->model),
                     STATUS_OK);
    assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_USER, gpu, "gpu", &problems, &deployment->gpu), STATUS_OK);
    deployment->engine = start;
    deployment->tensor_parallel = tensor;
    deployment->pipeline_parallel = deployment->expert_parallel = 1;
    deployment->max_model_len_tokens = 8192;
    deployment_default(deployment);
    assert_int_equal(memory_size(deployment, &run->memory), STATUS_OK);
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++)
        run->measured[metric] = UNKNOWN;
}

/* What the truth would have measured, with noise of that many percent. */
static void measure(struct made *made, double noise)
{
    for (size_t i = 0; i < made->runs.count; i++) {
        struct run *run = &made->items[i];
        struct predicted metrics[METRIC_COUNT];
        run_predict(run, &truth, metrics);
        bool closed = run->load.load == LOAD_CONCURRENCY;
        enum metric metric = closed ? METRIC_TPOT_MS : METRIC_OUTPUT_TOKENS_PER_SECOND;
        assert_true(metrics[metric].value > 0);
        run->measured[metric] = metrics[metric].value * exp(noise * normal());
        if (closed) run->measured[METRIC_TTFT_MS] = metrics[METRIC_TTFT_MS].value * exp(noise * normal());
    }
}

static void make_runs(struct made *made, double noise)
{
    static const struct {
        const char *model, *gpu;
        uint32_t tensor;
    } where[] = {
        {"llama-3.1-8b", "h100-sxm", 1},  {"llama-3.1-70b", "h100-sxm", 4}, {"llama-3.1-70b", "h100-sxm", 8},
        {"llama-3.1-8b", "l40s", 1},      {"llama-3.1-8b", "h200-sxm", 1},  {"llama-3.1-70b", "h200-sxm", 2},
        {"qwen2.5-32b", "h100-sxm", 2},   {"qwen2.5-32b", "h200-sxm", 1},
    };
    static const double sizes[] = {1, 4, 16, 64, 128}, inputs[] = {200, 1000, 4000};
    made->runs = (struct runs){0};
    random_state = 7;
    for (size_t w = 0; w < sizeof where / sizeof *where; w++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
                add_run(made, where[w].model, where[w].gpu, where[w].tensor, LOAD_CONCURRENCY, sizes[s], inputs[i]);
        }
    }
    truth = *start;
    truth.coef.dense_bandwidth_ratio = 0.6;
    truth.coef.decode_16bit_ratio = 0.5;
    truth.coef.layer_us = 40;
    truth.coef.ttft_layer_ms = 1.5;
    measure(made, noise);
}

static struct fit_options options_of(unsigned keys)
{
    return (struct fit_options){
        .snapshot = snapshot, .profiles = &start, .profile_count = 1, .prior = {false, 10}, .keys = keys, .seed = 1, .threads = 1};
}

static struct fit fit_made(const struct made *made, const struct fit_options *options)
{
    struct fit fit;
    problems.count = 0;
    enum status status = fit_runs(&made->runs, options, &arena, &problems, &fit);
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s: %s\n", problems.items[i].field, problems.items[i].detail);
    assert_int_equal(status, STATUS_OK);
    return fit;
}

static const struct fitted_parameter *find(const struct fit *fit, const char *name)
{
    for (size_t i = 0; i < fit->parameter_count; i++) {
        if (strcmp(fit->parameters[i].name, name) == 0) return &fit->parameters[i];
    }
    fail_msg("no parameter %s", name);
    return NULL;
}

static const struct fit_score *find_score(const struct fit *fit, enum fit_key key, const char *group,
                                          enum fit_kind kind)
{
    for (size_t i = 0; i < fit->score_count; i++) {
        const struct fit_score *score = &fit->scores[i];
        if (score->key == key && score->kind == kind && (group ? score->group && strcmp(score->group, group) == 0 : !score->group))
            return score;
    }
    fail_msg("no score of %s", group ? group : "all");
    return NULL;
}

static void assert_near(double value, double expected, double ratio)
{
    if (!(fabs(value / expected - 1) <= ratio)) fail_msg("%g is not within %g of %g", value, ratio, expected);
}

static struct made made;

static void test_recovers_what_made_the_runs(void **state)
{
    (void)state;
    make_runs(&made, 0.02);
    struct fit_options options = options_of(0);
    struct fit fit = fit_made(&made, &options);
    assert_int_equal(fit.runs, made.runs.count);
    assert_near(find(&fit, "dense_bandwidth_ratio")->value, 0.6, 0.03);
    assert_near(find(&fit, "decode_16bit_ratio")->value, 0.5, 0.2);
    assert_near(find(&fit, "layer_us")->value, 40, 0.1);
    assert_near(find(&fit, "ttft_layer_ms")->value, 1.5, 0.1);
    assert_true(find_score(&fit, FIT_KEY_COUNT, NULL, FIT_TPOT)->median < 0.02);
    assert_true(find_score(&fit, FIT_KEY_COUNT, NULL, FIT_TTFT)->median < 0.03);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovers_what_made_the_runs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
