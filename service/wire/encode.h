/* encode.h owns turning a finished JSON answer into the formats of spreadsheets, and errors into problem+json. */
#pragma once
#include "catalog/status.h"
#include "wire/out.h"

enum format { FORMAT_JSON, FORMAT_CSV, FORMAT_XML, FORMAT_TXT, FORMAT_COUNT };
const char *format_name(enum format format);         /* "json": suffix and value of format= */
const char *format_content_type(enum format format); /* with charset */
bool format_parse(const char *name, enum format *ret_format);
/* Which rows a table has: `wanted` if it is one of `tables` (both may be NULL), else a problem; `usual` without it. */
enum status encode_choose_rows(const char *wanted, const char *tables, const char *usual, struct problems *problems,
                               const char **ret_rows) MUST_CHECK;

struct encode_options {
    enum format format;
    /* What a CSV row is: paths of objects or arrays of objects, comma separated, concatenated in order
     * ("recommended,alternatives"); "" = the whole answer is one row. */
    const char *rows;
    const char *field;   /* TXT: dotted path with indexes, "recommended.gpus[0].id"; NULL = none given */
    const char *columns; /* CSV: names of the columns wanted, comma separated, in that order; NULL or "" = all */
    size_t limit;        /* CSV: most rows; 0 = all */
};

/* `json` is an answer of ours. JSON: as it is. CSV: first column `rank`, then the paths below a row joined by "_";
 * CRLF; a text that starts with =, +, -, @ and is no number gets a leading apostrophe. XML: root <answer>. TXT: the
 * scalar at `field`; a predicted quantity gives its value; NO_VALUE (or NOT_FEASIBLE under a null recommended)
 * otherwise. */
enum status encode(const char *json, size_t length, const struct encode_options *options, struct problems *problems,
                   struct out *out) MUST_CHECK;

/* The same for who asks much of one answer: it is read once, and written in any format but JSON. */
struct json_t;
enum status encode_read(const char *json, size_t length, struct problems *problems,
                        struct json_t **ret_answer) MUST_CHECK;
enum status encode_value(struct json_t *answer, const struct encode_options *options, struct problems *problems,
                         struct out *out) MUST_CHECK;
void encode_forget(struct json_t *answer); /* may be NULL */

/* RFC 9457 application/problem+json: type, title, status, detail, instance, request_id, errors. */
void encode_problems(const struct problems *problems, const char *instance, const char *request_id, struct out *out);
/* "#ERR code: detail" of the first problem: errors=text. */
void encode_problems_text(const struct problems *problems, struct out *out);
