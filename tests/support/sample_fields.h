/* sample_fields.h owns a request that has a field of every kind: what the tests of wire/input.h decode. */
#pragma once
#include "wire/input.h"

struct sample {
    struct model_ref model;
    double input_tokens, requests_per_second;
    int64_t max_gpus, store, objective;
    uint32_t purchases;
    const char *engine, *engine_version;
    date_t as_of;
    struct text_list gpus;
    struct count_map inventory;
    struct length_histogram input_tokens_histogram;
    struct price_adjustments price_adjustments;
};

static const char *const sample_objectives[] = {"cost", "throughput", "cost_per_throughput", NULL};
static const char *const sample_purchases[] = {"on_demand", "spot", "owned", NULL};

#define SAMPLE(member) .offset = offsetof(struct sample, member)
static const struct field sample_fields[] = {
    {.name = "model", .group = "", .kind = FIELD_MODEL, SAMPLE(model), .required = true, .help = "The model."},
    {.name = "input_tokens",
     .group = "workload",
     .alias = "in",
     .kind = FIELD_NUMBER,
     SAMPLE(input_tokens),
     .min = 1,
     .max = 1e8,
     .unit = "tokens"},
    {.name = "requests_per_second",
     .group = "workload",
     .alias = "rps",
     .kind = FIELD_NUMBER,
     SAMPLE(requests_per_second),
     .min = 1e-9,
     .max = 1e9,
     .unit = "requests/s"},
    {.name = "input_tokens_histogram",
     .group = "workload",
     .kind = FIELD_HISTOGRAM,
     SAMPLE(input_tokens_histogram),
     .min = 1,
     .max = 1e8,
     .unit = "tokens"},
    {.name = "engine", .group = "serving", .kind = FIELD_TEXT, SAMPLE(engine)},
    {.name = "engine_version", .group = "serving", .kind = FIELD_TEXT, SAMPLE(engine_version)},
    {.name = "max_gpus",
     .group = "constraints",
     .kind = FIELD_INTEGER,
     SAMPLE(max_gpus),
     .min = 1,
     .max = 100000,
     .unit = "GPUs"},
    {.name = "purchase", .group = "constraints", .kind = FIELD_CHOICES, SAMPLE(purchases), .names = sample_purchases},
    {.name = "gpus", .group = "constraints", .kind = FIELD_TEXTS, SAMPLE(gpus)},
    {.name = "inventory", .group = "constraints", .kind = FIELD_COUNTS, SAMPLE(inventory), .min = 1, .max = 100000},
    {.name = "price_adjustments", .group = "constraints", .kind = FIELD_ADJUSTMENTS, SAMPLE(price_adjustments)},
    {.name = "objective", .group = "", .kind = FIELD_CHOICE, SAMPLE(objective), .names = sample_objectives},
    {.name = "store", .group = "", .kind = FIELD_BOOL, SAMPLE(store)},
    {.name = "as_of", .group = "", .kind = FIELD_DATE, SAMPLE(as_of)},
};
enum { SAMPLE_FIELDS = sizeof sample_fields / sizeof *sample_fields };
