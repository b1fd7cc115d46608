/* step.c owns the time of one decode step: reading and products of weights, the cache, links, and overheads. */
#include "sizing/roofline.h"

/* Bytes of a dense weight: the fit holds the attention and shared experts of 4-bit MoE checkpoints at 8 bits. */
static double dense_weight_bytes(const struct deployment *deployment, bool moe)
{
    double bytes = dtype_bits(deployment->weight_dtype) / 8;
    return moe && dtype_plain_bits(deployment->weight_dtype) == 16 ? larger(bytes, 1) : bytes;
}

/* Of a request's cache, what one rank reads: KV heads are replicated when there are more ranks, MLA's latent is whole
 * on every rank. */
static double kv_share(const struct deployment *deployment)
{
    double ranks = deployment->tensor_parallel, heads = deployment->model->kv_heads;
    if (deployment->model->attention_kind == ATTENTION_MLA) return divides_requests(deployment) ? 1 / ranks : 1;
    return heads > 0 ? ceil(heads / ranks) / heads : 1 / ranks;
}

/* At the rate of the memory or of the multiprocessors. */
static double read_ms(double bytes, double memory_bytes_per_ms, const struct rates *rates,
                      const struct engine_coefs *coef)
{
    return norm(bytes / memory_bytes_per_ms, bytes / rates->read_bytes_per_ms, coef->norm_exponent);
}

static void init_experts(struct roofline *roofline, const struct workload *work, const struct rates *rates)
{
    const struct deployment *deployment = roofline->deployment;
    const struct engine_coefs *coef = &deployment->engine->coef;
    struct roofline_terms *terms = &roofline->terms;
    double imbalance = deployment->expert_parallel > 1 ? coef->expert_parallel_ratio : 1;
    double bytes = imbalance * work->expert_parameters * dtype_bits(deployment->weight_dtype) / 8;
    terms->expert_read_ms = read_ms(bytes, rates->expert_bytes_per_ms, rates, coef);
    terms->expert_row_ms =
        imbalance * 2 * work->expert_active / (rates->decode_flops_per_ms * coef->expert_compute_ratio);
    terms->expert_miss_log = log1p(-work->expert_share);
    terms->expert_half_rows = coef->expert_half_rows / work->expert_share; /* of all rows of the step */
}

static void init_links(struct roofline *roofline, const struct workload *work, const struct rates *rates)
{
    const struct deployment *deployment = roofline->deployment;
    const struct engine_coefs *coef = &deployment->engine->coef;
    struct roofline_terms *terms = &roofline->terms;
    double ranks = deployment->tensor_parallel, stages = deployment->pipeline_parallel;
    double allreduce_ms = coef->allreduce_us * rates->allreduce_ratio / US_PER_MS;
    if (ranks > 1) {
        terms->link_step_ms = 2 * work->layers * allreduce_ms * log2(ranks);
        terms->link_row_ms = link_row_ms(deployment, work, rates);
    }
    if (stages > 1) { /* each boundary passes the hidden states on; a stage waits as long as for an all-reduce of two */
        terms->link_step_ms += (stages - 1) * allreduce_ms;
        terms->link_row_ms += (stages - 1) * work->hidden * 2 / rates->link_bytes_per_ms;
    }
}

void init_decode(struct roofline *roofline, const struct workload *work, const struct rates *rates)
{
    const struct deployment *deployment = roofline->deployment;
    const struct engine_coefs *coef = &deployment->engine->coef;
    struct roofline_terms *terms = &roofline->terms;
    bool moe = work->expert_share > 0;
    double stages = deployment->pipeline_parallel;
    double dense_bytes = work->dense_parameters * dense_weight_bytes(deployment, moe);
    double layers_us = coef->layer_us * work->layers + coef->moe_layer_us * work->moe_layers +
                       coef->linear_layer_us * work->linear_layers + coef->latent_layer_us * work->latent_layers;
    *terms = (struct roofline_terms){
        .pipeline_stages = stages,
        .norm_exponent = coef->norm_exponent,
        .dense_read_ms = read_ms(dense_bytes, rates->dense_bytes_per_ms, rates, coef),
        .dense_row_ms = 2 * work->dense_active / rates->decode_flops_per_ms,
        .kv_row_ms = work->kv_read_bytes * kv_share(deployment) / rates->kv_bytes_per_ms +
                     work->state_read_bytes / (rates->kv_bytes_per_ms * deployment->tensor_parallel),
        .overhead_step_ms = (coef->step_ms * stages + layers_us / US_PER_MS) * rates->overhead_ratio +
                            stages * offload_step_ms(roofline),
        .overhead_request_ms = coef->request_ms,
    };
    if (moe) init_experts(roofline, work, rates);
    init_links(roofline, work, rates);
}

/* Each of p stages works on 1/p of the requests while the others work on theirs: a token passes them all, so that its
 * time is that of the whole model with 1/p of the rows. */
double rows_of(const struct roofline *roofline, double in_flight)
{
    return larger(in_flight / roofline->terms.pipeline_stages, 1);
}

double expert_read_ms(const struct roofline_terms *terms, double rows)
{
    return terms->expert_read_ms > 0 ? terms->expert_read_ms * -expm1(rows * terms->expert_miss_log) : 0;
}

double expert_flop_ms(const struct roofline_terms *terms, double rows)
{
    return terms->expert_row_ms * (rows + terms->expert_half_rows);
}

/* Terms of one step in which each of `requests` has some rows to compute. */
static struct step_breakdown step_of(const struct roofline_terms *terms, double requests, double rows)
{
    return (struct step_breakdown){
        .weights_ms = norm(terms->dense_read_ms, terms->dense_row_ms * rows, terms->norm_exponent) +
                      norm(expert_read_ms(terms, rows), expert_flop_ms(terms, rows), terms->norm_exponent),
        .attention_ms = terms->kv_row_ms * requests,
        .communication_ms = terms->link_step_ms + terms->link_row_ms * rows,
        .overhead_ms = terms->overhead_step_ms + terms->overhead_request_ms * requests,
    };
}

double sum_of(const struct step_breakdown *step)
{
    return step->weights_ms + step->attention_ms + step->communication_ms + step->prefill_ms + step->overhead_ms +
           step->draft_ms;
}

double roofline_tpot_ms(const struct roofline *roofline, double in_flight, struct step_breakdown *ret_breakdown)
{
    double requests = rows_of(roofline, in_flight), tokens = roofline->tokens_per_step;
    struct step_breakdown breakdown = step_of(&roofline->terms, requests, requests * roofline->verified_rows);
    if (roofline->verified_rows > 1) {
        struct step_breakdown draft = step_of(&roofline->draft, requests, requests);
        breakdown.weights_ms /= tokens;
        breakdown.attention_ms /= tokens;
        breakdown.communication_ms /= tokens;
        breakdown.overhead_ms /= tokens;
        breakdown.draft_ms = (roofline->verified_rows - 1) * sum_of(&draft) / tokens;
    }
    breakdown.prefill_ms = larger(in_flight - 1, 0) / roofline->output_tokens * roofline_prefill_ms(roofline);
    if (ret_breakdown) *ret_breakdown = breakdown;
    return sum_of(&breakdown);
}
