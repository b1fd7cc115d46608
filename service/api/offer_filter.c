/* offer_filter.c owns the check of names against what offers have, with a suggestion for near misses, and the match. */
#include "api/offer_filter.h"
#include "catalog/text.h"

#include <strings.h>

const char *const offer_purchases[] = {"on_demand", "spot", "reserved", NULL};

bool offer_filter_lists(const struct text_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcasecmp(list->items[i], name) == 0) return true;
    }
    return false;
}

bool offer_filter_matches(const struct offer_filter *filter, const struct offer *offer)
{
    const struct text_list *regions = &filter->regions;
    return (!filter->providers.count || offer_filter_lists(&filter->providers, offer->provider)) &&
           (!regions->count || offer_filter_lists(regions, offer->region) ||
            offer_filter_lists(regions, offer->country) || offer_filter_lists(regions, offer->continent)) &&
           (!filter->purchases || (filter->purchases & (1U << offer->purchase)));
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

/* The name of any offer within *distance of `wanted`, the nearest first, and how far it is; NULL if there is none. */
static const char *nearest_name(const struct offer_list *list, const char *wanted, names_of *get, size_t *distance)
{
    const char *nearest = NULL, *names[3];
    for (size_t i = 0; i < list->count; i++) {
        size_t count = get(&list->items[i], names);
        for (size_t j = 0; j < count; j++) {
            size_t found = *names[j] ? text_distance(wanted, names[j], *distance) : *distance + 1;
            if (found > *distance) continue;
            nearest = names[j];
            if (found == 0) return nearest;
            *distance = found - 1;
        }
    }
    return nearest;
}

static bool any_offer_has(const struct offer_list *list, const char *wanted, names_of *get)
{
    const char *names[3];
    for (size_t i = 0; i < list->count; i++) {
        size_t count = get(&list->items[i], names);
        for (size_t j = 0; j < count; j++) {
            if (strcasecmp(names[j], wanted) == 0) return true;
        }
    }
    return false;
}

struct kind { /* of names that a filter lists */
    const char *field;
    enum status status;
    names_of *get;
};
static const struct kind provider_kind = {"constraints.providers", STATUS_UNKNOWN_PROVIDER, provider_of};
static const struct kind region_kind = {"constraints.regions", STATUS_UNKNOWN_REGION, places_of};

static void check_name(struct call *call, const struct kind *kind, size_t index, const char *wanted,
                       const struct offer_list *lists, size_t list_count)
{
    const char *nearest = NULL;
    size_t distance = 2;
    for (size_t i = 0; i < list_count; i++) {
        if (any_offer_has(&lists[i], wanted, kind->get)) return;
        const char *found = nearest_name(&lists[i], wanted, kind->get, &distance);
        if (found) nearest = found;
    }
    const char *element = arena_printf(call->arena, "%s[%zu]", kind->field, index);
    (void)problems_add(call->problems, kind->status, element ? element : kind->field, "no offer has \"%s\"%s%s%s",
                       wanted, nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

enum status offer_filter_check(struct call *call, const struct offer_filter *filter, const struct offer_list *lists,
                               size_t list_count)
{
    for (size_t i = 0; i < filter->providers.count; i++)
        check_name(call, &provider_kind, i, filter->providers.items[i], lists, list_count);
    for (size_t i = 0; i < filter->regions.count; i++)
        check_name(call, &region_kind, i, filter->regions.items[i], lists, list_count);
    return problems_status(call->problems);
}

enum status offer_filter_gpus(struct call *call, const struct offer_filter *filter,
                              bool (*other)(const void *context, const char *id), const void *context, bool *member)
{
    for (size_t i = 0; i < filter->gpus.count; i++) {
        const char *name = filter->gpus.items[i];
        if (other && other(context, name)) continue;
        const char *field = arena_printf(call->arena, "constraints.gpus[%zu]", i);
        (void)!snapshot_match_gpus(call->snapshot, name, field ? field : "constraints.gpus", call->problems, member);
    }
    return problems_status(call->problems);
}
