/* offer.h owns what can be paid for: rented instances, bought parts, hosted APIs, running costs. */
#pragma once
#include "catalog/units.h"

#include <stddef.h>
#include <stdint.h>

enum purchase { PURCHASE_ON_DEMAND, PURCHASE_SPOT, PURCHASE_RESERVED, PURCHASE_OWNED, PURCHASE_COUNT };
const char *purchase_name(enum purchase purchase);

struct region {
    const char *provider, *region;
    const char *country;   /* ISO 3166-1 alpha-2, lower case; "" unknown */
    const char *continent; /* "eu", "na", "sa", "as", "oc", "af", "me"; "" unknown */
};

/* One price of one instance that can be rented. The texts are never NULL. */
struct offer {
    const char *provider, *instance_type, *region, *zone;
    const char *country, *continent; /* from the region table */
    uint32_t gpu;                    /* index into snapshot.gpus */
    uint32_t gpu_count;              /* of one instance */
    enum purchase purchase;
    uint32_t term_months;          /* of a reservation; 0 otherwise */
    usd_t usd_per_hour;            /* of the whole instance */
    double vcpus, host_memory_gib; /* UNKNOWN if not stated */
    const char *price_basis;       /* how the source states it */
    const char *source, *url, *notes;
    date_t as_of;
    double id, version; /* in a database: its number, and the version of the catalog that brought it; else UNKNOWN */
};

enum purchase_kind { /* in the order in which they are believed */
                     PURCHASE_KIND_CONTRACT,
                     PURCHASE_KIND_LIST,
                     PURCHASE_KIND_WEB_ESTIMATE,
                     PURCHASE_KIND_LISTING,
                     PURCHASE_KIND_MSRP,
                     PURCHASE_KIND_COUNT
};
const char *purchase_kind_name(enum purchase_kind kind);

/* Who rents out instances, and how fresh that is. */
struct provider {
    const char *name;
    size_t offer_count;
    date_t as_of; /* of the newest price */
};
enum { PROVIDERS_MAX = 1000 }; /* whose freshness is told one by one */

struct purchase_price {
    uint32_t gpu;
    usd_t usd; /* of one part, without a host */
    enum purchase_kind kind;
    const char *source, *notes;
    date_t as_of;
};

struct operating_cost { /* key and scope as in docs/catalog.md: electricity_usd_per_kwh, pue_ratio, … */
    const char *key, *scope;
    double value;
    const char *unit, *source;
    date_t as_of;
};

struct api_price {
    const char *provider, *model_id;
    usd_t usd_per_million_input_tokens, usd_per_million_output_tokens;
    const char *source;
    date_t as_of;
};
