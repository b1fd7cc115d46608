/* amd_gpus.c owns the readings of AMD's GPUs: by libamd_smi.so, and by the older librocm_smi64.so. Only calls whose
 * parameters are single numbers are used, since the structs of both libraries change between releases; of that of
 * amdsmi_get_gpu_activity the first two numbers, which are the same in all. The rest is the kernel's: amd_sysfs.h.
 * Numbers are those of amdsmi.h (ROCm 6 and 7) and rocm_smi.h. */
#include "hw/amd_sysfs.h"
#include "hw/gpu_library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    GPUS_MAX = 64,
    SUCCESS = 0,
    MEMORY_VRAM = 0,
    TEMPERATURE_JUNCTION = 1,
    TEMPERATURE_NOW = 0,
    GPUS_ONLY = 1 << 1,
    ACTIVITY_WORDS = 64
};

typedef void *handle;

struct entry { /* where a function goes, what it is called, and whether there is no reading without it */
    size_t offset;
    const char *name;
    bool needed;
};

/* The first of the files that can be loaded, with all functions that are needed; it stays loaded. */
static bool load(const char *const *files, const struct entry *entries, size_t count, void *functions,
                 char ret_why[GPU_TEXT_BYTES])
{
    void *library = NULL;
    for (; !library && *files; files++)
        library = dlopen(*files, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        const char *why = dlerror();
        (void)snprintf(ret_why, GPU_TEXT_BYTES, "%s", why ? why : "");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        void **function = (void **)(void *)((char *)functions + entries[i].offset);
        *function = dlsym(library, entries[i].name);
        if (*function || !entries[i].needed) continue;
        (void)snprintf(ret_why, GPU_TEXT_BYTES, "%s is missing in AMD's library", entries[i].name);
        return false;
    }
    return true;
}

/* --- amd_smi --- */

struct amd_smi {
    int (*init)(uint64_t), (*shut_down)(void);
    int (*sockets)(uint32_t *, handle *), (*processors)(handle, uint32_t *, handle *);
    int (*total)(handle, int, uint64_t *), (*used)(handle, int, uint64_t *);
    int (*temperature)(handle, int, int, int64_t *); /* degrees */
    int (*uuid)(handle, unsigned *, char *);
    int (*energy)(handle, uint64_t *, float *, uint64_t *); /* counts, microjoules of each, time */
    int (*activity)(handle, uint32_t *);                    /* a struct: percent of the GPU's and the memory's time */
    int (*bdf)(handle, uint64_t *);
    handle gpus[GPUS_MAX];
};

static const struct entry amd_smi_entries[] = {
    {offsetof(struct amd_smi, init), "amdsmi_init", true},
    {offsetof(struct amd_smi, shut_down), "amdsmi_shut_down", true},
    {offsetof(struct amd_smi, sockets), "amdsmi_get_socket_handles", true},
    {offsetof(struct amd_smi, processors), "amdsmi_get_processor_handles", true},
    {offsetof(struct amd_smi, total), "amdsmi_get_gpu_memory_total", true},
    {offsetof(struct amd_smi, used), "amdsmi_get_gpu_memory_usage", true},
    {offsetof(struct amd_smi, temperature), "amdsmi_get_temp_metric", false},
    {offsetof(struct amd_smi, uuid), "amdsmi_get_gpu_device_uuid", false},
    {offsetof(struct amd_smi, energy), "amdsmi_get_energy_count", false},
    {offsetof(struct amd_smi, activity), "amdsmi_get_gpu_activity", false},
    {offsetof(struct amd_smi, bdf), "amdsmi_get_gpu_bdf_id", false},
};

static void amd_smi_end(void *session)
{
    (void)((struct amd_smi *)session)->shut_down();
    free(session);
}

/* The GPUs of all sockets, one after another. */
static bool amd_smi_list(struct amd_smi *smi, size_t *ret_count)
{
    handle sockets[GPUS_MAX];
    uint32_t socket_count = GPUS_MAX;
    size_t count = 0;
    if (smi->sockets(&socket_count, sockets) != SUCCESS) return false;
    for (uint32_t i = 0; i < socket_count && i < GPUS_MAX && count < GPUS_MAX; i++) {
        uint32_t more = (uint32_t)(GPUS_MAX - count);
        if (smi->processors(sockets[i], &more, smi->gpus + count) == SUCCESS && more <= GPUS_MAX - count) count += more;
    }
    *ret_count = count;
    return true;
}

static void *amd_smi_begin(size_t *ret_count, char ret_why[GPU_TEXT_BYTES])
{
    static const char *const files[] = {"libamd_smi.so", "/opt/rocm/lib/libamd_smi.so", NULL};
    struct amd_smi *smi = calloc(1, sizeof *smi);
    if (smi && load(files, amd_smi_entries, sizeof amd_smi_entries / sizeof *amd_smi_entries, smi, ret_why)) {
        const bool ready = smi->init(GPUS_ONLY) == SUCCESS;
        if (ready && amd_smi_list(smi, ret_count)) return smi;
        (void)snprintf(ret_why, GPU_TEXT_BYTES, "libamd_smi.so finds no driver");
        if (ready) (void)smi->shut_down();
    }
    free(smi);
    return NULL;
}

/* Numbers that do not mean percent are a part's way to say that it does not know. */
static double percent(uint32_t value)
{
    return value <= 100 ? value : UNKNOWN;
}

/* What only some releases and parts tell. */
static void amd_smi_read_more(const struct amd_smi *smi, handle gpu, const char *proc, struct gpu_reading *reading)
{
    uint32_t activity[ACTIVITY_WORDS] = {UINT32_MAX, UINT32_MAX};
    uint64_t counts = 0, time = 0, bdf = 0;
    int64_t temperature = 0;
    float microjoules = 0;
    if (smi->temperature && smi->temperature(gpu, TEMPERATURE_JUNCTION, TEMPERATURE_NOW, &temperature) == SUCCESS)
        reading->temperature_c = (double)temperature;
    if (smi->energy && smi->energy(gpu, &counts, &microjoules, &time) == SUCCESS)
        reading->energy_joules = (double)counts * (double)microjoules * 1e-6;
    if (smi->activity && smi->activity(gpu, activity) == SUCCESS) {
        reading->busy_percent = percent(activity[0]);
        reading->memory_busy_percent = percent(activity[1]);
    }
    if (smi->bdf && smi->bdf(gpu, &bdf) == SUCCESS) amd_sysfs_read(proc, bdf, reading);
}

static enum gpu_answer amd_smi_read(void *session, size_t number, const char *proc, struct arena *arena,
                                    struct gpu_reading *reading, char ret_why[GPU_TEXT_BYTES])
{
    const struct amd_smi *smi = session;
    handle gpu = smi->gpus[number];
    uint64_t total = 0, used = 0;
    unsigned length = sizeof reading->uuid;
    (void)arena;
    if (smi->total(gpu, MEMORY_VRAM, &total) != SUCCESS || smi->used(gpu, MEMORY_VRAM, &used) != SUCCESS) {
        (void)snprintf(ret_why, GPU_TEXT_BYTES, "amd_smi tells no memory of it");
        return GPU_GONE;
    }
    reading->memory_total_bytes = (double)total;
    reading->memory_used_bytes = (double)used;
    if (!smi->uuid || smi->uuid(gpu, &length, reading->uuid) != SUCCESS) *reading->uuid = '\0';
    amd_smi_read_more(smi, gpu, proc, reading);
    if (!*reading->name) (void)snprintf(reading->name, sizeof reading->name, "AMD GPU");
    return GPU_ANSWERS;
}

const struct gpu_library gpu_library_amd_smi = {amd_smi_begin, amd_smi_read, amd_smi_end};

/* --- rocm_smi --- */

struct rocm_smi {
    int (*init)(uint64_t), (*shut_down)(void);
    int (*count)(uint32_t *);
    int (*total)(uint32_t, int, uint64_t *), (*used)(uint32_t, int, uint64_t *);
    int (*busy)(uint32_t, uint32_t *);
    int (*power)(uint32_t, uint32_t, uint64_t *);           /* microwatts, an average */
    int (*temperature)(uint32_t, uint32_t, int, int64_t *); /* thousandths of degrees */
    int (*unique_id)(uint32_t, uint64_t *);
    int (*name)(uint32_t, char *, size_t);
    int (*bdf)(uint32_t, uint64_t *);
};

static const struct entry rocm_smi_entries[] = {
    {offsetof(struct rocm_smi, init), "rsmi_init", true},
    {offsetof(struct rocm_smi, shut_down), "rsmi_shut_down", true},
    {offsetof(struct rocm_smi, count), "rsmi_num_monitor_devices", true},
    {offsetof(struct rocm_smi, total), "rsmi_dev_memory_total_get", true},
    {offsetof(struct rocm_smi, used), "rsmi_dev_memory_usage_get", true},
    {offsetof(struct rocm_smi, busy), "rsmi_dev_busy_percent_get", true},
    {offsetof(struct rocm_smi, power), "rsmi_dev_power_ave_get", true},
    {offsetof(struct rocm_smi, temperature), "rsmi_dev_temp_metric_get", true},
    {offsetof(struct rocm_smi, unique_id), "rsmi_dev_unique_id_get", true},
    {offsetof(struct rocm_smi, name), "rsmi_dev_name_get", true},
    {offsetof(struct rocm_smi, bdf), "rsmi_dev_pci_id_get", false},
};

static void rocm_smi_end(void *session)
{
    (void)((struct rocm_smi *)session)->shut_down();
    free(session);
}

static void *rocm_smi_begin(size_t *ret_count, char ret_why[GPU_TEXT_BYTES])
{
    static const char *const files[] = {"librocm_smi64.so", "/opt/rocm/lib/librocm_smi64.so", NULL};
    struct rocm_smi *smi = calloc(1, sizeof *smi);
    uint32_t count = 0;
    if (smi && load(files, rocm_smi_entries, sizeof rocm_smi_entries / sizeof *rocm_smi_entries, smi, ret_why)) {
        const bool ready = smi->init(0) == SUCCESS;
        if (ready && smi->count(&count) == SUCCESS) {
            *ret_count = count < GPUS_MAX ? count : GPUS_MAX;
            return smi;
        }
        (void)snprintf(ret_why, GPU_TEXT_BYTES, "librocm_smi64.so finds no driver");
        if (ready) (void)smi->shut_down();
    }
    free(smi);
    return NULL;
}

static enum gpu_answer rocm_smi_read(void *session, size_t number, const char *proc, struct arena *arena,
                                     struct gpu_reading *reading, char ret_why[GPU_TEXT_BYTES])
{
    const struct rocm_smi *smi = session;
    const uint32_t gpu = (uint32_t)number;
    uint64_t total = 0, used = 0, microwatts = 0, id = 0, bdf = 0;
    uint32_t busy = 0;
    int64_t temperature = 0;
    (void)arena;
    if (smi->total(gpu, MEMORY_VRAM, &total) != SUCCESS || smi->used(gpu, MEMORY_VRAM, &used) != SUCCESS) {
        (void)snprintf(ret_why, GPU_TEXT_BYTES, "rocm_smi tells no memory of it");
        return GPU_GONE;
    }
    reading->memory_total_bytes = (double)total;
    reading->memory_used_bytes = (double)used;
    if (smi->busy(gpu, &busy) == SUCCESS) reading->busy_percent = percent(busy);
    if (smi->power(gpu, 0, &microwatts) == SUCCESS) reading->power_watts = (double)microwatts * 1e-6;
    if (smi->temperature(gpu, TEMPERATURE_JUNCTION, TEMPERATURE_NOW, &temperature) == SUCCESS)
        reading->temperature_c = (double)temperature * 1e-3;
    if (smi->unique_id(gpu, &id) == SUCCESS)
        (void)snprintf(reading->uuid, sizeof reading->uuid, "AMD-%016llx", (unsigned long long)id);
    if (smi->name(gpu, reading->name, sizeof reading->name) != SUCCESS) *reading->name = '\0';
    if (smi->bdf && smi->bdf(gpu, &bdf) == SUCCESS) amd_sysfs_read(proc, bdf, reading);
    return GPU_ANSWERS;
}

const struct gpu_library gpu_library_rocm_smi = {rocm_smi_begin, rocm_smi_read, rocm_smi_end};
