/* catalog.h owns what the files of this box write of the catalog within their own transactions. */
#pragma once
#include "store/db.h"

/* Makes rows of the file's table those of the text, whose first line names columns: those that it does not name stay as
 * they are. Adds how many rows were inserted or changed to *rows. */
enum status catalog_write_file(struct db *db, enum catalog_file file, const struct catalog_text *text,
                               struct problems *problems, size_t *rows) MUST_CHECK;
/* What store_catalog_write and store_catalog_fill do, as the work of a transaction or as a part of it: its context. */
struct catalog_writing {
    const struct catalog_text *files; /* CATALOG_FILE_COUNT */
    bool only_empty;                  /* nothing is written if there is a version already */
    size_t rows;                      /* inserted or changed */
};
enum status catalog_write(struct db *db, void *context, struct problems *problems) MUST_CHECK;
/* "<uuid>:<number>" as this transaction sees it. */
enum status catalog_read_version(struct db *db, struct problems *problems,
                                 struct store_version *ret_version) MUST_CHECK;
