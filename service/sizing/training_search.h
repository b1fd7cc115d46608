/* training_search.h owns the search of GPUs and a layout for a training run, and what to give way on where none does.
 */
#pragma once
#include "sizing/training_run.h"

/* The best layouts of numbers of GPUs, which money and time do not change: found once for a search and for what it may
 * give way on. */
struct training_memo;

/* A question about a run. What is 0 (of numbers) or VALUE_ABSENT (of choices) is searched. */
struct training_question {
    struct question fleet;       /* which GPUs, how they are paid, how many, budget, probability */
    struct training_setup setup; /* what is fixed for all candidates; the rest is filled in */
    const struct training_profile *fsdp, *megatron;
    const struct training_profile *profile; /* NULL: by the layout */
    uint32_t gpus, tensor_parallel, pipeline_parallel, expert_parallel, data_parallel;
    int64_t sharding, recompute;
    double micro_batch_sequences, batch_sequences; /* of one rank at a time; of a step, of all ranks */
    double batch_sequences_default;
    double tokens, deadline_hours; /* tokens: computed, padding included; deadline NaN: none */
    struct training_interruptions interruptions;
    struct training_memo *memo; /* NULL: none; of questions that differ in limits alone */
    bool fixed;                 /* GPU and count are given: the answer is that plan, even where it does not fit */
    enum training_least { TRAINING_LEAST_COST, TRAINING_LEAST_HOURS, TRAINING_LEAST_GPUS } least;
};

/* Why a GPU is not chosen: the last that its best candidate reached. */
enum training_reject {
    TRAINING_OK,
    TRAINING_EXCLUDED,
    TRAINING_FRAMEWORK, /* no framework trains on it whose runs are known */
    TRAINING_FACTS,     /* it does not have that precision, or its rate is not known */
    TRAINING_NO_PRICE,  /* nothing to rent or buy under the constraints */
    TRAINING_LAYOUT,    /* no layout as asked for is possible */
    TRAINING_MEMORY,
    TRAINING_LIMITS, /* max_gpus, quota, power */
    TRAINING_DEADLINE,
    TRAINING_BUDGET,
    TRAINING_OUTRANKED, /* possible; needed, available: what its best plan and the recommended one are ranked by */
    TRAINING_REJECT_COUNT
};
const char *training_reject_name(enum training_reject reason);

struct training_rejection {
    enum training_reject reason;
    double needed, available; /* in `unit`; NaN where figures mean nothing */
    const char *unit;
};

/* The value that a limit must have, so that a quantity is below it with the probability of `deviate`. */
double training_safe_limit(struct predicted quantity, double deviate);

struct training_search {
    struct training_plan best; /* valid if found */
    bool found;
    struct training_plan nearest; /* fixed: the plan that comes closest; valid if has_nearest */
    bool has_nearest;
    struct training_rejection *rejections; /* per GPU of the catalog */
    size_t evaluated;                      /* layouts: a work count */
};
struct training_memo *training_memo_make(const struct snapshot *snapshot, struct arena *arena); /* NULL: no memory */
enum status training_search_run(const struct training_question *question, struct arena *arena,
                                struct training_search *ret_search) MUST_CHECK;

struct training_change {
    const char *field;
    double from, to;  /* NaN for words */
    const char *word; /* NULL for numbers */
};

/* The smallest change that makes a plan possible: of one field, or of several where none alone is enough. */
enum { TRAINING_CHANGES_MAX = 3 };
struct training_relaxation {
    struct training_change changes[TRAINING_CHANGES_MAX];
    size_t change_count;
    struct training_plan plan;
};
enum { TRAINING_RELAXATIONS_MAX = 8 };
struct training_relaxations {
    struct training_relaxation items[TRAINING_RELAXATIONS_MAX];
    size_t count;
};
enum status training_relax(const struct training_question *question, struct arena *arena,
                           struct training_relaxations *ret_relaxations) MUST_CHECK;
