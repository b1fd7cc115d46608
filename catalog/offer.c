/* offer.c owns the names of ways to pay. */
#include "catalog/offer.h"

static const char *const purchase_names[PURCHASE_COUNT] = {
    [PURCHASE_ON_DEMAND] = "on_demand",
    [PURCHASE_SPOT] = "spot",
    [PURCHASE_RESERVED] = "reserved",
    [PURCHASE_OWNED] = "owned",
};

const char *purchase_name(enum purchase purchase)
{
    return purchase_names[purchase];
}

static const char *const purchase_kind_names[PURCHASE_KIND_COUNT] = {
    [PURCHASE_KIND_CONTRACT] = "contract", [PURCHASE_KIND_LIST] = "list", [PURCHASE_KIND_WEB_ESTIMATE] = "web_estimate",
    [PURCHASE_KIND_LISTING] = "listing",   [PURCHASE_KIND_MSRP] = "msrp",
};

const char *purchase_kind_name(enum purchase_kind kind)
{
    return purchase_kind_names[kind];
}
