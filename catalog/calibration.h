/* calibration.h owns what a probe measured of the GPUs of one host: what hardware and kernels reach without an engine,
 * and how that compares with what is usual. */
#pragma once
#include "catalog/gpu.h"

#include <stddef.h>

enum calibration_state {
    CALIBRATION_USED,
    CALIBRATION_SUSPECT, /* kept, but not believed: far below the part, or scattered */
    CALIBRATION_RETIRED, /* driver or clocks have changed since */
    CALIBRATION_STATE_COUNT
};
const char *calibration_state_name(enum calibration_state state);

/* Figures of engines and kernels that can be compared: shares of a peak, and of a wait. */
enum kernel_figure {
    KERNEL_MEMORY, /* reading VRAM, of the bandwidth */
    KERNEL_KV,     /* paged decode attention, of the bandwidth */
    KERNEL_16BIT,  /* products of long prompts, of the dense peak */
    KERNEL_8BIT,
    KERNEL_4BIT,
    KERNEL_LINK,      /* bus bandwidth of an all-reduce, of the link's rate in one direction */
    KERNEL_ALLREDUCE, /* us that the smallest all-reduce takes: not a share */
    KERNEL_FIGURE_COUNT
};
const char *kernel_figure_name(enum kernel_figure figure); /* "memory", "product_16bit" */

/* Doubles are UNKNOWN where nothing was measured. */
struct calibration {
    const char *id;   /* "published-h200-sxm", or of the report */
    const char *pool; /* whose machines: "own"; "published": what others measured, the usual of the part */
    const char *source, *driver;
    const char *reason;     /* why it is not used; "" where nothing says so */
    const char *started_at; /* "2026-11-28T18:00:00Z"; "" where only the day is known */
    const struct gpu *gpu;
    double memory_gb_per_s, kv_gb_per_s;
    double product_tflops[PEAK_COUNT];
    double launch_us; /* of one kernel of a graph */
    uint32_t allreduce_gpus;
    double allreduce_us, allreduce_gb_per_s; /* of the smallest message; bus bandwidth of large ones */
    enum calibration_state state;
    date_t as_of;
    const struct calibration *usual; /* the published one of the same GPU; NULL: there is none */
};

#define CALIBRATION_PUBLISHED "published"
#define CALIBRATION_OWN "own" /* the pool of the machines that somebody owns: answers about them use it by default */

/* UNKNOWN where the figure, or the peak that it is a share of, is. */
double calibration_figure(const struct calibration *calibration, enum kernel_figure figure);

/* By when they were measured: > 0 if a is the newer. */
int calibration_compare_age(const struct calibration *a, const struct calibration *b);

/* By GPU, then pool, then id. */
int calibration_compare(const void *a, const void *b);
