/* measured_rows.h owns what commands about measured rows share: their options, their catalog, reading the rows. */
#pragma once
#include "cli/flags.h"
#include "cli/settings.h"
#include "evaluate/read.h"
#include "evaluate/report.h"

enum { MEASURED_FILES_MAX = 64 };

struct measured_choices {
    const char *profiles, *calibration_pool, *tensor_parallel;
    struct run_defaults defaults;
};

/* Lines for a table of flags; `choices` is the member of type struct measured_choices. */
#define MEASURED_FLAGS(type, choices)                                                                                  \
    {"measured", "FILE", "Measured rows; may be given several times.", 0},                                             \
        {"profiles", "FILE", "Engine profiles, as gpusize fit writes, laid over the built-in catalog.",                \
         offsetof(type, choices.profiles)},                                                                            \
        {"calibration", "FILE", "Reports of gpusize-probe; may be given several times.", 0},                           \
        {"calibration_pool", "NAME", "The pool of machines that they are true of; own.",                               \
         offsetof(type, choices.calibration_pool)},                                                                    \
        {"gpu", "NAME", "Of rows that name none.", offsetof(type, choices.defaults.gpu)},                              \
        {"model", "NAME", "Of rows that name none.", offsetof(type, choices.defaults.model)},                          \
        {"engine", "NAME", "Of rows that name none.", offsetof(type, choices.defaults.engine)},                        \
        {"engine_version", "TEXT", "Of rows that state none.", offsetof(type, choices.defaults.engine_version)},       \
        {"tensor_parallel", "N", "Of rows that state none.", offsetof(type, choices.tensor_parallel)},                 \
        {"calibrated", "POOL", "As if the GPUs of all rows were of this pool of calibrations: published, own.",        \
         offsetof(type, choices.defaults.calibrated)},                                                                 \
        {"weight_dtype", "NAME", "Of rows that state none.", offsetof(type, choices.defaults.weight_dtype)},           \
    {                                                                                                                  \
        "kv_dtype", "NAME", "Of rows that state none.", offsetof(type, choices.defaults.kv_dtype)                      \
    }

struct measured_rows {
    struct settings settings;
    struct evaluated_file files[MEASURED_FILES_MAX];
    size_t file_count;
    const char *calibration; /* reports, with commas; NULL: not given */
    struct store *store;
    struct snapshot *snapshot;
    struct runs runs;
    struct arena *arena;
    struct problems *problems;
};

/* Takes the arguments: files, the members of `members` by `flags`, settings. Texts of `choices` become "" first. */
enum status measured_rows_take(struct measured_rows *rows, const struct cli_flag *flags, int argc, char **argv,
                               void *members, struct measured_choices *choices) MUST_CHECK;
/* Checks what was given; every problem is reported. */
enum status measured_rows_check(struct measured_rows *rows, struct measured_choices *choices) MUST_CHECK;
/* Loads the catalog and reads the rows. */
enum status measured_rows_read(struct measured_rows *rows, const struct measured_choices *choices) MUST_CHECK;
void measured_rows_done(struct measured_rows *rows);
