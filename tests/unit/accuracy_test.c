/* accuracy_test.c owns the comparison of predicted with measured speed, on the rows of ../shared where they are
 * present: one line per load, engine and version range, and what the median error may be. */
#include "catalog/csv.h"
#include "catalog/load.h"
#include "catalog/text.h"
#include "sizing/performance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

static const char rows_path[] = "../shared/data/throughput_measured.csv";
enum { MOST_BYTES = 8 << 20, MOST_ROWS = 8192, MOST_GROUPS = 64 };

static struct arena arena;
static struct problems problems;
static struct snapshot *snapshot;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    if (catalog_load(catalog_bundled(), &problems, &snapshot) == STATUS_OK) return 0;
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s: %s\n", problems.items[i].field, problems.items[i].detail);
    return -1;
}

static int teardown(void **state)
{
    (void)state;
    snapshot_free(snapshot);
    arena_done(&arena);
    return 0;
}

struct table {
    struct csv csv;
    const char *columns[CSV_FIELDS_MAX];
    size_t column_count;
};

static const char *cell(const struct table *table, const char *column)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (strcmp(table->columns[i], column) == 0) return table->csv.fields[i];
    }
    fail_msg("no column %s", column);
    return "";
}

static double number(const struct table *table, const char *column)
{
    double value = 0;
    const char *text = cell(table, column);
    if (*text == '~') text++; /* about */
    return text_parse_double(text, &value) ? value : UNKNOWN;
}

static uint32_t count_of(const struct table *table, const char *column)
{
    double value = number(table, column);
    return value >= 1 ? (uint32_t)value : 0;
}

/* What each kind of row measures, the load that it is, and what the median error over all engines may be: 1.15 times
 * the 9.5 % of the fit at fixed concurrency; for the others what the fits reached and a little more. Prompts
 * of one sequence: GeForce GPUs and Apple's, which no fit covers, are half of the rows. */
struct kind {
    const char *load_mode;
    enum load load;
    const char *measured; /* column */
    bool time;            /* the figure is a time per token, else tokens per second */
    double median_limit;
};
static const struct kind kinds[] = {
    {"closed-loop", LOAD_CONCURRENCY, "tpot_ms", true, 0.109},
    {"max-load offline", LOAD_SATURATED, "out_tok_s_total", false, 0.12},
    {"static batch", LOAD_STATIC_BATCH, "out_tok_s_total", false, 0.1},
    {"batch-1 decode", LOAD_CONCURRENCY, "tpot_ms", true, 0.18},
    {"batch-1 prefill", LOAD_CONCURRENCY, "prefill_tok_s", false, 0.28},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const struct kind *kind_of(const char *load_mode)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i].load_mode, load_mode) == 0) return &kinds[i];
    }
    return NULL;
}

/* The first that is contained in the row's spelling. A 4-bit format not named is the model's own, or NVFP4. */
static const struct {
    const char *part;
    enum dtype dtype;
} weight_names[] = {
    {"nvfp4", DTYPE_NVFP4}, {"mxfp4", DTYPE_MXFP4}, {"fp8", DTYPE_FP8},   {"fp4", DTYPE_NVFP4},
    {"bf16", DTYPE_BF16},   {"fp16", DTYPE_FP16},   {"int4", DTYPE_INT4}, {"q4_k_m", DTYPE_Q4_K_M},
    {"q4_0", DTYPE_INT4},   {"f16", DTYPE_FP16},
};

static enum dtype weight_dtype_of(const char *precision, const struct model *model)
{
    for (size_t i = 0; i < sizeof weight_names / sizeof *weight_names; i++) {
        if (!strcasestr(precision, weight_names[i].part)) continue;
        bool own = model->native_dtype == DTYPE_MXFP4 && dtype_bits(weight_names[i].dtype) < 8;
        return own ? DTYPE_MXFP4 : weight_names[i].dtype;
    }
    return DTYPE_UNKNOWN;
}

/* The first "1.2" of the row's spelling; "" if there is none. */
static void version_of(const char *text, char ret_version[32])
{
    ret_version[0] = '\0';
    for (; *text; text++) {
        size_t major = strspn(text, "0123456789");
        if (major == 0) continue;
        size_t minor = text[major] == '.' ? strspn(text + major + 1, "0123456789") : 0;
        if (minor > 0) {
            (void)snprintf(ret_version, 32, "%.*s", (int)(major + 1 + minor), text);
            return;
        }
        text += major - 1;
    }
}

/* Versions before the first profile are counted to it; static batches without a version are of 2024, too. */
static const struct engine_profile *profile_of(const struct engine_profile *newest, const char *version, bool old)
{
    const struct engine_profile *profile = newest, *end = snapshot->profiles + snapshot->profile_count;
    if (!*version && !old) return newest;
    while (profile + 1 < end && strcmp(profile[1].engine, newest->engine) == 0 &&
           (!*version || engine_version_compare(version, profile->version_from) < 0))
        profile++;
    return profile;
}

struct row {
    const struct kind *kind;
    struct deployment deployment;
    struct load_point load;
    double input_tokens, output_tokens, measured;
};

static bool known_names(const struct table *table, struct deployment *deployment)
{
    const struct engine_profile *newest = NULL;
    problems.count = problems.dropped = 0;
    char version[32];
    version_of(cell(table, "engine_version"), version);
    if (snapshot_find_model(snapshot, ALIAS_MEASURED, cell(table, "model"), "model", &problems, &deployment->model) !=
            STATUS_OK ||
        snapshot_find_gpu(snapshot, ALIAS_MEASURED, cell(table, "gpu"), "gpu", &problems, &deployment->gpu) !=
            STATUS_OK)
        return false;
    static const struct {
        const char *name, *engine;
    } engines[] = {{"trt", "tensorrt-llm"},
                   {"tensorrt-llm", "tensorrt-llm"},
                   {"vllm", "vllm"},
                   {"sglang", "sglang"},
                   {"llama.cpp", "llama.cpp"}};
    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        if (strcasecmp(cell(table, "engine"), engines[i].name) != 0) continue;
        if (snapshot_find_profile(snapshot, engines[i].engine, NULL, "engine", &problems, &newest) != STATUS_OK)
            return false;
        deployment->engine = profile_of(newest, version, strcmp(cell(table, "load_mode"), "static batch") == 0);
        return true;
    }
    return false;
}

/* llama.cpp splits a model over GPUs by layers. */
static void set_layout(const struct table *table, struct deployment *deployment)
{
    uint32_t gpus = count_of(table, "gpus_total"), tensor = count_of(table, "tp");
    bool by_layers = strcmp(deployment->engine->engine, "llama.cpp") == 0;
    deployment->tensor_parallel = by_layers ? 1 : gpus ? gpus : tensor;
    deployment->pipeline_parallel = by_layers ? gpus : 1;
    deployment->expert_parallel = count_of(table, "ep") > 1 ? deployment->tensor_parallel : 1;
}

/* Rows that say nothing about speed: 4,096 tokens in 40 ms (failed runs); prompts read token by token; one prompt that
 * several stages read at once. */
static bool usable(const struct table *table, const struct row *row)
{
    bool failed = number(table, "e2e_s") * 1e3 < row->output_tokens * 0.5;
    bool token_by_token = strstr(cell(table, "notes"), "batch size\"=1 ") != NULL;
    bool spread_prompt = strcmp(row->kind->load_mode, "batch-1 prefill") == 0 && row->deployment.pipeline_parallel > 1;
    return !failed && !token_by_token && !spread_prompt && row->measured > 0;
}

static bool read_row(const struct table *table, struct row *ret_row)
{
    struct row row = {.kind = kind_of(cell(table, "load_mode"))};
    if (!row.kind || !known_names(table, &row.deployment)) return false;
    row.deployment.weight_dtype = weight_dtype_of(cell(table, "precision_weights"), row.deployment.model);
    if (row.deployment.weight_dtype == DTYPE_UNKNOWN) return false;
    if (strcasestr(cell(table, "precision_kv"), "fp8")) row.deployment.kv_dtype = DTYPE_FP8;
    set_layout(table, &row.deployment);
    row.input_tokens = fmax(1, number(table, "isl"));
    row.output_tokens = fmax(1, number(table, "osl"));
    row.measured = number(table, row.kind->measured);
    if (is_known(row.measured)) {
    } else if (row.kind->time) {
        row.measured = 1e3 / number(table, "out_tok_s_total");
    } else if (is_known(number(table, "ttft_ms"))) {
        row.measured = 1e3 * row.input_tokens / number(table, "ttft_ms");
    }
    double requests = number(table, "concurrency");
    row.load = (struct load_point){.load = row.kind->load, .concurrency = requests, .batch_size = requests};
    row.deployment.max_model_len_tokens = (uint32_t)(row.input_tokens + row.output_tokens);
    *ret_row = row;
    return usable(table, ret_row);
}

/* Errors of rows of one kind; of one engine and version range, or of all. */
struct group {
    const struct kind *kind;
    const struct engine_profile *engine; /* NULL: all */
    double *errors;                      /* |predicted / measured - 1| */
    size_t count, within, unanswered;
};
static struct group groups[MOST_GROUPS];
static size_t group_count;

static struct group *group_of(const struct kind *kind, const struct engine_profile *engine)
{
    for (size_t i = 0; i < group_count; i++) {
        if (groups[i].kind == kind && groups[i].engine == engine) return &groups[i];
    }
    assert_true(group_count < MOST_GROUPS);
    struct group *group = &groups[group_count++];
    *group = (struct group){.kind = kind, .engine = engine, .errors = calloc(MOST_ROWS, sizeof(double))};
    assert_non_null(group->errors);
    return group;
}

static void add(struct group *group, struct predicted predicted, double measured)
{
    if (!(predicted.value > 0)) {
        group->unanswered++;
        return;
    }
    assert_true(group->count < MOST_ROWS);
    group->errors[group->count++] = fabs(predicted.value / measured - 1);
    group->within += predicted.low <= measured && measured <= predicted.high;
}

static struct predicted predicted_of(const struct kind *kind, const struct performance *performance)
{
    if (kind->time) return performance->tpot_ms;
    bool prefill = strcmp(kind->measured, "prefill_tok_s") == 0;
    return prefill ? performance->prefill_tokens_per_second : performance->output_tokens_per_second;
}

static void compare(struct row *row)
{
    struct deployment *deployment = &row->deployment;
    deployment_default(deployment);
    if (row->kind->load == LOAD_STATIC_BATCH && deployment->max_sequences < row->load.batch_size)
        deployment->max_sequences = (uint32_t)row->load.batch_size; /* as the run was set up */
    struct memory memory;
    assert_int_equal(memory_size(deployment, &memory), STATUS_OK);
    struct roofline roofline;
    roofline_init(&roofline, deployment, &memory, row->input_tokens, row->output_tokens);
    struct performance performance;
    performance_predict(&roofline, &row->load, &performance);
    if (performance.output_tokens_per_second.value > 0)
        assert_true(performance.output_tokens_per_second.value <= roofline_output_bound(&roofline) * (1 + 1e-5));
    struct predicted predicted = predicted_of(row->kind, &performance);
    add(group_of(row->kind, deployment->engine), predicted, row->measured);
    add(group_of(row->kind, NULL), predicted, row->measured);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool report(struct group *group)
{
    if (group->count == 0) return true;
    qsort(group->errors, group->count, sizeof(double), compare_doubles);
    double median = group->errors[group->count / 2], late = group->errors[group->count * 9 / 10];
    const struct engine_profile *engine = group->engine;
    print_message(
        "%-16s %-12s %s%s%s: %zu rows, median %.1f %%, p90 %.1f %%, in the interval %.0f %%; no answer: %zu\n",
        group->kind->load_mode, engine ? engine->engine : "all", engine ? engine->version_from : "",
        engine ? " to " : "", engine ? engine->version_to : "", group->count, median * 100, late * 100,
        100.0 * (double)group->within / (double)group->count, group->unanswered);
    return engine || median <= group->kind->median_limit;
}

static char *read_rows(size_t *ret_length)
{
    FILE *file = fopen(rows_path, "rb");
    if (!file) return NULL;
    char *text = calloc(1, MOST_BYTES);
    assert_non_null(text);
    *ret_length = fread(text, 1, MOST_BYTES - 1, file);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void test_measured_rows(void **state)
{
    (void)state;
    size_t length = 0, row_count = 0;
    char *text = read_rows(&length);
    if (!text) {
        print_message("skipped: needs ../shared\n");
        skip();
        return;
    }
    static struct table table;
    csv_init(&table.csv, text, length);
    assert_int_equal(csv_next(&table.csv), CSV_RECORD);
    table.column_count = table.csv.field_count;
    memcpy(table.columns, table.csv.fields, sizeof table.columns);
    while (csv_next(&table.csv) == CSV_RECORD) {
        struct row row;
        if (!read_row(&table, &row)) continue;
        compare(&row);
        row_count++;
    }
    free(text);
    bool accurate = true;
    for (size_t i = 0; i < group_count; i++) {
        accurate &= report(&groups[i]);
        free(groups[i].errors);
    }
    print_message("%zu rows\n", row_count);
    assert_true(row_count > 6000);
    assert_true(accurate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_measured_rows)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
