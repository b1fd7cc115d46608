/* calibrations.c owns the operation calibrations: what GPUs reach of what they can do, as it was measured. */
#include "api/page.h"

#include <string.h>

struct calibrations_request {
    const char *gpu, *pool;
    int64_t state;
    struct page_request page;
};

/* In the order of enum calibration_state. */
static const char *const state_names[CALIBRATION_STATE_COUNT + 1] = {"used", "suspect", "retired", NULL};

static const struct field fields[] = {
    {.name = "gpu",
     .group = "",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct calibrations_request, gpu),
     .help = "Only of the GPUs that this id, alias or family means."},
    {.name = "pool",
     .group = "",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct calibrations_request, pool),
     .help = "Only of this pool of machines; published is what others measured."},
    {.name = "state",
     .group = "",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct calibrations_request, state),
     .names = state_names,
     .help = "Only those that answers use; that are kept and not believed; that hold no more."},
    PAGE_FIELDS(struct calibrations_request),
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

static const char *text_or_null(const char *text)
{
    return *text ? text : NULL;
}

static void put_shares(struct out *out, const struct calibration *calibration)
{
    out_object(out, "share_ratio");
    for (enum kernel_figure figure = 0; figure < KERNEL_ALLREDUCE; figure++)
        api_put_number(out, kernel_figure_name(figure), calibration_figure(calibration, figure));
    out_object_end(out);
}

static void put_calibration(struct out *out, const struct calibration *calibration)
{
    const double *products = calibration->product_tflops;
    out_object(out, NULL);
    out_text(out, "id", calibration->id);
    out_text(out, "pool", calibration->pool);
    out_text(out, "gpu", calibration->gpu->id);
    out_text(out, "state", calibration_state_name(calibration->state));
    out_text(out, "reason", text_or_null(calibration->reason));
    out_number(out, "memory_gb_per_s", calibration->memory_gb_per_s);
    out_number(out, "kv_gb_per_s", calibration->kv_gb_per_s);
    out_number(out, "fp32_tflops", products[PEAK_FP32]);
    out_number(out, "tf32_tflops", products[PEAK_TF32]);
    out_number(out, "fp16_tflops", products[PEAK_FP16]);
    out_number(out, "fp8_tflops", products[PEAK_FP8]);
    out_number(out, "int8_tops", products[PEAK_INT8]);
    out_number(out, "fp4_tflops", products[PEAK_FP4]);
    out_number(out, "launch_us", calibration->launch_us);
    out_integer(out, "allreduce_gpus",
                calibration->allreduce_gpus ? (int64_t)calibration->allreduce_gpus : VALUE_ABSENT);
    out_number(out, "allreduce_us", calibration->allreduce_us);
    out_number(out, "allreduce_gb_per_s", calibration->allreduce_gb_per_s);
    put_shares(out, calibration);
    out_text(out, "driver", text_or_null(calibration->driver));
    out_text(out, "source", calibration->source);
    out_text(out, "started_at", text_or_null(calibration->started_at));
    out_date(out, "as_of", calibration->as_of);
    out_object_end(out);
}

static bool matches(const struct call *call, const struct calibrations_request *request,
                    const struct calibration *calibration, const bool *member)
{
    return (!request->gpu || member[calibration->gpu - call->snapshot->gpus]) &&
           (!request->pool || strcmp(request->pool, calibration->pool) == 0) &&
           (request->state == VALUE_ABSENT || request->state == (int64_t)calibration->state);
}

static enum status answer(struct call *call, struct calibrations_request *request)
{
    const struct snapshot *snapshot = call->snapshot;
    struct page page;
    bool *member = ARENA_ARRAY(call->arena, snapshot->gpu_count + 1, bool);
    if (!member) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the list");
    enum status status = STATUS_OK;
    if (request->gpu) status = snapshot_match_gpus(snapshot, request->gpu, "gpu", call->problems, member);
    if (status == STATUS_OK) status = page_open(call, &operation_calibrations, request, &request->page, &page);
    if (status != STATUS_OK) return status;
    out_object(call->out, NULL);
    api_put_head(call, snapshot->as_of);
    out_array(call->out, "calibrations");
    for (size_t i = 0; i < snapshot->calibration_count; i++) {
        const struct calibration *calibration = &snapshot->calibrations[i];
        if (matches(call, request, calibration, member) && page_shows(&page)) put_calibration(call->out, calibration);
    }
    out_array_end(call->out);
    page_put_end(call->out, &page);
    out_object_end(call->out);
    return STATUS_OK;
}

static enum status run(struct call *call)
{
    struct calibrations_request request;
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    return status == STATUS_OK ? answer(call, &request) : status;
}

static const char *const examples[] = {
    "gpusize calibrations",
    "gpusize calibrations --gpu h200 --pool own",
    "gpusize calibrations --state suspect --format csv",
    NULL,
};

const struct operation operation_calibrations = {
    .id = "calibrations",
    .command = "calibrations",
    .summary = "Lists what GPUs were measured to reach of what they can do.",
    .fields = fields,
    .field_count = FIELD_COUNT,
    .computes = true, /* a long list takes milliseconds to write */
    .rows = "calibrations",
    .examples = examples,
    .run = run,
};
