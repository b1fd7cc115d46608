/* probe_fake.h owns the choice of what the stand-in for GPUs stands in for. Tests only: no figure of it is measured. */
#pragma once
#include <stdbool.h>

/* "h200", or with faults behind it: "h200+gemm:segv,stream:noisy"; see probe_fake.c. False: there is no such part. Call
 * it before anything else, in the parent of all children. */
bool probe_fake_choose(const char *name);
/* The parts there are: "h100 h200 l40s b200 2xh100". */
extern const char probe_fake_names[];
