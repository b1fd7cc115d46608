/* listen.c owns waiting for notifications of a changed catalog. */
#include "store/connection.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>

enum { SILENCE_MAX_MS = 5000 }; /* until LISTEN is answered */

struct store_listener {
    struct db db; /* outside of any pool */
};

void store_listener_close(struct store_listener *listener)
{
    if (!listener) return;
    PQfinish(listener->db.conn);
    free(listener);
}

enum status store_listen(const char *url, const char *application_name, struct problems *problems,
                         struct store_listener **ret_listener)
{
    enum status status = connection_check_url(url, problems);
    if (status != STATUS_OK) return status;
    struct store_listener *listener = calloc(1, sizeof *listener);
    if (!listener) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a connection");
    listener->db.conn = connection_new(url, application_name, problems);
    listener->db.silence_max_ms = SILENCE_MAX_MS;
    status = listener->db.conn ? db_command(&listener->db, "listen gpusize_catalog", problems) : STATUS_DATABASE_AWAY;
    if (status != STATUS_OK) {
        store_listener_close(listener);
        return status;
    }
    *ret_listener = listener;
    return STATUS_OK;
}

/* Takes all notifications that have arrived: one answer for any number. */
static bool take_notifications(PGconn *conn)
{
    bool any = false;
    for (PGnotify *notify = PQnotifies(conn); notify; notify = PQnotifies(conn)) {
        PQfreemem(notify);
        any = true;
    }
    return any;
}

enum store_event store_listener_wait(struct store_listener *listener, int timeout_ms, int wake_fd)
{
    PGconn *conn = listener->db.conn;
    if (PQstatus(conn) != CONNECTION_OK) return STORE_LOST; /* found out by the wait before, which had other news */
    if (take_notifications(conn)) return STORE_CHANGED;     /* came with the answer to LISTEN */
    struct pollfd fds[] = {{.fd = PQsocket(conn), .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    int ready = poll(fds, 2, timeout_ms);
    if (ready == 0 || (ready < 0 && errno == EINTR)) return STORE_QUIET;
    if (ready < 0) return STORE_LOST;
    bool alive = !fds[0].revents || (PQconsumeInput(conn) == 1 && PQstatus(conn) == CONNECTION_OK);
    if (take_notifications(conn)) return STORE_CHANGED; /* a loss shows in the next wait */
    return alive ? STORE_QUIET : STORE_LOST;
}
