/* disaggregation.c owns the balance of replicas that read prompts with replicas that make tokens. */
#include "sizing/disaggregation.h"

#include "sizing/point.h"
#include "sizing/power.h"

/* One output token where nobody reads prompts. */
static double decode_ms(const struct roofline *roofline, double in_flight)
{
    struct step_breakdown step;
    double tpot_ms = roofline_tpot_ms(roofline, in_flight, &step);
    return tpot_ms - step.prefill_ms;
}

static double answer_ms(const struct roofline *roofline, double in_flight)
{
    return (roofline->output_tokens - 1) * decode_ms(roofline, in_flight);
}

/* Most requests of one replica of each side. */
static double prefill_per_ms(const struct roofline *roofline)
{
    return 1 / roofline_prefill_ms(roofline);
}

static double decode_per_ms(const struct roofline *roofline)
{
    return roofline->max_batch / answer_ms(roofline, roofline->max_batch);
}

static double capacity_per_ms(const struct roofline *roofline, const struct disaggregation *split)
{
    return fmin(split->prefill_replicas * prefill_per_ms(roofline), split->decode_replicas * decode_per_ms(roofline));
}

struct disaggregation disaggregation_best(const struct roofline *roofline, uint32_t replicas, double transfer_gb_per_s)
{
    struct disaggregation best = {1, replicas - 1, transfer_gb_per_s};
    for (uint32_t prefill = 2; prefill < replicas; prefill++) {
        struct disaggregation split = {prefill, replicas - prefill, transfer_gb_per_s};
        if (capacity_per_ms(roofline, &split) > capacity_per_ms(roofline, &best)) best = split;
    }
    return best;
}

static double transfer_ms(const struct roofline *roofline, const struct disaggregation *split)
{
    double bytes = memory_sequence_bytes(roofline->deployment, roofline->input_tokens);
    return bytes / (split->transfer_gb_per_s * GB) * MS_PER_S;
}

/* Requests in flight on a decode replica that make so many answers. */
static double in_flight_at(const struct roofline *roofline, double per_ms)
{
    double low = 0, high = roofline->max_batch;
    for (int step = 0; step < 40; step++) {
        double middle = (low + high) / 2;
        if (middle / answer_ms(roofline, middle) < per_ms)
            low = middle;
        else
            high = middle;
    }
    return high;
}

/* At rest: the time of a request that finds `in_flight` others on its decode replica and nobody before it. */
static struct times calm_times(const struct roofline *roofline, const struct disaggregation *split, double in_flight,
                               double waiting_ms)
{
    double ttft_ms = roofline_ttft_ms(roofline, 1) + transfer_ms(roofline, split) + waiting_ms;
    return (struct times){ttft_ms, decode_ms(roofline, in_flight), ttft_ms + answer_ms(roofline, in_flight)};
}

/* In flight is what decodes: who waits, or is read, is not. */
static void set_decoding(const struct roofline *roofline, const struct disaggregation *split, struct point *point)
{
    double each = in_flight_at(roofline, point->requests_per_ms / split->decode_replicas);
    point->batch = fmax(each, 1);
    point->in_flight = each * split->decode_replicas;
}

static void solve_full(const struct roofline *roofline, const struct disaggregation *split, struct point *point)
{
    point->requests_per_ms = capacity_per_ms(roofline, split);
    set_decoding(roofline, split, point);
    point->times = calm_times(roofline, split, point->batch, 0);
}

/* What a constant number in flight makes is bounded by the slower side, and by the time of one request. */
static void solve_in_flight(const struct roofline *roofline, const struct disaggregation *split, double concurrency,
                            struct point *point)
{
    double each = fmin(concurrency / split->decode_replicas, roofline->max_batch);
    struct times times = calm_times(roofline, split, fmax(each, 1), 0);
    point->requests_per_ms = fmin(concurrency / times.e2e_ms, capacity_per_ms(roofline, split));
    set_decoding(roofline, split, point);
    double calm_ms = calm_times(roofline, split, point->batch, 0).e2e_ms;
    point->waiting_ms = fmax(concurrency / point->requests_per_ms - calm_ms, 0);
    point->times = calm_times(roofline, split, point->batch, point->waiting_ms);
}

static void prefill_times(const void *context, double in_flight, double *ret_prefill_ms, double *ret_decode_ms)
{
    (void)in_flight;
    *ret_prefill_ms = roofline_prefill_ms(context);
    *ret_decode_ms = 0;
}

static void decode_times(const void *context, double in_flight, double *ret_prefill_ms, double *ret_decode_ms)
{
    *ret_prefill_ms = 0;
    *ret_decode_ms = decode_ms(context, in_flight);
}

/* Two queues in a row: prompts one after the other, then places on a decode replica. Percentiles of both add up, which
 * is careful. */
struct sides {
    struct queue_answer prefill, decode;
    double fixed_ms; /* what a first token takes beside the work on its prompt: launches and the transfer */
};

static struct times times_at(const struct sides *sides, double percentile)
{
    struct queue_latency prefill = queue_latency(&sides->prefill, percentile);
    struct queue_latency decode = queue_latency(&sides->decode, percentile);
    double first_ms = prefill.ttft_ms + sides->fixed_ms;
    return (struct times){first_ms + decode.ttft_ms, decode.tpot_ms,
                          first_ms + queue_e2e_ms(&sides->decode, percentile)};
}

static void solve_rate(const struct roofline *roofline, const struct disaggregation *split,
                       const struct load_point *load, struct point *point)
{
    double arrivals_per_ms = load->requests_per_second / MS_PER_S;
    struct line prefill, decode;
    line_set_mix(&prefill, roofline);
    line_set_mix(&decode, roofline);
    prefill.mix.answer_count = decode.mix.prompt_count = 0;
    queue_init(&prefill.queue, prefill_times, roofline, 1, 0);
    queue_init(&decode.queue, decode_times, roofline, roofline->max_batch, roofline->output_tokens - 1);
    queue_set_mix(&prefill.queue, &prefill.mix);
    queue_set_mix(&decode.queue, &decode.mix);
    struct sides sides = {.fixed_ms = roofline_ttft_ms(roofline, 1) - roofline_prefill_ms(roofline) +
                                      transfer_ms(roofline, split)};
    queue_solve(&prefill.queue, arrivals_per_ms / split->prefill_replicas, load->arrival_cv2, &sides.prefill);
    queue_solve(&decode.queue, arrivals_per_ms / split->decode_replicas, load->arrival_cv2, &sides.decode);
    point->stable = sides.prefill.stable && sides.decode.stable;
    point->requests_per_ms = fmin(arrivals_per_ms, capacity_per_ms(roofline, split));
    point->batch = fmax(sides.decode.in_flight, 1);
    point->in_flight = sides.decode.in_flight * split->decode_replicas;
    point->waiting_ms = sides.prefill.waiting_ms + sides.decode.waiting_ms;
    point->times = times_at(&sides, load->percentile);
    for (int i = 0; i < PERCENTILE_COUNT; i++)
        point->percentiles[i] = times_at(&sides, percentile_values[i]);
}

/* Prefill only computes; of a decode step, products take the share that they have without prompts. */
static double fleet_watts(const struct roofline *roofline, const struct disaggregation *split, double prefill_ratio,
                          double in_flight)
{
    const struct deployment *deployment = roofline->deployment;
    struct step_breakdown step;
    double tpot_ms = roofline_tpot_ms(roofline, in_flight, &step);
    double products_ms = roofline_compute_share(roofline, in_flight, &step) * tpot_ms - step.prefill_ms;
    double share = fmax(products_ms, 0) / (tpot_ms - step.prefill_ms);
    return deployment_gpus(deployment) *
           (split->prefill_replicas * power_gpu_watts(deployment->gpu, fmin(prefill_ratio, 1), 1) +
            split->decode_replicas * power_gpu_watts(deployment->gpu, fmin(in_flight, 1), share));
}

void disaggregation_predict(const struct roofline *roofline, const struct disaggregation *split,
                            const struct load_point *load, struct disaggregated *ret_answer)
{
    struct disaggregated *answer = ret_answer;
    struct point point = {.stable = true, .extrapolated = true};
    if (!roofline_answers(roofline)) {
        *answer = (struct disaggregated){.balance_ratio = UNKNOWN, .transfer_ms = UNKNOWN};
        point_predict_nothing(roofline, &answer->performance);
        return;
    }
    if (load->load == LOAD_RATE)
        solve_rate(roofline, split, load, &point);
    else if (load->load == LOAD_CONCURRENCY)
        solve_in_flight(roofline, split, load->concurrency, &point);
    else
        solve_full(roofline, split, &point);
    double arrivals_per_ms = load->load == LOAD_RATE ? load->requests_per_second / MS_PER_S : point.requests_per_ms;
    *answer = (struct disaggregated){
        .prefill_utilization_ratio = arrivals_per_ms / (split->prefill_replicas * prefill_per_ms(roofline)),
        .decode_utilization_ratio = arrivals_per_ms / (split->decode_replicas * decode_per_ms(roofline)),
        .balance_ratio = decode_per_ms(roofline) / prefill_per_ms(roofline),
        .transfer_ms = transfer_ms(roofline, split),
    };
    point.utilization_ratio = fmax(answer->prefill_utilization_ratio, answer->decode_utilization_ratio);
    double in_flight = point.in_flight / split->decode_replicas;
    point.gpus = (split->prefill_replicas + split->decode_replicas) * deployment_gpus(roofline->deployment);
    point.watts = fleet_watts(roofline, split, answer->prefill_utilization_ratio, in_flight);
    point_predict(roofline, load, &point, &answer->performance);
    answer->performance.breakdown.prefill_ms = 0;
    bool prompts = answer->prefill_utilization_ratio > answer->decode_utilization_ratio;
    answer->performance.bound_by =
        prompts ? BOUND_COMPUTE : roofline_bound(roofline, point.batch, &answer->performance.breakdown);
}
