/* training_runs_fuzz.c owns the fuzzing of measured training runs: any text is refused with its reasons, or is runs
 * that can be predicted. */
#include "catalog.h"
#include "evaluate/training.h"
#include "fuzz.h"

#include <assert.h>
#include <math.h>

enum { PREDICTED_MOST = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct snapshot *catalog = fuzz_catalog();
    struct arena arena;
    struct problems problems;
    struct training_runs runs = {0};
    arena_init(&arena, 64 << 20);
    problems_init(&problems, &arena);
    char *text = arena_strndup(&arena, (const char *)data, size);
    if (text) {
        enum status status = training_runs_read("runs.csv", text, size, catalog, &arena, &problems, &runs);
        assert((status == STATUS_OK) == (problems.count == 0));
        for (size_t i = 0; status == STATUS_OK && i < runs.count && i < PREDICTED_MOST; i++) {
            struct training_span span;
            assert(!isinf(training_run_error(&runs.items[i], &catalog->training_profiles[0])));
            if (runs.items[i].refused || !is_known(runs.items[i].peak_bytes)) continue;
            training_run_span(&runs.items[i], &span);
            assert(!(span.low_bytes > span.high_bytes));
        }
    }
    arena_done(&arena);
    return 0;
}
