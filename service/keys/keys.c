/* keys.c owns the making of keys and the sorted array behind a keyring. */
#include "keys/keys.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ID_DIGITS = KEY_ID_BYTES - 1, SECRET_DIGITS = KEY_SECRET_BYTES - 1, PREFIX_LENGTH = sizeof KEY_PREFIX - 1 };

struct keyring {
    pthread_rwlock_t lock;
    struct key *keys; /* sorted by id */
    size_t count;
    bool known; /* they have been told */
};

static void hash_secret(const char *secret, char ret_hash[KEY_HASH_BYTES])
{
    unsigned char hash[crypto_generichash_BYTES];
    _Static_assert(2 * sizeof hash + 1 == KEY_HASH_BYTES, "BLAKE2b-256 in hexadecimal digits");
    (void)crypto_generichash(hash, sizeof hash, (const unsigned char *)secret, SECRET_DIGITS, NULL, 0);
    (void)sodium_bin2hex(ret_hash, KEY_HASH_BYTES, hash, sizeof hash);
}

void key_make(struct key *key, char ret_text[KEY_TEXT_BYTES])
{
    unsigned char id[ID_DIGITS / 2], secret[SECRET_DIGITS / 2];
    char digits[KEY_SECRET_BYTES];
    randombytes_buf(id, sizeof id);
    randombytes_buf(secret, sizeof secret);
    (void)sodium_bin2hex(key->caller.key_id, sizeof key->caller.key_id, id, sizeof id);
    (void)sodium_bin2hex(digits, sizeof digits, secret, sizeof secret);
    hash_secret(digits, key->hash);
    (void)snprintf(ret_text, KEY_TEXT_BYTES, KEY_PREFIX "%s_%s", key->caller.key_id, digits);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(digits, sizeof digits);
}

struct keyring *keyring_new(void)
{
    struct keyring *ring = sodium_init() < 0 ? NULL : calloc(1, sizeof *ring);
    if (ring) pthread_rwlock_init(&ring->lock, NULL);
    return ring;
}

void keyring_free(struct keyring *ring)
{
    if (!ring) return;
    pthread_rwlock_destroy(&ring->lock);
    free(ring->keys);
    free(ring);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct key *)a)->caller.key_id, ((const struct key *)b)->caller.key_id);
}

enum status keyring_replace(struct keyring *ring, const struct key *keys, size_t count)
{
    struct key *copy = calloc(count + 1, sizeof *copy);
    if (!copy) return STATUS_OUT_OF_MEMORY;
    if (count > 0) memcpy(copy, keys, count * sizeof *copy);
    qsort(copy, count, sizeof *copy, compare_keys);
    pthread_rwlock_wrlock(&ring->lock);
    struct key *former = ring->keys;
    ring->keys = copy;
    ring->count = count;
    ring->known = true;
    pthread_rwlock_unlock(&ring->lock);
    free(former);
    return STATUS_OK;
}

/* Cuts what begins like a key into its parts; false if it is none. */
static bool take_apart(const char *text, struct key *ret_wanted)
{
    static const char hex[] = "0123456789abcdef";
    const char *id = text + PREFIX_LENGTH, *secret = id + ID_DIGITS + 1;
    if (strlen(text) != KEY_TEXT_BYTES - 1) return false;
    if (strspn(id, hex) != ID_DIGITS || id[ID_DIGITS] != '_' || strspn(secret, hex) != SECRET_DIGITS) return false;
    memcpy(ret_wanted->caller.key_id, id, ID_DIGITS);
    hash_secret(secret, ret_wanted->hash);
    return true;
}

enum status keyring_find(struct keyring *ring, const char *text, struct caller *ret_caller)
{
    struct key wanted = {0};
    if (strncmp(text, KEY_PREFIX, PREFIX_LENGTH) != 0) return STATUS_NOT_FOUND;
    if (!take_apart(text, &wanted)) return STATUS_UNAUTHORIZED;
    enum status status = STATUS_UNAUTHORIZED;
    pthread_rwlock_rdlock(&ring->lock);
    const struct key *key =
        ring->count ? bsearch(&wanted, ring->keys, ring->count, sizeof *ring->keys, compare_keys) : NULL;
    bool same = key && sodium_memcmp(key->hash, wanted.hash, KEY_HASH_BYTES) == 0;
    if (same && (key->expires_unix_s == 0 || key->expires_unix_s > (int64_t)time(NULL))) {
        *ret_caller = key->caller;
        status = STATUS_OK;
    }
    if (!ring->known) status = STATUS_DATABASE_AWAY;
    pthread_rwlock_unlock(&ring->lock);
    return status;
}
