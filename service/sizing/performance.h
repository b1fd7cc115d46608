/* performance.h owns speed: the time of one engine step, and throughput and latency of one replica under each
 * kind of load. Formulas: docs/estimator.md, "Throughput and latency", "Load, queue and percentiles". */
#pragma once
#include "sizing/memory.h"
#include "sizing/predicted.h"
#include "sizing/traffic.h"

enum bound {
    BOUND_MEMORY_BANDWIDTH,
    BOUND_COMPUTE,
    BOUND_KV_CAPACITY,
    BOUND_COMMUNICATION,
    BOUND_OVERHEAD,
    BOUND_COUNT
};
const char *bound_name(enum bound bound);

/* Times of the terms of one output token, ms: those of a decode step over the tokens that it makes. */
struct step_breakdown {
    double weights_ms; /* dense and expert products */
    double attention_ms;
    double communication_ms;
    double prefill_ms;  /* share of admitting new prompts */
    double overhead_ms; /* per layer, step and request */
    double draft_ms;    /* of drafting tokens */
};

/* Private to roofline.h: what does not depend on the load, ms. A row is one request in a decode step; each of p
 * pipeline stages works on 1/p of the requests at a time. */
struct roofline_terms {
    double dense_read_ms, dense_row_ms;   /* weights once; products per row */
    double expert_read_ms, expert_row_ms; /* all routed experts; products per row when an expert has many */
    double expert_miss_log;               /* ln(1 - experts per token / experts) */
    double expert_half_rows;              /* rows at which the experts' products reach half their rate */
    double norm_exponent;
    double kv_row_ms; /* cache and state of one request at its mean length */
    double link_step_ms, link_row_ms;
    double overhead_step_ms, overhead_request_ms;
    double prefill_ms;                                    /* what one prompt takes from the engine, in all stages */
    double prompt_ms;                                     /* one prompt alone, until all stages are through */
    double first_token_ms, first_token_fixed_ms;          /* of one prompt alone */
    double first_token_offload_ms;                        /* its reads of host memory */
    double first_token_batch_ratio, first_token_exponent; /* its growth with the others in flight */
    double typical_ms, typical_exponent, typical_share;   /* what engines usually take, and how much it counts */
    double pipeline_stages;
};

struct evidence;

/* What one deployment costs per step, precomputed: terms that do not depend on the load. The struct is plain
 * data; make a new one for another deployment or other lengths. */
struct roofline {
    const struct deployment *deployment; /* borrowed */
    const struct memory *memory;         /* borrowed */
    const struct traffic *traffic;      /* borrowed; NULL: all requests have the mean lengths, and nothing is drafted */
    double input_tokens, output_tokens; /* means */
    double max_batch; /* whole requests: min(KV capacity at these lengths, max_sequences); 0 if not one fits */
    bool kv_limited;  /* max_batch is what the KV cache holds, below max_sequences */
    const struct evidence *evidence; /* borrowed: what was measured of it corrects predictions; NULL: nothing */
    struct roofline_terms terms;
    struct roofline_terms draft;           /* of one draft, where tokens are drafted */
    double verified_rows, tokens_per_step; /* of each request in a step: 1 and 1 without drafts */
    double computed_tokens;                /* of the mean prompt: what no cache holds */
};

/* Lengths are means, in tokens; output_tokens ≥ 1. Times are NaN when the GPU's bandwidth or 16-bit peak is not
 * known; another peak that is not known is replaced by the next wider one. */
void roofline_init(struct roofline *roofline, const struct deployment *deployment, const struct memory *memory,
                   double input_tokens, double output_tokens);
/* The same for requests whose lengths spread, share a prefix, or are drafted. */
void roofline_init_traffic(struct roofline *roofline, const struct deployment *deployment, const struct memory *memory,
                           const struct traffic *traffic);

/* TPOT at n requests in flight (n ≥ 1, not above max_batch), with the prefill that n requests cause; ms. */
double roofline_tpot_ms(const struct roofline *roofline, double in_flight,
                        struct step_breakdown *ret_breakdown /* or NULL */);
/* Prefill of one prompt on an engine with n requests in flight: TTFT without waiting; ms. */
double roofline_ttft_ms(const struct roofline *roofline, double in_flight);
/* What one prompt takes from the engine, and the engine's work for one round of n requests: n prompts and
 * output_tokens - 1 decode steps; ms. Never more than ttft + (output_tokens - 1)·tpot. */
double roofline_prefill_ms(const struct roofline *roofline);
double roofline_work_ms(const struct roofline *roofline, double in_flight);
/* The resource that takes most of a step with n requests in flight, whose terms are `step`; KV_CAPACITY when a fuller
 * batch would help. */
enum bound roofline_bound(const struct roofline *roofline, double in_flight, const struct step_breakdown *step);
/* Time to the first token of a prompt of this length over that of the prompts on average (of all their lengths), on an
 * engine without others. */
double roofline_first_token_ratio(const struct roofline *roofline, double input_tokens, double mean_ms);
double roofline_first_token_mean_ms(const struct roofline *roofline);
/* Of the time of one output token, whose terms are `step`, what products fill: 1 when the GPU only computes. */
double roofline_compute_share(const struct roofline *roofline, double in_flight, const struct step_breakdown *step);
/* Prefill alone: prompt tokens per second when nothing else runs. */
double roofline_prefill_tokens_per_second(const struct roofline *roofline);
/* Time under a load over that of the same work at a fixed concurrency. */
double roofline_load_ratio(const struct roofline *roofline, enum fit_load load);
double roofline_least_load_ratio(const struct roofline *roofline); /* ≤ 1, of all loads */
/* What the kin of this GPU change of times under a load; no rows where they do not, or the GPU has fits of its own. */
struct engine_kin roofline_kin(const struct deployment *deployment, enum fit_load load);
/* Upper bound of output tokens/s of the replica whatever the load: cheap, never below the full prediction. */
double roofline_output_bound(const struct roofline *roofline);

enum load { LOAD_SATURATED, LOAD_CONCURRENCY, LOAD_STATIC_BATCH, LOAD_RATE, LOAD_COUNT };
const char *load_name(enum load load);

struct load_point {
    enum load load;
    double concurrency;         /* LOAD_CONCURRENCY: in flight on this replica */
    double batch_size;          /* LOAD_STATIC_BATCH */
    double requests_per_second; /* LOAD_RATE: arrivals at this replica */
    double arrival_cv2;         /* squared coefficient of variation of arrivals; 1 = Poisson */
    double percentile;          /* of ttft and tpot at LOAD_RATE: 50, 95, 99; 0 = mean */
    bool all_percentiles;       /* at LOAD_RATE: fill in performance.percentiles */
};

enum percentile { PERCENTILE_50, PERCENTILE_95, PERCENTILE_99, PERCENTILE_COUNT };
extern const char *const percentile_names[PERCENTILE_COUNT];

struct latencies {
    struct predicted ttft_ms, tpot_ms, e2e_ms;
};

struct performance {
    struct predicted requests_per_second, output_tokens_per_second, total_tokens_per_second;
    struct predicted prefill_tokens_per_second;
    struct predicted ttft_ms, tpot_ms, e2e_ms;
    double in_flight;         /* mean requests in flight */
    double waiting_ms;        /* mean wait before the prefill starts */
    double utilization_ratio; /* arrivals / capacity at LOAD_RATE; 1 when saturated */
    bool stable;              /* false: arrivals exceed what the replica can serve */
    enum bound bound_by;
    struct step_breakdown breakdown;
    double watts, tdp_watts; /* mean draw of all its GPUs, and what they may draw */
    bool has_percentiles;
    struct latencies percentiles[PERCENTILE_COUNT];
    enum basis basis;
    const struct engine_fit *fit; /* rows of just this model, GPU, format and kind of load; NULL: none */
    struct engine_kin kin;        /* else what other GPUs of the architecture changed; no rows: nothing */
};

/* One replica under one load. Allocates nothing. */
void performance_predict(const struct roofline *roofline, const struct load_point *load,
                         struct performance *ret_performance);

/* The formula's latencies of a request that has a replica for itself: those of LOAD_CONCURRENCY at 1 without what was
 * measured, at less cost. */
void performance_alone(const struct roofline *roofline, struct latencies *ret_latencies);

/* Mean power, and output tokens for each joule. */
struct predicted performance_power_watts(const struct performance *performance);
struct predicted performance_tokens_per_joule(const struct performance *performance);

/* Service-level objective; NaN = no limit. */
struct slo {
    double ttft_ms, tpot_ms, e2e_ms;
    double percentile;            /* 95 */
    double min_probability_ratio; /* 0.9: of meeting the limits, from the predictions' intervals */
};
bool slo_limits(const struct slo *slo);
/* P(all limits met) under the predicted distributions. 1 without limits when stable, 0 when not stable. */
double performance_slo_probability(const struct performance *performance, const struct slo *slo);

/* Largest arrival rate of one replica at which P(SLO met) ≥ probability; 0 if none. Bisection on a work count. */
double performance_capacity_rps(const struct roofline *roofline, const struct slo *slo, double arrival_cv2,
                                double probability);
