/* settings.h owns the settings of `gpusize serve`: one table for flags, environment, file, help. */
#pragma once
#include "catalog/status.h"

#include <stdint.h>

enum { LIST_MAX = 16 }; /* entries of allowed_hosts, of trusted_proxies, of calibration */

struct settings {
    const char *listen, *cors_origin, *allowed_hosts, *trusted_proxies, *settings_file, *database_url,
        *database_listen_url, *snapshot_cache, *profiles, *calibration, *calibration_pool, *alert_webhook,
        *alert_webhook_secret_file, *alert_exec;
    int64_t port, threads, workers, db_workers, queue_max, connections_max, connections_per_address_max, idle_timeout_s,
        request_deadline_s, cache_max_mib, drain_s, access_log, db_prepared, record_max_mib, record_queue_max_mib,
        db_statement_timeout_ms, poll_interval_ms, reading_needs_key, max_price_age_days, address_requests_per_second,
        key_requests_per_second, reports_need_key, monitor_hosts_max, monitor_samples_max, monitor_memory_max_mib,
        monitor_keep_days, monitor_interval_s, alert_log, sink_timeout;
    double alert_threshold, alert_hysteresis, alert_temperature, alert_for;
};

/* Flags win over environment variables (GPUSIZE_PORT), those over the file (port = 8080), those over the defaults.
 * DATABASE_URL and DATABASE_LISTEN_URL are read without the prefix, too. Reports every bad one; no message holds the
 * value of a text, which may hold a password. Texts live in the arena. `ret_help`: --help was asked for. */
enum status settings_read(int argc, char **argv, struct arena *arena, struct problems *problems,
                          struct settings *ret_settings, bool *ret_help) MUST_CHECK;
/* The table, for people. */
void settings_help(void);
