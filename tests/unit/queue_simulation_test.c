/* queue_simulation_test.c owns the proof of sizing/queue.h against a simulation of a batching engine: every step, every
 * request, with the step times that the chain is given. Tolerances: docs/estimator.md, "Against a simulation". */
#include "sizing/queue.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { REQUESTS = 40000, WARM_UP = 4000, CLASSES_MAX = 4, PLACES_MAX = 256 };

/* One kind of engine and of requests. */
struct scenario {
    const char *name;
    double step_ms, row_ms, token_ms; /* a step; each request that makes a token in it; each prompt token */
    double step_tokens;               /* most prompt tokens of a step */
    uint32_t places;
    struct queue_class inputs[CLASSES_MAX], outputs[CLASSES_MAX]; /* share, tokens */
    size_t input_count, output_count;
};

static uint64_t random_state;

/* Xorshift (Marsaglia 2003): the same numbers everywhere. In (0, 1]. */
static double random_unit(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return ((double)(random_state >> 11) + 1) / 9007199254740992.0;
}

/* Two exponential phases with balanced means: any squared coefficient of variation from 1 on. */
static double random_gap(double mean_ms, double cv2)
{
    double first = (1 + sqrt((cv2 - 1) / (cv2 + 1))) / 2;
    double share = random_unit() <= first ? first : 1 - first;
    return -log(random_unit()) * mean_ms / (2 * share);
}

static double random_length(const struct queue_class classes[], size_t count)
{
    double left = random_unit();
    for (size_t i = 0; i + 1 < count; i++) {
        left -= classes[i].share;
        if (left <= 0) return classes[i].amount;
    }
    return classes[count - 1].amount;
}

static double mean_length(const struct queue_class classes[], size_t count)
{
    double mean = 0;
    for (size_t i = 0; i < count; i++)
        mean += classes[i].share * classes[i].amount;
    return mean;
}

static double cv2_of(const struct queue_class classes[], size_t count)
{
    double mean = mean_length(classes, count), squares = 0;
    for (size_t i = 0; i < count; i++)
        squares += classes[i].share * classes[i].amount * classes[i].amount;
    return squares / (mean * mean) - 1;
}

struct request {
    double arrived_ms, first_ms, input_left, output_left, steps;
};

/* The engine: requests that wait, and those in flight in the order in which they came. */
struct engine {
    const struct scenario *scenario;
    double began_ms, now_ms, mean_gap_ms, arrival_cv2, next_arrival_ms;
    struct request flying[PLACES_MAX];
    uint32_t flying_count;
    struct request *waiting; /* a ring */
    uint32_t waiting_first, waiting_count;
    double *ttft_ms, *tpot_ms, *e2e_ms; /* of those that are done */
    size_t done, wanted;
    uint32_t closed; /* so many in flight, always; 0: arrivals */
};

enum { RING = 1 << 16 };

static struct request new_request(const struct scenario *scenario, double arrived_ms)
{
    double output = random_length(scenario->outputs, scenario->output_count);
    return (struct request){.arrived_ms = arrived_ms,
                            .input_left = random_length(scenario->inputs, scenario->input_count),
                            .output_left = output,
                            .steps = output - 1};
}

static void arrive(struct engine *engine)
{
    const struct scenario *scenario = engine->scenario;
    while (engine->flying_count < engine->closed) { /* the last ones' clients have asked again during the step */
        struct request *request = &engine->flying[engine->flying_count++];
        *request = new_request(scenario, engine->now_ms - random_unit() * (engine->now_ms - engine->began_ms));
        if (!(engine->began_ms > 0))
            request->output_left = ceil(request->output_left * random_unit()); /* out of step */
    }
    if (engine->closed) return;
    while (engine->next_arrival_ms <= engine->now_ms) {
        assert_true(engine->waiting_count < RING);
        engine->waiting[(engine->waiting_first + engine->waiting_count++) % RING] =
            new_request(scenario, engine->next_arrival_ms);
        engine->next_arrival_ms += random_gap(engine->mean_gap_ms, engine->arrival_cv2);
    }
    while (engine->waiting_count && engine->flying_count < scenario->places) {
        engine->flying[engine->flying_count++] = engine->waiting[engine->waiting_first];
        engine->waiting_first = (engine->waiting_first + 1) % RING;
        engine->waiting_count--;
    }
}

/* All that have their prompt behind them make a token; prompts take what is left of the step's tokens. */
static void step(struct engine *engine)
{
    const struct scenario *scenario = engine->scenario;
    double tokens = scenario->step_tokens, rows = 0;
    bool makes[PLACES_MAX] = {false};
    for (uint32_t i = 0; i < engine->flying_count; i++) {
        struct request *request = &engine->flying[i];
        double read = fmin(tokens, request->input_left);
        makes[i] = request->input_left <= read;
        request->input_left -= read;
        tokens -= read;
        rows += makes[i];
    }
    engine->began_ms = engine->now_ms;
    engine->now_ms +=
        scenario->step_ms + scenario->row_ms * rows + scenario->token_ms * (scenario->step_tokens - tokens);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < engine->flying_count; i++) {
        struct request *request = &engine->flying[i];
        if (makes[i] && !(request->first_ms > 0)) request->first_ms = engine->now_ms;
        if (makes[i]) request->output_left--;
        if (request->output_left > 0) {
            engine->flying[kept++] = *request;
        } else if (engine->done < engine->wanted) {
            engine->ttft_ms[engine->done] = request->first_ms - request->arrived_ms;
            engine->tpot_ms[engine->done] = (engine->now_ms - request->first_ms) / request->steps;
            engine->e2e_ms[engine->done++] = engine->now_ms - request->arrived_ms;
        }
    }
    engine->flying_count = kept;
}

static int compare_doubles(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

struct seen {
    double mean, p95;
};

static struct seen summary(double values[], size_t from, size_t to)
{
    double *kept = values + from, sum = 0;
    size_t count = to - from;
    qsort(kept, count, sizeof *kept, compare_doubles);
    for (size_t i = 0; i < count; i++)
        sum += kept[i];
    return (struct seen){sum / (double)count, kept[count * 95 / 100]};
}

struct measured {
    struct seen ttft, tpot, e2e;
};

static struct measured run(struct engine *engine, size_t warm_up, size_t wanted)
{
    static double ttft_ms[REQUESTS], tpot_ms[REQUESTS], e2e_ms[REQUESTS];
    static struct request ring[RING];
    engine->waiting = ring;
    engine->ttft_ms = ttft_ms;
    engine->tpot_ms = tpot_ms;
    engine->e2e_ms = e2e_ms;
    engine->wanted = wanted;
    while (engine->done < wanted) {
        arrive(engine);
        if (engine->flying_count)
            step(engine);
        else
            engine->now_ms = engine->next_arrival_ms;
    }
    return (struct measured){summary(ttft_ms, warm_up, wanted), summary(tpot_ms, warm_up, wanted),
                             summary(e2e_ms, warm_up, wanted)};
}

static struct measured simulate(const struct scenario *scenario, double arrivals_per_ms, double arrival_cv2)
{
    struct engine engine = {.scenario = scenario, .mean_gap_ms = 1 / arrivals_per_ms, .arrival_cv2 = arrival_cv2};
    return run(&engine, WARM_UP, REQUESTS);
}

/* What the chain is told of the engine is what sizing/roofline.c was fitted on: means of runs with so many requests in
 * flight, each followed by another. */
static void step_times(const void *context, double in_flight, double *ret_prefill_ms, double *ret_decode_ms)
{
    struct engine engine = {.scenario = context, .closed = (uint32_t)in_flight};
    size_t requests = engine.closed, warm_up = 5 * requests, wanted = warm_up + 400 + 30 * requests;
    struct measured seen = run(&engine, warm_up, wanted);
    *ret_prefill_ms = seen.ttft.mean;
    *ret_decode_ms =
        (seen.e2e.mean - seen.ttft.mean) / (mean_length(engine.scenario->outputs, engine.scenario->output_count) - 1);
}

static const struct scenario scenarios[] = {
    {"alike, many places", 6, 0.05, 0.02, 4096, 256, {{1, 1000}}, {{1, 200}}, 1, 1},
    {"alike, few places", 12, 0.1, 0.02, 4096, 16, {{1, 1000}}, {{1, 200}}, 1, 1},
    {"long prompts", 8, 0.05, 0.03, 2048, 128, {{0.7, 500}, {0.25, 4000}, {0.05, 12000}}, {{1, 150}}, 3, 1},
    {"answers vary", 10, 0.1, 0.01, 4096, 24, {{1, 500}}, {{0.6, 40}, {0.3, 250}, {0.1, 900}}, 1, 3},
    {"both vary", 8, 0.05, 0.02, 2048, 64, {{0.8, 600}, {0.2, 5000}}, {{0.7, 80}, {0.3, 500}}, 2, 2},
};

static struct queue queue; /* large */
static struct queue_answer answer;

static void predict(const struct scenario *scenario, double load, double arrival_cv2, struct measured *ret_predicted,
                    double *ret_arrivals)
{
    struct queue_class prompts[CLASSES_MAX], answers[CLASSES_MAX];
    double fixed_ms = scenario->step_ms, prompt_ms = 0;
    double mean_input = mean_length(scenario->inputs, scenario->input_count);
    prompt_ms = fixed_ms + scenario->token_ms * mean_input;
    for (size_t i = 0; i < scenario->input_count; i++)
        prompts[i] = (struct queue_class){scenario->inputs[i].share,
                                          (fixed_ms + scenario->token_ms * scenario->inputs[i].amount) / prompt_ms};
    for (size_t i = 0; i < scenario->output_count; i++)
        answers[i] = (struct queue_class){scenario->outputs[i].share, scenario->outputs[i].amount - 1};
    const struct queue_mix mix = {.prompts = prompts,
                                  .answers = answers,
                                  .prompt_work_ms = scenario->token_ms * mean_input,
                                  .prompt_steps = mean_input / scenario->step_tokens,
                                  .prompt_count = scenario->input_count,
                                  .answer_count = scenario->output_count,
                                  .prompts_cv2 = cv2_of(prompts, scenario->input_count),
                                  .answers_cv2 = cv2_of(answers, scenario->output_count)};
    queue_init(&queue, step_times, scenario, scenario->places,
               mean_length(scenario->outputs, scenario->output_count) - 1);
    queue_set_mix(&queue, &mix);
    *ret_arrivals = load * queue_capacity_per_ms(&queue);
    queue_solve(&queue, *ret_arrivals, arrival_cv2, &answer);
    struct queue_latency late = queue_latency(&answer, 95);
    *ret_predicted = (struct measured){{answer.mean.ttft_ms, late.ttft_ms},
                                       {answer.mean.tpot_ms, late.tpot_ms},
                                       {queue_e2e_ms(&answer, 0), queue_e2e_ms(&answer, 95)}};
}

/* How far predictions may be from what is seen: least and most ratio, and the mean of |ln ratio| over all runs. */
struct tolerance {
    const char *name;
    double least, most, mean_log;
};

/* Poisson arrivals, then arrivals of a squared coefficient of variation of 4. */
enum { TTFT_MEAN, TTFT_P95, TPOT_MEAN, TPOT_P95, E2E_MEAN, E2E_P95, FIGURES };
static const struct tolerance tolerances[2][FIGURES] = {
    {{"TTFT mean", 0.5, 2.2, 0.22},
     {"TTFT p95", 0.4, 2.2, 0.27},
     {"TPOT mean", 0.85, 1.1, 0.05},
     {"TPOT p95", 0.65, 1.1, 0.12},
     {"e2e mean", 0.8, 1.15, 0.06},
     {"e2e p95", 0.78, 1.3, 0.09}},
    {{"TTFT mean, bursts", 0.4, 2.5, 0.4},
     {"TTFT p95, bursts", 0.3, 4.5, 0.45},
     {"TPOT mean, bursts", 0.9, 1.2, 0.07},
     {"TPOT p95, bursts", 0.75, 1.2, 0.13},
     {"e2e mean, bursts", 0.8, 1.4, 0.1},
     {"e2e p95, bursts", 0.75, 1.5, 0.12}},
};

static void compare(const struct tolerance *tolerance, const char *where, double load, double predicted, double seen,
                    double *log_sum, double *worst)
{
    double ratio = predicted / seen;
    *log_sum += fabs(log(ratio));
    *worst = fmax(*worst, fabs(log(ratio)));
    if (!(ratio >= tolerance->least && ratio <= tolerance->most))
        fail_msg("%s of \"%s\" at load %g: %.4g predicted, %.4g seen", tolerance->name, where, load, predicted, seen);
}

static void check_arrivals(double arrival_cv2, const struct tolerance allowed[FIGURES])
{
    static const double loads[] = {0.3, 0.6, 0.8, 0.9};
    enum { SCENARIOS = sizeof scenarios / sizeof scenarios[0], LOADS = sizeof loads / sizeof loads[0] };
    double log_sums[FIGURES] = {0}, worst[FIGURES] = {0};
    for (int run = 0; run < SCENARIOS * LOADS; run++) {
        const struct scenario *scenario = &scenarios[run / LOADS];
        double load = loads[run % LOADS], arrivals = 0;
        struct measured predicted;
        predict(scenario, load, arrival_cv2, &predicted, &arrivals);
        struct measured seen = simulate(scenario, arrivals, arrival_cv2);
        const double pairs[FIGURES][2] = {
            {predicted.ttft.mean, seen.ttft.mean}, {predicted.ttft.p95, seen.ttft.p95},
            {predicted.tpot.mean, seen.tpot.mean}, {predicted.tpot.p95, seen.tpot.p95},
            {predicted.e2e.mean, seen.e2e.mean},   {predicted.e2e.p95, seen.e2e.p95},
        };
        for (int i = 0; i < FIGURES; i++)
            compare(&allowed[i], scenario->name, load, pairs[i][0], pairs[i][1], &log_sums[i], &worst[i]);
    }
    for (int i = 0; i < FIGURES; i++) {
        double mean_log = log_sums[i] / (SCENARIOS * LOADS);
        print_message("%s: off by a factor of %.2f, at worst %.2f\n", allowed[i].name, exp(mean_log), exp(worst[i]));
        if (!(mean_log <= allowed[i].mean_log)) fail_msg("%s: off by %.3f on average", allowed[i].name, exp(mean_log));
    }
}

static void test_poisson_arrivals(void **state)
{
    (void)state;
    random_state = 20261128;
    check_arrivals(1, tolerances[0]);
}

static void test_bursts(void **state)
{
    (void)state;
    random_state = 20261129;
    check_arrivals(4, tolerances[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_poisson_arrivals), cmocka_unit_test(test_bursts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
