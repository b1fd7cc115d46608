/* report_fuzz.c owns the fuzzing of reports of a probe: any bytes are calibrations that the catalog takes, or reasons.
 */
#include "calibrate/report.h"
#include "catalog.h"
#include "fuzz.h"

#include <assert.h>
#include <string.h>

/* What comes out must be what goes into a catalog. */
static void load(const struct report *report, struct arena *arena, struct problems *problems)
{
    struct catalog_text files[CATALOG_FILE_COUNT] = {0}, beside = {.name = "report"};
    struct snapshot *snapshot = NULL;
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++)
        files[i].name = catalog_bundled()[i].name;
    files[FILE_GPUS] = catalog_bundled()[FILE_GPUS];
    beside.text = report_csv(report->entries, report->entry_count, arena);
    assert(beside.text);
    beside.length = strlen(beside.text);
    files[FILE_CALIBRATIONS].over = &beside;
    enum status status = catalog_load(files, problems, &snapshot);
    assert(status == STATUS_OK && snapshot->calibration_count == report->entry_count);
    snapshot_free(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { TODAY = 21000 };
    struct arena arena;
    struct problems problems;
    struct report report;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status =
        report_read(fuzz_catalog(), (const char *)data, size, "own", (date_t){TODAY}, &arena, &problems, &report);
    assert((status == STATUS_OK) == (problems.count == 0));
    if (status == STATUS_OK) {
        assert(report.entry_count > 0);
        for (size_t i = 0; i < report.entry_count; i++) {
            const struct calibration *calibration = &report.entries[i].calibration;
            assert(strlen(calibration->id) == REPORT_ID_DIGITS && calibration->gpu);
            assert((calibration->state == CALIBRATION_SUSPECT) == (*calibration->reason != '\0'));
        }
        load(&report, &arena, &problems);
    }
    arena_done(&arena);
    return 0;
}
