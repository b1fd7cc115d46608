/* training.h owns what a step of training takes: the memory of the fullest rank, and the time of a step.
 * Formulas, sources and accuracy: docs/estimator.md, "Training"; docs/training.md. */
#pragma once
#include "catalog/snapshot.h"
#include "sizing/deployment.h"
#include "sizing/predicted.h"

enum training_method {
    TRAINING_FULL, /* every parameter, from a checkpoint */
    TRAINING_PRETRAIN,
    TRAINING_LORA,
    TRAINING_QLORA,
    TRAINING_METHOD_COUNT
};
enum { TRAINING_LORA_RANK = 16 }; /* where nobody says */
/* Whether the weights are frozen, and adapters beside them are trained. */
static inline bool training_has_adapters(enum training_method method)
{
    return method == TRAINING_LORA || method == TRAINING_QLORA;
}
enum training_optimizer {
    OPTIMIZER_ADAMW,
    OPTIMIZER_ADAMW_8BIT,
    OPTIMIZER_ADAFACTOR,
    OPTIMIZER_SGD_MOMENTUM,
    OPTIMIZER_MUON,
    OPTIMIZER_LION,
    OPTIMIZER_COUNT
};
enum training_precision {
    PRECISION_BF16_MIXED,
    PRECISION_BF16,
    PRECISION_FP32,
    PRECISION_FP8,
    PRECISION_NVFP4,
    PRECISION_COUNT
};
enum training_recompute { RECOMPUTE_NONE, RECOMPUTE_SELECTIVE, RECOMPUTE_FULL, RECOMPUTE_COUNT };
enum training_sharding {
    SHARDING_DDP,
    SHARDING_ZERO1,
    SHARDING_ZERO2,
    SHARDING_ZERO3,
    SHARDING_FSDP,
    SHARDING_FSDP_HYBRID, /* weights are sharded inside a host, and copied between hosts */
    SHARDING_COUNT
};
enum training_offload {
    OFFLOAD_NONE,
    OFFLOAD_CPU_OPTIMIZER,
    OFFLOAD_CPU_ALL,
    OFFLOAD_NVME_OPTIMIZER,
    OFFLOAD_NVME_ALL
};

/* NULL-terminated, in the order of the enums. */
extern const char *const training_method_names[],
    *const training_optimizer_names[], *const training_precision_names[], *const training_recompute_names[],
                                                                              *const training_sharding_names[],
                                                                                  *const training_offload_names[];

/* Bytes for each parameter that is trained. */
struct training_bytes {
    double weights, gradients, master, moments;
};
struct training_bytes training_parameter_bytes(enum training_precision precision, enum training_optimizer optimizer);

/* One way to train one model on GPUs of one part. Counts are at least 1. */
struct training_setup {
    const struct snapshot *snapshot;
    const struct model *model;
    const struct gpu *gpu;
    const struct training_profile *profile;
    enum training_method method;
    enum training_optimizer optimizer;
    enum training_precision precision;
    enum training_recompute recompute;
    enum training_sharding sharding;
    enum training_offload offload;
    uint32_t lora_rank;
    enum lora_targets lora_targets;
    bool flash_attention, fused_loss, sequence_parallel;
    bool fused_backward; /* the optimizer uses a gradient as soon as it is there: one layer has them at a time */
    double sequence_tokens, micro_batch_sequences;
    double micro_batches; /* of a step, one after another: gradient accumulation */
    uint32_t gpus, host_gpus;
    uint32_t tensor_parallel, pipeline_parallel, virtual_stages, context_parallel, expert_parallel;
    bool older_software;     /* than version 26.06 of Megatron Bridge, whose layers with experts are faster */
    double network_gb_per_s; /* per GPU between hosts; NaN: the profile's */
};

/* GPUs that hold copies of the same slice of the model: over them the batch, and what is sharded, is divided. */
double training_data_parallel(const struct training_setup *setup);
double training_trained_parameters(const struct training_setup *setup);
double training_step_tokens(const struct training_setup *setup); /* of all GPUs */

/* Of the fullest rank. */
struct training_memory {
    double weights_bytes; /* frozen ones included */
    double gradients_bytes, optimizer_bytes;
    double gathered_bytes; /* for a while: sharded weights to compute with, gradients before they are reduced or used */
    double activations_bytes, logits_bytes, overhead_bytes;
    struct predicted total_bytes;
    double available_bytes;
    double host_bytes; /* of one host: what is offloaded */
    double nvme_bytes;
    bool fits;        /* the expected total does */
    bool fits_safely; /* the upper end of its interval does */
};
void training_memory_size(const struct training_setup *setup, struct training_memory *ret_memory);
/* The part of the total that neither recompute nor a micro-batch changes. */
double training_states_bytes(const struct training_setup *setup);

/* Seconds of one GPU for each token of the batch: of `gpus` GPUs a step takes tokens / gpus times that. */
struct training_terms {
    double products, experts, attention, passes, recompute;
    double tensor_comm, expert_comm, shard_comm, launch, update, bubble;
};
double training_terms_sum(const struct training_terms *terms);

struct training_time {
    struct training_terms terms;
    struct predicted tokens_per_second; /* of all GPUs */
    struct predicted step_seconds;
    double step_tokens;
    double mfu_ratio; /* 6 flops per active parameter (4 where it is frozen and has no gradient) and 12 l h s for
                         attention, as if nothing was masked (Chowdhery et al. 2022), over the peak of the format */
    double flops_per_token;
    double compute_share; /* of the time of a step */
};
/* False, and nothing written, where a rate of the GPU in that precision is not known. */
bool training_time_predict(const struct training_setup *setup, struct training_time *ret_time) MUST_CHECK;
/* Whether a framework trains on it whose measured runs the profiles rest on: PyTorch and Megatron on NVIDIA's parts and
 * on AMD's for data centres. */
bool training_knows_part(const struct gpu *gpu);
/* Whether it multiplies in the formats of the precision, at a rate that is known. */
bool training_has_precision(const struct gpu *gpu, enum training_precision precision);
/* Rate of each GPU to other hosts, one direction: as asked for, or the profile's. */
double training_network_gb_per_s(const struct training_setup *setup);
/* Sustained rate of products of many rows in 16 bits, TFLOP/s; *ret_measured: published for this part or its like. */
double training_sustained_tflops(const struct snapshot *snapshot, const struct gpu *gpu, bool *ret_measured);

/* The same without recomputing: what full recompute really saves and costs here. */
struct training_saving {
    double memory_ratio;     /* of the total, saved against no recompute */
    double activation_ratio; /* of the activations */
    double time_ratio;       /* added to the time of a step */
};
bool training_recompute_saving(const struct training_setup *setup, enum training_recompute recompute,
                               struct training_saving *ret_saving) MUST_CHECK;
