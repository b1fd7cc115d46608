/* import_model.h owns `gpusize import model FILE…`: config.json files into the catalog's models. */
#pragma once
#include "wire/input.h"

struct store;
enum { MODEL_FIELDS = 3 };
extern const struct field model_import_fields[MODEL_FIELDS];

/* `input` is of model_import_fields. A file that is refused is told on standard error and does not stop the others;
 * the status is then that of one of them. Prints what was written. */
enum status import_models(struct store *store, const char *const *paths, size_t count, const struct input *input,
                          bool json, struct problems *problems) MUST_CHECK;
