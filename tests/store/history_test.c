/* history_test.c owns the proof that former prices are found, the right ones, and by index among many. */
#include "store/history.h"
#include "support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OFFERS = 40, ROWS_MAX = 100000, TEXT_BYTES = 8192, FIRST_ID = 100000 };
#define FIRST_DAY "2026-01-01"

/* A version a day from version 2 on the first day. Offer n gets a new price on every (n + 1)th day; every seventh offer
 * ends in version 101. */
static const char *const many =
    "set session_replication_role = replica;"
    "delete from gpusize.offer_price; delete from gpusize.offer;"
    "insert into gpusize.catalog_version (created_at) select timestamptz '" FIRST_DAY
    " 12:00Z' + n * interval '1 day' from generate_series(0, 249) n;"
    "insert into gpusize.provider select 'many' || n from generate_series(0, 3) n;"
    "insert into gpusize.offer (id, provider, instance_type, gpu_id, gpu_count, purchase, from_version, to_version) "
    "select 100000 + n, 'many' || n % 4, 'i' || n, (array['l4', 'h100-sxm'])[1 + n / 20], 1 + n % 2, 'on_demand', 2, "
    "case when n % 7 = 0 then 101 end from generate_series(0, 39) n;"
    "insert into gpusize.offer_price (offer_id, usd_per_hour, price_basis, as_of, source, from_version, to_version) "
    "select 100000 + n, 1 + (n * 37 + d * 11) % 101, 'instance_total', date '" FIRST_DAY "' + d, 'test', 2 + d, "
    "coalesce(lead(2 + d) over (partition by n order by d), case when n % 7 = 0 then 101 end) "
    "from generate_series(0, 39) n, generate_series(0, 249) d where d % (n + 1) = 0 and (n % 7 <> 0 or d < 99);"
    "analyze";

static const char *many_database(void)
{
    const char *name = fresh_database(migrated);
    (void)ask(name, many);
    return name;
}

static int64_t newest(struct store *store)
{
    struct store_version version;
    assert_int_equal(store_catalog_version(store, &problems, &version), STATUS_OK);
    return version.number;
}

static date_t day_after(int days)
{
    date_t first;
    assert_true(date_parse(FIRST_DAY, &first));
    return (date_t){first.days + days};
}

/* The same by counting every row, instead of by looking for one. */
static const char *brute_force(const char *name, int64_t version, const char *day)
{
    char sql[TEXT_BYTES];
    (void)snprintf(
        sql, sizeof sql,
        "with v as (select number, (created_at at time zone 'UTC')::date as day from gpusize.catalog_version), "
        "ranked as (select p.*, row_number() over (partition by offer_id order by as_of desc, from_version desc) as n "
        "from gpusize.offer_price p where as_of <= '%s' and from_version <= %lld) "
        "select count(*) || ' ' || coalesce(sum(usd_per_hour), 0)::bigint from ranked r join gpusize.offer o "
        "on o.id = r.offer_id where n = 1 and not exists (select from v where v.number in (o.to_version, (select "
        "max(to_version) from gpusize.offer_price q where q.offer_id = o.id having count(*) = count(to_version))) "
        "and v.number <= %lld and v.day <= '%s')",
        day, (long long)version, (long long)version, day);
    return ask(name, sql);
}

static void test_day(struct store *store, const char *name, int64_t version, int days)
{
    struct catalog_text files[CATALOG_FILE_COUNT] = {0};
    struct store_version read;
    struct snapshot *snapshot = NULL;
    char day[DATE_TEXT_BYTES], found[64];
    int64_t sum_micro = 0;
    assert_int_equal(store_catalog_read_on(store, version, day_after(days), &arena, &problems, files, &read),
                     STATUS_OK);
    assert_int_equal(read.number, version);
    assert_null(files[FILE_MODELS].text);
    assert_int_equal(catalog_load(files, &problems, &snapshot), STATUS_OK);
    for (size_t i = 0; i < snapshot->offer_count; i++)
        sum_micro += snapshot->offers[i].usd_per_hour.micro;
    (void)snprintf(found, sizeof found, "%zu %lld", snapshot->offer_count, (long long)(sum_micro / 1000000));
    assert_string_equal(found, brute_force(name, version, date_format(day_after(days), day)));
    snapshot_free(snapshot);
}

static void test_every_day_of_every_version(void **state)
{
    (void)state;
    static const int days[] = {-1, 0, 1, 50, 98, 99, 100, 101, 200, 249, 250, 1000};
    const char *name = many_database();
    struct store *store = open_store(name, NULL);
    const int64_t versions[] = {1, 2, 60, 100, 101, 102, newest(store)};
    for (size_t v = 0; v < sizeof versions / sizeof *versions; v++) {
        for (size_t d = 0; d < sizeof days / sizeof *days; d++)
            test_day(store, name, versions[v], days[d]);
    }
    store_close(store);
}

struct seen {
    size_t rows;
    usd_t sum, min_sum;
};

static void see_day(void *context, const struct store_price_day *row)
{
    struct seen *seen = context;
    assert_true(usd_compare(row->min_usd, row->median_usd) <= 0 && usd_compare(row->median_usd, row->max_usd) <= 0);
    assert_true(row->provider_count >= 1 && row->provider_count <= 4 && row->offer_count >= row->provider_count);
    seen->rows++;
    seen->min_sum = usd_add(seen->min_sum, row->min_usd);
}

static void see_price(void *context, const struct store_price *row)
{
    struct seen *seen = context;
    assert_true(!date_known(row->until) || row->until.days > row->from.days);
    seen->rows++;
    seen->sum = usd_add(seen->sum, row->usd_per_hour);
}

static struct store_history all_offers(struct store *store, struct store_history_id ids[OFFERS])
{
    struct store_offers offers;
    struct store_history history = {.version = newest(store),
                                    .from = day_after(0),
                                    .to = day_after(98),
                                    .rows_max = ROWS_MAX,
                                    .ids = ids,
                                    .id_count = OFFERS};
    assert_int_equal(store_history_offers(store, &history, &arena, &problems, &offers), STATUS_OK);
    assert_int_equal(offers.count, OFFERS);
    for (size_t i = 0; i < OFFERS; i++) {
        assert_true(offers.held[i] && offers.ids[i] >= FIRST_ID);
        assert_string_equal(offers.gpu_ids[i], i < OFFERS / 2 ? "h100-sxm" : "l4");
        ids[i] = (struct store_history_id){offers.ids[i], (int64_t)i, i >= OFFERS / 2};
    }
    const char *const names[] = {"a \"\\{,", "L4"};
    history.gpu_ids = &(struct text_list){names, 2};
    assert_int_equal(store_history_offers(store, &history, &arena, &problems, &offers), STATUS_OK);
    for (size_t i = 0; i < OFFERS; i++)
        assert_int_equal(offers.held[i], i >= OFFERS / 2);
    history.gpu_ids = NULL;
    return history;
}

static void test_series(void **state)
{
    (void)state;
    const char *name = many_database();
    struct store *store = open_store(name, NULL);
    struct store_history_id ids[OFFERS];
    struct store_history history = all_offers(store, ids);
    struct seen seen = {0}, spans = {0};
    assert_int_equal(store_history_days(store, &history, STORE_STEP_DAY, see_day, &seen, &problems), STATUS_OK);
    assert_int_equal(seen.rows, 2 * 99);
    char text[32];
    (void)snprintf(text, sizeof text, "%.6f", usd_to_double(seen.min_sum));
    assert_string_equal(
        text, ask(name, "select round(sum(usd), 6) from (select d, o.gpu_id, min((select usd_per_hour from "
                        "gpusize.offer_price p where p.offer_id = o.id and p.as_of <= date '" FIRST_DAY "' + d "
                        "order by as_of desc limit 1) / gpu_count) as usd from generate_series(0, 98) d, gpusize.offer "
                        "o group by 1, 2) cheapest"));
    assert_int_equal(store_history_prices(store, &history, see_price, &spans, &problems), STATUS_OK);
    (void)snprintf(text, sizeof text, "%zu %.0f", spans.rows, usd_to_double(spans.sum));
    assert_string_equal(text, ask(name, "select count(*) || ' ' || sum(usd_per_hour)::bigint from gpusize.offer_price "
                                        "where as_of <= date '" FIRST_DAY "' + 98"));
    spans.rows = seen.rows = 0;
    history.rows_max = 7;
    assert_int_equal(store_history_prices(store, &history, see_price, &spans, &problems), STATUS_OK);
    assert_int_equal(store_history_days(store, &history, STORE_STEP_WEEK, see_day, &seen, &problems), STATUS_OK);
    assert_int_equal(spans.rows + seen.rows, 7 + 7);
    history.id_count = seen.rows = 0;
    assert_int_equal(store_history_days(store, &history, STORE_STEP_MONTH, see_day, &seen, &problems), STATUS_OK);
    assert_int_equal(seen.rows, 0);
    store_close(store);
}

/* What a price is looked for with must be the index by day, however many there are: not a scan of them all. */
static void assert_plan(const char *name, enum query query, const char *types, const char *values)
{
    char sql[TEXT_BYTES];
    const char *text = query_text(query);
    if (*types) {
        (void)snprintf(sql, sizeof sql, "prepare asked(%s) as %s; explain (costs off) execute asked(%s)", types, text,
                       values);
    } else { /* COPY (…) TO STDOUT */
        const char *begin = strchr(text, '(') + 1, *end = strstr(text, ") to stdout");
        assert_non_null(end);
        (void)snprintf(sql, sizeof sql, "%sexplain (costs off) %.*s", values, (int)(end - begin), begin);
    }
    const char *plan = ask(name, sql);
    if (!strstr(plan, "using offer_price_day")) fail_msg("%s:\n%s", query_infos[query].name, plan);
    if (strstr(plan, "Seq Scan on offer_price")) fail_msg("%s:\n%s", query_infos[query].name, plan);
}

static void test_plans(void **state)
{
    (void)state;
    const char *name = many_database();
    (void)ask(name, "set session_replication_role = replica; insert into gpusize.offer_price (offer_id, usd_per_hour, "
                    "price_basis, as_of, source, from_version, to_version) select 200000 + n % 500, 1, "
                    "'instance_total', date '2020-01-01' + n / 500, 'test', 1, 2 + n / 500 "
                    "from generate_series(0, 199999) n; analyze");
    assert_plan(name, QUERY_READ_OFFERS_ON, "", "set gpusize.reading = 200; set gpusize.day = '2026-03-01'; ");
    assert_plan(name, QUERY_HISTORY_OFFERS, query_infos[QUERY_HISTORY_OFFERS].parameters,
                "200, '2026-01-01', '2026-03-01', null");
    assert_plan(name, QUERY_HISTORY_DAYS, query_infos[QUERY_HISTORY_DAYS].parameters,
                "200, '{100001}', '{0}', '{0}', '2026-01-01', '2026-03-01', '1 day', 60, 1000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_day_of_every_version),
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_plans),
    };
    return cmocka_run_group_tests(tests, cluster_setup, cluster_teardown);
}
