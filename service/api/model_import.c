/* model_import.c owns the row that a config.json becomes: its facts, and the file itself beside them. */
#include "api/model_import.h"

#include "catalog/csv.h"
#include "hf/hf_config.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

struct config_request {
    struct model_ref model;
};
static const struct field config_field[] = {
    {.name = "model", .group = "", .kind = FIELD_MODEL, .offset = offsetof(struct config_request, model)}};

/* As requests have it: what only Python writes is null, and the same config is the same text. */
static enum status read_config(const struct model_file *file, struct arena *arena, struct problems *problems,
                               struct model_entry *entry)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    struct input *input = NULL;
    struct config_request request;
    const struct pair pair = {"config", file->text};
    enum status status = input_from_pairs(arena, &pair, 1, problems, &input);
    if (status == STATUS_OK) status = input_decode(input, arena, config_field, 1, &request, problems);
    input_done(input);
    if (status != STATUS_OK) return status;
    entry->config = request.model.config_json;
    (void)crypto_hash_sha256(hash, (const unsigned char *)file->text, file->length);
    (void)sodium_bin2hex(entry->config_sha256, sizeof entry->config_sha256, hash, sizeof hash);
    return STATUS_OK;
}

static enum status no_memory(struct problems *problems)
{
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the model");
}

/* What the loader of the catalog would refuse must not come into it. */
static enum status check_row(const struct model *model, struct arena *arena, struct problems *problems)
{
    struct catalog_text files[CATALOG_FILE_COUNT] = {0};
    size_t count = 0;
    const struct csv_cell *cells = catalog_model_cells(model, arena, &count);
    const char *text = cells ? csv_text(cells, count, true, arena) : NULL;
    if (!text) return no_memory(problems);
    files[FILE_MODELS] = (struct catalog_text){.name = "model", .text = text, .length = strlen(text)};
    return catalog_check(files, STATUS_MALFORMED_CONFIG, problems);
}

enum status model_import_read(const struct model_file *file, struct arena *arena, struct problems *problems,
                              struct model_entry *ret_entry)
{
    struct model_entry entry = {.config = NULL};
    enum status status = hf_config_parse(file->text, file->length, file->id, arena, problems, "config", &entry.model);
    if (status != STATUS_OK) return status;
    entry.model.source = file->source;
    entry.model.as_of = file->as_of;
    status = check_row(&entry.model, arena, problems);
    if (status == STATUS_OK) status = read_config(file, arena, problems, &entry);
    if (status == STATUS_OK) *ret_entry = entry;
    return status;
}

enum status model_import_cells(const struct model_entry *entry, struct arena *arena, struct problems *problems,
                               struct csv_cell cells[MODEL_CELLS_MAX], size_t *ret_count)
{
    size_t count = 0;
    const struct csv_cell *facts = catalog_model_cells(&entry->model, arena, &count);
    if (!facts) return no_memory(problems);
    assert(count + 2 <= MODEL_CELLS_MAX);
    memcpy(cells, facts, count * sizeof *cells);
    cells[count++] = (struct csv_cell){"config", entry->config};
    cells[count++] = (struct csv_cell){"config_sha256", entry->config_sha256};
    *ret_count = count;
    return STATUS_OK;
}

enum status model_import_write(struct store *store, const struct model_entry *entries, size_t count,
                               struct problems *problems, size_t *ret_rows)
{
    struct catalog_text files[CATALOG_FILE_COUNT] = {0};
    struct csv_cell cells[MODEL_CELLS_MAX];
    struct arena arena;
    struct out out;
    enum status status = STATUS_OK;
    arena_init(&arena, 0);
    out_init(&out, 0);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        size_t cell_count = 0;
        status = model_import_cells(&entries[i], &arena, problems, cells, &cell_count);
        const char *text = status == STATUS_OK ? csv_text(cells, cell_count, i == 0, &arena) : NULL;
        if (text)
            out_raw(&out, text, strlen(text));
        else
            out.failed = true;
    }
    files[FILE_MODELS] = (struct catalog_text){.name = "models.csv", .text = out.data, .length = out.length};
    if (status == STATUS_OK && out.failed) status = no_memory(problems);
    if (status == STATUS_OK) status = store_catalog_write(store, files, problems, ret_rows);
    out_done(&out);
    arena_done(&arena);
    return status;
}
