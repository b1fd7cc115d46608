/* log.c owns the formatting of a line and the thread that writes. */
#include "http/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 1024, PATH_LOGGED_BYTES = 256, BUFFER_BYTES = 256 * 1024 };

struct log {
    pthread_mutex_t lock;
    pthread_cond_t more;
    pthread_t thread;
    int fd;
    bool stop;
    uint64_t dropped;
    size_t used;
    char *filling, *writing; /* two buffers that change places */
    char buffers[2][BUFFER_BYTES];
};

static void write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return; /* nobody is left to tell */
        bytes += written;
        length -= (size_t)written;
    }
}

static void *run(void *data)
{
    struct log *log = data;
    pthread_mutex_lock(&log->lock);
    while (log->used > 0 || !log->stop) {
        if (log->used == 0) {
            pthread_cond_wait(&log->more, &log->lock);
            continue;
        }
        char *full = log->filling;
        size_t length = log->used;
        log->filling = log->writing;
        log->writing = full;
        log->used = 0;
        pthread_mutex_unlock(&log->lock);
        write_all(log->fd, full, length);
        pthread_mutex_lock(&log->lock);
    }
    pthread_mutex_unlock(&log->lock);
    return NULL;
}

struct log *log_new(int fd)
{
    struct log *log = calloc(1, sizeof *log);
    if (!log) return NULL;
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->more, NULL);
    log->fd = fd;
    log->filling = log->buffers[0];
    log->writing = log->buffers[1];
    if (pthread_create(&log->thread, NULL, run, log) == 0) return log;
    free(log);
    return NULL;
}

void log_free(struct log *log)
{
    if (!log) return;
    pthread_mutex_lock(&log->lock);
    log->stop = true;
    pthread_cond_signal(&log->more);
    pthread_mutex_unlock(&log->lock);
    pthread_join(log->thread, NULL);
    pthread_cond_destroy(&log->more);
    pthread_mutex_destroy(&log->lock);
    free(log);
}

uint64_t log_dropped(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t dropped = log->dropped;
    pthread_mutex_unlock(&log->lock);
    return dropped;
}

/* JSON text of a raw path: what is not plain ASCII becomes an escape, so that the line stays one line. */
static void escape_path(const struct log_entry *entry, char text[6 * PATH_LOGGED_BYTES + 1])
{
    size_t length = entry->path_length < PATH_LOGGED_BYTES ? entry->path_length : PATH_LOGGED_BYTES;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)entry->path[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
            *text++ = (char)c;
        else
            text += snprintf(text, 7, "\\u%04x", c);
    }
    *text = '\0';
}

/* Formatting the second costs more than the rest of the line: it is done once a second per thread. */
static const char *time_text(const struct timespec *now)
{
    static _Thread_local time_t second = -1;
    static _Thread_local char text[32];
    if (now->tv_sec == second) return text;
    struct tm tm;
    second = now->tv_sec;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &tm));
    return text;
}

static int format_line(const struct log_entry *entry, char *line, size_t room)
{
    struct timespec now;
    char path[6 * PATH_LOGGED_BYTES + 1], status[12] = "null", trace[160] = "";
    clock_gettime(CLOCK_REALTIME, &now);
    escape_path(entry, path);
    if (*entry->trace_id)
        (void)snprintf(trace, sizeof trace, "\"trace_id\":\"%s\",\"span_id\":\"%s\",\"parent_id\":\"%s\",",
                       entry->trace_id, entry->span_id, entry->parent_id);
    if (entry->http_status) (void)snprintf(status, sizeof status, "%u", entry->http_status);
    return snprintf(line, room,
                    "{\"time\":\"%s.%03ldZ\",\"request_id\":\"%s\",%s\"method\":\"%.16s\",\"path\":\"%s\","
                    "\"status\":%s,\"bytes\":%zu,\"duration_us\":%ju,\"cache\":\"%s\",\"remote\":\"%s\"%s%s%s%s}\n",
                    time_text(&now), now.tv_nsec / 1000000, entry->request_id, trace, entry->method, path, status,
                    entry->bytes, (uintmax_t)entry->duration_us, entry->cache, entry->remote,
                    *entry->key_id ? ",\"key\":\"" : "", entry->key_id, *entry->key_id ? "\"" : "",
                    entry->complete ? "" : ",\"complete\":false");
}

void log_write(struct log *log, const struct log_entry *entry)
{
    char line[LINE_BYTES + 6 * PATH_LOGGED_BYTES];
    int length = format_line(entry, line, sizeof line);
    if (length <= 0 || (size_t)length >= sizeof line) return;
    pthread_mutex_lock(&log->lock);
    if (log->used + (size_t)length > BUFFER_BYTES) {
        log->dropped++;
    } else {
        memcpy(log->filling + log->used, line, (size_t)length);
        if (log->used == 0) pthread_cond_signal(&log->more);
        log->used += (size_t)length;
    }
    pthread_mutex_unlock(&log->lock);
}
