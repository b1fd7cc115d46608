/* training_fuzz.c owns the fuzzing of a whole question about training: lines of name=value, as a query gives them. It
 * is answered or refused with its reasons, the same bytes each time, and what is answered is not negative. */
#include "api/operation.h"
#include "catalog.h"
#include "fuzz.h"

#include <assert.h>
#include <string.h>

enum { PAIRS_MAX = 64 };

/* One part, unless the input names others: a search of all takes long under sanitizers. */
static size_t split(char *text, struct pair pairs[PAIRS_MAX])
{
    size_t count = 0;
    bool part = false;
    for (char *line; text && *text && count < PAIRS_MAX - 1; count++) {
        line = strsep(&text, "\n");
        pairs[count].name = strsep(&line, "=");
        pairs[count].value = line ? line : "";
        part |= strncmp(pairs[count].name, "gpu", 3) == 0;
    }
    if (!part) pairs[count++] = (struct pair){"gpus", "h100-sxm"};
    return count;
}

/* Members of an answer that may be below 0; all others may not. */
static void check_numbers(char *json)
{
    static const char *const signed_members[] = {"\"headroom_gib\":", "_saved_ratio\":", "\"time_added_ratio\":"};
    char *request = strstr(json, "\"request\":");
    if (request) *request = '\0';
    for (char *at = json; (at = strstr(at, ":-")); at++) {
        bool allowed = false;
        for (size_t i = 0; i < sizeof signed_members / sizeof *signed_members; i++) {
            size_t length = strlen(signed_members[i]);
            allowed |= (size_t)(at + 1 - json) >= length && memcmp(at + 1 - length, signed_members[i], length) == 0;
        }
        assert(allowed);
    }
}

static void ask(const struct pair *pairs, size_t count, struct out *answer)
{
    struct arena arena;
    struct problems problems;
    struct input *input = NULL;
    arena_init(&arena, 256 << 20);
    problems_init(&problems, &arena);
    struct call call = {.snapshot = fuzz_catalog(),
                        .today = {20786}, /* 2026-11-29 */
                        .arena = &arena,
                        .problems = &problems,
                        .out = answer};
    enum status status = input_from_pairs(&arena, pairs, count, &problems, &input);
    call.input = input;
    if (status == STATUS_OK) status = operation_run(&operation_training, &call);
    assert((status == STATUS_OK) == (problems.count == 0));
    assert(status != STATUS_INTERNAL && status != STATUS_OUT_OF_MEMORY);
    if (status != STATUS_OK) answer->length = 0;
    input_done(input);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct out first, again;
    struct pair pairs[PAIRS_MAX];
    arena_init(&arena, 64 << 20);
    char *text = arena_strndup(&arena, (const char *)data, size);
    if (text && !strstr(text, "max_gpus")) { /* thousands of GPUs take seconds */
        size_t count = split(text, pairs);
        out_init(&first, 0);
        out_init(&again, 0);
        ask(pairs, count, &first);
        ask(pairs, count, &again);
        assert(first.length == again.length && (!first.length || memcmp(first.data, again.data, first.length) == 0));
        out_raw(&first, "", 1);
        if (first.length > 1) check_numbers(first.data);
        out_done(&first);
        out_done(&again);
    }
    arena_done(&arena);
    return 0;
}
