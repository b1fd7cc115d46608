/* raw_http.h owns a client that sends exactly the bytes it is given: what a library would correct is what is tested. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAW_WAIT_MS = 20000, RAW_BUFFER_BYTES = 1 << 20 };

struct raw {
    int fd;
    size_t used;  /* received and not yet taken */
    bool closed;  /* by the server */
    char *buffer; /* RAW_BUFFER_BYTES */
};

struct raw_answer {
    int status; /* 0: the connection was closed instead */
    char head[4096];
    char *body; /* NUL-terminated; until the next call in this thread */
    size_t body_length;
};

struct raw raw_open(uint16_t port);
void raw_close(struct raw *raw);
/* false when the server has closed. */
bool raw_send(struct raw *raw, const char *bytes, size_t length);
bool raw_send_text(struct raw *raw, const char *text);
/* Takes one answer; `bodyless`: to HEAD. */
struct raw_answer raw_take(struct raw *raw, bool bodyless);
struct raw_answer raw_ask(struct raw *raw, const char *request);
/* The server closes the connection within RAW_WAIT_MS; what it sends before is thrown away. */
bool raw_ends(struct raw *raw);
/* The value of a header in `value`, or NULL. */
const char *raw_header(const struct raw_answer *answer, const char *name, char value[256]);
