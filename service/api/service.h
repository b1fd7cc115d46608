/* service.h owns what a handler finds behind its request besides the catalog: request->data of a running service. */
#pragma once
#include <stdint.h>

struct feed;
struct import_ages;
struct keyring;
struct live;
struct recorder;
struct serve_watch;
struct sinks;
struct store;

struct service {
    struct live *live;
    struct keyring *keys;
    int64_t price_age_max_days;  /* see struct call */
    struct recorder *recorder;   /* NULL: no answer is stored */
    struct store *store;         /* for requests; NULL: the catalog is the built-in one */
    struct feed *feed;           /* what hosts report */
    struct sinks *sinks;         /* whom alerts of hosts go to; for the metrics */
    struct serve_watch *watch;   /* of this host; for the metrics; NULL: it is not watched */
    struct import_ages *imports; /* for the metrics */
};
