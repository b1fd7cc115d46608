/* child.c owns fork, pipe, time limit and the end of one child. */
#include "kernels/child.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { KILLED_WAIT_MS = 2000, WAIT_STEP_MS = 5 };

double monotonic_s(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* --- in the child --- */

void record_send(struct record_pipe *pipe, const struct record *record)
{
    const char *bytes = (const char *)record;
    for (size_t sent = 0; sent < sizeof *record;) {
        ssize_t n = write(pipe->file, bytes + sent, sizeof *record - sent);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(1); /* nobody reads any more */
        sent += (size_t)n;
    }
}

void record_send_result(const struct probe_result *result, void *sink)
{
    static struct record record; /* large; a child has one thread that emits */
    memset(&record, 0, sizeof record);
    record.kind = RECORD_RESULT;
    record.result.result = *result;
    record.result.again = (double)NAN;
    (void)snprintf(record.result.impl, sizeof record.result.impl, "%s", result->impl ? result->impl : "");
    (void)snprintf(record.result.verified, sizeof record.result.verified, "%s",
                   result->verified ? result->verified : "");
    record_send(sink, &record);
}

/* Libraries may print: standard output belongs to the report. A wedged driver must not hold up the end, so no exit
 * handler runs. */
_Noreturn static void be_child(child_work *work, void *arg, int file)
{
    const struct rlimit no_core = {0, 0};
    struct record_pipe pipe = {file};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO);
    work(&pipe, arg);
    _exit(0);
}

/* --- in the parent --- */

/* A child is not to be trusted with what it sends: it may have overwritten its own memory. */
static void tame_result(struct kept_result *kept)
{
    struct probe_result *result = &kept->result;
    result->name[sizeof result->name - 1] = result->unit[sizeof result->unit - 1] = '\0';
    result->detail[sizeof result->detail - 1] = result->shape.dtype[sizeof result->shape.dtype - 1] = '\0';
    kept->impl[sizeof kept->impl - 1] = kept->verified[sizeof kept->verified - 1] = '\0';
    result->impl = result->verified = "";
    if ((unsigned)result->status > PROBE_ERROR) result->status = PROBE_ERROR;
    if ((unsigned)result->reason >= REASON_COUNT) result->reason = REASON_GROUP_DIED;
    if (result->samples > PROBE_SAMPLES_MAX) result->samples = PROBE_SAMPLES_MAX;
    kept->doubts = 0;
}

static void tame(struct record *record)
{
    if (record->kind == RECORD_RESULT) tame_result(&record->result);
    if (record->kind == RECORD_DEVICE) {
        record->device.name[sizeof record->device.name - 1] = '\0';
        record->device.pci_bus_id[sizeof record->device.pci_bus_id - 1] = '\0';
    }
    if (record->kind == RECORD_NVML) nvml_tame(&record->nvml);
}

/* Reads until the child closes its end. False: it was too late. */
static bool read_records(int file, double deadline_s, child_take *take, void *sink)
{
    struct record record;
    size_t have = 0;
    for (;;) {
        struct pollfd ready = {.fd = file, .events = POLLIN};
        double left_s = deadline_s - monotonic_s();
        int polled = poll(&ready, 1, left_s > 0 ? (int)(left_s * 1e3) + 1 : 0);
        if (polled == 0) return false;
        if (polled < 0 && errno != EINTR) return true;
        if (polled < 0) continue;
        ssize_t n = read(file, (char *)&record + have, sizeof record - have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return true;
        have += (size_t)n;
        if (have < sizeof record) continue;
        have = 0;
        if ((unsigned)record.kind >= RECORD_KINDS) continue;
        tame(&record);
        take(&record, sink);
    }
}

/* Waits at most limit_ms: a process that sleeps in the driver ignores even SIGKILL. */
static bool wait_for(pid_t child, int limit_ms, int *ret_status)
{
    for (int waited_ms = 0;; waited_ms += WAIT_STEP_MS) {
        pid_t ended = waitpid(child, ret_status, WNOHANG);
        if (ended == child) return true;
        if ((ended < 0 && errno != EINTR) || waited_ms >= limit_ms) return false;
        const struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000L};
        (void)nanosleep(&step, NULL);
    }
}

static void set_outcome(struct child_outcome *outcome, enum child_end end, const char *what, int number)
{
    outcome->end = end;
    (void)snprintf(outcome->detail, sizeof outcome->detail, "%s %d", what, number);
}

static void judge_end(pid_t child, double limit_s, bool in_time, double deadline_s, struct child_outcome *outcome)
{
    int status = 0;
    double left_s = deadline_s - monotonic_s();
    bool ended = in_time && wait_for(child, left_s > 0 ? (int)(left_s * 1e3) : 0, &status);
    if (!ended) {
        (void)kill(child, SIGKILL);
        (void)wait_for(child, KILLED_WAIT_MS, &status);
        outcome->end = CHILD_LATE;
        (void)snprintf(outcome->detail, sizeof outcome->detail, "killed after %.3g s", limit_s);
    } else if (WIFSIGNALED(status)) {
        outcome->end = CHILD_DIED;
        (void)snprintf(outcome->detail, sizeof outcome->detail, "signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != 0) {
        set_outcome(outcome, CHILD_DIED, "exit status", WEXITSTATUS(status));
    }
}

struct child_outcome child_run(child_work *work, void *arg, double limit_s, child_take *take, void *sink)
{
    struct child_outcome outcome = {.end = CHILD_DONE};
    int ends[2];
    double began_s = monotonic_s(), deadline_s = began_s + limit_s;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        set_outcome(&outcome, CHILD_NOT_STARTED, "no pipe: error", errno);
        return outcome;
    }
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        be_child(work, arg, ends[1]);
    }
    (void)close(ends[1]);
    if (child < 0) {
        set_outcome(&outcome, CHILD_NOT_STARTED, "no process: error", errno);
    } else {
        bool in_time = read_records(ends[0], deadline_s, take, sink);
        judge_end(child, limit_s, in_time, deadline_s, &outcome);
    }
    (void)close(ends[0]);
    outcome.seconds = monotonic_s() - began_s;
    return outcome;
}
