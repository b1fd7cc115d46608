/* live.h owns the catalog that answers now: a snapshot that a thread of its own refreshes from wherever the catalog
 * lives, and swaps while requests go on with the one that they began with.
 *
 * The source is given as callbacks. Whatever happens to it, the last snapshot stays; health says since when and why. */
#pragma once
#include "catalog/load.h"

#include <stdint.h>

/* A catalog as texts, and which one it is. */
struct live_texts {
    const char *version; /* "<database uuid>:<number>" */
    struct catalog_text files[CATALOG_FILE_COUNT];
};

struct live_source {
    /* Reads the catalog into the arena. If its version is still `known_version` (NULL: none is known), it may leave the
     * files out. Problems must not name a password: people are shown them. */
    enum status (*load)(void *data, const char *known_version, struct arena *arena, struct problems *problems,
                        struct live_texts *ret_texts);
    /* Waits until it is told of a change, or `wake_fd` can be read, or the time is over; returns true. Returns true at
     * once when it has begun to listen anew, since what was told before is lost. Returns false at once if it cannot
     * listen now; it is asked again within 5 s. NULL: it never can. */
    bool (*wait)(void *data, int wake_fd, unsigned timeout_ms);
    void *data;
};

struct live_settings {
    struct live_source source;  /* load NULL: the first snapshot stays for ever */
    unsigned poll_ms;           /* between looks at the version when nobody tells of changes */
    unsigned listening_poll_ms; /* when somebody does: a notification may be lost */
    const char *cache_path;     /* borrowed; where the newest catalog is kept for a restart; NULL = nowhere */
    /* One line for the log: loaded, degraded, recovered. Called by the refreshing thread; NULL = nobody wants it. */
    void (*report)(const char *line);
};

struct live;

/* A snapshot that is held. */
struct live_view {
    const struct snapshot *snapshot; /* NULL: none is loaded yet */
    struct live *live;
};

struct live_health {
    bool sourced;           /* there is a source; else the rest is 0 */
    bool degraded;          /* the source did not answer, or not yet: what is loaded may be old */
    int64_t since_unix_s;   /* degraded: since when */
    int64_t current_unix_s; /* when the loaded snapshot was last known to be the newest; 0 = none is loaded */
    int64_t age_s;          /* how long ago that was; 0 if the clock was set back since */
    uint64_t reloads, load_failures;
    char reason[256]; /* degraded: why */
};

/* Takes `first`, which may be NULL where there is a source. If there is a cache file and no first snapshot, it begins
 * with the file's; a file that cannot be used is reported and left alone. Starts the refreshing thread: block signals
 * before. */
enum status live_new(const struct live_settings *settings, struct snapshot *first, struct problems *problems,
                     struct live **ret_live) MUST_CHECK;
/* Returns when the source was tried once, or after that time. */
void live_settle(struct live *live, unsigned timeout_ms);
/* All views must have been released. Accepts NULL. */
void live_free(struct live *live);

/* Never waits, in any thread; never NULL. */
const struct live_view *live_acquire(struct live *live);
void live_release(const struct live_view *view);

void live_health(struct live *live, struct live_health *ret_health);
