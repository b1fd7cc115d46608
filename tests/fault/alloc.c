/* alloc.c owns the allocation functions that the linker puts in the place of the C library's (--wrap). */
#include "alloc.h"

#include <stdlib.h>
#include <string.h>

/* The names are the linker's. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *memory);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t length);

static size_t allocations_left; /* until the one that fails; 0 = none will */
static bool has_failed;
static long live_count;

static bool fails_now(void)
{
    if (allocations_left == 0 || --allocations_left > 0) {
        return false;
    }
    has_failed = true;
    return true;
}

static void *counted(void *memory)
{
    live_count += memory != NULL;
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    if (fails_now()) {
        return NULL;
    }
    return old ? __real_realloc(old, size) : counted(__real_realloc(NULL, size));
}

void __wrap_free(void *memory)
{
    live_count -= memory != NULL;
    __real_free(memory);
}

char *__wrap_strndup(const char *text, size_t length)
{
    size_t bytes = strnlen(text, length);
    char *copy = __wrap_malloc(bytes + 1);
    if (copy) {
        memcpy(copy, text, bytes);
        copy[bytes] = '\0';
    }
    return copy;
}

char *__wrap_strdup(const char *text)
{
    return __wrap_strndup(text, strlen(text));
}

void alloc_fail_at(size_t n)
{
    allocations_left = n;
    has_failed = false;
}

bool alloc_has_failed(void)
{
    return has_failed;
}

long alloc_live_count(void)
{
    return live_count;
}
