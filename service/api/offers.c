/* offers.c owns the operation offers: dated prices of instances that can be rented. */
#include "api/page.h"
#include "catalog/text.h"

#include <strings.h>

struct offers_request {
    struct text_list gpus, providers, regions;
    uint32_t purchases;
    int64_t max_price_age_days;
    date_t as_of;
    struct page_request page;
};

/* Renting only: owning is no offer. In the order of enum purchase. */
static const char *const rentals[] = {"on_demand", "spot", "reserved", NULL};

static const struct field fields[] = {
    {.name = "gpus",
     .group = "constraints",
     .alias = "gpu",
     .kind = FIELD_TEXTS,
     .offset = offsetof(struct offers_request, gpus),
     .help = "Only these GPUs: ids, aliases or families."},
    {.name = "providers",
     .group = "constraints",
     .alias = "provider",
     .kind = FIELD_TEXTS,
     .offset = offsetof(struct offers_request, providers),
     .help = "Only these providers."},
    {.name = "regions",
     .group = "constraints",
     .alias = "region",
     .kind = FIELD_TEXTS,
     .offset = offsetof(struct offers_request, regions),
     .help = "Only these provider regions, countries or continents."},
    {.name = "purchase",
     .group = "constraints",
     .kind = FIELD_CHOICES,
     .offset = offsetof(struct offers_request, purchases),
     .names = rentals,
     .help = "Ways to pay that may be used."},
    {.name = "max_price_age_days",
     .group = "constraints",
     .kind = FIELD_INTEGER,
     .offset = offsetof(struct offers_request, max_price_age_days),
     .min = 0,
     .max = 36500,
     .unit = "days",
     .help = "Older prices do not count."},
    API_FIELD_AS_OF(struct offers_request),
    PAGE_FIELDS(struct offers_request),
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

static bool listed(const struct text_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcasecmp(list->items[i], name) == 0) return true;
    }
    return false;
}

static bool in_region(const struct text_list *regions, const struct offer *offer)
{
    return listed(regions, offer->region) || listed(regions, offer->country) || listed(regions, offer->continent);
}

/* Age in days on the day of the question; negative = not known yet on that day. */
static int32_t age_days(const struct offers_request *request, const struct offer *offer)
{
    return request->as_of.days - offer->as_of.days;
}

static bool matches(const struct offers_request *request, const struct offer *offer, const bool *gpu_wanted)
{
    int32_t age = age_days(request, offer);
    return age >= 0 && (request->max_price_age_days == VALUE_ABSENT || age <= request->max_price_age_days) &&
           (!request->gpus.count || gpu_wanted[offer->gpu]) &&
           (!request->providers.count || listed(&request->providers, offer->provider)) &&
           (!request->regions.count || in_region(&request->regions, offer)) &&
           (!request->purchases || (request->purchases & (1U << offer->purchase)));
}

/* The names of an offer that a filter can mean. */
typedef size_t names_of(const struct offer *offer, const char *names[3]);

static size_t provider_of(const struct offer *offer, const char *names[3])
{
    names[0] = offer->provider;
    return 1;
}

static size_t places_of(const struct offer *offer, const char *names[3])
{
    names[0] = offer->region;
    names[1] = offer->country;
    names[2] = offer->continent;
    return 3;
}

/* The name of any offer within `distance` of `wanted`, the nearest first; NULL if there is none. */
static const char *nearest_name(const struct snapshot *snapshot, const char *wanted, names_of *get, size_t distance)
{
    const char *nearest = NULL, *names[3];
    for (size_t i = 0; i < snapshot->offer_count; i++) {
        size_t count = get(&snapshot->offers[i], names);
        for (size_t j = 0; j < count; j++) {
            size_t found = *names[j] ? text_distance(wanted, names[j], distance) : distance + 1;
            if (found > distance) continue;
            nearest = names[j];
            if (found == 0) return nearest;
            distance = found - 1;
        }
    }
    return nearest;
}

static bool any_offer_has(const struct snapshot *snapshot, const char *wanted, names_of *get)
{
    const char *names[3];
    for (size_t i = 0; i < snapshot->offer_count; i++) {
        size_t count = get(&snapshot->offers[i], names);
        for (size_t j = 0; j < count; j++) {
            if (strcasecmp(names[j], wanted) == 0) return true;
        }
    }
    return false;
}

/* A name that no offer has is a mistake worth telling, not an empty list. */
static void check_list(struct call *call, const struct text_list *list, names_of *get, enum status status,
                       const char *field)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *wanted = list->items[i];
        if (any_offer_has(call->snapshot, wanted, get)) continue;
        const char *nearest = nearest_name(call->snapshot, wanted, get, 2);
        const char *element = arena_printf(call->arena, "%s[%zu]", field, i);
        (void)problems_add(call->problems, status, element ? element : field, "no offer has \"%s\"%s%s%s", wanted,
                           nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    }
}

static enum status check_names(struct call *call, const struct offers_request *request, bool *gpu_wanted)
{
    for (size_t i = 0; i < request->gpus.count; i++) {
        const char *field = arena_printf(call->arena, "constraints.gpus[%zu]", i);
        (void)!snapshot_match_gpus(call->snapshot, request->gpus.items[i], field ? field : "constraints.gpus",
                                   call->problems, gpu_wanted);
    }
    check_list(call, &request->providers, provider_of, STATUS_UNKNOWN_PROVIDER, "constraints.providers");
    check_list(call, &request->regions, places_of, STATUS_UNKNOWN_REGION, "constraints.regions");
    return problems_status(call->problems);
}

static void put_offer(struct call *call, const struct offers_request *request, const struct offer *offer)
{
    struct out *out = call->out;
    out_object(out, NULL);
    out_text(out, "gpu", call->snapshot->gpus[offer->gpu].id);
    out_integer(out, "gpu_count", offer->gpu_count);
    out_text(out, "provider", offer->provider);
    out_text(out, "instance_type", offer->instance_type);
    out_text(out, "region", *offer->region ? offer->region : NULL);
    out_text(out, "zone", *offer->zone ? offer->zone : NULL);
    out_text(out, "country", *offer->country ? offer->country : NULL);
    out_text(out, "continent", *offer->continent ? offer->continent : NULL);
    out_text(out, "purchase", purchase_name(offer->purchase));
    out_integer(out, "term_months", offer->term_months ? (int64_t)offer->term_months : VALUE_ABSENT);
    out_usd(out, "usd_per_hour", offer->usd_per_hour);
    out_usd(out, "usd_per_gpu_hour", usd_times(offer->usd_per_hour, 1.0 / offer->gpu_count));
    out_number(out, "vcpus", offer->vcpus);
    out_number(out, "host_memory_gib", offer->host_memory_gib);
    out_text(out, "price_basis", offer->price_basis);
    out_date(out, "as_of", offer->as_of);
    out_integer(out, "age_days", age_days(request, offer));
    out_text(out, "source", offer->source);
    out_text(out, "url", *offer->url ? offer->url : NULL);
    out_text(out, "notes", *offer->notes ? offer->notes : NULL);
    out_number(out, "id", offer->id);
    out_number(out, "version", offer->version);
    out_object_end(out);
}

static enum status answer(struct call *call, struct offers_request *request)
{
    const struct snapshot *snapshot = call->snapshot;
    struct page page;
    bool *gpu_wanted = ARENA_ARRAY(call->arena, snapshot->gpu_count, bool);
    if (!gpu_wanted) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the list");
    if (!date_known(request->as_of)) request->as_of = call->today;
    enum status status = check_names(call, request, gpu_wanted);
    if (status == STATUS_OK) status = page_open(call, &operation_offers, request, &request->page, &page);
    if (status != STATUS_OK) return status;
    out_object(call->out, NULL);
    api_put_head(call, request->as_of);
    out_array(call->out, "offers");
    for (size_t i = 0; i < snapshot->offer_count; i++) {
        const struct offer *offer = &snapshot->offers[i];
        if (matches(request, offer, gpu_wanted) && page_shows(&page)) put_offer(call, request, offer);
    }
    out_array_end(call->out);
    page_put_end(call->out, &page);
    out_object_end(call->out);
    return STATUS_OK;
}

static enum status run(struct call *call)
{
    struct offers_request request;
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    return status == STATUS_OK ? answer(call, &request) : status;
}

static const char *const examples[] = {
    "gpusize offers --gpus h100 --regions eu",
    "gpusize offers --gpus l40s --purchase spot --format csv",
    NULL,
};

const struct operation operation_offers = {
    .id = "offers",
    .command = "offers",
    .summary = "Lists dated prices of instances that can be rented.",
    .fields = fields,
    .field_count = FIELD_COUNT,
    .computes = true, /* a long list takes milliseconds to write */
    .rows = "offers",
    .examples = examples,
    .run = run,
};
