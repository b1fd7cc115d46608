/* hf_weights.h owns what the files of weights say about themselves: safetensors index and header, GGUF header. */
#pragma once
#include "catalog/arena.h"
#include "catalog/model.h"
#include "catalog/status.h"

#include <stddef.h>

enum { GGUF_TENSORS_MAX = 20000, GGUF_KEYS_MAX = 5000 };

struct hf_weights {
    double total_bytes; /* that an engine loads; without layers for multi-token prediction where they are told */
    struct stored_weights stored; /* of each part; all 0 when only the total is stated */
};

/* Reads a model.safetensors.index.json ("metadata": {"total_size": …}) or the header of a .safetensors file ({name:
 * {"dtype", "shape", "data_offsets"}}). `model` is what the tensors are of. Fails with MALFORMED_JSON, DUPLICATE_FIELD,
 * TOO_COMPLEX, MALFORMED_CONFIG, OUT_OF_MEMORY. */
enum status hf_safetensors_parse(const char *json, size_t length, const struct model *model, struct problems *problems,
                                 const char *field, struct hf_weights *ret_weights) MUST_CHECK;

/* The header of a .gguf file, of which `data` is the beginning, as JSON: {"metadata": {key: value}, "tensors": {name:
 * {"type", "shape"}}}. Long texts are left out and long lists are {"count": n}. The text lives in `arena`.
 * Fails with MALFORMED_CONFIG, OUT_OF_MEMORY. */
enum status hf_gguf_header(const unsigned char *data, size_t length, struct arena *arena, struct problems *problems,
                           const char *field, const char **ret_json) MUST_CHECK;
/* The model that such a JSON describes, and the bytes of its parts. Texts live in `arena`. */
enum status hf_gguf_parse(const char *json, size_t length, struct arena *arena, struct problems *problems,
                          const char *field, struct model *ret_model) MUST_CHECK;
