/* demand.h owns what the fleet must carry: the one demand of a request in the units that sizing works with. */
#pragma once
#include "catalog/status.h"
#include "sizing/performance.h"

struct recommend_request;

enum demand_kind {
    DEMAND_NONE,        /* one replica, or as many as the money buys */
    DEMAND_RATE,        /* arrivals: requests per second, output tokens per second, users */
    DEMAND_CONCURRENCY, /* requests in flight over the whole fleet */
    DEMAND_JOB,         /* tokens by a deadline: saturated, no arrivals */
};

struct demand {
    enum demand_kind kind;
    double requests_per_second;         /* DEMAND_RATE and DEMAND_JOB; else NaN */
    double concurrency;                 /* DEMAND_CONCURRENCY; else NaN */
    double input_tokens, output_tokens; /* means */
    struct traffic traffic;             /* what the requests are like */
    double longest_tokens;              /* longest input + longest output: must fit max_model_len */
    double arrival_cv2;
};

/* What the fields of a request say of its requests; histograms are borrowed. */
struct asked_traffic demand_traffic(const struct recommend_request *request);
/* Reads the demand of a request whose defaults are filled in. Two demands at once are a CONTRADICTION that names
 * every field given; half of a pair (users without requests_per_user_hour) is a MISSING_FIELD. */
enum status demand_read(const struct recommend_request *request, struct problems *problems,
                        struct demand *ret_demand) MUST_CHECK;

/* Requests per second that one replica carries with this probability, within the limits if there are any: speed errors
 * move capacity and latency together, so that it is the smaller of its rate under the limits and its saturated rate at
 * the safe end. */
double demand_capacity_rps(const struct roofline *roofline, const struct performance *saturated, const struct slo *slo,
                           double arrival_cv2, double probability);
/* P(a replica carries `requests_per_second` and meets the limits) at this performance; NaN: nothing has to be carried.
 */
double demand_probability(const struct performance *performance, const struct performance *saturated,
                          const struct slo *slo, double requests_per_second);

/* The deviate z of the standard normal with P(Z ≤ z) = probability. */
double demand_deviate(double probability);
/* The value, as a share of the predicted one, that the true one exceeds with the probability of the deviate; by the
 * interval's symmetry the inverse is what it stays below. 1 without an interval. */
double demand_safe_ratio(struct predicted quantity, double deviate);
