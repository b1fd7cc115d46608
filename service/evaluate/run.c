/* run.c owns what is predicted of a measured run. */
#include "evaluate/run.h"

const char *const metric_names[METRIC_COUNT] = {
    [METRIC_OUTPUT_TOKENS_PER_SECOND] = "output_tokens_per_second",
    [METRIC_TOTAL_TOKENS_PER_SECOND] = "total_tokens_per_second",
    [METRIC_PREFILL_TOKENS_PER_SECOND] = "prefill_tokens_per_second",
    [METRIC_TTFT_MS] = "ttft_ms",
    [METRIC_TPOT_MS] = "tpot_ms",
    [METRIC_E2E_MS] = "e2e_ms",
    [METRIC_WEIGHT_MEMORY_GIB] = "weight_memory_gib",
    [METRIC_ACTIVATION_MEMORY_GIB] = "activation_memory_gib",
    [METRIC_KV_CACHE_MEMORY_GIB] = "kv_cache_memory_gib",
    [METRIC_KV_CACHE_TOKENS] = "kv_cache_tokens",
    [METRIC_MAX_CONCURRENCY] = "max_concurrency",
    [METRIC_FITS] = "fits",
};

const char *run_kind_name(const struct run *run)
{
    static const char *const names[] = {[RUN_DECODE] = "decode", [RUN_PREFILL] = "prefill", [RUN_START] = "start"};
    return run->kind == RUN_SERVED ? load_name(run->load.load) : names[run->kind];
}

/* The memory model states no interval: docs/estimator.md tells its errors. */
static struct predicted certain(double value)
{
    return (struct predicted){round6(value), UNKNOWN, UNKNOWN, UNKNOWN, BASIS_FITTED};
}

static void predict_start(const struct deployment *deployment, const struct memory *memory,
                          struct predicted ret_metrics[METRIC_COUNT])
{
    bool starts = deployment_layout_valid(deployment) && memory->fits;
    ret_metrics[METRIC_FITS] = certain(starts ? 1 : 0);
    ret_metrics[METRIC_WEIGHT_MEMORY_GIB] = certain(memory->weights_bytes / GIB);
    ret_metrics[METRIC_ACTIVATION_MEMORY_GIB] = certain(memory->activations_bytes / GIB);
    if (!starts) return;
    ret_metrics[METRIC_KV_CACHE_MEMORY_GIB] = certain(memory->kv_pool_bytes / GIB);
    ret_metrics[METRIC_KV_CACHE_TOKENS] = certain((double)memory->kv_pool_tokens);
    ret_metrics[METRIC_MAX_CONCURRENCY] = certain(memory->max_concurrency);
}

static void predict_speed(const struct run *run, struct predicted ret_metrics[METRIC_COUNT])
{
    struct roofline roofline;
    struct performance performance;
    roofline_init(&roofline, &run->deployment, &run->memory, run->input_tokens, run->output_tokens);
    performance_predict(&roofline, &run->load, &performance);
    ret_metrics[METRIC_PREFILL_TOKENS_PER_SECOND] = performance.prefill_tokens_per_second;
    ret_metrics[METRIC_TTFT_MS] = performance.ttft_ms;
    if (run->kind == RUN_PREFILL) return;
    ret_metrics[METRIC_TPOT_MS] = performance.tpot_ms;
    ret_metrics[METRIC_OUTPUT_TOKENS_PER_SECOND] =
        run->kind == RUN_DECODE ? predicted_invert(performance.tpot_ms, 1e3)
                                : predicted_scale(performance.output_tokens_per_second, run->replicas);
    if (run->kind == RUN_DECODE) return;
    ret_metrics[METRIC_TOTAL_TOKENS_PER_SECOND] = predicted_scale(performance.total_tokens_per_second, run->replicas);
    /* A static batch is timed as a whole, whatever waves it takes. */
    ret_metrics[METRIC_E2E_MS] = run->load.load == LOAD_STATIC_BATCH
                                     ? predicted_invert(performance.requests_per_second, 1e3 * run->load.batch_size)
                                     : performance.e2e_ms;
}

void run_predict(const struct run *run, struct predicted ret_metrics[METRIC_COUNT])
{
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++)
        ret_metrics[metric] = PREDICTED_UNKNOWN;
    if (run->refused) return;
    if (run->kind == RUN_START)
        predict_start(&run->deployment, &run->memory, ret_metrics);
    else
        predict_speed(run, ret_metrics);
}
