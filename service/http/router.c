/* router.c owns exact matching, the format suffix and what a path allows. */
#include "http/router.h"

#include "wire/encode.h"

#include <string.h>

unsigned router_method(const char *method)
{
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) return ROUTE_GET;
    return strcmp(method, "POST") == 0 ? ROUTE_POST : 0;
}

const char *router_allow(unsigned methods)
{
    static const char *const values[] = {
        [ROUTE_GET] = "GET, HEAD, OPTIONS",
        [ROUTE_POST] = "POST, OPTIONS",
        [ROUTE_GET | ROUTE_POST] = "GET, HEAD, POST, OPTIONS",
    };
    return methods && methods < sizeof values / sizeof *values ? values[methods] : "OPTIONS";
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
    if (!match.methods)
        match.status = STATUS_NOT_FOUND;
    else if (match.status == STATUS_OK && !match.route)
        match.status = STATUS_METHOD_NOT_ALLOWED;
    if (match.status != STATUS_OK) match.route = NULL;
    return match;
}
