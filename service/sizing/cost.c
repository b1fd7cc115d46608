/* cost.c owns the arithmetic behind cost.h. Money is exact in micro-dollars; rates are rounded once. */
#include "sizing/cost.h"

static const double seconds_per_hour = 3600.0;

double cost_billed_hours(enum purchase purchase, uint32_t term_months, const struct cost_terms *terms)
{
    if (purchase != PURCHASE_RESERVED) return terms->used_hours;
    double term_hours = term_months * HOURS_PER_MONTH;
    return ceil(terms->duration_hours / term_hours) * term_hours;
}

void cost_rent(usd_t usd_per_hour, uint32_t instances, enum purchase purchase, uint32_t term_months,
               const struct cost_terms *terms, struct cost *ret_cost)
{
    usd_t per_hour = usd_times(usd_per_hour, instances);
    *ret_cost = (struct cost){
        .hardware_usd = USD_UNKNOWN,
        .operating_usd = USD_UNKNOWN,
        .per_hour_usd = per_hour,
        .total_usd = usd_times(per_hour, cost_billed_hours(purchase, term_months, terms)),
    };
}

/* Power drawn at the facility's meter, priced by the kWh (estimator.md section 5). */
double cost_operating_usd_per_gpu_hour(const struct gpu *gpu, const struct operating_rates *rates)
{
    return gpu->tdp_watts / 1000.0 * rates->utilization_ratio * rates->pue_ratio * rates->electricity_usd_per_kwh;
}

void cost_own(const struct gpu *gpu, usd_t price_usd, uint32_t gpus, uint32_t inventory, const struct cost_terms *terms,
              struct cost *ret_cost)
{
    uint32_t bought = gpus > inventory ? gpus - inventory : 0;
    double hourly = cost_operating_usd_per_gpu_hour(gpu, &terms->rates) * gpus;
    usd_t hardware = bought ? usd_times(price_usd, bought * (1.0 + terms->host_cost_ratio)) : USD(0);
    usd_t operating = usd_from_double(hourly * terms->used_hours);
    usd_t residual = usd_times(hardware, terms->residual_value_ratio);
    usd_t total = usd_sub(usd_add(hardware, operating), residual);
    *ret_cost = (struct cost){
        .hardware_usd = hardware,
        .operating_usd = operating,
        .total_usd = total,
        .per_hour_usd = usd_times(total, 1.0 / terms->used_hours),
    };
}

static struct predicted usd_per_million(double total_usd, double used_hours, struct predicted tokens_per_second,
                                        double share)
{
    return predicted_invert(tokens_per_second, total_usd * share * 1e6 / (used_hours * seconds_per_hour));
}

void cost_ratios(struct cost *cost, const struct gpu *gpu, uint32_t gpus, double used_hours, struct predicted total,
                 struct predicted output, double input_share, struct predicted capacity_output, double demand_output)
{
    double usd = usd_to_double(cost->total_usd);
    struct predicted input = predicted_scale(total, input_share);
    cost->per_million_tokens_usd = usd_per_million(usd, used_hours, total, 1.0);
    cost->per_million_input_tokens_usd = usd_per_million(usd, used_hours, input, 1.0);
    cost->per_million_output_tokens_usd = usd_per_million(usd, used_hours, output, 1.0);
    double base =
        usd_known(cost->hardware_usd) && cost->hardware_usd.micro > 0 ? usd_to_double(cost->hardware_usd) : usd;
    cost->per_gb_vram_usd = round6(base / (gpu->memory_nominal_gb * gpus));
    cost->per_gb_per_s_bandwidth_usd = round6(base / (gpu->memory_bandwidth_gb_per_s * gpus));
    struct predicted useful = capacity_output;
    if (is_known(demand_output) && !(useful.value <= demand_output)) {
        useful = predicted_make(demand_output, UNKNOWN, UNKNOWN, capacity_output.basis);
    }
    cost->per_throughput_usd = predicted_invert(useful, usd);
}
