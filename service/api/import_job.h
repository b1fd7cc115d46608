/* import_job.h owns one import from its bytes to its report: what the command line and HTTP do alike. */
#pragma once
#include "import/import.h"
#include "store/import.h"
#include "wire/input.h"

#include <stdio.h>

/* What is asked for besides the bytes, as import_fields decodes it. */
struct import_request {
    int64_t kind; /* enum import_format */
    const char *provider, *source;
    date_t as_of;
    int64_t dry_run, accept_jumps, complete;
    double jump_factor;
};
enum { IMPORT_FIELDS = 8 };
extern const struct field import_fields[IMPORT_FIELDS];

/* Decodes and fills in what was left out; `source` stays NULL, as only the caller knows where the bytes are from. */
enum status import_request_decode(const struct input *input, date_t today, struct arena *arena,
                                  struct problems *problems, struct import_request *ret_request) MUST_CHECK;

struct import_job {
    const struct import_request *request; /* with a source */
    FILE *file;                           /* read from its beginning, more than once if need be; or NULL and */
    const char *text;                     /* the bytes in memory */
    size_t length;
    const struct catalog_text *facts; /* of the whole catalog, to be written before in the same transaction; or NULL */
    const struct store_actor *actor;  /* who imports; NULL: the role of the session */
    void (*progress)(void *context, size_t bytes); /* that were read so far; may be NULL */
    /* Told of each refusal, perhaps once more after a lost connection; may be NULL. */
    void (*rejected)(void *context, uint32_t line, const char *field, const char *reason);
    /* What is told instead of the report, which is one line of JSON; what is not STATUS_OK takes all back. May be
     * NULL. */
    enum status (*answer)(void *context, const char *report, struct problems *problems, const char **ret_json);
    void *context;
};
struct import_outcome {
    struct import_counts counts;
    struct store_import_report report; /* texts in the arena */
};

/* Memory does not grow with the bytes, nor with the offers of the database. Fails like import_read and store_import. */
enum status import_job_run(struct store *store, const struct import_job *job, struct arena *arena,
                           struct problems *problems, struct import_outcome *ret_outcome) MUST_CHECK;
