/* monitor_options.c owns the table of the monitor's options and their reading. */
#include "cli/monitor_options.h"

#include "cli/cli.h"

#include "catalog/text.h"
#include "hw/host_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET_MAX_BYTES = 4096, EXEC_ARGUMENTS_MAX = 32, VARIABLE_BYTES = 80 };

/* As they are given: texts and switches. */
struct given {
    const char *interval, *count, *window_minutes, *history, *gpu, *alert_threshold, *alert_hysteresis,
        *alert_temperature, *alert_for, *alert_webhook, *alert_webhook_secret_file, *alert_exec, *report_to,
        *report_key_file, *report_interval, *report_buffer, *sink_timeout, *host, *proc, *estimator;
    bool once, json, alert_log, help;
};

static const struct cli_flag flags[] = {
    {"interval", "SECONDS", "Between two samples. Default: 1.", offsetof(struct given, interval)},
    {"count", "NUMBER", "Ends after so many samples.", offsetof(struct given, count)},
    {"once", NULL, "One sample: the same as --count 1.", offsetof(struct given, once)},
    {"json", NULL, "A JSON object a line: samples, alerts, at the end statistics.", offsetof(struct given, json)},
    {"gpu", "GPU", "One GPU, by its number or its UUID. Default: all.", offsetof(struct given, gpu)},
    {"window_minutes", "MINUTES", "Of statistics and predictions. Default: 10.",
     offsetof(struct given, window_minutes)},
    {"history", "NUMBER", "Samples that are kept. Default: 1000.", offsetof(struct given, history)},
    {"alert_threshold", "RATIO", "Memory in use, of a GPU or the host, that is too much. Default: 0.85.",
     offsetof(struct given, alert_threshold)},
    {"alert_hysteresis", "RATIO", "An alert is resolved so far below its threshold. Default: 0.05.",
     offsetof(struct given, alert_hysteresis)},
    {"alert_temperature", "CELSIUS", "A GPU that is too hot. Default: 90.", offsetof(struct given, alert_temperature)},
    {"alert_for", "SECONDS", "An alert fires when it has lasted so long. Default: 0.",
     offsetof(struct given, alert_for)},
    {"alert_log", NULL, "Writes alerts as JSON to standard error.", offsetof(struct given, alert_log)},
    {"alert_webhook", "URL", "Posts alerts there.", offsetof(struct given, alert_webhook)},
    {"alert_webhook_secret_file", "FILE", "Signs them with this secret.",
     offsetof(struct given, alert_webhook_secret_file)},
    {"alert_exec", "COMMAND", "Runs it for each alert, which it gets on standard input. No shell: words end at blanks.",
     offsetof(struct given, alert_exec)},
    {"report_to", "URL", "The service that gets the samples: https://gpus.example.org.",
     offsetof(struct given, report_to)},
    {"report_key_file", "FILE", "Its key.", offsetof(struct given, report_key_file)},
    {"report_interval", "SECONDS", "Samples are gathered for so long. Default: 5.",
     offsetof(struct given, report_interval)},
    {"report_buffer", "NUMBER", "Samples that wait while the service is away; then the oldest go. Default: 3600.",
     offsetof(struct given, report_buffer)},
    {"sink_timeout", "SECONDS", "Of one delivery. Default: 10.", offsetof(struct given, sink_timeout)},
    {"host", "NAME", "This machine's name in samples and alerts. Default: the host's own.",
     offsetof(struct given, host)},
    {"proc", "FOLDER", "The host's /proc, where it is mounted elsewhere.", offsetof(struct given, proc)},
    {"estimator", "NAME", "article: statistics and alerts of the article's MemoryMonitor.",
     offsetof(struct given, estimator)},
    {"help", NULL, "This text.", offsetof(struct given, help)},
    {NULL, NULL, NULL, 0},
};

static const struct number {
    const char *name;
    size_t given, taken;
    double preset, low, high;
    bool whole, ratio;
} numbers[] = {
#define NUMBER(name, member, preset, low, high, whole, ratio)                                                          \
    {                                                                                                                  \
#name, offsetof(struct given, name), offsetof(struct monitor_options, member), preset, low, high, whole, ratio \
    }
    NUMBER(interval, interval_s, 1, 0.05, 86400, false, false),
    NUMBER(count, count, 0, 1, 1e9, true, false),
    NUMBER(window_minutes, window_minutes, WINDOW_MINUTES_DEFAULT, 0.01, WINDOW_MINUTES_MAX, false, false),
    NUMBER(history, history_max, HISTORY_DEFAULT, 1, HISTORY_MAX, true, false),
    NUMBER(alert_threshold, threshold, ALERT_RATIO_DEFAULT, 0, 1, false, true),
    NUMBER(alert_hysteresis, hysteresis, ALERT_HYSTERESIS_DEFAULT, 0, 1, false, false),
    NUMBER(alert_temperature, temperature_c, ALERT_TEMPERATURE_DEFAULT_C, 1, 200, false, false),
    NUMBER(alert_for, for_s, 0, 0, 86400, false, false),
    NUMBER(report_interval, report_interval_s, 5, 0, 3600, false, false),
    NUMBER(report_buffer, report_buffer, 3600, 1, 1e6, true, false),
    NUMBER(sink_timeout, sink_timeout_s, 10, 0.1, 300, false, false),
};

void monitor_options_help(void)
{
    for (const struct cli_flag *flag = flags; flag->name; flag++)
        cli_print_option(flag->name, flag->value, flag->help, NULL);
}

/* --- reading --- */

/* GPUSIZE_ALERT_WEBHOOK for what no flag has said. */
static void read_environment(struct given *given)
{
    char variable[VARIABLE_BYTES];
    for (const struct cli_flag *flag = flags; flag->name; flag++) {
        const char **text = (const char **)(void *)((char *)given + flag->offset);
        if (!flag->value || *text) continue;
        (void)snprintf(variable, sizeof variable, "GPUSIZE_%s", flag->name);
        for (char *c = variable; *c; c++)
            *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
        const char *value = getenv(variable);
        if (value && *value) *text = value;
    }
}

static void read_number(const struct number *number, const struct given *given, struct problems *problems,
                        struct monitor_options *options)
{
    const char *text = *(const char *const *)(const void *)((const char *)given + number->given);
    double *value = (double *)(void *)((char *)options + number->taken);
    *value = number->preset;
    if (!text) return;
    double read = 0;
    if (!text_parse_double(text, &read))
        (void)problems_add(problems, STATUS_WRONG_TYPE, number->name, "must be a number");
    else if (number->ratio && alert_check_ratio(read, number->name, problems) != STATUS_OK)
        return;
    else if (read < number->low || read > number->high || (number->whole && read != floor(read)))
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, number->name, "must be a %snumber from %g to %g",
                           number->whole ? "whole " : "", number->low, number->high);
    else
        *value = read;
}

const char *monitor_options_secret(const char *path, const char *field, struct arena *arena, struct problems *problems)
{
    const char *text = "";
    size_t length = 0;
    if (!path || !*path) return "";
    if (cli_read_file(path, SECRET_MAX_BYTES, arena, field, problems, &text, &length) != STATUS_OK) return "";
    const char *line = arena_strndup(arena, text, strcspn(text, "\r\n"));
    if (line && *line) return line;
    (void)problems_add(problems, STATUS_INVALID_VALUE, field, "%s has an empty first line", path);
    return "";
}

char *const *monitor_options_words(const char *command, const char *field, struct arena *arena,
                                   struct problems *problems)
{
    size_t count = 0;
    if (!command || !*command) return NULL;
    char **words = ARENA_ARRAY(arena, EXEC_ARGUMENTS_MAX + 1, char *);
    for (const char *at = command; words && *(at += strspn(at, " \t")) && count < EXEC_ARGUMENTS_MAX;) {
        const size_t length = strcspn(at, " \t");
        words[count++] = arena_strndup(arena, at, length);
        at += length;
    }
    if (count > 0 && count < EXEC_ARGUMENTS_MAX) return words;
    (void)problems_add(problems, STATUS_INVALID_VALUE, field,
                       "is a program and fewer than %d arguments, such as \"/usr/local/bin/page --team gpu\"",
                       EXEC_ARGUMENTS_MAX);
    return NULL;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

enum status monitor_options_read(int argc, char **argv, struct arena *arena, struct problems *problems,
                                 struct monitor_options *ret_options)
{
    struct given given = {0};
    struct monitor_options options = {0};
    cli_take_flags(flags, &argc, argv, &given, problems);
    for (int i = 1; i < argc; i++)
        (void)problems_add(problems, STATUS_UNKNOWN_FIELD, argv[i],
                           "there is no such option; see gpusize help monitor");
    read_environment(&given);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        read_number(&numbers[i], &given, problems, &options);
    if (given.once && given.count)
        (void)problems_add(problems, STATUS_CONTRADICTION, "once", "is --count 1: leave the other one out");
    if (given.estimator && strcmp(given.estimator, "article") != 0)
        (void)problems_add(problems, STATUS_INVALID_VALUE, "estimator", "must be \"article\", or left out");
    (void)!alert_check_hysteresis(options.hysteresis, options.threshold, problems);
    if (given.once) options.count = 1;
    options.json = given.json;
    options.log = given.alert_log;
    options.help = given.help;
    options.article = given.estimator != NULL;
    options.gpu = or_empty(given.gpu);
    options.host = or_empty(given.host);
    options.proc = or_empty(given.proc);
    options.webhook = or_empty(given.alert_webhook);
    options.report_to = or_empty(given.report_to);
    options.webhook_secret =
        monitor_options_secret(given.alert_webhook_secret_file, "alert_webhook_secret_file", arena, problems);
    options.report_key = monitor_options_secret(given.report_key_file, "report_key_file", arena, problems);
    options.exec = monitor_options_words(given.alert_exec, "alert_exec", arena, problems);
    if (*options.proc && !(host_memory_read(options.proc).total_bytes > 0))
        (void)problems_add(problems, STATUS_INVALID_VALUE, "proc",
                           "%s has no meminfo: the folder is wanted where the host's /proc is mounted", options.proc);
    if (strlen(options.host) > HOST_NAME_MAX_BYTES)
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, "host", "has at most %d bytes", HOST_NAME_MAX_BYTES);
    *ret_options = options;
    return problems_status(problems);
}
