/* import_ages.c owns the asking for import times and the lock before them. */
#include "cli/import_ages.h"

#include "http/clock.h"
#include "store/import.h"

#include <stdio.h>
#include <string.h>

enum { ARENA_BYTES = 1 << 20, PAUSE_US = 10 * 1000 * 1000 };

/* As a label's value, which needs no escapes then. */
static void take_kind(const char *kind, char text[IMPORT_KIND_BYTES])
{
    (void)snprintf(text, IMPORT_KIND_BYTES, "%s", kind);
    text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-")] = '\0';
}

void import_ages_refresh(struct import_ages *ages, struct store *store)
{
    struct arena arena;
    struct problems problems;
    const struct store_import_time *times = NULL;
    size_t count = 0;
    if (clock_now_us() < ages->look_after_us) return;
    ages->look_after_us = clock_now_us() + PAUSE_US;
    arena_init(&arena, ARENA_BYTES);
    problems_init(&problems, &arena);
    if (store_import_times(store, &arena, &problems, &times, &count) == STATUS_OK) {
        pthread_mutex_lock(&ages->lock);
        ages->count = count < IMPORT_KINDS_MAX ? count : IMPORT_KINDS_MAX;
        for (size_t i = 0; i < ages->count; i++) {
            take_kind(times[i].kind, ages->items[i].kind);
            ages->items[i].unix_s = times[i].unix_s;
        }
        pthread_mutex_unlock(&ages->lock);
    }
    arena_done(&arena);
}

size_t import_ages_copy(struct import_ages *ages, struct import_age ret_items[IMPORT_KINDS_MAX])
{
    pthread_mutex_lock(&ages->lock);
    size_t count = ages->count;
    memcpy(ret_items, ages->items, count * sizeof *ret_items);
    pthread_mutex_unlock(&ages->lock);
    return count;
}
