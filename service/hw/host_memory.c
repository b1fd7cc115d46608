/* host_memory.c owns the kernel's files: meminfo, pressure/memory, <pid>/comm. */
#include "hw/host_memory.h"

#include "catalog/text.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define KIB 1024.0

/* The number after `name` at the beginning of a line; NaN if it is not there. */
static double find_number(const char *text, const char *name)
{
    char digits[NUMBER_TEXT_BYTES];
    double value = 0;
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, name, strlen(name)) != 0) continue;
        line += strlen(name);
        line += strspn(line, " ");
        const size_t length = strspn(line, "0123456789.");
        if (length >= sizeof digits) return UNKNOWN;
        memcpy(digits, line, length);
        digits[length] = '\0';
        return text_parse_double(digits, &value) ? value : UNKNOWN;
    }
    return UNKNOWN;
}

/* "" if it cannot be read. */
static void read_file(const char *proc, const char *name, char *text, size_t bytes)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", proc, name);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
    text[file ? fread(text, 1, bytes - 1, file) : 0] = '\0';
    if (file) (void)fclose(file);
}

struct memory_reading host_memory_read(const char *proc)
{
    char memory[8192] = "", pressure[512] = "";
    read_file(proc, "meminfo", memory, sizeof memory);
    read_file(proc, "pressure/memory", pressure, sizeof pressure);
    return (struct memory_reading){
        .total_bytes = find_number(memory, "MemTotal:") * KIB,
        .available_bytes = find_number(memory, "MemAvailable:") * KIB,
        .swap_total_bytes = find_number(memory, "SwapTotal:") * KIB,
        .swap_free_bytes = find_number(memory, "SwapFree:") * KIB,
        .pressure_some_percent = find_number(pressure, "some avg10="),
        .pressure_full_percent = find_number(pressure, "full avg10="),
    };
}

void host_process_name(const char *proc, int64_t pid, char ret_name[PROCESS_NAME_BYTES])
{
    char name[64];
    (void)snprintf(name, sizeof name, "%lld/comm", (long long)pid);
    read_file(proc, name, ret_name, PROCESS_NAME_BYTES);
    for (char *c = ret_name; *c; c++) { /* a process names itself as it likes */
        if (*c == '\n') *c = '\0';
        if (!*c) break;
        if (*c < ' ' || *c > '~') *c = '?';
    }
}
