/* judge.h owns doubt: which figures are not to be relied on, and whether others use the GPU. Pure. */
#pragma once
#include "hw/nvml.h"
#include "kernels/results.h"

/* Sets the doubts of each result that passed. peak_dram_gb_per_s: 0 or NaN if it is unknown or does not apply. */
void judge_results(struct results *results, double peak_dram_gb_per_s);
/* Whether the peak of the memory bounds that result. */
bool judge_is_dram(const struct probe_result *result);
/* Results that were measured again, by name and shape; sets kept_result.again. */
void judge_note_again(struct results *results, const struct results *again);
/* Whether anybody else uses the GPU, or may. before, after: while none of our processes had a context. */
bool judge_is_shared(const struct nvml_facts *before, const struct nvml_facts *after, bool mps_environment);
