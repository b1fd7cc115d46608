/* flags.c owns the loop over arguments. */
#include "cli/flags.h"

#include <stdio.h>
#include <string.h>

static const struct cli_flag *find_flag(const struct cli_flag *flags, const char *argument)
{
    size_t length = strcspn(argument, "=");
    for (; flags->name; flags++) {
        if (strlen(flags->name) == length && strncmp(flags->name, argument, length) == 0) return flags;
    }
    return NULL;
}

void cli_take_flags(const struct cli_flag *flags, int *argc, char **argv, void *members, struct problems *problems)
{
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        const struct cli_flag *flag = find_flag(flags, argv[i]);
        const char *equals = strchr(argv[i], '=');
        if (!flag) {
            argv[kept++] = argv[i];
        } else if (!flag->value) {
            *(bool *)((char *)members + flag->offset) = true;
            if (equals) (void)problems_add(problems, STATUS_WRONG_TYPE, flag->name, "takes no value");
        } else if (equals || i + 1 < *argc) {
            *(const char **)((char *)members + flag->offset) = equals ? equals + 1 : argv[++i];
        } else {
            (void)problems_add(problems, STATUS_MISSING_FIELD, flag->name, "needs a value: %s", flag->value);
        }
    }
    *argc = kept;
}

void cli_print_flags(const struct cli_flag *flags)
{
    for (; flags->name; flags++) {
        int width = printf("  %s %s", flags->name, flags->value ? flags->value : "");
        (void)printf("%*s%s\n", width < 32 ? 32 - width : 1, "", flags->help);
    }
}
