/* calibrate.h owns what a calibration of the GPUs changes in the rates that coefficients stand for. Private to sizing.
 *
 * A coefficient is what an engine reaches on the GPUs that were measured: kernels' own share of the peak, and the
 * engine's share of that. The engine's stays; the kernels' is replaced by the calibrated one, by the ratio of both.
 * docs/estimator.md, "Calibrated GPUs". */
#pragma once
#include "sizing/deployment.h"

/* Times the rates that coefficients give, and times a wait; 1 where nothing is known to be different. */
struct kernel_ratios {
    double memory, kv;
    double decode, prefill; /* products of steps and of prompts, in the format of the weights */
    double attention;       /* 16-bit products */
    double link, allreduce_us;
};
/* `peak`: that products of this deployment are priced by. */
struct kernel_ratios calibrate_ratios(const struct deployment *deployment, enum peak peak);

/* Whether a calibration changes answers about this deployment. */
bool calibrate_counts(const struct deployment *deployment);
