/* csv.h owns RFC 4180 text in memory: reading it record by record, without allocating, and writing a record. */
#pragma once
#include "catalog/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CSV_FIELDS_MAX = 256, CSV_TEXT_MAX_BYTES = 64 << 20 };

enum csv_result { CSV_RECORD, CSV_END, CSV_BAD };

/* Fields point into the text, which the reader unquotes in place and cuts with NULs. */
struct csv {
    char *next, *end;
    uint32_t next_line;
    uint32_t line; /* where the last record began, from 1 */
    const char *fields[CSV_FIELDS_MAX];
    size_t field_count;
    const char *error; /* what is wrong, after CSV_BAD; the reader cannot go on */
};

/* `text` is borrowed and changed; text[length] must be writable too. A byte order mark is skipped. */
void csv_init(struct csv *csv, char *text, size_t length);
/* Blank lines between records are skipped. Refuses NULs, invalid UTF-8, stray or unterminated quotes, a CR that ends no
 * line, more than CSV_FIELDS_MAX fields. */
enum csv_result csv_next(struct csv *csv);

struct csv_cell {
    const char *column, *text;
};
/* Lines with their ends: the columns if `header`, and the texts. Quoted is what must be. NULL when out of memory. */
const char *csv_text(const struct csv_cell *cells, size_t count, bool header, struct arena *arena);
