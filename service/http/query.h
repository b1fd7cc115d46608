/* query.h owns the strict reading of a query string. Pure. */
#pragma once
#include "http/request.h"

enum { QUERY_PAIRS_MAX = 256 };

/* Percent-decodes `length` bytes, '+' as a blank if `plus`; false for a bad escape, a NUL or invalid UTF-8.
 * `decoded` has room for length + 1 bytes and is NUL-terminated. */
bool query_decode(const char *text, size_t length, bool plus, char *decoded, size_t *ret_length);
/* Adds a problem per bad pair; the pairs live in the arena and refer to the text. A name without "=" has the value "".
 */
enum status query_parse(struct arena *arena, const char *text, size_t length, struct problems *problems,
                        const struct query_pair **ret_pairs, size_t *ret_count) MUST_CHECK;
