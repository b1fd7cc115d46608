/* guard.c owns the rules behind guard.h. */
#include "http/guard.h"

#include "catalog/text.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* RFC 9110 5.6.2: what a header name or a method may consist of. */
static bool is_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))) return false;
    }
    return length > 0;
}

static bool has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return true;
    }
    return false;
}

static const struct wanted {
    const char *name;
    size_t length;
    size_t value;         /* offset in struct head */
    bool last;            /* of several lines the last one counts, not the first */
    const char *repeated; /* what is wrong with several lines; NULL = nothing */
} wanted[] = {
#define WANTED(text, member)                                                                                           \
    {                                                                                                                  \
        text, sizeof(text) - 1, offsetof(struct head, member), false, NULL                                             \
    }
#define ONCE(text, member)                                                                                             \
    {                                                                                                                  \
        text, sizeof(text) - 1, offsetof(struct head, member), false, "more than one " text " header"                  \
    }
    ONCE("Host", host),
    ONCE("Content-Length", content_length),
    ONCE("Transfer-Encoding", transfer_encoding),
    WANTED("Content-Type", content_type),
    WANTED("Content-Encoding", content_encoding),
    WANTED("Expect", expect),
    WANTED("Accept-Encoding", accept_encoding),
    WANTED("If-None-Match", if_none_match),
    WANTED("X-Request-Id", request_id),
    WANTED("traceparent", traceparent),
    ONCE("Authorization", authorization),
    ONCE("X-Api-Key", api_key),
    ONCE("If-Match", if_match),
    ONCE("Idempotency-Key", idempotency_key),
    {"X-Forwarded-For", sizeof "X-Forwarded-For" - 1, offsetof(struct head, forwarded_for), true,
     NULL}, /* the proxy's */
#undef WANTED
#undef ONCE
};

void head_init(struct head *head, const char *method, const char *version, const char *uri, size_t uri_length)
{
    *head = (struct head){.method = method, .version = version, .uri = uri, .uri_length = uri_length};
}

void head_add(struct head *head, const char *name, size_t name_length, const char *value, size_t value_length)
{
    head->lines++;
    if (!is_token(name, name_length) || has_control(value, value_length)) head->bad_line = true;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const struct wanted *row = &wanted[i];
        if (row->length != name_length || strncasecmp(row->name, name, name_length) != 0) continue;
        const char **slot = (const char **)(void *)((char *)head + row->value);
        if (*slot && row->repeated) head->repeated = row->repeated;
        if (!*slot || row->last) *slot = value;
        if (slot == &head->content_length && !text_parse_int64(value, &head->body_bytes)) head->body_bytes = -1;
    }
}

bool head_has_body(const struct head *head)
{
    return head->body_bytes != 0 || head->transfer_encoding;
}

/* A host name or address with an optional port: nothing that could be read as a path, a user or a list. */
static bool host_is_sane(const char *host)
{
    return *host != '\0' &&
           host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]")] == '\0';
}

static const char *check_uri(const struct head *head)
{
    const char *uri = head->uri;
    if (!uri || head->uri_length == 0) return "the request line has no path";
    bool whole_server = strcmp(uri, "*") == 0 && strcmp(head->method, "OPTIONS") == 0;
    if (uri[0] != '/' && !whole_server) return "the request line must give a path that starts with /";
    for (size_t i = 0; i < head->uri_length; i++)
        if ((unsigned char)uri[i] <= 0x20 || (unsigned char)uri[i] >= 0x7f)
            return "path and query may hold printable ASCII only; percent-encode the rest";
    if (strstr(uri, "%00")) return "the path or query holds %00";
    return NULL;
}

static const char *check_host(const struct head *head)
{
    if (!head->host) return strcmp(head->version, "HTTP/1.1") == 0 ? "HTTP/1.1 needs a Host header" : NULL;
    return host_is_sane(head->host) ? NULL : "the Host header is no host name";
}

/* RFC 9112 6.3: a message whose length can be read in two ways is how requests are smuggled past a proxy. */
static const char *check_length(const struct head *head)
{
    if (!head->transfer_encoding) return head->body_bytes < 0 ? "Content-Length is no number" : NULL;
    if (head->content_length) return "both Content-Length and Transfer-Encoding";
    if (strcasecmp(head->transfer_encoding, "chunked") != 0) return "the only transfer encoding understood is chunked";
    return strcmp(head->version, "HTTP/1.1") == 0 ? NULL : "Transfer-Encoding needs HTTP/1.1";
}

enum status guard_check(const struct head *head, const char **ret_detail)
{
    const char *detail = check_uri(head);
    if (!detail && !is_token(head->method, strlen(head->method))) detail = "the method is no token";
    if (!detail && head->bad_line) detail = "a header name or value holds a character that may not be there";
    if (!detail && head->lines > HEADER_LINES_MAX) detail = "more than 100 header lines";
    if (!detail) detail = head->repeated;
    if (!detail) detail = check_host(head);
    if (!detail) detail = check_length(head);
    if (detail) {
        *ret_detail = detail;
        return STATUS_MALFORMED_REQUEST;
    }
    if (head->uri_length <= URI_MAX_BYTES) return STATUS_OK;
    *ret_detail = "path and query together may have 8192 bytes; send the question as a POST";
    return STATUS_URI_TOO_LONG;
}

static bool same_name(const char *name, size_t length, const char *other)
{
    return strlen(other) == length && strncasecmp(other, name, length) == 0;
}

static bool is_loopback(const char *name, size_t length)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    if (same_name(name, length, "localhost") || same_name(name, length, "[::1]")) return true;
    if (length >= sizeof text) return false;
    memcpy(text, name, length);
    text[length] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
}

bool guard_host_allowed(const char *host, const char *listen_address, const char *const *allowed)
{
    const char *colon = strrchr(host, ':');
    const char *bracket = strrchr(host, ']');
    bool port = colon && (bracket ? colon == bracket + 1 : strchr(host, ':') == colon);
    size_t length = port ? (size_t)(colon - host) : strlen(host);
    if (is_loopback(host, length) || same_name(host, length, listen_address)) return true;
    bool bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
    if (bracketed && same_name(host + 1, length - 2, listen_address)) return true;
    for (size_t i = 0; allowed && allowed[i]; i++)
        if (strcmp(allowed[i], "*") == 0 || same_name(host, length, allowed[i])) return true;
    return false;
}
