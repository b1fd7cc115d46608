/* group.c owns the statistics of scores: sorted by key and metric, then counted. */
#include "evaluate/group.h"

#include <stdlib.h>
#include <string.h>

/* --- keys --- */

static const char *const key_names[GROUP_KEYS] = {
    [GROUP_LOAD] = "load",   [GROUP_ENGINE] = "engine",     [GROUP_VERSION] = "version",
    [GROUP_GPU] = "gpu",     [GROUP_MODEL] = "model",       [GROUP_DTYPE] = "dtype",
    [GROUP_BASIS] = "basis", [GROUP_KV_DTYPE] = "kv_dtype", [GROUP_SOURCE] = "source",
};
static const char usual_groupings[] = "load,engine+load,gpu,model,dtype,basis";

static bool find_key(const char *name, size_t length, enum group_key *ret_key)
{
    for (enum group_key key = 0; key < GROUP_KEYS; key++) {
        *ret_key = key;
        if (strlen(key_names[key]) == length && strncmp(key_names[key], name, length) == 0) return true;
    }
    return false;
}

static enum status parse_grouping(const char *text, struct problems *problems, struct grouping *grouping)
{
    for (grouping->key_count = 0; *text && grouping->key_count < GROUP_KEYS; grouping->key_count++) {
        size_t length = strcspn(text, "+");
        if (!find_key(text, length, &grouping->keys[grouping->key_count]))
            return problems_add(
                problems, STATUS_INVALID_VALUE, "by",
                "\"%.*s\" is none of load, engine, version, gpu, model, dtype, kv_dtype, basis, source; "
                "write engine+load,gpu for a table by both and one by GPU",
                (int)(length < 80 ? length : 80), text);
        text += length + (text[length] == '+' && text[length + 1]);
    }
    if (!*text && grouping->key_count) return STATUS_OK;
    return problems_add(problems, STATUS_INVALID_VALUE, "by", "name a key, or at most %d joined by +", GROUP_KEYS);
}

enum status groupings_parse(const char *text, struct arena *arena, struct problems *problems,
                            struct grouping ret_groupings[GROUPINGS_MAX], size_t *ret_count)
{
    enum status status = STATUS_OK;
    *ret_count = 0;
    if (!*text) text = usual_groupings;
    for (bool more = true; more && status == STATUS_OK; ++*ret_count) {
        size_t length = strcspn(text, ",");
        struct grouping *grouping = &ret_groupings[*ret_count];
        if (*ret_count == GROUPINGS_MAX)
            return problems_add(problems, STATUS_INVALID_VALUE, "by", "at most %d tables", GROUPINGS_MAX);
        grouping->name = arena_strndup(arena, text, length);
        if (!grouping->name) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the groups");
        status = parse_grouping(grouping->name, problems, grouping);
        more = text[length] == ',';
        text += length + more;
    }
    return status;
}

/* --- scores by key --- */

static const char *version_text(const struct engine_profile *engine, struct arena *arena)
{
    return arena_printf(arena, "%s %s%s", engine->engine, engine->version_from,
                        *engine->version_to ? arena_printf(arena, "-%s", engine->version_to) : "+");
}

/* A format that the row does not state is the model's own, or the engine's choice; then that is said. */
static const char *dtype_text(const struct run *run, const char *stated, enum dtype dtype, struct arena *arena)
{
    if (run->refused) return stated;
    return *stated ? dtype_name(dtype) : arena_printf(arena, "%s, not stated", dtype_name(dtype));
}

/* What is not resolved goes by the row's spelling. */
static const char *key_text(const struct score *score, enum group_key key, struct arena *arena)
{
    const struct run *run = score->run;
    const struct deployment *deployment = &run->deployment;
    switch (key) {
    case GROUP_LOAD: return run_kind_name(run);
    case GROUP_ENGINE: return deployment->engine ? deployment->engine->engine : run->engine_name;
    case GROUP_VERSION: return deployment->engine ? version_text(deployment->engine, arena) : run->engine_version;
    case GROUP_GPU: return deployment->gpu ? deployment->gpu->id : run->gpu_name;
    case GROUP_MODEL: return deployment->model ? deployment->model->id : run->model_name;
    case GROUP_DTYPE: return dtype_text(run, run->weight_dtype, deployment->weight_dtype, arena);
    case GROUP_KV_DTYPE: return dtype_text(run, run->kv_dtype, deployment->kv_dtype, arena);
    case GROUP_BASIS: return score->reason ? "not compared" : basis_name(score->predicted.basis);
    case GROUP_SOURCE:
    case GROUP_KEYS: break;
    }
    return run->source;
}

struct entry {
    const char *key; /* or the reason */
    const struct score *score;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (int)x->score->metric - (int)y->score->metric;
}

static bool set_key(const struct grouping *grouping, struct arena *arena, struct entry *entry)
{
    entry->key = key_text(entry->score, grouping->keys[0], arena);
    for (size_t i = 1; i < grouping->key_count && entry->key; i++)
        entry->key = arena_printf(arena, "%s, %s", entry->key, key_text(entry->score, grouping->keys[i], arena));
    return entry->key;
}

static struct entry *sorted_entries(const struct scores *scores, const struct grouping *grouping, struct arena *arena)
{
    struct entry *entries = ARENA_ARRAY(arena, scores->count + 1, struct entry);
    for (size_t i = 0; entries && i < scores->count; i++) {
        entries[i].score = &scores->items[i];
        if (!set_key(grouping, arena, &entries[i])) return NULL;
    }
    if (entries) qsort(entries, scores->count, sizeof *entries, compare_entries);
    return entries;
}

/* --- statistics --- */

static double share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : UNKNOWN;
}

static void add_share_within(const double *errors, size_t count, struct group *group)
{
    size_t within_20 = 0, within_30 = 0;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        within_20 += errors[i] <= 0.2;
        within_30 += errors[i] <= 0.3;
        sum += errors[i];
    }
    group->within_20 = share(within_20, count);
    group->within_30 = share(within_30, count);
    group->mean = count ? sum / (double)count : UNKNOWN;
}

/* `room`: three arrays of as many as the entries. */
static struct group summarise(const struct entry *entries, size_t count, double *room)
{
    struct group group = {.key = entries->key, .metric = entries->score->metric, .rows = count};
    double *errors = room, *widths = room + count, *logs = room + 2 * count;
    size_t width_count = 0, log_count = 0, covered = 0;
    for (size_t i = 0; i < count; i++) {
        const struct score *score = entries[i].score;
        const struct predicted *predicted = &score->predicted;
        if (score->reason) continue;
        errors[group.scored++] = score->error_ratio;
        if (score->metric != METRIC_FITS) logs[log_count++] = log(predicted->value / score->measured);
        if (!is_known(predicted->coverage_ratio)) continue;
        widths[width_count++] = sqrt(predicted->high / predicted->low) - 1;
        covered += predicted->low <= score->measured && score->measured <= predicted->high;
    }
    add_share_within(errors, group.scored, &group);
    group.median = score_quantile(errors, group.scored, 0.5);
    group.p90 = score_quantile(errors, group.scored, 0.9);
    group.covered = share(covered, width_count);
    group.half_width = score_quantile(widths, width_count, 0.5);
    group.bias = score_quantile(logs, log_count, 0.5);
    return group;
}

enum status groups_make(const struct scores *scores, const struct grouping *grouping, struct arena *arena,
                        struct problems *problems, struct groups *ret_groups)
{
    const struct entry *entries = sorted_entries(scores, grouping, arena);
    double *room = ARENA_ARRAY(arena, 3 * scores->count + 1, double);
    *ret_groups = (struct groups){.items = ARENA_ARRAY(arena, scores->count + 1, struct group)};
    if (!entries || !room || !ret_groups->items)
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the groups by %s", grouping->name);
    for (size_t first = 0, next; first < scores->count; first = next) {
        for (next = first + 1; next < scores->count && compare_entries(&entries[first], &entries[next]) == 0;)
            next++;
        if (entries[first].score->metric == METRIC_COUNT) continue;
        ret_groups->items[ret_groups->count++] = summarise(&entries[first], next - first, room);
    }
    return STATUS_OK;
}

/* --- refusals --- */

static int compare_reasons(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->score->run > y->score->run) - (x->score->run < y->score->run);
}

static int compare_refusals(const void *a, const void *b)
{
    const struct refusal *x = a, *y = b;
    int order = (x->rows < y->rows) - (x->rows > y->rows);
    return order ? order : strcmp(x->reason, y->reason);
}

enum status refusals_make(const struct scores *scores, struct arena *arena, struct problems *problems,
                          struct refusals *ret_refusals)
{
    size_t count = 0;
    struct entry *refused = ARENA_ARRAY(arena, scores->count + 1, struct entry);
    *ret_refusals = (struct refusals){.items = ARENA_ARRAY(arena, scores->count + 1, struct refusal)};
    if (!refused || !ret_refusals->items)
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the refusals");
    for (size_t i = 0; i < scores->count; i++) {
        if (scores->items[i].reason) refused[count++] = (struct entry){scores->items[i].reason, &scores->items[i]};
    }
    qsort(refused, count, sizeof *refused, compare_reasons);
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && strcmp(refused[i - 1].key, refused[i].key) == 0;
        if (!same) ret_refusals->items[ret_refusals->count++] = (struct refusal){.reason = refused[i].key};
        struct refusal *refusal = &ret_refusals->items[ret_refusals->count - 1];
        refusal->rows += !same || refused[i - 1].score->run != refused[i].score->run;
        refusal->figures += refused[i].score->metric != METRIC_COUNT;
    }
    qsort(ret_refusals->items, ret_refusals->count, sizeof *ret_refusals->items, compare_refusals);
    return STATUS_OK;
}
