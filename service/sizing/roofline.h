/* roofline.h owns what the files of the step time model share: counts of a model, rates of a GPU, and their terms.
 * Private to workload.c, rates.c, step.c, prompt.c and roofline.c; training reads the counts of a model. */
#pragma once
#include "sizing/performance.h"

#include <math.h>

/* What one step reads and computes, per replica: counts from the model, before any GPU. */
struct workload {
    double layers, moe_layers, linear_layers, latent_layers, hidden;
    double dense_parameters, expert_parameters; /* read by a step; the input embedding is looked up, not read */
    double dense_active, expert_active;         /* computed per token */
    double expert_share;                        /* experts per token / experts; 0 without */
    double attention_flops_per_token2;          /* of all layers, per squared prompt token */
    double index_flops_per_token2;              /* of those that choose what attention reads; 0 without */
    double attended_tokens;                 /* that one token's attention reads at most; INFINITY without a choice */
    double scores_per_token2;               /* elements that attention makes on the way, of all layers and heads */
    double kv_read_bytes, state_read_bytes; /* of one request in one decode step, before sharding */
};

/* What a GPU of the replica reaches, efficiencies included, of all its tensor-parallel ranks together. */
struct rates {
    double memory_bytes_per_ms; /* the others are of this */
    double dense_bytes_per_ms, expert_bytes_per_ms, kv_bytes_per_ms;
    double read_bytes_per_ms; /* of weights, by the multiprocessors; INFINITY: no such limit */
    double decode_flops_per_ms, prefill_flops_per_ms, prefill_attention_flops_per_ms;
    double attention_half_tokens; /* of a prompt at which attention reaches half of its rate */
    /* Shares of what the hardware can do: nothing that rows say makes one more than 1. */
    double dense_read_share, expert_read_share, kv_read_share, decode_share, prefill_share;
    double overhead_ratio, launch_ratio, allreduce_ratio;
    double link_bytes_per_ms;
};

#define US_PER_MS 1e3

static inline double larger(double a, double b)
{
    return a > b ? a : b;
}

static inline double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* (a^p + b^p)^(1/p) for a ≥ 0, b ≥ 0. A bound takes ten of them: exp2 and log2 take two thirds of the time of pow. */
static inline double norm(double a, double b, double exponent)
{
    if (!(a > 0) || !(b > 0)) return a + b;
    double most = larger(a, b), least = smaller(a, b);
    return most * exp2(log2(1 + exp2(exponent * log2(least / most))) / exponent);
}

/* What changes nothing where it is 0. */
static inline double ratio_or_1(double ratio)
{
    return ratio > 0 ? ratio : 1;
}

/* `context`: tokens that a request of a decode step holds. */
void workload_init(const struct deployment *deployment, double context, struct workload *ret_work);
/* A head for drafts is one layer of the model (of the kind that most layers are) and the model's own output head. */
struct workload workload_head(const struct model *model, const struct workload *work);

void rates_init(const struct deployment *deployment, struct rates *ret_rates);
/* Whether engines divide the requests over the ranks: under expert parallelism with MLA, whose latent each rank would
 * have to hold whole otherwise. */
static inline bool divides_requests(const struct deployment *deployment)
{
    return deployment->model->attention_kind == ATTENTION_MLA && deployment->expert_parallel > 1;
}
/* What all layers send for one row. */
double link_row_ms(const struct deployment *deployment, const struct workload *work, const struct rates *rates);
/* Reading of so much host memory by one rank; the others read theirs meanwhile. */
double host_ms(const struct deployment *deployment, double bytes);
/* Reading of the weights in host memory, once. */
double offload_step_ms(const struct roofline *roofline);

/* The terms of a decode step, then those of prompts, which read the weights too. */
void init_decode(struct roofline *roofline, const struct workload *work, const struct rates *rates);
void init_prefill(struct roofline *roofline, const struct workload *work, const struct rates *rates,
                  const struct traffic *traffic);

double sum_of(const struct step_breakdown *step);
double rows_of(const struct roofline *roofline, double in_flight); /* of one stage, at a time */
double expert_read_ms(const struct roofline_terms *terms, double rows);
double expert_flop_ms(const struct roofline_terms *terms, double rows);
