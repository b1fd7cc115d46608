/* router.c owns exact matching, the format suffix and what a path allows. */
#include "http/router.h"

#include "wire/encode.h"

#include <string.h>

static const struct {
    const char *name, *allow;
    unsigned method;
} methods[] = {
    {"GET", "GET, HEAD, ", ROUTE_GET},    {"HEAD", "", ROUTE_GET},
    {"POST", "POST, ", ROUTE_POST},       {"PATCH", "PATCH, ", ROUTE_PATCH},
    {"DELETE", "DELETE, ", ROUTE_DELETE},
};
enum { METHODS = sizeof methods / sizeof *methods };

unsigned router_method(const char *method)
{
    for (size_t i = 0; i < METHODS; i++) {
        if (strcmp(methods[i].name, method) == 0) return methods[i].method;
    }
    return 0;
}

const char *router_allow(unsigned allowed, char ret_allow[ALLOW_BYTES])
{
    char *end = ret_allow;
    for (size_t i = 0; i < METHODS; i++) {
        if (allowed & methods[i].method) end = stpcpy(end, methods[i].allow);
    }
    (void)stpcpy(end, "OPTIONS");
    return ret_allow;
}

size_t router_fixed_length(const struct route *route)
{
    return strcspn(route->path, "{");
}

/* The last segment is a parameter: any text without a slash. */
static void match_parameter(const struct route *routes, unsigned method, const char *path, size_t length,
                            struct match *match)
{
    for (const struct route *route = routes; route->path; route++) {
        size_t fixed = router_fixed_length(route);
        if (!route->path[fixed] || length <= fixed || memcmp(route->path, path, fixed) != 0) continue;
        if (memchr(path + fixed, '/', length - fixed)) continue;
        match->methods |= route->methods;
        if (route->methods & method) match->route = route;
    }
}

static void match_exact(const struct route *routes, unsigned method, const char *path, size_t length, bool suffixed,
                        struct match *match)
{
    for (const struct route *route = routes; route->path; route++) {
        if (strlen(route->path) != length || memcmp(route->path, path, length) != 0) continue;
        if (suffixed && !route->formats) continue;
        match->methods |= route->methods;
        if (route->methods & method) match->route = route;
    }
}

static enum status suffix_format(const char *suffix, size_t length, const char **ret_format)
{
    char name[8];
    enum format format = FORMAT_JSON;
    if (length == 0 || length >= sizeof name) return STATUS_NOT_ACCEPTABLE;
    memcpy(name, suffix, length);
    name[length] = '\0';
    if (!format_parse(name, &format)) return STATUS_NOT_ACCEPTABLE;
    *ret_format = format_name(format);
    return STATUS_OK;
}

struct match router_match(const struct route *routes, unsigned method, const char *path, size_t length)
{
    struct match match = {.status = STATUS_OK};
    match_exact(routes, method, path, length, false, &match);
    const char *dot = memrchr(path, '.', length);
    if (!match.methods && dot) {
        size_t stem = (size_t)(dot - path);
        match_exact(routes, method, path, stem, true, &match);
        if (match.methods) match.status = suffix_format(dot + 1, length - stem - 1, &match.format);
    }
    if (!match.methods) match_parameter(routes, method, path, length, &match);
    if (!match.methods)
        match.status = STATUS_NOT_FOUND;
    else if (match.status == STATUS_OK && !match.route)
        match.status = STATUS_METHOD_NOT_ALLOWED;
    if (match.status != STATUS_OK) match.route = NULL;
    return match;
}
