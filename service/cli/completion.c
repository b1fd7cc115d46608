/* completion.c owns the completion scripts, made from the tables of commands and fields. */
#include "cli/cli.h"
#include "cli/flags.h"

#include <stdio.h>
#include <string.h>

static void print_dashed(const char *name)
{
    char text[CLI_NAME_BYTES];
    cli_dashed(name, text);
    (void)printf("%s", text);
}

static void print_commands(void)
{
    for (size_t i = 0; operations[i]; i++)
        (void)printf("%s ", operations[i]->command);
    for (const struct cli_command *command = cli_commands; command->name; command++)
        (void)printf("%s ", command->name);
}

static void print_flags(const struct operation *operation, const char *prefix)
{
    for (size_t i = 0; i < operation->field_count; i++) {
        (void)printf("%s", prefix);
        print_dashed(operation->fields[i].name);
        (void)putchar(' ');
    }
    for (size_t i = 0; cli_form_option(i); i++)
        (void)printf("%s%s ", prefix, cli_form_option(i));
}

/* zsh reads the same functions after bashcompinit. */
static void print_bash(const char *first_line)
{
    (void)printf("%s_gpusize() {\n  local words\n  case \"${COMP_WORDS[1]}\" in\n", first_line);
    for (size_t i = 0; operations[i]; i++) {
        (void)printf("    %s) words=\"", operations[i]->command);
        print_flags(operations[i], "--");
        (void)printf("\" ;;\n");
    }
    (void)printf("    *) words=\"\" ;;\n  esac\n  if [ \"$COMP_CWORD\" -eq 1 ]; then words=\"");
    print_commands();
    (void)printf("\"; fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n"
                 "complete -o default -F _gpusize gpusize\n");
}

static void print_fish(const char *unused)
{
    (void)unused;
    (void)printf("complete -c gpusize -n __fish_use_subcommand -xa '");
    print_commands();
    (void)printf("'\n");
    for (size_t i = 0; operations[i]; i++) {
        for (size_t f = 0; f < operations[i]->field_count; f++) {
            (void)printf("complete -c gpusize -n '__fish_seen_subcommand_from %s' -x -l ", operations[i]->command);
            print_dashed(operations[i]->fields[f].name);
            (void)printf("\n");
        }
    }
}

static const struct {
    const char *shell, *first_line;
    void (*print)(const char *first_line);
} shells[] = {
    {"bash", "", print_bash},
    {"zsh", "autoload -U +X bashcompinit && bashcompinit\n", print_bash},
    {"fish", "", print_fish},
};

int cli_completion(const struct cli *cli, int argc, char **argv)
{
    (void)cli;
    for (size_t i = 0; argc > 1 && i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(argv[1], shells[i].shell) != 0) continue;
        shells[i].print(shells[i].first_line);
        return CLI_OK;
    }
    bool asked = argc > 1 && strcmp(argv[1], "--help") == 0;
    (void)fprintf(asked ? stdout : stderr, "Usage: gpusize completion bash|zsh|fish\n"
                                           "  for example: source <(gpusize completion bash)\n");
    return asked ? CLI_OK : CLI_USAGE;
}
