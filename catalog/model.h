/* model.h owns what a language model is: the architecture facts that memory and speed depend on.
 * Meaning of the columns: docs/catalog.md. A model comes from the catalog or from a config.json (hf/). */
#pragma once
#include "catalog/dtype.h"
#include "catalog/units.h"

#include <stdbool.h>
#include <stdint.h>

enum attention_kind {
    ATTENTION_UNKNOWN, /* only the size is known */
    ATTENTION_MHA,
    ATTENTION_GQA,
    ATTENTION_MQA,
    ATTENTION_MLA,
    ATTENTION_HYBRID_SWA,    /* some layers see a sliding window or a chunk */
    ATTENTION_HYBRID_LINEAR, /* some layers keep a state of constant size */
    ATTENTION_MAMBA,         /* all layers do */
    ATTENTION_COUNT
};

/* Bytes of a checkpoint by how engines place them, as its tensors say; all 0: not known. Tied: the head is 0. */
struct stored_weights {
    double embedding, head, norms; /* norms: and routers, whole on every rank */
    double latent;                 /* MLA's projections into the latent, whole on every rank */
    double kv_projection;          /* split by KV heads */
    double experts;                /* routed */
    double sharded;                /* everything else of the layers */
    double vision;
};
double stored_weights_sum(const struct stored_weights *parts);

/* 0 means that the architecture has no such thing. Counts of parameters are doubles: exact below 2^53. */
struct model {
    const char *id; /* Hugging Face id; "" for a model given by its size */
    const char *family, *architecture;
    const char *sized_family; /* family and size, "Llama 3.1 8.0B": whose measured rows say something; NULL: of none */
    double parameters;        /* of the text model; embeddings counted once if tied, twice if not */
    double active_parameters; /* the same with experts_per_token routed experts */
    double vision_parameters; /* of the vision tower, loaded beside it; 0 if none or unknown */
    uint32_t layers;          /* decoder layers of any kind */
    uint32_t hidden_size, attention_heads, kv_heads, head_dim;
    uint32_t intermediate_size; /* of a dense FFN */
    uint32_t vocabulary_size;
    bool tied_embeddings;
    uint32_t max_position_tokens; /* 0: the file states no limit */
    enum attention_kind attention_kind;
    uint32_t sliding_window_tokens; /* window, or chunk when `chunked` */
    bool chunked;                   /* Llama 4: attention inside chunks instead of a sliding window */
    uint32_t full_attention_layers, sliding_layers, linear_layers; /* layers with each kind of cache */
    uint32_t kv_lora_rank, qk_rope_head_dim, qk_nope_head_dim, v_head_dim, q_lora_rank; /* MLA */
    uint32_t experts, experts_per_token, shared_experts;
    uint32_t moe_intermediate_size, shared_expert_intermediate_size;
    uint32_t dense_layers;   /* layers of an MoE model whose FFN is dense */
    enum dtype native_dtype; /* of the quantised weights as published; DTYPE_UNKNOWN if not stated */
    double ssm_state_elements, conv_state_elements; /* per sequence, all layers together */
    uint32_t ssm_state_element_bytes;
    bool native_multimodal;           /* the engine profiles a vision encoder at start (gemma-3, Llama-4, Kimi-VL) */
    uint32_t index_head_dim;          /* sparse attention: keys of this size that choose what is read (DeepSeek-V3.2) */
    uint32_t index_heads, index_topk; /* of its queries, and how many tokens it chooses; 0: not stated */
    uint32_t mtp_layers;              /* layers that predict a second token, for speculative decoding */
    double weight_bits;               /* per quantised weight, its own scales included; 0: as usual for the format */
    struct stored_weights stored;
    bool encoder_only; /* embeds or ranks; generates nothing */
    const char *license, *source, *note;
    date_t as_of;
    double version; /* of the catalog that brought it; UNKNOWN: built in */
};

const char *attention_kind_name(enum attention_kind kind);
enum attention_kind attention_kind_parse(const char *name); /* ATTENTION_UNKNOWN if there is none */
/* Fills the indexer and mtp_layers of models whose config.json states them; the catalog has no columns for them. */
void model_add_known(struct model *model);
static inline bool model_is_moe(const struct model *model)
{
    return model->experts > 0;
}
/* A model of which only the number of parameters (or the bytes of its weights) is known. */
static inline bool model_size_only(const struct model *model)
{
    return model->layers == 0;
}
