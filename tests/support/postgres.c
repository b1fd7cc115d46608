/* postgres.c owns the processes behind postgres.h. */
#include "support/postgres.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 32, PATH_BYTES = 128, START_TRIES = 400, TRY_MS = 25 };
#define PROGRAMS "/usr/lib/postgresql/15/bin/"

/* Starts a program, as user postgres if we are root (the server refuses root); it gets SIGQUIT when we die. */
static pid_t spawn(const char *const *arguments, int output)
{
    pid_t pid = fork();
    if (pid != 0) return pid;
    const char *all[ARGUMENTS_MAX] = {"/usr/bin/setpriv", "--reuid",     "postgres", "--regid", "postgres",
                                      "--init-groups",    "--pdeathsig", "QUIT",     "--"};
    size_t count = geteuid() == 0 ? 9 : 0;
    for (size_t i = 0; arguments[i]; i++)
        all[count++] = arguments[i];
    all[count] = NULL;
    (void)prctl(PR_SET_PDEATHSIG, SIGQUIT);
    (void)dup2(output, STDOUT_FILENO);
    (void)dup2(output, STDERR_FILENO);
    (void)execv(all[0], (char *const *)(size_t)all);
    _exit(127);
}

static bool ended_well(pid_t pid)
{
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int open_log(const struct postgres *postgres)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/log", postgres->folder);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

static bool run(const struct postgres *postgres, const char *const *arguments)
{
    int log = open_log(postgres);
    bool well = ended_well(spawn(arguments, log));
    (void)close(log);
    return well;
}

static bool ready(const struct postgres *postgres)
{
    const char *const arguments[] = {PROGRAMS "pg_isready", "-q", "-h", postgres->folder, NULL};
    return run(postgres, arguments);
}

bool postgres_start(struct postgres *postgres)
{
    char data[PATH_BYTES];
    (void)snprintf(data, sizeof data, "%s/data", postgres->folder);
    const char *const arguments[] = {PROGRAMS "postgres", "-D", data, NULL};
    int log = open_log(postgres);
    postgres->pid = spawn(arguments, log);
    (void)close(log);
    for (int i = 0; i < START_TRIES && postgres->pid > 0; i++) {
        if (ready(postgres)) return true;
        if (waitpid(postgres->pid, NULL, WNOHANG) == postgres->pid) break;
        (void)nanosleep(&(struct timespec){.tv_nsec = TRY_MS * 1000000L}, NULL);
    }
    return false;
}

void postgres_stop(struct postgres *postgres, enum postgres_stop how)
{
    if (postgres->pid <= 0) return;
    (void)kill(postgres->pid, how == POSTGRES_FAST ? SIGINT : SIGQUIT);
    (void)waitpid(postgres->pid, NULL, 0);
    postgres->pid = 0;
}

static bool configure(const struct postgres *postgres)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/data/postgresql.conf", postgres->folder);
    FILE *file = fopen(path, "a");
    if (!file) return false;
    (void)fprintf(file,
                  "listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\nsynchronous_commit = off\n"
                  "full_page_writes = off\nwal_level = minimal\nmax_wal_senders = 0\nshared_buffers = 64MB\n"
                  "max_connections = 40\ntimezone = 'UTC'\n",
                  postgres->folder);
    return fclose(file) == 0;
}

static void print_log(const struct postgres *postgres)
{
    char path[PATH_BYTES], line[512];
    (void)snprintf(path, sizeof path, "%s/log", postgres->folder);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        (void)fputs(line, stderr);
    if (file) (void)fclose(file);
}

bool postgres_init(struct postgres *postgres)
{
    *postgres = (struct postgres){.folder = "/tmp/gpusize-pg-XXXXXX"};
    if (!mkdtemp(postgres->folder)) return false;
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;
    char data[PATH_BYTES];
    (void)snprintf(data, sizeof data, "%s/data", postgres->folder);
    const char *const arguments[] = {
        PROGRAMS "initdb",   "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
        "--no-instructions", NULL};
    bool well = !user || chown(postgres->folder, user->pw_uid, user->pw_gid) == 0;
    well = well && run(postgres, arguments) && configure(postgres) && postgres_start(postgres);
    if (!well) {
        print_log(postgres);
        postgres_done(postgres);
    }
    return well;
}

void postgres_done(struct postgres *postgres)
{
    postgres_stop(postgres, POSTGRES_IMMEDIATE);
    if (!*postgres->folder) return;
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/bin/rm", "rm", "-rf", "--", postgres->folder, (char *)NULL);
        _exit(127);
    }
    (void)ended_well(pid);
    *postgres->folder = '\0';
}

bool postgres_sql(const struct postgres *postgres, const char *database, const char *sql, char *output, size_t size)
{
    const char *const arguments[] = {
        PROGRAMS "psql", "-X", "-q",     "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", postgres->folder, "-U",
        "postgres",      "-d", database, "-c", sql,  NULL};
    if (!output) return run(postgres, arguments);
    int ends[2];
    if (pipe(ends) != 0) return false;
    pid_t pid = spawn(arguments, ends[1]);
    (void)close(ends[1]);
    size_t length = 0;
    char rest[256];
    for (ssize_t got = 1; got > 0; length += (size_t)(got > 0 && length + 1 < size ? got : 0))
        got = length + 1 < size ? read(ends[0], output + length, size - 1 - length) : read(ends[0], rest, sizeof rest);
    (void)close(ends[0]);
    if (length > 0 && output[length - 1] == '\n') length--;
    output[length] = '\0';
    return ended_well(pid);
}

const char *postgres_url(const struct postgres *postgres, const char *database, char url[POSTGRES_URL_BYTES])
{
    (void)snprintf(url, POSTGRES_URL_BYTES, "host=%s user=postgres dbname=%s", postgres->folder, database);
    return url;
}
