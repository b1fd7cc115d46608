/* alert_state.c owns the writing and reading of what a set of alerts has come to. */
#include "monitor/alert_state.h"

#include "wire/members.h"
#include "wire/out.h"

#include <stdio.h>
#include <string.h>

enum { ALERTS_MAX = 4096, VALUES_MAX = 100000 };
#define NUMBER_MAX 9007199254740992.0 /* 2^53 */

static void write_alert(struct out *out, const struct alert *alert)
{
    out_object(out, NULL);
    out_text(out, "type", alert_types[alert->rule->measure]);
    out_text(out, "state", alert_states[alert->state]);
    out_integer(out, "since_unix_ms", alert->since_unix_ms);
    out_integer(out, "over_since_ms", alert->over_since_ms);
    out_number(out, "value", alert->value);
    out_number(out, "peak", alert->peak);
    out_number(out, "current_bytes", alert->current_bytes);
    out_number(out, "total_bytes", alert->total_bytes);
    out_integer(out, "index", alert->gpu_index);
    out_text(out, "uuid", alert->gpu_uuid);
    out_text(out, "name", alert->gpu_name);
    out_object_end(out);
}

void alert_state_write(struct out *out, const struct alert_set *set)
{
    const struct sample_clock clock = alert_set_clock(set);
    out_object(out, NULL);
    out_integer(out, "elapsed_ms", clock.elapsed_ms);
    out_integer(out, "unix_ms", clock.unix_ms);
    out_integer(out, "monotonic_ms", clock.monotonic_ms);
    out_array(out, "alerts");
    for (size_t i = 0; i < alert_set_count(set); i++) {
        if (alert_set_at(set, i)->state != ALERT_OK) write_alert(out, alert_set_at(set, i));
    }
    out_array_end(out);
    out_object_end(out);
}

static int64_t read_whole(struct reading *reading, const json_t *object, const char *name)
{
    const double value = read_number(reading, object, "", name, -NUMBER_MAX, NUMBER_MAX);
    return is_known(value) ? (int64_t)value : 0;
}

static double read_figure(struct reading *reading, const json_t *object, const char *name)
{
    return read_number(reading, object, "", name, -NUMBER_MAX, NUMBER_MAX);
}

static void read_into(struct reading *reading, const json_t *object, const char *name, char ret_text[GPU_TEXT_BYTES])
{
    const char *text = read_text(reading, object, "", name, GPU_TEXT_BYTES - 1);
    (void)snprintf(ret_text, GPU_TEXT_BYTES, "%s", text ? text : "");
}

/* The number of the member's text in a list of names; that of its end if it is none of them. */
static unsigned read_name(struct reading *reading, const json_t *object, const char *name, const char *const *names)
{
    const char *text = read_text(reading, object, "", name, GPU_TEXT_BYTES);
    unsigned i = 0;
    while (names[i] && (!text || strcmp(names[i], text) != 0))
        i++;
    return i;
}

/* false: it is of another program. */
static bool read_alert(struct reading *reading, const json_t *object, const char *host, struct alert *ret_alert)
{
    static const struct alert_rule rules[ALERT_MEASURES] = {
        {.measure = ALERT_GPU_MEMORY},
        {.measure = ALERT_SYSTEM_MEMORY},
        {.measure = ALERT_GPU_TEMPERATURE},
        {.measure = ALERT_GPU_LOST},
    };
    const unsigned measure = read_name(reading, object, "type", alert_types);
    const unsigned state = read_name(reading, object, "state", alert_states);
    if (measure == ALERT_MEASURES || state == ALERT_STATES) return false;
    *ret_alert = (struct alert){
        .rule = &rules[measure],
        .state = (enum alert_state)state,
        .since_unix_ms = read_whole(reading, object, "since_unix_ms"),
        .over_since_ms = read_whole(reading, object, "over_since_ms"),
        .value = read_figure(reading, object, "value"),
        .peak = read_figure(reading, object, "peak"),
        .current_bytes = read_figure(reading, object, "current_bytes"),
        .total_bytes = read_figure(reading, object, "total_bytes"),
        .gpu_index = (int)read_whole(reading, object, "index"),
    };
    (void)snprintf(ret_alert->host, sizeof ret_alert->host, "%s", host);
    read_into(reading, object, "uuid", ret_alert->gpu_uuid);
    read_into(reading, object, "name", ret_alert->gpu_name);
    return true;
}

static bool restore(struct reading *reading, const json_t *root, const char *host, struct alert_set *set)
{
    const json_t *list = json_object_get(root, "alerts");
    const size_t listed = json_array_size(list), most = listed < ALERTS_MAX ? listed : ALERTS_MAX;
    struct alert *alerts = ARENA_ARRAY(reading->arena, most + 1, struct alert);
    size_t count = 0;
    for (size_t i = 0; alerts && i < most; i++)
        count += read_alert(reading, json_array_get(list, i), host, &alerts[count]);
    const struct sample_clock clock = {
        .elapsed_ms = read_whole(reading, root, "elapsed_ms"),
        .unix_ms = read_whole(reading, root, "unix_ms"),
        .monotonic_ms = read_whole(reading, root, "monotonic_ms"),
        .started = true,
    };
    return alerts && alert_set_restore(set, clock, alerts, count);
}

enum status alert_state_read(const char *text, size_t length, const char *host, struct alert_set *set,
                             struct arena *arena, struct problems *problems)
{
    struct reading reading = {.arena = arena, .problems = problems};
    json_t *root = NULL;
    enum status status =
        json_read_long(arena, text, length, "the alerts of a host", VALUES_MAX, false, problems, &root);
    if (status != STATUS_OK) return status;
    const bool complete = restore(&reading, root, host, set);
    json_decref(root);
    if (!complete) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the alerts of a host");
    return problems_status(problems);
}
