/* import.c owns `gpusize import`: its arguments, its files, and what it prints. */
#include "api/import_job.h"

#include "catalog/load.h"
#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/import_fetch.h"
#include "cli/import_model.h"
#include "cli/settings.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { REPORT_ARENA_BYTES = 8 << 20, PROGRESS_BYTES = 4 << 20 };

/* The tables that options are looked up in, before the settings. */
enum table { TABLE_IMPORT, TABLE_FETCH, TABLE_MODEL, TABLES };
static const struct {
    const struct field *fields;
    size_t first, count;
} tables[TABLES] = {
    [TABLE_IMPORT] = {import_fields, 1, IMPORT_FIELDS}, /* the first is the kind, which is no option */
    [TABLE_FETCH] = {fetch_fields, 0, FETCH_FIELDS},
    [TABLE_MODEL] = {model_import_fields, 0, 1}, /* the others mean what they do for offers */
};

/* The arguments, sorted: what is in no table and no flag is a setting. */
struct choices {
    const char *kind; /* as it was given; NULL: it was not */
    const char *const *files;
    size_t file_count;
    bool fetch, json, help;
    struct pair *pairs[TABLES];
    size_t pair_count[TABLES];
};

static const struct cli_flag flags[] = {
    {"fetch", NULL, "Downloads the prices from where they are published; a URL may follow.",
     offsetof(struct choices, fetch)},
    {"json", NULL, "The report as one JSON object.", offsetof(struct choices, json)},
    {"help", NULL, "This text.", offsetof(struct choices, help)},
    {NULL, NULL, NULL, 0},
};

/* What one import was given and writes to. */
struct run {
    const struct choices *choices;
    struct store *store;
    struct arena *arena;
    struct problems *problems;
};

/* --- arguments --- */

static const struct {
    const char *name, *help;
} kinds[] = {
    {"bundled", "The facts and prices that are built into this program; no file."},
    {"csv", "Offers in the columns of docs/prices.md: your contracts."},
    {"purchase", "What parts cost to buy."},
    {"skypilot", "vms.csv of a SkyPilot catalog; needs --provider."},
    {"gpuhunt", "<provider>.csv of gpuhunt, or its catalog.zip with all of them."},
    {"azure-retail", "Pages of Azure's retail prices API."},
    {"aws-price-list", "CSV offer file of AWS's price list."},
    {"measured", "Measured serving results, in the columns of docs/prices.md."},
    {"model", "config.json files of models, named org--name.json or with --id."},
};

static void print_fields(enum table table)
{
    for (size_t i = tables[table].first; i < tables[table].count; i++) {
        const struct field *field = &tables[table].fields[i];
        bool flag = field->kind == FIELD_BOOL;
        cli_print_option(field->name, flag ? NULL : "VALUE", field->help, flag ? NULL : field->preset);
    }
}

static int print_help(void)
{
    (void)printf("Brings prices into the database's catalog. Only what differs is written; a price that is older than "
                 "the\n"
                 "known one, a line that names no GPU of the catalog, or 0 as a price is not.\n\n"
                 "Usage: gpusize import KIND FILE [OPTIONS]\n       gpusize import KIND --fetch [URL] [OPTIONS]\n"
                 "       gpusize import model FILE... [OPTIONS]\n       gpusize import bundled\n\nKinds:\n");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        (void)printf("  %-15s%s\n", kinds[i].name, kinds[i].help);
    (void)printf("\nExamples:\n"
                 "  gpusize import csv contract.csv --dry-run\n"
                 "  gpusize import skypilot aws/vms.csv --provider aws --as-of 2026-11-01\n"
                 "  gpusize import azure-retail --fetch\n\nOptions:\n");
    print_fields(TABLE_IMPORT);
    print_fields(TABLE_MODEL);
    cli_print_flags(flags);
    (void)printf("\nOf a download:\n");
    print_fields(TABLE_FETCH);
    return puts("\nExit status: 0 applied, or nothing to do; 2 refused, or not one line could be used; 3 failed.") < 0
               ? CLI_FAILED
               : CLI_OK;
}

static const struct field *find_field(const char *argument, size_t length, enum table *ret_table)
{
    for (enum table table = 0; table < TABLES; table++) {
        for (size_t i = tables[table].first; i < tables[table].count; i++) {
            *ret_table = table;
            if (cli_names(argument, length, tables[table].fields[i].name)) return &tables[table].fields[i];
        }
    }
    return NULL;
}

static void add_pair(struct choices *choices, enum table table, const char *name, const char *value)
{
    choices->pairs[table][choices->pair_count[table]++] = (struct pair){name, value};
}

static bool is_option(const char *argument)
{
    return strncmp(argument, "--", 2) == 0;
}

/* Takes one option out of the arguments, unless it is a setting. */
static bool take_option(int argc, char **argv, int *index, struct problems *problems, struct choices *choices)
{
    enum table table = TABLE_IMPORT;
    const char *argument = argv[*index], *name = argument + 2, *equals = strchr(name, '=');
    const struct field *field = find_field(name, strcspn(name, "="), &table);
    const char *value = equals ? equals + 1 : field && field->kind == FIELD_BOOL ? "true" : NULL;
    if (!field) return false;
    if (!value && *index + 1 < argc && !is_option(argv[*index + 1])) value = argv[++*index];
    if (value)
        add_pair(choices, table, field->name, value);
    else
        (void)problems_add(problems, STATUS_MISSING_FIELD, argument, "needs a value");
    return true;
}

/* The words are the kind and files, or the URL of a download. */
static enum status take_choices(int *argc, char **argv, struct arena *arena, struct problems *problems,
                                struct choices *choices)
{
    int kept = 1;
    size_t words = 0;
    cli_take_flags(flags, argc, argv, choices, problems);
    const char **word = ARENA_ARRAY(arena, (size_t)*argc + 1, const char *);
    if (!word) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory");
    for (enum table table = 0; table < TABLES; table++) {
        choices->pairs[table] = ARENA_ARRAY(arena, (size_t)*argc + 1, struct pair);
        if (!choices->pairs[table]) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory");
    }
    for (int i = 1; i < *argc; i++) {
        if (!is_option(argv[i])) {
            word[words++] = argv[i];
        } else if (!take_option(*argc, argv, &i, problems, choices)) {
            bool alone = strchr(argv[i], '=') || i + 1 == *argc || is_option(argv[i + 1]);
            argv[kept++] = argv[i];
            if (!alone) argv[kept++] = argv[++i]; /* its value */
        }
    }
    *argc = kept;
    choices->kind = words ? word[0] : NULL;
    choices->files = word + 1;
    choices->file_count = words ? words - 1 : 0;
    if (choices->fetch && choices->file_count == 1) add_pair(choices, TABLE_FETCH, "url", word[1]);
    return problems_status(problems);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Of that kind, with the options that were given. */
static enum status decode_request(const struct run *run, const char *kind, struct import_request *request)
{
    struct input *input = NULL;
    const size_t count = run->choices->pair_count[TABLE_IMPORT];
    struct pair *pairs = ARENA_ARRAY(run->arena, count + 1, struct pair);
    if (!pairs) return problems_add(run->problems, STATUS_OUT_OF_MEMORY, "", "no memory");
    pairs[0] = (struct pair){"kind", kind};
    memcpy(pairs + 1, run->choices->pairs[TABLE_IMPORT], count * sizeof *pairs);
    enum status status = input_from_pairs(run->arena, pairs, count + 1, run->problems, &input);
    if (status == STATUS_OK) status = import_request_decode(input, cli_today(), run->arena, run->problems, request);
    input_done(input);
    return status;
}

static enum status read_request(const struct run *run, struct import_request *request)
{
    const struct choices *choices = run->choices;
    enum status status = decode_request(run, choices->kind, request);
    if (status != STATUS_OK) return status;
    if (choices->file_count > 1 && choices->fetch)
        return problems_add(run->problems, STATUS_CONTRADICTION, "file",
                            "give a file, or --fetch with a URL, not both");
    if (!choices->fetch && choices->pair_count[TABLE_FETCH])
        return problems_add(run->problems, STATUS_CONTRADICTION, choices->pairs[TABLE_FETCH]->name,
                            "it is of a download: give --fetch, too");
    if (choices->file_count != 1 && !choices->fetch)
        return problems_add(run->problems, STATUS_MISSING_FIELD, "file", "say which one file: gpusize import %s FILE",
                            choices->kind);
    if (choices->pair_count[TABLE_MODEL])
        return problems_add(run->problems, STATUS_UNKNOWN_FIELD, "id", "only a model has one");
    return STATUS_OK;
}

static bool ends_in_csv(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && strcasecmp(dot, ".csv") == 0;
}

/* What the name of the file says where the options do not. */
static enum status name_source(const struct run *run, const char *path, struct import_request *request)
{
    const char *name = base_name(path);
    if (!request->source)
        request->source = arena_printf(run->arena, "%s %s", run->choices->kind, run->choices->fetch ? path : name);
    if (request->kind == IMPORT_GPUHUNT && !request->provider && ends_in_csv(name)) {
        char provider[IMPORT_PROVIDER_BYTES];
        import_gpuhunt_provider(name, provider);
        request->provider = arena_strdup(run->arena, provider);
    }
    return request->source ? STATUS_OK : problems_add(run->problems, STATUS_OUT_OF_MEMORY, "", "no memory");
}

/* --- steps --- */

/* For a terminal: told at every 4 MiB, and wiped at the end. */
static void show_progress(void *context, size_t bytes)
{
    size_t *shown = context;
    if (bytes / PROGRESS_BYTES != *shown && bytes) (void)fprintf(stderr, "\rread %zu MiB", bytes >> 20);
    *shown = bytes / PROGRESS_BYTES;
}

static bool print_report(const struct run *run, const struct import_job *job, const struct import_outcome *outcome)
{
    const struct store_import_report *report = &outcome->report;
    if (run->choices->json) return cli_write(report->json, strlen(report->json));
    if (job->facts) (void)printf("%zu facts written\n", report->facts);
    (void)printf("%llu lines, %llu of them about something else than rented GPUs\n",
                 (unsigned long long)outcome->counts.lines, (unsigned long long)outcome->counts.left_out);
    return cli_write(report->summary, strlen(report->summary)) &&
           (job->request->dry_run != 1 || puts("dry run: nothing was changed") >= 0) && fflush(stdout) == 0;
}

static enum status run_job(const struct run *run, struct import_job *job)
{
    struct import_outcome outcome;
    size_t shown = 0;
    if (isatty(STDERR_FILENO)) {
        job->progress = show_progress;
        job->context = &shown;
    }
    enum status status = import_job_run(run->store, job, run->arena, run->problems, &outcome);
    if (shown) (void)fputs("\r               \r", stderr);
    if (status == STATUS_OK && !print_report(run, job, &outcome))
        return problems_add(run->problems, STATUS_IO, "", "the report cannot be written; the import was applied");
    if (status == STATUS_OK && outcome.counts.accepted == 0 && outcome.counts.rejected > 0)
        return problems_add(run->problems, STATUS_INVALID_VALUE, "file", "not one line of it could be used");
    return status;
}

/* Facts first, then offers like those of any other source: a newer price in the database stays. */
static enum status import_bundled(const struct run *run)
{
    struct catalog_text facts[CATALOG_FILE_COUNT];
    const struct catalog_text *offers = &catalog_bundled()[FILE_OFFERS];
    struct import_request request;
    enum status status = decode_request(run, import_format_names[IMPORT_CSV], &request);
    if (status != STATUS_OK) return status;
    request.source = "built into gpusize";
    size_t others = 0;
    for (size_t i = 0; i < run->choices->pair_count[TABLE_IMPORT]; i++)
        others += strcmp(run->choices->pairs[TABLE_IMPORT][i].name, "accept_jumps") != 0;
    struct import_job job = {.request = &request, .text = offers->text, .length = offers->length, .facts = facts};
    if (run->choices->file_count || run->choices->fetch || others > 0)
        return problems_add(run->problems, STATUS_INVALID_VALUE, "bundled",
                            "takes no file, and no option of imports but --accept-jumps");
    memcpy(facts, catalog_bundled(), sizeof facts);
    facts[FILE_OFFERS].text = NULL;
    return run_job(run, &job);
}

static enum status download(const struct run *run, const struct import_request *request, FILE **ret_file,
                            const char **ret_path)
{
    struct input *input = NULL;
    struct fetch_request fetch;
    const struct choices *choices = run->choices;
    enum status status = input_from_pairs(run->arena, choices->pairs[TABLE_FETCH], choices->pair_count[TABLE_FETCH],
                                          run->problems, &input);
    if (status == STATUS_OK) status = fetch_request_decode(input, request, run->arena, run->problems, &fetch);
    input_done(input);
    return status == STATUS_OK ? import_fetch(&fetch, run->problems, ret_file, ret_path) : status;
}

static enum status open_file(const struct run *run, const struct import_request *request, FILE **ret_file,
                             const char **ret_path)
{
    if (run->choices->fetch) return download(run, request, ret_file, ret_path);
    FILE *file = fopen(run->choices->files[0], "rb");
    if (!file)
        return problems_add(run->problems, STATUS_INVALID_VALUE, "file", "%s cannot be read", run->choices->files[0]);
    *ret_file = file;
    *ret_path = run->choices->files[0];
    return STATUS_OK;
}

static enum status import_file(const struct run *run)
{
    struct import_request request;
    struct import_job job = {.request = &request};
    const char *path = "";
    enum status status = read_request(run, &request);
    if (status == STATUS_OK) status = open_file(run, &request, &job.file, &path);
    if (status != STATUS_OK) return status;
    status = name_source(run, path, &request);
    if (status == STATUS_OK) status = run_job(run, &job);
    (void)fclose(job.file);
    return status;
}

/* Options of offers that models have not are refused by the table of fields. */
static enum status import_model(const struct run *run)
{
    const struct choices *choices = run->choices;
    size_t count = choices->pair_count[TABLE_IMPORT];
    struct input *input = NULL;
    struct pair *pairs = ARENA_ARRAY(run->arena, count + choices->pair_count[TABLE_MODEL] + 1, struct pair);
    if (!pairs) return problems_add(run->problems, STATUS_OUT_OF_MEMORY, "", "no memory");
    memcpy(pairs, choices->pairs[TABLE_IMPORT], count * sizeof *pairs);
    memcpy(pairs + count, choices->pairs[TABLE_MODEL], choices->pair_count[TABLE_MODEL] * sizeof *pairs);
    if (choices->fetch || choices->pair_count[TABLE_FETCH])
        return problems_add(run->problems, STATUS_INVALID_VALUE, "fetch", "models come from files");
    enum status status =
        input_from_pairs(run->arena, pairs, count + choices->pair_count[TABLE_MODEL], run->problems, &input);
    if (status == STATUS_OK)
        status = import_models(run->store, choices->files, choices->file_count, input, choices->json, run->problems);
    input_done(input);
    return status;
}

static const struct {
    const char *kind;
    enum status (*import)(const struct run *run);
} others[] = {{"bundled", import_bundled}, {"model", import_model}}; /* besides the formats of offers */

static enum status import_kind(const struct run *run)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(others[i].kind, run->choices->kind) == 0) return others[i].import(run);
    }
    return import_file(run);
}

static enum status check_kind(const char *kind, struct problems *problems)
{
    char names[256] = "";
    size_t length = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kind && strcmp(kinds[i].name, kind) == 0) return STATUS_OK;
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i ? ", " : "", kinds[i].name);
    }
    return kind ? problems_add(problems, STATUS_INVALID_VALUE, "kind", "\"%s\" is none of: %s", kind, names)
                : problems_add(problems, STATUS_MISSING_FIELD, "kind", "say what to import, one of: %s", names);
}

static int run(const struct choices *choices, const struct settings *settings, struct arena *arena,
               struct problems *problems)
{
    assert(choices->kind); /* it was read from the command line, or we would not be here */
    struct run run = {.choices = choices, .arena = arena, .problems = problems};
    enum status status = cli_open_store(settings, "gpusize import", 1, problems, &run.store);
    if (status == STATUS_OK) status = import_kind(&run);
    store_close(run.store);
    return status == STATUS_OK ? CLI_OK : cli_report(problems, status);
}

int cli_import(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct settings settings;
    struct choices choices = {0};
    bool help = false;
    (void)cli;
    arena_init(&arena, REPORT_ARENA_BYTES);
    problems_init(&problems, &arena);
    enum status status = take_choices(&argc, argv, &arena, &problems, &choices);
    if (status == STATUS_OK) status = settings_read(argc, argv, &arena, &problems, &settings, &help);
    if (status == STATUS_OK && !choices.help) status = check_kind(choices.kind, &problems);
    int code = choices.help          ? print_help()
               : status != STATUS_OK ? cli_report(&problems, status)
                                     : run(&choices, &settings, &arena, &problems);
    arena_done(&arena);
    return code;
}
