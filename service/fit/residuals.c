/* residuals.c owns which figures of a run inform which stage of a fit, and their evaluation. */
#include "fit/residuals.h"

#include <pthread.h>
#include <stdlib.h>

enum { THREADS_MAX = 16, PART_MIN = 64 /* fewer rows are not worth a thread */ };

static const char *const kind_names[FIT_KIND_COUNT] = {
    [FIT_TPOT] = "tpot", [FIT_TTFT] = "ttft", [FIT_SATURATED] = "saturated", [FIT_STATIC] = "static"};

const char *fit_kind_name(enum fit_kind kind)
{
    return kind_names[kind];
}

/* Of such a run, the first of these figures that was measured counts: the others say the same again. At a rate that is
 * served, throughput is the arrivals and says nothing. */
enum { CHOICES = 5 };
static const struct want {
    enum run_kind run;
    enum load load; /* LOAD_COUNT: any */
    enum fit_stage stage;
    enum fit_kind kind;
    enum metric choices[CHOICES]; /* ended by METRIC_COUNT */
} wants[] = {
#define OUTPUT METRIC_OUTPUT_TOKENS_PER_SECOND, METRIC_TOTAL_TOKENS_PER_SECOND
#define WANT(run, load, stage, kind, ...)                                                                              \
    {                                                                                                                  \
        run, load, stage, kind,                                                                                        \
        {                                                                                                              \
            __VA_ARGS__, METRIC_COUNT                                                                                  \
        }                                                                                                              \
    }
    WANT(RUN_SERVED, LOAD_CONCURRENCY, FIT_STEP, FIT_TPOT, METRIC_TPOT_MS, OUTPUT, METRIC_E2E_MS),
    WANT(RUN_SERVED, LOAD_CONCURRENCY, FIT_FIRST_TOKEN, FIT_TTFT, METRIC_TTFT_MS),
    WANT(RUN_SERVED, LOAD_SATURATED, FIT_STEP, FIT_SATURATED, OUTPUT, METRIC_TPOT_MS),
    WANT(RUN_SERVED, LOAD_STATIC_BATCH, FIT_STEP, FIT_STATIC, OUTPUT, METRIC_E2E_MS, METRIC_TPOT_MS),
    WANT(RUN_SERVED, LOAD_RATE, FIT_STEP, FIT_TPOT, METRIC_TPOT_MS),
    WANT(RUN_SERVED, LOAD_RATE, FIT_FIRST_TOKEN, FIT_TTFT, METRIC_TTFT_MS),
    WANT(RUN_DECODE, LOAD_COUNT, FIT_STEP, FIT_TPOT, METRIC_TPOT_MS, METRIC_OUTPUT_TOKENS_PER_SECOND),
    WANT(RUN_PREFILL, LOAD_COUNT, FIT_STEP, FIT_TTFT, METRIC_PREFILL_TOKENS_PER_SECOND),
#undef WANT
#undef OUTPUT
};
enum { WANTS = sizeof wants / sizeof *wants };

static bool applies(const struct want *want, const struct run *run)
{
    return want->run == run->kind && (want->load == LOAD_COUNT || want->load == run->load.load);
}

/* METRIC_COUNT: none of them. */
static enum metric chosen(const struct run *run, const struct want *want)
{
    size_t i = 0;
    for (; want->choices[i] != METRIC_COUNT; i++) {
        if (run->measured[want->choices[i]] > 0 && !run->unscored[want->choices[i]]) break;
    }
    return want->choices[i];
}

static double error_of(const struct residual *residual)
{
    struct predicted metrics[METRIC_COUNT];
    run_predict(residual->run, metrics);
    double value = metrics[residual->metric].value;
    return value > 0 && isfinite(value) ? log(value) - residual->log_measured : 0;
}

/* --- what was measured --- */

static int compare_bytes(uintptr_t a, uintptr_t b)
{
    return (a > b) - (a < b);
}

/* By everything that a run states but its version and day. NaN is equal to NaN here. */
static int compare_configurations(const void *a, const void *b)
{
    const struct run *x = *(const struct run *const *)a, *y = *(const struct run *const *)b;
    const struct deployment *p = &x->deployment, *q = &y->deployment;
    const uintptr_t names[][2] = {
        {(uintptr_t)p->model, (uintptr_t)q->model},
        {(uintptr_t)p->gpu, (uintptr_t)q->gpu},
        {(uintptr_t)p->engine, (uintptr_t)q->engine},
        {p->weight_dtype, q->weight_dtype},
        {p->kv_dtype, q->kv_dtype},
        {p->tensor_parallel, q->tensor_parallel},
        {p->pipeline_parallel, q->pipeline_parallel},
        {p->expert_parallel, q->expert_parallel},
        {x->kind, y->kind},
        {x->load.load, y->load.load},
    };
    const double numbers[][2] = {
        {x->load.concurrency, y->load.concurrency},
        {x->load.batch_size, y->load.batch_size},
        {x->load.requests_per_second, y->load.requests_per_second},
        {x->input_tokens, y->input_tokens},
        {x->output_tokens, y->output_tokens},
    };
    int order = 0;
    for (size_t i = 0; order == 0 && i < sizeof names / sizeof *names; i++)
        order = compare_bytes(names[i][0], names[i][1]);
    for (size_t i = 0; order == 0 && i < sizeof numbers / sizeof *numbers; i++)
        order = (numbers[i][0] > numbers[i][1]) - (numbers[i][0] < numbers[i][1]);
    return order;
}

/* Ties are kept in the order of the rows. */
static int compare_runs(const void *a, const void *b)
{
    int order = compare_configurations(a, b);
    return order
               ? order
               : compare_bytes((uintptr_t) * (const struct run *const *)a, (uintptr_t) * (const struct run *const *)b);
}

/* ret_configurations[i] of run i: numbered in the order of the first run of each. */
static enum status number_configurations(const struct runs *runs, struct arena *arena, uint32_t *ret_configurations,
                                         size_t *ret_count)
{
    const struct run **sorted = ARENA_ARRAY(arena, runs->count + 1, const struct run *);
    size_t *first = ARENA_ARRAY(arena, runs->count + 1, size_t);
    if (!sorted || !first) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < runs->count; i++)
        sorted[i] = &runs->items[i];
    qsort(sorted, runs->count, sizeof(const struct run *), compare_runs);
    for (size_t i = 0, begin = 0; i < runs->count; i++) {
        if (compare_configurations(&sorted[begin], &sorted[i]) != 0) begin = i;
        first[sorted[i] - runs->items] = (size_t)(sorted[begin] - runs->items);
    }
    size_t count = 0;
    for (size_t i = 0; i < runs->count; i++)
        ret_configurations[i] = first[i] == i ? (uint32_t)count++ : ret_configurations[first[i]];
    *ret_count = count;
    return STATUS_OK;
}

static size_t workspace_index(const struct workspace *workspace, const struct engine_profile *engine)
{
    size_t i = 0;
    while (i < workspace->count && workspace->originals[i] != engine)
        i++;
    return i;
}

static enum fit_load load_of(const struct run *run)
{
    if (run->kind != RUN_SERVED) return FIT_LOAD_SERVED;
    if (run->load.load == LOAD_SATURATED) return FIT_LOAD_SATURATED;
    return run->load.load == LOAD_STATIC_BATCH ? FIT_LOAD_STATIC : FIT_LOAD_SERVED;
}

/* Coefficients are fitted to what the formula says by itself: what rows of groups said goes. */
static void forget_groups(struct deployment *deployment)
{
    for (enum fit_load load = 0; load < FIT_LOAD_COUNT; load++) {
        deployment->fits[load] = NULL;
        deployment->kin[load] = (struct engine_kin){1, 1, 0};
    }
}

/* Adds the figures of one run. Its profile becomes the workspace's, which a fit changes: memory, and all else that
 * belongs to the run, stays as it is. */
static void add_run(struct run *run, const struct workspace *workspace, uint32_t configuration, uint32_t counts[WANTS],
                    struct residuals *residuals)
{
    size_t profile = workspace_index(workspace, run->deployment.engine);
    if (profile == workspace->count) return;
    double log_time = log(deployment_time_ratio(&run->deployment, load_of(run)));
    double log_ttft = log(deployment_ttft_ratio(&run->deployment));
    run->deployment.engine = &workspace->profiles[profile];
    forget_groups(&run->deployment);
    if (run->refused) {
        residuals->refused++;
        return;
    }
    struct predicted metrics[METRIC_COUNT];
    run_predict(run, metrics);
    bool compared = false, answered = false;
    for (size_t i = 0; i < WANTS; i++) {
        enum metric metric = applies(&wants[i], run) ? chosen(run, &wants[i]) : METRIC_COUNT;
        if (metric == METRIC_COUNT) continue;
        compared = true;
        if (!(metrics[metric].value > 0)) continue;
        answered = true;
        counts[i]++;
        residuals->items[residuals->count++] = (struct residual){
            .run = run,
            .owner = workspace->owners[profile],
            .metric = metric,
            .kind = wants[i].kind,
            .stage = wants[i].stage,
            .log_measured = log(run->measured[metric]),
            .load = load_of(run),
            .log_former = wants[i].stage == FIT_FIRST_TOKEN ? log_ttft : log_time,
            .repeats = &counts[i],
            .configuration = configuration,
        };
    }
    residuals->refused += !compared;
    residuals->unanswered += compared && !answered;
}

enum status residuals_of(const struct runs *runs, const struct workspace *workspace, struct arena *arena,
                         struct problems *problems, struct residuals *ret_residuals)
{
    struct residuals residuals = {0};
    uint32_t *configurations = ARENA_ARRAY(arena, runs->count + 1, uint32_t);
    uint32_t(*counts)[WANTS] = arena_array(arena, runs->count + 1, sizeof *counts);
    struct run *copies = ARENA_ARRAY(arena, runs->count + 1, struct run);
    residuals.items = ARENA_ARRAY(arena, 3 * runs->count + 1, struct residual); /* no load has more wants */
    if (!copies || !configurations || !counts || !residuals.items ||
        number_configurations(runs, arena, configurations, &residuals.configuration_count) != STATUS_OK)
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for residuals");
    for (size_t i = 0; i < runs->count; i++) {
        copies[i] = runs->items[i];
        add_run(&copies[i], workspace, configurations[i], counts[configurations[i]], &residuals);
    }
    for (size_t i = 0; i < residuals.count; i++)
        residuals.items[i].weight = 1.0 / *residuals.items[i].repeats;
    *ret_residuals = residuals;
    return STATUS_OK;
}

/* --- evaluation --- */

struct part {
    const struct residual *items;
    size_t begin, end;
    int owner;
    double *errors;
};

static void *evaluate_part(void *data)
{
    const struct part *part = data;
    for (size_t i = part->begin; i < part->end; i++) {
        if (part->owner == OWNER_ALL || part->owner == part->items[i].owner)
            part->errors[i] = error_of(&part->items[i]);
    }
    return NULL;
}

void residuals_evaluate(const struct residual *items, size_t count, int owner, unsigned threads, double *ret_errors)
{
    size_t parts = threads < 1 ? 1 : threads < THREADS_MAX ? threads : THREADS_MAX;
    if (parts > count / PART_MIN + 1) parts = count / PART_MIN + 1;
    struct part part[THREADS_MAX];
    pthread_t thread[THREADS_MAX];
    bool started[THREADS_MAX] = {false};
    for (size_t i = parts; i-- > 0;) { /* the first part is this thread's own */
        part[i] = (struct part){items, count * i / parts, count * (i + 1) / parts, owner, NULL};
        part[i].errors = ret_errors;
        started[i] = i > 0 && pthread_create(&thread[i], NULL, evaluate_part, &part[i]) == 0;
        if (!started[i]) (void)evaluate_part(&part[i]);
    }
    for (size_t i = 1; i < parts; i++) {
        if (started[i]) (void)pthread_join(thread[i], NULL);
    }
}
