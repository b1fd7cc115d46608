/* cache_file.h owns the file that keeps a catalog for a restart while its database is away. */
#pragma once
#include "live/live.h"

/* Replaces the file in one step: another process sees the old one or the new one. */
enum status cache_file_write(const char *path, const struct live_texts *texts, int64_t current_unix_s,
                             struct problems *problems) MUST_CHECK;
/* Refuses a file that is truncated, damaged, or none of ours. Texts live in the arena. STATUS_NOT_FOUND, without a
 * problem, if there is no file. */
enum status cache_file_read(const char *path, struct arena *arena, struct problems *problems,
                            struct live_texts *ret_texts, int64_t *ret_current_unix_s) MUST_CHECK;
