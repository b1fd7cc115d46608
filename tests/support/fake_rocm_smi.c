/* fake_rocm_smi.c owns a librocm_smi64.so for the tests of what is read from it: two GPUs with 64 GiB. */
#include <stdint.h>
#include <stdio.h>

enum { OK = 0, NOT_SUPPORTED = 2, GPUS = 2, TOTAL_GIB = 64, GIB_SHIFT = 30 };

#define ENTRY(name, parameters, ...)                                                                                   \
    int name parameters;                                                                                               \
    int name parameters                                                                                                \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

ENTRY(rsmi_init, (uint64_t flags), (void)flags; return OK;)
ENTRY(rsmi_shut_down, (void), return OK;)
ENTRY(rsmi_num_monitor_devices, (uint32_t * count), *count = GPUS; return OK;)
ENTRY(rsmi_dev_memory_total_get, (uint32_t gpu, int type, uint64_t *bytes), *bytes = (uint64_t)TOTAL_GIB << GIB_SHIFT;
      return gpu < GPUS && type == 0 ? OK : NOT_SUPPORTED;)
ENTRY(rsmi_dev_memory_usage_get, (uint32_t gpu, int type, uint64_t *bytes),
      *bytes = (uint64_t)(16 * (gpu + 1)) << GIB_SHIFT;
      return type == 0 ? OK : NOT_SUPPORTED;)
ENTRY(rsmi_dev_busy_percent_get, (uint32_t gpu, uint32_t *percent), *percent = 40 + gpu; return OK;)
ENTRY(rsmi_dev_power_ave_get, (uint32_t gpu, uint32_t sensor, uint64_t *microwatts), (void)gpu; *microwatts = 250500000;
      return sensor == 0 ? OK : NOT_SUPPORTED;)
ENTRY(rsmi_dev_temp_metric_get, (uint32_t gpu, uint32_t sensor, int metric, int64_t *millidegrees), (void)gpu;
      *millidegrees = 65500; return sensor == 1 && metric == 0 ? OK : NOT_SUPPORTED;)
ENTRY(rsmi_dev_unique_id_get, (uint32_t gpu, uint64_t *id), *id = 0xabc0 + gpu; return OK;)
ENTRY(rsmi_dev_name_get, (uint32_t gpu, char *name, size_t bytes), (void)gpu;
      (void)snprintf(name, bytes, "AMD Instinct MI210"); return OK;)
