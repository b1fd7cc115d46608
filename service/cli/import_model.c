/* import_model.c owns the files of models: their names, what is refused, and the report. */
#include "cli/import_model.h"

#include "api/model_import.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CONFIG_MAX_BYTES = 16 << 20, MODELS_ARENA_BYTES = 256 << 20, PROBLEMS_ARENA_BYTES = 1 << 20 };

struct model_request {
    const char *id, *source;
    date_t as_of;
};
const struct field model_import_fields[MODEL_FIELDS] = {
    {.name = "id",
     .group = "",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct model_request, id),
     .preset = "org/name of a file org--name.json",
     .help = "What the model is called."},
    {.name = "source",
     .group = "",
     .kind = FIELD_LINE,
     .offset = offsetof(struct model_request, source),
     .preset = "the file's name",
     .help = "Where the file comes from."},
    {.name = "as_of",
     .group = "",
     .kind = FIELD_DATE,
     .offset = offsetof(struct model_request, as_of),
     .preset = "today",
     .help = "Of when the file is."},
};

/* Models under way. */
struct models {
    struct arena *arena;
    struct model_request request;
    struct model_entry *entries;
    size_t count;
};

/* "org/name" of "folder/org--name.json" or "org__name.json"; NULL if the name does not tell. */
static const char *id_of(const char *path, struct arena *arena)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dashes = strstr(name, "--"), *lines = strstr(name, "__"), *dot = strrchr(name, '.');
    const char *middle = dashes ? dashes : lines;
    if (!middle || middle == name || !dot || dot <= middle + 2 || strcasecmp(dot, ".json") != 0) return NULL;
    return arena_printf(arena, "%.*s/%.*s", (int)(middle - name), name, (int)(dot - middle - 2), middle + 2);
}

static enum status check_id(const struct models *models, const char *id, struct problems *problems)
{
    if (!id)
        return problems_add(problems, STATUS_MISSING_FIELD, "id",
                            "the file's name does not tell it: give --id org/name, or name the file org--name.json");
    for (size_t i = 0; i < models->count; i++) {
        if (strcasecmp(models->entries[i].model.id, id) == 0)
            return problems_add(problems, STATUS_DUPLICATE_FIELD, "id", "an earlier file is %s, too", id);
    }
    return STATUS_OK;
}

static enum status add_text(struct models *models, const char *path, const char *text, size_t length,
                            struct problems *problems)
{
    const char *id = models->request.id ? models->request.id : id_of(path, models->arena);
    const char *slash = strrchr(path, '/');
    struct model_file file = {
        .id = id, .source = models->request.source, .as_of = models->request.as_of, .text = text, .length = length};
    enum status status = check_id(models, id, problems);
    if (!file.source) file.source = arena_printf(models->arena, "model %s", slash ? slash + 1 : path);
    if (status == STATUS_OK && !file.source)
        status = problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the model");
    if (status == STATUS_OK)
        status = model_import_read(&file, models->arena, problems, &models->entries[models->count]);
    if (status == STATUS_OK) models->count++;
    return status;
}

/* One file. What is wrong with it is told at once, below its name. */
static enum status add_file(struct models *models, const char *path)
{
    struct arena arena;
    struct problems problems;
    const char *text = NULL;
    size_t length = 0;
    arena_init(&arena, CONFIG_MAX_BYTES + PROBLEMS_ARENA_BYTES);
    problems_init(&problems, &arena);
    enum status status = cli_read_file(path, CONFIG_MAX_BYTES, &arena, "file", &problems, &text, &length);
    if (status == STATUS_OK) status = add_text(models, path, text, length, &problems);
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "%s is refused:\n", path);
        (void)cli_report(&problems, status);
    }
    arena_done(&arena);
    return status;
}

static bool print_json(const struct models *models, size_t refused, size_t rows)
{
    struct out out;
    out_init(&out, 0);
    out_object(&out, NULL);
    out_integer(&out, "written_rows", (int64_t)rows);
    out_integer(&out, "refused_files", (int64_t)refused);
    out_array(&out, "models");
    for (size_t i = 0; i < models->count; i++) {
        out_object(&out, NULL);
        out_text(&out, "id", models->entries[i].model.id);
        out_number(&out, "parameters", models->entries[i].model.parameters);
        out_text(&out, "config_sha256", models->entries[i].config_sha256);
        out_object_end(&out);
    }
    out_array_end(&out);
    out_object_end(&out);
    bool written = cli_write_line(&out);
    out_done(&out);
    return written;
}

static bool print_text(const struct models *models, size_t refused, size_t rows)
{
    for (size_t i = 0; i < models->count; i++) {
        const struct model *model = &models->entries[i].model;
        (void)printf("%s: %.4g parameters, %u layers\n", model->id, model->parameters, model->layers);
    }
    (void)printf("%zu models read, %zu of them new or changed; %zu files refused\n", models->count, rows, refused);
    return fflush(stdout) == 0;
}

static enum status read_request(const struct input *input, size_t count, struct arena *arena, struct problems *problems,
                                struct model_request *request)
{
    enum status status = input_decode(input, arena, model_import_fields, MODEL_FIELDS, request, problems);
    if (status != STATUS_OK) return status;
    if (!date_known(request->as_of)) request->as_of = cli_today();
    if (count == 0) return problems_add(problems, STATUS_MISSING_FIELD, "file", "say which: gpusize import model FILE");
    if (count > 1 && request->id)
        return problems_add(problems, STATUS_CONTRADICTION, "id", "one id for %zu files: name them org--name.json",
                            count);
    return STATUS_OK;
}

static enum status add_files(struct store *store, const char *const *paths, size_t count, bool json,
                             struct problems *problems, struct models *models)
{
    struct store_schema schema;
    size_t rows = 0, refused = 0;
    enum status worst = STATUS_OK, status = store_schema_check(store, problems, &schema);
    models->entries = ARENA_ARRAY(models->arena, count, struct model_entry);
    if (status == STATUS_OK && !models->entries)
        status = problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the models");
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        enum status one = add_file(models, paths[i]);
        refused += one != STATUS_OK;
        if (one != STATUS_OK) worst = one;
    }
    if (status == STATUS_OK && models->count)
        status = model_import_write(store, models->entries, models->count, problems, &rows);
    if (status == STATUS_OK && !(json ? print_json : print_text)(models, refused, rows))
        status = problems_add(problems, STATUS_IO, "", "the report cannot be written; the models were");
    if (status == STATUS_OK && refused)
        return problems_add(problems, worst, "", "%zu of %zu files were refused", refused, count);
    return status;
}

enum status import_models(struct store *store, const char *const *paths, size_t count, const struct input *input,
                          bool json, struct problems *problems)
{
    struct arena arena;
    struct models models = {.arena = &arena};
    arena_init(&arena, MODELS_ARENA_BYTES);
    enum status status = read_request(input, count, &arena, problems, &models.request);
    if (status == STATUS_OK) status = add_files(store, paths, count, json, problems, &models);
    arena_done(&arena);
    return status;
}
