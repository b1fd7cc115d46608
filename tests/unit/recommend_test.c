/* recommend_test.c owns the proof of what a recommendation promises: each constraint, default, demand and money rule on
 * the bundled catalog, its invariants, reasons and ways out. */
#include "catalog/text.h"
#include "sizing/explain.h"
#include "sizing/relax.h"
#include "support/fixture.h"
#include "support/fleet_ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LLAMA_8B "'model':'meta-llama/Llama-3.1-8B-Instruct'"
#define LLAMA_70B "'model':'meta-llama/Llama-3.1-70B-Instruct'"
#define LLAMA_405B "'model':'meta-llama/Llama-3.1-405B-Instruct'"
#define GPT_OSS_120B "'model':'openai/gpt-oss-120b'"
#define FIVE_RPS "'workload':{'requests_per_second':5}"

static double total_usd(const struct option *option)
{
    return usd_to_double(option->cost.total_usd);
}

static void assert_close(double value, double expected, double tolerance_ratio)
{
    if (!(fabs(value - expected) <= tolerance_ratio * fabs(expected))) fail_msg("%.9g, not %.9g", value, expected);
}

/* The objective of the best option of a question; NaN if nothing is recommended. */
static double best_total(const struct snapshot *catalog, const char *body)
{
    struct asked *asked = fleet_ask(catalog, "%s", body);
    assert_int_equal(asked->status, STATUS_OK);
    double total = asked->answer.recommendation.has_recommended ? total_usd(fleet_best(asked)) : NAN;
    fleet_done(asked);
    return total;
}

enum { PLACE_BYTES = 32 };

/* The question with this value in the place of @. */
static void fill_in(const char *question, double value, char body[1024])
{
    char place[PLACE_BYTES];
    (void)snprintf(place, sizeof place, "%.9g", value);
    const char *at = strchr(question, '@');
    assert_non_null(at);
    int length = snprintf(body, 1024, "%.*s%s%s", (int)(at - question), question, place, at + 1);
    assert_in_range(length, 1, 1023);
}

/* --- defaults --------------------------------------------------------------------------------------------------- */

static void test_defaults(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_8B "}");
    const struct recommend_request *request = &asked->answer.request;
    const struct option *best = fleet_best(asked);
    assert_true(request->input_tokens == 1024 && request->output_tokens == 256);
    assert_int_equal(request->max_model_len_tokens, 8192);
    assert_string_equal(request->engine, "vllm");
    assert_string_equal(request->kv_dtype, "auto");
    assert_int_equal(request->weight_dtypes.count, 1);
    assert_string_equal(request->weight_dtypes.items[0], "native");
    assert_int_equal(request->purchases, 1u << PURCHASE_ON_DEMAND);
    assert_true(request->duration_hours == 8760 && request->hours_per_day == 24);
    assert_true(request->max_gpus == 64 && request->spare_replicas == 0 && request->alternatives == 5);
    assert_true(request->percentile == 95 && request->min_probability_ratio == 0.9);
    assert_true(request->host_cost_ratio == 0.35 && request->residual_value_ratio == 0);
    assert_int_equal(request->objective, OBJECTIVE_COST);
    assert_int_equal(request->estimator, ESTIMATOR_ROOFLINE);
    assert_int_equal(request->as_of.days, asked->call.today.days);
    assert_true(best->purchase == PURCHASE_ON_DEMAND && best->offer);
    assert_int_equal(best->replicas, 1);
    assert_true(best->deployment.weight_dtype == DTYPE_BF16 && !best->quality_unverified);
    fleet_done(asked);
}

/* Without a demand a budget means the most for the money; with one, the least money. */
static void test_default_objective(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_8B ",'constraints':{'budget_usd':50000}}");
    assert_int_equal(asked->answer.request.objective, OBJECTIVE_THROUGHPUT);
    fleet_done(asked);
    asked = fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS ",'constraints':{'budget_usd':50000}}");
    assert_int_equal(asked->answer.request.objective, OBJECTIVE_COST);
    fleet_done(asked);
    asked = fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS ",'objective':'throughput'}");
    assert_true(fleet_has_problem(asked, STATUS_MISSING_FIELD, "constraints.budget_usd"));
    fleet_done(asked);
}

/* The request with its defaults asks the same question. */
static void test_defaults_are_stable(void **state)
{
    (void)state;
    struct asked *plain = fleet_ask_text(snapshot, "recommend", "{" LLAMA_8B "," FIVE_RPS "}");
    struct asked *full = fleet_ask_text(
        snapshot, "recommend",
        "{" LLAMA_8B ",'workload':{'requests_per_second':5,'input_tokens':1024,'output_tokens':256,'arrival_cv2':1},"
        "'serving':{'engine':'VLLM','weight_dtype':['native'],'kv_dtype':'auto','max_model_len_tokens':8192},"
        "'slo':{'percentile':95,'min_probability_ratio':0.9},'objective':'cost','estimator':'roofline',"
        "'constraints':{'duration_hours':8760,'hours_per_day':24,'purchase':['on_demand'],'max_gpus':64,"
        "'spare_replicas':0,'min_basis':'extrapolated','host_cost_ratio':0.35},'alternatives':5,"
        "'as_of':'2026-11-23'}");
    assert_int_equal(full->status, STATUS_OK);
    assert_string_equal(plain->call.id, full->call.id);
    assert_string_equal(plain->out.data, full->out.data);
    fleet_done(plain);
    fleet_done(full);
}

/* --- demand ----------------------------------------------------------------------------------------------------- */

/* Forms of one demand: 5 requests/s of 256 tokens are 1,280 tokens/s, or 1,000 people with 18 questions an hour. */
static void test_demand_forms(void **state)
{
    (void)state;
    static const char *const forms[] = {"'requests_per_second':5", "'output_tokens_per_second':1280",
                                        "'throughput_tokens_per_second':1280",
                                        "'users':1000,'requests_per_user_hour':18"};
    double total = NAN;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct asked *asked = fleet_ask(snapshot, "{" LLAMA_70B ",'workload':{%s}}", forms[i]);
        const struct option *best = fleet_best(asked);
        if (i == 0) total = total_usd(best);
        assert_true(total_usd(best) == total);
        assert_close(best->performance.requests_per_second.value, 5, 1e-5);
        assert_true(best->safe_requests_per_second >= 5);
        assert_true(best->meets_slo_probability_ratio >= 0.9);
        fleet_done(asked);
    }
}

/* 10^10 tokens of 1,280 in 72 hours: 30.14 requests/s, whatever the arrivals. */
static void test_job(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_8B ",'workload':{'total_tokens':1e10,'deadline_hours':72}}");
    const struct option *best = fleet_best(asked);
    assert_true(best->capacity_requests_per_second.value >= 1e10 / 1280 / (72 * 3600));
    assert_true(best->safe_requests_per_second >= 1e10 / 1280 / (72 * 3600) * (1 - 1e-5));
    fleet_done(asked);
}

static void test_concurrency(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_8B ",'workload':{'concurrency':2000}}");
    const struct option *best = fleet_best(asked);
    assert_close(best->performance.in_flight, 2000, 1e-4);
    assert_true(best->replicas > 1);
    assert_true(best->kv_needed_bytes <= best->memory.kv_pool_bytes * 1.01);
    fleet_done(asked);
}

/* What was measured of eight in flight meets a limit that a request alone, which nobody measured, is likely to miss. */
static void test_measured_requests_in_flight_meet_limits(void **state)
{
    (void)state;
    static const char question[] =
        "{" LLAMA_8B ",'workload':{'concurrency':%d,'input_tokens':1000,'output_tokens':500},"
        "'slo':{'tpot_ms':6.5},'serving':{'engine':'vllm','engine_version':'0.20'},"
        "'constraints':{'gpus':['h100-sxm'],'max_gpus':%d}}";
    struct snapshot *measured = fleet_catalog_measured(
        "s,1,vllm,0.20,meta-llama/Llama-3.1-8B-Instruct,h100-sxm,1,1,1,,,,concurrency,8,1000,500,1500,,90,5,,A,2026\n"
        "s,2,vllm,0.20,meta-llama/"
        "Llama-3.1-8B-Instruct,h100-sxm,2,2,1,,,,concurrency,24,1000,500,900,,90,20,,A,2026\n");
    for (int replicas = 1; replicas <= 3; replicas += 2) {
        struct asked *asked = fleet_ask(measured, question, 8 * replicas, replicas);
        const struct option *best = fleet_best(asked);
        assert_int_equal(best->replicas, replicas);
        assert_int_equal(best->performance.basis, BASIS_MEASURED);
        assert_true(best->safe_requests_per_second > 0);
        fleet_done(asked);
    }
    struct asked *asked = fleet_ask(measured, question, 1, 1);
    assert_false(asked->answer.recommendation.has_recommended);
    fleet_done(asked);
    snapshot_free(measured);
}

static void test_demand_contradictions(void **state)
{
    (void)state;
    static const struct {
        const char *workload;
        enum status status;
        const char *field;
    } cases[] = {
        {"'requests_per_second':5,'concurrency':5", STATUS_CONTRADICTION, "workload"},
        {"'output_tokens_per_second':5,'throughput_tokens_per_second':5", STATUS_CONTRADICTION, "workload"},
        {"'users':5", STATUS_MISSING_FIELD, "workload.requests_per_user_hour"},
        {"'requests_per_user_hour':5", STATUS_MISSING_FIELD, "workload.users"},
        {"'total_tokens':5000", STATUS_MISSING_FIELD, "workload.deadline_hours"},
        {"'deadline_hours':5", STATUS_MISSING_FIELD, "workload.total_tokens"},
        {"'input_tokens':5,'input_tokens_histogram':[{'tokens':5,'weight':1}]", STATUS_CONTRADICTION,
         "workload.input_tokens_histogram"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *asked = fleet_ask(snapshot, "{" LLAMA_8B ",'workload':{%s}}", cases[i].workload);
        assert_true(asked->status != STATUS_OK);
        assert_true(fleet_has_problem(asked, cases[i].status, cases[i].field));
        fleet_done(asked);
    }
}

/* Means are weighted; the longest prompt and answer must fit the context. */
static void test_histogram(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask(snapshot, "{" LLAMA_8B ",'workload':{'requests_per_second':5,"
                            "'input_tokens_histogram':[{'tokens':500,'weight':3},{'tokens':10000,'weight':1}],"
                            "'output_tokens_histogram':[{'tokens':100,'weight':1},{'tokens':300,'weight':1}]}}");
    struct question question = fleet_question(asked);
    assert_true(question.demand.input_tokens == 2875 && question.demand.output_tokens == 200);
    assert_true(question.demand.longest_tokens == 10300);
    assert_true(asked->answer.request.max_model_len_tokens >= 10300);
    fleet_done(asked);
    asked = fleet_ask(snapshot, "{" LLAMA_8B ",'serving':{'max_model_len_tokens':4096},'workload':{"
                                "'input_tokens_histogram':[{'tokens':500,'weight':3},{'tokens':10000,'weight':1}]}}");
    assert_true(asked->status != STATUS_OK);
    fleet_done(asked);
}

/* --- money ------------------------------------------------------------------------------------------------------ */

static void test_rented_money(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'duration_hours':1000,'hours_per_day':6}}");
    const struct recommendation *found = &asked->answer.recommendation;
    for (size_t i = 0; i < found->option_count; i++) {
        const struct option *option = &found->options[i];
        usd_t expected = usd_times(usd_times(option->offer->usd_per_hour, option->instance_count), 250);
        assert_int_equal(option->cost.total_usd.micro, expected.micro);
        assert_false(usd_known(option->cost.hardware_usd));
        assert_int_equal(option->gpu_count, option->instance_count * option->offer->gpu_count);
        assert_int_equal(option->gpus_idle, option->gpu_count - option->gpus_used);
        assert_int_equal(option->gpus_used, option->replicas * deployment_gpus(&option->deployment));
    }
    fleet_done(asked);
}

static void test_reserved_money(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS
                                              ",'constraints':{'purchase':['reserved'],'duration_hours':9000}}");
    const struct recommendation *found = &asked->answer.recommendation;
    assert_true(found->option_count > 1);
    for (size_t i = 0; i < found->option_count; i++) {
        const struct option *option = &found->options[i];
        assert_int_equal(option->purchase, PURCHASE_RESERVED);
        double term_hours = option->offer->term_months * 730.0;
        double expected =
            usd_to_double(option->offer->usd_per_hour) * option->instance_count * ceil(9000 / term_hours) * term_hours;
        assert_close(total_usd(option), expected, 1e-9);
    }
    fleet_done(asked);
}

static void test_owned_money(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'purchase':['owned'],'duration_hours':20000,"
                            "'host_cost_ratio':0.5,'residual_value_ratio':0.2,'electricity_usd_per_kwh':0.2}}");
    const struct recommendation *found = &asked->answer.recommendation;
    assert_true(found->option_count > 1);
    for (size_t i = 0; i < found->option_count; i++) {
        const struct option *option = &found->options[i];
        const struct purchase_price *price = snapshot_purchase_price(snapshot, option->gpu);
        double hardware = usd_to_double(price->usd) * option->gpu_count * 1.5;
        double power = option->deployment.gpu->tdp_watts / 1000 * 0.7 * 1.2 * 0.2 * option->gpu_count * 20000;
        assert_close(usd_to_double(option->cost.hardware_usd), hardware, 1e-9);
        assert_close(usd_to_double(option->cost.operating_usd), power, 1e-9);
        assert_close(total_usd(option), hardware * 0.8 + power, 1e-9);
        assert_true(option->purchase == PURCHASE_OWNED && !option->offer && option->gpus_idle == 0);
    }
    fleet_done(asked);
}

/* What is in stock costs power only, also where buying was not asked for; one GPU more must be paid for. */
static void test_inventory(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(
        snapshot, "{" LLAMA_8B "," FIVE_RPS ",'constraints':{'inventory':{'l40s':8},'gpus':['l40s'],'max_gpus':1000}}");
    const struct option *best = fleet_best(asked);
    assert_int_equal(best->purchase, PURCHASE_OWNED);
    assert_int_equal(best->cost.hardware_usd.micro, 0);
    assert_close(total_usd(best), 0.35 * 0.7 * 1.2 * 0.08 * 8760 * best->gpu_count, 1e-6);
    fleet_done(asked);
    /* more than the stock: not owned, unless it may be bought */
    asked = fleet_ask(snapshot, "{" LLAMA_70B ",'workload':{'requests_per_second':50},"
                                "'constraints':{'inventory':{'l40s':8},'gpus':['l40s'],'max_gpus':1000}}");
    assert_int_equal(fleet_best(asked)->purchase, PURCHASE_ON_DEMAND);
    fleet_done(asked);
    asked = fleet_ask(snapshot,
                      "{" LLAMA_70B ",'workload':{'requests_per_second':50},"
                      "'constraints':{'inventory':{'l40s':8},'gpus':['l40s'],'purchase':['owned'],'max_gpus':1000}}");
    best = fleet_best(asked);
    const struct purchase_price *price = snapshot_purchase_price(snapshot, best->gpu);
    assert_close(usd_to_double(best->cost.hardware_usd), usd_to_double(price->usd) * (best->gpu_count - 8) * 1.35,
                 1e-9);
    fleet_done(asked);
}

static void test_price_adjustments(void **state)
{
    (void)state;
    struct asked *list = fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'providers':['aws']}}");
    struct asked *discount =
        fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'providers':['aws'],'price_adjustments':"
                            "[{'provider':'AWS','discount_ratio':0.25}]}}");
    assert_close(total_usd(fleet_best(discount)), 0.75 * total_usd(fleet_best(list)), 1e-6);
    struct asked *support =
        fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'providers':['aws'],'price_adjustments':"
                            "[{'provider':'aws','usd_per_hour':2}]}}");
    const struct option *best = fleet_best(support);
    assert_close(total_usd(best), (usd_to_double(best->offer->usd_per_hour) + 2) * best->instance_count * 8760, 1e-9);
    struct asked *unknown = fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'price_adjustments':"
                                                "[{'provider':'azur','discount_ratio':0.5}]}}");
    assert_true(fleet_has_problem(unknown, STATUS_UNKNOWN_PROVIDER, "constraints.price_adjustments[0].provider"));
    struct asked *nameless =
        fleet_ask(snapshot, "{" LLAMA_70B ",'constraints':{'price_adjustments':[{'discount_ratio':0.5}]}}");
    assert_true(nameless->status != STATUS_OK);
    fleet_done(list);
    fleet_done(discount);
    fleet_done(support);
    fleet_done(unknown);
    fleet_done(nameless);
}

/* --- where and what --------------------------------------------------------------------------------------------- */

static bool all_options(const struct asked *asked, bool (*holds)(const struct option *))
{
    const struct recommendation *found = &asked->answer.recommendation;
    for (size_t i = 0; i < found->option_count; i++) {
        if (!holds(&found->options[i])) return false;
    }
    return found->option_count > 0;
}

static bool in_frankfurt(const struct option *option)
{
    return strcmp(option->offer->region, "eu-central-1") == 0;
}

static bool in_germany(const struct option *option)
{
    return strcmp(option->offer->country, "de") == 0;
}

static bool in_europe(const struct option *option)
{
    return strcmp(option->offer->continent, "eu") == 0;
}

static bool of_aws(const struct option *option)
{
    return strcmp(option->offer->provider, "aws") == 0;
}

static bool not_of_vast(const struct option *option)
{
    return strcmp(option->offer->provider, "vast") != 0;
}

static bool is_hopper_or_l40s(const struct option *option)
{
    const struct gpu *gpu = option->deployment.gpu;
    return strcmp(gpu->family, "h100") == 0 || strcmp(gpu->id, "l40s") == 0;
}

static bool not_h100(const struct option *option)
{
    return strcmp(option->deployment.gpu->family, "h100") != 0;
}

static bool is_spot(const struct option *option)
{
    return option->purchase == PURCHASE_SPOT && option->offer->purchase == PURCHASE_SPOT;
}

static void test_places_and_parts(void **state)
{
    (void)state;
    static const struct {
        const char *constraint;
        bool (*holds)(const struct option *);
    } cases[] = {
        {"'regions':['eu-central-1']", in_frankfurt},
        {"'regions':['DE']", in_germany},
        {"'regions':['eu']", in_europe},
        {"'providers':['AWS']", of_aws},
        {"'exclude_providers':['vast']", not_of_vast},
        {"'gpus':['h100','l40s']", is_hopper_or_l40s},
        {"'exclude_gpus':['H100']", not_h100},
        {"'purchase':['spot']", is_spot},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *asked = fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS ",'alternatives':50,'constraints':{%s}}",
                                        cases[i].constraint);
        if (!all_options(asked, cases[i].holds)) fail_msg("not held: %s", cases[i].constraint);
        fleet_done(asked);
    }
}

static void test_unknown_names(void **state)
{
    (void)state;
    static const struct {
        const char *constraint;
        enum status status;
        const char *field;
    } cases[] = {
        {"'regions':['eu','atlantis']", STATUS_UNKNOWN_REGION, "constraints.regions[1]"},
        {"'providers':['awss']", STATUS_UNKNOWN_PROVIDER, "constraints.providers[0]"},
        {"'exclude_providers':['nobody']", STATUS_UNKNOWN_PROVIDER, "constraints.exclude_providers[0]"},
        {"'gpus':['h1000-sxm']", STATUS_UNKNOWN_GPU, "constraints.gpus[0]"},
        {"'exclude_gpus':['l40s','x']", STATUS_UNKNOWN_GPU, "constraints.exclude_gpus[1]"},
        {"'inventory':{'h100':3}", STATUS_AMBIGUOUS_NAME, "constraints.inventory.h100"},
        {"'quota':{'nothing':3}", STATUS_UNKNOWN_GPU, "constraints.quota.nothing"},
        {"'min_weight_bits':32", STATUS_CONTRADICTION, "constraints.min_weight_bits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *asked =
            fleet_ask(snapshot, "{" LLAMA_8B ",'explain_gpu':'no-such','constraints':{%s}}", cases[i].constraint);
        assert_true(asked->status != STATUS_OK);
        assert_true(fleet_has_problem(asked, cases[i].status, cases[i].field));
        assert_true(fleet_has_problem(asked, STATUS_UNKNOWN_GPU, "explain_gpu")); /* all bad fields at once */
        fleet_done(asked);
    }
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_8B ",'serving':{'weight_dtype':['fp7']}}");
    assert_true(fleet_has_problem(asked, STATUS_INVALID_VALUE, "serving.weight_dtype"));
    fleet_done(asked);
}

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *serving;
        double least_bits, most_bits;
        bool compressed; /* some option is */
    } cases[] = {
        {"'weight_dtype':['native']", 16, 16, false},
        {"'weight_dtype':['fp8']", 8, 8, true},
        {"'weight_dtype':['any']},'constraints':{'min_weight_bits':8", 8, 16, true},
        {"'weight_dtype':['any']", 0, 16, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *asked =
            fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'alternatives':50,'serving':{%s}}", cases[i].serving);
        const struct recommendation *found = &asked->answer.recommendation;
        bool compressed = false, warned = false;
        for (size_t j = 0; j < found->option_count; j++) {
            double bits = dtype_bits(found->options[j].deployment.weight_dtype);
            assert_true(floor(bits) >= cases[i].least_bits && bits <= cases[i].most_bits);
            assert_int_equal(found->options[j].quality_unverified, bits < 16);
            compressed = compressed || found->options[j].quality_unverified;
        }
        for (size_t j = 0; j < found->warning_count; j++)
            warned = warned || strstr(found->warnings[j], "quality_unverified");
        assert_int_equal(compressed, cases[i].compressed);
        assert_int_equal(warned, compressed);
        fleet_done(asked);
    }
    assert_true(best_total(snapshot, "{'model':'meta-llama/Llama-3.1-70B-Instruct'," FIVE_RPS
                                     ",'serving':{'weight_dtype':['any']}}") <
                best_total(snapshot, "{'model':'meta-llama/Llama-3.1-70B-Instruct'," FIVE_RPS "}"));
}

/* --- limits ----------------------------------------------------------------------------------------------------- */

static void test_limits_hold(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask(snapshot, "{" LLAMA_70B ",'workload':{'requests_per_second':20},'alternatives':50,'constraints':{"
                            "'budget_usd':400000,'budget_usd_per_hour':40,'max_gpus':16,'max_power_watts':9000,"
                            "'quota':{'h100-sxm':8,'h200-sxm':0}}}");
    const struct recommendation *found = &asked->answer.recommendation;
    assert_true(found->option_count > 0);
    for (size_t i = 0; i < found->option_count; i++) {
        const struct option *option = &found->options[i];
        assert_true(total_usd(option) <= 400000 && usd_to_double(option->cost.per_hour_usd) <= 40);
        assert_true(option->gpu_count <= 16 && option->power_watts <= 9000);
        assert_true(strcmp(option->deployment.gpu->id, "h200-sxm") != 0);
        if (strcmp(option->deployment.gpu->id, "h100-sxm") == 0) assert_true(option->gpu_count <= 8);
        assert_close(option->power_watts, option->deployment.gpu->tdp_watts * option->gpu_count, 1e-6);
    }
    assert_int_equal(fleet_rejection(asked, "h200-sxm")->reason, REJECT_QUOTA);
    fleet_done(asked);
}

static void test_spares(void **state)
{
    (void)state;
    struct asked *plain = fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS ",'constraints':{'gpus':['l4']}}");
    struct asked *spare =
        fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS ",'constraints':{'gpus':['l4'],'spare_replicas':2}}");
    const struct option *a = fleet_best(plain), *b = fleet_best(spare);
    assert_int_equal(b->spare_replicas, 2);
    assert_true(total_usd(b) >= total_usd(a));
    assert_int_equal(b->gpus_used, (b->replicas + 2) * deployment_gpus(&b->deployment));
    assert_close(b->performance.requests_per_second.value, 5, 1e-5); /* spares carry no load */
    fleet_done(plain);
    fleet_done(spare);
}

/* A node of eight is paid for as a whole. */
static void test_whole_instances(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(
        snapshot, "{" LLAMA_8B "," FIVE_RPS
                  ",'constraints':{'gpus':['h100-sxm'],'providers':['aws','oci','crusoe'],'regions':['na']}}");
    const struct option *best = fleet_best(asked);
    assert_true(best->gpus_per_instance >= 1);
    assert_int_equal(best->gpu_count, best->instance_count * best->gpus_per_instance);
    fleet_done(asked);
    struct snapshot *nodes = fleet_catalog();
    size_t kept = 0;
    for (size_t i = 0; i < nodes->offer_count; i++) { /* only nodes of eight are left on offer */
        if (nodes->offers[i].gpu_count != 8) nodes->offers[i].purchase = PURCHASE_OWNED;
        kept += nodes->offers[i].gpu_count == 8;
    }
    assert_true(kept > 10);
    asked = fleet_ask(nodes, "{" LLAMA_8B ",'serving':{'engine':'llama.cpp'}}");
    best = fleet_best(asked);
    assert_int_equal(best->gpu_count, 8);
    assert_int_equal(best->replicas, 1);
    assert_int_equal(best->gpus_idle, 8 - best->gpus_used);
    assert_true(best->gpus_idle > 0);
    fleet_done(asked);
    snapshot_free(nodes);
}

/* 405 billion 16-bit weights fit no node of 8 × 80 GB: stages cross nodes, and the answer says what that rests on. */
static void test_pipeline(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_405B ",'alternatives':20,'serving':{'weight_dtype':['bf16']},"
                                              "'constraints':{'gpus':['h100-sxm','a100-80gb-sxm']}}");
    const struct recommendation *found = &asked->answer.recommendation;
    const struct option *best = fleet_best(asked);
    bool warned = false;
    assert_true(best->deployment.pipeline_parallel > 1 && best->deployment.pipeline_parallel <= 4);
    assert_true(best->instance_count > 1);
    assert_int_equal(best->performance.basis, BASIS_EXTRAPOLATED);
    for (size_t i = 0; i < found->warning_count; i++)
        warned = warned || strstr(found->warnings[i], "Pipeline");
    assert_true(warned);
    fleet_done(asked);
}

/* --- what gates the recommended one ------------------------------------------------------------------------------ */

static void test_min_basis(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask(snapshot, "{" GPT_OSS_120B "," FIVE_RPS ",'alternatives':50,'constraints':{'min_basis':'fitted'}}");
    const struct recommendation *found = &asked->answer.recommendation;
    bool gated = false, warned = false;
    assert_true(fleet_best(asked)->performance.basis <= BASIS_FITTED);
    for (size_t i = 0; i < found->option_count; i++) {
        const struct option *option = &found->options[i];
        assert_int_equal(option->excluded_by, option->performance.basis > BASIS_FITTED ? REJECT_BASIS : REJECT_NONE);
        gated = gated || option->excluded_by == REJECT_BASIS;
    }
    for (size_t i = 0; i < found->warning_count; i++)
        warned = warned || strstr(found->warnings[i], "excluded_by");
    assert_true(gated && warned);
    fleet_done(asked);
}

static void test_price_age(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS ",'alternatives':50,'constraints':{'max_price_age_days':60}}");
    const struct recommendation *found = &asked->answer.recommendation;
    bool gated = false;
    for (size_t i = 0; i < found->option_count; i++) {
        const struct option *option = &found->options[i];
        int32_t age = asked->answer.request.as_of.days - option->offer->as_of.days;
        assert_int_equal(option->excluded_by, age > 60 ? REJECT_PRICE_AGE : REJECT_NONE);
        gated = gated || age > 60;
    }
    assert_true(gated && fleet_best(asked)->excluded_by == REJECT_NONE);
    fleet_done(asked);
}

/* The one place without alternatives belongs to what can be recommended; what gave way keeps its reason. */
static void test_gated_without_alternatives(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" GPT_OSS_120B "," FIVE_RPS ",'alternatives':0,'constraints':{"
                                              "'max_price_age_days':60,'min_basis':'fitted'}}");
    const struct recommendation *found = &asked->answer.recommendation;
    size_t by_gate = 0;
    assert_int_equal(found->option_count, 1);
    assert_int_equal(fleet_best(asked)->excluded_by, REJECT_NONE);
    for (size_t i = 0; i < found->rejected_count; i++) {
        assert_true(found->rejected[i].reason != REJECT_NONE);
        by_gate += found->rejected[i].reason == REJECT_PRICE_AGE || found->rejected[i].reason == REJECT_BASIS;
    }
    assert_true(by_gate > 0);
    fleet_done(asked);
}

/* Prices of a later day are not known on an earlier one. */
static void test_as_of(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS ",'alternatives':50,'as_of':'2026-09-01'}");
    const struct recommendation *found = &asked->answer.recommendation;
    assert_true(found->option_count > 0);
    for (size_t i = 0; i < found->option_count; i++)
        assert_true(found->options[i].offer->as_of.days <= asked->answer.request.as_of.days);
    fleet_done(asked);
    asked = fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS ",'as_of':'2020-01-01'}");
    assert_false(asked->answer.recommendation.has_recommended);
    assert_int_equal(fleet_rejection(asked, "h100-sxm")->reason, REJECT_NO_PRICE);
    fleet_done(asked);
}

/* --- objectives ------------------------------------------------------------------------------------------------- */

static double figure(const struct option *option, enum objective objective)
{
    switch (objective) {
    case OBJECTIVE_COST: return total_usd(option);
    case OBJECTIVE_THROUGHPUT: return -option->capacity_output_tokens_per_second.value;
    case OBJECTIVE_COST_PER_THROUGHPUT: return option->cost.per_throughput_usd.value;
    case OBJECTIVE_LATENCY: return option->performance.e2e_ms.value;
    case OBJECTIVE_ENERGY: return 1 / performance_tokens_per_joule(&option->performance).value;
    }
    return NAN;
}

/* Each objective is best in its own figure, and options come in its order. */
static void test_objectives(void **state)
{
    (void)state;
    double best[5][5];
    for (size_t i = 0; i < 5; i++) {
        struct asked *asked = fleet_ask(snapshot,
                                        "{" LLAMA_8B "," FIVE_RPS ",'objective':'%s',"
                                        "'constraints':{'budget_usd':200000}}",
                                        objective_names[i]);
        const struct recommendation *found = &asked->answer.recommendation;
        for (size_t j = 0; j < 5; j++)
            best[i][j] = figure(fleet_best(asked), (enum objective)j);
        for (size_t j = 1; j < found->option_count; j++) {
            double before = figure(&found->options[j - 1], (enum objective)i);
            assert_true(figure(&found->options[j], (enum objective)i) >= before - 1e-5 * fabs(before));
            assert_int_equal(found->options[j].rank, j + 1);
        }
        fleet_done(asked);
    }
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 5; j++)
            assert_true(best[j][j] <= best[i][j] + 1e-5 * fabs(best[i][j]));
    }
}

/* The demand is shared by all replicas that the money buys. */
static void test_throughput_with_a_demand(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS ",'objective':'throughput',"
                                              "'constraints':{'budget_usd':200000}}");
    const struct option *best = fleet_best(asked);
    assert_true(best->replicas > 4);
    assert_close(best->performance.requests_per_second.value, 5, 1e-5);
    assert_true(best->capacity_requests_per_second.value > 10);
    assert_true(total_usd(best) <= 200000);
    fleet_done(asked);
}

static void test_pareto(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS
                                              ",'alternatives':50,'constraints':{'purchase':['on_demand','spot']}}");
    const struct recommendation *found = &asked->answer.recommendation;
    bool member[64] = {false};
    assert_true(found->pareto_count > 0 && found->pareto_count < found->option_count);
    for (size_t i = 0; i < found->pareto_count; i++)
        member[found->pareto[i]] = true;
    assert_true(member[1]); /* nothing is cheaper than the cheapest */
    for (size_t i = 0; i < found->option_count; i++) {
        const struct option *a = &found->options[i];
        bool beaten = false;
        for (size_t j = 0; j < found->option_count; j++) {
            const struct option *b = &found->options[j];
            double cost = total_usd(a) - total_usd(b),
                   latency = a->performance.e2e_ms.value - b->performance.e2e_ms.value;
            double capacity = b->capacity_output_tokens_per_second.value - a->capacity_output_tokens_per_second.value;
            beaten =
                beaten || (cost >= 0 && latency >= 0 && capacity >= 0 && (cost > 0 || latency > 0 || capacity > 0));
        }
        assert_int_equal(member[a->rank], !beaten);
    }
    fleet_done(asked);
}

/* --- probability and latency ------------------------------------------------------------------------------------- */

static void test_probability(void **state)
{
    (void)state;
    static const char *const ratios[] = {"0.05", "0.3", "0.5", "0.7", "0.9", "0.99"};
    double cheapest = 0;
    for (size_t i = 0; i < sizeof ratios / sizeof ratios[0]; i++) {
        struct asked *asked = fleet_ask(snapshot,
                                        "{" LLAMA_70B ",'workload':{'requests_per_second':20},'slo':{"
                                        "'tpot_ms':60,'ttft_ms':3000,'min_probability_ratio':%s},"
                                        "'constraints':{'max_gpus':400}}",
                                        ratios[i]);
        const struct option *best = fleet_best(asked);
        assert_true(total_usd(best) >= cheapest);
        assert_true(best->meets_slo_probability_ratio >= asked->answer.request.min_probability_ratio - 1e-3);
        if (asked->answer.request.min_probability_ratio >= 0.5)
            assert_true(best->replicas_at_half_probability <= best->replicas);
        assert_true(best->replicas_at_half_probability >= 1);
        cheapest = total_usd(best);
        fleet_done(asked);
    }
}

/* Looser limits never cost more; more budget, more GPUs, more power never worsen the objective. */
static void test_monotone(void **state)
{
    (void)state;
    static const struct {
        const char *question;
        double scale;
    } cases[] = {
        {"{" LLAMA_70B "," FIVE_RPS ",'slo':{'tpot_ms':@},'constraints':{'max_gpus':400}}", 1},
        {"{" LLAMA_70B "," FIVE_RPS ",'slo':{'ttft_ms':@},'constraints':{'max_gpus':400}}", 100},
        {"{" LLAMA_70B "," FIVE_RPS ",'slo':{'e2e_ms':@}}", 1000},
        {"{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd':@}}", 10000},
        {"{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd_per_hour':@}}", 1},
        {"{" LLAMA_70B "," FIVE_RPS ",'constraints':{'max_power_watts':@}}", 100},
        {"{" LLAMA_70B "," FIVE_RPS ",'constraints':{'max_gpus':@}}", 1},
        {"{" LLAMA_70B "," FIVE_RPS ",'constraints':{'max_price_age_days':@}}", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double before = INFINITY;
        size_t feasible_count = 0;
        for (double limit = 4; limit <= 4096; limit *= 2) {
            char body[1024];
            fill_in(cases[i].question, limit * cases[i].scale, body);
            double total = best_total(snapshot, body);
            if (isnan(total)) total = INFINITY;
            if (isfinite(total)) feasible_count++;
            if (total > before) fail_msg("looser but dearer (%.6g > %.6g): %s", total, before, body);
            before = total;
        }
        assert_true(feasible_count >= 3);
    }
}

static void test_more_budget_more_throughput(void **state)
{
    (void)state;
    double before = 0;
    for (double budget = 2000; budget < 2e6; budget *= 1.7) {
        struct asked *asked =
            fleet_ask(snapshot, "{" LLAMA_8B ",'constraints':{'budget_usd':%.6g,'max_gpus':1000}}", budget);
        double capacity = asked->answer.recommendation.has_recommended
                              ? fleet_best(asked)->capacity_output_tokens_per_second.value
                              : 0;
        assert_true(capacity >= before);
        before = capacity;
        fleet_done(asked);
    }
    assert_true(before > 0);
}

/* Raising any one price never makes the answer cheaper; raising an unused one changes nothing. */
static void test_monotone_in_price(void **state)
{
    (void)state;
    static const char body[] = "{'model':'meta-llama/Llama-3.1-70B-Instruct'," FIVE_RPS "}";
    struct snapshot *changed = fleet_catalog();
    double before = best_total(changed, body);
    for (size_t i = 0; i < changed->offer_count; i += 7) {
        usd_t price = changed->offers[i].usd_per_hour;
        changed->offers[i].usd_per_hour = usd_times(price, 3);
        assert_true(best_total(changed, body) >= before);
        changed->offers[i].usd_per_hour = usd_times(price, 0.5);
        assert_true(best_total(changed, body) <= before);
        changed->offers[i].usd_per_hour = price;
    }
    assert_true(best_total(changed, body) == before);
    snapshot_free(changed);
}

/* --- determinism ------------------------------------------------------------------------------------------------- */

static const char *const everyday[] = {
    "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd':100000},'explain_gpu':'a100-80gb-sxm'}",
    "{" LLAMA_8B "," FIVE_RPS ",'alternatives':50,'constraints':{'purchase':['on_demand','spot','reserved','owned'],"
    "'inventory':{'l40s':2}}}",
    "{" LLAMA_70B ",'workload':{'requests_per_second':500},'slo':{'ttft_ms':300},'constraints':{'budget_usd':1000}}",
    "{'model':{'weights_gb':140},'estimator':'article','workload':{'throughput_tokens_per_second':100}}",
    "{" LLAMA_8B
    ",'serving':{'engine':'tensorrt-llm'},'workload':{'concurrency':50,'input_tokens':1200}}", /* measured */
};
enum { EVERYDAY = sizeof everyday / sizeof everyday[0] };

/* The text after id and catalog_version: those name the catalog. */
static const char *without_ids(const struct asked *asked)
{
    assert_int_equal(asked->status, STATUS_OK);
    const char *rest = strstr(asked->out.data, "\"estimator_version\"");
    assert_non_null(rest);
    return rest;
}

static void test_same_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < EVERYDAY; i++) {
        struct asked *first = fleet_ask_text(snapshot, "recommend", "%s", everyday[i]);
        struct asked *second = fleet_ask_text(snapshot, "recommend", "%s", everyday[i]);
        assert_string_equal(first->out.data, second->out.data);
        fleet_done(first);
        fleet_done(second);
    }
}

static void test_order_of_the_catalog(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 3; seed++) {
        struct snapshot *shuffled = fleet_catalog_shuffled(seed);
        for (size_t i = 0; i < EVERYDAY; i++) {
            struct asked *first = fleet_ask_text(snapshot, "recommend", "%s", everyday[i]);
            struct asked *second = fleet_ask_text(shuffled, "recommend", "%s", everyday[i]);
            assert_string_equal(without_ids(first), without_ids(second));
            fleet_done(first);
            fleet_done(second);
        }
        snapshot_free(shuffled);
    }
}

/* --- reasons ----------------------------------------------------------------------------------------------------- */

/* Every GPU is an option or has a reason, and reasons with figures tell them. */
static void test_every_gpu_is_told(void **state)
{
    (void)state;
    static const char *const questions[] = {
        "{" LLAMA_70B "," FIVE_RPS "}",
        "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd':100}}",
        "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd_per_hour':0.5}}",
        "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'max_power_watts':50}}",
        "{" LLAMA_70B ",'workload':{'requests_per_second':1e9}}",
        "{" LLAMA_70B ",'workload':{'requests_per_second':5000}}",
        "{" LLAMA_70B "," FIVE_RPS ",'slo':{'tpot_ms':1}}",
        "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'gpus':['l4','h100-sxm']}}",
        "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'quota':{'h100-sxm':1}},'alternatives':0}",
        "{" LLAMA_405B ",'serving':{'weight_dtype':['bf16']}}",
        "{" LLAMA_8B ",'serving':{'engine':'tensorrt-llm'},'objective':'energy'}",
        "{" LLAMA_8B ",'serving':{'engine':'llama.cpp'},'objective':'energy'}",
        "{" LLAMA_8B "," FIVE_RPS ",'alternatives':2,'constraints':{'max_price_age_days':5}}",
    };
    size_t seen[REJECT_COUNT] = {0};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        struct asked *asked = fleet_ask(snapshot, "%s", questions[i]);
        const struct recommendation *found = &asked->answer.recommendation;
        assert_int_equal(asked->status, STATUS_OK);
        bool told[256] = {false};
        for (size_t j = 0; j < found->option_count; j++)
            told[found->options[j].gpu] = true;
        for (size_t j = 0; j < found->rejected_count; j++) {
            const struct rejection *rejection = &found->rejected[j];
            assert_false(told[rejection->gpu]);
            told[rejection->gpu] = true;
            seen[rejection->reason]++;
            if (rejection->reason == REJECT_NONE) fail_msg("no reason: %s %s", rejection->detail, questions[i]);
            bool figures = is_known(rejection->needed);
            assert_int_equal(figures, strstr(rejection->detail, "needed") != NULL);
            bool must = rejection->reason >= REJECT_MAX_GPUS && rejection->reason <= REJECT_BUDGET_PER_HOUR;
            if ((must || rejection->reason == REJECT_MEMORY) && !(rejection->needed > rejection->available))
                fail_msg("%s: %s", questions[i], rejection->detail);
        }
        for (size_t j = 0; j < snapshot->gpu_count; j++)
            assert_true(told[j]);
        fleet_done(asked);
    }
    static const enum reject_reason expected[] = {
        REJECT_EXCLUDED, REJECT_UNSUPPORTED, REJECT_NO_PRICE, REJECT_MEMORY,          REJECT_SLO,      REJECT_MAX_GPUS,
        REJECT_QUOTA,    REJECT_POWER,       REJECT_BUDGET,   REJECT_BUDGET_PER_HOUR, REJECT_OUTRANKED};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        if (!seen[expected[i]]) fail_msg("no question was rejected by %s", reject_reason_name(expected[i]));
    }
}

static void test_explain_gpu(void **state)
{
    (void)state;
    static const struct {
        const char *gpu, *constraints, *words;
    } cases[] = {
        {"l40s", "'gpus':['l40s']", "is among the options"},
        {"h100-sxm", "'gpus':['h100-sxm','l40s']", "is among the options"},
        {"h200-sxm", "'max_gpus':64", "than the recommended option"},
        {"a100-80gb-sxm", "'budget_usd':100", "budget_usd: at least"},
        {"h100-sxm", "'gpus':['l40s']", "is excluded by gpus or exclude_gpus"},
        {"tpu-v5e", "'max_gpus':64", "does not run"},
        {"l4", "'quota':{'l4':1}", "quota"},
        {"H100 SXM", "'max_price_age_days':1", "max_price_age_days"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *asked =
            fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'alternatives':1,'explain_gpu':'%s','constraints':{%s}}",
                      cases[i].gpu, cases[i].constraints);
        if (asked->status != STATUS_OK) (void)fleet_best(asked);
        const char *words = asked->answer.recommendation.gpu_explanation;
        assert_non_null(words);
        if (!strstr(words, cases[i].words)) fail_msg("%s: %s", cases[i].gpu, words);
        fleet_done(asked);
    }
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_70B ",'explain_gpu':'h100'}");
    assert_true(fleet_has_problem(asked, STATUS_AMBIGUOUS_NAME, "explain_gpu"));
    fleet_done(asked);
    asked = fleet_ask(snapshot, "{" LLAMA_70B ",'explain_gpu':'h1000'}");
    assert_true(fleet_has_problem(asked, STATUS_UNKNOWN_GPU, "explain_gpu"));
    fleet_done(asked);
}

/* --- ways out ---------------------------------------------------------------------------------------------------- */

static bool feasible(const char *question, double value)
{
    char body[1024];
    fill_in(question, value, body);
    struct asked *asked = fleet_ask(snapshot, "%s", body);
    if (asked->status != STATUS_OK) (void)fleet_best(asked);
    bool found = asked->answer.recommendation.has_recommended;
    fleet_done(asked);
    return found;
}

static const struct smallest_change {
    const char *constraint, *question;
    double from;
    bool whole; /* counts: half of a change may round to the change */
} smallest_changes[] = {
    {"budget_usd", "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd':@}}", 5000, false},
    {"budget_usd", "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd':@,'purchase':['reserved','owned']}}", 5000,
     false},
    {"budget_usd", "{" LLAMA_70B ",'constraints':{'budget_usd':@}}", 500, false},
    {"budget_usd_per_hour", "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd_per_hour':@}}", 0.5, false},
    {"budget_usd_per_hour",
     "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd_per_hour':@,'duration_hours':100,"
     "'purchase':['on_demand','reserved'],'providers':['aws']}}", /* a term costs more, its hour less */
     0.5, false},
    {"max_gpus", "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'max_gpus':@,'exclude_gpus':['b300','gb300']}}", 1, true},
    {"max_gpus", "{" LLAMA_70B ",'workload':{'requests_per_second':200},'constraints':{'max_gpus':@}}", 16, true},
    {"max_power_watts", "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'max_power_watts':@}}", 300, false},
    {"duration_hours", "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd':5000,'duration_hours':@}}", 8760,
     false},
    {"duration_hours",
     "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd':60000,'duration_hours':@,"
     "'purchase':['on_demand','owned'],'gpus':['h100-sxm']}}",
     80000, false},
    {"requests_per_second",
     "{" LLAMA_70B ",'workload':{'requests_per_second':@},'constraints':"
     "{'budget_usd':50000}}",
     200, false},
    {"requests_per_second", "{" LLAMA_70B ",'workload':{'requests_per_second':@}}", 2000, false},
    {"requests_per_second",
     "{" LLAMA_70B ",'workload':{'requests_per_second':@},'slo':{'tpot_ms':40},"
     "'constraints':{'budget_usd':50000}}",
     200, false},
    {"output_tokens_per_second",
     "{" LLAMA_70B ",'workload':{'output_tokens_per_second':@},'constraints':"
     "{'budget_usd':50000}}",
     90000, false},
    {"users",
     "{" LLAMA_70B ",'workload':{'users':@,'requests_per_user_hour':20},'constraints':"
     "{'budget_usd':50000}}",
     900000, false},
    {"total_tokens",
     "{" LLAMA_70B ",'workload':{'total_tokens':@,'deadline_hours':24},'constraints':"
     "{'budget_usd':500,'duration_hours':24}}",
     1e11, false},
    {"ttft_ms", "{" LLAMA_70B "," FIVE_RPS ",'slo':{'ttft_ms':@}}", 20, false},
    {"ttft_ms", "{" LLAMA_70B "," FIVE_RPS ",'slo':{'ttft_ms':@},'constraints':{'budget_usd':66000}}", 60, false},
    {"tpot_ms", "{" LLAMA_70B "," FIVE_RPS ",'slo':{'tpot_ms':@}}", 0.75, false},
    {"e2e_ms", "{" LLAMA_70B "," FIVE_RPS ",'slo':{'e2e_ms':@}}", 200, false},
    {"min_probability_ratio",
     "{" LLAMA_70B "," FIVE_RPS ",'slo':{'tpot_ms':30,'min_probability_ratio':@},'constraints':"
     "{'gpus':['h100-sxm'],'max_gpus':8}}",
     0.999, false},
    {"spare_replicas", "{" LLAMA_8B "," FIVE_RPS ",'constraints':{'gpus':['l4'],'max_gpus':12,'spare_replicas':@}}", 20,
     true},
    {"max_price_age_days", "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'max_price_age_days':@}}", 5, true},
    {"max_price_age_days", "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'purchase':['owned'],'max_price_age_days':@}}",
     1, true},
};

/* What is told works, and half of it does not. */
static void check_smallest(const struct smallest_change *change)
{
    char body[1024];
    fill_in(change->question, change->from, body);
    struct asked *asked = fleet_ask(snapshot, "%s", body);
    if (asked->status != STATUS_OK) (void)fleet_best(asked);
    if (asked->answer.recommendation.has_recommended) fail_msg("feasible already: %s", body);
    const struct relaxation *relaxation = fleet_relaxation(asked, change->constraint);
    if (!relaxation) fail_msg("no %s for %s", change->constraint, body);
    assert_true(relaxation->from == change->from && relaxation->option && relaxation->detail);
    assert_close(relaxation->relative_change, fabs(relaxation->to - relaxation->from) / relaxation->from, 1e-4);
    bool budget = is_known(asked->answer.request.budget_usd) && strcmp(change->constraint, "budget_usd") != 0;
    if (budget) assert_true(total_usd(relaxation->option) <= asked->answer.request.budget_usd); /* it opens this */
    if (!feasible(change->question, relaxation->to))
        fail_msg("%s %.9g does not work: %s", change->constraint, relaxation->to, body);
    double half = (relaxation->from + relaxation->to) / 2;
    if (change->whole) half = relaxation->to > relaxation->from ? relaxation->to - 1 : relaxation->to + 1;
    bool measured = strncmp(change->constraint, "budget", 6) == 0 || strcmp(change->constraint, "max_power_watts") == 0;
    if (measured) half = relaxation->to * 0.9999; /* known to the cent and the watt */
    if (feasible(change->question, half))
        fail_msg("%s %.9g works, told was %.9g: %s", change->constraint, half, relaxation->to, body);
    fleet_done(asked);
}

/* Each constraint that can be measured: what is told works, and half of that change does not. */
static void test_smallest_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof smallest_changes / sizeof *smallest_changes; i++)
        check_smallest(&smallest_changes[i]);
}

/* Constraints without a figure: leaving one out must work, and must keep all others. */
static void test_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *constraint, *question, *without;
    } cases[] = {
        {"gpus", "'gpus':['l4'],'max_gpus':4,'exclude_gpus':['h100']", "'max_gpus':4,'exclude_gpus':['h100']"},
        {"exclude_gpus", "'gpus':['h100'],'exclude_gpus':['h100-sxm','h100-pcie','h100-nvl']", "'gpus':['h100']"},
        {"providers", "'providers':['akamai'],'budget_usd':200000,'regions':['eu']",
         "'budget_usd':200000,'regions':['eu']"},
        {"regions", "'providers':['lambda'],'regions':['de']", "'providers':['lambda']"},
        {"exclude_providers", "'providers':['aws'],'exclude_providers':['aws']", "'providers':['aws']"},
        {"purchase", "'purchase':['spot'],'providers':['lambda']",
         "'purchase':['on_demand','spot','reserved','owned'],'providers':['lambda']"},
        {"quota", "'gpus':['h100-sxm'],'quota':{'h100-sxm':1}", "'gpus':['h100-sxm']"},
        {"min_basis", "'gpus':['l4'],'max_gpus':96,'min_basis':'measured'", "'gpus':['l4'],'max_gpus':96"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *asked = fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'constraints':{%s}}", cases[i].question);
        struct asked *without =
            fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'constraints':{%s}}", cases[i].without);
        assert_int_equal(asked->status, STATUS_OK);
        if (asked->answer.recommendation.has_recommended) fail_msg("feasible already: %s", cases[i].question);
        const struct relaxation *relaxation = fleet_relaxation(asked, cases[i].constraint);
        if (!relaxation) fail_msg("no %s for %s", cases[i].constraint, cases[i].question);
        const struct option *told = relaxation->option, *best = fleet_best(without);
        assert_true(isnan(relaxation->from) && isnan(relaxation->to));
        assert_int_equal(told->gpu, best->gpu);
        assert_ptr_equal(told->offer, best->offer);
        assert_true(total_usd(told) == total_usd(best));
        fleet_done(asked);
        fleet_done(without);
    }
}

static void test_smaller_formats(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask(snapshot, "{" LLAMA_70B ",'constraints':{'gpus':['h100-sxm'],'max_gpus':1,'min_weight_bits':8}}");
    const struct relaxation *relaxation = fleet_relaxation(asked, "weight_dtype");
    assert_null(relaxation); /* 70 GB of fp8 leave no room for a request, and fewer bits are not allowed */
    fleet_done(asked);
    asked = fleet_ask(snapshot, "{" LLAMA_70B ",'constraints':{'gpus':['h100-sxm'],'max_gpus':1}}");
    relaxation = fleet_relaxation(asked, "weight_dtype");
    assert_non_null(relaxation);
    assert_true(dtype_bits(relaxation->option->deployment.weight_dtype) < 8);
    fleet_done(asked);
}

static bool has_text(const char *const *texts, size_t count, const char *part)
{
    for (size_t i = 0; i < count; i++) {
        if (strstr(texts[i], part)) return true;
    }
    return false;
}

/* Two constraints that each rule everything out: no single change helps, and the answer says so. */
static void test_no_single_way_out(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask(snapshot, "{" LLAMA_405B "," FIVE_RPS ",'constraints':{'max_gpus':1,'budget_usd':100}}");
    const struct recommendation *found = &asked->answer.recommendation;
    assert_false(found->has_recommended);
    assert_int_equal(found->relaxation_count, 0);
    assert_true(has_text(found->warnings, found->warning_count, "no change of one constraint"));
    fleet_done(asked);
}

static void test_job_without_limits(void **state)
{
    (void)state;
    static const char job[] = "'workload':{'total_tokens':1e10,'deadline_hours':72}";
    struct asked *plain = fleet_ask(snapshot, "{" LLAMA_8B ",%s}", job);
    struct asked *limited = fleet_ask(snapshot, "{" LLAMA_8B ",%s,'slo':{'ttft_ms':1}}", job);
    const struct recommendation *found = &limited->answer.recommendation;
    assert_true(total_usd(fleet_best(plain)) == total_usd(fleet_best(limited)));
    assert_true(has_text(found->assumptions, found->assumption_count, "latency limits are not applied"));
    fleet_done(plain);
    fleet_done(limited);
}

/* An asking day in the past stays there, whatever is loosened. */
static void test_ways_out_know_the_day(void **state)
{
    (void)state;
    struct asked *asked = fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'as_of':'2026-09-25','constraints':{"
                                              "'purchase':['spot'],'regions':['de']}}");
    const struct recommendation *found = &asked->answer.recommendation;
    assert_true(found->relaxation_count > 0);
    for (size_t i = 0; i < found->relaxation_count; i++) {
        const struct offer *offer = found->relaxations[i].option->offer;
        if (offer) assert_true(offer->as_of.days <= asked->answer.request.as_of.days);
    }
    fleet_done(asked);
}

/* Smallest relative change first; changes without a figure last. */
static void test_order_of_ways_out(void **state)
{
    (void)state;
    struct asked *asked =
        fleet_ask(snapshot, "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd':60000,'regions':['eu']}}");
    const struct recommendation *found = &asked->answer.recommendation;
    assert_true(found->relaxation_count >= 4);
    for (size_t i = 1; i < found->relaxation_count; i++) {
        double before = found->relaxations[i - 1].relative_change, now = found->relaxations[i].relative_change;
        assert_true(isnan(now) || before <= now);
    }
    assert_true(isnan(found->relaxations[found->relaxation_count - 1].relative_change));
    fleet_done(asked);
}

static void test_outward_rounding(void **state)
{
    (void)state;
    assert_true(relax_outwards(1, 1234567.4) == 1234570);
    assert_true(relax_outwards(1, 1234560) == 1234560);
    assert_true(relax_outwards(1e9, 1234567.4) == 1234560);
    assert_true(relax_outwards(1, 1234562) == 1234570);
    assert_true(isnan(relax_outwards(NAN, NAN)));
    assert_true(relax_outwards(8, 0) == 0);
}

/* --- failure ----------------------------------------------------------------------------------------------------- */

static void assert_complete(const struct recommendation *found)
{
    for (size_t i = 0; i < found->option_count; i++) {
        assert_non_null(found->options[i].explanation);
        assert_non_null(found->options[i].launch_command);
        assert_non_null(found->options[i].verify_command);
        assert_null(strstr(found->options[i].explanation, "(null)"));
    }
    for (size_t i = 0; i < found->rejected_count; i++)
        assert_non_null(found->rejected[i].detail);
    for (size_t i = 0; i < found->relaxation_count; i++)
        assert_non_null(found->relaxations[i].detail);
}

/* Within too little memory an answer is refused as a whole; when it comes, it is the answer. */
static void test_memory_runs_out(void **state)
{
    (void)state;
    static const char *const questions[] = {
        "{" LLAMA_70B "," FIVE_RPS ",'constraints':{'budget_usd':100000},'explain_gpu':'a100-80gb-sxm'}",
        "{" LLAMA_70B "," FIVE_RPS ",'slo':{'ttft_ms':50},'constraints':{'budget_usd':10000,'regions':['eu'],"
        "'gpus':['h100','l4'],'quota':{'l4':4},'max_price_age_days':100,'min_basis':'fitted'}}",
        "{" LLAMA_8B "," FIVE_RPS ",'constraints':{'purchase':['on_demand','owned']},'alternatives':20}",
    };
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        struct asked *whole = fleet_ask(snapshot, "%s", questions[i]);
        const struct recommendation *expected = &whole->answer.recommendation;
        assert_int_equal(whole->status, STATUS_OK);
        size_t failures = 0, enough = whole->arena.used_bytes;
        for (size_t step = 0; step <= 80; step++) {
            struct asked *asked = fleet_ask_within(snapshot, 1 + enough * step / 80, "%s", questions[i]);
            const struct recommendation *found = &asked->answer.recommendation;
            if (asked->status != STATUS_OK) {
                assert_int_equal(asked->status, STATUS_OUT_OF_MEMORY);
                failures++;
            } else {
                assert_complete(found);
                assert_int_equal(found->option_count, expected->option_count);
                assert_int_equal(found->relaxation_count, expected->relaxation_count);
                assert_int_equal(found->assumption_count, expected->assumption_count);
                assert_int_equal(found->warning_count, expected->warning_count);
            }
            if (step == 80) assert_int_equal(asked->status, STATUS_OK);
            fleet_done(asked);
        }
        assert_true(failures > 0);
        fleet_done(whole);
    }
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

static void test_commands(void **state)
{
    (void)state;
    static const struct {
        const char *engine, *launch, *verify;
    } cases[] = {
        {"vllm", "vllm serve 'meta-llama/Llama-3.1-8B-Instruct' --tensor-parallel-size ", "vllm bench serve"},
        {"sglang", "python3 -m sglang.launch_server --model-path 'meta-llama/Llama-3.1-8B-Instruct' --tp-size ",
         "python3 -m sglang.bench_serving"},
        {"tensorrt-llm", "trtllm-serve 'meta-llama/Llama-3.1-8B-Instruct' --tp_size ", "benchmark_serving"},
        {"llama.cpp", "llama-server -hf 'meta-llama/Llama-3.1-8B-Instruct' -c ", "llama-bench"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked *asked =
            fleet_ask(snapshot, "{" LLAMA_8B "," FIVE_RPS ",'serving':{'engine':'%s'}}", cases[i].engine);
        const struct option *best = fleet_best(asked);
        assert_non_null(strstr(best->launch_command, cases[i].launch));
        assert_non_null(strstr(best->verify_command, cases[i].verify));
        fleet_done(asked);
    }
    struct asked *asked = fleet_ask(snapshot, "{'model':{'parameters':7e9},'serving':{'kv_dtype':'fp8'}}");
    assert_non_null(strstr(fleet_best(asked)->launch_command, "--kv-cache-dtype fp8"));
    assert_non_null(strstr(fleet_best(asked)->launch_command, "'PATH_TO_YOUR_MODEL'"));
    bool assumed = false;
    for (size_t i = 0; i < asked->answer.recommendation.assumption_count; i++)
        assumed = assumed || strstr(asked->answer.recommendation.assumptions[i], "Only the size");
    assert_true(assumed);
    assert_string_equal(explain_shell_quote("it's", &asked->arena), "'it'\\''s'");
    fleet_done(asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_default_objective),
        cmocka_unit_test(test_defaults_are_stable),
        cmocka_unit_test(test_demand_forms),
        cmocka_unit_test(test_job),
        cmocka_unit_test(test_concurrency),
        cmocka_unit_test(test_measured_requests_in_flight_meet_limits),
        cmocka_unit_test(test_demand_contradictions),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_rented_money),
        cmocka_unit_test(test_reserved_money),
        cmocka_unit_test(test_owned_money),
        cmocka_unit_test(test_inventory),
        cmocka_unit_test(test_price_adjustments),
        cmocka_unit_test(test_places_and_parts),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_limits_hold),
        cmocka_unit_test(test_spares),
        cmocka_unit_test(test_whole_instances),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_min_basis),
        cmocka_unit_test(test_price_age),
        cmocka_unit_test(test_gated_without_alternatives),
        cmocka_unit_test(test_as_of),
        cmocka_unit_test(test_objectives),
        cmocka_unit_test(test_throughput_with_a_demand),
        cmocka_unit_test(test_pareto),
        cmocka_unit_test(test_probability),
        cmocka_unit_test(test_monotone),
        cmocka_unit_test(test_more_budget_more_throughput),
        cmocka_unit_test(test_monotone_in_price),
        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_order_of_the_catalog),
        cmocka_unit_test(test_every_gpu_is_told),
        cmocka_unit_test(test_explain_gpu),
        cmocka_unit_test(test_smallest_changes),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_smaller_formats),
        cmocka_unit_test(test_no_single_way_out),
        cmocka_unit_test(test_job_without_limits),
        cmocka_unit_test(test_ways_out_know_the_day),
        cmocka_unit_test(test_order_of_ways_out),
        cmocka_unit_test(test_outward_rounding),
        cmocka_unit_test(test_memory_runs_out),
        cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
