/* group.h owns groups of scores: which scores go together, and what is said of them. */
#pragma once
#include "evaluate/score.h"

enum group_key {
    GROUP_LOAD,
    GROUP_ENGINE,
    GROUP_VERSION, /* of the engine's profile */
    GROUP_GPU,
    GROUP_MODEL,
    GROUP_DTYPE,
    GROUP_KV_DTYPE,
    GROUP_BASIS,
    GROUP_SOURCE,
    GROUP_KEYS
};

/* Scores of one table: groups by one key or by several together. */
struct grouping {
    const char *name; /* "engine+load" */
    enum group_key keys[GROUP_KEYS];
    size_t key_count;
};

struct group {
    const char *key; /* "vllm, concurrency" */
    enum metric metric;
    size_t rows, scored;         /* that have the figure; whose figure is compared */
    double median, mean, p90;    /* of error_ratio; NaN without a score, as all below */
    double within_20, within_30; /* shares of the scored whose error is at most so many percent */
    double covered;              /* share of the scored with an interval whose measurement is in it */
    double half_width;           /* median of (high / low)^0.5 - 1 */
    double bias;                 /* median of ln(predicted / measured) */
};

struct groups {
    struct group *items; /* by key, then metric */
    size_t count;
};

enum { GROUPINGS_MAX = 16 };
/* "load,engine+load" as groupings; "" = the usual ones. Problems name the field `by` and the words that there are. */
enum status groupings_parse(const char *text, struct arena *arena, struct problems *problems,
                            struct grouping ret_groupings[GROUPINGS_MAX], size_t *ret_count) MUST_CHECK;
enum status groups_make(const struct scores *scores, const struct grouping *grouping, struct arena *arena,
                        struct problems *problems, struct groups *ret_groups) MUST_CHECK;

/* Why figures are not compared: most frequent first. */
struct refusal {
    const char *reason;
    size_t rows, figures;
};
struct refusals {
    struct refusal *items;
    size_t count;
};
enum status refusals_make(const struct scores *scores, struct arena *arena, struct problems *problems,
                          struct refusals *ret_refusals) MUST_CHECK;
