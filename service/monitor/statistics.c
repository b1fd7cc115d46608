/* statistics.c owns the figures of a window. */
#include "monitor/statistics.h"

#include "wire/out.h"

#include <stdlib.h>
#include <string.h>

#define MS_PER_MINUTE 60000.0

/* A window, and room for one figure of each of its samples. */
struct window {
    const struct history *history;
    size_t first, count;
    double *values, *sorted;
    struct trend_point *points;
};

static const struct sample *at(const struct window *window, size_t i)
{
    return history_at(window->history, window->first + i);
}

/* Of window->values. The sum is the article's: in the order of time. */
static struct series series_of(const struct window *window)
{
    struct series series = {0,       UNKNOWN, UNKNOWN,
                            UNKNOWN, UNKNOWN, window->count ? window->values[window->count - 1] : UNKNOWN};
    double sum = 0;
    for (size_t i = 0; i < window->count; i++) {
        if (!is_known(window->values[i])) continue;
        window->sorted[series.count++] = window->values[i];
        sum += window->values[i];
    }
    if (series.count == 0) return series;
    qsort(window->sorted, series.count, sizeof *window->sorted, double_compare);
    series.avg = sum / (double)series.count;
    series.min = window->sorted[0];
    series.max = window->sorted[series.count - 1];
    series.p95 = window->sorted[(size_t)ceil(0.95 * (double)series.count) - 1];
    return series;
}

/* --- the host's memory --- */

static struct memory_statistics system_statistics(const struct window *window)
{
    struct memory_statistics memory = {.current_bytes = UNKNOWN, .total_bytes = UNKNOWN};
    for (size_t i = 0; i < window->count; i++) {
        const struct memory_reading *host = &at(window, i)->memory;
        window->values[i] = host_memory_usage_ratio(host);
        window->points[i].value = host_memory_used_bytes(host);
        if (!is_known(window->values[i])) continue;
        memory.current_bytes = host_memory_used_bytes(host);
        memory.total_bytes = host->total_bytes;
    }
    memory.usage_ratio = series_of(window);
    memory.full_in_minutes = trend_full_in(window->points, window->count, memory.total_bytes);
    return memory;
}

/* --- a GPU --- */

static struct memory_statistics gpu_memory_statistics(const struct window *window, const char *uuid)
{
    struct memory_statistics memory = {.current_bytes = UNKNOWN, .total_bytes = UNKNOWN};
    for (size_t i = 0; i < window->count; i++) {
        const struct gpu_reading *gpu = sample_find_gpu(at(window, i), uuid);
        window->values[i] = gpu ? gpu_memory_usage_ratio(gpu) : UNKNOWN;
        window->points[i].value = gpu ? gpu_memory_occupied_bytes(gpu) : UNKNOWN;
        if (!gpu || !is_known(window->values[i])) continue;
        memory.current_bytes = window->points[i].value;
        memory.total_bytes = gpu->memory_total_bytes;
    }
    memory.usage_ratio = series_of(window);
    memory.full_in_minutes = trend_full_in(window->points, window->count, memory.total_bytes);
    return memory;
}

static struct series gpu_series(const struct window *window, const char *uuid, size_t offset)
{
    for (size_t i = 0; i < window->count; i++) {
        const struct gpu_reading *gpu = sample_find_gpu(at(window, i), uuid);
        window->values[i] = gpu ? *(const double *)(const void *)((const char *)gpu + offset) : UNKNOWN;
    }
    return series_of(window);
}

/* A counter that goes back began anew at 0. */
static double gpu_energy(const struct window *window, const char *uuid)
{
    double sum = UNKNOWN, before = UNKNOWN;
    for (size_t i = 0; i < window->count; i++) {
        const struct gpu_reading *gpu = sample_find_gpu(at(window, i), uuid);
        if (!gpu || !is_known(gpu->energy_joules)) continue;
        const double now = gpu->energy_joules;
        if (is_known(before)) sum = (is_known(sum) ? sum : 0) + (now >= before ? now - before : now);
        before = now;
    }
    return sum;
}

static struct gpu_statistics gpu_statistics(const struct window *window, const struct gpu_reading *gpu)
{
    return (struct gpu_statistics){
        .gpu = gpu,
        .memory = gpu_memory_statistics(window, gpu->uuid),
        .busy_percent = gpu_series(window, gpu->uuid, offsetof(struct gpu_reading, busy_percent)),
        .power_watts = gpu_series(window, gpu->uuid, offsetof(struct gpu_reading, power_watts)),
        .temperature_c = gpu_series(window, gpu->uuid, offsetof(struct gpu_reading, temperature_c)),
        .energy_joules = gpu_energy(window, gpu->uuid),
    };
}

static int compare_index(const void *a, const void *b)
{
    const struct gpu_statistics *x = a, *y = b;
    return (x->gpu->index > y->gpu->index) - (x->gpu->index < y->gpu->index);
}

static bool is_listed(const struct gpu_statistics *gpus, size_t count, const char *uuid)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(gpus[i].gpu->uuid, uuid) == 0) return true;
    return false;
}

/* Every GPU that the window has, as it was read last. */
static enum status list_gpus(const struct window *window, struct arena *arena, struct statistics *statistics)
{
    struct gpu_statistics *gpus = NULL;
    size_t count = 0, room = 0;
    for (size_t i = window->count; i > 0; i--) {
        const struct sample *sample = at(window, i - 1);
        for (size_t g = 0; g < sample->gpu_count; g++) {
            if (is_listed(gpus, count, sample->gpus[g].uuid)) continue;
            if (count == room) {
                struct gpu_statistics *more = ARENA_ARRAY(arena, room = room * 2 + 8, struct gpu_statistics);
                if (!more) return STATUS_OUT_OF_MEMORY;
                if (count) memcpy(more, gpus, count * sizeof *gpus);
                gpus = more;
            }
            gpus[count++].gpu = &sample->gpus[g];
        }
    }
    for (size_t i = 0; i < count; i++)
        gpus[i] = gpu_statistics(window, gpus[i].gpu);
    if (count) qsort(gpus, count, sizeof *gpus, compare_index);
    statistics->gpus = gpus;
    statistics->gpu_count = count;
    return STATUS_OK;
}

enum status statistics_compute(const struct history *history, double window_minutes, struct arena *arena,
                               struct statistics *ret_statistics)
{
    struct window window = {.history = history, .first = history_window(history, window_minutes)};
    window.count = history_count(history) - window.first;
    const size_t room = window.count + 1;
    window.values = ARENA_ARRAY(arena, room, double);
    window.sorted = ARENA_ARRAY(arena, room, double);
    window.points = ARENA_ARRAY(arena, room, struct trend_point);
    if (!window.values || !window.sorted || !window.points) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < window.count; i++)
        window.points[i].minute = (double)history_elapsed_ms(history, window.first + i) / MS_PER_MINUTE;
    struct statistics statistics = {.host = window.count ? history_last(history)->host : "",
                                    .window_minutes = window_minutes,
                                    .sample_count = window.count};
    if (window.count) {
        statistics.from_unix_ms = at(&window, 0)->unix_ms;
        statistics.to_unix_ms = at(&window, window.count - 1)->unix_ms;
    }
    statistics.system_memory = system_statistics(&window);
    enum status status = list_gpus(&window, arena, &statistics);
    if (status == STATUS_OK) *ret_statistics = statistics;
    return status;
}

/* --- JSON --- */

static void write_rounded(struct out *out, const char *key, double value)
{
    out_number(out, key, round6(value));
}

static void write_memory(struct out *out, const char *key, const struct memory_statistics *memory)
{
    const struct forecast *full = &memory->full_in_minutes;
    out_object(out, key);
    write_rounded(out, "avg_usage_ratio", memory->usage_ratio.avg);
    write_rounded(out, "max_usage_ratio", memory->usage_ratio.max);
    write_rounded(out, "min_usage_ratio", memory->usage_ratio.min);
    write_rounded(out, "p95_usage_ratio", memory->usage_ratio.p95);
    write_rounded(out, "current_usage_ratio", memory->usage_ratio.current);
    out_number(out, "current_bytes", memory->current_bytes);
    out_number(out, "total_bytes", memory->total_bytes);
    if (is_known(full->value)) {
        out_object(out, "full_in_minutes");
        write_rounded(out, "value", full->value);
        write_rounded(out, "low", full->low);
        write_rounded(out, "high", full->high);
        out_number(out, "coverage_ratio", FORECAST_COVERAGE_RATIO);
        out_object_end(out);
    } else {
        out_null(out, "full_in_minutes");
    }
    out_object_end(out);
}

static void write_series(struct out *out, const char *key, const struct series *series)
{
    out_object(out, key);
    write_rounded(out, "avg", series->avg);
    write_rounded(out, "max", series->max);
    write_rounded(out, "min", series->min);
    write_rounded(out, "p95", series->p95);
    write_rounded(out, "current", series->current);
    out_object_end(out);
}

static void write_gpu(struct out *out, const struct gpu_statistics *gpu)
{
    out_object(out, NULL);
    out_integer(out, "index", gpu->gpu->index);
    out_text(out, "uuid", gpu->gpu->uuid);
    out_text(out, "name", gpu->gpu->name);
    out_text(out, "lost", *gpu->gpu->lost ? gpu->gpu->lost : NULL);
    write_memory(out, "memory", &gpu->memory);
    write_series(out, "busy_percent", &gpu->busy_percent);
    write_series(out, "power_watts", &gpu->power_watts);
    write_series(out, "temperature_c", &gpu->temperature_c);
    write_rounded(out, "energy_joules", gpu->energy_joules);
    out_object_end(out);
}

void statistics_write(struct out *out, const char *key, const struct statistics *statistics)
{
    char from[SAMPLE_TIME_BYTES], to[SAMPLE_TIME_BYTES];
    const bool any = statistics->sample_count > 0;
    out_object(out, key);
    out_text(out, "host", any ? statistics->host : NULL);
    out_number(out, "window_minutes", statistics->window_minutes);
    out_integer(out, "sample_count", (int64_t)statistics->sample_count);
    out_text(out, "from", any ? sample_time_format(statistics->from_unix_ms, from) : NULL);
    out_text(out, "to", any ? sample_time_format(statistics->to_unix_ms, to) : NULL);
    write_memory(out, "system_memory", &statistics->system_memory);
    out_array(out, "gpus");
    for (size_t i = 0; i < statistics->gpu_count; i++)
        write_gpu(out, &statistics->gpus[i]);
    out_array_end(out);
    out_object_end(out);
}

static void write_article_memory(struct out *out, const char *key, const struct memory_statistics *memory)
{
    out_object(out, key);
    out_number(out, "avg_usage_ratio", memory->usage_ratio.avg);
    out_number(out, "max_usage_ratio", memory->usage_ratio.max);
    out_number(out, "min_usage_ratio", memory->usage_ratio.min);
    out_number(out, "current_usage_gb", memory->current_bytes / GIB);
    out_number(out, "total_gb", memory->total_bytes / GIB);
    out_object_end(out);
}

void statistics_write_article(struct out *out, const char *key, const struct statistics *statistics)
{
    out_object(out, key);
    if (statistics->sample_count > 0) {
        out_number(out, "window_minutes", statistics->window_minutes);
        out_integer(out, "sample_count", (int64_t)statistics->sample_count);
        if (statistics->gpu_count)
            write_article_memory(out, "gpu_memory", &statistics->gpus[0].memory);
        else
            out_null(out, "gpu_memory");
        write_article_memory(out, "system_memory", &statistics->system_memory);
    }
    out_object_end(out);
}
