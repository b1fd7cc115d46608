/* raw_http.c owns sending bytes and taking answers apart. */
#include "support/raw_http.h"

#include "catalog/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct raw raw_open(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct raw raw = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .buffer = malloc(RAW_BUFFER_BYTES)};
    if (!raw.buffer || raw.fd < 0 || connect(raw.fd, (const struct sockaddr *)&address, sizeof address) != 0)
        raw.closed = true;
    return raw;
}

void raw_close(struct raw *raw)
{
    if (raw->fd >= 0) close(raw->fd);
    free(raw->buffer);
    *raw = (struct raw){.fd = -1, .closed = true};
}

bool raw_send(struct raw *raw, const char *bytes, size_t length)
{
    while (length > 0 && !raw->closed) {
        ssize_t sent = send(raw->fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0) return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return length == 0;
}

bool raw_send_text(struct raw *raw, const char *text)
{
    return raw_send(raw, text, strlen(text));
}

/* false when nothing more will come. */
static bool receive(struct raw *raw)
{
    struct pollfd wait = {.fd = raw->fd, .events = POLLIN};
    if (raw->closed || raw->used + 1 >= RAW_BUFFER_BYTES || poll(&wait, 1, RAW_WAIT_MS) != 1) return false;
    ssize_t got = recv(raw->fd, raw->buffer + raw->used, RAW_BUFFER_BYTES - raw->used - 1, 0);
    if (got <= 0)
        raw->closed = true;
    else
        raw->used += (size_t)got;
    return got > 0;
}

const char *raw_header(const struct raw_answer *answer, const char *name, char value[256])
{
    size_t length = strlen(name);
    for (const char *line = strstr(answer->head, "\r\n"); line && line[2]; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, length) != 0 || line[2 + length] != ':') continue;
        (void)snprintf(value, 256, "%.*s", (int)strcspn(line + 4 + length, "\r"), line + 4 + length);
        return value;
    }
    return NULL;
}

static char *head_end(const struct raw *raw)
{
    return memmem(raw->buffer, raw->used, "\r\n\r\n", 4);
}

struct raw_answer raw_take(struct raw *raw, bool bodyless)
{
    struct raw_answer answer = {0};
    char *end = head_end(raw);
    while (!end && receive(raw))
        end = head_end(raw);
    size_t head_length = end ? (size_t)(end - raw->buffer) + 4 : 0;
    if (!end || head_length >= sizeof answer.head) return answer;
    memcpy(answer.head, raw->buffer, head_length);
    char value[256];
    int64_t number = 0;
    (void)snprintf(value, sizeof value, "%.3s", answer.head + strlen("HTTP/1.1 "));
    if (text_parse_int64(value, &number)) answer.status = (int)number;
    bool has_body = !bodyless && answer.status != 204 && answer.status != 304 && answer.status >= 200;
    if (has_body && raw_header(&answer, "Content-Length", value) && text_parse_int64(value, &number))
        answer.body_length = (size_t)number;
    while (raw->used < head_length + answer.body_length && receive(raw)) {
    }
    if (raw->used < head_length + answer.body_length) return (struct raw_answer){0};
    size_t rest = raw->used - head_length - answer.body_length;
    static _Thread_local char body[RAW_BUFFER_BYTES];
    memcpy(body, raw->buffer + head_length, answer.body_length);
    body[answer.body_length] = '\0';
    answer.body = body;
    memmove(raw->buffer, raw->buffer + head_length + answer.body_length, rest);
    raw->used = rest;
    return answer;
}

struct raw_answer raw_ask(struct raw *raw, const char *request)
{
    bool bodyless = strncmp(request, "HEAD ", 5) == 0;
    return raw_send_text(raw, request) ? raw_take(raw, bodyless) : (struct raw_answer){0};
}

bool raw_ends(struct raw *raw)
{
    do
        raw->used = 0;
    while (receive(raw));
    return raw->closed;
}
