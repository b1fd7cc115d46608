/* gpu.c owns the names of makers. */
#include "catalog/gpu.h"

static const char *const vendor_names[VENDOR_COUNT] = {
    [VENDOR_NVIDIA] = "nvidia", [VENDOR_AMD] = "amd", [VENDOR_INTEL] = "intel",
    [VENDOR_GOOGLE] = "google", [VENDOR_AWS] = "aws", [VENDOR_APPLE] = "apple",
};

const char *gpu_vendor_name(enum gpu_vendor vendor)
{
    return vendor_names[vendor];
}
