/* format_csv.c owns our own layouts of rented offers: a row for each price, or a column for each kind of purchase. */
#include "import/formats.h"

#include <string.h>

static const struct import_header headers[] = {
    {"provider", COL_PROVIDER, true},
    {"instance_type", COL_INSTANCE_TYPE, true},
    {"region", COL_REGION, false},
    {"zone", COL_ZONE, false},
    {"gpu_id", COL_GPU, true},
    {"gpu_count", COL_GPU_COUNT, true},
    {"vcpus", COL_VCPUS, false},
    {"host_memory_gib", COL_HOST_MEMORY, false},
    {"purchase", COL_PURCHASE, false},
    {"term_months", COL_TERM, false},
    {"usd_per_hour", COL_PRICE, true},
    {"price_per_hour", COL_PRICE, true}, /* in `currency` */
    {"price_on_demand_usd_hr", COL_PRICE, true},
    {"price_spot_usd_hr", COL_SPOT, false},
    {"price_reserved_usd_hr", COL_RESERVED, false},
    {"reserved_term", COL_TERM, false},
    {"currency", COL_CURRENCY, false},
    {"price_basis", COL_PRICE_BASIS, false},
    {"as_of", COL_AS_OF, true},
    {"source", COL_SOURCE, true},
    {"url", COL_URL, false},
    {"notes", COL_NOTES, false},
    {"gpu_model_raw", COL_IGNORED, false},
    {"gpu_memory_gb_each", COL_IGNORED, false},
};

/* A row for each price says which purchase it is; with a column for each kind, the column does. */
static bool one_price_a_row(const struct importing *importing)
{
    return importing->fields[COL_PURCHASE] > 0;
}

/* Whole instances only. In the layout with a column for each kind of purchase, `per_gpu` prices stand for nodes that
 * may not be rented in part: evidence. In the other they are rented by the single GPU. */
static bool take_basis(struct importing *importing, struct draft *draft)
{
    static const char *const bases[] = {"per_gpu", "instance_total", "instance_total_derived",
                                        "instance_total_marketplace"};
    const char *text = import_cell(importing, COL_PRICE_BASIS);
    for (size_t i = one_price_a_row(importing) ? 0 : 1; i < sizeof bases / sizeof *bases; i++) {
        if (strcmp(text, bases[i]) == 0) draft->offer.price_basis = bases[i];
    }
    if (!*text || strcmp(text, draft->offer.price_basis) == 0) return true;
    return import_refuse(importing, draft->line, COL_PRICE_BASIS, "\"%s\" is no price of a whole instance", text);
}

static void take_reserved(struct importing *importing, const struct draft *draft, enum import_column column)
{
    usd_t price = USD_UNKNOWN;
    if (!import_price(importing, column, &price) || !usd_known(price)) return;
    uint32_t months = import_term_months(import_cell(importing, COL_TERM));
    if (months > 0)
        import_offer(importing, draft, PURCHASE_RESERVED, months, price);
    else
        (void)import_refuse(importing, draft->line, COL_TERM, "a reserved price needs its term: 12 or 1y");
}

static void take_price(struct importing *importing, const struct draft *draft, enum import_column column,
                       enum purchase purchase)
{
    usd_t price = USD_UNKNOWN;
    if (import_price(importing, column, &price)) import_offer(importing, draft, purchase, 0, price);
}

static void take_one(struct importing *importing, const struct draft *draft)
{
    const char *text = import_cell(importing, COL_PURCHASE), *term = import_cell(importing, COL_TERM);
    bool reserved = strcmp(text, purchase_name(PURCHASE_RESERVED)) == 0;
    bool spot = strcmp(text, purchase_name(PURCHASE_SPOT)) == 0;
    if (!reserved && !spot && strcmp(text, purchase_name(PURCHASE_ON_DEMAND)) != 0)
        (void)import_refuse(importing, draft->line, COL_PURCHASE, "is none of on_demand, spot, reserved");
    else if (!*import_cell(importing, COL_PRICE))
        (void)import_refuse(importing, draft->line, COL_PRICE, "is empty");
    else if (reserved)
        take_reserved(importing, draft, COL_PRICE);
    else if (*term && strcmp(term, "0") != 0)
        (void)import_refuse(importing, draft->line, COL_TERM, "only a reserved price has a term");
    else
        take_price(importing, draft, COL_PRICE, spot ? PURCHASE_SPOT : PURCHASE_ON_DEMAND);
}

static void row(struct importing *importing)
{
    struct draft draft;
    if (!import_draft(importing, &draft) || !take_basis(importing, &draft) ||
        !import_draft_gpu(importing, &draft, ALIAS_USER, UNKNOWN))
        return;
    if (one_price_a_row(importing)) {
        take_one(importing, &draft);
        return;
    }
    take_price(importing, &draft, COL_PRICE, PURCHASE_ON_DEMAND);
    take_price(importing, &draft, COL_SPOT, PURCHASE_SPOT);
    take_reserved(importing, &draft, COL_RESERVED);
}

const struct format import_csv = {
    .headers = headers, .header_count = sizeof headers / sizeof *headers, .strict = true, .row = row};
