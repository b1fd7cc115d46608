/* queue_test.c owns the proof of sizing/queue.h: published step times, closed forms of queueing theory, properties. */
#include "sizing/queue.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance)) fail_msg("%.9g, expected %.9g within %g", value, expected, tolerance);
}

static struct queue queue; /* large */

/* The chain of textbooks: Poisson arrivals unless the test says otherwise, and exponential services. */
static const struct queue_mix exponential = {.prompts_cv2 = 1, .answers_cv2 = 1};

/* The linear step of the llm-d workload-variant-autoscaler (pkg/analyzer): T(n) = α + n·[β(in + out)/(out + 1) +
 * γ(in + out/2)], prefill T + (β + γ)·in, decode T + β + γ(in + out/2). */
struct linear_step {
    double alpha, beta, gamma, input_tokens, output_tokens;
};

static void linear_times(const void *context, double in_flight, double *ret_prefill_ms, double *ret_decode_ms)
{
    const struct linear_step *step = context;
    double cache_ms = step->gamma * (step->input_tokens + step->output_tokens / 2);
    double tokens = step->input_tokens + step->output_tokens;
    double time_ms = step->alpha + in_flight * (step->beta * tokens / (step->output_tokens + 1) + cache_ms);
    *ret_prefill_ms = time_ms + (step->beta + step->gamma) * step->input_tokens;
    *ret_decode_ms = time_ms + step->beta + cache_ms;
}

static void test_published_step_times(void **state)
{
    (void)state;
    struct linear_step prompt = {10, 0.01, 0.001, 1000, 0};
    queue_init(&queue, linear_times, &prompt, 64, 0);
    assert_near(queue.prefill_ms[1], 32, 1e-9);
    prompt.input_tokens = 2000;
    queue_init(&queue, linear_times, &prompt, 64, 0);
    assert_near(queue.prefill_ms[8], 208, 1e-9);
    struct linear_step token = {1, 0.1, 0.01, 1, 1};
    queue_init(&queue, linear_times, &token, 64, 1);
    assert_near(queue.decode_ms[1], 1.23, 1e-9);
    assert_near(queue.decode_ms[4], 1.575, 1e-9);
    assert_near(queue.decode_ms[8], 2.035, 1e-9);
    assert_near(queue.decode_ms[9], 2.15, 1e-9); /* between 8 and 10 */
}

static void constant_service(const void *context, double in_flight, double *ret_prefill_ms, double *ret_decode_ms)
{
    (void)in_flight;
    *ret_prefill_ms = *(const double *)context;
    *ret_decode_ms = 0;
}

static void shared_service(const void *context, double in_flight, double *ret_prefill_ms, double *ret_decode_ms)
{
    *ret_prefill_ms = *(const double *)context * in_flight;
    *ret_decode_ms = 0;
}

/* Servers of equal speed: M/M/2 at half load, Erlang's C = 1/3, wait C/(2μ - λ). */
static void test_erlang(void **state)
{
    (void)state;
    double service_ms = 100;
    struct queue_answer answer;
    queue_init(&queue, constant_service, &service_ms, 2, 0);
    queue_set_mix(&queue, &exponential);
    queue_solve(&queue, 1 / service_ms, 1, &answer);
    assert_near(answer.utilization_ratio, 0.5, 1e-12);
    assert_near(answer.in_flight, 1, 1e-5);
    assert_near(answer.busy_ratio, 2 / 3.0, 1e-5);
    assert_near(answer.waiting_ms, service_ms / 3, 2e-3);
    assert_near(answer.mean.ttft_ms, service_ms * 4 / 3, 2e-3);
    assert_near(queue_latency(&answer, 95).ttft_ms, service_ms * (1 + log(1 / 3.0 / 0.05)), 0.05);
    assert_near(queue_latency(&answer, 50).ttft_ms, service_ms, 1e-6);
    assert_near(queue_e2e_ms(&answer, 50), service_ms, 1e-6);
}

/* One engine shared by all: requests in the system are those of M/M/1, whatever the places. */
static void test_shared_engine(void **state)
{
    (void)state;
    double service_ms = 10;
    queue_init(&queue, shared_service, &service_ms, 500, 0);
    queue_set_mix(&queue, &exponential);
    for (int tenths = 1; tenths < 10; tenths++) {
        double load = tenths / 10.0;
        struct queue_answer answer;
        queue_solve(&queue, load / service_ms, 1, &answer);
        double in_system = answer.in_flight + answer.waiting_ms * answer.served_per_ms;
        assert_near(in_system, load / (1 - load), 1e-6 * in_system);
        assert_true(answer.stable);
    }
}

/* Bursts find more requests in flight and wait longer, regular arrivals less. */
static void test_arrivals_spread(void **state)
{
    (void)state;
    double service_ms = 100;
    struct queue_answer even, poisson, bursts;
    queue_init(&queue, constant_service, &service_ms, 2, 0);
    queue_set_mix(&queue, &exponential);
    queue_solve(&queue, 1.5 / service_ms, 0, &even);
    queue_solve(&queue, 1.5 / service_ms, 1, &poisson);
    queue_solve(&queue, 1.5 / service_ms, 4, &bursts);
    assert_true(even.waiting_ms > 0.2 * poisson.waiting_ms && even.waiting_ms < 0.7 * poisson.waiting_ms);
    assert_true(bursts.waiting_ms > 2 * poisson.waiting_ms && bursts.waiting_ms < 3 * poisson.waiting_ms);
    assert_true(even.waiting_ratio < poisson.waiting_ratio && poisson.waiting_ratio < bursts.waiting_ratio);
}

/* Requests that are all alike wait less than those of an exponential spread, and these less than a wider one's. */
static void test_services_spread(void **state)
{
    (void)state;
    double service_ms = 100, before_ms = 0;
    for (int cv2 = 0; cv2 < 4; cv2++) {
        struct queue_answer answer;
        const struct queue_mix mix = {.prompts_cv2 = cv2};
        queue_init(&queue, constant_service, &service_ms, 2, 0);
        queue_set_mix(&queue, &mix);
        queue_solve(&queue, 1.5 / service_ms, 1, &answer);
        assert_true(answer.waiting_ms > before_ms);
        before_ms = answer.waiting_ms;
    }
}

/* Two kinds of prompts on servers without a wait: each takes its own time, so that percentiles are the kinds'. */
static void test_mixture_of_prompts(void **state)
{
    (void)state;
    double service_ms = 100;
    static const struct queue_class prompts[] = {{0.9, 0.5}, {0.1, 5.5}};
    const struct queue_mix mix = {.prompts = prompts, .prompt_count = 2, .prompts_cv2 = 2.25};
    struct queue_answer answer;
    queue_init(&queue, constant_service, &service_ms, 500, 0);
    queue_set_mix(&queue, &mix);
    queue_solve(&queue, 100 / service_ms, 1, &answer);
    assert_near(answer.mean.ttft_ms, 100, 1e-6);
    assert_near(queue_latency(&answer, 50).ttft_ms, 50, 1e-6);
    assert_near(queue_latency(&answer, 89).ttft_ms, 50, 1e-6);
    assert_near(queue_latency(&answer, 95).ttft_ms, 550, 1e-6);
}

static void constant_decode(const void *context, double in_flight, double *ret_prefill_ms, double *ret_decode_ms)
{
    (void)in_flight;
    *ret_prefill_ms = 0;
    *ret_decode_ms = *(const double *)context;
}

/* The same of answers, for the whole time. */
static void test_mixture_of_answers(void **state)
{
    (void)state;
    double token_ms = 10;
    static const struct queue_class answers[] = {{0.8, 50}, {0.2, 300}};
    const struct queue_mix mix = {.answers = answers, .answer_count = 2, .answers_cv2 = 1};
    struct queue_answer answer;
    queue_init(&queue, constant_decode, &token_ms, 500, 100);
    queue_set_mix(&queue, &mix);
    queue_solve(&queue, 0.1, 1, &answer);
    assert_near(answer.mean.tpot_ms, 10, 1e-9);
    assert_near(queue_e2e_ms(&answer, 0), 1000, 1e-6);
    assert_near(queue_e2e_ms(&answer, 50), 500, 1e-6);
    assert_near(queue_e2e_ms(&answer, 95), 3000, 1e-6);
}

static void test_overload_fills_the_queue(void **state)
{
    (void)state;
    double service_ms = 100, room = QUEUE_WAITING_RATIO * 4;
    struct queue_answer answer;
    queue_init(&queue, constant_service, &service_ms, 4, 0);
    queue_set_mix(&queue, &exponential);
    queue_solve(&queue, 2 * queue_capacity_per_ms(&queue), 1, &answer);
    assert_false(answer.stable);
    assert_near(answer.served_per_ms, 4 / service_ms, 1e-12);
    assert_near(answer.in_flight, 4, 0);
    assert_near(answer.waiting_ms, room * service_ms / 4, 1e-6);
}

static void test_servers_are_capped(void **state)
{
    (void)state;
    double service_ms = 100;
    queue_init(&queue, constant_service, &service_ms, 1e6, 0);
    queue_set_mix(&queue, &exponential);
    assert_int_equal(queue.servers, QUEUE_SERVERS_MAX);
    queue_init(&queue, constant_service, &service_ms, 1, 0);
    queue_set_mix(&queue, &exponential);
    assert_int_equal(queue.servers, 1);
}

/* Xorshift (Marsaglia 2003): the same numbers everywhere. */
static uint64_t random_state;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state >> 11;
}

static double uniform(double from, double to)
{
    return from + (to - from) * (double)random_bits() / (double)(UINT64_MAX >> 11);
}

static const double percentiles[] = {50, 95, 99};

/* Random kinds of prompts and answers. */
static struct queue_mix random_mix(struct queue_class prompts[3], struct queue_class answers[3], double steps)
{
    for (int i = 0; i < 3; i++) {
        prompts[i] = (struct queue_class){1 / 3.0, (i + 1) / 2.0};
        answers[i] = (struct queue_class){1 / 3.0, steps * (i + 1) / 2};
    }
    size_t kinds = random_bits() % 2 ? 3 : 0;
    return (struct queue_mix){.prompts = prompts,
                              .answers = answers,
                              .prompt_count = kinds,
                              .answer_count = random_bits() % 2 ? 3 : 0,
                              .prompt_work_ms = uniform(0, 50),
                              .prompt_steps = uniform(0, 2),
                              .prompts_cv2 = kinds ? 1 / 6.0 : 0,
                              .answers_cv2 = uniform(0, 2)};
}

/* More arrivals never mean shorter waits or faster tokens; higher percentiles are never lower. */
static void test_random_chains_are_monotone(void **state)
{
    (void)state;
    random_state = 20261123;
    print_message("seed %llu\n", (unsigned long long)random_state);
    for (int round = 0; round < 300; round++) {
        struct linear_step times = {uniform(1, 30), uniform(0, 0.05), uniform(0, 0.001), floor(uniform(1, 4000)),
                                    floor(uniform(1, 1000))};
        queue_init(&queue, linear_times, &times, floor(exp(uniform(0, 7.6))), times.output_tokens);
        struct queue_class prompts[3], answers[3];
        const struct queue_mix mix = random_mix(prompts, answers, times.output_tokens);
        queue_set_mix(&queue, &mix);
        struct queue_answer before = {0};
        for (int step = 0; step < 50; step++) {
            double load = pow(1.21, step) * 1e-4; /* up to 1.14 */
            double arrivals = load * queue_capacity_per_ms(&queue), cv2 = uniform(0, 3);
            struct queue_answer mean, any;
            queue_solve(&queue, arrivals, 1, &mean);
            assert_true(mean.mean.ttft_ms >= before.mean.ttft_ms * (1 - 1e-9));
            assert_true(mean.mean.tpot_ms >= before.mean.tpot_ms * (1 - 1e-9));
            assert_true(mean.waiting_ms >= before.waiting_ms * (1 - 1e-9));
            assert_true(mean.in_flight >= before.in_flight * (1 - 1e-9) && mean.in_flight <= queue.servers + 1e-9);
            before = mean;
            queue_solve(&queue, arrivals, cv2, &any);
            struct queue_latency lower = {0};
            double lower_e2e_ms = 0;
            for (int i = 0; i < 3; i++) {
                struct queue_latency latency = queue_latency(&any, percentiles[i]);
                double e2e_ms = queue_e2e_ms(&any, percentiles[i]);
                assert_true(latency.ttft_ms >= lower.ttft_ms * (1 - 1e-9) && latency.tpot_ms >= lower.tpot_ms);
                assert_true(e2e_ms >= lower_e2e_ms * (1 - 1e-9));
                lower = latency;
                lower_e2e_ms = e2e_ms;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_step_times), cmocka_unit_test(test_erlang),
        cmocka_unit_test(test_shared_engine),        cmocka_unit_test(test_arrivals_spread),
        cmocka_unit_test(test_services_spread),      cmocka_unit_test(test_mixture_of_prompts),
        cmocka_unit_test(test_mixture_of_answers),   cmocka_unit_test(test_overload_fills_the_queue),
        cmocka_unit_test(test_servers_are_capped),   cmocka_unit_test(test_random_chains_are_monotone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
