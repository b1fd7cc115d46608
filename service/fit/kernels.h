/* kernels.h owns what a fit knows of kernels by themselves, from published calibrations of its GPUs: what they reach on
 * average, and rows of a GPU as if that had been calibrated. Method: docs/fit.md, "Kernels". */
#pragma once
#include "fit/fitting.h"

/* Sets the kernel_… coefficients in the workspace, of rows that are not left out (NULL: of all). */
void kernels_set_reference(const struct fitting *fitting, const bool *left_out);

/* Gives rows that are left out the published calibration of their GPU, which their fit has not seen; ret_told[i] is
 * whether there is one. kernels_forget takes them away again. */
void kernels_calibrate(const struct fitting *fitting, const bool *left_out, bool *ret_told);
void kernels_forget(const struct fitting *fitting);

/* The coefficients that kernels_set_reference sets, of all rows, as parts of a fit. */
enum status kernels_keep(const struct fitting *fitting, struct fit *fit) MUST_CHECK;
