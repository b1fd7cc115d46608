/* mig.h owns the slices that NVIDIA's multi-instance GPUs can be cut into. */
#pragma once
#include "catalog/arena.h"
#include "catalog/gpu.h"

struct mig_profile {
    const char *gpu;                          /* id, or what ids begin with before a dash */
    const char *name;                         /* "3g.40gb" */
    double memory_gib;                        /* as the driver lists it; 0: no listing at hand */
    uint32_t memory_slices, of_memory_slices; /* share of memory, its bandwidth and the L2 cache */
    uint32_t sm_count;                        /* 0: as many of the GPU's as compute slices in the name */
    uint32_t of_compute_slices;
};

/* NULL if the GPU has no such profile; any case. */
const struct mig_profile *mig_find(const struct gpu *gpu, const char *name);
/* The profiles that the GPU has, for people; "" without. NULL when out of memory. */
const char *mig_list(const struct gpu *gpu, struct arena *arena);
/* What programs see of the GPU: memory, bandwidth and peaks of the slice, no link to others. The id is its own, since
 * no measurement of the whole GPU holds for it. */
void mig_slice(const struct gpu *gpu, const struct mig_profile *profile, struct gpu *ret_slice);
