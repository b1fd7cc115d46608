/* pack.c owns the choice among offers and the placing of replicas on instances. */
#include "sizing/pack.h"

#include "sizing/plan.h"

#include <string.h>

/* Instances that are whole hosts come with a network between them; slices of hosts and the machines of a marketplace,
 * each in another place, do not. */
enum { SPANNING_GPUS_MIN = 4 };

static int offer_order(const struct question *question, const struct offer *a, const struct offer *b)
{
    const struct offer *offers = question->snapshot->offers;
    int order = usd_compare(question->offer_usd_per_hour[a - offers], question->offer_usd_per_hour[b - offers]);
    if (order == 0) order = strcmp(a->provider, b->provider);
    if (order == 0) order = strcmp(a->instance_type, b->instance_type);
    if (order == 0) order = strcmp(a->region, b->region);
    return order != 0 ? order : strcmp(a->zone, b->zone);
}

static bool spans_instances(const struct question *question, const struct offer *offer)
{
    return offer->gpu_count >= SPANNING_GPUS_MIN &&
           offer->gpu_count >= question->snapshot->gpus[offer->gpu].node_gpus &&
           strcmp(offer->price_basis, "instance_total_marketplace") != 0;
}

static struct pack *find_pack(struct packs *packs, const struct offer *offer, bool spans, bool stale)
{
    for (size_t i = packs->count; i-- > 0;) {
        struct pack *pack = &packs->items[i];
        if (pack->instance_gpus == offer->gpu_count && pack->purchase == offer->purchase &&
            pack->term_months == offer->term_months && pack->spans == spans && pack->stale == stale) {
            return pack;
        }
    }
    return NULL;
}

static void add_offer(const struct question *question, const struct offer *offer, struct packs *packs)
{
    bool stale = date_known(question->oldest_price) && offer->as_of.days < question->oldest_price.days;
    bool spans = spans_instances(question, offer);
    struct pack *pack = find_pack(packs, offer, spans, stale);
    if (pack && offer_order(question, offer, pack->offer) >= 0) return;
    if (!pack) {
        if (packs->count == PACKS_MAX - 1) return; /* one place is kept for owning */
        pack = &packs->items[packs->count++];
    }
    usd_t per_hour = question->offer_usd_per_hour[offer - question->snapshot->offers];
    *pack = (struct pack){
        .offer = offer,
        .spans = spans,
        .purchase = offer->purchase,
        .instance_gpus = offer->gpu_count,
        .term_months = offer->term_months,
        .usd_per_hour = per_hour,
        .instance_usd = usd_times(per_hour, cost_billed_hours(offer->purchase, offer->term_months, &question->terms)),
        .part_usd = USD_UNKNOWN,
        .stale = stale,
    };
}

/* Owning: by purchase, or because it is in stock. */
static void add_owned(const struct question *question, uint32_t gpu, struct packs *packs)
{
    const struct gpu *part = &question->snapshot->gpus[gpu];
    uint32_t inventory = question->inventory[gpu];
    bool buying = question->purchases & (1u << PURCHASE_OWNED);
    const struct purchase_price *price =
        buying ? snapshot_purchase_price_on(question->snapshot, gpu, question->as_of) : NULL;
    if ((!price && inventory == 0) || !is_known(part->tdp_watts)) return;
    packs->items[packs->count++] = (struct pack){
        .purchase = PURCHASE_OWNED,
        .spans = true,
        .instance_gpus = part->node_gpus ? part->node_gpus : 1,
        .usd_per_hour = USD_UNKNOWN,
        .instance_usd = USD_UNKNOWN,
        .part_usd = price ? price->usd : USD_UNKNOWN,
        .inventory = inventory,
        .stale = price && date_known(question->oldest_price) && price->as_of.days < question->oldest_price.days,
    };
}

enum status packs_collect(const struct question *question, uint32_t gpu, struct arena *arena, struct packs *ret_packs)
{
    const struct snapshot *snapshot = question->snapshot;
    struct pack items[PACKS_MAX];
    struct packs packs = {.items = items};
    for (uint32_t i = snapshot->offer_first[gpu]; i < snapshot->offer_first[gpu + 1]; i++) {
        if (question->offer_allowed[i]) add_offer(question, &snapshot->offers[i], &packs);
    }
    add_owned(question, gpu, &packs);
    *ret_packs = (struct packs){.count = packs.count};
    if (packs.count == 0) return STATUS_OK;
    ret_packs->items = ARENA_ARRAY(arena, packs.count, struct pack);
    if (!ret_packs->items) return STATUS_OUT_OF_MEMORY;
    memcpy(ret_packs->items, items, packs.count * sizeof items[0]);
    for (size_t i = 0; i < packs.count; i++) {
        if (items[i].instance_gpus > ret_packs->largest_instance) ret_packs->largest_instance = items[i].instance_gpus;
    }
    return STATUS_OK;
}

bool fleet_place(const struct pack *pack, uint32_t tensor_parallel, uint32_t pipeline_parallel, double replicas,
                 struct fleet *ret_fleet)
{
    uint32_t replica_gpus = tensor_parallel * pipeline_parallel, instance = pack->instance_gpus;
    if (tensor_parallel > instance || replicas * replica_gpus > 1e6) return false;
    uint32_t count = (uint32_t)replicas, fits = instance / replica_gpus;
    if (!fits && !pack->spans) return false;
    uint32_t stages = instance / tensor_parallel; /* pipeline stages of one instance */
    uint32_t instances = fits ? (count + fits - 1) / fits : count * ((pipeline_parallel + stages - 1) / stages);
    uint32_t used = count * replica_gpus;
    *ret_fleet = (struct fleet){
        .instances = instances,
        .instance_gpus = instance,
        .gpus_paid = pack->purchase == PURCHASE_OWNED ? used : instances * instance,
        .gpus_used = used,
    };
    return true;
}

void fleet_cost(const struct question *question, uint32_t gpu, const struct pack *pack, const struct fleet *fleet,
                struct cost *ret_cost)
{
    if (pack->purchase == PURCHASE_OWNED) {
        cost_own(&question->snapshot->gpus[gpu], pack->part_usd, fleet->gpus_paid, pack->inventory, &question->terms,
                 ret_cost);
        return;
    }
    cost_rent(pack->usd_per_hour, fleet->instances, pack->purchase, pack->term_months, &question->terms, ret_cost);
}

struct shortfall fleet_check(const struct question *question, uint32_t gpu, const struct fleet *fleet,
                             const struct cost *cost)
{
    double watts = fleet->gpus_paid * question->snapshot->gpus[gpu].tdp_watts;
    if (fleet->gpus_paid > question->max_gpus) {
        return (struct shortfall){REJECT_MAX_GPUS, fleet->gpus_paid, question->max_gpus, "GPUs"};
    }
    if (fleet->gpus_paid > question->quota[gpu]) {
        return (struct shortfall){REJECT_QUOTA, fleet->gpus_paid, question->quota[gpu], "GPUs"};
    }
    if (isfinite(question->max_power_watts) && !(watts <= question->max_power_watts)) {
        return (struct shortfall){REJECT_POWER, watts, question->max_power_watts, "W"};
    }
    if (!usd_known(cost->total_usd)) return (struct shortfall){REJECT_NO_PRICE, UNKNOWN, UNKNOWN, ""};
    if (usd_known(question->budget_usd) && usd_compare(cost->total_usd, question->budget_usd) > 0) {
        return (struct shortfall){REJECT_BUDGET, usd_to_double(cost->total_usd), usd_to_double(question->budget_usd),
                                  "USD"};
    }
    if (usd_known(question->budget_usd_per_hour) &&
        usd_compare(cost->per_hour_usd, question->budget_usd_per_hour) > 0) {
        return (struct shortfall){REJECT_BUDGET_PER_HOUR, usd_to_double(cost->per_hour_usd),
                                  usd_to_double(question->budget_usd_per_hour), "USD/h"};
    }
    return (struct shortfall){REJECT_NONE, UNKNOWN, UNKNOWN, ""};
}
