/* offers_history.c owns the operation offers_history: what offers, or GPUs, have cost over time. */
#include "api/offer_filter.h"
#include "api/page.h"
#include "store/history.h"

#include <string.h>
#include <strings.h>

enum { RANGE_DAYS_DEFAULT = 365, STEPS_DEFAULT_MAX = 122, LOOKUPS_MAX = 1000000, POINTS_MAX = 15000 };

enum group { GROUP_OFFER, GROUP_GPU };
static const char *const groups[] = {"offer", "gpu", NULL};
static const char *const steps[] = {"day", "week", "month", NULL}; /* in the order of enum store_step */

struct history_request {
    struct offer_filter filter;
    date_t from, to;
    int64_t step, group;
    struct page_request page;
};

static const struct field fields[] = {
    OFFER_FILTER_FIELDS(struct history_request),
    {.name = "from",
     .group = "",
     .kind = FIELD_DATE,
     .offset = offsetof(struct history_request, from),
     .preset = "a year before to",
     .help = "First day."},
    {.name = "to",
     .group = "",
     .kind = FIELD_DATE,
     .offset = offsetof(struct history_request, to),
     .preset = "today",
     .help = "Last day."},
    {.name = "step",
     .group = "",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct history_request, step),
     .names = steps,
     .preset = "the shortest with at most 122 points",
     .help = "Time between the points of a GPU, counted back from the last day."},
    {.name = "group",
     .group = "",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct history_request, group),
     .names = groups,
     .preset = "gpu",
     .help = "What a series is: each offer with its prices, or each GPU and way to pay with the spread of its offers."},
    PAGE_FIELDS(struct history_request),
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

/* --- the question --- */

static enum status fill_defaults(struct call *call, struct history_request *request)
{
    if (!date_known(request->to)) request->to = call->today;
    if (!date_known(request->from)) request->from.days = request->to.days - RANGE_DAYS_DEFAULT;
    if (request->group == VALUE_ABSENT) request->group = GROUP_GPU;
    if (request->from.days > request->to.days)
        (void)problems_add(call->problems, STATUS_CONTRADICTION, "from", "the first day is after the last one");
    if (request->group == GROUP_OFFER && request->step != VALUE_ABSENT)
        (void)problems_add(call->problems, STATUS_CONTRADICTION, "step",
                           "prices of an offer come with the days between which they held; step belongs to group=gpu");
    const struct store_history range = {.from = request->from, .to = request->to};
    for (int64_t step = STORE_STEP_DAY; request->group == GROUP_GPU && request->step == VALUE_ABSENT; step++) {
        bool last = step == STORE_STEP_MONTH;
        if (last || store_history_day_count(&range, (enum store_step)step) <= STEPS_DEFAULT_MAX) request->step = step;
    }
    return problems_status(call->problems);
}

/* --- series --- */

struct history {
    struct call *call;
    const struct history_request *request;
    struct arena arena; /* of the offers, of which there may be more than a request has room for */
    struct store_offers offers;
    struct page page;
    struct store_history chosen;
    size_t *first_of; /* the first offer of each series of the page */
    size_t point_count;
};

static const struct gpu *find_gpu(const struct snapshot *snapshot, const char *id)
{
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        if (strcasecmp(snapshot->gpus[i].id, id) == 0) return &snapshot->gpus[i];
    }
    return NULL;
}

/* A part that the catalog no longer has, and former offers do. */
static bool is_former_gpu(const void *context, const char *id)
{
    const struct history *history = context;
    bool offered = false;
    for (size_t i = 0; i < history->offers.count && !offered; i++)
        offered = strcasecmp(history->offers.gpu_ids[i], id) == 0;
    return offered && !find_gpu(history->call->snapshot, id);
}

static bool same_offer(const struct store_offers *offers, size_t one, size_t other)
{
    const struct offer *a = &offers->items[one], *b = &offers->items[other];
    return strcasecmp(offers->gpu_ids[one], offers->gpu_ids[other]) == 0 && a->gpu_count == b->gpu_count &&
           a->purchase == b->purchase && a->term_months == b->term_months && strcmp(a->provider, b->provider) == 0 &&
           strcasecmp(a->instance_type, b->instance_type) == 0 && strcasecmp(a->region, b->region) == 0 &&
           strcasecmp(a->zone, b->zone) == 0;
}

static bool same_series(const struct history *history, size_t one, size_t other)
{
    const struct store_offers *offers = &history->offers;
    if (history->request->group == GROUP_OFFER) return same_offer(offers, one, other);
    return strcasecmp(offers->gpu_ids[one], offers->gpu_ids[other]) == 0 &&
           offers->items[one].purchase == offers->items[other].purchase;
}

static bool matches(const struct history *history, size_t index, const bool *gpu_wanted)
{
    const struct offer_filter *filter = &history->request->filter;
    const struct snapshot *snapshot = history->call->snapshot;
    const char *id = history->offers.gpu_ids[index];
    if (!history->offers.held[index] || !offer_filter_matches(filter, &history->offers.items[index])) return false;
    if (!filter->gpus.count || offer_filter_lists(&filter->gpus, id)) return true;
    const struct gpu *gpu = find_gpu(snapshot, id);
    return gpu && gpu_wanted[gpu - snapshot->gpus];
}

/* The GPUs that may be meant: those of the snapshot, and each name as it stands, for it may be a former part's id. What
 * is no name at all is told when the offers are known. */
static const struct text_list *wanted_gpus(struct history *history)
{
    struct call *call = history->call;
    const struct snapshot *snapshot = call->snapshot;
    const struct text_list *names = &history->request->filter.gpus;
    struct problems unknown;
    problems_init(&unknown, &history->arena);
    bool *member = ARENA_ARRAY(&history->arena, snapshot->gpu_count, bool);
    const char **ids = ARENA_ARRAY(&history->arena, snapshot->gpu_count + names->count, const char *);
    struct text_list *list = ARENA_NEW(&history->arena, struct text_list);
    if (!member || !ids || !list) return NULL;
    for (size_t i = 0; i < names->count; i++) {
        ids[list->count++] = names->items[i];
        (void)!snapshot_match_gpus(snapshot, names->items[i], "", &unknown, member);
    }
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        if (member[i]) ids[list->count++] = snapshot->gpus[i].id;
    }
    list->items = ids;
    return list;
}

/* Numbers the offers of the page's series. Those of a series follow each other, and so do the ids of an offer. */
static void number_offers(struct history *history, const bool *gpu_wanted, struct store_history_id *ids)
{
    int64_t offer = -1, series = -1;
    bool shown = false;
    for (size_t i = 0, last = SIZE_MAX; i < history->offers.count; i++) {
        if (!matches(history, i, gpu_wanted)) continue;
        if (last == SIZE_MAX || !same_series(history, last, i)) {
            shown = page_shows(&history->page);
            if (shown) history->first_of[++series] = i;
        }
        if (shown && (last == SIZE_MAX || !same_offer(&history->offers, last, i))) offer++;
        if (shown) ids[history->chosen.id_count++] = (struct store_history_id){history->offers.ids[i], offer, series};
        last = i;
    }
    history->chosen.ids = ids;
}

static enum status read_offers(struct history *history)
{
    struct call *call = history->call;
    if (history->request->filter.gpus.count) {
        history->chosen.gpu_ids = wanted_gpus(history);
        if (!history->chosen.gpu_ids)
            return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the GPUs");
    }
    return store_history_offers(call->store, &history->chosen, &history->arena, call->problems, &history->offers);
}

static enum status choose_offers(struct history *history)
{
    struct call *call = history->call;
    const struct offer_filter *filter = &history->request->filter;
    bool *gpu_wanted = ARENA_ARRAY(call->arena, call->snapshot->gpu_count, bool);
    struct store_history_id *ids = ARENA_ARRAY(&history->arena, history->offers.count, struct store_history_id);
    history->first_of = ARENA_ARRAY(&history->arena, history->offers.count, size_t);
    if (!gpu_wanted || !ids || !history->first_of)
        return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the offers");
    const struct offer_list lists[] = {{history->offers.items, history->offers.count},
                                       {call->snapshot->offers, call->snapshot->offer_count}};
    (void)!offer_filter_gpus(call, filter, is_former_gpu, history, gpu_wanted);
    enum status status = offer_filter_check(call, filter, lists, sizeof lists / sizeof *lists);
    if (status == STATUS_OK) number_offers(history, gpu_wanted, ids);
    return status;
}

/* --- points --- */

/* One list of flat points, each of which names its series: a row of a spreadsheet as it is, and what chart libraries
 * split by a column themselves. */
static void put_series(struct history *history, int64_t series)
{
    struct out *out = history->call->out;
    size_t first = history->first_of[series];
    const struct offer *offer = &history->offers.items[first];
    history->point_count++;
    out_object(out, NULL);
    out_text(out, "gpu", history->offers.gpu_ids[first]);
    out_text(out, "purchase", purchase_name(offer->purchase));
    if (history->request->group == GROUP_GPU) return;
    out_integer(out, "term_months", offer->term_months ? (int64_t)offer->term_months : VALUE_ABSENT);
    out_integer(out, "gpu_count", offer->gpu_count);
    out_text(out, "provider", offer->provider);
    out_text(out, "instance_type", offer->instance_type);
    out_text(out, "region", *offer->region ? offer->region : NULL);
    out_text(out, "zone", *offer->zone ? offer->zone : NULL);
}

static void put_price(void *context, const struct store_price *price)
{
    struct history *history = context;
    struct out *out = history->call->out;
    uint32_t gpu_count = history->offers.items[history->first_of[price->offer]].gpu_count;
    put_series(history, price->offer);
    out_date(out, "from", price->from);
    out_date(out, "until", price->until);
    out_usd(out, "usd_per_hour", price->usd_per_hour);
    out_usd(out, "usd_per_gpu_hour", usd_times(price->usd_per_hour, 1.0 / gpu_count));
    out_text(out, "source", price->source);
    out_object_end(out);
}

static void put_day(void *context, const struct store_price_day *day)
{
    struct history *history = context;
    struct out *out = history->call->out;
    put_series(history, day->series);
    out_date(out, "day", day->day);
    out_usd(out, "min_usd_per_gpu_hour", day->min_usd);
    out_usd(out, "median_usd_per_gpu_hour", day->median_usd);
    out_usd(out, "max_usd_per_gpu_hour", day->max_usd);
    out_integer(out, "provider_count", day->provider_count);
    out_integer(out, "offer_count", day->offer_count);
    out_object_end(out);
}

/* Before anything is looked up: what would take too long is refused. */
static enum status check_size(const struct history *history)
{
    if (history->request->group == GROUP_OFFER) return STATUS_OK;
    int64_t days = store_history_day_count(&history->chosen, (enum store_step)history->request->step);
    int64_t offers = (int64_t)history->chosen.id_count;
    if (offers * days <= LOOKUPS_MAX) return STATUS_OK;
    return problems_add(history->call->problems, STATUS_OUT_OF_RANGE, "",
                        "%lld days of %lld offers are more than %d prices: ask for a longer step, a shorter range, "
                        "fewer GPUs or a smaller limit",
                        (long long)days, (long long)offers, (int)LOOKUPS_MAX);
}

static enum status put_points(struct history *history)
{
    struct call *call = history->call;
    bool by_offer = history->request->group == GROUP_OFFER;
    enum status status =
        by_offer ? store_history_prices(call->store, &history->chosen, put_price, history, call->problems)
                 : store_history_days(call->store, &history->chosen, (enum store_step)history->request->step, put_day,
                                      history, call->problems);
    if (status == STATUS_DATABASE_AWAY)
        (void)problems_add(call->problems, status, "",
                           "if it was the time that a statement may take: a longer step, a shorter range or fewer GPUs "
                           "are answered sooner");
    if (status == STATUS_OK && history->point_count > POINTS_MAX)
        status = problems_add(call->problems, STATUS_OUT_OF_RANGE, "limit",
                              "the answer has more than %d points: ask for fewer series (limit), a longer step or a "
                              "shorter range",
                              (int)POINTS_MAX);
    return status;
}

static enum status answer(struct call *call, const struct history_request *request, struct history *history)
{
    struct out *out = call->out;
    enum status status = choose_offers(history);
    if (status == STATUS_OK) status = check_size(history);
    if (status != STATUS_OK) return status;
    out_object(out, NULL);
    api_put_head(call, request->to);
    out_text(out, "group", groups[request->group]);
    out_date(out, "from", request->from);
    out_date(out, "to", request->to);
    out_text(out, "step", request->step == VALUE_ABSENT ? NULL : steps[request->step]);
    out_array(out, "points");
    status = put_points(history);
    out_array_end(out);
    page_put_end(out, &history->page);
    out_object_end(out);
    return status;
}

static enum status run(struct call *call)
{
    struct history_request request;
    struct history history = {.call = call, .request = &request};
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    if (status == STATUS_OK) status = fill_defaults(call, &request);
    if (status == STATUS_OK && !call->store)
        status = problems_add(call->problems, STATUS_DATABASE_REQUIRED, "",
                              "former prices are kept in a database, and DATABASE_URL names none");
    if (status == STATUS_OK) status = api_version_number(call, &history.chosen.version);
    if (status == STATUS_OK)
        status = page_open(call, &operation_offers_history, &request, &request.page, &history.page);
    if (status != STATUS_OK) return status;
    history.chosen.from = request.from;
    history.chosen.to = request.to;
    history.chosen.rows_max = POINTS_MAX + 1;
    arena_init(&history.arena, 0);
    status = read_offers(&history);
    if (status == STATUS_OK) status = answer(call, &request, &history);
    arena_done(&history.arena);
    return status;
}

static const char *const examples[] = {
    "gpusize offers-history --gpus h100 --purchase on_demand",
    "gpusize offers-history --group offer --providers lambda --from 2026-01-01 --format csv",
    NULL,
};

const struct operation operation_offers_history = {
    .id = "offers_history",
    .command = "offers-history",
    .summary = "Tells what GPUs or offers have cost over time.",
    .fields = fields,
    .field_count = FIELD_COUNT,
    .computes = true,
    .stores = true,
    .rows = "points",
    .examples = examples,
    .run = run,
};
