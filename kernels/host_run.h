/* host_run.h owns one run: which groups of probes are asked for, in which order they run within how much time, and
 * what came of it. */
#pragma once
#include "hw/nvml.h"
#include "kernels/device_key.h"
#include "kernels/results.h"
#include "kernels/summary.h"

enum device_choice { DEVICE_ALL, DEVICE_CUDA, DEVICE_ONE, DEVICE_CPU }; /* ALL: the CPU alone where there is no GPU */

enum { DEVICES_MAX = 64 };
struct host_run_options {
    enum device_choice choice;
    int ordinal;     /* of DEVICE_ONE */
    unsigned groups; /* a bit for each; 0: all */
    bool quick;
    double time_scale;  /* 1; tests have less time */
    const char *secret; /* for keys of devices; NULL: none are made */
    size_t secret_length;
    void (*progress)(const char *what, void *sink); /* NULL: silent */
    void *sink;
};

/* Bit numbers of groups. -1 if there is none of that name. */
int host_run_group(const char *name, size_t length);
const char *host_run_group_name(int group); /* NULL after the last */
const char *host_run_group_about(int group);

struct measured_device {
    struct probe_device facts;
    struct probe_result why_not; /* passed: it could be opened */
    struct nvml_facts before, after;
    double context_bytes; /* NaN: unknown */
    bool shared;
    char key[DEVICE_KEY_BYTES]; /* "" without a secret or an UUID */
    struct results results;
    struct summary summary;
};

struct host_run {
    enum device_choice choice;
    char started_at[24]; /* "2026-11-29T12:00:00Z" */
    double wall_s;
    struct probe_result why_not; /* why there is no GPU; passed if there is one */
    struct measured_device *devices;
    size_t device_count;
    struct results cpu;
    double load1;
};

void host_run_do(const struct host_run_options *options, struct host_run *ret_host);
void host_run_free(struct host_run *host);

enum verdict { VERDICT_PASSED, VERDICT_PARTIAL, VERDICT_WAIVED, VERDICT_ERROR };
const char *verdict_name(enum verdict verdict); /* "partial": some passed, others are errors */
enum verdict host_run_device_verdict(const struct measured_device *device);
enum verdict host_run_cpu_verdict(const struct host_run *host);
enum verdict host_run_verdict(const struct host_run *host);
/* "cuda", or "cpu" where no GPU is asked for or none is there. */
const char *host_run_device_kind(const struct host_run *host);
