/* prompt.c owns the time of prompts: what one takes from the engine, alone and among others, and the first token. */
#include "sizing/roofline.h"

/* What a prompt takes from the engine, with `rows` of its products and of those that fill tiles. Engines that do not
 * fuse attention write and read all scores in 32 bits, some times over. */
static double work_ms(const struct deployment *deployment, const struct workload *work, const struct rates *rates,
                      struct prompt_work prompt, double rows)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    double attended2 = smaller(prompt.tokens_squared, 2 * work->attended_tokens * prompt.tokens);
    double attention_flops =
        work->attention_flops_per_token2 * (attended2 + rates->attention_half_tokens * prompt.tokens) +
        work->index_flops_per_token2 * prompt.tokens_squared;
    double score_bytes = coef->score_passes * sizeof(float) * work->scores_per_token2 * prompt.tokens_squared;
    double link_ms = deployment->tensor_parallel > 1 ? prompt.tokens * link_row_ms(deployment, work, rates) : 0;
    return 2 * (work->dense_active + work->expert_active / coef->prefill_expert_ratio) * rows /
               rates->prefill_flops_per_ms +
           attention_flops / rates->prefill_attention_flops_per_ms + score_bytes / rates->memory_bytes_per_ms +
           link_ms + coef->prefill_layer_us / US_PER_MS * work->layers;
}

/* Rows that a chunk computes beside its own, to fill tiles; Apple's are small. */
static double tile_tokens(const struct deployment *deployment)
{
    return deployment->gpu->vendor == VENDOR_APPLE ? 0 : deployment->engine->coef.prefill_tile_tokens;
}

/* Among others, chunks of prompts are full. */
static double busy_ms(const struct deployment *deployment, const struct workload *work, const struct rates *rates,
                      struct prompt_work prompt)
{
    double fill = 1 + tile_tokens(deployment) / deployment->max_batched_tokens;
    return work_ms(deployment, work, rates, prompt, prompt.tokens * fill);
}

/* A prompt on an engine without others, until all stages are through: of several chunks, a stage works on one while the
 * others work on theirs. Each chunk reads all weights and has the overhead of a step, where the engine tells them
 * apart; else the prompt does so once. */
static double alone_ms(const struct roofline *roofline, const struct workload *work, const struct rates *rates,
                       struct prompt_work prompt)
{
    const struct deployment *deployment = roofline->deployment;
    const struct engine_coefs *coef = &deployment->engine->coef;
    const struct roofline_terms *terms = &roofline->terms;
    bool apart = coef->prefill_tile_tokens > 0;
    double chunks = larger(ceil(prompt.tokens / deployment->max_batched_tokens), 1), passes = apart ? chunks : 1;
    double stages = terms->pipeline_stages, overlap_ratio = 1 - (chunks + stages - 1) / (chunks * stages);
    double rows = prompt.tokens + tile_tokens(deployment) * passes;
    double read_ms = terms->dense_read_ms + expert_read_ms(terms, prompt.tokens / passes);
    double ms = norm(work_ms(deployment, work, rates, prompt, rows), read_ms * passes, terms->norm_exponent);
    if (!apart) return (ms + terms->overhead_step_ms) * (1 - overlap_ratio);
    ms = norm(ms, terms->overhead_step_ms * passes, terms->norm_exponent);
    return ms * (1 - overlap_ratio * coef->stage_overlap_ratio);
}

static double first_token_ms(const struct roofline *roofline, const struct workload *work, const struct rates *rates,
                             struct prompt_work prompt)
{
    const struct deployment *deployment = roofline->deployment;
    const struct engine_coefs *coef = &deployment->engine->coef;
    if (!(coef->ttft_engine_ratio > 0)) return alone_ms(roofline, work, rates, prompt);
    double launch_ms = coef->ttft_layer_ms * work->layers + coef->ttft_moe_layer_ms * work->moe_layers +
                       coef->ttft_linear_layer_ms * work->linear_layers;
    return coef->ttft_engine_ratio * norm(coef->ttft_compute_ratio * busy_ms(deployment, work, rates, prompt),
                                          launch_ms * rates->launch_ratio, coef->ttft_norm_exponent);
}

/* The cached part of a prompt, but for what all prompts share, comes from host memory where the engine keeps it there.
 */
static double cache_load_ms(const struct roofline *roofline, double input_tokens)
{
    const struct memory *memory = roofline->memory;
    double shared = roofline->traffic ? roofline->traffic->shared_prefix_tokens : 0;
    double tokens = larger(input_tokens - roofline->computed_tokens - shared, 0);
    return memory->kv_host_tokens > 0 ? host_ms(roofline->deployment, tokens * memory->kv_bytes_per_token) : 0;
}

/* Weights in host memory are read for each chunk of a prompt, whatever engines usually take. */
static double first_token_offload_ms(const struct roofline *roofline, double input_tokens)
{
    const struct deployment *deployment = roofline->deployment;
    double chunks = ceil(roofline->computed_tokens / deployment->max_batched_tokens);
    bool counted = !(deployment->engine->coef.ttft_engine_ratio > 0); /* steps of the prompt alone have it */
    return cache_load_ms(roofline, input_tokens) + (counted ? 0 : chunks * offload_step_ms(roofline));
}

static double typical_ms(const struct roofline *roofline)
{
    const struct engine_coefs *coef = &roofline->deployment->engine->coef;
    return coef->ttft_typical_ms * pow(roofline->computed_tokens / 1000, coef->ttft_typical_input_exponent) *
           pow(roofline->output_tokens / 1000, coef->ttft_typical_output_exponent);
}

void init_prefill(struct roofline *roofline, const struct workload *work, const struct rates *rates,
                  const struct traffic *traffic)
{
    const struct deployment *deployment = roofline->deployment;
    const struct engine_coefs *coef = &deployment->engine->coef;
    struct roofline_terms *terms = &roofline->terms;
    double block_tokens = roofline->memory->kv_block_tokens;
    struct prompt_work prompt = traffic_prompt_work(traffic, block_tokens);
    terms->prefill_ms = busy_ms(deployment, work, rates, prompt);
    terms->prompt_ms = alone_ms(roofline, work, rates, prompt);
    roofline->computed_tokens = prompt.tokens;
    for (size_t i = 0; i < traffic->input.count; i++) {
        const struct length_class *class = &traffic->input.classes[i];
        struct prompt_work one = traffic_prompt_work_of(traffic, class->tokens, block_tokens);
        terms->first_token_ms += class->share * first_token_ms(roofline, work, rates, one);
    }
    terms->first_token_fixed_ms = coef->ttft_fixed_ms;
    terms->first_token_offload_ms = first_token_offload_ms(roofline, roofline->input_tokens);
    terms->first_token_exponent = coef->ttft_batch_exponent;
    terms->first_token_batch_ratio =
        coef->ttft_batch_ratio * pow(roofline->output_tokens / 1000, -coef->ttft_output_exponent);
    terms->typical_ms = typical_ms(roofline);
    terms->typical_exponent = coef->ttft_typical_batch_exponent;
    terms->typical_share = coef->ttft_typical_share;
}

/* What rows of all engines usually show, by its share. */
static double with_typical_ms(const struct roofline_terms *terms, double first_ms, double in_flight)
{
    double share = terms->typical_share;
    if (!(share > 0)) return first_ms;
    return pow(first_ms, 1 - share) * pow(terms->typical_ms * pow(in_flight, terms->typical_exponent), share);
}

/* What rows of this model on this GPU showed is true of all lengths: without it. */
static double first_token_alone_ms(const struct roofline *roofline, double input_tokens)
{
    const struct deployment *deployment = roofline->deployment;
    struct roofline one = *roofline;
    struct workload work;
    struct rates rates;
    workload_init(deployment, input_tokens, &work);
    rates_init(deployment, &rates);
    init_decode(&one, &work, &rates);
    struct prompt_work prompt =
        traffic_prompt_work_of(roofline->traffic, input_tokens, roofline->memory->kv_block_tokens);
    one.computed_tokens = prompt.tokens;
    one.terms.typical_ms = typical_ms(&one);
    one.terms.typical_share = roofline->terms.typical_share;
    double first_ms = first_token_ms(&one, &work, &rates, prompt) + deployment->engine->coef.ttft_fixed_ms;
    return with_typical_ms(&one.terms, first_ms, 1) + first_token_offload_ms(&one, input_tokens);
}

double roofline_first_token_mean_ms(const struct roofline *roofline)
{
    const struct lengths *input = &roofline->traffic->input;
    double mean_ms = 0;
    for (size_t i = 0; i < input->count; i++)
        mean_ms += input->classes[i].share * first_token_alone_ms(roofline, input->classes[i].tokens);
    return mean_ms;
}

double roofline_first_token_ratio(const struct roofline *roofline, double input_tokens, double mean_ms)
{
    return first_token_alone_ms(roofline, input_tokens) / mean_ms;
}

double roofline_prefill_ms(const struct roofline *roofline)
{
    return roofline->terms.prefill_ms / roofline->terms.pipeline_stages;
}

/* Never faster than the engine's work allows: while a request decodes, each of the others is prefilled once. */
double roofline_ttft_ms(const struct roofline *roofline, double in_flight)
{
    const struct roofline_terms *terms = &roofline->terms;
    double others = larger(in_flight - 1, 0);
    double growth = others > 0 ? 1 + terms->first_token_batch_ratio * pow(others, terms->first_token_exponent) : 1;
    double among_ms = roofline_prefill_ms(roofline) * (1 + others / roofline->output_tokens);
    double first_ms = terms->first_token_ms * growth + terms->first_token_fixed_ms;
    first_ms = with_typical_ms(terms, first_ms, others + 1) + terms->first_token_offload_ms;
    return larger(first_ms, larger(terms->prefill_ms, among_ms));
}

double roofline_prefill_tokens_per_second(const struct roofline *roofline)
{
    return MS_PER_S * roofline->input_tokens / roofline->terms.prompt_ms;
}
