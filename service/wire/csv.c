/* csv.c owns the table form of an answer: RFC 4180 with what spreadsheets need. */
#include "catalog/text.h"
#include "wire/formats.h"

#include <string.h>

/* Spreadsheets run a text that starts with one of these as a formula; an apostrophe makes it a text again. */
static bool is_formula(const char *text)
{
    double number = 0;
    return *text && strchr("=+-@\t\r", *text) && !text_parse_double(text, &number);
}

static void write_cell(struct out *out, const char *text)
{
    bool quoted = strpbrk(text, ",;\"\r\n") || *text == ' ';
    if (quoted) out_raw(out, "\"", 1);
    if (is_formula(text)) out_raw(out, "'", 1);
    for (const char *quote; (quote = strchr(text, '"')); text = quote + 1) {
        out_raw(out, text, (size_t)(quote - text));
        out_raw(out, "\"\"", 2);
    }
    out_raw(out, text, strlen(text));
    if (quoted) out_raw(out, "\"", 1);
}

/* The scalars of a list in one text, between semicolons; new, NULL when there is an object among them. */
static json_t *joined(json_t *list, struct out *out)
{
    struct out text;
    out_init(&text, 0);
    bool plain = true;
    size_t i = 0;
    json_t *element = NULL;
    json_array_foreach(list, i, element)
    {
        plain = plain && !json_is_object(element) && !json_is_array(element);
        if (i) out_raw(&text, ";", 1);
        scalar_write(element, &text);
    }
    json_t *cell = plain ? json_stringn(text.length ? text.data : "", text.length) : NULL;
    if (plain && (text.failed || !cell)) out->failed = true;
    out_done(&text);
    return cell;
}

/* Adds the values below `value` to `flat` under their paths joined by "_". Objects inside lists have no column. */
static void flatten(struct arena *arena, json_t *value, const char *path, json_t *flat, struct out *out)
{
    const char *name = NULL;
    json_t *member = NULL;
    if (json_is_object(value)) {
        json_object_foreach(value, name, member)
        {
            const char *below = *path ? arena_printf(arena, "%s_%s", path, name) : name;
            if (below)
                flatten(arena, member, below, flat, out);
            else
                out->failed = true;
        }
    } else if (json_is_array(value)) {
        json_t *cell = joined(value, out);
        if (cell && json_object_set_new(flat, path, cell) != 0) out->failed = true;
    } else if (json_object_set(flat, path, value) != 0) {
        out->failed = true;
    }
}

static void add_row(struct arena *arena, json_t *value, json_t *rows, struct out *out)
{
    if (!json_is_object(value)) return;
    json_t *flat = json_object();
    flatten(arena, value, "", flat, out);
    if (json_array_append_new(rows, flat) != 0) out->failed = true;
}

/* Rows of all paths, flat, in order. */
static void collect_rows(struct arena *arena, json_t *answer, const char *paths, json_t *rows, struct out *out)
{
    for (const char *path = paths; path;) {
        const char *end = strchrnul(path, ',');
        json_t *value = member_at(answer, path, (size_t)(end - path)), *element = NULL;
        size_t i = 0;
        if (json_is_array(value)) {
            json_array_foreach(value, i, element) add_row(arena, element, rows, out);
        } else {
            add_row(arena, value, rows, out);
        }
        path = *end ? end + 1 : NULL;
    }
}

/* All columns that any row has: `rank`, then in the order of their first row. New. */
static json_t *collect_columns(json_t *rows, struct out *out)
{
    json_t *columns = json_object(), *row = NULL, *value = NULL;
    const char *name = NULL;
    size_t i = 0;
    bool ranked = json_array_size(rows) == 0; /* a table always has a header */
    json_array_foreach(rows, i, row) ranked = ranked || json_object_get(row, "rank");
    if (ranked && json_object_set_new(columns, "rank", json_null()) != 0) out->failed = true;
    json_array_foreach(rows, i, row)
    {
        json_object_foreach(row, name, value)
        {
            if (json_object_set_new(columns, name, json_null()) != 0) out->failed = true;
        }
    }
    return columns;
}

/* The columns asked for, in the order asked for. New; NULL with a problem for a name that no row has. */
static json_t *choose_columns(json_t *all, const char *wanted, bool any_rows, struct problems *problems,
                              struct out *out)
{
    json_t *chosen = json_object();
    for (const char *name = wanted; name;) {
        const char *end = strchrnul(name, ',');
        size_t length = (size_t)(end - name);
        if (any_rows && !out->failed && !json_object_getn(all, name, length)) {
            (void)problems_add(problems, STATUS_INVALID_VALUE, "columns",
                               "no column \"%.*s\": the header of the whole table has the names",
                               (int)text_utf8_prefix(name, length < 60 ? length : 60), name);
            json_decref(chosen);
            return NULL;
        }
        if (json_object_setn_new(chosen, name, length, json_null()) != 0) out->failed = true;
        name = *end ? end + 1 : NULL;
    }
    return chosen;
}

static void write_row(json_t *columns, json_t *row, struct out *out)
{
    const char *name = NULL;
    json_t *unused = NULL;
    bool first = true;
    json_object_foreach(columns, name, unused)
    {
        json_t *value = row ? json_object_get(row, name) : NULL;
        if (!first) out_raw(out, ",", 1);
        first = false;
        if (!row)
            write_cell(out, name);
        else if (json_is_string(value))
            write_cell(out, json_string_value(value));
        else if (value)
            scalar_write(value, out);
    }
    out_raw(out, "\r\n", 2);
}

enum status csv_write(json_t *answer, const struct encode_options *options, struct problems *problems, struct out *out)
{
    json_t *rows = json_array(), *row = NULL;
    collect_rows(problems->arena, answer, options->rows ? options->rows : "", rows, out);
    json_t *columns = collect_columns(rows, out);
    if (options->columns && *options->columns) {
        json_t *chosen = choose_columns(columns, options->columns, json_array_size(rows) > 0, problems, out);
        json_decref(columns);
        columns = chosen;
    }
    if (columns) write_row(columns, NULL, out);
    size_t i = 0;
    json_array_foreach(rows, i, row)
    {
        if (columns && (options->limit == 0 || i < options->limit)) write_row(columns, row, out);
    }
    bool refused = !columns;
    json_decref(columns);
    json_decref(rows);
    return refused ? problems_status(problems) : STATUS_OK;
}
