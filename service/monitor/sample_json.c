/* sample_json.c owns the writing and reading of samples: one table of figures for both ways. */
#include "monitor/sample_json.h"

#include "hw/nvml.h"
#include "wire/members.h"
#include "wire/out.h"

#include <string.h>

enum { VALUES_MAX = 600000, THROTTLE_BITS = 53, PERCENT_MAX = 100 };
#define BYTES_MAX 1e18
#define COUNT_MAX 9007199254740992.0 /* 2^53 */

struct figure {
    const char *name;
    size_t offset;
    double low, high;
    bool exact; /* bytes and counts: as they are; else rounded */
};
#define FIGURE(type, name, low, high, exact)                                                                           \
    {                                                                                                                  \
#name, offsetof(struct type, name), low, high, exact                                                           \
    }

static const struct figure gpu_figures[] = {
    FIGURE(gpu_reading, memory_total_bytes, 0, BYTES_MAX, true),
    FIGURE(gpu_reading, memory_used_bytes, 0, BYTES_MAX, true),
    FIGURE(gpu_reading, memory_reserved_bytes, 0, BYTES_MAX, true),
    FIGURE(gpu_reading, busy_percent, 0, PERCENT_MAX, false),
    FIGURE(gpu_reading, memory_busy_percent, 0, PERCENT_MAX, false),
    FIGURE(gpu_reading, power_watts, 0, 1e5, false),
    FIGURE(gpu_reading, power_limit_watts, 0, 1e5, false),
    FIGURE(gpu_reading, temperature_c, -100, 300, false),
    FIGURE(gpu_reading, sm_clock_mhz, 0, 1e5, false),
    FIGURE(gpu_reading, memory_clock_mhz, 0, 1e5, false),
    FIGURE(gpu_reading, throttle_bits, 0, COUNT_MAX, true),
    FIGURE(gpu_reading, energy_joules, 0, 1e15, true),
    FIGURE(gpu_reading, ecc_corrected, 0, COUNT_MAX, true),
    FIGURE(gpu_reading, ecc_uncorrected, 0, COUNT_MAX, true),
};
static const struct figure memory_figures[] = {
    FIGURE(memory_reading, total_bytes, 0, BYTES_MAX, true),
    FIGURE(memory_reading, available_bytes, 0, BYTES_MAX, true),
    FIGURE(memory_reading, swap_total_bytes, 0, BYTES_MAX, true),
    FIGURE(memory_reading, swap_free_bytes, 0, BYTES_MAX, true),
    FIGURE(memory_reading, pressure_some_percent, 0, PERCENT_MAX, false),
    FIGURE(memory_reading, pressure_full_percent, 0, PERCENT_MAX, false),
};
#define COUNT_OF(table) (sizeof(table) / sizeof *(table))

/* --- writing --- */

static void write_figures(struct out *out, const struct figure *figures, size_t count, const void *values)
{
    for (size_t i = 0; i < count; i++) {
        const double value = *(const double *)(const void *)((const char *)values + figures[i].offset);
        out_number(out, figures[i].name, figures[i].exact ? value : round6(value));
    }
}

void sample_write_memory(struct out *out, const char *key, const struct memory_reading *memory)
{
    out_object(out, key);
    write_figures(out, memory_figures, COUNT_OF(memory_figures), memory);
    out_number(out, "used_bytes", host_memory_used_bytes(memory));
    out_number(out, "usage_ratio", round6(host_memory_usage_ratio(memory)));
    out_object_end(out);
}

static void write_throttle(struct out *out, double bits)
{
    if (!is_known(bits)) {
        out_null(out, "throttle");
        return;
    }
    out_array(out, "throttle");
    for (unsigned bit = 0; bit < THROTTLE_BITS; bit++) {
        const char *name = nvml_throttle_name(bit);
        if (name && (uint64_t)bits >> bit & 1) out_text(out, NULL, name);
    }
    out_array_end(out);
}

static void write_parts(struct out *out, const struct gpu_reading *gpu)
{
    out_array(out, "processes");
    for (size_t i = 0; i < gpu->process_count; i++) {
        out_object(out, NULL);
        out_integer(out, "pid", gpu->processes[i].pid);
        out_text(out, "name", *gpu->processes[i].name ? gpu->processes[i].name : NULL);
        out_number(out, "used_bytes", gpu->processes[i].used_bytes);
        out_object_end(out);
    }
    out_array_end(out);
    out_array(out, "instances");
    for (size_t i = 0; i < gpu->instance_count; i++) {
        out_object(out, NULL);
        out_text(out, "uuid", gpu->instances[i].uuid);
        out_number(out, "memory_total_bytes", gpu->instances[i].memory_total_bytes);
        out_number(out, "memory_used_bytes", gpu->instances[i].memory_used_bytes);
        out_object_end(out);
    }
    out_array_end(out);
}

void sample_write_gpu(struct out *out, const struct gpu_reading *gpu, bool all)
{
    out_object(out, NULL);
    out_integer(out, "index", gpu->index);
    out_text(out, "uuid", gpu->uuid);
    out_text(out, "name", *gpu->name ? gpu->name : NULL);
    out_text(out, "lost", *gpu->lost ? gpu->lost : NULL);
    write_figures(out, gpu_figures, COUNT_OF(gpu_figures), gpu);
    out_number(out, "memory_usage_ratio", round6(gpu_memory_usage_ratio(gpu)));
    write_throttle(out, gpu->throttle_bits);
    if (is_known(gpu->mig))
        out_bool(out, "mig", gpu->mig > 0);
    else
        out_null(out, "mig");
    if (all) write_parts(out, gpu);
    out_object_end(out);
}

void sample_write(struct out *out, const char *key, const struct sample *sample, bool all)
{
    char time[SAMPLE_TIME_BYTES];
    out_object(out, key);
    out_text(out, "time", sample_time_format(sample->unix_ms, time));
    out_integer(out, "monotonic_ms", sample->monotonic_ms);
    out_number(out, "took_ms", round6(sample->took_ms));
    out_text(out, "reason", *sample->reason ? sample->reason : NULL);
    sample_write_memory(out, "system_memory", &sample->memory);
    out_array(out, "gpus");
    for (size_t i = 0; i < sample->gpu_count; i++)
        sample_write_gpu(out, &sample->gpus[i], all);
    out_array_end(out);
    out_object_end(out);
}

/* --- reading --- */

static void refuse(struct reading *reading, enum status status, const char *path, const char *name, const char *detail)
{
    (void)problems_add(reading->problems, status, path_of(reading, path, name), "%s", detail);
}

static void read_figures(struct reading *reading, const json_t *object, const char *path, const struct figure *figures,
                         size_t count, void *ret_values)
{
    for (size_t i = 0; i < count; i++) {
        double *value = (double *)(void *)((char *)ret_values + figures[i].offset);
        *value = read_number(reading, object, path, figures[i].name, figures[i].low, figures[i].high);
    }
}

/* A whole number that has to be there; 0 after a problem. */
static int64_t read_whole(struct reading *reading, const json_t *object, const char *path, const char *name,
                          double high)
{
    const double value = read_number(reading, object, path, name, 0, high);
    if (is_known(value) && value == floor(value)) return (int64_t)value;
    const json_t *member = json_object_get(object, name);
    if (!member || json_is_null(member))
        refuse(reading, STATUS_MISSING_FIELD, path, name, "is missing");
    else if (is_known(value))
        refuse(reading, STATUS_WRONG_TYPE, path, name, "must be a whole number");
    return 0;
}

static void read_into(struct reading *reading, const json_t *object, const char *path, const char *name, char *ret_text,
                      size_t bytes)
{
    const char *text = read_text(reading, object, path, name, bytes - 1);
    memcpy(ret_text, text ? text : "", text ? strlen(text) + 1 : 1);
}

static void read_uuid(struct reading *reading, const json_t *object, const char *path, char ret_uuid[GPU_TEXT_BYTES])
{
    const size_t before = reading->problems->count;
    read_into(reading, object, path, "uuid", ret_uuid, GPU_TEXT_BYTES);
    if (!*ret_uuid && reading->problems->count == before)
        refuse(reading, STATUS_MISSING_FIELD, path, "uuid", "is missing: it tells GPUs apart");
}

/* A list of objects of at most `max`; NULL and *ret_count 0 if there is none. */
static const json_t *read_list(struct reading *reading, const json_t *object, const char *path, const char *name,
                               size_t max, size_t *ret_count)
{
    const json_t *list = json_object_get(object, name);
    *ret_count = 0;
    if (!list || json_is_null(list)) return NULL;
    if (!json_is_array(list)) {
        refuse(reading, STATUS_WRONG_TYPE, path, name, "must be a list of objects");
        return NULL;
    }
    if (json_array_size(list) > max) {
        (void)problems_add(reading->problems, STATUS_OUT_OF_RANGE, path_of(reading, path, name),
                           "has %zu entries, at most %zu are taken", json_array_size(list), max);
        return NULL;
    }
    *ret_count = json_array_size(list);
    return list;
}

/* One of a list, and where it stands; NULL after a problem. */
static const json_t *read_entry(struct reading *reading, const json_t *list, size_t i, const char *path,
                                const char *name, const char **ret_path)
{
    const json_t *entry = json_array_get(list, i);
    const char *place = arena_printf(reading->arena, "%s%s%s[%zu]", path, *path ? "." : "", name, i);
    *ret_path = place ? place : "";
    if (json_is_object(entry)) return entry;
    (void)problems_add(reading->problems, STATUS_WRONG_TYPE, *ret_path, "must be an object");
    return NULL;
}

static void *room_for(struct reading *reading, size_t count, size_t size, size_t *ret_count)
{
    void *room = arena_array(reading->arena, count + 1, size);
    if (!room) refuse(reading, STATUS_OUT_OF_MEMORY, "", "", "no memory for the samples");
    *ret_count = room ? count : 0;
    return room;
}

static void read_processes(struct reading *reading, const json_t *object, const char *path, struct gpu_reading *gpu)
{
    size_t count = 0;
    const char *place = "";
    const json_t *list = read_list(reading, object, path, "processes", SAMPLE_PROCESSES_MAX, &count);
    struct gpu_process *processes = room_for(reading, count, sizeof *processes, &gpu->process_count);
    for (size_t i = 0; i < gpu->process_count; i++) {
        const json_t *entry = read_entry(reading, list, i, path, "processes", &place);
        if (!entry) continue;
        processes[i].pid = read_whole(reading, entry, place, "pid", COUNT_MAX);
        read_into(reading, entry, place, "name", processes[i].name, sizeof processes[i].name);
        processes[i].used_bytes = read_number(reading, entry, place, "used_bytes", 0, BYTES_MAX);
    }
    gpu->processes = processes;
}

static void read_instances(struct reading *reading, const json_t *object, const char *path, struct gpu_reading *gpu)
{
    size_t count = 0;
    const char *place = "";
    const json_t *list = read_list(reading, object, path, "instances", SAMPLE_PROCESSES_MAX, &count);
    struct gpu_instance *instances = room_for(reading, count, sizeof *instances, &gpu->instance_count);
    for (size_t i = 0; i < gpu->instance_count; i++) {
        const json_t *entry = read_entry(reading, list, i, path, "instances", &place);
        if (!entry) continue;
        read_uuid(reading, entry, place, instances[i].uuid);
        instances[i].memory_total_bytes = read_number(reading, entry, place, "memory_total_bytes", 0, BYTES_MAX);
        instances[i].memory_used_bytes = read_number(reading, entry, place, "memory_used_bytes", 0, BYTES_MAX);
    }
    gpu->instances = instances;
}

static void read_gpu(struct reading *reading, const json_t *object, const char *path, struct gpu_reading *gpu)
{
    const json_t *mig = json_object_get(object, "mig");
    gpu->index = (int)read_whole(reading, object, path, "index", 65535);
    read_uuid(reading, object, path, gpu->uuid);
    read_into(reading, object, path, "name", gpu->name, sizeof gpu->name);
    read_into(reading, object, path, "lost", gpu->lost, sizeof gpu->lost);
    read_figures(reading, object, path, gpu_figures, COUNT_OF(gpu_figures), gpu);
    if (mig && !json_is_boolean(mig) && !json_is_null(mig))
        refuse(reading, STATUS_WRONG_TYPE, path, "mig", "must be true, false or null");
    gpu->mig = json_is_boolean(mig) ? json_is_true(mig) : UNKNOWN;
    read_processes(reading, object, path, gpu);
    read_instances(reading, object, path, gpu);
}

static void read_gpus(struct reading *reading, const json_t *object, const char *path, struct sample *sample)
{
    size_t count = 0;
    const char *place = "";
    const json_t *list = read_list(reading, object, path, "gpus", SAMPLE_GPUS_MAX, &count);
    struct gpu_reading *gpus = room_for(reading, count, sizeof *gpus, &sample->gpu_count);
    for (size_t i = 0; i < sample->gpu_count; i++) {
        const json_t *entry = read_entry(reading, list, i, path, "gpus", &place);
        if (entry) read_gpu(reading, entry, place, &gpus[i]);
        for (size_t j = 0; entry && j < i; j++) {
            if (*gpus[i].uuid && strcmp(gpus[i].uuid, gpus[j].uuid) == 0)
                refuse(reading, STATUS_DUPLICATE_FIELD, place, "uuid", "is that of another GPU of the sample");
        }
    }
    sample->gpus = gpus;
}

static void read_sample(struct reading *reading, const json_t *object, const char *path, const char *host,
                        struct sample *sample)
{
    const char *time = read_text(reading, object, path, "time", SAMPLE_TIME_BYTES - 1);
    if (time && !sample_time_parse(time, &sample->unix_ms))
        refuse(reading, *time ? STATUS_INVALID_VALUE : STATUS_MISSING_FIELD, path, "time",
               "is no time in UTC such as \"2026-11-29T03:04:05.123Z\"");
    const char *memory_path = path_of(reading, path, "system_memory");
    const char *reason = read_text(reading, object, path, "reason", 400);
    sample->host = host;
    sample->monotonic_ms = read_whole(reading, object, path, "monotonic_ms", COUNT_MAX);
    sample->took_ms = read_number(reading, object, path, "took_ms", 0, 1e9);
    sample->reason = reason ? reason : "";
    read_figures(reading, read_object(reading, object, path, "system_memory"), memory_path, memory_figures,
                 COUNT_OF(memory_figures), &sample->memory);
    read_gpus(reading, object, path, sample);
}

static void read_host(struct reading *reading, const json_t *root, const char **ret_host)
{
    const size_t before = reading->problems->count;
    const char *host = read_text(reading, root, "", "host", HOST_NAME_MAX_BYTES);
    if (host && !*host && reading->problems->count == before)
        refuse(reading, STATUS_MISSING_FIELD, "", "host", "is missing: the name of the machine");
    *ret_host = host ? host : "";
}

static void read_schema(struct reading *reading, const json_t *root)
{
    const char *schema = read_text(reading, root, "", "schema", 40);
    if (schema && strcmp(schema, SAMPLE_SCHEMA) != 0)
        refuse(reading, *schema ? STATUS_INVALID_VALUE : STATUS_MISSING_FIELD, "", "schema",
               "must be \"" SAMPLE_SCHEMA "\"");
}

static void read_batch(struct reading *reading, const json_t *root, struct sample_batch *batch)
{
    size_t count = 0;
    const char *place = "";
    const size_t before = reading->problems->count;
    read_schema(reading, root);
    read_host(reading, root, &batch->host);
    const json_t *list = read_list(reading, root, "", "samples", SAMPLES_MAX, &count);
    if (count == 0 && reading->problems->count == before)
        refuse(reading, STATUS_MISSING_FIELD, "", "samples", "is missing: a list of samples, oldest first");
    struct sample *samples = room_for(reading, count, sizeof *samples, &batch->count);
    for (size_t i = 0; i < batch->count; i++) {
        const json_t *entry = read_entry(reading, list, i, "", "samples", &place);
        if (entry) read_sample(reading, entry, place, batch->host, &samples[i]);
    }
    batch->samples = samples;
}

static enum status read_root(const char *text, size_t length, const char *what, struct arena *arena,
                             struct problems *problems, json_t **ret_root)
{
    if (length > SAMPLES_MAX_BYTES)
        return problems_add(problems, STATUS_BODY_TOO_LARGE, "", "%s has at most %d MiB", what,
                            SAMPLES_MAX_BYTES >> 20);
    return json_read_long(arena, text, length, what, VALUES_MAX, false, problems, ret_root);
}

enum status sample_batch_read(const char *text, size_t length, struct arena *arena, struct problems *problems,
                              struct sample_batch *ret_batch)
{
    struct reading reading = {.arena = arena, .problems = problems};
    struct sample_batch batch = {0};
    json_t *root = NULL;
    enum status status = read_root(text, length, "a batch of samples", arena, problems, &root);
    if (status != STATUS_OK) return status;
    read_batch(&reading, root, &batch);
    json_decref(root);
    status = problems_status(problems);
    if (status == STATUS_OK) *ret_batch = batch;
    return status;
}

enum status sample_read(const char *text, size_t length, const char *host, struct arena *arena,
                        struct problems *problems, struct sample *ret_sample)
{
    struct reading reading = {.arena = arena, .problems = problems};
    struct sample sample = {0};
    json_t *root = NULL;
    enum status status = read_root(text, length, "a sample", arena, problems, &root);
    if (status != STATUS_OK) return status;
    read_sample(&reading, root, "", host, &sample);
    json_decref(root);
    status = problems_status(problems);
    if (status == STATUS_OK) *ret_sample = sample;
    return status;
}
