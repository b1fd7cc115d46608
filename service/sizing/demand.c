/* demand.c owns the reading of a request's demand. */
#include "sizing/demand.h"

#include "sizing/recommend.h"

#include <string.h>

struct asked_traffic demand_traffic(const struct recommend_request *request)
{
    return (struct asked_traffic){
        .input_tokens = request->input_tokens,
        .output_tokens = request->output_tokens,
        .input_histogram = &request->input_tokens_histogram,
        .output_histogram = &request->output_tokens_histogram,
        .shared_prefix_tokens = request->shared_prefix_tokens,
        .prefix_cache_hit_ratio = request->prefix_cache_hit_ratio,
        .draft_acceptance_ratio = request->draft_acceptance_ratio,
        .draft_tokens = request->extras.draft_tokens,
    };
}

struct demand_form { /* one way to say a demand: a field, and the field that must go with it */
    const char *field, *partner;
    double value, partner_value;
    enum demand_kind kind;
};

static double form_rate(const struct demand_form *form, const struct demand *lengths)
{
    if (strcmp(form->field, "requests_per_second") == 0) return form->value;
    if (strcmp(form->field, "users") == 0) return form->value * form->partner_value / 3600.0;
    if (strcmp(form->field, "total_tokens") == 0) {
        return form->value / (form->partner_value * 3600.0) / (lengths->input_tokens + lengths->output_tokens);
    }
    return form->value / lengths->output_tokens; /* output tokens per second, under either name */
}

static enum status check_partner(const struct demand_form *form, struct problems *problems)
{
    if (!form->partner || is_known(form->value) == is_known(form->partner_value)) return STATUS_OK;
    const char *given = is_known(form->value) ? form->field : form->partner;
    const char *missing = is_known(form->value) ? form->partner : form->field;
    char field[64] = "workload.";
    strncat(field, missing, sizeof field - strlen(field) - 1);
    return problems_add(problems, STATUS_MISSING_FIELD, field, "%s is only a demand together with %s", given, missing);
}

enum status demand_read(const struct recommend_request *request, struct problems *problems, struct demand *ret_demand)
{
    const struct asked_traffic asked = demand_traffic(request);
    struct traffic traffic = traffic_of_asked(&asked);
    struct demand demand = {
        .kind = DEMAND_NONE,
        .requests_per_second = UNKNOWN,
        .concurrency = UNKNOWN,
        .traffic = traffic,
        .input_tokens = traffic.input.mean,
        .output_tokens = traffic.output.mean,
        .longest_tokens = traffic_longest_tokens(asked.input_tokens, asked.input_histogram) +
                          traffic_longest_tokens(asked.output_tokens, asked.output_histogram),
        .arrival_cv2 = request->arrival_cv2,
    };
    const struct demand_form forms[] = {
        {"requests_per_second", NULL, request->requests_per_second, UNKNOWN, DEMAND_RATE},
        {"concurrency", NULL, request->concurrency, UNKNOWN, DEMAND_CONCURRENCY},
        {"output_tokens_per_second", NULL, request->output_tokens_per_second, UNKNOWN, DEMAND_RATE},
        {"throughput_tokens_per_second", NULL, request->throughput_tokens_per_second, UNKNOWN, DEMAND_RATE},
        {"users", "requests_per_user_hour", request->users, request->requests_per_user_hour, DEMAND_RATE},
        {"total_tokens", "deadline_hours", request->total_tokens, request->deadline_hours, DEMAND_JOB},
    };
    const struct demand_form *chosen = NULL;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const struct demand_form *form = &forms[i];
        if (check_partner(form, problems) != STATUS_OK) status = STATUS_MISSING_FIELD;
        if (!is_known(form->value)) continue;
        if (chosen) {
            status = problems_add(problems, STATUS_CONTRADICTION, "workload",
                                  "%s and %s are two demands: give one of them", chosen->field, form->field);
        }
        chosen = form;
    }
    if (status != STATUS_OK) return status;
    if (chosen) {
        demand.kind = chosen->kind;
        if (chosen->kind == DEMAND_CONCURRENCY)
            demand.concurrency = chosen->value;
        else
            demand.requests_per_second = form_rate(chosen, &demand);
    }
    *ret_demand = demand;
    return STATUS_OK;
}

double demand_capacity_rps(const struct roofline *roofline, const struct performance *saturated, const struct slo *slo,
                           double arrival_cv2, double probability)
{
    struct predicted rate = saturated->requests_per_second;
    double capacity = rate.value * demand_safe_ratio(rate, demand_deviate(probability));
    if (!slo_limits(slo)) return capacity;
    return fmin(capacity, performance_capacity_rps(roofline, slo, arrival_cv2, probability));
}

double demand_probability(const struct performance *performance, const struct performance *saturated,
                          const struct slo *slo, double requests_per_second)
{
    double stable = 1.0;
    if (is_known(requests_per_second))
        stable -= predicted_probability_below(saturated->requests_per_second, requests_per_second);
    return slo_limits(slo) ? fmin(stable, performance_slo_probability(performance, slo)) : stable;
}

double demand_deviate(double probability)
{
    return probability >= 0.5 ? predicted_deviate(2 * probability - 1) : -predicted_deviate(1 - 2 * probability);
}

double demand_safe_ratio(struct predicted quantity, double deviate)
{
    if (!(quantity.high > quantity.low) || !(quantity.low > 0)) return 1.0;
    double sigma = log(quantity.high / quantity.low) / 2 / predicted_deviate(quantity.coverage_ratio);
    return exp(-sigma * deviate);
}
