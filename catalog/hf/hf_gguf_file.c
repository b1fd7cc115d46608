/* hf_gguf_file.c owns the bytes of a GGUF header (ggml's docs/gguf.md), little-endian, versions 2 and 3. Every length
 * is checked against what is left of the buffer before anything is read or made. */
#include "catalog/heap.h"
#include "hf/hf_shape.h"
#include "hf/hf_tensors.h"

#include <string.h>

enum { TEXT_KEPT_MAX = 200, LIST_KEPT_MAX = HF_LAYERS_MAX, DIMENSIONS_MAX = 4, NAME_MAX_BYTES = 256 };

struct reader {
    const unsigned char *data;
    size_t length, at;
    const char *wrong; /* what was being read when it did not fit; NULL: all is well */
};

static bool has(struct reader *reader, uint64_t bytes, const char *what)
{
    if (!reader->wrong && bytes <= reader->length - reader->at) return true;
    if (!reader->wrong) reader->wrong = what;
    return false;
}

static uint64_t read_integer(struct reader *reader, size_t bytes, const char *what)
{
    uint64_t value = 0;
    if (!has(reader, bytes, what)) return 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | reader->data[reader->at + i];
    reader->at += bytes;
    return value;
}

struct text {
    const char *bytes;
    size_t length;
};

static struct text read_text(struct reader *reader, const char *what)
{
    uint64_t length = read_integer(reader, 8, what);
    if (!has(reader, length, what)) return (struct text){"", 0};
    struct text text = {(const char *)reader->data + reader->at, (size_t)length};
    reader->at += (size_t)length;
    return text;
}

enum value_type {
    TYPE_U8,
    TYPE_I8,
    TYPE_U16,
    TYPE_I16,
    TYPE_U32,
    TYPE_I32,
    TYPE_F32,
    TYPE_BOOL,
    TYPE_TEXT,
    TYPE_LIST,
    TYPE_U64,
    TYPE_I64,
    TYPE_F64,
    TYPE_COUNT
};
static const size_t type_bytes[TYPE_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static double to_number(enum value_type type, uint64_t bits)
{
    float single;
    double value;
    uint32_t low = (uint32_t)bits;
    if (type == TYPE_I8) return (int8_t)bits;
    if (type == TYPE_I16) return (int16_t)bits;
    if (type == TYPE_I32) return (int32_t)bits;
    if (type == TYPE_I64) return (double)(int64_t)bits;
    memcpy(&single, &low, sizeof single);
    memcpy(&value, &bits, sizeof value);
    return type == TYPE_F32 ? single : type == TYPE_F64 ? value : (double)bits;
}

/* A new reference; NULL for what JSON has not (texts that are not UTF-8, infinities) or when out of memory. */
static json_t *read_scalar(struct reader *reader, enum value_type type)
{
    static const char what[] = "a value";
    if (type == TYPE_TEXT) {
        struct text text = read_text(reader, what);
        return text.length <= TEXT_KEPT_MAX ? json_stringn(text.bytes, text.length) : NULL;
    }
    uint64_t bits = read_integer(reader, type_bytes[type], what);
    return type == TYPE_BOOL ? json_boolean(bits) : json_real(to_number(type, bits));
}

/* Of a list only numbers for each layer matter; of others their count. */
static json_t *read_list(struct reader *reader)
{
    static const char what[] = "a list";
    uint64_t type = read_integer(reader, 4, what), count = read_integer(reader, 8, what);
    if (type >= TYPE_COUNT || type == TYPE_LIST) {
        if (!reader->wrong) reader->wrong = "a list of lists, or of no known type";
        return NULL;
    }
    size_t each = type == TYPE_TEXT ? 8 : type_bytes[type];
    if (count > (reader->length - reader->at) / each && !reader->wrong) reader->wrong = what;
    bool kept = type != TYPE_TEXT && count <= LIST_KEPT_MAX;
    json_t *list = kept ? json_array() : json_pack("{s:f}", "count", (double)count);
    if (!kept && type != TYPE_TEXT && has(reader, count * each, what)) reader->at += (size_t)count * each;
    for (uint64_t i = 0; i < count && !reader->wrong && (kept || type == TYPE_TEXT); i++) {
        if (type == TYPE_TEXT)
            (void)read_text(reader, what);
        else
            (void)json_array_append_new(list, read_scalar(reader, (enum value_type)type));
    }
    return list;
}

/* Takes `value`; names that are no UTF-8 make the header wrong. */
static void put(struct reader *reader, json_t *object, struct text name, json_t *value)
{
    char key[NAME_MAX_BYTES + 1];
    if (name.length > NAME_MAX_BYTES || memchr(name.bytes, '\0', name.length)) {
        if (!reader->wrong) reader->wrong = "a name of more than 256 bytes, or with NUL";
        json_decref(value);
        return;
    }
    memcpy(key, name.bytes, name.length);
    key[name.length] = '\0';
    if (json_object_get(object, key)) reader->wrong = "a name twice";
    if (json_object_set_new(object, key, value) != 0 && !reader->wrong) reader->wrong = "a name that is not UTF-8";
}

static json_t *read_metadata(struct reader *reader, uint64_t count)
{
    json_t *metadata = json_object();
    for (uint64_t i = 0; i < count && !reader->wrong; i++) {
        struct text key = read_text(reader, "a key");
        uint64_t type = read_integer(reader, 4, "a type");
        if (type >= TYPE_COUNT && !reader->wrong) reader->wrong = "a value of no known type";
        if (reader->wrong) break;
        json_t *value = type == TYPE_LIST ? read_list(reader) : read_scalar(reader, (enum value_type)type);
        if (value) put(reader, metadata, key, value);
    }
    return metadata;
}

static json_t *read_tensor(struct reader *reader)
{
    uint64_t dimensions = read_integer(reader, 4, "a tensor");
    if (dimensions > DIMENSIONS_MAX && !reader->wrong) reader->wrong = "a tensor of more than four dimensions";
    json_t *shape = json_array();
    for (uint64_t i = 0; i < dimensions && !reader->wrong; i++)
        (void)json_array_append_new(shape, json_real((double)read_integer(reader, 8, "a tensor")));
    uint64_t type = read_integer(reader, 4, "a tensor");
    (void)read_integer(reader, 8, "a tensor"); /* its place in the file */
    const char *name = hf_ggml_type_name(type);
    if (!reader->wrong && !name) reader->wrong = "a tensor of no known type";
    return json_pack("{s:s, s:o}", "type", reader->wrong ? "" : name, "shape", shape);
}

static json_t *read_tensors(struct reader *reader, uint64_t count)
{
    json_t *tensors = json_object();
    for (uint64_t i = 0; i < count && !reader->wrong; i++) {
        struct text name = read_text(reader, "a tensor");
        if (reader->wrong) break;
        put(reader, tensors, name, read_tensor(reader));
    }
    return tensors;
}

struct header {
    struct reader reader;
    char *text;
};

static void read_header(void *context)
{
    struct header *header = context;
    struct reader *reader = &header->reader;
    bool magic = has(reader, 4, "the magic") && memcmp(reader->data, "GGUF", 4) == 0;
    reader->at += magic ? 4 : 0;
    uint64_t version = read_integer(reader, 4, "the version");
    if (!magic || (version != 2 && version != 3)) {
        reader->wrong = "no little-endian GGUF of version 2 or 3";
        return;
    }
    uint64_t tensor_count = read_integer(reader, 8, "the counts"), key_count = read_integer(reader, 8, "the counts");
    if (tensor_count > GGUF_TENSORS_MAX || key_count > GGUF_KEYS_MAX)
        reader->wrong = "more tensors or keys than a model has";
    json_t *metadata = read_metadata(reader, key_count), *tensors = read_tensors(reader, tensor_count);
    json_t *top = json_pack("{s:o, s:o}", "metadata", metadata, "tensors", tensors);
    if (top && !reader->wrong) header->text = json_dumps(top, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(top);
}

enum status hf_gguf_header(const unsigned char *data, size_t length, struct arena *arena, struct problems *problems,
                           const char *field, const char **ret_json)
{
    struct header header = {.reader = {.data = data, .length = length}};
    bool finished = heap_guard(read_header, &header);
    if (finished && header.reader.wrong) {
        return problems_add(problems, STATUS_MALFORMED_CONFIG, field,
                            "the GGUF header is wrong or cut short at byte %zu: %s", header.reader.at,
                            header.reader.wrong);
    }
    const char *text = finished && header.text ? arena_strdup(arena, header.text) : NULL;
    if (finished) heap_free(header.text);
    if (!text) return problems_add(problems, STATUS_OUT_OF_MEMORY, field, "no memory for the header");
    *ret_json = text;
    return STATUS_OK;
}
