/* import_ages.h owns when each kind of prices was last imported: noted by the thread that refreshes, told to whoever
 * asks for the metrics. */
#pragma once
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { IMPORT_KINDS_MAX = 16, IMPORT_KIND_BYTES = 32 };

struct import_age {
    char kind[IMPORT_KIND_BYTES];
    int64_t unix_s;
};
struct import_ages {
    pthread_mutex_t lock;
    size_t count; /* 0: nothing was imported, or that is not known yet */
    struct import_age items[IMPORT_KINDS_MAX];
    uint64_t look_after_us; /* of the refreshing thread alone; of the clock that nobody sets */
};
#define IMPORT_AGES_INIT                                                                                               \
    {                                                                                                                  \
        .lock = PTHREAD_MUTEX_INITIALIZER                                                                              \
    }

struct store;
/* Asks the database, unless it has done so lately. What goes wrong leaves everything as it was: answers do not depend
 * on it. */
void import_ages_refresh(struct import_ages *ages, struct store *store);
/* Returns how many there are. */
size_t import_ages_copy(struct import_ages *ages, struct import_age ret_items[IMPORT_KINDS_MAX]);
