/* alert.c owns the states of alerts, and their JSON. */
#include "monitor/alert.h"

#include "wire/out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEMPERATURE_HYSTERESIS_C 5.0
#define MS 1000.0

struct alert_set {
    const struct alert_rule *rules;
    size_t rule_count;
    struct alert *alerts;
    size_t count, room;
    struct sample_clock clock;
};

/* --- what is watched --- */

static double gpu_lost(const struct gpu_reading *gpu)
{
    return *gpu->lost ? 1 : 0;
}

static double gpu_temperature(const struct gpu_reading *gpu)
{
    return gpu->temperature_c;
}

static const struct {
    double (*of_gpu)(const struct gpu_reading *gpu); /* NULL: the host's memory */
    bool memory;
} measures[ALERT_MEASURES] = {
    [ALERT_GPU_MEMORY] = {gpu_memory_usage_ratio, true},
    [ALERT_SYSTEM_MEMORY] = {NULL, true},
    [ALERT_GPU_TEMPERATURE] = {gpu_temperature, false},
    [ALERT_GPU_LOST] = {gpu_lost, false},
};

const char *const alert_types[] = {"gpu_memory_high", "system_memory_high", "gpu_temperature_high", "gpu_lost", NULL};
const char *const alert_states[] = {"ok", "pending", "firing", "resolved", NULL};

enum status alert_check_ratio(double threshold, const char *field, struct problems *problems)
{
    if (threshold > 0 && threshold <= 1) return STATUS_OK;
    if (threshold > 1 && threshold <= 100)
        return problems_add(problems, STATUS_OUT_OF_RANGE, field, "a ratio is wanted: %.4g", threshold / 100);
    return problems_add(problems, STATUS_OUT_OF_RANGE, field, "a ratio above 0 and up to 1 is wanted, such as 0.85");
}

enum status alert_check_hysteresis(double hysteresis, double threshold, struct problems *problems)
{
    if (hysteresis < threshold) return STATUS_OK;
    return problems_add(problems, STATUS_OUT_OF_RANGE, "alert_hysteresis",
                        "must be less than the threshold: an alert could not be resolved");
}

void alert_rules(double ratio, double hysteresis, double temperature_c, double for_s,
                 struct alert_rule ret_rules[ALERT_RULES])
{
    ret_rules[0] = (struct alert_rule){ALERT_GPU_MEMORY, ratio, hysteresis, for_s};
    ret_rules[1] = (struct alert_rule){ALERT_SYSTEM_MEMORY, ratio, hysteresis, for_s};
    ret_rules[2] = (struct alert_rule){ALERT_GPU_TEMPERATURE, temperature_c, TEMPERATURE_HYSTERESIS_C, for_s};
    ret_rules[3] = (struct alert_rule){ALERT_GPU_LOST, 0.5, 0, 0};
}

/* --- states --- */

struct alert_set *alert_set_new(const struct alert_rule *rules, size_t count)
{
    struct alert_set *set = calloc(1, sizeof *set);
    if (set) *set = (struct alert_set){.rules = rules, .rule_count = count};
    return set;
}

void alert_set_free(struct alert_set *set)
{
    if (!set) return;
    free(set->alerts);
    free(set);
}

static enum alert_state next_state(const struct alert *alert, double value, int64_t elapsed_ms)
{
    const struct alert_rule *rule = alert->rule;
    const bool over = value > rule->threshold;
    const bool long_enough = (double)(elapsed_ms - alert->over_since_ms) >= rule->for_s * MS;
    if (alert->state == ALERT_FIRING)
        return value <= round6(rule->threshold - rule->hysteresis) ? ALERT_RESOLVED : ALERT_FIRING;
    if (over) return long_enough ? ALERT_FIRING : ALERT_PENDING;
    return alert->state == ALERT_RESOLVED ? ALERT_RESOLVED : ALERT_OK;
}

/* Whether somebody has to be told. */
static bool step(struct alert *alert, double value, int64_t elapsed_ms, int64_t unix_ms)
{
    if (!is_known(value)) return false;
    const bool open = alert->state == ALERT_PENDING || alert->state == ALERT_FIRING;
    if (!open) {
        alert->over_since_ms = elapsed_ms;
        alert->peak = value;
    }
    const enum alert_state before = alert->state;
    alert->state = next_state(alert, value, elapsed_ms);
    alert->value = value;
    alert->peak = fmax(alert->peak, value);
    if (alert->state == before) return false;
    alert->since_unix_ms = unix_ms;
    return alert->state == ALERT_FIRING || alert->state == ALERT_RESOLVED;
}

static struct alert *find(struct alert_set *set, const struct alert_rule *rule, const char *uuid)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->alerts[i].rule == rule && strcmp(set->alerts[i].gpu_uuid, uuid) == 0) return &set->alerts[i];
    }
    return NULL;
}

static struct alert *find_or_add(struct alert_set *set, const struct alert_rule *rule, const struct sample *sample,
                                 const struct gpu_reading *gpu)
{
    struct alert *found = find(set, rule, gpu ? gpu->uuid : "");
    if (found) return found;
    if (set->count == set->room) {
        const size_t room = set->room * 2 + 16;
        struct alert *alerts = realloc(set->alerts, room * sizeof *alerts);
        if (!alerts) return NULL;
        set->alerts = alerts;
        set->room = room;
    }
    struct alert *alert = &set->alerts[set->count++];
    *alert = (struct alert){.rule = rule,
                            .since_unix_ms = sample->unix_ms,
                            .value = UNKNOWN,
                            .peak = UNKNOWN,
                            .current_bytes = UNKNOWN,
                            .total_bytes = UNKNOWN,
                            .gpu_index = gpu ? gpu->index : -1};
    (void)snprintf(alert->host, sizeof alert->host, "%s", sample->host);
    (void)snprintf(alert->gpu_uuid, sizeof alert->gpu_uuid, "%s", gpu ? gpu->uuid : "");
    (void)snprintf(alert->gpu_name, sizeof alert->gpu_name, "%s", gpu ? gpu->name : "");
    return alert;
}

bool alert_set_update(struct alert_set *set, const struct sample *sample,
                      void (*changed)(void *data, const struct alert *alert), void *data)
{
    const int64_t elapsed_ms = sample_clock_add(&set->clock, sample);
    bool complete = true;
    for (size_t r = 0; r < set->rule_count; r++) {
        const struct alert_rule *rule = &set->rules[r];
        const bool of_gpus = measures[rule->measure].of_gpu != NULL;
        for (size_t g = 0; g < (of_gpus ? sample->gpu_count : 1); g++) {
            const struct gpu_reading *gpu = of_gpus ? &sample->gpus[g] : NULL;
            struct alert *alert = find_or_add(set, rule, sample, gpu);
            complete = complete && alert;
            if (!alert) continue;
            const double value = gpu ? measures[rule->measure].of_gpu(gpu) : host_memory_usage_ratio(&sample->memory);
            if (is_known(value) && measures[rule->measure].memory) {
                alert->current_bytes = gpu ? gpu_memory_occupied_bytes(gpu) : host_memory_used_bytes(&sample->memory);
                alert->total_bytes = gpu ? gpu->memory_total_bytes : sample->memory.total_bytes;
            }
            if (step(alert, value, elapsed_ms, sample->unix_ms)) changed(data, alert);
        }
    }
    return complete;
}

void alert_note_change(void *data, const struct alert *alert)
{
    struct alert_changes *changes = data;
    if (changes->count == changes->room) {
        const size_t room = changes->room * 2 + 8;
        struct alert *items = ARENA_ARRAY(changes->arena, room, struct alert);
        changes->failed = changes->failed || !items;
        if (!items) return;
        if (changes->count) memcpy(items, changes->items, changes->count * sizeof *items);
        changes->items = items;
        changes->room = room;
    }
    changes->items[changes->count++] = *alert;
}

size_t alert_set_count(const struct alert_set *set)
{
    return set->count;
}

const struct alert *alert_set_at(const struct alert_set *set, size_t index)
{
    return &set->alerts[index];
}

struct sample_clock alert_set_clock(const struct alert_set *set)
{
    return set->clock;
}

bool alert_set_restore(struct alert_set *set, struct sample_clock clock, const struct alert *alerts, size_t count)
{
    set->alerts = calloc(count + 1, sizeof *alerts);
    if (!set->alerts) return false;
    set->room = count + 1;
    set->clock = clock;
    for (size_t i = 0; i < count; i++) {
        size_t rule = 0;
        while (rule < set->rule_count && set->rules[rule].measure != alerts[i].rule->measure)
            rule++;
        if (rule == set->rule_count) continue;
        set->alerts[set->count] = alerts[i];
        set->alerts[set->count++].rule = &set->rules[rule];
    }
    return true;
}

/* --- JSON --- */

static void write_gpu(struct out *out, const struct alert *alert)
{
    if (alert->gpu_index < 0) {
        out_null(out, "gpu");
        return;
    }
    out_object(out, "gpu");
    out_integer(out, "index", alert->gpu_index);
    out_text(out, "uuid", alert->gpu_uuid);
    out_text(out, "name", alert->gpu_name);
    out_object_end(out);
}

void alert_write(struct out *out, const char *key, const struct alert *alert)
{
    const struct alert_rule *rule = alert->rule;
    char since[SAMPLE_TIME_BYTES];
    out_object(out, key);
    out_text(out, "type", alert_types[rule->measure]);
    out_text(out, "state", alert_states[alert->state]);
    out_text(out, "host", alert->host);
    out_text(out, "since", sample_time_format(alert->since_unix_ms, since));
    out_number(out, "value", round6(alert->value));
    out_number(out, "peak", round6(alert->peak));
    out_number(out, "threshold", rule->threshold);
    out_number(out, "hysteresis", rule->hysteresis);
    out_number(out, "for_seconds", rule->for_s);
    write_gpu(out, alert);
    out_number(out, "usage_ratio", measures[rule->measure].memory ? round6(alert->value) : UNKNOWN);
    out_number(out, "current_usage_gb", round6(alert->current_bytes / GIB));
    out_number(out, "total_gb", round6(alert->total_bytes / GIB));
    out_object_end(out);
}
