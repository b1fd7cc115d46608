/* mig.c owns the table of MIG profiles. Profiles, shares and counts: NVIDIA MIG User Guide, "Supported MIG Profiles"
 * (B300: the GPU operator's list); GiB and SMs: what `nvidia-smi mig -lgip` prints there and in public logs. */
#include "catalog/mig.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const struct mig_profile profiles[] = {
    {"a30", "1g.6gb", 0, 1, 4, 0, 4},
    {"a30", "2g.12gb", 0, 2, 4, 0, 4},
    {"a30", "4g.24gb", 0, 4, 4, 0, 4},
    {"a100-40gb", "1g.5gb", 4.75, 1, 8, 14, 7},
    {"a100-40gb", "1g.10gb", 9.75, 2, 8, 14, 7},
    {"a100-40gb", "2g.10gb", 9.75, 2, 8, 28, 7},
    {"a100-40gb", "3g.20gb", 19.62, 4, 8, 42, 7},
    {"a100-40gb", "4g.20gb", 19.62, 4, 8, 56, 7},
    {"a100-40gb", "7g.40gb", 39.38, 8, 8, 98, 7},
    {"a100-80gb", "1g.10gb", 9.5, 1, 8, 14, 7},
    {"a100-80gb", "1g.20gb", 19.5, 2, 8, 14, 7},
    {"a100-80gb", "2g.20gb", 19.5, 2, 8, 28, 7},
    {"a100-80gb", "3g.40gb", 39.25, 4, 8, 42, 7},
    {"a100-80gb", "4g.40gb", 39.25, 4, 8, 56, 7},
    {"a100-80gb", "7g.80gb", 78.75, 8, 8, 98, 7},
    {"h100-sxm", "1g.10gb", 9.75, 1, 8, 16, 7},
    {"h100-sxm", "1g.20gb", 19.62, 2, 8, 26, 7},
    {"h100-sxm", "2g.20gb", 19.62, 2, 8, 32, 7},
    {"h100-sxm", "3g.40gb", 39.5, 4, 8, 60, 7},
    {"h100-sxm", "4g.40gb", 39.5, 4, 8, 64, 7},
    {"h100-sxm", "7g.80gb", 79.25, 8, 8, 132, 7},
    {"h100-pcie", "1g.10gb", 9.75, 1, 8, 14, 7},
    {"h100-pcie", "1g.20gb", 19.62, 2, 8, 14, 7},
    {"h100-pcie", "2g.20gb", 19.62, 2, 8, 30, 7},
    {"h100-pcie", "3g.40gb", 39.5, 4, 8, 46, 7},
    {"h100-pcie", "4g.40gb", 39.5, 4, 8, 62, 7},
    {"h100-pcie", "7g.80gb", 79.25, 8, 8, 114, 7},
    {"h100-nvl", "1g.12gb", 0, 1, 8, 0, 7},
    {"h100-nvl", "1g.24gb", 0, 2, 8, 0, 7},
    {"h100-nvl", "2g.24gb", 0, 2, 8, 0, 7},
    {"h100-nvl", "3g.47gb", 0, 4, 8, 0, 7},
    {"h100-nvl", "4g.47gb", 0, 4, 8, 0, 7},
    {"h100-nvl", "7g.94gb", 0, 8, 8, 0, 7},
    {"h20", "1g.12gb", 0, 1, 8, 0, 7},
    {"h20", "1g.24gb", 0, 2, 8, 0, 7},
    {"h20", "2g.24gb", 0, 2, 8, 0, 7},
    {"h20", "3g.48gb", 0, 4, 8, 0, 7},
    {"h20", "4g.48gb", 0, 4, 8, 0, 7},
    {"h20", "7g.96gb", 0, 8, 8, 0, 7},
    {"gh200-96gb", "1g.12gb", 0, 1, 8, 0, 7},
    {"gh200-96gb", "1g.24gb", 0, 2, 8, 0, 7},
    {"gh200-96gb", "2g.24gb", 0, 2, 8, 0, 7},
    {"gh200-96gb", "3g.48gb", 0, 4, 8, 0, 7},
    {"gh200-96gb", "4g.48gb", 0, 4, 8, 0, 7},
    {"gh200-96gb", "7g.96gb", 0, 8, 8, 0, 7},
    {"h200", "1g.18gb", 16, 1, 8, 16, 7},
    {"h200", "1g.35gb", 32.5, 2, 8, 0, 7},
    {"h200", "2g.35gb", 32.5, 2, 8, 32, 7},
    {"h200", "3g.71gb", 0, 4, 8, 0, 7},
    {"h200", "4g.71gb", 0, 4, 8, 0, 7},
    {"h200", "7g.141gb", 140, 8, 8, 132, 7},
    {"b200", "1g.23gb", 0, 1, 8, 0, 7},
    {"b200", "1g.45gb", 0, 2, 8, 0, 7},
    {"b200", "2g.45gb", 0, 2, 8, 0, 7},
    {"b200", "3g.90gb", 0, 4, 8, 0, 7},
    {"b200", "4g.90gb", 0, 4, 8, 0, 7},
    {"b200", "7g.180gb", 0, 8, 8, 0, 7},
    {"b300", "1g.34gb", 0, 1, 8, 0, 7},
    {"b300", "1g.67gb", 0, 2, 8, 0, 7},
    {"b300", "2g.67gb", 0, 2, 8, 0, 7},
    {"b300", "3g.135gb", 0, 4, 8, 0, 7},
    {"b300", "4g.135gb", 0, 4, 8, 0, 7},
    {"b300", "7g.269gb", 0, 8, 8, 0, 7},
    {"rtx-pro-6000", "1g.24gb", 23.62, 1, 4, 46, 4},
    {"rtx-pro-6000", "2g.48gb", 0, 2, 4, 0, 4},
    {"rtx-pro-6000", "4g.96gb", 0, 4, 4, 0, 4},
};
enum { PROFILE_COUNT = sizeof profiles / sizeof *profiles };

static bool belongs(const struct mig_profile *profile, const struct gpu *gpu)
{
    size_t length = strlen(profile->gpu);
    return strncmp(gpu->id, profile->gpu, length) == 0 && (gpu->id[length] == '\0' || gpu->id[length] == '-');
}

const struct mig_profile *mig_find(const struct gpu *gpu, const char *name)
{
    for (size_t i = 0; i < PROFILE_COUNT; i++) {
        if (belongs(&profiles[i], gpu) && strcasecmp(profiles[i].name, name) == 0) return &profiles[i];
    }
    return NULL;
}

const char *mig_list(const struct gpu *gpu, struct arena *arena)
{
    const char *list = "";
    for (size_t i = 0; i < PROFILE_COUNT && list; i++) {
        if (belongs(&profiles[i], gpu)) list = arena_printf(arena, "%s%s%s", list, *list ? ", " : "", profiles[i].name);
    }
    return list;
}

void mig_slice(const struct gpu *gpu, const struct mig_profile *profile, struct gpu *ret_slice)
{
    struct gpu slice = *gpu;
    double share = (double)profile->memory_slices / profile->of_memory_slices;
    double named = (double)(profile->name[0] - '0') / profile->of_compute_slices; /* "3g": three compute slices */
    double compute = profile->sm_count ? profile->sm_count / gpu->sm_count : named;
    slice.id = profile->name;
    slice.memory_cuda_mib =
        profile->memory_gib > 0 ? fmin(profile->memory_gib * 1024, gpu->memory_cuda_mib) : gpu->memory_cuda_mib * share;
    slice.memory_cuda_measured = profile->memory_gib > 0;
    slice.memory_nvml_mib *= share;
    slice.memory_nominal_gb *= share;
    slice.memory_bandwidth_gb_per_s *= share;
    slice.l2_cache_mb *= share;
    slice.sm_count *= compute;
    for (size_t i = 0; i < PEAK_COUNT; i++)
        slice.peak_tflops[i] *= compute;
    slice.link_gb_per_s = 0;
    slice.link_domain_gpus = slice.node_gpus = 1;
    slice.tdp_watts *= share;
    slice.form_factor = "MIG slice";
    slice.is_mig_slice = true;
    *ret_slice = slice;
}
