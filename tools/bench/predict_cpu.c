/* predict_cpu.c owns the measurement of single predictions: CPU time of a bound, and of a full prediction at a request
 * rate with all percentiles, of models on GPUs of the bundled catalog. Usage: bench_predict */
#include "catalog/load.h"
#include "sizing/performance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 2000, LAYOUTS_MAX = 32 };

/* A deployment that fits, as a search prepares it. */
struct layout {
    struct deployment deployment;
    struct memory memory;
    struct roofline roofline;
};

static double cpu_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static const double input_tokens = 1000, output_tokens = 250;

static size_t make_layouts(const struct snapshot *snapshot, struct problems *problems, struct layout *layouts)
{
    static const struct {
        const char *model, *engine;
        uint32_t tensor_parallel;
    } asked[] = {{"llama-3.1-8b", "vllm", 1},
                 {"llama-3.3-70b", "sglang", 4},
                 {"gpt-oss-120b", "vllm", 2},
                 {"deepseek-r1", "sglang", 8},
                 {"qwen2.5-32b", "llama.cpp", 1}};
    static const char *const gpus[] = {"h100-sxm", "h200-sxm", "b200-sxm", "mi300x"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        for (size_t g = 0; g < sizeof gpus / sizeof gpus[0]; g++) {
            struct layout *layout = &layouts[count];
            struct deployment *deployment = &layout->deployment;
            *deployment =
                (struct deployment){.tensor_parallel = asked[i].tensor_parallel, .max_model_len_tokens = 8192};
            if (snapshot_find_model(snapshot, ALIAS_USER, asked[i].model, "", problems, &deployment->model) !=
                    STATUS_OK ||
                snapshot_find_gpu(snapshot, ALIAS_USER, gpus[g], "", problems, &deployment->gpu) != STATUS_OK ||
                snapshot_find_profile(snapshot, asked[i].engine, "", "", problems, &deployment->engine) != STATUS_OK) {
                (void)fprintf(stderr, "%s\n", problems->items[0].detail);
                exit(1);
            }
            deployment_default(deployment);
            count += memory_size(deployment, &layout->memory) == STATUS_OK && layout->memory.fits;
        }
    }
    return count;
}

static double bound_of(struct layout *layout)
{
    roofline_init(&layout->roofline, &layout->deployment, &layout->memory, input_tokens, output_tokens);
    return roofline_output_bound(&layout->roofline);
}

/* At three quarters of what it could do. */
static double predict(struct layout *layout)
{
    const struct load_point load = {.load = LOAD_RATE,
                                    .requests_per_second = 0.75 * bound_of(layout) / output_tokens,
                                    .arrival_cv2 = 1,
                                    .percentile = 95,
                                    .all_percentiles = true};
    struct performance performance;
    performance_predict(&layout->roofline, &load, &performance);
    return performance.tpot_ms.value;
}

static double size_memory(struct layout *layout)
{
    deployment_default(&layout->deployment);
    return memory_size(&layout->deployment, &layout->memory) == STATUS_OK ? layout->memory.kv_units : 0;
}

static void measure(const char *title, double (*function)(struct layout *), struct layout *layouts, size_t count)
{
    double least = INFINITY, most = 0, all = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        double begin = cpu_us();
        for (int round = 0; round < ROUNDS; round++)
            sum += function(&layouts[i]);
        double us = (cpu_us() - begin) / ROUNDS;
        least = fmin(least, us);
        most = fmax(most, us);
        all += us;
    }
    (void)printf("%-16s %zu layouts: mean %.3f us CPU, least %.3f, most %.3f (sum %.6g)\n", title, count,
                 all / (double)count, least, most, sum);
}

int main(void)
{
    static struct layout layouts[LAYOUTS_MAX];
    struct arena arena;
    struct problems problems;
    struct snapshot *snapshot = NULL;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    if (catalog_load(catalog_bundled(), &problems, &snapshot) != STATUS_OK) return 1;
    size_t count = make_layouts(snapshot, &problems, layouts);
    measure("memory", size_memory, layouts, count);
    measure("bound", bound_of, layouts, count);
    measure("full prediction", predict, layouts, count);
    snapshot_free(snapshot);
    arena_done(&arena);
    return 0;
}
