/* fixture.h owns what most test programs have while their tests run: memory, a place for problems, the bundled catalog.
 */
#pragma once
#include "catalog/load.h"

extern struct arena arena;
extern struct problems problems;
extern struct snapshot *snapshot;

/* Problems of the catalog fail it, and are printed. */
int fixture_setup(void **state);
/* Without the catalog. */
int fixture_setup_empty(void **state);
int fixture_teardown(void **state); /* of either */
