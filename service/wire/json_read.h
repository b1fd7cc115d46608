/* json_read.h owns the safe way from bytes to a JSON tree: limits are checked in one linear pass before the parser
 * sees anything. */
#pragma once
#include "catalog/status.h"

#include <jansson.h>

enum { JSON_MAX_VALUES = 20000, JSON_MAX_DEPTH = 64 };

/* json_loadb, such that json_lacked_memory can tell afterwards. */
json_t *json_parse(const char *text, size_t length, size_t flags, json_error_t *ret_error);
/* Whether the parser gave up for want of memory. It often says so by no code at all; sometimes it blames a token. */
bool json_lacked_memory(const json_error_t *error);

/* Exactly one object, in UTF-8, without duplicate keys. Bare NaN and Infinity are read as null inside a member
 * `config`, or everywhere when `lenient`: Python writes them into a model's config.json. `what` names the text in
 * problems ("the body"). *ret_object is new: json_decref it. */
enum status json_read(struct arena *arena, const char *text, size_t length, const char *what, bool lenient,
                      struct problems *problems, json_t **ret_object) MUST_CHECK;
/* The same, for texts of at most max_values values instead of JSON_MAX_VALUES; `array`: or exactly one list. */
enum status json_read_long(struct arena *arena, const char *text, size_t length, const char *what, size_t max_values,
                           bool array, struct problems *problems, json_t **ret_value) MUST_CHECK;
