/* format_azure.c owns the items of Azure's retail prices API: which are rented Linux machines with whole GPUs, and what
 * one costs by the hour. */
#include "import/formats.h"

#include <string.h>
#include <strings.h>

static const struct import_header headers[] = {
    {"armSkuName", COL_INSTANCE_TYPE, true},
    {"armRegionName", COL_REGION, true},
    {"retailPrice", COL_PRICE, true},
    {"currencyCode", COL_CURRENCY, true},
    {"type", COL_PURCHASE, true},
    {"reservationTerm", COL_TERM, false},
    {"serviceName", COL_SERVICE, true},
    {"productName", COL_PRODUCT, true},
    {"skuName", COL_SKU, true},
    {"meterName", COL_METER, true},
    {"unitOfMeasure", COL_UNIT, true},
    {"isPrimaryMeterRegion", COL_PRIMARY, false},
    {"effectiveStartDate", COL_BEGINS, false},
    {"effectiveEndDate", COL_ENDS, false},
};

/* A meter that is not its region's primary one is on nobody's bill. Prices for development and test need a
 * subscription of that kind. */
static const struct import_condition conditions[] = {
    {COL_SERVICE, false, {"Virtual Machines"}},
    {COL_PURCHASE, false, {"Consumption", "Reservation"}},
    {COL_UNIT, false, {"1 Hour"}},
    {COL_PRIMARY, false, {"true", ""}},
    {COL_PRODUCT, true, {"Windows", "Dedicated", "Cloud Services"}},
    {COL_SKU, true, {"Low Priority", "Expired"}},
    {COL_METER, true, {"Low Priority", "Expired"}},
};

static bool is_by(const struct importing *importing, enum import_column column)
{
    date_t day = DATE_UNKNOWN;
    return import_day_of_time(import_cell(importing, column), &day) && day.days <= importing->as_of.days;
}

static bool holds(const struct importing *importing)
{
    return (is_by(importing, COL_BEGINS) || !*import_cell(importing, COL_BEGINS)) && !is_by(importing, COL_ENDS);
}

/* Machine families with accelerators are N: GPUs, and NP with FPGAs. */
static bool may_have_gpu(const char *instance_type)
{
    static const char family[] = "Standard_N", fpga[] = "Standard_NP";
    return strncasecmp(instance_type, family, sizeof family - 1) == 0 &&
           strncasecmp(instance_type, fpga, sizeof fpga - 1) != 0;
}

/* The price of a reservation is for all of its term. */
static void take_reserved(struct importing *importing, const struct draft *draft)
{
    usd_t price = USD_UNKNOWN;
    uint32_t months = import_term_months(import_cell(importing, COL_TERM));
    if (months == 0)
        (void)import_refuse(importing, draft->line, COL_TERM, "a reservation needs its term: \"1 Year\"");
    else if (import_price_of(importing, COL_PRICE, months * HOURS_PER_MONTH, &price))
        import_offer(importing, draft, PURCHASE_RESERVED, months, price);
}

static void take_price(struct importing *importing, const struct draft *draft)
{
    usd_t price = USD_UNKNOWN;
    bool spot = strstr(import_cell(importing, COL_METER), "Spot") || strstr(import_cell(importing, COL_SKU), "Spot");
    if (import_price(importing, COL_PRICE, &price))
        import_offer(importing, draft, spot ? PURCHASE_SPOT : PURCHASE_ON_DEMAND, 0, price);
}

static void row(struct importing *importing)
{
    struct draft draft;
    if (!import_wanted(importing, conditions, sizeof conditions / sizeof *conditions)) return;
    if (!may_have_gpu(import_cell(importing, COL_INSTANCE_TYPE)) || !holds(importing)) {
        importing->counts.left_out++;
        return;
    }
    if (!import_draft(importing, &draft)) return;
    const struct import_machine *machine = import_find_machine("azure", draft.instance_type);
    if (!import_draft_machine(importing, &draft, machine, UNKNOWN)) return;
    if (strcmp(import_cell(importing, COL_PURCHASE), "Reservation") == 0)
        take_reserved(importing, &draft);
    else
        take_price(importing, &draft);
}

const struct format import_azure_retail = {
    .headers = headers,
    .header_count = sizeof headers / sizeof *headers,
    .json = true,
    .provider = "azure",
    .row = row,
};
