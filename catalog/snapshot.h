/* snapshot.h owns the catalog as answers see it: immutable, complete, with one version.
 * Everything in it lives in the snapshot's arena; a request borrows it. */
#pragma once
#include "catalog/calibration.h"
#include "catalog/engine.h"
#include "catalog/gpu.h"
#include "catalog/measurement.h"
#include "catalog/model.h"
#include "catalog/offer.h"
#include "catalog/quality.h"
#include "catalog/status.h"
#include "catalog/training.h"

/* Whose spelling an alias is. API input uses ALIAS_USER; importers and evaluation use their own. */
enum alias_namespace {
    ALIAS_USER,
    ALIAS_ARTICLE,
    ALIAS_SKYPILOT,
    ALIAS_GPUHUNT,
    ALIAS_INFERENCEX,
    ALIAS_MEASURED,
    ALIAS_NVIDIA_SMI,
    ALIAS_VLLM,
    ALIAS_NAMESPACE_COUNT
};
const char *alias_namespace_name(enum alias_namespace space);

enum alias_kind { ALIAS_GPU, ALIAS_MODEL, ALIAS_ENGINE };

struct alias { /* sorted by kind, namespace, name (in the order of name_compare), target */
    enum alias_kind kind;
    enum alias_namespace space;
    const char *name;
    uint32_t target; /* index into gpus or models; for engines, of the engine's newest profile */
};

struct snapshot {
    struct arena arena;
    const char *version; /* of the bundled catalog: hash of its files; of a database: "<uuid>:<number>" */
    date_t as_of;        /* newest fact in it: the day that ages count from unless a request says otherwise */
    struct gpu *gpus;    /* sorted by id */
    size_t gpu_count;
    struct model *models; /* sorted by id, any case */
    size_t model_count;
    struct engine_profile *profiles; /* sorted by engine, then newest version first */
    size_t profile_count;
    struct engine_support *supports;
    size_t support_count;
    struct offer *offers; /* sorted by gpu, then gpu_count, purchase, term, usd_per_hour, provider, region, instance */
    size_t offer_count;
    uint32_t *offer_first; /* gpu_count + 1 entries: offers of gpu g are offer_first[g] … offer_first[g + 1] - 1 */
    struct provider *providers; /* sorted by name */
    size_t provider_count;
    struct region *regions;
    size_t region_count;
    struct purchase_price *purchase_prices; /* sorted by gpu, then kind, then newest first */
    size_t purchase_price_count;
    struct operating_cost *operating_costs;
    size_t operating_cost_count;
    struct api_price *api_prices; /* sorted by model_id, then provider */
    size_t api_price_count;
    struct measurement *measurements; /* sorted by setup, then load, lengths, concurrency, then as repeats count */
    size_t measurement_count;
    struct calibration *calibrations; /* sorted by calibration_compare */
    size_t calibration_count;
    struct calibration *calibration_pools; /* one of each GPU and pool: medians of those that are used; sorted alike */
    size_t calibration_pool_count;
    struct training_profile *training_profiles; /* sorted by name */
    size_t training_profile_count;
    struct quality *qualities; /* sorted by format, then model, recipe, metric */
    size_t quality_count;
    struct alias *aliases;
    size_t alias_count;
};

/* Frees the snapshot and all it holds. Accepts NULL. */
void snapshot_free(struct snapshot *snapshot);

/* Lookups by id, alias or, for users, family of one; names are compared as name.h says. On failure they add a problem
 * for `field` that names near misses (unknown) or all candidates (ambiguous) and return its status. */
enum status snapshot_find_gpu(const struct snapshot *snapshot, enum alias_namespace space, const char *name,
                              const char *field, struct problems *problems, const struct gpu **ret_gpu) MUST_CHECK;
enum status snapshot_find_model(const struct snapshot *snapshot, enum alias_namespace space, const char *name,
                                const char *field, struct problems *problems,
                                const struct model **ret_model) MUST_CHECK;
/* The newest profile of an engine. */
enum status snapshot_find_engine(const struct snapshot *snapshot, enum alias_namespace space, const char *name,
                                 const char *field, struct problems *problems,
                                 const struct engine_profile **ret_newest) MUST_CHECK;
/* The index of the model with this id, any case; model_count if there is none. */
size_t snapshot_model_index(const struct snapshot *snapshot, const char *id);
/* `version` NULL or "" = newest. */
enum status snapshot_find_profile(const struct snapshot *snapshot, const char *engine, const char *version,
                                  const char *field, struct problems *problems,
                                  const struct engine_profile **ret_profile) MUST_CHECK;
/* All GPUs that a name means: one id or alias, or every member of a family. Sets member[i] for gpus[i];
 * an alias with several targets sets them all. */
enum status snapshot_match_gpus(const struct snapshot *snapshot, const char *name, const char *field,
                                struct problems *problems, bool *member) MUST_CHECK;
/* NULL if the engine does not run on that architecture. */
const struct engine_support *snapshot_find_support(const struct snapshot *snapshot, const char *engine,
                                                   const char *architecture);
/* The price that is believed: first by kind, then the newest; NULL if there is none. */
const struct purchase_price *snapshot_purchase_price(const struct snapshot *snapshot, uint32_t gpu);
/* The same of those that were known on a day. */
const struct purchase_price *snapshot_purchase_price_on(const struct snapshot *snapshot, uint32_t gpu, date_t day);
/* What was measured of one model, by its id; nothing for NULL or a model that the catalog does not have. */
struct measurements snapshot_measurements(const struct snapshot *snapshot, const char *model_id);
/* NULL if there is none for that key and scope. */
const struct operating_cost *snapshot_operating_cost(const struct snapshot *snapshot, const char *key,
                                                     const char *scope);
/* What is published of the quality of a format; *ret_count 0 where nothing is. */
const struct quality *snapshot_qualities(const struct snapshot *snapshot, enum dtype dtype, size_t *ret_count);
/* What a pool's machines with this GPU are like; NULL if none of them was calibrated. */
const struct calibration *snapshot_find_pool(const struct snapshot *snapshot, const struct gpu *gpu, const char *pool);
/* By the name of a pool, or the id of one that is used; NULL if there is none of this GPU. */
const struct calibration *snapshot_find_calibration(const struct snapshot *snapshot, const struct gpu *gpu,
                                                    const char *name);
/* NULL if there is none of that name. */
const struct training_profile *snapshot_find_training(const struct snapshot *snapshot, const char *name);
#define CALIBRATION_NONE "none"
/* As a request names it: NULL is the pool CALIBRATION_OWN, which need not be there, CALIBRATION_NONE none at all, and
 * what else is not there (of `gpu`, or, NULL, of any) is a problem that names those that are. */
enum status snapshot_choose_calibration(const struct snapshot *snapshot, const struct gpu *gpu, const char *name,
                                        const char *field, struct problems *problems,
                                        const struct calibration **ret_calibration) MUST_CHECK;
