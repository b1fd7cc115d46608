/* serve_catalog.h owns where the catalog of a service with a database comes from. */
#pragma once
#include "cli/import_ages.h"
#include "keys/keys.h"
#include "live/live.h"
#include "store/store.h"

/* Of the thread that refreshes; whoever makes one sets what has no other value below, and closes what it opened. */
struct serve_catalog {
    const char *application_name;    /* of the session that listens */
    const char *listen_url;          /* "" = nobody tells of changes */
    struct store *store;             /* NULL: there is no database */
    struct keyring *keys;            /* kept up to date with the catalog */
    struct import_ages imports;      /* so, too, now and then */
    int64_t keys_state;              /* of what it holds; -1: nothing yet */
    struct store_listener *listener; /* NULL: none now */
    bool cannot_listen;              /* the log was told */
    uint64_t listen_after_us;        /* when to try again to have one; of the clock that nobody sets */
};

struct live_source serve_catalog_source(struct serve_catalog *catalog);
