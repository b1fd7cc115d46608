/* heap.h owns allocation for a parser that does not survive running out of memory: jansson drops a byte of the token
 * that it reads and goes on, at worst past the end of it. So the parse is left instead, and all that it took freed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Does work(context). False if an allocation failed: work was then left where it stood, and what it had allocated here
 * is freed; it must hold nothing else that would be lost. Not to be nested. */
bool heap_guard(void (*work)(void *context), void *context);

/* For json_set_alloc_funcs. Outside heap_guard like malloc and free; heap_free accepts NULL, in any thread. */
void *heap_alloc(size_t size_bytes);
void heap_free(void *memory);
