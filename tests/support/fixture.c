/* fixture.c owns the beginning and the end of test programs. */
#include "support/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct arena arena;
struct problems problems;
struct snapshot *snapshot;

int fixture_setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    const enum status status = catalog_load(catalog_bundled(), &problems, &snapshot);
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s: %s\n", problems.items[i].field, problems.items[i].detail);
    return status == STATUS_OK ? 0 : -1;
}

int fixture_teardown(void **state)
{
    (void)state;
    snapshot_free(snapshot);
    arena_done(&arena);
    return 0;
}
