/* observations.c owns the operation observations_add: measured serving results become rows that answers use, and the
 * answer tells how far the predictions were off before. */
#include "api/actor.h"
#include "api/import_job.h"

#include "catalog/text.h"
#include "evaluate/read.h"
#include "sizing/evidence.h"
#include "wire/rows.h"

#include <stdio.h>
#include <string.h>

enum { ROWS_MAX = 1000, SUGGEST_DISTANCE = 3 };

struct add_request {
    int64_t dry_run;
};

static const struct field fields[] = {
    {.name = "dry_run",
     .group = "",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct add_request, dry_run),
     .preset = "false",
     .help = "Tells what would change, and changes nothing."},
};

/* Columns of the layout that imports of measured rows read (docs/prices.md), and what the catalog calls the same. */
static const struct column_name {
    const char *name, *other;
    bool number;
    double scale; /* of the other name's unit: the value times this */
} columns[] = {
    {"uid", NULL, false, 1},
    {"source", NULL, false, 1},
    {"engine", NULL, false, 1},
    {"engine_version", NULL, false, 1},
    {"date", "as_of", false, 1},
    {"model", "model_id", false, 1},
    {"precision_weights", "weight_dtype", false, 1},
    {"precision_kv", "kv_dtype", false, 1},
    {"gpu", "gpu_id", false, 1},
    {"gpus_total", "gpu_count", true, 1},
    {"tp", "tensor_parallel", true, 1},
    {"pp", "pipeline_parallel", true, 1},
    {"ep", "expert_parallel", true, 1},
    {"isl", "input_tokens", true, 1},
    {"osl", "output_tokens", true, 1},
    {"concurrency", NULL, true, 1},
    {"load_mode", "load", false, 1},
    {"out_tok_s_total", "output_tokens_per_second", true, 1},
    {"total_tok_s_total", "total_tokens_per_second", true, 1},
    {"prefill_tok_s", "prefill_tokens_per_second", true, 1},
    {"ttft_ms", NULL, true, 1},
    {"tpot_ms", NULL, true, 1},
    {"e2e_s", "e2e_ms", true, 1e-3},
    {"request_rate", "requests_per_second", true, 1},
    {"trust", NULL, false, 1},
    {"notes", NULL, false, 1},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

struct refusal_told {
    const char *field, *reason; /* NULL: none */
};

/* A request on its way. */
struct adding {
    struct call *call;
    const struct row_cells *rows;
    size_t row_count;
    struct runs runs;             /* of each row, in order */
    struct refusal_told *refused; /* of each row */
};

/* --- the body as a file --- */

static const struct column_name *find_column(const char *name, bool *ret_other)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        *ret_other = columns[i].other && strcmp(name, columns[i].other) == 0;
        if (*ret_other || strcmp(name, columns[i].name) == 0) return &columns[i];
    }
    return NULL;
}

static const char *nearest_name(const char *name)
{
    const char *nearest = NULL;
    size_t distance = SUGGEST_DISTANCE + 1;
    for (size_t i = 0; i < (size_t)2 * COLUMNS; i++) {
        const char *candidate = i % 2 ? columns[i / 2].other : columns[i / 2].name;
        size_t here = candidate ? text_distance(name, candidate, SUGGEST_DISTANCE) : distance;
        if (here >= distance) continue;
        nearest = candidate;
        distance = here;
    }
    return nearest;
}

static void refuse(struct call *call, enum status status, size_t row, const char *name, const char *detail)
{
    const char *path = arena_printf(call->arena, "[%zu].%.60s", row, name);
    (void)problems_add(call->problems, status, path ? path : "", "%s", detail);
}

static bool has_control(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f) return true;
    }
    return false;
}

/* The cell as its column has it; NULL after a problem. */
static const char *read_cell(struct call *call, size_t row, const struct cell *cell, const struct column_name *column,
                             bool other)
{
    char text[NUMBER_TEXT_BYTES];
    double value = 0;
    bool right = column->number ? cell->type == CELL_IS_NUMBER : cell->type == CELL_IS_TEXT;
    if (cell->type == CELL_IS_NULL) return "";
    if (!right) {
        refuse(call, STATUS_WRONG_TYPE, row, cell->name, column->number ? "must be a number" : "must be a text");
        return NULL;
    }
    if (has_control(cell->value)) {
        refuse(call, STATUS_INVALID_VALUE, row, cell->name, "has control characters in it");
        return NULL;
    }
    if (!other || column->scale == 1 || !text_parse_double(cell->value, &value)) return cell->value;
    (void)text_format_double(round6(value * column->scale), text);
    const char *copy = arena_strdup(call->arena, text);
    if (!copy) refuse(call, STATUS_OUT_OF_MEMORY, row, cell->name, "no memory for the rows");
    return copy;
}

static void take_cell(struct call *call, size_t row, const struct cell *cell, struct csv_cell *cells)
{
    bool other = false;
    const struct column_name *column = find_column(cell->name, &other);
    const char *nearest = column ? NULL : nearest_name(cell->name);
    const char *detail = nearest ? arena_printf(call->arena, "no such field; did you mean %s?", nearest)
                                 : "no such field; see docs/calibrations.md for the fields";
    if (!column) {
        refuse(call, STATUS_UNKNOWN_FIELD, row, cell->name, detail ? detail : "no such field");
        return;
    }
    const char *text = read_cell(call, row, cell, column, other);
    struct csv_cell *into = &cells[column - columns];
    if (text && *into->text && *text)
        refuse(call, STATUS_DUPLICATE_FIELD, row, cell->name, "says the same as another field of the row");
    else if (text && *text)
        into->text = text;
}

/* A line for each row, whatever is in it: lines are how an import tells rows apart. NULL after problems. */
static const char *write_file(struct adding *adding)
{
    struct call *call = adding->call;
    struct out file;
    struct csv_cell cells[COLUMNS];
    const char *copy = NULL;
    out_init(&file, 0);
    for (size_t i = 0; i < adding->row_count; i++) {
        for (size_t k = 0; k < COLUMNS; k++)
            cells[k] = (struct csv_cell){columns[k].name, ""};
        for (size_t k = 0; k < adding->rows[i].count; k++)
            take_cell(call, i, &adding->rows[i].cells[k], cells);
        const char *line = csv_text(cells, COLUMNS, i == 0, call->arena);
        if (line) out_raw(&file, line, strlen(line));
        file.failed |= !line;
    }
    if (!file.failed) copy = arena_strndup(call->arena, file.data, file.length);
    out_done(&file);
    if (!copy) (void)problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the rows");
    return problems_status(call->problems) == STATUS_OK ? copy : NULL;
}

static enum status read_runs(struct adding *adding, const char *text)
{
    static const struct run_defaults none = {"", "", "", "", "", "", UNKNOWN, ""};
    struct call *call = adding->call;
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "rb");
    if (!file) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the rows");
    enum status status =
        runs_read_file(file, "the body", call->snapshot, &none, call->arena, call->problems, &adding->runs);
    (void)fclose(file);
    return status;
}

/* --- what was predicted --- */

/* As a question would have been answered: corrected by what had been measured before. */
static void predict_served(const struct snapshot *snapshot, const struct run *run,
                           struct predicted ret_metrics[METRIC_COUNT])
{
    struct roofline roofline;
    struct performance performance;
    struct evidence evidence;
    struct measurements measurements = snapshot_measurements(snapshot, run->deployment.model->id);
    const char *version = run->engine_version;
    if (*version) measurements.engine_version = version + (*version == 'v' || *version == 'V');
    roofline_init(&roofline, &run->deployment, &run->memory, run->input_tokens, run->output_tokens);
    evidence_find(&measurements, &roofline, &evidence);
    performance_predict(&roofline, &run->load, &performance);
    ret_metrics[METRIC_OUTPUT_TOKENS_PER_SECOND] = predicted_scale(performance.output_tokens_per_second, run->replicas);
    ret_metrics[METRIC_TOTAL_TOKENS_PER_SECOND] = predicted_scale(performance.total_tokens_per_second, run->replicas);
    ret_metrics[METRIC_TTFT_MS] = performance.ttft_ms;
    ret_metrics[METRIC_TPOT_MS] = performance.tpot_ms;
    if (run->load.load != LOAD_STATIC_BATCH) ret_metrics[METRIC_E2E_MS] = performance.e2e_ms;
}

static void predict(const struct snapshot *snapshot, const struct run *run, struct predicted ret_metrics[METRIC_COUNT])
{
    run_predict(run, ret_metrics);
    if (!run->refused && run->kind == RUN_SERVED) predict_served(snapshot, run, ret_metrics);
}

static void put_comparison(struct out *out, const struct run *run, enum metric metric, struct predicted predicted)
{
    double measured = run->measured[metric];
    bool compared = predicted.value > 0 && !run->unscored[metric];
    out_object(out, NULL);
    out_text(out, "figure", metric_names[metric]);
    out_number(out, "measured", round6(measured));
    out_number(out, "predicted", compared ? round6(predicted.value) : UNKNOWN);
    out_number(out, "low", compared ? round6(predicted.low) : UNKNOWN);
    out_number(out, "high", compared ? round6(predicted.high) : UNKNOWN);
    out_text(out, "basis", compared ? basis_name(predicted.basis) : NULL);
    out_number(out, "measured_ratio", compared ? round6(measured / predicted.value) : UNKNOWN);
    out_object_end(out);
}

static void put_row(const struct adding *adding, struct out *out, size_t index)
{
    const struct run *run = &adding->runs.items[index];
    const struct refusal_told *refused = &adding->refused[index];
    struct predicted metrics[METRIC_COUNT];
    predict(adding->call->snapshot, run, metrics);
    out_object(out, NULL);
    out_integer(out, "row", (int64_t)index);
    out_text(out, "source", *run->source ? run->source : NULL);
    out_text(out, "uid", run->uid);
    out_bool(out, "refused", refused->reason != NULL);
    out_text(out, "field", refused->field);
    out_text(out, "reason",
             refused->reason ? refused->reason
             : run->refused  ? run->refused
             : run->load.load == LOAD_RATE
                 ? "kept, but no answer uses it: what arrives at a rate is computed from what is in flight"
                 : NULL);
    out_array(out, "figures");
    for (enum metric metric = 0; metric < METRIC_WEIGHT_MEMORY_GIB && !refused->reason; metric++) {
        if (is_known(run->measured[metric])) put_comparison(out, run, metric, metrics[metric]);
    }
    out_array_end(out);
    out_object_end(out);
}

/* --- the import --- */

static void take_refusal(void *context, uint32_t line, const char *field, const char *reason)
{
    struct adding *adding = context;
    size_t row = line - 2; /* below the header */
    if (line < 2 || row >= adding->row_count || adding->refused[row].reason) return;
    const char *copy = arena_strdup(adding->call->arena, reason), *name = arena_strdup(adding->call->arena, field);
    adding->refused[row] = (struct refusal_told){name ? name : "", copy ? copy : "is refused"};
}

/* Where not one row could be taken, that is no success. */
static enum status check_any(const struct adding *adding, struct problems *problems)
{
    for (size_t i = 0; i < adding->row_count; i++) {
        if (!adding->refused[i].reason) return STATUS_OK;
    }
    for (size_t i = 0; i < adding->row_count; i++) {
        const char *path = arena_printf(adding->call->arena, "[%zu].%s", i, adding->refused[i].field);
        (void)problems_add(problems, STATUS_INVALID_VALUE, path ? path : "", "%s", adding->refused[i].reason);
    }
    return problems_status(problems);
}

static enum status answer(void *context, const char *report, struct problems *problems, const char **ret_json)
{
    const struct adding *adding = context;
    struct out out;
    enum status status = check_any(adding, problems);
    if (status != STATUS_OK) return status;
    out_init(&out, 0);
    out_object(&out, NULL);
    out_array(&out, "observations");
    for (size_t i = 0; i < adding->row_count; i++)
        put_row(adding, &out, i);
    out_array_end(&out);
    static const char import[] = ",\"import\":";
    out_raw(&out, import, sizeof import - 1);
    out_raw(&out, report, strcspn(report, "\n"));
    out_object_end(&out);
    *ret_json = out.failed ? NULL : arena_strndup(adding->call->arena, out.data, out.length);
    out_done(&out);
    return *ret_json ? STATUS_OK : problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the answer");
}

static enum status import_rows(struct adding *adding, const struct add_request *request, const char *text)
{
    struct call *call = adding->call;
    struct import_outcome outcome;
    struct store_actor actor;
    enum status status = api_actor_init(call, &actor);
    if (status != STATUS_OK) return status;
    const struct import_request import = {
        .kind = IMPORT_MEASURED,
        .source = "observations in a request",
        .as_of = call->today,
        .dry_run = request->dry_run == 1,
        .jump_factor = 1,
    };
    const struct import_job job = {
        .request = &import,
        .text = text,
        .length = strlen(text),
        .actor = &actor,
        .rejected = take_refusal,
        .answer = answer,
        .context = adding,
    };
    status = import_job_run(call->store, &job, call->arena, call->problems, &outcome);
    if (status == STATUS_OK) out_raw(call->out, outcome.report.json, strcspn(outcome.report.json, "\n"));
    return status;
}

static enum status run(struct call *call)
{
    struct add_request request;
    struct adding adding = {.call = call};
    const char *text = NULL;
    enum status status = api_store_required(call);
    if (status == STATUS_OK)
        status =
            input_decode(call->input, call->arena, fields, sizeof fields / sizeof *fields, &request, call->problems);
    if (status == STATUS_OK)
        status = rows_from_json(call->arena, call->body, call->body_length, ROWS_MAX, call->problems, &adding.rows,
                                &adding.row_count);
    if (status != STATUS_OK) return status;
    adding.refused = ARENA_ARRAY(call->arena, adding.row_count, struct refusal_told);
    if (!adding.refused) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the rows");
    text = write_file(&adding);
    if (!text) return problems_status(call->problems);
    status = read_runs(&adding, text);
    if (status == STATUS_OK && adding.runs.count != adding.row_count)
        return problems_add(call->problems, STATUS_INTERNAL, "", "%zu rows were read as %zu", adding.row_count,
                            adding.runs.count);
    return status == STATUS_OK ? import_rows(&adding, &request, text) : status;
}

const struct operation operation_observations_add = {
    .id = "observations_add",
    .summary = "Brings measured serving results into the catalog, and tells how far the predictions were off.",
    .fields = fields,
    .field_count = sizeof fields / sizeof *fields,
    .stores = true,
    .rows = "observations",
    .run = run,
};
