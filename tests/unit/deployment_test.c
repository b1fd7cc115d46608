/* deployment_test.c owns the proof of sizing/deployment.h: defaults per engine and GPU, layouts, assumed shapes. */
#include "catalog/load.h"
#include "sizing/memory.h"
#include "support/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct deployment deployment_of(const char *model, const char *gpu, const char *engine, const char *version)
{
    struct deployment deployment = {0};
    assert_int_equal(snapshot_find_model(snapshot, ALIAS_USER, model, "model", &problems, &deployment.model),
                     STATUS_OK);
    assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_USER, gpu, "gpu", &problems, &deployment.gpu), STATUS_OK);
    assert_int_equal(snapshot_find_profile(snapshot, engine, version, "engine", &problems, &deployment.engine),
                     STATUS_OK);
    return deployment;
}

/* Defaults as vLLM, TensorRT-LLM, SGLang and llama.cpp document them. */
static void test_defaults(void **state)
{
    (void)state;
    static const struct {
        const char *model, *gpu, *engine, *version;
        enum dtype weights, kv;
        uint32_t step_tokens, sequences;
        double utilization_ratio;
    } cases[] = {
        {"Qwen/Qwen3-8B", "h100-sxm", "vllm", "0.19", DTYPE_BF16, DTYPE_BF16, 8192, 1024, 0.90},
        {"Qwen/Qwen3-8B", "h100-sxm", "vllm", NULL, DTYPE_BF16, DTYPE_BF16, 8192, 1024, 0.92},
        {"Qwen/Qwen3-8B", "h100-sxm", "vllm", "0.8.5", DTYPE_BF16, DTYPE_BF16, 8192, 256, 0.90},
        {"Qwen/Qwen3-8B", "a100-80gb-sxm", "vllm", "0.19", DTYPE_BF16, DTYPE_BF16, 2048, 256, 0.90},
        {"Qwen/Qwen3-8B", "l4", "vllm", "0.19", DTYPE_BF16, DTYPE_BF16, 2048, 256, 0.90},
        {"Qwen/Qwen3-8B", "t4", "vllm", "0.19", DTYPE_FP16, DTYPE_FP16, 2048, 256, 0.90},
        {"Qwen/Qwen3-8B", "mi300x", "vllm", "0.19", DTYPE_BF16, DTYPE_BF16, 8192, 1024, 0.90},
        {"openai/gpt-oss-20b", "h100-sxm", "vllm", "0.19", DTYPE_MXFP4, DTYPE_BF16, 8192, 1024, 0.90},
        {"meta-llama/Llama-2-7b-hf", "h100-sxm", "vllm", "0.19", DTYPE_FP16, DTYPE_FP16, 8192, 1024, 0.90},
        {"openai-community/gpt2", "h100-sxm", "vllm", "0.19", DTYPE_BF16, DTYPE_BF16, 8192, 1024, 0.90},
        {"Qwen/Qwen3-8B", "h100-sxm", "tensorrt-llm", NULL, DTYPE_BF16, DTYPE_BF16, 8192, 2048, 1.0},
        {"Qwen/Qwen3-8B", "h100-sxm", "llama.cpp", NULL, DTYPE_BF16, DTYPE_BF16, 512, 4, 1.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct deployment deployment = deployment_of(cases[i].model, cases[i].gpu, cases[i].engine, cases[i].version);
        deployment_default(&deployment);
        assert_int_equal(deployment.weight_dtype, cases[i].weights);
        assert_int_equal(deployment.kv_dtype, cases[i].kv);
        assert_int_equal(deployment.max_batched_tokens, cases[i].step_tokens);
        assert_int_equal(deployment.max_sequences, cases[i].sequences);
        assert_true(deployment.gpu_memory_utilization_ratio == cases[i].utilization_ratio);
        assert_int_equal(deployment.max_model_len_tokens, deployment.model->max_position_tokens);
        assert_int_equal(deployment_gpus(&deployment), 1);
    }
}

/* 512 + 1.5 × 8192 + 1024 / 8 × 2 + 2 × 256 MiB of reserve on an H100 at TP 2; 512 + 1.5 × 2048 + 128 + 16 on a T4. */
static void test_sglang_reserve(void **state)
{
    (void)state;
    struct deployment large = deployment_of("Qwen/Qwen3-8B", "h100-sxm", "sglang", NULL);
    large.tensor_parallel = 2;
    deployment_default(&large);
    assert_int_equal(large.max_batched_tokens, 8192);
    assert_true(fabs(large.gpu_memory_utilization_ratio - (1 - 13568 / large.gpu->memory_cuda_mib)) < 1e-12);
    deployment_set_layout(&large, 4, 2); /* six GPUs more: 128 MiB each, as 13568 has for two */
    assert_true(fabs(large.gpu_memory_utilization_ratio - (1 - 14336 / large.gpu->memory_cuda_mib)) < 1e-12);
    struct deployment given = deployment_of("Qwen/Qwen3-8B", "h100-sxm", "sglang", NULL);
    given.gpu_memory_utilization_ratio = 0.5;
    deployment_default(&given);
    deployment_set_layout(&given, 4, 2);
    assert_true(given.gpu_memory_utilization_ratio == 0.5);
    struct deployment small = deployment_of("Qwen/Qwen3-8B", "t4", "sglang", NULL);
    deployment_default(&small);
    assert_int_equal(small.max_batched_tokens, 2048);
    assert_true(fabs(small.gpu_memory_utilization_ratio - (1 - 3728 / small.gpu->memory_cuda_mib)) < 1e-12);
}

static void test_given_values_stay(void **state)
{
    (void)state;
    struct deployment given = deployment_of("Qwen/Qwen3-8B", "h100-sxm", "vllm", "0.19");
    given.weight_dtype = DTYPE_FP8;
    given.kv_dtype = DTYPE_FP8;
    given.tensor_parallel = given.link_gpus = 4;
    given.pipeline_parallel = 2;
    given.expert_parallel = 1;
    given.max_model_len_tokens = 4096;
    given.max_batched_tokens = 1024;
    given.max_sequences = 64;
    given.gpu_memory_utilization_ratio = 0.8;
    given.weights_bytes = 9e9;
    given.gpu_used_gib = 1;
    struct deployment filled = given;
    deployment_default(&filled);
    memcpy(given.fits, filled.fits, sizeof given.fits); /* found, not given */
    memcpy(given.kin, filled.kin, sizeof given.kin);
    assert_memory_equal(&filled, &given, sizeof given);
    given.weights_bytes = 0;
    deployment_default(&given);
    assert_true(isnan(given.weights_bytes));
}

static void test_layouts(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        uint32_t tp, pp, ep;
        bool valid;
    } cases[] = {
        {"Qwen/Qwen3-14B", 4, 1, 1, true},
        {"Qwen/Qwen3-14B", 5, 1, 1, false},  /* 8 KV heads; vLLM refused it in the logs of the memory table */
        {"Qwen/Qwen3-14B", 16, 1, 1, false}, /* 40 heads */
        {"meta-llama/Llama-3.1-8B-Instruct", 16, 1, 1, true}, /* 8 KV heads twice */
        {"meta-llama/Llama-3.1-8B-Instruct", 1, 32, 1, true},
        {"meta-llama/Llama-3.1-8B-Instruct", 1, 33, 1, false},
        {"meta-llama/Llama-3.1-8B-Instruct", 2, 1, 2, false}, /* no experts */
        {"deepseek-ai/DeepSeek-V2-Lite", 16, 1, 16, true},
        {"mistralai/Mixtral-8x7B-v0.1", 4, 1, 4, true},
        {"mistralai/Mixtral-8x7B-v0.1", 4, 1, 2, false},
        {"state-spaces/mamba-2.8b-hf", 4, 1, 1, true},
        {"Qwen/Qwen3-14B", 0, 1, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct deployment deployment = deployment_of(cases[i].model, "h100-sxm", "vllm", "0.19");
        deployment.tensor_parallel = cases[i].tp;
        deployment.pipeline_parallel = cases[i].pp;
        deployment.expert_parallel = cases[i].ep;
        if (deployment_layout_valid(&deployment) != cases[i].valid)
            fail_msg("%s tp %u pp %u ep %u", cases[i].model, cases[i].tp, cases[i].pp, cases[i].ep);
    }
}

/* The shape that is assumed for a bare size agrees with that size, and with models of that size. */
static void test_assumed_architecture(void **state)
{
    (void)state;
    static const struct {
        double parameters;
        const char *like;
    } cases[] = {
        {1235814400, "meta-llama/Llama-3.2-1B-Instruct"},
        {3212749824, "meta-llama/Llama-3.2-3B-Instruct"},
        {8030261248, "meta-llama/Llama-3.1-8B-Instruct"},
        {14768307200, "Qwen/Qwen3-14B"},
        {32763876352, "Qwen/Qwen2.5-32B"},
        {70553706496, "meta-llama/Llama-3.3-70B-Instruct"},
        {405853388800, "meta-llama/Llama-3.1-405B"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct deployment like = deployment_of(cases[i].like, "h100-sxm", "vllm", "0.19");
        struct model assumed = {.architecture = "", .parameters = cases[i].parameters};
        model_assume_architecture(&assumed);
        assert_int_equal(assumed.layers, like.model->layers);
        assert_int_equal(assumed.hidden_size, like.model->hidden_size);
        double off = (double)assumed.intermediate_size / like.model->intermediate_size - 1;
        assert_true(fabs(off) < 0.05);
        model_assume_architecture(&assumed); /* again: nothing left to assume */
        assert_int_equal(assumed.layers, like.model->layers);
    }
}

static void test_assumed_sizes_are_usable(void **state)
{
    (void)state;
    double weights_before = 0;
    for (double parameters = 1e6; parameters < 5e12; parameters *= 1.3) {
        struct model assumed = {.architecture = "", .parameters = parameters};
        model_assume_architecture(&assumed);
        assert_int_equal(assumed.hidden_size % assumed.attention_heads, 0);
        struct deployment deployment = deployment_of("Qwen/Qwen3-8B", "h100-sxm", "vllm", "0.19");
        deployment.model = &assumed;
        deployment_default(&deployment);
        struct memory memory;
        assert_int_equal(memory_size(&deployment, &memory), STATUS_OK);
        double weights = memory_weights_total_bytes(&assumed, DTYPE_BF16);
        assert_true(weights >= weights_before && memory.kv_bytes_per_token > 0);
        assert_true(parameters < 1e9 || fabs(weights / (2 * parameters) - 1) < 0.01);
        weights_before = weights;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_sglang_reserve),
        cmocka_unit_test(test_given_values_stay),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_assumed_architecture),
        cmocka_unit_test(test_assumed_sizes_are_usable),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
