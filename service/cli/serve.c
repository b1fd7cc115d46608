/* serve.c owns the life of the service: settings, catalog, server, signals, drain. */
#include "cli/cli.h"
#include "cli/settings.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SERVE_ARENA_BYTES = 4 << 20 };

/* What handlers read, and the key of the answer cache: the default of as_of is the day, so the day is part of it. */
static const void *acquire(void *data)
{
    return data;
}

static void release(void *data, const void *snapshot)
{
    (void)data, (void)snapshot;
}

static const char *version_of_day(const void *snapshot)
{
    static _Thread_local char text[96];
    static _Thread_local int32_t day;
    static _Thread_local const char *of;
    const char *version = ((const struct snapshot *)snapshot)->version;
    date_t today = cli_today();
    if (of != version || day != today.days) {
        (void)snprintf(text, sizeof text, "%s@%d", version, today.days);
        of = version;
        day = today.days;
    }
    return text;
}

static void append_metrics(void *data, void (*append)(void *sink, const char *text), void *sink)
{
    const struct snapshot *snapshot = data;
    char text[512];
    (void)snprintf(text, sizeof text,
                   "# HELP gpusize_catalog_info Version of the catalog that answers.\n"
                   "# TYPE gpusize_catalog_info gauge\ngpusize_catalog_info{version=\"%s\"} 1\n"
                   "# HELP gpusize_catalog_age_days Days since the newest price.\n"
                   "# TYPE gpusize_catalog_age_days gauge\ngpusize_catalog_age_days %d\n"
                   "# HELP gpusize_catalog_offers Offers in the catalog.\n"
                   "# TYPE gpusize_catalog_offers gauge\ngpusize_catalog_offers %zu\n",
                   snapshot->version, cli_today().days - snapshot->as_of.days, snapshot->offer_count);
    append(sink, text);
}

/* Cuts the list at its commas. */
static const char *const *split_hosts(const char *list, struct arena *arena)
{
    const char **hosts = ARENA_ARRAY(arena, ALLOWED_HOSTS_MAX + 1, const char *);
    char *rest = arena_strdup(arena, list);
    for (size_t i = 0; hosts && rest && i < ALLOWED_HOSTS_MAX;) {
        char *host = strsep(&rest, ",");
        host += strspn(host, " ");
        if (*host) hosts[i++] = host;
    }
    return hosts;
}

static struct server_settings server_settings(const struct cli *cli, const struct settings *settings,
                                              struct snapshot *snapshot, const char *const *hosts)
{
    return (struct server_settings){
        .listen_address = settings->listen,
        .port = (uint16_t)settings->port,
        .threads = (unsigned)settings->threads,
        .workers = (unsigned)settings->workers,
        .queue_max = (unsigned)settings->queue_max,
        .connections_max = (unsigned)settings->connections_max,
        .connections_per_address_max = (unsigned)settings->connections_per_address_max,
        .idle_timeout_s = (unsigned)settings->idle_timeout_s,
        .request_deadline_s = (unsigned)settings->request_deadline_s,
        .cache_max_bytes = (size_t)settings->cache_max_mib << 20,
        .cors_origin = settings->cors_origin,
        .allowed_hosts = hosts,
        .access_log = settings->access_log,
        .routes = cli->routes,
        .acquire = acquire,
        .release = release,
        .version = version_of_day,
        .data = snapshot,
        .fail = cli->fail,
        .metrics = append_metrics,
    };
}

/* The signals are blocked before any thread starts, so that only this one takes them. */
static void block_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
}

static int run_server(const struct cli *cli, const struct settings *settings, struct snapshot *snapshot,
                      const char *const *hosts, struct problems *problems)
{
    sigset_t signals;
    int signal_number = 0;
    struct server *server = NULL;
    block_signals(&signals);
    const struct server_settings wanted = server_settings(cli, settings, snapshot, hosts);
    enum status status = server_start(&wanted, problems, &server);
    if (status != STATUS_OK) return cli_report(problems, status);
    bool six = strchr(settings->listen, ':') != NULL;
    (void)fprintf(stderr, "gpusize %s, catalog %s: %zu GPUs, %zu models, %zu offers\nlistening on http://%s%s%s:%u\n",
                  GPUSIZE_VERSION, snapshot->version, snapshot->gpu_count, snapshot->model_count, snapshot->offer_count,
                  six ? "[" : "", settings->listen, six ? "]" : "", server_port(server));
    (void)sigwait(&signals, &signal_number);
    bool drained = server_drain(server, (unsigned)settings->drain_s);
    (void)fprintf(stderr, drained ? "stopped: every open request was answered\n"
                                  : "stopped: some requests did not end in time\n");
    server_free(server);
    return drained ? CLI_OK : CLI_FAILED;
}

int cli_serve(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct settings settings;
    bool help = false;
    arena_init(&arena, SERVE_ARENA_BYTES);
    problems_init(&problems, &arena);
    enum status status = settings_read(argc, argv, &arena, &problems, &settings, &help);
    int code = CLI_OK;
    if (help) {
        settings_help();
    } else if (status != STATUS_OK) {
        code = cli_report(&problems, status);
    } else {
        struct snapshot *snapshot = cli_load_catalog();
        const char *const *hosts = split_hosts(settings.allowed_hosts, &arena);
        code = snapshot && hosts ? run_server(cli, &settings, snapshot, hosts, &problems) : CLI_FAILED;
        snapshot_free(snapshot);
    }
    arena_done(&arena);
    return code;
}
