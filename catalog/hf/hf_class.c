/* hf_class.c owns what is known of each model_type beyond its file: what the class that runs it fills in. */
#include "hf/hf_shape.h"

#include <string.h>

/* The file is silent about these; they come from the classes of the same names in Hugging Face transformers, and,
 * where `checked`, were confirmed by counting published checkpoints to the last weight. */
#define NO_BIASES .qkv_bias = FLAG_NEVER, .out_bias = FLAG_NEVER, .ffn_bias = FLAG_NEVER
#define ALL_BIASES .qkv_bias = FLAG_ALWAYS, .out_bias = FLAG_ALWAYS, .ffn_bias = FLAG_ALWAYS
#define QWEN2 .checked = true, .qkv_bias = FLAG_ALWAYS, .out_bias = FLAG_NEVER
#define QWEN3 .checked = true, .qk_norm = QK_NORM_HEAD
#define QWEN_NEXT QWEN3, .defaults = {{KEY_FULL_INTERVAL, 4}}
#define GEMMA .checked = true, .tied = true
#define GEMMA3                                                                                                         \
    GEMMA,                                                                                                             \
        .qk_norm = QK_NORM_HEAD, .norms = NORMS_FOUR,                                                                  \
        .defaults = {{KEY_HEADS, 8},     {KEY_KV_HEADS, 4},       {KEY_HEAD_DIM, 256},       {KEY_VOCABULARY, 262208}, \
                     {KEY_WINDOW, 4096}, {KEY_WINDOW_PATTERN, 6}, {KEY_MAX_POSITION, 131072}}
#define FALCON                                                                                                         \
    .checked = true, .tied = true, .plain_ffn = true, .norm_bias = true, .norms = NORMS_FALCON, .qkv_bias = FLAG_BIAS, \
    .out_bias = FLAG_BIAS, .kv_rule = KV_FALCON
#define GPT .checked = true, ALL_BIASES, .plain_ffn = true, .norm_bias = true
#define GPT_LEARNED GPT, .tied = true, .positions = POSITIONS_LEARNED
#define GLM .out_bias = FLAG_NEVER
#define LLAMA4                                                                                                         \
    .checked = true, .plan = PLAN_CHUNKED, .width = WIDTH_LLAMA4, .defaults = {{KEY_CHUNK, 8192}, {KEY_SPARSE_STEP, 1}}
#define OLMO .checked = true, .qk_norm = QK_NORM_WIDTH
#define MAMBA                                                                                                          \
    .checked = true, .norms = NORMS_ONE, .tied = true, .plan = PLAN_MAMBA,                                             \
    .defaults = {{KEY_SSM_EXPAND, 2}, {KEY_SSM_STATE, 16}, {KEY_SSM_CONVOLUTION, 4}}
#define ENCODER .encoder = true, .tied = true

static const struct hf_class classes[] = {
    {.model_type = "llama", .checked = true},
    {.model_type = "ministral3", .checked = true},
    {.model_type = "mistral", .checked = true, .window_everywhere = true, .defaults = {{KEY_KV_HEADS, 8}}},
    {.model_type = "mixtral", .checked = true, .window_everywhere = true, .defaults = {{KEY_KV_HEADS, 8}}},
    {.model_type = "mllama_text_model", .checked = true, .plan = PLAN_CROSS},
    {.model_type = "llama4_text", LLAMA4},
    {.model_type = "llama4", LLAMA4},
    {.model_type = "qwen", QWEN2, .width = WIDTH_HALF},
    {.model_type = "qwen2", QWEN2},
    {.model_type = "qwen2_moe", QWEN2, .shared_gate = true},
    {.model_type = "qwen2_vl", QWEN2},
    {.model_type = "qwen2_vl_text", QWEN2},
    {.model_type = "qwen2_5_vl", QWEN2},
    {.model_type = "qwen2_5_vl_text", QWEN2},
    {.model_type = "qwen3", QWEN3, .defaults = {{KEY_HEAD_DIM, 128}}},
    {.model_type = "qwen3_moe", QWEN3},
    {.model_type = "qwen3_vl_text", QWEN3},
    {.model_type = "qwen3_vl_moe_text", QWEN3},
    {.model_type = "qwen3_next", QWEN_NEXT, .shared_gate = true, .output_gate = true},
    {.model_type = "qwen3_5_text", QWEN_NEXT},
    {.model_type = "qwen3_5_moe_text", QWEN_NEXT, .shared_gate = true},
    {.model_type = "deepseek_v2", .checked = true},
    {.model_type = "deepseek_v3", .checked = true},
    {.model_type = "deepseek_v32", .checked = true},
    {.model_type = "kimi_k2", .checked = true},
    {.model_type = "glm_moe_dsa"},
    {.model_type = "chatglm",
     .checked = true,
     .qkv_bias = FLAG_ADD_QKV_BIAS,
     .out_bias = FLAG_ADD_LINEAR_BIAS,
     .kv_rule = KV_GROUPED},
    {.model_type = "glm", GLM},
    {.model_type = "glm4", GLM, .norms = NORMS_FOUR},
    {.model_type = "glm4_moe",
     GLM,
     .checked = true,
     .qk_norm = QK_NORM_HEAD,
     .qk_norm_if = FLAG_QK_NORM,
     .router_bias = true},
    {.model_type = "minimax_m2", .checked = true, .qk_norm = QK_NORM_WIDTH},
    {.model_type = "gemma", GEMMA, .defaults = {{KEY_HEAD_DIM, 256}}},
    {.model_type = "gemma2",
     GEMMA,
     .norms = NORMS_FOUR,
     .alternates = true,
     .defaults = {{KEY_HEAD_DIM, 256}, {KEY_WINDOW, 4096}}},
    {.model_type = "gemma3", GEMMA3},
    {.model_type = "gemma3_text", GEMMA3},
    {.model_type = "phi", GPT, .norms = NORMS_ONE, .head_bias = true},
    {.model_type = "phi3", .checked = true, .window_everywhere = true},
    {.model_type = "phi4", .window_everywhere = true},
    {.model_type = "phimoe", .checked = true, .norm_bias = true, .window_everywhere = true},
    {.model_type = "gpt_oss", .checked = true, .sinks = true, .expert_bias = true, .router_bias = true},
    {.model_type = "falcon", FALCON},
    {.model_type = "RefinedWebModel", FALCON},
    {.model_type = "RefinedWeb",
     .tied = true,
     .plain_ffn = true,
     .norm_bias = true,
     .qkv_bias = FLAG_BIAS,
     .out_bias = FLAG_BIAS},
    {.model_type = "granite", .checked = true},
    {.model_type = "granitemoe", .checked = true},
    {.model_type = "granitemoehybrid", .checked = true},
    {.model_type = "nemotron_h", .checked = true, .plain_ffn = true, .norms = NORMS_ONE, .plan = PLAN_LETTERS},
    {.model_type = "nemotron-nas", .checked = true, .norms = NORMS_PRESENT, .plan = PLAN_BLOCKS},
    {.model_type = "dbrx", .checked = true},
    {.model_type = "bloom", GPT, .tied = true, .embedding_norm = true},
    {.model_type = "mpt", .checked = true, NO_BIASES, .tied = true, .plain_ffn = true},
    {.model_type = "mamba", MAMBA},
    {.model_type = "falcon_mamba", MAMBA},
    {.model_type = "jamba",
     .checked = true,
     .plan = PLAN_JAMBA,
     .defaults = {{KEY_ATTENTION_PERIOD, 8},
                  {KEY_ATTENTION_OFFSET, 4},
                  {KEY_EXPERT_PERIOD, 2},
                  {KEY_EXPERT_OFFSET, 1},
                  {KEY_SSM_EXPAND, 2}}},
    {.model_type = "exaone", .checked = true},
    {.model_type = "exaone4", .checked = true, .qk_norm = QK_NORM_HEAD},
    {.model_type = "baichuan", .checked = true},
    {.model_type = "cohere",
     .checked = true,
     .tied = true,
     .norms = NORMS_ONE,
     .qk_norm = QK_NORM_WIDTH,
     .qk_norm_if = FLAG_QK_NORM},
    {.model_type = "cohere2", .tied = true, .norms = NORMS_ONE, .defaults = {{KEY_WINDOW_PATTERN, 4}}},
    {.model_type = "olmo", .norms = NORMS_NONE},
    {.model_type = "olmo2", OLMO},
    {.model_type = "olmo3", OLMO, .defaults = {{KEY_WINDOW_PATTERN, 4}}},
    {.model_type = "starcoder2",
     .checked = true,
     .tied = true,
     .plain_ffn = true,
     .norm_bias = true,
     .qkv_bias = FLAG_USE_BIAS,
     .out_bias = FLAG_USE_BIAS,
     .ffn_bias = FLAG_USE_BIAS,
     .window_everywhere = true},
    {.model_type = "gpt2", GPT_LEARNED},
    {.model_type = "gpt_bigcode", GPT_LEARNED, .kv_rule = KV_MULTI_QUERY},
    {.model_type = "gpt_neo",
     .checked = true,
     .qkv_bias = FLAG_NEVER,
     .out_bias = FLAG_ALWAYS,
     .ffn_bias = FLAG_ALWAYS,
     .plain_ffn = true,
     .norm_bias = true,
     .tied = true,
     .positions = POSITIONS_LEARNED},
    {.model_type = "gpt_neox", GPT},
    {.model_type = "gptj",
     .checked = true,
     .qkv_bias = FLAG_NEVER,
     .out_bias = FLAG_NEVER,
     .ffn_bias = FLAG_ALWAYS,
     .plain_ffn = true,
     .norm_bias = true,
     .norms = NORMS_ONE,
     .head_bias = true},
    {.model_type = "opt", GPT, .tied = true, .positions = POSITIONS_LEARNED_2},
    {.model_type = "internlm2", .checked = true, .qkv_bias = FLAG_BIAS, .out_bias = FLAG_BIAS},
    {.model_type = "lfm2",
     .checked = true,
     .tied = true,
     .qk_norm = QK_NORM_HEAD,
     .width = WIDTH_BLOCK,
     .defaults = {{KEY_SHORT_CONVOLUTION, 3}}},
    {.model_type = "smollm3", .checked = true, .tied = true},
    {.model_type = "stablelm", .checked = true, .norm_bias = true, .qkv_bias = FLAG_QKV_BIAS, .out_bias = FLAG_NEVER},
    {.model_type = "mimo", .checked = true, .out_bias = FLAG_NEVER},
    {.model_type = "minicpm", .tied = true},
    {.model_type = "minicpm3", .tied = true},
    {.model_type = "bert", ENCODER},
    {.model_type = "roberta", ENCODER},
    {.model_type = "xlm-roberta", ENCODER},
    {.model_type = "camembert", ENCODER},
    {.model_type = "mpnet", ENCODER},
    {.model_type = "electra", ENCODER},
    {.model_type = "distilbert", ENCODER},
    {.model_type = "albert", ENCODER},
    {.model_type = "deberta", ENCODER},
    {.model_type = "deberta-v2", ENCODER},
    {.model_type = "nomic_bert", ENCODER},
    {.model_type = "modernbert", ENCODER},
};

static const struct hf_class unknown_class = {.model_type = ""};

const struct hf_class *hf_class_find(const char *model_type)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(classes[i].model_type, model_type) == 0) return &classes[i];
    }
    return &unknown_class;
}

const char *hf_class_refusal(const char *model_type)
{
    static const char encoder_decoder[] = "an encoder-decoder; sizes are known for decoders that generate text";
    static const char no_language[] = "no language model; sizes are known for decoders that generate text";
    static const struct {
        const char *model_type, *reason;
    } refusals[] = {
        {"t5", encoder_decoder},      {"mt5", encoder_decoder},     {"umt5", encoder_decoder},
        {"bart", encoder_decoder},    {"mbart", encoder_decoder},   {"marian", encoder_decoder},
        {"pegasus", encoder_decoder}, {"m2m_100", encoder_decoder}, {"whisper", encoder_decoder},
        {"t5gemma", encoder_decoder}, {"blip-2", encoder_decoder},  {"florence2", encoder_decoder},
        {"clip", no_language},        {"siglip", no_language},      {"vit", no_language},
        {"wav2vec2", no_language},    {"clap", no_language},        {"sam", no_language},
    };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        if (strcmp(refusals[i].model_type, model_type) == 0) return refusals[i].reason;
    }
    return NULL;
}
