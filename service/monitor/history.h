/* history.h owns the last samples of one host: a ring of a fixed number, and windows over it. */
#pragma once
#include "monitor/sample.h"

enum { HISTORY_DEFAULT = 1000, HISTORY_MAX = 100000 }; /* the article keeps 1,000 */

struct history;
struct history *history_new(size_t max);    /* NULL when out of memory */
void history_free(struct history *history); /* accepts NULL */
/* Copies it, in the place of the oldest when there are `max`. false: out of memory, nothing has changed. */
bool history_add(struct history *history, const struct sample *sample);

size_t history_count(const struct history *history);
const struct sample *history_at(const struct history *history, size_t index); /* 0 is the oldest */
const struct sample *history_last(const struct history *history);             /* NULL if there is none */
/* Milliseconds that only go forward: see sample_clock. */
int64_t history_elapsed_ms(const struct history *history, size_t index);
/* The first index of the window: samples that are at most so much older than the newest. */
size_t history_window(const struct history *history, double minutes);
