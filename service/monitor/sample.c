/* sample.c owns the copying of samples, and time: along a series, and as text. */
#include "monitor/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MS = 1000 };

int64_t sample_clock_add(struct sample_clock *clock, const struct sample *sample)
{
    int64_t step_ms = sample->monotonic_ms - clock->monotonic_ms;
    if (step_ms < 0) step_ms = sample->unix_ms - clock->unix_ms; /* the host was started again */
    if (step_ms < 0 || !clock->started) step_ms = 0;
    *clock = (struct sample_clock){clock->elapsed_ms + step_ms, sample->unix_ms, sample->monotonic_ms, true};
    return clock->elapsed_ms;
}

/* --- copies --- */

struct room { /* what a copy needs behind its struct, by kind, and where the next of it goes */
    size_t gpus, processes, instances, texts;
};

static struct room measure(const struct sample *sample)
{
    struct room room = {.gpus = sample->gpu_count, .texts = strlen(sample->host) + strlen(sample->reason) + 2};
    for (size_t i = 0; i < sample->gpu_count; i++) {
        room.processes += sample->gpus[i].process_count;
        room.instances += sample->gpus[i].instance_count;
    }
    return room;
}

static void copy_gpus(const struct sample *sample, struct gpu_reading *gpus, struct gpu_process *processes,
                      struct gpu_instance *instances)
{
    for (size_t i = 0; i < sample->gpu_count; i++) {
        const struct gpu_reading *from = &sample->gpus[i];
        gpus[i] = *from;
        gpus[i].processes = processes;
        gpus[i].instances = instances;
        for (size_t p = 0; p < from->process_count; p++)
            *processes++ = from->processes[p];
        for (size_t n = 0; n < from->instance_count; n++)
            *instances++ = from->instances[n];
    }
}

static size_t bytes_for(const struct room *room)
{
    return sizeof(struct sample) + room->gpus * sizeof(struct gpu_reading) +
           room->processes * sizeof(struct gpu_process) + room->instances * sizeof(struct gpu_instance) + room->texts;
}

size_t sample_bytes(const struct sample *sample)
{
    const struct room room = measure(sample);
    return bytes_for(&room);
}

struct sample *sample_copy(const struct sample *sample)
{
    const struct room room = measure(sample);
    struct sample *copy = malloc(bytes_for(&room));
    if (!copy) return NULL;
    struct gpu_reading *gpus = (struct gpu_reading *)(copy + 1);
    struct gpu_process *processes = (struct gpu_process *)(gpus + room.gpus);
    struct gpu_instance *instances = (struct gpu_instance *)(processes + room.processes);
    char *host = (char *)(instances + room.instances), *reason = host + strlen(sample->host) + 1;
    copy_gpus(sample, gpus, processes, instances);
    memcpy(host, sample->host, strlen(sample->host) + 1);
    memcpy(reason, sample->reason, strlen(sample->reason) + 1);
    *copy = *sample;
    copy->host = host;
    copy->reason = reason;
    copy->gpus = gpus;
    return copy;
}

const struct gpu_reading *sample_find_gpu(const struct sample *sample, const char *uuid)
{
    for (size_t i = 0; i < sample->gpu_count; i++) {
        if (strcmp(sample->gpus[i].uuid, uuid) == 0) return &sample->gpus[i];
    }
    return NULL;
}

/* --- time as text --- */

const char *sample_time_format(int64_t unix_ms, char text[SAMPLE_TIME_BYTES])
{
    struct tm utc = {0};
    int64_t ms = ((unix_ms % MS) + MS) % MS;
    const time_t seconds = (time_t)((unix_ms - ms) / MS);
    size_t length = gmtime_r(&seconds, &utc) ? strftime(text, SAMPLE_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &utc) : 0;
    (void)snprintf(text + length, SAMPLE_TIME_BYTES - length, ".%03dZ", (int)ms);
    return text;
}

/* Exactly `digits` digits; -1 if they are not there. */
static int take_digits(const char **at, size_t digits)
{
    int value = 0;
    for (size_t i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9') return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

/* ".123456789", cut to milliseconds; 0 without one, -1 if it is none. */
static int take_fraction(const char **at)
{
    int value = 0, scale = MS / 10;
    if (**at != '.') return 0;
    if (*++*at < '0' || **at > '9') return -1;
    for (; **at >= '0' && **at <= '9'; (*at)++, scale /= 10)
        value += scale * (**at - '0');
    return value;
}

bool sample_time_parse(const char *text, int64_t *ret_unix_ms)
{
    static const struct {
        char before;
        int most, seconds;
    } parts[] = {{'T', 23, 3600}, {':', 59, 60}, {':', 60, 1}};
    char day[sizeof "2026-11-29"];
    date_t date = DATE_UNKNOWN;
    (void)snprintf(day, sizeof day, "%s", text);
    if (strlen(day) + 1 < sizeof day || !date_parse(day, &date)) return false;
    int64_t seconds = date.days * INT64_C(86400);
    text += sizeof day - 1;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (*text++ != parts[i].before) return false;
        const int value = take_digits(&text, 2);
        if (value < 0 || value > parts[i].most) return false;
        seconds += (int64_t)value * parts[i].seconds;
    }
    const int ms = take_fraction(&text);
    if (ms < 0 || strcmp(text, "Z") != 0) return false;
    *ret_unix_ms = seconds * MS + ms;
    return true;
}
