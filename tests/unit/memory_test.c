/* memory_test.c owns the proof of sizing/memory.h: start-up logs, published cases, properties of random models. */
#include "catalog/csv.h"
#include "catalog/load.h"
#include "catalog/mig.h"
#include "catalog/text.h"
#include "hf/hf_config.h"
#include "sizing/memory.h"
#include "sizing/stage.h"
#include "support/fixture.h"
#include "support/near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct model *model_of(const char *id)
{
    const struct model *model = NULL;
    if (snapshot_find_model(snapshot, ALIAS_USER, id, "model", &problems, &model) != STATUS_OK) return NULL;
    return model;
}

static const struct engine_profile *profile_of(const char *engine, const char *version)
{
    const struct engine_profile *profile = NULL;
    assert_int_equal(snapshot_find_profile(snapshot, engine, version, "engine", &problems, &profile), STATUS_OK);
    return profile;
}

/* The H100 of the logs: cudaMemGetInfo says 79.19 GiB. */
static struct gpu h100(void)
{
    const struct gpu *gpu = NULL;
    assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_USER, "h100-sxm", "gpu", &problems, &gpu), STATUS_OK);
    struct gpu logged = *gpu;
    logged.memory_cuda_mib = 79.19 * 1024;
    return logged;
}

static struct memory size(struct deployment *deployment)
{
    struct memory memory;
    deployment_default(deployment);
    assert_int_equal(memory_size(deployment, &memory), STATUS_OK);
    return memory;
}

/* Start-up logs of vLLM 0.19 on H100, from jgchn/llm-d-planner (branch accuracy, vllm_v0.19 raw CSV). Activations are
 * of rank 0, which with pipeline parallelism has no sampler: NaN there. */
static const struct log_row {
    const char *model;
    enum dtype weights, kv;
    uint32_t tp, pp, context_tokens;
    double utilization_ratio, weights_gib, activations_gib, tokens, concurrency;
} log_rows[] = {
    {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_BF16, DTYPE_BF16, 1, 1, 8192, .95, 14.99, 1.89, 476016, 58.11},
    {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_BF16, DTYPE_FP8, 1, 1, 8192, .95, 14.99, 1.89, 952032, 116.21},
    {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_FP8, DTYPE_BF16, 1, 1, 8192, .95, 8.49, 1.89, 529248, 64.61},
    {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_INT4, DTYPE_FP16, 1, 1, 8192, .95, 5.38, 1.89, 554704, 67.71},
    {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_BF16, DTYPE_BF16, 2, 1, 8192, .95, 7.51, 1.89, 1044688, 127.53},
    {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_BF16, DTYPE_BF16, 4, 1, 8192, .95, 3.77, 1.89, 2209792, 269.75},
    {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_BF16, DTYPE_BF16, 1, 2, 8192, .95, 7.51, UNKNOWN, 1075312, 131.26},
    {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_BF16, DTYPE_BF16, 1, 4, 8192, .95, 4.26, UNKNOWN, 2257264, 275.54},
    {"meta-llama/Llama-3.3-70B-Instruct", DTYPE_FP8, DTYPE_BF16, 2, 1, 8192, .95, 33.88, 1.96, 244304, 29.82},
    {"deepseek-ai/DeepSeek-V2-Lite", DTYPE_BF16, DTYPE_BF16, 1, 1, 8192, .95, 29.43, 1.93, 1505552, 183.78},
    {"google/gemma-2-27b-it", DTYPE_BF16, DTYPE_BF16, 1, 1, 8192, .95, 50.72, 3.66, 58672, 7.16},
    {"google/gemma-3-27b-it", DTYPE_BF16, DTYPE_BF16, 1, 1, 8192, .95, 51.45, 3.99, 36560, 4.46},
    {"google/gemma-3-4b-it", DTYPE_BF16, DTYPE_BF16, 1, 1, 8192, .95, 8.58, 3.89, 468144, 57.05},
    {"meta-llama/Llama-4-Scout-17B-16E-Instruct", DTYPE_BF16, DTYPE_BF16, 4, 1, 8192, .95, 53.12, 3.19, 365968, 44.68},
    {"mistralai/Mixtral-8x7B-v0.1", DTYPE_BF16, DTYPE_BF16, 2, 1, 8192, .95, 43.51, 1.21, 465936, 56.88},
    {"openai/gpt-oss-20b", DTYPE_MXFP4, DTYPE_BF16, 2, 1, 8192, .90, 7.01, 2.87, 2591776, 316.07},
    {"Qwen/Qwen3-30B-A3B", DTYPE_BF16, DTYPE_BF16, 1, 1, 8192, .95, 56.88, 2.68, 168288, 20.54},
    {"Qwen/Qwen2.5-7B-Instruct", DTYPE_BF16, DTYPE_BF16, 4, 1, 8192, .95, 3.55, 2.21, 5043280, 615.63},
};

static void test_start_up_logs(void **state)
{
    (void)state;
    struct gpu gpu = h100();
    for (size_t i = 0; i < sizeof log_rows / sizeof *log_rows; i++) {
        const struct log_row *row = &log_rows[i];
        struct deployment deployment = {.model = model_of(row->model),
                                        .gpu = &gpu,
                                        .engine = profile_of("vllm", "0.19"),
                                        .weight_dtype = row->weights,
                                        .kv_dtype = row->kv,
                                        .tensor_parallel = row->tp,
                                        .pipeline_parallel = row->pp,
                                        .max_model_len_tokens = row->context_tokens,
                                        .gpu_memory_utilization_ratio = row->utilization_ratio};
        assert_non_null(deployment.model);
        struct memory memory = size(&deployment);
        assert_near(row->model, memory.weights_bytes / GIB, row->weights_gib, 0.01);
        if (is_known(row->activations_gib))
            assert_near(row->model, memory.activations_bytes / GIB, row->activations_gib, 0.06);
        assert_near(row->model, (double)memory.kv_pool_tokens, row->tokens, 0.011);
        assert_near(row->model, memory.max_concurrency, row->concurrency, 0.011);
        assert_true(memory.fits);
    }
}

/* The whole table of logs, when it is at hand. */
static const char logs_path[] = "../shared/data/vllm_memory_h100.csv";

static const struct log_name { /* quantised copies and other spellings: catalog id, weights as loaded */
    const char *name, *id;
    enum dtype weights;
} log_names[] = {
    {"RedHatAI/Llama-3.3-70B-Instruct-fp8-dynamic", "meta-llama/Llama-3.3-70B-Instruct", DTYPE_FP8},
    {"RedHatAI/Llama-3.3-70B-Instruct-quantized.w8a8", "meta-llama/Llama-3.3-70B-Instruct", DTYPE_INT8},
    {"RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "meta-llama/Llama-3.1-8B-Instruct", DTYPE_INT4},
    {"RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", "meta-llama/Llama-3.1-8B-Instruct", DTYPE_INT8},
    {"RedHatAI/Qwen2.5-7B-Instruct-quantized.w8a8", "Qwen/Qwen2.5-7B-Instruct", DTYPE_INT8},
    {"deepseek-ai/DeepSeek-V2-Lite-Chat", "deepseek-ai/DeepSeek-V2-Lite", DTYPE_UNKNOWN},
    {"mistralai/Mixtral-8x7B-Instruct-v0.1", "mistralai/Mixtral-8x7B-v0.1", DTYPE_UNKNOWN},
};

/* Models of the logs that the catalog does not have: their config.json as far as it is read. The towers of the two
 * multimodal ones are counted from theirs: SigLIP so400m, and MoonViT with its projector. */
#define GRANITE_2B                                                                                                     \
    "\"hidden_size\":2048,\"num_hidden_layers\":40,\"num_attention_heads\":32,\"num_key_value_heads\":8,"              \
    "\"intermediate_size\":8192,\"vocab_size\":49155,\"tie_word_embeddings\":true,"                                    \
    "\"max_position_embeddings\":131072"
static const struct log_config {
    const char *name, *config;
    double vision_parameters;
    bool profiled;
} log_configs[] = {
    {"codellama/CodeLlama-7b-hf",
     "{\"model_type\":\"llama\",\"hidden_size\":4096,\"num_hidden_layers\":32,\"num_attention_heads\":32,"
     "\"intermediate_size\":11008,\"vocab_size\":32016,\"max_position_embeddings\":16384}",
     0, false},
    {"ibm-granite/granite-3.1-2b-instruct", "{\"model_type\":\"granite\"," GRANITE_2B "}", 0, false},
    {"ibm-granite/granite-3.1-8b-instruct",
     "{\"model_type\":\"granite\",\"hidden_size\":4096,\"num_hidden_layers\":40,\"num_attention_heads\":32,"
     "\"num_key_value_heads\":8,\"intermediate_size\":12800,\"vocab_size\":49155,\"tie_word_embeddings\":true,"
     "\"max_position_embeddings\":131072}",
     0, false},
    {"ibm-granite/granite-vision-3.3-2b", "{\"model_type\":\"granite\"," GRANITE_2B "}", 428225600, false},
    {"moonshotai/Kimi-VL-A3B-Instruct",
     "{\"model_type\":\"deepseek_v3\",\"hidden_size\":2048,\"num_hidden_layers\":27,\"num_attention_heads\":16,"
     "\"num_key_value_heads\":16,\"intermediate_size\":11264,\"vocab_size\":163840,\"kv_lora_rank\":512,"
     "\"qk_rope_head_dim\":64,\"qk_nope_head_dim\":128,\"v_head_dim\":128,\"n_routed_experts\":64,"
     "\"num_experts_per_tok\":6,\"n_shared_experts\":2,\"moe_intermediate_size\":1408,\"first_k_dense_replace\":1,"
     "\"max_position_embeddings\":131072,\"tie_word_embeddings\":false,\"topk_method\":\"noaux_tc\"}",
     440e6, true},
};

static const struct model *log_config_model(const char *name)
{
    for (size_t i = 0; i < sizeof log_configs / sizeof *log_configs; i++) {
        const struct log_config *row = &log_configs[i];
        if (strcmp(row->name, name) != 0) continue;
        struct model *model = ARENA_ARRAY(&arena, 1, struct model);
        assert_non_null(model);
        assert_int_equal(hf_config_parse(row->config, strlen(row->config), name, &arena, &problems, "config", model),
                         STATUS_OK);
        model->vision_parameters = row->vision_parameters;
        model->native_multimodal = row->profiled;
        return model;
    }
    return NULL;
}

struct log_table {
    struct csv csv;
    const char *columns[CSV_FIELDS_MAX];
    size_t column_count;
};

static const char *log_text(const struct log_table *table, const char *column)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i], column) == 0) return table->csv.fields[i];
    fail_msg("no column %s", column);
    return "";
}

static double log_number(const struct log_table *table, const char *column)
{
    double value = UNKNOWN;
    return text_parse_double(log_text(table, column), &value) ? value : UNKNOWN;
}

static bool log_deployment(const struct log_table *table, const struct gpu *gpu, struct deployment *ret_deployment)
{
    const char *name = log_text(table, "model");
    struct deployment deployment = {
        .gpu = gpu,
        .engine = profile_of("vllm", "0.19"),
        .tensor_parallel = (uint32_t)log_number(table, "tp"),
        .pipeline_parallel = (uint32_t)log_number(table, "pp"),
        .max_model_len_tokens = (uint32_t)log_number(table, "max_model_len"),
        .gpu_memory_utilization_ratio = log_number(table, "gpu_memory_utilization"),
    };
    for (size_t i = 0; i < sizeof log_names / sizeof *log_names; i++) {
        if (strcasecmp(log_names[i].name, name) != 0) continue;
        name = log_names[i].id;
        deployment.weight_dtype = log_names[i].weights;
    }
    if (strcmp(log_text(table, "quantization"), "fp8") == 0) deployment.weight_dtype = DTYPE_FP8;
    if (strcmp(log_text(table, "kv_cache_dtype"), "fp8") == 0) deployment.kv_dtype = DTYPE_FP8;
    if (strcmp(log_text(table, "dtype"), "torch.float32") == 0) deployment.weight_dtype = DTYPE_FP32;
    deployment.model = log_config_model(name);
    if (!deployment.model) deployment.model = model_of(name);
    *ret_deployment = deployment;
    return deployment.model != NULL;
}

struct log_errors {
    double weights, activations, pool, tokens, concurrency; /* sums, then means */
    double worst_weights, worst_pool, worst_tokens, worst_concurrency, most_promised_gib;
    size_t rows, activation_rows;
};

/* What the allocator makes of the pool that the log states. */
static void check_given_pool(const struct log_table *table, const struct deployment *deployment,
                             struct log_errors *errors)
{
    struct stage whole = {.layers = deployment->model->layers, .layer_ratio = 1, .first = true, .last = true};
    if (deployment->pipeline_parallel > 1) return;
    struct kv_layout layout = kv_layout_make(deployment, &whole);
    double units = floor(log_number(table, "kv_cache_memory_gib") * GIB / layout.unit_bytes);
    double tokens = floor(units / layout.token_units) * layout.block_tokens;
    double concurrency = units / kv_layout_units(&layout, deployment->max_model_len_tokens);
    errors->worst_tokens = fmax(errors->worst_tokens, fabs(tokens / log_number(table, "kv_cache_tokens") - 1));
    /* the log prints two decimals */
    double rounding = 0.005 / log_number(table, "max_concurrency");
    errors->worst_concurrency =
        fmax(errors->worst_concurrency, fabs(concurrency / log_number(table, "max_concurrency") - 1) - rounding);
}

static void add_log(const struct log_table *table, struct deployment *deployment, struct log_errors *errors)
{
    struct memory memory = size(deployment);
    check_given_pool(table, deployment, errors);
    double weights = fabs(memory.weights_bytes / GIB / log_number(table, "weight_memory_gib") - 1);
    errors->rows++;
    errors->weights += weights;
    errors->worst_weights = fmax(errors->worst_weights, weights);
    if (deployment->pipeline_parallel > 1) return; /* the log is of rank 0, the pool of the last */
    double pool = fabs(memory.kv_pool_bytes / GIB / log_number(table, "kv_cache_memory_gib") - 1);
    errors->activation_rows++;
    errors->activations += fabs(memory.activations_bytes / GIB / log_number(table, "activation_memory_gib") - 1);
    errors->pool += pool;
    errors->worst_pool = fmax(errors->worst_pool, pool);
    errors->most_promised_gib =
        fmax(errors->most_promised_gib, memory.kv_pool_bytes / GIB - log_number(table, "kv_cache_memory_gib"));
}

static char *read_whole(const char *path, size_t *ret_length)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    enum { MOST_BYTES = 1 << 20 };
    char *text = calloc(1, MOST_BYTES);
    assert_non_null(text);
    *ret_length = fread(text, 1, MOST_BYTES - 1, file);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void test_all_start_up_logs(void **state)
{
    (void)state;
    size_t length = 0;
    char *text = read_whole(logs_path, &length);
    if (!text) {
        print_message("skipped: needs ../shared\n");
        skip();
        return;
    }
    struct log_table table = {0};
    struct log_errors errors = {0};
    struct gpu gpu = h100();
    csv_init(&table.csv, text, length);
    assert_int_equal(csv_next(&table.csv), CSV_RECORD);
    table.column_count = table.csv.field_count;
    memcpy(table.columns, table.csv.fields, sizeof table.columns);
    while (csv_next(&table.csv) == CSV_RECORD) {
        struct deployment deployment;
        if (strcmp(log_text(&table, "status"), "ok") == 0 && log_deployment(&table, &gpu, &deployment))
            add_log(&table, &deployment, &errors);
    }
    free(text);
    print_message("%zu logs: weights mean %.3f %%, worst %.2f %%; activations mean %.2f %%; pool mean %.3f %%, worst "
                  "%.2f %%, at most %.2f GiB too much; given the pool: tokens %.3f %%, concurrency %.3f %%\n",
                  errors.rows, errors.weights / (double)errors.rows * 100, errors.worst_weights * 100,
                  errors.activations / (double)errors.activation_rows * 100,
                  errors.pool / (double)errors.activation_rows * 100, errors.worst_pool * 100, errors.most_promised_gib,
                  errors.worst_tokens * 100, errors.worst_concurrency * 100);
    assert_int_equal(errors.rows, 46); /* every log of an engine that started */
    assert_true(errors.worst_weights <= 0.01);
    assert_true(errors.activations / (double)errors.activation_rows <= 0.011);
    assert_true(errors.pool / (double)errors.activation_rows <= 0.005 && errors.worst_pool <= 0.02);
    assert_true(errors.most_promised_gib <= 0.3);
    assert_true(errors.worst_tokens <= 0.005 && errors.worst_concurrency <= 0.005);
}

/* One stage of a pipeline: the middle ones carry no embedding. Source: the same logs, rank 1 of 4. */
static void test_middle_stage(void **state)
{
    (void)state;
    struct gpu gpu = h100();
    struct deployment deployment = {.model = model_of("meta-llama/Llama-3.1-8B-Instruct"),
                                    .gpu = &gpu,
                                    .engine = profile_of("vllm", "0.19"),
                                    .pipeline_parallel = 4};
    deployment_default(&deployment);
    struct stage middle = {.layers = 8, .layer_ratio = 0.25};
    assert_near("middle stage", stage_weights_bytes(&deployment, &middle) / GIB, 3.28, 0.002);
    assert_near("ends", size(&deployment).weights_bytes / GIB, 4.26, 0.002);
}

/* Sums of tensor sizes that the checkpoints state; cases of llm-d-planner's and hf-mem's tests. The M2.5 of the
 * catalog stands for M2, of the same shape. */
static void test_checkpoint_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        enum dtype dtype;
        double gib, tolerance_ratio;
    } cases[] = {
        {"Qwen/Qwen2.5-0.5B-Instruct", DTYPE_BF16, 0.9202077, 1e-6},
        {"deepseek-ai/DeepSeek-V2", DTYPE_BF16, 439.10264, 1e-6},
        {"Qwen/Qwen3-8B", DTYPE_FP8, 8.79029, 0.001},
        {"openai/gpt-oss-20b", DTYPE_MXFP4, 12.816177, 0.001},
        {"MiniMaxAI/MiniMax-M2.5", DTYPE_FP8, 230121630720 / GIB, 0.001},
        {"mistralai/Mistral-7B-v0.1", DTYPE_FP16, 13.74, 0.02}, /* zephyr-7b: accelerate's post, of half a GiB more */
        {"mistralai/Mistral-7B-v0.1", DTYPE_FP32, 27.49, 0.02}, /* the same in fp32 */
        {"meta-llama/Meta-Llama-3-8B", DTYPE_BF16, 15, 0.01},   /* NVIDIA NIM's guidance, rounded */
        {"meta-llama/Llama-2-13b-chat-hf", DTYPE_FP16, 24.24, 0.001}, /* NVIDIA/TensorRT-LLM#548 */
        {"meta-llama/Meta-Llama-3-8B", DTYPE_Q4_K_M, 4.58, 0.003},    /* GGUF files: XiongjieDai */
        {"meta-llama/Llama-3.3-70B-Instruct", DTYPE_Q4_K_M, 39.59, 0.01},
        {"Qwen/Qwen2.5-7B-Instruct", DTYPE_Q4_K_M, 4.36, 0.005},       /* gguf-parser-go: of the R1 distill */
        {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_Q2_K, 2.95, 0.003}, /* llama.cpp tools/quantize */
        {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_Q3_K_M, 3.74, 0.003},
        {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_IQ4_XS, 4.17, 0.003},
        {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_Q5_K_M, 5.33, 0.003},
        {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_Q6_K, 6.14, 0.003},
        {"meta-llama/Llama-3.1-8B-Instruct", DTYPE_Q8_0, 7.95, 0.003},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct model *model = model_of(cases[i].model);
        assert_non_null(model);
        assert_near(cases[i].model, memory_weights_total_bytes(model, cases[i].dtype) / GIB, cases[i].gib,
                    cases[i].tolerance_ratio);
    }
}

/* What a format's weights, scales and unquantised parts are by hand, and that they are the checkpoint in every format
 * of every model. */
static void test_weights_split(void **state)
{
    (void)state;
    const struct model *llama = model_of("meta-llama/Llama-3.1-8B-Instruct");
    double norms = (2 * 32 + 1) * 4096, ends = 2 * 128256.0 * 4096, linear = llama->parameters - norms - ends;
    struct weights_split split = memory_weights_split(llama, DTYPE_INT4); /* groups of 128: 16-bit scale, 4-bit zero */
    assert_near("weights", split.quantised_bytes, linear / 2, 1e-12);
    assert_near("scales", split.scales_bytes, linear / 128 * 2.5, 1e-12);
    assert_near("ends", split.unquantised_bytes, 2 * (norms + ends), 1e-12);
    split = memory_weights_split(llama, DTYPE_NVFP4); /* blocks of 16, a byte each */
    assert_near("blocks", split.scales_bytes, linear / 16, 1e-12);
    split = memory_weights_split(llama, DTYPE_Q8_0); /* ggml's block_q8_0: 2 bytes of scale, 32 of weights */
    assert_near("q8_0", split.scales_bytes * 16, split.quantised_bytes, 1e-12);
    split = memory_weights_split(llama, DTYPE_BF16);
    assert_true(split.quantised_bytes == 0 && split.scales_bytes == 0);
    for (size_t i = 0; i < snapshot->model_count; i++) {
        for (enum dtype dtype = DTYPE_UNKNOWN + 1; dtype < DTYPE_COUNT; dtype++) {
            split = memory_weights_split(&snapshot->models[i], dtype);
            assert_true(split.quantised_bytes >= 0 && split.scales_bytes >= 0 && split.unquantised_bytes >= 0);
            assert_near(snapshot->models[i].id, split.quantised_bytes + split.scales_bytes + split.unquantised_bytes,
                        memory_weights_total_bytes(&snapshot->models[i], dtype), 1e-12);
        }
    }
}

/* KV bytes per token and rank, of logs and user reports named in the comments. */
static void test_kv_bytes_per_token(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        uint32_t tp;
        enum dtype kv;
        double bytes;
    } cases[] = {
        {"meta-llama/Llama-3.1-8B-Instruct", 1, DTYPE_BF16, 131072},
        {"meta-llama/Llama-3.1-8B-Instruct", 1, DTYPE_FP8, 65536},
        {"meta-llama/Llama-3.1-8B-Instruct", 16, DTYPE_BF16, 16384}, /* 8 KV heads: replicated beyond */
        {"deepseek-ai/DeepSeek-V2-Lite", 1, DTYPE_BF16, 31104},      /* the latent is not split */
        {"deepseek-ai/DeepSeek-V2-Lite", 2, DTYPE_BF16, 31104},
        {"deepseek-ai/DeepSeek-V3", 1, DTYPE_BF16, 0.65446 * GIB / 10000}, /* llm-d-planner */
        {"deepseek-ai/DeepSeek-V2", 1, DTYPE_BF16, 0.64373 * GIB / 10000},
        {"Qwen/Qwen2.5-0.5B-Instruct", 1, DTYPE_BF16, 0.11444 * GIB / 10000},
        {"Qwen/Qwen3.5-27B", 1, DTYPE_FP16, 16 * GIB / 262144},   /* llmfit PR 953: 16 of 64 layers keep KV */
        {"Qwen/Qwen3.5-27B", 1, DTYPE_BF16, 4.0 * MIB / 64},      /* omlx 2725, Qwen3.8-27B: the same shape */
        {"Qwen/Qwen3.5-35B-A3B", 1, DTYPE_BF16, 1.25 * MIB / 64}, /* omlx 2725, Qwen3.6-35B-A3B */
        {"Qwen/Qwen3-Next-80B-A3B-Instruct", 1, DTYPE_Q8_0, 3.1875 * GIB / 262144}, /* llama-toolchest PR 166: 3.19 */
        {"MiniMaxAI/MiniMax-M2.5", 1, DTYPE_FP8, 24964497408 / 196608.0},           /* hf-mem */
        {"deepseek-ai/DeepSeek-V3.2", 8, DTYPE_BF16, 61 * (576 * 2 + 132)},         /* vLLM deepseek_v2.py: the index */
        {"deepseek-ai/DeepSeek-V3.2", 8, DTYPE_FP8, 61 * (656 + 132)},              /* vLLM: fp8_ds_mla */
    };
    struct gpu gpu = h100();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct deployment deployment = {.model = model_of(cases[i].model),
                                        .gpu = &gpu,
                                        .engine = profile_of("vllm", "0.19"),
                                        .kv_dtype = cases[i].kv,
                                        .tensor_parallel = cases[i].tp,
                                        .max_model_len_tokens = 8192};
        assert_non_null(deployment.model);
        struct memory memory = size(&deployment);
        assert_near(cases[i].model, memory.kv_bytes_per_token, cases[i].bytes, 2e-5);
    }
}

/* vLLM logs "Setting attention block size to 544 tokens" for Qwen3-Next (16-bit states), 784 for Qwen3.5-27B (fp32):
 * the page of an attention layer must hold a linear layer's state. */
static void test_state_raises_the_block(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        double block_tokens;
    } cases[] = {{"Qwen/Qwen3-Next-80B-A3B-Instruct", 544}, {"Qwen/Qwen3.5-27B", 784}};
    struct gpu gpu = h100();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct deployment deployment = {
            .model = model_of(cases[i].model), .gpu = &gpu, .engine = profile_of("vllm", "0.19")};
        assert_non_null(deployment.model);
        deployment_default(&deployment);
        struct stage whole = {.layers = deployment.model->layers, .layer_ratio = 1, .first = true, .last = true};
        assert_true(kv_layout_make(&deployment, &whole).block_tokens == cases[i].block_tokens);
    }
}

/* hf-mem PR 70: 32 sequences of 8,192 tokens, windows counted, take 6.09375 GiB; a step of no tokens, as there. */
static void test_separate_windows(void **state)
{
    (void)state;
    struct gpu gpu = h100();
    struct deployment deployment = {
        .model = model_of("openai/gpt-oss-20b"), .gpu = &gpu, .engine = profile_of("sglang", NULL)};
    assert_non_null(deployment.model);
    deployment_default(&deployment);
    deployment.max_batched_tokens = 0;
    assert_near("gpt-oss-20b", 32 * memory_sequence_bytes(&deployment, 8192) / GIB, 6.09375, 1e-9);
    deployment.engine = profile_of("tensorrt-llm", NULL); /* keeps the whole context of all layers */
    assert_near("whole", 32 * memory_sequence_bytes(&deployment, 8192) / GIB, 12, 1e-9);
}

/* ollama 6160: mistral-small-2409 (22B), context 49,152: the q8_0 cache is 5,712 MiB in all. */
static void test_llama_cpp_slots(void **state)
{
    (void)state;
    struct model model = {.architecture = "MistralForCausalLM",
                          .parameters = 22247282688,
                          .layers = 56,
                          .hidden_size = 6144,
                          .attention_heads = 48,
                          .kv_heads = 8,
                          .head_dim = 128,
                          .intermediate_size = 16384,
                          .vocabulary_size = 32768,
                          .max_position_tokens = 131072,
                          .full_attention_layers = 56};
    struct gpu gpu = h100();
    struct deployment deployment = {.model = &model,
                                    .gpu = &gpu,
                                    .engine = profile_of("llama.cpp", NULL),
                                    .weight_dtype = DTYPE_Q6_K,
                                    .kv_dtype = DTYPE_Q8_0,
                                    .max_model_len_tokens = 49152};
    struct memory memory = size(&deployment);
    assert_near("KV", memory_sequence_bytes(&deployment, 49152) / MIB, 5712, 1e-9);
    assert_near("weights", memory.weights_bytes / MIB, 17295.40, 0.004);
    /* 192 MiB of compute buffers, and what nvidia-smi shows beyond the buffers */
    double sum = memory.weights_bytes + memory_sequence_bytes(&deployment, 49152) + memory.activations_bytes;
    assert_near("buffers", sum / MIB, 17295.40 + 5712.00 + 192.00, 0.006);
    assert_near("all", (sum + memory.overhead_bytes) / MIB, 23508, 0.006);
    /* gguf-parser-go's README: llama3.3 70B of ollama with a context of 2,048 takes 40.49 GiB */
    struct deployment large = {.model = model_of("meta-llama/Llama-3.3-70B-Instruct"),
                               .gpu = &gpu,
                               .engine = profile_of("llama.cpp", NULL),
                               .weight_dtype = DTYPE_Q4_K_M,
                               .max_sequences = 1,
                               .max_model_len_tokens = 2048};
    struct memory llama = size(&large);
    double used = llama.weights_bytes + llama.activations_bytes + llama.overhead_bytes;
    assert_near("llama3.3", (used + memory_sequence_bytes(&large, 2048)) / GIB, 40.49, 0.01);
    /* a slot is allocated whole, however short its request */
    assert_true(memory_sequences_at(&deployment, &memory, 100) == memory.max_concurrency);
}

/* vllm 21348 (Qwen3-235B fp8, TP4, H100): 16.46 GiB at SGLang's mem-fraction-static 0.93 and 8.11 GiB in vLLM 0.9;
 * vllm 23278: gpt-oss-120b does not start in vLLM 0.10 at the default 0.9, -2.14 GiB are left; 65.97 GiB of weights. */
static void test_other_engines(void **state)
{
    (void)state;
    struct gpu gpu = h100();
    static const struct {
        const char *engine, *version;
        double utilization_ratio, pool_gib, tokens, tolerance_ratio;
    } cases[] = {{"sglang", NULL, 0.93, 16.46, 367404, 0.03}, {"vllm", "0.9", 0.9, 8.11, 178880, 0.05}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct deployment qwen = {.model = model_of("Qwen/Qwen3-235B-A22B"),
                                  .gpu = &gpu,
                                  .engine = profile_of(cases[i].engine, cases[i].version),
                                  .weight_dtype = DTYPE_FP8,
                                  .tensor_parallel = 4,
                                  .max_model_len_tokens = 32768,
                                  .gpu_memory_utilization_ratio = cases[i].utilization_ratio};
        assert_non_null(qwen.model);
        struct memory sized = size(&qwen);
        assert_near(cases[i].engine, sized.kv_pool_bytes / GIB, cases[i].pool_gib, cases[i].tolerance_ratio);
        assert_near(cases[i].engine, (double)sized.kv_pool_tokens, cases[i].tokens, cases[i].tolerance_ratio);
    }

    struct deployment gpt = {.model = model_of("openai/gpt-oss-120b"),
                             .gpu = &gpu,
                             .engine = profile_of("vllm", "0.10.1"),
                             .max_model_len_tokens = 131072};
    assert_non_null(gpt.model);
    struct memory memory = size(&gpt);
    assert_near("weights", memory.weights_bytes / GIB, 65.9651, 0.002);
    assert_near("pool", memory.kv_pool_bytes / GIB, -2.14, 0.1);
    assert_false(memory.fits);
    assert_true(memory.max_concurrency == 0 && memory.max_context_tokens == 0 && memory.kv_pool_tokens == 0);
}

/* Pools of start-up logs on other GPUs and of older versions, with T as those engines profiled: the whole context
 * before chunked prefill. The 4090 pair is over PCIe. Tolerances in GiB: none promises more than half of one. */
static void test_logged_pools(void **state)
{
    (void)state;
    static const struct {
        const char *source, *version, *model, *gpu;
        enum dtype weights;
        uint32_t tp, batched_tokens;
        double total_gib, utilization_ratio, weights_gib, pool_gib, too_little_gib, too_much_gib;
    } cases[] = {
        {"vllm#10517", "0.6", "meta-llama/Llama-3.1-8B-Instruct", "rtx-3090", DTYPE_BF16, 1, 20000, 23.58, 0.9, 14.9888,
         3.81, 0.3, 0.15},
        {"vllm#10517", "0.6", "meta-llama/Llama-3.1-8B-Instruct", "rtx-3090", DTYPE_BF16, 1, 29000, 23.58, 0.9, 14.9888,
         2.89, 0.4, 0.1},
        {"vllm#23278", "0.10", "openai/gpt-oss-120b", "h100-sxm", DTYPE_MXFP4, 1, 0, 79.19, 0.9, 65.9651, -2.14, 0.5,
         0.5},
        {"vllm#27508", "0.11", "openai/gpt-oss-120b", "h100-sxm", DTYPE_MXFP4, 1, 1024, 79.19, 0.95, 65.9651, 1.71, 0.6,
         0.5},
        {"parser fixture", "0.8", "meta-llama/Llama-3.1-8B-Instruct", "h100-sxm", DTYPE_BF16, 1, 0, 79.11, 0.9, 14.99,
         54.62, 0.2, 0.2},
        {"unsloth", "0.8", "Qwen/Qwen2.5-1.5B-Instruct", "t4", DTYPE_FP16, 1, 32768, 14.56, 0.5, 2.8884, 2.36, 0.5, 0},
        {"vllm#13061", "0.7", "Qwen/Qwen2.5-14B", "rtx-4090", DTYPE_BF16, 2, 512, 23.55, 0.98, 13.9476, 8.69, 2, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct gpu *known = NULL;
        assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_USER, cases[i].gpu, "gpu", &problems, &known), STATUS_OK);
        struct gpu gpu = *known;
        gpu.memory_cuda_mib = cases[i].total_gib * 1024;
        struct deployment deployment = {.model = model_of(cases[i].model),
                                        .gpu = &gpu,
                                        .engine = profile_of("vllm", cases[i].version),
                                        .weight_dtype = cases[i].weights,
                                        .tensor_parallel = cases[i].tp,
                                        .max_batched_tokens = cases[i].batched_tokens,
                                        .max_model_len_tokens = 8192,
                                        .gpu_memory_utilization_ratio = cases[i].utilization_ratio};
        assert_non_null(deployment.model);
        struct memory memory = size(&deployment);
        assert_near(cases[i].source, memory.weights_bytes / GIB, cases[i].weights_gib, 0.012);
        double too_much = memory.kv_pool_bytes / GIB - cases[i].pool_gib;
        if (too_much > cases[i].too_much_gib || -too_much > cases[i].too_little_gib)
            fail_msg("%s: %.2f GiB off", cases[i].source, too_much);
    }
}

/* llm-d-planner: Llama-70B in bf16 on GPUs of 80 GB runs at TP 2, 4, 8. */
static void test_smallest_layout(void **state)
{
    (void)state;
    struct gpu gpu = h100();
    for (uint32_t tp = 1; tp <= 8; tp *= 2) {
        struct deployment deployment = {.model = model_of("meta-llama/Llama-3.3-70B-Instruct"),
                                        .gpu = &gpu,
                                        .engine = profile_of("vllm", "0.19"),
                                        .tensor_parallel = tp,
                                        .max_model_len_tokens = 4096};
        assert_non_null(deployment.model);
        assert_int_equal(size(&deployment).fits, tp >= 2);
    }
}

static void test_checkpoint_size_overrides(void **state)
{
    (void)state;
    struct gpu gpu = h100();
    struct deployment deployment = {.model = model_of("Qwen/Qwen3-8B"),
                                    .gpu = &gpu,
                                    .engine = profile_of("vllm", "0.19"),
                                    .weight_dtype = DTYPE_FP8,
                                    .tensor_parallel = 2,
                                    .max_model_len_tokens = 8192};
    assert_non_null(deployment.model);
    double derived = size(&deployment).weights_bytes;
    deployment.weights_bytes = memory_weights_total_bytes(deployment.model, DTYPE_FP8);
    assert_near("the same size", size(&deployment).weights_bytes, derived, 1e-12);
    double rotary = 40960.0 * 128 * 2; /* is in no checkpoint */
    deployment.weights_bytes *= 2;
    assert_near("twice the size", size(&deployment).weights_bytes, 2 * derived - rotary, 1e-12);
}

/* vLLM lora/layers, worked out for Llama-3.1-8B: of A and B of a column-parallel matrix B is split, of a row-parallel
 * one A; embedding and head are whole. Attention and FFN of a layer: 26,624 and 55,296 elements of a rank. */
static void test_lora_slots(void **state)
{
    (void)state;
    static const struct {
        uint32_t tp;
        enum lora_targets targets;
        double elements;
    } cases[] = {
        {1, LORA_ALL_LINEAR, 32 * (26624 + 55296) + 2 * (128256 + 4096)},
        {1, LORA_ATTENTION, 32 * 26624},
        {2, LORA_ATTENTION, 32 * (4096 + 2048 + 2 * (4096 + 512) + 2048 + 4096)},
        {16, LORA_ATTENTION, 32 * (4096 + 256 + 2 * (4096 + 128) + 256 + 4096)}, /* a KV head is not split */
    };
    struct gpu gpu = h100();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct deployment deployment = {.model = model_of("meta-llama/Llama-3.1-8B-Instruct"),
                                        .gpu = &gpu,
                                        .engine = profile_of("vllm", "0.19"),
                                        .tensor_parallel = cases[i].tp,
                                        .max_model_len_tokens = 8192};
        double before = size(&deployment).kv_pool_bytes;
        deployment.max_loras = 4;
        deployment.max_lora_rank = 64;
        deployment.lora_targets = cases[i].targets;
        struct memory memory = size(&deployment);
        assert_near("slots", memory.lora_bytes, 4.0 * 64 * 2 * cases[i].elements, 1e-12);
        assert_near("pool", memory.kv_pool_bytes, before - memory.lora_bytes, 1e-12);
    }
}

/* A draft model's weights and cache beside the model's; the prediction layer of DeepSeek-V3 has 11.5 billion weights
 * besides embedding and head, which it shares (README of the model: 14 with both). */
static void test_drafts(void **state)
{
    (void)state;
    struct gpu gpu = h100();
    struct deployment deployment = {.model = model_of("meta-llama/Llama-3.3-70B-Instruct"),
                                    .gpu = &gpu,
                                    .engine = profile_of("vllm", "0.19"),
                                    .tensor_parallel = 4,
                                    .max_model_len_tokens = 8192};
    struct memory without = size(&deployment);
    deployment.draft_kind = DRAFT_MODEL;
    deployment.draft_model = model_of("meta-llama/Llama-3.2-1B-Instruct");
    deployment.draft_tokens = 4;
    struct memory with = size(&deployment);
    assert_near("draft", with.draft_bytes, 1235814400.0 * 2 / 4 + 131072.0 * 64 * 2, 0.005);
    assert_near("cache", with.draft_kv_bytes_per_token, 16 * 2 * 2 * 64 * 2, 1e-12);
    assert_near("both", with.kv_bytes_per_token, without.kv_bytes_per_token + with.draft_kv_bytes_per_token, 1e-12);
    double tokens = with.kv_pool_bytes / with.kv_bytes_per_token;
    assert_near("tokens", (double)with.kv_pool_tokens, tokens, 0.001);
    assert_near("concurrency", with.max_concurrency, tokens / 8192, 0.001);

    struct deployment deepseek = {.model = model_of("deepseek-ai/DeepSeek-V3"),
                                  .gpu = &gpu,
                                  .engine = profile_of("vllm", "0.19"),
                                  .draft_kind = DRAFT_MTP,
                                  .draft_tokens = 1,
                                  .max_model_len_tokens = 8192};
    struct memory memory = size(&deepseek);
    assert_near("prediction layer", memory.draft_bytes, 11.6e9, 0.02);
    assert_near("its cache", memory.draft_kv_bytes_per_token, 576 * 2, 1e-12);
    deepseek.draft_kind = DRAFT_NGRAM;
    assert_true(size(&deepseek).draft_bytes == 0 && size(&deepseek).draft_kv_bytes_per_token == 0);
}

/* Weights in host memory free what they take on the GPU, up to the layers; llama.cpp's layers take their cache along.
 */
static void test_host_memory(void **state)
{
    (void)state;
    struct gpu gpu = h100();
    struct deployment deployment = {.model = model_of("meta-llama/Llama-3.1-8B-Instruct"),
                                    .gpu = &gpu,
                                    .engine = profile_of("vllm", "0.19"),
                                    .max_model_len_tokens = 8192};
    struct memory whole = size(&deployment);
    deployment.cpu_offload_gib = 4;
    struct memory offloaded = size(&deployment);
    assert_near("pool", offloaded.kv_pool_bytes, whole.kv_pool_bytes + 4 * GIB, 1e-12);
    assert_near("weights", offloaded.weights_bytes, whole.weights_bytes - 4 * GIB, 1e-12);
    deployment.cpu_offload_gib = 100;
    assert_near("all layers", size(&deployment).offloaded_bytes, (8030261248 - 2 * 128256.0 * 4096) * 2, 1e-6);

    gpu.host.unified = true; /* its memory is the host's: nothing moves */
    struct memory unified = size(&deployment);
    assert_true(unified.offloaded_bytes == 0 && unified.kv_pool_bytes == whole.kv_pool_bytes);
    deployment.kv_offload_gib = 64;
    assert_true(deployment_lacks_host(&deployment) && size(&deployment).kv_host_tokens == 0);
    gpu.host.unified = false;
    deployment.cpu_offload_gib = 0;
    struct memory cached = size(&deployment); /* 32 layers, 8 heads of 128, keys and values in 16 bits */
    assert_true(cached.kv_host_tokens == 64 * GIB / 131072 && cached.kv_pool_bytes == whole.kv_pool_bytes);
    assert_true(cached.max_concurrency == whole.max_concurrency);
    deployment.tensor_parallel = 8;
    assert_true(size(&deployment).kv_host_tokens == cached.kv_host_tokens); /* each rank has a head */
    deployment.tensor_parallel = 1;
    deployment.kv_offload_gib = 0;
    deployment.engine = profile_of("llama.cpp", NULL);
    deployment.weight_dtype = DTYPE_Q4_K_M;
    deployment.max_sequences = 1;
    struct memory all = size(&deployment);
    deployment.gpu_layers = 33;
    assert_true(size(&deployment).weights_bytes == all.weights_bytes);
    deployment.gpu_layers = 16;
    struct memory half = size(&deployment);
    assert_near("half the cache", half.kv_bytes_per_token, all.kv_bytes_per_token / 2, 1e-12);
    double head = 128256.0 * 4096 * 6.5625 / 8, rotary = 131072.0 * 128 * 2;
    assert_near("half the layers", half.weights_bytes - rotary, (all.weights_bytes - rotary - head) / 2, 1e-6);
}

/* fp32 activations: the log says 2.21 GiB and 175,296 tokens of an fp32 cache. */
static void test_wide_activations(void **state)
{
    (void)state;
    struct gpu gpu = h100();
    struct deployment deployment = {.model = model_of("meta-llama/Llama-3.1-8B-Instruct"),
                                    .gpu = &gpu,
                                    .engine = profile_of("vllm", "0.19"),
                                    .weight_dtype = DTYPE_FP32,
                                    .max_model_len_tokens = 8192,
                                    .gpu_memory_utilization_ratio = 0.95};
    struct memory memory = size(&deployment);
    assert_near("activations", memory.activations_bytes / GIB, 2.21, 0.01);
    assert_near("tokens", (double)memory.kv_pool_tokens, 175296, 0.002);
}

/* PCIe cards have no memory for NVLink's multicast; a MIG slice is a GPU of its own size. */
static void test_slices_and_links(void **state)
{
    (void)state;
    struct gpu gpu = h100(), apart = gpu;
    apart.link_gb_per_s = 0;
    struct deployment linked = {.model = model_of("meta-llama/Llama-3.1-8B-Instruct"),
                                .gpu = &gpu,
                                .engine = profile_of("vllm", "0.19"),
                                .tensor_parallel = 2,
                                .max_model_len_tokens = 8192};
    struct deployment over_pcie = linked;
    over_pcie.gpu = &apart;
    double more = size(&over_pcie).kv_pool_bytes - size(&linked).kv_pool_bytes;
    assert_near("over PCIe", more / GIB, 2.07 - 0.25 - 342 / 1024.0, 1e-9);

    static const struct {
        const char *gpu, *profile;
        double gib, bandwidth_ratio, compute_ratio;
    } slices[] = {{"h100-sxm", "3g.40gb", 39.5, 0.5, 60.0 / 132},
                  {"h100-pcie", "1G.10GB", 9.75, 0.125, 14.0 / 114},
                  {"a100-80gb-pcie", "2g.20gb", 19.5, 0.25, 28.0 / 108},
                  {"h200-nvl", "1g.18gb", 16, 0.125, 16.0 / 132},
                  {"b200-sxm", "2g.45gb", 182630.4 / 4 / 1024, 0.25, 2.0 / 7},
                  {"a30", "2g.12gb", 24094.7 / 2 / 1024, 0.5, 0.5}};
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++) {
        const struct gpu *part = NULL;
        struct gpu slice;
        assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_USER, slices[i].gpu, "gpu", &problems, &part), STATUS_OK);
        const struct mig_profile *profile = mig_find(part, slices[i].profile);
        assert_non_null(profile);
        mig_slice(part, profile, &slice);
        assert_true(slice.is_mig_slice && !part->is_mig_slice && slice.link_domain_gpus == 1);
        assert_near(slices[i].profile, slice.memory_cuda_mib / 1024, slices[i].gib, 1e-4);
        assert_near("bandwidth", slice.memory_bandwidth_gb_per_s,
                    part->memory_bandwidth_gb_per_s * slices[i].bandwidth_ratio, 1e-9);
        assert_near("peak", slice.peak_tflops[PEAK_FP16], part->peak_tflops[PEAK_FP16] * slices[i].compute_ratio, 1e-9);
    }
    assert_null(mig_find(&gpu, "1g.18gb"));
}

static void test_refused_models(void **state)
{
    (void)state;
    struct gpu gpu = h100();
    struct model encoder = {.architecture = "BertModel", .parameters = 3e8, .layers = 24, .encoder_only = true};
    struct model size_only = {.architecture = "", .parameters = 70e9};
    struct deployment deployment = {.model = &encoder, .gpu = &gpu, .engine = profile_of("vllm", "0.19")};
    struct memory memory = {.weights_bytes = 42};
    deployment_default(&deployment);
    assert_int_equal(memory_size(&deployment, &memory), STATUS_UNSUPPORTED_MODEL_KIND);
    deployment.model = &size_only;
    assert_int_equal(memory_size(&deployment, &memory), STATUS_UNSUPPORTED_MODEL_KIND);
    assert_true(memory.weights_bytes == 42);
    model_assume_architecture(&size_only);
    assert_int_equal(memory_size(&deployment, &memory), STATUS_OK);
}

/* --- properties of random models --- */

static uint32_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * 1664525U + 1013904223U; /* Numerical Recipes */
    return (random_state >> 8) % bound;
}

static struct model random_model(void)
{
    struct model model = {.architecture = "",
                          .layers = 1 + random_below(128),
                          .hidden_size = 64 * (1 + random_below(256)),
                          .attention_heads = 1U << random_below(8),
                          .head_dim = 32U << random_below(4),
                          .intermediate_size = 64 * random_below(900),
                          .vocabulary_size = 1 + random_below(300000),
                          .max_position_tokens = random_below(4) ? 1 + random_below(2000000) : 0,
                          .tied_embeddings = random_below(2),
                          .native_multimodal = random_below(2)};
    model.kv_heads = 1U << random_below(8);
    if (model.kv_heads > model.attention_heads) model.kv_heads = model.attention_heads;
    model.parameters = 1e6 * (1 + random_below(1000000));
    model.active_parameters = model.parameters;
    model.sliding_layers = random_below(3) ? 0 : random_below(model.layers + 1);
    model.linear_layers = random_below(3) ? 0 : random_below(model.layers + 1 - model.sliding_layers);
    model.full_attention_layers = model.layers - model.sliding_layers - model.linear_layers;
    model.sliding_window_tokens = model.sliding_layers ? 1 + random_below(10000) : 0;
    model.chunked = random_below(2);
    model.ssm_state_elements = model.linear_layers ? 1 + random_below(1 << 24) : 0;
    if (!random_below(4)) {
        model.kv_lora_rank = 512;
        model.qk_rope_head_dim = 64;
    }
    if (!random_below(3)) {
        model.experts = 2 + random_below(500);
        model.experts_per_token = 1 + random_below(model.experts);
        model.moe_intermediate_size = 64 * (1 + random_below(100));
        model.active_parameters *= 0.3;
    }
    return model;
}

static struct deployment random_deployment(const struct model *model, const struct gpu *gpu)
{
    static const char *const engines[] = {"vllm", "tensorrt-llm", "sglang", "llama.cpp"};
    struct deployment deployment = {.model = model,
                                    .gpu = gpu,
                                    .engine = profile_of(engines[random_below(4)], NULL),
                                    .weight_dtype = (enum dtype)(1 + random_below(DTYPE_COUNT - 1)),
                                    .kv_dtype = DTYPE_BF16,
                                    .tensor_parallel = 1U << random_below(4),
                                    .pipeline_parallel = 1 + random_below(model->layers < 5 ? 1 : 5),
                                    .max_model_len_tokens = 1 + random_below(200000),
                                    .max_loras = random_below(3),
                                    .max_lora_rank = 8};
    if (model->experts && random_below(2)) deployment.expert_parallel = deployment.tensor_parallel;
    deployment_default(&deployment);
    return deployment;
}

static void check_sane(const struct deployment *deployment, const struct memory *memory)
{
    assert_true(memory->weights_bytes > 0 && memory->activations_bytes > 0 && memory->overhead_bytes > 0);
    assert_true(isfinite(memory->kv_pool_bytes) && isfinite(memory->max_concurrency) && memory->max_concurrency >= 0);
    assert_true(memory->kv_bytes_per_token >= 0 && memory->state_bytes_per_sequence >= 0 && memory->kv_units >= 0);
    assert_int_equal(memory->fits, memory->max_concurrency >= 1);
    uint32_t limit = deployment->model->max_position_tokens;
    if (limit) assert_true(memory->max_context_tokens <= limit);
    if (memory->fits && (!limit || deployment->max_model_len_tokens <= limit)) {
        assert_true(memory->max_context_tokens > 0);
        double one = memory_sequence_bytes(deployment, deployment->max_model_len_tokens);
        assert_true(one > 0 && one <= memory->kv_pool_bytes * (1 + 1e-9));
    }
}

/* The longest context fits, and a block more would not. */
static void check_longest(const struct deployment *deployment, const struct memory *memory)
{
    if (memory->max_context_tokens == 0) return;
    struct deployment longest = *deployment;
    longest.max_model_len_tokens = memory->max_context_tokens;
    assert_true(memory_sequences_at(&longest, memory, memory->max_context_tokens) >= 1);
    if (memory->max_context_tokens == deployment->model->max_position_tokens) return;
    longest.max_model_len_tokens = 1 << 21; /* above the longest that is answered where no limit is stated */
    if (memory->max_context_tokens < 1 << 20) assert_true(memory_sequences_at(&longest, memory, 1 << 21) < 1);
}

/* What is kept in host memory never takes from the context, and caches there change nothing on the GPU. */
static void check_offload(const struct deployment *deployment, const struct memory *memory)
{
    struct deployment other = *deployment;
    struct memory more;
    other.cpu_offload_gib = 1 + random_below(50);
    assert_int_equal(memory_size(&other, &more), STATUS_OK);
    assert_true(more.max_context_tokens >= memory->max_context_tokens);
    assert_true(more.max_concurrency >= memory->max_concurrency && more.offloaded_bytes >= memory->offloaded_bytes);
    other.cpu_offload_gib = 0;
    other.kv_offload_gib = 1 + random_below(500);
    assert_int_equal(memory_size(&other, &more), STATUS_OK);
    assert_true(more.max_context_tokens == memory->max_context_tokens && more.kv_units == memory->kv_units);
    assert_true(more.kv_host_tokens >= 0 && isfinite(more.kv_host_tokens));
}

static void check_monotone(const struct deployment *deployment, const struct memory *memory)
{
    struct gpu larger = *deployment->gpu;
    larger.memory_cuda_mib *= 1.25;
    struct deployment other = *deployment;
    other.gpu = &larger;
    struct memory more;
    assert_int_equal(memory_size(&other, &more), STATUS_OK);
    assert_true(more.kv_pool_bytes >= memory->kv_pool_bytes && more.max_concurrency >= memory->max_concurrency);
    assert_true(more.max_context_tokens >= memory->max_context_tokens);
    check_offload(deployment, memory);
    double before = INFINITY;
    for (double tokens = 1; tokens < 1e6; tokens *= 3) {
        double sequences = memory_sequences_at(deployment, memory, tokens);
        assert_true(sequences <= before && sequences >= 0);
        before = sequences;
    }
}

/* Twice the ranks never hold more each, of weights, of the cache, of adapters. */
static void check_tensor_parallel(const struct deployment *deployment, const struct memory *memory)
{
    struct deployment wider = *deployment;
    wider.tensor_parallel *= 2;
    if (deployment->expert_parallel > 1) wider.expert_parallel = wider.tensor_parallel;
    struct memory less;
    assert_int_equal(memory_size(&wider, &less), STATUS_OK);
    if (deployment->pipeline_parallel > 1) return; /* another stage may be the fullest */
    assert_true(less.weights_bytes <= memory->weights_bytes * (1 + 1e-12));
    assert_true(less.lora_bytes <= memory->lora_bytes && less.kv_bytes_per_token <= memory->kv_bytes_per_token);
}

/* Half the bytes, twice the tokens, but for the blocks that do not divide; models without states. */
static void check_fp8_kv(const struct deployment *deployment, const struct memory *memory)
{
    if (deployment->model->linear_layers || memory->kv_pool_bytes <= 0) return;
    struct deployment fp8 = *deployment;
    fp8.kv_dtype = DTYPE_FP8;
    struct memory half;
    assert_int_equal(memory_size(&fp8, &half), STATUS_OK);
    assert_true(half.kv_units >= 2 * memory->kv_units && half.kv_units <= 2 * memory->kv_units + 1);
    assert_true(half.kv_bytes_per_token * 2 == memory->kv_bytes_per_token);
    double block = deployment->engine->coef.kv_block_tokens, tokens = (double)memory->kv_pool_tokens;
    assert_true((double)half.kv_pool_tokens >= 2 * tokens && (double)half.kv_pool_tokens <= 2 * (tokens + block));
}

static void test_properties(void **state)
{
    (void)state;
    enum { ROUNDS = 3000 };
    uint32_t seed = 20261123;
    print_message("seed %u\n", seed);
    random_state = seed;
    size_t fitting = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct model model = random_model();
        struct gpu gpu = h100();
        gpu.memory_cuda_mib = 8000 * (1 + random_below(40));
        struct deployment deployment = random_deployment(&model, &gpu);
        struct memory memory;
        assert_int_equal(memory_size(&deployment, &memory), STATUS_OK);
        check_sane(&deployment, &memory);
        check_longest(&deployment, &memory);
        check_monotone(&deployment, &memory);
        check_tensor_parallel(&deployment, &memory);
        check_fp8_kv(&deployment, &memory);
        fitting += memory.fits;
    }
    assert_in_range(fitting, ROUNDS / 10, ROUNDS - ROUNDS / 10); /* both sides were seen */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_up_logs),
        cmocka_unit_test(test_all_start_up_logs),
        cmocka_unit_test(test_middle_stage),
        cmocka_unit_test(test_checkpoint_bytes),
        cmocka_unit_test(test_weights_split),
        cmocka_unit_test(test_kv_bytes_per_token),
        cmocka_unit_test(test_state_raises_the_block),
        cmocka_unit_test(test_separate_windows),
        cmocka_unit_test(test_llama_cpp_slots),
        cmocka_unit_test(test_other_engines),
        cmocka_unit_test(test_logged_pools),
        cmocka_unit_test(test_smallest_layout),
        cmocka_unit_test(test_checkpoint_size_overrides),
        cmocka_unit_test(test_lora_slots),
        cmocka_unit_test(test_drafts),
        cmocka_unit_test(test_host_memory),
        cmocka_unit_test(test_wide_activations),
        cmocka_unit_test(test_slices_and_links),
        cmocka_unit_test(test_refused_models),
        cmocka_unit_test(test_properties),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
