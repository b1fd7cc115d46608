/* pack.c owns how small a stored text is: deflate, and back within a limit. */
#include "record/record.h"

#include <stdlib.h>
#include <zlib.h>

bool record_deflate(struct record_text text, struct record_text *ret_packed)
{
    uLongf length = compressBound((uLong)text.length);
    Bytef *packed = malloc(length);
    if (packed && compress(packed, &length, (const Bytef *)text.bytes, (uLong)text.length) == Z_OK) {
        *ret_packed = (struct record_text){(const char *)packed, length};
        return true;
    }
    free(packed);
    return false;
}

enum status record_inflate(struct record_text packed, size_t max_bytes, struct arena *arena, struct problems *problems,
                           struct record_text *ret_text)
{
    uLongf length = (uLongf)max_bytes;
    Bytef *text = malloc(max_bytes); /* pages that are not written to cost nothing */
    int result = text ? uncompress(text, &length, (const Bytef *)packed.bytes, (uLong)packed.length) : Z_MEM_ERROR;
    const char *copy = result == Z_OK ? arena_strndup(arena, (const char *)text, length) : NULL;
    free(text);
    if (!copy && (result == Z_OK || result == Z_MEM_ERROR))
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory to unpack an answer");
    if (!copy)
        return problems_add(problems, STATUS_DATABASE, "", "what is stored %s",
                            result == Z_BUF_ERROR ? "unpacks to more than any answer has" : "is damaged");
    *ret_text = (struct record_text){copy, length};
    return STATUS_OK;
}
