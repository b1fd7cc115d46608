/* text.h owns the strict reading of numbers and names: the one place where text becomes a number. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole of `text` must be one finite decimal number (no hex, no "nan", no blanks). Locale-independent. */
bool text_parse_double(const char *text, double *ret_value);
/* The grammar alone: true for 1e400, which text_parse_double refuses because no double holds it. */
bool text_is_decimal(const char *text);
bool text_parse_int64(const char *text, int64_t *ret_value);
/* "70B", "1.5T", "350M", "7e9" or a plain number. */
bool text_parse_count(const char *text, double *ret_value);

enum { NUMBER_TEXT_BYTES = 40 };
/* The shortest decimal that reads back as the same double; "null" for NaN and infinities. Integers without a
 * point. Returns the length. */
size_t text_format_double(double value, char text[NUMBER_TEXT_BYTES]);

enum { HASH_TEXT_BYTES = 33 };
/* BLAKE2b-128 in hex: what stands for a text that is too long to be shown. */
void text_hash(const char *text, size_t length, char ret_hex[HASH_TEXT_BYTES]);

/* Levenshtein distance of two names, any case, at most `limit` + 1. */
size_t text_distance(const char *a, const char *b, size_t limit);
/* Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. */
bool text_valid_utf8(const char *text, size_t length);
size_t text_utf8_prefix(const char *text, size_t length); /* bytes before the first that is not well-formed */
