/* weights_file.c owns the reading behind weights_file.h. */
#include "cli/weights_file.h"

#include "hf/hf_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX_BYTES = 64 << 20, JSON_MAX_BYTES = 16 << 20, LENGTH_BYTES = 8 };

/* The beginning of the file, as much as is there. */
static enum status read_beginning(const char *path, struct problems *problems, unsigned char **ret_data,
                                  size_t *ret_length)
{
    FILE *file = fopen(path, "rb");
    if (!file) return problems_add(problems, STATUS_INVALID_VALUE, "weights", "%s cannot be read", path);
    unsigned char *data = malloc(HEADER_MAX_BYTES);
    size_t length = data ? fread(data, 1, HEADER_MAX_BYTES, file) : 0;
    bool failed = !data || ferror(file);
    (void)fclose(file);
    if (failed) {
        free(data);
        return problems_add(problems, STATUS_INVALID_VALUE, "weights", "%s cannot be read", path);
    }
    *ret_data = data;
    *ret_length = length;
    return STATUS_OK;
}

/* A .safetensors file begins with the bytes of its header, little-endian, and the header's brace. */
static size_t safetensors_header_bytes(const unsigned char *data, size_t length)
{
    uint64_t bytes = 0;
    if (length <= LENGTH_BYTES || data[LENGTH_BYTES] != '{') return 0;
    for (size_t i = LENGTH_BYTES; i-- > 0;)
        bytes = bytes << 8 | data[i];
    return bytes <= length - LENGTH_BYTES && bytes <= JSON_MAX_BYTES ? (size_t)bytes : 0;
}

/* model-00002-of-00004.safetensors holds a quarter of the tensors. */
static bool is_shard(const char *path)
{
    const char *name = strrchr(path, '/');
    return strstr(name ? name + 1 : path, "-of-") != NULL;
}

static enum status take_json(const char *path, const unsigned char *text, size_t length, struct arena *arena,
                             struct problems *problems, const char **ret_json)
{
    if (length > JSON_MAX_BYTES || memchr(text, '\0', length)) {
        return problems_add(problems, STATUS_MALFORMED_CONFIG, "weights",
                            "%s is no .gguf file, no .safetensors file and no index of them", path);
    }
    *ret_json = arena_strndup(arena, (const char *)text, length);
    return *ret_json ? STATUS_OK : problems_add(problems, STATUS_OUT_OF_MEMORY, "weights", "no memory");
}

static enum status take(const char *path, const unsigned char *data, size_t length, struct arena *arena,
                        struct problems *problems, const char **ret_field, const char **ret_json)
{
    *ret_field = "gguf_header";
    if (length >= 4 && memcmp(data, "GGUF", 4) == 0)
        return hf_gguf_header(data, length, arena, problems, "weights", ret_json);
    *ret_field = "safetensors_index";
    size_t header_bytes = safetensors_header_bytes(data, length);
    if (header_bytes == 0) return take_json(path, data, length, arena, problems, ret_json);
    if (is_shard(path)) {
        return problems_add(problems, STATUS_INVALID_VALUE, "weights",
                            "%s is one of several files: give their model.safetensors.index.json", path);
    }
    return take_json(path, data + LENGTH_BYTES, header_bytes, arena, problems, ret_json);
}

enum status weights_file_read(const char *path, struct arena *arena, struct problems *problems, const char **ret_field,
                              const char **ret_json)
{
    unsigned char *data = NULL;
    size_t length = 0;
    enum status status = read_beginning(path, problems, &data, &length);
    if (status != STATUS_OK || !data) return status;
    status = take(path, data, length, arena, problems, ret_field, ret_json);
    free(data);
    return status;
}
