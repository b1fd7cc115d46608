/* explain.h owns the words of a recommendation: why an option, why not a GPU, what was assumed, what to type.
 * Private to sizing. All texts live in the arena; NULL when out of memory. */
#pragma once
#include "sizing/search.h"

const char *explain_option(const struct question *question, const struct option *option, struct arena *arena);
const char *explain_rejection(const struct question *question, const struct rejection *rejection, struct arena *arena);
const char *explain_relaxation(const struct relaxation *relaxation, struct arena *arena);
/* What starts the option's replica, and what measures the predicted figures on it. Every value is shell-quoted. */
const char *explain_launch_command(const struct question *question, const struct option *option, struct arena *arena);
const char *explain_verify_command(const struct question *question, const struct option *option, struct arena *arena);
/* The command with the options of LoRA slots, draft and offload. Owned by launch_extras.c. */
const char *explain_extras(const struct deployment *deployment, const char *command, struct arena *arena);
/* Text in single quotes for a POSIX shell. */
const char *explain_shell_quote(const char *text, struct arena *arena);
