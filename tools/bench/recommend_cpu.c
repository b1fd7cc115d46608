/* recommend_cpu.c owns the measurement of one whole recommendation: CPU time of 1,000 different questions, asked of the
 * bundled catalog and of one with 10,000 offers, from JSON text to JSON answer. Usage: bench_recommend [QUESTIONS] */
#include "api/operation.h"
#include "catalog/load.h"
#include "catalog/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUESTIONS_MAX = 100000, OFFERS_WANTED = 10000, BODY_BYTES = 1024 };

static double cpu_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* Question i: another model, load, length, limit and budget each time. */
static void write_question(const struct snapshot *snapshot, unsigned i, char body[BODY_BYTES])
{
    const struct model *model = &snapshot->models[i % snapshot->model_count];
    for (unsigned step = 1; model->encoder_only || model->max_position_tokens < 4096; step++) {
        model = &snapshot->models[(i + step) % snapshot->model_count];
    }
    static const char *const limits[] = {"", "\"slo\":{\"ttft_ms\":2000,\"tpot_ms\":80},", "\"slo\":{\"tpot_ms\":50},"};
    (void)snprintf(body, BODY_BYTES,
                   "{\"model\":\"%s\",\"workload\":{\"input_tokens\":%u,\"output_tokens\":%u,\"requests_per_second\":"
                   "%.3f},%s\"constraints\":{\"budget_usd\":%u},\"as_of\":\"2026-11-23\"}",
                   model->id, 128 + i * 7 % 2000, 32 + i * 3 % 500, 0.1 + (double)(i * 13 % 100) / 10, limits[i % 3],
                   20000 + i * 37 % 500000);
}

static int compare_doubles(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* Returns the CPU microseconds of one question; exits with a message if it fails. */
static double ask(const struct snapshot *snapshot, const char *body, bool *ret_found)
{
    double begin = cpu_us();
    struct arena arena;
    struct problems problems;
    struct input *input = NULL;
    struct out answer;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    out_init(&answer, 0);
    struct call call = {.snapshot = snapshot, .arena = &arena, .problems = &problems, .out = &answer};
    enum status status = input_from_json(&arena, body, strlen(body), &problems, &input);
    call.input = input;
    if (status == STATUS_OK) status = operation_run(&operation_recommend, &call);
    double used = cpu_us() - begin;
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "%s\n%s\n", body, problems.count ? problems.items[0].detail : status_code(status));
        exit(1);
    }
    *ret_found = !memmem(answer.data, answer.length, "\"recommended\":null", 18);
    input_done(input);
    out_done(&answer);
    arena_done(&arena);
    return used;
}

static void measure(const struct snapshot *snapshot, unsigned questions, const char *title)
{
    static double times[QUESTIONS_MAX];
    char body[BODY_BYTES];
    unsigned found = 0;
    bool one = false;
    for (unsigned i = 0; i < 20; i++)
        write_question(snapshot, i, body), (void)ask(snapshot, body, &one);
    for (unsigned i = 0; i < questions; i++) {
        write_question(snapshot, i, body);
        times[i] = ask(snapshot, body, &one);
        found += one;
    }
    qsort(times, questions, sizeof times[0], compare_doubles);
    (void)printf(
        "%-24s %5zu offers, %u questions, %u with a recommendation: median %.0f us CPU, p90 %.0f, p99 %.0f, max %.0f\n",
        title, snapshot->offer_count, questions, found, times[questions / 2], times[questions * 9 / 10],
        times[questions * 99 / 100], times[questions - 1]);
}

/* The bundled offers again and again under other instance names and prices. */
static struct snapshot *load_many(size_t offers)
{
    struct catalog_text files[CATALOG_FILE_COUNT];
    memcpy(files, catalog_bundled(), sizeof files);
    const char *rows = memchr(files[FILE_OFFERS].text, '\n', files[FILE_OFFERS].length);
    if (!rows) return NULL;
    size_t header = (size_t)(++rows - files[FILE_OFFERS].text), body = files[FILE_OFFERS].length - header;
    size_t copies = OFFERS_WANTED / offers + 1, length = header;
    char *text = malloc(header + copies * (body + offers * 16));
    if (!text) return NULL;
    memcpy(text, files[FILE_OFFERS].text, header);
    for (size_t copy = 0; copy < copies; copy++) {
        unsigned column = 0; /* the instance type gets a number: another key */
        for (const char *at = rows; at < rows + body; at++) {
            if (*at == ',' && ++column == 2) length += (size_t)snprintf(text + length, 16, "-%zu", copy);
            if (*at == '\n') column = 0;
            text[length++] = *at;
        }
    }
    files[FILE_OFFERS].text = text;
    files[FILE_OFFERS].length = length;
    struct arena arena;
    struct problems problems;
    struct snapshot *snapshot = NULL;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    if (catalog_load(files, &problems, &snapshot) != STATUS_OK)
        (void)fprintf(stderr, "%s %s\n", problems.items[0].field, problems.items[0].detail);
    arena_done(&arena);
    free(text);
    return snapshot;
}

int main(int argc, char **argv)
{
    int64_t questions = 1000;
    if (argc > 1 && (!text_parse_int64(argv[1], &questions) || questions < 1 || questions > QUESTIONS_MAX)) return 2;
    struct arena arena;
    struct problems problems;
    struct snapshot *snapshot = NULL, *many = NULL;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    double begin = cpu_us();
    if (catalog_load(catalog_bundled(), &problems, &snapshot) != STATUS_OK) return 1;
    (void)printf("catalog loaded in %.1f ms\n", (cpu_us() - begin) / 1000);
    measure(snapshot, (unsigned)questions, "bundled catalog");
    many = load_many(snapshot->offer_count);
    if (many) measure(many, (unsigned)questions, "many offers");
    snapshot_free(many);
    snapshot_free(snapshot);
    arena_done(&arena);
    return 0;
}
