/* txt.c owns the one-cell form of an answer: the scalar at a path. */
#include "catalog/text.h"
#include "wire/formats.h"

#include <string.h>

/* The length of the next step of a path: a name, or an index "[12]" or "12". */
static size_t step_length(const char *path)
{
    return *path == '[' ? strcspn(path, "]") + 1 : strcspn(path, ".[");
}

static bool parse_index(const char *step, size_t length, size_t *ret_index)
{
    size_t index = 0;
    bool bracket = *step == '[';
    if (bracket && (length < 3 || step[length - 1] != ']')) return false;
    for (size_t i = bracket; i < length - bracket; i++) {
        if (step[i] < '0' || step[i] > '9' || index > 100000) return false;
        index = index * 10 + (size_t)(step[i] - '0');
    }
    *ret_index = index;
    return length > 0;
}

static json_t *step_into(json_t *value, const char *step, size_t length)
{
    size_t index = 0;
    if (json_is_array(value) && parse_index(step, length, &index)) return json_array_get(value, index);
    return json_object_getn(value, step, length);
}

static enum status refuse(struct problems *problems, json_t *value, const char *field)
{
    static const char *const reasons[] = {
        [JSON_OBJECT] = "is an object: name one of its members",
        [JSON_ARRAY] = "is a list: name an element, as in name[0]",
        [JSON_NULL] = "is not known",
    };
    const char *reason = value ? reasons[json_typeof(value)] : "is not in the answer";
    int length = strlen(field) > 200 ? 200 : (int)strlen(field);
    return problems_add(problems, STATUS_NO_VALUE, "field", "%.*s %s", (int)text_utf8_prefix(field, (size_t)length),
                        field, reason);
}

enum status txt_write(json_t *answer, const struct encode_options *options, struct problems *problems, struct out *out)
{
    const char *field = options->field;
    json_t *value = answer;
    if (!field || !*field)
        return problems_add(problems, STATUS_MISSING_FIELD, "field",
                            "required: the path of the value, such as recommended.gpu_count");
    for (const char *step = field; *step && value;) {
        size_t length = step_length(step);
        if (length > strlen(step)) length = strlen(step); /* "[" without "]" */
        value = step_into(value, step, length);
        if (json_is_null(value) && step == field && length == strlen("recommended") &&
            strncmp(step, "recommended", length) == 0)
            return problems_add(problems, STATUS_NOT_FEASIBLE, "field",
                                "nothing meets every constraint; relaxations in the JSON answer say what would");
        step += length;
        step += *step == '.';
    }
    if (json_is_object(value) && json_object_get(value, "basis")) { /* a predicted quantity */
        json_t *central = json_object_get(value, "value");
        if (central) value = central;
    }
    if (!value || json_is_object(value) || json_is_array(value) || json_is_null(value))
        return refuse(problems, value, field);
    scalar_write(value, out);
    return STATUS_OK;
}
