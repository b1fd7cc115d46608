/* training_search_test.c owns the proof of the search of GPUs and layouts for a run of training: what is recommended
 * holds its limits, what is not says why, what may be given way on is enough, and more freedom never costs more. */
#include "support/fixture.h"
#include "support/fleet_ask.h"
#include "support/near.h"
#include "support/training_setups.h"

#include "catalog/value.h"
#include "sizing/training_search.h"

#include <string.h>

#define CONSTRAINTS "{'model':'meta-llama/Llama-3.1-8B-Instruct','constraints':{%s}}"

/* 8B, all parameters, 1e9 tokens, on what `constraints` allow; a search's results live in the asked's arena. */
static struct training_question question_of(struct asked *asked)
{
    struct training_question question = {
        .fleet = fleet_question(asked),
        .setup = training_setup_plain(snapshot, &asked->answer.model.facts, "h100-sxm", 1),
        .fsdp = snapshot_find_training(snapshot, "fsdp"),
        .megatron = snapshot_find_training(snapshot, "megatron"),
        .sharding = VALUE_ABSENT,
        .recompute = VALUE_ABSENT,
        .batch_sequences_default = 32,
        .tokens = 1e9,
        .deadline_hours = UNKNOWN,
        .interruptions = {UNKNOWN, UNKNOWN, UNKNOWN},
    };
    question.setup.sequence_parallel = true;
    return question;
}

static struct asked *ask(const char *constraints)
{
    struct asked *asked = fleet_ask(snapshot, CONSTRAINTS, constraints);
    assert_int_equal(asked->status, STATUS_OK);
    return asked;
}

static struct training_search search_of(const struct training_question *question, struct asked *asked)
{
    struct training_search search;
    assert_int_equal(training_search_run(question, &asked->arena, &search), STATUS_OK);
    return search;
}

static struct training_relaxations relaxations_of(const struct training_question *question, struct asked *asked)
{
    struct training_relaxations relaxations;
    assert_int_equal(training_relax(question, &asked->arena, &relaxations), STATUS_OK);
    return relaxations;
}

static enum training_reject reason_of(const struct training_search *search, const char *gpu)
{
    return search->rejections[fleet_gpu(snapshot, gpu)].reason;
}

/* --- what is recommended ---------------------------------------------------------------------------------------- */

/* Whole hosts, a batch that divides, memory that surely suffices, limits that hold with the probability asked for. */
static void assert_holds(const struct training_question *question, const struct training_search *search)
{
    assert_true(search->found);
    const struct training_plan *plan = &search->best;
    const struct training_setup *layout = &plan->setup;
    uint32_t ranks = layout->tensor_parallel * layout->pipeline_parallel * layout->context_parallel;
    assert_int_equal(layout->gpus % ranks, 0);
    assert_true(plan->fleet.gpus_paid >= layout->gpus && plan->fleet.gpus_paid <= question->fleet.max_gpus);
    assert_true(plan->memory.total_bytes.high <= layout->gpu->memory_cuda_mib * MIB);
    assert_true(plan->deadline_probability >= question->fleet.probability);
    assert_true(plan->budget_probability >= question->fleet.probability);
    assert_near("hours", plan->hours.value,
                plan->tokens / plan->time.tokens_per_second.value / 3600 * (1 + plan->restarts.extra_ratio), 1e-5);
    assert_near("cost", plan->cost_usd.value, plan->hours.value * usd_to_double(plan->cost.per_hour_usd), 1e-3);
}

static void test_holds(void **state)
{
    (void)state;
    struct asked *asked = ask("'max_gpus':64");
    struct training_question question = question_of(asked);
    for (int method = 0; method < TRAINING_METHOD_COUNT; method++) {
        question.setup.method = (enum training_method)method;
        struct training_search search = search_of(&question, asked);
        assert_holds(&question, &search);
    }
    question.deadline_hours = 12;
    question.fleet.budget_usd = usd_from_double(2000);
    struct training_search search = search_of(&question, asked);
    assert_holds(&question, &search);
    assert_true(search.best.hours.value < 12 && search.best.cost_usd.value < 2000);
    fleet_done(asked);
}

/* A mixture of experts that no host holds: over hosts, with its experts spread. */
static void test_experts(void **state)
{
    (void)state;
    struct asked *asked = ask("'gpus':['h100-sxm'],'max_gpus':64");
    struct training_question question = question_of(asked);
    question.setup.model = training_model(snapshot, "Qwen/Qwen3-235B-A22B");
    struct training_search search = search_of(&question, asked);
    assert_holds(&question, &search);
    question.expert_parallel = 8;
    struct training_search spread = search_of(&question, asked);
    assert_holds(&question, &spread);
    assert_int_equal(spread.best.setup.expert_parallel, 8);
    assert_string_equal(spread.best.setup.profile->name, "megatron");
    assert_true(search.best.cost_usd.value <= spread.best.cost_usd.value);
    question.expert_parallel = 48; /* does not divide 128 experts */
    struct training_search odd = search_of(&question, asked);
    assert_int_equal(reason_of(&odd, "h100-sxm"), TRAINING_LAYOUT);
    fleet_done(asked);
}

/* Updates in the backward pass: one micro-batch is a step, which needs less memory. */
static void test_fused_backward(void **state)
{
    (void)state;
    struct asked *asked = ask("'gpus':['h200-sxm'],'max_gpus':1");
    struct training_question question = question_of(asked);
    question.setup.precision = PRECISION_BF16;
    question.micro_batch_sequences = 1;
    struct training_search kept = search_of(&question, asked);
    question.setup.fused_backward = true;
    struct training_search fused = search_of(&question, asked);
    assert_true(kept.found && fused.found && kept.best.setup.micro_batches == 32);
    assert_true(fused.best.setup.micro_batches == 1 && fused.best.memory.gradients_bytes == 0);
    assert_true(fused.best.memory.total_bytes.value < kept.best.memory.total_bytes.value);
    question.batch_sequences = 32; /* on one GPU these are 32 micro-batches */
    assert_false(search_of(&question, asked).found);
    fleet_done(asked);
}

/* Twice the tokens are twice the hours, the energy and the money of the same plan. */
static void test_linear(void **state)
{
    (void)state;
    struct asked *asked = ask("'gpus':['h100-sxm'],'max_gpus':8");
    struct training_question question = question_of(asked);
    struct training_search once = search_of(&question, asked);
    question.tokens *= 2;
    struct training_search twice = search_of(&question, asked);
    assert_near("hours", twice.best.hours.value, 2 * once.best.hours.value, 1e-5);
    assert_near("energy", twice.best.energy_kwh.value, 2 * once.best.energy_kwh.value, 1e-5);
    assert_near("cost", twice.best.cost_usd.value, 2 * once.best.cost_usd.value, 1e-3);
    assert_true(twice.best.setup.gpus == once.best.setup.gpus);
    fleet_done(asked);
}

/* More GPUs, more time, more money, more ways to pay: never a dearer plan. */
static void test_more_freedom(void **state)
{
    (void)state;
    struct asked *asked = ask("'max_gpus':64"), *spot = ask("'max_gpus':64,'purchase':['on_demand','spot']");
    struct training_question question = question_of(asked), either = question_of(spot);
    double before = INFINITY;
    for (question.fleet.max_gpus = 8; question.fleet.max_gpus <= 64; question.fleet.max_gpus *= 2) {
        struct training_search search = search_of(&question, asked);
        assert_true(search.found && search.best.cost_usd.value <= before);
        before = search.best.cost_usd.value;
    }
    question.fleet.max_gpus = 64;
    double dearer = INFINITY;
    for (question.deadline_hours = 4; question.deadline_hours <= 256; question.deadline_hours *= 2) {
        struct training_search search = search_of(&question, asked);
        double cost = search.found ? search.best.cost_usd.value : INFINITY;
        assert_true(cost <= dearer);
        dearer = cost;
    }
    assert_true(isfinite(dearer));
    question.deadline_hours = UNKNOWN;
    assert_true(search_of(&either, spot).best.cost_usd.value <= search_of(&question, asked).best.cost_usd.value);
    fleet_done(asked);
    fleet_done(spot);
}

/* Where nobody says how large a step is, many GPUs have a sequence each, however the model is divided. */
static void test_batch_of_many(void **state)
{
    (void)state;
    struct asked *asked = ask("'gpus':['h100-sxm'],'max_gpus':64");
    struct training_question question = question_of(asked);
    question.fixed = true;
    question.gpus = 64;
    question.micro_batch_sequences = 1;
    question.tensor_parallel = question.pipeline_parallel = 1;
    assert_true(search_of(&question, asked).best.setup.micro_batches == 1);
    question.tensor_parallel = 8;
    question.pipeline_parallel = 4;
    assert_true(search_of(&question, asked).best.setup.micro_batches * 2 == 64);
    question.batch_sequences_default = 128;
    assert_true(search_of(&question, asked).best.setup.micro_batches * 2 == 128);
    question.batch_sequences = 32;
    assert_true(search_of(&question, asked).best.setup.micro_batches * 2 == 32);
    fleet_done(asked);
}

/* GPUs and their number given: that plan, also where it does not fit, and with a layout as it was asked for. */
static void test_fixed(void **state)
{
    (void)state;
    struct asked *asked = ask("'gpus':['h100-sxm'],'max_gpus':64");
    struct training_question question = question_of(asked);
    question.fixed = true;
    question.gpus = 16;
    question.tensor_parallel = 2;
    question.pipeline_parallel = 4;
    question.data_parallel = 2;
    question.sharding = SHARDING_ZERO1;
    question.recompute = RECOMPUTE_SELECTIVE;
    question.batch_sequences = 64;
    struct training_search search = search_of(&question, asked);
    const struct training_setup *layout = &search.best.setup;
    assert_true(search.found && layout->gpus == 16 && layout->tensor_parallel == 2 && layout->pipeline_parallel == 4);
    assert_true(layout->sharding == SHARDING_ZERO1 && layout->recompute == RECOMPUTE_SELECTIVE);
    assert_true(layout->micro_batches * layout->micro_batch_sequences * 2 == 64);
    assert_int_equal(layout->host_gpus, 8); /* each of the two writes its half of a checkpoint */
    assert_near("written", search.best.restarts.write_seconds, 12 * asked->answer.model.facts.parameters / 4e9, 1e-9);
    assert_string_equal(layout->profile->name, "megatron");
    question.gpus = 1;
    question.tensor_parallel = question.pipeline_parallel = question.data_parallel = 0;
    question.sharding = VALUE_ABSENT;
    search = search_of(&question, asked);
    assert_true(!search.found && search.has_nearest && search.nearest.setup.gpus == 1);
    assert_false(search.nearest.memory.fits);
    assert_int_equal(reason_of(&search, "h100-sxm"), TRAINING_MEMORY);
    question.gpus = 6; /* no power of two divides it three times */
    question.tensor_parallel = 4;
    search = search_of(&question, asked);
    assert_false(search.found || search.has_nearest);
    assert_int_equal(reason_of(&search, "h100-sxm"), TRAINING_LAYOUT);
    fleet_done(asked);
}

/* Without tokens a plan is ranked by what a token costs; by hours or GPUs if these are to be few. */
static void test_ranks(void **state)
{
    (void)state;
    struct asked *asked = ask("'gpus':['h100-sxm','l40s','a100-80gb-sxm'],'max_gpus':16");
    struct training_question question = question_of(asked);
    struct training_search cost = search_of(&question, asked);
    question.least = TRAINING_LEAST_HOURS;
    struct training_search hours = search_of(&question, asked);
    question.least = TRAINING_LEAST_GPUS;
    struct training_search gpus = search_of(&question, asked);
    assert_true(hours.best.hours.value <= cost.best.hours.value && hours.best.hours.value <= gpus.best.hours.value);
    assert_true(gpus.best.setup.gpus <= cost.best.setup.gpus && gpus.best.setup.gpus <= hours.best.setup.gpus);
    question.least = TRAINING_LEAST_COST;
    question.tokens = UNKNOWN;
    struct training_search untold = search_of(&question, asked);
    assert_true(untold.found && !is_known(untold.best.hours.value));
    const struct training_rejection *other = &untold.rejections[fleet_gpu(snapshot, "l40s")];
    assert_int_equal(other->reason, TRAINING_OUTRANKED);
    assert_string_equal(other->unit, "USD per million tokens");
    assert_true(other->needed > other->available && other->available > 0);
    fleet_done(asked);
}

/* --- what is not ------------------------------------------------------------------------------------------------ */

static void test_reasons(void **state)
{
    (void)state;
    struct asked *asked = ask("'max_gpus':64");
    struct training_question question = question_of(asked);
    struct training_search search = search_of(&question, asked);
    assert_int_equal(reason_of(&search, "tpu-v5e"), TRAINING_FRAMEWORK);
    assert_int_equal(reason_of(&search, "inferentia2"), TRAINING_FRAMEWORK);
    assert_int_equal(reason_of(&search, "t4"), TRAINING_FACTS);
    assert_int_equal(reason_of(&search, "v100-32gb-sxm"), TRAINING_FACTS);
    question.setup.precision = PRECISION_FP8;
    assert_int_equal(
        reason_of(&(struct training_search){.rejections = search_of(&question, asked).rejections}, "a100-80gb-sxm"),
        TRAINING_FACTS);
    question.setup.precision = PRECISION_BF16_MIXED;
    question.deadline_hours = 1e-3;
    struct training_search hasty = search_of(&question, asked);
    assert_false(hasty.found);
    assert_int_equal(reason_of(&hasty, "h100-sxm"), TRAINING_DEADLINE);
    question.deadline_hours = UNKNOWN;
    question.fleet.budget_usd = usd_from_double(1);
    struct training_search poor = search_of(&question, asked);
    assert_false(poor.found);
    assert_int_equal(reason_of(&poor, "h100-sxm"), TRAINING_BUDGET);
    question.fleet.budget_usd = USD_UNKNOWN;
    question.fleet.max_gpus = question.tensor_parallel = 1;
    assert_int_equal(reason_of(&(struct training_search){.rejections = search_of(&question, asked).rejections}, "l4"),
                     TRAINING_MEMORY);
    fleet_done(asked);
}

/* What could do it, but is dearer, says by how much; with the recommended part left out the next one is recommended, at
 * just that. */
static void test_outranked(void **state)
{
    (void)state;
    struct asked *asked = ask("'max_gpus':64");
    struct training_question question = question_of(asked);
    struct training_search search = search_of(&question, asked);
    const struct training_rejection *next = NULL;
    size_t outranked = 0;
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        const struct training_rejection *each = &search.rejections[i];
        bool best = &snapshot->gpus[i] == search.best.setup.gpu;
        assert_true((each->reason == TRAINING_OK) == best);
        if (each->reason != TRAINING_OUTRANKED) continue;
        outranked++;
        assert_string_equal(each->unit, "USD");
        assert_true(each->available == round6(search.best.cost_usd.value) && each->needed >= each->available);
        if (!next || each->needed < next->needed) next = each;
    }
    assert_true(outranked > 5);
    bool allowed[512];
    assert_true(snapshot->gpu_count <= 512);
    memcpy(allowed, question.fleet.gpu_allowed, snapshot->gpu_count * sizeof *allowed);
    allowed[search.best.setup.gpu - snapshot->gpus] = false;
    question.fleet.gpu_allowed = allowed;
    struct training_search without = search_of(&question, asked);
    assert_true(round6(without.best.cost_usd.value) == next->needed);
    fleet_done(asked);
}

/* --- what to give way on ---------------------------------------------------------------------------------------- */

static const struct training_relaxation *relaxation_of(const struct training_relaxations *relaxations, size_t changes,
                                                       const char *field)
{
    for (size_t i = 0; i < relaxations->count; i++) {
        const struct training_relaxation *item = &relaxations->items[i];
        if (item->change_count == changes && strcmp(item->changes[0].field, field) == 0) return item;
    }
    return NULL;
}

/* Applied, each of them makes a plan possible. */
static void assert_enough(const struct training_question *asked_for, const struct training_relaxations *relaxations,
                          struct asked *asked)
{
    for (size_t i = 0; i < relaxations->count; i++) {
        struct training_question question = *asked_for;
        for (size_t j = 0; j < relaxations->items[i].change_count; j++) {
            const struct training_change *change = &relaxations->items[i].changes[j];
            if (strcmp(change->field, "constraints.budget_usd") == 0) {
                assert_true(change->to > change->from);
                question.fleet.budget_usd = usd_from_double(change->to * 1.0001);
            } else if (strcmp(change->field, "workload.deadline_hours") == 0) {
                assert_true(change->to > change->from);
                question.deadline_hours = change->to * 1.0001;
            } else if (strcmp(change->field, "constraints.max_gpus") == 0) {
                assert_true(change->to > change->from);
                question.fleet.max_gpus = (uint32_t)change->to;
            } else {
                assert_string_equal(change->field, "training.method");
                question.setup.method = strcmp(change->word, "lora") == 0 ? TRAINING_LORA : TRAINING_QLORA;
            }
        }
        if (!search_of(&question, asked).found) fail_msg("relaxation %zu is not enough", i);
    }
}

/* One limit binds: its own change, and no other that contains it. */
static void test_one_limit(void **state)
{
    (void)state;
    struct asked *asked = ask("'max_gpus':64");
    struct training_question question = question_of(asked);
    struct training_search cheapest = search_of(&question, asked);
    question.fleet.budget_usd = usd_from_double(cheapest.best.cost_usd.value / 4);
    struct training_relaxations relaxations = relaxations_of(&question, asked);
    const struct training_relaxation *item = relaxation_of(&relaxations, 1, "constraints.budget_usd");
    assert_non_null(item);
    assert_true(item->plan.cost_usd.value == cheapest.best.cost_usd.value);
    assert_enough(&question, &relaxations, asked);
    for (size_t i = 0; i < relaxations.count; i++)
        assert_int_equal(relaxations.items[i].change_count, 1);
    fleet_done(asked);
}

/* Deadline and budget bind jointly: either is enough if given up alone, for the cheapest plan within the deadline and
 * the fastest within the budget. */
static void test_joint_limits(void **state)
{
    (void)state;
    struct asked *asked = ask("'max_gpus':64,'gpus':['h100-sxm','h200-sxm']");
    struct training_question question = question_of(asked);
    question.batch_sequences = 32; /* the more GPUs, the less each has to do in a step */
    question.deadline_hours = 1;
    struct training_search in_time = search_of(&question, asked);
    assert_true(in_time.found);
    question.deadline_hours = UNKNOWN;
    struct training_search cheapest = search_of(&question, asked);
    double between =
        (in_time.best.cost_usd.value + training_safe_limit(cheapest.best.cost_usd, question.fleet.deviate)) / 2;
    assert_true(cheapest.best.cost_usd.value < between && between < in_time.best.cost_usd.value);
    question.deadline_hours = 1;
    question.fleet.budget_usd = usd_from_double(between);
    assert_false(search_of(&question, asked).found);
    struct training_relaxations relaxations = relaxations_of(&question, asked);
    const struct training_relaxation *budget = relaxation_of(&relaxations, 1, "constraints.budget_usd");
    const struct training_relaxation *deadline = relaxation_of(&relaxations, 1, "workload.deadline_hours");
    assert_non_null(budget);
    assert_non_null(deadline);
    assert_true(budget->plan.cost_usd.value == in_time.best.cost_usd.value);
    assert_true(deadline->plan.cost_usd.value <= between && deadline->plan.hours.value < cheapest.best.hours.value);
    assert_enough(&question, &relaxations, asked);
    fleet_done(asked);
}

/* Neither is enough alone where the deadline takes more GPUs and these more money. */
static void test_several_limits(void **state)
{
    (void)state;
    struct asked *asked = ask("'max_gpus':8");
    struct training_question question = question_of(asked);
    question.deadline_hours = 1;
    question.fleet.budget_usd = usd_from_double(20);
    question.setup.method = TRAINING_QLORA; /* there is no other method to fall back on */
    assert_false(search_of(&question, asked).found);
    struct training_relaxations relaxations = relaxations_of(&question, asked);
    assert_true(relaxations.count > 0);
    const struct training_relaxation *item = relaxation_of(&relaxations, 2, "constraints.budget_usd");
    assert_non_null(item);
    assert_enough(&question, &relaxations, asked);
    fleet_done(asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds),          cmocka_unit_test(test_linear),
        cmocka_unit_test(test_fused_backward), cmocka_unit_test(test_batch_of_many),
        cmocka_unit_test(test_fixed),          cmocka_unit_test(test_experts),
        cmocka_unit_test(test_ranks),          cmocka_unit_test(test_more_freedom),
        cmocka_unit_test(test_reasons),        cmocka_unit_test(test_outranked),
        cmocka_unit_test(test_one_limit),      cmocka_unit_test(test_joint_limits),
        cmocka_unit_test(test_several_limits),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
