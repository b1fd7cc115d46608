/* catalog.h owns the bundled catalog of the fuzz targets that need one: loaded with the first input, kept for all. */
#pragma once
#include "catalog/load.h"

#include <stdlib.h>

static inline const struct snapshot *fuzz_catalog(void)
{
    static struct snapshot *snapshot;
    struct arena arena;
    struct problems problems;
    if (snapshot) return snapshot;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    if (catalog_load(catalog_bundled(), &problems, &snapshot) != STATUS_OK) abort();
    arena_done(&arena);
    return snapshot;
}
