/* fake_cuda.c owns a libcuda.so.1 that only fails, on purpose: it takes the real CUDA runtime through its ways to find
 * no GPU. FAKE_CUDA_VERSION (12080) is what the driver claims to support, FAKE_CUDA_INIT the CUresult of cuInit: 100 no
 * device, 802 fabric not ready, 803 driver and library differ, 999 unknown. Everything else answers 801: not supported.
 * With FAKE_CUDA_INIT 0 it has one device, whose context cannot be made: FAKE_CUDA_CONTEXT tells why (46 in use). */
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
    int status = number("FAKE_CUDA_INIT", NO_DEVICE);
    *ret_count = status ? 0 : 1;
    return status;
}

static int device_get(int *ret_device, int ordinal)
{
    *ret_device = ordinal;
    return 0;
}

static int device_name(char *ret_name, int length, int device)
{
    (void)device;
    if (length > 0) ret_name[0] = '\0';
    return 0;
}

static int device_attribute(int *ret_value, int attribute, int device)
{
    (void)attribute, (void)device;
    *ret_value = 9;
    return 0;
}

static int device_bytes(size_t *ret_bytes, int device)
{
    (void)device;
    *ret_bytes = (size_t)1 << 34;
    return 0;
}

static int device_uuid(void *ret_uuid, int device)
{
    (void)device;
    memset(ret_uuid, 7, 16);
    return 0;
}

static int context_retain(void **ret_context, int device)
{
    (void)device;
    *ret_context = NULL;
    return number("FAKE_CUDA_CONTEXT", NOT_SUPPORTED);
}

static int context_state(int device, unsigned *ret_flags, int *ret_active)
{
    (void)device;
    *ret_flags = 0;
    *ret_active = 0;
    return 0;
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
    {"cuDeviceGet", (entry *)device_get},
    {"cuDeviceGetName", (entry *)device_name},
    {"cuDeviceGetAttribute", (entry *)device_attribute},
    {"cuDeviceTotalMem", (entry *)device_bytes},
    {"cuDeviceGetUuid", (entry *)device_uuid},
    {"cuDevicePrimaryCtxRetain", (entry *)context_retain},
    {"cuDevicePrimaryCtxGetState", (entry *)context_state},
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
