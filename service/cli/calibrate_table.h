/* calibrate_table.h owns the report of a calibration as a person reads it: figures beside what the part can do. */
#pragma once
#include "catalog/snapshot.h"
#include "wire/json_read.h"

/* Prints to standard output. report: calibration/1. snapshot: where the peaks of a GPU of that name are; NULL: the
 * driver's own figure for the memory alone. False if it cannot be written. */
bool calibrate_table_print(json_t *report, const struct snapshot *snapshot);
