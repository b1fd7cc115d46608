/* relaxers.h owns the tables of relaxations: which constraints can be loosened, and how. Each table ends with a NULL
 * constraint. Private to sizing. */
#pragma once
#include "sizing/question.h"

/* A constraint whose need an objective measures: one search finds the option that needs least of it. */
struct relaxer {
    const char *constraint;
    double (*from)(const struct question *, const struct recommend_request *); /* NaN = not set */
    void (*loosen)(struct question *);
    double (*needs)(const struct question *, const struct recommend_request *,
                    const struct option *); /* in the unit of from */
    /* NULL, or asks with the value told: where the option found is not yet the one that it opens. */
    void (*apply)(struct question *, const struct recommend_request *, double value);
};

/* A list of names: it is left out as a whole. */
struct names_relaxer {
    const char *constraint;
    size_t offset; /* of the list in the request */
    enum status (*allow)(struct question *, const struct recommend_request *, struct arena *);
};

/* Another constraint without a figure: it is left out as a whole. */
struct list_relaxer {
    const char *constraint;
    bool (*is_set)(const struct question *, const struct recommend_request *);
    enum status (*loosen)(struct question *, const struct recommend_request *, struct arena *);
};

/* A constraint whose need no objective measures: bisected between what was asked and the loosest value. */
struct bisected {
    const char *constraint;
    double (*from)(const struct question *, const struct recommend_request *); /* NaN = not set */
    double (*loosest)(const struct question *, double from);
    void (*apply)(struct question *, const struct recommend_request *, double value);
    double (*tidy)(double value); /* a value fit to be told, no stricter */
    bool geometric;               /* the change counts in ratios, else in steps */
    int halvings;                 /* each is a search: as many as the figure deserves */
};

extern const struct relaxer relaxers[];
extern const struct names_relaxer names_relaxers[];
extern const struct list_relaxer list_relaxers[];
extern const struct bisected bisected_relaxers[];
enum { RELAXATIONS_MAX = 32 }; /* more than the rows of all tables and the demand */

/* The demand is tried in both ways: the limits' most throughput first, then bisected. */
const char *relaxers_demand_name(const struct recommend_request *request); /* NULL = no rate was asked for */
void relaxers_loosen_demand(struct question *question);                    /* as much as the limits carry */
extern const struct bisected demand_relaxer;                               /* without a constraint name */
