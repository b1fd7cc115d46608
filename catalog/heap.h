/* heap.h owns allocation for parsers that do not say when memory ran out: jansson calls most such failures a mistake
 * in the text. It remembers, per thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

void heap_watch(void);   /* forgets what was before */
bool heap_ran_out(void); /* whether an allocation has failed since then */
void *heap_alloc(size_t size_bytes);
void heap_free(void *memory); /* accepts NULL */
