/* flat.c owns the flat form of values: what a query string's or a command line's text means, per kind of field. */
#include "catalog/text.h"
#include "wire/fields.h"
#include "wire/json_read.h"

#include <string.h>
#include <strings.h>

typedef json_t *text_function(const struct decoder *decoder, const struct field *field, const char *path,
                              const char *text);

static json_t *refuse(const struct decoder *decoder, const char *path, const char *text, const char *expected)
{
    (void)problems_add(decoder->problems, STATUS_WRONG_TYPE, path, "expected %s, found \"%s\"", expected,
                       excerpt(decoder->arena, text));
    return NULL;
}

static json_t *from_number(const struct decoder *decoder, const struct field *field, const char *path, const char *text)
{
    double number = 0;
    int64_t integer = 0;
    (void)field;
    if (text_parse_int64(text, &integer)) return json_integer(integer);
    if (text_parse_double(text, &number)) return json_real(number);
    if (!text_is_decimal(text)) return refuse(decoder, path, text, "a number");
    (void)problems_add(decoder->problems, STATUS_OUT_OF_RANGE, path, "%s is beyond what a number can be",
                       excerpt(decoder->arena, text));
    return NULL;
}

static json_t *from_magnitude(const struct decoder *decoder, const struct field *field, const char *path,
                              const char *text)
{
    double number = 0;
    if (!text_is_decimal(text) && text_parse_count(text, &number)) return json_real(number);
    return from_number(decoder, field, path, text);
}

static json_t *from_bool(const struct decoder *decoder, const struct field *field, const char *path, const char *text)
{
    (void)field;
    if (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0) return json_true();
    if (strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0) return json_false();
    return refuse(decoder, path, text, "true, false, 1 or 0");
}

static json_t *from_text(const struct decoder *decoder, const struct field *field, const char *path, const char *text)
{
    (void)decoder, (void)field, (void)path;
    return json_string(text);
}

static json_t *from_config(const struct decoder *decoder, const struct field *field, const char *path, const char *text)
{
    json_t *config = NULL;
    (void)field, (void)path;
    if (json_read(decoder->arena, text, strlen(text), "config", true, decoder->problems, &config) != STATUS_OK)
        return NULL;
    return config;
}

/* The text up to the next comma, without the blanks around it; *rest becomes NULL behind the last. */
static char *next_element(struct arena *arena, const char **rest)
{
    const char *start = *rest;
    const char *comma = strchrnul(start, ',');
    *rest = *comma ? comma + 1 : NULL;
    while (*start == ' ')
        start++;
    while (comma > start && comma[-1] == ' ')
        comma--;
    return arena_strndup(arena, start, (size_t)(comma - start));
}

static json_t *from_list(const struct decoder *decoder, const struct field *field, const char *path, const char *text)
{
    json_t *list = json_array();
    (void)field;
    for (const char *rest = text; rest;) {
        const char *element = next_element(decoder->arena, &rest);
        if (element && *element == '\0') (void)refuse(decoder, path, text, "a list without empty elements");
        if (element && *element && json_array_append_new(list, json_string(element)) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

/* "a:1,b:2" into {"a": 1, "b": 2}, or [{key: "a", value: 1}, …] when the keys of the elements are given. */
struct pair_shape {
    const char *key, *value, *expected;
    bool key_is_number;
};

static json_t *element_of(const struct decoder *decoder, const struct pair_shape *shape, const char *path,
                          const char *name, const char *number)
{
    json_t *key = shape->key_is_number ? from_number(decoder, NULL, path, name) : json_string(name);
    json_t *value = key ? from_number(decoder, NULL, path, number) : NULL;
    json_t *element = value ? json_object() : NULL;
    int failed = json_object_set(element, shape->key, key) | json_object_set(element, shape->value, value);
    json_decref(key);
    json_decref(value);
    if (!failed) return element;
    json_decref(element);
    return NULL;
}

static bool add_pair(const struct decoder *decoder, const struct pair_shape *shape, const char *path, char *element,
                     json_t *into)
{
    char *colon = strrchr(element, ':');
    if (!colon || colon == element || colon[1] == '\0') {
        (void)refuse(decoder, path, element, shape->expected);
        return false;
    }
    *colon = '\0';
    if (shape->key) return json_array_append_new(into, element_of(decoder, shape, path, element, colon + 1)) == 0;
    if (json_object_get(into, element)) {
        (void)problems_add(decoder->problems, STATUS_DUPLICATE_FIELD, path, "\"%s\" twice",
                           excerpt(decoder->arena, element));
        return false;
    }
    return json_object_set_new(into, element, from_number(decoder, NULL, path, colon + 1)) == 0;
}

static json_t *from_pairs(const struct decoder *decoder, const struct pair_shape *shape, const char *path,
                          const char *text)
{
    json_t *into = shape->key ? json_array() : json_object();
    for (const char *rest = text; rest;) {
        char *element = next_element(decoder->arena, &rest);
        if (element && add_pair(decoder, shape, path, element, into)) continue;
        json_decref(into);
        return NULL;
    }
    return into;
}

static json_t *from_counts(const struct decoder *decoder, const struct field *field, const char *path, const char *text)
{
    static const struct pair_shape shape = {.expected = "name:count, as in l40s:8"};
    (void)field;
    return from_pairs(decoder, &shape, path, text);
}

static json_t *from_histogram(const struct decoder *decoder, const struct field *field, const char *path,
                              const char *text)
{
    static const struct pair_shape shape = {"tokens", "weight", "tokens:weight, as in 1024:3", true};
    (void)field;
    return from_pairs(decoder, &shape, path, text);
}

static json_t *from_adjustments(const struct decoder *decoder, const struct field *field, const char *path,
                                const char *text)
{
    static const struct pair_shape shape = {"provider", "discount_ratio", "provider:discount, as in aws:0.2", false};
    (void)field;
    return from_pairs(decoder, &shape, path, text);
}

static json_t *from_requests(const struct decoder *decoder, const struct field *field, const char *path,
                             const char *text)
{
    static const struct pair_shape shape = {"input_tokens", "output_tokens", "input:output, as in 1024:256", true};
    (void)field;
    return from_pairs(decoder, &shape, path, text);
}

json_t *field_from_text(const struct decoder *decoder, const struct field *field, const char *path, const char *text)
{
    static text_function *const readers[] = {
        [FIELD_NUMBER] = from_number,
        [FIELD_INTEGER] = from_number,
        [FIELD_BOOL] = from_bool,
        [FIELD_CHOICE] = from_text,
        [FIELD_CHOICES] = from_list,
        [FIELD_TEXT] = from_text,
        [FIELD_LINE] = from_text,
        [FIELD_DATE] = from_text,
        [FIELD_TEXTS] = from_list,
        [FIELD_COUNTS] = from_counts,
        [FIELD_MODEL] = from_text,
        [FIELD_HISTOGRAM] = from_histogram,
        [FIELD_ADJUSTMENTS] = from_adjustments,
        [FIELD_REQUESTS] = from_requests,
        [FIELD_MAGNITUDE] = from_magnitude,
        [FIELD_CONFIG] = from_config,
    };
    size_t before = decoder->problems->count + decoder->problems->dropped;
    if (*text == '\0') {
        (void)problems_add(decoder->problems, STATUS_INVALID_VALUE, path,
                           "empty: give a value, or leave the field out");
        return NULL;
    }
    json_t *value = readers[field->kind](decoder, field, path, text);
    if (!value && decoder->problems->count + decoder->problems->dropped == before)
        (void)problems_add(decoder->problems, STATUS_OUT_OF_MEMORY, "", "no memory to read the request");
    return value;
}
