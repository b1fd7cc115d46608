/* assume.c owns the architecture that is assumed for a model of which only the size is known. */
#include "sizing/deployment.h"

/* Layers and width of dense models with grouped-query attention by size: Llama 3.x, Qwen 2.5 / 3, Mistral Large as in
 * catalog/data/models.csv; a size takes the shape of the row whose range holds it. The FFN width follows from the
 * size, so that the parameters agree. */
static const struct shape {
    double below_parameters;
    uint32_t layers, hidden_size;
    bool tied_embeddings;
} shapes[] = {
    {0.8e9, 24, 896, true},     {2e9, 16, 2048, true},         {5e9, 28, 3072, true},   {11e9, 32, 4096, false},
    {20e9, 40, 5120, false},    {45e9, 64, 5120, false},       {95e9, 80, 8192, false}, {200e9, 88, 12288, false},
    {600e9, 126, 16384, false}, {INFINITY, 160, 20480, false},
};

enum {
    ASSUMED_VOCABULARY = 128256,
    ASSUMED_KV_HEADS = 8,
    ASSUMED_HEAD_DIM = 128,
    ASSUMED_CONTEXT_TOKENS = 131072,
};

static double attention_parameters(double hidden)
{
    return 2 * hidden * hidden + 2 * hidden * ASSUMED_KV_HEADS * ASSUMED_HEAD_DIM;
}

void model_assume_architecture(struct model *model)
{
    if (!model_size_only(model)) return;
    const struct shape *shape = shapes;
    while (model->parameters >= shape->below_parameters)
        shape++;
    double hidden = shape->hidden_size, layers = shape->layers;
    double embeddings = hidden * ASSUMED_VOCABULARY * (shape->tied_embeddings ? 1 : 2);
    double ffn = (model->parameters - embeddings) / layers - attention_parameters(hidden);
    model->layers = model->full_attention_layers = shape->layers;
    model->hidden_size = shape->hidden_size;
    model->attention_heads = shape->hidden_size / ASSUMED_HEAD_DIM;
    model->kv_heads = model->attention_heads < ASSUMED_KV_HEADS ? model->attention_heads : ASSUMED_KV_HEADS;
    model->head_dim = ASSUMED_HEAD_DIM;
    model->intermediate_size = (uint32_t)fmax(2 * hidden, rint(ffn / (3 * hidden)));
    model->vocabulary_size = ASSUMED_VOCABULARY;
    model->tied_embeddings = shape->tied_embeddings;
    model->max_position_tokens = ASSUMED_CONTEXT_TOKENS;
    model->attention_kind = ATTENTION_GQA;
    if (!(model->active_parameters > 0)) model->active_parameters = model->parameters;
}
