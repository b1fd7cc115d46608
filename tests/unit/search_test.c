/* search_test.c owns the proof that the best-first search finds what trying everything finds: every layout × pack,
 * sized in full, for random questions of every objective. */
#include "sizing/pack.h"
#include "sizing/plan.h"
#include "sizing/power.h"
#include "support/fleet_ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { QUESTIONS = 240, SEED = 20261123, GPUS_EACH = 16 };

static struct snapshot *snapshot;
static unsigned seed = SEED;

static int setup(void **state)
{
    (void)state;
    snapshot = fleet_catalog();
    print_message("seed %u\n", seed);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    snapshot_free(snapshot);
    return 0;
}

/* --- random questions ------------------------------------------------------------------------------------------- */

static double uniform(void)
{
    return rand_r(&seed) / (RAND_MAX + 1.0);
}

static double log_uniform(double least, double most)
{
    return round6(least * pow(most / least, uniform()));
}

static bool chance(double probability)
{
    return uniform() < probability;
}

#define PICK(list) ((list)[(size_t)(uniform() * (double)(sizeof(list) / sizeof(list)[0]))])

static const char *const models[] = {
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.1-70B-Instruct",
    "Qwen/Qwen3-32B",
    "Qwen/Qwen2.5-7B-Instruct",
    "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "openai/gpt-oss-120b",
    "google/gemma-3-27b-it",
};

struct text {
    char bytes[1024];
    size_t length;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text->bytes + text->length, sizeof text->bytes - text->length, format, args);
    va_end(args);
    assert_in_range(length, 0, sizeof text->bytes - text->length - 1);
    text->length += (size_t)length;
}

static void add_demand(struct text *text)
{
    add(text, "'workload':{'input_tokens':%.0f,'output_tokens':%.0f", log_uniform(16, 6000), log_uniform(2, 1500));
    switch (rand_r(&seed) % 6) {
    case 0: break;
    case 1: add(text, ",'requests_per_second':%.6g", log_uniform(0.05, 60)); break;
    case 2: add(text, ",'concurrency':%.0f", log_uniform(1, 600)); break;
    case 3: add(text, ",'output_tokens_per_second':%.6g", log_uniform(10, 20000)); break;
    case 4: add(text, ",'users':%.0f,'requests_per_user_hour':%.6g", log_uniform(10, 5000), log_uniform(1, 60)); break;
    default:
        add(text, ",'total_tokens':%.6g,'deadline_hours':%.6g", log_uniform(1e8, 1e11), log_uniform(5, 500));
        break;
    }
    if (chance(0.2)) add(text, ",'arrival_cv2':%.3g", 3 * uniform());
    add(text, "}");
}

static void add_slo(struct text *text)
{
    static const double percentiles[] = {0, 50, 90, 95, 99};
    add(text, ",'slo':{'percentile':%g", PICK(percentiles));
    if (chance(0.4)) add(text, ",'min_probability_ratio':%.3g", 0.05 + 0.94 * uniform());
    if (chance(0.4)) add(text, ",'ttft_ms':%.5g", log_uniform(100, 10000));
    if (chance(0.4)) add(text, ",'tpot_ms':%.5g", log_uniform(5, 200));
    if (chance(0.2)) add(text, ",'e2e_ms':%.5g", log_uniform(500, 100000));
    add(text, "}");
}

static void add_constraints(struct text *text, bool budget)
{
    static const char *const purchases[] = {"'on_demand'", "'on_demand','owned'", "'spot','reserved'", "'owned'",
                                            "'on_demand','spot','reserved','owned'"};
    static const char *const places[] = {"'eu'", "'us','eu'", "'na'"};
    static const char *const bases[] = {"fitted", "measured"};
    add(text, ",'constraints':{'purchase':[%s],'duration_hours':%.0f", PICK(purchases), log_uniform(24, 30000));
    if (budget || chance(0.4)) add(text, ",'budget_usd':%.0f", log_uniform(1000, 2e6));
    if (chance(0.15)) add(text, ",'budget_usd_per_hour':%.4g", log_uniform(1, 200));
    if (chance(0.2)) add(text, ",'hours_per_day':%.3g", 1 + 23 * uniform());
    if (chance(0.3)) add(text, ",'max_gpus':%.0f", log_uniform(1, 300));
    if (chance(0.15)) add(text, ",'max_power_watts':%.0f", log_uniform(200, 50000));
    if (chance(0.3)) add(text, ",'spare_replicas':%d", rand_r(&seed) % 4);
    if (chance(0.2)) add(text, ",'regions':[%s]", PICK(places));
    if (chance(0.3)) add(text, ",'max_price_age_days':%.0f", log_uniform(10, 400));
    if (chance(0.2)) add(text, ",'min_basis':'%s'", PICK(bases));
    if (chance(0.2)) add(text, ",'inventory':{'l40s':%d,'h100-sxm':%d}", rand_r(&seed) % 12, rand_r(&seed) % 9);
    if (chance(0.2)) add(text, ",'quota':{'h100-sxm':%d,'l4':%d}", rand_r(&seed) % 20, rand_r(&seed) % 9);
    add(text, "}");
}

static struct text random_question(size_t index)
{
    static const char *const engines[] = {"vllm", "vllm", "sglang", "tensorrt-llm", "llama.cpp"};
    static const char *const dtypes[] = {"'native'", "'native','fp8'", "'any'"};
    struct text text = {.length = 0};
    enum objective objective = (enum objective)(index % 5);
    add(&text, "{'model':'%s',", PICK(models));
    add_demand(&text);
    if (chance(0.6)) add_slo(&text);
    add_constraints(&text, objective == OBJECTIVE_THROUGHPUT);
    add(&text, ",'serving':{'engine':'%s','weight_dtype':[%s]},'objective':'%s'}", PICK(engines), PICK(dtypes),
        objective_names[objective]);
    return text;
}

static const bool *random_gpus(struct arena *arena)
{
    bool *allowed = ARENA_ARRAY(arena, snapshot->gpu_count, bool);
    assert_non_null(allowed);
    for (size_t i = 0; i < GPUS_EACH; i++)
        allowed[(size_t)(uniform() * (double)snapshot->gpu_count)] = true;
    allowed[fleet_gpu(snapshot, "h100-sxm")] = allowed[fleet_gpu(snapshot, "l40s")] = true;
    return allowed;
}

/* --- everything tried ------------------------------------------------------------------------------------------- */

struct candidate {
    double key;
    uint32_t gpu;
    enum purchase purchase;
    bool gated;
};

enum { CANDIDATES_MAX = 4096 };
struct candidates { /* the best of each (gpu, purchase, gated) */
    struct candidate items[CANDIDATES_MAX];
    size_t count;
};

static void keep_best(struct candidates *found, struct candidate candidate)
{
    for (size_t i = 0; i < found->count; i++) {
        struct candidate *kept = &found->items[i];
        if (kept->gpu != candidate.gpu || kept->purchase != candidate.purchase || kept->gated != candidate.gated)
            continue;
        if (candidate.key < kept->key) *kept = candidate;
        return;
    }
    assert_true(found->count < CANDIDATES_MAX);
    found->items[found->count++] = candidate;
}

static bool affordable(const struct question *question, uint32_t gpu, const struct plan *plan, const struct pack *pack,
                       uint32_t replicas, struct fleet *fleet, struct cost *cost)
{
    if (!fleet_place(pack, plan->deployment.tensor_parallel, plan->deployment.pipeline_parallel,
                     replicas + question->spare_replicas, fleet))
        return false;
    fleet_cost(question, gpu, pack, fleet, cost);
    return fleet_check(question, gpu, fleet, cost).reason == REJECT_NONE;
}

/* Joules of an output token: each replica's power and speed at its share of the demand, and what has nothing to do. */
static double joules_of(const struct plan *plan, const struct gpu *gpu, uint32_t replicas, uint32_t gpus_paid)
{
    double busy = plan->performance.watts * replicas;
    double idle = (gpus_paid - replicas * deployment_gpus(&plan->deployment)) * power_gpu_watts(gpu, 0, 0);
    return (busy + idle) / (plan->performance.output_tokens_per_second.value * replicas);
}

static double key_of(const struct question *question, usd_t total, double capacity, double e2e_ms, double joules)
{
    double demand = question->demand.requests_per_second * question->demand.output_tokens;
    switch (question->objective) {
    case OBJECTIVE_COST: return usd_to_double(total);
    case OBJECTIVE_THROUGHPUT: return -capacity;
    case OBJECTIVE_COST_PER_THROUGHPUT: return usd_to_double(total) / (capacity > demand ? demand : capacity);
    case OBJECTIVE_LATENCY: return e2e_ms;
    case OBJECTIVE_ENERGY: return joules;
    }
    return NAN;
}

static void try_pack(const struct question *question, uint32_t gpu, const struct plan *plan, const struct pack *pack,
                     struct candidates *found)
{
    struct fleet fleet;
    struct cost cost;
    uint32_t replicas = plan->replicas;
    if (!affordable(question, gpu, plan, pack, replicas, &fleet, &cost)) return;
    while (question->objective == OBJECTIVE_THROUGHPUT && replicas < question->max_gpus) { /* one by one */
        struct fleet more_fleet;
        struct cost more_cost;
        if (!affordable(question, gpu, plan, pack, replicas + 1, &more_fleet, &more_cost)) break;
        fleet = more_fleet;
        cost = more_cost;
        replicas++;
    }
    double one = question->has_slo ? plan->safe_requests_per_second : plan->saturated.requests_per_second.value;
    double capacity = one * replicas * question->demand.output_tokens;
    keep_best(found, (struct candidate){
                         .key = key_of(question, cost.total_usd, capacity, plan->performance.e2e_ms.value,
                                       joules_of(plan, &snapshot->gpus[gpu], replicas, fleet.gpus_paid)),
                         .gpu = gpu,
                         .purchase = pack->purchase,
                         .gated = pack->stale || plan->performance.basis > question->worst_basis,
                     });
}

static void try_layout(const struct question *question, uint32_t gpu, const struct packs *packs, struct plan *plan,
                       struct candidates *found)
{
    if (plan_size(question, plan).reason != REJECT_NONE) return;
    for (size_t i = 0; i < packs->count; i++)
        try_pack(question, gpu, plan, &packs->items[i], found);
}

static enum dtype dtype_on(const struct question *question, uint32_t gpu, enum dtype dtype)
{
    const struct engine_support *support =
        snapshot_find_support(snapshot, question->engine->engine, snapshot->gpus[gpu].architecture);
    if (!support) return DTYPE_UNKNOWN;
    if (support->weight_dtypes & (1u << dtype)) return dtype;
    return dtype == DTYPE_BF16 && support->weight_dtypes & (1u << DTYPE_FP16) ? DTYPE_FP16 : DTYPE_UNKNOWN;
}

/* Of every offer there is a pack that can do the same for no more. */
static void check_packs(const struct question *question, uint32_t gpu, const struct packs *packs)
{
    for (uint32_t i = snapshot->offer_first[gpu]; i < snapshot->offer_first[gpu + 1]; i++) {
        const struct offer *offer = &snapshot->offers[i];
        bool covered = !question->offer_allowed[i];
        bool stale = date_known(question->oldest_price) && offer->as_of.days < question->oldest_price.days;
        bool slice = offer->gpu_count < snapshot->gpus[gpu].node_gpus ||
                     strcmp(offer->price_basis, "instance_total_marketplace") == 0;
        for (size_t j = 0; j < packs->count; j++) {
            const struct pack *pack = &packs->items[j];
            covered = covered || (pack->offer && pack->purchase == offer->purchase && pack->stale == stale &&
                                  pack->instance_gpus == offer->gpu_count && pack->term_months == offer->term_months &&
                                  (pack->spans || slice || offer->gpu_count < 4) &&
                                  usd_compare(pack->usd_per_hour, question->offer_usd_per_hour[i]) <= 0);
        }
        assert_true(covered);
    }
}

/* Pipelines are as shallow as the weights allow; every tensor parallel degree is tried. */
static void try_dtype(const struct question *question, uint32_t gpu, const struct packs *packs, enum dtype dtype,
                      struct candidates *found)
{
    for (uint32_t tensor = 1; tensor <= question->engine->coef.max_tensor_parallel && tensor <= 16; tensor *= 2) {
        for (uint32_t stages = 1; stages <= PIPELINE_MAX; stages++) {
            struct plan plan;
            struct evidence evidence;
            struct shortfall shortfall =
                plan_prepare(question, &(struct layout){gpu, dtype, tensor, stages, false}, &evidence, &plan);
            if (shortfall.reason == REJECT_MEMORY) continue;
            if (shortfall.reason == REJECT_NONE) try_layout(question, gpu, packs, &plan, found);
            break;
        }
    }
}

static int compare_candidates(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    return (a->key > b->key) - (a->key < b->key);
}

static void try_everything(const struct question *question, struct arena *arena, struct candidates *found)
{
    found->count = 0;
    for (uint32_t gpu = 0; gpu < snapshot->gpu_count; gpu++) {
        if (!question->gpu_allowed[gpu]) continue;
        struct packs packs;
        assert_int_equal(packs_collect(question, gpu, arena, &packs), STATUS_OK);
        check_packs(question, gpu, &packs);
        for (size_t d = 0; d < question->weight_dtype_count; d++) {
            enum dtype dtype = dtype_on(question, gpu, question->weight_dtypes[d]);
            if (dtype != DTYPE_UNKNOWN) try_dtype(question, gpu, &packs, dtype, found);
        }
    }
    qsort(found->items, found->count, sizeof found->items[0], compare_candidates);
}

/* --- comparison ------------------------------------------------------------------------------------------------- */

/* Figures pass round6 several times on their way into an option. */
static bool same(double a, double b)
{
    return fabs(a - b) <= 1e-5 * fmax(fabs(a), fabs(b));
}

static double option_key(const struct question *question, const struct option *option)
{
    return key_of(question, option->cost.total_usd, option->capacity_output_tokens_per_second.value,
                  option->performance.e2e_ms.value,
                  option->performance.watts / option->performance.output_tokens_per_second.value);
}

static void assert_groups_unique(const struct search_result *result)
{
    for (size_t i = 0; i < result->option_count; i++) {
        const struct option *a = &result->options[i];
        for (size_t j = i + 1; j < result->option_count; j++) {
            const struct option *b = &result->options[j];
            bool gated = (a->excluded_by != REJECT_NONE) == (b->excluded_by != REJECT_NONE);
            assert_false(a->gpu == b->gpu && a->purchase == b->purchase && gated);
        }
    }
}

/* Every group, best first. */
static void compare_all(const struct question *question, const struct search_result *result,
                        const struct candidates *found, const char *body)
{
    if (result->option_count != found->count)
        fail_msg("%zu groups, %zu by trying all: %s", result->option_count, found->count, body);
    for (size_t i = 0; i < found->count; i++) {
        double key = option_key(question, &result->options[i]);
        if (!same(key, found->items[i].key)) {
            fail_msg("option %zu: %s %.9g, by trying all: %s %.9g: %s", i, result->options[i].deployment.gpu->id, key,
                     snapshot->gpus[found->items[i].gpu].id, found->items[i].key, body);
        }
    }
    assert_groups_unique(result);
}

/* The first ones; if none of them can be recommended, the last place goes to the best that can. */
static void compare_few(const struct question *question, const struct search_result *result,
                        const struct candidates *found, const char *body)
{
    size_t count = found->count < question->options_max ? found->count : question->options_max;
    size_t recommendable = 0;
    while (recommendable < found->count && found->items[recommendable].gated)
        recommendable++;
    if (result->option_count != count) fail_msg("%zu of %zu options: %s", result->option_count, count, body);
    for (size_t i = 0; i < count; i++) {
        bool replaced = i + 1 == count && recommendable >= count && recommendable < found->count;
        double expected = found->items[replaced ? recommendable : i].key;
        double key = option_key(question, &result->options[i]);
        if (!same(key, expected)) fail_msg("option %zu of %zu: %.9g, not %.9g: %s", i, count, key, expected, body);
    }
}

/* All options, and the best few of them; returns all. */
static struct search_result check_question(struct asked *asked, const bool *gpu_allowed, size_t few,
                                           struct candidates *found)
{
    if (asked->status != STATUS_OK) (void)fleet_best(asked); /* shows the problems */
    struct question question = fleet_question(asked);
    struct search_result all, best;
    question.gpu_allowed = gpu_allowed;
    try_everything(&question, &asked->arena, found);
    question.options_max = 1000;
    assert_int_equal(search_run(&question, &asked->arena, &all), STATUS_OK);
    compare_all(&question, &all, found, asked->body);
    question.options_max = few;
    assert_int_equal(search_run(&question, &asked->arena, &best), STATUS_OK);
    compare_few(&question, &best, found, asked->body);
    return all;
}

static void test_equals_trying_everything(void **state)
{
    (void)state;
    static const size_t few[] = {1, 2, 3, 6};
    struct candidates *found = malloc(sizeof *found);
    size_t feasible = 0, options = 0, gated = 0;
    assert_non_null(found);
    for (size_t i = 0; i < QUESTIONS; i++) {
        struct text text = random_question(i);
        struct asked *asked = fleet_ask(snapshot, "%s", text.bytes);
        (void)check_question(asked, random_gpus(&asked->arena), PICK(few), found);
        feasible += found->count > 0;
        options += found->count;
        for (size_t j = 0; j < found->count; j++)
            gated += found->items[j].gated;
        fleet_done(asked);
    }
    print_message("%d questions, %zu with options, %zu groups of which %zu gated\n", QUESTIONS, feasible, options,
                  gated);
    assert_true(feasible > QUESTIONS / 3); /* else the questions test nothing */
    assert_true(gated > 50);
    free(found);
}

/* Where only nodes of eight are on offer, replicas beyond the fewest may be free: the bound must know. */
static void test_equals_trying_everything_on_nodes(void **state)
{
    (void)state;
    struct snapshot *bundled = snapshot, *nodes = fleet_catalog();
    struct candidates *found = malloc(sizeof *found);
    size_t feasible = 0;
    assert_non_null(found);
    for (size_t i = 0; i < nodes->offer_count; i++) {
        if (nodes->offers[i].gpu_count != 8) nodes->offers[i].purchase = PURCHASE_OWNED; /* no longer for rent */
    }
    snapshot = nodes;
    for (size_t i = 0; i < QUESTIONS / 4; i++) {
        struct asked *asked = fleet_ask(
            snapshot, "{'model':'%s','workload':{'concurrency':%.0f},'slo':{'tpot_ms':%.4g},'objective':'%s'}",
            models[i % 2], log_uniform(8, 2000), log_uniform(15, 120), i % 4 ? "cost_per_throughput" : "energy");
        struct question question = fleet_question(asked);
        struct search_result result;
        try_everything(&question, &asked->arena, found);
        question.options_max = 1000;
        assert_int_equal(search_run(&question, &asked->arena, &result), STATUS_OK);
        compare_all(&question, &result, found, asked->body);
        feasible += found->count > 0;
        fleet_done(asked);
    }
    assert_true(feasible > QUESTIONS / 8);
    snapshot = bundled;
    snapshot_free(nodes);
    free(found);
}

/* Every model on two GPUs, measured here and there to be anything from very slow to as fast as the GPU can be. */
static struct snapshot *random_measurements(void)
{
    static const char *const gpus[] = {"h100-sxm", "l40s"}, *const engines[] = {"vllm,0.22", "tensorrt-llm,1.0"};
    static const char *const loads[] = {"saturated,", "saturated,", "concurrency,8", "concurrency,40"};
    enum { ROWS = 6000, LINE_BYTES = 200 };
    char *lines = malloc((size_t)ROWS * LINE_BYTES);
    size_t length = 0;
    assert_non_null(lines);
    for (int i = 0; i < ROWS; i++) {
        int tensor = 1 << rand_r(&seed) % 3;
        length +=
            (size_t)snprintf(lines + length, LINE_BYTES, "s,%d,%s,%s,%s,%d,%d,1,,%s,,%s,%.4g,%.4g,%.4g,,%s,,,%s,2026\n",
                             i, PICK(engines), PICK(models), PICK(gpus), tensor, tensor, chance(0.2) ? "fp8" : "",
                             PICK(loads), log_uniform(16, 6000), log_uniform(2, 1500), log_uniform(8, 4000),
                             chance(0.5) ? "" : "300", chance(0.5) ? "A" : "C");
    }
    struct snapshot *measured = fleet_catalog_measured(lines);
    free(lines);
    return measured;
}

static const bool *measured_gpus(struct arena *arena)
{
    bool *allowed = ARENA_ARRAY(arena, snapshot->gpu_count, bool);
    assert_non_null(allowed);
    allowed[fleet_gpu(snapshot, "h100-sxm")] = allowed[fleet_gpu(snapshot, "l40s")] = true;
    return allowed;
}

/* Measurements make layouts faster than the formula says: the bounds must know. */
static void test_equals_trying_everything_when_measured(void **state)
{
    (void)state;
    struct snapshot *bundled = snapshot;
    struct candidates *found = malloc(sizeof *found);
    size_t corrected = 0;
    assert_non_null(found);
    snapshot = random_measurements();
    for (size_t i = 0; i < QUESTIONS; i++) {
        struct text text = random_question(i);
        struct asked *asked = fleet_ask(snapshot, "%s", text.bytes);
        struct search_result result = check_question(asked, measured_gpus(&asked->arena), 1, found);
        for (size_t j = 0; j < result.option_count; j++)
            corrected += result.options[j].provenance && result.options[j].provenance->measurements > 0;
        fleet_done(asked);
    }
    print_message("%zu options corrected\n", corrected);
    assert_true(corrected > QUESTIONS / 8); /* else there was nothing to know */
    snapshot_free(snapshot);
    snapshot = bundled;
    free(found);
}

/* Constraints of the request that a way out with a figure names, as their member of the request. */
static const struct {
    const char *constraint;
    size_t offset;
    bool integer;
} members[] = {
    {"budget_usd", offsetof(struct recommend_request, budget_usd), false},
    {"budget_usd_per_hour", offsetof(struct recommend_request, budget_usd_per_hour), false},
    {"max_power_watts", offsetof(struct recommend_request, max_power_watts), false},
    {"duration_hours", offsetof(struct recommend_request, duration_hours), false},
    {"requests_per_second", offsetof(struct recommend_request, requests_per_second), false},
    {"output_tokens_per_second", offsetof(struct recommend_request, output_tokens_per_second), false},
    {"users", offsetof(struct recommend_request, users), false},
    {"total_tokens", offsetof(struct recommend_request, total_tokens), false},
    {"ttft_ms", offsetof(struct recommend_request, ttft_ms), false},
    {"tpot_ms", offsetof(struct recommend_request, tpot_ms), false},
    {"e2e_ms", offsetof(struct recommend_request, e2e_ms), false},
    {"min_probability_ratio", offsetof(struct recommend_request, min_probability_ratio), false},
    {"max_gpus", offsetof(struct recommend_request, max_gpus), true},
    {"spare_replicas", offsetof(struct recommend_request, spare_replicas), true},
    {"max_price_age_days", offsetof(struct recommend_request, max_price_age_days), true},
};
enum { MEMBERS = sizeof members / sizeof members[0] };

/* Asks again with what was told. */
static void ask_relaxed(struct asked *asked, const struct relaxation *relaxation, size_t member)
{
    struct recommend_request kept = asked->answer.request;
    char *at = (char *)&asked->answer.request + members[member].offset;
    int64_t count = (int64_t)relaxation->to;
    if (members[member].integer)
        memcpy(at, &count, sizeof count);
    else
        memcpy(at, &relaxation->to, sizeof relaxation->to);
    struct question question = fleet_question(asked);
    struct search_result result;
    question.options_max = 1;
    assert_int_equal(search_run(&question, &asked->arena, &result), STATUS_OK);
    if (!result.option_count || result.options[0].excluded_by != REJECT_NONE)
        fail_msg("%s %.9g does not work: %s", relaxation->constraint, relaxation->to, asked->body);
    asked->answer.request = kept;
}

static void test_ways_out_work(void **state)
{
    (void)state;
    size_t ways[MEMBERS] = {0}, impossible = 0;
    for (size_t i = 0; i < QUESTIONS; i++) {
        struct text text = random_question(i);
        struct asked *asked = fleet_ask(snapshot, "%s", text.bytes);
        const struct recommendation *found = &asked->answer.recommendation;
        assert_int_equal(asked->status, STATUS_OK);
        if (found->has_recommended) assert_int_equal(found->relaxation_count, 0);
        impossible += !found->has_recommended;
        for (size_t j = 0; j < found->relaxation_count; j++) {
            size_t member = 0;
            if (!is_known(found->relaxations[j].to)) continue;
            while (strcmp(members[member].constraint, found->relaxations[j].constraint) != 0)
                assert_true(++member < MEMBERS);
            ask_relaxed(asked, &found->relaxations[j], member);
            ways[member]++;
        }
        fleet_done(asked);
    }
    print_message("%zu impossible questions:", impossible);
    for (size_t i = 0; i < MEMBERS; i++)
        print_message(" %s %zu", members[i].constraint, ways[i]);
    print_message("\n");
    assert_true(impossible > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_trying_everything),
        cmocka_unit_test(test_equals_trying_everything_on_nodes),
        cmocka_unit_test(test_equals_trying_everything_when_measured),
        cmocka_unit_test(test_ways_out_work),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
