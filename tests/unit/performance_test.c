/* performance_test.c owns the proof of sizing/performance.h: arithmetic by hand, properties of random deployments. */
#include "sizing/performance.h"

#include "catalog/load.h"
#include "sizing/disaggregation.h"
#include "support/near.h"

#include <stdlib.h>
#include <string.h>

static struct arena arena;
static struct problems problems;
static struct snapshot *snapshot; /* of the engine profiles alone */

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    struct catalog_text files[CATALOG_FILE_COUNT] = {{0}};
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++)
        files[i].name = catalog_bundled()[i].name;
    files[FILE_ENGINE_PROFILES] = catalog_bundled()[FILE_ENGINE_PROFILES];
    enum status status = catalog_load(files, &problems, &snapshot);
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s: %s\n", problems.items[i].field, problems.items[i].detail);
    return status == STATUS_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    snapshot_free(snapshot);
    arena_done(&arena);
    return 0;
}

static const struct engine_profile *profile_of(const char *engine)
{
    for (size_t i = 0; i < snapshot->profile_count; i++) {
        if (strcmp(snapshot->profiles[i].engine, engine) == 0) return &snapshot->profiles[i];
    }
    fail_msg("no profile of %s", engine);
    return NULL;
}

static const struct gpu h100 = {
    .id = "h100-sxm",
    .name = "H100 SXM",
    .family = "h100",
    .vendor = VENDOR_NVIDIA,
    .architecture = "Hopper",
    .cuda_cc = 9.0,
    .memory_nominal_gb = 80,
    .memory_nvml_mib = 81559,
    .memory_cuda_mib = 81089,
    .memory_bandwidth_gb_per_s = 3350,
    .sm_count = 132,
    .peak_tflops = {[PEAK_FP32] = 67, [PEAK_FP16] = 989, [PEAK_FP8] = 1979, [PEAK_INT8] = 1979, [PEAK_FP4] = UNKNOWN},
    .link_gb_per_s = 900,
    .link_domain_gpus = 8,
    .pcie_gb_per_s = 64,
    .node_gpus = 8,
    .tdp_watts = 700,
};

static const struct model llama = {
    .id = "llama-3.1-8b",
    .family = "Llama 3.1",
    .sized_family = "Llama 3.1 8.0B",
    .architecture = "LlamaForCausalLM",
    .parameters = 8030261248,
    .active_parameters = 8030261248,
    .layers = 32,
    .hidden_size = 4096,
    .attention_heads = 32,
    .kv_heads = 8,
    .head_dim = 128,
    .intermediate_size = 14336,
    .vocabulary_size = 128256,
    .max_position_tokens = 131072,
    .attention_kind = ATTENTION_GQA,
    .full_attention_layers = 32,
    .native_dtype = DTYPE_BF16,
};

/* A deployment with all that it borrows. */
struct replica {
    struct model model;
    struct gpu gpu;
    struct engine_profile engine;
    struct deployment deployment;
    struct memory memory;
    struct roofline roofline;
};

static void replica_init(struct replica *replica, double input_tokens, double output_tokens)
{
    replica->deployment.model = &replica->model;
    replica->deployment.gpu = &replica->gpu;
    replica->deployment.engine = &replica->engine;
    deployment_default(&replica->deployment);
    assert_int_equal(memory_size(&replica->deployment, &replica->memory), STATUS_OK);
    roofline_init(&replica->roofline, &replica->deployment, &replica->memory, input_tokens, output_tokens);
}

static struct replica llama_on_h100(const char *engine)
{
    struct replica replica = {.model = llama, .gpu = h100, .engine = *profile_of(engine)};
    replica.deployment.max_model_len_tokens = 8192;
    return replica;
}

static struct performance predict(const struct replica *replica, struct load_point load)
{
    struct performance performance;
    performance_predict(&replica->roofline, &load, &performance);
    return performance;
}

static struct performance at_concurrency(const struct replica *replica, double concurrency)
{
    return predict(replica, (struct load_point){.load = LOAD_CONCURRENCY, .concurrency = concurrency});
}

/* One request alone: 15.01 GB of weights at 77.875 % of 3.35 TB/s, its cache at full bandwidth, 32 layers and a step of
 * overhead; products take their part in the p-norm. */
static void test_step_by_hand(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica_init(&replica, 1000, 200);
    const struct engine_coefs *coef = &replica.engine.coef;
    double dense = 8030261248.0 - 128256.0 * 4096;
    double read_ms = dense * 2 / (3350e6 * coef->dense_bandwidth_ratio);
    double flop_ms = 2 * dense / (989e9 * coef->decode_16bit_ratio);
    double p = coef->norm_exponent;
    struct step_breakdown step;
    double tpot_ms = roofline_tpot_ms(&replica.roofline, 1, &step);
    assert_near("weights", step.weights_ms, pow(pow(read_ms, p) + pow(flop_ms, p), 1 / p), 1e-9);
    assert_near("attention", step.attention_ms, 1100.0 * 131072 / (3350e6 * coef->kv_bandwidth_ratio), 1e-9);
    assert_near("overhead", step.overhead_ms, coef->step_ms + coef->layer_us * 32e-3 + coef->request_ms, 1e-9);
    assert_true(step.communication_ms == 0 && step.prefill_ms == 0);
    assert_near("sum", tpot_ms, step.weights_ms + step.attention_ms + step.overhead_ms, 1e-12);
    roofline_tpot_ms(&replica.roofline, 33, &step);
    assert_near("prefill share", step.prefill_ms, 32 / 200.0 * roofline_prefill_ms(&replica.roofline), 1e-9);
    assert_near("attention of 33", step.attention_ms, 33 * 1100.0 * 131072 / (3350e6 * coef->kv_bandwidth_ratio), 1e-9);
}

/* Llama-3.1-8B in bf16 on one H100 with TensorRT-LLM 1.0.0rc3 (ai-dynamo/aiconfigurator, silicon samples). */
static void test_measured_rows(void **state)
{
    (void)state;
    static const struct {
        double input_tokens, output_tokens, concurrency, tpot_ms;
    } rows[] = {{1024, 512, 8, 7.417}, {1024, 512, 32, 9.877}, {1024, 512, 64, 13.10}, {4096, 512, 64, 30.09}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct replica replica = llama_on_h100("tensorrt-llm");
        replica_init(&replica, rows[i].input_tokens, rows[i].output_tokens);
        struct performance performance = at_concurrency(&replica, rows[i].concurrency);
        assert_near("tpot", performance.tpot_ms.value, rows[i].tpot_ms, 0.15);
        assert_int_equal(performance.basis, BASIS_FITTED);
        const struct engine_fit *fit = engine_find_fit(&replica.engine, FIT_LOAD_SERVED, "h100-sxm", "Llama 3.1 8.0B",
                                                       replica.deployment.weight_dtype);
        assert_non_null(fit);
        assert_near("high", performance.tpot_ms.high, performance.tpot_ms.value * fit->time_factor, 1e-5);
        assert_near("Little", performance.requests_per_second.value * performance.e2e_ms.value / 1000,
                    rows[i].concurrency, 1e-5);
    }
}

static void test_what_was_not_fitted_is_extrapolated(void **state)
{
    (void)state;
    static const struct {
        const char *gpu, *family;
        enum dtype weight_dtype;
        enum basis basis;
    } cases[] = {{"h100-sxm", "Llama 3.1 8.0B", DTYPE_BF16, BASIS_FITTED},
                 {"l4", "Llama 3.1 8.0B", DTYPE_BF16, BASIS_EXTRAPOLATED},
                 {"h100-sxm", "unheard of", DTYPE_BF16, BASIS_EXTRAPOLATED},
                 {"h100-sxm", "Llama 3.1 71B", DTYPE_BF16, BASIS_EXTRAPOLATED},
                 {"h100-sxm", NULL, DTYPE_BF16, BASIS_EXTRAPOLATED},
                 {"h100-sxm", "Llama 3.1 8.0B", DTYPE_Q4_K_M, BASIS_EXTRAPOLATED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct replica replica = llama_on_h100("tensorrt-llm");
        replica.gpu.id = cases[i].gpu;
        replica.model.sized_family = cases[i].family;
        replica.deployment.weight_dtype = cases[i].weight_dtype;
        replica_init(&replica, 1000, 100);
        struct performance guess = at_concurrency(&replica, 1);
        assert_int_equal(guess.basis, cases[i].basis);
        if (guess.basis == BASIS_FITTED) continue;
        assert_near("wider", guess.tpot_ms.high / guess.tpot_ms.value, replica.engine.coef.tpot_extrapolated_factor,
                    1e-5);
    }
}

/* Rows of dense models say how far dense models are off. */
static void test_experts_that_no_row_tells(void **state)
{
    (void)state;
    static const char *const engines[] = {"vllm", "llama.cpp"};
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        struct replica replica = llama_on_h100(engines[i]);
        replica.model.sized_family = NULL;
        replica.model.experts = 8;
        replica.model.experts_per_token = 2;
        replica.model.moe_intermediate_size = replica.model.intermediate_size;
        replica_init(&replica, 1000, 100);
        struct performance guess = at_concurrency(&replica, 1);
        const struct engine_coefs *coef = &replica.engine.coef;
        assert_true((coef->moe_extrapolated_factor > coef->tpot_extrapolated_factor) == (i == 1));
        assert_near("interval", guess.tpot_ms.high / guess.tpot_ms.value,
                    fmax(coef->tpot_extrapolated_factor, coef->moe_extrapolated_factor), 1e-5);
    }
}

/* Formats that only store weights: their bytes at the memory's rate and at that of the multiprocessors, joined. */
static void test_multiprocessors_limit_reading(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica.deployment.weight_dtype = DTYPE_INT4;
    replica_init(&replica, 1000, 200);
    const struct engine_coefs *coef = &replica.engine.coef;
    double dense = 8030261248.0 - 128256.0 * 4096, bytes = dense * 4.15625 / 8, p = coef->norm_exponent;
    double memory_ms = bytes / (3350e6 * coef->dense_bandwidth_ratio);
    double read_ms = bytes / (coef->packed_read_gb_per_s * 1e6 * sqrt(132.0 * 67));
    double flop_ms = 2 * dense / (989e9 * coef->decode_16bit_ratio);
    struct step_breakdown step;
    roofline_tpot_ms(&replica.roofline, 1, &step);
    assert_near("weights", step.weights_ms, pow(pow(memory_ms, p) + pow(read_ms, p) + pow(flop_ms, p), 1 / p), 1e-9);
    replica.gpu.sm_count = UNKNOWN; /* no limit that anyone knows */
    replica_init(&replica, 1000, 200);
    roofline_tpot_ms(&replica.roofline, 1, &step);
    assert_near("unlimited", step.weights_ms, pow(pow(memory_ms, p) + pow(flop_ms, p), 1 / p), 1e-9);
}

static double prompt_ms(struct replica *replica, double input_tokens)
{
    replica_init(replica, input_tokens, 100);
    return 1e3 * input_tokens / roofline_prefill_tokens_per_second(&replica->roofline);
}

/* llama.cpp's first token is the end of its prompt, which is read in chunks: smaller ones take longer, each token that
 * begins another one a whole pass more, and stages share them. */
static void test_prompts_in_chunks(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("llama.cpp");
    double whole_ms = prompt_ms(&replica, 2048);
    assert_int_equal(replica.deployment.max_batched_tokens, 512);
    assert_near("ttft", roofline_ttft_ms(&replica.roofline, 1), whole_ms, 1e-9);
    assert_true(prompt_ms(&replica, 2049) > 1.04 * whole_ms);
    assert_near("a token within a chunk", prompt_ms(&replica, 2047), whole_ms, 1e-3);
    replica.deployment.max_batched_tokens = 128;
    assert_true(prompt_ms(&replica, 2048) > whole_ms);
    replica.deployment.max_batched_tokens = 512;
    replica.deployment.pipeline_parallel = 2;
    double staged_ms = prompt_ms(&replica, 2048);
    assert_true(staged_ms < whole_ms && staged_ms > whole_ms / 2);
    assert_true(prompt_ms(&replica, 512) > roofline_prefill_ms(&replica.roofline)); /* one chunk: nothing to share */
}

/* Stages take one chunk one after the other, and share many: of 15 and two stages, the first and the last are alone. */
static void test_a_prompt_passes_all_stages(void **state)
{
    (void)state;
    struct replica one = llama_on_h100("vllm"), two = llama_on_h100("vllm");
    two.deployment.pipeline_parallel = 2;
    one.deployment.max_batched_tokens = two.deployment.max_batched_tokens = 512;
    assert_true(prompt_ms(&two, 512) >= prompt_ms(&one, 512));
    double overhead_ms = two.roofline.terms.overhead_step_ms - one.roofline.terms.overhead_step_ms;
    assert_near("15 chunks", prompt_ms(&two, 7680), (prompt_ms(&one, 7680) + overhead_ms) * 16 / 30, 1e-3);
}

/* Scores that cross the memory cost more with the square of the prompt; what GeForce does in 16 bits, and what power
 * sustains, changes the rate of products. */
static void test_prompts_by_power_and_scores(void **state)
{
    (void)state;
    struct replica plain = llama_on_h100("llama.cpp");
    double plain_ms = prompt_ms(&plain, 512), long_ms = prompt_ms(&plain, 8192);
    struct replica other = llama_on_h100("llama.cpp");
    other.engine.coef.score_passes = 0;
    double saved_ms = plain_ms - prompt_ms(&other, 512), long_saved_ms = long_ms - prompt_ms(&other, 8192);
    assert_true(saved_ms > 0 && long_saved_ms > 16 * 2 * saved_ms);
    other = llama_on_h100("llama.cpp");
    other.gpu.tdp_watts = 150;
    assert_true(prompt_ms(&other, 512) > 1.5 * plain_ms);
    other = llama_on_h100("llama.cpp");
    other.gpu.peak_tflops[PEAK_INT8] = 8 * other.gpu.peak_tflops[PEAK_FP16];
    assert_true(prompt_ms(&other, 512) < plain_ms);
    other.engine.coef.half_accumulation = 0;
    double wide_ms = prompt_ms(&other, 512);
    assert_true(wide_ms >= plain_ms);
    other.gpu.peak_tflops[PEAK_INT8] = UNKNOWN;
    other.engine.coef.half_accumulation = 1;
    assert_near("int8 rate not known", prompt_ms(&other, 512), wide_ms, 1e-9);
}

/* Apple's ratios are of its GPUs, the one of K-quants of those alone; 0 is as 1. */
static void test_apple_ratios(void **state)
{
    (void)state;
    static const enum dtype dtypes[] = {DTYPE_Q4_0, DTYPE_Q4_K_M};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        struct replica apple = llama_on_h100("llama.cpp"), other = llama_on_h100("llama.cpp");
        apple.gpu.vendor = VENDOR_APPLE;
        apple.deployment.weight_dtype = other.deployment.weight_dtype = dtypes[i];
        replica_init(&apple, 1000, 200);
        replica_init(&other, 1000, 200);
        struct step_breakdown slow, fast;
        roofline_tpot_ms(&apple.roofline, 1, &slow);
        roofline_tpot_ms(&other.roofline, 1, &fast);
        assert_near("cache", slow.attention_ms * apple.engine.coef.apple_kv_ratio, fast.attention_ms, 1e-9);
        assert_true(dtypes[i] == DTYPE_Q4_K_M ? slow.weights_ms > 1.1 * fast.weights_ms
                                              : slow.weights_ms == fast.weights_ms);
        apple.engine.coef.apple_kv_ratio = apple.engine.coef.apple_k_quant_ratio = 0;
        replica_init(&apple, 1000, 200);
        roofline_tpot_ms(&apple.roofline, 1, &slow);
        assert_true(slow.attention_ms == fast.attention_ms && slow.weights_ms == fast.weights_ms);
    }
}

/* Of engines whose coefficients are 0, those facts of a GPU say nothing. */
static void test_zero_is_off(void **state)
{
    (void)state;
    struct replica one = llama_on_h100("vllm"), other = llama_on_h100("vllm");
    other.gpu.sm_count = 1;
    other.gpu.tdp_watts = 1;
    other.gpu.peak_tflops[PEAK_INT8] *= 8;
    other.gpu.vendor = VENDOR_APPLE;
    other.deployment.max_batched_tokens = 16;
    replica_init(&one, 1000, 200);
    replica_init(&other, 1000, 200);
    assert_true(roofline_tpot_ms(&one.roofline, 9, NULL) == roofline_tpot_ms(&other.roofline, 9, NULL));
    assert_true(roofline_ttft_ms(&one.roofline, 9) == roofline_ttft_ms(&other.roofline, 9));
    assert_true(roofline_prefill_tokens_per_second(&one.roofline) ==
                roofline_prefill_tokens_per_second(&other.roofline));
}

/* fp8 weights where the GPU has no fp8 peak are computed in 16 bits; the A100's bf16 step has the same products. */
static void test_peaks_fall_back(void **state)
{
    (void)state;
    struct replica narrow = llama_on_h100("vllm"), wide = llama_on_h100("vllm");
    narrow.gpu.peak_tflops[PEAK_FP8] = UNKNOWN;
    narrow.deployment.weight_dtype = DTYPE_FP8;
    replica_init(&narrow, 4000, 100);
    replica_init(&wide, 4000, 100);
    assert_near("prefill", roofline_prefill_ms(&narrow.roofline), roofline_prefill_ms(&wide.roofline), 1e-9);
    assert_true(roofline_tpot_ms(&narrow.roofline, 1, NULL) < roofline_tpot_ms(&wide.roofline, 1, NULL));
    struct replica four_bits = llama_on_h100("vllm"), eight_bits = llama_on_h100("vllm");
    four_bits.deployment.weight_dtype = DTYPE_NVFP4;
    eight_bits.deployment.weight_dtype = DTYPE_FP8;
    replica_init(&four_bits, 4000, 100);
    replica_init(&eight_bits, 4000, 100);
    assert_near("prefill", roofline_prefill_ms(&four_bits.roofline), roofline_prefill_ms(&eight_bits.roofline), 1e-9);
}

static void assert_unknown(const struct performance *performance)
{
    assert_true(isnan(performance->tpot_ms.value) && isnan(performance->ttft_ms.value));
    assert_true(isnan(performance->output_tokens_per_second.value));
    assert_false(performance->stable);
}

static void test_unknown_facts_stay_unknown(void **state)
{
    (void)state;
    static const size_t facts[] = {offsetof(struct gpu, memory_bandwidth_gb_per_s),
                                   offsetof(struct gpu, peak_tflops) + PEAK_FP16 * sizeof(double)};
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        struct replica replica = llama_on_h100("vllm");
        double unknown = UNKNOWN;
        memcpy((char *)&replica.gpu + facts[i], &unknown, sizeof unknown);
        replica_init(&replica, 1000, 100);
        assert_true(isnan(roofline_tpot_ms(&replica.roofline, 1, NULL)));
        assert_true(isnan(roofline_output_bound(&replica.roofline)));
        for (enum load load = 0; load < LOAD_COUNT; load++) {
            struct performance performance = predict(&replica, (struct load_point){load, 4, 4, 1, 1, 0, false});
            assert_unknown(&performance);
        }
        struct slo slo = {UNKNOWN, UNKNOWN, UNKNOWN, 95, 0.9};
        assert_true(performance_capacity_rps(&replica.roofline, &slo, 1, 0.9) == 0);
    }
}

static void test_nothing_fits_serves_nothing(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica.gpu.memory_cuda_mib = 12 * 1024;
    replica_init(&replica, 1000, 100);
    struct performance performance = at_concurrency(&replica, 1);
    assert_true(performance.output_tokens_per_second.value == 0 && isnan(performance.tpot_ms.value));
    assert_int_equal(performance.bound_by, BOUND_KV_CAPACITY);
    assert_true(roofline_output_bound(&replica.roofline) == 0);
}

/* Half the prompt is cached beside the GPU, 8 GiB of weights are: both are read over the host's link. */
static void init_offloaded(struct replica *replica, struct host_memory host, double pcie_gb_per_s)
{
    *replica = llama_on_h100("vllm");
    replica->gpu.host = host;
    replica->gpu.pcie_gb_per_s = pcie_gb_per_s;
    replica->deployment.cpu_offload_gib = 8;
    replica->deployment.kv_offload_gib = 100;
    replica_init(replica, 4000, 200);
    static struct traffic traffic; /* the roofline borrows it */
    traffic = traffic_of_means(4000, 200);
    traffic_set_cache(&traffic, UNKNOWN, 0.5);
    roofline_init_traffic(&replica->roofline, &replica->deployment, &replica->memory, &traffic);
}

/* By hand, and: a faster link is never slower, whatever it is; the memory behind it limits it. */
static void test_host_link(void **state)
{
    (void)state;
    struct replica replica, plain = llama_on_h100("vllm");
    const struct host_memory none = {0};
    replica_init(&plain, 4000, 200);
    init_offloaded(&replica, none, 64);
    struct step_breakdown step, without;
    roofline_tpot_ms(&replica.roofline, 1, &step);
    roofline_tpot_ms(&plain.roofline, 1, &without);
    double bytes_per_ms = 0.78 * 64e6, cached = floor(2000 / 16.0) * 16;
    assert_near("weights", step.overhead_ms - without.overhead_ms, 8 * GIB / bytes_per_ms, 1e-9);
    double first_ms = roofline_ttft_ms(&replica.roofline, 1);
    replica.memory.kv_host_tokens = 0; /* the same cache on the GPU */
    struct traffic traffic = *replica.roofline.traffic;
    roofline_init_traffic(&replica.roofline, &replica.deployment, &replica.memory, &traffic);
    assert_near("cache", first_ms - roofline_ttft_ms(&replica.roofline, 1), cached * 131072 / bytes_per_ms, 1e-6);

    double before_tpot_ms = INFINITY, before_ttft_ms = INFINITY;
    for (double link = 8; link < 1000; link *= 1.5) {
        init_offloaded(&replica, (struct host_memory){.link = "link", .link_gb_per_s = link, .gb_per_s = 400}, 64);
        double tpot_ms = roofline_tpot_ms(&replica.roofline, 4, NULL), ttft_ms = roofline_ttft_ms(&replica.roofline, 4);
        assert_true(tpot_ms <= before_tpot_ms && ttft_ms <= before_ttft_ms);
        before_tpot_ms = tpot_ms;
        before_ttft_ms = ttft_ms;
    }
    init_offloaded(&replica, (struct host_memory){.link_gb_per_s = 450, .gb_per_s = 20}, 64);
    roofline_tpot_ms(&replica.roofline, 1, &step);
    assert_near("memory", step.overhead_ms - without.overhead_ms, 8 * GIB / 20e6, 1e-9);
}

/* DeepSeek-V3.2 reads 2,048 tokens of its latent, and 132 bytes of each token for the choice (its config.json, and vLLM
 * deepseek_v2.py). */
static void test_sparse_attention(void **state)
{
    (void)state;
    struct replica sparse = llama_on_h100("vllm"), dense;
    sparse.model = (struct model){.id = "deepseek-ai/DeepSeek-V3.2",
                                  .parameters = 671877944064,
                                  .active_parameters = 38403822336,
                                  .layers = 61,
                                  .hidden_size = 7168,
                                  .attention_heads = 128,
                                  .kv_heads = 128,
                                  .head_dim = 192,
                                  .intermediate_size = 18432,
                                  .vocabulary_size = 129280,
                                  .attention_kind = ATTENTION_MLA,
                                  .full_attention_layers = 61,
                                  .kv_lora_rank = 512,
                                  .qk_rope_head_dim = 64,
                                  .experts = 256,
                                  .experts_per_token = 8,
                                  .moe_intermediate_size = 2048,
                                  .dense_layers = 3,
                                  .native_dtype = DTYPE_FP8};
    model_add_known(&sparse.model);
    assert_true(sparse.model.index_topk == 2048 && sparse.model.index_heads == 64);
    sparse.gpu.memory_cuda_mib = 1e6;
    sparse.deployment.tensor_parallel = 8;
    sparse.deployment.max_model_len_tokens = 160000;
    dense = sparse;
    dense.model.index_topk = 0;
    double before_ms = 0;
    for (double input = 500; input < 150000; input *= 3) {
        replica_init(&sparse, input, 200);
        replica_init(&dense, input, 200);
        struct traffic traffic = traffic_of_means(input, 200);
        double context = traffic_context_tokens(&traffic), latent = fmin(context, 2048) * (512 + 64) * 2;
        double bytes = 61 * (latent + context * 132), ms = sparse.roofline.terms.kv_row_ms;
        assert_near("read", ms, bytes / (3350e6 * sparse.engine.coef.kv_bandwidth_ratio), 1e-9);
        assert_true(ms >= before_ms && ms <= dense.roofline.terms.kv_row_ms);
        assert_true(sparse.roofline.terms.prefill_ms <= dense.roofline.terms.prefill_ms);
        before_ms = ms;
    }
    assert_true(before_ms < 0.3 * dense.roofline.terms.kv_row_ms);
}

static void test_bounds_name_the_resource(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica_init(&replica, 1000, 1000);
    assert_int_equal(at_concurrency(&replica, 1).bound_by, BOUND_MEMORY_BANDWIDTH);
    replica_init(&replica, 8000, 10);
    assert_int_equal(at_concurrency(&replica, 16).bound_by, BOUND_COMPUTE);
    replica.gpu.memory_cuda_mib = 24 * 1024;
    replica_init(&replica, 4000, 4000);
    assert_int_equal(predict(&replica, (struct load_point){.load = LOAD_SATURATED}).bound_by, BOUND_KV_CAPACITY);
    struct replica spread = llama_on_h100("vllm");
    spread.deployment.tensor_parallel = 8;
    spread.deployment.link_gpus = 1; /* over PCIe */
    spread.gpu.pcie_gb_per_s = 8;
    replica_init(&spread, 100, 1000);
    assert_int_equal(at_concurrency(&spread, 256).bound_by, BOUND_COMMUNICATION);
    assert_string_equal(bound_name(BOUND_COMMUNICATION), "communication");
}

/* Two stages hold half the model each: a token takes as long, a full pipeline serves more. */
static void test_pipeline(void **state)
{
    (void)state;
    struct replica one = llama_on_h100("vllm"), two = llama_on_h100("vllm");
    two.deployment.pipeline_parallel = 2;
    replica_init(&one, 1000, 500);
    replica_init(&two, 1000, 500);
    double single_ms = roofline_tpot_ms(&one.roofline, 1, NULL), staged_ms = roofline_tpot_ms(&two.roofline, 1, NULL);
    assert_true(staged_ms > single_ms && staged_ms < 1.1 * single_ms);
    double one_tps = predict(&one, (struct load_point){.load = LOAD_SATURATED}).output_tokens_per_second.value;
    double two_tps = predict(&two, (struct load_point){.load = LOAD_SATURATED}).output_tokens_per_second.value;
    assert_true(two_tps > 1.3 * one_tps && two_tps < 2.2 * one_tps);
    assert_int_equal(at_concurrency(&two, 1).basis, BASIS_EXTRAPOLATED);
}

static void test_rate_serves_the_arrivals(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica_init(&replica, 1000, 200);
    struct slo none = {UNKNOWN, UNKNOWN, UNKNOWN, 95, 0.9};
    double capacity = performance_capacity_rps(&replica.roofline, &none, 1, 0.9);
    struct load_point load = {.load = LOAD_RATE, .requests_per_second = capacity / 2, .arrival_cv2 = 1};
    struct performance half = predict(&replica, load);
    assert_true(half.stable);
    assert_near("served", half.requests_per_second.value, round6(capacity / 2), 1e-6);
    assert_near("Little", half.in_flight, capacity / 2 * (half.e2e_ms.value - half.waiting_ms) / 1000, 0.2);
    assert_true(performance_slo_probability(&half, &none) == 1);
    load.requests_per_second = capacity * 2;
    struct performance over = predict(&replica, load);
    assert_false(over.stable);
    assert_true(performance_slo_probability(&over, &none) == 0);
    assert_true(over.requests_per_second.value < load.requests_per_second);
}

/* The last rate that meets the limits, and the next that does not. */
static void test_capacity_is_the_edge(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica_init(&replica, 1000, 200);
    struct slo slo = {
        .ttft_ms = 1500, .tpot_ms = 25, .e2e_ms = UNKNOWN, .percentile = 95, .min_probability_ratio = 0.9};
    double capacity = performance_capacity_rps(&replica.roofline, &slo, 1, 0.9);
    assert_true(capacity > 0);
    struct load_point load = {.load = LOAD_RATE, .requests_per_second = capacity, .arrival_cv2 = 1, .percentile = 95};
    struct performance inside = predict(&replica, load);
    assert_true(performance_slo_probability(&inside, &slo) >= 0.9);
    load.requests_per_second = capacity * 1.05;
    struct performance outside = predict(&replica, load);
    assert_true(performance_slo_probability(&outside, &slo) < 0.9);
    struct slo impossible = {.ttft_ms = 1, .tpot_ms = UNKNOWN, .e2e_ms = UNKNOWN, .percentile = 95};
    assert_true(performance_capacity_rps(&replica.roofline, &impossible, 1, 0.9) == 0);
}

static void test_static_batch_runs_in_waves(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica.deployment.max_sequences = 64;
    replica_init(&replica, 500, 500);
    struct performance one = predict(&replica, (struct load_point){.load = LOAD_STATIC_BATCH, .batch_size = 64});
    struct performance two = predict(&replica, (struct load_point){.load = LOAD_STATIC_BATCH, .batch_size = 128});
    assert_near("same speed", two.requests_per_second.value, one.requests_per_second.value, 1e-5);
    assert_true(two.waiting_ms > 0 && one.waiting_ms == 0);
    assert_string_equal(load_name(LOAD_STATIC_BATCH), "static_batch");
}

/* Xorshift (Marsaglia 2003): the same numbers everywhere. */
static uint64_t random_state;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 11;
}

static double uniform(double from, double to)
{
    return from + (to - from) * (double)random_bits() / (double)(UINT64_MAX >> 11);
}

static uint32_t pick(const uint32_t choices[], size_t count)
{
    return choices[random_bits() % count];
}
#define PICK(...) pick((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void randomize_experts(struct model *model)
{
    model->experts = PICK(8, 64, 128, 256);
    model->experts_per_token = PICK(1, 2, 4, 8);
    model->moe_intermediate_size = PICK(1024, 2048, 4096);
    double expert = 3.0 * model->hidden_size * model->moe_intermediate_size;
    model->active_parameters = model->parameters + (double)model->layers * model->experts_per_token * expert;
    model->parameters += (double)model->layers * model->experts * expert;
}

static struct model random_model(void)
{
    struct model model = llama;
    model.layers = PICK(16, 32, 61, 80);
    model.hidden_size = PICK(2048, 4096, 8192);
    model.attention_heads = model.hidden_size / 128;
    model.kv_heads = PICK(1, 4, 8);
    model.full_attention_layers = model.layers;
    model.parameters = model.active_parameters = uniform(0.5e9, 40e9) + 2.0 * model.vocabulary_size * model.hidden_size;
    switch (random_bits() % 4) {
    case 0:
        model.attention_kind = ATTENTION_MLA;
        model.kv_heads = model.attention_heads;
        model.kv_lora_rank = 512;
        model.qk_rope_head_dim = 64;
        break;
    case 1:
        model.attention_kind = ATTENTION_HYBRID_SWA;
        model.sliding_window_tokens = PICK(128, 4096);
        model.sliding_layers = model.layers / 2;
        model.full_attention_layers = model.layers - model.sliding_layers;
        break;
    default: break;
    }
    if (random_bits() % 2) randomize_experts(&model);
    return model;
}

static struct replica random_replica(void)
{
    static const char *const engines[] = {"vllm", "sglang", "tensorrt-llm", "llama.cpp"};
    static const uint32_t dtypes[] = {DTYPE_BF16, DTYPE_FP8, DTYPE_INT4, DTYPE_NVFP4, DTYPE_Q4_K_M};
    struct replica replica = {.model = random_model(), .gpu = h100, .engine = *profile_of(engines[random_bits() % 4])};
    replica.engine.coef.saturated_time_ratio = 0.895; /* TensorRT-LLM 0.17 to 0.19 */
    struct gpu *gpu = &replica.gpu;
    gpu->vendor = random_bits() % 3 ? VENDOR_NVIDIA : VENDOR_AMD;
    gpu->memory_bandwidth_gb_per_s = uniform(300, 8000);
    gpu->memory_cuda_mib = uniform(16, 288) * 1024;
    gpu->sm_count = floor(uniform(8, 300));
    gpu->tdp_watts = uniform(50, 1400);
    gpu->peak_tflops[PEAK_FP16] = uniform(60, 2500);
    gpu->peak_tflops[PEAK_FP8] = random_bits() % 2 ? UNKNOWN : 2 * gpu->peak_tflops[PEAK_FP16];
    gpu->peak_tflops[PEAK_FP4] = random_bits() % 2 ? UNKNOWN : 4 * gpu->peak_tflops[PEAK_FP16];
    struct deployment *deployment = &replica.deployment;
    deployment->weight_dtype = (enum dtype)pick(dtypes, sizeof dtypes / sizeof *dtypes);
    deployment->kv_dtype = random_bits() % 2 ? DTYPE_FP8 : DTYPE_BF16;
    deployment->tensor_parallel = PICK(1, 2, 4, 8);
    deployment->pipeline_parallel = PICK(1, 1, 1, 2, 4);
    deployment->expert_parallel = replica.model.experts && random_bits() % 2 ? deployment->tensor_parallel : 1;
    deployment->link_gpus = PICK(1, 8);
    deployment->max_sequences = PICK(1, 16, 256, 1024);
    deployment->max_model_len_tokens = 16384;
    return replica;
}

static void check_monotone_in_flight(const struct replica *replica)
{
    double tpot_ms = 0, ttft_ms = 0, work_ms = 0;
    double n = 1;
    while (n <= replica->roofline.max_batch) {
        double next_ms = roofline_tpot_ms(&replica->roofline, n, NULL);
        assert_true(next_ms >= tpot_ms && roofline_ttft_ms(&replica->roofline, n) >= ttft_ms);
        assert_true(roofline_work_ms(&replica->roofline, n) >= work_ms);
        tpot_ms = next_ms;
        ttft_ms = roofline_ttft_ms(&replica->roofline, n);
        work_ms = roofline_work_ms(&replica->roofline, n);
        n = floor(n * 1.5) + 1;
    }
}

/* To the last bit; structs have padding. */
static void assert_same(struct predicted a, struct predicted b)
{
    assert_true(a.value == b.value && a.low == b.low && a.high == b.high && a.basis == b.basis);
}

static void assert_same_latencies(const struct latencies *a, const struct latencies *b)
{
    assert_same(a->ttft_ms, b->ttft_ms);
    assert_same(a->tpot_ms, b->tpot_ms);
    assert_same(a->e2e_ms, b->e2e_ms);
}

static struct latencies latencies_of(const struct performance *performance)
{
    return (struct latencies){performance->ttft_ms, performance->tpot_ms, performance->e2e_ms};
}

static void assert_same_performance(const struct performance *a, const struct performance *b)
{
    struct latencies of_a = latencies_of(a), of_b = latencies_of(b);
    assert_same_latencies(&of_a, &of_b);
    for (int i = 0; i < PERCENTILE_COUNT && a->has_percentiles; i++)
        assert_same_latencies(&a->percentiles[i], &b->percentiles[i]);
    assert_same(a->requests_per_second, b->requests_per_second);
    assert_same(a->output_tokens_per_second, b->output_tokens_per_second);
    assert_same(a->total_tokens_per_second, b->total_tokens_per_second);
    assert_same(a->prefill_tokens_per_second, b->prefill_tokens_per_second);
    assert_true(a->in_flight == b->in_flight && a->waiting_ms == b->waiting_ms && a->watts == b->watts);
    assert_true(a->utilization_ratio == b->utilization_ratio && a->bound_by == b->bound_by);
}

static void check_alone(const struct replica *replica)
{
    struct latencies alone;
    struct performance performance = at_concurrency(replica, 1);
    performance_alone(&replica->roofline, &alone);
    struct latencies expected = latencies_of(&performance);
    assert_same_latencies(&alone, &expected);
}

/* No load is faster than one request alone by more than the least ratio. */
static void check_least_load_ratio(const struct replica *replica)
{
    const struct roofline *roofline = &replica->roofline;
    double least = roofline_least_load_ratio(roofline);
    struct load_point load = {.load = LOAD_SATURATED};
    struct performance saturated = predict(replica, load), alone = at_concurrency(replica, 1);
    for (enum fit_load kind = 0; kind < FIT_LOAD_COUNT; kind++)
        assert_true(least <= roofline_load_ratio(roofline, kind));
    assert_true(saturated.e2e_ms.value >= alone.e2e_ms.value * least * (1 - 1e-5));
}

static void check_finite(const struct performance *performance)
{
    const struct predicted quantities[] = {
        performance->requests_per_second,
        performance->output_tokens_per_second,
        performance->total_tokens_per_second,
        performance->prefill_tokens_per_second,
        performance->ttft_ms,
        performance->tpot_ms,
        performance->e2e_ms,
    };
    for (size_t i = 0; i < sizeof quantities / sizeof *quantities; i++) {
        assert_true(isfinite(quantities[i].value) && quantities[i].value > 0);
        assert_true(quantities[i].low <= quantities[i].value && quantities[i].value <= quantities[i].high);
    }
    assert_true(isfinite(performance->waiting_ms) && performance->waiting_ms >= 0);
    assert_true(performance->in_flight >= 0 && performance->utilization_ratio > 0);
}

/* Between idle and the TDP; energy is power over speed. */
static void check_power(const struct replica *replica, const struct performance *performance)
{
    double tdp_watts = replica->gpu.tdp_watts * deployment_gpus(&replica->deployment);
    struct predicted power = performance_power_watts(performance), tokens = performance_tokens_per_joule(performance);
    assert_true(power.value >= 0.0999 * tdp_watts && power.high <= tdp_watts * (1 + 1e-5) && power.low < power.value);
    assert_near("tokens per joule", tokens.value, performance->output_tokens_per_second.value / power.value, 1e-5);
    assert_true(tokens.low < tokens.value && tokens.value < tokens.high);
}

/* Higher percentiles are never lower, and the one that is asked for is among them. */
static void check_percentiles(const struct performance *performance, double asked)
{
    assert_true(performance->has_percentiles);
    for (int i = 1; i < PERCENTILE_COUNT; i++) {
        const struct latencies *lower = &performance->percentiles[i - 1], *higher = &performance->percentiles[i];
        assert_true(lower->ttft_ms.value <= higher->ttft_ms.value && lower->tpot_ms.value <= higher->tpot_ms.value);
        assert_true(lower->e2e_ms.value <= higher->e2e_ms.value);
    }
    if (asked != 95) return;
    assert_true(performance->ttft_ms.value == performance->percentiles[PERCENTILE_95].ttft_ms.value);
    assert_true(performance->tpot_ms.value == performance->percentiles[PERCENTILE_95].tpot_ms.value);
    assert_true(performance->e2e_ms.value == performance->percentiles[PERCENTILE_95].e2e_ms.value);
}

/* Every load's figures are finite, and none beats the bound. */
static void check_loads(const struct replica *replica, double capacity)
{
    double bound = roofline_output_bound(&replica->roofline);
    for (int i = 0; i < 12; i++) {
        double n = floor(exp(uniform(0, 8))), rate = uniform(0, 1.3) * capacity + 1e-9;
        static const double percentiles[] = {0, 50, 95, 99};
        struct load_point load = {(enum load)(i % LOAD_COUNT),    n,   n, rate, uniform(0, 4),
                                  percentiles[random_bits() % 4], true};
        struct performance performance = predict(replica, load);
        check_finite(&performance);
        check_power(replica, &performance);
        if (load.load == LOAD_RATE) check_percentiles(&performance, load.percentile);
        if (performance.output_tokens_per_second.value > bound * (1 + 1e-5))
            fail_msg("%s at %g: %g above the bound %g", load_name(load.load), n,
                     performance.output_tokens_per_second.value, bound);
    }
}

/* More of anything that a GPU has never makes it slower. */
static void check_facts(const struct replica *replica)
{
    struct replica faster = *replica;
    double *const facts[] = {&faster.gpu.memory_bandwidth_gb_per_s, &faster.gpu.sm_count,
                             &faster.gpu.peak_tflops[PEAK_FP32], &faster.gpu.peak_tflops[PEAK_INT8],
                             &faster.gpu.tdp_watts};
    double n = fmax(1, floor(uniform(0, 1) * replica->roofline.max_batch));
    struct performance before = at_concurrency(replica, n);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        faster = *replica;
        *facts[i] *= uniform(1, 3);
        replica_init(&faster, replica->roofline.input_tokens, replica->roofline.output_tokens);
        struct performance now = at_concurrency(&faster, n);
        assert_true(now.tpot_ms.value <= before.tpot_ms.value && now.ttft_ms.value <= before.ttft_ms.value);
        assert_true(now.output_tokens_per_second.value >= before.output_tokens_per_second.value);
        assert_true(now.prefill_tokens_per_second.value >= before.prefill_tokens_per_second.value);
        assert_true(roofline_output_bound(&faster.roofline) >= roofline_output_bound(&replica->roofline));
    }
}

static void check_rates(const struct replica *replica, double capacity)
{
    struct performance before = {0};
    for (int step = 1; step < 24; step++) {
        double load = 0.05 * step;
        struct performance now =
            predict(replica,
                    (struct load_point){
                        .load = LOAD_RATE, .requests_per_second = load * capacity, .arrival_cv2 = 1, .percentile = 95});
        if (!(now.ttft_ms.value >= before.ttft_ms.value && now.tpot_ms.value >= before.tpot_ms.value))
            fail_msg("at %g of %g/s: ttft %g after %g ms, tpot %g after %g ms", load, capacity, now.ttft_ms.value,
                     before.ttft_ms.value, now.tpot_ms.value, before.tpot_ms.value);
        before = now;
    }
}

static void check_slack(const struct replica *replica)
{
    double ttft_ms = roofline_ttft_ms(&replica->roofline, 1) * uniform(0.5, 8);
    double tpot_ms = roofline_tpot_ms(&replica->roofline, 1, NULL) * uniform(0.5, 8);
    double before = 0;
    for (int step = 0; step < 6; step++) {
        double slack = pow(1.4, step);
        struct slo slo = {ttft_ms * slack, tpot_ms * slack, UNKNOWN, 95, 0.9};
        double capacity = performance_capacity_rps(&replica->roofline, &slo, 1, 0.9);
        assert_true(capacity >= before * (1 - 1e-5));
        before = capacity;
    }
}

/* The same replica for requests of another kind. */
static void retraffic(struct replica *replica, const struct traffic *traffic)
{
    roofline_init_traffic(&replica->roofline, &replica->deployment, &replica->memory, traffic);
}

/* More of the prompts in the cache: nothing gets slower, under any load. */
static void check_cache(struct replica replica)
{
    replica_init(&replica, replica.roofline.input_tokens, replica.roofline.output_tokens);
    double n = fmax(1, floor(uniform(0, 1) * replica.roofline.max_batch)), ttft_ms = INFINITY, tpot_ms = INFINITY;
    double bound = 0, saturated = 0, shared_batch = 0;
    for (int step = 0; step <= 4; step++) {
        struct traffic traffic =
            traffic_of_means(replica.roofline.input_tokens, fmax(replica.roofline.output_tokens, 1));
        traffic_set_cache(&traffic, floor(replica.roofline.input_tokens * step / 4), UNKNOWN);
        retraffic(&replica, &traffic);
        assert_true(replica.roofline.max_batch >= shared_batch);
        shared_batch = replica.roofline.max_batch;
        double first_ms = roofline_ttft_ms(&replica.roofline, n),
               next_ms = roofline_tpot_ms(&replica.roofline, n, NULL);
        assert_true(first_ms <= ttft_ms * (1 + 1e-12) && next_ms <= tpot_ms * (1 + 1e-12));
        double output = predict(&replica, (struct load_point){.load = LOAD_SATURATED}).output_tokens_per_second.value;
        assert_true(output >= saturated * (1 - 1e-5) && roofline_output_bound(&replica.roofline) >= bound);
        if (step > 0 && replica.roofline.computed_tokens < replica.roofline.input_tokens)
            assert_int_equal(at_concurrency(&replica, n).basis, BASIS_EXTRAPOLATED);
        ttft_ms = first_ms, tpot_ms = next_ms, saturated = output, bound = roofline_output_bound(&replica.roofline);
    }
}

/* Drafts that are never accepted help nobody, and better ones help more; the bound holds for all of them. */
static void check_drafts(struct replica replica)
{
    static const enum draft_kind kinds[] = {DRAFT_NGRAM, DRAFT_MTP, DRAFT_EAGLE, DRAFT_MODEL};
    struct model small = llama;
    struct traffic traffic = traffic_of_means(replica.roofline.input_tokens, fmax(replica.roofline.output_tokens, 1));
    double n = fmax(1, floor(uniform(0, 1) * replica.roofline.max_batch));
    double plain_ms = roofline_tpot_ms(&replica.roofline, n, NULL), before_ms = INFINITY;
    replica.deployment.draft_kind = kinds[random_bits() % 4];
    replica.deployment.draft_model = replica.deployment.draft_kind == DRAFT_MODEL ? &small : NULL;
    replica.deployment.draft_tokens = 0;
    replica.deployment.model = &replica.model; /* the copy's own */
    replica.deployment.gpu = &replica.gpu;
    replica.deployment.engine = &replica.engine;
    retraffic(&replica, &traffic);
    assert_true(roofline_tpot_ms(&replica.roofline, n, NULL) == plain_ms);
    replica.deployment.draft_tokens = PICK(1, 3, 8);
    for (int step = 0; step <= 4; step++) {
        traffic.draft_acceptance_ratio = step / 4.0;
        retraffic(&replica, &traffic);
        struct step_breakdown terms;
        double tpot_ms = roofline_tpot_ms(&replica.roofline, n, &terms);
        if (step == 0) assert_true(tpot_ms >= plain_ms);
        assert_true(tpot_ms <= before_ms && terms.draft_ms >= 0);
        double bound = roofline_output_bound(&replica.roofline);
        assert_true(at_concurrency(&replica, n).output_tokens_per_second.value <= bound * (1 + 1e-5));
        assert_true(predict(&replica, (struct load_point){.load = LOAD_SATURATED}).output_tokens_per_second.value <=
                    bound * (1 + 1e-5));
        assert_int_equal(at_concurrency(&replica, n).basis, BASIS_EXTRAPOLATED);
        before_ms = tpot_ms;
    }
}

/* Both sides limit the fleet, the best split is the best, and no split does more work than there is time for. */
static void check_disaggregation(const struct replica *replica)
{
    if (!(replica->roofline.output_tokens > 1)) return;
    uint32_t replicas = PICK(2, 3, 8, 17);
    const struct load_point full = {.load = LOAD_SATURATED};
    struct disaggregation best = disaggregation_best(&replica->roofline, replicas, 50);
    struct disaggregated most, other;
    disaggregation_predict(&replica->roofline, &best, &full, &most);
    assert_true(fabs(fmax(most.prefill_utilization_ratio, most.decode_utilization_ratio) - 1) < 1e-9);
    assert_true(fmin(most.prefill_utilization_ratio, most.decode_utilization_ratio) > 0);
    check_finite(&most.performance);
    assert_int_equal(most.performance.basis, BASIS_EXTRAPOLATED);
    assert_true(most.performance.output_tokens_per_second.value <=
                replicas * roofline_output_bound(&replica->roofline) * (1 + 1e-5));
    for (uint32_t prefill = 1; prefill < replicas; prefill++) {
        const struct disaggregation split = {prefill, replicas - prefill, 50};
        disaggregation_predict(&replica->roofline, &split, &full, &other);
        assert_true(other.performance.requests_per_second.value <= most.performance.requests_per_second.value);
    }
    double capacity = most.performance.requests_per_second.value;
    struct load_point load = {.load = LOAD_RATE,
                              .requests_per_second = capacity * uniform(0.05, 1.2),
                              .arrival_cv2 = uniform(0, 4),
                              .percentile = 95,
                              .all_percentiles = true};
    disaggregation_predict(&replica->roofline, &best, &load, &other);
    check_finite(&other.performance);
    check_percentiles(&other.performance, 95);
    assert_true(other.performance.stable == (load.requests_per_second < capacity));
    assert_true(other.performance.ttft_ms.value >= other.transfer_ms);
    double few = floor(uniform(1, 20));
    disaggregation_predict(&replica->roofline, &best,
                           &(struct load_point){.load = LOAD_CONCURRENCY, .concurrency = few}, &other);
    assert_true(other.performance.requests_per_second.value <= capacity * (1 + 1e-5));
    assert_near("Little", other.performance.requests_per_second.value * other.performance.e2e_ms.value / 1000, few,
                1e-4);
}

/* Where decoding is the narrower side, prompts in its steps would be all that is computed, and none are there. */
static void test_decode_replicas_read_no_prompts(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica_init(&replica, 4000, 200);
    replica.roofline.max_batch = 64;
    replica.roofline.kv_limited = false;
    const struct load_point full = {.load = LOAD_SATURATED};
    struct performance together = predict(&replica, full);
    struct disaggregated apart;
    disaggregation_predict(&replica.roofline, &(struct disaggregation){7, 1, 50}, &full, &apart);
    assert_true(apart.decode_utilization_ratio > apart.prefill_utilization_ratio);
    assert_int_equal(together.bound_by, BOUND_COMPUTE);
    assert_int_equal(apart.performance.bound_by, BOUND_MEMORY_BANDWIDTH);
}

/* A crowd before a narrow side waits: it is neither in flight nor does it take more power than the fleet at its full.
 */
static void test_waiting_is_not_in_flight(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica_init(&replica, 4000, 200);
    const struct disaggregation split = {1, 3, 50};
    struct disaggregated full, crowd, one;
    disaggregation_predict(&replica.roofline, &split, &(struct load_point){.load = LOAD_SATURATED}, &full);
    disaggregation_predict(&replica.roofline, &split,
                           &(struct load_point){.load = LOAD_CONCURRENCY, .concurrency = 5000}, &crowd);
    disaggregation_predict(&replica.roofline, &split, &(struct load_point){.load = LOAD_CONCURRENCY, .concurrency = 1},
                           &one);
    assert_near("in flight", crowd.performance.in_flight, full.performance.in_flight, 1e-4);
    assert_near("watts", crowd.performance.watts, full.performance.watts, 1e-4);
    assert_true(crowd.performance.in_flight <= 3 * replica.roofline.max_batch);
    assert_true(one.performance.in_flight < 1 && one.performance.watts < full.performance.watts);
}

/* Looser limits are met more surely. */
static void check_probability(const struct replica *replica, double capacity)
{
    const struct load_point load = {
        .load = LOAD_RATE, .requests_per_second = capacity * uniform(0.1, 1), .arrival_cv2 = 1, .percentile = 95};
    struct performance performance = predict(replica, load);
    double before = 0;
    for (int step = 0; step < 8; step++) {
        double slack = 0.25 * pow(1.6, step);
        struct slo slo = {performance.ttft_ms.value * slack, performance.tpot_ms.value * slack,
                          performance.e2e_ms.value * slack, 95, 0.9};
        double probability = performance_slo_probability(&performance, &slo);
        assert_true(probability >= before && probability <= 1);
        before = probability;
    }
    assert_true(before > 0.5 || !performance.stable);
}

/* Lengths that vary: a longer tail is never served faster, and a single bucket is the mean, to the last bit. */
static bool check_lengths(struct replica replica, double capacity)
{
    double input = replica.roofline.input_tokens, output = fmax(replica.roofline.output_tokens, 2);
    const struct length_bucket one[] = {{input, 7}}, prompts[] = {{input / 2, 1}, {input * 1.5, 1}};
    const struct length_bucket answer[] = {{output, 3}}, answers[] = {{1, 1}, {output * 2 - 1, 1}};
    const struct length_histogram input_one = {one, 1}, output_one = {answer, 1};
    const struct length_histogram input_two = {prompts, 2}, output_two = {answers, 2};
    struct traffic alike = traffic_of_means(input, output), single = alike, spread = alike;
    single.input = lengths_of_histogram(&input_one), single.output = lengths_of_histogram(&output_one);
    spread.input = lengths_of_histogram(&input_two), spread.output = lengths_of_histogram(&output_two);
    for (enum load load = 0; load < LOAD_COUNT; load++) {
        struct load_point point = {load, 3, 3, capacity / 2, 1, 95, true};
        retraffic(&replica, &alike);
        struct performance means = predict(&replica, point);
        retraffic(&replica, &single);
        struct performance bucket = predict(&replica, point);
        assert_same_performance(&means, &bucket);
        retraffic(&replica, &spread);
        if (!(replica.roofline.max_batch >= 1)) return false; /* the long answers do not fit */
        struct performance varied = predict(&replica, point);
        check_finite(&varied);
        if (load == LOAD_RATE) check_percentiles(&varied, 95);
    }
    retraffic(&replica, &alike);
    double step_ms = roofline_tpot_ms(&replica.roofline, 1, NULL), batch = replica.roofline.max_batch;
    retraffic(&replica, &spread);
    assert_true(roofline_tpot_ms(&replica.roofline, 1, NULL) >= step_ms && replica.roofline.max_batch <= batch);
    return true;
}

static void test_random_deployments(void **state)
{
    (void)state;
    random_state = 20261123;
    print_message("seed %llu\n", (unsigned long long)random_state);
    int served = 0, spread = 0;
    for (int round = 0; round < 400; round++) {
        struct replica replica = random_replica();
        replica_init(&replica, floor(exp(uniform(1, 9))), floor(exp(uniform(0, 8))));
        if (!(replica.roofline.max_batch >= 1)) continue;
        served++;
        struct slo none = {UNKNOWN, UNKNOWN, UNKNOWN, 95, 0.9};
        double capacity = performance_capacity_rps(&replica.roofline, &none, 1, 0.9);
        check_monotone_in_flight(&replica);
        check_least_load_ratio(&replica);
        check_alone(&replica);
        check_loads(&replica, capacity);
        check_facts(&replica);
        check_rates(&replica, capacity);
        check_slack(&replica);
        check_cache(replica);
        check_drafts(replica);
        check_disaggregation(&replica);
        check_probability(&replica, capacity);
        spread += check_lengths(replica, capacity);
    }
    print_message("%d deployments fit\n", served);
    assert_true(served > 100 && spread > served / 2);
}

/* Buckets that are all of the weight, to the last bit, fill the classes; what is left joins the last of them. */
static void test_lengths_of_tiny_tails(void **state)
{
    (void)state;
    struct length_bucket buckets[LENGTH_CLASSES_MAX + 4];
    const size_t count = sizeof buckets / sizeof *buckets;
    for (size_t i = 0; i < count; i++)
        buckets[i] = (struct length_bucket){100 * (double)(i + 1), i < LENGTH_CLASSES_MAX ? 1e12 : 1e-9};
    struct lengths lengths = lengths_of_histogram(&(struct length_histogram){buckets, count});
    assert_int_equal(lengths.count, LENGTH_CLASSES_MAX);
    assert_near("longest", lengths.classes[LENGTH_CLASSES_MAX - 1].tokens, 100 * LENGTH_CLASSES_MAX, 1e-6);
    assert_near("mean", lengths.mean, 50 * (LENGTH_CLASSES_MAX + 1), 1e-9);
}

static void test_lengths_by_hand(void **state)
{
    (void)state;
    const struct length_bucket buckets[] = {{3000, 1}, {1000, 2}, {3000, 1}};
    const struct length_histogram histogram = {buckets, 3};
    struct lengths lengths = lengths_of_histogram(&histogram);
    assert_int_equal(lengths.count, 2);
    assert_near("mean", lengths.mean, 2000, 1e-12);
    assert_near("cv2", lengths.cv2, 0.25, 1e-12);
    assert_near("shortest", lengths.classes[0].tokens, 1000, 1e-12);
    struct traffic traffic = traffic_of_means(500, 1);
    traffic.output = lengths;
    assert_near("held", traffic_held_tokens(&traffic), 500 + 2500, 1e-12);
    assert_near("context", traffic_context_tokens(&traffic), 500 + 1250, 1e-12);
    struct length_bucket many[1000];
    double sum = 0;
    for (int i = 0; i < 1000; i++) {
        many[i] = (struct length_bucket){1 + (i * 37) % 1000, 1 + i % 3};
        sum += many[i].weight;
    }
    lengths = lengths_of_histogram(&(struct length_histogram){many, 1000});
    double share = 0, mean = 0, exact = 0;
    for (int i = 0; i < 1000; i++)
        exact += many[i].tokens * many[i].weight / sum;
    assert_true(lengths.count > 10 && lengths.count <= LENGTH_CLASSES_MAX);
    for (size_t i = 0; i < lengths.count; i++) {
        share += lengths.classes[i].share;
        mean += lengths.classes[i].share * lengths.classes[i].tokens;
        assert_true(i == 0 || lengths.classes[i].tokens > lengths.classes[i - 1].tokens);
    }
    assert_near("shares", share, 1, 1e-9);
    assert_near("mean of the classes", mean, exact, 1e-9);
    assert_near("mean", lengths.mean, exact, 1e-5);
}

/* Prefixes in whole blocks, the last token always computed; the sum of Leviathan et al. 2023. */
static void test_cached_and_drafted_by_hand(void **state)
{
    (void)state;
    struct traffic traffic = traffic_of_means(1000, 100);
    traffic_set_cache(&traffic, 500, UNKNOWN);
    struct prompt_work work = traffic_prompt_work(&traffic, 16);
    assert_near("computed", work.tokens, 1000 - 496, 1e-12);
    assert_near("squares", work.tokens_squared, 1e6 - 496.0 * 496, 1e-12);
    traffic_set_cache(&traffic, UNKNOWN, 1);
    assert_near("all but one", traffic_prompt_work(&traffic, 16).tokens, 1000 - 992, 1e-12);
    assert_near("a block of one", traffic_prompt_work(&traffic, 1).tokens, 1, 1e-12);
    traffic.draft_acceptance_ratio = 0.8;
    assert_near("tokens", traffic_tokens_per_step(&traffic, 3), 1 + 0.8 + 0.64 + 0.512, 1e-12);
    traffic.draft_acceptance_ratio = 1;
    assert_near("all", traffic_tokens_per_step(&traffic, 3), 4, 1e-12);
}

static struct roofline_terms draft_terms(const struct model *draft, struct gpu gpu, uint32_t tensor_parallel)
{
    struct replica replica = llama_on_h100("vllm");
    replica.gpu = gpu;
    replica.deployment.tensor_parallel = tensor_parallel;
    replica.deployment.draft_kind = DRAFT_MODEL;
    replica.deployment.draft_model = draft;
    replica.deployment.draft_tokens = 3;
    replica_init(&replica, 1000, 200);
    return replica.roofline.draft;
}

/* A draft takes the time of what its memory is counted as: 32-bit weights are loaded in 16, before Ampere as fp16, and
 * heads that do not divide by the GPUs are whole on each. */
static void test_draft_runs_as_it_is_held(void **state)
{
    (void)state;
    struct gpu before = h100;
    before.cuda_cc = 7.5;
    struct model small = llama;
    small.layers = small.full_attention_layers = 4;
    small.attention_heads = 6, small.kv_heads = 2;
    struct model wide = small;
    wide.native_dtype = DTYPE_FP32;
    double whole_ms = draft_terms(&small, h100, 1).dense_read_ms;
    assert_true(whole_ms > 0);
    assert_near("32 bits", draft_terms(&wide, h100, 1).dense_read_ms, whole_ms, 1e-12);
    assert_near("before Ampere", draft_terms(&wide, before, 1).dense_read_ms, whole_ms, 1e-12);
    assert_near("halves", draft_terms(&small, h100, 2).dense_read_ms, whole_ms / 2, 1e-12);
    assert_near("whole on each", draft_terms(&small, h100, 4).dense_read_ms, whole_ms, 1e-12);
}

/* What rows of the target showed says nothing of the draft's prompts. */
static void test_ratios_are_of_the_target(void **state)
{
    (void)state;
    struct traffic traffic = traffic_of_means(1000, 200);
    double drafted_ms[2];
    for (int slow = 0; slow < 2; slow++) {
        struct replica replica = llama_on_h100("vllm");
        replica_init(&replica, 1000, 200);
        replica.deployment.fits[FIT_LOAD_SERVED] = NULL;
        replica.deployment.kin[FIT_LOAD_SERVED] = (struct engine_kin){.time_ratio = 1 + slow, .ttft_ratio = 1 + slow};
        roofline_init_traffic(&replica.roofline, &replica.deployment, &replica.memory, &traffic);
        double plain_ms = roofline_prefill_ms(&replica.roofline);
        replica.deployment.draft_kind = DRAFT_EAGLE;
        replica.deployment.draft_tokens = 3;
        roofline_init_traffic(&replica.roofline, &replica.deployment, &replica.memory, &traffic);
        drafted_ms[slow] = roofline_prefill_ms(&replica.roofline) - plain_ms;
    }
    assert_true(drafted_ms[0] > 0);
    assert_near("the draft's prompt", drafted_ms[1], drafted_ms[0], 1e-9);
}

/* A prefix of 1,600 tokens is held once: sixteen requests of it and 400 tokens of their own take 1,600 + 16·400. */
static void test_shared_prefix_is_held_once(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica_init(&replica, 1000, 200);
    double alone = memory_sequences_at(&replica.deployment, &replica.memory, 2000);
    double shared = memory_sequences_sharing(&replica.deployment, &replica.memory, 2000, 1600);
    double units = replica.memory.kv_units;
    assert_near("alone", alone, units / 125, 1e-9);
    assert_near("shared", shared, (units - 100) / 25, 1e-9);
}

/* An idle GPU draws a tenth of its TDP, one that only computes all of it; a joule of a saturated H100 makes more tokens
 * than one of a single request. */
static void test_energy(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica_init(&replica, 1000, 200);
    struct load_point rare = {.load = LOAD_RATE, .requests_per_second = 1e-6, .arrival_cv2 = 1};
    struct performance idle = predict(&replica, rare),
                       full = predict(&replica, (struct load_point){.load = LOAD_SATURATED});
    assert_near("idle", performance_power_watts(&idle).value, 70, 1e-3);
    assert_true(performance_power_watts(&full).value > 525 && performance_power_watts(&full).value <= 700);
    struct performance one = at_concurrency(&replica, 1);
    assert_true(performance_tokens_per_joule(&full).value > 5 * performance_tokens_per_joule(&one).value);
    assert_true(performance_tokens_per_joule(&one).value > performance_tokens_per_joule(&idle).value);
}

/* A kind of prompt takes as long beside others as it does where all are of its length. */
static void test_prompts_of_a_kind_are_what_they_are_alone(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica_init(&replica, 200, 200);
    double short_ms = roofline_ttft_ms(&replica.roofline, 1);
    replica_init(&replica, 8200, 200);
    double long_ms = roofline_ttft_ms(&replica.roofline, 1);
    const struct length_bucket prompts[] = {{200, 9}, {8200, 1}};
    const struct length_histogram input = {prompts, 2};
    struct traffic traffic = traffic_of_means(1000, 200);
    traffic.input = lengths_of_histogram(&input);
    retraffic(&replica, &traffic);
    double mean_ms = roofline_first_token_mean_ms(&replica.roofline);
    double short_ratio = roofline_first_token_ratio(&replica.roofline, 200, mean_ms);
    double long_ratio = roofline_first_token_ratio(&replica.roofline, 8200, mean_ms);
    assert_near("of each other", long_ratio / short_ratio, long_ms / short_ms, 1e-9);
    assert_near("on average", 0.9 * short_ratio + 0.1 * long_ratio, 1, 1e-9);
}

/* What a distribution of lengths changes: the slow prompts, the long answers, the wait for a place. */
static void test_long_answers_come_last(void **state)
{
    (void)state;
    struct replica replica = llama_on_h100("vllm");
    replica.deployment.max_sequences = 32;
    replica_init(&replica, 1000, 200);
    const struct length_bucket prompts[] = {{200, 9}, {8200, 1}}, answers[] = {{50, 4}, {800, 1}};
    const struct length_histogram input = {prompts, 2}, output = {answers, 2};
    struct traffic traffic = traffic_of_means(1000, 200);
    struct load_point load = {LOAD_RATE, 0, 0, 6, 1, 95, true};
    struct performance alike = predict(&replica, load);
    traffic.input = lengths_of_histogram(&input);
    traffic.output = lengths_of_histogram(&output);
    retraffic(&replica, &traffic);
    struct performance varied = predict(&replica, load);
    assert_true(varied.ttft_ms.value > 1.5 * alike.ttft_ms.value);
    assert_true(varied.e2e_ms.value > 2.5 * alike.e2e_ms.value);
    assert_true(varied.percentiles[PERCENTILE_50].e2e_ms.value < 0.5 * alike.percentiles[PERCENTILE_50].e2e_ms.value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_by_hand),
        cmocka_unit_test(test_measured_rows),
        cmocka_unit_test(test_what_was_not_fitted_is_extrapolated),
        cmocka_unit_test(test_experts_that_no_row_tells),
        cmocka_unit_test(test_multiprocessors_limit_reading),
        cmocka_unit_test(test_prompts_in_chunks),
        cmocka_unit_test(test_a_prompt_passes_all_stages),
        cmocka_unit_test(test_prompts_by_power_and_scores),
        cmocka_unit_test(test_apple_ratios),
        cmocka_unit_test(test_zero_is_off),
        cmocka_unit_test(test_peaks_fall_back),
        cmocka_unit_test(test_unknown_facts_stay_unknown),
        cmocka_unit_test(test_nothing_fits_serves_nothing),
        cmocka_unit_test(test_host_link),
        cmocka_unit_test(test_sparse_attention),
        cmocka_unit_test(test_bounds_name_the_resource),
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_rate_serves_the_arrivals),
        cmocka_unit_test(test_capacity_is_the_edge),
        cmocka_unit_test(test_static_batch_runs_in_waves),
        cmocka_unit_test(test_lengths_by_hand),
        cmocka_unit_test(test_lengths_of_tiny_tails),
        cmocka_unit_test(test_decode_replicas_read_no_prompts),
        cmocka_unit_test(test_waiting_is_not_in_flight),
        cmocka_unit_test(test_cached_and_drafted_by_hand),
        cmocka_unit_test(test_draft_runs_as_it_is_held),
        cmocka_unit_test(test_ratios_are_of_the_target),
        cmocka_unit_test(test_shared_prefix_is_held_once),
        cmocka_unit_test(test_energy),
        cmocka_unit_test(test_prompts_of_a_kind_are_what_they_are_alone),
        cmocka_unit_test(test_long_answers_come_last),
        cmocka_unit_test(test_random_deployments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
