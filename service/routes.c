/* routes.c owns THE route table, and the one adapter between a request of HTTP and an operation. */
#include "routes.h"

#include "api/operation.h"
#include "api/pages.h"
#include "catalog/text.h"
#include "live/live.h"
#include "wire/encode.h"

#include <string.h>
#include <time.h>

enum { QUESTION_MAX_BYTES = 192 * 1024, ANSWER_MAX_BYTES = 8 * 1024 * 1024, ROWS_MAX = 100000 };

/* What the query says about the form of the answer; the rest of it belongs to the operation. */
struct form {
    const char *format, *field, *columns, *errors, *limit; /* as given; NULL = not */
    size_t rows_max;                                       /* limit, read; 0 = all */
};

static const struct {
    const char *name;
    size_t offset;
} form_parameters[] = {
    {"format", offsetof(struct form, format)},   {"field", offsetof(struct form, field)},
    {"columns", offsetof(struct form, columns)}, {"errors", offsetof(struct form, errors)},
    {"limit", offsetof(struct form, limit)},
};
enum { FORM_PARAMETER_COUNT = sizeof form_parameters / sizeof *form_parameters };

static const char **form_slot(struct form *form, const char *name)
{
    for (size_t i = 0; i < FORM_PARAMETER_COUNT; i++) {
        if (strcmp(form_parameters[i].name, name) == 0) return (void *)((char *)form + form_parameters[i].offset);
    }
    return NULL;
}

static bool has_field(const struct operation *operation, const char *name)
{
    for (size_t i = 0; i < operation->field_count; i++) {
        if (strcmp(operation->fields[i].name, name) == 0) return true;
    }
    return false;
}

struct pairs {
    struct pair *items;
    size_t count;
};

/* Shares the query out between the form of the answer and the operation, whose own fields come first: lists have a
 * `limit` of theirs. */
static enum status split_query(struct request *request, const struct operation *operation, struct form *form,
                               struct pairs *question)
{
    question->items = ARENA_ARRAY(&request->arena, request->query_count + 1, struct pair);
    if (!question->items) return problems_add(&request->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the query");
    for (size_t i = 0; i < request->query_count; i++) {
        const struct query_pair *pair = &request->query[i];
        const char **slot = has_field(operation, pair->name) ? NULL : form_slot(form, pair->name);
        if (!slot) {
            question->items[question->count++] = (struct pair){pair->name, pair->value};
        } else if (*slot) {
            (void)problems_add(&request->problems, STATUS_DUPLICATE_FIELD, pair->name, "given twice");
        } else {
            *slot = pair->value;
        }
    }
    return problems_status(&request->problems);
}

static enum status choose_format(struct request *request, const char *parameter, enum format *ret_format)
{
    enum format by_suffix = FORMAT_JSON, by_parameter = FORMAT_JSON;
    if (request->format && !format_parse(request->format, &by_suffix)) {
        return problems_add(&request->problems, STATUS_NOT_ACCEPTABLE, "format", "there is no suffix .%s",
                            request->format);
    }
    if (parameter && !format_parse(parameter, &by_parameter)) {
        return problems_add(&request->problems, STATUS_NOT_ACCEPTABLE, "format", "there is no format \"%s\"",
                            parameter);
    }
    if (request->format && parameter && by_suffix != by_parameter) {
        return problems_add(&request->problems, STATUS_CONTRADICTORY_FORMAT, "format",
                            "the path says .%s and format= says %s", format_name(by_suffix), format_name(by_parameter));
    }
    *ret_format = request->format ? by_suffix : by_parameter;
    return STATUS_OK;
}

static void only_for(struct problems *problems, const char *value, const char *name, enum format wanted,
                     enum format format)
{
    if (!value || format == wanted) return;
    (void)problems_add(problems, STATUS_CONTRADICTION, name, "%s= belongs to %s, and this is %s", name,
                       format_name(wanted), format_name(format));
}

static enum status check_form(struct problems *problems, struct form *form, enum format format)
{
    int64_t rows = 0;
    if (format == FORMAT_TXT && !form->field) {
        (void)problems_add(problems, STATUS_MISSING_FIELD, "field",
                           "txt answers one value: say which, as in field=recommended.gpu_count");
    }
    only_for(problems, form->field, "field", FORMAT_TXT, format);
    only_for(problems, form->columns, "columns", FORMAT_CSV, format);
    only_for(problems, form->limit, "limit", FORMAT_CSV, format);
    if (form->errors && strcmp(form->errors, "text") != 0 && strcmp(form->errors, "problem") != 0) {
        (void)problems_add(problems, STATUS_INVALID_VALUE, "errors", "give text or problem");
    }
    if (form->limit && (!text_parse_int64(form->limit, &rows) || rows < 1 || rows > ROWS_MAX)) {
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, "limit", "give a whole number from 1 to %d", (int)ROWS_MAX);
    }
    form->rows_max = (size_t)rows;
    return problems_status(problems);
}

static enum status read_question(struct request *request, const struct pairs *query, struct input **ret_input)
{
    if (strcmp(request->method, "POST") != 0) {
        return input_from_pairs(&request->arena, query->items, query->count, &request->problems, ret_input);
    }
    for (size_t i = 0; i < query->count; i++) {
        (void)problems_add(&request->problems, STATUS_UNKNOWN_FIELD, query->items[i].name,
                           "with POST the question belongs in the body, not in the query");
    }
    if (query->count) return problems_status(&request->problems);
    return input_from_json(&request->arena, request->body, request->body_length, &request->problems, ret_input);
}

static enum status fill_reply(struct request *request, const struct out *body, enum format format, const char *id)
{
    char *copy = body->failed ? NULL : arena_strndup(&request->arena, body->data, body->length);
    char *etag = *id ? arena_strdup(&request->arena, id) : NULL;
    if (!copy || (*id && !etag)) {
        return problems_add(&request->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the answer");
    }
    request->reply = (struct reply){
        .http_status = 200,
        .content_type = format_content_type(format),
        .body = copy,
        .body_length = body->length,
        .etag_id = etag,
    };
    return STATUS_OK;
}

static enum status give_answer(struct request *request, const struct call *call, const struct operation *operation,
                               const struct form *form, enum format format)
{
    if (format == FORMAT_JSON) return fill_reply(request, call->out, format, call->id);
    struct out encoded;
    out_init(&encoded, ANSWER_MAX_BYTES);
    const struct encode_options options = {
        .format = format,
        .rows = operation->rows,
        .field = form->field,
        .columns = form->columns,
        .limit = form->rows_max,
    };
    enum status status = encode(call->out->data, call->out->length, &options, &request->problems, &encoded);
    if (status == STATUS_OK) status = fill_reply(request, &encoded, format, call->id);
    out_done(&encoded);
    return status;
}

static date_t today(void)
{
    enum { SECONDS_PER_DAY = 86400 };
    return (date_t){(int32_t)(time(NULL) / SECONDS_PER_DAY)};
}

static enum status run_question(struct request *request, const struct operation *operation, const struct pairs *query,
                                const struct form *form, enum format format)
{
    struct input *input = NULL;
    enum status status = read_question(request, query, &input);
    if (status != STATUS_OK) return status;
    struct out answer;
    out_init(&answer, ANSWER_MAX_BYTES);
    struct call call = {
        .snapshot = ((const struct live_view *)request->snapshot)->snapshot,
        .input = input,
        .today = today(),
        .arena = &request->arena,
        .problems = &request->problems,
        .out = &answer,
    };
    status = operation_run(operation, &call);
    if (status == STATUS_OK) status = give_answer(request, &call, operation, form, format);
    out_done(&answer);
    input_done(input);
    return status;
}

/* Kept out of the answers to questions: why. Who runs the service asks /readyz. */
static enum status refuse_without_catalog(struct request *request)
{
    const struct live_view *view = request->snapshot;
    if (view->snapshot) return STATUS_OK;
    return problems_add(&request->problems, STATUS_DATABASE_AWAY, "", "no catalog has been loaded yet");
}

static enum status answer_operation(struct request *request)
{
    const struct operation *operation = request->route->context;
    struct form form = {0};
    struct pairs question = {0};
    enum format format = FORMAT_JSON;
    enum status status = refuse_without_catalog(request);
    if (status == STATUS_OK) status = split_query(request, operation, &form, &question);
    if (status == STATUS_OK) status = choose_format(request, form.format, &format);
    if (status == STATUS_OK) status = check_form(&request->problems, &form, format);
    return status == STATUS_OK ? run_question(request, operation, &question, &form, format) : status;
}

static bool wants_text(const struct request *request)
{
    for (size_t i = 0; i < request->query_count; i++) {
        if (strcmp(request->query[i].name, "errors") == 0) return strcmp(request->query[i].value, "text") == 0;
    }
    return false;
}

void routes_fail(struct request *request, enum status status)
{
    static const char no_memory[] = "{\"type\":\"about:blank\",\"title\":\"out_of_memory\",\"status\":503,"
                                    "\"detail\":\"try again later\",\"errors\":[]}";
    bool text = wants_text(request);
    struct out body;
    out_init(&body, ANSWER_MAX_BYTES);
    if (request->problems.count == 0) (void)problems_add(&request->problems, status, "", "%s", status_hint(status));
    if (text)
        encode_problems_text(&request->problems, &body);
    else
        encode_problems(&request->problems, request->path, request->request_id, &body);
    const char *copy = body.failed ? NULL : arena_strndup(&request->arena, body.data, body.length);
    request->reply = (struct reply){
        .http_status = copy && text ? 200 : status_http(copy ? status : STATUS_OUT_OF_MEMORY),
        .content_type = copy && text ? format_content_type(FORMAT_TXT) : "application/problem+json",
        .body = copy ? copy : no_memory,
        .body_length = copy ? body.length : sizeof no_memory - 1,
        .cache_control = "no-store",
    };
    out_done(&body);
}

static enum status answer_livez(struct request *request)
{
    static const char body[] = "{\"status\":\"live\",\"version\":\"" GPUSIZE_VERSION "\"}";
    request->reply = (struct reply){
        .http_status = 200,
        .content_type = format_content_type(FORMAT_JSON),
        .body = body,
        .body_length = sizeof body - 1,
        .cache_control = "no-store",
    };
    return STATUS_OK;
}

/* "2026-11-23T19:27:00Z" */
static void put_time(struct out *out, const char *key, int64_t unix_s)
{
    char text[32];
    struct tm parts;
    time_t seconds = (time_t)unix_s;
    bool known = gmtime_r(&seconds, &parts) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) > 0;
    out_text(out, key, known ? text : NULL);
}

static void put_health(struct out *out, const struct live_health *health)
{
    out_integer(out, "snapshot_age_seconds", health->age_s);
    if (!health->degraded) return;
    put_time(out, "since", health->since_unix_s);
    out_text(out, "reason", health->reason);
}

/* Ready while any catalog is loaded, however old: the body says how old. */
static enum status answer_readyz(struct request *request)
{
    struct live_health health;
    const struct live_view *view = request->snapshot;
    const struct snapshot *snapshot = view->snapshot;
    live_health(view->live, &health);
    if (!snapshot)
        return problems_add(&request->problems, STATUS_DATABASE_AWAY, "", "no catalog has been loaded yet: %s",
                            health.reason);
    struct out body;
    out_init(&body, ANSWER_MAX_BYTES);
    out_object(&body, NULL);
    out_text(&body, "status", health.degraded ? "degraded" : "ready");
    out_text(&body, "version", GPUSIZE_VERSION);
    out_text(&body, "catalog_version", snapshot->version);
    out_date(&body, "as_of", snapshot->as_of);
    out_integer(&body, "age_days", today().days - snapshot->as_of.days);
    out_integer(&body, "gpu_count", (int64_t)snapshot->gpu_count);
    out_integer(&body, "model_count", (int64_t)snapshot->model_count);
    out_integer(&body, "offer_count", (int64_t)snapshot->offer_count);
    if (health.sourced) put_health(&body, &health);
    out_object_end(&body);
    enum status status = fill_reply(request, &body, FORMAT_JSON, "");
    if (status == STATUS_OK) request->reply.cache_control = "no-store";
    out_done(&body);
    return status;
}

struct page_info {
    const char *file, *content_type;
};

/* The page loads its own style sheet and nothing else. */
#define PAGE_CSP "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static enum status answer_page(struct request *request)
{
    const struct page_info *info = request->route->context;
    for (const struct embedded_file *file = api_pages; file->name; file++) {
        if (strcmp(file->name, info->file) != 0) continue;
        request->reply = (struct reply){
            .http_status = 200,
            .content_type = info->content_type,
            .body = file->begin,
            .body_length = (size_t)(file->end - file->begin),
            .cache_control = "public, max-age=300",
            .csp = PAGE_CSP,
        };
        return STATUS_OK;
    }
    return problems_add(&request->problems, STATUS_INTERNAL, "", "%s is not built in", info->file);
}

static const struct page_info docs_page = {"docs.html", "text/html; charset=utf-8"};
static const struct page_info docs_style = {"docs.css", "text/css; charset=utf-8"};
static const struct page_info contract_yaml = {"openapi.yaml", "application/yaml; charset=utf-8"};
static const struct page_info contract_json = {"openapi.json", "application/json"};

#define OPERATION(name, at, bits, body_bytes)                                                                          \
    {                                                                                                                  \
        .operation_id = #name, .path = at, .methods = bits, .body_max_bytes = body_bytes, .formats = true,             \
        .computes = true, .cacheable = true, .handle = answer_operation, .context = &operation_##name                  \
    }
#define QUESTION(name, at) OPERATION(name, at, ROUTE_GET | ROUTE_POST, QUESTION_MAX_BYTES)
#define LIST(name, at) OPERATION(name, at, ROUTE_GET, 0)
#define PAGE(name, at, page)                                                                                           \
    {                                                                                                                  \
        .operation_id = name, .path = at, .methods = ROUTE_GET, .cacheable = true, .handle = answer_page,              \
        .context = &page                                                                                               \
    }

const struct route routes[] = {
    QUESTION(recommend, "/v1/recommend"),
    QUESTION(recommend, "/recommend"), /* for ever */
    QUESTION(memory, "/v1/memory"),
    QUESTION(throughput, "/v1/throughput"),
    QUESTION(cost, "/v1/cost"),
    LIST(gpus, "/v1/gpus"),
    LIST(models, "/v1/models"),
    LIST(engines, "/v1/engines"),
    LIST(offers, "/v1/offers"),
    {.operation_id = "livez", .path = "/livez", .methods = ROUTE_GET, .handle = answer_livez},
    {.operation_id = "readyz", .path = "/readyz", .methods = ROUTE_GET, .handle = answer_readyz},
    {.operation_id = "metrics", .path = "/metrics", .methods = ROUTE_GET, .handle = server_metrics_handle},
    PAGE("contract_yaml", "/openapi.yaml", contract_yaml),
    PAGE("contract_json", "/openapi.json", contract_json),
    PAGE("docs", "/docs", docs_page),
    PAGE("docs_style", "/docs.css", docs_style),
    PAGE("home", "/", docs_page),
    {0},
};
