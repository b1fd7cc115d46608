/* plan.h owns one layout of one GPU: whether it can run, a cheap bound of its speed, and how many replicas carry
 * the demand. Private to sizing. */
#pragma once
#include "sizing/evidence.h"
#include "sizing/search.h"

/* One way to run the model on a GPU. */
struct layout {
    uint32_t gpu;
    enum dtype weight_dtype;
    uint32_t tensor_parallel, pipeline_parallel;
    bool calibrated; /* on owned machines, of which there is a calibration */
};

struct plan {
    struct deployment deployment;
    struct memory memory;
    struct roofline roofline;
    double bound_requests_per_second; /* of one replica: never below the truth */
    /* from here on only after plan_size */
    struct performance saturated;    /* of one replica */
    double safe_requests_per_second; /* of one replica: met with the asked probability */
    uint32_t replicas;
    struct performance performance; /* of one replica at its share of the demand */
    double probability;             /* of meeting SLO and demand with `replicas` */
};

struct shortfall { /* why a candidate fails, in the unit of the reason */
    enum reject_reason reason;
    double needed, available; /* NaN where figures mean nothing */
    const char *unit;
};

/* Memory and bound of a layout: cheap, done for every candidate. The plan keeps `evidence`, which may be NULL for a
 * model without measurements. */
struct shortfall plan_prepare(const struct question *question, const struct layout *layout, struct evidence *evidence,
                              struct plan *ret_plan);
/* Fewest replicas that the bound allows: never above what plan_size finds. */
double plan_least_replicas(const struct question *question, const struct plan *plan);
/* The full prediction: replicas, performance, probability. The plan must not move afterwards. */
struct shortfall plan_size(const struct question *question, struct plan *plan);
/* The same for a given number of replicas: what each of them does, and the probability. */
void plan_share(const struct question *question, struct plan *plan, uint32_t replicas);
/* Latencies at all percentiles of a fleet of so many replicas, where requests arrive: at its share of the demand, or of
 * the rate that it carries. The plan need not be sized. */
void plan_percentiles(const struct question *question, const struct plan *plan, uint32_t replicas,
                      double safe_requests_per_second, struct performance *performance);
/* What measurements its capacity rests on, and its performance with so many requests in flight on a replica. */
struct provenance plan_provenance(const struct question *question, const struct plan *plan, double in_flight);
/* Replicas of a sized plan for the demand at even odds; INFINITY if no number helps. */
double plan_replicas_at_half(const struct question *question, const struct plan *plan);
