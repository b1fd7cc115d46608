/* compare.c owns the walk through two answers at once. */
#include "wire/compare.h"

#include "wire/fields.h"
#include "wire/formats.h"
#include "wire/json_read.h"

#include <string.h>

struct comparison {
    struct arena *arena;
    struct out *out;
    size_t lines_max, count;
};

static void put(struct out *out, const char *text)
{
    out_raw(out, text, strlen(text));
}

static void put_value(const struct comparison *comparison, json_t *value)
{
    static const char *const words[] = {[JSON_OBJECT] = "{…}", [JSON_ARRAY] = "[…]", [JSON_NULL] = "null"};
    const char *word = !value                                                    ? "nothing"
                       : json_typeof(value) <= JSON_ARRAY || json_is_null(value) ? words[json_typeof(value)]
                                                                                 : NULL;
    struct out text;
    out_init(&text, 0);
    if (!word) scalar_write(value, &text);
    out_raw(&text, "", 1);
    if (!word) word = text.failed ? "" : excerpt(comparison->arena, text.data);
    if (text.failed || (!*word && text.length > 1)) comparison->out->failed = true;
    put(comparison->out, word);
    out_done(&text);
}

static void put_line(const struct comparison *comparison, const char *path, json_t *a, json_t *b)
{
    put(comparison->out, path);
    put(comparison->out, ": ");
    put_value(comparison, a);
    put(comparison->out, ", ");
    put_value(comparison, b);
    put(comparison->out, "\n");
}

/* The empty path is the whole: below it, it says that there was no memory for one. */
static const char *checked(const struct comparison *comparison, const char *path)
{
    if (!*path) comparison->out->failed = true;
    return path;
}

/* NULL: there is no value on this side. */
static void compare(struct comparison *comparison, const char *path, json_t *a, json_t *b)
{
    const char *name = NULL;
    json_t *member = NULL;
    struct arena *arena = comparison->arena;
    if (json_is_object(a) && json_is_object(b)) {
        json_object_foreach(a, name, member)
        {
            const char *below = checked(comparison, path_join(arena, path, name));
            compare(comparison, below, member, json_object_get(b, name));
        }
        json_object_foreach(b, name, member)
        {
            if (json_object_get(a, name)) continue;
            compare(comparison, checked(comparison, path_join(arena, path, name)), NULL, member);
        }
    } else if (json_is_array(a) && json_is_array(b)) {
        for (size_t i = 0; i < json_array_size(a) || i < json_array_size(b); i++) {
            const char *below = checked(comparison, path_index(arena, path, i));
            compare(comparison, below, json_array_get(a, i), json_array_get(b, i));
        }
    } else if (!json_equal(a, b) && comparison->count++ < comparison->lines_max) {
        put_line(comparison, path, a, b);
    }
}

static enum status parse(struct compare_text text, struct problems *problems, json_t **ret_root)
{
    json_error_t error;
    json_t *root = json_parse(text.json, text.length, 0, &error);
    if (!root && json_lacked_memory(&error))
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory to read an answer");
    if (!root) return problems_add(problems, STATUS_MALFORMED_JSON, "", "the answer is no JSON: %s", error.text);
    *ret_root = root;
    return STATUS_OK;
}

enum status compare_answers(struct compare_text a, struct compare_text b, size_t lines_max, struct problems *problems,
                            struct out *out, size_t *ret_count)
{
    json_t *roots[2] = {NULL, NULL};
    struct comparison comparison = {.arena = problems->arena, .out = out, .lines_max = lines_max};
    enum status status = parse(a, problems, &roots[0]);
    if (status == STATUS_OK) status = parse(b, problems, &roots[1]);
    if (status == STATUS_OK) compare(&comparison, "", roots[0], roots[1]);
    json_decref(roots[0]);
    json_decref(roots[1]);
    if (status == STATUS_OK && out->failed)
        status = problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory to compare the answers");
    if (status == STATUS_OK) *ret_count = comparison.count;
    return status;
}
