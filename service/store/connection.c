/* connection.c owns the pool of connections: making, lending, and what a failure means for them. */
#include "store/connection.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECTIONS_DEFAULT = 4, BORROW_SECONDS = 5, MESSAGE_BYTES = 512 };

struct store {
    struct store_options options; /* its texts are copies */
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct db *idle;
    unsigned open_count; /* idle and lent */
};

/* --- URLs and connecting --- */

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
    while (options->keyword && strcmp(options->keyword, keyword) != 0)
        options++;
    return options->val ? options->val : "";
}

/* A password with an unescaped @ or / ends up in the host's or the database's name, and so in messages. */
enum status connection_check_url(const char *url, struct problems *problems)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    bool bad = !options, cut = false;
    if (options && strstr(url, "://"))
        cut = strchr(option_value(options, "host"), '@') || strchr(option_value(options, "dbname"), '@');
    PQconninfoFree(options);
    if (!bad && !cut) return STATUS_OK;
    return problems_add(problems, STATUS_INVALID_VALUE, "database_url", "%s",
                        cut ? "has a user or password with an unescaped character: write %40 for @, %2F for /"
                            : "is no connection string: postgresql://USER:PASSWORD@HOST:PORT/DATABASE");
}

/* libpq's messages on one line. */
static const char *one_line(const char *message, char text[MESSAGE_BYTES])
{
    size_t length = 0;
    for (const char *at = message; *at && length + 1 < MESSAGE_BYTES; at++) {
        bool blank = *at == '\n' || *at == '\t' || *at == ' ';
        if (blank && (length == 0 || text[length - 1] == ' ')) continue;
        text[length++] = blank ? ' ' : *at;
    }
    while (length > 0 && text[length - 1] == ' ')
        length--;
    text[length] = '\0';
    return text;
}

/* Notices go to standard error otherwise, where nobody asked for them. */
static void drop_notice(void *context, const PGresult *result)
{
    (void)context, (void)result;
}

PGconn *connection_new(const char *url, const char *application_name, struct problems *problems)
{
    /* What stands before dbname, the URL may change; the limits are for networks that swallow packets. */
    const char *const keywords[] = {"connect_timeout",
                                    "fallback_application_name",
                                    "keepalives_idle",
                                    "keepalives_interval",
                                    "keepalives_count",
                                    "tcp_user_timeout",
                                    "dbname",
                                    "client_encoding",
                                    NULL};
    const char *const values[] = {"5", application_name, "10", "5", "2", "30000", url, "UTF8", NULL};
    PGconn *conn = PQconnectdbParams(keywords, values, 1);
    if (conn && PQstatus(conn) == CONNECTION_OK) {
        (void)PQsetNoticeReceiver(conn, drop_notice, NULL);
        return conn;
    }
    char text[MESSAGE_BYTES];
    problems_add(problems, STATUS_DATABASE_AWAY, "", "no connection to the database: %s",
                 conn ? one_line(PQerrorMessage(conn), text) : "out of memory");
    PQfinish(conn);
    return NULL;
}

/* --- the pool --- */

static void db_free(struct db *db)
{
    if (!db) return;
    PQfinish(db->conn);
    free(db);
}

/* An idle connection on which the server has spoken was most likely ended by it; PQstatus does not know yet. */
static bool still_good(const struct db *db)
{
    struct pollfd pollfd = {.fd = PQsocket(db->conn), .events = POLLIN};
    return PQstatus(db->conn) == CONNECTION_OK && poll(&pollfd, 1, 0) == 0;
}

/* With the lock held: an idle connection or a place for a new one; false if neither came free in time. */
static bool take_place(struct store *store, struct db **ret_db)
{
    struct timespec until;
    (void)timespec_get(&until, TIME_UTC);
    until.tv_sec += BORROW_SECONDS;
    while (!store->idle && store->open_count >= store->options.connections_max) {
        if (pthread_cond_timedwait(&store->returned, &store->lock, &until) == ETIMEDOUT) return false;
    }
    *ret_db = store->idle;
    if (store->idle)
        store->idle = store->idle->next;
    else
        store->open_count++;
    return true;
}

static void give_place(struct store *store, struct db *db, bool shared)
{
    pthread_mutex_lock(&store->lock);
    if (shared) store->options.prepared = false;
    if (db) {
        db->next = store->idle;
        store->idle = db;
    } else {
        store->open_count--;
    }
    pthread_cond_signal(&store->returned);
    pthread_mutex_unlock(&store->lock);
}

static enum status db_new(const struct store *store, bool prepares, struct problems *problems, struct db **ret_db)
{
    struct db *db = calloc(1, sizeof *db);
    if (!db) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a connection");
    db->options = &store->options;
    db->prepares = prepares;
    db->conn = connection_new(store->options.url, store->options.application_name, problems);
    if (!db->conn) {
        free(db);
        return STATUS_DATABASE_AWAY;
    }
    *ret_db = db;
    return STATUS_OK;
}

enum status connection_borrow(struct store *store, struct problems *problems, struct db **ret_db)
{
    struct db *db = NULL;
    pthread_mutex_lock(&store->lock);
    bool placed = take_place(store, &db), prepares = store->options.prepared;
    pthread_mutex_unlock(&store->lock);
    if (!placed)
        return problems_add(problems, STATUS_DATABASE_AWAY, "", "all %u connections to the database are in use",
                            store->options.connections_max);
    if (db && !still_good(db)) {
        db_free(db);
        db = NULL;
    }
    if (db && !prepares) db->prepares = false; /* another connection has found out meanwhile */
    enum status status = db ? STATUS_OK : db_new(store, prepares, problems, &db);
    if (status == STATUS_OK)
        *ret_db = db;
    else
        give_place(store, NULL, false);
    return status;
}

void connection_return(struct store *store, struct db *db)
{
    bool shared = db->failure == FAILURE_SHARED;
    if (db->failure >= FAILURE_LOST || PQtransactionStatus(db->conn) != PQTRANS_IDLE) {
        db_free(db);
        db = NULL;
    }
    give_place(store, db, shared);
}

void store_close(struct store *store)
{
    if (!store) return;
    while (store->idle) {
        struct db *next = store->idle->next;
        db_free(store->idle);
        store->idle = next;
    }
    pthread_cond_destroy(&store->returned);
    pthread_mutex_destroy(&store->lock);
    free((char *)(uintptr_t)store->options.url);
    free((char *)(uintptr_t)store->options.application_name);
    free(store);
}

enum status store_open(const struct store_options *options, struct problems *problems, struct store **ret_store)
{
    enum status status = connection_check_url(options->url, problems);
    if (status != STATUS_OK) return status;
    struct store *store = calloc(1, sizeof *store);
    if (!store) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the store");
    store->options = *options;
    if (!store->options.connections_max) store->options.connections_max = CONNECTIONS_DEFAULT;
    store->options.url = strdup(options->url);
    store->options.application_name = strdup(options->application_name);
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->returned, NULL);
    if (!store->options.url || !store->options.application_name) {
        store_close(store);
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the store");
    }
    *ret_store = store;
    return STATUS_OK;
}

/* --- failures --- */

/* What an SQLSTATE means, by its first characters; PostgreSQL's documentation, appendix "Error Codes". */
static const struct meaning {
    const char *sqlstate;
    enum failure failure;
    enum status status;
} meanings[] = {
    {"08", FAILURE_LOST, STATUS_DATABASE_AWAY},        /* connection exceptions */
    {"57P01", FAILURE_LOST, STATUS_DATABASE_AWAY},     /* shut down by an administrator */
    {"57P02", FAILURE_LOST, STATUS_DATABASE_AWAY},     /* crash of another session */
    {"57P03", FAILURE_LOST, STATUS_DATABASE_AWAY},     /* starting up */
    {"57P05", FAILURE_LOST, STATUS_DATABASE_AWAY},     /* idle for too long */
    {"25P03", FAILURE_LOST, STATUS_DATABASE_AWAY},     /* idle in its transaction for too long */
    {"26000", FAILURE_SHARED, STATUS_DATABASE_AWAY},   /* prepared statement gone */
    {"42P05", FAILURE_SHARED, STATUS_DATABASE_AWAY},   /* prepared by somebody else */
    {"0A000", FAILURE_LOST, STATUS_DATABASE},          /* cached plan must not change its result type */
    {"40001", FAILURE_CONFLICT, STATUS_DATABASE_AWAY}, /* serialization failure */
    {"40P01", FAILURE_CONFLICT, STATUS_DATABASE_AWAY}, /* deadlock */
    {"57014", FAILURE_REFUSED, STATUS_DATABASE_AWAY},  /* statement timeout */
    {"53", FAILURE_REFUSED, STATUS_DATABASE_AWAY},     /* disk, memory, connections */
    {"55P03", FAILURE_REFUSED, STATUS_DATABASE_AWAY},  /* lock not available */
    {"22", FAILURE_REFUSED, STATUS_INVALID_VALUE},     /* no such number, date, … */
    {"23505", FAILURE_REFUSED, STATUS_ALREADY_EXISTS}, /* two rows of one key */
    {"23", FAILURE_REFUSED, STATUS_INVALID_VALUE},     /* a constraint */
    {"", FAILURE_REFUSED, STATUS_DATABASE},
};

/* What to do about it, where a person has to. */
static const struct hint {
    const char *sqlstate, *text;
} hints[] = {
    {"42501", "docs/database.md says what to grant"}, /* insufficient privilege */
    {"25006", "a standby takes no changes, nor does what is set read only: use the primary"},
};

/* The hint as the end of a message; "" if there is none. */
static const char *hint_at(const char *sqlstate, const PGconn *conn, char text[MESSAGE_BYTES])
{
    *text = '\0';
    for (size_t i = 0; i < sizeof hints / sizeof *hints && sqlstate; i++) {
        if (strcmp(hints[i].sqlstate, sqlstate) == 0)
            (void)snprintf(text, MESSAGE_BYTES, "; %s (this is role %s)", hints[i].text, PQuser(conn));
    }
    return text;
}

enum status connection_failed(struct db *db, const PGresult *result, struct problems *problems)
{
    const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *primary = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *detail = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL) : NULL;
    const struct meaning *meaning = meanings; /* without SQLSTATE it was libpq that failed */
    while (sqlstate && strncmp(sqlstate, meaning->sqlstate, strlen(meaning->sqlstate)) != 0)
        meaning++;
    db->failure = PQstatus(db->conn) == CONNECTION_OK ? meaning->failure : FAILURE_LOST;
    char text[MESSAGE_BYTES], more[MESSAGE_BYTES], hint[MESSAGE_BYTES];
    return problems_add(problems, db->failure == FAILURE_LOST ? STATUS_DATABASE_AWAY : meaning->status, "",
                        "the database says: %s%s%s%s%s%s%s",
                        one_line(primary ? primary : PQerrorMessage(db->conn), text), detail ? ": " : "",
                        detail ? one_line(detail, more) : "", sqlstate ? " (" : "", sqlstate ? sqlstate : "",
                        sqlstate ? ")" : "", hint_at(sqlstate, db->conn, hint));
}
