/* report.h owns how an evaluation reads: tables for people, JSON, and a line for each figure. */
#pragma once
#include "evaluate/group.h"

struct out;

/* Rows of one source, as the first lines tell them. */
struct evaluated_file {
    const char *name;
    size_t rows;
};

struct report {
    const struct evaluated_file *files;
    size_t file_count;
    const struct scores *scores;
    const struct grouping *groupings;
    const struct groups *groups; /* of each grouping */
    size_t grouping_count;
    const struct refusals *refusals;
};

void report_text(const struct report *report, struct out *out);
void report_json(const struct report *report, struct out *out);
/* The lines of the score's figure for --predictions, with the names of the columns if `header`. NULL without memory. */
const char *report_line(const struct score *score, bool header, struct arena *arena);
