/* run.h owns measured runs: rows of benchmark results, each resolved against the catalog so that it can be predicted.
 */
#pragma once
#include "catalog/snapshot.h"
#include "sizing/performance.h"

/* What a row may have measured, by the name of the metric in reports. */
enum metric {
    METRIC_OUTPUT_TOKENS_PER_SECOND,
    METRIC_TOTAL_TOKENS_PER_SECOND,
    METRIC_PREFILL_TOKENS_PER_SECOND,
    METRIC_TTFT_MS,
    METRIC_TPOT_MS,
    METRIC_E2E_MS,
    METRIC_WEIGHT_MEMORY_GIB, /* from here on: start-up logs */
    METRIC_ACTIVATION_MEMORY_GIB,
    METRIC_KV_CACHE_MEMORY_GIB,
    METRIC_KV_CACHE_TOKENS,
    METRIC_MAX_CONCURRENCY,
    METRIC_FITS, /* 0 or 1 */
    METRIC_COUNT
};
extern const char *const metric_names[METRIC_COUNT];

/* What a run is of: its figures are of whole requests, of one sequence without its prompt, of one prompt alone, or of
 * an engine's start. */
enum run_kind { RUN_SERVED, RUN_DECODE, RUN_PREFILL, RUN_START };

/* One measured run. Throughput is of all its GPUs; numbers that the row does not tell are UNKNOWN. */
struct run {
    const char *uid, *source;
    const char *engine_name, *engine_version, *model_name, *gpu_name, *load_mode, *weight_dtype,
        *kv_dtype;                /* as the row spells them */
    struct deployment deployment; /* defaults filled in; `engine` is the profile that covers the row's version */
    struct memory memory;
    enum run_kind kind;
    struct load_point load; /* of one replica */
    double input_tokens, output_tokens;
    double replicas; /* of the run: GPUs in all / GPUs of one replica */
    double measured[METRIC_COUNT];
    const char *refused;                /* why the row cannot be predicted at all; NULL: it can */
    const char *unscored[METRIC_COUNT]; /* why this metric is not compared although it was measured; NULL */
};

struct runs {
    struct run *items;
    size_t count;
};

/* "concurrency", "static_batch" and so on; "decode", "prefill", "start". */
const char *run_kind_name(const struct run *run);

/* Predicted quantities of the run, of all its replicas. Unknown where the run says nothing that leads to the metric. */
void run_predict(const struct run *run, struct predicted ret_metrics[METRIC_COUNT]);
