/* queue.c owns the birth-death chain: its stationary distribution, waits and percentiles. */
#include "sizing/queue.h"

#include "sizing/predicted.h"

#include <math.h>

#define GRID_GROWTH 1.25
#define NEGLIGIBLE 1e-10      /* of the most likely state */
#define LEAST_PEAKEDNESS 0.05 /* arrivals and services are never quite regular */

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
    queue->mix = (struct queue_mix){0};
    queue->service_cv2 = 0;
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

/* Prompts and answers vary independently of each other. */
void queue_set_mix(struct queue *queue, const struct queue_mix *mix)
{
    double prefill_ms = queue->prefill_ms[1];
    double answer_ms = queue->decode_steps * queue->decode_ms[queue->servers], all_ms = prefill_ms + answer_ms;
    queue->mix = *mix;
    queue->service_cv2 =
        (prefill_ms * prefill_ms * mix->prompts_cv2 + answer_ms * answer_ms * mix->answers_cv2) / (all_ms * all_ms);
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

/* How arrivals and services vary, as powers of the chain's ratios: a diffusion with the variance of both has the
 * stationary distribution of the chain raised to these (1 and 1 for Poisson arrivals and exponential services). */
struct spread {
    double sharing, waiting;
};

/* In flight, requests share the engine: under Poisson arrivals their number does not depend on how their work is
 * distributed, and under others it spreads with the peakedness of an unlimited group of servers, which for services of
 * squared coefficient of variation cs² is about 1 + (ca² - 1)/(1 + cs²) (Whitt 1992). Who waits for a place does so
 * first come, first served: (ca² + cs²)/2 (Allen and Cunneen). */
static struct spread spread_of(const struct queue *queue, double arrival_cv2)
{
    double peakedness = 1 + (arrival_cv2 - 1) / (1 + queue->service_cv2);
    return (struct spread){
        .sharing = 1 / fmax(peakedness, LEAST_PEAKEDNESS),
        .waiting = 2 / (arrival_cv2 + (1 + queue->service_cv2) / 2),
    };
}

static double raised(double ratio, double power)
{
    return power == 1 ? ratio : pow(ratio, power);
}

static void chain_solve(const struct queue *queue, double arrivals_per_ms, struct spread spread,
                        struct chain *ret_chain)
{
    struct chain *chain = ret_chain;
    uint32_t mode = chain_mode(queue, arrivals_per_ms), n = mode;
    double weight = 1, room = queue_room(queue);
    chain->weights[mode] = chain->weight = 1;
    while (n > 0 && weight > NEGLIGIBLE) {
        weight /= raised(arrivals_per_ms * queue->gap_ms[n], spread.sharing);
        chain->weights[--n] = weight;
        chain->weight += weight;
    }
    chain->first = n;
    for (n = mode, weight = 1; n < queue->servers && weight > NEGLIGIBLE;) {
        weight *= raised(arrivals_per_ms * queue->gap_ms[++n], spread.sharing);
        chain->weights[n] = weight;
        chain->weight += weight;
    }
    chain->last = n;
    chain->waiting_weight = chain->waiting_moment = chain->full_weight = 0;
    if (n < queue->servers) return;
    double ratio = raised(arrivals_per_ms * queue->gap_ms[n], spread.waiting), sum = 0, moment = 0;
    geometric(ratio, room, &sum, &moment);
    chain->waiting_weight = weight * sum;
    chain->waiting_moment = weight * moment;
    chain->full_weight = weight * pow(ratio, room);
    chain->weight += chain->waiting_weight;
}

/* The normal deviate of a percentile; the usual ones are asked for often. */
static double deviate_of(double share)
{
    static const struct {
        double share, deviate;
    } usual[] = {{0.5, 0}, {0.95, 1.6448536269514722}, {0.99, 2.3263478740408408}};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        if (usual[i].share == share) return usual[i].deviate;
    }
    return share > 0.5 ? predicted_deviate(2 * share - 1) : -predicted_deviate(1 - 2 * share);
}

/* The longest waits: of who takes the last place. A sum of equal exponential times, by its mean and deviation. */
static double full_wait_ms(const struct queue *queue, double share)
{
    double deviate = fmax(deviate_of(share), 0);
    double room = queue_room(queue);
    return (room + deviate * sqrt(room)) * queue->gap_ms[queue->servers];
}

/* Prompts wait for prompts: one engine reads them one after the other, in steps that it shares with the tokens of those
 * in flight (GI/G/1, Kingman's approximation). A constant number in flight, which the times are of, has no such
 * crowds. Of answers of one token the chain knows all there is. */
static double prompts_wait_ms(const struct queue_answer *answer, double arrivals_per_ms, double arrival_cv2)
{
    const struct queue_mix *mix = &answer->queue->mix;
    double service_ms = mix->prompt_work_ms + mix->prompt_steps * answer->mean.tpot_ms;
    double load = fmin(arrivals_per_ms * service_ms, answer->utilization_ratio);
    double steps = answer->queue->decode_steps;
    return load / (1 - load) * service_ms * (arrival_cv2 + mix->prompts_cv2) / 2 * steps / (steps + 1);
}

/* Means over what arrivals find and over what requests in flight see (each state counts by its requests). */
static void solve_states(const struct chain *chain, double arrivals_per_ms, double arrival_cv2,
                         struct queue_answer *answer)
{
    const struct queue *queue = answer->queue;
    double in_flight = 0, decode = 0, prefill = 0, free = 0;
    for (uint32_t n = chain->first; n <= chain->last; n++) {
        double weight = chain->weights[n] + (n == queue->servers ? chain->waiting_weight : 0);
        in_flight += weight * n;
        if (n > 0) decode += weight * n * queue->decode_ms[n];
        answer->below_tokens[n] = in_flight;
        if (n == queue->servers) continue;
        prefill += weight * queue->prefill_ms[n + 1];
        free += weight;
    }
    answer->first = chain->first;
    answer->last = chain->last;
    double full_ms = queue->prefill_ms[queue->servers];
    answer->waiting_ratio = free < chain->weight ? 1 - free / chain->weight : 0;
    answer->free_prefill_ms = free > 0 ? prefill / free : full_ms;
    answer->busy_ratio = chain->first == 0 ? 1 - chain->weights[0] / chain->weight : 1;
    answer->in_flight = in_flight / chain->weight;
    answer->mean.tpot_ms = decode / in_flight;
    answer->prompts_ms = prompts_wait_ms(answer, arrivals_per_ms, arrival_cv2);
    answer->waiting_ms = fmin(answer->place_ms + answer->prompts_ms, full_wait_ms(queue, 0.5));
    answer->mean.ttft_ms =
        answer->waiting_ms + answer->free_prefill_ms * (1 - answer->waiting_ratio) + full_ms * answer->waiting_ratio;
}

/* P(exponential time ≤ limit). */
static double exponential_within(double limit_ms, double mean_ms)
{
    if (!(limit_ms >= 0)) return 0;
    return mean_ms > 0 ? -expm1(-limit_ms / mean_ms) : 1;
}

/* A prompt takes at least the time that it takes alone. What the others in flight add to it on average, and the wait
 * for a place, are exponential (exact for the wait with Poisson arrivals and exponential services). */
struct first_token {
    double alone_ms, free_ms, late_ms; /* the mean prompt alone; added to who finds a place; to who waits for one */
    double late_ratio;
};

static struct first_token first_token_of(const struct queue_answer *answer)
{
    const struct queue *queue = answer->queue;
    double alone_ms = queue->prefill_ms[1], late_ratio = answer->waiting_ratio;
    double waited_ms = late_ratio > 0 ? answer->place_ms / late_ratio : 0;
    return (struct first_token){
        .alone_ms = alone_ms,
        .free_ms = answer->free_prefill_ms - alone_ms + answer->prompts_ms,
        .late_ms = queue->prefill_ms[queue->servers] - alone_ms + answer->prompts_ms + waited_ms,
        .late_ratio = late_ratio,
    };
}

static double within(const struct first_token *first, const struct queue_mix *mix, double limit_ms)
{
    double share = 0;
    for (size_t i = 0; i < mix->prompt_count; i++) {
        double rest_ms = limit_ms - first->alone_ms * mix->prompts[i].amount;
        share += mix->prompts[i].share * ((1 - first->late_ratio) * exponential_within(rest_ms, first->free_ms) +
                                          first->late_ratio * exponential_within(rest_ms, first->late_ms));
    }
    return share;
}

/* Halves an interval that holds the percentile of a mixture. */
enum { HALVINGS = 32, NEWTON_STEPS = 40 };

/* What may take longer, (1 - r)·exp(-x/free) + r·exp(-x/late), is convex in x: Newton's steps from below stay below.
 * The first is where one of the two alone leaves so much. */
static double rest_ms(const struct first_token *first, double late_share)
{
    double free_ratio = 1 - first->late_ratio, late_ratio = first->late_ratio;
    double rest = first->free_ms > 0 ? fmax(first->free_ms * log(free_ratio / late_share), 0) : 0;
    if (!(late_ratio > 0)) return rest;
    rest = fmax(rest, first->late_ms * log(late_ratio / late_share));
    for (int step = 0; step < NEWTON_STEPS && first->late_ms > 0; step++) {
        double free = first->free_ms > 0 ? free_ratio * exp(-rest / first->free_ms) : 0;
        double late = late_ratio * exp(-rest / first->late_ms);
        double slope = late / first->late_ms + (free > 0 ? free / first->free_ms : 0);
        double next = rest + (free + late - late_share) / slope;
        if (!(next > rest * (1 + 1e-12))) break;
        rest = next;
    }
    return rest;
}

static double ttft_ms(const struct queue_answer *answer, double share)
{
    struct first_token first = first_token_of(answer);
    const struct queue_mix *mix = &answer->queue->mix;
    double longest_ms = rest_ms(&first, 1 - share);
    if (mix->prompt_count <= 1) return first.alone_ms + longest_ms;
    double low = first.alone_ms * mix->prompts[0].amount;
    double high = first.alone_ms * mix->prompts[mix->prompt_count - 1].amount + longest_ms;
    for (int step = 0; step < HALVINGS; step++) {
        double middle = (low + high) / 2;
        if (within(&first, mix, middle) >= share)
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* The first state that leaves at least this share of the tokens below it. */
static uint32_t state_at(const struct queue_answer *answer, double share)
{
    double wanted = share * answer->below_tokens[answer->last];
    uint32_t low = answer->first > 0 ? answer->first : 1, high = answer->last;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (answer->below_tokens[middle] >= wanted)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Two spreads add up: of the requests in flight, and of the prompts that come while a request makes its tokens, whose
 * number is that of the others in flight on average, with the deviation of a compound Poisson sum. */
static double tpot_ms(const struct queue_answer *answer, double share)
{
    const struct queue *queue = answer->queue;
    double state_ms = queue->decode_ms[state_at(answer, share)], mean_ms = answer->mean.tpot_ms;
    if (!(queue->mix.prompt_work_ms > 0) || !(queue->decode_steps > 0) || share == 0.5) return state_ms;
    double others = answer->in_flight * (1 + queue->mix.prompts_cv2);
    double deviation_ms = queue->mix.prompt_work_ms * sqrt(others) / queue->decode_steps;
    double spread_ms = hypot(state_ms - mean_ms, deviate_of(share) * deviation_ms);
    return fmax(share > 0.5 ? fmax(mean_ms + spread_ms, state_ms) : fmin(mean_ms - spread_ms, state_ms),
                queue->decode_ms[1]);
}

struct queue_latency queue_latency(const struct queue_answer *answer, double percentile)
{
    const struct queue *queue = answer->queue;
    double share = percentile / 100;
    if (!(percentile > 0)) return answer->mean;
    double full_ms = full_wait_ms(queue, share) + queue->prefill_ms[queue->servers];
    return (struct queue_latency){
        .ttft_ms = answer->stable ? fmin(ttft_ms(answer, share), full_ms) : full_ms,
        .tpot_ms = tpot_ms(answer, share),
    };
}

/* Levels at which the times of a request are taken; between them they are interpolated. */
static const double levels[] = {0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.999};
enum { LEVELS = sizeof levels / sizeof levels[0] };

/* What the load adds to a request's prompt alone, and a token, at each level. */
struct level {
    double rest_ms, tpot_ms;
};

/* The level at which a request of so many steps takes this long after its prompt. */
static double level_at(const struct level loads[LEVELS], double steps, double limit_ms)
{
    double before_ms = 0, before = 0;
    for (int i = 0; i < LEVELS; i++) {
        double here_ms = loads[i].rest_ms + steps * loads[i].tpot_ms;
        if (here_ms > limit_ms)
            return i == 0 ? 0 : before + (levels[i] - before) * (limit_ms - before_ms) / (here_ms - before_ms);
        before_ms = here_ms;
        before = levels[i];
    }
    return 1;
}

/* Share of the requests of all kinds that are done within this time. */
static double e2e_within(const struct queue_mix *mix, double alone_ms, const struct level loads[LEVELS],
                         double limit_ms)
{
    double share = 0;
    for (size_t i = 0; i < mix->prompt_count; i++) {
        double after_ms = limit_ms - alone_ms * mix->prompts[i].amount;
        for (size_t j = 0; j < mix->answer_count; j++)
            share += mix->prompts[i].share * mix->answers[j].share * level_at(loads, mix->answers[j].amount, after_ms);
    }
    return share;
}

/* First token and token rate go together, in the order of the load that a request finds: slightly careful. Prompts and
 * answers are independent of it and of each other. */
double queue_e2e_ms(const struct queue_answer *answer, double percentile)
{
    const struct queue *queue = answer->queue;
    const struct queue_class prompt = {1, 1}, steps = {1, queue->decode_steps};
    struct queue_mix mix = queue->mix;
    double share = percentile / 100;
    if ((mix.answer_count <= 1 && mix.prompt_count <= 1) || !answer->stable || !(percentile > 0)) {
        struct queue_latency both = queue_latency(answer, percentile);
        return both.ttft_ms + queue->decode_steps * both.tpot_ms;
    }
    if (!mix.prompt_count) mix.prompts = &prompt, mix.prompt_count = 1;
    if (!mix.answer_count) mix.answers = &steps, mix.answer_count = 1;
    struct first_token first = first_token_of(answer);
    struct level loads[LEVELS] = {{0, 0}};
    for (int i = 0; i < LEVELS; i++)
        loads[i] = (struct level){rest_ms(&first, 1 - levels[i]), tpot_ms(answer, levels[i])};
    double low = 0, high = first.alone_ms * mix.prompts[mix.prompt_count - 1].amount + loads[LEVELS - 1].rest_ms +
                           mix.answers[mix.answer_count - 1].amount * loads[LEVELS - 1].tpot_ms;
    for (int step = 0; step < HALVINGS; step++) {
        double middle = (low + high) / 2;
        if (e2e_within(&mix, first.alone_ms, loads, middle) >= share)
            high = middle;
        else
            low = middle;
    }
    return high;
}

/* Arrivals above capacity fill the queue. */
static void solve_overload(struct queue_answer *answer)
{
    const struct queue *queue = answer->queue;
    answer->served_per_ms = queue_capacity_per_ms(queue);
    answer->in_flight = queue->servers;
    answer->busy_ratio = 1;
    answer->waiting_ms = full_wait_ms(queue, 0.5);
    answer->mean.ttft_ms = answer->waiting_ms + queue->prefill_ms[queue->servers];
    answer->mean.tpot_ms = queue->decode_ms[queue->servers];
    answer->first = answer->last = queue->servers;
    answer->below_tokens[answer->last] = 1;
    answer->stable = false;
}

void queue_solve(const struct queue *queue, double arrivals_per_ms, double arrival_cv2, struct queue_answer *ret_answer)
{
    struct queue_answer *answer = ret_answer;
    answer->queue = queue;
    answer->utilization_ratio = arrivals_per_ms / queue_capacity_per_ms(queue);
    if (answer->utilization_ratio >= 1) {
        solve_overload(answer);
        return;
    }
    struct chain chain;
    chain_solve(queue, arrivals_per_ms, spread_of(queue, arrival_cv2), &chain);
    answer->stable = true;
    answer->served_per_ms = arrivals_per_ms * (1 - chain.full_weight / chain.weight);
    answer->place_ms = chain.waiting_moment / chain.weight / answer->served_per_ms; /* Little's law */
    solve_states(&chain, arrivals_per_ms, arrival_cv2, answer);
}
