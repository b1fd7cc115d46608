/* change.c owns the steps of a single change: what the entry was, what it becomes, whether a service could load that.
 */
#include "store/change.h"

#include "catalog/text.h"
#include "store/catalog.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { ID_BYTES = 24, KEYS_MAX = 8, EXTRA_COLUMNS = 2 };

static const struct kind {
    const char *noun;
    enum query row, entry, retire;
    const char *keys[KEYS_MAX + 1]; /* ended by NULL: columns that may not be changed: they make it another entry */
} kinds[CATALOG_FILE_COUNT] = {
    [FILE_GPUS] =
        {.noun = "GPU", .row = QUERY_GPU_ROW, .entry = QUERY_GPU_ENTRY, .retire = QUERY_GPU_RETIRE, .keys = {"id"}},
    [FILE_MODELS] = {.noun = "model",
                     .row = QUERY_MODEL_ROW,
                     .entry = QUERY_MODEL_ENTRY,
                     .retire = QUERY_MODEL_RETIRE,
                     .keys = {"id"}},
    [FILE_OFFERS] = {.noun = "offer",
                     .row = QUERY_OFFER_ROW,
                     .entry = QUERY_OFFER_ENTRY,
                     .retire = QUERY_OFFER_RETIRE,
                     .keys = {"provider", "instance_type", "region", "zone", "gpu_id", "gpu_count", "purchase",
                              "term_months"}},
};

/* One change under way. */
struct changing {
    const struct store_change *change;
    const struct kind *kind;
    struct arena *arena;
    struct db *db;
    struct problems *problems;
    struct csv_cell before[STORE_VALUES_MAX]; /* what the entry is; columns of the file and a few others */
    size_t before_count;
    struct store_written written;
    int64_t version;
};

static enum status no_memory(struct problems *problems)
{
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the change");
}

static const char *find_value(const struct csv_cell *values, size_t count, const char *column)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(values[i].column, column) == 0) return values[i].text;
    }
    return NULL;
}

/* --- what the entry was --- */

/* Column and value of every column of a row, as texts of the catalog's files. */
static enum status read_row(struct changing *changing, enum query query, const char *id, struct csv_cell *values,
                            size_t *ret_count)
{
    const char *const parameters[] = {id};
    DB_RESULT *row = NULL;
    enum status status = db_query(changing->db, query, parameters, changing->problems, &row);
    if (status != STATUS_OK) return status;
    size_t count = db_rows(row) < STORE_VALUES_MAX ? db_rows(row) : STORE_VALUES_MAX;
    for (size_t i = 0; i < count; i++) {
        values[i] = (struct csv_cell){arena_strdup(changing->arena, db_text(row, i, 0)),
                                      arena_strdup(changing->arena, db_text(row, i, 1))};
        if (!values[i].column || !values[i].text) return no_memory(changing->problems);
    }
    *ret_count = count;
    return STATUS_OK;
}

static enum status read_before(struct changing *changing)
{
    const struct store_change *change = changing->change;
    const char *noun = changing->kind->noun, *version = NULL;
    int64_t number = 0;
    if (!change->id) return STATUS_OK;
    enum status status = read_row(changing, changing->kind->row, change->id, changing->before, &changing->before_count);
    if (status != STATUS_OK) return status;
    bool there = changing->before_count > 0;
    if (change->kind == CHANGE_CREATE && there)
        return problems_add(changing->problems, STATUS_ALREADY_EXISTS, "id", "there is a %s \"%s\" already", noun,
                            change->id);
    if (change->kind == CHANGE_CREATE) return STATUS_OK;
    if (!there)
        return problems_add(changing->problems, STATUS_NOT_FOUND, "id", "there is no %s \"%s\"", noun, change->id);
    version = find_value(changing->before, changing->before_count, "version");
    if (change->version >= 0 && version && text_parse_int64(version, &number) && number != change->version)
        return problems_add(changing->problems, STATUS_PRECONDITION_FAILED, "If-Match",
                            "the %s has version %s now: it was changed since it was read", noun, version);
    return STATUS_OK;
}

/* --- what it becomes --- */

/* A file of one row; an empty cell is null. */
static enum status make_file(struct arena *arena, const struct csv_cell *values, size_t count,
                             struct problems *problems, struct catalog_text *ret_file)
{
    const char *text = csv_text(values, count, true, arena);
    if (!text) return no_memory(problems);
    *ret_file = (struct catalog_text){.name = "entry", .text = text, .length = strlen(text)};
    return STATUS_OK;
}

/* All columns of the file: the given values over those of before over nothing. */
static size_t overlay(const struct changing *changing, struct csv_cell *values)
{
    const struct store_change *change = changing->change;
    const char *column = NULL;
    size_t count = 0;
    for (; count < STORE_VALUES_MAX && (column = catalog_column(change->file, count)); count++) {
        const char *text = find_value(change->values, change->value_count, column);
        if (!text) text = find_value(changing->before, changing->before_count, column);
        values[count] = (struct csv_cell){column, text ? text : ""};
    }
    return count;
}

/* What an offer refers to, so that it can be loaded by itself. */
static enum status add_references(struct changing *changing, const struct csv_cell *offer, size_t count,
                                  struct catalog_text files[CATALOG_FILE_COUNT])
{
    struct csv_cell row[STORE_VALUES_MAX], gpu[STORE_VALUES_MAX];
    size_t row_count = 0, gpu_count = 0;
    enum status status = read_row(changing, QUERY_GPU_ROW, find_value(offer, count, "gpu_id"), row, &row_count);
    for (size_t i = 0; row_count > 0 && catalog_column(FILE_GPUS, i); i++) {
        const char *column = catalog_column(FILE_GPUS, i), *text = find_value(row, row_count, column);
        gpu[gpu_count++] = (struct csv_cell){column, text ? text : ""};
    }
    if (status == STATUS_OK && gpu_count > 0)
        status = make_file(changing->arena, gpu, gpu_count, changing->problems, &files[FILE_GPUS]);
    const char *provider = find_value(offer, count, "provider"), *region = find_value(offer, count, "region");
    assert(provider && region); /* all columns are there */
    const struct csv_cell place[] = {{"provider", provider}, {"region", region},      {"country", ""},
                                     {"continent", ""},      {"source", "a request"}, {"as_of", "2000-01-01"}};
    if (status == STATUS_OK && *provider && *region)
        status =
            make_file(changing->arena, place, sizeof place / sizeof *place, changing->problems, &files[FILE_REGIONS]);
    return status;
}

/* What the services could not load is refused here, with every bad cell. */
static enum status check(struct changing *changing, const struct csv_cell *values, size_t count)
{
    struct catalog_text files[CATALOG_FILE_COUNT] = {0};
    const enum catalog_file file = changing->change->file;
    enum status status = make_file(changing->arena, values, count, changing->problems, &files[file]);
    if (status == STATUS_OK && file == FILE_OFFERS) status = add_references(changing, values, count, files);
    return status == STATUS_OK ? catalog_check(files, STATUS_INVALID_VALUE, changing->problems) : status;
}

/* The keys stay: another key is another entry. */
static enum status check_keys(const struct changing *changing)
{
    const struct store_change *change = changing->change;
    const char *key = NULL;
    for (size_t i = 0; change->kind == CHANGE_UPDATE && (key = changing->kind->keys[i]); i++) {
        const char *given = find_value(change->values, change->value_count, key);
        const char *before = find_value(changing->before, changing->before_count, key);
        if (given && before && strcmp(given, before) != 0)
            (void)problems_add(changing->problems, STATUS_INVALID_VALUE, key,
                               "is \"%s\" and tells which %s it is: make another one and retire this", before,
                               changing->kind->noun);
    }
    return problems_status(changing->problems);
}

/* Two offers of one key would be one. */
static enum status check_new_offer(const struct changing *changing, const struct csv_cell *values, size_t count)
{
    const char *parameters[KEYS_MAX];
    DB_RESULT *found = NULL;
    for (size_t i = 0; i < KEYS_MAX; i++)
        parameters[i] = find_value(values, count, changing->kind->keys[i]);
    if (!*parameters[KEYS_MAX - 1]) parameters[KEYS_MAX - 1] = "0"; /* no term */
    enum status status = db_query(changing->db, QUERY_OFFER_FIND, parameters, changing->problems, &found);
    if (status != STATUS_OK || db_rows(found) == 0) return status;
    return problems_add(changing->problems, STATUS_ALREADY_EXISTS, "", "this is offer %s: change its price by that id",
                        db_text(found, 0, 0));
}

/* A price of a day before the known one's would never be shown. */
static enum status check_day(const struct changing *changing)
{
    const char *given = find_value(changing->change->values, changing->change->value_count, "as_of");
    const char *before = find_value(changing->before, changing->before_count, "as_of");
    date_t day, known;
    if (changing->change->file != FILE_OFFERS || !given || !before || !date_parse(given, &day) ||
        !date_parse(before, &known) || day.days >= known.days)
        return STATUS_OK;
    return problems_add(changing->problems, STATUS_INVALID_VALUE, "as_of", "the known price is newer: of %s", before);
}

/* What the table has besides the file: a model's config. */
static size_t add_other_columns(const struct store_change *change, struct csv_cell *values, size_t count)
{
    for (size_t i = 0, added = 0; i < change->value_count && added < EXTRA_COLUMNS; i++) {
        if (catalog_column_type(change->file, change->values[i].column) != CATALOG_NO_COLUMN) continue;
        values[count++] = change->values[i];
        added++;
    }
    return count;
}

/* A price that nobody imported, from now on by the database's clock. */
static size_t add_price_columns(const struct changing *changing, struct csv_cell *values, size_t count)
{
    const char *given = find_value(values, count, "usd_per_hour");
    const char *before = find_value(changing->before, changing->before_count, "usd_per_hour");
    double price = UNKNOWN, known = UNKNOWN;
    if (before && text_parse_double(given, &price) && text_parse_double(before, &known) && price == known) return count;
    values[count] = (struct csv_cell){"valid_from", "now"};
    values[count + 1] = (struct csv_cell){"import_run_id", ""};
    return count + 2;
}

static enum status write_offer(struct changing *changing, struct csv_cell *values, size_t count, size_t *rows)
{
    struct catalog_text text;
    const char *const place[] = {find_value(values, count, "provider"), find_value(values, count, "region"),
                                 find_value(values, count, "source"), find_value(values, count, "as_of")};
    enum status status = STATUS_OK;
    if (changing->change->kind == CHANGE_CREATE) status = check_new_offer(changing, values, count);
    if (status == STATUS_OK && *place[1])
        status = db_query(changing->db, QUERY_REGION_ADD, place, changing->problems, NULL);
    count = add_price_columns(changing, values, count);
    if (status == STATUS_OK) status = make_file(changing->arena, values, count, changing->problems, &text);
    return status == STATUS_OK ? catalog_write_file(changing->db, FILE_OFFERS, &text, changing->problems, rows)
                               : status;
}

static enum status write_entry(struct changing *changing)
{
    const enum catalog_file file = changing->change->file;
    struct csv_cell values[STORE_VALUES_MAX + EXTRA_COLUMNS];
    struct catalog_text text;
    size_t count = overlay(changing, values), rows = 0;
    enum status status = check_keys(changing);
    if (status == STATUS_OK) status = check_day(changing);
    if (status == STATUS_OK) status = check(changing, values, count);
    if (status != STATUS_OK) return status;
    if (file == FILE_OFFERS) return write_offer(changing, values, count, &rows);
    count = add_other_columns(changing->change, values, count);
    status = make_file(changing->arena, values, count, changing->problems, &text);
    return status == STATUS_OK ? catalog_write_file(changing->db, file, &text, changing->problems, &rows) : status;
}

static enum status retire(struct changing *changing)
{
    const char *const parameters[] = {changing->change->id};
    struct problems *problems = changing->problems;
    const size_t before = problems->count;
    enum status status = db_query(changing->db, changing->kind->retire, parameters, problems, NULL);
    if (status != STATUS_INVALID_VALUE) return status;
    problems->count = before; /* of a row that ends the only constraint is that others refer to it */
    return problems_add(problems, STATUS_IN_USE, "id", "offers or other entries refer to the %s \"%s\"",
                        changing->kind->noun, changing->change->id);
}

/* --- the answer --- */

/* The id of an offer that this transaction has made. */
static enum status find_new(struct changing *changing, char id[ID_BYTES])
{
    DB_RESULT *result = NULL;
    enum status status = db_query(changing->db, QUERY_OFFER_NEW, NULL, changing->problems, &result);
    if (status == STATUS_OK) (void)snprintf(id, ID_BYTES, "%s", db_text(result, 0, 0));
    return status;
}

static enum status tell(struct changing *changing)
{
    const struct store_change *change = changing->change;
    char id[ID_BYTES];
    const char *parameters[] = {change->id};
    struct store_version version;
    DB_RESULT *entry = NULL;
    enum status status = catalog_read_version(changing->db, changing->problems, &version);
    if (status == STATUS_OK && !change->id) {
        status = find_new(changing, id);
        parameters[0] = id;
    }
    if (status == STATUS_OK && change->kind != CHANGE_RETIRE)
        status = db_query(changing->db, changing->kind->entry, parameters, changing->problems, &entry);
    if (status != STATUS_OK) return status;
    changing->version = entry && db_rows(entry) ? db_int64(entry, 0, 1) : 0;
    changing->written = (struct store_written){
        .http_status = change->kind == CHANGE_CREATE ? 201 : 200,
        .json = entry && db_rows(entry)
                    ? arena_printf(changing->arena, "{\"entry\":%s,\"version\":%lld,\"catalog_version\":\"%s\"}",
                                   db_text(entry, 0, 0), (long long)changing->version, version.text)
                    : arena_printf(changing->arena, "{\"entry\":null,\"version\":null,\"catalog_version\":\"%s\"}",
                                   version.text),
    };
    return changing->written.json ? STATUS_OK : no_memory(changing->problems);
}

static enum status run(struct db *db, void *context, struct problems *problems)
{
    struct changing *changing = context;
    changing->db = db;
    changing->problems = problems;
    changing->before_count = 0; /* an earlier try may have left some */
    enum status status = actor_begin(db, changing->change->actor, changing->arena, problems, &changing->written);
    if (status != STATUS_OK || changing->written.repeated) return status;
    status = db_query(db, QUERY_CATALOG_LOCK, NULL, problems, NULL);
    if (status == STATUS_OK) status = read_before(changing);
    if (status == STATUS_OK)
        status = changing->change->kind == CHANGE_RETIRE ? retire(changing) : write_entry(changing);
    if (status == STATUS_OK) status = tell(changing);
    return status == STATUS_OK ? actor_end(db, changing->change->actor, &changing->written, problems) : status;
}

enum status store_change(struct store *store, const struct store_change *change, struct arena *arena,
                         struct problems *problems, struct store_written *ret_written, int64_t *ret_version)
{
    struct changing *changing = ARENA_NEW(arena, struct changing);
    if (!changing) return no_memory(problems);
    *changing = (struct changing){.change = change, .kind = &kinds[change->file], .arena = arena};
    assert(changing->kind->noun); /* one of the three files */
    enum status status = tx_run(store, TX_WRITE, run, changing, problems);
    if (status != STATUS_OK) return status;
    *ret_written = changing->written;
    *ret_version = changing->version;
    return STATUS_OK;
}
