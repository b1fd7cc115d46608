/* hf_weights_test.c owns the proof of hf/hf_weights.h: tiny files of weights written here byte by byte, the parts and
 * the model that they make, and what is refused. */
#include "catalog/text.h"
#include "hf/hf_config.h"
#include "hf/hf_weights.h"
#include "sizing/memory.h"
#include "support/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- GGUF --- */

struct bytes {
    unsigned char data[8192];
    size_t length;
};

static void put_bytes(struct bytes *bytes, const void *data, size_t length)
{
    assert_true(bytes->length + length <= sizeof bytes->data);
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static void put_integer(struct bytes *bytes, uint64_t value, size_t length)
{
    for (size_t i = 0; i < length; i++)
        put_bytes(bytes, &(unsigned char){(unsigned char)(value >> 8 * i)}, 1);
}

static void put_text(struct bytes *bytes, const char *text)
{
    put_integer(bytes, strlen(text), 8);
    put_bytes(bytes, text, strlen(text));
}

enum { GGUF_U32 = 4, GGUF_BOOL = 7, GGUF_TEXT = 8, GGUF_LIST = 9 };
enum { GGML_F32 = 0, GGML_Q4_K = 12, GGML_Q6_K = 14 };

static void put_key_number(struct bytes *bytes, const char *key, uint32_t value)
{
    put_text(bytes, key);
    put_integer(bytes, GGUF_U32, 4);
    put_integer(bytes, value, 4);
}

static void put_key_text(struct bytes *bytes, const char *key, const char *value)
{
    put_text(bytes, key);
    put_integer(bytes, GGUF_TEXT, 4);
    put_text(bytes, value);
}

static void put_tensor(struct bytes *bytes, const char *name, uint64_t columns, uint64_t rows, uint32_t type)
{
    put_text(bytes, name);
    put_integer(bytes, rows ? 2 : 1, 4);
    put_integer(bytes, columns, 8);
    if (rows) put_integer(bytes, rows, 8);
    put_integer(bytes, type, 4);
    put_integer(bytes, 0, 8);
}

/* One layer of a Llama of width 512, 8 heads, 2 KV heads, a SwiGLU of 1,024, 3 words; with a layer for a second token
 * that is left out. */
static struct bytes small_gguf(void)
{
    static const char *const words[] = {"a", "b", "c"};
    struct bytes bytes = {0};
    put_bytes(&bytes, "GGUF", 4);
    put_integer(&bytes, 3, 4);
    put_integer(&bytes, 13, 8);
    put_integer(&bytes, 11, 8);
    put_key_text(&bytes, "general.architecture", "llama");
    put_key_text(&bytes, "general.name", "Small");
    put_key_number(&bytes, "llama.block_count", 2);
    put_key_number(&bytes, "llama.nextn_predict_layers", 1);
    put_key_number(&bytes, "llama.embedding_length", 512);
    put_key_number(&bytes, "llama.attention.head_count", 8);
    put_key_number(&bytes, "llama.attention.head_count_kv", 2);
    put_key_number(&bytes, "llama.feed_forward_length", 1024);
    put_key_number(&bytes, "llama.context_length", 4096);
    put_text(&bytes, "tokenizer.ggml.tokens");
    put_integer(&bytes, GGUF_LIST, 4);
    put_integer(&bytes, GGUF_TEXT, 4);
    put_integer(&bytes, 3, 8);
    for (size_t i = 0; i < 3; i++)
        put_text(&bytes, words[i]);
    put_text(&bytes, "tokenizer.ggml.add_bos_token");
    put_integer(&bytes, GGUF_BOOL, 4);
    put_integer(&bytes, 1, 1);
    put_tensor(&bytes, "token_embd.weight", 512, 3, GGML_Q4_K);
    put_tensor(&bytes, "output.weight", 512, 3, GGML_Q6_K);
    put_tensor(&bytes, "output_norm.weight", 512, 0, GGML_F32);
    put_tensor(&bytes, "blk.0.attn_norm.weight", 512, 0, GGML_F32);
    put_tensor(&bytes, "blk.0.attn_q.weight", 512, 512, GGML_Q4_K);
    put_tensor(&bytes, "blk.0.attn_k.weight", 512, 128, GGML_Q4_K);
    put_tensor(&bytes, "blk.0.attn_v.weight", 512, 128, GGML_Q6_K);
    put_tensor(&bytes, "blk.0.attn_output.weight", 512, 512, GGML_Q4_K);
    put_tensor(&bytes, "blk.0.ffn_norm.weight", 512, 0, GGML_F32);
    put_tensor(&bytes, "blk.0.ffn_gate.weight", 512, 1024, GGML_Q4_K);
    put_tensor(&bytes, "blk.0.ffn_up.weight", 512, 1024, GGML_Q4_K);
    put_tensor(&bytes, "blk.0.ffn_down.weight", 1024, 512, GGML_Q6_K);
    put_tensor(&bytes, "blk.1.nextn.eh_proj.weight", 1024, 512, GGML_Q4_K);
    return bytes;
}

static enum status header_of(const struct bytes *bytes, const char **ret_json)
{
    unsigned char *exact = malloc(bytes->length + 1); /* so that reading past the end is seen */
    assert_non_null(exact);
    memcpy(exact, bytes->data, bytes->length);
    enum status status = hf_gguf_header(exact, bytes->length, &arena, &problems, "weights", ret_json);
    free(exact);
    return status;
}

static enum status model_of(const char *json, struct model *ret_model)
{
    return hf_gguf_parse(json, strlen(json), &arena, &problems, "model.gguf_header", ret_model);
}

static void assert_bytes(double value, double expected)
{
    if (fabs(value - expected) > 1e-6) fail_msg("%.9g, expected %.9g", value, expected);
}

static void test_gguf(void **state)
{
    (void)state;
    const char *json = NULL;
    struct model model = {0};
    struct bytes bytes = small_gguf();
    assert_int_equal(header_of(&bytes, &json), STATUS_OK);
    assert_non_null(strstr(json, "\"tokenizer.ggml.tokens\":{\"count\":3.0}"));
    assert_int_equal(model_of(json, &model), STATUS_OK);
    assert_string_equal(model.id, "Small");
    assert_true(model.layers == 1 && model.mtp_layers == 1 && model.full_attention_layers == 1);
    assert_true(model.hidden_size == 512 && model.attention_heads == 8 && model.kv_heads == 2 && model.head_dim == 64);
    assert_true(model.vocabulary_size == 3 && model.max_position_tokens == 4096 && !model.tied_embeddings);
    assert_int_equal(model.attention_kind, ATTENTION_GQA);
    double q4 = 144.0 / 256, q6 = 210.0 / 256;
    assert_bytes(model.stored.embedding, 1536 * q4);
    assert_bytes(model.stored.head, 1536 * q6);
    assert_bytes(model.stored.norms, 3 * 512 * 4);
    assert_bytes(model.stored.kv_projection, 65536 * (q4 + q6));
    assert_bytes(model.stored.sharded, (2 * 262144 + 2 * 524288) * q4 + 524288 * q6);
    assert_bytes(model.parameters, 2 * 1536 + 3 * 512 + 2 * 65536 + 2 * 262144 + 3 * 524288);
    assert_int_equal(model.native_dtype, DTYPE_Q4_K_M); /* 5.05 bits on average: the format with the nearest */
    assert_bytes(memory_weights_total_bytes(&model, model.native_dtype),
                 model.stored.embedding + model.stored.head + model.stored.norms + model.stored.kv_projection +
                     model.stored.sharded);
}

/* Cut anywhere, the header is refused, and nothing behind its end is read. */
static void test_gguf_cut_short(void **state)
{
    (void)state;
    struct bytes whole = small_gguf();
    for (size_t length = 0; length < whole.length; length++) {
        const char *json = "untouched";
        struct bytes cut = whole;
        cut.length = length;
        assert_int_equal(header_of(&cut, &json), STATUS_MALFORMED_CONFIG);
        assert_string_equal(json, "untouched");
    }
}

/* Absurd counts, lengths and types at each place that has one. */
static void test_gguf_absurd(void **state)
{
    (void)state;
    static const struct {
        size_t at, bytes;
        uint64_t value;
    } changes[] = {
        {0, 1, 'g'},         /* magic */
        {4, 4, 1},           /* version */
        {4, 4, 0x03000000},  /* big-endian */
        {8, 8, UINT64_MAX},  /* tensors */
        {16, 8, UINT64_MAX}, /* keys */
        {8, 8, GGUF_TENSORS_MAX + 1},
        {16, 8, GGUF_KEYS_MAX + 1},
        {24, 8, UINT64_MAX}, /* length of the first key */
        {24, 8, UINT64_MAX - 40},
        {24, 8, 1U << 20},
        {24 + 8 + 20, 4, 99}, /* its type */
        {24 + 8 + 20, 4, GGUF_LIST},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *json = NULL;
        struct bytes bytes = small_gguf();
        for (size_t k = 0; k < changes[i].bytes; k++)
            bytes.data[changes[i].at + k] = (unsigned char)(changes[i].value >> 8 * k);
        if (header_of(&bytes, &json) != STATUS_MALFORMED_CONFIG) fail_msg("change %zu was taken", i);
    }
}

/* Facts that no model has, as JSON. */
static void test_gguf_refusals(void **state)
{
    (void)state;
#define GGUF(metadata, tensors)                                                                                        \
    "{\"metadata\":{\"general.architecture\":\"llama\"," metadata "},\"tensors\":{" tensors "}}"
#define TABLE "\"token_embd.weight\":{\"type\":\"F16\",\"shape\":[64,100]}"
#define SIZES "\"llama.block_count\":2,\"llama.embedding_length\":64"
    static const char *const texts[] = {
        "[]",
        "{}",
        "{\"metadata\":{},\"tensors\":{}}",
        GGUF("\"llama.embedding_length\":64", TABLE),
        GGUF("\"llama.block_count\":1e9,\"llama.embedding_length\":64", TABLE),
        GGUF("\"llama.block_count\":1.5,\"llama.embedding_length\":64", TABLE),
        GGUF(SIZES ",\"llama.nextn_predict_layers\":2", TABLE),
        GGUF(SIZES ",\"llama.attention.head_count\":8,\"llama.attention.head_count_kv\":3", TABLE),
        GGUF(SIZES ",\"llama.expert_count\":2,\"llama.expert_used_count\":3,\"llama.attention.head_count\":8", TABLE),
        GGUF(SIZES ",\"llama.expert_count\":2,\"llama.expert_used_count\":3", TABLE),
        GGUF(SIZES ",\"llama.attention.head_count\":8,\"llama.attention.kv_lora_rank\":8", TABLE),
        GGUF(SIZES ",\"split.count\":3", TABLE),
        GGUF(SIZES, ""),
        GGUF(SIZES, "\"token_embd.weight\":{\"type\":\"F17\",\"shape\":[64,100]}"),
        GGUF(SIZES, "\"token_embd.weight\":{\"type\":\"F16\",\"shape\":[64,-1]}"),
        GGUF(SIZES, "\"token_embd.weight\":{\"type\":\"F16\",\"shape\":[1e9,1e9,1e9]}"),
        GGUF(SIZES, "\"token_embd.weight\":7"),
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct model model = {.layers = 42};
        if (model_of(texts[i], &model) == STATUS_OK) fail_msg("taken: %s", texts[i]);
        assert_int_equal(model.layers, 42);
    }
    struct model model;
    assert_int_equal(model_of(GGUF(SIZES ",\"llama.attention.head_count\":8", TABLE), &model), STATUS_OK);
    assert_true(model.tied_embeddings && model.kv_heads == 8 && model.native_dtype == DTYPE_FP16);
    const char *negative =
        ",\"llama.ssm.inner_size\":-64,\"llama.ssm.state_size\":1e30,\"llama.full_attention_interval\":-5";
    char text[512];
    (void)snprintf(text, sizeof text, GGUF(SIZES "%s", TABLE), negative); /* of a model of states alone */
    assert_int_equal(model_of(text, &model), STATUS_OK);
    assert_true(model.linear_layers == 2 && model.ssm_state_elements == 0 && model.conv_state_elements >= 0);
}

/* A window in all but every sixth layer, states in all but every fourth, and per-layer lists. */
static void test_gguf_layers(void **state)
{
    (void)state;
    static const struct {
        const char *architecture, *extra;
        uint32_t full, sliding, linear;
    } cases[] = {
        {"gemma3", "\"gemma3.attention.sliding_window\":1024", 2, 10, 0},
        {"gemma2", "\"gemma2.attention.sliding_window\":4096", 6, 6, 0},
        {"llama4", "\"llama4.interleave_moe_layer_step\":1", 3, 9, 0},
        {"qwen3next", "\"qwen3next.ssm.inner_size\":64,\"qwen3next.ssm.state_size\":16", 3, 0, 9},
        {"granitehybrid", "\"granitehybrid.attention.head_count_kv\":[0,0,0,0,0,4,0,0,0,0,0,4]", 2, 0, 10},
        {"any",
         "\"any.attention.sliding_window\":8,\"any.attention.sliding_window_pattern\":"
         "[true,false,true,true,true,true,true,true,true,true,true,false]",
         2, 10, 0},
        {"any", "\"any.attention.sliding_window\":8", 12, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *name = cases[i].architecture;
        const char *json =
            arena_printf(&arena,
                         "{\"metadata\":{\"general.architecture\":\"%s\",\"%s.block_count\":12,"
                         "\"%s.embedding_length\":64,\"%s.attention.head_count\":8,%s},\"tensors\":{" TABLE "}}",
                         name, name, name, name, cases[i].extra);
        struct model model;
        assert_non_null(json);
        assert_int_equal(model_of(json, &model), STATUS_OK);
        if (model.full_attention_layers != cases[i].full || model.sliding_layers != cases[i].sliding ||
            model.linear_layers != cases[i].linear)
            fail_msg("%s: %u full, %u sliding, %u linear", name, model.full_attention_layers, model.sliding_layers,
                     model.linear_layers);
    }
}

/* --- safetensors --- */

static const char small_config[] =
    "{\"model_type\":\"qwen3_moe\",\"hidden_size\":64,\"num_hidden_layers\":1,\"num_attention_heads\":4,"
    "\"num_key_value_heads\":2,\"intermediate_size\":128,\"moe_intermediate_size\":32,\"num_experts\":2,"
    "\"num_experts_per_tok\":1,\"vocab_size\":100,\"head_dim\":16}";

static struct model small_model(void)
{
    struct model model;
    assert_int_equal(
        hf_config_parse(small_config, sizeof small_config - 1, "small", &arena, &problems, "config", &model),
        STATUS_OK);
    return model;
}

static enum status weights_of(const char *json, struct hf_weights *ret_weights)
{
    struct model model = small_model();
    return hf_safetensors_parse(json, strlen(json), &model, &problems, "model.safetensors_index", ret_weights);
}

static void test_safetensors_parts(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"model.embed_tokens.weight\":{\"dtype\":\"BF16\",\"shape\":[100,64],\"data_offsets\":[0,12800]},"
        "\"lm_head.weight\":{\"dtype\":\"BF16\",\"shape\":[100,64]},"
        "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[64]},"
        "\"model.layers.0.self_attn.qkv_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[128,64]},"
        "\"model.layers.0.mlp.experts.0.up_proj.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[32,64]},"
        "\"model.layers.0.mlp.experts.0.up_proj.weight_scale\":{\"dtype\":\"F32\",\"shape\":[]},"
        "\"model.layers.0.mlp.shared_experts.up_proj.weight\":{\"dtype\":\"F4\",\"shape\":[32,64]},"
        "\"model.layers.0.mlp.gate.weight\":{\"dtype\":\"BF16\",\"shape\":[2,64]},"
        "\"model.visual.blocks.0.attn.qkv.weight\":{\"dtype\":\"BF16\",\"shape\":[10,10]},"
        "\"model.layers.1.eh_proj.weight\":{\"dtype\":\"BF16\",\"shape\":[64,128]}}";
    struct hf_weights weights = {0};
    assert_int_equal(weights_of(header, &weights), STATUS_OK);
    assert_bytes(weights.stored.embedding, 12800);
    assert_bytes(weights.stored.head, 12800);
    assert_bytes(weights.stored.norms, 64 * 4 + 2 * 64 * 2);
    assert_bytes(weights.stored.kv_projection, 128 * 64 * 2 / 2.0); /* 2 × 2 of 4 + 2 × 2 heads */
    assert_bytes(weights.stored.experts, 32 * 64 + 4);
    assert_bytes(weights.stored.sharded, 128 * 64 * 2 / 2.0 + 32 * 64 / 2.0);
    assert_bytes(weights.stored.vision, 200);
    assert_bytes(weights.total_bytes, 12800 * 2 + 512 + 128 * 64 * 2 + 2052 + 1024 + 200); /* no second layer */
}

static void test_safetensors_index(void **state)
{
    (void)state;
    struct hf_weights weights = {0};
    assert_int_equal(weights_of("{\"metadata\":{\"total_size\":16060522496},\"weight_map\":{\"a\":\"b\"}}", &weights),
                     STATUS_OK);
    assert_bytes(weights.total_bytes, 16060522496);
    assert_bytes(weights.stored.sharded, 0);
    static const char *const refused[] = {
        "",
        "[]",
        "{}",
        "{\"metadata\":{}}",
        "{\"metadata\":{\"total_size\":\"1\"}}",
        "{\"metadata\":{\"total_size\":-5}}",
        "{\"metadata\":{\"total_size\":1e300}}",
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[2]},\"a\":{}}",
        "{\"a\":{\"dtype\":\"BF17\",\"shape\":[2]}}",
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[-2]}}",
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":2}}",
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[9,1]}}",
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[1e6,1e6,1e6]}}",
        "{\"a\":7}",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct hf_weights untouched = {.total_bytes = 42};
        if (weights_of(refused[i], &untouched) == STATUS_OK) fail_msg("taken: %s", refused[i]);
        assert_bytes(untouched.total_bytes, 42);
    }
}

/* Bits of a weight that the block of quantisation states. */
static void test_weight_bits(void **state)
{
    (void)state;
    static const struct {
        const char *block;
        enum dtype dtype;
        double bits;
    } cases[] = {
        {"\"quant_method\":\"awq\",\"bits\":4,\"group_size\":128,\"zero_point\":true", DTYPE_INT4, 4.15625},
        {"\"quant_method\":\"awq\",\"bits\":4,\"group_size\":64,\"zero_point\":true", DTYPE_INT4, 4.3125},
        {"\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":32,\"sym\":true", DTYPE_INT4, 4.625},
        {"\"quant_method\":\"gptq\",\"bits\":8,\"group_size\":128", DTYPE_INT8, 8.1875},
        {"\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":-1", DTYPE_INT4, 0},
        {"\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]", DTYPE_FP8, 8.001953125},
        {"\"quant_method\":\"fp8\"", DTYPE_FP8, 0},
        {"\"quant_method\":\"mxfp4\"", DTYPE_MXFP4, 0},
        {"\"quant_method\":\"compressed-tensors\",\"config_groups\":{\"group_0\":{\"weights\":{\"num_bits\":4,"
         "\"type\":\"int\",\"symmetric\":true,\"group_size\":128}}}",
         DTYPE_INT4, 4.125},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model model;
        const char *config = arena_printf(&arena, "%.*s,\"quantization_config\":{%s}}", (int)(sizeof small_config - 2),
                                          small_config, cases[i].block);
        assert_non_null(config);
        assert_int_equal(hf_config_parse(config, strlen(config), "small", &arena, &problems, "config", &model),
                         STATUS_OK);
        assert_int_equal(model.native_dtype, cases[i].dtype);
        assert_true(model.weight_bits == cases[i].bits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_gguf_cut_short),
        cmocka_unit_test(test_gguf_absurd),
        cmocka_unit_test(test_gguf_refusals),
        cmocka_unit_test(test_gguf_layers),
        cmocka_unit_test(test_safetensors_parts),
        cmocka_unit_test(test_safetensors_index),
        cmocka_unit_test(test_weight_bits),
    };
    return cmocka_run_group_tests(tests, fixture_setup_empty, fixture_teardown);
}
