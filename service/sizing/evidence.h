/* evidence.h owns what measurements say about one deployment at given lengths, and how far beside their own
 * configuration they are believed. Formulas: docs/estimator.md, "Measured rows". */
#pragma once
#include "catalog/snapshot.h"
#include "sizing/performance.h"

enum { EVIDENCE_POINTS_MAX = 32, EVIDENCE_SHOWN_MAX = 4 };
enum evidence_metric { EVIDENCE_TTFT, EVIDENCE_TPOT, EVIDENCE_RATE, EVIDENCE_METRICS };

/* The repeats of one measured configuration against the formula at that configuration. */
struct evidence_point {
    const struct measurement *measurement; /* the one of the repeats that is told */
    uint32_t repeats;
    bool shrunk;                        /* believed beside its configuration the more, the more of its kind there are */
    bool same_version;                  /* of the version that was asked for */
    bool told[EVIDENCE_METRICS];        /* measured; else it follows from what was measured */
    bool whole_told;                    /* end-to-end time */
    double log_ratio[EVIDENCE_METRICS]; /* ln(measured / formula) */
    double closeness;                   /* in lengths and settings: 1 the same, 0 a factor of two away */
    bool exact;                         /* in lengths and settings, within 1 %, of a version that it tells */
    double log2_concurrency;
};

struct evidence {
    struct evidence_point points[EVIDENCE_POINTS_MAX];
    size_t count;
    size_t implausible; /* measurements beyond what the GPU can do, which are ignored */
    double speedup;     /* ≥ 1: what any correction can make of the formula's speed */
};

/* What bears on `roofline`, which is told to use it from then on; without anything of its setup it stays as it is, and
 * `ret_evidence` is not written. */
void evidence_find(const struct measurements *measurements, struct roofline *roofline, struct evidence *ret_evidence);

/* Corrects the formula's times with n requests in flight by what was measured at fixed concurrencies. */
void evidence_correct_times(const struct roofline *roofline, double in_flight, double *ttft_ms, double *tpot_ms);
/* Corrects the formula's prediction under this load: values, intervals, basis. At LOAD_RATE nothing: its times are. */
void evidence_correct(const struct roofline *roofline, const struct load_point *load, struct performance *performance);

/* ≥ 1: no corrected speed is higher than the formula's times this. */
static inline double evidence_speedup(const struct roofline *roofline)
{
    return roofline->evidence ? roofline->evidence->speedup : 1;
}

/* What an answer tells of it: the measurements that count most for these loads. */
struct provenance {
    struct provenance_row {
        const struct measurement *measurement;
        uint32_t repeats;
        double weight; /* 1: it is the value; towards 0: hardly used */
        double ratio;  /* measured throughput, or latency if only that was, over the formula's there */
    } rows[EVIDENCE_SHOWN_MAX];
    size_t row_count;
    size_t measurements, implausible; /* used, repeats included; ignored */
};
/* The load that measurements of a replica under `load` have: at LOAD_RATE that of the requests in flight. */
struct load_point evidence_load(const struct load_point *load, const struct performance *performance);
struct provenance evidence_provenance(const struct roofline *roofline, const struct load_point *loads, size_t count);
