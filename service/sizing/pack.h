/* pack.h owns the ways to pay for one GPU part: the cheapest offer of each instance size, purchase and term, and
 * owning. Private to sizing. */
#pragma once
#include "sizing/search.h"

struct pack {
    const struct offer *offer; /* NULL = owned */
    enum purchase purchase;
    uint32_t instance_gpus; /* GPUs of one instance, or of one host when owned */
    uint32_t term_months;
    usd_t usd_per_hour; /* of one instance, contract applied; owned: unknown */
    usd_t instance_usd; /* of one instance over the duration; owned: unknown */
    usd_t part_usd;     /* owned: price of one GPU; unknown = only what is in stock */
    uint32_t inventory; /* owned: GPUs that need not be bought */
    bool spans;         /* a replica may cross instances */
    bool stale;         /* price older than max_price_age_days */
};

enum { PACKS_MAX = 128 };
struct packs {
    struct pack *items;
    size_t count;
    uint32_t largest_instance; /* GPUs */
};

/* All packs of a GPU that the question allows, in the arena. One pass over the GPU's offers. */
enum status packs_collect(const struct question *question, uint32_t gpu, struct arena *arena,
                          struct packs *ret_packs) MUST_CHECK;

struct fleet {
    uint32_t instances, instance_gpus, gpus_paid, gpus_used;
};
/* How `replicas` (spares included) of tp × pp GPUs lie on instances; false if one cannot. */
bool fleet_place(const struct pack *pack, uint32_t tensor_parallel, uint32_t pipeline_parallel, double replicas,
                 struct fleet *ret_fleet);
/* Money of a fleet; total unknown if it cannot be had (out of stock). */
void fleet_cost(const struct question *question, uint32_t gpu, const struct pack *pack, const struct fleet *fleet,
                struct cost *ret_cost);
/* Against the limits of the question: GPUs, quota, power, budgets. */
struct shortfall fleet_check(const struct question *question, uint32_t gpu, const struct fleet *fleet,
                             const struct cost *cost);
