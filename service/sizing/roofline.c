/* roofline.c owns the time of one engine step: bytes and products against what the GPU can move and compute, and the
 * overheads of the engine. Formulas and their accuracy: docs/estimator.md, "Throughput and latency". */
#include "sizing/evidence.h"

/* What one step reads and computes, per replica: counts from the model, before any GPU. */
struct workload {
    double layers, moe_layers, linear_layers, latent_layers, hidden;
    double dense_parameters, expert_parameters; /* read by a step; the input embedding is looked up, not read */
    double dense_active, expert_active;         /* computed per token */
    double expert_share;                        /* experts per token / experts; 0 without */
    double attention_flops_per_token2;          /* of all layers, per squared prompt token */
    double kv_read_bytes, state_read_bytes;     /* of one request in one decode step, before sharding */
};

/* What a GPU of the replica reaches, efficiencies included, of all its tensor-parallel ranks together. */
struct rates {
    double dense_bytes_per_ms, expert_bytes_per_ms, kv_bytes_per_ms;
    double decode_flops_per_ms, prefill_flops_per_ms, prefill_attention_flops_per_ms;
    double attention_half_tokens; /* of a prompt at which attention reaches half of its rate */
    double unpack_bytes_per_ms;   /* of weights in a format that only stores them; INFINITY: others */
    double overhead_ratio, launch_ratio;
    double link_bytes_per_ms;
};

#define PCIE_GB_PER_S 32.0 /* version 4, 16 lanes: where neither a link nor PCIe is stated */
#define MS_PER_S 1e3
#define US_PER_MS 1e3

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* (a^p + b^p)^(1/p) for a ≥ 0, b ≥ 0. */
static double norm(double a, double b, double exponent)
{
    if (!(a > 0) || !(b > 0)) return a + b;
    double most = larger(a, b), least = smaller(a, b);
    return most * pow(1 + pow(least / most, exponent), 1 / exponent);
}

/* Bytes of cache that one decode step reads for one request of `context` tokens. */
static double kv_read_bytes(const struct model *model, enum dtype kv_dtype, double context)
{
    double element_bytes = dtype_bits(kv_dtype) / 8;
    if (model->attention_kind == ATTENTION_MLA) {
        return context * model->layers * (model->kv_lora_rank + model->qk_rope_head_dim) * element_bytes;
    }
    double layer_bytes = 2.0 * model->kv_heads * model->head_dim * element_bytes;
    double window = smaller(context, larger(model->sliding_window_tokens, 1));
    return layer_bytes * (context * model->full_attention_layers + window * model->sliding_layers);
}

/* A state is read and written by every step; the convolution's is held in 16 bits. */
static double state_read_bytes(const struct model *model)
{
    return 2 * (model->ssm_state_elements * model->ssm_state_element_bytes + model->conv_state_elements * 2);
}

static void workload_init(const struct deployment *deployment, double context, struct workload *ret_work)
{
    const struct model *model = deployment->model;
    bool moe = model_is_moe(model) && model->experts > model->experts_per_token;
    double active = moe ? model->active_parameters : model->parameters;
    double looked_up = model->tied_embeddings ? 0 : (double)model->vocabulary_size * model->hidden_size;
    double share = moe ? (double)model->experts_per_token / model->experts : 0;
    double experts = moe ? (model->parameters - active) / (1 - share) : 0;
    *ret_work = (struct workload){
        .layers = model->layers,
        .moe_layers = moe ? (double)model->layers - model->dense_layers : 0,
        .linear_layers = model->linear_layers,
        .latent_layers = model->attention_kind == ATTENTION_MLA ? model->layers : 0,
        .hidden = model->hidden_size,
        .dense_parameters = model->parameters - experts - looked_up,
        .expert_parameters = experts,
        .dense_active = larger(active - experts * share - looked_up, 1e6),
        .expert_active = experts * share,
        .expert_share = share,
        .attention_flops_per_token2 = 2.0 * model->full_attention_layers * model->attention_heads * model->head_dim,
        .kv_read_bytes = kv_read_bytes(model, deployment->kv_dtype, context),
        .state_read_bytes = state_read_bytes(model),
    };
}

/* The peak that prices products of this weight format here. Formats that the GPU does not compute in, and those that
 * only store weights, compute in the next wider one. A model published in MXFP4 has 8-bit activations where the GPU
 * computes in 4 bits, else 16-bit ones. */
static enum peak compute_peak(const struct deployment *deployment)
{
    const double *peak_tflops = deployment->gpu->peak_tflops;
    enum peak peak = dtype_peak(deployment->weight_dtype);
    if (deployment->weight_dtype == DTYPE_MXFP4 && deployment->model->native_dtype == DTYPE_MXFP4)
        peak = is_known(peak_tflops[PEAK_FP4]) ? PEAK_FP8 : PEAK_FP16;
    if (peak == PEAK_FP4 && !is_known(peak_tflops[PEAK_FP4])) peak = PEAK_FP8;
    if ((peak == PEAK_FP8 || peak == PEAK_INT8) && !is_known(peak_tflops[peak])) peak = PEAK_FP16;
    if (peak == PEAK_FP32 && !is_known(peak_tflops[PEAK_FP32])) peak = PEAK_FP16;
    return peak;
}

/* Bytes of a dense weight: the fit holds the attention and shared experts of 4-bit MoE checkpoints at 8 bits. */
static double dense_weight_bytes(const struct deployment *deployment, bool moe)
{
    double bytes = dtype_bits(deployment->weight_dtype) / 8;
    return moe && dtype_plain_bits(deployment->weight_dtype) == 16 ? larger(bytes, 1) : bytes;
}

static double link_gb_per_s(const struct deployment *deployment)
{
    const struct gpu *gpu = deployment->gpu;
    bool linked = deployment->tensor_parallel <= deployment->link_gpus && gpu->link_gb_per_s > 0;
    if (linked) return gpu->link_gb_per_s / 2; /* one direction */
    return is_known(gpu->pcie_gb_per_s) ? gpu->pcie_gb_per_s : PCIE_GB_PER_S;
}

/* Weights that are stored in fewer bits than they are computed in are unpacked by the multiprocessors while they are
 * read: however fast the memory, each unpacks so much. */
static double unpack_gb_per_s(const struct deployment *deployment)
{
    double per_multiprocessor = deployment->engine->coef.unpack_gb_per_s, count = deployment->gpu->sm_count;
    enum dtype dtype = deployment->weight_dtype;
    bool packed = dtype_peak(dtype) == PEAK_FP16 && dtype_bits(dtype) < 16;
    return packed && per_multiprocessor > 0 && is_known(count) ? per_multiprocessor * count : INFINITY;
}

static void rates_init(const struct deployment *deployment, struct rates *ret_rates)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    const struct gpu *gpu = deployment->gpu;
    bool amd = gpu->vendor == VENDOR_AMD;
    double ranks = deployment->tensor_parallel;
    double bytes_per_ms =
        gpu->memory_bandwidth_gb_per_s * GB / MS_PER_S * ranks * (amd ? coef->amd_bandwidth_ratio : 1);
    double compute_ratio = ranks * 1e12 / MS_PER_S * (amd ? coef->amd_compute_ratio : 1);
    enum peak peak = compute_peak(deployment);
    const double decode[PEAK_COUNT] = {coef->decode_16bit_ratio, coef->decode_16bit_ratio, coef->decode_16bit_ratio,
                                       coef->decode_8bit_ratio,  coef->decode_8bit_ratio,  coef->decode_4bit_ratio};
    const double prefill[PEAK_COUNT] = {coef->prefill_16bit_ratio, coef->prefill_16bit_ratio, coef->prefill_16bit_ratio,
                                        coef->prefill_8bit_ratio,  coef->prefill_8bit_ratio,  coef->prefill_4bit_ratio};
    double peak_flops = gpu->peak_tflops[peak] * compute_ratio;
    double peak16_flops = gpu->peak_tflops[PEAK_FP16] * compute_ratio;
    *ret_rates = (struct rates){
        .dense_bytes_per_ms = bytes_per_ms * coef->dense_bandwidth_ratio,
        .expert_bytes_per_ms = bytes_per_ms * coef->expert_bandwidth_ratio,
        .kv_bytes_per_ms = bytes_per_ms / ranks * coef->kv_bandwidth_ratio,
        .decode_flops_per_ms = peak_flops * decode[peak],
        .prefill_flops_per_ms = peak_flops * prefill[peak],
        .prefill_attention_flops_per_ms = peak16_flops * coef->prefill_attention_ratio,
        .attention_half_tokens =
            coef->attention_half_tokens + coef->attention_half_tokens_per_tflops * gpu->peak_tflops[PEAK_FP16],
        .unpack_bytes_per_ms = unpack_gb_per_s(deployment) * GB / MS_PER_S * ranks,
        .overhead_ratio = amd ? coef->amd_overhead_ratio : 1,
        .launch_ratio = amd ? coef->ttft_amd_ratio : 1,
        .link_bytes_per_ms = link_gb_per_s(deployment) * GB / MS_PER_S * coef->link_ratio,
    };
}

/* Under expert parallelism engines divide the requests of MLA models over the ranks, since each would have to hold
 * their whole latent otherwise. */
static bool divides_requests(const struct deployment *deployment)
{
    return deployment->model->attention_kind == ATTENTION_MLA && deployment->expert_parallel > 1;
}

/* Bytes that a rank sends for each row of a step. Two all-reduces a layer send 2(n-1)/n of the 16-bit hidden state
 * each. Where requests are divided over the ranks attention needs none, and a layer with experts sends the rows of a
 * rank, 1/n, to those that have their experts (of k drawn from n, n(1 - (1 - 1/n)^k) different ones on average) in 8
 * bits and back in 16. */
static double link_row_bytes(const struct deployment *deployment, const struct workload *work)
{
    double ranks = deployment->tensor_parallel, others = (ranks - 1) / ranks;
    double allreduce = 2 * others * work->hidden * 2;
    if (!divides_requests(deployment)) return 2 * work->layers * allreduce;
    double reached = ranks * (1 - pow(1 - 1 / ranks, deployment->model->experts_per_token));
    double there_and_back = reached * others * work->hidden * (1 + 2) / ranks;
    return work->moe_layers * there_and_back + (work->layers - work->moe_layers) * allreduce;
}

static double link_row_ms(const struct deployment *deployment, const struct workload *work, const struct rates *rates)
{
    return link_row_bytes(deployment, work) / rates->link_bytes_per_ms;
}

/* Of a request's cache, what one rank reads: KV heads are replicated when there are more ranks, MLA's latent is whole
 * on every rank. */
static double kv_share(const struct deployment *deployment)
{
    double ranks = deployment->tensor_parallel, heads = deployment->model->kv_heads;
    if (deployment->model->attention_kind == ATTENTION_MLA) return divides_requests(deployment) ? 1 / ranks : 1;
    return heads > 0 ? ceil(heads / ranks) / heads : 1 / ranks;
}

/* Weights in host memory come through PCIe in every step, beside everything else. */
static double offload_step_ms(const struct roofline *roofline)
{
    double pcie = roofline->deployment->gpu->pcie_gb_per_s;
    return roofline->memory->offloaded_bytes / ((is_known(pcie) ? pcie : PCIE_GB_PER_S) * GB / MS_PER_S);
}

static void init_decode(struct roofline *roofline, const struct workload *work, const struct rates *rates)
{
    const struct deployment *deployment = roofline->deployment;
    const struct engine_coefs *coef = &deployment->engine->coef;
    struct roofline_terms *terms = &roofline->terms;
    bool moe = work->expert_share > 0;
    double ranks = deployment->tensor_parallel, stages = deployment->pipeline_parallel;
    terms->pipeline_stages = stages;
    terms->norm_exponent = coef->norm_exponent;
    double stored_bytes = dtype_bits(deployment->weight_dtype) / 8;
    terms->dense_read_ms = work->dense_parameters * (dense_weight_bytes(deployment, moe) / rates->dense_bytes_per_ms +
                                                     stored_bytes / rates->unpack_bytes_per_ms);
    terms->dense_row_ms = 2 * work->dense_active / rates->decode_flops_per_ms;
    terms->expert_read_ms = terms->expert_row_ms = 0;
    if (moe) {
        double imbalance = deployment->expert_parallel > 1 ? coef->expert_parallel_ratio : 1;
        terms->expert_read_ms = imbalance * work->expert_parameters * stored_bytes *
                                (1 / rates->expert_bytes_per_ms + 1 / rates->unpack_bytes_per_ms);
        terms->expert_row_ms =
            imbalance * 2 * work->expert_active / (rates->decode_flops_per_ms * coef->expert_compute_ratio);
        terms->expert_miss_log = log1p(-work->expert_share);
        terms->expert_half_rows = coef->expert_half_rows / work->expert_share; /* of all rows of the step */
    }
    terms->kv_row_ms = work->kv_read_bytes * kv_share(deployment) / rates->kv_bytes_per_ms +
                       work->state_read_bytes / (rates->kv_bytes_per_ms * ranks);
    terms->link_step_ms = terms->link_row_ms = 0;
    if (ranks > 1) {
        terms->link_step_ms = 2 * work->layers * coef->allreduce_us / US_PER_MS * log2(ranks);
        terms->link_row_ms = link_row_ms(deployment, work, rates);
    }
    if (stages > 1) { /* each boundary passes the hidden states on; a stage waits as long as for an all-reduce of two */
        terms->link_step_ms += (stages - 1) * coef->allreduce_us / US_PER_MS;
        terms->link_row_ms += (stages - 1) * work->hidden * 2 / rates->link_bytes_per_ms;
    }
    double layers_us = coef->layer_us * work->layers + coef->moe_layer_us * work->moe_layers +
                       coef->linear_layer_us * work->linear_layers + coef->latent_layer_us * work->latent_layers;
    terms->overhead_step_ms =
        (coef->step_ms * stages + layers_us / US_PER_MS) * rates->overhead_ratio + stages * offload_step_ms(roofline);
    terms->overhead_request_ms = coef->request_ms;
}

/* What a prompt takes from the engine. */
static double prompt_ms(const struct deployment *deployment, const struct workload *work, const struct rates *rates,
                        struct prompt_work prompt)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    double attention_flops =
        work->attention_flops_per_token2 * (prompt.tokens_squared + rates->attention_half_tokens * prompt.tokens);
    double link_ms = deployment->tensor_parallel > 1 ? prompt.tokens * link_row_ms(deployment, work, rates) : 0;
    return 2 * (work->dense_active + work->expert_active / coef->prefill_expert_ratio) * prompt.tokens /
               rates->prefill_flops_per_ms +
           attention_flops / rates->prefill_attention_flops_per_ms + link_ms +
           coef->prefill_layer_us / US_PER_MS * work->layers;
}

static double first_token_ms(const struct deployment *deployment, const struct workload *work,
                             const struct rates *rates, struct prompt_work prompt)
{
    const struct engine_coefs *coef = &deployment->engine->coef;
    double launch_ms = coef->ttft_layer_ms * work->layers + coef->ttft_moe_layer_ms * work->moe_layers +
                       coef->ttft_linear_layer_ms * work->linear_layers;
    return coef->ttft_engine_ratio * norm(coef->ttft_compute_ratio * prompt_ms(deployment, work, rates, prompt),
                                          launch_ms * rates->launch_ratio, coef->ttft_norm_exponent);
}

static void init_prefill(struct roofline *roofline, const struct workload *work, const struct rates *rates,
                         const struct traffic *traffic)
{
    const struct deployment *deployment = roofline->deployment;
    const struct engine_coefs *coef = &deployment->engine->coef;
    struct roofline_terms *terms = &roofline->terms;
    double block_tokens = roofline->memory->kv_block_tokens, output = roofline->output_tokens / 1000;
    struct prompt_work prompt = traffic_prompt_work(traffic, block_tokens);
    terms->prefill_ms = prompt_ms(deployment, work, rates, prompt);
    roofline->computed_tokens = prompt.tokens;
    for (size_t i = 0; i < traffic->input.count; i++) {
        const struct length_class *class = &traffic->input.classes[i];
        struct prompt_work one = traffic_prompt_work_of(traffic, class->tokens, block_tokens);
        terms->first_token_ms += class->share * first_token_ms(deployment, work, rates, one);
    }
    double chunks = ceil(prompt.tokens / deployment->max_batched_tokens);
    terms->first_token_fixed_ms = coef->ttft_fixed_ms + chunks * offload_step_ms(roofline);
    terms->first_token_exponent = coef->ttft_batch_exponent;
    terms->first_token_batch_ratio = coef->ttft_batch_ratio * pow(output, -coef->ttft_output_exponent);
    terms->typical_ms = coef->ttft_typical_ms * pow(prompt.tokens / 1000, coef->ttft_typical_input_exponent) *
                        pow(output, coef->ttft_typical_output_exponent);
    terms->typical_exponent = coef->ttft_typical_batch_exponent;
    terms->typical_share = coef->ttft_typical_share;
}

double roofline_first_token_ratio(const struct roofline *roofline, double input_tokens)
{
    const struct deployment *deployment = roofline->deployment;
    const struct roofline_terms *terms = &roofline->terms;
    struct workload work;
    struct rates rates;
    workload_init(deployment, input_tokens, &work);
    rates_init(deployment, &rates);
    struct prompt_work prompt =
        traffic_prompt_work_of(roofline->traffic, input_tokens, roofline->memory->kv_block_tokens);
    return (first_token_ms(deployment, &work, &rates, prompt) + terms->first_token_fixed_ms) /
           (terms->first_token_ms + terms->first_token_fixed_ms);
}

/* A head for drafts is one layer of the model (of the kind that most layers are) and the model's own output head. */
static struct workload head_work(const struct model *model, const struct workload *work)
{
    double output_head = (double)model->vocabulary_size * model->hidden_size;
    struct workload head = *work;
    head.layers = 1;
    head.moe_layers = smaller(1, work->moe_layers);
    head.linear_layers = 0;
    head.latent_layers = smaller(1, work->latent_layers);
    head.dense_parameters = (work->dense_parameters - output_head) / work->layers + output_head;
    head.dense_active = larger(work->dense_active - output_head, 0) / work->layers + output_head;
    if (work->moe_layers > 0) {
        head.expert_parameters = work->expert_parameters / work->moe_layers;
        head.expert_active = work->expert_active / work->moe_layers;
    }
    head.attention_flops_per_token2 = work->attention_flops_per_token2 / work->layers;
    head.kv_read_bytes = work->kv_read_bytes / work->layers;
    head.state_read_bytes = 0;
    return head;
}

/* A draft runs on the same GPUs, in one stage, and reads the prompt too. What the text itself proposes costs nothing.
 */
static void init_draft(struct roofline *roofline, const struct workload *work, const struct traffic *traffic)
{
    const struct memory resident = {.kv_block_tokens = roofline->memory->kv_block_tokens};
    struct deployment deployment = *roofline->deployment;
    roofline->verified_rows = deployment.draft_tokens + 1;
    roofline->tokens_per_step = traffic_tokens_per_step(traffic, deployment.draft_tokens);
    if (deployment.draft_kind == DRAFT_NGRAM) return;
    struct workload drafting = head_work(deployment.model, work);
    deployment.pipeline_parallel = 1;
    if (deployment.draft_model) {
        enum dtype native = deployment.draft_model->native_dtype;
        deployment.model = deployment.draft_model;
        deployment.weight_dtype = native == DTYPE_UNKNOWN ? DTYPE_BF16 : native;
        deployment.expert_parallel = 1;
        while (!deployment_layout_valid(&deployment) && deployment.tensor_parallel > 1)
            deployment.tensor_parallel /= 2;
        workload_init(&deployment, traffic_context_tokens(traffic), &drafting);
    }
    struct roofline draft = {.deployment = &deployment,
                             .memory = &resident,
                             .input_tokens = roofline->input_tokens,
                             .output_tokens = roofline->output_tokens};
    struct rates rates;
    rates_init(&deployment, &rates);
    init_decode(&draft, &drafting, &rates);
    init_prefill(&draft, &drafting, &rates, traffic);
    roofline->draft = draft.terms;
    roofline->terms.prefill_ms += draft.terms.prefill_ms;
    roofline->terms.first_token_ms += draft.terms.prefill_ms;
}

static double time_ratio_of(const struct deployment *deployment, enum fit_load load)
{
    const struct engine_fit *fit = deployment->fits[load];
    double kin = deployment->kin[load].time_ratio; /* 0: a deployment without its defaults */
    return fit ? fit->time_ratio : kin > 0 ? kin : 1;
}

static double ttft_ratio_of(const struct deployment *deployment)
{
    const struct engine_fit *fit = deployment->fits[FIT_LOAD_SERVED];
    double kin = deployment->kin[FIT_LOAD_SERVED].ttft_ratio;
    return fit && is_known(fit->ttft_ratio) ? fit->ttft_ratio : kin > 0 ? kin : 1;
}

/* All times of a step by what rows of this model on this GPU showed, and those of the first token by their own. */
static void apply_fits(struct roofline_terms *terms, double time_ratio, double ttft_ratio)
{
    double *const step_ms[] = {&terms->dense_read_ms,      &terms->dense_row_ms, &terms->expert_read_ms,
                               &terms->expert_row_ms,      &terms->kv_row_ms,    &terms->link_step_ms,
                               &terms->link_row_ms,        &terms->prefill_ms,   &terms->overhead_step_ms,
                               &terms->overhead_request_ms};
    double *const first_ms[] = {&terms->first_token_ms, &terms->first_token_fixed_ms, &terms->typical_ms};
    for (size_t i = 0; i < sizeof step_ms / sizeof *step_ms; i++)
        *step_ms[i] *= time_ratio;
    for (size_t i = 0; i < sizeof first_ms / sizeof *first_ms; i++)
        *first_ms[i] *= ttft_ratio;
}

double roofline_load_ratio(const struct roofline *roofline, enum fit_load load)
{
    const struct deployment *deployment = roofline->deployment;
    const struct engine_coefs *coef = &deployment->engine->coef;
    const double ratios[FIT_LOAD_COUNT] = {1, coef->saturated_time_ratio, coef->static_time_ratio};
    bool own = deployment->fits[load] || deployment->kin[load].time_ratio != 1;
    double served = time_ratio_of(deployment, FIT_LOAD_SERVED);
    return ratios[load] * (own ? time_ratio_of(deployment, load) / served : 1);
}

void roofline_init_traffic(struct roofline *roofline, const struct deployment *deployment, const struct memory *memory,
                           const struct traffic *traffic)
{
    *roofline = (struct roofline){.deployment = deployment,
                                  .memory = memory,
                                  .traffic = traffic,
                                  .input_tokens = traffic->input.mean,
                                  .output_tokens = traffic->output.mean,
                                  .verified_rows = 1,
                                  .tokens_per_step = 1};
    double held =
        memory_sequences_sharing(deployment, memory, traffic_held_tokens(traffic), traffic->shared_prefix_tokens);
    roofline->kv_limited = held < deployment->max_sequences;
    roofline->max_batch = larger(floor(smaller(held, deployment->max_sequences)), 0);
    struct workload work;
    struct rates rates;
    workload_init(deployment, traffic_context_tokens(traffic), &work);
    rates_init(deployment, &rates);
    init_decode(roofline, &work, &rates);
    init_prefill(roofline, &work, &rates, traffic);
    if (deployment->draft_tokens > 0) init_draft(roofline, &work, traffic);
    apply_fits(&roofline->terms, time_ratio_of(deployment, FIT_LOAD_SERVED), ttft_ratio_of(deployment));
}

void roofline_init(struct roofline *roofline, const struct deployment *deployment, const struct memory *memory,
                   double input_tokens, double output_tokens)
{
    struct traffic means = traffic_of_means(input_tokens, larger(output_tokens, 1));
    roofline_init_traffic(roofline, deployment, memory, &means);
    roofline->traffic = NULL;
}

/* Each of p stages works on 1/p of the requests while the others work on theirs: a token passes them all, so that its
 * time is that of the whole model with 1/p of the rows. */
static double rows_of(const struct roofline *roofline, double in_flight)
{
    return larger(in_flight / roofline->terms.pipeline_stages, 1);
}

static double expert_read_ms(const struct roofline_terms *terms, double rows)
{
    return terms->expert_read_ms > 0 ? terms->expert_read_ms * -expm1(rows * terms->expert_miss_log) : 0;
}

static double expert_flop_ms(const struct roofline_terms *terms, double rows)
{
    return terms->expert_row_ms * (rows + terms->expert_half_rows);
}

double roofline_prefill_ms(const struct roofline *roofline)
{
    return roofline->terms.prefill_ms / roofline->terms.pipeline_stages;
}

/* Terms of one step in which each of `requests` has some rows to compute. */
static struct step_breakdown step_of(const struct roofline_terms *terms, double requests, double rows)
{
    return (struct step_breakdown){
        .weights_ms = norm(terms->dense_read_ms, terms->dense_row_ms * rows, terms->norm_exponent) +
                      norm(expert_read_ms(terms, rows), expert_flop_ms(terms, rows), terms->norm_exponent),
        .attention_ms = terms->kv_row_ms * requests,
        .communication_ms = terms->link_step_ms + terms->link_row_ms * rows,
        .overhead_ms = terms->overhead_step_ms + terms->overhead_request_ms * requests,
    };
}

static double sum_of(const struct step_breakdown *step)
{
    return step->weights_ms + step->attention_ms + step->communication_ms + step->prefill_ms + step->overhead_ms +
           step->draft_ms;
}

double roofline_tpot_ms(const struct roofline *roofline, double in_flight, struct step_breakdown *ret_breakdown)
{
    double requests = rows_of(roofline, in_flight), tokens = roofline->tokens_per_step;
    struct step_breakdown breakdown = step_of(&roofline->terms, requests, requests * roofline->verified_rows);
    if (roofline->verified_rows > 1) {
        struct step_breakdown draft = step_of(&roofline->draft, requests, requests);
        breakdown.weights_ms /= tokens;
        breakdown.attention_ms /= tokens;
        breakdown.communication_ms /= tokens;
        breakdown.overhead_ms /= tokens;
        breakdown.draft_ms = (roofline->verified_rows - 1) * sum_of(&draft) / tokens;
    }
    breakdown.prefill_ms = larger(in_flight - 1, 0) / roofline->output_tokens * roofline_prefill_ms(roofline);
    if (ret_breakdown) *ret_breakdown = breakdown;
    return sum_of(&breakdown);
}

/* Never faster than the engine's work allows: while a request decodes, each of the others is prefilled once. */
double roofline_ttft_ms(const struct roofline *roofline, double in_flight)
{
    const struct roofline_terms *terms = &roofline->terms;
    double others = larger(in_flight - 1, 0);
    double growth = others > 0 ? 1 + terms->first_token_batch_ratio * pow(others, terms->first_token_exponent) : 1;
    double work_ms = roofline_prefill_ms(roofline) * (1 + others / roofline->output_tokens);
    double first_ms = terms->first_token_ms * growth + terms->first_token_fixed_ms;
    if (terms->typical_share > 0)
        first_ms = pow(first_ms, 1 - terms->typical_share) *
                   pow(terms->typical_ms * pow(others + 1, terms->typical_exponent), terms->typical_share);
    return larger(first_ms, larger(terms->prefill_ms, work_ms));
}

double roofline_work_ms(const struct roofline *roofline, double in_flight)
{
    struct step_breakdown breakdown;
    double tpot_ms = roofline_tpot_ms(roofline, in_flight, &breakdown);
    return (roofline->output_tokens - 1) * (tpot_ms - breakdown.prefill_ms) +
           larger(in_flight, 1) * roofline_prefill_ms(roofline);
}

double roofline_prefill_tokens_per_second(const struct roofline *roofline)
{
    const struct roofline_terms *terms = &roofline->terms;
    double read_ms = terms->dense_read_ms + expert_read_ms(terms, roofline->computed_tokens);
    double prompt_ms = norm(terms->prefill_ms, read_ms, terms->norm_exponent) + terms->overhead_step_ms;
    return MS_PER_S * roofline->input_tokens * terms->pipeline_stages / prompt_ms;
}

/* The work of n requests grows by less than n, so that requests over work is highest at the largest batch. */
double roofline_output_bound(const struct roofline *roofline)
{
    if (!(roofline->max_batch >= 1)) return 0;
    double fastest = 1;
    for (enum fit_load load = 0; load < FIT_LOAD_COUNT; load++)
        fastest = smaller(fastest, roofline_load_ratio(roofline, load));
    return evidence_speedup(roofline) * MS_PER_S * roofline->max_batch * roofline->output_tokens /
           (roofline_work_ms(roofline, roofline->max_batch) * fastest);
}

/* Time of the products of one output token, whatever else goes on beside them; ms. */
static double products_ms(const struct roofline *roofline, double in_flight)
{
    const struct roofline_terms *terms = &roofline->terms;
    double rows = rows_of(roofline, in_flight) * roofline->verified_rows;
    return (terms->dense_row_ms * rows + expert_flop_ms(terms, rows)) / roofline->tokens_per_step;
}

double roofline_compute_share(const struct roofline *roofline, double in_flight, const struct step_breakdown *step)
{
    return smaller(1, (products_ms(roofline, in_flight) + step->prefill_ms) / sum_of(step));
}

enum bound roofline_bound(const struct roofline *roofline, double in_flight)
{
    const struct roofline_terms *terms = &roofline->terms;
    double rows = rows_of(roofline, in_flight) * roofline->verified_rows;
    struct step_breakdown breakdown;
    roofline_tpot_ms(roofline, in_flight, &breakdown);
    double read_ms = (terms->dense_read_ms + expert_read_ms(terms, rows)) / roofline->tokens_per_step;
    const double times_ms[BOUND_COUNT] = {
        [BOUND_MEMORY_BANDWIDTH] = read_ms + breakdown.attention_ms + breakdown.draft_ms,
        [BOUND_COMPUTE] = products_ms(roofline, in_flight) + breakdown.prefill_ms,
        [BOUND_COMMUNICATION] = breakdown.communication_ms,
        [BOUND_OVERHEAD] = breakdown.overhead_ms,
    };
    enum bound most = BOUND_MEMORY_BANDWIDTH;
    for (enum bound bound = most; bound < BOUND_COUNT; bound++) {
        if (times_ms[bound] > times_ms[most]) most = bound;
    }
    bool full = roofline->kv_limited && in_flight >= roofline->max_batch;
    return full && most != BOUND_COMPUTE ? BOUND_KV_CAPACITY : most; /* more requests would use the step better */
}
