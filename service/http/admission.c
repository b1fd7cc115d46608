/* admission.c owns who may ask: the key of a request, what its role allows, and how often it may come. */
#include "http/admission.h"

/* The key that the request carries; "" if there is none, NULL if there are several. */
static const char *presented_key(const struct exchange *x)
{
    const char *bearer = client_bearer(x->head.authorization), *header = x->head.api_key;
    size_t count = x->query_keys + (bearer ? 1 : 0) + (header ? 1 : 0);
    if (count > 1) return NULL;
    return bearer ? bearer : header ? header : x->query_keys ? x->query_key : "";
}

void admission_identify(struct exchange *x)
{
    const struct server_settings *settings = &x->server->settings;
    const char *key = presented_key(x);
    client_address(x->connection.remote, x->head.forwarded_for, settings->trusted_proxies, x->address);
    if (!key)
        exchange_refuse(x, STATUS_MALFORMED_REQUEST,
                        "more than one key: send one, in Authorization, X-Api-Key or key=");
    if (!key || !*key) return;
    x->caller_status =
        settings->authenticate ? settings->authenticate(settings->data, key, &x->caller) : STATUS_NOT_FOUND;
    if (x->caller_status == STATUS_NOT_FOUND) /* a token for somebody else, such as a proxy on the way, is no bad key */
        x->caller_status = client_bearer(x->head.authorization) ? STATUS_OK : STATUS_UNAUTHORIZED;
    if (x->caller_status == STATUS_OK && x->query_keys && x->caller.role > ROLE_READER) {
        x->caller_status = STATUS_FORBIDDEN; /* what stands in a URL is seen by too many */
        x->caller = (struct caller){.role = ROLE_NONE};
    }
}

static void check_access(struct exchange *x, enum route_access access)
{
    static const enum role needed[] = {
        [ROUTE_OPEN] = ROLE_NONE,   [ROUTE_READ] = ROLE_NONE,    [ROUTE_OWN] = ROLE_NONE,
        [ROUTE_REPORT] = ROLE_NONE, [ROUTE_WRITE] = ROLE_WRITER, [ROUTE_ADMIN] = ROLE_ADMIN};
    const struct server_settings *settings = &x->server->settings;
    bool reads =
        (access == ROUTE_READ && settings->reading_needs_key) || (access == ROUTE_OWN && settings->authenticate);
    bool reports = access == ROUTE_REPORT && settings->reports_need_key;
    enum role role = reads ? ROLE_READER : reports ? ROLE_WRITER : needed[access];
    if (reports && !settings->authenticate)
        exchange_refuse(x, STATUS_DATABASE_REQUIRED,
                        "reports need a key, and keys are in a database: set DATABASE_URL, or reports_need_key = off");
    else if (role != ROLE_NONE && !settings->authenticate)
        exchange_refuse(x, STATUS_READ_ONLY, NULL); /* no key would help */
    else if (x->caller_status == STATUS_DATABASE_AWAY)
        exchange_refuse(x, STATUS_DATABASE_AWAY, "no key can be checked before the database has been reached once");
    else if (x->caller_status == STATUS_FORBIDDEN)
        exchange_refuse(x, STATUS_FORBIDDEN, "a key in the query must be a reader's: send others in a header");
    else if (x->caller_status != STATUS_OK)
        exchange_refuse(x, x->caller_status, "this key is not known, or has expired or been revoked");
    else if (role > x->caller.role && x->caller.role == ROLE_NONE)
        exchange_refuse(x, STATUS_UNAUTHORIZED, NULL);
    else if (role > x->caller.role)
        exchange_refuse(x, STATUS_FORBIDDEN, NULL);
}

/* By key; or by address, where also keys that are none are counted. */
static void check_limit(struct exchange *x)
{
    const struct server_settings *settings = &x->server->settings;
    bool by_key = x->caller.role != ROLE_NONE;
    char network[CLIENT_ADDRESS_BYTES];
    double rate = by_key ? settings->key_requests_per_second : settings->address_requests_per_second;
    if (by_key && x->caller.requests_per_second > 0) rate = x->caller.requests_per_second; /* false if unknown */
    client_network(x->address, network);
    if (rate > 0 &&
        !limits_take(x->server->limits, by_key ? x->caller.key_id : network, rate, x->started_us, &x->retry_s))
        exchange_refuse(x, STATUS_TOO_MANY_REQUESTS,
                        by_key ? "more requests than this key may make"
                               : "more requests than one address may make without a key");
}

bool admission_check(struct exchange *x, const struct route *route)
{
    if (x->admitted || x->refusal != STATUS_OK) return x->refusal == STATUS_OK;
    x->admitted = true;
    if (route->access == ROUTE_OPEN) return true;
    check_limit(x);
    check_access(x, route->access);
    return x->refusal == STATUS_OK;
}
