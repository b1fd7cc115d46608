/* offers_import.c owns the operation offers_import: a price list in the body becomes offers of the database. */
#include "api/actor.h"
#include "api/import_job.h"

#include <string.h>

static enum status import_body(struct call *call, struct import_request *request)
{
    struct import_outcome outcome;
    struct store_actor actor;
    enum status status = api_actor_init(call, &actor);
    if (status != STATUS_OK) return status;
    if (!request->source)
        request->source = arena_printf(call->arena, "%s in a request", import_format_names[request->kind]);
    if (!request->source) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the import");
    const struct import_job job = {
        .request = request, .text = call->body, .length = call->body_length, .actor = &actor};
    status = import_job_run(call->store, &job, call->arena, call->problems, &outcome);
    if (status == STATUS_OK) out_raw(call->out, outcome.report.json, strcspn(outcome.report.json, "\n"));
    return status;
}

static enum status run(struct call *call)
{
    struct import_request request;
    enum status status = api_store_required(call);
    if (status == STATUS_OK)
        status = import_request_decode(call->input, call->today, call->arena, call->problems, &request);
    return status == STATUS_OK ? import_body(call, &request) : status;
}

const struct operation operation_offers_import = {
    .id = "offers_import",
    .summary = "Brings the prices of a file into the catalog.",
    .fields = import_fields,
    .field_count = IMPORT_FIELDS,
    .stores = true,
    .rows = "changes",
    .run = run,
};
