/* hf_safetensors.c owns the sizes in an index of shards and in the header of one file. */
#include "hf/hf_shape.h"
#include "hf/hf_tensors.h"

#include <string.h>

static const double BYTES_MAX = 1e15;

/* Bits of an element (safetensors' Dtype). */
static double dtype_bits_of(const char *name)
{
    static const struct {
        const char *name;
        double bits;
    } dtypes[] = {
        {"F64", 64},    {"I64", 64},    {"U64", 64},    {"F32", 32},    {"I32", 32}, {"U32", 32}, {"BF16", 16},
        {"F16", 16},    {"I16", 16},    {"U16", 16},    {"I8", 8},      {"U8", 8},   {"BOOL", 8}, {"F8_E4M3", 8},
        {"F8_E5M2", 8}, {"F8_E8M0", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F4", 4},
    };
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (strcmp(dtypes[i].name, name) == 0) return dtypes[i].bits;
    }
    return -1;
}

static bool read_tensor(const char *name, const json_t *entry, struct tensor *ret_tensor)
{
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    double elements = hf_tensors_elements(json_object_get(entry, "shape")), bits = dtype ? dtype_bits_of(dtype) : -1;
    double begin = json_number_value(json_array_get(offsets, 0)), end = json_number_value(json_array_get(offsets, 1));
    if (elements < 0 || bits < 0) return false;
    bool spans = json_array_size(offsets) == 2;
    if (spans && !(begin >= 0 && end >= begin && end <= BYTES_MAX)) return false;
    *ret_tensor = (struct tensor){name, elements, spans ? end - begin : elements * bits / 8};
    return true;
}

static enum status sum_header(json_t *top, const struct model *model, struct problems *problems, const char *field,
                              struct hf_weights *weights)
{
    const char *name;
    json_t *entry;
    json_object_foreach(top, name, entry)
    {
        struct tensor tensor;
        if (strcmp(name, "__metadata__") == 0) continue;
        if (!json_is_object(entry) || !read_tensor(name, entry, &tensor)) {
            return problems_add(
                problems, STATUS_MALFORMED_CONFIG, field,
                "\"%.60s\" is no tensor: give its dtype, shape and data_offsets, or send the index with "
                "metadata.total_size",
                name);
        }
        (void)hf_tensors_add(&tensor, model, &weights->stored, NULL);
    }
    weights->total_bytes = stored_weights_sum(&weights->stored);
    if (weights->total_bytes > 0 && weights->total_bytes <= BYTES_MAX) return STATUS_OK;
    return problems_add(problems, STATUS_MALFORMED_CONFIG, field, "its tensors have %.3g bytes in all",
                        weights->total_bytes);
}

static enum status read_weights(json_t *top, const struct model *model, struct problems *problems, const char *field,
                                struct hf_weights *ret_weights)
{
    struct hf_weights weights = {0};
    enum status status = STATUS_OK;
    const json_t *metadata = json_object_get(top, "metadata"), *total = json_object_get(metadata, "total_size");
    if (!json_is_object(metadata)) {
        status = sum_header(top, model, problems, field, &weights);
    } else {
        weights.total_bytes = json_number_value(total);
        if (!json_is_number(total) || !(weights.total_bytes >= 1 && weights.total_bytes <= BYTES_MAX)) {
            status = problems_add(problems, STATUS_MALFORMED_CONFIG, field,
                                  "metadata.total_size must be the bytes of all tensors, at most %.0e", BYTES_MAX);
        }
    }
    if (status == STATUS_OK) *ret_weights = weights;
    return status;
}

enum status hf_safetensors_parse(const char *json, size_t length, const struct model *model, struct problems *problems,
                                 const char *field, struct hf_weights *ret_weights)
{
    json_t *top = NULL;
    enum status status = hf_text_load(json, length, problems, field, &top);
    if (status != STATUS_OK) return status;
    status = read_weights(top, model, problems, field, ret_weights);
    json_decref(top);
    return status;
}
