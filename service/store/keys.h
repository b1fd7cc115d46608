/* keys.h owns the API keys of a database. */
#pragma once
#include "catalog/access.h"
#include "store/store.h"

/* A number that changes whenever any key does. */
enum status store_keys_state(struct store *store, struct problems *problems, int64_t *ret_state) MUST_CHECK;
/* The keys that are neither revoked nor expired, in the arena. */
enum status store_keys_good(struct store *store, struct arena *arena, struct problems *problems,
                            const struct key **ret_keys, size_t *ret_count) MUST_CHECK;

/* `expires_at` is a day or a time as PostgreSQL reads it; NULL: never. STATUS_ALREADY_EXISTS if a key that is not
 * revoked has this name. */
enum status store_key_create(struct store *store, const struct key *key, const char *expires_at,
                             struct problems *problems) MUST_CHECK;
/* By id or name; STATUS_NOT_FOUND if no key that is not revoked has it. */
enum status store_key_revoke(struct store *store, const char *name, struct problems *problems) MUST_CHECK;

struct store_key { /* for people; times in UTC, NULL: none */
    const char *id, *name, *role, *created_at, *created_by, *expires_at, *revoked_at;
    double requests_per_second;
};
/* All that ever were, in the arena; revoked ones last. */
enum status store_keys_list(struct store *store, struct arena *arena, struct problems *problems,
                            const struct store_key **ret_keys, size_t *ret_count) MUST_CHECK;
