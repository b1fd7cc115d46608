/* measurement.h owns a measured serving run as answers see it: what one replica reached under one load. */
#pragma once
#include "catalog/dtype.h"
#include "catalog/units.h"

#include <stddef.h>

/* How requests came, as in a request. */
enum measured_load { MEASURED_SATURATED, MEASURED_CONCURRENCY, MEASURED_STATIC_BATCH, MEASURED_LOAD_COUNT };
const char *measured_load_name(enum measured_load load);

/* What ran: measurements of one setup stand together. */
struct measured_setup {
    uint32_t model, gpu, profile;      /* indices into the snapshot's */
    enum dtype weight_dtype, kv_dtype; /* by measured_dtype */
    uint32_t tensor_parallel, pipeline_parallel, expert_parallel;
};
int measured_setup_compare(const struct measured_setup *a, const struct measured_setup *b);
/* Both 16-bit formats are one: as many bytes, the same peak. */
enum dtype measured_dtype(enum dtype dtype);

struct measurement { /* NaN: not told */
    struct measured_setup setup;
    enum measured_load load;
    double input_tokens, output_tokens;
    double concurrency;              /* in flight on one replica, or of its batch; saturated: 0 */
    double output_tokens_per_second; /* of one replica */
    double ttft_ms, tpot_ms, e2e_ms;
    bool own; /* an import of the user's, not a row of the built-in catalog */
    bool trusted;
    const char *uid, *source, *engine_version;
    date_t as_of;
};
/* Whether they are of one setup, load, lengths and concurrency. */
bool measurement_repeats(const struct measurement *a, const struct measurement *b);

/* The measurements that may bear on an answer: all of one model. */
struct measurements {
    const struct snapshot *snapshot;
    const struct measurement *items;
    size_t count;
    const char *engine_version; /* that was asked for; "": any of the profile */
};
/* Those of one setup among them. */
struct measurements measurements_of(const struct measurements *measurements, const struct measured_setup *setup);
