/* migrate.c owns the schema: which migrations the database has, whether they are the program's, applying the others. */
#include "store/db.h"

#include "catalog/embed.h"
#include "catalog/text.h"

#include <stdio.h>
#include <string.h>

enum { MIGRATIONS_MAX = 1000, DIGITS = 4 };
extern const struct embedded_file store_migration_files[]; /* sql/migrations, in the order of their names */

/* Others that migrate wait here. Not the catalog's lock: its function may not exist yet. */
static const char prepare_sql[] =
    "select pg_advisory_xact_lock(7301001, 0); create schema if not exists gpusize; "
    "create table if not exists gpusize.schema_migration (number bigint primary key, name text not null, checksum text "
    "not null, applied_at timestamptz not null default clock_timestamp(), applied_by text not null default "
    "session_user); "
    "comment on schema gpusize is 'The catalog of gpusize: what its answers are computed from.'; "
    "comment on table gpusize.schema_migration is 'Which migrations were applied; gpusize migrate does it.'; "
    "comment on column gpusize.schema_migration.number is 'Of the migration; they are applied in order.'; "
    "comment on column gpusize.schema_migration.name is 'Its file.'; "
    "comment on column gpusize.schema_migration.checksum is 'BLAKE2b-128 of its text.'; "
    "comment on column gpusize.schema_migration.applied_at is 'When.'; "
    "comment on column gpusize.schema_migration.applied_by is 'By which role.'";

/* --- what the program has --- */

static int64_t file_number(const struct embedded_file *file)
{
    char digits[DIGITS + 1] = "";
    int64_t number = 0;
    memcpy(digits, file->name, strnlen(file->name, DIGITS));
    return text_parse_int64(digits, &number) ? number : 0;
}

static int64_t newest_known(void)
{
    int64_t newest = 0;
    for (const struct embedded_file *file = store_migration_files; file->name; file++)
        newest = file_number(file);
    return newest;
}

/* --- what the database has --- */

static enum status has_table(struct db *db, struct problems *problems, bool *ret_exists)
{
    DB_RESULT *result = NULL;
    enum status status = db_query(db, QUERY_SCHEMA_EXISTS, NULL, problems, &result);
    if (status == STATUS_OK) *ret_exists = *db_text(result, 0, 0) == 't';
    return status;
}

static enum status read_number(struct db *db, void *context, struct problems *problems)
{
    int64_t *number = context;
    bool exists = false;
    enum status status = has_table(db, problems, &exists);
    *number = 0;
    if (status != STATUS_OK || !exists) return status;
    DB_RESULT *result = NULL;
    status = db_query(db, QUERY_SCHEMA_NUMBER, NULL, problems, &result);
    if (status == STATUS_OK) *number = db_int64(result, 0, 0);
    return status;
}

enum status store_schema_check(struct store *store, struct problems *problems, struct store_schema *ret_schema)
{
    struct store_schema schema = {.known = newest_known()};
    enum status status = tx_run(store, TX_READ, read_number, &schema.number, problems);
    *ret_schema = schema;
    if (status != STATUS_OK) return status;
    if (schema.number < schema.known)
        return problems_add(problems, STATUS_DATABASE, "",
                            "the database has schema %lld, this program needs %lld: run gpusize migrate",
                            (long long)schema.number, (long long)schema.known);
    if (schema.number > schema.known + 1)
        return problems_add(
            problems, STATUS_DATABASE, "",
            "the database has schema %lld, this program knows %lld and works with one more: use a newer "
            "gpusize",
            (long long)schema.number, (long long)schema.known);
    return STATUS_OK;
}

/* --- the list --- */

struct listing {
    struct migration *items; /* all of the program's */
    size_t count;
};

/* Marks what is applied; refuses one that is not what it was then. */
static enum status mark_applied(struct db *db, void *context, struct problems *problems)
{
    struct listing *listing = context;
    for (size_t i = 0; i < listing->count; i++)
        listing->items[i].applied = false;
    bool exists = false;
    enum status status = has_table(db, problems, &exists);
    if (status != STATUS_OK || !exists) return status;
    DB_RESULT *result = NULL;
    status = db_query(db, QUERY_SCHEMA_MIGRATIONS, NULL, problems, &result);
    for (size_t row = 0; status == STATUS_OK && row < db_rows(result); row++) {
        for (size_t i = 0; i < listing->count; i++) {
            struct migration *migration = &listing->items[i];
            if (migration->number != db_int64(result, row, 0)) continue;
            char hash[HASH_TEXT_BYTES];
            text_hash(migration->sql, strlen(migration->sql), hash);
            migration->applied = true;
            if (strcmp(hash, db_text(result, row, 1)) != 0)
                status = problems_add(problems, STATUS_DATABASE, "",
                                      "migration %s was changed after it had been applied: the database is of another "
                                      "program",
                                      migration->name);
        }
    }
    return status;
}

/* The program's own list, nothing marked. */
static enum status list_known(struct arena *arena, struct problems *problems, struct listing *ret_listing)
{
    struct listing listing = {.items = ARENA_ARRAY(arena, MIGRATIONS_MAX, struct migration)};
    for (const struct embedded_file *file = store_migration_files; listing.items && file->name; file++) {
        const char *name = arena_strndup(arena, file->name, strcspn(file->name, "."));
        if (!name || listing.count == MIGRATIONS_MAX) listing.items = NULL;
        if (listing.items)
            listing.items[listing.count++] =
                (struct migration){.number = file_number(file), .name = name, .sql = file->begin};
    }
    if (!listing.items) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the migrations");
    *ret_listing = listing;
    return STATUS_OK;
}

enum status store_migrations(struct store *store, struct arena *arena, struct problems *problems,
                             const struct migration **ret_migrations, size_t *ret_count)
{
    struct listing listing;
    enum status status = list_known(arena, problems, &listing);
    if (status == STATUS_OK) status = tx_run(store, TX_READ, mark_applied, &listing, problems);
    if (status != STATUS_OK) return status;
    *ret_migrations = listing.items;
    *ret_count = listing.count;
    return STATUS_OK;
}

/* --- applying --- */

struct step {
    struct listing listing;
    const struct migration *done; /* what this transaction applied; NULL: all are */
};

static enum status record(struct db *db, const struct migration *migration, struct problems *problems)
{
    char number[DB_INT64_BYTES], hash[HASH_TEXT_BYTES];
    text_hash(migration->sql, strlen(migration->sql), hash);
    const char *const values[] = {db_int64_text(migration->number, number), migration->name, hash};
    return db_query(db, QUERY_SCHEMA_APPLIED, values, problems, NULL);
}

/* Applies the first that is missing. What is missing is asked under the lock. */
static enum status apply_next(struct db *db, void *context, struct problems *problems)
{
    struct step *step = context;
    step->done = NULL;
    enum status status = db_lift_limits(db, problems);
    if (status == STATUS_OK) status = db_command(db, prepare_sql, problems);
    if (status == STATUS_OK) status = mark_applied(db, &step->listing, problems);
    for (size_t i = 0; status == STATUS_OK && i < step->listing.count; i++) {
        const struct migration *migration = &step->listing.items[i];
        if (migration->applied) continue;
        step->done = migration;
        status = db_command(db, migration->sql, problems);
        return status == STATUS_OK ? record(db, migration, problems) : status;
    }
    return status;
}

enum status store_migrate(struct store *store, void (*applied)(void *context, const struct migration *migration),
                          void *context, struct problems *problems)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct step step = {.done = NULL};
    enum status status = list_known(&arena, problems, &step.listing);
    do {
        if (status == STATUS_OK) status = tx_run(store, TX_WRITE, apply_next, &step, problems);
        if (status == STATUS_OK && step.done && applied) applied(context, step.done);
    } while (status == STATUS_OK && step.done);
    arena_done(&arena);
    return status;
}
