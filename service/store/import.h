/* import.h owns bringing prices into the catalog: staged, compared with what is there, and applied or taken back, all
 * in one transaction. */
#pragma once
#include "store/actor.h"

/* One import under way, for the calls below. */
struct store_import;

struct store_import_options {
    const char *kind, *source;        /* for the record: "csv", the file's name */
    bool complete;                    /* offers of its providers that it does not name end */
    bool dry_run;                     /* tells what would change, and changes nothing */
    bool accept_jumps;                /* else an import with a price that changes by more than jump_factor is refused */
    double jump_factor;               /* at least 1 */
    const struct store_actor *actor;  /* who imports; NULL: the role of the session */
    const struct catalog_text *facts; /* CATALOG_FILE_COUNT files to be written before, as store_catalog_write does;
                                         NULL: none */
    void *context;
    /* Hands over all rows by the functions below. May be called again from the beginning, after a lost connection. */
    enum status (*rows)(void *context, struct store_import *import, struct problems *problems);
    /* What is told of it instead of the report, in the arena of the import; what is not STATUS_OK takes all back. NULL:
     * the report is. */
    enum status (*answer)(void *context, const char *report, struct problems *problems, const char **ret_json);
};

struct store_import_report { /* texts in the arena */
    const char *json;        /* what was found and done, one object */
    const char *summary;     /* the same for people, in lines */
    size_t facts;            /* rows of facts that were inserted or changed */
};

/* An unchanged file leaves a record of the run and makes no version. STATUS_CONTRADICTION, and nothing is changed, when
 * prices jump; the problems name the worst. Two imports at a time wait for each other. */
enum status store_import(struct store *store, const struct store_import_options *options, struct arena *arena,
                         struct problems *problems, struct store_import_report *ret_report) MUST_CHECK;

/* Within `rows`; one import is of offers, of purchase prices, or of observations. */
enum status store_import_offer(struct store_import *import, uint32_t line, const struct offer *offer,
                               const char *gpu_id) MUST_CHECK;
enum status store_import_purchase(struct store_import *import, uint32_t line, const struct purchase_price *price,
                                  const char *gpu_id) MUST_CHECK;
/* `cells`: one JSON object whose members are columns of gpusize.observation; at most STORE_CELLS_BYTES_MAX. */
enum { STORE_CELLS_BYTES_MAX = 8 << 10 };
enum status store_import_observation(struct store_import *import, uint32_t line, const char *source, const char *uid,
                                     date_t as_of, const char *cells) MUST_CHECK;
enum status store_import_reject(struct store_import *import, uint32_t line, const char *field,
                                const char *reason) MUST_CHECK;
/* The hash of the file, 64 hexadecimal digits. */
void store_import_hash(struct store_import *import, const char *sha256);
/* Dollars for one unit of a currency, the newest that the database has; UNKNOWN if it has none. */
double store_import_rate(const struct store_import *import, const char *currency);

struct store_import_time { /* text in the arena */
    const char *kind;
    int64_t unix_s;
};
/* When each kind was last imported, with changes or without, by kind. */
enum status store_import_times(struct store *store, struct arena *arena, struct problems *problems,
                               const struct store_import_time **ret_times, size_t *ret_count) MUST_CHECK;
