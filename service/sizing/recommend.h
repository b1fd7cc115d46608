/* recommend.h owns the main question: which GPUs, how many, at what cost and how fast, under every constraint.
 * Semantics: docs/recommend.md. Pure: reads the snapshot, allocates from the arena, does no I/O. */
#pragma once
#include "catalog/snapshot.h"
#include "catalog/value.h"
#include "sizing/cost.h"
#include "sizing/evidence.h"

enum objective {
    OBJECTIVE_COST,
    OBJECTIVE_THROUGHPUT,
    OBJECTIVE_COST_PER_THROUGHPUT,
    OBJECTIVE_LATENCY,
    OBJECTIVE_ENERGY
};
enum estimator { ESTIMATOR_ROOFLINE, ESTIMATOR_ARTICLE };
extern const char *const objective_names[], *const estimator_names[], *const purchase_names[], *const basis_names[];

/* As decoded: NaN, VALUE_ABSENT, NULL or count 0 where the caller said nothing. */
struct recommend_request {
    struct model_ref model;
    /* serving */
    const char *engine, *engine_version, *calibration;
    struct text_list weight_dtypes; /* names; "native", "any" */
    const char *kv_dtype;
    int64_t max_model_len_tokens;
    double gpu_memory_utilization_ratio;
    struct memory_extras extras;
    /* workload */
    double input_tokens, output_tokens;
    struct length_histogram input_tokens_histogram, output_tokens_histogram;
    double shared_prefix_tokens, prefix_cache_hit_ratio, draft_acceptance_ratio;
    double requests_per_second, concurrency, output_tokens_per_second, throughput_tokens_per_second;
    double users, requests_per_user_hour;
    double total_tokens, deadline_hours;
    double arrival_cv2;
    /* slo */
    double ttft_ms, tpot_ms, e2e_ms, percentile, min_probability_ratio;
    /* constraints */
    double budget_usd, budget_usd_per_hour, duration_hours, hours_per_day;
    uint32_t purchases; /* bits of enum purchase */
    struct text_list providers, exclude_providers, regions, gpus, exclude_gpus;
    int64_t max_gpus;
    double max_power_watts;
    struct count_map inventory, quota;
    int64_t spare_replicas, max_price_age_days, min_weight_bits;
    int64_t min_basis; /* enum basis */
    double host_cost_ratio, residual_value_ratio, electricity_usd_per_kwh;
    struct price_adjustments price_adjustments;
    int64_t objective, estimator, alternatives;
    const char *explain_gpu;
    date_t as_of;
};

/* Why a GPU is not recommended, in the order in which a candidate gets through them: the last one reached is told. */
enum reject_reason {
    REJECT_NONE,
    REJECT_EXCLUDED,      /* by gpus, exclude_gpus */
    REJECT_UNSUPPORTED,   /* the engine does not run there, or not in that dtype */
    REJECT_UNKNOWN_FACTS, /* memory, bandwidth or peak not known */
    REJECT_NO_PRICE,      /* nothing to rent or buy under the constraints */
    REJECT_MEMORY,        /* no layout holds weights and one request */
    REJECT_SLO,           /* no load meets the latency limits */
    REJECT_MAX_GPUS,
    REJECT_QUOTA,
    REJECT_POWER,
    REJECT_BUDGET,
    REJECT_BUDGET_PER_HOUR,
    REJECT_PRICE_AGE, /* shown only as an alternative: max_price_age_days */
    REJECT_BASIS,     /* shown only as an alternative: min_basis */
    REJECT_OUTRANKED, /* cannot beat the options shown */
    REJECT_COUNT
};
const char *reject_reason_name(enum reject_reason reason);

struct option {
    struct deployment deployment;
    struct memory memory;
    uint32_t gpu;              /* index into snapshot.gpus */
    const struct offer *offer; /* NULL if owned */
    enum purchase purchase;
    uint32_t instance_count, gpus_per_instance, gpu_count, gpus_used, gpus_idle;
    uint32_t replicas, spare_replicas, replicas_at_half_probability;
    double kv_needed_bytes;         /* per fullest rank at the load */
    struct performance performance; /* of the fleet, at the demand */
    double meets_slo_probability_ratio;
    struct predicted capacity_requests_per_second, capacity_output_tokens_per_second; /* fleet, at the SLO */
    const struct provenance *provenance; /* of performance and capacity; NULL: no measurement is near */
    double safe_requests_per_second; /* what the fleet carries with the asked probability: beyond it one replica more */
    struct cost cost;
    double power_watts;
    bool quality_unverified;        /* not the published format: its loss of quality is not known here */
    enum reject_reason excluded_by; /* min_basis, max_price_age_days: shown only as an alternative */
    const char *explanation, *launch_command, *verify_command;
    uint32_t rank; /* 1 = recommended or best */
};

struct rejection {
    uint32_t gpu;
    enum reject_reason reason;
    double needed, available; /* in `unit`; NaN when the reason has no figures */
    const char *unit;
    const char *detail; /* one sentence */
};

struct relaxation {         /* the smallest change of one constraint that makes an option feasible */
    const char *constraint; /* field name */
    double from, to;        /* NaN for a list */
    double relative_change; /* |to - from| / from; NaN for a list */
    const char *detail;     /* one sentence: the option that it opens */
    const struct option *option;
};

struct recommendation {
    const struct recommend_request *request; /* with all defaults written in */
    struct option *options;                  /* by rank; options[0] is recommended if has_recommended */
    size_t option_count;
    bool has_recommended;
    struct rejection *rejected;
    size_t rejected_count;
    struct relaxation *relaxations;
    size_t relaxation_count;
    uint32_t *pareto; /* ranks */
    size_t pareto_count;
    const char *const *warnings, *const *assumptions;
    size_t warning_count, assumption_count;
    const char *gpu_explanation; /* of explain_gpu, or NULL */
};

/* What the layer above has resolved already. */
struct recommend_context {
    const struct snapshot *snapshot;
    const struct model *model;
    const struct engine_profile *engine;
    enum dtype kv_dtype;      /* DTYPE_UNKNOWN = auto */
    double weights_bytes;     /* of the checkpoint when the caller knows it; else NaN */
    struct deployment extras; /* LoRA slots, draft, offload; the rest is not read */
    bool model_assumed;       /* only the size was given */
    date_t today;             /* where as_of is not given */
};

/* Answers. Bad fields are problems; "nothing fits" is an answer. `request` gets its defaults. Lengths and
 * max_model_len_tokens are resolved before. */
enum status recommend(const struct recommend_context *context, struct recommend_request *request, struct arena *arena,
                      struct problems *problems, struct recommendation *ret_answer) MUST_CHECK;

/* Adds a problem for every bad field that recommend would refuse, and computes nothing. */
enum status recommend_check(const struct recommend_context *context, struct recommend_request *request,
                            struct arena *arena, struct problems *problems) MUST_CHECK;
