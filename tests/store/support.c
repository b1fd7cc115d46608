/* support.c owns the cluster that the tests of a program share. */
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct postgres cluster;
const char *const migrated = "migrated";
struct arena arena;
struct problems problems;

void forget_problems(void)
{
    arena_done(&arena);
    problems_init(&problems, &arena);
}

int cluster_setup(void **state)
{
    (void)state;
    if (!postgres_init(&cluster)) return -1;
    forget_problems();
    size_t rows = 0;
    if (!postgres_sql(&cluster, "postgres", "create database migrated template template0", NULL, 0)) return -1;
    struct store *store = open_store(migrated, NULL);
    enum status status = store_migrate(store, NULL, NULL, &problems);
    if (status == STATUS_OK) status = store_catalog_write(store, catalog_bundled(), &problems, &rows);
    store_close(store);
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s\n", problems.items[i].detail);
    return status == STATUS_OK && rows > 0 ? 0 : -1;
}

int cluster_teardown(void **state)
{
    (void)state;
    postgres_done(&cluster);
    arena_done(&arena);
    return 0;
}

void assert_said(const char *text)
{
    assert_true(problems.count > 0);
    for (size_t i = 0; i < problems.count; i++) {
        if (!strstr(problems.items[i].detail, text)) fail_msg("\"%s\" lacks \"%s\"", problems.items[i].detail, text);
    }
}

void assert_not_said(const char *text)
{
    for (size_t i = 0; i < problems.count; i++) {
        if (strstr(problems.items[i].detail, text)) fail_msg("\"%s\" has \"%s\"", problems.items[i].detail, text);
    }
}

const char *fresh_database(const char *template)
{
    static unsigned count;
    static char name[32], sql[96];
    (void)snprintf(name, sizeof name, "test_%u", ++count);
    (void)snprintf(sql, sizeof sql, "create database %s template %s", name, template);
    assert_true(postgres_sql(&cluster, "postgres", sql, NULL, 0));
    forget_problems();
    return name;
}

struct store *open_store(const char *database, const struct store_options *options)
{
    char url[POSTGRES_URL_BYTES];
    struct store_options all = options ? *options : (struct store_options){.prepared = true};
    if (!all.url) all.url = postgres_url(&cluster, database, url);
    all.application_name = "store_test";
    struct store *store = NULL;
    assert_int_equal(store_open(&all, &problems, &store), STATUS_OK);
    return store;
}

const char *ask(const char *database, const char *sql)
{
    static char value[4096];
    if (!postgres_sql(&cluster, database, sql, value, sizeof value)) fail_msg("%s: %s", sql, value);
    return value;
}
