/* cli.c owns the choice of subcommand and what all of them share: help, problems on standard error, the catalog. */
#include "cli/cli.h"

#include "catalog/load.h"
#include "cli/report_files.h"
#include "cli/settings.h"
#include "store/store.h"
#include "wire/out.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    PROFILES_MAX_BYTES = 4 << 20,
    TEXTS_MAX_BYTES = 512 << 20,
    SECONDS_PER_DAY = 86400,
    SILENCE_MS = 2000, /* beyond the time of a statement: the database hangs */
};

date_t cli_today(void)
{
    return (date_t){(int32_t)(time(NULL) / SECONDS_PER_DAY)};
}

enum status cli_read_file(const char *path, size_t max_bytes, struct arena *arena, const char *field,
                          struct problems *problems, const char **ret_text, size_t *ret_length)
{
    bool piped = strcmp(path, "-") == 0;
    FILE *opened = piped ? NULL : fopen(path, "rb"), *file = piped ? stdin : opened;
    char *text = file ? arena_alloc(arena, max_bytes + 1) : NULL;
    size_t length = text ? fread(text, 1, max_bytes + 1, file) : 0;
    bool failed = !text || ferror(file);
    if (opened) (void)fclose(opened);
    if (failed) return problems_add(problems, STATUS_INVALID_VALUE, field, "%s cannot be read", path);
    if (length > max_bytes || memchr(text, '\0', length))
        return problems_add(problems, STATUS_MALFORMED_CONFIG, field, "%s is no text of at most %zu bytes", path,
                            max_bytes);
    *ret_text = text;
    *ret_length = length;
    return STATUS_OK;
}

bool cli_write(const char *bytes, size_t length)
{
    return fwrite(bytes, 1, length, stdout) == length && fflush(stdout) == 0;
}

bool cli_write_line(const struct out *out)
{
    return !out->failed && cli_write(out->data, out->length) && cli_write("\n", 1);
}

int cli_report(const struct problems *problems, enum status status)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->items[i];
        (void)fprintf(stderr, "gpusize: %s%s%s\n", problem->field, *problem->field ? ": " : "", problem->detail);
    }
    if (problems->dropped) (void)fprintf(stderr, "gpusize: and %zu problems more\n", problems->dropped);
    if (!problems->count) (void)fprintf(stderr, "gpusize: %s\n", status_hint(status));
    return status_http(status) < 500 ? CLI_USAGE : CLI_FAILED;
}

enum status cli_load_catalog(const struct settings *settings, struct problems *problems, struct snapshot **ret_snapshot)
{
    struct arena texts;
    struct catalog_text files[CATALOG_FILE_COUNT], profiles = {.name = settings->profiles},
                                                   calibrations = {.name = "calibration"};
    memcpy(files, catalog_bundled(), sizeof files);
    arena_init(&texts, 0);
    enum status status = STATUS_OK;
    if (*settings->profiles) {
        files[FILE_ENGINE_PROFILES].over = &profiles;
        status = cli_read_file(settings->profiles, PROFILES_MAX_BYTES, &texts, "profiles", problems, &profiles.text,
                               &profiles.length);
    }
    if (status == STATUS_OK && *settings->calibration) {
        files[FILE_CALIBRATIONS].over = &calibrations;
        status = report_files_read(settings, &texts, problems, &calibrations);
    }
    if (status == STATUS_OK) status = catalog_load(files, problems, ret_snapshot);
    bool laid = *settings->profiles || *settings->calibration;
    if (status == STATUS_BAD_ROW && laid) status = STATUS_INVALID_VALUE; /* the bundled ones are good */
    arena_done(&texts);
    return status;
}

enum status cli_open_store(const struct settings *settings, const char *application_name, unsigned connections_max,
                           struct problems *problems, struct store **ret_store)
{
    const int64_t limit_ms = settings->db_statement_timeout_ms;
    const struct store_options options = {
        .url = settings->database_url,
        .application_name = application_name,
        .prepared = settings->db_prepared,
        .statement_timeout_ms = limit_ms,
        .silence_max_ms = limit_ms ? limit_ms + SILENCE_MS : 0,
        .connections_max = connections_max,
    };
    if (*settings->database_url && *settings->profiles)
        return problems_add(problems, STATUS_CONTRADICTION, "profiles",
                            "a file of profiles lies over the built-in catalog only: leave the database out");
    if (*settings->database_url && *settings->calibration)
        return problems_add(problems, STATUS_CONTRADICTION, "calibration",
                            "reports lie beside the built-in catalog only: upload them to the service of the database, "
                            "by POST /v1/calibrations, or leave the database out");
    if (*settings->database_url) return store_open(&options, problems, ret_store);
    return problems_add(problems, STATUS_MISSING_FIELD, "database_url", "say which database: set DATABASE_URL");
}

enum status cli_read_catalog(struct store *store, int64_t number, struct problems *problems,
                             struct snapshot **ret_snapshot)
{
    struct arena texts;
    struct store_schema schema;
    struct store_version version;
    struct catalog_text files[CATALOG_FILE_COUNT];
    arena_init(&texts, TEXTS_MAX_BYTES);
    enum status status = store_schema_check(store, problems, &schema);
    if (status == STATUS_OK) status = store_catalog_read(store, number, &texts, problems, files, &version);
    if (status == STATUS_OK) status = catalog_load_version(files, version.text, problems, ret_snapshot);
    arena_done(&texts);
    return status;
}

static int print_version(const struct cli *cli, int argc, char **argv)
{
    (void)cli, (void)argc, (void)argv;
    return puts("gpusize " GPUSIZE_VERSION) < 0 ? CLI_FAILED : CLI_OK;
}

static int unknown_command(const char *name)
{
    (void)fprintf(stderr, "gpusize: there is no command '%s'; see gpusize help\n", name);
    return CLI_USAGE;
}

static int help_about(const struct cli *cli, const char *name)
{
    char help[] = "--help", *with_help[] = {help, help, NULL};
    for (size_t i = 0; operations[i]; i++) {
        if (strcmp(name, operations[i]->command) != 0) continue;
        cli_operation_help(operations[i]);
        return CLI_OK;
    }
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        if (strcmp(name, command->name) == 0) return command->run(cli, 2, with_help);
    }
    return unknown_command(name);
}

static int print_help(const struct cli *cli, int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") != 0) return help_about(cli, argv[1]);
    (void)printf("gpusize tells which GPUs to buy or rent for a language model, how many, what they cost and how fast\n"
                 "they will be. No server and no database is needed: the built-in catalog answers, or, where it is\n"
                 "set, that of DATABASE_URL.\n\n"
                 "Usage: gpusize COMMAND [OPTIONS]\n\nQuestions:\n");
    for (size_t i = 0; operations[i]; i++)
        (void)printf("  %-14s %s\n", operations[i]->command, operations[i]->summary);
    (void)printf("\nOther commands:\n");
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        (void)printf("  %-14s %s\n", command->name, command->summary);
    }
    (void)printf(
        "\nExamples:\n"
        "  gpusize recommend --model meta-llama/Llama-3.1-70B-Instruct --rps 5 --budget 100000\n"
        "  gpusize memory --model llama-3.1-8b --gpu l40s\n"
        "  gpusize serve --port 8080\n\n"
        "`gpusize help COMMAND` tells the options. Exit status: 0 answered, 1 nothing fits, 2 the question is\n"
        "wrong (every bad field is named), 3 failed.\n");
    return CLI_OK;
}

const struct cli_command cli_commands[] = {
    {"serve", "Answers the same questions over HTTP.", cli_serve},
    {"migrate", "Makes or updates the tables of a database for the catalog.", cli_migrate},
    {"import", "Brings prices into the catalog of a database.", cli_import},
    {"evaluate", "Compares predictions with measured results.", cli_evaluate},
    {"fit", "Fits engine profiles to measured rows.", cli_fit},
    {"calibrate", "Measures the GPUs of this machine, or its CPU.", cli_calibrate},
    {"monitor", "Watches the memory of this machine's GPUs, and alerts.", cli_monitor},
    {"replay", "Computes a stored answer again, and tells whether it is the same.", cli_replay},
    {"key", "Makes, lists and revokes the keys of callers.", cli_key},
    {"completion", "Prints a completion script for bash, zsh or fish.", cli_completion},
    {"help", "Tells about a command.", print_help},
    {"version", "Prints the version.", print_version},
    {NULL, NULL, NULL},
};

static bool same_command(const char *asked, const char *name)
{
    return strcmp(asked, name) == 0 || (strncmp(asked, "--", 2) == 0 && strcmp(asked + 2, name) == 0);
}

int cli_main(const struct cli *cli, int argc, char **argv)
{
    if (argc < 2) {
        (void)print_help(cli, 1, argv);
        return CLI_USAGE;
    }
    for (size_t i = 0; operations[i]; i++) {
        if (strcmp(argv[1], operations[i]->command) == 0) return cli_ask(operations[i], argc - 1, argv + 1);
    }
    for (const struct cli_command *command = cli_commands; command->name; command++) {
        if (same_command(argv[1], command->name)) return command->run(cli, argc - 1, argv + 1);
    }
    if (strcmp(argv[1], "-h") == 0) return print_help(cli, 1, argv);
    return unknown_command(argv[1]);
}
