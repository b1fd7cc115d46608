/* arena.h owns memory that is freed all at once: every request and every snapshot has one arena. */
#pragma once
#include <stdarg.h>
#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *head;     /* newest block */
    size_t used_bytes, max_bytes; /* of all blocks together; max_bytes 0 means no limit */
};

void arena_init(struct arena *arena, size_t max_bytes);
void arena_done(struct arena *arena); /* frees everything; the arena can be used again */

/* Zeroed memory aligned for any type, owned by the arena; NULL when out of memory or over the limit. */
void *arena_alloc(struct arena *arena, size_t size_bytes);
void *arena_array(struct arena *arena, size_t count, size_t size_bytes); /* checks count * size */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

#define ARENA_NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, count, type) ((type *)arena_array((arena), (count), sizeof(type)))
