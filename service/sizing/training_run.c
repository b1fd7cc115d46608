/* training_run.c owns the arithmetic of a whole run: interruptions, energy, money. */
#include "sizing/training_run.h"

#include "sizing/power.h"

#define SECONDS_PER_HOUR 3600.0

/* Daly's optimum, and the run's expected length for work that is interrupted at exponential times: each interval t with
 * its checkpoint C takes M e^(R/M) (e^((t + C)/M) - 1) (Daly 2006, equation 20 and 37). */
void training_restarts_make(double checkpoint_bytes, double write_bytes_per_second, double interruptions_per_hour,
                            double restart_seconds, double hours, struct training_restarts *ret_restarts)
{
    struct training_restarts restarts = {
        .checkpoint_bytes = checkpoint_bytes,
        .write_seconds = checkpoint_bytes / write_bytes_per_second,
        .interruptions_per_hour = interruptions_per_hour,
        .interval_seconds = INFINITY,
    };
    double write = restarts.write_seconds, mean = SECONDS_PER_HOUR / interruptions_per_hour, ratio = write / mean / 2;
    if (interruptions_per_hour > 0) {
        restarts.interval_seconds =
            ratio < 1 ? sqrt(2 * write * mean) * (1 + sqrt(ratio) / 3 + ratio / 9) - write : mean;
        double interval = fmax(restarts.interval_seconds, 1);
        restarts.interval_seconds = interval;
        restarts.extra_ratio =
            mean * exp((restart_seconds + write) / mean) * expm1((interval + write) / mean) / interval - 1;
        restarts.expected_interruptions = hours * (1 + restarts.extra_ratio) * interruptions_per_hour;
    }
    *ret_restarts = restarts;
}

double training_checkpoint_bytes(const struct training_setup *setup)
{
    struct training_bytes each = training_parameter_bytes(setup->precision, setup->optimizer);
    double weights = each.master > 0 ? each.master : each.weights;
    return training_trained_parameters(setup) * (weights + each.moments);
}

static double hosts_of(const struct training_setup *setup)
{
    return ceil((double)setup->gpus / setup->host_gpus);
}

static double interruptions_per_hour(const struct training_plan *plan,
                                     const struct training_interruptions *interruptions)
{
    const struct training_coefs *coef = &plan->setup.profile->coef;
    double hosts = hosts_of(&plan->setup);
    if (is_known(interruptions->per_instance_hour)) return hosts * interruptions->per_instance_hour;
    bool spot = plan->pack && plan->pack->purchase == PURCHASE_SPOT;
    return plan->setup.gpus * coef->failures_per_gpu_hour + (spot ? hosts * coef->spot_interruptions_per_hour : 0);
}

static double known_or(double value, double otherwise)
{
    return is_known(value) ? value : otherwise;
}

static void add_restarts(const struct training_interruptions *interruptions, struct training_plan *plan)
{
    const struct training_coefs *coef = &plan->setup.profile->coef;
    double host_gb_per_s = known_or(interruptions->checkpoint_gb_per_s, coef->checkpoint_gb_per_s);
    double rate = host_gb_per_s * GB * hosts_of(&plan->setup);
    double restart_seconds = 60 * known_or(interruptions->restart_minutes, coef->restart_minutes);
    double hours = plan->tokens / plan->time.tokens_per_second.value / SECONDS_PER_HOUR;
    training_restarts_make(training_checkpoint_bytes(&plan->setup), rate, interruptions_per_hour(plan, interruptions),
                           restart_seconds, hours, &plan->restarts);
}

/* Owning for a run: the hardware's share of it is what it costs, over the years that it serves; the whole price is
 * told beside it. */
static void add_cost(const struct question *question, struct training_plan *plan)
{
    struct question job = *question;
    plan->cost = (struct cost){.hardware_usd = USD_UNKNOWN,
                               .operating_usd = USD_UNKNOWN,
                               .total_usd = USD_UNKNOWN,
                               .per_hour_usd = USD_UNKNOWN};
    plan->cost_usd = PREDICTED_UNKNOWN;
    if (!plan->pack) return;
    bool told = isfinite(plan->hours.value);
    job.terms.duration_hours = job.terms.used_hours = told ? plan->hours.value : 1; /* else only its hour counts */
    uint32_t gpu = (uint32_t)(plan->setup.gpu - question->snapshot->gpus);
    fleet_cost(&job, gpu, plan->pack, &plan->fleet, &plan->cost);
    bool by_the_hour = plan->pack->purchase == PURCHASE_ON_DEMAND || plan->pack->purchase == PURCHASE_SPOT;
    if (!told) {
        plan->cost.total_usd = USD_UNKNOWN;
        return;
    }
    double total = usd_to_double(plan->cost.total_usd);
    plan->cost_usd = by_the_hour ? predicted_scale(plan->hours, total / plan->hours.value)
                                 : predicted_make(total, UNKNOWN, UNKNOWN, plan->hours.basis);
}

void training_plan_finish(const struct question *question, const struct training_interruptions *interruptions,
                          double deadline_hours, struct training_plan *plan)
{
    const struct gpu *gpu = plan->setup.gpu;
    add_restarts(interruptions, plan);
    plan->compute_hours = predicted_invert(plan->time.tokens_per_second, plan->tokens / SECONDS_PER_HOUR);
    plan->hours = predicted_scale(plan->compute_hours, 1 + plan->restarts.extra_ratio);
    double watts = power_gpu_watts(gpu, 1, plan->time.compute_share) * plan->setup.gpus;
    plan->energy_kwh = predicted_scale(plan->hours, watts / 1000);
    add_cost(question, plan);
    plan->deadline_probability =
        is_known(deadline_hours) ? predicted_probability_below(plan->hours, deadline_hours) : 1;
    plan->budget_probability = usd_known(question->budget_usd)
                                   ? predicted_probability_below(plan->cost_usd, usd_to_double(question->budget_usd))
                                   : 1;
}
