/* fixture.c owns the beginning and the end of test programs. */
#include "support/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct arena arena;
struct problems problems;
struct snapshot *snapshot;

int fixture_setup_empty(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    return 0;
}

int fixture_setup(void **state)
{
    (void)fixture_setup_empty(state);
    const enum status status = catalog_load(catalog_bundled(), &problems, &snapshot);
    for (size_t i = 0; i < problems.count; i++)
        print_error("%s: %s\n", problems.items[i].field, problems.items[i].detail);
    return status == STATUS_OK ? 0 : -1;
}

int fixture_teardown(void **state)
{
    (void)state;
    snapshot_free(snapshot);
    snapshot = NULL;
    arena_done(&arena);
    return 0;
}
