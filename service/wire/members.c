/* members.c owns the types and limits of such members. */
#include "wire/members.h"

#include "catalog/name.h"
#include "catalog/text.h"

#include <string.h>

const char *path_of(struct reading *reading, const char *parent, const char *name)
{
    const char *path = arena_printf(reading->arena, "%s%s%s", parent, *parent ? "." : "", name);
    return path ? path : "";
}

static const json_t *find(const json_t *object, const char *name)
{
    const json_t *member = json_object_get(object, name);
    return json_is_null(member) ? NULL : member;
}

static const char *refuse(struct reading *reading, enum status status, const char *path, const char *name,
                          const char *detail)
{
    (void)problems_add(reading->problems, status, path_of(reading, path, name), "%s", detail);
    return NULL;
}

const char *read_text(struct reading *reading, const json_t *object, const char *path, const char *name,
                      size_t max_bytes)
{
    const json_t *member = find(object, name);
    if (!member) return "";
    const char *text = json_string_value(member);
    if (!text) return refuse(reading, STATUS_WRONG_TYPE, path, name, "must be a text or null");
    if (strlen(text) > max_bytes) return refuse(reading, STATUS_OUT_OF_RANGE, path, name, "is too long");
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return refuse(reading, STATUS_INVALID_VALUE, path, name, "has control characters in it");
    }
    const char *copy = arena_strdup(reading->arena, text);
    return copy ? copy : refuse(reading, STATUS_OUT_OF_MEMORY, path, name, "no memory to read it");
}

double read_number(struct reading *reading, const json_t *object, const char *path, const char *name, double low,
                   double high)
{
    const json_t *member = find(object, name);
    char shown[NUMBER_TEXT_BYTES], least[NUMBER_TEXT_BYTES], most[NUMBER_TEXT_BYTES];
    if (!member) return UNKNOWN;
    if (!json_is_number(member)) {
        (void)refuse(reading, STATUS_WRONG_TYPE, path, name, "must be a number or null");
        return UNKNOWN;
    }
    double value = json_number_value(member);
    if (value >= low && value <= high) return value;
    (void)text_format_double(value, shown), (void)text_format_double(low, least), (void)text_format_double(high, most);
    (void)problems_add(reading->problems, STATUS_OUT_OF_RANGE, path_of(reading, path, name),
                       "%s is no number from %s to %s; what is not known is null", shown, least, most);
    return UNKNOWN;
}

const json_t *read_object(struct reading *reading, const json_t *object, const char *path, const char *name)
{
    const json_t *member = find(object, name);
    if (!member || json_is_object(member)) return member;
    (void)refuse(reading, STATUS_WRONG_TYPE, path, name, "must be an object or null");
    return NULL;
}
