/* training_memory_test.c owns the proof of what a rank of a training run holds: published estimates and measured runs,
 * hand calculations of dense, MoE, latent and hybrid models, and what may only become less or more. */
#include "support/fixture.h"
#include "support/near.h"
#include "support/training_setups.h"

#include <string.h>

static double states_bytes(const struct training_memory *memory)
{
    return memory->weights_bytes + memory->gradients_bytes + memory->optimizer_bytes;
}

/* What a search leaves out by: never more than the total, whatever is recomputed, sharded or kept elsewhere. */
static void test_states_bound(void **state)
{
    (void)state;
    const struct model *model = training_model(snapshot, "meta-llama/Llama-3.1-8B-Instruct");
    struct training_setup setup = training_setup_plain(snapshot, model, "h100-sxm", 16);
    enum { OFFLOADS = OFFLOAD_NVME_ALL + 1 };
    for (unsigned i = 0; i < (unsigned)SHARDING_COUNT * OFFLOADS * RECOMPUTE_COUNT; i++) {
        setup.sharding = (enum training_sharding)(i % SHARDING_COUNT);
        setup.offload = (enum training_offload)(i / SHARDING_COUNT % OFFLOADS);
        setup.recompute = (enum training_recompute)(i / SHARDING_COUNT / OFFLOADS);
        setup.micro_batch_sequences = 1 + i % 3;
        struct training_memory memory = training_memory_of(setup);
        assert_true(training_states_bytes(&setup) < memory.total_bytes.value);
        assert_near("states", training_states_bytes(&setup), states_bytes(&memory), 1e-12);
    }
}

/* --- published estimates ---------------------------------------------------------------------------------------- */

/* DeepSpeed's estimator, deepspeed #4527: 6805M parameters, ZeRO-3 on 4 GPUs, 29.01 GiB of each: 18 bytes for each
 * parameter over 4, and 4 for each of the largest module, the embedding; here it is a layer's that are gathered. */
static void test_deepspeed_zero3(void **state)
{
    (void)state;
    struct model model = training_dense_model(6805e6, 32, 4096, 11008, 32000);
    struct training_setup setup = training_setup_plain(snapshot, &model, "a100-80gb-sxm", 4);
    setup.sharding = SHARDING_ZERO3;
    setup.sequence_tokens = 1;
    struct training_memory memory = training_memory_of(setup);
    assert_near("18 P / N", states_bytes(&memory), 18 * 6805e6 / 4, 1e-9);
    double embedding = 32000.0 * 4096;
    assert_near("DeepSpeed", (states_bytes(&memory) + 4 * embedding) / GIB, 29.01, 1e-3);
    assert_near("with a layer", (states_bytes(&memory) + memory.gathered_bytes) / GIB, 29.01, 0.025);
}

/* The documentation of the same: T5-3B, 2851M, of which 32M in the largest module, 8 GPUs, all offloaded: 71.71 GiB of
 * the host, 0.12 of each GPU. */
static void test_deepspeed_offload(void **state)
{
    (void)state;
    struct model model = training_dense_model(2851598336, 48, 1024, 16384, 32128);
    model.tied_embeddings = true;
    struct training_setup setup = training_setup_plain(snapshot, &model, "a100-80gb-sxm", 8);
    setup.sharding = SHARDING_ZERO3;
    setup.offload = OFFLOAD_CPU_ALL;
    setup.sequence_tokens = 1;
    struct training_memory memory = training_memory_of(setup);
    assert_near("host", memory.host_bytes / GIB, 71.71, 1e-3);
    assert_true(states_bytes(&memory) == 0);
    assert_near("largest module", 4 * 32128.0 * 1024 / GIB, 0.12, 0.03);
    assert_in_range(memory.gathered_bytes, 0.12 * GIB, 0.35 * GIB); /* an embedding, 1.4 layers and a gradient */
}

/* ZeRO (Rajbhandari et al. 2020), table 1: 7.5B on 64, K = 12: 120, 31.4, 16.6, 1.9 GB with 2 bytes of gradients. Here
 * they have 4, in fp32. */
static void test_zero_stages(void **state)
{
    (void)state;
    static const struct {
        enum training_sharding sharding;
        double paper_gb, paper_gradients_gb, gradients_gb;
    } rows[] = {{SHARDING_DDP, 120, 15, 30},
                {SHARDING_ZERO1, 31.4, 15, 30},
                {SHARDING_ZERO2, 16.6, 15.0 / 64, 30.0 / 64},
                {SHARDING_ZERO3, 1.9, 15.0 / 64, 30.0 / 64}};
    struct model model = training_dense_model(7.5e9, 36, 4096, 16384, 50000);
    struct training_setup setup = training_setup_plain(snapshot, &model, "v100-32gb-sxm", 64);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setup.sharding = rows[i].sharding;
        struct training_memory memory = training_memory_of(setup);
        double others = memory.weights_bytes + memory.optimizer_bytes;
        assert_near("weights and optimizer", others / GB, rows[i].paper_gb - rows[i].paper_gradients_gb, 0.02);
        assert_near("gradients", memory.gradients_bytes / GB, rows[i].gradients_gb, 1e-9);
    }
}

/* Hugging Face's model-memory bot: zephyr-7b in fp32 27.49, to train it with Adam 109.96. */
static void test_fp32_adam(void **state)
{
    (void)state;
    struct model model = training_dense_model(27.49 * GIB / 4, 32, 4096, 14336, 32000);
    struct training_setup setup = training_setup_plain(snapshot, &model, "a100-80gb-sxm", 1);
    setup.precision = PRECISION_FP32;
    struct training_memory memory = training_memory_of(setup);
    assert_near("weights", memory.weights_bytes / GIB, 27.49, 1e-9);
    assert_near("Adam", states_bytes(&memory) / GIB, 109.96, 1e-9);
}

/* Bytes for each parameter: of weights, gradients, the fp32 copy and the optimizer's state. */
static void test_parameter_bytes(void **state)
{
    (void)state;
    static const struct {
        enum training_precision precision;
        enum training_optimizer optimizer;
        double bytes;
    } rows[] = {
        {PRECISION_BF16_MIXED, OPTIMIZER_ADAMW, 2 + 4 + 4 + 8},
        {PRECISION_BF16_MIXED, OPTIMIZER_ADAMW_8BIT, 12},
        {PRECISION_BF16_MIXED, OPTIMIZER_MUON, 14},
        {PRECISION_BF16_MIXED, OPTIMIZER_SGD_MOMENTUM, 14},
        {PRECISION_BF16_MIXED, OPTIMIZER_LION, 14},
        {PRECISION_BF16_MIXED, OPTIMIZER_ADAFACTOR, 10.01},
        {PRECISION_BF16, OPTIMIZER_ADAMW, 8},
        {PRECISION_BF16, OPTIMIZER_ADAMW_8BIT, 6},
        {PRECISION_FP32, OPTIMIZER_ADAMW, 16},
        {PRECISION_FP8, OPTIMIZER_ADAMW, 20},
        {PRECISION_NVFP4, OPTIMIZER_ADAMW, 19},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct training_bytes each = training_parameter_bytes(rows[i].precision, rows[i].optimizer);
        assert_near("bytes", each.weights + each.gradients + each.master + each.moments, rows[i].bytes, 1e-12);
    }
}

/* --- adapters --------------------------------------------------------------------------------------------------- */

/* What peft prints for Llama-2-7B: 39,976,960 trainable parameters of rank 16 on all linear layers, 8,388,608 of rank 8
 * on those of attention. */
static void test_adapters(void **state)
{
    (void)state;
    const struct model *model = training_model(snapshot, "meta-llama/Llama-2-7b-hf");
    struct training_setup setup = training_setup_plain(snapshot, model, "a100-80gb-sxm", 1);
    setup.method = TRAINING_LORA;
    assert_true(training_trained_parameters(&setup) == 39976960);
    struct training_memory memory = training_memory_of(setup);
    assert_near("weights", memory.weights_bytes, 2 * (6738415616.0 + 39976960), 1e-9);
    assert_near("trained", memory.gradients_bytes + memory.optimizer_bytes, 16 * 39976960.0, 1e-9);
    setup.lora_rank = 8;
    setup.lora_targets = LORA_ATTENTION;
    assert_true(training_trained_parameters(&setup) == 8388608);
    setup.method = TRAINING_QLORA; /* NF4 with double quantisation; embedding and head stay as they are */
    double ends = 2 * 32000.0 * 4096;
    memory = training_memory_of(setup);
    assert_near("4 bits", memory.weights_bytes, (6738415616 - ends) * 4.127 / 8 + 2 * ends + 2 * 8388608.0, 1e-4);
    setup.gpus = setup.tensor_parallel = 2;
    assert_near("halves", training_memory_of(setup).weights_bytes, memory.weights_bytes / 2, 1e-9);
}

/* --- measured: pytorch/torchtune 0031bfb0, README (BSD-3), 2 sequences of 2048 on one GPU; the others' frameworks ---
 */

static void test_measured(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        enum training_method method;
        enum training_recompute recompute;
        bool low; /* 8-bit AdamW, paged, its update fused into the backward pass */
        uint32_t gpus;
        enum training_offload offload;
        double gib, tolerance_ratio;
    } rows[] = {
        {"meta-llama/Llama-3.1-8B-Instruct", TRAINING_FULL, RECOMPUTE_FULL, true, 1, OFFLOAD_CPU_OPTIMIZER, 18.9, .05},
        {"meta-llama/Llama-3.1-8B-Instruct", TRAINING_FULL, RECOMPUTE_NONE, true, 1, OFFLOAD_CPU_OPTIMIZER, 37.4, .05},
        {"meta-llama/Llama-3.1-8B-Instruct", TRAINING_LORA, RECOMPUTE_FULL, false, 1, OFFLOAD_NONE, 16.2, .12},
        {"meta-llama/Llama-3.1-8B-Instruct", TRAINING_LORA, RECOMPUTE_NONE, false, 1, OFFLOAD_NONE, 30.3, .05},
        {"meta-llama/Llama-3.1-8B-Instruct", TRAINING_QLORA, RECOMPUTE_FULL, false, 1, OFFLOAD_NONE, 7.4, .12},
        {"meta-llama/Llama-3.1-70B-Instruct", TRAINING_LORA, RECOMPUTE_FULL, false, 8, OFFLOAD_NONE, 27.6, .05},
        {"meta-llama/Llama-3.1-70B-Instruct", TRAINING_FULL, RECOMPUTE_FULL, false, 8, OFFLOAD_CPU_ALL, 13.9, .15},
        {"meta-llama/Llama-3.1-405B", TRAINING_QLORA, RECOMPUTE_FULL, false, 8, OFFLOAD_NONE, 41.72, .2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct training_setup setup =
            training_setup_plain(snapshot, training_model(snapshot, rows[i].model), "a100-80gb-sxm", rows[i].gpus);
        setup.method = rows[i].method;
        setup.recompute = rows[i].recompute;
        setup.precision = PRECISION_BF16;
        setup.optimizer = rows[i].low ? OPTIMIZER_ADAMW_8BIT : OPTIMIZER_ADAMW;
        setup.fused_backward = rows[i].low;
        setup.offload = rows[i].offload;
        setup.sharding = rows[i].gpus > 1 ? SHARDING_FSDP : SHARDING_DDP;
        setup.sequence_tokens = 2048;
        setup.micro_batch_sequences = 2;
        struct training_memory memory = training_memory_of(setup);
        assert_near(rows[i].model, memory.total_bytes.value / GIB, rows[i].gib, rows[i].tolerance_ratio);
    }
}

/* DeepSpeed's buckets, which LongLoRA's run on ZeRO-2 had (arXiv 2309.12307, table 12: 25.7 GiB), are in the interval.
 */
static void test_zero2_buckets(void **state)
{
    (void)state;
    const struct model *model = training_model(snapshot, "meta-llama/Llama-2-7b-hf");
    struct training_setup setup = training_setup_plain(snapshot, model, "a100-80gb-sxm", 8);
    setup.method = TRAINING_LORA;
    setup.precision = PRECISION_BF16;
    setup.recompute = RECOMPUTE_FULL;
    setup.fused_loss = false;
    setup.sequence_tokens = 8192;
    setup.sharding = SHARDING_ZERO2;
    struct training_memory memory = training_memory_of(setup);
    assert_true(memory.total_bytes.value / GIB < 25.7 && 25.7 < memory.total_bytes.high / GIB);
    setup.sharding = SHARDING_ZERO1;
    assert_true(training_memory_of(setup).total_bytes.high / GIB < 25.7);
}

/* --- hand calculations ------------------------------------------------------------------------------------------ */

/* Llama-3-8B: 8 h of norms and sums, 4 h of queries and output, 1 h of keys and values, 28 h of the FFN (14336 = 3.5
 * h), for each token and layer; selectively 4, 5 and 14; in full the input, 2 h, and one layer. */
static void test_activations_dense(void **state)
{
    (void)state;
    const struct model *model = training_model(snapshot, "meta-llama/Llama-3.1-8B-Instruct");
    struct training_setup setup = training_setup_plain(snapshot, model, "h100-sxm", 1);
    double one = 4096.0 * 4096; /* tokens times h */
    assert_near("none", training_memory_of(setup).activations_bytes, 32 * 41 * one, 1e-9);
    setup.recompute = RECOMPUTE_SELECTIVE;
    assert_near("selective", training_memory_of(setup).activations_bytes, 32 * 23 * one, 1e-9);
    setup.recompute = RECOMPUTE_FULL; /* Llama 2, whose logits are less than a layer: 21.5 h of the FFN, 4 h of keys */
    setup.model = training_model(snapshot, "meta-llama/Llama-2-7b-hf");
    assert_near("full", training_memory_of(setup).activations_bytes, (2 * 32 + 37.5) * one, 1e-9);
    setup = training_setup_plain(snapshot, model, "h100-sxm", 1);
    setup.flash_attention = false; /* 5 bytes of each score: 32 heads, 4096 keys */
    assert_near("scores", training_memory_of(setup).activations_bytes, 32 * (41 * one + 4096.0 * 5 * 32 * 4096), 1e-9);
}

/* Tensor parallelism of 8 divides all but the 8 h of norms and sums, sequence parallelism these too (Korthikanti et al.
 * 2022); 1F1B keeps a micro-batch for each stage on the first. */
static void test_activations_parallel(void **state)
{
    (void)state;
    const struct model *model = training_model(snapshot, "meta-llama/Llama-3.1-8B-Instruct");
    struct training_setup setup = training_setup_plain(snapshot, model, "h100-sxm", 8);
    double one = 4096.0 * 4096;
    setup.tensor_parallel = 8;
    assert_near("tensor", training_memory_of(setup).activations_bytes, 32 * (8 + 33.0 / 8) * one, 1e-9);
    setup.sequence_parallel = true;
    assert_near("sequence", training_memory_of(setup).activations_bytes, 32 * 41.0 / 8 * one, 1e-9);
    setup = training_setup_plain(snapshot, model, "h100-sxm", 4);
    setup.pipeline_parallel = 4;
    setup.micro_batches = 8;
    assert_near("1F1B", training_memory_of(setup).activations_bytes, 8 * 4 * 41 * one, 1e-9);
    setup.virtual_stages = 2; /* and 3 / 8 more */
    assert_near("interleaved", training_memory_of(setup).activations_bytes, 8 * 4 * 41 * one * 11 / 8, 1e-9);
    setup.virtual_stages = 1;
    setup.micro_batches = 2; /* more are not there to be in flight */
    assert_near("two", training_memory_of(setup).activations_bytes, 8 * 2 * 41 * one, 1e-9);
}

/* Qwen3-30B-A3B: 48 layers, h 2048, 32 heads of 128 and 4 of keys, 8 experts of width 768 for each token: 8 h + 4 *
 * 4096 + 4 * 512 + 8 * 8 * 768 + 4 * 8 h. Of 30.53B the experts are 48 * 128 * 3 * 2048 * 768. */
static void test_moe(void **state)
{
    (void)state;
    const struct model *model = training_model(snapshot, "Qwen/Qwen3-30B-A3B");
    struct training_setup setup = training_setup_plain(snapshot, model, "h100-sxm", 8);
    double each = 8 * 2048 + 4 * 4096 + 4 * 512 + 8 * 8 * 768 + 4 * 8 * 2048;
    assert_near("activations", training_memory_of(setup).activations_bytes, 48 * 4096 * each, 1e-9);
    double experts = 48.0 * 128 * 3 * 2048 * 768, all = 30532122624;
    setup.expert_parallel = 8;
    assert_near("weights", training_memory_of(setup).weights_bytes, 2 * (all - experts + experts / 8), 1e-3);
    setup.sharding = SHARDING_ZERO1; /* the rest over 8 ranks, each expert is on one of them only */
    assert_near("optimizer", training_memory_of(setup).optimizer_bytes, 12 * (all / 8), 1e-3);
}

/* DeepSeek-V3: 128 heads of 192 (queries, keys) and 128 (values, output), latents of 512 + 64 and 1536; 3 layers with a
 * dense FFN of 18432, 58 with 8 experts of 2048 and a shared one. */
static void test_latent(void **state)
{
    (void)state;
    const struct model *model = training_model(snapshot, "deepseek-ai/DeepSeek-V3");
    struct training_setup setup = training_setup_plain(snapshot, model, "h100-sxm", 8);
    double attention = 2 * (128 * (2 * 192 + 2 * 128) + 512 + 64 + 1536);
    double layers = 61 * (8.0 * 7168 + attention) + 3 * 8.0 * 18432 + 58 * (8.0 * 9 * 2048 + 4.0 * 8 * 7168);
    assert_near("activations", training_memory_of(setup).activations_bytes, 4096 * layers, 1e-9);
}

/* Nemotron 3 Nano: 52 layers that are one thing each: 6 attend (32 heads of 128, 2 of keys), 23 keep a state, whose
 * convolution has 6144 channels (423,936 elements are 3 of each in 23 layers), 23 have experts (6 of 1856 and a shared
 * one of 3712). One norm and one sum in each. */
static void test_hybrid(void **state)
{
    (void)state;
    const struct model *model = training_model(snapshot, "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16");
    struct training_setup setup = training_setup_plain(snapshot, model, "h100-sxm", 8);
    double attention = 6 * (4.0 * 4096 + 4 * 256), states = 23 * 10.0 * 6144;
    double ffn = 23 * (8.0 * (6 * 1856 + 3712) + 4.0 * 6 * 2688), sums = 52 * 4.0 * 2688;
    assert_near("activations", training_memory_of(setup).activations_bytes, 4096 * (attention + states + ffn + sums),
                1e-9);
}

/* --- what may only become less or more -------------------------------------------------------------------------- */

/* Models of every kind of which the embedding, which is gathered whole, is the smaller part. */
static const char *const models[] = {
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-3.1-70B-Instruct",
    "Qwen/Qwen3-30B-A3B",
    "deepseek-ai/DeepSeek-V3",
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    "mistralai/Mixtral-8x7B-v0.1",
    "Qwen/Qwen3.5-27B",
};
enum { MODEL_COUNT = sizeof models / sizeof *models };

static double total_of(struct training_setup setup)
{
    return training_memory_of(setup).total_bytes.value;
}

static void assert_no_more(const char *what, double value, double than)
{
    if (!(value <= than * (1 + 1e-9))) fail_msg("%s: %.9g is more than %.9g", what, value, than);
}

/* A later stage of ZeRO, whatever the method, the optimizer, the precision and the number of GPUs. */
static void test_more_sharding(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODEL_COUNT; i++) {
        const struct model *model = training_model(snapshot, models[i]);
        for (uint32_t gpus = 2; gpus <= 256; gpus *= 2) {
            for (int method = 0; method < TRAINING_METHOD_COUNT; method++) {
                for (int optimizer = 0; optimizer < OPTIMIZER_COUNT; optimizer++) {
                    struct training_setup plain = training_setup_plain(snapshot, model, "h100-sxm", gpus);
                    plain.method = (enum training_method)method;
                    plain.optimizer = (enum training_optimizer)optimizer;
                    for (int stage = SHARDING_ZERO1; stage <= SHARDING_ZERO3; stage++) {
                        struct training_setup before = plain, after = plain;
                        before.sharding = (enum training_sharding)(stage - 1);
                        after.sharding = (enum training_sharding)stage;
                        struct training_memory less = training_memory_of(after), more = training_memory_of(before);
                        assert_no_more(models[i], states_bytes(&less), states_bytes(&more));
                        if (gpus >= 4) assert_no_more(models[i], total_of(after), total_of(before));
                    }
                }
            }
        }
    }
}

static void test_more_recompute(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODEL_COUNT; i++) {
        for (int precision = 0; precision < PRECISION_COUNT; precision++) {
            struct training_setup setup =
                training_setup_plain(snapshot, training_model(snapshot, models[i]), "b200-sxm", 8);
            setup.precision = (enum training_precision)precision;
            double before = INFINITY;
            for (int recompute = RECOMPUTE_NONE; recompute < RECOMPUTE_COUNT; recompute++) {
                setup.recompute = (enum training_recompute)recompute;
                assert_no_more(models[i], total_of(setup), before);
                before = total_of(setup);
            }
        }
    }
}

/* More sequences at a time, longer ones, a higher rank, logits at once: never less memory. */
static void test_more_work(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODEL_COUNT; i++) {
        struct training_setup setup =
            training_setup_plain(snapshot, training_model(snapshot, models[i]), "h100-sxm", 8);
        setup.method = TRAINING_LORA;
        for (setup.micro_batch_sequences = 1; setup.micro_batch_sequences <= 32; setup.micro_batch_sequences *= 2) {
            struct training_setup more = setup;
            more.micro_batch_sequences *= 2;
            assert_no_more("batch", total_of(setup), total_of(more));
            more = setup;
            more.sequence_tokens *= 2;
            assert_no_more("sequence", total_of(setup), total_of(more));
            more = setup;
            more.lora_rank *= 2;
            assert_no_more("rank", total_of(setup), total_of(more));
            more = setup;
            more.fused_loss = false;
            assert_no_more("logits", total_of(setup), total_of(more));
            more = setup;
            more.method = TRAINING_FULL;
            assert_no_more("method", total_of(setup), total_of(more));
        }
    }
}

/* What is offloaded is not on the GPU, and is on the host or the NVMe. */
static void test_offload(void **state)
{
    (void)state;
    const struct model *model = training_model(snapshot, models[0]);
    struct training_setup setup = training_setup_plain(snapshot, model, "h100-sxm", 8);
    setup.sharding = SHARDING_FSDP;
    double before = total_of(setup);
    for (int offload = OFFLOAD_CPU_OPTIMIZER; offload <= OFFLOAD_NVME_ALL; offload++) {
        setup.offload = (enum training_offload)offload;
        struct training_memory memory = training_memory_of(setup);
        bool all = offload == OFFLOAD_CPU_ALL || offload == OFFLOAD_NVME_ALL, nvme = offload >= OFFLOAD_NVME_OPTIMIZER;
        assert_no_more("offloaded", memory.total_bytes.value, before);
        assert_true(memory.optimizer_bytes == 0 && memory.gradients_bytes == 0);
        assert_true((memory.weights_bytes == 0) == all);
        assert_near("away", nvme ? memory.nvme_bytes : memory.host_bytes / 1.5, (all ? 18.0 : 16.0) * model->parameters,
                    1e-9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deepspeed_zero3),
        cmocka_unit_test(test_deepspeed_offload),
        cmocka_unit_test(test_zero_stages),
        cmocka_unit_test(test_fp32_adam),
        cmocka_unit_test(test_parameter_bytes),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_measured),
        cmocka_unit_test(test_zero2_buckets),
        cmocka_unit_test(test_activations_dense),
        cmocka_unit_test(test_activations_parallel),
        cmocka_unit_test(test_moe),
        cmocka_unit_test(test_latent),
        cmocka_unit_test(test_hybrid),
        cmocka_unit_test(test_more_sharding),
        cmocka_unit_test(test_more_recompute),
        cmocka_unit_test(test_more_work),
        cmocka_unit_test(test_offload),
        cmocka_unit_test(test_states_bound),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
