/* training.c owns the operation training: what it takes to train a model, and on which GPUs it is cheapest. */
#include "api/training.h"
#include "api/constraints.h"
#include "api/fleet.h"
#include "sizing/article.h"
#include "sizing/question.h"

#include <string.h>

#define REQUEST struct training_request
#define FLEET offsetof(REQUEST, fleet)
#define NUMBER(member, path, in, low, high, in_unit, default_text, sentence)                                           \
    {                                                                                                                  \
        .name = #member, .group = in, .kind = FIELD_NUMBER, .offset = offsetof(REQUEST, path), .min = low,             \
        .max = high, .unit = in_unit, .preset = default_text, .help = sentence                                         \
    }
#define INTEGER(member, path, in, low, high, in_unit, default_text, sentence)                                          \
    {                                                                                                                  \
        .name = #member, .group = in, .kind = FIELD_INTEGER, .offset = offsetof(REQUEST, path), .min = low,            \
        .max = high, .unit = in_unit, .preset = default_text, .help = sentence                                         \
    }
#define CHOICE(member, path, in, list, default_text, sentence)                                                         \
    {                                                                                                                  \
        .name = #member, .group = in, .kind = FIELD_CHOICE, .offset = offsetof(REQUEST, path), .names = list,          \
        .preset = default_text, .help = sentence                                                                       \
    }
#define FLAG(member, default_text, sentence)                                                                           \
    {                                                                                                                  \
        .name = #member, .group = "training", .kind = FIELD_BOOL, .offset = offsetof(REQUEST, member),                 \
        .preset = default_text, .help = sentence                                                                       \
    }
#define RANKS(member, default_text, sentence) INTEGER(member, member, "layout", 1, 4096, "GPUs", default_text, sentence)
#define SPLIT(member, short_name, sentence)                                                                            \
    {                                                                                                                  \
        .name = #member, .alias = short_name, .group = "layout", .kind = FIELD_INTEGER,                                \
        .offset = offsetof(REQUEST, member), .min = 1, .max = 4096, .unit = "GPUs", .preset = "the fastest that fits", \
        .help = sentence                                                                                               \
    }

static const char *const framework_names[] = {"fsdp", "megatron", NULL};
static const char *const least_names[] = {"cost", "time", NULL}; /* as enum training_least begins */

static const struct field fields[] = {
    API_FIELD_MODEL(REQUEST),
    {.name = "gpu",
     .group = "",
     .kind = FIELD_TEXT,
     .offset = offsetof(REQUEST, gpu),
     .help = "One GPU, by id or alias; see /v1/gpus."},
    CHOICE(method, method, "training", training_method_names, "full",
           "All parameters from a checkpoint (full), from nothing (pretrain), or adapters beside frozen weights."),
    CHOICE(optimizer, optimizer, "training", training_optimizer_names, "adamw", "What updates the parameters."),
    CHOICE(precision, precision, "training", training_precision_names, "bf16_mixed",
           "bf16_mixed keeps an fp32 copy of the weights, bf16 does not; fp8 and nvfp4 are formats of the products."),
    CHOICE(recompute, recompute, "training", training_recompute_names, "the fastest that fits",
           "Activations that the backward pass makes again: none, those of norms and of the FFN's activation, all."),
    CHOICE(sharding, sharding, "training", training_sharding_names, "the fastest that fits",
           "What data-parallel ranks divide: nothing, optimizer, gradients too, weights too."),
    CHOICE(offload, offload, "training", training_offload_names, "none",
           "What is kept in host memory or on NVMe: the optimizer with its gradients, or the weights too."),
    INTEGER(lora_rank, lora_rank, "training", 1, 4096, "", "16 with lora and qlora", "Rank of the adapters."),
    CHOICE(adapter_targets, adapter_targets, "training", lora_target_names, "all_linear with lora and qlora",
           "Matrices that have an adapter: all linear ones, or those of attention."),
    FLAG(flash_attention, "true", "Fused attention, which keeps no scores."),
    FLAG(fused_loss, "true", "Logits are made and used in chunks; false: all at once."),
    FLAG(fused_backward, "false",
         "The optimizer uses each gradient as soon as it is there: one layer has them at a time."),
    FLAG(sequence_parallel, "true", "Norms are divided over tensor-parallel ranks, too."),
    FLAG(packed, "true", "Documents fill whole sequences; false: each is padded, and needs mean_document_tokens."),
    INTEGER(sequence_tokens, sequence_tokens, "training", 1, 1e8, "tokens", "the smaller of the model's limit and 4096",
            "Length of a sequence."),
    NUMBER(mean_document_tokens, mean_document_tokens, "training", 1, 1e8, "tokens", NULL,
           "Mean length of what is padded to sequence_tokens."),
    INTEGER(micro_batch_sequences, micro_batch_sequences, "training", 1, 65536, "sequences", "the fastest that fits",
            "Sequences that a rank has on it at a time."),
    INTEGER(
        batch_sequences, batch_sequences, "training", 1, 1e7, "sequences",
        "what 131,072 tokens fill, of pretrain 4,194,304; at least one for each GPU, and a micro-batch on each copy",
        "Sequences of one step of the optimizer, on all ranks together."),
    NUMBER(training_tokens, training_tokens, "training", 1, 1e18, "tokens", NULL,
           "Tokens of the whole run, all epochs, without padding."),
    CHOICE(framework, framework, "training", framework_names,
           "fsdp, megatron with tensor, pipeline or expert parallelism", "Whose measured runs the time rests on."),
    {.name = "gpu_count",
     .alias = "gpus_total",
     .group = "layout",
     .kind = FIELD_INTEGER,
     .offset = offsetof(REQUEST, gpu_count),
     .min = 1,
     .max = 4096,
     .unit = "GPUs",
     .preset = "the cheapest",
     .help = "GPUs of all replicas together."},
    SPLIT(tensor_parallel, "tp", "GPUs that share every layer; divides the attention heads."),
    SPLIT(pipeline_parallel, "pp", "Stages of layers, one after the other."),
    INTEGER(virtual_stages, virtual_stages, "layout", 1, 64, "", "1",
            "Chunks of layers of each stage: 1 is 1F1B, more are interleaved."),
    RANKS(context_parallel, "1", "GPUs that share every sequence."),
    SPLIT(expert_parallel, "ep", "GPUs that share the experts."),
    RANKS(data_parallel, "what the others leave", "Copies of the model, over which the batch and ZeRO are divided."),
    NUMBER(network_gb_per_s, network_gb_per_s, "layout", 0.01, 10000, "GB/s", "a ninth of NVLink's, 3.125 without",
           "Rate of each GPU to other hosts, one direction."),
    NUMBER(deadline_hours, deadline_hours, "workload", 1e-3, 1e6, "h", NULL, "Time for the job."),
    NUMBER(interruptions_per_instance_hour, interruptions.per_instance_hour, "interruptions", 0, 60, "1/h",
           "spot 0.02, and 0.0000197 for each GPU", "How often an instance is lost."),
    NUMBER(checkpoint_gb_per_s, interruptions.checkpoint_gb_per_s, "interruptions", 0.001, 10000, "GB/s", "2",
           "Rate at which a host writes checkpoints."),
    NUMBER(restart_minutes, interruptions.restart_minutes, "interruptions", 0, 10000, "min", "10",
           "Time from an interruption to the next step."),
    NUMBER(min_probability_ratio, fleet.min_probability_ratio, "slo", 0.01, 0.999, "ratio", "0.9",
           "Probability of meeting demand and limits that the predictions' intervals must leave."),
    CONSTRAINT_BUDGET(FLEET),
    CONSTRAINTS_OFFERS(FLEET),
    CONSTRAINT_MAX_GPUS(FLEET, "64, at least gpu_count"),
    CONSTRAINTS_HELD(FLEET),
    CONSTRAINT_PRICE_AGE(FLEET),
    CONSTRAINTS_MONEY(FLEET),
    CHOICE(objective, objective, "", least_names, "cost", "What is best: the least money, or the least time."),
    CHOICE(estimator, estimator, "", estimator_names, "roofline",
           "article reproduces the arithmetic of the article that the service grew out of."),
    NUMBER(optimizer_factor, optimizer_factor, "article", 0, 100, "ratio", "2",
           "Estimator article: optimizer's state over the parameters."),
    NUMBER(activation_factor, activation_factor, "article", 0, 100, "ratio", "1.5",
           "Estimator article: activations over the parameters."),
    INTEGER(parameter_bits, parameter_bits, "article", 1, 64, "bits", "16", "Estimator article: bits of a parameter."),
    {.name = "as_of",
     .group = "",
     .kind = FIELD_DATE,
     .offset = offsetof(REQUEST, fleet.as_of),
     .preset = "today",
     .help = "Day from which the age of prices counts."},
};
enum { FIELD_COUNT = sizeof fields / sizeof *fields };

/* --- resolution ------------------------------------------------------------------------------------------------- */

enum { MAX_GPUS = 64, SEQUENCE_TOKENS = 4096, TUNING_BATCH_TOKENS = 131072, PRETRAIN_BATCH_TOKENS = 4194304 };

static void preset(int64_t *value, int64_t otherwise)
{
    if (*value == VALUE_ABSENT) *value = otherwise;
}

static bool has_adapters(const struct training_request *request)
{
    return training_has_adapters((enum training_method)request->method);
}

static void fill_defaults(struct training_request *request, const struct model *model)
{
    int64_t limit = model && model->max_position_tokens ? model->max_position_tokens : SEQUENCE_TOKENS;
    preset(&request->method, TRAINING_FULL);
    preset(&request->optimizer, OPTIMIZER_ADAMW);
    preset(&request->precision, PRECISION_BF16_MIXED);
    preset(&request->offload, OFFLOAD_NONE);
    preset(&request->flash_attention, 1);
    preset(&request->fused_loss, 1);
    preset(&request->fused_backward, 0);
    preset(&request->sequence_parallel, 1);
    preset(&request->packed, 1);
    preset(&request->sequence_tokens, limit < SEQUENCE_TOKENS ? limit : SEQUENCE_TOKENS);
    preset(&request->virtual_stages, 1);
    preset(&request->context_parallel, 1);
    preset(&request->fleet.max_gpus, request->gpu_count > MAX_GPUS ? request->gpu_count : MAX_GPUS);
    preset(&request->objective, 0);
    if (has_adapters(request)) {
        preset(&request->lora_rank, TRAINING_LORA_RANK);
        preset(&request->adapter_targets, LORA_ALL_LINEAR);
    }
}

#define REFUSE(call, status, field, ...) (void)problems_add((call)->problems, STATUS_##status, field, __VA_ARGS__)

static bool is_refused(const struct call *call, const char *field)
{
    for (size_t i = 0; i < call->problems->count; i++) {
        if (strcmp(call->problems->items[i].field, field) == 0) return true;
    }
    return false;
}

static void check_adapters(struct call *call, const struct training_request *request, const struct model *model)
{
    const char *method = training_method_names[request->method];
    if (is_refused(call, "training.method")) return; /* then nobody knows whether there are any */
    if (!has_adapters(request) && request->lora_rank != VALUE_ABSENT)
        REFUSE(call, CONTRADICTION, "training.lora_rank", "method %s has no adapters: ask for lora or qlora", method);
    if (!has_adapters(request) && request->adapter_targets != VALUE_ABSENT)
        REFUSE(call, CONTRADICTION, "training.adapter_targets", "method %s has no adapters: ask for lora or qlora",
               method);
    if (model && has_adapters(request) && request->lora_rank > (int64_t)model->hidden_size)
        REFUSE(call, INVALID_VALUE, "training.lora_rank", "adapters are narrower than the model: give at most %u",
               model->hidden_size);
}

/* What cannot be meant, whatever the GPU. */
static void check_training(struct call *call, const struct training_request *request, const struct model *model)
{
    if (model && model->max_position_tokens && request->sequence_tokens > (int64_t)model->max_position_tokens)
        REFUSE(call, CONTEXT_TOO_LONG, "training.sequence_tokens", "%s takes at most %u tokens", model->id,
               model->max_position_tokens);
    check_adapters(call, request, model);
    if (!request->packed && !is_known(request->mean_document_tokens))
        REFUSE(call, MISSING_FIELD, "training.mean_document_tokens",
               "say how long documents are on average: the rest of each sequence is padding");
    if (request->mean_document_tokens > (double)request->sequence_tokens)
        REFUSE(call, CONTRADICTION, "training.mean_document_tokens", "is longer than a sequence of %lld tokens",
               (long long)request->sequence_tokens);
    if (is_known(request->deadline_hours) && !is_known(request->training_tokens))
        REFUSE(call, MISSING_FIELD, "training.training_tokens", "a deadline needs the tokens of the run");
    if (is_known(request->fleet.budget_usd) && !is_known(request->training_tokens))
        REFUSE(call, MISSING_FIELD, "training.training_tokens", "a budget needs the tokens of the run");
    if (request->micro_batch_sequences != VALUE_ABSENT && request->batch_sequences != VALUE_ABSENT &&
        request->batch_sequences % request->micro_batch_sequences != 0)
        REFUSE(call, INVALID_VALUE, "training.micro_batch_sequences", "does not divide a batch of %lld sequences",
               (long long)request->batch_sequences);
}

static int64_t count_or_1(int64_t count)
{
    return count == VALUE_ABSENT ? 1 : count;
}

static void check_heads(struct call *call, const struct training_request *request, const struct model *model)
{
    int64_t tp = count_or_1(request->tensor_parallel), heads = model->attention_heads;
    if (heads && tp > heads)
        REFUSE(call, INVALID_VALUE, "layout.tensor_parallel", "%s has %lld attention heads: give at most as many",
               model->id, (long long)heads);
    else if (heads && heads % tp != 0)
        REFUSE(call, INVALID_VALUE, "layout.tensor_parallel", "does not divide the %lld attention heads of %s",
               (long long)heads, model->id);
    int64_t stages = count_or_1(request->pipeline_parallel) * request->virtual_stages;
    if (stages > (int64_t)model->layers)
        REFUSE(call, INVALID_VALUE, "layout.pipeline_parallel", "%s has %u layers, which do not fill %lld stages",
               model->id, model->layers, (long long)stages);
    int64_t ep = count_or_1(request->expert_parallel);
    if (ep > 1 && !model->experts)
        REFUSE(call, CONTRADICTION, "layout.expert_parallel", "%s has no experts: leave it out", model->id);
    else if (ep > 1 && model->experts % ep != 0)
        REFUSE(call, INVALID_VALUE, "layout.expert_parallel", "does not divide the %u experts of %s", model->experts,
               model->id);
}

static void check_layout(struct call *call, const struct training_request *request)
{
    int64_t ranks =
        count_or_1(request->tensor_parallel) * count_or_1(request->pipeline_parallel) * request->context_parallel;
    int64_t gpus = request->gpu_count, data = request->data_parallel, ep = count_or_1(request->expert_parallel);
    if (request->virtual_stages > 1 && request->pipeline_parallel == 1)
        REFUSE(call, CONTRADICTION, "layout.virtual_stages", "one stage is not interleaved: give 1, or more stages");
    if (request->sequence_tokens % request->context_parallel != 0)
        REFUSE(call, INVALID_VALUE, "layout.context_parallel", "does not divide a sequence of %lld tokens",
               (long long)request->sequence_tokens);
    if (gpus == VALUE_ABSENT) return;
    if (gpus > request->fleet.max_gpus)
        REFUSE(call, CONTRADICTION, "constraints.max_gpus", "is less than the %lld GPUs asked for", (long long)gpus);
    if (gpus % ranks != 0)
        REFUSE(call, INVALID_VALUE, "layout.gpu_count",
               "%lld GPUs do not divide into groups of %lld (tensor x pipeline x context parallel)", (long long)gpus,
               (long long)ranks);
    bool all = request->tensor_parallel != VALUE_ABSENT && request->pipeline_parallel != VALUE_ABSENT;
    bool copies = data == VALUE_ABSENT || (gpus % (data * ranks) == 0 && (!all || gpus == data * ranks));
    if (!copies && gpus % ranks != 0)
        REFUSE(call, INVALID_VALUE, "layout.data_parallel", "%lld GPUs are not %lld copies of %lld GPUs: leave it out",
               (long long)gpus, (long long)data, (long long)ranks);
    else if (!copies)
        REFUSE(call, INVALID_VALUE, "layout.data_parallel",
               "%lld GPUs are not %lld copies of %lld GPUs each: give %lld, or leave it out", (long long)gpus,
               (long long)data, (long long)ranks, (long long)(gpus / ranks));
    if (ep > 1 && gpus % (ep * count_or_1(request->pipeline_parallel)) != 0)
        REFUSE(call, INVALID_VALUE, "layout.expert_parallel", "%lld GPUs do not divide into groups of %lld",
               (long long)gpus, (long long)(ep * count_or_1(request->pipeline_parallel)));
    if (request->batch_sequences != VALUE_ABSENT && all && gpus % ranks == 0 &&
        request->batch_sequences % (gpus / ranks) != 0)
        REFUSE(call, INVALID_VALUE, "training.batch_sequences", "does not divide over %lld data-parallel copies",
               (long long)(gpus / ranks));
}

static uint32_t count_of(int64_t count)
{
    return count == VALUE_ABSENT ? 0 : (uint32_t)count;
}

static struct training_setup setup_of(const struct training_request *request, const struct call *call,
                                      const struct model *model)
{
    return (struct training_setup){
        .snapshot = call->snapshot,
        .model = model,
        .method = (enum training_method)request->method,
        .optimizer = (enum training_optimizer)request->optimizer,
        .precision = (enum training_precision)request->precision,
        .offload = (enum training_offload)request->offload,
        .lora_rank = count_of(request->lora_rank),
        .lora_targets =
            request->adapter_targets == VALUE_ABSENT ? LORA_ALL_LINEAR : (enum lora_targets)request->adapter_targets,
        .flash_attention = request->flash_attention,
        .fused_loss = request->fused_loss,
        .fused_backward = request->fused_backward,
        .sequence_parallel = request->sequence_parallel,
        .sequence_tokens = (double)request->sequence_tokens,
        .virtual_stages = count_of(request->virtual_stages),
        .context_parallel = count_of(request->context_parallel),
        .network_gb_per_s = request->network_gb_per_s,
    };
}

static void fill_question(struct call *call, const struct training_request *request, const struct model *model,
                          struct training_question *question)
{
    double padded = request->packed ? 1 : (double)request->sequence_tokens / request->mean_document_tokens;
    double batch_tokens = request->method == TRAINING_PRETRAIN ? PRETRAIN_BATCH_TOKENS : TUNING_BATCH_TOKENS;
    question->setup = setup_of(request, call, model);
    question->fsdp = snapshot_find_training(call->snapshot, framework_names[0]);
    question->megatron = snapshot_find_training(call->snapshot, framework_names[1]);
    question->profile = request->framework == VALUE_ABSENT ? NULL
                        : request->framework               ? question->megatron
                                                           : question->fsdp;
    question->gpus = count_of(request->gpu_count);
    question->tensor_parallel = count_of(request->tensor_parallel);
    question->pipeline_parallel = count_of(request->pipeline_parallel);
    question->expert_parallel = count_of(request->expert_parallel);
    question->data_parallel = count_of(request->data_parallel);
    question->sharding = request->sharding;
    question->recompute = request->recompute;
    question->micro_batch_sequences = count_of(request->micro_batch_sequences);
    question->batch_sequences = count_of(request->batch_sequences);
    question->batch_sequences_default = fmax(1, floor(batch_tokens / (double)request->sequence_tokens));
    question->tokens = request->training_tokens * padded;
    question->deadline_hours = request->deadline_hours;
    question->interruptions = request->interruptions;
    question->least = (enum training_least)request->objective;
    question->fixed = request->gpu && request->gpu_count != VALUE_ABSENT;
}

/* A GPU that is named is the only one; whoever names GPUs and their number wants to know about just these. */
static const struct gpu *resolve_gpu(struct call *call, struct training_request *request)
{
    const struct gpu *gpu = NULL;
    if (!request->gpu) return NULL;
    if (request->fleet.gpus.count) REFUSE(call, CONTRADICTION, "gpu", "give gpu or constraints.gpus");
    enum status status = snapshot_find_gpu(call->snapshot, ALIAS_USER, request->gpu, "gpu", call->problems, &gpu);
    request->gpu = status == STATUS_OK ? gpu->id : NULL;
    return gpu;
}

/* A question about a fleet that says nothing: of it only the constraints are asked here. */
static void silence_fleet(struct recommend_request *fleet)
{
    input_clear(fleet_fields, FLEET_FIELD_COUNT, fleet);
    fleet->input_tokens = DEFAULT_INPUT_TOKENS;
    fleet->output_tokens = DEFAULT_OUTPUT_TOKENS;
    fleet->objective = OBJECTIVE_COST;
    fleet->extras = (struct memory_extras){.max_loras = 0};
}

/* The constraints of a fleet question; nothing else of it is asked. */
static enum status read_fleet(struct call *call, struct training_request *request, const struct model *model,
                              struct question *ret_question, const bool **ret_offers)
{
    const struct recommend_context context = {
        .snapshot = call->snapshot,
        .model = model,
        .engine = &call->snapshot->profiles[0],
        .weights_bytes = UNKNOWN,
        .today = call->today,
    };
    struct recommend_request fleet = request->fleet; /* its defaults are not the training's */
    if (request->gpu) fleet.gpus = (struct text_list){&request->gpu, 1};
    if (fleet.max_price_age_days == VALUE_ABSENT && call->price_age_max_days > 0)
        fleet.max_price_age_days = call->price_age_max_days;
    fleet.max_model_len_tokens = request->sequence_tokens;
    enum status status = question_read(&context, &fleet, call->arena, call->problems, ret_question);
    if (status != STATUS_OK) return status;
    request->fleet.as_of = fleet.as_of;
    fleet.purchases = (1U << PURCHASE_COUNT) - 1;
    *ret_offers = question_offers(call->snapshot, &fleet, call->arena);
    request->fleet.purchases = ret_question->purchases;
    request->fleet.max_price_age_days = fleet.max_price_age_days;
    request->fleet.min_probability_ratio = fleet.min_probability_ratio;
    request->fleet.host_cost_ratio = fleet.host_cost_ratio;
    request->fleet.residual_value_ratio = fleet.residual_value_ratio;
    request->fleet.electricity_usd_per_kwh = fleet.electricity_usd_per_kwh;
    return *ret_offers ? STATUS_OK : STATUS_OUT_OF_MEMORY;
}

static enum status resolve(struct call *call, struct training_request *request, struct training_answer *answer)
{
    const struct model empty = {.id = ""};
    bool known =
        api_model_given(&request->model) && api_model_resolve(call, &request->model, &answer->model) == STATUS_OK;
    const struct model *model = known ? &answer->model.facts : &empty;
    const struct gpu *gpu = resolve_gpu(call, request);
    fill_defaults(request, known ? model : NULL);
    check_training(call, request, known ? model : NULL);
    if (known) check_heads(call, request, model);
    check_layout(call, request);
    struct question *fleet = &answer->question.fleet;
    enum status status = read_fleet(call, request, model, fleet, &answer->offers);
    if (status == STATUS_OK && gpu && !fleet->gpu_allowed[gpu - call->snapshot->gpus])
        REFUSE(call, CONTRADICTION, "constraints.exclude_gpus", "leaves out %s, which gpu asks for", gpu->id);
    if (status == STATUS_OK) status = problems_status(call->problems);
    if (status != STATUS_OK) return status;
    if (request->model.name && !answer->model.assumed) request->model.name = answer->model.facts.id;
    fill_question(call, request, model, &answer->question);
    return STATUS_OK;
}

static enum status run_roofline(struct call *call, struct training_request *request, struct training_answer *answer)
{
    enum status status = resolve(call, request, answer);
    if (status != STATUS_OK) return status;
    answer->question.memo = training_memo_make(call->snapshot, call->arena);
    status = training_search_run(&answer->question, call->arena, &answer->search);
    if (status == STATUS_OK && !answer->search.found && !answer->question.fixed)
        status = training_relax(&answer->question, call->arena, &answer->relaxations);
    if (status == STATUS_OK) status = training_pay(call, answer);
    if (status == STATUS_OUT_OF_MEMORY) return problems_add(call->problems, status, "", "no memory for the answer");
    if (status == STATUS_OK) status = api_answer_id(call, &operation_training, request);
    if (status == STATUS_OK) training_put(call, request, answer);
    return status;
}

/* --- the article ------------------------------------------------------------------------------------------------ */

static double cents(double value)
{
    return nearbyint(value * 100) / 100;
}

static const char *const article_assumptions[] = {
    ("The article's arithmetic, kept for comparison: multiples of the parameters. Of the question only the model and "
     "optimizer_factor, activation_factor and parameter_bits are read."),
};

/* calculate_training_memory: parameters, as many gradients, factors of them for the rest; shown with two decimals. */
static enum status run_article(struct call *call, struct training_request *request, struct training_answer *answer)
{
    enum status status = api_model_resolve(call, &request->model, &answer->model);
    if (status != STATUS_OK) return status;
    if (!is_known(request->optimizer_factor)) request->optimizer_factor = 2;
    if (!is_known(request->activation_factor)) request->activation_factor = 1.5;
    preset(&request->parameter_bits, 16);
    if (request->model.name && !answer->model.assumed) request->model.name = answer->model.facts.id;
    status = api_answer_id(call, &operation_training, request);
    if (status != STATUS_OK) return status;
    double gib = article_memory_gib(answer->model.facts.parameters, (double)request->parameter_bits);
    struct out *out = call->out;
    api_put_head(call, call->snapshot->as_of);
    api_put_model(out, &answer->model);
    out_text(out, "estimator", estimator_names[ESTIMATOR_ARTICLE]);
    out_object(out, "memory");
    out_number(out, "parameters_gib", cents(gib));
    out_number(out, "gradients_gib", cents(gib));
    out_number(out, "optimizer_gib", cents(gib * request->optimizer_factor));
    out_number(out, "activations_gib", cents(gib * request->activation_factor));
    out_number(out, "total_gib", cents(gib * (2 + request->optimizer_factor + request->activation_factor)));
    out_object_end(out);
    api_put_texts(out, "assumptions", article_assumptions, sizeof article_assumptions / sizeof *article_assumptions);
    return STATUS_OK;
}

static bool says(double value)
{
    return is_known(value);
}

static void check_estimator(struct call *call, const struct training_request *request)
{
    bool factors =
        says(request->optimizer_factor) || says(request->activation_factor) || request->parameter_bits != VALUE_ABSENT;
    if (factors && request->estimator == ESTIMATOR_ROOFLINE)
        REFUSE(call, CONTRADICTION, "estimator", "factors of the parameters are the article's: ask for article");
}

static enum status run(struct call *call)
{
    struct training_request request = {.gpu = NULL};
    struct training_answer *answer = ARENA_NEW(call->arena, struct training_answer);
    if (!answer) return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the answer");
    silence_fleet(&request.fleet);
    enum status status = input_decode(call->input, call->arena, fields, FIELD_COUNT, &request, call->problems);
    if (status == STATUS_OUT_OF_MEMORY) return status;
    if (request.estimator == VALUE_ABSENT) request.estimator = ESTIMATOR_ROOFLINE;
    check_estimator(call, &request);
    if (problems_status(call->problems) != STATUS_OK) {
        if (request.estimator == ESTIMATOR_ROOFLINE) return resolve(call, &request, answer);
        return problems_status(call->problems);
    }
    out_object(call->out, NULL);
    status = request.estimator == ESTIMATOR_ARTICLE ? run_article(call, &request, answer)
                                                    : run_roofline(call, &request, answer);
    input_encode(call->out, "request", fields, FIELD_COUNT, &request);
    out_object_end(call->out);
    return status;
}

static const char *const examples[] = {
    "gpusize training --model llama-3.1-8b --gpu h100-sxm --gpu-count 8 --sequence-tokens 8192",
    "gpusize training --model llama-3.1-8b --method qlora --training-tokens 50e6 --deadline-hours 24 --budget-usd 200",
    "gpusize training --model 70B --method lora --lora-rank 64 --training-tokens 1e9 --purchase on_demand,spot",
    "gpusize training --model 70B --method pretrain --gpu h100-sxm --gpu-count 512 --tp 8 --training-tokens 1e12",
    "gpusize training --model 7B --estimator article",
    NULL,
};

const struct operation operation_training = {
    .id = "training",
    .command = "training",
    .summary = "Sizes the training of a model: memory of each GPU, time, energy, cost, and the cheapest GPUs for it.",
    .fields = fields,
    .field_count = FIELD_COUNT,
    .computes = true,
    .recorded = true,
    .rows = "",
    .tables = "payments,rejected",
    .examples = examples,
    .run = run,
};
