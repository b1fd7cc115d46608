/* fake_nvml.c owns a libnvidia-ml.so.1 for the tests of what is read from it. It has one GPU, of which FAKE_NVML_INIT
 * is what nvmlInit answers; FAKE_NVML_USED_MIB, FAKE_NVML_BUSY, FAKE_NVML_PROCESSES, FAKE_NVML_MPS, FAKE_NVML_MIG what
 * it tells.
 *
 * Or it plays FAKE_NVML_SCRIPT: a file in which each line is one reading of all GPUs, and the last one stays. A line
 * has words such as used=100,200: of the first GPU, of the second; one that is left out is of the line's default.
 *
 * gpus: how many there are; of the first line.
 * used, reserved, total: MiB.
 * busy, power, temperature, energy, throttle, corrected, processes.
 * mig: so many instances.
 * error: what asking for memory answers: 15 is a lost GPU, 1 and 9 a driver that went away.
 * refused: what asking for the GPU's handle answers.
 * init: what nvmlInit answers in the place of this reading.
 * old: 1: there is no nvmlDeviceGetMemoryInfo_v2.
 * wait: a file; the reading takes until it exists. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DIGITS_BASE = 10, DRIVER_NOT_LOADED = 9 };
enum {
    FUNCTION_NOT_FOUND = 13,
    GPU_IS_LOST = 15,
    MISMATCH = 18,
    LINE_BYTES = 1024,
    INSTANCE = 1000,
    LOOK_US = 5000,
    LOOKS = 6000
};
typedef struct nvml_device *device_handle;
struct memory {
    unsigned long long total, free, used;
};
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
struct process {
    unsigned pid;
    unsigned long long used;
    unsigned gpu_instance, compute_instance;
};

static unsigned digits(const char *text)
{
    unsigned value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * DIGITS_BASE + (unsigned)(*text - '0');
    return value;
}

static unsigned number(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    return text ? digits(text) : otherwise;
}

/* --- the script --- */

static char line[LINE_BYTES]; /* the reading that is played; "" before the first, and without a script */
static unsigned position;     /* lines that were played */

/* The line of that number, or the last one. */
static void read_line(unsigned wanted, char ret_line[LINE_BYTES])
{
    const char *path = getenv("FAKE_NVML_SCRIPT");
    FILE *file = path ? fopen(path, "r") : NULL;
    *ret_line = '\0';
    for (unsigned i = 0; file && i <= wanted; i++) {
        if (!fgets(ret_line, LINE_BYTES, file)) break;
    }
    if (file) (void)fclose(file);
}

/* Of a GPU, as the line tells it. */
static unsigned told_in(const char *text, const char *name, unsigned gpu, unsigned otherwise)
{
    const size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)); at += length) {
        if ((at != text && at[-1] != ' ') || at[length] != '=') continue;
        at += length + 1;
        for (; gpu > 0 && (*at == ',' || (*at >= '0' && *at <= '9')); at++)
            gpu -= *at == ',';
        return gpu == 0 && *at >= '0' && *at <= '9' ? digits(at) : otherwise;
    }
    return otherwise;
}

static unsigned told(const char *name, unsigned gpu, unsigned otherwise)
{
    return told_in(line, name, gpu, otherwise);
}

/* Until a file exists that the test makes. */
static void wait_for_file(void)
{
    char path[LINE_BYTES], awaited[LINE_BYTES + sizeof ".awaited"];
    const char *at = strstr(line, "wait=");
    if (!at) return;
    (void)snprintf(path, sizeof path, "%.*s", (int)strcspn(at + 5, " \n"), at + 5);
    (void)snprintf(awaited, sizeof awaited, "%s.awaited", path);
    FILE *file = fopen(awaited, "w");
    if (file) (void)fclose(file);
    for (unsigned looks = 0; looks < LOOKS && access(path, F_OK) != 0; looks++)
        (void)usleep(LOOK_US);
}

static int start(void)
{
    char next[LINE_BYTES];
    read_line(position, next);
    const unsigned answer = told_in(next, "init", 0, OK);
    if (answer != OK) {
        position++;
        memcpy(line, next, sizeof line);
    }
    return (int)(answer ? answer : number("FAKE_NVML_INIT", OK));
}

/* Handles: 1 and more; NULL of those found by their address; INSTANCE and more of instances. */
static unsigned gpu_of(device_handle device)
{
    const unsigned number = (unsigned)(size_t)device;
    return number >= INSTANCE ? (number - INSTANCE) / INSTANCE : number > 0 ? number - 1 : 0;
}

static int is_instance(device_handle device)
{
    return (size_t)device >= INSTANCE;
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

ENTRY(nvmlInit_v2, (void), return start();)
ENTRY(nvmlShutdown, (void), return OK;)
const char *nvmlErrorString(int status);
const char *nvmlErrorString(int status)
{
    return status == DRIVER_NOT_LOADED ? "Driver Not Loaded"
           : status == GPU_IS_LOST     ? "GPU is lost"
           : status == MISMATCH        ? "Driver/library version mismatch"
                                       : "Unknown Error";
}
ENTRY(nvmlSystemGetDriverVersion, (char *text, unsigned length), strncpy(text, "580.95.05", length); return OK;)
ENTRY(nvmlDeviceGetHandleByPciBusId_v2, (const char *id, device_handle *ret), (void)id; *ret = NULL; return OK;)
ENTRY(nvmlDeviceGetCount_v2, (unsigned *ret), char first[LINE_BYTES]; read_line(0, first);
      return tell(ret, told_in(first, "gpus", 0, 1));)
ENTRY(nvmlDeviceGetHandleByIndex_v2, (unsigned index, device_handle *ret), char next[LINE_BYTES];
      read_line(position, next); *ret = (device_handle)(size_t)(index + 1);
      return (int)told_in(next, "refused", index, OK);)
ENTRY(nvmlDeviceGetName, (device_handle d, char *text, unsigned length), (void)d; strncpy(text, "NVIDIA H200", length);
      return OK;)
ENTRY(nvmlDeviceGetUUID, (device_handle d, char *text, unsigned length),
      (void)snprintf(text, length, "%s-6e4f2f0a-0000-1111-2222-33334444%04u", is_instance(d) ? "MIG" : "GPU",
                     is_instance(d) ? (unsigned)(size_t)d : 5555 + gpu_of(d));
      return OK;)
ENTRY(nvmlDeviceGetPciInfo_v3, (device_handle d, struct pci *ret), (void)d; ret->pci_device_id = 0x233510DE; return OK;)
ENTRY(nvmlDeviceGetClockInfo, (device_handle d, int which, unsigned *ret), (void)d;
      return tell(ret, which == 1 ? 345 : 3201);)
ENTRY(nvmlDeviceGetMaxClockInfo, (device_handle d, int which, unsigned *ret), (void)d, (void)which;
      return tell(ret, 1980);)
ENTRY(nvmlDeviceGetPowerUsage, (device_handle d, unsigned *ret),
      return tell(ret, told("power", gpu_of(d), 0) ? told("power", gpu_of(d), 0) * 1000 : 75250);)
ENTRY(nvmlDeviceGetTotalEnergyConsumption, (device_handle d, unsigned long long *ret),
      *ret = told("energy", gpu_of(d), 0) * 1000ULL;
      return *line ? OK : NOT_SUPPORTED;)
ENTRY(nvmlDeviceGetTotalEccErrors, (device_handle d, int kind, int counter, unsigned long long *ret), (void)counter;
      *ret = kind == 0 ? told("corrected", gpu_of(d), 0) : 0; return OK;)
ENTRY(nvmlDeviceGetEnforcedPowerLimit, (device_handle d, unsigned *ret), (void)d; return tell(ret, 700000);)
ENTRY(nvmlDeviceGetTemperature, (device_handle d, int which, unsigned *ret), (void)which;
      return tell(ret, told("temperature", gpu_of(d), 34));)
/* The older name: what a driver before 535 has. */
ENTRY(nvmlDeviceGetCurrentClocksThrottleReasons, (device_handle d, unsigned long long *ret),
      *ret = told("throttle", gpu_of(d), 1 | 4 | 1U << 20);
      return OK;)
ENTRY(nvmlDeviceGetEccMode, (device_handle d, int *ret, int *next), (void)d; *ret = *next = 1; return OK;)
ENTRY(nvmlDeviceGetMigMode, (device_handle d, unsigned *ret, unsigned *next),
      *next = *ret = told("mig", gpu_of(d), number("FAKE_NVML_MIG", 0)) > 0;
      return OK;)
ENTRY(nvmlDeviceGetMaxMigDeviceCount, (device_handle d, unsigned *ret), (void)d; return tell(ret, 7);)
ENTRY(nvmlDeviceGetMigDeviceHandleByIndex, (device_handle d, unsigned index, device_handle *ret),
      if (index >= told("mig", gpu_of(d), 0)) return NOT_FOUND;
      *ret = (device_handle)(size_t)(INSTANCE * (gpu_of(d) + 1) + index); return OK;)
ENTRY(nvmlDeviceGetVirtualizationMode, (device_handle d, int *ret), (void)d; *ret = 1; return OK;)

/* A reading begins with the memory of the first GPU. */
static int play(device_handle device)
{
    if (!is_instance(device) && gpu_of(device) == 0 && getenv("FAKE_NVML_SCRIPT")) {
        read_line(position++, line);
        wait_for_file();
    }
    return (int)told("error", gpu_of(device), OK);
}

static unsigned long long mib_of(const char *name, device_handle device, unsigned otherwise)
{
    return (unsigned long long)told(name, gpu_of(device), otherwise) << 20;
}

ENTRY(nvmlDeviceGetMemoryInfo_v2, (device_handle d, struct memory_v2 *ret), int status = play(d);
      if (told("old", 0, 0)) return FUNCTION_NOT_FOUND; ret->used = mib_of("used", d, number("FAKE_NVML_USED_MIB", 3));
      ret->reserved = mib_of("reserved", d, 0); ret->total = mib_of("total", d, 143771); return status;)
/* The older call counts what is reserved as used. */
ENTRY(nvmlDeviceGetMemoryInfo, (device_handle d, struct memory *ret),
      ret->used = mib_of("used", d, 3) + mib_of("reserved", d, 0);
      ret->total = mib_of("total", d, 143771); return (int)told("error", gpu_of(d), OK);)
ENTRY(nvmlDeviceGetUtilizationRates, (device_handle d, struct use *ret),
      ret->gpu = told("busy", gpu_of(d), number("FAKE_NVML_BUSY", 0));
      ret->memory = ret->gpu / 2; return OK;)
/* Processes of 101, 102 … which hold 1, 2 … MiB. */
static int list_processes(unsigned processes, unsigned *count, struct process *list)
{
    const unsigned room = *count;
    *count = processes;
    if (processes > room) return INSUFFICIENT_SIZE;
    for (unsigned i = 0; i < processes; i++)
        list[i] = (struct process){.pid = 101 + i, .used = (unsigned long long)(i + 1) << 20};
    return OK;
}
ENTRY(nvmlDeviceGetComputeRunningProcesses_v3, (device_handle d, unsigned *ret, void *list),
      return list_processes(told("processes", gpu_of(d), number("FAKE_NVML_PROCESSES", 0)), ret, list);)
ENTRY(nvmlDeviceGetMPSComputeRunningProcesses_v2, (device_handle d, unsigned *ret, void *list), (void)d, (void)list;
      *ret = number("FAKE_NVML_MPS", 0); return *ret ? INSUFFICIENT_SIZE : OK;)
ENTRY(nvmlDeviceGetCurrPcieLinkGeneration, (device_handle d, unsigned *ret), (void)d; return tell(ret, 5);)
/* Not every part tells everything. */
ENTRY(nvmlDeviceGetCurrPcieLinkWidth, (device_handle d, unsigned *ret), (void)d, (void)ret; return NOT_SUPPORTED;)
