/* amd_sysfs.h owns what the kernel's amdgpu driver tells in files: they stay the same while structs of AMD's libraries
 * change. Documented under "GPU Driver Developer's Guide", amdgpu: thermal controls, product information. */
#pragma once
#include "hw/reading.h"

/* Fills what the reading does not know yet: name, how busy, power, clocks. `bdf` is the libraries' number of the PCI
 * address: domain << 32 | bus << 8 | device << 3 | function. /sys is looked for beside `proc`. */
void amd_sysfs_read(const char *proc, uint64_t bdf, struct gpu_reading *reading);
