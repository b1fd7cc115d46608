/* admission.h owns who may ask. What may not is refused by exchange_refuse. */
#pragma once
#include "http/exchange.h"

/* Once the header is complete: whose request it is. */
void admission_identify(struct exchange *x);
/* As soon as the route is known; counts once however often it is asked. False: the request is refused. */
bool admission_check(struct exchange *x, const struct route *route);
