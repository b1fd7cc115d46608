/* cpu.c owns the same questions asked of the CPU: triad and read bandwidth over all CPUs that the process may use, and
 * the rate of fp32 multiply-adds. It also keeps the path from samples to report testable on any machine. */
#include "kernels/child.h"
#include "kernels/probe.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    THREADS_MAX = 512,
    ARRAYS = 3,
    CACHE_RATIO = 4, /* each array is at least so many times the last cache: nothing stays in it */
    CHAINS = 64,     /* independent: enough for two units and a latency of 4 cycles */
    LOOPS_FIRST = 20000,
    PAGE_BYTES = 4096,
};
#define ARRAY_MIN_BYTES (128UL << 20)
#define ARRAY_MAX_BYTES (512UL << 20)
#define CACHE_UNKNOWN_BYTES (32UL << 20)
#define FMA_SAMPLE_S 0.04
#define READ_MULTIPLIER 0x9E3779B1U
#define READ_SEED 9U

/* The loops that are timed are compiled for what the CPU has, and never instrumented: sanitizers would be what is
 * measured. A resolver of clones runs before a sanitizer is ready. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(SANITIZED)
#define TIMED __attribute__((noinline, no_sanitize("address", "thread", "undefined")))
#elif defined(__x86_64__) && defined(__linux__)
#define TIMED __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define TIMED __attribute__((noinline))
#endif

TIMED static void triad(float *restrict a, const float *restrict b, const float *restrict c, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++)
        a[i] = b[i] + 0.5F * c[i];
}

TIMED static uint32_t add_up(const uint32_t *words, size_t first, size_t last)
{
    uint32_t sum = 0;
    for (size_t i = first; i < last; i++)
        sum += words[i];
    return sum;
}

/* x = x a + b, from which follows what comes out. */
TIMED static float multiply_add(size_t loops)
{
    float x[CHAINS], sum = 0;
    for (int i = 0; i < CHAINS; i++)
        x[i] = (float)i;
    for (size_t k = 0; k < loops; k++) {
        for (int i = 0; i < CHAINS; i++)
            x[i] = x[i] * 0.999F + 0.001F;
    }
    for (int i = 0; i < CHAINS; i++)
        sum += x[i];
    return sum;
}

TIMED static void fill_floats(float *floats, size_t first, size_t last, float value)
{
    for (size_t i = first; i < last; i++)
        floats[i] = value;
}

TIMED static void fill_words(uint32_t *words, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++)
        words[i] = (uint32_t)i * READ_MULTIPLIER + READ_SEED;
}

/* Of fill_words over [0, count), modulo 2^32. */
static uint32_t sum_of_words(size_t count)
{
    uint64_t pairs = count % 2 ? (uint64_t)count * ((count - 1) / 2) : (uint64_t)(count / 2) * (count - 1);
    return (uint32_t)pairs * READ_MULTIPLIER + (uint32_t)count * READ_SEED;
}

/* --- one round: all threads do their share at the same time --- */

enum work { FILL_FLOATS, FILL_WORDS, TRIAD, READ, MULTIPLY_ADD };
enum gate_state { GATE_SHUT, GATE_OPEN, GATE_CANCELLED };

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum gate_state state;
};

struct share {
    enum work work;
    float *a, *b, *c; /* one block: behind each other */
    size_t first, last, loops;
    int cpu;
    struct gate *gate;
    uint32_t sum;
    float result;
    double began_s, ended_s;
};

struct team {
    struct share *shares;
    pthread_t *threads;
    size_t count, length; /* of threads; of an array */
    float *a, *b, *c;
};

static void do_share(struct share *share)
{
    share->began_s = monotonic_s();
    switch (share->work) {
    case FILL_FLOATS:
        fill_floats(share->a, share->first, share->last, 0);
        fill_floats(share->b, share->first, share->last, 1);
        fill_floats(share->c, share->first, share->last, 2);
        break;
    case FILL_WORDS: fill_words((uint32_t *)(void *)share->a, ARRAYS * share->first, ARRAYS * share->last); break;
    case TRIAD: triad(share->a, share->b, share->c, share->first, share->last); break;
    case READ:
        share->sum = add_up((const uint32_t *)(const void *)share->a, ARRAYS * share->first, ARRAYS * share->last);
        break;
    case MULTIPLY_ADD: share->result = multiply_add(share->loops); break;
    }
    share->ended_s = monotonic_s();
}

static void *run_thread(void *arg)
{
    struct share *share = arg;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)share->cpu, &one);
    (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one); /* its pages lie beside it; without, it is slower */
    (void)pthread_mutex_lock(&share->gate->mutex);
    while (share->gate->state == GATE_SHUT)
        (void)pthread_cond_wait(&share->gate->changed, &share->gate->mutex);
    bool open = share->gate->state == GATE_OPEN;
    (void)pthread_mutex_unlock(&share->gate->mutex);
    if (open) do_share(share);
    return NULL;
}

static void open_gate(struct gate *gate, enum gate_state state)
{
    (void)pthread_mutex_lock(&gate->mutex);
    gate->state = state;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->mutex);
}

/* Seconds from the first start to the last end; 0 if there are too few threads. */
static double run_round(struct team *team, enum work work, size_t loops)
{
    struct gate gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .state = GATE_SHUT};
    double began_s = INFINITY, ended_s = 0;
    size_t made = 0;
    for (; made < team->count; made++) {
        struct share *share = &team->shares[made];
        share->work = work;
        share->loops = loops;
        share->gate = &gate;
        if (pthread_create(&team->threads[made], NULL, run_thread, share) != 0) break;
    }
    open_gate(&gate, made == team->count ? GATE_OPEN : GATE_CANCELLED);
    for (size_t i = 0; i < made; i++) {
        (void)pthread_join(team->threads[i], NULL);
        began_s = fmin(began_s, team->shares[i].began_s);
        ended_s = fmax(ended_s, team->shares[i].ended_s);
    }
    return made == team->count ? ended_s - began_s : 0;
}

static void sample(struct team *team, const struct probe_budget *budget, enum work work, size_t loops,
                   struct probe_result *result)
{
    double spent_s = 0;
    for (uint32_t i = 0; i < budget->warmups; i++)
        (void)run_round(team, work, loops);
    while (result->samples < budget->samples_max && result->samples < PROBE_SAMPLES_MAX) {
        double seconds = run_round(team, work, loops);
        result->launches++;
        result->seconds[result->samples++] = seconds;
        spent_s += seconds;
        if (seconds <= 0 || (spent_s > budget->seconds_max && result->samples >= budget->samples_min)) break;
        if (spent_s > 2 * budget->seconds_max && result->samples >= 3) break; /* a slow machine */
    }
}

/* --- the probes --- */

static void probe_triad(struct team *team, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin("cpu_triad", "GB/s");
    result.shape.bytes = ARRAYS * team->length * sizeof(float);
    sample(team, budget, TRIAD, 0, &result);
    result.verified = "reference";
    float first = team->a[0], last = team->a[team->length - 1];
    if (first == 2.0F && last == 2.0F) /* as STREAM counts: without what a cache reads before it writes */
        probe_set_rate(&result, 3.0 * sizeof(float) * (double)team->length, 1e9);
    else
        probe_fail(&result, PROBE_ERROR, REASON_VERIFICATION, "1 + 0.5 x 2 came out as %g and %g", (double)first,
                   (double)last);
    emit(&result, sink);
}

static void probe_read(struct team *team, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin("cpu_read", "GB/s");
    uint32_t sum = 0;
    size_t words = ARRAYS * team->length;
    result.shape.bytes = words * sizeof(uint32_t);
    (void)run_round(team, FILL_WORDS, 0);
    sample(team, budget, READ, 0, &result);
    result.verified = "checksum";
    for (size_t i = 0; i < team->count; i++)
        sum += team->shares[i].sum;
    if (sum == sum_of_words(words))
        probe_set_rate(&result, (double)result.shape.bytes, 1e9);
    else
        probe_fail(&result, PROBE_ERROR, REASON_VERIFICATION, "the checksum is %08x", sum);
    emit(&result, sink);
}

/* All chains end at x = b / (1 - a) = 1, but for what is left of their start. */
static float expected_sum(size_t loops)
{
    double left = pow(0.999, (double)loops), sum = 0;
    for (int i = 0; i < CHAINS; i++)
        sum += 1 + left * (i - 1);
    return (float)sum;
}

static void probe_multiply_add(struct team *team, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct probe_result result = probe_result_begin("cpu_fp32_fma", "TFLOP/s");
    size_t loops = LOOPS_FIRST;
    double first_s = run_round(team, MULTIPLY_ADD, loops); /* sizes the next ones */
    if (first_s > 0) loops = (size_t)fmax(1000, (double)loops * fmin(1000, FMA_SAMPLE_S / first_s));
    memcpy(result.shape.dtype, "fp32", sizeof "fp32");
    sample(team, budget, MULTIPLY_ADD, loops, &result);
    result.verified = "reference";
    float got = team->shares[0].result, expected = expected_sum(loops);
    if (fabsf(got - expected) <= 1e-3F * expected)
        probe_set_rate(&result, 2.0 * CHAINS * (double)loops * (double)team->count, 1e12);
    else
        probe_fail(&result, PROBE_ERROR, REASON_VERIFICATION, "the chains end at %g, not at %g", (double)got,
                   (double)expected);
    emit(&result, sink);
}

/* --- memory and threads --- */

static size_t array_bytes(void)
{
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE), pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t bytes = CACHE_RATIO * (cache > 0 ? (size_t)cache : CACHE_UNKNOWN_BYTES);
    size_t free_bytes = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
    if (bytes < ARRAY_MIN_BYTES) bytes = ARRAY_MIN_BYTES;
    if (bytes > ARRAY_MAX_BYTES) bytes = ARRAY_MAX_BYTES;
    size_t fair = free_bytes / 2 / ARRAYS;
    if (fair && bytes > fair) bytes = fair;
    return bytes / PAGE_BYTES * PAGE_BYTES;
}

static void divide(struct team *team, const cpu_set_t *allowed)
{
    int cpu = 0;
    for (size_t i = 0; i < team->count; i++, cpu++) {
        while (!CPU_ISSET((size_t)cpu, allowed))
            cpu++;
        team->shares[i] = (struct share){
            .a = team->a,
            .b = team->b,
            .c = team->c,
            .first = team->length * i / team->count,
            .last = team->length * (i + 1) / team->count,
            .cpu = cpu,
        };
    }
}

static bool team_make(struct team *team)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 1) CPU_SET(0, &allowed);
    size_t bytes = array_bytes();
    team->count = (size_t)CPU_COUNT(&allowed);
    if (team->count > THREADS_MAX) team->count = THREADS_MAX;
    team->length = bytes / sizeof(float);
    team->shares = calloc(team->count, sizeof *team->shares);
    team->threads = calloc(team->count, sizeof *team->threads);
    team->a = bytes ? aligned_alloc(PAGE_BYTES, ARRAYS * bytes) : NULL;
    if (!team->shares || !team->threads || !team->a) return false;
    team->b = team->a + team->length;
    team->c = team->b + team->length;
    divide(team, &allowed);
    return true;
}

static void team_free(struct team *team)
{
    free(team->shares);
    free(team->threads);
    free(team->a);
}

void probe_cpu(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit, void *sink)
{
    struct team team = {0};
    (void)device;
    if (team_make(&team) && run_round(&team, FILL_FLOATS, 0) > 0) {
        probe_triad(&team, budget, emit, sink);
        probe_read(&team, budget, emit, sink);
        probe_multiply_add(&team, budget, emit, sink);
    } else {
        struct probe_result result = probe_result_begin("cpu_triad", "GB/s");
        probe_fail(&result, PROBE_WAIVED, REASON_NOT_ENOUGH_MEMORY, "there is no room for three arrays and %zu threads",
                   team.count);
        emit(&result, sink);
    }
    team_free(&team);
}
