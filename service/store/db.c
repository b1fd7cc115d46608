/* db.c owns statements on one connection: prepared or not, their results, COPY both ways. */
#include "store/connection.h"

#include "catalog/csv.h"
#include "catalog/embed.h"
#include "catalog/text.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE_MS = 250 };
extern const struct embedded_file store_query_files[]; /* sql/queries */

const struct query_info query_infos[QUERY_COUNT] = {
#define QUERY(symbol, name, parameters, columns) [QUERY_##symbol] = {name, parameters, columns},
#include "store/queries.def"
#undef QUERY
};

const char *query_text(enum query query)
{
    size_t length = strlen(query_infos[query].name);
    for (const struct embedded_file *file = store_query_files; file->name; file++) {
        if (strncmp(file->name, query_infos[query].name, length) == 0 && strcmp(file->name + length, ".sql") == 0)
            return file->begin;
    }
    return ""; /* the describe test fails on it */
}

static int parameter_count(enum query query)
{
    const char *types = query_infos[query].parameters;
    int count = *types != '\0';
    for (; *types; types++)
        count += *types == ',';
    return count;
}

/* --- answers --- */

/* Lets libpq read what has come, or comes before long; false: the server has been silent for too long. It keeps to the
 * time limit of statements itself, unless it hangs, or a pooler before it has none to give. */
static bool hear(struct db *db)
{
    struct pollfd pollfd = {.fd = PQsocket(db->conn), .events = POLLIN};
    db->silent_ms = poll(&pollfd, 1, SLICE_MS) == 0 ? db->silent_ms + SLICE_MS : 0;
    (void)PQconsumeInput(db->conn); /* in any case: TLS may have bytes that poll does not see */
    return db->silence_max_ms == 0 || db->silent_ms < db->silence_max_ms;
}

static bool is_lost(const struct db *db)
{
    return PQstatus(db->conn) != CONNECTION_OK;
}

static enum status give_up(struct db *db, struct problems *problems)
{
    db->failure = FAILURE_LOST;
    return problems_add(problems, STATUS_DATABASE_AWAY, "", "the database has not answered for %lld ms",
                        (long long)db->silent_ms);
}

/* Whether PQgetResult returns at once: it has a result, or there is none, or the connection is lost. */
static bool await_result(struct db *db)
{
    while (PQisBusy(db->conn) && !is_lost(db)) {
        if (!hear(db)) return false;
    }
    return true;
}

/* Whether the result is what was wanted; if not, it is cleared after its failure was named. */
static enum status expect_result(struct db *db, PGresult *result, struct problems *problems, PGresult **ret_result)
{
    ExecStatusType got = PQresultStatus(result);
    if (got == PGRES_TUPLES_OK || got == PGRES_COMMAND_OK || got == PGRES_COPY_IN || got == PGRES_COPY_OUT) {
        if (ret_result)
            *ret_result = result;
        else
            PQclear(result);
        return STATUS_OK;
    }
    enum status status = connection_failed(db, result, problems);
    PQclear(result);
    return status;
}

static bool is_copy(const PGresult *result)
{
    ExecStatusType got = PQresultStatus(result);
    return got == PGRES_COPY_IN || got == PGRES_COPY_OUT;
}

/* The same for what was sent: the last result of its statements, or the first that failed. */
static enum status expect(struct db *db, int sent, struct problems *problems, PGresult **ret_result)
{
    PGresult *kept = NULL, *result = NULL;
    db->silent_ms = 0;
    for (bool more = sent == 1; more; more = result && !is_copy(result)) {
        if (!await_result(db)) {
            PQclear(kept);
            return give_up(db, problems);
        }
        result = PQgetResult(db->conn);
        bool failed = kept && PQresultStatus(kept) == PGRES_FATAL_ERROR;
        if (result) PQclear(failed ? result : kept);
        if (result && !failed) kept = result;
    }
    return expect_result(db, kept, problems, ret_result);
}

/* --- statements --- */

enum status db_query(struct db *db, enum query query, const char *const *values, struct problems *problems,
                     PGresult **ret_result)
{
    const char *name = query_infos[query].name, *sql = query_text(query);
    int count = parameter_count(query);
    if (!db->prepares)
        return expect(db, PQsendQueryParams(db->conn, sql, count, NULL, values, NULL, NULL, 0), problems, ret_result);
    if (!db->prepared[query]) {
        enum status status = expect(db, PQsendPrepare(db->conn, name, sql, 0, NULL), problems, NULL);
        if (status != STATUS_OK) return status;
        db->prepared[query] = true;
    }
    return expect(db, PQsendQueryPrepared(db->conn, name, count, values, NULL, NULL, 0), problems, ret_result);
}

enum status db_command(struct db *db, const char *sql, struct problems *problems)
{
    return expect(db, PQsendQuery(db->conn, sql), problems, NULL);
}

enum status db_lift_limits(struct db *db, struct problems *problems)
{
    db->silence_max_ms = 0;
    return db_command(db, "set local statement_timeout = 0", problems);
}

/* --- results --- */

size_t db_rows(const PGresult *result)
{
    return (size_t)PQntuples(result);
}

size_t db_affected(const PGresult *result)
{
    int64_t count = 0;
    PGresult *of = (PGresult *)(uintptr_t)result; /* PQcmdTuples forgot its const */
    return text_parse_int64(PQcmdTuples(of), &count) ? (size_t)count : 0;
}

const char *db_text(const PGresult *result, size_t row, size_t column)
{
    return PQgetvalue(result, (int)row, (int)column);
}

bool db_is_null(const PGresult *result, size_t row, size_t column)
{
    return PQgetisnull(result, (int)row, (int)column);
}

int64_t db_int64(const PGresult *result, size_t row, size_t column)
{
    int64_t value = 0;
    (void)text_parse_int64(db_text(result, row, column), &value);
    return value;
}

double db_double(const struct pg_result *result, size_t row, size_t column)
{
    double value = UNKNOWN;
    return text_parse_double(db_text(result, row, column), &value) ? value : UNKNOWN;
}

const char *db_int64_text(int64_t value, char text[DB_INT64_BYTES])
{
    (void)snprintf(text, DB_INT64_BYTES, "%lld", (long long)value);
    return text;
}

void db_clear(PGresult **result)
{
    PQclear(*result);
    *result = NULL;
}

/* --- COPY --- */

enum status db_copy_begin(struct db *db, const char *sql, struct problems *problems)
{
    return db_command(db, sql, problems);
}

enum status db_copy_put(struct db *db, const char *bytes, size_t length, struct problems *problems)
{
    for (const size_t most = 1 << 20; length > 0;) { /* libpq counts in int */
        size_t part = length < most ? length : most;
        if (PQputCopyData(db->conn, bytes, (int)part) != 1) return connection_failed(db, NULL, problems);
        bytes += part;
        length -= part;
    }
    return STATUS_OK;
}

enum status db_copy_end(struct db *db, enum status source, struct problems *problems)
{
    bool given_up = source != STATUS_OK;
    (void)PQputCopyEnd(db->conn, given_up ? "the source failed" : NULL);
    enum status status = source;
    db->silent_ms = 0;
    for (;;) {
        if (!await_result(db)) return give_up(db, problems);
        PGresult *result = PQgetResult(db->conn);
        if (!result) return status;
        if (given_up)
            PQclear(result); /* says that COPY was given up, which the caller knows */
        else
            status = expect_result(db, result, problems, NULL);
    }
}

/* PQgetCopyData with the limit on silence: 0 if that was reached. */
static int next_row(struct db *db, char **row)
{
    int length = PQgetCopyData(db->conn, row, 1);
    while (length == 0 && hear(db))
        length = PQgetCopyData(db->conn, row, !is_lost(db));
    return length;
}

/* All rows that the server sends, into the stream. */
static enum status copy_rows(struct db *db, FILE *stream, struct problems *problems)
{
    char *row = NULL;
    int length = 0;
    size_t total = 0;
    bool written = true;
    db->silent_ms = 0;
    while ((length = next_row(db, &row)) > 0) {
        total += (size_t)length;
        if (total <= CSV_TEXT_MAX_BYTES) written = written && fwrite(row, 1, (size_t)length, stream) == (size_t)length;
        PQfreemem(row);
    }
    enum status status = length == 0    ? give_up(db, problems)
                         : length == -2 ? connection_failed(db, NULL, problems)
                                        : expect(db, 1, problems, NULL);
    if (status == STATUS_OK && total > CSV_TEXT_MAX_BYTES)
        status = problems_add(problems, STATUS_DATABASE, "", "a table of the catalog has more than 64 MiB");
    if (status == STATUS_OK && !written)
        status = problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a table of the catalog");
    return status;
}

enum status db_copy_out(struct db *db, const char *sql, struct arena *arena, struct problems *problems,
                        const char **ret_text, size_t *ret_length)
{
    enum status status = db_command(db, sql, problems);
    if (status != STATUS_OK) return status;
    char *bytes = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&bytes, &length);
    if (!stream) {
        db->failure = FAILURE_LOST; /* rows are under way that nobody reads */
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a table of the catalog");
    }
    status = copy_rows(db, stream, problems);
    bool complete = fclose(stream) == 0;
    const char *text = status == STATUS_OK && complete ? arena_strndup(arena, bytes, length) : NULL;
    free(bytes);
    if (status == STATUS_OK && !text)
        status = problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a table of the catalog");
    if (status != STATUS_OK) return status;
    *ret_text = text;
    *ret_length = length;
    return STATUS_OK;
}
