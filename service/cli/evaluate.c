/* evaluate.c owns `gpusize evaluate`: its arguments, its files, and what it prints. */
#include "cli/cli.h"
#include "cli/evaluate_training.h"
#include "cli/measured_rows.h"
#include "wire/out.h"

#include <stdio.h>
#include <string.h>

enum { LINE_ARENA_BYTES = 1 << 20 };

struct choices {
    const char *by, *predictions;
    struct measured_choices measured;
    bool json, help;
};

static const struct cli_flag flags[] = {
    MEASURED_FLAGS(struct choices, measured),
    {"by", "NAMES",
     "Which tables: load, engine, version, gpu, model, dtype, kv_dtype, basis, source, or several joined by +.",
     offsetof(struct choices, by)},
    {"predictions", "FILE", "Writes a line of CSV for each figure.", offsetof(struct choices, predictions)},
    {"json", NULL, "The same as one JSON object.", offsetof(struct choices, json)},
    {"help", NULL, "This text.", offsetof(struct choices, help)},
    {NULL, NULL, NULL, 0},
};

struct evaluation {
    struct choices choices;
    struct measured_rows rows;
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
        "GuideLLM or llama-bench. Without a file the measured rows of the database are evaluated.\n\nExamples:\n"
        "  gpusize evaluate --measured runs.csv\n"
        "  gpusize evaluate --measured runs.csv --by engine+load,gpu --predictions predictions.csv\n"
        "  gpusize evaluate --measured result.json --gpu h100-sxm --tensor-parallel 2 --weight-dtype fp8\n"
        "  gpusize evaluate --training runs.csv --coefficients fitted.csv\n\n"
        "With --training FILE (may be given several times) the runs are of training: what is predicted by the\n"
        "bundled coefficients and by fits without each GPU and each model; --coefficients and --json go with it.\n\n"
        "Options:\n");
    cli_print_flags(flags);
    return puts("\nExit status: 0 evaluated; 2 the arguments or a file are wrong, or nothing could be compared; 3 "
                "failed.") < 0
               ? CLI_FAILED
               : CLI_OK;
}

static enum status take_arguments(struct evaluation *evaluation, int argc, char **argv)
{
    struct choices *choices = &evaluation->choices;
    *choices = (struct choices){.by = "", .predictions = ""};
    enum status status = measured_rows_take(&evaluation->rows, flags, argc, argv, choices, &choices->measured);
    if (choices->help) return STATUS_OK;
    enum status checked = measured_rows_check(&evaluation->rows, &choices->measured);
    enum status parsed = groupings_parse(choices->by, evaluation->arena, evaluation->problems, evaluation->groupings,
                                         &evaluation->grouping_count);
    return status != STATUS_OK ? status : checked != STATUS_OK ? checked : parsed;
}

/* --- the work --- */

static enum status make_groups(struct evaluation *evaluation)
{
    struct problems *problems = evaluation->problems;
    enum status status = scores_make(&evaluation->rows.runs, evaluation->arena, problems, &evaluation->scores);
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
        .files = evaluation->rows.files,
        .file_count = evaluation->rows.file_count,
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
    enum status status = measured_rows_read(&evaluation->rows, &evaluation->choices.measured);
    if (status == STATUS_OK) status = make_groups(evaluation);
    if (status == STATUS_OK) status = write_predictions(evaluation);
    if (status == STATUS_OK) status = print_report(evaluation);
    if (status == STATUS_OK && !anything_scored(&evaluation->scores))
        return problems_add(evaluation->problems, STATUS_INVALID_VALUE, "measured", "not one figure can be compared");
    return status;
}

int cli_evaluate(const struct cli *cli, int argc, char **argv)
{
    if (cli_evaluates_training(argc, argv)) return cli_evaluate_training(cli, argc, argv);
    struct arena arena;
    struct problems problems;
    struct evaluation evaluation = {
        .rows = {.arena = &arena, .problems = &problems}, .arena = &arena, .problems = &problems};
    (void)cli;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = take_arguments(&evaluation, argc, argv);
    if (status == STATUS_OK && !evaluation.choices.help) status = run(&evaluation);
    int code = evaluation.choices.help ? print_help() : status == STATUS_OK ? CLI_OK : cli_report(&problems, status);
    measured_rows_done(&evaluation.rows);
    arena_done(&arena);
    return code;
}
