/* launch_extras.c owns what LoRA slots, a draft, and what is kept in host memory add to the command that starts an
 * engine. */
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

/* Host memory that keeps the cache of past requests: vLLM counts GiB of all ranks together, SGLang 10^9 bytes of each
 * rank, llama.cpp MiB, TensorRT-LLM bytes of each rank (vllm config/cache.py, kv_offloading_size; sglang
 * memory_pool_host.py; llama.cpp common/arg.cpp, --cache-ram; KvCacheConfig.host_cache_size). */
static const char *vllm_host(const struct deployment *deployment, struct arena *arena)
{
    return arena_printf(arena, " --kv-offloading-size %.6g", deployment->kv_offload_gib);
}

static double host_rank_bytes(const struct deployment *deployment)
{
    return floor(deployment->kv_offload_gib * GIB / deployment_gpus(deployment));
}

static const char *sglang_host(const struct deployment *deployment, struct arena *arena)
{
    double gb = fmax(1, floor(host_rank_bytes(deployment) / GB)); /* a whole number */
    return arena_printf(arena, " --enable-hierarchical-cache --hicache-size %.0f", gb);
}

static const char *llama_cpp_host(const struct deployment *deployment, struct arena *arena)
{
    return arena_printf(arena, " --cache-ram %.0f", floor(deployment->kv_offload_gib * GIB / MIB));
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
static const char *tensorrt_loras(const struct deployment *deployment, struct arena *arena)
{
    return arena_printf(arena, "lora_config: {max_loras: %u, max_lora_rank: %u}", deployment->max_loras,
                        deployment->max_lora_rank);
}

static const char *tensorrt_draft(const struct deployment *deployment, struct arena *arena)
{
    static const char *const kinds[] = {
        [DRAFT_NGRAM] = "NGram", [DRAFT_MTP] = "MTP", [DRAFT_EAGLE] = "Eagle", [DRAFT_MODEL] = "DraftTarget"};
    bool named = deployment->draft_kind >= DRAFT_EAGLE;
    return arena_printf(arena, "speculative_config: {decoding_type: %s, max_draft_len: %u%s%s}",
                        kinds[deployment->draft_kind], deployment->draft_tokens, named ? ", speculative_model: " : "",
                        named ? draft_name(deployment) : "");
}

static const char *tensorrt_host(const struct deployment *deployment, struct arena *arena)
{
    return arena_printf(arena, "kv_cache_config: {host_cache_size: %.0f}", host_rank_bytes(deployment));
}

static const char *tensorrt_extras(const struct deployment *deployment, const char *command, struct arena *arena)
{
    const char *const options[] = {
        deployment->max_loras ? tensorrt_loras(deployment, arena) : "",
        deployment->draft_kind != DRAFT_NONE ? tensorrt_draft(deployment, arena) : "",
        deployment->kv_offload_gib > 0 ? tensorrt_host(deployment, arena) : "",
    };
    const char *lines = "";
    for (size_t i = 0; i < sizeof options / sizeof *options && lines; i++) {
        const char *quoted = options[i] && *options[i] ? explain_shell_quote(options[i], arena) : options[i];
        lines = quoted ? arena_printf(arena, "%s%s%s", lines, *quoted ? " " : "", quoted) : NULL;
    }
    if (!lines || !*lines) return lines ? command : NULL;
    return arena_printf(arena, "printf '%%s\\n'%s > options.yaml && %s --extra_llm_api_options options.yaml", lines,
                        command);
}

static const struct {
    const char *engine;
    const char *(*draft)(const struct deployment *, struct arena *);
    const char *(*loras)(const struct deployment *, struct arena *);
    const char *(*host)(const struct deployment *, struct arena *);
} engines[] = {
    {"vllm", vllm_draft, vllm_loras, vllm_host},
    {"sglang", sglang_draft, sglang_loras, sglang_host},
    {"llama.cpp", llama_cpp_draft, llama_cpp_loras, llama_cpp_host},
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
        const char *host = deployment->kv_offload_gib > 0 ? engines[i].host(deployment, arena) : "";
        if (!draft || !loras || !offload || !host) return NULL;
        return arena_printf(arena, "%s%s%s%s%s", command, loras, draft, offload, host);
    }
    return command;
}
