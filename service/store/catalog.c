/* catalog.c owns the catalog's tables as texts in the layout of catalog/data: reading a version, writing rows. */
#include "store/catalog.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS_BYTES = 4096 };

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
                              "{engine,version_from,version_to,coefficient,load,gpu,family,weight_dtype}"},
    [FILE_ENGINE_SUPPORT] = {QUERY_READ_ENGINE_SUPPORT, "gpusize.engine_gpu_support", "{engine,architecture}"},
    [FILE_ENGINE_ALIASES] = {QUERY_READ_ENGINE_ALIASES, "gpusize.engine_alias", "{namespace,name,target}"},
    [FILE_REGIONS] = {QUERY_READ_REGIONS, "gpusize.provider_region", "{provider,region}"},
    [FILE_OFFERS] = {QUERY_READ_OFFERS, NULL, NULL},
    [FILE_PURCHASE_PRICES] = {QUERY_READ_PURCHASE_PRICES, "gpusize.purchase_price", "{gpu_id,kind,as_of}"},
    [FILE_OPERATING_COSTS] = {QUERY_READ_OPERATING_COSTS, "gpusize.operating_cost", "{key,scope}"},
    [FILE_API_PRICES] = {QUERY_READ_API_PRICES, "gpusize.api_price", "{provider,model_id}"},
    [FILE_MEASURED] = {QUERY_READ_MEASURED, "gpusize.observation", "{source,uid}"},
    [FILE_CALIBRATIONS] = {QUERY_READ_CALIBRATIONS, "gpusize.calibration", "{pool,id,gpu_id}"},
};

/* --- the version --- */

enum status catalog_read_version(struct db *db, struct problems *problems, struct store_version *ret_version)
{
    struct store_version *version = ret_version;
    DB_RESULT *result = NULL;
    enum status status = db_query(db, QUERY_CATALOG_VERSION, NULL, problems, &result);
    if (status != STATUS_OK) return status;
    version->number = db_int64(result, 0, 1);
    (void)snprintf(version->text, sizeof version->text, "%s:%lld", db_text(result, 0, 0), (long long)version->number);
    return STATUS_OK;
}

static enum status read_version(struct db *db, void *context, struct problems *problems)
{
    return catalog_read_version(db, problems, context);
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
    int64_t number;  /* < 0: the newest */
    unsigned wanted; /* bits of the files */
    date_t day;      /* of the offers; unknown: those that hold */
    struct arena *arena;
    struct catalog_text files[CATALOG_FILE_COUNT];
    struct store_version version;
};

/* Makes `version` the one that was asked for. */
static enum status choose_version(struct db *db, int64_t number, struct problems *problems,
                                  struct store_version *version)
{
    enum status status = catalog_read_version(db, problems, version);
    if (status != STATUS_OK || number < 0) return status;
    char text[DB_INT64_BYTES];
    const char *const values[] = {db_int64_text(number, text)};
    DB_RESULT *result = NULL;
    status = db_query(db, QUERY_CATALOG_HAS_VERSION, values, problems, &result);
    if (status != STATUS_OK) return status;
    if (*db_text(result, 0, 0) != 't')
        return problems_add(problems, STATUS_NOT_FOUND, "catalog_version", "there was no version %s; the newest is %s",
                            text, version->text);
    version->number = number;
    (void)snprintf(strchr(version->text, ':') + 1, DB_INT64_BYTES, "%s", text);
    return STATUS_OK;
}

/* COPY takes no parameters: its queries read settings. */
static enum status set_readings(struct db *db, struct reading *reading, struct problems *problems)
{
    char day[DATE_TEXT_BYTES];
    enum status status = choose_version(db, reading->number, problems, &reading->version);
    if (status != STATUS_OK) return status;
    const char *const number[] = {"gpusize.reading", strchr(reading->version.text, ':') + 1};
    status = db_query(db, QUERY_SETTING_SET, number, problems, NULL);
    if (status != STATUS_OK || !date_known(reading->day)) return status;
    return db_query(db, QUERY_SETTING_SET, (const char *const[]){"gpusize.day", date_format(reading->day, day)},
                    problems, NULL);
}

static enum status read_tables(struct db *db, void *context, struct problems *problems)
{
    struct reading *reading = context;
    enum status status = set_readings(db, reading, problems);
    for (enum catalog_file file = 0; file < CATALOG_FILE_COUNT && status == STATUS_OK; file++) {
        struct catalog_text *text = &reading->files[file];
        enum query query = file == FILE_OFFERS && date_known(reading->day) ? QUERY_READ_OFFERS_ON : tables[file].read;
        *text = (struct catalog_text){.name = catalog_bundled()[file].name};
        if (reading->wanted & 1U << file)
            status = db_copy_out(db, query_text(query), reading->arena, problems, &text->text, &text->length);
    }
    return status;
}

static enum status read_texts(struct store *store, struct reading *reading, struct problems *problems,
                              struct catalog_text ret_files[CATALOG_FILE_COUNT], struct store_version *ret_version)
{
    enum status status = tx_run(store, TX_READ, read_tables, reading, problems);
    if (status != STATUS_OK) return status;
    if (reading->version.number == 0)
        return problems_add(problems, STATUS_DATABASE, "", "the database has no catalog yet");
    memcpy(ret_files, reading->files, sizeof reading->files);
    *ret_version = reading->version;
    return STATUS_OK;
}

enum status store_catalog_read(struct store *store, int64_t number, struct arena *arena, struct problems *problems,
                               struct catalog_text ret_files[CATALOG_FILE_COUNT], struct store_version *ret_version)
{
    struct reading reading = {.number = number, .wanted = ~0U, .day = DATE_UNKNOWN, .arena = arena};
    return read_texts(store, &reading, problems, ret_files, ret_version);
}

enum status store_catalog_read_on(struct store *store, int64_t number, date_t day, struct arena *arena,
                                  struct problems *problems, struct catalog_text ret_files[CATALOG_FILE_COUNT],
                                  struct store_version *ret_version)
{
    const unsigned wanted = 1U << FILE_GPUS | 1U << FILE_GPU_ALIASES | 1U << FILE_REGIONS | 1U << FILE_OFFERS;
    struct reading reading = {.number = number, .wanted = wanted, .day = day, .arena = arena};
    return read_texts(store, &reading, problems, ret_files, ret_version);
}

enum status store_catalog_read_some(struct store *store, unsigned wanted, struct arena *arena,
                                    struct problems *problems, struct catalog_text ret_files[CATALOG_FILE_COUNT])
{
    struct store_version version;
    struct reading reading = {.number = -1, .wanted = wanted, .day = DATE_UNKNOWN, .arena = arena};
    return read_texts(store, &reading, problems, ret_files, &version);
}

struct observations {
    struct arena *arena;
    struct catalog_text text;
};

static enum status read_observations(struct db *db, void *context, struct problems *problems)
{
    struct observations *read = context;
    return db_copy_out(db, query_text(QUERY_READ_OBSERVATIONS), read->arena, problems, &read->text.text,
                       &read->text.length);
}

enum status store_observations_read(struct store *store, struct arena *arena, struct problems *problems,
                                    struct catalog_text *ret_text)
{
    struct observations read = {.arena = arena, .text = {.name = "gpusize.observation"}};
    enum status status = tx_run(store, TX_READ, read_observations, &read, problems);
    if (status == STATUS_OK) *ret_text = read.text;
    return status;
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
    return db_copy_end(db, status, problems);
}

static enum status merge(struct db *db, const char *table, const char *keys, struct problems *problems, size_t *rows)
{
    const char *const values[] = {table, "pg_temp.staged", keys};
    DB_RESULT *result = NULL;
    enum status status = db_query(db, QUERY_MERGE_ROWS, values, problems, &result);
    if (status == STATUS_OK) *rows += (size_t)db_int64(result, 0, 0);
    return status;
}

/* What comes before the rows: words that other tables refer to, and which are no facts of their own; the rows of a
 * profile that it has no more. Not prepared: `staged` is another table each time. */
static const struct {
    enum catalog_file file;
    const char *sql;
} words[] = {
    {FILE_ENGINE_PROFILES,
     "insert into gpusize.engine select distinct engine from pg_temp.staged on conflict do nothing"},
    {FILE_ENGINE_PROFILES,
     "delete from gpusize.engine_profile p where p.to_version is null and exists (select from pg_temp.staged s where "
     "(s.engine, s.version_from) = (p.engine, p.version_from)) and not exists (select from pg_temp.staged s where "
     "(s.engine, s.version_from, s.coefficient) = (p.engine, p.version_from, p.coefficient) and (s.version_to, s.load, "
     "s.gpu, s.family, s.weight_dtype) is not distinct from (p.version_to::text, p.load::text, p.gpu::text, "
     "p.family::text, p.weight_dtype::text))"},
    {FILE_CALIBRATIONS, /* those that come with the program are of no use where somebody has retired the GPU */
     "delete from pg_temp.staged s where s.pool = 'published' and not exists (select from gpusize.gpu g where "
     "g.live_id "
     "= lower(s.gpu_id))"},
    {FILE_REGIONS, "insert into gpusize.provider select distinct provider from pg_temp.staged on conflict do nothing"},
    {FILE_OFFERS, "update pg_temp.staged s set provider = p.provider from gpusize.provider p "
                  "where lower(p.provider) = lower(s.provider) and p.provider <> s.provider"},
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
static enum status merge_offers(struct db *db, struct problems *problems, size_t *rows)
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
                       "{provider,instance_type,region,zone,gpu_id,gpu_count,purchase,term_months}", problems, rows);
    if (status == STATUS_OK)
        status =
            db_command(db,
                       "alter table pg_temp.staged add offer_id text; update pg_temp.staged s set offer_id = o.id "
                       "from gpusize.offer o where o.to_version is null and (o.provider, o.instance_type, o.gpu_id, "
                       "o.gpu_count::text, o.purchase) = (s.provider, s.instance_type, s.gpu_id, s.gpu_count, "
                       "s.purchase) and (o.region, o.zone, o.term_months) = (coalesce(s.region, ''), "
                       "coalesce(s.zone, ''), coalesce(s.term_months, '0')::integer)",
                       problems);
    return status == STATUS_OK ? merge(db, "gpusize.offer_price", "{offer_id}", problems, rows) : status;
}

/* Many rows at once are one line of the audit log. */
static enum status record_rows(struct db *db, size_t rows, struct problems *problems)
{
    char count[DB_INT64_BYTES];
    const char *const values[] = {db_int64_text((int64_t)rows, count)};
    return db_query(db, QUERY_AUDIT_FILES, values, problems, NULL);
}

enum status catalog_write_file(struct db *db, enum catalog_file file, const struct catalog_text *text,
                               struct problems *problems, size_t *rows)
{
    enum status status = stage(db, text, problems);
    if (status == STATUS_OK) status = add_words(db, file, problems);
    if (status != STATUS_OK) return status;
    return tables[file].table ? merge(db, tables[file].table, tables[file].keys, problems, rows)
                              : merge_offers(db, problems, rows);
}

static enum status write_tables(struct db *db, struct catalog_writing *writing, struct problems *problems)
{
    enum status status = db_command(db, "set local gpusize.bulk = on", problems);
    for (enum catalog_file file = 0; file < CATALOG_FILE_COUNT && status == STATUS_OK; file++) {
        if (writing->files[file].text)
            status = catalog_write_file(db, file, &writing->files[file], problems, &writing->rows);
    }
    return status == STATUS_OK && writing->rows > 0 ? record_rows(db, writing->rows, problems) : status;
}

enum status catalog_write(struct db *db, void *context, struct problems *problems)
{
    struct catalog_writing *writing = context;
    struct store_version version = {0};
    enum status status = db_lift_limits(db, problems);
    if (status == STATUS_OK) status = db_query(db, QUERY_CATALOG_LOCK, NULL, problems, NULL);
    if (status == STATUS_OK && writing->only_empty) status = catalog_read_version(db, problems, &version);
    writing->rows = 0;
    return status == STATUS_OK && version.number == 0 ? write_tables(db, writing, problems) : status;
}

static enum status write_catalog(struct store *store, struct catalog_writing writing, struct problems *problems,
                                 size_t *ret_rows)
{
    enum status status = tx_run(store, TX_WRITE, catalog_write, &writing, problems);
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

/* What a database of an older program lacks. */
struct lacks {
    bool coefficients, calibrations;
};

static enum status find_lacks(struct db *db, void *context, struct problems *problems)
{
    enum { NAMES_BYTES = 8192 };
    struct lacks *lacks = context;
    char names[NAMES_BYTES] = "{";
    const char *const values[] = {names};
    DB_RESULT *result = NULL, *published = NULL;
    for (size_t i = 0; i < coef_count; i++) {
        size_t used = strlen(names);
        (void)snprintf(names + used, sizeof names - used, "%s%s", coef_infos[i].name, i + 1 < coef_count ? "," : "}");
    }
    enum status status = db_query(db, QUERY_PROFILES_LACK, values, problems, &result);
    if (status == STATUS_OK) status = db_query(db, QUERY_CALIBRATIONS_LACK, NULL, problems, &published);
    if (status != STATUS_OK) return status;
    lacks->coefficients = db_int64(result, 0, 0) > 0;
    lacks->calibrations = *db_text(published, 0, 0) == 't';
    return STATUS_OK;
}

enum status store_profiles_refresh(struct store *store, const struct catalog_text files[CATALOG_FILE_COUNT],
                                   struct problems *problems, size_t *ret_rows)
{
    struct lacks lacks = {false, false};
    struct catalog_text lacking[CATALOG_FILE_COUNT] = {0};
    enum status status = tx_run(store, TX_READ, find_lacks, &lacks, problems);
    *ret_rows = 0;
    if (lacks.coefficients) lacking[FILE_ENGINE_PROFILES] = files[FILE_ENGINE_PROFILES];
    if (lacks.calibrations) lacking[FILE_CALIBRATIONS] = files[FILE_CALIBRATIONS];
    bool lack = lacks.coefficients || lacks.calibrations;
    return status == STATUS_OK && lack ? store_catalog_write(store, lacking, problems, ret_rows) : status;
}
