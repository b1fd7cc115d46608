/* xml.c owns the XML form of an answer: no namespace, no attributes, <item> for the elements of a list. */
#include "wire/formats.h"

#include <string.h>

static void write_name(struct out *out, const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    if (!*name || !strchr(letters, *name)) out_raw(out, "_", 1);
    for (const char *c = name; *c; c++)
        out_raw(out, strchr(letters, *c) || strchr("0123456789.-", *c) ? c : "_", 1);
}

/* Bytes of the character at `text` that XML 1.0 forbids: controls, U+FFFE, U+FFFF; 0 if it may stand. */
static size_t forbidden(const char *text)
{
    if ((unsigned char)*text < 0x20) return !strchr("\t\n\r", *text);
    return strncmp(text, "\xEF\xBF\xBE", 3) == 0 || strncmp(text, "\xEF\xBF\xBF", 3) == 0 ? 3 : 0;
}

static void write_text(struct out *out, const char *text)
{
    static const struct {
        char character;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\r', "&#13;"}};
    while (*text) {
        size_t skip = forbidden(text);
        const char *as = text;
        size_t length = skip ? 0 : 1;
        for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
            if (*text != entities[i].character) continue;
            as = entities[i].entity;
            length = strlen(as);
        }
        out_raw(out, as, length);
        text += skip ? skip : 1;
    }
}

static void write_tag(struct out *out, const char *open, const char *name, const char *close)
{
    out_raw(out, open, strlen(open));
    write_name(out, name);
    out_raw(out, close, strlen(close));
}

void xml_write(const char *name, json_t *value, struct out *out)
{
    const char *key = NULL;
    json_t *member = NULL;
    size_t i = 0;
    if (json_is_null(value)) {
        write_tag(out, "<", name, "/>");
        return;
    }
    write_tag(out, "<", name, ">");
    if (json_is_object(value)) {
        json_object_foreach(value, key, member) xml_write(key, member, out);
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, member) xml_write("item", member, out);
    } else if (json_is_string(value)) {
        write_text(out, json_string_value(value));
    } else {
        scalar_write(value, out);
    }
    write_tag(out, "</", name, ">");
}
