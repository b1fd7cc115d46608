/* import.c owns the way of a file through its format: blocks to records, the header to columns, records to rows. */
#include "import/import.h"

#include "catalog/name.h"
#include "import/formats.h"
#include "import/json_pages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_BYTES = 1 << 20, /* also the longest record */
    JSON_FILE_BYTES_MAX = 32 << 20,
};

static const struct format *const formats[IMPORT_FORMAT_COUNT] = {
    [IMPORT_CSV] = &import_csv,
    [IMPORT_SKYPILOT] = &import_skypilot,
    [IMPORT_GPUHUNT] = &import_gpuhunt,
    [IMPORT_PURCHASE] = &import_purchase,
    [IMPORT_AZURE_RETAIL] = &import_azure_retail,
    [IMPORT_AWS_PRICE_LIST] = &import_aws_price_list,
    [IMPORT_MEASURED] = &import_measured,
};

const char *const import_format_names[IMPORT_FORMAT_COUNT + 1] = {
    [IMPORT_CSV] = "csv",           [IMPORT_SKYPILOT] = "skypilot",         [IMPORT_GPUHUNT] = "gpuhunt",
    [IMPORT_PURCHASE] = "purchase", [IMPORT_AZURE_RETAIL] = "azure-retail", [IMPORT_AWS_PRICE_LIST] = "aws-price-list",
    [IMPORT_MEASURED] = "measured",
};

/* --- blocks --- */

/* A window on the file that always begins with a record. */
struct window {
    char *bytes; /* BLOCK_BYTES + 1 */
    size_t length, cut;
    char at_cut; /* csv_init writes a NUL behind the text that it is given */
    bool end;
};

/* The end of the last whole record: a line end outside quotes. */
static size_t whole_records(const struct window *window)
{
    size_t cut = 0;
    bool quoted = false;
    for (size_t i = 0; i < window->length; i++) {
        if (window->bytes[i] == '"') quoted = !quoted;
        if (window->bytes[i] == '\n' && !quoted) cut = i + 1;
    }
    return window->end ? window->length : cut;
}

static enum status fill_bytes(struct importing *importing, struct window *window)
{
    while (!window->end && window->length < BLOCK_BYTES) {
        size_t length = 0;
        enum status status = importing->source->read(importing->source->context, window->bytes + window->length,
                                                     BLOCK_BYTES - window->length, &length);
        if (status != STATUS_OK) return problems_add(importing->problems, status, "file", "it cannot be read");
        window->end = length == 0;
        window->length += length;
    }
    return STATUS_OK;
}

static enum status fill(struct importing *importing, struct window *window)
{
    window->length -= window->cut;
    if (window->cut > 0) {
        window->bytes[window->cut] = window->at_cut;
        memmove(window->bytes, window->bytes + window->cut, window->length);
    }
    enum status status = fill_bytes(importing, window);
    if (status != STATUS_OK) return status;
    window->cut = whole_records(window);
    uint32_t line = importing->csv.next_line;
    if (window->cut == 0 && window->length > 0) {
        return problems_add(importing->problems, STATUS_INVALID_VALUE, "file", "line %u is longer than %d bytes", line,
                            BLOCK_BYTES);
    }
    window->at_cut = window->bytes[window->cut];
    csv_init(&importing->csv, window->bytes, window->cut);
    importing->csv.next_line = line;
    return STATUS_OK;
}

/* --- the header --- */

static const struct import_header *find_header(const struct format *format, const char *name)
{
    for (size_t i = 0; i < format->header_count; i++) {
        if (strcmp(format->headers[i].name, name) == 0) return &format->headers[i];
    }
    return NULL;
}

static void take_column(struct importing *importing, size_t place)
{
    char shown[NAME_SHOWN_BYTES];
    const char *name = importing->csv.fields[place];
    const struct import_header *header = find_header(importing->format, name);
    if (!header && importing->format->strict)
        problems_add(importing->problems, STATUS_INVALID_VALUE, "file", "'%s' is no column of this format",
                     name_shown(name, shown));
    if (!header || header->column == COL_IGNORED) return;
    if (importing->fields[header->column])
        problems_add(importing->problems, STATUS_INVALID_VALUE, "file", "the column '%s' is there twice",
                     name_shown(name, shown));
    importing->fields[header->column] = place + 1;
    importing->named[header->column] = header;
}

/* The other layout of a format is known by its first column. Only measured rows have one, for whom they are as they
 * are spelled. */
static void choose_layout(struct importing *importing)
{
    const struct format *other = importing->format->other;
    for (size_t i = 0; other && importing->sink->measured && i < importing->field_count; i++) {
        if (strcmp(importing->csv.fields[i], other->headers[0].name) == 0) importing->format = other;
    }
}

/* Who takes results as they are spelled fills in what is missing, but not how requests came. */
static bool needed(const struct importing *importing, const struct import_header *header)
{
    bool filled_in = importing->sink->measured && importing->format->other;
    return header->required && (!filled_in || header->column == COL_LOAD);
}

static enum status read_header(struct importing *importing)
{
    importing->field_count = importing->csv.field_count;
    choose_layout(importing);
    for (size_t i = 0; i < importing->field_count; i++)
        take_column(importing, i);
    for (size_t i = 0; i < importing->format->header_count; i++) {
        const struct import_header *header = &importing->format->headers[i];
        if (needed(importing, header) && !importing->fields[header->column])
            problems_add(importing->problems, STATUS_INVALID_VALUE, "file", "the column '%s' is missing", header->name);
    }
    return problems_status(importing->problems);
}

/* --- records --- */

static enum status read_records(struct importing *importing)
{
    enum csv_result result = CSV_END;
    while (importing->status == STATUS_OK && (result = csv_next(&importing->csv)) == CSV_RECORD) {
        if (!importing->field_count) {
            if (importing->format->preamble && importing->format->preamble(importing)) continue;
            enum status status = read_header(importing);
            if (status != STATUS_OK) return status;
            continue;
        }
        importing->counts.lines++;
        if (importing->csv.field_count == importing->field_count)
            importing->format->row(importing);
        else
            (void)import_refuse(importing, importing->csv.line, COL_IGNORED, "%zu fields, but the header has %zu",
                                importing->csv.field_count, importing->field_count);
    }
    if (importing->status != STATUS_OK || result != CSV_BAD) return importing->status;
    return problems_add(importing->problems, STATUS_INVALID_VALUE, "file", "line %u: %s", importing->csv.line,
                        importing->csv.error);
}

/* --- a file of JSON where CSV is expected --- */

static bool begins_like_json(const struct importing *importing, const struct window *window)
{
    const char *text = window->bytes, *end = text + window->length;
    while (text < end && strchr(" \t\r\n", *text))
        text++;
    return importing->format->json_file && text < end && (*text == '{' || *text == '[');
}

static enum status read_whole(struct importing *importing, const struct window *window, char *text)
{
    const struct import_source *source = importing->source;
    enum status status = STATUS_OK;
    size_t length = window->length, piece = window->end ? 0 : 1;
    memcpy(text, window->bytes, length);
    for (; status == STATUS_OK && piece > 0 && length <= JSON_FILE_BYTES_MAX; length += piece)
        status = source->read(source->context, text + length, JSON_FILE_BYTES_MAX + 1 - length, &piece);
    if (status != STATUS_OK) return problems_add(importing->problems, status, "file", "it cannot be read");
    if (length <= JSON_FILE_BYTES_MAX) return importing->format->json_file(importing, text, length);
    return problems_add(importing->problems, STATUS_INVALID_VALUE, "file", "JSON of more than %d MiB",
                        JSON_FILE_BYTES_MAX >> 20);
}

static enum status read_json_file(struct importing *importing, const struct window *window)
{
    char *text = malloc(JSON_FILE_BYTES_MAX + 1);
    if (!text) return problems_add(importing->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the file");
    enum status status = read_whole(importing, window, text);
    free(text);
    return status;
}

static enum status read_csv_within(struct importing *importing, struct window *window)
{
    enum status status = fill_bytes(importing, window);
    if (status == STATUS_OK && begins_like_json(importing, window)) return read_json_file(importing, window);
    while (status == STATUS_OK && !(window->end && window->cut == window->length)) {
        status = fill(importing, window);
        if (status == STATUS_OK) status = read_records(importing);
    }
    if (status == STATUS_OK && !importing->field_count)
        return problems_add(importing->problems, STATUS_INVALID_VALUE, "file", "it is empty: it has no header");
    return status;
}

static enum status read_csv(struct importing *importing)
{
    struct window window = {.bytes = malloc(BLOCK_BYTES + 1)};
    if (!window.bytes) return problems_add(importing->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the file");
    enum status status = read_csv_within(importing, &window);
    free(window.bytes);
    return status;
}

/* --- pages --- */

/* An item of a page as a record: its members are the cells, its number is the line. */
static enum status take_item(void *context, uint32_t number, const char *const *members)
{
    struct importing *importing = context;
    const struct format *format = importing->format;
    bool whole = true;
    importing->csv.line = number;
    importing->counts.lines++;
    for (size_t i = 0; i < format->header_count; i++) {
        importing->csv.fields[i] = members[i] ? members[i] : "";
        if (!members[i] && format->headers[i].required)
            whole = import_refuse(importing, number, format->headers[i].column, "is missing");
    }
    if (whole) format->row(importing);
    return importing->status;
}

static enum status read_pages(struct importing *importing)
{
    const struct format *format = importing->format;
    const char *names[CSV_FIELDS_MAX];
    struct json_pages pages = {.source = importing->source,
                               .problems = importing->problems,
                               .names = names,
                               .name_count = format->header_count,
                               .context = importing,
                               .item = take_item};
    for (size_t i = 0; i < format->header_count; i++) {
        names[i] = format->headers[i].name;
        importing->fields[format->headers[i].column] = i + 1;
        importing->named[format->headers[i].column] = &format->headers[i];
    }
    enum status status = json_pages_read(&pages);
    importing->counts.incomplete = *pages.next_page != '\0';
    return status;
}

enum status import_next_page(const struct import_source *source, struct problems *problems,
                             char ret_url[IMPORT_URL_BYTES])
{
    struct json_pages pages = {.source = source, .problems = problems};
    enum status status = json_pages_read(&pages);
    if (status == STATUS_OK) memcpy(ret_url, pages.next_page, IMPORT_URL_BYTES);
    return status;
}

static enum status read_file(struct importing *importing)
{
    enum status status = importing->format->json ? read_pages(importing) : read_csv(importing);
    if (status == STATUS_OK && importing->format->end) importing->format->end(importing);
    return status == STATUS_OK ? importing->status : status;
}

enum status import_read(const struct import_source *source, const struct import_sink *sink, struct problems *problems,
                        struct import_counts *ret_counts)
{
    struct importing importing = {.source = source,
                                  .sink = sink,
                                  .format = formats[source->format],
                                  .problems = problems,
                                  .as_of = source->as_of,
                                  .csv.next_line = 1};
    arena_init(&importing.arena, 0);
    enum status status = read_file(&importing);
    arena_done(&importing.arena);
    if (status == STATUS_OK) *ret_counts = importing.counts;
    return status;
}
