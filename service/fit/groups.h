/* groups.h owns what the rows of one GPU, model family, weight format and kind of load say beside the coefficients: a
 * ratio to what these predict, and the width of intervals. Method: docs/fit.md, "Groups". */
#pragma once
#include "fit/holdout.h"

/* Sets the groups of a fit from the errors of all rows, and from those of rows that were left out in folds. What the
 * groups say is taken off both, so that they become those of answers. */
enum status groups_set(const struct fitting *fitting, const struct partition *folds, double *errors,
                       double *fold_errors, struct fit *fit) MUST_CHECK;
