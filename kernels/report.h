/* report.h owns the report of a run: one JSON object of the schema calibration/1 (docs/calibration.schema.json). */
#pragma once
#include "kernels/host_run.h"

/* What the program was built from. */
struct probe_build {
    const char *version;
    const char *cuda;       /* "13.0.88"; "" without device code */
    const char *sass, *ptx; /* "75 80 86": what is embedded */
};

/* The text, ended by a line feed; NULL without memory. Free it. with_samples: every time that was taken, too. */
char *report_make(const struct host_run *host, const struct probe_build *build, bool with_samples);
