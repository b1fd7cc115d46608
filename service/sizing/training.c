/* training.c owns the words of training and what a parameter takes under each of them. */
#include "sizing/training.h"

#include "sizing/stage.h"

const char *const training_method_names[] = {"full", "pretrain", "lora", "qlora", NULL};
const char *const training_optimizer_names[] = {"adamw", "adamw_8bit", "adafactor", "sgd_momentum",
                                                "muon",  "lion",       NULL};
const char *const training_precision_names[] = {"bf16_mixed", "bf16", "fp32", "fp8", "nvfp4", NULL};
const char *const training_recompute_names[] = {"none", "selective", "full", NULL};
const char *const training_sharding_names[] = {"ddp", "zero1", "zero2", "zero3", "fsdp", "fsdp_hybrid", NULL};
const char *const training_offload_names[] = {"none", "cpu_optimizer", "cpu_all", "nvme_optimizer", "nvme_all", NULL};

/* State beside the weights, in fp32, per parameter. Adam: two moments (Kingma & Ba 2015). 8 bits: both in blocks of 8
 * bits with a scale each (Dettmers et al. 2022). Adafactor: a row and a column of a matrix stand for its second moment,
 * and there is no first one (Shazeer & Stern 2018). SGD, Muon (Jordan et al. 2024), Lion (Chen et al. 2023): one
 * momentum; of Muon's embeddings, which AdamW trains in practice, the second moment is not counted. */
static const double moment_bytes[OPTIMIZER_COUNT] = {
    [OPTIMIZER_ADAMW] = 8,        [OPTIMIZER_ADAMW_8BIT] = 2, [OPTIMIZER_ADAFACTOR] = 0.01,
    [OPTIMIZER_SGD_MOMENTUM] = 4, [OPTIMIZER_MUON] = 4,       [OPTIMIZER_LION] = 4,
};

/* Mixed: 16-bit weights, gradients summed up in fp32, an fp32 copy of the weights: the 18 bytes with AdamW of
 * DeepSpeed's estimator and of Megatron Core. fp8 and NVFP4: beside them the quantised weights and their transposes
 * (NVIDIA Transformer Engine), of 2 and 1 bytes. Pure bf16: everything has the type of the weights, as PyTorch's
 * optimizers do it. */
static const struct {
    double weights, gradients, master, moment_ratio;
} precisions[PRECISION_COUNT] = {
    [PRECISION_BF16_MIXED] = {2, 4, 4, 1}, [PRECISION_BF16] = {2, 2, 0, 0.5}, [PRECISION_FP32] = {4, 4, 0, 1},
    [PRECISION_FP8] = {4, 4, 4, 1},        [PRECISION_NVFP4] = {3, 4, 4, 1},
};

struct training_bytes training_parameter_bytes(enum training_precision precision, enum training_optimizer optimizer)
{
    bool plain = optimizer == OPTIMIZER_ADAMW_8BIT; /* has its own width already */
    return (struct training_bytes){
        .weights = precisions[precision].weights,
        .gradients = precisions[precision].gradients,
        .master = precisions[precision].master,
        .moments = moment_bytes[optimizer] * (plain ? 1 : precisions[precision].moment_ratio),
    };
}

double training_data_parallel(const struct training_setup *setup)
{
    return (double)setup->gpus / ((double)setup->tensor_parallel * setup->pipeline_parallel * setup->context_parallel);
}

double training_trained_parameters(const struct training_setup *setup)
{
    if (!training_has_adapters(setup->method)) return setup->model->parameters;
    return setup->lora_rank * lora_rank_parameters(setup->model, setup->lora_targets);
}

double training_step_tokens(const struct training_setup *setup)
{
    return setup->sequence_tokens * setup->micro_batch_sequences * setup->micro_batches * training_data_parallel(setup);
}

bool training_recompute_saving(const struct training_setup *setup, enum training_recompute recompute,
                               struct training_saving *ret_saving)
{
    struct training_setup without = *setup, with = *setup;
    struct training_memory kept, saved;
    struct training_time fast, slow;
    without.recompute = RECOMPUTE_NONE;
    with.recompute = recompute;
    if (!training_time_predict(&without, &fast) || !training_time_predict(&with, &slow)) return false;
    training_memory_size(&without, &kept);
    training_memory_size(&with, &saved);
    *ret_saving = (struct training_saving){
        .memory_ratio = 1 - saved.total_bytes.value / kept.total_bytes.value,
        .activation_ratio = 1 - saved.activations_bytes / kept.activations_bytes,
        .time_ratio = slow.step_seconds.value / fast.step_seconds.value - 1,
    };
    return true;
}
