/* measured.h owns what the layouts of measured rows share: their numbers, their loads, and what becomes of a row. */
#pragma once
#include "import/formats.h"

bool measured_is_number(enum import_column column);
/* A number by its column: within its limits, else the row is refused. */
void measured_set_number(struct measured *measured, enum import_column column, const char *field, const char *text);
void measured_set_load(struct measured *measured, const char *load_mode);
void measured_refuse(struct measured *measured, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Hands the row on as it is spelled, or, its names looked up, as an observation. */
void measured_take(struct importing *importing, struct measured *measured);
/* Rows of a file of JSON documents, one or several after another; the text is changed. */
enum status measured_read_json(struct importing *importing, char *text, size_t length) MUST_CHECK;
