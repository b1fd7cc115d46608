/* weights_file.h owns what the command line reads of files of weights: their headers, never the weights. */
#pragma once
#include "catalog/arena.h"
#include "catalog/status.h"

/* Reads the header of a .gguf or .safetensors file, or a model.safetensors.index.json: the field of a model that it is,
 * and its JSON in the arena. What kind of file it is, its first bytes say. */
enum status weights_file_read(const char *path, struct arena *arena, struct problems *problems, const char **ret_field,
                              const char **ret_json) MUST_CHECK;
