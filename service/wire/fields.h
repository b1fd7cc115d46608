/* fields.h owns what one field's kind means: how a value becomes a member of a request struct, and back. */
#pragma once
#include "wire/input.h"

#include <jansson.h>

/* Kinds that only occur inside the compound ones. */
#define FIELD_MAGNITUDE ((enum field_kind)(FIELD_REQUESTS + 1)) /* double; a number or a text such as "70B" */
#define FIELD_CONFIG ((enum field_kind)(FIELD_REQUESTS + 2))    /* const char *: JSON, compact, keys sorted */

struct decoder {
    struct arena *arena;
    struct problems *problems;
};

/* "group.name", "name" or "list[3]"; "" when out of memory. */
const char *path_join(struct arena *arena, const char *parent, const char *name);
const char *path_index(struct arena *arena, const char *list, size_t index);
/* A text of the request for use in a problem: at most 60 bytes, whole characters. */
const char *excerpt(struct arena *arena, const char *text);

/* The members of a compound value: like a request without groups. */
void decode_object(const struct decoder *decoder, const struct field *fields, size_t count, const char *path,
                   json_t *value, void *members);

/* One request of a trace: an object with the names of docs/batch-plan.md. `path` is made only where something is wrong
 * with it, by the list's name and the place. */
struct request_place {
    const char *list; /* "requests", or "line" */
    size_t number;    /* from 1 */
};
void request_decode(const struct decoder *decoder, const struct request_place *place, json_t *value,
                    struct request_lengths *ret_request);

/* `value` is not null. Problems name `path`. */
void field_decode(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                  void *request);
/* The value that the flat text means, in the form that JSON has for this kind; adds a problem and returns NULL if it
 * means none. New: json_decref it. */
json_t *field_from_text(const struct decoder *decoder, const struct field *field, const char *path, const char *text);

/* The model's fields: their names are also those of the flat form. */
extern const struct field model_fields[];
extern const size_t model_field_count;
