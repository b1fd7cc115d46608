/* operation.h owns what an operation is: one question, asked by HTTP or by command line, answered in JSON. */
#pragma once
#include "catalog/snapshot.h"
#include "wire/input.h"
#include "wire/out.h"

struct store;

struct call {
    const struct snapshot *snapshot; /* borrowed for the call */
    const struct input *input;       /* borrowed; empty for an operation without fields */
    date_t today;                    /* the day that `as_of` means by default; from the clock of whoever calls */
    struct arena *arena;
    struct problems *problems;
    struct out *out;     /* the answer: one JSON object */
    struct store *store; /* NULL: no database */
    bool may_wait;       /* this thread may ask the store */
    bool defer;          /* set by an operation that has to ask it and may not: asked again on a thread that may */
    char id[33];         /* set by the operation when the answer is deterministic: 32 hex digits; else "" */
};

struct operation {
    const char *id;      /* operationId of openapi.yaml: "recommend" */
    const char *command; /* subcommand of the command line; NULL = none */
    const char *summary; /* one sentence */
    const struct field *fields;
    size_t field_count;
    bool computes;               /* long enough for the worker pool */
    bool stores;                 /* always asks the store; one that does for some questions sets call->defer */
    const char *rows;            /* see wire/encode.h */
    const char *const *examples; /* NULL-terminated command lines that --help shows */
    enum status (*run)(struct call *call);
};

extern const struct operation operation_recommend, operation_memory, operation_throughput, operation_cost;
extern const struct operation operation_gpus, operation_models, operation_engines, operation_offers;
extern const struct operation operation_offers_history;

/* All operations, NULL-terminated: the one table that routes, command line, help and documentation read. */
extern const struct operation *const operations[];
const struct operation *operation_find(const char *id);

/* Decodes nothing itself: checks, runs, and leaves either an answer in call->out or problems. */
enum status operation_run(const struct operation *operation, struct call *call) MUST_CHECK;
