/* run_program.h owns the running of a program for an alert: no shell, a text on its standard input, a time limit. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct program {
    char *const *arguments; /* the program first, found by PATH; ended by NULL */
    const char *input;
    size_t input_length;
    double timeout_s;        /* then it and what it has started are killed */
    const atomic_bool *stop; /* so they are soon after it is set */
};

/* Whether there is such a program: a file that may be run, by its path or by PATH. */
bool run_program_exists(const char *name);
/* Whether it ended with the status 0; else why it did not. What it prints goes to our standard error. */
bool run_program(const struct program *program, char ret_why[], size_t why_bytes);
