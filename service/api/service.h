/* service.h owns what a handler finds behind its request besides the catalog: request->data of a running service. */
#pragma once

struct keyring;
struct live;
struct recorder;
struct store;

struct service {
    struct live *live;
    struct keyring *keys;
    struct recorder *recorder; /* NULL: no answer is stored */
    struct store *store;       /* for requests; NULL: the catalog is the built-in one */
};
