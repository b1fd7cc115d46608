/* memory.h owns the memory of one replica as the engine's allocator takes it, per rank.
 * Formulas: docs/estimator.md, "Memory per rank". All figures are of the fullest rank: the one whose KV pool limits
 * the engine (with pipeline parallelism usually the last stage). */
#pragma once
#include "sizing/deployment.h"

struct memory {
    double weights_bytes;   /* on the GPU */
    double offloaded_bytes; /* weights in host memory that every step reads */
    double lora_bytes;      /* slots for adapters */
    double draft_bytes;     /* weights of the draft model */
    double activations_bytes;
    double overhead_bytes;           /* outside the framework, CUDA graphs (in or beside the pool), engine reserve */
    double kv_pool_bytes;            /* what the engine takes for the KV cache; ≤ 0 = it does not start */
    double available_bytes;          /* utilisation × physical memory − used by others */
    double physical_bytes;           /* total of cudaMemGetInfo */
    double kv_bytes_per_token;       /* per rank, of a token that every caching layer keeps */
    double draft_kv_bytes_per_token; /* of those, the draft's layers */
    double longest_sequence_bytes;   /* of the pool, of a sequence of max_model_len_tokens */
    double state_bytes_per_sequence; /* linear layers: constant in context */
    double kv_block_tokens;          /* of one block of the pool: prefixes are kept in whole ones */
    double kv_units;                 /* the pool in the allocator's units, the same on every rank */
    uint64_t kv_pool_tokens;         /* what the engine logs */
    double kv_host_tokens;           /* of caches that host memory keeps, over all ranks; 0 without */
    double max_concurrency;          /* sequences of max_model_len_tokens that the pool holds */
    uint32_t max_context_tokens;     /* longest single sequence that fits, up to the model's limit */
    bool fits;                       /* one sequence of max_model_len_tokens fits */
};

/* Bytes of the whole checkpoint in this dtype. */
double memory_weights_total_bytes(const struct model *model, enum dtype dtype);
/* The same, by what it is made of: weights in fewer than 16 bits, their scales and zero points, and what stays wider.
 */
struct weights_split {
    double quantised_bytes, scales_bytes, unquantised_bytes;
};
struct weights_split memory_weights_split(const struct model *model, enum dtype dtype);

/* UNSUPPORTED_MODEL_KIND for encoder-only models, and for models given by their size to which
 * model_assume_architecture was not applied. Pure; allocates nothing. */
enum status memory_size(const struct deployment *deployment, struct memory *ret_memory) MUST_CHECK;

/* Bytes of the pool that one sequence of `tokens` holds on the fullest rank, whole blocks. */
double memory_sequence_bytes(const struct deployment *deployment, double tokens);
/* Sequences of `tokens` each that the pool holds at once (not capped by max_sequences). */
double memory_sequences_at(const struct deployment *deployment, const struct memory *memory, double tokens);
/* The same where the first `shared_tokens` of all of them are held once. An engine that gives each sequence a slot of
 * its own shares nothing. */
double memory_sequences_sharing(const struct deployment *deployment, const struct memory *memory, double tokens,
                                double shared_tokens);
