/* calibration.c owns the statements that bring calibrations into the catalog and retire them. */
#include "store/calibration.h"

#include "store/catalog.h"

#include <string.h>

static enum status no_memory(struct problems *problems)
{
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the calibrations");
}

struct adding {
    const struct store_calibrations *calibrations;
    const char *ids; /* as an array of SQL */
    struct arena *arena;
    struct store_written written;
};

/* Ids are hexadecimal digits: nothing in them needs quotes. */
static const char *ids_text(const struct store_calibrations *calibrations, struct arena *arena)
{
    const char *text = "{";
    for (size_t i = 0; text && i < calibrations->count; i++)
        text = arena_printf(arena, "%s%s%s", text, i ? "," : "", calibrations->ids[i]);
    return text ? arena_printf(arena, "%s}", text) : NULL;
}

static enum status ask_entries(struct db *db, const struct adding *adding, struct problems *problems,
                               struct pg_result **ret_entries)
{
    const char *const values[] = {adding->calibrations->pool, adding->ids};
    return db_query(db, QUERY_CALIBRATION_ENTRIES, values, problems, ret_entries);
}

static enum status insert(struct db *db, const struct store_calibrations *calibrations, struct problems *problems)
{
    const char *const report[] = {calibrations->report_id, calibrations->report, calibrations->note};
    const char *const outdated[] = {calibrations->pool, calibrations->report_id};
    enum status status = db_query(db, QUERY_CALIBRATION_REPORT_ADD, report, problems, NULL);
    for (size_t i = 0; status == STATUS_OK && i < calibrations->count; i++)
        status = db_query(db, QUERY_CALIBRATION_ADD, &calibrations->rows[i], problems, NULL);
    return status == STATUS_OK ? db_query(db, QUERY_CALIBRATION_OUTDATE, outdated, problems, NULL) : status;
}

static enum status tell(struct db *db, struct adding *adding, bool added, struct problems *problems)
{
    struct store_version version;
    DB_RESULT *entries = NULL;
    enum status status = ask_entries(db, adding, problems, &entries);
    if (status == STATUS_OK) status = catalog_read_version(db, problems, &version);
    if (status != STATUS_OK) return status;
    adding->written = (struct store_written){
        .http_status = added ? 201 : 200,
        .json = arena_printf(
            adding->arena,
            "{\"report_id\":\"%s\",\"calibrations\":%s,\"retired\":%s,\"left_out\":%s,\"catalog_version\":\"%s\"}",
            adding->calibrations->report_id, db_text(entries, 0, 1), added ? db_text(entries, 0, 2) : "[]",
            adding->calibrations->left_out, version.text),
    };
    return adding->written.json ? STATUS_OK : no_memory(problems);
}

static enum status add(struct db *db, void *context, struct problems *problems)
{
    struct adding *adding = context;
    const struct store_calibrations *calibrations = adding->calibrations;
    DB_RESULT *known = NULL;
    enum status status = actor_begin(db, calibrations->actor, adding->arena, problems, &adding->written);
    if (status != STATUS_OK || adding->written.repeated) return status;
    status = db_query(db, QUERY_CATALOG_LOCK, NULL, problems, NULL);
    if (status == STATUS_OK) status = ask_entries(db, adding, problems, &known);
    if (status != STATUS_OK) return status;
    bool added = (size_t)db_int64(known, 0, 0) < calibrations->count;
    if (added) status = insert(db, calibrations, problems);
    if (status == STATUS_OK) status = tell(db, adding, added, problems);
    return status == STATUS_OK ? actor_end(db, calibrations->actor, &adding->written, problems) : status;
}

enum status store_calibrations_add(struct store *store, const struct store_calibrations *calibrations,
                                   struct arena *arena, struct problems *problems, struct store_written *ret_written)
{
    struct adding adding = {.calibrations = calibrations, .ids = ids_text(calibrations, arena), .arena = arena};
    if (!adding.ids) return no_memory(problems);
    enum status status = tx_run(store, TX_WRITE, add, &adding, problems);
    if (status == STATUS_OK) *ret_written = adding.written;
    return status;
}

/* --- retiring --- */

struct retiring {
    const char *id, *pool;
    const struct store_actor *actor;
    struct arena *arena;
    struct store_written written;
};

static enum status retire(struct db *db, void *context, struct problems *problems)
{
    struct retiring *retiring = context;
    const char *const values[] = {retiring->id, retiring->pool};
    struct store_version version;
    DB_RESULT *entries = NULL;
    enum status status = actor_begin(db, retiring->actor, retiring->arena, problems, &retiring->written);
    if (status != STATUS_OK || retiring->written.repeated) return status;
    status = db_query(db, QUERY_CATALOG_LOCK, NULL, problems, NULL);
    if (status == STATUS_OK) status = db_query(db, QUERY_CALIBRATION_RETIRE, values, problems, NULL);
    if (status == STATUS_OK) status = db_query(db, QUERY_CALIBRATION_NAMED, values, problems, &entries);
    if (status == STATUS_OK) status = catalog_read_version(db, problems, &version);
    if (status != STATUS_OK) return status;
    if (db_int64(entries, 0, 0) == 0)
        return problems_add(problems, STATUS_NOT_FOUND, "id", "there is no calibration \"%s\"%s%s", retiring->id,
                            retiring->pool ? " in the pool " : "", retiring->pool ? retiring->pool : "");
    retiring->written = (struct store_written){
        .http_status = 200,
        .json = arena_printf(retiring->arena, "{\"calibrations\":%s,\"catalog_version\":\"%s\"}",
                             db_text(entries, 0, 1), version.text),
    };
    return retiring->written.json ? actor_end(db, retiring->actor, &retiring->written, problems) : no_memory(problems);
}

enum status store_calibration_retire(struct store *store, const char *id, const char *pool,
                                     const struct store_actor *actor, struct arena *arena, struct problems *problems,
                                     struct store_written *ret_written)
{
    struct retiring retiring = {.id = id, .pool = pool, .actor = actor, .arena = arena};
    enum status status = tx_run(store, TX_WRITE, retire, &retiring, problems);
    if (status == STATUS_OK) *ret_written = retiring.written;
    return status;
}
