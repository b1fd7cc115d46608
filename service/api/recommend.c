/* recommend.c owns the operation recommend: which GPUs, how many, at what cost, how fast. */
#include "api/fleet.h"

static const char *answer_basis(const struct recommendation *recommendation)
{
    return recommendation->option_count ? basis_name(recommendation->options[0].performance.basis) : NULL;
}

static void put_options(struct call *call, const struct fleet_answer *answer)
{
    const struct recommendation *found = &answer->recommendation;
    size_t first = found->has_recommended ? 1 : 0;
    call->found_nothing = !found->has_recommended;
    if (found->has_recommended) {
        fleet_put_option(call->out, "recommended", call, answer, &found->options[0]);
    } else {
        out_null(call->out, "recommended");
    }
    out_array(call->out, "alternatives");
    for (size_t i = first; i < found->option_count; i++) {
        fleet_put_option(call->out, NULL, call, answer, &found->options[i]);
    }
    out_array_end(call->out);
    out_array(call->out, "pareto");
    for (size_t i = 0; i < found->pareto_count; i++)
        out_integer(call->out, NULL, found->pareto[i]);
    out_array_end(call->out);
}

static enum status run(struct call *call)
{
    struct fleet_answer *answer = ARENA_NEW(call->arena, struct fleet_answer);
    if (!answer) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the answer");
    enum status status = fleet_answer(call, &operation_recommend, VALUE_ABSENT, answer);
    if (status != STATUS_OK) return status;
    const struct recommendation *found = &answer->recommendation;
    struct out *out = call->out;
    out_object(out, NULL);
    api_put_head(call, answer->request.as_of);
    api_put_model(out, &answer->model);
    put_options(call, answer);
    fleet_put_rejections(out, call, found);
    fleet_put_relaxations(out, found);
    out_text(out, "gpu_explanation", found->gpu_explanation);
    out_text(out, "basis", answer_basis(found));
    api_put_texts(out, "assumptions", found->assumptions, found->assumption_count);
    api_put_texts(out, "warnings", found->warnings, found->warning_count);
    input_encode(out, "request", fleet_fields, FLEET_FIELD_COUNT, &answer->request);
    out_object_end(out);
    return STATUS_OK;
}

static const char *const examples[] = {
    "gpusize recommend --model meta-llama/Llama-3.1-70B-Instruct --rps 5 --budget 100000",
    "gpusize recommend --model Qwen/Qwen3-32B --users 500 --requests-per-user-hour 20 --regions eu --ttft-ms 1000",
    "gpusize recommend --model 70B --total-tokens 1e10 --deadline-hours 72 --purchase on_demand,spot",
    "gpusize recommend --weights-gb 140 --estimator article --throughput-tokens-per-second 100 --budget 100000",
    NULL,
};

const struct operation operation_recommend = {
    .id = "recommend",
    .command = "recommend",
    .summary = "Recommends which GPUs to buy or rent for a model and a load, how many, at what cost and how fast.",
    .fields = fleet_fields,
    .field_count = FLEET_FIELD_COUNT,
    .computes = true,
    .recorded = true,
    .rows = "recommended,alternatives",
    .examples = examples,
    .run = run,
};
