/* connection.h owns the open connections and their time limits. libmicrohttpd only limits inactivity: a client that
 * drips one byte a second lives for ever. A thread looks at every connection a few times per deadline and shuts the
 * socket of one whose request has been incomplete for too long; the library then closes it. */
#pragma once
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum phase {
    PHASE_WAITING,   /* for a request line; bytes of it may have come */
    PHASE_RECEIVING, /* request line seen, header or body incomplete */
    PHASE_ANSWERING,
};

struct connection { /* first member of what the server keeps per connection */
    struct connection *previous, *next;
    int fd;
    char remote[INET6_ADDRSTRLEN];
    _Atomic enum phase phase;
    atomic_uint requests;                  /* request lines seen */
    atomic_uint_fast64_t receiving_us;     /* when the request line was seen */
    unsigned sampled_requests;             /* the rest belongs to the watching thread */
    uint64_t sampled_bytes, first_byte_us; /* first_byte_us 0 = none of the next request seen */
};

struct connections {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    struct connection *first;
    size_t count;
    uint64_t deadline_us;
    uint64_t cut; /* connections cut by the deadline */
    bool stop;
};

/* Starts the watching thread; false if that fails. */
bool connections_start(struct connections *connections, unsigned deadline_s);
void connections_stop(struct connections *connections);
void connections_add(struct connections *connections, struct connection *connection, int fd,
                     const struct sockaddr *remote);
/* After it the socket is never touched again: call it before the socket is closed. */
void connections_remove(struct connections *connections, struct connection *connection);
size_t connections_count(struct connections *connections);
uint64_t connections_cut(struct connections *connections);
/* Connections with a request that is not answered yet, even if only some bytes of it have come. */
size_t connections_busy(struct connections *connections);

void connection_receiving(struct connection *connection);
void connection_answering(struct connection *connection);
void connection_waiting(struct connection *connection);
