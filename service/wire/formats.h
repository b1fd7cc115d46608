/* formats.h owns the writers behind encode(): each turns a parsed answer into one format. */
#pragma once
#include "wire/encode.h"

#include <jansson.h>

/* Each adds a problem if the answer cannot be shown that way; running out of memory shows in out->failed. */
enum status csv_write(json_t *answer, const struct encode_options *options, struct problems *problems,
                      struct out *out) MUST_CHECK;
void xml_write(const char *name, json_t *value, struct out *out);
enum status txt_write(json_t *answer, const struct encode_options *options, struct problems *problems,
                      struct out *out) MUST_CHECK;

/* Number, text, true or false as plain text; nothing for null, lists and objects. */
void scalar_write(json_t *value, struct out *out);
/* An object's value at a path without indexes ("performance.ttft_ms"), or NULL. `length` bytes of `path`. */
json_t *member_at(json_t *object, const char *path, size_t length);
