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

static void write_memory(struct out *out, const char *key, const struct memory_reading *memory)
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

static void write_gpu(struct out *out, const struct gpu_reading *gpu, bool all)
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
    write_memory(out, "system_memory", &sample->memory);
    out_array(out, "gpus");
    for (size_t i = 0; i < sample->gpu_count; i++)
        write_gpu(out, &sample->gpus[i], all);
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

/* A list of objects: how it is called, what becomes of each. */
struct list {
    const char *name;
    size_t max, size;
    void (*read)(struct reading *reading, const json_t *object, const char *path, void *ret_item);
};

static const char *place_of(struct reading *reading, const char *path, const char *name, size_t i)
{
    const char *place = arena_printf(reading->arena, "%s%s%s[%zu]", path, *path ? "." : "", name, i);
    return place ? place : "";
}

/* In the arena; none where there is no list, or after a problem with it. */
static void *read_all(struct reading *reading, const json_t *object, const char *path, const struct list *list,
                      size_t *ret_count)
{
    const json_t *entries = json_object_get(object, list->name);
    size_t count = json_array_size(entries);
    if (entries && !json_is_null(entries) && !json_is_array(entries))
        refuse(reading, STATUS_WRONG_TYPE, path, list->name, "must be a list of objects");
    if (count > list->max) {
        (void)problems_add(reading->problems, STATUS_OUT_OF_RANGE, path_of(reading, path, list->name),
                           "has %zu entries, at most %zu are taken", count, list->max);
        count = 0;
    }
    char *items = arena_array(reading->arena, count + 1, list->size);
    if (!items) refuse(reading, STATUS_OUT_OF_MEMORY, "", "", "no memory for the samples");
    *ret_count = items ? count : 0;
    for (size_t i = 0; i < *ret_count; i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *place = place_of(reading, path, list->name, i);
        if (json_is_object(entry))
            list->read(reading, entry, place, items + i * list->size);
        else
            (void)problems_add(reading->problems, STATUS_WRONG_TYPE, place, "must be an object");
    }
    return items;
}

static void read_process(struct reading *reading, const json_t *object, const char *path, void *ret_item)
{
    struct gpu_process *process = ret_item;
    process->pid = read_whole(reading, object, path, "pid", COUNT_MAX);
    read_into(reading, object, path, "name", process->name, sizeof process->name);
    process->used_bytes = read_number(reading, object, path, "used_bytes", 0, BYTES_MAX);
}

static void read_instance(struct reading *reading, const json_t *object, const char *path, void *ret_item)
{
    struct gpu_instance *instance = ret_item;
    read_uuid(reading, object, path, instance->uuid);
    instance->memory_total_bytes = read_number(reading, object, path, "memory_total_bytes", 0, BYTES_MAX);
    instance->memory_used_bytes = read_number(reading, object, path, "memory_used_bytes", 0, BYTES_MAX);
}

static const struct list processes = {"processes", SAMPLE_PROCESSES_MAX, sizeof(struct gpu_process), read_process};
static const struct list instances = {"instances", SAMPLE_PROCESSES_MAX, sizeof(struct gpu_instance), read_instance};

static void read_gpu(struct reading *reading, const json_t *object, const char *path, void *ret_item)
{
    struct gpu_reading *gpu = ret_item;
    const json_t *mig = json_object_get(object, "mig");
    gpu->index = (int)read_whole(reading, object, path, "index", 65535);
    read_uuid(reading, object, path, gpu->uuid);
    read_into(reading, object, path, "name", gpu->name, sizeof gpu->name);
    read_into(reading, object, path, "lost", gpu->lost, sizeof gpu->lost);
    read_figures(reading, object, path, gpu_figures, COUNT_OF(gpu_figures), gpu);
    if (mig && !json_is_boolean(mig) && !json_is_null(mig))
        refuse(reading, STATUS_WRONG_TYPE, path, "mig", "must be true, false or null");
    gpu->mig = json_is_boolean(mig) ? json_is_true(mig) : UNKNOWN;
    gpu->processes = read_all(reading, object, path, &processes, &gpu->process_count);
    gpu->instances = read_all(reading, object, path, &instances, &gpu->instance_count);
}

static const struct list gpus = {"gpus", SAMPLE_GPUS_MAX, sizeof(struct gpu_reading), read_gpu};

static void check_uuids(struct reading *reading, const char *path, const struct sample *sample)
{
    for (size_t i = 0; i < sample->gpu_count; i++) {
        const char *uuid = sample->gpus[i].uuid;
        if (*uuid && sample_find_gpu(sample, uuid) != &sample->gpus[i])
            refuse(reading, STATUS_DUPLICATE_FIELD, place_of(reading, path, gpus.name, i), "uuid",
                   "is that of another GPU of the sample");
    }
}

static void read_sample(struct reading *reading, const json_t *object, const char *path, void *ret_item)
{
    struct sample *sample = ret_item;
    const char *time = read_text(reading, object, path, "time", SAMPLE_TIME_BYTES - 1);
    if (time && !sample_time_parse(time, &sample->unix_ms))
        refuse(reading, *time ? STATUS_INVALID_VALUE : STATUS_MISSING_FIELD, path, "time",
               "is no time in UTC such as \"2026-11-29T03:04:05.123Z\"");
    const char *memory_path = path_of(reading, path, "system_memory");
    const char *reason = read_text(reading, object, path, "reason", 400);
    sample->monotonic_ms = read_whole(reading, object, path, "monotonic_ms", COUNT_MAX);
    sample->took_ms = read_number(reading, object, path, "took_ms", 0, 1e9);
    sample->reason = reason ? reason : "";
    read_figures(reading, read_object(reading, object, path, "system_memory"), memory_path, memory_figures,
                 COUNT_OF(memory_figures), &sample->memory);
    sample->gpus = read_all(reading, object, path, &gpus, &sample->gpu_count);
    check_uuids(reading, path, sample);
}

static const struct list all_samples = {"samples", SAMPLES_MAX, sizeof(struct sample), read_sample};

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
    const size_t before = reading->problems->count;
    read_schema(reading, root);
    read_host(reading, root, &batch->host);
    struct sample *samples = read_all(reading, root, "", &all_samples, &batch->count);
    if (batch->count == 0 && reading->problems->count == before)
        refuse(reading, STATUS_MISSING_FIELD, "", "samples", "is missing: a list of samples, oldest first");
    for (size_t i = 0; i < batch->count; i++)
        samples[i].host = batch->host;
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
    struct sample sample = {.host = host};
    json_t *root = NULL;
    enum status status = read_root(text, length, "a sample", arena, problems, &root);
    if (status != STATUS_OK) return status;
    read_sample(&reading, root, "", &sample);
    json_decref(root);
    status = problems_status(problems);
    if (status == STATUS_OK) *ret_sample = sample;
    return status;
}
