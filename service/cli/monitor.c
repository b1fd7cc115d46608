/* monitor.c owns `gpusize monitor`: what it shows where, and when it ends. */
#include "cli/cli.h"
#include "cli/monitor_options.h"
#include "cli/monitor_screen.h"
#include "cli/monitor_view.h"

#include "monitor/sample_json.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1 << 20, LOOK_MS = 1000, LOG_LINE_BYTES = 1024 };

/* Shared with the monitor's thread, which writes lines; the main one draws. */
struct watch {
    const struct monitor_options *options;
    struct alert_rule rules[ALERT_RULES];
    bool live;
    int woken;            /* an eventfd: there is something new */
    atomic_int unwritten; /* why standard output takes no more; 0 = it does. EPIPE: its reader has enough */
    bool hangs;           /* the log was told that the driver does */
};

/* The log is standard error; where that is the screen that shows frames, its last line is a part of them. */
static struct {
    pthread_mutex_t lock;
    atomic_bool failed; /* standard error takes no more */
    bool hidden;
    char last[LOG_LINE_BYTES];
} journal = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int print_help(void)
{
    (void)printf(
        "Watches the memory of this machine's GPUs, and its own: how full it is, when it will be full, who\n"
        "takes it, what else the GPUs do; and raises alerts. On a terminal it draws bars, elsewhere it prints\n"
        "lines. NVIDIA's GPUs are read by NVML, AMD's by amd_smi or rocm_smi, as far as the driver has\n"
        "brought them; without any it watches the host's memory and says so. See docs/monitor.md.\n\n"
        "Usage: gpusize monitor [OPTIONS]\n\nExamples:\n"
        "  gpusize monitor\n"
        "  gpusize monitor --once --json\n"
        "  gpusize monitor --interval 5 --alert-threshold 0.9 --alert-for 60 \\\n"
        "      --alert-webhook https://hooks.example.org/gpus --alert-webhook-secret-file secret\n"
        "  gpusize monitor --report-to https://gpus.example.org --report-key-file key\n\n"
        "Options:\n");
    monitor_options_help();
    return puts("\nEach option with a value is also an environment variable: GPUSIZE_ALERT_WEBHOOK.\n"
                "Exit status: 0 watched; 1 an alert fires at the end; 2 the arguments are wrong; 3 failed otherwise,\n"
                "such as a full disk under the output.") < 0
               ? CLI_FAILED
               : CLI_OK;
}

/* --- what the monitor's thread tells --- */

static void wake(struct watch *watch)
{
    const uint64_t one = 1;
    (void)!write(watch->woken, &one, sizeof one);
}

static void print(struct watch *watch, struct out *out)
{
    if (out->failed || !cli_write(out->data, out->length)) {
        atomic_store(&watch->unwritten, out->failed ? ENOMEM : errno);
        wake(watch);
    }
    out_done(out);
}

/* The article's alert: of each sample over the threshold, of the GPU's memory alone. */
static void print_article_alert(struct watch *watch, const struct sample *sample)
{
    struct out out;
    const struct gpu_reading *gpu = sample->gpu_count ? &sample->gpus[0] : NULL;
    if (!gpu || !(gpu_memory_usage_ratio(gpu) > watch->options->threshold)) return;
    out_init(&out, LINE_MAX_BYTES);
    if (watch->options->json) {
        out_object(&out, NULL);
        out_object(&out, "alert");
        out_text(&out, "type", alert_types[ALERT_GPU_MEMORY]);
        out_number(&out, "usage_ratio", gpu_memory_usage_ratio(gpu));
        out_number(&out, "threshold", watch->options->threshold);
        out_number(&out, "current_usage_gb", gpu_memory_occupied_bytes(gpu) / GIB);
        out_number(&out, "total_gb", gpu->memory_total_bytes / GIB);
        out_object_end(&out);
        out_object_end(&out);
        out_raw(&out, "\n", 1);
    } else {
        char text[256];
        const int length =
            snprintf(text, sizeof text, "ALERT: %s\nCurrent usage: %.2f GB / %.2f GB\nUsage ratio: %.2f%%\n",
                     alert_types[ALERT_GPU_MEMORY], gpu_memory_occupied_bytes(gpu) / GIB, gpu->memory_total_bytes / GIB,
                     gpu_memory_usage_ratio(gpu) * 100);
        out_raw(&out, text, (size_t)length);
    }
    print(watch, &out);
}

static void print_sample(void *data, const struct sample *sample)
{
    struct watch *watch = data;
    struct out out;
    if (!watch->live) {
        out_init(&out, LINE_MAX_BYTES);
        if (watch->options->json) {
            out_object(&out, NULL);
            sample_write(&out, "sample", sample, true);
            out_object_end(&out);
            out_raw(&out, "\n", 1);
        } else {
            monitor_view_line(&out, sample);
        }
        print(watch, &out);
        if (watch->options->article) print_article_alert(watch, sample);
    }
    wake(watch);
}

static void print_alert(void *data, const struct alert *alert)
{
    struct watch *watch = data;
    struct out out;
    if (watch->live || watch->options->article) return;
    out_init(&out, LINE_MAX_BYTES);
    if (watch->options->json) {
        out_object(&out, NULL);
        alert_write(&out, "alert", alert);
        out_object_end(&out);
        out_raw(&out, "\n", 1);
    } else {
        monitor_view_alert(&out, alert);
    }
    print(watch, &out);
}

static void print_log(const char *line)
{
    pthread_mutex_lock(&journal.lock);
    if (journal.hidden)
        (void)snprintf(journal.last, sizeof journal.last, "%s", line);
    else if (fprintf(stderr, "%s\n", line) < 0)
        atomic_store(&journal.failed, true);
    pthread_mutex_unlock(&journal.lock);
}

static void set_hidden(bool hidden)
{
    char last[LOG_LINE_BYTES];
    pthread_mutex_lock(&journal.lock);
    journal.hidden = hidden;
    (void)snprintf(last, sizeof last, "%s", journal.last);
    pthread_mutex_unlock(&journal.lock);
    if (!hidden && *last) print_log(last);
}

/* --- what the main thread shows --- */

struct drawing {
    const struct watch *watch;
    double overdue_s;
    struct out *out;
    struct arena *arena;
    enum status status;
};

static void draw(void *data, const struct monitor_view *view)
{
    struct drawing *drawing = data;
    const struct monitor_options *options = drawing->watch->options;
    const struct view_style style = screen_style();
    char last[LOG_LINE_BYTES];
    pthread_mutex_lock(&journal.lock);
    (void)snprintf(last, sizeof last, "%s", journal.last);
    pthread_mutex_unlock(&journal.lock);
    const struct view_subject subject = {
        view, options->interval_s, options->window_minutes, options->threshold, options->hysteresis, drawing->overdue_s,
        last};
    drawing->status = monitor_view_frame(drawing->out, &subject, &style, drawing->arena);
}

static bool refresh(const struct watch *watch, struct monitor *monitor)
{
    struct arena arena;
    struct out out;
    bool drawn = true;
    arena_init(&arena, 0);
    out_init(&out, LINE_MAX_BYTES);
    struct drawing drawing = {watch, monitor_overdue_s(monitor), &out, &arena, STATUS_OK};
    monitor_look(monitor, draw, &drawing);
    if (drawing.status == STATUS_OK && !out.failed) drawn = screen_draw(out.data, out.length);
    out_done(&out);
    arena_done(&arena);
    return drawn;
}

/* What is left at the end: statistics, and whether something is wrong. */
struct ending {
    const struct monitor_options *options;
    struct out *out;
    bool ended, firing;
};

static void sum_up(void *data, const struct monitor_view *view)
{
    struct ending *ending = data;
    struct arena arena;
    struct statistics statistics;
    arena_init(&arena, 0);
    for (size_t i = 0; i < alert_set_count(view->alerts); i++)
        ending->firing = ending->firing || alert_set_at(view->alerts, i)->state == ALERT_FIRING;
    if (statistics_compute(view->history, ending->options->window_minutes, &arena, &statistics) == STATUS_OK) {
        if (!ending->options->json && !ending->options->article) {
            monitor_view_statistics(ending->out, &statistics);
        } else {
            out_object(ending->out, NULL);
            if (ending->options->article)
                statistics_write_article(ending->out, "statistics", &statistics);
            else
                statistics_write(ending->out, "statistics", &statistics);
            out_object_end(ending->out);
            out_raw(ending->out, "\n", 1);
        }
    }
    arena_done(&arena);
}

static void look_at_end(void *data, const struct monitor_view *view)
{
    *(bool *)data = view->ended;
}

static bool has_ended(struct monitor *monitor)
{
    bool ended = false;
    monitor_look(monitor, look_at_end, &ended);
    return ended;
}

/* --- the main thread --- */

static void block_signals(sigset_t *ret_set)
{
    sigset_t all;
    (void)sigfillset(&all); /* for the threads, which must not be interrupted by what is meant for us */
    (void)sigemptyset(ret_set);
    (void)sigaddset(ret_set, SIGINT);
    (void)sigaddset(ret_set, SIGTERM);
    (void)sigaddset(ret_set, SIGHUP);
    (void)sigaddset(ret_set, SIGTSTP);
    (void)sigaddset(ret_set, SIGWINCH);
    (void)pthread_sigmask(SIG_BLOCK, &all, NULL);
}

/* Whether to go on. */
static bool handle_signal(const struct watch *watch, int signals)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != (ssize_t)sizeof info) return true;
    if (info.ssi_signo == SIGTSTP) {
        if (watch->live) screen_leave();
        (void)raise(SIGSTOP);
        if (watch->live) screen_enter();
    }
    return info.ssi_signo == SIGTSTP || info.ssi_signo == SIGWINCH;
}

/* A frame says so by itself. */
static void tell_of_hanging(struct watch *watch, struct monitor *monitor)
{
    char line[128];
    const double overdue_s = monitor_overdue_s(monitor);
    if (watch->live || watch->hangs == (overdue_s > 0)) return;
    watch->hangs = overdue_s > 0;
    (void)snprintf(line, sizeof line, "{\"event\":\"%s\",\"seconds\":%.0f}",
                   watch->hangs ? "driver_hangs" : "driver_answers_again", overdue_s);
    print_log(line);
}

/* Until a signal, a key, the last sample, or nobody reads any more. */
static void attend(struct watch *watch, struct monitor *monitor, int signals)
{
    struct pollfd polled[] = {{.fd = signals, .events = POLLIN},
                              {.fd = watch->woken, .events = POLLIN},
                              {.fd = watch->live && isatty(STDIN_FILENO) ? STDIN_FILENO : -1, .events = POLLIN}};
    uint64_t count = 0;
    for (;;) {
        if (watch->live && !refresh(watch, monitor)) atomic_store(&watch->unwritten, errno);
        if (has_ended(monitor) || atomic_load(&watch->unwritten)) return;
        tell_of_hanging(watch, monitor);
        if (poll(polled, sizeof polled / sizeof polled[0], LOOK_MS) < 0 && errno != EINTR) return;
        if (polled[0].revents && !handle_signal(watch, signals)) return;
        if (polled[1].revents) (void)!read(watch->woken, &count, sizeof count);
        if (polled[2].revents && (screen_quit() || !(polled[2].revents & POLLIN))) return;
    }
}

static struct sink_settings sinks_of(const struct monitor_options *options)
{
    return (struct sink_settings){.log = options->log,
                                  .webhook = options->webhook,
                                  .webhook_secret = options->webhook_secret,
                                  .exec = options->exec,
                                  .report_to = options->report_to,
                                  .report_key = options->report_key,
                                  .timeout_s = options->sink_timeout_s,
                                  .report_interval_s = options->report_interval_s,
                                  .queue_max = (size_t)MONITOR_ALERTS_WAITING,
                                  .samples_max = (size_t)options->report_buffer,
                                  .report = print_log};
}

static enum status start(struct watch *watch, struct problems *problems, struct monitor **ret_monitor)
{
    const struct monitor_options *options = watch->options;
    alert_rules(options->threshold, options->hysteresis, options->temperature_c, options->for_s, watch->rules);
    const struct monitor_settings settings = {
        .interval_s = options->interval_s,
        .history_max = (size_t)options->history_max,
        .rules = watch->rules,
        .rule_count = ALERT_RULES,
        .sinks = sinks_of(options),
        .host = options->host,
        .proc = options->proc,
        .gpu = options->article && !*options->gpu ? "0" : options->gpu, /* the article watches one */
        .count = (int64_t)options->count,
        .taken = print_sample,
        .alert = print_alert,
        .data = watch,
    };
    return monitor_new(&settings, problems, ret_monitor);
}

/* Problems name settings; here they are flags. */
static int report(struct problems *problems, enum status status)
{
    char dashed[CLI_NAME_BYTES];
    for (size_t i = 0; i < problems->count; i++) {
        cli_dashed(problems->items[i].field, dashed);
        const char *field = arena_strdup(problems->arena, dashed);
        if (field) problems->items[i].field = field;
    }
    return cli_report(problems, status);
}

static int finish(struct watch *watch, struct monitor *monitor)
{
    struct out out;
    out_init(&out, LINE_MAX_BYTES);
    struct ending ending = {.options = watch->options, .out = &out};
    const bool stopped = monitor_stop(monitor); /* so that no line comes after the last one */
    monitor_look(monitor, sum_up, &ending);
    int unwritten = atomic_load(&watch->unwritten);
    if (!unwritten && (out.failed || !cli_write(out.data, out.length))) unwritten = out.failed ? ENOMEM : errno;
    out_done(&out);
    if (!stopped) {
        (void)fprintf(stderr, "gpusize: the driver hangs; it is left behind\n");
        (void)fflush(NULL);
        _exit(CLI_FAILED); /* its thread cannot be ended */
    }
    (void)monitor_free(monitor);
    const bool failed = unwritten && unwritten != EPIPE;
    if (failed) (void)fprintf(stderr, "gpusize: standard output cannot be written: %s\n", strerror(unwritten));
    return failed || atomic_load(&journal.failed) ? CLI_FAILED : ending.firing ? CLI_NOTHING : CLI_OK;
}

static int run(const struct monitor_options *options, struct problems *problems)
{
    sigset_t signals, pipe;
    struct monitor *monitor = NULL;
    struct watch watch = {.options = options,
                          .live = !options->json && !options->article && options->count != 1 && screen_is_there(),
                          .woken = eventfd(0, EFD_CLOEXEC)};
    set_hidden(watch.live && isatty(STDERR_FILENO));
    block_signals(&signals);
    const int signal_file = signalfd(-1, &signals, SFD_CLOEXEC);
    enum status status = watch.woken < 0 || signal_file < 0
                             ? problems_add(problems, STATUS_IO, "", "no event file: %s", strerror(errno))
                             : start(&watch, problems, &monitor);
    (void)sigemptyset(&pipe); /* who no longer reads ends us, as any program */
    (void)sigaddset(&pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_UNBLOCK, &pipe, NULL);
    int code = CLI_FAILED;
    if (status == STATUS_OK) {
        if (watch.live) screen_enter();
        attend(&watch, monitor, signal_file);
        screen_leave();
        set_hidden(false);
        code = finish(&watch, monitor);
    } else {
        code = report(problems, status);
    }
    if (watch.woken >= 0) (void)close(watch.woken);
    if (signal_file >= 0) (void)close(signal_file);
    return code;
}

/* With what is wrong with the sinks. */
static int refuse(const struct monitor_options *options, struct problems *problems)
{
    const struct sink_settings sinks = sinks_of(options);
    (void)!sinks_check(&sinks, problems);
    return report(problems, problems_status(problems));
}

int cli_monitor(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct monitor_options options;
    (void)cli;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    const enum status status = monitor_options_read(argc, argv, &arena, &problems, &options);
    const int code = options.help          ? print_help()
                     : status != STATUS_OK ? refuse(&options, &problems)
                                           : run(&options, &problems);
    arena_done(&arena);
    return code;
}
