/* format_measured.c owns measured rows in columns: serving results in the layout of docs/prices.md, and start-up logs
 * of vLLM in that of docs/evaluate.md. */
#include "catalog/name.h"
#include "catalog/text.h"
#include "import/measured.h"

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
    {"request_rate", COL_REQUEST_RATE, false},
    {"trust", COL_TRUST, false},
    {"notes", COL_NOTES, false},
};

/* The header of the start-up logs; the first column tells the layout. */
static const struct import_header log_headers[] = {
    {"log_file", COL_UID, true},
    {"status", COL_STATUS, true},
    {"model", COL_MODEL, false},
    {"gpu", COL_GPU, false},
    {"tp", COL_TENSOR_PARALLEL, false},
    {"pp", COL_PIPELINE_PARALLEL, false},
    {"dp", COL_DATA_PARALLEL, false},
    {"max_model_len", COL_MAX_MODEL_LEN, true},
    {"dtype", COL_WEIGHT_DTYPE, false},
    {"quantization", COL_QUANTIZATION, false},
    {"kv_cache_dtype", COL_KV_DTYPE, false},
    {"gpu_memory_utilization", COL_UTILIZATION, true},
    {"weight_memory_gib", COL_WEIGHT_MEMORY, true},
    {"activation_memory_gib", COL_ACTIVATION_MEMORY, true},
    {"kv_cache_memory_gib", COL_KV_CACHE_MEMORY, true},
    {"kv_cache_tokens", COL_KV_CACHE_TOKENS, true},
    {"max_concurrency", COL_MAX_CONCURRENCY, true},
};

static void read_numbers(const struct importing *importing, struct measured *measured)
{
    for (enum import_column column = 0; column < IMPORT_COLUMNS; column++) {
        const struct import_header *header = importing->named[column];
        if (header && measured_is_number(column))
            measured_set_number(measured, column, header->name, import_cell(importing, column));
    }
}

/* A date that is a revision tells no day. */
static struct measured read_texts(const struct importing *importing)
{
    struct measured measured = import_measured_empty(importing->csv.line);
    struct observation *run = &measured.run;
    run->uid = import_cell(importing, COL_UID);
    run->source = import_cell(importing, COL_SOURCE);
    run->engine = import_cell(importing, COL_ENGINE);
    run->engine_version = import_cell(importing, COL_ENGINE_VERSION);
    run->weight_dtype = import_cell(importing, COL_WEIGHT_DTYPE);
    run->kv_dtype = import_cell(importing, COL_KV_DTYPE);
    run->trust = import_cell(importing, COL_TRUST);
    run->notes = import_cell(importing, COL_NOTES);
    run->as_of = importing->as_of;
    (void)import_day_of_time(import_cell(importing, COL_AS_OF), &run->as_of);
    measured.model = import_cell(importing, COL_MODEL);
    measured.gpu = import_cell(importing, COL_GPU);
    return measured;
}

static void row(struct importing *importing)
{
    struct measured measured = read_texts(importing);
    read_numbers(importing, &measured);
    measured_set_load(&measured, import_cell(importing, COL_LOAD));
    measured_take(importing, &measured);
}

/* vLLM's log tells the format of the quantised weights, or that the model's file does, which then is its name's. */
static const char *log_weights(const struct importing *importing)
{
    const char *method = import_cell(importing, COL_QUANTIZATION);
    if (!*method || strcmp(method, "None") == 0) return import_cell(importing, COL_WEIGHT_DTYPE);
    return strcmp(method, "compressed-tensors") == 0 ? import_cell(importing, COL_MODEL) : method;
}

static void log_row(struct importing *importing)
{
    struct measured measured = read_texts(importing);
    measured.run.engine = "vllm";
    measured.run.weight_dtype = log_weights(importing);
    measured.started = import_cell(importing, COL_STATUS);
    read_numbers(importing, &measured);
    measured_take(importing, &measured);
}

static const struct format logs = {
    .headers = log_headers, .header_count = sizeof log_headers / sizeof *log_headers, .row = log_row};
const struct format import_measured = {.headers = headers,
                                       .header_count = sizeof headers / sizeof *headers,
                                       .row = row,
                                       .json_file = measured_read_json,
                                       .other = &logs};
