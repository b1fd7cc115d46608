/* gpu_library.h owns what a library that tells of GPUs has to be able to do; devices.c knows nothing else of them. */
#pragma once
#include "catalog/arena.h"
#include "hw/reading.h"

enum gpu_answer {
    GPU_ANSWERS,
    GPU_GONE,     /* this one does not, the others may */
    LIBRARY_GONE, /* no call will succeed until it is begun anew */
};

struct gpu_library {
    /* Loads and initialises it. A session, and how many GPUs there are; NULL: ret_why says why not. */
    void *(*begin)(size_t *ret_count, char ret_why[GPU_TEXT_BYTES]);
    /* Fills a reading in which all is unknown; lists live in the arena. `ret_why` is of GPUs that are gone. `proc`: for
     * the names of processes. */
    enum gpu_answer (*read)(void *session, size_t number, const char *proc, struct arena *arena,
                            struct gpu_reading *reading, char ret_why[GPU_TEXT_BYTES]);
    void (*end)(void *session);
};

extern const struct gpu_library gpu_library_nvml, gpu_library_amd_smi, gpu_library_rocm_smi;
