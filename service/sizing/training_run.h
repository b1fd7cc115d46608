/* training_run.h owns a whole run of training: its hours with interruptions, its energy, and what it costs. */
#pragma once
#include "sizing/pack.h"
#include "sizing/training.h"

/* How a run is interrupted and carried on. NaN: the profile's. */
struct training_interruptions {
    double per_instance_hour; /* NaN: by purchase */
    double checkpoint_gb_per_s, restart_minutes;
};

/* Checkpoints of a run that is interrupted at random (Young 1974; Daly 2006). */
struct training_restarts {
    double checkpoint_bytes;
    double write_seconds, interval_seconds; /* interval: the best one; INFINITY without interruptions */
    double interruptions_per_hour;          /* of the whole fleet */
    double expected_interruptions;
    double extra_ratio; /* of the hours without any; INFINITY: it never ends */
};
void training_restarts_make(double checkpoint_bytes, double write_bytes_per_second, double interruptions_per_hour,
                            double restart_seconds, double hours, struct training_restarts *ret_restarts);

/* What is written to carry on: weights, their copy and the optimizer's state of what is trained. */
double training_checkpoint_bytes(const struct training_setup *setup);

struct training_plan {
    struct training_setup setup;
    struct training_memory memory;
    struct training_time time;
    const struct pack *pack; /* NULL: nothing to rent or buy */
    struct fleet fleet;
    double tokens;                  /* that are computed, padding included */
    struct predicted compute_hours; /* without interruptions */
    struct predicted hours;
    struct training_restarts restarts;
    struct predicted energy_kwh;
    struct cost cost; /* at the expected hours; totals unknown without a pack */
    struct predicted cost_usd;
    double deadline_probability, budget_probability; /* 1 without one */
};

/* Hours, energy and money of `plan`, whose setup, memory, time, pack, fleet and tokens are there. */
void training_plan_finish(const struct question *question, const struct training_interruptions *interruptions,
                          double deadline_hours, struct training_plan *plan);
