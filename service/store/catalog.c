/* catalog.c owns the catalog's tables as texts in the layout of catalog/data: reading a version, writing rows. */
#include "store/db.h"

#include <stdio.h>
#include <string.h>

enum { VERSION_TEXT_BYTES = 24, COLUMNS_BYTES = 4096 };

/* What each file is in the database. */
static const struct catalog_table {
    enum query read;
    const char *table, *keys; /* keys: columns that make two rows the same one, as an array of SQL; NULL: offers */
} tables[CATALOG_FILE_COUNT] = {
    [FILE_GPUS] = {QUERY_READ_GPUS, "gpusize.gpu", "{id}"},
    [FILE_GPU_ALIASES] = {QUERY_READ_GPU_ALIASES, "gpusize.gpu_alias", "{namespace,name,target}"},
    [FILE_MODELS] = {QUERY_READ_MODELS, "gpusize.model", "{id}"},
    [FILE_MODEL_ALIASES] = {QUERY_READ_MODEL_ALIASES, "gpusize.model_alias", "{namespace,name,target}"},
    [FILE_ENGINE_PROFILES] = {QUERY_READ_ENGINE_PROFILES, "gpusize.engine_profile",
                              "{engine,version_from,version_to,coefficient}"},
    [FILE_ENGINE_SUPPORT] = {QUERY_READ_ENGINE_SUPPORT, "gpusize.engine_gpu_support", "{engine,architecture}"},
    [FILE_ENGINE_ALIASES] = {QUERY_READ_ENGINE_ALIASES, "gpusize.engine_alias", "{namespace,name,target}"},
    [FILE_REGIONS] = {QUERY_READ_REGIONS, "gpusize.provider_region", "{provider,region}"},
    [FILE_OFFERS] = {QUERY_READ_OFFERS, NULL, NULL},
    [FILE_PURCHASE_PRICES] = {QUERY_READ_PURCHASE_PRICES, "gpusize.purchase_price", "{gpu_id,kind,as_of}"},
    [FILE_OPERATING_COSTS] = {QUERY_READ_OPERATING_COSTS, "gpusize.operating_cost", "{key,scope}"},
    [FILE_API_PRICES] = {QUERY_READ_API_PRICES, "gpusize.api_price", "{provider,model_id}"},
};

/* --- the version --- */

static enum status read_version(struct db *db, void *context, struct problems *problems)
{
    struct store_version *version = context;
    DB_RESULT *result = NULL;
    enum status status = db_query(db, QUERY_CATALOG_VERSION, NULL, problems, &result);
    if (status != STATUS_OK) return status;
    version->number = db_int64(result, 0, 1);
    (void)snprintf(version->text, sizeof version->text, "%s:%lld", db_text(result, 0, 0), (long long)version->number);
    return STATUS_OK;
}

enum status store_catalog_version(struct store *store, struct problems *problems, struct store_version *ret_version)
{
    struct store_version version;
    enum status status = tx_run(store, TX_READ, read_version, &version, problems);
    if (status == STATUS_OK) *ret_version = version;
    return status;
}

/* --- reading --- */

struct reading {
    int64_t number; /* < 0: the newest */
    struct arena *arena;
    struct catalog_text files[CATALOG_FILE_COUNT];
    struct store_version version;
};

/* Makes `version` the one that was asked for. */
static enum status choose_version(struct db *db, int64_t number, struct problems *problems,
                                  struct store_version *version)
{
    enum status status = read_version(db, version, problems);
    if (status != STATUS_OK || number < 0) return status;
    char text[VERSION_TEXT_BYTES];
    const char *const values[] = {text};
    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    DB_RESULT *result = NULL;
    status = db_query(db, QUERY_CATALOG_HAS_VERSION, values, problems, &result);
    if (status != STATUS_OK) return status;
    if (*db_text(result, 0, 0) != 't')
        return problems_add(problems, STATUS_NOT_FOUND, "catalog_version", "there was no version %s; the newest is %s",
                            text, version->text);
    version->number = number;
    (void)snprintf(strchr(version->text, ':') + 1, VERSION_TEXT_BYTES, "%s", text);
    return STATUS_OK;
}

static enum status read_tables(struct db *db, void *context, struct problems *problems)
{
    struct reading *reading = context;
    enum status status = choose_version(db, reading->number, problems, &reading->version);
    if (status != STATUS_OK) return status;
    const char *const values[] = {strchr(reading->version.text, ':') + 1};
    status = db_query(db, QUERY_CATALOG_READING, values, problems, NULL);
    for (size_t i = 0; i < CATALOG_FILE_COUNT && status == STATUS_OK; i++) {
        reading->files[i].name = catalog_bundled()[i].name;
        status = db_copy_out(db, query_text(tables[i].read), reading->arena, problems, &reading->files[i].text,
                             &reading->files[i].length);
    }
    return status;
}

enum status store_catalog_read(struct store *store, int64_t number, struct arena *arena, struct problems *problems,
                               struct catalog_text ret_files[CATALOG_FILE_COUNT], struct store_version *ret_version)
{
    struct reading reading = {.number = number, .arena = arena};
    enum status status = tx_run(store, TX_READ, read_tables, &reading, problems);
    if (status != STATUS_OK) return status;
    memcpy(ret_files, reading.files, sizeof reading.files);
    *ret_version = reading.version;
    return STATUS_OK;
}

/* --- writing --- */

/* "id,name" as columns of text: "id text,name text". Anything but plain names is refused, as it becomes SQL. */
static bool stage_columns(const struct catalog_text *file, char columns[COLUMNS_BYTES])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    const char *at = file->text, *end = file->text + file->length;
    size_t length = 0;
    for (;; at++) {
        size_t name = 0;
        while (at + name < end && at[name] && strchr(letters, at[name]))
            name++;
        if (name == 0 || length + name + sizeof " text," > COLUMNS_BYTES) return false;
        length += (size_t)snprintf(columns + length, COLUMNS_BYTES - length, "%.*s text", (int)name, at);
        at += name;
        if (at == end || *at == '\n' || *at == '\r') return true;
        if (*at != ',') return false;
        columns[length++] = ',';
    }
}

/* The file's rows as text in the temporary table `staged`. */
static enum status stage(struct db *db, const struct catalog_text *file, struct problems *problems)
{
    char columns[COLUMNS_BYTES], sql[COLUMNS_BYTES + 128];
    if (!stage_columns(file, columns))
        return problems_add(problems, STATUS_BAD_ROW, file->name, "the first line does not name the columns");
    (void)snprintf(sql, sizeof sql, "create temporary table staged (%s) on commit drop", columns);
    enum status status = db_command(db, "drop table if exists pg_temp.staged", problems);
    if (status == STATUS_OK) status = db_command(db, sql, problems);
    if (status == STATUS_OK)
        status = db_copy_begin(db, "copy pg_temp.staged from stdin (format csv, header)", problems);
    if (status != STATUS_OK) return status;
    status = db_copy_put(db, file->text, file->length, problems);
    return db_copy_end(db, status, problems, NULL);
}

static enum status merge(struct db *db, const char *table, const char *keys, struct catalog_writing *writing,
                         struct problems *problems)
{
    const char *const values[] = {table, "pg_temp.staged", keys};
    DB_RESULT *result = NULL;
    enum status status = db_query(db, QUERY_MERGE_ROWS, values, problems, &result);
    if (status == STATUS_OK) writing->rows += (size_t)db_int64(result, 0, 0);
    return status;
}

/* Words that other tables refer to, and which are no facts of their own. Not prepared: `staged` is another table each
 * time. */
static const struct {
    enum catalog_file file;
    const char *sql;
} words[] = {
    {FILE_ENGINE_PROFILES,
     "insert into gpusize.engine select distinct engine from pg_temp.staged on conflict do nothing"},
    {FILE_REGIONS, "insert into gpusize.provider select distinct provider from pg_temp.staged on conflict do nothing"},
    {FILE_OFFERS, "insert into gpusize.provider select distinct provider from pg_temp.staged on conflict do nothing"},
};

static enum status add_words(struct db *db, enum catalog_file file, struct problems *problems)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof words / sizeof *words && status == STATUS_OK; i++) {
        if (words[i].file == file) status = db_command(db, words[i].sql, problems);
    }
    return status;
}

/* A file of offers is two tables, and only the newest price of each offer counts. */
static enum status merge_offers(struct db *db, struct catalog_writing *writing, struct problems *problems)
{
    enum status status = db_command(
        db,
        "delete from pg_temp.staged a using pg_temp.staged b where (a.provider, a.instance_type, a.gpu_id, "
        "a.gpu_count, "
        "a.purchase) = (b.provider, b.instance_type, b.gpu_id, b.gpu_count, b.purchase) and (a.region, a.zone, "
        "a.term_months) is not distinct from (b.region, b.zone, b.term_months) and a.as_of < b.as_of",
        problems);
    if (status == STATUS_OK)
        status = merge(db, "gpusize.offer",
                       "{provider,instance_type,region,zone,gpu_id,gpu_count,purchase,term_months}", writing, problems);
    if (status == STATUS_OK)
        status =
            db_command(db,
                       "alter table pg_temp.staged add offer_id text; update pg_temp.staged s set offer_id = o.id "
                       "from gpusize.offer o where o.to_version is null and (o.provider, o.instance_type, o.gpu_id, "
                       "o.gpu_count::text, o.purchase) = (s.provider, s.instance_type, s.gpu_id, s.gpu_count, "
                       "s.purchase) and (o.region, o.zone, o.term_months) = (coalesce(s.region, ''), "
                       "coalesce(s.zone, ''), coalesce(s.term_months, '0')::integer)",
                       problems);
    return status == STATUS_OK ? merge(db, "gpusize.offer_price", "{offer_id}", writing, problems) : status;
}

static enum status write_tables(struct db *db, struct catalog_writing *writing, struct problems *problems)
{
    enum status status = STATUS_OK;
    for (enum catalog_file file = 0; file < CATALOG_FILE_COUNT && status == STATUS_OK; file++) {
        if (!writing->files[file].text) continue;
        status = stage(db, &writing->files[file], problems);
        if (status == STATUS_OK) status = add_words(db, file, problems);
        if (status != STATUS_OK) return status;
        status = tables[file].table ? merge(db, tables[file].table, tables[file].keys, writing, problems)
                                    : merge_offers(db, writing, problems);
    }
    return status;
}

enum status db_write_catalog(struct db *db, void *context, struct problems *problems)
{
    struct catalog_writing *writing = context;
    struct store_version version = {0};
    enum status status = db_lift_limits(db, problems);
    if (status == STATUS_OK) status = db_query(db, QUERY_CATALOG_LOCK, NULL, problems, NULL);
    if (status == STATUS_OK && writing->only_empty) status = read_version(db, &version, problems);
    writing->rows = 0;
    return status == STATUS_OK && version.number == 0 ? write_tables(db, writing, problems) : status;
}

static enum status write_catalog(struct store *store, struct catalog_writing writing, struct problems *problems,
                                 size_t *ret_rows)
{
    enum status status = tx_run(store, TX_WRITE, db_write_catalog, &writing, problems);
    if (status == STATUS_OK) *ret_rows = writing.rows;
    return status;
}

enum status store_catalog_write(struct store *store, const struct catalog_text files[CATALOG_FILE_COUNT],
                                struct problems *problems, size_t *ret_rows)
{
    return write_catalog(store, (struct catalog_writing){.files = files}, problems, ret_rows);
}

enum status store_catalog_fill(struct store *store, const struct catalog_text files[CATALOG_FILE_COUNT],
                               struct problems *problems, size_t *ret_rows)
{
    return write_catalog(store, (struct catalog_writing){.files = files, .only_empty = true}, problems, ret_rows);
}
