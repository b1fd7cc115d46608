/* negotiate.c owns the reading of Accept-Encoding and If-None-Match (RFC 9110 12.5.3 and 13.1.2). */
#include "http/negotiate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const names[ENCODING_COUNT] = {NULL, "gzip", "br"};

const char *encoding_name(enum encoding encoding)
{
    return names[encoding];
}

/* The q of "; q=0.5" in thousandths; 1000 without one, 0 for nonsense. */
static int read_weight(const char *parameters, const char *end)
{
    while (parameters < end && strchr("; \t", *parameters))
        parameters++;
    if (end - parameters < 3) return parameters == end ? 1000 : 0;
    if ((parameters[0] | 0x20) != 'q' || parameters[1] != '=') return 0;
    int weight = 0, scale = 1000;
    for (const char *c = parameters + 2; c < end && scale > 0; c++) {
        if (*c == '.') continue;
        if (*c < '0' || *c > '9') break;
        weight += (*c - '0') * scale;
        scale /= 10;
    }
    return weight > 1000 ? 1000 : weight;
}

static bool is_coding(const char *begin, size_t length, const char *name)
{
    return strlen(name) == length && strncasecmp(begin, name, length) == 0;
}

static void read_coding(const char *begin, const char *end, int weights[ENCODING_COUNT], int *any)
{
    size_t length = strcspn(begin, ";, \t");
    int weight = read_weight(begin + length, end);
    if (is_coding(begin, length, "*")) *any = weight;
    if (is_coding(begin, length, "identity")) weights[ENCODING_IDENTITY] = weight;
    if (is_coding(begin, length, "gzip") || is_coding(begin, length, "x-gzip")) weights[ENCODING_GZIP] = weight;
    if (is_coding(begin, length, "br")) weights[ENCODING_BROTLI] = weight;
}

enum encoding negotiate_encoding(const char *accept_encoding)
{
    if (!accept_encoding) return ENCODING_IDENTITY;
    int weights[ENCODING_COUNT] = {-1, -1, -1}, any = -1;
    for (const char *part = accept_encoding; *part;) {
        part += strspn(part, ", \t");
        const char *end = part + strcspn(part, ",");
        if (end > part) read_coding(part, end, weights, &any);
        part = end;
    }
    enum encoding best = ENCODING_IDENTITY;
    int best_weight = weights[ENCODING_IDENTITY] >= 0 ? weights[ENCODING_IDENTITY] : 1; /* allowed, last choice */
    for (enum encoding e = ENCODING_GZIP; e < ENCODING_COUNT; e++) {
        int weight = weights[e] >= 0 ? weights[e] : any;
        if (weight > 0 && weight >= best_weight) best = e, best_weight = weight;
    }
    return best;
}

void negotiate_etag(const char *id, enum encoding encoding, char etag[ETAG_BYTES])
{
    const char *name = names[encoding];
    (void)snprintf(etag, ETAG_BYTES, "W/\"%.64s%s%s\"", id, name ? "-" : "", name ? name : "");
}

bool negotiate_matches(const char *if_none_match, const char *etag)
{
    const char *opaque = strchr(etag, '"'); /* the W/ does not count */
    if (!opaque) return false;
    size_t length = strlen(opaque);
    for (const char *part = if_none_match; *part;) {
        part += strspn(part, ", \t");
        if (*part == '*') return true;
        if (strncmp(part, "W/", 2) == 0) part += 2;
        if (strncmp(part, opaque, length) == 0) return true;
        part += strcspn(part, ",");
    }
    return false;
}
