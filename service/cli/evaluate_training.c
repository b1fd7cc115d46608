/* evaluate_training.c owns the arguments and the report of `gpusize evaluate --training`. */
#include "cli/evaluate_training.h"

#include "catalog/load.h"
#include "cli/flags.h"
#include "evaluate/score.h"
#include "fit/conformal.h"
#include "fit/training.h"
#include "wire/out.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TRAINING_FILES_MAX = 16, PROFILES_MAX = 8, FILE_MAX_BYTES = 16 << 20 };
#define FLAG "--training"

struct choices {
    const char *coefficients, *predictions;
    bool json;
};
static const struct cli_flag flags[] = {
    {"coefficients", "FILE", "Writes what was fitted, in the layout of training_profiles.csv.",
     offsetof(struct choices, coefficients)},
    {"predictions", "FILE", "Writes a line for each run of the throughput, predicted by what its GPU left out says.",
     offsetof(struct choices, predictions)},
    {"json", NULL, "The same as one JSON object.", offsetof(struct choices, json)},
    {NULL, NULL, NULL, 0},
};

struct evaluation {
    const char *files[TRAINING_FILES_MAX];
    size_t file_count;
    struct choices choices;
    struct snapshot *snapshot;
    struct training_runs runs;
    struct training_fit fits[PROFILES_MAX];
    size_t fit_count;
    struct arena *arena;
    struct problems *problems;
};

bool cli_evaluates_training(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], FLAG, strlen(FLAG)) == 0) return true;
    }
    return false;
}

/* Files first, since there may be several; the rest are flags. */
static enum status take_arguments(struct evaluation *evaluation, int argc, char **argv)
{
    int left = 1;
    for (int i = 1; i < argc; i++) {
        bool joined = strncmp(argv[i], FLAG "=", strlen(FLAG) + 1) == 0;
        if (!joined && strcmp(argv[i], FLAG) != 0) {
            argv[left++] = argv[i];
            continue;
        }
        const char *file = joined ? argv[i] + strlen(FLAG) + 1 : i + 1 < argc ? argv[++i] : "";
        if (!*file || evaluation->file_count == TRAINING_FILES_MAX)
            return problems_add(evaluation->problems, STATUS_INVALID_VALUE, "training",
                                "name a file, at most %d of them", TRAINING_FILES_MAX);
        evaluation->files[evaluation->file_count++] = file;
    }
    cli_take_flags(flags, &left, argv, &evaluation->choices, evaluation->problems);
    for (int i = 1; i < left; i++)
        (void)problems_add(evaluation->problems, STATUS_UNKNOWN_FIELD, argv[i],
                           "no such option beside --training: there are --coefficients, --predictions and --json");
    return problems_status(evaluation->problems);
}

static enum status read_files(struct evaluation *evaluation)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < evaluation->file_count && status == STATUS_OK; i++) {
        const char *text = NULL;
        size_t length = 0;
        status = cli_read_file(evaluation->files[i], FILE_MAX_BYTES, evaluation->arena, "training",
                               evaluation->problems, &text, &length);
        char *copy = status == STATUS_OK ? arena_strndup(evaluation->arena, text, length) : NULL;
        if (status == STATUS_OK && !copy) status = STATUS_OUT_OF_MEMORY;
        if (status == STATUS_OK)
            status = training_runs_read(evaluation->files[i], copy, length, evaluation->snapshot, evaluation->arena,
                                        evaluation->problems, &evaluation->runs);
    }
    return status;
}

static enum status fit_profiles(struct evaluation *evaluation)
{
    const struct snapshot *snapshot = evaluation->snapshot;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < snapshot->training_profile_count && i < PROFILES_MAX && status == STATUS_OK; i++) {
        status = training_fit_runs(&evaluation->runs, &snapshot->training_profiles[i], evaluation->arena,
                                   &evaluation->fits[i]);
        if (status == STATUS_OK) evaluation->fit_count++;
    }
    return status;
}

/* --- figures ---------------------------------------------------------------------------------------------------- */

struct figures {
    size_t rows;
    double median, p90, bias, factor; /* factor: x and / that 90 % of the rows lie within */
    double covered;                   /* by the intervals of answers */
};

/* Of errors ln(predicted / measured), which are used up; how many are covered is not theirs to know. */
static struct figures figures_of(double *errors, size_t count, struct arena *arena)
{
    struct figures figures = {
        .rows = count, .median = UNKNOWN, .p90 = UNKNOWN, .bias = UNKNOWN, .covered = UNKNOWN, .factor = UNKNOWN};
    double *sizes = ARENA_ARRAY(arena, count + 1, double);
    if (!sizes || count == 0) return figures;
    for (size_t i = 0; i < count; i++)
        sizes[i] = fabs(expm1(errors[i]));
    figures.median = score_quantile(sizes, count, 0.5);
    figures.p90 = score_quantile(sizes, count, 0.9);
    figures.bias = score_quantile(errors, count, 0.5);
    figures.factor = conformal_factor(errors, count, COVERAGE_RATIO);
    return figures;
}

/* By holdout, or of the bundled coefficients (-1); of one profile, or of all (NULL). */
static struct figures time_figures(const struct evaluation *evaluation, const struct training_fit *only, int holdout)
{
    double *errors = ARENA_ARRAY(evaluation->arena, evaluation->runs.count + 1, double);
    size_t count = 0, covered = 0;
    for (size_t i = 0; errors && i < evaluation->fit_count; i++) {
        const struct training_fit *fit = &evaluation->fits[i];
        if (only && fit != only) continue;
        const struct training_coefs *coef = &fit->profile->coef;
        double interval = holdout > TRAINING_IN_FIT ? coef->time_factor : coef->fitted_time_factor;
        for (size_t j = 0; j < fit->error_count; j++) {
            errors[count] = holdout < 0 ? fit->errors[j].bundled : fit->errors[j].fitted[holdout];
            covered += fabs(errors[count++]) <= log(interval);
        }
    }
    struct figures figures = figures_of(errors, count, evaluation->arena);
    if (count > 0) figures.covered = (double)covered / (double)count;
    return figures;
}

static bool has_memory(const struct training_run *run)
{
    return !run->refused && is_known(run->peak_bytes);
}

struct memory_figures {
    size_t rows, inside, safely_inside;
    struct figures nearest;
};

static struct memory_figures memory_figures(const struct evaluation *evaluation)
{
    struct memory_figures figures = {0};
    double *errors = ARENA_ARRAY(evaluation->arena, evaluation->runs.count + 1, double);
    for (size_t i = 0; errors && i < evaluation->runs.count; i++) {
        const struct training_run *run = &evaluation->runs.items[i];
        struct training_span span;
        if (!has_memory(run)) continue;
        training_run_span(run, &span);
        errors[figures.rows++] = log(span.nearest.total_bytes.value / run->peak_bytes);
        figures.inside += span.low_bytes <= run->peak_bytes && run->peak_bytes <= span.high_bytes;
        figures.safely_inside += span.safe_low_bytes <= run->peak_bytes && run->peak_bytes <= span.safe_high_bytes;
    }
    figures.nearest = figures_of(errors, figures.rows, evaluation->arena);
    return figures;
}

/* --- the report ------------------------------------------------------------------------------------------------- */

static const char *holdout_name(int holdout)
{
    return holdout < 0 ? "bundled" : training_holdout_name((enum training_holdout)holdout);
}

static void print_time(const struct evaluation *evaluation)
{
    (void)printf("\nthroughput\n%-10s %-18s %6s %8s %8s %8s %8s %8s\n", "profile", "coefficients", "rows", "median",
                 "p90", "bias", "x/ 90%", "covered");
    for (size_t i = 0; i <= evaluation->fit_count; i++) {
        const struct training_fit *fit = i < evaluation->fit_count ? &evaluation->fits[i] : NULL;
        for (int holdout = -1; holdout < TRAINING_HOLDOUT_COUNT; holdout++) {
            struct figures figures = time_figures(evaluation, fit, holdout);
            if (figures.rows == 0) break;
            (void)printf("%-10s %-18s %6zu %7.1f%% %7.1f%% %+7.1f%% %8.3f %7.1f%%\n", fit ? fit->profile->name : "all",
                         holdout_name(holdout), figures.rows, 100 * figures.median, 100 * figures.p90,
                         100 * expm1(figures.bias), figures.factor, 100 * figures.covered);
        }
    }
}

/* One group of the rows of a fit, by the coefficients of a fit without it and by the bundled ones. */
struct group {
    const struct training_fit *fit;
    enum training_holdout holdout;
    const char *name;
    struct figures left_out, bundled;
};

static struct group make_group(const struct evaluation *evaluation, const struct training_fit *fit,
                               enum training_holdout holdout, const char *name)
{
    struct group group = {.fit = fit, .holdout = holdout, .name = name};
    double *left_out = ARENA_ARRAY(evaluation->arena, 2 * (fit->error_count + 1), double);
    double *bundled = left_out + fit->error_count + 1;
    size_t count = 0;
    for (size_t i = 0; left_out && i < fit->error_count; i++) {
        if (strcmp(training_group_of(fit->errors[i].run, holdout), name) != 0) continue;
        bundled[count] = fit->errors[i].bundled;
        left_out[count++] = fit->errors[i].fitted[holdout];
    }
    group.left_out = figures_of(left_out, count, evaluation->arena);
    group.bundled = figures_of(bundled, count, evaluation->arena);
    return group;
}

/* In the order of their first rows. */
static void each_group(const struct evaluation *evaluation, void (*take)(const struct group *group, struct out *out),
                       struct out *out)
{
    for (size_t i = 0; i < evaluation->fit_count; i++) {
        const struct training_fit *fit = &evaluation->fits[i];
        for (int key = TRAINING_WITHOUT_GPU; key < TRAINING_HOLDOUT_COUNT; key++) {
            for (size_t j = 0; j < fit->error_count; j++) {
                const char *name = training_group_of(fit->errors[j].run, (enum training_holdout)key);
                bool first = true;
                for (size_t k = 0; k < j && first; k++)
                    first = strcmp(training_group_of(fit->errors[k].run, (enum training_holdout)key), name) != 0;
                if (!first) continue;
                struct group group = make_group(evaluation, fit, (enum training_holdout)key, name);
                take(&group, out);
            }
        }
    }
}

static void print_group(const struct group *group, struct out *out)
{
    const struct figures *figures = &group->left_out;
    (void)out;
    (void)printf("%-10s %-18s %-20s %6zu %7.1f%% %7.1f%% %+7.1f%%\n", group->fit->profile->name,
                 training_holdout_name(group->holdout), group->name, figures->rows, 100 * figures->median,
                 100 * figures->p90, 100 * expm1(figures->bias));
}

/* What was left out, group by group. */
static void print_groups(const struct evaluation *evaluation)
{
    (void)printf("\nleft out\n%-10s %-18s %-20s %6s %8s %8s %8s\n", "profile", "coefficients", "group", "rows",
                 "median", "p90", "bias");
    each_group(evaluation, print_group, NULL);
}

static void print_memory(const struct evaluation *evaluation)
{
    struct memory_figures figures = memory_figures(evaluation);
    if (figures.rows == 0) return;
    (void)printf("\nmemory of one GPU, GiB, over the optimizers and the recompute that a row does not state\n"
                 "%-16s %-34s %9s %9s %9s %9s %9s\n",
                 "model", "method", "measured", "low", "high", "safe low", "safe high");
    for (size_t i = 0; i < evaluation->runs.count; i++) {
        const struct training_run *run = &evaluation->runs.items[i];
        struct training_span span;
        if (!has_memory(run)) continue;
        training_run_span(run, &span);
        (void)printf("%-16s %-8s on %u, %5.0f tokens %-10s %9.2f %9.2f %9.2f %9.2f %9.2f\n", run->model_name,
                     training_method_names[run->setup.method], run->setup.gpus,
                     run->setup.sequence_tokens * run->setup.micro_batch_sequences,
                     training_offload_names[run->setup.offload], run->peak_bytes / GIB, span.low_bytes / GIB,
                     span.high_bytes / GIB, span.safe_low_bytes / GIB, span.safe_high_bytes / GIB);
    }
    (void)printf(
        "%zu rows; %zu inside, %zu with the estimate's own interval; off from the nearest by %.1f %% (median), "
        "%.1f %% (p90)\n",
        figures.rows, figures.inside, figures.safely_inside, 100 * figures.nearest.median, 100 * figures.nearest.p90);
}

static void print_refused(const struct evaluation *evaluation)
{
    (void)puts("\nnot compared");
    for (size_t i = 0; i < evaluation->runs.count; i++) {
        const char *reason = evaluation->runs.items[i].refused;
        size_t rows = 0;
        bool first = reason != NULL;
        for (size_t j = 0; j < evaluation->runs.count && reason; j++) {
            const char *other = evaluation->runs.items[j].refused;
            if (!other || strcmp(other, reason) != 0) continue;
            if (j < i) first = false;
            rows++;
        }
        if (first) (void)printf("%6zu %s\n", rows, reason);
    }
}

static void put_figures(struct out *out, const struct figures *figures)
{
    out_integer(out, "rows", (int64_t)figures->rows);
    out_number(out, "median_error_ratio", figures->median);
    out_number(out, "p90_error_ratio", figures->p90);
    out_number(out, "median_log_bias", figures->bias);
    out_number(out, "factor_90", figures->factor);
    out_number(out, "interval_coverage_ratio", figures->covered);
}

static void put_group(const struct group *group, struct out *out)
{
    out_object(out, NULL);
    out_text(out, "profile", group->fit->profile->name);
    out_text(out, "by", group->holdout == TRAINING_WITHOUT_GPU ? "gpu" : "model");
    out_text(out, "group", group->name);
    out_object(out, "bundled");
    put_figures(out, &group->bundled);
    out_object_end(out);
    out_object(out, "left_out");
    put_figures(out, &group->left_out);
    out_object_end(out);
    out_object_end(out);
}

static void put_memory_rows(const struct evaluation *evaluation, struct out *out)
{
    out_array(out, "rows_of_memory");
    for (size_t i = 0; i < evaluation->runs.count; i++) {
        const struct training_run *run = &evaluation->runs.items[i];
        struct training_span span;
        if (!has_memory(run)) continue;
        training_run_span(run, &span);
        out_object(out, NULL);
        out_text(out, "model", run->model_name);
        out_text(out, "method", training_method_names[run->setup.method]);
        out_integer(out, "gpu_count", run->setup.gpus);
        out_number(out, "measured_gib", round6(run->peak_bytes / GIB));
        out_number(out, "low_gib", round6(span.low_bytes / GIB));
        out_number(out, "high_gib", round6(span.high_bytes / GIB));
        out_number(out, "interval_low_gib", round6(span.safe_low_bytes / GIB));
        out_number(out, "interval_high_gib", round6(span.safe_high_bytes / GIB));
        out_object_end(out);
    }
    out_array_end(out);
}

static void put_throughput(const struct evaluation *evaluation, struct out *out)
{
    out_array(out, "throughput");
    for (size_t i = 0; i <= evaluation->fit_count; i++) {
        const struct training_fit *fit = i < evaluation->fit_count ? &evaluation->fits[i] : NULL;
        for (int holdout = -1; holdout < TRAINING_HOLDOUT_COUNT; holdout++) {
            struct figures figures = time_figures(evaluation, fit, holdout);
            out_object(out, NULL);
            out_text(out, "profile", fit ? fit->profile->name : "all");
            out_text(out, "coefficients", holdout_name(holdout));
            put_figures(out, &figures);
            out_object_end(out);
        }
    }
    out_array_end(out);
}

static void put_json(const struct evaluation *evaluation, struct out *out)
{
    struct memory_figures memory = memory_figures(evaluation);
    out_object(out, NULL);
    out_integer(out, "runs", (int64_t)evaluation->runs.count);
    put_throughput(evaluation, out);
    out_array(out, "groups");
    each_group(evaluation, put_group, out);
    out_array_end(out);
    out_object(out, "memory");
    put_figures(out, &memory.nearest);
    out_integer(out, "inside", (int64_t)memory.inside);
    out_integer(out, "inside_with_interval", (int64_t)memory.safely_inside);
    out_object_end(out);
    put_memory_rows(evaluation, out);
    out_object_end(out);
}

static enum status print_json(const struct evaluation *evaluation)
{
    struct out out;
    out_init(&out, 0);
    put_json(evaluation, &out);
    bool written = cli_write_line(&out);
    out_done(&out);
    return written ? STATUS_OK : problems_add(evaluation->problems, STATUS_IO, "", "the report cannot be written");
}

static void put_coefficients(const struct evaluation *evaluation, FILE *file)
{
    (void)fputs("profile,coefficient,value\n", file);
    for (size_t i = 0; i < evaluation->fit_count; i++) {
        struct training_profile fitted = evaluation->fits[i].fitted;
        for (size_t c = 0; c < training_coef_count; c++) {
            if (training_fit_changes(c))
                (void)fprintf(file, "%s,%s,%.4g\n", fitted.name, training_coef_infos[c].name,
                              *training_coef_at(&fitted, c));
        }
    }
}

/* Names of the files' own; those of GPUs and models have no commas. */
static void put_predictions(const struct evaluation *evaluation, FILE *file)
{
    (void)fputs(
        "profile,line,model,gpu,gpus,precision,sequence_tokens,micro_batch_sequences,recompute,measured,bundled,"
        "without_gpu,without_model\n",
        file);
    for (size_t i = 0; i < evaluation->fit_count; i++) {
        for (size_t j = 0; j < evaluation->fits[i].error_count; j++) {
            const struct training_error *error = &evaluation->fits[i].errors[j];
            const struct training_setup *setup = &error->run->setup;
            double measured = error->run->tokens_per_second_per_gpu;
            (void)fprintf(file, "%s,%u,%s,%s,%u,%s,%.0f,%.0f,%s,%.6g,%.6g,%.6g,%.6g\n", setup->profile->name,
                          error->run->line, error->run->model_name, error->run->gpu_name, setup->gpus,
                          training_precision_names[setup->precision], setup->sequence_tokens,
                          setup->micro_batch_sequences, training_recompute_names[setup->recompute], measured,
                          measured * exp(error->bundled), measured * exp(error->fitted[TRAINING_WITHOUT_GPU]),
                          measured * exp(error->fitted[TRAINING_WITHOUT_MODEL]));
        }
    }
}

/* Nothing where no file was named. */
static enum status write_file(const struct evaluation *evaluation, const char *path, const char *flag,
                              void (*put)(const struct evaluation *evaluation, FILE *file))
{
    if (!path || !*path) return STATUS_OK;
    FILE *file = fopen(path, "wb");
    if (!file) return problems_add(evaluation->problems, STATUS_IO, flag, "%s cannot be written", path);
    put(evaluation, file);
    bool failed = ferror(file);
    if (fclose(file) != 0 || failed)
        return problems_add(evaluation->problems, STATUS_IO, flag, "%s cannot be written", path);
    return STATUS_OK;
}

static enum status run(struct evaluation *evaluation)
{
    enum status status = catalog_load(catalog_bundled(), evaluation->problems, &evaluation->snapshot);
    if (status == STATUS_OK) status = read_files(evaluation);
    if (status == STATUS_OK) status = fit_profiles(evaluation);
    if (status == STATUS_OK)
        status = write_file(evaluation, evaluation->choices.coefficients, "coefficients", put_coefficients);
    if (status == STATUS_OK)
        status = write_file(evaluation, evaluation->choices.predictions, "predictions", put_predictions);
    if (status != STATUS_OK) return status;
    if (evaluation->choices.json) return print_json(evaluation);
    (void)printf("%zu training runs of %zu files\n", evaluation->runs.count, evaluation->file_count);
    print_time(evaluation);
    print_groups(evaluation);
    print_memory(evaluation);
    print_refused(evaluation);
    return fflush(stdout) == 0 ? STATUS_OK
                               : problems_add(evaluation->problems, STATUS_IO, "", "the report cannot be written");
}

int cli_evaluate_training(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct evaluation evaluation = {.arena = &arena, .problems = &problems};
    (void)cli;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = take_arguments(&evaluation, argc, argv);
    if (status == STATUS_OK) status = run(&evaluation);
    int code = status == STATUS_OK ? CLI_OK : cli_report(&problems, status);
    snapshot_free(evaluation.snapshot);
    arena_done(&arena);
    return code;
}
