/* stage.h owns the parts of a rank's memory that memory.c adds up: pipeline stages, their weights, their KV cache. */
#pragma once
#include "sizing/deployment.h"

/* One pipeline stage; a replica without pipeline parallelism is a single stage that is first and last. */
struct stage {
    double layers;
    double layer_ratio; /* of all layers */
    bool first, last;
};

struct stage_weights {                    /* of one rank */
    double layers_bytes, offloaded_bytes; /* offloaded: the part of the layers that is kept in host memory */
    double ends_bytes;                    /* embedding, head, vision tower */
    double buffers_bytes;                 /* in no checkpoint: rotary table, absorbed projections */
};
struct stage_weights stage_weights_make(const struct deployment *deployment, const struct stage *stage);
/* On the GPU: without what is offloaded. */
static inline double stage_weights_resident(const struct stage_weights *weights)
{
    return weights->layers_bytes - weights->offloaded_bytes + weights->ends_bytes + weights->buffers_bytes;
}
double stage_weights_bytes(const struct deployment *deployment, const struct stage *stage);

/* Of one rank: more layers of the model's own kind, as those for multi-token prediction. */
double weights_prediction_layers_bytes(const struct deployment *deployment, double layers);
/* Slots for LoRA adapters. */
double stage_lora_bytes(const struct deployment *deployment, const struct stage *stage);
/* Parameters of an adapter of rank 1 on all of its targets. */
double lora_rank_parameters(const struct model *model, enum lora_targets targets);
/* Weights of what drafts tokens, and its cache: bytes of one token over all its layers. They are on the last stage. */
double draft_weights_bytes(const struct deployment *deployment);
double draft_token_bytes(const struct deployment *deployment);

/* How the engine cuts the pool of one stage into units, and how many of them a sequence takes. A unit is a block
 * of every layer of a group; sequences take the same number of units on every stage. */
struct kv_layout {
    double unit_bytes;
    double block_tokens;
    double full_units;    /* per block of the context */
    double sliding_units; /* per block of the window */
    double window_tokens; /* most tokens that a sliding layer keeps, the step in flight included */
    double window_extra_blocks;
    double state_units; /* per sequence */
    double token_units; /* that the engine counts a logged block as */
    double bytes_per_token, state_bytes;
};
struct kv_layout kv_layout_make(const struct deployment *deployment, const struct stage *stage);
/* That of the first stage: all stages hand out the same number of units. */
struct kv_layout kv_layout_first(const struct deployment *deployment);
/* Bytes of one token in one attention layer of one rank. */
double kv_token_layer_bytes(const struct deployment *deployment);
/* Of those, the keys of the indexer of sparse attention; 0 without. */
double kv_index_token_bytes(const struct model *model);
/* Bytes of one token over all layers and ranks, the draft's included. */
double kv_replica_token_bytes(const struct deployment *deployment);
/* Units that one sequence of `tokens` takes. */
double kv_layout_units(const struct kv_layout *layout, double tokens);
/* The same as the engine hands them out: where each sequence has a slot of its own, a slot's. */
double kv_layout_sequence_units(const struct kv_layout *layout, const struct deployment *deployment, double tokens);
/* The longest sequence that `units` hold, at most `limit_tokens`. */
double kv_layout_longest(const struct kv_layout *layout, double units, double limit_tokens);
