/* compare.h owns telling where two answers differ. */
#pragma once
#include "catalog/status.h"
#include "wire/out.h"

struct compare_text {
    const char *json;
    size_t length;
};

/* Writes a line "path: A, B" for each of the first `lines_max` values that are not the same in both; a value that one
 * of them lacks is "nothing". *ret_count: of all such values; 0 where only the bytes differ. */
enum status compare_answers(struct compare_text a, struct compare_text b, size_t lines_max, struct problems *problems,
                            struct out *out, size_t *ret_count) MUST_CHECK;
