/* json_read.c owns the pre-scan of JSON and the translation of the parser's errors. */
#include "wire/json_read.h"

#include "catalog/heap.h"
#include "catalog/text.h"

#include <stdlib.h>
#include <string.h>

struct level {       /* an open object or array */
    const char *key; /* of the member being read, as it stands in the text; NULL in arrays */
    size_t key_length;
    bool object, expect_key;
};

struct scan {
    struct arena *arena;
    struct problems *problems;
    const char *text, *end, *at, *what;
    struct level levels[JSON_MAX_DEPTH];
    size_t depth, values, max_values;
    bool lenient;
    const char *copied; /* the text up to here is in `copy` */
    char *copy, *copy_at;
    bool stop; /* a problem that makes the rest not worth reading */
};

/* "line 3, column 14" of a byte, both from 1. */
static const char *position(struct arena *arena, const char *text, const char *at)
{
    size_t line = 1;
    const char *start = text;
    for (const char *c = text; c < at; c++) {
        if (*c != '\n') continue;
        line++;
        start = c + 1;
    }
    const char *place = arena_printf(arena, "line %zu, column %zu", line, (size_t)(at - start) + 1);
    return place ? place : "";
}

static void scan_fail(struct scan *scan, enum status status, const char *detail)
{
    (void)problems_add(scan->problems, status, "", "%s: %s (%s)", scan->what, detail,
                       position(scan->arena, scan->text, scan->at));
    scan->stop = true;
}

/* The dotted path of the value that is being read; array indexes are left out. */
static const char *scan_path(const struct scan *scan)
{
    const char *path = "";
    for (size_t i = 0; i < scan->depth && path; i++) {
        const struct level *level = &scan->levels[i];
        if (level->key)
            path = arena_printf(scan->arena, "%s%s%.*s", path, *path ? "." : "", (int)level->key_length, level->key);
    }
    return path ? path : "";
}

static bool scan_inside_config(const struct scan *scan)
{
    bool inside = scan->lenient;
    for (size_t i = 0; i < scan->depth; i++)
        inside = inside || (scan->levels[i].key_length == 6 && memcmp(scan->levels[i].key, "config", 6) == 0);
    return inside;
}

/* Replaces the text between `at` and `after`: the parser will read a copy. NaN → null is the fastest growth, one
 * byte in four with its comma. */
static void scan_replace(struct scan *scan, const char *after, const char *with)
{
    if (!scan->copy) {
        size_t length = (size_t)(scan->end - scan->text);
        scan->copy = scan->copy_at = arena_alloc(scan->arena, length + length / 3 + 16);
        scan->copied = scan->text;
    }
    if (!scan->copy) {
        scan_fail(scan, STATUS_OUT_OF_MEMORY, "no memory to read it");
        return;
    }
    size_t before = (size_t)(scan->at - scan->copied), length = strlen(with);
    memcpy(scan->copy_at, scan->copied, before);
    memcpy(scan->copy_at + before, with, length);
    scan->copy_at += before + length;
    scan->copied = after;
}

static void scan_count(struct scan *scan)
{
    if (++scan->values <= scan->max_values) return;
    (void)problems_add(scan->problems, STATUS_TOO_COMPLEX, "", "%s: more than %zu values", scan->what,
                       scan->max_values);
    scan->stop = true;
}

static void scan_open(struct scan *scan, bool object)
{
    scan_count(scan);
    if (scan->depth == JSON_MAX_DEPTH) {
        (void)problems_add(scan->problems, STATUS_TOO_COMPLEX, "", "%s: nested deeper than %d", scan->what,
                           JSON_MAX_DEPTH);
        scan->stop = true;
        return;
    }
    scan->levels[scan->depth++] = (struct level){.object = object, .expect_key = object};
}

static void scan_string(struct scan *scan)
{
    const char *start = scan->at + 1, *c = start;
    while (c < scan->end && *c != '"')
        c += *c == '\\' && c + 1 < scan->end ? 2 : 1;
    struct level *level = scan->depth ? &scan->levels[scan->depth - 1] : NULL;
    if (c >= scan->end) {
        scan_fail(scan, STATUS_MALFORMED_JSON, "a text without its closing quote");
    } else if (level && level->expect_key) {
        level->key = start;
        level->key_length = (size_t)(c - start);
        level->expect_key = false;
    } else {
        scan_count(scan);
    }
    scan->at = c + 1;
}

static bool is_bare(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' ||
           c == '.';
}

static void scan_number(struct scan *scan, const char *after)
{
    char digits[512 + sizeof "e0"];
    double value = 0;
    int64_t integer = 0;
    size_t length = (size_t)(after - scan->at);
    if (length > 500) {
        scan_fail(scan, STATUS_MALFORMED_JSON, "a number of more than 500 digits");
        return;
    }
    memcpy(digits, scan->at, length);
    digits[length] = '\0';
    if (!text_is_decimal(digits)) return; /* the parser says what is wrong with it */
    if (!text_parse_double(digits, &value)) {
        (void)problems_add(scan->problems, STATUS_OUT_OF_RANGE, scan_path(scan), "%.40s is beyond what a number can be",
                           digits);
    } else if (!strpbrk(digits, ".eE") && !text_parse_int64(digits, &integer)) {
        memcpy(digits + length, "e0", sizeof "e0"); /* a real: the parser's integers end at 2^63 */
        scan_replace(scan, after, digits);
    }
}

/* A number, a literal, or what only Python writes. */
static void scan_bare(struct scan *scan)
{
    static const char *const not_json[] = {"NaN", "Infinity", "-Infinity"};
    const char *after = scan->at;
    while (after < scan->end && is_bare(*after))
        after++;
    size_t length = (size_t)(after - scan->at);
    scan_count(scan);
    for (size_t i = 0; i < sizeof not_json / sizeof *not_json; i++) {
        if (length != strlen(not_json[i]) || memcmp(scan->at, not_json[i], length) != 0) continue;
        if (scan_inside_config(scan))
            scan_replace(scan, after, "null");
        else
            scan_fail(scan, STATUS_MALFORMED_JSON, "NaN and Infinity are no JSON values outside config");
    }
    if (*scan->at == '-' || (*scan->at >= '0' && *scan->at <= '9')) scan_number(scan, after);
    scan->at = after;
}

static void scan_step(struct scan *scan)
{
    struct level *level = scan->depth ? &scan->levels[scan->depth - 1] : NULL;
    char c = *scan->at;
    if (c == '"') {
        scan_string(scan);
        return;
    }
    if (is_bare(c)) {
        scan_bare(scan);
        return;
    }
    if (c == '{' || c == '[') {
        scan_open(scan, c == '{');
    } else if (c == '}' || c == ']') {
        scan->depth -= scan->depth > 0;
    } else if (c == ',' && level) {
        level->expect_key = level->object;
    } else if (c == '\0') {
        scan_fail(scan, STATUS_MALFORMED_JSON, "a NUL byte");
    }
    scan->at++;
}

static enum status scan_text(struct scan *scan)
{
    const char *start = scan->text;
    while (start < scan->end && memchr(" \t\r\n", *start, 4))
        start++;
    size_t before = scan->problems->count + scan->problems->dropped;
    size_t length = (size_t)(scan->end - scan->text), valid = text_utf8_prefix(scan->text, length);
    if (start == scan->end)
        return problems_add(scan->problems, STATUS_MALFORMED_JSON, "", "%s is empty: send one JSON object", scan->what);
    scan->at = scan->text + valid;
    if (valid < length) scan_fail(scan, STATUS_MALFORMED_JSON, "no valid UTF-8");
    scan->at = start;
    while (scan->at < scan->end && !scan->stop)
        scan_step(scan);
    if (scan->copy && !scan->stop) scan_replace(scan, (scan->at = scan->end), "");
    return scan->problems->count + scan->problems->dropped == before ? STATUS_OK : problems_status(scan->problems);
}

/* Before main: the parser's allocation functions are one setting of the process. */
__attribute__((constructor)) static void guard_parser(void)
{
    json_set_alloc_funcs(heap_alloc, heap_free);
}

struct parse {
    const char *text;
    size_t length, flags;
    json_t *root;
    json_error_t *error;
};

static void parse_text(void *context)
{
    struct parse *parse = context;
    parse->root = json_loadb(parse->text, parse->length, parse->flags, parse->error);
}

json_t *json_parse(const char *text, size_t length, size_t flags, json_error_t *ret_error)
{
    struct parse parse = {.text = text, .length = length, .flags = flags, .error = ret_error};
    if (heap_guard(parse_text, &parse)) return parse.root;
    memset(ret_error, 0, sizeof *ret_error);
    ret_error->text[JSON_ERROR_TEXT_LENGTH - 1] = json_error_out_of_memory; /* where json_error_code reads it */
    return NULL;
}

bool json_lacked_memory(const json_error_t *error)
{
    return json_error_code(error) == json_error_out_of_memory;
}

static enum status parse_problem(const struct scan *scan, const json_error_t *error)
{
    const char *near = strstr(error->text, " near '\"");
    if (json_lacked_memory(error))
        return problems_add(scan->problems, STATUS_OUT_OF_MEMORY, "", "%s: no memory to read it", scan->what);
    if (json_error_code(error) != json_error_duplicate_key)
        return problems_add(scan->problems, STATUS_MALFORMED_JSON, "", "%s: %s (line %d, column %d)", scan->what,
                            text_valid_utf8(error->text, strlen(error->text)) ? error->text : "no JSON", error->line,
                            error->column);
    /* The parser quotes keys of up to 20 bytes: `… near '"key"'`. */
    char key[JSON_ERROR_TEXT_LENGTH] = "";
    if (near) {
        size_t length = strlen(near + 8);
        if (length > 2) memcpy(key, near + 8, length - 2);
    }
    return problems_add(scan->problems, STATUS_DUPLICATE_FIELD, text_valid_utf8(key, strlen(key)) ? key : "",
                        "%s: the same name twice in one object (line %d, column %d)", scan->what, error->line,
                        error->column);
}

/* One value that any limit of the scan lets through. */
static enum status read_value(const struct scan *limits, size_t length, json_t **ret_value)
{
    const char *text = limits->text;
    size_t mark = length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* Windows tools write a BOM */
    struct scan *scan = ARENA_NEW(limits->arena, struct scan);
    if (!scan)
        return problems_add(limits->problems, STATUS_OUT_OF_MEMORY, "", "%s: no memory to read it", limits->what);
    *scan = *limits;
    scan->text = text + mark;
    scan->end = text + length;
    enum status status = scan_text(scan);
    if (status != STATUS_OK) return status;
    const char *from = scan->copy ? scan->copy : scan->text;
    size_t size = (size_t)((scan->copy ? scan->copy_at : scan->end) - from);
    json_error_t error;
    *ret_value = json_parse(from, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    return *ret_value ? STATUS_OK : parse_problem(scan, &error);
}

static enum status refuse_kind(struct problems *problems, const char *what, const char *right, json_t *value)
{
    json_decref(value);
    return problems_add(problems, STATUS_MALFORMED_JSON, "", "%s must be %s", what, right);
}

enum status json_read(struct arena *arena, const char *text, size_t length, const char *what, bool lenient,
                      struct problems *problems, json_t **ret_object)
{
    const struct scan limits = {.arena = arena,
                                .problems = problems,
                                .text = text,
                                .what = what,
                                .max_values = JSON_MAX_VALUES,
                                .lenient = lenient};
    json_t *value = NULL;
    enum status status = read_value(&limits, length, &value);
    if (status != STATUS_OK) return status;
    if (!json_is_object(value)) return refuse_kind(problems, what, "one JSON object: {…}", value);
    *ret_object = value;
    return STATUS_OK;
}

enum status json_read_long(struct arena *arena, const char *text, size_t length, const char *what, size_t max_values,
                           bool array, struct problems *problems, json_t **ret_value)
{
    const struct scan limits = {
        .arena = arena, .problems = problems, .text = text, .what = what, .max_values = max_values};
    json_t *value = NULL;
    enum status status = read_value(&limits, length, &value);
    if (status != STATUS_OK) return status;
    if (!json_is_object(value) && !(array && json_is_array(value)))
        return refuse_kind(problems, what, array ? "a JSON object or a list of them" : "one JSON object: {…}", value);
    *ret_value = value;
    return STATUS_OK;
}
