/* monitor.c owns the statements about hosts that report. */
#include "store/monitor.h"

#include "store/db.h"

enum { SAMPLES_AT_ONCE = 500 /* of one result, so that it does not fill the memory */ };
#define MS_PER_DAY INT64_C(86400000)

/* --- adding --- */

struct adding {
    const struct store_samples *samples;
    size_t stored;
};

static date_t day_of(int64_t unix_ms)
{
    return (date_t){(int32_t)(unix_ms / MS_PER_DAY)};
}

static enum status make_days(struct db *db, const struct store_samples *samples, struct problems *problems)
{
    char first[DATE_TEXT_BYTES], last[DATE_TEXT_BYTES];
    const char *const values[] = {date_format(day_of(samples->first_unix_ms), first),
                                  date_format(day_of(samples->last_unix_ms), last)};
    return db_query(db, QUERY_MONITOR_MAKE_DAYS, values, problems, NULL);
}

/* Hosts are counted one after another, so that there are never more. */
static enum status make_room(struct db *db, const struct store_samples *samples, struct problems *problems)
{
    DB_RESULT *counted = NULL, *dropped = NULL;
    enum status status = db_query(db, QUERY_MONITOR_LOCK_HOSTS, NULL, problems, NULL);
    if (status == STATUS_OK) status = db_query(db, QUERY_MONITOR_HOST_COUNT, NULL, problems, &counted);
    if (status != STATUS_OK || db_int64(counted, 0, 0) < samples->hosts_max) return status;
    status = db_query(db, QUERY_MONITOR_HOST_DROP, NULL, problems, &dropped);
    if (status != STATUS_OK || db_affected(dropped) > 0) return status;
    return problems_add(problems, STATUS_OUT_OF_RANGE, "host",
                        "this service keeps the samples of at most %lld hosts (monitor_hosts_max)",
                        (long long)samples->hosts_max);
}

static enum status put_host(struct db *db, const struct store_host *host, struct problems *problems)
{
    char newest[DB_INT64_BYTES], count[DB_INT64_BYTES];
    const char *const values[] = {host->host, db_int64_text(host->newest_unix_ms, newest), host->sample, host->alerts,
                                  db_int64_text(host->alert_count, count)};
    return db_query(db, QUERY_MONITOR_HOST_PUT, values, problems, NULL);
}

static enum status judge(struct db *db, const struct store_samples *samples, struct problems *problems)
{
    DB_RESULT *found = NULL;
    struct store_host after = {0}, before = {.host = samples->host, .newest_unix_ms = INT64_MIN, .alerts = ""};
    enum status status = db_query(db, QUERY_MONITOR_HOST_FIND, &samples->host, problems, &found);
    if (status != STATUS_OK) return status;
    if (db_rows(found) > 0) {
        before.newest_unix_ms = db_int64(found, 0, 0);
        before.alerts = db_text(found, 0, 1);
    } else {
        status = make_room(db, samples, problems);
    }
    if (status == STATUS_OK) status = samples->judge(samples->data, &before, problems, &after);
    if (status == STATUS_OK && after.sample) status = put_host(db, &after, problems);
    return status;
}

static enum status add(struct db *db, void *context, struct problems *problems)
{
    struct adding *adding = context;
    const struct store_samples *samples = adding->samples;
    const char *const values[] = {samples->host, samples->samples};
    DB_RESULT *inserted = NULL;
    enum status status = db_query(db, QUERY_MONITOR_LOCK_HOST, &samples->host, problems, NULL);
    if (status == STATUS_OK) status = judge(db, samples, problems);
    if (status == STATUS_OK) status = make_days(db, samples, problems);
    if (status == STATUS_OK) status = db_query(db, QUERY_MONITOR_SAMPLE_ADD, values, problems, &inserted);
    if (status == STATUS_OK) adding->stored = db_affected(inserted);
    return status;
}

enum status store_samples_add(struct store *store, const struct store_samples *samples, struct problems *problems,
                              size_t *ret_stored)
{
    struct adding adding = {.samples = samples};
    enum status status = tx_run(store, TX_WRITE, add, &adding, problems);
    if (status == STATUS_OK) *ret_stored = adding.stored;
    return status;
}

/* --- reading --- */

enum status store_hosts_read(struct store *store, const char *host, bool alerting, size_t first, size_t limit,
                             void (*take)(void *data, const struct store_host *host), void *data,
                             struct problems *problems, size_t *ret_count)
{
    char offset[DB_INT64_BYTES], most[DB_INT64_BYTES];
    const char *const values[] = {host, alerting ? "t" : "f", db_int64_text((int64_t)first, offset),
                                  db_int64_text((int64_t)limit, most)};
    DB_RESULT *rows = NULL, *counted = NULL;
    enum status status = tx_query(store, TX_READ, QUERY_MONITOR_HOSTS_COUNT, values, problems, &counted);
    if (status == STATUS_OK) status = tx_query(store, TX_READ, QUERY_MONITOR_HOSTS, values, problems, &rows);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < db_rows(rows); i++)
        take(data, &(struct store_host){.host = db_text(rows, i, 0),
                                        .newest_unix_ms = db_int64(rows, i, 1),
                                        .sample = db_text(rows, i, 2),
                                        .alerts = db_text(rows, i, 3),
                                        .alert_count = db_int64(rows, i, 4)});
    *ret_count = (size_t)db_int64(counted, 0, 0);
    return STATUS_OK;
}

enum status store_samples_read(struct store *store, const char *host, int64_t from_unix_ms, int64_t until_unix_ms,
                               bool (*take)(void *data, const char *sample), void *data, struct problems *problems)
{
    char from[DB_INT64_BYTES], until[DB_INT64_BYTES], most[DB_INT64_BYTES];
    for (bool more = true; more;) {
        const char *const values[] = {host, db_int64_text(from_unix_ms, from), db_int64_text(until_unix_ms, until),
                                      db_int64_text(SAMPLES_AT_ONCE, most)};
        DB_RESULT *rows = NULL;
        enum status status = tx_query(store, TX_READ, QUERY_MONITOR_SAMPLES, values, problems, &rows);
        if (status != STATUS_OK) return status;
        more = db_rows(rows) == SAMPLES_AT_ONCE;
        for (size_t i = 0; i < db_rows(rows); i++) {
            until_unix_ms = db_int64(rows, i, 0) - 1;
            if (!take(data, db_text(rows, i, 1))) return STATUS_OK;
        }
    }
    return STATUS_OK;
}

enum status store_samples_keep(struct store *store, int64_t days, struct problems *problems)
{
    char text[DB_INT64_BYTES];
    const char *const values[] = {db_int64_text(days, text)};
    return tx_query(store, TX_WRITE, QUERY_MONITOR_KEEP, values, problems, NULL);
}
