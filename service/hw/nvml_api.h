/* nvml_api.h owns the declarations of libnvidia-ml.so.1 that are used. Its header comes with no compiler package; the
 * numbers are NVML's published ABI. */
#pragma once
#include "hw/nvml.h"

#include <stddef.h>

typedef struct nvml_device *nvml_device;

enum nvml_status {
    NVML_OK = 0,
    NVML_UNINITIALIZED = 1,
    NVML_INSUFFICIENT_SIZE = 7,
    NVML_DRIVER_NOT_LOADED = 9,
    NVML_GPU_IS_LOST = 15,
    NVML_RESET_REQUIRED = 16,
    NVML_LIB_RM_VERSION_MISMATCH = 18,
    NVML_UNKNOWN = 999,
};
enum { NVML_CLOCK_SM = 1, NVML_CLOCK_MEMORY = 2, NVML_SENSOR_GPU = 0, NVML_VIRTUAL_GUEST = 2 };
enum { NVML_ECC_CORRECTED = 0, NVML_ECC_UNCORRECTED = 1, NVML_ECC_SINCE_LOADED = 0 };
#define NVML_NOT_AVAILABLE (~0ULL) /* memory of a process that the driver does not tell */

struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml_memory_v2 { /* `used` without what the driver keeps for itself */
    unsigned version;
    unsigned long long total, reserved, free, used;
};
#define NVML_MEMORY_V2 ((unsigned)sizeof(struct nvml_memory_v2) | 2U << 24)
struct nvml_use {
    unsigned gpu, memory;
};
struct nvml_pci { /* v3 */
    char bus_id_legacy[16];
    unsigned domain, bus, device, pci_device_id, pci_subsystem_id;
    char bus_id[32];
};
struct nvml_process { /* v2, of the calls of v2 and v3 */
    unsigned pid;
    unsigned long long used;
    unsigned gpu_instance, compute_instance;
};

/* The functions; NULL: the library has none of the names. */
struct nvml_api {
    void *library;
    int (*init)(void), (*shutdown)(void);
    const char *(*text)(int);
    int (*driver)(char *, unsigned), (*by_pci)(const char *, nvml_device *);
    int (*count)(unsigned *), (*by_index)(unsigned, nvml_device *);
    int (*uuid)(nvml_device, char *, unsigned), (*name)(nvml_device, char *, unsigned);
    int (*pci)(nvml_device, struct nvml_pci *);
    int (*clock)(nvml_device, int, unsigned *), (*clock_max)(nvml_device, int, unsigned *);
    int (*power)(nvml_device, unsigned *), (*power_limit)(nvml_device, unsigned *);
    int (*energy)(nvml_device, unsigned long long *);
    int (*temperature)(nvml_device, int, unsigned *), (*throttle)(nvml_device, unsigned long long *);
    int (*ecc)(nvml_device, int *, int *), (*ecc_errors)(nvml_device, int, int, unsigned long long *);
    int (*mig)(nvml_device, unsigned *, unsigned *), (*mig_max)(nvml_device, unsigned *);
    int (*mig_by_index)(nvml_device, unsigned, nvml_device *);
    int (*virtualization)(nvml_device, int *);
    int (*memory_v2)(nvml_device, struct nvml_memory_v2 *), (*memory)(nvml_device, struct nvml_memory *);
    int (*use)(nvml_device, struct nvml_use *);
    int (*processes)(nvml_device, unsigned *, void *), (*mps)(nvml_device, unsigned *, void *);
    int (*pcie_gen)(nvml_device, unsigned *), (*pcie_width)(nvml_device, unsigned *);
};

/* Loads the library, which then stays loaded, until it is forgotten. false: *ret_why says why not. */
bool nvml_api_open(struct nvml_api *ret_api, char ret_why[NVML_TEXT_BYTES]);
/* After an update of the driver the library that is loaded is not its any more: the next opening loads the new one. */
void nvml_api_forget(struct nvml_api *api);
void nvml_api_say(const struct nvml_api *api, int status, char ret_why[NVML_TEXT_BYTES]);

/* Questions: NaN where there is no answer. */
double nvml_ask(int (*question)(nvml_device, unsigned *), nvml_device device);
double nvml_ask_of(int (*question)(nvml_device, int, unsigned *), nvml_device device, int which);
double nvml_ask_long(int (*question)(nvml_device, unsigned long long *), nvml_device device);
double nvml_ask_mig(const struct nvml_api *api, nvml_device device);
/* How memory is used. `reserved` NaN: an old driver, which counts it as used. Returns what the library said. */
struct nvml_memory_use {
    double total_bytes, used_bytes, reserved_bytes;
};
int nvml_ask_memory(const struct nvml_api *api, nvml_device device, struct nvml_memory_use *ret_use);
