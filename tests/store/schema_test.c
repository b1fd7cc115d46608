/* schema_test.c owns the proof that migrations are safe, and that every query is what its table says. */
#include "catalog/csv.h"
#include "support.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TYPES_BYTES = 512, MIGRATORS = 10 };

static void test_migrate(void **state)
{
    (void)state;
    const char *name = fresh_database("template0");
    struct store *store = open_store(name, NULL);
    struct store_schema schema;
    const struct migration *migrations = NULL;
    size_t count = 0;
    assert_int_equal(store_schema_check(store, &problems, &schema), STATUS_DATABASE);
    assert_said("run gpusize migrate");
    assert_int_equal(schema.number, 0);
    forget_problems();
    assert_int_equal(store_migrations(store, &arena, &problems, &migrations, &count), STATUS_OK);
    assert_true(count > 0 && !migrations[0].applied && migrations[0].number == 1);
    assert_int_equal(schema.known, migrations[count - 1].number);
    assert_string_equal(ask(name, "select count(*) from pg_namespace where nspname = 'gpusize'"), "0");
    assert_int_equal(store_migrate(store, NULL, NULL, &problems), STATUS_OK);
    assert_int_equal(store_migrations(store, &arena, &problems, &migrations, &count), STATUS_OK);
    for (size_t i = 0; i < count; i++)
        assert_true(migrations[i].applied);
    assert_int_equal(store_schema_check(store, &problems, &schema), STATUS_OK);
    assert_int_equal(schema.number, schema.known);
    store_close(store);
}

static void test_other_schemas(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    struct store *store = open_store(name, NULL);
    struct store_schema schema;
    static const char newer[] = "insert into gpusize.schema_migration (number, name, checksum) "
                                "select max(number) + 1, 'later', '' from gpusize.schema_migration";
    (void)ask(name, newer);
    assert_int_equal(store_schema_check(store, &problems, &schema), STATUS_OK);
    (void)ask(name, newer);
    assert_int_equal(store_schema_check(store, &problems, &schema), STATUS_DATABASE);
    assert_said("use a newer gpusize");
    forget_problems();
    (void)ask(name, "update gpusize.schema_migration set checksum = 'another' where number = 1");
    assert_int_equal(store_migrate(store, NULL, NULL, &problems), STATUS_DATABASE);
    assert_said("was changed after it had been applied");
    store_close(store);
}

static void count_applied(void *context, const struct migration *migration)
{
    assert_non_null(migration->name);
    ++*(size_t *)context;
}

static char migrators_url[POSTGRES_URL_BYTES];
struct migrator {
    pthread_t thread;
    enum status status;
    size_t applied;
};

static void *migrate(void *data)
{
    struct migrator *migrator = data;
    struct arena own;
    struct problems found;
    struct store *store = NULL;
    const struct store_options options = {.url = migrators_url, .application_name = "store_test", .prepared = true};
    arena_init(&own, 0);
    problems_init(&found, &own);
    migrator->status = store_open(&options, &found, &store);
    if (migrator->status == STATUS_OK)
        migrator->status = store_migrate(store, count_applied, &migrator->applied, &found);
    store_close(store);
    arena_done(&own);
    return NULL;
}

static void test_ten_migrators(void **state)
{
    (void)state;
    const char *name = fresh_database("template0");
    struct migrator migrators[MIGRATORS] = {0};
    size_t applied = 0;
    (void)postgres_url(&cluster, name, migrators_url);
    for (size_t i = 0; i < MIGRATORS; i++)
        assert_int_equal(pthread_create(&migrators[i].thread, NULL, migrate, &migrators[i]), 0);
    for (size_t i = 0; i < MIGRATORS; i++) {
        assert_int_equal(pthread_join(migrators[i].thread, NULL), 0);
        assert_int_equal(migrators[i].status, STATUS_OK);
        applied += migrators[i].applied;
    }
    char expected[16];
    (void)snprintf(expected, sizeof expected, "%zu", applied);
    assert_string_equal(ask(name, "select count(*) from gpusize.schema_migration"), expected);
}

/* --- descriptions --- */

static const char *type_name(PGconn *conn, Oid type)
{
    static char name[64];
    char text[16];
    (void)snprintf(text, sizeof text, "%u", type);
    const char *const values[] = {text};
    PGresult *result = PQexecParams(conn, "select format_type($1::oid, null)", 1, NULL, values, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    (void)snprintf(name, sizeof name, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
    return name;
}

static void append(char types[TYPES_BYTES], const char *name, const char *type)
{
    size_t length = strlen(types);
    (void)snprintf(types + length, TYPES_BYTES - length, "%s%s%s%s", length ? ", " : "", name, *name ? " " : "", type);
}

static void describe(PGconn *conn, enum query query)
{
    char parameters[TYPES_BYTES] = "", columns[TYPES_BYTES] = "";
    PGresult *result = PQprepare(conn, "described", query_text(query), 0, NULL);
    if (PQresultStatus(result) != PGRES_COMMAND_OK) fail_msg("%s: %s", query_infos[query].name, PQerrorMessage(conn));
    PQclear(result);
    result = PQdescribePrepared(conn, "described");
    for (int i = 0; i < PQnparams(result); i++)
        append(parameters, "", type_name(conn, PQparamtype(result, i)));
    for (int i = 0; i < PQnfields(result); i++)
        append(columns, PQfname(result, i), type_name(conn, PQftype(result, i)));
    PQclear(result);
    PQclear(PQexec(conn, "deallocate described"));
    assert_string_equal(parameters, query_infos[query].parameters);
    assert_string_equal(columns, query_infos[query].columns);
}

/* COPY cannot be prepared; the first line that it gives must be that of the file that it stands for, and perhaps what
 * only a database knows. Measured rows stand for no file of the catalog. */
static void describe_copy(PGconn *conn, enum query query)
{
    PGresult *result = PQexec(conn, query_text(query));
    if (PQresultStatus(result) != PGRES_COPY_OUT) fail_msg("%s: %s", query_infos[query].name, PQerrorMessage(conn));
    PQclear(result);
    char *header = NULL, *row = NULL;
    assert_true(PQgetCopyData(conn, &header, 0) > 0);
    while (PQgetCopyData(conn, &row, 0) > 0)
        PQfreemem(row);
    PQclear(PQgetResult(conn));
    const char *name = query_infos[query].name + strlen("read_"); /* offers_on stands for offers, too */
    const struct catalog_text *text = catalog_bundled(), *end = text + CATALOG_FILE_COUNT;
    while (text < end && strncmp(text->name, name, strcspn(text->name, ".")) != 0)
        text++;
    const char *columns = text < end ? text->text : "uid,source,engine,";
    size_t length = text < end ? strcspn(columns, "\n") : strlen(columns) - 1;
    assert_true(strncmp(columns, header, length) == 0 && (header[length] == '\n' || header[length] == ','));
    PQfreemem(header);
}

static void test_describe(void **state)
{
    (void)state;
    char url[POSTGRES_URL_BYTES];
    PGconn *conn = PQconnectdb(postgres_url(&cluster, migrated, url));
    assert_int_equal(PQstatus(conn), CONNECTION_OK);
    PQclear(PQexec(conn, "set gpusize.reading = 1; set gpusize.day = '2026-01-01'"));
    for (enum query query = 0; query < QUERY_COUNT; query++) {
        if (strncmp(query_text(query), "copy", 4) == 0)
            describe_copy(conn, query);
        else
            describe(conn, query);
    }
    PQfinish(conn);
}

static void test_everything_is_commented(void **state)
{
    (void)state;
    assert_string_equal(
        ask(migrated, "select string_agg(c.relname || coalesce('.' || a.attname, ''), ' ') from pg_class c "
                      "left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
                      "where c.relnamespace = 'gpusize'::regnamespace and c.relkind = 'r' and (obj_description(c.oid, "
                      "'pg_class') is null or col_description(c.oid, a.attnum) is null)"),
        "");
    assert_string_equal(ask(migrated, "select string_agg(proname, ' ') from pg_proc where pronamespace = "
                                      "'gpusize'::regnamespace and obj_description(oid, 'pg_proc') is null"),
                        "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_migrate),
        cmocka_unit_test(test_other_schemas),
        cmocka_unit_test(test_ten_migrators),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_everything_is_commented),
    };
    return cmocka_run_group_tests(tests, cluster_setup, cluster_teardown);
}
