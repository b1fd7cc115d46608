/* queue.c owns the birth-death chain: its stationary distribution, waits and percentiles. */
#include "sizing/queue.h"

#include "sizing/predicted.h"

#include <math.h>

#define GRID_GROWTH 1.25
#define NEGLIGIBLE 1e-10 /* of the most likely state */

static void fill_between(double values[], uint32_t from, uint32_t to)
{
    double slope = (values[to] - values[from]) / (to - from);
    for (uint32_t n = from + 1; n < to; n++)
        values[n] = values[from] + slope * (n - from);
}

/* More requests in flight never lower the rate: an engine would not admit them. */
static void set_gap(struct queue *queue, uint32_t n)
{
    double gap_ms = (queue->prefill_ms[n] + queue->decode_steps * queue->decode_ms[n]) / n;
    queue->gap_ms[n] = n > 1 && gap_ms > queue->gap_ms[n - 1] ? queue->gap_ms[n - 1] : gap_ms;
}

void queue_init(struct queue *queue, queue_times *times, const void *context, double servers, double decode_steps)
{
    queue->servers = servers < QUEUE_SERVERS_MAX ? (uint32_t)servers : QUEUE_SERVERS_MAX;
    queue->decode_steps = decode_steps;
    uint32_t before = 1;
    times(context, 1, &queue->prefill_ms[1], &queue->decode_ms[1]);
    set_gap(queue, 1);
    while (before < queue->servers) {
        uint32_t next = (uint32_t)(before * GRID_GROWTH);
        if (next == before) next++;
        if (next > queue->servers) next = queue->servers;
        times(context, next, &queue->prefill_ms[next], &queue->decode_ms[next]);
        fill_between(queue->prefill_ms, before, next);
        fill_between(queue->decode_ms, before, next);
        for (uint32_t n = before + 1; n <= next; n++)
            set_gap(queue, n);
        before = next;
    }
}

static double between(const struct queue *queue, const double values[], double in_flight)
{
    if (!(in_flight > 1)) return values[1];
    if (in_flight >= queue->servers) return values[queue->servers];
    uint32_t below = (uint32_t)in_flight;
    return values[below] + (in_flight - below) * (values[below + 1] - values[below]);
}

double queue_prefill_ms(const struct queue *queue, double in_flight)
{
    return between(queue, queue->prefill_ms, in_flight);
}

double queue_decode_ms(const struct queue *queue, double in_flight)
{
    return between(queue, queue->decode_ms, in_flight);
}

double queue_capacity_per_ms(const struct queue *queue)
{
    return 1 / queue->gap_ms[queue->servers];
}

static double queue_room(const struct queue *queue)
{
    return (double)QUEUE_WAITING_RATIO * queue->servers;
}

/* The stationary distribution, up to a common factor. */
struct chain {
    uint32_t first, last;                  /* states with weights that matter, of requests in flight */
    double weights[QUEUE_SERVERS_MAX + 1]; /* of n in flight and none waiting */
    double waiting_weight;                 /* of all states with requests waiting */
    double waiting_moment;                 /* their weights times the requests waiting */
    double full_weight;                    /* of the full queue: arrivals are lost */
    double weight;                         /* of all states */
};

/* Sums of ratio^j and of j·ratio^j for j = 1 … count. */
static void geometric(double ratio, double count, double *ret_sum, double *ret_moment)
{
    double rest = 1 - ratio;
    if (fabs(rest) * count < 1e-3) {
        *ret_sum = count;
        *ret_moment = count * (count + 1) / 2;
        return;
    }
    double power = pow(ratio, count);
    *ret_sum = ratio * (1 - power) / rest;
    *ret_moment = ratio * (1 - (count + 1) * power + count * power * ratio) / (rest * rest);
}

/* The most likely state: service rates do not fall with n, so that weights rise up to it and fall beyond. */
static uint32_t chain_mode(const struct queue *queue, double arrivals_per_ms)
{
    uint32_t low = 0, high = queue->servers;
    while (low < high) {
        uint32_t middle = (low + high + 1) / 2;
        if (arrivals_per_ms * queue->gap_ms[middle] >= 1)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void chain_solve(const struct queue *queue, double arrivals_per_ms, struct chain *ret_chain)
{
    struct chain *chain = ret_chain;
    uint32_t mode = chain_mode(queue, arrivals_per_ms), n = mode;
    double weight = 1, room = queue_room(queue);
    chain->weights[mode] = chain->weight = 1;
    while (n > 0 && weight > NEGLIGIBLE) {
        weight /= arrivals_per_ms * queue->gap_ms[n];
        chain->weights[--n] = weight;
        chain->weight += weight;
    }
    chain->first = n;
    for (n = mode, weight = 1; n < queue->servers && weight > NEGLIGIBLE;) {
        weight *= arrivals_per_ms * queue->gap_ms[++n];
        chain->weights[n] = weight;
        chain->weight += weight;
    }
    chain->last = n;
    chain->waiting_weight = chain->waiting_moment = chain->full_weight = 0;
    if (n < queue->servers) return;
    double ratio = arrivals_per_ms * queue->gap_ms[n], sum = 0, moment = 0;
    geometric(ratio, room, &sum, &moment);
    chain->waiting_weight = weight * sum;
    chain->waiting_moment = weight * moment;
    chain->full_weight = weight * pow(ratio, room);
    chain->weight += chain->waiting_weight;
}

/* Weight of the states in which all servers are busy: who arrives then waits. */
static double busy_weight(const struct queue *queue, const struct chain *chain)
{
    return chain->last == queue->servers ? chain->weights[queue->servers] + chain->waiting_weight : 0;
}

/* Mean over what requests in flight see: each state counts by its requests. */
static void solve_means(const struct queue *queue, const struct chain *chain, struct queue_answer *answer)
{
    double in_flight = 0, decode = 0, prefill = 0, admitted = 0;
    for (uint32_t n = chain->first; n <= chain->last; n++) {
        double weight = chain->weights[n] + (n == queue->servers ? chain->waiting_weight : 0);
        in_flight += weight * n;
        if (n > 0) decode += weight * n * queue->decode_ms[n];
        uint32_t joined = n < queue->servers ? n + 1 : n;
        prefill += weight * queue->prefill_ms[joined];
        admitted += weight;
    }
    answer->in_flight = in_flight / chain->weight;
    answer->tpot_ms = in_flight > 0 ? decode / in_flight : queue->decode_ms[1];
    answer->ttft_ms = prefill / admitted + answer->waiting_ms;
}

/* The longest waits: of who takes the last place. A sum of equal exponential times, by its mean and deviation. */
static double full_wait_ms(const struct queue *queue, double share)
{
    double deviate = share > 0.5 ? predicted_deviate(2 * share - 1) : 0;
    double room = queue_room(queue);
    return (room + deviate * sqrt(room)) * queue->gap_ms[queue->servers];
}

/* An arrival sees the states by their weights; one that waits does so for an exponential time (exact for Poisson
 * arrivals and an unlimited queue), one that does not is prefilled beside those in flight. */
static double ttft_percentile(const struct queue *queue, const struct chain *chain, double share, double waiting_ms)
{
    double busy = busy_weight(queue, chain), below = 0, wanted = share * chain->weight;
    for (uint32_t n = chain->first; n <= chain->last && n < queue->servers; n++) {
        below += chain->weights[n];
        if (below >= wanted) return queue->prefill_ms[n + 1];
    }
    if (!(busy > 0)) return queue->prefill_ms[chain->last + 1];
    double busy_ratio = busy / chain->weight;
    double late_ratio = (1 - share) / busy_ratio;
    double wait_ms = late_ratio < 1 ? -log(late_ratio) * waiting_ms / busy_ratio : 0;
    return queue->prefill_ms[queue->servers] + fmin(wait_ms, full_wait_ms(queue, share));
}

static double tpot_percentile(const struct queue *queue, const struct chain *chain, double share, double in_flight)
{
    double below = 0, wanted = share * in_flight * chain->weight;
    for (uint32_t n = chain->first; n < chain->last; n++) {
        below += chain->weights[n] * n;
        if (below >= wanted && n > 0) return queue->decode_ms[n];
    }
    return queue->decode_ms[chain->last];
}

/* Arrivals above capacity fill the queue. */
static void solve_overload(const struct queue *queue, double share, struct queue_answer *answer)
{
    answer->served_per_ms = queue_capacity_per_ms(queue);
    answer->in_flight = queue->servers;
    answer->waiting_ms = full_wait_ms(queue, 0.5);
    answer->ttft_ms = full_wait_ms(queue, share) + queue->prefill_ms[queue->servers];
    answer->tpot_ms = queue->decode_ms[queue->servers];
    answer->stable = false;
}

/* Wait from Little's law; other arrivals than Poisson scale it by (cv² + 1)/2 (Allen and Cunneen's approximation,
 * service counted as exponential). */
void queue_solve(const struct queue *queue, double arrivals_per_ms, double arrival_cv2, double percentile,
                 struct queue_answer *ret_answer)
{
    struct queue_answer *answer = ret_answer;
    answer->utilization_ratio = arrivals_per_ms / queue_capacity_per_ms(queue);
    if (answer->utilization_ratio >= 1) {
        solve_overload(queue, percentile / 100, answer);
        return;
    }
    struct chain chain;
    chain_solve(queue, arrivals_per_ms, &chain);
    answer->stable = true;
    answer->served_per_ms = arrivals_per_ms * (1 - chain.full_weight / chain.weight);
    double poisson_ms = arrivals_per_ms > 0 ? chain.waiting_moment / chain.weight / answer->served_per_ms : 0;
    answer->waiting_ms = fmin(poisson_ms * (arrival_cv2 + 1) / 2, full_wait_ms(queue, 0.5));
    solve_means(queue, &chain, answer);
    if (!(percentile > 0)) return;
    double share = percentile / 100;
    answer->ttft_ms = ttft_percentile(queue, &chain, share, answer->waiting_ms);
    answer->tpot_ms = tpot_percentile(queue, &chain, share, answer->in_flight);
}
