/* encode.c owns the choice of format, and problems as problem+json or text. */
#include "wire/encode.h"
#include "catalog/text.h"
#include "wire/formats.h"
#include "wire/json_read.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name, *content_type;
} formats[FORMAT_COUNT] = {
    [FORMAT_JSON] = {"json", "application/json; charset=utf-8"},
    [FORMAT_CSV] = {"csv", "text/csv; charset=utf-8"},
    [FORMAT_XML] = {"xml", "application/xml; charset=utf-8"},
    [FORMAT_TXT] = {"txt", "text/plain; charset=utf-8"},
};

const char *format_name(enum format format)
{
    return formats[format].name;
}

const char *format_content_type(enum format format)
{
    return formats[format].content_type;
}

bool format_parse(const char *name, enum format *ret_format)
{
    for (enum format i = FORMAT_JSON; i < FORMAT_COUNT; i++) {
        if (strcasecmp(name, formats[i].name) != 0) continue;
        *ret_format = i;
        return true;
    }
    return false;
}

enum status encode_choose_rows(const char *wanted, const char *tables, const char *usual, struct problems *problems,
                               const char **ret_rows)
{
    *ret_rows = usual;
    if (!wanted) return STATUS_OK;
    for (const char *name = tables; name;) {
        const char *end = strchrnul(name, ',');
        size_t length = (size_t)(end - name);
        if (strlen(wanted) == length && memcmp(wanted, name, length) == 0) {
            *ret_rows = wanted;
            return STATUS_OK;
        }
        name = *end ? end + 1 : NULL;
    }
    return problems_add(problems, STATUS_INVALID_VALUE, "rows", "this answer has %s%s",
                        tables ? "the tables " : "no other table", tables ? tables : "");
}

void scalar_write(json_t *value, struct out *out)
{
    char digits[NUMBER_TEXT_BYTES];
    switch (json_typeof(value)) {
    case JSON_STRING: out_raw(out, json_string_value(value), json_string_length(value)); break;
    case JSON_REAL: out_raw(out, digits, text_format_double(json_real_value(value), digits)); break;
    case JSON_INTEGER:
        out->separate = false;
        out_integer(out, NULL, json_integer_value(value));
        break;
    case JSON_TRUE: out_raw(out, "true", 4); break;
    case JSON_FALSE: out_raw(out, "false", 5); break;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT: break;
    }
}

json_t *member_at(json_t *object, const char *path, size_t length)
{
    while (object && length) {
        const char *dot = memchr(path, '.', length);
        size_t name = dot ? (size_t)(dot - path) : length;
        object = json_object_getn(object, path, name);
        path += dot ? name + 1 : name;
        length -= dot ? name + 1 : name;
    }
    return object;
}

enum status encode_read(const char *json, size_t length, struct problems *problems, json_t **ret_answer)
{
    json_error_t error;
    json_t *answer = json_parse(json, length, 0, &error);
    if (answer)
        *ret_answer = answer;
    else if (json_lacked_memory(&error))
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory to read the answer");
    else
        return problems_add(problems, STATUS_INTERNAL, "", "the answer is not JSON: %s", error.text);
    return STATUS_OK;
}

void encode_forget(json_t *answer)
{
    json_decref(answer);
}

static enum status check_written(enum status status, struct problems *problems, const struct out *out)
{
    if (status != STATUS_OK || !out->failed) return status;
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "the answer is too large to be written");
}

enum status encode_value(json_t *answer, const struct encode_options *options, struct problems *problems,
                         struct out *out)
{
    static const char declaration[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    enum status status = STATUS_OK;
    if (options->format == FORMAT_CSV) {
        status = csv_write(answer, options, problems, out);
    } else if (options->format == FORMAT_TXT) {
        status = txt_write(answer, options, problems, out);
    } else {
        out_raw(out, declaration, sizeof declaration - 1);
        xml_write("answer", answer, out);
    }
    return check_written(status, problems, out);
}

enum status encode(const char *json, size_t length, const struct encode_options *options, struct problems *problems,
                   struct out *out)
{
    if (options->format == FORMAT_JSON) {
        out_raw(out, json, length);
        return check_written(STATUS_OK, problems, out);
    }
    json_t *answer = NULL;
    enum status status = encode_read(json, length, problems, &answer);
    if (status == STATUS_OK) status = encode_value(answer, options, problems, out);
    encode_forget(answer);
    return status;
}

/* The problem that gives the whole its status. */
static const struct problem *main_problem(const struct problems *problems)
{
    static const struct problem none = {STATUS_INTERNAL, "", "the request failed without a reason"};
    enum status status = problems_status(problems);
    for (size_t i = 0; i < problems->count; i++)
        if (problems->items[i].status == status) return &problems->items[i];
    return &none;
}

void encode_problems(const struct problems *problems, const char *instance, const char *request_id, struct out *out)
{
    const struct problem *first = main_problem(problems);
    char type[64] = "/problems/";
    (void)strncat(type, status_code(first->status), sizeof type - strlen(type) - 1);
    out_object(out, NULL);
    out_text(out, "type", type);
    out_text(out, "title", status_hint(first->status));
    out_integer(out, "status", status_http(first->status));
    out_text(out, "detail", first->detail);
    out_text(out, "instance", instance);
    out_text(out, "request_id", request_id);
    out_array(out, "errors");
    for (size_t i = 0; i < problems->count; i++) {
        out_object(out, NULL);
        out_text(out, "field", problems->items[i].field);
        out_text(out, "code", status_code(problems->items[i].status));
        out_text(out, "detail", problems->items[i].detail);
        out_object_end(out);
    }
    out_array_end(out);
    if (problems->dropped) out_integer(out, "dropped", (int64_t)problems->dropped);
    out_object_end(out);
}

void encode_problems_text(const struct problems *problems, struct out *out)
{
    const struct problem *first = main_problem(problems);
    const char *code = status_code(first->status);
    out_raw(out, "#ERR ", 5);
    out_raw(out, code, strlen(code));
    out_raw(out, ": ", 2);
    for (const char *c = first->detail; *c; c++)
        out_raw(out, (unsigned char)*c < 0x20 ? " " : c, 1); /* one line: it stands in a cell */
}
