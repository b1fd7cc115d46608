/* monitor_report.c owns the operation by which hosts report on their memory and their GPUs. */
#include "api/feed.h"
#include "api/operation.h"

static enum status run(struct call *call)
{
    struct sample_batch batch;
    struct feed_added added;
    enum status status = input_decode(call->input, call->arena, NULL, 0, NULL, call->problems);
    if (status == STATUS_OK)
        status = sample_batch_read(call->body, call->body_length, call->arena, call->problems, &batch);
    if (status == STATUS_OK)
        status = feed_add(call->feed, &batch, call->now_unix_ms, call->arena, call->problems, &added);
    if (status != STATUS_OK) return status;
    out_object(call->out, NULL);
    out_text(call->out, "host", batch.host);
    out_integer(call->out, "stored", (int64_t)added.stored);
    out_integer(call->out, "repeated", (int64_t)added.repeated);
    out_integer(call->out, "too_old", (int64_t)added.too_old);
    out_object_end(call->out);
    return STATUS_OK;
}

const struct operation operation_monitor_report = {
    .id = "monitor_report",
    .summary = "Takes the samples of a host, as gpusize monitor --report-to sends them.",
    .stores = true,
    .rows = "",
    .run = run,
};
