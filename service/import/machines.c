/* machines.c owns which GPUs an instance type has, where its price list does not say: facts of the providers' own
 * documentation of their machine types. */
#include "import/formats.h"

#include <fnmatch.h>
#include <string.h>

#define SEVERAL 0 /* the pattern stands for sizes with different numbers */

/* The first row that fits counts. AWS: "Specifications for Amazon EC2 accelerated computing instances", as of 2026-11.
 * Azure: "GPU accelerated virtual machine sizes" (the pages of the NC, ND and NV families), as of 2026-11. Google:
 * "Accelerator-optimized machine family". Oracle: "Compute shapes". */
static const struct import_machine machines[] = {
    {"aws", "p3.2xlarge", "v100-16gb-sxm", 1},
    {"aws", "p3.8xlarge", "v100-16gb-sxm", 4},
    {"aws", "p3.16xlarge", "v100-16gb-sxm", 8},
    {"aws", "p3dn.24xlarge", "v100-32gb-sxm", 8},
    {"aws", "p4d.24xlarge", "a100-40gb-sxm", 8},
    {"aws", "p4de.24xlarge", "a100-80gb-sxm", 8},
    {"aws", "p5.4xlarge", "h100-sxm", 1},
    {"aws", "p5.48xlarge", "h100-sxm", 8},
    {"aws", "p5e.48xlarge", "h200-sxm", 8},
    {"aws", "p5en.48xlarge", "h200-sxm", 8},
    {"aws", "p6-b200.48xlarge", "b200-sxm", 8},
    {"aws", "p6-b300.48xlarge", "b300-sxm", 8},
    {"aws", "p6e-gb200.36xlarge", "gb200", 4},
    {"aws", "g4dn.12xlarge", "t4", 4},
    {"aws", "g4dn.metal", "t4", 8},
    {"aws", "g4dn.*", "t4", 1},
    {"aws", "g5.12xlarge", "a10g", 4},
    {"aws", "g5.24xlarge", "a10g", 4},
    {"aws", "g5.48xlarge", "a10g", 8},
    {"aws", "g5.*", "a10g", 1},
    {"aws", "g5g.16xlarge", "t4g", 2},
    {"aws", "g5g.metal", "t4g", 2},
    {"aws", "g5g.*", "t4g", 1},
    {"aws", "g6.12xlarge", "l4", 4},
    {"aws", "g6.24xlarge", "l4", 4},
    {"aws", "g6.48xlarge", "l4", 8},
    {"aws", "g6.*", "l4", 1},
    {"aws", "gr6.*", "l4", 1},
    {"aws", "g6f.4xlarge", "l4", 0.5},
    {"aws", "g6f.2xlarge", "l4", 0.25},
    {"aws", "g6f.*", "l4", 0.125},
    {"aws", "gr6f.4xlarge", "l4", 0.5},
    {"aws", "g6e.12xlarge", "l40s", 4},
    {"aws", "g6e.24xlarge", "l40s", 4},
    {"aws", "g6e.48xlarge", "l40s", 8},
    {"aws", "g6e.*", "l40s", 1},
    {"aws", "g7e.12xlarge", "rtx-pro-6000-server", 2},
    {"aws", "g7e.24xlarge", "rtx-pro-6000-server", 4},
    {"aws", "g7e.48xlarge", "rtx-pro-6000-server", 8},
    {"aws", "g7e.*", "rtx-pro-6000-server", 1},
    {"aws", "inf1.6xlarge", "inferentia1", 4},
    {"aws", "inf1.24xlarge", "inferentia1", 16},
    {"aws", "inf1.*", "inferentia1", 1},
    {"aws", "inf2.24xlarge", "inferentia2", 6},
    {"aws", "inf2.48xlarge", "inferentia2", 12},
    {"aws", "inf2.*", "inferentia2", 1},
    {"aws", "trn1.2xlarge", "trainium1", 1},
    {"aws", "trn1.32xlarge", "trainium1", 16},
    {"aws", "trn1n.32xlarge", "trainium1", 16},
    {"aws", "trn2.3xlarge", "trainium2", 1},
    {"aws", "trn2.48xlarge", "trainium2", 16},
    {"azure", "Standard_NC6s_v3", "v100-16gb-pcie", 1},
    {"azure", "Standard_NC12s_v3", "v100-16gb-pcie", 2},
    {"azure", "Standard_NC24s_v3", "v100-16gb-pcie", 4},
    {"azure", "Standard_NC24rs_v3", "v100-16gb-pcie", 4},
    {"azure", "Standard_NC64as_T4_v3", "t4", 4},
    {"azure", "Standard_NC*as_T4_v3", "t4", 1},
    {"azure", "Standard_NC24ads_A100_v4", "a100-80gb-pcie", 1},
    {"azure", "Standard_NC48ads_A100_v4", "a100-80gb-pcie", 2},
    {"azure", "Standard_NC96ads_A100_v4", "a100-80gb-pcie", 4},
    {"azure", "Standard_NC40ads_H100_v5", "h100-nvl", 1},
    {"azure", "Standard_NC80adis_H100_v5", "h100-nvl", 2},
    {"azure", "Standard_NCC40ads_H100_v5", "h100-nvl", 1},
    {"azure", "Standard_ND40rs_v2", "v100-32gb-sxm", 8},
    {"azure", "Standard_ND96asr_v4", "a100-40gb-sxm", 8},
    {"azure", "Standard_ND96amsr_A100_v4", "a100-80gb-sxm", 8},
    {"azure", "Standard_ND96is_H100_v5", "h100-sxm", 8},
    {"azure", "Standard_ND96isr_H100_v5", "h100-sxm", 8},
    {"azure", "Standard_ND96is_H200_v5", "h200-sxm", 8},
    {"azure", "Standard_ND96isr_H200_v5", "h200-sxm", 8},
    {"azure", "Standard_ND96is_MI300X_v5", "mi300x", 8},
    {"azure", "Standard_ND96isr_MI300X_v5", "mi300x", 8},
    {"azure", "Standard_ND128isr_NDR_GB200_v6", "gb200", 4},
    {"azure", "Standard_ND128isr_GB300_v6", "gb300", 4},
    {"azure", "Standard_NV6ads_A10_v5", "a10", 1 / 6.0},
    {"azure", "Standard_NV12ads_A10_v5", "a10", 1 / 3.0},
    {"azure", "Standard_NV18ads_A10_v5", "a10", 0.5},
    {"azure", "Standard_NV36a*s_A10_v5", "a10", 1},
    {"azure", "Standard_NV72ads_A10_v5", "a10", 2},
    {"gcp", "a2-highgpu-*", "a100-40gb-sxm", SEVERAL},
    {"gcp", "a2-megagpu-*", "a100-40gb-sxm", SEVERAL},
    {"gcp", "a2-ultragpu-*", "a100-80gb-sxm", SEVERAL},
    {"gcp", "a3-highgpu-*", "h100-sxm", SEVERAL},
    {"gcp", "a3-megagpu-*", "h100-sxm", SEVERAL},
    {"oci", "BM.GPU4.8", "a100-40gb-sxm", 8},
    {"oci", "BM.GPU.A100-v2.8", "a100-80gb-sxm", 8},
    {"oci", "BM.GPU.H100.8", "h100-sxm", 8},
    {"oci", "*.GPU3.*", "v100-16gb-sxm", SEVERAL},
};

const struct import_machine *import_find_machine(const char *provider, const char *instance_type)
{
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        if (strcmp(machines[i].provider, provider) == 0 &&
            fnmatch(machines[i].instance_type, instance_type, FNM_CASEFOLD) == 0)
            return &machines[i];
    }
    return NULL;
}
