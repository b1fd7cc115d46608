/* archive.h owns zip files of price lists: their CSV files one after another, within limits. */
#pragma once
#include "catalog/status.h"

#include <stdint.h>
#include <stdio.h>

struct archive;

/* Whether bytes are the beginning of a zip. */
bool archive_is(const char *bytes, size_t length);

/* Opens a file (borrowed; it must be one on a disk), or bytes in memory if it is NULL (borrowed until closed). At most
 * `size_max_bytes` are unpacked altogether, however small the zip is. STATUS_INVALID_VALUE if it is damaged. */
enum status archive_open(FILE *file, const char *text, size_t length, int64_t size_max_bytes, struct problems *problems,
                         struct archive **ret_archive) MUST_CHECK;
void archive_close(struct archive *archive); /* accepts NULL */

/* Goes to the next file whose name ends in .csv; *ret_name is NULL behind the last, else borrowed. */
enum status archive_next(struct archive *archive, struct problems *problems, const char **ret_name) MUST_CHECK;
/* Up to `size` further bytes of it; 0 at its end, which is checked. What went wrong is kept for archive_explain. */
enum status archive_read(struct archive *archive, char *buffer, size_t size, size_t *ret_length) MUST_CHECK;
/* The reason why archive_read failed; STATUS_OK if it did not. */
enum status archive_explain(const struct archive *archive, struct problems *problems) MUST_CHECK;
