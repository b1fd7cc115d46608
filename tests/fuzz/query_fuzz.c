/* query_fuzz.c owns fuzzing of the flat form: lines of name=value, as a query string gives them after decoding. */
#include "fuzz.h"

#include "../support/sample_fields.h"
#include "wire/encode.h"
#include "wire/input.h"

#include <stdlib.h>
#include <string.h>

enum { PAIRS_MAX = 256 };

static void require(bool holds)
{
    if (!holds) abort();
}

static size_t split(char *text, struct pair pairs[PAIRS_MAX])
{
    size_t count = 0;
    for (char *line; text && *text && count < PAIRS_MAX; count++) {
        line = strsep(&text, "\n");
        pairs[count].name = strsep(&line, "=");
        pairs[count].value = line ? line : "";
    }
    return count;
}

/* A value of the query as the field and as the columns of an answer. */
static void check_selection(const char *value)
{
    static const char json[] =
        "{\"recommended\":null,\"a\":[{\"rank\":1,\"b\":{\"c\":2.5,\"d\":[\"x\",true]}},{\"e\":\"=1\"}]}";
    const struct encode_options options[] = {{.format = FORMAT_TXT, .field = value},
                                             {.format = FORMAT_CSV, .rows = "a", .columns = value},
                                             {.format = FORMAT_CSV, .rows = value}};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct arena arena;
        struct problems problems;
        struct out out;
        arena_init(&arena, 0);
        problems_init(&problems, &arena);
        out_init(&out, 0);
        enum status status = encode(json, sizeof json - 1, &options[i], &problems, &out);
        require(status != STATUS_INTERNAL && status != STATUS_OUT_OF_MEMORY);
        require((status == STATUS_OK) == (problems.count == 0));
        out_done(&out);
        arena_done(&arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct problems problems;
    struct input *input = NULL;
    struct sample sample;
    struct pair pairs[PAIRS_MAX];
    struct out out;
    arena_init(&arena, 64 << 20);
    problems_init(&problems, &arena);
    out_init(&out, 0);
    char *text = arena_strndup(&arena, (const char *)data, size);
    size_t count = text ? split(text, pairs) : 0;
    enum status status = input_from_pairs(&arena, pairs, count, &problems, &input);
    if (status == STATUS_OK) status = input_decode(input, &arena, sample_fields, SAMPLE_FIELDS, &sample, &problems);
    input_done(input);
    require((status == STATUS_OK) == (problems.count == 0));
    if (status == STATUS_OK)
        input_encode(&out, NULL, sample_fields, SAMPLE_FIELDS, &sample);
    else
        encode_problems(&problems, "/", "r", &out);
    require(!out.failed);
    for (size_t i = 0; i < count && i < 4; i++)
        check_selection(pairs[i].value);
    out_done(&out);
    arena_done(&arena);
    return 0;
}
