/* trace.c owns the reading of requests: a line of a trace, and what a request says of its lengths. */
#include "wire/trace.h"

#include "catalog/text.h"
#include "wire/fields.h"
#include "wire/json_read.h"

#include <stdio.h>
#include <string.h>

#define TOKENS_MAX 1e8

/* --- one request -------------------------------------------------------------------------------------------------- */

struct row {
    const char *id;
    int64_t input_tokens, output_tokens, sequence_length;
};

#define ROW_TOKENS(field)                                                                                              \
    {                                                                                                                  \
        .name = #field, .kind = FIELD_INTEGER, .offset = offsetof(struct row, field), .min = 1, .max = TOKENS_MAX,     \
        .unit = "tokens"                                                                                               \
    }
static const struct field row_fields[] = {
    {.name = "id", .kind = FIELD_LINE, .offset = offsetof(struct row, id)},
    ROW_TOKENS(input_tokens),
    ROW_TOKENS(output_tokens),
    ROW_TOKENS(sequence_length), /* the article's name: prompt and answer together */
};
enum { ROW_FIELDS = sizeof row_fields / sizeof *row_fields };

static const char *place_path(const struct decoder *decoder, const struct request_place *place)
{
    bool line = strcmp(place->list, "line") == 0;
    const char *path = arena_printf(decoder->arena, line ? "%s %zu" : "%s[%zu]", place->list,
                                    line ? place->number : place->number - 1);
    return path ? path : place->list;
}

static bool is_plain_id(json_t *id)
{
    const char *text = json_string_value(id);
    for (const char *c = text; c && *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) return false;
    }
    return text && json_string_length(id) <= TRACE_ID_MAX_BYTES;
}

/* Most requests are plain: texts and whole numbers within bounds under known names. What is not is looked at again with
 * a path to name it by. */
static bool read_plain(const struct decoder *decoder, json_t *value, struct row *ret_row)
{
    struct row row = {NULL, VALUE_ABSENT, VALUE_ABSENT, VALUE_ABSENT};
    size_t known = 0;
    for (size_t i = 1; i < ROW_FIELDS; i++) {
        json_t *member = json_object_get(value, row_fields[i].name);
        if (!member) continue;
        json_int_t tokens = json_integer_value(member); /* 0 of what is none */
        if (tokens < 1 || (double)tokens > TOKENS_MAX) return false;
        *(int64_t *)(void *)((char *)&row + row_fields[i].offset) = tokens;
        known++;
    }
    json_t *id = json_object_get(value, row_fields[0].name);
    if (known + (id != NULL) < json_object_size(value) || (id && !is_plain_id(id))) return false;
    if (id) row.id = arena_strdup(decoder->arena, json_string_value(id));
    *ret_row = row;
    return !id || row.id;
}

static void refuse(const struct decoder *decoder, const struct request_place *place, enum status status,
                   const char *name, const char *detail)
{
    (void)problems_add(decoder->problems, status, path_join(decoder->arena, place_path(decoder, place), name), "%s",
                       detail);
}

/* What a request must say: its prompt, or all of it. */
static void check_row(const struct decoder *decoder, const struct request_place *place, const struct row *row)
{
    bool prompt = row->input_tokens != VALUE_ABSENT, whole = row->sequence_length != VALUE_ABSENT;
    if (!prompt && !whole)
        refuse(decoder, place, STATUS_MISSING_FIELD, "input_tokens",
               "required: the tokens of the prompt; or sequence_length, of prompt and answer");
    if (prompt && whole)
        refuse(decoder, place, STATUS_CONTRADICTION, "sequence_length",
               "is prompt and answer together: give it, or input_tokens");
    if (whole && row->output_tokens != VALUE_ABSENT && row->output_tokens >= row->sequence_length)
        refuse(decoder, place, STATUS_CONTRADICTION, "output_tokens", "must be fewer than sequence_length");
    if (row->id && strlen(row->id) > TRACE_ID_MAX_BYTES)
        refuse(decoder, place, STATUS_INVALID_VALUE, "id", "has more than 40 bytes");
}

void request_decode(const struct decoder *decoder, const struct request_place *place, json_t *value,
                    struct request_lengths *ret_request)
{
    struct row row;
    size_t before = decoder->problems->count + decoder->problems->dropped;
    if (!json_is_object(value) || !read_plain(decoder, value, &row))
        decode_object(decoder, row_fields, ROW_FIELDS, place_path(decoder, place), value, &row);
    if (decoder->problems->count + decoder->problems->dropped == before) check_row(decoder, place, &row);
    bool whole = row.sequence_length != VALUE_ABSENT, answered = row.output_tokens != VALUE_ABSENT;
    double output_tokens = answered ? (double)row.output_tokens : whole ? 0 : UNKNOWN;
    *ret_request = (struct request_lengths){
        .id = row.id,
        .input_tokens = whole ? (double)row.sequence_length - output_tokens : (double)row.input_tokens,
        .output_tokens = output_tokens,
        .line = (uint32_t)place->number,
    };
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

struct line {
    const char *text;
    size_t length, number; /* from 1 */
    bool last;             /* nothing ends it */
};

static bool is_blank(const struct line *line)
{
    size_t i = 0;
    while (i < line->length && (line->text[i] == ' ' || line->text[i] == '\t'))
        i++;
    return i == line->length;
}

/* Values within values cost the parser much, and a request has none. */
static bool is_nested(const struct line *line)
{
    bool inside = false;
    size_t objects = 0;
    for (size_t i = 0; i < line->length; i++) {
        char c = line->text[i];
        if (c == '"') inside = !inside;
        if (c == '\\' && inside) i++;
        if (!inside && (c == '[' || (c == '{' && objects++))) return true;
    }
    return false;
}

static void refuse_line(const struct decoder *decoder, const struct line *line, enum status status, const char *detail)
{
    const struct request_place place = {"line", line->number};
    (void)problems_add(decoder->problems, status, place_path(decoder, &place), "%s%s", detail,
                       line->last ? "; the trace ends here, without the end of a line" : "");
}

static void refuse_json(const struct decoder *decoder, const struct line *line, const json_error_t *error)
{
    char detail[JSON_ERROR_TEXT_LENGTH + 40];
    bool readable = text_valid_utf8(error->text, strlen(error->text));
    (void)snprintf(detail, sizeof detail, "%s (column %d)", readable ? error->text : "no JSON in UTF-8", error->column);
    if (json_lacked_memory(error))
        refuse_line(decoder, line, STATUS_OUT_OF_MEMORY, "no memory to read it");
    else if (json_error_code(error) == json_error_duplicate_key)
        refuse_line(decoder, line, STATUS_DUPLICATE_FIELD, detail);
    else
        refuse_line(decoder, line, STATUS_MALFORMED_JSON, detail);
}

static void read_line(const struct decoder *decoder, const struct line *line, struct request_lengths *ret_request)
{
    json_error_t error;
    const struct request_place place = {"line", line->number};
    if (line->length > TRACE_LINE_MAX_BYTES) {
        refuse_line(decoder, line, STATUS_TOO_COMPLEX, "more than 4096 bytes: one request a line");
        return;
    }
    if (is_nested(line)) {
        refuse_line(decoder, line, STATUS_WRONG_TYPE, "lists and objects within a request: one flat object a line");
        return;
    }
    json_t *value = json_parse(line->text, line->length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value)
        request_decode(decoder, &place, value, ret_request);
    else
        refuse_json(decoder, line, &error);
    json_decref(value);
}

/* Of the text from *rest on, which moves behind it. */
static struct line next_line(const char **rest, const char *end, size_t number)
{
    const char *start = *rest, *newline = memchr(start, '\n', (size_t)(end - start));
    const char *stop = newline ? newline : end;
    *rest = newline ? newline + 1 : end;
    if (stop > start && stop[-1] == '\r') stop--;
    return (struct line){start, (size_t)(stop - start), number, !newline};
}

static size_t count_lines(const char *text, const char *end)
{
    size_t count = 0;
    while (text < end) {
        const struct line line = next_line(&text, end, 0);
        count += !is_blank(&line);
    }
    return count;
}

enum status trace_read(struct arena *arena, const char *text, size_t length, struct problems *problems,
                       struct request_list *ret_requests)
{
    const struct decoder decoder = {arena, problems};
    bool marked = length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0; /* Windows tools write a BOM */
    const char *rest = text + (marked ? 3 : 0), *end = text + length;
    size_t count = count_lines(rest, end), read = 0;
    if (count == 0)
        return problems_add(
            problems, STATUS_MISSING_FIELD, "trace",
            "the trace is empty: one request a line, as {\"input_tokens\": 1024, \"output_tokens\": 256}");
    if (count > TRACE_REQUESTS_MAX)
        return problems_add(problems, STATUS_TOO_COMPLEX, "trace", "%zu requests are more than %d: split the trace",
                            count, TRACE_REQUESTS_MAX);
    struct request_lengths *items = ARENA_ARRAY(arena, count, struct request_lengths);
    if (!items) return problems_add(problems, STATUS_OUT_OF_MEMORY, "trace", "no memory for the trace");
    size_t before = problems->count + problems->dropped;
    for (size_t number = 1; rest < end; number++) {
        const struct line line = next_line(&rest, end, number);
        if (!is_blank(&line)) read_line(&decoder, &line, &items[read++]);
    }
    if (problems->count + problems->dropped > before) return problems_status(problems);
    *ret_requests = (struct request_list){items, count, true};
    return STATUS_OK;
}
