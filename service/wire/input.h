/* input.h owns the way from a question's text to a request struct: JSON bodies, query strings and command lines
 * go through one table of fields. */
#pragma once
#include "catalog/status.h"
#include "catalog/value.h"
#include "wire/out.h"

enum field_kind {
    FIELD_NUMBER,      /* double */
    FIELD_INTEGER,     /* int64_t */
    FIELD_BOOL,        /* int64_t: 0, 1, VALUE_ABSENT */
    FIELD_CHOICE,      /* int64_t: index into names */
    FIELD_CHOICES,     /* uint32_t: bits of the indexes into names; 0 = absent */
    FIELD_TEXT,        /* const char *: a name */
    FIELD_LINE,        /* const char *: any text of one line, at most 500 bytes */
    FIELD_DATE,        /* date_t */
    FIELD_TEXTS,       /* struct text_list */
    FIELD_COUNTS,      /* struct count_map */
    FIELD_MODEL,       /* struct model_ref */
    FIELD_HISTOGRAM,   /* struct length_histogram */
    FIELD_ADJUSTMENTS, /* struct price_adjustments */
    FIELD_REQUESTS,    /* struct request_list */
};

struct field {
    const char *name;  /* leaf name, unique over all tables with one meaning */
    const char *group; /* JSON object that holds it: "workload"; "" = top level */
    const char *alias; /* short name in the flat form: "rps"; NULL = none */
    enum field_kind kind;
    size_t offset;
    double min, max;          /* inclusive, for numbers, integers and the numbers inside lists */
    const char *const *names; /* NULL-terminated, for choices */
    bool required;
    const char *unit;   /* "tokens"; "" = none */
    const char *preset; /* default as documentation prints it; NULL = none */
    const char *help;   /* one sentence */
};

struct pair { /* of a query string or a command line, decoded */
    const char *name, *value;
};

struct input; /* a question's fields, not yet decoded */

/* Every function below adds a problem per bad field and returns problems_status(). The input and all texts live
 * in the arena; input_done releases what the parser holds outside it (accepts NULL). */
enum status input_from_json(struct arena *arena, const char *body, size_t length, struct problems *problems,
                            struct input **ret_input) MUST_CHECK;
enum status input_from_pairs(struct arena *arena, const struct pair *pairs, size_t count, struct problems *problems,
                             struct input **ret_input) MUST_CHECK;
void input_done(struct input *input);

/* Every member that a field names becomes "absent". */
void input_clear(const struct field *fields, size_t field_count, void *request);
/* Writes every member that a field names: the value, or "absent". Unknown and duplicate names, wrong types,
 * values out of range and missing required fields are problems with a suggestion for near misses. */
enum status input_decode(const struct input *input, struct arena *arena, const struct field *fields, size_t field_count,
                         void *request, struct problems *problems) MUST_CHECK;

/* Writes a decoded request as the JSON that would ask for it, members in the order of the table: the `request` of
 * an answer and the canonical form behind its id. Absent members are null; a config.json is its size and hash. */
void input_encode(struct out *out, const char *key, const struct field *fields, size_t field_count,
                  const void *request);

enum cell_type { CELL_IS_NULL, CELL_IS_TEXT, CELL_IS_NUMBER, CELL_IS_BOOL, CELL_IS_OBJECT };
struct cell {
    const char *name, *value;
    enum cell_type type;
};

/* The members of a JSON body as texts, for tables whose columns no struct has: null is "", numbers are as short as they
 * read back. A member of the name `object` (NULL: none) may be an object, and is compact JSON with sorted keys; other
 * lists and objects are problems. */
enum status input_cells(const struct input *input, const char *object, struct arena *arena, struct problems *problems,
                        const struct cell **ret_cells, size_t *ret_count) MUST_CHECK;
