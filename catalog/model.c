/* model.c owns the names of attention kinds. */
#include "catalog/model.h"

#include <strings.h>

static const char *const attention_names[ATTENTION_COUNT] = {
    [ATTENTION_UNKNOWN] = "unknown",
    [ATTENTION_MHA] = "mha",
    [ATTENTION_GQA] = "gqa",
    [ATTENTION_MQA] = "mqa",
    [ATTENTION_MLA] = "mla",
    [ATTENTION_HYBRID_SWA] = "hybrid_swa",
    [ATTENTION_HYBRID_LINEAR] = "hybrid_linear",
    [ATTENTION_MAMBA] = "mamba",
};

const char *attention_kind_name(enum attention_kind kind)
{
    return attention_names[kind];
}

enum attention_kind attention_kind_parse(const char *name)
{
    for (enum attention_kind kind = ATTENTION_UNKNOWN + 1; kind < ATTENTION_COUNT; kind++) {
        if (strcasecmp(name, attention_names[kind]) == 0) return kind;
    }
    return ATTENTION_UNKNOWN;
}
