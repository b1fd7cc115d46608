/* launch_extras.c owns what LoRA slots, a draft and weights in host memory add to the command that starts an engine. */
#include "sizing/explain.h"

#include <string.h>

static const char eagle_path[] = "PATH_TO_YOUR_EAGLE_HEAD";

static const char *draft_name(const struct deployment *deployment)
{
    return deployment->draft_kind == DRAFT_MODEL ? deployment->draft_model->id : eagle_path;
}

/* vLLM takes one JSON object. */
static const char *vllm_draft(const struct deployment *deployment, struct arena *arena)
{
    static const char *const methods[] = {
        [DRAFT_NONE] = NULL,
        [DRAFT_NGRAM] = "\"method\": \"ngram\"",
        [DRAFT_MTP] = "\"method\": \"mtp\"",
        [DRAFT_EAGLE] = "\"method\": \"eagle\", \"model\": ",
        [DRAFT_MODEL] = "\"method\": \"draft_model\", \"model\": ",
    };
    bool named = deployment->draft_kind >= DRAFT_EAGLE;
    const char *quote = named ? "\"" : "", *name = named ? draft_name(deployment) : "";
    const char *json = arena_printf(arena, "{%s%s%s%s, \"num_speculative_tokens\": %u}",
                                    methods[deployment->draft_kind], quote, name, quote, deployment->draft_tokens);
    const char *quoted = json ? explain_shell_quote(json, arena) : NULL;
    return quoted ? arena_printf(arena, " --speculative-config %s", quoted) : NULL;
}

static const char *vllm_loras(const struct deployment *deployment, struct arena *arena)
{
    bool attention = deployment->lora_targets == LORA_ATTENTION;
    return arena_printf(arena, " --enable-lora --max-loras %u --max-lora-rank %u%s", deployment->max_loras,
                        deployment->max_lora_rank,
                        attention ? " --lora-target-modules q_proj k_proj v_proj o_proj" : "");
}

static const char *sglang_draft(const struct deployment *deployment, struct arena *arena)
{
    static const char *const algorithms[] = {
        [DRAFT_NGRAM] = "NGRAM", [DRAFT_MTP] = "EAGLE", [DRAFT_EAGLE] = "EAGLE", [DRAFT_MODEL] = "STANDALONE"};
    bool named = deployment->draft_kind >= DRAFT_EAGLE;
    const char *name = named ? explain_shell_quote(draft_name(deployment), arena) : "";
    if (!name) return NULL;
    return arena_printf(arena, " --speculative-algorithm %s%s%s --speculative-num-draft-tokens %u",
                        algorithms[deployment->draft_kind], named ? " --speculative-draft-model-path " : "", name,
                        deployment->draft_tokens);
}

static const char *sglang_loras(const struct deployment *deployment, struct arena *arena)
{
    bool attention = deployment->lora_targets == LORA_ATTENTION;
    return arena_printf(arena, " --enable-lora --max-loras-per-batch %u --max-lora-rank %u --lora-target-modules %s",
                        deployment->max_loras, deployment->max_lora_rank,
                        attention ? "q_proj k_proj v_proj o_proj" : "all");
}

static const char *llama_cpp_draft(const struct deployment *deployment, struct arena *arena)
{
    bool named = deployment->draft_kind >= DRAFT_EAGLE;
    const char *name = named ? explain_shell_quote(draft_name(deployment), arena) : "";
    if (!name) return NULL;
    return arena_printf(arena, " %s%s --draft-max %u", named ? "-hfd " : "--spec-type ngram-simple", name,
                        deployment->draft_tokens);
}

static const char *llama_cpp_loras(const struct deployment *deployment, struct arena *arena)
{
    const char *list = "";
    for (uint32_t i = 0; i < deployment->max_loras && list; i++)
        list = arena_printf(arena, "%s --lora PATH_TO_YOUR_ADAPTER_%u", list, i + 1);
    return list;
}

/* TensorRT-LLM reads such options from a file. */
static const char *tensorrt_extras(const struct deployment *deployment, const char *command, struct arena *arena)
{
    static const char *const kinds[] = {
        [DRAFT_NGRAM] = "NGram", [DRAFT_MTP] = "MTP", [DRAFT_EAGLE] = "Eagle", [DRAFT_MODEL] = "DraftTarget"};
    const char *loras = "", *draft = "";
    if (deployment->max_loras) {
        loras = arena_printf(arena, "lora_config: {max_loras: %u, max_lora_rank: %u}", deployment->max_loras,
                             deployment->max_lora_rank);
    }
    if (deployment->draft_kind != DRAFT_NONE) {
        bool named = deployment->draft_kind >= DRAFT_EAGLE;
        draft = arena_printf(arena, "speculative_config: {decoding_type: %s, max_draft_len: %u%s%s}",
                             kinds[deployment->draft_kind], deployment->draft_tokens,
                             named ? ", speculative_model: " : "", named ? draft_name(deployment) : "");
    }
    if (!loras || !draft) return NULL;
    if (!*loras && !*draft) return command;
    const char *first = explain_shell_quote(loras, arena), *second = explain_shell_quote(draft, arena);
    if (!first || !second) return NULL;
    return arena_printf(arena, "printf '%%s\\n' %s %s > options.yaml && %s --extra_llm_api_options options.yaml", first,
                        second, command);
}

static const struct {
    const char *engine;
    const char *(*draft)(const struct deployment *, struct arena *);
    const char *(*loras)(const struct deployment *, struct arena *);
} engines[] = {
    {"vllm", vllm_draft, vllm_loras},
    {"sglang", sglang_draft, sglang_loras},
    {"llama.cpp", llama_cpp_draft, llama_cpp_loras},
};

const char *explain_extras(const struct deployment *deployment, const char *command, struct arena *arena)
{
    const char *name = deployment->engine->engine;
    if (strcmp(name, "tensorrt-llm") == 0) return tensorrt_extras(deployment, command, arena);
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        if (strcmp(engines[i].engine, name) != 0) continue;
        const char *draft = deployment->draft_kind != DRAFT_NONE ? engines[i].draft(deployment, arena) : "";
        const char *loras = deployment->max_loras ? engines[i].loras(deployment, arena) : "";
        const char *offload = deployment->cpu_offload_gib > 0
                                  ? arena_printf(arena, " --cpu-offload-gb %.6g", deployment->cpu_offload_gib)
                                  : "";
        if (!draft || !loras || !offload) return NULL;
        return arena_printf(arena, "%s%s%s%s", command, loras, draft, offload);
    }
    return command;
}
