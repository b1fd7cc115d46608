/* keys.c owns the statements about API keys. */
#include "store/keys.h"

#include "catalog/text.h"
#include "store/db.h"

#include <stdio.h>
#include <string.h>

enum status store_keys_state(struct store *store, struct problems *problems, int64_t *ret_state)
{
    DB_RESULT *result = NULL;
    enum status status = tx_query(store, TX_READ, QUERY_KEYS_STATE, NULL, problems, &result);
    if (status == STATUS_OK) *ret_state = db_int64(result, 0, 0);
    return status;
}

static void take_key(const struct pg_result *result, size_t row, struct key *key)
{
    struct caller *caller = &key->caller;
    const char *name = db_text(result, row, 1);
    (void)snprintf(caller->key_id, sizeof caller->key_id, "%s", db_text(result, row, 0));
    (void)snprintf(caller->name, sizeof caller->name, "%.*s", (int)sizeof caller->name - 1, name);
    caller->name[text_utf8_prefix(caller->name, strlen(caller->name))] = '\0';
    (void)role_parse(db_text(result, row, 2), &caller->role);
    (void)snprintf(key->hash, sizeof key->hash, "%s", db_text(result, row, 3));
    caller->requests_per_second = db_double(result, row, 4);
    key->expires_unix_s = db_int64(result, row, 5);
}

enum status store_keys_good(struct store *store, struct arena *arena, struct problems *problems,
                            const struct key **ret_keys, size_t *ret_count)
{
    DB_RESULT *result = NULL;
    enum status status = tx_query(store, TX_READ, QUERY_KEYS_GOOD, NULL, problems, &result);
    if (status != STATUS_OK) return status;
    struct key *keys = ARENA_ARRAY(arena, db_rows(result) + 1, struct key);
    if (!keys) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the keys");
    for (size_t i = 0; i < db_rows(result); i++)
        take_key(result, i, &keys[i]);
    *ret_keys = keys;
    *ret_count = db_rows(result);
    return STATUS_OK;
}

static bool list_key(const struct pg_result *result, size_t row, struct arena *arena, struct store_key *key)
{
    const char **const texts[] = {&key->id,         &key->name,       &key->role,       NULL,
                                  &key->created_at, &key->created_by, &key->expires_at, &key->revoked_at};
    key->requests_per_second = db_double(result, row, 3);
    for (size_t column = 0; column < sizeof texts / sizeof *texts; column++) {
        if (!texts[column] || db_is_null(result, row, column)) continue;
        *texts[column] = arena_strdup(arena, db_text(result, row, column));
        if (!*texts[column]) return false;
    }
    return true;
}

enum status store_keys_list(struct store *store, struct arena *arena, struct problems *problems,
                            const struct store_key **ret_keys, size_t *ret_count)
{
    DB_RESULT *result = NULL;
    enum status status = tx_query(store, TX_READ, QUERY_KEY_LIST, NULL, problems, &result);
    if (status != STATUS_OK) return status;
    struct store_key *keys = ARENA_ARRAY(arena, db_rows(result) + 1, struct store_key);
    for (size_t i = 0; keys && i < db_rows(result); i++) {
        if (!list_key(result, i, arena, &keys[i])) keys = NULL;
    }
    if (!keys) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the keys");
    *ret_keys = keys;
    *ret_count = db_rows(result);
    return STATUS_OK;
}

enum status store_key_create(struct store *store, const struct key *key, const char *expires_at,
                             struct problems *problems)
{
    const struct caller *caller = &key->caller;
    char rate[NUMBER_TEXT_BYTES];
    text_format_double(caller->requests_per_second, rate);
    const char *const values[] = {caller->key_id,
                                  caller->name,
                                  role_name(caller->role),
                                  key->hash,
                                  is_known(caller->requests_per_second) ? rate : NULL,
                                  expires_at};
    return tx_query(store, TX_WRITE, QUERY_KEY_CREATE, values, problems, NULL);
}

enum status store_key_revoke(struct store *store, const char *name, struct problems *problems)
{
    DB_RESULT *revoked = NULL;
    enum status status = tx_query(store, TX_WRITE, QUERY_KEY_REVOKE, &name, problems, &revoked);
    if (status != STATUS_OK || db_rows(revoked) > 0) return status;
    return problems_add(problems, STATUS_NOT_FOUND, "name", "no key that is not revoked has the id or name \"%s\"",
                        name);
}
