/* deployment.h owns the description of one model replica: what runs, on what, how. */
#pragma once
#include "catalog/calibration.h"
#include "catalog/engine.h"
#include "catalog/gpu.h"
#include "catalog/model.h"
#include "catalog/status.h"

/* What proposes tokens for the model to check. */
enum draft_kind {
    DRAFT_NONE,
    DRAFT_NGRAM, /* the text itself: no memory */
    DRAFT_MTP,   /* the model's own layers for multi-token prediction */
    DRAFT_EAGLE, /* a head of one layer of the model's shape */
    DRAFT_MODEL, /* another model */
};
/* NULL of DRAFT_NONE, and of DRAFT_MODEL, which has its own. */
const char *draft_kind_name(enum draft_kind kind);

enum lora_targets { LORA_ALL_LINEAR, LORA_ATTENTION };
extern const char *const lora_target_names[];

struct deployment {
    const struct model *model;
    const struct gpu *gpu;
    const struct engine_profile *engine;
    enum dtype weight_dtype;                                      /* never DTYPE_UNKNOWN */
    enum dtype kv_dtype;                                          /* never DTYPE_UNKNOWN */
    uint32_t tensor_parallel, pipeline_parallel, expert_parallel; /* ≥ 1; ep = 1 or tp */
    uint32_t link_gpus; /* GPUs that the fast link joins here; ≥ tp: tp uses the link, else PCIe */
    uint32_t max_model_len_tokens;
    uint32_t max_batched_tokens; /* T: most tokens of one step */
    uint32_t max_sequences;      /* S: most sequences in flight per replica */
    double gpu_memory_utilization_ratio;
    bool utilization_by_layout;        /* not given, and the engine (SGLang) derives it from the layout too */
    double weights_bytes;              /* of the whole checkpoint when the caller knows it; else NaN */
    double gpu_used_gib;               /* taken by others on each GPU; 0 */
    uint32_t max_loras, max_lora_rank; /* slots for adapters and the largest rank; 0 without */
    enum lora_targets lora_targets;
    enum draft_kind draft_kind;
    const struct model *draft_model; /* DRAFT_MODEL only */
    uint32_t draft_tokens;           /* proposed in each step; 0 without */
    double cpu_offload_gib;          /* of each GPU's weights, kept in host memory and read in every step; 0 */
    double kv_offload_gib;           /* of host memory that keeps caches of the replica's past requests; 0 */
    const struct engine_fit *fits[FIT_LOAD_COUNT]; /* of this model on this GPU; NULL: none of these rows was fitted */
    struct engine_kin kin[FIT_LOAD_COUNT];         /* of this model on GPUs of this architecture */
    const struct calibration *calibration;         /* of the very GPUs that it runs on; NULL: none, or not known */
    uint32_t gpu_layers;                           /* llama.cpp: layers on GPUs; the head is one more; 0 = all */
};

/* Fills everything that is not given (0, NaN, DTYPE_UNKNOWN) from the engine profile, the model and the GPU:
 * native weight dtype, KV "auto" (the model's 16-bit type), T, S, utilisation, link. */
void deployment_default(struct deployment *deployment);

/* What measured rows say of this model and format on this GPU, or on others of its architecture, beside the
 * coefficients: times over computed ones, under a load, and of the first token. Where the step that ends the prompt
 * makes the first token, that has the ratio of steps. */
double deployment_time_ratio(const struct deployment *deployment, enum fit_load load);
double deployment_ttft_ratio(const struct deployment *deployment);

/* Another layout for a deployment whose defaults are filled in. */
void deployment_set_layout(struct deployment *deployment, uint32_t tensor_parallel, uint32_t pipeline_parallel);

/* Gives a model of which only the parameters are known a typical dense GQA architecture of that size, so that every
 * question can be answered: an assumption that the answer must state. Other models stay as they are. */
void model_assume_architecture(struct model *model);

/* llama.cpp keeps the input embedding in host memory. */
bool deployment_embeds_on_host(const struct deployment *deployment);

/* More is to be kept in host memory than stands beside the part, as far as that is known. */
bool deployment_lacks_host(const struct deployment *deployment);

/* Tensor parallel degrees divide the attention heads; pipeline stages divide into layers. */
bool deployment_layout_valid(const struct deployment *deployment);

/* The draft model of `target` as the engine runs it: over the same GPUs if its heads divide by them, else whole on
 * each; in the format that it would have alone. */
struct deployment draft_deployment(const struct deployment *target);

static inline uint32_t deployment_gpus(const struct deployment *deployment)
{
    return deployment->tensor_parallel * deployment->pipeline_parallel;
}
