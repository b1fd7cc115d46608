/* table.c owns the cell readers behind table.h. */
#include "catalog/table.h"

#include "catalog/csv.h"
#include "catalog/name.h"
#include "catalog/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID_MAX_BYTES = 200, TEXT_MAX_BYTES = 2000, PLACE_BYTES = 160 };

void *loading_alloc(struct loading *loading, struct arena *arena, size_t count, size_t size_bytes)
{
    void *memory = arena_array(arena, count, size_bytes);
    if (!memory) loading->out_of_memory = true;
    return memory;
}

void loading_refuse(struct loading *loading, const char *file_name, uint32_t line, const char *field,
                    const char *format, ...)
{
    loading->bad_count++;
    char place[PLACE_BYTES];
    (void)snprintf(place, sizeof place, "%s:%u%s%s", file_name, line, *field ? " " : "", field);
    va_list args;
    va_start(args, format);
    const char *detail = arena_vprintf(&loading->scratch, format, args);
    va_end(args);
    problems_add(loading->problems, STATUS_BAD_ROW, place, "%s", detail ? detail : "is refused");
}

/* One cell on its way into its member. */
struct cell {
    struct loading *loading;
    const struct column *column;
    const char *file_name;
    uint32_t line;
    const char *text;
    void *member;
};

static void refuse_cell(const struct cell *cell, const char *reason)
{
    char shown[NAME_SHOWN_BYTES];
    loading_refuse(cell->loading, cell->file_name, cell->line, cell->column->header, "\"%s\" %s",
                   name_shown(cell->text, shown), reason);
}

static void refuse_range(const struct cell *cell)
{
    char shown[NAME_SHOWN_BYTES], low[NUMBER_TEXT_BYTES], high[NUMBER_TEXT_BYTES];
    text_format_double(cell->column->low, low);
    text_format_double(cell->column->high, high);
    loading_refuse(cell->loading, cell->file_name, cell->line, cell->column->header,
                   "\"%s\" is not a number from %s to %s", name_shown(cell->text, shown), low, high);
}

static bool number_in_range(const struct cell *cell, double *ret_value)
{
    double value = 0;
    if (!text_parse_double(cell->text, &value) || value < cell->column->low || value > cell->column->high) {
        refuse_range(cell);
        return false;
    }
    *ret_value = value;
    return true;
}

static void read_text(const struct cell *cell)
{
    if (strlen(cell->text) > TEXT_MAX_BYTES) {
        refuse_cell(cell, "is too long");
    } else {
        *(const char **)cell->member = cell->text;
    }
}

static void read_id(const struct cell *cell)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
    size_t length = strlen(cell->text);
    if (length > ID_MAX_BYTES || strspn(cell->text, allowed) != length) {
        refuse_cell(cell, "is no id: 1 to 200 letters, digits and . _ / -");
    } else {
        *(const char **)cell->member = cell->text;
    }
}

static void read_double(const struct cell *cell)
{
    (void)number_in_range(cell, cell->member);
}

static void read_uint32(const struct cell *cell)
{
    double value = 0;
    if (!number_in_range(cell, &value)) return;
    if (value != (double)(uint32_t)value) {
        refuse_cell(cell, "is not a whole number");
    } else {
        *(uint32_t *)cell->member = (uint32_t)value;
    }
}

static void read_usd(const struct cell *cell)
{
    double dollars = 0;
    if (!number_in_range(cell, &dollars)) return;
    *(usd_t *)cell->member = usd_from_double(dollars);
}

static void read_bool(const struct cell *cell)
{
    bool yes = strcmp(cell->text, "true") == 0;
    if (!yes && strcmp(cell->text, "false") != 0) {
        refuse_cell(cell, "is neither true nor false");
    } else {
        *(bool *)cell->member = yes;
    }
}

static void read_date(const struct cell *cell)
{
    if (!date_parse(cell->text, cell->member)) refuse_cell(cell, "is no date: YYYY-MM-DD, YYYY-MM or YYYY");
}

static void read_choice(const struct cell *cell)
{
    const struct column *column = cell->column;
    for (unsigned choice = 0; choice < column->choice_count; choice++) {
        if (strcmp(cell->text, column->choice_name(choice)) != 0) continue;
        *(unsigned *)cell->member = choice;
        return;
    }
    char names[512] = "";
    for (unsigned choice = 0; choice < column->choice_count; choice++) {
        size_t used = strlen(names);
        (void)snprintf(names + used, sizeof names - used, "%s %s", choice ? "," : "", column->choice_name(choice));
    }
    char reason[560];
    (void)snprintf(reason, sizeof reason, "is none of%s", names);
    refuse_cell(cell, reason);
}

static void (*const cell_readers[])(const struct cell *cell) = {
    [CELL_TEXT] = read_text, [CELL_ID] = read_id,     [CELL_DOUBLE] = read_double, [CELL_UINT32] = read_uint32,
    [CELL_BOOL] = read_bool, [CELL_DATE] = read_date, [CELL_USD] = read_usd,       [CELL_CHOICE] = read_choice,
};

/* The value of a member whose cell is empty; zeroed memory serves the kinds that are not named. */
static void set_absent(const struct column *column, void *member)
{
    if (column->kind == CELL_TEXT || column->kind == CELL_ID) *(const char **)member = "";
    if (column->kind == CELL_DOUBLE) *(double *)member = column->absent;
    if (column->kind == CELL_DATE) *(date_t *)member = DATE_UNKNOWN;
    if (column->kind == CELL_USD) *(usd_t *)member = USD_UNKNOWN;
}

/* Which column of the table each field of the header is; false if the header is not exactly the table's columns. */
static bool read_header(struct loading *loading, const char *file_name, const struct table *table,
                        const struct csv *header, size_t columns[CSV_FIELDS_MAX])
{
    size_t bad_before = loading->bad_count;
    bool seen[CSV_FIELDS_MAX] = {false};
    for (size_t i = 0; i < header->field_count; i++) {
        size_t c = 0;
        while (c < table->column_count && strcmp(header->fields[i], table->columns[c].header) != 0)
            c++;
        if (c == table->column_count) {
            char shown[NAME_SHOWN_BYTES];
            loading_refuse(loading, file_name, header->line, "", "\"%s\" is not a column of this file",
                           name_shown(header->fields[i], shown));
            continue;
        }
        if (seen[c]) loading_refuse(loading, file_name, header->line, table->columns[c].header, "appears twice");
        seen[c] = true;
        columns[i] = c;
    }
    for (size_t c = 0; c < table->column_count; c++) {
        if (!seen[c] && !table->columns[c].loose)
            loading_refuse(loading, file_name, header->line, table->columns[c].header, "is missing");
    }
    return loading->bad_count == bad_before;
}

static void read_row(struct loading *loading, const char *file_name, const struct table *table, const struct csv *csv,
                     const size_t columns[CSV_FIELDS_MAX], struct row *row)
{
    row->line = csv->line;
    for (size_t c = 0; c < table->column_count; c++)
        set_absent(&table->columns[c], (char *)row + table->columns[c].offset);
    for (size_t i = 0; i < csv->field_count; i++) {
        const struct column *column = &table->columns[columns[i]];
        struct cell cell = {loading, column, file_name, csv->line, csv->fields[i], (char *)row + column->offset};
        if (*cell.text) {
            cell_readers[column->kind](&cell);
        } else if (column->required) {
            loading_refuse(loading, file_name, csv->line, column->header, "is empty");
        }
    }
}

/* At most so many records can be in the text: each has a separator per column and, but for the last, a line end. */
static size_t rows_limit(const struct catalog_text *text, const struct table *table)
{
    size_t columns = 0;
    for (size_t c = 0; c < table->column_count; c++)
        columns += !table->columns[c].loose;
    assert(columns > 0); /* a table of loose columns only would be none */
    return text->length / columns + 1;
}

static void read_rows(struct loading *loading, const struct table *table, struct csv *csv, struct rows *rows)
{
    const char *file_name = rows->file_name;
    size_t columns[CSV_FIELDS_MAX] = {0};
    enum csv_result result = csv_next(csv);
    if (result == CSV_END) loading_refuse(loading, file_name, 1, "", "the file is empty: it has no header");
    if (result == CSV_RECORD && !read_header(loading, file_name, table, csv, columns)) return;
    const size_t field_count = csv->field_count;
    while (result == CSV_RECORD && (result = csv_next(csv)) == CSV_RECORD) {
        if (csv->field_count != field_count) {
            loading_refuse(loading, file_name, csv->line, "", "%zu fields, but the header has %zu", csv->field_count,
                           field_count);
        } else {
            read_row(loading, file_name, table, csv, columns, rows_at(rows, rows->count++));
        }
    }
    if (result == CSV_BAD) loading_refuse(loading, file_name, csv->line, "", "%s", csv->error);
}

struct rows table_read(struct loading *loading, const struct table *table)
{
    return table_read_text(loading, table, &loading->files[table->file]);
}

struct rows table_read_text(struct loading *loading, const struct table *table, const struct catalog_text *text)
{
    struct rows rows = {.file_name = text->name, .row_bytes = table->row_bytes};
    if (!text->text) return rows;
    char *copy = arena_strndup(&loading->snapshot->arena, text->text, text->length);
    if (!copy) loading->out_of_memory = true;
    rows.items = loading_alloc(loading, &loading->scratch, rows_limit(text, table), table->row_bytes);
    if (!copy || !rows.items) return rows;
    struct csv csv;
    csv_init(&csv, copy, text->length);
    size_t bad_before = loading->bad_count;
    read_rows(loading, table, &csv, &rows);
    rows.bad = loading->bad_count != bad_before;
    return rows;
}

void *rows_at(const struct rows *rows, size_t index)
{
    return (char *)rows->items + index * rows->row_bytes;
}

void rows_sort(struct rows *rows, int (*compare)(const void *a, const void *b))
{
    if (rows->count > 1) qsort(rows->items, rows->count, rows->row_bytes, compare);
}

void rows_refuse_equal(struct loading *loading, const struct rows *rows, const char *field,
                       int (*compare)(const void *a, const void *b))
{
    for (size_t i = 1; i < rows->count && !rows->bad; i++) {
        const struct row *before = rows_at(rows, i - 1), *row = rows_at(rows, i);
        if (compare(before, row) != 0) continue;
        loading_refuse(loading, rows->file_name, row->line > before->line ? row->line : before->line, field,
                       "the same as line %u", row->line > before->line ? before->line : row->line);
    }
}

void *rows_take(struct loading *loading, const struct rows *rows, size_t offset, size_t size_bytes)
{
    char *items = loading_alloc(loading, &loading->snapshot->arena, rows->count, size_bytes);
    for (size_t i = 0; items && i < rows->count; i++)
        memcpy(items + i * size_bytes, (char *)rows_at(rows, i) + offset, size_bytes);
    return items;
}

/* --- writing --- */

static const char *number_text(const struct column *column, double value, struct arena *arena)
{
    char text[NUMBER_TEXT_BYTES] = "";
    if (is_known(value) && (value != 0 || column->required)) (void)text_format_double(value, text);
    return arena_strdup(arena, text);
}

static const char *cell_text(const struct column *column, const void *member, struct arena *arena)
{
    char day[DATE_TEXT_BYTES];
    const unsigned *choice = member;
    const date_t *date = member;
    switch (column->kind) {
    case CELL_TEXT:
    case CELL_ID: return *(const char *const *)member;
    case CELL_DOUBLE: return number_text(column, *(const double *)member, arena);
    case CELL_UINT32: return number_text(column, *(const uint32_t *)member, arena);
    case CELL_BOOL: return *(const bool *)member ? "true" : "false";
    case CELL_DATE: return date_known(*date) ? arena_strdup(arena, date_format(*date, day)) : "";
    case CELL_USD: return number_text(column, usd_to_double(*(const usd_t *)member), arena);
    case CELL_CHOICE: return *choice || column->required ? column->choice_name(*choice) : "";
    }
    return "";
}

const struct csv_cell *table_cells(const struct table *table, const void *row, struct arena *arena, size_t *ret_count)
{
    struct csv_cell *cells = ARENA_ARRAY(arena, table->column_count, struct csv_cell);
    size_t count = 0;
    for (size_t i = 0; cells && i < table->column_count; i++) {
        const struct column *column = &table->columns[i];
        if (column->loose) continue;
        cells[count] = (struct csv_cell){column->header, cell_text(column, (const char *)row + column->offset, arena)};
        if (!cells[count++].text) return NULL;
    }
    *ret_count = count;
    return cells;
}
