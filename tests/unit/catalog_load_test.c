/* catalog_load_test.c owns the proof that the loader takes what is right and refuses each kind of bad row with its
 * file, line, field and reason. */
#include "catalog/load.h"
#include "catalog/text.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEASURED_HEADER                                                                                                \
    "source,uid,engine,engine_version,model_id,gpu_id,gpu_count,tensor_parallel,pipeline_parallel,expert_parallel,"    \
    "weight_dtype,kv_dtype,load,concurrency,input_tokens,output_tokens,output_tokens_per_second,"                      \
    "total_tokens_per_second,ttft_ms,tpot_ms,e2e_ms,trust,as_of\n"

/* A complete catalog of two GPUs. Profiles are made from the table of coefficients. */
static const char *const base[CATALOG_FILE_COUNT] = {
    [FILE_GPUS] = "id,name,family,vendor,architecture,cuda_cc,memory_nominal_gb,memory_nvml_mib,memory_cuda_mib,"
                  "memory_bandwidth_gb_per_s,l2_cache_mb,sm_count,peak_fp32_tflops,peak_tf32_tflops,peak_fp16_tflops,"
                  "peak_fp8_tflops,peak_int8_tops,peak_fp4_tflops,interconnect,link_gb_per_s,link_domain_gpus,"
                  "pcie_gb_per_s,node_gpus,tdp_watts,form_factor,launch_date,source,as_of\n"
                  "big-sxm,Big SXM,big,nvidia,Hopper,9,80,81559,81090.6,3350,50,132,67,494.5,989,1979,1979,,NVLink,900,"
                  "8,64,8,700,SXM5,2022-03-22,datasheet,2026-02\n"
                  "big-pcie,Big PCIe,big,nvidia,Hopper,9,80,81559,,2000,50,114,51,378,756.5,1513,1513,,PCIe,0,1,64,8,"
                  "350,PCIe,2022-03,datasheet,2026-02\n",
    [FILE_GPU_ALIASES] = "namespace,name,target,source,as_of\n"
                         "user,Big One,big-sxm,common,2026-11-23\n"
                         "measured,BIG,big-pcie,common,2026-11-23\n",
    [FILE_MODELS] = "id,family,architecture,parameters,active_parameters,vision_parameters,layers,hidden_size,"
                    "attention_heads,kv_heads,head_dim,intermediate_size,vocabulary_size,tied_embeddings,"
                    "max_position_tokens,attention_kind,sliding_window_tokens,chunked,full_attention_layers,"
                    "sliding_layers,linear_layers,kv_lora_rank,qk_rope_head_dim,qk_nope_head_dim,v_head_dim,"
                    "q_lora_rank,experts,experts_per_token,shared_experts,moe_intermediate_size,"
                    "shared_expert_intermediate_size,dense_layers,native_dtype,ssm_state_elements,"
                    "conv_state_elements,ssm_state_element_bytes,native_multimodal,encoder_only,license,source,note,"
                    "as_of\n"
                    "owner/Small-7B,Small,LlamaForCausalLM,6738415616,6738415616,,32,4096,32,32,128,11008,32000,false,"
                    "4096,mha,,false,32,,,,,,,,,,,,,,fp16,,,,false,false,,paper,,2026-11-23\n",
    [FILE_MODEL_ALIASES] = "namespace,name,target,source,as_of\nuser,small,owner/Small-7B,common,2026-11-23\n",
    [FILE_ENGINE_SUPPORT] = "engine,architecture,weight_dtypes,fp8_kv,source,as_of\n"
                            "vllm,Hopper,bf16|fp16|fp8,true,documentation,2026-11-23\n",
    [FILE_ENGINE_ALIASES] = "namespace,name,target,source,as_of\nuser,v,vllm,common,2026-11-23\n",
    [FILE_REGIONS] = "provider,region,country,continent,source,as_of\ncloud,eu-1,de,eu,documentation,2026-11-23\n",
    [FILE_OFFERS] =
        "provider,instance_type,region,zone,gpu_id,gpu_count,purchase,term_months,usd_per_hour,vcpus,host_memory_gib,"
        "price_basis,as_of,source,url,notes\n"
        "cloud,b8,eu-1,,big-sxm,8,on_demand,,20.5,96,1000,instance_total,2026-10-01,list,,\n"
        "cloud,b8,eu-1,,big-sxm,8,reserved,12,12,96,1000,instance_total,2026-10-01,list,,\n"
        "cloud,b1,,,big-pcie,1,spot,,0.5,,,per_gpu,2026-11-01,list,,\n",
    [FILE_PURCHASE_PRICES] = "gpu_id,usd,kind,as_of,source,notes\n"
                             "big-sxm,30000,web_estimate,2026-06,page,\n"
                             "big-sxm,18000,listing,2026-08,page,\n",
    [FILE_OPERATING_COSTS] = "key,scope,value,unit,as_of,source\npue_ratio,all,1.2,ratio,2026-06,page\n",
    [FILE_API_PRICES] = "provider,model_id,usd_per_million_input_tokens,usd_per_million_output_tokens,as_of,source\n"
                        "host,owner/Small-7B,0.1,0.2,2026-06-08,list\n",
    [FILE_MEASURED] =
        MEASURED_HEADER "bench,1,vllm,0.18,owner/small-7b,big-sxm,4,2,,,fp8,,concurrency,64,1024,128,5000,,"
                        "40,12,,A,2026-10\n",
    [FILE_CALIBRATIONS] = "id,pool,gpu_id,memory_gb_per_s,kv_gb_per_s,fp32_tflops,tf32_tflops,fp16_tflops,fp8_tflops,"
                          "int8_tops,fp4_tflops,launch_us,allreduce_gpus,allreduce_us,allreduce_gb_per_s,state,driver,"
                          "source,as_of\n"
                          "one,own,big-sxm,2000,1900,,,600,,1000,,1.5,8,20,300,used,580.95,probe,2026-11-01\n",
};

static const char *const names[CATALOG_FILE_COUNT] = {
    "gpus.csv",
    "gpu_aliases.csv",
    "models.csv",
    "model_aliases.csv",
    "engine_profiles.csv",
    "engine_support.csv",
    "engine_aliases.csv",
    "regions.csv",
    "offers.csv",
    "purchase_prices.csv",
    "operating_costs.csv",
    "api_prices.csv",
    "measured.csv",
    "calibrations.csv",
};

enum { TEXT_BYTES = 64 * 1024 };

struct fixture {
    char texts[CATALOG_FILE_COUNT][TEXT_BYTES];
    struct catalog_text files[CATALOG_FILE_COUNT];
    struct arena arena;
    struct problems problems;
    struct snapshot *snapshot;
};
static struct fixture fixture;

/* Half for the first; all below 1, as shares are, but factors, which are above. */
static double base_coefficient(size_t i)
{
    return (strstr(coef_infos[i].name, "_factor") ? 1.5 : 0.5) + (double)i / 1024;
}

/* Two profiles: one that gives every coefficient, one that inherits all but the first. */
static void write_profiles(char text[TEXT_BYTES])
{
    int used = snprintf(text, TEXT_BYTES, "engine,version_from,version_to,coefficient,value,source,as_of\n");
    for (size_t i = 0; i < coef_count; i++)
        used += snprintf(text + used, TEXT_BYTES - (size_t)used, "vllm,0.17,0.20,%s,%.10f,fit,2026-11-23\n",
                         coef_infos[i].name, base_coefficient(i));
    (void)snprintf(text + used, TEXT_BYTES - (size_t)used,
                   "vllm,0.21,,inherits,vllm 0.17,notes,2026-11-23\nvllm,0.21,,%s,0.25,notes,2026-11-24\n",
                   coef_infos[0].name);
}

static void reset(void)
{
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++) {
        if (base[i])
            (void)snprintf(fixture.texts[i], TEXT_BYTES, "%s", base[i]);
        else
            write_profiles(fixture.texts[i]);
        fixture.files[i] =
            (struct catalog_text){.name = names[i], .text = fixture.texts[i], .length = strlen(fixture.texts[i])};
    }
}

static int set_up(void **state)
{
    (void)state;
    arena_init(&fixture.arena, 0);
    fixture.snapshot = NULL;
    reset();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    snapshot_free(fixture.snapshot);
    arena_done(&fixture.arena);
    return 0;
}

static enum status load(void)
{
    snapshot_free(fixture.snapshot);
    fixture.snapshot = NULL;
    problems_init(&fixture.problems, &fixture.arena);
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++)
        fixture.files[i].length = strlen(fixture.texts[i]);
    return catalog_load(fixture.files, &fixture.problems, &fixture.snapshot);
}

static void assert_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance)) fail_msg("%.9g, expected %.9g within %g", value, expected, tolerance);
}

static const struct problem *find_problem(const char *place)
{
    for (size_t i = 0; i < fixture.problems.count; i++) {
        if (strcmp(fixture.problems.items[i].field, place) == 0) return &fixture.problems.items[i];
    }
    return NULL;
}

static void assert_refused(const char *place, const char *reason)
{
    assert_int_equal(load(), STATUS_BAD_ROW);
    assert_null(fixture.snapshot);
    const struct problem *problem = find_problem(place);
    if (!problem) {
        for (size_t i = 0; i < fixture.problems.count; i++)
            print_message("%s: %s\n", fixture.problems.items[i].field, fixture.problems.items[i].detail);
        fail_msg("no problem at %s", place);
        return;
    }
    assert_int_equal(problem->status, STATUS_BAD_ROW);
    if (!strstr(problem->detail, reason)) fail_msg("%s: %s; expected: %s", place, problem->detail, reason);
}

/* Where cell `index` of the line begins. */
static char *cell_at(char *line, size_t index)
{
    for (; index > 0; index--)
        line = strchr(line, ',') + 1;
    return line;
}

static size_t column_index(const char *header, const char *column)
{
    size_t index = 0;
    for (const char *at = header; strncmp(at, column, strlen(column)) != 0 || !strchr(",\n", at[strlen(column)]);
         index++) {
        at += strcspn(at, ",\n");
        if (*at != ',') fail_msg("no column %s", column);
        at++;
    }
    return index;
}

/* Puts a value in the named cell of the first row. */
static void set_cell(enum catalog_file file, const char *column, const char *value)
{
    char *text = fixture.texts[file];
    char *cell = cell_at(strchr(text, '\n') + 1, column_index(text, column));
    char rest[TEXT_BYTES];
    (void)snprintf(rest, sizeof rest, "%s", cell + strcspn(cell, ",\n"));
    (void)snprintf(cell, (size_t)(text + TEXT_BYTES - cell), "%s%s", value, rest);
}

static void append(enum catalog_file file, const char *line)
{
    size_t length = strlen(fixture.texts[file]);
    (void)snprintf(fixture.texts[file] + length, TEXT_BYTES - length, "%s\n", line);
}

static void test_base_loads(void **state)
{
    (void)state;
    assert_int_equal(load(), STATUS_OK);
    const struct snapshot *snapshot = fixture.snapshot;
    char day[DATE_TEXT_BYTES];
    assert_string_equal(date_format(snapshot->as_of, day), "2026-11-01");
    assert_int_equal(strlen(snapshot->version), 32);
    assert_string_equal(snapshot->gpus[0].id, "big-pcie");
    assert_true(snapshot->gpus[1].memory_cuda_measured);
    assert_false(snapshot->gpus[0].memory_cuda_measured);
    assert_near(snapshot->gpus[0].memory_cuda_mib, 81559 * 0.9942, 0.1);
    assert_false(is_known(snapshot->gpus[0].peak_tflops[PEAK_FP4]));
    assert_int_equal(snapshot->offer_count, 3);
    assert_int_equal(snapshot->offer_first[1], 1);
    assert_int_equal(snapshot->offer_first[2], 3);
    assert_string_equal(snapshot->offers[1].continent, "eu");
    assert_string_equal(snapshot->offers[0].continent, "");
    assert_int_equal(snapshot->offers[2].term_months, 12);
    assert_int_equal(snapshot->offers[1].usd_per_hour.micro, 20500000);
    assert_false(is_known(snapshot->offers[0].vcpus));
    assert_int_equal(snapshot_purchase_price(snapshot, 1)->usd.micro, 30000000000);
    assert_null(snapshot_purchase_price(snapshot, 0));
    const struct purchase_price *price = snapshot_purchase_price(snapshot, 1);
    date_t before = {price->as_of.days - 1};
    assert_ptr_equal(snapshot_purchase_price_on(snapshot, 1, price->as_of), price);
    assert_null(snapshot_purchase_price_on(snapshot, 1, before));
    assert_near(snapshot_operating_cost(snapshot, "pue_ratio", "all")->value, 1.2, 0);
    assert_null(snapshot_operating_cost(snapshot, "pue_ratio", "nowhere"));
}

static void test_profiles_inherit(void **state)
{
    (void)state;
    assert_int_equal(load(), STATUS_OK);
    assert_int_equal(fixture.snapshot->profile_count, 2);
    const struct engine_profile *newest = &fixture.snapshot->profiles[0];
    assert_string_equal(newest->version_from, "0.21");
    for (size_t i = 0; i < coef_count; i++) {
        double value = 0;
        memcpy(&value, (const char *)&newest->coef + coef_infos[i].offset, sizeof value);
        assert_near(value, i ? base_coefficient(i) : 0.25, 0);
    }
    char day[DATE_TEXT_BYTES];
    assert_string_equal(date_format(newest->as_of, day), "2026-11-24");
    assert_int_equal(fixture.snapshot->supports[0].weight_dtypes,
                     1U << DTYPE_BF16 | 1U << DTYPE_FP16 | 1U << DTYPE_FP8);
}

/* Several machines of a pool are their medians; those that are not used do not count. */
static void test_calibrations(void **state)
{
    (void)state;
    append(FILE_CALIBRATIONS, "two,own,big-sxm,2200,,,,640,,,,,,,,used,,probe,2026-11-02");
    append(FILE_CALIBRATIONS, "three,own,big-sxm,1000,,,,100,,,,,,,,suspect,,probe,2026-11-03");
    append(FILE_CALIBRATIONS, "usual,published,big-sxm,2100,,,,,,,,,,,,used,,paper,2026-10-01");
    assert_int_equal(load(), STATUS_OK);
    const struct snapshot *snapshot = fixture.snapshot;
    const struct gpu *gpu = NULL;
    assert_int_equal(snapshot_find_gpu(snapshot, ALIAS_USER, "big-sxm", "", &fixture.problems, &gpu), STATUS_OK);
    assert_int_equal(snapshot->calibration_count, 4);
    assert_int_equal(snapshot->calibration_pool_count, 2);
    const struct calibration *own = snapshot_find_calibration(snapshot, gpu, "own");
    assert_near(own->memory_gb_per_s, 2100, 0);
    assert_near(own->kv_gb_per_s, 1900, 0);
    assert_near(own->product_tflops[PEAK_FP16], 620, 0);
    assert_near(own->as_of.days, snapshot_find_calibration(snapshot, gpu, "two")->as_of.days, 0);
    assert_near(own->usual->memory_gb_per_s, 2100, 0);
    assert_null(snapshot_find_calibration(snapshot, gpu, "three"));
    assert_near(snapshot_find_calibration(snapshot, gpu, "one")->allreduce_gpus, 8, 0);
    const struct calibration *chosen = NULL;
    enum status status = snapshot_choose_calibration(snapshot, gpu, "four", "f", &fixture.problems, &chosen);
    assert_int_equal(status, STATUS_INVALID_VALUE);
    assert_non_null(strstr(fixture.problems.items[fixture.problems.count - 1].detail, "pools: own, published"));
    assert_int_equal(snapshot_choose_calibration(snapshot, gpu, "none", "f", &fixture.problems, &chosen), STATUS_OK);
    assert_null(chosen);
    assert_int_equal(snapshot_choose_calibration(snapshot, gpu, NULL, "f", &fixture.problems, &chosen), STATUS_OK);
    assert_ptr_equal(chosen, own);
}

/* Figures of one replica; of repeats the user's own before others, newer versions before older; the layout of several
 * GPUs must be told, and what the catalog does not have is left out. */
static void test_measurements(void **state)
{
    (void)state;
    append(FILE_MEASURED,
           "bench,2,VLLM,v0.18.2-cu130,owner/Small-7B,big-sxm,1,,,,bf16,,saturated,,1000,1000,,600,,,,B,2026");
    append(FILE_MEASURED, "bench,3,vllm,0.19,owner/Small-7B,big-sxm,1,,,,,auto,saturated,,1000,1000,300,,,,,A,2026");
    append(FILE_MEASURED, "bench,4,vllm,nightly,owner/Small-7B,big-sxm,1,,,,,,saturated,,1000,1000,300,,,,,,2026");
    append(FILE_MEASURED, "bench,5,vllm,0.19,owner/Small-7B,big-sxm,1,,,,,,saturated,,1000,1000,400,,,,,C,2026");
    append(FILE_MEASURED, "bench,6,vllm,0.18,owner/Large-7B,big-sxm,1,,,,,,saturated,,1000,1000,300,,,,,A,2026");
    append(FILE_MEASURED, "bench,7,vllm,0.1,owner/Small-7B,big-sxm,1,,,,,,saturated,,1000,1000,300,,,,,A,2026");
    append(FILE_MEASURED, "bench,8,vllm,0.18,owner/Small-7B,big-sxm,2,,,,,,saturated,,1000,1000,300,,,,,A,2026");
    append(FILE_MEASURED, "bench,9,vllm,0.18,owner/Small-7B,big-sxm,1,,,,,,concurrency,,1000,1000,300,,,,,A,2026");
    assert_int_equal(load(), STATUS_OK);
    const char *const uids[] = {"4", "3", "5", "2", "1"}; /* the newest profile comes first */
    const struct measurements found = snapshot_measurements(fixture.snapshot, "OWNER/small-7b");
    assert_int_equal(fixture.snapshot->measurement_count, sizeof uids / sizeof *uids);
    assert_int_equal(found.count, sizeof uids / sizeof *uids);
    for (size_t i = 0; i < found.count; i++)
        assert_string_equal(found.items[i].uid, uids[i]);
    assert_string_equal(found.items[3].engine_version, "0.18.2");
    assert_near(found.items[3].output_tokens_per_second, 300, 0);
    assert_true(found.items[3].trusted && !found.items[2].trusted && !found.items[0].trusted);
    const struct measurement *pair = &found.items[4];
    assert_near(pair->output_tokens_per_second, 2500, 0);
    assert_near(pair->concurrency, 32, 0);
    assert_int_equal(pair->setup.tensor_parallel, 2);
    assert_int_equal(measurements_of(&found, &pair->setup).count, 1);
    assert_int_equal(snapshot_measurements(fixture.snapshot, "").count, 0);
    assert_int_equal(snapshot_measurements(fixture.snapshot, NULL).count, 0);
}

static const struct {
    enum catalog_file file;
    const char *column, *value, *place, *reason;
} bad_cells[] = {
    {FILE_GPUS, "id", "", "gpus.csv:2 id", "is empty"},
    {FILE_GPUS, "id", "h100 sxm", "gpus.csv:2 id", "is no id"},
    {FILE_GPUS, "id", "big-pcie", "gpus.csv:3 id", "the same as line 2"},
    {FILE_GPUS, "vendor", "NVIDIA", "gpus.csv:2 vendor", "is none of nvidia, amd, intel"},
    {FILE_GPUS, "memory_nominal_gb", "0", "gpus.csv:2 memory_nominal_gb", "is not a number from 1 to"},
    {FILE_GPUS, "memory_cuda_mib", "90000", "gpus.csv:2 memory_cuda_mib", "more than memory_nvml_mib"},
    {FILE_GPUS, "memory_bandwidth_gb_per_s", "0x10", "gpus.csv:2 memory_bandwidth_gb_per_s", "is not a number"},
    {FILE_GPUS, "peak_fp16_tflops", "nan", "gpus.csv:2 peak_fp16_tflops", "is not a number"},
    {FILE_GPUS, "link_domain_gpus", "1.5", "gpus.csv:2 link_domain_gpus", "is not a whole number"},
    {FILE_GPUS, "tdp_watts", "1e400", "gpus.csv:2 tdp_watts", "is not a number"},
    {FILE_GPUS, "launch_date", "2026-02-30", "gpus.csv:2 launch_date", "is no date"},
    {FILE_GPUS, "source", "", "gpus.csv:2 source", "is empty"},
    {FILE_GPUS, "as_of", "", "gpus.csv:2 as_of", "is empty"},
    {FILE_GPU_ALIASES, "namespace", "mine", "gpu_aliases.csv:2 namespace", "is none of user, article"},
    {FILE_GPU_ALIASES, "target", "huge", "gpu_aliases.csv:2 target", "gpus.csv has no id \"huge\""},
    {FILE_MODELS, "tied_embeddings", "yes", "models.csv:2 tied_embeddings", "is neither true nor false"},
    {FILE_MODELS, "attention_kind", "magic", "models.csv:2 attention_kind", "is none of"},
    {FILE_MODELS, "native_dtype", "fp7", "models.csv:2 native_dtype", "is none of"},
    {FILE_MODELS, "parameters", "7e20", "models.csv:2 parameters", "is not a number from"},
    {FILE_MODELS, "active_parameters", "6738415617", "models.csv:2 active_parameters", "more than parameters"},
    {FILE_MODELS, "full_attention_layers", "33", "models.csv:2 full_attention_layers", "more than layers"},
    {FILE_MODELS, "sliding_layers", "1", "models.csv:2 sliding_window_tokens", "needed"},
    {FILE_MODELS, "experts_per_token", "2", "models.csv:2 experts_per_token", "more than experts"},
    {FILE_MODELS, "kv_heads", "64", "models.csv:2 kv_heads", "more than attention_heads"},
    {FILE_MODEL_ALIASES, "target", "owner/Big", "model_aliases.csv:2 target", "there is no \"owner/Big\""},
    {FILE_ENGINE_ALIASES, "target", "w", "engine_aliases.csv:2 target", "there is no \"w\""},
    {FILE_ENGINE_PROFILES, "coefficient", "magic", "engine_profiles.csv:2 coefficient", "no coefficient \"magic\""},
    {FILE_ENGINE_PROFILES, "coefficient", "kv_block_tokens", "engine_profiles.csv:3 coefficient", "the same as line 2"},
    {FILE_ENGINE_PROFILES, "value", "many", "engine_profiles.csv:2 value", "is not a number"},
    {FILE_ENGINE_PROFILES, "value", "-1", "engine_profiles.csv:2 value", "must be 0 to 1e9"},
    {FILE_ENGINE_SUPPORT, "engine", "w", "engine_support.csv:2 engine", "\"w\" has no profile"},
    {FILE_ENGINE_SUPPORT, "architecture", "Hoper", "engine_support.csv:2 architecture", "no such architecture"},
    {FILE_ENGINE_SUPPORT, "weight_dtypes", "bf16|fp9", "engine_support.csv:2 weight_dtypes", "no format \"fp9\""},
    {FILE_ENGINE_SUPPORT, "fp8_kv", "maybe", "engine_support.csv:2 fp8_kv", "is neither true nor false"},
    {FILE_REGIONS, "country", "Germany", "regions.csv:2 country", "is not two small letters"},
    {FILE_REGIONS, "continent", "xx", "regions.csv:2 continent", "is none of eu, na"},
    {FILE_OFFERS, "gpu_id", "huge", "offers.csv:2 gpu_id", "gpus.csv has no id \"huge\""},
    {FILE_OFFERS, "gpu_count", "0", "offers.csv:2 gpu_count", "is not a number from 1"},
    {FILE_OFFERS, "region", "eu-2", "offers.csv:2 region", "regions.csv has no region \"eu-2\" of cloud"},
    {FILE_OFFERS, "purchase", "owned", "offers.csv:2 purchase", "is none of on_demand, spot, reserved"},
    {FILE_OFFERS, "purchase", "reserved", "offers.csv:2 term_months", "a reserved price needs its term"},
    {FILE_OFFERS, "term_months", "12", "offers.csv:2 term_months", "only a reserved price has a term"},
    {FILE_OFFERS, "usd_per_hour", "0", "offers.csv:2 usd_per_hour", "is not a number from"},
    {FILE_OFFERS, "usd_per_hour", "-1", "offers.csv:2 usd_per_hour", "is not a number from"},
    {FILE_OFFERS, "usd_per_hour", "", "offers.csv:2 usd_per_hour", "is empty"},
    {FILE_OFFERS, "usd_per_hour", "$20", "offers.csv:2 usd_per_hour", "is not a number"},
    {FILE_OFFERS, "price_basis", "accelerator_component_total", "offers.csv:2 price_basis", "no price of a whole"},
    {FILE_OFFERS, "as_of", "1.10.2026", "offers.csv:2 as_of", "is no date"},
    {FILE_OFFERS, "source", "", "offers.csv:2 source", "is empty"},
    {FILE_PURCHASE_PRICES, "gpu_id", "huge", "purchase_prices.csv:2 gpu_id", "gpus.csv has no id"},
    {FILE_PURCHASE_PRICES, "kind", "gossip", "purchase_prices.csv:2 kind", "is none of contract, list"},
    {FILE_OPERATING_COSTS, "value", "-1", "operating_costs.csv:2 value", "is not a number from 0"},
    {FILE_API_PRICES, "usd_per_million_input_tokens", "0", "api_prices.csv:2 usd_per_million_input_tokens",
     "is not a number from"},
    {FILE_MEASURED, "gpu_id", "huge", "measured.csv:2 gpu_id", "gpus.csv has no id \"huge\""},
    {FILE_MEASURED, "gpu_count", "0", "measured.csv:2 gpu_count", "is not a number from 1"},
    {FILE_MEASURED, "load", "rate", "measured.csv:2 load", "is none of saturated, concurrency, static_batch"},
    {FILE_MEASURED, "ttft_ms", "-1", "measured.csv:2 ttft_ms", "is not a number from"},
    {FILE_MEASURED, "uid", "", "measured.csv:2 uid", "is empty"},
    {FILE_CALIBRATIONS, "gpu_id", "huge", "calibrations.csv:2 gpu_id", "gpus.csv has no id \"huge\""},
    {FILE_CALIBRATIONS, "memory_gb_per_s", "-1", "calibrations.csv:2 memory_gb_per_s", "is not a number from"},
    {FILE_CALIBRATIONS, "allreduce_gpus", "1", "calibrations.csv:2 allreduce_gpus", "is not a number from"},
    {FILE_CALIBRATIONS, "state", "good", "calibrations.csv:2 state", "is none of used, suspect, retired"},
    {FILE_CALIBRATIONS, "pool", "", "calibrations.csv:2 pool", "is empty"},
    {FILE_MEASURED, "as_of", "soon", "measured.csv:2 as_of", "is no date"},
};

static struct catalog_text over = {.name = "own.csv"};

static void lay_over(const char *rows)
{
    static char text[TEXT_BYTES];
    (void)snprintf(text, sizeof text, "engine,version_from,version_to,coefficient,value,source,as_of\n%s", rows);
    over.text = text;
    over.length = strlen(text);
    fixture.files[FILE_ENGINE_PROFILES].over = &over;
}

static double first_coef(const char *version)
{
    const struct engine_profile *profile = NULL;
    assert_int_equal(snapshot_find_profile(fixture.snapshot, "vllm", version, "engine", &fixture.problems, &profile),
                     STATUS_OK);
    return *(const double *)(const void *)((const char *)&profile->coef + coef_infos[0].offset);
}

/* The base gives the first coefficient 0.5 from 0.17 and 0.25 from 0.21. */
static void test_profiles_are_laid_over(void **state)
{
    (void)state;
    char rows[1024];
    (void)snprintf(rows, sizeof rows,
                   "vllm,0.21,,inherits,vllm 0.21,fit,2026-11-25\nvllm,0.21.0,,%s,7,fit,2026-11-25\n"
                   "vllm,0.18,0.18,inherits,vllm 0.17,fit,2026-11-25\nvllm,0.18,0.18,%s,8,fit,2026-11-25\n",
                   coef_infos[0].name, coef_infos[0].name);
    assert_int_equal(load(), STATUS_OK);
    char *plain = arena_strdup(&fixture.arena, fixture.snapshot->version);
    lay_over(rows);
    assert_int_equal(load(), STATUS_OK);
    assert_string_not_equal(fixture.snapshot->version, plain);
    assert_int_equal(fixture.snapshot->profile_count, 3);
    assert_true(first_coef("0.17") == 0.5 && first_coef("0.18.2") == 8 && first_coef("0.20") == 0.5);
    assert_true(first_coef("0.21") == 7 && first_coef(NULL) == 7);
    assert_string_equal(fixture.snapshot->profiles[0].inherits, "vllm 0.17"); /* as the catalog has it */
    assert_true(fixture.snapshot->profiles[0].coef.request_ms == fixture.snapshot->profiles[2].coef.request_ms);
}

static void test_bad_rows_laid_over(void **state)
{
    (void)state;
    static const struct {
        const char *rows, *place, *reason;
    } cases[] = {
        {"vllm,0.21,,speed,7,fit,2026", "own.csv:2 coefficient", "there is no coefficient"},
        {"vllm,0.21,,layer_us,fast,fit,2026", "own.csv:2 value", "is not a number"},
        {"vllm,0.21,,layer_us,7,,2026", "own.csv:2 source", "is empty"},
        {"vllm,0.21,,layer_us,7,fit,2026\nvllm,0.21,,layer_us,8,fit,2026", "own.csv:3 coefficient", "same as line 2"},
        {"vllm,0.21,0.22,layer_us,7,fit,2026", "own.csv:2 version_to", "the catalog's vllm 0.21 ends with \"\""},
        {"vllm,0.18,0.18,layer_us,7,fit,2026", "own.csv:2 coefficient", "does not give"},
        {"vllm,0.5,0.18,inherits,vllm 0.17,fit,2026", "own.csv:2 version_to", "reaches into"},
        {"vllm,0.18,0.18,inherits,vllm 0.3,fit,2026", "own.csv:2 value", "inherits from no profile"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lay_over(cases[i].rows);
        assert_refused(cases[i].place, cases[i].reason);
    }
}

static void test_bad_cells(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cells / sizeof *bad_cells; i++) {
        reset();
        set_cell(bad_cells[i].file, bad_cells[i].column, bad_cells[i].value);
        assert_refused(bad_cells[i].place, bad_cells[i].reason);
    }
}

static const struct {
    enum catalog_file file;
    const char *line, *place, *reason;
} bad_lines[] = {
    {FILE_OFFERS, "cloud,b8", "offers.csv:5", "2 fields, but the header has 16"},
    {FILE_OFFERS, "cloud,\"b8", "offers.csv:5", "no closing quote"},
    {FILE_OFFERS, "\xff", "offers.csv:1", "not UTF-8"},
    {FILE_OFFERS, "Cloud,B8,EU-1,,big-sxm,8,on_demand,,21,,,instance_total,2026-10-01,other,,",
     "offers.csv:5 usd_per_hour", "another price on the same day in line 2"},
    {FILE_GPU_ALIASES, "user,BIG_one,big-sxm,common,2026", "gpu_aliases.csv:4 name", "the same as line 2"},
    {FILE_REGIONS, "Cloud,EU-1,at,eu,documentation,2026-11-23", "regions.csv:3 region", "the same as line 2"},
    {FILE_PURCHASE_PRICES, "big-sxm,1,listing,2026-08,page,", "purchase_prices.csv:4 as_of", "the same as line 3"},
    {FILE_OPERATING_COSTS, "pue_ratio,all,1.3,ratio,2026-07,page", "operating_costs.csv:3 scope", "the same as line 2"},
    {FILE_API_PRICES, "Host,owner/small-7b,1,1,2026,list", "api_prices.csv:3 provider", "the same as line 2"},
    {FILE_MEASURED, "bench,1,vllm,,owner/Small-7B,big-sxm,1,,,,,,saturated,,9,9,9,,,,,,2026", "measured.csv:3 uid",
     "the same as line 2"},
    {FILE_CALIBRATIONS, "one,own,big-sxm,,,,,,,,,,,,,suspect,,probe,2026", "calibrations.csv:3 id",
     "the same as line 2"},
    {FILE_ENGINE_SUPPORT, "VLLM,hopper,fp8,false,documentation,2026", "engine_support.csv:3 architecture",
     "the same as line 2"},
    {FILE_ENGINE_PROFILES, "vllm,0.5,0.17,inherits,vllm 0.17,fit,2026", "engine_profiles.csv", "reaches into"},
    {FILE_ENGINE_PROFILES, "vllm,0.5,0.6,inherits,vllm 0.4,fit,2026", "engine_profiles.csv",
     "inherits from no profile"},
    {FILE_ENGINE_PROFILES, "vllm,0.5,0.6,inherits,vllm 0.5,fit,2026", "engine_profiles.csv", "in a circle"},
    {FILE_ENGINE_PROFILES, "vllm,0.5,0.6,inherits,vllm 0.7,fit,2026\nvllm,0.7,0.8,inherits,vllm 0.5,fit,2026",
     "engine_profiles.csv", "in a circle"},
    {FILE_ENGINE_PROFILES, "vllm,0.5,0.6,kv_block_tokens,16,fit,2026", "engine_profiles.csv", "does not give"},
};

static void test_bad_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_lines / sizeof *bad_lines; i++) {
        reset();
        append(bad_lines[i].file, bad_lines[i].line);
        if (strchr(bad_lines[i].place, ':')) {
            assert_refused(bad_lines[i].place, bad_lines[i].reason);
            continue;
        }
        assert_int_equal(load(), STATUS_BAD_ROW); /* the line depends on the number of coefficients */
        bool found = false;
        for (size_t p = 0; p < fixture.problems.count; p++)
            found = found || strstr(fixture.problems.items[p].detail, bad_lines[i].reason);
        if (!found) fail_msg("%s: %s", bad_lines[i].line, fixture.problems.items[0].detail);
    }
}

static void test_bad_headers(void **state)
{
    (void)state;
    memcpy(fixture.texts[FILE_OFFERS], "supplier", 8);
    assert_refused("offers.csv:1", "\"supplier\" is not a column of this file");
    assert_non_null(find_problem("offers.csv:1 provider"));
    reset();
    memcpy(strstr(fixture.texts[FILE_REGIONS], "as_of"), "regio", 5);
    assert_refused("regions.csv:1 as_of", "is missing");
    reset();
    (void)snprintf(fixture.texts[FILE_OPERATING_COSTS], TEXT_BYTES, "key,scope,value,unit,as_of,source,key\n");
    assert_refused("operating_costs.csv:1 key", "appears twice");
    reset();
    fixture.texts[FILE_API_PRICES][0] = '\0';
    assert_refused("api_prices.csv:1", "it has no header");
    reset();
    fixture.files[FILE_API_PRICES].text = NULL; /* absent, not empty */
    assert_int_equal(load(), STATUS_OK);
    assert_int_equal(fixture.snapshot->api_price_count, 0);
}

static void test_columns_in_any_order(void **state)
{
    (void)state;
    (void)snprintf(fixture.texts[FILE_OPERATING_COSTS], TEXT_BYTES,
                   "\xef\xbb\xbfsource,value,unit,as_of,scope,key\r\n\"a, b\",1.5,ratio,2026,all,pue_ratio\r\n");
    assert_int_equal(load(), STATUS_OK);
    const struct operating_cost *cost = snapshot_operating_cost(fixture.snapshot, "pue_ratio", "all");
    assert_near(cost->value, 1.5, 0);
    assert_string_equal(cost->source, "a, b");
}

static void test_all_bad_rows_are_reported(void **state)
{
    (void)state;
    enum { BAD_ROWS = PROBLEMS_MAX + 8, BAD_CELLS = 2 * BAD_ROWS };
    for (int i = 0; i < BAD_ROWS; i++)
        append(FILE_OPERATING_COSTS, "k e y,all,x,ratio,2026,page");
    assert_int_equal(load(), STATUS_BAD_ROW);
    assert_int_equal(fixture.problems.count, PROBLEMS_MAX);
    assert_int_equal(fixture.problems.dropped, BAD_CELLS - PROBLEMS_MAX);
    assert_non_null(find_problem("operating_costs.csv:3 key"));
    assert_non_null(find_problem("operating_costs.csv:4 value"));
}

static void test_newer_offer_supersedes(void **state)
{
    (void)state;
    append(FILE_OFFERS, "cloud,b8,eu-1,,big-sxm,8,on_demand,,18,,,instance_total,2026-10-02,list,,");
    append(FILE_OFFERS, "cloud,b8,eu-1,,big-sxm,8,on_demand,,18,,,instance_total,2026-10-02,list,,");
    append(FILE_OFFERS, "cloud,b8,eu-1,z1,big-sxm,8,on_demand,,17,,,instance_total,2026-10-02,list,,");
    assert_int_equal(load(), STATUS_OK);
    assert_int_equal(fixture.snapshot->offer_count, 4);
    assert_string_equal(fixture.snapshot->offers[1].zone, "z1");
    assert_int_equal(fixture.snapshot->offers[1].usd_per_hour.micro, 17000000);
    assert_int_equal(fixture.snapshot->offers[2].usd_per_hour.micro, 18000000);
}

static void test_version_follows_content(void **state)
{
    (void)state;
    assert_int_equal(load(), STATUS_OK);
    char first[64];
    (void)snprintf(first, sizeof first, "%s", fixture.snapshot->version);
    assert_int_equal(load(), STATUS_OK);
    assert_string_equal(fixture.snapshot->version, first);
    set_cell(FILE_OFFERS, "notes", "changed");
    assert_int_equal(load(), STATUS_OK);
    assert_string_not_equal(fixture.snapshot->version, first);
}

/* Memory runs out at every block in turn: no crash, no leak, one clear status, until there is enough. */
static void test_memory_runs_out(void **state)
{
    (void)state;
    enum { STEP_BYTES = 1024, MOST_BYTES = 8 << 20 };
    size_t max_bytes = STEP_BYTES;
    enum status status = STATUS_OUT_OF_MEMORY;
    for (; status == STATUS_OUT_OF_MEMORY && max_bytes < MOST_BYTES; max_bytes += STEP_BYTES) {
        problems_init(&fixture.problems, &fixture.arena);
        status = catalog_load_within(fixture.files, max_bytes, &fixture.problems, &fixture.snapshot);
        assert_int_equal(fixture.problems.count, status == STATUS_OK ? 0 : 1);
        assert_true(status == STATUS_OK || fixture.snapshot == NULL);
    }
    assert_int_equal(status, STATUS_OK);
    assert_true(max_bytes > (size_t)64 * STEP_BYTES); /* it did run out before */
}

static uint64_t random_state;

static uint64_t next_random(void) /* splitmix64 */
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* Any bytes in any file: refused with a reason or loaded, never a crash. */
static void test_any_bytes(void **state)
{
    (void)state;
    const char *seed = getenv("GPUSIZE_TEST_SEED");
    int64_t number = 20261123;
    assert_true(!seed || text_parse_int64(seed, &number));
    random_state = (uint64_t)number;
    print_message("GPUSIZE_TEST_SEED=%" PRId64 "\n", number);
    static const char spice[] = ",\"\n\r\0-.0e9|/ \xc3\xff";
    for (int round = 0; round < 1500; round++) {
        reset();
        size_t file = next_random() % CATALOG_FILE_COUNT;
        size_t length = strlen(fixture.texts[file]);
        for (uint64_t edits = 1 + next_random() % 6; edits > 0; edits--)
            fixture.texts[file][next_random() % length] = spice[next_random() % (sizeof spice - 1)];
        if (next_random() % 8 == 0) length = next_random() % length;
        fixture.files[file].length = length;
        snapshot_free(fixture.snapshot);
        fixture.snapshot = NULL;
        arena_done(&fixture.arena);
        problems_init(&fixture.problems, &fixture.arena);
        enum status status = catalog_load(fixture.files, &fixture.problems, &fixture.snapshot);
        assert_true(status == STATUS_OK || status == STATUS_BAD_ROW);
        assert_int_equal(status == STATUS_OK, fixture.problems.count == 0);
        assert_int_equal(status == STATUS_OK, fixture.snapshot != NULL);
        for (size_t i = 0; i < fixture.problems.count; i++)
            assert_int_equal(strncmp(fixture.problems.items[i].field, names[file], 4) == 0 ||
                                 strchr(fixture.problems.items[i].field, ':') != NULL,
                             true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_base_loads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_profiles_inherit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_profiles_are_laid_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_rows_laid_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_measurements, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_calibrations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_calibrations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_cells, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_headers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_columns_in_any_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_all_bad_rows_are_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_newer_offer_supersedes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_version_follows_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_runs_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_bytes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
