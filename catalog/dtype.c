/* dtype.c owns the table behind enum dtype. */
#include "catalog/dtype.h"

#include <strings.h>

static const struct {
    const char *name;
    double bits, layer_bits, embedding_bits, head_bits, plain_bits, scale_bits;
    enum peak peak;
} dtypes[DTYPE_COUNT] = {
    [DTYPE_UNKNOWN] = {"unknown", 16.0, 16.0, 16.0, 16.0, 16.0, 0.0, PEAK_FP16},
#define DTYPE(symbol, ...) [DTYPE_##symbol] = {__VA_ARGS__},
#include "catalog/dtype.def"
#undef DTYPE
};

const char *dtype_name(enum dtype dtype)
{
    return dtypes[dtype].name;
}

enum dtype dtype_parse(const char *name)
{
    for (enum dtype dtype = DTYPE_UNKNOWN + 1; dtype < DTYPE_COUNT; dtype++) {
        if (strcasecmp(name, dtypes[dtype].name) == 0) return dtype;
    }
    return DTYPE_UNKNOWN;
}

double dtype_bits(enum dtype dtype)
{
    return dtypes[dtype].bits;
}

double dtype_layer_bits(enum dtype dtype)
{
    return dtypes[dtype].layer_bits;
}

double dtype_embedding_bits(enum dtype dtype)
{
    return dtypes[dtype].embedding_bits;
}

double dtype_head_bits(enum dtype dtype)
{
    return dtypes[dtype].head_bits;
}

double dtype_plain_bits(enum dtype dtype)
{
    return dtypes[dtype].plain_bits;
}

double dtype_scale_bits(enum dtype dtype)
{
    return dtypes[dtype].scale_bits;
}

enum peak dtype_peak(enum dtype dtype)
{
    return dtypes[dtype].peak;
}
