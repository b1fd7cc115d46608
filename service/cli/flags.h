/* flags.h owns how options look: their names with dashes, their lines in --help, and a command's own ones, which are
 * taken out of its arguments; what is left are settings. */
#pragma once
#include "catalog/status.h"

struct cli_flag {
    const char *name, *value, *help; /* "expires_at"; value NULL: it takes none, and the member is a bool */
    size_t offset;                   /* of the member: const char *, or bool */
};

/* Whether the first `length` bytes are that name: "queue-max" and "queue_max" are the same. */
bool cli_names(const char *given, size_t length, const char *name);
/* The name with dashes. */
enum { CLI_NAME_BYTES = 64 };
void cli_dashed(const char *name, char ret_text[CLI_NAME_BYTES]);
/* A line of --help; value and preset may be NULL. */
void cli_print_option(const char *name, const char *value, const char *help, const char *preset);
/* Fills the members; `flags` is ended by a NULL name. Other arguments stay in argv, in their order. "--name=value" is
 * understood. Adds a problem for each that lacks its value, or has one that it does not take. */
void cli_take_flags(const struct cli_flag *flags, int *argc, char **argv, void *members, struct problems *problems);
/* A line each, and one for the database, which all commands with flags need. */
void cli_print_flags(const struct cli_flag *flags);
