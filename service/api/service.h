/* service.h owns what a handler finds behind its request besides the catalog: request->data of a running service. */
#pragma once
#include <stdint.h>

struct feed;
struct keyring;
struct live;
struct recorder;
struct store;

struct service {
    struct live *live;
    struct keyring *keys;
    int64_t price_age_max_days; /* see struct call */
    struct recorder *recorder;  /* NULL: no answer is stored */
    struct store *store;        /* for requests; NULL: the catalog is the built-in one */
    struct feed *feed;          /* what hosts report */
};
