/* evaluate_test.c owns the tests of service/evaluate: what rows mean, what is compared, and the statistics of it. */
#include "catalog/load.h"
#include "evaluate/group.h"
#include "evaluate/read.h"
#include "evaluate/report.h"
#include "import/import.h"
#include "support/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HEADER                                                                                                         \
    "uid,engine,engine_version,model,precision_weights,precision_kv,gpu,gpus_total,tp,pp,ep,isl,osl,concurrency,"      \
    "load_mode,out_tok_s_total,prefill_tok_s,ttft_ms,tpot_ms,e2e_s,notes\n"

static const struct run_defaults none = {"", "", "", "", "", "", UNKNOWN, ""};

static enum status read_text(const char *text, const struct run_defaults *defaults, struct runs *ret_runs)
{
    problems_init(&problems, &arena);
    *ret_runs = (struct runs){.count = 0};
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "rb");
    assert_non_null(file);
    enum status status = runs_read_file(file, "rows", snapshot, defaults, &arena, &problems, ret_runs);
    assert_int_equal(fclose(file), 0);
    return status;
}

static struct runs read_rows(const char *text)
{
    struct runs runs;
    assert_int_equal(read_text(text, &none, &runs), STATUS_OK);
    return runs;
}

static struct run one_run(const char *row)
{
    struct runs runs = read_rows(arena_printf(&arena, "%s%s", HEADER, row));
    assert_int_equal(runs.count, 1);
    return runs.items[0];
}

/* --- rows --- */

static void test_a_served_row(void **state)
{
    (void)state;
    struct run run = one_run("7,vLLM,vllm/vllm-openai:v0.18.0,Llama-3.1-8B,fp8_block,fp8,H100-SXM-80GB,8,2,1,,~150,128,"
                             "64,closed-loop,5000,,,12,,\n");
    assert_null(run.refused);
    assert_string_equal(run.uid, "7");
    assert_string_equal(run.deployment.model->id, "meta-llama/Llama-3.1-8B-Instruct");
    assert_string_equal(run.deployment.gpu->id, "h100-sxm");
    assert_string_equal(run.deployment.engine->version_from, "0.17");
    assert_int_equal(run.deployment.weight_dtype, DTYPE_FP8);
    assert_int_equal(run.deployment.kv_dtype, DTYPE_FP8);
    assert_int_equal(run.deployment.tensor_parallel, 2);
    assert_true(run.replicas == 4 && run.load.concurrency == 16 && run.input_tokens == 150);
    struct predicted whole[METRIC_COUNT], single[METRIC_COUNT];
    run_predict(&run, whole);
    run.replicas = 1;
    run_predict(&run, single);
    assert_true(whole[METRIC_TPOT_MS].value == single[METRIC_TPOT_MS].value);
    assert_true(fabs(whole[METRIC_OUTPUT_TOKENS_PER_SECOND].value / single[METRIC_OUTPUT_TOKENS_PER_SECOND].value - 4) <
                1e-5);
}

/* The decode rate of one sequence leaves the prompt out; the rate of a static batch does not. */
static void test_decode_leaves_the_prompt_out(void **state)
{
    (void)state;
    struct predicted decode[METRIC_COUNT], batch[METRIC_COUNT];
    struct run run =
        one_run("1,llama.cpp,b4000,Llama-3-8B,Q4_K_M,,RTX 4090 24GB,1,,,,2000,128,1,batch-1 decode,120,,,,,\n");
    run_predict(&run, decode);
    assert_int_equal(run.kind, RUN_DECODE);
    assert_true(fabs(decode[METRIC_OUTPUT_TOKENS_PER_SECOND].value * decode[METRIC_TPOT_MS].value - 1000) < 0.1);
    assert_false(is_known(decode[METRIC_E2E_MS].value));
    run.kind = RUN_SERVED;
    run_predict(&run, batch);
    assert_true(batch[METRIC_OUTPUT_TOKENS_PER_SECOND].value < decode[METRIC_OUTPUT_TOKENS_PER_SECOND].value);
}

static void test_one_prompt_is_a_rate(void **state)
{
    (void)state;
    struct run run =
        one_run("1,TensorRT-LLM,v0.5.0,Llama-2-7B,fp16,,A100-SXM-80GB,1,1,1,,2048,1,1,batch-1 prefill,,,186,,,\n");
    assert_int_equal(run.kind, RUN_PREFILL);
    assert_true(run.measured[METRIC_PREFILL_TOKENS_PER_SECOND] == 11010.8);
    assert_non_null(run.unscored[METRIC_TTFT_MS]);
}

struct layout {
    const char *row;
    uint32_t tensor, pipeline, expert;
    double replicas;
};

static void test_layouts(void **state)
{
    (void)state;
    static const struct layout layouts[] = {
        {"1,vLLM,,Llama-3.1-70B,,,H100-SXM-80GB,8,4,2,,128,128,8,closed-loop,1,,,,,\n", 4, 2, 1, 1},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,8,,,,128,128,8,closed-loop,1,,,,,\n", 8, 1, 1, 1},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,8,2,,,128,128,8,closed-loop,1,,,,,\n", 2, 1, 1, 4},
        {"1,vLLM,,Kimi-K2.5,fp4,,B200-180GB,4,1,1,4,128,128,8,closed-loop,1,,,,,\n", 4, 1, 4, 1},
        {"1,vLLM,,DeepSeek-R1-0528,fp8,,H200-SXM-141GB,8,8,1,8,128,128,8,closed-loop,1,,,,,\n", 8, 1, 8, 1},
        {"1,llama.cpp,,Llama-3-70B,F16,,A100-SXM-80GB,4,1,4,,128,128,1,batch-1 decode,1,,,,,\n", 1, 4, 1, 1},
        {"1,TensorRT-LLM,v1.0,Llama-3.3-70B,fp4,,RTX-PRO-6000-96GB,2,2,1,,128,128,max,max-load offline,1,,,,,\n", 1, 2,
         1, 1},
    };
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        struct run run = one_run(layouts[i].row);
        assert_null(run.refused);
        assert_int_equal(run.deployment.tensor_parallel, layouts[i].tensor);
        assert_int_equal(run.deployment.pipeline_parallel, layouts[i].pipeline);
        assert_int_equal(run.deployment.expert_parallel, layouts[i].expert);
        assert_true(run.replicas == layouts[i].replicas);
    }
}

static void test_profiles_by_version(void **state)
{
    (void)state;
    static const struct {
        const char *engine, *version, *load, *from;
    } cases[] = {
        {"vLLM", "0.5.x-0.6.1 (GH200 0.5.3.post1)", "static batch", "0.6"}, /* before the first profile */
        {"vLLM", "", "static batch", "0.6"},                                /* how 2024 measured */
        {"vLLM", "0.12.0", "closed-loop", "0.9"},
        {"vLLM", "median over dates since 2025-09-29", "closed-loop", "0.22"}, /* states none */
        {"TensorRT-LLM", "v0.17.0", "max-load offline", "0.17"},
        {"trt", "nvcr.io/nvidia/tensorrt-llm/release:1.2.0rc2", "closed-loop", "0.20"},
        {"dynamo-trt", "nvcr.io/nvidia/ai-dynamo/tensorrtllm-runtime:0.9.0", "closed-loop", "0.20"}, /* Dynamo's own */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run run = one_run(arena_printf(&arena, "1,%s,%s,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,128,128,8,%s,1,,,,,\n",
                                              cases[i].engine, cases[i].version, cases[i].load));
        assert_null(run.refused);
        assert_string_equal(run.deployment.engine->version_from, cases[i].from);
    }
}

static void test_formats(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum dtype native, dtype;
        bool same;
    } cases[] = {
        {"fp8_block", DTYPE_BF16, DTYPE_FP8, true},  {"FP8-dynamic", DTYPE_BF16, DTYPE_FP8, true},
        {"NVFP4", DTYPE_BF16, DTYPE_NVFP4, true},    {"fp4", DTYPE_BF16, DTYPE_NVFP4, false},
        {"fp4", DTYPE_MXFP4, DTYPE_MXFP4, false},    {"mxfp4", DTYPE_BF16, DTYPE_MXFP4, true},
        {"f16 gguf", DTYPE_BF16, DTYPE_FP16, true},  {"torch.bfloat16", DTYPE_BF16, DTYPE_BF16, true},
        {"int4 g32", DTYPE_BF16, DTYPE_INT4, false}, {"llama 8B Q4_K - Medium", DTYPE_BF16, DTYPE_Q4_K_M, true},
        {"q4_0", DTYPE_BF16, DTYPE_Q4_0, true},      {"W8A8", DTYPE_BF16, DTYPE_INT8, true},
        {"q4_k_s", DTYPE_BF16, DTYPE_Q4_K_S, true},  {"llama 8B Q4_K - Small", DTYPE_BF16, DTYPE_Q4_K_S, true},
        {"IQ2_M", DTYPE_BF16, DTYPE_IQ2_M, true},    {"qwen2 7B Q3_K - Medium", DTYPE_BF16, DTYPE_Q3_K_M, true},
        {"hqq", DTYPE_BF16, DTYPE_UNKNOWN, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool same = true;
        assert_int_equal(import_dtype(cases[i].text, cases[i].native, &same), cases[i].dtype);
        assert_true(same == cases[i].same);
    }
}

/* Each row stays, with what is wrong. */
static void test_refused_rows(void **state)
{
    (void)state;
    static const struct {
        const char *row, *reason;
    } cases[] = {
        {"1,vLLM,,Llama-9,,,H100-SXM-80GB,1,,,,1,1,8,closed-loop,1,,,,,\n", "model: there is no model \"Llama-9\""},
        {"1,vLLM,,,,,H100-SXM-80GB,1,,,,1,1,8,closed-loop,1,,,,,\n", "model: is not stated"},
        {"1,warp,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,1,1,8,closed-loop,1,,,,,\n", "engine: there is no engine \"warp\""},
        {"1,vLLM,,Llama-3.1-8B,hqq,,H100-SXM-80GB,1,,,,1,1,8,closed-loop,1,,,,,\n", "precision_weights: \"hqq\""},
        {"1,vLLM,,Llama-3.1-8B,,,A100-80GB(form?),1,,,,1,1,8,closed-loop,1,,,,,\n", "gpu: \"A100-80GB(form?)\" may be"},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,1,1,,closed-loop,1,,,,,\n", "concurrency: is not stated"},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,,1,8,closed-loop,1,,,,,\n", "isl: is not stated"},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,1,1,8,often,1,,,,,\n", "load_mode: is none of"},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1 (4),,,,1,1,8,closed-loop,1,,,,,\n",
         "gpus_total: \"1 (4)\" is no whole"},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,3,2,,,1,1,8,closed-loop,1,,,,,\n", "gpus_total: 3 GPUs are no whole"},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,1,4096,8,static batch,1,,,,0.04,\n", "e2e_s: less than 500 us"},
        {"1,vLLM,,Llama-3.1-8B\n", "line: 4 fields"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run run = one_run(cases[i].row);
        assert_non_null(run.refused);
        if (strncmp(run.refused, cases[i].reason, strlen(cases[i].reason)) != 0)
            fail_msg("\"%s\" instead of \"%s\"", run.refused, cases[i].reason);
    }
}

/* Lengths are drawn between 0.8 and 1.0 of what is stated; the engine is set up for the longest. */
static void test_lengths_drawn_at_random_count_as_their_mean(void **state)
{
    (void)state;
    struct run run = one_run("1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,1000,200,8,closed-loop,1,,,9,,"
                             "random data with isl/osl ratio 0.8-1.0 jitter\n");
    assert_true(run.input_tokens == 900 && run.output_tokens == 180);
    assert_int_equal(run.deployment.max_model_len_tokens, 1200);
    run = one_run("1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,1000,200,8,closed-loop,1,,,9,,isl/osl ratio 3-5 jitter\n");
    assert_true(run.input_tokens == 1000 && run.output_tokens == 200);
}

/* 8 requests of 100 tokens in 2 s each are 400 tokens/s; a run at half of that did not have 8 in flight. */
static void test_throughput_against_littles_law(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        bool compared;
    } cases[] = {
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,100,100,8,closed-loop,370,,,9,2,\n", true},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,100,100,8,closed-loop,200,,,9,2,\n", false},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,100,100,8,closed-loop,900,,,9,2,\n", false},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,4,1,,,100,100,8,closed-loop,370,,,9,2,\n", true}, /* 4 replicas of 2 */
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,100,100,8,closed-loop,200,,,9,,\n", true},
        {"1,vLLM,,Llama-3.1-8B,,,H100-SXM-80GB,1,,,,100,100,8,static batch,200,,,9,2,\n", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run run = one_run(cases[i].row);
        assert_null(run.refused);
        assert_true((run.unscored[METRIC_OUTPUT_TOKENS_PER_SECOND] == NULL) == cases[i].compared);
        assert_true((run.unscored[METRIC_TOTAL_TOKENS_PER_SECOND] == NULL) == cases[i].compared);
        assert_null(run.unscored[METRIC_TPOT_MS]);
    }
}

static void test_defaults_fill_what_is_missing(void **state)
{
    (void)state;
    struct runs runs;
    const struct run_defaults defaults = {.engine = "vllm",
                                          .engine_version = "0.19",
                                          .model = "llama-3.1-8b",
                                          .gpu = "h100-sxm",
                                          .weight_dtype = "fp8",
                                          .kv_dtype = "",
                                          .tensor_parallel = 2};
    assert_int_equal(read_text("isl,osl,concurrency,load_mode,tpot_ms,gpu\n"
                               "128,128,8,closed-loop,9,\n128,128,8,closed-loop,9,L40S-48GB\n",
                               &defaults, &runs),
                     STATUS_OK);
    assert_int_equal(runs.count, 2);
    assert_null(runs.items[0].refused);
    assert_string_equal(runs.items[0].uid, "rows:2");
    assert_string_equal(runs.items[0].deployment.gpu->id, "h100-sxm");
    assert_string_equal(runs.items[1].deployment.gpu->id, "l40s");
    assert_int_equal(runs.items[0].deployment.weight_dtype, DTYPE_FP8);
    assert_int_equal(runs.items[0].deployment.tensor_parallel, 2);
}

static void test_files_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"\n", "rows: it is empty"},
        {"uid,model\n1,x\n", "rows: the column 'load_mode' is missing"},
        {"log_file,status\nx,ok\n", "rows: the column 'max_model_len' is missing"},
        {HEADER "1,\"v\n", "rows: line 2: "},
        {HEADER "1,\xff\n", "rows: line 1: the file is not UTF-8"},
        {"[{\"model_id\": \"x\"", "rows: it is no JSON: "},
        {"{\"model_id\": \"\xff\"}", "rows: it is no JSON: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct runs runs;
        assert_int_not_equal(read_text(cases[i].text, &none, &runs), STATUS_OK);
        assert_true(problems.count > 0);
        if (strncmp(problems.items[0].detail, cases[i].problem, strlen(cases[i].problem)) != 0)
            fail_msg("\"%s\" instead of \"%s\"", problems.items[0].detail, cases[i].problem);
    }
}

#define LOG_HEADER                                                                                                     \
    "log_file,status,model,gpu,tp,pp,dp,max_model_len,dtype,quantization,kv_cache_dtype,gpu_memory_utilization,"       \
    "weight_memory_gib,activation_memory_gib,kv_cache_memory_gib,kv_cache_tokens,max_concurrency\n"

/* Two logs as vLLM 0.19 writes them on an H100 (jgchn/llm-d-planner), a quantised copy, and one that did not start. */
static void test_start_up_logs(void **state)
{
    (void)state;
    struct runs runs = read_rows(
        LOG_HEADER
        "a.log,ok,meta-llama/Llama-3.1-8B-Instruct,H100-80GB,1,1,1,8192,torch.bfloat16,None,auto,0.95,14.99,1.89,58.11,"
        "476064,58.11\n"
        "b.log,ok,RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8,H100-80GB,1,1,1,8192,torch.float16,"
        "compressed-tensors,auto,0.95,8.49,,64.6,,\n"
        "c.log,ok,meta-llama/"
        "Llama-3.1-8B-Instruct,H100-80GB,1,2,1,8192,torch.bfloat16,None,auto,0.95,7.51,1.1,66.54,,\n"
        "d.log,failed,meta-llama/Llama-3.1-70B-Instruct,H100-80GB,1,1,1,8192,torch.bfloat16,None,auto,0.95,,,,,\n");
    struct scores scores;
    assert_int_equal(scores_make(&runs, &arena, &problems, &scores), STATUS_OK);
    assert_int_equal(runs.items[1].deployment.weight_dtype, DTYPE_INT8);
    assert_non_null(runs.items[2].unscored[METRIC_ACTIVATION_MEMORY_GIB]);
    assert_null(runs.items[2].unscored[METRIC_WEIGHT_MEMORY_GIB]);
    size_t fits = 0;
    for (size_t i = 0; i < scores.count; i++) {
        const struct score *score = &scores.items[i];
        if (score->reason) continue;
        assert_true(score->error_ratio < 0.012);
        fits += score->metric == METRIC_FITS;
    }
    assert_int_equal(fits, 4);
    assert_true(scores.items[scores.count - 1].measured == 0 && scores.items[scores.count - 1].predicted.value == 0);
}

/* --- JSON --- */

static void test_vllm_bench(void **state)
{
    (void)state;
    static const char result[] =
        "{\"date\": \"20261102-101500\", \"backend\": \"vllm\", \"model_id\": \"meta-llama/Llama-3.1-8B-Instruct\","
        " \"num_prompts\": 320, \"gpu\": \"H100-SXM-80GB\", \"tp\": \"2\", \"request_rate\": %s, \"burstiness\": 2.0,"
        " \"max_concurrency\": %s, \"completed\": 320, \"total_input_tokens\": 327680, \"total_output_tokens\": 81920,"
        " \"request_throughput\": 11.2, \"request_goodput\": NaN, \"output_throughput\": 2884.5,"
        " \"total_token_throughput\": 14422.5, \"mean_ttft_ms\": 181.2, \"mean_tpot_ms\": 10.4, \"mean_e2el_ms\": "
        "2833}\n";
    static const struct {
        const char *rate, *limit;
        enum load load;
    } cases[] = {
        {"\"inf\"", "32", LOAD_CONCURRENCY}, {"\"inf\"", "null", LOAD_SATURATED},
        {"11.5", "null", LOAD_RATE},         {"11.5", "200", LOAD_RATE}, /* 11.2/s for 2.8 s are 32 in flight */
        {"50", "32", LOAD_CONCURRENCY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[2048];
        (void)snprintf(text, sizeof text, result, cases[i].rate, cases[i].limit);
        struct runs runs = read_rows(text);
        assert_int_equal(runs.count, 1);
        const struct run *run = &runs.items[0];
        assert_null(run->refused);
        assert_int_equal(run->load.load, cases[i].load);
        assert_true(run->input_tokens == 1024 && run->output_tokens == 256 && run->load.arrival_cv2 == 0.5);
        assert_true(run->measured[METRIC_E2E_MS] == 2833 && run->measured[METRIC_TTFT_MS] == 181.2);
        assert_int_equal(run->deployment.tensor_parallel, 2);
        assert_true((run->unscored[METRIC_TTFT_MS] != NULL) == (cases[i].load == LOAD_SATURATED));
    }
}

static void test_guidellm(void **state)
{
    (void)state;
    struct runs runs;
    struct run_defaults defaults = none;
    defaults.engine = "vllm";
    defaults.gpu = "h100-sxm";
    assert_int_equal(
        read_text(
            "{\"args\": {\"model\": \"Qwen/Qwen3-8B\"}, \"benchmarks\": ["
            "{\"config\": {\"id_\": \"new\", \"strategy\": {\"type_\": \"concurrent\", \"streams\": 16}}, "
            "\"metrics\": {\"prompt_token_count\": {\"successful\": {\"mean\": 512}}, \"output_token_count\": "
            "{\"successful\": {\"mean\": 128}}, \"time_per_output_token_ms\": {\"successful\": {\"mean\": 9}}, "
            "\"inter_token_latency_ms\": {\"successful\": {\"mean\": 8.1}}, \"request_latency\": {\"successful\": "
            "{\"mean\": 1.09}}, \"output_tokens_per_second\": {\"successful\": {\"mean\": 1800}, \"total\": "
            "{\"mean\": 1820}}}},"
            "{\"id_\": \"between\", \"scheduler\": {\"strategy\": {\"type_\": \"synchronous\"}}, \"benchmarker\": "
            "{\"backend\": {\"model\": \"Qwen/Qwen3-32B\"}}, \"metrics\": {\"prompt_token_count\": {\"successful\": "
            "{\"mean\": 512}}, \"output_token_count\": {\"successful\": {\"mean\": 128}}}},"
            "{\"id_\": \"old\", \"args\": {\"strategy\": {\"type_\": \"constant\", \"rate\": 4}}, \"worker\": "
            "{\"backend_model\": \"Qwen/Qwen3-14B\"}, \"metrics\": {\"prompt_token_count\": {\"successful\": "
            "{\"mean\": 512}}, \"output_token_count\": {\"successful\": {\"mean\": 128}}, "
            "\"time_to_first_token_ms\": {\"successful\": {\"mean\": 40.5}}}}]}",
            &defaults, &runs),
        STATUS_OK);
    assert_int_equal(runs.count, 3);
    const struct run *recent = &runs.items[0], *between = &runs.items[1], *old = &runs.items[2];
    assert_null(recent->refused);
    assert_string_equal(recent->uid, "new");
    assert_true(recent->load.load == LOAD_CONCURRENCY && recent->load.concurrency == 16);
    assert_true(recent->measured[METRIC_TPOT_MS] == 8.1 && recent->measured[METRIC_E2E_MS] == 1090);
    assert_true(recent->measured[METRIC_OUTPUT_TOKENS_PER_SECOND] == 1820);
    assert_null(between->refused);
    assert_string_equal(between->deployment.model->id, "Qwen/Qwen3-32B");
    assert_true(between->load.load == LOAD_CONCURRENCY && between->load.concurrency == 1);
    assert_null(old->refused);
    assert_string_equal(old->deployment.model->id, "Qwen/Qwen3-14B");
    assert_true(old->load.load == LOAD_RATE && old->load.requests_per_second == 4 && old->load.arrival_cv2 == 0);
}

#define LLAMA_BENCH(members)                                                                                           \
    "{\"build_number\": 5163, \"gpu_info\": \"NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 4090\", "                    \
    "\"model_filename\": "                                                                                             \
    "\"models/Meta-Llama-3-8B-Instruct-Q4_K_M.gguf\", \"model_type\": \"llama 8B Q4_K - Medium\", \"type_k\": "        \
    "\"f16\", "                                                                                                        \
    "\"test_time\": \"2026-10-02T11:58:50Z\", \"avg_ts\": 100, " members "}\n"

static void test_llama_bench(void **state)
{
    (void)state;
    struct runs runs = read_rows(LLAMA_BENCH("\"n_gpu_layers\": 99, \"n_prompt\": 512, \"n_gen\": 0") /* one a line */
                                 LLAMA_BENCH("\"n_gpu_layers\": -1, \"n_prompt\": 0, \"n_gen\": 128, \"n_depth\": 4096")
                                     LLAMA_BENCH("\"n_gpu_layers\": 20, \"n_prompt\": 0, \"n_gen\": 128")
                                         LLAMA_BENCH("\"n_gpu_layers\": -1, \"n_prompt\": 512, \"n_gen\": 128"));
    assert_int_equal(runs.count, 4);
    assert_int_equal(runs.items[0].kind, RUN_PREFILL);
    assert_string_equal(runs.items[0].uid, "2026-10-02T11:58:50Z pp512 tg0");
    assert_true(runs.items[0].measured[METRIC_PREFILL_TOKENS_PER_SECOND] == 100);
    assert_non_null(runs.items[0].unscored[METRIC_PREFILL_TOKENS_PER_SECOND]); /* two stages */
    assert_int_equal(runs.items[1].kind, RUN_DECODE);
    assert_true(runs.items[1].input_tokens == 4096 && runs.items[1].output_tokens == 128);
    assert_int_equal(runs.items[1].deployment.pipeline_parallel, 2);
    assert_int_equal(runs.items[1].deployment.weight_dtype, DTYPE_Q4_K_M);
    assert_string_equal(runs.items[1].deployment.model->id, "meta-llama/Meta-Llama-3-8B");
    assert_non_null(strstr(runs.items[2].refused, "not all layers"));
    assert_int_equal(runs.items[3].kind, RUN_SERVED);
    assert_true(runs.items[3].measured[METRIC_TOTAL_TOKENS_PER_SECOND] == 100);
}

/* --- statistics --- */

static struct score score_of(const struct run *run, double measured, double predicted, double factor)
{
    return (struct score){.run = run,
                          .metric = METRIC_TPOT_MS,
                          .measured = measured,
                          .predicted = predicted_make(predicted, factor, 0.9, BASIS_FITTED),
                          .error_ratio = fabs(predicted / measured - 1)};
}

static void test_statistics(void **state)
{
    (void)state;
    static const struct run run = {.engine_name = "vllm", .source = "here"};
    struct score items[] = {
        score_of(&run, 100, 110, 1.2), score_of(&run, 100, 90, 1.2),      score_of(&run, 100, 125, 1.2),
        score_of(&run, 100, 140, 1.5), score_of(&run, 100, 100, UNKNOWN), score_of(&run, 100, 1, 1.2),
    };
    items[5].reason = "left out";
    const struct scores scores = {items, 6};
    const struct grouping by = {.name = "source", .keys = {GROUP_SOURCE}, .key_count = 1};
    struct groups groups;
    assert_int_equal(groups_make(&scores, &by, &arena, &problems, &groups), STATUS_OK);
    assert_int_equal(groups.count, 1);
    const struct group *group = &groups.items[0];
    assert_string_equal(group->key, "here");
    assert_true(group->rows == 6 && group->scored == 5);
    assert_true(fabs(group->median - 0.1) < 1e-12); /* 0, .1, .1, .25, .4 */
    assert_true(fabs(group->mean - 0.17) < 1e-12);
    assert_true(fabs(group->p90 - (0.25 + 0.6 * 0.15)) < 1e-12); /* between the fourth and the fifth */
    assert_true(group->within_20 == 0.6 && group->within_30 == 0.8);
    assert_true(group->covered == 0.75); /* of four with an interval: 125/1.2 is above 100 */
    assert_true(fabs(group->half_width - 0.2) < 1e-5);
    assert_true(fabs(group->bias - log(1.1)) < 1e-12); /* of -.105, 0, .095, .223, .336 */
    struct refusals refusals;
    assert_int_equal(refusals_make(&scores, &arena, &problems, &refusals), STATUS_OK);
    assert_true(refusals.count == 1 && refusals.items[0].rows == 1 && refusals.items[0].figures == 1);
}

static void test_groupings(void **state)
{
    (void)state;
    struct grouping groupings[GROUPINGS_MAX];
    size_t count = 0;
    assert_int_equal(groupings_parse("engine+load,gpu", &arena, &problems, groupings, &count), STATUS_OK);
    assert_int_equal(count, 2);
    assert_true(groupings[0].key_count == 2 && groupings[0].keys[1] == GROUP_LOAD && groupings[1].keys[0] == GROUP_GPU);
    static const char *const wrong[] = {"lod",   "load,",
                                        "load+", "load++gpu",
                                        "+",     "gpu,gpu,gpu,gpu,gpu,gpu,gpu,gpu,gpu,gpu,gpu,gpu,gpu,gpu,gpu,gpu,gpu"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(groupings_parse(wrong[i], &arena, &problems, groupings, &count), STATUS_INVALID_VALUE);
}

static void test_lines(void **state)
{
    (void)state;
    static const struct run run = {.uid = "a,\"b\""};
    struct score score = score_of(&run, 10, 12.5, 1.25);
    assert_string_equal(report_line(&score, true, &arena), "uid,metric,measured,predicted,low,high,basis,ape,reason\n"
                                                           "\"a,\"\"b\"\"\",tpot_ms,10,12.5,10,15.625,fitted,0.25,\n");
    score.reason = "why, so";
    score.error_ratio = UNKNOWN;
    assert_string_equal(report_line(&score, false, &arena), "\"a,\"\"b\"\"\",tpot_ms,10,,,,,,\"why, so\"\n");
}

/* --- the rows of ../shared --- */

static void test_shared_rows(void **state)
{
    (void)state;
    struct runs runs = {.count = 0};
    struct scores scores;
    size_t scored = 0;
    static const char path[] = "../shared/data/throughput_measured.csv";
    if (access(path, R_OK) != 0) {
        print_message("skipped: needs ../shared\n");
        skip();
        return;
    }
    problems_init(&problems, &arena);
    assert_int_equal(runs_read(path, snapshot, &none, &arena, &problems, &runs), STATUS_OK);
    assert_int_equal(scores_make(&runs, &arena, &problems, &scores), STATUS_OK);
    for (size_t i = 0; i < runs.count; i++)
        scored += runs.items[i].refused == NULL;
    for (size_t i = 0; i < scores.count; i++) {
        const struct score *score = &scores.items[i];
        assert_true(score->reason || (score->predicted.value > 0 && score->error_ratio >= 0));
    }
    print_message("%zu of %zu rows are predicted\n", scored, runs.count);
    assert_true(scored * 100 > runs.count * 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_served_row),
        cmocka_unit_test(test_decode_leaves_the_prompt_out),
        cmocka_unit_test(test_one_prompt_is_a_rate),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_profiles_by_version),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_refused_rows),
        cmocka_unit_test(test_lengths_drawn_at_random_count_as_their_mean),
        cmocka_unit_test(test_throughput_against_littles_law),
        cmocka_unit_test(test_defaults_fill_what_is_missing),
        cmocka_unit_test(test_files_that_are_none),
        cmocka_unit_test(test_start_up_logs),
        cmocka_unit_test(test_vllm_bench),
        cmocka_unit_test(test_guidellm),
        cmocka_unit_test(test_llama_bench),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_groupings),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_shared_rows),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
