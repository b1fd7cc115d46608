/* import.c owns the order of an import's steps. They work on temporary tables of its transaction, which no prepared
 * query can name: so their SQL is run as text, from sql/import. */
#include "store/import.h"

#include "catalog/csv.h"
#include "catalog/embed.h"
#include "catalog/text.h"
#include "store/catalog.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

extern const struct embedded_file store_import_files[]; /* sql/import */

enum { BATCH_BYTES = 64 << 10, ROW_BYTES = 32 << 10, COMMAND_BYTES = 256, HASH_BYTES = 65, RATES_MAX = 200 };

struct rate {
    char currency[4];
    double usd_per_unit;
};

struct store_import {
    const struct store_import_options *options;
    struct db *db;
    struct arena *arena;
    struct problems *problems;
    struct store_import_report report;
    char hash[HASH_BYTES];
    struct rate rates[RATES_MAX];
    size_t rate_count;
    const char *diff, *apply; /* the steps for what it is of */
    size_t used;
    char batch[BATCH_BYTES]; /* text of COPY that is not sent yet */
};

/* --- rows, as COPY reads them --- */

static void put(struct store_import *import, const char *text)
{
    static const char special[] = "\\\t\n\r", written[] = "\\tnr";
    for (; *text; text++) {
        const char *at = strchr(special, *text);
        if (at) import->batch[import->used++] = '\\';
        import->batch[import->used++] = at ? written[at - special] : *text;
    }
    import->batch[import->used++] = '\t';
}

static void put_null(struct store_import *import)
{
    memcpy(import->batch + import->used, "\\N\t", 3);
    import->used += 3;
}

static void put_nulls(struct store_import *import, int count)
{
    for (int i = 0; i < count; i++)
        put_null(import);
}

static void put_text(struct store_import *import, const char *text)
{
    if (*text)
        put(import, text);
    else
        put_null(import);
}

static void put_number(struct store_import *import, double value)
{
    char text[NUMBER_TEXT_BYTES];
    text_format_double(value, text);
    put_text(import, is_known(value) ? text : "");
}

static void put_day(struct store_import *import, date_t day)
{
    char text[DATE_TEXT_BYTES];
    put(import, date_format(day, text));
}

static void put_usd(struct store_import *import, usd_t amount)
{
    char text[NUMBER_TEXT_BYTES];
    (void)snprintf(text, sizeof text, "%lld.%06lld", (long long)(amount.micro / 1000000),
                   (long long)(amount.micro % 1000000));
    put(import, text);
}

static enum status send_batch(struct store_import *import)
{
    size_t length = import->used;
    import->used = 0;
    return length ? db_copy_put(import->db, import->batch, length, import->problems) : STATUS_OK;
}

/* The longest row: three texts of 2000 bytes, five ids of 200 and cells of 8 KiB, each byte at most doubled. */
static enum status begin_row(struct store_import *import, uint32_t line)
{
    enum status status = import->used + ROW_BYTES > sizeof import->batch ? send_batch(import) : STATUS_OK;
    put_number(import, line);
    return status;
}

static void end_row(struct store_import *import)
{
    import->batch[import->used - 1] = '\n';
}

enum status store_import_offer(struct store_import *import, uint32_t line, const struct offer *offer,
                               const char *gpu_id)
{
    enum status status = begin_row(import, line);
    if (status != STATUS_OK) return status;
    put_null(import), put_null(import); /* field, reason */
    put(import, offer->provider), put(import, offer->instance_type), put(import, offer->region);
    put(import, offer->zone), put(import, gpu_id), put_number(import, offer->gpu_count);
    put(import, purchase_name(offer->purchase)), put_number(import, offer->term_months);
    put_usd(import, offer->usd_per_hour), put_number(import, offer->vcpus), put_number(import, offer->host_memory_gib);
    put(import, offer->price_basis), put_day(import, offer->as_of), put(import, offer->source);
    put_text(import, offer->url), put_text(import, offer->notes);
    put_nulls(import, 3); /* kind, uid, cells */
    end_row(import);
    return STATUS_OK;
}

enum status store_import_purchase(struct store_import *import, uint32_t line, const struct purchase_price *price,
                                  const char *gpu_id)
{
    enum { OFFER_ONLY_BEFORE = 6, OFFER_ONLY_BETWEEN = 3, OFFER_ONLY_AFTER = 3 }; /* columns of stage.sql */
    enum status status = begin_row(import, line);
    if (status != STATUS_OK) return status;
    import->diff = "purchase_diff.sql", import->apply = "purchase_apply.sql";
    put_nulls(import, OFFER_ONLY_BEFORE);
    put(import, gpu_id);
    put_nulls(import, OFFER_ONLY_BETWEEN);
    put_usd(import, price->usd);
    put_nulls(import, OFFER_ONLY_AFTER);
    put_day(import, price->as_of), put(import, price->source), put_null(import), put_text(import, price->notes);
    put(import, purchase_kind_name(price->kind)), put_nulls(import, 2); /* uid, cells */
    end_row(import);
    return STATUS_OK;
}

enum status store_import_observation(struct store_import *import, uint32_t line, const char *source, const char *uid,
                                     date_t as_of, const char *cells)
{
    enum { BEFORE_AS_OF = 14, BETWEEN = 3 }; /* columns of stage.sql */
    enum status status = begin_row(import, line);
    if (status != STATUS_OK) return status;
    import->diff = "observation_diff.sql", import->apply = "observation_apply.sql";
    put_nulls(import, BEFORE_AS_OF);
    put_day(import, as_of), put(import, source), put_nulls(import, BETWEEN), put(import, uid), put(import, cells);
    end_row(import);
    return STATUS_OK;
}

enum status store_import_reject(struct store_import *import, uint32_t line, const char *field, const char *reason)
{
    enum { ROW_COLUMNS = 19 };
    enum status status = begin_row(import, line);
    if (status != STATUS_OK) return status;
    put(import, field), put(import, reason);
    put_nulls(import, ROW_COLUMNS);
    end_row(import);
    return STATUS_OK;
}

void store_import_hash(struct store_import *import, const char *sha256)
{
    (void)snprintf(import->hash, sizeof import->hash, "%s", sha256);
}

double store_import_rate(const struct store_import *import, const char *currency)
{
    for (size_t i = 0; i < import->rate_count; i++) {
        if (strcmp(import->rates[i].currency, currency) == 0) return import->rates[i].usd_per_unit;
    }
    return UNKNOWN;
}

/* --- steps --- */

static const char *find_sql(const char *name)
{
    for (const struct embedded_file *file = store_import_files; file->name; file++) {
        if (strcmp(file->name, name) == 0) return file->begin;
    }
    assert(false); /* sql/import has every step */
    return "";
}

static enum status step(struct store_import *import, const char *name)
{
    return db_command(import->db, find_sql(name), import->problems);
}

/* What a step's SELECT finds, one column, a line each, as it stands: nothing in it is one of these two characters. */
static enum status ask(struct store_import *import, const char *name, const char **ret_text)
{
    size_t length = 0;
    const char *sql = arena_printf(
        import->arena, "copy (%s) to stdout (format csv, delimiter e'\\x02', quote e'\\x01')", find_sql(name));
    if (!sql) return problems_add(import->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the import's report");
    return db_copy_out(import->db, sql, import->arena, import->problems, ret_text, &length);
}

static enum status read_rates(struct store_import *import)
{
    DB_RESULT *rates = NULL;
    enum status status = db_query(import->db, QUERY_FX_RATES, NULL, import->problems, &rates);
    if (status != STATUS_OK) return status;
    for (size_t i = 0; i < db_rows(rates) && import->rate_count < RATES_MAX; i++) {
        struct rate *rate = &import->rates[import->rate_count++];
        (void)snprintf(rate->currency, sizeof rate->currency, "%s", db_text(rates, i, 0));
        rate->usd_per_unit = db_double(rates, i, 1);
    }
    return STATUS_OK;
}

/* The options that the SQL reads. */
static enum status set_options(struct store_import *import)
{
    char command[COMMAND_BYTES], factor[NUMBER_TEXT_BYTES];
    text_format_double(import->options->jump_factor, factor);
    (void)snprintf(command, sizeof command,
                   "set local gpusize.bulk = on; set local gpusize.import_complete = %s; "
                   "set local gpusize.import_jump_factor = '%s'; set local gpusize.import_max_bytes = %d",
                   import->options->complete ? "on" : "off", factor, CSV_TEXT_MAX_BYTES);
    return db_command(import->db, command, import->problems);
}

static enum status stage(struct store_import *import)
{
    enum status status = step(import, "stage.sql");
    if (status == STATUS_OK)
        status = db_copy_begin(import->db,
                               "copy import_row (line, field, reason, provider, instance_type, region, zone, gpu_id, "
                               "gpu_count, purchase, term_months, usd, vcpus, host_memory_gib, price_basis, as_of, "
                               "source, url, notes, kind, uid, cells) from stdin",
                               import->problems);
    if (status != STATUS_OK) return status;
    status = import->options->rows(import->options->context, import, import->problems);
    if (status == STATUS_OK) status = send_batch(import);
    return db_copy_end(import->db, status, import->problems);
}

/* The other steps find it by the sequence's value. */
static enum status record_run(struct store_import *import)
{
    const struct store_import_options *options = import->options;
    const char *const values[] = {options->kind, options->source, options->complete ? "t" : "f",
                                  *import->hash ? import->hash : NULL};
    return db_query(import->db, QUERY_IMPORT_RUN, values, import->problems, NULL);
}

static enum status refuse_jumps(struct store_import *import)
{
    const char *jumps = "";
    enum status status = ask(import, "jumps.sql", &jumps);
    if (status != STATUS_OK || !*jumps || import->options->accept_jumps) return status;
    for (const char *end = strchr(jumps, '\n'); end; jumps = end + 1, end = strchr(jumps, '\n'))
        (void)problems_add(import->problems, STATUS_CONTRADICTION, "usd_per_hour", "%.*s", (int)(end - jumps), jumps);
    return problems_add(import->problems, STATUS_CONTRADICTION, "",
                        "prices change by more than a factor of %g: look, then accept the jumps; nothing was changed",
                        import->options->jump_factor);
}

/* A catalog that no service can load is not made. */
static enum status refuse_excess(struct store_import *import)
{
    const char *excess = "";
    enum status status = ask(import, "excess.sql", &excess);
    if (status != STATUS_OK || !*excess) return status;
    return problems_add(import->problems, STATUS_OUT_OF_RANGE, "", "%.*s", (int)strcspn(excess, "\n"), excess);
}

static enum status compare_and_apply(struct store_import *import)
{
    enum status status = step(import, "prepare.sql");
    if (status == STATUS_OK) status = step(import, import->diff);
    if (status == STATUS_OK && !import->options->dry_run) status = refuse_jumps(import);
    if (status == STATUS_OK) status = step(import, import->apply);
    if (status == STATUS_OK) status = refuse_excess(import);
    if (status == STATUS_OK) status = step(import, "finish.sql");
    if (status == STATUS_OK) status = ask(import, "report.sql", &import->report.json);
    return status == STATUS_OK ? ask(import, "summary.sql", &import->report.summary) : status;
}

static enum status run(struct db *db, void *context, struct problems *problems)
{
    struct store_import *import = context;
    import->db = db;
    import->problems = problems;
    import->used = import->rate_count = 0; /* an earlier try may have left some */
    import->diff = "offer_diff.sql", import->apply = "offer_apply.sql";
    struct store_written written;
    const struct store_actor *actor = import->options->actor;
    enum status status = actor_begin(db, actor, import->arena, problems, &written);
    if (status == STATUS_OK && written.repeated)
        import->report = (struct store_import_report){.json = written.json, .summary = ""};
    if (status != STATUS_OK || written.repeated) return status;
    status = db_lift_limits(db, problems);
    if (status == STATUS_OK) status = set_options(import);
    if (status == STATUS_OK) status = db_command(db, "savepoint import", problems);
    struct catalog_writing facts = {.files = import->options->facts};
    if (status == STATUS_OK && facts.files) status = catalog_write(db, &facts, problems);
    import->report.facts = facts.rows;
    if (status == STATUS_OK) status = read_rates(import);
    if (status == STATUS_OK) status = stage(import);
    if (status == STATUS_OK) status = record_run(import);
    if (status == STATUS_OK) status = compare_and_apply(import);
    if (status == STATUS_OK && import->options->dry_run)
        status = db_command(db, "rollback to savepoint import", problems);
    if (status == STATUS_OK && import->options->answer)
        status = import->options->answer(import->options->context, import->report.json, problems, &import->report.json);
    written = (struct store_written){.http_status = 200, .json = import->report.json};
    return status == STATUS_OK ? actor_end(db, actor, &written, problems) : status;
}

enum status store_import(struct store *store, const struct store_import_options *options, struct arena *arena,
                         struct problems *problems, struct store_import_report *ret_report)
{
    struct store_import *import = ARENA_NEW(arena, struct store_import);
    if (!import) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for an import");
    import->options = options;
    import->arena = arena;
    enum status status = tx_run(store, TX_WRITE, run, import, problems);
    if (status == STATUS_OK) *ret_report = import->report;
    return status;
}

/* --- what was imported when --- */

enum status store_import_times(struct store *store, struct arena *arena, struct problems *problems,
                               const struct store_import_time **ret_times, size_t *ret_count)
{
    DB_RESULT *result = NULL;
    enum status status = tx_query(store, TX_READ, QUERY_IMPORT_TIMES, NULL, problems, &result);
    if (status != STATUS_OK) return status;
    size_t count = db_rows(result);
    struct store_import_time *times = ARENA_ARRAY(arena, count + 1, struct store_import_time);
    for (size_t i = 0; times && i < count; i++) {
        times[i].kind = arena_strdup(arena, db_text(result, i, 0));
        times[i].unix_s = db_int64(result, i, 1);
        if (!times[i].kind) times = NULL;
    }
    if (!times) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the imports");
    *ret_times = times;
    *ret_count = count;
    return STATUS_OK;
}
