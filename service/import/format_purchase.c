/* format_purchase.c owns what parts cost to buy: a procurement list. */
#include "import/formats.h"

#include <string.h>

static const struct import_header headers[] = {
    {"gpu_id", COL_GPU, true},      {"usd", COL_PRICE, true},          {"price", COL_PRICE, true},
    {"price_usd", COL_PRICE, true}, {"currency", COL_CURRENCY, false}, {"kind", COL_KIND, true},
    {"price_type", COL_KIND, true}, {"as_of", COL_AS_OF, true},        {"date", COL_AS_OF, true},
    {"source", COL_SOURCE, true},   {"notes", COL_NOTES, false},       {"product", COL_IGNORED, false},
    {"detail", COL_IGNORED, false},
};

static bool find_kind(const char *text, enum purchase_kind *ret_kind)
{
    static const struct {
        const char *text;
        enum purchase_kind kind;
    } others[] = {{"amazon_listing", PURCHASE_KIND_LISTING}, {"launch_msrp", PURCHASE_KIND_MSRP}};
    for (unsigned kind = 0; kind < PURCHASE_KIND_COUNT; kind++) {
        if (strcmp(text, purchase_kind_name((enum purchase_kind)kind)) != 0) continue;
        *ret_kind = (enum purchase_kind)kind;
        return true;
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(text, others[i].text) != 0) continue;
        *ret_kind = others[i].kind;
        return true;
    }
    return false;
}

static void row(struct importing *importing)
{
    struct purchase_price price = {.usd = USD_UNKNOWN};
    const struct import_source *source = importing->source;
    const uint32_t line = importing->csv.line;
    const struct gpu *gpu =
        import_find_gpu(importing, line, ALIAS_USER, import_cell(importing, COL_GPU), "", "", UNKNOWN);
    if (!gpu || !import_price(importing, COL_PRICE, &price.usd) || !import_day(importing, &price.as_of) ||
        !import_text(importing, COL_SOURCE, &price.source) || !import_text(importing, COL_NOTES, &price.notes))
        return;
    if (!usd_known(price.usd)) {
        (void)import_refuse(importing, line, COL_PRICE, "is empty");
    } else if (!find_kind(import_cell(importing, COL_KIND), &price.kind)) {
        (void)import_refuse(importing, line, COL_KIND, "is none of contract, list, web_estimate, listing, msrp");
    } else {
        if (!*price.source) price.source = source->source;
        price.gpu = (uint32_t)(gpu - source->catalog->gpus);
        importing->counts.accepted++;
        importing->status = importing->sink->purchase(importing->sink->context, line, &price);
    }
}

const struct format import_purchase = {
    .headers = headers, .header_count = sizeof headers / sizeof *headers, .strict = true, .row = row};
