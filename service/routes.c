/* routes.c owns THE route table, and the one adapter between a request of HTTP and an operation. */
#include "routes.h"

#include "api/operation.h"
#include "api/pages.h"
#include "api/service.h"
#include "catalog/text.h"
#include "live/live.h"
#include "monitor/sample_json.h"
#include "record/record.h"
#include "store/recommendation.h"
#include "wire/encode.h"

#include <string.h>
#include <time.h>

enum {
    QUESTION_MAX_BYTES = 192 * 1024,
    ANSWER_MAX_BYTES = 8 * 1024 * 1024,
    ROWS_MAX = 100000,
    IMPORT_MAX_BYTES = 64 * 1024 * 1024,
    TRACE_MAX_BYTES = 16 * 1024 * 1024,      /* as much as the library takes in chunks */
    REPORT_BODY_MAX_BYTES = 4 * 1024 * 1024, /* of a probe, and of measured results */
};

/* What the query says about the form of the answer; the rest of it belongs to the operation. */
struct form {
    const char *format, *field, *columns, *rows, *errors, *limit, *store; /* as given; NULL = not */
    size_t rows_max;                                                      /* limit, read; 0 = all */
};

static const struct {
    const char *name;
    size_t offset;
    bool recorded; /* only for operations whose answers may be stored */
    bool tables;   /* only for those whose answers have tables of their own */
} form_parameters[] = {
    {"format", offsetof(struct form, format), false, false},   {"field", offsetof(struct form, field), false, false},
    {"columns", offsetof(struct form, columns), false, false}, {"errors", offsetof(struct form, errors), false, false},
    {"limit", offsetof(struct form, limit), false, false},     {"store", offsetof(struct form, store), true, false},
    {"rows", offsetof(struct form, rows), false, true},
};
enum { FORM_PARAMETER_COUNT = sizeof form_parameters / sizeof *form_parameters };

static const char **form_slot(struct form *form, const struct operation *operation, const char *name)
{
    for (size_t i = 0; i < FORM_PARAMETER_COUNT; i++) {
        if (form_parameters[i].recorded && !operation->recorded) continue;
        if (form_parameters[i].tables && !operation->tables) continue;
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
    char *raw; /* as they stand in the query */
    size_t raw_length;
};

static void add_pair(struct pairs *pairs, const struct query_pair *pair)
{
    pairs->items[pairs->count++] = (struct pair){pair->name, pair->value};
    if (pairs->raw_length > 0) pairs->raw[pairs->raw_length++] = '&';
    memcpy(pairs->raw + pairs->raw_length, pair->raw, pair->raw_length);
    pairs->raw_length += pair->raw_length;
}

static size_t raw_bytes(const struct request *request)
{
    size_t bytes = request->query_count + 1;
    for (size_t i = 0; i < request->query_count; i++)
        bytes += request->query[i].raw_length;
    return bytes;
}

/* Shares the query out between the form of the answer and the operation, whose own fields come first: lists have a
 * `limit` of theirs. */
static enum status split_query(struct request *request, const struct operation *operation, struct form *form,
                               struct pairs *question)
{
    question->items = ARENA_ARRAY(&request->arena, request->query_count + 1, struct pair);
    question->raw = arena_alloc(&request->arena, raw_bytes(request));
    if (!question->items || !question->raw)
        return problems_add(&request->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the query");
    for (size_t i = 0; i < request->query_count; i++) {
        const struct query_pair *pair = &request->query[i];
        const char **slot = has_field(operation, pair->name) ? NULL : form_slot(form, operation, pair->name);
        if (!slot) {
            add_pair(question, pair);
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
    only_for(problems, form->rows, "rows", FORMAT_CSV, format);
    only_for(problems, form->limit, "limit", FORMAT_CSV, format);
    if (form->errors && strcmp(form->errors, "text") != 0 && strcmp(form->errors, "problem") != 0) {
        (void)problems_add(problems, STATUS_INVALID_VALUE, "errors", "give text or problem");
    }
    if (form->limit && (!text_parse_int64(form->limit, &rows) || rows < 1 || rows > ROWS_MAX)) {
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, "limit", "give a whole number from 1 to %d", (int)ROWS_MAX);
    }
    if (form->store && strcmp(form->store, "true") != 0 && strcmp(form->store, "false") != 0) {
        (void)problems_add(problems, STATUS_INVALID_VALUE, "store", "give true or false");
    }
    form->rows_max = (size_t)rows;
    return problems_status(problems);
}

/* The body is the question; or, of a write and of an operation that takes lines, something beside it. */
static bool asks_by_body(const struct request *request, const struct operation *operation)
{
    bool lines = operation->lines && !request->body_json;
    return strcmp(request->method, "POST") == 0 && request->route->access < ROUTE_REPORT && !lines;
}

/* A question that is not the body is the query. */
static enum status read_question(struct request *request, const struct operation *operation, const struct pairs *query,
                                 struct input **ret_input)
{
    if (!asks_by_body(request, operation)) {
        return input_from_pairs(&request->arena, query->items, query->count, &request->problems, ret_input);
    }
    for (size_t i = 0; i < query->count; i++) {
        (void)problems_add(&request->problems, STATUS_UNKNOWN_FIELD, query->items[i].name,
                           "with POST the question belongs in the body, not in the query");
    }
    if (query->count) return problems_status(&request->problems);
    if (request->body_length > QUESTION_MAX_BYTES)
        return problems_add(&request->problems, STATUS_BODY_TOO_LARGE, "", "a question has at most %d bytes",
                            (int)QUESTION_MAX_BYTES);
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
    struct encode_options options = {
        .format = format,
        .field = form->field,
        .columns = form->columns,
        .limit = form->rows_max,
    };
    enum status status = encode_choose_rows(form->rows, operation->tables, call->rows ? call->rows : operation->rows,
                                            &request->problems, &options.rows);
    if (status == STATUS_OK)
        status = encode(call->out->data, call->out->length, &options, &request->problems, &encoded);
    if (status == STATUS_OK) status = fill_reply(request, &encoded, format, call->id);
    out_done(&encoded);
    return status;
}

static bool says(const char *parameter, const char *value)
{
    return parameter && strcmp(parameter, value) == 0;
}

/* Answers are recorded for whoever says so, and for callers with a key unless they say not to. */
static bool wants_record(const struct request *request, const struct form *form)
{
    return form->store ? says(form->store, "true") : request->caller.role != ROLE_NONE;
}

static const char no_database[] = "answers are stored in a database, and this service has none";

static enum status check_store(struct request *request, const struct form *form)
{
    const struct service *service = request->data;
    if (service->recorder || !says(form->store, "true")) return STATUS_OK;
    return problems_add(&request->problems, STATUS_DATABASE_REQUIRED, "store", "%s",
                        service->store ? "this service stores no answers: record_max_mib is 0" : no_database);
}

/* Hands the answer over as JSON, whatever format was asked for. */
static enum recording record_answer(const struct request *request, const struct call *call,
                                    const struct operation *operation, const struct form *form,
                                    const struct pairs *query)
{
    const struct service *service = request->data;
    bool posted = strcmp(request->method, "POST") == 0;
    if (!service->recorder || !operation->recorded || says(form->store, "false")) return RECORDING_SETTLED;
    if (!wants_record(request, form)) return RECORDING_OPEN;
    const struct record record = {
        .id = call->id,
        .operation = operation->id,
        .question_form = posted ? RECORD_JSON : RECORD_QUERY,
        .catalog_version = call->snapshot->version,
        .estimator_version = ESTIMATOR_VERSION,
        .created_by = request->caller.name,
        .asked_on = call->today,
        .question = {posted ? request->body : query->raw, posted ? request->body_length : query->raw_length},
        .answer = {call->out->data, call->out->length},
    };
    if (record_add(service->recorder, &record)) return RECORDING_SETTLED;
    return form->store ? RECORDING_FAILED : RECORDING_OPEN;
}

static date_t today(void)
{
    enum { SECONDS_PER_DAY = 86400 };
    return (date_t){(int32_t)(time(NULL) / SECONDS_PER_DAY)};
}

static int64_t now_unix_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum status run_question(struct request *request, const struct operation *operation, const struct pairs *query,
                                const struct form *form, enum format format)
{
    struct input *input = NULL;
    enum status status = read_question(request, operation, query, &input);
    if (status != STATUS_OK) return status;
    struct out answer;
    bool beside = strcmp(request->method, "GET") != 0 && !asks_by_body(request, operation);
    out_init(&answer, ANSWER_MAX_BYTES);
    const struct service *service = request->data;
    struct call call = {
        .snapshot = ((const struct live_view *)request->snapshot)->snapshot,
        .input = input,
        .today = today(),
        .now_unix_ms = now_unix_ms(),
        .arena = &request->arena,
        .problems = &request->problems,
        .out = &answer,
        .store = service->store,
        .feed = service->feed,
        .price_age_max_days = service->price_age_max_days,
        .caller = &request->caller,
        .pairs = query->items,
        .pair_count = query->count,
        .body = beside ? request->body : NULL,
        .body_length = beside ? request->body_length : 0,
        .if_match = request->if_match,
        .idempotency_key = request->idempotency_key,
        .may_wait = request->may_wait,
    };
    status = operation_run(operation, &call);
    request->defer = call.defer;
    if (status == STATUS_OK && !call.defer) status = give_answer(request, &call, operation, form, format);
    if (status == STATUS_OK && !call.defer)
        request->reply.recording = record_answer(request, &call, operation, form, query);
    if (status == STATUS_OK && call.http_status) request->reply.http_status = call.http_status;
    if (status == STATUS_OK) request->reply.etag = call.etag;
    if (request->route->access >= ROUTE_REPORT) request->reply.cache_control = "no-store";
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
    if (status == STATUS_OK) status = check_store(request, &form);
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

static enum status check_stored(struct request *request)
{
    const struct service *service = request->data;
    struct problems *problems = &request->problems;
    for (size_t i = 0; i < request->query_count; i++) {
        const char *name = request->query[i].name;
        if (strcmp(name, "errors") != 0)
            (void)problems_add(problems, STATUS_UNKNOWN_FIELD, name, "a stored answer takes errors= only");
    }
    (void)(answer_id_check(request->path_id, problems) == STATUS_OK); /* reported with the others */
    if (!service->store) (void)problems_add(problems, STATUS_DATABASE_REQUIRED, "", "%s", no_database);
    return problems_status(problems);
}

/* Not kept by the answer cache: what the store has dropped is gone. */
static enum status answer_stored(struct request *request)
{
    const struct service *service = request->data;
    struct record record;
    enum status status = check_stored(request);
    if (status == STATUS_OK)
        status =
            store_recommendation_get(service->store, request->path_id, &request->arena, &request->problems, &record);
    if (status != STATUS_OK) return status;
    request->reply = (struct reply){
        .http_status = 200,
        .content_type = format_content_type(FORMAT_JSON),
        .body = record.answer.bytes,
        .body_length = record.answer.length,
        .etag_id = request->path_id,
    };
    return STATUS_OK;
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

#define OPERATION(name, at, bits, body_bytes, by)                                                                      \
    {                                                                                                                  \
        .operation_id = #name, .path = at, .methods = bits, .access = ROUTE_READ, .body_max_bytes = body_bytes,        \
        .formats = true, .work = by, .cacheable = true, .handle = answer_operation, .context = &operation_##name       \
    }
#define QUESTION(name, at) OPERATION(name, at, ROUTE_GET | ROUTE_POST, QUESTION_MAX_BYTES, ROUTE_COMPUTES)
#define LIST(name, at) OPERATION(name, at, ROUTE_GET, 0, ROUTE_COMPUTES)
#define WRITE(name, at, method, body_bytes)                                                                            \
    {                                                                                                                  \
        .operation_id = #name, .path = at, .methods = method, .access = ROUTE_WRITE, .body_max_bytes = body_bytes,     \
        .work = ROUTE_STORES, .handle = answer_operation, .context = &operation_##name                                 \
    }
#define MONITOR(name, at)                                                                                              \
    {                                                                                                                  \
        .operation_id = #name, .path = at, .methods = ROUTE_GET, .access = ROUTE_OWN, .formats = true,                 \
        .work = ROUTE_STORES, .handle = answer_operation, .context = &operation_##name                                 \
    }
#define ENTRY(noun, at)                                                                                                \
    WRITE(noun##_create, at, ROUTE_POST, QUESTION_MAX_BYTES),                                                          \
        WRITE(noun##_update, at, ROUTE_PATCH, QUESTION_MAX_BYTES), WRITE(noun##_retire, at, ROUTE_DELETE, 0)
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
    QUESTION(training, "/v1/training"),
    {.operation_id = "batch_plan",
     .path = "/v1/batch-plan",
     .methods = ROUTE_GET | ROUTE_POST,
     .access = ROUTE_READ,
     .body_max_bytes = TRACE_MAX_BYTES,
     .media_types = "application/json, application/x-ndjson, application/jsonl",
     .formats = true,
     .work = ROUTE_COMPUTES,
     .cacheable = true,
     .handle = answer_operation,
     .context = &operation_batch_plan},
    LIST(gpus, "/v1/gpus"),
    LIST(models, "/v1/models"),
    LIST(engines, "/v1/engines"),
    LIST(offers, "/v1/offers"),
    OPERATION(offers_history, "/v1/offers/history", ROUTE_GET, 0, ROUTE_STORES),
    {.operation_id = "recommendation",
     .path = "/v1/recommendations/{id}",
     .methods = ROUTE_GET,
     .access = ROUTE_READ,
     .work = ROUTE_STORES,
     .handle = answer_stored},
    {.operation_id = "calibrations",
     .path = "/v1/calibrations",
     .methods = ROUTE_GET,
     .access = ROUTE_OWN,
     .formats = true,
     .work = ROUTE_COMPUTES,
     .cacheable = true,
     .handle = answer_operation,
     .context = &operation_calibrations},
    WRITE(calibration_create, "/v1/calibrations", ROUTE_POST, REPORT_BODY_MAX_BYTES),
    WRITE(calibration_retire, "/v1/calibrations", ROUTE_DELETE, 0),
    WRITE(observations_add, "/v1/observations", ROUTE_POST, REPORT_BODY_MAX_BYTES),
    ENTRY(gpu, "/v1/gpus"),
    ENTRY(model, "/v1/models"),
    ENTRY(offer, "/v1/offers"),
    {.operation_id = "offers_import",
     .path = "/v1/offers/import",
     .methods = ROUTE_POST,
     .access = ROUTE_WRITE,
     .body_max_bytes = IMPORT_MAX_BYTES,
     .media_types = "text/csv, text/plain, application/json, application/zip, application/octet-stream",
     .work = ROUTE_STORES,
     .handle = answer_operation,
     .context = &operation_offers_import},
    {.operation_id = "monitor_report",
     .path = "/v1/monitor/samples",
     .methods = ROUTE_POST,
     .access = ROUTE_REPORT,
     .body_max_bytes = SAMPLES_MAX_BYTES,
     .work = ROUTE_STORES,
     .handle = answer_operation,
     .context = &operation_monitor_report},
    MONITOR(monitor_gpus, "/v1/monitor/gpus"),
    MONITOR(monitor_alerts, "/v1/monitor/alerts"),
    MONITOR(monitor_statistics, "/v1/monitor/statistics"),
    MONITOR(monitor_history, "/v1/monitor/history"),
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
