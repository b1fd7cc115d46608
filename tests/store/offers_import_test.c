/* offers_import_test.c owns the proof that the operation offers_import does with a body what the command line does with
 * a file, and that without a database it says so. */
#include "api/operation.h"
#include "catalog/load.h"
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEADER "provider,instance_type,region,gpu_id,gpu_count,purchase,usd_per_hour,as_of,source\n"
#define OFFER "acme,n1,north,l4,1,on_demand,1.5,2026-10-01,contract 7\n"

static char answer[4096];

static enum status import(struct store *store, const struct pair *pairs, size_t count, const char *body)
{
    struct input *input = NULL;
    struct out out;
    out_init(&out, sizeof answer);
    static const struct caller caller = {.role = ROLE_WRITER, .key_id = "0123456789ab", .name = "procurement"};
    struct call call = {.caller = &caller,
                        .body = body,
                        .body_length = strlen(body),
                        .store = store,
                        .today = {20000},
                        .arena = &arena,
                        .problems = &problems,
                        .out = &out};
    enum status status = input_from_pairs(&arena, pairs, count, &problems, &input);
    call.input = input;
    if (status == STATUS_OK) status = operation_run(&operation_offers_import, &call);
    (void)snprintf(answer, sizeof answer, "%.*s", (int)out.length, out.data ? out.data : "");
    input_done(input);
    out_done(&out);
    return status;
}

static void assert_answered(const char *part)
{
    if (!strstr(answer, part)) fail_msg("\"%s\" lacks \"%s\"", answer, part);
}

static void test_a_body_becomes_offers(void **state)
{
    (void)state;
    static const struct pair dry[] = {{"kind", "csv"}, {"dry_run", "true"}}, wet[] = {{"kind", "csv"}};
    const char *database = fresh_database(migrated);
    struct store *store = open_store(database, NULL);
    const char *offers = "select count(*) from gpusize.offer where provider = 'acme'";
    assert_int_equal(import(store, dry, 2, HEADER OFFER), STATUS_OK);
    assert_answered("\"new_rows\": 1");
    assert_string_equal(ask(database, offers), "0");
    assert_int_equal(import(store, wet, 1, HEADER OFFER "acme,n2,,l4,0.5,spot,1,2026,x\n"), STATUS_OK);
    assert_answered("\"source\": \"csv in a request\"");
    assert_answered("\"rejected_rows\": 1");
    assert_int_equal(answer[0], '{');
    assert_int_equal(answer[strlen(answer) - 1], '}');
    assert_string_equal(ask(database, offers), "1");
    assert_int_equal(import(store, wet, 1, HEADER OFFER), STATUS_OK);
    assert_answered("\"unchanged_rows\": 1");
    assert_answered("\"catalog_version\": null");
    static const struct pair told[] = {{"kind", "csv"}, {"source", "Angebot Nr. 7 (März): https://x/?a=1"}};
    assert_int_equal(import(store, told, 2, HEADER OFFER), STATUS_OK);
    assert_answered("\"source\": \"Angebot Nr. 7 (März): https://x/?a=1\"");
    store_close(store);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct pair pairs[3];
        size_t count;
        const char *body;
        enum status status;
        const char *field, *said;
    } cases[] = {
        {{{"dry_run", "true"}}, 1, HEADER OFFER, STATUS_MISSING_FIELD, "kind", "required"},
        {{{"kind", "gold"}}, 1, HEADER OFFER, STATUS_INVALID_VALUE, "kind", "azure-retail"},
        {{{"kind", "skypilot"}}, 1, HEADER OFFER, STATUS_MISSING_FIELD, "provider", "name the provider"},
        {{{"kind", "csv"}, {"dry_run", "maybe"}}, 2, HEADER OFFER, STATUS_WRONG_TYPE, "dry_run", "true, false"},
        {{{"kind", "csv"}, {"jump_factor", "0.5"}}, 2, HEADER OFFER, STATUS_OUT_OF_RANGE, "jump_factor", "0.5"},
        {{{"kind", "csv"}, {"source", "a\nb"}}, 2, HEADER OFFER, STATUS_INVALID_VALUE, "source", "one line"},
        {{{"kind", "csv"}, {"url", "http://x"}}, 2, HEADER OFFER, STATUS_UNKNOWN_FIELD, "url", "no such field"},
        {{{"kind", "csv"}}, 1, "", STATUS_INVALID_VALUE, "file", "no header"},
        {{{"kind", "csv"}}, 1, "{}", STATUS_INVALID_VALUE, "file", "'{}' is no column"},
        {{{"kind", "gpuhunt"}}, 1, "PK\3\4 and no more", STATUS_INVALID_VALUE, "file", "damaged or cut off"},
    };
    const char *database = fresh_database(migrated);
    struct store *store = open_store(database, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        forget_problems();
        assert_int_equal(import(store, cases[i].pairs, cases[i].count, cases[i].body), cases[i].status);
        assert_string_equal(problems.items[0].field, cases[i].field);
        if (!strstr(problems.items[0].detail, cases[i].said))
            fail_msg("\"%s\" lacks \"%s\"", problems.items[0].detail, cases[i].said);
    }
    assert_string_equal(ask(database, "select count(*) from gpusize.import_run"), "0");
    store_close(store);
}

static void test_without_a_database(void **state)
{
    (void)state;
    static const struct pair pairs[] = {{"kind", "csv"}};
    forget_problems();
    assert_int_equal(import(NULL, pairs, 1, HEADER OFFER), STATUS_READ_ONLY);
    assert_said("DATABASE_URL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_body_becomes_offers),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_without_a_database),
    };
    return cmocka_run_group_tests(tests, cluster_setup, cluster_teardown);
}
