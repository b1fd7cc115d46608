/* resolve.c owns the way from a row's words to a deployment: the profile of its version, its formats, its layout. */
#include "evaluate/resolve.h"

#include "catalog/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* One row on its way. */
struct resolving {
    const struct snapshot *catalog;
    struct measured *measured;
    struct arena *arena;
    struct run *run;
};

static bool refuse(const struct resolving *resolving, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(const struct resolving *resolving, const char *field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *reason = arena_vprintf(resolving->arena, format, args);
    va_end(args);
    const char *refused = reason ? arena_printf(resolving->arena, "%s: %s", field, reason) : NULL;
    resolving->run->refused = refused ? refused : field;
    return false;
}

/* --- engines --- */

enum { VERSION_BYTES = 32 };

/* The first "1.2" of the spelling, "" if there is none: "vllm/vllm-openai:v0.18.0", "0.5.x-0.6.1". Images of products
 * around an engine carry their own version. */
static void read_version(const char *text, char ret_version[VERSION_BYTES])
{
    static const char *const others[] = {"ai-dynamo", "atom"};
    ret_version[0] = '\0';
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strstr(text, others[i])) return;
    }
    size_t length;
    const char *number = engine_version_find(text, &length);
    (void)snprintf(ret_version, VERSION_BYTES, "%.*s", (int)length, number);
}

/* The newest profile that begins at the version or before; versions before the first are counted to it, and so are
 * static batches without a version, which are how engines were measured in 2023 and 2024. */
static const struct engine_profile *find_profile(const struct snapshot *catalog, const struct engine_profile *newest,
                                                 const char *version, bool old)
{
    const struct engine_profile *profile = newest, *end = catalog->profiles + catalog->profile_count;
    if (!*version && !old) return newest;
    while (profile + 1 < end && strcmp(profile[1].engine, newest->engine) == 0 &&
           (!*version || engine_version_compare(version, profile->version_from) < 0))
        profile++;
    return profile;
}

/* --- formats --- */

/* What engines call their own choice. */
static bool is_default(const char *text)
{
    static const char *const words[] = {"", "auto", "none", "native", "-"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i]) == 0) return true;
    }
    return false;
}

static bool read_dtype(const struct resolving *resolving, const char *field, const char *text, enum dtype *ret_dtype)
{
    bool same = false;
    if (is_default(text)) return true;
    *ret_dtype = import_dtype(text, resolving->run->deployment.model->native_dtype, &same);
    if (*ret_dtype != DTYPE_UNKNOWN) return true;
    return refuse(resolving, field, "\"%.60s\" is no format of the catalog", text);
}

/* --- layouts --- */

/* Who splits a model over GPUs by layers, whatever the row says: llama.cpp, and TensorRT-LLM's published figures of the
 * RTX PRO 6000, which has no fast link. */
static bool by_layers(const struct deployment *deployment)
{
    static const struct {
        const char *engine, *gpu_family; /* NULL: any */
    } rules[] = {{"llama.cpp", NULL}, {"tensorrt-llm", "rtx-pro-6000"}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (strcmp(deployment->engine->engine, rules[i].engine) == 0 &&
            (!rules[i].gpu_family || strcmp(deployment->gpu->family, rules[i].gpu_family) == 0))
            return true;
    }
    return false;
}

static uint32_t count_of(double value, uint32_t otherwise)
{
    return value >= 1 ? (uint32_t)value : otherwise;
}

/* GPUs of a row are all of the run. Where the degrees do not use them all, there are several replicas; but a mixture of
 * experts spreads its experts over all, even where attention is data parallel: measured TPOT is that of one group. */
static bool set_layout(const struct resolving *resolving)
{
    const struct measured *measured = resolving->measured;
    struct deployment *deployment = &resolving->run->deployment;
    uint32_t pipeline = count_of(measured->run.pipeline_parallel, 1);
    uint32_t data = count_of(measured->data_parallel, 1);
    uint32_t gpus = count_of(measured->gpu_count, count_of(measured->run.tensor_parallel, 1) * pipeline * data);
    uint32_t tensor = count_of(measured->run.tensor_parallel, gpus / pipeline);
    if (deployment->model->experts && tensor * pipeline * data < gpus) tensor = gpus / pipeline / data;
    bool layers = by_layers(deployment);
    deployment->tensor_parallel = layers ? 1 : tensor;
    deployment->pipeline_parallel = layers ? gpus : pipeline;
    deployment->expert_parallel = measured->run.expert_parallel > 1 && tensor > 1 && !layers ? tensor : 1;
    uint32_t replica = deployment_gpus(deployment);
    resolving->run->replicas = (double)gpus / replica;
    if (replica >= 1 && gpus % replica == 0) return true;
    return refuse(resolving, "gpus_total", "%u GPUs are no whole number of replicas of %u", gpus, replica);
}

/* --- loads --- */

/* Runs that draw each length evenly between two shares of what is stated say so: "isl/osl ratio 0.8-1.0 jitter". */
static double mean_length_ratio(const char *notes)
{
    static const char words[] = "isl/osl ratio ", unit[] = " jitter";
    const char *found = strstr(notes, words), *end = found ? strstr(found, unit) : NULL;
    char range[NUMBER_TEXT_BYTES];
    double low, high;
    (void)snprintf(range, sizeof range, "%.*s", end ? (int)(end - found - (ptrdiff_t)sizeof words + 1) : 0,
                   end ? found + sizeof words - 1 : "");
    char *dash = strchr(range, '-');
    if (!dash) return 1;
    *dash = '\0';
    bool drawn = text_parse_double(range, &low) && text_parse_double(dash + 1, &high);
    return drawn && low > 0 && low <= high && high <= 1 ? (low + high) / 2 : 1;
}

static bool set_lengths(const struct resolving *resolving)
{
    const struct observation *row = &resolving->measured->run;
    struct run *run = resolving->run;
    double ratio = mean_length_ratio(row->notes);
    run->input_tokens = fmax(ratio * row->input_tokens, 1);
    run->output_tokens = fmax(ratio * row->output_tokens, 1); /* also where it is not known: it hardly matters */
    run->deployment.max_model_len_tokens = (uint32_t)(fmax(row->input_tokens, 1) + fmax(row->output_tokens, 1));
    if (run->kind != RUN_DECODE && !is_known(row->input_tokens)) return refuse(resolving, "isl", "is not stated");
    if (run->kind == RUN_SERVED && !is_known(row->output_tokens)) return refuse(resolving, "osl", "is not stated");
    return true;
}

static bool set_load(const struct resolving *resolving)
{
    const struct measured *measured = resolving->measured;
    struct run *run = resolving->run;
    double requests = measured->run.concurrency / run->replicas;
    run->load.concurrency = run->load.batch_size = requests;
    run->load.requests_per_second = measured->requests_per_second / run->replicas;
    run->load.arrival_cv2 = measured->arrival_cv2;
    bool alone = run->kind == RUN_DECODE || run->kind == RUN_PREFILL;
    if (alone && requests == 1) run->load.load = LOAD_CONCURRENCY; /* as an engine that serves it takes, not a batch */
    bool counts = run->load.load == LOAD_CONCURRENCY || run->load.load == LOAD_STATIC_BATCH;
    if (counts && !is_known(requests)) return refuse(resolving, "concurrency", "is not stated");
    if (run->load.load == LOAD_RATE && !is_known(measured->requests_per_second))
        return refuse(resolving, "request_rate", "is not stated");
    return true;
}

/* --- results --- */

static void set_measured(struct run *run, const struct measured *measured)
{
    const struct observation *row = &measured->run;
    const double values[METRIC_COUNT] = {
        [METRIC_OUTPUT_TOKENS_PER_SECOND] = row->output_tokens_per_second,
        [METRIC_TOTAL_TOKENS_PER_SECOND] = row->total_tokens_per_second,
        [METRIC_PREFILL_TOKENS_PER_SECOND] = row->prefill_tokens_per_second,
        [METRIC_TTFT_MS] = row->ttft_ms,
        [METRIC_TPOT_MS] = row->tpot_ms,
        [METRIC_E2E_MS] = row->e2e_ms,
        [METRIC_WEIGHT_MEMORY_GIB] = measured->weight_memory_gib,
        [METRIC_ACTIVATION_MEMORY_GIB] = measured->activation_memory_gib,
        [METRIC_KV_CACHE_MEMORY_GIB] = measured->kv_cache_memory_gib,
        [METRIC_KV_CACHE_TOKENS] = measured->kv_cache_tokens,
        [METRIC_MAX_CONCURRENCY] = measured->max_concurrency,
        [METRIC_FITS] = !measured->started                     ? UNKNOWN
                        : strcmp(measured->started, "ok") == 0 ? 1
                                                               : 0,
    };
    memcpy(run->measured, values, sizeof values);
}

/* The rate of one prompt alone is its length over its first token's time: where only the time is stated, the rate is
 * compared in its place. */
static void set_prefill_rate(const struct resolving *resolving)
{
    struct run *run = resolving->run;
    double ttft_ms = run->measured[METRIC_TTFT_MS];
    if (run->kind != RUN_PREFILL || !is_known(ttft_ms)) return;
    if (!is_known(run->measured[METRIC_PREFILL_TOKENS_PER_SECOND]))
        run->measured[METRIC_PREFILL_TOKENS_PER_SECOND] = round6(1e3 * run->input_tokens / ttft_ms);
    run->unscored[METRIC_TTFT_MS] = "compared as prefill_tokens_per_second";
}

/* Little's law: throughput times latency is what was in flight. A run that did not keep its concurrency, as with too
 * few requests or a pause in between, has the latency of the one and the throughput of the other. */
static void set_little(const struct resolving *resolving)
{
    static const double least = 0.8, most = 1.25; /* the first and the last requests of a run leave a tenth */
    struct run *run = resolving->run;
    double rate = run->measured[METRIC_OUTPUT_TOKENS_PER_SECOND], e2e_ms = run->measured[METRIC_E2E_MS];
    double in_flight = rate * e2e_ms / 1e3 / run->output_tokens;
    double stated = run->load.concurrency * run->replicas;
    if (run->load.load != LOAD_CONCURRENCY || !(in_flight < least * stated || in_flight > most * stated)) return;
    const char *reason =
        arena_printf(resolving->arena, "throughput x e2e is %.1f requests in flight, not %.0f", in_flight, stated);
    run->unscored[METRIC_OUTPUT_TOKENS_PER_SECOND] = run->unscored[METRIC_TOTAL_TOKENS_PER_SECOND] =
        reason ? reason : "throughput x e2e is not the concurrency";
}

/* Rows that say nothing about speed: runs that failed at once; prompts that are read token by token; one prompt that
 * several stages read at once. */
static void set_unscored(const struct resolving *resolving)
{
    enum { LEAST_TOKEN_US = 500 }; /* no engine decodes a sequence faster */
    const struct observation *row = &resolving->measured->run;
    struct run *run = resolving->run;
    if (row->e2e_ms < run->output_tokens * LEAST_TOKEN_US / 1e3)
        (void)refuse(resolving, "e2e_s", "less than %d us for each token: the run failed", LEAST_TOKEN_US);
    if (strstr(row->notes, "batch size\"=1 "))
        (void)refuse(resolving, "notes", "the prompt was read token by token (llama-bench -b 1)");
    if (resolving->measured->gpu_layers >= 0 && resolving->measured->gpu_layers < run->deployment.model->layers)
        (void)refuse(resolving, "n_gpu_layers", "not all layers were on the GPU");
    if (resolving->measured->sent_at_once)
        run->unscored[METRIC_TTFT_MS] = run->unscored[METRIC_E2E_MS] =
            "all requests were sent at once: the wait is the place in the queue";
    if (run->kind == RUN_PREFILL && run->deployment.pipeline_parallel > 1)
        run->unscored[METRIC_PREFILL_TOKENS_PER_SECOND] = "several pipeline stages read one prompt at once";
}

/* --- rows --- */

static bool copy_texts(const struct resolving *resolving)
{
    const struct measured *measured = resolving->measured;
    const struct observation *row = &measured->run;
    struct run *run = resolving->run;
    const struct {
        const char **copy, *text;
    } texts[] = {
        {&run->uid, row->uid},
        {&run->source, row->source},
        {&run->engine_name, row->engine},
        {&run->engine_version, row->engine_version},
        {&run->model_name, measured->model},
        {&run->gpu_name, measured->gpu},
        {&run->load_mode, measured->load_mode},
        {&run->weight_dtype, row->weight_dtype},
        {&run->kv_dtype, row->kv_dtype},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        *texts[i].copy = arena_strdup(resolving->arena, texts[i].text);
        if (!*texts[i].copy) return false;
    }
    return true;
}

/* A refused row keeps what could be found of it. */
static bool set_names(const struct resolving *resolving)
{
    struct measured *measured = resolving->measured;
    struct run *run = resolving->run;
    struct measured_names names;
    char version[VERSION_BYTES];
    bool found = import_measured_names(resolving->catalog, measured, &names);
    read_version(measured->run.engine_version, version);
    bool old = run->kind == RUN_SERVED && run->load.load == LOAD_STATIC_BATCH;
    run->deployment.model = names.model;
    run->deployment.gpu = names.gpu;
    if (names.engine) run->deployment.engine = find_profile(resolving->catalog, names.engine, version, old);
    if (!found) return refuse(resolving, measured->refused_field, "%s", measured->refused);
    return read_dtype(resolving, "precision_weights", measured->run.weight_dtype, &run->deployment.weight_dtype) &&
           read_dtype(resolving, "precision_kv", measured->run.kv_dtype, &run->deployment.kv_dtype);
}

/* With stages the log is of the first, and the stage that limits the pool is the last. A start that failed after the
 * cache was there did not fail for want of memory. */
static void set_start_unscored(struct run *run)
{
    static const char stage[] = "the log is of the first pipeline stage, the prediction of the fullest";
    if (run->deployment.pipeline_parallel > 1)
        run->unscored[METRIC_ACTIVATION_MEMORY_GIB] = run->unscored[METRIC_KV_CACHE_MEMORY_GIB] = stage;
    if (run->measured[METRIC_FITS] == 0 && run->measured[METRIC_KV_CACHE_MEMORY_GIB] > 0)
        run->unscored[METRIC_FITS] = "the start failed after the cache was allocated: not for want of memory";
}

/* vLLM's own choice for the cache is the type that it computes in. */
static bool set_start(const struct resolving *resolving)
{
    const struct measured *measured = resolving->measured;
    struct deployment *deployment = &resolving->run->deployment;
    bool wide = deployment->weight_dtype == DTYPE_FP32 && deployment->kv_dtype == DTYPE_UNKNOWN;
    if (wide) deployment->kv_dtype = DTYPE_FP32;
    set_start_unscored(resolving->run);
    deployment->max_model_len_tokens = count_of(measured->max_model_len_tokens, 0);
    deployment->gpu_memory_utilization_ratio = measured->gpu_memory_utilization_ratio;
    return true;
}

static bool set_run(const struct resolving *resolving)
{
    struct run *run = resolving->run;
    if (!set_names(resolving) || !set_layout(resolving)) return false;
    bool start = run->kind == RUN_START;
    if (start ? !set_start(resolving) : !set_lengths(resolving) || !set_load(resolving)) return false;
    struct deployment *deployment = &run->deployment;
    deployment_default(deployment);
    if (run->load.load == LOAD_STATIC_BATCH && deployment->max_sequences < run->load.batch_size)
        deployment->max_sequences = (uint32_t)run->load.batch_size; /* as the run was set up */
    if (memory_size(deployment, &run->memory) != STATUS_OK)
        return refuse(resolving, "model", "%s does not generate text", deployment->model->id);
    if (start) return true;
    set_prefill_rate(resolving);
    set_little(resolving);
    set_unscored(resolving);
    return true;
}

static enum load load_named(const char *name)
{
    enum load load = 0;
    while (load < LOAD_COUNT - 1 && strcmp(load_name(load), name) != 0)
        load++;
    return load;
}

bool resolve_run(const struct snapshot *catalog, struct measured *measured, struct arena *arena, struct run *ret_run)
{
    struct resolving resolving = {catalog, measured, arena, ret_run};
    *ret_run = (struct run){.kind = measured->started       ? RUN_START
                                    : measured->decode_only ? RUN_DECODE
                                    : measured->one_prompt  ? RUN_PREFILL
                                                            : RUN_SERVED,
                            .load.load = load_named(measured->run.load)};
    set_measured(ret_run, measured);
    if (!copy_texts(&resolving)) return false;
    if (!set_run(&resolving) && !ret_run->refused) return false;
    return true;
}
