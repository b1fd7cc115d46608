/* gpu.h owns what a GPU is: one part, as its maker sells it. */
#pragma once
#include "catalog/dtype.h"
#include "catalog/units.h"

#include <stdint.h>

enum gpu_vendor { VENDOR_NVIDIA, VENDOR_AMD, VENDOR_INTEL, VENDOR_GOOGLE, VENDOR_AWS, VENDOR_APPLE, VENDOR_COUNT };

/* The memory of the CPU that a GPU comes with; 0 and NULL: it has PCIe, and whatever its machine has. */
struct host_memory {
    const char *link;             /* "NVLink-C2C" */
    double capacity_gb, gb_per_s; /* one GPU's share */
    double link_gb_per_s;         /* one direction, one GPU's share */
    bool unified;                 /* the GPU's memory is the host's: none stands beside it */
};

/* Doubles are UNKNOWN (NaN) where no source states them. Texts are never NULL ("" if unknown). */
struct gpu {
    const char *id;     /* "h100-sxm" */
    const char *name;   /* "H100 SXM" */
    const char *family; /* "h100": what a family name in `gpus` means */
    enum gpu_vendor vendor;
    const char *architecture; /* "Hopper": the key of the engine support table */
    double cuda_cc;
    double memory_nominal_gb;  /* the label, 10^9 or 2^30 as the maker likes */
    double memory_nvml_mib;    /* what nvidia-smi calls total */
    double memory_cuda_mib;    /* total of cudaMemGetInfo: what engines see; never UNKNOWN after loading */
    bool memory_cuda_measured; /* false: derived from NVML's total or the label, see load_facts.c */
    double memory_bandwidth_gb_per_s;
    double l2_cache_mb;
    double sm_count;
    double peak_tflops[PEAK_COUNT]; /* dense */
    const char *interconnect;
    double link_gb_per_s;      /* fast link between GPUs, both directions together; 0 = none */
    uint32_t link_domain_gpus; /* how many GPUs that link joins: 1, 2 for bridges, 8, 72 */
    double pcie_gb_per_s;      /* one direction */
    uint32_t node_gpus;        /* most GPUs of one usual host */
    double tdp_watts;
    struct host_memory host;
    const char *form_factor;
    bool is_mig_slice; /* what programs see of a part of the GPU: see mig.h */
    date_t launch_date;
    const char *source;
    date_t as_of;
    double version; /* of the catalog that brought it; UNKNOWN: built in */
};

/* Fills in `host`. */
void gpu_add_host(struct gpu *gpu);
/* One direction, of 16 lanes of version 4 where none is stated. */
double gpu_pcie_gb_per_s(const struct gpu *gpu);
/* "PCIe" where the part states no other; NULL: unified. */
const char *gpu_host_link(const struct gpu *gpu);
/* At which the GPU reads host memory: the lower of what its link reaches and what that memory has; NaN: unified. */
double gpu_host_gb_per_s(const struct gpu *gpu);

const char *gpu_vendor_name(enum gpu_vendor vendor);
