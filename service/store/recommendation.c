/* recommendation.c owns stored answers in the database: their bytes on the way there and back. */
#include "store/recommendation.h"

#include "store/db.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* Beyond any answer and any question, so that what was tampered with does not fill the memory. */
enum { TEXT_MAX_BYTES = 16 << 20 };

/* --- adding --- */

struct adding {
    const struct record *records;
    size_t count;
    int64_t max_bytes;
};

/* "\x1f8b…": bytes as PostgreSQL reads them whatever its settings. NULL when out of memory. */
static const char *to_bytea(struct arena *arena, struct record_text text)
{
    size_t room = 2 * text.length + 3;
    char *hex = arena_alloc(arena, room);
    if (!hex) return NULL;
    hex[0] = '\\', hex[1] = 'x';
    (void)sodium_bin2hex(hex + 2, room - 2, (const unsigned char *)text.bytes, text.length);
    return hex;
}

static enum status add_one(struct db *db, const struct record *record, struct problems *problems)
{
    struct arena arena;
    char day[DATE_TEXT_BYTES];
    arena_init(&arena, 0);
    const char *question = to_bytea(&arena, record->question), *answer = to_bytea(&arena, record->answer);
    const char *const values[] = {record->id,
                                  record->operation,
                                  question,
                                  record->question_form,
                                  date_format(record->asked_on, day),
                                  record->catalog_version,
                                  record->estimator_version,
                                  answer,
                                  record->answer_hash,
                                  record->created_by};
    enum status status = question && answer
                             ? db_query(db, QUERY_RECOMMENDATION_ADD, values, problems, NULL)
                             : problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory to store an answer");
    arena_done(&arena);
    return status;
}

/* In steps, each within the time that a statement may take: the limit may have been lowered by much. */
static enum status drop_oldest(struct db *db, int64_t max_bytes, struct problems *problems)
{
    char most[DB_INT64_BYTES];
    const char *const values[] = {db_int64_text(max_bytes, most)};
    for (size_t dropped = 1; dropped > 0;) {
        DB_RESULT *result = NULL;
        enum status status = db_query(db, QUERY_RECOMMENDATIONS_DROP, values, problems, &result);
        if (status != STATUS_OK) return status;
        dropped = db_affected(result);
    }
    return STATUS_OK;
}

/* The lock comes first: whoever adds the same answers at the same time waits for it, and not one for the other. */
static enum status add_all(struct db *db, void *context, struct problems *problems)
{
    const struct adding *adding = context;
    enum status status = db_query(db, QUERY_RECOMMENDATIONS_LOCK, NULL, problems, NULL);
    for (size_t i = 0; i < adding->count && status == STATUS_OK; i++)
        status = add_one(db, &adding->records[i], problems);
    return status == STATUS_OK ? drop_oldest(db, adding->max_bytes, problems) : status;
}

enum status store_recommendations_add(struct store *store, const struct record *records, size_t count,
                                      int64_t max_bytes, struct problems *problems)
{
    struct adding adding = {records, count, max_bytes};
    return tx_run(store, TX_WRITE, add_all, &adding, problems);
}

/* --- having one again --- */

static enum status unpack(const char *hex, struct arena *arena, struct problems *problems, struct record_text *ret_text)
{
    size_t length = strlen(hex) / 2;
    unsigned char *bytes = arena_alloc(arena, length + 1);
    if (!bytes) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a stored answer");
    (void)sodium_hex2bin(bytes, length, hex, 2 * length, NULL, &length, NULL);
    const struct record_text packed = {(const char *)bytes, length};
    return record_inflate(packed, TEXT_MAX_BYTES, arena, problems, ret_text);
}

static enum status read_record(const struct pg_result *row, struct arena *arena, struct problems *problems,
                               struct record *record)
{
    const char **texts[] = {&record->operation, &record->question_form, &record->catalog_version,
                            &record->estimator_version}; /* the first columns */
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i] = arena_strdup(arena, db_text(row, 0, i));
        if (!*texts[i]) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a stored answer");
    }
    (void)snprintf(record->answer_hash, sizeof record->answer_hash, "%s", db_text(row, 0, 4));
    if (!date_parse(db_text(row, 0, 5), &record->asked_on)) record->asked_on = DATE_UNKNOWN;
    enum status status = unpack(db_text(row, 0, 6), arena, problems, &record->question);
    return status == STATUS_OK ? unpack(db_text(row, 0, 7), arena, problems, &record->answer) : status;
}

enum status store_recommendation_get(struct store *store, const char *id, struct arena *arena,
                                     struct problems *problems, struct record *ret_record)
{
    struct record record = {.id = id, .created_by = ""};
    char hash[HASH_TEXT_BYTES];
    DB_RESULT *row = NULL;
    enum status status = tx_query(store, TX_READ, QUERY_RECOMMENDATION_GET, &id, problems, &row);
    if (status != STATUS_OK) return status;
    if (db_rows(row) == 0) return problems_add(problems, STATUS_NOT_STORED, "id", "no answer %s is stored", id);
    status = read_record(row, arena, problems, &record);
    if (status != STATUS_OK) return status;
    text_hash(record.answer.bytes, record.answer.length, hash);
    if (strcmp(hash, record.answer_hash) != 0)
        return problems_add(problems, STATUS_DATABASE, "id", "the stored answer is damaged: its hash is %s, not %s",
                            hash, record.answer_hash);
    *ret_record = record;
    return STATUS_OK;
}
