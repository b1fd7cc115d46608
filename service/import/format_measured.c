/* format_measured.c owns measured serving results: a row for each run, in the layout of docs/prices.md. */
#include "catalog/name.h"
#include "catalog/text.h"
#include "import/formats.h"

#include <string.h>

static const struct import_header headers[] = {
    {"uid", COL_UID, true},
    {"source", COL_SOURCE, true},
    {"engine", COL_ENGINE, true},
    {"engine_version", COL_ENGINE_VERSION, false},
    {"date", COL_AS_OF, false},
    {"model", COL_MODEL, true},
    {"precision_weights", COL_WEIGHT_DTYPE, false},
    {"precision_kv", COL_KV_DTYPE, false},
    {"gpu", COL_GPU, true},
    {"gpus_total", COL_GPU_COUNT, true},
    {"tp", COL_TENSOR_PARALLEL, false},
    {"pp", COL_PIPELINE_PARALLEL, false},
    {"ep", COL_EXPERT_PARALLEL, false},
    {"isl", COL_INPUT, false},
    {"osl", COL_OUTPUT, false},
    {"concurrency", COL_CONCURRENCY, false},
    {"load_mode", COL_LOAD, true},
    {"out_tok_s_total", COL_OUTPUT_RATE, true},
    {"total_tok_s_total", COL_TOTAL_RATE, false},
    {"prefill_tok_s", COL_PREFILL_RATE, false},
    {"ttft_ms", COL_TTFT, false},
    {"tpot_ms", COL_TPOT, false},
    {"e2e_s", COL_E2E, false},
    {"trust", COL_TRUST, false},
    {"notes", COL_NOTES, false},
};

/* Numbers that may be missing: the limits are those of the table gpusize.observation. */
static const struct {
    enum import_column column;
    size_t offset;
    double scale, low, high;
    bool whole;
} numbers[] = {
    {COL_TENSOR_PARALLEL, offsetof(struct observation, tensor_parallel), 1, 1, 4096, true},
    {COL_PIPELINE_PARALLEL, offsetof(struct observation, pipeline_parallel), 1, 1, 4096, true},
    {COL_EXPERT_PARALLEL, offsetof(struct observation, expert_parallel), 1, 1, 4096, true},
    {COL_INPUT, offsetof(struct observation, input_tokens), 1, 0, 1e8, false},
    {COL_OUTPUT, offsetof(struct observation, output_tokens), 1, 0, 1e8, false},
    {COL_CONCURRENCY, offsetof(struct observation, concurrency), 1, 0.001, 1e9, false},
    {COL_OUTPUT_RATE, offsetof(struct observation, output_tokens_per_second), 1, 1e-6, 1e12, false},
    {COL_TOTAL_RATE, offsetof(struct observation, total_tokens_per_second), 1, 1e-6, 1e12, false},
    {COL_PREFILL_RATE, offsetof(struct observation, prefill_tokens_per_second), 1, 1e-6, 1e12, false},
    {COL_TTFT, offsetof(struct observation, ttft_ms), 1, 1e-6, 1e9, false},
    {COL_TPOT, offsetof(struct observation, tpot_ms), 1, 1e-6, 1e9, false},
    {COL_E2E, offsetof(struct observation, e2e_ms), 1000, 1e-6, 1e12, false}, /* seconds */
};

/* How requests came. `batch`: of one request. */
static const struct {
    const char *text, *load;
    bool single;
} loads[] = {
    {"closed-loop", "concurrency", false},     {"static batch", "static_batch", false},
    {"max-load offline", "saturated", false},  {"batch-1 decode", "static_batch", true},
    {"batch-1 prefill", "static_batch", true},
};

/* Also "-" and, of a load without a limit, "max" give no number; "~150" is about as many. */
static const char *number_text(const struct importing *importing, enum import_column column)
{
    const char *text = import_cell(importing, column);
    if (strcmp(text, "-") == 0 || strcmp(text, "max") == 0) return "";
    return text + (*text == '~');
}

static bool read_numbers(struct importing *importing, struct observation *observation)
{
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char shown[NAME_SHOWN_BYTES];
        const char *text = number_text(importing, numbers[i].column);
        double value = UNKNOWN;
        bool read = !*text || text_parse_double(text, &value);
        value *= numbers[i].scale;
        if (!read || (*text && !(value >= numbers[i].low && value <= numbers[i].high)) ||
            (*text && numbers[i].whole && value != (double)(int64_t)value))
            return import_refuse(importing, importing->csv.line, numbers[i].column, "\"%s\" is no such number",
                                 name_shown(text, shown));
        *(double *)((char *)observation + numbers[i].offset) = value;
    }
    return true;
}

/* The one target of a name among the measured rows' names and the ids; false with the reason told. */
static bool find_target(struct importing *importing, enum alias_kind kind, enum import_column column,
                        uint32_t *ret_target)
{
    char shown[NAME_SHOWN_BYTES];
    const struct snapshot *catalog = importing->source->catalog;
    const char *name = import_cell(importing, column);
    size_t found = 0;
    for (enum alias_namespace space = ALIAS_MEASURED; found == 0; space = ALIAS_USER) {
        for (size_t i = 0; i < catalog->alias_count; i++) {
            const struct alias *alias = &catalog->aliases[i];
            if (alias->kind != kind || alias->space != space || name_compare(alias->name, name) != 0) continue;
            *ret_target = alias->target;
            found++;
        }
        if (space == ALIAS_USER) break;
    }
    if (found == 1) return true;
    return import_refuse(importing, importing->csv.line, column,
                         found ? "\"%s\" may be several of the catalog" : "\"%s\" is none of the catalog",
                         name_shown(name, shown));
}

static bool read_names(struct importing *importing, struct observation *observation)
{
    const struct snapshot *catalog = importing->source->catalog;
    uint32_t model = 0, profile = 0;
    const struct gpu *gpu = import_find_gpu(importing, importing->csv.line, ALIAS_MEASURED,
                                            import_cell(importing, COL_GPU), "", "", UNKNOWN);
    if (!gpu || !find_target(importing, ALIAS_MODEL, COL_MODEL, &model) ||
        !find_target(importing, ALIAS_ENGINE, COL_ENGINE, &profile))
        return false;
    observation->gpu = (uint32_t)(gpu - catalog->gpus);
    observation->model_id = catalog->models[model].id;
    observation->engine = catalog->profiles[profile].engine;
    return true;
}

static bool read_load(struct importing *importing, struct observation *observation)
{
    const char *text = import_cell(importing, COL_LOAD);
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        if (strcmp(text, loads[i].text) != 0) continue;
        observation->load = loads[i].load;
        if (loads[i].single) observation->concurrency = 1;
        return true;
    }
    return import_refuse(importing, importing->csv.line, COL_LOAD,
                         "is none of closed-loop, static batch, max-load offline, batch-1 decode, batch-1 prefill");
}

/* A format by the catalog's name for it; what it has none for stays as it is. */
static const char *read_dtype(const struct importing *importing, enum import_column column)
{
    static const struct {
        const char *text, *dtype;
    } names[] = {{"f16", "fp16"}, {"F16", "fp16"}, {"f16 gguf", "fp16"}, {"fp8_block", "fp8"}};
    const char *text = import_cell(importing, column);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].text, text) == 0) return names[i].dtype;
    }
    return text;
}

static bool read_texts(struct importing *importing, char version[IMPORT_ID_BYTES], struct observation *observation)
{
    static const char trusts[] = "ABCD";
    import_slug(import_cell(importing, COL_ENGINE_VERSION), version);
    observation->engine_version = version;
    observation->weight_dtype = read_dtype(importing, COL_WEIGHT_DTYPE);
    observation->kv_dtype = read_dtype(importing, COL_KV_DTYPE);
    observation->trust = import_cell(importing, COL_TRUST);
    observation->as_of = importing->as_of; /* a revision instead of a day tells none */
    (void)import_day_of_time(import_cell(importing, COL_AS_OF), &observation->as_of);
    if (!import_text(importing, COL_UID, &observation->uid)) return false;
    if (!*observation->uid) return import_refuse(importing, importing->csv.line, COL_UID, "is empty");
    if (strlen(observation->trust) > 1 || !strstr(trusts, observation->trust))
        return import_refuse(importing, importing->csv.line, COL_TRUST, "is none of A, B, C, D");
    if (!import_text(importing, COL_SOURCE, &observation->source) ||
        !import_text(importing, COL_NOTES, &observation->notes))
        return false;
    if (!*observation->source) observation->source = importing->source->source;
    return true;
}

static bool has_result(struct importing *importing, const struct observation *observation)
{
    if (is_known(observation->output_tokens_per_second) || is_known(observation->total_tokens_per_second) ||
        is_known(observation->prefill_tokens_per_second) || is_known(observation->ttft_ms) ||
        is_known(observation->tpot_ms) || is_known(observation->e2e_ms))
        return true;
    return import_refuse(importing, importing->csv.line, COL_OUTPUT_RATE, "neither this nor any other result is given");
}

static void row(struct importing *importing)
{
    enum { GPUS_MAX = 100000 };
    struct observation observation = {.uid = ""};
    char version[IMPORT_ID_BYTES];
    double gpus = UNKNOWN;
    if (!import_number(importing, COL_GPU_COUNT, &gpus)) return;
    if (!(gpus >= 1 && gpus <= GPUS_MAX && gpus == (double)(uint32_t)gpus)) {
        (void)import_refuse(importing, importing->csv.line, COL_GPU_COUNT, "is no number from 1 to %d", GPUS_MAX);
        return;
    }
    observation.gpu_count = (uint32_t)gpus;
    if (!read_numbers(importing, &observation) || !read_names(importing, &observation) ||
        !read_load(importing, &observation) || !read_texts(importing, version, &observation) ||
        !has_result(importing, &observation))
        return;
    importing->counts.accepted++;
    importing->status = importing->sink->observation(importing->sink->context, importing->csv.line, &observation);
}

const struct format import_measured = {
    .headers = headers, .header_count = sizeof headers / sizeof *headers, .row = row};
