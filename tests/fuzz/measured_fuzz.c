/* measured_fuzz.c owns the fuzzing of measured rows: the input is a file of any of their layouts, which is read,
 * compared, grouped and written. */
#include "catalog.h"
#include "evaluate/group.h"
#include "evaluate/read.h"
#include "evaluate/report.h"
#include "fuzz.h"

#include <assert.h>
#include <string.h>

static void compare(const struct runs *runs, struct arena *arena, struct problems *problems)
{
    struct scores scores;
    struct groups groups;
    struct refusals refusals;
    const struct grouping by = {
        .name = "all", .keys = {GROUP_LOAD, GROUP_ENGINE, GROUP_GPU, GROUP_MODEL, GROUP_BASIS}, .key_count = 5};
    enum status status = scores_make(runs, arena, problems, &scores);
    if (status == STATUS_OK) status = groups_make(&scores, &by, arena, problems, &groups);
    if (status == STATUS_OK) status = refusals_make(&scores, arena, problems, &refusals);
    assert(status == STATUS_OK && scores.count >= runs->count);
    for (size_t i = 0; i < scores.count; i++) {
        const struct score *score = &scores.items[i];
        assert(score->reason ? *score->reason != '\0' : score->error_ratio >= 0);
        assert(report_line(score, i == 0, arena));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct run_defaults defaults = {"vllm", "0.19", "llama-3.1-8b", "h100-sxm",
                                                 "",     "",     UNKNOWN,        "published"};
    struct arena arena;
    struct problems problems;
    struct runs runs = {.count = 0};
    FILE *file = size ? fmemopen((void *)(uintptr_t)data, size, "rb") : NULL;
    if (!file) return 0;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = runs_read_file(file, "file", fuzz_catalog(), &defaults, &arena, &problems, &runs);
    assert((status == STATUS_OK) == (problems.count == 0));
    compare(&runs, &arena, &problems);
    arena_done(&arena);
    (void)fclose(file);
    return 0;
}
