/* amd_sysfs.c owns the files of an AMD GPU under /sys/bus/pci/devices. */
#include "hw/amd_sysfs.h"

#include "catalog/text.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define MICRO 1e-6 /* watts of microwatts, MHz of Hz */

/* In their order: what the first one tells is not asked of the next. */
static const struct file {
    const char *name;
    size_t offset;
    double scale;
} files[] = {
    {"gpu_busy_percent", offsetof(struct gpu_reading, busy_percent), 1},
    {"mem_busy_percent", offsetof(struct gpu_reading, memory_busy_percent), 1},
    {"hwmon/hwmon*/power1_average", offsetof(struct gpu_reading, power_watts), MICRO},
    {"hwmon/hwmon*/power1_input", offsetof(struct gpu_reading, power_watts), MICRO},
    {"hwmon/hwmon*/power1_cap", offsetof(struct gpu_reading, power_limit_watts), MICRO},
    {"hwmon/hwmon*/freq1_input", offsetof(struct gpu_reading, sm_clock_mhz), MICRO},
    {"hwmon/hwmon*/freq2_input", offsetof(struct gpu_reading, memory_clock_mhz), MICRO},
};

/* The first line of the first file of the pattern; false if there is none. */
static bool read_line(const char *folder, const char *name, char ret_line[GPU_TEXT_BYTES])
{
    char pattern[PATH_MAX];
    glob_t found = {0};
    const int length = snprintf(pattern, sizeof pattern, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof pattern || glob(pattern, 0, NULL, &found) != 0) return false;
    FILE *file = fopen(found.gl_pathv[0], "re");
    const bool read = file && fgets(ret_line, GPU_TEXT_BYTES, file);
    if (file) (void)fclose(file);
    globfree(&found);
    if (read) ret_line[strcspn(ret_line, "\n")] = '\0';
    return read && *ret_line;
}

void amd_sysfs_read(const char *proc, uint64_t bdf, struct gpu_reading *reading)
{
    char folder[PATH_MAX], line[GPU_TEXT_BYTES];
    const int length =
        snprintf(folder, sizeof folder, "%s/../sys/bus/pci/devices/%04x:%02x:%02x.%x", proc, (unsigned)(bdf >> 32),
                 (unsigned)(bdf >> 8) & 0xff, (unsigned)(bdf >> 3) & 0x1f, (unsigned)bdf & 7);
    if (length < 0 || (size_t)length >= sizeof folder) return;
    if (!*reading->name && read_line(folder, "product_name", line)) memcpy(reading->name, line, sizeof line);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        double *value = (double *)(void *)((char *)reading + files[i].offset), read = 0;
        if (is_known(*value) || !read_line(folder, files[i].name, line) || !text_parse_double(line, &read)) continue;
        *value = read * files[i].scale;
    }
}
