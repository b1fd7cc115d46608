/* measurement.c owns the order of measurements, in which those that belong together are neighbours. */
#include "catalog/measurement.h"

static const char *const load_names[MEASURED_LOAD_COUNT] = {
    [MEASURED_SATURATED] = "saturated",
    [MEASURED_CONCURRENCY] = "concurrency",
    [MEASURED_STATIC_BATCH] = "static_batch",
};

const char *measured_load_name(enum measured_load load)
{
    return load_names[load];
}

enum dtype measured_dtype(enum dtype dtype)
{
    return dtype == DTYPE_BF16 ? DTYPE_FP16 : dtype;
}

int measured_setup_compare(const struct measured_setup *a, const struct measured_setup *b)
{
    const uint32_t left[] = {
        a->model,          a->gpu, a->profile, a->weight_dtype, a->kv_dtype, a->tensor_parallel, a->pipeline_parallel,
        a->expert_parallel};
    const uint32_t right[] = {
        b->model,          b->gpu, b->profile, b->weight_dtype, b->kv_dtype, b->tensor_parallel, b->pipeline_parallel,
        b->expert_parallel};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
        if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
    }
    return 0;
}

bool measurement_repeats(const struct measurement *a, const struct measurement *b)
{
    return a->load == b->load && a->input_tokens == b->input_tokens && a->output_tokens == b->output_tokens &&
           a->concurrency == b->concurrency && measured_setup_compare(&a->setup, &b->setup) == 0;
}

/* The first that is not below `setup`, or with `after` the first above it. */
static size_t find_edge(const struct measurements *measurements, const struct measured_setup *setup, bool after)
{
    size_t low = 0, high = measurements->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (measured_setup_compare(&measurements->items[middle].setup, setup) < (after ? 1 : 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct measurements measurements_of(const struct measurements *measurements, const struct measured_setup *setup)
{
    struct measurements found = *measurements;
    size_t first = measurements->count ? find_edge(measurements, setup, false) : 0;
    found.items += first;
    found.count = measurements->count ? find_edge(measurements, setup, true) - first : 0;
    return found;
}
