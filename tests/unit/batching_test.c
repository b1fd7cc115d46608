/* batching_test.c owns the proof of sizing/batching.h: the article's figures, packings of random traces against a naive
 * one and against what must hold of any, and the curve of equal requests. */
#include "catalog/load.h"
#include "sizing/batching.h"
#include "support/fixture.h"
#include "support/near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Engines that keep caches in different ways: blocks, single tokens, windows, states, latents, a slot for each. */
static const struct kind {
    const char *model, *engine, *gpu;
    uint32_t gpus, max_model_len_tokens, max_sequences;
} kinds[] = {
    {"llama-3.1-8b", "vllm", "l40s", 1, 8192, 0},
    {"llama-3.1-8b", "sglang", "h100-sxm", 1, 32768, 0},
    {"google/gemma-3-27b-it", "vllm", "h100-sxm", 1, 8192, 7},
    {"Qwen/Qwen3-Next-80B-A3B-Instruct", "vllm", "h200-sxm", 2, 16384, 0},
    {"deepseek-ai/DeepSeek-V2-Lite", "vllm", "a100-80gb-sxm", 1, 8192, 32},
    {"qwen2.5-32b", "llama.cpp", "h100-sxm", 1, 4096, 16},
    {"llama-3.1-8b", "vllm", "l40s", 1, 8192, 1},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct setting {
    struct deployment deployment;
    struct memory memory;
    struct batch_limits limits;
};

static void make_setting(const struct kind *kind, struct setting *setting)
{
    struct deployment *deployment = &setting->deployment;
    *deployment = (struct deployment){.tensor_parallel = kind->gpus,
                                      .max_model_len_tokens = kind->max_model_len_tokens,
                                      .max_sequences = kind->max_sequences};
    assert_int_equal(snapshot_find_model(snapshot, ALIAS_USER, kind->model, "", &problems, &deployment->model), 0);
    assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_USER, kind->gpu, "", &problems, &deployment->gpu), 0);
    assert_int_equal(snapshot_find_profile(snapshot, kind->engine, NULL, "", &problems, &deployment->engine), 0);
    deployment_default(deployment);
    assert_int_equal(memory_size(deployment, &setting->memory), STATUS_OK);
    assert_true(setting->memory.fits);
    setting->limits = batch_limits_make(deployment, &setting->memory);
}

/* --- the article -------------------------------------------------------------------------------------------------- */

static void test_article_batch_size(void **state)
{
    (void)state;
    assert_true(article_batch_size(80, 14, 2048, ARTICLE_HIDDEN_SIZE) == 2252);
    assert_true(article_batch_size(24, 13.04, 4096, ARTICLE_HIDDEN_SIZE) == 140);
    assert_true(article_batch_size(80, 130, 2048, ARTICLE_HIDDEN_SIZE) == 1);
    assert_true(article_batch_size(80, 14, 2048, 8192) == 1351);
    assert_true(article_batch_size(24, 13.04, 1, ARTICLE_HIDDEN_SIZE) == 1148958);
    assert_true(article_batch_size(24, 13.04, 100000000, ARTICLE_HIDDEN_SIZE) == 1);
}

/* What the article's adaptive_batching gives for these lengths, run in Python. */
static void test_article_batches(void **state)
{
    (void)state;
    enum { COUNT = 10 };
    static const double lengths[COUNT] = {60000, 8192, 512, 8192, 30000, 100, 60000, 4096, 45000, 30000};
    static const struct {
        double vram_gb, model_gb;
        size_t batches;
        uint32_t batch_of[COUNT];
    } cases[] = {
        {24, 13.04, 3, {2, 1, 1, 1, 1, 1, 3, 1, 1, 1}},
        {80, 14, 1, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
        {16, 15.5, 7, {6, 1, 1, 2, 3, 1, 7, 1, 5, 4}},
        {80, 130, 10, {9, 4, 2, 5, 6, 1, 10, 3, 8, 7}}, /* no memory is left: each by itself */
    };
    struct request_lengths items[COUNT];
    uint32_t sorted[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        items[i] = (struct request_lengths){.input_tokens = lengths[i], .line = (uint32_t)i + 1};
    const struct request_list requests = {items, COUNT, false};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct batch_plan plan;
        assert_true(batch_plan_init(&plan, &arena, COUNT));
        article_batches(cases[i].vram_gb, cases[i].model_gb, &requests, sorted, &plan);
        assert_int_equal(plan.count, cases[i].batches);
        assert_memory_equal(plan.batch_of, cases[i].batch_of, sizeof cases[i].batch_of);
    }
}

/* --- packings ----------------------------------------------------------------------------------------------------- */

static uint64_t random_state;

static double random_between(double low, double high)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return floor(low + (high - low + 1) * (double)(random_state >> 33) / 2147483648.0);
}

/* Few lengths or many, short or as long as the engine takes, or longer. */
static struct request_list random_trace(const struct setting *setting, size_t count)
{
    struct request_lengths *items = ARENA_ARRAY(&arena, count, struct request_lengths);
    double most = setting->deployment.max_model_len_tokens, longest = fmax(2, most / random_between(1, 30));
    double step = random_between(0, 1) > 0 ? 1 : ceil(longest / 4);
    assert_non_null(items);
    for (size_t i = 0; i < count; i++) {
        items[i].input_tokens = fmax(1, floor(random_between(1, longest) / step) * step);
        items[i].output_tokens =
            random_between(0, 20) < 1 ? random_between(1, most) : random_between(1, longest / 8 + 1);
        items[i].line = (uint32_t)i + 1;
    }
    return (struct request_list){items, count, false};
}

static double tokens_of(const struct request_lengths *request)
{
    return request->input_tokens + request->output_tokens;
}

/* Every request that fits is in one batch, and no batch is over its limits, counted anew from the requests. */
static void check_plan(const struct setting *setting, const struct request_list *requests, enum batch_kind kind,
                       const struct batch_plan *plan)
{
    const struct batch_limits *limits = &setting->limits;
    struct batch *counted = ARENA_ARRAY(&arena, plan->count + 1, struct batch);
    assert_non_null(counted);
    for (size_t i = 0; i < requests->count; i++) {
        const struct request_lengths *request = &requests->items[i];
        bool fits = batch_judge(limits, request) == BATCH_FITS;
        assert_true(fits ? plan->batch_of[i] >= 1 && plan->batch_of[i] <= plan->count : plan->batch_of[i] == 0);
        if (!fits) continue;
        struct batch *batch = &counted[plan->batch_of[i]];
        batch->requests++;
        batch->input_tokens += request->input_tokens;
        batch->output_tokens += request->output_tokens;
        batch->longest_input_tokens = fmax(batch->longest_input_tokens, request->input_tokens);
        batch->longest_output_tokens = fmax(batch->longest_output_tokens, request->output_tokens);
        batch->kv_units += kv_layout_sequence_units(&limits->layout, &setting->deployment, tokens_of(request));
    }
    for (size_t i = 1; i <= plan->count; i++) {
        const struct batch *batch = &plan->batches[i];
        double padded = counted[i].longest_input_tokens + counted[i].longest_output_tokens;
        double units =
            kind == BATCH_PAGED
                ? counted[i].kv_units
                : counted[i].requests * kv_layout_sequence_units(&limits->layout, &setting->deployment, padded);
        assert_true(batch->requests == counted[i].requests && batch->requests >= 1);
        assert_true(batch->requests <= setting->deployment.max_sequences);
        assert_true(batch->input_tokens == counted[i].input_tokens && batch->output_tokens == counted[i].output_tokens);
        assert_near("units", batch->kv_units, units, 1e-12);
        assert_true(batch->kv_units <= limits->kv_units);
        assert_true(kind == BATCH_PAGED || padded <= setting->deployment.max_model_len_tokens);
    }
}

/* Best fit as it is defined: of all batches with room the fullest, of equally full ones the first. */
static size_t naive_best_fit(const struct setting *setting, const struct request_list *requests, const uint32_t *sorted,
                             size_t count, uint32_t *batch_of)
{
    const struct batch_limits *limits = &setting->limits;
    struct batch *batches = ARENA_ARRAY(&arena, count + 1, struct batch);
    size_t made = 0;
    assert_non_null(batches);
    for (size_t i = count; i-- > 0;) {
        double units =
            kv_layout_sequence_units(&limits->layout, &setting->deployment, tokens_of(&requests->items[sorted[i]]));
        size_t best = 0;
        for (size_t k = 1; k <= made; k++) {
            bool room = batches[k].kv_units + units <= limits->kv_units &&
                        batches[k].requests < setting->deployment.max_sequences;
            if (room && (best == 0 || batches[k].kv_units > batches[best].kv_units)) best = k;
        }
        if (best == 0) best = ++made;
        batches[best].kv_units += units;
        batches[best].requests++;
        batch_of[sorted[i]] = (uint32_t)best;
    }
    return made;
}

static int compare_batches(const void *left, const void *right)
{
    const struct batch *a = left, *b = right;
    const double x[] = {a->requests, a->input_tokens,         a->output_tokens,
                        a->kv_units, a->longest_input_tokens, a->longest_output_tokens};
    const double y[] = {b->requests, b->input_tokens,         b->output_tokens,
                        b->kv_units, b->longest_input_tokens, b->longest_output_tokens};
    for (size_t i = 0; i < sizeof x / sizeof *x; i++) {
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    }
    return 0;
}

/* The same requests in another order make the same batches. */
static void check_shuffled(const struct setting *setting, const struct request_list *requests, enum batch_kind kind,
                           enum batch_order order, const struct batch_plan *plan)
{
    struct request_lengths *items = ARENA_ARRAY(&arena, requests->count, struct request_lengths);
    struct batch *batches = ARENA_ARRAY(&arena, plan->count + 1, struct batch);
    struct batch_plan other;
    assert_true(items && batches && batch_plan_init(&other, &arena, requests->count));
    memcpy(items, requests->items, requests->count * sizeof *items);
    memcpy(batches, plan->batches, (plan->count + 1) * sizeof *batches);
    for (size_t i = requests->count; i-- > 1;) {
        size_t k = (size_t)random_between(0, (double)i);
        struct request_lengths swapped = items[i];
        items[i] = items[k];
        items[k] = swapped;
    }
    const struct request_list shuffled = {items, requests->count, false};
    size_t count = 0;
    uint32_t *sorted = batch_sort(&shuffled, &setting->limits, &arena, &count);
    batch_pack(&shuffled, sorted, count, &setting->limits, kind, order, &other);
    assert_int_equal(other.count, plan->count);
    qsort(batches + 1, plan->count, sizeof *batches, compare_batches);
    qsort(other.batches + 1, other.count, sizeof *batches, compare_batches);
    for (size_t i = 1; i <= other.count; i++)
        assert_int_equal(compare_batches(&batches[i], &other.batches[i]), 0);
}

static void check_totals(const struct setting *setting, enum batch_kind kind, const struct batch_plan *plan,
                         size_t placed)
{
    struct batch_totals totals, shared;
    batch_plan_total(plan, &setting->limits, &setting->memory, kind, 1, &totals);
    batch_plan_total(plan, &setting->limits, &setting->memory, kind, 4, &shared);
    assert_true(totals.requests == (double)placed);
    if (placed == 0) return;
    assert_true(totals.kv_utilization_ratio > 0 && totals.kv_utilization_ratio <= 1);
    assert_true(totals.padding_ratio >= 0 && totals.padding_ratio < 1 && totals.padded_tokens >= totals.tokens);
    assert_true(totals.seconds.value > 0 && totals.seconds.low <= totals.seconds.value &&
                totals.seconds.value <= totals.seconds.high);
    assert_true(shared.seconds.value <= totals.seconds.value && shared.seconds.value >= totals.seconds.value / 4.0001);
}

static void check_trace(const struct setting *setting, size_t size)
{
    const struct request_list requests = random_trace(setting, size);
    size_t count = 0, batches[BATCH_KIND_COUNT][BATCH_ORDER_COUNT];
    struct batch_plan plan;
    uint32_t *sorted = batch_sort(&requests, &setting->limits, &arena, &count);
    assert_true(sorted && batch_plan_init(&plan, &arena, size));
    for (enum batch_kind kind = 0; kind < BATCH_KIND_COUNT; kind++) {
        for (enum batch_order order = 0; order < BATCH_ORDER_COUNT; order++) {
            batch_pack(&requests, sorted, count, &setting->limits, kind, order, &plan);
            batches[kind][order] = plan.count;
            check_plan(setting, &requests, kind, &plan);
            check_shuffled(setting, &requests, kind, order, &plan);
            check_totals(setting, kind, &plan, count);
        }
        assert_true(batches[kind][BATCH_BEST_FIT_DECREASING] <= batches[kind][BATCH_GREEDY_ASCENDING]);
    }
    uint32_t *naive = ARENA_ARRAY(&arena, size, uint32_t);
    batch_pack(&requests, sorted, count, &setting->limits, BATCH_PAGED, BATCH_BEST_FIT_DECREASING, &plan);
    assert_int_equal(naive_best_fit(setting, &requests, sorted, count, naive), plan.count);
    assert_memory_equal(naive, plan.batch_of, size * sizeof *naive);
}

static void test_random_traces(void **state)
{
    (void)state;
    random_state = 20261129;
    print_message("seed %llu\n", (unsigned long long)random_state);
    for (size_t i = 0; i < KINDS; i++) {
        struct setting setting;
        make_setting(&kinds[i], &setting);
        for (size_t round = 0; round < 12; round++)
            check_trace(&setting, (size_t)random_between(1, round < 10 ? 60 : 1500));
    }
}

/* A trace whose longest items pair with its shortest ones: greedy closes batches that best fit fills. */
static void test_best_fit_is_better(void **state)
{
    (void)state;
    enum { PAIRS = 50 };
    struct setting setting;
    struct request_lengths items[2 * PAIRS];
    make_setting(&(const struct kind){"llama-3.1-8b", "vllm", "l40s", 1, 131072, 2}, &setting);
    double pool = setting.limits.kv_units * setting.limits.layout.block_tokens;
    for (size_t i = 0; i < PAIRS; i++) {
        items[2 * i] = (struct request_lengths){.input_tokens = floor(pool * 0.6), .output_tokens = 1};
        items[2 * i + 1] = (struct request_lengths){.input_tokens = floor(pool * 0.3), .output_tokens = 1};
    }
    const struct request_list requests = {items, sizeof items / sizeof *items, false};
    struct batch_plan plan;
    size_t count = 0;
    uint32_t *sorted = batch_sort(&requests, &setting.limits, &arena, &count);
    assert_true(sorted && batch_plan_init(&plan, &arena, requests.count));
    batch_pack(&requests, sorted, count, &setting.limits, BATCH_PAGED, BATCH_GREEDY_ASCENDING, &plan);
    assert_int_equal(plan.count, PAIRS / 2 + PAIRS);
    batch_pack(&requests, sorted, count, &setting.limits, BATCH_PAGED, BATCH_BEST_FIT_DECREASING, &plan);
    assert_int_equal(plan.count, PAIRS);
}

static void test_what_fits_no_batch(void **state)
{
    (void)state;
    struct setting setting;
    make_setting(&kinds[0], &setting);
    setting.limits.kv_units = kv_layout_units(&setting.limits.layout, 4096);
    const struct {
        double input_tokens, output_tokens;
        enum batch_fit fit;
    } cases[] = {{4095, 1, BATCH_FITS}, {4096, 1, BATCH_NO_ROOM}, {8191, 1, BATCH_NO_ROOM}, {8192, 1, BATCH_TOO_LONG}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct request_lengths request = {.input_tokens = cases[i].input_tokens,
                                                .output_tokens = cases[i].output_tokens};
        assert_int_equal(batch_judge(&setting.limits, &request), cases[i].fit);
        assert_true(strlen(batch_fit_name(cases[i].fit)) > 0);
    }
}

/* --- equal requests ----------------------------------------------------------------------------------------------- */

static void test_curve(void **state)
{
    (void)state;
    const struct slo none = {UNKNOWN, UNKNOWN, UNKNOWN, 95, 0.9};
    for (size_t i = 0; i < KINDS; i++) {
        struct setting setting;
        struct roofline roofline;
        struct batch_curve curve;
        make_setting(&kinds[i], &setting);
        roofline_init(&roofline, &setting.deployment, &setting.memory, 1024, 256);
        batch_curve_make(&roofline, &none, &curve);
        double held = floor(memory_sequences_at(&setting.deployment, &setting.memory, 1280));
        assert_true(curve.largest_by_kv == held);
        assert_true(curve.largest == fmin(held, setting.deployment.max_sequences));
        assert_true(curve.count >= 1 && curve.points[0].batch_size == 1);
        assert_true(curve.points[curve.count - 1].batch_size == curve.largest);
        for (size_t k = 1; k < curve.count; k++) {
            assert_true(curve.points[k].batch_size > curve.points[k - 1].batch_size);
            assert_true(curve.points[k].performance.tpot_ms.value >= curve.points[k - 1].performance.tpot_ms.value);
            assert_true(curve.points[curve.best].performance.output_tokens_per_second.value >=
                        curve.points[k].performance.output_tokens_per_second.value);
        }
        assert_string_equal(batch_bound_name(curve.largest_bound),
                            held < setting.deployment.max_sequences ? "kv_memory" : "max_sequences");
    }
}

/* The best batch within a limit is the last that meets it. */
static void test_limits_bound_the_best(void **state)
{
    (void)state;
    struct setting setting;
    struct roofline roofline;
    struct batch_curve curve;
    make_setting(&kinds[0], &setting);
    roofline_init(&roofline, &setting.deployment, &setting.memory, 1024, 256);
    const struct slo slo = {UNKNOWN, 50, UNKNOWN, 95, 0.9}, never = {UNKNOWN, 0.01, UNKNOWN, 95, 0.9};
    batch_curve_make(&roofline, &slo, &curve);
    double best = curve.points[curve.best].batch_size;
    assert_true(best > 1 && best < curve.largest && curve.best_bound == BATCH_BOUND_LATENCY);
    const struct load_point one_more = {.load = LOAD_CONCURRENCY, .concurrency = best + 1, .percentile = 95};
    struct performance performance;
    performance_predict(&roofline, &one_more, &performance);
    assert_true(curve.points[curve.best].meets_slo && performance_slo_probability(&performance, &slo) < 0.9);
    batch_curve_make(&roofline, &never, &curve);
    assert_int_equal(curve.best, curve.count);
    assert_int_equal(curve.best_bound, BATCH_BOUND_LATENCY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_article_batch_size),    cmocka_unit_test(test_article_batches),
        cmocka_unit_test(test_random_traces),         cmocka_unit_test(test_best_fit_is_better),
        cmocka_unit_test(test_what_fits_no_batch),    cmocka_unit_test(test_curve),
        cmocka_unit_test(test_limits_bound_the_best),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
