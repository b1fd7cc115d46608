/* cost.h owns money: what a fleet costs to rent or to own over a duration. docs/estimator.md, "Cost". */
#pragma once
#include "catalog/gpu.h"
#include "catalog/offer.h"
#include "sizing/predicted.h"

/* What an hour costs that is not hardware: from the catalog or the request. */
struct operating_rates {
    double electricity_usd_per_kwh;
    double pue_ratio;         /* facility power / IT power */
    double utilization_ratio; /* mean draw / TDP */
};

/* How long, and how money counts. */
struct cost_terms {
    double duration_hours;       /* calendar */
    double used_hours;           /* duration × hours_per_day / 24: what is billed on demand */
    double host_cost_ratio;      /* owned: host, network, rack per USD of GPUs */
    double residual_value_ratio; /* owned: share of the hardware that is left at the end */
    struct operating_rates rates;
};

struct cost {
    usd_t hardware_usd;  /* unknown (null) when rented */
    usd_t operating_usd; /* owned: power and cooling; unknown (null) when rented: part of the price */
    usd_t total_usd;
    usd_t per_hour_usd; /* rented: of all instances; owned: total over the hours in use */
    struct predicted per_million_tokens_usd, per_million_input_tokens_usd, per_million_output_tokens_usd;
    double per_gb_vram_usd, per_gb_per_s_bandwidth_usd;
    struct predicted per_throughput_usd; /* total / capacity output tokens per second, capped at the demand */
};

/* Hours that one instance is paid for: whole terms that cover the duration when reserved, else the hours in use. */
double cost_billed_hours(enum purchase purchase, uint32_t term_months, const struct cost_terms *terms);

/* Money of `instances` rented at `usd_per_hour` each. */
void cost_rent(usd_t usd_per_hour, uint32_t instances, enum purchase purchase, uint32_t term_months,
               const struct cost_terms *terms, struct cost *ret_cost);

/* Money of `gpus` owned, of which `inventory` need not be bought. */
void cost_own(const struct gpu *gpu, usd_t price_usd, uint32_t gpus, uint32_t inventory, const struct cost_terms *terms,
              struct cost *ret_cost);

double cost_operating_usd_per_gpu_hour(const struct gpu *gpu, const struct operating_rates *rates);

/* Fills the figures per token, per GB and per throughput. Rates are of the whole fleet at the actual load:
 * idle capacity is paid for. `total` and `output` are tokens per second. */
void cost_ratios(struct cost *cost, const struct gpu *gpu, uint32_t gpus, double used_hours, struct predicted total,
                 struct predicted output, double input_share, struct predicted capacity_output, double demand_output);
