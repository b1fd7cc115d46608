/* hf_dtype.c owns which number format the weights have: the quantisation block if there is one, else the dtype. */
#include "hf/hf_shape.h"

#include <string.h>
#include <strings.h>

struct name_dtype {
    const char *name;
    enum dtype dtype;
};

static enum dtype find(const struct name_dtype *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(rows[i].name, name) == 0) return rows[i].dtype;
    }
    return DTYPE_UNKNOWN;
}
#define FIND(rows, name) find(rows, sizeof(rows) / sizeof *(rows), name)

static const struct name_dtype plain_names[] = {
    {"bfloat16", DTYPE_BF16}, {"float16", DTYPE_FP16}, {"float32", DTYPE_FP32},      {"half", DTYPE_FP16},
    {"bf16", DTYPE_BF16},     {"fp16", DTYPE_FP16},    {"float8_e4m3fn", DTYPE_FP8}, {"fp32", DTYPE_FP32},
};
static const struct name_dtype method_names[] = {
    {"fp8", DTYPE_FP8},      {"fbgemm_fp8", DTYPE_FP8},     {"mxfp4", DTYPE_MXFP4},
    {"eetq", DTYPE_INT8},    {"modelopt_fp4", DTYPE_NVFP4}, {"nvfp4", DTYPE_NVFP4},
    {"ptpc_fp8", DTYPE_FP8}, {"bitnet", DTYPE_UNKNOWN},
};
static const struct name_dtype algorithm_names[] = {
    {"FP8", DTYPE_FP8},           {"NVFP4", DTYPE_NVFP4},
    {"W4A16_NVFP4", DTYPE_NVFP4}, {"FP8_PB_WO", DTYPE_FP8},
    {"W4A16_AWQ", DTYPE_INT4},    {"W4A8_AWQ", DTYPE_INT4},
    {"INT4_AWQ", DTYPE_INT4},     {"W8A8_SQ_PER_CHANNEL", DTYPE_INT8},
    {"MXFP4", DTYPE_MXFP4},       {"FP8_PER_CHANNEL_PER_TOKEN", DTYPE_FP8},
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* A number of bits and whether they are a float; 4-bit floats differ by the size of their groups. */
static enum dtype by_bits(const json_t *scheme, const char *bits_name)
{
    double bits = json_number_value(json_object_get(scheme, bits_name));
    bool is_float = strcmp(text_of(scheme, "type"), "float") == 0;
    double group = json_number_value(json_object_get(scheme, "group_size"));
    if (bits == 8.0) return is_float ? DTYPE_FP8 : DTYPE_INT8;
    if (bits == 4.0 && is_float) return group == 32.0 ? DTYPE_MXFP4 : DTYPE_NVFP4;
    return bits == 4.0 ? DTYPE_INT4 : DTYPE_UNKNOWN;
}

/* compressed-tensors and modelopt list groups of modules; of mixed groups the narrowest holds most of the weights. */
static enum dtype by_groups(const json_t *quantization, bool *ret_mixed)
{
    enum dtype narrowest = DTYPE_UNKNOWN;
    const char *name;
    json_t *group;
    json_t *groups = json_object_get(quantization, "config_groups");
    json_object_foreach(groups, name, group)
    {
        enum dtype dtype = by_bits(json_object_get(group, "weights"), "num_bits");
        if (dtype == DTYPE_UNKNOWN) continue;
        if (narrowest != DTYPE_UNKNOWN && dtype != narrowest) *ret_mixed = true;
        if (narrowest == DTYPE_UNKNOWN || dtype_bits(dtype) < dtype_bits(narrowest)) narrowest = dtype;
    }
    return narrowest;
}

static enum dtype by_bitsandbytes(const json_t *quantization)
{
    if (json_is_true(json_object_get(quantization, "load_in_4bit"))) return DTYPE_INT4;
    return json_is_true(json_object_get(quantization, "load_in_8bit")) ? DTYPE_INT8 : DTYPE_UNKNOWN;
}

static enum dtype quantised(const json_t *quantization, bool *ret_mixed)
{
    enum dtype dtype = FIND(method_names, text_of(quantization, "quant_method"));
    if (dtype == DTYPE_UNKNOWN) dtype = FIND(algorithm_names, text_of(quantization, "quant_algo"));
    if (dtype == DTYPE_UNKNOWN) dtype = by_groups(quantization, ret_mixed);
    if (dtype == DTYPE_UNKNOWN) dtype = by_bits(quantization, "bits"); /* awq, gptq, auto-round */
    return dtype == DTYPE_UNKNOWN ? by_bitsandbytes(quantization) : dtype;
}

/* Either name, the language model's before the wrapper's. */
static enum dtype plain(const struct hf_source *source)
{
    static const char *const names[] = {"torch_dtype", "dtype"};
    for (size_t scope = 0; scope < source->scope_count; scope++) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            const char *text = text_of(source->scopes[scope].object, names[i]);
            if (strncmp(text, "torch.", 6) == 0) text += 6;
            enum dtype dtype = FIND(plain_names, text);
            if (dtype != DTYPE_UNKNOWN) return dtype;
        }
    }
    return DTYPE_UNKNOWN;
}

/* The object that states group sizes: the narrowest group of modules, or the block itself. */
static const json_t *scheme_of(const json_t *quantization, enum dtype dtype)
{
    const char *name;
    json_t *group;
    json_object_foreach(json_object_get(quantization, "config_groups"), name, group)
    {
        const json_t *weights = json_object_get(group, "weights");
        if (by_bits(weights, "num_bits") == dtype) return weights;
    }
    return quantization;
}

/* int4 and int8 in groups: a 16-bit scale and, unless symmetric, a zero point of the weight's own bits. GPTQ stores
 * zero points in any case, AWQ unless it says zero_point: false. fp8 in blocks: one 32-bit scale. */
static double grouped_bits(const json_t *quantization, enum dtype dtype)
{
    const json_t *scheme = scheme_of(quantization, dtype), *block = json_object_get(quantization, "weight_block_size");
    double group = json_number_value(json_object_get(scheme, "group_size")), bits = dtype == DTYPE_INT4 ? 4 : 8;
    double rows = json_number_value(json_array_get(block, 0)), columns = json_number_value(json_array_get(block, 1));
    if (dtype == DTYPE_FP8 && rows >= 1 && columns >= 1) return 8 + 32 / (rows * columns);
    if ((dtype != DTYPE_INT4 && dtype != DTYPE_INT8) || !(group >= 1)) return 0;
    bool symmetric = json_is_true(json_object_get(scheme, "symmetric")) ||
                     json_is_false(json_object_get(quantization, "zero_point"));
    return bits + (16 + (symmetric ? 0 : bits)) / group;
}

enum dtype hf_dtype(const struct hf_source *source, const char **ret_note, double *ret_weight_bits)
{
    const json_t *quantization = hf_source_find(source, "quantization_config");
    if (!quantization) quantization = hf_source_find(source, "quantization"); /* merged in from hf_quant_config.json */
    bool mixed = false;
    *ret_note = "";
    *ret_weight_bits = 0;
    if (!json_is_object(quantization)) return plain(source);
    enum dtype dtype = quantised(quantization, &mixed);
    *ret_weight_bits = grouped_bits(quantization, dtype);
    if (dtype == DTYPE_UNKNOWN) *ret_note = "the quantisation is of no known kind: give the dtype or weights_bytes";
    if (mixed) *ret_note = "mixed formats, counted as the narrowest: weights_bytes would be exact";
    return dtype;
}
