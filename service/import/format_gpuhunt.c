/* format_gpuhunt.c owns <provider>.csv of gpuhunt: whole instances, spot in rows of its own. */
#include "import/formats.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct import_header headers[] = {
    {"instance_name", COL_INSTANCE_TYPE, true},
    {"location", COL_REGION, true},
    {"price", COL_PRICE, true},
    {"cpu", COL_VCPUS, false},
    {"memory", COL_HOST_MEMORY, false},
    {"gpu_count", COL_GPU_COUNT, true},
    {"gpu_name", COL_GPU, true},
    {"gpu_memory", COL_GPU_MEMORY, false},
    {"spot", COL_PURCHASE, true},
};

static bool reads_as(const char *text, const char *yes)
{
    return strcasecmp(text, yes) == 0;
}

static void row(struct importing *importing)
{
    struct draft draft;
    usd_t price = USD_UNKNOWN;
    double gpus = UNKNOWN;
    const char *spot = import_cell(importing, COL_PURCHASE);
    if (!import_number(importing, COL_GPU_COUNT, &gpus)) return;
    if (!*import_cell(importing, COL_GPU) || !(gpus > 0)) {
        importing->counts.left_out++;
        return;
    }
    if (!reads_as(spot, "true") && !reads_as(spot, "false")) {
        (void)import_refuse(importing, importing->csv.line, COL_PURCHASE, "is neither True nor False");
        return;
    }
    double memory_mib = import_size(importing, COL_GPU_MEMORY, 1, 4096) * 1024; /* of one GPU, in GiB */
    if (import_draft(importing, &draft) && import_draft_gpu(importing, &draft, ALIAS_GPUHUNT, memory_mib) &&
        import_price(importing, COL_PRICE, &price))
        import_offer(importing, &draft, reads_as(spot, "true") ? PURCHASE_SPOT : PURCHASE_ON_DEMAND, 0, price);
}

void import_gpuhunt_provider(const char *file_name, char ret_provider[IMPORT_PROVIDER_BYTES])
{
    static const struct {
        const char *gpuhunt, *catalog;
    } names[] = {{"lambdalabs", "lambda"}, {"vastai", "vast"}, {"datacrunch", "verda"}};
    const char *slash = strrchr(file_name, '/'), *name = slash ? slash + 1 : file_name;
    (void)snprintf(ret_provider, IMPORT_PROVIDER_BYTES, "%.*s", (int)strcspn(name, "."), name);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(ret_provider, names[i].gpuhunt) == 0)
            (void)snprintf(ret_provider, IMPORT_PROVIDER_BYTES, "%s", names[i].catalog);
    }
}

const struct format import_gpuhunt = {.headers = headers, .header_count = sizeof headers / sizeof *headers, .row = row};
