/* limits.c owns the table of callers. The rate is kept by one time for each (the generic cell rate algorithm of ATM):
 * when the next request would be due if they came evenly; a request may come up to the burst before it. */
#include "http/limits.h"

#include <math.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 16, SETS = 256, WAYS = 4 }; /* room for 16,384 callers */

struct caller_slot {
    uint64_t hash, due_us; /* hash 0: free */
};
struct shard {
    pthread_mutex_t lock;
    struct caller_slot slots[SETS][WAYS];
};
struct limits {
    unsigned char hash_key[crypto_shorthash_KEYBYTES]; /* random: nobody can aim at another's slot */
    struct shard shards[SHARDS];
};

struct limits *limits_new(void)
{
    struct limits *limits = sodium_init() < 0 ? NULL : calloc(1, sizeof *limits);
    if (!limits) return NULL;
    crypto_shorthash_keygen(limits->hash_key);
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&limits->shards[i].lock, NULL);
    return limits;
}

void limits_free(struct limits *limits)
{
    if (!limits) return;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_destroy(&limits->shards[i].lock);
    free(limits);
}

/* The caller's slot, or the one whose caller has waited longest. */
static struct caller_slot *find_slot(struct shard *shard, uint64_t hash)
{
    struct caller_slot *set = shard->slots[hash / SHARDS % SETS], *oldest = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].hash == hash) return &set[i];
        if (set[i].due_us < oldest->due_us) oldest = &set[i];
    }
    *oldest = (struct caller_slot){.hash = hash};
    return oldest;
}

bool limits_take(struct limits *limits, const char *name, double requests_per_second, uint64_t now_us,
                 unsigned *ret_retry_s)
{
    uint64_t hash = 0;
    const double period_us = 1e6 / requests_per_second;
    const double burst_us = fmax(BURST_S * 1e6, period_us); /* one request is always possible */
    (void)crypto_shorthash((unsigned char *)&hash, (const unsigned char *)name, strlen(name), limits->hash_key);
    struct shard *shard = &limits->shards[hash % SHARDS];
    pthread_mutex_lock(&shard->lock);
    struct caller_slot *slot = find_slot(shard, hash);
    const double due_us = fmax((double)slot->due_us, (double)now_us) + period_us;
    const double early_us = due_us - burst_us - (double)now_us;
    if (early_us <= 0) slot->due_us = (uint64_t)due_us;
    pthread_mutex_unlock(&shard->lock);
    if (early_us <= 0) return true;
    *ret_retry_s = (unsigned)fmin(ceil(early_us / 1e6), 86400);
    return false;
}
