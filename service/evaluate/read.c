/* read.c owns the files of measured rows: opened, read as importers read them, what is missing filled in. */
#include "evaluate/read.h"

#include "evaluate/resolve.h"
#include "import/import.h"

#include <stdio.h>
#include <string.h>

#define LOGS_VERSION "0.19" /* of vLLM, whose start-up logs say what the layout has columns for */
enum { FIRST_RUNS = 1024 };

struct reading {
    const char *path;
    FILE *file;
    const struct snapshot *catalog;
    const struct run_defaults *defaults;
    struct arena *arena;
    struct problems *problems;
    struct runs *runs;
};

static enum status read_bytes(void *context, char *buffer, size_t size, size_t *ret_length)
{
    struct reading *reading = context;
    *ret_length = fread(buffer, 1, size, reading->file);
    return ferror(reading->file) ? STATUS_IO : STATUS_OK;
}

/* The array doubles: its room is a power of two. */
static struct run *add_run(struct reading *reading)
{
    struct runs *runs = reading->runs;
    if (runs->count == 0 || (runs->count >= FIRST_RUNS && (runs->count & (runs->count - 1)) == 0)) {
        struct run *items = ARENA_ARRAY(reading->arena, runs->count ? runs->count * 2 : FIRST_RUNS, struct run);
        if (!items) return NULL;
        if (runs->count) memcpy(items, runs->items, runs->count * sizeof *items);
        runs->items = items;
    }
    return &runs->items[runs->count++];
}

static enum status no_memory(struct reading *reading)
{
    return problems_add(reading->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the rows of %s", reading->path);
}

static void fill_in(const struct reading *reading, struct measured *measured)
{
    const struct run_defaults *defaults = reading->defaults;
    const struct {
        const char **text, *preset;
    } texts[] = {
        {&measured->run.engine, defaults->engine},
        {&measured->run.engine_version, defaults->engine_version},
        {&measured->model, defaults->model},
        {&measured->gpu, defaults->gpu},
        {&measured->run.weight_dtype, defaults->weight_dtype},
        {&measured->run.kv_dtype, defaults->kv_dtype},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!**texts[i].text) *texts[i].text = texts[i].preset;
    }
    if (measured->started && !*measured->run.engine_version) measured->run.engine_version = LOGS_VERSION;
    if (!is_known(measured->run.tensor_parallel)) measured->run.tensor_parallel = defaults->tensor_parallel;
}

static enum status take_row(void *context, const struct measured *row)
{
    struct reading *reading = context;
    struct measured measured = *row;
    if (reading->runs->count == RUNS_MAX)
        return problems_add(reading->problems, STATUS_INVALID_VALUE, "measured", "%s: more than %d rows in all",
                            reading->path, RUNS_MAX);
    fill_in(reading, &measured);
    if (!*measured.run.uid) measured.run.uid = arena_printf(reading->arena, "%s:%u", reading->path, measured.line);
    struct run *run = measured.run.uid ? add_run(reading) : NULL;
    if (!run || !resolve_run(reading->catalog, &measured, reading->arena, run)) return no_memory(reading);
    if (run->deployment.gpu && reading->defaults->calibrated && *reading->defaults->calibrated)
        run->deployment.calibration =
            snapshot_find_pool(reading->catalog, run->deployment.gpu, reading->defaults->calibrated);
    return STATUS_OK;
}

/* A line that is no row of the layout. */
static enum status take_refusal(void *context, uint32_t line, const char *field, const char *reason)
{
    struct measured measured = import_measured_empty(line);
    measured.refused_field = *field ? field : "line";
    (void)snprintf(measured.refused, sizeof measured.refused, "%s", reason);
    return take_row(context, &measured);
}

/* Importers have one file, and call it so. */
static void name_file(const struct reading *reading, struct problem *problem)
{
    const char *detail = arena_printf(reading->arena, "%s: %s", reading->path, problem->detail);
    if (strcmp(problem->field, "file") != 0 || !detail) return;
    problem->field = "measured";
    problem->detail = detail;
}

enum status runs_read_file(FILE *file, const char *name, const struct snapshot *catalog,
                           const struct run_defaults *defaults, struct arena *arena, struct problems *problems,
                           struct runs *runs)
{
    struct reading reading = {name, file, catalog, defaults, arena, problems, runs};
    const struct import_source source = {.format = IMPORT_MEASURED,
                                         .catalog = catalog,
                                         .source = "",
                                         .as_of = DATE_UNKNOWN,
                                         .context = &reading,
                                         .read = read_bytes};
    const struct import_sink sink = {.context = &reading, .measured = take_row, .reject = take_refusal};
    struct import_counts counts;
    size_t before = problems->count;
    enum status status = import_read(&source, &sink, problems, &counts);
    for (size_t i = before; i < problems->count; i++)
        name_file(&reading, &problems->items[i]);
    return status;
}

enum status runs_read(const char *path, const struct snapshot *catalog, const struct run_defaults *defaults,
                      struct arena *arena, struct problems *problems, struct runs *runs)
{
    FILE *file = fopen(path, "rb");
    if (!file) return problems_add(problems, STATUS_INVALID_VALUE, "measured", "%s cannot be read", path);
    enum status status = runs_read_file(file, path, catalog, defaults, arena, problems, runs);
    (void)fclose(file);
    return status;
}
