/* negotiate.h owns what the client's headers choose: the encoding of the answer, and whether it has it already.
 * Pure. */
#pragma once
#include <stdbool.h>

enum encoding { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_BROTLI, ENCODING_COUNT };

const char *encoding_name(enum encoding encoding); /* the value of Content-Encoding; NULL for identity */
/* The best of what Accept-Encoding allows: the highest q, then brotli, gzip, identity. NULL = identity. */
enum encoding negotiate_encoding(const char *accept_encoding);

enum { ETAG_BYTES = 96 };
/* W/"<id>", W/"<id>-gzip", W/"<id>-br"; ids of up to 64 bytes. */
void negotiate_etag(const char *id, enum encoding encoding, char etag[ETAG_BYTES]);
/* Weak comparison against a list, or "*". */
bool negotiate_matches(const char *if_none_match, const char *etag);
