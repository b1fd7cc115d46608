/* training.c owns the reading of measured training runs: which layout a file has, what its words mean. */
#include "evaluate/training.h"

#include "catalog/csv.h"
#include "catalog/text.h"

#include <string.h>

struct reading {
    const struct snapshot *catalog;
    const char *const *columns; /* the header's */
    const struct csv *csv;
    struct arena *arena;
    struct training_run *run;
};

static const char *cell(const struct reading *reading, const char *column)
{
    for (size_t i = 0; reading->columns[i]; i++) {
        if (strcmp(reading->columns[i], column) == 0)
            return i < reading->csv->field_count ? reading->csv->fields[i] : "";
    }
    return "";
}

/* The first `length` characters as a number; NaN if they are none. */
static double number_at(const char *text, size_t length)
{
    char digits[32];
    double value = UNKNOWN;
    if (length == 0 || length >= sizeof digits) return UNKNOWN;
    memcpy(digits, text, length);
    digits[length] = '\0';
    return text_parse_double(digits, &value) ? value : UNKNOWN;
}

/* "8", "1 (4)" (what it was set to, and what another version had), "661[^note]"; NaN for "n/a" and nothing. */
static double number(const struct reading *reading, const char *column)
{
    const char *text = cell(reading, column);
    return number_at(text, strspn(text, "0123456789."));
}

/* Year and month of "26.02.01 NeMo Container". */
static double version(const struct reading *reading)
{
    const char *text = cell(reading, "framework_version");
    size_t year = strspn(text, "0123456789"), month = text[year] == '.' ? strspn(text + year + 1, "0123456789") : 0;
    return month ? number_at(text, year + 1 + month) : UNKNOWN;
}

static uint32_t count_or_1(const struct reading *reading, const char *column)
{
    enum { COUNT_MOST = 1 << 20 }; /* more is no count, and does not fit one */
    double value = number(reading, column);
    return value >= 1 ? (uint32_t)fmin(value, COUNT_MOST) : 1;
}

static bool refuse(struct training_run *run, const char *reason)
{
    if (!run->refused) run->refused = reason;
    return false;
}

static bool find_gpu(const struct reading *reading)
{
    struct training_run *run = reading->run;
    struct problems problems;
    if (!*run->gpu_name) return refuse(run, "the row names no GPU");
    problems_init(&problems, reading->arena);
    enum status status =
        snapshot_find_gpu(reading->catalog, ALIAS_MEASURED, run->gpu_name, "gpu", &problems, &run->setup.gpu);
    return status == STATUS_OK || refuse(run, "the catalog does not know its GPU");
}

/* How the files call models of the catalog. */
static const struct {
    const char *name, *id;
} model_names[] = {
    {"LLAMA3_70B", "meta-llama/Llama-3.1-70B-Instruct"},
    {"LLAMA3.1_405B", "meta-llama/Llama-3.1-405B"},
    {"Qwen3_235B_a22B", "Qwen/Qwen3-235B-A22B"},
    {"Qwen3_30B_a3B", "Qwen/Qwen3-30B-A3B"},
    {"GPT OSS 120B", "openai/gpt-oss-120b"},
    {"DeepSeekV3", "deepseek-ai/DeepSeek-V3"},
    {"Kimi_K2", "moonshotai/Kimi-K2-Instruct"},
    {"Nemotron_3_Nano", "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16"},
    {"Nemotron_3_Ultra", "nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16"},
    {"Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct"},
    {"Llama-3.1-70B", "meta-llama/Llama-3.1-70B-Instruct"},
    {"Llama-3.1-405B", "meta-llama/Llama-3.1-405B"},
    {"Llama-2-7B", "meta-llama/Llama-2-7b-hf"},
    {"Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct"},
};

static bool find_model(const struct reading *reading)
{
    struct training_run *run = reading->run;
    for (size_t i = 0; i < sizeof model_names / sizeof *model_names; i++) {
        if (strcmp(model_names[i].name, run->model_name) != 0) continue;
        size_t index = snapshot_model_index(reading->catalog, model_names[i].id);
        if (index == reading->catalog->model_count) break;
        run->model = reading->catalog->models[index];
        return true;
    }
    return refuse(run, "the catalog does not have its model");
}

static void set_common(const struct reading *reading, const char *framework)
{
    struct training_run *run = reading->run;
    run->source = cell(reading, "source");
    run->model_name = cell(reading, "model");
    run->gpu_name = cell(reading, "gpu");
    run->line = reading->csv->line;
    run->tokens_per_second_per_gpu = run->peak_bytes = UNKNOWN;
    run->setup = (struct training_setup){
        .snapshot = reading->catalog,
        .profile = snapshot_find_training(reading->catalog, framework),
        .flash_attention = true,
        .fused_loss = true,
        .sequence_parallel = true,
        .sequence_tokens = number(reading, "seq_len"),
        .micro_batch_sequences = count_or_1(reading, "micro_batch"),
        .micro_batches = 1,
        .gpus = count_or_1(reading, "gpus_total"),
        .tensor_parallel = 1,
        .pipeline_parallel = 1,
        .virtual_stages = 1,
        .context_parallel = 1,
        .expert_parallel = 1,
        .network_gb_per_s = UNKNOWN,
    };
}

static void set_host(struct training_run *run)
{
    uint32_t node = run->setup.gpu && run->setup.gpu->node_gpus ? run->setup.gpu->node_gpus : 1;
    run->setup.host_gpus = node < run->setup.gpus ? node : run->setup.gpus;
}

/* --- llm-foundry: MPT on A100 and H100, FSDP -------------------------------------------------------------------- */

/* Shapes of scripts/train/benchmarking of llm-foundry; heads of 128, a vocabulary of 50,368, tied embeddings. */
static const struct {
    const char *name;
    uint32_t width, layers;
} mpt_shapes[] = {
    {"MPT-125m", 768, 12}, {"MPT-350m", 1024, 24}, {"MPT-760m", 1536, 24}, {"MPT-1b", 2048, 24},  {"MPT-3b", 2560, 32},
    {"MPT-7b", 4096, 32},  {"MPT-13b", 5120, 40},  {"MPT-30b", 7168, 48},  {"MPT-70b", 8192, 80},
};

static bool set_mpt(const struct reading *reading)
{
    struct training_run *run = reading->run;
    for (size_t i = 0; i < sizeof mpt_shapes / sizeof *mpt_shapes; i++) {
        if (strcmp(mpt_shapes[i].name, run->model_name) != 0) continue;
        run->model = (struct model){
            .id = mpt_shapes[i].name,
            .family = "MPT",
            .architecture = "MptForCausalLM",
            .parameters = number(reading, "num_params"),
            .active_parameters = number(reading, "num_params"),
            .layers = mpt_shapes[i].layers,
            .full_attention_layers = mpt_shapes[i].layers,
            .hidden_size = mpt_shapes[i].width,
            .attention_heads = mpt_shapes[i].width / 128,
            .kv_heads = mpt_shapes[i].width / 128,
            .head_dim = 128,
            .intermediate_size = 4 * mpt_shapes[i].width,
            .vocabulary_size = 50368,
            .tied_embeddings = true,
            .attention_kind = ATTENTION_MHA,
        };
        return true;
    }
    return refuse(run, "no shape is known of its model");
}

static void read_foundry(const struct reading *reading)
{
    struct training_run *run = reading->run;
    set_common(reading, "fsdp");
    if (!find_gpu(reading) || !set_mpt(reading)) return;
    const char *precision = cell(reading, "precision");
    run->setup.method = TRAINING_PRETRAIN;
    run->setup.precision = strstr(precision, "fp8") ? PRECISION_FP8 : PRECISION_BF16_MIXED;
    run->setup.sharding = strcmp(cell(reading, "sharding"), "SHARD_GRAD_OP") == 0 ? SHARDING_ZERO2 : SHARDING_FSDP;
    run->setup.recompute = strcmp(cell(reading, "act_ckpt"), "True") == 0 ? RECOMPUTE_FULL : RECOMPUTE_NONE;
    run->setup.micro_batches = fmax(1, number(reading, "grad_accum"));
    if (strstr(cell(reading, "section"), "1600 Gbps")) run->setup.network_gb_per_s = 1600.0 / 8 / 8; /* of 8 GPUs */
    set_host(run);
    run->tokens_per_second_per_gpu = number(reading, "tokens_per_s_per_gpu");
    run->in_fit = true;
}

/* --- Megatron Bridge: Hopper and Blackwell ---------------------------------------------------------------------- */

static void set_megatron_layout(const struct reading *reading)
{
    struct training_setup *setup = &reading->run->setup;
    double sharded = number(reading, "fsdp");
    setup->tensor_parallel = count_or_1(reading, "tp");
    setup->pipeline_parallel = count_or_1(reading, "pp");
    setup->context_parallel = count_or_1(reading, "cp");
    setup->virtual_stages = count_or_1(reading, "vp");
    setup->expert_parallel = count_or_1(reading, "ep");
    setup->sharding = sharded > 0 ? SHARDING_FSDP : SHARDING_ZERO1;
    double ranks = setup->micro_batch_sequences * training_data_parallel(setup);
    setup->micro_batches = fmax(1, number(reading, "global_batch") / ranks);
}

static void read_megatron(const struct reading *reading)
{
    struct training_run *run = reading->run;
    const char *precision = cell(reading, "precision"), *task = cell(reading, "task");
    set_common(reading, "megatron");
    if (!find_gpu(reading)) return; /* rows without a GPU carry a wrong model, too */
    if (strstr(cell(reading, "other"), "Model=")) {
        (void)refuse(run, "the row names two models");
        return;
    }
    if (!find_model(reading)) return;
    run->setup.method = strstr(task, "LoRA") ? TRAINING_LORA : strstr(task, "SFT") ? TRAINING_FULL : TRAINING_PRETRAIN;
    run->setup.lora_rank = TRAINING_LORA_RANK;
    run->setup.precision = strstr(precision, "FP4")   ? PRECISION_NVFP4
                           : strstr(precision, "FP8") ? PRECISION_FP8
                                                      : PRECISION_BF16_MIXED;
    if (!*precision) (void)refuse(run, "the row states no precision");
    set_megatron_layout(reading);
    run->setup.older_software = version(reading) < 26.06;
    set_host(run);
    run->tokens_per_second_per_gpu = number(reading, "tokens_per_s_per_gpu");
    run->in_fit = run->setup.method == TRAINING_PRETRAIN;
}

/* --- fine-tuning: memory ---------------------------------------------------------------------------------------- */

static void set_method(const struct reading *reading)
{
    const char *method = cell(reading, "method"), *notes = cell(reading, "notes");
    struct training_setup *setup = &reading->run->setup;
    setup->lora_rank = TRAINING_LORA_RANK;
    setup->method = strstr(method, "QLoRA") ? TRAINING_QLORA : strstr(method, "LoRA") ? TRAINING_LORA : TRAINING_FULL;
    setup->precision = PRECISION_BF16;
    setup->optimizer = OPTIMIZER_ADAMW;
    if (strstr(method, "full") && (strstr(notes, "8bit") || strstr(method, "8-bit"))) {
        setup->optimizer = OPTIMIZER_ADAMW_8BIT;
        if (strstr(notes, "Paged")) setup->offload = OFFLOAD_CPU_OPTIMIZER; /* out of the way where memory is short */
        setup->fused_backward = strstr(notes, "fused bwd") != NULL;
        reading->run->states_optimizer = true;
    }
    if (strstr(notes, "CPU offload")) {
        setup->offload = OFFLOAD_CPU_ALL;
        reading->run->states_optimizer = true;
    }
    setup->sharding = setup->gpus > 1 ? SHARDING_FSDP : SHARDING_DDP;
    if (strstr(cell(reading, "parallelism"), "ZeRO-2")) setup->sharding = SHARDING_ZERO2;
    setup->recompute = RECOMPUTE_FULL;
    reading->run->states_recompute = strcmp(cell(reading, "act_ckpt"), "yes") == 0;
    if (strstr(method, "DPO")) setup->micro_batch_sequences *= 2; /* chosen and rejected */
}

static void read_finetune(const struct reading *reading)
{
    struct training_run *run = reading->run;
    set_common(reading, "fsdp");
    const char *kind = cell(reading, "measured_or_estimate");
    bool decimal = strstr(cell(reading, "notes"), "GB") != NULL; /* "GB in source" */
    run->peak_bytes = number(reading, "peak_mem_gib_per_gpu") * (decimal ? GB : GIB);
    if (strncmp(kind, "measured", strlen("measured")) != 0 || strchr(kind, '/'))
        (void)refuse(run, "the row is an estimate");
    else if (!find_model(reading))
        return;
    else if (!is_known(run->setup.sequence_tokens))
        (void)refuse(run, "the row states no sequence length");
    else if (strstr(cell(reading, "method"), "precompute_ref"))
        (void)refuse(run, "the row's reference model is not part of a training step here");
    /* Where torchtune measured is not where its GPU names say: any part of today holds the rank. */
    const char *gpu = "H100-SXM-80GB";
    run->gpu_name = gpu;
    (void)find_gpu(reading);
    set_method(reading);
    run->setup.fused_loss =
        strcmp(cell(reading, "framework"), "torchtune") == 0; /* the others made all logits at once */
    set_host(run);
}

/* --- files ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *column; /* that only this layout has */
    void (*read)(const struct reading *reading);
} layouts[] = {
    {"hfu_pct", read_foundry},
    {"framework_version", read_megatron},
    {"peak_mem_gib_per_gpu", read_finetune},
};

static bool has_column(const struct csv *csv, const char *column)
{
    for (size_t i = 0; i < csv->field_count; i++) {
        if (strcmp(csv->fields[i], column) == 0) return true;
    }
    return false;
}

static enum status no_memory(struct problems *problems, const char *path)
{
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the rows of %s", path);
}

static size_t count_lines(const char *text, size_t length)
{
    size_t lines = 1;
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    return lines;
}

/* The header's names, NULL-terminated, in the arena. */
static const char *const *take_columns(const struct csv *csv, struct arena *arena)
{
    const char **columns = ARENA_ARRAY(arena, csv->field_count + 1, const char *);
    for (size_t i = 0; columns && i < csv->field_count; i++)
        columns[i] = csv->fields[i];
    return columns;
}

static enum status make_room(struct training_runs *runs, size_t more, struct arena *arena)
{
    struct training_run *items = ARENA_ARRAY(arena, runs->count + more, struct training_run);
    if (!items) return STATUS_OUT_OF_MEMORY;
    if (runs->count) memcpy(items, runs->items, runs->count * sizeof *items);
    runs->items = items;
    return STATUS_OK;
}

enum status training_runs_read(const char *path, char *text, size_t length, const struct snapshot *catalog,
                               struct arena *arena, struct problems *problems, struct training_runs *runs)
{
    struct csv csv;
    size_t lines = count_lines(text, length), layout = 0;
    csv_init(&csv, text, length);
    if (csv_next(&csv) != CSV_RECORD)
        return problems_add(problems, STATUS_INVALID_VALUE, "training", "%s has no header line", path);
    while (layout < sizeof layouts / sizeof *layouts && !has_column(&csv, layouts[layout].column))
        layout++;
    if (layout == sizeof layouts / sizeof *layouts)
        return problems_add(problems, STATUS_INVALID_VALUE, "training",
                            "%s has none of the columns hfu_pct, framework_version, peak_mem_gib_per_gpu that tell "
                            "its layout",
                            path);
    if (lines > TRAINING_RUNS_MAX)
        return problems_add(problems, STATUS_INVALID_VALUE, "training", "%s has more than %d lines", path,
                            TRAINING_RUNS_MAX);
    struct reading reading = {.catalog = catalog, .columns = take_columns(&csv, arena), .csv = &csv, .arena = arena};
    if (!reading.columns || make_room(runs, lines, arena) != STATUS_OK) return no_memory(problems, path);
    enum csv_result result;
    while ((result = csv_next(&csv)) == CSV_RECORD) {
        reading.run = &runs->items[runs->count++];
        layouts[layout].read(&reading);
    }
    if (result == CSV_BAD)
        return problems_add(problems, STATUS_INVALID_VALUE, "training", "%s:%u: %s", path, csv.line, csv.error);
    return STATUS_OK;
}

struct training_setup training_run_setup(const struct training_run *run)
{
    struct training_setup setup = run->setup;
    setup.model = &run->model;
    return setup;
}

double training_run_error(const struct training_run *run, const struct training_profile *profile)
{
    struct training_setup setup = training_run_setup(run);
    struct training_time time;
    setup.profile = profile;
    if (run->refused || !(run->tokens_per_second_per_gpu > 0) || !training_time_predict(&setup, &time)) return UNKNOWN;
    double error = log(time.tokens_per_second.value / setup.gpus / run->tokens_per_second_per_gpu);
    return isfinite(error) ? error : UNKNOWN;
}

/* --- memory as a span ------------------------------------------------------------------------------------------- */

static void add_to_span(const struct training_run *run, const struct training_setup *setup, struct training_span *span)
{
    struct training_memory memory;
    training_memory_size(setup, &memory);
    double before = fabs(span->nearest.total_bytes.value - run->peak_bytes);
    if (!(before <= fabs(memory.total_bytes.value - run->peak_bytes))) span->nearest = memory;
    span->low_bytes = fmin(span->low_bytes, memory.total_bytes.value);
    span->high_bytes = fmax(span->high_bytes, memory.total_bytes.value);
    span->safe_low_bytes = fmin(span->safe_low_bytes, memory.total_bytes.low);
    span->safe_high_bytes = fmax(span->safe_high_bytes, memory.total_bytes.high);
}

/* What a recipe may have had where the row says nothing: AdamW in bf16 or in 8 bits, or an update as soon as a gradient
 * is there, so that only one layer has one and the optimizer nothing; recompute of everything, or of nothing. */
void training_run_span(const struct training_run *run, struct training_span *ret_span)
{
    static const struct {
        enum training_optimizer optimizer;
        bool fused;
    } recipes[] = {{OPTIMIZER_ADAMW, false}, {OPTIMIZER_ADAMW_8BIT, false}, {OPTIMIZER_ADAFACTOR, true}};
    struct training_span span = {INFINITY, 0, INFINITY, 0, {.total_bytes = PREDICTED_UNKNOWN}};
    struct training_setup setup = training_run_setup(run);
    for (size_t i = 0; i < (run->states_optimizer ? 1 : sizeof recipes / sizeof *recipes); i++) {
        if (!run->states_optimizer) {
            setup.optimizer = recipes[i].optimizer;
            setup.fused_backward = recipes[i].fused;
        }
        for (int recompute = RECOMPUTE_NONE; recompute < RECOMPUTE_COUNT; recompute++) {
            if (run->states_recompute && recompute != (int)run->setup.recompute) continue;
            setup.recompute = (enum training_recompute)recompute;
            add_to_span(run, &setup, &span);
        }
    }
    *ret_span = span;
}
