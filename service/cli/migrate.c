/* migrate.c owns `gpusize migrate`: bringing the database's schema to what this program needs, or telling what is
 * missing. */
#include "catalog/load.h"
#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/settings.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

enum { MIGRATE_ARENA_BYTES = 4 << 20 };

struct migrate_choices {
    bool check, dry_run, help;
};

static const struct cli_flag flags[] = {
    {"check", NULL, "Changes nothing; exit status 0 if this program can serve from the database, 3 if not.",
     offsetof(struct migrate_choices, check)},
    {"dry_run", NULL, "Changes nothing; prints the SQL that would run.", offsetof(struct migrate_choices, dry_run)},
    {"help", NULL, "This text.", offsetof(struct migrate_choices, help)},
    {NULL, NULL, NULL, 0},
};

static int print_help(void)
{
    (void)printf("Makes or updates the tables of the catalog in PostgreSQL, and fills an empty one with the built-in\n"
                 "facts. Several at once are safe: one works, the others wait.\n\n"
                 "Usage: gpusize migrate [--check | --dry-run] [OPTIONS]\n\nExamples:\n"
                 "  DATABASE_URL=postgresql:///gpusize gpusize migrate\n"
                 "  gpusize migrate --check --database-url postgresql:///gpusize\n\n");
    cli_print_flags(flags);
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

static void print_applied(void *context, const struct migration *migration)
{
    (void)context;
    (void)printf("applied %s\n", migration->name);
}

/* A database without any catalog starts from the facts that are built in; one of an older program gets the coefficients
 * of this one, without which it could not be read, and the published calibrations. */
static enum status fill(struct store *store, struct problems *problems)
{
    size_t rows = 0;
    enum status status = store_catalog_fill(store, catalog_bundled(), problems, &rows);
    if (status == STATUS_OK && rows > 0) (void)printf("loaded %zu rows of the built-in catalog\n", rows);
    if (status == STATUS_OK && rows == 0) {
        status = store_profiles_refresh(store, catalog_bundled(), problems, &rows);
        if (status == STATUS_OK && rows > 0)
            (void)printf("changed %zu rows of engine profiles and calibrations\n", rows);
    }
    return status;
}

static enum status apply(struct store *store, struct problems *problems)
{
    struct store_schema schema;
    enum status status = store_migrate(store, print_applied, NULL, problems);
    if (status == STATUS_OK) status = store_schema_check(store, problems, &schema);
    if (status == STATUS_OK) status = fill(store, problems);
    if (status == STATUS_OK) (void)printf("the database has schema %lld\n", (long long)schema.number);
    return status;
}

static enum status check(struct store *store, struct problems *problems)
{
    struct store_schema schema;
    enum status status = store_schema_check(store, problems, &schema);
    if (status == STATUS_OK) (void)printf("the database has schema %lld\n", (long long)schema.number);
    return status;
}

static enum status dry_run(struct store *store, struct arena *arena, struct problems *problems)
{
    const struct migration *migrations = NULL;
    size_t count = 0, missing = 0;
    enum status status = store_migrations(store, arena, problems, &migrations, &count);
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        if (migrations[i].applied) continue;
        missing++;
        (void)printf("-- %s\n%s\n", migrations[i].name, migrations[i].sql);
    }
    if (status == STATUS_OK && missing == 0) (void)printf("-- nothing to do\n");
    return status;
}

static int run(const struct migrate_choices *choices, const struct settings *settings, struct arena *arena,
               struct problems *problems)
{
    struct store *store = NULL;
    enum status status = cli_open_store(settings, "gpusize migrate", 1, problems, &store);
    if (status == STATUS_OK)
        status = choices->check     ? check(store, problems)
                 : choices->dry_run ? dry_run(store, arena, problems)
                                    : apply(store, problems);
    store_close(store);
    if (status != STATUS_OK) return cli_report(problems, status);
    return fflush(stdout) == 0 ? CLI_OK : CLI_FAILED;
}

int cli_migrate(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct settings settings;
    struct migrate_choices choices = {0};
    bool help = false;
    (void)cli;
    arena_init(&arena, MIGRATE_ARENA_BYTES);
    problems_init(&problems, &arena);
    cli_take_flags(flags, &argc, argv, &choices, &problems);
    if (choices.check && choices.dry_run)
        (void)problems_add(&problems, STATUS_CONTRADICTION, "--dry-run", "give one of --check and --dry-run");
    enum status status = settings_read(argc, argv, &arena, &problems, &settings, &help);
    int code = choices.help          ? print_help()
               : status != STATUS_OK ? cli_report(&problems, status)
                                     : run(&choices, &settings, &arena, &problems);
    arena_done(&arena);
    return code;
}
