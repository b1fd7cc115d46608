/* out.h owns the streaming JSON writer: a growing buffer that fails softly, so a series of writes needs one
 * check at the end. Keys are NULL inside arrays. Numbers are printed as they are: round before. */
#pragma once
#include "catalog/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct out {
    char *data;
    size_t length, capacity, max_bytes; /* max_bytes 0 means no limit */
    bool failed;                        /* out of memory or over max_bytes: the content is worthless */
    bool separate;                      /* private: a comma is due */
};

void out_init(struct out *out, size_t max_bytes);
void out_done(struct out *out);

void out_object(struct out *out, const char *key);
void out_object_end(struct out *out);
void out_array(struct out *out, const char *key);
void out_array_end(struct out *out);
void out_text(struct out *out, const char *key, const char *value); /* null if NULL */
void out_number(struct out *out, const char *key, double value);    /* null if NaN or infinite */
void out_integer(struct out *out, const char *key, int64_t value);  /* null if VALUE_ABSENT (INT64_MIN) */
void out_bool(struct out *out, const char *key, bool value);
void out_null(struct out *out, const char *key);
void out_usd(struct out *out, const char *key, usd_t value);     /* exact decimal; null if unknown */
void out_date(struct out *out, const char *key, date_t value);   /* null if unknown */
void out_raw(struct out *out, const char *bytes, size_t length); /* no escaping, no comma */
