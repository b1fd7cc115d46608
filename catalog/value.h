/* value.h owns the compound values of a request: what a field table can decode and sizing can read.
 * Absent: NaN for numbers, VALUE_ABSENT for integers and choices, NULL or count 0 for the rest. */
#pragma once
#include "catalog/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VALUE_ABSENT INT64_MIN

struct text_list {
    const char *const *items;
    size_t count;
};

struct named_count { /* {"l40s": 8} */
    const char *name;
    int64_t count;
};
struct count_map {
    const struct named_count *items;
    size_t count;
};

struct length_bucket { /* requests of this many tokens, with this weight */
    double tokens, weight;
};
struct length_histogram {
    const struct length_bucket *items;
    size_t count;
};

struct price_adjustment { /* a contract: one of the two figures is given */
    const char *provider;
    double discount_ratio; /* 0.2 = a fifth off */
    double usd_per_hour;   /* added to every instance-hour: storage, support */
};
struct price_adjustments {
    const struct price_adjustment *items;
    size_t count;
};

/* One request of a trace. */
struct request_lengths {
    const char *id; /* NULL: it has none */
    double input_tokens;
    double output_tokens; /* NaN: not stated */
    uint32_t line;        /* of the trace, or place in a list; from 1 */
};
struct request_list {
    const struct request_lengths *items;
    size_t count;
    bool traced; /* from a trace: there may be many */
};

/* What takes memory beside the model. */
struct memory_extras {
    int64_t max_loras, max_lora_rank, lora_targets; /* lora_targets: enum lora_targets */
    const char *draft_model;                        /* a model's name; "ngram", "mtp", "eagle" */
    int64_t draft_tokens;
    double cpu_offload_gib, kv_offload_gib;
};

/* A model, one of five ways: exactly one of name, config_json, gguf_json, parameters, weights_gb is given.
 * weights_bytes or safetensors_json may accompany config_json. */
struct model_ref {
    const char *name;
    const char *config_json, *safetensors_json, *gguf_json; /* compact, keys sorted */
    double parameters;
    double weights_gb;
    double weights_bytes;
};
