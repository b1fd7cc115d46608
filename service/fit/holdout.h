/* holdout.h owns predicting rows without their group: a fit for each group, of all the others. */
#pragma once
#include "fit/fitting.h"

/* Which group each residual is in. Groups are numbered and named; folds have no names. */
struct partition {
    const char *const *names;
    size_t count;
    const uint32_t *of;
};

enum status partition_by_key(const struct fitting *fitting, enum fit_key key,
                             struct partition *ret_partition) MUST_CHECK;
/* Whole configurations in `folds` parts of equal size, by chance of the seed. */
enum status partition_by_fold(const struct fitting *fitting, size_t folds, struct partition *ret_partition) MUST_CHECK;

/* ret_errors of each residual, predicted by the fit without its group; ret_calibrated where it is not NULL: of those
 * whose GPU has a published calibration, with it; else UNKNOWN. */
enum status holdout_errors(struct fitting *fitting, const struct partition *partition, const char *what,
                           double *ret_errors, double *ret_calibrated) MUST_CHECK;

/* What was left out, group by group of each key; NULL errors: nothing. */
struct held_out {
    struct partition partitions[FIT_KEY_COUNT];
    double *errors[FIT_KEY_COUNT];
    double *calibrated; /* of FIT_BY_GPU: as if the GPU had been calibrated; NULL: it was not left out */
};
