/* postgres.h owns a throw-away PostgreSQL for tests: a cluster in a folder of its own, reached by a unix socket there,
 * which ends with the test program. Nothing of it is durable. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct postgres {
    char folder[32];
    pid_t pid; /* 0: not running */
};

/* Makes and starts a cluster; false if that failed (its log is printed). */
bool postgres_init(struct postgres *postgres);
void postgres_done(struct postgres *postgres); /* ends it and removes its folder */

enum postgres_stop { POSTGRES_FAST, POSTGRES_IMMEDIATE };
void postgres_stop(struct postgres *postgres, enum postgres_stop how);
bool postgres_start(struct postgres *postgres); /* after a stop; returns when it takes connections */

/* Runs SQL by psql as the superuser; what it prints (unaligned, without headers) into `output`, which may be NULL. */
bool postgres_sql(const struct postgres *postgres, const char *database, const char *sql, char *output, size_t size);

enum { POSTGRES_URL_BYTES = 128 };
const char *postgres_url(const struct postgres *postgres, const char *database, char url[POSTGRES_URL_BYTES]);
