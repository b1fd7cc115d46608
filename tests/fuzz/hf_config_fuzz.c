/* hf_config_fuzz.c owns the fuzzing of hf_config_parse: any bytes are a model that makes sense, or a reason. */
#include "fuzz.h"
#include "hf/hf_config.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static void check_model(const struct model *model)
{
    assert(isfinite(model->parameters) && model->parameters > 0 && model->parameters <= 1e15);
    assert(model->active_parameters > 0 && model->active_parameters <= model->parameters);
    assert(isfinite(model->vision_parameters) && model->vision_parameters >= 0);
    assert(isfinite(model->ssm_state_elements) && model->ssm_state_elements >= 0);
    assert(isfinite(model->conv_state_elements) && model->conv_state_elements >= 0);
    assert(model->layers > 0 && model->hidden_size > 0 && model->vocabulary_size > 0);
    assert(model->full_attention_layers + model->sliding_layers + model->linear_layers <= model->layers);
    assert((model->sliding_layers > 0) == (model->sliding_window_tokens > 0));
    assert(model->experts_per_token <= model->experts);
    assert(model->attention_kind > ATTENTION_UNKNOWN && model->attention_kind < ATTENTION_COUNT);
    assert(strlen(model->family) <= 128 && strlen(model->architecture) <= 128 && model->note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct problems problems;
    struct model model;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = hf_config_parse((const char *)data, size, "fuzz", &arena, &problems, "config", &model);
    assert((status == STATUS_OK) == (problems.count == 0));
    if (status == STATUS_OK) check_model(&model);
    arena_done(&arena);
    return 0;
}
