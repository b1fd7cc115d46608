/* stage.h owns the parts of a rank's memory that memory.c adds up: pipeline stages, their weights, their KV cache. */
#pragma once
#include "sizing/deployment.h"

/* One pipeline stage; a replica without pipeline parallelism is a single stage that is first and last. */
struct stage {
    double layers;
    double layer_ratio; /* of all layers */
    bool first, last;
};

double stage_weights_bytes(const struct deployment *deployment, const struct stage *stage);

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
/* Units that one sequence of `tokens` takes. */
double kv_layout_units(const struct kv_layout *layout, double tokens);
/* The longest sequence that `units` hold, at most `limit_tokens`. */
double kv_layout_longest(const struct kv_layout *layout, double units, double limit_tokens);
