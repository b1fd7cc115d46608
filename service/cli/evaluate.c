/* evaluate.c owns `gpusize evaluate`: its arguments, its files, and what it prints. */
#include "catalog/text.h"
#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/settings.h"
#include "evaluate/read.h"
#include "evaluate/report.h"
#include "store/store.h"
#include "wire/out.h"

#include <stdio.h>
#include <string.h>

enum { FILES_MAX = 64, LINE_ARENA_BYTES = 1 << 20, PARALLEL_MAX = 4096 };

struct choices {
    const char *by, *predictions, *tensor_parallel;
    struct run_defaults defaults;
    bool json, help;
};

static const struct cli_flag flags[] = {
    {"measured", "FILE", "Measured rows; may be given several times.", 0},
    {"by", "NAMES",
     "Tables, and by what: load, engine, version, gpu, model, dtype, kv_dtype, basis, source, joined by +.",
     offsetof(struct choices, by)},
    {"predictions", "FILE", "Writes a line of CSV for each figure.", offsetof(struct choices, predictions)},
    {"json", NULL, "The same as one JSON object.", offsetof(struct choices, json)},
    {"gpu", "NAME", "Of rows that name none.", offsetof(struct choices, defaults.gpu)},
    {"model", "NAME", "Of rows that name none.", offsetof(struct choices, defaults.model)},
    {"engine", "NAME", "Of rows that name none.", offsetof(struct choices, defaults.engine)},
    {"engine_version", "TEXT", "Of rows that state none.", offsetof(struct choices, defaults.engine_version)},
    {"tensor_parallel", "N", "Of rows that state none.", offsetof(struct choices, tensor_parallel)},
    {"weight_dtype", "NAME", "Of rows that state none.", offsetof(struct choices, defaults.weight_dtype)},
    {"kv_dtype", "NAME", "Of rows that state none.", offsetof(struct choices, defaults.kv_dtype)},
    {"help", NULL, "This text.", offsetof(struct choices, help)},
    {NULL, NULL, NULL, 0},
};

struct evaluation {
    struct choices choices;
    struct settings settings;
    struct evaluated_file files[FILES_MAX];
    size_t file_count;
    struct store *store;
    struct snapshot *snapshot;
    struct runs runs;
    struct scores scores;
    struct grouping groupings[GROUPINGS_MAX];
    struct groups groups[GROUPINGS_MAX];
    size_t grouping_count;
    struct refusals refusals;
    struct arena *arena;
    struct problems *problems;
};

static int print_help(void)
{
    (void)printf(
        "Compares what gpusize predicts with what was measured: for each group of rows how far the predictions\n"
        "are off, and how often the measurement lies in the stated interval. See docs/evaluate.md.\n\n"
        "Usage: gpusize evaluate --measured FILE [--measured FILE]... [OPTIONS]\n\n"
        "A file is CSV of throughput rows or of vLLM's start-up logs, or the JSON of vllm bench serve,\n"
        "GuideLLM or llama-bench.\n\nExamples:\n"
        "  gpusize evaluate --measured runs.csv\n"
        "  gpusize evaluate --measured runs.csv --by engine+load,gpu --predictions predictions.csv\n"
        "  gpusize evaluate --measured result.json --gpu h100-sxm --tensor-parallel 2 --weight-dtype fp8\n\n"
        "Options:\n");
    cli_print_flags(flags);
    return puts("\nExit status: 0 evaluated; 2 the arguments or a file are wrong, or nothing could be compared; 3 "
                "failed.") < 0
               ? CLI_FAILED
               : CLI_OK;
}

/* --- arguments --- */

/* Takes the files out of the arguments, of which there may be several. */
static void take_files(struct evaluation *evaluation, int *argc, char **argv)
{
    static const char name[] = "--measured";
    const size_t length = sizeof name - 1;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        bool whole = strcmp(argv[i], name) == 0, joined = strncmp(argv[i], name, length) == 0 && argv[i][length] == '=';
        if (!joined && !(whole && i + 1 < *argc)) {
            argv[kept++] = argv[i];
        } else if (evaluation->file_count == FILES_MAX) {
            (void)problems_add(evaluation->problems, STATUS_INVALID_VALUE, "measured", "at most %d files", FILES_MAX);
            return;
        } else {
            const char *path = joined ? argv[i] + length + 1 : argv[++i];
            evaluation->files[evaluation->file_count++] = (struct evaluated_file){.name = path};
        }
    }
    *argc = kept;
}

static void check_choices(struct evaluation *evaluation)
{
    struct choices *choices = &evaluation->choices;
    struct problems *problems = evaluation->problems;
    double *degree = &choices->defaults.tensor_parallel;
    *degree = UNKNOWN;
    if (*choices->tensor_parallel && (!text_parse_double(choices->tensor_parallel, degree) ||
                                      *degree != floor(*degree) || !(*degree >= 1 && *degree <= PARALLEL_MAX)))
        (void)problems_add(problems, STATUS_INVALID_VALUE, "tensor_parallel", "\"%.40s\" is no number from 1 to %d",
                           choices->tensor_parallel, PARALLEL_MAX);
    if (!evaluation->file_count)
        (void)problems_add(problems, STATUS_MISSING_FIELD, "measured",
                           "say which rows: gpusize evaluate --measured FILE");
    enum status status =
        groupings_parse(choices->by, evaluation->arena, problems, evaluation->groupings, &evaluation->grouping_count);
    (void)status; /* is among the problems */
}

static enum status take_arguments(struct evaluation *evaluation, int argc, char **argv)
{
    bool help = false;
    evaluation->choices = (struct choices){.by = "", .predictions = "", .tensor_parallel = ""};
    evaluation->choices.defaults = (struct run_defaults){"", "", "", "", "", "", UNKNOWN};
    take_files(evaluation, &argc, argv);
    cli_take_flags(flags, &argc, argv, &evaluation->choices, evaluation->problems);
    enum status status =
        settings_read(argc, argv, evaluation->arena, evaluation->problems, &evaluation->settings, &help);
    if (evaluation->choices.help) return STATUS_OK;
    check_choices(evaluation);
    return status == STATUS_OK ? problems_status(evaluation->problems) : status;
}

/* --- the work --- */

static enum status open_catalog(struct evaluation *evaluation)
{
    if (!*evaluation->settings.database_url) {
        evaluation->snapshot = cli_load_catalog();
        return evaluation->snapshot ? STATUS_OK : STATUS_OUT_OF_MEMORY;
    }
    enum status status =
        cli_open_store(&evaluation->settings, "gpusize evaluate", 1, evaluation->problems, &evaluation->store);
    if (status != STATUS_OK) return status;
    return cli_read_catalog(evaluation->store, -1, evaluation->problems, &evaluation->snapshot);
}

static enum status read_files(struct evaluation *evaluation)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < evaluation->file_count && status == STATUS_OK; i++) {
        struct evaluated_file *file = &evaluation->files[i];
        size_t before = evaluation->runs.count;
        status = runs_read(file->name, evaluation->snapshot, &evaluation->choices.defaults, evaluation->arena,
                           evaluation->problems, &evaluation->runs);
        file->rows = evaluation->runs.count - before;
    }
    return status;
}

static enum status make_groups(struct evaluation *evaluation)
{
    struct problems *problems = evaluation->problems;
    enum status status = scores_make(&evaluation->runs, evaluation->arena, problems, &evaluation->scores);
    for (size_t i = 0; i < evaluation->grouping_count && status == STATUS_OK; i++)
        status = groups_make(&evaluation->scores, &evaluation->groupings[i], evaluation->arena, problems,
                             &evaluation->groups[i]);
    if (status != STATUS_OK) return status;
    return refusals_make(&evaluation->scores, evaluation->arena, problems, &evaluation->refusals);
}

/* --- what it writes --- */

static bool write_lines(const struct scores *scores, FILE *file)
{
    struct arena arena;
    bool written = true;
    for (size_t i = 0; i < scores->count && written; i++) {
        arena_init(&arena, LINE_ARENA_BYTES);
        const char *line = report_line(&scores->items[i], i == 0, &arena);
        written = line && fputs(line, file) >= 0;
        arena_done(&arena);
    }
    return written;
}

static enum status write_predictions(const struct evaluation *evaluation)
{
    const char *path = evaluation->choices.predictions;
    if (!*path) return STATUS_OK;
    FILE *file = fopen(path, "wb");
    bool written = file && write_lines(&evaluation->scores, file);
    if (file && fclose(file) != 0) written = false;
    return written ? STATUS_OK
                   : problems_add(evaluation->problems, STATUS_IO, "predictions", "%s cannot be written", path);
}

static enum status print_report(const struct evaluation *evaluation)
{
    struct out out;
    const struct report report = {
        .files = evaluation->files,
        .file_count = evaluation->file_count,
        .scores = &evaluation->scores,
        .groupings = evaluation->groupings,
        .groups = evaluation->groups,
        .grouping_count = evaluation->grouping_count,
        .refusals = &evaluation->refusals,
    };
    out_init(&out, 0);
    (evaluation->choices.json ? report_json : report_text)(&report, &out);
    bool written = evaluation->choices.json ? cli_write_line(&out) : !out.failed && cli_write(out.data, out.length);
    out_done(&out);
    return written ? STATUS_OK : problems_add(evaluation->problems, STATUS_IO, "", "the report cannot be written");
}

static bool anything_scored(const struct scores *scores)
{
    for (size_t i = 0; i < scores->count; i++) {
        if (!scores->items[i].reason) return true;
    }
    return false;
}

static enum status run(struct evaluation *evaluation)
{
    enum status status = open_catalog(evaluation);
    if (status == STATUS_OK) status = read_files(evaluation);
    if (status == STATUS_OK) status = make_groups(evaluation);
    if (status == STATUS_OK) status = write_predictions(evaluation);
    if (status == STATUS_OK) status = print_report(evaluation);
    if (status == STATUS_OK && !anything_scored(&evaluation->scores))
        return problems_add(evaluation->problems, STATUS_INVALID_VALUE, "measured", "not one figure can be compared");
    return status;
}

int cli_evaluate(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct evaluation evaluation = {.arena = &arena, .problems = &problems};
    (void)cli;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = take_arguments(&evaluation, argc, argv);
    if (status == STATUS_OK && !evaluation.choices.help) status = run(&evaluation);
    int code = evaluation.choices.help ? print_help() : status == STATUS_OK ? CLI_OK : cli_report(&problems, status);
    store_close(evaluation.store);
    snapshot_free(evaluation.snapshot);
    arena_done(&arena);
    return code;
}
