/* calibration.h owns calibrations that are uploaded and retired: what a report of a probe becomes in the database. */
#pragma once
#include "store/actor.h"

struct store_calibrations {
    const char *pool;
    const char *report_id;   /* BLAKE2b-128 of the report, in hexadecimal digits */
    const char *report;      /* as it was uploaded: JSON */
    const char *note;        /* NULL: none */
    const char *const *ids;  /* of the rows */
    const char *const *rows; /* JSON objects whose members are columns of gpusize.calibration */
    size_t count;
    const char *left_out; /* for the answer: a JSON list */
    const struct store_actor *actor;
};

/* One transaction, at most one version. Rows that are there already stay as they are. Of each two of one GPU (by its
 * key, where both tell one) in the pool, between which driver or clocks have changed, the older is retired, which the
 * answer tells. http_status: 201, or 200 if all were there. */
enum status store_calibrations_add(struct store *store, const struct store_calibrations *calibrations,
                                   struct arena *arena, struct problems *problems,
                                   struct store_written *ret_written) MUST_CHECK;
/* Retires those with the id, of one pool or (NULL) of all. STATUS_NOT_FOUND if there is none; one that is retired stays
 * so. */
enum status store_calibration_retire(struct store *store, const char *id, const char *pool,
                                     const struct store_actor *actor, struct arena *arena, struct problems *problems,
                                     struct store_written *ret_written) MUST_CHECK;
