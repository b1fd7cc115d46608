/* table.c owns the layout of answers for people: aligned columns, memory bars, reasons. It reads the finished answer
 * through the same encoder as spreadsheets do, so it can show nothing that they cannot. */
#include "cli/table.h"

#include "catalog/csv.h"
#include "catalog/text.h"
#include "wire/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_COLUMNS_MAX = 16, TABLE_ROWS_MAX = 2000, BAR_CELLS = 40, BAR_PARTS_MAX = 8 };

enum cell_form { AS_IS, SHORT, MONEY, IF_ANY }; /* IF_ANY: a last column that is left out where it is empty */

struct column {
    const char *path, *title; /* path in the CSV; NULL ends the list */
    enum cell_form form;
};

struct layout { /* how an operation is shown */
    const char *operation;
    const struct column *columns; /* of its rows; NULL = no table */
    const char *const *lines;     /* format and path in turn: one line each, left out when the value is null */
    const struct bar *bar;        /* NULL = none */
    const char *when;             /* only if there is a value at this path; NULL = always */
    const char *rows;             /* a table of the operation; NULL = its usual rows */
    size_t most;                  /* rows that are shown; 0 = TABLE_ROWS_MAX */
};

struct part {
    const char *member, *name, *glyph, *ascii; /* member: of the memory; NULL ends the list */
};
struct bar { /* the memory of one GPU as a line */
    const char *path, *title;
    const struct part *parts;
};

static const struct column fleet_columns[] = {
    {"rank", "#", AS_IS},
    {"gpu", "GPU", AS_IS},
    {"gpu_count", "count", AS_IS},
    {"provider", "provider", AS_IS},
    {"region", "region", AS_IS},
    {"purchase", "purchase", AS_IS},
    {"replicas", "repl", AS_IS},
    {"tensor_parallel", "tp", AS_IS},
    {"weight_dtype", "weights", AS_IS},
    {"performance_output_tokens_per_second_value", "tok/s", SHORT},
    {"performance_ttft_ms_value", "TTFT ms", SHORT},
    {"performance_tpot_ms_value", "TPOT ms", SHORT},
    {"cost_cost_per_hour_usd", "USD/h", MONEY},
    {"cost_total_cost_usd", "total USD", MONEY},
    {"excluded_by", "barred by", IF_ANY},
    {NULL, NULL, AS_IS},
};
static const struct column dtype_columns[] = {
    {"weight_dtype", "weights", AS_IS},
    {"weights_total_gib", "GiB", SHORT},
    {"quantised_gib", "quantised", SHORT},
    {"scales_gib", "scales", SHORT},
    {"unquantised_gib", "unquantised", SHORT},
    {"compression_ratio", "compression", SHORT},
    {"min_gpu_count", "GPUs", AS_IS},
    {"max_concurrency", "requests", SHORT},
    {"max_context_tokens", "context", AS_IS},
    {"output_tokens_per_second_value", "tok/s", SHORT},
    {"tpot_ms_value", "TPOT ms", SHORT},
    {"quality_note", "quality", IF_ANY},
    {NULL, NULL, AS_IS},
};
static const struct column plan_columns[] = {
    {"gpu", "GPU", AS_IS},
    {"layout_gpu_count", "count", AS_IS},
    {"cost_provider", "provider", AS_IS},
    {"cost_purchase", "purchase", AS_IS},
    {"layout_sharding", "sharding", AS_IS},
    {"layout_tensor_parallel", "tp", AS_IS},
    {"layout_pipeline_parallel", "pp", AS_IS},
    {"layout_recompute", "recompute", AS_IS},
    {"layout_micro_batch_sequences", "seqs", AS_IS},
    {"time_tokens_per_second_value", "tok/s", SHORT},
    {"time_mfu_ratio", "MFU", SHORT},
    {"time_hours_value", "hours", SHORT},
    {"cost_usd_per_hour", "USD/h", MONEY},
    {"cost_total_usd_value", "total USD", MONEY},
    {NULL, NULL, AS_IS},
};
static const struct column payment_columns[] = {
    {"purchase", "pay", AS_IS},
    {"provider", "provider", AS_IS},
    {"instance_count", "instances", AS_IS},
    {"gpus_paid", "GPUs", AS_IS},
    {"usd_per_hour", "USD/h", MONEY},
    {"hardware_usd", "hardware USD", MONEY},
    {"hours_value", "hours", SHORT},
    {"total_usd_value", "total USD", MONEY},
    {"break_even_hours", "pays after hours", SHORT},
    {NULL, NULL, AS_IS},
};
static const struct column rejected_columns[] = {
    {"gpu", "other GPU", AS_IS},     {"reason", "reason", AS_IS}, {"needed", "needed", SHORT},
    {"available", "against", SHORT}, {"unit", "unit", AS_IS},     {NULL, NULL, AS_IS},
};
static const struct column gpu_columns[] = {
    {"id", "GPU", AS_IS},
    {"name", "name", AS_IS},
    {"vendor", "vendor", AS_IS},
    {"architecture", "architecture", AS_IS},
    {"memory_nominal_gb", "GB", AS_IS},
    {"memory_bandwidth_gb_per_s", "GB/s", SHORT},
    {"tdp_watts", "W", AS_IS},
    {NULL, NULL, AS_IS},
};
static const struct column calibration_columns[] = {
    {"id", "calibration", AS_IS},
    {"pool", "pool", AS_IS},
    {"gpu", "GPU", AS_IS},
    {"state", "state", AS_IS},
    {"memory_gb_per_s", "GB/s", SHORT},
    {"share_ratio_memory", "of peak", SHORT},
    {"fp16_tflops", "16-bit TFLOP/s", SHORT},
    {"share_ratio_product_16bit", "of peak", SHORT},
    {"driver", "driver", AS_IS},
    {"as_of", "as of", AS_IS},
    {"reason", "reason", IF_ANY},
    {NULL, NULL, AS_IS},
};
static const struct column model_columns[] = {
    {"id", "model", AS_IS},
    {"parameters", "parameters", AS_IS},
    {"active_parameters", "active", AS_IS},
    {"layers", "layers", AS_IS},
    {"attention_kind", "attention", AS_IS},
    {"native_dtype", "dtype", AS_IS},
    {"max_position_tokens", "context", AS_IS},
    {NULL, NULL, AS_IS},
};
static const struct column engine_columns[] = {
    {"engine", "engine", AS_IS}, {"version_from", "from", AS_IS},
    {"version_to", "to", AS_IS}, {"as_of", "as of", AS_IS},
    {NULL, NULL, AS_IS},
};
static const struct column offer_columns[] = {
    {"provider", "provider", AS_IS},
    {"instance_type", "instance", AS_IS},
    {"region", "region", AS_IS},
    {"gpu", "GPU", AS_IS},
    {"gpu_count", "count", AS_IS},
    {"purchase", "purchase", AS_IS},
    {"usd_per_hour", "USD/h", MONEY},
    {"as_of", "as of", AS_IS},
    {NULL, NULL, AS_IS},
};
static const struct column price_day_columns[] = {
    {"gpu", "GPU", AS_IS},
    {"purchase", "purchase", AS_IS},
    {"day", "day", AS_IS},
    {"min_usd_per_gpu_hour", "min USD/GPU/h", MONEY},
    {"median_usd_per_gpu_hour", "median", MONEY},
    {"max_usd_per_gpu_hour", "max", MONEY},
    {"provider_count", "providers", AS_IS},
    {"offer_count", "offers", AS_IS},
    {NULL, NULL, AS_IS},
};
static const struct column price_span_columns[] = {
    {"provider", "provider", AS_IS},  {"instance_type", "instance", AS_IS},
    {"region", "region", AS_IS},      {"gpu", "GPU", AS_IS},
    {"gpu_count", "count", AS_IS},    {"purchase", "purchase", AS_IS},
    {"from", "from", AS_IS},          {"until", "until", AS_IS},
    {"usd_per_hour", "USD/h", MONEY}, {NULL, NULL, AS_IS},
};
static const char *const history_lines[] = {
    "Series: %s\n", "total_count", "More with --cursor %s\n", "next_cursor", NULL,
};
static const char *const fleet_lines[] = {
    "Why: %s\n",   "recommended.explanation",    "Asked: %s\n",  "gpu_explanation",
    "Start: %s\n", "recommended.launch_command", "Verify: %s\n", "recommended.verify_command",
    NULL,
};
static const char *const memory_lines[] = {
    "Fits: %s\n",
    "fits",
    "Most requests of the longest length: %s\n",
    "max_concurrency",
    "Longest context: %s tokens\n",
    "max_context_tokens",
    "Fewest GPUs: %s\n",
    "min_gpu_count",
    "Weights: %s GiB (the article's rule)\n",
    "weights_gib",
    NULL,
};
static const char *const throughput_lines[] = {
    "Output: %s tokens/s\n",
    "output_tokens_per_second",
    "  from %s\n",
    "output_tokens_per_second.low",
    "  to %s\n",
    "output_tokens_per_second.high",
    "Total: %s tokens/s\n",
    "total_tokens_per_second",
    "TTFT: %s ms\n",
    "ttft_ms",
    "TPOT: %s ms\n",
    "tpot_ms",
    "Meets the limits with probability %s\n",
    "meets_slo_probability_ratio",
    "Replicas needed: %s\n",
    "replicas_needed",
    "Power: %s W\n",
    "power_watts",
    "Bound by: %s\n",
    "bound_by",
    "Basis: %s\n",
    "basis",
    "Nearest measurement: %s\n",
    "provenance.measurements.0.source",
    "  run %s\n",
    "provenance.measurements.0.uid",
    "  weight %s of 1\n",
    "provenance.measurements.0.weight_ratio",
    NULL,
};

static const char *const training_lines[] = {
    "Memory: %s GiB\n",
    "plan.memory.total_gib",
    "  from %s\n",
    "plan.memory.total_gib.low",
    "  to %s\n",
    "plan.memory.total_gib.high",
    "  surely fits: %s\n",
    "plan.memory.fits_safely",
    "Hours: %s\n",
    "plan.time.hours",
    "  from %s\n",
    "plan.time.hours.low",
    "  to %s\n",
    "plan.time.hours.high",
    "  within the deadline with probability %s\n",
    "plan.meets_deadline_probability_ratio",
    "  within the budget with probability %s\n",
    "plan.meets_budget_probability_ratio",
    "Days: %s\n",
    "plan.time.days",
    "Tokens of a step: %s\n",
    "plan.time.step_tokens",
    "Energy: %s kWh\n",
    "plan.time.energy_kwh",
    "Checkpoint: %s GiB\n",
    "plan.interruptions.checkpoint_gib",
    "  every %s minutes\n",
    "plan.interruptions.checkpoint_interval_minutes",
    "  hours lost to interruptions: %s\n",
    "plan.interruptions.extra_hours",
    "Full recompute saves %s of the memory\n",
    "plan.recompute.full.memory_saved_ratio",
    "  and adds %s to the time\n",
    "plan.recompute.full.time_added_ratio",
    "Basis of the time: %s\n",
    "plan.time.hours.basis",
    NULL,
};
static const char *const article_training_lines[] = {
    "Parameters: %s GiB\n",
    "memory.parameters_gib",
    "Gradients: %s GiB\n",
    "memory.gradients_gib",
    "Optimizer: %s GiB\n",
    "memory.optimizer_gib",
    "Activations: %s GiB\n",
    "memory.activations_gib",
    "Total: %s GiB (the article's rule)\n",
    "memory.total_gib",
    NULL,
};

static const struct column batch_columns[] = {
    {"batch_size", "batch", AS_IS},
    {"memory_gib", "GiB", SHORT},
    {"output_tokens_per_second_value", "tok/s", SHORT},
    {"ttft_ms_value", "TTFT ms", SHORT},
    {"tpot_ms_value", "TPOT ms", SHORT},
    {"meets_slo_probability_ratio", "P(limits)", SHORT},
    {"bound_by", "bound by", AS_IS},
    {NULL, NULL, AS_IS},
};
static const struct column batch_plan_columns[] = {
    {"batch_kind", "kind", AS_IS},
    {"order", "order", AS_IS},
    {"batch_count", "batches", AS_IS},
    {"largest_batch_size", "largest", AS_IS},
    {"kv_utilization_ratio", "KV used", SHORT},
    {"padding_ratio", "padding", SHORT},
    {"total_seconds_value", "seconds", SHORT},
    {NULL, NULL, AS_IS},
};
static const struct column assignment_columns[] = {
    {"line", "line", AS_IS},
    {"id", "id", AS_IS},
    {"batch", "batch", AS_IS},
    {NULL, NULL, AS_IS},
};
static const char *const batch_lines[] = {
    "Best batch size: %s\n",
    "batch.best_batch_size",
    "  bound by %s\n",
    "batch.best_bound",
    "Largest: %s\n",
    "batch.largest_batch_size",
    "  bound by %s\n",
    "batch.largest_bound",
    "Requests: %s\n",
    "trace.request_count",
    "  that fit no batch: %s\n",
    "trace.unplaceable_count",
    "  the first: line %s\n",
    "trace.unplaceable[0].line",
    "  because: %s\n",
    "trace.unplaceable[0].reason",
    NULL,
};

static const struct part serving_parts[] = {
    {"weights_gib", "weights", "█", "#"},  {"lora_gib", "adapters", "▚", "l"},
    {"draft_gib", "draft", "▟", "d"},      {"activations_gib", "activations", "▓", "a"},
    {"overhead_gib", "engine", "▒", "e"},  {"kv_cache_gib", "KV in use", "▞", "k"},
    {"headroom_gib", "KV free", "░", "."}, {NULL, NULL, NULL, NULL},
};
static const struct part training_parts[] = {
    {"weights_gib", "weights", "█", "#"},
    {"gradients_gib", "gradients", "▚", "g"},
    {"optimizer_gib", "optimizer", "▞", "o"},
    {"gathered_gib", "gathered", "▟", "y"},
    {"activations_gib", "activations", "▓", "a"},
    {"logits_gib", "logits", "▤", "t"},
    {"overhead_gib", "outside tensors", "▒", "e"},
    {"headroom_gib", "free", "░", "."},
    {NULL, NULL, NULL, NULL},
};
enum { MEMORY_BAR, RECOMMEND_BAR, TRAINING_BAR };
static const struct bar bars[] = {
    [MEMORY_BAR] = {"memory", " in use by the engine", serving_parts},
    [RECOMMEND_BAR] = {"recommended.memory", " in use by the engine", serving_parts},
    [TRAINING_BAR] = {"plan.memory", "", training_parts},
};

static const struct layout layouts[] = {
    {"recommend", fleet_columns, fleet_lines, &bars[RECOMMEND_BAR], NULL, NULL, 0},
    {"cost", fleet_columns, NULL, NULL, NULL, NULL, 0},
    {"memory", NULL, memory_lines, &bars[MEMORY_BAR], NULL, NULL, 0},
    {"memory", dtype_columns, NULL, NULL, "by_dtype[0].max_context_tokens", "by_dtype", 0},
    {"throughput", NULL, throughput_lines, NULL, NULL, NULL, 0},
    {"training", plan_columns, training_lines, &bars[TRAINING_BAR], "plan.gpu", "plan", 0},
    {"training", payment_columns, NULL, NULL, "payments[0].purchase", "payments", 0},
    {"training", rejected_columns, NULL, NULL, "rejected[0].gpu", "rejected", 6},
    {"training", NULL, article_training_lines, NULL, NULL, NULL, 0},
    {"gpus", gpu_columns, NULL, NULL, NULL, NULL, 0},
    {"calibrations", calibration_columns, NULL, NULL, NULL, NULL, 0},
    {"models", model_columns, NULL, NULL, NULL, NULL, 0},
    {"engines", engine_columns, NULL, NULL, NULL, NULL, 0},
    {"offers", offer_columns, NULL, NULL, NULL, NULL, 0},
    {"offers_history", price_day_columns, NULL, NULL, "points[0].day", NULL, 0},
    {"offers_history", price_span_columns, NULL, NULL, "points[0].from", NULL, 0},
    {"offers_history", NULL, history_lines, NULL, NULL, NULL, 0},
    {"batch_plan", NULL, batch_lines, NULL, NULL, NULL, 0},
    {"batch_plan", batch_columns, NULL, NULL, "curve[0].batch_size", "curve", 0},
    {"batch_plan", batch_plan_columns, NULL, NULL, "trace.plans[0].order", "trace.plans", 0},
    {"batch_plan", assignment_columns, NULL, NULL, "assignments[0].line", "assignments", 0},
};

/* --- values of the answer ---------------------------------------------------------------------------------------- */

struct reader {
    struct json_t *answer;
    struct arena arena;
};

/* The value at a path as text; NULL if it is null or missing. */
static const char *value_at(struct reader *reader, const char *path)
{
    struct problems ignored; /* a missing value is no problem here */
    struct out text;
    problems_init(&ignored, &reader->arena);
    out_init(&text, 0);
    const struct encode_options options = {.format = FORMAT_TXT, .rows = "", .field = path};
    enum status status = encode_value(reader->answer, &options, &ignored, &text);
    const char *value =
        status == STATUS_OK && !text.failed ? arena_strndup(&reader->arena, text.data, text.length) : NULL;
    out_done(&text);
    return value;
}

static double number_at(struct reader *reader, const char *parent, const char *member)
{
    const char *path = arena_printf(&reader->arena, "%s.%s", parent, member);
    const char *text = path ? value_at(reader, path) : NULL;
    double value = 0;
    return text && text_parse_double(text, &value) ? value : UNKNOWN;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

struct grid {
    const char **cells;                    /* row after row; row 0 holds the titles */
    size_t rows, left_out, columns, shown; /* columns, and those of them that are printed */
    size_t width[TABLE_COLUMNS_MAX];
    bool numeric[TABLE_COLUMNS_MAX], filled[TABLE_COLUMNS_MAX];
};

/* Characters that a terminal shows: bytes that do not continue a UTF-8 sequence. */
static size_t shown_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

/* Figures for people: no digits behind the point in large ones; money always to the cent otherwise. */
static const char *human_cell(const char *text, enum cell_form form, struct arena *arena)
{
    double value = 0;
    if (form == AS_IS || form == IF_ANY || !text_parse_double(text, &value)) return text;
    int digits = fabs(value) >= 1000 ? 0 : form == MONEY ? 2 : fabs(value) >= 100 ? 1 : 2;
    const char *human = arena_printf(arena, "%.*f", digits, value);
    return human ? human : text;
}

static void note_cell(struct grid *grid, size_t column, const char *text)
{
    double value = 0;
    size_t width = shown_width(text);
    if (width > grid->width[column]) grid->width[column] = width;
    if (*text) grid->filled[column] = true;
    if (*text && !text_parse_double(text, &value)) grid->numeric[column] = false;
}

static const char *column_list(const struct column *columns, struct arena *arena)
{
    const char *list = columns[0].path;
    for (size_t i = 1; columns[i].path && list; i++)
        list = arena_printf(arena, "%s,%s", list, columns[i].path);
    return list;
}

/* The first `most` rows. */
static bool read_grid(struct out *csv_text, const struct column *columns, size_t most, struct arena *arena,
                      struct grid *grid)
{
    while (columns[grid->columns].path)
        grid->columns++;
    grid->cells = ARENA_ARRAY(arena, (most + 1) * grid->columns, const char *);
    if (!grid->cells) return false;
    for (size_t i = 0; i < grid->columns; i++) {
        grid->cells[i] = columns[i].title;
        grid->width[i] = shown_width(columns[i].title);
        grid->numeric[i] = true;
    }
    struct csv csv;
    csv_init(&csv, csv_text->data, csv_text->length);
    for (bool header = true; csv_next(&csv) == CSV_RECORD; header = false) {
        if (header || csv.field_count != grid->columns) continue;
        if (grid->rows == most) {
            grid->left_out++;
            continue;
        }
        grid->rows++;
        for (size_t i = 0; i < grid->columns; i++) {
            const char *cell = human_cell(csv.fields[i], columns[i].form, arena);
            grid->cells[grid->rows * grid->columns + i] = cell;
            note_cell(grid, i, cell);
        }
    }
    size_t last = grid->columns - 1;
    grid->shown = columns[last].form == IF_ANY && !grid->filled[last] ? last : grid->columns;
    return true;
}

static void print_grid(const struct grid *grid)
{
    for (size_t row = 0; row <= grid->rows; row++) {
        for (size_t i = 0; i < grid->shown; i++) {
            const char *text = grid->cells[row * grid->columns + i];
            int pad = (int)(grid->width[i] - shown_width(text));
            bool last = i + 1 == grid->shown;
            if (grid->numeric[i])
                (void)printf("%*s%s%s", pad, "", text, last ? "" : "  ");
            else
                (void)printf("%s%*s%s", text, last ? 0 : pad, "", last ? "" : "  ");
        }
        (void)printf("\n");
    }
}

/* A list is a page of what there is. */
static void print_rest(struct reader *reader, size_t rows)
{
    char shown[24];
    const char *all = value_at(reader, "total_count");
    (void)snprintf(shown, sizeof shown, "%zu", rows);
    if (all && strcmp(all, shown) != 0)
        (void)printf("%s of %s: more with --limit 1000 or another --cursor\n", shown, all);
}

static enum status print_rows(struct reader *reader, const struct operation *operation, const struct layout *layout,
                              struct problems *problems)
{
    const struct column *columns = layout->columns;
    struct out csv_text;
    out_init(&csv_text, 0);
    const struct encode_options options = {.format = FORMAT_CSV,
                                           .rows = layout->rows ? layout->rows : operation->rows,
                                           .columns = column_list(columns, &reader->arena)};
    enum status status = encode_value(reader->answer, &options, problems, &csv_text);
    out_raw(&csv_text, "", 1); /* the reader may cut at the very end */
    struct grid grid = {0};
    if (status == STATUS_OK && !csv_text.failed) {
        csv_text.length--;
        size_t most = layout->most ? layout->most : TABLE_ROWS_MAX;
        if (read_grid(&csv_text, columns, most, &reader->arena, &grid) && grid.rows) {
            print_grid(&grid);
            if (grid.left_out) (void)printf("%zu more with --json\n", grid.left_out);
            if (!layout->when) print_rest(reader, grid.rows);
        }
    }
    out_done(&csv_text);
    return status;
}

/* --- bars and reasons --------------------------------------------------------------------------------------------- */

bool terminal_is_utf8(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = getenv(variables[i]);
        if (value && *value) return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static void print_cells(const char *cell, int count)
{
    for (int i = 0; i < count; i++)
        (void)fputs(cell, stdout);
}

static void print_bar(struct reader *reader, const struct bar *bar)
{
    const struct part *parts = bar->parts;
    bool utf8 = terminal_is_utf8();
    double total = 0, amounts[BAR_PARTS_MAX];
    for (size_t i = 0; parts[i].member; i++) {
        amounts[i] = number_at(reader, bar->path, parts[i].member);
        if (amounts[i] > 0) total += amounts[i];
    }
    if (!(total > 0)) return;
    (void)printf("Fullest GPU, %.4g GiB%s:\n  ", total, bar->title);
    for (size_t i = 0; parts[i].member; i++) {
        if (amounts[i] > 0)
            print_cells(utf8 ? parts[i].glyph : parts[i].ascii, (int)(amounts[i] / total * BAR_CELLS + 0.5));
    }
    (void)printf("\n  ");
    for (size_t i = 0; parts[i].member; i++) {
        if (amounts[i] > 0)
            (void)printf("%s %s %.3g  ", utf8 ? parts[i].glyph : parts[i].ascii, parts[i].name, amounts[i]);
    }
    (void)printf("\n");
}

static void print_list(struct reader *reader, const char *title, const char *format)
{
    for (size_t i = 0; i < 100; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "%s[%zu]%s", format, i, strcmp(format, "relaxations") == 0 ? ".detail" : "");
        const char *value = value_at(reader, path);
        if (!value) return;
        if (i == 0) (void)printf("%s\n", title);
        (void)printf("  - %s\n", value);
    }
}

static void print_lines(struct reader *reader, const char *const *lines)
{
    for (size_t i = 0; lines[i]; i += 2) {
        const char *value = value_at(reader, lines[i + 1]);
        const char *rest = strstr(lines[i], "%s");
        if (value && rest) (void)printf("%.*s%s%s", (int)(rest - lines[i]), lines[i], value, rest + 2);
    }
}

static enum status print_layouts(struct reader *reader, const struct operation *operation, struct problems *problems)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        const struct layout *layout = &layouts[i];
        if (strcmp(layout->operation, operation->id) != 0) continue;
        if (layout->when && !value_at(reader, layout->when)) continue;
        if (layout->columns) status = print_rows(reader, operation, layout, problems);
        if (status != STATUS_OK) break;
        if (layout->bar) print_bar(reader, layout->bar);
        if (layout->lines) print_lines(reader, layout->lines);
        if (layout->rows) continue; /* a table beside what was shown already */
        print_list(reader, "What would work:", "relaxations");
        print_list(reader, "Assumed:", "assumptions");
        print_list(reader, "Mind:", "warnings");
    }
    return status;
}

enum status table_print(const struct operation *operation, const struct call *call)
{
    struct reader reader = {0};
    enum status status = encode_read(call->out->data, call->out->length, call->problems, &reader.answer);
    if (status != STATUS_OK) return status;
    arena_init(&reader.arena, 0);
    if (call->found_nothing) (void)printf("Nothing fits.\n");
    status = print_layouts(&reader, operation, call->problems);
    arena_done(&reader.arena);
    encode_forget(reader.answer);
    if (status == STATUS_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        status = problems_add(call->problems, STATUS_IO, "", "the answer cannot be written");
    }
    return status;
}
