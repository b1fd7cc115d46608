/* name.h owns how names are compared and shown: people write "RTX 4090", "rtx_4090" and "RTX-4090". */
#pragma once
#include <stdbool.h>

/* Order of names without case, blanks, '-' and '_'. 0: the same name. */
int name_compare(const char *a, const char *b);
/* Whether `name` begins like `start`, by the same rules. */
bool name_begins(const char *name, const char *start);

enum { NAME_SHOWN_BYTES = 84 };
/* The name as a message may quote it: at most 80 bytes, cut between characters. `name` is valid UTF-8. */
const char *name_shown(const char *name, char text[NAME_SHOWN_BYTES]);
