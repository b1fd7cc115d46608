/* rows.h owns JSON bodies that are a list of flat objects, or one: rows of a table. */
#pragma once
#include "wire/input.h"

struct row_cells {
    const struct cell *cells;
    size_t count;
};

/* Lists and objects within a row are problems, as are more than max_rows rows, or none. Problems name "[3].uid". Texts
 * live in the arena. */
enum status rows_from_json(struct arena *arena, const char *body, size_t length, size_t max_rows,
                           struct problems *problems, const struct row_cells **ret_rows, size_t *ret_count) MUST_CHECK;
