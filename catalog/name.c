/* name.c owns the rules behind name.h. */
#include "catalog/name.h"

#include <string.h>

/* The next character that counts, lower case; ASCII only, whatever the locale. */
static unsigned char next_letter(const char **text)
{
    while (**text == ' ' || **text == '-' || **text == '_')
        ++*text;
    unsigned char letter = (unsigned char)**text;
    if (letter) ++*text;
    return letter >= 'A' && letter <= 'Z' ? (unsigned char)(letter - 'A' + 'a') : letter;
}

int name_compare(const char *a, const char *b)
{
    for (;;) {
        unsigned char x = next_letter(&a), y = next_letter(&b);
        if (x != y) return x < y ? -1 : 1;
        if (x == '\0') return 0;
    }
}

bool name_begins(const char *name, const char *start)
{
    for (unsigned char wanted = 0; (wanted = next_letter(&start)) != '\0';) {
        if (next_letter(&name) != wanted) return false;
    }
    return true;
}

const char *name_shown(const char *name, char text[NAME_SHOWN_BYTES])
{
    size_t length = strnlen(name, NAME_SHOWN_BYTES);
    bool cut = length == NAME_SHOWN_BYTES;
    if (cut) length = NAME_SHOWN_BYTES - 4;
    while (cut && length > 0 && ((unsigned char)name[length] & 0xC0) == 0x80)
        length--;
    memcpy(text, name, length);
    memcpy(text + length, cut ? "..." : "", cut ? 4 : 1);
    return text;
}
