/* quality.h owns what somebody measured of the quality that a number format costs: published figures, none of ours. */
#pragma once
#include "catalog/dtype.h"
#include "catalog/units.h"

/* A metric says by itself whether less is better: perplexities and divergences are, accuracies and recoveries not. */
enum quality_metric {
    QUALITY_PERPLEXITY,       /* of wikitext-2, per token as llama.cpp counts */
    QUALITY_WORD_PERPLEXITY,  /* of wikitext, per word as lm-evaluation-harness counts */
    QUALITY_KL_DIVERGENCE,    /* mean over wikitext-2, of the 16-bit model; nats */
    QUALITY_ACCURACY_RATIO,   /* mean accuracy over the tasks that `recipe` names */
    QUALITY_RECOVERY_PERCENT, /* such a mean as a share of the 16-bit model's, where only that is published */
    QUALITY_METRIC_COUNT
};
const char *quality_metric_name(enum quality_metric metric);

struct quality {
    enum dtype weight_dtype;
    const char *model;  /* that was measured; a Hugging Face id */
    const char *recipe; /* how it was quantised and what was measured, where that tells figures apart */
    enum quality_metric metric;
    double value;    /* with weights in the format */
    double baseline; /* with 16-bit weights, by the same people */
    const char *source;
    date_t as_of;
};
