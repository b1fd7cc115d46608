/* access.h owns who may do what: roles, and the caller that a request comes from. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum role { /* each may also what those before it may */
            ROLE_NONE,
            ROLE_READER,
            ROLE_WRITER,
            ROLE_ADMIN,
            ROLE_COUNT
};
const char *role_name(enum role role); /* "none", "reader", … */
/* False for "none" and for what is no role. */
bool role_parse(const char *name, enum role *ret_role);

enum { KEY_ID_BYTES = 13, CALLER_NAME_BYTES = 101 };

/* Whose key a request came with. */
struct caller {
    enum role role; /* ROLE_NONE: it came without one, and the rest is empty */
    char key_id[KEY_ID_BYTES];
    char name[CALLER_NAME_BYTES];
    double requests_per_second; /* limit of this key; UNKNOWN: the service's */
};

enum { KEY_HASH_BYTES = 65 };

/* A key as it is kept: whose it is, and the hash of the part that only its owner has. */
struct key {
    struct caller caller;
    char hash[KEY_HASH_BYTES]; /* BLAKE2b-256 in hexadecimal digits */
    int64_t expires_unix_s;    /* 0: never */
};
