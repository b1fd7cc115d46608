/* main.c owns what the program is made of: its routes meet its commands here. */
#include "cli/cli.h"
#include "routes.h"

int main(int argc, char **argv)
{
    const struct cli cli = {.routes = routes, .fail = routes_fail};
    return cli_main(&cli, argc, argv);
}
