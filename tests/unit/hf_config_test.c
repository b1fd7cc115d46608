/* hf_config_test.c owns the proof of hf/hf_config.h: what known architectures count, what each trap of the format
 * does, what is refused and why, and every file of ../shared/data/hf_configs against its row. */
#include "catalog/csv.h"
#include "catalog/text.h"
#include "hf/hf_config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct reading {
    struct arena arena;
    struct problems problems;
    enum status status;
    struct model model;
};

static struct reading *read_bytes(const char *text, size_t length)
{
    struct reading *reading = calloc(1, sizeof *reading);
    assert_non_null(reading);
    arena_init(&reading->arena, 0);
    problems_init(&reading->problems, &reading->arena);
    reading->status =
        hf_config_parse(text, length, NULL, &reading->arena, &reading->problems, "model.config", &reading->model);
    return reading;
}

static struct reading *read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static void done(struct reading *reading)
{
    arena_done(&reading->arena);
    free(reading);
}

static void print_problems(const struct reading *reading)
{
    for (size_t i = 0; i < reading->problems.count; i++) {
        print_error("  %s: %s\n", reading->problems.items[i].field, reading->problems.items[i].detail);
    }
}

/* Published totals (safetensors headers or model cards) of well-known models, from the least that their files say.
 * Zero fields of `kinds` are compared too. */
struct known {
    const char *name, *config;
    double parameters, active_parameters; /* 0: as many as parameters */
    double vision_parameters;
    enum attention_kind kind;
    uint32_t full, sliding, linear, window, kv_heads, head_dim;
    enum dtype dtype;
};

/* gpt-oss: windows and full attention take turns. */
#define PAIR "\"sliding_attention\",\"full_attention\""
#define FOUR_PAIRS PAIR "," PAIR "," PAIR "," PAIR

static const struct known knowns[] = {
    {.name = "Llama-3.1-8B: grouped queries, untied",
     .config = "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":4096,"
               "\"intermediate_size\":14336,\"num_hidden_layers\":32,\"num_attention_heads\":32,"
               "\"num_key_value_heads\":8,\"vocab_size\":128256,\"max_position_embeddings\":131072,"
               "\"rope_scaling\":{\"factor\":8.0},\"torch_dtype\":\"bfloat16\"}",
     .parameters = 8030261248,
     .kind = ATTENTION_GQA,
     .full = 32,
     .kv_heads = 8,
     .head_dim = 128,
     .dtype = DTYPE_BF16},
    {.name = "Qwen2.5-7B: biases of q, k and v that the file does not name; a window that is switched off",
     .config = "{\"model_type\":\"qwen2\",\"hidden_size\":3584,\"intermediate_size\":18944,\"num_hidden_layers\":28,"
               "\"num_attention_heads\":28,\"num_key_value_heads\":4,\"vocab_size\":152064,"
               "\"max_position_embeddings\":32768,\"sliding_window\":131072,\"max_window_layers\":28,"
               "\"use_sliding_window\":false,\"dtype\":\"bfloat16\"}",
     .parameters = 7615616512,
     .kind = ATTENTION_GQA,
     .full = 28,
     .kv_heads = 4,
     .head_dim = 128,
     .dtype = DTYPE_BF16},
    {.name = "Qwen3-0.6B: head_dim is not hidden / heads, norms of q and k, tied",
     .config = "{\"model_type\":\"qwen3\",\"head_dim\":128,\"hidden_size\":1024,\"intermediate_size\":3072,"
               "\"num_hidden_layers\":28,\"num_attention_heads\":16,\"num_key_value_heads\":8,\"vocab_size\":151936,"
               "\"tie_word_embeddings\":true,\"sliding_window\":null}",
     .parameters = 596049920,
     .kind = ATTENTION_GQA,
     .full = 28,
     .kv_heads = 8,
     .head_dim = 128},
    {.name = "Mixtral-8x7B: intermediate_size is the width of an expert",
     .config = "{\"model_type\":\"mixtral\",\"hidden_size\":4096,\"intermediate_size\":14336,\"num_hidden_layers\":32,"
               "\"num_attention_heads\":32,\"num_key_value_heads\":8,\"num_local_experts\":8,"
               "\"num_experts_per_tok\":2,\"vocab_size\":32000}",
     .parameters = 46702792704,
     .active_parameters = 12879925248,
     .kind = ATTENTION_GQA,
     .full = 32,
     .kv_heads = 8,
     .head_dim = 128},
    {.name = "DeepSeek-V2-Lite: latent attention, null rank, one dense layer, two shared experts",
     .config = "{\"model_type\":\"deepseek_v2\",\"first_k_dense_replace\":1,\"hidden_size\":2048,"
               "\"intermediate_size\":10944,\"kv_lora_rank\":512,\"moe_intermediate_size\":1408,\"moe_layer_freq\":1,"
               "\"n_routed_experts\":64,\"n_shared_experts\":2,\"num_attention_heads\":16,\"num_experts_per_tok\":6,"
               "\"num_hidden_layers\":27,\"num_key_value_heads\":16,\"q_lora_rank\":null,\"qk_nope_head_dim\":128,"
               "\"qk_rope_head_dim\":64,\"topk_method\":\"greedy\",\"v_head_dim\":128,\"vocab_size\":102400}",
     .parameters = 15706484224,
     .active_parameters = 2661150208,
     .kind = ATTENTION_MLA,
     .full = 27,
     .kv_heads = 16,
     .head_dim = 192},
    {.name = "DeepSeek-V3: ranked queries, correction biases of the router, fp8; prediction layers are not served",
     .config = "{\"model_type\":\"deepseek_v3\",\"first_k_dense_replace\":3,\"hidden_size\":7168,"
               "\"intermediate_size\":18432,\"kv_lora_rank\":512,\"moe_intermediate_size\":2048,"
               "\"n_routed_experts\":256,\"n_shared_experts\":1,\"num_attention_heads\":128,"
               "\"num_experts_per_tok\":8,\"num_hidden_layers\":61,\"num_nextn_predict_layers\":1,"
               "\"q_lora_rank\":1536,\"qk_nope_head_dim\":128,\"qk_rope_head_dim\":64,\"topk_method\":\"noaux_tc\","
               "\"v_head_dim\":128,\"vocab_size\":129280,\"torch_dtype\":\"bfloat16\","
               "\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]}}",
     .parameters = 671026419200,
     .active_parameters = 37552297472,
     .kind = ATTENTION_MLA,
     .full = 61,
     .kv_heads = 128,
     .head_dim = 192,
     .dtype = DTYPE_FP8},
    {.name = "gemma-3-4b: a wrapper whose language model leaves nearly everything to its class",
     .config = "{\"architectures\":[\"Gemma3ForConditionalGeneration\"],\"model_type\":\"gemma3\","
               "\"text_config\":{\"model_type\":\"gemma3_text\",\"hidden_size\":2560,\"intermediate_size\":10240,"
               "\"num_hidden_layers\":34,\"sliding_window\":1024},\"torch_dtype\":\"bfloat16\","
               "\"vision_config\":{\"hidden_size\":1152,\"image_size\":896,\"intermediate_size\":4304,"
               "\"num_hidden_layers\":27,\"patch_size\":14}}",
     .parameters = 3880263168,
     .vision_parameters = 419816304,
     .kind = ATTENTION_HYBRID_SWA,
     .full = 5,
     .sliding = 29,
     .window = 1024,
     .kv_heads = 4,
     .head_dim = 256,
     .dtype = DTYPE_BF16},
    {.name = "gemma-2-2b: every other layer slides without a field that says so",
     .config = "{\"model_type\":\"gemma2\",\"hidden_size\":2304,\"intermediate_size\":9216,\"num_hidden_layers\":26,"
               "\"num_attention_heads\":8,\"num_key_value_heads\":4,\"sliding_window\":4096,"
               "\"max_position_embeddings\":8192,\"vocab_size\":256000}",
     .parameters = 2614341888,
     .kind = ATTENTION_HYBRID_SWA,
     .full = 13,
     .sliding = 13,
     .window = 4096,
     .kv_heads = 4,
     .head_dim = 256},
    {.name = "Mistral-7B-v0.1: all layers slide",
     .config = "{\"model_type\":\"mistral\",\"hidden_size\":4096,\"intermediate_size\":14336,\"num_hidden_layers\":32,"
               "\"num_attention_heads\":32,\"num_key_value_heads\":8,\"sliding_window\":4096,"
               "\"max_position_embeddings\":32768,\"vocab_size\":32000}",
     .parameters = 7241732096,
     .kind = ATTENTION_HYBRID_SWA,
     .sliding = 32,
     .window = 4096,
     .kv_heads = 8,
     .head_dim = 128},
    {.name = "e5-mistral: an embedding model without an output head is what its architecture says",
     .config = "{\"architectures\":[\"MistralModel\"],\"model_type\":\"mistral\",\"hidden_size\":4096,"
               "\"intermediate_size\":14336,\"num_hidden_layers\":32,\"num_attention_heads\":32,"
               "\"num_key_value_heads\":8,\"vocab_size\":32000,\"torch_dtype\":\"float16\"}",
     .parameters = 7110660096,
     .kind = ATTENTION_GQA,
     .full = 32,
     .kv_heads = 8,
     .head_dim = 128,
     .dtype = DTYPE_FP16},
    {.name = "Phi-3.5-mini: a window longer than the context is none",
     .config = "{\"model_type\":\"phi3\",\"hidden_size\":3072,\"intermediate_size\":8192,\"num_hidden_layers\":32,"
               "\"num_attention_heads\":32,\"num_key_value_heads\":32,\"sliding_window\":262144,"
               "\"max_position_embeddings\":131072,\"vocab_size\":32064}",
     .parameters = 3821079552,
     .kind = ATTENTION_MHA,
     .full = 32,
     .kv_heads = 32,
     .head_dim = 96},
    {.name = "gpt-oss-20b: layer_types, sinks, biases of experts, MXFP4",
     .config = "{\"model_type\":\"gpt_oss\",\"attention_bias\":true,\"head_dim\":64,\"hidden_size\":2880,"
               "\"intermediate_size\":2880,\"num_hidden_layers\":24,\"num_attention_heads\":64,"
               "\"num_key_value_heads\":8,\"num_local_experts\":32,\"experts_per_token\":4,\"sliding_window\":128,"
               "\"layer_types\":[" FOUR_PAIRS "," FOUR_PAIRS "," FOUR_PAIRS "],"
               "\"vocab_size\":201088,\"quantization_config\":{\"quant_method\":\"mxfp4\"}}",
     .parameters = 20914757184,
     .active_parameters = 4187440704,
     .kind = ATTENTION_HYBRID_SWA,
     .full = 12,
     .sliding = 12,
     .window = 128,
     .kv_heads = 8,
     .head_dim = 64,
     .dtype = DTYPE_MXFP4},
    {.name = "Llama-4-Scout: chunks except every fourth layer, a shared expert that no field counts",
     .config = "{\"model_type\":\"llama4\",\"text_config\":{\"model_type\":\"llama4_text\",\"head_dim\":128,"
               "\"attention_chunk_size\":8192,\"hidden_size\":5120,\"interleave_moe_layer_step\":1,"
               "\"intermediate_size\":8192,\"intermediate_size_mlp\":16384,\"no_rope_layers\":[],"
               "\"max_position_embeddings\":10485760,\"num_attention_heads\":40,\"num_experts_per_tok\":1,"
               "\"num_hidden_layers\":48,\"num_key_value_heads\":8,\"num_local_experts\":16,\"vocab_size\":202048}}",
     .parameters = 107769861120,
     .active_parameters = 17172894720,
     .kind = ATTENTION_HYBRID_SWA,
     .full = 12,
     .sliding = 36,
     .window = 8192,
     .kv_heads = 8,
     .head_dim = 128},
    {.name = "Llama-3.2-11B-Vision: eight layers attend to the image",
     .config =
         "{\"model_type\":\"mllama\",\"text_config\":{\"model_type\":\"mllama_text_model\",\"architectures\":null,"
         "\"cross_attention_layers\":[3,8,13,18,23,28,33,38],\"hidden_size\":4096,\"intermediate_size\":14336,"
         "\"num_attention_heads\":32,\"num_hidden_layers\":40,\"num_key_value_heads\":8,\"vocab_size\":128256,"
         "\"is_encoder_decoder\":false,\"tie_word_embeddings\":false},"
         "\"vision_config\":{\"hidden_size\":1280,\"image_size\":560,\"patch_size\":14}}",
     .parameters = 9775192080,
     .vision_parameters = 895028755,
     .kind = ATTENTION_GQA,
     .full = 32,
     .kv_heads = 8,
     .head_dim = 128},
    {.name = "Qwen3-VL-8B: a tower with mergers inside",
     .config = "{\"model_type\":\"qwen3_vl\",\"tie_word_embeddings\":false,\"text_config\":{"
               "\"model_type\":\"qwen3_vl_text\",\"hidden_size\":4096,\"num_hidden_layers\":36,"
               "\"num_attention_heads\":32,\"num_key_value_heads\":8,\"head_dim\":128,\"intermediate_size\":12288,"
               "\"vocab_size\":151936},\"vision_config\":{\"hidden_size\":1152,\"depth\":27,"
               "\"intermediate_size\":4304,\"out_hidden_size\":4096,\"patch_size\":16,\"spatial_merge_size\":2,"
               "\"temporal_patch_size\":2,\"num_position_embeddings\":2304,"
               "\"deepstack_visual_indexes\":[8,16,24]}}",
     .parameters = 8190735360,
     .vision_parameters = 576388336,
     .kind = ATTENTION_GQA,
     .full = 36,
     .kv_heads = 8,
     .head_dim = 128},
    {.name = "Qwen3-Next-80B: three of four layers keep a state, though no layer_types say so",
     .config = "{\"model_type\":\"qwen3_next\",\"head_dim\":256,\"hidden_size\":2048,\"intermediate_size\":5120,"
               "\"linear_conv_kernel_dim\":4,\"linear_key_head_dim\":128,\"linear_num_key_heads\":16,"
               "\"linear_num_value_heads\":32,\"linear_value_head_dim\":128,\"moe_intermediate_size\":512,"
               "\"num_attention_heads\":16,\"num_experts\":512,\"num_experts_per_tok\":10,\"num_hidden_layers\":48,"
               "\"num_key_value_heads\":2,\"shared_expert_intermediate_size\":512,\"vocab_size\":151936}",
     .parameters = 79674391296,
     .active_parameters = 3874929408,
     .kind = ATTENTION_HYBRID_LINEAR,
     .full = 12,
     .linear = 36,
     .kv_heads = 2,
     .head_dim = 256},
    {.name = "mamba-2.8b: no attention at all",
     .config = "{\"model_type\":\"mamba\",\"conv_kernel\":4,\"expand\":2,\"hidden_size\":2560,\"n_layer\":64,"
               "\"state_size\":16,\"time_step_rank\":160,\"vocab_size\":50280,\"torch_dtype\":\"float32\"}",
     .parameters = 2768345600,
     .kind = ATTENTION_MAMBA,
     .linear = 64,
     .dtype = DTYPE_FP32},
    {.name = "Nemotron-3-Nano: letters for layers, Infinity in the file",
     .config = "{\"model_type\":\"nemotron_h\",\"conv_kernel\":4,\"head_dim\":128,\"hidden_size\":2688,"
               "\"hybrid_override_pattern\":\"MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME\","
               "\"intermediate_size\":1856,\"mamba_head_dim\":64,\"mamba_num_heads\":64,"
               "\"moe_intermediate_size\":1856,\"moe_shared_expert_intermediate_size\":3712,\"n_groups\":8,"
               "\"n_routed_experts\":128,\"n_shared_experts\":1,\"num_attention_heads\":32,"
               "\"num_experts_per_tok\":6,\"num_key_value_heads\":2,\"ssm_state_size\":128,"
               "\"time_step_limit\":[-Infinity,Infinity,NaN,1e+308],\"vocab_size\":131072}",
     .parameters = 31577937344,
     .active_parameters = 3580073408,
     .kind = ATTENTION_HYBRID_LINEAR,
     .full = 6,
     .linear = 23,
     .kv_heads = 2,
     .head_dim = 128},
    {.name = "LFM2-1.2B: convolutions, a width that is shrunk, layers by number",
     .config = "{\"model_type\":\"lfm2\",\"hidden_size\":2048,\"num_hidden_layers\":16,\"num_attention_heads\":32,"
               "\"num_key_value_heads\":8,\"block_ff_dim\":12288,\"block_auto_adjust_ff_dim\":true,"
               "\"block_ffn_dim_multiplier\":1.0,\"block_multiple_of\":256,\"vocab_size\":65536,"
               "\"full_attn_idxs\":[2,5,8,10,12,14],\"conv_L_cache\":3}",
     .parameters = 1170340608,
     .kind = ATTENTION_HYBRID_LINEAR,
     .full = 6,
     .linear = 10,
     .kv_heads = 8,
     .head_dim = 64},
    {.name = "falcon-7b: multi_query alone means one KV head, one norm, tied",
     .config = "{\"model_type\":\"falcon\",\"bias\":false,\"hidden_size\":4544,\"num_attention_heads\":71,"
               "\"num_hidden_layers\":32,\"multi_query\":true,\"new_decoder_architecture\":false,"
               "\"parallel_attn\":true,\"vocab_size\":65024}",
     .parameters = 6921720704,
     .kind = ATTENTION_MQA,
     .full = 32,
     .kv_heads = 1,
     .head_dim = 64},
    {.name = "falcon-40b: the new decoder counts its KV heads; FFN absent is 4 x hidden",
     .config = "{\"model_type\":\"falcon\",\"bias\":false,\"hidden_size\":8192,\"n_head\":128,\"n_layer\":60,"
               "\"multi_query\":true,\"new_decoder_architecture\":true,\"num_kv_heads\":8,\"vocab_size\":65024}",
     .parameters = 41303293952,
     .kind = ATTENTION_GQA,
     .full = 60,
     .kv_heads = 8,
     .head_dim = 64},
    {.name = "StarCoder: GPTBigCode names multi_query only",
     .config = "{\"model_type\":\"gpt_bigcode\",\"n_embd\":6144,\"n_layer\":40,\"n_head\":48,\"n_inner\":24576,"
               "\"n_positions\":8192,\"vocab_size\":49152,\"multi_query\":true}",
     .parameters = 15517456384,
     .kind = ATTENTION_MQA,
     .full = 40,
     .kv_heads = 1,
     .head_dim = 128},
    {.name = "mpt-7b: attn_config, d_model, tied",
     .config = "{\"model_type\":\"mpt\",\"attn_config\":{\"alibi\":true,\"clip_qkv\":null},\"d_model\":4096,"
               "\"max_seq_len\":2048,\"n_heads\":32,\"n_layers\":32,\"no_bias\":true,\"vocab_size\":50432}",
     .parameters = 6649286656,
     .kind = ATTENTION_MHA,
     .full = 32,
     .kv_heads = 32,
     .head_dim = 128},
    {.name = "dbrx: nested attention and experts",
     .config = "{\"model_type\":\"dbrx\",\"attn_config\":{\"kv_n_heads\":8},\"ffn_config\":{\"ffn_hidden_size\":10752,"
               "\"moe_num_experts\":16,\"moe_top_k\":4},\"d_model\":6144,\"n_heads\":48,\"n_layers\":40,"
               "\"vocab_size\":100352}",
     .parameters = 131596523520,
     .active_parameters = 36469708800,
     .kind = ATTENTION_GQA,
     .full = 40,
     .kv_heads = 8,
     .head_dim = 128},
    {.name = "bloom: n_embed, norm of the embedding, biases everywhere",
     .config = "{\"model_type\":\"bloom\",\"n_embed\":14336,\"n_layer\":70,\"num_attention_heads\":112,"
               "\"vocab_size\":250880}",
     .parameters = 176247271424,
     .kind = ATTENTION_MHA,
     .full = 70,
     .kv_heads = 112,
     .head_dim = 128},
    {.name = "gpt2: learned positions, tied",
     .config = "{\"architectures\":[\"GPT2LMHeadModel\"],\"model_type\":\"gpt2\",\"n_embd\":768,\"n_head\":12,"
               "\"n_layer\":12,\"n_positions\":1024,\"n_ctx\":1024,\"vocab_size\":50257}",
     .parameters = 124439808,
     .kind = ATTENTION_MHA,
     .full = 12,
     .kv_heads = 12,
     .head_dim = 64},
    {.name = "opt-125m: two positions more than it says",
     .config = "{\"model_type\":\"opt\",\"hidden_size\":768,\"ffn_dim\":3072,\"num_attention_heads\":12,"
               "\"num_hidden_layers\":12,\"max_position_embeddings\":2048,\"vocab_size\":50272}",
     .parameters = 125239296,
     .kind = ATTENTION_MHA,
     .full = 12,
     .kv_heads = 12,
     .head_dim = 64},
    {.name = "Qwen-7B: intermediate_size counts gate and up together",
     .config = "{\"model_type\":\"qwen\",\"architectures\":[\"QWenLMHeadModel\"],\"hidden_size\":4096,"
               "\"intermediate_size\":22016,\"kv_channels\":128,\"num_attention_heads\":32,\"num_hidden_layers\":32,"
               "\"no_bias\":true,\"vocab_size\":151936}",
     .parameters = 7721324544,
     .kind = ATTENTION_MHA,
     .full = 32,
     .kv_heads = 32,
     .head_dim = 128},
    {.name = "glm-4-9b: num_layers, padded_vocab_size, multi_query_group_num; ChatGLMModel has a head",
     .config = "{\"model_type\":\"chatglm\",\"architectures\":[\"ChatGLMModel\"],\"add_bias_linear\":false,"
               "\"add_qkv_bias\":true,\"ffn_hidden_size\":13696,\"hidden_size\":4096,\"kv_channels\":128,"
               "\"multi_query_attention\":true,\"multi_query_group_num\":2,\"num_attention_heads\":32,"
               "\"num_layers\":40,\"padded_vocab_size\":151552,\"seq_length\":8192,\"tie_word_embeddings\":false}",
     .parameters = 9399951360,
     .kind = ATTENTION_GQA,
     .full = 40,
     .kv_heads = 2,
     .head_dim = 128},
    {.name = "EXAONE-4.0-32B: LLLG",
     .config = "{\"model_type\":\"exaone4\",\"hidden_size\":5120,\"intermediate_size\":27392,\"num_hidden_layers\":64,"
               "\"num_attention_heads\":40,\"num_key_value_heads\":8,\"head_dim\":128,\"sliding_window\":4096,"
               "\"sliding_window_pattern\":\"LLLG\",\"max_position_embeddings\":131072,\"vocab_size\":102400}",
     .parameters = 32003216384,
     .kind = ATTENTION_HYBRID_SWA,
     .full = 16,
     .sliding = 48,
     .window = 4096,
     .kv_heads = 8,
     .head_dim = 128},
};

static void check_known(const struct known *known, const struct model *model)
{
    double active = known->active_parameters > 0 ? known->active_parameters : known->parameters;
    if (model->parameters != known->parameters || model->active_parameters != active) {
        fail_msg("%s: %.0f parameters, %.0f active; published %.0f, %.0f", known->name, model->parameters,
                 model->active_parameters, known->parameters, active);
    }
    assert_true(model->vision_parameters == known->vision_parameters);
    assert_string_equal(attention_kind_name(model->attention_kind), attention_kind_name(known->kind));
    assert_int_equal(model->full_attention_layers, known->full);
    assert_int_equal(model->sliding_layers, known->sliding);
    assert_int_equal(model->linear_layers, known->linear);
    assert_int_equal(model->sliding_window_tokens, known->window);
    assert_int_equal(model->kv_heads, known->kv_heads);
    assert_int_equal(model->head_dim, known->head_dim);
    assert_string_equal(dtype_name(model->native_dtype), dtype_name(known->dtype));
    assert_string_equal(model->note, "");
}

static void test_known_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof knowns / sizeof *knowns; i++) {
        struct reading *reading = read_text(knowns[i].config);
        print_message("%s\n", knowns[i].name);
        print_problems(reading);
        assert_int_equal(reading->status, STATUS_OK);
        assert_int_equal(reading->problems.count, 0);
        check_known(&knowns[i], &reading->model);
        done(reading);
    }
}

/* A small Llama with other members put in front of its own. */
#define LLAMA                                                                                                          \
    "\"model_type\":\"llama\",\"hidden_size\":64,\"intermediate_size\":128,\"num_hidden_layers\":4,"                   \
    "\"num_attention_heads\":4,\"vocab_size\":1000}"

static void test_blocks(void **state)
{
    (void)state;
    struct reading *reading = read_text(
        "{\"model_type\":\"nemotron-nas\",\"hidden_size\":512,\"num_attention_heads\":8,\"vocab_size\":1000,"
        "\"intermediate_size\":null,\"num_key_value_heads\":null,\"block_configs\":["
        "{\"attention\":{\"n_heads_in_group\":4,\"no_op\":false},\"ffn\":{\"ffn_mult\":1.5,\"no_op\":false}},"
        "{\"attention\":{\"n_heads_in_group\":null,\"no_op\":true},\"ffn\":{\"ffn_mult\":0.75,\"no_op\":false}},"
        "{\"attention\":{\"n_heads_in_group\":8,\"no_op\":false},\"ffn\":{\"ffn_mult\":null,\"no_op\":true}}]}");
    print_problems(reading);
    assert_int_equal(reading->status, STATUS_OK);
    assert_int_equal(reading->model.layers, 3);
    assert_int_equal(reading->model.full_attention_layers, 2);
    assert_int_equal(reading->model.kv_heads, 2);
    double attention = 2.0 * 512 * 512; /* q and o; k and v of 2 and 1 heads of 64 */
    double first = attention + 2.0 * 128 * 512, third = attention + 2.0 * 64 * 512;
    double wide = 3.0 * 512 * 512, narrow = 3.0 * 256 * 512, norms = (2 + 1 + 1 + 1) * 512.0;
    assert_true(reading->model.parameters == 2.0 * 1000 * 512 + first + wide + narrow + third + norms);
    done(reading);
}

static void test_hybrid_states(void **state)
{
    (void)state;
    struct reading *reading = read_text(
        "{\"model_type\":\"granitemoehybrid\",\"hidden_size\":128,\"num_attention_heads\":4,\"num_hidden_layers\":3,"
        "\"num_key_value_heads\":2,\"num_local_experts\":0,\"shared_intermediate_size\":256,\"vocab_size\":1000,"
        "\"layer_types\":[\"mamba\",\"attention\",\"mamba\"],\"mamba_n_heads\":8,\"mamba_d_head\":32,"
        "\"mamba_n_groups\":1,\"mamba_d_state\":16,\"mamba_d_conv\":4,\"mamba_ssm_dtype\":\"float32\"}");
    print_problems(reading);
    assert_int_equal(reading->status, STATUS_OK);
    assert_int_equal(reading->model.attention_kind, ATTENTION_HYBRID_LINEAR);
    assert_int_equal(reading->model.experts, 0); /* num_local_experts: 0 means dense */
    assert_true(reading->model.ssm_state_elements == 2.0 * 8 * 32 * 16);
    assert_true(reading->model.conv_state_elements == 2.0 * (8 * 32 + 2 * 16) * 3);
    assert_int_equal(reading->model.ssm_state_element_bytes, 4);
    done(reading);
}

static void test_expert_layers(void **state)
{
    (void)state;
    static const struct {
        const char *extra;
        uint32_t dense;
    } cases[] = {
        {"\"decoder_sparse_step\":2,", 2},
        {"\"mlp_only_layers\":[0,3,99,-1,\"x\"],", 2},
        {"\"moe_layer_freq\":[0,1,1,1],", 1},
        {"\"first_k_dense_replace\":3,", 3},
        {"\"moe_layer_freq\":2,", 2},
        {"\"interleave_moe_layer_step\":4,", 3},
        {"\"mlp_layer_types\":[\"dense\",\"sparse\",\"sparse\",\"sparse\"],", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "{%s\"num_experts\":8,\"num_experts_per_tok\":2,%s", cases[i].extra, LLAMA);
        struct reading *reading = read_text(text);
        print_problems(reading);
        assert_int_equal(reading->status, STATUS_OK);
        assert_int_equal(reading->model.experts, 8);
        assert_int_equal(reading->model.dense_layers, cases[i].dense);
        done(reading);
    }
}

static void test_dtypes(void **state)
{
    (void)state;
    static const struct {
        const char *extra;
        enum dtype dtype;
        bool noted;
    } cases[] = {
        {"", DTYPE_UNKNOWN, false},
        {"\"torch_dtype\":\"torch.bfloat16\",", DTYPE_BF16, false},
        {"\"dtype\":\"float32\",", DTYPE_FP32, false},
        {"\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4},", DTYPE_INT4, false},
        {"\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":8},", DTYPE_INT8, false},
        {"\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":3},", DTYPE_UNKNOWN, true},
        {"\"quantization_config\":{\"quant_method\":\"fbgemm_fp8\"},", DTYPE_FP8, false},
        {"\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_4bit\":true},", DTYPE_INT4, false},
        {"\"quantization_config\":{\"quant_method\":\"bitsandbytes\",\"load_in_8bit\":true},", DTYPE_INT8, false},
        {"\"quantization_config\":{\"quant_algo\":\"FP8\",\"kv_cache_scheme\":\"FP8\"},", DTYPE_FP8, false},
        {"\"quantization\":{\"quant_algo\":\"NVFP4\"},\"torch_dtype\":\"bfloat16\",", DTYPE_NVFP4, false},
        {"\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"group_0\":"
         "{\"weights\":{\"num_bits\":8,\"type\":\"float\"}}}},",
         DTYPE_FP8, false},
        {"\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"group_0\":"
         "{\"weights\":{\"num_bits\":4,\"type\":\"int\",\"group_size\":32}}}},",
         DTYPE_INT4, false},
        {"\"quantization_config\":{\"quant_method\":\"modelopt\",\"quant_algo\":\"MIXED_PRECISION\",\"config_groups\":"
         "{\"group_0\":{\"weights\":{\"num_bits\":8,\"type\":\"float\"}},"
         "\"group_1\":{\"weights\":{\"num_bits\":4,\"type\":\"float\",\"group_size\":16}}}},",
         DTYPE_NVFP4, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        (void)snprintf(text, sizeof text, "{%s%s", cases[i].extra, LLAMA);
        struct reading *reading = read_text(text);
        assert_int_equal(reading->status, STATUS_OK);
        assert_string_equal(dtype_name(reading->model.native_dtype), dtype_name(cases[i].dtype));
        assert_int_equal(*reading->model.note != '\0', cases[i].noted);
        done(reading);
    }
}

static void test_names_and_switches(void **state)
{
    (void)state;
    struct reading *reading =
        read_text("{\"architectures\":[\"BertModel\"],\"model_type\":\"bert\",\"hidden_size\":1024,"
                  "\"intermediate_size\":4096,\"num_hidden_layers\":24,\"num_attention_heads\":16,"
                  "\"max_position_embeddings\":512,\"type_vocab_size\":2,\"vocab_size\":30522}");
    assert_int_equal(reading->status, STATUS_OK);
    assert_true(reading->model.encoder_only);
    assert_true(reading->model.parameters == 335141888);
    assert_string_equal(reading->model.id, "config.json");
    assert_string_equal(reading->model.architecture, "BertModel");
    done(reading);

    reading = read_text("{\"use_sliding_window\":true,\"max_window_layers\":3,\"sliding_window\":16,\"max_seq_len\":99,"
                        "\"num_key_value_heads\":4.0,\"head_dim\":null," LLAMA);
    assert_int_equal(reading->status, STATUS_OK);
    assert_int_equal(reading->model.sliding_layers, 1);
    assert_int_equal(reading->model.kv_heads, 4);
    assert_int_equal(reading->model.max_position_tokens, 99);
    done(reading);

    reading = read_text("{\"model_type\":\"some_new_thing\",\"hidden_size\":64,\"num_hidden_layers\":1,"
                        "\"num_attention_heads\":2,\"vocab_size\":10}");
    assert_int_equal(reading->status, STATUS_OK);
    assert_non_null(strstr(reading->model.note, "not compared"));
    assert_string_equal(reading->model.family, "some_new_thing");
    done(reading);
}

/* Fields at either level: the language model's own come first, what it lacks is taken from the top. */
static void test_levels(void **state)
{
    (void)state;
    struct reading *reading =
        read_text("{\"model_type\":\"wrapper\",\"hidden_size\":1,\"vocab_size\":1000,\"tie_word_embeddings\":true,"
                  "\"torch_dtype\":\"float16\",\"thinker_config\":{\"text_config\":{\"model_type\":\"llama\","
                  "\"hidden_size\":64,\"intermediate_size\":128,\"num_hidden_layers\":4,\"num_attention_heads\":4,"
                  "\"quantization_config\":{\"quant_method\":\"fp8\"}}}}");
    print_problems(reading);
    assert_int_equal(reading->status, STATUS_OK);
    assert_int_equal(reading->model.hidden_size, 64);
    assert_int_equal(reading->model.vocabulary_size, 1000);
    assert_true(reading->model.tied_embeddings);
    assert_int_equal(reading->model.native_dtype, DTYPE_FP8);
    assert_string_equal(reading->model.family, "llama");
    done(reading);
}

struct refusal {
    const char *config;
    enum status status;
    const char *field, *words;
};
static const struct refusal refusals[] = {
    {"", STATUS_MALFORMED_JSON, "model.config", "ends early"},
    {"{", STATUS_MALFORMED_JSON, "model.config", "line 1, column 1: the text ends early"},
    {"[]", STATUS_MALFORMED_JSON, "model.config", "one JSON object"},
    {"[1,2", STATUS_MALFORMED_JSON, "model.config", "ends early"},
    {"{} {}", STATUS_MALFORMED_JSON, "model.config", "something follows"},
    {"{\"a\":1,}", STATUS_MALFORMED_JSON, "model.config", "not JSON"},
    {"{\"a\":Infinit}", STATUS_MALFORMED_JSON, "model.config", "not JSON"},
    {"{\"a\":\"\xff\"}", STATUS_MALFORMED_JSON, "model.config", "not UTF-8"},
    {"{\"a\":\"\\u0000\"}", STATUS_MALFORMED_JSON, "model.config", "NUL"},
    {"{\"a\":1e400}", STATUS_MALFORMED_JSON, "model.config", "1.8e308"},
    {"{\"a\":1,\"a\":1}", STATUS_DUPLICATE_FIELD, "model.config", "same key twice"},
    {"{\"a\":{\"b\":1,\"b\":2}}", STATUS_DUPLICATE_FIELD, "model.config", "same key twice"},
    {"{}", STATUS_MALFORMED_CONFIG, "model.config.num_hidden_layers", "from 1 to 4096"},
    {"{\"model_type\":\"llama\",\"hidden_size\":64,\"vocab_size\":9,\"num_attention_heads\":4}",
     STATUS_MALFORMED_CONFIG, "model.config.num_hidden_layers", "missing"},
    {"{\"text_config\":{\"hidden_size\":64}}", STATUS_MALFORMED_CONFIG, "model.config.text_config.num_hidden_layers",
     "missing"},
    {"{\"text_config\":[]}", STATUS_MALFORMED_CONFIG, "model.config.text_config", "must be an object"},
    {"{\"text_config\":{\"hidden_size\":\"64\"}}", STATUS_MALFORMED_CONFIG, "model.config.text_config.hidden_size",
     "without quotes"},
    {"{\"n_layer\":0}", STATUS_MALFORMED_CONFIG, "model.config.n_layer", "not 0"},
    {"{\"attn_config\":{\"kv_n_heads\":0}}", STATUS_MALFORMED_CONFIG, "model.config.attn_config.kv_n_heads", "not 0"},
    {"{\"num_key_value_heads\":-8," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.num_key_value_heads", "not -8"},
    {"{\"num_key_value_heads\":2.5," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.num_key_value_heads", "whole"},
    {"{\"num_key_value_heads\":3," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.num_key_value_heads", "not divide"},
    {"{\"num_key_value_heads\":8," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.num_key_value_heads", "not divide"},
    {"{\"head_dim\":1e308," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.head_dim", "1e+308"},
    {"{\"head_dim\":99999999999999999999999999," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.head_dim", "1e+26"},
    {"{\"head_dim\":true," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.head_dim", "whole number"},
    {"{\"attention_bias\":\"yes\"," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.attention_bias", "true or false"},
    {"{\"num_experts\":8," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.num_experts_per_tok", "missing"},
    {"{\"num_experts\":8,\"num_experts_per_tok\":9," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.num_experts_per_tok",
     "9 of 8 experts"},
    {"{\"num_experts\":8,\"num_experts_per_tok\":0," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.num_experts_per_tok",
     "give 1 to 8"},
    {"{\"kv_lora_rank\":512," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.qk_rope_head_dim", "latent"},
    {"{\"layer_types\":[\"full_attention\"]," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.layer_types", "1 entries"},
    {"{\"layer_types\":[\"a\",\"b\",\"c\",\"d\"]," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.layer_types",
     "entry 0"},
    {"{\"layer_types\":[{},null,1,[]]," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.layer_types", "entry 0"},
    {"{\"layer_types\":[\"mamba\",\"mamba\",\"mamba\",\"mamba\"]," LLAMA, STATUS_MALFORMED_CONFIG,
     "model.config.mamba_num_heads", "state"},
    {"{\"layer_types\":[\"sliding_attention\",\"mamba\",\"conv\",\"conv\"]," LLAMA, STATUS_MALFORMED_CONFIG,
     "model.config.sliding_window", "slide"},
    {"{\"moe_layer_freq\":[1],\"num_experts\":8,\"num_experts_per_tok\":2," LLAMA, STATUS_MALFORMED_CONFIG,
     "model.config.moe_layer_freq", "1 entries for 4"},
    {"{\"full_attn_idxs\":[4]," LLAMA, STATUS_MALFORMED_CONFIG, "model.config.full_attn_idxs", "no layer"},
    {"{\"model_type\":\"nemotron-nas\",\"hidden_size\":64,\"num_attention_heads\":4,\"vocab_size\":9,"
     "\"block_configs\":[{\"attention\":{\"n_heads_in_group\":3},\"ffn\":{\"no_op\":true}}]}",
     STATUS_MALFORMED_CONFIG, "model.config.block_configs", "divisor"},
    {"{\"model_type\":\"nemotron_h\",\"hidden_size\":64,\"num_attention_heads\":4,\"vocab_size\":9,"
     "\"hybrid_override_pattern\":\"*E\"}",
     STATUS_MALFORMED_CONFIG, "model.config.num_local_experts", "no experts"},
    {"{\"model_type\":\"nemotron_h\",\"hidden_size\":64,\"num_attention_heads\":4,\"vocab_size\":9,"
     "\"hybrid_override_pattern\":\"*x\"}",
     STATUS_MALFORMED_CONFIG, "model.config.hybrid_override_pattern", "entry 1"},
    {"{\"model_type\":\"llama\",\"hidden_size\":65,\"num_hidden_layers\":4,\"num_attention_heads\":4,"
     "\"vocab_size\":1000}",
     STATUS_MALFORMED_CONFIG, "model.config.head_dim", "no multiple"},
    {"{\"model_type\":\"mixtral\",\"hidden_size\":1048576,\"intermediate_size\":16777216,\"num_hidden_layers\":4096,"
     "\"num_attention_heads\":16384,\"num_key_value_heads\":16384,\"vocab_size\":16777216,\"num_experts\":65536,"
     "\"num_experts_per_tok\":65536}",
     STATUS_MALFORMED_CONFIG, "model.config", "1e+15 are believed"},
    {"{\"model_type\":\"l\\u00e9ama\"," /* a name with an accent */
     "\"hidden_size\":64}",
     STATUS_MALFORMED_CONFIG, "model.config.model_type", "ASCII"},
    {"{\"model_type\":\"t5\",\"d_model\":512}", STATUS_UNSUPPORTED_MODEL_KIND, "model.config", "encoder-decoder"},
    {"{\"is_encoder_decoder\":true," LLAMA, STATUS_UNSUPPORTED_MODEL_KIND, "model.config", "encoder-decoder"},
    {"{\"model_type\":\"clip\",\"text_config\":{\"hidden_size\":512}}", STATUS_UNSUPPORTED_MODEL_KIND, "model.config",
     "no language model"},
    {"{\"model_type\":\"falcon_h9\",\"hidden_size\":64,\"num_hidden_layers\":1,\"num_attention_heads\":2,"
     "\"vocab_size\":10,\"mamba_d_state\":16}",
     STATUS_UNSUPPORTED_MODEL_KIND, "model.config", "state-space"},
    {"{\"producer\":{},\"quantization\":{\"quant_algo\":\"NVFP4\"}}", STATUS_MALFORMED_CONFIG, "model.config",
     "hf_quant_config.json"},
};

static bool has_problem(const struct reading *reading, const struct refusal *refusal)
{
    for (size_t i = 0; i < reading->problems.count; i++) {
        const struct problem *problem = &reading->problems.items[i];
        bool same = problem->status == refusal->status && strcmp(problem->field, refusal->field) == 0;
        if (same && strstr(problem->detail, refusal->words)) return true;
    }
    return false;
}

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct reading *reading = read_text(refusals[i].config);
        if (reading->status != refusals[i].status || !has_problem(reading, &refusals[i])) {
            print_problems(reading);
            fail_msg("%s: %s, not %s at %s: %s", refusals[i].config, status_code(reading->status),
                     status_code(refusals[i].status), refusals[i].field, refusals[i].words);
        }
        assert_true(reading->model.id == NULL); /* untouched */
        done(reading);
    }
}

/* All bad fields are told at once. */
static void test_many_problems(void **state)
{
    (void)state;
    struct reading *reading = read_text("{\"num_hidden_layers\":\"32\",\"hidden_size\":-1,\"num_attention_heads\":0,"
                                        "\"vocab_size\":1e9,\"attention_bias\":3}");
    assert_int_equal(reading->status, STATUS_MALFORMED_CONFIG);
    assert_int_equal(reading->problems.count, 5);
    done(reading);
}

static char *repeat(const char *before, const char *unit, size_t count, const char *after, size_t *ret_length)
{
    size_t unit_length = strlen(unit), before_length = strlen(before), after_length = strlen(after);
    *ret_length = before_length + unit_length * count + after_length;
    char *text = malloc(*ret_length + 1);
    assert_non_null(text);
    memcpy(text, before, before_length);
    for (size_t i = 0; i < count; i++)
        memcpy(text + before_length + i * unit_length, unit, unit_length);
    memcpy(text + before_length + unit_length * count, after, after_length + 1);
    return text;
}

static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *before, *unit;
        size_t count;
        const char *after;
        enum status status;
    } cases[] = {
        {"", "[", 10000, "", STATUS_TOO_COMPLEX},
        {"", "{\"a\":", 10000, "", STATUS_TOO_COMPLEX},
        {"{\"a\":", "[", 64, "", STATUS_TOO_COMPLEX},
        {"{\"a\":", "[", 63, "", STATUS_MALFORMED_JSON},
        {"", "{},", 256 * 1024 / 3, "", STATUS_MALFORMED_JSON},
        {"{\"a\":[", "0,", 200001, "0]," LLAMA, STATUS_TOO_COMPLEX},
        {"{\"a\":[", "0,", 100000, "0]," LLAMA, STATUS_OK},
        {"{\"layer_types\":[", "\"full_attention\",", 100000, "\"full_attention\"]," LLAMA, STATUS_OK},
        {"{\"layer_types\":[", "\"full_attention\",", 100000,
         "0],\"hidden_size\":64,\"num_attention_heads\":4,\"vocab_size\":9}", STATUS_MALFORMED_CONFIG},
        {"{\"mlp_only_layers\":[", "3,", 100000, "1],\"num_experts\":2,\"num_experts_per_tok\":1," LLAMA, STATUS_OK},
        {"{\"a\":\"", "0123456789", 1024 * 1024, "\"," LLAMA, STATUS_OK},
        {"{\"a\":\"", "\\\"", 1024 * 1024, "\"," LLAMA, STATUS_OK},
        {"{\"a\":\"[[[", "[", 1024 * 1024, "\"," LLAMA, STATUS_OK},
        {"{\"a\":\"", "\\", 1024 * 1024 + 1, "", STATUS_MALFORMED_JSON},
        {"{\"model_type\":\"", "x", 1024 * 1024, "\"}", STATUS_MALFORMED_CONFIG},
        {"{\"a\":[", "NaN,", 100000, "-Infinity]," LLAMA, STATUS_OK},
        {" ", "          ", 2 * 1024 * 1024, "{" LLAMA, STATUS_TOO_COMPLEX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = 0;
        char *text = repeat(cases[i].before, cases[i].unit, cases[i].count, cases[i].after, &length);
        struct reading *reading = read_bytes(text, length);
        if (reading->status != cases[i].status) {
            print_problems(reading);
            fail_msg("case %zu: %s, not %s", i, status_code(reading->status), status_code(cases[i].status));
        }
        done(reading);
        free(text);
    }
}

/* Every prefix of a config is refused, and none is read beyond its end. */
static void test_prefixes(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[Infinity,-Infinity,NaN,\"\\u00e9\"]," LLAMA;
    for (size_t length = 0; length < sizeof text - 1; length++) {
        char *copy = malloc(length ? length : 1);
        assert_non_null(copy);
        memcpy(copy, text, length);
        struct reading *reading = read_bytes(copy, length);
        assert_int_equal(reading->status, STATUS_MALFORMED_JSON);
        done(reading);
        free(copy);
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] = "{" LLAMA;
    struct arena full, enough;
    struct problems problems;
    struct model model = {.layers = 7};
    arena_init(&full, 1);
    arena_init(&enough, 0);
    problems_init(&problems, &enough);
    assert_int_equal(hf_config_parse(text, sizeof text - 1, "x", &full, &problems, "config", &model),
                     STATUS_OUT_OF_MEMORY);
    assert_int_equal(model.layers, 7);
    arena_done(&full);
    arena_done(&enough);
}

/* A whole file; NULL if it is not there. The caller frees it. */
static char *read_file(const char *path, size_t *ret_length)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long length = ftell(file);
    assert_true(length > 0);
    rewind(file);
    char *text = malloc((size_t)length + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)length, file), length);
    text[length] = '\0';
    (void)fclose(file);
    *ret_length = (size_t)length;
    return text;
}

static const char *cell(const struct csv *header, const struct csv *row, const char *column)
{
    for (size_t i = 0; i < header->field_count; i++) {
        if (strcmp(header->fields[i], column) == 0) return row->fields[i];
    }
    fail_msg("models.csv has no column %s", column);
    return "";
}

static double cell_number(const struct csv *header, const struct csv *row, const char *column)
{
    double value = 0.0;
    const char *text = cell(header, row, column);
    if (*text) assert_true(text_parse_double(text, &value));
    return value;
}

struct column {
    const char *name;
    double value;
};

/* Counts of weights within 0.1 %; all else exactly. */
static size_t compare_columns(const struct csv *header, const struct csv *row, const struct model *model)
{
    const struct column columns[] = {
        {"params_computed", model->parameters},
        {"params_active_computed", model->active_parameters},
        {"num_layers", model->layers},
        {"hidden_size", model->hidden_size},
        {"num_attention_heads", model->attention_heads},
        {"num_kv_heads", model->kv_heads},
        {"head_dim", model->head_dim},
        {"intermediate_size", model->intermediate_size},
        {"vocab_size", model->vocabulary_size},
        {"tie_embeddings", model->tied_embeddings},
        {"max_position_embeddings", model->max_position_tokens},
        {"sliding_window", model->sliding_window_tokens},
        {"full_attention_layers", model->full_attention_layers},
        {"sliding_layers", model->sliding_layers},
        {"linear_layers", model->linear_layers},
        {"kv_lora_rank", model->kv_lora_rank},
        {"qk_rope_head_dim", model->qk_rope_head_dim},
        {"qk_nope_head_dim", model->qk_nope_head_dim},
        {"v_head_dim", model->v_head_dim},
        {"q_lora_rank", model->q_lora_rank},
        {"num_experts", model->experts},
        {"experts_per_token", model->experts_per_token},
        {"num_shared_experts", model->shared_experts},
        {"moe_intermediate_size", model->moe_intermediate_size},
        {"shared_expert_intermediate_size", model->shared_expert_intermediate_size},
        {"dense_layers", model->dense_layers},
        {"ssm_state_elements", model->ssm_state_elements},
        {"conv_state_elements", model->conv_state_elements},
    };
    size_t different = 0;
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        double expected = cell_number(header, row, columns[i].name);
        double allowed = strncmp(columns[i].name, "params", 6) == 0 ? 0.001 * expected : 0.0;
        if (fabs(columns[i].value - expected) <= allowed) continue;
        print_error("  %s is %.0f, in the row %.0f\n", columns[i].name, columns[i].value, expected);
        different++;
    }
    return different;
}

/* "hybrid_swa" in the table is "hybrid-swa" here. */
static bool same_kind(const char *row, enum attention_kind kind)
{
    const char *name = attention_kind_name(kind);
    if (strlen(row) != strlen(name)) return false;
    for (size_t i = 0; row[i]; i++) {
        if (row[i] != name[i] && !(row[i] == '_' && name[i] == '-')) return false;
    }
    return true;
}

/* The row's dtype is that of the weights; these files do not tell it. */
static bool same_dtype(const char *id, const char *row, enum dtype dtype)
{
    if (strcmp(id, "bigscience/bloom") == 0) return dtype == DTYPE_UNKNOWN;
    const char *colon = strchr(row, ':');
    return dtype_parse(colon ? colon + 1 : row) == dtype;
}

static void compare_file(const struct csv *header, const struct csv *row)
{
    const char *id = cell(header, row, "model_id");
    char path[512];
    size_t length = 0;
    (void)snprintf(path, sizeof path, "../shared/data/%s", cell(header, row, "config_file"));
    char *text = read_file(path, &length);
    assert_non_null(text);
    struct reading *reading = read_bytes(text, length);
    print_problems(reading);
    if (reading->status != STATUS_OK) fail_msg("%s: %s", path, status_code(reading->status));
    size_t different = compare_columns(header, row, &reading->model);
    if (different > 0) fail_msg("%s: %zu columns differ", id, different);
    if (!same_kind(cell(header, row, "attention_kind"), reading->model.attention_kind)) fail_msg("%s: kind", id);
    if (!same_dtype(id, cell(header, row, "native_dtype"), reading->model.native_dtype)) fail_msg("%s: dtype", id);
    done(reading);
    free(text);
}

static void test_folder(void **state)
{
    (void)state;
    size_t length = 0, compared = 0;
    char *text = read_file("../shared/data/models.csv", &length);
    if (!text) {
        print_message("skipped: needs ../shared\n");
        skip();
    }
    struct csv header, row;
    csv_init(&row, text, length);
    assert_int_equal(csv_next(&row), CSV_RECORD);
    header = row;
    enum csv_result result;
    while ((result = csv_next(&row)) == CSV_RECORD) {
        if (!*cell(&header, &row, "config_file")) continue;
        compare_file(&header, &row);
        compared++;
    }
    assert_int_equal(result, CSV_END);
    print_message("%zu files agree with their rows\n", compared);
    assert_true(compared >= 45);
    free(text);
}

/* Files without a row: sizes that their model cards state, or a reason. */
static void test_folder_without_rows(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        double parameters, vision_parameters;
        enum dtype dtype;
    } files[] = {
        {"Qwen__Qwen2-VL-2B-Instruct-AWQ", 1543714304, 665271296, DTYPE_INT4},
        {"Qwen__Qwen3-32B-FP8-Static-PerTensor", 32762123264, 0, DTYPE_FP8},
        {"RedHatAI__Llama-4-Scout-17B-16E-Instruct-FP8-dynamic", 107769861120, 871932416, DTYPE_FP8},
        {"ibm-granite__granite-3.3-8b-instruct-FP8", 8170864640, 0, DTYPE_FP8},
        {"meta-llama__Llama-3.1-405B-Instruct-FP8", 405853388800, 0, DTYPE_FP8},
        {"meta-llama__Llama-3.2-11B-Vision-Instruct", 9775192080, 895028755, DTYPE_BF16},
        {"meta-llama__Llama-4-Maverick-17B-128E-Instruct-FP8", 400711848960, 871932416, DTYPE_FP8},
        {"nvidia__Qwen3-235B-A22B-NVFP4", 235093634560, 0, DTYPE_BF16},
        {"nvidia__Qwen3.6-27B-NVFP4", 26895998464, 460730096, DTYPE_NVFP4},
        {"nvidia__Qwen3-235B-A22B-NVFP4.hf_quant_config", 0, 0, DTYPE_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        size_t length = 0;
        (void)snprintf(path, sizeof path, "../shared/data/hf_configs/%s.json", files[i].file);
        char *text = read_file(path, &length);
        if (!text) {
            print_message("skipped: needs ../shared\n");
            skip();
        }
        struct reading *reading = read_bytes(text, length);
        enum status expected = files[i].parameters > 0 ? STATUS_OK : STATUS_MALFORMED_CONFIG;
        if (reading->status != expected) fail_msg("%s: %s", path, status_code(reading->status));
        assert_true(reading->model.parameters == files[i].parameters);
        assert_true(reading->model.vision_parameters == files[i].vision_parameters);
        assert_string_equal(dtype_name(reading->model.native_dtype), dtype_name(files[i].dtype));
        done(reading);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_models),  cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_hybrid_states), cmocka_unit_test(test_expert_layers),
        cmocka_unit_test(test_dtypes),        cmocka_unit_test(test_names_and_switches),
        cmocka_unit_test(test_levels),        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_many_problems), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_prefixes),      cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_folder),        cmocka_unit_test(test_folder_without_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
