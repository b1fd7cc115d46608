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
        struct run true_run = *run;
        true_run.deployment.engine = &truth;
        run_predict(&true_run, metrics);
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
        {"llama-3.1-8b", "h100-sxm", 1}, {"llama-3.1-70b", "h100-sxm", 4}, {"llama-3.1-70b", "h100-sxm", 8},
        {"llama-3.1-8b", "l40s", 1},     {"llama-3.1-8b", "h200-sxm", 1},  {"llama-3.1-70b", "h200-sxm", 2},
        {"qwen2.5-32b", "h100-sxm", 2},  {"qwen2.5-32b", "h200-sxm", 1},
    };
    static const double sizes[] = {1, 8, 32, 128, 512}, inputs[] = {200, 1000, 4000};
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
    return (struct fit_options){.snapshot = snapshot,
                                .profiles = &start,
                                .profile_count = 1,
                                .prior = {.width_ratio = UNKNOWN},
                                .keys = keys,
                                .seed = 1,
                                .threads = 1};
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
        if (score->key == key && score->kind == kind &&
            (group ? score->group && strcmp(score->group, group) == 0 : !score->group))
            return score;
    }
    fail_msg("no score of %s", group ? group : "all");
    return NULL;
}

static const struct fitted_factor *find_factor(const struct fit *fit, const char *name)
{
    for (size_t i = 0; i < fit->factor_count; i++) {
        if (strcmp(fit->factors[i].name, name) == 0) return &fit->factors[i];
    }
    fail_msg("no factor %s", name);
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
    options.prior.width_ratio = 20; /* the truth is far from the catalog */
    struct fit fit = fit_made(&made, &options);
    assert_int_equal(fit.runs, made.runs.count);
    assert_near(find(&fit, "dense_bandwidth_ratio")->value, 0.6, 0.03);
    assert_near(find(&fit, "decode_16bit_ratio")->value, 0.5, 0.2);
    assert_near(find(&fit, "layer_us")->value, 40, 0.25); /* an overhead of each step does nearly the same */
    assert_true(find_score(&fit, FIT_KEY_COUNT, NULL, FIT_TPOT)->median < 0.02);
    assert_true(find_score(&fit, FIT_KEY_COUNT, NULL, FIT_TTFT)->median < 0.03);
    assert_true(fit.group_count == 7);
    for (size_t i = 0; i < fit.group_count; i++) {
        const struct engine_fit *group = &fit.groups[i].fit;
        assert_near(group->time_ratio, 1, 0.02); /* the coefficients say it all */
        assert_true(group->time_factor > 1.02 &&
                    group->time_factor < 1.06); /* 90 % of a noise of 2 % are within 3.3 % */
    }
    for (size_t i = 0; i < fit.factor_count; i++)
        assert_null(strstr(fit.factors[i].name, "extrapolated")); /* nothing was left out */
}

/* The rows of 16-bit models on NVIDIA GPUs, decoded at a fixed concurrency, tell nothing of the rest. */
static void test_what_no_row_tells_is_kept(void **state)
{
    (void)state;
    static const char *const untold[] = {"decode_8bit_ratio", "amd_compute_ratio",    "expert_half_rows",
                                         "linear_layer_us",   "saturated_time_ratio", "static_request_ms",
                                         "ttft_moe_layer_ms"};
    make_runs(&made, 0.02);
    struct fit_options options = options_of(0);
    struct fit fit = fit_made(&made, &options);
    const char *csv = fit_csv(&fit, 0, &(struct fit_label){.as_of = {20000}}, true, &arena);
    assert_non_null(csv);
    for (size_t i = 0; i < sizeof untold / sizeof *untold; i++) {
        const struct fitted_parameter *parameter = find(&fit, untold[i]);
        assert_near(parameter->value, parameter->start, 1e-6);
        assert_false(parameter->informed);
        assert_null(strstr(csv, untold[i]));
    }
    assert_non_null(strstr(csv, "vllm,0.17,0.20,inherits,vllm 0.17,"));
    assert_non_null(strstr(csv, "vllm,0.17,0.20,dense_bandwidth_ratio,"));
}

static void test_outliers_hardly_move_it(void **state)
{
    (void)state;
    make_runs(&made, 0.02);
    for (size_t i = 0; i < made.runs.count; i += 15)
        made.items[i].measured[METRIC_TPOT_MS] *= i % 2 ? 5 : 0.2;
    struct fit_options options = options_of(0);
    struct fit fit = fit_made(&made, &options);
    assert_near(find(&fit, "dense_bandwidth_ratio")->value, 0.6, 0.06);
    assert_true(find_score(&fit, FIT_KEY_COUNT, NULL, FIT_TPOT)->median < 0.04);
}

static void test_efficiencies_stay_within_bounds(void **state)
{
    (void)state;
    make_runs(&made, 0.02);
    for (size_t i = 0; i < made.runs.count; i++)
        made.items[i].measured[METRIC_TPOT_MS] *= 0.3; /* faster than the hardware */
    struct fit_options options = options_of(0);
    struct fit fit = fit_made(&made, &options);
    const struct fitted_parameter *bandwidth = find(&fit, "dense_bandwidth_ratio");
    assert_true(bandwidth->value == 1 && bandwidth->at_bound);
    for (size_t i = 0; i < fit.parameter_count; i++)
        assert_true(fit.parameters[i].value > 0);
    assert_true(find(&fit, "decode_16bit_ratio")->value <= 0.95);
}

/* Rows of a GPU that are absurd do not change what is said of the others once it is left out; nor do others learn its
 * own rows. */
static void test_what_is_left_out_is_not_seen(void **state)
{
    (void)state;
    struct fit_options options = options_of(1u << FIT_BY_GPU);
    make_runs(&made, 0.02);
    struct fit honest = fit_made(&made, &options);
    for (size_t i = 0; i < made.runs.count; i++) {
        struct run *run = &made.items[i];
        if (strcmp(run->deployment.gpu->id, "l40s") == 0) run->measured[METRIC_TPOT_MS] *= 8;
    }
    struct fit absurd = fit_made(&made, &options);
    const struct fit_score *before = find_score(&honest, FIT_BY_GPU, "l40s", FIT_TPOT);
    const struct fit_score *after = find_score(&absurd, FIT_BY_GPU, "l40s", FIT_TPOT);
    assert_int_equal(before->rows, 15);
    assert_near((1 + after->bias) * 8, 1 + before->bias, 1e-9); /* the very same predictions */
    assert_true(after->foreign_coverage == 0);                  /* the others did not know */
    assert_true(after->coverage >= 0.65);                       /* what is written holds most of every group */
    assert_true(find_factor(&absurd, "tpot_extrapolated_factor")->value >
                find_factor(&honest, "tpot_extrapolated_factor")->value);
    assert_true(find_score(&absurd, FIT_BY_GPU, "h100-sxm", FIT_TPOT)->median >
                find_score(&honest, FIT_BY_GPU, "h100-sxm", FIT_TPOT)->median);
    assert_true(find_factor(&honest, "tpot_extrapolated_factor")->value > 1);
}

static void test_versions_are_groups(void **state)
{
    (void)state;
    make_runs(&made, 0.02);
    struct fit_options options = options_of(1u << FIT_BY_VERSION | 1u << FIT_BY_MODEL);
    struct fit fit = fit_made(&made, &options);
    assert_int_equal(find_score(&fit, FIT_BY_VERSION, "vllm 0.17", FIT_TPOT)->rows, 40);
    assert_int_equal(find_score(&fit, FIT_BY_VERSION, "vllm 0.18", FIT_TPOT)->rows, 80);
    assert_int_equal(find_score(&fit, FIT_BY_MODEL, NULL, FIT_TTFT)->rows, 120);
}

/* A row that is there five times weighs as much as one. */
static void test_repeated_runs_weigh_as_one(void **state)
{
    (void)state;
    make_runs(&made, 0.02);
    struct fit_options options = options_of(0);
    options.prior.width_ratio = 3; /* else it would follow the number of rows */
    struct fit once = fit_made(&made, &options);
    size_t count = made.runs.count;
    for (size_t i = 0; i < 4 * count; i++) {
        if (made.items[i % count].deployment.gpu->vendor == VENDOR_NVIDIA && i % 3 == 0)
            made.items[made.runs.count++] = made.items[i % count];
    }
    struct fit repeated = fit_made(&made, &options);
    assert_true(repeated.runs > 2 * once.runs);
    assert_int_equal(repeated.configurations, once.configurations);
    for (size_t i = 0; i < once.parameter_count; i++)
        assert_near(repeated.parameters[i].value, once.parameters[i].value, 0.005);
}

static void test_any_number_of_threads_gives_the_same(void **state)
{
    (void)state;
    make_runs(&made, 0.02);
    const struct fit_label label = {.as_of = {20000}, .seed = 1};
    const char *first = NULL;
    for (unsigned threads = 1; threads <= 4; threads *= 2) {
        struct fit_options options = options_of(1u << FIT_BY_MODEL);
        options.threads = threads;
        struct fit fit = fit_made(&made, &options);
        const char *csv = fit_csv(&fit, 0, &label, true, &arena);
        if (!first) first = csv;
        assert_string_equal(csv, first);
    }
    struct fit_options other = options_of(1u << FIT_BY_MODEL);
    other.seed = 2;
    struct fit fit = fit_made(&made, &other);
    assert_string_not_equal(fit_csv(&fit, 0, &label, true, &arena), first); /* other folds, other widths */
}

/* Two engines of which one coefficient differs: what they share has one value. */
static void test_engines_share_what_they_share(void **state)
{
    (void)state;
    const struct engine_profile *pair[2] = {start, NULL};
    assert_int_equal(snapshot_find_profile(snapshot, "sglang", "0.5", "engine", &problems, &pair[1]), STATUS_OK);
    make_runs(&made, 0.01);
    struct engine_profile slow = truth;
    slow.coef.layer_us = 120;
    for (size_t i = 0; i < made.runs.count; i += 2) {
        struct predicted metrics[METRIC_COUNT];
        made.items[i].deployment.engine = &slow;
        run_predict(&made.items[i], metrics);
        made.items[i].measured[METRIC_TPOT_MS] = metrics[METRIC_TPOT_MS].value;
        made.items[i].deployment.engine = pair[1];
    }
    struct fit_options options = options_of(0);
    options.profiles = pair;
    options.profile_count = 2;
    struct fit fit = fit_made(&made, &options);
    double layers[2] = {0};
    size_t bandwidths = 0;
    for (size_t i = 0; i < fit.parameter_count; i++) {
        const struct fitted_parameter *parameter = &fit.parameters[i];
        bandwidths += strcmp(parameter->name, "dense_bandwidth_ratio") == 0;
        if (strcmp(parameter->name, "layer_us") == 0) layers[parameter->owner] = parameter->value;
    }
    assert_int_equal(bandwidths, 1);
    assert_true(layers[1] > 2 * layers[0]);
    assert_non_null(
        strstr(fit_csv(&fit, 1, &(struct fit_label){.as_of = {20000}}, false, &arena), "sglang,0.4,,layer_us"));
}

static void test_a_profile_that_says_nothing_itself_is_fitted_by_its_root(void **state)
{
    (void)state;
    const struct engine_profile *newest = NULL, *old = NULL;
    assert_int_equal(snapshot_find_profile(snapshot, "vllm", NULL, "engine", &problems, &newest), STATUS_OK);
    assert_int_equal(snapshot_find_profile(snapshot, "vllm", "0.6", "engine", &problems, &old), STATUS_OK);
    assert_ptr_equal(fit_root(snapshot, newest), start);
    assert_ptr_equal(fit_root(snapshot, start), start);
    assert_ptr_equal(fit_root(snapshot, old), old); /* inherits, but has coefficients of its own */
    make_runs(&made, 0.02);
    for (size_t i = 0; i < made.runs.count; i += 2)
        made.items[i].deployment.engine = newest;
    struct fit_options options = options_of(0);
    assert_int_equal(fit_made(&made, &options).runs, made.runs.count);
}

static void test_saturated_and_static_rows(void **state)
{
    (void)state;
    static const double inputs[] = {128, 512, 1024, 2048};
    made.runs = (struct runs){0};
    random_state = 11;
    for (size_t i = 0; i < 4; i++) {
        add_run(&made, "llama-3.1-8b", "h100-sxm", 1, LOAD_SATURATED, 0, inputs[i]);
        add_run(&made, "llama-3.1-8b", "h200-sxm", 1, LOAD_SATURATED, 0, inputs[i]);
        for (double batch = 1; batch <= 64; batch *= 4)
            add_run(&made, "llama-3.1-8b", "h100-sxm", 1, LOAD_STATIC_BATCH, batch, inputs[i]);
    }
    truth = *start;
    truth.coef.saturated_time_ratio = 1.4;
    measure(&made, 0.01);
    struct fit_options options = options_of(0);
    options.prior.width_ratio = 20;
    struct fit fit = fit_made(&made, &options);
    assert_true(find(&fit, "saturated_time_ratio")->value > 1.2 * find(&fit, "static_time_ratio")->value);
    assert_true(find_score(&fit, FIT_KEY_COUNT, NULL, FIT_SATURATED)->median < 0.02);
    assert_int_equal(find_score(&fit, FIT_KEY_COUNT, NULL, FIT_SATURATED)->rows, 8);
    assert_int_equal(find_score(&fit, FIT_KEY_COUNT, NULL, FIT_STATIC)->rows, 16);
}

static void test_too_few_rows_are_refused(void **state)
{
    (void)state;
    struct fit fit;
    make_runs(&made, 0.02);
    struct fit_options options = options_of(0);
    made.items[0].unscored[METRIC_TPOT_MS] = made.items[0].unscored[METRIC_TTFT_MS] = "not of this configuration";
    made.items[1].refused = "no such model";
    made.runs.count = 4;
    problems.count = 0;
    assert_int_equal(fit_runs(&made.runs, &options, &arena, &problems, &fit), STATUS_OUT_OF_RANGE);
    assert_non_null(strstr(problems.items[0].detail, "2 usable rows of vllm 0.17, 2 left out"));
    made.items[1].refused = NULL;
    assert_int_equal(fit_made(&made, &options).refused, 1);
}

static void test_conformal_quantile(void **state)
{
    (void)state;
    double errors[19];
    for (size_t i = 0; i < 19; i++)
        errors[i] = (i % 2 ? 0.01 : -0.01) * (double)(19 - i);
    assert_near(conformal_factor(errors, 19, 0.9), exp(0.18), 1e-12); /* the 18th of 19 */
    assert_near(conformal_factor(errors, 9, 0.9), exp(0.09), 1e-12);  /* the 9th of 9 */
    assert_true(!is_known(conformal_factor(errors, 8, 0.9)));         /* the 9th of 8 */
    assert_near(conformal_factor(errors, 10, 0.5), exp(0.06), 1e-12); /* ceil(5.5) */
    assert_true(!is_known(conformal_factor(errors, 0, 0.9)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recovers_what_made_the_runs),
        cmocka_unit_test(test_what_no_row_tells_is_kept),
        cmocka_unit_test(test_outliers_hardly_move_it),
        cmocka_unit_test(test_efficiencies_stay_within_bounds),
        cmocka_unit_test(test_what_is_left_out_is_not_seen),
        cmocka_unit_test(test_versions_are_groups),
        cmocka_unit_test(test_repeated_runs_weigh_as_one),
        cmocka_unit_test(test_any_number_of_threads_gives_the_same),
        cmocka_unit_test(test_engines_share_what_they_share),
        cmocka_unit_test(test_a_profile_that_says_nothing_itself_is_fitted_by_its_root),
        cmocka_unit_test(test_saturated_and_static_rows),
        cmocka_unit_test(test_too_few_rows_are_refused),
        cmocka_unit_test(test_conformal_quantile),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
