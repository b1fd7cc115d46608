/* actor.c owns the statements about who acts and what was answered before. */
#include "store/actor.h"

#include "store/db.h"

#include <stdio.h>
#include <string.h>

enum { ACTOR_BYTES = CALLER_NAME_BYTES + KEY_ID_BYTES + 8 };

/* "key 0123456789ab (procurement)": what catalog_version, import_run and the audit log call it. */
static enum status say_who(struct db *db, const struct caller *caller, struct problems *problems)
{
    char text[ACTOR_BYTES];
    const char *const values[] = {"gpusize.actor", text};
    (void)snprintf(text, sizeof text, "key %s (%s)", caller->key_id, caller->name);
    return db_query(db, QUERY_SETTING_SET, values, problems, NULL);
}

static enum status read_earlier(struct db *db, const struct store_actor *actor, struct arena *arena,
                                struct problems *problems, struct store_written *ret_written)
{
    const char *const values[] = {actor->caller->key_id, actor->idempotency_key};
    DB_RESULT *earlier = NULL;
    enum status status = db_query(db, QUERY_IDEMPOTENCY_FIND, values, problems, &earlier);
    if (status != STATUS_OK) return status;
    if (db_rows(earlier) == 0) /* forgotten between two statements, as it is a day old */
        return problems_add(problems, STATUS_DATABASE_AWAY, "", "the answer of this Idempotency-Key is just forgotten");
    if (strcmp(db_text(earlier, 0, 0), actor->request_hash) != 0)
        return problems_add(problems, STATUS_CONTRADICTION, "Idempotency-Key",
                            "this key was used for another request: choose a new one for each write");
    *ret_written =
        (struct store_written){(unsigned)db_int64(earlier, 0, 1), arena_strdup(arena, db_text(earlier, 0, 2)), true};
    return ret_written->json ? STATUS_OK
                             : problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the earlier answer");
}

enum status actor_begin(struct db *db, const struct store_actor *actor, struct arena *arena, struct problems *problems,
                        struct store_written *ret_written)
{
    *ret_written = (struct store_written){0};
    if (!actor || !actor->caller) return STATUS_OK;
    enum status status = say_who(db, actor->caller, problems);
    if (status != STATUS_OK || !actor->idempotency_key) return status;
    const char *const values[] = {actor->caller->key_id, actor->idempotency_key, actor->request_hash};
    DB_RESULT *taken = NULL;
    status = db_query(db, QUERY_IDEMPOTENCY_PRUNE, NULL, problems, NULL);
    if (status == STATUS_OK) status = db_query(db, QUERY_IDEMPOTENCY_TAKE, values, problems, &taken);
    if (status != STATUS_OK || db_affected(taken) > 0) return status;
    return read_earlier(db, actor, arena, problems, ret_written);
}

enum status actor_end(struct db *db, const struct store_actor *actor, const struct store_written *written,
                      struct problems *problems)
{
    if (!actor || !actor->caller || !actor->idempotency_key) return STATUS_OK;
    char http_status[DB_INT64_BYTES];
    const char *const values[] = {actor->caller->key_id, actor->idempotency_key,
                                  db_int64_text(written->http_status, http_status), written->json};
    return db_query(db, QUERY_IDEMPOTENCY_ANSWER, values, problems, NULL);
}
