/* training.h owns the way from measured training runs to the coefficients of a training profile, and how far off runs
 * of a GPU or a model are that were left out. */
#pragma once
#include "evaluate/training.h"

enum training_holdout { TRAINING_IN_FIT, TRAINING_WITHOUT_GPU, TRAINING_WITHOUT_MODEL, TRAINING_HOLDOUT_COUNT };
const char *training_holdout_name(enum training_holdout holdout);

/* The family of GPUs, or the model, that is left out with the run. */
const char *training_group_of(const struct training_run *run, enum training_holdout holdout);

/* One run of a profile's fit: ln(predicted / measured), by the bundled coefficients, and by fits. */
struct training_error {
    const struct training_run *run;
    double bundled, fitted[TRAINING_HOLDOUT_COUNT];
};

struct training_fit {
    const struct training_profile *profile; /* as it was */
    struct training_profile fitted;         /* to all of its runs */
    struct training_error *errors;
    size_t error_count;
};
/* Fits the profile to its runs, and again without each family of GPUs and each model. Everything lives in the arena. */
enum status training_fit_runs(const struct training_runs *runs, const struct training_profile *profile,
                              struct arena *arena, struct training_fit *ret_fit) MUST_CHECK;
/* Coefficients that a fit may change. */
bool training_fit_changes(size_t coefficient);
