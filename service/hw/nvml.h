/* nvml.h owns what NVIDIA's management library tells of a GPU and of who else uses it. The library is opened when it is
 * asked for; each question is optional, and what it does not answer is NaN or "". */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { NVML_TEXT_BYTES = 96 };
struct nvml_facts {
    bool known;                /* false: only `why` is filled */
    char why[NVML_TEXT_BYTES]; /* not: "libnvidia-ml.so.1: cannot open shared object file" */
    char driver[32];           /* "580.95.05" */
    char uuid[NVML_TEXT_BYTES];
    double pci_vendor_device; /* 0x10de2335 as the bus tells it: device, then vendor */
    double sm_clock_mhz, memory_clock_mhz, sm_clock_max_mhz;
    double power_watts, power_limit_watts, temperature_c;
    double throttle_bits;         /* nvml_throttle_name tells what each means */
    double ecc, mig, virtual_gpu; /* 0 or 1 */
    double busy_percent, process_count, mps_process_count, used_bytes;
    double pcie_gen, pcie_width;
};

/* In a child only: the library opens devices, which no fork survives. pci_bus_id: "00000000:18:00.0". */
struct nvml_facts nvml_read(const char *pci_bus_id);
/* Ends the texts, which may come from a process that has overwritten itself. */
void nvml_tame(struct nvml_facts *facts);
/* Of bit `bit` of throttle_bits: "sw_power_cap"; NULL if nothing is known of it. */
const char *nvml_throttle_name(unsigned bit);
