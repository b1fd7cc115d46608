/* model_import.c owns the row that a config.json becomes: its facts, and the file itself beside them. */
#include "api/model_import.h"

#include "hf/hf_config.h"
#include "wire/input.h"

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

/* What the loader of the catalog would refuse must not come into it. */
static enum status check_row(const struct model *model, struct arena *arena, struct problems *problems)
{
    struct catalog_text files[CATALOG_FILE_COUNT] = {0};
    struct snapshot *snapshot = NULL;
    const char *columns = catalog_model_line(NULL, arena), *line = catalog_model_line(model, arena);
    const char *text = columns && line ? arena_printf(arena, "%s\n%s\n", columns, line) : NULL;
    if (!text) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the model");
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++)
        files[i].name = catalog_bundled()[i].name;
    files[FILE_MODELS] = (struct catalog_text){"model", text, strlen(text)};
    enum status status = catalog_load(files, problems, &snapshot);
    snapshot_free(snapshot);
    return status;
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
    return status == STATUS_BAD_ROW ? STATUS_MALFORMED_CONFIG : status; /* the file's fault, not ours */
}

static void put_quoted(struct out *out, const char *text)
{
    out_raw(out, "\"", 1);
    for (size_t length; *text; text += length) {
        length = *text == '"' ? 1 : strcspn(text, "\"");
        if (*text == '"') out_raw(out, "\"", 1);
        out_raw(out, text, length);
    }
    out_raw(out, "\"", 1);
}

static void put_texts(struct out *out, const char *const *texts)
{
    for (; *texts; texts++)
        out_raw(out, *texts, strlen(*texts));
}

static void put_entry(struct out *out, const struct model_entry *entry, struct arena *arena)
{
    const char *line = catalog_model_line(&entry->model, arena);
    if (!line) out->failed = true;
    put_texts(out, (const char *const[]){line ? line : "", ",", entry->config_sha256, ",", NULL});
    put_quoted(out, entry->config);
    out_raw(out, "\n", 1);
}

enum status model_import_write(struct store *store, const struct model_entry *entries, size_t count,
                               struct problems *problems, size_t *ret_rows)
{
    struct catalog_text files[CATALOG_FILE_COUNT] = {0};
    struct arena arena;
    struct out out;
    arena_init(&arena, 0);
    out_init(&out, 0);
    const char *columns = catalog_model_line(NULL, &arena);
    if (!columns) out.failed = true;
    put_texts(&out, (const char *const[]){columns ? columns : "", ",config_sha256,config\n", NULL});
    for (size_t i = 0; i < count; i++)
        put_entry(&out, &entries[i], &arena);
    files[FILE_MODELS] = (struct catalog_text){"models.csv", out.data, out.length};
    enum status status = out.failed ? problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the models")
                                    : store_catalog_write(store, files, problems, ret_rows);
    out_done(&out);
    arena_done(&arena);
    return status;
}
