/* db.h owns talking to PostgreSQL, for the files of this box: one connection, prepared statements, transactions that
 * are tried again, COPY both ways. Nothing outside the box includes it. */
#pragma once
#include "store/store.h"

struct pg_result; /* libpq's PGresult */
struct db;        /* a connection, lent to a transaction */

/* Every query: QUERY(symbol, name, parameters, columns). The text is sql/queries/<name>.sql; `parameters` and `columns`
 * are the types and the names with types that PostgreSQL itself finds in it, which tests/store/schema_test.c holds
 * them to. A query that begins with "copy" is not prepared and has neither. */
enum query {
#define QUERY(symbol, name, parameters, columns) QUERY_##symbol,
#include "store/queries.def"
#undef QUERY
    QUERY_COUNT
};
struct query_info {
    const char *name, *parameters, *columns;
};
extern const struct query_info query_infos[QUERY_COUNT];
const char *query_text(enum query query);

/* What a transaction does. It may be called again from its beginning after a deadlock, a serialization failure or a
 * lost connection, with the problems of the failed try taken back: it must not keep what an earlier try did. */
typedef enum status tx_work(struct db *db, void *context, struct problems *problems);

enum tx_mode {
    TX_READ,  /* REPEATABLE READ READ ONLY: one moment of the database for all its statements */
    TX_WRITE, /* READ COMMITTED; on STATUS_OK committed, otherwise rolled back */
};
/* Borrows a connection and runs work in a transaction. A connection lost while COMMIT was under way is reported and not
 * tried again, as nobody knows what became of it; work must be idempotent for the caller's next try. */
enum status tx_run(struct store *store, enum tx_mode mode, tx_work *work, void *context,
                   struct problems *problems) MUST_CHECK;

/* One query as a transaction of its own. The connection is free again when the caller reads the result. */
enum status tx_query(struct store *store, enum tx_mode mode, enum query query, const char *const *values,
                     struct problems *problems, struct pg_result **ret_result) MUST_CHECK;

/* Runs a query of the table. values[i] is the text of parameter i, NULL for SQL's null; as many as the query has.
 * *ret_result is to be cleared by db_clear (or declared DB_RESULT); pass NULL if there is nothing to read. */
enum status db_query(struct db *db, enum query query, const char *const *values, struct problems *problems,
                     struct pg_result **ret_result) MUST_CHECK;
/* The same for one statement given as text, without parameters: BEGIN, CREATE TEMPORARY TABLE, migrations. */
enum status db_command(struct db *db, const char *sql, struct problems *problems) MUST_CHECK;
/* Until the end of the transaction a statement may take any time: it waits for others, or has much to do. */
enum status db_lift_limits(struct db *db, struct problems *problems) MUST_CHECK;

/* As the text of a parameter; returns it. */
enum { DB_INT64_BYTES = 24 };
const char *db_int64_text(int64_t value, char text[DB_INT64_BYTES]);

/* Reading a result. Texts are borrowed from it; a null is "" (see db_is_null). */
size_t db_rows(const struct pg_result *result);
size_t db_affected(const struct pg_result *result); /* rows that INSERT, UPDATE or DELETE touched */
const char *db_text(const struct pg_result *result, size_t row, size_t column);
bool db_is_null(const struct pg_result *result, size_t row, size_t column);
int64_t db_int64(const struct pg_result *result, size_t row, size_t column); /* 0 for a null */
double db_double(const struct pg_result *result, size_t row, size_t column); /* UNKNOWN for a null */
void db_clear(struct pg_result **result);
#define DB_RESULT __attribute__((cleanup(db_clear))) struct pg_result

/* COPY … FROM STDIN: begin, any number of puts, end. After a failed put or when the source fails, call end with that
 * status: it tells the server to give up, and returns it. */
enum status db_copy_begin(struct db *db, const char *sql, struct problems *problems) MUST_CHECK;
enum status db_copy_put(struct db *db, const char *bytes, size_t length, struct problems *problems) MUST_CHECK;
enum status db_copy_end(struct db *db, enum status source, struct problems *problems) MUST_CHECK;

/* COPY … TO STDOUT as one text in the arena, NUL-terminated; *ret_length without the NUL. */
enum status db_copy_out(struct db *db, const char *sql, struct arena *arena, struct problems *problems,
                        const char **ret_text, size_t *ret_length) MUST_CHECK;
