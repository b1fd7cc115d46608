/* parameters.c owns the table of coefficients that can be fitted. */
#include "fit/parameters.h"

/* Start values are orders of magnitude of the hardware, from before any fit (docs/fit.md, "Priors"): half to four
 * fifths of a peak, microseconds a launch. An efficiency is at most 1; of products less, since no measured product
 * reaches the peak. TTFT has few rows that tell its coefficients apart: narrow priors. Engines that only split by
 * layers serve one request at a time on any GPU, with kernels for that: LAYERED has their start as well. */
static const struct rule {
    const char *name;
    size_t offset; /* in struct engine_coefs */
    enum fit_stage stage;
    bool own; /* engines differ in it: not shared in a joint fit */
    double start, layered_start, width, low, high;
} rules[] = {
#define RULE(name, stage, own, start, width, low, high) LAYERED(name, stage, own, start, start, width, low, high)
#define LAYERED(name, stage, own, start, layered_start, width, low, high)                                              \
    {                                                                                                                  \
#name, offsetof(struct engine_coefs, name), FIT_##stage, own, start, layered_start, width, low, high           \
    }
    LAYERED(norm_exponent, STEP, false, 1.8, 4, 0.06, 1, 8),
    LAYERED(dense_bandwidth_ratio, STEP, false, 0.7, 0.93, 0.04, 0.05, 1),
    RULE(expert_bandwidth_ratio, STEP, false, 0.7, 0.06, 0.05, 1),
    LAYERED(kv_bandwidth_ratio, STEP, false, 0.9, 0.6, 0.03, 0.02, 1),
    LAYERED(plain_read_gb_per_s, STEP, false, 46, 20, 0.1, 0.5, 500),
    LAYERED(packed_read_gb_per_s, STEP, false, 46, 20, 0.1, 0.5, 500),
    RULE(apple_k_quant_ratio, STEP, false, 0.7, 0.1, 0.05, 1.5),
    RULE(apple_kv_ratio, STEP, false, 0.6, 0.1, 0.05, 1.5),
    RULE(decode_16bit_ratio, STEP, false, 0.75, 0.05, 0.02, 0.95),
    RULE(decode_8bit_ratio, STEP, false, 0.5, 0.06, 0.02, 0.95),
    RULE(decode_4bit_ratio, STEP, false, 0.35, 0.06, 0.02, 0.95),
    RULE(expert_compute_ratio, STEP, false, 0.5, 0.1, 0.02, 3), /* of the dense rate */
    RULE(expert_half_rows, STEP, false, 30, 0.2, 0.1, 1000),
    RULE(expert_parallel_ratio, STEP, false, 1.2, 0.06, 0.5, 4),
    RULE(allreduce_us, STEP, false, 6, 0.14, 0.1, 200),
    RULE(link_ratio, STEP, false, 0.6, 0.08, 0.02, 1),
    LAYERED(layer_us, STEP, true, 12, 60, 0.14, 0.1, 2000),
    RULE(moe_layer_us, STEP, false, 15, 0.14, 0.1, 2000),
    RULE(linear_layer_us, STEP, false, 10, 0.14, 0.1, 2000),
    RULE(latent_layer_us, STEP, false, 8, 0.1, 0.1, 2000),
    RULE(step_ms, STEP, true, 0.3, 0.14, 0.001, 20),
    RULE(request_ms, STEP, true, 0.01, 0.14, 0.0001, 1),
    RULE(amd_compute_ratio, STEP, false, 0.4, 0.12, 0.05, 1.5),
    RULE(amd_bandwidth_ratio, STEP, false, 0.85, 0.04, 0.05, 1.5),
    RULE(cdna2_compute_ratio, STEP, false, 1, 0.5, 0.05, 10),
    RULE(cdna2_memory_ratio, STEP, false, 1, 0.2, 0.05, 1.5),
    RULE(amd_overhead_ratio, STEP, false, 1.6, 0.1, 0.2, 10),
    LAYERED(prefill_16bit_ratio, STEP, false, 0.72, 0.7, 0.04, 0.02, 0.9),
    RULE(prefill_8bit_ratio, STEP, false, 0.55, 0.05, 0.02, 0.9),
    RULE(prefill_4bit_ratio, STEP, false, 0.36, 0.06, 0.02, 0.9),
    RULE(prefill_gflops_per_watt, STEP, false, 450, 0.1, 10, 5000),
    RULE(prefill_narrow_ratio, STEP, false, 0.85, 0.06, 0.1, 1.5),
    RULE(score_passes, STEP, false, 4, 0.1, 0.5, 20),
    RULE(prefill_expert_ratio, STEP, false, 0.5, 0.08, 0.02, 1.2), /* of the dense rate */
    RULE(prefill_attention_ratio, STEP, false, 0.5, 0.04, 0.02, 0.95),
    RULE(prefill_layer_us, STEP, false, 60, 0.14, 0.1, 5000),
    RULE(saturated_time_ratio, STEP, true, 1, 0.06, 0.3, 3),
    RULE(static_time_ratio, STEP, true, 1, 0.06, 0.3, 3),
    RULE(static_request_ms, STEP, true, 0.1, 0.3, 0.0001, 10),
    RULE(ttft_compute_ratio, FIRST_TOKEN, false, 1.3, 0.04, 0.1, 10),
    RULE(ttft_norm_exponent, FIRST_TOKEN, false, 2, 0.04, 1, 8),
    RULE(ttft_amd_ratio, FIRST_TOKEN, false, 1, 0.06, 0.01, 10),
    RULE(ttft_layer_ms, FIRST_TOKEN, true, 0.5, 0.08, 0.001, 20),
    RULE(ttft_moe_layer_ms, FIRST_TOKEN, false, 0.3, 0.1, 0.001, 20),
    RULE(ttft_linear_layer_ms, FIRST_TOKEN, false, 2, 0.1, 0.001, 20),
    RULE(ttft_batch_ratio, FIRST_TOKEN, false, 0.05, 0.07, 0.0001, 10),
    RULE(ttft_batch_exponent, FIRST_TOKEN, false, 1, 0.02, 0.05, 3),
    RULE(ttft_output_exponent, FIRST_TOKEN, false, 0.2, 0.1, 0.01, 2),
    RULE(ttft_fixed_ms, FIRST_TOKEN, true, 15, 0.07, 0.01, 1000),
    RULE(ttft_engine_ratio, FIRST_TOKEN, true, 1, 0.05, 0.1, 10),
#undef LAYERED
#undef RULE
};
enum { RULES = sizeof rules / sizeof *rules };

static double *coef_at(struct engine_profile *profile, size_t offset)
{
    return (double *)(void *)((char *)&profile->coef + offset);
}

static double coef_of(const struct engine_profile *profile, size_t offset)
{
    return *(const double *)(const void *)((const char *)&profile->coef + offset);
}

bool parameters_same_coefs(const struct engine_profile *a, const struct engine_profile *b)
{
    for (size_t i = 0; i < RULES; i++) {
        if (coef_of(a, rules[i].offset) != coef_of(b, rules[i].offset)) return false;
    }
    return true;
}

/* The first profile of the workspace that belongs to that owner, or to any. */
static const struct engine_profile *first_of(const struct workspace *workspace, int owner)
{
    size_t i = 0;
    while (owner != OWNER_ALL && workspace->owners[i] != owner)
        i++;
    return workspace->originals[i];
}

static double within(double value, double low, double high)
{
    return fmin(fmax(value, low), high);
}

static bool add(struct parameters *parameters, const struct workspace *workspace, const struct rule *rule, int owner,
                const struct prior *prior, struct arena *arena)
{
    const struct engine_profile *first = first_of(workspace, owner);
    double start = coef_of(first, rule->offset);
    double physical = first->coef.max_tensor_parallel > 1 ? rule->start : rule->layered_start;
    if (!(start > 0)) return true;
    struct parameter parameter = {
        .name = rule->name,
        .stage = rule->stage,
        .owner = owner,
        .start = within(prior->physical ? physical : start, rule->low, rule->high),
        .width = rule->width * prior->width_ratio,
        .low = rule->low,
        .high = rule->high,
        .targets = ARENA_ARRAY(arena, workspace->count, double *),
    };
    if (!parameter.targets) return false;
    for (size_t i = 0; i < workspace->count; i++) {
        if (owner == OWNER_ALL || workspace->owners[i] == owner)
            parameter.targets[parameter.target_count++] = coef_at(&workspace->profiles[i], rule->offset);
    }
    parameters->items[parameters->count++] = parameter;
    return true;
}

enum status parameters_add_coefs(struct parameters *parameters, const struct workspace *workspace,
                                 const struct prior *prior, struct arena *arena, struct problems *problems)
{
    size_t most = parameters->count + RULES * (size_t)workspace->owner_count;
    struct parameter *items = ARENA_ARRAY(arena, most, struct parameter);
    bool added = items != NULL;
    for (size_t i = 0; added && i < parameters->count; i++)
        items[i] = parameters->items[i];
    parameters->items = items;
    for (size_t i = 0; added && i < RULES; i++) {
        int first = rules[i].own ? 0 : OWNER_ALL, end = rules[i].own ? workspace->owner_count : 0;
        for (int owner = first; added && owner < end; owner++)
            added = add(parameters, workspace, &rules[i], owner, prior, arena);
    }
    return added ? STATUS_OK : problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for parameters");
}
