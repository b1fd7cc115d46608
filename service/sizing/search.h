/* search.h owns the search of the best fleets: every layout gets a cheap bound, and only layouts whose bound can
 * still win are predicted in full (best first). Private to sizing. */
#pragma once
#include "sizing/demand.h"
#include "sizing/recommend.h"

enum { SEARCH_DTYPES_MAX = 32, PIPELINE_MAX = 4 };

/* What relaxations minimise instead of the objective. */
enum least { LEAST_BY_OBJECTIVE, LEAST_GPUS, LEAST_USD_PER_HOUR, LEAST_WATTS };

/* The request in the units of the search: names resolved, money exact, limits absent = largest value. */
struct question {
    const struct snapshot *snapshot;
    const struct model *model;
    const struct engine_profile *engine;
    struct measurements measurements; /* of the model */
    struct demand demand;
    struct slo slo;
    bool has_slo;
    enum objective objective;
    enum least least;
    enum dtype weight_dtypes[SEARCH_DTYPES_MAX];
    size_t weight_dtype_count;
    enum dtype kv_dtype; /* DTYPE_UNKNOWN = auto */
    uint32_t max_model_len_tokens;
    double gpu_memory_utilization_ratio;   /* NaN = profile's */
    struct deployment extras;              /* what every replica has beside the model */
    double weights_bytes;                  /* of the checkpoint; NaN unknown */
    double probability, deviate;           /* asked of meeting demand and limits; deviate of the normal */
    usd_t budget_usd, budget_usd_per_hour; /* USD_UNKNOWN = none */
    struct cost_terms terms;
    uint32_t purchases;                            /* bits of enum purchase */
    const bool *gpu_allowed;                       /* per gpu */
    const bool *offer_allowed;                     /* per offer: purchase, provider, region, date */
    const usd_t *offer_usd_per_hour;               /* per offer, contract applied */
    const struct calibration *const *calibrations; /* per gpu, of owned ones; NULL: none */
    const uint32_t *inventory, *quota;             /* per gpu; quota UINT32_MAX = none */
    uint32_t max_gpus;
    double max_power_watts; /* INFINITY = none */
    uint32_t spare_replicas;
    date_t as_of, oldest_price; /* oldest_price DATE_UNKNOWN = any */
    enum basis worst_basis;
    size_t options_max;
    const struct gpu *explained; /* explain_gpu; NULL = none */
};

/* What the search found. Everything lives in the arena. */
struct search_result {
    struct option *options; /* best first; at most options_max */
    size_t option_count;
    struct rejection *rejections; /* one per GPU that is no option; indexed by GPU, reason REJECT_NONE = option */
    size_t evaluated;             /* layouts predicted in full: a work count */
};

enum status search_run(const struct question *question, struct arena *arena,
                       struct search_result *ret_result) MUST_CHECK;
