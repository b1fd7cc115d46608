/* alloc.h owns memory that runs out on demand: every allocation of our code passes here, and those of jansson, which
 * catalog/heap.h makes for it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* The n-th allocation from now (1 = the next) fails, once; 0 = none does. */
void alloc_fail_at(size_t n);
/* Whether the failure that was asked for has happened. */
bool alloc_has_failed(void);
/* Allocations that have not been freed. */
long alloc_live_count(void);
