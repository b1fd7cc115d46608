/* read.h owns reading files of measured rows into runs. */
#pragma once
#include "catalog/snapshot.h"
#include "evaluate/run.h"

#include <stdio.h>

/* What rows that do not say it are taken to be; "" where nothing is. */
struct run_defaults {
    const char *engine, *engine_version, *model, *gpu, *weight_dtype, *kv_dtype;
    double tensor_parallel; /* UNKNOWN */
    const char *calibrated; /* the pool of calibrations that the GPUs of all rows are taken to be of; "": none */
};

enum { RUNS_MAX = 200000 };

/* Adds the rows of a file, of any layout of docs/evaluate.md, to `runs`, whose memory is the arena's. Every row
 * becomes a run; those without a uid are called FILE:LINE. Problems name the file. */
enum status runs_read(const char *path, const struct snapshot *catalog, const struct run_defaults *defaults,
                      struct arena *arena, struct problems *problems, struct runs *runs) MUST_CHECK;
/* The same for an open file, which stays open. */
enum status runs_read_file(FILE *file, const char *name, const struct snapshot *catalog,
                           const struct run_defaults *defaults, struct arena *arena, struct problems *problems,
                           struct runs *runs) MUST_CHECK;
