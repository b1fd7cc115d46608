/* training.h owns measured training runs: rows of three published layouts (docs/training.md, "Accuracy"), each as a
 * setup that can be predicted, or with the reason why it cannot. */
#pragma once
#include "catalog/snapshot.h"
#include "sizing/training.h"

struct training_run {
    const char *source, *model_name, *gpu_name; /* as the row spells them */
    uint32_t line;
    struct model model;               /* of the catalog, or what the row tells */
    struct training_setup setup;      /* its model is the one above: set before each use, since runs are copied */
    double tokens_per_second_per_gpu; /* UNKNOWN: not measured, or not to be compared */
    double peak_bytes;                /* of one GPU; UNKNOWN */
    bool in_fit;                      /* of the throughput that coefficients are fitted to */
    bool states_optimizer, states_recompute;
    const char *refused; /* NULL: it can be predicted */
};

struct training_runs {
    struct training_run *items;
    size_t count;
};
enum { TRAINING_RUNS_MAX = 20000 };

/* Adds the rows of a file. `text` is changed, and must be writable at its end too. Problems name the file. */
enum status training_runs_read(const char *path, char *text, size_t length, const struct snapshot *catalog,
                               struct arena *arena, struct problems *problems, struct training_runs *runs) MUST_CHECK;
/* The run's setup, ready to be predicted. */
struct training_setup training_run_setup(const struct training_run *run);
/* ln(predicted / measured) of its throughput; NaN where there is none. */
double training_run_error(const struct training_run *run, const struct training_profile *profile);
/* Totals of memory under the optimizers and kinds of recompute that the row does not state. */
struct training_span {
    double low_bytes, high_bytes;           /* expected totals */
    double safe_low_bytes, safe_high_bytes; /* with the intervals of the estimate */
    struct training_memory nearest;         /* of the expected total that is nearest to the measurement */
};
void training_run_span(const struct training_run *run, struct training_span *ret_span);
