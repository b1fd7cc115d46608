/* catalog_names_test.c owns the proof that names resolve: ids, aliases, families, near misses, versions, and every name
 * that measured rows use. */
#include "catalog/csv.h"
#include "catalog/load.h"
#include "catalog/name.h"
#include "support/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *gpu_id(enum alias_namespace space, const char *name)
{
    const struct gpu *gpu = NULL;
    problems_init(&problems, &arena);
    enum status status = snapshot_find_gpu(snapshot, space, name, "gpu", &problems, &gpu);
    assert_int_equal(problems.count, status == STATUS_OK ? 0 : 1);
    return status == STATUS_OK ? gpu->id : status_code(status);
}

static const char *model_id(enum alias_namespace space, const char *name)
{
    const struct model *model = NULL;
    problems_init(&problems, &arena);
    enum status status = snapshot_find_model(snapshot, space, name, "model", &problems, &model);
    assert_int_equal(problems.count, status == STATUS_OK ? 0 : 1);
    return status == STATUS_OK ? model->id : status_code(status);
}

static const struct {
    enum alias_namespace space;
    const char *name, *id;
} gpu_names[] = {
    {ALIAS_USER, "h100-sxm", "h100-sxm"},
    {ALIAS_USER, "H100_SXM", "h100-sxm"},
    {ALIAS_USER, "h100 sxm5", "h100-sxm"},
    {ALIAS_USER, "H100", "ambiguous_name"},
    {ALIAS_USER, "b200", "b200-sxm"}, /* a family of one */
    {ALIAS_USER, "RTX 4090", "rtx-4090"},
    {ALIAS_USER, "rtx4090", "rtx-4090"},
    {ALIAS_USER, "GeForce RTX 4090", "rtx-4090"},
    {ALIAS_USER, "NVIDIA H100 80GB HBM3", "h100-sxm"},
    {ALIAS_USER, "a100-80gb", "ambiguous_name"},
    {ALIAS_USER, "A100_80GB", "ambiguous_name"},
    {ALIAS_USER, "h10000", "unknown_gpu"},
    {ALIAS_USER, "", "unknown_gpu"},
    {ALIAS_ARTICLE, "A100_80GB", "a100-80gb-sxm"},
    {ALIAS_ARTICLE, "A100_40GB", "a100-40gb-sxm"},
    {ALIAS_ARTICLE, "H100_80GB", "h100-sxm"},
    {ALIAS_ARTICLE, "RTX_4090", "rtx-4090"},
    {ALIAS_ARTICLE, "RTX_A6000", "rtx-a6000"},
    {ALIAS_SKYPILOT, "A100", "a100-40gb-sxm"},
    {ALIAS_SKYPILOT, "A100-80GB", "ambiguous_name"},
    {ALIAS_GPUHUNT, "H100NVL", "h100-nvl"},
    {ALIAS_INFERENCEX, "h100", "h100-sxm"},
    {ALIAS_NVIDIA_SMI, "NVIDIA A100-SXM4-80GB", "a100-80gb-sxm"},
    {ALIAS_MEASURED, "H100-SXM-80GB", "h100-sxm"},
    {ALIAS_MEASURED, "H100", "unknown_gpu"}, /* families are for users */
};

static void test_gpu_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof gpu_names / sizeof *gpu_names; i++)
        assert_string_equal(gpu_id(gpu_names[i].space, gpu_names[i].name), gpu_names[i].id);
}

static const struct {
    const char *name, *id;
} model_names[] = {
    {"meta-llama/Llama-3.1-70B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"},
    {"META-LLAMA/llama-3.1-70b-instruct", "meta-llama/Llama-3.1-70B-Instruct"},
    {"Llama-3.1-70B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"},
    {"llama-3.1-70b", "meta-llama/Llama-3.1-70B-Instruct"},
    {"meta-llama/Llama-3.1-70B", "meta-llama/Llama-3.1-70B-Instruct"},
    {"Meta-Llama-3.1-70B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"},
    {"Llama-3-8B", "meta-llama/Meta-Llama-3-8B"},
    {"qwen3-30b-a3b", "Qwen/Qwen3-30B-A3B"},
    {"gpt-oss-120b", "openai/gpt-oss-120b"},
    {"mistral-7b", "ambiguous_name"},
    {"llama", "unknown_model"},
};

static void test_model_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof model_names / sizeof *model_names; i++)
        assert_string_equal(model_id(ALIAS_USER, model_names[i].name), model_names[i].id);
}

static void test_messages(void **state)
{
    (void)state;
    (void)gpu_id(ALIAS_USER, "h100");
    assert_string_equal(problems.items[0].field, "gpu");
    assert_string_equal(problems.items[0].detail, "\"h100\" may be h100-nvl, h100-pcie, h100-sxm");
    (void)gpu_id(ALIAS_USER, "h100-sxn");
    assert_non_null(strstr(problems.items[0].detail, "there is no GPU \"h100-sxn\"; did you mean h100-sxm"));
    (void)gpu_id(ALIAS_USER, "h1000");
    assert_non_null(strstr(problems.items[0].detail, "did you mean h100"));
    (void)model_id(ALIAS_USER, "qwen3-235b");
    assert_non_null(strstr(problems.items[0].detail, "did you mean Qwen/Qwen3-235B-A22B"));
    (void)gpu_id(ALIAS_USER, "warp drive");
    assert_string_equal(problems.items[0].detail, "there is no GPU \"warp drive\"");
    char text[4096];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    (void)model_id(ALIAS_USER, text);
    assert_true(strlen(problems.items[0].detail) < 200);
}

static void test_shown_names_stay_utf8(void **state)
{
    (void)state;
    char name[400] = "x", shown[NAME_SHOWN_BYTES];
    for (size_t i = 0; i < 100; i++)
        memcpy(name + 1 + 3 * i, "\xe2\x82\xac", 4);
    assert_string_equal(name_shown(name, shown) + strlen(shown) - 3, "...");
    assert_int_equal((strlen(shown) - 4) % 3, 0); /* whole characters */
    assert_string_equal(name_shown("short", shown), "short");
}

static size_t matched(const char *name)
{
    bool *member = calloc(snapshot->gpu_count, sizeof *member);
    problems_init(&problems, &arena);
    size_t count = 0;
    if (snapshot_match_gpus(snapshot, name, "gpus", &problems, member) == STATUS_OK) {
        for (size_t i = 0; i < snapshot->gpu_count; i++)
            count += member[i];
    }
    free(member);
    return count;
}

static void test_families(void **state)
{
    (void)state;
    assert_int_equal(matched("h100"), 3);
    assert_int_equal(matched("a100"), 4);
    assert_int_equal(matched("A100-80GB"), 2); /* an alias with two targets */
    assert_int_equal(matched("l40"), 1);       /* an id, not everything that begins with it */
    assert_int_equal(matched("L40S"), 1);
    assert_int_equal(matched("warp drive"), 0);
    assert_int_equal(problems.items[0].status, STATUS_UNKNOWN_GPU);
}

static const struct {
    const char *a, *b;
    int order;
} versions[] = {
    {"0.9", "0.19", -1},
    {"0.19", "0.19.1", -1},
    {"0.19", "0.19.0", 0},
    {"1", "1.0.0", 0},
    {"0.10", "0.9", 1},
    {"1.0.0rc4", "1.0", -1},
    {"0.5.5.post3", "0.5.5", 1},
    {"b4500", "b5000", -1},
    {"1.0rc2", "1.0rc10", -1},
    {"007", "7", 0},
    {"", "0", 0},
    {"99999999999999999999", "9", 1},
};

static void test_version_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        int order = engine_version_compare(versions[i].a, versions[i].b);
        assert_int_equal((order > 0) - (order < 0), versions[i].order);
        order = engine_version_compare(versions[i].b, versions[i].a);
        assert_int_equal((order > 0) - (order < 0), -versions[i].order);
    }
}

static const struct {
    const char *from, *to, *version;
    bool covered;
} ranges[] = {
    {"0.17", "0.20", "0.17", true},    {"0.17", "0.20", "0.20.3", true}, {"0.17", "0.20", "0.21", false},
    {"0.17", "0.20", "0.16.9", false}, {"0.17", "0.2", "0.20", false},   {"0.22", "", "9.9", true},
    {"0.22", "", "0.21", false},       {"0.17", "0.20", "0.9", false},
};

static void test_ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        struct engine_profile profile = {.version_from = ranges[i].from, .version_to = ranges[i].to};
        assert_int_equal(engine_profile_covers(&profile, ranges[i].version), ranges[i].covered);
    }
}

static enum status find_profile(const char *engine, const char *version, const struct engine_profile **ret_profile)
{
    problems_init(&problems, &arena);
    return snapshot_find_profile(snapshot, engine, version, "engine", &problems, ret_profile);
}

static void test_profiles(void **state)
{
    (void)state;
    const struct engine_profile *newest = NULL, *found = NULL;
    assert_int_equal(find_profile("vllm", NULL, &newest), STATUS_OK);
    assert_string_equal(newest->version_to, "");
    assert_int_equal(find_profile("vLLM", "", &found), STATUS_OK);
    assert_ptr_equal(found, newest);
    assert_int_equal(find_profile("vllm", "v0.19.1", &found), STATUS_OK);
    assert_true(engine_profile_covers(found, "0.19"));
    assert_int_equal(find_profile("trt", NULL, &found), STATUS_OK);
    assert_string_equal(found->engine, "tensorrt-llm");
    assert_int_equal(find_profile("llamacpp", "b4500", &found), STATUS_OK);
    assert_int_equal(find_profile("vllm", "0.1", &found), STATUS_UNKNOWN_ENGINE);
    assert_non_null(strstr(problems.items[0].detail, "0.17 to 0.20"));
    assert_int_equal(find_profile("vllm", "newest", &found), STATUS_UNKNOWN_ENGINE);
    assert_int_equal(find_profile("vlm", NULL, &found), STATUS_UNKNOWN_ENGINE);
    assert_non_null(strstr(problems.items[0].detail, "did you mean vllm?"));
}

static void test_support(void **state)
{
    (void)state;
    const struct engine_support *support = snapshot_find_support(snapshot, "vllm", "Hopper");
    assert_non_null(support);
    assert_true(support->weight_dtypes & 1U << DTYPE_FP8);
    assert_null(snapshot_find_support(snapshot, "vllm", "TPU v5e"));
    assert_null(snapshot_find_support(snapshot, "nothing", "Hopper"));
}

/* --- the names of measured rows --- */

/* Names that stay refused, with the reason: docs/catalog.md, "What is refused". */
static const char *const refused_gpus[] = {"A100-80GB(form?)", "M2 Mini Pro (12/19/32GB) GPU", "MI250X-1GCD-64GB"};
static const char *const refused_models[] = {"Deci/DeciLM-7B", "GLM-5", "DeepSeek-V4-Pro", "BAAI/Aquila-7B"};

/* Ids of GPUs have no '_', status codes do. */
static bool is_gpu_id(const char *text)
{
    return strchr(text, '_') == NULL;
}

static bool listed(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return false;
}

static char *read_file(const char *path, size_t *ret_length)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    enum { MOST_BYTES = 16 << 20 };
    char *text = malloc(MOST_BYTES + 1);
    *ret_length = text ? fread(text, 1, MOST_BYTES, file) : 0;
    (void)fclose(file);
    return text;
}

static size_t find_field(const struct csv *header, const char *name)
{
    for (size_t i = 0; i < header->field_count; i++) {
        if (strcmp(header->fields[i], name) == 0) return i;
    }
    fail_msg("no column %s", name);
    return 0;
}

static void test_measured_names(void **state)
{
    (void)state;
    size_t length = 0;
    char *text = read_file("../shared/data/throughput_measured.csv", &length);
    if (!text) {
        print_message("skipped: needs ../shared\n");
        skip();
    }
    struct csv csv;
    csv_init(&csv, text, length);
    assert_int_equal(csv_next(&csv), CSV_RECORD);
    size_t gpu = find_field(&csv, "gpu"), model = find_field(&csv, "model"), rows = 0;
    while (csv_next(&csv) == CSV_RECORD) {
        const char *name = csv.fields[gpu];
        bool expected = !listed(name, refused_gpus, sizeof refused_gpus / sizeof *refused_gpus);
        if (is_gpu_id(gpu_id(ALIAS_MEASURED, name)) != expected) fail_msg("GPU %s", name);
        name = csv.fields[model];
        expected = !listed(name, refused_models, sizeof refused_models / sizeof *refused_models);
        if ((strcmp(model_id(ALIAS_MEASURED, name), "unknown_model") != 0) != expected) fail_msg("model %s", name);
        rows++;
    }
    assert_null(csv.error);
    assert_true(rows > 7000);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpu_names), cmocka_unit_test(test_model_names),
        cmocka_unit_test(test_messages),  cmocka_unit_test(test_shown_names_stay_utf8),
        cmocka_unit_test(test_families),  cmocka_unit_test(test_version_order),
        cmocka_unit_test(test_ranges),    cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_support),   cmocka_unit_test(test_measured_names),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
