/* offers.c owns the operation offers: dated prices of instances that can be rented. */
#include "api/offer_filter.h"
#include "api/page.h"
#include "catalog/load.h"
#include "catalog/text.h"
#include "store/store.h"

#include <string.h>

struct offers_request {
    struct offer_filter filter;
    int64_t max_price_age_days;
    date_t as_of;
    struct page_request page;
};

static const struct field fields[] = {
    OFFER_FILTER_FIELDS(struct offers_request),
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

/* Age in days on the day of the question; negative = not known yet on that day. */
static int32_t age_days(const struct offers_request *request, const struct offer *offer)
{
    return request->as_of.days - offer->as_of.days;
}

static bool matches(const struct offers_request *request, const struct offer *offer, const bool *gpu_wanted)
{
    int32_t age = age_days(request, offer);
    return age >= 0 && (request->max_price_age_days == VALUE_ABSENT || age <= request->max_price_age_days) &&
           (!request->filter.gpus.count || gpu_wanted[offer->gpu]) && offer_filter_matches(&request->filter, offer);
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

/* From call->snapshot; names that only `now` has are no mistake. */
static enum status answer(struct call *call, struct offers_request *request, const struct snapshot *now)
{
    const struct snapshot *snapshot = call->snapshot;
    const struct offer_list lists[] = {{snapshot->offers, snapshot->offer_count}, {now->offers, now->offer_count}};
    struct page page;
    bool *gpu_wanted = ARENA_ARRAY(call->arena, snapshot->gpu_count, bool);
    if (!gpu_wanted) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the list");
    (void)!offer_filter_gpus(call, &request->filter, NULL, NULL, gpu_wanted);
    enum status status = offer_filter_check(call, &request->filter, lists, snapshot == now ? 1 : 2);
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

/* The prices that held on the day, as the version that answers knew them: read anew, since a snapshot has one price an
 * offer. */
static enum status load_day(struct call *call, date_t day, struct snapshot **ret_snapshot)
{
    struct catalog_text files[CATALOG_FILE_COUNT];
    struct store_version version;
    struct arena texts;
    int64_t number = 0;
    enum status status = api_version_number(call, &number);
    if (status != STATUS_OK) return status;
    arena_init(&texts, 0);
    status = store_catalog_read_on(call->store, number, day, &texts, call->problems, files, &version);
    if (status == STATUS_OK) status = catalog_load(files, call->problems, ret_snapshot);
    if (status == STATUS_OK) (*ret_snapshot)->version = call->snapshot->version;
    arena_done(&texts);
    return status;
}

static enum status answer_day(struct call *call, struct offers_request *request)
{
    const struct snapshot *now = call->snapshot;
    struct snapshot *then = NULL;
    enum status status = load_day(call, request->as_of, &then);
    if (status != STATUS_OK) return status;
    call->snapshot = then;
    status = answer(call, request, now);
    call->snapshot = now;
    snapshot_free(then);
    return status;
}

static enum status run(struct call *call)
{
    struct offers_request request;
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    if (status != STATUS_OK) return status;
    if (!date_known(request.as_of)) request.as_of = call->today;
    if (request.max_price_age_days == VALUE_ABSENT && call->price_age_max_days > 0)
        request.max_price_age_days = call->price_age_max_days;
    bool past = call->store && request.as_of.days < call->today.days;
    call->defer = past && !call->may_wait;
    if (call->defer) return STATUS_OK;
    return past ? answer_day(call, &request) : answer(call, &request, call->snapshot);
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
