/* fields.c owns decoding: one function per kind of field, from a JSON value into the member. */
#include "wire/fields.h"

#include "catalog/heap.h"
#include "catalog/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TEXT_MAX_BYTES = 200, LINE_MAX_BYTES = 500, LIST_MAX = 1000, EXCERPT_BYTES = 60 };
#define INTEGER_MAX 9007199254740992.0 /* 2^53: beyond it a double does not name one integer */

const struct field model_fields[] = {
    {.name = "name", .kind = FIELD_TEXT, .offset = offsetof(struct model_ref, name)},
    {.name = "config", .kind = FIELD_CONFIG, .offset = offsetof(struct model_ref, config_json)},
    {.name = "safetensors_index", .kind = FIELD_CONFIG, .offset = offsetof(struct model_ref, safetensors_json)},
    {.name = "gguf_header", .kind = FIELD_CONFIG, .offset = offsetof(struct model_ref, gguf_json)},
    {.name = "parameters",
     .kind = FIELD_MAGNITUDE,
     .offset = offsetof(struct model_ref, parameters),
     .min = 1e3,
     .max = 1e15,
     .unit = "parameters"},
    {.name = "weights_gb",
     .kind = FIELD_NUMBER,
     .offset = offsetof(struct model_ref, weights_gb),
     .min = 1e-6,
     .max = 1e6,
     .unit = "GB"},
    {.name = "weights_bytes",
     .kind = FIELD_NUMBER,
     .offset = offsetof(struct model_ref, weights_bytes),
     .min = 1,
     .max = 1e15,
     .unit = "bytes"},
};
const size_t model_field_count = sizeof model_fields / sizeof *model_fields;

static const struct field weight_field = {.name = "weight",
                                          .kind = FIELD_NUMBER,
                                          .required = true,
                                          .min = 1e-9,
                                          .max = 1e12,
                                          .offset = offsetof(struct length_bucket, weight)};
static const struct field adjustment_fields[] = {
    {.name = "provider", .kind = FIELD_TEXT, .required = true, .offset = offsetof(struct price_adjustment, provider)},
    {.name = "discount_ratio",
     .kind = FIELD_NUMBER,
     .max = 1,
     .offset = offsetof(struct price_adjustment, discount_ratio)},
    {.name = "usd_per_hour",
     .kind = FIELD_NUMBER,
     .max = 1e6,
     .unit = "USD/h",
     .offset = offsetof(struct price_adjustment, usd_per_hour)},
};

const char *path_join(struct arena *arena, const char *parent, const char *name)
{
    const char *path = *parent ? arena_printf(arena, "%s.%s", parent, name) : name;
    return path ? path : "";
}

const char *path_index(struct arena *arena, const char *list, size_t index)
{
    const char *path = arena_printf(arena, "%s[%zu]", list, index);
    return path ? path : "";
}

const char *excerpt(struct arena *arena, const char *text)
{
    size_t length = strlen(text);
    if (length <= EXCERPT_BYTES) return text;
    const char *start = arena_printf(arena, "%.*s…", (int)text_utf8_prefix(text, EXCERPT_BYTES), text);
    return start ? start : "";
}

static const char *type_name(json_t *value)
{
    static const char *const names[] = {"an object", "a list", "a text", "a number",
                                        "a number",  "true",   "false",  "null"};
    return names[json_typeof(value)];
}

static void no_memory(const struct decoder *decoder)
{
    (void)problems_add(decoder->problems, STATUS_OUT_OF_MEMORY, "", "no memory to read the request");
}

static void wrong_type(const struct decoder *decoder, const char *path, const char *expected, json_t *value)
{
    (void)problems_add(decoder->problems, STATUS_WRONG_TYPE, path, "expected %s, found %s", expected, type_name(value));
}

static bool has_range(const struct field *field)
{
    return field->min < field->max;
}

static bool in_range(const struct decoder *decoder, const struct field *field, const char *path, double value)
{
    if (!has_range(field) || (value >= field->min && value <= field->max)) return true;
    char found[NUMBER_TEXT_BYTES], min[NUMBER_TEXT_BYTES], max[NUMBER_TEXT_BYTES];
    (void)text_format_double(value, found);
    (void)text_format_double(field->min, min);
    (void)text_format_double(field->max, max);
    const char *unit = field->unit ? field->unit : "";
    (void)problems_add(decoder->problems, STATUS_OUT_OF_RANGE, path, "%s is out of range: give %s to %s%s%s", found,
                       min, max, *unit ? " " : "", unit);
    return false;
}

static bool read_number(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                        double *ret_value)
{
    if (!json_is_number(value)) {
        wrong_type(decoder, path, "a number", value);
        return false;
    }
    double number = json_number_value(value);
    if (!in_range(decoder, field, path, number)) return false;
    *ret_value = number;
    return true;
}

static bool read_integer(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                         int64_t *ret_value)
{
    double number = 0;
    if (!read_number(decoder, field, path, value, &number)) return false;
    if (number != floor(number) || fabs(number) > INTEGER_MAX) {
        (void)problems_add(decoder->problems, STATUS_WRONG_TYPE, path, "expected a whole number, found %.17g", number);
        return false;
    }
    *ret_value = (int64_t)number;
    return true;
}

/* Ids reach a shell-quoted command line and logs: a narrow alphabet keeps both readable. */
static bool valid_id(const char *text)
{
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._/+ -");
    return length > 0 && length <= TEXT_MAX_BYTES && text[length] == '\0';
}

static const char *copy_id(const struct decoder *decoder, const char *path, const char *text)
{
    if (!valid_id(text)) {
        (void)problems_add(decoder->problems, STATUS_INVALID_VALUE, path,
                           "\"%s\" is no name: use 1 to %d letters, digits, spaces and . _ / + -",
                           excerpt(decoder->arena, text), TEXT_MAX_BYTES);
        return NULL;
    }
    const char *copy = arena_strdup(decoder->arena, text);
    if (!copy) no_memory(decoder);
    return copy;
}

static const char *read_text(const struct decoder *decoder, const char *path, json_t *value)
{
    if (json_is_string(value)) return copy_id(decoder, path, json_string_value(value));
    wrong_type(decoder, path, "a text", value);
    return NULL;
}

static const char *names_joined(struct arena *arena, const char *const *names)
{
    const char *joined = "";
    for (size_t i = 0; names[i] && joined; i++)
        joined = arena_printf(arena, "%s%s%s", joined, i ? ", " : "", names[i]);
    return joined ? joined : "";
}

static bool read_choice(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                        int64_t *ret_index)
{
    if (!json_is_string(value)) {
        wrong_type(decoder, path, "a text", value);
        return false;
    }
    const char *text = json_string_value(value);
    for (size_t i = 0; field->names[i]; i++) {
        if (strcasecmp(field->names[i], text) != 0) continue;
        *ret_index = (int64_t)i;
        return true;
    }
    (void)problems_add(decoder->problems, STATUS_INVALID_VALUE, path, "\"%s\" is none of: %s",
                       excerpt(decoder->arena, text), names_joined(decoder->arena, field->names));
    return false;
}

/* A list, or one value that stands for a list of one. Sets the number of elements; false: too many. */
static bool list_size(const struct decoder *decoder, const char *path, json_t *value, size_t *ret_count)
{
    size_t count = json_is_array(value) ? json_array_size(value) : json_is_object(value) ? json_object_size(value) : 1;
    if (count > LIST_MAX) {
        (void)problems_add(decoder->problems, STATUS_TOO_COMPLEX, path, "%zu elements: give at most %d", count,
                           LIST_MAX);
        return false;
    }
    *ret_count = count;
    return true;
}

/* Zeroed memory for `count` elements; never NULL for none, so that an empty list is not an absent one. */
static void *list_memory(const struct decoder *decoder, size_t count, size_t size_bytes)
{
    void *items = arena_array(decoder->arena, count ? count : 1, size_bytes);
    if (!items) no_memory(decoder);
    return items;
}

static json_t *list_at(json_t *value, size_t index)
{
    return json_is_array(value) ? json_array_get(value, index) : value;
}

static const char *list_path(const struct decoder *decoder, const char *path, json_t *value, size_t index)
{
    return json_is_array(value) ? path_index(decoder->arena, path, index) : path;
}

static void unknown_members(const struct decoder *decoder, const struct field *fields, size_t count, const char *path,
                            json_t *object)
{
    const char *names[8] = {NULL}, *key = NULL;
    json_t *member = NULL;
    for (size_t i = 0; i < count && i + 1 < sizeof names / sizeof *names; i++)
        names[i] = fields[i].name;
    json_object_foreach(object, key, member)
    {
        bool known = decoder->problems->count == PROBLEMS_MAX; /* enough is enough */
        for (size_t i = 0; i < count; i++)
            known = known || strcmp(key, fields[i].name) == 0;
        if (!known)
            (void)problems_add(decoder->problems, STATUS_UNKNOWN_FIELD,
                               path_join(decoder->arena, path, excerpt(decoder->arena, key)),
                               "no such field; here there are: %s", names_joined(decoder->arena, names));
    }
}

void decode_object(const struct decoder *decoder, const struct field *fields, size_t count, const char *path,
                   json_t *value, void *members)
{
    input_clear(fields, count, members);
    if (!json_is_object(value)) {
        wrong_type(decoder, path, "an object", value);
        return;
    }
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        json_t *member = json_object_get(value, fields[i].name);
        known += member != NULL;
        if (member && !json_is_null(member))
            field_decode(decoder, &fields[i], path_join(decoder->arena, path, fields[i].name), member, members);
        else if (fields[i].required)
            (void)problems_add(decoder->problems, STATUS_MISSING_FIELD, path_join(decoder->arena, path, fields[i].name),
                               "required");
    }
    if (known < json_object_size(value)) unknown_members(decoder, fields, count, path, value);
}

typedef void decode_function(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                             void *member);

static void decode_number(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                          void *member)
{
    double *number = member;
    (void)read_number(decoder, field, path, value, number);
}

static void decode_magnitude(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                             void *member)
{
    double number = 0, *magnitude = member;
    if (!json_is_string(value)) {
        decode_number(decoder, field, path, value, member);
    } else if (!text_parse_count(json_string_value(value), &number)) {
        (void)problems_add(decoder->problems, STATUS_WRONG_TYPE, path, "expected a number or a text such as \"70B\"");
    } else if (in_range(decoder, field, path, number)) {
        *magnitude = number;
    }
}

static void decode_integer(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                           void *member)
{
    int64_t *integer = member;
    (void)read_integer(decoder, field, path, value, integer);
}

static void decode_bool(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                        void *member)
{
    int64_t *truth = member;
    (void)field;
    if (json_is_boolean(value))
        *truth = json_is_true(value);
    else
        wrong_type(decoder, path, "true or false", value);
}

static void decode_choice(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                          void *member)
{
    int64_t *choice = member;
    (void)read_choice(decoder, field, path, value, choice);
}

static void decode_choices(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                           void *member)
{
    uint32_t *choices = member, bits = 0;
    size_t count = 0;
    if (!list_size(decoder, path, value, &count)) return;
    if (count == 0)
        (void)problems_add(decoder->problems, STATUS_INVALID_VALUE, path,
                           "an empty list allows nothing: give one of %s", names_joined(decoder->arena, field->names));
    for (size_t i = 0; i < count; i++) {
        int64_t index = 0;
        if (read_choice(decoder, field, list_path(decoder, path, value, i), list_at(value, i), &index))
            bits |= 1U << index;
    }
    *choices = bits;
}

static void decode_text(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                        void *member)
{
    const char **text = member;
    (void)field;
    *text = read_text(decoder, path, value);
}

/* Goes into the database and into reports, and never into a command line. */
static void decode_line(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                        void *member)
{
    const char **text = member, *line = json_string_value(value);
    (void)field;
    if (!line) {
        wrong_type(decoder, path, "a text", value);
        return;
    }
    for (const char *c = line; *c; c++) {
        if ((unsigned char)*c >= ' ' && *c != 0x7f && c - line < LINE_MAX_BYTES) continue;
        (void)problems_add(decoder->problems, STATUS_INVALID_VALUE, path,
                           "\"%s\" is not one line of at most %d bytes without control characters",
                           excerpt(decoder->arena, line), LINE_MAX_BYTES);
        return;
    }
    *text = arena_strdup(decoder->arena, line);
    if (!*text) no_memory(decoder);
}

static void decode_date(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                        void *member)
{
    date_t *date = member;
    (void)field;
    if (!json_is_string(value))
        wrong_type(decoder, path, "a date such as \"2026-01-31\"", value);
    else if (!date_parse(json_string_value(value), date))
        (void)problems_add(decoder->problems, STATUS_INVALID_VALUE, path,
                           "\"%s\" is no date from 1970 to 2200: write YYYY-MM-DD, YYYY-MM or YYYY",
                           excerpt(decoder->arena, json_string_value(value)));
}

static void decode_texts(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                         void *member)
{
    struct text_list *list = member;
    size_t count = 0;
    (void)field;
    if (!list_size(decoder, path, value, &count)) return;
    const char **items = list_memory(decoder, count, sizeof *items);
    if (!items) return;
    size_t readable = count; /* what looks names up sees those before the first bad one, at their places */
    for (size_t i = 0; i < count; i++) {
        items[i] = read_text(decoder, list_path(decoder, path, value, i), list_at(value, i));
        if (!items[i] && i < readable) readable = i;
    }
    if (readable || !count) *list = (struct text_list){items, readable};
}

static int by_name(const void *a, const void *b)
{
    const struct named_count *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static void decode_counts(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                          void *member)
{
    struct count_map *map = member;
    size_t count = 0, filled = 0;
    if (!json_is_object(value)) {
        wrong_type(decoder, path, "an object such as {\"l40s\": 8}", value);
        return;
    }
    if (!list_size(decoder, path, value, &count)) return;
    struct named_count *items = list_memory(decoder, count, sizeof *items);
    if (!items) return;
    const char *key = NULL;
    json_t *element = NULL;
    json_object_foreach(value, key, element)
    {
        const char *at = path_join(decoder->arena, path, excerpt(decoder->arena, key));
        struct named_count item = {.name = copy_id(decoder, at, key)};
        if (read_integer(decoder, field, at, element, &item.count) && item.name) items[filled++] = item;
    }
    qsort(items, filled, sizeof *items, by_name); /* one order for one meaning: the canonical request */
    *map = (struct count_map){items, filled};
}

static void decode_histogram(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                             void *member)
{
    struct length_histogram *histogram = member;
    struct field fields[] = {*field, weight_field};
    fields[0].name = "tokens";
    fields[0].kind = FIELD_NUMBER;
    fields[0].offset = offsetof(struct length_bucket, tokens);
    fields[0].required = true;
    size_t count = 0;
    if (!list_size(decoder, path, value, &count)) return;
    if (count == 0) (void)problems_add(decoder->problems, STATUS_INVALID_VALUE, path, "give at least one bucket");
    struct length_bucket *items = list_memory(decoder, count, sizeof *items);
    if (!items) return;
    for (size_t i = 0; i < count; i++)
        decode_object(decoder, fields, 2, list_path(decoder, path, value, i), list_at(value, i), &items[i]);
    *histogram = (struct length_histogram){items, count};
}

static void decode_adjustments(const struct decoder *decoder, const struct field *field, const char *path,
                               json_t *value, void *member)
{
    struct price_adjustments *adjustments = member;
    size_t count = 0;
    (void)field;
    if (!list_size(decoder, path, value, &count)) return;
    struct price_adjustment *items = list_memory(decoder, count, sizeof *items);
    if (!items) return;
    for (size_t i = 0; i < count; i++) {
        const char *at = list_path(decoder, path, value, i);
        size_t before = decoder->problems->count;
        decode_object(decoder, adjustment_fields, sizeof adjustment_fields / sizeof *adjustment_fields, at,
                      list_at(value, i), &items[i]);
        if (decoder->problems->count == before && is_known(items[i].discount_ratio) == is_known(items[i].usd_per_hour))
            (void)problems_add(decoder->problems, STATUS_CONTRADICTION, at,
                               "give exactly one of discount_ratio and usd_per_hour");
    }
    *adjustments = (struct price_adjustments){items, count};
}

static void decode_requests(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                            void *member)
{
    struct request_list *requests = member;
    size_t count = 0;
    (void)field;
    if (!list_size(decoder, path, value, &count)) return;
    if (count == 0) (void)problems_add(decoder->problems, STATUS_INVALID_VALUE, path, "give at least one request");
    struct request_lengths *items = list_memory(decoder, count, sizeof *items);
    if (!items) return;
    for (size_t i = 0; i < count; i++) {
        const struct request_place place = {path, i + 1};
        request_decode(decoder, &place, list_at(value, i), &items[i]);
    }
    *requests = (struct request_list){items, count, false};
}

struct printing {
    const json_t *value;
    char *text;
};

static void print_json(void *context)
{
    struct printing *printing = context;
    printing->text = json_dumps(printing->value, JSON_COMPACT | JSON_SORT_KEYS);
}

static void decode_config(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                          void *member)
{
    const char **config = member;
    (void)field;
    if (!json_is_object(value)) {
        wrong_type(decoder, path, "a JSON object, as of a config.json", value);
        return;
    }
    struct printing printing = {.value = value};
    bool printed = heap_guard(print_json, &printing); /* without memory the printer leaves parts out, and goes on */
    *config = printed && printing.text ? arena_strdup(decoder->arena, printing.text) : NULL;
    if (printed) heap_free(printing.text);
    if (!*config) no_memory(decoder);
}

static void decode_model(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                         void *member)
{
    struct model_ref *model = member;
    size_t before = decoder->problems->count;
    (void)field;
    if (json_is_string(value)) {
        model->name = read_text(decoder, path, value);
        return;
    }
    if (!json_is_object(value)) {
        wrong_type(decoder, path, "a model's name or an object", value);
        return;
    }
    decode_object(decoder, model_fields, model_field_count, path, value, model);
    if (decoder->problems->count > before) return;
    int ways = (model->name != NULL) + (model->config_json != NULL) + (model->gguf_json != NULL) +
               is_known(model->parameters) + is_known(model->weights_gb);
    bool sized = is_known(model->weights_bytes) || model->safetensors_json;
    if (ways == 0)
        (void)problems_add(decoder->problems, STATUS_MISSING_FIELD, path,
                           "give the model by its name, its config, its gguf_header, its parameters or its weights_gb");
    else if (ways > 1 || (sized && !model->config_json) || (is_known(model->weights_bytes) && model->safetensors_json))
        (void)problems_add(
            decoder->problems, STATUS_CONTRADICTION, path,
            "give the model in one way: a name, a config (with weights_bytes or safetensors_index), a gguf_header, "
            "parameters or weights_gb");
}

static const double absent_number = UNKNOWN;
static const int64_t absent_integer = VALUE_ABSENT;
static const uint32_t absent_bits = 0;
static const char *const absent_text = NULL;
static const date_t absent_date = {INT32_MIN}; /* DATE_UNKNOWN */
static const struct text_list absent_texts;
static const struct count_map absent_counts;
static const struct length_histogram absent_histogram;
static const struct price_adjustments absent_adjustments;
static const struct request_list absent_requests;
static const struct model_ref absent_model = {NULL, NULL, NULL, NULL, UNKNOWN, UNKNOWN, UNKNOWN};

#define ABSENT(value) &(value), sizeof(value)
static const struct {
    const void *absent;
    size_t size;
    decode_function *decode;
} kinds[] = {
    [FIELD_NUMBER] = {ABSENT(absent_number), decode_number},
    [FIELD_INTEGER] = {ABSENT(absent_integer), decode_integer},
    [FIELD_BOOL] = {ABSENT(absent_integer), decode_bool},
    [FIELD_CHOICE] = {ABSENT(absent_integer), decode_choice},
    [FIELD_CHOICES] = {ABSENT(absent_bits), decode_choices},
    [FIELD_TEXT] = {ABSENT(absent_text), decode_text},
    [FIELD_LINE] = {ABSENT(absent_text), decode_line},
    [FIELD_DATE] = {ABSENT(absent_date), decode_date},
    [FIELD_TEXTS] = {ABSENT(absent_texts), decode_texts},
    [FIELD_COUNTS] = {ABSENT(absent_counts), decode_counts},
    [FIELD_MODEL] = {ABSENT(absent_model), decode_model},
    [FIELD_HISTOGRAM] = {ABSENT(absent_histogram), decode_histogram},
    [FIELD_ADJUSTMENTS] = {ABSENT(absent_adjustments), decode_adjustments},
    [FIELD_REQUESTS] = {ABSENT(absent_requests), decode_requests},
    [FIELD_MAGNITUDE] = {ABSENT(absent_number), decode_magnitude},
    [FIELD_CONFIG] = {ABSENT(absent_text), decode_config},
};

void input_clear(const struct field *fields, size_t field_count, void *request)
{
    for (size_t i = 0; i < field_count; i++)
        memcpy((char *)request + fields[i].offset, kinds[fields[i].kind].absent, kinds[fields[i].kind].size);
}

void field_decode(const struct decoder *decoder, const struct field *field, const char *path, json_t *value,
                  void *request)
{
    kinds[field->kind].decode(decoder, field, path, value, (char *)request + field->offset);
}
