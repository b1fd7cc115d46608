/* outbox.h owns texts on their way out: taken without waiting, sent by a thread of their own, again and again while it
 * cannot be done, and dropped, oldest first, when there are too many. */
#pragma once
#include "catalog/status.h"

#include <stdatomic.h>
#include <stdint.h>

enum outbox_result {
    OUTBOX_SENT,
    OUTBOX_AGAIN,   /* it may go better later */
    OUTBOX_REFUSED, /* it will never: it is dropped */
};

struct outbox_text {
    const char *bytes;
    size_t length;
};

struct outbox_settings {
    const char *name;      /* in what is reported: "webhook" */
    size_t queue_max;      /* texts that wait; more drop the oldest */
    size_t batch_max;      /* texts that are sent together, 1 … OUTBOX_BATCH_MAX */
    unsigned gather_ms;    /* waits so long for more, before a batch */
    unsigned tries_max;    /* of one batch; 0: until it is sent or dropped */
    unsigned pause_min_ms; /* after the first failure; doubled each time */
    unsigned pause_max_ms;
    unsigned drain_ms; /* at the end, to send what waits */
    /* By the outbox's thread; must come back within a limit of its own, and soon when *stop. `why` is of a failure. */
    enum outbox_result (*send)(void *data, const struct outbox_text *texts, size_t count, const atomic_bool *stop,
                               char why[], size_t why_bytes);
    void *data;
    void (*report)(
        const char *line); /* one line of JSON for the log: fails, works again, lost; NULL: nobody wants it */
};

enum { OUTBOX_BATCH_MAX = 64 };

struct outbox_counts {
    uint64_t sent, failed_tries, dropped;
    size_t waiting;
};

struct outbox;
/* Starts the thread: block signals before. `name` and `data` are borrowed. */
enum status outbox_new(const struct outbox_settings *settings, struct problems *problems,
                       struct outbox **ret_outbox) MUST_CHECK;
/* Any thread; copies it. */
void outbox_add(struct outbox *outbox, const char *bytes, size_t length);
struct outbox_counts outbox_count(struct outbox *outbox);
void outbox_free(struct outbox *outbox); /* sends what waits, for drain_ms at most; accepts NULL */
