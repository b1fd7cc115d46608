/* outage_test.c owns the proof that the store outlives its server: restarts, time limits, lost statements, conflicts;
 * and that no password is told. */
#include "catalog/text.h"
#include "support.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static enum status ask_version(struct store *store)
{
    struct store_version version;
    return store_catalog_version(store, &problems, &version);
}

static void test_restarts(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    for (int prepared = 0; prepared < 2; prepared++) {
        struct store *store = open_store(name, &(struct store_options){.prepared = prepared});
        assert_int_equal(ask_version(store), STATUS_OK);
        for (enum postgres_stop how = POSTGRES_FAST; how <= POSTGRES_IMMEDIATE; how++) {
            postgres_stop(&cluster, how);
            assert_true(postgres_start(&cluster));
            assert_int_equal(ask_version(store), STATUS_OK);
            assert_int_equal(problems.count, 0);
        }
        postgres_stop(&cluster, POSTGRES_IMMEDIATE);
        assert_int_equal(ask_version(store), STATUS_DATABASE_AWAY);
        assert_int_equal(ask_version(store), STATUS_DATABASE_AWAY);
        assert_said("no connection to the database");
        assert_true(postgres_start(&cluster));
        forget_problems();
        assert_int_equal(ask_version(store), STATUS_OK);
        store_close(store);
    }
}

struct step { /* what a test's transaction does on its first `times` tries */
    const char *sql;
    int times, calls;
};

static enum status do_step(struct db *db, void *context, struct problems *found)
{
    struct step *step = context;
    return step->calls++ < step->times ? db_command(db, step->sql, found)
                                       : db_query(db, QUERY_CATALOG_VERSION, NULL, found, NULL);
}

/* Rows that the server takes and then says nothing to. */
static enum status copy_into_silence(struct db *db, void *context, struct problems *found)
{
    (void)context;
    enum status status = db_command(
        db,
        "create temporary table t (n integer) on commit drop; create function pg_temp.wait() returns trigger "
        "language plpgsql as $$ begin perform pg_sleep(60); return new; end $$; "
        "create trigger wait before insert on t for each row execute function pg_temp.wait()",
        found);
    if (status == STATUS_OK) status = db_copy_begin(db, "copy pg_temp.t from stdin", found);
    if (status == STATUS_OK) status = db_copy_put(db, "1\n", 2, found);
    return db_copy_end(db, status, found);
}

/* A server that hangs is given up, and another session asked. */
static void test_silent_server(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    int64_t pid = 0;
    struct store *store = open_store(name, &(struct store_options){.prepared = true, .silence_max_ms = 300});
    assert_int_equal(ask_version(store), STATUS_OK);
    assert_true(text_parse_int64(ask(name, "select pid from pg_stat_activity where application_name = 'store_test' "
                                           "and datname = current_database()"),
                                 &pid));
    assert_int_equal(kill((pid_t)pid, SIGSTOP), 0);
    enum status status = ask_version(store);
    assert_int_equal(kill((pid_t)pid, SIGCONT), 0);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(problems.count, 0);
    struct step hang = {.sql = "select pg_sleep(60)", .times = 99};
    assert_int_equal(tx_run(store, TX_READ, do_step, &hang, &problems), STATUS_DATABASE_AWAY);
    assert_said("the database has not answered for");
    forget_problems();
    assert_int_equal(tx_run(store, TX_WRITE, copy_into_silence, NULL, &problems), STATUS_DATABASE_AWAY);
    assert_said("the database has not answered for");
    forget_problems();
    assert_int_equal(ask_version(store), STATUS_OK);
    store_close(store);
}

static void test_tried_again(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int times, calls;
        enum status status;
    } rows[] = {
        {"do $$ begin raise exception 'x' using errcode = '40001'; end $$", 1, 2, STATUS_OK},
        {"do $$ begin raise exception 'x' using errcode = '40P01'; end $$", 3, 4, STATUS_OK},
        {"do $$ begin raise exception 'x' using errcode = '40P01'; end $$", 99, 6, STATUS_DATABASE_AWAY},
        {"do $$ begin raise exception 'x' using errcode = '26000'; end $$", 1, 2, STATUS_OK},
        {"select pg_terminate_backend(pg_backend_pid())", 1, 2, STATUS_OK},
        {"select pg_terminate_backend(pg_backend_pid())", 99, 2, STATUS_DATABASE_AWAY},
        {"select pg_sleep(60)", 1, 1, STATUS_DATABASE_AWAY}, /* out of time: the next try would be, too */
        {"select 1/0", 1, 1, STATUS_INVALID_VALUE},
        {"select nothing", 1, 1, STATUS_DATABASE},
    };
    struct store *store =
        open_store(fresh_database(migrated), &(struct store_options){.prepared = true, .statement_timeout_ms = 200});
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct step step = {.sql = rows[i].sql, .times = rows[i].times};
        forget_problems();
        assert_int_equal(tx_run(store, TX_WRITE, do_step, &step, &problems), rows[i].status);
        assert_int_equal(step.calls, rows[i].calls);
        assert_int_equal(problems.count, rows[i].status == STATUS_OK ? 0 : 1);
        forget_problems();
        assert_int_equal(ask_version(store), STATUS_OK); /* whatever was, the store goes on */
    }
    store_close(store);
}

static void test_prepared_statements_gone(void **state)
{
    (void)state;
    struct store *store = open_store(fresh_database(migrated), &(struct store_options){.prepared = true});
    struct step step = {.sql = "deallocate all", .times = 1};
    assert_int_equal(ask_version(store), STATUS_OK);
    assert_int_equal(tx_run(store, TX_READ, do_step, &step, &problems), STATUS_OK);
    assert_int_equal(ask_version(store), STATUS_OK);
    assert_int_equal(problems.count, 0);
    store_close(store);
}

/* The last word of a transaction was lost: it may have been committed, so only the caller may try again. */
static enum status lose_commit(struct db *db, void *context, struct problems *found)
{
    ++*(int *)context;
    enum status status = db_command(db, "create temporary table t (n integer) on commit drop", found);
    if (status == STATUS_OK) /* the trigger fires within COMMIT */
        status = db_command(db,
                            "create function pg_temp.leave() returns trigger language plpgsql as $$ begin "
                            "perform pg_terminate_backend(pg_backend_pid()); return null; end $$; "
                            "create constraint trigger leave after insert on t deferrable initially deferred "
                            "for each row execute function pg_temp.leave(); insert into t values (1)",
                            found);
    return status;
}

static void test_lost_commit_is_told(void **state)
{
    (void)state;
    struct store *store = open_store(fresh_database(migrated), NULL);
    int calls = 0;
    assert_int_equal(tx_run(store, TX_WRITE, lose_commit, &calls, &problems), STATUS_DATABASE_AWAY);
    assert_int_equal(calls, 1);
    assert_int_equal(ask_version(store), STATUS_OK);
    store_close(store);
}

static enum status write_one(struct db *db, void *context, struct problems *found)
{
    (void)context;
    enum status status = db_command(db, "update gpusize.gpu set tdp_watts = 7 where id = 'h100-sxm'", found);
    return status == STATUS_OK ? db_command(db, "select nothing", found) : status;
}

static void test_failed_work_is_rolled_back(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    struct store *store = open_store(name, &(struct store_options){.connections_max = 1});
    assert_int_equal(tx_run(store, TX_WRITE, write_one, NULL, &problems), STATUS_DATABASE);
    assert_int_equal(tx_run(store, TX_READ, write_one, NULL, &problems), STATUS_DATABASE);
    assert_string_equal(ask(name, "select count(*) from gpusize.gpu where tdp_watts = 7"), "0");
    assert_string_equal(ask(name, "select max(number) from gpusize.catalog_version"), "1");
    store_close(store);
}

static void test_bad_urls(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "postgresql://u:hunter2@hunter2@h/db",
        "postgresql://u:hunter2/hunter2@h/db",
        "host=h password='hunter2",
        "hunter2",
        "postgresql://u:hunter2@h/db?no_such_thing=hunter2",
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct store *store = NULL;
        struct store_listener *listener = NULL;
        const struct store_options options = {.url = urls[i], .application_name = "store_test"};
        forget_problems();
        assert_int_equal(store_open(&options, &problems, &store), STATUS_INVALID_VALUE);
        assert_int_equal(store_listen(urls[i], "store_test", &problems, &listener), STATUS_INVALID_VALUE);
        assert_int_equal(problems.count, 2);
        assert_not_said("hunter2");
    }
}

static void test_not_reached(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    char wrong[256], missing[256], nobody[256], refused[512];
    (void)ask(name, "create role careful login password 'right'");
    (void)snprintf(
        refused, sizeof refused,
        "copy (values ('local all careful scram-sha-256'), ('local all all trust')) to '%s/data/pg_hba.conf'",
        cluster.folder);
    (void)ask(name, refused);
    postgres_stop(&cluster, POSTGRES_FAST); /* read at the start */
    assert_true(postgres_start(&cluster));
    (void)snprintf(wrong, sizeof wrong, "host=%s user=careful password=hunter2 dbname=%s", cluster.folder, name);
    (void)snprintf(missing, sizeof missing, "host=%s/nowhere user=postgres password=hunter2 dbname=x", cluster.folder);
    (void)snprintf(nobody, sizeof nobody, "host=%s user=postgres password=hunter2 dbname=nowhere", cluster.folder);
    const struct {
        const char *url, *said;
    } rows[] = {
        {wrong, "password authentication failed for user \"careful\""},
        {missing, "No such file or directory"},
        {nobody, "database \"nowhere\" does not exist"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct store *store = open_store(NULL, &(struct store_options){.url = rows[i].url});
        forget_problems();
        assert_int_equal(ask_version(store), STATUS_DATABASE_AWAY);
        assert_said(rows[i].said);
        assert_not_said("hunter2");
        forget_problems();
        store_close(store);
    }
}

/* A role that may only read serves, and is told when it writes. */
static void test_reader(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    char url[POSTGRES_URL_BYTES + 16];
    (void)ask(name, "create role reader login; grant usage on schema gpusize to reader; "
                    "grant select on all tables in schema gpusize to reader");
    (void)snprintf(url, sizeof url, "host=%s user=reader dbname=%s", cluster.folder, name);
    struct store *store = open_store(name, &(struct store_options){.url = url, .prepared = true});
    struct store_schema schema;
    struct store_version version;
    struct catalog_text files[CATALOG_FILE_COUNT] = {0};
    size_t rows = 0;
    assert_int_equal(store_schema_check(store, &problems, &schema), STATUS_OK);
    assert_int_equal(store_catalog_read(store, -1, &arena, &problems, files, &version), STATUS_OK);
    assert_int_equal(problems.count, 0);
    assert_int_equal(store_catalog_write(store, catalog_bundled(), &problems, &rows), STATUS_DATABASE);
    assert_said("permission denied");
    store_close(store);
}

struct asker {
    pthread_t thread;
    struct store *store;
    int failures;
};

/* More threads than connections: they wait for each other. */
static void *ask_often(void *data)
{
    struct asker *asker = data;
    struct arena own;
    struct problems found;
    struct store_version version;
    arena_init(&own, 0);
    problems_init(&found, &own);
    for (int i = 0; i < 50; i++)
        asker->failures += store_catalog_version(asker->store, &found, &version) != STATUS_OK;
    arena_done(&own);
    return NULL;
}

static void test_threads_share_connections(void **state)
{
    (void)state;
    struct store *store =
        open_store(fresh_database(migrated), &(struct store_options){.prepared = true, .connections_max = 2});
    struct asker askers[8] = {0};
    for (size_t i = 0; i < 8; i++) {
        askers[i].store = store;
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
        assert_int_equal(askers[i].failures, 0);
    }
    store_close(store);
}

/* A table that does not fit is read to its end, and the connection is as good as before. */
static void test_too_little_memory(void **state)
{
    (void)state;
    struct store *store = open_store(fresh_database(migrated), &(struct store_options){.connections_max = 1});
    for (size_t kib = 1; kib <= 256; kib *= 4) {
        struct arena small;
        struct store_version version;
        struct catalog_text files[CATALOG_FILE_COUNT];
        arena_init(&small, kib << 10);
        enum status status = store_catalog_read(store, -1, &small, &problems, files, &version);
        arena_done(&small);
        assert_int_equal(status, STATUS_OUT_OF_MEMORY);
        assert_int_equal(ask_version(store), STATUS_OK);
    }
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_silent_server),
        cmocka_unit_test(test_tried_again),
        cmocka_unit_test(test_prepared_statements_gone),
        cmocka_unit_test(test_lost_commit_is_told),
        cmocka_unit_test(test_failed_work_is_rolled_back),
        cmocka_unit_test(test_bad_urls),
        cmocka_unit_test(test_not_reached),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_threads_share_connections),
        cmocka_unit_test(test_too_little_memory),
    };
    return cmocka_run_group_tests(tests, cluster_setup, cluster_teardown);
}
