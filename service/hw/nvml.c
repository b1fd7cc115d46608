/* nvml.c owns one look at one GPU: its conditions, and who else uses it. */
#include "hw/nvml_api.h"

#include <math.h>

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

/* With room for none the library says how many there are. */
static double ask_count(int (*question)(nvml_device, unsigned *, void *), nvml_device device)
{
    unsigned count = 0;
    if (!question) return (double)NAN;
    int status = question(device, &count, NULL);
    return status == NVML_OK || status == NVML_INSUFFICIENT_SIZE ? (double)count : (double)NAN;
}

static void ask_modes(const struct nvml_api *api, nvml_device device, struct nvml_facts *facts)
{
    int now = 0, next = 0, mode = 0;
    struct nvml_use use = {0};
    struct nvml_pci pci = {.bus_id = ""};
    facts->ecc = api->ecc && api->ecc(device, &now, &next) == NVML_OK ? now : (double)NAN;
    facts->mig = nvml_ask_mig(api, device);
    facts->virtual_gpu =
        api->virtualization && api->virtualization(device, &mode) == NVML_OK ? mode == NVML_VIRTUAL_GUEST : (double)NAN;
    facts->throttle_bits = nvml_ask_long(api->throttle, device);
    facts->busy_percent = api->use && api->use(device, &use) == NVML_OK ? use.gpu : (double)NAN;
    facts->pci_vendor_device = api->pci && api->pci(device, &pci) == NVML_OK ? (double)pci.pci_device_id : (double)NAN;
}

static void ask_all(const struct nvml_api *api, nvml_device device, struct nvml_facts *facts)
{
    struct nvml_memory_use memory;
    if (!api->uuid || api->uuid(device, facts->uuid, sizeof facts->uuid) != NVML_OK) facts->uuid[0] = '\0';
    if (!api->driver || api->driver(facts->driver, sizeof facts->driver) != NVML_OK) facts->driver[0] = '\0';
    facts->sm_clock_mhz = nvml_ask_of(api->clock, device, NVML_CLOCK_SM);
    facts->memory_clock_mhz = nvml_ask_of(api->clock, device, NVML_CLOCK_MEMORY);
    facts->sm_clock_max_mhz = nvml_ask_of(api->clock_max, device, NVML_CLOCK_SM);
    facts->power_watts = nvml_ask(api->power, device) * 1e-3;
    facts->power_limit_watts = nvml_ask(api->power_limit, device) * 1e-3;
    facts->temperature_c = nvml_ask_of(api->temperature, device, NVML_SENSOR_GPU);
    facts->process_count = ask_count(api->processes, device);
    facts->mps_process_count = ask_count(api->mps, device);
    facts->pcie_gen = nvml_ask(api->pcie_gen, device);
    facts->pcie_width = nvml_ask(api->pcie_width, device);
    (void)nvml_ask_memory(api, device, &memory);
    facts->used_bytes = memory.used_bytes;
    ask_modes(api, device, facts);
}

struct nvml_facts nvml_read(const char *pci_bus_id)
{
    struct nvml_facts facts = {0};
    struct nvml_api api;
    nvml_device device = NULL;
    if (!nvml_api_open(&api, facts.why)) return facts;
    int status = api.init();
    const bool ready = status == NVML_OK;
    if (ready) status = api.by_pci ? api.by_pci(pci_bus_id, &device) : NVML_UNKNOWN;
    facts.known = status == NVML_OK;
    if (facts.known)
        ask_all(&api, device, &facts);
    else
        nvml_api_say(&api, status, facts.why);
    if (ready) (void)api.shutdown();
    return facts; /* the library stays open: the process ends soon */
}
