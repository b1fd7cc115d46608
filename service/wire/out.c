/* out.c owns the streaming JSON writer. */
#include "wire/out.h"
#include "catalog/text.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 8192 }; /* a whole answer of a typical question */

void out_init(struct out *out, size_t max_bytes)
{
    *out = (struct out){.max_bytes = max_bytes};
}

void out_done(struct out *out)
{
    free(out->data);
    *out = (struct out){0};
}

static bool out_grow(struct out *out, size_t needed)
{
    size_t limit = out->max_bytes ? out->max_bytes : SIZE_MAX / 2;
    if (needed > limit) return false;
    size_t capacity = out->capacity ? out->capacity : FIRST_BYTES;
    while (capacity < needed)
        capacity *= 2;
    if (capacity > limit) capacity = limit;
    char *data = realloc(out->data, capacity);
    if (!data) return false;
    out->data = data;
    out->capacity = capacity;
    return true;
}

/* Room for `size` more bytes, or NULL once the writer has failed. */
static char *out_room(struct out *out, size_t size)
{
    if (out->failed) return NULL;
    if (size > out->capacity - out->length && (size > SIZE_MAX / 4 || !out_grow(out, out->length + size))) {
        out->failed = true;
        return NULL;
    }
    return out->data + out->length;
}

void out_raw(struct out *out, const char *bytes, size_t length)
{
    char *room = length ? out_room(out, length) : NULL;
    if (!room) return;
    memcpy(room, bytes, length);
    out->length += length;
}

static void out_escaped(struct out *out, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                     {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
    for (size_t i = 0; i < sizeof shorts / sizeof *shorts; i++) {
        if (byte != (unsigned char)shorts[i][0]) continue;
        out_raw(out, (char[]){'\\', shorts[i][1]}, 2);
        return;
    }
    out_raw(out, (char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
}

static void out_string(struct out *out, const char *text)
{
    out_raw(out, "\"", 1);
    const char *plain = text;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f) continue;
        out_raw(out, plain, (size_t)(text - plain));
        out_escaped(out, byte);
        plain = text + 1;
    }
    out_raw(out, plain, (size_t)(text - plain));
    out_raw(out, "\"", 1);
}

/* The comma and the key before a value. */
static void out_lead(struct out *out, const char *key)
{
    if (out->separate) out_raw(out, ",", 1);
    out->separate = true;
    if (!key) return;
    out_string(out, key);
    out_raw(out, ":", 1);
}

static void out_open(struct out *out, const char *key, const char *bracket)
{
    out_lead(out, key);
    out_raw(out, bracket, 1);
    out->separate = false;
}

static void out_close(struct out *out, const char *bracket)
{
    out_raw(out, bracket, 1);
    out->separate = true;
}

void out_object(struct out *out, const char *key)
{
    out_open(out, key, "{");
}

void out_object_end(struct out *out)
{
    out_close(out, "}");
}

void out_array(struct out *out, const char *key)
{
    out_open(out, key, "[");
}

void out_array_end(struct out *out)
{
    out_close(out, "]");
}

void out_text(struct out *out, const char *key, const char *value)
{
    if (!value) {
        out_null(out, key);
        return;
    }
    out_lead(out, key);
    out_string(out, value);
}

void out_number(struct out *out, const char *key, double value)
{
    out_lead(out, key);
    char *room = out_room(out, NUMBER_TEXT_BYTES);
    if (room) out->length += text_format_double(value, room);
}

/* value / 10^decimals, exactly, without trailing zeros. */
static void out_scaled(struct out *out, int64_t value, int decimals)
{
    char digits[NUMBER_TEXT_BYTES];
    char *at = digits + sizeof digits;
    uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    while (decimals > 0 && magnitude % 10 == 0) {
        magnitude /= 10;
        decimals--;
    }
    for (int count = 0; magnitude || count <= decimals; count++) {
        if (count && count == decimals) *--at = '.';
        *--at = (char)('0' + magnitude % 10);
        magnitude /= 10;
    }
    if (value < 0) *--at = '-';
    out_raw(out, at, (size_t)(digits + sizeof digits - at));
}

void out_integer(struct out *out, const char *key, int64_t value)
{
    if (value == INT64_MIN) {
        out_null(out, key);
        return;
    }
    out_lead(out, key);
    out_scaled(out, value, 0);
}

void out_usd(struct out *out, const char *key, usd_t value)
{
    if (!usd_known(value)) {
        out_null(out, key);
        return;
    }
    out_lead(out, key);
    out_scaled(out, value.micro, 6);
}

void out_bool(struct out *out, const char *key, bool value)
{
    out_lead(out, key);
    out_raw(out, value ? "true" : "false", value ? 4 : 5);
}

void out_null(struct out *out, const char *key)
{
    out_lead(out, key);
    out_raw(out, "null", 4);
}

void out_date(struct out *out, const char *key, date_t value)
{
    char text[DATE_TEXT_BYTES];
    out_text(out, key, date_known(value) ? date_format(value, text) : NULL);
}
