/* traffic.h owns the fields that say what requests are like, where an operation predicts speed. */
#pragma once
#include "api/common.h"

#define API_HISTOGRAM(type, field, sentence)                                                                           \
    {                                                                                                                  \
        .name = #field, .group = "workload", .kind = FIELD_HISTOGRAM, .offset = offsetof(type, field), .min = 1,       \
        .max = TOKENS_MAX, .unit = "tokens", .help = sentence                                                          \
    }
/* Of a request with members of these names. */
#define API_FIELDS_TRAFFIC(type)                                                                                       \
    API_HISTOGRAM(type, input_tokens_histogram, "Lengths of prompts with weights, instead of input_tokens."),          \
        API_HISTOGRAM(type, output_tokens_histogram, "Lengths of answers with weights, instead of output_tokens."),    \
        {.name = "shared_prefix_tokens",                                                                               \
         .group = "workload",                                                                                          \
         .kind = FIELD_NUMBER,                                                                                         \
         .offset = offsetof(type, shared_prefix_tokens),                                                               \
         .min = 1,                                                                                                     \
         .max = TOKENS_MAX,                                                                                            \
         .unit = "tokens",                                                                                             \
         .help = "Tokens that all prompts begin with, such as a system prompt: cached, and held once."},               \
        {.name = "prefix_cache_hit_ratio",                                                                             \
         .group = "workload",                                                                                          \
         .kind = FIELD_NUMBER,                                                                                         \
         .offset = offsetof(type, prefix_cache_hit_ratio),                                                             \
         .min = 0,                                                                                                     \
         .max = 1,                                                                                                     \
         .unit = "ratio",                                                                                              \
         .preset = "the share of shared_prefix_tokens, else 0",                                                        \
         .help = "Share of the prompts' tokens that the engine finds in its prefix cache."},                           \
    {                                                                                                                  \
        .name = "draft_acceptance_ratio", .group = "workload", .kind = FIELD_NUMBER,                                   \
        .offset = offsetof(type, draft_acceptance_ratio), .min = 0, .max = 1, .unit = "ratio",                         \
        .help = "How often a drafted token is accepted when those before it were; needs draft_tokens."                 \
    }

/* Reports every contradiction. */
enum status api_traffic_check(struct call *call, const struct asked_traffic *asked) MUST_CHECK;
