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

/* Requests that differ in what they ask of a server, as classes with shares that add up to 1. */
struct queue_class {
    double share, amount;
};
struct queue_mix {
    const struct queue_class *prompts; /* amount: prefill over the mean prefill */
    const struct queue_class *answers; /* amount: decode steps */
    size_t prompt_count, answer_count; /* 0: all alike */
    double prompt_work_ms;             /* mean time that a prompt takes from the tokens of all others */
    double prompt_steps;               /* that a prompt takes part in */
    double prompts_cv2, answers_cv2;   /* squared coefficients of variation of the amounts */
};

/* Times by requests in flight, [1, servers]. 48 KiB: meant for the stack. */
struct queue {
    uint32_t servers;
    double decode_steps;
    struct queue_mix mix; /* its classes are borrowed */
    double service_cv2;   /* of the time of a request with all servers busy: 0 when all are alike */
    double prefill_ms[QUEUE_SERVERS_MAX + 1], decode_ms[QUEUE_SERVERS_MAX + 1];
    double gap_ms[QUEUE_SERVERS_MAX + 1]; /* mean time between completions: 1 / μ(n) */
};

/* Calls `times` at about 30 numbers of requests in flight and interpolates linearly. servers ≥ 1; decode_steps: mean */
void queue_init(struct queue *queue, queue_times *times, const void *context, double servers, double decode_steps);
/* Requests that differ: from here on waits and percentiles follow from their classes. */
void queue_set_mix(struct queue *queue, const struct queue_mix *mix);
double queue_capacity_per_ms(const struct queue *queue); /* completions with all servers busy */

struct queue_latency {
    double ttft_ms, tpot_ms;
};

/* A queue under a load, solved once: means, and any percentile. */
struct queue_answer {
    double served_per_ms;     /* arrivals without those that meet a full queue */
    double in_flight;         /* mean */
    double busy_ratio;        /* of the time, with at least one request in flight */
    double waiting_ms;        /* mean, before the prefill */
    double utilization_ratio; /* arrivals / capacity */
    struct queue_latency mean;
    bool stable;
    /* What percentiles follow from. */
    const struct queue *queue;
    double waiting_ratio;                       /* of the arrivals that wait */
    double free_prefill_ms;                     /* mean prefill of the others */
    double place_ms;                            /* mean wait for a place */
    double prompts_ms;                          /* mean wait for the prompts of others */
    uint32_t first, last;                       /* states of requests in flight that matter */
    double below_tokens[QUEUE_SERVERS_MAX + 1]; /* weight of the tokens that are made in states up to this one */
};

/* arrivals_per_ms > 0; arrival_cv2: squared coefficient of variation, 1 = Poisson. The queue must outlive the answer.
 */
void queue_solve(const struct queue *queue, double arrivals_per_ms, double arrival_cv2,
                 struct queue_answer *ret_answer);
/* Latencies at a percentile in (0, 100), 0 = means. The end-to-end time has a function of its own: it takes longer. */
struct queue_latency queue_latency(const struct queue_answer *answer, double percentile);
double queue_e2e_ms(const struct queue_answer *answer, double percentile);
