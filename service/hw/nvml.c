/* nvml.c owns the calls of libnvidia-ml.so.1. Its header comes with no compiler package, so the few declarations that
 * are used are here; the numbers are NVML's published ABI. */
#include "hw/nvml.h"

#include <dlfcn.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef struct nvml_device *nvml_device;
enum { NVML_OK = 0, NVML_INSUFFICIENT_SIZE = 7, CLOCK_SM = 1, CLOCK_MEMORY = 2, SENSOR_GPU = 0, VIRTUAL_GUEST = 2 };

struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml_memory_v2 { /* `used` without what the driver keeps for itself */
    unsigned version;
    unsigned long long total, reserved, free, used;
};
#define MEMORY_V2 ((unsigned)sizeof(struct nvml_memory_v2) | 2U << 24)
struct nvml_use {
    unsigned gpu, memory;
};
struct nvml_pci { /* v3 */
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};

/* The functions, by the names to try in turn. */
struct api {
    int (*init)(void), (*shutdown)(void);
    const char *(*text)(int);
    int (*driver)(char *, unsigned), (*by_pci)(const char *, nvml_device *);
    int (*uuid)(nvml_device, char *, unsigned), (*pci)(nvml_device, struct nvml_pci *);
    int (*clock)(nvml_device, int, unsigned *), (*clock_max)(nvml_device, int, unsigned *);
    int (*power)(nvml_device, unsigned *), (*power_limit)(nvml_device, unsigned *);
    int (*temperature)(nvml_device, int, unsigned *), (*throttle)(nvml_device, unsigned long long *);
    int (*ecc)(nvml_device, int *, int *), (*mig)(nvml_device, unsigned *, unsigned *);
    int (*virtualization)(nvml_device, int *);
    int (*memory_v2)(nvml_device, struct nvml_memory_v2 *), (*memory)(nvml_device, struct nvml_memory *);
    int (*use)(nvml_device, struct nvml_use *);
    int (*processes)(nvml_device, unsigned *, void *), (*mps)(nvml_device, unsigned *, void *);
    int (*pcie_gen)(nvml_device, unsigned *), (*pcie_width)(nvml_device, unsigned *);
};

static const struct {
    size_t offset;
    const char *name, *older;
} entries[] = {
    {offsetof(struct api, init), "nvmlInit_v2", "nvmlInit"},
    {offsetof(struct api, shutdown), "nvmlShutdown", NULL},
    {offsetof(struct api, text), "nvmlErrorString", NULL},
    {offsetof(struct api, driver), "nvmlSystemGetDriverVersion", NULL},
    {offsetof(struct api, by_pci), "nvmlDeviceGetHandleByPciBusId_v2", "nvmlDeviceGetHandleByPciBusId"},
    {offsetof(struct api, uuid), "nvmlDeviceGetUUID", NULL},
    {offsetof(struct api, pci), "nvmlDeviceGetPciInfo_v3", NULL},
    {offsetof(struct api, clock), "nvmlDeviceGetClockInfo", NULL},
    {offsetof(struct api, clock_max), "nvmlDeviceGetMaxClockInfo", NULL},
    {offsetof(struct api, power), "nvmlDeviceGetPowerUsage", NULL},
    {offsetof(struct api, power_limit), "nvmlDeviceGetEnforcedPowerLimit", NULL},
    {offsetof(struct api, temperature), "nvmlDeviceGetTemperature", NULL},
    {offsetof(struct api, throttle), "nvmlDeviceGetCurrentClocksEventReasons",
     "nvmlDeviceGetCurrentClocksThrottleReasons"},
    {offsetof(struct api, ecc), "nvmlDeviceGetEccMode", NULL},
    {offsetof(struct api, mig), "nvmlDeviceGetMigMode", NULL},
    {offsetof(struct api, virtualization), "nvmlDeviceGetVirtualizationMode", NULL},
    {offsetof(struct api, memory_v2), "nvmlDeviceGetMemoryInfo_v2", NULL},
    {offsetof(struct api, memory), "nvmlDeviceGetMemoryInfo", NULL},
    {offsetof(struct api, use), "nvmlDeviceGetUtilizationRates", NULL},
    {offsetof(struct api, processes), "nvmlDeviceGetComputeRunningProcesses_v3",
     "nvmlDeviceGetComputeRunningProcesses_v2"},
    {offsetof(struct api, mps), "nvmlDeviceGetMPSComputeRunningProcesses_v3",
     "nvmlDeviceGetMPSComputeRunningProcesses_v2"},
    {offsetof(struct api, pcie_gen), "nvmlDeviceGetCurrPcieLinkGeneration", NULL},
    {offsetof(struct api, pcie_width), "nvmlDeviceGetCurrPcieLinkWidth", NULL},
};

static const char *const throttle_names[] = {
    "gpu_idle",
    "applications_clocks_setting",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "display_clock_setting",
};

const char *nvml_throttle_name(unsigned bit)
{
    return bit < sizeof throttle_names / sizeof throttle_names[0] ? throttle_names[bit] : NULL;
}

void nvml_tame(struct nvml_facts *facts)
{
    facts->why[sizeof facts->why - 1] = facts->driver[sizeof facts->driver - 1] = '\0';
    facts->uuid[sizeof facts->uuid - 1] = '\0';
}

/* Stored as POSIX shows it for dlsym. */
static void load(void *library, struct api *api)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        void **entry = (void **)(void *)((char *)api + entries[i].offset);
        *entry = dlsym(library, entries[i].name);
        if (!*entry && entries[i].older) *entry = dlsym(library, entries[i].older);
    }
}

/* --- questions: NaN where there is no answer --- */

static double ask(int (*question)(nvml_device, unsigned *), nvml_device device)
{
    unsigned answer = 0;
    return question && question(device, &answer) == NVML_OK ? (double)answer : (double)NAN;
}

static double ask_of(int (*question)(nvml_device, int, unsigned *), nvml_device device, int which)
{
    unsigned answer = 0;
    return question && question(device, which, &answer) == NVML_OK ? (double)answer : (double)NAN;
}

/* With room for none the library says how many there are. */
static double ask_count(int (*question)(nvml_device, unsigned *, void *), nvml_device device)
{
    unsigned count = 0;
    if (!question) return (double)NAN;
    int status = question(device, &count, NULL);
    return status == NVML_OK || status == NVML_INSUFFICIENT_SIZE ? (double)count : (double)NAN;
}

static double ask_used_bytes(const struct api *api, nvml_device device)
{
    struct nvml_memory_v2 with_reserved = {.version = MEMORY_V2};
    struct nvml_memory memory = {0};
    if (api->memory_v2 && api->memory_v2(device, &with_reserved) == NVML_OK) return (double)with_reserved.used;
    return api->memory && api->memory(device, &memory) == NVML_OK ? (double)memory.used : (double)NAN;
}

static void ask_modes(const struct api *api, nvml_device device, struct nvml_facts *facts)
{
    int now = 0, next = 0, mode = 0;
    unsigned mig = 0, mig_next = 0;
    unsigned long long bits = 0;
    struct nvml_use use = {0};
    struct nvml_pci pci = {.bus_id = ""};
    facts->ecc = api->ecc && api->ecc(device, &now, &next) == NVML_OK ? now : (double)NAN;
    facts->mig = api->mig && api->mig(device, &mig, &mig_next) == NVML_OK ? mig : (double)NAN;
    facts->virtual_gpu =
        api->virtualization && api->virtualization(device, &mode) == NVML_OK ? mode == VIRTUAL_GUEST : (double)NAN;
    facts->throttle_bits = api->throttle && api->throttle(device, &bits) == NVML_OK ? (double)bits : (double)NAN;
    facts->busy_percent = api->use && api->use(device, &use) == NVML_OK ? use.gpu : (double)NAN;
    facts->pci_vendor_device = api->pci && api->pci(device, &pci) == NVML_OK ? (double)pci.pci_device_id : (double)NAN;
}

static void ask_all(const struct api *api, nvml_device device, struct nvml_facts *facts)
{
    if (!api->uuid || api->uuid(device, facts->uuid, sizeof facts->uuid) != NVML_OK) facts->uuid[0] = '\0';
    if (!api->driver || api->driver(facts->driver, sizeof facts->driver) != NVML_OK) facts->driver[0] = '\0';
    facts->sm_clock_mhz = ask_of(api->clock, device, CLOCK_SM);
    facts->memory_clock_mhz = ask_of(api->clock, device, CLOCK_MEMORY);
    facts->sm_clock_max_mhz = ask_of(api->clock_max, device, CLOCK_SM);
    facts->power_watts = ask(api->power, device) * 1e-3;
    facts->power_limit_watts = ask(api->power_limit, device) * 1e-3;
    facts->temperature_c = ask_of(api->temperature, device, SENSOR_GPU);
    facts->process_count = ask_count(api->processes, device);
    facts->mps_process_count = ask_count(api->mps, device);
    facts->pcie_gen = ask(api->pcie_gen, device);
    facts->pcie_width = ask(api->pcie_width, device);
    facts->used_bytes = ask_used_bytes(api, device);
    ask_modes(api, device, facts);
}

static void say_why(struct nvml_facts *facts, const char *why)
{
    (void)snprintf(facts->why, sizeof facts->why, "%s", why ? why : "");
}

struct nvml_facts nvml_read(const char *pci_bus_id)
{
    struct nvml_facts facts = {0};
    struct api api = {0};
    nvml_device device = NULL;
    void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library) load(library, &api);
    if (!library) {
        say_why(&facts, dlerror());
    } else if (!api.init || !api.shutdown || !api.by_pci) {
        say_why(&facts, "libnvidia-ml.so.1 lacks functions");
    } else {
        int status = api.init();
        bool ready = status == NVML_OK;
        if (ready) status = api.by_pci(pci_bus_id, &device);
        facts.known = status == NVML_OK;
        if (facts.known)
            ask_all(&api, device, &facts);
        else
            say_why(&facts, api.text ? api.text(status) : "the GPU is not visible to NVML");
        if (ready) (void)api.shutdown();
    }
    return facts; /* the library stays open: the process ends soon */
}
