/* offer_filter.h owns which offers a question is about: the fields, the check of their names, and the match. */
#pragma once
#include "api/common.h"

struct offer_filter {
    struct text_list gpus, providers, regions;
    uint32_t purchases;
};

/* Renting only: owning is no offer. In the order of enum purchase. */
extern const char *const offer_purchases[];

#define OFFER_FILTER_FIELDS(type)                                                                                      \
    {.name = "gpus",                                                                                                   \
     .group = "constraints",                                                                                           \
     .alias = "gpu",                                                                                                   \
     .kind = FIELD_TEXTS,                                                                                              \
     .offset = offsetof(type, filter.gpus),                                                                            \
     .help = "Only these GPUs: ids, aliases or families."},                                                            \
        {.name = "providers",                                                                                          \
         .group = "constraints",                                                                                       \
         .alias = "provider",                                                                                          \
         .kind = FIELD_TEXTS,                                                                                          \
         .offset = offsetof(type, filter.providers),                                                                   \
         .help = "Only these providers."},                                                                             \
        {.name = "regions",                                                                                            \
         .group = "constraints",                                                                                       \
         .alias = "region",                                                                                            \
         .kind = FIELD_TEXTS,                                                                                          \
         .offset = offsetof(type, filter.regions),                                                                     \
         .help = "Only these provider regions, countries or continents."},                                             \
    {                                                                                                                  \
        .name = "purchase", .group = "constraints", .kind = FIELD_CHOICES, .offset = offsetof(type, filter.purchases), \
        .names = offer_purchases, .help = "Ways to pay that may be used."                                              \
    }

struct offer_list {
    const struct offer *items;
    size_t count;
};

/* A provider or region that no offer of any list has is a mistake worth telling, not an empty answer. */
enum status offer_filter_check(struct call *call, const struct offer_filter *filter, const struct offer_list *lists,
                               size_t list_count) MUST_CHECK;
/* The same for GPUs; marks those that are meant. `other` is asked beside the snapshot and may be NULL: true for the id
 * of a part that only former offers name. */
enum status offer_filter_gpus(struct call *call, const struct offer_filter *filter,
                              bool (*other)(const void *context, const char *id), const void *context,
                              bool *member) MUST_CHECK;
/* Everything but the GPU, which not every offer has an index of. */
bool offer_filter_matches(const struct offer_filter *filter, const struct offer *offer);
bool offer_filter_lists(const struct text_list *list, const char *name);
