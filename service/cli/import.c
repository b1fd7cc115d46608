/* import.c owns `gpusize import`: a file of prices into the database's catalog. */
#include "import/import.h"

#include "catalog/text.h"
#include "cli/cli.h"
#include "cli/settings.h"
#include "store/import.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { IMPORT_ARENA_BYTES = 256 << 20, REPORT_ARENA_BYTES = 8 << 20, PROGRESS_BYTES = 4 << 20 };

struct choices {
    const char *kind, *file; /* as they were given; NULL: they were not */
    const char *provider, *source, *as_of, *jump_factor;
    bool dry_run, accept_jumps, complete, json, help;
};

static const struct choice {
    const char *flag;
    size_t offset;
    bool takes_value;
} flags[] = {
    {"--provider", offsetof(struct choices, provider), true},
    {"--source", offsetof(struct choices, source), true},
    {"--as-of", offsetof(struct choices, as_of), true},
    {"--jump-factor", offsetof(struct choices, jump_factor), true},
    {"--dry-run", offsetof(struct choices, dry_run), false},
    {"--accept-jumps", offsetof(struct choices, accept_jumps), false},
    {"--complete", offsetof(struct choices, complete), false},
    {"--json", offsetof(struct choices, json), false},
    {"--help", offsetof(struct choices, help), false},
};

/* One import of one file. */
struct job {
    const struct snapshot *catalog;
    struct import_source source; /* its context is this job */
    struct store_import_options options;
    struct store_import *import;
    FILE *file;           /* or */
    const char *text;     /* the bytes in memory */
    size_t length, taken; /* of either, the length 0 if it is a file's */
    crypto_hash_sha256_state hash;
    bool progress, read_before; /* a try before this one took bytes of the file */
    struct import_counts counts;
};

static int print_help(void)
{
    return puts("Brings prices into the database's catalog. Only what differs is written; a price that is older than "
                "the\n"
                "known one, a line that names no GPU of the catalog, or 0 as a price is not.\n\n"
                "Usage: gpusize import KIND FILE [OPTIONS]\n       gpusize import bundled\n\nKinds:\n"
                "  bundled    The facts and prices that are built into this program; no file.\n"
                "  csv        Offers in the columns of docs/prices.md: your contracts.\n"
                "  purchase   What parts cost to buy.\n"
                "  skypilot   vms.csv of a SkyPilot catalog; needs --provider.\n"
                "  gpuhunt    <provider>.csv of gpuhunt.\n\nExamples:\n"
                "  gpusize import csv contract.csv --dry-run\n"
                "  gpusize import skypilot aws/vms.csv --provider aws --as-of 2026-11-01\n\n"
                "  --dry-run            Tells what would change, and changes nothing.\n"
                "  --accept-jumps       Also takes prices that change by more than the factor.\n"
                "  --jump-factor N      The factor; 3.\n"
                "  --complete           Offers of the file's providers that it does not name end.\n"
                "  --provider NAME      Whose prices these are, where the file does not say.\n"
                "  --as-of DAY          Of when they are, where the file does not say; today.\n"
                "  --source TEXT        Where they come from, where the file does not say; the file's name.\n"
                "  --json               The report as one JSON object.\n"
                "  --database-url TEXT  Which database; see gpusize serve --help.\n\n"
                "Exit status: 0 applied, or nothing to do; 2 refused, nothing was changed; 3 failed.") < 0
               ? CLI_FAILED
               : CLI_OK;
}

/* --- arguments --- */

/* Takes the kind, the file and the flags above out of the arguments; the rest are settings. */
static struct choices take_choices(int *argc, char **argv, struct problems *problems)
{
    struct choices choices = {0};
    int kept = 1, i = 1;
    if (i < *argc && strncmp(argv[i], "--", 2) != 0) choices.kind = argv[i++];
    if (i < *argc && strncmp(argv[i], "--", 2) != 0) choices.file = argv[i++];
    for (; i < *argc; i++) {
        const struct choice *flag = NULL;
        for (size_t f = 0; f < sizeof flags / sizeof *flags; f++) {
            if (strcmp(flags[f].flag, argv[i]) == 0) flag = &flags[f];
        }
        if (!flag)
            argv[kept++] = argv[i];
        else if (!flag->takes_value)
            *(bool *)((char *)&choices + flag->offset) = true;
        else if (i + 1 < *argc)
            *(const char **)((char *)&choices + flag->offset) = argv[++i];
        else
            (void)problems_add(problems, STATUS_MISSING_FIELD, flag->flag, "needs a value");
    }
    *argc = kept;
    return choices;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Fills in what the choices say about the file. */
static enum status read_choices(const struct choices *choices, struct arena *arena, struct problems *problems,
                                struct job *job)
{
    const char *name = choices->file ? base_name(choices->file) : "";
    unsigned format = 0;
    while (format < IMPORT_FORMAT_COUNT && strcmp(import_format_name((enum import_format)format), choices->kind) != 0)
        format++;
    job->source.format = (enum import_format)format;
    job->source.as_of = cli_today();
    job->source.source = choices->source ? choices->source : arena_printf(arena, "%s %s", choices->kind, name);
    job->source.provider = choices->provider;
    if (format == IMPORT_GPUHUNT && !choices->provider)
        job->source.provider = arena_strndup(arena, name, strcspn(name, "."));
    job->options.jump_factor = 3;
    if (format == IMPORT_FORMAT_COUNT)
        (void)problems_add(problems, STATUS_INVALID_VALUE, choices->kind, "is no kind of import; see gpusize import");
    else if (!choices->file)
        (void)problems_add(problems, STATUS_MISSING_FIELD, "file", "say which file: gpusize import %s FILE",
                           choices->kind);
    if (format == IMPORT_SKYPILOT && !choices->provider)
        (void)problems_add(problems, STATUS_MISSING_FIELD, "--provider", "the file does not say whose prices it holds");
    if (choices->as_of && !date_parse(choices->as_of, &job->source.as_of))
        (void)problems_add(problems, STATUS_INVALID_VALUE, "--as-of", "'%s' is no day: YYYY-MM-DD", choices->as_of);
    if (choices->jump_factor && (!text_parse_double(choices->jump_factor, &job->options.jump_factor) ||
                                 !(job->options.jump_factor >= 1 && job->options.jump_factor <= 1e6)))
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, "--jump-factor", "'%s' is not from 1 to 1000000",
                           choices->jump_factor);
    return problems_status(problems);
}

/* --- the rows of a job --- */

static enum status read_bytes(void *context, char *buffer, size_t size, size_t *ret_length)
{
    struct job *job = context;
    size_t left = job->length - job->taken, length = left < size ? left : size;
    if (job->file)
        length = fread(buffer, 1, size, job->file);
    else
        memcpy(buffer, job->text + job->taken, length);
    if (job->file && ferror(job->file)) return STATUS_IO;
    size_t before = job->taken / PROGRESS_BYTES;
    job->taken += length;
    (void)crypto_hash_sha256_update(&job->hash, (const unsigned char *)buffer, length);
    if (job->progress && job->taken / PROGRESS_BYTES != before)
        (void)fprintf(stderr, "\rread %zu MiB", job->taken >> 20);
    *ret_length = length;
    return STATUS_OK;
}

static double usd_per_unit(void *context, const char *currency)
{
    const struct job *job = context;
    return store_import_rate(job->import, currency);
}

static enum status take_offer(void *context, uint32_t line, const struct offer *offer)
{
    const struct job *job = context;
    return store_import_offer(job->import, line, offer, job->catalog->gpus[offer->gpu].id);
}

static enum status take_purchase(void *context, uint32_t line, const struct purchase_price *price)
{
    const struct job *job = context;
    return store_import_purchase(job->import, line, price, job->catalog->gpus[price->gpu].id);
}

static enum status take_rejection(void *context, uint32_t line, const char *field, const char *reason)
{
    const struct job *job = context;
    return store_import_reject(job->import, line, field, reason);
}

static enum status rows(void *context, struct store_import *import, struct problems *problems)
{
    struct job *job = context;
    const struct import_sink sink = {job, take_offer, take_purchase, take_rejection};
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[2 * sizeof hash + 1];
    job->import = import;
    job->taken = 0;
    if (job->file && job->read_before && fseek(job->file, 0, SEEK_SET) != 0)
        return problems_add(
            problems, STATUS_DATABASE_AWAY, "file",
            "the connection to the database was lost, and a pipe cannot be read again from its beginning: "
            "nothing was changed");
    job->read_before = true;
    (void)crypto_hash_sha256_init(&job->hash);
    enum status status = import_read(&job->source, &sink, problems, &job->counts);
    (void)crypto_hash_sha256_final(&job->hash, hash);
    store_import_hash(import, sodium_bin2hex(text, sizeof text, hash, sizeof hash));
    if (job->progress && job->taken >= PROGRESS_BYTES) (void)fprintf(stderr, "\r             \r");
    return status;
}

/* --- steps --- */

/* What its rows may name: `facts` if it brings them along, else the database's. */
static enum status load_catalog(struct store *store, const struct catalog_text *facts, struct problems *problems,
                                struct snapshot **ret_snapshot)
{
    struct arena arena;
    struct catalog_text files[CATALOG_FILE_COUNT];
    struct store_version version;
    struct store_schema schema;
    arena_init(&arena, IMPORT_ARENA_BYTES);
    enum status status = store_schema_check(store, problems, &schema);
    if (facts)
        memcpy(files, facts, sizeof files);
    else if (status == STATUS_OK)
        status = store_catalog_read(store, -1, &arena, problems, files, &version);
    if (status == STATUS_OK) {
        files[FILE_OFFERS].text = files[FILE_PURCHASE_PRICES].text = NULL; /* names are all that is wanted */
        status = catalog_load(files, problems, ret_snapshot);
    }
    arena_done(&arena);
    return status;
}

static bool print_report(const struct choices *choices, const struct job *job, const struct store_import_report *report)
{
    if (choices->json) return cli_write(report->json, strlen(report->json));
    if (job->options.facts) (void)printf("%zu facts written\n", report->facts);
    (void)printf("%llu lines, %llu of them without a GPU\n", (unsigned long long)job->counts.lines,
                 (unsigned long long)job->counts.no_gpu);
    return cli_write(report->summary, strlen(report->summary)) &&
           (!choices->dry_run || puts("dry run: nothing was changed") >= 0) && fflush(stdout) == 0;
}

static enum status run_job(struct store *store, const struct choices *choices, struct job *job,
                           struct problems *problems)
{
    struct snapshot *catalog = NULL;
    struct store_import_report report;
    struct arena arena;
    arena_init(&arena, REPORT_ARENA_BYTES);
    enum status status = load_catalog(store, job->options.facts, problems, &catalog);
    job->catalog = job->source.catalog = catalog;
    job->source.context = job->options.context = job;
    job->source.read = read_bytes;
    job->source.usd_per_unit = usd_per_unit;
    job->options.rows = rows;
    job->options.kind = choices->kind;
    job->options.source = job->source.source;
    job->options.dry_run = choices->dry_run;
    job->options.complete = choices->complete;
    job->options.accept_jumps = choices->accept_jumps;
    job->progress = isatty(STDERR_FILENO);
    if (status == STATUS_OK) status = store_import(store, &job->options, &arena, problems, &report);
    if (status == STATUS_OK && !print_report(choices, job, &report))
        status = problems_add(problems, STATUS_IO, "", "the report cannot be written; the import was applied");
    snapshot_free(catalog);
    arena_done(&arena);
    return status;
}

/* Facts first, then offers like those of any other source: a newer price in the database stays. */
static enum status import_bundled(struct store *store, const struct choices *choices, struct problems *problems)
{
    struct catalog_text facts[CATALOG_FILE_COUNT];
    const struct catalog_text *offers = &catalog_bundled()[FILE_OFFERS];
    struct job job = {.text = offers->text, .length = offers->length, .options.jump_factor = 3};
    job.source = (struct import_source){.format = IMPORT_CSV, .source = "built into gpusize", .as_of = cli_today()};
    if (choices->file || choices->dry_run)
        return problems_add(problems, STATUS_INVALID_VALUE, "bundled", "takes no file and has no dry run");
    memcpy(facts, catalog_bundled(), sizeof facts);
    facts[FILE_OFFERS].text = NULL;
    job.options.facts = facts;
    return run_job(store, choices, &job, problems);
}

static enum status import_file(struct store *store, const struct choices *choices, struct arena *arena,
                               struct problems *problems)
{
    struct job job = {0};
    enum status status = read_choices(choices, arena, problems, &job);
    if (status != STATUS_OK) return status;
    job.file = fopen(choices->file, "rb");
    if (!job.file) return problems_add(problems, STATUS_INVALID_VALUE, "file", "%s cannot be read", choices->file);
    status = run_job(store, choices, &job, problems);
    (void)fclose(job.file);
    return status;
}

static int run(const struct choices *choices, const struct settings *settings, struct arena *arena,
               struct problems *problems)
{
    assert(choices->kind); /* it was read from the command line, or we would not be here */
    struct store *store = NULL;
    const struct store_options options = {
        .url = settings->database_url,
        .application_name = "gpusize import",
        .prepared = settings->db_prepared,
        .statement_timeout_ms = settings->db_statement_timeout_ms,
        .connections_max = 1,
    };
    enum status status = *settings->database_url ? store_open(&options, problems, &store)
                                                 : problems_add(problems, STATUS_MISSING_FIELD, "database_url",
                                                                "say which database: set DATABASE_URL");
    if (status == STATUS_OK)
        status = strcmp(choices->kind, "bundled") == 0 ? import_bundled(store, choices, problems)
                                                       : import_file(store, choices, arena, problems);
    store_close(store);
    return status == STATUS_OK ? CLI_OK : cli_report(problems, status);
}

int cli_import(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct settings settings;
    bool help = false;
    (void)cli;
    arena_init(&arena, REPORT_ARENA_BYTES);
    problems_init(&problems, &arena);
    struct choices choices = take_choices(&argc, argv, &problems);
    enum status status = settings_read(argc, argv, &arena, &problems, &settings, &help);
    if (status == STATUS_OK && !choices.help && !choices.kind)
        status = problems_add(&problems, STATUS_MISSING_FIELD, "kind", "say what to import; see gpusize import --help");
    int code = choices.help          ? print_help()
               : status != STATUS_OK ? cli_report(&problems, status)
                                     : run(&choices, &settings, &arena, &problems);
    arena_done(&arena);
    return code;
}
