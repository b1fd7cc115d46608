/* connection.c owns the list of connections and the thread that watches it. */
#include "http/connection.h"

#include "http/clock.h"

#include <arpa/inet.h>
#include <linux/tcp.h> /* tcpi_bytes_received is not in the C library's copy of the struct */
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { LOOKS_PER_DEADLINE = 8, LOOK_MIN_US = 20 * 1000, LOOK_MAX_US = 500 * 1000 };

static uint64_t bytes_received(int fd)
{
    struct tcp_info info = {0};
    socklen_t length = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 ? info.tcpi_bytes_received : 0;
}

/* The bytes of a request that has no request line yet are seen by the kernel's count only. */
static uint64_t receiving_since(struct connection *c, uint64_t now_us)
{
    unsigned requests = atomic_load(&c->requests);
    uint64_t bytes = bytes_received(c->fd);
    if (requests != c->sampled_requests || c->sampled_bytes == 0) {
        c->sampled_requests = requests;
        c->sampled_bytes = bytes;
        c->first_byte_us = requests == 0 && bytes > 0 ? now_us : 0;
    } else if (bytes != c->sampled_bytes && c->first_byte_us == 0) {
        c->first_byte_us = now_us;
    }
    return c->first_byte_us;
}

static uint64_t incomplete_since(struct connection *c, uint64_t now_us)
{
    switch (atomic_load(&c->phase)) {
    case PHASE_WAITING: return receiving_since(c, now_us);
    case PHASE_RECEIVING:
        return c->first_byte_us && atomic_load(&c->requests) == c->sampled_requests + 1 ? c->first_byte_us
                                                                                        : atomic_load(&c->receiving_us);
    case PHASE_ANSWERING: break;
    }
    return 0;
}

static void look(struct connections *connections)
{
    uint64_t now_us = clock_now_us();
    for (struct connection *c = connections->first; c; c = c->next) {
        uint64_t since_us = incomplete_since(c, now_us);
        if (since_us == 0 || now_us < since_us + connections->deadline_us) continue;
        shutdown(c->fd, SHUT_RDWR);
        connections->cut++;
    }
}

static void *watch(void *data)
{
    struct connections *connections = data;
    uint64_t pause_us = connections->deadline_us / LOOKS_PER_DEADLINE;
    if (pause_us < LOOK_MIN_US) pause_us = LOOK_MIN_US;
    if (pause_us > LOOK_MAX_US) pause_us = LOOK_MAX_US;
    pthread_mutex_lock(&connections->lock);
    while (!connections->stop) {
        look(connections);
        uint64_t until_us = clock_now_us() + pause_us;
        struct timespec until = {.tv_sec = (time_t)(until_us / 1000000), .tv_nsec = (long)(until_us % 1000000) * 1000};
        pthread_cond_timedwait(&connections->wake, &connections->lock, &until);
    }
    pthread_mutex_unlock(&connections->lock);
    return NULL;
}

bool connections_start(struct connections *connections, unsigned deadline_s)
{
    pthread_condattr_t attributes;
    *connections = (struct connections){.deadline_us = (uint64_t)deadline_s * 1000000};
    pthread_mutex_init(&connections->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&connections->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    return pthread_create(&connections->thread, NULL, watch, connections) == 0;
}

void connections_stop(struct connections *connections)
{
    pthread_mutex_lock(&connections->lock);
    connections->stop = true;
    pthread_cond_signal(&connections->wake);
    pthread_mutex_unlock(&connections->lock);
    pthread_join(connections->thread, NULL);
    pthread_cond_destroy(&connections->wake);
    pthread_mutex_destroy(&connections->lock);
}

static void write_address(const struct sockaddr *address, char text[INET6_ADDRSTRLEN])
{
    const void *bytes = NULL;
    if (address && address->sa_family == AF_INET)
        bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    if (address && address->sa_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (!bytes || !inet_ntop(address->sa_family, bytes, text, INET6_ADDRSTRLEN)) text[0] = '\0';
}

void connections_add(struct connections *connections, struct connection *c, int fd, const struct sockaddr *remote)
{
    c->fd = fd;
    write_address(remote, c->remote);
    pthread_mutex_lock(&connections->lock);
    c->next = connections->first;
    if (c->next) c->next->previous = c;
    connections->first = c;
    connections->count++;
    pthread_mutex_unlock(&connections->lock);
}

void connections_remove(struct connections *connections, struct connection *c)
{
    pthread_mutex_lock(&connections->lock);
    *(c->previous ? &c->previous->next : &connections->first) = c->next;
    if (c->next) c->next->previous = c->previous;
    connections->count--;
    pthread_mutex_unlock(&connections->lock);
}

size_t connections_count(struct connections *connections)
{
    pthread_mutex_lock(&connections->lock);
    size_t count = connections->count;
    pthread_mutex_unlock(&connections->lock);
    return count;
}

uint64_t connections_cut(struct connections *connections)
{
    pthread_mutex_lock(&connections->lock);
    uint64_t cut = connections->cut;
    pthread_mutex_unlock(&connections->lock);
    return cut;
}

size_t connections_busy(struct connections *connections)
{
    size_t busy = 0;
    uint64_t now_us = clock_now_us();
    pthread_mutex_lock(&connections->lock);
    for (struct connection *c = connections->first; c; c = c->next) {
        int unread = 0;
        bool waiting = atomic_load(&c->phase) == PHASE_WAITING && receiving_since(c, now_us) == 0;
        busy += !waiting || (ioctl(c->fd, FIONREAD, &unread) == 0 && unread > 0);
    }
    pthread_mutex_unlock(&connections->lock);
    return busy;
}

void connection_receiving(struct connection *c)
{
    atomic_store(&c->receiving_us, clock_now_us());
    atomic_fetch_add(&c->requests, 1);
    atomic_store(&c->phase, PHASE_RECEIVING);
}

void connection_answering(struct connection *c)
{
    atomic_store(&c->phase, PHASE_ANSWERING);
}

void connection_waiting(struct connection *c)
{
    atomic_store(&c->phase, PHASE_WAITING);
}
