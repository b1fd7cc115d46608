/* run_program.c owns the child: how it is started, watched and ended. */
#include "monitor/run_program.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 10, MS = 1000, NS_PER_MS = 1000000 };

/* A file without a name: nobody has to wait until it is read. -1 if there is none. */
static int input_file(const struct program *program)
{
    const int file = memfd_create("alert", MFD_CLOEXEC);
    if (file < 0) return -1;
    if (write(file, program->input, program->input_length) == (ssize_t)program->input_length &&
        lseek(file, 0, SEEK_SET) == 0)
        return file;
    (void)close(file);
    return -1;
}

/* In a group of its own, and with the signals that a program expects: our threads block them. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, pipe;
    (void)sigemptyset(&none);
    (void)sigemptyset(&pipe);
    (void)sigaddset(&pipe, SIGPIPE);
    int error =
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!error) error = posix_spawnattr_setpgroup(attributes, 0);
    if (!error) error = posix_spawnattr_setsigmask(attributes, &none);
    if (!error) error = posix_spawnattr_setsigdefault(attributes, &pipe);
    return error;
}

static int start(const struct program *program, int input, pid_t *ret_child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        error = set_attributes(&attributes);
        if (!error) error = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        if (!error) error = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
        if (!error)
            error = posix_spawnp(ret_child, program->arguments[0], &actions, &attributes, program->arguments, environ);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* false: it took too long, or we stop; then it is gone. */
static bool wait_for(const struct program *program, pid_t child, int *ret_status)
{
    static const struct timespec pause = {.tv_nsec = (long)LOOK_MS * NS_PER_MS};
    const unsigned looks_max = (unsigned)(program->timeout_s * MS / LOOK_MS);
    for (unsigned looks = 0; looks < looks_max && !atomic_load(program->stop); looks++) {
        const pid_t ended = waitpid(child, ret_status, WNOHANG);
        if (ended == child) return true;
        (void)nanosleep(&pause, NULL);
    }
    (void)kill(-child, SIGKILL);
    while (waitpid(child, ret_status, 0) < 0 && errno == EINTR)
        continue;
    return false;
}

static bool is_program(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISREG(facts.st_mode) && access(path, X_OK) == 0;
}

bool run_program_exists(const char *name)
{
    char path[PATH_MAX];
    const char *folders = getenv("PATH");
    if (strchr(name, '/') || !folders) return is_program(name);
    for (const char *at = folders;; at++) {
        const size_t length = strcspn(at, ":");
        const int used = snprintf(path, sizeof path, "%.*s/%s", length ? (int)length : 1, length ? at : ".", name);
        if (used > 0 && (size_t)used < sizeof path && is_program(path)) return true;
        at += length;
        if (!*at) return false;
    }
}

bool run_program(const struct program *program, char ret_why[], size_t why_bytes)
{
    pid_t child = 0;
    int status = 0;
    const int input = input_file(program);
    const int error = input < 0 ? errno : start(program, input, &child);
    if (input >= 0) (void)close(input);
    if (error) {
        (void)snprintf(ret_why, why_bytes, "%s cannot be started: %s", program->arguments[0], strerror(error));
        return false;
    }
    if (!wait_for(program, child, &status))
        (void)snprintf(ret_why, why_bytes, "%s was ended: it ran longer than %g s", program->arguments[0],
                       program->timeout_s);
    else if (WIFSIGNALED(status))
        (void)snprintf(ret_why, why_bytes, "%s ended by signal %d", program->arguments[0], WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        (void)snprintf(ret_why, why_bytes, "%s ended with status %d", program->arguments[0], WEXITSTATUS(status));
    else
        return true;
    return false;
}
