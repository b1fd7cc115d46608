/* groups.cpp owns running the groups of probes that its arguments name, and their results as lines. Fails on any error.
 */
#include "kernels/probe.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emu
{
extern int devices;
}

static int errors, passed;

static void emit(const probe_result *result, void *)
{
    static const char *const words[] = {"passed", "waived", "error"};
    const probe_shape *shape = &result->shape;
    errors += result->status == PROBE_ERROR;
    passed += result->status == PROBE_PASSED;
    printf("%-6s %-18s %-9s m=%u n=%u k=%u batch=%u tokens=%u group=%u bytes=%llu %s %s\n", words[result->status],
           result->name, shape->dtype, shape->m, shape->n, shape->k, shape->batch, shape->context_tokens, shape->group,
           (unsigned long long)shape->bytes, probe_reason_name(result->reason), result->detail);
}

static const struct {
    const char *name;
    probe_group *run;
} groups[] = {{"capacity", probe_capacity}, {"stream", probe_stream},        {"decode", probe_decode},
              {"gemm", probe_gemm},         {"launch", probe_launch},        {"onchip", probe_onchip},
              {"link", probe_link},         {"collective", probe_collective}};

int main(int count, char **names)
{
    probe_result why;
    probe_device device;
    probe_budget budget = {0.0001, 1, 1, 1};
    emu::devices = getenv("EMULATED_DEVICES") ? getenv("EMULATED_DEVICES")[0] - '0' : 2;
    if (!probe_open(0, &device, &why)) return 2;
    for (const auto &group : groups) {
        bool wanted = count == 1;
        for (int i = 1; i < count; i++)
            wanted = wanted || strcmp(names[i], group.name) == 0;
        if (wanted) group.run(&device, &budget, emit, NULL);
    }
    printf("%d passed, %d errors\n", passed, errors);
    return errors || !passed;
}
