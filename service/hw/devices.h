/* devices.h owns the way to all GPUs of this machine and to its memory: NVML, else AMD's libraries, found when it is
 * opened, and opened again when the driver went away and came back. */
#pragma once
#include "catalog/status.h"
#include "hw/reading.h"

struct devices;

struct devices_reading {
    struct memory_reading memory;
    const struct gpu_reading *gpus; /* in the arena; a GPU that was there once stays, as a lost one */
    size_t gpu_count;
    const char
        *reason; /* why there are no GPUs, or not those that were there: "libnvidia-ml.so.1: cannot open …"; "" */
};

/* `proc`: where the kernel tells of memory and processes, usually "/proc"; borrowed. The lack of a library is no
 * failure: what is read then has no GPUs, and a reason. */
enum status devices_open(const char *proc, struct problems *problems, struct devices **ret_devices) MUST_CHECK;
/* By one thread at a time. The driver may take its time. STATUS_OUT_OF_MEMORY only. */
enum status devices_read(struct devices *devices, struct arena *arena, struct devices_reading *ret_reading) MUST_CHECK;
void devices_close(struct devices *devices); /* accepts NULL */
