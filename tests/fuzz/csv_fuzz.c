/* csv_fuzz.c owns the fuzzing of one catalog file: the input takes the place of the file CSV_FILE, beside the bundled
 * files whose names it may use; the rest is absent, so that a run takes little time. Built once for each file. */
#include "catalog/load.h"
#include "fuzz.h"

#include <assert.h>

#define NEEDS(file) (1U << FILE_##file)
static const unsigned needed[CATALOG_FILE_COUNT] = {
    [FILE_GPU_ALIASES] = NEEDS(GPUS),
    [FILE_MODEL_ALIASES] = NEEDS(MODELS),
    [FILE_ENGINE_ALIASES] = NEEDS(ENGINE_PROFILES),
    [FILE_ENGINE_SUPPORT] = NEEDS(ENGINE_PROFILES) | NEEDS(GPUS),
    [FILE_OFFERS] = NEEDS(GPUS) | NEEDS(REGIONS),
    [FILE_PURCHASE_PRICES] = NEEDS(GPUS),
    [FILE_OPERATING_COSTS] = NEEDS(GPUS),
    [FILE_API_PRICES] = NEEDS(MODELS),
    [FILE_CALIBRATIONS] = NEEDS(GPUS),
    [FILE_MEASURED] = NEEDS(GPUS) | NEEDS(MODELS) | NEEDS(ENGINE_PROFILES),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct catalog_text files[CATALOG_FILE_COUNT];
    const struct catalog_text *bundled = catalog_bundled();
    for (int file = 0; file < CATALOG_FILE_COUNT; file++) {
        files[file] =
            needed[CSV_FILE] & (1U << file) ? bundled[file] : (struct catalog_text){.name = bundled[file].name};
    }
    files[CSV_FILE].text = (const char *)data;
    files[CSV_FILE].length = size;

    struct arena arena;
    struct problems problems;
    struct snapshot *snapshot = NULL;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = catalog_load(files, &problems, &snapshot);
    assert((status == STATUS_OK) == (snapshot != NULL)); /* a snapshot or a reason, never both or neither */
    assert((status == STATUS_OK) == (problems.count == 0));
    snapshot_free(snapshot);
    arena_done(&arena);
    return 0;
}
