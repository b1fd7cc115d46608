/* reading.h owns what is read from a GPU and from the host's memory at one moment. What a library does not tell is NaN,
 * or "". Memory is in bytes, as the driver counts it. */
#pragma once
#include "catalog/units.h"

#include <stddef.h>

enum { GPU_TEXT_BYTES = 96, PROCESS_NAME_BYTES = 16 };

struct gpu_process {
    int64_t pid;
    char name[PROCESS_NAME_BYTES]; /* as /proc tells it: "python3" */
    double used_bytes;
};

/* A part of a GPU that MIG has cut off. */
struct gpu_instance {
    char uuid[GPU_TEXT_BYTES];
    double memory_total_bytes, memory_used_bytes;
};

struct gpu_reading {
    int index;                 /* over all vendors, from 0; as it was first seen */
    char uuid[GPU_TEXT_BYTES]; /* what tells GPUs apart, also after a restart; never "" */
    char name[GPU_TEXT_BYTES]; /* "NVIDIA H200" */
    char lost[GPU_TEXT_BYTES]; /* why nothing is known of it now: "GPU is lost"; "" = it answers */
    /* used: by processes. reserved: by the driver for itself; NaN where the library counts it as used. */
    double memory_total_bytes, memory_used_bytes, memory_reserved_bytes;
    double busy_percent, memory_busy_percent; /* of the time since the last moments, by the driver's measure */
    double power_watts, power_limit_watts, temperature_c;
    double sm_clock_mhz, memory_clock_mhz;
    double throttle_bits;                  /* nvml_throttle_name tells what each means */
    double energy_joules;                  /* a counter; begins at 0 when the driver is loaded */
    double ecc_corrected, ecc_uncorrected; /* counters, since the driver was loaded */
    double mig;                            /* 0 or 1 */
    const struct gpu_process *processes;   /* those that compute, most memory first */
    const struct gpu_instance *instances;
    size_t process_count, instance_count;
};

/* Of which nothing is known. */
static inline struct gpu_reading gpu_reading_unknown(void)
{
    struct gpu_reading reading = {
        .memory_total_bytes = UNKNOWN,
        .memory_used_bytes = UNKNOWN,
        .memory_reserved_bytes = UNKNOWN,
        .busy_percent = UNKNOWN,
        .memory_busy_percent = UNKNOWN,
        .power_watts = UNKNOWN,
        .power_limit_watts = UNKNOWN,
        .temperature_c = UNKNOWN,
        .sm_clock_mhz = UNKNOWN,
        .memory_clock_mhz = UNKNOWN,
        .throttle_bits = UNKNOWN,
        .energy_joules = UNKNOWN,
        .ecc_corrected = UNKNOWN,
        .ecc_uncorrected = UNKNOWN,
        .mig = UNKNOWN,
    };
    return reading;
}

/* What is not free: used and reserved over total; NaN if unknown. */
static inline double gpu_memory_occupied_bytes(const struct gpu_reading *gpu)
{
    return gpu->memory_used_bytes + (is_known(gpu->memory_reserved_bytes) ? gpu->memory_reserved_bytes : 0);
}

static inline double gpu_memory_usage_ratio(const struct gpu_reading *gpu)
{
    return gpu->memory_total_bytes > 0 ? gpu_memory_occupied_bytes(gpu) / gpu->memory_total_bytes : UNKNOWN;
}

/* The host's memory. Used is total - available: what cannot be had without swapping. */
struct memory_reading {
    double total_bytes, available_bytes, swap_total_bytes, swap_free_bytes;
    /* Share of the last 10 s in which some or all tasks waited for memory (PSI). */
    double pressure_some_percent, pressure_full_percent;
};

static inline double host_memory_used_bytes(const struct memory_reading *memory)
{
    return memory->total_bytes - memory->available_bytes;
}

static inline double host_memory_usage_ratio(const struct memory_reading *memory)
{
    return memory->total_bytes > 0 ? host_memory_used_bytes(memory) / memory->total_bytes : UNKNOWN;
}
