/* record.h owns answers on their way into storage: taken without waiting, packed and written by a thread of its own. */
#pragma once
#include "catalog/status.h"
#include "catalog/text.h"
#include "catalog/units.h"

struct record_text { /* any bytes */
    const char *bytes;
    size_t length;
};

/* How a question was asked: as a JSON body; as the query of a URL, percent-encoded. */
#define RECORD_JSON "json"
#define RECORD_QUERY "query"

/* An answer with what is needed to compute it again. */
struct record {
    const char *id, *operation;    /* of the answer, of the question */
    const char *question_form;     /* RECORD_JSON or RECORD_QUERY */
    const char *catalog_version;   /* what it was computed from */
    const char *estimator_version; /* what computed it */
    const char *created_by;        /* who asked; "" = nobody told */
    date_t asked_on;               /* the day that counted as today */
    struct record_text question, answer;
    char answer_hash[HASH_TEXT_BYTES]; /* of the answer's own bytes; set when packing */
};

/* In zlib's format; the packed bytes are to be freed. false when out of memory. */
bool record_deflate(struct record_text text, struct record_text *ret_packed) MUST_CHECK;
/* The text in the arena. STATUS_DATABASE if the bytes are nothing that was packed, or more than max_bytes. */
enum status record_inflate(struct record_text packed, size_t max_bytes, struct arena *arena, struct problems *problems,
                           struct record_text *ret_text) MUST_CHECK;

struct recorder_settings {
    size_t queue_max_bytes; /* of what waits, all that belongs to it included; more is dropped */
    unsigned drain_ms;      /* time at the end to write what waits */
    /* Writes records whose question and answer are packed, all of them or none. The same may come again after a
     * failure: of a status that is retryable, the same batch; of any other, one by one, and those that fail by
     * themselves are dropped. */
    enum status (*write)(void *data, const struct record *records, size_t count, struct problems *problems);
    void *data;
    /* One line for the log: cannot be stored, can be again, lost at the end. Called by the recorder's thread, or
     * recorder_free. */
    void (*report)(const char *line);
};

struct record_counts {
    uint64_t stored, dropped;
    size_t queue_bytes;
};

struct recorder;
/* Starts the thread: block signals before. */
enum status recorder_new(const struct recorder_settings *settings, struct problems *problems,
                         struct recorder **ret_recorder) MUST_CHECK;
/* Any thread. Copies everything and returns at once; false: there was no room, and it is counted as dropped. */
bool record_add(struct recorder *recorder, const struct record *record);
struct record_counts recorder_count(struct recorder *recorder);
/* Writes what waits, for drain_ms at most; the rest is dropped. Accepts NULL. */
void recorder_free(struct recorder *recorder);
