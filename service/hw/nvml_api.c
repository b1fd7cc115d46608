/* nvml_api.c owns the loading of libnvidia-ml.so.1, by names that were different in older drivers, and single
 * questions. */
#include "hw/nvml_api.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>

#define LIBRARY "libnvidia-ml.so.1"

static const struct {
    size_t offset;
    const char *name, *older;
} entries[] = {
    {offsetof(struct nvml_api, init), "nvmlInit_v2", "nvmlInit"},
    {offsetof(struct nvml_api, shutdown), "nvmlShutdown", NULL},
    {offsetof(struct nvml_api, text), "nvmlErrorString", NULL},
    {offsetof(struct nvml_api, driver), "nvmlSystemGetDriverVersion", NULL},
    {offsetof(struct nvml_api, by_pci), "nvmlDeviceGetHandleByPciBusId_v2", "nvmlDeviceGetHandleByPciBusId"},
    {offsetof(struct nvml_api, count), "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"},
    {offsetof(struct nvml_api, by_index), "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"},
    {offsetof(struct nvml_api, uuid), "nvmlDeviceGetUUID", NULL},
    {offsetof(struct nvml_api, name), "nvmlDeviceGetName", NULL},
    {offsetof(struct nvml_api, pci), "nvmlDeviceGetPciInfo_v3", NULL},
    {offsetof(struct nvml_api, clock), "nvmlDeviceGetClockInfo", NULL},
    {offsetof(struct nvml_api, clock_max), "nvmlDeviceGetMaxClockInfo", NULL},
    {offsetof(struct nvml_api, power), "nvmlDeviceGetPowerUsage", NULL},
    {offsetof(struct nvml_api, power_limit), "nvmlDeviceGetEnforcedPowerLimit", NULL},
    {offsetof(struct nvml_api, energy), "nvmlDeviceGetTotalEnergyConsumption", NULL},
    {offsetof(struct nvml_api, temperature), "nvmlDeviceGetTemperature", NULL},
    {offsetof(struct nvml_api, throttle), "nvmlDeviceGetCurrentClocksEventReasons",
     "nvmlDeviceGetCurrentClocksThrottleReasons"},
    {offsetof(struct nvml_api, ecc), "nvmlDeviceGetEccMode", NULL},
    {offsetof(struct nvml_api, ecc_errors), "nvmlDeviceGetTotalEccErrors", NULL},
    {offsetof(struct nvml_api, mig), "nvmlDeviceGetMigMode", NULL},
    {offsetof(struct nvml_api, mig_max), "nvmlDeviceGetMaxMigDeviceCount", NULL},
    {offsetof(struct nvml_api, mig_by_index), "nvmlDeviceGetMigDeviceHandleByIndex", NULL},
    {offsetof(struct nvml_api, virtualization), "nvmlDeviceGetVirtualizationMode", NULL},
    {offsetof(struct nvml_api, memory_v2), "nvmlDeviceGetMemoryInfo_v2", NULL},
    {offsetof(struct nvml_api, memory), "nvmlDeviceGetMemoryInfo", NULL},
    {offsetof(struct nvml_api, use), "nvmlDeviceGetUtilizationRates", NULL},
    {offsetof(struct nvml_api, processes), "nvmlDeviceGetComputeRunningProcesses_v3",
     "nvmlDeviceGetComputeRunningProcesses_v2"},
    {offsetof(struct nvml_api, mps), "nvmlDeviceGetMPSComputeRunningProcesses_v3",
     "nvmlDeviceGetMPSComputeRunningProcesses_v2"},
    {offsetof(struct nvml_api, pcie_gen), "nvmlDeviceGetCurrPcieLinkGeneration", NULL},
    {offsetof(struct nvml_api, pcie_width), "nvmlDeviceGetCurrPcieLinkWidth", NULL},
};

/* Stored as POSIX shows it for dlsym. */
static void load(void *library, struct nvml_api *api)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        void **entry = (void **)(void *)((char *)api + entries[i].offset);
        *entry = dlsym(library, entries[i].name);
        if (!*entry && entries[i].older) *entry = dlsym(library, entries[i].older);
    }
}

static void say(char ret_why[NVML_TEXT_BYTES], const char *why)
{
    (void)snprintf(ret_why, NVML_TEXT_BYTES, "%s", why ? why : "");
}

bool nvml_api_open(struct nvml_api *ret_api, char ret_why[NVML_TEXT_BYTES])
{
    struct nvml_api api = {0};
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library) load(library, &api);
    api.library = library;
    const bool complete = api.init && api.shutdown;
    if (complete)
        *ret_api = api;
    else
        say(ret_why, library ? LIBRARY " lacks functions" : dlerror());
    return complete;
}

void nvml_api_forget(struct nvml_api *api)
{
    (void)dlclose(api->library);
    *api = (struct nvml_api){0};
}

void nvml_api_say(const struct nvml_api *api, int status, char ret_why[NVML_TEXT_BYTES])
{
    say(ret_why, api->text ? api->text(status) : "NVML fails, and does not say why");
}

double nvml_ask(int (*question)(nvml_device, unsigned *), nvml_device device)
{
    unsigned answer = 0;
    return question && question(device, &answer) == NVML_OK ? (double)answer : (double)NAN;
}

double nvml_ask_of(int (*question)(nvml_device, int, unsigned *), nvml_device device, int which)
{
    unsigned answer = 0;
    return question && question(device, which, &answer) == NVML_OK ? (double)answer : (double)NAN;
}

double nvml_ask_long(int (*question)(nvml_device, unsigned long long *), nvml_device device)
{
    unsigned long long answer = 0;
    return question && question(device, &answer) == NVML_OK ? (double)answer : (double)NAN;
}

double nvml_ask_mig(const struct nvml_api *api, nvml_device device)
{
    unsigned now = 0, next = 0;
    return api->mig && api->mig(device, &now, &next) == NVML_OK ? (double)now : (double)NAN;
}

int nvml_ask_memory(const struct nvml_api *api, nvml_device device, struct nvml_memory_use *ret_use)
{
    struct nvml_memory_v2 parts = {.version = NVML_MEMORY_V2};
    struct nvml_memory memory = {0};
    int status = api->memory_v2 ? api->memory_v2(device, &parts) : NVML_UNKNOWN;
    *ret_use = (struct nvml_memory_use){(double)NAN, (double)NAN, (double)NAN};
    if (status == NVML_OK) {
        *ret_use = (struct nvml_memory_use){(double)parts.total, (double)parts.used, (double)parts.reserved};
    } else if (api->memory) {
        status = api->memory(device, &memory);
        if (status == NVML_OK)
            *ret_use = (struct nvml_memory_use){(double)memory.total, (double)memory.used, (double)NAN};
    }
    return status;
}
