/* actor.h owns who writes, and that the repeat of a write is answered as the first was instead of being done again. */
#pragma once
#include "catalog/access.h"
#include "store/store.h"

struct store_actor {
    const struct caller *caller; /* NULL: the role of the session */
    const char *idempotency_key; /* NULL: every request counts */
    const char *request_hash;    /* BLAKE2b-128 in hexadecimal digits of what is asked; with idempotency_key */
};
enum { IDEMPOTENCY_KEY_MAX_BYTES = 200 };

/* The answer to a write, in the arena. */
struct store_written {
    unsigned http_status;
    const char *json;
    bool repeated; /* an earlier request's answer: nothing was done now */
};

/* --- for the files of this box, within a transaction that writes --- */

struct db;

/* Says who acts (NULL: the role of the session), and waits for a request with the same key that is under way. Then
 * either *ret_written is the answer of the earlier one and `repeated`, and there is nothing left to do; or the key is
 * taken, and actor_end keeps the answer with it. STATUS_CONTRADICTION if the key was used for something else. */
enum status actor_begin(struct db *db, const struct store_actor *actor, struct arena *arena, struct problems *problems,
                        struct store_written *ret_written) MUST_CHECK;
enum status actor_end(struct db *db, const struct store_actor *actor, const struct store_written *written,
                      struct problems *problems) MUST_CHECK;
