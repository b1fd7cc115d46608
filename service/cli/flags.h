/* flags.h owns the taking of a command's own options out of its arguments; what is left are settings. */
#pragma once
#include "catalog/status.h"

struct cli_flag {
    const char *name, *value, *help; /* "--expires-at"; value NULL: it takes none, and the member is a bool */
    size_t offset;                   /* of the member: const char *, or bool */
};

/* Fills the members; `flags` is ended by a NULL name. Other arguments stay in argv, in their order. "--name=value" is
 * understood. Adds a problem for each that lacks its value, or has one that it does not take. */
void cli_take_flags(const struct cli_flag *flags, int *argc, char **argv, void *members, struct problems *problems);
/* One line each. */
void cli_print_flags(const struct cli_flag *flags);
