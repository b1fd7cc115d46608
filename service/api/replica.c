/* replica.c owns the way from the shared fields to one deployment. */
#include "api/replica.h"
#include "catalog/mig.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool layout_fits(const struct deployment *deployment)
{
    struct memory memory;
    return deployment_layout_valid(deployment) && memory_size(deployment, &memory) == STATUS_OK && memory.fits;
}

/* Most GPUs that one tensor-parallel group can have: those of one host, or of one link domain if that is larger. */
static uint32_t tensor_parallel_max(const struct gpu *gpu)
{
    uint32_t most = gpu->node_gpus > gpu->link_domain_gpus ? gpu->node_gpus : gpu->link_domain_gpus;
    return most ? most : 1;
}

/* Stages talk over the network between hosts, but a MIG slice to no other. */
static uint32_t pipeline_parallel_max(const struct gpu *gpu)
{
    return gpu->is_mig_slice ? 1 : LAYOUT_STAGES_MAX;
}

/* `stages` 0 = any number of them. */
static bool smallest_layout_of(struct deployment *deployment, uint32_t gpus, uint32_t stages)
{
    uint32_t first = stages ? stages : 1, last = stages ? stages : pipeline_parallel_max(deployment->gpu);
    for (uint32_t count = first; count <= last; count++) {
        if (gpus % count || gpus / count > tensor_parallel_max(deployment->gpu)) continue;
        struct deployment candidate = *deployment;
        deployment_set_layout(&candidate, gpus / count, count);
        if (!layout_fits(&candidate)) continue;
        *deployment = candidate;
        return true;
    }
    return false;
}

bool replica_smallest_layout(struct deployment *deployment, uint32_t gpus, uint32_t stages)
{
    for (uint32_t count = 1; count <= LAYOUT_GPUS_MAX; count++) {
        if ((gpus == 0 || gpus % count == 0) && smallest_layout_of(deployment, count, stages)) return true;
    }
    return false;
}

/* Nothing fits: shows the layout that comes closest, the widest one for these GPUs. */
static void widest_layout(struct deployment *deployment, uint32_t gpus, uint32_t stages)
{
    uint32_t most = tensor_parallel_max(deployment->gpu), pipeline = stages ? stages : 1;
    deployment_set_layout(deployment, deployment->tensor_parallel, pipeline);
    for (uint32_t count = 1; count <= most && count <= gpus; count++) {
        struct deployment candidate = *deployment;
        deployment_set_layout(&candidate, count, pipeline);
        if (gpus % count == 0 && deployment_layout_valid(&candidate)) *deployment = candidate;
    }
}

static uint32_t given(int64_t value)
{
    return value == VALUE_ABSENT ? 0 : (uint32_t)value;
}

static void choose_layout(const struct replica_request *request, struct deployment *deployment)
{
    uint32_t gpus = given(request->gpu_count), stages = given(request->pipeline_parallel);
    uint32_t shards = given(request->tensor_parallel), experts = given(request->expert_parallel);
    if (!shards && experts > 1) shards = experts; /* one group shares layers and experts */
    if (shards) {
        deployment_set_layout(deployment, shards, stages ? stages : 1);
    } else if (!replica_smallest_layout(deployment, gpus, stages)) {
        widest_layout(deployment, gpus ? gpus : 1, stages);
    }
    deployment->expert_parallel = experts ? experts : 1;
}

static enum status check_layout(struct call *call, const struct replica_request *request,
                                const struct deployment *deployment)
{
    struct problems *problems = call->problems;
    const struct model *model = deployment->model;
    uint32_t shards = deployment->tensor_parallel, gpus = deployment_gpus(deployment);
    uint32_t experts = deployment->expert_parallel, most = tensor_parallel_max(deployment->gpu);
    assert(gpus > 0); /* both degrees are at least 1 */
    if (experts != 1 && (experts != shards || !model_is_moe(model))) {
        return problems_add(problems, STATUS_INVALID_VALUE, "layout.expert_parallel",
                            model_is_moe(model) ? "must be 1 or tensor_parallel" : "the model has no experts");
    }
    if (deployment->gpu->is_mig_slice && gpus > 1) {
        return problems_add(problems, STATUS_UNSUPPORTED_COMBINATION,
                            shards > 1 ? "layout.tensor_parallel" : "layout.pipeline_parallel",
                            "slices of a GPU do not talk to each other: a replica has one");
    }
    if (deployment->draft_kind > DRAFT_NGRAM && deployment->pipeline_parallel > 1) {
        return problems_add(problems, STATUS_UNSUPPORTED_COMBINATION, "layout.pipeline_parallel",
                            "engines draft with one stage: leave out draft_model or the stages");
    }
    if (!deployment_layout_valid(deployment)) {
        return problems_add(problems, STATUS_INVALID_VALUE, "layout.tensor_parallel",
                            "%u x %u does not divide the model's %u attention heads and %u layers", shards,
                            deployment->pipeline_parallel, model->attention_heads, model->layers);
    }
    if (shards > most) {
        return problems_add(problems, STATUS_UNSUPPORTED_COMBINATION, "layout.tensor_parallel",
                            "one host of %s has at most %u GPUs", deployment->gpu->id, most);
    }
    if (request->gpu_count != VALUE_ABSENT && request->gpu_count % gpus != 0) {
        return problems_add(problems, STATUS_CONTRADICTION, "layout.gpu_count",
                            "%lld GPUs are not a whole number of replicas of %u", (long long)request->gpu_count, gpus);
    }
    return STATUS_OK;
}

/* The GPU as programs see it: the part, or the slice of it that is asked for. */
static enum status resolve_slice(struct call *call, const struct replica_request *request, struct replica *replica)
{
    struct deployment *deployment = &replica->deployment;
    replica->part = deployment->gpu;
    if (!request->mig_profile || !replica->part) return STATUS_OK;
    replica->mig = mig_find(replica->part, request->mig_profile);
    if (!replica->mig) {
        const char *list = mig_list(replica->part, call->arena);
        return problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "mig_profile", "%s has %s%s",
                            replica->part->id, list && *list ? "the profiles " : "no MIG profiles", list ? list : "");
    }
    mig_slice(replica->part, replica->mig, &replica->slice);
    deployment->gpu = &replica->slice;
    return STATUS_OK;
}

static const struct model *resolved_model(const struct replica *replica)
{
    return replica->model.facts.parameters > 0 ? &replica->model.facts : NULL;
}

/* All names, so that every unknown one is reported at once. What is not given is passed over. */
static enum status resolve_names(struct call *call, struct replica_request *request, struct replica *replica)
{
    struct deployment *deployment = &replica->deployment;
    enum status statuses[] = {
        api_model_given(&request->model) ? api_model_resolve(call, &request->model, &replica->model) : STATUS_OK,
        api_engine_resolve(call, request->engine, request->engine_version, &deployment->engine),
        api_dtype_resolve(call, "serving.weight_dtype", request->weight_dtype, &deployment->weight_dtype),
        api_dtype_resolve(call, "serving.kv_dtype", request->kv_dtype, &deployment->kv_dtype),
        request->gpu
            ? snapshot_find_gpu(call->snapshot, ALIAS_USER, request->gpu, "gpu", call->problems, &deployment->gpu)
            : STATUS_OK,
    };
    enum status calibration_status =
        deployment->gpu ? snapshot_choose_calibration(call->snapshot, deployment->gpu, request->calibration,
                                                      "serving.calibration", call->problems, &deployment->calibration)
                        : STATUS_OK; /* before a slice of it, which is of the same part */
    enum status mig_status = resolve_slice(call, request, replica);
    enum status extras_status = deployment->engine ? api_extras_resolve(call, &request->extras, resolved_model(replica),
                                                                        deployment->engine, deployment)
                                                   : STATUS_OK;
    if (mig_status != STATUS_OK || calibration_status != STATUS_OK || extras_status != STATUS_OK)
        return problems_status(call->problems);
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (statuses[i] != STATUS_OK) return problems_status(call->problems);
    }
    return STATUS_OK;
}

enum status replica_refuse(struct call *call, struct replica_request *request, enum status status)
{
    struct replica replica = {0};
    if (status == STATUS_OUT_OF_MEMORY) return status; /* the request was not written */
    return resolve_names(call, request, &replica) == STATUS_OK ? status : problems_status(call->problems);
}

enum status replica_check_runs(struct call *call, const struct replica *replica)
{
    if (replica->deployment.gpu_layers && replica->deployment.gpu_layers <= replica->deployment.model->layers) {
        return problems_add(
            call->problems, STATUS_UNSUPPORTED_COMBINATION, "serving.gpu_layers",
            "the speed of layers on a CPU is not known here: leave it out, or ask for the memory alone");
    }
    if (replica->memory.fits) return STATUS_OK;
    if (replica->smallest_gpus == 0) {
        return problems_add(call->problems, STATUS_NOT_FEASIBLE, "gpu", "no layout of up to %d %s holds this model",
                            (int)LAYOUT_GPUS_MAX, replica->deployment.gpu->id);
    }
    return problems_add(call->problems, STATUS_NOT_FEASIBLE, "layout.gpu_count",
                        "the model does not fit this layout; the smallest that fits has %u GPUs",
                        replica->smallest_gpus);
}

/* Writes what was chosen back, so that the request in the answer is complete and equal questions have one id. */
static void fill_request(struct replica_request *request, const struct replica *replica)
{
    const struct deployment *deployment = &replica->deployment;
    if (request->model.name && !replica->model.assumed) request->model.name = replica->model.facts.id;
    request->gpu = replica->part->id;
    if (replica->mig) request->mig_profile = replica->mig->name;
    request->calibration = deployment->calibration ? deployment->calibration->id : CALIBRATION_NONE;
    request->engine = deployment->engine->engine;
    request->weight_dtype = dtype_name(deployment->weight_dtype);
    request->kv_dtype = dtype_name(deployment->kv_dtype);
    request->max_model_len_tokens = deployment->max_model_len_tokens;
    request->max_batched_tokens = deployment->max_batched_tokens;
    request->max_sequences = deployment->max_sequences;
    if (!deployment->utilization_by_layout) /* else it has to be chosen again for the smallest layout */
        request->gpu_memory_utilization_ratio = deployment->gpu_memory_utilization_ratio;
    request->tensor_parallel = deployment->tensor_parallel;
    request->pipeline_parallel = deployment->pipeline_parallel;
    request->expert_parallel = deployment->expert_parallel;
    request->gpu_count = (int64_t)replica->replicas * deployment_gpus(deployment);
}

static void fill_deployment(const struct replica_request *request, struct replica *replica)
{
    struct deployment *deployment = &replica->deployment;
    deployment->model = &replica->model.facts;
    deployment->tensor_parallel = deployment->pipeline_parallel = deployment->expert_parallel = 1;
    deployment->max_model_len_tokens = (uint32_t)request->max_model_len_tokens;
    deployment->max_batched_tokens = given(request->max_batched_tokens);
    deployment->max_sequences = given(request->max_sequences);
    deployment->gpu_memory_utilization_ratio = request->gpu_memory_utilization_ratio;
    deployment->gpu_used_gib = request->gpu_used_gib;
    deployment->gpu_layers = given(request->gpu_layers);
    deployment->weights_bytes = UNKNOWN;
    enum dtype asked = deployment->weight_dtype;
    deployment_default(deployment);
    /* The stated size is of the published checkpoint: another format has another one. */
    if (asked == DTYPE_UNKNOWN || asked == replica->model.facts.native_dtype) {
        deployment->weights_bytes = replica->model.weights_bytes;
    }
}

static enum status check_gpu_layers(struct call *call, const struct deployment *deployment)
{
    uint32_t layers = deployment->model->layers;
    if (!deployment->gpu_layers) return STATUS_OK;
    if (strcmp(deployment->engine->engine, "llama.cpp") != 0) {
        return problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, "serving.gpu_layers",
                            "only llama.cpp leaves layers to the CPU; vllm and sglang have cpu_offload_gib");
    }
    if (deployment->gpu_layers > layers + 1) {
        return problems_add(call->problems, STATUS_INVALID_VALUE, "serving.gpu_layers",
                            "the model has %u layers, and a head: at most %u", layers, layers + 1);
    }
    return STATUS_OK;
}

static enum status check_gpu_used(struct call *call, const struct deployment *deployment)
{
    const struct gpu *gpu = deployment->gpu;
    if (!(deployment->gpu_used_gib * GIB >= gpu->memory_cuda_mib * MIB)) return STATUS_OK;
    return problems_add(call->problems, STATUS_INVALID_VALUE, "serving.gpu_used_gib",
                        "others cannot take all of the GPU: %s has %.4g GiB", gpu->id,
                        gpu->memory_cuda_mib * MIB / GIB);
}

static enum status check_host(struct call *call, const struct deployment *deployment)
{
    const struct gpu *gpu = deployment->gpu;
    const char *field = deployment->cpu_offload_gib > 0 ? "serving.cpu_offload_gib" : "serving.kv_offload_gib";
    if (!deployment_lacks_host(deployment)) return STATUS_OK;
    if (gpu->host.unified) {
        return problems_add(call->problems, STATUS_UNSUPPORTED_COMBINATION, field,
                            "the memory of %s is the host's: there is none beside it", gpu->id);
    }
    return problems_add(call->problems, STATUS_INVALID_VALUE, field, "%s comes with %.4g GiB for each GPU", gpu->id,
                        gpu->host.capacity_gb * GB / GIB);
}

enum status replica_resolve(struct call *call, struct replica_request *request, struct replica *ret_replica)
{
    struct replica *replica = ret_replica;
    *replica = (struct replica){0};
    if (isnan(request->input_tokens)) request->input_tokens = DEFAULT_INPUT_TOKENS;
    if (isnan(request->output_tokens)) request->output_tokens = DEFAULT_OUTPUT_TOKENS;
    if (!request->gpu) {
        (void)problems_add(call->problems, STATUS_MISSING_FIELD, "gpu",
                           "say which GPU, such as h100-sxm; see /v1/gpus");
    }
    enum status status = resolve_names(call, request, replica);
    if (status != STATUS_OK || !request->gpu) return problems_status(call->problems);
    status = api_lengths_resolve(call, &replica->model.facts, request->input_tokens, request->output_tokens,
                                 &request->max_model_len_tokens);
    if (status != STATUS_OK) return status;
    fill_deployment(request, replica);
    status = api_support_check(call, &replica->deployment);
    if (status == STATUS_OK) status = check_gpu_layers(call, &replica->deployment);
    if (status == STATUS_OK) status = check_gpu_used(call, &replica->deployment);
    if (status != STATUS_OK) return status;
    struct deployment smallest = replica->deployment;
    if (replica_smallest_layout(&smallest, 0, 0)) replica->smallest_gpus = deployment_gpus(&smallest);
    choose_layout(request, &replica->deployment);
    status = check_layout(call, request, &replica->deployment);
    if (status == STATUS_OK) status = check_host(call, &replica->deployment);
    if (status != STATUS_OK) return status;
    uint32_t gpus = given(request->gpu_count);
    replica->input_tokens = request->input_tokens;
    replica->replicas = gpus ? gpus / deployment_gpus(&replica->deployment) : 1;
    fill_request(request, replica);
    status = memory_size(&replica->deployment, &replica->memory);
    return status == STATUS_OK ? status : problems_add(call->problems, status, "model", "%s", status_hint(status));
}

void replica_find_evidence(const struct call *call, const struct replica_request *request,
                           const struct replica *replica, struct roofline *roofline, struct evidence *ret_evidence)
{
    struct measurements measurements = snapshot_measurements(call->snapshot, replica->model.id);
    const char *version = request->engine_version;
    if (version) measurements.engine_version = version + (*version == 'v' || *version == 'V');
    evidence_find(&measurements, roofline, ret_evidence);
}

static void put_assumptions(struct out *out, const struct replica *replica, const char *const *more, size_t more_count)
{
    out_array(out, "assumptions");
    if (replica->model.assumed) {
        out_text(out, NULL,
                 "Only the size of the model is known: layers, heads and KV cache are those of a usual dense model of "
                 "that size.");
    }
    if (!replica->deployment.gpu->memory_cuda_measured) {
        out_text(out, NULL, "No source states what programs get of this GPU's memory: it is derived from its size.");
    }
    if (replica->deployment.draft_kind == DRAFT_EAGLE) {
        out_text(out, NULL, "The draft is one layer of the model's shape, without a vocabulary of its own.");
    }
    if (replica->deployment.max_loras && replica->model.facts.linear_layers) {
        out_text(out, NULL, "LoRA slots of the projections of linear layers are not counted.");
    }
    if (replica->deployment.gpu->host.unified) {
        out_text(out, NULL,
                 "The GPU's memory is the host's: the operating system and other programs take theirs from it; "
                 "gpu_used_gib says how much.");
    }
    for (size_t i = 0; i < more_count; i++)
        out_text(out, NULL, more[i]);
    out_array_end(out);
}

/* vLLM does not start where less is free than its share of the whole; the share that leaves others theirs. */
static void put_share(struct out *out, const struct replica *replica)
{
    char text[160];
    const struct memory *memory = &replica->memory;
    if (!(replica->deployment.gpu_used_gib > 0) || !(memory->available_bytes > 0)) return;
    if (strcmp(replica->deployment.engine->engine, "vllm") != 0) return;
    (void)snprintf(text, sizeof text,
                   "vLLM starts only where its share of the memory is free: this answer is that of "
                   "--gpu-memory-utilization %.3f.",
                   floor(1000 * memory->available_bytes / memory->physical_bytes) / 1000);
    out_text(out, NULL, text);
}

static void put_host_warnings(struct out *out, const struct deployment *deployment)
{
    char text[200];
    const char *link = gpu_host_link(deployment->gpu); /* there is one: check_host */
    if (deployment->cpu_offload_gib > 0) {
        (void)snprintf(text, sizeof text,
                       "Weights in host memory are read through %s in every step: the speed is not measured here.",
                       link);
        out_text(out, NULL, text);
    }
    if (deployment->kv_offload_gib > 0) {
        (void)snprintf(text, sizeof text,
                       "Host memory keeps caches of past requests, which hits read back through %s: requests in flight "
                       "need theirs on the GPU all the same.",
                       link);
        out_text(out, NULL, text);
    }
}

static void put_warnings(struct out *out, const struct replica *replica)
{
    const struct deployment *deployment = &replica->deployment;
    enum dtype native = deployment->model->native_dtype;
    double published_bits = dtype_bits(native == DTYPE_UNKNOWN ? DTYPE_BF16 : native);
    out_array(out, "warnings");
    if (dtype_bits(deployment->weight_dtype) < published_bits) {
        out_text(out, NULL, "These weights have fewer bits than the published ones: measure the quality.");
    }
    put_share(out, replica);
    put_host_warnings(out, deployment);
    if (deployment->pipeline_parallel > 1) {
        out_text(out, NULL, "Pipeline parallelism is not measured here: its speed is extrapolated.");
    }
    out_array_end(out);
}

static void put_count(struct out *out, const char *key, uint32_t count)
{
    out_integer(out, key, count ? (int64_t)count : VALUE_ABSENT);
}

static void put_extras(struct out *out, const struct deployment *deployment)
{
    const struct model *draft = deployment->draft_model;
    put_count(out, "max_loras", deployment->max_loras);
    put_count(out, "max_lora_rank", deployment->max_lora_rank);
    out_text(out, "lora_targets", deployment->max_loras ? lora_target_names[deployment->lora_targets] : NULL);
    out_text(out, "draft_model", draft ? draft->id : draft_kind_name(deployment->draft_kind));
    put_count(out, "draft_tokens", deployment->draft_tokens);
    api_put_number(out, "cpu_offload_gib", deployment->cpu_offload_gib);
    api_put_number(out, "kv_offload_gib", deployment->kv_offload_gib);
    api_put_number(out, "gpu_used_gib", deployment->gpu_used_gib);
    put_count(out, "gpu_layers", deployment->gpu_layers);
}

/* Of a prompt of the mean length: reading its cache back, and computing it instead. */
static void put_host_cache(struct out *out, const struct replica *replica)
{
    const struct deployment *deployment = &replica->deployment;
    const struct memory *memory = &replica->memory;
    double tokens = replica->input_tokens, load_ms = UNKNOWN, recompute_ms = UNKNOWN;
    if (memory->kv_host_tokens > 0) {
        struct roofline roofline;
        roofline_init(&roofline, deployment, memory, tokens, 1);
        load_ms = MS_PER_S * tokens * memory->kv_bytes_per_token / GB / gpu_host_gb_per_s(deployment->gpu);
        recompute_ms = MS_PER_S * tokens / roofline_prefill_tokens_per_second(&roofline);
    }
    out_integer(out, "kv_tokens", (int64_t)memory->kv_host_tokens);
    api_put_number(out, "kv_prompts", memory->kv_host_tokens / tokens);
    api_put_number(out, "kv_load_ms", load_ms);
    api_put_number(out, "kv_recompute_ms", recompute_ms);
}

/* "host_memory": what stands beside the GPUs, what is kept there, and what it costs to read it. */
static void put_host(struct out *out, const struct replica *replica)
{
    const struct gpu *gpu = replica->deployment.gpu;
    double gb_per_s = gpu_host_gb_per_s(gpu);
    out_object(out, "host_memory");
    out_bool(out, "unified", gpu->host.unified);
    out_text(out, "link", gpu_host_link(gpu));
    api_put_number(out, "gb_per_s", gb_per_s);
    api_put_gib(out, "gib_per_gpu", gpu->host.capacity_gb > 0 ? gpu->host.capacity_gb * GB : UNKNOWN);
    api_put_number(out, "weights_ms_per_step", MS_PER_S * replica->memory.offloaded_bytes / GB / gb_per_s);
    put_host_cache(out, replica);
    out_object_end(out);
}

void replica_put(struct out *out, const struct replica *replica, const char *const *more, size_t more_count)
{
    const struct deployment *deployment = &replica->deployment;
    out_text(out, "gpu", replica->part->id);
    out_text(out, "mig_profile", replica->mig ? replica->mig->name : NULL);
    out_object(out, "serving");
    out_text(out, "engine", deployment->engine->engine);
    out_text(out, "profile_version_from", deployment->engine->version_from);
    out_text(out, "profile_version_to", *deployment->engine->version_to ? deployment->engine->version_to : NULL);
    out_text(out, "weight_dtype", dtype_name(deployment->weight_dtype));
    out_text(out, "kv_dtype", dtype_name(deployment->kv_dtype));
    out_integer(out, "max_model_len_tokens", deployment->max_model_len_tokens);
    out_integer(out, "max_batched_tokens", deployment->max_batched_tokens);
    out_integer(out, "max_sequences", deployment->max_sequences);
    api_put_number(out, "gpu_memory_utilization_ratio", deployment->gpu_memory_utilization_ratio);
    put_extras(out, deployment);
    out_object_end(out);
    out_object(out, "layout");
    out_integer(out, "gpu_count", (int64_t)replica->replicas * deployment_gpus(deployment));
    out_integer(out, "tensor_parallel", deployment->tensor_parallel);
    out_integer(out, "pipeline_parallel", deployment->pipeline_parallel);
    out_integer(out, "expert_parallel", deployment->expert_parallel);
    out_integer(out, "replicas", replica->replicas);
    out_object_end(out);
    put_host(out, replica);
    put_assumptions(out, replica, more, more_count);
    put_warnings(out, replica);
}
