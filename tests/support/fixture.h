/* fixture.h owns what most test programs have while their tests run: memory, a place for problems, the bundled catalog.
 */
#pragma once
#include "catalog/load.h"

extern struct arena arena;
extern struct problems problems;
extern struct snapshot *snapshot;

/* For cmocka_run_group_tests; problems of the catalog fail it, and are printed. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
