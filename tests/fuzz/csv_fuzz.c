/* csv_fuzz.c owns the fuzzing of one catalog file: the input takes the place of the file CSV_FILE, the others are the
 * bundled ones. Built once for each file. */
#include "catalog/load.h"
#include "fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct catalog_text files[CATALOG_FILE_COUNT];
    const struct catalog_text *bundled = catalog_bundled();
    for (int file = 0; file < CATALOG_FILE_COUNT; file++) {
        files[file] = bundled[file];
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
