/* csv.c owns the reader and the writer behind csv.h. */
#include "catalog/csv.h"

#include "catalog/text.h"

#include <string.h>

void csv_init(struct csv *csv, char *text, size_t length)
{
    *csv = (struct csv){.next = text, .end = text + length, .next_line = 1};
    *csv->end = '\0';
    if (length > CSV_TEXT_MAX_BYTES) {
        csv->error = "the file is too large";
    } else if (memchr(text, '\0', length)) {
        csv->error = "the file holds a NUL byte";
    } else if (!text_valid_utf8(text, length)) {
        csv->error = "the file is not UTF-8";
    }
    if (!csv->error && length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) csv->next += 3;
}

static enum csv_result refuse(struct csv *csv, const char *error)
{
    csv->error = error;
    csv->next = csv->end;
    return CSV_BAD;
}

/* The length of the line end at `at`: 1, 2, or 0 if there is none. */
static size_t line_end(const char *at)
{
    if (at[0] == '\n') return 1;
    return at[0] == '\r' && at[1] == '\n' ? 2 : 0;
}

/* Reads a quoted field from the character after its quote. Returns the character after the closing quote, or NULL. */
static char *read_quoted(struct csv *csv, char *from)
{
    char *to = from;
    for (; from < csv->end; from++) {
        if (*from == '"') {
            if (from[1] != '"') {
                *to = '\0';
                return from + 1;
            }
            from++;
        } else if (*from == '\n') {
            csv->next_line++;
        }
        *to++ = *from;
    }
    return NULL;
}

/* Reads one field from csv->next, which then stands on what ended it. */
static bool read_field(struct csv *csv)
{
    char *at = csv->next;
    if (*at == '"') {
        csv->fields[csv->field_count++] = at + 1;
        csv->next = read_quoted(csv, at + 1);
        if (!csv->next) csv->error = "a quoted field has no closing quote";
        return csv->next;
    }
    csv->fields[csv->field_count++] = at;
    csv->next = at + strcspn(at, ",\"\r\n");
    if (*csv->next == '"') csv->error = "a quote inside a field that does not begin with one";
    return !csv->error;
}

/* Cuts the field off at its separator and steps over it. Returns whether the record goes on. */
static bool end_field(struct csv *csv)
{
    char *at = csv->next;
    size_t newline = line_end(at);
    if (at < csv->end && *at != ',' && !newline) {
        csv->error = *at == '\r' ? "a carriage return that ends no line" : "text after a closing quote";
        return false;
    }
    bool more = *at == ',';
    *at = '\0';
    if (newline) csv->next_line++;
    if (at < csv->end) csv->next = at + (more ? 1 : newline);
    return more;
}

enum csv_result csv_next(struct csv *csv)
{
    csv->line = csv->next_line;
    if (csv->error) return refuse(csv, csv->error);
    for (size_t newline = 0; csv->next < csv->end && (newline = line_end(csv->next)) > 0; csv->next += newline) {
        csv->line = ++csv->next_line;
    }
    csv->field_count = 0;
    if (csv->next == csv->end) return CSV_END;
    bool more = true;
    while (more) {
        if (csv->field_count == CSV_FIELDS_MAX) return refuse(csv, "too many fields");
        more = read_field(csv) && end_field(csv);
        if (csv->error) return refuse(csv, csv->error);
    }
    return CSV_RECORD;
}

static char *put_cell(char *end, const char *text)
{
    bool quoted = text[strcspn(text, ",\"\r\n")];
    if (quoted) *end++ = '"';
    for (; *text; text++) {
        if (*text == '"') *end++ = '"';
        *end++ = *text;
    }
    if (quoted) *end++ = '"';
    return end;
}

/* The columns, or the texts. */
static char *put_line(char *end, const struct csv_cell *cells, size_t count, bool columns)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0) *end++ = ',';
        end = put_cell(end, columns ? cells[i].column : cells[i].text);
    }
    *end++ = '\n';
    return end;
}

const char *csv_text(const struct csv_cell *cells, size_t count, bool header, struct arena *arena)
{
    size_t size = sizeof "\n\n"; /* at most: every byte doubled, quotes, a comma */
    for (size_t i = 0; i < count; i++)
        size += 2 * (strlen(cells[i].column) + strlen(cells[i].text)) + 6;
    char *text = arena_alloc(arena, size), *end = text;
    if (!text) return NULL;
    if (header) end = put_line(end, cells, count, true);
    end = put_line(end, cells, count, false);
    *end = '\0';
    return text;
}
