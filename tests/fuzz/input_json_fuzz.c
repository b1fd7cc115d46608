/* input_json_fuzz.c owns fuzzing of a JSON body: whatever the bytes, it is read or refused with reasons, and what was
 * read prints as JSON that reads back the same. */
#include "fuzz.h"

#include "../support/sample_fields.h"
#include "wire/encode.h"
#include "wire/input.h"

#include <stdlib.h>
#include <string.h>

static void require(bool holds)
{
    if (!holds) abort();
}

/* Reads a body and prints what was read, or the problems. */
static enum status answer(const char *body, size_t length, struct out *out)
{
    struct arena arena;
    struct problems problems;
    struct input *input = NULL;
    struct sample sample;
    arena_init(&arena, 64 << 20);
    problems_init(&problems, &arena);
    enum status status = input_from_json(&arena, body, length, &problems, &input);
    if (status == STATUS_OK) status = input_decode(input, &arena, sample_fields, SAMPLE_FIELDS, &sample, &problems);
    input_done(input);
    require((status == STATUS_OK) == (problems.count == 0));
    if (status == STATUS_OK)
        input_encode(out, NULL, sample_fields, SAMPLE_FIELDS, &sample);
    else
        encode_problems(&problems, "/", "r", out);
    require(!out->failed);
    arena_done(&arena);
    return status;
}

/* What we print is what we can parse. */
static void check_formats(const struct out *json)
{
    for (enum format format = FORMAT_CSV; format < FORMAT_TXT; format++) {
        struct arena arena;
        struct problems problems;
        struct out out;
        arena_init(&arena, 0);
        problems_init(&problems, &arena);
        out_init(&out, 0);
        struct encode_options options = {.format = format, .rows = ""};
        require(encode(json->data, json->length, &options, &problems, &out) == STATUS_OK);
        out_done(&out);
        arena_done(&arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct out first, second;
    out_init(&first, 0);
    out_init(&second, 0);
    enum status status = answer((const char *)data, size, &first);
    check_formats(&first);
    bool config = memmem(first.data, first.length, "\"config_hash\"", 13) != NULL; /* its echo is only a hash */
    if (status == STATUS_OK && !config) {
        require(answer(first.data, first.length, &second) == STATUS_OK);
        require(first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
    }
    out_done(&first);
    out_done(&second);
    return 0;
}
