/* training_rows_test.c owns the proof that measured runs of training become the setups that they ran, or say why not,
 * and that a fit finds the coefficients behind its rows. Rows: facts of mosaicml/llm-foundry 8c8dd48f and
 * NVIDIA-NeMo/Megatron-Bridge 067f987d (Apache-2.0), pytorch/torchtune 0031bfb0 (BSD-3). */
#include "fit/training.h"
#include "support/fixture.h"
#include "support/near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOUNDRY                                                                                                        \
    "source,section,model,seq_len,gpus_total,gpu,hfu_pct,micro_batch,grad_accum,tokens_per_s_per_gpu,precision,"       \
    "sharding,act_ckpt,num_params\n"
#define MEGATRON                                                                                                       \
    "source,framework_version,task,model,gpu,gpus_total,precision,global_batch,micro_batch,seq_len,tp,pp,cp,vp,ep,"    \
    "fsdp,tokens_per_s_per_gpu,other\n"
#define FINETUNE                                                                                                       \
    "source,framework,model,method,gpu,gpus_total,seq_len,micro_batch,act_ckpt,parallelism,peak_mem_gib_per_gpu,"      \
    "measured_or_estimate,notes\n"

struct read {
    struct arena arena;
    struct problems problems;
    struct training_runs runs;
    enum status status;
};

static struct read *read_text(const char *text)
{
    struct read *read = calloc(1, sizeof *read);
    assert_non_null(read);
    arena_init(&read->arena, 0);
    problems_init(&read->problems, &read->arena);
    char *copy = arena_strndup(&read->arena, text, strlen(text));
    assert_non_null(copy);
    read->status =
        training_runs_read("runs.csv", copy, strlen(text), snapshot, &read->arena, &read->problems, &read->runs);
    return read;
}

static void done(struct read *read)
{
    arena_done(&read->arena);
    free(read);
}

static const struct training_run *only_run(const struct read *read)
{
    assert_int_equal(read->status, STATUS_OK);
    assert_int_equal(read->runs.count, 1);
    return &read->runs.items[0];
}

static void test_foundry(void **state)
{
    (void)state;
    struct read *read = read_text(FOUNDRY "mosaicml/llm-foundry,\"H100 80GB BF16 (1600 Gbps)\",MPT-70b,2048,512,"
                                          "H100-SXM-80GB,55.0,8,2,1007,amp_bf16,FULL_SHARD,True,64862437376\n");
    const struct training_run *run = only_run(read);
    struct training_setup made = training_run_setup(run);
    assert_null(run->refused);
    assert_true(run->in_fit && run->tokens_per_second_per_gpu == 1007);
    assert_string_equal(made.gpu->id, "h100-sxm");
    assert_string_equal(made.profile->name, "fsdp");
    assert_true(made.model->layers == 80 && made.model->hidden_size == 8192 && made.model->parameters == 64862437376);
    assert_true(made.method == TRAINING_PRETRAIN && made.sharding == SHARDING_FSDP);
    assert_true(made.recompute == RECOMPUTE_FULL && made.precision == PRECISION_BF16_MIXED);
    assert_true(made.gpus == 512 && made.host_gpus == 8 && made.network_gb_per_s == 25);
    assert_true(training_step_tokens(&made) == 2048.0 * 8 * 2 * 512);
    done(read);
}

/* Notes stand beside numbers: what another version had, a footnote, n/a. */
static void test_megatron(void **state)
{
    (void)state;
    struct read *read =
        read_text(MEGATRON "s,26.02.01 NeMo Container,Pre-Training Performance,DeepSeekV3,GB300-288GB,256,MXFP8,4096,"
                           "1 (4),4096,1,2,1,8,32,0,4691[^note],\n");
    const struct training_run *run = only_run(read);
    struct training_setup made = training_run_setup(run);
    assert_null(run->refused);
    assert_true(run->in_fit && made.older_software && run->tokens_per_second_per_gpu == 4691);
    assert_string_equal(made.gpu->id, "gb300");
    assert_string_equal(made.model->id, "deepseek-ai/DeepSeek-V3");
    assert_true(made.precision == PRECISION_FP8 && made.sharding == SHARDING_ZERO1);
    assert_true(made.tensor_parallel == 1 && made.pipeline_parallel == 2 && made.virtual_stages == 8);
    assert_true(made.expert_parallel == 32 && made.micro_batch_sequences == 1 && made.micro_batches == 32);
    done(read);
    read = read_text(MEGATRON "s,26.06 NeMo Container,LoRA,LLAMA3_70B,H100-SXM-80GB,8,FP8,32,1,4096,2,4,n/a,20,n/a,64,"
                              "2700,\n");
    made = training_run_setup(only_run(read));
    assert_true(made.method == TRAINING_LORA && made.lora_rank == 16 && !made.older_software);
    assert_true(made.context_parallel == 1 && made.expert_parallel == 1 && made.sharding == SHARDING_FSDP);
    assert_false(only_run(read)->in_fit); /* of pre-training only */
    done(read);
}

static void test_finetune(void **state)
{
    (void)state;
    struct read *read = read_text(
        FINETUNE "s,torchtune,Llama-3.1-8B,full,RTX 4090 24GB,1,2048,2,,,18.9,measured,"
                 "\"packed 2048; low-memory optimizer (PagedAdamW/8bit, fused bwd)\"\n"
                 "s,HF+DeepSpeed,Llama-2-7B,LoRA,A100-80GB,8,8192,1,yes,\"ZeRO-2, FA2\",25.7,measured,grad_accum 8\n"
                 "s,TRL,Qwen2.5-7B,LoRA DPO r16,,1,2048,1,yes,,19.08,measured,GB in source\n");
    assert_int_equal(read->runs.count, 3);
    const struct training_run *low = &read->runs.items[0], *deepspeed = &read->runs.items[1],
                              *pairs = &read->runs.items[2];
    assert_true(low->setup.optimizer == OPTIMIZER_ADAMW_8BIT && low->setup.fused_backward);
    assert_true(low->setup.offload == OFFLOAD_CPU_OPTIMIZER && low->states_optimizer && !low->states_recompute);
    assert_true(low->setup.fused_loss && low->setup.precision == PRECISION_BF16);
    assert_true(deepspeed->setup.sharding == SHARDING_ZERO2 && deepspeed->states_recompute);
    assert_true(!deepspeed->setup.fused_loss && deepspeed->setup.gpus == 8);
    assert_true(pairs->setup.micro_batch_sequences == 2 && pairs->peak_bytes == 19.08 * GB); /* chosen, rejected */
    struct training_span span;
    training_run_span(low, &span);
    assert_true(span.safe_low_bytes < span.low_bytes && span.low_bytes < low->peak_bytes);
    assert_true(low->peak_bytes < span.high_bytes && span.high_bytes < span.safe_high_bytes);
    done(read);
}

/* What cannot be compared says why. */
static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {MEGATRON "s,26.02,Pre-Training,DeepSeekV3,,256,MXFP8,4096,1,4096,1,2,1,8,32,0,4691,\n",
         "the row names no GPU"},
        {MEGATRON "s,26.02,Pre-Training,DeepSeekV3,X100,256,MXFP8,4096,1,4096,1,2,1,8,32,0,4691,\n",
         "the catalog does not know its GPU"},
        {MEGATRON "s,26.02,Pre-Training,Nobody,GB300-288GB,256,MXFP8,4096,1,4096,1,2,1,8,32,0,4691,\n",
         "the catalog does not have its model"},
        {MEGATRON "s,26.02,Pre-Training,DeepSeekV3,GB300-288GB,256,MXFP8,4096,1,4096,1,2,1,8,32,0,4691,Model=Kimi\n",
         "the row names two models"},
        {MEGATRON "s,26.02,Pre-Training,DeepSeekV3,GB300-288GB,256,,4096,1,4096,1,2,1,8,32,0,4691,\n",
         "the row states no precision"},
        {FOUNDRY "s,x,MPT-9b,2048,8,A100-SXM-80GB,50,8,1,1000,amp_bf16,FULL_SHARD,True,9e9\n",
         "no shape is known of its model"},
        {FINETUNE "s,torchtune,Llama-2-7B,LoRA,T4 16GB,1,,,,,12,measured,\n", "the row states no sequence length"},
        {FINETUNE "s,torchtune,Llama-2-7B,LoRA,T4 16GB,1,512,1,,,12,measured/estimated (see *),\n",
         "the row is an estimate"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct read *read = read_text(rows[i].text);
        assert_string_equal(only_run(read)->refused, rows[i].reason);
        done(read);
    }
}

static void test_bad_files(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "a,b\n1,2\n", FOUNDRY "s,\"never closed\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct read *read = read_text(texts[i]);
        assert_int_equal(read->status, STATUS_INVALID_VALUE);
        assert_true(read->problems.count == 1 && strstr(read->problems.items[0].detail, "runs.csv"));
        done(read);
    }
}

/* --- fit -------------------------------------------------------------------------------------------------------- */

enum { RUNS = 60 };

/* Runs of two GPUs, three shapes and many lengths whose speeds are those of a profile that is not the catalog's. */
static struct read *made_up_runs(const struct training_profile *truth)
{
    static const char *const models[] = {"MPT-1b,1315950592", "MPT-7b,6658859008", "MPT-30b,29975214080"};
    static char text[RUNS * 160 + sizeof FOUNDRY];
    size_t length = (size_t)snprintf(text, sizeof text, "%s", FOUNDRY);
    for (int i = 0; i < RUNS; i++) {
        const char *model = models[i % 3], *comma = strchr(model, ',');
        int sequence = 512 << (i / 3 % 5);
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "s,x,%.*s,%d,%d,%s,50,%d,1,1,amp_bf16,%s,%s%s\n", (int)(comma - model), model,
                                   sequence, i % 4 ? 8 : 64, i % 2 ? "A100-SXM-80GB" : "H100-SXM-80GB", 1 + i % 8,
                                   "FULL_SHARD", i % 5 ? "False" : "True", comma);
    }
    struct read *read = read_text(text);
    assert_int_equal(read->runs.count, RUNS);
    for (size_t i = 0; i < RUNS; i++)
        read->runs.items[i].tokens_per_second_per_gpu = exp(training_run_error(&read->runs.items[i], truth));
    return read;
}

static void test_fit_finds_coefficients(void **state)
{
    (void)state;
    const struct training_profile *bundled = snapshot_find_training(snapshot, "fsdp");
    struct training_profile truth = *bundled;
    truth.coef.product_16bit_ratio = 0.8;
    truth.coef.attention_ratio = 0.3;
    truth.coef.layer_us = 1500;
    struct read *read = made_up_runs(&truth);
    struct training_fit fit;
    assert_int_equal(training_fit_runs(&read->runs, bundled, &read->arena, &fit), STATUS_OK);
    assert_int_equal(fit.error_count, RUNS);
    assert_near("products", fit.fitted.coef.product_16bit_ratio, 0.8, 0.05);
    assert_near("attention", fit.fitted.coef.attention_ratio, 0.3, 0.05);
    assert_near("layers", fit.fitted.coef.layer_us, 1500, 0.05);
    assert_true(fit.fitted.coef.product_4bit_ratio == bundled->coef.product_4bit_ratio); /* no row tells */
    double bundled_worst = 0;
    for (size_t i = 0; i < fit.error_count; i++) {
        const struct training_error *error = &fit.errors[i];
        bundled_worst = fmax(bundled_worst, fabs(error->bundled));
        assert_true(fabs(error->fitted[TRAINING_IN_FIT]) < 0.02);
        assert_true(fabs(error->fitted[TRAINING_WITHOUT_GPU]) < 0.15);
        assert_true(fabs(error->fitted[TRAINING_WITHOUT_MODEL]) < 0.15);
    }
    assert_true(bundled_worst > 0.1);
    done(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foundry), cmocka_unit_test(test_megatron),  cmocka_unit_test(test_finetune),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_bad_files), cmocka_unit_test(test_fit_finds_coefficients),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
