/* cost.h owns money: what a fleet costs to rent or to own over a duration. docs/estimator.md, "Cost". */
#pragma once
#include "catalog/offer.h"
#include "sizing/predicted.h"

struct cost {
    usd_t hardware_usd; /* unknown (null) when rented */
    usd_t operating_usd; /* owned: power, cooling, maintenance; rented: 0 */
    usd_t total_usd;
    usd_t per_hour_usd; /* total over the duration's hours in use */
    struct predicted per_million_tokens_usd, per_million_input_tokens_usd, per_million_output_tokens_usd;
    double per_gb_vram_usd, per_gb_per_s_bandwidth_usd;
    struct predicted per_throughput_usd; /* total / capacity output tokens per second, capped at the demand */
};
