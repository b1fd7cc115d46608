/* factors.h owns the widths of what no row of a fit shows, and how far off and how wide it is where groups were left
 * out. */
#pragma once
#include "fit/holdout.h"

/* The factors of each profile, of its own rows in left-out groups of GPUs and of models: only those make answers
 * extrapolated. */
enum status factors_set(const struct fitting *fitting, const struct held_out *held, struct fit *fit) MUST_CHECK;

/* Adds scores of `errors`, kind by kind, over all rows and, where `held` is not NULL, of each group of the key. Rows
 * whose error is UNKNOWN have none. */
enum status scores_add(const struct fitting *fitting, const struct held_out *held, enum fit_key key,
                       const double *errors, struct fit *fit) MUST_CHECK;
