/* score.c owns which figures are compared, and how far a prediction is off. */
#include "evaluate/score.h"

#include <stdlib.h>

static const char *reason_of(const struct run *run, enum metric metric, struct predicted predicted)
{
    if (run->refused) return run->refused;
    if (run->unscored[metric]) return run->unscored[metric];
    if (predicted.value > 0 || (metric == METRIC_FITS && is_known(predicted.value))) return NULL;
    if (run->kind == RUN_START) return "the prediction is that it does not start";
    if (run->memory.kv_pool_bytes <= 0 ||
        memory_sequences_at(&run->deployment, &run->memory, run->input_tokens + run->output_tokens) < 1)
        return "the prediction is that not one request of these lengths fits";
    const struct gpu *gpu = run->deployment.gpu;
    if (!is_known(gpu->memory_bandwidth_gb_per_s) || !is_known(gpu->peak_tflops[PEAK_FP16]))
        return "the catalog does not know the GPU's bandwidth or its 16-bit peak";
    return "the row says nothing that leads to it";
}

static struct score score_of(const struct run *run, enum metric metric, struct predicted predicted)
{
    struct score score = {.run = run, .metric = metric, .measured = run->measured[metric], .predicted = predicted};
    score.reason = reason_of(run, metric, predicted);
    score.error_ratio = score.reason            ? UNKNOWN
                        : metric == METRIC_FITS ? fabs(predicted.value - score.measured)
                                                : round6(fabs(predicted.value / score.measured - 1));
    return score;
}

static size_t measured_count(const struct run *run)
{
    size_t count = 0;
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++)
        count += is_known(run->measured[metric]);
    return count;
}

static void add_scores(const struct run *run, struct scores *scores)
{
    struct predicted predicted[METRIC_COUNT];
    run_predict(run, predicted);
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
        if (is_known(run->measured[metric])) scores->items[scores->count++] = score_of(run, metric, predicted[metric]);
    }
    if (measured_count(run) > 0) return;
    const char *reason = run->refused ? run->refused : "no result is given";
    scores->items[scores->count++] =
        (struct score){run, METRIC_COUNT, UNKNOWN, PREDICTED_UNKNOWN, UNKNOWN, .reason = reason};
}

enum status scores_make(const struct runs *runs, struct arena *arena, struct problems *problems,
                        struct scores *ret_scores)
{
    size_t room = 0;
    for (size_t i = 0; i < runs->count; i++) {
        size_t count = measured_count(&runs->items[i]);
        room += count ? count : 1;
    }
    *ret_scores = (struct scores){.items = ARENA_ARRAY(arena, room + 1, struct score)};
    if (!ret_scores->items) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for %zu scores", room);
    for (size_t i = 0; i < runs->count; i++)
        add_scores(&runs->items[i], ret_scores);
    return STATUS_OK;
}

double score_quantile(double *values, size_t count, double share)
{
    if (count == 0) return UNKNOWN;
    qsort(values, count, sizeof *values, double_compare);
    double place = share * (double)(count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < count ? below + 1 : below;
    return values[below] + (place - (double)below) * (values[above] - values[below]);
}
