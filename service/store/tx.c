/* tx.c owns transactions: their limits, and when they are tried again. */
#include "store/connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CONFLICT_TRIES = 6, LOST_TRIES = 2, BACKOFF_MAX_MS = 20, BEGIN_BYTES = 320 };

/* The settings hold for the transaction only, since behind a pooler the session is shared, and they are what the texts
 * of the catalog are written by. Compiling a query takes longer than running any of ours. One message for all: they are
 * one transaction anyway. */
static enum status begin(struct db *db, enum tx_mode mode, struct problems *problems)
{
    char sql[BEGIN_BYTES];
    (void)snprintf(sql, sizeof sql,
                   "begin isolation level %s; set local statement_timeout = %lld; set local datestyle = 'ISO'; "
                   "set local timezone = 'UTC'; set local extra_float_digits = 1; set local search_path = pg_catalog; "
                   "set local jit = off",
                   mode == TX_READ ? "repeatable read read only" : "read committed",
                   (long long)db->options->statement_timeout_ms);
    return db_command(db, sql, problems);
}

/* One try. `ret_final`: nobody may try again, as the transaction may have been committed. */
static enum status try_once(struct db *db, enum tx_mode mode, tx_work *work, void *context, struct problems *problems,
                            bool *ret_final)
{
    db->failure = FAILURE_NONE;
    db->silence_max_ms = db->options->silence_max_ms;
    enum status status = begin(db, mode, problems);
    if (status == STATUS_OK) status = work(db, context, problems);
    if (status == STATUS_OK) {
        status = db_command(db, "commit", problems);
        *ret_final = mode == TX_WRITE && db->failure >= FAILURE_LOST;
        if (*ret_final)
            (void)problems_add(problems, status, "",
                               "whether it was committed is not known: the same again does no harm");
        return status;
    }
    enum failure failure = db->failure;
    struct arena none;
    struct problems ignored; /* a failed rollback: the connection is closed then */
    arena_init(&none, 1);
    problems_init(&ignored, &none);
    if (failure < FAILURE_LOST && db_command(db, "rollback", &ignored) == STATUS_OK) db->failure = failure;
    arena_done(&none);
    return status;
}

/* So that those who met do not meet again. */
static void back_off(unsigned try)
{
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC);
    long most_ms = 1L << try;
    if (most_ms > BACKOFF_MAX_MS) most_ms = BACKOFF_MAX_MS;
    struct timespec pause = {.tv_nsec = 1000 * (now.tv_nsec % (1000 * most_ms))};
    (void)nanosleep(&pause, NULL);
}

enum status tx_run(struct store *store, enum tx_mode mode, tx_work *work, void *context, struct problems *problems)
{
    const size_t problems_before = problems->count, dropped_before = problems->dropped;
    for (unsigned conflicts = 0, losses = 0;;) {
        struct db *db = NULL;
        enum status status = connection_borrow(store, problems, &db);
        if (status != STATUS_OK) return status;
        bool final = false;
        status = try_once(db, mode, work, context, problems, &final);
        enum failure failure = status == STATUS_OK ? FAILURE_NONE : db->failure;
        connection_return(store, db);
        bool again = !final && ((failure == FAILURE_CONFLICT && ++conflicts < CONFLICT_TRIES) ||
                                (failure >= FAILURE_LOST && ++losses < LOST_TRIES));
        if (!again) return status;
        problems->count = problems_before;
        problems->dropped = dropped_before;
        if (failure == FAILURE_CONFLICT) back_off(conflicts);
    }
}

struct asking {
    enum query query;
    const char *const *values;
    struct pg_result *result;
};

static enum status ask(struct db *db, void *context, struct problems *problems)
{
    struct asking *asking = context;
    db_clear(&asking->result); /* of a failed try */
    return db_query(db, asking->query, asking->values, problems, &asking->result);
}

enum status tx_query(struct store *store, enum tx_mode mode, enum query query, const char *const *values,
                     struct problems *problems, struct pg_result **ret_result)
{
    struct asking asking = {.query = query, .values = values};
    enum status status = tx_run(store, mode, ask, &asking, problems);
    if (status == STATUS_OK && ret_result)
        *ret_result = asking.result;
    else
        db_clear(&asking.result);
    return status;
}
