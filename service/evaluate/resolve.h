/* resolve.h owns what a measured row means: which deployment ran, under which load, and what of it can be compared. */
#pragma once
#include "catalog/snapshot.h"
#include "evaluate/run.h"
#include "import/import.h"

/* Texts are copied into the arena. False only without memory; what cannot be predicted says why. */
bool resolve_run(const struct snapshot *catalog, struct measured *measured, struct arena *arena,
                 struct run *ret_run) MUST_CHECK;
