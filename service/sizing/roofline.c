/* roofline.c owns the step time model of one deployment as a whole: its set-up, drafts, what rows of a fit say, and the
 * bounds. Formulas and their accuracy: docs/estimator.md, "Throughput and latency". */
#include "sizing/roofline.h"

#include "sizing/evidence.h"

/* A draft runs on the same GPUs, in one stage, and reads the prompt too. What the text itself proposes costs nothing.
 */
static void init_draft(struct roofline *roofline, const struct workload *work, const struct traffic *traffic)
{
    const struct memory resident = {.kv_block_tokens = roofline->memory->kv_block_tokens};
    const struct deployment *target = roofline->deployment;
    roofline->verified_rows = target->draft_tokens + 1;
    roofline->tokens_per_step = traffic_tokens_per_step(traffic, target->draft_tokens);
    if (target->draft_kind == DRAFT_NGRAM) return;
    struct deployment deployment = target->draft_model ? draft_deployment(target) : *target;
    struct workload drafting = workload_head(target->model, work);
    deployment.pipeline_parallel = 1;
    if (target->draft_model) workload_init(&deployment, traffic_context_tokens(traffic), &drafting);
    struct roofline draft = {.deployment = &deployment,
                             .memory = &resident,
                             .input_tokens = roofline->input_tokens,
                             .output_tokens = roofline->output_tokens};
    struct rates rates;
    rates_init(&deployment, &rates);
    init_decode(&draft, &drafting, &rates);
    init_prefill(&draft, &drafting, &rates, traffic);
    roofline->draft = draft.terms;
    roofline->terms.prefill_ms += draft.terms.prefill_ms;
    roofline->terms.prompt_ms += draft.terms.prefill_ms;
    roofline->terms.first_token_ms += draft.terms.prefill_ms;
}

/* All times of a step by what rows said of steps, and those of the first token by what they said of it; but nothing
 * becomes faster than the hardware is. */
static void apply_fits(struct roofline *roofline, const struct rates *rates)
{
    struct roofline_terms *terms = &roofline->terms;
    double ratio = deployment_time_ratio(roofline->deployment, FIT_LOAD_SERVED);
    double first_ratio = deployment_ttft_ratio(roofline->deployment); /* bounded by the price of the prompt */
    const struct {
        double *ms, least;
    } step[] = {{&terms->dense_read_ms, rates->dense_read_share},
                {&terms->dense_row_ms, rates->decode_share},
                {&terms->expert_read_ms, rates->expert_read_share},
                {&terms->expert_row_ms, rates->decode_share},
                {&terms->kv_row_ms, rates->kv_read_share},
                {&terms->link_step_ms, 0},
                {&terms->link_row_ms, 0},
                {&terms->prefill_ms, rates->prefill_share},
                {&terms->prompt_ms, rates->prefill_share},
                {&terms->overhead_step_ms, 0},
                {&terms->overhead_request_ms, 0}};
    double *const first_ms[] = {&terms->first_token_ms, &terms->first_token_fixed_ms, &terms->typical_ms};
    for (size_t i = 0; i < sizeof step / sizeof *step; i++)
        *step[i].ms *= larger(ratio, step[i].least);
    for (size_t i = 0; i < sizeof first_ms / sizeof *first_ms; i++)
        *first_ms[i] *= first_ratio;
}

static bool kin_counts(const struct engine_kin *kin)
{
    return ratio_or_1(kin->time_ratio) != 1 || ratio_or_1(kin->ttft_ratio) != 1;
}

/* A kind of load without rows of its own, or of its kin, has the ratio of served requests. */
struct engine_kin roofline_kin(const struct deployment *deployment, enum fit_load load)
{
    static const struct engine_kin none = {1, 1, 0};
    const enum fit_load kinds[] = {load, FIT_LOAD_SERVED};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (deployment->fits[kinds[i]]) return none;
        if (kin_counts(&deployment->kin[kinds[i]])) return deployment->kin[kinds[i]];
    }
    return none;
}

double roofline_load_ratio(const struct roofline *roofline, enum fit_load load)
{
    const struct deployment *deployment = roofline->deployment;
    const struct engine_coefs *coef = &deployment->engine->coef;
    const double ratios[FIT_LOAD_COUNT] = {1, coef->saturated_time_ratio, coef->static_time_ratio};
    return ratios[load] * deployment_time_ratio(deployment, load) / deployment_time_ratio(deployment, FIT_LOAD_SERVED);
}

void roofline_init_traffic(struct roofline *roofline, const struct deployment *deployment, const struct memory *memory,
                           const struct traffic *traffic)
{
    *roofline = (struct roofline){.deployment = deployment,
                                  .memory = memory,
                                  .traffic = traffic,
                                  .input_tokens = traffic->input.mean,
                                  .output_tokens = traffic->output.mean,
                                  .verified_rows = 1,
                                  .tokens_per_step = 1};
    double held =
        memory_sequences_sharing(deployment, memory, traffic_held_tokens(traffic), traffic->shared_prefix_tokens);
    roofline->kv_limited = held < deployment->max_sequences;
    roofline->max_batch = larger(floor(smaller(held, deployment->max_sequences)), 0);
    struct workload work;
    struct rates rates;
    workload_init(deployment, traffic_context_tokens(traffic), &work);
    rates_init(deployment, &rates);
    init_decode(roofline, &work, &rates);
    init_prefill(roofline, &work, &rates, traffic);
    apply_fits(roofline, &rates);
    if (deployment->draft_tokens > 0) init_draft(roofline, &work, traffic);
}

void roofline_init(struct roofline *roofline, const struct deployment *deployment, const struct memory *memory,
                   double input_tokens, double output_tokens)
{
    struct traffic means = traffic_of_means(input_tokens, larger(output_tokens, 1));
    roofline_init_traffic(roofline, deployment, memory, &means);
    roofline->traffic = NULL;
}

double roofline_work_ms(const struct roofline *roofline, double in_flight)
{
    struct step_breakdown breakdown;
    double tpot_ms = roofline_tpot_ms(roofline, in_flight, &breakdown);
    return (roofline->output_tokens - 1) * (tpot_ms - breakdown.prefill_ms) +
           larger(in_flight, 1) * roofline_prefill_ms(roofline);
}

double roofline_least_load_ratio(const struct roofline *roofline)
{
    double least = 1;
    for (enum fit_load load = 0; load < FIT_LOAD_COUNT; load++)
        least = smaller(least, roofline_load_ratio(roofline, load));
    return least;
}

/* The work of n requests grows by less than n, so that requests over work is highest at the largest batch. */
double roofline_output_bound(const struct roofline *roofline)
{
    if (!(roofline->max_batch >= 1)) return 0;
    return evidence_speedup(roofline) * MS_PER_S * roofline->max_batch * roofline->output_tokens /
           (roofline_work_ms(roofline, roofline->max_batch) * roofline_least_load_ratio(roofline));
}

/* Time of the products of one output token, whatever else goes on beside them; ms. */
static double products_ms(const struct roofline *roofline, double in_flight)
{
    const struct roofline_terms *terms = &roofline->terms;
    double rows = rows_of(roofline, in_flight) * roofline->verified_rows;
    return (terms->dense_row_ms * rows + expert_flop_ms(terms, rows)) / roofline->tokens_per_step;
}

double roofline_compute_share(const struct roofline *roofline, double in_flight, const struct step_breakdown *step)
{
    return smaller(1, (products_ms(roofline, in_flight) + step->prefill_ms) / sum_of(step));
}

enum bound roofline_bound(const struct roofline *roofline, double in_flight, const struct step_breakdown *step)
{
    const struct roofline_terms *terms = &roofline->terms;
    double rows = rows_of(roofline, in_flight) * roofline->verified_rows;
    double read_ms = (terms->dense_read_ms + expert_read_ms(terms, rows)) / roofline->tokens_per_step;
    const double times_ms[BOUND_COUNT] = {
        [BOUND_MEMORY_BANDWIDTH] = read_ms + step->attention_ms + step->draft_ms,
        [BOUND_COMPUTE] = products_ms(roofline, in_flight) + step->prefill_ms,
        [BOUND_COMMUNICATION] = step->communication_ms,
        [BOUND_OVERHEAD] = step->overhead_ms,
    };
    enum bound most = BOUND_MEMORY_BANDWIDTH;
    for (enum bound bound = most; bound < BOUND_COUNT; bound++) {
        if (times_ms[bound] > times_ms[most]) most = bound;
    }
    bool full = roofline->kv_limited && in_flight >= roofline->max_batch;
    return full && most != BOUND_COMPUTE ? BOUND_KV_CAPACITY : most; /* more requests would use the step better */
}
