/* probe_none.c owns a build without device code: every question about a GPU is answered with that. */
#include "kernels/probe.h"

static void say_so(struct probe_result *why_not)
{
    probe_fail(why_not, PROBE_WAIVED, REASON_BUILT_WITHOUT_CUDA,
               "this gpusize-probe was built without nvcc and measures the CPU only");
}

int probe_count(struct probe_result *why_not)
{
    say_so(why_not);
    return -1;
}

bool probe_open(int ordinal, struct probe_device *ret_device, struct probe_result *why_not)
{
    (void)ordinal, (void)ret_device;
    say_so(why_not);
    return false;
}

/* Nobody gets here: no device could be opened. */
#define NOTHING(name)                                                                                                  \
    void name(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit, void *sink)      \
    {                                                                                                                  \
        (void)device, (void)budget, (void)emit, (void)sink;                                                            \
    }
NOTHING(probe_capacity)
NOTHING(probe_stream)
NOTHING(probe_decode)
NOTHING(probe_gemm)
NOTHING(probe_launch)
NOTHING(probe_onchip)
NOTHING(probe_link)
NOTHING(probe_collective)
