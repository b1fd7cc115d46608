/* catalog_test.c owns the proof that the catalog comes out of the database as it went in, at any version, and that
 * whatever changes it makes a version. */
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 10000 };

static struct snapshot *load(const struct catalog_text files[CATALOG_FILE_COUNT])
{
    struct snapshot *snapshot = NULL;
    enum status status = catalog_load(files, &problems, &snapshot);
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s %s\n", problems.items[i].field, problems.items[i].detail);
    assert_int_equal(status, STATUS_OK);
    return snapshot;
}

static struct snapshot *read_snapshot(struct store *store, int64_t number, struct store_version *ret_version)
{
    struct catalog_text files[CATALOG_FILE_COUNT];
    enum status status = store_catalog_read(store, number, &arena, &problems, files, ret_version);
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s\n", problems.items[i].detail);
    assert_int_equal(status, STATUS_OK);
    return load(files);
}

static int64_t version_of(struct store *store)
{
    struct store_version version;
    assert_int_equal(store_catalog_version(store, &problems, &version), STATUS_OK);
    return version.number;
}

static void assert_same_number(double a, double b)
{
    assert_true(a == b || (!is_known(a) && !is_known(b)));
}

static void assert_same_facts(const struct snapshot *a, const struct snapshot *b)
{
    assert_int_equal(a->gpu_count, b->gpu_count);
    assert_int_equal(a->model_count, b->model_count);
    assert_int_equal(a->profile_count, b->profile_count);
    assert_int_equal(a->support_count, b->support_count);
    assert_int_equal(a->alias_count, b->alias_count);
    assert_int_equal(a->region_count, b->region_count);
    assert_int_equal(a->operating_cost_count, b->operating_cost_count);
    for (size_t i = 0; i < a->gpu_count; i++) {
        const struct gpu *x = &a->gpus[i], *y = &b->gpus[i];
        assert_string_equal(x->id, y->id);
        assert_string_equal(x->source, y->source);
        assert_string_equal(x->form_factor, y->form_factor);
        assert_int_equal(x->launch_date.days, y->launch_date.days);
        assert_int_equal(x->as_of.days, y->as_of.days);
        assert_same_number(x->memory_cuda_mib, y->memory_cuda_mib);
        for (size_t peak = 0; peak < PEAK_COUNT; peak++)
            assert_same_number(x->peak_tflops[peak], y->peak_tflops[peak]);
    }
    for (size_t i = 0; i < a->model_count; i++) {
        struct model x = a->models[i], y = b->models[i];
        assert_string_equal(x.id, y.id);
        assert_string_equal(x.note, y.note);
        assert_same_number(x.parameters, y.parameters);
        assert_same_number(x.vision_parameters, y.vision_parameters);
        assert_int_equal(x.attention_kind, y.attention_kind);
        assert_int_equal(x.native_dtype, y.native_dtype);
        assert_int_equal(x.max_position_tokens, y.max_position_tokens);
        assert_int_equal(x.chunked, y.chunked);
    }
    for (size_t i = 0; i < a->profile_count; i++) {
        assert_string_equal(a->profiles[i].version_to, b->profiles[i].version_to);
        assert_memory_equal(&a->profiles[i].coef, &b->profiles[i].coef, sizeof a->profiles[i].coef);
    }
    for (size_t i = 0; i < a->operating_cost_count; i++)
        assert_same_number(a->operating_costs[i].value, b->operating_costs[i].value);
}

static void assert_same_prices(const struct snapshot *a, const struct snapshot *b)
{
    assert_int_equal(a->offer_count, b->offer_count);
    assert_int_equal(a->purchase_price_count, b->purchase_price_count);
    assert_int_equal(a->api_price_count, b->api_price_count);
    for (size_t i = 0; i < a->offer_count; i++) {
        const struct offer *x = &a->offers[i], *y = &b->offers[i];
        assert_string_equal(x->provider, y->provider);
        assert_string_equal(x->region, y->region);
        assert_string_equal(x->zone, y->zone);
        assert_string_equal(x->country, y->country);
        assert_string_equal(x->url, y->url);
        assert_string_equal(x->notes, y->notes);
        assert_int_equal(x->gpu, y->gpu);
        assert_int_equal(x->usd_per_hour.micro, y->usd_per_hour.micro);
        assert_int_equal(x->as_of.days, y->as_of.days);
        assert_same_number(x->host_memory_gib, y->host_memory_gib);
    }
    for (size_t i = 0; i < a->purchase_price_count; i++)
        assert_int_equal(a->purchase_prices[i].usd.micro, b->purchase_prices[i].usd.micro);
    for (size_t i = 0; i < a->api_price_count; i++)
        assert_int_equal(a->api_prices[i].usd_per_million_input_tokens.micro,
                         b->api_prices[i].usd_per_million_input_tokens.micro);
}

static void assert_same_measurements(const struct snapshot *a, const struct snapshot *b)
{
    assert_int_equal(a->measurement_count, b->measurement_count);
    for (size_t i = 0; i < a->measurement_count; i++) {
        const struct measurement *x = &a->measurements[i], *y = &b->measurements[i];
        assert_true(measurement_repeats(x, y));
        assert_string_equal(x->source, y->source);
        assert_string_equal(x->uid, y->uid);
        assert_string_equal(x->engine_version, y->engine_version);
        assert_same_number(x->output_tokens_per_second, y->output_tokens_per_second);
        assert_same_number(x->ttft_ms, y->ttft_ms);
        assert_same_number(x->tpot_ms, y->tpot_ms);
        assert_int_equal(x->as_of.days, y->as_of.days);
        assert_true(x->trusted && y->trusted && !x->own && !y->own);
    }
}

static void test_comes_out_as_it_went_in(void **state)
{
    (void)state;
    struct store *store = open_store(fresh_database(migrated), NULL);
    struct store_version version;
    struct snapshot *bundled = load(catalog_bundled()), *stored = read_snapshot(store, -1, &version);
    assert_same_facts(bundled, stored);
    assert_same_prices(bundled, stored);
    assert_same_measurements(bundled, stored);
    snapshot_free(bundled);
    snapshot_free(stored);
    store_close(store);
}

/* DateStyle, time zone and the digits of numbers are settings that a role or a database may have. */
static void test_settings_of_the_role_do_not_matter(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    char sql[256];
    (void)snprintf(sql, sizeof sql,
                   "alter database %s set datestyle = 'German'; alter database %s set extra_float_digits = -10; "
                   "alter database %s set search_path = nowhere",
                   name, name, name);
    (void)ask(name, sql);
    struct store *store = open_store(name, NULL);
    struct store_version version;
    struct snapshot *bundled = load(catalog_bundled()), *stored = read_snapshot(store, -1, &version);
    assert_same_facts(bundled, stored);
    assert_same_prices(bundled, stored);
    snapshot_free(bundled);
    snapshot_free(stored);
    store_close(store);
}

static void test_writing_the_same_changes_nothing(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    struct store *store = open_store(name, NULL);
    int64_t before = version_of(store);
    size_t rows = 1;
    assert_int_equal(store_catalog_write(store, catalog_bundled(), &problems, &rows), STATUS_OK);
    assert_int_equal(rows, 0);
    assert_int_equal(version_of(store), before);
    (void)ask(name, "update gpusize.gpu set tdp_watts = tdp_watts, name = name || ''");
    assert_int_equal(version_of(store), before);
    (void)ask(name, "update gpusize.gpu set tdp_watts = 1 where id = 'h100-sxm'");
    assert_int_equal(store_catalog_write(store, catalog_bundled(), &problems, &rows), STATUS_OK);
    assert_int_equal(rows, 1);
    assert_int_equal(version_of(store), before + 2);
    store_close(store);
}

static double tdp_of(struct store *store, int64_t number, const char *id)
{
    struct store_version version;
    const struct gpu *gpu = NULL;
    struct snapshot *snapshot = read_snapshot(store, number, &version);
    double watts = -1;
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        gpu = &snapshot->gpus[i];
        if (strcmp(gpu->id, id) == 0) watts = gpu->tdp_watts;
    }
    snapshot_free(snapshot);
    return watts;
}

static void test_every_version_can_be_read(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    struct store *store = open_store(name, NULL);
    int64_t first = version_of(store);
    double at_first = tdp_of(store, first, "h100-sxm");
    (void)ask(name, "update gpusize.gpu set tdp_watts = 111 where id = 'h100-sxm'");
    (void)ask(name, "begin; update gpusize.gpu set tdp_watts = 112 where id = 'h100-sxm';"
                    "update gpusize.gpu set tdp_watts = 113 where id = 'h100-sxm'; commit");
    (void)ask(name, "begin; update gpusize.gpu set tdp_watts = 114 where id = 'h100-sxm'; rollback");
    assert_true(tdp_of(store, first, "h100-sxm") == at_first);
    assert_true(tdp_of(store, first + 1, "h100-sxm") == 111);
    assert_true(tdp_of(store, first + 2, "h100-sxm") == 113);
    assert_true(tdp_of(store, -1, "h100-sxm") == 113);
    assert_string_equal(ask(name, "select count(*) from gpusize.gpu where id = 'h100-sxm'"), "3");
    struct store_version version;
    struct catalog_text files[CATALOG_FILE_COUNT];
    assert_int_equal(store_catalog_read(store, first + 100, &arena, &problems, files, &version), STATUS_NOT_FOUND);
    assert_said("there was no version");
    store_close(store);
}

static void test_what_ended_and_came_back(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    struct store *store = open_store(name, NULL);
    int64_t first = version_of(store);
    struct store_version version;
    struct snapshot *before = read_snapshot(store, first, &version);
    (void)ask(name, "delete from gpusize.offer where provider = 'aws'"); /* takes the prices along */
    struct snapshot *after = read_snapshot(store, -1, &version);
    assert_true(after->offer_count < before->offer_count);
    size_t rows = 0;
    assert_int_equal(store_catalog_write(store, catalog_bundled(), &problems, &rows), STATUS_OK);
    assert_int_equal(rows, 2 * (before->offer_count - after->offer_count));
    struct snapshot *again = read_snapshot(store, -1, &version), *then = read_snapshot(store, first, &version);
    assert_same_prices(before, again);
    assert_same_prices(before, then);
    snapshot_free(before);
    snapshot_free(after);
    snapshot_free(again);
    snapshot_free(then);
    store_close(store);
}

static void test_what_the_database_refuses(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    static const char *const refused[] = {
        "update gpusize.offer_price set usd_per_hour = 0",
        "update gpusize.offer set gpu_id = 'no-such-gpu'",
        "update gpusize.offer set term_months = 12 where purchase = 'spot'",
        "update gpusize.gpu set memory_cuda_mib = memory_nvml_mib + 1 where memory_nvml_mib is not null",
        "delete from gpusize.gpu where id in (select gpu_id from gpusize.offer)",
        "insert into gpusize.offer_price (offer_id, usd_per_hour, price_basis, as_of, source) "
        "select offer_id, 5, price_basis, as_of, source from gpusize.offer_price limit 1",
        "insert into gpusize.gpu (id, name, family, vendor, architecture, memory_nominal_gb, "
        "memory_bandwidth_gb_per_s, interconnect, link_domain_gpus, node_gpus, source, as_of) "
        "values ('H100-SXM', 'twin', 'h100', 'nvidia', 'Hopper', 80, 3350, 'NVLink', 8, 8, 'test', '2026-01-01')",
        "insert into gpusize.gpu_alias (namespace, name, target, source, as_of) "
        "values ('user', 'a', 'nothing', 'test', '2026-01-01')",
        "truncate gpusize.operating_cost",
    };
    struct store *store = open_store(name, NULL);
    int64_t before = version_of(store);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (postgres_sql(&cluster, name, refused[i], NULL, 0)) fail_msg("taken: %s", refused[i]);
    }
    assert_int_equal(version_of(store), before);
    store_close(store);
}

static void test_bad_files_are_refused(void **state)
{
    (void)state;
    struct store *store = open_store(fresh_database(migrated), NULL);
    static const char *const texts[] = {
        "key,scope,value,unit,as_of,source\nx,all,-1,USD,2026-01-01,test\n",
        "key,scope,value,unit,as_of,source\nx,all,many,USD,2026-01-01,test\n",
        "key,scope); drop table gpusize.gpu; --\n",
        "",
    };
    int64_t before = version_of(store);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct catalog_text files[CATALOG_FILE_COUNT] = {
            [FILE_OPERATING_COSTS] = {.name = "operating_costs.csv", .text = texts[i], .length = strlen(texts[i])}};
        size_t rows = 0;
        enum status status = store_catalog_write(store, files, &problems, &rows);
        assert_int_equal(status, i < 2 ? STATUS_INVALID_VALUE : STATUS_BAD_ROW);
    }
    assert_int_equal(version_of(store), before);
    store_close(store);
}

/* Whoever changes the catalog last has the higher number, whoever began first. */
static void test_versions_follow_the_commits(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    struct store *store = open_store(name, NULL);
    int64_t before = version_of(store);
    (void)ask(name, "create extension if not exists dblink; "
                    "select dblink_connect('other', 'dbname=' || current_database() || ' user=postgres host=' || "
                    "current_setting('unix_socket_directories')); "
                    "begin; select now(); "
                    "select dblink_exec('other', 'update gpusize.gpu set tdp_watts = 201 where id = ''h100-sxm'''); "
                    "update gpusize.gpu set tdp_watts = 202 where id = 'h100-sxm'; commit");
    assert_true(tdp_of(store, before + 1, "h100-sxm") == 201);
    assert_true(tdp_of(store, before + 2, "h100-sxm") == 202);
    store_close(store);
}

static void test_listening(void **state)
{
    (void)state;
    const char *name = fresh_database(migrated);
    char url[POSTGRES_URL_BYTES];
    struct store_listener *listener = NULL;
    int wake[2];
    assert_int_equal(pipe(wake), 0);
    assert_int_equal(store_listen(postgres_url(&cluster, name, url), "store_test", &problems, &listener), STATUS_OK);
    assert_int_equal(store_listener_wait(listener, 0, wake[0]), STORE_QUIET);
    (void)ask(name, "update gpusize.gpu set tdp_watts = tdp_watts");
    assert_int_equal(store_listener_wait(listener, 50, wake[0]), STORE_QUIET);
    (void)ask(name, "update gpusize.gpu set tdp_watts = 333 where id = 'h100-sxm'");
    assert_int_equal(store_listener_wait(listener, WAIT_MS, wake[0]), STORE_CHANGED);
    assert_int_equal(write(wake[1], "x", 1), 1);
    assert_int_equal(store_listener_wait(listener, WAIT_MS, wake[0]), STORE_QUIET);
    (void)ask("postgres", "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like 'listen%'");
    enum store_event event = STORE_QUIET;
    for (int i = 0; i < 100 && event == STORE_QUIET; i++)
        event = store_listener_wait(listener, WAIT_MS / 100, -1);
    assert_int_equal(event, STORE_LOST);
    store_listener_close(listener);
    (void)close(wake[0]);
    (void)close(wake[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_out_as_it_went_in),
        cmocka_unit_test(test_settings_of_the_role_do_not_matter),
        cmocka_unit_test(test_writing_the_same_changes_nothing),
        cmocka_unit_test(test_every_version_can_be_read),
        cmocka_unit_test(test_what_ended_and_came_back),
        cmocka_unit_test(test_what_the_database_refuses),
        cmocka_unit_test(test_bad_files_are_refused),
        cmocka_unit_test(test_versions_follow_the_commits),
        cmocka_unit_test(test_listening),
    };
    return cmocka_run_group_tests(tests, cluster_setup, cluster_teardown);
}
