/* echo.c owns printing a decoded request as the JSON that would ask for it. */
#include "catalog/text.h"
#include "wire/fields.h"

#include <string.h>

typedef void echo_function(struct out *out, const char *key, const struct field *field, const void *member);

static void echo_number(struct out *out, const char *key, const struct field *field, const void *member)
{
    const double *number = member;
    (void)field;
    out_number(out, key, *number);
}

static void echo_integer(struct out *out, const char *key, const struct field *field, const void *member)
{
    const int64_t *integer = member;
    (void)field;
    out_integer(out, key, *integer);
}

static void echo_bool(struct out *out, const char *key, const struct field *field, const void *member)
{
    const int64_t *truth = member;
    (void)field;
    if (*truth == VALUE_ABSENT)
        out_null(out, key);
    else
        out_bool(out, key, *truth != 0);
}

static void echo_choice(struct out *out, const char *key, const struct field *field, const void *member)
{
    const int64_t *choice = member;
    out_text(out, key, *choice == VALUE_ABSENT ? NULL : field->names[*choice]);
}

static void echo_choices(struct out *out, const char *key, const struct field *field, const void *member)
{
    const uint32_t *choices = member;
    if (*choices == 0) {
        out_null(out, key);
        return;
    }
    out_array(out, key);
    for (size_t i = 0; field->names[i]; i++)
        if (*choices & 1U << i) out_text(out, NULL, field->names[i]);
    out_array_end(out);
}

static void echo_text(struct out *out, const char *key, const struct field *field, const void *member)
{
    const char *const *text = member;
    (void)field;
    out_text(out, key, *text);
}

static void echo_date(struct out *out, const char *key, const struct field *field, const void *member)
{
    const date_t *date = member;
    (void)field;
    out_date(out, key, *date);
}

static void echo_texts(struct out *out, const char *key, const struct field *field, const void *member)
{
    const struct text_list *list = member;
    (void)field;
    if (!list->items) {
        out_null(out, key);
        return;
    }
    out_array(out, key);
    for (size_t i = 0; i < list->count; i++)
        out_text(out, NULL, list->items[i]);
    out_array_end(out);
}

static void echo_counts(struct out *out, const char *key, const struct field *field, const void *member)
{
    const struct count_map *map = member;
    (void)field;
    if (!map->items) {
        out_null(out, key);
        return;
    }
    out_object(out, key);
    for (size_t i = 0; i < map->count; i++)
        out_integer(out, map->items[i].name, map->items[i].count);
    out_object_end(out);
}

static void echo_histogram(struct out *out, const char *key, const struct field *field, const void *member)
{
    const struct length_histogram *histogram = member;
    (void)field;
    if (!histogram->items) {
        out_null(out, key);
        return;
    }
    out_array(out, key);
    for (size_t i = 0; i < histogram->count; i++) {
        out_object(out, NULL);
        out_number(out, "tokens", histogram->items[i].tokens);
        out_number(out, "weight", histogram->items[i].weight);
        out_object_end(out);
    }
    out_array_end(out);
}

static void echo_adjustments(struct out *out, const char *key, const struct field *field, const void *member)
{
    const struct price_adjustments *adjustments = member;
    (void)field;
    if (!adjustments->items) {
        out_null(out, key);
        return;
    }
    out_array(out, key);
    for (size_t i = 0; i < adjustments->count; i++) {
        const struct price_adjustment *item = &adjustments->items[i];
        out_object(out, NULL);
        out_text(out, "provider", item->provider);
        if (is_known(item->discount_ratio)) out_number(out, "discount_ratio", item->discount_ratio);
        if (is_known(item->usd_per_hour)) out_number(out, "usd_per_hour", item->usd_per_hour);
        out_object_end(out);
    }
    out_array_end(out);
}

static void echo_request(struct out *out, const struct request_lengths *request)
{
    bool whole = request->output_tokens == 0; /* it said nothing of its parts */
    out_object(out, NULL);
    if (request->id) out_text(out, "id", request->id);
    out_number(out, whole ? "sequence_length" : "input_tokens", request->input_tokens);
    if (is_known(request->output_tokens) && !whole) out_number(out, "output_tokens", request->output_tokens);
    out_object_end(out);
}

/* Of a trace, which may have many, the number and the hash of all that an answer tells of them. */
static void echo_trace(struct out *out, const char *key, const struct request_list *requests)
{
    char hash[HASH_TEXT_BYTES];
    struct out text;
    out_init(&text, 0);
    out_array(&text, NULL);
    for (size_t i = 0; i < requests->count; i++) {
        out_integer(&text, NULL, requests->items[i].line);
        echo_request(&text, &requests->items[i]);
    }
    out_array_end(&text);
    out->failed |= text.failed;
    text_hash(text.failed ? "" : text.data, text.failed ? 0 : text.length, hash);
    out_done(&text);
    out_object(out, key);
    out_integer(out, "count", (int64_t)requests->count);
    out_text(out, "hash", hash);
    out_object_end(out);
}

static void echo_requests(struct out *out, const char *key, const struct field *field, const void *member)
{
    const struct request_list *requests = member;
    (void)field;
    if (!requests->items) {
        out_null(out, key);
        return;
    }
    if (requests->traced) {
        echo_trace(out, key, requests);
        return;
    }
    out_array(out, key);
    for (size_t i = 0; i < requests->count; i++)
        echo_request(out, &requests->items[i]);
    out_array_end(out);
}

/* A config.json may have 90 KB, and a list of tensors more: the hash stands for it. */
static void echo_json(struct out *out, const char *bytes_name, const char *hash_name, const char *json)
{
    char hash[HASH_TEXT_BYTES];
    if (!json) return;
    text_hash(json, strlen(json), hash);
    out_integer(out, bytes_name, (int64_t)strlen(json));
    out_text(out, hash_name, hash);
}

static void echo_model(struct out *out, const char *key, const struct field *field, const void *member)
{
    const struct model_ref *model = member;
    (void)field;
    if (model->name) {
        out_text(out, key, model->name);
        return;
    }
    out_object(out, key);
    echo_json(out, "config_bytes", "config_hash", model->config_json);
    echo_json(out, "safetensors_index_bytes", "safetensors_index_hash", model->safetensors_json);
    echo_json(out, "gguf_header_bytes", "gguf_header_hash", model->gguf_json);
    if (is_known(model->parameters)) out_number(out, "parameters", model->parameters);
    if (is_known(model->weights_gb)) out_number(out, "weights_gb", model->weights_gb);
    if (is_known(model->weights_bytes)) out_number(out, "weights_bytes", model->weights_bytes);
    out_object_end(out);
}

static echo_function *const writers[] = {
    [FIELD_NUMBER] = echo_number,
    [FIELD_INTEGER] = echo_integer,
    [FIELD_BOOL] = echo_bool,
    [FIELD_CHOICE] = echo_choice,
    [FIELD_CHOICES] = echo_choices,
    [FIELD_TEXT] = echo_text,
    [FIELD_LINE] = echo_text,
    [FIELD_DATE] = echo_date,
    [FIELD_TEXTS] = echo_texts,
    [FIELD_COUNTS] = echo_counts,
    [FIELD_MODEL] = echo_model,
    [FIELD_HISTOGRAM] = echo_histogram,
    [FIELD_ADJUSTMENTS] = echo_adjustments,
    [FIELD_REQUESTS] = echo_requests,
};

static void echo_field(struct out *out, const struct field *field, const void *request)
{
    writers[field->kind](out, field->name, field, (const char *)request + field->offset);
}

static bool first_of_group(const struct field *fields, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(fields[i].group, fields[index].group) == 0) return false;
    return true;
}

void input_encode(struct out *out, const char *key, const struct field *fields, size_t field_count, const void *request)
{
    out_object(out, key);
    for (size_t i = 0; i < field_count; i++) {
        if (*fields[i].group == '\0') {
            echo_field(out, &fields[i], request);
            continue;
        }
        if (!first_of_group(fields, i)) continue;
        out_object(out, fields[i].group);
        for (size_t k = i; k < field_count; k++)
            if (strcmp(fields[k].group, fields[i].group) == 0) echo_field(out, &fields[k], request);
        out_object_end(out);
    }
    out_object_end(out);
}
