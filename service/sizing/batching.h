/* batching.h owns batches: how many equal requests an engine should hold at once, and how requests of different lengths
 * are packed into batches that its memory holds. Formulas: docs/estimator.md, "Batches". */
#pragma once
#include "catalog/value.h"
#include "sizing/performance.h"
#include "sizing/stage.h"

/* --- equal requests ---------------------------------------------------------------------------------------------- */

enum batch_bound {
    BATCH_BOUND_KV_MEMORY,     /* the pool holds no more */
    BATCH_BOUND_MAX_SEQUENCES, /* the engine takes no more */
    BATCH_BOUND_LATENCY,       /* more would miss a limit */
    BATCH_BOUND_THROUGHPUT,    /* more would make no more tokens */
    BATCH_BOUND_COUNT
};
const char *batch_bound_name(enum batch_bound bound);

struct batch_point {
    double batch_size; /* requests in flight */
    struct performance performance;
    double meets_slo_probability_ratio;
    bool meets_slo;
};

enum { BATCH_POINTS_MAX = 32 };
struct batch_curve {
    struct batch_point points[BATCH_POINTS_MAX]; /* by batch size: 1, 2, 4, 8, …, the largest, and the best */
    size_t count;
    double largest_by_kv, largest; /* what the pool holds; and with max_sequences */
    enum batch_bound largest_bound;
    size_t best; /* of the points: most output tokens/s within the limits; count if none meets them */
    enum batch_bound best_bound;
};
/* Empty where not one request fits, or the speed is not known. */
void batch_curve_make(const struct roofline *roofline, const struct slo *slo, struct batch_curve *ret_curve);

/* --- requests of different lengths ------------------------------------------------------------------------------- */

enum batch_kind {
    BATCH_PAGED,  /* each sequence takes memory at its own length */
    BATCH_PADDED, /* each takes what the longest prompt and the longest answer of its batch take together */
    BATCH_KIND_COUNT
};
extern const char *const batch_kind_names[BATCH_KIND_COUNT + 1]; /* NULL-terminated */

enum batch_order {
    BATCH_GREEDY_ASCENDING,    /* the article's: by length, a batch is closed when the next does not fit */
    BATCH_BEST_FIT_DECREASING, /* the longest first, each into the batch that it fits best */
    BATCH_ORDER_COUNT
};
const char *batch_order_name(enum batch_order order);

/* What a batch must keep to. */
struct batch_limits {
    const struct deployment *deployment; /* borrowed */
    struct kv_layout layout;
    double kv_units;
};
struct batch_limits batch_limits_make(const struct deployment *deployment, const struct memory *memory);

enum batch_fit { BATCH_FITS, BATCH_TOO_LONG, BATCH_NO_ROOM, BATCH_FIT_COUNT };
const char *batch_fit_name(enum batch_fit fit);
/* Whether this request can be in any batch: max_model_len_tokens, and the pool. */
enum batch_fit batch_judge(const struct batch_limits *limits, const struct request_lengths *request);

struct batch {
    double kv_units;                    /* that its requests take */
    double input_tokens, output_tokens; /* of all its requests */
    double longest_input_tokens, longest_output_tokens;
    uint32_t requests;
    uint32_t left, right, level; /* private: of the tree of batches with room */
};

struct batch_plan {
    struct batch *batches; /* 1 to count */
    size_t count;
    uint32_t *batch_of; /* of each request; 0: it fits no batch */
};
/* Room for plans of up to `requests`, in the arena; plans follow each other in it. False: out of memory. */
bool batch_plan_init(struct batch_plan *plan, struct arena *arena, size_t requests);

/* The requests that fit, the shortest first; equal ones in their order. NULL: out of memory. */
uint32_t *batch_sort(const struct request_list *requests, const struct batch_limits *limits, struct arena *arena,
                     size_t *ret_count);
/* Packs the sorted requests: O(n log n). Best fit never makes more batches than greedy (docs/estimator.md). */
void batch_pack(const struct request_list *requests, const uint32_t *sorted, size_t count,
                const struct batch_limits *limits, enum batch_kind kind, enum batch_order order,
                struct batch_plan *plan);

struct batch_totals {
    double requests, largest_requests;
    double kv_utilization_ratio; /* of the pool, over all batches */
    double tokens, padded_tokens;
    double padding_ratio; /* of the padded tokens, those that are padding */
    struct predicted seconds;
};
/* One batch after the other on one of `replicas` replicas. */
void batch_plan_total(const struct batch_plan *plan, const struct batch_limits *limits, const struct memory *memory,
                      enum batch_kind kind, uint32_t replicas, struct batch_totals *ret_totals);

/* --- the article's DynamicBatchManager --------------------------------------------------------------------------- */

enum { ARTICLE_HIDDEN_SIZE = 4096 };
/* calculate_optimal_batch_size; sizes in the article's GB, which are 2^30. */
double article_batch_size(double vram_gb, double model_gb, int64_t sequence_tokens, int64_t hidden_size);
/* adaptive_batching: all requests, in the order of their lengths. `sorted` has room for all. */
void article_batches(double vram_gb, double model_gb, const struct request_list *requests, uint32_t *sorted,
                     struct batch_plan *plan);
