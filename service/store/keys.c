/* keys.c owns the statements about API keys. */
#include "store/keys.h"

#include "catalog/text.h"
#include "store/db.h"

#include <stdio.h>
#include <string.h>

/* What a reading transaction leaves. */
struct reading {
    struct arena *arena;
    int64_t state;
    struct key *good;
    struct store_key *listed;
    size_t count;
};

static double db_double(const struct pg_result *result, size_t row, size_t column)
{
    double value = UNKNOWN;
    return text_parse_double(db_text(result, row, column), &value) ? value : UNKNOWN;
}

static enum status read_state(struct db *db, void *context, struct problems *problems)
{
    struct reading *reading = context;
    DB_RESULT *result = NULL;
    enum status status = db_query(db, QUERY_KEYS_STATE, NULL, problems, &result);
    if (status == STATUS_OK) reading->state = db_int64(result, 0, 0);
    return status;
}

enum status store_keys_state(struct store *store, struct problems *problems, int64_t *ret_state)
{
    struct reading reading = {0};
    enum status status = tx_run(store, TX_READ, read_state, &reading, problems);
    if (status == STATUS_OK) *ret_state = reading.state;
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

static enum status read_good(struct db *db, void *context, struct problems *problems)
{
    struct reading *reading = context;
    DB_RESULT *result = NULL;
    enum status status = db_query(db, QUERY_KEYS_GOOD, NULL, problems, &result);
    if (status != STATUS_OK) return status;
    reading->count = db_rows(result);
    reading->good = ARENA_ARRAY(reading->arena, reading->count + 1, struct key);
    if (!reading->good) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the keys");
    for (size_t i = 0; i < reading->count; i++)
        take_key(result, i, &reading->good[i]);
    return STATUS_OK;
}

enum status store_keys_good(struct store *store, struct arena *arena, struct problems *problems,
                            const struct key **ret_keys, size_t *ret_count)
{
    struct reading reading = {.arena = arena};
    enum status status = tx_run(store, TX_READ, read_good, &reading, problems);
    if (status != STATUS_OK) return status;
    *ret_keys = reading.good;
    *ret_count = reading.count;
    return STATUS_OK;
}

static enum status read_list(struct db *db, void *context, struct problems *problems)
{
    struct reading *reading = context;
    DB_RESULT *result = NULL;
    enum status status = db_query(db, QUERY_KEY_LIST, NULL, problems, &result);
    if (status != STATUS_OK) return status;
    reading->count = db_rows(result);
    reading->listed = ARENA_ARRAY(reading->arena, reading->count + 1, struct store_key);
    bool complete = reading->listed;
    for (size_t i = 0; complete && i < reading->count; i++) {
        struct store_key *key = &reading->listed[i];
        const char **const texts[] = {&key->id,         &key->name,       &key->role,       NULL,
                                      &key->created_at, &key->created_by, &key->expires_at, &key->revoked_at};
        key->requests_per_second = db_double(result, i, 3);
        for (size_t column = 0; column < sizeof texts / sizeof *texts; column++) {
            if (!texts[column] || db_is_null(result, i, column)) continue;
            *texts[column] = arena_strdup(reading->arena, db_text(result, i, column));
            complete = complete && *texts[column];
        }
    }
    return complete ? STATUS_OK : problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the keys");
}

enum status store_keys_list(struct store *store, struct arena *arena, struct problems *problems,
                            const struct store_key **ret_keys, size_t *ret_count)
{
    struct reading reading = {.arena = arena};
    enum status status = tx_run(store, TX_READ, read_list, &reading, problems);
    if (status != STATUS_OK) return status;
    *ret_keys = reading.listed;
    *ret_count = reading.count;
    return STATUS_OK;
}

struct creating {
    const struct key *key;
    const char *expires_at;
};

static enum status create(struct db *db, void *context, struct problems *problems)
{
    const struct creating *creating = context;
    const struct caller *caller = &creating->key->caller;
    char rate[NUMBER_TEXT_BYTES];
    text_format_double(caller->requests_per_second, rate);
    const char *const values[] = {caller->key_id,
                                  caller->name,
                                  role_name(caller->role),
                                  creating->key->hash,
                                  is_known(caller->requests_per_second) ? rate : NULL,
                                  creating->expires_at};
    return db_query(db, QUERY_KEY_CREATE, values, problems, NULL);
}

enum status store_key_create(struct store *store, const struct key *key, const char *expires_at,
                             struct problems *problems)
{
    struct creating creating = {key, expires_at};
    return tx_run(store, TX_WRITE, create, &creating, problems);
}

static enum status revoke(struct db *db, void *context, struct problems *problems)
{
    const char *const values[] = {context};
    DB_RESULT *result = NULL;
    enum status status = db_query(db, QUERY_KEY_REVOKE, values, problems, &result);
    if (status != STATUS_OK || db_rows(result) > 0) return status;
    return problems_add(problems, STATUS_NOT_FOUND, "name", "no key that is not revoked has the id or name \"%s\"",
                        values[0]);
}

enum status store_key_revoke(struct store *store, const char *name, struct problems *problems)
{
    return tx_run(store, TX_WRITE, revoke, (char *)(uintptr_t)name, problems); /* which only reads it */
}
