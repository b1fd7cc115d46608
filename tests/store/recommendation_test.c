/* recommendation_test.c owns the proof that a stored answer comes back byte for byte or not at all, and that what is
 * stored stays within its limit. */
#include "support.h"

#include "store/recommendation.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ID_BYTES = 33, COUNT = 8, NO_LIMIT = 1 << 30 };

static const char question[] = "{\"model\":\"größe\"}", answer[] = "{\"id\":\"x\",\"cost\":1.5}";

/* Packed as a recorder hands it over; to be freed by free_record. */
static struct record make_record(unsigned number, char id[ID_BYTES])
{
    (void)snprintf(id, ID_BYTES, "%032x", number);
    struct record record = {
        .id = id,
        .operation = "recommend",
        .question_form = "json",
        .catalog_version = "a:7",
        .estimator_version = "1",
        .created_by = "",
        .asked_on = {20000},
    };
    text_hash(answer, strlen(answer), record.answer_hash);
    assert_true(record_deflate((struct record_text){question, strlen(question)}, &record.question));
    assert_true(record_deflate((struct record_text){answer, strlen(answer)}, &record.answer));
    return record;
}

static void free_record(const struct record *record)
{
    free((char *)(uintptr_t)record->question.bytes);
    free((char *)(uintptr_t)record->answer.bytes);
}

static enum status add(struct store *store, unsigned first, size_t count, int64_t max_bytes)
{
    char ids[COUNT][ID_BYTES];
    struct record records[COUNT];
    for (size_t i = 0; i < count; i++)
        records[i] = make_record(first + (unsigned)i, ids[i]);
    enum status status = store_recommendations_add(store, records, count, max_bytes, &problems);
    for (size_t i = 0; i < count; i++)
        free_record(&records[i]);
    return status;
}

static enum status get(struct store *store, unsigned number, struct record *ret_record)
{
    char id[ID_BYTES];
    (void)snprintf(id, sizeof id, "%032x", number);
    return store_recommendation_get(store, arena_strdup(&arena, id), &arena, &problems, ret_record);
}

static void test_comes_back(void **state)
{
    (void)state;
    const char *database = fresh_database(migrated);
    struct store *store = open_store(database, NULL);
    struct record record;
    assert_int_equal(get(store, 1, &record), STATUS_NOT_STORED);
    assert_said("no answer 00000000000000000000000000000001 is stored");
    forget_problems();
    assert_int_equal(add(store, 1, 2, NO_LIMIT), STATUS_OK);
    assert_int_equal(get(store, 2, &record), STATUS_OK);
    assert_string_equal(record.id, "00000000000000000000000000000002");
    assert_string_equal(record.operation, "recommend");
    assert_string_equal(record.question_form, "json");
    assert_string_equal(record.catalog_version, "a:7");
    assert_string_equal(record.estimator_version, "1");
    assert_string_equal(record.created_by, "");
    assert_int_equal(record.asked_on.days, 20000);
    assert_int_equal(record.question.length, strlen(question));
    assert_string_equal(record.question.bytes, question);
    assert_int_equal(record.answer.length, strlen(answer));
    assert_string_equal(record.answer.bytes, answer);
    assert_string_equal(ask(database, "select bool_and(asked_on = '2024-10-04' and created_at <= now()) "
                                      "from gpusize.recommendation"),
                        "t");
    store_close(store);
}

/* Whoever stores first is kept; nobody may rewrite it. */
static void test_the_first_one_stays(void **state)
{
    (void)state;
    const char *database = fresh_database(migrated);
    struct store *store = open_store(database, NULL);
    assert_int_equal(add(store, 1, 1, NO_LIMIT), STATUS_OK);
    (void)ask(database, "create table before as select * from gpusize.recommendation");
    assert_int_equal(add(store, 1, 3, NO_LIMIT), STATUS_OK);
    assert_string_equal(ask(database, "select count(*) from gpusize.recommendation"), "3");
    assert_string_equal(ask(database, "select count(*) from before join gpusize.recommendation using (id, place)"),
                        "1");
    char said[256];
    assert_false(postgres_sql(&cluster, database, "update gpusize.recommendation set created_by = 'somebody'", said,
                              sizeof said));
    assert_non_null(strstr(said, "only added to"));
    store_close(store);
}

static void test_the_oldest_go(void **state)
{
    (void)state;
    const char *database = fresh_database(migrated);
    struct store *store = open_store(database, NULL);
    struct record record;
    assert_int_equal(add(store, 1, 1, NO_LIMIT), STATUS_OK);
    int64_t one_bytes = 0;
    assert_true(text_parse_int64(ask(database, "select bytes from gpusize.recommendation_size"), &one_bytes));
    assert_true(one_bytes > 0);
    const struct {
        unsigned first;
        size_t count;
        int64_t max_bytes;
        const char *left;
    } rows[] = {
        {2, 4, 5 * one_bytes, "1,2,3,4,5"}, {6, 1, 5 * one_bytes, "2,3,4,5,6"}, {7, 2, 5 * one_bytes, "4,5,6,7,8"},
        {8, 1, 5 * one_bytes, "4,5,6,7,8"}, {9, 1, 3 * one_bytes + 1, "7,8,9"}, {10, 3, 3 * one_bytes - 1, "11,12"},
        {13, 1, one_bytes - 1, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(add(store, rows[i].first, rows[i].count, rows[i].max_bytes), STATUS_OK);
        assert_string_equal(ask(database, "select coalesce(string_agg(('x' || right(id, 8))::bit(32)::int::text, ',' "
                                          "order by place), '') from gpusize.recommendation"),
                            rows[i].left);
        assert_string_equal(ask(database, "select size.bytes = (select coalesce(sum(stored_bytes), 0) from "
                                          "gpusize.recommendation) from gpusize.recommendation_size size"),
                            "t");
    }
    assert_int_equal(get(store, 12, &record), STATUS_NOT_STORED);
    store_close(store);
}

static void test_a_limit_lowered_by_much(void **state)
{
    (void)state;
    const char *database = fresh_database(migrated);
    struct store *store = open_store(database, NULL);
    (void)ask(database,
              "insert into gpusize.recommendation (id, operation, question, question_form, asked_on, "
              "catalog_version, estimator_version, answer, answer_hash, created_by) select "
              "lpad(to_hex(n + 1000), 32, '0'), 'recommend', '\\x00', 'json', current_date, 'a:1', '1', '\\x00', "
              "repeat('0', 32), '' from generate_series(1, 5000) n");
    assert_string_equal(ask(database, "select bytes from gpusize.recommendation_size"), "10000");
    assert_int_equal(add(store, 1, 1, 1000), STATUS_OK);
    assert_string_equal(ask(database, "select bytes between 900 and 1000 from gpusize.recommendation_size"), "t");
    assert_string_equal(ask(database, "select max(place) - min(place) + 1 = count(*) and max(place) = 5001 from "
                                      "gpusize.recommendation"),
                        "t");
    store_close(store);
}

static void test_damage_is_told(void **state)
{
    (void)state;
    const char *database = fresh_database(migrated);
    struct store *store = open_store(database, NULL);
    struct record record;
    assert_int_equal(add(store, 1, 2, NO_LIMIT), STATUS_OK);
    (void)ask(database, "alter table gpusize.recommendation disable trigger kept");
    (void)ask(database, "update gpusize.recommendation set answer = case place when 1 then question else '\\x00' end");
    assert_int_equal(get(store, 1, &record), STATUS_DATABASE);
    assert_int_equal(get(store, 2, &record), STATUS_DATABASE);
    assert_said("damaged");
    store_close(store);
}

/* A record that no table takes is told as such, and the others of its batch are not stored either. */
static void test_all_or_none(void **state)
{
    (void)state;
    const char *database = fresh_database(migrated);
    struct store *store = open_store(database, NULL);
    char ids[2][ID_BYTES];
    struct record records[] = {make_record(1, ids[0]), make_record(2, ids[1])};
    records[1].question_form = "xml";
    enum status status = store_recommendations_add(store, records, 2, NO_LIMIT, &problems);
    assert_int_equal(status, STATUS_INVALID_VALUE);
    assert_false(status_retryable(status));
    assert_string_equal(ask(database, "select count(*) from gpusize.recommendation"), "0");
    free_record(&records[0]);
    free_record(&records[1]);
    store_close(store);
}

struct adder {
    struct store *store;
    enum status status;
};

static void *add_backwards(void *data)
{
    struct adder *adder = data;
    struct arena own;
    struct problems said;
    char ids[COUNT][ID_BYTES];
    struct record records[COUNT];
    arena_init(&own, 0);
    problems_init(&said, &own);
    for (unsigned round = 0; round < 50 && adder->status == STATUS_OK; round++) {
        for (unsigned i = 0; i < COUNT; i++)
            records[i] = make_record(round * COUNT + COUNT - i, ids[i]);
        adder->status = store_recommendations_add(adder->store, records, COUNT, NO_LIMIT, &said);
        for (size_t i = 0; i < COUNT; i++)
            free_record(&records[i]);
    }
    arena_done(&own);
    return NULL;
}

static void test_two_store_the_same(void **state)
{
    (void)state;
    const char *database = fresh_database(migrated);
    struct store *store = open_store(database, NULL);
    struct adder other = {.store = store};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, add_backwards, &other), 0);
    for (unsigned round = 0; round < 50; round++)
        assert_int_equal(add(store, round * COUNT + 1, COUNT, NO_LIMIT), STATUS_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(other.status, STATUS_OK);
    assert_string_equal(ask(database, "select count(*) from gpusize.recommendation"), "400");
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back),         cmocka_unit_test(test_the_first_one_stays),
        cmocka_unit_test(test_the_oldest_go),      cmocka_unit_test(test_a_limit_lowered_by_much),
        cmocka_unit_test(test_damage_is_told),     cmocka_unit_test(test_all_or_none),
        cmocka_unit_test(test_two_store_the_same),
    };
    return cmocka_run_group_tests(tests, cluster_setup, cluster_teardown);
}
