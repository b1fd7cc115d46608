/* alloc_test.c owns the proof that running out of memory is survived wherever it happens: each question is asked again
 * and again while the first, the second, … allocation fails, until none does. Every try must either say
 * STATUS_OUT_OF_MEMORY or give the very answer that it gives with memory to spare, and must keep nothing. */
#include "alloc.h"
#include "api/operation.h"
#include "catalog/load.h"
#include "hf/hf_config.h"
#include "hf/hf_weights.h"
#include "record/record.h"
#include "wire/compare.h"
#include "wire/encode.h"
#include "wire/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char config[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":4096,"
    "\"intermediate_size\":14336,\"num_hidden_layers\":32,\"num_attention_heads\":32,\"num_key_value_heads\":8,"
    "\"vocab_size\":128256,\"max_position_embeddings\":131072,\"tie_word_embeddings\":false,"
    "\"torch_dtype\":\"bfloat16\"}";

struct question {
    const char *name;
    const char *operation; /* NULL: it is no operation, but `run` */
    const char *body;
    enum status (*run)(struct arena *arena, struct problems *problems, struct out *answer);
};
static enum status load_catalog(struct arena *arena, struct problems *problems, struct out *answer);
static enum status parse_config(struct arena *arena, struct problems *problems, struct out *answer);
static enum status parse_gguf(struct arena *arena, struct problems *problems, struct out *answer);
static enum status pack_and_unpack(struct arena *arena, struct problems *problems, struct out *answer);
static enum status compare_two(struct arena *arena, struct problems *problems, struct out *answer);
static enum status read_trace(struct arena *arena, struct problems *problems, struct out *answer);

static const struct question questions[] = {
    {.name = "catalog_load", .run = load_catalog},
    {.name = "hf_config_parse", .run = parse_config},
    {.name = "hf_gguf_header, hf_gguf_parse", .run = parse_gguf},
    {.name = "record", .run = pack_and_unpack},
    {.name = "compare_answers", .run = compare_two},
    {.name = "recommend",
     .operation = "recommend",
     .body =
         "{\"model\":\"meta-llama/Llama-3.1-70B-Instruct\",\"workload\":{\"input_tokens\":1024,\"output_tokens\":256,"
         "\"requests_per_second\":5},\"constraints\":{\"budget_usd\":100000,\"regions\":[\"us\"],"
         "\"inventory\":{\"l40s\":8},\"purchase\":[\"on_demand\",\"owned\"]},\"explain_gpu\":\"a100-80gb-sxm\"}"},
    {.name = "recommend, nothing fits",
     .operation = "recommend",
     .body = "{\"model\":{\"weights_gb\":140},\"estimator\":\"article\",\"workload\":{\"throughput_tokens_per_second\":"
             "100},"
             "\"constraints\":{\"budget_usd\":100000,\"duration_hours\":8760}}"},
    {.name = "recommend, bad fields",
     .operation = "recommend",
     .body =
         "{\"model\":\"lama\",\"objectiv\":\"cost\",\"workload\":{\"input_tokens\":-1,\"output_tokens\":\"many\"}}"},
    {.name = "memory", .operation = "memory", .body = "{\"model\":{\"parameters\":7e9},\"gpu\":\"h100-sxm\"}"},
    {.name = "memory, tensors",
     .operation = "memory",
     .body = "{\"model\":{\"config\":{\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":1,"
             "\"num_attention_heads\":4,\"vocab_size\":100},\"safetensors_index\":{\"model.norm.weight\":{\"dtype\":"
             "\"BF16\",\"shape\":[90000]}}},\"gpu\":\"h100-sxm\",\"serving\":{\"max_loras\":2,\"draft_model\":"
             "\"eagle\",\"draft_tokens\":2},\"mig_profile\":\"9g.9gb\"}"},
    {.name = "throughput",
     .operation = "throughput",
     .body =
         "{\"model\":\"meta-llama/Llama-3.1-8B-Instruct\",\"gpu\":\"h100-sxm\",\"workload\":{\"load\":\"saturated\"}}"},
    {.name = "cost",
     .operation = "cost",
     .body = "{\"model\":{\"weights_gb\":140},\"workload\":{\"throughput_tokens_per_second\":100}}"},
    {.name = "batch_plan",
     .operation = "batch_plan",
     .body = "{\"model\":{\"parameters\":7e9},\"gpu\":\"h100-sxm\",\"assignments\":true,\"workload\":{\"requests\":["
             "{\"id\":\"a\",\"input_tokens\":1024},{\"sequence_length\":3000,\"output_tokens\":500},{\"input_tokens\":"
             "9000}]}}"},
    {.name = "batch_plan, the article's",
     .operation = "batch_plan",
     .body =
         "{\"model\":{\"weights_gb\":14},\"gpu\":\"h100-sxm\",\"estimator\":\"article\",\"workload\":{\"requests\":["
         "{\"sequence_length\":2048}]}}"},
    {.name = "trace_read", .run = read_trace},
    {.name = "gpus", .operation = "gpus", .body = "{}"},
    {.name = "models", .operation = "models", .body = "{}"},
};

/* What one try gave: its status and, if all went well, its answer in every format. */
struct outcome {
    enum status status;
    struct out answer;
};

static struct snapshot *bundled;

static enum status load_catalog(struct arena *arena, struct problems *problems, struct out *answer)
{
    (void)arena;
    struct snapshot *snapshot = NULL;
    enum status status = catalog_load(catalog_bundled(), problems, &snapshot);
    if (status == STATUS_OK) {
        out_text(answer, NULL, snapshot->version);
    }
    snapshot_free(snapshot);
    return status;
}

static enum status parse_config(struct arena *arena, struct problems *problems, struct out *answer)
{
    struct model model;
    enum status status = hf_config_parse(config, sizeof config - 1, "own", arena, problems, "model.config", &model);
    if (status == STATUS_OK) {
        out_number(answer, NULL, model.parameters);
    }
    return status;
}

/* Keys: general.architecture "llama", llama.block_count 1, llama.embedding_length 256; token_embd.weight of 256 x 4. */
static enum status parse_gguf(struct arena *arena, struct problems *problems, struct out *answer)
{
    static const unsigned char file[] = "GGUF\3\0\0\0\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0"
                                        "\24\0\0\0\0\0\0\0general.architecture\10\0\0\0\5\0\0\0\0\0\0\0llama"
                                        "\21\0\0\0\0\0\0\0llama.block_count\4\0\0\0\1\0\0\0"
                                        "\26\0\0\0\0\0\0\0llama.embedding_length\4\0\0\0\0\1\0\0"
                                        "\21\0\0\0\0\0\0\0token_embd.weight\2\0\0\0\0\1\0\0\0\0\0\0\4\0\0\0\0\0\0\0"
                                        "\14\0\0\0\0\0\0\0\0\0\0";
    const char *json = NULL;
    struct model model;
    enum status status = hf_gguf_header(file, sizeof file, arena, problems, "weights", &json);
    if (status == STATUS_OK) status = hf_gguf_parse(json, strlen(json), arena, problems, "model.gguf_header", &model);
    if (status == STATUS_OK) out_number(answer, NULL, model.parameters);
    return status;
}

static enum status pack_and_unpack(struct arena *arena, struct problems *problems, struct out *answer)
{
    struct record_text packed, text;
    if (!record_deflate((struct record_text){config, sizeof config - 1}, &packed)) return STATUS_OUT_OF_MEMORY;
    enum status status = record_inflate(packed, 2 * sizeof config, arena, problems, &text);
    free((char *)(uintptr_t)packed.bytes);
    if (status == STATUS_OK) {
        out_raw(answer, text.bytes, text.length);
    }
    return status;
}

static enum status compare_two(struct arena *arena, struct problems *problems, struct out *answer)
{
    (void)arena;
    static const char other[] = "{\"architectures\":[\"A\",{\"b\":[1]}],\"vocab_size\":0.5,\"new\":null}";
    size_t count = 0;
    return compare_answers((struct compare_text){config, sizeof config - 1},
                           (struct compare_text){other, sizeof other - 1}, 20, problems, answer, &count);
}

/* Formats are written one after the other; the JSON answer itself comes last. */
static enum status encode_all(const struct operation *operation, const struct out *json, struct problems *problems,
                              struct out *answer)
{
    enum status status = STATUS_OK;
    for (int format = FORMAT_CSV; format <= FORMAT_XML && status == STATUS_OK; format++) {
        const struct encode_options options = {.format = (enum format)format, .rows = operation->rows};
        status = encode(json->data, json->length, &options, problems, answer);
    }
    out_raw(answer, json->data, json->length);
    return status;
}

static enum status read_trace(struct arena *arena, struct problems *problems, struct out *answer)
{
    static const char text[] =
        "{\"id\":\"a\",\"input_tokens\":1024}\n{\"sequence_length\":77}\n{\"input_tokens\":5.0}\n";
    struct request_list requests;
    enum status status = trace_read(arena, text, sizeof text - 1, problems, &requests);
    if (status != STATUS_OK) return status;
    out_array(answer, NULL);
    for (size_t i = 0; i < requests.count; i++)
        out_number(answer, NULL, requests.items[i].input_tokens);
    out_array_end(answer);
    return status;
}

static enum status ask(const struct question *question, struct arena *arena, struct problems *problems,
                       struct out *answer)
{
    const struct operation *operation = operation_find(question->operation);
    assert_non_null(operation);
    struct input *input = NULL;
    struct out json;
    out_init(&json, 1 << 24);
    enum status status = input_from_json(arena, question->body, strlen(question->body), problems, &input);
    if (status == STATUS_OK) {
        struct call call = {
            .snapshot = bundled, .input = input, .arena = arena, .problems = problems, .out = &json, .id = ""};
        status = operation_run(operation, &call);
    }
    if (status == STATUS_OK) {
        status = encode_all(operation, &json, problems, answer);
    }
    input_done(input);
    out_done(&json);
    return status;
}

static struct outcome try_question(const struct question *question, size_t failing_allocation)
{
    struct outcome outcome;
    struct arena arena;
    struct problems problems;
    out_init(&outcome.answer, 1 << 24);
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    alloc_fail_at(failing_allocation);
    if (question->operation) {
        outcome.status = ask(question, &arena, &problems, &outcome.answer);
    } else {
        outcome.status = question->run(&arena, &problems, &outcome.answer);
    }
    if (outcome.answer.failed) {
        outcome.status = STATUS_OUT_OF_MEMORY;
    }
    arena_done(&arena);
    return outcome;
}

static bool same_answer(const struct outcome *a, const struct outcome *b)
{
    return a->status == b->status && a->answer.length == b->answer.length &&
           (a->answer.length == 0 || memcmp(a->answer.data, b->answer.data, a->answer.length) == 0);
}

static void survive(void **state)
{
    const struct question *question = *state;
    struct outcome expected = try_question(question, 0);
    bool failed = true;
    size_t tries = 0;
    /* Every allocation at first, then about one in two hundred of their number: long answers make thousands. */
    for (size_t n = 1; failed; n += 1 + n / 200, tries++) {
        long live_before = alloc_live_count();
        struct outcome outcome = try_question(question, n);
        failed = alloc_has_failed();
        alloc_fail_at(0);
        if (outcome.status != STATUS_OUT_OF_MEMORY || !failed) {
            if (!same_answer(&outcome, &expected)) {
                fail_msg("allocation %zu failed and the answer changed: status %s instead of %s", n,
                         status_code(outcome.status), status_code(expected.status));
            }
        }
        out_done(&outcome.answer);
        if (alloc_live_count() != live_before) {
            fail_msg("allocation %zu failed and %ld allocations were never freed", n, alloc_live_count() - live_before);
        }
    }
    print_message("%s: %s, survived %zu failures\n", question->name, status_code(expected.status), tries - 1);
    out_done(&expected.answer);
}

static int load_bundled(void **state)
{
    (void)state;
    struct arena arena;
    struct problems problems;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = catalog_load(catalog_bundled(), &problems, &bundled);
    arena_done(&arena);
    return status == STATUS_OK ? 0 : -1;
}

static int free_bundled(void **state)
{
    (void)state;
    snapshot_free(bundled);
    return 0;
}

int main(void)
{
    enum { QUESTION_COUNT = sizeof questions / sizeof questions[0] };
    struct CMUnitTest tests[QUESTION_COUNT];
    for (size_t i = 0; i < QUESTION_COUNT; i++) {
        tests[i] = (struct CMUnitTest){questions[i].name, survive, NULL, NULL, (void *)(uintptr_t)&questions[i]};
    }
    return cmocka_run_group_tests(tests, load_bundled, free_bundled);
}
