/* calibrations_write.c owns the operations that bring the report of a probe into the catalog, and that retire what came
 * of one. */
#include "api/actor.h"

#include "calibrate/report.h"
#include "catalog/load.h"
#include "catalog/text.h"
#include "store/calibration.h"

#include <string.h>

/* --- a report becomes calibrations --- */

struct create_request {
    const char *pool, *note;
};

static const struct field create_fields[] = {
    {.name = "pool",
     .group = "",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct create_request, pool),
     .preset = CALIBRATION_OWN,
     .help = "The pool of machines that the report is true of."},
    {.name = "note",
     .group = "",
     .kind = FIELD_LINE,
     .offset = offsetof(struct create_request, note),
     .help = "For people: kept with the report."},
};

static void put_cells(struct out *out, const struct csv_cell *cells, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (*cells[i].text) out_text(out, cells[i].column, cells[i].text); /* the database makes numbers of them */
    }
}

/* One row of gpusize.calibration as JSON; NULL when out of memory. */
static const char *write_row(struct call *call, const struct report_entry *entry, const char *report_id)
{
    struct out out;
    size_t count = 0;
    const struct calibration *calibration = &entry->calibration;
    const struct csv_cell *cells = catalog_calibration_cells(calibration, call->arena, &count);
    if (!cells) return NULL;
    out_init(&out, 0);
    out_object(&out, NULL);
    put_cells(&out, cells, count);
    put_cells(&out,
              (const struct csv_cell[]){{"reason", calibration->reason},
                                        {"started_at", calibration->started_at},
                                        {"device_key", entry->device_key},
                                        {"report_id", report_id}},
              4);
    if (is_known(entry->sm_clock_max_mhz)) out_number(&out, "sm_clock_max_mhz", entry->sm_clock_max_mhz);
    out_object_end(&out);
    const char *text = out.failed ? NULL : arena_strndup(call->arena, out.data, out.length);
    out_done(&out);
    return text;
}

static const char *write_left_out(struct call *call, const struct report *report)
{
    struct out out;
    out_init(&out, 0);
    out_array(&out, NULL);
    for (size_t i = 0; i < report->left_out_count; i++) {
        out_object(&out, NULL);
        out_text(&out, "device", report->left_out[i].device);
        out_text(&out, "reason", report->left_out[i].reason);
        out_object_end(&out);
    }
    out_array_end(&out);
    const char *text = out.failed ? NULL : arena_strndup(call->arena, out.data, out.length);
    out_done(&out);
    return text;
}

static enum status give(struct call *call, const struct store_written *written)
{
    out_raw(call->out, written->json, strlen(written->json));
    call->http_status = written->http_status;
    return STATUS_OK;
}

static enum status store_report(struct call *call, const struct create_request *request, const struct report *report)
{
    struct store_actor actor;
    struct store_written written;
    char hash[HASH_TEXT_BYTES];
    const char **ids = ARENA_ARRAY(call->arena, report->entry_count, const char *);
    const char **rows = ARENA_ARRAY(call->arena, report->entry_count, const char *);
    const char *left_out = write_left_out(call, report);
    bool complete = ids && rows && left_out;
    text_hash(call->body, call->body_length, hash);
    for (size_t i = 0; complete && i < report->entry_count; i++) {
        ids[i] = report->entries[i].calibration.id;
        rows[i] = write_row(call, &report->entries[i], hash);
        complete = rows[i] != NULL;
    }
    if (!complete) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the report");
    enum status status = api_actor_init(call, &actor);
    if (status != STATUS_OK) return status;
    const struct store_calibrations calibrations = {
        .pool = request->pool,
        .report_id = hash,
        .report = call->body,
        .note = request->note,
        .ids = ids,
        .rows = rows,
        .count = report->entry_count,
        .left_out = left_out,
        .actor = &actor,
    };
    status = store_calibrations_add(call->store, &calibrations, call->arena, call->problems, &written);
    return status == STATUS_OK ? give(call, &written) : status;
}

static enum status run_create(struct call *call)
{
    struct create_request request;
    struct report report;
    enum status status = api_store_required(call);
    if (status == STATUS_OK)
        status = input_decode(call->input, call->arena, create_fields, sizeof create_fields / sizeof *create_fields,
                              &request, call->problems);
    if (status != STATUS_OK) return status;
    if (!request.pool) request.pool = CALIBRATION_OWN;
    status = report_read(call->snapshot, call->body, call->body_length, request.pool, call->today, call->arena,
                         call->problems, &report);
    return status == STATUS_OK ? store_report(call, &request, &report) : status;
}

const struct operation operation_calibration_create = {
    .id = "calibration_create",
    .summary = "Brings the report of gpusize-probe into the catalog, as what the GPUs of a pool of machines reach.",
    .fields = create_fields,
    .field_count = sizeof create_fields / sizeof *create_fields,
    .stores = true,
    .rows = "calibrations",
    .run = run_create,
};

/* --- one is retired --- */

struct retire_request {
    const char *id, *pool;
};

static const struct field retire_fields[] = {
    {.name = "id",
     .group = "",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct retire_request, id),
     .required = true,
     .help = "Which entry: its id in the list."},
    {.name = "pool",
     .group = "",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct retire_request, pool),
     .help = "Only that of this pool of machines."},
};

static enum status run_retire(struct call *call)
{
    struct retire_request request;
    struct store_actor actor;
    struct store_written written;
    enum status status = api_store_required(call);
    if (status == STATUS_OK)
        status = input_decode(call->input, call->arena, retire_fields, sizeof retire_fields / sizeof *retire_fields,
                              &request, call->problems);
    if (status == STATUS_OK) status = api_actor_init(call, &actor);
    if (status == STATUS_OK)
        status = store_calibration_retire(call->store, request.id, request.pool, &actor, call->arena, call->problems,
                                          &written);
    return status == STATUS_OK ? give(call, &written) : status;
}

const struct operation operation_calibration_retire = {
    .id = "calibration_retire",
    .summary = "Retires a calibration: it is kept, and no answer uses it any more.",
    .fields = retire_fields,
    .field_count = sizeof retire_fields / sizeof *retire_fields,
    .stores = true,
    .rows = "calibrations",
    .run = run_retire,
};
