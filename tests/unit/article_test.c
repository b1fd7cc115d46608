/* article_test.c owns the proof that "estimator": "article" is the article's arithmetic to the cent, and that what the
 * article lacks (a reason, a way out) is there. The expected figures were computed from the article's code. */
#include "sizing/article.h"
#include "support/fixture.h"
#include "support/fleet_ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The article's example: 140 GB, 100 tokens/s, a year. */
#define EXAMPLE "{'model':{'weights_gb':140},'estimator':'article','workload':{'throughput_tokens_per_second':100}"

static void assert_cents(double value, double expected)
{
    char left[64], right[64];
    (void)snprintf(left, sizeof left, "%.2f", value);
    (void)snprintf(right, sizeof right, "%.2f", expected);
    assert_string_equal(left, right);
}

static const struct {
    const char *gpu;
    uint32_t count;
    double total_usd, usd_per_gb, usd_per_gb_per_s, total_per_throughput;
} golden[] = {
    {"a100-80gb-sxm", 50, 785040.00, 187.50, 7.3565, 7850.40},
    {"a100-40gb-sxm", 65, 695552.00, 250.00, 6.4309, 6955.52},
    {"h100-sxm", 30, 771024.00, 312.50, 7.4627, 7710.24},
    {"rtx-4090", 100, 230080.00, 66.67, 1.5873, 2300.80},
    {"rtx-a6000", 131, 681304.80, 93.75, 5.8594, 6813.05},
};
enum { GOLDEN_COUNT = sizeof golden / sizeof golden[0] };

static const struct option *option_of(const struct asked *asked, const char *gpu)
{
    const struct recommendation *found = &asked->answer.recommendation;
    for (size_t i = 0; i < found->option_count; i++) {
        if (strcmp(found->options[i].deployment.gpu->id, gpu) == 0) return &found->options[i];
    }
    fail_msg("%s is no option", gpu);
    return NULL;
}

static void test_deployment_cost(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, EXAMPLE ",'alternatives':10}");
    assert_int_equal(asked->status, STATUS_OK);
    assert_int_equal(asked->answer.recommendation.option_count, GOLDEN_COUNT);
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        const struct option *option = option_of(asked, golden[i].gpu);
        assert_int_equal(option->gpu_count, golden[i].count);
        assert_cents(usd_to_double(option->cost.total_usd), golden[i].total_usd);
        assert_cents(option->cost.per_gb_vram_usd, golden[i].usd_per_gb);
        assert_cents(option->cost.per_gb_per_s_bandwidth_usd, golden[i].usd_per_gb_per_s);
        assert_true(fabs(option->cost.per_gb_per_s_bandwidth_usd - golden[i].usd_per_gb_per_s) < 6e-5);
        assert_cents(option->performance.output_tokens_per_second.value, 100.0);
        assert_cents(option->cost.per_throughput_usd.value, golden[i].total_per_throughput);
        usd_t sum = usd_add(option->cost.hardware_usd, option->cost.operating_usd);
        assert_int_equal(sum.micro, option->cost.total_usd.micro);
    }
    fleet_done(asked);
}

/* Hardware and running cost of one row by hand: 50 × 15,000 and 50 × 0.08 × 8,760. */
static void test_cost_parts(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, EXAMPLE ",'alternatives':10}");
    const struct option *option = option_of(asked, "a100-80gb-sxm");
    assert_int_equal(option->cost.hardware_usd.micro, USD(750000.0).micro);
    assert_int_equal(option->cost.operating_usd.micro, USD(35040.0).micro);
    assert_cents(usd_to_double(option->cost.per_hour_usd), 785040.0 / 8760);
    assert_true(option->purchase == PURCHASE_OWNED && !option->offer);
    fleet_done(asked);
}

/* Best total per throughput first; the article shows the best and two alternatives. */
static void test_order_and_alternatives(void **state)
{
    (void)state;
    static const char *const order[] = {"rtx-4090", "rtx-a6000", "a100-40gb-sxm"};
    struct asked *asked = fleet_ask(snapshot, EXAMPLE "}");
    const struct recommendation *found = &asked->answer.recommendation;
    assert_true(found->has_recommended);
    assert_int_equal(found->option_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(found->options[i].deployment.gpu->id, order[i]);
        assert_int_equal(found->options[i].rank, i + 1);
        assert_non_null(found->options[i].explanation);
    }
    assert_int_equal(found->rejected_count, 2);
    assert_int_equal(fleet_rejection(asked, "h100-sxm")->reason, REJECT_OUTRANKED);
    assert_int_equal(found->relaxation_count, 0);
    fleet_done(asked);
}

static void test_budget_too_small(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, EXAMPLE ",'constraints':{'budget_usd':100000,'duration_hours':8760}}");
    assert_int_equal(asked->status, STATUS_OK);
    const struct recommendation *found = &asked->answer.recommendation;
    assert_false(found->has_recommended);
    assert_int_equal(found->option_count, 0);
    assert_int_equal(found->rejected_count, GOLDEN_COUNT);
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        const struct rejection *rejection = fleet_rejection(asked, golden[i].gpu);
        assert_int_equal(rejection->reason, REJECT_BUDGET);
        assert_cents(rejection->needed, golden[i].total_usd);
        assert_cents(rejection->available, 100000);
    }
    const struct relaxation *budget = fleet_relaxation(asked, "budget_usd");
    assert_non_null(budget);
    assert_cents(budget->to - budget->from, 130080);
    assert_cents(budget->to, 230080);
    assert_string_equal(budget->option->deployment.gpu->id, "rtx-4090");
    assert_non_null(strstr(budget->detail, "130080.00"));
    const struct relaxation *throughput = fleet_relaxation(asked, "throughput_tokens_per_second");
    assert_non_null(throughput);
    assert_cents(throughput->to, 43.344);
    assert_true(throughput->to == 43.344);
    assert_int_equal(throughput->option->gpu_count, 43);
    assert_cents(usd_to_double(throughput->option->cost.total_usd), 98934.40);
    assert_null(fleet_relaxation(asked, "duration_hours")); /* the hardware alone is 160,000 */
    fleet_done(asked);
}

/* "below 43.344": just under it fits, at it the article's int() + 1 asks for one card more. */
static void test_throughput_limit_is_exact(void **state)
{
    (void)state;
    static const struct {
        double throughput;
        bool fits;
    } cases[] = {{43.3439, true}, {43.344, false}};
    for (size_t i = 0; i < 2; i++) {
        struct asked *asked = fleet_ask(snapshot,
                                        "{'model':{'weights_gb':140},'estimator':'article','workload':"
                                        "{'throughput_tokens_per_second':%.17g},'constraints':{'budget_usd':100000}}",
                                        cases[i].throughput);
        assert_int_equal(asked->answer.recommendation.has_recommended, cases[i].fits);
        if (cases[i].fits) assert_int_equal(fleet_best(asked)->gpu_count, 43);
        fleet_done(asked);
    }
}

static void test_budget_relaxation_works(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, EXAMPLE ",'constraints':{'budget_usd':230080}}");
    assert_string_equal(fleet_best(asked)->deployment.gpu->id, "rtx-4090");
    fleet_done(asked);
    asked = fleet_ask(snapshot, EXAMPLE ",'constraints':{'budget_usd':230079.99}}");
    assert_false(asked->answer.recommendation.has_recommended);
    fleet_done(asked);
}

/* 4 tokens/s of 140 GB: 6 RTX 4090 hold it and make 6.048; 9,600 USD and 0.48 USD/h leave (10,000 - 9,600) / 0.48. */
static void test_duration_relaxation(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{'model':{'weights_gb':140},'estimator':'article','workload':"
                                              "{'throughput_tokens_per_second':4},'constraints':{'budget_usd':10000}}");
    const struct relaxation *duration = fleet_relaxation(asked, "duration_hours");
    assert_non_null(duration);
    assert_cents(duration->from, 8760);
    assert_cents(duration->to, 833);
    assert_string_equal(duration->option->deployment.gpu->id, "rtx-4090");
    fleet_done(asked);
    asked = fleet_ask(snapshot, "{'model':{'weights_gb':140},'estimator':'article','workload':"
                                "{'throughput_tokens_per_second':4},'constraints':{'budget_usd':10000,"
                                "'duration_hours':833}}");
    assert_int_equal(fleet_best(asked)->gpu_count, 6);
    fleet_done(asked);
}

/* When memory asks for more cards than the money buys, no throughput helps. */
static void test_no_throughput_helps(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{'model':{'weights_gb':140},'estimator':'article','workload':"
                                              "{'throughput_tokens_per_second':4},'constraints':{'budget_usd':5000}}");
    assert_false(asked->answer.recommendation.has_recommended);
    assert_null(fleet_relaxation(asked, "throughput_tokens_per_second"));
    assert_non_null(fleet_relaxation(asked, "budget_usd"));
    fleet_done(asked);
}

/* A model by name counts as parameters × 2 / 10^9 GB: 70.55e9 parameters are 141.1 GB, 2 × 80 GB hold them. */
static void test_model_by_name(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask(snapshot, "{'model':'meta-llama/Llama-3.1-70B-Instruct','estimator':'article','alternatives':10,"
                            "'workload':{'throughput_tokens_per_second':1}}");
    const struct option *option = option_of(asked, "a100-80gb-sxm");
    double gb = asked->answer.model.facts.parameters * 2 / GB;
    assert_int_equal(option->gpu_count, (uint32_t)(gb / 80) + 1);
    assert_true(fabs(option->memory.weights_bytes * option->gpu_count / GB - gb) < 1e-6);
    fleet_done(asked);
}

/* The article has no other kind of demand; the throughput may be said by any that means one. */
static void test_demands(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{'model':{'weights_gb':140},'estimator':'article'}");
    assert_true(fleet_has_problem(asked, STATUS_MISSING_FIELD, "workload.throughput_tokens_per_second"));
    fleet_done(asked);
    asked = fleet_ask(snapshot, "{'model':{'weights_gb':140},'estimator':'article','workload':{'concurrency':5}}");
    assert_int_equal(asked->status, STATUS_MISSING_FIELD);
    fleet_done(asked);
    asked = fleet_ask(snapshot, "{'model':{'weights_gb':140},'estimator':'article','workload':{'users':5}}");
    assert_true(fleet_has_problem(asked, STATUS_MISSING_FIELD, "workload.requests_per_user_hour"));
    fleet_done(asked);
    /* 100 tokens/s is 100 tokens/s whatever the length of an answer: 49 does not divide it in binary */
    for (uint32_t tokens = 1; tokens <= 4096; tokens += 16) {
        asked = fleet_ask(snapshot,
                          "{'model':{'weights_gb':140},'estimator':'article','workload':"
                          "{'output_tokens':%u,'output_tokens_per_second':100},'alternatives':10}",
                          tokens);
        for (size_t i = 0; i < GOLDEN_COUNT; i++)
            assert_int_equal(option_of(asked, golden[i].gpu)->gpu_count, golden[i].count);
        fleet_done(asked);
    }
}

static void test_model_memory(void **state)
{
    (void)state;
    static const struct {
        double parameters, bits, gib;
    } cases[] = {{7e9, 16, 13.04},  {7e9, 32, 26.08},   {13e9, 16, 24.21},
                 {13e9, 32, 48.43}, {70e9, 16, 130.39}, {70e9, 32, 260.77}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_cents(article_memory_gib(cases[i].parameters, cases[i].bits), cases[i].gib);
}

static void test_memory_operation(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask_text(snapshot, "memory", "{'model':{'parameters':70e9},'gpu':'h100-sxm','estimator':'article'}");
    assert_int_equal(asked->status, STATUS_OK);
    assert_non_null(strstr(asked->out.data, ":130.39"));
    fleet_done(asked);
}

/* A catalog without the article's list has nothing to say, and says so. */
static void test_without_the_list(void **state)
{
    (void)state;
    struct snapshot *bare = fleet_catalog();
    bare->operating_cost_count = 0;
    struct asked *asked = fleet_ask(bare, EXAMPLE ",'constraints':{'budget_usd':100000}}");
    assert_int_equal(asked->status, STATUS_OK);
    assert_false(asked->answer.recommendation.has_recommended);
    assert_int_equal(asked->answer.recommendation.rejected_count, 0);
    fleet_done(asked);
    snapshot_free(bare);
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    size_t failures = 0;
    for (size_t bytes = 512; bytes < 1 << 20; bytes += 512) {
        struct asked *asked = fleet_ask_within(snapshot, bytes, EXAMPLE ",'constraints':{'budget_usd':300000}}");
        bool done = asked->status == STATUS_OK;
        if (!done) assert_int_equal(asked->status, STATUS_OUT_OF_MEMORY);
        if (!done) failures++;
        for (size_t i = 0; done && i < asked->answer.recommendation.option_count; i++)
            assert_non_null(asked->answer.recommendation.options[i].explanation);
        for (size_t i = 0; done && i < asked->answer.recommendation.rejected_count; i++)
            assert_non_null(asked->answer.recommendation.rejected[i].detail);
        fleet_done(asked);
        if (done) break;
    }
    assert_in_range(failures, 1, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deployment_cost),
        cmocka_unit_test(test_cost_parts),
        cmocka_unit_test(test_order_and_alternatives),
        cmocka_unit_test(test_budget_too_small),
        cmocka_unit_test(test_throughput_limit_is_exact),
        cmocka_unit_test(test_budget_relaxation_works),
        cmocka_unit_test(test_duration_relaxation),
        cmocka_unit_test(test_no_throughput_helps),
        cmocka_unit_test(test_model_by_name),
        cmocka_unit_test(test_demands),
        cmocka_unit_test(test_model_memory),
        cmocka_unit_test(test_memory_operation),
        cmocka_unit_test(test_without_the_list),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
