/* access.c owns the names of roles. */
#include "catalog/access.h"

#include <string.h>

static const char *const role_names[ROLE_COUNT] = {
    [ROLE_NONE] = "none", [ROLE_READER] = "reader", [ROLE_WRITER] = "writer", [ROLE_ADMIN] = "admin"};

const char *role_name(enum role role)
{
    return role_names[role];
}

bool role_parse(const char *name, enum role *ret_role)
{
    for (enum role role = ROLE_READER; role < ROLE_COUNT; role++) {
        if (strcmp(role_names[role], name) != 0) continue;
        *ret_role = role;
        return true;
    }
    return false;
}
