/* operation.h owns what an operation is: one question, asked by HTTP or by command line, answered in JSON. */
#pragma once
#include "catalog/access.h"
#include "catalog/snapshot.h"
#include "wire/input.h"
#include "wire/out.h"

struct feed;
struct store;

/* Part of every answer's id: a change of any formula or coefficient rule changes it. */
#define ESTIMATOR_VERSION "3"

enum { ANSWER_ID_DIGITS = 32 };

struct call {
    const struct operation *operation; /* that runs */
    const struct snapshot *snapshot;   /* borrowed for the call */
    const struct input *input;         /* borrowed; empty for an operation without fields */
    const struct pair *pairs;          /* of a write: its parameters as they were given */
    size_t pair_count;
    const char *body; /* borrowed: of an operation that takes bytes beside its fields; NULL: there are none */
    size_t body_length;
    date_t today;               /* the day that `as_of` means by default; from the clock of whoever calls */
    int64_t now_unix_ms;        /* the same clock, for what hosts report */
    int64_t price_age_max_days; /* of prices, where the question says nothing about it; 0: any */
    struct arena *arena;
    struct problems *problems;
    struct store *store;         /* borrowed; NULL: the catalog is the built-in one, and cannot be changed */
    struct feed *feed;           /* borrowed; what hosts report; NULL: the command line, which asks nothing of it */
    const struct caller *caller; /* who writes; NULL: the command line */
    const char *if_match, *idempotency_key; /* headers of a write; NULL: not given */
    struct out *out;                        /* the answer: one JSON object */
    unsigned http_status;                   /* set by a write that made something: 201; else 0 */
    const char *etag;                       /* set by a write: the version of the entry, as a header has it */
    bool may_wait;                          /* this thread may ask the store */
    const char *rows;                       /* set where rows depend on the question; NULL: the operation's */
    bool found_nothing;                     /* set by an operation whose answer has nothing that fits the question */
    bool defer; /* set by an operation that has to ask it and may not: asked again on a thread that may */
    char id[ANSWER_ID_DIGITS + 1]; /* set by the operation when the answer is deterministic: 32 hex digits; else "" */
};

struct operation {
    const char *id;      /* operationId of openapi.yaml: "recommend" */
    const char *command; /* subcommand of the command line; NULL = none */
    const char *summary; /* one sentence */
    const struct field *fields;
    size_t field_count;
    bool computes;               /* long enough for the worker pool */
    bool recorded;               /* its answers may be stored under their id */
    bool stores;                 /* always asks the store; one that does for some questions sets call->defer */
    const char *lines;           /* option that names a file of lines of JSON, over HTTP the body; NULL = none */
    const char *rows;            /* see wire/encode.h */
    const char *tables;          /* lists of the answer that rows= may make the rows, comma separated; NULL = none */
    const char *const *examples; /* NULL-terminated command lines that --help shows */
    enum status (*run)(struct call *call);
    const void *context; /* for `run`: what tells operations that it serves apart */
};

extern const struct operation operation_recommend, operation_memory, operation_throughput, operation_cost;
extern const struct operation operation_training;
extern const struct operation operation_batch_plan;
extern const struct operation operation_gpus, operation_models, operation_engines, operation_offers;
extern const struct operation operation_offers_history, operation_calibrations;
/* These change the catalog of a database: by HTTP only, since the command line has gpusize import, and psql. */
extern const struct operation operation_offers_import;
extern const struct operation operation_gpu_create, operation_gpu_update, operation_gpu_retire;
extern const struct operation operation_model_create, operation_model_update, operation_model_retire;
extern const struct operation operation_offer_create, operation_offer_update, operation_offer_retire;
extern const struct operation operation_calibration_create, operation_calibration_retire;
extern const struct operation operation_observations_add;
/* These take and tell what hosts report on themselves: by HTTP only, since gpusize monitor watches its own host. */
extern const struct operation operation_monitor_report, operation_monitor_gpus, operation_monitor_alerts;
extern const struct operation operation_monitor_statistics, operation_monitor_history;

/* All operations, NULL-terminated: the one table that routes, command line, help and documentation read. */
extern const struct operation *const operations[];
extern const struct operation *const writes[];   /* the same of those that change the catalog */
extern const struct operation *const monitors[]; /* and of those about hosts */
const struct operation *operation_find(const char *id);

/* A problem for the field `id` unless the text could be the id of an answer. */
enum status answer_id_check(const char *text, struct problems *problems) MUST_CHECK;

/* Decodes nothing itself: checks, runs, and leaves either an answer in call->out or problems. */
enum status operation_run(const struct operation *operation, struct call *call) MUST_CHECK;
