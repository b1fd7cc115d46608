/* format_skypilot.c owns vms.csv of SkyPilot catalogs, whatever the cloud's version of the header; and the sum of a
 * Google machine and its GPUs, which that file prices apart. */
#include "catalog/text.h"
#include "import/formats.h"

#include <string.h>

static const struct import_header headers[] = {
    {"InstanceType", COL_INSTANCE_TYPE, true},
    {"AcceleratorName", COL_GPU, true},
    {"AcceleratorCount", COL_GPU_COUNT, true},
    {"vCPUs", COL_VCPUS, false},
    {"MemoryGiB", COL_HOST_MEMORY, false},
    {"GpuInfo", COL_GPU_MEMORY, false},
    {"Price", COL_PRICE, true},
    {"SpotPrice", COL_SPOT, false},
    {"Region", COL_REGION, true},
    {"AvailabilityZone", COL_ZONE, false},
};

/* Google machines whose rows price CPU and memory only: which GPUs belong to them. From Google's documentation of
 * accelerator-optimised machine types; the names are SkyPilot's. */
static const struct machine {
    const char *instance_type, *gpu;
    uint32_t gpu_count;
} machines[] = {
    {"a2-highgpu-1g", "A100", 1},       {"a2-highgpu-2g", "A100", 2},       {"a2-highgpu-4g", "A100", 4},
    {"a2-highgpu-8g", "A100", 8},       {"a2-megagpu-16g", "A100", 16},     {"a2-ultragpu-1g", "A100-80GB", 1},
    {"a2-ultragpu-2g", "A100-80GB", 2}, {"a2-ultragpu-4g", "A100-80GB", 4}, {"a2-ultragpu-8g", "A100-80GB", 8},
    {"a3-highgpu-1g", "H100", 1},       {"a3-highgpu-2g", "H100", 2},       {"a3-highgpu-4g", "H100", 4},
    {"a3-highgpu-8g", "H100", 8},       {"a3-megagpu-8g", "H100-MEGA", 8},  {"g2-standard-4", "L4", 1},
    {"g2-standard-8", "L4", 1},         {"g2-standard-12", "L4", 1},        {"g2-standard-16", "L4", 1},
    {"g2-standard-32", "L4", 1},        {"g2-standard-24", "L4", 2},        {"g2-standard-48", "L4", 4},
    {"g2-standard-96", "L4", 8},
};

/* A row of the current file that waits for its other half: a machine for its GPUs, or GPUs for their machine. */
struct half {
    struct half *next;
    const struct machine *machine; /* NULL: GPUs */
    struct draft draft;            /* of GPUs only the region and the zone */
    char gpu[32];
    uint32_t gpu_count;
    usd_t usd_per_hour, spot_usd_per_hour;
};

static const struct machine *find_machine(const char *instance_type)
{
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        if (strcmp(machines[i].instance_type, instance_type) == 0) return &machines[i];
    }
    return NULL;
}

static bool has_machine(const char *gpu)
{
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        if (strcmp(machines[i].gpu, gpu) == 0) return true;
    }
    return false;
}

/* Memory of one GPU from the literal in GpuInfo, Python's or JSON; elsewhere the cell holds a bare name. runpod writes
 * gigabytes into the field, nebius 0, vast the sum over the GPUs. */
static double memory_mib(const struct importing *importing, const char *provider)
{
    static const char key[] = "SizeInMiB";
    char digits[16] = "";
    double size = UNKNOWN, count = UNKNOWN;
    const char *at = strstr(import_cell(importing, COL_GPU_MEMORY), key);
    if (!at) return UNKNOWN;
    at += sizeof key - 1;
    at += strspn(at, "'\": ");
    size_t length = strspn(at, "0123456789.");
    if (length == 0 || length >= sizeof digits) return UNKNOWN;
    memcpy(digits, at, length);
    if (!text_parse_double(digits, &size) || size <= 0) return UNKNOWN;
    if (size < 1024) size *= 1024;
    bool sum = strcmp(provider, "vast") == 0 && text_parse_double(import_cell(importing, COL_GPU_COUNT), &count);
    return sum && count >= 1 ? size / count : size;
}

/* On demand and spot. No spot price, or the same one: there is no spot offer. */
static bool read_prices(struct importing *importing, usd_t *ret_usd_per_hour, usd_t *ret_spot_usd_per_hour)
{
    usd_t spot = USD_UNKNOWN;
    double raw = UNKNOWN;
    bool none = text_parse_double(import_cell(importing, COL_SPOT), &raw) && raw == 0;
    if (!import_price(importing, COL_PRICE, ret_usd_per_hour)) return false;
    if (!none && !import_price(importing, COL_SPOT, &spot)) return false;
    *ret_spot_usd_per_hour = usd_compare(spot, *ret_usd_per_hour) == 0 ? USD_UNKNOWN : spot;
    return true;
}

static void keep(struct importing *importing, const struct half *half)
{
    struct half *kept = ARENA_NEW(&importing->arena, struct half);
    if (!kept) {
        importing->status = problems_add(importing->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the file");
        return;
    }
    *kept = *half;
    kept->next = importing->kept;
    importing->kept = kept;
}

static void keep_machine(struct importing *importing, const struct machine *machine)
{
    struct half half = {.machine = machine, .usd_per_hour = USD_UNKNOWN, .spot_usd_per_hour = USD_UNKNOWN};
    if (import_draft(importing, &half.draft) &&
        import_draft_named(importing, &half.draft, ALIAS_SKYPILOT, machine->gpu, machine->gpu_count, UNKNOWN) &&
        read_prices(importing, &half.usd_per_hour, &half.spot_usd_per_hour))
        keep(importing, &half);
}

static void keep_gpus(struct importing *importing)
{
    struct half half = {.usd_per_hour = USD_UNKNOWN, .spot_usd_per_hour = USD_UNKNOWN};
    const char *gpu = import_cell(importing, COL_GPU);
    double count = UNKNOWN;
    if (!has_machine(gpu) || strlen(gpu) >= sizeof half.gpu) {
        (void)import_refuse(importing, importing->csv.line, COL_INSTANCE_TYPE,
                            "the price of GPUs whose machine is billed apart is no offer");
        return;
    }
    memcpy(half.gpu, gpu, strlen(gpu) + 1);
    if (!import_number(importing, COL_GPU_COUNT, &count) || !import_draft(importing, &half.draft) ||
        !read_prices(importing, &half.usd_per_hour, &half.spot_usd_per_hour))
        return;
    half.gpu_count = count >= 1 && count <= IMPORT_GPU_COUNT_MAX ? (uint32_t)count : 0;
    keep(importing, &half);
}

static void row(struct importing *importing)
{
    struct draft draft;
    usd_t usd_per_hour = USD_UNKNOWN, spot_usd_per_hour = USD_UNKNOWN;
    const char *instance_type = import_cell(importing, COL_INSTANCE_TYPE);
    const struct machine *machine = NULL;
    if (!*import_cell(importing, COL_GPU)) {
        machine = find_machine(instance_type);
        if (machine)
            keep_machine(importing, machine);
        else
            importing->counts.left_out++;
    } else if (!*instance_type) {
        keep_gpus(importing);
    } else if (import_draft(importing, &draft) &&
               import_draft_gpu(importing, &draft, ALIAS_SKYPILOT, memory_mib(importing, draft.provider)) &&
               read_prices(importing, &usd_per_hour, &spot_usd_per_hour)) {
        import_offer(importing, &draft, PURCHASE_ON_DEMAND, 0, usd_per_hour);
        import_offer(importing, &draft, PURCHASE_SPOT, 0, spot_usd_per_hour);
    }
}

static const struct half *find_gpus(const struct importing *importing, const struct half *machine)
{
    for (const struct half *half = importing->kept; half; half = half->next) {
        if (!half->machine && half->gpu_count == machine->machine->gpu_count &&
            strcmp(half->gpu, machine->machine->gpu) == 0 && strcmp(half->draft.region, machine->draft.region) == 0 &&
            strcmp(half->draft.zone, machine->draft.zone) == 0)
            return half;
    }
    return NULL;
}

static void end(struct importing *importing)
{
    for (struct half *half = importing->kept; half && importing->status == STATUS_OK; half = half->next) {
        if (!half->machine) continue;
        const struct half *gpus = find_gpus(importing, half);
        if (!gpus) {
            (void)import_refuse(importing, half->draft.line, COL_PRICE, "no line prices its %u %s in this zone",
                                half->machine->gpu_count, half->machine->gpu);
            continue;
        }
        half->draft.offer.price_basis = "instance_total_derived";
        half->draft.offer.source = importing->source->source;
        half->draft.offer.url = half->draft.offer.notes = "";
        import_offer(importing, &half->draft, PURCHASE_ON_DEMAND, 0, usd_add(half->usd_per_hour, gpus->usd_per_hour));
        import_offer(importing, &half->draft, PURCHASE_SPOT, 0,
                     usd_add(half->spot_usd_per_hour, gpus->spot_usd_per_hour));
    }
}

const struct format import_skypilot = {
    .headers = headers, .header_count = sizeof headers / sizeof *headers, .row = row, .end = end};
