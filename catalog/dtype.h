/* dtype.h owns the number formats and the peaks that price them. */
#pragma once
#include <stdbool.h>

/* Dense peak rates of a GPU, in TFLOP/s (TOP/s for int8). */
enum peak { PEAK_FP32, PEAK_TF32, PEAK_FP16, PEAK_FP8, PEAK_INT8, PEAK_FP4, PEAK_COUNT };

enum dtype {
    DTYPE_UNKNOWN, /* not stated; also "native" and "auto" in a request */
#define DTYPE(symbol, ...) DTYPE_##symbol,
#include "catalog/dtype.def"
#undef DTYPE
    DTYPE_COUNT
};

const char *dtype_name(enum dtype dtype); /* "unknown" for DTYPE_UNKNOWN */
enum dtype dtype_parse(const char *name); /* DTYPE_UNKNOWN if there is none of that name; any case */
double dtype_bits(enum dtype dtype); /* per weight, scales included: of GGUF formats the average of a typical file */
/* Per weight of the parts of a checkpoint; plain: the modules that stay unquantised everywhere, norms and routers. */
double dtype_layer_bits(enum dtype dtype);
double dtype_embedding_bits(enum dtype dtype);
double dtype_head_bits(enum dtype dtype);
double dtype_plain_bits(enum dtype dtype);
double dtype_scale_bits(enum dtype dtype); /* of those, scales and zero points */
enum peak dtype_peak(enum dtype dtype);
