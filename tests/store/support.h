/* support.h owns what the tests of the store share: one cluster a program, a migrated template, a database a test. */
#pragma once
#include "store/db.h"
#include "support/postgres.h"

extern struct postgres cluster;
extern const char *const migrated; /* the template: schema and built-in catalog */

/* For cmocka: groups (cluster and template), and the problems and the arena below per test. */
int cluster_setup(void **state);
int cluster_teardown(void **state);

/* Of the test that runs; emptied by fresh_database. */
extern struct arena arena;
extern struct problems problems;
void forget_problems(void);
/* All details of the problems so far contain `text`. */
void assert_said(const char *text);
void assert_not_said(const char *text);

/* A new database from a template ("template0": an empty one); its name is borrowed until the next call. */
const char *fresh_database(const char *template);
struct store *open_store(const char *database, const struct store_options *options);
/* One value as the superuser sees it. */
const char *ask(const char *database, const char *sql);
