/* fit.h owns the way from measured runs to coefficients of engine profiles, by the functions that predict. Method:
 * docs/fit.md. */
#pragma once
#include "fit/conformal.h"

/* What is left out in turn; configurations in folds, always. */
enum fit_key { FIT_BY_GPU, FIT_BY_MODEL, FIT_BY_VERSION, FIT_BY_CONFIGURATION, FIT_KEY_COUNT };
const char *fit_key_name(enum fit_key key);

enum { FIT_VERSION_BYTES = 64 };
/* "vllm 0.12": the engine and the first "1.2" of the row's spelling of its version: builds of one release are one. */
const char *fit_version_name(const struct run *run, char text[FIT_VERSION_BYTES]);

enum { FIT_RUNS_MIN = 3 };

struct fit_options {
    const struct snapshot *snapshot;
    const struct engine_profile *const *profiles; /* fitted together: one value of what engines share */
    size_t profile_count;
    struct prior prior;
    unsigned keys; /* bits of enum fit_key: groups that are left out, one after another */
    uint64_t seed; /* of the split into folds */
    unsigned threads;
    void (*progress)(void *data, const char *what, size_t done, size_t total);
    void *data;
};

struct fitted_parameter {
    const char *name;
    int owner; /* OWNER_ALL: of all profiles */
    enum fit_stage stage;
    double start, value;
    double deviation_ratio; /* one standard deviation, of the value */
    bool at_bound;
    bool informed; /* the rows say something about it; else it is the prior */
};

/* Errors of rows that were predicted without their group; of all rows of the fit: key FIT_KEY_COUNT. */
struct fit_score {
    enum fit_key key;
    const char *group; /* NULL: all of them */
    enum fit_kind kind;
    size_t rows;
    double median, p90;      /* |predicted / measured - 1| */
    double bias;             /* median of predicted / measured - 1 */
    double coverage;         /* share inside the intervals of answers; UNKNOWN: nothing was left out, or too few rows */
    double foreign_coverage; /* of a group: the same if a fit without it had made the intervals */
    bool calibrated;         /* as if the GPU that was left out had been calibrated */
};

struct fitted_factor {
    const char *name;
    enum fit_kind kind;
    int owner;
    double start, value;
    size_t rows;
    bool calibrated;
};

/* What kernels by themselves reach on the GPUs of a fit. */
struct fitted_kernel {
    const char *name;
    int owner;
    double value;
};

/* What the rows of one GPU, size of a model family and weight format say beside the coefficients. */
struct fitted_group {
    int owner;
    struct engine_fit fit;
};

struct fit {
    const struct engine_profile *const *profiles; /* as they were */
    size_t profile_count;
    struct fitted_parameter *parameters;
    size_t parameter_count;
    struct fitted_factor *factors;
    size_t factor_count;
    struct fitted_kernel *kernels;
    size_t kernel_count;
    struct fitted_group *groups;
    size_t group_count;
    struct fit_score *scores;
    size_t score_count;
    size_t runs, configurations, refused, unanswered;
    const char *sources; /* of the rows */
    unsigned steps;
};

/* The profile that a fit of runs of `profile` should change: itself, or the one whose coefficients it inherits. */
const struct engine_profile *fit_root(const struct snapshot *snapshot, const struct engine_profile *profile);

/* Everything lives in the arena. Fewer than FIT_RUNS_MIN usable runs are refused. */
enum status fit_runs(const struct runs *runs, const struct fit_options *options, struct arena *arena,
                     struct problems *problems, struct fit *ret_fit) MUST_CHECK;

struct fit_label {
    const char *version_from, *version_to; /* of a host's own profile; NULL: the range that was fitted */
    date_t as_of;
    uint64_t seed;
};
/* What was fitted of one profile, in the layout of engine_profiles.csv. NULL when out of memory. */
const char *fit_csv(const struct fit *fit, size_t profile, const struct fit_label *label, bool header,
                    struct arena *arena);
