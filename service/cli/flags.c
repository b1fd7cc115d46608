/* flags.c owns the names of options, their lines, and the loop over arguments. */
#include "cli/flags.h"

#include <stdio.h>
#include <string.h>

enum { HELP_COLUMN = 42 };

bool cli_names(const char *given, size_t length, const char *name)
{
    for (size_t i = 0; i < length; i++) {
        if ((given[i] == '-' ? '_' : given[i]) != name[i]) return false;
    }
    return name[length] == '\0';
}

void cli_dashed(const char *name, char ret_text[CLI_NAME_BYTES])
{
    size_t i = 0;
    for (; name[i] && i < CLI_NAME_BYTES - 1; i++)
        ret_text[i] = name[i] == '_' ? '-' : name[i];
    ret_text[i] = '\0';
}

void cli_print_option(const char *name, const char *value, const char *help, const char *preset)
{
    char text[CLI_NAME_BYTES];
    cli_dashed(name, text);
    int width = printf("  --%s %s", text, value ? value : "");
    (void)printf("%*s%s%s%s%s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 1, "", help, preset ? " Default: " : "",
                 preset ? preset : "", preset ? "." : "");
}

static const struct cli_flag *find_flag(const struct cli_flag *flags, const char *argument)
{
    if (strncmp(argument, "--", 2) != 0) return NULL;
    size_t length = strcspn(argument + 2, "=");
    for (; flags->name; flags++) {
        if (cli_names(argument + 2, length, flags->name)) return flags;
    }
    return NULL;
}

void cli_take_flags(const struct cli_flag *flags, int *argc, char **argv, void *members, struct problems *problems)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        const struct cli_flag *flag = find_flag(flags, argv[i]);
        const char *equals = strchr(argv[i], '=');
        const char *shown = arena_strndup(problems->arena, argv[i], strcspn(argv[i], "="));
        if (!flag) {
            argv[kept++] = argv[i];
        } else if (!flag->value) {
            *(bool *)((char *)members + flag->offset) = true;
            if (equals) (void)problems_add(problems, STATUS_WRONG_TYPE, shown ? shown : "", "takes no value");
        } else if (equals || i + 1 < *argc) {
            *(const char **)((char *)members + flag->offset) = equals ? equals + 1 : argv[++i];
        } else {
            (void)problems_add(problems, STATUS_MISSING_FIELD, shown ? shown : "", "needs a value: %s", flag->value);
        }
    }
    *argc = kept;
}

void cli_print_flags(const struct cli_flag *flags)
{
    for (; flags->name; flags++)
        cli_print_option(flags->name, flags->value, flags->help, NULL);
    cli_print_option("database_url", "TEXT", "Which database; see gpusize serve --help.", NULL);
}
