/* sizing_fuzz.c owns the fuzzing of memory and speed: any architecture on any GPU in any layout gives figures that are
 * finite or unknown, never negative, and that move the right way. */
#include "catalog.h"
#include "fuzz.h"
#include "sizing/performance.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* The input, byte by byte; zeros when it is used up. */
struct source {
    const uint8_t *data;
    size_t size;
};

static uint32_t take(struct source *source, uint32_t most)
{
    uint32_t value = 0;
    for (int i = 0; i < 3 && source->size; i++, source->size--)
        value = value << 8 | *source->data++;
    return value % (most + 1);
}

static void take_layers(struct source *source, struct model *model)
{
    model->layers = 1 + take(source, 200);
    model->sliding_layers = take(source, model->layers);
    model->linear_layers = take(source, model->layers - model->sliding_layers);
    if (take(source, 1)) model->sliding_layers = model->linear_layers = 0;
    model->full_attention_layers = model->layers - model->sliding_layers - model->linear_layers;
    model->sliding_window_tokens = model->sliding_layers ? 1 + take(source, 200000) : 0;
    model->chunked = take(source, 1);
    model->ssm_state_elements = model->linear_layers ? take(source, 1 << 23) : 0;
    model->conv_state_elements = model->linear_layers ? take(source, 1 << 20) : 0;
    model->ssm_state_element_bytes = take(source, 4);
}

static struct model take_model(struct source *source)
{
    static const enum attention_kind kinds[] = {ATTENTION_GQA, ATTENTION_MLA, ATTENTION_HYBRID_SWA,
                                                ATTENTION_HYBRID_LINEAR};
    struct model model = {.id = "fuzz", .family = "", .architecture = take(source, 1) ? "LlamaForCausalLM" : ""};
    take_layers(source, &model);
    model.hidden_size = 64 * (1 + take(source, 511));
    model.attention_heads = take(source, 7) ? 1U << take(source, 8) : 0;
    model.kv_heads = model.attention_heads ? 1U << take(source, 8) : 0;
    if (model.kv_heads > model.attention_heads) model.kv_heads = model.attention_heads;
    model.head_dim = 1 + take(source, 512);
    model.intermediate_size = take(source, 1 << 17);
    model.vocabulary_size = 1 + take(source, 400000);
    model.tied_embeddings = take(source, 1);
    model.max_position_tokens = take(source, 1 << 22);
    model.parameters = 1e6 * (1 + take(source, 2000000));
    model.active_parameters = model.parameters * (1 + take(source, 99)) / 100;
    model.vision_parameters = 1e6 * take(source, 6000);
    model.attention_kind = kinds[take(source, 3)];
    if (model.attention_kind == ATTENTION_MLA) {
        model.kv_lora_rank = 1 + take(source, 1024);
        model.qk_rope_head_dim = 1 + take(source, 128);
        model.qk_nope_head_dim = model.v_head_dim = take(source, 256);
        model.q_lora_rank = take(source, 2048);
        model.index_head_dim = take(source, 1) ? 128 : 0;
        model.index_heads = model.index_head_dim ? 1 + take(source, 127) : 0;
        model.index_topk = take(source, 4096);
    }
    if (take(source, 1)) {
        model.experts = 1 + take(source, 512);
        model.experts_per_token = 1 + take(source, model.experts - 1);
        model.moe_intermediate_size = 1 + take(source, 1 << 14);
        model.dense_layers = take(source, model.layers);
        /* at least what the experts in use have: all parameters cannot be in the others */
        double share = (double)model.experts_per_token / model.experts;
        model.active_parameters = model.parameters * fmax(share, model.active_parameters / model.parameters);
    }
    model.native_dtype = (enum dtype)take(source, DTYPE_COUNT - 1);
    model.mtp_layers = take(source, 2);
    model.native_multimodal = take(source, 1);
    return model;
}

static struct deployment take_deployment(struct source *source, const struct model *model, const struct model *draft)
{
    const struct snapshot *snapshot = fuzz_catalog();
    struct deployment deployment = {
        .model = model,
        .gpu = &snapshot->gpus[take(source, (uint32_t)snapshot->gpu_count - 1)],
        .engine = &snapshot->profiles[take(source, (uint32_t)snapshot->profile_count - 1)],
        .weight_dtype = (enum dtype)take(source, DTYPE_COUNT - 1),
        .kv_dtype = take(source, 1) ? DTYPE_FP8 : DTYPE_UNKNOWN,
        .tensor_parallel = 1U << take(source, 4),
        .pipeline_parallel = 1 + take(source, 4),
        .max_model_len_tokens = take(source, 1 << 21),
        .max_batched_tokens = take(source, 1 << 15),
        .max_sequences = take(source, 2048),
        .gpu_memory_utilization_ratio = take(source, 1) ? (5 + take(source, 95)) / 100.0 : UNKNOWN,
        .gpu_used_gib = take(source, 40),
        .max_loras = take(source, 16),
        .max_lora_rank = take(source, 256),
        .lora_targets = (enum lora_targets)take(source, 1),
        .draft_kind = (enum draft_kind)take(source, DRAFT_MODEL),
        .draft_tokens = take(source, 8),
        .cpu_offload_gib = take(source, 100),
        .kv_offload_gib = take(source, 1000),
        .gpu_layers = take(source, model->layers + 1),
    };
    deployment.expert_parallel = model->experts && take(source, 1) ? deployment.tensor_parallel : 1;
    if (deployment.draft_kind == DRAFT_NONE) deployment.draft_tokens = 0;
    if (deployment.draft_kind == DRAFT_MODEL) deployment.draft_model = draft;
    deployment_default(&deployment);
    return deployment;
}

static struct memory size(const struct deployment *deployment)
{
    struct memory memory;
    enum status status = memory_size(deployment, &memory);
    assert(status == STATUS_OK);
    assert(isfinite(memory.weights_bytes) && memory.weights_bytes >= 0);
    assert(isfinite(memory.offloaded_bytes) && memory.offloaded_bytes >= 0);
    assert(isfinite(memory.lora_bytes) && memory.lora_bytes >= 0);
    assert(isfinite(memory.draft_bytes) && memory.draft_bytes >= 0);
    assert(isfinite(memory.activations_bytes) && memory.activations_bytes >= 0);
    assert(isfinite(memory.overhead_bytes) && memory.overhead_bytes >= 0);
    assert(isfinite(memory.kv_pool_bytes) && memory.kv_units >= 0 && isfinite(memory.kv_units));
    assert(memory.kv_bytes_per_token >= memory.draft_kv_bytes_per_token && memory.draft_kv_bytes_per_token >= 0);
    assert(memory.max_concurrency >= 0 && isfinite(memory.max_concurrency));
    assert(memory.kv_host_tokens >= 0 && isfinite(memory.kv_host_tokens));
    assert(memory.fits == (memory.max_concurrency >= 1));
    return memory;
}

/* More memory never takes away; what others use, slots, drafts never give; weights in host memory never take away. */
static void check_directions(const struct deployment *deployment, const struct memory *memory)
{
    struct gpu larger = *deployment->gpu;
    larger.memory_cuda_mib *= 1.5;
    struct deployment more = *deployment, used = *deployment, bare = *deployment, offloaded = *deployment;
    more.gpu = &larger;
    used.gpu_used_gib += 1;
    bare.max_loras = 0;
    bare.draft_kind = DRAFT_NONE;
    bare.draft_tokens = 0;
    offloaded.cpu_offload_gib += 1;
    struct memory with_more = size(&more), with_used = size(&used), with_bare = size(&bare);
    struct memory with_offloaded = size(&offloaded);
    assert(with_more.kv_pool_bytes >= memory->kv_pool_bytes);
    assert(with_more.max_context_tokens >= memory->max_context_tokens);
    assert(with_used.kv_pool_bytes <= memory->kv_pool_bytes && with_used.max_concurrency <= memory->max_concurrency);
    assert(with_bare.kv_units >= memory->kv_units && with_offloaded.kv_units >= memory->kv_units);
    if (deployment->pipeline_parallel == 1) { /* else another stage may be the fullest */
        assert(with_bare.lora_bytes == 0 && with_bare.draft_bytes == 0);
        assert(with_bare.kv_pool_bytes >= memory->kv_pool_bytes);
        assert(with_offloaded.kv_pool_bytes >= memory->kv_pool_bytes);
        assert(with_offloaded.offloaded_bytes >= memory->offloaded_bytes);
    }
}

static void check_quantity(struct predicted quantity)
{
    if (!is_known(quantity.value)) return;
    assert(quantity.value >= 0);
    if (is_known(quantity.low)) assert(quantity.low >= 0 && quantity.low <= quantity.high * (1 + 1e-9));
}

static void check_speed(struct source *source, const struct deployment *deployment, const struct memory *memory)
{
    struct roofline roofline;
    struct performance performance;
    roofline_init(&roofline, deployment, memory, 1 + take(source, 100000), 1 + take(source, 10000));
    double bound = roofline_output_bound(&roofline);
    assert(!(bound < 0));
    for (enum load load = LOAD_SATURATED; load < LOAD_COUNT; load++) {
        struct load_point point = {
            load, 1 + take(source, 1000), 1 + take(source, 1000), 0.001 * (1 + take(source, 100000)), 1, 95, true};
        performance_predict(&roofline, &point, &performance);
        check_quantity(performance.output_tokens_per_second);
        check_quantity(performance.requests_per_second);
        check_quantity(performance.ttft_ms);
        check_quantity(performance.tpot_ms);
        double output = performance.output_tokens_per_second.value;
        if (is_known(output) && is_known(bound)) assert(output <= bound * (1 + 1e-5)); /* rounded to six digits */
    }
}

/* Of some figures, as shares of what the part can do. */
static struct calibration take_calibration(struct source *source, const struct gpu *gpu)
{
    struct calibration calibration = {.id = "fuzz", .pool = "own", .gpu = gpu};
    double *const figures[] = {&calibration.memory_gb_per_s, &calibration.kv_gb_per_s, &calibration.launch_us,
                               &calibration.allreduce_us, &calibration.allreduce_gb_per_s};
    const double peaks[] = {gpu->memory_bandwidth_gb_per_s, gpu->memory_bandwidth_gb_per_s, 10, 50,
                            gpu->link_gb_per_s / 2};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        *figures[i] = take(source, 1) ? peaks[i] * (5 + take(source, 98)) / 100 : UNKNOWN;
    for (enum peak peak = 0; peak < PEAK_COUNT; peak++)
        calibration.product_tflops[peak] =
            take(source, 1) ? gpu->peak_tflops[peak] * (5 + take(source, 98)) / 100 : UNKNOWN;
    if (take(source, 1)) calibration.usual = snapshot_find_pool(fuzz_catalog(), gpu, CALIBRATION_PUBLISHED);
    return calibration;
}

static double bound_with(const struct deployment *deployment, const struct memory *memory,
                         const struct calibration *calibration)
{
    struct deployment calibrated = *deployment;
    struct roofline roofline;
    calibrated.calibration = calibration;
    roofline_init(&roofline, &calibrated, memory, 1000, 500);
    return roofline_output_bound(&roofline);
}

/* A host that is faster in everything is not slower. */
static void check_calibrated(struct source *source, const struct deployment *deployment, const struct memory *memory)
{
    struct calibration slow = take_calibration(source, deployment->gpu), fast = slow;
    struct deployment calibrated = *deployment;
    fast.memory_gb_per_s *= 1.25;
    fast.kv_gb_per_s *= 1.25;
    fast.allreduce_gb_per_s *= 1.25;
    fast.allreduce_us /= 1.25;
    for (enum peak peak = 0; peak < PEAK_COUNT; peak++)
        fast.product_tflops[peak] *= 1.25;
    assert(!(bound_with(deployment, memory, &fast) < bound_with(deployment, memory, &slow) * (1 - 1e-9)));
    calibrated.calibration = &slow;
    check_speed(source, &calibrated, memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct source source = {data, size_bytes};
    struct model model = take_model(&source), draft = take_model(&source);
    struct deployment deployment = take_deployment(&source, &model, &draft);
    if (deployment.pipeline_parallel > model.layers) deployment.pipeline_parallel = model.layers;
    struct memory memory = size(&deployment);
    check_directions(&deployment, &memory);
    if (!memory.fits) return 0;
    check_speed(&source, &deployment, &memory);
    check_calibrated(&source, &deployment, &memory);
    return 0;
}
