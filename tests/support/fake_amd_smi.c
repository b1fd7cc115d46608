/* fake_amd_smi.c owns a libamd_smi.so for the tests of what is read from it: one GPU with 192 GiB, of which
 * FAKE_AMD_USED_GIB are used. It lacks what some releases lack (amdsmi_get_energy_count), and its memory does not
 * answer in the readings FAKE_AMD_LOST, counted from 1: "3-5". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, NOT_SUPPORTED = 2, NOT_FOUND = 31, TOTAL_GIB = 192, GIB_SHIFT = 30 };

#define ENTRY(name, parameters, ...)                                                                                   \
    int name parameters;                                                                                               \
    int name parameters                                                                                                \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static unsigned reading;

static unsigned digits(const char *text)
{
    unsigned value = 0;
    for (; text && *text >= '0' && *text <= '9'; text++)
        value = value * 10 + (unsigned)(*text - '0');
    return value;
}

static int is_lost(void)
{
    const char *text = getenv("FAKE_AMD_LOST"), *dash = text ? strchr(text, '-') : NULL;
    return dash && reading >= digits(text) && reading <= digits(dash + 1);
}

ENTRY(amdsmi_init, (uint64_t flags), return flags == 2 ? OK : NOT_SUPPORTED;)
ENTRY(amdsmi_shut_down, (void), return OK;)
ENTRY(amdsmi_get_socket_handles, (uint32_t * count, void **sockets), *count = 1; sockets[0] = &reading; return OK;)
ENTRY(amdsmi_get_processor_handles, (void *socket, uint32_t *count, void **gpus), *count = 1; gpus[0] = socket;
      return OK;)
ENTRY(amdsmi_get_gpu_memory_total, (void *gpu, int type, uint64_t *bytes), (void)gpu; reading++;
      *bytes = (uint64_t)TOTAL_GIB << GIB_SHIFT; return type == 0 && !is_lost() ? OK : NOT_FOUND;)
ENTRY(amdsmi_get_gpu_memory_usage, (void *gpu, int type, uint64_t *bytes), (void)gpu;
      const char *used = getenv("FAKE_AMD_USED_GIB"); *bytes = (uint64_t)digits(used ? used : "96") << GIB_SHIFT;
      return type == 0 ? OK : NOT_SUPPORTED;)
ENTRY(amdsmi_get_temp_metric, (void *gpu, int sensor, int metric, int64_t *degrees), (void)gpu; *degrees = 71;
      return sensor == 1 && metric == 0 ? OK : NOT_SUPPORTED;)
ENTRY(amdsmi_get_gpu_device_uuid, (void *gpu, unsigned *length, char *uuid), (void)gpu;
      (void)snprintf(uuid, *length, "7cff74a1-0000-1000-80aa-bbccddeeff00"); return OK;)
/* 32-bit words: the GPU, its memory, video: what this part does not tell. */
ENTRY(amdsmi_get_gpu_activity, (void *gpu, uint32_t *words), (void)gpu; words[0] = 63; words[1] = UINT32_MAX;
      memset(words + 2, 0xff, 14 * sizeof *words); return OK;)
ENTRY(amdsmi_get_gpu_bdf_id, (void *gpu, uint64_t *bdf), (void)gpu; *bdf = 0xc1 << 8 | 2 << 3; return OK;)
