/* replica.h owns the question "this model on these GPUs": the fields that memory and throughput share, and the
 * deployment that they describe. */
#pragma once
#include "api/common.h"

struct replica_request {
    struct model_ref model;
    const char *gpu, *mig_profile, *calibration;
    const char *engine, *engine_version, *weight_dtype, *kv_dtype;
    int64_t max_model_len_tokens, max_batched_tokens, max_sequences;
    double gpu_memory_utilization_ratio, gpu_used_gib;
    struct memory_extras extras;
    int64_t gpu_layers;
    int64_t gpu_count, tensor_parallel, pipeline_parallel, expert_parallel;
    double input_tokens, output_tokens, concurrency;
};

enum { LAYOUT_GPUS_MAX = 64, LAYOUT_STAGES_MAX = 8 };

#define REPLICA_LAYOUT(field, short_name, text)                                                                        \
    {                                                                                                                  \
        .name = #field, .group = "layout", .alias = short_name, .kind = FIELD_INTEGER,                                 \
        .offset = offsetof(struct replica_request, field), .min = 1, .max = 4096, .unit = "GPUs",                      \
        .preset = "the smallest layout that fits", .help = text                                                        \
    }
#define REPLICA_COUNT(field, unit_name, text)                                                                          \
    {                                                                                                                  \
        .name = #field, .group = "serving", .kind = FIELD_INTEGER, .offset = offsetof(struct replica_request, field),  \
        .min = 1, .max = 1e6, .unit = unit_name, .preset = "the engine profile's", .help = text                        \
    }

/* The rows of a field table whose request begins with a struct replica_request. */
#define REPLICA_FIELDS                                                                                                 \
    API_FIELD_MODEL(struct replica_request),                                                                           \
        {.name = "gpu",                                                                                                \
         .group = "",                                                                                                  \
         .kind = FIELD_TEXT,                                                                                           \
         .offset = offsetof(struct replica_request, gpu),                                                              \
         .help = "One GPU, by id or alias; see /v1/gpus."},                                                            \
        {.name = "mig_profile",                                                                                        \
         .group = "",                                                                                                  \
         .kind = FIELD_TEXT,                                                                                           \
         .offset = offsetof(struct replica_request, mig_profile),                                                      \
         .help = "A slice of the GPU instead of the whole, such as 3g.40gb; GPUs then count slices."},                 \
        API_FIELDS_SERVING(struct replica_request), API_FIELD_CALIBRATION(struct replica_request),                     \
        {.name = "weight_dtype",                                                                                       \
         .group = "serving",                                                                                           \
         .kind = FIELD_TEXT,                                                                                           \
         .offset = offsetof(struct replica_request, weight_dtype),                                                     \
         .preset = "native",                                                                                           \
         .help = "Number format of the weights; native is as the model is published."},                                \
        REPLICA_COUNT(max_batched_tokens, "tokens", "Most tokens of one engine step."),                                \
        REPLICA_COUNT(max_sequences, "sequences", "Most sequences in flight on one replica."),                         \
        API_FIELDS_EXTRAS(struct replica_request),                                                                     \
        {.name = "gpu_used_gib",                                                                                       \
         .group = "serving",                                                                                           \
         .kind = FIELD_NUMBER,                                                                                         \
         .offset = offsetof(struct replica_request, gpu_used_gib),                                                     \
         .min = 0,                                                                                                     \
         .max = 10000,                                                                                                 \
         .unit = "GiB",                                                                                                \
         .preset = "0",                                                                                                \
         .help = "Memory that others take on each GPU."},                                                              \
        {.name = "gpu_layers",                                                                                         \
         .group = "serving",                                                                                           \
         .kind = FIELD_INTEGER,                                                                                        \
         .offset = offsetof(struct replica_request, gpu_layers),                                                       \
         .min = 1,                                                                                                     \
         .max = 4096,                                                                                                  \
         .unit = "layers",                                                                                             \
         .preset = "all",                                                                                              \
         .help = "llama.cpp: layers on the GPUs, the head counting as one more; the others stay with the CPU."},       \
        REPLICA_LAYOUT(gpu_count, "gpus_total", "GPUs of all replicas together."),                                     \
        REPLICA_LAYOUT(tensor_parallel, "tp", "GPUs that share every layer; divides the attention heads."),            \
        REPLICA_LAYOUT(pipeline_parallel, "pp", "Stages of layers, one after the other."),                             \
        {.name = "expert_parallel",                                                                                    \
         .group = "layout",                                                                                            \
         .alias = "ep",                                                                                                \
         .kind = FIELD_INTEGER,                                                                                        \
         .offset = offsetof(struct replica_request, expert_parallel),                                                  \
         .min = 1,                                                                                                     \
         .max = 4096,                                                                                                  \
         .unit = "GPUs",                                                                                               \
         .preset = "1",                                                                                                \
         .help = "GPUs that share the experts: 1, or as many as tensor_parallel."},                                    \
        API_FIELDS_LENGTHS(struct replica_request), API_FIELD_CONCURRENCY(struct replica_request)

struct replica {
    struct api_model model;
    const struct gpu *part; /* of the catalog */
    struct gpu slice;       /* of it, where a MIG profile is asked for */
    const struct mig_profile *mig;
    struct deployment deployment; /* points into model: the struct must not be copied */
    struct memory memory;
    double input_tokens; /* of the mean, or of the longest prompt where lengths spread */
    uint32_t replicas;
    uint32_t smallest_gpus; /* of the smallest layout that fits; 0 if none up to LAYOUT_GPUS_MAX does */
};

/* Resolves everything and fills the defaults into the request (gpu is checked to be given). */
enum status replica_resolve(struct call *call, struct replica_request *request, struct replica *ret_replica) MUST_CHECK;

/* After a decoding that failed with `status`: adds what is wrong with the names too. */
enum status replica_refuse(struct call *call, struct replica_request *request, enum status status) MUST_CHECK;

/* Whether its speed can be told: that it starts, and has all layers on its GPUs. */
enum status replica_check_runs(struct call *call, const struct replica *replica) MUST_CHECK;

/* Sets tensor_parallel and pipeline_parallel to the smallest layout that fits, of `stages` stages (0 = any number),
 * whose GPUs divide `gpus` (0 = up to LAYOUT_GPUS_MAX); among equals the one with fewest stages. False, and no
 * change, if none does. */
bool replica_smallest_layout(struct deployment *deployment, uint32_t gpus, uint32_t stages);

/* Measured runs of this very setup, of the version that was asked for, correct the roofline from then on. */
void replica_find_evidence(const struct call *call, const struct replica_request *request,
                           const struct replica *replica, struct roofline *roofline, struct evidence *ret_evidence);

/* Members of the answer: gpu, serving, layout, host_memory, assumptions (and `more` of them), warnings. */
void replica_put(struct out *out, const struct replica *replica, const char *const *more, size_t more_count);
