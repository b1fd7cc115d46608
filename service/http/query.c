/* query.c owns percent-decoding and the splitting of a query string. */
#include "http/query.h"

#include "catalog/text.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool query_decode(const char *text, size_t length, bool plus, char *decoded, size_t *ret_length)
{
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < length ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0) return false;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0') return false;
        decoded[used++] = c;
    }
    decoded[used] = '\0';
    *ret_length = used;
    return text_valid_utf8(decoded, used);
}

static size_t count_parts(const char *text, size_t length)
{
    size_t count = 1;
    for (size_t i = 0; i < length; i++)
        count += text[i] == '&';
    return count;
}

static char *decode_part(struct arena *arena, const char *text, size_t length)
{
    char *decoded = arena_alloc(arena, length + 1);
    size_t used = 0;
    return decoded && query_decode(text, length, true, decoded, &used) ? decoded : NULL;
}

static void add_pair(struct arena *arena, const char *part, size_t length, struct problems *problems,
                     struct query_pair *pairs, size_t *count)
{
    const char *equals = memchr(part, '=', length);
    size_t name_length = equals ? (size_t)(equals - part) : length;
    size_t value_length = equals ? length - name_length - 1 : 0;
    const char *name = decode_part(arena, part, name_length);
    const char *value = decode_part(arena, equals ? equals + 1 : "", value_length);
    if (name && value && *name)
        pairs[(*count)++] = (struct query_pair){name, value, part, length};
    else
        problems_add(problems, STATUS_MALFORMED_REQUEST, name ? name : "",
                     "a query holds names and values in UTF-8, where %% is followed by two hex digits other than 00");
}

enum status query_parse(struct arena *arena, const char *text, size_t length, struct problems *problems,
                        const struct query_pair **ret_pairs, size_t *ret_count)
{
    size_t count = 0, parts = count_parts(text, length);
    if (parts > QUERY_PAIRS_MAX)
        return problems_add(problems, STATUS_TOO_COMPLEX, "", "a query may have %d fields", QUERY_PAIRS_MAX);
    struct query_pair *pairs = ARENA_ARRAY(arena, parts, struct query_pair);
    if (!pairs) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "out of memory");
    const char *end = text + length;
    for (const char *part = text; part < end;) {
        const char *and = memchr(part, '&', (size_t)(end - part));
        const char *stop = and? and : end;
        if (stop > part) add_pair(arena, part, (size_t)(stop - part), problems, pairs, &count);
        part = stop + 1;
    }
    *ret_pairs = pairs;
    *ret_count = count;
    return problems_status(problems);
}
