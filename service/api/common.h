/* common.h owns what several operations share: the fields that mean the same everywhere, how their values are
 * resolved against the catalog, and the parts that answers have in common. */
#pragma once
#include "api/operation.h"
#include "catalog/value.h"
#include "sizing/evidence.h"

enum { DEFAULT_INPUT_TOKENS = 1024, DEFAULT_OUTPUT_TOKENS = 256, DEFAULT_MODEL_LEN_TOKENS = 8192 };
#define TOKENS_MAX 1e8

/* Fields. `type` is the request struct that has a member of the field's name. */
#define API_FIELD_MODEL(type)                                                                                          \
    {                                                                                                                  \
        .name = "model", .group = "", .kind = FIELD_MODEL, .offset = offsetof(type, model), .required = true,          \
        .help = "The model: an id or alias, {\"config\": …}, {\"gguf_header\": …}, {\"parameters\": …} or "      \
                "{\"weights_gb\": …}."                                                                               \
    }
#define API_FIELDS_LENGTHS(type)                                                                                       \
    {.name = "input_tokens",                                                                                           \
     .group = "workload",                                                                                              \
     .alias = "in",                                                                                                    \
     .kind = FIELD_NUMBER,                                                                                             \
     .offset = offsetof(type, input_tokens),                                                                           \
     .min = 1,                                                                                                         \
     .max = TOKENS_MAX,                                                                                                \
     .unit = "tokens",                                                                                                 \
     .preset = "1024",                                                                                                 \
     .help = "Mean length of a prompt."},                                                                              \
    {                                                                                                                  \
        .name = "output_tokens", .group = "workload", .alias = "out", .kind = FIELD_NUMBER,                            \
        .offset = offsetof(type, output_tokens), .min = 1, .max = TOKENS_MAX, .unit = "tokens", .preset = "256",       \
        .help = "Mean length of an answer."                                                                            \
    }
#define API_FIELD_REQUESTS_PER_SECOND(type)                                                                            \
    {                                                                                                                  \
        .name = "requests_per_second", .group = "workload", .alias = "rps", .kind = FIELD_NUMBER,                      \
        .offset = offsetof(type, requests_per_second), .min = 1e-9, .max = 1e9, .unit = "requests/s",                  \
        .help = "Mean arrival rate at the whole fleet."                                                                \
    }
#define API_FIELD_CONCURRENCY(type)                                                                                    \
    {                                                                                                                  \
        .name = "concurrency", .group = "workload", .kind = FIELD_NUMBER, .offset = offsetof(type, concurrency),       \
        .min = 1, .max = 1e9, .unit = "requests", .help = "Requests in flight in the whole fleet."                     \
    }
#define API_FIELD_ARRIVAL_CV2(type)                                                                                    \
    {                                                                                                                  \
        .name = "arrival_cv2", .group = "workload", .kind = FIELD_NUMBER, .offset = offsetof(type, arrival_cv2),       \
        .min = 0, .max = 100, .preset = "1",                                                                           \
        .help = "Squared coefficient of variation of the times between arrivals: 1 is Poisson, more is bursty."        \
    }
#define API_FIELD_PERCENTILE(type)                                                                                     \
    {                                                                                                                  \
        .name = "percentile", .group = "slo", .kind = FIELD_NUMBER, .offset = offsetof(type, percentile), .min = 0,    \
        .max = 99.9, .unit = "percent", .preset = "95",                                                                \
        .help = "Which percentile of latency is meant at a request rate; 0 is the mean."                               \
    }
#define API_SLO_LIMIT(type, field, text)                                                                               \
    {                                                                                                                  \
        .name = #field, .group = "slo", .kind = FIELD_NUMBER, .offset = offsetof(type, field), .min = 1e-3,            \
        .max = 1e9, .unit = "ms", .help = text                                                                         \
    }
#define API_FIELDS_SLO(type)                                                                                           \
    API_SLO_LIMIT(type, ttft_ms, "Longest time to the first token."),                                                  \
        API_SLO_LIMIT(type, tpot_ms, "Longest time per output token after the first."),                                \
        API_SLO_LIMIT(type, e2e_ms, "Longest time of a whole answer."), API_FIELD_PERCENTILE(type),                    \
    {                                                                                                                  \
        .name = "min_probability_ratio", .group = "slo", .kind = FIELD_NUMBER,                                         \
        .offset = offsetof(type, min_probability_ratio), .min = 0.01, .max = 0.999, .unit = "ratio", .preset = "0.9",  \
        .help = "Probability of meeting demand and limits that the predictions' intervals must leave."                 \
    }
#define API_FIELDS_SERVING(type)                                                                                       \
    {.name = "engine",                                                                                                 \
     .group = "serving",                                                                                               \
     .kind = FIELD_TEXT,                                                                                               \
     .offset = offsetof(type, engine),                                                                                 \
     .preset = "vllm",                                                                                                 \
     .help = "Serving engine; see /v1/engines."},                                                                      \
        {.name = "engine_version",                                                                                     \
         .group = "serving",                                                                                           \
         .kind = FIELD_TEXT,                                                                                           \
         .offset = offsetof(type, engine_version),                                                                     \
         .preset = "newest profile",                                                                                   \
         .help = "Version of the engine, such as 0.19."},                                                              \
        {.name = "kv_dtype",                                                                                           \
         .group = "serving",                                                                                           \
         .kind = FIELD_TEXT,                                                                                           \
         .offset = offsetof(type, kv_dtype),                                                                           \
         .preset = "auto",                                                                                             \
         .help = "Number format of the KV cache; auto is the model's 16-bit type."},                                   \
        {.name = "max_model_len_tokens",                                                                               \
         .group = "serving",                                                                                           \
         .kind = FIELD_INTEGER,                                                                                        \
         .offset = offsetof(type, max_model_len_tokens),                                                               \
         .min = 1,                                                                                                     \
         .max = TOKENS_MAX,                                                                                            \
         .unit = "tokens",                                                                                             \
         .preset = "the smaller of the model's limit and 8192, at least input plus output",                            \
         .help = "Longest sequence that the engine is started for."},                                                  \
    {                                                                                                                  \
        .name = "gpu_memory_utilization_ratio", .group = "serving", .kind = FIELD_NUMBER,                              \
        .offset = offsetof(type, gpu_memory_utilization_ratio), .min = 0.05, .max = 1,                                 \
        .preset = "the engine profile's", .help = "Share of each GPU's memory that the engine may use."                \
    }
#define API_FIELD_CALIBRATION(type)                                                                                    \
    {                                                                                                                  \
        .name = "calibration", .group = "serving", .kind = FIELD_TEXT, .offset = offsetof(type, calibration),          \
        .preset = "own", .help = "Measurement of the very GPUs, by pool or id; none: without. Rented GPUs have none."  \
    }
#define API_EXTRA_COUNT(type, field, most, unit_name, default_text, text)                                              \
    {                                                                                                                  \
        .name = #field, .group = "serving", .kind = FIELD_INTEGER, .offset = offsetof(type, extras.field), .min = 1,   \
        .max = most, .unit = unit_name, .preset = default_text, .help = text                                           \
    }
/* Of a request with a struct memory_extras named extras. */
#define API_FIELDS_EXTRAS(type)                                                                                        \
    API_EXTRA_COUNT(type, max_loras, 1000, "adapters", NULL, "LoRA adapters that one batch may use: slots for them."), \
        API_EXTRA_COUNT(type, max_lora_rank, 1024, "", "16 with max_loras", "Largest rank of an adapter."),            \
        {.name = "lora_targets",                                                                                       \
         .group = "serving",                                                                                           \
         .kind = FIELD_CHOICE,                                                                                         \
         .offset = offsetof(type, extras.lora_targets),                                                                \
         .names = lora_target_names,                                                                                   \
         .preset = "all_linear with max_loras",                                                                        \
         .help = "What adapters may target: all linear layers, for which vLLM reserves, or those of attention."},      \
        {.name = "draft_model",                                                                                        \
         .group = "serving",                                                                                           \
         .kind = FIELD_TEXT,                                                                                           \
         .offset = offsetof(type, extras.draft_model),                                                                 \
         .help = "Speculative decoding: a model's id or alias, ngram, mtp (the model's own prediction layers) or "     \
                 "eagle."},                                                                                            \
        API_EXTRA_COUNT(type, draft_tokens, 64, "tokens", NULL,                                                        \
                        "Tokens that are drafted in each step; needs draft_model."),                                   \
        {.name = "cpu_offload_gib",                                                                                    \
         .group = "serving",                                                                                           \
         .kind = FIELD_NUMBER,                                                                                         \
         .offset = offsetof(type, extras.cpu_offload_gib),                                                             \
         .min = 0,                                                                                                     \
         .max = 10000,                                                                                                 \
         .unit = "GiB",                                                                                                \
         .preset = "0",                                                                                                \
         .help = "Weights of each GPU that stay in host memory and are read over its link in every step."},            \
    {                                                                                                                  \
        .name = "kv_offload_gib", .group = "serving", .kind = FIELD_NUMBER,                                            \
        .offset = offsetof(type, extras.kv_offload_gib), .min = 0, .max = 100000, .unit = "GiB", .preset = "0",        \
        .help = "Host memory of each replica that keeps the cache of past requests: hits are read back, not computed." \
    }
#define API_FIELD_AS_OF(type)                                                                                          \
    {                                                                                                                  \
        .name = "as_of", .group = "", .kind = FIELD_DATE, .offset = offsetof(type, as_of), .preset = "today",          \
        .help = "Day from which the age of prices counts."                                                             \
    }

/* How a model was given, resolved. */
struct api_model {
    const char *id;       /* in the catalog; NULL if it came as a config or a size */
    struct model facts;   /* a copy: with an assumed architecture where only the size was given */
    bool assumed;         /* layers, heads and so on are assumed from the size */
    double weights_bytes; /* of the checkpoint in its native dtype, when the caller said so; else NaN */
};

/* Every function below adds its problems to call->problems, for the field it names. */

/* Whether the question says anything about the model. */
bool api_model_given(const struct model_ref *ref);

/* Finds, parses or assumes the model. Refuses encoders: UNSUPPORTED_MODEL_KIND. */
enum status api_model_resolve(struct call *call, const struct model_ref *ref, struct api_model *ret_model) MUST_CHECK;
/* `engine` NULL = vllm, `version` NULL = newest. */
enum status api_engine_resolve(struct call *call, const char *engine, const char *version,
                               const struct engine_profile **ret_profile) MUST_CHECK;
/* "native", "auto" and NULL give DTYPE_UNKNOWN: deployment_default knows what they mean. */
enum status api_dtype_resolve(struct call *call, const char *field, const char *name, enum dtype *ret_dtype) MUST_CHECK;
/* input + output within the model's limit and within max_model_len_tokens; fills in the default of the latter. */
enum status api_lengths_resolve(struct call *call, const struct model *model, double input_tokens, double output_tokens,
                                int64_t *max_model_len_tokens) MUST_CHECK;
/* LoRA slots, draft and offload into *deployment, of which nothing else is read; fills in their defaults. `model` NULL:
 * it was not understood, so that only what does not depend on it is checked. */
enum status api_extras_resolve(struct call *call, struct memory_extras *extras, const struct model *model,
                               const struct engine_profile *engine, struct deployment *deployment) MUST_CHECK;
/* Engine, architecture, weight and KV format must work together. */
enum status api_support_check(struct call *call, const struct deployment *deployment) MUST_CHECK;

/* The number of the version that answers, where it is a database's: "<uuid>:<number>". */
enum status api_version_number(struct call *call, int64_t *ret_number) MUST_CHECK;

/* Sets call->id from the operation, the request with its defaults written in, the catalog and the estimator. */
enum status api_answer_id(struct call *call, const struct operation *operation, const void *request) MUST_CHECK;
/* The members that every computed answer begins with: id, catalog_version, estimator_version, as_of. */
void api_put_head(struct call *call, date_t as_of);
/* NaN and infinity become null; everything else passes round6. */
void api_put_number(struct out *out, const char *key, double value);
void api_put_gib(struct out *out, const char *key, double bytes);
void api_put_model(struct out *out, const struct api_model *model);
void api_put_predicted(struct out *out, const char *key, struct predicted quantity);
/* "provenance": the engine's profile, the groups of its fit, and what measurements the figures rest on (NULL: none). */
void api_put_provenance(struct out *out, const struct deployment *deployment, const struct performance *performance,
                        const struct provenance *provenance);
/* "percentiles" (null where no requests arrive), "power_watts", "tokens_per_joule", "joules_per_token". */
void api_put_percentiles(struct out *out, const struct performance *performance);
void api_put_energy(struct out *out, const struct performance *performance);
/* "memory": the fullest rank, kv_cache_gib being kv_needed_bytes (NaN = not known). */
void api_put_memory(struct out *out, const char *key, const struct memory *memory, double kv_needed_bytes);
/* An array of texts. */
void api_put_texts(struct out *out, const char *key, const char *const *texts, size_t count);
