/* hf_tensors.h owns the sum of tensors by part, for both kinds of files. Private. */
#pragma once
#include "hf/hf_weights.h"

#include <jansson.h>

struct tensor {
    const char *name;
    double elements, bytes;
};

/* Adds the bytes of one tensor to its part, and its elements to the same of `elements` (or NULL). False, and nothing,
 * if it belongs to a layer for multi-token prediction. */
bool hf_tensors_add(const struct tensor *tensor, const struct model *model, struct stored_weights *bytes,
                    struct stored_weights *elements);
/* Elements of a JSON shape; -1 if it is none. */
double hf_tensors_elements(const json_t *shape);
const char *hf_ggml_type_name(uint64_t number); /* NULL: ggml has none of this number */
