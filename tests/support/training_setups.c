/* training_setups.c owns the bodies of training_setups.h. */
#include "support/training_setups.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct training_setup training_setup_plain(const struct snapshot *snapshot, const struct model *model, const char *gpu,
                                           uint32_t gpus)
{
    size_t index = 0;
    while (index < snapshot->gpu_count && strcmp(snapshot->gpus[index].id, gpu) != 0)
        index++;
    if (index == snapshot->gpu_count) fail_msg("there is no GPU %s", gpu);
    return (struct training_setup){
        .snapshot = snapshot,
        .model = model,
        .gpu = &snapshot->gpus[index],
        .profile = snapshot_find_training(snapshot, "fsdp"),
        .method = TRAINING_FULL,
        .lora_rank = 16,
        .lora_targets = LORA_ALL_LINEAR,
        .flash_attention = true,
        .fused_loss = true,
        .sequence_tokens = 4096,
        .micro_batch_sequences = 1,
        .micro_batches = 1,
        .gpus = gpus,
        .host_gpus = gpus < 8 ? gpus : 8,
        .tensor_parallel = 1,
        .pipeline_parallel = 1,
        .virtual_stages = 1,
        .context_parallel = 1,
        .expert_parallel = 1,
        .network_gb_per_s = UNKNOWN,
    };
}

const struct model *training_model(const struct snapshot *snapshot, const char *id)
{
    size_t index = snapshot_model_index(snapshot, id);
    if (index == snapshot->model_count) fail_msg("there is no model %s", id);
    return &snapshot->models[index];
}

struct training_memory training_memory_of(struct training_setup setup)
{
    struct training_memory memory;
    training_memory_size(&setup, &memory);
    return memory;
}

struct training_time training_time_of(struct training_setup setup)
{
    struct training_time time;
    if (!training_time_predict(&setup, &time)) fail_msg("no rate of %s", setup.gpu->id);
    return time;
}

double training_seconds_of(struct training_setup setup)
{
    struct training_time time = training_time_of(setup);
    return training_terms_sum(&time.terms);
}

struct model training_dense_model(double parameters, uint32_t layers, uint32_t hidden, uint32_t intermediate,
                                  uint32_t vocabulary)
{
    return (struct model){
        .id = "dense",
        .parameters = parameters,
        .active_parameters = parameters,
        .layers = layers,
        .full_attention_layers = layers,
        .hidden_size = hidden,
        .attention_heads = hidden / 128,
        .kv_heads = hidden / 128,
        .head_dim = 128,
        .intermediate_size = intermediate,
        .vocabulary_size = vocabulary,
        .attention_kind = ATTENTION_MHA,
    };
}
