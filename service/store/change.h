/* change.h owns single changes of the catalog: one entry is made, changed or retired, in one transaction with its line
 * in the audit log and the answer that a repeat gets. */
#pragma once
#include "store/actor.h"

enum store_change_kind { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_RETIRE };

enum { STORE_VALUES_MAX = 60 };

struct store_change {
    enum store_change_kind kind;
    enum catalog_file file;        /* FILE_GPUS, FILE_MODELS or FILE_OFFERS */
    const char *id;                /* of the entry; of an offer its number; CHANGE_CREATE of an offer: NULL */
    int64_t version;               /* that the entry must have; < 0: any */
    const struct csv_cell *values; /* the columns that are given; of a model also config and config_sha256 */
    size_t value_count;
    const struct store_actor *actor;
};

/* The answer: the entry as it is now, with its version. STATUS_INVALID_VALUE with a problem for every bad cell,
 * STATUS_ALREADY_EXISTS, STATUS_NOT_FOUND, STATUS_PRECONDITION_FAILED (another version), STATUS_IN_USE (others refer to
 * it), STATUS_CONTRADICTION (the idempotency key was used for something else). */
enum status store_change(struct store *store, const struct store_change *change, struct arena *arena,
                         struct problems *problems, struct store_written *ret_written, int64_t *ret_version) MUST_CHECK;
