/* model.c owns the names of attention kinds, and facts that few models have. */
#include "catalog/model.h"

#include <string.h>
#include <strings.h>

static const char *const attention_names[ATTENTION_COUNT] = {
    [ATTENTION_UNKNOWN] = "unknown",
    [ATTENTION_MHA] = "mha",
    [ATTENTION_GQA] = "gqa",
    [ATTENTION_MQA] = "mqa",
    [ATTENTION_MLA] = "mla",
    [ATTENTION_HYBRID_SWA] = "hybrid_swa",
    [ATTENTION_HYBRID_LINEAR] = "hybrid_linear",
    [ATTENTION_MAMBA] = "mamba",
};

const char *attention_kind_name(enum attention_kind kind)
{
    return attention_names[kind];
}

enum attention_kind attention_kind_parse(const char *name)
{
    for (enum attention_kind kind = ATTENTION_UNKNOWN + 1; kind < ATTENTION_COUNT; kind++) {
        if (strcasecmp(name, attention_names[kind]) == 0) return kind;
    }
    return ATTENTION_UNKNOWN;
}

/* config.json of these models: index_head_dim, index_n_heads, index_topk; num_nextn_predict_layers,
 * mtp_num_hidden_layers. Qwen3-Next's states none, and its engines load one. */
static const struct {
    const char *id_begin;
    uint32_t index_head_dim, index_heads, index_topk, mtp_layers;
} known[] = {
    {"deepseek-ai/DeepSeek-V3.2", 128, 64, 2048, 1},
    {"deepseek-ai/DeepSeek-V3", 0, 0, 0, 1},
    {"deepseek-ai/DeepSeek-R1-Distill", 0, 0, 0, 0},
    {"deepseek-ai/DeepSeek-R1", 0, 0, 0, 1},
    {"zai-org/GLM-4.5", 0, 0, 0, 1},
    {"zai-org/GLM-4.6", 0, 0, 0, 1},
    {"zai-org/GLM-4.7", 0, 0, 0, 1},
    {"Qwen/Qwen3.5", 0, 0, 0, 1},
    {"Qwen/Qwen3-Next", 0, 0, 0, 1},
    {"XiaomiMiMo/MiMo-7B", 0, 0, 0, 1},
};

void model_add_known(struct model *model)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strncasecmp(model->id, known[i].id_begin, strlen(known[i].id_begin)) != 0) continue;
        model->index_head_dim = known[i].index_head_dim;
        model->index_heads = known[i].index_heads;
        model->index_topk = known[i].index_topk;
        model->mtp_layers = known[i].mtp_layers;
        return;
    }
}

double stored_weights_sum(const struct stored_weights *parts)
{
    return parts->embedding + parts->head + parts->norms + parts->latent + parts->kv_projection + parts->experts +
           parts->sharded + parts->vision;
}
