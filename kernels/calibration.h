/* calibration.h owns one run: which groups of probes are asked for, in which order they run within how much time, and
 * what came of it. */
#pragma once
#include "kernels/device_key.h"
#include "kernels/nvml.h"
#include "kernels/results.h"
#include "kernels/summary.h"

enum device_choice { DEVICE_ALL, DEVICE_CUDA, DEVICE_ONE, DEVICE_CPU }; /* ALL: the CPU alone where there is no GPU */

enum { DEVICES_MAX = 64 };
struct calibration_options {
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
int calibration_group(const char *name, size_t length);
const char *calibration_group_name(int group); /* NULL after the last */
const char *calibration_group_about(int group);

struct calibrated_device {
    struct probe_device facts;
    struct probe_result why_not; /* passed: it could be opened */
    struct nvml_facts before, after;
    double context_bytes; /* NaN: unknown */
    bool shared;
    char key[DEVICE_KEY_BYTES]; /* "" without a secret or an UUID */
    struct results results;
    struct summary summary;
};

struct calibration {
    enum device_choice choice;
    char started_at[24]; /* "2026-11-29T12:00:00Z" */
    double wall_s;
    struct probe_result why_not; /* why there is no GPU; passed if there is one */
    struct calibrated_device *devices;
    size_t device_count;
    struct results cpu;
    double load1;
};

void calibration_run(const struct calibration_options *options, struct calibration *ret_calibration);
void calibration_free(struct calibration *calibration);

enum verdict { VERDICT_PASSED, VERDICT_PARTIAL, VERDICT_WAIVED, VERDICT_ERROR };
const char *verdict_name(enum verdict verdict); /* "partial": some passed, others are errors */
enum verdict calibration_device_verdict(const struct calibrated_device *device);
enum verdict calibration_cpu_verdict(const struct calibration *calibration);
enum verdict calibration_verdict(const struct calibration *calibration);
/* "cuda", or "cpu" where no GPU is asked for or none is there. */
const char *calibration_device_kind(const struct calibration *calibration);
