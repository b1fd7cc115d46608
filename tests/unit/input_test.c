/* input_test.c owns the proof that a question is read as meant, or refused with every reason, in both forms. */
#include "support/sample_fields.h"
#include "wire/input.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct asked { /* one reading, with everything that must outlive it */
    struct arena arena;
    struct problems problems;
    struct input *input;
    struct sample sample;
    enum status status;
};

static void ask_decode(struct asked *asked)
{
    memset(&asked->sample, 0x5a, sizeof asked->sample); /* what is not written shows */
    if (asked->status == STATUS_OK)
        asked->status =
            input_decode(asked->input, &asked->arena, sample_fields, SAMPLE_FIELDS, &asked->sample, &asked->problems);
    input_done(asked->input);
}

static void ask_json_bytes(struct asked *asked, const char *body, size_t length)
{
    char *exact = malloc(length ? length : 1); /* so that reading past the end is seen */
    assert_non_null(exact);
    if (length) memcpy(exact, body, length);
    *asked = (struct asked){0};
    arena_init(&asked->arena, 0);
    problems_init(&asked->problems, &asked->arena);
    asked->status = input_from_json(&asked->arena, exact, length, &asked->problems, &asked->input);
    free(exact);
    ask_decode(asked);
}

static void ask_json(struct asked *asked, const char *body)
{
    ask_json_bytes(asked, body, strlen(body));
}

/* A query as it would be typed: "in=5&gpus=h100", without percent signs. */
static void ask_flat(struct asked *asked, const char *query)
{
    struct pair pairs[64];
    size_t count = 0;
    char *copy = strdup(query), *rest = copy;
    assert_non_null(copy);
    for (char *part; *query && (part = strsep(&rest, "&")) && count < COUNT(pairs); count++) {
        pairs[count].name = strsep(&part, "=");
        pairs[count].value = part ? part : "";
    }
    *asked = (struct asked){0};
    arena_init(&asked->arena, 0);
    problems_init(&asked->problems, &asked->arena);
    asked->status = input_from_pairs(&asked->arena, pairs, count, &asked->problems, &asked->input);
    free(copy); /* the input keeps its own texts */
    ask_decode(asked);
}

static void asked_done(struct asked *asked)
{
    arena_done(&asked->arena);
}

/* All problems in one text: "code field: detail" a line. */
static const char *problems_text(struct asked *asked)
{
    const char *text = "";
    for (size_t i = 0; i < asked->problems.count; i++) {
        const struct problem *problem = &asked->problems.items[i];
        text = arena_printf(&asked->arena, "%s%s%s %s: %s", text, i ? "\n" : "", status_code(problem->status),
                            problem->field, problem->detail);
    }
    return text;
}

static const char *echo_text(struct asked *asked)
{
    struct out out;
    out_init(&out, 0);
    input_encode(&out, NULL, sample_fields, SAMPLE_FIELDS, &asked->sample);
    assert_false(out.failed);
    const char *text = arena_strndup(&asked->arena, out.data, out.length);
    out_done(&out);
    return text;
}

struct row {
    const char *given, *expected; /* the echo of what was read, or its problems */
};

static void check_rows(const struct row *rows, size_t count, void (*ask)(struct asked *, const char *))
{
    for (size_t i = 0; i < count; i++) {
        struct asked asked;
        ask(&asked, rows[i].given);
        const char *found = asked.status == STATUS_OK ? echo_text(&asked) : problems_text(&asked);
        assert_int_equal(asked.status == STATUS_OK, asked.problems.count == 0);
        if (strcmp(found, rows[i].expected) != 0)
            fail_msg("row %zu, given %s\nexpected %s\nfound    %s", i, rows[i].given, rows[i].expected, found);
        asked_done(&asked);
    }
}

/* What follows "model" when nothing else is given, and the parts of it. */
#define REST_WORKLOAD                                                                                                  \
    "\"workload\":{\"input_tokens\":null,\"requests_per_second\":null,\"input_tokens_histogram\":null}"
#define REST_SERVING "\"serving\":{\"engine\":null,\"engine_version\":null}"
#define REST_CONSTRAINTS                                                                                               \
    "\"constraints\":{\"max_gpus\":null,\"purchase\":null,\"gpus\":null,\"inventory\":null,\"price_adjustments\":"     \
    "null}"
#define REST_TOP "\"objective\":null,\"store\":null,\"as_of\":null}"
#define REST "," REST_WORKLOAD "," REST_SERVING "," REST_CONSTRAINTS "," REST_TOP

static void test_json_model(void **state)
{
    static const struct row rows[] = {
        {"{\"model\":\"meta-llama/Llama-3.1-70B-Instruct\"}", "{\"model\":\"meta-llama/Llama-3.1-70B-Instruct\"" REST},
        {"\xEF\xBB\xBF {\"model\":\"x\"}\r\n", "{\"model\":\"x\"" REST},
        {"{\"model\":{\"name\":\"x\"}}", "{\"model\":\"x\"" REST},
        {"{\"model\":{\"parameters\":70e9}}", "{\"model\":{\"parameters\":70000000000}" REST},
        {"{\"model\":{\"parameters\":\"1.5T\"}}", "{\"model\":{\"parameters\":1500000000000}" REST},
        {"{\"model\":{\"weights_gb\":140}}", "{\"model\":{\"weights_gb\":140}" REST},
        {"{\"model\":{\"parameters\":7000000000,\"weights_gb\":null}}", "{\"model\":{\"parameters\":7000000000}" REST},
        {"{\"model\":null}", "missing_field model: required: The model."},
        {"{}", "missing_field model: required: The model."},
        {"{\"model\":{}}", "missing_field model: give the model by its name, its config, its gguf_header, its "
                           "parameters or its weights_gb"},
        {"{\"model\":5}", "wrong_type model: expected a model's name or an object, found a number"},
        {"{\"model\":\"\"}",
         "invalid_value model: \"\" is no name: use 1 to 200 letters, digits, spaces and . _ / + -"},
        {"{\"model\":\"a;rm\"}",
         "invalid_value model: \"a;rm\" is no name: use 1 to 200 letters, digits, spaces and . _ / + -"},
        {"{\"model\":\"a\\nb\"}",
         "invalid_value model: \"a\nb\" is no name: use 1 to 200 letters, digits, spaces and . _ / + -"},
        {"{\"model\":{\"parameters\":7e9,\"weights_gb\":14}}",
         "contradiction model: give the model in one way: a name, a config (with weights_bytes or safetensors_index), "
         "a gguf_header, parameters or "
         "weights_gb"},
        {"{\"model\":{\"parameters\":7e9,\"weights_bytes\":14e9}}",
         "contradiction model: give the model in one way: a name, a config (with weights_bytes or safetensors_index), "
         "a gguf_header, parameters or "
         "weights_gb"},
        {"{\"model\":{\"parameters\":-7}}",
         "out_of_range model.parameters: -7 is out of range: give 1000 to 1000000000000000 parameters"},
        {"{\"model\":{\"parameters\":\"many\"}}",
         "wrong_type model.parameters: expected a number or a text such as \"70B\""},
        {"{\"model\":{\"config\":[]}}",
         "wrong_type model.config: expected a JSON object, as of a config.json, found a list"},
        {"{\"model\":{\"weights\":14}}", "unknown_field model.weights: no such field; here there are: name, config, "
                                         "safetensors_index, gguf_header, parameters, weights_gb, "
                                         "weights_bytes"},
    };
    (void)state;
    check_rows(rows, COUNT(rows), ask_json);
}

static void test_json_values(void **state)
{
    static const struct row rows[] = {
        {"{\"model\":\"x\",\"workload\":{\"input_tokens\":1024.5,\"requests_per_second\":5,\"input_tokens_histogram\":"
         "[{\"tokens\":1024,\"weight\":3},{\"weight\":1,\"tokens\":4096}]},\"serving\":{\"engine\":\"vllm\","
         "\"engine_version\":\"0.19\"},\"constraints\":{\"max_gpus\":64.0,\"purchase\":[\"owned\",\"on_demand\"],"
         "\"gpus\":[\"h100\",\"l40s\"],\"inventory\":{\"l40s\":8,\"h100-sxm\":2},\"price_adjustments\":[{\"provider\":"
         "\"aws\",\"discount_ratio\":0.2},{\"provider\":\"gcp\",\"usd_per_hour\":0.5}]},\"objective\":\"Cost\","
         "\"store\":true,\"as_of\":\"2026-11-23\"}",
         "{\"model\":\"x\",\"workload\":{\"input_tokens\":1024.5,\"requests_per_second\":5,\"input_tokens_histogram\":"
         "[{\"tokens\":1024,\"weight\":3},{\"tokens\":4096,\"weight\":1}]},\"serving\":{\"engine\":\"vllm\","
         "\"engine_version\":\"0.19\"},\"constraints\":{\"max_gpus\":64,\"purchase\":[\"on_demand\",\"owned\"],"
         "\"gpus\":[\"h100\",\"l40s\"],\"inventory\":{\"h100-sxm\":2,\"l40s\":8},\"price_adjustments\":[{\"provider\":"
         "\"aws\",\"discount_ratio\":0.2},{\"provider\":\"gcp\",\"usd_per_hour\":0.5}]},\"objective\":\"cost\","
         "\"store\":true,\"as_of\":\"2026-11-23\"}"},
        {"{\"model\":\"x\",\"workload\":null,\"serving\":{},\"constraints\":{\"gpus\":[],\"inventory\":{},"
         "\"price_adjustments\":[],\"purchase\":\"spot\"},\"store\":false,\"as_of\":\"2026-11\"}",
         "{\"model\":\"x\"," REST_WORKLOAD "," REST_SERVING
         ",\"constraints\":{\"max_gpus\":null,\"purchase\":[\"spot\"],"
         "\"gpus\":[],\"inventory\":{},\"price_adjustments\":[]},\"objective\":null,\"store\":false,"
         "\"as_of\":\"2026-11-01\"}"},
    };
    (void)state;
    check_rows(rows, COUNT(rows), ask_json);
}

#define BAD(members) "{\"model\":\"x\"," members "}"
static void test_json_bad_values(void **state)
{
    static const struct row rows[] = {
        {BAD("\"workload\":{\"input_tokens\":\"1024\"}"),
         "wrong_type workload.input_tokens: expected a number, found a text"},
        {BAD("\"workload\":{\"input_tokens\":0}"),
         "out_of_range workload.input_tokens: 0 is out of range: give 1 to 100000000 tokens"},
        {BAD("\"workload\":{\"input_tokens\":-0.5}"),
         "out_of_range workload.input_tokens: -0.5 is out of range: give 1 to 100000000 tokens"},
        {BAD("\"workload\":{\"input_tokens\":99999999999999999999999}"),
         "out_of_range workload.input_tokens: 1e+23 is out of range: give 1 to 100000000 tokens"},
        {BAD("\"workload\":{\"input_tokens\":1e400}"),
         "out_of_range workload.input_tokens: 1e400 is beyond what a number can be"},
        {BAD("\"workload\":{\"input_tokens\":true}"),
         "wrong_type workload.input_tokens: expected a number, found true"},
        {BAD("\"workload\":7"), "wrong_type workload: expected an object of fields: {…}"},
        {BAD("\"workload\":{\"input_tokens_histogram\":[]}"),
         "invalid_value workload.input_tokens_histogram: give at least one bucket"},
        {BAD("\"workload\":{\"input_tokens_histogram\":[{\"tokens\":0},5]}"),
         "out_of_range workload.input_tokens_histogram[0].tokens: 0 is out of range: give 1 to 100000000 tokens\n"
         "missing_field workload.input_tokens_histogram[0].weight: required\n"
         "wrong_type workload.input_tokens_histogram[1]: expected an object, found a number"},
        {BAD("\"constraints\":{\"max_gpus\":1.5}"),
         "wrong_type constraints.max_gpus: expected a whole number, found 1.5"},
        {BAD("\"constraints\":{\"max_gpus\":0}"),
         "out_of_range constraints.max_gpus: 0 is out of range: give 1 to 100000 GPUs"},
        {BAD("\"constraints\":{\"purchase\":[]}"),
         "invalid_value constraints.purchase: an empty list allows nothing: give one of on_demand, spot, owned"},
        {BAD("\"constraints\":{\"purchase\":[\"spot\",\"rent\"]}"),
         "invalid_value constraints.purchase[1]: \"rent\" is none of: on_demand, spot, owned"},
        {BAD("\"constraints\":{\"gpus\":[\"h100\",7,\"\"]}"),
         "wrong_type constraints.gpus[1]: expected a text, found a number\n"
         "invalid_value constraints.gpus[2]: \"\" is no name: use 1 to 200 letters, digits, spaces and . _ / + -"},
        {BAD("\"constraints\":{\"inventory\":[\"l40s\"]}"),
         "wrong_type constraints.inventory: expected an object such as {\"l40s\": 8}, found a list"},
        {BAD("\"constraints\":{\"inventory\":{\"l40s\":0.5}}"),
         "out_of_range constraints.inventory.l40s: 0.5 is out of range: give 1 to 100000"},
        {BAD("\"constraints\":{\"price_adjustments\":[{\"provider\":\"aws\"},{\"provider\":5,\"discount_ratio\":2}]}"),
         "contradiction constraints.price_adjustments[0]: give exactly one of discount_ratio and usd_per_hour\n"
         "wrong_type constraints.price_adjustments[1].provider: expected a text, found a number\n"
         "out_of_range constraints.price_adjustments[1].discount_ratio: 2 is out of range: give 0 to 1"},
        {BAD("\"objective\":\"fast\""), "invalid_value objective: \"fast\" is none of: cost, throughput, "
                                        "cost_per_throughput"},
        {BAD("\"objective\":[\"cost\"]"), "wrong_type objective: expected a text, found a list"},
        {BAD("\"store\":1"), "wrong_type store: expected true or false, found a number"},
        {BAD("\"as_of\":20261123"), "wrong_type as_of: expected a date such as \"2026-01-31\", found a number"},
        {BAD("\"as_of\":\"2026-02-30\""),
         "invalid_value as_of: \"2026-02-30\" is no date from 1970 to 2200: write YYYY-MM-DD, YYYY-MM or YYYY"},
    };
    (void)state;
    check_rows(rows, COUNT(rows), ask_json);
}

static void test_json_names(void **state)
{
    static const struct row rows[] = {
        {BAD("\"input_tokens\":5"), "unknown_field input_tokens: no such field; did you mean workload.input_tokens?"},
        {BAD("\"rps\":5"), "unknown_field rps: no such field; did you mean workload.requests_per_second?"},
        {BAD("\"workload\":{\"rps\":5}"),
         "unknown_field workload.rps: no such field; did you mean workload.requests_per_second?"},
        {BAD("\"workload\":{\"input_token\":5}"),
         "unknown_field workload.input_token: no such field; did you mean workload.input_tokens?"},
        {BAD("\"workload\":{\"max-gpus\":5}"),
         "unknown_field workload.max-gpus: no such field; did you mean constraints.max_gpus?"},
        {BAD("\"worklaod\":{}"), "unknown_field worklaod: no such field; did you mean workload?"},
        {BAD("\"colour\":1"), "unknown_field colour: no such field; see /docs for the fields"},
        {BAD("\"\":1"), "unknown_field : no such field; see /docs for the fields"},
        {"{\"Model\":\"x\",\"workload\":{\"in\":0},\"serving\":{\"engine\":1}}",
         "unknown_field Model: no such field; did you mean model?\n"
         "unknown_field workload.in: no such field; did you mean workload.input_tokens?\n"
         "missing_field model: required: The model.\n"
         "wrong_type serving.engine: expected a text, found a number"},
        {"{\"model\":\"x\",\"model\":\"y\"}",
         "duplicate_field model: the body: the same name twice in one object (line 1, column 20)"},
        {"{\"model\":\"x\",\n\"serving\":{\"engine\":\"a\",\"engine\":\"b\"}}",
         "duplicate_field engine: the body: the same name twice in one object (line 2, column 32)"},
    };
    (void)state;
    check_rows(rows, COUNT(rows), ask_json);
}

static void test_json_malformed(void **state)
{
    static const struct row rows[] = {
        {"", "malformed_json : the body is empty: send one JSON object"},
        {" \r\n\t", "malformed_json : the body is empty: send one JSON object"},
        {"[]", "malformed_json : the body must be one JSON object: {…}"},
        {"\"x\"", "malformed_json : the body must be one JSON object: {…}"},
        {"7", "malformed_json : the body must be one JSON object: {…}"},
        {"null", "malformed_json : the body must be one JSON object: {…}"},
        {"{", "malformed_json : the body: string or '}' expected near end of file (line 1, column 1)"},
        {"{\"model\":\"x\"", "malformed_json : the body: '}' expected near end of file (line 1, column 12)"},
        {"{\"model\":\"x}", "malformed_json : the body: a text without its closing quote (line 1, column 10)"},
        {"{\"model\":\"x\"} {}", "malformed_json : the body: end of file expected near '{' (line 1, column 15)"},
        {"{\"model\":\"x\",}", "malformed_json : the body: string or '}' expected near '}' (line 1, column 14)"},
        {"{model:\"x\"}", "malformed_json : the body: string or '}' expected near 'model' (line 1, column 6)"},
        {"{'model':'x'}", "malformed_json : the body: string or '}' expected near ''' (line 1, column 2)"},
        {"{\"model\":\"\xff\"}", "malformed_json : the body: no valid UTF-8 (line 1, column 11)"},
        {"{\"model\":\"\\u0000\"}", "malformed_json : the body: \\u0000 is not allowed without JSON_ALLOW_NUL near "
                                    "'\"\\u0000\"' (line 1, column 17)"},
        {"{\"model\":\"\\ud800\"}",
         "malformed_json : the body: invalid Unicode '\\uD800' near '\"\\ud800\"' (line 1, column 17)"},
        {"{\"model\":\n\n  NaN}",
         "malformed_json : the body: NaN and Infinity are no JSON values outside config (line 3, column 3)"},
        {"{\"model\":01}", "malformed_json : the body: invalid token near '0' (line 1, column 10)"},
        {"{\"model\":0x10}", "malformed_json : the body: '}' expected near 'x' (line 1, column 11)"},
        {"model=x&rps=5", "malformed_json : the body: invalid token near 'model' (line 1, column 5)"},
    };
    (void)state;
    check_rows(rows, COUNT(rows), ask_json);
}

static void test_json_nul(void **state)
{
    static const struct {
        const char *body;
        size_t length;
    } rows[] = {{"\0", 1}, {"{\"model\":\0\"x\"}", 14}, {"{\"model\":\"x\0\"}", 14}, {"{\"model\":\"x\"}\0", 14}};
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct asked asked;
        ask_json_bytes(&asked, rows[i].body, rows[i].length);
        assert_int_equal(asked.status, STATUS_MALFORMED_JSON);
        assert_int_equal(asked.problems.count, 1);
        asked_done(&asked);
    }
}

/* `count` times `piece` between two texts. */
static char *repeated(const char *before, const char *piece, size_t count, const char *after)
{
    size_t size = strlen(before) + count * strlen(piece) + strlen(after) + 1;
    char *text = malloc(size), *at = text;
    assert_non_null(text);
    at += snprintf(at, size, "%s", before);
    for (size_t i = 0; i < count; i++, at += strlen(piece))
        memcpy(at, piece, strlen(piece));
    (void)snprintf(at, size - (size_t)(at - text), "%s", after);
    return text;
}

static void check_repeated(const char *before, const char *piece, size_t count, const char *after, const char *expected)
{
    struct asked asked;
    char *body = repeated(before, piece, count, after);
    ask_json(&asked, body);
    const char *found = asked.status == STATUS_OK ? "ok" : problems_text(&asked);
    if (strcmp(found, expected) != 0) fail_msg("%s %s… × %zu: %s", before, piece, count, found);
    asked_done(&asked);
    free(body);
}

static void test_json_limits(void **state)
{
    (void)state;
    check_repeated("", "[", 10000, "", "too_complex : the body: nested deeper than 64");
    check_repeated("{\"a\":", "{\"a\":", 10000, "", "too_complex : the body: nested deeper than 64");
    check_repeated("", "{},", 80000, "", "too_complex : the body: more than 20000 values");
    check_repeated("{\"model\":{\"config\":{\"a\":[0", ",0", 19995, "]}}}", "ok");
    check_repeated("{\"model\":{\"config\":{\"a\":[0", ",0", 19996, "]}}}",
                   "too_complex : the body: more than 20000 values");
    check_repeated("{\"model\":{\"config\":{\"a\":", "[", 61, "",
                   "malformed_json : the body: ']' expected near end of "
                   "file (line 1, column 85)");
    check_repeated("{\"model\":{\"config\":{\"a\":", "[", 62, "", "too_complex : the body: nested deeper than 64");
    check_repeated("{\"model\":\"", "x", 201, "\"}",
                   "invalid_value model: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\" is no "
                   "name: use 1 to 200 letters, digits, spaces and . _ / + -");
    check_repeated("{\"model\":\"x\",\"constraints\":{\"gpus\":[\"h\"", ",\"h\"", 999, "]}}", "ok");
    check_repeated("{\"model\":\"x\",\"constraints\":{\"gpus\":[\"h\"", ",\"h\"", 1000, "]}}",
                   "too_complex constraints.gpus: 1001 elements: give at most 1000");
    check_repeated("{\"model\":", "1", 501, "}",
                   "malformed_json : the body: a number of more than 500 digits (line 1, "
                   "column 10)");
}

/* More bad fields than are listed are counted. */
static void test_json_many_problems(void **state)
{
    struct asked asked;
    char body[4096] = "{";
    size_t length = 1;
    (void)state;
    for (int i = 0; i < 100; i++)
        length += (size_t)snprintf(body + length, sizeof body - length, "\"field%d\":1,", i);
    (void)snprintf(body + length - 1, sizeof body - length, "}");
    ask_json(&asked, body);
    assert_int_equal(asked.status, STATUS_UNKNOWN_FIELD);
    assert_int_equal(asked.problems.count, PROBLEMS_MAX);
    assert_int_equal(asked.problems.count + asked.problems.dropped, 101); /* and the model is missing */
    asked_done(&asked);
}

static void test_json_config(void **state)
{
    static const struct {
        const char *config, *canonical;
    } rows[] = {
        {"{}", "{}"},
        {"{\"b\": 1, \"a\": [true, null, \"ü\"]}", "{\"a\":[true,null,\"ü\"],\"b\":1}"},
        {"{\"x\":NaN,\"y\":[-Infinity,Infinity],\"z\":\"NaN\"}", "{\"x\":null,\"y\":[null,null],\"z\":\"NaN\"}"},
        {"{\"d\":[NaN,NaN,NaN,NaN,NaN,NaN,NaN,NaN,NaN,NaN]}",
         "{\"d\":[null,null,null,null,null,null,null,null,null,null]}"},
        {"{\"max\":1000000000000000019884624838656}", "{\"max\":1.0000000000000000e30}"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct asked asked;
        char body[512];
        (void)snprintf(body, sizeof body, "{\"model\":{\"weights_bytes\":5e9,\"config\":%s}}", rows[i].config);
        ask_json(&asked, body);
        assert_string_equal(problems_text(&asked), "");
        if (i + 1 < COUNT(rows)) assert_string_equal(asked.sample.model.config_json, rows[i].canonical);
        assert_true(asked.sample.model.weights_bytes == 5e9);
        assert_true(isnan(asked.sample.model.parameters) && isnan(asked.sample.model.weights_gb));
        asked_done(&asked);
    }
}

static void test_flat(void **state)
{
    static const struct row rows[] = {
        {"model=meta-llama/Llama-3.1-70B-Instruct", "{\"model\":\"meta-llama/Llama-3.1-70B-Instruct\"" REST},
        {"parameters=70B", "{\"model\":{\"parameters\":70000000000}" REST},
        {"weights-gb=140", "{\"model\":{\"weights_gb\":140}" REST},
        {"model=x&in=1024.5&rps=5&input-tokens-histogram=1024:3,4096:1&engine=vllm&engine_version=0.19&max-gpus=64&"
         "purchase=owned,on_demand&gpus=h100, l40s&inventory=l40s:8,h100-sxm:2&price-adjustments=aws:0.2,gcp:0.1&"
         "objective=cost&store=1&as-of=2026-11-23",
         "{\"model\":\"x\",\"workload\":{\"input_tokens\":1024.5,\"requests_per_second\":5,\"input_tokens_histogram\":"
         "[{\"tokens\":1024,\"weight\":3},{\"tokens\":4096,\"weight\":1}]},\"serving\":{\"engine\":\"vllm\","
         "\"engine_version\":\"0.19\"},\"constraints\":{\"max_gpus\":64,\"purchase\":[\"on_demand\",\"owned\"],"
         "\"gpus\":[\"h100\",\"l40s\"],\"inventory\":{\"h100-sxm\":2,\"l40s\":8},\"price_adjustments\":[{\"provider\":"
         "\"aws\",\"discount_ratio\":0.2},{\"provider\":\"gcp\",\"discount_ratio\":0.1}]},\"objective\":\"cost\","
         "\"store\":true,\"as_of\":\"2026-11-23\"}"},
        {"", "missing_field model: required: The model."},
        {"model=", "invalid_value model: empty: give a value, or leave the field out"},
        {"model", "invalid_value model: empty: give a value, or leave the field out"},
        {"model=a|b", "invalid_value model: \"a|b\" is no name: use 1 to 200 letters, digits, spaces and . _ / + -"},
        {"model=x&parameters=7B", "contradiction model: give the model in one way: a name, a config (with "
                                  "weights_bytes or safetensors_index), a gguf_header, parameters or "
                                  "weights_gb"},
        {"parameters=7B&model=x", "contradiction model: give the model in one way: a name, a config (with "
                                  "weights_bytes or safetensors_index), a gguf_header, parameters or "
                                  "weights_gb"},
        {"parameters=seven", "wrong_type model.parameters: expected a number, found \"seven\""},
        {"weights_gb=0", "out_of_range model.weights_gb: 0 is out of range: give 0.000001 to 1000000 GB"},
        {"model=x&model=y", "duplicate_field model: model is given twice"},
        {"parameters=7B&parameters=7B", "duplicate_field model: parameters is given twice"},
        {"model=x&in=1&input-tokens=1", "duplicate_field workload.input_tokens: input-tokens is given twice"},
        {"model=x&in=abc", "wrong_type workload.input_tokens: expected a number, found \"abc\""},
        {"model=x&in=0x10", "wrong_type workload.input_tokens: expected a number, found \"0x10\""},
        {"model=x&in=NaN", "wrong_type workload.input_tokens: expected a number, found \"NaN\""},
        {"model=x&in=1e400", "out_of_range workload.input_tokens: 1e400 is beyond what a number can be"},
        {"model=x&in=-1", "out_of_range workload.input_tokens: -1 is out of range: give 1 to 100000000 tokens"},
        {"model=x&max-gpus=1.5", "wrong_type constraints.max_gpus: expected a whole number, found 1.5"},
        {"model=x&gpus=h100,,l40s",
         "wrong_type constraints.gpus: expected a list without empty elements, found \"h100,,l40s\""},
        {"model=x&gpus=", "invalid_value constraints.gpus: empty: give a value, or leave the field out"},
        {"model=x&purchase=rent", "invalid_value constraints.purchase[0]: \"rent\" is none of: on_demand, spot, owned"},
        {"model=x&inventory=l40s", "wrong_type constraints.inventory: expected name:count, as in l40s:8, found "
                                   "\"l40s\""},
        {"model=x&inventory=l40s:", "wrong_type constraints.inventory: expected name:count, as in l40s:8, found "
                                    "\"l40s:\""},
        {"model=x&inventory=l40s:x", "wrong_type constraints.inventory: expected a number, found \"x\""},
        {"model=x&inventory=l40s:1,l40s:2", "duplicate_field constraints.inventory: \"l40s\" twice"},
        {"model=x&input_tokens_histogram=a:1", "wrong_type workload.input_tokens_histogram: expected a number, found "
                                               "\"a\""},
        {"model=x&price-adjustments=aws:2",
         "out_of_range constraints.price_adjustments[0].discount_ratio: 2 is out of range: give 0 to 1"},
        {"model=x&store=yes", "wrong_type store: expected true, false, 1 or 0, found \"yes\""},
        {"model=x&as_of=today",
         "invalid_value as_of: \"today\" is no date from 1970 to 2200: write YYYY-MM-DD, YYYY-MM or YYYY"},
        {"model=x&max-gpu=5&Rps=1&workload=2", "unknown_field max-gpu: no such field; did you mean max_gpus?\n"
                                               "unknown_field Rps: no such field; did you mean requests_per_second?\n"
                                               "unknown_field workload: no such field; see /docs for the fields"},
        {"model=\xff&in=1", "malformed_request model: parameter 1 is not valid UTF-8"},
        {"config={\"a\":}", "malformed_json : config: unexpected token near '}' (line 1, column 6)"},
        {"config=[]", "malformed_json : config must be one JSON object: {…}"},
    };
    (void)state;
    check_rows(rows, COUNT(rows), ask_flat);
}

static void test_flat_config(void **state)
{
    struct asked asked;
    (void)state;
    ask_flat(&asked, "config={\"b\":Infinity,\"a\":1}&weights-bytes=5e9");
    assert_string_equal(problems_text(&asked), "");
    assert_string_equal(asked.sample.model.config_json, "{\"a\":1,\"b\":null}");
    assert_true(asked.sample.model.weights_bytes == 5e9);
    const char *echo = echo_text(&asked);
    assert_non_null(strstr(echo, "{\"model\":{\"config_bytes\":16,\"config_hash\":\""));
    assert_non_null(strstr(echo, ",\"weights_bytes\":5000000000}"));
    asked_done(&asked);
}

/* What a request's echo asks for is the same request: JSON → values → JSON → values. */
static void test_echo_asks_again(void **state)
{
    struct asked first, second;
    (void)state;
    ask_flat(&first, "weights_gb=12.5&in=7&rps=0.1&gpus=a100-80gb-sxm&inventory=b:2,a:1&purchase=spot&store=false&"
                     "input_tokens_histogram=1:2&price-adjustments=aws:0.25&as_of=2026");
    const char *echo = echo_text(&first);
    ask_json(&second, echo);
    assert_string_equal(problems_text(&second), "");
    assert_string_equal(echo_text(&second), echo);
    asked_done(&first);
    asked_done(&second);
}

static long allocations_left;
static json_malloc_t parser_malloc; /* what the parser is set to outside this test */
static json_free_t parser_free;

static void *limited_malloc(size_t size)
{
    return allocations_left-- > 0 ? parser_malloc(size) : NULL;
}

/* The n-th allocation of the parser fails, for every n: out_of_memory or another problem, never a wrong answer. */
static void check_parser_memory(void (*ask)(struct asked *, const char *), const char *given)
{
    enum { MOST = 3000 };
    long needed = -1;
    for (long allowed = 0; allowed < MOST && needed < 0; allowed++) {
        struct asked asked;
        allocations_left = allowed;
        json_set_alloc_funcs(limited_malloc, parser_free);
        ask(&asked, given);
        json_set_alloc_funcs(parser_malloc, parser_free);
        if (asked.status == STATUS_OK && allocations_left >= 0) needed = allowed;
        if (asked.status != STATUS_OK) assert_int_equal(asked.status, problems_status(&asked.problems));
        if (allocations_left < 0) assert_int_not_equal(asked.status, STATUS_OK);
        asked_done(&asked);
    }
    assert_true(needed > 0);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    json_get_alloc_funcs(&parser_malloc, &parser_free);
    check_parser_memory(ask_json, "{\"model\":{\"config\":{\"a\":[1,2.5,\"x\",NaN],\"b\":{}}},\"constraints\":"
                                  "{\"inventory\":{\"l40s\":8},\"gpus\":[\"h100\"]}}");
    check_parser_memory(ask_flat, "config={\"a\":[1]}&weights_bytes=5&gpus=a,b&inventory=l40s:8&as_of=2026&rps=5&"
                                  "input_tokens_histogram=1:2,3:4&price_adjustments=aws:0.2&store=1");
}

/* The arena gives nothing, or one block too few. */
static void test_arena_limits(void **state)
{
    char *big = repeated("{\"model\":{\"config\":{\"a\":\"", "x", 100000, "\",\"b\":NaN}}}");
    (void)state;
    bool enough = false;
    for (size_t limit = 1; limit < 600000; limit += 4096) {
        struct asked asked = {0};
        arena_init(&asked.arena, limit);
        problems_init(&asked.problems, &asked.arena);
        asked.status = input_from_json(&asked.arena, big, strlen(big), &asked.problems, &asked.input);
        ask_decode(&asked);
        assert_true(asked.status == STATUS_OK || (asked.status == STATUS_OUT_OF_MEMORY && !enough));
        enough = asked.status == STATUS_OK;
        assert_true(limit > 200000 || !enough); /* two texts of 100 KB: the copy without NaN, the canonical config */
        asked_done(&asked);
    }
    assert_true(enough);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_model),      cmocka_unit_test(test_json_values),
        cmocka_unit_test(test_json_bad_values), cmocka_unit_test(test_json_names),
        cmocka_unit_test(test_json_malformed),  cmocka_unit_test(test_json_nul),
        cmocka_unit_test(test_json_limits),     cmocka_unit_test(test_json_many_problems),
        cmocka_unit_test(test_json_config),     cmocka_unit_test(test_flat),
        cmocka_unit_test(test_flat_config),     cmocka_unit_test(test_echo_asks_again),
        cmocka_unit_test(test_out_of_memory),   cmocka_unit_test(test_arena_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
