/* zip_fuzz.c owns the fuzzing of zips of price lists: the input is the zip, whose files are read to their ends within a
 * limit that a few bytes can reach. */
#include "fuzz.h"
#include "import/archive.h"

#include <assert.h>

enum { UNPACKED_BYTES_MAX = 1 << 20 };

static size_t read_all(struct archive *archive)
{
    char block[4096];
    size_t length = 1, total = 0;
    while (length > 0 && archive_read(archive, block, sizeof block, &length) == STATUS_OK)
        total += length;
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct problems problems;
    struct archive *archive = NULL;
    const char *name = NULL;
    size_t total = 0;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    (void)archive_is((const char *)data, size);
    enum status status = archive_open(NULL, (const char *)data, size, UNPACKED_BYTES_MAX, &problems, &archive);
    assert((status == STATUS_OK) == (archive != NULL && problems.count == 0));
    while (archive && archive_next(archive, &problems, &name) == STATUS_OK && name &&
           archive_explain(archive, &problems) == STATUS_OK)
        total += read_all(archive);
    assert(total <= UNPACKED_BYTES_MAX);
    archive_close(archive);
    arena_done(&arena);
    return 0;
}
