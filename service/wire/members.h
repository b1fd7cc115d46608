/* members.h owns reading members of JSON objects that are no question: absent and null are unknown, what is of a wrong
 * kind is a problem. */
#pragma once
#include "catalog/status.h"
#include "catalog/units.h"
#include "wire/json_read.h"

struct reading {
    struct arena *arena;
    struct problems *problems;
};

/* "devices[0].fit"; "" when out of memory. */
const char *path_of(struct reading *reading, const char *parent, const char *name);
/* NULL objects have no members. A text without control characters: "" if there is none, NULL after a problem. */
const char *read_text(struct reading *reading, const json_t *object, const char *path, const char *name,
                      size_t max_bytes);
/* UNKNOWN if there is none, or after a problem. */
double read_number(struct reading *reading, const json_t *object, const char *path, const char *name, double low,
                   double high);
/* NULL if there is none, or after a problem. */
const json_t *read_object(struct reading *reading, const json_t *object, const char *path, const char *name);
