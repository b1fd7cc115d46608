/* measured_rows.c owns the files of measured rows that commands are given, and the catalog that they are read with. */
#include "cli/measured_rows.h"

#include "catalog/text.h"
#include "cli/cli.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

enum { PARALLEL_MAX = 4096 };

/* Takes one option out of the arguments, of which there may be several, and hands on its values. */
static void take_each(struct measured_rows *rows, const char *name, int *argc, char **argv,
                      void (*take)(struct measured_rows *rows, const char *value))
{
    const size_t length = strlen(name);
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        bool whole = strcmp(argv[i], name) == 0, joined = strncmp(argv[i], name, length) == 0 && argv[i][length] == '=';
        if (joined || (whole && i + 1 < *argc))
            take(rows, joined ? argv[i] + length + 1 : argv[++i]);
        else
            argv[kept++] = argv[i];
    }
    *argc = kept;
}

static void take_file(struct measured_rows *rows, const char *path)
{
    if (rows->file_count < MEASURED_FILES_MAX) rows->files[rows->file_count] = (struct evaluated_file){.name = path};
    rows->file_count++;
}

static void take_report(struct measured_rows *rows, const char *path)
{
    const char *list = rows->calibration ? arena_printf(rows->arena, "%s,%s", rows->calibration, path) : path;
    rows->calibration = list ? list : path;
}

/* Takes the files out of the arguments. */
static void take_files(struct measured_rows *rows, int *argc, char **argv)
{
    take_each(rows, "--measured", argc, argv, take_file);
    take_each(rows, "--calibration", argc, argv, take_report);
    if (rows->file_count <= MEASURED_FILES_MAX) return;
    (void)problems_add(rows->problems, STATUS_INVALID_VALUE, "measured", "%zu files are more than %d", rows->file_count,
                       MEASURED_FILES_MAX);
    rows->file_count = MEASURED_FILES_MAX;
}

enum status measured_rows_take(struct measured_rows *rows, const struct cli_flag *flags, int argc, char **argv,
                               void *members, struct measured_choices *choices)
{
    bool help = false;
    *choices = (struct measured_choices){"", "", "", {"", "", "", "", "", "", UNKNOWN, ""}};
    take_files(rows, &argc, argv);
    cli_take_flags(flags, &argc, argv, members, rows->problems);
    enum status status = settings_read(argc, argv, rows->arena, rows->problems, &rows->settings, &help);
    if (*choices->profiles) rows->settings.profiles = choices->profiles;
    if (rows->calibration) rows->settings.calibration = rows->calibration;
    if (*choices->calibration_pool) rows->settings.calibration_pool = choices->calibration_pool;
    if (rows->calibration && !*choices->defaults.calibrated)
        choices->defaults.calibrated = rows->settings.calibration_pool; /* what it is given for */
    return status;
}

enum status measured_rows_check(struct measured_rows *rows, struct measured_choices *choices)
{
    double *degree = &choices->defaults.tensor_parallel;
    if (*choices->tensor_parallel && (!text_parse_double(choices->tensor_parallel, degree) ||
                                      *degree != floor(*degree) || !(*degree >= 1 && *degree <= PARALLEL_MAX)))
        (void)problems_add(rows->problems, STATUS_INVALID_VALUE, "tensor_parallel",
                           "\"%.40s\" is no number from 1 to %d", choices->tensor_parallel, PARALLEL_MAX);
    if (!rows->file_count && !*rows->settings.database_url)
        (void)problems_add(rows->problems, STATUS_MISSING_FIELD, "measured",
                           "say which rows: --measured FILE; without, a database's are taken");
    return problems_status(rows->problems);
}

static enum status open_catalog(struct measured_rows *rows)
{
    const struct settings *settings = &rows->settings;
    if (!*settings->database_url) return cli_load_catalog(settings, rows->problems, &rows->snapshot);
    enum status status = cli_open_store(&rows->settings, "gpusize", 1, rows->problems, &rows->store);
    return status == STATUS_OK ? cli_read_catalog(rows->store, -1, rows->problems, &rows->snapshot) : status;
}

/* The measured rows of the database. */
static enum status read_database(struct measured_rows *rows, const struct run_defaults *defaults)
{
    struct catalog_text text;
    enum status status = store_observations_read(rows->store, rows->arena, rows->problems, &text);
    if (status != STATUS_OK) return status;
    FILE *file = fmemopen((void *)(uintptr_t)text.text, text.length, "rb");
    if (!file) return problems_add(rows->problems, STATUS_OUT_OF_MEMORY, "", "no memory for %s", text.name);
    status = runs_read_file(file, text.name, rows->snapshot, defaults, rows->arena, rows->problems, &rows->runs);
    (void)fclose(file);
    rows->files[rows->file_count++] = (struct evaluated_file){.name = text.name, .rows = rows->runs.count};
    return status;
}

enum status measured_rows_read(struct measured_rows *rows, const struct measured_choices *choices)
{
    enum status status = open_catalog(rows);
    if (status == STATUS_OK && !rows->file_count) return read_database(rows, &choices->defaults);
    for (size_t i = 0; i < rows->file_count && status == STATUS_OK; i++) {
        struct evaluated_file *file = &rows->files[i];
        size_t before = rows->runs.count;
        status = runs_read(file->name, rows->snapshot, &choices->defaults, rows->arena, rows->problems, &rows->runs);
        file->rows = rows->runs.count - before;
    }
    return status;
}

void measured_rows_done(struct measured_rows *rows)
{
    store_close(rows->store);
    snapshot_free(rows->snapshot);
}
