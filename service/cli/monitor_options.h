/* monitor_options.h owns what `gpusize monitor` can be told: flags and environment variables, their limits, their help.
 */
#pragma once
#include "cli/flags.h"
#include "monitor/monitor.h"

struct monitor_options {
    bool json, article, help, log;
    double interval_s, count, window_minutes, history_max;
    double threshold, hysteresis, temperature_c, for_s;
    double report_interval_s, report_buffer, sink_timeout_s;
    const char *gpu, *host, *proc, *webhook, *webhook_secret, *report_to, *report_key;
    char *const *exec; /* NULL: none */
};

/* Takes them out of argv, then out of the environment: --alert-webhook is also GPUSIZE_ALERT_WEBHOOK. Reads the files
 * of secrets. Every bad one is a problem. */
enum status monitor_options_read(int argc, char **argv, struct arena *arena, struct problems *problems,
                                 struct monitor_options *ret_options) MUST_CHECK;
void monitor_options_help(void);
/* The first line of the file, without its end; "" without a path. */
const char *monitor_options_secret(const char *path, const char *field, struct arena *arena, struct problems *problems);
/* "notify --urgent" as its words, ended by NULL; NULL for none. */
char *const *monitor_options_words(const char *command, const char *field, struct arena *arena,
                                   struct problems *problems);
