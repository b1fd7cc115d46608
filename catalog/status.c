/* status.c owns the table behind enum status and the list of problems. */
#include "catalog/status.h"

static const struct {
    unsigned http;
    const char *code;
    bool retryable;
    const char *hint;
} statuses[STATUS_COUNT] = {
#define STATUS(symbol, http, code, retryable, hint) [STATUS_##symbol] = {http, code, retryable, hint},
#include "catalog/status.def"
#undef STATUS
};

unsigned status_http(enum status status)
{
    return statuses[status].http;
}

const char *status_code(enum status status)
{
    return statuses[status].code;
}

const char *status_hint(enum status status)
{
    return statuses[status].hint;
}

bool status_retryable(enum status status)
{
    return statuses[status].retryable;
}

void problems_init(struct problems *problems, struct arena *arena)
{
    problems->arena = arena;
    problems->count = problems->dropped = 0;
}

enum status problems_add(struct problems *problems, enum status status, const char *field, const char *format, ...)
{
    if (problems->count == PROBLEMS_MAX) {
        problems->dropped++;
        return status;
    }
    va_list args;
    va_start(args, format);
    const char *detail = arena_vprintf(problems->arena, format, args);
    va_end(args);
    const char *name = arena_strdup(problems->arena, field);
    problems->items[problems->count++] = (struct problem){
        .status = status,
        .field = name ? name : "",
        .detail = detail ? detail : status_hint(status),
    };
    return status;
}

enum status problems_status(const struct problems *problems)
{
    enum status worst = STATUS_OK;
    for (size_t i = 0; i < problems->count; i++) {
        enum status status = problems->items[i].status;
        if (worst == STATUS_OK || status_http(status) < status_http(worst)) worst = status;
    }
    return worst;
}
