/* sample_json.h owns the JSON of samples: what agents send, what the service stores and answers.
 *
 * A batch, POST /v1/monitor/samples; `samples` oldest first:
 *
 *   {"schema": "monitor/1", "host": "node7", "samples": [SAMPLE, …]}
 *
 * SAMPLE; every member of `memory` and of a GPU but index and uuid may be null or left out: it is not known.
 *
 *   {"time": "2026-11-29T03:04:05.123Z", "monotonic_ms": 42000123, "took_ms": 3.2, "reason": null,
 *    "system_memory": {"total_bytes": …, "available_bytes": …, "used_bytes": …, "usage_ratio": …,
 *                      "swap_total_bytes": …, "swap_free_bytes": …,
 *                      "pressure_some_percent": …, "pressure_full_percent": …},
 *    "gpus": [{"index": 0, "uuid": "GPU-…", "name": "NVIDIA H200", "lost": null,
 *              "memory_total_bytes": …, "memory_used_bytes": …, "memory_reserved_bytes": …, "memory_usage_ratio": …,
 *              "busy_percent": …, "memory_busy_percent": …, "power_watts": …, "power_limit_watts": …,
 *              "temperature_c": …, "sm_clock_mhz": …, "memory_clock_mhz": …, "throttle": ["sw_power_cap"],
 *              "throttle_bits": 4, "energy_joules": …, "ecc_corrected": …, "ecc_uncorrected": …, "mig": false,
 *              "processes": [{"pid": 4711, "name": "python3", "used_bytes": …}],
 *              "instances": [{"uuid": "MIG-…", "memory_total_bytes": …, "memory_used_bytes": …}]}]}
 *
 * used_bytes and usage_ratio of the system, memory_usage_ratio and throttle follow from the others: they are written
 * for people and not read. */
#pragma once
#include "catalog/status.h"
#include "monitor/sample.h"

enum {
    SAMPLES_MAX = 600,          /* of one batch */
    SAMPLE_GPUS_MAX = 64,       /* of one machine */
    SAMPLE_PROCESSES_MAX = 256, /* of one GPU; also of instances */
    SAMPLES_MAX_BYTES = 4 << 20,
};
#define SAMPLE_SCHEMA "monitor/1"

struct out;
/* One SAMPLE; key NULL inside a list. `all`: with processes and instances. */
void sample_write(struct out *out, const char *key, const struct sample *sample, bool all);

struct sample_batch {
    const char *host;
    const struct sample *samples; /* in the arena, in the order of the text; `host` of each is the batch's */
    size_t count;
};
/* Reads a batch; every bad member is a problem that names it. Unknown members are passed over, so that a newer agent
 * can report to an older service. */
enum status sample_batch_read(const char *text, size_t length, struct arena *arena, struct problems *problems,
                              struct sample_batch *ret_batch) MUST_CHECK;
/* One SAMPLE of that host, as it was stored. */
enum status sample_read(const char *text, size_t length, const char *host, struct arena *arena,
                        struct problems *problems, struct sample *ret_sample) MUST_CHECK;
