/* measured.c owns measured rows of all layouts: the spellings of formats and loads, limits of numbers, names. */
#include "import/measured.h"

#include "catalog/name.h"
#include "catalog/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Spellings that are not the catalog's: the first that is contained, any case. `about`: the nearest of the catalog. */
static const struct {
    const char *part;
    enum dtype dtype;
    bool about;
} spellings[] = {
    {"nvfp4", DTYPE_NVFP4, false},     {"mxfp4", DTYPE_MXFP4, false},     {"fp8", DTYPE_FP8, false},
    {"float8", DTYPE_FP8, false},      {"w4a16", DTYPE_INT4, false},      {"w8a8", DTYPE_INT8, false},
    {"fp4", DTYPE_NVFP4, true},        {"bf16", DTYPE_BF16, false},       {"bfloat16", DTYPE_BF16, false},
    {"fp16", DTYPE_FP16, false},       {"half", DTYPE_FP16, false},       {"float16", DTYPE_FP16, false},
    {"fp32", DTYPE_FP32, false},       {"float32", DTYPE_FP32, false},    {"int8", DTYPE_INT8, false},
    {"int4 g", DTYPE_INT4, true},      {"int4", DTYPE_INT4, false},       {"awq", DTYPE_INT4, false},
    {"gptq", DTYPE_INT4, false},       {"q8_0", DTYPE_Q8_0, false},       {"q6_k", DTYPE_Q6_K, false},
    {"q5_k_s", DTYPE_Q5_K_S, false},   {"q5_k - s", DTYPE_Q5_K_S, false}, {"q5_k", DTYPE_Q5_K_M, false},
    {"q4_k_s", DTYPE_Q4_K_S, false},   {"q4_k - s", DTYPE_Q4_K_S, false}, {"q4_k", DTYPE_Q4_K_M, false},
    {"q3_k_l", DTYPE_Q3_K_L, false},   {"q3_k - l", DTYPE_Q3_K_L, false}, {"q3_k_s", DTYPE_Q3_K_S, false},
    {"q3_k - s", DTYPE_Q3_K_S, false}, {"q3_k", DTYPE_Q3_K_M, false},     {"q2_k", DTYPE_Q2_K, false},
    {"iq4_nl", DTYPE_IQ4_NL, false},   {"iq4_xs", DTYPE_IQ4_XS, false},   {"q5_0", DTYPE_Q5_0, false},
    {"q4_0", DTYPE_Q4_0, false},       {"f16", DTYPE_FP16, false},        {"f32", DTYPE_FP32, false},
};

enum dtype import_dtype(const char *text, enum dtype native, bool *ret_same)
{
    enum dtype named = dtype_parse(text);
    *ret_same = named != DTYPE_UNKNOWN;
    if (*ret_same) return named;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        if (!strcasestr(text, spellings[i].part)) continue;
        bool own = native == DTYPE_MXFP4 && strcasestr(spellings[i].part, "fp4");
        *ret_same = !spellings[i].about;
        return own ? DTYPE_MXFP4 : spellings[i].dtype;
    }
    return DTYPE_UNKNOWN;
}

/* --- numbers --- */

enum { PARALLEL_MAX = 4096, GPUS_MAX = 100000 };
#define RUN(member) offsetof(struct measured, run.member)
#define ROW(member) offsetof(struct measured, member)

/* Numbers that may be missing: the limits are those of the table gpusize.observation. */
static const struct number {
    enum import_column column;
    size_t offset;
    double scale, low, high;
    bool whole;
} numbers[] = {
    {COL_GPU_COUNT, ROW(gpu_count), 1, 1, GPUS_MAX, true},
    {COL_TENSOR_PARALLEL, RUN(tensor_parallel), 1, 1, PARALLEL_MAX, true},
    {COL_PIPELINE_PARALLEL, RUN(pipeline_parallel), 1, 1, PARALLEL_MAX, true},
    {COL_EXPERT_PARALLEL, RUN(expert_parallel), 1, 1, PARALLEL_MAX, true},
    {COL_DATA_PARALLEL, ROW(data_parallel), 1, 1, PARALLEL_MAX, true},
    {COL_INPUT, RUN(input_tokens), 1, 0, 1e8, false},
    {COL_OUTPUT, RUN(output_tokens), 1, 0, 1e8, false},
    {COL_CONCURRENCY, RUN(concurrency), 1, 0.001, 1e9, false},
    {COL_REQUEST_RATE, ROW(requests_per_second), 1, 1e-6, 1e9, false},
    {COL_OUTPUT_RATE, RUN(output_tokens_per_second), 1, 1e-6, 1e12, false},
    {COL_TOTAL_RATE, RUN(total_tokens_per_second), 1, 1e-6, 1e12, false},
    {COL_PREFILL_RATE, RUN(prefill_tokens_per_second), 1, 1e-6, 1e12, false},
    {COL_TTFT, RUN(ttft_ms), 1, 1e-6, 1e9, false},
    {COL_TPOT, RUN(tpot_ms), 1, 1e-6, 1e9, false},
    {COL_E2E, RUN(e2e_ms), 1000, 1e-6, 1e12, false}, /* seconds */
    {COL_MAX_MODEL_LEN, ROW(max_model_len_tokens), 1, 1, 1e9, true},
    {COL_UTILIZATION, ROW(gpu_memory_utilization_ratio), 1, 0.01, 1, false},
    {COL_WEIGHT_MEMORY, ROW(weight_memory_gib), 1, 0, 1e6, false},
    {COL_ACTIVATION_MEMORY, ROW(activation_memory_gib), 1, 0, 1e6, false},
    {COL_KV_CACHE_MEMORY, ROW(kv_cache_memory_gib), 1, -1e6, 1e6, false},
    {COL_KV_CACHE_TOKENS, ROW(kv_cache_tokens), 1, 0, 1e12, false},
    {COL_MAX_CONCURRENCY, ROW(max_concurrency), 1, 0, 1e12, false},
};
enum { NUMBERS = sizeof numbers / sizeof *numbers };

static const struct number *find_number(enum import_column column)
{
    for (size_t i = 0; i < NUMBERS; i++) {
        if (numbers[i].column == column) return &numbers[i];
    }
    return NULL;
}

bool measured_is_number(enum import_column column)
{
    return find_number(column) != NULL;
}

struct measured import_measured_empty(uint32_t line)
{
    struct measured measured = {.line = line, .model = "", .gpu = "", .load_mode = "", .arrival_cv2 = 1};
    measured.gpu_layers = UNKNOWN;
    measured.run = (struct observation){.source = "", .uid = "", .engine = "", .engine_version = "", .model_id = ""};
    measured.run.weight_dtype = measured.run.kv_dtype = measured.run.load = measured.run.trust = measured.run.notes =
        "";
    measured.run.as_of = DATE_UNKNOWN;
    for (size_t i = 0; i < NUMBERS; i++)
        *(double *)((char *)&measured + numbers[i].offset) = UNKNOWN;
    return measured;
}

void measured_refuse(struct measured *measured, const char *field, const char *format, ...)
{
    va_list args;
    if (measured->refused_field) return;
    va_start(args, format);
    int length = vsnprintf(measured->refused, sizeof measured->refused, format, args);
    va_end(args);
    if (length >= (int)sizeof measured->refused)
        measured->refused[text_utf8_prefix(measured->refused, sizeof measured->refused - 1)] = '\0';
    measured->refused_field = field;
}

/* Also "-" and, of a load without a limit, "max" give no number; "~150" is about as many. */
void measured_set_number(struct measured *measured, enum import_column column, const char *field, const char *text)
{
    char shown[NAME_SHOWN_BYTES];
    const struct number *number = find_number(column);
    double value = UNKNOWN;
    if (!*text || strcmp(text, "-") == 0 || strcmp(text, "max") == 0) return;
    bool read = text_parse_double(text + (*text == '~'), &value);
    value *= number->scale;
    if (!read || !(value >= number->low && value <= number->high) || (number->whole && value != floor(value)))
        measured_refuse(measured, field, "\"%s\" is no %snumber from %g to %g", name_shown(text, shown),
                        number->whole ? "whole " : "", number->low / number->scale, number->high / number->scale);
    *(double *)((char *)measured + number->offset) = value;
}

/* --- loads --- */

/* How requests came: as sources call it, and by the names of the service's own loads. */
static const struct {
    const char *text, *load;
    bool single; /* one sequence, whatever else the row says */
    bool decode_only, one_prompt;
} loads[] = {
    {.text = "closed-loop", .load = "concurrency"},
    {.text = "static batch", .load = "static_batch"},
    {.text = "max-load offline", .load = "saturated"},
    {.text = "batch-1 decode", .load = "static_batch", .single = true, .decode_only = true},
    {.text = "batch-1 prefill", .load = "static_batch", .single = true, .one_prompt = true},
    {.text = "concurrency", .load = "concurrency"},
    {.text = "static_batch", .load = "static_batch"},
    {.text = "saturated", .load = "saturated"},
    {.text = "rate", .load = "rate"},
};

void measured_set_load(struct measured *measured, const char *load_mode)
{
    measured->load_mode = load_mode;
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        if (strcasecmp(load_mode, loads[i].text) != 0) continue;
        measured->run.load = loads[i].load;
        measured->decode_only = loads[i].decode_only;
        measured->one_prompt = loads[i].one_prompt;
        if (loads[i].single) measured->run.concurrency = 1;
        return;
    }
    measured_refuse(measured, "load_mode",
                    "is none of closed-loop, static batch, max-load offline, batch-1 decode, batch-1 prefill, rate");
}

/* --- names --- */

static const struct {
    const char *field;
    size_t offset; /* of the name in struct measured */
} named[] = {
    [ALIAS_GPU] = {"gpu", ROW(gpu)},
    [ALIAS_MODEL] = {"model", ROW(model)},
    [ALIAS_ENGINE] = {"engine", RUN(engine)},
};

static enum status find_name(const struct snapshot *catalog, enum alias_kind kind, enum alias_namespace space,
                             const char *name, struct problems *problems, struct measured_names *names)
{
    const char *field = named[kind].field;
    if (kind == ALIAS_GPU) return snapshot_find_gpu(catalog, space, name, field, problems, &names->gpu);
    if (kind == ALIAS_MODEL) return snapshot_find_model(catalog, space, name, field, problems, &names->model);
    return snapshot_find_engine(catalog, space, name, field, problems, &names->engine);
}

/* By the names of measured rows, then those of InferenceX, from which most come, then by those of users, whose problems
 * tell near misses; what is several parts stays so. */
static enum status look_up(const struct snapshot *catalog, enum alias_kind kind, const char *name,
                           struct problems *problems, struct measured_names *names)
{
    static const enum alias_namespace spaces[] = {ALIAS_MEASURED, ALIAS_INFERENCEX, ALIAS_USER};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        problems->count = 0;
        status = find_name(catalog, kind, spaces[i], name, problems, names);
        if (status == STATUS_OK || status == STATUS_AMBIGUOUS_NAME) break;
    }
    return status;
}

/* Where the format begins in the name of a quantised copy, "nvidia/Llama-3.3-70B-Instruct-FP4"; NULL: in none. */
static const char *copy_format(const char *name)
{
    static const char *const marks[] = {"-fp8",  "-fp4",  "-nvfp4", "-mxfp4", "-quantized", "-awq",
                                        "-gptq", "-int8", "-int4",  "-w4a16", "-w8a8"};
    const char *first = NULL;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        const char *found = strcasestr(name, marks[i]);
        if (found && (!first || found < first)) first = found;
    }
    return first;
}

/* A quantised copy is the model that it is named after, whoever made it. */
static enum status look_up_copy(const struct snapshot *catalog, struct measured *measured, struct problems *problems,
                                struct measured_names *names)
{
    const char *format = copy_format(measured->model), *slash = strchr(measured->model, '/');
    const char *base = slash && slash < format ? slash + 1 : measured->model;
    char *name = format ? arena_strndup(problems->arena, base, (size_t)(format - base)) : NULL;
    enum status status = STATUS_UNKNOWN_MODEL;
    if (name) status = look_up(catalog, ALIAS_MODEL, name, problems, names);
    if (status == STATUS_OK && !*measured->run.weight_dtype) measured->run.weight_dtype = format;
    return status;
}

static void find_target(const struct snapshot *catalog, enum alias_kind kind, struct measured *measured,
                        struct problems *problems, struct measured_names *names)
{
    const char *name = *(const char *const *)((const char *)measured + named[kind].offset);
    if (!*name) {
        measured_refuse(measured, named[kind].field, "is not stated");
        return;
    }
    enum status status = look_up(catalog, kind, name, problems, names);
    if (status == STATUS_UNKNOWN_MODEL && look_up_copy(catalog, measured, problems, names) == STATUS_OK) return;
    if (status != STATUS_OK) status = look_up(catalog, kind, name, problems, names); /* the problem of the whole name */
    if (status != STATUS_OK) measured_refuse(measured, named[kind].field, "%s", problems->items[0].detail);
}

bool import_measured_names(const struct snapshot *catalog, struct measured *measured, struct measured_names *ret_names)
{
    struct arena arena;
    struct problems problems;
    *ret_names = (struct measured_names){.model = NULL};
    for (enum alias_kind kind = ALIAS_GPU; kind <= ALIAS_ENGINE; kind++) {
        arena_init(&arena, 0);
        problems_init(&problems, &arena);
        find_target(catalog, kind, measured, &problems, ret_names);
        arena_done(&arena);
    }
    return !measured->refused_field;
}

/* A format by the catalog's name for it; what it has none for stays as it is. */
static const char *dtype_text(const char *text)
{
    bool same = false;
    enum dtype dtype = import_dtype(text, DTYPE_UNKNOWN, &same);
    return same ? dtype_name(dtype) : text;
}

static bool has_result(const struct observation *run)
{
    return is_known(run->output_tokens_per_second) || is_known(run->total_tokens_per_second) ||
           is_known(run->prefill_tokens_per_second) || is_known(run->ttft_ms) || is_known(run->tpot_ms) ||
           is_known(run->e2e_ms);
}

/* What a row needs to be kept: the limits are those of the table gpusize.observation. */
static void check(struct measured *measured)
{
    enum { TEXT_MAX_BYTES = 2000 };
    const struct observation *run = &measured->run;
    const struct {
        const char *field, *text;
    } texts[] = {{"uid", run->uid}, {"source", run->source}, {"notes", run->notes}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strlen(texts[i].text) > TEXT_MAX_BYTES)
            measured_refuse(measured, texts[i].field, "longer than %d bytes", TEXT_MAX_BYTES);
    }
    if (!*run->uid) measured_refuse(measured, "uid", "is empty");
    if (strlen(run->trust) > 1 || !strstr("ABCD", run->trust))
        measured_refuse(measured, "trust", "is none of A, B, C, D");
    if (!is_known(measured->gpu_count)) measured_refuse(measured, "gpus_total", "is empty");
    if (!has_result(run)) measured_refuse(measured, "out_tok_s_total", "neither this nor any other result is given");
}

static void take_observation(struct importing *importing, struct measured *measured)
{
    char version[IMPORT_ID_BYTES];
    const struct snapshot *catalog = importing->source->catalog;
    struct measured_names names;
    struct observation *run = &measured->run;
    check(measured);
    bool found = !measured->refused_field && import_measured_names(catalog, measured, &names);
    if (!found || !names.engine || !names.model || !names.gpu) { /* all are, if found: for the analyzer */
        (void)import_refuse_field(importing, measured->line, measured->refused_field, measured->refused);
        return;
    }
    run->engine = names.engine->engine;
    run->model_id = names.model->id;
    run->gpu = (uint32_t)(names.gpu - catalog->gpus);
    import_slug(run->engine_version, version);
    run->engine_version = version;
    run->weight_dtype = dtype_text(run->weight_dtype);
    run->kv_dtype = dtype_text(run->kv_dtype);
    run->gpu_count = (uint32_t)measured->gpu_count;
    if (!*run->source) run->source = importing->source->source;
    importing->counts.accepted++;
    importing->status = importing->sink->observation(importing->sink->context, measured->line, run);
}

void measured_take(struct importing *importing, struct measured *measured)
{
    if (!importing->sink->measured) {
        take_observation(importing, measured);
        return;
    }
    importing->counts.accepted++;
    importing->status = importing->sink->measured(importing->sink->context, measured);
}
