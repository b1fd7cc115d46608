/* cost.c owns the operation cost: the best fleet of every GPU, one row each. */
#include "api/fleet.h"

enum { EVERY_GPU = 1000 }; /* more options than the catalog has parts and ways to pay */

static bool is_first_of_gpu(const struct recommendation *found, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (found->options[i].gpu == found->options[index].gpu) return false;
    }
    return true;
}

static enum status run(struct call *call)
{
    struct fleet_answer *answer = ARENA_NEW(call->arena, struct fleet_answer);
    if (!answer) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the answer");
    enum status status = fleet_answer(call, &operation_cost, EVERY_GPU, answer);
    if (status != STATUS_OK) return status;
    if (answer->request.alternatives == EVERY_GPU) answer->request.alternatives = VALUE_ABSENT; /* no limit was asked */
    const struct recommendation *found = &answer->recommendation;
    struct out *out = call->out;
    out_object(out, NULL);
    api_put_head(call, answer->request.as_of);
    api_put_model(out, &answer->model);
    out_array(out, "options");
    for (size_t i = 0; i < found->option_count; i++) {
        if (is_first_of_gpu(found, i)) fleet_put_option(out, NULL, call, answer, &found->options[i]);
    }
    out_array_end(out);
    fleet_put_rejections(out, call, found);
    api_put_texts(out, "assumptions", found->assumptions, found->assumption_count);
    api_put_texts(out, "warnings", found->warnings, found->warning_count);
    input_encode(out, "request", fleet_fields, FLEET_FIELD_COUNT, &answer->request);
    out_object_end(out);
    return STATUS_OK;
}

static const char *const examples[] = {
    "gpusize cost --model meta-llama/Llama-3.1-70B-Instruct --rps 5 --purchase on_demand,owned",
    "gpusize cost --weights-gb 140 --estimator article --throughput-tokens-per-second 100",
    NULL,
};

const struct operation operation_cost = {
    .id = "cost",
    .command = "cost",
    .summary = "Shows what the best fleet of every GPU costs for a model and a load.",
    .fields = fleet_fields,
    .field_count = FLEET_FIELD_COUNT,
    .computes = true,
    .recorded = true,
    .rows = "options",
    .examples = examples,
    .run = run,
};
