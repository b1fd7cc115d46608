/* gpu_name.c owns which part a source means: its alias, then the instance, then the memory; never a guess. */
#include "catalog/name.h"
#include "import/formats.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Parts that a name may mean. */
struct candidates {
    const struct gpu *gpus[32];
    size_t count;
};
enum { CANDIDATES_MAX = sizeof((struct candidates *)0)->gpus / sizeof(const struct gpu *) };

static void add(struct candidates *candidates, const struct gpu *gpu)
{
    for (size_t i = 0; i < candidates->count; i++) {
        if (candidates->gpus[i] == gpu) return;
    }
    if (candidates->count < CANDIDATES_MAX) candidates->gpus[candidates->count++] = gpu;
}

static int compare_alias(const struct alias *alias, enum alias_namespace space, const char *name)
{
    if (alias->kind != ALIAS_GPU) return alias->kind < ALIAS_GPU ? -1 : 1;
    if (alias->space != space) return alias->space < space ? -1 : 1;
    return name_compare(alias->name, name);
}

static const struct gpu *find_id(const struct snapshot *catalog, const char *id)
{
    for (size_t i = 0; i < catalog->gpu_count; i++) {
        if (strcmp(catalog->gpus[i].id, id) == 0) return &catalog->gpus[i];
    }
    return NULL;
}

static struct candidates find_aliases(const struct snapshot *catalog, enum alias_namespace space, const char *name)
{
    struct candidates found = {.count = 0};
    size_t low = 0, high = catalog->alias_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_alias(&catalog->aliases[middle], space, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < catalog->alias_count && compare_alias(&catalog->aliases[low], space, name) == 0; low++)
        add(&found, &catalog->gpus[catalog->aliases[low].target]);
    return found;
}

/* Labels, NVML totals and what sources make of them differ by up to an eighth: 22.4 GiB is the A10G's 24 GB. */
static bool memory_fits(const struct gpu *gpu, double memory_mib)
{
    double gib = memory_mib / 1024, ratio = gib / gpu->memory_nominal_gb;
    return !is_known(gpu->memory_nominal_gb) || (ratio > 0.875 && ratio < 1.125);
}

/* Those with that much memory; if a name's own parts have another, its whole family is looked at. */
static void keep_memory(const struct snapshot *catalog, double memory_mib, struct candidates *candidates)
{
    struct candidates fitting = {.count = 0};
    for (size_t i = 0; i < candidates->count; i++) {
        if (memory_fits(candidates->gpus[i], memory_mib)) add(&fitting, candidates->gpus[i]);
    }
    bool none = fitting.count == 0;
    for (size_t i = 0; none && i < catalog->gpu_count; i++) {
        const struct gpu *gpu = &catalog->gpus[i];
        if (strcmp(gpu->family, candidates->gpus[0]->family) == 0 && memory_fits(gpu, memory_mib)) add(&fitting, gpu);
    }
    *candidates = fitting;
}

static bool contains(const char *text, const char *word)
{
    size_t length = strlen(word);
    for (; *text; text++) {
        if (strncasecmp(text, word, length) == 0) return true;
    }
    return false;
}

/* Those of the form factor that the instance's name tells. */
static void keep_form(const char *instance_type, struct candidates *candidates)
{
    static const char *const forms[] = {"sxm", "pcie", "nvl"};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        if (!contains(instance_type, forms[f])) continue;
        size_t kept = 0;
        for (size_t i = 0; i < candidates->count; i++) {
            if (contains(candidates->gpus[i]->id, forms[f])) candidates->gpus[kept++] = candidates->gpus[i];
        }
        candidates->count = kept;
    }
}

static void say_ambiguous(const struct candidates *candidates, const char *name, char *reason, size_t reason_bytes)
{
    size_t used = (size_t)snprintf(reason, reason_bytes, "\"%s\" may be", name);
    for (size_t i = 0; i < candidates->count && used < reason_bytes; i++)
        used += (size_t)snprintf(reason + used, reason_bytes - used, "%s %s", i ? "," : "", candidates->gpus[i]->id);
}

static const struct gpu *find_gpu(const struct snapshot *catalog, enum alias_namespace space, const char *name,
                                  const char *provider, const char *instance_type, double memory_mib, char *reason,
                                  size_t reason_bytes)
{
    char shown[NAME_SHOWN_BYTES];
    name_shown(name, shown);
    const struct gpu *exact = space == ALIAS_USER ? find_id(catalog, name) : NULL;
    if (exact) return exact;
    struct candidates candidates = find_aliases(catalog, space, name);
    const struct import_machine *machine = import_find_machine(provider, instance_type);
    const struct gpu *known = machine ? find_id(catalog, machine->gpu) : NULL;
    if (known && (candidates.count == 0 || strcmp(known->family, candidates.gpus[0]->family) == 0)) return known;
    if (candidates.count == 0) {
        (void)snprintf(reason, reason_bytes, *shown ? "\"%s\" is no GPU of the catalog" : "no GPU is named%s", shown);
        return NULL;
    }
    if (is_known(memory_mib)) keep_memory(catalog, memory_mib, &candidates);
    if (candidates.count > 1) keep_form(instance_type, &candidates);
    if (candidates.count == 1) return candidates.gpus[0];
    if (candidates.count == 0)
        (void)snprintf(reason, reason_bytes, "\"%s\" of this memory or form is no GPU of the catalog", shown);
    else
        say_ambiguous(&candidates, shown, reason, reason_bytes);
    return NULL;
}

const struct gpu *import_find_gpu(struct importing *importing, uint32_t line, enum alias_namespace space,
                                  const char *name, const char *provider, const char *instance_type, double memory_mib)
{
    char reason[IMPORT_REASON_BYTES];
    const struct gpu *gpu =
        find_gpu(importing->source->catalog, space, name, provider, instance_type, memory_mib, reason, sizeof reason);
    if (!gpu) (void)import_refuse(importing, line, COL_GPU, "%s", reason);
    return gpu;
}
