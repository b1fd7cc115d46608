/* collector.c owns hosts and their samples in memory: sorted arrays under one lock. */
#include "monitor/collector.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SILENT_MS INT64_C(86400000) /* a day */

struct entry {
    char *name;
    struct sample **samples;
    size_t count;
    struct alert_set *alerts;
};

struct collector {
    struct collector_settings settings;
    pthread_mutex_t mutex;
    struct entry *entries; /* by name */
    size_t count, bytes;
};

struct collector *collector_new(const struct collector_settings *settings)
{
    struct collector *collector = calloc(1, sizeof *collector);
    if (!collector) return NULL;
    (void)pthread_mutex_init(&collector->mutex, NULL);
    collector->settings = *settings;
    collector->entries = calloc(settings->hosts_max + 1, sizeof *collector->entries);
    if (!collector->entries) {
        collector_free(collector);
        return NULL;
    }
    return collector;
}

static void entry_done(struct entry *entry)
{
    for (size_t i = 0; i < entry->count; i++)
        free(entry->samples[i]);
    free(entry->samples);
    free(entry->name);
    alert_set_free(entry->alerts);
}

void collector_free(struct collector *collector)
{
    if (!collector) return;
    for (size_t i = 0; collector->entries && i < collector->count; i++)
        entry_done(&collector->entries[i]);
    (void)pthread_mutex_destroy(&collector->mutex);
    free(collector->entries);
    free(collector);
}

/* --- hosts --- */

/* INT64_MIN without a sample. */
static int64_t newest_unix_ms(const struct entry *entry)
{
    return entry->count ? entry->samples[entry->count - 1]->unix_ms : INT64_MIN;
}

/* Where the name is, or belongs. */
static size_t place_of(const struct collector *collector, const char *name)
{
    size_t low = 0, high = collector->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(collector->entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void remove_entry(struct collector *collector, size_t place)
{
    struct entry *entry = &collector->entries[place];
    for (size_t i = 0; i < entry->count; i++)
        collector->bytes -= sample_bytes(entry->samples[i]);
    entry_done(entry);
    collector->count--;
    memmove(entry, entry + 1, (collector->count - place) * sizeof *entry);
}

/* The host that has been silent for the longest time makes room, if that is long enough. */
static bool make_room(struct collector *collector, int64_t now_unix_ms)
{
    size_t oldest = 0;
    if (collector->count < collector->settings.hosts_max) return true;
    for (size_t i = 1; i < collector->count; i++) {
        if (newest_unix_ms(&collector->entries[i]) < newest_unix_ms(&collector->entries[oldest])) oldest = i;
    }
    if (!collector->count || now_unix_ms - newest_unix_ms(&collector->entries[oldest]) < SILENT_MS) return false;
    remove_entry(collector, oldest);
    return true;
}

/* NULL after a problem. */
static struct entry *find_or_add(struct collector *collector, const struct sample_batch *batch,
                                 struct problems *problems)
{
    size_t place = place_of(collector, batch->host);
    bool known = place < collector->count && strcmp(collector->entries[place].name, batch->host) == 0;
    if (!known && !make_room(collector, batch->samples[batch->count - 1].unix_ms)) {
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, "host",
                           "this service keeps the samples of at most %zu hosts (monitor_hosts_max)",
                           collector->settings.hosts_max);
        return NULL;
    }
    if (!known) {
        struct entry entry = {.name = strdup(batch->host),
                              .samples = calloc(collector->settings.samples_max + 1, sizeof(struct sample *)),
                              .alerts = alert_set_new(collector->settings.rules, collector->settings.rule_count)};
        if (!entry.name || !entry.samples || !entry.alerts) {
            entry_done(&entry);
            (void)problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for another host");
            return NULL;
        }
        place = place_of(collector, batch->host); /* one before it may have made room */
        struct entry *at = &collector->entries[place];
        memmove(at + 1, at, (collector->count - place) * sizeof *at);
        *at = entry;
        collector->count++;
    }
    return &collector->entries[place];
}

/* --- samples --- */

static void remove_oldest(struct collector *collector, struct entry *entry)
{
    collector->bytes -= sample_bytes(entry->samples[0]);
    free(entry->samples[0]);
    entry->count--;
    memmove(&entry->samples[0], &entry->samples[1], entry->count * sizeof(struct sample *));
}

/* For a sample of the host `mine`. false: what is left are the last samples of the other hosts. */
static bool make_bytes(struct collector *collector, struct entry *mine, const struct sample *sample)
{
    while (collector->bytes + sample_bytes(sample) > collector->settings.max_bytes) {
        struct entry *oldest = NULL;
        for (size_t i = 0; i < collector->count; i++) {
            struct entry *entry = &collector->entries[i];
            if (entry->count > 1 && (!oldest || entry->samples[0]->unix_ms < oldest->samples[0]->unix_ms))
                oldest = entry;
        }
        if (!oldest && mine->count && newest_unix_ms(mine) < sample->unix_ms) oldest = mine; /* it takes its place */
        if (!oldest) return false;
        remove_oldest(collector, oldest);
    }
    return true;
}

/* Where it belongs among those of the host. */
static size_t place_in(const struct entry *entry, const struct sample *sample)
{
    size_t place = entry->count;
    while (place > 0 && entry->samples[place - 1]->unix_ms > sample->unix_ms)
        place--;
    return place;
}

/* It is there, or older than all that there is room for. */
static bool is_needless(const struct collector *collector, const struct entry *entry, const struct sample *sample)
{
    const size_t place = place_in(entry, sample);
    if (place > 0) return entry->samples[place - 1]->unix_ms == sample->unix_ms;
    return entry->count == collector->settings.samples_max;
}

/* Late ones go to their place; with too many the oldest of all goes. */
static enum status insert(struct collector *collector, struct entry *entry, const struct sample *sample,
                          struct problems *problems, size_t *added)
{
    if (is_needless(collector, entry, sample)) return STATUS_OK;
    if (!make_bytes(collector, entry, sample))
        return problems_add(problems, STATUS_OUT_OF_RANGE, "",
                            "%zu MiB are full of the last samples of each host (monitor_memory_max_mib)",
                            collector->settings.max_bytes >> 20);
    const size_t place = place_in(entry, sample);
    const bool full = entry->count == collector->settings.samples_max;
    struct sample *copy = sample_copy(sample);
    if (!copy) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the samples");
    const bool is_newest = place == entry->count;
    memmove(&entry->samples[place + 1], &entry->samples[place], (entry->count - place) * sizeof(struct sample *));
    entry->samples[place] = copy;
    entry->count++;
    collector->bytes += sample_bytes(copy);
    ++*added;
    if (is_newest && !alert_set_update(entry->alerts, sample, collector->settings.alert, collector->settings.data))
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the alerts");
    if (full) remove_oldest(collector, entry);
    return STATUS_OK;
}

static enum status add(struct collector *collector, const struct sample_batch *batch, struct problems *problems,
                       size_t *added)
{
    struct entry *entry = find_or_add(collector, batch, problems);
    if (!entry) return problems_status(problems);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < batch->count; i++)
        status = insert(collector, entry, &batch->samples[i], problems, added);
    if (entry->count == 0) remove_entry(collector, (size_t)(entry - collector->entries)); /* no memory */
    return status;
}

enum status collector_add(struct collector *collector, const struct sample_batch *batch, struct problems *problems,
                          size_t *ret_added)
{
    size_t added = 0;
    if (batch->count == 0) return STATUS_OK;
    (void)pthread_mutex_lock(&collector->mutex);
    enum status status = add(collector, batch, problems, &added);
    (void)pthread_mutex_unlock(&collector->mutex);
    *ret_added = added;
    return status;
}

void collector_look(struct collector *collector, void (*look)(void *data, const struct collector_host *host),
                    void *data)
{
    (void)pthread_mutex_lock(&collector->mutex);
    for (size_t i = 0; i < collector->count; i++) {
        const struct entry *entry = &collector->entries[i];
        look(data, &(struct collector_host){.name = entry->name,
                                            .samples = (const struct sample *const *)entry->samples,
                                            .sample_count = entry->count,
                                            .alerts = entry->alerts});
    }
    (void)pthread_mutex_unlock(&collector->mutex);
}
