/* keys.h owns API keys: what one looks like, how it is made, and which ones are good now.
 *
 * A key is "gpusize_<id>_<secret>": 12 hexadecimal digits that may be shown, and 256 random bits that only its owner
 * has. What is kept is their BLAKE2b-256: a secret of that size needs no slow hash, since nobody can guess it. */
#pragma once
#include "catalog/access.h"
#include "catalog/status.h"

#define KEY_PREFIX "gpusize_"
enum {
    KEY_SECRET_BYTES = 65, /* with the NUL, as the others */
    KEY_TEXT_BYTES = sizeof KEY_PREFIX - 1 + KEY_ID_BYTES - 1 + 1 + KEY_SECRET_BYTES,
};

/* A new one: its text is nowhere else, and its caller's key_id and hash are set. */
void key_make(struct key *key, char ret_text[KEY_TEXT_BYTES]);

/* The keys that are good now. Any thread may look, while another replaces them. */
struct keyring;
struct keyring *keyring_new(void);       /* NULL when out of memory */
void keyring_free(struct keyring *ring); /* accepts NULL */
/* Copies the keys, in any order. Until this was called once nobody can tell whether a key is good. */
enum status keyring_replace(struct keyring *ring, const struct key *keys, size_t count) MUST_CHECK;
/* Whose key it is: STATUS_NOT_FOUND for what does not look like one, STATUS_UNAUTHORIZED for one that is not known or
 * has expired, STATUS_DATABASE_AWAY while nobody can tell. The time that it takes tells nothing about a secret. */
enum status keyring_find(struct keyring *ring, const char *text, struct caller *ret_caller) MUST_CHECK;
