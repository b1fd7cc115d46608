/* results.h owns what was measured, as the program keeps it: results in a growing list, with what is doubtful. */
#pragma once
#include "kernels/probe.h"

/* Why a figure that was measured is not to be relied on. */
enum probe_doubt {
    DOUBT_SPREAD = 1 << 0,     /* p90 is over 10 % above p10 */
    DOUBT_DRIFT = 1 << 1,      /* measured again at the end, it was over 5 % off */
    DOUBT_ABOVE_PEAK = 1 << 2, /* over 1.03 of what the part can do */
    DOUBT_UNDER_HALF = 1 << 3, /* under half of what the part can do */
    DOUBT_BIT_COUNT = 4,
};
const char *probe_doubt_name(unsigned bit); /* of bit 0 … DOUBT_BIT_COUNT - 1: "spread" */

const char *probe_status_name(enum probe_status status);
/* Whether a result with that reason is an error; else it is waived. */
bool probe_reason_is_error(enum probe_reason reason);
/* REASON_NONE if there is none of that name. */
enum probe_reason probe_reason_named(const char *name, size_t length);

/* The median of what the samples took; NaN if there are none. */
double probe_median_s(const struct probe_result *result);

enum { PROBE_CONSTANT_BYTES = 24 };
struct kept_result {
    struct probe_result result;
    char impl[PROBE_CONSTANT_BYTES], verified[PROBE_CONSTANT_BYTES]; /* what result.impl and .verified stood for */
    double again;                                                    /* measured again at the end; NaN: it was not */
    unsigned doubts;
};

struct results {
    struct kept_result *items;
    size_t count, capacity, lost; /* lost: more than could be kept */
};
void results_add(struct results *results, const struct kept_result *kept);
void results_free(struct results *results);
/* Result `i`, whole: its texts are those that were kept. Valid until the next results_add. */
const struct probe_result *results_at(const struct results *results, size_t i);
