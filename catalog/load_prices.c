/* load_prices.c owns the files about money: regions, offers, purchase prices, operating costs, hosted APIs. */
#include "catalog/loaders.h"

#include <string.h>
#include <strings.h>

/* --- regions.csv --- */

struct region_row {
    struct row row;
    struct region region;
    const char *source;
    date_t as_of;
};

static const struct column region_columns[] = {
    COLUMN_ID("provider", struct region_row, region.provider),
    COLUMN_ID("region", struct region_row, region.region),
    COLUMN_ID_OPT("country", struct region_row, region.country),
    COLUMN_ID_OPT("continent", struct region_row, region.continent),
    COLUMN("source", struct region_row, source),
    COLUMN("as_of", struct region_row, as_of),
};
static const struct table region_table = TABLE(FILE_REGIONS, region_columns, struct region_row);

static int compare_region_names(const struct region *a, const struct region *b)
{
    int order = strcasecmp(a->provider, b->provider);
    return order ? order : strcasecmp(a->region, b->region);
}

static int compare_regions(const void *a, const void *b)
{
    return compare_region_names(&((const struct region_row *)a)->region, &((const struct region_row *)b)->region);
}

static void check_region(struct loading *loading, const struct rows *rows, const struct region_row *row)
{
    static const char continents[][3] = {"", "eu", "na", "sa", "as", "oc", "af", "me"};
    const char *country = row->region.country;
    if (*country && (strlen(country) != 2 || strspn(country, "abcdefghijklmnopqrstuvwxyz") != 2))
        loading_refuse(loading, rows->file_name, row->row.line, "country", "\"%s\" is not two small letters", country);
    for (size_t i = 0; i < sizeof continents / sizeof *continents; i++) {
        if (strcmp(row->region.continent, continents[i]) == 0) return;
    }
    loading_refuse(loading, rows->file_name, row->row.line, "continent", "\"%s\" is none of eu, na, sa, as, oc, af, me",
                   row->region.continent);
}

void load_regions(struct loading *loading)
{
    struct rows rows = table_read(loading, &region_table);
    for (size_t i = 0; i < rows.count; i++)
        check_region(loading, &rows, rows_at(&rows, i));
    rows_sort(&rows, compare_regions);
    rows_refuse_equal(loading, &rows, "region", compare_regions);
    loading->snapshot->regions = rows_take(loading, &rows, offsetof(struct region_row, region), sizeof(struct region));
    loading->snapshot->region_count = loading->snapshot->regions ? rows.count : 0;
}

/* --- offers.csv --- */

struct offer_row {
    struct row row;
    struct offer offer;
    const char *gpu_id;
    bool superseded; /* the same offer has a newer row */
};

static const char *purchase_choice(unsigned choice)
{
    return purchase_name((enum purchase)choice);
}

static const struct column offer_columns[] = {
    COLUMN_ID("provider", struct offer_row, offer.provider),
    COLUMN_ID("instance_type", struct offer_row, offer.instance_type),
    COLUMN_ID_OPT("region", struct offer_row, offer.region),
    COLUMN_ID_OPT("zone", struct offer_row, offer.zone),
    COLUMN_ID("gpu_id", struct offer_row, gpu_id),
    NUMBER("gpu_count", struct offer_row, offer.gpu_count, 1, 1024),
    CHOICE("purchase", struct offer_row, offer.purchase, purchase_choice, PURCHASE_OWNED),
    NUMBER_ZERO("term_months", struct offer_row, offer.term_months, 0, 120),
    NUMBER("usd_per_hour", struct offer_row, offer.usd_per_hour, 0.001, 1e6),
    NUMBER_OPT("vcpus", struct offer_row, offer.vcpus, 0.25, 1e5),
    NUMBER_OPT("host_memory_gib", struct offer_row, offer.host_memory_gib, 0.25, 1e6),
    COLUMN("price_basis", struct offer_row, offer.price_basis),
    COLUMN("as_of", struct offer_row, offer.as_of),
    COLUMN("source", struct offer_row, offer.source),
    COLUMN_OPT("url", struct offer_row, offer.url),
    COLUMN_OPT("notes", struct offer_row, offer.notes),
    NUMBER_LOOSE("id", struct offer_row, offer.id, 1, 9e15),
    NUMBER_LOOSE("version", struct offer_row, offer.version, 1, 9e15),
};
const struct table offer_table = TABLE(FILE_OFFERS, offer_columns, struct offer_row);

static void find_region(struct loading *loading, const struct rows *rows, struct offer_row *row)
{
    struct offer *offer = &row->offer;
    offer->country = offer->continent = "";
    if (!*offer->region || !*offer->provider) return;
    const struct region wanted = {.provider = offer->provider, .region = offer->region};
    size_t low = 0, high = loading->snapshot->region_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct region *region = &loading->snapshot->regions[middle];
        int order = compare_region_names(region, &wanted);
        if (order == 0) {
            offer->country = region->country;
            offer->continent = region->continent;
            return;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    loading_refuse(loading, rows->file_name, row->row.line, "region", "regions.csv has no region \"%s\" of %s",
                   offer->region, offer->provider);
}

/* Prices of a part of an instance, or of a share of one, are evidence and no offers. */
static void check_price(struct loading *loading, const struct rows *rows, const struct offer_row *row)
{
    static const char *const bases[] = {"instance_total", "instance_total_derived", "instance_total_marketplace",
                                        "per_gpu"};
    bool known = !*row->offer.price_basis;
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
        known = known || strcmp(row->offer.price_basis, bases[i]) == 0;
    if (!known)
        loading_refuse(loading, rows->file_name, row->row.line, "price_basis",
                       "\"%s\" is no price of a whole instance: instance_total, instance_total_derived, "
                       "instance_total_marketplace or per_gpu",
                       row->offer.price_basis);
    bool reserved = row->offer.purchase == PURCHASE_RESERVED;
    if (reserved != (row->offer.term_months > 0))
        loading_refuse(loading, rows->file_name, row->row.line, "term_months",
                       reserved ? "a reserved price needs its term" : "only a reserved price has a term");
}

/* What makes two rows prices of the same offer. */
static int compare_offer_keys(const void *a, const void *b)
{
    const struct offer *x = &((const struct offer_row *)a)->offer, *y = &((const struct offer_row *)b)->offer;
    if (x->gpu != y->gpu) return x->gpu < y->gpu ? -1 : 1;
    if (x->gpu_count != y->gpu_count) return x->gpu_count < y->gpu_count ? -1 : 1;
    if (x->purchase != y->purchase) return x->purchase < y->purchase ? -1 : 1;
    if (x->term_months != y->term_months) return x->term_months < y->term_months ? -1 : 1;
    int order = strcasecmp(x->provider, y->provider);
    if (order == 0) order = strcasecmp(x->region, y->region);
    if (order == 0) order = strcasecmp(x->instance_type, y->instance_type);
    return order ? order : strcasecmp(x->zone, y->zone);
}

static int compare_offer_history(const void *a, const void *b)
{
    const struct offer_row *x = a, *y = b;
    int order = compare_offer_keys(a, b);
    if (order) return order;
    if (x->offer.as_of.days != y->offer.as_of.days) return x->offer.as_of.days < y->offer.as_of.days ? -1 : 1;
    return x->row.line < y->row.line ? -1 : x->row.line > y->row.line;
}

/* For rows sorted by key and day: an older row gives way; two prices of one day are refused. */
static void supersede_offers(struct loading *loading, const struct rows *rows)
{
    for (size_t i = 1; i < rows->count; i++) {
        struct offer_row *before = rows_at(rows, i - 1), *row = rows_at(rows, i);
        if (compare_offer_keys(before, row) != 0) continue;
        before->superseded = true;
        if (before->offer.as_of.days == row->offer.as_of.days &&
            usd_compare(before->offer.usd_per_hour, row->offer.usd_per_hour) != 0)
            loading_refuse(loading, rows->file_name, row->row.line, "usd_per_hour",
                           "the same offer has another price on the same day in line %u", before->row.line);
    }
}

/* The order of snapshot.offers; superseded rows last. */
static int compare_offers(const void *a, const void *b)
{
    const struct offer_row *x = a, *y = b;
    if (x->superseded != y->superseded) return x->superseded ? 1 : -1;
    if (x->offer.gpu != y->offer.gpu) return x->offer.gpu < y->offer.gpu ? -1 : 1;
    if (x->offer.gpu_count != y->offer.gpu_count) return x->offer.gpu_count < y->offer.gpu_count ? -1 : 1;
    if (x->offer.purchase != y->offer.purchase) return x->offer.purchase < y->offer.purchase ? -1 : 1;
    if (x->offer.term_months != y->offer.term_months) return x->offer.term_months < y->offer.term_months ? -1 : 1;
    int order = usd_compare(x->offer.usd_per_hour, y->offer.usd_per_hour);
    return order ? order : compare_offer_keys(a, b);
}

static void index_offers(struct loading *loading)
{
    struct snapshot *snapshot = loading->snapshot;
    snapshot->offer_first =
        loading_alloc(loading, &snapshot->arena, snapshot->gpu_count + 1, sizeof *snapshot->offer_first);
    if (!snapshot->offer_first) return;
    for (size_t i = 0; i < snapshot->offer_count; i++)
        snapshot->offer_first[snapshot->offers[i].gpu + 1]++;
    for (size_t gpu = 0; gpu < snapshot->gpu_count; gpu++)
        snapshot->offer_first[gpu + 1] += snapshot->offer_first[gpu];
}

static void count_offer(struct snapshot *snapshot, const struct offer *offer)
{
    size_t low = 0, high = snapshot->provider_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(snapshot->providers[middle].name, offer->provider) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct provider *provider = &snapshot->providers[low];
    bool known = low < snapshot->provider_count && strcmp(provider->name, offer->provider) == 0;
    if (!known && snapshot->provider_count == PROVIDERS_MAX) return;
    if (!known) {
        memmove(provider + 1, provider, (snapshot->provider_count++ - low) * sizeof *provider);
        *provider = (struct provider){.name = offer->provider, .as_of = offer->as_of};
    }
    provider->offer_count++;
    if (offer->as_of.days > provider->as_of.days) provider->as_of = offer->as_of;
}

static void list_providers(struct loading *loading)
{
    struct snapshot *snapshot = loading->snapshot;
    snapshot->providers = loading_alloc(loading, &snapshot->arena, PROVIDERS_MAX, sizeof *snapshot->providers);
    for (size_t i = 0; snapshot->providers && i < snapshot->offer_count; i++)
        count_offer(snapshot, &snapshot->offers[i]);
}

void load_offers(struct loading *loading)
{
    struct rows rows = table_read(loading, &offer_table);
    for (size_t i = 0; i < rows.count; i++) {
        struct offer_row *row = rows_at(&rows, i);
        (void)loading_find_gpu(loading, &rows, row->row.line, "gpu_id", row->gpu_id, &row->offer.gpu);
        find_region(loading, &rows, row);
        check_price(loading, &rows, row);
    }
    if (loading->bad_count > 0) return;
    rows_sort(&rows, compare_offer_history);
    supersede_offers(loading, &rows);
    rows_sort(&rows, compare_offers);
    while (rows.count > 0 && ((const struct offer_row *)rows_at(&rows, rows.count - 1))->superseded)
        rows.count--;
    loading->snapshot->offers = rows_take(loading, &rows, offsetof(struct offer_row, offer), sizeof(struct offer));
    loading->snapshot->offer_count = loading->snapshot->offers ? rows.count : 0;
    index_offers(loading);
    list_providers(loading);
}

/* --- purchase_prices.csv --- */

struct purchase_row {
    struct row row;
    struct purchase_price price;
    const char *gpu_id;
};

static const char *purchase_kind_choice(unsigned choice)
{
    return purchase_kind_name((enum purchase_kind)choice);
}

static const struct column purchase_columns[] = {
    COLUMN_ID("gpu_id", struct purchase_row, gpu_id),
    NUMBER("usd", struct purchase_row, price.usd, 1, 1e7),
    CHOICE("kind", struct purchase_row, price.kind, purchase_kind_choice, PURCHASE_KIND_COUNT),
    COLUMN("as_of", struct purchase_row, price.as_of),
    COLUMN("source", struct purchase_row, price.source),
    COLUMN_OPT("notes", struct purchase_row, price.notes),
};
static const struct table purchase_table = TABLE(FILE_PURCHASE_PRICES, purchase_columns, struct purchase_row);

/* By GPU, then as they are believed. */
static int compare_purchases(const void *a, const void *b)
{
    const struct purchase_price *x = &((const struct purchase_row *)a)->price;
    const struct purchase_price *y = &((const struct purchase_row *)b)->price;
    if (x->gpu != y->gpu) return x->gpu < y->gpu ? -1 : 1;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return (x->as_of.days < y->as_of.days) - (x->as_of.days > y->as_of.days);
}

void load_purchase_prices(struct loading *loading)
{
    struct rows rows = table_read(loading, &purchase_table);
    for (size_t i = 0; i < rows.count; i++) {
        struct purchase_row *row = rows_at(&rows, i);
        (void)loading_find_gpu(loading, &rows, row->row.line, "gpu_id", row->gpu_id, &row->price.gpu);
    }
    if (loading->bad_count > 0) return;
    rows_sort(&rows, compare_purchases);
    rows_refuse_equal(loading, &rows, "as_of", compare_purchases);
    loading->snapshot->purchase_prices =
        rows_take(loading, &rows, offsetof(struct purchase_row, price), sizeof(struct purchase_price));
    loading->snapshot->purchase_price_count = loading->snapshot->purchase_prices ? rows.count : 0;
}

/* --- operating_costs.csv, api_prices.csv --- */

struct operating_row {
    struct row row;
    struct operating_cost cost;
};

static const struct column operating_columns[] = {
    COLUMN_ID("key", struct operating_row, cost.key),          COLUMN_ID("scope", struct operating_row, cost.scope),
    NUMBER("value", struct operating_row, cost.value, 0, 1e9), COLUMN("unit", struct operating_row, cost.unit),
    COLUMN("as_of", struct operating_row, cost.as_of),         COLUMN("source", struct operating_row, cost.source),
};
static const struct table operating_table = TABLE(FILE_OPERATING_COSTS, operating_columns, struct operating_row);

static int compare_operating_costs(const void *a, const void *b)
{
    const struct operating_cost *x = &((const struct operating_row *)a)->cost;
    const struct operating_cost *y = &((const struct operating_row *)b)->cost;
    int order = strcasecmp(x->key, y->key);
    return order ? order : strcasecmp(x->scope, y->scope);
}

void load_operating_costs(struct loading *loading)
{
    struct rows rows = table_read(loading, &operating_table);
    rows_sort(&rows, compare_operating_costs);
    rows_refuse_equal(loading, &rows, "scope", compare_operating_costs);
    loading->snapshot->operating_costs =
        rows_take(loading, &rows, offsetof(struct operating_row, cost), sizeof(struct operating_cost));
    loading->snapshot->operating_cost_count = loading->snapshot->operating_costs ? rows.count : 0;
}

struct api_row {
    struct row row;
    struct api_price price;
};

static const struct column api_columns[] = {
    COLUMN_ID("provider", struct api_row, price.provider),
    COLUMN_ID("model_id", struct api_row, price.model_id),
    NUMBER("usd_per_million_input_tokens", struct api_row, price.usd_per_million_input_tokens, 0.0001, 1e4),
    NUMBER("usd_per_million_output_tokens", struct api_row, price.usd_per_million_output_tokens, 0.0001, 1e4),
    COLUMN("as_of", struct api_row, price.as_of),
    COLUMN("source", struct api_row, price.source),
};
static const struct table api_table = TABLE(FILE_API_PRICES, api_columns, struct api_row);

static int compare_api_prices(const void *a, const void *b)
{
    const struct api_price *x = &((const struct api_row *)a)->price, *y = &((const struct api_row *)b)->price;
    int order = strcasecmp(x->model_id, y->model_id);
    return order ? order : strcasecmp(x->provider, y->provider);
}

void load_api_prices(struct loading *loading)
{
    struct rows rows = table_read(loading, &api_table);
    rows_sort(&rows, compare_api_prices);
    rows_refuse_equal(loading, &rows, "provider", compare_api_prices);
    loading->snapshot->api_prices =
        rows_take(loading, &rows, offsetof(struct api_row, price), sizeof(struct api_price));
    loading->snapshot->api_price_count = loading->snapshot->api_prices ? rows.count : 0;
}
