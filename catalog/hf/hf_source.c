/* hf_source.c owns the finding of a field: which object, which of its names, null as absent, type and limits. */
#include "hf/hf_shape.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

static const struct key_rule {
    int64_t least, most;
    bool other_type; /* a text or a list is read elsewhere */
    const char *names[HF_NAMES_MAX + 1];
} key_rules[KEY_COUNT] = {
#define KEY(symbol, least, most, other_type, ...) [KEY_##symbol] = {least, most, other_type, {__VA_ARGS__}},
#include "hf/hf_keys.def"
#undef KEY
};

static const struct flag_rule {
    bool fallback;
    const char *name;
} flag_rules[FLAG_COUNT] = {
    [FLAG_ALWAYS] = {true, NULL},
#define FLAG(symbol, fallback, name) [FLAG_##symbol] = {fallback, name},
#include "hf/hf_flags.def"
#undef FLAG
};

const char *hf_key_name(enum hf_key key)
{
    return key_rules[key].names[0];
}

static const char *full_name(const struct hf_source *source, const char *path, const char *name)
{
    const char *text = arena_printf(source->arena, "%s%s.%s", source->field, path, name);
    return text ? text : source->field;
}

enum status hf_source_problem(const struct hf_source *source, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *detail = arena_vprintf(source->arena, format, args);
    va_end(args);
    return problems_add(source->problems, STATUS_MALFORMED_CONFIG, full_name(source, source->scopes[0].path, name),
                        "%s", detail ? detail : "cannot be right");
}

static const json_t *member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static void push_scope(struct hf_source *source, const json_t *object, const char *path)
{
    if (source->scope_count < HF_SCOPES_MAX) {
        source->scopes[source->scope_count++] = (struct hf_scope){object, path ? path : ""};
    }
}

/* DBRX and MPT nest a level deeper. */
static void push_groups(struct hf_source *source, const json_t *object, const char *path)
{
    static const char *const groups[] = {"attn_config", "ffn_config"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        const json_t *group = member(object, groups[i]);
        if (json_is_object(group)) push_scope(source, group, arena_printf(source->arena, "%s.%s", path, groups[i]));
    }
}

/* The object under which a wrapper keeps its language model, one step down; NULL if there is none. */
static const json_t *step_down(const json_t *object, const char **ret_name)
{
    static const char *const wrappers[] = {"text_config", "llm_config", "language_config", "language_model_config",
                                           "thinker_config"};
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        const json_t *value = member(object, wrappers[i]);
        if (!value) continue;
        *ret_name = wrappers[i];
        return value;
    }
    return NULL;
}

enum status hf_source_init(struct hf_source *source, const json_t *top)
{
    enum { DOWN_MAX = 2 }; /* thinker_config.text_config */
    const json_t *object = top;
    const char *path = "";
    for (int down = 0; down < DOWN_MAX; down++) {
        const char *name = "";
        const json_t *inner = step_down(object, &name);
        if (!inner) break;
        if (!json_is_object(inner)) {
            return problems_add(source->problems, STATUS_MALFORMED_CONFIG, full_name(source, path, name),
                                "must be an object with the language model's fields");
        }
        object = inner;
        path = arena_printf(source->arena, "%s.%s", path, name);
        if (!path) return problems_add(source->problems, STATUS_OUT_OF_MEMORY, source->field, "no memory");
    }
    push_scope(source, object, path);
    push_groups(source, object, path);
    if (object != top) push_scope(source, top, "");
    source->top = top;
    return STATUS_OK;
}

const json_t *hf_source_find(const struct hf_source *source, const char *name)
{
    for (size_t i = 0; i < source->scope_count; i++) {
        const json_t *value = member(source->scopes[i].object, name);
        if (value) return value;
    }
    return NULL;
}

const char *hf_source_text(const struct hf_source *source, const char *name)
{
    const json_t *value = hf_source_find(source, name);
    return json_is_string(value) ? json_string_value(value) : "";
}

struct found {
    const json_t *value;
    const char *path, *name;
};

/* The first scope that has any of the names wins: the language model's own field comes before the wrapper's. */
static struct found find_key(const struct hf_source *source, const struct key_rule *rule)
{
    for (size_t i = 0; i < source->scope_count; i++) {
        for (const char *const *name = rule->names; *name; name++) {
            const json_t *value = member(source->scopes[i].object, *name);
            if (value) return (struct found){value, source->scopes[i].path, *name};
        }
    }
    return (struct found){0};
}

static int64_t class_default(const struct hf_class *class, enum hf_key key)
{
    for (size_t i = 0; i < HF_DEFAULTS_MAX && class->defaults[i].value; i++) {
        if (class->defaults[i].key == key) return class->defaults[i].value;
    }
    return 0;
}

static int64_t read_key(const struct hf_shape *shape, enum hf_key key)
{
    const struct hf_source *source = &shape->source;
    const struct key_rule *rule = &key_rules[key];
    struct found found = find_key(source, rule);
    if (!found.value) return class_default(shape->class, key);
    if (!json_is_number(found.value) && rule->other_type) return 0;
    double value = json_is_number(found.value) ? json_number_value(found.value) : UNKNOWN;
    if (value >= (double)rule->least && value <= (double)rule->most && value == floor(value)) return (int64_t)value;
    const char *name = full_name(source, found.path, found.name);
    if (is_known(value)) {
        (void)problems_add(source->problems, STATUS_MALFORMED_CONFIG, name,
                           "must be a whole number from %lld to %lld, not %.6g", (long long)rule->least,
                           (long long)rule->most, value);
    } else {
        (void)problems_add(source->problems, STATUS_MALFORMED_CONFIG, name,
                           "must be a whole number from %lld to %lld, without quotes", (long long)rule->least,
                           (long long)rule->most);
    }
    return 0;
}

static int8_t read_flag(const struct hf_source *source, const struct flag_rule *rule)
{
    const json_t *value = hf_source_find(source, rule->name);
    if (!value) return -1;
    if (!json_is_boolean(value)) (void)hf_source_problem(source, rule->name, "must be true or false");
    return (int8_t)json_is_true(value);
}

void hf_source_read(struct hf_shape *shape)
{
    for (enum hf_key key = 0; key < KEY_COUNT; key++)
        shape->keys[key] = read_key(shape, key);
    for (enum hf_flag flag = 0; flag < FLAG_COUNT; flag++) {
        shape->flags[flag] = flag_rules[flag].name ? read_flag(&shape->source, &flag_rules[flag]) : -1;
    }
}

bool hf_source_require(const struct hf_shape *shape, const enum hf_key *keys, size_t count, const char *why)
{
    bool complete = true;
    for (size_t i = 0; i < count; i++) {
        const struct key_rule *rule = &key_rules[keys[i]];
        if (shape->keys[keys[i]] > 0 || find_key(&shape->source, rule).value)
            continue; /* a wrong one is told already */
        complete = false;
        (void)hf_source_problem(&shape->source, rule->names[0], "missing: %s (a whole number from %lld to %lld)", why,
                                (long long)(rule->least > 0 ? rule->least : 1), (long long)rule->most);
    }
    return complete;
}

bool hf_flag(const struct hf_shape *shape, enum hf_flag flag, enum hf_flag fallback)
{
    if (flag == FLAG_UNSET) flag = fallback;
    return shape->flags[flag] < 0 ? flag_rules[flag].fallback : shape->flags[flag];
}
