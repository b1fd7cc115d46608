/* report_files.c owns the files of reports that a command is given: read, named in problems, told apart. */
#include "cli/report_files.h"

#include "calibrate/report.h"
#include "cli/cli.h"

#include <string.h>

/* Loads what the names of GPUs in reports mean, and what is usual of them. */
static enum status load_gpus(struct problems *problems, struct snapshot **ret_gpus)
{
    struct catalog_text files[CATALOG_FILE_COUNT] = {0};
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++)
        files[i].name = catalog_bundled()[i].name;
    files[FILE_GPUS] = catalog_bundled()[FILE_GPUS];
    files[FILE_GPU_ALIASES] = catalog_bundled()[FILE_GPU_ALIASES];
    files[FILE_CALIBRATIONS] = catalog_bundled()[FILE_CALIBRATIONS];
    return catalog_load(files, problems, ret_gpus);
}

/* Calibrations of all reports. */
struct calibrations {
    struct report_entry *entries;
    size_t count;
};

static bool is_there(const struct calibrations *calibrations, const struct report_entry *entry)
{
    for (size_t i = 0; i < calibrations->count; i++) {
        if (strcmp(calibrations->entries[i].calibration.id, entry->calibration.id) == 0) return true;
    }
    return false;
}

/* Problems of the file name it. */
static enum status read_report(const struct settings *settings, const char *path, const struct snapshot *gpus,
                               struct arena *arena, struct problems *problems, struct calibrations *calibrations)
{
    const char *text = NULL;
    size_t length = 0;
    struct report report = {.entry_count = 0};
    size_t before = problems->count;
    enum status status = cli_read_file(path, REPORT_MAX_BYTES, arena, "calibration", problems, &text, &length);
    if (status != STATUS_OK) return status;
    status = report_read(gpus, text, length, settings->calibration_pool, cli_today(), arena, problems, &report);
    for (size_t i = before; status != STATUS_OK && i < problems->count; i++) {
        struct problem *problem = &problems->items[i];
        const char *field = arena_printf(problems->arena, "%s%s%s", path, *problem->field ? " " : "", problem->field);
        if (field) problem->field = field;
    }
    for (size_t i = 0; status == STATUS_OK && i < report.entry_count; i++) {
        if (!is_there(calibrations, &report.entries[i])) /* the same report by another name */
            calibrations->entries[calibrations->count++] = report.entries[i];
    }
    return status;
}

static enum status write_rows(struct calibrations *calibrations, struct arena *arena, struct problems *problems,
                              struct catalog_text *file)
{
    report_retire(calibrations->entries, calibrations->count);
    const char *text = report_csv(calibrations->entries, calibrations->count, arena);
    if (!text) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the calibrations");
    file->text = text;
    file->length = strlen(text);
    return STATUS_OK;
}

enum status report_files_read(const struct settings *settings, struct arena *arena, struct problems *problems,
                              struct catalog_text *file)
{
    struct calibrations calibrations = {NULL, 0};
    struct snapshot *gpus = NULL;
    char *rest = arena_strdup(arena, settings->calibration);
    calibrations.entries = ARENA_ARRAY(arena, (size_t)LIST_MAX * REPORT_DEVICES_MAX, struct report_entry);
    if (!rest || !calibrations.entries) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory");
    enum status status = report_check_pool(settings->calibration_pool, "calibration_pool", problems);
    if (status == STATUS_OK) status = load_gpus(problems, &gpus);
    for (size_t i = 0; status == STATUS_OK && rest; i++) {
        const char *path = strsep(&rest, ",");
        if (i == LIST_MAX)
            status = problems_add(problems, STATUS_OUT_OF_RANGE, "calibration", "has more than %d files", LIST_MAX);
        else
            status = read_report(settings, path, gpus, arena, problems, &calibrations);
    }
    if (status == STATUS_OK) status = write_rows(&calibrations, arena, problems, file);
    snapshot_free(gpus); /* which the entries refer to */
    return status;
}
