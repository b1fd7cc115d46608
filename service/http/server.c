/* server.c owns the daemon: its options, its start, its drain and its end. */
#include "http/clock.h"
#include "http/exchange.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* Request line, headers and answer headers of one connection. The library clears it after every request: a
     * thousand connections make all of it resident. */
    CONNECTION_MEMORY_BYTES = 16 * 1024,
    BACKLOG = 1024,
    FILES_BESIDE_CONNECTIONS = 64,
    DRAIN_LOOK_US = 5 * 1000,
    /* A client that is about to use its idle connection gets an answer with Connection: close instead of a reset. */
    DRAIN_IDLE_US = 300 * 1000,
    DRAIN_SETTLE_US = 50 * 1000, /* a connection that was just accepted is not counted yet */
};

static struct exchange *exchange_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* Leaves *socket_context NULL if it cannot be kept: every request on it is closed. */
static void open_connection(struct server *server, struct MHD_Connection *mhd, void **socket_context)
{
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *address = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    struct exchange *x = fd ? calloc(1, sizeof *x) : NULL;
    *socket_context = x;
    if (!x) return;
    x->server = server;
    x->mhd = mhd;
    connections_add(&server->connections, &x->connection, fd->connect_fd, address ? address->client_addr : NULL);
}

static void on_connection(void *data, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct server *server = data;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        open_connection(server, mhd, socket_context);
        return;
    }
    struct exchange *x = *socket_context;
    if (!x) return;
    x->head.method = NULL; /* the library has freed what the header was in */
    exchange_end(x, false);
    connections_remove(&server->connections, &x->connection);
    free(x);
    *socket_context = NULL;
}

/* We have our own copy and our own reading of the query. The library's would cost a block of the connection's memory
 * per field, and a query with too many fields would be closed without an answer: so it is given none to read. */
static void *on_uri(void *data, const char *uri, struct MHD_Connection *mhd)
{
    (void)data;
    struct exchange *x = exchange_of(mhd);
    bool begun = x && exchange_begin(x, uri);
    char *query = uri ? strchr(uri, '?') : NULL; /* in the connection's own, writable buffer */
    if (query && query[1] != '\0') query[1] = '\0';
    return begun ? x : NULL;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *upload, size_t *upload_length, void **state)
{
    (void)data, (void)mhd, (void)url;
    struct exchange *x = *state;
    if (!x) return MHD_NO;
    bool go_on = true;
    switch (x->stage) {
    case STAGE_HEAD: go_on = exchange_head(x, method, version); break;
    case STAGE_BODY:
        if (*upload_length == 0) {
            go_on = exchange_answer(x);
        } else {
            go_on = exchange_body(x, upload, *upload_length);
            *upload_length = 0;
        }
        break;
    case STAGE_READY: go_on = exchange_answer(x); break;
    case STAGE_IDLE:
    case STAGE_COMPUTING:
    case STAGE_SENDING: break;
    }
    return go_on ? MHD_YES : MHD_NO;
}

static void on_completed(void *data, struct MHD_Connection *mhd, void **state, enum MHD_RequestTerminationCode code)
{
    (void)data, (void)mhd;
    struct exchange *x = *state;
    if (x) exchange_end(x, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    *state = NULL;
}

/* The path is decoded by us, from the raw URI. */
static size_t keep_escapes(void *data, struct MHD_Connection *mhd, char *text)
{
    (void)data, (void)mhd;
    return strlen(text);
}

static unsigned cores(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}

static void fill_defaults(struct server_settings *settings)
{
    if (settings->threads == 0) settings->threads = cores();
    if (settings->workers == 0) settings->workers = cores() > 1 ? cores() - 1 : 1;
    if (settings->waiters == 0) settings->waiters = 1;
    if (settings->connections_max < settings->threads) settings->connections_max = settings->threads;
    if (!settings->cors_origin) settings->cors_origin = "";
}

/* Every connection is a descriptor; the usual soft limit of 1,024 is too low for a thousand of them. */
static enum status raise_file_limit(const struct server_settings *settings, struct problems *problems)
{
    struct rlimit limit;
    rlim_t needed = (rlim_t)settings->connections_max + settings->waiters + SERVER_WRITERS + FILES_BESIDE_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return STATUS_OK;
    limit.rlim_cur = needed < limit.rlim_max ? needed : limit.rlim_max;
    if (limit.rlim_cur == needed && setrlimit(RLIMIT_NOFILE, &limit) == 0) return STATUS_OK;
    return problems_add(problems, STATUS_IO, "connections_max",
                        "%u connections need %ju file descriptors; %ju are allowed", settings->connections_max,
                        (uintmax_t)needed, (uintmax_t)limit.rlim_max);
}

static enum status open_socket(const struct addrinfo *address, int *ret_fd)
{
    const int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return STATUS_IO;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
        *ret_fd = fd;
        return STATUS_OK;
    }
    int error = errno;
    close(fd);
    errno = error;
    return STATUS_IO;
}

static enum status listen_on(struct server *server, struct problems *problems)
{
    const struct server_settings *settings = &server->settings;
    char port[8];
    struct addrinfo *address = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    (void)snprintf(port, sizeof port, "%u", settings->port);
    int error = getaddrinfo(settings->listen_address, port, &hints, &address);
    if (error != 0)
        return problems_add(problems, STATUS_IO, "listen", "%s: %s", settings->listen_address, gai_strerror(error));
    enum status status = open_socket(address, &server->listen_fd);
    if (status != STATUS_OK)
        problems_add(problems, status, "port", "cannot listen on %s port %u: %s", settings->listen_address,
                     settings->port, strerror(errno));
    freeaddrinfo(address);
    return status;
}

static uint16_t bound_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address = {0};
    socklen_t length = sizeof address;
    if (getsockname(fd, &address.any, &length) != 0) return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.six.sin6_port : address.four.sin_port);
}

static enum status start_parts(struct server *server, struct problems *problems)
{
    const struct server_settings *settings = &server->settings;
    server->cache = cache_new(settings->cache_max_bytes);
    server->limits = limits_new();
    server->compressors = compressors_new();
    server->metrics = metrics_new(settings->routes);
    server->computing = pool_new(settings->workers, settings->queue_max);
    server->waiting = pool_new(settings->waiters, settings->queue_max);
    server->writing = pool_new(SERVER_WRITERS, SERVER_WRITES_WAITING_MAX);
    server->log = settings->access_log ? log_new(STDERR_FILENO) : NULL;
    server->watching = connections_start(&server->connections, settings->request_deadline_s);
    if (server->cache && server->limits && server->compressors && server->metrics && server->computing &&
        server->waiting && server->writing && server->watching && (server->log || !settings->access_log))
        return STATUS_OK;
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "out of memory or threads");
}

/* Poll, not epoll: with 128 connections readable at once MHD_epoll() of 0.9.73 to 1.0.1 waits before it serves them.
 * STRICT_FOR_CLIENT stays 0: what it would refuse without a readable body, the guard refuses with one. */
static enum status start_daemon(struct server *server, struct problems *problems)
{
    const struct server_settings *settings = &server->settings;
    struct MHD_OptionItem options[12] = {
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)settings->connections_max, NULL},
        {MHD_OPTION_PER_IP_CONNECTION_LIMIT, (intptr_t)settings->connections_per_address_max, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)settings->idle_timeout_s, NULL},
        {MHD_OPTION_LISTEN_SOCKET, server->listen_fd, NULL},
        {MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (settings->threads > 1) /* the library wants no pool of one */
        options[6] = (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)settings->threads, NULL};
    server->daemon =
        MHD_start_daemon(MHD_USE_POLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL,
                         on_request, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_URI_LOG_CALLBACK, on_uri, server,
                         MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (server->daemon) {
        server->listen_fd = -1; /* the library's from now on */
        return STATUS_OK;
    }
    return problems_add(problems, STATUS_IO, "threads", "the HTTP library did not start: %s", strerror(errno));
}

enum status server_start(const struct server_settings *settings, struct problems *problems, struct server **ret_server)
{
    struct server *server = calloc(1, sizeof *server);
    if (!server) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "out of memory");
    server->settings = *settings;
    server->listen_fd = -1;
    server->started_unix_s = (int64_t)time(NULL);
    fill_defaults(&server->settings);
    signal(SIGPIPE, SIG_IGN); /* a client that goes away is no reason to end */
    enum status status = raise_file_limit(&server->settings, problems);
    if (status == STATUS_OK) status = start_parts(server, problems);
    if (status == STATUS_OK) status = listen_on(server, problems);
    if (status == STATUS_OK) {
        randombytes_buf(&server->id_seed, sizeof server->id_seed);
        server->port = bound_port(server->listen_fd);
        status = start_daemon(server, problems);
    }
    if (status == STATUS_OK)
        *ret_server = server;
    else
        server_free(server);
    return status;
}

uint16_t server_port(const struct server *server)
{
    return server->port;
}

/* Connections that the kernel has accepted already are served too: their clients have sent requests. */
static void stop_listening(struct server *server)
{
    int fd = MHD_quiesce_daemon(server->daemon);
    if (fd < 0) return;
    for (;;) {
        struct sockaddr_storage address;
        socklen_t length = sizeof address;
        int client = accept4(fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (client < 0) break;
        (void)MHD_add_connection(server->daemon, client, (struct sockaddr *)&address, length);
    }
    close(fd);
}

bool server_drain(struct server *server, unsigned drain_s)
{
    uint64_t start_us = clock_now_us(), idle_since_us = start_us;
    atomic_store(&server->draining, true);
    stop_listening(server);
    for (;;) {
        uint64_t now_us = clock_now_us();
        if (connections_busy(&server->connections) > 0) idle_since_us = now_us;
        uint64_t quiet_us = connections_count(&server->connections) == 0 ? DRAIN_SETTLE_US : DRAIN_IDLE_US;
        if (now_us - idle_since_us >= quiet_us) return true;
        if (now_us - start_us >= (uint64_t)drain_s * 1000000) return false;
        usleep(DRAIN_LOOK_US);
    }
}

void server_free(struct server *server)
{
    if (!server) return;
    if (server->daemon && !atomic_load(&server->draining)) {
        atomic_store(&server->draining, true);
        stop_listening(server);
    }
    pool_free(server->computing); /* finishes, or hands over to those who wait */
    pool_free(server->waiting);   /* finishes and resumes: the library may not be stopped with suspended connections */
    pool_free(server->writing);
    if (server->daemon) MHD_stop_daemon(server->daemon);
    if (server->watching) connections_stop(&server->connections);
    if (server->listen_fd >= 0) close(server->listen_fd);
    cache_free(server->cache);
    limits_free(server->limits);
    compressors_free(server->compressors);
    metrics_free(server->metrics);
    log_free(server->log);
    free(server);
}
