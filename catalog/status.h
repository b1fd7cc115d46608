/* status.h owns the vocabulary of failure: one enum for every function that can fail, and the list of what
 * is wrong with an input, filled by the lowest layer that knows and never overwritten above. */
#pragma once
#include "catalog/arena.h"

#include <stdbool.h>
#include <stddef.h>

enum status {
#define STATUS(symbol, http, code, retryable, hint) STATUS_##symbol,
#include "catalog/status.def"
#undef STATUS
    STATUS_COUNT
};

#define MUST_CHECK __attribute__((warn_unused_result))

unsigned status_http(enum status status);
const char *status_code(enum status status); /* stable, snake_case */
const char *status_hint(enum status status);
bool status_retryable(enum status status);

struct problem {
    enum status status;
    const char *field;  /* dotted path in the request, "" for the whole */
    const char *detail; /* one sentence that says what is wrong and what would be right */
};

enum { PROBLEMS_MAX = 32 };
struct problems {
    struct arena *arena; /* borrowed; holds the texts */
    struct problem items[PROBLEMS_MAX];
    size_t count;
    size_t dropped; /* found beyond PROBLEMS_MAX */
};

void problems_init(struct problems *problems, struct arena *arena);

/* Records a problem and returns its status, so that a caller can `return problems_add(…)`. */
enum status problems_add(struct problems *problems, enum status status, const char *field, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The status of the whole: STATUS_OK if there is none, else the first with the lowest HTTP status. */
enum status problems_status(const struct problems *problems) MUST_CHECK;
