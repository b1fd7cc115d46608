/* performance.c owns loads: throughput and latency of one replica from its step times, with intervals and what they
 * rest on. Formulas: docs/estimator.md, "Throughput and latency", "Load, queue and percentiles". */
#include "sizing/performance.h"

#include "sizing/calibrate.h"
#include "sizing/evidence.h"
#include "sizing/point.h"
#include "sizing/power.h"

#include <string.h>

#define SAFE_UTILIZATION_RATIO 0.95 /* arrivals closer to capacity than this are no load to plan for */
#define CERTAIN 3e-5                /* what rounding to six digits can take from a probability */
enum { BISECTION_STEPS = 24 };

static const char *const bound_names[BOUND_COUNT] = {
    [BOUND_MEMORY_BANDWIDTH] = "memory_bandwidth", [BOUND_COMPUTE] = "compute",   [BOUND_KV_CAPACITY] = "kv_capacity",
    [BOUND_COMMUNICATION] = "communication",       [BOUND_OVERHEAD] = "overhead",
};
static const char *const load_names[LOAD_COUNT] = {
    [LOAD_SATURATED] = "saturated",
    [LOAD_CONCURRENCY] = "concurrency",
    [LOAD_STATIC_BATCH] = "static_batch",
    [LOAD_RATE] = "rate",
};

const char *const percentile_names[PERCENTILE_COUNT] = {"p50", "p95", "p99"};
const double percentile_values[PERCENTILE_COUNT] = {50, 95, 99};

const char *bound_name(enum bound bound)
{
    return bound_names[bound];
}

const char *load_name(enum load load)
{
    return load_names[load];
}

static const enum fit_load fit_loads[LOAD_COUNT] = {
    [LOAD_SATURATED] = FIT_LOAD_SATURATED,
    [LOAD_CONCURRENCY] = FIT_LOAD_SERVED,
    [LOAD_STATIC_BATCH] = FIT_LOAD_STATIC,
    [LOAD_RATE] = FIT_LOAD_SERVED,
};

/* What the predictions rest on beside the formula: rows of just this model on this GPU, a calibration of the GPU. */
struct grounds {
    const struct engine_fit *fit; /* NULL: no such row */
    bool calibrated;
};

/* Pipeline stages, weights in host memory, drafts, adapters and cached prompts were in no row: nothing tells of them.
 */
static struct grounds grounds_of(const struct roofline *roofline, enum load load)
{
    const struct deployment *deployment = roofline->deployment;
    bool cached = roofline->computed_tokens < roofline->input_tokens;
    bool staged = deployment->pipeline_parallel > 1 && deployment->engine->coef.max_tensor_parallel > 1;
    if (roofline->verified_rows > 1 || cached || deployment->cpu_offload_gib > 0 || deployment->max_loras || staged)
        return (struct grounds){NULL, false};
    return (struct grounds){deployment->fits[fit_loads[load]], calibrate_counts(deployment)};
}

static enum basis basis_of(struct grounds grounds)
{
    if (grounds.calibrated) return BASIS_CALIBRATED;
    return grounds.fit ? BASIS_FITTED : BASIS_EXTRAPOLATED;
}

static struct times times_of(const struct roofline *roofline, double ttft_ms, double tpot_ms)
{
    return (struct times){ttft_ms, tpot_ms, ttft_ms + (roofline->output_tokens - 1) * tpot_ms};
}

/* Requests always wait: the engine runs its largest batch, and its work sets the rate. */
static void solve_saturated(const struct roofline *roofline, const struct load_point *load, struct point *ret_point)
{
    (void)load;
    double batch = roofline->max_batch, ratio = roofline_load_ratio(roofline, FIT_LOAD_SATURATED);
    *ret_point = (struct point){
        .requests_per_ms = batch / (roofline_work_ms(roofline, batch) * ratio),
        .in_flight = batch,
        .batch = batch,
        .times = times_of(roofline, roofline_ttft_ms(roofline, batch) * ratio,
                          roofline_tpot_ms(roofline, batch, NULL) * ratio),
        .utilization_ratio = 1,
        .busy_ratio = 1,
        .stable = true,
    };
}

/* A request follows each that ends; those above the batch wait for a place. */
static void solve_concurrency(const struct roofline *roofline, const struct load_point *load, struct point *ret_point)
{
    double batch = fmin(load->concurrency, roofline->max_batch);
    struct times times = times_of(roofline, roofline_ttft_ms(roofline, batch), roofline_tpot_ms(roofline, batch, NULL));
    double requests_per_ms = batch / times.e2e_ms, waiting_ms = (load->concurrency - batch) / requests_per_ms;
    *ret_point = (struct point){
        .requests_per_ms = requests_per_ms,
        .in_flight = batch,
        .batch = fmax(batch, 1),
        .waiting_ms = waiting_ms,
        .times = times_of(roofline, times.ttft_ms + waiting_ms, times.tpot_ms),
        .utilization_ratio = batch / roofline->max_batch,
        .busy_ratio = 1,
        .stable = true,
    };
}

/* All requests start together and the batch ends with the longest: equal waves of what fits. */
static void solve_static(const struct roofline *roofline, const struct load_point *load, struct point *ret_point)
{
    double ratio = roofline_load_ratio(roofline, FIT_LOAD_STATIC);
    double request_ms = roofline->deployment->engine->coef.static_request_ms;
    double waves = ceil(load->batch_size / roofline->max_batch);
    double batch = load->batch_size / waves;
    struct step_breakdown step;
    double decode_ms = roofline_tpot_ms(roofline, batch, &step) - step.prefill_ms;
    double prompts_ms = fmax(batch, 1) * roofline_prefill_ms(roofline);
    double ttft_ms = fmax(prompts_ms, step.weights_ms) * ratio + request_ms * batch;
    struct times wave = times_of(roofline, ttft_ms, decode_ms * ratio);
    double waiting_ms = (waves - 1) / 2 * wave.e2e_ms;
    *ret_point = (struct point){
        .requests_per_ms = batch / wave.e2e_ms,
        .in_flight = batch,
        .batch = fmax(batch, 1),
        .waiting_ms = waiting_ms,
        .times = times_of(roofline, ttft_ms + waiting_ms, wave.tpot_ms),
        .utilization_ratio = 1,
        .busy_ratio = 1,
        .stable = true,
    };
}

static void step_times(const void *context, double in_flight, double *ret_prefill_ms, double *ret_decode_ms)
{
    *ret_prefill_ms = roofline_ttft_ms(context, in_flight);
    *ret_decode_ms = roofline_tpot_ms(context, in_flight, NULL);
    evidence_correct_times(context, in_flight, ret_prefill_ms, ret_decode_ms);
}

static void mix_prompts(const struct roofline *roofline, struct line *line)
{
    struct queue_mix *mix = &line->mix;
    const struct lengths *input = &roofline->traffic->input;
    double mean_ms = roofline_first_token_mean_ms(roofline), squares = 0;
    mix->prompts = line->prompts;
    mix->prompt_count = input->count;
    for (size_t i = 0; i < input->count; i++) {
        double ratio = roofline_first_token_ratio(roofline, input->classes[i].tokens, mean_ms);
        line->prompts[i] = (struct queue_class){input->classes[i].share, ratio};
        squares += input->classes[i].share * ratio * ratio;
    }
    mix->prompts_cv2 = squares - 1;
}

static void mix_answers(const struct roofline *roofline, struct line *line)
{
    struct queue_mix *mix = &line->mix;
    const struct lengths *output = &roofline->traffic->output;
    double steps = output->mean - 1;
    mix->answers = line->answers;
    mix->answer_count = output->count;
    for (size_t i = 0; i < output->count; i++)
        line->answers[i] = (struct queue_class){output->classes[i].share, fmax(output->classes[i].tokens - 1, 0)};
    mix->answers_cv2 = steps > 0 ? output->cv2 * output->mean * output->mean / (steps * steps) : 0;
}

void line_set_mix(struct line *line, const struct roofline *roofline)
{
    const struct traffic *traffic = roofline->traffic;
    line->mix = (struct queue_mix){0};
    if (traffic && traffic->input.count > 1) mix_prompts(roofline, line);
    if (traffic && traffic->output.count > 1) mix_answers(roofline, line);
}

void line_init(struct line *line, const struct roofline *roofline)
{
    line_set_mix(line, roofline);
    line->mix.prompt_work_ms = roofline_prefill_ms(roofline);
    line->mix.prompt_steps = roofline->computed_tokens / roofline->deployment->max_batched_tokens;
    queue_init(&line->queue, step_times, roofline, roofline->max_batch, roofline->output_tokens - 1);
    queue_set_mix(&line->queue, &line->mix);
}

static struct times times_at(const struct queue_answer *answer, double percentile, bool whole)
{
    struct queue_latency latency = queue_latency(answer, percentile);
    return (struct times){latency.ttft_ms, latency.tpot_ms, whole ? queue_e2e_ms(answer, percentile) : UNKNOWN};
}

/* One solution of the chain gives every percentile. `whole`: end-to-end times too. */
static void solve_at_rate(const struct queue *queue, const struct load_point *load, bool whole, struct point *ret_point)
{
    struct queue_answer answer;
    queue_solve(queue, load->requests_per_second / MS_PER_S, load->arrival_cv2, &answer);
    *ret_point = (struct point){
        .requests_per_ms = answer.served_per_ms,
        .in_flight = answer.in_flight,
        .batch = fmax(answer.in_flight, 1),
        .waiting_ms = answer.waiting_ms,
        .times = times_at(&answer, load->percentile, whole),
        .utilization_ratio = answer.utilization_ratio,
        .busy_ratio = answer.busy_ratio,
        .stable = answer.stable,
    };
    for (int i = 0; i < PERCENTILE_COUNT && load->all_percentiles; i++)
        ret_point->percentiles[i] = times_at(&answer, percentile_values[i], whole);
}

static void solve_rate(const struct roofline *roofline, const struct load_point *load, struct point *ret_point)
{
    struct line line;
    line_init(&line, roofline);
    solve_at_rate(&line.queue, load, true, ret_point);
}

static void (*const solvers[LOAD_COUNT])(const struct roofline *, const struct load_point *, struct point *) = {
    [LOAD_SATURATED] = solve_saturated,
    [LOAD_CONCURRENCY] = solve_concurrency,
    [LOAD_STATIC_BATCH] = solve_static,
    [LOAD_RATE] = solve_rate,
};

/* ×/÷ at 90 % of the two latencies and of throughput under this load. */
struct factors {
    double tpot, ttft, throughput;
};

/* Outside the fit. Where rows tell of the model on other GPUs, a calibrated one is nearer to them. */
static struct factors unseen_factors(const struct deployment *deployment, enum fit_load load, bool calibrated)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    const double near[FIT_LOAD_COUNT] = {coef->tpot_calibrated_factor, coef->saturated_calibrated_factor,
                                         coef->static_calibrated_factor};
    double least = model_is_moe(deployment->model) ? coef->moe_extrapolated_factor : 1;
    bool told =
        calibrated && deployment->model->sized_family &&
        engine_tells_family(deployment->engine, load, deployment->model->sized_family, deployment->weight_dtype);
    double time = told && near[load] > 0 ? near[load] : engine_extrapolated_factor(deployment->engine, load);
    double ttft =
        told && coef->ttft_calibrated_factor > 0 ? coef->ttft_calibrated_factor : coef->ttft_extrapolated_factor;
    return (struct factors){.tpot = fmax(time, least), .ttft = fmax(ttft, least)};
}

static struct factors factors_of(const struct roofline *roofline, struct grounds grounds, enum load load)
{
    const struct engine_fit *fit = grounds.fit;
    struct factors unseen = unseen_factors(roofline->deployment, fit_loads[load], grounds.calibrated);
    double time = fit ? fit->time_factor : unseen.tpot;
    double ttft = fit && is_known(fit->ttft_factor) ? fit->ttft_factor : unseen.ttft;
    return (struct factors){.tpot = time, .ttft = load == LOAD_STATIC_BATCH ? time : ttft, .throughput = time};
}

/* The sum of two errors that go together: each counts by its share. */
static double joint_factor(double share_a, double factor_a, double factor_b)
{
    return exp(share_a * log(factor_a) + (1 - share_a) * log(factor_b));
}

static struct latencies predict_latencies(struct times times, const struct factors *factors, enum basis basis)
{
    double e2e_factor = joint_factor(times.ttft_ms / times.e2e_ms, factors->ttft, factors->tpot);
    return (struct latencies){
        .ttft_ms = predicted_make(times.ttft_ms, factors->ttft, COVERAGE_RATIO, basis),
        .tpot_ms = predicted_make(times.tpot_ms, factors->tpot, COVERAGE_RATIO, basis),
        .e2e_ms = predicted_make(times.e2e_ms, e2e_factor, COVERAGE_RATIO, basis),
    };
}

static void set_latency(const struct roofline *roofline, const struct load_point *load, const struct point *point,
                        const struct factors *factors, struct performance *performance)
{
    enum basis basis = performance->basis;
    struct latencies latencies = predict_latencies(point->times, factors, basis);
    performance->ttft_ms = latencies.ttft_ms;
    performance->tpot_ms = latencies.tpot_ms;
    performance->e2e_ms = latencies.e2e_ms;
    performance->has_percentiles = load->load == LOAD_RATE && load->all_percentiles;
    for (int i = 0; i < PERCENTILE_COUNT && performance->has_percentiles; i++)
        performance->percentiles[i] = predict_latencies(point->percentiles[i], factors, basis);
    performance->prefill_tokens_per_second =
        predicted_make(roofline_prefill_tokens_per_second(roofline), factors->ttft, COVERAGE_RATIO, basis);
}

/* At a rate that the replica can serve, throughput is the arrivals: only a slower replica than predicted lowers it. */
static struct predicted served(const struct point *point, double factor, enum basis basis)
{
    double per_s = point->requests_per_ms * MS_PER_S;
    struct predicted requests = predicted_make(per_s, factor, COVERAGE_RATIO, basis);
    requests.low = round6(fmin(per_s, per_s / point->utilization_ratio / factor));
    requests.high = requests.value;
    return requests;
}

static void set_throughput(const struct roofline *roofline, const struct load_point *load, const struct point *point,
                           double factor, struct performance *performance)
{
    bool arrivals = load->load == LOAD_RATE && point->stable;
    struct predicted requests =
        arrivals ? served(point, factor, performance->basis)
                 : predicted_make(point->requests_per_ms * MS_PER_S, factor, COVERAGE_RATIO, performance->basis);
    performance->requests_per_second = requests;
    performance->output_tokens_per_second = predicted_scale(requests, roofline->output_tokens);
    performance->total_tokens_per_second = predicted_scale(requests, roofline->input_tokens + roofline->output_tokens);
}

static void set_power(const struct roofline *roofline, const struct point *point, struct performance *performance)
{
    const struct deployment *deployment = roofline->deployment;
    double gpus = point->gpus > 0 ? point->gpus : deployment_gpus(deployment);
    double compute_share = roofline_compute_share(roofline, point->batch, &performance->breakdown);
    double watts = power_gpu_watts(deployment->gpu, point->busy_ratio, compute_share) * gpus;
    performance->watts = point->gpus > 0 ? point->watts : watts;
    performance->tdp_watts = deployment->gpu->tdp_watts * gpus;
}

struct predicted performance_power_watts(const struct performance *performance)
{
    return power_predict(performance->watts, performance->tdp_watts);
}

struct predicted performance_tokens_per_joule(const struct performance *performance)
{
    return power_tokens_per_joule(performance->output_tokens_per_second, performance->watts);
}

void point_predict_nothing(const struct roofline *roofline, struct performance *ret_performance)
{
    struct predicted none =
        roofline->max_batch >= 1 ? PREDICTED_UNKNOWN : (struct predicted){0, 0, 0, UNKNOWN, BASIS_EXTRAPOLATED};
    *ret_performance = (struct performance){
        .requests_per_second = none,
        .output_tokens_per_second = none,
        .total_tokens_per_second = none,
        .prefill_tokens_per_second = PREDICTED_UNKNOWN,
        .ttft_ms = PREDICTED_UNKNOWN,
        .tpot_ms = PREDICTED_UNKNOWN,
        .e2e_ms = PREDICTED_UNKNOWN,
        .waiting_ms = UNKNOWN,
        .utilization_ratio = UNKNOWN,
        .bound_by = BOUND_KV_CAPACITY,
        .breakdown = {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN},
        .watts = UNKNOWN,
        .tdp_watts = UNKNOWN,
        .basis = BASIS_EXTRAPOLATED,
    };
}

bool roofline_answers(const struct roofline *roofline)
{
    return roofline->max_batch >= 1 && is_known(roofline_work_ms(roofline, 1) + roofline_ttft_ms(roofline, 1));
}

void point_predict(const struct roofline *roofline, const struct load_point *load, const struct point *point,
                   struct performance *ret_performance)
{
    struct performance *performance = ret_performance;
    struct grounds grounds = {NULL, false};
    if (!point->extrapolated) grounds = grounds_of(roofline, load->load);
    *performance = (struct performance){
        .basis = basis_of(grounds),
        .fit = grounds.fit,
        .kin = roofline_kin(roofline->deployment, fit_loads[load->load]),
        .in_flight = round6(point->in_flight),
        .waiting_ms = round6(point->waiting_ms),
        .utilization_ratio = round6(point->utilization_ratio),
        .stable = point->stable,
    };
    (void)roofline_tpot_ms(roofline, point->batch, &performance->breakdown);
    performance->bound_by = roofline_bound(roofline, point->batch, &performance->breakdown);
    struct factors factors = factors_of(roofline, grounds, load->load);
    set_latency(roofline, load, point, &factors, performance);
    set_throughput(roofline, load, point, factors.throughput, performance);
    if (!point->extrapolated) evidence_correct(roofline, load, performance);
    set_power(roofline, point, performance);
}

void performance_predict(const struct roofline *roofline, const struct load_point *load,
                         struct performance *ret_performance)
{
    if (!roofline_answers(roofline)) {
        point_predict_nothing(roofline, ret_performance);
        return;
    }
    struct point point;
    solvers[load->load](roofline, load, &point);
    point_predict(roofline, load, &point, ret_performance);
}

void performance_alone(const struct roofline *roofline, struct latencies *ret_latencies)
{
    struct grounds grounds = grounds_of(roofline, LOAD_CONCURRENCY);
    enum basis basis = basis_of(grounds);
    struct factors factors = factors_of(roofline, grounds, LOAD_CONCURRENCY);
    struct times times = times_of(roofline, roofline_ttft_ms(roofline, 1), roofline_tpot_ms(roofline, 1, NULL));
    *ret_latencies = predict_latencies(times, &factors, basis);
}

static double within(struct predicted quantity, double limit)
{
    return is_known(limit) ? predicted_probability_below(quantity, limit) : 1;
}

/* First token and token rate are counted as independent, which is careful where their errors go together; the whole
 * follows from both, so that only the less likely of the two statements counts. */
static double joint_probability(struct predicted ttft_ms, struct predicted tpot_ms, struct predicted whole_ms,
                                const struct slo *slo)
{
    return fmin(within(ttft_ms, slo->ttft_ms) * within(tpot_ms, slo->tpot_ms), within(whole_ms, slo->e2e_ms));
}

double performance_slo_probability(const struct performance *performance, const struct slo *slo)
{
    if (!performance->stable) return 0;
    return joint_probability(performance->ttft_ms, performance->tpot_ms, performance->e2e_ms, slo);
}

bool slo_limits(const struct slo *slo)
{
    return is_known(slo->ttft_ms) || is_known(slo->tpot_ms) || is_known(slo->e2e_ms);
}

/* An interval around a value that is not rounded: the search asks often. */
static struct predicted rough(double value, double factor)
{
    return (struct predicted){value, value / factor, value * factor, COVERAGE_RATIO, BASIS_EXTRAPOLATED};
}

static bool rate_meets(const struct queue *queue, const struct factors *factors, const struct load_point *load,
                       const struct slo *slo, double probability)
{
    struct point point;
    solve_at_rate(queue, load, is_known(slo->e2e_ms), &point);
    const struct times *times = &point.times;
    double e2e_factor = joint_factor(times->ttft_ms / times->e2e_ms, factors->ttft, factors->tpot);
    return point.stable && joint_probability(rough(times->ttft_ms, factors->ttft), rough(times->tpot_ms, factors->tpot),
                                             rough(times->e2e_ms, e2e_factor), slo) >= fmin(probability + CERTAIN, 1);
}

double performance_capacity_rps(const struct roofline *roofline, const struct slo *slo, double arrival_cv2,
                                double probability)
{
    if (!roofline_answers(roofline)) return 0;
    struct line line;
    line_init(&line, roofline);
    double low = 0, high = queue_capacity_per_ms(&line.queue) * MS_PER_S * SAFE_UTILIZATION_RATIO;
    if (!slo_limits(slo)) return round6(high);
    struct factors factors = factors_of(roofline, grounds_of(roofline, LOAD_RATE), LOAD_RATE);
    struct load_point load = {.load = LOAD_RATE, .arrival_cv2 = arrival_cv2, .percentile = slo->percentile};
    load.requests_per_second = high;
    if (rate_meets(&line.queue, &factors, &load, slo, probability)) return round6(high);
    for (int step = 0; step < BISECTION_STEPS; step++) {
        load.requests_per_second = (low + high) / 2;
        bool meets = rate_meets(&line.queue, &factors, &load, slo, probability);
        if (meets)
            low = load.requests_per_second;
        else
            high = load.requests_per_second;
    }
    return round6(low * (1 - 1e-5)); /* rounding never takes it above what was tried */
}
