/* explain.c owns the sentences and commands behind explain.h. */
#include "sizing/explain.h"

#include <stdio.h>
#include <string.h>

enum { MONEY_BYTES = 32, FIGURE_BYTES = 32 };

/* Four digits, and whole from ten thousand on: people read 82291, not 8.229e+04. */
static const char *figure(double value, char text[FIGURE_BYTES])
{
    bool large = value >= 9999.5 && value < 1e15;
    (void)snprintf(text, FIGURE_BYTES, large ? "%.0f" : "%.4g", value);
    return text;
}

/* "52,560 USD": thousands in groups, cents only below 100. */
static const char *money(double usd, char text[MONEY_BYTES])
{
    char plain[24];
    int length = snprintf(plain, sizeof plain, usd < 100 ? "%.2f" : "%.0f", usd);
    if (length < 0 || (size_t)length >= sizeof plain) return "?";
    size_t whole = strcspn(plain, "."), out = 0;
    for (size_t i = 0; plain[i]; i++) {
        if (i > 0 && i < whole && (whole - i) % 3 == 0) text[out++] = ',';
        text[out++] = plain[i];
    }
    (void)snprintf(text + out, MONEY_BYTES - out, " USD");
    return text;
}

static const char *plural(double count)
{
    return count == 1 ? "" : "s";
}

static const char *part_name(const struct option *option)
{
    return option->deployment.gpu->name;
}

/* Where it is and what it costs. */
static const char *explain_money(const struct question *question, const struct option *option, struct arena *arena)
{
    char total[MONEY_BYTES], hour[MONEY_BYTES], hardware[MONEY_BYTES], operating[MONEY_BYTES];
    double usd = usd_to_double(option->cost.total_usd);
    const char *share = "";
    if (usd_known(question->budget_usd)) {
        share = arena_printf(arena, ", %.0f %% of the budget", 100 * usd / usd_to_double(question->budget_usd));
    }
    if (option->offer) {
        const struct offer *offer = option->offer;
        return arena_printf(arena, "%u × %s of %s%s%s (%s) at %s/h: %s over %g hours%s.", option->instance_count,
                            *offer->instance_type ? offer->instance_type : part_name(option), offer->provider,
                            *offer->region ? " in " : "", offer->region, purchase_name(option->purchase),
                            money(usd_to_double(option->cost.per_hour_usd), hour), money(usd, total),
                            question->terms.used_hours, share);
    }
    return arena_printf(arena, "Owned: %s of hardware and %s of power over %g hours%s.",
                        money(usd_to_double(option->cost.hardware_usd), hardware),
                        money(usd_to_double(option->cost.operating_usd), operating), question->terms.used_hours, share);
}

static const char *explain_speed(const struct question *question, const struct option *option, struct arena *arena)
{
    const struct performance *performance = &option->performance;
    const struct predicted output = performance->output_tokens_per_second, tpot = performance->tpot_ms;
    char texts[5][FIGURE_BYTES];
    if (question->demand.kind != DEMAND_RATE && question->demand.kind != DEMAND_CONCURRENCY) {
        return arena_printf(arena, "Saturated, the fleet makes %s output tokens/s (%s to %s).",
                            figure(output.value, texts[0]), figure(output.low, texts[1]),
                            figure(output.high, texts[2]));
    }
    const char *which =
        question->demand.kind == DEMAND_RATE ? arena_printf(arena, " p%g", question->slo.percentile) : "";
    if (!which) return NULL;
    return arena_printf(arena,
                        "At the demand: TTFT%s %s ms, TPOT%s %s ms (%s to %s), met with probability %.2g; "
                        "one replica more is needed above %s requests/s.",
                        which, figure(performance->ttft_ms.value, texts[0]), which, figure(tpot.value, texts[1]),
                        figure(tpot.low, texts[2]), figure(tpot.high, texts[3]), option->meets_slo_probability_ratio,
                        figure(option->safe_requests_per_second, texts[4]));
}

const char *explain_option(const struct question *question, const struct option *option, struct arena *arena)
{
    const struct deployment *deployment = &option->deployment;
    const struct memory *memory = &option->memory;
    char room[FIGURE_BYTES];
    const char *kv =
        !is_known(memory->max_concurrency)
            ? ""
            : arena_printf(arena, ", room for %s request%s of %u tokens", figure(memory->max_concurrency, room),
                           plural(memory->max_concurrency), deployment->max_model_len_tokens);
    const char *spare = option->spare_replicas ? arena_printf(arena, " and %u spare", option->spare_replicas) : "";
    const char *speed = explain_speed(question, option, arena), *cost = explain_money(question, option, arena);
    if (!kv || !spare || !speed || !cost) return NULL;
    return arena_printf(arena,
                        "%u replica%s%s of tensor parallel %u and pipeline parallel %u in %s: %.4g GiB of weights per "
                        "GPU leave %.4g GiB of KV cache%s. %s %s",
                        option->replicas, plural(option->replicas), spare, deployment->tensor_parallel,
                        deployment->pipeline_parallel, dtype_name(deployment->weight_dtype),
                        memory->weights_bytes / GIB, memory->kv_pool_bytes / GIB, kv, speed, cost);
}

/* --- why not --------------------------------------------------------------------------------------------------- */

static const char *const reason_sentences[REJECT_COUNT] = {
    [REJECT_NONE] = "is among the options",
    [REJECT_EXCLUDED] = "is excluded by gpus or exclude_gpus",
    [REJECT_UNSUPPORTED] = "does not run this engine with the weight format asked for",
    [REJECT_UNKNOWN_FACTS] = "has no known memory bandwidth or 16-bit peak",
    [REJECT_NO_PRICE] = "has no price under the constraints",
    [REJECT_MEMORY] = "cannot hold the weights and one request",
    [REJECT_SLO] = "misses the latency limits even when lightly loaded",
    [REJECT_MAX_GPUS] = "needs more GPUs than max_gpus",
    [REJECT_QUOTA] = "needs more GPUs than the quota",
    [REJECT_POWER] = "needs more power than max_power_watts",
    [REJECT_BUDGET] = "costs more than budget_usd",
    [REJECT_BUDGET_PER_HOUR] = "costs more than budget_usd_per_hour",
    [REJECT_PRICE_AGE] = "has only prices older than max_price_age_days",
    [REJECT_BASIS] = "rests on a basis below min_basis",
    [REJECT_OUTRANKED] = "cannot beat the options shown",
};

/* Figures have six digits already: %.12g prints millions without an exponent. */
const char *explain_rejection(const struct question *question, const struct rejection *rejection, struct arena *arena)
{
    const char *name = question->snapshot->gpus[rejection->gpu].name;
    const char *sentence = reason_sentences[rejection->reason];
    if (!is_known(rejection->needed)) return arena_printf(arena, "%s %s.", name, sentence);
    return arena_printf(arena, "%s %s: at least %.12g %s needed, %.12g available.", name, sentence, rejection->needed,
                        rejection->unit, rejection->available);
}

const char *explain_relaxation(const struct relaxation *relaxation, struct arena *arena)
{
    char total[MONEY_BYTES];
    const struct option *option = relaxation->option;
    const char *where = option->offer ? option->offer->provider : "owned";
    const char *change =
        is_known(relaxation->from)
            ? arena_printf(arena, "%s from %.12g to %.12g", relaxation->constraint, relaxation->from, relaxation->to)
            : arena_printf(arena, "without the present %s", relaxation->constraint);
    if (!change) return NULL;
    return arena_printf(arena, "%s: %u × %s (%s) for %s.", change, option->gpu_count, part_name(option), where,
                        money(usd_to_double(option->cost.total_usd), total));
}

/* --- commands --------------------------------------------------------------------------------------------------- */

const char *explain_shell_quote(const char *text, struct arena *arena)
{
    char *quoted = arena_alloc(arena, strlen(text) * 4 + 3), *out = quoted;
    if (!quoted) return NULL;
    *out++ = '\'';
    for (; *text; text++) {
        if (*text == '\'') {
            memcpy(out, "'\\''", 4);
            out += 4;
        } else {
            *out++ = *text;
        }
    }
    *out = '\'';
    return quoted;
}

static const char *vllm_launch(const struct option *option, const char *model, struct arena *arena)
{
    const struct deployment *deployment = &option->deployment;
    bool requantised = option->quality_unverified && deployment->weight_dtype == DTYPE_FP8;
    return arena_printf(
        arena,
        "vllm serve %s --tensor-parallel-size %u --pipeline-parallel-size %u --max-model-len %u "
        "--gpu-memory-utilization %.4g --max-num-batched-tokens %u --max-num-seqs %u%s%s%s",
        model, deployment->tensor_parallel, deployment->pipeline_parallel, deployment->max_model_len_tokens,
        deployment->gpu_memory_utilization_ratio, deployment->max_batched_tokens, deployment->max_sequences,
        requantised ? " --quantization fp8" : "", deployment->weight_dtype == DTYPE_FP16 ? " --dtype half" : "",
        deployment->kv_dtype == DTYPE_FP8 ? " --kv-cache-dtype fp8" : "");
}

static const char *sglang_launch(const struct option *option, const char *model, struct arena *arena)
{
    const struct deployment *deployment = &option->deployment;
    return arena_printf(arena,
                        "python3 -m sglang.launch_server --model-path %s --tp-size %u --pp-size %u --context-length %u "
                        "--mem-fraction-static %.4g --max-running-requests %u%s%s",
                        model, deployment->tensor_parallel, deployment->pipeline_parallel,
                        deployment->max_model_len_tokens, deployment->gpu_memory_utilization_ratio,
                        deployment->max_sequences, deployment->weight_dtype == DTYPE_FP16 ? " --dtype half" : "",
                        deployment->kv_dtype == DTYPE_FP8 ? " --kv-cache-dtype fp8_e5m2" : "");
}

static const char *tensorrt_launch(const struct option *option, const char *model, struct arena *arena)
{
    const struct deployment *deployment = &option->deployment;
    return arena_printf(arena,
                        "trtllm-serve %s --tp_size %u --pp_size %u --max_seq_len %u --max_num_tokens %u "
                        "--max_batch_size %u --kv_cache_free_gpu_memory_fraction %.4g",
                        model, deployment->tensor_parallel, deployment->pipeline_parallel,
                        deployment->max_model_len_tokens, deployment->max_batched_tokens, deployment->max_sequences,
                        deployment->engine->coef.kv_pool_ratio);
}

static const char *llama_cpp_launch(const struct option *option, const char *model, struct arena *arena)
{
    const struct deployment *deployment = &option->deployment;
    return arena_printf(arena, "llama-server -hf %s -c %.0f -np %u -ngl 999 -fa on%s", model,
                        (double)deployment->max_model_len_tokens * deployment->max_sequences, deployment->max_sequences,
                        deployment->kv_dtype == DTYPE_Q8_0 ? " -ctk q8_0 -ctv q8_0" : "");
}

static const struct {
    const char *engine;
    const char *(*launch)(const struct option *, const char *model, struct arena *);
    const char *benchmark; /* the engine's own, for a running server; NULL = measures offline */
} engines[] = {
    {"vllm", vllm_launch, "vllm bench serve"},
    {"sglang", sglang_launch, "python3 -m sglang.bench_serving"},
    {"tensorrt-llm", tensorrt_launch, "python3 -m tensorrt_llm.serve.scripts.benchmark_serving"},
    {"llama.cpp", llama_cpp_launch, NULL},
};

/* The published checkpoint; a smaller format has to come from a checkpoint of its own, unless the engine makes it at
 * load time (vLLM: fp8). */
static const char *model_argument(const struct question *question, const struct option *option, struct arena *arena)
{
    const char *id = question->model->id;
    const char *name = id && *id ? id : "PATH_TO_YOUR_MODEL";
    enum dtype dtype = option->deployment.weight_dtype;
    bool at_load = dtype == DTYPE_FP8 && strcmp(question->engine->engine, "vllm") == 0;
    if (option->quality_unverified && !at_load) {
        name = arena_printf(arena, "PATH_TO_%s_WEIGHTS_OF/%s", dtype_name(dtype), name);
    }
    return name ? explain_shell_quote(name, arena) : NULL;
}

const char *explain_launch_command(const struct question *question, const struct option *option, struct arena *arena)
{
    const char *model = model_argument(question, option, arena);
    for (size_t i = 0; model && i < sizeof engines / sizeof engines[0]; i++) {
        if (strcmp(engines[i].engine, question->engine->engine) != 0) continue;
        const char *command = engines[i].launch(option, model, arena);
        return command ? explain_extras(&option->deployment, command, arena) : NULL;
    }
    return NULL;
}

const char *explain_verify_command(const struct question *question, const struct option *option, struct arena *arena)
{
    const char *model = model_argument(question, option, arena);
    const struct demand *demand = &question->demand;
    bool rate = demand->kind == DEMAND_RATE;
    /* One replica is measured: its share of the arrivals, or the requests that it has in flight. */
    double amount = rate ? demand->requests_per_second / option->replicas
                         : fmax(1, ceil(option->performance.in_flight / option->replicas));
    double prompts = fmax(100, ceil(amount * (rate ? 300 : 8))); /* five minutes, or eight rounds */
    for (size_t i = 0; model && i < sizeof engines / sizeof engines[0]; i++) {
        if (strcmp(engines[i].engine, question->engine->engine) != 0) continue;
        if (!engines[i].benchmark) {
            return arena_printf(arena, "llama-bench -hf %s -p %.0f -n %.0f", model, demand->input_tokens,
                                demand->output_tokens);
        }
        return arena_printf(arena,
                            "%s --model %s --dataset-name random --random-input-len %.0f --random-output-len %.0f "
                            "--num-prompts %.0f %s %.6g",
                            engines[i].benchmark, model, demand->input_tokens, demand->output_tokens, prompts,
                            rate ? "--request-rate" : "--max-concurrency", amount);
    }
    return NULL;
}
