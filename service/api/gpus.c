/* gpus.c owns the operation gpus: the parts that the catalog knows. */
#include "api/page.h"

struct gpus_request {
    const char *id, *q;
    int64_t vendor;
    struct page_request page;
};

/* In the order of enum gpu_vendor. */
static const char *const vendor_names[VENDOR_COUNT + 1] = {"nvidia", "amd", "intel", "google", "aws", "apple", NULL};

static const struct field fields[] = {
    LIST_FIELD_ID(struct gpus_request),
    LIST_FIELD_SEARCH(struct gpus_request),
    {.name = "vendor",
     .group = "",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct gpus_request, vendor),
     .names = vendor_names,
     .help = "Only GPUs of this maker."},
    PAGE_FIELDS(struct gpus_request),
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

static void put_peaks(struct out *out, const struct gpu *gpu)
{
    static const char *const names[PEAK_COUNT] = {"fp32", "tf32", "fp16", "fp8", "int8", "fp4"};
    out_object(out, "peak_tflops");
    for (int peak = 0; peak < PEAK_COUNT; peak++)
        out_number(out, names[peak], gpu->peak_tflops[peak]);
    out_object_end(out);
}

static void put_market(struct out *out, const struct snapshot *snapshot, uint32_t index)
{
    const struct purchase_price *price = snapshot_purchase_price(snapshot, index);
    out_integer(out, "offer_count", (int64_t)snapshot->offer_first[index + 1] - (int64_t)snapshot->offer_first[index]);
    out_usd(out, "purchase_price_usd", price ? price->usd : USD_UNKNOWN);
    out_text(out, "purchase_price_kind", price ? purchase_kind_name(price->kind) : NULL);
}

static void put_host(struct out *out, const struct gpu *gpu)
{
    out_bool(out, "unified_memory", gpu->host.unified);
    out_text(out, "host_link", gpu_host_link(gpu));
    api_put_number(out, "host_memory_gb", gpu->host.capacity_gb > 0 ? gpu->host.capacity_gb : UNKNOWN);
    api_put_number(out, "host_gb_per_s", gpu_host_gb_per_s(gpu));
}

static void put_gpu(struct out *out, const struct snapshot *snapshot, uint32_t index)
{
    const struct gpu *gpu = &snapshot->gpus[index];
    out_object(out, NULL);
    out_text(out, "id", gpu->id);
    out_text(out, "name", gpu->name);
    out_text(out, "family", gpu->family);
    out_text(out, "vendor", vendor_names[gpu->vendor]);
    out_text(out, "architecture", gpu->architecture);
    out_number(out, "cuda_compute_capability", gpu->cuda_cc);
    out_number(out, "memory_nominal_gb", gpu->memory_nominal_gb);
    out_number(out, "memory_nvml_mib", gpu->memory_nvml_mib);
    api_put_number(out, "memory_cuda_mib", gpu->memory_cuda_mib);
    out_bool(out, "memory_cuda_measured", gpu->memory_cuda_measured);
    out_number(out, "memory_bandwidth_gb_per_s", gpu->memory_bandwidth_gb_per_s);
    out_number(out, "l2_cache_mb", gpu->l2_cache_mb);
    out_number(out, "sm_count", gpu->sm_count);
    put_peaks(out, gpu);
    out_text(out, "interconnect", gpu->interconnect);
    out_number(out, "link_gb_per_s", gpu->link_gb_per_s);
    out_integer(out, "link_domain_gpus", gpu->link_domain_gpus);
    out_number(out, "pcie_gb_per_s", gpu->pcie_gb_per_s);
    put_host(out, gpu);
    out_integer(out, "node_gpus", gpu->node_gpus);
    out_number(out, "tdp_watts", gpu->tdp_watts);
    out_text(out, "form_factor", gpu->form_factor);
    out_date(out, "launch_date", gpu->launch_date);
    put_market(out, snapshot, index);
    out_text(out, "source", gpu->source);
    out_date(out, "as_of", gpu->as_of);
    out_number(out, "version", gpu->version);
    out_object_end(out);
}

static bool matches(const struct gpus_request *request, const struct gpu *gpu, bool member)
{
    const char *const texts[] = {gpu->id, gpu->name, gpu->family};
    return (!request->id || member) && (request->vendor == VALUE_ABSENT || request->vendor == (int64_t)gpu->vendor) &&
           page_found(request->q, texts, sizeof texts / sizeof *texts);
}

static enum status answer(struct call *call, struct gpus_request *request)
{
    const struct snapshot *snapshot = call->snapshot;
    struct page page;
    bool *member = ARENA_ARRAY(call->arena, snapshot->gpu_count, bool);
    if (!member) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the list");
    enum status status = STATUS_OK;
    if (request->id) status = snapshot_match_gpus(snapshot, request->id, "id", call->problems, member);
    if (status == STATUS_OK) status = page_open(call, &operation_gpus, request, &request->page, &page);
    if (status != STATUS_OK) return status;
    out_object(call->out, NULL);
    api_put_head(call, snapshot->as_of);
    out_array(call->out, "gpus");
    for (uint32_t i = 0; i < snapshot->gpu_count; i++) {
        if (matches(request, &snapshot->gpus[i], member[i]) && page_shows(&page)) put_gpu(call->out, snapshot, i);
    }
    out_array_end(call->out);
    page_put_end(call->out, &page);
    out_object_end(call->out);
    return STATUS_OK;
}

static enum status run(struct call *call)
{
    struct gpus_request request;
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    return status == STATUS_OK ? answer(call, &request) : status;
}

static const char *const examples[] = {
    "gpusize gpus",
    "gpusize gpus --id h100",
    "gpusize gpus --vendor amd --format csv",
    NULL,
};

const struct operation operation_gpus = {
    .id = "gpus",
    .command = "gpus",
    .summary = "Lists GPUs with their memory, speed and prices.",
    .fields = fields,
    .field_count = FIELD_COUNT,
    .computes = true, /* a long list takes milliseconds to write */
    .rows = "gpus",
    .examples = examples,
    .run = run,
};
