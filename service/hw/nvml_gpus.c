/* nvml_gpus.c owns the readings of NVIDIA's GPUs. */
#include "hw/gpu_library.h"
#include "hw/host_memory.h"
#include "hw/nvml_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GPUS_MAX = 64, PROCESSES_MAX = 256 };

struct session {
    struct nvml_api api;
    nvml_device devices[GPUS_MAX]; /* NULL: there is no handle, as */
    int refusals[GPUS_MAX];        /* says */
};

static void end(void *data)
{
    struct session *session = data;
    (void)session->api.shutdown();
    free(session);
}

/* Handles of all GPUs, or what the library says instead. */
static int open_devices(struct session *session, size_t *ret_count)
{
    unsigned count = 0;
    int status = session->api.count && session->api.by_index ? session->api.count(&count) : NVML_UNKNOWN;
    if (count > GPUS_MAX) count = GPUS_MAX;
    for (unsigned i = 0; status == NVML_OK && i < count; i++) {
        /* One that is lost has no handle, and is told by its reading. */
        session->refusals[i] = session->api.by_index(i, &session->devices[i]);
        if (session->refusals[i] != NVML_OK) session->devices[i] = NULL;
    }
    *ret_count = count;
    return status;
}

static void *begin(size_t *ret_count, char ret_why[GPU_TEXT_BYTES])
{
    struct session *session = calloc(1, sizeof *session);
    if (!session) {
        (void)snprintf(ret_why, GPU_TEXT_BYTES, "no memory");
        return NULL;
    }
    if (!nvml_api_open(&session->api, ret_why)) {
        free(session);
        return NULL;
    }
    int status = session->api.init();
    const bool ready = status == NVML_OK;
    if (ready) status = open_devices(session, ret_count);
    if (status == NVML_OK) return session;
    nvml_api_say(&session->api, status, ret_why);
    if (ready) {
        end(session);
    } else {
        if (status == NVML_LIB_RM_VERSION_MISMATCH) nvml_api_forget(&session->api);
        free(session);
    }
    return NULL;
}

/* --- lists --- */

static int compare_used(const void *a, const void *b)
{
    const struct gpu_process *x = a, *y = b;
    if (x->used_bytes < y->used_bytes || x->used_bytes > y->used_bytes) return x->used_bytes < y->used_bytes ? 1 : -1;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

/* NULL if it does not tell. Between two calls more may have come: some room is spare. */
static const struct nvml_process *list_processes(const struct session *session, nvml_device device, struct arena *arena,
                                                 unsigned *ret_count)
{
    enum { SPARE = 16 };
    int status = session->api.processes ? NVML_INSUFFICIENT_SIZE : NVML_UNKNOWN;
    struct nvml_process *found = NULL;
    *ret_count = SPARE;
    for (int tries = 0; status == NVML_INSUFFICIENT_SIZE && tries < 2; tries++) {
        const unsigned room = tries ? *ret_count + SPARE : SPARE;
        found = ARENA_ARRAY(arena, room, struct nvml_process);
        if (!found) return NULL;
        *ret_count = room;
        status = session->api.processes(device, ret_count, found);
    }
    return status == NVML_OK ? found : NULL;
}

static void read_processes(const struct session *session, nvml_device device, const char *proc, struct arena *arena,
                           struct gpu_reading *reading)
{
    unsigned count = 0;
    const struct nvml_process *found = list_processes(session, device, arena, &count);
    if (!found) return;
    struct gpu_process *processes = ARENA_ARRAY(arena, count + 1, struct gpu_process);
    if (!processes) return;
    for (unsigned i = 0; i < count; i++) {
        processes[i].pid = found[i].pid;
        processes[i].used_bytes = found[i].used == NVML_NOT_AVAILABLE ? UNKNOWN : (double)found[i].used;
        host_process_name(proc, found[i].pid, processes[i].name);
    }
    qsort(processes, count, sizeof *processes, compare_used);
    reading->processes = processes;
    reading->process_count = count < PROCESSES_MAX ? count : PROCESSES_MAX; /* those that hold most */
}

static void read_instances(const struct session *session, nvml_device device, struct arena *arena,
                           struct gpu_reading *reading)
{
    const struct nvml_api *api = &session->api;
    unsigned most = 0;
    if (!(reading->mig > 0) || !api->mig_by_index || !api->mig_max || api->mig_max(device, &most) != NVML_OK) return;
    if (most > PROCESSES_MAX) most = PROCESSES_MAX;
    struct gpu_instance *instances = ARENA_ARRAY(arena, most + 1, struct gpu_instance);
    for (unsigned i = 0; instances && i < most; i++) {
        nvml_device part = NULL;
        struct nvml_memory_use use;
        struct gpu_instance *instance = &instances[reading->instance_count];
        if (api->mig_by_index(device, i, &part) != NVML_OK) continue;
        if (!api->uuid || api->uuid(part, instance->uuid, sizeof instance->uuid) != NVML_OK) continue;
        (void)nvml_ask_memory(api, part, &use);
        instance->memory_total_bytes = use.total_bytes;
        instance->memory_used_bytes = use.used_bytes;
        reading->instance_count++;
    }
    reading->instances = instances;
}

/* --- one GPU --- */

static enum gpu_answer answer_of(int status)
{
    switch (status) {
    case NVML_GPU_IS_LOST:
    case NVML_RESET_REQUIRED: return GPU_GONE;
    case NVML_UNINITIALIZED:
    case NVML_DRIVER_NOT_LOADED:
    case NVML_LIB_RM_VERSION_MISMATCH: return LIBRARY_GONE;
    default: return GPU_ANSWERS; /* a part that does not tell its memory, as one that shares the host's */
    }
}

static double ask_ecc(const struct nvml_api *api, nvml_device device, int kind)
{
    unsigned long long count = 0;
    if (!api->ecc_errors || api->ecc_errors(device, kind, NVML_ECC_SINCE_LOADED, &count) != NVML_OK) return UNKNOWN;
    return (double)count;
}

static void read_figures(const struct nvml_api *api, nvml_device device, struct gpu_reading *reading)
{
    struct nvml_use use = {0};
    if (api->use && api->use(device, &use) == NVML_OK) {
        reading->busy_percent = use.gpu;
        reading->memory_busy_percent = use.memory;
    }
    reading->power_watts = nvml_ask(api->power, device) * 1e-3;
    reading->power_limit_watts = nvml_ask(api->power_limit, device) * 1e-3;
    reading->temperature_c = nvml_ask_of(api->temperature, device, NVML_SENSOR_GPU);
    reading->sm_clock_mhz = nvml_ask_of(api->clock, device, NVML_CLOCK_SM);
    reading->memory_clock_mhz = nvml_ask_of(api->clock, device, NVML_CLOCK_MEMORY);
    reading->throttle_bits = nvml_ask_long(api->throttle, device);
    reading->energy_joules = nvml_ask_long(api->energy, device) * 1e-3;
    reading->ecc_corrected = ask_ecc(api, device, NVML_ECC_CORRECTED);
    reading->ecc_uncorrected = ask_ecc(api, device, NVML_ECC_UNCORRECTED);
    reading->mig = nvml_ask_mig(api, device);
}

static enum gpu_answer read(void *data, size_t number, const char *proc, struct arena *arena,
                            struct gpu_reading *reading, char ret_why[GPU_TEXT_BYTES])
{
    const struct session *session = data;
    const struct nvml_api *api = &session->api;
    nvml_device device = session->devices[number];
    struct nvml_memory_use use;
    const int status = device ? nvml_ask_memory(api, device, &use) : session->refusals[number];
    const enum gpu_answer answer = answer_of(status) == GPU_ANSWERS && !device ? GPU_GONE : answer_of(status);
    if (answer != GPU_ANSWERS) {
        nvml_api_say(api, status, ret_why);
        return answer;
    }
    reading->memory_total_bytes = use.total_bytes;
    reading->memory_used_bytes = use.used_bytes;
    reading->memory_reserved_bytes = use.reserved_bytes;
    if (!api->uuid || api->uuid(device, reading->uuid, sizeof reading->uuid) != NVML_OK) *reading->uuid = '\0';
    if (!api->name || api->name(device, reading->name, sizeof reading->name) != NVML_OK) *reading->name = '\0';
    read_figures(api, device, reading);
    read_instances(session, device, arena, reading);
    read_processes(session, device, proc, arena, reading);
    return GPU_ANSWERS;
}

const struct gpu_library gpu_library_nvml = {begin, read, end};
