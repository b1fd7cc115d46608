/* cache.h owns finished answers by the question's exact bytes and the catalog version: a repeat is found without
 * parsing anything. Bounded in bytes, least recently used goes first. */
#pragma once
#include "http/answer.h"

#include <stdint.h>

struct question {        /* borrowed texts */
    const char *version; /* of the catalog */
    char kind;           /* 'G' for GET and HEAD, 'P' for POST of JSON, 'L' of what is not */
    const char *uri;     /* path, format suffix and raw query */
    size_t uri_length;
    const char *body;
    size_t body_length;
    bool to_be_recorded; /* only an answer whose recording is settled will do */
};

struct cache_counts {
    uint64_t hits, misses, evictions;
    size_t entries, bytes;
};

struct cache;
struct cache *cache_new(size_t max_bytes); /* NULL when out of memory; 0 bytes keep nothing */
void cache_free(struct cache *cache);
/* An answer that the caller must release, or NULL. */
struct answer *cache_get(struct cache *cache, const struct question *question);
/* The same for a question that was a miss already: it is not counted twice. */
struct answer *cache_look_again(struct cache *cache, const struct question *question);
/* Keeps a reference of its own; an answer that is too large for its share is not kept. */
void cache_put(struct cache *cache, const struct question *question, struct answer *answer);
struct cache_counts cache_count(struct cache *cache);
