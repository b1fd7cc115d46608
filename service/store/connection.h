/* connection.h owns what the files of this box know of each other: the pool, one connection, what became of a call. */
#pragma once
#include "store/db.h"

struct pg_conn; /* libpq's PGconn */

enum failure { /* what the last failed call on a connection says about it */
               FAILURE_NONE,
               FAILURE_REFUSED,  /* the statement is at fault */
               FAILURE_CONFLICT, /* other transactions were: the same again may succeed */
               FAILURE_LOST,     /* the connection is gone, or no longer what it was: a new one is needed */
               FAILURE_SHARED,   /* so, too, and its prepared statements are not ours alone: a pooler is between */
};

struct db {
    struct pg_conn *conn;
    const struct store_options *options;
    bool prepares;              /* statements are prepared once, instead of each time */
    bool prepared[QUERY_COUNT]; /* on this connection */
    int64_t silence_max_ms;     /* after which the server is given up, in this transaction; 0: never */
    int64_t silent_ms;          /* since it was asked, or spoke */
    enum failure failure;
    struct db *next; /* in the pool's list of idle ones */
};

/* Borrows an idle connection or makes one, waiting for a free place if all are in use. */
enum status connection_borrow(struct store *store, struct problems *problems, struct db **ret_db) MUST_CHECK;
/* Gives it back; closes it if it failed in a way that it does not survive. */
void connection_return(struct store *store, struct db *db);

/* A connection of its own that was never in the pool. NULL with a problem that does not show the URL. */
struct pg_conn *connection_new(const char *url, const char *application_name, struct problems *problems);
/* STATUS_INVALID_VALUE, without showing it, for a URL that libpq cannot read or would read a password wrongly from. */
enum status connection_check_url(const char *url, struct problems *problems) MUST_CHECK;
/* Names the failure of the last call, in db->failure and as a problem. */
enum status connection_failed(struct db *db, const struct pg_result *result, struct problems *problems);
