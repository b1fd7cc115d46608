/* training_pay.c owns what the GPUs of a plan cost under each way to pay: to rent and to own, side by side. */
#include "api/training.h"

const struct training_plan *training_answer_plan(const struct training_answer *answer)
{
    const struct training_search *search = &answer->search;
    if (search->found) return &search->best;
    return answer->question.fixed && search->has_nearest ? &search->nearest : NULL;
}

static const bool *offers_by(const struct snapshot *snapshot, const bool *offers, int purchase, struct arena *arena)
{
    bool *allowed = ARENA_ARRAY(arena, snapshot->offer_count, bool);
    for (size_t i = 0; allowed && i < snapshot->offer_count; i++)
        allowed[i] = offers[i] && (int)snapshot->offers[i].purchase == purchase;
    return allowed;
}

/* The plan as a question of its own: its GPU, their number and its layout; no deadline and no budget. */
static struct training_question same_plan(const struct training_answer *answer, const struct training_plan *plan,
                                          const bool *gpu_allowed)
{
    struct training_question question = answer->question;
    const struct training_setup *setup = &plan->setup;
    question.fleet.gpu_allowed = gpu_allowed;
    question.fleet.budget_usd = USD_UNKNOWN;
    question.deadline_hours = UNKNOWN;
    question.profile = setup->profile;
    question.gpus = setup->gpus;
    question.tensor_parallel = setup->tensor_parallel;
    question.pipeline_parallel = setup->pipeline_parallel;
    question.expert_parallel = setup->expert_parallel;
    question.sharding = setup->sharding;
    question.recompute = setup->recompute;
    question.micro_batch_sequences = setup->micro_batch_sequences;
    question.least = TRAINING_LEAST_COST;
    question.fixed = false;
    question.memo = NULL;
    return question;
}

enum status training_pay(struct call *call, struct training_answer *answer)
{
    const struct training_plan *plan = training_answer_plan(answer);
    const struct snapshot *snapshot = call->snapshot;
    if (!plan || !plan->memory.fits_safely) return STATUS_OK;
    bool *gpu_allowed = ARENA_ARRAY(call->arena, snapshot->gpu_count, bool);
    if (!gpu_allowed) return STATUS_OUT_OF_MEMORY;
    gpu_allowed[plan->setup.gpu - snapshot->gpus] = true;
    struct training_question question = same_plan(answer, plan, gpu_allowed);
    for (int purchase = 0; purchase < PURCHASE_COUNT; purchase++) {
        struct training_search search;
        question.fleet.purchases = 1U << purchase;
        question.fleet.offer_allowed = offers_by(snapshot, answer->offers, purchase, call->arena);
        if (!question.fleet.offer_allowed) return STATUS_OUT_OF_MEMORY;
        enum status status = training_search_run(&question, call->arena, &search);
        if (status != STATUS_OK) return status;
        answer->payments[purchase] = (struct training_payment){search.found, search.best};
    }
    return STATUS_OK;
}
