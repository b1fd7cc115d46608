/* report_files.h owns the way from the reports of the settings to rows beside the built-in calibrations. */
#pragma once
#include "catalog/load.h"
#include "cli/settings.h"

/* Text and length of *file, in the layout of calibrations.csv and in the arena. Problems name file and member. */
enum status report_files_read(const struct settings *settings, struct arena *arena, struct problems *problems,
                              struct catalog_text *file) MUST_CHECK;
