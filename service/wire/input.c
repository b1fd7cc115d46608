/* input.c owns the way from the two forms of a question to the values of its fields, and what is wrong with names. */
#include "wire/input.h"
#include "catalog/heap.h"
#include "catalog/text.h"
#include "wire/fields.h"
#include "wire/formats.h"
#include "wire/json_read.h"
#include "wire/rows.h"

#include <string.h>

enum { SUGGEST_DISTANCE = 3 };

struct input {
    json_t *body; /* of the JSON form; NULL in the flat form */
    const struct pair *pairs;
    size_t count;
};

struct slot {
    json_t *value; /* owned; NULL if nothing, or nothing readable, was given */
    bool given;
};

struct reading { /* one decoding: slots[i] is what fields[i] was given */
    struct decoder decoder;
    const struct field *fields;
    size_t field_count;
    struct slot *slots;
    bool flat;
};

static enum status no_memory(struct problems *problems)
{
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory to read the request");
}

enum status input_from_json(struct arena *arena, const char *body, size_t length, struct problems *problems,
                            struct input **ret_input)
{
    struct input *input = ARENA_NEW(arena, struct input);
    if (!input) return no_memory(problems);
    enum status status = json_read(arena, body, length, "the body", false, problems, &input->body);
    if (status == STATUS_OK) *ret_input = input;
    return status;
}

enum status input_from_pairs(struct arena *arena, const struct pair *pairs, size_t count, struct problems *problems,
                             struct input **ret_input)
{
    struct input *input = ARENA_NEW(arena, struct input);
    struct pair *copies = ARENA_ARRAY(arena, count, struct pair);
    size_t before = problems->count + problems->dropped;
    if (!input || !copies) return no_memory(problems);
    for (size_t i = 0; i < count; i++) {
        bool name_valid = text_valid_utf8(pairs[i].name, strlen(pairs[i].name));
        if (!name_valid || !text_valid_utf8(pairs[i].value, strlen(pairs[i].value)))
            (void)problems_add(problems, STATUS_MALFORMED_REQUEST, name_valid ? excerpt(arena, pairs[i].name) : "",
                               "parameter %zu is not valid UTF-8", i + 1);
        copies[i] = (struct pair){arena_strdup(arena, pairs[i].name), arena_strdup(arena, pairs[i].value)};
        if (!copies[i].name || !copies[i].value) return no_memory(problems);
    }
    if (problems->count + problems->dropped > before) return problems_status(problems);
    *input = (struct input){.pairs = copies, .count = count};
    *ret_input = input;
    return STATUS_OK;
}

void input_done(struct input *input)
{
    if (!input) return;
    json_decref(input->body);
    input->body = NULL;
}

/* Names of the flat form: '-' and '_' are one, any case is not. */
static bool same_name(const char *given, const char *name)
{
    if (!name) return false;
    while (*given && *name && (*given == *name || (*given == '-' && *name == '_'))) {
        given++;
        name++;
    }
    return *given == *name;
}

static const char *field_path(const struct reading *reading, const struct field *field)
{
    return path_join(reading->decoder.arena, field->group, field->name);
}

/* What an unknown name probably meant: a field that is misplaced, abbreviated or misspelt, or a group. */
static const char *suggestion(const struct reading *reading, const char *given)
{
    const struct field *near = NULL;
    size_t distance = SUGGEST_DISTANCE + 1;
    bool group = false;
    for (size_t i = 0; i < reading->field_count; i++) {
        const struct field *field = &reading->fields[i];
        const char *const names[] = {field->name, field->alias, reading->flat || !*field->group ? NULL : field->group};
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            size_t here = names[k] ? text_distance(given, names[k], SUGGEST_DISTANCE) : SIZE_MAX;
            if (here >= distance || here * 2 > strlen(given)) continue; /* half the letters wrong is another word */
            near = field;
            distance = here;
            group = k == 2;
        }
    }
    if (!near) return NULL;
    if (group) return near->group;
    return reading->flat ? near->name : field_path(reading, near);
}

static void refuse_unknown(const struct reading *reading, const char *group, const char *name)
{
    struct problems *problems = reading->decoder.problems;
    struct arena *arena = reading->decoder.arena;
    bool full = problems->count == PROBLEMS_MAX; /* only counted then: the search for a suggestion is slow */
    const char *path = full ? "" : path_join(arena, group, excerpt(arena, name));
    const char *meant = full ? NULL : suggestion(reading, name);
    if (meant)
        (void)problems_add(problems, STATUS_UNKNOWN_FIELD, path, "no such field; did you mean %s?", meant);
    else
        (void)problems_add(problems, STATUS_UNKNOWN_FIELD, path, "no such field; see /docs for the fields");
}

static bool take_member(const struct reading *reading, const char *group, const char *name, json_t *value)
{
    for (size_t i = 0; i < reading->field_count; i++) {
        const struct field *field = &reading->fields[i];
        if (strcmp(field->name, name) != 0 || strcmp(field->group, group) != 0) continue;
        reading->slots[i] = (struct slot){json_incref(value), !json_is_null(value)};
        return true;
    }
    return false;
}

static bool is_group(const struct reading *reading, const char *name)
{
    for (size_t i = 0; i < reading->field_count; i++)
        if (*name && strcmp(reading->fields[i].group, name) == 0) return true;
    return false;
}

static void take_group(const struct reading *reading, const char *group, json_t *members)
{
    const char *name = NULL;
    json_t *value = NULL;
    if (json_is_null(members)) return;
    if (!json_is_object(members)) {
        (void)problems_add(reading->decoder.problems, STATUS_WRONG_TYPE, group, "expected an object of fields: {…}");
        return;
    }
    json_object_foreach(members, name, value)
    {
        if (!take_member(reading, group, name, value)) refuse_unknown(reading, group, name);
    }
}

static void take_body(const struct reading *reading, json_t *body)
{
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(body, name, value)
    {
        if (take_member(reading, "", name, value)) continue;
        if (is_group(reading, name))
            take_group(reading, name, value);
        else
            refuse_unknown(reading, "", name);
    }
}

/* The field that a flat name means. The ways to give a model are names of their own: `part` is one of them. */
static bool find_flat(const struct reading *reading, const char *name, size_t *ret_index, const struct field **ret_part)
{
    for (size_t i = 0; i < reading->field_count; i++) {
        const struct field *field = &reading->fields[i];
        if (!same_name(name, field->name) && !same_name(name, field->alias)) continue;
        *ret_index = i;
        *ret_part = field->kind == FIELD_MODEL ? &model_fields[0] : NULL;
        return true;
    }
    for (size_t i = 0; i < reading->field_count; i++) {
        for (size_t k = 1; k < model_field_count && reading->fields[i].kind == FIELD_MODEL; k++) {
            if (!same_name(name, model_fields[k].name)) continue;
            *ret_index = i;
            *ret_part = &model_fields[k];
            return true;
        }
    }
    return false;
}

/* A name alone stays a text; with any other part the model is an object. */
static void put_model_part(const struct reading *reading, struct slot *slot, const char *name, json_t *value)
{
    if (!slot->value && strcmp(name, model_fields[0].name) == 0) {
        slot->value = value;
        return;
    }
    json_t *model = json_is_object(slot->value) ? json_incref(slot->value) : json_object();
    bool failed = json_is_string(slot->value) && json_object_set(model, model_fields[0].name, slot->value) != 0;
    failed = json_object_set_new(model, name, value) != 0 || failed;
    if (failed) (void)no_memory(reading->decoder.problems);
    json_decref(slot->value);
    slot->value = model;
}

static void take_pair(const struct reading *reading, const struct pair *pair)
{
    const struct decoder *decoder = &reading->decoder;
    const struct field *part = NULL;
    size_t index = 0;
    if (!find_flat(reading, pair->name, &index, &part)) {
        refuse_unknown(reading, "", pair->name);
        return;
    }
    const struct field *field = &reading->fields[index];
    struct slot *slot = &reading->slots[index];
    const char *path = field_path(reading, field);
    bool is_name = part == &model_fields[0];
    bool again =
        part ? json_object_get(slot->value, part->name) || (is_name && json_is_string(slot->value)) : slot->given;
    slot->given = true;
    if (again) {
        (void)problems_add(decoder->problems, STATUS_DUPLICATE_FIELD, path, "%s is given twice", pair->name);
        return;
    }
    if (part && !is_name) path = path_join(decoder->arena, path, part->name);
    json_t *value = field_from_text(decoder, part ? part : field, path, pair->value);
    if (value && part)
        put_model_part(reading, slot, part->name, value);
    else if (value)
        slot->value = value;
}

static void decode_slot(const struct reading *reading, const struct field *field, struct slot *slot, void *request)
{
    if (slot->value && !json_is_null(slot->value))
        field_decode(&reading->decoder, field, field_path(reading, field), slot->value, request);
    else if (field->required && !slot->given)
        (void)problems_add(reading->decoder.problems, STATUS_MISSING_FIELD, field_path(reading, field), "required%s%s",
                           field->help ? ": " : "", field->help ? field->help : "");
    json_decref(slot->value);
}

enum status input_decode(const struct input *input, struct arena *arena, const struct field *fields, size_t field_count,
                         void *request, struct problems *problems)
{
    struct reading reading = {.decoder = {arena, problems},
                              .fields = fields,
                              .field_count = field_count,
                              .slots = ARENA_ARRAY(arena, field_count, struct slot),
                              .flat = !input->body};
    size_t before = problems->count + problems->dropped;
    if (!reading.slots) return no_memory(problems);
    input_clear(fields, field_count, request);
    if (input->body) take_body(&reading, input->body);
    for (size_t i = 0; i < input->count; i++)
        take_pair(&reading, &input->pairs[i]);
    for (size_t i = 0; i < field_count; i++)
        decode_slot(&reading, &fields[i], &reading.slots[i], request);
    return problems->count + problems->dropped > before ? problems_status(problems) : STATUS_OK;
}

/* --- bodies without a table --- */

/* NULL, with a problem, for what is no scalar, or when out of memory. */
static const char *cell_text(const char *name, json_t *value, bool may_be_object, struct arena *arena,
                             struct problems *problems)
{
    struct out text;
    const char *copy = NULL;
    bool object = may_be_object && json_is_object(value);
    if (!object && (json_is_object(value) || json_is_array(value))) {
        (void)problems_add(problems, STATUS_WRONG_TYPE, name, "must be %s", may_be_object ? "an object" : "one value");
        return NULL;
    }
    if (object) {
        char *dump = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
        copy = dump ? arena_strdup(arena, dump) : NULL;
        heap_free(dump);
    } else {
        out_init(&text, 0);
        scalar_write(value, &text);
        copy = text.failed ? NULL : arena_strndup(arena, text.data ? text.data : "", text.length);
        out_done(&text);
    }
    if (!copy) (void)no_memory(problems);
    return copy;
}

static enum cell_type cell_type(const json_t *value)
{
    return json_is_null(value)      ? CELL_IS_NULL
           : json_is_string(value)  ? CELL_IS_TEXT
           : json_is_number(value)  ? CELL_IS_NUMBER
           : json_is_boolean(value) ? CELL_IS_BOOL
                                    : CELL_IS_OBJECT;
}

/* The members of an object as cells; problems name them below `path`. */
static enum status take_cells(json_t *members, const char *path, const char *object, struct arena *arena,
                              struct problems *problems, struct row_cells *ret_cells)
{
    size_t count = 0;
    const char *name = NULL;
    json_t *value = NULL;
    struct cell *cells = ARENA_ARRAY(arena, json_object_size(members) + 1, struct cell);
    if (!cells) return no_memory(problems);
    json_object_foreach(members, name, value)
    {
        const char *text = cell_text(path_join(arena, path, excerpt(arena, name)), value,
                                     object && strcmp(name, object) == 0, arena, problems);
        const char *copy = arena_strdup(arena, name);
        if (text && copy) cells[count++] = (struct cell){copy, text, cell_type(value)};
    }
    *ret_cells = (struct row_cells){cells, count};
    return problems_status(problems);
}

enum status input_cells(const struct input *input, const char *object, struct arena *arena, struct problems *problems,
                        const struct cell **ret_cells, size_t *ret_count)
{
    struct row_cells cells = {NULL, 0};
    enum status status = take_cells(input->body, "", object, arena, problems, &cells);
    *ret_cells = cells.cells;
    *ret_count = cells.count;
    return status;
}

/* --- bodies of many rows --- */

enum { ROW_VALUES_MAX = 64 };

static enum status take_rows(json_t *body, size_t count, struct arena *arena, struct problems *problems,
                             const struct row_cells **ret_rows)
{
    struct row_cells *rows = ARENA_ARRAY(arena, count + 1, struct row_cells);
    if (!rows) return no_memory(problems);
    for (size_t i = 0; i < count; i++) {
        json_t *row = json_is_array(body) ? json_array_get(body, i) : body;
        const char *path = path_index(arena, "", i);
        if (json_is_object(row))
            (void)!take_cells(row, path, NULL, arena, problems, &rows[i]);
        else
            (void)problems_add(problems, STATUS_WRONG_TYPE, path, "must be an object");
    }
    *ret_rows = rows;
    return problems_status(problems);
}

enum status rows_from_json(struct arena *arena, const char *body, size_t length, size_t max_rows,
                           struct problems *problems, const struct row_cells **ret_rows, size_t *ret_count)
{
    json_t *value = NULL;
    enum status status =
        json_read_long(arena, body, length, "the body", max_rows * ROW_VALUES_MAX, true, problems, &value);
    if (status != STATUS_OK) return status;
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (count == 0)
        status = problems_add(problems, STATUS_MISSING_FIELD, "", "the list is empty");
    else if (count > max_rows)
        status = problems_add(problems, STATUS_OUT_OF_RANGE, "", "%zu rows are more than %zu", count, max_rows);
    else
        status = take_rows(value, count, arena, problems, ret_rows);
    json_decref(value);
    *ret_count = count;
    return status;
}
