/* hf_config.h owns the reading of a Hugging Face config.json into a model. Traps and refusals: docs/models.md. */
#pragma once
#include "catalog/arena.h"
#include "catalog/model.h"
#include "catalog/status.h"

#include <stddef.h>

enum {
    HF_CONFIG_BYTES_MAX = 16 * 1024 * 1024,
    HF_CONFIG_DEPTH_MAX = 64,
    HF_CONFIG_VALUES_MAX = 200000,
};

/* Reads the whole text of a config.json. `id` names the model in answers; "" or NULL: "config.json". `field` is where
 * the config stands in the request: a problem names "<field>.num_hidden_layers". Texts of *ret_model live in `arena`;
 * *ret_model is untouched on failure. Encoder-only models are read, with encoder_only set.
 * Fails with MALFORMED_JSON, DUPLICATE_FIELD or TOO_COMPLEX (the text), MALFORMED_CONFIG (its facts),
 * UNSUPPORTED_MODEL_KIND (encoder-decoder, no language model), OUT_OF_MEMORY. */
enum status hf_config_parse(const char *json, size_t length, const char *id, struct arena *arena,
                            struct problems *problems, const char *field, struct model *ret_model) MUST_CHECK;
