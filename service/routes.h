/* routes.h owns the routes of the service: every path, what answers it, and how failures are told. */
#pragma once
#include "http/server.h"

extern const struct route routes[]; /* ended by a NULL path: server_settings.routes */

/* server_settings.fail: problem+json, or "#ERR code: detail" with status 200 if the query says errors=text. */
void routes_fail(struct request *request, enum status status);
