/* store.h owns what the rest of the program may ask of PostgreSQL: the catalog's texts, its version, its changes, and
 * the state of its schema. */
#pragma once
#include "catalog/load.h"

#include <stdint.h>

/* A pool of connections to one database; any thread may use it. Nothing connects before the first question, and a lost
 * connection is made again by the next, so that a store outlives an outage. */
struct store;

struct store_options {
    const char *url;              /* as libpq takes it: postgresql://… or "host=… dbname=…" */
    const char *application_name; /* what pg_stat_activity shows */
    bool prepared;                /* false: behind a pooler that loses prepared statements (pgbouncer before 1.21);
                                     else it is found out by the first that is lost */
    int64_t statement_timeout_ms; /* of every statement; 0 is none */
    int64_t silence_max_ms;       /* a server that says nothing for longer is given up; 0: waited for */
    unsigned connections_max;     /* 0: 4. Threads beyond it wait for one */
};

/* STATUS_INVALID_VALUE if the URL cannot be read. Its password appears in no problem of this box. */
enum status store_open(const struct store_options *options, struct problems *problems,
                       struct store **ret_store) MUST_CHECK;
void store_close(struct store *store); /* accepts NULL; no thread may be using it */

/* What every function below can answer besides its own: STATUS_DATABASE_AWAY (not reached, lost, in recovery, no
 * connection free, out of time: worth another try), STATUS_DATABASE (it refused: rights, a missing table; a person has
 * to look). */

/* --- the schema --- */

struct store_schema {
    int64_t number; /* of the newest migration that the database has; 0: none */
    int64_t known;  /* of the newest that this program has */
};

/* Whether this program can work with the database's schema: its own number or one more, so that a new version can be
 * rolled out. Otherwise STATUS_DATABASE with what to do. `ret_schema` is filled in either case. */
enum status store_schema_check(struct store *store, struct problems *problems,
                               struct store_schema *ret_schema) MUST_CHECK;

struct migration {
    int64_t number;
    const char *name; /* "0001_catalog" */
    const char *sql;
    bool applied;
};

/* All migrations of this program in order, in the arena. STATUS_DATABASE if an applied one was changed since. */
enum status store_migrations(struct store *store, struct arena *arena, struct problems *problems,
                             const struct migration **ret_migrations, size_t *ret_count) MUST_CHECK;
/* Applies what is missing, each migration in one transaction, under a lock: others that migrate at the same time wait
 * and then find nothing to do. `applied` is called after each; it may be NULL. */
enum status store_migrate(struct store *store, void (*applied)(void *context, const struct migration *migration),
                          void *context, struct problems *problems) MUST_CHECK;

/* --- the catalog --- */

enum { STORE_VERSION_BYTES = 64 };
struct store_version {
    char text[STORE_VERSION_BYTES]; /* "<uuid of the database>:<number>": the version of a snapshot */
    int64_t number;
};

/* The newest version: the cheap question "has anything changed?". */
enum status store_catalog_version(struct store *store, struct problems *problems,
                                  struct store_version *ret_version) MUST_CHECK;

/* Every table in the layout of catalog/data, from one moment of the database; `number` < 0 is the newest version, any
 * other the catalog as it was then (STATUS_NOT_FOUND if there was none). The texts live in the arena (NUL-terminated,
 * too); out of its memory is STATUS_OUT_OF_MEMORY. For catalog_load. */
enum status store_catalog_read(struct store *store, int64_t number, struct arena *arena, struct problems *problems,
                               struct catalog_text ret_files[CATALOG_FILE_COUNT],
                               struct store_version *ret_version) MUST_CHECK;

/* The same of the newest version for some of the tables: bits 1U << FILE_…; the texts of the others are NULL. */
enum status store_catalog_read_some(struct store *store, unsigned wanted, struct arena *arena,
                                    struct problems *problems,
                                    struct catalog_text ret_files[CATALOG_FILE_COUNT]) MUST_CHECK;

/* What prices were on a day, as that version knew them: GPUs, their other names, regions, and each offer that held then
 * with the price that it had; offers that have ended since, and the GPUs and regions that they name, are in it. The
 * other files are left NULL. */
enum status store_catalog_read_on(struct store *store, int64_t number, date_t day, struct arena *arena,
                                  struct problems *problems, struct catalog_text ret_files[CATALOG_FILE_COUNT],
                                  struct store_version *ret_version) MUST_CHECK;

/* The measured rows that hold, in the columns of an import of them; the text lives in the arena. */
enum status store_observations_read(struct store *store, struct arena *arena, struct problems *problems,
                                    struct catalog_text *ret_text) MUST_CHECK;

/* Makes the database's rows those of the files: new ones are inserted, changed ones changed; rows of files whose text
 * is NULL, and offers that a file does not name, are left alone. One transaction and at most one new version; none if
 * nothing differs. `ret_rows`: how many were inserted or changed. */
enum status store_catalog_write(struct store *store, const struct catalog_text files[CATALOG_FILE_COUNT],
                                struct problems *problems, size_t *ret_rows) MUST_CHECK;
/* The same in a database without any catalog; otherwise nothing, and 0 rows. */
enum status store_catalog_fill(struct store *store, const struct catalog_text files[CATALOG_FILE_COUNT],
                               struct problems *problems, size_t *ret_rows) MUST_CHECK;
/* Writes the engine profiles if those of the database, which are of an older program, do not give every coefficient;
 * and the published calibrations, if it never had any. */
enum status store_profiles_refresh(struct store *store, const struct catalog_text files[CATALOG_FILE_COUNT],
                                   struct problems *problems, size_t *ret_rows) MUST_CHECK;

/* --- changes of the catalog --- */

/* Waits on a connection of its own, of one thread, which must reach the primary itself: a pooler in transaction mode
 * takes LISTEN and passes nothing on. */
struct store_listener;

enum status store_listen(const char *url, const char *application_name, struct problems *problems,
                         struct store_listener **ret_listener) MUST_CHECK;
void store_listener_close(struct store_listener *listener); /* accepts NULL */

enum store_event {
    STORE_QUIET,   /* nothing within the timeout, or `wake_fd` is readable */
    STORE_CHANGED, /* at least one new version: ask which */
    STORE_LOST,    /* no more connection: close, listen again, then ask for the version, as changes were missed */
};
/* wake_fd: ends the wait when it becomes readable (it is not read); -1: none. */
enum store_event store_listener_wait(struct store_listener *listener, int timeout_ms, int wake_fd);
