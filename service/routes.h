/* routes.h owns the routes of the service: every path, what answers it, and how failures are told. */
#pragma once
#include "http/server.h"

extern const struct route routes[]; /* ended by a NULL path: server_settings.routes */

/* server_settings.fail: problem+json, or "#ERR code: detail" with status 200 if the query says errors=text. */
void routes_fail(struct request *request, enum status status);

/* server_settings.version: the catalog's version and today, since ages count from the day unless a question says
 * otherwise. Valid until the thread asks again. */
const char *routes_version(const void *snapshot);
