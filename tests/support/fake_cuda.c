/* fake_cuda.c owns a libcuda.so.1 that only fails, on purpose: it takes the real CUDA runtime through its ways to find
 * no GPU. FAKE_CUDA_VERSION (12080) is what the driver claims to support, FAKE_CUDA_INIT the CUresult of cuInit: 46 in
 * use, 100 no device, 802 fabric not ready, 803 driver and library differ, 999 unknown. The rest answers 801. */
#include <stdlib.h>
#include <string.h>

enum { NO_DEVICE = 100, NOT_SUPPORTED = 801, DIGITS_BASE = 10 };
typedef int entry(void);

static int number(const char *name, int otherwise)
{
    const char *text = getenv(name);
    int value = 0;
    if (!text) return otherwise;
    for (; *text >= '0' && *text <= '9'; text++)
        value = value * DIGITS_BASE + (*text - '0');
    return value;
}

static int refuse(void)
{
    return NOT_SUPPORTED;
}

int cuInit(unsigned flags);
int cuInit(unsigned flags)
{
    (void)flags;
    return number("FAKE_CUDA_INIT", NO_DEVICE);
}

int cuDriverGetVersion(int *ret_version);
int cuDriverGetVersion(int *ret_version)
{
    *ret_version = number("FAKE_CUDA_VERSION", 13000);
    return 0;
}

int cuDeviceGetCount(int *ret_count);
int cuDeviceGetCount(int *ret_count)
{
    *ret_count = 0;
    return number("FAKE_CUDA_INIT", NO_DEVICE);
}

int cuGetProcAddress(const char *name, void **ret_entry, int version, unsigned long long flags);
int cuGetProcAddress_v2(const char *name, void **ret_entry, int version, unsigned long long flags, int *ret_status);

static const struct {
    const char *name;
    entry *found;
} entries[] = {
    {"cuInit", (entry *)cuInit},
    {"cuDriverGetVersion", (entry *)cuDriverGetVersion},
    {"cuDeviceGetCount", (entry *)cuDeviceGetCount},
    {"cuGetProcAddress", (entry *)cuGetProcAddress_v2},
    {"cuGetProcAddress_v2", (entry *)cuGetProcAddress_v2},
};

int cuGetProcAddress_v2(const char *name, void **ret_entry, int version, unsigned long long flags, int *ret_status)
{
    entry *found = refuse;
    (void)version, (void)flags;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        if (strcmp(name, entries[i].name) == 0) found = entries[i].found;
    }
    memcpy(ret_entry, &found, sizeof found);
    if (ret_status) *ret_status = 0;
    return 0;
}

int cuGetProcAddress(const char *name, void **ret_entry, int version, unsigned long long flags)
{
    return cuGetProcAddress_v2(name, ret_entry, version, flags, NULL);
}
