/* extras.c owns what takes memory beside the model: LoRA slots, a draft, weights in host memory. */
#include "api/common.h"

#include <string.h>
#include <strings.h>

enum { DEFAULT_LORA_RANK = 16 }; /* vLLM's max_lora_rank */

static enum status resolve_loras(struct call *call, struct memory_extras *extras, struct deployment *deployment)
{
    if (extras->max_loras == VALUE_ABSENT) {
        if (extras->max_lora_rank == VALUE_ABSENT && extras->lora_targets == VALUE_ABSENT) return STATUS_OK;
        return problems_add(call->problems, STATUS_MISSING_FIELD, "serving.max_loras",
                            "say how many adapters a batch may use");
    }
    if (extras->max_lora_rank == VALUE_ABSENT) extras->max_lora_rank = DEFAULT_LORA_RANK;
    if (extras->lora_targets == VALUE_ABSENT) extras->lora_targets = LORA_ALL_LINEAR;
    deployment->max_loras = (uint32_t)extras->max_loras;
    deployment->max_lora_rank = (uint32_t)extras->max_lora_rank;
    deployment->lora_targets = (enum lora_targets)extras->lora_targets;
    return STATUS_OK;
}

static enum draft_kind draft_kind(const char *name)
{
    enum draft_kind kind = DRAFT_NGRAM;
    while (kind < DRAFT_MODEL && strcasecmp(draft_kind_name(kind), name) != 0)
        kind++;
    return kind;
}

static enum status resolve_draft_model(struct call *call, struct memory_extras *extras, const struct model *model,
                                       struct deployment *deployment)
{
    const struct model *draft = NULL;
    enum status status = snapshot_find_model(call->snapshot, ALIAS_USER, extras->draft_model, "serving.draft_model",
                                             call->problems, &draft);
    if (status != STATUS_OK) return status;
    if (draft->encoder_only) {
        return problems_add(call->problems, STATUS_UNSUPPORTED_MODEL_KIND, "serving.draft_model",
                            "%s is an encoder: it generates no text", draft->id);
    }
    if (model && draft->parameters > model->parameters) {
        return problems_add(call->problems, STATUS_CONTRADICTION, "serving.draft_model",
                            "%s is larger than the model that it drafts for", draft->id);
    }
    extras->draft_model = draft->id;
    deployment->draft_model = draft;
    return STATUS_OK;
}

/* A draft is what drafts and how much: its memory and its time follow from both. */
static enum status resolve_draft(struct call *call, struct memory_extras *extras, const struct model *model,
                                 const struct engine_profile *engine, struct deployment *deployment)
{
    if (!extras->draft_model) {
        if (extras->draft_tokens == VALUE_ABSENT) return STATUS_OK;
        return problems_add(call->problems, STATUS_MISSING_FIELD, "serving.draft_model",
                            "say what drafts: a model of the catalog, ngram, mtp or eagle");
    }
    if (extras->draft_tokens != VALUE_ABSENT) deployment->draft_tokens = (uint32_t)extras->draft_tokens;
    deployment->draft_kind = draft_kind(extras->draft_model);
    if (extras->draft_tokens == VALUE_ABSENT) {
        (void)problems_add(call->problems, STATUS_MISSING_FIELD, "serving.draft_tokens",
                           "say how many tokens it drafts in each step");
    }
    if (deployment->draft_kind == DRAFT_MTP && model && !model->mtp_layers) {
        (void)problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "serving.draft_model",
                           "the model has no layers for multi-token prediction, or its facts state none");
    }
    if (deployment->draft_kind == DRAFT_EAGLE && model && !model->attention_heads) {
        (void)problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "serving.draft_model",
                           "a head of the model's shape needs attention, which it has not");
    }
    bool own = deployment->draft_kind == DRAFT_MTP || deployment->draft_kind == DRAFT_EAGLE;
    if (own && strcmp(engine->engine, "llama.cpp") == 0) {
        (void)problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "serving.draft_model",
                           "llama.cpp drafts with a model of its own, or ngram");
    }
    if (deployment->draft_kind == DRAFT_MODEL) return resolve_draft_model(call, extras, model, deployment);
    return problems_status(call->problems);
}

static enum status resolve_offload(struct call *call, const struct memory_extras *extras,
                                   const struct engine_profile *engine, struct deployment *deployment)
{
    if (!(extras->cpu_offload_gib > 0)) return STATUS_OK;
    deployment->cpu_offload_gib = extras->cpu_offload_gib;
    if (strcmp(engine->engine, "vllm") == 0 || strcmp(engine->engine, "sglang") == 0) return STATUS_OK;
    return problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "serving.cpu_offload_gib",
                        "%s does not read weights from host memory; vllm and sglang do, and llama.cpp has gpu_layers",
                        engine->engine);
}

/* Every engine has such a pool: vLLM's OffloadingConnector, SGLang's HiCache, TensorRT-LLM's host cache, the prompt
 * cache of llama.cpp's server. */
static enum status resolve_kv_offload(struct call *call, const struct memory_extras *extras, const struct model *model,
                                      struct deployment *deployment)
{
    if (!(extras->kv_offload_gib > 0)) return STATUS_OK;
    deployment->kv_offload_gib = extras->kv_offload_gib;
    bool caches = !model || model->full_attention_layers || model->sliding_layers || !model->linear_layers;
    if (caches) return STATUS_OK;
    return problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "serving.kv_offload_gib",
                        "the model keeps a state instead of a cache: there is nothing to read back");
}

enum status api_extras_resolve(struct call *call, struct memory_extras *extras, const struct model *model,
                               const struct engine_profile *engine, struct deployment *deployment)
{
    const enum status statuses[] = {
        resolve_loras(call, extras, deployment),
        resolve_draft(call, extras, model, engine, deployment),
        resolve_offload(call, extras, engine, deployment),
        resolve_kv_offload(call, extras, model, deployment),
    };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (statuses[i] != STATUS_OK) return problems_status(call->problems);
    }
    return STATUS_OK;
}
