/* fake_nvml.c owns a libnvidia-ml.so.1 with one GPU, for the tests of what is read from it. FAKE_NVML_INIT is what
 * nvmlInit answers; FAKE_NVML_USED_MIB, FAKE_NVML_BUSY, FAKE_NVML_PROCESSES, FAKE_NVML_MPS, FAKE_NVML_MIG what it
 * tells. */
#include <stdlib.h>
#include <string.h>

enum { OK = 0, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, DIGITS_BASE = 10, DRIVER_NOT_LOADED = 9 };
typedef struct nvml_device *device_handle;
struct memory_v2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};
struct use {
    unsigned gpu, memory;
};
struct pci {
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};

static unsigned number(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    unsigned value = 0;
    if (!text) return otherwise;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * DIGITS_BASE + (unsigned)(*text - '0');
    return value;
}

static int tell(unsigned *ret_value, unsigned value)
{
    *ret_value = value;
    return OK;
}

#define ENTRY(name, parameters, ...)                                                                                   \
    int name parameters;                                                                                               \
    int name parameters                                                                                                \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

ENTRY(nvmlInit_v2, (void), return (int)number("FAKE_NVML_INIT", OK);)
ENTRY(nvmlShutdown, (void), return OK;)
const char *nvmlErrorString(int status);
const char *nvmlErrorString(int status)
{
    return status == DRIVER_NOT_LOADED ? "Driver Not Loaded" : "Unknown Error";
}
ENTRY(nvmlSystemGetDriverVersion, (char *text, unsigned length), strncpy(text, "580.95.05", length); return OK;)
ENTRY(nvmlDeviceGetHandleByPciBusId_v2, (const char *id, device_handle *ret), (void)id; *ret = NULL; return OK;)
ENTRY(nvmlDeviceGetUUID, (device_handle d, char *text, unsigned length), (void)d;
      strncpy(text, "GPU-6e4f2f0a-0000-1111-2222-333344445555", length); return OK;)
ENTRY(nvmlDeviceGetPciInfo_v3, (device_handle d, struct pci *ret), (void)d; ret->pci_device_id = 0x233510DE; return OK;)
ENTRY(nvmlDeviceGetClockInfo, (device_handle d, int which, unsigned *ret), (void)d;
      return tell(ret, which == 1 ? 345 : 3201);)
ENTRY(nvmlDeviceGetMaxClockInfo, (device_handle d, int which, unsigned *ret), (void)d, (void)which;
      return tell(ret, 1980);)
ENTRY(nvmlDeviceGetPowerUsage, (device_handle d, unsigned *ret), (void)d; return tell(ret, 75250);)
ENTRY(nvmlDeviceGetEnforcedPowerLimit, (device_handle d, unsigned *ret), (void)d; return tell(ret, 700000);)
ENTRY(nvmlDeviceGetTemperature, (device_handle d, int which, unsigned *ret), (void)d, (void)which;
      return tell(ret, 34);)
/* The older name: what a driver before 535 has. */
ENTRY(nvmlDeviceGetCurrentClocksThrottleReasons, (device_handle d, unsigned long long *ret), (void)d;
      *ret = 1 | 4 | 1U << 20; return OK;)
ENTRY(nvmlDeviceGetEccMode, (device_handle d, int *ret, int *next), (void)d; *ret = *next = 1; return OK;)
ENTRY(nvmlDeviceGetMigMode, (device_handle d, unsigned *ret, unsigned *next), (void)d;
      *next = *ret = number("FAKE_NVML_MIG", 0); return OK;)
ENTRY(nvmlDeviceGetVirtualizationMode, (device_handle d, int *ret), (void)d; *ret = 1; return OK;)
ENTRY(nvmlDeviceGetMemoryInfo_v2, (device_handle d, struct memory_v2 *ret), (void)d;
      ret->used = (unsigned long long)number("FAKE_NVML_USED_MIB", 3) << 20; return OK;)
ENTRY(nvmlDeviceGetUtilizationRates, (device_handle d, struct use *ret), (void)d;
      ret->gpu = number("FAKE_NVML_BUSY", 0); return OK;)
ENTRY(nvmlDeviceGetComputeRunningProcesses_v3, (device_handle d, unsigned *ret, void *list), (void)d, (void)list;
      *ret = number("FAKE_NVML_PROCESSES", 0); return *ret ? INSUFFICIENT_SIZE : OK;)
ENTRY(nvmlDeviceGetMPSComputeRunningProcesses_v2, (device_handle d, unsigned *ret, void *list), (void)d, (void)list;
      *ret = number("FAKE_NVML_MPS", 0); return *ret ? INSUFFICIENT_SIZE : OK;)
ENTRY(nvmlDeviceGetCurrPcieLinkGeneration, (device_handle d, unsigned *ret), (void)d; return tell(ret, 5);)
/* Not every part tells everything. */
ENTRY(nvmlDeviceGetCurrPcieLinkWidth, (device_handle d, unsigned *ret), (void)d, (void)ret; return NOT_SUPPORTED;)
