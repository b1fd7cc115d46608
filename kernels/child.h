/* child.h owns the child processes: each group of probes runs in one, so that a crash, a hang or an error that sticks
 * to a CUDA context costs that group and never the report. What a child finds comes back as records through a pipe. */
#pragma once
#include "hw/nvml.h"
#include "kernels/results.h"

enum record_kind { RECORD_RESULT, RECORD_DEVICE, RECORD_COUNT, RECORD_NVML, RECORD_KINDS };

/* One of the members, by kind. */
struct record {
    enum record_kind kind;
    union {
        struct kept_result result;
        struct probe_device device;
        int count; /* of devices */
        struct nvml_facts nvml;
    };
};

/* Where a child writes to. */
struct record_pipe {
    int file;
};
void record_send(struct record_pipe *pipe, const struct record *record);
probe_emit record_send_result; /* sink: a struct record_pipe */

enum child_end { CHILD_DONE, CHILD_DIED, CHILD_LATE, CHILD_NOT_STARTED };
struct child_outcome {
    enum child_end end;
    double seconds;
    char detail[PROBE_DETAIL_BYTES]; /* "signal 11 (Segmentation fault)" */
};

typedef void child_work(struct record_pipe *pipe, void *arg);
typedef void child_take(const struct record *record, void *sink);
/* Forks, runs work(pipe, arg) in the child, hands what it sends to `take`, kills it after limit_s. */
struct child_outcome child_run(child_work *work, void *arg, double limit_s, child_take *take, void *sink);

double monotonic_s(void);
