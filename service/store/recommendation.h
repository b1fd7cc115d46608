/* recommendation.h owns stored answers: adding them within a limit in bytes, and having one again. */
#pragma once
#include "record/record.h"
#include "store/store.h"

/* Question and answer are packed. All or none; one that is there already is left as it is. Then the oldest of all go
 * until what is stored has at most max_bytes. */
enum status store_recommendations_add(struct store *store, const struct record *records, size_t count,
                                      int64_t max_bytes, struct problems *problems) MUST_CHECK;

/* Question and answer unpacked, and everything in the arena. STATUS_NOT_STORED if it is not there, STATUS_DATABASE if
 * its bytes are not those that were stored. */
enum status store_recommendation_get(struct store *store, const char *id, struct arena *arena,
                                     struct problems *problems, struct record *ret_record) MUST_CHECK;
