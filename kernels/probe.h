/* probe.h owns what a probe of a GPU or a CPU finds and how it says so. Plain C17: no CUDA type leaves the *.cu files.
 * A probe fills results and hands each to `emit`; it prints nothing and never exits. Method: docs/calibrate.md. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum probe_status { PROBE_PASSED, PROBE_WAIVED, PROBE_ERROR };

/* Why a result has no value. A closed list: its names are part of the report (docs/calibrate.md). */
enum probe_reason {
    REASON_NONE,
    REASON_NO_DRIVER,
    REASON_DRIVER_TOO_OLD,
    REASON_DRIVER_LIBRARY_MISMATCH,
    REASON_FABRIC_NOT_READY,
    REASON_NO_DEVICE,
    REASON_DEVICE_IN_USE,
    REASON_UNSUPPORTED_COMPUTE_CAPABILITY,
    REASON_PTX_NEWER_THAN_DRIVER,
    REASON_COMPAT_NOT_SUPPORTED,
    REASON_NOT_ENOUGH_MEMORY,
    REASON_DTYPE_NOT_IN_HARDWARE,
    REASON_NO_LIBRARY,
    REASON_ONE_DEVICE,
    REASON_NO_TIME_LEFT,
    REASON_BUILT_WITHOUT_CUDA,
    REASON_VERIFICATION,
    REASON_GROUP_DIED,
    REASON_TIMEOUT,
    REASON_CUDA_ERROR,
    REASON_COUNT
};
const char *probe_reason_name(enum probe_reason reason); /* "no_driver"; "" of REASON_NONE */

enum { PROBE_SAMPLES_MAX = 256, PROBE_NAME_BYTES = 48, PROBE_DETAIL_BYTES = 160 };

/* The shape that a figure is of; 0 or "" where it does not apply. */
struct probe_shape {
    char dtype[16];   /* "bf16", "fp8_e4m3", "int8", "fp16", "tf32", "fp32", "int4_bf16" (int4 weights, unpacked) */
    uint32_t m, n, k; /* a product of [m][k] by [n][k] transposed */
    uint64_t bytes;   /* of the buffer, or of the message */
    uint32_t gpus;    /* that took part */
    uint32_t batch, context_tokens, group; /* decode attention: sequences, tokens of each, query heads of a KV head */
};

/* One measurement. */
struct probe_result {
    char name[PROBE_NAME_BYTES]; /* "dram_read" */
    char unit[16];               /* "GB/s" (decimal), "TFLOP/s", "us", "ns", "bytes" */
    enum probe_status status;
    enum probe_reason reason;
    char detail[PROBE_DETAIL_BYTES]; /* of the reason, in words */
    struct probe_shape shape;
    double value, p10, p90; /* median and spread of the samples, in `unit` */
    double counted;         /* bytes or operations of one sample, from which the value follows; 0: it is a time */
    double sm_clock_mhz;    /* seen on the device meanwhile; 0: unknown */
    const char *impl;       /* "own", "cublaslt", "nccl", "copy_engine", "ptx_jit": constant text */
    const char *verified;   /* "checksum", "reference", "walked", "": constant text */
    uint32_t samples, discarded, launches; /* kept; thrown away as throttled; all */
    double seconds[PROBE_SAMPLES_MAX];
};

struct probe_budget {
    double seconds_max; /* of the timed part of one result */
    uint32_t samples_min, samples_max, warmups;
};

struct probe_device {
    char name[96];
    char pci_bus_id[32];
    int ordinal, cc_major, cc_minor, sm_count;
    bool ecc, integrated, jit;           /* jit: it runs PTX that the driver compiled */
    int driver_version, runtime_version; /* 13000 is CUDA 13.0; 0: no driver */
    uint64_t total_bytes, free_bytes, l2_bytes, shared_optin_bytes;
    double peak_dram_gb_per_s; /* from the memory clock and the bus where the driver tells them; 0 */
    double sm_clock_max_mhz;
};

typedef void probe_emit(const struct probe_result *result, void *sink);
typedef void probe_group(const struct probe_device *device, const struct probe_budget *budget, probe_emit *emit,
                         void *sink);

/* --- result.c: filling results --- */

struct probe_result probe_result_begin(const char *name, const char *unit);
void probe_fail(struct probe_result *result, enum probe_status status, enum probe_reason reason, const char *format,
                ...) __attribute__((format(printf, 4, 5)));
/* From seconds[]: counted / second / per_unit, or second / per_unit; median, p10, p90; passed if it is above 0. */
void probe_set_rate(struct probe_result *result, double counted, double per_unit);
void probe_set_time(struct probe_result *result, double per_unit);

/* --- a backend: CUDA (the *.cu files), a stand-in (probe_fake.c), or none (probe_none.c) --- */

/* How many GPUs there are; -1 with the reason in *why_not. */
int probe_count(struct probe_result *why_not);
/* Makes the context. False: why not is in *why_not. */
bool probe_open(int ordinal, struct probe_device *ret_device, struct probe_result *why_not);
probe_group probe_capacity, probe_stream, probe_decode, probe_gemm, probe_launch, probe_onchip, probe_link,
    probe_collective;

/* --- cpu.c: everywhere --- */
probe_group probe_cpu; /* `device` is NULL */

#ifdef __cplusplus
}
#endif
