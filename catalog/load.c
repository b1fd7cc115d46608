/* load.c owns the order in which files become a snapshot, its version and its day. */
#include "catalog/load.h"

#include "catalog/loaders.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { VERSION_BYTES = 16 };

static void hash_text(crypto_generichash_state *state, const struct catalog_text *file)
{
    uint64_t length = file->text ? file->length : 0;
    unsigned char length_bytes[sizeof length]; /* little-endian on every machine */
    for (size_t b = 0; b < sizeof length; b++)
        length_bytes[b] = (unsigned char)(length >> (8 * b));
    (void)crypto_generichash_update(state, length_bytes, sizeof length_bytes);
    if (length) (void)crypto_generichash_update(state, (const unsigned char *)file->text, length);
}

static void set_version(struct loading *loading)
{
    unsigned char hash[VERSION_BYTES];
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++) {
        hash_text(&state, &loading->files[i]);
        if (loading->files[i].over) hash_text(&state, loading->files[i].over);
    }
    for (size_t i = 0; i < OWN_FILE_COUNT; i++)
        hash_text(&state, &catalog_own()[i]);
    (void)crypto_generichash_final(&state, hash, sizeof hash);
    char *version = loading_alloc(loading, &loading->snapshot->arena, 2 * sizeof hash + 1, 1);
    if (version) loading->snapshot->version = sodium_bin2hex(version, 2 * sizeof hash + 1, hash, sizeof hash);
}

/* Prices age; where there are none, the newest fact about a GPU says how old the catalog is. */
static void set_as_of(struct snapshot *snapshot)
{
    snapshot->as_of = DATE_UNKNOWN;
    for (size_t i = 0; i < snapshot->offer_count; i++) {
        if (snapshot->offers[i].as_of.days > snapshot->as_of.days) snapshot->as_of = snapshot->offers[i].as_of;
    }
    for (size_t i = 0; snapshot->offer_count == 0 && i < snapshot->gpu_count; i++) {
        if (snapshot->gpus[i].as_of.days > snapshot->as_of.days) snapshot->as_of = snapshot->gpus[i].as_of;
    }
}

/* In this order, since later files refer to earlier ones. */
static void (*const file_loaders[])(struct loading *loading) = {
    load_gpus,         load_models,       load_engine_profiles, load_engine_support,  load_aliases,
    load_regions,      load_offers,       load_purchase_prices, load_operating_costs, load_api_prices,
    load_measurements, load_calibrations, load_training,        load_qualities,       set_version,
};

enum status catalog_load_within(const struct catalog_text files[CATALOG_FILE_COUNT], size_t max_bytes,
                                struct problems *problems, struct snapshot **ret_snapshot)
{
    struct arena arena;
    arena_init(&arena, max_bytes);
    struct snapshot *snapshot = ARENA_NEW(&arena, struct snapshot);
    if (!snapshot) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a catalog");
    snapshot->arena = arena;
    struct loading loading = {.snapshot = snapshot, .files = files, .problems = problems};
    arena_init(&loading.scratch, max_bytes);
    for (size_t i = 0; i < sizeof file_loaders / sizeof *file_loaders && !loading.out_of_memory; i++)
        file_loaders[i](&loading);
    arena_done(&loading.scratch);
    if (loading.out_of_memory || loading.bad_count > 0) {
        snapshot_free(snapshot);
        return loading.bad_count > 0 ? STATUS_BAD_ROW
                                     : problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the catalog");
    }
    set_as_of(snapshot);
    *ret_snapshot = snapshot;
    return STATUS_OK;
}

enum status catalog_load(const struct catalog_text files[CATALOG_FILE_COUNT], struct problems *problems,
                         struct snapshot **ret_snapshot)
{
    return catalog_load_within(files, 0, problems, ret_snapshot);
}

enum status catalog_load_version(const struct catalog_text files[CATALOG_FILE_COUNT], const char *version,
                                 struct problems *problems, struct snapshot **ret_snapshot)
{
    struct snapshot *snapshot = NULL;
    enum status status = catalog_load(files, problems, &snapshot);
    if (status != STATUS_OK) return status;
    assert(snapshot);
    snapshot->version = arena_strdup(&snapshot->arena, version);
    if (!snapshot->version) {
        snapshot_free(snapshot);
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the catalog");
    }
    *ret_snapshot = snapshot;
    return STATUS_OK;
}

enum status catalog_check(const struct catalog_text files[CATALOG_FILE_COUNT], enum status refused,
                          struct problems *problems)
{
    struct problems found;
    struct snapshot *snapshot = NULL;
    problems_init(&found, problems->arena);
    enum status status = catalog_load(files, &found, &snapshot);
    snapshot_free(snapshot);
    if (status != STATUS_OK && status != STATUS_OUT_OF_MEMORY) status = refused;
    for (size_t i = 0; i < found.count; i++) { /* "models.csv:2 hidden_size" */
        const char *space = strrchr(found.items[i].field, ' ');
        (void)problems_add(problems, status, space ? space + 1 : "", "%s", found.items[i].detail);
    }
    return status;
}

static const struct column *column_at(enum catalog_file file, size_t index)
{
    const struct table *table = file == FILE_GPUS ? &gpu_table : file == FILE_MODELS ? &model_table : &offer_table;
    for (size_t i = 0; i < table->column_count; i++) {
        if (!table->columns[i].loose && index-- == 0) return &table->columns[i];
    }
    return NULL;
}

const char *catalog_column(enum catalog_file file, size_t index)
{
    const struct column *column = column_at(file, index);
    return column ? column->header : NULL;
}

enum catalog_type catalog_column_type(enum catalog_file file, const char *name)
{
    static const enum catalog_type types[] = {
        [CELL_TEXT] = CATALOG_TEXT,  [CELL_ID] = CATALOG_TEXT,       [CELL_CHOICE] = CATALOG_TEXT,
        [CELL_DATE] = CATALOG_TEXT,  [CELL_DOUBLE] = CATALOG_NUMBER, [CELL_UINT32] = CATALOG_NUMBER,
        [CELL_USD] = CATALOG_NUMBER, [CELL_BOOL] = CATALOG_BOOL,
    };
    const struct column *column = NULL;
    for (size_t i = 0; (column = column_at(file, i)); i++) {
        if (strcmp(column->header, name) == 0) return types[column->kind];
    }
    return CATALOG_NO_COLUMN;
}
