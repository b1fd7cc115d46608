/* engine.h owns serving engines: their coefficients per version range, and what runs on what. */
#pragma once
#include "catalog/dtype.h"
#include "catalog/gpu.h"

#include <stddef.h>

/* Coefficients are data, not code: one value per engine profile, see engine_coef.def for name, unit, meaning. */
struct engine_coefs {
#define COEF(name, unit, meaning) double name;
#include "catalog/engine_coef.def"
#undef COEF
};

/* Kinds of load, as far as their measured rows differ. */
enum fit_load { FIT_LOAD_SERVED, FIT_LOAD_SATURATED, FIT_LOAD_STATIC, FIT_LOAD_COUNT };
const char *fit_load_name(enum fit_load load);

/* What the measured rows of one GPU, size of a model family and weight format say beside the formula. Ratios are of
 * times, measured over computed; factors are x and / at 90 %. */
struct engine_fit {
    enum fit_load load;
    const char *gpu, *family;
    const char *architecture; /* of the GPU; "" if the catalog does not know it */
    enum dtype weight_dtype;
    double rows;
    double time_ratio, time_factor; /* of a decode step, a saturated engine, a static batch */
    double ttft_ratio, ttft_factor; /* UNKNOWN where no row tells */
};

struct engine_profile {
    const char *engine;       /* "vllm", "tensorrt-llm", "sglang", "llama.cpp" */
    const char *version_from; /* inclusive, "0.17" */
    const char *version_to;   /* inclusive; "" = newest known */
    const char *inherits;     /* "vllm 0.17": the profile that gives what this one does not say; NULL: says it all */
    const char *source;       /* of the fit: rows and error */
    date_t as_of;
    struct engine_coefs coef;
    const struct engine_fit *fits; /* sorted by load, GPU, family, format */
    size_t fit_count;
};

/* NULL if no row of this kind was in the fit. */
const struct engine_fit *engine_find_fit(const struct engine_profile *profile, enum fit_load load, const char *gpu,
                                         const char *family, enum dtype weight_dtype);
int engine_fit_compare(const void *a, const void *b);
/* Whether rows of a kind of load tell of a model family in a format, on whatever GPU. */
bool engine_tells_family(const struct engine_profile *profile, enum fit_load load, const char *family,
                         enum dtype weight_dtype);
/* x and / at 90 % of times under such a load, outside the fit. */
double engine_extrapolated_factor(const struct engine_profile *profile, enum fit_load load);

/* What fits of other GPUs of the same architecture say of a model family in this format: 1 where there are none. */
struct engine_kin {
    double time_ratio, ttft_ratio;
    double rows; /* of those fits */
};
struct engine_kin engine_find_kin(const struct engine_profile *profile, enum fit_load load, const char *architecture,
                                  const char *family, enum dtype weight_dtype);
#define ENGINE_KIN_WEIGHT 0.7 /* of what they say: docs/estimator.md, "Groups" */

/* (engine, GPU architecture) pairs that work, with the weight formats that run there. */
struct engine_support {
    const char *engine;
    const char *architecture; /* gpu.architecture */
    uint32_t weight_dtypes;   /* bit (1u << enum dtype) */
    bool fp8_kv;              /* an fp8 KV cache is supported */
    const char *source;
    date_t as_of;
};

/* KV formats: 16 and 32 bits run everywhere, fp8 where the support row says so, q8_0 where its weights run. Unknown is
 * the model's own 16 bits. */
bool engine_keeps_kv(const struct engine_support *support, enum dtype dtype);

struct coef_info {
    const char *name, *unit, *meaning;
    size_t offset; /* in struct engine_coefs */
};
extern const struct coef_info coef_infos[];
extern const size_t coef_count;

/* Version order by dotted numbers: "0.9" < "0.19" < "0.19.1"; a profile covers from ≤ version ≤ to, where
 * "0.19.1" is covered by a range that ends in "0.19". */
int engine_version_compare(const char *a, const char *b);
/* The first "1.2" of a spelling, "" if there is none: of "vllm/vllm-openai:v0.18.0" 4 letters, "0.18". */
const char *engine_version_find(const char *text, size_t *ret_length);
bool engine_profile_covers(const struct engine_profile *profile, const char *version);
