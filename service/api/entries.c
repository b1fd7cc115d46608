/* entries.c owns the operations that make, change and retire single entries of the catalog: GPUs, models, offers. */
#include "api/actor.h"
#include "api/model_import.h"

#include "catalog/text.h"
#include "store/change.h"

#include <string.h>

enum { SUGGEST_DISTANCE = 3, ETAG_TEXT_BYTES = 32 };

struct entry_request {
    const char *id;
};

static const struct field id_field[] = {
    {.name = "id",
     .group = "",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct entry_request, id),
     .required = true,
     .help = "Which entry: its id in the list."},
};

/* What an operation does to which kind of entry: its context. */
struct entry_operation {
    enum catalog_file file;
    enum store_change_kind kind;
};

/* --- what is given --- */

struct values {
    struct csv_cell items[STORE_VALUES_MAX];
    size_t count;
};

/* The column that a name probably meant, or NULL. */
static const char *nearest_column(enum catalog_file file, const char *name)
{
    const char *nearest = NULL, *column = NULL;
    size_t distance = SUGGEST_DISTANCE + 1;
    for (size_t i = 0; (column = catalog_column(file, i)); i++) {
        size_t here = text_distance(name, column, SUGGEST_DISTANCE);
        if (here >= distance) continue;
        nearest = column;
        distance = here;
    }
    return nearest;
}

static void refuse_name(struct call *call, enum catalog_file file, const char *name)
{
    const char *nearest = nearest_column(file, name);
    (void)problems_add(call->problems, STATUS_UNKNOWN_FIELD, name, "no such field%s%s%s",
                       nearest ? "; did you mean " : "; see /docs for the fields", nearest ? nearest : "",
                       nearest ? "?" : "");
}

/* Names of GPUs are as in questions: ids or aliases of one part. */
static const char *gpu_id_of(struct call *call, const char *name)
{
    const struct gpu *gpu = NULL;
    enum status status = snapshot_find_gpu(call->snapshot, ALIAS_USER, name, "gpu_id", call->problems, &gpu);
    return status == STATUS_OK ? gpu->id : "";
}

static const char *find_cell(const struct cell *cells, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(cells[i].name, name) == 0) return cells[i].value;
    }
    return NULL;
}

/* What a model's config.json tells, under what is given beside it. */
static enum status read_config(struct call *call, const char *id, const struct cell *cells, size_t cell_count,
                               const char *config, struct values *values)
{
    struct model_entry *entry = ARENA_NEW(call->arena, struct model_entry);
    struct csv_cell *derived = ARENA_ARRAY(call->arena, MODEL_CELLS_MAX, struct csv_cell);
    const char *source = find_cell(cells, cell_count, "source");
    size_t count = 0;
    if (!entry || !derived) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the model");
    if (!id) id = find_cell(cells, cell_count, "id");
    if (!id || !*id) return problems_add(call->problems, STATUS_MISSING_FIELD, "id", "say what the model is called");
    struct model_file file = {
        .id = id, .source = source ? source : "", .as_of = call->today, .text = config, .length = strlen(config)};
    const char *day = find_cell(cells, cell_count, "as_of");
    if (day) (void)date_parse(day, &file.as_of); /* a bad one is told with the other cells */
    enum status status = model_import_read(&file, call->arena, call->problems, entry);
    if (status == STATUS_OK) status = model_import_cells(entry, call->arena, call->problems, derived, &count);
    for (size_t i = 0; status == STATUS_OK && i < count && values->count < STORE_VALUES_MAX; i++) {
        if (!find_cell(cells, cell_count, derived[i].column) || strcmp(derived[i].column, "config") == 0)
            values->items[values->count++] = derived[i];
    }
    return status;
}

/* Whether it is a column, and of the column's type; else a problem. */
static bool check_cell(struct call *call, enum catalog_file file, const struct cell *cell)
{
    static const struct {
        enum cell_type type;
        const char *name;
    } wanted[] = {[CATALOG_TEXT] = {CELL_IS_TEXT, "a text"},
                  [CATALOG_NUMBER] = {CELL_IS_NUMBER, "a number"},
                  [CATALOG_BOOL] = {CELL_IS_BOOL, "true or false"}};
    enum catalog_type type = catalog_column_type(file, cell->name);
    if (type == CATALOG_NO_COLUMN)
        refuse_name(call, file, cell->name);
    else if (cell->type != CELL_IS_NULL && cell->type != wanted[type].type)
        (void)problems_add(call->problems, STATUS_WRONG_TYPE, cell->name, "must be %s", wanted[type].name);
    else
        return true;
    return false;
}

/* Members of the body, all of which must be columns; or a model's config. `id` is of the entry that changes, or NULL.
 */
static enum status read_values(struct call *call, enum catalog_file file, const char *id, struct values *values)
{
    struct input *input = NULL;
    const struct cell *cells = NULL;
    size_t count = 0;
    enum status status = input_from_json(call->arena, call->body, call->body_length, call->problems, &input);
    if (status == STATUS_OK)
        status = input_cells(input, file == FILE_MODELS ? "config" : NULL, call->arena, call->problems, &cells, &count);
    input_done(input);
    const char *config = status == STATUS_OK && file == FILE_MODELS ? find_cell(cells, count, "config") : NULL;
    if (config) status = read_config(call, id, cells, count, config, values);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        bool gpu = file == FILE_OFFERS && strcmp(cells[i].name, "gpu_id") == 0;
        const char *text = gpu ? gpu_id_of(call, cells[i].value) : cells[i].value;
        if (config && strcmp(cells[i].name, "config") == 0) continue;
        if (check_cell(call, file, &cells[i]) && values->count < STORE_VALUES_MAX)
            values->items[values->count++] = (struct csv_cell){cells[i].name, text};
    }
    return status == STATUS_OK ? problems_status(call->problems) : status;
}

/* "17" of If-Match, with its quotes; "*" is any version. */
static enum status read_if_match(struct call *call, int64_t *ret_version)
{
    char digits[ETAG_TEXT_BYTES];
    const char *given = call->if_match;
    if (!given)
        return problems_add(call->problems, STATUS_PRECONDITION_REQUIRED, "If-Match",
                            "send the version that you have read, as in If-Match: \"17\"; \"*\" is any");
    size_t length = strlen(given);
    bool quoted = length >= 2 && given[0] == '"' && given[length - 1] == '"';
    const char *text = quoted ? given + 1 : given;
    length -= quoted ? 2 : 0;
    *ret_version = -1;
    if (length == 1 && *text == '*') return STATUS_OK;
    if (length > 0 && length < sizeof digits) {
        memcpy(digits, text, length);
        digits[length] = '\0';
        if (text_parse_int64(digits, ret_version) && *ret_version > 0) return STATUS_OK;
    }
    return problems_add(call->problems, STATUS_INVALID_VALUE, "If-Match",
                        "is no version of an entry: it looks like \"17\", and the entry's `version` tells it");
}

static enum status read_id(struct call *call, enum catalog_file file, const char **ret_id)
{
    struct entry_request request;
    int64_t number = 0;
    enum status status = input_decode(call->input, call->arena, id_field, 1, &request, call->problems);
    if (status != STATUS_OK) return status;
    *ret_id = request.id;
    if (file != FILE_OFFERS || (text_parse_int64(request.id, &number) && number > 0)) return STATUS_OK;
    return problems_add(call->problems, STATUS_INVALID_VALUE, "id", "\"%s\" is no number of an offer; see /v1/offers",
                        request.id);
}

/* --- the change --- */

static const char *given_id(const struct values *values)
{
    for (size_t i = 0; i < values->count; i++) {
        if (strcmp(values->items[i].column, "id") == 0) return values->items[i].text;
    }
    return NULL;
}

static enum status apply(struct call *call, struct store_change change)
{
    struct store_actor actor;
    struct store_written written;
    int64_t version = 0;
    enum status status = api_actor_init(call, &actor);
    if (status != STATUS_OK) return status;
    change.actor = &actor;
    status = store_change(call->store, &change, call->arena, call->problems, &written, &version);
    if (status != STATUS_OK) return status;
    out_raw(call->out, written.json, strlen(written.json));
    call->http_status = written.http_status;
    if (version > 0) call->etag = arena_printf(call->arena, "\"%lld\"", (long long)version);
    return STATUS_OK;
}

static enum status run(struct call *call)
{
    const struct entry_operation *of = call->operation->context;
    struct values values = {.count = 0};
    struct store_change change = {.file = of->file, .kind = of->kind, .version = -1, .values = values.items};
    enum status status = api_store_required(call);
    if (status != STATUS_OK) return status;
    bool is_new = of->kind == CHANGE_CREATE, good = true;
    if (!is_new) good = read_id(call, of->file, &change.id) == STATUS_OK;
    if (!is_new) good = read_if_match(call, &change.version) == STATUS_OK && good;
    if (of->kind != CHANGE_RETIRE) good = read_values(call, of->file, change.id, &values) == STATUS_OK && good;
    if (!good) return problems_status(call->problems);
    change.value_count = values.count;
    if (is_new && of->file != FILE_OFFERS) change.id = given_id(&values);
    if (of->kind == CHANGE_UPDATE && change.value_count == 0)
        return problems_add(call->problems, STATUS_MISSING_FIELD, "", "say what is to change");
    return apply(call, change);
}

#define CREATE(noun, of, text)                                                                                         \
    const struct operation operation_##noun##_create = {                                                               \
        .id = #noun "_create",                                                                                         \
        .summary = text,                                                                                               \
        .stores = true,                                                                                                \
        .rows = "entry",                                                                                               \
        .run = run,                                                                                                    \
        .context = &(const struct entry_operation){of, CHANGE_CREATE},                                                 \
    }
#define CHANGE(noun, verb, of, as, text)                                                                               \
    const struct operation operation_##noun##_##verb = {                                                               \
        .id = #noun "_" #verb,                                                                                         \
        .summary = text,                                                                                               \
        .fields = id_field,                                                                                            \
        .field_count = sizeof id_field / sizeof *id_field,                                                             \
        .stores = true,                                                                                                \
        .rows = "entry",                                                                                               \
        .run = run,                                                                                                    \
        .context = &(const struct entry_operation){of, as},                                                            \
    }

CREATE(gpu, FILE_GPUS, "Adds a GPU to the catalog.");
CHANGE(gpu, update, FILE_GPUS, CHANGE_UPDATE, "Changes facts about a GPU.");
CHANGE(gpu, retire, FILE_GPUS, CHANGE_RETIRE, "Takes a GPU, its names and purchase prices out of the catalog.");
CREATE(model, FILE_MODELS, "Adds a model to the catalog.");
CHANGE(model, update, FILE_MODELS, CHANGE_UPDATE, "Changes facts about a model.");
CHANGE(model, retire, FILE_MODELS, CHANGE_RETIRE, "Takes a model and its names out of the catalog.");
CREATE(offer, FILE_OFFERS, "Adds an offer and its price to the catalog.");
CHANGE(offer, update, FILE_OFFERS, CHANGE_UPDATE, "Changes the price of an offer, or facts about it.");
CHANGE(offer, retire, FILE_OFFERS, CHANGE_RETIRE, "Ends an offer.");
