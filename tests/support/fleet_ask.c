/* fleet_ask.c owns the bodies of fleet_ask.h. */
#include "support/fleet_ask.h"

#include "api/operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TODAY_DAYS = 20780 }; /* 2026-11-23 */

/* --- catalogs --------------------------------------------------------------------------------------------------- */

static struct snapshot *load(const struct catalog_text files[CATALOG_FILE_COUNT])
{
    struct arena arena;
    struct problems problems;
    struct snapshot *snapshot = NULL;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    if (catalog_load(files, &problems, &snapshot) != STATUS_OK) {
        for (size_t i = 0; i < problems.count; i++)
            print_error("%s: %s\n", problems.items[i].field, problems.items[i].detail);
        fail_msg("the catalog was refused");
    }
    arena_done(&arena);
    return snapshot;
}

struct snapshot *fleet_catalog(void)
{
    return load(catalog_bundled());
}

struct line {
    const char *text;
    size_t length;
};

/* Lines of a CSV text; a line end inside quotes is part of a cell. */
static size_t split_lines(const struct catalog_text *file, struct line *lines, size_t lines_max)
{
    size_t count = 0, from = 0;
    bool quoted = false;
    for (size_t i = 0; i < file->length; i++) {
        if (file->text[i] == '"') quoted = !quoted;
        if (file->text[i] != '\n' || quoted) continue;
        assert_true(count < lines_max);
        lines[count++] = (struct line){file->text + from, i + 1 - from};
        from = i + 1;
    }
    assert_int_equal(from, file->length); /* the last line is ended */
    return count;
}

/* The header stays where it is. */
static char *shuffled(const struct catalog_text *file, unsigned *seed)
{
    enum { LINES_MAX = 4096 };
    struct line *lines = calloc(LINES_MAX, sizeof *lines);
    char *text = malloc(file->length), *out = text;
    assert_non_null(lines);
    assert_non_null(text);
    size_t count = split_lines(file, lines, LINES_MAX);
    for (size_t i = count - 1; i > 1; i--) {
        size_t other = 1 + (size_t)rand_r(seed) % i;
        struct line kept = lines[i];
        lines[i] = lines[other];
        lines[other] = kept;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(out, lines[i].text, lines[i].length);
        out += lines[i].length;
    }
    free(lines);
    return text;
}

struct snapshot *fleet_catalog_shuffled(unsigned seed)
{
    struct catalog_text files[CATALOG_FILE_COUNT];
    memcpy(files, catalog_bundled(), sizeof files);
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++)
        files[i].text = shuffled(&files[i], &seed);
    struct snapshot *snapshot = load(files);
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++)
        free((void *)(uintptr_t)files[i].text);
    return snapshot;
}

struct snapshot *fleet_catalog_measured(const char *lines)
{
    struct catalog_text files[CATALOG_FILE_COUNT];
    memcpy(files, catalog_bundled(), sizeof files);
    struct catalog_text *file = &files[FILE_MEASURED];
    char *text = NULL;
    int header = (int)strcspn(file->text, "\n") + 1, length = asprintf(&text, "%.*s%s", header, file->text, lines);
    assert_true(length > header);
    file->text = text;
    file->length = (size_t)length;
    struct snapshot *snapshot = load(files);
    free(text);
    return snapshot;
}

/* --- questions -------------------------------------------------------------------------------------------------- */

static struct asked *asked_new(const struct snapshot *snapshot, size_t max_bytes, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static struct asked *asked_new(const struct snapshot *snapshot, size_t max_bytes, const char *format, va_list args)
{
    struct asked *asked = calloc(1, sizeof *asked);
    assert_non_null(asked);
    int length = vsnprintf(asked->body, sizeof asked->body, format, args);
    assert_in_range(length, 1, sizeof asked->body - 1);
    for (char *at = asked->body; *at; at++) {
        if (*at == '\'') *at = '"';
    }
    arena_init(&asked->arena, max_bytes);
    problems_init(&asked->problems, &asked->arena);
    out_init(&asked->out, 1 << 24);
    asked->status = input_from_json(&asked->arena, asked->body, (size_t)length, &asked->problems, &asked->input);
    asked->call = (struct call){.snapshot = snapshot,
                                .input = asked->input,
                                .today = {TODAY_DAYS},
                                .arena = &asked->arena,
                                .problems = &asked->problems,
                                .out = &asked->out};
    return asked;
}

static void run(struct asked *asked)
{
    if (asked->status == STATUS_OK)
        asked->status = fleet_answer(&asked->call, &operation_recommend, VALUE_ABSENT, &asked->answer);
}

struct asked *fleet_ask(const struct snapshot *snapshot, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct asked *asked = asked_new(snapshot, 0, format, args);
    va_end(args);
    run(asked);
    return asked;
}

struct asked *fleet_ask_within(const struct snapshot *snapshot, size_t max_bytes, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct asked *asked = asked_new(snapshot, max_bytes, format, args);
    va_end(args);
    run(asked);
    return asked;
}

struct asked *fleet_ask_text(const struct snapshot *snapshot, const char *operation, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct asked *asked = asked_new(snapshot, 0, format, args);
    va_end(args);
    if (asked->status == STATUS_OK) asked->status = operation_run(operation_find(operation), &asked->call);
    out_raw(&asked->out, "", 1); /* an end for those who read it as text */
    return asked;
}

void fleet_done(struct asked *asked)
{
    input_done(asked->input);
    out_done(&asked->out);
    arena_done(&asked->arena);
    free(asked);
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static void show_problems(const struct asked *asked)
{
    print_error("%s\n", asked->body);
    for (size_t i = 0; i < asked->problems.count; i++)
        print_error("  %s: %s\n", asked->problems.items[i].field, asked->problems.items[i].detail);
}

struct question fleet_question(struct asked *asked)
{
    const struct recommend_request *request = &asked->answer.request;
    struct recommend_context context = {.snapshot = asked->call.snapshot,
                                        .model = &asked->answer.model.facts,
                                        .kv_dtype = dtype_parse(request->kv_dtype),
                                        .weights_bytes = asked->answer.model.weights_bytes,
                                        .model_assumed = asked->answer.model.assumed,
                                        .today = asked->call.today};
    struct question question;
    enum status found = snapshot_find_profile(context.snapshot, request->engine, request->engine_version, "engine",
                                              &asked->problems, &context.engine);
    assert_int_equal(found, STATUS_OK);
    assert_int_equal(question_read(&context, &asked->answer.request, &asked->arena, &asked->problems, &question),
                     STATUS_OK);
    return question;
}

const struct option *fleet_best(const struct asked *asked)
{
    const struct recommendation *found = &asked->answer.recommendation;
    if (asked->status != STATUS_OK || !found->has_recommended) {
        show_problems(asked);
        fail_msg("nothing is recommended");
    }
    return &found->options[0];
}

uint32_t fleet_gpu(const struct snapshot *snapshot, const char *id)
{
    for (uint32_t gpu = 0; gpu < snapshot->gpu_count; gpu++) {
        if (strcmp(snapshot->gpus[gpu].id, id) == 0) return gpu;
    }
    fail_msg("no GPU %s", id);
    return 0;
}

const struct rejection *fleet_rejection(const struct asked *asked, const char *gpu)
{
    const struct recommendation *found = &asked->answer.recommendation;
    uint32_t index = fleet_gpu(asked->call.snapshot, gpu);
    for (size_t i = 0; i < found->rejected_count; i++) {
        if (found->rejected[i].gpu == index) return &found->rejected[i];
    }
    return NULL;
}

const struct relaxation *fleet_relaxation(const struct asked *asked, const char *constraint)
{
    const struct recommendation *found = &asked->answer.recommendation;
    for (size_t i = 0; i < found->relaxation_count; i++) {
        if (strcmp(found->relaxations[i].constraint, constraint) == 0) return &found->relaxations[i];
    }
    return NULL;
}

bool fleet_has_problem(const struct asked *asked, enum status status, const char *field)
{
    for (size_t i = 0; i < asked->problems.count; i++) {
        const struct problem *problem = &asked->problems.items[i];
        if (problem->status == status && strcmp(problem->field, field) == 0) return true;
    }
    show_problems(asked);
    return false;
}
