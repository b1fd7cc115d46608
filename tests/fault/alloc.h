/* alloc.h owns memory that runs out on demand: every allocation of our code and of jansson passes here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Routes jansson's allocations here too. Call first. */
void alloc_install(void);
/* The n-th allocation from now (1 = the next) fails, once; 0 = none does. */
void alloc_fail_at(size_t n);
/* Whether the failure that was asked for has happened. */
bool alloc_has_failed(void);
/* Allocations that have not been freed. */
long alloc_live_count(void);
