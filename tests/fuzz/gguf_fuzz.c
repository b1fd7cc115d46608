/* gguf_fuzz.c owns the fuzzing of GGUF headers: any bytes are a header whose JSON makes a model that makes sense, or a
 * reason. */
#include "fuzz.h"
#include "hf/hf_weights.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static void check_model(const struct model *model)
{
    const struct stored_weights *stored = &model->stored;
    assert(isfinite(model->parameters) && model->parameters >= 1 && model->parameters <= 1e15);
    assert(model->active_parameters >= 0 && model->active_parameters <= model->parameters);
    assert(stored->embedding >= 0 && stored->head >= 0 && stored->norms >= 0 && stored->experts >= 0);
    assert(isfinite(stored->sharded) && stored->sharded >= 0 && stored->kv_projection >= 0);
    assert(model->layers > 0 && model->hidden_size > 0 && model->vocabulary_size > 0);
    assert(model->full_attention_layers + model->sliding_layers + model->linear_layers == model->layers);
    assert((model->sliding_layers > 0) == (model->sliding_window_tokens > 0));
    assert(model->experts_per_token <= model->experts);
    assert(isfinite(model->ssm_state_elements) && model->ssm_state_elements >= 0);
    assert(model->native_dtype > DTYPE_UNKNOWN && model->native_dtype < DTYPE_COUNT);
}

static void check_json(const char *json, size_t length)
{
    struct arena arena;
    struct problems problems;
    struct model model;
    struct hf_weights weights;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = hf_gguf_parse(json, length, &arena, &problems, "gguf_header", &model);
    assert((status == STATUS_OK) == (problems.count == 0));
    if (status == STATUS_OK) check_model(&model);
    const struct model shape = {.layers = 2, .attention_heads = 8, .kv_heads = 2};
    if (hf_safetensors_parse(json, length, &shape, &problems, "safetensors_index", &weights) == STATUS_OK)
        assert(weights.total_bytes > 0 && weights.total_bytes <= 1e15);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct problems problems;
    const char *json = NULL;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = hf_gguf_header(data, size, &arena, &problems, "weights", &json);
    assert((status == STATUS_OK) == (problems.count == 0) && (status == STATUS_OK) == (json != NULL));
    if (status == STATUS_OK)
        check_json(json, strlen(json));
    else
        check_json((const char *)data, size); /* what HTTP brings is JSON */
    arena_done(&arena);
    return 0;
}
