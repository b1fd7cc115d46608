/* snapshot.c owns finding things in a snapshot: by id, by alias, by family, with near misses for what is not there. */
#include "catalog/snapshot.h"

#include "catalog/name.h"
#include "catalog/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    NEAR_MISSES_MAX = 3,
    NEAR_DISTANCE_MAX = 6,
    NEAR_NAME_MIN_BYTES = 2,
    NEAR_NAME_MAX_BYTES = 100,
    CANDIDATES_SHOWN_MAX = 24
};

static const char *const namespace_names[ALIAS_NAMESPACE_COUNT] = {
    [ALIAS_USER] = "user",
    [ALIAS_ARTICLE] = "article",
    [ALIAS_SKYPILOT] = "skypilot",
    [ALIAS_GPUHUNT] = "gpuhunt",
    [ALIAS_INFERENCEX] = "inferencex",
    [ALIAS_MEASURED] = "measured",
    [ALIAS_NVIDIA_SMI] = "nvidia-smi",
    [ALIAS_VLLM] = "vllm",
};

const char *alias_namespace_name(enum alias_namespace space)
{
    return namespace_names[space];
}

void snapshot_free(struct snapshot *snapshot)
{
    if (!snapshot) return;
    struct arena arena = snapshot->arena; /* the snapshot lives in it */
    arena_done(&arena);
}

/* --- a list of names for a message --- */

struct list {
    char text[1200];
    size_t length, count;
};

static void list_add(struct list *list, const char *name)
{
    if (list->count++ >= CANDIDATES_SHOWN_MAX) return;
    size_t room = sizeof list->text - list->length;
    int length = snprintf(list->text + list->length, room, "%s%s", list->length ? ", " : "", name);
    if (length > 0 && (size_t)length < room) list->length += (size_t)length;
    list->text[list->length] = '\0'; /* a name that does not fit is left out */
}

/* --- names --- */

static const char *target_id(const struct snapshot *snapshot, enum alias_kind kind, uint32_t target)
{
    if (kind == ALIAS_GPU) return snapshot->gpus[target].id;
    return kind == ALIAS_MODEL ? snapshot->models[target].id : snapshot->profiles[target].engine;
}

/* Aliases of one name; empty if there are none. */
struct span {
    const struct alias *begin, *end;
};

static int compare_alias(const struct alias *alias, enum alias_kind kind, enum alias_namespace space, const char *name)
{
    if (alias->kind != kind) return alias->kind < kind ? -1 : 1;
    if (alias->space != space) return alias->space < space ? -1 : 1;
    return name_compare(alias->name, name);
}

static struct span find_aliases(const struct snapshot *snapshot, enum alias_kind kind, enum alias_namespace space,
                                const char *name)
{
    const struct alias *end = snapshot->aliases + snapshot->alias_count;
    size_t low = 0, high = snapshot->alias_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_alias(&snapshot->aliases[middle], kind, space, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct span span = {snapshot->aliases + low, snapshot->aliases + low};
    while (span.end < end && compare_alias(span.end, kind, space, name) == 0)
        span.end++;
    return span;
}

/* The few best names so far, nearest first. */
struct near {
    const char *ids[NEAR_MISSES_MAX];
    size_t distances[NEAR_MISSES_MAX];
    size_t count;
};

static void near_add(struct near *near, const char *id, size_t distance)
{
    size_t at = 0;
    for (size_t i = 0; i < near->count; i++) {
        if (strcmp(near->ids[i], id) == 0 && near->distances[i] <= distance) return;
        if (near->distances[i] <= distance) at = i + 1;
    }
    if (at == NEAR_MISSES_MAX) return;
    size_t last = at; /* the place that falls out: the same id with a worse distance, or the end */
    while (last < near->count && strcmp(near->ids[last], id) != 0)
        last++;
    if (last == near->count && near->count < NEAR_MISSES_MAX) near->count++;
    if (last >= NEAR_MISSES_MAX) last = NEAR_MISSES_MAX - 1;
    memmove(&near->ids[at + 1], &near->ids[at], (last - at) * sizeof *near->ids);
    memmove(&near->distances[at + 1], &near->distances[at], (last - at) * sizeof *near->distances);
    near->ids[at] = id;
    near->distances[at] = distance;
}

/* Takes `id` in if `candidate`, one of its names, is like the name that was asked for or begins with it. */
static void near_try(struct near *near, const char *candidate, const char *id, const char *asked, size_t limit)
{
    size_t distance = name_begins(candidate, asked) ? 1 : text_distance(candidate, asked, limit);
    if (distance <= limit) near_add(near, id, distance);
}

/* A typing error or two, more in a longer name. */
static size_t distance_limit(size_t length)
{
    size_t limit = 1 + length / 4;
    return limit < NEAR_DISTANCE_MAX ? limit : NEAR_DISTANCE_MAX;
}

static enum status unknown_name(const struct snapshot *snapshot, enum alias_kind kind, const char *name,
                                const char *field, enum status status, struct problems *problems)
{
    static const char *const nouns[] = {[ALIAS_GPU] = "GPU", [ALIAS_MODEL] = "model", [ALIAS_ENGINE] = "engine"};
    struct near near = {.count = 0};
    size_t length = strlen(name);
    size_t limit = length >= NEAR_NAME_MIN_BYTES && length <= NEAR_NAME_MAX_BYTES ? distance_limit(length) : 0;
    for (size_t i = 0; i < snapshot->alias_count && limit > 0; i++) {
        const struct alias *alias = &snapshot->aliases[i];
        if (alias->kind == kind && alias->space == ALIAS_USER)
            near_try(&near, alias->name, target_id(snapshot, kind, alias->target), name, limit);
    }
    for (size_t i = 0; i < snapshot->gpu_count && limit > 0 && kind == ALIAS_GPU; i++)
        near_try(&near, snapshot->gpus[i].family, snapshot->gpus[i].family, name, limit);
    struct list list = {.length = 0};
    for (size_t i = 0; i < near.count; i++)
        list_add(&list, near.ids[i]);
    char shown[NAME_SHOWN_BYTES];
    return problems_add(problems, status, field, "there is no %s \"%s\"%s%s%s", nouns[kind], name_shown(name, shown),
                        list.length ? "; did you mean " : "", list.text, list.length ? "?" : "");
}

static enum status ambiguous_name(const char *name, const char *field, const struct list *list,
                                  struct problems *problems)
{
    char shown[NAME_SHOWN_BYTES];
    return problems_add(problems, STATUS_AMBIGUOUS_NAME, field, "\"%s\" may be %s", name_shown(name, shown),
                        list->text);
}

static enum status ambiguous_alias(const struct snapshot *snapshot, struct span span, const char *name,
                                   const char *field, struct problems *problems)
{
    struct list list = {.length = 0};
    for (const struct alias *alias = span.begin; alias < span.end; alias++)
        list_add(&list, target_id(snapshot, alias->kind, alias->target));
    return ambiguous_name(name, field, &list, problems);
}

/* --- GPUs --- */

/* The index of an id, any case; count if there is none. Works on any sorted array whose items begin with an id. */
static size_t find_id(const void *items, size_t count, size_t item_bytes, const char *id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *const *found = (const void *)((const char *)items + middle * item_bytes);
        int order = strcasecmp(*found, id);
        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return count;
}
_Static_assert(offsetof(struct gpu, id) == 0 && offsetof(struct model, id) == 0, "find_id reads the first member");

enum status snapshot_find_gpu(const struct snapshot *snapshot, enum alias_namespace space, const char *name,
                              const char *field, struct problems *problems, const struct gpu **ret_gpu)
{
    size_t found = find_id(snapshot->gpus, snapshot->gpu_count, sizeof *snapshot->gpus, name);
    struct span span = find_aliases(snapshot, ALIAS_GPU, space, name);
    if (found == snapshot->gpu_count && span.end - span.begin == 1) found = span.begin->target;
    if (found < snapshot->gpu_count) {
        *ret_gpu = &snapshot->gpus[found];
        return STATUS_OK;
    }
    if (span.end != span.begin) return ambiguous_alias(snapshot, span, name, field, problems);
    struct list members = {.length = 0};
    for (size_t i = 0; i < snapshot->gpu_count && space == ALIAS_USER; i++) {
        if (name_compare(snapshot->gpus[i].family, name) != 0) continue;
        list_add(&members, snapshot->gpus[i].id);
        found = i;
    }
    if (members.count > 1) return ambiguous_name(name, field, &members, problems);
    if (members.count == 0) return unknown_name(snapshot, ALIAS_GPU, name, field, STATUS_UNKNOWN_GPU, problems);
    *ret_gpu = &snapshot->gpus[found];
    return STATUS_OK;
}

enum status snapshot_match_gpus(const struct snapshot *snapshot, const char *name, const char *field,
                                struct problems *problems, bool *member)
{
    size_t found = find_id(snapshot->gpus, snapshot->gpu_count, sizeof *snapshot->gpus, name);
    if (found < snapshot->gpu_count) {
        member[found] = true;
        return STATUS_OK;
    }
    struct span span = find_aliases(snapshot, ALIAS_GPU, ALIAS_USER, name);
    bool any = span.end > span.begin;
    for (const struct alias *alias = span.begin; alias < span.end; alias++)
        member[alias->target] = true;
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        if (name_compare(snapshot->gpus[i].family, name) == 0) member[i] = any = true;
    }
    return any ? STATUS_OK : unknown_name(snapshot, ALIAS_GPU, name, field, STATUS_UNKNOWN_GPU, problems);
}

/* --- models --- */

enum status snapshot_find_model(const struct snapshot *snapshot, enum alias_namespace space, const char *name,
                                const char *field, struct problems *problems, const struct model **ret_model)
{
    size_t found = find_id(snapshot->models, snapshot->model_count, sizeof *snapshot->models, name);
    struct span span = find_aliases(snapshot, ALIAS_MODEL, space, name);
    if (found == snapshot->model_count && span.end - span.begin == 1) found = span.begin->target;
    if (found < snapshot->model_count) {
        *ret_model = &snapshot->models[found];
        return STATUS_OK;
    }
    if (span.end != span.begin) return ambiguous_alias(snapshot, span, name, field, problems);
    return unknown_name(snapshot, ALIAS_MODEL, name, field, STATUS_UNKNOWN_MODEL, problems);
}

size_t snapshot_model_index(const struct snapshot *snapshot, const char *id)
{
    return find_id(snapshot->models, snapshot->model_count, sizeof *snapshot->models, id);
}

/* --- engines --- */

static enum status unknown_version(const struct snapshot *snapshot, size_t first, const char *version,
                                   const char *field, struct problems *problems)
{
    const char *engine = snapshot->profiles[first].engine;
    struct list list = {.length = 0};
    for (size_t i = first; i < snapshot->profile_count; i++) {
        const struct engine_profile *profile = &snapshot->profiles[i];
        if (strcasecmp(profile->engine, engine) != 0) break;
        char range[128];
        (void)snprintf(range, sizeof range, "%.50s%s%.50s", profile->version_from,
                       *profile->version_to ? " to " : " and newer", profile->version_to);
        list_add(&list, range);
    }
    char shown[NAME_SHOWN_BYTES];
    return problems_add(problems, STATUS_UNKNOWN_ENGINE, field, "there is no profile of %s \"%s\"; known: %s", engine,
                        name_shown(version, shown), list.text);
}

enum status snapshot_find_engine(const struct snapshot *snapshot, enum alias_namespace space, const char *name,
                                 const char *field, struct problems *problems, const struct engine_profile **ret_newest)
{
    struct span span = find_aliases(snapshot, ALIAS_ENGINE, space, name);
    if (span.begin == span.end)
        return unknown_name(snapshot, ALIAS_ENGINE, name, field, STATUS_UNKNOWN_ENGINE, problems);
    if (span.end - span.begin > 1) return ambiguous_alias(snapshot, span, name, field, problems);
    *ret_newest = &snapshot->profiles[span.begin->target];
    return STATUS_OK;
}

enum status snapshot_find_profile(const struct snapshot *snapshot, const char *engine, const char *version,
                                  const char *field, struct problems *problems,
                                  const struct engine_profile **ret_profile)
{
    const struct engine_profile *newest = NULL;
    enum status status = snapshot_find_engine(snapshot, ALIAS_USER, engine, field, problems, &newest);
    if (status != STATUS_OK) return status;
    if (!version || !*version) {
        *ret_profile = newest;
        return STATUS_OK;
    }
    size_t first = (size_t)(newest - snapshot->profiles);
    const char *number = version + (*version == 'v' || *version == 'V' || *version == 'b'); /* "v0.19", build "b4500" */
    if (*number < '0' || *number > '9') return unknown_version(snapshot, first, version, field, problems);
    if (*version != 'b') version = number;
    for (size_t i = first; i < snapshot->profile_count; i++) {
        const struct engine_profile *profile = &snapshot->profiles[i];
        if (strcasecmp(profile->engine, snapshot->profiles[first].engine) != 0) break;
        if (!engine_profile_covers(profile, version)) continue;
        *ret_profile = profile;
        return STATUS_OK;
    }
    return unknown_version(snapshot, first, version, field, problems);
}

const struct engine_support *snapshot_find_support(const struct snapshot *snapshot, const char *engine,
                                                   const char *architecture)
{
    size_t low = 0, high = snapshot->support_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct engine_support *support = &snapshot->supports[middle];
        int order = strcasecmp(support->engine, engine);
        if (order == 0) order = strcasecmp(support->architecture, architecture);
        if (order == 0) return support;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* --- measurements --- */

struct measurements snapshot_measurements(const struct snapshot *snapshot, const char *model_id)
{
    struct measurements found = {.snapshot = snapshot, .items = snapshot->measurements, .engine_version = ""};
    const size_t model = model_id ? snapshot_model_index(snapshot, model_id) : snapshot->model_count;
    size_t low = 0, high = snapshot->measurement_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snapshot->measurements[middle].setup.model < model)
            low = middle + 1;
        else
            high = middle;
    }
    for (high = low; high < snapshot->measurement_count && snapshot->measurements[high].setup.model == model; high++)
        found.count++;
    if (found.count > 0) found.items += low;
    return found;
}

/* --- money --- */

const struct purchase_price *snapshot_purchase_price_on(const struct snapshot *snapshot, uint32_t gpu, date_t day)
{
    size_t low = 0, high = snapshot->purchase_price_count; /* sorted by GPU, then as they are believed */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snapshot->purchase_prices[middle].gpu < gpu)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < snapshot->purchase_price_count && snapshot->purchase_prices[low].gpu == gpu; low++) {
        if (snapshot->purchase_prices[low].as_of.days <= day.days) return &snapshot->purchase_prices[low];
    }
    return NULL;
}

const struct purchase_price *snapshot_purchase_price(const struct snapshot *snapshot, uint32_t gpu)
{
    return snapshot_purchase_price_on(snapshot, gpu, (date_t){INT32_MAX});
}

const struct operating_cost *snapshot_operating_cost(const struct snapshot *snapshot, const char *key,
                                                     const char *scope)
{
    size_t low = 0, high = snapshot->operating_cost_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct operating_cost *cost = &snapshot->operating_costs[middle];
        int order = strcasecmp(cost->key, key);
        if (order == 0) order = strcasecmp(cost->scope, scope);
        if (order == 0) return cost;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct calibration *snapshot_find_pool(const struct snapshot *snapshot, const struct gpu *gpu, const char *pool)
{
    for (size_t i = 0; i < snapshot->calibration_pool_count; i++) {
        const struct calibration *item = &snapshot->calibration_pools[i];
        if (item->gpu == gpu && strcmp(item->pool, pool) == 0) return item;
    }
    return NULL;
}

const struct calibration *snapshot_find_calibration(const struct snapshot *snapshot, const struct gpu *gpu,
                                                    const char *name)
{
    for (size_t i = 0; i < snapshot->calibration_count; i++) {
        const struct calibration *item = &snapshot->calibrations[i];
        if (item->gpu == gpu && item->state == CALIBRATION_USED && strcmp(item->id, name) == 0) return item;
    }
    return snapshot_find_pool(snapshot, gpu, name);
}

enum { KNOWN_BYTES = 240 };

/* "own, published": names of pools, of one GPU or of any. */
static const char *known_pools(const struct snapshot *snapshot, const struct gpu *gpu, char text[KNOWN_BYTES])
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < snapshot->calibration_pool_count; i++) {
        const struct calibration *pool = &snapshot->calibration_pools[i];
        if ((gpu && pool->gpu != gpu) || strstr(text, pool->pool) || length + strlen(pool->pool) + 3 > KNOWN_BYTES)
            continue;
        length += (size_t)snprintf(text + length, KNOWN_BYTES - length, "%s%s", length ? ", " : "", pool->pool);
    }
    return length ? text : "none";
}

enum status snapshot_choose_calibration(const struct snapshot *snapshot, const struct gpu *gpu, const char *name,
                                        const char *field, struct problems *problems,
                                        const struct calibration **ret_calibration)
{
    *ret_calibration = NULL;
    if (name && strcmp(name, CALIBRATION_NONE) == 0) return STATUS_OK;
    if (gpu) *ret_calibration = snapshot_find_calibration(snapshot, gpu, name ? name : CALIBRATION_OWN);
    bool found = !name || strcmp(name, CALIBRATION_OWN) == 0 || *ret_calibration;
    for (size_t i = 0; !gpu && !found && i < snapshot->gpu_count; i++)
        found = snapshot_find_calibration(snapshot, &snapshot->gpus[i], name) != NULL;
    if (found) return STATUS_OK;
    char known[KNOWN_BYTES];
    return problems_add(problems, STATUS_INVALID_VALUE, field,
                        "there is no calibration or pool \"%.60s\"%s%s; pools: %s; see /v1/calibrations", name,
                        gpu ? " of " : "", gpu ? gpu->id : "", known_pools(snapshot, gpu, known));
}
