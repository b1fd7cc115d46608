/* hf_text.c owns the way from bytes to JSON: one linear scan for size, depth and number of values, then jansson. */
#include "catalog/heap.h"
#include "hf/hf_config.h"
#include "hf/hf_shape.h"

#include <stdlib.h>
#include <string.h>

struct scan {
    size_t values, nonfinite;
    int depth, deepest;
};

/* From an opening quote to the byte after the closing one, or to the end. */
static size_t skip_string(const char *text, size_t length, size_t at)
{
    for (at++; at < length && text[at] != '"'; at++) {
        if (text[at] == '\\') at++;
    }
    return at < length ? at + 1 : length;
}

/* Python writes these three though JSON has none of them: the length of the one that begins here, or 0. */
static size_t nonfinite_length(const char *text, size_t length)
{
    static const char *const words[] = {"Infinity", "-Infinity", "NaN"};
    if (*text != 'I' && *text != '-' && *text != 'N') return 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t word_length = strlen(words[i]);
        if (length >= word_length && memcmp(text, words[i], word_length) == 0) return word_length;
    }
    return 0;
}

/* An upper bound of the number of values: each is the first of its container or follows a comma. */
static struct scan scan_text(const char *text, size_t length)
{
    struct scan scan = {.values = 1};
    for (size_t at = 0; at < length;) {
        char byte = text[at];
        if (byte == '"') {
            at = skip_string(text, length, at);
            continue;
        }
        scan.values += byte == '{' || byte == '[' || byte == ',';
        scan.depth += (byte == '{' || byte == '[') - (byte == '}' || byte == ']');
        if (scan.depth > scan.deepest) scan.deepest = scan.depth;
        size_t skip = nonfinite_length(text + at, length - at);
        scan.nonfinite += skip > 0;
        at += skip ? skip : 1;
    }
    return scan;
}

/* The text with null for each bare Infinity, -Infinity and NaN. The caller frees it. */
static char *without_nonfinite(const char *text, size_t length, size_t nonfinite, size_t *ret_length)
{
    static const char null[] = "null";
    const size_t null_length = sizeof null - 1;
    char *copy = malloc(length + nonfinite); /* "NaN" grows by one byte */
    if (!copy) return NULL;
    size_t used = 0;
    for (size_t at = 0; at < length;) {
        size_t skip = text[at] == '"' ? 0 : nonfinite_length(text + at, length - at);
        if (skip) {
            memcpy(copy + used, null, null_length);
            used += null_length;
            at += skip;
            continue;
        }
        size_t end = text[at] == '"' ? skip_string(text, length, at) : at + 1;
        memcpy(copy + used, text + at, end - at);
        used += end - at;
        at = end;
    }
    *ret_length = used;
    return copy;
}

/* Our own words: jansson's quote the input, cut at any byte. */
static const char *mistake(enum json_error_code code)
{
    static const struct {
        enum json_error_code code;
        const char *text;
    } mistakes[] = {
        {json_error_invalid_utf8, "there is a byte that is not UTF-8"},
        {json_error_premature_end_of_input, "the text ends early"},
        {json_error_end_of_input_expected, "something follows the object"},
        {json_error_numeric_overflow, "there is a number beyond 1.8e308"},
        {json_error_duplicate_key, "an object has the same key twice"},
        {json_error_null_character, "there is a NUL in a string"},
        {json_error_null_byte_in_key, "there is a NUL in a key"},
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        if (mistakes[i].code == code) return mistakes[i].text;
    }
    return "this is not JSON";
}

static enum status guard(const struct scan *scan, struct problems *problems, const char *field)
{
    if (scan->deepest > HF_CONFIG_DEPTH_MAX) {
        return problems_add(problems, STATUS_TOO_COMPLEX, field, "values nest %d deep; a config.json may nest %d deep",
                            scan->deepest, HF_CONFIG_DEPTH_MAX);
    }
    if (scan->values > HF_CONFIG_VALUES_MAX) {
        return problems_add(problems, STATUS_TOO_COMPLEX, field, "about %zu values; a config.json may have %d",
                            scan->values, HF_CONFIG_VALUES_MAX);
    }
    return STATUS_OK;
}

/* Before main: the parser's allocation functions are one setting of the process. */
__attribute__((constructor)) static void watch_parser(void)
{
    json_set_alloc_funcs(heap_alloc, heap_free);
}

static enum status parse_problem(const json_error_t *error, struct problems *problems, const char *field)
{
    enum json_error_code code = json_error_code(error);
    enum status status = code == json_error_duplicate_key ? STATUS_DUPLICATE_FIELD : STATUS_MALFORMED_JSON;
    return problems_add(problems, status, field, "line %d, column %d: %s", error->line, error->column, mistake(code));
}

struct parse {
    const char *text;
    size_t length;
    json_t *json;
    json_error_t error;
};

static void parse_text(void *context)
{
    struct parse *parse = context;
    parse->json =
        json_loadb(parse->text, parse->length, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &parse->error);
}

static enum status load(const char *text, size_t length, struct problems *problems, const char *field,
                        json_t **ret_json)
{
    struct parse parse = {.text = text, .length = length};
    if (!heap_guard(parse_text, &parse)) {
        return problems_add(problems, STATUS_OUT_OF_MEMORY, field, "no memory to read it");
    }
    if (!parse.json) return parse_problem(&parse.error, problems, field);
    if (!json_is_object(parse.json)) {
        json_decref(parse.json);
        return problems_add(problems, STATUS_MALFORMED_JSON, field, "a config.json is one JSON object, not a list");
    }
    *ret_json = parse.json;
    return STATUS_OK;
}

enum status hf_text_load(const char *text, size_t length, struct problems *problems, const char *field,
                         json_t **ret_json)
{
    if (length > HF_CONFIG_BYTES_MAX) {
        return problems_add(problems, STATUS_TOO_COMPLEX, field, "%zu bytes; a config.json may have %d", length,
                            HF_CONFIG_BYTES_MAX);
    }
    struct scan scan = scan_text(text, length);
    enum status status = guard(&scan, problems, field);
    if (status != STATUS_OK) return status;
    if (scan.nonfinite == 0) return load(text, length, problems, field, ret_json);
    size_t clean_length = 0;
    char *clean = without_nonfinite(text, length, scan.nonfinite, &clean_length);
    if (!clean) return problems_add(problems, STATUS_OUT_OF_MEMORY, field, "no memory for the text");
    status = load(clean, clean_length, problems, field, ret_json);
    free(clean);
    return status;
}
