/* router.h owns the way from method and path to a row of the route table. Pure. */
#pragma once
#include "http/server.h"

struct match {
    const struct route *route; /* NULL unless status is STATUS_OK */
    const char *format;        /* of the suffix; NULL = none */
    unsigned methods;          /* that the path allows: enum route_method bits */
    enum status status;        /* NOT_FOUND, METHOD_NOT_ALLOWED, NOT_ACCEPTABLE (an unknown suffix) */
};

/* Bytes of the route's path before its parameter, if it has one. */
size_t router_fixed_length(const struct route *route);
/* 0 for a method that no route has. */
unsigned router_method(const char *method);
/* `method` 0 finds only what the path allows. */
struct match router_match(const struct route *routes, unsigned method, const char *path, size_t length);
enum { ALLOW_BYTES = 64 };
/* "GET, HEAD, OPTIONS": the value of Allow. */
const char *router_allow(unsigned allowed, char ret_allow[ALLOW_BYTES]);
