/* catalog_bundled_test.c owns the proof that the bundled facts are complete, sourced, dated and within reason. */
#include "catalog/csv.h"
#include "catalog/load.h"
#include "support/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct gpu *find_gpu(const char *id)
{
    problems_init(&problems, &arena);
    const struct gpu *gpu = NULL;
    assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_USER, id, "", &problems, &gpu), STATUS_OK);
    return gpu;
}

static const struct model *find_model(const char *id)
{
    problems_init(&problems, &arena);
    const struct model *model = NULL;
    assert_int_equal(snapshot_find_model(snapshot, ALIAS_USER, id, "", &problems, &model), STATUS_OK);
    return model;
}

static void test_counts(void **state)
{
    (void)state;
    assert_true(snapshot->gpu_count >= 96);
    assert_true(snapshot->model_count >= 145);
    assert_true(snapshot->offer_count >= 300 && snapshot->offer_count <= 500);
    assert_int_equal(snapshot->api_price_count, 351);
    assert_true(snapshot->profile_count >= 4);
    assert_true(snapshot->purchase_price_count > 40);
    assert_int_equal(snapshot->measurement_count, 612); /* none is left out: all names are the catalog's */
}

/* Every row of every file says where it comes from and of when it is; the loader demands it, this proves the data. */
static void test_every_row_has_source_and_date(void **state)
{
    (void)state;
    const struct catalog_text *files = catalog_bundled();
    for (size_t f = 0; f < CATALOG_FILE_COUNT; f++) {
        assert_non_null(files[f].text);
        char *copy = malloc(files[f].length + 1);
        memcpy(copy, files[f].text, files[f].length);
        struct csv csv;
        csv_init(&csv, copy, files[f].length);
        assert_int_equal(csv_next(&csv), CSV_RECORD);
        size_t source = CSV_FIELDS_MAX, as_of = CSV_FIELDS_MAX;
        for (size_t i = 0; i < csv.field_count; i++) {
            if (strcmp(csv.fields[i], "source") == 0) source = i;
            if (strcmp(csv.fields[i], "as_of") == 0) as_of = i;
        }
        assert_true(source < CSV_FIELDS_MAX && as_of < CSV_FIELDS_MAX);
        while (csv_next(&csv) == CSV_RECORD) {
            date_t day;
            if (!*csv.fields[source] || !date_parse(csv.fields[as_of], &day))
                fail_msg("%s:%u has no source or date", files[f].name, csv.line);
        }
        assert_null(csv.error);
        free(copy);
    }
}

static void test_gpus_within_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        const struct gpu *gpu = &snapshot->gpus[i];
        if (gpu->memory_cuda_mib < 0.6 * gpu->memory_nominal_gb * 1000 ||
            gpu->memory_cuda_mib > gpu->memory_nominal_gb * 1024 * 1.005)
            fail_msg("%s: %g MiB of %g GB", gpu->id, gpu->memory_cuda_mib, gpu->memory_nominal_gb);
        if (gpu->link_domain_gpus > 1 && !(gpu->link_gb_per_s > 0)) /* the Max 1550's rate is not known */
            assert_string_equal(gpu->id, "max-1550");
        if (gpu->link_gb_per_s > 0 && strstr(gpu->interconnect, "bridge"))
            assert_true(gpu->link_domain_gpus == 2 || gpu->link_domain_gpus == 4);
        if (is_known(gpu->peak_tflops[PEAK_FP8]) && gpu->peak_tflops[PEAK_FP8] < gpu->peak_tflops[PEAK_FP16])
            fail_msg("%s: FP8 below FP16", gpu->id);
    }
    assert_int_equal(find_gpu("gb200")->link_domain_gpus, 72);
    assert_int_equal(find_gpu("h100-sxm")->link_domain_gpus, 8);
    assert_int_equal(find_gpu("h100-nvl")->link_domain_gpus, 2);
    assert_int_equal(find_gpu("l40s")->link_domain_gpus, 1);
    assert_true(fabs(find_gpu("h100-sxm")->memory_cuda_mib / 1024 - 79.19) < 0.001);
}

/* Superchips by the sheets, PCIe by its version; whose memory is the host's has none beside it. */
static void test_host_memory(void **state)
{
    (void)state;
    assert_true(fabs(gpu_host_gb_per_s(find_gpu("gh200-96gb")) - 0.78 * 450) < 1e-9);
    assert_true(find_gpu("gh200-144gb")->host.capacity_gb == 480);
    assert_true(fabs(gpu_host_gb_per_s(find_gpu("h100-sxm")) - 0.78 * 64) < 1e-9);
    assert_true(fabs(gpu_host_gb_per_s(find_gpu("a100-80gb-sxm")) - 0.78 * 32) < 1e-9);
    assert_string_equal(gpu_host_link(find_gpu("gb200")), "NVLink-C2C");
    assert_string_equal(gpu_host_link(find_gpu("l40s")), "PCIe");
    size_t unified = 0;
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        const struct gpu *gpu = &snapshot->gpus[i];
        unified += gpu->host.unified;
        assert_true(gpu->host.unified == !is_known(gpu_host_gb_per_s(gpu)));
        assert_true(gpu->host.unified == !gpu_host_link(gpu));
        if (gpu->vendor == VENDOR_APPLE) assert_true(gpu->host.unified);
    }
    assert_true(find_gpu("dgx-spark-gb10")->host.unified && find_gpu("mi300a")->host.unified);
    assert_true(unified >= 10 && !find_gpu("mi300x")->host.unified);
}

/* Formats of fewer than 16 bits have published figures; a baseline is the better one, but for the noise of scores. */
static void test_qualities_within_reason(void **state)
{
    (void)state;
    for (enum dtype dtype = DTYPE_FP8; dtype < DTYPE_COUNT; dtype++) {
        size_t count = 0;
        const struct quality *qualities = snapshot_qualities(snapshot, dtype, &count);
        if (count == 0) fail_msg("nothing is known of %s", dtype_name(dtype));
        for (size_t i = 0; i < count; i++) {
            const struct quality *quality = &qualities[i];
            assert_int_equal(quality->weight_dtype, dtype);
            assert_true(*quality->source && quality->as_of.days > 0 && strchr(quality->model, '/'));
            bool less_is_better = quality->metric <= QUALITY_KL_DIVERGENCE;
            assert_true(less_is_better
                            ? quality->value > quality->baseline
                            : quality->value > 0.9 * quality->baseline && quality->value < 1.01 * quality->baseline);
        }
    }
    size_t count = 0;
    (void)snapshot_qualities(snapshot, DTYPE_BF16, &count);
    assert_int_equal(count, 0);
}

static void test_models_within_reason(void **state)
{
    (void)state;
    size_t encoders = 0, multimodal = 0, chunked = 0;
    for (size_t i = 0; i < snapshot->model_count; i++) {
        const struct model *model = &snapshot->models[i];
        encoders += model->encoder_only;
        multimodal += model->native_multimodal;
        chunked += model->chunked;
        assert_true(model->attention_kind != ATTENTION_UNKNOWN);
        assert_int_equal(model->attention_kind == ATTENTION_MLA, model->kv_lora_rank > 0);
        assert_int_equal(model->linear_layers > 0, model->ssm_state_elements > 0);
        assert_int_equal(model->linear_layers > 0, model->ssm_state_element_bytes > 0);
        if (model->full_attention_layers + model->sliding_layers > 0) assert_true(model->head_dim > 0);
    }
    assert_int_equal(encoders, 4);
    assert_int_equal(multimodal, 6);
    assert_int_equal(chunked, 2);
    assert_true(find_model("llama-3.1-70b")->parameters == 70553706496.0);
    assert_true(find_model("Kimi-K2.5")->native_dtype == DTYPE_INT4);
}

/* A price far from the others of its part is a wrong unit or a wrong count. */
static void test_offers_within_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < snapshot->offer_count; i++) {
        const struct offer *offer = &snapshot->offers[i];
        double usd_per_gpu = usd_to_double(offer->usd_per_hour) / offer->gpu_count;
        if (usd_per_gpu < 0.03 || usd_per_gpu > 25)
            fail_msg("%s %s: %g USD per GPU-hour", offer->provider, offer->instance_type, usd_per_gpu);
        assert_true(offer->as_of.days <= snapshot->as_of.days);
    }
    for (size_t gpu = 0; gpu < snapshot->gpu_count; gpu++) {
        for (uint32_t i = snapshot->offer_first[gpu]; i < snapshot->offer_first[gpu + 1]; i++)
            assert_int_equal(snapshot->offers[i].gpu, gpu);
    }
    assert_int_equal(snapshot->offer_first[snapshot->gpu_count], snapshot->offer_count);
}

static bool has_offer(const char *provider, const char *continent, enum purchase purchase)
{
    for (size_t i = 0; i < snapshot->offer_count; i++) {
        const struct offer *offer = &snapshot->offers[i];
        if (strcmp(offer->provider, provider) == 0 && offer->purchase == purchase &&
            (!continent || strcmp(offer->continent, continent) == 0))
            return true;
    }
    return false;
}

static void test_large_clouds(void **state)
{
    (void)state;
    static const char *const providers[] = {"aws", "azure", "gcp", "oci"}, *const continents[] = {"na", "eu", "as"};
    for (size_t p = 0; p < 4; p++) {
        for (size_t c = 0; c < 3; c++) {
            if (!has_offer(providers[p], continents[c], PURCHASE_ON_DEMAND))
                fail_msg("%s has nothing in %s", providers[p], continents[c]);
        }
        assert_true(has_offer(providers[p], NULL, PURCHASE_SPOT));
    }
    for (size_t p = 0; p < 3; p++)
        assert_true(has_offer(providers[p], NULL, PURCHASE_RESERVED));
}

/* Every provider with a usable row in the file that the offers were chosen from. */
static void test_all_providers(void **state)
{
    (void)state;
    FILE *file = fopen("../shared/data/offers_2026.csv", "rb");
    if (!file) {
        print_message("skipped: needs ../shared\n");
        skip();
    }
    enum { MOST_BYTES = 4 << 20 };
    char *text = malloc(MOST_BYTES + 1);
    struct csv csv;
    csv_init(&csv, text, fread(text, 1, MOST_BYTES, file));
    (void)fclose(file);
    assert_int_equal(csv_next(&csv), CSV_RECORD);
    assert_string_equal(csv.fields[0], "provider");
    while (csv_next(&csv) == CSV_RECORD) {
        bool found = false;
        for (enum purchase purchase = 0; purchase < PURCHASE_OWNED && !found; purchase++)
            found = has_offer(csv.fields[0], NULL, purchase);
        if (!found) fail_msg("no offer of %s", csv.fields[0]);
    }
    free(text);
}

static double operating(const char *key, const char *scope)
{
    const struct operating_cost *cost = snapshot_operating_cost(snapshot, key, scope);
    if (!cost) fail_msg("%s of %s is missing", key, scope);
    return cost ? cost->value : UNKNOWN;
}

static void test_article_facts(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double usd, gb, gb_per_s;
    } parts[] = {{"A100_80GB", 15000, 80, 2039},
                 {"A100_40GB", 10000, 40, 1555},
                 {"H100_80GB", 25000, 80, 3350},
                 {"RTX_4090", 1600, 24, 1008},
                 {"RTX_A6000", 4500, 48, 768}};
    problems_init(&problems, &arena);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const struct gpu *gpu = NULL;
        assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_ARTICLE, parts[i].name, "", &problems, &gpu), STATUS_OK);
        assert_true(operating("article_price_usd", gpu->id) == parts[i].usd);
        assert_true(operating("article_vram_gb", gpu->id) == parts[i].gb);
        assert_true(operating("article_bandwidth_gb_per_s", gpu->id) == parts[i].gb_per_s);
    }
    assert_true(operating("article_power_usd_per_hour", "all") == 0.05);
    assert_true(operating("article_cooling_usd_per_hour", "all") == 0.02);
    assert_true(operating("article_maintenance_usd_per_hour", "all") == 0.01);
    assert_true(operating("electricity_usd_per_kwh", "all") > 0);
    assert_true(operating("pue_ratio", "all") >= 1);
    assert_true(operating("power_utilization_ratio", "all") <= 1);
}

/* The article's list prices are for its own estimator, never what a GPU is believed to cost. */
static void test_purchase_prices(void **state)
{
    (void)state;
    const struct gpu *gpu = find_gpu("h100-sxm");
    const struct purchase_price *price = snapshot_purchase_price(snapshot, (uint32_t)(gpu - snapshot->gpus));
    assert_non_null(price);
    assert_int_equal(price->kind, PURCHASE_KIND_WEB_ESTIMATE);
    assert_int_equal(price->usd.micro, 30000000000);
    for (size_t i = 0; i < snapshot->purchase_price_count; i++)
        assert_null(strstr(snapshot->purchase_prices[i].source, "article"));
}

static const char *model_text(const struct model *model, bool header)
{
    size_t count = 0;
    const struct csv_cell *cells = catalog_model_cells(model, &arena, &count);
    assert_non_null(cells);
    const char *text = csv_text(cells, count, header, &arena);
    assert_non_null(text);
    return text;
}

/* A model written as a line is read back as the same model. */
static void test_models_survive_being_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < snapshot->model_count; i++) {
        struct catalog_text files[CATALOG_FILE_COUNT] = {0};
        struct snapshot *again = NULL;
        files[FILE_MODELS].text = model_text(&snapshot->models[i], true);
        files[FILE_MODELS].length = strlen(files[FILE_MODELS].text);
        files[FILE_MODELS].name = "models.csv";
        problems_init(&problems, &arena);
        assert_int_equal(catalog_load(files, &problems, &again), STATUS_OK);
        assert_int_equal(again->model_count, 1);
        assert_string_equal(model_text(&again->models[0], true), files[FILE_MODELS].text);
        snapshot_free(again);
    }
}

/* Every cell of the first model's own line comes back, whatever the columns are. */
static void test_a_line_is_what_the_file_has(void **state)
{
    (void)state;
    struct model odd = *find_model("01-ai/Yi-34B");
    const char *begin = strstr(catalog_bundled()[FILE_MODELS].text, "\n01-ai/Yi-34B,");
    assert_non_null(begin);
    const char *line = model_text(&odd, false);
    assert_memory_equal(line, begin + 1, strlen(line));
    odd.note = "a \"note\", of\ntwo lines";
    assert_non_null(strstr(model_text(&odd, false), ",\"a \"\"note\"\", of\ntwo lines\","));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_every_row_has_source_and_date),
        cmocka_unit_test(test_gpus_within_reason),
        cmocka_unit_test(test_host_memory),
        cmocka_unit_test(test_qualities_within_reason),
        cmocka_unit_test(test_models_within_reason),
        cmocka_unit_test(test_offers_within_reason),
        cmocka_unit_test(test_large_clouds),
        cmocka_unit_test(test_all_providers),
        cmocka_unit_test(test_article_facts),
        cmocka_unit_test(test_purchase_prices),
        cmocka_unit_test(test_models_survive_being_written),
        cmocka_unit_test(test_a_line_is_what_the_file_has),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
