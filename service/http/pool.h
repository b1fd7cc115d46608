/* pool.h owns the threads that work on requests: a bounded queue, first come first served. They run at a lower priority
 * than the HTTP threads, so that slow questions do not starve quick answers. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct job { /* lives inside what it works on, until `run` has been called */
    struct job *next;
    void (*run)(struct job *job);
};

struct pool;
/* NULL if a thread cannot be started. */
struct pool *pool_new(unsigned workers, unsigned queue_max);
/* false if no worker is idle and `queue_max` jobs wait already. */
bool pool_submit(struct pool *pool, struct job *job);
size_t pool_waiting(struct pool *pool);
/* Runs what was submitted to its end. Accepts NULL. */
void pool_free(struct pool *pool);
