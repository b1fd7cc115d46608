/* host.c owns what memory stands beside a GPU: of superchips the CPU's and the link to it, of unified parts none. Facts
 * of the program, as those of MIG are: the catalog's files have no columns for them.
 * GH200: 480 GB of LPDDR5X at 512 GB/s (NVIDIA GH200 NVL2, knowledgebase.rackmountnts.com); NVLink-C2C 450 GB/s in each
 * direction (NVIDIA's white paper, as datacrunch.io's "Data Movement in NVIDIA's Superchip Era" cites it).
 * GB200, GB300: one Grace with the same memory and link serves two GPUs (DGX GB300 reference architecture): each counts
 * with half of both.
 * Unified: DGX Spark (GB10), Jetson, MI300A and Apple's parts have one memory for CPU and GPU. */
#include "catalog/gpu.h"

#include <string.h>

static const struct {
    const char *family_begin;
    struct host_memory host;
} parts[] = {
    {"gh200", {.link = "NVLink-C2C", .capacity_gb = 480, .gb_per_s = 512, .link_gb_per_s = 450}},
    {"gb200", {.link = "NVLink-C2C", .capacity_gb = 240, .gb_per_s = 256, .link_gb_per_s = 225}},
    {"gb300", {.link = "NVLink-C2C", .capacity_gb = 240, .gb_per_s = 256, .link_gb_per_s = 225}},
    {"dgx-spark", {.unified = true}},
    {"jetson", {.unified = true}},
    {"mi300a", {.unified = true}},
};

void gpu_add_host(struct gpu *gpu)
{
    gpu->host = (struct host_memory){.unified = gpu->vendor == VENDOR_APPLE};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strncmp(gpu->family, parts[i].family_begin, strlen(parts[i].family_begin)) == 0) gpu->host = parts[i].host;
    }
}

/* What copies of whole blocks reach of a link's rate: 346 of 450 GB/s on a GH200 (NVIDIA/nvbandwidth#23), 25.1 of 32 on
 * an A100 behind PCIe 4 (#42), 52.8 of 64 the other way on H100 behind PCIe 5 (#24). */
#define LINK_SHARE 0.78
#define PCIE_GB_PER_S 32.0 /* version 4, 16 lanes: where none is stated */

double gpu_pcie_gb_per_s(const struct gpu *gpu)
{
    return gpu->pcie_gb_per_s > 0 ? gpu->pcie_gb_per_s : PCIE_GB_PER_S;
}

const char *gpu_host_link(const struct gpu *gpu)
{
    return gpu->host.unified ? NULL : gpu->host.link ? gpu->host.link : "PCIe";
}

double gpu_host_gb_per_s(const struct gpu *gpu)
{
    const struct host_memory *host = &gpu->host;
    if (host->unified) return UNKNOWN;
    double link = LINK_SHARE * (host->link_gb_per_s > 0 ? host->link_gb_per_s : gpu_pcie_gb_per_s(gpu));
    return host->gb_per_s > 0 && host->gb_per_s < link ? host->gb_per_s : link;
}
