/* parameters.h owns what a fit may change: a vector of parameters, each with its prior, its bounds, and the figures in
 * profiles that it stands for. Coefficients are one provider of parameters; whatever else predictions read from a
 * profile can be another. */
#pragma once
#include "catalog/engine.h"
#include "catalog/status.h"

/* Which residuals inform it. The second stage is solved with the first one's parameters fixed. */
enum fit_stage { FIT_STEP, FIT_FIRST_TOKEN, FIT_STAGE_COUNT };

enum { OWNER_ALL = -1 };

struct parameter {
    const char *name;
    enum fit_stage stage;
    int owner;           /* index of the one profile of the fit that it belongs to; OWNER_ALL: shared by all */
    double start, width; /* prior of the logarithm: its middle is ln(start), its deviation this */
    double low, high;    /* both included */
    double **targets;    /* where the value goes */
    size_t target_count;
};

struct parameters {
    struct parameter *items;
    size_t count;
};

/* Copies of profiles that a fit writes to, and which profile of the fit each belongs to. */
struct workspace {
    struct engine_profile *profiles;
    const struct engine_profile **originals;
    int *owners;
    size_t count;
    int owner_count;
};

/* Where a fit starts from, and how far rows can take it from there. */
struct prior {
    bool physical;      /* orders of magnitude of the hardware, else what the profiles say */
    double width_ratio; /* times the widths that keep a fit of thousands of rows steady; UNKNOWN: by their number */
};

/* Adds the coefficients that can be fitted: those that differ between engines once for each profile, the others once
 * for all. A coefficient that is 0 is off, and stays off. */
enum status parameters_add_coefs(struct parameters *parameters, const struct workspace *workspace,
                                 const struct prior *prior, struct arena *arena, struct problems *problems) MUST_CHECK;

/* Whether both profiles say the same about everything that parameters_add_coefs would change. */
bool parameters_same_coefs(const struct engine_profile *a, const struct engine_profile *b);

static inline void parameter_set(const struct parameter *parameter, double log_value)
{
    for (size_t i = 0; i < parameter->target_count; i++)
        *parameter->targets[i] = exp(log_value);
}
