/* fit.c owns `gpusize fit`: which profiles are fitted to which rows, and what it prints. */
#include "fit/fit.h"

#include "catalog/text.h"
#include "cli/cli.h"
#include "cli/measured_rows.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PROFILES_MAX = 64, SEED_MAX = INT32_MAX, THREADS_MAX = 16 };
#define WIDTH_MAX 1000

struct choices {
    const char *output, *profile, *leave_out, *priors, *prior_width, *cross_validate, *seed, *threads, *as_of,
        *version_from, *version_to;
    struct measured_choices measured;
    bool joint, help;
};

static const struct cli_flag flags[] = {
    MEASURED_FLAGS(struct choices, measured),
    {"output", "FILE", "Where the profile goes; else standard output.", offsetof(struct choices, output)},
    {"profile", "NAMES", "Which profiles to fit: \"vllm 0.17,sglang 0.4\". Default: those that cover the rows.",
     offsetof(struct choices, profile)},
    {"leave_out", "NAMES", "Versions whose rows are not believed: \"vllm 0.12\".", offsetof(struct choices, leave_out)},
    {"joint", NULL, "Fit them together: one value of each coefficient that engines share.",
     offsetof(struct choices, joint)},
    {"priors", "WHAT", "Where coefficients start: profile, or physical (from before any fit). Default: profile.",
     offsetof(struct choices, priors)},
    {"prior_width", "NUMBER", "How far rows may take them: times the usual widths. Default: by their number.",
     offsetof(struct choices, prior_width)},
    {"cross_validate", "KEYS", "Groups to leave out: gpu, model, version, or none. Default: gpu,model,version.",
     offsetof(struct choices, cross_validate)},
    {"seed", "N", "Of the split into folds. Default: 1.", offsetof(struct choices, seed)},
    {"threads", "N", "Default: as many as there are processors. Any number gives the same.",
     offsetof(struct choices, threads)},
    {"as_of", "DAY", "The day that the rows say it is of. Default: today.", offsetof(struct choices, as_of)},
    {"version_from", "TEXT", "First version of a range of its own, before the catalog's.",
     offsetof(struct choices, version_from)},
    {"version_to", "TEXT", "And the last. Default: it is open.", offsetof(struct choices, version_to)},
    {"help", NULL, "This text.", offsetof(struct choices, help)},
    {NULL, NULL, NULL, 0},
};

struct fit_run {
    struct choices choices;
    struct measured_rows rows;
    struct fit_options options;
    struct fit_label label;
    const struct engine_profile *profiles[PROFILES_MAX];
    size_t profile_count;
    struct fit fits[PROFILES_MAX];
    size_t fit_count;
    struct arena *arena;
    struct problems *problems;
};

static int print_help(void)
{
    (void)printf(
        "Fits the coefficients of an engine profile to measured rows, by the functions that predict, and writes\n"
        "it in the layout of the catalog's engine_profiles.csv. --profiles of the other commands and of serve\n"
        "lays it over the built-in catalog. See docs/fit.md.\n\n"
        "Usage: gpusize fit --measured FILE [--measured FILE]... [OPTIONS]\n\nExamples:\n"
        "  gpusize fit --measured result.json --gpu h100-sxm --output own.csv\n"
        "  gpusize evaluate --measured result.json --gpu h100-sxm --profiles own.csv\n"
        "  gpusize recommend --model llama-3.1-70b --rps 5 --profiles own.csv\n\nOptions:\n");
    cli_print_flags(flags);
    return puts("\nExit status: 0 fitted; 2 the arguments or a file are wrong, or there are too few rows; 3 failed.") <
                   0
               ? CLI_FAILED
               : CLI_OK;
}

/* --- arguments --- */

static void refuse(struct fit_run *run, const char *flag, const char *value, const char *right)
{
    (void)problems_add(run->problems, STATUS_INVALID_VALUE, flag, "'%.80s' is not %s", value, right);
}

static unsigned parse_keys(struct fit_run *run, const char *text)
{
    unsigned keys = 0;
    if (strcmp(text, "none") == 0) return 0;
    for (size_t length = 0; *text; text += length + (text[length] == ',')) {
        length = strcspn(text, ",");
        enum fit_key key = 0;
        while (key < FIT_KEY_COUNT &&
               (strlen(fit_key_name(key)) != length || strncmp(fit_key_name(key), text, length) != 0))
            key++;
        if (key == FIT_KEY_COUNT) {
            refuse(run, "--cross-validate", text, "a list of gpu, model, version, nor none");
            return 0;
        }
        keys |= 1u << key;
    }
    return keys;
}

static int64_t parse_integer(struct fit_run *run, const char *flag, const char *text, int64_t low, int64_t high)
{
    int64_t value = 0;
    if (!text_parse_int64(text, &value) || value < low || value > high)
        (void)problems_add(run->problems, STATUS_OUT_OF_RANGE, flag, "'%.80s' is no whole number from %lld to %lld",
                           text, (long long)low, (long long)high);
    return value;
}

static void check_choices(struct fit_run *run)
{
    const struct choices *choices = &run->choices;
    struct prior *prior = &run->options.prior;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    prior->physical = strcmp(choices->priors, "physical") == 0;
    prior->width_ratio = UNKNOWN;
    if (!prior->physical && strcmp(choices->priors, "profile") != 0)
        refuse(run, "--priors", choices->priors, "profile or physical");
    if (*choices->prior_width && (!text_parse_double(choices->prior_width, &prior->width_ratio) ||
                                  !(prior->width_ratio > 0 && prior->width_ratio <= WIDTH_MAX)))
        refuse(run, "--prior-width", choices->prior_width, "above 0 and at most 1000");
    run->options.keys = parse_keys(run, choices->cross_validate);
    run->options.seed = run->label.seed = (uint64_t)parse_integer(run, "--seed", choices->seed, 0, SEED_MAX);
    run->options.threads = (unsigned)(processors < 1 ? 1 : processors < THREADS_MAX ? processors : THREADS_MAX);
    if (*choices->threads)
        run->options.threads = (unsigned)parse_integer(run, "--threads", choices->threads, 1, THREADS_MAX);
    run->label.as_of = cli_today();
    if (*choices->as_of && !date_parse(choices->as_of, &run->label.as_of))
        refuse(run, "--as-of", choices->as_of, "a day: YYYY-MM-DD");
    run->label.version_from = *choices->version_from ? choices->version_from : NULL;
    run->label.version_to = choices->version_to;
    if (*choices->version_to && !*choices->version_from)
        (void)problems_add(run->problems, STATUS_MISSING_FIELD, "--version-from", "say where the range begins, too");
    if (*choices->version_from && !strpbrk(choices->version_from, "0123456789"))
        refuse(run, "--version-from", choices->version_from, "a version, such as 0.19");
    if (*choices->version_from && *choices->version_to &&
        engine_version_compare(choices->version_from, choices->version_to) > 0)
        refuse(run, "--version-to", choices->version_to, "a version from --version-from on");
}

static enum status take_arguments(struct fit_run *run, int argc, char **argv)
{
    struct choices *choices = &run->choices;
    *choices = (struct choices){.output = "",
                                .profile = "",
                                .leave_out = "",
                                .priors = "profile",
                                .prior_width = "",
                                .cross_validate = "gpu,model,version",
                                .seed = "1",
                                .threads = "",
                                .as_of = "",
                                .version_from = "",
                                .version_to = ""};
    enum status status = measured_rows_take(&run->rows, flags, argc, argv, choices, &choices->measured);
    if (choices->help) return STATUS_OK;
    check_choices(run);
    enum status checked = measured_rows_check(&run->rows, &choices->measured);
    return status == STATUS_OK ? checked : status;
}

/* --- which profiles --- */

static bool add_profile(struct fit_run *run, const struct engine_profile *profile)
{
    for (size_t i = 0; i < run->profile_count; i++) {
        if (run->profiles[i] == profile) return true;
    }
    if (run->profile_count == PROFILES_MAX) return false;
    run->profiles[run->profile_count++] = profile;
    return true;
}

/* "vllm 0.17": the profile of the catalog that begins there, or covers it. */
static enum status find_profile(struct fit_run *run, const char *text, size_t length)
{
    const struct engine_profile *profile = NULL;
    const char *name = arena_strndup(run->arena, text, length), *space = name ? strchr(name, ' ') : NULL;
    const char *engine = space ? arena_strndup(run->arena, name, (size_t)(space - name)) : name;
    if (!engine) return problems_add(run->problems, STATUS_OUT_OF_MEMORY, "", "no memory");
    enum status status = snapshot_find_profile(run->rows.snapshot, engine, space ? space + 1 : NULL, "--profile",
                                               run->problems, &profile);
    if (status == STATUS_OK && !add_profile(run, profile))
        return problems_add(run->problems, STATUS_INVALID_VALUE, "--profile", "at most %d profiles", PROFILES_MAX);
    return status;
}

/* Runs of one version get its profile; runs of several that share their coefficients the one that gives them. */
static const struct engine_profile *profile_for(const struct fit_run *run, const struct engine_profile *profile)
{
    const struct snapshot *snapshot = run->rows.snapshot;
    const struct engine_profile *root = fit_root(snapshot, profile);
    for (size_t i = 0; i < run->rows.runs.count; i++) {
        const struct run *other = &run->rows.runs.items[i];
        if (other->refused || other->deployment.engine == profile) continue;
        if (fit_root(snapshot, other->deployment.engine) == root) return root;
    }
    return profile;
}

static size_t leave_out_version(const struct fit_run *run, const char *name, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < run->rows.runs.count; i++) {
        struct run *row = &run->rows.runs.items[i];
        char version[FIT_VERSION_BYTES];
        if (row->refused || strncmp(fit_version_name(row, version), name, length) != 0 || version[length]) continue;
        row->refused = "--leave-out";
        count++;
    }
    return count;
}

static enum status leave_out(const struct fit_run *run)
{
    const char *text = run->choices.leave_out;
    enum status status = STATUS_OK;
    for (size_t length = 0; *text; text += length + (text[length] == ',')) {
        length = strcspn(text, ",");
        if (leave_out_version(run, text, length) == 0)
            status = problems_add(run->problems, STATUS_INVALID_VALUE, "--leave-out",
                                  "no row is of '%.*s': name an engine and a version, such as \"vllm 0.12\"",
                                  length > INT8_MAX ? INT8_MAX : (int)length, text);
    }
    return status;
}

static enum status choose_profiles(struct fit_run *run)
{
    const char *text = run->choices.profile;
    enum status status = STATUS_OK;
    for (size_t length = 0; *text && status == STATUS_OK; text += length + (text[length] == ',')) {
        length = strcspn(text, ",");
        status = find_profile(run, text, length);
    }
    for (size_t i = 0; !*run->choices.profile && i < run->rows.runs.count; i++) {
        const struct run *row = &run->rows.runs.items[i];
        if (!row->refused && !add_profile(run, profile_for(run, row->deployment.engine))) break;
    }
    if (status != STATUS_OK) return status;
    if (run->profile_count == 0)
        return problems_add(run->problems, STATUS_INVALID_VALUE, "measured",
                            "not one of %zu rows can be predicted: gpusize evaluate tells why", run->rows.runs.count);
    if (run->label.version_from && run->profile_count > 1)
        return problems_add(run->problems, STATUS_CONTRADICTION, "--version-from",
                            "the rows are of %zu profiles: say which one with --profile", run->profile_count);
    return STATUS_OK;
}

/* --- the work --- */

static void print_progress(void *data, const char *what, size_t done, size_t total)
{
    (void)data;
    (void)fprintf(stderr, "\r\033[K%s %zu of %zu", what, done, total);
}

static enum status fit_all(struct fit_run *run)
{
    size_t together = run->choices.joint ? run->profile_count : 1;
    bool terminal = isatty(STDERR_FILENO);
    run->options.snapshot = run->rows.snapshot;
    run->options.profile_count = together;
    if (terminal) run->options.progress = print_progress;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < run->profile_count && status == STATUS_OK; i += together) {
        run->options.profiles = run->profiles + i;
        status = fit_runs(&run->rows.runs, &run->options, run->arena, run->problems, &run->fits[run->fit_count]);
        run->fit_count += status == STATUS_OK;
    }
    if (terminal) (void)fputs("\r\033[K", stderr);
    return status;
}

/* --- what it prints --- */

static void print_parameter(const struct fit *fit, const struct fitted_parameter *parameter)
{
    char name[CLI_NAME_BYTES];
    bool own = parameter->owner != OWNER_ALL && fit->profile_count > 1;
    (void)snprintf(name, sizeof name, "%s%s%s", parameter->name, own ? " " : "",
                   own ? fit->profiles[parameter->owner]->engine : "");
    (void)fprintf(stderr, "  %-40s %10.4g %10.4g", name, parameter->start, parameter->value);
    if (parameter->informed)
        (void)fprintf(stderr, "  +-%.0f %%%s\n", 100 * parameter->deviation_ratio,
                      parameter->at_bound ? "  at its bound" : "");
    else
        (void)fputs("  kept: no row tells it\n", stderr);
}

enum { PERCENT_BYTES = 16 };
static const char *percent(double ratio, char text[PERCENT_BYTES])
{
    (void)snprintf(text, PERCENT_BYTES, is_known(ratio) ? "%.0f %%" : "-", 100 * ratio);
    return text;
}

static void print_score(const struct fit_score *score)
{
    bool whole = score->key == FIT_KEY_COUNT;
    char name[CLI_NAME_BYTES], covered[PERCENT_BYTES], foreign[PERCENT_BYTES];
    (void)snprintf(name, sizeof name, "%s%s%s", whole ? "in fit" : "without ", whole ? "" : fit_key_name(score->key),
                   score->calibrated ? ", calibrated" : "");
    if (score->group) (void)snprintf(name, sizeof name, "  %s", score->group);
    (void)fprintf(stderr, "  %-40s %-10s %6zu %8.1f %% %7.1f %% %+8.1f %% %9s %9s\n", name, fit_kind_name(score->kind),
                  score->rows, 100 * score->median, 100 * score->p90, 100 * score->bias,
                  percent(score->coverage, covered), percent(score->foreign_coverage, foreign));
}

static void print_refused(const struct runs *runs)
{
    size_t refused = 0;
    for (size_t i = 0; i < runs->count; i++)
        refused += runs->items[i].refused != NULL;
    if (refused > 0)
        (void)fprintf(stderr, "%zu of %zu rows are left out, or cannot be predicted: gpusize evaluate tells why\n\n",
                      refused, runs->count);
}

static void print_summary(const struct fit *fit)
{
    for (size_t i = 0; i < fit->profile_count; i++)
        (void)fprintf(stderr, "%s%s %s", i ? " and " : "", fit->profiles[i]->engine, fit->profiles[i]->version_from);
    (void)fprintf(stderr,
                  ": %zu rows of %zu configurations; left out: %zu not comparable, %zu without an answer; %u steps\n\n",
                  fit->runs, fit->configurations, fit->refused, fit->unanswered, fit->steps);
    (void)fprintf(stderr, "  %-40s %10s %10s  %s\n", "coefficient", "start", "fitted", "known to");
    for (size_t i = 0; i < fit->parameter_count; i++)
        print_parameter(fit, &fit->parameters[i]);
    for (size_t i = 0; i < fit->factor_count; i++)
        (void)fprintf(stderr, "  %-40s %10.4g %10.4g  %zu rows\n", fit->factors[i].name, fit->factors[i].start,
                      fit->factors[i].value, fit->factors[i].rows);
    (void)fprintf(stderr, "\n  %-40s %-10s %6s %10s %9s %10s %9s %9s\n", "errors", "of", "rows", "median", "p90",
                  "bias", "inside", "by others");
    for (size_t i = 0; i < fit->score_count; i++)
        print_score(&fit->scores[i]);
    (void)fputs("\n", stderr);
}

static enum status write_profiles(struct fit_run *run)
{
    const char *path = run->choices.output;
    FILE *file = *path ? fopen(path, "wb") : stdout;
    bool written = file != NULL, header = true;
    for (size_t i = 0; i < run->fit_count; i++) {
        for (size_t profile = 0; written && profile < run->fits[i].profile_count; profile++) {
            const char *text = fit_csv(&run->fits[i], profile, &run->label, header, run->arena);
            written = text && fputs(text, file) >= 0;
            header = false;
        }
    }
    if (file && (*path ? fclose(file) : fflush(file)) != 0) written = false;
    return written ? STATUS_OK
                   : problems_add(run->problems, STATUS_IO, "output", "%s cannot be written", *path ? path : "it");
}

static enum status run_fit(struct fit_run *run)
{
    enum status status = measured_rows_read(&run->rows, &run->choices.measured);
    if (status == STATUS_OK) status = leave_out(run);
    if (status == STATUS_OK) status = choose_profiles(run);
    if (status == STATUS_OK) status = fit_all(run);
    if (status != STATUS_OK) return status;
    print_refused(&run->rows.runs);
    for (size_t i = 0; i < run->fit_count; i++)
        print_summary(&run->fits[i]);
    return write_profiles(run);
}

int cli_fit(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct fit_run run = {.rows = {.arena = &arena, .problems = &problems}, .arena = &arena, .problems = &problems};
    (void)cli;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = take_arguments(&run, argc, argv);
    if (status == STATUS_OK && !run.choices.help) status = run_fit(&run);
    int code = run.choices.help ? print_help() : status == STATUS_OK ? CLI_OK : cli_report(&problems, status);
    measured_rows_done(&run.rows);
    arena_done(&arena);
    return code;
}
