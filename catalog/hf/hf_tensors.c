/* hf_tensors.c owns which part of a model a tensor is, by its name: those of Hugging Face's classes and of GGUF files.
 */
#include "hf/hf_tensors.h"

#include "catalog/text.h"

#include <string.h>

enum { SHAPE_MAX = 8 };
static const double ELEMENTS_MAX = 1e13;

/* The first that the name contains; the rest of the layers is sharded. */
static const struct name_part {
    const char *text;
    size_t part; /* offset in struct stored_weights */
} name_parts[] = {
#define PART(text, member)                                                                                             \
    {                                                                                                                  \
        text, offsetof(struct stored_weights, member)                                                                  \
    }
    PART("vision", vision),
    PART("visual", vision),
    PART("vit.", vision),
    PART("projector", vision),
    PART("image_newline", vision),
    PART("v.blk", vision),
    PART("embed_tokens", embedding),
    PART("token_embd", embedding),
    PART("tok_embeddings", embedding),
    PART("word_embeddings", embedding),
    PART("wte.", embedding),
    PART("embed_in.", embedding),
    PART("lm_head", head),
    PART("embed_out", head),
    PART("_exps.", experts),
    PART(".experts.", experts),
    PART("block_sparse_moe.w", experts),
    PART("norm", norms),
    PART(".gate.weight", norms),
    PART("router", norms),
    PART("gate_inp", norms),
    PART("correction_bias", norms),
    PART("exp_probs", norms),
    PART("rope_freqs", norms),
    PART("inv_freq", norms),
    PART("kv_a_proj", latent),
    PART("q_a_proj", latent),
    PART("attn_kv_a", latent),
    PART("attn_q_a", latent),
    PART(".k_proj", kv_projection),
    PART(".v_proj", kv_projection),
    PART("attn_k.", kv_projection),
    PART("attn_v.", kv_projection),
};

static double *part_of(struct stored_weights *parts, size_t offset)
{
    return (double *)(void *)((char *)parts + offset);
}

static bool is_head(const char *name)
{
    return strcmp(name, "output.weight") == 0;
}

static size_t part_offset(const char *name)
{
    if (is_head(name)) return offsetof(struct stored_weights, head);
    for (size_t i = 0; i < sizeof name_parts / sizeof *name_parts; i++) {
        if (strstr(name, name_parts[i].text)) return name_parts[i].part;
    }
    return offsetof(struct stored_weights, sharded);
}

/* The number of the layer in "model.layers.61.mlp" and "blk.61.ffn"; -1 without. */
static int64_t layer_number(const char *name)
{
    static const char *const stems[] = {"layers.", "blk."};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        const char *at = strstr(name, stems[i]);
        size_t digits = at ? strspn(at + strlen(stems[i]), "0123456789") : 0;
        char text[8];
        int64_t layer = -1;
        if (digits == 0 || digits >= sizeof text) continue;
        memcpy(text, at + strlen(stems[i]), digits);
        text[digits] = '\0';
        if (text_parse_int64(text, &layer)) return layer;
    }
    return -1;
}

/* Layers beyond the last predict further tokens (DeepSeek, GLM); Qwen names them. */
static bool predicts(const char *name, const struct model *model)
{
    if (strncmp(name, "mtp.", 4) == 0 || strstr(name, "nextn")) return true;
    return !strstr(name, "vis") && layer_number(name) >= (int64_t)model->layers;
}

/* Queries, keys and values in one matrix: the share of the latter two. */
static double fused_share(const char *name, const struct model *model)
{
    static const char *const names[] = {"qkv_proj", "attn_qkv", "query_key_value", "Wqkv", "c_attn", "W_pack"};
    double heads = (double)model->attention_heads + 2.0 * model->kv_heads;
    for (size_t i = 0; i < sizeof names / sizeof *names && heads > 0; i++) {
        if (strstr(name, names[i])) return 2.0 * model->kv_heads / heads;
    }
    return 0;
}

static void add(struct stored_weights *parts, size_t offset, double value, double kv_share)
{
    *part_of(parts, offset) += value * (1 - kv_share);
    parts->kv_projection += value * kv_share;
}

bool hf_tensors_add(const struct tensor *tensor, const struct model *model, struct stored_weights *bytes,
                    struct stored_weights *elements)
{
    if (predicts(tensor->name, model)) return false;
    size_t offset = part_offset(tensor->name);
    bool sharded = offset == offsetof(struct stored_weights, sharded);
    double share = sharded ? fused_share(tensor->name, model) : 0;
    add(bytes, offset, tensor->bytes, share);
    if (elements) add(elements, offset, tensor->elements, share);
    return true;
}

double hf_tensors_elements(const json_t *shape)
{
    double elements = 1;
    if (!json_is_array(shape) || json_array_size(shape) > SHAPE_MAX) return -1;
    for (size_t i = 0; i < json_array_size(shape); i++) {
        double size = json_number_value(json_array_get(shape, i));
        if (!json_is_number(json_array_get(shape, i)) || !(size >= 0 && size <= ELEMENTS_MAX)) return -1;
        elements *= size;
    }
    return elements <= ELEMENTS_MAX ? elements : -1;
}
