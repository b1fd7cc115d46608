/* calibrate.c owns `gpusize calibrate`: it starts gpusize-probe, which alone knows CUDA, and shows or keeps its report.
 */
#include "catalog/load.h"
#include "cli/calibrate_table.h"
#include "cli/cli.h"
#include "cli/flags.h"
#include "wire/out.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORT_MAX_BYTES = 16 << 20, ARGUMENTS_MAX = 16, PROBE_USAGE = 2, NOT_STARTED = 127 };

struct choices {
    const char *device, *only, *device_key, *output;
    bool quick, samples, json, help;
};

static const struct cli_flag flags[] = {
    {"device", "WHICH", "all: every GPU and the CPU, or the CPU alone; cuda; cpu; or one GPU by its number.",
     offsetof(struct choices, device)},
    {"only", "GROUPS", "Some groups, as in stream,gemm; gpusize-probe --help lists them.",
     offsetof(struct choices, only)},
    {"quick", NULL, "Fewer samples, and fewer groups.", offsetof(struct choices, quick)},
    {"samples", NULL, "Every time that was taken goes into the report.", offsetof(struct choices, samples)},
    {"device_key", "FILE", "Names GPUs by a hash with the secret in this file.", offsetof(struct choices, device_key)},
    {"output", "FILE", "Writes the report there.", offsetof(struct choices, output)},
    {"json", NULL, "Prints the report instead of a table.", offsetof(struct choices, json)},
    {"help", NULL, "This text.", offsetof(struct choices, help)},
    {NULL, NULL, NULL, 0},
};

static int print_help(void)
{
    (void)printf("Measures how fast the GPUs of this machine are at what serving a language model takes, in about 20\n"
                 "seconds for each: memory, matrix products by data type, a KV cache, launches, links. Where there is\n"
                 "no GPU it measures the CPU, and says so. See docs/calibrate.md.\n\n"
                 "Usage: gpusize calibrate [OPTIONS]\n\nExamples:\n"
                 "  gpusize calibrate\n"
                 "  gpusize calibrate --device 0 --only stream,gemm\n"
                 "  gpusize calibrate --output report.json\n\n"
                 "Options:\n");
    for (const struct cli_flag *flag = flags; flag->name; flag++)
        cli_print_option(flag->name, flag->value, flag->help, NULL);
    return puts("\nIt runs gpusize-probe, from the folder of gpusize or as GPUSIZE_PROBE says.\n"
                "Exit status: 0 measured; 77 nothing of what was asked for can be, and it says why; 1 the measurement\n"
                "failed; 2 the arguments are wrong; 3 failed otherwise.") < 0
               ? CLI_FAILED
               : CLI_OK;
}

/* --- the probe --- */

/* Beside the program itself, unless told otherwise. */
static enum status find_probe(struct arena *arena, struct problems *problems, const char **ret_path)
{
    const char *told = getenv("GPUSIZE_PROBE");
    char own[PATH_MAX];
    ssize_t length = told && *told ? 0 : readlink("/proc/self/exe", own, sizeof own - 1);
    while (length > 0 && own[length - 1] != '/')
        length--;
    const char *path = told && *told ? arena_strdup(arena, told)
                                     : arena_printf(arena, "%.*sgpusize-probe", (int)(length > 0 ? length : 0), own);
    if (!path) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory");
    if (access(path, X_OK) != 0)
        return problems_add(problems, STATUS_IO, "GPUSIZE_PROBE",
                            "%s cannot be run (%s): it is installed beside gpusize, or GPUSIZE_PROBE says where it is",
                            path, strerror(errno));
    *ret_path = path;
    return STATUS_OK;
}

static void make_arguments(const struct choices *choices, char *path, char *arguments[ARGUMENTS_MAX])
{
    const struct {
        const char *option, *value;
    } pairs[] = {{"--device", choices->device}, {"--only", choices->only}, {"--device-key", choices->device_key}};
    size_t count = 0;
    arguments[count++] = path;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (!*pairs[i].value) continue;
        arguments[count++] = (char *)(uintptr_t)pairs[i].option; /* which nobody writes to */
        arguments[count++] = (char *)(uintptr_t)pairs[i].value;
    }
    if (choices->quick) arguments[count++] = (char *)(uintptr_t) "--quick";
    if (choices->samples) arguments[count++] = (char *)(uintptr_t) "--samples";
    arguments[count] = NULL;
}

/* Its standard error is ours: there it shows its progress, on a terminal. */
static int spawn(const char *path, char *arguments[], int output, pid_t *ret_child)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!error) error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (!error) error = posix_spawn(ret_child, path, &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void read_all(int file, struct out *out)
{
    char buffer[65536];
    for (;;) {
        ssize_t n = read(file, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        out_raw(out, buffer, (size_t)n);
    }
}

static enum status run_probe(const struct choices *choices, struct arena *arena, struct problems *problems,
                             struct out *out, int *ret_exit)
{
    char *arguments[ARGUMENTS_MAX], *path = NULL;
    const char *found = NULL;
    int ends[2], status = 0;
    pid_t child = 0;
    enum status search = find_probe(arena, problems, &found);
    if (search != STATUS_OK) return search;
    path = arena_strdup(arena, found);
    if (!path) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory");
    make_arguments(choices, path, arguments);
    if (pipe2(ends, O_CLOEXEC) != 0) return problems_add(problems, STATUS_IO, "", "no pipe: %s", strerror(errno));
    int error = spawn(path, arguments, ends[1], &child);
    (void)close(ends[1]);
    if (!error) read_all(ends[0], out);
    (void)close(ends[0]);
    if (error) return problems_add(problems, STATUS_IO, "", "%s cannot be started: %s", path, strerror(error));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!WIFEXITED(status) || WEXITSTATUS(status) == NOT_STARTED)
        return problems_add(problems, STATUS_IO, "", "%s ended by signal %d", path,
                            WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    *ret_exit = WEXITSTATUS(status);
    return STATUS_OK;
}

/* --- what becomes of the report --- */

static enum status keep(const struct choices *choices, const struct out *report, struct problems *problems)
{
    if (!*choices->output) return STATUS_OK;
    FILE *file = fopen(choices->output, "wb");
    bool written = file && fwrite(report->data, 1, report->length, file) == report->length;
    if (file && fclose(file) != 0) written = false;
    return written ? STATUS_OK : problems_add(problems, STATUS_IO, "output", "%s cannot be written", choices->output);
}

static enum status show_table(json_t *parsed, struct problems *problems)
{
    struct snapshot *snapshot = NULL; /* for the peaks of GPUs */
    bool has_gpus = json_array_size(json_object_get(parsed, "devices")) > 0;
    enum status status = has_gpus ? catalog_load(catalog_bundled(), problems, &snapshot) : STATUS_OK;
    if (status == STATUS_OK && !calibrate_table_print(parsed, snapshot))
        status = problems_add(problems, STATUS_IO, "", "the table cannot be written");
    snapshot_free(snapshot);
    return status;
}

static enum status show(const struct choices *choices, const struct out *report, struct problems *problems)
{
    json_error_t error;
    json_t *parsed = report->failed ? NULL : json_parse(report->data, report->length, 0, &error);
    enum status status = STATUS_OK;
    const char *schema = json_string_value(json_object_get(parsed, "schema"));
    if (!schema || strcmp(schema, "calibration/1") != 0)
        status = problems_add(problems, STATUS_IO, "", "gpusize-probe gave no report of the schema calibration/1");
    if (status == STATUS_OK) status = keep(choices, report, problems);
    if (status == STATUS_OK && !choices->json) status = show_table(parsed, problems);
    if (status == STATUS_OK && choices->json && !cli_write(report->data, report->length))
        status = problems_add(problems, STATUS_IO, "", "the report cannot be written");
    json_decref(parsed);
    return status;
}

static int calibrate(const struct choices *choices, struct arena *arena, struct problems *problems)
{
    struct out report;
    int code = CLI_FAILED;
    out_init(&report, REPORT_MAX_BYTES);
    enum status status = run_probe(choices, arena, problems, &report, &code);
    bool told = status == STATUS_OK && code == PROBE_USAGE; /* the probe has said which argument is wrong */
    if (status == STATUS_OK && !told) status = show(choices, &report, problems);
    if (status != STATUS_OK) code = cli_report(problems, status);
    out_done(&report);
    return code;
}

int cli_calibrate(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct choices choices = {.device = "", .only = "", .device_key = "", .output = ""};
    (void)cli;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    cli_take_flags(flags, &argc, argv, &choices, &problems);
    for (int i = 1; i < argc; i++)
        (void)problems_add(&problems, STATUS_UNKNOWN_FIELD, argv[i],
                           "there is no such option; see gpusize help calibrate");
    int code = choices.help                              ? print_help()
               : problems_status(&problems) != STATUS_OK ? cli_report(&problems, problems_status(&problems))
                                                         : calibrate(&choices, &arena, &problems);
    arena_done(&arena);
    return code;
}
