/* groups.h owns what the rows of one GPU, size of a model family, weight format and kind of load say beside the
 * coefficients: a ratio to what these predict, and the width of intervals. Method: docs/fit.md, "Groups". */
#pragma once
#include "fit/holdout.h"

/* Takes off the errors of rows that were left out what the others say of their group, or else of the same model on
 * GPUs of the same architecture, as an answer does. */
enum status groups_take_off(const struct fitting *fitting, const bool *left_out, double *errors) MUST_CHECK;

/* Sets the groups of a fit from the errors of all rows, and from those of rows that were left out in folds. What the
 * groups say is taken off both, so that they become those of answers. */
enum status groups_set(const struct fitting *fitting, const struct partition *folds, double *errors,
                       double *fold_errors, struct fit *fit) MUST_CHECK;
