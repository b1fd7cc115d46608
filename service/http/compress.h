/* compress.h owns the compression of answers. A deflate stream costs more to set up than an answer to compress, so
 * streams are kept and reset. */
#pragma once
#include "http/negotiate.h"

#include <stddef.h>

struct compressors;
struct compressors *compressors_new(void); /* NULL when out of memory */
void compressors_free(struct compressors *compressors);

/* The compressed bytes, to be freed by the caller; NULL unless they are at most half as long, since less is not
 * worth the client's time, and a cached answer is charged for twice its length. */
void *compress_bytes(struct compressors *compressors, enum encoding encoding, const void *bytes, size_t length,
                     size_t *ret_length);
