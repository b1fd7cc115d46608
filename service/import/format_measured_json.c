/* format_measured_json.c owns measured rows in the JSON of benchmark tools: vllm bench serve, GuideLLM, llama-bench. */
#include "catalog/text.h"
#include "import/measured.h"
#include "wire/json_read.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TEXT_BYTES = 512 };

/* One row on its way, and the room for its texts. */
struct reading {
    const json_t *report; /* what the item is part of; NULL: it stands alone */
    const json_t *item;
    struct measured measured;
    char model[TEXT_BYTES], gpu[TEXT_BYTES], uid[TEXT_BYTES], engine_version[TEXT_BYTES];
};

/* --- members --- */

/* A member by its path: "metrics.request_latency.successful.mean". */
static const json_t *find(const json_t *value, const char *path)
{
    while (value && *path) {
        size_t length = strcspn(path, ".");
        value = json_object_getn(value, path, length);
        path += length + (path[length] == '.');
    }
    return value;
}

static const char *find_text(const json_t *value, const char *path)
{
    const char *text = json_string_value(find(value, path));
    return text ? text : "";
}

static double find_number(const json_t *value, const char *path)
{
    const json_t *number = find(value, path);
    return json_is_number(number) ? json_number_value(number) : UNKNOWN;
}

static void set_value(struct reading *reading, enum import_column column, const char *name, double value)
{
    char text[NUMBER_TEXT_BYTES];
    if (!is_known(value)) return;
    (void)text_format_double(value, text);
    measured_set_number(&reading->measured, column, name, text); /* which shows a wrong one as it shows CSV's */
}

/* Where a figure stands; the first of a column that is there counts. */
struct member {
    const char *path;
    enum import_column column;
    double scale;
};

static void set_members(struct reading *reading, const struct member *members, size_t count)
{
    bool set[IMPORT_COLUMNS] = {false};
    for (size_t i = 0; i < count; i++) {
        double value = find_number(reading->item, members[i].path) * members[i].scale;
        if (!is_known(value) || set[members[i].column]) continue;
        set_value(reading, members[i].column, members[i].path, value);
        set[members[i].column] = true;
    }
}

static const char *first_text(const json_t *value, const char *const paths[])
{
    for (; *paths; paths++) {
        if (*find_text(value, *paths)) return find_text(value, *paths);
    }
    return "";
}

/* --- vllm bench serve --- */

static bool is_vllm(const json_t *item)
{
    return json_is_string(find(item, "model_id")) && find(item, "num_prompts");
}

/* What --metadata NAME=VALUE put beside the results, by the names of the columns of CSV. */
static void take_metadata(struct reading *reading)
{
    const struct {
        const char *name, **text;
    } texts[] = {
        {"gpu", &reading->measured.gpu},
        {"engine", &reading->measured.run.engine},
        {"engine_version", &reading->measured.run.engine_version},
        {"precision_weights", &reading->measured.run.weight_dtype},
        {"precision_kv", &reading->measured.run.kv_dtype},
        {"source", &reading->measured.run.source},
        {"notes", &reading->measured.run.notes},
    };
    static const struct {
        const char *name;
        enum import_column column;
    } numbers[] = {{"gpus_total", COL_GPU_COUNT},
                   {"tp", COL_TENSOR_PARALLEL},
                   {"pp", COL_PIPELINE_PARALLEL},
                   {"ep", COL_EXPERT_PARALLEL}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (*find_text(reading->item, texts[i].name)) *texts[i].text = find_text(reading->item, texts[i].name);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        measured_set_number(&reading->measured, numbers[i].column, numbers[i].name,
                            find_text(reading->item, numbers[i].name));
}

/* Requests that a rate and a limit both held back are counted to the limit if it was reached: by Little's law. */
static void set_vllm_load(struct reading *reading)
{
    const double reached_ratio = 0.95;
    struct measured *measured = &reading->measured;
    double limit = find_number(reading->item, "max_concurrency"), rate = find_number(reading->item, "request_rate");
    double burstiness = find_number(reading->item, "burstiness");
    double per_s = find_number(reading->item, "request_throughput");
    double e2e_ms = measured->run.e2e_ms;
    if (!is_known(e2e_ms)) e2e_ms = measured->run.ttft_ms + (measured->run.output_tokens - 1) * measured->run.tpot_ms;
    bool at_limit = is_known(limit) && !(is_known(rate) && per_s * e2e_ms / 1e3 < reached_ratio * limit);
    measured_set_load(measured, at_limit ? "concurrency" : is_known(rate) ? "rate" : "saturated");
    if (at_limit)
        set_value(reading, COL_CONCURRENCY, "max_concurrency", limit);
    else
        set_value(reading, COL_REQUEST_RATE, "request_rate", rate);
    if (burstiness > 0) measured->arrival_cv2 = 1 / burstiness; /* gamma distribution of that shape */
    measured->sent_at_once = !is_known(limit) && !is_known(rate);
}

static void read_vllm(struct reading *reading)
{
    static const struct member members[] = {
        {"output_throughput", COL_OUTPUT_RATE, 1},
        {"total_token_throughput", COL_TOTAL_RATE, 1},
        {"mean_ttft_ms", COL_TTFT, 1},
        {"median_ttft_ms", COL_TTFT, 1},
        {"mean_tpot_ms", COL_TPOT, 1},
        {"median_tpot_ms", COL_TPOT, 1},
        {"mean_e2el_ms", COL_E2E, 1e-3},
        {"median_e2el_ms", COL_E2E, 1e-3},
    };
    struct measured *measured = &reading->measured;
    double completed = find_number(reading->item, "completed");
    if (!is_known(completed)) completed = find_number(reading->item, "num_prompts");
    const char *backend = find_text(reading->item, "backend");
    measured->model = find_text(reading->item, "model_id");
    if (strncmp(backend, "openai", strlen("openai")) != 0) measured->run.engine = backend; /* else any server's */
    measured->run.uid = find_text(reading->item, "date");
    set_members(reading, members, sizeof members / sizeof *members);
    set_value(reading, COL_INPUT, "total_input_tokens", find_number(reading->item, "total_input_tokens") / completed);
    set_value(reading, COL_OUTPUT, "total_output_tokens",
              find_number(reading->item, "total_output_tokens") / completed);
    take_metadata(reading);
    set_vllm_load(reading);
    if (!(completed > 0)) measured_refuse(measured, "completed", "not one request succeeded");
}

/* --- GuideLLM --- */

static bool is_guidellm(const json_t *item)
{
    return json_is_object(find(item, "metrics"));
}

/* Where a report has them has moved twice: the oldest layout comes last. */
static const char *const strategy_paths[] = {"config.strategy", "scheduler.strategy", "args.strategy"};
static const char *const model_paths[] = {"config.backend.model", "benchmarker.backend.model", "worker.backend_model",
                                          NULL};

static void set_guidellm_load(struct reading *reading)
{
    static const struct {
        const char *type, *load;
        double concurrency; /* UNKNOWN: as it says */
        double arrival_cv2;
    } strategies[] = {
        {"synchronous", "concurrency", 1, 1},    {"concurrent", "concurrency", UNKNOWN, 1},
        {"throughput", "saturated", UNKNOWN, 1}, {"constant", "rate", UNKNOWN, 0},
        {"poisson", "rate", UNKNOWN, 1},
    };
    const json_t *strategy = NULL;
    for (size_t i = 0; i < sizeof strategy_paths / sizeof *strategy_paths && !strategy; i++)
        strategy = find(reading->item, strategy_paths[i]);
    for (size_t i = 0; i < sizeof strategies / sizeof *strategies; i++) {
        if (strcmp(find_text(strategy, "type_"), strategies[i].type) != 0) continue;
        measured_set_load(&reading->measured, strategies[i].load);
        set_value(reading, COL_CONCURRENCY, "strategy.streams",
                  is_known(strategies[i].concurrency) ? strategies[i].concurrency : find_number(strategy, "streams"));
        set_value(reading, COL_REQUEST_RATE, "strategy.rate", find_number(strategy, "rate"));
        reading->measured.arrival_cv2 = strategies[i].arrival_cv2;
        reading->measured.sent_at_once = strcmp(strategies[i].load, "saturated") == 0;
        return;
    }
    measured_refuse(&reading->measured, "strategy.type_",
                    "is none of synchronous, concurrent, throughput, constant, poisson");
}

/* Latencies are of the requests that succeeded, rates of all that the server did. Its inter-token latency leaves the
 * first token out, its time per output token does not. */
static void read_guidellm(struct reading *reading)
{
    static const struct member members[] = {
        {"metrics.prompt_token_count.successful.mean", COL_INPUT, 1},
        {"metrics.output_token_count.successful.mean", COL_OUTPUT, 1},
        {"metrics.time_to_first_token_ms.successful.mean", COL_TTFT, 1},
        {"metrics.inter_token_latency_ms.successful.mean", COL_TPOT, 1},
        {"metrics.request_latency.successful.mean", COL_E2E, 1},
        {"metrics.output_tokens_per_second.total.mean", COL_OUTPUT_RATE, 1},
        {"metrics.output_tokens_per_second.successful.mean", COL_OUTPUT_RATE, 1},
        {"metrics.tokens_per_second.total.mean", COL_TOTAL_RATE, 1},
        {"metrics.tokens_per_second.successful.mean", COL_TOTAL_RATE, 1},
    };
    static const char *const report_models[] = {"args.model", "args.backend.model", "args.spec.backend.model",
                                                "args.backend_kwargs.model", NULL};
    static const char *const ids[] = {"config.id_", "id_", NULL};
    struct measured *measured = &reading->measured;
    measured->run.uid = first_text(reading->item, ids);
    measured->model = first_text(reading->item, model_paths);
    if (!*measured->model) measured->model = first_text(reading->report, report_models);
    set_members(reading, members, sizeof members / sizeof *members);
    set_guidellm_load(reading);
}

/* --- llama-bench --- */

static bool is_llama_bench(const json_t *item)
{
    return json_is_number(find(item, "avg_ts")) && json_is_number(find(item, "n_prompt"));
}

/* Whether a part of a file's name is a format ("Q4_K_M", "F16") or the number of a part ("00001", "of"). */
static bool is_suffix(const char *part)
{
    static const char *const starts[] = {"q2", "q3", "q4", "q5", "q6", "q8", "iq", "f16", "f32", "bf16", "mxfp4", "of"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        if (strncasecmp(part, starts[i], strlen(starts[i])) == 0) return true;
    }
    return strlen(part) == 5 && strspn(part, "0123456789") == 5;
}

/* "models/Qwen2.5-7B-Instruct-Q4_K_M.gguf" is Qwen2.5-7B-Instruct. */
static void set_file_model(struct reading *reading)
{
    static const char ending[] = ".gguf";
    const char *path = find_text(reading->item, "model_filename"), *slash = strrchr(path, '/');
    (void)snprintf(reading->model, sizeof reading->model, "%.*s", TEXT_BYTES - 1, slash ? slash + 1 : path);
    size_t length = strlen(reading->model);
    if (length > sizeof ending - 1 && strcasecmp(reading->model + length - (sizeof ending - 1), ending) == 0)
        reading->model[length - (sizeof ending - 1)] = '\0';
    for (char *part = strrchr(reading->model, '-'); part && is_suffix(part + 1); part = strrchr(reading->model, '-'))
        *part = '\0';
    for (char *part = strrchr(reading->model, '.'); part && is_suffix(part + 1); part = strrchr(reading->model, '.'))
        *part = '\0';
    reading->measured.model = reading->model;
}

/* "NVIDIA A40, NVIDIA A40" is two of them. */
static void set_gpus(struct reading *reading)
{
    const char *info = find_text(reading->item, "gpu_info");
    size_t count = 1;
    for (const char *comma = strchr(info, ','); comma; comma = strchr(comma + 1, ','))
        count++;
    (void)snprintf(reading->gpu, sizeof reading->gpu, "%.*s", (int)strcspn(info, ","), info);
    reading->measured.gpu = reading->gpu;
    set_value(reading, COL_GPU_COUNT, "gpu_info", (double)count);
    reading->measured.gpu_layers = find_number(reading->item, "n_gpu_layers");
}

/* Tests read a prompt, write tokens, or do both one after the other. */
static void set_test(struct reading *reading)
{
    double prompt = find_number(reading->item, "n_prompt"), output = find_number(reading->item, "n_gen");
    double depth = find_number(reading->item, "n_depth"), rate = find_number(reading->item, "avg_ts");
    struct measured *measured = &reading->measured;
    bool reads = prompt > 0, writes = output > 0;
    measured_set_load(measured, reads && writes ? "static batch" : reads ? "batch-1 prefill" : "batch-1 decode");
    measured->run.concurrency = 1;
    set_value(reading, COL_INPUT, "n_prompt", reads ? prompt : fmax(depth, 0));
    set_value(reading, COL_OUTPUT, "n_gen", output);
    set_value(reading, reads && writes ? COL_TOTAL_RATE : reads ? COL_PREFILL_RATE : COL_OUTPUT_RATE, "avg_ts", rate);
    if (!reads && !writes) measured_refuse(measured, "n_prompt", "neither this nor n_gen is above 0");
    if (reads && depth > 0) measured_refuse(measured, "n_depth", "a prompt behind others is not predicted");
}

static void read_llama_bench(struct reading *reading)
{
    struct observation *run = &reading->measured.run;
    (void)snprintf(reading->uid, sizeof reading->uid, "%s pp%.0f tg%.0f", find_text(reading->item, "test_time"),
                   find_number(reading->item, "n_prompt"), find_number(reading->item, "n_gen"));
    (void)snprintf(reading->engine_version, sizeof reading->engine_version, "b%.0f",
                   find_number(reading->item, "build_number"));
    run->uid = reading->uid;
    run->engine = "llama.cpp";
    run->engine_version = reading->engine_version;
    run->weight_dtype = find_text(reading->item, "model_type");
    run->kv_dtype = find_text(reading->item, "type_k");
    (void)import_day_of_time(find_text(reading->item, "test_time"), &run->as_of);
    set_file_model(reading);
    set_gpus(reading);
    set_test(reading);
}

/* --- files --- */

static const struct kind {
    bool (*is)(const json_t *item);
    void (*read)(struct reading *reading);
} kinds[] = {{is_vllm, read_vllm}, {is_llama_bench, read_llama_bench}, {is_guidellm, read_guidellm}};

static void take_item(struct importing *importing, const json_t *report, const json_t *item)
{
    struct reading reading = {.report = report, .item = item};
    importing->counts.lines++;
    importing->csv.line = (uint32_t)importing->counts.lines;
    reading.measured = import_measured_empty(importing->csv.line);
    reading.measured.run.as_of = importing->as_of;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!kinds[i].is(item)) continue;
        kinds[i].read(&reading);
        measured_take(importing, &reading.measured);
        return;
    }
    (void)import_refuse_field(importing, importing->csv.line, "item",
                              "is no result of vllm bench serve, of GuideLLM or of llama-bench");
}

static void take_document(struct importing *importing, const json_t *document)
{
    const json_t *benchmarks = json_object_get(document, "benchmarks");
    const json_t *items = benchmarks ? benchmarks : document;
    if (!json_is_array(items)) {
        take_item(importing, NULL, document);
        return;
    }
    for (size_t i = 0; i < json_array_size(items) && importing->status == STATUS_OK; i++)
        take_item(importing, benchmarks ? document : NULL, json_array_get(items, i));
}

/* Python writes figures that it has not as NaN or Infinity, which are no JSON: they become what is no number. */
static void blank_nonnumbers(char *text, size_t length)
{
    static const struct {
        const char *word, *blank;
    } words[] = {{"NaN", "[] "}, {"Infinity", "null    "}, {"-Infinity", "null     "}};
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        for (size_t w = 0; w < sizeof words / sizeof *words && !quoted && i < length; w++) {
            size_t size = strlen(words[w].word);
            if (length - i >= size && memcmp(text + i, words[w].word, size) == 0)
                memcpy(text + i, words[w].blank, size);
        }
    }
}

enum status measured_read_json(struct importing *importing, char *text, size_t length)
{
    size_t taken = 0;
    blank_nonnumbers(text, length);
    while (importing->status == STATUS_OK) {
        while (taken < length && isspace((unsigned char)text[taken]))
            taken++;
        if (taken == length) break;
        json_error_t error;
        json_t *document = json_parse(text + taken, length - taken, JSON_DISABLE_EOF_CHECK, &error);
        if (!document && json_lacked_memory(&error))
            return problems_add(importing->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the file");
        if (!document)
            return problems_add(importing->problems, STATUS_INVALID_VALUE, "file",
                                "it is no JSON: %s (line %d, after %zu "
                                "rows)",
                                error.text, error.line, (size_t)importing->counts.lines);
        take_document(importing, document);
        json_decref(document);
        taken += (size_t)error.position;
    }
    return importing->status;
}
