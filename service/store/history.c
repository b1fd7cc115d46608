/* history.c owns the questions about former prices and the reading of their rows. */
#include "store/history.h"

#include "catalog/text.h"
#include "store/db.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* --- values --- */

/* One member of all ids as an array of SQL: "{1,2}". NULL when out of memory. */
static const char *write_array(const struct store_history *history, size_t member, struct arena *arena)
{
    size_t size = history->id_count * DB_INT64_BYTES + sizeof "{}", length = 1;
    char *text = arena_alloc(arena, size);
    if (!text) return NULL;
    text[0] = '{';
    for (size_t i = 0; i < history->id_count; i++) {
        int64_t number = *(const int64_t *)(const void *)((const char *)&history->ids[i] + member);
        length += (size_t)snprintf(text + length, size - length, i ? ",%lld" : "%lld", (long long)number);
    }
    memcpy(text + length, "}", sizeof "}");
    return text;
}

/* Names as an array of SQL, each in quotes: {"h100-sxm"}. NULL when out of memory. */
static const char *write_names(const struct text_list *names, struct arena *arena)
{
    size_t size = sizeof "{}";
    for (size_t i = 0; i < names->count; i++)
        size += 2 * strlen(names->items[i]) + sizeof "\"\"";
    char *text = arena_alloc(arena, size), *end = text;
    if (!text) return NULL;
    for (size_t i = 0; i < names->count; i++) {
        *end++ = i ? ',' : '{';
        *end++ = '"';
        for (const char *at = names->items[i]; *at; *end++ = *at++) {
            if (*at == '"' || *at == '\\') *end++ = '\\';
        }
        *end++ = '"';
    }
    memcpy(end, names->count ? "}" : "{}", names->count ? sizeof "}" : sizeof "{}");
    return text;
}

static date_t read_date(const struct pg_result *result, size_t row, size_t column)
{
    date_t date = DATE_UNKNOWN;
    (void)date_parse(db_text(result, row, column), &date);
    return date;
}

static usd_t read_usd(const struct pg_result *result, size_t row, size_t column)
{
    return usd_from_double(db_double(result, row, column));
}

/* --- offers --- */

static enum purchase read_purchase(const char *name)
{
    enum purchase purchase = 0;
    while (purchase + 1 < PURCHASE_COUNT && strcmp(purchase_name(purchase), name) != 0)
        purchase++;
    return purchase;
}

static bool read_offer(const struct pg_result *result, size_t row, struct arena *arena, struct offer *ret_offer)
{
    const char *texts[6];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        texts[i] = arena_strdup(arena, db_text(result, row, i + 1));
        if (!texts[i]) return false;
    }
    *ret_offer = (struct offer){.provider = texts[0],
                                .instance_type = texts[1],
                                .region = texts[2],
                                .zone = texts[3],
                                .country = texts[4],
                                .continent = texts[5],
                                .gpu_count = (uint32_t)db_int64(result, row, 8),
                                .purchase = read_purchase(db_text(result, row, 9)),
                                .term_months = (uint32_t)db_int64(result, row, 10),
                                .as_of = DATE_UNKNOWN};
    return true;
}

enum status store_history_offers(struct store *store, const struct store_history *history, struct arena *arena,
                                 struct problems *problems, struct store_offers *ret_offers)
{
    char version[DB_INT64_BYTES], from[DATE_TEXT_BYTES], to[DATE_TEXT_BYTES];
    const char *const values[] = {
        db_int64_text(history->version, version),
        date_format(history->from, from),
        date_format(history->to, to),
        history->gpu_ids ? write_names(history->gpu_ids, arena) : NULL,
    };
    if (history->gpu_ids && !values[3])
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the GPUs");
    DB_RESULT *result = NULL;
    enum status status = tx_query(store, TX_READ, QUERY_HISTORY_OFFERS, values, problems, &result);
    if (status != STATUS_OK) return status;
    size_t count = db_rows(result);
    struct offer *items = ARENA_ARRAY(arena, count, struct offer);
    const char **gpu_ids = ARENA_ARRAY(arena, count, const char *);
    int64_t *ids = ARENA_ARRAY(arena, count, int64_t);
    bool *held = ARENA_ARRAY(arena, count, bool);
    bool enough = items && gpu_ids && ids && held;
    for (size_t i = 0; enough && i < count; i++) {
        ids[i] = db_int64(result, i, 0);
        held[i] = *db_text(result, i, 11) == 't';
        gpu_ids[i] = arena_strdup(arena, db_text(result, i, 7));
        enough = gpu_ids[i] && read_offer(result, i, arena, &items[i]);
    }
    if (!enough) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the offers");
    *ret_offers = (struct store_offers){items, gpu_ids, ids, held, count};
    return STATUS_OK;
}

/* --- prices --- */

enum status store_history_prices(struct store *store, const struct store_history *history,
                                 void (*take)(void *context, const struct store_price *row), void *context,
                                 struct problems *problems)
{
    char version[DB_INT64_BYTES], most[DB_INT64_BYTES], from[DATE_TEXT_BYTES], to[DATE_TEXT_BYTES];
    const char *const values[] = {
        db_int64_text(history->version, version),
        write_array(history, offsetof(struct store_history_id, id), problems->arena),
        write_array(history, offsetof(struct store_history_id, offer), problems->arena),
        date_format(history->from, from),
        date_format(history->to, to),
        db_int64_text((int64_t)history->rows_max, most),
    };
    if (!values[1] || !values[2]) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the offers");
    DB_RESULT *result = NULL;
    enum status status = tx_query(store, TX_READ, QUERY_HISTORY_PRICES, values, problems, &result);
    for (size_t i = 0; status == STATUS_OK && i < db_rows(result); i++) {
        take(context, &(struct store_price){.offer = db_int64(result, i, 0),
                                            .from = read_date(result, i, 1),
                                            .until = read_date(result, i, 2),
                                            .usd_per_hour = read_usd(result, i, 3),
                                            .source = db_text(result, i, 4)});
    }
    return status;
}

/* In the order of enum store_step; a month has 28 days at least. */
static const struct {
    const char *interval;
    int64_t days;
} steps[] = {{"1 day", 1}, {"7 days", 7}, {"1 month", 28}};

int64_t store_history_day_count(const struct store_history *history, enum store_step step)
{
    return ((int64_t)history->to.days - history->from.days) / steps[step].days + 1;
}

enum status store_history_days(struct store *store, const struct store_history *history, enum store_step step,
                               void (*take)(void *context, const struct store_price_day *row), void *context,
                               struct problems *problems)
{
    char version[DB_INT64_BYTES], count[DB_INT64_BYTES], most[DB_INT64_BYTES], from[DATE_TEXT_BYTES],
        to[DATE_TEXT_BYTES];
    const char *const values[] = {
        db_int64_text(history->version, version),
        write_array(history, offsetof(struct store_history_id, id), problems->arena),
        write_array(history, offsetof(struct store_history_id, offer), problems->arena),
        write_array(history, offsetof(struct store_history_id, series), problems->arena),
        date_format(history->from, from),
        date_format(history->to, to),
        steps[step].interval,
        db_int64_text(store_history_day_count(history, step), count),
        db_int64_text((int64_t)history->rows_max, most),
    };
    if (!values[1] || !values[2] || !values[3])
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the offers");
    DB_RESULT *result = NULL;
    enum status status = tx_query(store, TX_READ, QUERY_HISTORY_DAYS, values, problems, &result);
    for (size_t i = 0; status == STATUS_OK && i < db_rows(result); i++) {
        take(context, &(struct store_price_day){.series = db_int64(result, i, 0),
                                                .day = read_date(result, i, 1),
                                                .min_usd = read_usd(result, i, 2),
                                                .median_usd = read_usd(result, i, 3),
                                                .max_usd = read_usd(result, i, 4),
                                                .provider_count = db_int64(result, i, 5),
                                                .offer_count = db_int64(result, i, 6)});
    }
    return status;
}
