/* report.h owns reports of gpusize-probe ("calibration/1"): reading one, judging its figures against the catalog, and
 * the calibrations that it becomes. Pure. */
#pragma once
#include "catalog/snapshot.h"

enum {
    REPORT_MAX_BYTES = 4 << 20,
    REPORT_DEVICES_MAX = 64,
    REPORT_ID_DIGITS = 16,
};

/* What a report says of one GPU. Texts live in the arena. */
struct report_entry {
    struct calibration calibration; /* id, pool, source, driver, gpu, figures, state, day; `usual` is NULL */
    const char *device_key;         /* tells this GPU from others of the host, where the probe was to say so; "" */
    double sm_clock_max_mhz;        /* UNKNOWN */
};

/* A device without any figure that answers use. */
struct report_left_out {
    const char *device, *reason;
};

struct report {
    const struct report_entry *entries;
    size_t entry_count; /* at least 1 */
    const struct report_left_out *left_out;
    size_t left_out_count;
};

/* Where a figure is beyond what the part can do (1.03 of its peak) the whole report is refused, with a problem for each
 * such figure; figures under half of it (and of what is usual of the part), scattered ones, and those of a GPU that
 * others use or that is a slice make the entry suspect. Problems name paths in the report:
 * "devices[0].fit.dram_read_gb_per_s". Members that are not known are passed over: later versions have more. `today`:
 * no report is of a later day. */
enum status report_read(const struct snapshot *catalog, const char *text, size_t length, const char *pool, date_t today,
                        struct arena *arena, struct problems *problems, struct report *ret_report) MUST_CHECK;

/* Whether a calibration of that name for a pool can be; else a problem for `field`. */
enum status report_check_pool(const char *pool, const char *field, struct problems *problems) MUST_CHECK;

/* Retires the older of each two of the same GPU, in one pool, between which driver or clocks have changed. */
void report_retire(struct report_entry *entries, size_t count);

/* The entries as a file in the layout of calibrations.csv. NULL when out of memory. */
const char *report_csv(const struct report_entry *entries, size_t count, struct arena *arena);
