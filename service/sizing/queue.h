/* queue.h owns the queue in front of one replica: a birth-death chain whose service rate depends on the requests in
 * flight. Formulas: docs/estimator.md, "Load, queue and percentiles". Allocates nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More servers than this are counted as this many; the queue in front holds QUEUE_WAITING_RATIO times as many. */
enum { QUEUE_SERVERS_MAX = 2048, QUEUE_WAITING_RATIO = 10 };

/* Step times of a replica with n ≥ 1 requests in flight: of one prompt and of one output token, ms. */
typedef void queue_times(const void *context, double in_flight, double *ret_prefill_ms, double *ret_decode_ms);

/* Times by requests in flight, [1, servers]. 48 KiB: meant for the stack. */
struct queue {
    uint32_t servers;
    double decode_steps;
    double prefill_ms[QUEUE_SERVERS_MAX + 1], decode_ms[QUEUE_SERVERS_MAX + 1];
    double gap_ms[QUEUE_SERVERS_MAX + 1]; /* mean time between completions: 1 / μ(n) */
};

/* Calls `times` at about 30 numbers of requests in flight and interpolates linearly. servers ≥ 1 */
void queue_init(struct queue *queue, queue_times *times, const void *context, double servers, double decode_steps);
double queue_prefill_ms(const struct queue *queue, double in_flight);
double queue_decode_ms(const struct queue *queue, double in_flight);
double queue_capacity_per_ms(const struct queue *queue); /* completions with all servers busy */

struct queue_answer {
    double served_per_ms;     /* arrivals without those that meet a full queue */
    double in_flight;         /* mean */
    double waiting_ms;        /* mean, before the prefill */
    double ttft_ms, tpot_ms;  /* at the percentile, or means */
    double utilization_ratio; /* arrivals / capacity */
    bool stable;
};

/* arrivals_per_ms > 0; arrival_cv2: squared coefficient of variation, 1 = Poisson; percentile in (0, 100), 0 = mean. */
void queue_solve(const struct queue *queue, double arrivals_per_ms, double arrival_cv2, double percentile,
                 struct queue_answer *ret_answer);
