/* feed.c owns both places where samples lie, behind one face. */
#include "api/feed.h"

#include "catalog/text.h"
#include "monitor/alert_state.h"
#include "monitor/collector.h"
#include "store/monitor.h"
#include "wire/out.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEEP_EVERY_MS = 60 * 60 * 1000, /* between two looks for days that are too old */
    STORED_MAX_BYTES = 32 << 20,    /* of one batch as it is stored: absent members are written out as null */
    WINDOW_MAX_BYTES = 64 << 20,    /* of the samples of one window */
};
#define MS_PER_MINUTE 60000.0
#define MS_PER_DAY INT64_C(86400000)

struct feed {
    struct feed_settings settings;
    struct alert_rule *rules;
    struct collector *collector; /* NULL: in the database */
    _Atomic int64_t kept_unix_ms;
    _Atomic uint64_t stored, repeated, too_old, alerts;
};

static void count_alert(void *data, const struct alert *alert)
{
    struct feed *feed = data;
    atomic_fetch_add(&feed->alerts, 1);
    if (feed->settings.alert) feed->settings.alert(feed->settings.data, alert);
}

struct feed *feed_new(const struct feed_settings *settings)
{
    struct feed *feed = calloc(1, sizeof *feed);
    if (!feed) return NULL;
    feed->settings = *settings;
    feed->rules = calloc(settings->rule_count + 1, sizeof *feed->rules);
    for (size_t i = 0; feed->rules && i < settings->rule_count; i++)
        feed->rules[i] = settings->rules[i];
    feed->settings.rules = feed->rules;
    const struct collector_settings memory = {.hosts_max = (size_t)settings->hosts_max,
                                              .samples_max = (size_t)settings->samples_max,
                                              .max_bytes = (size_t)settings->memory_max_mib << 20,
                                              .rules = feed->rules,
                                              .rule_count = settings->rule_count,
                                              .alert = count_alert,
                                              .data = feed};
    if (!settings->store) feed->collector = collector_new(&memory);
    if (!feed->rules || (!settings->store && !feed->collector)) {
        feed_free(feed);
        return NULL;
    }
    return feed;
}

void feed_free(struct feed *feed)
{
    if (!feed) return;
    collector_free(feed->collector);
    free(feed->rules);
    free(feed);
}

struct feed_counts feed_count(const struct feed *feed)
{
    return (struct feed_counts){feed->stored, feed->repeated, feed->too_old, feed->alerts};
}

static enum status no_memory(struct problems *problems)
{
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the samples");
}

/* --- adding to the database --- */

struct adding {
    struct feed *feed;
    const struct sample_batch *batch; /* sorted by time */
    struct arena *arena;
    struct alert_changes changes; /* of this try */
};

static const char *text_of(struct out *out, struct arena *arena)
{
    const char *text = out->failed ? NULL : arena_strndup(arena, out->data, out->length);
    out_done(out);
    return text;
}

static int64_t count_open(const struct alert_set *set)
{
    int64_t count = 0;
    for (size_t i = 0; i < alert_set_count(set); i++)
        count += alert_set_at(set, i)->state != ALERT_OK;
    return count;
}

static enum status write_host(struct adding *adding, const struct alert_set *set, const struct sample *newest,
                              struct problems *problems, struct store_host *ret_after)
{
    struct out sample, alerts;
    out_init(&sample, STORED_MAX_BYTES);
    sample_write(&sample, NULL, newest, true);
    out_init(&alerts, STORED_MAX_BYTES);
    alert_state_write(&alerts, set);
    *ret_after = (struct store_host){.host = newest->host,
                                     .newest_unix_ms = newest->unix_ms,
                                     .sample = text_of(&sample, adding->arena),
                                     .alerts = text_of(&alerts, adding->arena),
                                     .alert_count = count_open(set)};
    return ret_after->sample && ret_after->alerts && !adding->changes.failed ? STATUS_OK : no_memory(problems);
}

/* Takes each sample that is newer than all before. */
static enum status judge_with(struct adding *adding, struct alert_set *set, const struct store_host *before,
                              struct problems *problems, struct store_host *ret_after)
{
    const struct sample *newest = NULL;
    enum status status = STATUS_OK;
    if (*before->alerts)
        status =
            alert_state_read(before->alerts, strlen(before->alerts), adding->batch->host, set, adding->arena, problems);
    for (size_t i = 0; status == STATUS_OK && i < adding->batch->count; i++) {
        const struct sample *sample = &adding->batch->samples[i];
        if (sample->unix_ms <= (newest ? newest->unix_ms : before->newest_unix_ms)) continue;
        newest = sample;
        if (!alert_set_update(set, sample, alert_note_change, &adding->changes)) status = no_memory(problems);
    }
    return status == STATUS_OK && newest ? write_host(adding, set, newest, problems, ret_after) : status;
}

static enum status judge(void *data, const struct store_host *before, struct problems *problems,
                         struct store_host *ret_after)
{
    struct adding *adding = data;
    const struct feed_settings *settings = &adding->feed->settings;
    adding->changes = (struct alert_changes){.arena = adding->arena};
    struct alert_set *set = alert_set_new(settings->rules, settings->rule_count);
    if (!set) return no_memory(problems);
    enum status status = judge_with(adding, set, before, problems, ret_after);
    alert_set_free(set);
    return status;
}

static const char *write_samples(const struct sample_batch *batch, struct arena *arena)
{
    struct out out;
    out_init(&out, STORED_MAX_BYTES);
    out_array(&out, NULL);
    for (size_t i = 0; i < batch->count; i++)
        sample_write(&out, NULL, &batch->samples[i], false);
    out_array_end(&out);
    return text_of(&out, arena);
}

/* Alerts are told of when they are stored. If the connection is lost just then, nobody is: rather none than two. */
static enum status add_stored(struct feed *feed, const struct sample_batch *batch, struct problems *problems,
                              size_t *ret_stored)
{
    struct arena arena;
    arena_init(&arena, 0);
    struct adding adding = {.feed = feed, .batch = batch, .arena = &arena};
    const struct store_samples samples = {.host = batch->host,
                                          .samples = write_samples(batch, &arena),
                                          .first_unix_ms = batch->samples[0].unix_ms,
                                          .last_unix_ms = batch->samples[batch->count - 1].unix_ms,
                                          .hosts_max = feed->settings.hosts_max,
                                          .judge = judge,
                                          .data = &adding};
    enum status status = samples.samples ? store_samples_add(feed->settings.store, &samples, problems, ret_stored)
                                         : problems_add(problems, STATUS_OUT_OF_RANGE, "samples",
                                                        "is more than %d MiB to store: send fewer samples at a time",
                                                        (int)STORED_MAX_BYTES >> 20);
    for (size_t i = 0; status == STATUS_OK && i < adding.changes.count; i++)
        count_alert(feed, &adding.changes.items[i]);
    arena_done(&arena);
    return status;
}

/* Once in a while; what fails is tried again then. */
static void keep(struct feed *feed, int64_t now_unix_ms)
{
    int64_t before = atomic_load(&feed->kept_unix_ms);
    if (!feed->settings.store || now_unix_ms - before < KEEP_EVERY_MS) return;
    if (!atomic_compare_exchange_strong(&feed->kept_unix_ms, &before, now_unix_ms)) return;
    struct arena arena;
    struct problems problems;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = store_samples_keep(feed->settings.store, feed->settings.keep_days, &problems);
    if (status != STATUS_OK && feed->settings.report) {
        struct out line;
        out_init(&line, 0);
        out_object(&line, NULL);
        out_text(&line, "event", "old_samples_not_dropped");
        out_text(&line, "reason", problems.count ? problems.items[0].detail : status_hint(status));
        out_object_end(&line);
        const char *text = text_of(&line, &arena);
        if (text) feed->settings.report(text);
    }
    arena_done(&arena);
}

/* --- adding --- */

static int compare_time(const void *a, const void *b)
{
    const struct sample *x = a, *y = b;
    return (x->unix_ms > y->unix_ms) - (x->unix_ms < y->unix_ms);
}

static enum status check_times(const struct sample_batch *batch, int64_t now_unix_ms, struct arena *arena,
                               struct problems *problems)
{
    const int64_t latest = now_unix_ms + (int64_t)(FEED_AHEAD_MINUTES * MS_PER_MINUTE);
    char now[SAMPLE_TIME_BYTES];
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->samples[i].unix_ms <= latest) continue;
        const char *field = arena_printf(arena, "samples[%zu].time", i);
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, field ? field : "samples",
                           "is more than %d minutes ahead of this service's clock, which says %s", FEED_AHEAD_MINUTES,
                           sample_time_format(now_unix_ms, now));
    }
    return problems_status(problems);
}

/* Those that are not too old, by time. false: no memory. */
static bool choose(const struct feed *feed, const struct sample_batch *batch, int64_t now_unix_ms, struct arena *arena,
                   struct sample_batch *ret_chosen)
{
    const int64_t oldest = now_unix_ms - feed->settings.keep_days * MS_PER_DAY;
    struct sample *samples = ARENA_ARRAY(arena, batch->count + 1, struct sample);
    size_t count = 0;
    for (size_t i = 0; samples && i < batch->count; i++)
        if (batch->samples[i].unix_ms >= oldest) samples[count++] = batch->samples[i];
    if (count) qsort(samples, count, sizeof *samples, compare_time);
    *ret_chosen = (struct sample_batch){.host = batch->host, .samples = samples, .count = count};
    return samples;
}

enum status feed_add(struct feed *feed, const struct sample_batch *batch, int64_t now_unix_ms, struct arena *arena,
                     struct problems *problems, struct feed_added *ret_added)
{
    struct sample_batch chosen;
    size_t stored = 0;
    enum status status = check_times(batch, now_unix_ms, arena, problems);
    if (status == STATUS_OK && !choose(feed, batch, now_unix_ms, arena, &chosen)) status = no_memory(problems);
    if (status != STATUS_OK) return status;
    if (chosen.count)
        status = feed->collector ? collector_add(feed->collector, &chosen, problems, &stored)
                                 : add_stored(feed, &chosen, problems, &stored);
    if (status != STATUS_OK) return status;
    *ret_added = (struct feed_added){stored, chosen.count - stored, batch->count - chosen.count};
    atomic_fetch_add(&feed->stored, ret_added->stored);
    atomic_fetch_add(&feed->repeated, ret_added->repeated);
    atomic_fetch_add(&feed->too_old, ret_added->too_old);
    keep(feed, now_unix_ms);
    return STATUS_OK;
}

/* --- hosts --- */

struct looking {
    struct feed *feed;
    const struct feed_hosts *hosts;
    void (*look)(void *data, const struct feed_host *host);
    void *data;
    struct problems *problems;
    enum status status;
    size_t count;
};

static void look_in_memory(void *data, const struct collector_host *host)
{
    struct looking *looking = data;
    const struct feed_hosts *hosts = looking->hosts;
    if (hosts->host && strcmp(hosts->host, host->name) != 0) return;
    if (hosts->alerting && count_open(host->alerts) == 0) return;
    const size_t index = looking->count++;
    if (index < hosts->first || index - hosts->first >= hosts->limit) return;
    looking->look(looking->data, &(struct feed_host){host->name, host->samples[host->sample_count - 1], host->alerts});
}

static enum status read_host(struct looking *looking, const struct store_host *host, struct alert_set *set,
                             struct arena *arena)
{
    struct sample sample;
    enum status status = sample_read(host->sample, strlen(host->sample), host->host, arena, looking->problems, &sample);
    if (status == STATUS_OK)
        status = alert_state_read(host->alerts, strlen(host->alerts), host->host, set, arena, looking->problems);
    if (status == STATUS_OK) looking->look(looking->data, &(struct feed_host){host->host, &sample, set});
    return status;
}

static void look_in_store(void *data, const struct store_host *host)
{
    struct looking *looking = data;
    const struct feed_settings *settings = &looking->feed->settings;
    if (looking->status != STATUS_OK) return;
    struct arena arena;
    arena_init(&arena, 0);
    struct alert_set *set = alert_set_new(settings->rules, settings->rule_count);
    looking->status = set ? read_host(looking, host, set, &arena) : no_memory(looking->problems);
    alert_set_free(set);
    arena_done(&arena);
}

enum status feed_look(struct feed *feed, const struct feed_hosts *hosts,
                      void (*look)(void *data, const struct feed_host *host), void *data, struct problems *problems,
                      size_t *ret_count)
{
    struct looking looking = {
        .feed = feed, .hosts = hosts, .look = look, .data = data, .problems = problems, .status = STATUS_OK};
    if (feed->collector)
        collector_look(feed->collector, look_in_memory, &looking);
    else
        looking.status = store_hosts_read(feed->settings.store, hosts->host, hosts->alerting, hosts->first,
                                          hosts->limit, look_in_store, &looking, problems, &looking.count);
    if (looking.status == STATUS_OK) *ret_count = looking.count;
    return looking.status;
}

/* --- windows --- */

struct gathering {
    const struct feed_window *window;
    struct problems *problems;
    enum status status;
    struct sample **samples; /* newest first, copies */
    size_t count, room, bytes;
    int64_t newest_unix_ms;
    bool known, gpu_seen, more;
};

/* Leaves of the sample's GPUs the one that is asked for. */
static void narrow(struct gathering *gathering, struct sample *sample)
{
    const char *wanted = gathering->window->gpu;
    int64_t index = -1;
    if (!wanted) return;
    (void)!text_parse_int64(wanted, &index);
    size_t i = 0;
    while (i < sample->gpu_count && strcmp(sample->gpus[i].uuid, wanted) != 0 && sample->gpus[i].index != index)
        i++;
    gathering->gpu_seen = gathering->gpu_seen || i < sample->gpu_count;
    sample->gpus += i;
    sample->gpu_count = i < sample->gpu_count;
}

static bool make_place(struct gathering *gathering)
{
    if (gathering->count < gathering->room) return true;
    const size_t room = gathering->room * 2 + 128;
    struct sample **samples = realloc(gathering->samples, room * sizeof(struct sample *));
    if (!samples) return false;
    gathering->samples = samples;
    gathering->room = room;
    return true;
}

/* Takes the next older one. false: enough. */
static bool gather(struct gathering *gathering, struct sample sample)
{
    const struct feed_window *window = gathering->window;
    gathering->more = window->limit && gathering->count == window->limit;
    if (gathering->more) return false;
    narrow(gathering, &sample);
    struct sample *copy = make_place(gathering) ? sample_copy(&sample) : NULL;
    if (!copy) {
        gathering->status = no_memory(gathering->problems);
        return false;
    }
    gathering->bytes += sample_bytes(copy);
    gathering->samples[gathering->count++] = copy;
    if (gathering->bytes <= WINDOW_MAX_BYTES && gathering->count <= HISTORY_MAX) return true;
    gathering->status =
        problems_add(gathering->problems, STATUS_OUT_OF_RANGE, "window_minutes",
                     "has more than %d samples or %d MiB of them: ask for a shorter window, or for one GPU",
                     (int)HISTORY_MAX, (int)WINDOW_MAX_BYTES >> 20);
    return false;
}

static int64_t from_of(const struct feed_window *window, int64_t until_unix_ms)
{
    return until_unix_ms - (int64_t)(window->minutes * MS_PER_MINUTE);
}

static enum status make_history(struct gathering *gathering, struct history **ret_history)
{
    const struct feed_window *window = gathering->window;
    if (gathering->status != STATUS_OK) return gathering->status;
    if (!gathering->known)
        return problems_add(gathering->problems, STATUS_NOT_FOUND, "host",
                            "no host \"%s\" has reported; see /v1/monitor/gpus", window->host);
    if (window->gpu && gathering->count && !gathering->gpu_seen)
        return problems_add(gathering->problems, STATUS_NOT_FOUND, "gpu", "no sample of the window has a GPU \"%s\"",
                            window->gpu);
    struct history *history = history_new(gathering->count + 1);
    bool complete = history != NULL;
    for (size_t i = gathering->count; complete && i > 0; i--)
        complete = history_add(history, gathering->samples[i - 1]);
    if (complete)
        *ret_history = history;
    else
        history_free(history);
    return complete ? STATUS_OK : no_memory(gathering->problems);
}

static void gather_in_memory(void *data, const struct collector_host *host)
{
    struct gathering *gathering = data;
    const struct feed_window *window = gathering->window;
    if (strcmp(window->host, host->name) != 0) return;
    gathering->known = true;
    const int64_t newest = host->samples[host->sample_count - 1]->unix_ms;
    const int64_t until = window->until_unix_ms == INT64_MAX ? newest : window->until_unix_ms;
    for (size_t i = host->sample_count; i > 0; i--) {
        const struct sample *sample = host->samples[i - 1];
        if (sample->unix_ms > until) continue;
        if (sample->unix_ms < from_of(window, until) || !gather(gathering, *sample)) break;
    }
}

static void find_newest(void *data, const struct store_host *host)
{
    struct gathering *gathering = data;
    gathering->known = true;
    gathering->newest_unix_ms = host->newest_unix_ms;
}

static bool gather_stored(void *data, const char *text)
{
    struct gathering *gathering = data;
    struct sample sample;
    struct arena arena;
    arena_init(&arena, 0);
    gathering->status = sample_read(text, strlen(text), gathering->window->host, &arena, gathering->problems, &sample);
    const bool goes_on = gathering->status == STATUS_OK && gather(gathering, sample);
    arena_done(&arena);
    return goes_on;
}

static enum status read_stored(struct feed *feed, struct gathering *gathering)
{
    const struct feed_window *window = gathering->window;
    size_t count = 0;
    enum status status = store_hosts_read(feed->settings.store, window->host, false, 0, 1, find_newest, gathering,
                                          gathering->problems, &count);
    if (status != STATUS_OK || !gathering->known) return status;
    const int64_t until = window->until_unix_ms == INT64_MAX ? gathering->newest_unix_ms : window->until_unix_ms;
    return store_samples_read(feed->settings.store, window->host, from_of(window, until), until, gather_stored,
                              gathering, gathering->problems);
}

enum status feed_window(struct feed *feed, const struct feed_window *window, struct problems *problems,
                        struct history **ret_history, bool *ret_more)
{
    struct gathering gathering = {.window = window, .problems = problems, .status = STATUS_OK};
    enum status status = STATUS_OK;
    if (feed->collector)
        collector_look(feed->collector, gather_in_memory, &gathering);
    else
        status = read_stored(feed, &gathering);
    if (status == STATUS_OK) status = make_history(&gathering, ret_history);
    if (status == STATUS_OK) *ret_more = gathering.more;
    for (size_t i = 0; i < gathering.count; i++)
        free(gathering.samples[i]);
    free(gathering.samples);
    return status;
}
