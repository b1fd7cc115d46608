/* cache.c owns the shards: each has its own lock, table and share of the bytes. */
#include "http/cache.h"

#include <assert.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 8, BUCKETS = 1024 }; /* per shard */

struct entry {
    struct entry *next;          /* in its bucket */
    struct entry *newer, *older; /* by use */
    uint64_t hash;
    size_t cost_bytes;
    struct answer *answer;
    struct question question; /* its texts are in key[] */
    char key[];
};

struct shard {
    pthread_mutex_t lock;
    struct entry *newest, *oldest;
    struct cache_counts counts;
    struct entry *buckets[BUCKETS];
};

struct cache {
    unsigned char hash_key[crypto_shorthash_KEYBYTES]; /* random: nobody can aim for collisions */
    size_t shard_max_bytes;
    struct shard shards[SHARDS];
};

struct cache *cache_new(size_t max_bytes)
{
    struct cache *cache = sodium_init() < 0 ? NULL : calloc(1, sizeof *cache);
    if (!cache) return NULL;
    crypto_shorthash_keygen(cache->hash_key);
    cache->shard_max_bytes = max_bytes / SHARDS;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&cache->shards[i].lock, NULL);
    return cache;
}

static void entry_free(struct entry *entry)
{
    answer_release(entry->answer);
    free(entry);
}

void cache_free(struct cache *cache)
{
    if (!cache) return;
    for (size_t i = 0; i < SHARDS; i++) {
        for (struct entry *entry = cache->shards[i].newest; entry;) {
            struct entry *older = entry->older;
            entry_free(entry);
            entry = older;
        }
        pthread_mutex_destroy(&cache->shards[i].lock);
    }
    free(cache);
}

static uint64_t hash_bytes(const struct cache *cache, const char *bytes, size_t length)
{
    uint64_t hash = 0;
    _Static_assert(sizeof hash == crypto_shorthash_BYTES, "SipHash-2-4 gives 8 bytes");
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)bytes, length, cache->hash_key);
    return hash;
}

/* The version is compared, not hashed: a question has one current answer. */
static uint64_t hash_question(const struct cache *cache, const struct question *question)
{
    uint64_t uri = hash_bytes(cache, question->uri, question->uri_length);
    if (question->kind == 'G') return uri;
    uint64_t mixed[2] = {uri, hash_bytes(cache, question->body, question->body_length)};
    return hash_bytes(cache, (const char *)mixed, sizeof mixed);
}

static bool same_question(const struct question *a, const struct question *b)
{
    return a->kind == b->kind && a->uri_length == b->uri_length && a->body_length == b->body_length &&
           memcmp(a->uri, b->uri, a->uri_length) == 0 &&
           (a->body_length == 0 || memcmp(a->body, b->body, a->body_length) == 0) &&
           strcmp(a->version, b->version) == 0;
}

static struct entry **find(struct shard *shard, uint64_t hash, const struct question *question)
{
    struct entry **slot = &shard->buckets[hash / SHARDS % BUCKETS];
    while (*slot && ((*slot)->hash != hash || !same_question(&(*slot)->question, question)))
        slot = &(*slot)->next;
    return slot;
}

static void list_remove(struct shard *shard, struct entry *entry)
{
    *(entry->newer ? &entry->newer->older : &shard->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &shard->oldest) = entry->newer;
}

static void list_push(struct shard *shard, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = shard->newest;
    *(shard->newest ? &shard->newest->newer : &shard->oldest) = entry;
    shard->newest = entry;
}

static struct answer *look_up(struct cache *cache, const struct question *question, bool counted)
{
    uint64_t hash = hash_question(cache, question);
    struct shard *shard = &cache->shards[hash % SHARDS];
    pthread_mutex_lock(&shard->lock);
    struct entry *entry = *find(shard, hash, question);
    if (entry && question->to_be_recorded && entry->answer->reply.recording != RECORDING_SETTLED) entry = NULL;
    struct answer *answer = entry ? answer_hold(entry->answer) : NULL;
    if (entry && entry != shard->newest) {
        list_remove(shard, entry);
        list_push(shard, entry);
    }
    shard->counts.hits += counted && entry;
    shard->counts.misses += counted && !entry;
    pthread_mutex_unlock(&shard->lock);
    return answer;
}

struct answer *cache_get(struct cache *cache, const struct question *question)
{
    return look_up(cache, question, true);
}

struct answer *cache_look_again(struct cache *cache, const struct question *question)
{
    return look_up(cache, question, false);
}

static struct entry *entry_new(const struct question *question, uint64_t hash, struct answer *answer)
{
    size_t version_bytes = strlen(question->version) + 1;
    size_t key_bytes = version_bytes + question->uri_length + question->body_length;
    struct entry *entry = malloc(sizeof *entry + key_bytes);
    if (!entry) return NULL;
    *entry = (struct entry){
        .hash = hash,
        .cost_bytes = sizeof *entry + key_bytes + answer_cost(answer),
        .answer = answer_hold(answer),
        .question = *question,
    };
    char *uri = entry->key + version_bytes, *body = uri + question->uri_length;
    memcpy(entry->key, question->version, version_bytes);
    memcpy(uri, question->uri, question->uri_length);
    if (question->body_length) memcpy(body, question->body, question->body_length);
    entry->question.version = entry->key;
    entry->question.uri = uri;
    entry->question.body = body;
    return entry;
}

static void drop(struct shard *shard, struct entry **slot)
{
    struct entry *entry = *slot;
    assert(entry); /* every entry of the list stands in the table too */
    *slot = entry->next;
    list_remove(shard, entry);
    shard->counts.bytes -= entry->cost_bytes;
    shard->counts.entries--;
    entry_free(entry);
}

void cache_put(struct cache *cache, const struct question *question, struct answer *answer)
{
    uint64_t hash = hash_question(cache, question);
    struct shard *shard = &cache->shards[hash % SHARDS];
    struct entry *entry = entry_new(question, hash, answer);
    if (!entry) return;
    if (entry->cost_bytes > cache->shard_max_bytes) {
        entry_free(entry);
        return;
    }
    pthread_mutex_lock(&shard->lock);
    struct entry **same = find(shard, hash, question);
    if (*same) drop(shard, same); /* two threads answered it at once: the later one stays */
    while (shard->counts.bytes + entry->cost_bytes > cache->shard_max_bytes) {
        drop(shard, find(shard, shard->oldest->hash, &shard->oldest->question));
        shard->counts.evictions++;
    }
    struct entry **bucket = &shard->buckets[hash / SHARDS % BUCKETS];
    entry->next = *bucket;
    *bucket = entry;
    list_push(shard, entry);
    shard->counts.bytes += entry->cost_bytes;
    shard->counts.entries++;
    pthread_mutex_unlock(&shard->lock);
}

struct cache_counts cache_count(struct cache *cache)
{
    struct cache_counts sum = {0};
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *shard = &cache->shards[i];
        pthread_mutex_lock(&shard->lock);
        sum.hits += shard->counts.hits;
        sum.misses += shard->counts.misses;
        sum.evictions += shard->counts.evictions;
        sum.entries += shard->counts.entries;
        sum.bytes += shard->counts.bytes;
        pthread_mutex_unlock(&shard->lock);
    }
    return sum;
}
