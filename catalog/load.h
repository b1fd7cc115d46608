/* load.h owns the way from CSV text to a snapshot. It does no I/O: the caller brings the text. */
#pragma once
#include "catalog/csv.h"
#include "catalog/snapshot.h"

enum catalog_file {
    FILE_GPUS,
    FILE_GPU_ALIASES,
    FILE_MODELS,
    FILE_MODEL_ALIASES,
    FILE_ENGINE_PROFILES,
    FILE_ENGINE_SUPPORT,
    FILE_ENGINE_ALIASES,
    FILE_REGIONS,
    FILE_OFFERS,
    FILE_PURCHASE_PRICES,
    FILE_OPERATING_COSTS,
    FILE_API_PRICES,
    FILE_MEASURED,
    FILE_CALIBRATIONS,
    CATALOG_FILE_COUNT
};

struct catalog_text {
    const char *name; /* for messages: "offers.csv" */
    const char *text; /* UTF-8, not NUL-terminated; NULL: no such file, no such rows */
    size_t length;
    const struct catalog_text *over; /* rows of the same layout that win over these, of FILE_ENGINE_PROFILES; or
                                      * rows that come beside them, of FILE_CALIBRATIONS; or NULL */
};

/* Builds a snapshot from all files. A bad row is refused: every problem names file, line, field and reason
 * ("offers.csv:17 usd_per_hour"), and no snapshot comes out. The texts are not referenced afterwards. */
enum status catalog_load(const struct catalog_text files[CATALOG_FILE_COUNT], struct problems *problems,
                         struct snapshot **ret_snapshot) MUST_CHECK;

/* The same within max_bytes of memory (0: no limit); STATUS_OUT_OF_MEMORY beyond it. */
enum status catalog_load_within(const struct catalog_text files[CATALOG_FILE_COUNT], size_t max_bytes,
                                struct problems *problems, struct snapshot **ret_snapshot) MUST_CHECK;

/* The same as catalog_load for a catalog whose version is told: a database counts its own. */
enum status catalog_load_version(const struct catalog_text files[CATALOG_FILE_COUNT], const char *version,
                                 struct problems *problems, struct snapshot **ret_snapshot) MUST_CHECK;

/* The facts that are built into the program (catalog/data). */
const struct catalog_text *catalog_bundled(void);
/* Facts of the program itself, which hold for every catalog: no database has them. OWN_FILE_COUNT of them. */
enum own_file { OWN_TRAINING, OWN_QUALITIES, OWN_FILE_COUNT };
const struct catalog_text *catalog_own(void);

/* The columns of FILE_GPUS, FILE_MODELS or FILE_OFFERS, in their order; NULL after the last. What only a database
 * gives its rows (id of an offer, version) is none of them. */
const char *catalog_column(enum catalog_file file, size_t index);
enum catalog_type { CATALOG_NO_COLUMN, CATALOG_TEXT, CATALOG_NUMBER, CATALOG_BOOL };
enum catalog_type catalog_column_type(enum catalog_file file, const char *name);

/* A model as a row of FILE_MODELS, for csv_text. NULL when out of memory. */
struct model;
const struct csv_cell *catalog_model_cells(const struct model *model, struct arena *arena, size_t *ret_count);

/* The same of a calibration, as a row of FILE_CALIBRATIONS. */
const struct csv_cell *catalog_calibration_cells(const struct calibration *calibration, struct arena *arena,
                                                 size_t *ret_count);

/* Whether files that somebody gave could be loaded: else a problem with that status for each bad cell, which names the
 * column alone. */
enum status catalog_check(const struct catalog_text files[CATALOG_FILE_COUNT], enum status refused,
                          struct problems *problems) MUST_CHECK;
