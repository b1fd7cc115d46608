/* disaggregation.h owns fleets whose replicas either read prompts or make tokens, with the cache sent from one to the
 * other. Formulas: docs/estimator.md, "Disaggregated prefill and decode". */
#pragma once
#include "sizing/performance.h"

struct disaggregation {
    uint32_t prefill_replicas, decode_replicas; /* ≥ 1 */
    double transfer_gb_per_s;                   /* of each GPU, between replicas */
};

struct disaggregated {
    struct performance performance; /* of the fleet */
    double prefill_utilization_ratio, decode_utilization_ratio;
    double balance_ratio; /* prefill replicas for each decode replica at which both sides are full together */
    double transfer_ms;   /* of the cache of the mean prompt */
};

/* The split of so many replicas (≥ 2) that serves most. */
struct disaggregation disaggregation_best(const struct roofline *roofline, uint32_t replicas, double transfer_gb_per_s);

/* The fleet under a load of the fleet; LOAD_STATIC_BATCH has no meaning here. output_tokens > 1 */
void disaggregation_predict(const struct roofline *roofline, const struct disaggregation *split,
                            const struct load_point *load, struct disaggregated *ret_answer);
