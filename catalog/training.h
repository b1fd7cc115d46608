/* training.h owns what is known of the training of models beside the facts of GPUs and models: coefficients that were
 * fitted to measured runs, or are assumed, with their sources. They are data (data/training_profiles.csv), and always
 * those that the program was built with: a database has no table of them. */
#pragma once
#include "catalog/units.h"

#include <stddef.h>

struct training_coefs {
#define COEF(name, unit, meaning) double name;
#include "catalog/training_coef.def"
#undef COEF
};

struct training_profile {
    const char *name;   /* "fsdp", "megatron": how the work is divided */
    const char *source; /* of its products' rate: what the fit rests on */
    date_t as_of;
    struct training_coefs coef;
};

struct training_coef_info {
    const char *name, *unit, *meaning;
    size_t offset; /* in struct training_coefs */
};
extern const struct training_coef_info training_coef_infos[];
extern const size_t training_coef_count;
double *training_coef_at(struct training_profile *profile, size_t coefficient);
