/* traffic.h owns what requests are like beyond their number: how their lengths spread, which part of a prompt the
 * engine has in its cache, and how often drafted tokens are right. Formulas: docs/estimator.md, "What requests are
 * like". */
#pragma once
#include "catalog/arena.h"
#include "catalog/units.h"
#include "catalog/value.h"

enum { LENGTH_CLASSES_MAX = 16 };

struct length_class { /* requests of this length, as a share of all */
    double tokens, share;
};

/* Lengths of prompts or of answers, shortest first. All alike: one class. */
struct lengths {
    struct length_class classes[LENGTH_CLASSES_MAX];
    size_t count;
    double mean;
    double cv2; /* squared coefficient of variation of all buckets, whatever the classes keep of it */
};

/* All requests have the mean length. */
struct lengths lengths_of_mean(double tokens);
/* By a histogram of any number of buckets: neighbours are joined where there are too many. */
struct lengths lengths_of_histogram(const struct length_histogram *histogram);

struct traffic {
    struct lengths input, output;
    double prefix_cache_hit_ratio; /* share of the prompts' tokens that is cached; NaN: what shared_prefix_tokens is */
    double shared_prefix_tokens;   /* that all prompts begin with; 0 */
    double draft_acceptance_ratio; /* of a drafted token, if all before it were accepted */
};

/* Without a histogram, a cache or drafts. */
struct traffic traffic_of_means(double input_tokens, double output_tokens);

/* The fields of a request, whichever it is. */
struct asked_traffic {
    double input_tokens, output_tokens;
    const struct length_histogram *input_histogram, *output_histogram;
    double shared_prefix_tokens, prefix_cache_hit_ratio, draft_acceptance_ratio;
    int64_t draft_tokens;
};
struct traffic traffic_of_asked(const struct asked_traffic *asked);
/* The longest of a histogram, or the mean where there is none. */
double traffic_longest_tokens(double mean, const struct length_histogram *histogram);

/* NaN: not given. */
void traffic_set_cache(struct traffic *traffic, double shared_prefix_tokens, double prefix_cache_hit_ratio);

/* What a prompt takes from the engine with the cache in whole blocks, as means over the prompts: tokens computed, and
 * the difference of squares that attention's products grow with (a token attends to all before it). */
struct prompt_work {
    double tokens, tokens_squared;
};
struct prompt_work traffic_prompt_work(const struct traffic *traffic, double block_tokens);
/* The same for one prompt of this length. */
struct prompt_work traffic_prompt_work_of(const struct traffic *traffic, double input_tokens, double block_tokens);

/* Means over the requests in flight, which are the longer answers more often than not: tokens that one holds at its
 * end, and the context of one of its steps. */
double traffic_held_tokens(const struct traffic *traffic);
double traffic_context_tokens(const struct traffic *traffic);

/* Tokens that a step makes when `draft_tokens` are verified with it (Leviathan et al. 2023, equation 1). */
double traffic_tokens_per_step(const struct traffic *traffic, double draft_tokens);

/* What an answer assumes of the requests: sentences, NULL where there was no memory. `queued`: they arrive and wait. */
enum { TRAFFIC_NOTES_MAX = 4 };
size_t traffic_notes(const struct traffic *traffic, double draft_tokens, bool adapters, bool queued,
                     struct arena *arena, const char *ret_notes[TRAFFIC_NOTES_MAX]);
