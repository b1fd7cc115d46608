/* point.h owns the figures of one load before intervals are put around them. Private to sizing. */
#pragma once
#include "sizing/performance.h"
#include "sizing/queue.h"

struct times {
    double ttft_ms, tpot_ms, e2e_ms;
};

struct point {
    double requests_per_ms, in_flight, batch, waiting_ms, utilization_ratio;
    double busy_ratio;  /* of the time in which the engine has something to do */
    double gpus, watts; /* of a fleet; 0 GPUs: those of the replica, by busy_ratio */
    struct times times; /* at the load's percentile, or means */
    struct times percentiles[PERCENTILE_COUNT];
    bool stable, extrapolated; /* extrapolated: whatever the rows of the fit cover */
};
extern const double percentile_values[PERCENTILE_COUNT];

/* A queue with the classes that it borrows. */
struct line {
    struct queue queue;
    struct queue_class prompts[LENGTH_CLASSES_MAX], answers[LENGTH_CLASSES_MAX];
    struct queue_mix mix;
};
/* The queue of one replica, and the kinds of requests in it. */
void line_init(struct line *line, const struct roofline *roofline);
void line_set_mix(struct line *line, const struct roofline *roofline);

/* False when nothing fits, or a fact or coefficient is not known. */
bool roofline_answers(const struct roofline *roofline);
/* The whole answer of a point. */
void point_predict(const struct roofline *roofline, const struct load_point *load, const struct point *point,
                   struct performance *ret_performance);
/* The answer where there is none. */
void point_predict_nothing(const struct roofline *roofline, struct performance *ret_performance);
